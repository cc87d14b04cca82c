//! Every setting: a flag, and an environment variable of the same name.

use std::net::SocketAddr;
use std::time::Duration;

use http_edge::AllowedHosts;
use telemetry::TelemetryConfig;
use url::Url;

/// Measures from outside how long a change takes to appear on the page.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Config {
    /// Where to listen, for `/metrics` and the health checks.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8092")]
    pub listen: SocketAddr,

    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// The root of the accounts service.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:8081")]
    pub accounts_url: Url,

    /// The root of a page service; repeat it for each replica. Separate them by commas in the variable.
    #[arg(
        long = "page-url",
        env = "PAGE_URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8080"
    )]
    pub page_urls: Vec<Url>,

    /// Milliseconds from one change to the next.
    #[arg(
        long = "every",
        env = "EVERY_MS",
        value_name = "MS",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub every_ms: u64,

    /// Milliseconds after which the canary stops waiting for a page to show a change.
    #[arg(
        long = "give-up-after",
        env = "GIVE_UP_AFTER_MS",
        value_name = "MS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub give_up_after_ms: u64,

    /// How far the clocks of this host and of the sources may differ before a page that lacks a change counts as wrong.
    #[arg(long, env = "CLOCK_SKEW_MS", default_value_t = 0)]
    pub clock_skew_ms: u32,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

impl Config {
    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }

    pub(crate) fn give_up_after(&self) -> Duration {
        Duration::from_millis(self.give_up_after_ms)
    }

    pub(crate) fn clock_skew(&self) -> Duration {
        Duration::from_millis(self.clock_skew_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_settings_hold_together() {
        Config::command().debug_assert();
    }

    #[test]
    fn every_replica_may_be_named() {
        let config = Config::parse_from(["canary", "--page-url=http://a:1", "--page-url=http://b:2"]);
        let hosts: Vec<_> = config.page_urls.iter().filter_map(Url::host_str).collect();
        assert_eq!(hosts, ["a", "b"]);
    }
}
