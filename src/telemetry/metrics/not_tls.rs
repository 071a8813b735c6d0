//! `tls.not_tls`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, Setup, counter};
use crate::event::{Handshake, NotTls, NotTlsKind};
use crate::time::Timestamp;

/// Connections to TLS ports that did not become TLS.
pub(super) struct NotTlsConnections(BoundCounters<NotTlsKind>);

impl NotTlsConnections {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            "tls.not_tls",
            "{connection}",
            "Connections to TLS ports that did not become TLS.",
        );
        Self(BoundCounters::new(
            counter,
            setup.listeners.clone(),
            setup.names,
        ))
    }
}

impl HandshakeInstrument for NotTlsConnections {
    fn record(&mut self, _: &Handshake) {}

    fn record_not_tls(&mut self, event: &NotTls) {
        self.0.add(event.kind, 1);
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

impl Series for NotTlsKind {
    fn attributes(&self) -> Vec<KeyValue> {
        vec![KeyValue::new("tls.not_tls.kind", self.as_str())]
    }
}
