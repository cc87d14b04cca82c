//! Every setting: a flag, and an environment variable of the same name.

use std::net::SocketAddr;
use std::path::PathBuf;

use event_bus::{FailPoint, NatsConfig, StreamReplicas};
use http_edge::AllowedHosts;
use telemetry::TelemetryConfig;

/// Owns metrics: samples of those URLs, and their summaries.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Config {
    /// Where to listen. Loopback by default: there is no authentication here.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8083")]
    pub listen: SocketAddr,

    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// The SQLite file; created if it is not there.
    #[arg(long, env = "DATABASE", default_value = "metrics.db")]
    pub database: PathBuf,

    /// The broker.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// The JetStream stream that holds every source's events.
    #[arg(long, env = "STREAM", default_value = "EVENTS")]
    pub stream: String,

    /// How many servers are to keep the stream if it has to be made: 1, or in a cluster 3 or 5. One that is there stays as
    /// it is.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t)]
    pub stream_replicas: StreamReplicas,

    /// The first token of every subject in it.
    #[arg(long, env = "SUBJECT_PREFIX", default_value = "events")]
    pub subject_prefix: String,

    /// Replace whatever publishes for this source now, also if it is alive, and give the database a new incarnation. To be set
    /// for one start. After a restore it is not needed: a database that was set back is found out.
    #[arg(long, env = "RENEW_INCARNATION")]
    pub renew_incarnation: bool,

    /// For lessons: hold every answer of `GET /accounts/{id}/metrics` back for so many milliseconds, at most 9000. The
    /// answer is already made by then, as by a slow query, and says so in `Server-Timing`.
    #[arg(
        long = "inject-latency",
        env = "INJECT_LATENCY_MS",
        value_name = "MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=9_000)
    )]
    pub inject_latency_ms: u64,

    /// For lessons and fault tests: how far ahead of the machine's clock this source's shall be (behind it, if negative) in
    /// all that its events say of when something was committed and up to when all is out. Times in the data stay true.
    #[arg(
        long,
        env = "INJECT_CLOCK_OFFSET_MS",
        value_name = "MS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub inject_clock_offset_ms: i64,

    /// For tests: end the process there, as a kill would.
    #[arg(long, env = "FAIL_POINT", hide = true)]
    pub fail_point: Option<FailPoint>,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}
