//! Merging, by examples and by its laws.

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;

const CLAIM: Option<Claim> = Some(Claim(7));

fn at(seconds: u64) -> Date {
    let monotonic = Duration::from_secs(seconds);
    Date {
        monotonic,
        moment: Moment::default().saturating_add(monotonic),
    }
}

fn fragment(incarnation: u128, revision: u64, position: u64) -> Fragment<String> {
    let start = RequestStart {
        position: Position(position),
        started: at(position),
    };
    let version = Version {
        incarnation,
        revision,
        nonce: 0,
    };
    Fragment::answered(
        SourceId(0),
        start,
        version,
        CLAIM,
        format!("{incarnation}/{revision}"),
        None,
    )
}

#[test]
fn the_higher_revision_takes_over_the_evidence_of_the_lower() {
    let merged = fragment(1, 6, 8).merge(fragment(1, 5, 10));
    assert_eq!(merged.body, "1/6");
    assert_eq!(merged.position, Position(10));
    assert_eq!(merged.started, Some(at(10)));
    assert_eq!(merged.complete_until, at(10));
}

#[test]
fn of_one_revision_the_body_that_is_valid_longer_wins_with_its_end() {
    let short = Fragment {
        valid_until: Some(Duration::from_secs(5)),
        body: "short".into(),
        ..fragment(1, 6, 10)
    };
    let long = Fragment {
        valid_until: Some(Duration::from_secs(9)),
        body: "long".into(),
        ..fragment(1, 6, 8)
    };
    let merged = short.clone().merge(long);
    assert_eq!(
        (merged.body.as_str(), merged.valid_until),
        ("long", Some(Duration::from_secs(9)))
    );
    assert_eq!(merged.position, Position(10));
    let endless = fragment(1, 6, 1);
    assert_eq!(short.merge(endless.clone()).body, endless.body);
}

#[test]
fn a_higher_revision_that_is_valid_for_less_time_wins_all_the_same() {
    let new = Fragment {
        valid_until: Some(Duration::from_secs(5)),
        ..fragment(1, 7, 8)
    };
    assert_eq!(fragment(1, 6, 9).merge(new.clone()).valid_until, new.valid_until);
}

#[test]
fn nothing_is_mixed_between_incarnations() {
    let (old, new) = (fragment(1, 900, 8), fragment(2, 1, 10));
    assert_eq!(old.clone().merge(new.clone()), new);
    assert_eq!(new.clone().merge(old), new);
    // No event was applied between the two requests: the later request decides.
    let (earlier, later) = (
        fragment(9, 3, 8),
        Fragment {
            started: Some(at(9)),
            ..fragment(2, 1, 8)
        },
    );
    assert_eq!(earlier.clone().merge(later.clone()), later);
    assert_eq!(later.clone().merge(earlier), later);
}

#[test]
fn nothing_is_mixed_between_claims() {
    let of = |claim, fragment| Fragment { claim, ..fragment };
    let other = Some(Claim(8));
    for (one, two) in [(CLAIM, other), (CLAIM, None), (None, None)] {
        // The higher revision is the older answer: the database of its publisher may have been set back since.
        let (earlier, later) = (of(one, fragment(1, 9, 8)), of(two, fragment(1, 2, 10)));
        assert_eq!(earlier.clone().merge(later.clone()), later, "{one:?} and {two:?}");
        assert_eq!(later.clone().merge(earlier), later, "{one:?} and {two:?}");
    }
}

#[test]
fn nothing_is_mixed_between_two_histories_that_gave_out_one_revision() {
    let of = |nonce, fragment: Fragment<String>| Fragment {
        version: Version {
            nonce,
            ..fragment.version
        },
        ..fragment
    };
    let earlier = Fragment {
        valid_until: None,
        ..of(1, fragment(1, 6, 8))
    };
    let later = Fragment {
        valid_until: Some(Duration::from_secs(11)),
        ..of(2, fragment(1, 6, 10))
    };
    assert_eq!(earlier.clone().merge(later.clone()), later);
    assert_eq!(later.clone().merge(earlier), later);
}

#[test]
fn a_confirmation_gives_the_known_body_a_new_position_start_and_end() {
    let known = Fragment {
        valid_until: Some(Duration::from_secs(6)),
        ..fragment(1, 6, 5)
    };
    let start = RequestStart {
        position: Position(20),
        started: at(20),
    };
    let confirmed = known
        .clone()
        .confirmed(start, CLAIM, Some(Duration::from_secs(3)));
    assert_eq!((confirmed.body.as_str(), confirmed.version.revision), ("1/6", 6));
    assert_eq!(
        (confirmed.position, confirmed.started),
        (Position(20), Some(at(20)))
    );
    assert_eq!(confirmed.valid_until, Some(Duration::from_secs(23)));
    assert_eq!(confirmed.complete_until, at(20));
    assert_eq!(
        known.clone().confirmed(start, CLAIM, None).valid_until,
        known.valid_until
    );
}

#[test]
fn a_confirmation_gives_its_evidence_to_a_newer_revision_but_not_to_another_incarnation() {
    let confirmed = fragment(1, 6, 20);
    assert_eq!(fragment(1, 7, 12).merge(confirmed.clone()).position, Position(20));
    assert_eq!(fragment(2, 1, 12).merge(confirmed.clone()), confirmed);
    assert_eq!(fragment(2, 1, 21).merge(confirmed), fragment(2, 1, 21));
}

prop_compose! {
    /// Any fragment of one incarnation; the body is what its source would have answered, so it follows from the rest.
    fn any_fragment()(
        revision in 0..4_u64,
        position in 0..6_u64,
        started in proptest::option::of(0..6_u64),
        valid in proptest::option::of(0..3_u64),
        complete_until in 0..6_u64,
    ) -> Fragment<String> {
        Fragment {
            body: format!("{revision} until {valid:?}"),
            position: Position(position),
            started: started.map(at),
            valid_until: valid.map(Duration::from_secs),
            complete_until: at(complete_until),
            ..fragment(1, revision, 0)
        }
    }
}

proptest! {
    #[test]
    fn merging_is_idempotent(a in any_fragment()) {
        prop_assert_eq!(a.clone().merge(a.clone()), a);
    }

    #[test]
    fn merging_is_commutative(a in any_fragment(), b in any_fragment()) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
    }

    #[test]
    fn merging_is_associative(a in any_fragment(), b in any_fragment(), c in any_fragment()) {
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
    }

    #[test]
    fn merging_never_loses_evidence_nor_content(a in any_fragment(), b in any_fragment()) {
        let merged = a.clone().merge(b.clone());
        for one in [&a, &b] {
            prop_assert!(merged.version.revision >= one.version.revision);
            prop_assert!(merged.position >= one.position);
            prop_assert!(merged.started >= one.started);
            prop_assert!(merged.complete_until >= one.complete_until);
        }
    }

    #[test]
    fn between_incarnations_both_sides_agree(a in any_fragment(), b in any_fragment(), other in 0..3_u128) {
        let b = Fragment { version: Version { incarnation: other, ..b.version }, ..b };
        prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
    }
}
