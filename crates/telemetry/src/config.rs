//! The settings every service has in common: where logs and traces go.

use clap::{Args, ValueEnum};

/// Flags and variables of [`start`](crate::start); flatten it into a service's own settings.
///
/// Only what this crate must know is here. The other standard variables (`OTEL_TRACES_SAMPLER`,
/// `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_HEADERS`, …) are read by the OpenTelemetry SDK itself.
#[derive(Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// How log lines are written: `text` for people, `json` for machines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Which log lines are written, as directives: `info`, `warn,page=debug`. Spans are not filtered by it.
    #[arg(long, env = "RUST_LOG", default_value = DEFAULT_LOG)]
    pub log: String,

    /// Base address of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`; spans stay here without it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Full address for traces alone, used as it is; wins over the base address.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,

    /// The service's name in traces, if not the program's own; replicas of one service share it.
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    pub otel_service_name: Option<String>,

    /// `true` turns traces and metrics off; logs stay, and incoming trace context is still passed on.
    #[arg(long, env = "OTEL_SDK_DISABLED", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", value_parser = parse_standard_boolean)]
    pub otel_sdk_disabled: bool,
}

/// The SDK says at `info` that it was started; its errors are worth reading.
const DEFAULT_LOG: &str = "info,async_nats=warn,opentelemetry=warn";

impl Default for TelemetryConfig {
    /// Text at `info`, no export: what the flags mean when none is given, whatever the environment says.
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log: DEFAULT_LOG.to_owned(),
            otel_exporter_otlp_endpoint: None,
            otel_exporter_otlp_traces_endpoint: None,
            otel_service_name: None,
            otel_sdk_disabled: false,
        }
    }
}

impl TelemetryConfig {
    /// The full address spans are sent to, or none. An empty variable counts as unset, as the standard asks.
    pub(crate) fn traces_endpoint(&self) -> Option<String> {
        let signal = given(self.otel_exporter_otlp_traces_endpoint.as_ref());
        let base = given(self.otel_exporter_otlp_endpoint.as_ref());
        signal
            .map(str::to_owned)
            .or_else(|| base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))))
    }

    /// The service's name if it was set.
    pub(crate) fn service_name(&self) -> Option<&str> {
        given(self.otel_service_name.as_ref())
    }
}

fn given(setting: Option<&String>) -> Option<&str> {
    setting.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// OpenTelemetry's booleans: `true` in any case, and everything else means false.
#[expect(clippy::unnecessary_wraps, reason = "clap's value parsers return a Result")]
fn parse_standard_boolean(text: &str) -> Result<bool, std::convert::Infallible> {
    Ok(text.trim().eq_ignore_ascii_case("true"))
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        telemetry: TelemetryConfig,
    }

    fn parse(arguments: &[&str]) -> TelemetryConfig {
        Program::parse_from([&["program"], arguments].concat()).telemetry
    }

    #[test]
    fn flags_are_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn base_endpoint_gets_the_traces_path() {
        let config = parse(&["--otel-exporter-otlp-endpoint", "http://collector:4318/"]);
        assert_eq!(
            config.traces_endpoint().as_deref(),
            Some("http://collector:4318/v1/traces")
        );
    }

    #[test]
    fn traces_endpoint_wins_and_is_used_as_it_is() {
        let config = parse(&[
            "--otel-exporter-otlp-endpoint=http://collector:4318",
            "--otel-exporter-otlp-traces-endpoint=http://other:1/x",
        ]);
        assert_eq!(config.traces_endpoint().as_deref(), Some("http://other:1/x"));
    }

    #[test]
    fn empty_settings_count_as_unset() {
        let config = parse(&["--otel-exporter-otlp-endpoint=", "--otel-service-name="]);
        assert_eq!((config.traces_endpoint(), config.service_name()), (None, None));
    }

    #[test]
    fn the_sdk_is_disabled_by_true_alone() {
        assert!(parse(&["--otel-sdk-disabled"]).otel_sdk_disabled);
        assert!(parse(&["--otel-sdk-disabled=TRUE"]).otel_sdk_disabled);
        assert!(!parse(&["--otel-sdk-disabled=1"]).otel_sdk_disabled);
        assert!(!parse(&[]).otel_sdk_disabled);
    }
}
