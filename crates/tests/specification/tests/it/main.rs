//! Exhausts every case of the models, and finds every rule that is left out.

/// Tests of a model: one for the cases whose names begin with each prefix, one that no case is left out, and one of its rules.
macro_rules! exhaust {
    ($model:ident; $($test:ident = $prefix:literal,)+) => {
        const PREFIXES: &[&str] = &[$($prefix,)+];

        $(#[test] fn $test() { holds($prefix); })+

        fn holds(prefix: &str) {
            let cases: Vec<_> = CASES.iter().filter(|case| case.name.split('-').next() == Some(prefix)).collect();
            assert!(!cases.is_empty(), "no case is called {prefix}");
            for case in cases {
                let found = check(&$model::of(case));
                println!("{}: {} states", case.name, found.states);
                assert_eq!(found.broken, None, "{}: {:#?}", case.name, found.schedule);
                assert_eq!(found.states, case.states, "the number of states of {}", case.name);
            }
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
                let found = check(&$model::without(*rule));
                println!("{}: {:?} at depth {}", rule.name(), found.broken, found.schedule.len());
                assert!(found.broken.is_some(), "nothing breaks without {}", rule.name());
            }
        }
    };
}

mod postgres;
mod protocol;
