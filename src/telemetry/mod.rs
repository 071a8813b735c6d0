//! Events to OpenTelemetry: metrics over OTLP to a collector, to Prometheus or as text, and
//! log records and spans over OTLP.
//!
//! [`Opened`] binds sockets and opens files while the process still has its privileges; [`Opened::prepare`] reads the files.
//! [`Prepared::start`] makes the result a [`Telemetry`], which is a [`Sink`](crate::sink::Sink). The instruments are
//! documented in `metrics`.
//!
//! # Where they go
//!
//! Flags take precedence over the environment: if any is given, flags alone choose the
//! outputs, and the environment supplies the rest. Without flags,
//! OTLP is on if an endpoint variable is set; `OTEL_METRICS_EXPORTER` (a list
//! of `otlp`, `console`, `none`) and `OTEL_SDK_DISABLED` are obeyed.
//!
//! - Endpoint: the flag; `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`;
//!   `OTEL_EXPORTER_OTLP_ENDPOINT`; `localhost`. Over HTTP, `/v1/metrics` is
//!   appended to all but the second, as OpenTelemetry specifies (and to the
//!   flag only where it is missing).
//! - OtlpProtocol: the flag; `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL`;
//!   `OTEL_EXPORTER_OTLP_PROTOCOL`; gRPC when the endpoint's port is 4317, else
//!   `http/protobuf`.
//! - The scheme decides whether TLS is used. An endpoint without one is rejected, since
//!   guessing would send metrics in the clear or fail obscurely; only over gRPC
//!   may `OTEL_EXPORTER_OTLP_INSECURE` replace it.
//! - `OTEL_EXPORTER_OTLP[_METRICS]_TIMEOUT` limits one export, by default to
//!   5 seconds: long enough to wait for a collector that is away.
//! - `…_HEADERS`, `…_COMPRESSION`, `…_TEMPORALITY_PREFERENCE`, `…_CERTIFICATE`
//!   (a PEM file of trust anchors in place of the host's), `…_CLIENT_CERTIFICATE`
//!   and `…_CLIENT_KEY` (for a collector that asks for a certificate),
//!   `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` work as specified.
//!
//! As text, metrics come in the Prometheus exposition format, with the names
//! that Prometheus and the Collector derive from OTLP (`tls_handshake_total`,
//! `tls_handshake_duration_milliseconds`, …).
//!
//! # Log records and spans
//!
//! A record has the facts of an event, under the names of OpenTelemetry's semantic
//! conventions where they exist (`tls.protocol.version`, `tls.cipher`,
//! `server.address`, `error.type`, …), at packet time. A span runs from the SYN to
//! the end of the handshake, with a child for each phase; the record of the same
//! handshake carries its identifiers. A bounded queue holds them for a slow collector;
//! while it is full, new ones are discarded and counted.
//!
//! # Why does a failed export not fail the run?
//!
//! The analysis is the product; a collector that is down must not cost it. So
//! [`Telemetry`] remembers why its last exports failed
//! ([`Telemetry::export_errors`]), and the caller reports it. A live run
//! retries, with growing pauses up to a minute, and reports when exports start to fail
//! and when they work again.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "exports follow a timer, on threads of their own"
)]

mod config;

#[cfg(feature = "otel")]
mod export;
#[cfg(all(feature = "otel", feature = "cli"))]
mod failures;
#[cfg(feature = "otel")]
pub mod metrics;
#[cfg(feature = "otel")]
mod prepared;
#[cfg(feature = "otel")]
mod records;
#[cfg(feature = "otel")]
mod resource;
#[cfg(feature = "otel")]
mod settings;
#[cfg(all(test, feature = "otel"))]
mod simulated_year;
#[cfg(feature = "otel")]
mod started;
#[cfg(all(test, feature = "otel"))]
mod testing;
#[cfg(feature = "otel")]
mod watch;

#[cfg(not(feature = "otel"))]
mod not_built;

use std::io::Write;

pub use config::{
    ConfigError, ExportError, Histograms, LiveMetricsConfig, LoggedHandshakes, Losses,
    MetricAttribute, MetricNames, MetricTemporality, MetricsConfig, OtlpCompression, OtlpProtocol,
    Signal, UnknownProtocol,
};
#[cfg(not(feature = "otel"))]
pub use not_built::{Opened, Prepared, Telemetry};
#[cfg(feature = "otel")]
pub use prepared::{Opened, Prepared};
#[cfg(feature = "otel")]
pub use started::Telemetry;

/// The port of a URL, or that of its scheme; `None` if it has neither.
#[must_use]
pub fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let after_address = host.rsplit(']').next().unwrap_or_default(); // IPv6 addresses have colons, too
    match after_address.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ if scheme.starts_with("socks") => Some(1080),
            _ => None,
        },
    }
}

/// Receives one line for the user, from any thread.
pub type Notice = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// The same with telemetry and without.
impl Prepared {
    /// Opens and prepares the telemetry that `config` and the environment ask for, as [`Opened::new`] does; `None` if they
    /// ask for none.
    ///
    /// # Errors
    ///
    /// Those of [`Opened::new`] and of [`Opened::prepare`].
    pub fn new(
        config: &MetricsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
        output: Box<dyn Write + Send>,
        notice: Notice,
    ) -> Result<Option<Self>, ConfigError> {
        let opened = Opened::new(config, environment, output, notice)?;
        opened.map(Opened::prepare).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn a_url_has_a_port_even_if_it_does_not_name_it() {
        for (url, port) in [
            ("http://c:4318/v1/metrics", Some(4318)),
            ("https://user:pa:ss@c.example/x:1", Some(443)),
            ("http://[::1]:4317", Some(4317)),
            ("http://[2001:db8::1]/", Some(80)),
            ("proxy.example:3128", Some(3128)),
            ("socks5://proxy.example", Some(1080)),
            ("unix:///run/c.sock", None),
            ("http://c:99999", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
