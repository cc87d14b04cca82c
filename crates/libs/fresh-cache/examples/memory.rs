//! What a million empty pages take, beside as many entries of the store underneath: the overhead, and nothing else.
//!
//! `cargo run --release -p fresh-cache --example memory`. Linux only, which says what a process has resident.

#[path = "../benches/cost/pages.rs"]
mod pages;

use std::fs;

use fresh_cache::{FeedOptions, Strategy, feed};
use pages::{Pages, SOURCES, fill, fill_bare};

const ENTRIES: u64 = 1_000_000;

fn main() {
    println!("{ENTRIES} entries each\n");
    println!("| what is kept               | bytes per page |");
    println!("| -------------------------- | --------------: |");
    let keys = || Pages::new(0, 1).keys(ENTRIES);
    let _bare = weigh("bare moka", || fill_bare(keys()));
    let _caches = [1, SOURCES].map(|fragments| {
        weigh(&format!("fresh-cache, fragments: {fragments}"), || {
            let (feed, _consumer) = feed::channel(SOURCES, FeedOptions::default());
            let cache = Pages::new(fragments, 1).cache(Strategy::Invalidate, feed);
            fill(&cache, keys());
            cache
        })
    });
}

/// Prints what this makes the process grow by; what it makes must be kept, or the next one takes its place.
fn weigh<T>(name: &str, make: impl FnOnce() -> T) -> T {
    let before = resident_bytes();
    let kept = make();
    let bytes = (resident_bytes() - before) / ENTRIES;
    println!("| {name:26} | {bytes:15} |");
    kept
}

/// The memory of this process.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes
        .and_then(|number| number.parse().ok())
        .expect("the kernel says it in kB");
    kibibytes * 1024
}
