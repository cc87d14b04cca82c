//! Versions as the sources hand them out: in tags, in tokens.

use std::fmt;

use crate::Source;

/// Which history of a source: the 128 random bits that were minted with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

/// A state of one account at one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Which database counts.
    pub incarnation: Incarnation,
    /// How far it has counted.
    pub revision: u64,
    /// The random number of the mutation that made it: a database that was set back counts up to the same revision again.
    pub nonce: u64,
}

impl Version {
    /// Reads `"<incarnation>-<revision>-<nonce>-…"`, a source's `ETag`.
    pub fn in_tag(tag: &str) -> Option<Self> {
        let (incarnation, state) = tag.trim_matches('"').split_once('-')?;
        Self::read(incarnation, state)
    }

    /// Reads `<revision>-<nonce>`, whatever follows.
    fn read(incarnation: &str, state: &str) -> Option<Self> {
        let mut words = state.split('-');
        Some(Self {
            incarnation: Incarnation(hexadecimal(incarnation, 32)?),
            revision: words.next()?.parse().ok()?,
            nonce: u64::try_from(hexadecimal(words.next()?, 16)?).ok()?,
        })
    }
}

/// Reads `accounts/7/<incarnation>=<revision>-<nonce>, …`, a `Consistency-Token`; none for an entry of another form. An entry may
/// end with a claim.
pub fn versions_in_token(token: &str) -> impl Iterator<Item = Option<(Source, u64, Version)>> {
    let entries = token.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| {
        let (path, state) = entry.split_once('=')?;
        let mut words = path.splitn(3, '/');
        let (source, account) = (Source::named(words.next()?)?, words.next()?.parse().ok()?);
        Some((source, account, Version::read(words.next()?, state)?))
    })
}

fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == digits)
}

impl fmt::Display for Incarnation {
    /// The first digits, to be looked up in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…", self.0 >> 96)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As much of the nonce as tells two apart.
        let nonce = self.nonce >> 32;
        write!(f, "{}={}-{nonce:08x}…", self.incarnation, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000000000aa0000000000000001";

    #[test]
    fn a_tag_gives_its_version_with_and_without_a_bucket() {
        let version = Version {
            incarnation: Incarnation((0xaa << 64) + 1),
            revision: 17,
            nonce: 0x9f86_d081_884c_7d65,
        };
        for tag in [
            format!("\"{ID}-17-9f86d081884c7d65-v1\""),
            format!("\"{ID}-17-9f86d081884c7d65-v1-1700000000\""),
        ] {
            assert_eq!(Version::in_tag(&tag), Some(version));
        }
        assert_eq!(Version::in_tag(&format!("\"{ID}-17\"")), None);
    }

    #[test]
    fn a_token_gives_the_version_of_each_source_with_and_without_a_claim() {
        let token =
            format!("metrics/7/{ID}=6-9f86d081884c7d65-5feceb66ffc86f38, accounts/8/{ID}=1-9f86d081884c7d65");
        let read = versions_in_token(&token)
            .map(|entry| entry.map(|(source, account, version)| (source, account, version.revision)));
        assert_eq!(
            read.collect::<Vec<_>>(),
            [Some((Source::Metrics, 7, 6)), Some((Source::Accounts, 8, 1))]
        );
        for broken in [
            "accounts",
            "accounts/7=3",
            "accounts/7/aa=3-9f86d081884c7d65",
            "page/7/aa=3",
        ] {
            assert_eq!(versions_in_token(broken).next(), Some(None), "{broken}");
        }
    }
}
