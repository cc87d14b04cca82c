//! Prints what the checker found: every case with all rules, then every rule left out. First of the protocol, then of the
//! outbox on PostgreSQL.
//!
//! `--schedule NAME` prints the shortest schedule that breaks a case without the rule NAME; `--explore CASE` serves
//! the checker's explorer on 127.0.0.1:3000.

use std::fmt::Debug;
use std::time::Instant;

use specification::cases::CASES;
use specification::postgres::{self, Outbox};
use specification::rule::Rule;
use specification::{Checked, Finding, Specification, check};
use stateright::Model as _;

/// One line per case, or per rule that is left out.
fn report<M>(model: &M, rule: &str, case: &str) -> Finding<M::Action>
where
    M: Checked<Action: Clone + Debug + PartialEq + Send + Sync>,
{
    let started = Instant::now();
    let found = check(model);
    let seconds = started.elapsed().as_secs_f64();
    let result = match &found.broken {
        Some(broken) => format!("broken at depth {}: {broken}", found.schedule.len()),
        None => "holds".to_owned(),
    };
    println!("{rule:38} {case:16} {:>9} states {seconds:6.1} s  {result}", found.states);
    found
}

fn of_protocol(model: &Specification) -> Finding {
    report(model, model.left_out.map_or("", Rule::name), model.case.name)
}

fn of_outbox(model: &Outbox) -> Finding<postgres::Action> {
    report(model, model.left_out.map_or("", postgres::rule::Rule::name), model.case.name)
}

/// The same with the steps.
fn print_schedule(name: &str) -> Result<(), String> {
    if let Some(rule) = postgres::rule::Rule::ALL.iter().find(|rule| rule.name() == name) {
        print_steps(&of_outbox(&Outbox::without(*rule)).schedule);
        return Ok(());
    }
    let rule = Rule::ALL.iter().find(|rule| rule.name() == name).ok_or("no such rule")?;
    let specification = Specification::without(*rule);
    for action in specification.case.before.iter().copied().flatten() {
        println!("       before: {action:?}");
    }
    print_steps(&of_protocol(&specification).schedule);
    Ok(())
}

fn print_steps<A: Debug>(schedule: &[A]) {
    for (step, action) in schedule.iter().enumerate() {
        println!("{:>6}. {action:?}", step + 1);
    }
}

fn explore(name: &str) -> Result<(), String> {
    println!("http://127.0.0.1:3000");
    if let Some(case) = postgres::cases::CASES.iter().find(|case| case.name == name) {
        Outbox::of(case).checker().serve("127.0.0.1:3000");
        return Ok(());
    }
    let case = CASES.iter().find(|case| case.name == name).ok_or("no such case")?;
    Specification::of(case).checker().serve("127.0.0.1:3000");
    Ok(())
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--schedule", name] => return print_schedule(name),
        ["--explore", name] => return explore(name),
        [] => {}
        _ => return Err("usage: specification [--schedule RULE | --explore CASE]".to_owned()),
    }
    let states: usize = CASES.iter().map(|case| of_protocol(&Specification::of(case)).states).sum();
    println!("{states} states in {} cases", CASES.len());
    for rule in Rule::ALL {
        of_protocol(&Specification::without(*rule));
    }
    let cases = postgres::cases::CASES;
    let states: usize = cases.iter().map(|case| of_outbox(&Outbox::of(case)).states).sum();
    println!("{states} states in {} cases of the outbox on PostgreSQL", cases.len());
    for rule in postgres::rule::Rule::ALL {
        of_outbox(&Outbox::without(*rule));
    }
    Ok(())
}
