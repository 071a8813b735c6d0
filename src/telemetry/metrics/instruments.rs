//! The instruments: what is recorded of an event, under which series.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use super::bindings::{Counters, Histograms, Listeners};
use super::certificate_table::{CertificateTable, MAX_CERTIFICATES, Observation};
use super::extra_attributes::Chooser;
use super::series::{
    AlertSeries, DurationSeries, ErrorSeries, HandshakeSeries, KnownSeries, PhaseSeries, Series,
};
use crate::event::Handshake;
use crate::sink::milliseconds;
use crate::telemetry::watch::{self, CertificateFiles};
use crate::telemetry::{Histograms as Buckets, MetricsConfig};
use crate::time::Timestamp;

const TOTAL: &str = "tls.handshake.total";
const DURATION: &str = "tls.handshake.duration";
const PHASE_DURATION: &str = "tls.handshake.phase.duration";
const DAYS_UNTIL_EXPIRY: &str = "tls.certificate.days_until_expiry";
const NOT_AFTER: &str = "tls.certificate.not_after";
const VALIDATION_ERRORS: &str = "tls.validation.errors";
const ALERTS: &str = "tls.alerts";

/// Series of `tls.handshake.total` before cipher suites, and what was asked for on
/// top, are told apart no more: the SDK's own default for an instrument. Networks
/// show some dozens.
const MAX_DETAILED_SERIES: usize = 2_000;
/// The same where attributes were asked for on top.
const MAX_ATTRIBUTED_SERIES: usize = 10_000;
/// Series of `tls.handshake.duration` before what was asked for on top is told
/// apart no more: each has a count for every bucket.
const MAX_DURATION_SERIES: usize = 2_000;
/// Room for the series without detail, in each instrument. Beyond it, the SDK counts
/// in one series that has lost all attributes, and with them the alert on failures.
const MAX_PLAIN_SERIES: usize = 2_000;

/// Values of each attribute asked for on top, unless said otherwise.
const USUAL_VALUES: usize = 50;

/// Upper bounds of the histograms' buckets, in milliseconds: from a connection within a host to a client that gives up.
const BUCKETS: [f64; 16] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4,
];

/// Adapts streams to our instruments: buckets, and room for series.
pub(crate) fn view(
    buckets: Buckets,
) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static {
    move |instrument| {
        let stream = Stream::builder();
        let stream = match instrument.name() {
            DURATION | PHASE_DURATION => stream
                .with_aggregation(aggregation(buckets))
                .with_cardinality_limit(MAX_DURATION_SERIES + MAX_PLAIN_SERIES),
            DAYS_UNTIL_EXPIRY | NOT_AFTER => {
                stream.with_cardinality_limit(MAX_CERTIFICATES + watch::MAX_CERTIFICATES)
            }
            TOTAL => stream.with_cardinality_limit(MAX_ATTRIBUTED_SERIES + MAX_PLAIN_SERIES),
            _ => return None,
        };
        stream.build().ok()
    }
}

fn aggregation(buckets: Buckets) -> Aggregation {
    match buckets {
        Buckets::Explicit => Aggregation::ExplicitBucketHistogram {
            boundaries: BUCKETS.to_vec(),
            record_min_max: true,
        },
        // As OpenTelemetry's default: 160 buckets, as fine as the values allow.
        Buckets::Exponential => Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        },
    }
}

/// Every instrument of handshakes, with the series that were recorded in.
pub(crate) struct Instruments {
    chooser: Chooser,
    max_detailed_series: usize,
    total: Counters<HandshakeSeries>,
    /// The zeros of `total`: only there to be seen.
    _known: Counters<KnownSeries>,
    duration: Histograms<DurationSeries>,
    phase_duration: Histograms<PhaseSeries>,
    validation_errors: Counters<ErrorSeries>,
    alerts: Counters<AlertSeries>,
    certificates: Arc<Mutex<CertificateTable>>,
}

impl Instruments {
    /// `files` are the certificates watched, `listeners` those who are told again and again.
    pub(crate) fn new(
        meter: &Meter,
        config: &MetricsConfig,
        files: &Arc<CertificateFiles>,
        listeners: &Listeners,
    ) -> Self {
        let counters = |name, unit, description| {
            let counter = meter.u64_counter(name).with_unit(unit);
            counter.with_description(description).build()
        };
        let total = counters(
            TOTAL,
            "{handshake}",
            "TLS handshakes seen, by how they ended.",
        );
        let validation_errors = counters(
            VALIDATION_ERRORS,
            "{error}",
            "Handshakes in which a certificate or an offer was found wrong.",
        );
        let memory = config
            .live
            .as_ref()
            .and_then(|live| live.certificate_memory);
        Self {
            chooser: Chooser::new(&config.attributes, config.values.unwrap_or(USUAL_VALUES)),
            max_detailed_series: if config.attributes.is_empty() {
                MAX_DETAILED_SERIES
            } else {
                MAX_ATTRIBUTED_SERIES
            },
            _known: with_zeros(total.clone(), listeners, KnownSeries::all()),
            total: Counters::new(total, listeners.clone()),
            duration: Histograms::new(histogram(
                meter,
                DURATION,
                "From the ClientHello to the last handshake message.",
            )),
            phase_duration: Histograms::new(histogram(
                meter,
                PHASE_DURATION,
                "How long each phase of a handshake took.",
            )),
            validation_errors: with_zeros(validation_errors, listeners, ErrorSeries::known()),
            alerts: Counters::new(
                counters(ALERTS, "{alert}", "Alerts seen."),
                listeners.clone(),
            ),
            certificates: observed_certificates(meter, memory, files),
        }
    }

    pub(crate) fn record(&mut self, event: &Handshake) {
        self.count_and_time(event);
        for series in ErrorSeries::of(event) {
            self.validation_errors.add(series, 1);
        }
        for alert in &event.alerts {
            self.alerts.add(AlertSeries::of(alert), 1);
        }
        lock(&self.certificates).record(event);
    }

    /// Notes that it is `now`; counts that waited for their series to be told of may be added.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        lock(&self.certificates).tick(now);
        self.total.tick();
        self.validation_errors.tick();
        self.alerts.tick();
    }

    /// Adds whatever still waits: this is the last export.
    pub(crate) fn finish(&mut self) {
        self.total.finish();
        self.validation_errors.finish();
        self.alerts.finish();
    }

    fn count_and_time(&mut self, event: &Handshake) {
        let (counted, timed) = self.chooser.choose(event);
        let mut series = HandshakeSeries::of(event, counted);
        if self.total.len() >= self.max_detailed_series && !self.total.contains(&series) {
            series = series.without_detail();
        }
        self.total.add(series, 1);

        let timing = &event.timing;
        if let Some(duration) = timing.handshake {
            let mut series = DurationSeries::of(event, timed);
            if self.duration.len() >= MAX_DURATION_SERIES && !self.duration.contains(&series) {
                series = series.without_detail();
            }
            self.duration.record(series, milliseconds(duration));
        }
        for (phase, duration) in [
            ("tcp_connect", timing.tcp_connect),
            ("server_hello", timing.server_hello),
            ("handshake", timing.handshake),
            ("first_application_data", timing.first_application_data),
        ] {
            if let Some(duration) = duration {
                let series = PhaseSeries::of(phase, &event.tls);
                self.phase_duration.record(series, milliseconds(duration));
            }
        }
    }
}

/// A counter with series that are there from the start, at zero.
fn with_zeros<S: Series + Clone + Eq + std::hash::Hash>(
    counter: Counter<u64>,
    listeners: &Listeners,
    series: impl Iterator<Item = S>,
) -> Counters<S> {
    let mut counters = Counters::new(counter, listeners.clone());
    series.for_each(|series| counters.create(series));
    counters
}

fn histogram(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("ms");
    histogram.with_description(description).build()
}

fn observed_certificates(
    meter: &Meter,
    memory: Option<Duration>,
    files: &Arc<CertificateFiles>,
) -> Arc<Mutex<CertificateTable>> {
    let table = CertificateTable::new(MAX_CERTIFICATES, memory);
    let table = Arc::new(Mutex::new(table));
    let observe = {
        let (table, files) = (Arc::clone(&table), Arc::clone(files));
        // The locks are gone before the SDK takes the values: recording never waits for an export.
        move || -> Vec<Observation> {
            let mut observations = lock(&table).observe();
            observations.extend(files.observe());
            observations
        }
    };
    let observe_days = observe.clone();
    meter
        .f64_observable_gauge(DAYS_UNTIL_EXPIRY)
        .with_description("Days until a certificate that was shown expires; negative once it has.")
        .with_callback(move |gauge| {
            for seen in observe_days() {
                gauge.observe(seen.days_until_expiry, &seen.attributes);
            }
        })
        .build();
    meter
        .i64_observable_gauge(NOT_AFTER)
        .with_unit("s")
        .with_description("Unix time at which a certificate that was shown expires.")
        .with_callback(move |gauge| {
            for seen in observe() {
                gauge.observe(seen.not_after.0, &seen.attributes);
            }
        })
        .build();
    table
}

/// A panic elsewhere leaves the table whole: it is changed by one insertion at a time.
fn lock(table: &Mutex<CertificateTable>) -> MutexGuard<'_, CertificateTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
