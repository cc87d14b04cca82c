//! Histories with two ends.

use super::*;

#[test]
fn what_a_second_publisher_wrote_is_found() {
    let twins = mutation(Source::Accounts, version(OLD, 2), What::Renamed, at(1_000));
    let mut round = round(&[renamed(1, 500)], &[hit(1, 1_500), hit(2, 1_600)]);
    round.twins.acknowledged.push(twins);
    assert_eq!(rules(&round), [Rule::AnotherPublisher]);
}

#[test]
fn a_deletion_that_went_with_its_database_was_perhaps_never_announced() {
    let deleted = mutation(Source::Accounts, version(OLD, 2), What::Deleted, at(1_000));
    let shown = marked(dated(&hit(1, 3_000), at(900)), Mark::Stale);
    let judged = |converged_before: bool| {
        let mut checker = Checker::default();
        let _ = checker.check(&round(&[renamed(1, 500), deleted], &[]));
        if converged_before {
            checker.converged();
        }
        let mut later = round(&[], &[]);
        later.births.push(Birth {
            source: Source::Accounts,
            incarnation: NEW,
            origin: Origin::Empty,
            from: at(1_500),
            known_at: at(1_500),
        });
        let _ = checker.check(&later);
        checker.converged();
        let findings = checker.check(&round(&[], &[shown]));
        findings
            .violations
            .iter()
            .map(|found| found.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(true), [Rule::Resurrected]);
    assert_eq!(judged(false), []);
}

#[test]
fn going_back_to_a_copy_that_was_put_back_is_no_going_back_in_time() {
    let answers = [hit(2, 1_900), hit(1, 2_100)];
    let mut round = round(&[renamed(1, 500), renamed(2, 1_500)], &answers);
    assert_eq!(rules(&round), [Rule::Incomplete, Rule::BackInTime]);
    round.births.push(Birth {
        source: Source::Accounts,
        incarnation: OLD,
        origin: Origin::Restored { copied_at: at(1_000) },
        from: at(2_000),
        known_at: at(2_001),
    });
    assert_eq!(rules(&round), []);
    round.responses.push(hit(2, 2_200));
    assert_eq!(
        rules(&round),
        [Rule::Incomplete],
        "what was undone is shown as of after that"
    );
}
