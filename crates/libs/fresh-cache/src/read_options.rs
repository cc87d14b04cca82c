//! What one reader asks for: how fresh, how long it waits, and how old the page may be.

use std::time::Duration;

use crate::consistency::Consistency;

/// What one reader asks for. A [`Consistency`] converts into it, with the defaults for the rest.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let (feed, mut writer) = feed::channel(1, FeedOptions::default());
/// # let accounts = Accounts::default();
/// # let cache = FreshCache::new(accounts.clone(), feed, CacheOptions::default());
/// cache.read(&7, ReadOptions::default()).await;
/// accounts.change();
/// writer.changed(ACCOUNTS, &7);
///
/// // The page may be five seconds old. It is shown at once, and renewed in the background.
/// let options = ReadOptions { max_age: Some(Duration::from_secs(5)), ..ReadOptions::default() };
/// let answer = cache.read(&7, options).await;
/// assert_eq!((answer.outcome, answer.page.content().as_str()), (Outcome::StaleHit, "account 7: revision 0"));
///
/// // Wait no longer than 200 ms for what is newer. After that, what is known is shown, marked as stale.
/// let options = ReadOptions { max_wait: Some(Duration::from_millis(200)), ..ReadOptions::default() };
/// let answer = cache.read(&7, options).await;
/// assert_eq!((answer.timed_out, answer.page.content().as_str()), (false, "account 7: revision 1"));
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct ReadOptions<'a, E> {
    /// How fresh the page must be.
    pub consistency: Consistency<'a, E>,
    /// How long the reader waits for a load (rule 26). After that it gets what is known, and
    /// [`Answer::timed_out`](crate::Answer::timed_out) says so. The load goes on. As long as nothing at all is known of the page,
    /// the reader goes on waiting. `None`, the default: until the load ends. [`Strategy::None`](crate::Strategy::None) ignores this,
    /// because it keeps nothing that it could show.
    pub max_wait: Option<Duration>,
    /// How old the page may be, counted from the moment up to which it is complete (rule 27). Such a page is the answer at once, and
    /// is renewed in the background. `None`, the default: [`CacheOptions::max_age`](crate::CacheOptions::max_age).
    pub max_age: Option<Duration>,
}

impl<E> Default for ReadOptions<'_, E> {
    fn default() -> Self {
        Consistency::MinimizeLatency.into()
    }
}

impl<'a, E> From<Consistency<'a, E>> for ReadOptions<'a, E> {
    fn from(consistency: Consistency<'a, E>) -> Self {
        Self {
            consistency,
            max_wait: None,
            max_age: None,
        }
    }
}

// By hand: what a derive makes is for an `E` that is `Copy` alone.
impl<E> Clone for ReadOptions<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for ReadOptions<'_, E> {}
