//! The ways out of the process: one file for each [`Export`].
//!
//! | file | what leaves | where to |
//! | --- | --- | --- |
//! | `otlp_metrics` | metrics | a collector, at an interval or once at the end |
//! | `otlp_logs`, `otlp_traces` | log records, spans | a collector, in batches |
//! | `scrape_endpoint` | metrics | Prometheus, whenever it asks |
//! | `text_report` | metrics | a writer, once at the end |
//!
//! `otlp` sends one request (`sdk_events` hears what the SDK says about it only in its logs), `outbox` queues and batches, `delivery` counts failures
//! and backs off, `prometheus_text` is the exposition format.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use thiserror::Error;

use self::delivery::DeliveryMonitor;
#[cfg(feature = "cli")]
use super::failures::Failures;
#[cfg(feature = "cli")]
use super::metrics::endpoints::Endpoints;
use super::metrics::exemplars::Exemplars;
use super::metrics::reader::MetricsReader;
use super::metrics::self_telemetry::SelfTelemetry;
use super::records::spans::TraceIds;
use super::settings::Destination;
use super::{ExportError, Notice, Signal};
use crate::event::Handshake;
use crate::sink::Needs;

mod delivery;
mod open_metrics;
mod otlp;
mod otlp_logs;
mod otlp_metrics;
mod otlp_traces;
mod outbox;
pub(crate) mod prometheus_text;
mod scrape_endpoint;
mod sdk_events;
mod text_report;

pub(crate) use otlp_logs::PreparedLogs;
pub(crate) use otlp_metrics::PreparedMetrics;
pub(crate) use otlp_traces::PreparedTraces;
pub(crate) use scrape_endpoint::ScrapeEndpoint;
pub(crate) use text_report::TextReport;

/// How long the end of a live run waits for the last exports: the whole shutdown stays under 5 s.
const LAST_EXPORT: Duration = Duration::from_millis(4_500);

/// How long the end of a replay waits for a collector that takes records slowly: some
/// batches may still be queued, and nothing else waits but a prompt.
const LAST_RECORDS: Duration = Duration::from_secs(60);

/// When a run exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportPace {
    /// Once, at the end: a replay, which may wait for its collector.
    AtEnd,
    /// At this interval: a live run, which must not wait.
    Every(Duration),
}

impl ExportPace {
    /// Whether recording blocks while the collector is slow. A file can wait, a wire cannot.
    pub(crate) const fn waits_for_collector(self) -> bool {
        matches!(self, Self::AtEnd)
    }

    /// Whether failures are reported while the run lasts. The end of a replay reports them anyway.
    pub(crate) const fn reports_failures(self) -> bool {
        matches!(self, Self::Every(_))
    }

    /// How long the end of the run waits for the last exports.
    pub(crate) const fn longest_close(self) -> Duration {
        match self {
            Self::AtEnd => LAST_RECORDS,
            Self::Every(_) => LAST_EXPORT,
        }
    }
}

/// What the exports of a run have in common.
pub(crate) struct ExportContext {
    /// The TLS endpoints seen.
    #[cfg(feature = "cli")]
    pub(crate) endpoints: Endpoints,
    /// The last failures.
    #[cfg(feature = "cli")]
    pub(crate) failures: Failures,
    /// The traces of handshakes that metrics count.
    pub(crate) exemplars: Exemplars,
    /// The process that reports.
    pub(crate) resource: Resource,
    /// The library that made a record.
    pub(crate) scope: InstrumentationScope,
    pub(crate) self_telemetry: Arc<SelfTelemetry>,
    /// Takes warnings for the user.
    pub(crate) notice: Notice,
    pub(crate) pace: ExportPace,
}

impl ExportContext {
    /// Follows the exports to `destination`.
    fn delivery(&self, destination: &Destination) -> DeliveryMonitor {
        let (own, notice) = (Arc::clone(&self.self_telemetry), Arc::clone(&self.notice));
        DeliveryMonitor::new(destination, own, notice)
            .reporting_failures(self.pace.reports_failures())
    }
}

/// An export that is set up and has not started: sockets are bound and files are read,
/// so starting it takes no privileges.
pub(crate) trait PreparedExport: Send {
    /// What it reads metrics through; `None` if it carries none.
    fn reader(&self) -> Option<&MetricsReader> {
        None
    }

    /// Starts its threads, if it has any.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>>;
}

/// An export that has started.
pub(crate) trait Export: Send {
    /// Takes a handshake; `trace` names the trace it gets, if any.
    fn offer(&self, _event: &Handshake, _trace: Option<&TraceIds>) {}

    /// What it needs of handshakes.
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    /// Asks for the last export. Returns at once, so that all exports end at the same time.
    fn close(self: Box<Self>) -> Closing;
}

/// The last export of an [`Export`], under way or still to be made.
pub(crate) enum Closing {
    /// A thread makes it, and sends the result.
    Thread {
        signal: Signal,
        url: String,
        result: Receiver<Result<(), ExportError>>,
    },
    /// Made by the caller, after all threads have ended: it reports on them.
    Deferred(Box<dyn FnOnce() -> Result<(), CloseError> + Send>),
    /// There is none.
    Nothing,
}

/// Why a last export failed.
#[derive(Debug, Error)]
pub(crate) enum CloseError {
    /// It did not reach the collector, which does not fail the run.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// It could not be written, which does.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Closing {
    /// Whether it has to wait until the threads of others have ended.
    pub(crate) const fn is_deferred(&self) -> bool {
        matches!(self, Self::Deferred(_))
    }

    /// Waits for the last export, at most for `patience` since `begun`.
    pub(crate) fn wait(self, begun: Instant, patience: Duration) -> Result<(), CloseError> {
        match self {
            Self::Thread {
                signal,
                url,
                result,
            } => match result.recv_deadline(begun + patience) {
                Ok(result) => Ok(result?),
                Err(_) => Err(CloseError::Export(ExportError {
                    signal,
                    url,
                    cause: format!("no answer within {patience:?}"),
                    is_refusal: false,
                    is_unauthorized: false,
                    retry_after: None,
                })),
            },
            Self::Deferred(export) => export(),
            Self::Nothing => Ok(()),
        }
    }
}
