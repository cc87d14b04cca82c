//! Ranks, and what is due, over resets and restores.

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
            nonce: acked_at,
        },
        what: What::Renamed,
        serial: acked_at,
        sent_at: Moment(acked_at - 1),
        acked_at: Moment(acked_at),
    }
}

fn oracle_of(mutations: &[Mutation]) -> Oracle {
    let birth = |incarnation, at| Birth {
        source: Source::Accounts,
        incarnation,
        origin: Origin::Empty,
        from: Moment(at),
        known_at: Moment(at),
    };
    let mut oracle = Oracle::default();
    oracle.learn(&Round {
        births: vec![birth(OLD, 0), birth(NEW, 100)],
        mutations: mutations.to_vec(),
        ..Round::default()
    });
    oracle
}

fn rank(generation: usize, revision: u64) -> Rank {
    Rank { generation, revision }
}

#[test]
fn what_is_due_is_the_furthest_that_was_acknowledged_before() {
    // Two writers: revision 3 is acknowledged before revision 2.
    let oracle = oracle_of(&[mutation(OLD, 1, 10), mutation(OLD, 3, 20), mutation(OLD, 2, 30)]);
    let due = |at| {
        oracle
            .due(Source::Accounts, 1, Moment(at), Moment(at))
            .map(|(rank, _)| rank)
    };
    assert_eq!(due(10), Some(rank(0, 0)), "not yet acknowledged before then");
    assert_eq!(due(11), Some(rank(0, 1)));
    assert_eq!(due(21), Some(rank(0, 3)));
    assert_eq!(due(31), Some(rank(0, 3)));
}

#[test]
fn a_new_database_voids_what_the_old_one_acknowledged() {
    let oracle = oracle_of(&[mutation(OLD, 9, 50), mutation(NEW, 1, 110)]);
    let due = |at| {
        oracle
            .due(Source::Accounts, 1, Moment(at), Moment(at))
            .map(|(rank, _)| rank)
    };
    assert_eq!(due(100), Some(rank(0, 9)));
    assert_eq!(due(101), Some(rank(1, 0)), "by its birth alone");
    assert_eq!(due(111), Some(rank(1, 1)));
}

#[test]
fn an_answer_is_overtaken_by_the_first_acknowledgement_of_anything_further() {
    let oracle = oracle_of(&[mutation(OLD, 1, 10), mutation(OLD, 3, 20), mutation(OLD, 2, 30)]);
    let overtaken = |revision| {
        oracle
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
    let oracle = oracle_of(&[]);
    let version = Version {
        incarnation: Incarnation(3),
        revision: 1,
        nonce: 1,
    };
    assert_eq!(oracle.rank(Source::Accounts, 1, version, Moment(200)), None);
}

/// A copy taken at 25 is put back at 50; at 70 the source gives it the new incarnation.
fn set_back(mutations: &[Mutation]) -> Oracle {
    let birth = |incarnation, origin, at| Birth {
        source: Source::Accounts,
        incarnation,
        origin,
        from: Moment(at),
        known_at: Moment(at + 1),
    };
    let copied_at = Moment(25);
    let mut oracle = Oracle::default();
    oracle.learn(&Round {
        births: vec![
            birth(OLD, Origin::Empty, 0),
            birth(OLD, Origin::Restored { copied_at }, 50),
            birth(NEW, Origin::Renewed, 70),
        ],
        mutations: mutations.to_vec(),
        ..Round::default()
    });
    oracle
}

fn due(oracle: &Oracle, date: u64, at: u64) -> Option<Rank> {
    let due = oracle.due(Source::Accounts, 1, Moment(date), Moment(at));
    due.map(|(rank, _)| rank)
}

#[test]
fn what_a_restore_undid_is_due_until_then_and_what_was_before_the_copy_for_ever() {
    let oracle = set_back(&[mutation(OLD, 1, 20), mutation(OLD, 2, 30)]);
    assert_eq!(due(&oracle, 40, 45), Some(rank(0, 2)));
    assert_eq!(
        due(&oracle, 40, 50),
        Some(rank(0, 1)),
        "undone by the time of the answer"
    );
    assert_eq!(due(&oracle, 60, 60), Some(rank(1, 1)), "the copy's own");
    assert_eq!(
        due(&oracle, 80, 80),
        Some(rank(2, 1)),
        "and still, under the new name"
    );
    let last = oracle.last(Source::Accounts, 1).unwrap();
    assert_eq!((last.0, last.1.version.revision), (rank(2, 1), 1));
}

#[test]
fn two_histories_that_share_a_revision_are_told_apart_by_the_nonce() {
    let (kept, undone, redone) = (mutation(OLD, 1, 20), mutation(OLD, 2, 30), mutation(OLD, 2, 60));
    let oracle = set_back(&[kept, undone, redone]);
    let shown = |mutation: Mutation, at| oracle.rank(Source::Accounts, 1, mutation.version, Moment(at));
    assert_eq!(shown(kept, 40), Some(rank(0, 1)));
    assert_eq!(shown(kept, 55), Some(rank(1, 1)), "the copy has it too");
    assert_eq!(shown(undone, 65), Some(rank(0, 2)));
    assert_eq!(shown(redone, 65), Some(rank(1, 2)));
    assert_eq!(due(&oracle, 61, 61), Some(rank(1, 2)), "written since");
    let renewed = Version {
        incarnation: NEW,
        ..redone.version
    };
    assert_eq!(
        oracle.rank(Source::Accounts, 1, renewed, Moment(80)),
        Some(rank(2, 2))
    );
    let written = oracle.mutation(Source::Accounts, 1, renewed).unwrap();
    assert_eq!(written.serial, redone.serial);
}

#[test]
fn a_deletion_that_a_restore_undid_is_none() {
    let deleted = |revision, acked_at| Mutation {
        what: What::Deleted,
        ..mutation(OLD, revision, acked_at)
    };
    let incarnations = |oracle: &Oracle| {
        oracle
            .deleted()
            .map(|(_, incarnation)| incarnation)
            .collect::<Vec<_>>()
    };
    assert_eq!(incarnations(&set_back(&[deleted(2, 30)])), []);
    assert_eq!(incarnations(&set_back(&[deleted(2, 20)])), [OLD, NEW]);
}
