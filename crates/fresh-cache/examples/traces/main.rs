//! Real traces through the cache, one strategy after the other: what each costs, and what it shows its readers.
//!
//! `cargo run --release -p fresh-cache --example traces`

mod replay;

use std::time::Duration;

use fresh_cache::{Refresh, Strategy};
use replay::{CLOUDPHYSICS, TWITTER, Trace, percent, replay};

const STRATEGIES: [(&str, Strategy, Refresh); 6] = [
    ("none", Strategy::None, Refresh::Read),
    ("ttl 60 s", Strategy::Ttl(Duration::from_mins(1)), Refresh::Read),
    ("versioned", Strategy::Versioned, Refresh::Read),
    ("invalidate", Strategy::Invalidate, Refresh::Read),
    ("prepopulate all", Strategy::Prepopulate, Refresh::All),
    ("prepopulate read", Strategy::Prepopulate, Refresh::Read),
];

fn main() {
    show(
        TWITTER,
        "Twitter, cluster 52, some keys, 88 minutes, writes inferred",
    );
    show(CLOUDPHYSICS, "CloudPhysics, one machine's disk, one hour");
}

/// Prints what every strategy makes of a trace.
fn show(name: &str, title: &str) {
    let trace = Trace::read(name);
    let requests = trace.requests.len();
    let writes = trace.requests.iter().filter(|request| request.write).count();
    println!(
        "\n{title}: {requests} requests, {:.1} % writes\n",
        percent(writes, requests)
    );
    println!(
        "| strategy         | hits   | stale reads     | oldest date | renders | requests | wasted refreshes |"
    );
    println!(
        "| ---------------- | -----: | --------------: | ----------: | ------: | -------: | ---------------: |"
    );
    for (strategy, of, refresh) in STRATEGIES {
        let tally = replay(&trace, of, refresh);
        assert_eq!(tally.lies, 0, "an answer lacked a write from before its own date");
        println!(
            "| {strategy:16} | {:4.1} % | {:6} ({:4.1} %) | {:9.3} s | {:7} | {:8} | {:16} |",
            tally.hit_percent(),
            tally.stale,
            percent(tally.stale, tally.reads),
            tally.oldest.as_secs_f64(),
            tally.renders,
            tally.fetches,
            tally.wasted,
        );
    }
}
