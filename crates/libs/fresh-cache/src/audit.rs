//! The audit: resident pages are compared with their sources, because a freshness check is only as good as what it assumes.
//!
//! A source that changes without an event, an answer from a lagging replica, a fault in this crate: each leaves a page that
//! claims to be complete and is not. If a source has something newer, its event may still be under way. So the audit looks
//! at every mismatch a second time; it is confirmed only if the page then still claims to be complete.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;

use crate::cache::FreshCache;
use crate::clock::{Date, Moment};
use crate::consistency::Consistency;
use crate::feed::ids::{Claim, SourceId};
use crate::fragment::{Fetched, Fragment, FragmentState};
use crate::freshness::FreshnessCheck;
use crate::loader::Loader;
use crate::page::CachedPage;
use crate::shared::Shared;
use crate::version::Version;

/// What came of comparing one page with its sources.
#[derive(Debug)]
pub enum Audit<L: Loader> {
    /// The page claims nothing now: it is not resident, not fresh, or marked; or no source could be asked.
    Skipped,
    /// The page is what its sources say.
    Agrees,
    /// A source has something newer. Look again after a second: [`FreshCache::audit_again`].
    Mismatch(Mismatch<L::Key>),
    /// The page claims to be complete beyond a moment at which its source had something newer. It was composed anew.
    Confirmed(ConfirmedMismatch<L>),
}

/// A source had something newer than a page that was fresh.
#[derive(Clone, Debug)]
pub struct Mismatch<K> {
    /// Which page.
    pub key: K,
    /// Whose fragment.
    pub source: SourceId,
    /// What the source answered.
    pub found: Version,
    /// When it had answered, by this host's clocks.
    pub seen: Date,
    /// The fragment's place on the page.
    place: usize,
}

/// A page that was older than it claimed.
pub struct ConfirmedMismatch<L: Loader> {
    /// What the first look found.
    pub mismatch: Mismatch<L::Key>,
    /// What the page showed.
    pub shown: Version,
    /// Up to when it claimed to be complete.
    pub claimed: Moment,
    /// The page itself.
    pub page: Arc<CachedPage<L>>,
}

impl<L: Loader> FreshCache<L> {
    /// Up to `count` resident pages, chosen at random. Walks over all of them: for a low rate.
    pub fn sample(&self, count: usize) -> Vec<L::Key> {
        // The keys with the lowest hashes of a hash that nobody knew before.
        let hasher = RandomState::new();
        let mut chosen: Vec<(u64, L::Key)> = Vec::new();
        for (key, _) in &self.shared.pages {
            let rank = hasher.hash_one(&*key);
            let place = chosen.partition_point(|(other, _)| *other < rank);
            if place < count {
                chosen.insert(place, (rank, L::Key::clone(&key)));
                chosen.truncate(count);
            }
        }
        chosen.into_iter().map(|(_, key)| key).collect()
    }

    /// Asks every source of a resident page for a full answer, and compares.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (feed, _consumer) = feed::channel(1, FeedOptions::default());
    /// # let accounts = Accounts::default();
    /// # let cache = FreshCache::new(accounts.clone(), feed, CacheOptions::default());
    /// cache.read(&7, Consistency::MinimizeLatency).await;
    /// assert!(matches!(cache.audit(&7).await, Audit::Agrees));
    ///
    /// accounts.change(); // either its event is under way, or there is none
    /// let Audit::Mismatch(mismatch) = cache.audit(&7).await else { panic!("it differs") };
    /// // A second later:
    /// assert!(!matches!(cache.audit_again(mismatch).await, Audit::Confirmed(_)), "it claims no more than before");
    /// # }
    /// ```
    pub async fn audit(&self, key: &L::Key) -> Audit<L> {
        let shared = &self.shared;
        let Some((page, _)) = shared.fresh_page(key) else {
            return Audit::Skipped;
        };
        let Some(dependencies) = shared.guard(|| shared.dependencies(key)) else {
            return Audit::Skipped;
        };
        let mut asked = false;
        for (place, (state, dependency)) in page.fragments().iter().zip(&*dependencies).enumerate() {
            let Some(fragment) = state.fragment() else {
                continue;
            };
            let Some(found) = shared.look(key, &dependency.entity, fragment).await else {
                continue;
            };
            asked = true;
            if shared.differs(fragment, &found) {
                shared.stats.mismatches.add();
                return Audit::Mismatch(Mismatch {
                    key: key.clone(),
                    source: fragment.source,
                    found: found.version,
                    seen: Date::now(shared.feed.clock()),
                    place,
                });
            }
        }
        if !asked {
            return Audit::Skipped;
        }
        shared.stats.audits.add();
        Audit::Agrees
    }

    /// Looks again at what was a mismatch a second ago. A confirmed one is repaired: every page that may show the same fragment is
    /// dropped, and composed again.
    pub async fn audit_again(&self, mismatch: Mismatch<L::Key>) -> Audit<L> {
        let shared = &self.shared;
        shared.stats.audits.add();
        let Some((page, claimed)) = shared.fresh_page(&mismatch.key) else {
            return Audit::Agrees; // its event was applied, and it makes no claim any more
        };
        let state = page.fragments().get(mismatch.place);
        let shown = state.and_then(FragmentState::fragment);
        let Some(entity) = self.entity_of(&mismatch) else {
            return Audit::Agrees; // the loader names other dependencies now, which it must not
        };
        let clock = shared.feed.clock();
        let seen = mismatch.seen.told_at(clock.now(), clock.monotonic());
        let Some(fragment) = shown.filter(|_| claimed > seen) else {
            return Audit::Agrees;
        };
        if !shared.still_older(fragment, &entity, &mismatch).await {
            return Audit::Agrees;
        }
        shared.stats.confirmed_mismatches.add();
        self.repair(&mismatch, &entity).await;
        Audit::Confirmed(ConfirmedMismatch {
            shown: fragment.version,
            mismatch,
            claimed,
            page: Arc::clone(&page),
        })
    }
}

impl<L: Loader> FreshCache<L> {
    /// The entity of the fragment that differs.
    fn entity_of(&self, mismatch: &Mismatch<L::Key>) -> Option<L::Entity> {
        let shared = &self.shared;
        let mut dependencies = shared.guard(|| shared.loader.dependencies(&mismatch.key))?;
        (mismatch.place < dependencies.len()).then(|| dependencies.swap_remove(mismatch.place).1)
    }

    /// Dropping is not enough: a load that is in flight, and keeps the fragment, would store it again. So the pages are
    /// composed anew in full, after that load.
    async fn repair(&self, mismatch: &Mismatch<L::Key>, entity: &L::Entity) {
        let shared = &self.shared;
        let pages = shared.guard(|| shared.loader.pages_of(mismatch.source, entity));
        let mut pages = pages.unwrap_or_default();
        if !pages.contains(&mismatch.key) {
            pages.push(mismatch.key.clone());
        }
        for key in pages {
            if shared.pages.contains_key(&key) {
                self.evict(&key);
                // A panic of the loader was counted.
                _ = AssertUnwindSafe(self.read(&key, Consistency::FullyConsistent(&[])))
                    .catch_unwind()
                    .await;
            }
        }
    }
}

impl<L: Loader> Shared<L> {
    /// The resident page, if it claims to be complete, and until when.
    fn fresh_page(&self, key: &L::Key) -> Option<(Arc<CachedPage<L>>, Moment)> {
        let watermarks = self.feed.watermarks();
        let page = self.pages.get(key)?;
        let freshness = page.freshness(&FreshnessCheck::new(&self.feed, &watermarks), &*self.policy);
        let claims = freshness.stale.is_none() && page.degraded().next().is_none();
        claims.then_some((page, freshness.complete_until))
    }

    /// What a source says now.
    async fn look(
        &self,
        key: &L::Key,
        entity: &L::Entity,
        fragment: &Fragment<L::Body>,
    ) -> Option<Seen<L::Body>> {
        let source = fragment.source;
        let asked = async {
            let _permit = self.loader.admit(source, Some(fragment)).await.ok()?;
            match self.loader.fetch(key, source, entity, None).await.ok()? {
                Fetched::New {
                    version, claim, body, ..
                } => Some(Seen { version, claim, body }),
                Fetched::NotModified { .. } => None,
            }
        };
        let asked = AssertUnwindSafe(asked).catch_unwind().await;
        asked.inspect_err(|_| self.stats.panics.add()).ok()?
    }

    /// Whether a fragment does not show what its source had a second ago.
    async fn still_older(
        &self,
        fragment: &Fragment<L::Body>,
        entity: &L::Entity,
        mismatch: &Mismatch<L::Key>,
    ) -> bool {
        let found = mismatch.found;
        if fragment.version.incarnation == found.incarnation && fragment.version.revision < found.revision {
            return true;
        }
        // Of two histories the one that the source still has is the later; of one version there is one body.
        let now = self.look(&mismatch.key, entity, fragment).await;
        now.is_some_and(|now| {
            let newer = now.version.incarnation == fragment.version.incarnation
                && now.version.revision > fragment.version.revision;
            !newer && self.differs(fragment, &now)
        })
    }

    /// Whether the source has something else than the fragment shows, and not something older of the same history.
    fn differs(&self, fragment: &Fragment<L::Body>, found: &Seen<L::Body>) -> bool {
        if fragment.version == found.version {
            return !self.loader.agrees(&fragment.body, &found.body);
        }
        let replaced = fragment.claim.is_some() && found.claim.is_some() && fragment.claim != found.claim;
        let older = fragment.version.incarnation == found.version.incarnation
            && found.version.revision < fragment.version.revision;
        replaced || !older
    }
}

/// A full answer, as the audit sees it.
struct Seen<B> {
    version: Version,
    claim: Option<Claim>,
    body: B,
}

impl<L: Loader> fmt::Debug for ConfirmedMismatch<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConfirmedMismatch")
            .field("mismatch", &self.mismatch)
            .field("shown", &self.shown)
            .field("claimed", &self.claimed)
            .finish_non_exhaustive()
    }
}
