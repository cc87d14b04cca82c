//! What is said to a cache: how it is made, and what a reader asks of it.

use std::time::Duration;

use crate::fragment::Token;
use crate::refresh::RefreshOptions;
use crate::strategy::Strategy;

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
    /// The memory for pages, by [`Composer::weight`](crate::Composer::weight).
    pub max_bytes: u64,
    /// How old a part may be that is shown, marked, while its source cannot be asked (rule 12).
    pub max_stale: Duration,
    /// How long a source that failed to give a page its part is not asked again for that page: a page read a thousand
    /// times a second would ask a thousand times.
    pub retry_after: Duration,
    /// The memory for what is [remembered](crate::FreshCache::remember) of the past, in bytes.
    pub remembered_bytes: u64,
    /// The bounds of pre-populating.
    pub refresh: RefreshOptions,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            max_bytes: 64 * 1024 * 1024,
            max_stale: Duration::from_hours(1),
            retry_after: Duration::from_secs(1),
            remembered_bytes: 16 * 1024 * 1024,
            refresh: RefreshOptions::default(),
        }
    }
}

/// What a reader asks for.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let (ledger, _hearing) = Ledger::new(1, LedgerOptions::default());
/// # let accounts = Accounts::default();
/// # let cache = FreshCache::new(accounts.clone(), ledger, CacheOptions::default());
/// cache.read(&7, Demand::Any).await;
/// let written = accounts.change(); // its event may still be under way
///
/// let answer = cache.read(&7, Demand::AtLeast(&[Token::of(ACCOUNTS, written)])).await;
/// assert_eq!(answer.entry.page(), "account 7: revision 1");
/// assert!(answer.behind.is_empty());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand<'a> {
    /// A page that is proven, or composed for this read.
    Any,
    /// A page composed after this read began, every source asked unconditionally (`Cache-Control: no-cache`). If it falls
    /// short of a version that the reader knows, [`Answer::behind`](crate::Answer::behind) says so.
    Afresh(&'a [Token]),
    /// A page that reflects at least these versions: the reader's own writes (rule 13). What falls short of one is asked
    /// for, once, after this read began; if it still does, [`Answer::behind`](crate::Answer::behind) says so.
    AtLeast(&'a [Token]),
}
