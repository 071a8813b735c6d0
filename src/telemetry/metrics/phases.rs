//! `tls.handshake.phase.duration`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::bound_series::{BoundHistograms, Series};
use super::{HandshakeInstrument, Setup, histogram, version_label};
use crate::event::{Handshake, TlsFacts};

pub(super) const PHASE_DURATION: &str = "tls.handshake.phase.duration";

/// How long each phase of a handshake took.
pub(super) struct Phases(BoundHistograms<PhaseSeries>);

impl Phases {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let histogram = histogram(
            meter,
            setup.names,
            PHASE_DURATION,
            "How long each phase of a handshake took.",
        );
        Self(BoundHistograms::new(histogram, setup.names))
    }
}

impl HandshakeInstrument for Phases {
    fn record(&mut self, event: &Handshake) {
        let timing = &event.timing;
        for (phase, duration) in [
            ("tcp_connect", timing.tcp_connect),
            ("starttls", timing.starttls),
            ("server_hello", timing.server_hello),
            ("handshake", timing.handshake),
            ("first_application_data", timing.first_application_data),
        ] {
            if let Some(duration) = duration {
                let series = PhaseSeries::of(phase, &event.tls);
                self.0.record(series, duration);
            }
        }
    }
}

/// A series of `tls.handshake.phase.duration`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct PhaseSeries {
    phase: &'static str,
    version: Option<&'static str>,
}

impl PhaseSeries {
    fn of(phase: &'static str, tls: &TlsFacts) -> Self {
        Self {
            phase,
            version: version_label(tls),
        }
    }
}

impl Series for PhaseSeries {
    fn attributes(&self) -> Vec<KeyValue> {
        let version = self.version.map(|text| KeyValue::new("tls.version", text));
        let phase = KeyValue::new("tls.phase", self.phase);
        [phase].into_iter().chain(version).collect()
    }
}
