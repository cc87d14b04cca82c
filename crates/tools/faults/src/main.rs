//! The program: parse, run until done or told to stop, report.

use std::process::ExitCode;

use clap::Parser as _;
use faults::config::Config;
use faults::report::Report;
use faults::run::{made_up_seed, run};
use stack::StopSignals;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    let seed = config.seed.unwrap_or_else(made_up_seed);
    println!(
        "seed {seed}: it replays the schedule of every round, not the timing inside, which is the machine's\n"
    );
    let mut signals = StopSignals::new().expect("signals can be listened to");
    let mut report = Report::default();
    // Whoever is told to stop drops the run, and with it every process that it started.
    let interrupted = tokio::select! {
        () = run(&config, seed, &mut report) => false,
        _ = signals.next() => true,
    };
    println!("{report}");
    println!("seed {seed}, {} rounds", report.rounds);
    if interrupted {
        println!("stopped before its end");
        return ExitCode::from(130);
    }
    report.verdict().code().into()
}
