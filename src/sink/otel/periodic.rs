//! Metrics to a collector, again and again, on a thread of its own.
//!
//! # What does a collector that is not there cost?
//!
//! Nothing on the packet path: recording never waits for an export. Of totals
//! nothing is kept for later either, since the next export has them. Of
//! differences the one collection that did not arrive is kept, and nothing more is
//! collected until it has: so the instruments go on adding up, and both memory and
//! the sums are what they would be otherwise.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::Temporality;

use super::delivery::Delivery;
use super::reader::{Collection, Reader};
use super::transport::Transport;
use super::{ExportError, Signal};

/// How long the end of a run waits for the last export.
pub(super) const LAST_EXPORT: Duration = Duration::from_secs(5);

/// A last export that fails is tried again once, this much later: collectors restart, too.
const SECOND_CHANCE: Duration = Duration::from_millis(500);

/// The thread that exports.
pub(super) struct Periodic {
    stop: Sender<()>,
    done: Receiver<Result<(), ExportError>>,
    url: String,
}

impl Periodic {
    /// Exports at once, so that the collector knows all series at zero, and then every `interval`.
    pub(super) fn start(
        reader: Reader,
        transport: Transport<MetricExporter>,
        delivery: Delivery,
        interval: Duration,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let (report, done) = bounded(1);
        let url = transport.destination().shown_url();
        let mut exports = Exports {
            reader,
            transport: Arc::new(transport),
            delivery,
            pending: None,
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                exports.run(interval, &stopped);
                let _ = report.send(exports.last()); // nobody waits any more
            })?;
        Ok(Self { stop, done, url })
    }

    /// Exports once more and ends; gives up after [`LAST_EXPORT`].
    pub(super) fn finish(self) -> Result<(), ExportError> {
        let _ = self.stop.send(());
        self.done.recv_timeout(LAST_EXPORT).unwrap_or_else(|_| {
            Err(ExportError {
                signal: Signal::Metrics,
                url: self.url,
                cause: format!("no answer within {LAST_EXPORT:?}"),
            })
        })
    }
}

struct Exports {
    reader: Reader,
    transport: Arc<Transport<MetricExporter>>,
    delivery: Delivery,
    /// Differences that have not arrived.
    pending: Option<Collection>,
}

impl Exports {
    fn run(&mut self, interval: Duration, stopped: &Receiver<()>) {
        let mut next = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_deadline(next) {
            let begun = Instant::now();
            let wait = match self.export() {
                Ok(()) => interval,
                Err(error) => self.delivery.failed(&error).min(interval),
            };
            // From the beginning of this export, so that slow answers do not stretch the interval.
            next = (begun + wait).max(Instant::now());
        }
    }

    /// Everything up to now.
    fn export(&mut self) -> Result<(), ExportError> {
        if let Some(pending) = self.pending.take() {
            self.send(pending)?;
        }
        let collection = self.reader.read();
        self.send(collection)
    }

    fn send(&mut self, collection: Collection) -> Result<(), ExportError> {
        match self.transport.export(&collection.metrics) {
            Ok(()) => {
                self.reader.delivered(&collection);
                self.delivery.succeeded();
                Ok(())
            }
            Err(error) => {
                if self.transport.temporality() != Temporality::Cumulative {
                    self.pending = Some(collection);
                }
                Err(error)
            }
        }
    }

    fn last(&mut self) -> Result<(), ExportError> {
        let was_failing = self.delivery.is_failing();
        let error = match self.export() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if was_failing {
            return Err(error);
        }
        thread::sleep(SECOND_CHANCE);
        self.export()
    }
}
