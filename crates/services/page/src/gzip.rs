//! Pages that were compressed beforehand, though their end is another one for every reader.
//!
//! A gzip stream is a row of blocks, each compressed or stored as it is, and a checksum (RFC 1951 and RFC 1952). So the
//! beginning is compressed once, up to a block's end; an answer adds its footer as one more block, stored, and carries the
//! checksum on over it. Nothing is compressed while a reader waits, but for the first who wants it so.

use std::io::Write as _;

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A real page becomes 4,686 of 18,332 bytes at level 1, 3,939 at 4, 3,925 at 6.
const LEVEL: Compression = Compression::new(4);

/// The most that a stored block holds.
const STORED: usize = 0xffff;

/// The beginning of a gzip stream, which [`close`](Self::close) gives an end.
#[derive(Debug)]
pub(crate) struct Opening {
    bytes: Bytes,
    /// Of what is in it.
    checksum: Hasher,
    /// The same, modulo 2^32.
    length: u32,
}

impl Opening {
    /// Compresses the beginning of a text; none if that is not worth it.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
        // Flushed, and not finished: the last block ends on a byte, and says that more will follow.
        encoder
            .write_all(text)
            .and_then(|()| encoder.flush())
            .expect("a vector takes what is written to it");
        let bytes = Bytes::copy_from_slice(encoder.get_ref());
        let mut checksum = Hasher::new();
        checksum.update(text);
        (bytes.len() <= Self::most(text.len())).then_some(Self {
            bytes,
            checksum,
            length: wrapping(text.len()),
        })
    }

    /// The most memory it takes for a text of that length: beyond it, compressing is not worth it.
    pub(crate) const fn most(length: usize) -> usize {
        length / 2
    }

    /// The beginning itself.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// What follows it on the wire, so that the whole is the text and then this end.
    pub(crate) fn close(&self, end: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(end.len() + 13);
        let mut rest = end;
        while rest.len() > STORED {
            let (block, others) = rest.split_at(STORED);
            store(&mut bytes, block, false);
            rest = others;
        }
        store(&mut bytes, rest, true);
        let mut checksum = self.checksum.clone();
        checksum.update(end);
        bytes.extend(checksum.finalize().to_le_bytes());
        bytes.extend(self.length.wrapping_add(wrapping(end.len())).to_le_bytes());
        bytes.into()
    }
}

/// Adds a stored block (RFC 1951, 3.2.4).
fn store(bytes: &mut Vec<u8>, block: &[u8], last: bool) {
    let length = u16::try_from(block.len()).expect("a stored block is at most 65,535 bytes long");
    bytes.push(last.into());
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(block);
}

#[expect(clippy::cast_possible_truncation, reason = "RFC 1952 counts modulo 2^32")]
const fn wrapping(length: usize) -> u32 {
    length as u32
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_closed_reads_as_the_text_and_its_end() {
        let text = "<p>a page that repeats itself</p>".repeat(1_000);
        let opening = Opening::of(text.as_bytes()).unwrap();
        assert!(opening.bytes.len() < text.len() / 20, "{}", opening.bytes.len());
        for end in [
            String::new(),
            "<p>the end</p>".to_owned(),
            "much more ".repeat(20_000),
        ] {
            let stream = [opening.bytes(), opening.close(end.as_bytes())].concat();
            let mut read = String::new();
            // The decoder checks the checksum and the length.
            GzDecoder::new(&*stream).read_to_string(&mut read).unwrap();
            assert_eq!(read, text.clone() + &end);
        }
    }

    #[test]
    fn what_does_not_become_smaller_is_left_as_it_is() {
        assert!(Opening::of(b"short").is_none());
    }
}
