//! How a cache is made.

use std::time::Duration;

use crate::strategy::Strategy;
use crate::task_context::TaskScope;

/// How a [`FreshCache`](crate::FreshCache) is made.
///
/// ```
/// use fresh_cache::{CacheOptions, Strategy};
///
/// let options = CacheOptions { strategy: Strategy::Prepopulate, ..CacheOptions::default() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// How pages are kept fresh.
    pub strategy: Strategy,
    /// The memory for pages, by [`Loader::weight`](crate::Loader::weight).
    pub max_bytes: u64,
    /// How old a page may be for readers who state no [age of their own](crate::ReadOptions::max_age) (rule 27). Above zero, an old
    /// page is shown while it is renewed (stale-while-revalidate).
    pub max_age: Duration,
    /// How old a fragment may be that is shown, marked, while its source gives no answer (rule 12).
    pub max_stale: Duration,
    /// How long, from the start of a failed request, the page does not ask for that fragment again; a tenth of it if
    /// [`Loader::admit`](crate::Loader::admit) refused. Without it a page read a thousand times a second would ask a thousand times.
    pub retry_after: Duration,
    /// The memory for what is [remembered](crate::FreshCache::remember) of the past, in bytes.
    pub remembered_bytes: u64,
    /// The bounds of pre-populating.
    pub refresh: RefreshOptions,
    /// Captures what a load needs from the thread that starts it, besides the `tracing` span: request ids, or the trace context of
    /// another library. It is called on the reader's thread, or on the thread that [announces](crate::FreshCache::announce) an
    /// event. Each step of the load then runs inside the scope that it returned.
    pub capture: fn() -> Option<TaskScope>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            max_bytes: 64 * 1024 * 1024,
            max_age: Duration::ZERO,
            max_stale: Duration::from_hours(1),
            retry_after: Duration::from_secs(1),
            remembered_bytes: 16 * 1024 * 1024,
            refresh: RefreshOptions::default(),
            capture: || None,
        }
    }
}

/// The bounds of pre-populating.
#[derive(Clone, Copy, Debug)]
pub struct RefreshOptions {
    /// Which pages an event refreshes.
    pub scope: RefreshScope,
    /// How many events may wait to be looked at, and how many pages to be refreshed. The rest is left out: its
    /// pages are invalidated, and not refreshed.
    pub waiting: usize,
    /// How many pages are refreshed at once.
    pub at_once: usize,
}

impl Default for RefreshOptions {
    fn default() -> Self {
        Self {
            scope: RefreshScope::default(),
            waiting: 1024,
            at_once: 4,
        }
    }
}

/// Which pages an event refreshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshScope {
    /// Those that were read since their last refresh began: at most one wasted refresh per read (rule 18).
    #[default]
    Read,
    /// Those that are resident, read or not.
    Resident,
    /// All that could show the entity, also those that nobody ever asked for. Pre-populating is usually described like this. With
    /// more writes than reads it costs more than no cache at all.
    All,
}
