//! The record of acknowledged writes, arranged to be asked what an answer must show. What follows from that is judged elsewhere.

use std::time::Duration;

use crate::Moment;

/// The promise: an answer that is not marked reflects what was acknowledged this long before it was asked for.
pub const PROMISE: Duration = Duration::from_secs(1);

/// The acknowledged writes of one account at one source, by how far each brought it.
#[derive(Clone, Debug)]
pub struct AcknowledgedWrites<R, W> {
    /// In the order of their ranks.
    writes: Vec<AcknowledgedWrite<R, W>>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct AcknowledgedWrite<R, W> {
    /// How far it brought the account, such as its revision.
    pub rank: R,
    /// When it was acknowledged.
    pub at: Moment,
    /// What is remembered of it besides.
    pub write: W,
}

impl<R, W> Default for AcknowledgedWrites<R, W> {
    fn default() -> Self {
        Self { writes: Vec::new() }
    }
}

impl<R: Ord + Copy, W> AcknowledgedWrites<R, W> {
    /// Remembers a write. Acknowledgements may come in another order than the ranks.
    pub fn add(&mut self, rank: R, at: Moment, write: W) {
        let known = |known: &AcknowledgedWrite<R, W>| (known.rank, known.at) <= (rank, at);
        let place = self.writes.partition_point(known);
        self.writes.insert(place, AcknowledgedWrite { rank, at, write });
    }

    /// All of them, in the order of their ranks.
    pub fn all(&self) -> std::slice::Iter<'_, AcknowledgedWrite<R, W>> {
        self.writes.iter()
    }

    /// What an answer that is complete until `date` must show at least: the furthest that was acknowledged before.
    pub fn due(&self, date: Moment) -> Option<&AcknowledgedWrite<R, W>> {
        self.furthest(|write| write.at < date)
    }

    /// The furthest of which something holds.
    pub fn furthest(
        &self,
        holds: impl Fn(&AcknowledgedWrite<R, W>) -> bool,
    ) -> Option<&AcknowledgedWrite<R, W>> {
        self.writes.iter().rev().find(|write| holds(write))
    }

    /// What an answer of this rank lacks, and lacked first: of all that is further, what was acknowledged first. Whoever shows
    /// the rank has been overtaken since then.
    pub fn overtaken(&self, shown: R) -> Option<&AcknowledgedWrite<R, W>> {
        let next = self.writes.partition_point(|write| write.rank <= shown);
        self.writes[next..].iter().min_by_key(|write| write.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two writers: revision 3 is acknowledged before revision 2.
    fn writes() -> AcknowledgedWrites<u64, ()> {
        let mut writes = AcknowledgedWrites::default();
        for (revision, at) in [(1, 10), (3, 20), (2, 30)] {
            writes.add(revision, Moment(at), ());
        }
        writes
    }

    #[test]
    fn what_is_due_is_the_furthest_that_was_acknowledged_before() {
        let writes = writes();
        let due = |date| writes.due(Moment(date)).map(|write| write.rank);
        assert_eq!([10, 11, 21, 31].map(due), [None, Some(1), Some(3), Some(3)]);
    }

    #[test]
    fn an_answer_is_overtaken_by_the_first_acknowledgement_of_anything_further() {
        let writes = writes();
        let overtaken = |shown| writes.overtaken(shown).map(|write| (write.at.0, write.rank));
        let first = [0, 1, 2, 3].map(overtaken);
        assert_eq!(first, [Some((10, 1)), Some((20, 3)), Some((20, 3)), None]);
    }
}
