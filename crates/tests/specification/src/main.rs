//! x
use specification::{Specification, cases::CASES, rule::Rule};
use stateright::{Checker, Model};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rule = args
        .get(2)
        .and_then(|n| Rule::ALL.iter().find(|r| r.name() == n))
        .copied();
    for case in CASES {
        if args.get(1).is_some_and(|n| n != "all" && n != case.name) {
            continue;
        }
        let start = Instant::now();
        let checker = Specification {
            case: case.clone(),
            left_out: rule,
        }
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
        println!(
            "{} {} unique, depth {}, {:?}",
            case.name,
            checker.unique_state_count(),
            checker.max_depth(),
            start.elapsed()
        );
        for (name, path) in checker.discoveries() {
            println!("  {name}");
            println!("  {:?}", path.last_state().broken);
            for a in path.into_actions() {
                println!("    {a:?}");
            }
        }
    }
}
