//! The audit: resident pages are compared with their sources, because a proof is only as good as what it assumes.
//!
//! A source that changes without an event, an answer from a lagging replica, a fault in this crate: each leaves a page that
//! claims to be complete and is not. A source that has something newer is no such case yet, since its event may be on its way;
//! so every suspicion is looked at a second time, and only what still claims to be complete by then is a lie.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;

use crate::cache::{FreshCache, Inner};
use crate::clock::{Date, Moment};
use crate::feed::state::SourceId;
use crate::fragment::{Claim, Fetched, Part, Version};
use crate::freshness::Proof;
use crate::loader::Composer;
use crate::options::Demand;
use crate::page::Entry;

/// What came of comparing one page with its sources.
#[derive(Debug)]
pub enum Audit<C: Composer> {
    /// The page claims nothing now: it is not resident, not proven, or marked; or no source could be asked.
    Skipped,
    /// The page is what its sources say.
    Agrees,
    /// A source has something newer. To be looked at again after a second.
    Suspicious(Suspicion<C::Key>),
    /// The page claims to be complete beyond a moment at which its source had something newer. It was composed anew.
    Lies(Lie<C>),
}

/// A source had something newer than a page that was proven.
#[derive(Clone, Debug)]
pub struct Suspicion<K> {
    /// Which page.
    pub key: K,
    /// Whose part.
    pub source: SourceId,
    /// What the source answered.
    pub found: Version,
    /// When it had answered, by this host's clocks.
    pub seen: Date,
}

/// A page that was older than it claimed.
pub struct Lie<C: Composer> {
    /// What gave rise to the second look.
    pub suspicion: Suspicion<C::Key>,
    /// What the page showed.
    pub shown: Version,
    /// Up to when it claimed to be complete.
    pub claimed: Moment,
    /// The page itself.
    pub entry: Arc<Entry<C>>,
}

impl<C: Composer> FreshCache<C> {
    /// Up to `count` resident pages, chosen at random. Walks over all of them: for a low rate.
    pub fn sample(&self, count: usize) -> Vec<C::Key> {
        // The keys with the lowest hashes of a hash that nobody knew before.
        let hasher = RandomState::new();
        let mut chosen: Vec<(u64, C::Key)> = Vec::new();
        for (key, _) in &self.inner.pages {
            let rank = hasher.hash_one(&*key);
            let place = chosen.partition_point(|(other, _)| *other < rank);
            if place < count {
                chosen.insert(place, (rank, C::Key::clone(&key)));
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
    /// # let (ledger, _hearing) = Ledger::new(1, LedgerOptions::default());
    /// # let accounts = Accounts::default();
    /// # let cache = FreshCache::new(accounts.clone(), ledger, CacheOptions::default());
    /// cache.read(&7, Demand::Any).await;
    /// assert!(matches!(cache.audit(&7).await, Audit::Agrees));
    ///
    /// accounts.change(); // either its event is under way, or there is none
    /// let Audit::Suspicious(suspicion) = cache.audit(&7).await else { panic!("it differs") };
    /// // A second later:
    /// assert!(!matches!(cache.audit_again(suspicion).await, Audit::Lies(_)), "it claims no more than before");
    /// # }
    /// ```
    pub async fn audit(&self, key: &C::Key) -> Audit<C> {
        let inner = &self.inner;
        let Some((entry, _)) = inner.proven(key) else {
            return Audit::Skipped;
        };
        let mut asked = false;
        for part in entry.parts().iter().filter_map(|state| state.part()) {
            let Some(found) = inner.look(key, part).await else {
                continue;
            };
            asked = true;
            if inner.differs(part, &found) {
                inner.stats.suspicions.add();
                return Audit::Suspicious(Suspicion {
                    key: key.clone(),
                    source: part.source,
                    found: found.version,
                    seen: Date::now(inner.ledger.clock()),
                });
            }
        }
        if !asked {
            return Audit::Skipped;
        }
        inner.stats.audits.add();
        Audit::Agrees
    }

    /// Looks again at what was suspicious a second ago. A lie is repaired: every page that may show the same part is
    /// dropped, and composed anew.
    pub async fn audit_again(&self, suspicion: Suspicion<C::Key>) -> Audit<C> {
        let inner = &self.inner;
        inner.stats.audits.add();
        let Some((entry, claimed)) = inner.proven(&suspicion.key) else {
            return Audit::Agrees; // it was heard of, and makes no claim any more
        };
        let shown = entry
            .place(suspicion.source)
            .and_then(|place| entry.parts()[place].part());
        let clock = inner.ledger.clock();
        let seen = suspicion.seen.told_at(clock.now(), clock.monotonic());
        let Some(part) = shown.filter(|_| claimed > seen) else {
            return Audit::Agrees;
        };
        if !inner.still_older(part, &suspicion).await {
            return Audit::Agrees;
        }
        inner.stats.lies.add();
        self.repair(&suspicion, &entry).await;
        Audit::Lies(Lie {
            shown: part.version,
            suspicion,
            claimed,
            entry: Arc::clone(&entry),
        })
    }
}

impl<C: Composer> FreshCache<C> {
    /// Dropping is not enough: a flight that is in the air, and keeps the part, would store it again. So the pages are
    /// composed afresh, after that flight.
    async fn repair(&self, suspicion: &Suspicion<C::Key>, entry: &Entry<C>) {
        let inner = &self.inner;
        let dependencies = inner.guard(|| inner.composer.dependencies(&suspicion.key));
        let entity = entry
            .place(suspicion.source)
            .and_then(|place| dependencies?.get(place).copied());
        let pages =
            entity.and_then(|(source, entity)| inner.guard(|| inner.composer.pages_of(source, entity)));
        let mut pages = pages.unwrap_or_default();
        if !pages.contains(&suspicion.key) {
            pages.push(suspicion.key.clone());
        }
        for key in pages {
            if inner.pages.contains_key(&key) {
                self.forget(&key);
                // A panic of the composer was counted.
                _ = AssertUnwindSafe(self.read(&key, Demand::Afresh(&[])))
                    .catch_unwind()
                    .await;
            }
        }
    }
}

impl<C: Composer> Inner<C> {
    /// The resident page, if it claims to be complete, and until when.
    fn proven(&self, key: &C::Key) -> Option<(Arc<Entry<C>>, Moment)> {
        let watermarks = self.ledger.watermarks();
        let entry = self.pages.get(key)?;
        let verdict = entry.check(&Proof::new(&self.ledger, &watermarks), &*self.tactic);
        let claims = verdict.doubt.is_none() && entry.degraded().next().is_none();
        claims.then_some((entry, verdict.complete_until))
    }

    /// What a source says now.
    async fn look(&self, key: &C::Key, part: &Part<C::Body>) -> Option<Seen<C::Body>> {
        let source = part.source;
        let asked = async {
            let _permit = self.composer.admit(source, Some(part)).await.ok()?;
            match self.composer.fetch(key, source, None).await.ok()? {
                Fetched::New {
                    version, claim, body, ..
                } => Some(Seen { version, claim, body }),
                Fetched::NotModified { .. } => None,
            }
        };
        let asked = AssertUnwindSafe(asked).catch_unwind().await;
        asked.inspect_err(|_| self.stats.panics.add()).ok()?
    }

    /// Whether a part does not show what its source had a second ago.
    async fn still_older(&self, part: &Part<C::Body>, suspicion: &Suspicion<C::Key>) -> bool {
        let found = suspicion.found;
        if part.version.incarnation == found.incarnation && part.version.revision < found.revision {
            return true;
        }
        // Of two histories the one that the source still has is the later; of one version there is one body.
        let now = self.look(&suspicion.key, part).await;
        now.is_some_and(|now| {
            let newer = now.version.incarnation == part.version.incarnation
                && now.version.revision > part.version.revision;
            !newer && self.differs(part, &now)
        })
    }

    /// Whether the source has something else than the part shows, and not something older of the same history.
    fn differs(&self, part: &Part<C::Body>, found: &Seen<C::Body>) -> bool {
        if part.version == found.version {
            return !self.composer.agrees(&part.body, &found.body);
        }
        let replaced = part.claim.is_some() && found.claim.is_some() && part.claim != found.claim;
        let older = part.version.incarnation == found.version.incarnation
            && found.version.revision < part.version.revision;
        replaced || !older
    }
}

/// A full answer, as the audit sees it.
struct Seen<B> {
    version: Version,
    claim: Option<Claim>,
    body: B,
}

impl<C: Composer> fmt::Debug for Lie<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lie")
            .field("suspicion", &self.suspicion)
            .field("shown", &self.shown)
            .field("claimed", &self.claimed)
            .finish_non_exhaustive()
    }
}
