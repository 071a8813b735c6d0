//! `tls.handshake.total` and `tls.handshake.duration`, and the counters of refusals and findings that share their extra attributes.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, BoundHistograms, Detailed, Series};
use super::exemplars::{Exemplar, Exemplars};
use super::extra_attributes::{Chooser, Extras};
use super::rejected_after::{self, RejectedSeries};
use super::validation_errors::{self, ErrorSeries};
use super::{BUCKETS, HandshakeInstrument, OTHER, Setup, counter, histogram, version_label};
use crate::event::{
    ClientCertificate, ErrorType, Evidence, Handshake, KeyExchangeClass, Outcome, Protocol,
    Transport,
};
use crate::telemetry::records::spans::TraceIds;
use crate::telemetry::{Histograms, MetricNames};
use crate::time::Timestamp;

pub(super) const TOTAL: &str = "tls.handshake.total";
pub(super) const DURATION: &str = "tls.handshake.duration";

/// Series of `tls.handshake.total` after which cipher suites and extra attributes become
/// `other`: the SDK's default for an instrument. Networks show some dozens.
const MAX_DETAILED_SERIES: usize = 2_000;
/// The same if there are extra attributes.
pub(super) const MAX_ATTRIBUTED_SERIES: usize = 10_000;
/// Series of `tls.handshake.duration` after which extra attributes become `other`: each
/// has a count for every bucket.
pub(super) const MAX_DURATION_SERIES: usize = 2_000;

/// Values of each extra attribute, unless configured.
const DEFAULT_VALUES: usize = 50;
/// Most values of each extra attribute: for each, 8 candidates of up to 256 bytes are remembered.
const MAX_VALUES: usize = 1_000;

/// How handshakes ended, and how long they took.
pub(super) struct Handshakes {
    chooser: Chooser,
    total: BoundCounters<HandshakeSeries>,
    /// The zeros of `total`, which only have to exist.
    _known: BoundCounters<KnownSeries>,
    duration: BoundHistograms<DurationSeries>,
    rejected: BoundCounters<RejectedSeries>,
    validation_errors: BoundCounters<ErrorSeries>,
    exemplars: Exemplars,
    names: MetricNames,
    /// The buckets of `duration`; empty if they adapt to the values.
    bounds: Vec<f64>,
}

impl Handshakes {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let total = counter(
            meter,
            setup.names.instrument(TOTAL),
            "{handshake}",
            "TLS handshakes seen, by how they ended.",
        );
        let known = BoundCounters::new(total.clone(), setup.listeners.clone(), setup.names);
        let config = setup.config;
        let max_detailed = config.within_memory(match config.attributes.is_empty() {
            true => MAX_DETAILED_SERIES,
            false => MAX_ATTRIBUTED_SERIES,
        });
        let duration = histogram(
            meter,
            setup.names,
            DURATION,
            "From the ClientHello to the last handshake message.",
        );
        Self {
            chooser: {
                let values = config.values.unwrap_or(DEFAULT_VALUES);
                let most = config.within_memory(MAX_VALUES);
                Chooser::new(&config.attributes, values.min(most))
            },
            _known: known.starting_with(KnownSeries::all()),
            total: BoundCounters::new(total, setup.listeners.clone(), setup.names)
                .detailed_within(max_detailed),
            duration: BoundHistograms::new(duration, setup.names)
                .detailed_within(config.within_memory(MAX_DURATION_SERIES)),
            rejected: rejected_after::counters(meter, setup),
            validation_errors: validation_errors::counters(meter, setup),
            exemplars: setup.exemplars.clone(),
            names: setup.names,
            bounds: match config.histograms {
                Histograms::Explicit => setup.names.bounds(&BUCKETS),
                Histograms::Exponential => Vec::new(),
            },
        }
    }

    /// Counts a handshake. If it has a trace, that becomes the exemplar of its series.
    fn count(&mut self, event: &Handshake, trace: Option<&TraceIds>) {
        let (counted, timed) = self.chooser.choose(event);
        let series = self.total.fitting(HandshakeSeries::of(event, counted));
        if let Some(trace) = trace {
            let attributes = self.names.attributes(series.attributes());
            let name = self.names.prometheus_counter(TOTAL);
            self.exemplars
                .set(&name, &attributes, exemplar(event, trace, 1.0));
        }
        self.total.add(series, 1);
        if let Some(series) = RejectedSeries::of(event, &timed) {
            self.rejected.count(series);
        }
        for series in ErrorSeries::all_of(event, &timed) {
            self.validation_errors.count(series);
        }

        if let Some(duration) = event.timing.handshake {
            let series = self.duration.fitting(DurationSeries::of(event, timed));
            if let (Some(trace), [_, ..]) = (trace, &self.bounds[..]) {
                let attributes = self.names.attributes(series.attributes());
                let name = self.names.prometheus_duration(DURATION);
                let exemplar = exemplar(event, trace, self.names.duration(duration));
                self.exemplars
                    .set_bucket(&name, &attributes, &self.bounds, exemplar);
            }
            self.duration.record(series, duration);
        }
    }
}

fn exemplar(event: &Handshake, trace: &TraceIds, value: f64) -> Exemplar {
    Exemplar {
        trace: *trace,
        value,
        time: event.time,
    }
}

impl HandshakeInstrument for Handshakes {
    fn record(&mut self, event: &Handshake) {
        self.count(event, None);
    }

    fn record_traced(&mut self, event: &Handshake, trace: &TraceIds) {
        self.count(event, Some(trace));
    }

    fn tick(&mut self, _: Timestamp) {
        self.total.tick();
        self.rejected.tick();
        self.validation_errors.tick();
    }

    fn finish(&mut self) {
        self.total.finish();
        self.rejected.finish();
        self.validation_errors.finish();
    }
}

/// A series of `tls.handshake.total`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct HandshakeSeries {
    outcome: Outcome,
    error_type: Option<ErrorType>,
    version: Option<&'static str>,
    cipher_suite: Option<&'static str>,
    key_exchange: Option<KeyExchangeClass>,
    resumed: Option<bool>,
    client_certificate: Option<ClientCertificate>,
    evidence: Evidence,
    protocol: Protocol,
    transport: Transport,
    extras: Extras,
}

impl HandshakeSeries {
    fn of(event: &Handshake, extras: Extras) -> Self {
        let cipher_suite = event.tls.cipher_suite;
        Self {
            outcome: event.outcome,
            error_type: event.error.as_ref().map(|error| error.error_type),
            version: version_label(&event.tls),
            cipher_suite: cipher_suite.map(|suite| suite.name().unwrap_or(OTHER)),
            key_exchange: Some(event.tls.key_exchange())
                .filter(|class| *class != KeyExchangeClass::Unknown),
            resumed: event.tls.resumed,
            client_certificate: Some(event.tls.client_certificate)
                .filter(|known| *known != ClientCertificate::Unknown),
            evidence: event.evidence,
            protocol: event.protocol,
            transport: event.transport,
            extras,
        }
    }
}

impl Detailed for HandshakeSeries {
    /// With `other` for the cipher suite and the extra attributes.
    fn without_detail(self) -> Self {
        Self {
            cipher_suite: self.cipher_suite.and(Some(OTHER)),
            extras: self.extras.without_detail(),
            ..self
        }
    }
}

impl Series for HandshakeSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let error_type = self.error_type.map(ErrorType::as_str);
        let attributes = [
            Some(KeyValue::new("result", self.outcome.as_str())),
            error_type.map(|text| KeyValue::new("error.type", text)),
            self.version.map(|text| KeyValue::new("tls.version", text)),
            self.cipher_suite
                .map(|text| KeyValue::new("tls.cipher_suite", text)),
            self.key_exchange
                .map(|class| KeyValue::new("tls.key_exchange", class.as_str())),
            self.resumed
                .map(|resumed| KeyValue::new("tls.resumed", resumed)),
            self.client_certificate
                .map(|known| KeyValue::new("tls.client_certificate", known.as_str())),
            Some(KeyValue::new("tls.evidence", self.evidence.as_str())),
            Some(KeyValue::new("tls.protocol", self.protocol.as_str())),
            Some(KeyValue::new("network.transport", self.transport.as_str())),
        ];
        self.extras.add_to(attributes.into_iter().flatten())
    }
}

/// The classes that alert rules and dashboards most often ask for by name. With a series for every class, an idle host
/// would export a hundred.
const ON_DASHBOARDS: [ErrorType; 3] = [
    ErrorType::CertExpired,
    ErrorType::UnknownCa,
    ErrorType::MissingClientCert,
];

/// The series of `tls.handshake.total` that exist from the start, so that an alert rule on
/// a result always has data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KnownSeries {
    outcome: Outcome,
    error_type: Option<ErrorType>,
}

impl KnownSeries {
    fn all() -> impl Iterator<Item = Self> {
        let results = [Outcome::Success, Outcome::Failure, Outcome::Unknown];
        let results = results.into_iter().map(|outcome| Self {
            outcome,
            error_type: None,
        });
        results.chain(ON_DASHBOARDS.iter().map(|error_type| Self {
            outcome: Outcome::Failure,
            error_type: Some(*error_type),
        }))
    }
}

impl Series for KnownSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let error_type = self.error_type.map(ErrorType::as_str);
        let error_type = error_type.map(|text| KeyValue::new("error.type", text));
        let result = KeyValue::new("result", self.outcome.as_str());
        [result].into_iter().chain(error_type).collect()
    }
}

/// A series of `tls.handshake.duration`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct DurationSeries {
    outcome: Outcome,
    version: Option<&'static str>,
    resumed: Option<bool>,
    protocol: Protocol,
    transport: Transport,
    extras: Extras,
}

impl DurationSeries {
    fn of(event: &Handshake, extras: Extras) -> Self {
        Self {
            outcome: event.outcome,
            version: version_label(&event.tls),
            resumed: event.tls.resumed,
            protocol: event.protocol,
            transport: event.transport,
            extras,
        }
    }
}

impl Detailed for DurationSeries {
    fn without_detail(self) -> Self {
        Self {
            extras: self.extras.without_detail(),
            ..self
        }
    }
}

impl Series for DurationSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let attributes = [
            Some(KeyValue::new("result", self.outcome.as_str())),
            self.version.map(|text| KeyValue::new("tls.version", text)),
            self.resumed
                .map(|resumed| KeyValue::new("tls.resumed", resumed)),
            Some(KeyValue::new("tls.protocol", self.protocol.as_str())),
            Some(KeyValue::new("network.transport", self.transport.as_str())),
        ];
        self.extras.add_to(attributes.into_iter().flatten())
    }
}
