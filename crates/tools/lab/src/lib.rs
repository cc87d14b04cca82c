#![doc = include_str!("../README.md")]

pub mod addresses;
pub mod config;
pub mod folder;
pub mod measure;
pub mod parts;
pub mod replay;
mod room;
pub mod seeding;
pub mod strategies;
pub mod up;
pub mod web;
pub mod welcome;

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use stack::console::Console;
use tokio::runtime::Builder;

use crate::config::{Command, Config};

/// Does what the command line asks, and says on standard error why it could not.
pub fn main() -> ExitCode {
    let outcome = run(Config::parse());
    if let Err(error) = &outcome {
        eprintln!("\nlab: {error:#}");
    }
    if outcome.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(config: Config) -> Result<()> {
    match config.command {
        Command::Up(config) => {
            let console = Console::new(io::stdout(), config::colour());
            // One thread, this one, which lives as long as the process: the children's parent, in the kernel's eyes.
            run_on(Builder::new_current_thread(), up::up(&config, &console))
        }
        Command::Seed(config) => run_on(Builder::new_current_thread(), seeding::seed_once(&config)),
        // A replica applies its feed on a thread of its own, and so does this.
        Command::Measure(config) => run_on(Builder::new_multi_thread(), measure::measure(&config)),
    }
}

fn run_on(mut threads: Builder, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = threads.enable_all().build().context("starting the runtime")?;
    runtime.block_on(work)
}
