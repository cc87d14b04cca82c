//! Everything that was acknowledged so far, arranged to be asked what an answer must show.

mod eras;

use std::collections::HashMap;

use stack::{AcknowledgedWrite, AcknowledgedWrites, Incarnation, Moment, PerSource, Source, Version};

use self::eras::Eras;
use crate::history::{Mutation, Origin, Round, What};

/// How far a version is: which of its source's histories in the order of their births, then the revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    generation: usize,
    revision: u64,
}

/// What was acknowledged, by source and account.
#[derive(Debug, Default)]
pub struct Oracle {
    eras: PerSource<Eras>,
    writes: HashMap<(Source, u64), AcknowledgedWrites<Rank, Mutation>>,
    /// The mutation that made a version, by source, account, revision and nonce, whatever its history is called by now.
    made: HashMap<(Source, u64, u64, u64), (Rank, Mutation)>,
    /// What second publishers acknowledged, by source, account, revision and nonce.
    by_twins: HashMap<(Source, u64, u64, u64), Mutation>,
}

type Write = AcknowledgedWrite<Rank, Mutation>;

/// Why an answer must show at least a rank.
#[derive(Clone, Copy, Debug)]
pub enum Evidence {
    /// It was acknowledged.
    Mutation(Mutation),
    /// A new history began: all older versions are void.
    Birth(Incarnation, Moment),
}

impl Oracle {
    /// Takes in what a round brought.
    pub fn learn(&mut self, round: &Round) {
        for birth in &round.births {
            self.eras[birth.source].add(birth);
        }
        for mutation in &round.twins.acknowledged {
            self.by_twins.insert(made_by(mutation), *mutation);
        }
        for mutation in &round.mutations {
            // A mutation of a history nobody knows of cannot be ranked; `unranked` tells of it.
            if let Some(rank) = self.eras[mutation.source].rank_of(mutation) {
                let writes = self.writes.entry((mutation.source, mutation.account));
                writes.or_default().add(rank, mutation.acked_at, *mutation);
                self.made.insert(made_by(mutation), (rank, *mutation));
            }
        }
    }

    /// The mutations of a round that belong to no known history: this program lost track of a reset.
    pub fn unranked<'a>(&self, round: &'a Round) -> impl Iterator<Item = &'a Mutation> {
        let eras = |mutation: &Mutation| &self.eras[mutation.source];
        let mutations = round.mutations.iter();
        mutations.filter(move |mutation| eras(mutation).rank_of(mutation).is_none())
    }

    /// How far a version is that was there at some moment; none of an unknown history.
    ///
    /// Two histories share the versions that were made before a copy was taken which was put back later. Then it is the
    /// later one, if that had begun: nobody can say that the answer is of the older one.
    pub fn rank(&self, source: Source, account: u64, version: Version, at: Moment) -> Option<Rank> {
        let eras = &self.eras[source];
        let known = self.known(source, account, version);
        let generation = eras.latest(version.incarnation, at, known)?;
        Some(Rank {
            generation,
            revision: version.revision,
        })
    }

    /// The same, where the older of two histories is to be assumed.
    pub fn least_rank(&self, source: Source, account: u64, version: Version) -> Option<Rank> {
        let earliest = match self.known(source, account, version) {
            Some((rank, _)) if self.eras[source].incarnation(rank.generation) == version.incarnation => {
                rank.generation
            }
            _ => self.eras[source].earliest(version.incarnation)?,
        };
        Some(Rank {
            generation: earliest,
            revision: version.revision,
        })
    }

    /// The rank that an answer must show at least which is complete until `date` and was received at `at`, and why.
    ///
    /// From the moment at which a copy of the database was put back, nothing is due that this undid.
    pub fn due(&self, source: Source, account: u64, date: Moment, at: Moment) -> Option<(Rank, Evidence)> {
        let eras = &self.eras[source];
        let writes = self.writes.get(&(source, account));
        let restored = eras.restored_before(at);
        let undone = |write: &Write| {
            restored.is_some_and(|restored| {
                write.rank.generation < restored && !eras.keeps(write.rank, &write.write, restored)
            })
        };
        let acknowledged =
            writes.and_then(|writes| writes.furthest(|write| write.at < date && !undone(write)));
        let acknowledged = acknowledged.map(|write| (write.rank, Evidence::Mutation(write.write)));
        let born = eras.born_before(date).map(|(generation, incarnation, known_at)| {
            let kept = writes.and_then(|writes| {
                writes.furthest(|write| {
                    write.rank.generation < generation && eras.keeps(write.rank, &write.write, generation)
                })
            });
            let rank = Rank {
                generation,
                revision: kept.map_or(0, |write| write.rank.revision),
            };
            let birth = Evidence::Birth(incarnation, known_at);
            (rank, kept.map_or(birth, |write| Evidence::Mutation(write.write)))
        });
        match (acknowledged, born) {
            (Some(acknowledged), Some(born)) if acknowledged.0 < born.0 => Some(born),
            (acknowledged, born) => acknowledged.or(born),
        }
    }

    /// Since when an answer that shows this rank has been overtaken by an acknowledged mutation, and by which.
    pub fn overtaken(&self, source: Source, account: u64, shown: Rank) -> Option<(Moment, Mutation)> {
        let first = self.writes.get(&(source, account))?.overtaken(shown)?;
        Some((first.at, first.write))
    }

    /// The mutation that made this version, if it was acknowledged: in its own history, or in one that this one begins with.
    pub fn mutation(&self, source: Source, account: u64, version: Version) -> Option<Mutation> {
        self.known(source, account, version).map(|(_, mutation)| mutation)
    }

    /// The mutation by a second publisher that made this version.
    pub fn by_a_twin(&self, source: Source, account: u64, version: Version) -> Option<&Mutation> {
        self.by_twins
            .get(&(source, account, version.revision, version.nonce))
    }

    /// The latest mutation of an account at a source that the source must still have, and how far it is now.
    pub fn last(&self, source: Source, account: u64) -> Option<(Rank, Mutation)> {
        let eras = &self.eras[source];
        let generation = eras.last()?;
        let writes = self.writes.get(&(source, account))?;
        let last = writes.furthest(|write| eras.keeps(write.rank, &write.write, generation))?;
        let rank = Rank {
            generation,
            revision: last.rank.revision,
        };
        Some((rank, last.write))
    }

    /// The accounts whose deletion was acknowledged and is not undone, each with the histories in which it is deleted.
    pub fn deleted(&self) -> impl Iterator<Item = (u64, Incarnation)> {
        self.deletions(|_| true)
    }

    /// The same, of the deletions that the source still has. One that went with its database may never have been announced: its
    /// event was in the outbox.
    pub fn announced_deletions(&self) -> impl Iterator<Item = (u64, Incarnation)> {
        let eras = &self.eras[Source::Accounts];
        self.deletions(move |write| {
            let last = eras.last();
            last.is_some_and(|last| eras.keeps(write.rank, &write.write, last))
        })
    }

    fn deletions(&self, which: impl Fn(&Write) -> bool + Copy) -> impl Iterator<Item = (u64, Incarnation)> {
        let eras = &self.eras[Source::Accounts];
        let accounts = self.writes.iter();
        accounts
            .filter(|((source, _), _)| *source == Source::Accounts)
            .flat_map(move |((_, account), writes)| {
                let deletions = writes.all().filter(|write| write.write.what == What::Deleted);
                let deletions = deletions.filter(move |write| which(write));
                deletions
                    .flat_map(move |write| eras.all_that_keep(write.rank, &write.write))
                    .map(|incarnation| (*account, incarnation))
            })
    }

    /// The history of a source that a round put back by a copy, if it did.
    pub fn put_back(round: &Round, source: Source) -> Option<Incarnation> {
        let births = round.births.iter().filter(|birth| birth.source == source);
        let restored = |origin| matches!(origin, Origin::Restored { .. });
        births
            .filter(|birth| restored(birth.origin))
            .map(|birth| birth.incarnation)
            .next()
    }

    fn known(&self, source: Source, account: u64, version: Version) -> Option<(Rank, Mutation)> {
        let made = (source, account, version.revision, version.nonce);
        self.made.get(&made).copied()
    }
}

/// What tells a mutation from every other, whatever its history is called: no two share a nonce.
const fn made_by(mutation: &Mutation) -> (Source, u64, u64, u64) {
    let Version { revision, nonce, .. } = mutation.version;
    (mutation.source, mutation.account, revision, nonce)
}

#[cfg(test)]
mod tests;
