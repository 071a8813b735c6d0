//! Verdicts up to TLS 1.2, and of any handshake without a ServerHello: all that counts is in the clear.

use crate::event::{ErrorType, Evidence, Finding, Outcome, Side};
use crate::tls::{AlertDescription, AlertLevel, HandshakeType};

use crate::framing::tls::{Close, End};
use crate::handshake::cause::{self, Failure};
use crate::handshake::transcript::{AlertSeen, Tracker};

/// How a handshake ended, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conclusion {
    pub(crate) outcome: Outcome,
    pub(crate) evidence: Evidence,
    pub(crate) confidence: f64,
    pub(crate) rule: Option<(&'static str, Vec<&'static str>)>,
    pub(crate) failure: Option<Failure>,
}

impl Conclusion {
    pub(crate) const fn observed(outcome: Outcome) -> Self {
        Self {
            outcome,
            evidence: Evidence::Observed,
            confidence: 1.0,
            rule: None,
            failure: None,
        }
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::observed(Outcome::Failure)
        }
    }

    fn inferred(
        failure: Failure,
        rule: &'static str,
        confidence: f64,
        observation: &'static str,
    ) -> Self {
        Self {
            evidence: Evidence::Inferred,
            confidence,
            rule: Some((rule, vec![observation])),
            ..Self::failed(failure)
        }
    }
}

/// Encrypted records among which alerts are looked for where there are keys: those at the end of a short connection are.
const MAX_KEYED_RECORDS: u32 = 32;

/// Whether there are keys for the alerts that may end a connection soon.
pub(crate) fn expects_alerts(tracker: &Tracker) -> bool {
    (1..MAX_KEYED_RECORDS).contains(&tracker.keyed_records)
}

/// Whether the handshake has completed and application data followed: without keys, nothing more is to be learned.
pub(crate) fn is_in_use(tracker: &Tracker) -> bool {
    tracker.is_complete()
        && tracker
            .peers
            .iter()
            .any(|peer| peer.application_data.is_some())
}

/// The verdict, once no more will come.
pub(crate) fn conclude(tracker: &Tracker, end: End, findings: &[Finding]) -> Conclusion {
    if tracker.is_complete() {
        return Conclusion::observed(Outcome::Success);
    }
    if answers_in_plain_text(tracker) {
        return Conclusion::failed(cause::not_tls());
    }
    let alert = decisive_alert(tracker);
    if cannot_tell(tracker) && alert.is_none_or(|alert| alert.content.is_none()) {
        return Conclusion::observed(Outcome::Unknown);
    }
    if let Some(alert) = alert {
        return from_alert(tracker, alert);
    }
    match tracker.first_close() {
        Some((side, close, _)) => from_close(tracker, side, close, findings),
        None if end == End::Silence => Conclusion::failed(cause::silence(tracker)),
        None => Conclusion::observed(Outcome::Unknown),
    }
}

/// Whether a ClientHello met a server that does not speak TLS.
///
/// Plain text from the server before the hello counts, unless the client had
/// spoken plain text, too: then they may have agreed to begin TLS (STARTTLS).
fn answers_in_plain_text(tracker: &Tracker) -> bool {
    let server = tracker.peer(Side::Server);
    let has_banner =
        server.was_plain && !tracker.peer(Side::Client).was_plain && !server.has_answered;
    tracker.server_hello.is_none() && (server.is_not_tls || has_banner)
}

/// Whether the capture lacks what a verdict from absence needs: a direction, bytes, or the first hello.
pub(crate) fn cannot_tell(tracker: &Tracker) -> bool {
    let has_lost = tracker
        .peers
        .iter()
        .any(|peer| !peer.is_in_view || peer.gap_bytes > 0);
    has_lost
        || tracker.is_truncated
        || tracker.client_hello.is_none()
        || tracker.peers.iter().any(|peer| peer.is_not_tls)
}

/// The alert that ended the handshake: the first fatal one, or a warning that its sender's close followed.
fn decisive_alert(tracker: &Tracker) -> Option<AlertSeen> {
    let in_time = || {
        tracker
            .alerts
            .iter()
            .filter(|alert| !alert.is_late && !is_reaction(tracker, alert))
    };
    let is_fatal = |alert: &&AlertSeen| match alert.content {
        Some((level, _)) => level != AlertLevel::Warning,
        None => true,
    };
    let is_last_word = |alert: &&AlertSeen| {
        let (sender, _, _) = tracker.first_close()?;
        (tracker.side(alert.sender) == sender).then_some(())
    };
    in_time()
        .find(is_fatal)
        .or_else(|| in_time().rfind(|alert| is_last_word(alert).is_some()))
        .copied()
}

/// Whether an alert came after its receiver had closed: then that close came first, and the alert is only the answer.
pub(crate) fn is_reaction(tracker: &Tracker, alert: &AlertSeen) -> bool {
    let close = tracker.peers[alert.sender.flip()].close;
    close.is_some_and(|(_, at)| (at.time, at.packet) < (alert.at.time, alert.at.packet))
}

fn from_alert(tracker: &Tracker, alert: AlertSeen) -> Conclusion {
    let side = tracker.side(alert.sender);
    match alert.content {
        // A close_notify amid the handshake is said on purpose: whoever says it has seen enough.
        Some((_, AlertDescription::CloseNotify)) => match refusal(tracker, side) {
            Some(failure) => Conclusion::inferred(failure, "T3", 0.8, CLOSED_AFTER_CERTIFICATE),
            None => Conclusion::failed(cause::closed(tracker, side, Close::Fin)),
        },
        Some((_, description)) => Conclusion {
            evidence: if alert.is_encrypted {
                Evidence::Decrypted
            } else {
                Evidence::Observed
            },
            ..Conclusion::failed(cause::from_alert(tracker, side, description))
        },
        None => Conclusion::inferred(
            refusal(tracker, side).unwrap_or_else(|| cause::encrypted_alert(side)),
            "T2",
            0.95,
            "an encrypted alert came before both Finished",
        ),
    }
}

const CLOSED_AFTER_CERTIFICATE: &str = "closed without an alert after the peer's certificate";

fn from_close(tracker: &Tracker, side: Side, close: Close, findings: &[Finding]) -> Conclusion {
    // Scanners look at a server's certificate and leave: only a flawed one is a reason to think that it was refused.
    let has_reason = side == Side::Server || cause::explain(findings, side.peer()).is_some();
    match refusal(tracker, side).filter(|_| has_reason) {
        Some(failure) => Conclusion::inferred(failure, "T3", 0.8, CLOSED_AFTER_CERTIFICATE),
        None => Conclusion::failed(cause::closed(tracker, side, close)),
    }
}

/// What a side refuses that gives up without saying why, where its peer's certificate was the last thing it looked at.
fn refusal(tracker: &Tracker, side: Side) -> Option<Failure> {
    let has_answered = tracker.has_message(HandshakeType::ClientKeyExchange);
    match side {
        Side::Server if tracker.certificate_request.is_some() && has_answered => {
            let is_empty = tracker
                .peer(Side::Client)
                .certificate
                .as_ref()
                .is_none_or(|body| body.len() <= 3);
            let error_type = if is_empty {
                ErrorType::MissingClientCert
            } else {
                ErrorType::ServerRejectedClient
            };
            Some(cause::inferred_refusal(side, error_type))
        }
        Side::Client if tracker.has_message(HandshakeType::ServerHelloDone) && !has_answered => {
            Some(cause::inferred_refusal(
                side,
                ErrorType::ClientRejectedServer,
            ))
        }
        _ => None,
    }
}
