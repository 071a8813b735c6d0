//! What was spoken before TLS, as part of the event.

use crate::dialogue::{Dialogue, Refusal};
use crate::error_type::ErrorType;
use crate::event::{Evidence, Handshake, HandshakeError, HandshakeReport, Outcome, UnknownBecause};
use crate::flow::Side;

/// Adds what a dialogue has shown to the report on the handshake that followed it.
pub(crate) fn add_dialogue(report: &mut HandshakeReport, dialogue: &mut Dialogue) {
    let event = &mut report.event;
    event.starttls = dialogue.starttls();
    event.proxy = dialogue.proxy().cloned().map(Box::new);
    // Without the ClientHello, the event begins later.
    let start = dialogue
        .start()
        .filter(|_| report.identity.client_random.is_some());
    event.timing.starttls = start.and_then(|start| event.time.checked_since(start));
    if let Some(refusal) = dialogue.refusal() {
        by_refusal(event, &refusal);
    } else if dialogue.is_incomplete() {
        without_agreement(report);
    }
}

/// A ClientHello behind words of the client to which no consent is in view, and that is answered in plain text: the server may
/// have refused TLS in packets that the capture lacks.
fn without_agreement(report: &mut HandshakeReport) {
    let event = &mut report.event;
    let error = event.error.as_ref();
    if error.is_none_or(|error| error.error_type != ErrorType::NotTls) {
        return;
    }
    event.retract(UnknownBecause::UnreadableRecords);
    report.packets = None; // they are kept for failures
}

/// A ClientHello that follows a refusal: the client did not read the answer, and TLS never had a chance.
///
/// Makes the refusal the cause of the failure, unless the server answered in TLS.
fn by_refusal(event: &mut Handshake, refusal: &Refusal) {
    let is_answered = event.tls.version.is_some()
        || event.tls.hello_retry_request.is_some()
        || event
            .alerts
            .iter()
            .any(|alert| alert.sender == Side::Server);
    if is_answered {
        return;
    }
    event.outcome = Outcome::Failure;
    event.evidence = Evidence::Observed;
    event.confidence = Some(1.0);
    event.inference = None;
    event.unknown_because = None;
    let message = format!("{refusal}; the client began TLS nevertheless");
    let error = HandshakeError::new(ErrorType::StartTlsRefused, Some(Side::Server), message);
    event.error = Some(error);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::StartTls;
    use crate::flow::{Direction, Endpoint};
    use crate::time::Timestamp;
    use crate::tls::ProtocolVersion;

    fn after_refusal(change: impl FnOnce(&mut Handshake)) -> Handshake {
        let end = Endpoint::new([192, 0, 2, 1].into(), 25);
        let mut event = Handshake::new(Timestamp::default(), end, end);
        change(&mut event);
        let refusal = Refusal {
            starttls: Some(StartTls::Smtp),
            client: Direction::Forward,
            request: "STARTTLS".into(),
            answer: "454 no".into(),
            is_downgraded: false,
        };
        by_refusal(&mut event, &refusal);
        event
    }

    #[test]
    fn a_hello_that_nobody_answers_in_tls_was_refused_before() {
        let event = after_refusal(|_| {});
        assert_eq!(event.outcome, Outcome::Failure);
        let error = event.error.unwrap();
        assert_eq!(error.error_type, ErrorType::StartTlsRefused);
        assert!(error.message.contains("454 no"), "{}", error.message);
    }

    #[test]
    fn a_server_that_answers_in_tls_has_not_refused() {
        let event = after_refusal(|event| event.tls.version = Some(ProtocolVersion::TLSv1_2));
        assert_eq!(event.outcome, Outcome::Unknown);
    }

    /// The outcome of a handshake whose ClientHello follows these lines, each of the side that it names, and was answered in
    /// plain text.
    fn answered_in_plain_text(lines: &[(Direction, &[u8])]) -> Outcome {
        let end = Endpoint::new([192, 0, 2, 1].into(), 25);
        let mut event = Handshake::new(Timestamp::default(), end, end);
        event.outcome = Outcome::Failure;
        let message = "not TLS".to_owned();
        event.error = Some(HandshakeError::new(
            ErrorType::NotTls,
            Some(Side::Server),
            message,
        ));
        let mut report = HandshakeReport::new(event);
        let mut dialogue = Dialogue::default();
        for (sender, line) in lines {
            dialogue.take(*sender, line, Timestamp::default());
        }
        add_dialogue(&mut report, &mut dialogue);
        report.event.outcome
    }

    #[test]
    fn a_plain_answer_is_a_failure_only_after_consent_or_without_a_dialogue() {
        const UP: Direction = Direction::Forward;
        const DOWN: Direction = Direction::Reverse;
        let greeting = (DOWN, &b"220 mail ESMTP\r\n"[..]);
        let request = (UP, &b"STARTTLS\r\n"[..]);
        let consent = (DOWN, &b"220 go ahead\r\n"[..]);
        assert_eq!(answered_in_plain_text(&[]), Outcome::Failure);
        let agreed = [greeting, request, consent];
        assert_eq!(answered_in_plain_text(&agreed), Outcome::Failure);
        assert_eq!(answered_in_plain_text(&agreed[..2]), Outcome::Unknown);
        let greeted = answered_in_plain_text(&agreed[..1]);
        assert_eq!(greeted, Outcome::Failure, "the client asked for nothing");
    }
}
