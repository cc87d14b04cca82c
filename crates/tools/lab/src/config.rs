//! Every setting of the lab: a flag, a variable of the same name, a default.

mod sources;

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use http_edge::AllowedHosts;

use stack::{Source, ports};

pub use self::sources::{SourcePorts, SourceUrls};

/// The strategies that a replica may be started with, and a request may choose.
pub(crate) const STRATEGIES: [&str; 5] = ["none", "ttl", "versioned", "invalidate", "prepopulate"];

/// Where the page is unless a flag says otherwise.
pub(crate) const PAGE_URL: &str = "http://127.0.0.1:8080";

/// The whole stack on one machine.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the lab does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts NATS, the three sources and the page's replicas, seeds real data, and replays it until Ctrl-C.
    Up(UpConfig),
    /// Measures, on a running stack, how long a write takes to be applied by a replica and to be on the page.
    Measure(MeasureConfig),
    /// Fills a stack that runs elsewhere, and has no accounts yet, with the recorded data.
    Seed(SeedConfig),
}

/// Settings of `lab up`.
#[derive(Args, Clone, Debug)]
pub struct UpConfig {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub ports: PortConfig,

    /// How many page services run side by side, each with its own cache.
    #[arg(long, env = "REPLICAS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub replicas: u16,

    /// How pages are kept fresh, unless a request chooses: `curl -H 'Cache-Strategy: none' …`.
    #[arg(long, env = "STRATEGY", default_value = "invalidate")]
    #[arg(value_parser = STRATEGIES)]
    pub strategy: String,

    /// Where databases and the broker's store live; created if missing, one lab at a time.
    #[arg(long, env = "DATA_DIR", default_value = ".run")]
    pub data_dir: PathBuf,

    /// The recorded data: a folder with `endpoints.csv` and `samples.csv.gz`.
    #[arg(long, env = "DATA", default_value = "data/uptime")]
    pub data: PathBuf,

    /// How many times faster than it was recorded the data is replayed: 300 makes a day five minutes, 0 turns it off.
    #[arg(long, env = "REPLAY_SPEED", default_value_t = 300)]
    pub replay_speed: u32,

    /// The nats-server to run; without it, the one on PATH.
    #[arg(long, env = "NATS_SERVER", default_value = "nats-server")]
    pub nats_server: PathBuf,

    /// Where the services' programs are; without it, beside the lab's own.
    #[arg(long, env = "PROGRAMS")]
    pub programs: Option<PathBuf>,

    /// Under which names the lab's page answers; the variable is for the services that it starts, too.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// Where traces go instead of to the viewer that the lab starts, as the root of a collector: OTLP over HTTP.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,
}

/// Settings of `lab seed`.
#[derive(Args, Clone, Debug)]
pub struct SeedConfig {
    /// The recorded data: a folder with `endpoints.csv` and `samples.csv.gz`.
    #[arg(long, env = "DATA", default_value = "data/uptime")]
    pub data: PathBuf,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub sources: SourceUrls,
}

/// Settings of `lab measure`.
#[derive(Args, Clone, Debug)]
pub struct MeasureConfig {
    /// How many writes.
    #[arg(long, env = "WRITES", default_value_t = 2000)]
    pub writes: u32,

    /// How many of them per second.
    #[arg(long, env = "RATE", default_value_t = 200)]
    pub rate: u32,

    /// The accounts service, which is written to.
    #[arg(long, env = "ACCOUNTS_URL", default_value_t = ports::url(Source::Accounts.info().port))]
    pub accounts_url: String,

    /// The page that is read.
    #[arg(long, env = "PAGE_URL", default_value = PAGE_URL)]
    pub page_url: String,

    /// The broker that is listened to.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,
}

/// Where each part listens, on 127.0.0.1. 0 is any free port.
#[derive(Args, Clone, Debug)]
pub struct PortConfig {
    /// The broker.
    #[arg(long, env = "NATS_PORT", default_value_t = 4222)]
    pub nats_port: u16,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub sources: SourcePorts,

    /// The first page replica; each further one is 100 higher.
    #[arg(long, env = "PAGE_PORT", default_value_t = 8080)]
    pub page_port: u16,

    /// The lab's own page: the stack as a picture, and what breaks it.
    #[arg(long, env = "LAB_PORT", default_value_t = 8090)]
    pub lab_port: u16,

    /// Where traces can be looked at, unless they go elsewhere.
    #[arg(long, env = "TRACES_PORT", default_value_t = 8091)]
    pub traces_port: u16,

    /// The page as it is usually written, to be compared with; it runs only while it is wanted on the lab's page.
    #[arg(long, env = "NAIVE_PORT", default_value_t = 8093)]
    pub naive_port: u16,
}

/// Whether names are written in colour: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn colour() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is config.rs; the standard asks about presence, not a value"
    )]
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !refused
}
