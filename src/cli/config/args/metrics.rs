//! Where metrics go: flags of every command that exports them.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tlscope::telemetry::{MetricAttribute, MetricTemporality, OtlpCompression, Signal};

use super::judgement::seconds;

/// Which metrics are exported, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArgs {
    /// Write metrics after the other output, at the end of the run
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        help_heading = "Metrics",
        env = "TLSCOPE_METRICS"
    )]
    pub(crate) metrics: Option<MetricsOutput>,

    /// Extra attributes for handshake metrics, comma-separated
    ///
    /// `server.address` is the name that the client asked for, or the server's address if
    /// there is none. `remote.addr` is the client's address. Each attribute keeps its most
    /// frequent values; the others become `other`.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        value_parser = words::<MetricAttribute>(MetricAttribute::ALL, MetricAttribute::as_str),
        help_heading = "Metrics",
        env = "TLSCOPE_METRIC_ATTRIBUTES"
    )]
    pub(crate) metric_attributes: Vec<MetricAttribute>,

    /// How many values each extra attribute keeps
    #[arg(
        long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000),
        help_heading = "Metrics", env = "TLSCOPE_METRIC_VALUES"
    )]
    pub(crate) metric_values: u16,

    /// Names of metrics and their attributes
    ///
    /// The shipped alert rules and dashboard need the default. `semconv` uses the names of OpenTelemetry's
    /// semantic conventions where they exist, and seconds instead of milliseconds.
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        default_value_t = NameChoice::Tlscope,
        help_heading = "Metrics",
        env = "TLSCOPE_METRIC_NAMES"
    )]
    pub(crate) metric_names: NameChoice,

    /// Buckets of histograms
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        default_value_t = HistogramChoice::Explicit,
        help_heading = "Metrics",
        env = "TLSCOPE_HISTOGRAMS"
    )]
    pub(crate) histograms: HistogramChoice,

    /// Send metrics to an OpenTelemetry collector
    ///
    /// For example `http://localhost:4318`. The standard OTEL_EXPORTER_OTLP_… variables
    /// work as well: OTEL_EXPORTER_OTLP_ENDPOINT alone is enough. `read` exports once, at
    /// the end of the run; `live` exports periodically. If the collector does not answer,
    /// tlscope warns, and the report is still written.
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Collector",
        env = "TLSCOPE_OTLP_ENDPOINT"
    )]
    pub(crate) otlp_endpoint: Option<String>,

    /// Protocol of exports
    ///
    /// The default is gRPC if the port of the endpoint is 4317, and HTTP otherwise.
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        help_heading = "Collector",
        env = "TLSCOPE_OTLP_PROTOCOL"
    )]
    pub(crate) otlp_protocol: Option<ProtocolChoice>,

    /// Signals to export, comma-separated [default: metrics]
    ///
    /// Logs have one record per handshake that failed or was refused afterwards, or per
    /// handshake (`--otlp-logs`). Traces have one span per handshake, with a child span per
    /// phase. Both use packet time.
    #[arg(
        long,
        value_name = "SIGNALS",
        value_delimiter = ',',
        value_parser = words::<Signal>(Signal::ALL, Signal::as_str),
        help_heading = "Collector",
        env = "TLSCOPE_OTLP_SIGNALS"
    )]
    pub(crate) otlp_signals: Vec<Signal>,

    /// Which handshakes get a log record
    ///
    /// `failures` are those that --failures-only selects: also those that completed and were
    /// refused afterwards.
    #[arg(
        long, value_enum, value_name = "WHICH", default_value_t = OtlpLogs::Failures,
        help_heading = "Collector", env = "TLSCOPE_OTLP_LOGS"
    )]
    pub(crate) otlp_logs: OtlpLogs,

    /// Share of successful handshakes that get a span, from 0 to 1
    ///
    /// Handshakes that failed or were refused afterwards always get one.
    #[arg(
        long, value_name = "RATIO", default_value = "1", value_parser = ratio,
        help_heading = "Collector", env = "TLSCOPE_OTLP_TRACE_RATIO"
    )]
    pub(crate) otlp_trace_ratio: f64,

    /// Header for requests to the collector, as in `authorization=Bearer …`; repeatable
    ///
    /// Everyone who can list processes can read it. For secrets, use the variable
    /// OTEL_EXPORTER_OTLP_HEADERS or TLSCOPE_OTLP_HEADER.
    #[arg(
        long, value_name = "NAME=VALUE", value_parser = header, hide_env_values = true,
        help_heading = "Collector", env = "TLSCOPE_OTLP_HEADER"
    )]
    pub(crate) otlp_header: Vec<(String, String)>,

    /// Compression of exports
    #[arg(
        long,
        value_name = "HOW",
        value_parser = words::<OtlpCompression>(OtlpCompression::ALL, OtlpCompression::as_str),
        help_heading = "Collector",
        env = "TLSCOPE_OTLP_COMPRESSION"
    )]
    pub(crate) otlp_compression: Option<OtlpCompression>,

    /// Temporality of exported counters [default: cumulative]
    ///
    /// `cumulative` exports totals, `delta` differences since the last export, and
    /// `lowmemory` whichever takes less memory.
    #[arg(
        long,
        value_name = "KIND",
        value_parser = words::<MetricTemporality>(MetricTemporality::ALL, MetricTemporality::as_str),
        help_heading = "Collector",
        env = "TLSCOPE_OTLP_TEMPORALITY"
    )]
    pub(crate) otlp_temporality: Option<MetricTemporality>,

    /// Timeout of an export, in seconds [default: 5]
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Collector", env = "TLSCOPE_OTLP_TIMEOUT"
    )]
    pub(crate) otlp_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NameChoice {
    /// Those of the shipped dashboard and alert rules.
    Tlscope,
    /// Those of OpenTelemetry's semantic conventions.
    Semconv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistogramChoice {
    /// Fixed buckets, from 0.1 ms to 10 s.
    Explicit,
    /// Buckets that adapt to the values; for OTLP only.
    Exponential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtlpLogs {
    /// Those that failed.
    Failures,
    /// Every one.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsOutput {
    /// To standard output, in the Prometheus text format.
    Stdout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolChoice {
    /// gRPC, usually on port 4317.
    Grpc,
    /// HTTP with binary protobuf, usually on port 4318.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// Parses one of a fixed set of words, which help and completions list.
fn words<T: FromStr<Err = String> + Clone + Send + Sync + 'static>(
    all: &'static [T],
    as_str: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = all.iter().cloned().map(as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    let (name, value) = (name.trim(), value.trim());
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c); // RFC 9110 §5.6.2
    let is_fine = !name.is_empty() && name.chars().all(is_token);
    if is_fine && value.chars().all(|c| matches!(c, ' '..='~')) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err("not a header as in `name=value`".to_owned())
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "not a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let expected = ("authorization".to_owned(), "Basic dXNlcjpw==".to_owned());
        assert_eq!(header("authorization=Basic dXNlcjpw=="), Ok(expected));
        for wrong in ["", "name", "=value", "na me=value", "name=a\r\nb"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        assert_eq!(ratio("0.25"), Ok(0.25));
        for wrong in ["-0.1", "1.1", "NaN", "all", ""] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }
}
