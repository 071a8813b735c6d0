//! Kinds of connections that were misjudged once: each with one that just misses the kind.

use crate::event::ClientCertificate;
use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, resuming, tls12};
use crate::tls::{AlertDescription, CipherSuite, ContentType, HandshakeType};

/// The body of a Certificate message up to TLS 1.2 with a certificate, and of one without any.
const CHAIN: &[u8] = &[0, 0, 4, 0, 0, 1, 0];
const EMPTY: &[u8] = &[0, 0, 0];
/// The same in TLS 1.3.
const CHAIN_13: &[u8] = &[0, 0, 0, 6, 0, 0, 1, 0x30, 0, 0];

/// ChangeCipherSpec and a handshake record of both sides, as the second hellos of TLS 1.3 look to who takes it for TLS 1.2.
fn both_continue(script: Script) -> Script {
    script
        .change_cipher_spec(SERVER)
        .finished_12(CLIENT)
        .sealed(SERVER, ContentType::Handshake)
}

#[test]
fn hellos_after_a_retry_request_whose_first_hello_is_missing_are_no_finished() {
    let retried = both_continue(connection().retry_request());
    assert_eq!(retried.verdict(), "unknown observed");
    let refused = retried.alert(CLIENT, AlertDescription::UnknownCa);
    assert_ne!(refused.verdict(), "success observed");
    // After a ServerHello of TLS 1.2 they are.
    assert_eq!(both_continue(tls12()).verdict(), "success observed");
}

#[test]
fn a_server_hello_in_a_hole_does_not_hide_what_the_server_refused() {
    /// An offer so narrow that it may be the reason.
    const NARROW: CipherSuite = CipherSuite(0x000a);
    let hello = || {
        connection().client_hello(|hello| {
            hello.supported_versions = None;
            hello.cipher_suites = vec![NARROW];
        })
    };
    let answered = |certificate: &[u8]| {
        let flight = hello()
            .gap(SERVER)
            .message(SERVER, HandshakeType::Certificate, CHAIN)
            .message(SERVER, HandshakeType::CertificateRequest, &[0])
            .message(SERVER, HandshakeType::ServerHelloDone, &[]);
        let answer = flight.message(CLIENT, HandshakeType::Certificate, certificate);
        let answer = answer.message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        answer.alert(SERVER, AlertDescription::HandshakeFailure)
    };
    assert_eq!(
        answered(EMPTY).verdict(),
        "failure observed: missing_client_cert by server"
    );
    assert_eq!(
        answered(CHAIN).verdict(),
        "failure observed: handshake_failure by server"
    );
    // Without a sign that there was one, the alert answers the hello.
    let refused = hello().alert(SERVER, AlertDescription::HandshakeFailure);
    assert_eq!(
        refused.verdict(),
        "failure observed: cipher_mismatch by server"
    );
}

/// Both flights are opened, with a certificate of the client.
fn opened_with_certificate() -> Script {
    full()
        .opened(SERVER, HandshakeType::EncryptedExtensions, &[0, 0])
        .opened(SERVER, HandshakeType::CertificateRequest, &[0])
        .opened(SERVER, HandshakeType::Finished, &[])
        .opened(CLIENT, HandshakeType::Certificate, CHAIN_13)
        .opened(CLIENT, HandshakeType::Finished, &[])
}

#[test]
fn an_opened_record_is_what_it_says_whatever_its_length() {
    let asked = || opened_with_certificate().opened_data(CLIENT);
    let answered = asked().opened_data_of(SERVER, 19).fin(SERVER).fin(CLIENT);
    assert_eq!(answered.verdict(), "success decrypted");
    let refused = asked().opened_alert(SERVER, AlertDescription::UnknownCa);
    assert_eq!(
        refused.fin(SERVER).verdict(),
        "failure decrypted: unknown_ca by server"
    );
    // Without keys, the length is all there is.
    let sealed = full()
        .server_flight_with_request()
        .client_records(&[900, 281, 53, 100])
        .server_records(&[19])
        .fin(SERVER)
        .fin(CLIENT);
    assert_eq!(
        sealed.verdict(),
        "failure P1: server_rejected_client by server"
    );
}

#[test]
fn an_alert_of_the_client_after_both_finished_and_data_is_no_failure_of_the_handshake() {
    let complains = |script: Script| script.opened_alert(CLIENT, AlertDescription::UnknownCa);
    let in_use = opened_with_certificate().opened_data(SERVER);
    assert_eq!(complains(in_use).verdict(), "success decrypted");
    assert_eq!(
        complains(opened_with_certificate()).verdict(),
        "failure decrypted: unknown_ca by client"
    );
}

/// What the event reports about the client's certificate, if the client gives up after these records.
fn asked_for(server_flight: &[u16]) -> ClientCertificate {
    let gives_up = full().server_records(server_flight).client_records(&[19]);
    gives_up.shape().client_certificate
}

#[test]
fn a_certificate_in_small_records_is_no_request() {
    let (asked, not_asked) = (
        ClientCertificate::Requested,
        ClientCertificate::NotRequested,
    );
    assert_eq!(asked_for(&[23, 529, 529, 82, 96, 53]), not_asked);
    assert_eq!(asked_for(&[23, 120, 529, 529, 82, 96, 53]), asked);
    assert_eq!(asked_for(&[23, 529, 43, 96, 53]), not_asked);
    assert_eq!(asked_for(&[23, 43, 529, 96, 53]), asked);
}

#[test]
fn a_server_that_gives_up_amid_its_flight_is_not_refused_by_the_client() {
    let left = |script: Script, records: &[u16]| script.server_records(records).fin(CLIENT);
    assert_eq!(
        left(full(), &[65, 35]).verdict(),
        "failure S2m: other by server"
    );
    // Too long for an alert, or a whole flight where a session is resumed.
    assert_eq!(
        left(full(), &[65, 36]).verdict(),
        "failure C4: connection_closed by client"
    );
    assert_eq!(
        left(resuming(), &[65, 35]).verdict(),
        "failure C4: connection_closed by client"
    );
    // A client that had the whole flight refused it.
    assert_eq!(
        left(full(), &[65, 548, 113, 69]).verdict(),
        "failure C4f: client_rejected_server by client"
    );
}

#[test]
fn flights_with_ml_dsa_are_read_as_others() {
    // CertificateVerify with ML-DSA-44, -65 and -87.
    for verify in [2445, 3334, 4652] {
        assert_eq!(
            asked_for(&[27, 5671, verify, 53]),
            ClientCertificate::NotRequested
        );
        assert_eq!(
            asked_for(&[27, 128, 5671, verify, 53]),
            ClientCertificate::Requested
        );
        // A chain of 22 kB takes two records.
        assert_eq!(
            asked_for(&[27, 16401, 6100, verify, 53]),
            ClientCertificate::NotRequested
        );
        // One byte more is no such signature, so the flight is not understood.
        assert_eq!(
            asked_for(&[27, 5671, verify + 1, 53]),
            ClientCertificate::Unknown
        );
    }
}

#[test]
fn a_refusal_of_an_ml_dsa_certificate_is_seen_behind_its_finished() {
    let shown = |client: &[u16]| {
        let asked = full().server_records(&[27, 128, 5671, 3334, 53]);
        asked.client_records(client)
    };
    let refused = |script: Script| script.server_records(&[19]).fin(SERVER).fin(CLIENT);
    assert_eq!(
        refused(shown(&[5671, 3334, 53])).verdict(),
        "failure P1d: server_rejected_client by server"
    );
    // A record that is no signature is no part of the flight: the client had sent data.
    assert_eq!(
        refused(shown(&[5671, 3335, 53])).verdict(),
        "failure P1: server_rejected_client by server"
    );
    let accepted = shown(&[5671, 3334, 53]).server_records(&[6000]);
    assert_eq!(accepted.verdict(), "success P5");
    assert_eq!(accepted.client_certificate(), ClientCertificate::Presented);
}
