//! What was compared, and how, in sentences: the head of the table and of the report.

use crate::figures::{chosen, grouped, listed};
use crate::results::{Injected, Kind, Results, Setup};

/// What this run did, for a reader who knows nothing of it yet; but for what was injected.
pub(crate) fn sentences(results: &Results) -> [String; 3] {
    let budget = results.setup.budget_ms;
    [
        asked(results),
        load(&results.setup),
        format!(
            "An answer is within the budget if it took less than {budget} ms.{}",
            ttl(results)
        ),
    ]
}

/// What was made slower on purpose.
pub(crate) fn injected(injected: &[Injected]) -> String {
    if injected.is_empty() {
        return "No latency was injected: the sources answered as fast as they could.".to_owned();
    }
    let sources: Vec<String> = injected
        .iter()
        .map(|it| format!("{} ms into {}", it.latency_ms, it.source))
        .collect();
    format!(
        "Injected on purpose: {}, added to each answer about an account.",
        listed(&sources)
    )
}

fn asked(results: &Results) -> String {
    let names = listed(&results.names());
    let setup = &results.setup;
    let seconds = chosen(setup.turn_seconds);
    match results.kind {
        Kind::Compare => {
            let turns = turns(setup.rounds);
            format!(
                "The caching strategies {names} under the same load, one after the other: {turns} of {seconds} s for each, in rounds."
            )
        }
        Kind::Replay => {
            let faster = setup.compression.filter(|times| *times > 1.0);
            let faster = faster
                .map(|times| format!(", {} times as fast", chosen(times)))
                .unwrap_or_default();
            format!(
                "A recorded workload was replayed within {seconds} s{faster}: every read was sent to each of the caching strategies \
                 {names}, at the same time."
            )
        }
        Kind::Budget => {
            let turns = turns(setup.rounds);
            format!(
                "One caching strategy, read with different waits and maximum ages: {turns} of {seconds} s for each."
            )
        }
        Kind::Capacity => format!(
            "For each of the caching strategies {names}, the highest rate of reads that it sustains was searched, by trials of {seconds} s."
        ),
    }
}

fn turns(rounds: u32) -> String {
    if rounds == 1 {
        "1 turn".to_owned()
    } else {
        format!("{rounds} turns")
    }
}

fn load(setup: &Setup) -> String {
    let rate = if setup.rate_per_second > 0.0 {
        format!("{} requests arrive per second", chosen(setup.rate_per_second))
    } else {
        "Requests arrive".to_owned()
    };
    let accounts = if setup.accounts == 1 {
        "account"
    } else {
        "accounts"
    };
    format!(
        "{rate}, whether or not earlier ones were answered, on {} {accounts}; popularity of pages: {}; mix: {}.",
        grouped(setup.accounts as u64),
        setup.popularity,
        setup.mix
    )
}

fn ttl(results: &Results) -> String {
    if results.names().iter().any(|name| name == crate::strategy::TTL) {
        format!(
            " The strategy ttl shows a page for {} s without asking the sources.",
            results.setup.ttl_seconds
        )
    } else {
        String::new()
    }
}
