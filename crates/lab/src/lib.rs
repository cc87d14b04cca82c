#![doc = include_str!("../README.md")]

pub mod config;
pub mod console;
pub mod data;
pub mod folder;
pub mod ports;
pub mod replay;
pub mod seed;
pub mod sources;
pub mod stack;
pub mod supervisor;
pub mod up;
pub mod welcome;

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime;

use crate::config::{Command, Config};
use crate::console::Console;

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
    // One thread, this one, which lives as long as the process: the children's parent, in the kernel's eyes.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    match config.command {
        Command::Up(config) => {
            let console = Console::new(io::stdout(), config::colour());
            runtime.block_on(up::up(&config, &console))
        }
    }
}
