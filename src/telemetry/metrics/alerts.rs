//! `tls.alerts`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundCounters, Series};
use super::{HandshakeInstrument, OTHER, Setup, counter};
use crate::event::{Alert, Handshake, Side};
use crate::time::Timestamp;

/// Alerts seen.
pub(super) struct Alerts(BoundCounters<AlertSeries>);

impl Alerts {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let counter = counter(meter, "tls.alerts", "{alert}", "Alerts seen.");
        Self(BoundCounters::new(
            counter,
            setup.listeners.clone(),
            setup.names,
        ))
    }
}

impl HandshakeInstrument for Alerts {
    fn record(&mut self, event: &Handshake) {
        for alert in &event.alerts {
            self.0.add(AlertSeries::of(alert), 1);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.0.tick();
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

/// A series of `tls.alerts`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct AlertSeries {
    description: Option<&'static str>,
    sender: Side,
    level: Option<&'static str>,
}

impl AlertSeries {
    fn of(alert: &Alert) -> Self {
        let description = alert.description.map(|code| code.name().unwrap_or(OTHER));
        Self {
            description,
            sender: alert.sender,
            level: alert.level.map(|code| code.name().unwrap_or(OTHER)),
        }
    }
}

impl Series for AlertSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let attributes = [
            self.description
                .map(|text| KeyValue::new("tls.alert", text)),
            Some(KeyValue::new("tls.alert.sender", self.sender.as_str())),
            self.level
                .map(|text| KeyValue::new("tls.alert.level", text)),
        ];
        attributes.into_iter().flatten().collect()
    }
}
