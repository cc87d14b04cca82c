//! Exhausts every case of the outbox on PostgreSQL, and finds every rule that is left out.

use specification::check;
use specification::postgres::Outbox;
use specification::postgres::cases::CASES;
use specification::postgres::rule::Rule;

fn holds(prefix: &str) {
    let cases: Vec<_> = CASES.iter().filter(|case| case.name.split('-').next() == Some(prefix)).collect();
    assert!(!cases.is_empty(), "no case is called {prefix}");
    for case in cases {
        let found = check(&Outbox::of(case));
        println!("{}: {} states", case.name, found.states);
        assert_eq!(found.broken, None, "{}: {:#?}", case.name, found.schedule);
        assert_eq!(found.states, case.states, "the number of states of {}", case.name);
    }
}

macro_rules! cases {
    ($($test:ident = $prefix:literal,)+) => {
        const PREFIXES: &[&str] = &[$($prefix,)+];
        $(#[test] fn $test() { holds($prefix); })+
    };
}

cases! {
    transactions_that_commit_in_any_order_break_nothing = "commits",
    a_numbering_that_reaches_its_limit_breaks_nothing = "limited",
    a_relay_that_is_killed_breaks_nothing = "killed",
    two_relays_on_one_database_break_nothing = "two",
    a_renewed_incarnation_breaks_nothing = "renewed",
    a_relay_that_is_stopped_breaks_nothing = "stopped",
}

#[test]
fn every_case_of_the_outbox_is_tested() {
    for case in CASES {
        let prefix = case.name.split('-').next();
        assert!(PREFIXES.iter().any(|tested| Some(*tested) == prefix), "{} is in no test", case.name);
    }
}

#[test]
fn every_rule_of_the_outbox_that_is_left_out_is_missed() {
    for rule in Rule::ALL {
        let found = check(&Outbox::without(*rule));
        println!("{}: {:?} at depth {}", rule.name(), found.broken, found.schedule.len());
        assert!(found.broken.is_some(), "nothing breaks without {}", rule.name());
    }
}
