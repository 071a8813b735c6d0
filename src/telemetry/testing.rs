//! Hand-made events, certificates and destinations for the tests of telemetry.

use std::io::BufRead;
use std::time::Duration;

use super::Signal;
use super::settings::{Destination, PemContents};
use crate::certificate::support::facts;
use crate::certificate::{Certificate, CertificateFacts, CertificateTime};
use crate::event::{ErrorType, Evidence, Handshake, Outcome, RejectedAfter, Side};
use crate::flow::Endpoint;
use crate::time::Timestamp;
use crate::tls::{CipherSuite, ProtocolVersion};

/// A TLS 1.3 handshake that succeeded in 6 ms.
pub(super) fn handshake() -> Handshake {
    let endpoint = |port| Endpoint::new([192, 0, 2, 1].into(), port);
    let time = Timestamp::from_seconds(0);
    let mut event = Handshake::new(time, endpoint(50_000), endpoint(443));
    event.source = "test".into();
    event.flow_id = 1;
    event.outcome = Outcome::Success;
    event.tls.version = Some(ProtocolVersion::TLSv1_3);
    event.tls.cipher_suite = Some(CipherSuite::TLS_AES_128_GCM_SHA256);
    event.tls.resumed = Some(false);
    event.timing.tcp_connect = Some(Duration::from_micros(400));
    event.timing.server_hello = Some(Duration::from_millis(3));
    event.timing.handshake = Some(Duration::from_millis(6));
    event
}

/// A refusal by the server of a client that had no certificate.
pub(super) fn rejected_after() -> RejectedAfter {
    RejectedAfter {
        error_type: ErrorType::MissingClientCert,
        side: Side::Server,
        evidence: Evidence::Inferred,
        confidence: 0.97,
        observations: vec!["an error page"],
        hint: Some("present a certificate".to_owned()),
    }
}

/// A certificate with this common name; its hash is made of both values.
pub(super) fn certificate(common_name: &str, not_after: i64) -> Certificate {
    let mut sha256 = [0; 32];
    let (number, name) = sha256.split_at_mut(8);
    number.copy_from_slice(&not_after.to_be_bytes());
    for (to, from) in name.iter_mut().zip(common_name.bytes()) {
        *to = from;
    }
    Certificate {
        der: Box::default(),
        sha256,
        facts: Ok(CertificateFacts {
            serial: "0a".to_owned(),
            not_after: CertificateTime(not_after),
            ..facts(&format!("CN={common_name}"), "CN=Example CA")
        }),
    }
}

/// Metrics over HTTP to this URL.
pub(super) fn destination(url: &str) -> Destination {
    Destination {
        signal: Signal::Metrics,
        protocol: super::OtlpProtocol::HttpProtobuf,
        url: url.to_owned(),
        timeout: Duration::from_secs(5),
        certificate: None,
        client_certificate: None,
        headers: Vec::new(),
        compression: None,
        temporality: None,
        retries: false,
        pem: PemContents::default(),
    }
}

/// Reads one HTTP request: its first line, and its body.
pub(super) fn read_request(input: &mut impl BufRead) -> (String, Vec<u8>) {
    let mut first = String::new();
    input.read_line(&mut first).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        match line.to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).unwrap();
    (first.trim_end().to_owned(), body)
}
