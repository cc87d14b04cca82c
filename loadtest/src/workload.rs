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
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

pub use mix::Mix;
pub use popularity::Popularity;
pub use trace::{Request, Trace, TraceName};

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| {
        format!(
            "there is no recorded workload at {}: run this from the top of the clone",
            path.display()
        )
    })
}

/// The rows of a recording.
fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(open(path)?));
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.with_context(|| format!("reading {}", path.display()))
}

/// Where a key stands in the order by which keys are left out: a hash of it, the same on every machine (`SplitMix64`, two steps).
fn rank(key: u32) -> u64 {
    let step = |state: u64| {
        let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    step(step(u64::from(key).wrapping_mul(0xd134_2543_de82_ef95)))
}

#[cfg(test)]
fn traces() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/traces")
}
