#![doc = include_str!("../README.md")]

pub mod arm;
pub mod baseline;
pub mod capacity;
pub mod client;
pub mod compare;
pub mod config;
mod derived;
mod describe;
mod figures;
pub mod furnish;
pub mod generator;
pub mod histogram;
pub mod known;
pub mod machine;
pub mod output;
pub mod plan;
pub mod probe;
pub mod progress;
pub mod random;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod scrape;
pub mod session;
pub mod signals;
pub mod source;
pub mod stack;
pub mod strategy;
pub mod table;
pub mod verdict;
pub mod warming;
pub mod workload;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::runtime::Builder;

use crate::config::Config;
use crate::run::Ended;

/// It was called wrongly (`EX_USAGE`): clap's own 2 means that a run left something undecided.
const CALLED_WRONGLY: u8 = 64;
/// The run could not be done (`EX_UNAVAILABLE`).
const NOT_DONE: u8 = 69;

/// Does what the command line asks, and says on standard error why it could not.
pub fn main() -> ExitCode {
    let config = match Config::try_parse() {
        Ok(config) => config,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { CALLED_WRONGLY } else { 0 });
        }
    };
    match run_on_one_thread(config) {
        Ok(ended) => ExitCode::from(ended.status()),
        Err(error) => {
            eprintln!("\nloadtest: {error:#}");
            ExitCode::from(NOT_DONE)
        }
    }
}

/// One thread: what this program does is little, and the stack needs the other processors.
fn run_on_one_thread(config: Config) -> anyhow::Result<Ended> {
    let mut threads = Builder::new_current_thread();
    let runtime = threads.enable_all().build().context("starting the runtime")?;
    runtime.block_on(run::run(config.wanted()))
}
