//! What the strategies make of recorded workloads; `examples/traces` prints the same as a table.
//!
//! Hit ratios may differ by a point from what the traces' data says of an infinite cache, stale reads by one in a hundred.

use std::time::Duration;

use fresh_cache::{RefreshScope, Strategy};

use replay::{CLOUDPHYSICS, TWITTER, Tally, Trace, replay};

#[path = "../../examples/traces/replay.rs"]
mod replay;

const TTL: Strategy = Strategy::Ttl(Duration::from_mins(1));

#[test]
fn few_writes_cost_invalidation_one_hit_in_a_hundred_and_a_ttl_fourteen() {
    let trace = Trace::read(TWITTER);
    let invalidate = replay(&trace, Strategy::Invalidate, RefreshScope::Read);
    assert_hits(&invalidate, 88.8);
    assert_fresh(&invalidate);
    let ttl = replay(&trace, TTL, RefreshScope::Read);
    assert_hits(&ttl, 75.1);
    assert_near(ttl.stale, 14_331);
    assert_eq!(ttl.false_dates, 0, "its dates are true all the same");
}

#[test]
fn few_writes_cost_pre_populating_no_hit() {
    let trace = Trace::read(TWITTER);
    let all = replay(&trace, Strategy::Prepopulate, RefreshScope::All);
    assert_hits(&all, 89.5);
    assert_fresh(&all);
}

#[test]
fn many_writes_make_a_ttl_wrong_and_invalidation_slow() {
    let trace = Trace::read(CLOUDPHYSICS);
    let none = replay(&trace, Strategy::None, RefreshScope::Read);
    assert_eq!((none.hits, none.renders, none.fetches), (0, 22_327, 22_327));
    let ttl = replay(&trace, TTL, RefreshScope::Read);
    assert_hits(&ttl, 68.2);
    assert_near(ttl.stale, 2_542);
    assert_eq!(ttl.false_dates, 0, "its dates are true all the same");
    let invalidate = replay(&trace, Strategy::Invalidate, RefreshScope::Read);
    assert_hits(&invalidate, 62.8);
    assert_eq!(invalidate.renders, 8_300);
    assert_fresh(&invalidate);
}

#[test]
fn under_many_writes_refreshing_what_was_read_saves_three_compositions_in_four() {
    let trace = Trace::read(CLOUDPHYSICS);
    let all = replay(&trace, Strategy::Prepopulate, RefreshScope::All);
    assert_hits(&all, 90.7);
    assert_eq!(all.renders, 35_664, "more than no cache at all");
    assert_fresh(&all);
    let read = replay(&trace, Strategy::Prepopulate, RefreshScope::Read);
    assert_hits(&read, 64.8);
    assert_eq!(read.renders, 9_325);
    assert_fresh(&read);
    assert!(read.wasted * 20 < all.wasted, "{read:?}, {all:?}");
}

/// No answer lacked a write that came before it, and none told a date more than a second old (I3).
fn assert_fresh(tally: &Tally) {
    assert_eq!(tally.stale, 0, "{tally:?}");
    assert!(tally.oldest < Duration::from_secs(1), "{tally:?}");
}

fn assert_hits(tally: &Tally, percent: f64) {
    assert!((tally.hit_percent() - percent).abs() < 1.0, "{tally:?}");
}

fn assert_near(count: usize, expected: usize) {
    assert!(
        count.abs_diff(expected) * 100 <= expected,
        "{count} instead of {expected}"
    );
}
