//! Log records and spans to a collector, in batches, on a thread of their own.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::delivery::{Closing, Delivery};
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::{ExportError, Signal};

/// Records that wait to be sent; OpenTelemetry's own defaults, as the next two. Of
/// some kilobytes each, and bounded in size since what the traffic brings is cut.
const MAX_WAITING: usize = 2_048;
/// Records of one export.
const MAX_BATCH: usize = 512;
/// How long a record waits for others.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How often a batch may be refused, and not only not arrive, before others get their
/// turn: what is wrong with it may be wrong with it alone.
const MAX_REFUSALS: u32 = 3;

/// Sends a batch of records to a collector.
pub(crate) trait Carrier<T>: Send {
    /// Sends all of `batch`.
    fn send(&self, batch: &[T]) -> Result<(), ExportError>;
}

/// Takes records, and sees to it that they are sent.
pub(crate) struct Outbox<T> {
    signal: Signal,
    url: String,
    records: Sender<T>,
    stop: Sender<()>,
    done: Receiver<Result<(), ExportError>>,
    self_telemetry: Arc<SelfTelemetry>,
    /// Whether records may wait for a slow collector: a file can, a wire cannot.
    is_patient: bool,
}

impl<T: Send + 'static> Outbox<T> {
    /// `is_patient` if the input can wait for the collector.
    pub(crate) fn start(
        signal: Signal,
        carrier: impl Carrier<T> + 'static,
        delivery: Delivery,
        self_telemetry: Arc<SelfTelemetry>,
        is_patient: bool,
    ) -> io::Result<Self> {
        let (records, received) = bounded(MAX_WAITING);
        let (stop, stopped) = bounded(1);
        let (report, done) = bounded(1);
        let url = delivery.url().to_owned();
        let mut sender = BatchSender {
            carrier,
            delivery,
            is_patient,
            last_error: None,
        };
        thread::Builder::new()
            .name(signal.as_str().to_owned())
            .spawn(move || {
                sender.run(&received, &stopped);
                let _ = report.send(sender.last_error.map_or(Ok(()), Err)); // nobody waits any more
            })?;
        Ok(Self {
            signal,
            url,
            records,
            stop,
            done,
            self_telemetry,
            is_patient,
        })
    }

    /// Takes a record; discards it where there is no room.
    pub(crate) fn push(&self, record: T) {
        let lost = if self.is_patient {
            self.records.send(record).is_err()
        } else {
            match self.records.try_send(record) {
                Ok(()) => false,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => true,
            }
        };
        if lost {
            self.self_telemetry.count_discarded(self.signal, 1);
        }
    }

    /// Has it send what waits, and end.
    pub(crate) fn close(self) -> Closing {
        drop(self.records);
        if !self.is_patient {
            let _ = self.stop.send(());
        }
        Closing {
            signal: self.signal,
            url: self.url,
            done: self.done,
        }
    }
}

struct BatchSender<C> {
    carrier: C,
    delivery: Delivery,
    is_patient: bool,
    /// Why the last batch that was given up was.
    last_error: Option<ExportError>,
}

impl<C> BatchSender<C> {
    /// Sends batches until nobody makes records any more.
    fn run<T>(&mut self, records: &Receiver<T>, stopped: &Receiver<()>)
    where
        C: Carrier<T>,
    {
        let mut batch = Vec::new();
        while fill(&mut batch, records) {
            if self.last_error.is_some() {
                self.delivery.discarded(batch.len()); // a replay does not wait for who is not there
            } else {
                self.deliver(&batch, stopped);
            }
            batch.clear();
        }
    }

    /// Sends `batch`, again and again if it must be; gives it up when the collector does not
    /// want it, and at the end of the run.
    fn deliver<T>(&mut self, batch: &[T], stopped: &Receiver<()>)
    where
        C: Carrier<T>,
    {
        let mut refusals = 0;
        loop {
            let error = match self.carrier.send(batch) {
                Ok(()) => return self.delivery.succeeded(),
                Err(error) => error,
            };
            let pause = self.delivery.failed(&error);
            let gives_up = self.is_patient || stopped.recv_timeout(pause).is_ok();
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

/// Takes records until there are enough or the first has waited for long enough; `false` at the end.
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

    use super::*;
    use crate::telemetry::testing::destination;

    /// Refuses some batches, then takes all.
    struct Flaky {
        refusals: Mutex<usize>,
        taken: Arc<Mutex<Vec<u32>>>,
        /// Lets a batch through for each message.
        gate: Option<Receiver<()>>,
        /// Whether it does so for good.
        refuses: bool,
    }

    impl Carrier<u32> for Flaky {
        fn send(&self, batch: &[u32]) -> Result<(), ExportError> {
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
                    is_refusal: self.refuses,
                });
            }
            self.taken.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    struct Run {
        outbox: Outbox<u32>,
        taken: Arc<Mutex<Vec<u32>>>,
        self_telemetry: Arc<SelfTelemetry>,
    }

    fn run(refusals: usize, is_patient: bool, gate: Option<Receiver<()>>) -> Run {
        run_with(false, refusals, is_patient, gate)
    }

    fn run_with(
        refuses: bool,
        refusals: usize,
        is_patient: bool,
        gate: Option<Receiver<()>>,
    ) -> Run {
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Logs]));
        let taken = Arc::default();
        let mut to = destination("http://c");
        to.signal = Signal::Logs;
        let delivery = Delivery::new(&to, Arc::clone(&self_telemetry), Arc::new(|_| {})).hurried();
        let carrier = Flaky {
            refusals: refusals.into(),
            taken: Arc::clone(&taken),
            gate,
            refuses,
        };
        let own = Arc::clone(&self_telemetry);
        let outbox = Outbox::start(Signal::Logs, carrier, delivery, own, is_patient);
        Run {
            outbox: outbox.unwrap(),
            taken,
            self_telemetry,
        }
    }

    fn finish(outbox: Outbox<u32>) -> Result<(), ExportError> {
        outbox.close().wait(Instant::now(), Duration::from_secs(60))
    }

    #[test]
    fn records_wait_for_a_collector_that_comes_back() {
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
    fn a_batch_that_the_collector_does_not_want_gives_way_to_others() {
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
    fn what_finds_the_queue_full_is_discarded_and_counted() {
        let (open, gate) = bounded(0);
        let run = run(0, false, Some(gate));
        let pushed = MAX_WAITING + 3 * MAX_BATCH;
        (0..pushed as u32).for_each(|number| run.outbox.push(number));
        drop(open);
        finish(run.outbox).unwrap();
        let taken = run.taken.lock().unwrap().len();
        let discarded = run.self_telemetry.discarded(Signal::Logs) as usize;
        assert!(discarded >= 2 * MAX_BATCH, "{discarded}");
        assert_eq!(taken + discarded, pushed);
    }

    #[test]
    fn the_end_of_a_run_does_not_wait_for_who_is_not_there() {
        let run = run(usize::MAX, false, None);
        (0..5).for_each(|number| run.outbox.push(number));
        let error = finish(run.outbox).unwrap_err();
        assert_eq!(error.cause, "down");
        assert_eq!(run.self_telemetry.discarded(Signal::Logs), 5);
    }

    #[test]
    fn a_replay_loses_nothing_to_a_slow_collector() {
        let (open, gate) = bounded(0);
        let run = run(0, true, Some(gate));
        let pushed = 2 * MAX_WAITING as u32;
        let opener = thread::spawn(move || while open.send(()).is_ok() {});
        (0..pushed).for_each(|number| run.outbox.push(number));
        finish(run.outbox).unwrap();
        opener.join().unwrap();
        assert_eq!(run.taken.lock().unwrap().len(), pushed as usize);
    }
}
