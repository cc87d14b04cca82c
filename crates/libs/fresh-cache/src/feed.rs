//! What one replica knows from its feed of events: the state that every reader shares, and its one writer.

pub(crate) mod ids;
pub(crate) mod reader;
pub(crate) mod state;
pub(crate) mod watermarks;
pub(crate) mod writer;

use std::sync::Arc;

use self::reader::FeedReader;
use self::state::{FeedOptions, FeedState};
use self::writer::FeedWriter;

/// Makes the two ends of a feed of that many sources: what caches read, and the one right to write. `E` is how events name
/// what they are about.
///
/// ```
/// use fresh_cache::{FeedOptions, Position, SourceId, feed};
///
/// const ACCOUNTS: SourceId = SourceId(0);
///
/// let (feed, mut writer) = feed::channel::<String>(1, FeedOptions::default());
/// assert!(feed.position() > Position::ZERO && feed.watermark(ACCOUNTS).is_none());
///
/// let applied = writer.changed(ACCOUNTS, "ada"); // by the one task that applies the feed
/// assert_eq!(feed.position(), applied); // by everyone else
/// ```
pub fn channel<E>(sources: usize, options: FeedOptions) -> (FeedReader<E>, FeedWriter<E>) {
    let sources = sources.min(FeedState::MAX_SOURCES);
    let state = Arc::new(FeedState::new(sources, options));
    (
        FeedReader::new(Arc::clone(&state)),
        FeedWriter::new(state, sources),
    )
}
