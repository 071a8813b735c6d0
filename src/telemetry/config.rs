//! The configuration of telemetry, and its errors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// The flags about telemetry; by default there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsConfig {
    /// `--otlp-endpoint`: the collector, as in `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
    /// `--otlp-protocol`.
    pub protocol: Option<OtlpProtocol>,
    /// `--otlp-header`: sent with each request, in addition to those in the environment.
    pub headers: Vec<(String, String)>,
    /// `--otlp-compression`.
    pub compression: Option<OtlpCompression>,
    /// `--otlp-temporality`.
    pub temporality: Option<MetricTemporality>,
    /// `--otlp-timeout`: how long one export may take.
    pub timeout: Option<Duration>,
    /// `--otlp-signals`: what goes to the collector; empty for the default, only metrics.
    pub signals: Vec<Signal>,
    /// `--otlp-logs`: which handshakes get a log record.
    pub logs: LoggedHandshakes,
    /// `--otlp-trace-ratio`: the share of successes that get a span, from 0 to 1; `None` for all.
    pub trace_ratio: Option<f64>,
    /// `--metrics stdout`: write text when the run ends.
    pub stdout: bool,
    /// `--metric-attributes`: in addition to those that all metrics have.
    pub attributes: Vec<MetricAttribute>,
    /// `--metric-values`: the number of values of each such attribute; `None` for the default.
    pub values: Option<usize>,
    /// Bytes that series, and what they are made of, may take; `None` for what the limits of each kind come to.
    pub memory: Option<usize>,
    /// `--metric-names`.
    pub names: MetricNames,
    /// `--histograms`.
    pub histograms: Histograms,
    /// The settings of a live run; `None` for a replay, which exports once.
    pub live: Option<LiveMetricsConfig>,
}

impl MetricsConfig {
    /// Whether certificates have their serial number among their attributes.
    #[cfg(feature = "otel")]
    pub(crate) fn has_serial_numbers(&self) -> bool {
        self.attributes
            .contains(&MetricAttribute::CertificateSerial)
    }

    /// How many of something may be kept: `most`, or less if there is less memory than all kinds at their most take.
    #[cfg(feature = "otel")]
    pub(crate) fn within_memory(&self, most: usize) -> usize {
        /// 20,162 series took 50 MiB while they were scraped.
        const ALL: usize = 56 << 20;
        let memory = self.memory.unwrap_or(ALL).min(ALL);
        most * (memory >> 10) / (ALL >> 10)
    }

    /// Whether no flag asks for an output; the environment still may.
    #[must_use]
    pub fn asks_for_nothing(&self) -> bool {
        let prometheus = self.live.as_ref().and_then(|live| live.prometheus);
        self.endpoint.is_none()
            && self.protocol.is_none()
            && self.signals.is_empty()
            && !self.stdout
            && prometheus.is_none()
    }
}

/// The flags about the metrics of a live run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveMetricsConfig {
    /// `--prometheus`: where to answer scrapes.
    pub prometheus: Option<SocketAddr>,
    /// `--prometheus-host`: names that requests to a loopback address may use, in addition to its own.
    pub prometheus_hosts: Vec<String>,
    /// `--metrics-interval`: time between two exports; `None` for what the environment says, or 60 s.
    pub interval: Option<Duration>,
    /// `--certificate-memory`: how long a certificate stays in the metrics after it was last seen; `None` for ever.
    pub certificate_memory: Option<Duration>,
    /// `--watch-cert`: files, directories and patterns.
    pub watched_certificates: Vec<PathBuf>,
    /// Options and values with which `tlscope show` judges a saved capture as the run does; `/failures` has them in its commands.
    pub show_options: Vec<String>,
}

/// Parses an enum from its texts; an error lists them.
macro_rules! parse_from_text {
    ($($name:ident: $what:literal,)*) => {$(
        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|word| word.as_str() == text);
                found.copied().ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    format!(concat!("no ", $what, ": one of `{}`"), known.join("`, `"))
                })
            }
        }
    )*};
}

parse_from_text! {
    MetricAttribute: "attribute",
    Signal: "signal",
    OtlpCompression: "compression",
    MetricTemporality: "temporality",
}

text_enum! {
    /// An attribute that users can add to metrics; the number of its values is bounded.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum MetricAttribute {
        /// The name that the client asked for, or else the server's address.
        ServerAddress = "server.address",
        /// The server's port.
        ServerPort = "server.port",
        /// The identity in the client's certificate, see [`crate::certificate::CertificateFacts::identity`].
        ClientIdentity = "tls.client.identity",
        /// The common name in the client's certificate; its identity if it has none.
        ClientSubject = "tls.client.subject",
        /// The common name of the issuer of the client's certificate.
        ClientIssuer = "tls.client.issuer",
        /// The client's address.
        RemoteAddress = "remote.addr",
        /// Why a handshake failed, in words; not on histograms.
        ErrorMessage = "error.message",
        /// The group of the key exchange.
        Group = "tls.group",
        /// Whether the connection closed before any application data.
        Unused = "tls.unused",
        /// The application protocol that was selected in the clear.
        Alpn = "tls.alpn",
        /// The serial number of a certificate, on the certificate metrics alone: a series for each certificate.
        CertificateSerial = "certificate.serial",
        /// The interface, or file, that the handshake came from.
        InterfaceName = "network.interface.name",
    }
}

text_enum! {
    /// A kind of OpenTelemetry data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Signal {
        /// Counters, histograms and gauges.
        Metrics = "metrics",
        /// One log record per handshake.
        Logs = "logs",
        /// One span per handshake, with a child for each phase.
        Traces = "traces",
    }
}

text_enum! {
    /// How requests to the collector are compressed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum OtlpCompression {
        /// With gzip.
        Gzip = "gzip",
        /// Not at all.
        None = "none",
    }
}

text_enum! {
    /// The temporality of the counters and histograms that are exported.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum MetricTemporality {
        /// Totals since the start.
        Cumulative = "cumulative",
        /// Changes since the last export.
        Delta = "delta",
        /// Deltas for the instruments whose totals would cost memory.
        LowMemory = "lowmemory",
    }
}

/// Which handshakes get a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedHandshakes {
    /// Those that failed.
    #[default]
    Failures,
    /// Every one.
    All,
}

/// The names of metrics and of their attributes, and the unit of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricNames {
    /// Those that the shipped dashboard and alert rules use; milliseconds.
    #[default]
    Tlscope,
    /// Those of OpenTelemetry's semantic conventions, where these have one; seconds.
    Semconv,
}

/// The buckets of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// Fixed buckets, from 0.1 ms to 10 s.
    #[default]
    Explicit,
    /// Buckets that adapt to the values, each a constant factor wider than the last; over OTLP only.
    Exponential,
}

text_enum! {
    /// The protocol of OTLP exports, spelled as in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum OtlpProtocol {
        /// OTLP over gRPC, usually on port 4317.
        Grpc = "grpc",
        /// OTLP over HTTP/1.1 with binary protobuf, usually on port 4318.
        HttpProtobuf = "http/protobuf",
    }
}

impl FromStr for OtlpProtocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|protocol| protocol.as_str() == text);
        found.copied().ok_or(UnknownProtocol)
    }
}

/// A protocol name that is neither `grpc` nor `http/protobuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not supported: use `grpc` or `http/protobuf`")]
pub struct UnknownProtocol;

/// The configuration of telemetry cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Telemetry was asked for, and this build has none.
    #[error("this build has no OpenTelemetry (feature `otel`)")]
    NotBuilt,
    /// A flag or variable has a value that cannot be used.
    #[error("{setting}: `{value}` {problem}")]
    Setting {
        /// The flag or the environment variable.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it: a predicate.
        problem: String,
    },
    /// The exporter rejected its configuration.
    #[error("cannot set up the export of metrics: {0}")]
    Exporter(String),
    /// Two flags or variables contradict each other.
    #[error("{0}")]
    Conflict(&'static str),
    /// The address for scrapes cannot be bound.
    #[error("cannot answer scrapes on `{address}`: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason, in one clause.
        cause: String,
    },
}

/// What the outputs of a run could not write so far; `None` for an output that the run does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Events that are not in their file.
    pub events: Option<u64>,
    /// Captures of failures that were not saved.
    pub failures: Option<u64>,
    /// Certificates that were not extracted, beyond those that are queued.
    pub certificates: Option<u64>,
    /// Captures of failures that were deleted to make room for newer ones.
    pub failures_evicted: Option<u64>,
}

impl Losses {
    /// The losses of each output.
    #[must_use]
    pub const fn new(
        events: Option<u64>,
        failures: Option<u64>,
        certificates: Option<u64>,
    ) -> Self {
        Self {
            events,
            failures,
            certificates,
            failures_evicted: None,
        }
    }

    /// The same, with the captures of failures that were deleted to make room.
    #[must_use]
    pub const fn with_failures_evicted(mut self, evicted: Option<u64>) -> Self {
        self.failures_evicted = evicted;
        self
    }
}

/// An export did not reach the collector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} not delivered to {url}: {cause}", signal.as_str())]
#[non_exhaustive]
pub struct ExportError {
    /// What was exported.
    pub signal: Signal,
    /// The collector, without user name and password.
    pub url: String,
    /// The reason, in one clause.
    pub cause: String,
    /// Whether the collector rejected the data for good, so that a retry is useless.
    pub is_refusal: bool,
    /// Whether the collector does not accept the credentials, whatever the data (HTTP 401 and 403, gRPC
    /// `Unauthenticated` and `PermissionDenied`).
    pub is_unauthorized: bool,
    /// How long the collector asks to wait before the next export; `None` if it does not say.
    pub retry_after: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_as_they_print_and_errors_list_the_known_ones() {
        for attribute in MetricAttribute::ALL {
            assert_eq!(attribute.as_str().parse(), Ok(*attribute));
        }
        assert_eq!(
            "log".parse::<Signal>().unwrap_err(),
            "no signal: one of `metrics`, `logs`, `traces`"
        );
    }

    #[test]
    fn a_protocol_parses_as_it_prints() {
        for protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("http/json".parse::<OtlpProtocol>(), Err(UnknownProtocol));
    }
}
