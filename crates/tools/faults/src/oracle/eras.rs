//! The histories of one source, in the order of their births.

use stack::{Incarnation, Moment};

use super::Rank;
use crate::history::{Birth, Mutation, Origin};

#[derive(Debug, Default)]
pub(super) struct Eras(Vec<Birth>);

impl Eras {
    pub(super) fn add(&mut self, birth: &Birth) {
        let new = self.0.iter().all(|known| known.incarnation != birth.incarnation);
        if new || matches!(birth.origin, Origin::Restored { .. }) {
            self.0.push(*birth);
        }
    }

    /// The latest one's number.
    pub(super) const fn last(&self) -> Option<usize> {
        self.0.len().checked_sub(1)
    }

    /// What one is called.
    pub(super) fn incarnation(&self, generation: usize) -> Incarnation {
        self.0[generation].incarnation
    }

    /// How far an acknowledged mutation is.
    pub(super) fn rank_of(&self, mutation: &Mutation) -> Option<Rank> {
        let version = mutation.version;
        let generation = self.called(version.incarnation, mutation.acked_at).next()?;
        Some(Rank {
            generation,
            revision: version.revision,
        })
    }

    /// The latest history of this name in which a version can have been shown by a moment; `known` made it, if that is known.
    pub(super) fn latest(
        &self,
        incarnation: Incarnation,
        at: Moment,
        known: Option<(Rank, Mutation)>,
    ) -> Option<usize> {
        let mut called = self.called(incarnation, at);
        let Some((rank, mutation)) = known else {
            return called.next();
        };
        let keeping = called.find(|generation| self.keeps(rank, &mutation, *generation));
        keeping.or_else(|| self.called(incarnation, at).last())
    }

    /// The first history of this name.
    pub(super) fn earliest(&self, incarnation: Incarnation) -> Option<usize> {
        self.0.iter().position(|era| era.incarnation == incarnation)
    }

    /// Whether what a mutation did is still there in a history.
    pub(super) fn keeps(&self, rank: Rank, mutation: &Mutation, generation: usize) -> bool {
        rank.generation <= generation
            && self.0[rank.generation + 1..=generation]
                .iter()
                .all(|era| match era.origin {
                    Origin::Empty => false,
                    Origin::Renewed => true,
                    Origin::Restored { copied_at } => mutation.acked_at < copied_at,
                })
    }

    /// The names of the histories that keep what a mutation did, unless a later one of the same name does not.
    pub(super) fn all_that_keep(&self, rank: Rank, mutation: &Mutation) -> impl Iterator<Item = Incarnation> {
        let later = self.0.iter().enumerate().skip(rank.generation);
        let kept = later.filter(move |(generation, era)| {
            let latest = self
                .0
                .iter()
                .rposition(|other| other.incarnation == era.incarnation);
            latest == Some(*generation)
        });
        let mutation = *mutation;
        kept.filter(move |(generation, _)| self.keeps(rank, &mutation, *generation))
            .map(|(_, era)| era.incarnation)
    }

    /// The latest history that began with a copy put back, among those that had begun by a moment.
    pub(super) fn restored_before(&self, at: Moment) -> Option<usize> {
        let restored = |era: &Birth| matches!(era.origin, Origin::Restored { .. });
        self.0.iter().rposition(|era| restored(era) && era.from <= at)
    }

    /// The latest history that was known before a moment: its number, its name, and since when it was known.
    pub(super) fn born_before(&self, date: Moment) -> Option<(usize, Incarnation, Moment)> {
        let generation = self.0.iter().rposition(|era| era.known_at < date)?;
        let era = &self.0[generation];
        Some((generation, era.incarnation, era.known_at))
    }

    /// Those of a name that had begun by a moment, the latest first. Only of what has the name of an older one does it matter
    /// when it began.
    fn called(&self, incarnation: Incarnation, at: Moment) -> impl Iterator<Item = usize> {
        let eras = self.0.iter().enumerate().rev();
        eras.filter(move |(_, era)| {
            let begun = !matches!(era.origin, Origin::Restored { .. }) || era.from <= at;
            era.incarnation == incarnation && begun
        })
        .map(|(generation, _)| generation)
    }
}
