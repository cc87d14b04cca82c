//! The mutations of one account at one source.

use std::collections::HashMap;

use stack::{Moment, Version};

use super::Rank;
use crate::history::Mutation;

#[derive(Debug, Default)]
pub(super) struct Line {
    /// In the order of their ranks.
    mutations: Vec<(Rank, Mutation)>,
    /// For each of them: the first acknowledgement of it or of a later one. Whoever shows less has been overtaken since then.
    overtaken_at: Vec<Moment>,
    /// In the order of their acknowledgements, each with the highest rank acknowledged by then and its mutation.
    acknowledged: Vec<(Moment, Rank, usize)>,
    /// By revision and nonce, which no two mutations share.
    made: HashMap<(u64, u64), usize>,
}

impl Line {
    pub(super) fn add(&mut self, rank: Rank, mutation: Mutation) {
        self.mutations.push((rank, mutation));
    }

    /// To be done when mutations were added.
    pub(super) fn arrange(&mut self) {
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
        let numbered = self.mutations.iter().enumerate();
        self.made = numbered
            .map(|(index, (_, mutation))| ((mutation.version.revision, mutation.version.nonce), index))
            .collect();
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &(Rank, Mutation)> {
        self.mutations.iter()
    }

    /// The furthest of those that were acknowledged before a moment.
    pub(super) fn acknowledged_before(&self, date: Moment) -> Option<(Rank, Mutation)> {
        let before = self.acknowledged.partition_point(|(at, _, _)| *at < date);
        let (_, _, mutation) = self.acknowledged[..before].last()?;
        Some(self.mutations[*mutation])
    }

    /// The furthest of which something holds.
    pub(super) fn furthest(&self, holds: impl Fn(Rank, &Mutation) -> bool) -> Option<(Rank, Mutation)> {
        let mut backwards = self.mutations.iter().rev();
        backwards.find(|(rank, mutation)| holds(*rank, mutation)).copied()
    }

    /// Since when whoever shows this rank has been overtaken, and by which mutation.
    pub(super) fn overtaken(&self, shown: Rank) -> Option<(Moment, Mutation)> {
        let next = self.mutations.partition_point(|(rank, _)| *rank <= shown);
        let at = *self.overtaken_at.get(next)?;
        let first = self.mutations[next..]
            .iter()
            .find(|(_, mutation)| mutation.acked_at == at);
        first.map(|(_, mutation)| (at, *mutation))
    }

    /// The mutation that made a version, whatever its history is called by now.
    pub(super) fn made(&self, version: Version) -> Option<(Rank, Mutation)> {
        let at = self.made.get(&(version.revision, version.nonce))?;
        Some(self.mutations[*at])
    }
}
