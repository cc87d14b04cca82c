//! Prints what the checker found: every case with all rules, then every rule left out.
//!
//! `--schedule NAME` prints the shortest schedule that breaks a case without the rule NAME; `--explore CASE` serves
//! the checker's explorer on 127.0.0.1:3000.

use std::time::Instant;

use specification::cases::CASES;
use specification::rule::Rule;
use specification::{Finding, Specification, check};
use stateright::Model;

/// One line per case, or per rule that is left out.
fn report(specification: &Specification) -> Finding {
    let started = Instant::now();
    let found = check(specification);
    let (case, seconds) = (specification.case.name, started.elapsed().as_secs_f64());
    let result = match &found.broken {
        Some(broken) => format!("broken at depth {}: {broken}", found.schedule.len()),
        None => "holds".to_owned(),
    };
    let rule = specification.left_out.map_or("", Rule::name);
    println!("{rule:38} {case:14} {:>9} states {seconds:6.1} s  {result}", found.states);
    found
}

/// The same with the steps.
fn print_schedule(name: &str) -> Result<(), String> {
    let rule = Rule::ALL.iter().find(|rule| rule.name() == name).ok_or("no such rule")?;
    let specification = Specification::without(*rule);
    for action in specification.case.before.iter().copied().flatten() {
        println!("       before: {action:?}");
    }
    for (step, action) in report(&specification).schedule.iter().enumerate() {
        println!("{:>6}. {action:?}", step + 1);
    }
    Ok(())
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--schedule", name] => return print_schedule(name),
        ["--explore", name] => {
            let case = CASES.iter().find(|case| case.name == name).ok_or("no such case")?;
            println!("http://127.0.0.1:3000");
            Specification::of(case).checker().serve("127.0.0.1:3000");
        }
        [] => {
            let states: usize = CASES.iter().map(|case| report(&Specification::of(case)).states).sum();
            println!("{states} states in {} cases", CASES.len());
            for rule in Rule::ALL {
                report(&Specification::without(*rule));
            }
        }
        _ => return Err("usage: specification [--schedule RULE | --explore CASE]".to_owned()),
    }
    Ok(())
}
