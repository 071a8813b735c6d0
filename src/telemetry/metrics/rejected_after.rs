//! `tls.handshake.rejected_after`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Detailed, Series};
use super::extra_attributes::Extras;
use super::{Setup, counter};
use crate::event::{ErrorType, Handshake, Side};

pub(super) const REJECTED_AFTER: &str = "tls.handshake.rejected_after";

/// Series of refusals, and of findings, after which extra attributes become `other`: the SDK's default for an instrument.
pub(super) const MAX_REFUSAL_SERIES: usize = 2_000;

/// Completed handshakes that a side refused afterwards.
pub(super) fn counters(meter: &Meter, setup: &Setup<'_>) -> BoundCounters<RejectedSeries> {
    let counter = counter(
        meter,
        REJECTED_AFTER,
        "{handshake}",
        "Completed TLS handshakes whose peer was refused afterwards.",
    );
    BoundCounters::new(counter, setup.listeners.clone(), setup.names)
        .detailed_within(setup.config.within_memory(MAX_REFUSAL_SERIES))
}

/// A series of `tls.handshake.rejected_after`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RejectedSeries {
    side: Side,
    error_type: ErrorType,
    extras: Extras,
}

impl RejectedSeries {
    /// The series of a handshake; `None` if no side was refused.
    pub(super) fn of(event: &Handshake, extras: &Extras) -> Option<Self> {
        let rejected = event.rejected_after.as_ref()?;
        Some(Self {
            side: rejected.side,
            error_type: rejected.error_type,
            extras: extras.clone(),
        })
    }
}

impl Detailed for RejectedSeries {
    fn without_detail(self) -> Self {
        Self {
            extras: self.extras.without_detail(),
            ..self
        }
    }
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
