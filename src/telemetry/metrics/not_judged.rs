//! `tlscope.handshakes.not_judged`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, Setup, counter};
use crate::event::{Handshake, UnknownBecause};
use crate::time::Timestamp;

/// Handshakes without a verdict, by what prevented one.
pub(super) struct NotJudged(BoundCounters<NotJudgedSeries>);

impl NotJudged {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            "tlscope.handshakes.not_judged",
            "{handshake}",
            "TLS handshakes without a verdict, by what prevented one; evicted: memory was short.",
        );
        let counters = BoundCounters::new(counter, setup.listeners.clone(), setup.names);
        // An alert rests on this one.
        let cause = UnknownBecause::Evicted;
        Self(counters.starting_with(std::iter::once(NotJudgedSeries { cause })))
    }
}

impl HandshakeInstrument for NotJudged {
    fn record(&mut self, event: &Handshake) {
        if let Some(cause) = event.unknown_because {
            self.0.add(NotJudgedSeries { cause }, 1);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

/// A series of `tlscope.handshakes.not_judged`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct NotJudgedSeries {
    cause: UnknownBecause,
}

impl Series for NotJudgedSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        vec![KeyValue::new("cause", self.cause.as_str())]
    }
}
