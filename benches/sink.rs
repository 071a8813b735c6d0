//! What it costs to write an event in each format.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box, counter::ItemsCount};
use rcgen::{CertificateParams, DnType, KeyPair};
use tlscope::certificate::Certificate;
use tlscope::event::{
    Alert, CertificateChain, ErrorType, Handshake, HandshakeError, Outcome, Side,
};
use tlscope::flow::Endpoint;
use tlscope::sink::machine::csv::CsvSink;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::people::table::TableSink;
use tlscope::sink::{Sink, TextStyle};
use tlscope::time::Timestamp;
use tlscope::tls::{
    AlertDescription, AlertLevel, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};

fn main() {
    divan::main();
}

/// Events in each sample: enough that buffers fill and are written.
const EVENTS: usize = 1_000;

#[divan::bench]
fn json(bencher: Bencher<'_, '_>) {
    bench(bencher, || JsonSink::new(io::sink()));
}

#[divan::bench]
fn csv(bencher: Bencher<'_, '_>) {
    bench(bencher, || CsvSink::new(io::sink()).unwrap());
}

#[divan::bench]
fn table(bencher: Bencher<'_, '_>) {
    bench(bencher, || TableSink::new(io::sink(), TextStyle::default()));
}

#[divan::bench]
fn summary(bencher: Bencher<'_, '_>) {
    bench(bencher, || {
        SummarySink::new(io::sink(), TextStyle::default())
    });
}

fn bench<S: Sink>(bencher: Bencher<'_, '_>, sink: impl Fn() -> S + Sync) {
    let chain: CertificateChain = [
        certificate("host.example.org"),
        certificate("ca.example.org"),
    ]
    .into();
    let mut events: Vec<_> = (0..EVENTS).map(event).collect();
    for event in &mut events {
        event.server_certificates = Some(Arc::clone(&chain));
    }
    bencher
        .counter(ItemsCount::new(EVENTS))
        .with_inputs(sink)
        .bench_refs(|sink| {
            for event in &events {
                sink.handshake(black_box(event)).unwrap();
            }
        });
}

/// A handshake as a browser's, every fourth refused by the client.
fn event(number: usize) -> Handshake {
    let port = 1024 + (number % 60_000) as u16;
    let client = Endpoint::new([10, 0, 0, 1].into(), port);
    let server = Endpoint::new([192, 0, 2, 1].into(), 443);
    let time = Timestamp::from_nanoseconds(1_772_366_400_123_456_789 + number as i64 * 1_000_003);
    let mut event = Handshake::new(time, client, server);
    event.source = "capture.pcapng".into();
    event.flow_id = number as u64;
    event.outcome = Outcome::Success;
    event.timing.tcp_connect = Some(Duration::from_micros(412));
    event.timing.server_hello = Some(Duration::from_nanos(3_101_733));
    event.timing.handshake = Some(Duration::from_nanos(5_900_001 + number as u64 * 7_919));
    fill_hello(&mut event, number);
    if number.is_multiple_of(4) {
        fail(&mut event);
    }
    event
}

fn certificate(common_name: &str) -> Arc<Certificate> {
    let names = [format!("{common_name}.example"), "www.example.org".into()];
    let mut params = CertificateParams::new(names).unwrap();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "Example Services");
    name.push(DnType::CommonName, common_name);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Arc::new(Certificate::from_der(certificate.der()))
}

fn fill_hello(event: &mut Handshake, number: usize) {
    let suites = (0..17).map(|n| CipherSuite(0xc000 + n)).collect();
    let schemes = (0..11).map(|n| SignatureScheme(0x0400 + n)).collect();
    event.tls.version = Some(ProtocolVersion::TLSv1_2);
    event.tls.cipher_suite = Some(CipherSuite(0xc02f));
    event.tls.server_name = Some(format!("host-{}.example.org", number % 97).into());
    event.tls.alpn_offered = Some(vec!["h2".into(), "http/1.1".into()]);
    event.tls.group = Some(NamedGroup::X25519);
    event.tls.offered_versions = Some([ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2].into());
    event.tls.offered_cipher_suites = Some(suites);
    event.tls.offered_groups = Some([NamedGroup(4588), NamedGroup::X25519].into());
    event.tls.key_share_groups = Some([NamedGroup(4588), NamedGroup::X25519].into());
    event.tls.signature_algorithms = Some(schemes);
    event.tls.history = "CsxkdKHkh".into();
    event.fingerprint.ja3 = Some("e7d705a3286e19ea42f587b344ee6865".into());
    event.fingerprint.ja3s = Some("e7d705a3286e19ea42f587b344ee6865".into());
    event.fingerprint.ja4 = Some("t13d1716h2_0123456789ab_cdef01234567".into());
}

fn fail(event: &mut Handshake) {
    event.outcome = Outcome::Failure;
    event.error = Some(HandshakeError {
        error_type: ErrorType::UnknownCa,
        side: Some(Side::Client),
        message: "client refused the server's certificate: unknown_ca (48)".into(),
        hint: None,
    });
    event.alerts.push(Alert {
        time: event.time,
        sender: Side::Client,
        level: Some(AlertLevel::Fatal),
        description: Some(AlertDescription(48)),
        encrypted: false,
    });
}
