//! What was negotiated, and how: the `tls` part of an event.

use std::slice;

use crate::certificate::{Certificate, distinguished_name};
use crate::event::{ClientCertificate, EarlyData, Outcome, Renegotiation, Resumption, TlsFacts};
use crate::flow::Side;
use crate::tls::{
    ClientHello, HandshakeType, ListCache, NamedGroup, ProtocolVersion, TextCache,
    read_certificate_authorities, read_certificate_list,
};

use super::timing::application_data;
use super::transcript::Transcript;
use super::verdict::Shape;

/// The facts that are no lists of a peer, which the report adds where they are wanted; `shape` is what TLS 1.3 flights show.
pub(super) fn negotiated(
    transcript: &Transcript,
    shape: Option<&Shape>,
    outcome: Outcome,
    is_closed: bool,
    texts: &mut TextCache,
) -> TlsFacts {
    let hello = transcript.client_hello();
    let answer = transcript.server_hello();
    let resumption = resumption(transcript);
    let resumed = resumption.map(|resumption| resumption.is_some());
    TlsFacts {
        version: transcript.version(),
        cipher_suite: answer.and_then(|answer| answer.cipher_suite),
        alpn: alpn(transcript).map(|name| texts.share(name)),
        group: answer
            .and_then(|answer| answer.key_share_group)
            .or_else(|| transcript.key_exchange_group()),
        resumed,
        resumption: resumption.flatten(),
        early_data: early_data(transcript, shape),
        hello_retry_request: (answer.is_some() || transcript.has_retry_request())
            .then_some(transcript.has_retry_request()),
        ech_offered: hello.and_then(|hello| {
            let is_known = hello.encrypted_client_hello || !hello.is_partial;
            is_known.then_some(hello.encrypted_client_hello)
        }),
        client_certificate: match shape {
            Some(shape) => shape.client_certificate,
            None => renegotiated_certificate(transcript, client_certificate(transcript, resumed)),
        },
        ocsp_stapled: transcript.has_ocsp_staple(),
        ocsp_staple: transcript.ocsp_staple().cloned().map(Box::new),
        signed_certificate_timestamps: transcript.certificate_timestamps()
            + answer.map_or(0, |answer| answer.signed_certificate_timestamps),
        unused: unused(transcript, shape, outcome, is_closed),
        renegotiation: renegotiation(transcript),
        ..TlsFacts::default()
    }
}

/// Adds what the client offers to the event, but for the server's name: lists that other events share, and the names of application
/// protocols, which are moved. Of a hello that was cut short, what may lie behind the cut is not known.
pub(super) fn give_offer(tls: &mut TlsFacts, hello: &mut ClientHello, lists: &mut ListCache) {
    let has_all_versions = !hello.is_partial
        || hello.supported_versions.is_some()
        || hello.legacy_version.as_tls() < ProtocolVersion::TLSv1_2;
    let versions = hello.supported_versions.as_deref();
    let versions = versions.unwrap_or_else(|| slice::from_ref(&hello.legacy_version));
    tls.offered_versions = has_all_versions.then(|| lists.share_versions(versions));
    tls.alpn_offered = hello.alpn.take();
    let has_suites = !hello.is_partial || !hello.cipher_suites.is_empty();
    tls.offered_cipher_suites = (has_suites && hello.sslv2_cipher_specs.is_none())
        .then(|| lists.share_cipher_suites(&hello.cipher_suites));
    tls.sslv2_cipher_specs.clone_from(&hello.sslv2_cipher_specs);
    let mut groups =
        |list: &Option<Vec<NamedGroup>>| list.as_ref().map(|list| lists.share_groups(list));
    tls.offered_groups = groups(&hello.groups);
    tls.key_share_groups = groups(&hello.key_share_groups);
    let schemes = hello.signature_algorithms.as_ref();
    tls.signature_algorithms = schemes.map(|list| lists.share_signature_schemes(list));
}

fn alpn(transcript: &Transcript) -> Option<&str> {
    let decrypted = transcript.decrypted();
    let hidden = decrypted.and_then(|decrypted| decrypted.extensions.as_ref());
    let hello = transcript.server_hello()?;
    hidden.map_or(&hello.alpn, |hidden| &hidden.alpn).as_deref()
}

/// How a session was resumed; `Some(None)` if none was, and `None` if that is not known.
///
/// TLS 1.3's ServerHello says it. Before, a server that resumes skips its Certificate, and the client its key exchange.
fn resumption(transcript: &Transcript) -> Option<Option<Resumption>> {
    let has_full_flight = [
        HandshakeType::Certificate,
        HandshakeType::ServerKeyExchange,
        HandshakeType::ServerHelloDone,
        HandshakeType::ClientKeyExchange,
    ]
    .into_iter()
    .any(|message| transcript.has_message(message));
    match transcript.server_hello() {
        Some(answer) if transcript.is_tls13() => {
            return Some(answer.pre_shared_key.then_some(Resumption::Psk));
        }
        _ if has_full_flight => return Some(None),
        Some(_) => {}
        None => return None,
    }
    let server = transcript.peer(Side::Server);
    let has_skipped_it = server.change_cipher_spec && server.gap_bytes == 0;
    let hello = transcript.client_hello();
    let ticket = hello.and_then(|hello| hello.session_ticket_length);
    has_skipped_it.then_some(Some(match ticket {
        Some(length) if length > 0 => Resumption::Ticket,
        _ => Resumption::SessionId,
    }))
}

fn early_data(transcript: &Transcript, shape: Option<&Shape>) -> Option<EarlyData> {
    match (shape, transcript.version()) {
        _ if !transcript.offers_early_data() => None,
        (Some(shape), _) => shape.early_data,
        (None, Some(_)) => Some(EarlyData::Rejected),
        (None, None) => Some(EarlyData::Offered),
    }
}

/// Up to TLS 1.2: what became of the client's certificate.
fn client_certificate(transcript: &Transcript, resumed: Option<bool>) -> ClientCertificate {
    let client = transcript.peer(Side::Client);
    let is_requested = transcript.certificate_request().is_some();
    let has_gone_on = transcript.has_message(HandshakeType::ClientKeyExchange);
    // A client that is asked for a certificate answers with a Certificate message, if only an empty one (RFC 5246 §7.4.6).
    let has_not_answered = has_gone_on
        && client.gap_bytes == 0
        && transcript.version() != Some(ProtocolVersion::SSLv3);
    let server_is_done = transcript.has_message(HandshakeType::ServerHelloDone)
        && transcript.peer(Side::Server).gap_bytes == 0;
    let is_past_request = server_is_done || has_not_answered || resumed == Some(true);
    if client.has_empty_certificate() {
        ClientCertificate::Absent
    } else if client.certificate.is_some() {
        ClientCertificate::Presented
    } else if is_requested && has_gone_on {
        ClientCertificate::Absent // SSL 3.0 answers with an alert, and no Certificate message
    } else if is_requested {
        ClientCertificate::Requested
    } else if is_past_request {
        ClientCertificate::NotRequested
    } else {
        ClientCertificate::Unknown
    }
}

/// The same with what a renegotiation shows, in which the server may have asked for the first time.
fn renegotiated_certificate(
    transcript: &Transcript,
    before: ClientCertificate,
) -> ClientCertificate {
    let suite = transcript
        .server_hello()
        .and_then(|hello| hello.cipher_suite);
    match before {
        ClientCertificate::Presented | ClientCertificate::Absent => before,
        _ => transcript
            .renegotiations()
            .and_then(|seen| seen.client_certificate(suite))
            .unwrap_or(before),
    }
}

fn renegotiation(transcript: &Transcript) -> Option<Renegotiation> {
    let seen = transcript.renegotiations()?;
    let closed_first = transcript.first_close().map(|(side, ..)| side);
    Some(Renegotiation {
        count: seen.count(),
        ended: seen.end(closed_first),
    })
}

/// The names in the CertificateRequest; `None` if none was seen in the clear.
pub(super) fn certificate_authorities(transcript: &Transcript) -> Option<Vec<String>> {
    let body = transcript.certificate_request()?;
    let version = transcript.version().unwrap_or(ProtocolVersion::TLSv1_2);
    let names = read_certificate_authorities(body, version).ok()?;
    Some(names.into_iter().filter_map(distinguished_name).collect())
}

/// Whether the client showed a certificate, and nothing of its chain is issued by an authority that the server had asked for.
pub(super) fn is_of_authority_not_asked_for(transcript: &Transcript) -> bool {
    let asked_for = certificate_authorities(transcript).unwrap_or_default();
    let shown = transcript.peer(Side::Client).certificate.as_deref();
    let Some(chain) = shown.and_then(|shown| read_certificate_list(shown).ok()) else {
        return false;
    };
    let mut chain = chain.peekable();
    let is_of_other = |der: &[u8]| {
        let facts = Certificate::from_der(der).facts;
        facts.is_ok_and(|facts| !asked_for.contains(&facts.issuer))
    };
    !asked_for.is_empty() && chain.peek().is_some() && chain.all(is_of_other)
}

/// Whether a completed handshake was not used: the connection was closed without application data.
fn unused(
    transcript: &Transcript,
    shape: Option<&Shape>,
    outcome: Outcome,
    is_closed: bool,
) -> Option<bool> {
    /// Records that a server sends after the handshake without being asked: tickets. OpenSSL sends two.
    const TICKET_RECORDS: usize = 2;
    if outcome != Outcome::Success {
        return None;
    }
    let has_early_data = early_data(transcript, shape) == Some(EarlyData::Accepted);
    if has_early_data || application_data(transcript, shape).is_some() {
        return Some(false);
    }
    if shape.is_some_and(|shape| shape.server_records_after > TICKET_RECORDS) {
        return None; // tickets, or data of the server
    }
    (is_closed && transcript.first_close().is_some()).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, resuming, tls12};
    use crate::tls::{CipherSuite, ContentType};

    fn facts_of(script: &Script, outcome: Outcome) -> TlsFacts {
        let shape = crate::handshake::verdict::shape(&script.transcript);
        let mut texts = TextCache::default();
        negotiated(
            &script.transcript,
            shape.as_ref(),
            outcome,
            true,
            &mut texts,
        )
    }

    fn facts(script: &Script) -> TlsFacts {
        facts_of(script, Outcome::Success)
    }

    #[test]
    fn what_may_lie_behind_the_cut_of_a_hello_is_not_known() {
        let offer = |is_partial, legacy_version, suites: &[u16]| {
            let mut tls = TlsFacts::default();
            let mut hello = ClientHello::default();
            hello.is_partial = is_partial;
            hello.legacy_version = legacy_version;
            hello.cipher_suites = suites.iter().copied().map(CipherSuite).collect();
            give_offer(&mut tls, &mut hello, &mut ListCache::default());
            (
                tls.offered_versions,
                tls.offered_cipher_suites.map(|suites| suites.len()),
            )
        };
        let version = ProtocolVersion::TLSv1_2;
        assert_eq!(offer(true, version, &[]), (None, None));
        assert_eq!(offer(true, version, &[0x1301]), (None, Some(1)));
        assert_eq!(
            offer(false, version, &[]),
            (Some([version].into()), Some(0))
        );
        let version = ProtocolVersion::TLSv1_1; // has no extension for versions
        assert_eq!(offer(true, version, &[]), (Some([version].into()), None));
    }

    #[test]
    fn tls13_says_that_a_session_is_resumed() {
        let facts = [full(), resuming()].map(|script| facts(&script));
        assert_eq!(facts[0].resumed, Some(false));
        assert_eq!(facts[1].resumed, Some(true));
        assert_eq!(facts[1].resumption, Some(Resumption::Psk));
    }

    #[test]
    fn a_tls12_server_that_skips_its_certificate_resumes_a_session() {
        let resumption = |ticket| {
            let script = connection()
                .client_hello(|hello| hello.session_ticket_length = ticket)
                .server_hello_12()
                .change_cipher_spec(SERVER);
            facts(&script).resumption
        };
        assert_eq!(resumption(Some(100)), Some(Resumption::Ticket));
        assert_eq!(resumption(Some(0)), Some(Resumption::SessionId));
        assert_eq!(resumption(None), Some(Resumption::SessionId));

        let full = tls12().message(SERVER, HandshakeType::ServerHelloDone, &[]);
        assert_eq!(facts(&full.change_cipher_spec(SERVER)).resumed, Some(false));
        assert_eq!(facts(&tls12()).resumed, None);
        let gap = || tls12().gap(SERVER);
        assert_eq!(facts(&gap().change_cipher_spec(SERVER)).resumed, None);
        let exchanged = gap().message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(facts(&exchanged).resumed, Some(false));
    }

    #[test]
    fn up_to_tls12_the_messages_say_what_became_of_the_clients_certificate() {
        let certificate = |script: Script| facts(&script).client_certificate;
        let asked = || tls12().message(SERVER, HandshakeType::CertificateRequest, &[0]);
        let shown = |body| asked().message(CLIENT, HandshakeType::Certificate, body);
        assert_eq!(certificate(tls12()), ClientCertificate::Unknown);
        assert_eq!(certificate(asked()), ClientCertificate::Requested);
        assert_eq!(certificate(shown(&[0, 0, 0])), ClientCertificate::Absent);
        let chain = &[0, 0, 4, 0, 0, 1, 0];
        assert_eq!(certificate(shown(chain)), ClientCertificate::Presented);
        let ssl3 = asked().message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(certificate(ssl3), ClientCertificate::Absent);
        let unasked = tls12().message(SERVER, HandshakeType::ServerHelloDone, &[]);
        assert_eq!(certificate(unasked), ClientCertificate::NotRequested);
        let resumed = tls12().change_cipher_spec(SERVER);
        assert_eq!(certificate(resumed), ClientCertificate::NotRequested);
        let exchange =
            |script: Script| script.message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(
            certificate(exchange(tls12())),
            ClientCertificate::NotRequested
        );
        let gap = exchange(tls12().gap(CLIENT));
        assert_eq!(certificate(gap), ClientCertificate::Unknown);
    }

    #[test]
    fn early_data_is_rejected_by_a_version_that_does_not_have_it() {
        let offering = || connection().client_hello(|hello| hello.early_data = true);
        assert_eq!(facts(&offering()).early_data, Some(EarlyData::Offered));
        let older = offering().server_hello_12();
        assert_eq!(facts(&older).early_data, Some(EarlyData::Rejected));
        assert_eq!(facts(&tls12()).early_data, None);
    }

    #[test]
    fn a_completed_handshake_is_unused_if_no_data_follows_before_the_close() {
        let finished = || full().server_flight().client_records(&[53]);
        let unused = |script: Script| facts(&script).unused;
        assert_eq!(
            unused(finished().server_records(&[250]).fin(CLIENT)),
            Some(true)
        );
        assert_eq!(
            unused(finished().client_records(&[100]).fin(CLIENT)),
            Some(false)
        );
        assert_eq!(unused(finished()), None);
        let server_data = finished().server_records(&[250, 250, 250]);
        assert_eq!(unused(server_data.fin(SERVER)), None);
        let complete = tls12().finished_12(CLIENT).finished_12(SERVER);
        let used = complete.sealed(SERVER, ContentType::ApplicationData);
        assert_eq!(unused(used.fin(SERVER)), Some(false));
        let failed = facts_of(&finished().fin(SERVER), Outcome::Failure);
        assert_eq!(failed.unused, None);
    }

    #[test]
    fn a_retry_request_is_reported_before_the_server_hello_too() {
        let offered = connection().client_hello(|_| {});
        assert_eq!(facts(&offered).hello_retry_request, None);
        let retried = offered.retry_request();
        assert_eq!(facts(&retried).hello_retry_request, Some(true));
        assert_eq!(facts(&full()).hello_retry_request, Some(false));
    }
}
