//! `tls.certificate.hidden`, and the endpoints behind it as targets for a prober.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::Meter;

use super::HandshakeInstrument;
use crate::event::Handshake;
use crate::sink::machine::services::{ServerCertificate, Service, Services};
use crate::sink::machine::targets;
use crate::sink::people::summary::mutual::MutualPeers;
use crate::time::Timestamp;

const HIDDEN: &str = "tls.certificate.hidden";

/// Most endpoints of a live run, at about a kilobyte each: a host has some dozens, a mirror port some thousands.
pub(crate) const MAX_ENDPOINTS: usize = 5_000;

/// Most pairs of a client and a server that are listed.
const MAX_PAIRS: usize = 1_000;

/// Handshakes that show that an endpoint is in use. Names made up by scanners come once.
const IN_USE: u64 = 3;

/// How long an endpoint with fewer handshakes is remembered.
const SHORT_MEMORY: Duration = Duration::from_secs(3_600);

/// The TLS endpoints of a run, shared by the gauge and by the endpoint that lists them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    services: Services,
    peers: MutualPeers,
    now: Timestamp,
    /// How long an endpoint stays after it was last seen; `None` for ever.
    memory: Option<Duration>,
}

impl Endpoints {
    /// At most `most` endpoints are kept. `memory` is how long an endpoint stays after it was last seen.
    pub(crate) fn new(most: usize, memory: Option<Duration>) -> Self {
        let state = State {
            services: Services::with_capacity(most),
            peers: MutualPeers::default(),
            now: Timestamp::MIN,
            memory,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The instrument that records them, with its gauge.
    pub(super) fn instrument(&self, meter: &Meter) -> Self {
        let endpoints = self.clone();
        meter
            .u64_observable_gauge(HIDDEN)
            .with_unit("{endpoint}")
            .with_description("TLS endpoints seen whose certificate TLS 1.3 hides.")
            .with_callback(move |gauge| gauge.observe(endpoints.hidden(), &[]))
            .build();
        self.clone()
    }

    /// The targets as JSON for Prometheus' `http_sd`; `hidden_only` leaves out what shows its certificate.
    pub(crate) fn targets(&self, hidden_only: bool) -> String {
        let mut state = self.lock();
        state.forget();
        targets::json(&state.services, hidden_only)
    }

    /// Clients with certificates, and their servers, as JSON.
    pub(crate) fn clients(&self) -> String {
        let state = self.lock();
        let (top, _) = state.peers.top(MAX_PAIRS);
        let pairs: Vec<_> = top
            .into_iter()
            .map(|(pair, counts)| {
                serde_json::json!({
                    "client": pair.client,
                    "server": pair.server,
                    "handshakes": counts.handshakes,
                    "failures": counts.failures,
                    "last_seen": counts.last_seen.to_string(),
                })
            })
            .collect();
        serde_json::Value::Array(pairs).to_string()
    }

    fn hidden(&self) -> u64 {
        let mut state = self.lock();
        state.forget();
        let certificates = state.services.iter();
        let certificates = certificates.map(|(_, service)| service.server_certificate());
        let hidden = certificates.filter(|seen| *seen == ServerCertificate::Hidden);
        hidden.count() as u64
    }

    /// A panic elsewhere leaves the state whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self) {
        let (Some(memory), now) = (self.memory, self.now) else {
            return;
        };
        self.services.retain(|service: &Service| {
            let memory = match service.seen.handshakes {
                ..IN_USE => memory.min(SHORT_MEMORY),
                _ => memory,
            };
            let age = now.checked_since(service.seen.last_seen);
            age.is_none_or(|age| age <= memory)
        });
    }
}

impl HandshakeInstrument for Endpoints {
    fn record(&mut self, event: &Handshake) {
        let mut state = self.lock();
        state.now = state.now.max(event.time);
        state.peers.record(event);
        state.services.record(event);
    }

    fn tick(&mut self, now: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::handshake;

    fn at(seconds: i64, name: &str) -> Handshake {
        let mut event = handshake();
        event.time = Timestamp::from_seconds(seconds);
        event.tls.server_name = Some(name.into());
        event
    }

    #[test]
    fn an_endpoint_is_hidden_until_it_shows_a_certificate() {
        let mut endpoints = Endpoints::new(MAX_ENDPOINTS, None);
        endpoints.record(&at(0, "a.example"));
        endpoints.record(&at(0, "b.example"));
        assert_eq!(endpoints.hidden(), 2);
        let mut event = at(0, "b.example");
        let shown = crate::telemetry::testing::certificate("b", 1);
        event.server_certificates = Some([Arc::new(shown)].into());
        endpoints.record(&event);
        assert_eq!(endpoints.hidden(), 1);
        let listed = |hidden_only| {
            let targets: serde_json::Value =
                serde_json::from_str(&endpoints.targets(hidden_only)).unwrap();
            targets.as_array().unwrap().len()
        };
        assert_eq!((listed(true), listed(false)), (1, 2));
    }

    #[test]
    fn endpoints_are_forgotten_and_those_seen_once_sooner() {
        let mut endpoints = Endpoints::new(MAX_ENDPOINTS, Some(Duration::from_secs(86_400)));
        for _ in 0..IN_USE {
            endpoints.record(&at(0, "used.example"));
        }
        endpoints.record(&at(0, "once.example"));
        endpoints.tick(Timestamp::from_seconds(3_600));
        assert_eq!(endpoints.hidden(), 2);
        endpoints.tick(Timestamp::from_seconds(3_601));
        assert_eq!(endpoints.hidden(), 1);
        endpoints.tick(Timestamp::from_seconds(86_401));
        assert_eq!(endpoints.hidden(), 0);
    }
}
