//! A trace, and a search for limits, through the real stack: short ones.

use clap::Parser as _;
use loadtest::capacity::capacity;
use loadtest::compare::Load;
use loadtest::config::{Command, Config};
use loadtest::progress::Progress;
use loadtest::replay::{self, replay};
use loadtest::results::{Kind, Results};
use loadtest::session::Session;

fn parse(arguments: &str) -> Command {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../data");
    let arguments = format!("loadtest {arguments} --traces {data}/traces --data {data}/uptime");
    Config::parse_from(arguments.split_whitespace()).wanted()
}

async fn replayed(arguments: &str) -> Results {
    let Command::Replay(config) = parse(arguments) else {
        panic!("{arguments} is no replay")
    };
    let (trace, stack) = (replay::read(&config).unwrap(), replay::stack(&config).unwrap());
    let mut session = Session::open(&stack, Progress::silent()).await.unwrap();
    let results = replay(&config, &trace, &mut session).await.unwrap();
    session.close().await.unwrap();
    results
}

async fn searched(arguments: &str) -> Results {
    let Command::Capacity(config) = parse(arguments) else {
        panic!("{arguments} is no search")
    };
    let load = Load::read(&config.load, &config.run.stack.traces).unwrap();
    let mut session = Session::open(&config.run.stack, Progress::silent())
        .await
        .unwrap();
    let results = capacity(&config, &load, &mut session).await.unwrap();
    session.close().await.unwrap();
    results
}

#[tokio::test]
async fn a_trace_is_replayed_with_all_strategies_on_the_same_accounts() {
    // Ten reads per second; on a busy machine even some of these may fail, which is not what is tested.
    let results = replayed("replay twitter52 --one-key-in 2000 --compression 600 --ttl-seconds 600").await;
    assert_eq!((results.kind, results.setup.ttl_seconds), (Kind::Replay, 1));
    assert_eq!(results.setup.compression, Some(600.0));
    let names: Vec<_> = results.strategies.iter().map(|it| it.strategy.as_str()).collect();
    assert_eq!(names, ["none", "ttl", "versioned", "invalidate", "prepopulate"]);
    let total = |name| &results.strategy(name).unwrap().total;
    for name in names {
        let (total, other) = (total(name), total("none"));
        assert_eq!(total.writes, other.writes, "all received the same");
        assert_eq!(
            (total.reads, total.writes + total.write_errors),
            (83, 6),
            "{name}"
        );
        let answers: u64 = total.outcomes.values().sum();
        assert_eq!(answers + total.errors.values().sum::<u64>(), total.reads);
        assert_eq!(total.mismatches, 0, "{name}: {total:?}");
        assert!(total.work.cpu_us.is_empty(), "all spend it at once");
    }
    let hits = |name| total(name).outcomes.get("hit").copied().unwrap_or_default();
    assert_eq!(hits("none"), 0);
    assert!(hits("invalidate") > 0);
    assert!(total("none").work.upstream_requests > total("invalidate").work.upstream_requests);
    assert!(total("invalidate").work.upstream_requests > Some(0));
    assert_eq!(total("invalidate").work.refreshes, Some(0));
}

#[tokio::test]
async fn limits_are_searched_in_turns_up_to_where_it_was_told_to_end() {
    let few = "--from 5 --to 10 --trial-seconds 1 --accounts 3 --strategies none,invalidate --budget-ms 5000 --own-stack";
    let results = searched(&format!("capacity {few}")).await;
    assert_eq!((results.kind, results.capacity.len()), (Kind::Capacity, 2));
    for found in &results.capacity {
        assert_eq!((found.held, found.missed), (Some(10.0), None), "{found:?}");
        assert_eq!(found.trials.len(), 2);
        assert!(found.trials.iter().all(|trial| trial.latency_us.count > 0));
    }
}

#[tokio::test]
async fn a_source_that_is_slower_than_the_budget_lets_none_hold_nothing_and_invalidate_much() {
    let slow = "--inject metrics=600ms --budget-ms 500 --strategies none,invalidate --mix 1000";
    let few = "--from 5 --to 10 --trial-seconds 1 --accounts 3";
    let results = searched(&format!("capacity {slow} {few} --own-stack")).await;
    let [none, invalidate] = &results.capacity[..] else {
        panic!("{results:?}")
    };
    assert_eq!((none.held, none.missed), (None, Some(5.0)), "{none:?}");
    assert!(none.trials.iter().all(|trial| trial.why.is_some()));
    assert_eq!(invalidate.held, Some(10.0), "{invalidate:?}");
}
