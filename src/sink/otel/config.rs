//! What the user may ask of the metrics, and what can go wrong.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What the flags say about metrics; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `--otlp-endpoint`: the collector, as in `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
    /// `--otlp-protocol`.
    pub protocol: Option<Protocol>,
    /// `--metrics stdout`: write text when the run ends.
    pub stdout: bool,
}

/// How metrics travel to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC, usually on port 4317.
    Grpc,
    /// OTLP over HTTP/1.1 with binary protobuf, usually on port 4318.
    HttpProtobuf,
}

impl Protocol {
    /// As flags and `OTEL_EXPORTER_OTLP_PROTOCOL` spell it: `grpc` or `http/protobuf`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Protocol {
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
}

/// Metrics did not reach the collector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("metrics not delivered to {url}: {cause}")]
pub struct ExportError {
    /// Where they were sent, without user name and password.
    pub url: String,
    /// Why they did not arrive: one clause.
    pub cause: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_reads_back_as_it_prints() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("http/json".parse::<Protocol>(), Err(UnknownProtocol));
    }
}
