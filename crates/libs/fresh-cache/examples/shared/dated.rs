//! A source that knows when each page was written, and its feed, on time that the caller advances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fresh_cache::{FeedOptions, FeedReader, FeedWriter, ManualClock, Moment, feed};

/// Who owns the data: when each page was written. Their number is the page's revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<Mutex<HashMap<u64, Vec<Moment>>>>);

impl Source {
    pub(crate) fn commit(&self, page: u64, now: Moment) {
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.entry(page).or_default().push(now);
    }

    pub(crate) fn revision(&self, page: u64) -> u64 {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.get(&page).map_or(0, |commits| commits.len() as u64)
    }

    /// When the first write came that this revision lacks.
    pub(crate) fn first_after(&self, page: u64, revision: u64) -> Option<Moment> {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.get(&page)?.get(usize::try_from(revision).ok()?).copied()
    }
}

/// A feed of one source, with so many fences that hardly two pages share one, so that every run prints the same.
pub(crate) fn channel() -> (ManualClock, FeedReader<u64>, FeedWriter<u64>) {
    let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
    let options = FeedOptions {
        fences: 1 << 20,
        clock: Arc::new(clock.clone()),
        ..FeedOptions::default()
    };
    let (reader, writer) = feed::channel(1, options);
    (clock, reader, writer)
}
