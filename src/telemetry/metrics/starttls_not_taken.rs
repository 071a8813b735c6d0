//! `tls.starttls.not_taken`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, Setup, counter};
use crate::event::{Handshake, NotTls, StartTls};
use crate::time::Timestamp;

/// Connections on which the server offered TLS in plain text, and the client did not take it.
pub(super) struct StartTlsNotTaken(BoundCounters<StartTls>);

impl StartTlsNotTaken {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(
            meter,
            "tls.starttls.not_taken",
            "{connection}",
            "Connections on which the server offered TLS and the client did not take it.",
        );
        Self(BoundCounters::new(
            counter,
            setup.listeners.clone(),
            setup.names,
        ))
    }
}

impl HandshakeInstrument for StartTlsNotTaken {
    fn record(&mut self, _: &Handshake) {}

    fn record_not_tls(&mut self, event: &NotTls) {
        if let (Some(starttls), Some(true)) = (event.starttls, event.starttls_offered) {
            self.0.add(starttls, 1);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

impl Series for StartTls {
    fn attributes(&self) -> Vec<KeyValue> {
        vec![KeyValue::new("tls.starttls", self.as_str())]
    }
}
