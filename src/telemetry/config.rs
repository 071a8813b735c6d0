//! What the user may ask of the metrics, and what can go wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// What the flags say about metrics; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsConfig {
    /// `--otlp-endpoint`: the collector, as in `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
    /// `--otlp-protocol`.
    pub protocol: Option<OtlpProtocol>,
    /// `--otlp-header`: sent with each request; on top of those in the environment.
    pub headers: Vec<(String, String)>,
    /// `--otlp-compression`.
    pub compression: Option<Compression>,
    /// `--otlp-temporality`.
    pub temporality: Option<MetricTemporality>,
    /// `--otlp-timeout`: how long one export may take.
    pub timeout: Option<Duration>,
    /// `--otlp-signals`: what goes to the collector; empty for the usual, metrics alone.
    pub signals: Vec<Signal>,
    /// `--otlp-logs`: which handshakes get a log record.
    pub logs: LoggedHandshakes,
    /// `--otlp-trace-ratio`: the share of successes that get a span, from 0 to 1; `None` for all.
    pub trace_ratio: Option<f64>,
    /// `--metrics stdout`: write text when the run ends.
    pub stdout: bool,
    /// `--metric-attributes`: on top of those that all metrics have.
    pub attributes: Vec<MetricAttribute>,
    /// `--metric-values`: how many values of each such attribute are told apart; `None` for the usual number.
    pub values: Option<usize>,
    /// `--histograms`.
    pub histograms: Histograms,
    /// What a run that goes on needs; `None` for one that ends by itself, which exports once.
    pub live: Option<LiveMetricsConfig>,
}

impl MetricsConfig {
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

/// What the flags say about metrics that leave again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveMetricsConfig {
    /// `--prometheus`: where to answer scrapes.
    pub prometheus: Option<SocketAddr>,
    /// `--metrics-interval`: time between two exports; `None` for what the environment says, or 60 s.
    pub interval: Option<Duration>,
    /// `--certificate-memory`: how long after it was shown last a certificate is told of; `None` for ever.
    pub certificate_memory: Option<Duration>,
    /// `--watch-cert`: files, directories and patterns.
    pub watched_certificates: Vec<PathBuf>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As flags spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

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
    };
}

words! {
    /// An attribute that metrics have where it is asked for; its values are bounded.
    MetricAttribute: "attribute" {
        /// The name that the client asked for, or else the server's address.
        ServerAddress = "server.address",
        /// The server's port.
        ServerPort = "server.port",
        /// The common name in the client's certificate.
        ClientSubject = "tls.client.subject",
        /// The common name of who issued the client's certificate.
        ClientIssuer = "tls.client.issuer",
        /// The client's address.
        RemoteAddress = "remote.addr",
        /// Why a handshake failed, in words; not on histograms.
        ErrorMessage = "error.message",
        /// The group of the key exchange.
        Group = "tls.group",
        /// The application protocol that was selected in the clear.
        Alpn = "tls.alpn",
        /// The interface, or file, that the handshake came from.
        InterfaceName = "network.interface.name",
    }
}

words! {
    /// What OpenTelemetry carries.
    Signal: "signal" {
        /// Counters, histograms and gauges.
        Metrics = "metrics",
        /// A record a handshake.
        Logs = "logs",
        /// A span a handshake, with a child for each phase.
        Traces = "traces",
    }
}

words! {
    /// How requests to the collector are compressed.
    Compression: "compression" {
        /// With gzip.
        Gzip = "gzip",
        /// Not at all.
        None = "none",
    }
}

words! {
    /// What counters and histograms tell the collector.
    MetricTemporality: "temporality" {
        /// Totals since the start.
        Cumulative = "cumulative",
        /// What came since the last export.
        Delta = "delta",
        /// Differences where totals would cost memory.
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

/// How histograms divide what they measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// Into the same buckets always, from 0.1 ms to 10 s.
    #[default]
    Explicit,
    /// Into buckets that adapt, each a constant factor wider than the one before; over OTLP only.
    Exponential,
}

/// How metrics travel to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// OTLP over gRPC, usually on port 4317.
    Grpc,
    /// OTLP over HTTP/1.1 with binary protobuf, usually on port 4318.
    HttpProtobuf,
}

impl OtlpProtocol {
    /// As flags and `OTEL_EXPORTER_OTLP_PROTOCOL` spell it: `grpc` or `http/protobuf`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

impl fmt::Display for OtlpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OtlpProtocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Grpc, Self::HttpProtobuf]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or(UnknownProtocol)
    }
}

/// A protocol name that is neither `grpc` nor `http/protobuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not supported: use `grpc` or `http/protobuf`")]
pub struct UnknownProtocol;

/// Metrics were asked for in a way that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Metrics were asked for, and this build cannot make them.
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
    /// The exporter refused its configuration.
    #[error("cannot set up the export of metrics: {0}")]
    Exporter(String),
    /// Two flags or variables ask for what does not go together.
    #[error("{0}")]
    Conflict(&'static str),
    /// Nothing can listen where scrapes are to be answered.
    #[error("cannot answer scrapes on `{address}`: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not: one clause.
        cause: String,
    },
}

/// Something did not reach the collector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} not delivered to {url}: {cause}", signal.as_str())]
pub struct ExportError {
    /// What did not.
    pub signal: Signal,
    /// Where they were sent, without user name and password.
    pub url: String,
    /// Why they did not arrive: one clause.
    pub cause: String,
    /// Whether the collector answered that it will not take them, however often they come.
    pub is_refusal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_they_print_and_others_are_refused_with_those_there_are() {
        for attribute in MetricAttribute::ALL {
            assert_eq!(attribute.as_str().parse(), Ok(*attribute));
        }
        assert_eq!(
            "log".parse::<Signal>().unwrap_err(),
            "no signal: one of `metrics`, `logs`, `traces`"
        );
    }

    #[test]
    fn a_protocol_reads_back_as_it_prints() {
        for protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf] {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("http/json".parse::<OtlpProtocol>(), Err(UnknownProtocol));
    }
}
