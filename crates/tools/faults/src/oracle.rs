//! Everything that was acknowledged so far, arranged to be asked what an answer must show.

mod eras;
mod line;

use std::collections::{HashMap, HashSet};

use stack::{Incarnation, Moment, PerSource, Source, Version};

use self::eras::Eras;
use self::line::Line;
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
    lines: HashMap<(Source, u64), Line>,
    /// What second publishers acknowledged, by source, account, revision and nonce.
    by_twins: HashMap<(Source, u64, u64, u64), Mutation>,
}

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
            let Version { revision, nonce, .. } = mutation.version;
            let made = (mutation.source, mutation.account, revision, nonce);
            self.by_twins.insert(made, *mutation);
        }
        let mut touched = HashSet::new();
        for mutation in &round.mutations {
            // A mutation of a history nobody knows of cannot be ranked; `unranked` tells of it.
            if let Some(rank) = self.eras[mutation.source].rank_of(mutation) {
                let key = (mutation.source, mutation.account);
                self.lines.entry(key).or_default().add(rank, *mutation);
                touched.insert(key);
            }
        }
        for key in touched {
            self.lines.entry(key).or_default().arrange();
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
        let line = self.lines.get(&(source, account));
        let restored = eras.restored_before(at);
        let acknowledged = line.and_then(|line| {
            let (rank, mutation) = line.acknowledged_before(date)?;
            if restored.is_some_and(|restored| rank.generation < restored) {
                return line.furthest(|rank, mutation| {
                    mutation.acked_at < date && eras.keeps(rank, mutation, restored.unwrap_or_default())
                });
            }
            Some((rank, mutation))
        });
        let acknowledged = acknowledged.map(|(rank, mutation)| (rank, Evidence::Mutation(mutation)));
        let born = eras.born_before(date).map(|(generation, incarnation, known_at)| {
            let kept = line.and_then(|line| {
                line.furthest(|rank, mutation| {
                    rank.generation < generation && eras.keeps(rank, mutation, generation)
                })
            });
            let rank = Rank {
                generation,
                revision: kept.map_or(0, |(rank, _)| rank.revision),
            };
            let birth = Evidence::Birth(incarnation, known_at);
            (
                rank,
                kept.map_or(birth, |(_, mutation)| Evidence::Mutation(mutation)),
            )
        });
        match (acknowledged, born) {
            (Some(acknowledged), Some(born)) if acknowledged.0 < born.0 => Some(born),
            (acknowledged, born) => acknowledged.or(born),
        }
    }

    /// Since when an answer that shows this rank has been overtaken by an acknowledged mutation, and by which.
    pub fn overtaken(&self, source: Source, account: u64, shown: Rank) -> Option<(Moment, Mutation)> {
        self.lines.get(&(source, account))?.overtaken(shown)
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
        let line = self.lines.get(&(source, account))?;
        let (rank, mutation) = line.furthest(|rank, mutation| eras.keeps(rank, mutation, generation))?;
        let rank = Rank {
            generation,
            revision: rank.revision,
        };
        Some((rank, mutation))
    }

    /// The accounts whose deletion was acknowledged and is not undone, each with the histories in which it is deleted.
    pub fn deleted(&self) -> impl Iterator<Item = (u64, Incarnation)> {
        let eras = &self.eras[Source::Accounts];
        let lines = self.lines.iter();
        lines
            .filter(|((source, _), _)| *source == Source::Accounts)
            .flat_map(move |((_, account), line)| {
                let deletions = line.all().filter(|(_, mutation)| mutation.what == What::Deleted);
                deletions
                    .flat_map(move |(rank, mutation)| eras.all_that_keep(*rank, mutation))
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
        self.lines.get(&(source, account))?.made(version)
    }
}

#[cfg(test)]
mod tests;
