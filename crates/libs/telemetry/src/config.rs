//! The settings every service has in common: where logs and traces go.

use clap::{Args, ValueEnum};

use crate::{Sampler, TracesSampler};

/// Flags and variables of [`start`](crate::start); flatten it into a service's own settings.
///
/// Only what this crate must know is here. The other standard variables (`OTEL_BSP_*`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, …) are read by the OpenTelemetry SDK itself.
#[derive(Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// Format of the log lines: `text` for people, `json` for machines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Which log lines are written, as directives: `info`, `warn,page=debug`. Does not filter spans.
    #[arg(long, env = "RUST_LOG", default_value = DEFAULT_LOG)]
    pub log: String,

    /// Base address of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`. Without it no spans are sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Full address for traces alone, used as it is; overrides the base address.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,

    /// Where spans go: `otlp` (the default, if an address is given) or `none`.
    #[arg(long, env = "OTEL_TRACES_EXPORTER")]
    pub otel_traces_exporter: Option<String>,

    /// Protocol to the collector: `http/protobuf` only. Another name is ignored, with a warning.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL")]
    pub otel_exporter_otlp_protocol: Option<String>,

    /// The same for traces alone; overrides the other.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")]
    pub otel_exporter_otlp_traces_protocol: Option<String>,

    /// Full address for metrics, used as it is. Without it they are available at `/metrics` alone.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")]
    pub otel_exporter_otlp_metrics_endpoint: Option<String>,

    /// The service's name in traces, if not the program's own; replicas of one service share it.
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    pub otel_service_name: Option<String>,

    /// Which requests are traced if the caller does not decide it: `parentbased_ratelimiting` (so many a second at most),
    /// `parentbased_traceidratio` (a share), `parentbased_always_on`, `parentbased_always_off`; `always_on` and
    /// `always_off` ignore the caller. Another name is ignored, with a warning.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", default_value = DEFAULT_SAMPLER)]
    pub otel_traces_sampler: String,

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
const DEFAULT_SAMPLER: &str = "parentbased_ratelimiting";
const PROTOCOL: &str = "http/protobuf";
const PROTOCOL_TO_DO: &str =
    "http/protobuf is used anyway: give the address of the collector's HTTP port, usually 4318";
const SAMPLER_TO_DO: &str = "say one of parentbased_ratelimiting, parentbased_traceidratio, parentbased_always_on, \
                             parentbased_always_off, always_on, always_off";
const ARGUMENT_TO_DO: &str =
    "give a share from 0 to 1, or for parentbased_ratelimiting a number of traces per second";

/// A setting that cannot be used. The specification asks to warn and to go on as if it were not given.
#[derive(Debug, PartialEq, Eq)]
struct Ignored {
    setting: &'static str,
    value: String,
    to_do: &'static str,
}

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
            otel_traces_exporter: None,
            otel_exporter_otlp_protocol: None,
            otel_exporter_otlp_traces_protocol: None,
            otel_traces_sampler: DEFAULT_SAMPLER.to_owned(),
            otel_traces_sampler_arg: None,
            otel_sdk_disabled: false,
        }
    }
}

impl TelemetryConfig {
    /// The full address spans are sent to, or none. An empty variable counts as unset, as the standard asks.
    pub(crate) fn traces_endpoint(&self) -> Option<String> {
        if given(self.otel_traces_exporter.as_ref()) == Some("none") {
            return None;
        }
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

    /// What decides which requests are traced; of what cannot be used, the default.
    pub(crate) fn sampler(&self) -> Sampler {
        if self.otel_sdk_disabled {
            return Sampler::passing_on();
        }
        let name = self.sampler_name().unwrap_or_default();
        Sampler::new(name, self.sampler_argument()).unwrap_or_else(|_| Sampler::by_default(name))
    }

    /// Said once, at the start: a setting that does nothing is to be found before its effect is missed.
    pub(crate) fn warn_of_ignored(&self) {
        for Ignored {
            setting,
            value,
            to_do,
        } in self.ignored()
        {
            tracing::warn!(setting, value, to_do, "ignored a setting that cannot be used");
        }
    }

    /// The settings that cannot be used, each with what to do about it.
    fn ignored(&self) -> Vec<Ignored> {
        let mut ignored = Vec::new();
        let mut ignore = |setting, value: Option<&str>, to_do| {
            let value = value.unwrap_or_default().to_owned();
            ignored.push(Ignored {
                setting,
                value,
                to_do,
            });
        };
        let name = self.sampler_name();
        if name.is_none() {
            ignore(
                "OTEL_TRACES_SAMPLER",
                Some(&self.otel_traces_sampler),
                SAMPLER_TO_DO,
            );
        }
        if let argument @ Some(_) = self.sampler_argument()
            && Sampler::new(name.unwrap_or_default(), argument).is_err()
        {
            let given = self.otel_traces_sampler_arg.as_deref();
            ignore("OTEL_TRACES_SAMPLER_ARG", given, ARGUMENT_TO_DO);
        }
        if let exporter @ Some(_) = given(self.otel_traces_exporter.as_ref())
            && !matches!(exporter, Some("otlp" | "none"))
        {
            ignore("OTEL_TRACES_EXPORTER", exporter, "say otlp or none");
        }
        let protocols = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", &self.otel_exporter_otlp_protocol),
            (
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                &self.otel_exporter_otlp_traces_protocol,
            ),
        ];
        for (setting, protocol) in protocols {
            if let protocol @ Some(_) = given(protocol.as_ref())
                && protocol != Some(PROTOCOL)
            {
                ignore(setting, protocol, PROTOCOL_TO_DO);
            }
        }
        ignored
    }

    /// None if there is none of that name; an empty variable counts as unset.
    fn sampler_name(&self) -> Option<TracesSampler> {
        match self.otel_traces_sampler.trim() {
            "" => Some(TracesSampler::default()),
            name => TracesSampler::from_str(name, true).ok(),
        }
    }

    /// What is no number is out of every range.
    fn sampler_argument(&self) -> Option<f64> {
        let argument = given(self.otel_traces_sampler_arg.as_ref())?;
        Some(argument.parse().unwrap_or(f64::NAN))
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

    /// The settings that are ignored.
    fn ignored(arguments: &[&str]) -> Vec<&'static str> {
        let ignored = parse(arguments).ignored();
        assert!(ignored.iter().all(|ignored| !ignored.to_do.is_empty()));
        ignored.iter().map(|ignored| ignored.setting).collect()
    }

    #[test]
    fn samplers_have_the_names_of_the_standard_and_arguments_that_fit() {
        assert_eq!(parse(&[]).sampler_name(), Some(TracesSampler::default()));
        let of = |name: &str, argument: &str| {
            let name = format!("--otel-traces-sampler={name}");
            ignored(&[&name, &format!("--otel-traces-sampler-arg={argument}")])
        };
        for name in [
            "",
            "always_on",
            "always_off",
            "parentbased_always_on",
            "parentbased_always_off",
        ] {
            assert_eq!(of(name, ""), [""; 0], "{name}");
        }
        assert_eq!(of("parentbased_traceidratio", "0.1"), [""; 0]);
        assert_eq!(of("parentbased_ratelimiting", "2"), [""; 0]);
    }

    /// Configuration of the SDK, "Enum": warn, and go on as if it were not set.
    #[test]
    fn a_sampler_that_cannot_be_used_is_the_default_with_a_warning() {
        let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        for (settings, expected) in [
            (&["--otel-traces-sampler=xray"][..], &[name][..]),
            (&["--otel-traces-sampler=traceidratio"], &[name]),
            (&["--otel-traces-sampler-arg=many"], &[argument]),
            (
                &["--otel-traces-sampler=xray", "--otel-traces-sampler-arg=-1"],
                &[name, argument],
            ),
            (
                &[
                    "--otel-traces-sampler=parentbased_traceidratio",
                    "--otel-traces-sampler-arg=2",
                ],
                &[argument],
            ),
        ] {
            assert_eq!(ignored(settings), expected, "{settings:?}");
            let decision = parse(settings).sampler().decide(None, std::time::Instant::now());
            assert!(matches!(decision, crate::Decision::Traced(_)), "{settings:?}");
        }
    }

    #[test]
    fn spans_stay_here_if_the_exporter_is_none() {
        let base = "--otel-exporter-otlp-endpoint=http://collector:4318";
        for (exporter, sends, expected) in [
            ("none", false, &[][..]),
            ("otlp", true, &[]),
            ("", true, &[]),
            ("zipkin", true, &["OTEL_TRACES_EXPORTER"]),
        ] {
            let exporter = format!("--otel-traces-exporter={exporter}");
            assert_eq!(
                parse(&[base, &exporter]).traces_endpoint().is_some(),
                sends,
                "{exporter}"
            );
            assert_eq!(ignored(&[base, &exporter]), expected, "{exporter}");
        }
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_warned_of() {
        assert_eq!(ignored(&["--otel-exporter-otlp-protocol=http/protobuf"]), [""; 0]);
        assert_eq!(
            ignored(&["--otel-exporter-otlp-protocol=grpc"]),
            ["OTEL_EXPORTER_OTLP_PROTOCOL"]
        );
        assert_eq!(
            ignored(&["--otel-exporter-otlp-traces-protocol=http/json"]),
            ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]
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
