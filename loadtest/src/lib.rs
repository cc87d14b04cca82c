#![doc = include_str!("../README.md")]

pub mod arm;
pub mod baseline;
pub mod budget;
pub mod capacity;
pub mod client;
pub mod compare;
pub mod config;
mod derived;
mod describe;
mod figures;
pub mod fixtures;
pub mod generator;
pub mod histogram;
pub mod machine;
pub mod oracle;
pub mod output;
pub mod plan;
pub mod probe;
pub mod progress;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod scrape;
pub mod session;
pub mod stack;
pub mod strategy;
pub mod table;
pub mod target;
pub mod verdict;
pub mod warming;
pub mod workload;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::runtime::Builder;

use crate::config::Config;
use crate::run::Ended;

/// The run could not be done (`EX_UNAVAILABLE`).
const NOT_DONE: u8 = 69;

/// Does what the command line asks, and says on standard error why it could not.
pub fn main() -> ExitCode {
    // A wrong call ends here, with 2, as that of every program here does.
    let config = Config::parse();
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
