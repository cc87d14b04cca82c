//! Everything that was acknowledged so far, arranged to be asked what an answer must show.

use std::collections::HashMap;

use crate::history::{Incarnation, Mutation, Round, Source, Version, What};
use crate::moment::Moment;

/// How far a version is: which of its source's databases in the order of their births, then the revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    generation: usize,
    revision: u64,
}

/// What was acknowledged, by source and account.
#[derive(Debug, Default)]
pub struct Known {
    /// Of each source, its databases in the order of their births.
    births: [Vec<(Incarnation, Moment)>; 3],
    lines: HashMap<(Source, u64), Line>,
}

/// The mutations of one account at one source.
#[derive(Debug, Default)]
struct Line {
    /// In the order of their ranks.
    mutations: Vec<(Rank, Mutation)>,
    /// For each of them: the first acknowledgement of it or of a later one. Whoever shows less has been overtaken since then.
    overtaken_at: Vec<Moment>,
    /// In the order of their acknowledgements, each with the highest rank acknowledged by then and its mutation.
    acknowledged: Vec<(Moment, Rank, usize)>,
}

/// Why an answer must show at least a rank.
#[derive(Clone, Copy, Debug)]
pub enum Evidence {
    /// It was acknowledged.
    Mutation(Mutation),
    /// A new database began: all older versions are void.
    Birth(Incarnation, Moment),
}

impl Known {
    /// Takes in what a round brought.
    pub fn learn(&mut self, round: &Round) {
        for birth in &round.births {
            let births = &mut self.births[birth.source.index()];
            if births.iter().all(|(known, _)| *known != birth.incarnation) {
                births.push((birth.incarnation, birth.known_at));
            }
        }
        let mut touched = std::collections::HashSet::new();
        for mutation in &round.mutations {
            // A mutation of a database nobody knows of cannot be ranked; `unranked` tells of it.
            if let Some(rank) = self.rank(mutation.source, mutation.version) {
                let key = (mutation.source, mutation.account);
                self.lines
                    .entry(key)
                    .or_default()
                    .mutations
                    .push((rank, *mutation));
                touched.insert(key);
            }
        }
        for key in touched {
            self.lines.entry(key).or_default().arrange();
        }
    }

    /// The mutations of a round that belong to no known database: this program lost track of a reset.
    pub fn unranked<'a>(&self, round: &'a Round) -> impl Iterator<Item = &'a Mutation> {
        round
            .mutations
            .iter()
            .filter(|mutation| self.rank(mutation.source, mutation.version).is_none())
    }

    /// How far a version is; none of an unknown database.
    pub fn rank(&self, source: Source, version: Version) -> Option<Rank> {
        let births = &self.births[source.index()];
        let generation = births
            .iter()
            .position(|(incarnation, _)| *incarnation == version.incarnation)?;
        Some(Rank {
            generation,
            revision: version.revision,
        })
    }

    /// The source's database of now.
    pub fn incarnation(&self, source: Source) -> Option<Incarnation> {
        self.births[source.index()]
            .last()
            .map(|(incarnation, _)| *incarnation)
    }

    /// The rank that an answer complete until `date` must show at least, and why.
    pub fn due(&self, source: Source, account: u64, date: Moment) -> Option<(Rank, Evidence)> {
        let line = self.lines.get(&(source, account));
        let acknowledged = line.and_then(|line| line.acknowledged_before(date));
        let mut births = self.births[source.index()].iter().enumerate();
        let born = births.rfind(|(_, (_, known_at))| *known_at < date).map(
            |(generation, (incarnation, known_at))| {
                let rank = Rank {
                    generation,
                    revision: 0,
                };
                (rank, Evidence::Birth(*incarnation, *known_at))
            },
        );
        match (acknowledged, born) {
            (Some(acknowledged), Some(born)) if acknowledged.0 < born.0 => Some(born),
            (acknowledged, born) => acknowledged.or(born),
        }
    }

    /// Since when an answer that shows this rank has been overtaken by an acknowledged mutation, and by which.
    pub fn overtaken(&self, source: Source, account: u64, shown: Rank) -> Option<(Moment, Mutation)> {
        let line = self.lines.get(&(source, account))?;
        let next = line.mutations.partition_point(|(rank, _)| *rank <= shown);
        let at = *line.overtaken_at.get(next)?;
        let first = line.mutations[next..]
            .iter()
            .find(|(_, mutation)| mutation.acked_at == at);
        first.map(|(_, mutation)| (at, *mutation))
    }

    /// The mutation that made exactly this version, if it was acknowledged.
    pub fn mutation(&self, source: Source, account: u64, rank: Rank) -> Option<Mutation> {
        let line = self.lines.get(&(source, account))?;
        let at = line
            .mutations
            .binary_search_by_key(&rank, |(rank, _)| *rank)
            .ok()?;
        Some(line.mutations[at].1)
    }

    /// The latest acknowledged mutation of an account at a source, and its rank.
    pub fn last(&self, source: Source, account: u64) -> Option<(Rank, Mutation)> {
        self.lines.get(&(source, account))?.mutations.last().copied()
    }

    /// The accounts whose deletion was acknowledged, each with the database it was deleted from.
    pub fn deleted(&self) -> impl Iterator<Item = (u64, Incarnation)> {
        let accounts = self
            .lines
            .iter()
            .filter(|((source, _), _)| *source == Source::Accounts);
        accounts.flat_map(|((_, account), line)| {
            let deletions = line
                .mutations
                .iter()
                .filter(|(_, mutation)| mutation.what == What::Deleted);
            deletions.map(|(_, mutation)| (*account, mutation.version.incarnation))
        })
    }
}

impl Line {
    fn arrange(&mut self) {
        self.mutations
            .sort_by_key(|(rank, mutation)| (*rank, mutation.acked_at));
        self.overtaken_at = self
            .mutations
            .iter()
            .map(|(_, mutation)| mutation.acked_at)
            .collect();
        for index in (1..self.overtaken_at.len()).rev() {
            self.overtaken_at[index - 1] = self.overtaken_at[index - 1].min(self.overtaken_at[index]);
        }
        let numbered = self.mutations.iter().enumerate();
        self.acknowledged = numbered
            .map(|(index, (rank, mutation))| (mutation.acked_at, *rank, index))
            .collect();
        self.acknowledged.sort_unstable();
        for index in 1..self.acknowledged.len() {
            let (_, rank, mutation) = self.acknowledged[index - 1];
            let this = &mut self.acknowledged[index];
            if this.1 < rank {
                (this.1, this.2) = (rank, mutation);
            }
        }
    }

    fn acknowledged_before(&self, date: Moment) -> Option<(Rank, Evidence)> {
        let before = self.acknowledged.partition_point(|(at, _, _)| *at < date);
        let (_, rank, mutation) = self.acknowledged[..before].last()?;
        Some((*rank, Evidence::Mutation(self.mutations[*mutation].1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Birth;

    const OLD: Incarnation = Incarnation(7 << 32);
    const NEW: Incarnation = Incarnation(1 << 32);

    fn mutation(incarnation: Incarnation, revision: u64, acked_at: u64) -> Mutation {
        Mutation {
            source: Source::Accounts,
            account: 1,
            version: Version {
                incarnation,
                revision,
            },
            what: What::Renamed,
            serial: acked_at,
            sent_at: Moment(acked_at - 1),
            acked_at: Moment(acked_at),
        }
    }

    fn known(mutations: &[Mutation]) -> Known {
        let birth = |incarnation, at| Birth {
            source: Source::Accounts,
            incarnation,
            known_at: Moment(at),
        };
        let mut known = Known::default();
        known.learn(&Round {
            births: vec![birth(OLD, 0), birth(NEW, 100)],
            mutations: mutations.to_vec(),
            ..Round::default()
        });
        known
    }

    fn rank(generation: usize, revision: u64) -> Rank {
        Rank { generation, revision }
    }

    #[test]
    fn what_is_due_is_the_furthest_that_was_acknowledged_before() {
        // Two writers: revision 3 is acknowledged before revision 2.
        let known = known(&[mutation(OLD, 1, 10), mutation(OLD, 3, 20), mutation(OLD, 2, 30)]);
        let due = |at| known.due(Source::Accounts, 1, Moment(at)).map(|(rank, _)| rank);
        assert_eq!(due(10), Some(rank(0, 0)), "not yet acknowledged before then");
        assert_eq!(due(11), Some(rank(0, 1)));
        assert_eq!(due(21), Some(rank(0, 3)));
        assert_eq!(due(31), Some(rank(0, 3)));
    }

    #[test]
    fn a_new_database_voids_what_the_old_one_acknowledged() {
        let known = known(&[mutation(OLD, 9, 50), mutation(NEW, 1, 110)]);
        let due = |at| known.due(Source::Accounts, 1, Moment(at)).map(|(rank, _)| rank);
        assert_eq!(due(100), Some(rank(0, 9)));
        assert_eq!(due(101), Some(rank(1, 0)), "by its birth alone");
        assert_eq!(due(111), Some(rank(1, 1)));
    }

    #[test]
    fn an_answer_is_overtaken_by_the_first_acknowledgement_of_anything_further() {
        let known = known(&[mutation(OLD, 1, 10), mutation(OLD, 3, 20), mutation(OLD, 2, 30)]);
        let overtaken = |revision| {
            known
                .overtaken(Source::Accounts, 1, rank(0, revision))
                .map(|(at, mutation)| (at.0, mutation.version.revision))
        };
        assert_eq!(overtaken(0), Some((10, 1)));
        assert_eq!(overtaken(1), Some((20, 3)), "revision 3 reflects revision 2");
        assert_eq!(overtaken(2), Some((20, 3)));
        assert_eq!(overtaken(3), None);
    }

    #[test]
    fn a_version_of_an_unknown_database_has_no_rank() {
        let known = known(&[]);
        let version = Version {
            incarnation: Incarnation(3),
            revision: 1,
        };
        assert_eq!(known.rank(Source::Accounts, version), None);
        assert_eq!(known.incarnation(Source::Accounts), Some(NEW));
        assert_eq!(known.incarnation(Source::Metrics), None);
    }
}
