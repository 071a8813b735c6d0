//! Verdicts up to TLS 1.2, and of any handshake without a ServerHello: all that counts is in the clear.
//!
//! Up to TLS 1.2 every message before Finished is readable, and so is the type of
//! every record after it. What is inferred all the same has a rule here: [`T2`], [`T3`], [`T4`], and [`T5`] for any
//! version.

use std::time::Duration;

use crate::error_type::ErrorType;
use crate::event::{Evidence, Finding, Outcome, UnknownBecause};
use crate::flow::Side;
use crate::framing::Close;
use crate::handshake::cause::{self, FailureCause};
use crate::handshake::end::End;
use crate::handshake::explain;
use crate::handshake::facts;
use crate::handshake::offer;
use crate::handshake::transcript::{
    AlertContent, AlertSeen, Renegotiations, Transcript, is_empty_list,
};
use crate::tls::{AlertDescription, AlertLevel, HandshakeType, ProtocolVersion};
use crate::transport::tcp::{Arrival, Outstanding};

use super::conclusion::{CleartextRule, Conclusion};
use super::{dtls, inferred, silence};

/// NSS clients judge the server's certificate when they have sent their Finished. No case in the labs.
pub(super) const T2: CleartextRule = CleartextRule {
    id: "T2",
    confidence: 0.75,
    observation: "an encrypted alert came before both Finished",
};

/// It needs a certificate that was the last thing that the side looked at, and of sides that close without a word, something
/// about it that they may refuse: a flaw, the lack of it, or an issuer that the server had not asked for.
pub(in crate::handshake) const T3: CleartextRule = CleartextRule {
    id: "T3",
    confidence: 0.97,
    observation: "closed without an alert after the peer's certificate",
};

/// Mostly a server that asks for a client certificate when it knows which page is wanted. No case in the labs.
pub(super) const T4: CleartextRule = CleartextRule {
    id: "T4",
    confidence: 0.75,
    observation: "a renegotiation was begun, and ended by an alert or a close before both Finished",
};

/// A connection that nothing more comes on may have been reset: nobody acknowledges a reset or sends it again, so that a capture that
/// lacks one packet lacks the end. Nor does it show more if it keeps the first packets of each connection only. How often that is the
/// case was not measured: the labs have no case. Two silent servers are known in other captures; of 664 connections of the labs from
/// which packets were taken, so that an earlier form of this rule applied, none had failed so.
pub(super) const T5: CleartextRule = CleartextRule {
    id: "T5",
    confidence: 0.5,
    observation: "the server did not answer the ClientHello, and nothing shows that the connection was still open",
};

/// The verdict, once no more will come.
pub(super) fn conclude(transcript: &Transcript, end: End, findings: &[Finding]) -> Conclusion {
    if transcript.is_complete() {
        if transcript.is_dtls() && dtls::is_completion_doubtful(transcript) {
            return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
        }
        return match alert_between_finished(transcript) {
            // Over UDP, an alert that overtakes Finished is a goodbye.
            Some(alert) if transcript.is_dtls() && alert.description().is_none() => {
                Conclusion::unknown(UnknownBecause::AmbiguousRecords)
            }
            Some(alert) => from_alert(transcript, alert),
            None if may_hide_alert(transcript) => Conclusion::unknown(UnknownBecause::Gap),
            // Without one of these, what looks like Finished may be anything: the two hellos after a HelloRetryRequest, say.
            None if transcript.is_past_server_hello() => {
                renegotiation(transcript).unwrap_or_else(|| Conclusion::observed(Outcome::Success))
            }
            None => silence::unknown(transcript, end),
        };
    }
    if let Some(is_banner) = plain_text_of_server(transcript) {
        return Conclusion::failed(cause::not_tls(transcript, is_banner));
    }
    if transcript.is_dtls() && dtls::are_alerts_doubtful(transcript) {
        return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
    }
    let alert = decisive_alert(transcript);
    let is_certain =
        |alert: AlertSeen| is_certain(transcript, &alert) && !may_follow_both(transcript, &alert);
    if cannot_tell(transcript) && !alert.is_some_and(is_certain) {
        return silence::unknown(transcript, end);
    }
    match alert {
        // The peer's Finished may be in a datagram that the capture lacks: then this is a goodbye.
        Some(alert) if transcript.is_dtls() && alert.content == AlertContent::Sealed => {
            return silence::unknown(transcript, end);
        }
        // Nobody refuses what has not come: the bytes may be forged.
        Some(alert) if is_premature(transcript, &alert) && !cannot_tell(transcript) => {
            return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
        }
        Some(alert) => return from_alert(transcript, alert),
        None if transcript.is_dtls() => return dtls::silence(transcript, end),
        None => {}
    }
    match transcript.first_close() {
        Some((Side::Client, ..)) if may_yet_complete(transcript) => {
            silence::unknown(transcript, end)
        }
        Some((side, close, at)) => silence::before_close(transcript, side, at, None)
            .unwrap_or_else(|| from_close(transcript, side, (close, at), findings)),
        None => silence::conclude(transcript, end, None),
    }
}

/// Whether the client closed in order when it had sent its Finished, and the capture does not show what the server did then:
/// that may send its own Finished to a client that has closed, and clients that only ask whether a server is there leave so.
fn may_yet_complete(transcript: &Transcript) -> bool {
    let [client, server] = Side::BOTH.map(|side| transcript.peer(side));
    let is_in_order = matches!(client.closing.first(), Some((Close::Fin, _)));
    is_in_order
        && client.finished.is_some()
        && server.finished.is_none()
        && server.closing.first().is_none()
}

/// The encrypted alert of a side that had sent its Finished and not yet received its peer's: it gave up, although that Finished
/// crossed the alert on the way. NSS clients judge the server's certificate only then.
fn alert_between_finished(transcript: &Transcript) -> Option<AlertSeen> {
    let mut alerts = transcript.alerts().iter();
    let found = alerts.find(|alert| {
        let side = transcript.side(alert.sender);
        let [own, peer] = [side, side.peer()].map(|side| transcript.peer(side));
        let (Some(_), Some(received)) = (own.finished, peer.finished) else {
            return false;
        };
        // Times say it only where the clocks of both directions agree; acknowledgments always do.
        let had_received = transcript.had_received_finished(side, alert.at);
        let is_before =
            had_received.map_or(alert.at.time <= received, |had_received| !had_received);
        let is_after_own = own.finished_end <= alert.at.end;
        !alert.is_late && is_protected(transcript, alert) && is_after_own && is_before
    });
    found.copied()
}

/// Whether the capture lacks the last bytes of the side that closed first, and the connection was not used: those bytes may
/// be the alert of a side that had not received its peer's Finished.
fn may_hide_alert(transcript: &Transcript) -> bool {
    let closed_first = transcript.first_close().map(|(side, ..)| side);
    let is_unused = transcript.records_in_use() == 0;
    is_unused && closed_first.is_some_and(|side| transcript.peer(side).ends_with_gap)
}

/// A handshake that completed, and a renegotiation that did not: `None` if that does not change the verdict.
fn renegotiation(transcript: &Transcript) -> Option<Conclusion> {
    let seen = transcript.renegotiations()?;
    let closed_first = transcript.first_close().map(|(side, ..)| side);
    let ended_by = seen.ended_by(closed_first);
    if transcript.has_gap() {
        // Its Finished, or the alert that ended it, may be missing.
        let is_open = ended_by.is_some() || seen.is_under_way();
        return is_open.then(|| Conclusion::unknown(UnknownBecause::Gap));
    }
    match ended_by {
        Some(side) => Some(failed_renegotiation(transcript, seen, side)),
        None if closed_first.is_none() && seen.is_under_way() => {
            Some(Conclusion::unknown(UnknownBecause::CaptureEnd))
        }
        None => None,
    }
}

/// T4. A renegotiation that one side ended: the connection failed for its purpose, which mostly was to get a client
/// certificate. What the alert says is encrypted.
fn failed_renegotiation(transcript: &Transcript, seen: &Renegotiations, side: Side) -> Conclusion {
    let sender = transcript.direction(side);
    let mut alerts = transcript.alerts().iter();
    let opened = alerts.find_map(|alert| match alert.content {
        AlertContent::Opened(_, description) if alert.sender == sender => Some(description),
        _ => None,
    });
    let suite = transcript
        .server_hello()
        .and_then(|hello| hello.cipher_suite);
    let certificate = seen.client_certificate(suite).unwrap_or_default();
    let inferred = cause::renegotiation(side, certificate);
    match opened.filter(|description| *description != AlertDescription::CloseNotify) {
        Some(description) => Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::failed(cause::renegotiation_alert(inferred, description))
        },
        None => Conclusion::inferred(inferred, &T4),
    }
}

/// Whether a ClientHello met a server that does not speak TLS: then, whether that had spoken before, and not after the hello.
///
/// Plain text from the server before the hello counts, unless the client had
/// sent plain text, too: then they may have agreed to begin TLS (STARTTLS).
///
/// Bytes behind a gap may be anything of the server's, and are no answer to the hello.
///
/// If the capture begins amid something that the client sent before its hello, both may speak a protocol that has the messages of
/// TLS in packets of its own, as OpenVPN does.
///
/// A server that had closed when the client sent its hello may expect TLS after its greeting, as NATS does, and have waited in vain.
fn plain_text_of_server(transcript: &Transcript) -> Option<bool> {
    let server = transcript.peer(Side::Server);
    // A server that has sent an alert speaks TLS, and may then say the same in plain text (ProFTPD: "421 TLS handshake failed").
    let is_of_server = |alert: &AlertSeen| transcript.side(alert.sender) == Side::Server;
    let mut alerts = transcript.alerts().iter();
    if transcript.peer(Side::Client).was_amid_other || alerts.any(is_of_server) {
        return None;
    }
    let had_closed = transcript.had_received_fin(Side::Client, transcript.start()) == Some(true);
    let has_banner = server.was_plain
        && !transcript.peer(Side::Client).was_plain
        && !server.has_answered
        && !had_closed;
    let is_answer = server.is_not_tls && server.gap_bytes == 0;
    let is_plain = transcript.server_hello().is_none() && (is_answer || has_banner);
    is_plain.then_some(has_banner && !is_answer)
}

/// Whether the capture lacks what a verdict from absence needs: a direction, bytes, a hello that can be read, or who closed first.
pub(super) fn cannot_tell(transcript: &Transcript) -> bool {
    let mut peers = transcript.peers();
    let lacks_bytes = peers.any(|peer| !peer.is_in_view || peer.gap_bytes > 0 || peer.is_not_tls);
    lacks_bytes
        || may_lack_banner(transcript)
        || transcript.is_order_of_closes_unknown()
        || transcript.may_lack_close()
        || transcript.is_truncated()
        || transcript.client_hello().is_none()
        || lacks_server_hello(transcript)
        || transcript.has_unreadable_hello() && !transcript.is_proven_old()
}

/// Whether the server has sent application data, and the capture lacks the ServerHello that came before.
fn lacks_server_hello(transcript: &Transcript) -> bool {
    let server = transcript.peer(Side::Server);
    server.application_data.is_some() && !transcript.is_past_server_hello()
}

/// Whether the capture begins with the ClientHello, which was not answered: what the server said before it is not known, and may be
/// what the client choked on.
fn may_lack_banner(transcript: &Transcript) -> bool {
    let server = transcript.peer(Side::Server);
    server.is_beginning_unseen && !server.has_answered && !transcript.is_past_server_hello()
}

/// Whether an alert says what ended the handshake although the capture is incomplete: it is fatal and readable, it is no
/// goodbye, nothing that its sender said just before is missing, and it is no complaint about what is missing.
pub(super) fn is_certain(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let is_fatal = alert.level() == Some(AlertLevel::Fatal);
    let is_goodbye = alert.description() == Some(AlertDescription::CloseNotify);
    is_fatal && !alert.follows_gap && !is_goodbye && !may_answer_missing(transcript, alert)
}

/// Up to TLS 1.2: whether a side may have sent an encrypted alert after both Finished, of which the capture lacks its peer's.
/// NSS clients judge the server's certificate only then.
fn may_follow_both(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let side = transcript.side(alert.sender);
    let [own, peer] = [side, side.peer()].map(|side| transcript.peer(side));
    let is_missing = !peer.is_in_view || peer.gap_bytes > 0 || transcript.is_truncated();
    is_protected(transcript, alert)
        && own.finished.is_some()
        && peer.finished.is_none()
        && is_missing
}

/// Whether an alert came after the ChangeCipherSpec of its sender: it is encrypted, or has a MAC only and follows Finished.
fn is_protected(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let own = transcript.peer(transcript.side(alert.sender));
    let follows_finished =
        !transcript.is_dtls() && own.finished.is_some() && own.finished_end <= alert.at.end;
    alert.is_encrypted() || follows_finished
}

/// Whether an alert may be a reaction to something of its sender's peer that the capture lacks.
pub(super) fn may_answer_missing(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let side = transcript.side(alert.sender);
    let peer = transcript.peer(side.peer());
    let is_missing = !peer.is_in_view
        || peer.gap_bytes > 0
        || transcript.is_truncated()
        || side == Side::Client && may_lack_banner(transcript);
    // Java clients send handshake_failure when the server closes (8 of 8 in the labs).
    let may_answer_close =
        |description| side == Side::Client && description == AlertDescription::HandshakeFailure;
    // GnuTLS sends it when its socket reports a closed port, and Haskell's servers when the client closes.
    let is_internal = |description| description == AlertDescription::InternalError;
    let is_reaction = |description| {
        is_about_form(description) || may_answer_close(description) || is_internal(description)
    };
    is_missing && alert.description().is_some_and(is_reaction)
}

/// Whether this complains of what the peer sent, not of what it wants: plain text instead of TLS, or an early close
/// (OpenSSL 3 sends decode_error on a FIN), is answered so.
const fn is_about_form(description: AlertDescription) -> bool {
    matches!(
        description,
        AlertDescription::UnexpectedMessage
            | AlertDescription::BadRecordMac
            | AlertDescription::RecordOverflow
            | AlertDescription::IllegalParameter
            | AlertDescription::DecodeError
            | AlertDescription::ProtocolVersion
    )
}

/// The alert that ended the handshake: the first fatal one, or a warning that its sender's close followed.
pub(super) fn decisive_alert(transcript: &Transcript) -> Option<AlertSeen> {
    let in_time = || {
        let alerts = transcript.alerts().iter();
        alerts.filter(|alert| {
            !alert.is_late && !transcript.is_reaction(alert) && !is_refuted(transcript, alert)
        })
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

/// Whether an alert in the clear is none of its sender's: over UDP, anybody can send one in the name of a side. No side sends one and
/// goes on, or repeats its flight, and none sends a fatal one that says goodbye or has no name.
pub(super) fn is_refuted(transcript: &Transcript, alert: &AlertSeen) -> bool {
    if !is_forgeable(transcript, alert) {
        return false;
    }
    let delivery = transcript.delivery(transcript.side(alert.sender));
    let repeated = delivery.outstanding.filter(Outstanding::is_repeated);
    let last = delivery
        .last_data
        .max(repeated.map(|copies| copies.last_sent));
    let is_sent_by_nobody = alert.is_close_notify()
        || alert
            .description()
            .is_some_and(|description| description.name().is_none());
    is_sent_by_nobody || last.is_some_and(|last| last > alert.at.time)
}

/// Whether an alert is fatal and in the clear, over UDP.
pub(super) fn is_forgeable(transcript: &Transcript, alert: &AlertSeen) -> bool {
    transcript.is_dtls() && !alert.is_encrypted() && alert.level() == Some(AlertLevel::Fatal)
}

/// Whether a client refuses a certificate before the server's ServerHello.
pub(super) fn is_premature(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let server = transcript.peer(Side::Server);
    let is_about_certificate = alert.description().is_some_and(cause::is_about_certificate);
    transcript.side(alert.sender) == Side::Client
        && is_about_certificate
        && !transcript.is_past_server_hello()
        && server.certificate.is_none()
}

pub(super) fn from_alert(transcript: &Transcript, alert: AlertSeen) -> Conclusion {
    let side = transcript.side(alert.sender);
    let refusal =
        || silent_refusal(transcript, side, alert.at).filter(|_| is_soon(transcript, alert.at));
    match alert.content {
        // A close_notify amid the handshake is deliberate: its sender has seen enough.
        AlertContent::Clear(_, AlertDescription::CloseNotify)
        | AlertContent::Opened(_, AlertDescription::CloseNotify) => match refusal() {
            Some(failure) => Conclusion::inferred(failure, &T3),
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
            &T2,
        ),
    }
}

fn from_close(
    transcript: &Transcript,
    side: Side,
    (close, at): (Close, Arrival),
    findings: &[Finding],
) -> Conclusion {
    let Some(refusal) = silent_refusal(transcript, side, at) else {
        let mut failure = cause::closed(transcript, side, close);
        if let Some((selected, offered)) =
            version_not_offered(transcript).filter(|_| side == Side::Client)
        {
            failure.message.push_str(&format!(
                "; the server had selected {selected}, and the client offers {}",
                offer::versions(offered)
            ));
        }
        return Conclusion::failed(failure);
    };
    let is_flawed = || explain::reason(findings, side.peer()).is_some();
    let has_reason = match side {
        // Scanners look at a server's certificate and leave: only a flawed one is a reason to think that it was refused, and only
        // by a program that would not say so.
        Side::Client => {
            let hello = transcript.client_hello();
            is_flawed() && hello.is_none_or(inferred::may_refuse_in_silence)
        }
        // Node refuses so, but a program on Node that closes a connection when it begins closes it before Node has sent
        // its Finished, too: only what the client has sent tells which.
        Side::Server => {
            refusal.error_type == ErrorType::MissingClientCert
                || is_flawed()
                || facts::is_of_authority_not_asked_for(transcript)
        }
    };
    if has_reason && is_soon(transcript, at) {
        return Conclusion::inferred(refusal, &T3);
    }
    let mut failure = cause::closed(transcript, side, close);
    if side == Side::Server && !failure.is_by_another_host {
        failure.message.push_str(
            "; it had received the client's certificate, and did not say whether that is the reason",
        );
    }
    Conclusion::failed(failure)
}

/// How long a side takes at most to refuse a certificate without a word: in the labs 8 ms, and 3 s by servers that are slow on purpose.
/// Later, people have left, or somebody's patience has ended.
const LONGEST_REFUSAL: Duration = Duration::from_secs(3);

/// Whether a side closed `at` a moment at which it may still have been busy with what its peer had sent.
fn is_soon(transcript: &Transcript, at: Arrival) -> bool {
    silence::waited(transcript, Some(at.time)).is_none_or(|waited| waited <= LONGEST_REFUSAL)
}

/// Whether a client closed in order, at once and without a word, when it had received the server's whole flight, and may be a
/// program that refuses so.
///
/// If there is a flaw in the server's chain, that is the likely reason. Whether there is one is known only when chains have
/// been validated. Browsers race connections, and those who close later or by a reset may have another reason. `None` if all but
/// the time speaks for it, and how soon the client closed is not known.
pub(super) fn left_at_certificate(transcript: &Transcript) -> Option<bool> {
    let Some((Side::Client, Close::Fin, at)) = transcript.first_close() else {
        return Some(false);
    };
    let lateness = transcript.lateness(Side::Server);
    let flight = transcript
        .server_hello_at()
        .map(|at| at.saturating_sub(lateness));
    let has_complained = || {
        let mut alerts = transcript.alerts().iter();
        alerts.any(|alert| transcript.side(alert.sender) == Side::Client)
    };
    let may_be_left = silent_refusal(transcript, Side::Client, at).is_some()
        && !has_complained()
        && !cannot_tell(transcript)
        && transcript
            .client_hello()
            .is_some_and(inferred::may_refuse_in_silence);
    match flight {
        Some(flight) if may_be_left => inferred::is_at_once(transcript, flight, at.time),
        _ => Some(false),
    }
}

/// What a side refuses that gives up without saying why, where its peer's certificate was the last thing it looked at.
///
/// A side cannot have refused what it had not received when it gave up (`at`).
pub(super) fn silent_refusal(
    transcript: &Transcript,
    side: Side,
    at: Arrival,
) -> Option<FailureCause> {
    let had_received = match side {
        Side::Client => transcript.had_received_flight(side, at),
        Side::Server => transcript.had_received_client_answer(at),
    };
    if had_received == Some(false) {
        return None;
    }
    let certificate = transcript.peer(Side::Client).certificate.as_deref();
    let has_answered =
        certificate.is_some() || transcript.has_message(HandshakeType::ClientKeyExchange);
    match side {
        Side::Server if transcript.certificate_request().is_some() && has_answered => {
            let error_type = if certificate.is_none_or(is_empty_list) {
                ErrorType::MissingClientCert
            } else {
                ErrorType::ServerRejectedClient
            };
            Some(cause::inferred_refusal(side, error_type))
        }
        Side::Client
            if transcript.has_message(HandshakeType::ServerHelloDone)
                && !has_answered
                && version_not_offered(transcript).is_none() =>
        {
            let error_type = ErrorType::ClientRejectedServer;
            Some(cause::inferred_refusal(side, error_type))
        }
        _ => None,
    }
}

/// The version that the server selected, and those that the client offers, if it is none of these: then the client has a reason to
/// leave that comes before any certificate.
fn version_not_offered(transcript: &Transcript) -> Option<(ProtocolVersion, &[ProtocolVersion])> {
    let hello = transcript.client_hello().filter(|hello| hello.is_whole())?;
    let offered = hello.supported_versions.as_deref()?;
    let selected = transcript.server_hello()?.version();
    (!offered.contains(&selected)).then_some((selected, offered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{
        CLIENT, SERVER, Script, connection, finding, one_sided, tls12,
    };
    use crate::time::Timestamp;
    use crate::tls::{ContentType, ExtensionType, HandshakeType};

    /// A handshake after the server's flight.
    fn after_server_flight() -> Script {
        tls12()
            .message(SERVER, HandshakeType::Certificate, &[0, 0, 4, 0, 0, 1, 0])
            .message(SERVER, HandshakeType::ServerHelloDone, &[])
    }

    /// A handshake in which the client has answered a request for its certificate with this message.
    fn after_client_certificate(certificate: &[u8]) -> Script {
        tls12()
            .message(SERVER, HandshakeType::CertificateRequest, &[0])
            .message(SERVER, HandshakeType::ServerHelloDone, &[])
            .message(CLIENT, HandshakeType::Certificate, certificate)
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
    }

    const EMPTY: &[u8] = &[0, 0, 0];
    const CHAIN: &[u8] = &[0, 0, 4, 0, 0, 1, 0];

    #[test]
    fn a_client_refuses_no_certificate_before_the_server_hello() {
        let refused = |script: Script| script.alert(CLIENT, AlertDescription::UnknownCa).verdict();
        let begun = || connection().client_hello(|_| {}).in_view(SERVER);
        assert_eq!(refused(begun()), "unknown observed");
        let version = begun().alert(CLIENT, AlertDescription::ProtocolVersion);
        assert_eq!(
            version.verdict(),
            "failure observed: protocol_mismatch by client"
        );
        let refusal = "failure observed: unknown_ca by client";
        // The capture may lack what it refuses.
        assert_eq!(refused(begun().gap(SERVER)), refusal);
        assert_eq!(refused(tls12()), refusal);
    }

    #[test]
    fn both_finished_are_success_and_one_is_not() {
        let one = after_server_flight().finished_12(CLIENT);
        assert_eq!(one.verdict(), "unknown observed");
        assert_eq!(one.finished_12(SERVER).verdict(), "success observed");
    }

    #[test]
    fn an_answer_that_is_not_tls_counts_before_the_server_hello_only() {
        let hello = || connection().client_hello(|_| {});
        assert_eq!(
            hello().not_tls(SERVER).verdict(),
            "failure observed: not_tls by server"
        );
        assert_eq!(hello().not_tls(CLIENT).verdict(), "unknown observed");
        let behind_gap = hello().gap(SERVER).not_tls(SERVER);
        assert_eq!(behind_gap.verdict(), "unknown observed");
        assert_eq!(tls12().not_tls(SERVER).verdict(), "unknown observed");
    }

    #[test]
    fn plain_text_behind_an_alert_does_not_hide_it() {
        let refused = connection().client_hello(|_| {});
        let refused = refused.alert(SERVER, AlertDescription::ProtocolVersion);
        assert_eq!(
            refused.not_tls(SERVER).fin(SERVER).verdict(),
            "failure observed: protocol_mismatch by server"
        );
    }

    #[test]
    fn a_banner_before_the_hello_is_not_tls_unless_the_client_spoke_plain_text_too() {
        let banner = connection().plain(SERVER).client_hello(|_| {});
        assert_eq!(banner.verdict(), "failure observed: not_tls by server");
        let dialogue = connection().plain(SERVER).plain(CLIENT);
        assert_eq!(dialogue.client_hello(|_| {}).verdict(), "unknown observed");
        let answered = connection().plain(SERVER).client_hello(|_| {});
        assert_eq!(
            answered
                .alert(SERVER, AlertDescription::ProtocolVersion)
                .verdict(),
            "failure observed: protocol_mismatch by server"
        );
    }

    /// NATS servers greet, and then wait some seconds for a ClientHello.
    #[test]
    fn a_server_that_had_closed_when_the_client_sent_its_hello_did_not_refuse_tls() {
        let closed = connection().plain(SERVER).fin(SERVER);
        assert_eq!(
            closed.client_hello(|_| {}).verdict(),
            "failure observed: connection_closed by server"
        );
        // The banner and the close may cross the hello: then it is what the server has to say.
        let crossed = connection().plain(SERVER).fin(SERVER).before_receiving(1);
        assert_eq!(
            crossed.client_hello(|_| {}).verdict(),
            "failure observed: not_tls by server"
        );
    }

    /// Empty segments of the side have a number that is one further.
    #[test]
    fn how_a_side_closed_is_not_known_if_its_fin_may_be_missing_before_its_reset() {
        let reset = |further: u32| {
            let script = after_server_flight().delivery(CLIENT, |delivery| {
                delivery.sent = 100;
                delivery.announce(100 + further);
            });
            script.rst(CLIENT).conclude(End::CaptureEnd, &[])
        };
        assert_eq!(reset(0).unknown_because, None);
        assert_eq!(
            reset(1).unknown_because,
            Some(UnknownBecause::AmbiguousClose)
        );
        // More than that are bytes.
        assert_eq!(reset(2).unknown_because, None);
    }

    /// OpenVPN has the messages of TLS in packets of its own.
    #[test]
    fn an_answer_that_is_not_tls_says_nothing_where_the_capture_begins_amid_another_protocol() {
        let answered = || connection().client_hello(|_| {}).not_tls(SERVER);
        let amid = |side| {
            let mut script = answered();
            let direction = script.transcript.direction(side);
            script.transcript.note_amid_other(direction);
            script.conclude(End::CaptureEnd, &[]).unknown_because
        };
        assert_eq!(amid(CLIENT), Some(UnknownBecause::UnreadableRecords));
        assert_eq!(amid(SERVER), None);
        assert_eq!(answered().verdict(), "failure observed: not_tls by server");
    }

    /// Without encryption, an alert is readable that follows its sender's Finished.
    #[test]
    fn a_readable_alert_between_both_finished_is_no_success() {
        let refuses = |script: Script| {
            let own = script.finished_12(CLIENT);
            let alert = own.alert(CLIENT, AlertDescription::BadCertificate);
            alert.before_receiving(1).finished_12(SERVER)
        };
        let expected = "failure observed: bad_certificate by client";
        assert_eq!(refuses(after_server_flight()).verdict(), expected);
        let goes_on = after_server_flight()
            .finished_12(CLIENT)
            .finished_12(SERVER);
        let goodbye = goes_on.warning(CLIENT, AlertDescription::CloseNotify);
        assert_eq!(goodbye.verdict(), "success observed");
    }

    #[test]
    fn closes_that_were_not_captured_do_not_say_who_gave_up() {
        let unseen = |first: Side| tls12().unseen_fin(first);
        for first in [CLIENT, SERVER] {
            let both = unseen(first).unseen_fin(first.peer());
            assert_eq!(both.verdict(), "unknown observed");
            // The other one, which was captured, was sent without knowledge of it.
            let without = unseen(first).before_receiving(1).fin(first.peer());
            assert_eq!(without.verdict(), "unknown observed");
            // The other one acknowledges it.
            let closed = format!("failure observed: connection_closed by {first}");
            assert_eq!(unseen(first).fin(first.peer()).verdict(), closed);
        }
    }

    #[test]
    fn a_client_that_closes_after_its_finished_may_yet_get_an_answer() {
        let closed = || after_server_flight().finished_12(CLIENT).fin(CLIENT);
        assert_eq!(closed().verdict(), "unknown observed");
        assert_eq!(closed().rst(CLIENT).verdict(), "unknown observed");
        assert_eq!(closed().finished_12(SERVER).verdict(), "success observed");
        let left = "failure observed: connection_closed by client";
        assert_eq!(closed().fin(SERVER).verdict(), left);
        assert_eq!(after_server_flight().fin(CLIENT).verdict(), left);
    }

    #[test]
    fn data_of_a_server_show_that_its_hello_was_not_captured() {
        let hello = || connection().client_hello(|_| {});
        let closed = "failure observed: connection_closed by server";
        assert_eq!(hello().fin(SERVER).verdict(), closed);
        let answered = hello().data_12(SERVER, 100).fin(SERVER);
        assert_eq!(answered.verdict(), "unknown observed");
    }

    #[test]
    fn absence_means_nothing_where_the_capture_is_incomplete() {
        let closed = "failure observed: connection_closed by server";
        assert_eq!(tls12().fin(SERVER).verdict(), closed);
        for incomplete in [
            tls12().gap(CLIENT),
            tls12().truncated(),
            one_sided()
                .in_view(SERVER)
                .client_hello(|_| {})
                .server_hello_12(),
            connection().server_hello_12(),
        ] {
            assert_eq!(incomplete.fin(SERVER).verdict(), "unknown observed");
        }
    }

    #[test]
    fn an_alert_in_the_clear_counts_even_where_the_capture_is_incomplete() {
        let incomplete = || after_server_flight().gap(SERVER);
        assert_eq!(
            incomplete()
                .alert(CLIENT, AlertDescription::UnknownCa)
                .verdict(),
            "failure observed: unknown_ca by client"
        );
        let sealed = incomplete().sealed(CLIENT, ContentType::Alert);
        assert_eq!(sealed.verdict(), "unknown observed");
    }

    #[test]
    fn an_alert_does_not_count_that_may_answer_or_follow_what_the_capture_lacks() {
        let refusal = AlertDescription::UnknownCa;
        let complaint = AlertDescription::DecodeError;
        let after_gap = after_server_flight().gap(CLIENT).alert(CLIENT, refusal);
        assert_eq!(after_gap.verdict(), "unknown observed");
        let incomplete = || after_server_flight().gap(SERVER);
        let about_gap = incomplete().alert(CLIENT, complaint);
        assert_eq!(about_gap.verdict(), "unknown observed");
        let warned = incomplete().warning(CLIENT, refusal).fin(CLIENT);
        assert_eq!(warned.verdict(), "unknown observed");
        let complete = after_server_flight().alert(CLIENT, complaint);
        assert_eq!(
            complete.verdict(),
            "failure observed: decode_error by client"
        );
    }

    #[test]
    fn a_warning_decides_only_if_its_sender_closes_first() {
        let warned = || after_server_flight().warning(CLIENT, AlertDescription::UserCanceled);
        assert_eq!(
            warned().fin(CLIENT).verdict(),
            "failure observed: user_canceled by client"
        );
        assert_eq!(
            warned().fin(SERVER).verdict(),
            "failure observed: connection_closed by server"
        );
        assert_eq!(warned().verdict(), "unknown observed");
    }

    #[test]
    fn the_first_fatal_alert_decides() {
        let alerts = after_server_flight()
            .warning(SERVER, AlertDescription::UnrecognizedName)
            .alert(CLIENT, AlertDescription::CertificateExpired)
            .alert(SERVER, AlertDescription::InternalError);
        assert_eq!(alerts.verdict(), "failure observed: cert_expired by client");
    }

    #[test]
    fn an_internal_error_may_answer_a_close_that_the_capture_lacks() {
        let alert = AlertDescription::InternalError;
        let alone = one_sided().in_view(SERVER).server_hello_12();
        assert_eq!(alone.alert(SERVER, alert).verdict(), "unknown observed");
        assert_eq!(
            after_server_flight().alert(SERVER, alert).verdict(),
            "failure observed: internal_error by server"
        );
    }

    #[test]
    fn an_alert_to_a_peer_that_has_closed_only_answers_the_close() {
        let closed = after_server_flight().fin(CLIENT);
        assert_eq!(
            closed
                .alert(SERVER, AlertDescription::DecodeError)
                .verdict(),
            "failure observed: connection_closed by client"
        );
    }

    #[test]
    fn t3_a_client_says_goodbye_when_it_has_seen_the_certificate() {
        let goodbye = AlertDescription::CloseNotify;
        assert_eq!(
            after_server_flight().alert(CLIENT, goodbye).verdict(),
            "failure T3: client_rejected_server by client"
        );
        // Before the server's flight is complete, it has not.
        assert_eq!(
            tls12().alert(CLIENT, goodbye).verdict(),
            "failure observed: connection_closed by client"
        );
    }

    #[test]
    fn t3_a_client_that_closes_refused_a_certificate_only_if_something_is_wrong_with_it() {
        let closed = after_server_flight().fin(CLIENT);
        let expired = [finding(SERVER, ErrorType::CertExpired)];
        assert_eq!(
            closed.verdict_with(End::CaptureEnd, &expired),
            "failure T3: client_rejected_server by client"
        );
        let near = [finding(SERVER, ErrorType::NearExpiry)];
        assert_eq!(
            closed.verdict_with(End::CaptureEnd, &near),
            "failure observed: connection_closed by client"
        );
    }

    #[test]
    fn a_client_leaves_at_the_certificate_if_it_closes_at_once_after_the_whole_flight() {
        let left = |script: Script| left_at_certificate(&script.transcript) == Some(true);
        assert!(left(after_server_flight().fin(CLIENT)));
        assert!(left(after_server_flight().wait(90).fin(CLIENT).fin(SERVER)));
        // Later, by a reset, after its peer, with a word, or before the flight was there.
        assert!(!left(after_server_flight().wait(200).fin(CLIENT)));
        assert!(!left(after_server_flight().rst(CLIENT)));
        assert!(!left(after_server_flight().fin(SERVER).fin(CLIENT)));
        let complains = after_server_flight().warning(CLIENT, AlertDescription::UserCanceled);
        assert!(!left(complains.fin(CLIENT)));
        let missed = after_server_flight().before_receiving(1);
        assert!(!left(missed.fin(CLIENT)));
        assert!(!left(tls12().fin(CLIENT)));
        let answered = after_server_flight().message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert!(!left(answered.fin(CLIENT)));
        assert!(!left(after_server_flight().gap(SERVER).fin(CLIENT)));
    }

    #[test]
    fn whether_a_client_leaves_at_the_certificate_is_not_known_if_how_soon_it_closed_is_not() {
        let late = |mut script: Script| {
            let direction = script.transcript.direction(SERVER);
            let at = Timestamp::from_nanoseconds(1_000_000);
            let transcript = &mut script.transcript;
            transcript.note_late(direction, Timestamp::from_nanoseconds(0), at);
            left_at_certificate(&script.transcript)
        };
        assert_eq!(late(after_server_flight().fin(CLIENT)), None);
        // However late the server's clock is, this was later than a program closes that refuses.
        let slow = after_server_flight().wait(200).fin(CLIENT);
        assert_eq!(late(slow), Some(false));
        // A reset refuses nothing.
        assert_eq!(late(after_server_flight().rst(CLIENT)), Some(false));
    }

    #[test]
    fn a_browser_that_closes_may_only_have_raced_another_connection() {
        let grease = ExtensionType(0x0a0a);
        let (limit, delegated) = (
            ExtensionType::RecordSizeLimit,
            ExtensionType::DelegatedCredential,
        );
        let left = |extensions: &[ExtensionType]| {
            let hello = connection().client_hello(|hello| {
                hello.supported_versions = None;
                hello.extensions = extensions.to_vec();
            });
            let flight = hello
                .server_hello_12()
                .message(SERVER, HandshakeType::Certificate, CHAIN)
                .message(SERVER, HandshakeType::ServerHelloDone, &[]);
            left_at_certificate(&flight.fin(CLIENT).transcript) == Some(true)
        };
        assert!(left(&[limit]));
        assert!(!left(&[limit, delegated]) && !left(&[grease]));
    }

    #[test]
    fn a_client_that_leaves_before_it_has_received_the_flight_refuses_nothing() {
        let expired = [finding(SERVER, ErrorType::CertExpired)];
        let left = |unreceived| {
            after_server_flight()
                .before_receiving(unreceived)
                .fin(CLIENT)
        };
        let verdict = |script: Script| script.verdict_with(End::CaptureEnd, &expired);
        let closed = "failure observed: connection_closed by client";
        for (unreceived, stage) in [
            (3, "before the ServerHello reached it"),
            (1, "during the server's flight"),
        ] {
            let conclusion = left(unreceived).conclude(End::CaptureEnd, &expired);
            let message = conclusion.failure.unwrap().message;
            assert_eq!(message, format!("client closed the connection {stage}"));
            assert_eq!(verdict(left(unreceived)), closed);
        }
        assert_eq!(
            verdict(left(0)),
            "failure T3: client_rejected_server by client"
        );
        // What answers its close is no part of the flight.
        let answered = left(0).alert(SERVER, AlertDescription::CloseNotify);
        assert_eq!(
            verdict(answered),
            "failure T3: client_rejected_server by client"
        );
    }

    /// A client of @reclaimprotocol/tls met a server that answers offers of TLS 1.3 with TLS 1.1.
    #[test]
    fn t3_a_client_that_did_not_offer_the_version_has_another_reason_to_leave() {
        let flaw = [finding(Side::Server, ErrorType::CertExpired)];
        let left = |offered: &[ProtocolVersion]| {
            let hello = connection()
                .client_hello(|hello| hello.supported_versions = Some(offered.to_vec()))
                .server_hello_12();
            let flight = hello
                .message(SERVER, HandshakeType::Certificate, CHAIN)
                .message(SERVER, HandshakeType::ServerHelloDone, &[]);
            let failure = flight.fin(CLIENT).conclude(End::CaptureEnd, &flaw).failure;
            let failure = failure.unwrap();
            (failure.error_type, failure.message)
        };
        let (error_type, message) = left(&[ProtocolVersion::TLSv1_3]);
        assert_eq!(error_type, ErrorType::ConnectionClosed);
        assert_eq!(
            message,
            "client closed the connection after the server's flight; the server had selected TLS 1.2, and the client offers TLS 1.3"
        );
        let both = [ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2];
        assert_eq!(left(&both).0, ErrorType::ClientRejectedServer);
    }

    #[test]
    fn t3_a_server_that_has_not_received_the_clients_flight_did_not_refuse_it() {
        let sent = || after_client_certificate(CHAIN);
        let flaw = [finding(Side::Client, ErrorType::CertExpired)];
        let closed = |script: Script| script.fin(SERVER).verdict_with(End::CaptureEnd, &flaw);
        assert_eq!(
            closed(sent().before_receiving(2)),
            "failure observed: connection_closed by server"
        );
        // Haskell's clients send the rest of their flight later, and servers of Mbed TLS do not wait for that.
        let refused = "failure T3: server_rejected_client by server";
        assert_eq!(closed(sent().before_receiving(1)), refused);
        assert_eq!(closed(sent()), refused);
    }

    #[test]
    fn t3_a_server_that_closes_refused_the_lack_of_a_certificate_or_a_flawed_one() {
        assert_eq!(
            after_client_certificate(EMPTY).rst(SERVER).verdict(),
            "failure T3: missing_client_cert by server"
        );
        // A program on Node that destroys a connection when it begins does so before Node has sent its Finished.
        let sound = after_client_certificate(CHAIN);
        let conclusion = sound.fin(SERVER).conclude(End::CaptureEnd, &[]);
        let failure = conclusion.failure.unwrap();
        assert_eq!(failure.error_type, ErrorType::ConnectionClosed);
        assert_eq!(
            failure.message,
            "server closed the connection after the client's key exchange; it had received the client's certificate, and did \
             not say whether that is the reason"
        );
        let of_server = [finding(Side::Server, ErrorType::CertExpired)];
        let closed = after_client_certificate(CHAIN).rst(SERVER);
        assert_eq!(
            closed.verdict_with(End::CaptureEnd, &of_server),
            "failure observed: connection_reset by server"
        );
        // It had not asked for one.
        let unasked = after_server_flight().message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(
            unasked.rst(SERVER).verdict(),
            "failure observed: connection_reset by server"
        );
    }

    #[test]
    fn t2_an_encrypted_alert_before_both_finished_is_a_refusal() {
        let refused = after_client_certificate(CHAIN)
            .finished_12(CLIENT)
            .change_cipher_spec(SERVER)
            .sealed(SERVER, ContentType::Alert);
        assert_eq!(
            refused.verdict(),
            "failure T2: server_rejected_client by server"
        );
        let unasked = after_server_flight()
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT)
            .sealed(CLIENT, ContentType::Alert);
        assert_eq!(unasked.verdict(), "failure T2: other by client");
        let late = after_server_flight()
            .finished_12(CLIENT)
            .finished_12(SERVER)
            .sealed(CLIENT, ContentType::Alert);
        assert_eq!(late.verdict(), "success observed");
    }

    #[test]
    fn t2_an_encrypted_alert_counts_that_the_servers_finished_crossed() {
        let key_exchange = HandshakeType::ClientKeyExchange;
        let begun = || {
            let answered = after_server_flight().message(CLIENT, key_exchange, &[]);
            answered.finished_12(CLIENT)
        };
        let crossed = begun().sealed(CLIENT, ContentType::Alert);
        let crossed = crossed.finished_12(SERVER);
        assert_eq!(crossed.verdict(), "failure T2: other by client");
        let later = || begun().finished_12(SERVER);
        let goodbye = later().sealed(CLIENT, ContentType::Alert);
        assert_eq!(goodbye.verdict(), "success observed");
        // Captured behind the server's Finished, and sent before that had arrived.
        let late = later()
            .before_receiving(1)
            .sealed(CLIENT, ContentType::Alert);
        assert_eq!(late.verdict(), "failure T2: other by client");
    }

    #[test]
    fn two_finished_are_no_success_where_nothing_shows_that_there_was_a_server_hello() {
        let both = |script: Script| script.finished_12(CLIENT).finished_12(SERVER).verdict();
        let offered = || connection().client_hello(|hello| hello.supported_versions = None);
        assert_eq!(both(offered()), "unknown observed");
        let key_exchange = HandshakeType::ClientKeyExchange;
        let proven = offered().message(CLIENT, key_exchange, &[]);
        assert_eq!(both(proven), "success observed");
    }

    #[test]
    fn an_opened_alert_is_read_as_one_in_the_clear() {
        let begun = || after_server_flight().finished_12(CLIENT);
        let refused = begun().opened_alert(CLIENT, AlertDescription::BadCertificate);
        assert_eq!(
            refused.verdict(),
            "failure decrypted: bad_certificate by client"
        );
        let after_finished = begun()
            .gap(SERVER)
            .opened_alert(CLIENT, AlertDescription::BadCertificate);
        assert_eq!(after_finished.verdict(), "unknown observed");
        let goodbye = begun().opened_alert(CLIENT, AlertDescription::CloseNotify);
        assert_eq!(
            goodbye.verdict(),
            "failure T3: client_rejected_server by client"
        );
    }

    /// A completed handshake in which the server then asked for a renegotiation, and the client began it.
    fn renegotiating() -> Script {
        let complete = after_server_flight()
            .finished_12(CLIENT)
            .finished_12(SERVER);
        complete
            .sealed(CLIENT, ContentType::ApplicationData)
            .sealed(SERVER, ContentType::Handshake)
            .sealed(CLIENT, ContentType::Handshake)
            .sealed(SERVER, ContentType::Handshake)
    }

    #[test]
    fn t4_a_renegotiation_that_a_side_ends_is_a_failure() {
        let by_server = "failure T4: handshake_failure by server";
        let alert = renegotiating().sealed(SERVER, ContentType::Alert);
        assert_eq!(alert.fin(SERVER).verdict(), by_server);
        assert_eq!(
            renegotiating().rst(CLIENT).verdict(),
            "failure T4: handshake_failure by client"
        );
        let opened = renegotiating().opened_alert(SERVER, AlertDescription::HandshakeFailure);
        assert_eq!(
            opened.verdict(),
            "failure decrypted: handshake_failure by server"
        );
    }

    #[test]
    fn t4_a_renegotiation_that_completes_or_is_declined_is_not_a_failure() {
        let success = "success observed";
        let completed = renegotiating().finished_12(CLIENT).finished_12(SERVER);
        let completed = completed.sealed(CLIENT, ContentType::Alert);
        assert_eq!(completed.fin(CLIENT).verdict(), success);
        let declined = renegotiating().sealed(SERVER, ContentType::Alert);
        let declined = declined.sealed(SERVER, ContentType::ApplicationData);
        assert_eq!(declined.verdict(), success);
    }

    #[test]
    fn how_a_renegotiation_ended_is_unknown_where_packets_are_missing() {
        let because = |script: Script| script.conclude(End::CaptureEnd, &[]).unknown_because;
        assert_eq!(because(renegotiating()), Some(UnknownBecause::CaptureEnd));
        let gap = renegotiating().gap(CLIENT).fin(SERVER);
        assert_eq!(because(gap), Some(UnknownBecause::Gap));
        let left = renegotiating().sealed(CLIENT, ContentType::ApplicationData);
        assert_eq!(left.verdict(), "success observed");
    }

    #[test]
    fn a_clients_handshake_failure_may_answer_a_close_that_is_not_in_view() {
        let alone = || one_sided().in_view(CLIENT).client_hello(|_| {});
        let failure = alone().alert(CLIENT, AlertDescription::HandshakeFailure);
        assert_eq!(failure.verdict(), "unknown observed");
        let refused = alone().alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(refused.verdict(), "failure observed: unknown_ca by client");
    }

    #[test]
    fn bytes_missing_before_the_close_of_an_unused_connection_may_be_an_alert() {
        let complete = || {
            let answered = after_server_flight().finished_12(CLIENT);
            answered.finished_12(SERVER)
        };
        let closed = complete().gap(CLIENT).fin(CLIENT);
        let conclusion = closed.conclude(End::Decided, &[]);
        assert_eq!(conclusion.unknown_because, Some(UnknownBecause::Gap));
        // What the side that did not give up sent does not matter, and a connection in use had completed.
        let other = complete().gap(SERVER).fin(CLIENT);
        assert_eq!(other.verdict(), "success observed");
        let used = complete().sealed(SERVER, ContentType::ApplicationData);
        assert_eq!(used.gap(CLIENT).fin(CLIENT).verdict(), "success observed");
    }

    #[test]
    fn silence_is_a_failure_and_the_end_of_the_capture_is_not() {
        let open = tls12();
        assert_eq!(
            open.verdict_with(End::Silence, &[]),
            "failure observed: handshake_timeout by server"
        );
        for end in [End::CaptureEnd, End::Evicted, End::Replaced] {
            assert_eq!(open.verdict_with(end, &[]), "unknown observed");
        }
    }
}
