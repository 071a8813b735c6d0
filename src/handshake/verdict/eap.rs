//! Verdicts on handshakes inside EAP, of any version of TLS.
//!
//! The end of the login is authoritative: a server accepts nobody whose handshake did not
//! complete. A rejected login may have failed before, during or after the handshake, and
//! servers often keep their alert to themselves: FreeRADIUS 3.2 delivered none of 58. So the
//! rejection takes the place of the server's next message, and what counts is whether the
//! server had gone on before.
//!
//! EAP is lock-step and in order. A side that sends has received all that its peer sent, and
//! no close can cross data on the way: so a few rules do, where TCP needs forty.

use std::time::Duration;

use crate::error_type::ErrorType;
use crate::event::{ClientCertificate, EapResult, Evidence, Outcome, UnknownBecause};
use crate::flow::Side;
use crate::handshake::cause::{self, FailureCause};
use crate::handshake::end::End;
use crate::handshake::transcript::{AlertContent, EapEnd, EapSeen, Transcript};
use crate::tls::{AlertLevel, HandshakeType};

use super::cleartext;
use super::conclusion::{CleartextRule, Conclusion};
use super::inferred::{self, ClientAnswer};
use super::silence;

/// In TLS 1.3, a server goes on only after it has accepted the client's flight: with a ticket, the commitment message of RFC 9190,
/// the first message of the inner method, or an empty packet (EAP-TTLS).
pub(in crate::handshake) const E1: CleartextRule = CleartextRule {
    id: "E1",
    confidence: 0.99,
    observation: "server went on after the client's flight",
};

/// A server that delivers its alert sends it alone, and waits for the client's empty answer (RFC 5216 §2.1.3).
pub(in crate::handshake) const E2: CleartextRule = CleartextRule {
    id: "E2",
    confidence: 0.75,
    observation: "server answered the client's flight with a record of an alert's length, then the login was rejected",
};

/// The client had been asked for a certificate, and its flight was the last that the server received.
pub(in crate::handshake) const E3: CleartextRule = CleartextRule {
    id: "E3",
    confidence: 0.97,
    observation: "login was rejected in answer to the client's flight, which has its Certificate message",
};

/// TLS 1.3 clients that encrypt their alerts.
pub(in crate::handshake) const E4: CleartextRule = CleartextRule {
    id: "E4",
    confidence: 0.75,
    observation: "client answered the server's flight with a record of an alert's length, then the login was rejected",
};

/// Up to TLS 1.2, the server's Finished is missing, and it had asked for no certificate.
pub(in crate::handshake) const E5: CleartextRule = CleartextRule {
    id: "E5",
    confidence: 0.75,
    observation: "login was rejected in answer to the client's Finished",
};

/// How often, and over which time, a packet is sent without an answer before its receiver counts as silent: access servers give
/// up after three or four times, and some seconds each.
const UNANSWERED: u16 = 3;
const UNANSWERED_TIME: Duration = Duration::from_secs(3);

/// The verdict, once no more will come.
pub(super) fn conclude(transcript: &Transcript, eap: &EapSeen, end: End) -> Conclusion {
    let accepted = eap.end.filter(|end| end.result == EapResult::Accept);
    let said = alert(transcript);
    if accepted.is_some() {
        // What contradicts itself is not understood.
        let is_complete = transcript.is_past_server_hello() || transcript.has_gap();
        return match said {
            None if is_complete => Conclusion::observed(Outcome::Success),
            _ => Conclusion::unknown(UnknownBecause::AmbiguousRecords),
        };
    }
    if let Some(said) = said {
        return said;
    }
    if let Some(completed) = completed(transcript, eap) {
        return completed;
    }
    if cleartext::cannot_tell(transcript) {
        return silence::unknown(transcript, end);
    }
    match eap.end {
        Some(rejected) => rejected_before(transcript, rejected),
        None => unfinished(transcript, eap, end),
    }
}

/// The alert that ended the handshake, if it can be read.
fn alert(transcript: &Transcript) -> Option<Conclusion> {
    let alert = cleartext::decisive_alert(transcript)?;
    let is_read = alert.content != AlertContent::Sealed;
    let is_fatal = alert.level() == Some(AlertLevel::Fatal) && !alert.is_close_notify();
    let is_known = !cleartext::cannot_tell(transcript) || cleartext::is_certain(transcript, &alert);
    (is_read && is_fatal && is_known).then(|| cleartext::from_alert(transcript, alert))
}

/// A handshake that was seen to complete, whatever followed.
fn completed(transcript: &Transcript, eap: &EapSeen) -> Option<Conclusion> {
    if !transcript.is_tls13() {
        let is_complete = transcript.is_complete() && transcript.is_past_server_hello();
        return is_complete.then(|| Conclusion::observed(Outcome::Success));
    }
    if transcript.has_late_gap() {
        return None;
    }
    let exchanged = inferred::exchanged(transcript);
    let has_answered = matches!(exchanged.answer, ClientAnswer::Flight(_));
    let has_continued = eap
        .continued
        .is_some_and(|at| at.had_received(exchanged.flight_end) == Some(true));
    let has_gone_on = has_answered && (exchanged.has_server_gone_on || has_continued);
    let success = || Conclusion {
        evidence: Evidence::Inferred,
        confidence: E1.confidence,
        rule: Some((E1.id, vec![E1.observation].into())),
        ..Conclusion::observed(Outcome::Success)
    };
    has_gone_on.then(success)
}

/// A login that was rejected before the handshake was seen to complete; nothing is missing.
fn rejected_before(transcript: &Transcript, rejected: EapEnd) -> Conclusion {
    let observed = |failure: FailureCause| Conclusion::failed(failure);
    if rejected.is_amid_flight || !transcript.is_past_server_hello() {
        return observed(cause::eap_rejected(transcript, rejected.is_amid_flight));
    }
    let server_rejects =
        |error_type| Conclusion::inferred(cause::inferred_refusal(Side::Server, error_type), &E3);
    if !transcript.is_tls13() {
        if let Some(refusal) = cleartext::silent_refusal(transcript, Side::Server, rejected.at) {
            return Conclusion::inferred(refusal, &E3);
        }
        let has_answered = transcript.has_message(HandshakeType::ClientKeyExchange)
            || transcript.peer(Side::Client).finished.is_some();
        let is_clients_turn = transcript.has_message(HandshakeType::ServerHelloDone)
            || transcript.peer(Side::Server).finished.is_some();
        return match (has_answered, is_clients_turn) {
            (true, _) => Conclusion::inferred(cause::eap_rejected(transcript, false), &E5),
            (false, true) => observed(cause::eap_gave_up()),
            (false, false) => observed(cause::eap_rejected(transcript, false)),
        };
    }
    let exchanged = inferred::exchanged(transcript);
    match exchanged.answer {
        ClientAnswer::Nothing => observed(cause::eap_gave_up()),
        ClientAnswer::Alert => Conclusion::inferred(cause::refusal_of_flight(Side::Client), &E4),
        ClientAnswer::Flight(certificate) if exchanged.may_have_refused => {
            let failure = match refusal_of(certificate) {
                Some(error_type) => cause::inferred_refusal(Side::Server, error_type),
                None => cause::encrypted_alert(Side::Server),
            };
            Conclusion::inferred(failure, &E2)
        }
        // What the client sent behind its Finished may be a password, and be the reason.
        ClientAnswer::Flight(certificate) if !exchanged.has_more => match refusal_of(certificate) {
            Some(error_type) => server_rejects(error_type),
            None => Conclusion::unknown(UnknownBecause::AmbiguousRecords),
        },
        ClientAnswer::Flight(_) | ClientAnswer::Unclear => {
            Conclusion::unknown(UnknownBecause::AmbiguousRecords)
        }
    }
}

/// What a server refuses that asked for a certificate and got this; `None` if it did not ask.
const fn refusal_of(certificate: ClientCertificate) -> Option<ErrorType> {
    match certificate {
        ClientCertificate::Absent => Some(ErrorType::MissingClientCert),
        ClientCertificate::Presented => Some(ErrorType::ServerRejectedClient),
        _ => None,
    }
}

/// A login of which the end was not seen.
///
/// A side that is asked again and again, and does not answer, is silent. Otherwise nothing tells a client that left from packets
/// that the capture lacks: EAP acknowledges nothing.
fn unfinished(transcript: &Transcript, eap: &EapSeen, end: End) -> Conclusion {
    // If packets were dropped, an answer may be missing.
    let unanswered = eap.unanswered.filter(|_| end != End::PacketsDropped);
    let silent = unanswered.and_then(|request| {
        let time = request.last.checked_since(request.first)?;
        let is_long = request.times >= UNANSWERED && time >= UNANSWERED_TIME;
        is_long.then(|| cause::eap_unanswered(transcript, request.owing, request.times, time))
    });
    silent.map_or_else(|| silence::unknown(transcript, end), Conclusion::failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, tls12};
    use crate::tls::{AlertDescription, ContentType};

    const ACCEPT: EapResult = EapResult::Accept;
    const REJECT: EapResult = EapResult::Reject;

    fn ended(script: Script, result: EapResult) -> String {
        script.eap_end(result, false).verdict()
    }

    /// TLS 1.3 in which the client was asked for a certificate and showed one.
    fn with_certificate() -> Script {
        full()
            .server_flight_with_request()
            .client_records(&[900, 281, 53])
    }

    /// TLS 1.3 in which it was not asked.
    fn without_certificate() -> Script {
        full().server_flight().client_records(&[53])
    }

    /// TLS 1.2 up to the server's whole flight, with a CertificateRequest.
    fn asked_12() -> Script {
        tls12()
            .message(SERVER, HandshakeType::CertificateRequest, &[0])
            .message(SERVER, HandshakeType::ServerHelloDone, &[])
    }

    /// The same with the client's flight.
    fn answered_12(certificate: &[u8]) -> Script {
        asked_12()
            .message(CLIENT, HandshakeType::Certificate, certificate)
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT)
    }

    #[test]
    fn an_accepted_login_had_a_complete_handshake_whatever_the_capture_lacks() {
        assert_eq!(ended(with_certificate(), ACCEPT), "success observed");
        assert_eq!(ended(full().gap(SERVER), ACCEPT), "success observed");
        let contradiction = without_certificate().alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(ended(contradiction, ACCEPT), "unknown observed");
        let unanswered = connection().client_hello(|_| {});
        assert_eq!(ended(unanswered, ACCEPT), "unknown observed");
    }

    #[test]
    fn what_a_side_says_in_the_clear_counts() {
        let refused = full()
            .server_flight()
            .alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(
            ended(refused, REJECT),
            "failure observed: unknown_ca by client"
        );
        let refused = answered_12(&[0, 0, 1, 0]).alert(SERVER, AlertDescription::UnknownCa);
        assert_eq!(
            ended(refused, REJECT),
            "failure observed: unknown_ca by server"
        );
    }

    #[test]
    fn e1_a_server_that_goes_on_has_completed_the_handshake() {
        let success = "success E1";
        // A ticket, the commitment message of RFC 9190, and a word of an inner method.
        for record in [74, 18, 55] {
            let accepted = || with_certificate().server_records(&[record]);
            assert_eq!(ended(accepted(), REJECT), success, "{record}");
            assert_eq!(accepted().eap().verdict(), success, "{record}");
        }
        assert_eq!(ended(with_certificate().eap_continued(), REJECT), success);
        let before = full().server_flight_with_request().eap_continued();
        let refused = before.client_records(&[900, 281, 53]);
        let verdict = "failure E3: server_rejected_client by server";
        assert_eq!(
            ended(refused, REJECT),
            verdict,
            "it went on before the flight"
        );
    }

    #[test]
    fn e2_an_alert_of_the_server_is_the_last_that_it_says() {
        let refused = || with_certificate().server_records(&[19]);
        let verdict = "failure E2: server_rejected_client by server";
        assert_eq!(ended(refused(), REJECT), verdict);
        let goes_on = refused().client_records(&[60]);
        assert_eq!(ended(goes_on, REJECT), "success E1");
        assert_eq!(refused().eap().verdict(), "unknown observed");
    }

    #[test]
    fn e3_a_rejection_in_place_of_the_servers_next_message_refuses_the_certificate() {
        let verdict = "failure E3: server_rejected_client by server";
        assert_eq!(ended(with_certificate(), REJECT), verdict);
        assert_eq!(ended(answered_12(&[0, 0, 1, 0]), REJECT), verdict);
        let missing = "failure E3: missing_client_cert by server";
        let empty = full()
            .server_flight_with_request()
            .client_records(&[25, 53]);
        assert_eq!(ended(empty, REJECT), missing);
        assert_eq!(ended(answered_12(&[0, 0, 0]), REJECT), missing);
        // A password that came with the flight may be the reason.
        let more = with_certificate().client_records(&[120]);
        assert_eq!(ended(more, REJECT), "unknown observed");
        assert_eq!(ended(without_certificate(), REJECT), "unknown observed");
        assert_eq!(
            ended(with_certificate().gap(CLIENT), REJECT),
            "unknown observed"
        );
    }

    #[test]
    fn e4_a_clients_encrypted_alert_refuses_the_servers_certificate() {
        let refused = full().server_flight().client_records(&[19]);
        let verdict = "failure E4: client_rejected_server by client";
        assert_eq!(ended(refused, REJECT), verdict);
        let other = full().server_flight().client_records(&[20]);
        assert_eq!(ended(other, REJECT), "unknown observed");
    }

    #[test]
    fn e5_up_to_tls12_the_servers_finished_is_missing() {
        let unasked = tls12()
            .message(SERVER, HandshakeType::ServerHelloDone, &[])
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT);
        let verdict = "failure E5: connection_closed by server";
        assert_eq!(ended(unasked, REJECT), verdict);
        let complete = answered_12(&[0, 0, 1, 0]).finished_12(SERVER);
        assert_eq!(ended(complete, REJECT), "success observed");
    }

    #[test]
    fn what_ended_before_says_who_had_to_speak() {
        let hello = connection().client_hello(|_| {});
        let refused = "failure observed: handshake_failure by server";
        assert_eq!(ended(hello, REJECT), refused);
        let gave_up = "failure observed: connection_closed by client";
        assert_eq!(ended(full().server_flight(), REJECT), gave_up);
        assert_eq!(ended(asked_12(), REJECT), gave_up);
        let amid = with_certificate().eap_end(REJECT, true);
        assert_eq!(
            amid.verdict(),
            "failure observed: connection_closed by server"
        );
    }

    #[test]
    fn a_silent_login_is_unknown_unless_it_was_asked_again_and_again() {
        let hello = || connection().client_hello(|_| {}).eap();
        assert_eq!(hello().then_nothing(90_000).verdict(), "unknown observed");
        let asked = |times, seconds| {
            let asked = hello().eap_unanswered(SERVER, times, seconds);
            asked.verdict_with(End::Silence, &[])
        };
        assert_eq!(asked(3, 3), "failure observed: no_server_hello by server");
        assert_eq!(asked(2, 3), "unknown observed");
        assert_eq!(asked(3, 2), "unknown observed");
        let client = full().server_flight().eap_unanswered(CLIENT, 4, 9);
        let verdict = "failure observed: handshake_timeout by client";
        assert_eq!(client.verdict_with(End::Silence, &[]), verdict);
        let dropped = client.verdict_with(End::PacketsDropped, &[]);
        assert_eq!(dropped, "unknown observed", "an answer may be missing");
    }

    #[test]
    fn a_rejected_login_after_a_complete_handshake_is_reported_with_it() {
        use crate::event::ClientCertificate;
        use crate::handshake::verdict::rejected_after::rejected_after;
        let rejected = |script: Script| {
            let unknown = ClientCertificate::Unknown;
            let found = rejected_after(&script.transcript, Outcome::Success, unknown, &[]);
            found.map(|found| (found.error_type, found.side))
        };
        let complete = || without_certificate().server_records(&[55]);
        let expected = Some((ErrorType::AccessDenied, SERVER));
        assert_eq!(rejected(complete().eap_end(REJECT, false)), expected);
        assert_eq!(rejected(complete().eap_end(ACCEPT, false)), None);
        assert_eq!(
            rejected(complete().sealed(SERVER, ContentType::Alert)),
            None
        );
    }
}
