//! What is measured: the instruments, and the series in which they count.
//!
//! # Instruments
//!
//! `docs/telemetry.yaml` lists the instruments with their units and attributes; a test holds what is exported to it.
//!
//! An attribute is absent if the capture does not show its value. A version, cipher
//! suite or alert without a registered name is `other`: the traffic chooses
//! the numbers, so they cannot be labels.
//!
//! - `tls.validation.errors` counts the handshakes in which a class of error was found,
//!   once for each class and side: by tlscope, in the certificates shown, or by the peer
//!   that gave up. `tls.side` is the side at fault: the one that showed the certificate,
//!   or made the offer, that was refused. Handshakes that ended without a refusal (by a
//!   reset, silence, a broken message) are not counted here.
//! - `tls.certificate.*` has a series for each place (role and identity): see
//!   `certificate_table`. Days are counted from the latest moment at which certificates of a handshake were validated, so that a
//!   replay gives the same values whenever it is made; in a live run the clock counts as
//!   well. Watched files have the role `file` and `certificate.path`.
//! - The attributes that users add ([`MetricAttribute`]) are on `tls.handshake.total` and
//!   `tls.handshake.duration`. Their values are limited before recording: the most
//!   frequent are kept, the rest is `other`.
//! - In a live run, a new series of a counter is exported at zero once before its counts
//!   follow, if anybody reads the metrics regularly: `rate()` does not see a series that
//!   begins at one. Every result exists at zero from the start,
//!   and so do the error types that dashboards name.
//!
//! A new instrument of handshakes is a file here and a line in `instruments`; one about
//! tlscope itself is a few lines in `self_telemetry`.

use std::sync::Arc;

use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};

use self::alerts::Alerts;
use self::bound_series::Listeners;
use self::certificates::Certificates;
use self::exemplars::Exemplars;
use self::handshakes::Handshakes;
use self::not_judged::NotJudged;
use self::not_tls::NotTlsConnections;
use self::phases::Phases;
use self::reader::MetricsReader;
use self::self_telemetry::SelfTelemetry;
use self::starttls_not_taken::StartTlsNotTaken;
#[cfg(doc)]
use super::MetricAttribute;
use super::export::ExportContext;
use super::records::spans::TraceIds;
use super::watch::WatchedCertificates;
use super::{Histograms, MetricNames, MetricsConfig};
use crate::event::{Handshake, NotTls, TlsFacts};
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

mod alerts;
pub(crate) mod bound_series;
pub(crate) mod certificate_table;
mod certificates;
#[cfg(feature = "cli")]
pub(crate) mod endpoints;
pub(crate) mod exemplars;
mod extra_attributes;
mod handshakes;
pub(crate) mod heavy_hitters;
mod names;
mod not_judged;
mod not_tls;
mod phases;
pub(crate) mod reader;
mod rejected_after;
pub(crate) mod self_telemetry;
mod starttls_not_taken;
pub(super) mod validation_errors;

/// Stands for every code point without a registered name.
const OTHER: &str = "other";

/// One instrument, or several that record the same facts of each handshake.
trait HandshakeInstrument: Send {
    fn record(&mut self, event: &Handshake);

    /// Records a handshake that has a trace.
    fn record_traced(&mut self, event: &Handshake, _trace: &TraceIds) {
        self.record(event);
    }

    /// Records a connection to a TLS port that did not become TLS.
    fn record_not_tls(&mut self, _event: &NotTls) {}

    /// Notes that a live run is at `now`.
    fn tick(&mut self, _now: Timestamp) {}

    /// Prepares the last export.
    fn finish(&mut self) {}
}

/// What instruments are set up with.
struct Setup<'a> {
    config: &'a MetricsConfig,
    /// The certificate files that are watched.
    files: &'a Arc<WatchedCertificates>,
    /// The TLS endpoints seen.
    #[cfg(feature = "cli")]
    endpoints: &'a endpoints::Endpoints,
    names: MetricNames,
    /// Everyone who reads the metrics repeatedly.
    listeners: &'a Listeners,
    exemplars: &'a Exemplars,
}

/// Every instrument that records handshakes.
fn instruments(meter: &Meter, setup: &Setup<'_>) -> Vec<Box<dyn HandshakeInstrument>> {
    vec![
        Box::new(Handshakes::new(meter, setup)),
        Box::new(Phases::new(meter, setup)),
        Box::new(Alerts::new(meter, setup)),
        Box::new(NotJudged::new(meter, setup)),
        Box::new(NotTlsConnections::new(meter, setup)),
        Box::new(StartTlsNotTaken::new(meter, setup)),
        Box::new(Certificates::new(meter, setup)),
        #[cfg(feature = "cli")]
        Box::new(setup.endpoints.instrument(meter)),
    ]
}

fn counter(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> Counter<u64> {
    let counter = meter.u64_counter(name).with_unit(unit);
    counter.with_description(description).build()
}

fn histogram(
    meter: &Meter,
    names: MetricNames,
    name: &'static str,
    description: &'static str,
) -> Histogram<f64> {
    let histogram = meter.f64_histogram(name);
    let histogram = histogram.with_unit(names.duration_unit());
    histogram.with_description(description).build()
}

/// The version as a label. Drafts of TLS 1.3 have one together: there are some sixty, and a peer may choose any.
fn version_label(tls: &TlsFacts) -> Option<&'static str> {
    tls.version.map(|version| match version.draft() {
        Some(_) => "TLS 1.3 draft",
        None => version.name().unwrap_or(OTHER),
    })
}

/// Upper bounds of the histograms' buckets, in milliseconds: from a connection within a host to a client that times out.
const BUCKETS: [f64; 16] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4,
];

/// Room for the series without extra attributes, in each instrument. Beyond its limit, the
/// SDK counts in one series without any attributes, and alerts on failures see nothing.
const MAX_PLAIN_SERIES: usize = 2_000;

/// Sets the buckets of histograms, and how many series an instrument may have.
fn view(
    buckets: Histograms,
    names: MetricNames,
) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static {
    move |instrument| {
        let stream = Stream::builder();
        let stream =
            match instrument.name() {
                handshakes::DURATION | phases::PHASE_DURATION => stream
                    .with_aggregation(aggregation(buckets, names))
                    .with_cardinality_limit(handshakes::MAX_DURATION_SERIES + MAX_PLAIN_SERIES),
                name if name == names.instrument(handshakes::TOTAL) => stream
                    .with_cardinality_limit(handshakes::MAX_ATTRIBUTED_SERIES + MAX_PLAIN_SERIES),
                rejected_after::REJECTED_AFTER | validation_errors::VALIDATION_ERRORS => stream
                    .with_cardinality_limit(rejected_after::MAX_REFUSAL_SERIES + MAX_PLAIN_SERIES),
                name if certificates::GAUGES.contains(&name) => {
                    stream.with_cardinality_limit(certificates::MAX_SERIES)
                }
                _ => return None,
            };
        stream.build().ok()
    }
}

fn aggregation(buckets: Histograms, names: MetricNames) -> Aggregation {
    match buckets {
        Histograms::Explicit => Aggregation::ExplicitBucketHistogram {
            boundaries: names.bounds(&BUCKETS),
            record_min_max: true,
        },
        // OpenTelemetry's defaults: 160 buckets, as fine as the values allow.
        Histograms::Exponential => Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        },
    }
}

/// Records a run in its instruments, which `readers` read from any thread.
pub(crate) struct Recorder {
    instruments: Vec<Box<dyn HandshakeInstrument>>,
    self_telemetry: Arc<SelfTelemetry>,
    _provider: SdkMeterProvider, // instruments record nothing once it is dropped
}

impl Recorder {
    pub(crate) fn new(
        config: &MetricsConfig,
        context: &ExportContext,
        files: &Arc<WatchedCertificates>,
        readers: &[&MetricsReader],
    ) -> Self {
        let mut provider = SdkMeterProvider::builder()
            .with_resource(context.resource.clone())
            .with_view(view(config.histograms, config.names));
        for reader in readers {
            provider = provider.with_reader((*reader).clone());
        }
        let provider = provider.build();
        let meter = provider.meter_with_scope(context.scope.clone());
        self_telemetry::register(&meter, &context.self_telemetry);
        let listeners = readers.iter().map(|reader| reader.listener());
        let listeners = Listeners::new(listeners.collect());
        let setup = Setup {
            config,
            files,
            #[cfg(feature = "cli")]
            endpoints: &context.endpoints,
            names: config.names,
            listeners: &listeners,
            exemplars: &context.exemplars,
        };
        Self {
            instruments: instruments(&meter, &setup),
            self_telemetry: Arc::clone(&context.self_telemetry),
            _provider: provider,
        }
    }

    /// Records a handshake; `trace` names the trace it gets, if any.
    pub(crate) fn record(&mut self, event: &Handshake, trace: Option<&TraceIds>) {
        for instrument in &mut self.instruments {
            match trace {
                Some(trace) => instrument.record_traced(event, trace),
                None => instrument.record(event),
            }
        }
    }

    pub(crate) fn record_not_tls(&mut self, event: &NotTls) {
        for instrument in &mut self.instruments {
            instrument.record_not_tls(event);
        }
    }

    /// Notes that a live run is at `now`, and how it is doing.
    pub(crate) fn tick(&mut self, now: Timestamp, health: &Health) {
        self.self_telemetry.set(health.clone());
        for instrument in &mut self.instruments {
            instrument.tick(now);
        }
    }

    /// Notes the final counters, before the last export.
    pub(crate) fn finish(&mut self, stats: &Stats) {
        self.self_telemetry.finish(stats);
        for instrument in &mut self.instruments {
            instrument.finish();
        }
    }
}
