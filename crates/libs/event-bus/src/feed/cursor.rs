//! Where in which stream a consumer stands.

use async_nats::jetstream::stream::Info;

/// A place in a stream, and which stream that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    /// When the stream was made, in nanoseconds: another time is another stream, whatever its name.
    created: i128,
    /// Sequence of the last message taken, in the stream's count.
    pub(super) sequence: u64,
}

impl Cursor {
    /// Behind the last message of a stream.
    pub(super) fn end_of(info: &Info) -> Self {
        Self {
            created: info.created.unix_timestamp_nanos(),
            sequence: info.state.last_sequence,
        }
    }

    /// Whether a stream, whose end and first message are given, still holds everything after this.
    pub(super) fn continues_in(self, end: Self, first: u64) -> bool {
        self.created == end.created && self.sequence <= end.sequence && first <= self.sequence + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_continues_only_in_the_same_unbroken_stream() {
        let known = Cursor {
            created: 1,
            sequence: 10,
        };
        let end = |created, sequence| Cursor { created, sequence };
        assert!(known.continues_in(end(1, 10), 1));
        assert!(known.continues_in(end(1, 50), 11), "the next one is still there");
        assert!(!known.continues_in(end(1, 50), 12), "the next one was deleted");
        assert!(!known.continues_in(end(2, 50), 1), "made anew");
        assert!(!known.continues_in(end(1, 9), 1), "set back");
    }
}
