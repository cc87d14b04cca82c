//! Every setting: a flag, and an environment variable of the same name. They are those of `page`, where it has them.

use std::net::SocketAddr;

use http_edge::AllowedHosts;
use telemetry::TelemetryConfig;
use url::Url;

/// The page service as it is usually written. It is here for comparison; do not use it.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Config {
    /// Where to listen.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// The root of the accounts service.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:8081")]
    pub accounts_url: Url,

    /// The root of the endpoints service.
    #[arg(long, env = "ENDPOINTS_URL", default_value = "http://127.0.0.1:8082")]
    pub endpoints_url: Url,

    /// The root of the metrics service.
    #[arg(long, env = "METRICS_URL", default_value = "http://127.0.0.1:8083")]
    pub metrics_url: Url,

    /// The broker. The service does not start without it.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,

    /// The first token of every event's subject.
    #[arg(long, env = "SUBJECT_PREFIX", default_value = "events")]
    pub subject_prefix: String,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}
