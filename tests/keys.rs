//! Key logs that come late, or never: the events are the same as with keys from the start, or without keys.

use std::fs;

use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::decrypt::Keys;
use tlscope::event::{Evidence, Handshake, Protocol};
use tlscope::observer::{Config, Observer};

use crate::support::fixtures::{self, Fixture, package};

/// When an observer gets the key log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    /// There is no key log.
    None,
    Before,
    /// The observer waits for it, and it comes after the last packet.
    After,
    /// The observer waits for it, and it never comes.
    Never,
}

/// The fixtures that have a key log, and its contents.
fn keyed() -> Vec<(Fixture, Vec<u8>)> {
    let keyed = fixtures::all().into_iter().filter_map(|fixture| {
        let log = fs::read(fixture.file("keys.log")).ok()?;
        Some((fixture, log))
    });
    let keyed: Vec<_> = keyed.collect();
    assert!(keyed.len() > 100, "key logs are missing");
    keyed
}

fn observe(fixture: &Fixture, log: &[u8], when: Log) -> Vec<Handshake> {
    let keys = Keys::default();
    match when {
        Log::None => {}
        Log::Before => keys.absorb_all(log),
        Log::After | Log::Never => keys.expect_more(),
    }
    let mut observer = Observer::new(Config::default().with_keys(keys.clone()));
    let mut capture = CaptureFiles::open(&[package().join(&fixture.capture)]);
    let mut batch = PacketBatch::default();
    while capture.next_batch(&mut batch).unwrap() {
        observer.handle_batch(&batch);
    }
    if when == Log::After {
        keys.absorb_all(log);
    }
    observer.finish();
    // Events come as they are decided, and that depends on when the keys come.
    let mut events: Vec<_> = std::iter::from_fn(|| observer.poll_event()).collect();
    events.sort_by_key(|event| (event.time, event.flow_id));
    events
}

/// What keys change in an event, as text to compare.
fn summary(event: &Handshake) -> String {
    let alerts: Vec<_> = event
        .alerts
        .iter()
        .map(|alert| (alert.sender, alert.description))
        .collect();
    let certificates = [&event.server_certificates, &event.client_certificates].map(|chain| {
        let chain = chain.as_ref()?;
        Some(chain.iter().map(|one| one.sha256).collect::<Vec<_>>())
    });
    format!(
        "{:?} {:?} {:?} {alerts:?} {certificates:?} {:?} {:?} {:?}",
        event.outcome,
        event.evidence,
        event.error,
        event.tls.alpn,
        event.tls.client_certificate,
        event.tls.early_data,
    )
}

/// Fixtures for which a key log that comes after the last packet is too late.
const TOO_LATE: &[&str] = &[
    // The connection had ended or fallen silent more than a second before.
    "early-data-gnutls",
    "mtls-day",
    "mtls13-post-handshake",
    "proxy-header",
    "resumption-psk-gnutls",
    "resumption-ticket-gnutls",
    "silence-after-server-flight-tls13",
    "starttls-sieve-lmtp",
    "tls13-ech-grease",
    // Record numbers are unknown after a gap, so records that wait for keys are dropped.
    "gap-in-certificate",
    "gap-after-handshake",
    // The alert at the end is seen only because the report waits for keys.
    "tls13-bad-record-mac",
    // The alert at the end comes after the report that does not wait for keys.
    "hello-byte-by-byte",
    "mtls12-success-nss",
];

/// Whether sealed records wait for secrets that come after the last packet (docs/monitoring.md).
const fn waits(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Dtls => false,
        Protocol::Eap => false, // a login is reported as soon as it has ended
        _ => true,
    }
}

#[test]
fn secrets_that_come_after_the_records_decrypt_them_too() {
    let (mut compared, mut decrypted) = (0, 0);
    let in_time = |(fixture, _): &(Fixture, Vec<u8>)| !TOO_LATE.contains(&fixture.name.as_str());
    for (fixture, log) in keyed().into_iter().filter(in_time) {
        let expected = observe(&fixture, &log, Log::Before);
        if expected.iter().any(|event| !waits(event.protocol)) {
            continue;
        }
        let late = observe(&fixture, &log, Log::After);
        assert_eq!(expected.len(), late.len(), "{}", fixture.name);
        for (expected, late) in expected.iter().zip(&late) {
            assert_eq!(summary(expected), summary(late), "{}", fixture.name);
            compared += 1;
            decrypted += usize::from(late.evidence == Evidence::Decrypted);
        }
    }
    assert!(compared > 150 && decrypted > 50, "{compared} {decrypted}");
}

#[test]
fn secrets_that_never_come_change_nothing() {
    for (fixture, log) in keyed() {
        let without = observe(&fixture, &log, Log::None);
        let waiting = observe(&fixture, &log, Log::Never);
        let verdict = |event: &Handshake| (event.outcome, event.evidence, event.error.clone());
        let [without, waiting] =
            [without, waiting].map(|events| events.iter().map(verdict).collect::<Vec<_>>());
        assert_eq!(without, waiting, "{}", fixture.name);
    }
}
