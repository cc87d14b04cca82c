//! One broken history per rule: a checker that cannot find fault proves nothing.

mod histories;
mod preferences;

use std::time::Duration;

use stack::{Asked, Mark, Moment, PerSource, Preferences, Version, Window};

use super::*;
use crate::history::{Attempt, Birth, Fragment, Mutation, Origin, Outage, Outcome, Replica, What};
use crate::schedule::Place;

const OLD: Incarnation = Incarnation(9 << 32);
const NEW: Incarnation = Incarnation(3 << 32);

/// Milliseconds after some moment.
fn at(milliseconds: u64) -> Moment {
    Moment(1_000_000_000).plus(Duration::from_millis(milliseconds))
}

fn version(incarnation: Incarnation, revision: u64) -> Version {
    Version {
        incarnation,
        revision,
        nonce: revision,
    }
}

fn only_accounts(fragment: Fragment) -> PerSource<Option<Fragment>> {
    let mut fragments = PerSource::default();
    fragments[Source::Accounts] = Some(fragment);
    fragments
}

fn mutation(source: Source, version: Version, what: What, acked_at: Moment) -> Mutation {
    Mutation {
        source,
        account: 7,
        version,
        what,
        serial: 100 + version.revision,
        sent_at: acked_at,
        acked_at,
    }
}

fn renamed(revision: u64, milliseconds: u64) -> Mutation {
    let version = version(OLD, revision);
    mutation(Source::Accounts, version, What::Renamed, at(milliseconds))
}

fn fragment(incarnation: Incarnation, revision: u64) -> Fragment {
    Fragment {
        version: version(incarnation, revision),
        serial: Some(100 + revision),
    }
}

/// A hit of the first replica that shows account 7 at this revision, asked for and answered within a millisecond.
fn hit(revision: u64, milliseconds: u64) -> Response {
    Response {
        replica: Replica {
            subject: Subject::Page,
            index: 0,
        },
        run: Some(2),
        account: 7,
        window: Window::Hour,
        sent_at: at(milliseconds),
        received_at: at(milliseconds + 1),
        status: 200,
        fresh_as_of: Some(at(milliseconds)),
        outcome: Outcome::Hit,
        marks: PerSource::default(),
        fragments: only_accounts(fragment(OLD, revision)),
        demanded: None,
        preferences: Preferences::default(),
        wait_applied: false,
        timed_out: false,
        asked: Asked::default(),
    }
}

fn dated(response: &Response, date: Moment) -> Response {
    Response {
        fresh_as_of: Some(date),
        ..*response
    }
}

fn marked(mut response: Response, mark: Mark) -> Response {
    response.marks[Source::Accounts] = mark;
    response
}

fn round(mutations: &[Mutation], responses: &[Response]) -> Round {
    let births = Source::ALL.map(|source| Birth {
        source,
        incarnation: OLD,
        origin: Origin::Empty,
        from: at(0),
        known_at: at(0),
    });
    Round {
        births: births.to_vec(),
        mutations: mutations.to_vec(),
        responses: responses.to_vec(),
        ..Round::default()
    }
}

fn rules(round: &Round) -> Vec<Rule> {
    let findings = Checker::default().check(round);
    findings
        .violations
        .iter()
        .map(|violation| violation.rule)
        .collect()
}

#[test]
fn a_history_in_which_nothing_is_wrong_passes() {
    let responses = [
        hit(1, 1_100),
        dated(&hit(1, 2_100), at(1_900)),
        hit(2, 2_300),
        marked(dated(&hit(1, 9_000), at(1_900)), Mark::Stale),
    ];
    let round = round(&[renamed(1, 1_000), renamed(2, 2_000)], &responses);
    assert_eq!(rules(&round), []);
}

#[test]
fn a_page_that_lacks_what_was_acknowledged_before_its_date_is_found() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    assert_eq!(
        rules(&round(&mutations, &[dated(&hit(1, 2_200), at(2_001))])),
        [Rule::Incomplete]
    );
    assert_eq!(rules(&round(&mutations, &[dated(&hit(1, 2_200), at(2_000))])), []);
}

#[test]
fn a_mark_excuses_no_false_date() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    let response = marked(dated(&hit(1, 2_200), at(2_001)), Mark::Stale);
    assert_eq!(rules(&round(&mutations, &[response])), [Rule::Incomplete]);
}

#[test]
fn a_version_of_a_deleted_database_is_found_whatever_its_revision() {
    let mut round = round(&[renamed(50, 1_000)], &[hit(50, 2_500)]);
    assert_eq!(rules(&round), []);
    round.births.push(Birth {
        source: Source::Accounts,
        incarnation: NEW,
        origin: Origin::Empty,
        from: at(900),
        known_at: at(2_400),
    });
    assert_eq!(rules(&round), [Rule::Incomplete], "by the birth");
    let created = mutation(Source::Accounts, version(NEW, 1), What::Created, at(2_450));
    round.mutations.push(created);
    assert_eq!(rules(&round)[0], Rule::Incomplete, "by the mutation");
    round.responses[0].fragments[Source::Accounts] = Some(fragment(NEW, 1));
    assert_eq!(
        rules(&round),
        [],
        "what the old database had acknowledged is void"
    );
}

#[test]
fn a_date_that_is_too_old_or_to_come_is_found() {
    let judged = |response: Response| rules(&round(&[], &[response]));
    assert_eq!(judged(dated(&hit(1, 5_000), at(3_998))), [Rule::TooOld]);
    assert_eq!(judged(dated(&hit(1, 5_000), at(3_999))), [], "rounded down");
    assert_eq!(judged(marked(dated(&hit(1, 5_000), at(3_998)), Mark::Stale)), []);
    let answer_dated = |date| Response {
        outcome: Outcome::Forwarded { collapsed: true },
        ..dated(&hit(1, 5_000), date)
    };
    assert_eq!(judged(answer_dated(at(3_000))), []);
    assert_eq!(judged(answer_dated(at(2_998))), [Rule::TooOld]);
    assert_eq!(judged(dated(&hit(1, 5_000), at(5_002))), [Rule::FromTheFuture]);
}

#[test]
fn an_unmarked_answer_that_is_far_behind_is_found_even_without_a_date() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    let mut response = hit(1, 3_002);
    response.fresh_as_of = None;
    assert_eq!(rules(&round(&mutations, &[response])), [Rule::StaleUnmarked]);
    assert_eq!(rules(&round(&mutations, &[marked(response, Mark::Stale)])), []);
    response.sent_at = at(3_001);
    assert_eq!(rules(&round(&mutations, &[response])), []);
    response.replica.subject = Subject::Naive;
    let findings = Checker::default().check(&round(&mutations, &[response]));
    assert_eq!(findings.lags[0].behind, Duration::from_millis(1_001));
}

#[test]
fn a_replica_that_goes_back_in_time_is_found() {
    let back = [hit(2, 1_000), hit(1, 1_002)];
    assert_eq!(rules(&round(&[], &back)), [Rule::BackInTime]);
    let mut overlapping = back;
    overlapping[1].sent_at = overlapping[0].received_at;
    assert_eq!(rules(&round(&[], &overlapping)), [], "neither came first");
    let marked_one = [hit(2, 1_000), marked(hit(1, 1_002), Mark::Stale)];
    assert_eq!(rules(&round(&[], &marked_one)), []);
    let mut other_run = back;
    other_run[1].run = Some(4);
    assert_eq!(rules(&round(&[], &other_run)), []);
    let mut other_replica = back;
    other_replica[1].replica.index = 1;
    assert_eq!(rules(&round(&[], &other_replica)), []);
}

#[test]
fn going_back_is_found_across_rounds() {
    let mut checker = Checker::default();
    assert_eq!(checker.check(&round(&[], &[hit(2, 1_000)])).violations, []);
    let findings = checker.check(&round(&[], &[hit(1, 5_000)]));
    assert_eq!(findings.violations[0].rule, Rule::BackInTime);
    assert!(findings.violations[0].evidence[1].starts_with("before: 200 hit of account 7"));
}

#[test]
fn going_back_to_an_older_database_is_going_back() {
    let newer = Response {
        fragments: only_accounts(fragment(NEW, 1)),
        ..hit(1, 1_000)
    };
    let mut round = round(&[], &[newer, dated(&hit(9, 1_002), at(500))]);
    round.births.push(Birth {
        source: Source::Accounts,
        incarnation: NEW,
        origin: Origin::Empty,
        from: at(900),
        known_at: at(900),
    });
    assert_eq!(rules(&round), [Rule::BackInTime]);
}

fn outage(place: Place, from: u64, until: u64) -> Outage {
    Outage {
        place,
        from: at(from),
        until: at(until),
    }
}

#[test]
fn trust_in_a_dead_source_is_found() {
    let judged = |outages: &[Outage], date: u64| {
        let mut round = round(&[], &[dated(&hit(1, 1_500), at(date))]);
        round.outages = outages.to_vec();
        rules(&round)
    };
    let dead = [outage(Place::Source(Source::Accounts), 1_000, 2_000)];
    assert_eq!(judged(&dead, 1_001), []);
    assert_eq!(judged(&dead, 1_002), [Rule::WithoutLiveness]);
    let other = [outage(Place::Source(Source::Metrics), 1_000, 2_000)];
    assert_eq!(judged(&other, 1_400), [], "its fragment is not shown");
    let over = [outage(Place::Source(Source::Accounts), 1_000, 1_501)];
    assert_eq!(judged(&over, 1_400), [], "its repair had begun");
}

#[test]
fn trust_in_a_source_that_neither_sends_nor_answers_is_found() {
    let judged = |outages: &[Outage], date: u64| {
        let mut round = round(&[], &[dated(&hit(1, 1_500), at(date))]);
        round.outages = outages.to_vec();
        rules(&round)
    };
    let asked = outage(Place::ReplicaToSource(0, Source::Accounts), 1_100, 2_000);
    let ways = [
        Place::Broker,
        Place::ReplicaToBroker(0),
        Place::SourceToBroker(Source::Accounts),
    ];
    for feed in ways.map(|place| outage(place, 1_000, 2_000)) {
        assert_eq!(judged(&[asked], 1_400), [], "its messages arrive");
        assert_eq!(judged(&[feed], 1_400), [], "it answers");
        assert_eq!(judged(&[feed, asked], 1_101), []);
        assert_eq!(judged(&[feed, asked], 1_102), [Rule::WithoutLiveness]);
    }
    let elsewhere = [
        outage(Place::ReplicaToBroker(1), 1_000, 2_000),
        outage(Place::ReplicaToSource(1, Source::Accounts), 1_000, 2_000),
    ];
    assert_eq!(judged(&elsewhere, 1_400), [], "another replica's");
}

#[test]
fn an_account_that_is_shown_after_its_deletion_is_found() {
    let deleted = mutation(Source::Accounts, version(OLD, 2), What::Deleted, at(1_000));
    let mut checker = Checker::default();
    let _ = checker.check(&round(&[renamed(1, 500), deleted], &[]));
    checker.converged();
    let absent = Response {
        status: 404,
        ..hit(2, 1_500)
    };
    let shown = marked(dated(&hit(1, 1_600), at(900)), Mark::Stale);
    let later = round(&[], &[absent, shown]);
    let findings = checker.check(&later);
    let found: Vec<_> = findings
        .violations
        .iter()
        .map(|violation| violation.rule)
        .collect();
    assert_eq!(found, [Rule::Resurrected], "not even marked stale");
    assert_eq!(findings.exercised.deleted, 2);
}

#[test]
fn a_content_that_another_mutation_wrote_is_found() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    let mut response = hit(2, 2_500);
    response.fragments[Source::Accounts] = Some(Fragment {
        serial: Some(101),
        ..fragment(OLD, 2)
    });
    assert_eq!(rules(&round(&mutations, &[response])), [Rule::WrongContent]);
    let deleted = mutation(Source::Accounts, version(OLD, 2), What::Deleted, at(2_000));
    assert_eq!(
        rules(&round(&[deleted], &[hit(2, 2_500)])),
        [Rule::WrongContent],
        "shown at the revision at which it is not there"
    );
    let absent = |revision| Response {
        status: 404,
        fragments: only_accounts(Fragment {
            serial: None,
            ..fragment(OLD, revision)
        }),
        ..hit(revision, 2_500)
    };
    assert_eq!(rules(&round(&[deleted], &[absent(2)])), []);
    assert_eq!(
        rules(&round(&[renamed(2, 2_000)], &[absent(2)])),
        [Rule::WrongContent]
    );
}

#[test]
fn an_absence_without_a_version_needs_a_deletion() {
    let absent = Response {
        status: 404,
        fragments: PerSource::default(),
        ..hit(0, 2_500)
    };
    let mutations = [renamed(1, 1_000)];
    assert_eq!(rules(&round(&mutations, &[absent])), [Rule::Incomplete]);
    assert_eq!(rules(&round(&[], &[absent])), [], "it never was");
    let deleted = mutation(Source::Accounts, version(OLD, 2), What::Deleted, at(2_000));
    assert_eq!(rules(&round(&[renamed(1, 1_000), deleted], &[absent])), []);
    let mut perhaps = round(&mutations, &[absent]);
    perhaps.attempts.push(Attempt {
        source: Source::Accounts,
        account: Some(7),
        what: What::Deleted,
        serial: 1,
        sent_at: at(2_000),
    });
    assert_eq!(rules(&perhaps), []);
}

#[test]
fn an_answer_that_falls_short_of_its_token_is_found() {
    let demanding = |revision| Response {
        demanded: Some((Source::Accounts, version(OLD, 2))),
        ..dated(&hit(revision, 2_100), at(1_900))
    };
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    assert_eq!(rules(&round(&mutations, &[demanding(2)])), []);
    assert_eq!(rules(&round(&mutations, &[demanding(1)])), [Rule::ShortOfToken]);
    assert_eq!(
        rules(&round(&mutations, &[marked(demanding(1), Mark::Behind)])),
        []
    );
}

#[test]
fn a_version_from_nowhere_is_found() {
    let mut response = hit(1, 1_000);
    response.fragments[Source::Accounts] = Some(fragment(Incarnation(77), 1));
    assert_eq!(rules(&round(&[], &[response])), [Rule::UnknownDatabase]);
    let mut stray = renamed(1, 1_000);
    stray.version.incarnation = Incarnation(77);
    assert_eq!(rules(&round(&[stray], &[])), [Rule::UnknownDatabase]);
}
