//! What is concluded from a transcript, once no more will come.
//!
//! All modules here only read. Which of them decides depends on what is known:
//!
//! | module | when | rests on |
//! | --- | --- | --- |
//! | [`cleartext`] | up to TLS 1.2, and without a ServerHello | messages in the clear |
//! | [`decrypted`] | TLS 1.3 with keys | opened records |
//! | [`inferred`] | TLS 1.3 otherwise | the shape of encrypted records |
//! | [`dtls`] | DTLS, where it differs | repeated flights, epochs |
//! | [`undelivered`] | over UDP, where nothing else decides | ICMP errors |
//! | [`eap`] | inside EAP, of any version | how the login ended, and all of the above |
//! | [`quic`] | QUIC | closes, opened packets, and the kinds, lengths and order of the others |
//!
//! [`rejected_after`] reads what followed a handshake that completed.

mod cleartext;
mod conclusion;
mod decrypted;
pub(super) mod dtls;
mod eap;
pub(super) mod inferred;
#[cfg(test)]
mod misjudged;
pub(super) mod quic;
pub(super) mod rejected_after;
mod silence;
mod undelivered;

use crate::event::{Evidence, Finding, Outcome, UnknownBecause};
use crate::flow::Side;
use crate::framing::Close;

use super::cause::{self, FailureCause};
use super::end::End;
use super::explain;
use super::transcript::{Observed, Transcript};

pub(super) use cleartext::T3;
pub(super) use conclusion::Conclusion;
use inferred::{Claim, Inferred, Reason};
pub(super) use inferred::{SENDS_NO_TICKETS, Shape, rests_on_missing_tickets};

/// What the flights of a TLS 1.3 handshake show: by their records' lengths, corrected by what keys open.
pub(super) fn shape(transcript: &Transcript) -> Option<Shape> {
    if let Some(quic) = transcript.quic() {
        return Some(quic::shape(transcript, quic));
    }
    if !transcript.is_tls13() {
        return None;
    }
    let mut shape = if transcript.is_dtls() {
        dtls::shape(transcript)
    } else {
        inferred::shape(transcript)
    };
    if let Some(decrypted) = transcript.decrypted() {
        decrypted::correct(&mut shape, transcript, decrypted);
    }
    Some(shape)
}

/// The verdict on a handshake. `early` is the rule that decided while the connection was open, `shape` what [`shape`]
/// gave, and `findings` are those on the certificates shown.
pub(super) fn conclude(
    transcript: &Transcript,
    early: Option<&Inferred>,
    shape: Option<&Shape>,
    end: End,
    findings: &[Finding],
) -> Conclusion {
    if let Some(eap) = transcript.eap() {
        return eap::conclude(transcript, eap, end);
    }
    if let Some(quic) = transcript.quic() {
        return quic::conclude(transcript, quic, end);
    }
    if transcript.is_dtls()
        && let Some(conclusion) = undelivered::given_up(transcript)
    {
        return conclusion;
    }
    if transcript.is_contradictory() {
        return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
    }
    if let Some(conclusion) = silence::unseen(transcript) {
        return conclusion;
    }
    let Some(shape) = shape else {
        return cleartext::conclude(transcript, end, findings);
    };
    if let Some(conclusion) = left_before_hello(transcript) {
        return conclusion;
    }
    if let Some(conclusion) = decrypted::conclude(transcript) {
        return conclusion;
    }
    if transcript.is_dtls() {
        return dtls::conclude(transcript, end);
    }
    if let Some(conclusion) = gave_up_on_server(transcript, shape) {
        return conclusion;
    }
    let early = early
        .filter(|early| still_holds(early, transcript))
        .copied();
    match early.or_else(|| inferred::infer(transcript, Some(end))) {
        Some(inferred) => from_inferred(transcript, inferred, shape, findings, end),
        None => without_rule(transcript, end, shape),
    }
}

/// Whether a client left as those do that refuse a certificate without a word, and what it refused is not known yet.
///
/// In TLS 1.3, a rule says so at once: it needs no certificate to be visible. `None` if that is not known.
pub(super) fn left_at_certificate(transcript: &Transcript) -> Option<bool> {
    if transcript.is_tls13() {
        return Some(false);
    }
    cleartext::left_at_certificate(transcript)
}

/// The verdict on a client that closed before the ServerHello reached it: nothing in the server's flight is the reason.
fn left_before_hello(transcript: &Transcript) -> Option<Conclusion> {
    let (side, close, at) = transcript.first_close()?;
    let mut observations = transcript.observations().iter();
    let has_answered = observations.any(|seen| seen.is_record_of(Side::Client));
    if side == Side::Server || has_answered || transcript.had_received_hello(at) != Some(false) {
        return None;
    }
    if transcript.may_lack_close() {
        return Some(Conclusion::unknown(UnknownBecause::AmbiguousClose));
    }
    let closed = || Conclusion::failed(cause::closed(transcript, side, close));
    Some(silence::before_close(transcript, side, at, None).unwrap_or_else(closed))
}

/// The verdict on a client that waited in vain for the rest of the server's flight, and closed without a word: it is the
/// server that was to speak, or the network that lost what it said.
fn gave_up_on_server(transcript: &Transcript, shape: &Shape) -> Option<Conclusion> {
    let (closer, _, at) = transcript.first_close()?;
    let mut observations = transcript.observations().iter();
    let has_answered = observations.any(|seen| seen.side == Side::Client && !seen.is_close());
    if closer == Side::Server || has_answered || cleartext::cannot_tell(transcript) {
        return None;
    }
    silence::before_close(transcript, closer, at, Some(shape))
}

/// Whether what a rule decided while the connection was open holds now that its gaps are known.
///
/// An alert in the clear remains said, and a server that went on had completed the
/// handshake. A refusal read from lengths may lie in what is missing.
fn still_holds(early: &Inferred, transcript: &Transcript) -> bool {
    let is_said = matches!(early.rule.claim, Claim::Failure(_, Reason::Alert));
    !transcript.has_late_gap() || early.is_success() || is_said
}

/// TLS 1.3, and no rule fits: silence means something only where the client did not even begin its flight.
fn without_rule(transcript: &Transcript, end: End, shape: &Shape) -> Conclusion {
    if cleartext::cannot_tell(transcript) {
        return silence::unknown(transcript, end);
    }
    match transcript.first_close() {
        None => silence::conclude(transcript, end, Some(shape)),
        Some((closer, _, at)) => silence::before_close(transcript, closer, at, Some(shape))
            .unwrap_or_else(|| silence::unknown(transcript, end)),
    }
}

fn from_inferred(
    transcript: &Transcript,
    inferred: Inferred,
    shape: &Shape,
    findings: &[Finding],
    end: End,
) -> Conclusion {
    let outcome = inferred.outcome();
    let failure = match inferred.rule.claim {
        Claim::Failure(side, reason) => {
            if let Some(said) = said_in_the_clear(transcript, side, reason) {
                return Conclusion::failed(said);
            }
            Some(failure_for(transcript, side, reason, shape, findings))
        }
        Claim::Success | Claim::Unknown => None,
    };
    let rule = inferred.rule;
    Conclusion {
        outcome,
        evidence: Evidence::Inferred,
        confidence: rule.confidence,
        rule: Some((rule.id, rule.observations.into())),
        failure,
        unknown_because: (outcome == Outcome::Unknown)
            .then(|| silence::unknown_because(transcript, end)),
    }
}

/// The alert in the clear that a rule rests on: then the failure is observed, not inferred.
fn said_in_the_clear(transcript: &Transcript, side: Side, reason: Reason) -> Option<FailureCause> {
    if !matches!(reason, Reason::Alert | Reason::Negotiation) {
        return None;
    }
    let mut observations = transcript.observations().iter();
    let description = observations.find_map(|observation| match observation.what {
        Observed::Alert(description) if observation.side == side => Some(description),
        _ => None,
    })?;
    Some(cause::from_alert(transcript, side, description))
}

/// Whether a side may have received its peer's flight when it closed.
fn had_received_flight(transcript: &Transcript, side: Side) -> bool {
    let closed = transcript.peer(side).closing.first();
    closed.is_none_or(|(_, at)| transcript.had_received_flight(side, at) != Some(false))
}

/// The failure that the reason in a rule stands for.
fn failure_for(
    transcript: &Transcript,
    side: Side,
    reason: Reason,
    shape: &Shape,
    findings: &[Finding],
) -> FailureCause {
    let refusal = || match side {
        Side::Client => cause::inferred_refusal_of_server(shape.client_had_certificate),
        Side::Server => cause::inferred_refusal_of_client(shape.client_certificate),
    };
    match reason {
        Reason::Certificate => refusal(),
        Reason::Negotiation => cause::negotiation(side),
        // With keys, the certificate that was the last thing seen may be a reason.
        Reason::Closed
            if explain::reason(findings, side.peer()).is_some()
                && had_received_flight(transcript, side) =>
        {
            refusal()
        }
        Reason::Closed => {
            let close = transcript.peer(side).closing.first();
            let how = close.map_or(Close::Fin, |(how, _)| how);
            cause::closed(transcript, side, how)
        }
        Reason::Alert | Reason::Other => cause::encrypted_alert(side),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_type::ErrorType;
    use crate::handshake::testing::{
        CLIENT, SERVER, connection, finding, full, one_sided, resuming,
    };
    use crate::tls::AlertDescription;

    #[test]
    fn what_was_decided_before_a_gap_holds_unless_it_rests_on_lengths_of_a_refusal() {
        let accepted = full().server_flight().client_records(&[53]);
        let accepted = accepted.server_records(&[250]).gap(SERVER);
        assert_eq!(accepted.verdict(), "success P5");
        let said = full()
            .server_flight()
            .alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(
            said.gap(SERVER).verdict(),
            "failure observed: unknown_ca by client"
        );
        let refused = || full().server_flight().client_records(&[19]);
        assert_eq!(
            refused().verdict(),
            "failure C3: client_rejected_server by client"
        );
        assert_eq!(refused().gap(SERVER).verdict(), "unknown observed");
    }

    #[test]
    fn silence_without_a_rule_means_something_only_before_the_clients_flight() {
        let silence =
            |script: crate::handshake::testing::Script| script.verdict_with(End::Silence, &[]);
        assert_eq!(
            silence(full().server_flight()),
            "failure observed: handshake_timeout by client"
        );
        let begun = full().server_flight().client_records(&[100]);
        assert_eq!(silence(begun), "unknown observed");
        assert_eq!(silence(full().gap(SERVER)), "unknown observed");
        let one_sided = one_sided().client_hello(|_| {}).server_hello_13(|_| {});
        assert_eq!(silence(one_sided), "unknown observed");
        assert_eq!(full().server_flight().verdict(), "unknown observed");
    }

    #[test]
    fn what_a_client_had_sent_before_is_not_known_without_its_hello() {
        let unseen = || connection().server_hello_13(|_| {}).server_flight();
        assert_eq!(unseen().rst(CLIENT).verdict(), "unknown observed");
        assert_eq!(unseen().rst(SERVER).verdict(), "unknown observed");
        let refused = unseen().client_records(&[19]);
        assert_eq!(
            refused.verdict(),
            "failure C3: client_rejected_server by client"
        );
    }

    #[test]
    fn a_refusal_names_what_the_client_showed() {
        let refused = |flight: &[u16]| {
            let begun = full().server_flight_with_request().client_records(flight);
            begun
                .server_records(&[19])
                .fin(SERVER)
                .fin(CLIENT)
                .verdict()
        };
        assert_eq!(
            refused(&[25, 53]),
            "failure P1d: missing_client_cert by server"
        );
        assert_eq!(
            refused(&[900, 281, 53]),
            "failure P1d: server_rejected_client by server"
        );
    }

    #[test]
    fn a_client_that_left_before_the_server_hello_reached_it_refused_nothing() {
        let expired = [finding(SERVER, ErrorType::CertExpired)];
        let left = |unreceived| {
            full()
                .server_flight()
                .before_receiving(unreceived)
                .fin(CLIENT)
        };
        let verdict = |unreceived| left(unreceived).verdict_with(End::CaptureEnd, &expired);
        assert_eq!(verdict(5), "failure observed: connection_closed by client");
        assert_eq!(verdict(2), "failure C4: connection_closed by client");
        assert_eq!(verdict(0), "failure C4f: client_rejected_server by client");
    }

    #[test]
    fn a_client_that_closes_refused_the_certificate_if_a_known_one_is_flawed() {
        let closed = full().server_flight().wait(200).fin(CLIENT);
        assert_eq!(closed.verdict(), "failure C4: connection_closed by client");
        let expired = [finding(SERVER, ErrorType::CertExpired)];
        assert_eq!(
            closed.verdict_with(End::CaptureEnd, &expired),
            "failure C4: client_rejected_server by client"
        );
    }

    #[test]
    fn reasons_without_a_word_have_a_class_of_their_own() {
        let negotiation = full().server_records(&[19]).fin(SERVER);
        assert_eq!(
            negotiation.verdict(),
            "failure S2: handshake_failure by server"
        );
        let other = resuming().server_records(&[23, 53]).client_records(&[19]);
        assert_eq!(other.verdict(), "failure C3p: other by client");
        let reset = full().server_flight().rst(SERVER);
        assert_eq!(reset.verdict(), "failure S3: connection_reset by server");
    }
}
