//! Log records and spans to a collector: queued, and sent in batches by a thread.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::Closing;
use super::delivery::{DeliveryMonitor, LONGEST_WAIT_AT_END};
use super::otlp::Delivered;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::{ExportError, Signal};

/// Records in the queue. This and the next two are OpenTelemetry's defaults. A record has
/// some kilobytes at most, since text from the traffic is cut.
const MAX_QUEUED: usize = 2_048;
/// Records in one export.
const MAX_BATCH: usize = 512;
/// How long a record waits for others to share its batch.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How often the collector may refuse a batch (and not just be away) before the batch is
/// discarded: whatever is wrong with it may be wrong with it alone.
const MAX_REFUSALS: u32 = 3;

/// Sends a batch of records to a collector.
pub(super) trait BatchSender<T>: Send {
    /// Sends all of `batch`.
    fn send(&self, batch: &[T]) -> Result<Delivered, ExportError>;
}

/// A bounded queue of records, emptied by a thread of its own.
pub(super) struct Outbox<T> {
    signal: Signal,
    url: String,
    records: Sender<T>,
    stop: Sender<()>,
    result: Receiver<Result<(), ExportError>>,
    self_telemetry: Arc<SelfTelemetry>,
    /// Whether [`Outbox::push`] blocks while the queue is full.
    waits_for_collector: bool,
}

impl<T: Send + 'static> Outbox<T> {
    /// Starts the thread. With `waits_for_collector`, a full queue blocks the caller and no record is lost.
    pub(super) fn start(
        signal: Signal,
        sender: impl BatchSender<T> + 'static,
        delivery: DeliveryMonitor,
        self_telemetry: Arc<SelfTelemetry>,
        waits_for_collector: bool,
    ) -> io::Result<Self> {
        let (records, received) = bounded(MAX_QUEUED);
        let (stop, stopped) = bounded(1);
        let (report, result) = bounded(1);
        let url = delivery.url().to_owned();
        let mut batches = Batches {
            sender,
            delivery,
            waits_for_collector,
            last_error: None,
        };
        thread::Builder::new()
            .name(signal.as_str().to_owned())
            .spawn(move || {
                batches.run(&received, &stopped);
                let _ = report.send(batches.last_error.map_or(Ok(()), Err)); // the run may have ended
            })?;
        Ok(Self {
            signal,
            url,
            records,
            stop,
            result,
            self_telemetry,
            waits_for_collector,
        })
    }

    /// Queues a record. If the queue is full, waits or discards the record.
    pub(super) fn push(&self, record: T) {
        let is_lost = if self.waits_for_collector {
            self.records.send(record).is_err()
        } else {
            match self.records.try_send(record) {
                Ok(()) => false,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => true,
            }
        };
        if is_lost {
            self.self_telemetry.count_discarded(self.signal, 1);
        }
    }

    /// Asks the thread to send what is queued, and to end.
    pub(super) fn close(self) -> Closing {
        drop(self.records);
        if !self.waits_for_collector {
            let _ = self.stop.send(());
        }
        Closing::Thread {
            signal: self.signal,
            url: self.url,
            result: self.result,
        }
    }
}

/// The sending end, on the thread.
struct Batches<S> {
    sender: S,
    delivery: DeliveryMonitor,
    waits_for_collector: bool,
    /// Why the last batch that was discarded could not be sent.
    last_error: Option<ExportError>,
}

impl<S> Batches<S> {
    /// Sends batches until the queue is closed and empty.
    fn run<T>(&mut self, records: &Receiver<T>, stopped: &Receiver<()>)
    where
        S: BatchSender<T>,
    {
        let mut batch = Vec::new();
        while fill(&mut batch, records) {
            if self.last_error.is_some() {
                self.delivery.discarded(batch.len()); // a replay tries an absent collector once
            } else {
                self.deliver(&batch, stopped);
            }
            batch.clear();
        }
    }

    /// Sends `batch`, retrying until the collector takes it, has refused it
    /// [`MAX_REFUSALS`] times, or the run ends. A replay retries as often as that, and only if the
    /// collector says when.
    fn deliver<T>(&mut self, batch: &[T], stopped: &Receiver<()>)
    where
        S: BatchSender<T>,
    {
        let (mut refusals, mut waits) = (0, 0);
        loop {
            let error = match self.sender.send(batch) {
                Ok(delivered) => return self.delivery.succeeded(&delivered),
                Err(error) => error,
            };
            let pause = self.delivery.failed(&error);
            let gives_up = if self.waits_for_collector {
                waits += 1;
                let asked = error.retry_after.filter(|_| waits <= MAX_REFUSALS);
                let asked = asked.filter(|asked| *asked <= LONGEST_WAIT_AT_END);
                asked.map(thread::sleep).is_none()
            } else {
                stopped.recv_timeout(pause).is_ok()
            };
            if gives_up {
                self.delivery.discarded(batch.len());
                self.last_error = Some(error);
                return;
            }
            refusals += u32::from(error.is_refusal);
            if refusals >= MAX_REFUSALS {
                return self.delivery.discarded(batch.len());
            }
        }
    }
}

/// Fills a batch until it is complete or its first record has waited [`MAX_DELAY`]; `false` at the end.
fn fill<T>(batch: &mut Vec<T>, records: &Receiver<T>) -> bool {
    let Ok(first) = records.recv() else {
        return false;
    };
    batch.push(first);
    let latest = Instant::now() + MAX_DELAY;
    while batch.len() < MAX_BATCH {
        match records.recv_deadline(latest) {
            Ok(record) => batch.push(record),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::CloseError;
    use super::*;
    use crate::telemetry::testing::destination;

    /// Fails to send some batches, then sends all.
    struct Flaky {
        refusals: Mutex<usize>,
        taken: Arc<Mutex<Vec<u32>>>,
        /// Each message lets one batch through.
        gate: Option<Receiver<()>>,
        /// Whether the failures are refusals.
        are_refusals: bool,
        /// What the failures ask for.
        retry_after: Option<Duration>,
    }

    impl BatchSender<u32> for Flaky {
        fn send(&self, batch: &[u32]) -> Result<Delivered, ExportError> {
            if let Some(gate) = &self.gate {
                let _ = gate.recv();
            }
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err(ExportError {
                    signal: Signal::Logs,
                    url: String::new(),
                    cause: "down".to_owned(),
                    is_refusal: self.are_refusals,
                    is_unauthorized: false,
                    retry_after: self.retry_after,
                });
            }
            self.taken.lock().unwrap().extend(batch);
            Ok(Delivered::default())
        }
    }

    struct Run {
        outbox: Outbox<u32>,
        taken: Arc<Mutex<Vec<u32>>>,
        self_telemetry: Arc<SelfTelemetry>,
    }

    fn run(refusals: usize, waits_for_collector: bool, gate: Option<Receiver<()>>) -> Run {
        run_with(false, refusals, waits_for_collector, gate)
    }

    fn run_with(
        are_refusals: bool,
        refusals: usize,
        waits_for_collector: bool,
        gate: Option<Receiver<()>>,
    ) -> Run {
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Logs]));
        let taken = Arc::default();
        let mut to = destination("http://c");
        to.signal = Signal::Logs;
        let delivery =
            DeliveryMonitor::new(&to, Arc::clone(&self_telemetry), Arc::new(|_| {})).hurried();
        let sender = Flaky {
            refusals: refusals.into(),
            taken: Arc::clone(&taken),
            gate,
            are_refusals,
            retry_after: waits_for_collector.then_some(Duration::from_millis(1)),
        };
        let own = Arc::clone(&self_telemetry);
        let outbox = Outbox::start(Signal::Logs, sender, delivery, own, waits_for_collector);
        Run {
            outbox: outbox.unwrap(),
            taken,
            self_telemetry,
        }
    }

    fn finish(outbox: Outbox<u32>) -> Result<(), ExportError> {
        let closing = outbox.close();
        match closing.wait(Instant::now(), Duration::from_secs(60)) {
            Ok(()) => Ok(()),
            Err(CloseError::Export(error)) => Err(error),
            Err(CloseError::Write(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn records_are_queued_until_the_collector_is_back() {
        let run = run(3, false, None);
        (0..10).for_each(|number| run.outbox.push(number));
        while run.taken.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        finish(run.outbox).unwrap();
        assert_eq!(*run.taken.lock().unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(run.self_telemetry.failures(Signal::Logs), 3);
        assert_eq!(run.self_telemetry.discarded(Signal::Logs), 0);
    }

    #[test]
    fn a_batch_refused_three_times_is_discarded_and_the_next_is_sent() {
        let run = run_with(true, MAX_REFUSALS as usize, false, None);
        run.outbox.push(1);
        while run.self_telemetry.discarded(Signal::Logs) == 0 {
            thread::yield_now();
        }
        run.outbox.push(2);
        finish(run.outbox).unwrap();
        assert_eq!(*run.taken.lock().unwrap(), [2]);
        assert_eq!(
            run.self_telemetry.failures(Signal::Logs),
            u64::from(MAX_REFUSALS)
        );
        assert_eq!(run.self_telemetry.discarded(Signal::Logs), 1);
    }

    #[test]
    fn records_are_discarded_and_counted_while_the_queue_is_full() {
        let (open, gate) = bounded(0);
        let run = run(0, false, Some(gate));
        let pushed = MAX_QUEUED + 3 * MAX_BATCH;
        (0..pushed as u32).for_each(|number| run.outbox.push(number));
        drop(open);
        finish(run.outbox).unwrap();
        let taken = run.taken.lock().unwrap().len();
        let discarded = run.self_telemetry.discarded(Signal::Logs) as usize;
        assert!(discarded >= 2 * MAX_BATCH, "{discarded}");
        assert_eq!(taken + discarded, pushed);
    }

    #[test]
    fn the_end_of_a_run_does_not_wait_for_an_absent_collector() {
        let run = run(usize::MAX, false, None);
        (0..5).for_each(|number| run.outbox.push(number));
        let error = finish(run.outbox).unwrap_err();
        assert_eq!(error.cause, "down");
        assert_eq!(run.self_telemetry.discarded(Signal::Logs), 5);
    }

    #[test]
    fn a_replay_waits_as_long_as_the_collector_asks_and_three_times_at_most() {
        let patient = run(MAX_REFUSALS as usize, true, None);
        patient.outbox.push(1);
        finish(patient.outbox).unwrap();
        assert_eq!(*patient.taken.lock().unwrap(), [1]);

        let tired = run(MAX_REFUSALS as usize + 1, true, None);
        tired.outbox.push(1);
        assert_eq!(finish(tired.outbox).unwrap_err().cause, "down");
        assert_eq!(tired.self_telemetry.discarded(Signal::Logs), 1);
    }

    #[test]
    fn a_replay_loses_no_record_to_a_slow_collector() {
        let (open, gate) = bounded(0);
        let run = run(0, true, Some(gate));
        let pushed = 2 * MAX_QUEUED as u32;
        let opener = thread::spawn(move || while open.send(()).is_ok() {});
        (0..pushed).for_each(|number| run.outbox.push(number));
        finish(run.outbox).unwrap();
        opener.join().unwrap();
        assert_eq!(run.taken.lock().unwrap().len(), pushed as usize);
    }
}
