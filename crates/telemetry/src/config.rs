//! The settings every service has in common: where logs and traces go.

use clap::{Args, ValueEnum};

use crate::{Sampler, SamplerArgumentError, TracesSampler};

/// Flags and variables of [`start`](crate::start); flatten it into a service's own settings.
///
/// Only what this crate must know is here. The other standard variables (`OTEL_BSP_*`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, …) are read by the OpenTelemetry SDK itself.
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

    /// Full address for metrics, used as it is; without it they are only told to who asks for `/metrics`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")]
    pub otel_exporter_otlp_metrics_endpoint: Option<String>,

    /// The service's name in traces, if not the program's own; replicas of one service share it.
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    pub otel_service_name: Option<String>,

    /// Which requests are traced, where no caller says so: `parentbased_ratelimiting` (up to so many a second),
    /// `parentbased_traceidratio` (a share), `parentbased_always_on`, `parentbased_always_off`; `always_on` and
    /// `always_off` heed no caller.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", default_value = "parentbased_ratelimiting", value_parser = parse_sampler)]
    pub otel_traces_sampler: TracesSampler,

    /// The sampler's argument: traces per second (100 if not given), or a share from 0 to 1 (1 if not given).
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG")]
    pub otel_traces_sampler_arg: Option<String>,

    /// `true` turns traces and metrics off; logs stay, and incoming trace context is still passed on.
    #[arg(long, env = "OTEL_SDK_DISABLED", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", value_parser = parse_standard_boolean)]
    pub otel_sdk_disabled: bool,
}

/// The SDK says at `info` that it was started; its errors are worth reading.
const DEFAULT_LOG: &str = "info,opentelemetry=warn";

impl Default for TelemetryConfig {
    /// Text at `info`, no export: what the flags mean when none is given, whatever the environment says.
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log: DEFAULT_LOG.to_owned(),
            otel_exporter_otlp_endpoint: None,
            otel_exporter_otlp_traces_endpoint: None,
            otel_exporter_otlp_metrics_endpoint: None,
            otel_service_name: None,
            otel_traces_sampler: TracesSampler::default(),
            otel_traces_sampler_arg: None,
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

    /// The full address metrics are sent to, or none. Not the base address's: many who take traces there take no metrics.
    pub(crate) fn metrics_endpoint(&self) -> Option<String> {
        given(self.otel_exporter_otlp_metrics_endpoint.as_ref()).map(str::to_owned)
    }

    /// What decides which requests are traced.
    pub(crate) fn sampler(&self) -> Result<Sampler, SamplerArgumentError> {
        if self.otel_sdk_disabled {
            return Ok(Sampler::passing_on());
        }
        // What is no number is out of every range.
        let argument = given(self.otel_traces_sampler_arg.as_ref());
        let argument = argument.map(|text| text.parse().unwrap_or(f64::NAN));
        Sampler::new(self.otel_traces_sampler, argument)
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

/// A sampler by its name; an empty variable counts as unset.
fn parse_sampler(text: &str) -> Result<TracesSampler, String> {
    match text.trim() {
        "" => Ok(TracesSampler::default()),
        name => TracesSampler::from_str(name, true).map_err(|_| {
            let known = TracesSampler::value_variants()
                .iter()
                .filter_map(ValueEnum::to_possible_value);
            let known: Vec<_> = known.map(|name| name.get_name().to_owned()).collect();
            format!("one of: {}", known.join(", "))
        }),
    }
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
    fn samplers_have_the_names_of_the_standard_and_arguments_that_fit() {
        assert_eq!(parse(&[]).otel_traces_sampler, TracesSampler::default());
        let of = |name: &str, argument: &str| {
            let name = format!("--otel-traces-sampler={name}");
            parse(&[&name, &format!("--otel-traces-sampler-arg={argument}")]).sampler()
        };
        for name in [
            "",
            "always_on",
            "always_off",
            "parentbased_always_on",
            "parentbased_always_off",
        ] {
            assert!(of(name, "").is_ok(), "{name}");
        }
        assert!(of("parentbased_traceidratio", "0.1").is_ok());
        assert_eq!(
            of("parentbased_traceidratio", "2").unwrap_err(),
            SamplerArgumentError::Share
        );
        assert!(of("parentbased_ratelimiting", "2").is_ok());
        assert_eq!(of("", "many").unwrap_err(), SamplerArgumentError::Rate);
        let unknown = Program::try_parse_from(["program", "--otel-traces-sampler=xray"]).unwrap_err();
        assert!(
            unknown.to_string().contains("parentbased_ratelimiting"),
            "{unknown}"
        );
    }

    #[test]
    fn the_sdk_is_disabled_by_true_alone() {
        assert!(parse(&["--otel-sdk-disabled"]).otel_sdk_disabled);
        assert!(parse(&["--otel-sdk-disabled=TRUE"]).otel_sdk_disabled);
        assert!(!parse(&["--otel-sdk-disabled=1"]).otel_sdk_disabled);
        assert!(!parse(&[]).otel_sdk_disabled);
    }
}
