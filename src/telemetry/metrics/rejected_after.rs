//! `tls.handshake.rejected_after`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::extra_attributes::Extras;
use super::{Setup, counter};
use crate::event::{ErrorType, Handshake, Side};

pub(super) const REJECTED_AFTER: &str = "tls.handshake.rejected_after";

/// Series of refusals, and of findings, after which extra attributes become `other`: the SDK's default for an instrument.
pub(super) const MAX_REFUSAL_SERIES: usize = 2_000;

/// Completed handshakes that a side refused afterwards.
pub(super) struct RejectedAfterwards {
    counters: BoundCounters<RejectedSeries>,
    max_detailed_series: usize,
}

impl RejectedAfterwards {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            REJECTED_AFTER,
            "{handshake}",
            "Completed TLS handshakes whose peer was refused afterwards.",
        );
        Self {
            counters: BoundCounters::new(counter, setup.listeners.clone(), setup.names),
            max_detailed_series: setup.config.within_memory(MAX_REFUSAL_SERIES),
        }
    }

    pub(super) fn record(&mut self, event: &Handshake, extras: &Extras) {
        let Some(rejected) = &event.rejected_after else {
            return;
        };
        let mut series = RejectedSeries {
            side: rejected.side,
            error_type: rejected.error_type,
            extras: extras.clone(),
        };
        let is_full = self.counters.len() >= self.max_detailed_series;
        if is_full && !self.counters.contains(&series) {
            series.extras = series.extras.without_detail();
        }
        self.counters.add(series, 1);
    }

    pub(super) fn tick(&mut self) {
        self.counters.tick();
    }

    pub(super) fn finish(&mut self) {
        self.counters.finish();
    }
}

/// A series of `tls.handshake.rejected_after`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct RejectedSeries {
    side: Side,
    error_type: ErrorType,
    extras: Extras,
}

impl Series for RejectedSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let attributes = [
            KeyValue::new("tls.side", self.side.as_str()),
            KeyValue::new("error.type", self.error_type.as_str()),
        ];
        self.extras.add_to(attributes.into_iter())
    }
}
