//! The instruments: what is recorded of an event, under which series.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use super::certificates::{CertificateTable, MAX_CERTIFICATES, Observation};
use super::series::{
    AlertSeries, DurationSeries, ErrorSeries, HandshakeSeries, PhaseSeries, Series,
};
use crate::event::{Handshake, Outcome};

const TOTAL: &str = "tls.handshake.total";
const DURATION: &str = "tls.handshake.duration";
const PHASE_DURATION: &str = "tls.handshake.phase.duration";
const DAYS_UNTIL_EXPIRY: &str = "tls.certificate.days_until_expiry";
const NOT_AFTER: &str = "tls.certificate.not_after";
const VALIDATION_ERRORS: &str = "tls.validation.errors";
const ALERTS: &str = "tls.alerts";

/// Series of `tls.handshake.total` before cipher suites are told apart no more:
/// the SDK's own default for an instrument. Networks show some dozens.
const MAX_DETAILED_SERIES: usize = 2_000;
/// Room for the series without detail. Beyond it, the SDK counts in one series
/// that has lost all attributes, and with them the alert on failures.
const MAX_SERIES: usize = 2 * MAX_DETAILED_SERIES;

/// Upper bounds of the histograms' buckets, in milliseconds: from a connection within a host to a client that gives up.
const BUCKETS: [f64; 16] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4,
];

/// Adapts streams to our instruments: buckets, and room for certificates.
pub(super) fn view(instrument: &Instrument) -> Option<Stream> {
    let stream = Stream::builder();
    let stream = match instrument.name() {
        DURATION | PHASE_DURATION => {
            stream.with_aggregation(Aggregation::ExplicitBucketHistogram {
                boundaries: BUCKETS.to_vec(),
                record_min_max: true,
            })
        }
        DAYS_UNTIL_EXPIRY | NOT_AFTER => stream.with_cardinality_limit(MAX_CERTIFICATES),
        TOTAL => stream.with_cardinality_limit(MAX_SERIES),
        _ => return None,
    };
    stream.build().ok()
}

/// Every instrument, with the series that were recorded in.
pub(super) struct Instruments {
    total: Bindings<HandshakeSeries, Counter<u64>>,
    duration: Bindings<DurationSeries, Histogram<f64>>,
    phase_duration: Bindings<PhaseSeries, Histogram<f64>>,
    validation_errors: Bindings<ErrorSeries, Counter<u64>>,
    alerts: Bindings<AlertSeries, Counter<u64>>,
    certificates: Arc<Mutex<CertificateTable>>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let mut validation_errors = Bindings::new(
            meter
                .u64_counter(VALIDATION_ERRORS)
                .with_unit("{error}")
                .with_description("Handshakes in which a certificate or an offer was found wrong.")
                .build(),
        );
        for series in ErrorSeries::known() {
            validation_errors.bound(series).add(0);
        }
        Self {
            total: Bindings::new(total(meter)),
            duration: Bindings::new(histogram(
                meter,
                DURATION,
                "From the ClientHello to the last handshake message.",
            )),
            phase_duration: Bindings::new(histogram(
                meter,
                PHASE_DURATION,
                "How long each phase of a handshake took.",
            )),
            validation_errors,
            alerts: Bindings::new(
                meter
                    .u64_counter(ALERTS)
                    .with_unit("{alert}")
                    .with_description("Alerts seen.")
                    .build(),
            ),
            certificates: observed_certificates(meter),
        }
    }

    pub(super) fn record(&mut self, event: &Handshake) {
        self.count(event);
        self.time(event);
        for series in ErrorSeries::of(event) {
            self.validation_errors.bound(series).add(1);
        }
        for alert in &event.alerts {
            self.alerts.bound(AlertSeries::of(alert)).add(1);
        }
        lock(&self.certificates).record(event);
    }

    fn count(&mut self, event: &Handshake) {
        let mut series = HandshakeSeries::of(event);
        if self.total.len() >= MAX_DETAILED_SERIES && !self.total.contains(&series) {
            series = series.without_detail();
        }
        self.total.bound(series).add(1);
    }

    fn time(&mut self, event: &Handshake) {
        let timing = &event.timing;
        if let Some(duration) = timing.handshake {
            let series = DurationSeries::of(event);
            self.duration.bound(series).record(milliseconds(duration));
        }
        for (phase, duration) in [
            ("tcp_connect", timing.tcp_connect),
            ("server_hello", timing.server_hello),
            ("handshake", timing.handshake),
            ("first_application_data", timing.first_application_data),
        ] {
            if let Some(duration) = duration {
                let series = PhaseSeries::of(phase, &event.tls);
                let phase_duration = self.phase_duration.bound(series);
                phase_duration.record(milliseconds(duration));
            }
        }
    }
}

fn total(meter: &Meter) -> Counter<u64> {
    let total = meter
        .u64_counter(TOTAL)
        .with_unit("{handshake}")
        .with_description("TLS handshakes seen, by how they ended.")
        .build();
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Unknown] {
        // No rule over these results is ever without data.
        total.add(0, &[KeyValue::new("result", outcome.as_str())]);
    }
    total
}

fn histogram(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name).with_unit("ms");
    histogram.with_description(description).build()
}

fn observed_certificates(meter: &Meter) -> Arc<Mutex<CertificateTable>> {
    let table = Arc::new(Mutex::new(CertificateTable::new(MAX_CERTIFICATES)));
    let observe = {
        let table = Arc::clone(&table);
        // The lock is gone before the SDK takes the values: recording never waits for an export.
        move || -> Vec<Observation> { lock(&table).observe() }
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
                gauge.observe(seen.not_after, &seen.attributes);
            }
        })
        .build();
    table
}

/// A panic elsewhere leaves the table whole: it is changed by one insertion at a time.
fn lock(table: &Mutex<CertificateTable>) -> MutexGuard<'_, CertificateTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// An instrument with its series, each bound when first used: the SDK's own way
/// from attributes to a series is slower by an order of magnitude.
struct Bindings<S, I: Bind> {
    instrument: I,
    bound: HashMap<S, I::Bound, RandomState>,
}

impl<S: Series + Eq + Hash, I: Bind> Bindings<S, I> {
    fn new(instrument: I) -> Self {
        Self {
            instrument,
            bound: HashMap::default(),
        }
    }

    fn bound(&mut self, series: S) -> &I::Bound {
        let instrument = &self.instrument;
        let entry = self.bound.entry(series);
        entry.or_insert_with_key(|series| instrument.bind(&series.attributes()))
    }

    fn contains(&self, series: &S) -> bool {
        self.bound.contains_key(series)
    }

    fn len(&self) -> usize {
        self.bound.len()
    }
}

/// An instrument whose series can be bound.
trait Bind {
    type Bound;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound;
}

impl Bind for Counter<u64> {
    type Bound = BoundCounter<u64>;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound {
        self.bind(attributes)
    }
}

impl Bind for Histogram<f64> {
    type Bound = BoundHistogram<f64>;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound {
        self.bind(attributes)
    }
}
