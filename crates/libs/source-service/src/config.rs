//! The settings that every source has: a flag, and an environment variable of the same name.

use event_bus::{FailPoint, NatsConfig, StreamReplicas};
use http_edge::AllowedHosts;
use telemetry::TelemetryConfig;

/// Settings of a source, besides its address and its database. Flatten it into the service's own settings.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceConfig {
    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// The broker.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// The JetStream stream that holds the events of every source.
    #[arg(long, env = "STREAM", default_value = "EVENTS")]
    pub stream: String,

    /// How many servers keep the stream, if this service creates it: 1, or 3 or 5 in a cluster. An existing stream stays as
    /// it is.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t)]
    pub stream_replicas: StreamReplicas,

    /// The first token of every subject of the stream.
    #[arg(long, env = "SUBJECT_PREFIX", default_value = "events")]
    pub subject_prefix: String,

    /// Give the database a new incarnation, and replace the process that publishes for this source now, even if it is alive.
    /// Set it for one start. You do not need it after a restore: the service detects a database that was set back.
    #[arg(long, env = "RENEW_INCARNATION")]
    pub renew_incarnation: bool,

    /// Milliseconds by which every answer to the read that pages make is delayed; at most 9000. Injected for lessons; 0 in
    /// production. The answer is made before the delay, as by a slow query, and names it in `Server-Timing`.
    #[arg(
        long = "inject-latency",
        env = "INJECT_LATENCY_MS",
        value_name = "MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=9_000)
    )]
    pub inject_latency_ms: u64,

    /// Milliseconds added to the time of events and watermarks; may be negative. Injected for lessons and fault tests; 0 in
    /// production. Times in the data stay true.
    #[arg(
        long,
        env = "INJECT_CLOCK_OFFSET_MS",
        value_name = "MS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub inject_clock_offset_ms: i64,

    /// Where a test ends the process, as a kill would.
    #[arg(long, env = "FAIL_POINT", hide = true)]
    pub fail_point: Option<FailPoint>,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}
