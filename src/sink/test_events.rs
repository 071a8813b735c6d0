//! Hand-made events for the tests of sinks.

use std::sync::Arc;
use std::time::Duration;

use crate::certificate::support::facts;
use crate::certificate::{Certificate, CertificateFacts, CertificateTime};
use crate::dialogue::StartTls;
use crate::event::{
    Alert, CertificateChain, ClientCertificate, ClosedBy, EarlyData, ErrorType, Evidence, Finding,
    Handshake, HandshakeError, Inference, NotTls, NotTlsKind, Outcome, RejectedAfter,
    Renegotiation, RenegotiationEnd, Resumption, Side,
};
use crate::flow::Endpoint;
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};

/// One of each kind.
pub(crate) fn all() -> Vec<Handshake> {
    vec![
        refused_by_the_client(),
        completed(),
        inferred(),
        barely_seen(),
        with_a_broken_certificate(),
    ]
}

/// 2026-03-01T12:00:00.123456789Z.
pub(crate) const START: Timestamp = Timestamp::from_nanoseconds(1_772_366_400_123_456_789);

/// A hello of which nothing could be read.
pub(crate) fn barely_seen() -> Handshake {
    let client = Endpoint::new([10, 0, 0, 1].into(), 51234);
    let server = Endpoint::new([10, 0, 0, 2].into(), 443);
    Handshake::new(START, client, server)
}

/// STARTTLS that a mail server refused.
pub(crate) fn refused_starttls() -> NotTls {
    let Handshake {
        time,
        client,
        server,
        ..
    } = barely_seen();
    let mut event = NotTls::new(time, client, server, NotTlsKind::StartTlsRefused);
    event.source = Some("mail.pcap".into());
    event.flow_id = 0x6f1c_0000_0000_00a8;
    event.starttls = Some(StartTls::Smtp);
    event.message = "server refused STARTTLS: \"454 no\"".into();
    event
}

/// TLS 1.3 with everything that a success can show.
pub(crate) fn completed() -> Handshake {
    let mut event = barely_seen();
    event.outcome = Outcome::Success;
    event.tls.version = Some(ProtocolVersion::TLSv1_3);
    event.tls.server_name = Some("example.org".into());
    event.tls.alpn = Some("h2".into());
    event.tls.resumed = Some(true);
    event.tls.resumption = Some(Resumption::Psk);
    event.tls.early_data = Some(EarlyData::Accepted);
    event.tls.unused = Some(false);
    event.tls.certificate_authorities = Some(vec!["CN=Example CA".into()]);
    event.tls.ocsp_stapled = true;
    event.tls.signed_certificate_timestamps = 2;
    event.tls.renegotiation = Some(Renegotiation {
        count: 1,
        ended: RenegotiationEnd::Completed,
    });
    event.rejected_after = Some(Box::new(RejectedAfter {
        error_type: ErrorType::MissingClientCert,
        side: Side::Server,
        evidence: Evidence::Inferred,
        confidence: 0.97,
        observations: vec!["the client was asked for a certificate and had none"],
        hint: None,
    }));
    event.timing.handshake = Some(Duration::from_micros(5_900));
    event
}

/// The line that the docs of [`super::machine::json`] show.
pub(crate) fn refused_by_the_client() -> Handshake {
    let mut event = barely_seen();
    event.source = "capture.pcapng".into();
    event.flow_id = 0x6f1c_0000_0000_00a7;
    event.vlan = vec![12];
    event.outcome = Outcome::Failure;
    let message = "client refused the server's certificate: unknown_ca (48)";
    let mut error =
        HandshakeError::new(ErrorType::UnknownCa, Some(Side::Client), message.to_owned());
    error.hint = Some("the client must trust `CN=Example CA`".to_owned());
    event.error = Some(error);
    event.alerts = vec![Alert {
        time: START.saturating_add(Duration::from_micros(4_100)),
        sender: Side::Client,
        level: Some(AlertLevel::Fatal),
        description: Some(AlertDescription(48)),
        encrypted: false,
    }];
    event.confidence = Some(1.0);
    event.closed_by = Some(ClosedBy::ClientRst);
    fill_hello(&mut event);
    event.timing.tcp_connect = Some(Duration::from_micros(400));
    event.timing.server_hello = Some(Duration::from_micros(3_100));
    let chain = chain([Ok(leaf())]);
    event.validation = vec![Finding {
        error_type: ErrorType::NearExpiry,
        side: Side::Server,
        detail: "expires in 12.5 days".into(),
        certificate: Arc::clone(&chain[0]),
    }];
    event.server_certificates = Some(chain);
    event.capture.first_packet = 12;
    event.capture.last_packet = 31;
    event
}

fn fill_hello(event: &mut Handshake) {
    let post_quantum = NamedGroup(4588);
    event.tls.version = Some(ProtocolVersion::TLSv1_2);
    event.tls.cipher_suite = Some(CipherSuite(49199));
    event.tls.server_name = Some("example.org".into());
    event.tls.alpn_offered = Some(vec!["h2".into(), "http/1.1".into()]);
    event.tls.alpn = Some("h2".into());
    event.tls.group = Some(NamedGroup::X25519);
    event.tls.offered_versions = Some([ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2].into());
    event.tls.offered_cipher_suites = Some([CipherSuite(4865), CipherSuite(49199)].into());
    event.tls.offered_groups = Some([post_quantum, NamedGroup::X25519].into());
    event.tls.key_share_groups = Some([post_quantum].into());
    event.tls.signature_algorithms = Some([SignatureScheme(1027)].into());
    event.tls.resumed = Some(false);
    event.tls.hello_retry_request = Some(false);
    event.tls.ech_offered = Some(true);
    event.tls.client_certificate = ClientCertificate::NotRequested;
    event.tls.history = "CsxkdA".into();
    event.fingerprint.ja3 = Some("e7d705a3286e19ea42f587b344ee6865".into());
    event.fingerprint.ja4 = Some("t13d0202h2_0123456789ab_cdef01234567".into());
}

/// A failure that is inferred, with a tunnel and an alert that is not readable.
pub(crate) fn inferred() -> Handshake {
    let mut event = completed();
    event.tunnel = vec![crate::decode::Tunnel {
        protocol: "vxlan",
        id: Some(42),
    }];
    event.starttls = Some(StartTls::Smtp);
    event.outcome = Outcome::Failure;
    event.evidence = Evidence::Inferred;
    event.confidence = Some(0.97);
    event.inference = Some(Inference {
        rule: "P1",
        observations: vec!["client certificate sent"].into(),
    });
    event.error = Some(HandshakeError {
        error_type: ErrorType::ServerRejectedClient,
        side: Some(Side::Server),
        message: "server closed after the client's certificate".into(),
        hint: None,
    });
    event.alerts = vec![Alert {
        time: START,
        sender: Side::Server,
        level: None,
        description: None,
        encrypted: true,
    }];
    event
}

/// A client certificate that is no certificate.
pub(crate) fn with_a_broken_certificate() -> Handshake {
    let mut event = completed();
    event.client_certificates = Some(chain([Err("not DER".to_owned())]));
    event
}

/// A chain of certificates whose hashes are `01…`, `02…` for readable and unreadable ones.
pub(crate) fn chain<const N: usize>(
    shown: [Result<CertificateFacts, String>; N],
) -> CertificateChain {
    let certificate = |facts: Result<CertificateFacts, String>| {
        Arc::new(Certificate {
            der: Box::default(),
            sha256: [if facts.is_ok() { 1 } else { 2 }; 32],
            facts,
        })
    };
    shown.map(certificate).into()
}

/// What a certificate of example.org says.
pub(crate) fn leaf() -> CertificateFacts {
    CertificateFacts {
        not_before: CertificateTime(1_767_139_200),
        not_after: CertificateTime(1_773_446_400),
        dns_names: vec!["example.org".into()],
        ..facts("CN=example.org", "CN=Example CA")
    }
}
