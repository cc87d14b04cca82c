//! Where a message stands.

use async_nats::jetstream::stream::Info;

/// A place in the stream. The stream may be deleted and made anew under its name; then places of the two do not compare, and the
/// later one is the one that was seen later: the broker's clock may have been set back between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the stream was made, in nanoseconds since 1970. It tells one stream from another of the same name.
    pub stream: i64,
    /// The message's sequence in the stream.
    pub sequence: u64,
}

impl Place {
    /// The place of the stream's last message.
    pub(super) fn end_of(info: &Info) -> Self {
        Self {
            // Until the year 2262.
            stream: i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX),
            sequence: info.state.last_sequence,
        }
    }

    /// A message of the same stream.
    pub(super) fn with_sequence(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }
}
