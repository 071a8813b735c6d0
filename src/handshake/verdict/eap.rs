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
use crate::time::Timestamp;
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

/// How long a login is silent before that is its end: FreeRADIUS and hostapd forget a login that was silent for 60 s.
const SILENCE: Duration = Duration::from_secs(60);
/// How often, and over which time, a request is sent without an answer before the server counts as silent: access servers
/// give up after three or four times, and some seconds each.
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
        rule: Some((E1.id, vec![E1.observation])),
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
        ClientAnswer::Alert => Conclusion::inferred(
            cause::inferred_refusal(Side::Client, ErrorType::ClientRejectedServer),
            &E4,
        ),
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
fn unfinished(transcript: &Transcript, eap: &EapSeen, end: End) -> Conclusion {
    if let Some(unanswered) = eap.unanswered {
        let time = unanswered.last.checked_since(unanswered.first);
        return match time.filter(|time| *time >= UNANSWERED_TIME) {
            Some(time) if unanswered.times >= UNANSWERED => {
                Conclusion::failed(cause::eap_unanswered(transcript, unanswered.times, time))
            }
            _ => silence::unknown(transcript, end),
        };
    }
    // The server has answered, and was not asked again: its answer arrived, and the client fell silent.
    let last: Timestamp = transcript.last().time;
    let waited = transcript
        .observed_until()
        .and_then(|until| until.checked_since(last));
    let is_silent = end == End::Silence || waited.is_some_and(|waited| waited >= SILENCE);
    let is_hidden = matches!(
        inferred_answer(transcript),
        Some(ClientAnswer::Flight(_) | ClientAnswer::Unclear | ClientAnswer::Alert)
    );
    if is_silent && !is_hidden && matches!(end, End::Silence | End::CaptureEnd) {
        return Conclusion::failed(cause::silence(transcript, Side::Client, waited, None));
    }
    silence::unknown(transcript, end)
}

fn inferred_answer(transcript: &Transcript) -> Option<ClientAnswer> {
    let is_tls13 = transcript.is_tls13();
    is_tls13.then(|| inferred::exchanged(transcript).answer)
}
