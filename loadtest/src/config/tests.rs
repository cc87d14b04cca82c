//! What the command line takes and refuses.

use clap::CommandFactory;
use stack::Source;

use super::*;

fn parse(arguments: &str) -> Result<Config, clap::Error> {
    Config::try_parse_from(["loadtest"].into_iter().chain(arguments.split_whitespace()))
}

fn compare(arguments: &str) -> CompareConfig {
    match parse(arguments).unwrap().wanted() {
        Command::Compare(config) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_are_consistent() {
    Config::command().debug_assert();
}

#[test]
fn without_a_command_it_compares_and_takes_its_flags() {
    assert_eq!(compare("").run.strategies, Strategy::ALL);
    assert_eq!(compare("--rounds 2").rounds, 2);
    assert_eq!(compare("compare --rounds 2").rounds, 2);
    let two = compare("--strategies none,invalidate").run.strategies;
    assert_eq!(two, [Strategy::None, Strategy::Invalidate]);
}

#[test]
fn a_quick_comparison_is_short_and_every_part_of_it_can_be_chosen() {
    let quick = compare("--quick");
    assert_eq!((quick.rounds, quick.load.accounts), (4, 1));
    assert!(quick.rate < 150.0 && quick.turn_seconds < 1.0, "{quick:?}");
    assert_eq!(quick.load.mix, MixName::Number(20.0));
    let chosen = compare("--quick --rounds 7 --accounts 9 --mix lobsters");
    assert_eq!((chosen.rounds, chosen.load.accounts), (7, 9));
    assert_eq!(chosen.load.mix, MixName::Lobsters);
    assert!(parse("capacity --quick").is_err());
}

#[test]
fn a_running_stack_is_given_whole_or_not_at_all() {
    let urls = "--page-url http://h:1 --accounts-url http://h:2 --endpoints-url http://h:3";
    assert!(parse(urls).is_err());
    assert!(parse("--accounts-url http://h:2").is_err());
    let whole = format!("{urls} --metrics-url http://h:4/base");
    let running = compare(&whole).run.stack.running().unwrap();
    assert_eq!(running.sources[Source::Metrics], "http://h:4/base");
    assert!(
        parse(&format!("{whole} --own-stack")).is_err(),
        "which of the two?"
    );
    assert_eq!(compare("").run.stack.which(), Which::RunningOrOwn);
    assert_eq!(compare("--own-stack").run.stack.which(), Which::Own);
}

#[test]
fn what_cannot_be_run_is_refused() {
    for arguments in [
        "--rate 0",
        "--rate NaN",
        "--rounds 0",
        "--turn-seconds -1",
        "--accounts 0",
        "--mix sometimes",
        "--mix 0",
        "--strategies often",
        "--inject metrics",
        "--inject page=1ms",
        "--inject metrics=500",
        "--page-url ftp://h --accounts-url http://h --endpoints-url http://h --metrics-url http://h",
        "report",
        "capacity --from 0",
    ] {
        assert!(parse(arguments).is_err(), "{arguments}");
    }
}

#[test]
fn words_are_quoted_where_a_shell_needs_it() {
    assert_eq!(quoted("--inject=metrics=500ms"), "--inject=metrics=500ms");
    assert_eq!(quoted("my results"), "'my results'");
    assert_eq!(quoted("it's"), r"'it'\''s'");
    assert_eq!(quoted(""), "''");
}
