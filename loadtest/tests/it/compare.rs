//! A whole comparison on the real stack, too short to say how fast anything is, long enough to say whether it is true.

use std::path::Path;

use clap::Parser as _;
use loadtest::compare::{Load, compare};
use loadtest::config::{Command, CompareConfig, Config};
use loadtest::progress::Progress;
use loadtest::results::{Kind, Numbers, Results};
use loadtest::session::Session;
use loadtest::strategy::Strategy;

fn config(arguments: &str) -> CompareConfig {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = |name: &str| clone.join("data").join(name).display().to_string();
    let fixed = ["loadtest", "--own-stack"].map(str::to_owned);
    let folders = [
        format!("--traces={}", folder("traces")),
        format!("--data={}", folder("uptime")),
    ];
    let given = arguments.split_whitespace().map(str::to_owned);
    let all = fixed.into_iter().chain(folders).chain(given);
    match Config::try_parse_from(all).unwrap().wanted() {
        Command::Compare(config) => config,
        other => panic!("{other:?}"),
    }
}

async fn run(arguments: &str) -> Results {
    let config = config(arguments);
    let load = Load::read(&config.load, &config.run.stack.traces).unwrap();
    let mut session = Session::open(&config.run.stack, Progress::silent())
        .await
        .unwrap();
    let results = compare(&config, &load, &mut session).await.unwrap();
    session.close().await.unwrap();
    results
}

/// Whether a turn asked the same as another one.
fn asked(numbers: &Numbers) -> (u64, u64) {
    (numbers.reads, numbers.writes)
}

#[tokio::test]
async fn all_strategies_get_the_same_load_and_only_a_ttl_serves_old_pages() {
    let results = run("--rounds 2 --turn-seconds 1.2 --accounts 5 --rate 60 --mix 3").await;
    assert_eq!(results.kind, Kind::Compare);
    assert_eq!(results.setup.stack, "started for this run");
    assert_eq!((results.setup.accounts, results.setup.rounds), (5, 2));
    let names: Vec<_> = results.strategies.iter().map(|it| it.strategy.as_str()).collect();
    assert_eq!(names, Strategy::ALL.map(Strategy::name));
    for it in &results.strategies {
        let (name, total) = (&it.strategy, &it.total);
        assert_eq!(it.rounds.len(), 2);
        assert_eq!(it.seconds.len(), 4, "a turn of 1.2 s has two of them");
        assert!(
            total.errors.is_empty() && total.write_errors == 0,
            "{name}: {total:?}"
        );
        assert_eq!(total.mismatches, 0, "{name}");
        for (round, first) in it.rounds.iter().zip(&results.strategies[0].rounds) {
            assert_eq!(asked(round), asked(first), "{name}");
        }
        assert_eq!(
            total.reads,
            it.rounds.iter().map(|round| round.reads).sum::<u64>()
        );
        assert_eq!(total.latency_us.count, total.reads, "{name}");
        let told: u64 = it.latency.0.iter().map(|(_, count)| count).sum();
        assert_eq!(told, total.reads, "{name}");
        assert!(total.work.cpu_us["page"] > 0, "{name}");
        assert!(
            total.work.upstream_requests.is_some() && total.work.renders.is_some(),
            "{name}"
        );
        if name == "ttl" {
            assert!(
                total.behind > 0 && total.never_visible == total.probes,
                "{total:?}"
            );
        } else {
            assert_eq!((total.stale, total.never_visible), (0, 0), "{name}: {total:?}");
            assert_eq!(total.visible_us.unwrap().count, total.probes, "{name}");
        }
    }
    let upstream = |name| results.strategy(name).unwrap().total.upstream_per_page().unwrap();
    assert!((upstream("none") - 3.0).abs() < 1e-9, "{}", upstream("none"));
    assert!(upstream("ttl") < 0.5, "{}", upstream("ttl"));
    assert!(upstream("invalidate") < upstream("none"));

    // What is written is read back: the report is made of it.
    let text = serde_json::to_string(&results).unwrap();
    let read: Results = serde_json::from_str(&text).unwrap();
    for (read, it) in read.strategies.iter().zip(&results.strategies) {
        assert!(
            read.latency == it.latency && read.seconds == it.seconds,
            "{}",
            it.strategy
        );
    }
}

#[tokio::test]
async fn injected_latency_is_felt_and_told() {
    let arguments = "--rounds 1 --turn-seconds 1 --accounts 3 --rate 20 --inject metrics=150ms --strategies invalidate,none";
    let results = run(arguments).await;
    assert_eq!(results.setup.injected.len(), 1);
    let [none, invalidate] = results.strategies.as_slice() else {
        panic!("{} strategies", results.strategies.len());
    };
    assert!(
        none.total.latency_us.p50 >= 150_000,
        "{:?}",
        none.total.latency_us
    );
    assert!(
        invalidate.total.latency_us.p50 < none.total.latency_us.p50,
        "{:?}",
        invalidate.total.latency_us
    );
}
