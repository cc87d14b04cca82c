//! Answers to readers who say how long they wait, how old the page may be, or where it may come from.

use super::*;
use crate::check::preferences::SLACK;
use crate::history::Stall;

/// The response with what its reader preferred.
fn preferring(response: &Response, preferences: Preferences) -> Response {
    Response {
        preferences,
        ..*response
    }
}

/// To a reader who accepts a page of so many seconds.
fn aged(response: &Response, seconds: u64) -> Response {
    let preferences = Preferences {
        max_age: Some(Duration::from_secs(seconds)),
        ..Preferences::default()
    };
    preferring(response, preferences)
}

/// To a reader who waits 100 ms and gets the answer so much later than that.
fn late(response: &Response, by: Duration) -> Response {
    let wait = Duration::from_millis(100);
    let preferences = Preferences {
        wait: Some(wait),
        ..Preferences::default()
    };
    let received_at = response.sent_at.plus(wait + by);
    Response {
        received_at,
        outcome: Outcome::Forwarded { collapsed: false },
        ..preferring(response, preferences)
    }
}

fn deletion_attempted_at(milliseconds: u64) -> Attempt {
    Attempt {
        source: Source::Accounts,
        account: Some(7),
        what: What::Deleted,
        serial: 1,
        sent_at: at(milliseconds),
    }
}

const JUST_LATE: Duration = SLACK.saturating_add(Duration::from_millis(1));

#[test]
fn a_page_that_is_older_than_its_reader_accepts_is_found() {
    let judged = |response: Response| rules(&round(&[], &[response]));
    let old = dated(&hit(1, 9_000), at(3_998));
    assert_eq!(judged(old), [Rule::TooOld], "this reader accepts no age");
    assert_eq!(judged(aged(&old, 5)), [Rule::TooOld]);
    assert_eq!(judged(aged(&dated(&old, at(4_000)), 5)), []);
    assert_eq!(judged(aged(&old, 30)), []);
    let fresh = dated(&hit(1, 5_000), at(4_000));
    assert_eq!(
        judged(aged(&fresh, 0)),
        [],
        "what is fresh is an answer for everybody"
    );
    let waited = Response {
        outcome: Outcome::Forwarded { collapsed: false },
        ..aged(&old, 30)
    };
    assert_eq!(
        judged(waited),
        [Rule::TooOld],
        "an age is for what is in the cache"
    );
}

#[test]
fn an_age_excuses_no_false_date_and_none_in_the_future() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    let judged = |response: &Response| rules(&round(&mutations, &[aged(response, 30)]));
    assert_eq!(judged(&dated(&hit(1, 9_000), at(2_000))), []);
    assert_eq!(judged(&dated(&hit(1, 9_000), at(2_001))), [Rule::Incomplete]);
    assert_eq!(judged(&dated(&hit(2, 9_000), at(9_002))), [Rule::FromTheFuture]);
}

#[test]
fn an_age_limits_how_far_behind_an_answer_is_even_without_a_date() {
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    let mut response = hit(1, 7_001);
    response.fresh_as_of = None;
    assert_eq!(rules(&round(&mutations, &[aged(&response, 5)])), []);
    response.sent_at = at(7_002);
    assert_eq!(
        rules(&round(&mutations, &[aged(&response, 5)])),
        [Rule::StaleUnmarked]
    );
}

#[test]
fn an_age_excuses_no_going_back() {
    let back = [hit(2, 1_000), aged(&dated(&hit(1, 1_002), at(900)), 30)];
    assert_eq!(rules(&round(&[], &back)), [Rule::BackInTime]);
    let back = [aged(&hit(2, 1_000), 30), hit(1, 1_002)];
    assert_eq!(
        rules(&round(&[], &back)),
        [Rule::BackInTime],
        "nor lets the next one go back"
    );
}

#[test]
fn an_age_excuses_no_deletion_and_no_token() {
    let deleted = mutation(Source::Accounts, version(OLD, 2), What::Deleted, at(1_000));
    let mut checker = Checker::default();
    let _ = checker.check(&round(&[renamed(1, 500), deleted], &[]));
    checker.converged();
    let shown = aged(&dated(&hit(1, 1_600), at(900)), 30);
    let findings = checker.check(&round(&[], &[shown]));
    assert_eq!(findings.violations[0].rule, Rule::Resurrected);
    let short = Response {
        demanded: Some((Source::Accounts, version(OLD, 2))),
        ..aged(&dated(&hit(1, 2_100), at(1_900)), 30)
    };
    let mutations = [renamed(1, 1_000), renamed(2, 2_000)];
    assert_eq!(rules(&round(&mutations, &[short])), [Rule::ShortOfToken]);
}

#[test]
fn a_date_of_a_dead_source_is_found_whatever_age_is_accepted() {
    let judged = |date| {
        let mut round = round(&[], &[aged(&dated(&hit(1, 9_000), at(date)), 30)]);
        round.outages = vec![outage(Place::Source(Source::Accounts), 1_000, 9_500)];
        rules(&round)
    };
    assert_eq!(judged(1_001), []);
    assert_eq!(judged(1_002), [Rule::WithoutLiveness]);
}

#[test]
fn an_answer_after_its_readers_wait_is_found() {
    let known = hit(1, 1_000);
    let judged = |by| rules(&round(&[], &[known, late(&hit(1, 2_000), by)]));
    assert_eq!(judged(SLACK), []);
    assert_eq!(judged(JUST_LATE), [Rule::Late]);
}

#[test]
fn an_answer_is_not_due_while_nothing_is_known_of_its_page() {
    let answer = late(&hit(1, 2_000), JUST_LATE);
    let judged = |before: Response| rules(&round(&[], &[before, answer]));
    let known = hit(1, 1_000);
    assert_eq!(judged(known), [Rule::Late]);
    let mut other_run = known;
    other_run.run = Some(4);
    assert_eq!(judged(other_run), []);
    let mut other_window = known;
    other_window.window = Window::Week;
    assert_eq!(judged(other_window), []);
    let mut at_once = known;
    at_once.received_at = answer.sent_at;
    assert_eq!(judged(at_once), [], "neither came first");
    let nothing_shown = Response {
        fragments: PerSource::default(),
        ..known
    };
    assert_eq!(judged(nothing_shown), []);
    let applied = Response {
        wait_applied: true,
        ..answer
    };
    assert_eq!(
        rules(&round(&[], &[applied])),
        [Rule::Late],
        "it says that it came in time"
    );
}

#[test]
fn what_a_replica_knew_in_a_former_round_it_still_knows_unless_it_was_deleted() {
    let answer = late(&hit(1, 2_000), JUST_LATE);
    let mut checker = Checker::default();
    let _ = checker.check(&round(&[], &[hit(1, 1_000)]));
    let findings = checker.check(&round(&[], &[answer]));
    assert_eq!(findings.violations[0].rule, Rule::Late);
    assert_eq!(findings.exercised.waits, 1);
    let mut attempted = round(&[], &[hit(1, 1_000), answer]);
    attempted.attempts.push(deletion_attempted_at(500));
    assert_eq!(rules(&attempted), []);
}

#[test]
fn an_account_that_is_shown_in_a_later_round_than_its_deletion_is_known_again() {
    let late_at = |milliseconds| round(&[], &[late(&hit(1, milliseconds), JUST_LATE)]);
    let mut attempted = round(&[], &[hit(1, 1_000)]);
    attempted.attempts.push(deletion_attempted_at(500));
    let mut checker = Checker::default();
    let mut judged = |round: &Round| {
        let violations = checker.check(round).violations.into_iter();
        violations.map(|violation| violation.rule).collect::<Vec<_>>()
    };
    assert_eq!(judged(&attempted), []);
    assert_eq!(
        judged(&late_at(2_000)),
        [],
        "what was shown before may be deleted"
    );
    assert_eq!(judged(&late_at(3_000)), [Rule::Late], "it was shown since");
}

#[test]
fn the_time_for_which_a_replica_answered_nothing_is_not_its_own() {
    let answer = late(&hit(1, 2_000), JUST_LATE);
    let judged = |replica, from, until| {
        let mut round = round(&[], &[hit(1, 1_000), answer]);
        round.stalls = vec![Stall {
            replica,
            from: at(from),
            until: at(until),
        }];
        rules(&round)
    };
    assert_eq!(judged(answer.replica, 2_100, 2_101), []);
    assert_eq!(judged(answer.replica, 1_500, 2_001), [], "it was sent meanwhile");
    assert_eq!(judged(answer.replica, 1_500, 2_000), [Rule::Late], "it was over");
    let other = Replica {
        index: 1,
        ..answer.replica
    };
    assert_eq!(judged(other, 2_000, 2_500), [Rule::Late]);
}

#[test]
fn an_answer_in_time_that_does_not_say_so_is_found() {
    let mut answer = late(&hit(1, 2_000), Duration::ZERO);
    assert_eq!(rules(&round(&[], &[answer])), [Rule::WaitUnsaid]);
    answer.wait_applied = true;
    assert_eq!(rules(&round(&[], &[answer])), []);
    let barely_late = late(&hit(1, 2_000), Duration::from_millis(1));
    assert_eq!(rules(&round(&[], &[barely_late])), []);
}

#[test]
fn a_reader_of_what_is_cached_alone_who_is_kept_waiting_is_found() {
    let only_if_cached = Preferences {
        only_if_cached: true,
        ..Preferences::default()
    };
    let known = preferring(&hit(1, 1_000), only_if_cached);
    assert_eq!(rules(&round(&[], &[known])), []);
    let forwarded = Response {
        outcome: Outcome::Forwarded { collapsed: true },
        ..known
    };
    assert_eq!(rules(&round(&[], &[forwarded])), [Rule::NotFromMemory]);
    let mut asked = known;
    asked.asked.not_modified = 1;
    assert_eq!(rules(&round(&[], &[asked])), [Rule::NotFromMemory]);
    let late = Response {
        received_at: at(2_000).plus(JUST_LATE),
        ..preferring(&hit(1, 2_000), only_if_cached)
    };
    assert_eq!(
        rules(&round(&[], &[known, late])),
        [Rule::Late],
        "at once, it was known"
    );
}
