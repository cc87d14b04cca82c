//! What others recorded, read from `data/traces`: which pages are read how often, how many reads come to one write,
//! and whole sequences of requests.
//!
//! Requests are made fewer by leaving out keys, never by leaving out requests of a key: a sample of keys keeps how often each of
//! them comes back, and with it the share of reads that a cache can answer (SHARDS, Waldspurger et al., FAST 2015).

mod mix;
mod popularity;
mod trace;

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::random::Random;

pub use mix::Mix;
pub use popularity::Popularity;
pub use trace::{Request, Trace, TraceName};

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| {
        format!(
            "the recorded workload is not at {}: start from the top of the clone",
            path.display()
        )
    })
}

/// Where a key stands in the order by which keys are left out: the same on every machine.
fn rank(key: u32) -> u64 {
    Random::new(0, key.into()).next()
}

#[cfg(test)]
fn traces() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/traces")
}
