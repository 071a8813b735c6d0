//! Events to OpenTelemetry metrics: over OTLP to a collector, to Prometheus, or as text; log records and spans, too.
//!
//! # Instruments
//!
//! | instrument | kind, unit | attributes |
//! | --- | --- | --- |
//! | `tls.handshake.total` | counter, `{handshake}` | `result`, `error.type` (failures only), `tls.version`, `tls.cipher_suite`, `tls.resumed`, `tls.evidence`, `network.transport` |
//! | `tls.handshake.duration` | histogram, `ms` | `result`, `tls.version`, `tls.resumed`, `network.transport` |
//! | `tls.handshake.phase.duration` | histogram, `ms` | `tls.phase`, `tls.version` |
//! | `tls.certificate.days_until_expiry` | observable gauge | `certificate.subject`, `certificate.issuer`, `certificate.role`, `certificate.serial`, `certificate.path` (files) |
//! | `tls.certificate.not_after` | observable gauge, `s` | the same |
//! | `tls.validation.errors` | counter, `{error}` | `error.type`, `tls.side` |
//! | `tls.alerts` | counter, `{alert}` | `tls.alert`, `tls.alert.sender`, `tls.alert.level` |
//! | `tlscope.packets`, `tlscope.bytes` | counters, `{packet}`, `By` | `network.interface.name` (live) |
//! | `tlscope.packets.dropped` | counter, `{packet}` | `cause` (kernel, interface, queue, undecodable), `network.interface.name` |
//! | `tlscope.interface.up` | observable gauge | `network.interface.name` |
//! | `tlscope.flows.open`, `tlscope.handshakes.open` | observable gauges | |
//! | `tlscope.flows.evicted`, `tlscope.gaps` | counters | |
//! | `tlscope.export.failures`, `tlscope.export.discarded` | counters | `signal` (metrics, logs, traces) |
//! | `tlscope.certificate.files.unreadable` | observable gauge, `{file}` | |
//! | `tlscope.memory` | observable gauge, `By` | |
//!
//! What the capture does not tell is an absent attribute. A version, cipher
//! suite or alert that has no registered name is `other`: the traffic chooses
//! the numbers, so they cannot be labels.
//!
//! - `tls.validation.errors` counts the handshakes in which a class of error
//!   was found, once for each class and side: by us, in the certificates shown,
//!   or by the peer that gave up. `tls.side` is the side at fault: the one that
//!   showed the certificate, or made the offer, that was refused. Handshakes
//!   that died without a judgement (a reset, silence, a broken message) are not
//!   counted here. Every class is there from the start, at zero.
//! - `tls.certificate.*` has a series for each certificate shown. Its days run
//!   from the newest moment at which a handshake's certificates were judged, so
//!   that a replay gives the same values whenever it is made; in a live run the
//!   clock counts as well. Files that are watched have the role `file` and
//!   `certificate.path`.
//! - [`MetricAttribute`]s are added to `tls.handshake.total` and
//!   `tls.handshake.duration` where they are asked for. Which values are told apart
//!   is chosen before recording: the busiest, the rest is `other`.
//! - In a live run, a new series of a counter is told at zero once before its
//!   counts follow, to whoever listens regularly: `rate()` does not see a series
//!   that begins at one. Every result and every `error.type` is there at zero from
//!   the start.
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
mod metrics;
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
