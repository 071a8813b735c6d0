//! `tls.handshake.rejected_after`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, Setup, counter};
use crate::event::{ErrorType, Handshake, Side};
use crate::time::Timestamp;

/// Completed handshakes that a side refused afterwards.
pub(super) struct RejectedAfterwards(BoundCounters<RejectedSeries>);

impl RejectedAfterwards {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            "tls.handshake.rejected_after",
            "{handshake}",
            "Completed TLS handshakes whose peer was refused afterwards.",
        );
        Self(BoundCounters::new(
            counter,
            setup.listeners.clone(),
            setup.names,
        ))
    }
}

impl HandshakeInstrument for RejectedAfterwards {
    fn record(&mut self, event: &Handshake) {
        if let Some(rejected) = &event.rejected_after {
            let series = RejectedSeries {
                side: rejected.side,
                error_type: rejected.error_type,
            };
            self.0.add(series, 1);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

/// A series of `tls.handshake.rejected_after`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct RejectedSeries {
    side: Side,
    error_type: ErrorType,
}

impl Series for RejectedSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new("tls.side", self.side.as_str()),
            KeyValue::new("error.type", self.error_type.as_str()),
        ]
    }
}
