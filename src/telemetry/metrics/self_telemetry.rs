//! Telemetry about tlscope itself: the `tlscope.*` instruments.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::stats::{AttributionCounts, Health, InterfaceHealth, Load, Stats};
use crate::telemetry::{Losses, Signal};

/// Ten times the interval between ticks.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// The state of tlscope: written where it changes, read when metrics are collected.
#[derive(Debug)]
pub(crate) struct SelfTelemetry {
    /// As of the last tick; `None` before the first.
    health: Mutex<Option<Health>>,
    /// When the last tick was; `None` before the first.
    heard: Mutex<Option<Instant>>,
    exports: Vec<ExportHealth>,
    unreadable_certificates: AtomicU64,
    omitted_certificates: AtomicU64,
    losses: Mutex<Losses>,
    /// Opened early, since a sandbox may forbid it later.
    memory: Option<File>,
}

/// Counters of the exports of one signal.
#[derive(Debug)]
struct ExportHealth {
    signal: Signal,
    /// Exports that failed.
    failures: AtomicU64,
    /// Records discarded because the collector did not take them in time.
    discarded: AtomicU64,
    /// Records and data points that the collector rejected of exports that it took.
    rejected: AtomicU64,
    /// Times that the collector asked to wait.
    throttled: AtomicU64,
}

impl SelfTelemetry {
    /// `signals` are those that go to a collector.
    pub(crate) fn new(signals: &[Signal]) -> Self {
        let exports = signals.iter().map(|signal| ExportHealth {
            signal: *signal,
            failures: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        });
        Self {
            health: Mutex::default(),
            heard: Mutex::default(),
            exports: exports.collect(),
            unreadable_certificates: AtomicU64::new(0),
            omitted_certificates: AtomicU64::new(0),
            losses: Mutex::default(),
            memory: File::open("/proc/self/statm").ok(),
        }
    }

    /// Notes the state at a tick.
    pub(crate) fn set(&self, health: Health) {
        *self.health() = Some(health);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Notes the final counters; interfaces keep their last state.
    pub(crate) fn finish(&self, stats: &Stats) {
        let mut health = self.health();
        let health = health.get_or_insert_default();
        health.stats = *stats;
        health.load = Load::default();
    }

    /// Time since the last tick, if it is longer than it should be.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = heard?.elapsed();
        (silence > LONGEST_SILENCE).then_some(silence)
    }

    pub(crate) fn count_failure(&self, signal: Signal) {
        self.add(signal, 1, |export| &export.failures);
    }

    pub(crate) fn count_discarded(&self, signal: Signal, records: usize) {
        self.add(signal, records as u64, |export| &export.discarded);
    }

    pub(crate) fn count_rejected(&self, signal: Signal, records: u64) {
        self.add(signal, records, |export| &export.rejected);
    }

    pub(crate) fn count_throttled(&self, signal: Signal) {
        self.add(signal, 1, |export| &export.throttled);
    }

    fn add(&self, signal: Signal, number: u64, counter: fn(&ExportHealth) -> &AtomicU64) {
        self.exports
            .iter()
            .filter(|export| export.signal == signal)
            .for_each(|export| {
                counter(export).fetch_add(number, Ordering::Relaxed);
            });
    }

    /// Exports of a signal that failed.
    #[cfg(test)]
    pub(crate) fn failures(&self, signal: Signal) -> u64 {
        self.count_of(signal, |export| &export.failures)
    }

    /// Records of a signal that were discarded.
    #[cfg(test)]
    pub(crate) fn discarded(&self, signal: Signal) -> u64 {
        self.count_of(signal, |export| &export.discarded)
    }

    /// Records of a signal that the collector rejected.
    #[cfg(test)]
    pub(crate) fn rejected(&self, signal: Signal) -> u64 {
        self.count_of(signal, |export| &export.rejected)
    }

    /// Times that the collector asked to wait.
    #[cfg(test)]
    pub(crate) fn throttled(&self, signal: Signal) -> u64 {
        self.count_of(signal, |export| &export.throttled)
    }

    #[cfg(test)]
    fn count_of(&self, signal: Signal, counter: fn(&ExportHealth) -> &AtomicU64) -> u64 {
        let mut exports = self.exports.iter().filter(|e| e.signal == signal);
        counter(exports.next().unwrap()).load(Ordering::Relaxed)
    }

    /// Notes how many of the watched certificate files cannot be read now.
    pub(crate) fn set_unreadable_certificates(&self, files: usize) {
        self.unreadable_certificates
            .store(files as u64, Ordering::Relaxed);
    }

    /// Notes how many certificates in watched files are beyond the limit.
    pub(crate) fn set_omitted_certificates(&self, certificates: usize) {
        self.omitted_certificates
            .store(certificates as u64, Ordering::Relaxed);
    }

    /// Notes what the outputs could not write so far.
    pub(crate) fn set_losses(&self, losses: Losses) {
        *self.losses.lock().unwrap_or_else(PoisonError::into_inner) = losses;
    }

    fn losses(&self) -> Losses {
        *self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of main memory in use; `None` if the system does not report it.
    fn memory(&self) -> Option<u64> {
        const PAGE: u64 = 4096; // with larger pages this is too low, but still grows with use

        let mut text = [0; 64];
        let length = self.memory.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        let resident: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(resident * PAGE)
    }

    fn health(&self) -> MutexGuard<'_, Option<Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers the instruments; they live as long as the meter's provider.
pub(crate) fn register(meter: &Meter, self_telemetry: &Arc<SelfTelemetry>) {
    register_input(meter, self_telemetry);
    register_state(meter, self_telemetry);
    register_exports(meter, self_telemetry);
    register_losses(meter, self_telemetry);
}

fn register_input(meter: &Meter, self_telemetry: &Arc<SelfTelemetry>) {
    meter
        .u64_observable_counter("tlscope.packets")
        .with_unit("{packet}")
        .with_description("Packets received.")
        .with_callback(observing(self_telemetry, |health, counter| {
            each_interface(health, counter, |i| i.packets, |stats| stats.packets);
        }))
        .build();
    meter
        .u64_observable_counter("tlscope.bytes")
        .with_unit("By")
        .with_description("Bytes captured.")
        .with_callback(observing(self_telemetry, |health, counter| {
            each_interface(health, counter, |i| i.bytes, |stats| stats.bytes);
        }))
        .build();
    meter
        .u64_observable_counter("tlscope.packets.dropped")
        .with_unit("{packet}")
        .with_description(
            "Packets lost: in the kernel, at the interface, because tlscope was behind (queue), or because they could not be decoded.",
        )
        .with_callback(observing(self_telemetry, observe_drops))
        .build();
    meter
        .u64_observable_gauge("tlscope.interface.up")
        .with_description("Whether packets can be captured on an interface: 1 or 0.")
        .with_callback(observing(self_telemetry, |health, gauge| {
            for interface in &health.interfaces {
                gauge.observe(u64::from(interface.is_up), &[name(interface)]);
            }
        }))
        .build();
}

/// An instrument's name, unit and description, and its value.
type Described<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

fn register_state(meter: &Meter, self_telemetry: &Arc<SelfTelemetry>) {
    let gauges: [Described<Health>; 2] = [
        (
            "tlscope.flows.open",
            "{flow}",
            "Connections remembered.",
            |health| health.load.connections,
        ),
        (
            "tlscope.handshakes.open",
            "{handshake}",
            "Handshakes without a verdict yet.",
            |health| health.load.handshakes,
        ),
    ];
    for (instrument, unit, description, value) in gauges {
        meter
            .u64_observable_gauge(instrument)
            .with_unit(unit)
            .with_description(description)
            .with_callback(observing(self_telemetry, move |health, gauge| {
                gauge.observe(value(health), &[])
            }))
            .build();
    }
    let counters: [Described<Stats>; 4] = [
        (
            "tlscope.flows.evicted",
            "{flow}",
            "Connections evicted because the table was full.",
            |stats| stats.connections_evicted,
        ),
        (
            "tlscope.gaps",
            "{gap}",
            "Places where the capture lacks bytes of a connection.",
            |stats| stats.gaps,
        ),
        (
            "tlscope.segments.out_of_window",
            "{segment}",
            "Segments ignored because their sequence or acknowledgment number lies in no window of their connection.",
            |stats| stats.segments_out_of_window,
        ),
        (
            "tlscope.conflicting",
            "By",
            "Handshake bytes that were retransmitted with different content.",
            |stats| stats.conflicting_bytes,
        ),
    ];
    for (instrument, unit, description, value) in counters {
        meter
            .u64_observable_counter(instrument)
            .with_unit(unit)
            .with_description(description)
            .with_callback(observing(self_telemetry, move |health, counter| {
                counter.observe(value(&health.stats), &[])
            }))
            .build();
    }
    meter
        .u64_observable_counter("tlscope.attribution.sockets")
        .with_unit("{socket}")
        .with_description(
            "Sockets of this host on which a ClientHello was sent, by what was found of their processes.",
        )
        .with_callback(observing(self_telemetry, |health, counter| {
            let counts = health.attribution.iter().flat_map(AttributionCounts::iter);
            for (result, sockets) in counts {
                let result = KeyValue::new("tlscope.attribution.result", result);
                counter.observe(sockets, &[result]);
            }
        }))
        .build();
    let self_telemetry = Arc::clone(self_telemetry);
    meter
        .u64_observable_gauge("tlscope.memory")
        .with_unit("By")
        .with_description("Main memory in use.")
        .with_callback(move |gauge| {
            if let Some(bytes) = self_telemetry.memory() {
                gauge.observe(bytes, &[]);
            }
        })
        .build();
}

fn register_exports(meter: &Meter, self_telemetry: &Arc<SelfTelemetry>) {
    let counters: [Described<ExportHealth>; 3] = [
        (
            "tlscope.export.failures",
            "{export}",
            "Exports that did not reach the collector.",
            |export| export.failures.load(Ordering::Relaxed),
        ),
        (
            "tlscope.export.throttled",
            "{export}",
            "Exports that the collector refused for now, saying when to retry (Retry-After).",
            |export| export.throttled.load(Ordering::Relaxed),
        ),
        (
            "tlscope.export.rejected",
            "{record}",
            "Data points, log records and spans that the collector rejected of exports that it took (partial success).",
            |export| export.rejected.load(Ordering::Relaxed),
        ),
    ];
    for (instrument, unit, description, value) in counters {
        let exports = Arc::clone(self_telemetry);
        meter
            .u64_observable_counter(instrument)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |counter| {
                for export in &exports.exports {
                    let signal = KeyValue::new("signal", export.signal.as_str());
                    counter.observe(value(export), &[signal]);
                }
            })
            .build();
    }
    let discarded = Arc::clone(self_telemetry);
    meter
        .u64_observable_counter("tlscope.export.discarded")
        .with_unit("{record}")
        .with_description(
            "Log records and spans discarded because the collector was unreachable for too long.",
        )
        .with_callback(move |counter| {
            let records = discarded.exports.iter();
            for export in records.filter(|export| export.signal != Signal::Metrics) {
                let signal = KeyValue::new("signal", export.signal.as_str());
                counter.observe(export.discarded.load(Ordering::Relaxed), &[signal]);
            }
        })
        .build();
    let files = Arc::clone(self_telemetry);
    meter
        .u64_observable_gauge("tlscope.certificate.files.unreadable")
        .with_unit("{file}")
        .with_description("Watched certificate files that cannot be read.")
        .with_callback(move |gauge| {
            let unreadable = &files.unreadable_certificates;
            gauge.observe(unreadable.load(Ordering::Relaxed), &[]);
        })
        .build();
}

/// As [`Described`]; there is no value if the run does not have the output.
type DescribedLoss = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Losses) -> Option<u64>,
);

fn register_losses(meter: &Meter, self_telemetry: &Arc<SelfTelemetry>) {
    let counters: [DescribedLoss; 4] = [
        (
            "tlscope.events.lost",
            "{event}",
            "Events that could not be written to their file.",
            |losses| losses.events,
        ),
        (
            "tlscope.failures.unsaved",
            "{capture}",
            "Captures of failures that could not be saved.",
            |losses| losses.failures,
        ),
        (
            "tlscope.failures.evicted",
            "{capture}",
            "Captures of failures deleted to make room for newer ones.",
            |losses| losses.failures_evicted,
        ),
        (
            "tlscope.certificates.unsaved",
            "{certificate}",
            "Certificates that could not be extracted to a file and were dropped from the queue.",
            |losses| losses.certificates,
        ),
    ];
    for (instrument, unit, description, value) in counters {
        let own = Arc::clone(self_telemetry);
        meter
            .u64_observable_counter(instrument)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |counter| {
                if let Some(lost) = value(&own.losses()) {
                    counter.observe(lost, &[]);
                }
            })
            .build();
    }
    let own = Arc::clone(self_telemetry);
    meter
        .u64_observable_gauge("tlscope.certificate.files.omitted")
        .with_unit("{certificate}")
        .with_description(
            "Certificates in watched files that have no metrics, because there are too many.",
        )
        .with_callback(move |gauge| {
            gauge.observe(own.omitted_certificates.load(Ordering::Relaxed), &[]);
        })
        .build();
}

/// A callback that observes the health.
fn observing(
    self_telemetry: &Arc<SelfTelemetry>,
    observe: impl Fn(&Health, &dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static {
    let self_telemetry = Arc::clone(self_telemetry);
    move |instrument| {
        // A copy, so that the lock is released before the SDK takes the values: recording never waits for an export.
        let health = self_telemetry.health().clone();
        if let Some(health) = health {
            observe(&health, instrument);
        }
    }
}

/// Observes a value of each interface, or one of the whole run in a replay.
fn each_interface(
    health: &Health,
    instrument: &dyn AsyncInstrument<u64>,
    of_interface: fn(&InterfaceHealth) -> u64,
    of_run: fn(&Stats) -> u64,
) {
    if health.interfaces.is_empty() {
        instrument.observe(of_run(&health.stats), &[]);
    }
    for interface in &health.interfaces {
        instrument.observe(of_interface(interface), &[name(interface)]);
    }
}

fn observe_drops(health: &Health, counter: &dyn AsyncInstrument<u64>) {
    let cause = |cause| KeyValue::new("cause", cause);
    for interface in &health.interfaces {
        for (label, packets) in [
            ("kernel", interface.dropped_kernel),
            ("interface", interface.dropped_interface),
            ("queue", interface.dropped_queue),
        ] {
            counter.observe(packets, &[cause(label), name(interface)]);
        }
    }
    let stats = &health.stats;
    let undecodable = stats.packets_malformed + stats.packets_unknown_link;
    counter.observe(undecodable, &[cause("undecodable")]);
}

fn name(interface: &InterfaceHealth) -> KeyValue {
    KeyValue::new("network.interface.name", interface.name.clone())
}
