//! Events to OpenTelemetry metrics: over OTLP to a collector, to Prometheus, or as text; log records and spans, too.
//!
//! # Where they go
//!
//! Flags win over the environment: if any is given, flags alone say which
//! outputs there are, and the environment fills in the rest. Without flags,
//! OTLP is on when an endpoint variable is set; `OTEL_METRICS_EXPORTER` (a list
//! of `otlp`, `console`, `none`) and `OTEL_SDK_DISABLED` are obeyed.
//!
//! - Endpoint: the flag; `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`;
//!   `OTEL_EXPORTER_OTLP_ENDPOINT`; `localhost`. Over HTTP, `/v1/metrics` is
//!   appended to all but the second, as OpenTelemetry specifies (and to the
//!   flag only where it is missing).
//! - OtlpProtocol: the flag; `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL`;
//!   `OTEL_EXPORTER_OTLP_PROTOCOL`; gRPC when the endpoint's port is 4317, else
//!   `http/protobuf`.
//! - The scheme decides on TLS. An endpoint without one is refused, since
//!   guessing would send metrics in the clear or fail obscurely; only over gRPC
//!   may `OTEL_EXPORTER_OTLP_INSECURE` stand in for it.
//! - `OTEL_EXPORTER_OTLP[_METRICS]_TIMEOUT` bounds one export, by default
//!   5 seconds: nobody waits longer for a collector that is not there.
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
//! A record says what an event says, under the names of OpenTelemetry's semantic
//! conventions where there are any (`tls.protocol.version`, `tls.cipher`,
//! `server.address`, `error.type`, …), at packet time. A span runs from the SYN to
//! the end of the handshake, with a child for each phase; the record of the same
//! handshake carries its numbers. They wait in a bounded queue for a collector that
//! is slow; what finds it full is discarded and counted.
//!
//! # Why does no failure to deliver end the run?
//!
//! The analysis is the product; a collector that is down must not cost it. So
//! [`Telemetry`] remembers why its last export failed
//! ([`Telemetry::export_errors`]), and the caller tells the user. A run that goes on
//! tries again, ever more seldom up to once a minute, and says so when it begins to
//! fail and when it works again.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "exports follow a timer, on threads of their own"
)]

mod config;

#[cfg(feature = "otel")]
mod export;
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
#[cfg(feature = "otel")]
mod started;
#[cfg(all(test, feature = "otel"))]
mod testing;
#[cfg(feature = "otel")]
mod watch;

#[cfg(not(feature = "otel"))]
mod not_built;

pub use config::{
    Compression, ConfigError, ExportError, Histograms, LiveMetricsConfig, LoggedHandshakes,
    MetricAttribute, MetricTemporality, MetricsConfig, OtlpProtocol, Signal, UnknownProtocol,
};
#[cfg(not(feature = "otel"))]
pub use not_built::{Prepared, Telemetry};
#[cfg(feature = "otel")]
pub use prepared::Prepared;
#[cfg(feature = "otel")]
pub use started::Telemetry;

/// Takes one line for the user, from any thread.
pub type Notice = std::sync::Arc<dyn Fn(&str) + Send + Sync>;
