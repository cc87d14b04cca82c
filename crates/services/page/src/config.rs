//! Every setting: a flag, and an environment variable of the same name.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use event_bus::{NatsConfig, StreamReplicas};
use fresh_cache::RefreshScope;
use http_edge::AllowedHosts;
use telemetry::TelemetryConfig;
use url::Url;

use crate::caches::StrategyName;
use crate::source::Source;
use crate::upstream::UpstreamOptions;

/// Composes the fragments of one account into a page, and keeps it fresh by events.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Config {
    /// Where to listen. Loopback by default: there is no authentication here.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// The name of this replica. Each answer has it in `Served-By`; without a name there is no such header.
    #[arg(long, env = "INSTANCE_NAME")]
    pub instance_name: Option<HeaderValue>,

    /// The root of the accounts service.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:8081", value_parser = parse_root)]
    pub accounts_url: Url,

    /// The root of the endpoints service.
    #[arg(long, env = "ENDPOINTS_URL", default_value = "http://127.0.0.1:8082", value_parser = parse_root)]
    pub endpoints_url: Url,

    /// The root of the metrics service.
    #[arg(long, env = "METRICS_URL", default_value = "http://127.0.0.1:8083", value_parser = parse_root)]
    pub metrics_url: Url,

    /// How long accounts may take to answer. Below a second, for how long an answer stands in for trust (rule
    /// 12).
    #[arg(long, env = "ACCOUNTS_DEADLINE_MS", default_value_t = 900)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..1000))]
    pub accounts_deadline_ms: u16,

    /// The same for endpoints.
    #[arg(long, env = "ENDPOINTS_DEADLINE_MS", default_value_t = 900)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..1000))]
    pub endpoints_deadline_ms: u16,

    /// The same for metrics.
    #[arg(long, env = "METRICS_DEADLINE_MS", default_value_t = 900)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..1000))]
    pub metrics_deadline_ms: u16,

    /// How many requests each source gets at once: a lost feed must not become a stampede on the sources.
    #[arg(long, env = "UPSTREAM_CONCURRENCY", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub upstream_concurrency: u16,

    /// How many more wait for their turn at each source, first come, first served. What is beyond is not sent.
    #[arg(long, env = "UPSTREAM_WAITING", default_value_t = 1024)]
    pub upstream_waiting: u16,

    /// How long such a request waits if its reader has nothing to see without it; the source's deadline begins after that. With
    /// what is known of the fragment, it waits as long as an answer may take. A reader is sent away after ten seconds.
    #[arg(long, env = "UPSTREAM_TURN_WITHIN_MS", default_value_t = 8000)]
    #[arg(value_parser = clap::value_parser!(u16).range(..=9000))]
    pub upstream_turn_within_ms: u16,

    /// The longest answer of a source that is read, in bytes. 500 endpoints with a week of metrics take about
    /// 2 MiB.
    #[arg(long, env = "UPSTREAM_BODY_LIMIT", default_value_t = 4 * 1024 * 1024)]
    pub upstream_body_limit: usize,

    /// The broker.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// The JetStream stream that holds every source's events.
    #[arg(long, env = "STREAM", default_value = "EVENTS")]
    pub stream: String,

    /// How many servers are to keep the stream if this replica has to make it, which its sources do as a rule: 1, or in a
    /// cluster 3 or 5. One that is there stays as it is.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t)]
    pub stream_replicas: StreamReplicas,

    /// The first token of every subject in it.
    #[arg(long, env = "SUBJECT_PREFIX", default_value = "events")]
    pub subject_prefix: String,

    /// How pages are kept fresh.
    #[arg(long, env = "STRATEGY", value_enum, default_value_t = StrategyName::Invalidate)]
    pub strategy: StrategyName,

    /// For how long `ttl` shows a page without asking.
    #[arg(long, env = "TTL_SECONDS", default_value_t = 60)]
    pub ttl_seconds: u32,

    /// Which pages `prepopulate` composes anew when an event came.
    #[arg(long, env = "REFRESH", value_enum, default_value_t = RefreshName::Read)]
    pub refresh: RefreshName,

    /// Lets a request choose another strategy (`Cache-Strategy: none`), for comparison. Each then has a cache of its own, of
    /// `--cache-bytes`.
    #[arg(long, env = "ALLOW_OVERRIDE")]
    pub allow_override: bool,

    /// How often a resident page is compared with its sources; 0: never.
    #[arg(long, env = "AUDIT_INTERVAL_MS", default_value_t = 1000)]
    pub audit_interval_ms: u32,

    /// How long a reader waits for a load if its request has no `Prefer: wait-ms=` or `wait=` (rule 26). After that it gets what is
    /// known, marked as stale. If nothing is known, it waits until something is. The strategy `none` ignores this.
    #[arg(long, env = "WAIT_MS", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u16).range(..=10_000))]
    pub wait_ms: u16,

    /// The memory for cached pages, in bytes: about a thousand of 100 KiB, fragments included.
    #[arg(long, env = "CACHE_BYTES", default_value_t = 128 * 1024 * 1024)]
    pub cache_bytes: u64,

    /// For how long the last known fragment is shown, marked, while its source does not answer (rule 12).
    #[arg(long, env = "MAX_STALE_SECONDS", default_value_t = 3600)]
    pub max_stale_seconds: u32,

    /// How many fences there are, a power of two. Accounts that share one cost each other a conditional
    /// request.
    #[arg(long, env = "FENCES", default_value_t = 65_536, value_parser = parse_power_of_two)]
    pub fences: usize,

    /// By how much the clocks of the sources' hosts may differ from this one's. Zero is right for one
    /// machine.
    #[arg(long, env = "CLOCK_SKEW_MS", default_value_t = 0)]
    pub clock_skew_ms: u32,

    /// How many page requests may be under way; those beyond it are refused with 503.
    #[arg(long, env = "MAX_REQUESTS", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub max_requests: u16,

    /// For tests: panic there.
    #[arg(long, env = "FAIL_POINT", hide = true)]
    pub fail_point: Option<FailPoint>,

    /// Where a trace can be looked at: an address with `{trace_id}` in it. The footer of a page links it.
    #[arg(long, env = "TRACE_URL_PATTERN", value_parser = parse_trace_pattern)]
    pub trace_url_pattern: Option<String>,

    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// Where a test makes a task panic, to see what becomes of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailPoint {
    /// Where the feed is applied, at the first change.
    Apply,
    /// At the beginning of the warm-up.
    WarmUp,
}

impl FailPoint {
    /// Panics if this is the one that was set.
    pub(crate) fn reach(self, set: Option<Self>) {
        assert!(set != Some(self), "fail point reached");
    }
}

/// Which pages an event refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RefreshName {
    /// Those that were read since their last refresh.
    Read,
    /// Those that are cached, read or not.
    Resident,
    /// Every page of the account, also those that nobody ever asked for.
    All,
}

impl From<RefreshName> for RefreshScope {
    fn from(name: RefreshName) -> Self {
        match name {
            RefreshName::Read => Self::Read,
            RefreshName::Resident => Self::Resident,
            RefreshName::All => Self::All,
        }
    }
}

impl Config {
    /// Where a source is, and what it is allowed.
    pub(crate) fn upstream(&self, source: Source) -> UpstreamOptions {
        let (url, deadline_ms) = match source {
            Source::Accounts => (&self.accounts_url, self.accounts_deadline_ms),
            Source::Endpoints => (&self.endpoints_url, self.endpoints_deadline_ms),
            Source::Metrics => (&self.metrics_url, self.metrics_deadline_ms),
        };
        UpstreamOptions {
            url: url.clone(),
            deadline: Duration::from_millis(deadline_ms.into()),
            concurrency: self.upstream_concurrency.into(),
            waiting: self.upstream_waiting.into(),
            turn_within: Duration::from_millis(self.upstream_turn_within_ms.into()),
            body_limit: self.upstream_body_limit,
        }
    }
}

fn parse_root(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() == "http" {
        Ok(url)
    } else {
        Err("an http address is needed".to_owned())
    }
}

fn parse_power_of_two(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "a number is needed".to_owned())?;
    if number.is_power_of_two() {
        Ok(number)
    } else {
        Err("a power of two is needed".to_owned())
    }
}

fn parse_trace_pattern(text: &str) -> Result<String, String> {
    let web = text.starts_with("http://") || text.starts_with("https://");
    if web && text.contains("{trace_id}") {
        Ok(text.to_owned())
    } else {
        Err("an http address with {trace_id} in it is needed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for argument in [
            "--accounts-url=ftp://127.0.0.1",
            "--accounts-url=127.0.0.1:8081",
            "--metrics-deadline-ms=1000",
            "--metrics-deadline-ms=0",
            "--fences=1000",
            "--upstream-concurrency=0",
            "--upstream-turn-within-ms=9001",
            "--wait-ms=10001",
            "--trace-url-pattern=http://127.0.0.1/traces",
            "--trace-url-pattern=javascript:{trace_id}",
            "--instance-name=two\nlines",
        ] {
            assert!(Config::try_parse_from(["page", argument]).is_err(), "{argument}");
        }
        assert!(Config::try_parse_from(["page", "--trace-url-pattern=http://h/{trace_id}"]).is_ok());
    }

    #[test]
    fn each_source_gets_its_own_settings() {
        let arguments = ["page", "--endpoints-url=http://h:1/", "--endpoints-deadline-ms=7"];
        let config = Config::parse_from(arguments);
        let endpoints = config.upstream(Source::Endpoints);
        assert_eq!(
            (endpoints.url.as_str(), endpoints.deadline),
            ("http://h:1/", Duration::from_millis(7))
        );
        let [accounts, metrics] = [Source::Accounts, Source::Metrics].map(|source| config.upstream(source));
        assert_eq!(accounts.deadline, metrics.deadline);
    }
}
