//! Real traces through the cache, one strategy after the other: what each costs, and what it shows its readers.
//!
//! `cargo run --release -p fresh-cache --example traces`, or with `-- twitter` or `-- cloudphysics` for one of them.

#[path = "../shared/dated.rs"]
mod dated;
#[path = "../shared/pages.rs"]
mod pages;
mod replay;

use std::time::Duration;

use fresh_cache::{RefreshScope, Strategy};
use replay::{CLOUDPHYSICS, TWITTER, Trace, percent, replay};

const STRATEGIES: [(&str, Strategy, RefreshScope); 6] = [
    ("none", Strategy::None, RefreshScope::Read),
    (
        "ttl 60 s",
        Strategy::Ttl(Duration::from_mins(1)),
        RefreshScope::Read,
    ),
    ("versioned", Strategy::Versioned, RefreshScope::Read),
    ("invalidate", Strategy::Invalidate, RefreshScope::Read),
    ("prepopulate all", Strategy::Prepopulate, RefreshScope::All),
    ("prepopulate read", Strategy::Prepopulate, RefreshScope::Read),
];

const TRACES: [(&str, &str, &str); 2] = [
    (
        "twitter",
        TWITTER,
        "Twitter, cluster 52, some keys, 88 minutes, writes inferred",
    ),
    (
        "cloudphysics",
        CLOUDPHYSICS,
        "CloudPhysics, one machine's disk, one hour",
    ),
];

fn main() -> Result<(), String> {
    let wanted = std::env::args().nth(1);
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    if !TRACES.iter().any(|&(name, ..)| is_wanted(name)) {
        return Err("there are two traces: twitter and cloudphysics".to_owned());
    }
    for (_, file, title) in TRACES.into_iter().filter(|&(name, ..)| is_wanted(name)) {
        show(file, title);
    }
    Ok(())
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
        assert_eq!(
            tally.false_dates, 0,
            "an answer lacked a write from before its own date"
        );
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
