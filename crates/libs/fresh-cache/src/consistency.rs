//! What a reader asks of a page: any that is fresh, one that reflects what the reader knows of, or one composed just now.

use crate::feed::ids::{Claim, SourceId};
use crate::fragment::Fragment;
use crate::version::Version;

/// How fresh a page must be for its reader.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let (feed, _writer) = feed::channel(1, FeedOptions::default());
/// # let accounts = Accounts::default();
/// # let cache = FreshCache::new(accounts.clone(), feed, CacheOptions::default());
/// cache.read(&7, Consistency::MinimizeLatency).await;
/// let written = accounts.change(); // its event may still be under way
///
/// let tokens = [Token::of(ACCOUNTS, 7, written)];
/// let answer = cache.read(&7, Consistency::AtLeastAsFresh(&tokens)).await;
/// assert_eq!(answer.page.content(), "account 7: revision 1");
/// assert!(answer.behind.is_empty());
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum Consistency<'a, E> {
    /// A page that is fresh by the feed, or composed for this read.
    MinimizeLatency,
    /// A page that reflects at least these versions: the reader's own writes (rule 13). What falls short of one is fetched
    /// once, after this read began; if it still does, [`Answer::behind`](crate::Answer::behind) says so.
    AtLeastAsFresh(&'a [Token<E>]),
    /// A page composed after this read began, every source asked unconditionally (`Cache-Control: no-cache`). If it falls
    /// short of a version that the reader knows, [`Answer::behind`](crate::Answer::behind) says so.
    FullyConsistent(&'a [Token<E>]),
}

impl<'a, E> Consistency<'a, E> {
    /// The versions that the reader knows of.
    pub(crate) const fn tokens(self) -> &'a [Token<E>] {
        match self {
            Self::MinimizeLatency => &[],
            Self::AtLeastAsFresh(tokens) | Self::FullyConsistent(tokens) => tokens,
        }
    }
}

// By hand: a derive would require `E: Copy`.
impl<E> Clone for Consistency<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Consistency<'_, E> {}

/// A version that a reader knows of, such as that of its own write (rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<E> {
    /// Whose version it is.
    pub source: SourceId,
    /// What it is a version of.
    pub entity: E,
    /// The version.
    pub version: Version,
    /// The source's claim when it gave out the version; `None` if it was not certain. The revision of a kept fragment is compared
    /// with the token's only if both state the same claim: a database may have been set back in between.
    pub claim: Option<Claim>,
}

impl<E> Token<E> {
    /// The token of a source of which there can be only one publisher.
    pub const fn of(source: SourceId, entity: E, version: Version) -> Self {
        Self {
            source,
            entity,
            version,
            claim: Some(Claim(0)),
        }
    }

    /// Whether a fragment that was fetched before the token was shown to us reflects it.
    pub(crate) fn is_reflected_by_kept<B>(&self, fragment: &Fragment<B>) -> bool {
        fragment.version == self.version
            || (self.claim.is_some()
                && fragment.claim == self.claim
                && fragment.version.reflects(self.version))
    }
}
