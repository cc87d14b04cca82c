//! Exhausts every case, and finds every rule that is left out.

use specification::cases::CASES;
use specification::rule::Rule;
use specification::{Specification, check};

fn holds(prefix: &str) {
    let cases: Vec<_> = CASES.iter().filter(|case| case.name.split('-').next() == Some(prefix)).collect();
    assert!(!cases.is_empty(), "no case is called {prefix}");
    for case in cases {
        let found = check(&Specification::of(case));
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
    a_start_breaks_nothing = "start",
    lost_words_break_nothing = "lost",
    a_paused_reader_breaks_nothing = "pauses",
    two_accounts_break_nothing = "accounts",
    a_deletion_breaks_nothing = "deletion",
    readers_that_give_up_break_nothing = "early",
    readers_that_accept_an_age_break_nothing = "age",
    a_restart_breaks_nothing = "restart",
    a_rollback_breaks_nothing = "rollback",
    a_lost_tail_breaks_nothing = "tail",
    a_recreated_stream_breaks_nothing = "recreated",
    two_processes_on_one_file_break_nothing = "file",
    a_copy_breaks_nothing = "copy",
    a_copy_and_a_lost_message_break_nothing = "twins",
}

#[test]
fn every_case_is_tested() {
    for case in CASES {
        let prefix = case.name.split('-').next();
        assert!(PREFIXES.iter().any(|tested| Some(*tested) == prefix), "{} is in no test", case.name);
    }
}

#[test]
fn every_rule_that_is_left_out_is_missed() {
    for rule in Rule::ALL {
        let found = check(&Specification::without(*rule));
        println!("{}: {:?} at depth {}", rule.name(), found.broken, found.schedule.len());
        assert!(found.broken.is_some(), "nothing breaks without {}", rule.name());
    }
}
