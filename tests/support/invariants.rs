//! What must hold for every event and every run, whatever the packets are.

use std::io;
use std::time::Duration;

use tlscope::decrypt::Keys;
use tlscope::event::{Evidence, Handshake, Outcome, Resumption};
use tlscope::sink::Sink;
use tlscope::stats::Stats;

/// A sink that panics if an event contradicts itself, or the counters contradict the events.
#[derive(Default)]
pub(crate) struct Invariants {
    outcomes: [u64; 3],
    /// The secrets of the run, which captures can add to; `None` if a test does not say.
    keys: Option<Keys>,
}

impl Invariants {
    /// For a run with these secrets.
    pub(crate) const fn new(keys: Keys) -> Self {
        Self {
            outcomes: [0; 3],
            keys: Some(keys),
        }
    }
}

impl Sink for Invariants {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        check_verdict(event);
        check_timing(event);
        check_facts(event);
        let keys = self.keys.as_ref();
        check_alerts(event, keys.is_none_or(|keys| keys.counts().secrets > 0));
        self.outcomes[event.outcome as usize] += 1;
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        let [succeeded, failed, unknown] = self.outcomes;
        assert_eq!(
            [
                stats.handshakes_succeeded,
                stats.handshakes_failed,
                stats.handshakes_unknown
            ],
            [succeeded, failed, unknown]
        );
        assert_eq!(stats.handshakes, succeeded + failed + unknown);
        check_packets(stats);
        check_connections(stats);
        Ok(())
    }
}

fn check_packets(stats: &Stats) {
    // A packet is ignored for one reason at most.
    let ignored = stats.packets_filtered
        + stats.packets_malformed
        + stats.packets_unknown_link
        + stats.packets_not_tcp;
    assert!(ignored <= stats.packets, "{stats:?}");
    assert!(stats.packets_truncated <= stats.packets, "{stats:?}");
    assert!(stats.fragments <= stats.packets, "{stats:?}");
    assert!(stats.fragments_discarded <= stats.fragments, "{stats:?}");
    assert!(
        stats.gaps <= stats.gap_bytes,
        "a gap is not empty: {stats:?}"
    );
}

fn check_connections(stats: &Stats) {
    let (all, tls) = (stats.connections, stats.connections_tls);
    assert!(tls <= all, "{stats:?}");
    let forgotten = stats.connections_timed_out + stats.connections_evicted;
    assert!(forgotten <= all, "{stats:?}");
    for some in [
        stats.connections_decrypted,
        stats.connections_keys_missing,
        stats.connections_keys_wrong,
        stats.connections_keys_unsupported,
    ] {
        assert!(some <= tls, "{stats:?}");
    }
    // Only TLS has handshakes; renegotiation adds more of them to a connection.
    assert!(tls > 0 || stats.handshakes == 0, "{stats:?}");
}

fn check_verdict(event: &Handshake) {
    let is_inferred = event.evidence == Evidence::Inferred;
    let is_unknown = event.outcome == Outcome::Unknown;
    assert_eq!(is_unknown, event.confidence.is_none(), "{event:?}");
    assert_eq!(is_unknown, event.unknown_because.is_some(), "{event:?}");
    let confidence = event.confidence.unwrap_or(1.0);
    assert!((0.0..=1.0).contains(&confidence), "{event:?}");
    let is_certain = !is_inferred && event.capture.conflicting_bytes == 0;
    assert!(!is_certain || confidence == 1.0, "{event:?}");
    assert_eq!(is_inferred, event.inference.is_some(), "{event:?}");
    if let Some(inference) = &event.inference {
        assert!(!inference.observations.is_empty(), "{event:?}");
    }
    let is_failure = event.outcome == Outcome::Failure;
    assert_eq!(is_failure, event.error.is_some(), "{event:?}");
    if let Some(error) = &event.error {
        assert!(!error.message.is_empty(), "{event:?}");
    }
}

/// A time has 64 bits of nanoseconds, and pcapng can fill them, so no phase is longer.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

fn check_timing(event: &Handshake) {
    let timing = &event.timing;
    let phases = [
        timing.tcp_connect,
        timing.server_hello,
        timing.handshake,
        timing.handshake_client_view,
        timing.handshake_server_view,
        timing.first_application_data,
    ];
    for phase in phases.into_iter().flatten() {
        assert!(phase <= LONGEST, "{event:?}");
    }
    if event.outcome != Outcome::Success {
        assert_eq!(timing.handshake, None, "{event:?}");
        assert_eq!(timing.handshake_client_view, None, "{event:?}");
        assert_eq!(timing.handshake_server_view, None, "{event:?}");
    }
}

fn check_alerts(event: &Handshake, has_keys: bool) {
    assert!(event.alerts.len() <= 16, "{event:?}");
    for alert in &event.alerts {
        // An encrypted alert can only be read with keys, and not always then: after a gap, or with wrong ones.
        let is_read = alert.description.is_some();
        assert!(is_read || alert.encrypted, "{event:?}");
        assert!(!is_read || !alert.encrypted || has_keys, "{event:?}");
    }
}

fn check_facts(event: &Handshake) {
    let (tls, capture) = (&event.tls, &event.capture);
    assert!(capture.first_packet >= 1, "{event:?}");
    assert!(capture.first_packet <= capture.last_packet, "{event:?}");
    assert!(tls.history.len() <= 64, "{event:?}");
    assert_eq!(
        tls.resumption.is_some(),
        tls.resumed == Some(true),
        "{event:?}"
    );
    if tls.resumption == Some(Resumption::Psk) {
        assert!(tls.version.is_some_and(|version| version.is_tls13()));
    }
    if tls.unused.is_some() {
        assert_eq!(event.outcome, Outcome::Success, "{event:?}");
    }
    assert_eq!(event.judged_at, event.time, "{event:?}");
}
