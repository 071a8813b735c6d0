//! Why a handshake failed, as a class and in words: the first of the six steps that [`explain`](super::explain) lists.

use std::time::Duration;

use crate::decode::Undeliverable;
use crate::error_type::ErrorType;
use crate::event::ClientCertificate;
use crate::flow::Side;
use crate::framing::Close;
use crate::tls::{AlertDescription, HandshakeType};
use crate::transport::quic::{QuicClose, QuicVersion};
use crate::transport::tcp::{Arrival, DeliveryState, Outstanding};

use super::transcript::{Decrypted, Transcript, Undelivered};
use super::{offer, reason};

/// Why a handshake failed, by its messages alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailureCause {
    pub(super) error_type: ErrorType,
    /// Who gave up; of data that were not delivered, who sent them.
    pub(super) side: Side,
    pub(super) message: String,
    /// Whether it is the peer's certificate that was refused, so that findings on it may say why.
    pub(super) is_refusal: bool,
    /// The next step, where the messages alone support one.
    pub(super) hint: Option<String>,
    /// Whether a host between the peers acted in the name of `side`.
    pub(super) is_by_another_host: bool,
}

impl FailureCause {
    /// Who gave up, if a side did: what the network loses is the doing of neither.
    pub(super) fn blamed(&self) -> Option<Side> {
        (self.error_type != ErrorType::NotDelivered && !self.is_by_another_host)
            .then_some(self.side)
    }

    pub(super) fn new(error_type: ErrorType, side: Side, message: String) -> Self {
        Self {
            error_type,
            side,
            message,
            is_refusal: false,
            hint: None,
            is_by_another_host: false,
        }
    }
}

/// The failure that an alert says, in the clear or opened.
pub(super) fn from_alert(
    transcript: &Transcript,
    side: Side,
    description: AlertDescription,
) -> FailureCause {
    let error_type = refined_class(transcript, side, description);
    let is_refusal = is_refusal(error_type) && may_have_shown_certificate(transcript, side.peer());
    let said = format!("{description} ({})", description.0);
    let peer = side.peer();
    let mut message = match error_type {
        ErrorType::MissingClientCert => {
            format!("server required a client certificate and got none: {said}")
        }
        ErrorType::ProtocolMismatch => {
            format!("{side} found no protocol version in common: {said}")
        }
        ErrorType::CipherMismatch => format!("{side} found no parameters in common: {said}"),
        _ if is_refusal => format!("{side} refused the {peer}'s certificate: {said}"),
        _ if answers_hello(transcript, side) => format!("server refused the ClientHello: {said}"),
        _ => format!("{side} ended the handshake: {said}"),
    };
    if is_refusal && is_certificate_missing(transcript, peer) {
        message.push_str("; the capture lacks the certificate, which may show why");
    }
    let mut hint = None;
    for reason in reason::in_the_clear(transcript, side, description, error_type) {
        message.push_str("; ");
        message.push_str(&reason.clause);
        hint = hint.or(reason.hint);
    }
    FailureCause {
        error_type,
        side,
        message,
        is_refusal,
        hint,
        is_by_another_host: false,
    }
}

/// Whether a side may have shown a certificate: it did, or what it sent is hidden or missing.
fn may_have_shown_certificate(transcript: &Transcript, side: Side) -> bool {
    let peer = transcript.peer(side);
    let is_incomplete = transcript.has_gap() || transcript.is_truncated() || !peer.is_in_view;
    let has_shown = peer.certificate.is_some() && !peer.has_empty_certificate();
    let is_opened =
        |decrypted: &Decrypted| decrypted.extensions.is_some() && decrypted.has_read_all();
    let is_sealed = transcript.is_tls13() && transcript.is_past_server_hello();
    let is_hidden = is_sealed && !transcript.decrypted().is_some_and(is_opened);
    has_shown || is_incomplete || is_hidden
}

/// Whether the capture lacks a certificate that `side` may have shown in the clear.
fn is_certificate_missing(transcript: &Transcript, side: Side) -> bool {
    let is_incomplete =
        transcript.has_gap() || transcript.is_truncated() || !transcript.peer(side).is_in_view;
    let is_in_the_clear = !transcript.is_tls13() && transcript.quic().is_none();
    is_incomplete && is_in_the_clear && transcript.peer(side).certificate.is_none()
}

/// Whether `side` is a server that ends the handshake before its ServerHello, so that it can only mean the ClientHello.
pub(super) fn answers_hello(transcript: &Transcript, side: Side) -> bool {
    side == Side::Server && !transcript.is_past_server_hello()
}

/// An alert's class, made precise by where in the handshake it came.
fn refined_class(transcript: &Transcript, side: Side, description: AlertDescription) -> ErrorType {
    let class = class(description);
    let has_empty_certificate = transcript.peer(Side::Client).has_empty_certificate();
    match class {
        _ if side == Side::Client => class,
        // A server that refuses a hello with handshake_failure found nothing in common with it, or has no certificate for
        // it: only a narrow offer tells which.
        ErrorType::HandshakeFailure if !transcript.is_past_server_hello() => {
            let hello = transcript.client_hello();
            match hello.and_then(offer::narrowness) {
                Some(_) => ErrorType::CipherMismatch,
                None => ErrorType::HandshakeFailure,
            }
        }
        // Servers that required a certificate and got an empty message say so in many ways before TLS 1.3, which has
        // certificate_required: handshake_failure, bad_certificate, decode_error.
        ErrorType::HandshakeFailure | ErrorType::DecodeError if has_empty_certificate => {
            ErrorType::MissingClientCert
        }
        _ if has_empty_certificate && is_refusal(class) => ErrorType::MissingClientCert,
        _ => class,
    }
}

/// The class of an alert by itself.
const fn class(description: AlertDescription) -> ErrorType {
    match description {
        AlertDescription::CloseNotify => ErrorType::ConnectionClosed,
        AlertDescription::UnexpectedMessage => ErrorType::UnexpectedMessage,
        AlertDescription::BadRecordMac | AlertDescription::DecryptionFailed => {
            ErrorType::BadRecordMac
        }
        AlertDescription::DecryptError => ErrorType::DecryptError,
        AlertDescription::RecordOverflow
        | AlertDescription::DecompressionFailure
        | AlertDescription::DecodeError => ErrorType::DecodeError,
        AlertDescription::HandshakeFailure => ErrorType::HandshakeFailure,
        AlertDescription::NoCertificate | AlertDescription::CertificateRequired => {
            ErrorType::MissingClientCert
        }
        AlertDescription::BadCertificate
        | AlertDescription::BadCertificateStatusResponse
        | AlertDescription::BadCertificateHashValue => ErrorType::BadCertificate,
        AlertDescription::UnsupportedCertificate => ErrorType::UnsupportedCertificate,
        AlertDescription::CertificateRevoked => ErrorType::CertRevoked,
        AlertDescription::CertificateExpired => ErrorType::CertExpired,
        AlertDescription::CertificateUnknown => ErrorType::CertificateUnknown,
        AlertDescription::IllegalParameter | AlertDescription::UnsupportedExtension => {
            ErrorType::IllegalParameter
        }
        AlertDescription::UnknownCa => ErrorType::UnknownCa,
        AlertDescription::AccessDenied => ErrorType::AccessDenied,
        AlertDescription::ExportRestriction | AlertDescription::InsufficientSecurity => {
            ErrorType::InsufficientSecurity
        }
        AlertDescription::ProtocolVersion => ErrorType::ProtocolMismatch,
        AlertDescription::InternalError => ErrorType::InternalError,
        AlertDescription::InappropriateFallback => ErrorType::InappropriateFallback,
        AlertDescription::UserCanceled => ErrorType::UserCanceled,
        AlertDescription::NoRenegotiation => ErrorType::NoRenegotiation,
        AlertDescription::MissingExtension => ErrorType::MissingExtension,
        AlertDescription::UnknownPskIdentity => ErrorType::UnknownPskIdentity,
        AlertDescription::UnrecognizedName => ErrorType::UnrecognizedName,
        AlertDescription::NoApplicationProtocol => ErrorType::NoApplicationProtocol,
        AlertDescription::EchRequired => ErrorType::EchRequired,
        _ => ErrorType::Other,
    }
}

/// The class of an alert, if it is about the peer's certificate or the lack of one.
pub(super) fn certificate_refused(description: AlertDescription) -> Option<ErrorType> {
    let class = class(description);
    let is_about_it = is_refusal(class)
        || matches!(
            class,
            ErrorType::MissingClientCert | ErrorType::AccessDenied
        );
    is_about_it.then_some(class)
}

/// Whether an alert is about the peer's certificate, so that its sender has received that.
pub(super) fn is_about_certificate(description: AlertDescription) -> bool {
    is_refusal(class(description))
}

/// Whether an alert of this class is about the peer's certificate.
const fn is_refusal(error_type: ErrorType) -> bool {
    matches!(
        error_type,
        ErrorType::BadCertificate
            | ErrorType::UnsupportedCertificate
            | ErrorType::CertRevoked
            | ErrorType::CertExpired
            | ErrorType::CertificateUnknown
            | ErrorType::UnknownCa
    )
}

/// A side gave up without saying why, and its peer's certificate, which it had received, or the lack of one is the likely reason.
pub(super) fn inferred_refusal(side: Side, error_type: ErrorType) -> FailureCause {
    let message = match error_type {
        ErrorType::MissingClientCert => {
            "server asked for a client certificate, received none and ended the handshake"
                .to_owned()
        }
        _ => format!(
            "{side} ended the handshake after it received the {}'s certificate",
            side.peer()
        ),
    };
    FailureCause {
        error_type,
        side,
        message,
        is_refusal: error_type != ErrorType::MissingClientCert,
        hint: None,
        is_by_another_host: false,
    }
}

/// The same where it is not known what the peer had sent: whether its flight was complete, or had a certificate in it.
pub(super) fn refusal_of_flight(side: Side) -> FailureCause {
    let error_type = match side {
        Side::Client => ErrorType::ClientRejectedServer,
        Side::Server => ErrorType::ServerRejectedClient,
    };
    FailureCause {
        message: format!(
            "{side} ended the handshake in answer to the {}'s flight",
            side.peer()
        ),
        ..inferred_refusal(side, error_type)
    }
}

/// A server gave up on a client whose flight it had, and did not say why.
pub(super) fn inferred_refusal_of_client(certificate: ClientCertificate) -> FailureCause {
    match certificate {
        ClientCertificate::Absent => inferred_refusal(Side::Server, ErrorType::MissingClientCert),
        ClientCertificate::Presented => {
            inferred_refusal(Side::Server, ErrorType::ServerRejectedClient)
        }
        _ => refusal_of_flight(Side::Server),
    }
}

/// A client gave up on a server, and did not say why; `has_certificate` is whether it is known to have received its certificate.
pub(super) fn inferred_refusal_of_server(has_certificate: bool) -> FailureCause {
    if has_certificate {
        inferred_refusal(Side::Client, ErrorType::ClientRejectedServer)
    } else {
        refusal_of_flight(Side::Client)
    }
}

/// A side ended the handshake with a CONNECTION_CLOSE frame.
pub(super) fn quic_close(transcript: &Transcript, side: Side, close: QuicClose) -> FailureCause {
    if let Some(code) = close.alert() {
        return from_alert(transcript, side, AlertDescription(code));
    }
    let error_type = match close.code {
        _ if close.is_application => ErrorType::ConnectionClosed,
        NO_ERROR | APPLICATION_ERROR => ErrorType::ConnectionClosed,
        INTERNAL_ERROR => ErrorType::InternalError,
        CONNECTION_REFUSED => ErrorType::ConnectionRefused,
        FRAME_ENCODING_ERROR => ErrorType::DecodeError,
        TRANSPORT_PARAMETER_ERROR => ErrorType::IllegalParameter,
        PROTOCOL_VIOLATION => ErrorType::UnexpectedMessage,
        VERSION_NEGOTIATION_ERROR => ErrorType::ProtocolMismatch,
        _ => ErrorType::Other,
    };
    let stage = stage(transcript, side, None);
    let message = match error_type {
        ErrorType::ConnectionRefused => format!("{side} refused the connection {stage}: {close}"),
        _ => format!("{side} closed the connection {stage}: {close}"),
    };
    FailureCause::new(error_type, side, message)
}

/// A side closed the connection because of a certificate, although its peer cannot have shown one by then.
pub(super) fn premature_quic_close(side: Side, close: QuicClose) -> FailureCause {
    let peer = side.peer();
    let message = format!(
        "{side} closed the connection before it can have received the {peer}'s certificate: {close}"
    );
    FailureCause::new(ErrorType::ConnectionClosed, side, message)
}

// RFC 9000 §20.1, RFC 9368 §5.
const NO_ERROR: u64 = 0x00;
const INTERNAL_ERROR: u64 = 0x01;
const CONNECTION_REFUSED: u64 = 0x02;
const FRAME_ENCODING_ERROR: u64 = 0x07;
const TRANSPORT_PARAMETER_ERROR: u64 = 0x08;
const PROTOCOL_VIOLATION: u64 = 0x0a;
const APPLICATION_ERROR: u64 = 0x0c;
const VERSION_NEGOTIATION_ERROR: u64 = 0x11;

/// A client gave up because the server supports no version of QUIC that it does.
pub(super) fn no_quic_version(offered: QuicVersion, supported: &[QuicVersion]) -> FailureCause {
    let listed = supported.iter().filter(|version| version.0 != 0);
    let listed: Vec<String> = listed.map(ToString::to_string).collect();
    let listed = match &listed[..] {
        [] => "no version in common".to_owned(),
        listed => listed.join(", "),
    };
    // RFC 9000 §15: a client that offers one wants to learn the server's versions.
    let reserved = match offered.is_reserved() {
        true => " (reserved: no server supports it)",
        false => "",
    };
    let message =
        format!("client offered {offered}{reserved}, server supports {listed}; the client gave up");
    FailureCause::new(ErrorType::ProtocolMismatch, Side::Client, message)
}

/// The server sent nothing at all.
pub(super) fn unanswered_quic(times: usize, waited: Duration) -> FailureCause {
    let message = format!(
        "server did not answer the ClientHello for {} (sent {times} times)",
        span(waited)
    );
    FailureCause::new(ErrorType::NoServerHello, Side::Server, message)
}

/// ICMP reports that datagrams of `sender` were not delivered.
///
/// A host that reports its own port as unreachable has no program there, or does not want to be asked: that is the doing of this
/// side. All else is that of the network.
pub(super) fn undelivered(
    transcript: &Transcript,
    sender: Side,
    seen: &Undelivered,
) -> FailureCause {
    let receiver = sender.peer();
    if seen.reason == Undeliverable::Port && seen.is_from_receiver {
        let reports = "its host reports the port as unreachable (ICMP)";
        let has_answered = receiver == Side::Client || transcript.peer(receiver).has_answered;
        if has_answered || transcript.is_past_server_hello() {
            let stage = stage(transcript, receiver, None);
            let message = format!("{receiver} closed its port {stage}: {reports}");
            return FailureCause::new(ErrorType::ConnectionClosed, receiver, message);
        }
        let message = format!("server refused the ClientHello: {reports}");
        return FailureCause {
            hint: Some(
                "check that the server listens on this UDP port, and that no firewall rejects it"
                    .to_owned(),
            ),
            ..FailureCause::new(ErrorType::ConnectionRefused, receiver, message)
        };
    }
    let size = match (seen.is_too_big(), seen.length) {
        (true, length @ 1..) => format!(" of {} bytes", length),
        _ => String::new(),
    };
    let link = match seen.reason {
        Undeliverable::TooBig { mtu: mtu @ 1.. } => {
            format!(", the link carries packets of {} bytes", mtu)
        }
        _ => String::new(),
    };
    let (reporter, reason) = (seen.reporter, seen.reason);
    let message = format!(
        "the {sender}'s datagrams{size} were not delivered: {reporter} reports {reason}{link} (ICMP)"
    );
    FailureCause::new(ErrorType::NotDelivered, sender, message)
}

/// A side ended the handshake with an alert that cannot be read.
pub(super) fn encrypted_alert(side: Side) -> FailureCause {
    FailureCause::new(
        ErrorType::Other,
        side,
        format!("{side} ended the handshake with an encrypted alert"),
    )
}

/// A side refused what the hellos offer, after the ServerHello.
pub(super) fn negotiation(side: Side) -> FailureCause {
    FailureCause::new(
        ErrorType::HandshakeFailure,
        side,
        format!("{side} refused the peer's parameters after its ServerHello"),
    )
}

/// A side ended a renegotiation, with an alert that cannot be read or without one.
pub(super) fn renegotiation(side: Side, certificate: ClientCertificate) -> FailureCause {
    let (error_type, why) = match (side, certificate) {
        (Side::Server, ClientCertificate::Absent) => (
            ErrorType::MissingClientCert,
            ", in which the client had sent no certificate",
        ),
        (Side::Server, ClientCertificate::Presented) => (
            ErrorType::ServerRejectedClient,
            ", in which the client had sent a certificate",
        ),
        _ => (ErrorType::HandshakeFailure, ""),
    };
    let message = format!("{side} ended the renegotiation{why}");
    FailureCause::new(error_type, side, message)
}

/// The same with the alert that ended it.
pub(super) fn renegotiation_alert(
    cause: FailureCause,
    description: AlertDescription,
) -> FailureCause {
    let error_type = match cause.error_type {
        ErrorType::MissingClientCert => ErrorType::MissingClientCert,
        _ => class(description),
    };
    FailureCause {
        error_type,
        message: format!("{}: {description} ({})", cause.message, description.0),
        ..cause
    }
}

/// The server's answer was something else than TLS; with `is_banner`, the server said it before the ClientHello, and nothing after.
pub(super) fn not_tls(transcript: &Transcript, is_banner: bool) -> FailureCause {
    // A banner may cross the hello on its way.
    let is_unheard = transcript.delivery(Side::Client).acknowledged == Some(0);
    let message = if is_banner {
        "server spoke plaintext before the ClientHello, and did not answer that"
    } else if is_unheard {
        "server spoke plaintext before the ClientHello reached it"
    } else {
        "server's answer to the ClientHello is not TLS"
    };
    FailureCause::new(ErrorType::NotTls, Side::Server, message.to_owned())
}

/// A side closed the connection.
pub(super) fn closed(transcript: &Transcript, side: Side, close: Close) -> FailureCause {
    let at = transcript.peer(side).closing.first();
    let stage = stage(transcript, side, at.map(|(_, at)| at));
    match close {
        Close::Fin => FailureCause::new(
            ErrorType::ConnectionClosed,
            side,
            format!("{side} closed the connection {stage}"),
        ),
        Close::Rst => {
            let error_type = ErrorType::ConnectionReset;
            match transcript.delivery(side).reset {
                // Only another host resets a connection that the side still uses.
                Some(reset) if reset.was_ignored_by_sender => FailureCause {
                    is_by_another_host: true,
                    ..FailureCause::new(
                        error_type,
                        side,
                        format!(
                            "connection was reset {stage} in the {side}'s name, by a host in between: the {side} went on"
                        ),
                    )
                },
                // A load balancer that answers the SYN for its servers has another hop limit than they have, too.
                Some(reset) if reset.has_other_hop_limit => FailureCause::new(
                    error_type,
                    side,
                    format!(
                        "{side} reset the connection {stage}, or a host in between in its name: the reset has another hop limit (TTL)"
                    ),
                ),
                _ => FailureCause::new(
                    error_type,
                    side,
                    format!("{side} reset the connection {stage}"),
                ),
            }
        }
    }
}

/// Nothing more came from the side that had to speak next, for the time `waited` if that is known. `closer` is the side that
/// gave up waiting and closed the connection, and when.
pub(super) fn silence(
    transcript: &Transcript,
    owing: Side,
    waited: Option<Duration>,
    closer: Option<(Side, Arrival)>,
) -> FailureCause {
    let hello = transcript.client_hello();
    let has_left_early =
        closer.is_some_and(|(_, at)| transcript.had_received_hello(at) == Some(false));
    let is_unanswered = has_left_early
        || !transcript.is_past_server_hello() && !transcript.peer(Side::Server).has_answered;
    let (error_type, what) = if hello.is_some_and(|hello| hello.is_partial) {
        let what = "client did not finish its ClientHello".to_owned();
        (ErrorType::HandshakeTimeout, what)
    } else if owing == Side::Server && is_unanswered {
        let answer = transcript.delivery(Side::Server).last_data;
        let has_begun = !has_left_early
            && transcript.is_amid_message(Side::Server)
            && answer.is_some_and(|answer| answer > transcript.start().time);
        let what = match has_begun {
            true => "server did not complete its answer to the ClientHello",
            false => "server did not answer the ClientHello",
        };
        (ErrorType::NoServerHello, what.to_owned())
    } else {
        let what = format!("{owing} fell silent {}", stage(transcript, owing, None));
        (ErrorType::HandshakeTimeout, what)
    };
    let time = waited.map(|waited| format!(" for {}", span(waited)));
    let receipt = (error_type == ErrorType::NoServerHello)
        .then(|| receipt(transcript.delivery(Side::Client)));
    let gave_up = closer.map(|(closer, _)| format!("; then the {closer} closed the connection"));
    let message = [Some(what), time, receipt.flatten(), gave_up];
    FailureCause::new(error_type, owing, message.into_iter().flatten().collect())
}

/// Nothing came from the side that had to speak next in DTLS, although its peer sent its flight again and again.
pub(super) fn unanswered_flight(
    transcript: &Transcript,
    owing: Side,
    copies: Outstanding,
) -> FailureCause {
    let client = transcript.peer(Side::Client);
    let has_flight = transcript.has_message(HandshakeType::ClientKeyExchange);
    // An empty Certificate message answers a request, even if the capture lacks that (RFC 5246 §7.4.6).
    let lacks_certificate = owing == Side::Server && has_flight && client.has_empty_certificate();
    let (error_type, what) = if lacks_certificate {
        let what = "server asked for a client certificate, received none and fell silent";
        (ErrorType::MissingClientCert, what.to_owned())
    } else if owing == Side::Server && !transcript.is_past_server_hello() {
        let what = "server did not answer the ClientHello".to_owned();
        (ErrorType::NoServerHello, what)
    } else {
        let what = format!("{owing} fell silent {}", stage(transcript, owing, None));
        (ErrorType::HandshakeTimeout, what)
    };
    let message = format!(
        "{what}: the {} sent its flight {} times in {}",
        owing.peer(),
        copies.times,
        span(copies.repeated_for())
    );
    FailureCause::new(error_type, owing, message)
}

/// Whether the ClientHello arrived, as far as TCP shows it.
fn receipt(hello: &DeliveryState) -> Option<String> {
    match hello.outstanding_data() {
        Some(lost) => Some(format!(" (sent {} times, never acknowledged)", lost.times)),
        None if hello.acknowledged.is_some() => Some(" (it had acknowledged it)".to_owned()),
        None => None,
    }
}

/// The server refused a login over EAP before the handshake was complete, and did not say why.
pub(super) fn eap_rejected(transcript: &Transcript, is_amid_flight: bool) -> FailureCause {
    let (error_type, what) = if answers_hello(transcript, Side::Server) && !is_amid_flight {
        let what = "refused the ClientHello without an alert";
        (ErrorType::HandshakeFailure, what.to_owned())
    } else if is_amid_flight {
        let what = "ended the conversation before it had sent all fragments of its flight";
        (ErrorType::ConnectionClosed, what.to_owned())
    } else {
        let stage = stage(transcript, Side::Server, None);
        let what = format!("ended the conversation {stage}");
        (ErrorType::ConnectionClosed, what)
    };
    let message = format!("server {what}: the login was rejected");
    FailureCause::new(error_type, Side::Server, message)
}

/// The client answered the server's whole flight with nothing of TLS, and the login was rejected.
pub(super) fn eap_gave_up() -> FailureCause {
    let message = "client answered the server's flight without TLS data; the login was rejected";
    FailureCause::new(
        ErrorType::ConnectionClosed,
        Side::Client,
        message.to_owned(),
    )
}

/// A packet of a login over EAP that `owing` did not answer.
pub(super) fn eap_unanswered(
    transcript: &Transcript,
    owing: Side,
    times: u16,
    time: Duration,
) -> FailureCause {
    let error_type = match owing {
        Side::Server if !transcript.is_past_server_hello() => ErrorType::NoServerHello,
        _ => ErrorType::HandshakeTimeout,
    };
    let time = span(time);
    let message = format!("{owing} did not answer: it was asked {times} times in {time}");
    FailureCause::new(error_type, owing, message)
}

/// Data of `sender` that the network lost.
pub(super) fn not_delivered(sender: Side, delivery: &DeliveryState) -> FailureCause {
    let receiver = sender.peer();
    let message = match (delivery.hole, delivery.outstanding_data()) {
        (None, None) if delivery.unseen > 0 => format!(
            "{} bytes of the {sender} never reached the {receiver}: the {sender}'s sequence numbers show that it sent them, and they were never acknowledged",
            delivery.unseen
        ),
        (None, Some(lost)) => format!(
            "{} bytes of the {sender} never reached the {receiver}: sent {} times in {}, never acknowledged",
            lost.length,
            lost.times,
            span(lost.repeated_for())
        ),
        (hole, _) => format!(
            "{} bytes of the {sender} never reached the {receiver}, which received later ones: the network lost them",
            hole.map_or(0, |(bytes, _)| bytes)
        ),
    };
    FailureCause::new(ErrorType::NotDelivered, sender, message)
}

/// The rest of the server's flight did not come, and the FIN of the client did not arrive either.
pub(super) fn path_died(fin: Outstanding) -> FailureCause {
    let message = format!(
        "rest of the server's flight never reached the client, whose FIN was never acknowledged either: sent {} times in {}",
        fin.times,
        span(fin.repeated_for())
    );
    FailureCause::new(ErrorType::NotDelivered, Side::Server, message)
}

/// A time as in `5.0 s`.
/// A duration for people: `2.5 s`, `3 min 20 s`, `5 h 12 min`, `2 days 7 h`. What is under two minutes is often compared with timers,
/// which have seconds.
fn span(time: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let whole = time.as_secs();
    match whole {
        0..120 => format!("{:.1} s", time.as_secs_f64()),
        120..HOUR => format!("{} min {} s", whole / MINUTE, whole % MINUTE),
        HOUR..DAY => format!("{} h {} min", whole / HOUR, whole % HOUR / MINUTE),
        DAY.. => {
            let days = whole / DAY;
            let unit = if days == 1 { "day" } else { "days" };
            format!("{days} {unit} {} h", whole % DAY / HOUR)
        }
    }
}

/// How far the handshake had come, for `side` when it acted `at` a moment: what it had not received then did not count.
fn stage(transcript: &Transcript, side: Side, at: Option<Arrival>) -> &'static str {
    if let Some(at) = at.filter(|_| side == Side::Client) {
        if transcript.had_received_hello(at) == Some(false) {
            return "before the ServerHello reached it";
        }
        if transcript.had_received_flight(side, at) == Some(false) {
            return "during the server's flight";
        }
    }
    if !transcript.is_past_server_hello() {
        return "before the ServerHello";
    }
    if transcript.is_tls13() || transcript.has_unreadable_hello() {
        return "after the ServerHello";
    }
    if transcript.has_message(HandshakeType::ClientKeyExchange) {
        "after the client's key exchange"
    } else if transcript.has_message(HandshakeType::ServerHelloDone) {
        "after the server's flight"
    } else {
        "during the server's flight"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::end::End;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, tls12};
    use crate::tls::CipherSuite;
    use crate::transport::tcp::ResetSeen;

    const AT: Arrival = Arrival::new(crate::time::Timestamp::from_seconds(5), 9);

    #[test]
    fn plain_text_that_crosses_the_hello_is_no_answer_to_it() {
        let hello = || connection().client_hello(|_| {}).not_tls(SERVER);
        let message = |script: &Script| not_tls(&script.transcript, false).message;
        let crossed = hello().delivery(CLIENT, |delivery| delivery.acknowledged = Some(0));
        assert!(message(&crossed).ends_with("before the ClientHello reached it"));
        let answered = hello().delivery(CLIENT, |delivery| delivery.acknowledged = Some(517));
        assert!(message(&answered).ends_with("is not TLS"));
    }

    #[test]
    fn durations_have_the_unit_that_people_would_choose() {
        let text = |milliseconds| span(Duration::from_millis(milliseconds));
        assert_eq!(text(2_540), "2.5 s");
        assert_eq!(text(119_900), "119.9 s");
        assert_eq!(text(120_000), "2 min 0 s");
        assert_eq!(text(3_600_000), "1 h 0 min");
        assert_eq!(text(86_399_000), "23 h 59 min");
        assert_eq!(text(86_400_000), "1 day 0 h");
        assert_eq!(text(200_000_000), "2 days 7 h");
    }

    #[test]
    fn a_certificate_that_the_capture_lacks_is_mentioned_with_its_refusal() {
        let said = |script: Script| alert(&script, CLIENT, AlertDescription::BadCertificate);
        let (class, message) = said(tls12().gap(SERVER));
        assert_eq!(class, ErrorType::BadCertificate);
        assert!(message.ends_with("; the capture lacks the certificate, which may show why"));
        let (class, message) = said(with_server_certificate());
        assert_eq!(class, ErrorType::BadCertificate);
        assert!(message.ends_with("bad_certificate (42)"), "{message}");
        // In TLS 1.3 it would not be readable.
        let (_, message) = said(full().gap(SERVER));
        assert!(!message.contains("lacks"), "{message}");
    }

    /// What an alert of a side means at this point.
    fn alert(script: &Script, side: Side, description: AlertDescription) -> (ErrorType, String) {
        let cause = from_alert(&script.transcript, side, description);
        assert_eq!(cause.side, side);
        (cause.error_type, cause.message)
    }

    fn alert_class(script: &Script, side: Side, code: u8) -> ErrorType {
        alert(script, side, AlertDescription(code)).0
    }

    /// The server has sent a certificate.
    fn with_server_certificate() -> Script {
        tls12().message(SERVER, HandshakeType::Certificate, &[0, 0, 4, 0, 0, 1, 0])
    }

    /// The client has sent a Certificate message without certificates.
    fn with_empty_certificate() -> Script {
        tls12().message(CLIENT, HandshakeType::Certificate, &[0, 0, 0])
    }

    #[test]
    fn each_alert_has_its_class() {
        use ErrorType as E;
        let classes = [
            (0, E::ConnectionClosed),
            (10, E::UnexpectedMessage),
            (20, E::BadRecordMac),
            (21, E::BadRecordMac),
            (22, E::DecodeError),
            (30, E::DecodeError),
            (40, E::HandshakeFailure),
            (41, E::MissingClientCert),
            (42, E::BadCertificate),
            (43, E::UnsupportedCertificate),
            (44, E::CertRevoked),
            (45, E::CertExpired),
            (46, E::CertificateUnknown),
            (47, E::IllegalParameter),
            (48, E::UnknownCa),
            (49, E::AccessDenied),
            (50, E::DecodeError),
            (51, E::DecryptError),
            (60, E::InsufficientSecurity),
            (70, E::ProtocolMismatch),
            (71, E::InsufficientSecurity),
            (80, E::InternalError),
            (86, E::InappropriateFallback),
            (90, E::UserCanceled),
            (100, E::NoRenegotiation),
            (109, E::MissingExtension),
            (110, E::IllegalParameter),
            (112, E::UnrecognizedName),
            (113, E::BadCertificate),
            (114, E::BadCertificate),
            (115, E::UnknownPskIdentity),
            (116, E::MissingClientCert),
            (120, E::NoApplicationProtocol),
            (121, E::EchRequired),
        ];
        for code in 0..=u8::MAX {
            let class = classes.iter().find(|(known, _)| *known == code);
            let class = class.map_or(E::Other, |(_, class)| *class);
            assert_eq!(alert_class(&tls12(), SERVER, code), class, "alert {code}");
        }
    }

    #[test]
    fn a_servers_handshake_failure_means_nothing_in_common_only_for_a_narrow_offer() {
        let before = connection().client_hello(|hello| {
            hello.cipher_suites = vec![CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA];
            hello.supported_versions = None;
        });
        assert_eq!(alert_class(&before, SERVER, 40), ErrorType::CipherMismatch);
        let ordinary = connection().client_hello(|hello| {
            hello.cipher_suites = vec![
                CipherSuite::TLS_AES_128_GCM_SHA256,
                CipherSuite::TLS_AES_256_GCM_SHA384,
            ];
        });
        assert_eq!(
            alert_class(&ordinary, SERVER, 40),
            ErrorType::HandshakeFailure
        );
        assert_eq!(
            alert_class(&tls12(), SERVER, 40),
            ErrorType::HandshakeFailure
        );
        assert_eq!(
            alert_class(&before, CLIENT, 40),
            ErrorType::HandshakeFailure
        );
    }

    #[test]
    fn a_refusal_after_an_empty_certificate_message_is_about_the_lack_of_one() {
        for code in [40, 42, 46, 48, 50] {
            let class = alert_class(&with_empty_certificate(), SERVER, code);
            assert_eq!(class, ErrorType::MissingClientCert, "alert {code}");
        }
        // An alert about something else, of the other side, and after a certificate.
        let internal = alert_class(&with_empty_certificate(), SERVER, 80);
        assert_eq!(internal, ErrorType::InternalError);
        let client = alert_class(&with_empty_certificate(), CLIENT, 42);
        assert_eq!(client, ErrorType::BadCertificate);
        let shown = tls12().message(CLIENT, HandshakeType::Certificate, &[0, 0, 4, 0, 0, 1, 0]);
        assert_eq!(alert_class(&shown, SERVER, 42), ErrorType::BadCertificate);
    }

    #[test]
    fn messages_say_who_refused_what() {
        let said = |script: &Script, side, code| alert(script, side, AlertDescription(code)).1;
        assert_eq!(
            said(&with_server_certificate(), CLIENT, 48),
            "client refused the server's certificate: unknown_ca (48)"
        );
        // Nobody refuses what it was not shown.
        assert_eq!(
            said(&tls12(), CLIENT, 48),
            "client ended the handshake: unknown_ca (48)"
        );
        assert_eq!(
            said(&connection().client_hello(|_| {}), SERVER, 46),
            "server refused the ClientHello: certificate_unknown (46); offered: TLS 1.2 to TLS 1.3, \
             0 cipher suites, no server name"
        );
        assert_eq!(
            said(&with_server_certificate(), SERVER, 42),
            "server ended the handshake: bad_certificate (42)"
        );
        // In TLS 1.3 certificates are hidden.
        assert_eq!(
            said(&full(), CLIENT, 48),
            "client refused the server's certificate: unknown_ca (48)"
        );
        assert_eq!(
            said(&tls12(), SERVER, 70),
            "server found no protocol version in common: protocol_version (70)"
        );
        let narrow = connection().client_hello(|hello| {
            hello.cipher_suites = vec![CipherSuite::TLS_AES_128_CCM_SHA256];
        });
        assert_eq!(
            said(&narrow, SERVER, 40),
            "server found no parameters in common: handshake_failure (40); the client offers only \
             TLS_AES_128_CCM_SHA256; offered: TLS 1.2 to TLS 1.3, TLS_AES_128_CCM_SHA256, no server name"
        );
        assert_eq!(
            said(&tls12(), SERVER, 116),
            "server required a client certificate and got none: certificate_required (116)"
        );
        assert_eq!(
            said(&tls12(), SERVER, 80),
            "server ended the handshake: internal_error (80)"
        );
    }

    #[test]
    fn a_message_says_that_a_certificate_was_received_only_if_one_was() {
        let by_server = |certificate| inferred_refusal_of_client(certificate).message;
        let received = "server ended the handshake after it received the client's certificate";
        assert_eq!(by_server(ClientCertificate::Presented), received);
        let answered = "server ended the handshake in answer to the client's flight";
        for certificate in [
            ClientCertificate::Requested,
            ClientCertificate::NotRequested,
            ClientCertificate::Unknown,
        ] {
            assert_eq!(by_server(certificate), answered);
        }
        let message = |script: Script| {
            let conclusion = script.conclude(End::CaptureEnd, &[]);
            conclusion.failure.unwrap().message
        };
        let whole = full().server_flight().client_records(&[19]);
        assert_eq!(
            message(whole),
            "client ended the handshake after it received the server's certificate"
        );
        let begun = full().server_records(&[23, 100]).client_records(&[19]);
        let answered = "client ended the handshake in answer to the server's flight";
        assert_eq!(message(begun), answered);
        let crossed = full().server_flight().before_receiving(1);
        assert_eq!(message(crossed.client_records(&[19])), answered);
        let block = 512 + 16;
        let hidden = full().server_flight_with_request();
        let hidden = hidden.client_records(&[block, block]).server_records(&[19]);
        assert_eq!(
            message(hidden.fin(SERVER).fin(CLIENT)),
            "server ended the handshake in answer to the client's flight"
        );
    }

    #[test]
    fn only_refusals_of_a_certificate_are_open_to_findings() {
        let is_refusal = |code| {
            let script = with_server_certificate();
            from_alert(&script.transcript, CLIENT, AlertDescription(code)).is_refusal
        };
        assert!(is_refusal(42) && is_refusal(46) && is_refusal(48));
        assert!(!is_refusal(40) && !is_refusal(80));
        assert!(inferred_refusal(CLIENT, ErrorType::ClientRejectedServer).is_refusal);
        assert!(!inferred_refusal(SERVER, ErrorType::MissingClientCert).is_refusal);
        let script = connection().client_hello(|_| {});
        let not_tls = not_tls(&script.transcript, false);
        for other in [encrypted_alert(CLIENT), negotiation(SERVER), not_tls] {
            assert!(!other.is_refusal);
        }
    }

    #[test]
    fn a_close_names_the_stage_that_the_handshake_had_reached() {
        let closed_at = |script: Script| closed(&script.transcript, SERVER, Close::Fin).message;
        let server_done = || tls12().message(SERVER, HandshakeType::ServerHelloDone, &[]);
        for (script, stage) in [
            (connection().client_hello(|_| {}), "before the ServerHello"),
            (full(), "after the ServerHello"),
            (tls12(), "during the server's flight"),
            (server_done(), "after the server's flight"),
            (
                server_done().message(CLIENT, HandshakeType::ClientKeyExchange, &[]),
                "after the client's key exchange",
            ),
        ] {
            let expected = format!("server closed the connection {stage}");
            assert_eq!(closed_at(script), expected);
        }
        let reset = closed(&tls12().transcript, CLIENT, Close::Rst);
        assert_eq!(reset.error_type, ErrorType::ConnectionReset);
        assert_eq!(
            reset.message,
            "client reset the connection during the server's flight"
        );
    }

    #[test]
    fn a_reset_by_a_host_in_between_is_not_the_sides_doing() {
        let reset = |has_other_hop_limit, was_ignored_by_sender| {
            let script = connection().client_hello(|_| {}).rst(SERVER);
            let at = crate::time::Timestamp::from_seconds(0);
            let script = script.delivery(SERVER, |delivery| {
                delivery.reset = Some(ResetSeen {
                    at,
                    has_other_hop_limit,
                    was_ignored_by_sender,
                });
            });
            let cause = closed(&script.transcript, SERVER, Close::Rst);
            assert_eq!(cause.error_type, ErrorType::ConnectionReset);
            (cause.blamed(), cause.message)
        };
        let (side, message) = reset(true, true);
        assert_eq!(side, None);
        assert!(
            message.contains("in between: the server went on"),
            "{message}"
        );
        let (side, message) = reset(true, false);
        assert_eq!(side, Some(SERVER));
        assert!(message.contains("another hop limit"), "{message}");
        let (side, message) = reset(false, false);
        assert_eq!(side, Some(SERVER));
        assert_eq!(
            message,
            "server reset the connection before the ServerHello"
        );
    }

    #[test]
    fn silence_names_what_did_not_come_and_the_time_waited() {
        let said = |script: Script, owing, closer| {
            let waited = Some(Duration::from_millis(5_040));
            let cause = silence(&script.transcript, owing, waited, closer);
            assert_eq!(cause.side, owing);
            (cause.error_type, cause.message)
        };
        let partial = connection().client_hello(|hello| hello.is_partial = true);
        assert_eq!(
            said(partial, CLIENT, None),
            (
                ErrorType::HandshakeTimeout,
                "client did not finish its ClientHello for 5.0 s".to_owned()
            )
        );
        let unanswered = || connection().client_hello(|_| {});
        let message = "server did not answer the ClientHello for 5.0 s (it had acknowledged it)";
        assert_eq!(
            said(unanswered(), SERVER, None),
            (ErrorType::NoServerHello, message.to_owned())
        );
        assert_eq!(
            said(unanswered(), SERVER, Some((CLIENT, AT))).1,
            format!("{message}; then the client closed the connection")
        );
        let warned = unanswered().warning(SERVER, AlertDescription::UnrecognizedName);
        assert_eq!(said(warned, CLIENT, None).0, ErrorType::HandshakeTimeout);
        assert_eq!(
            said(tls12(), SERVER, None).1,
            "server fell silent during the server's flight for 5.0 s"
        );
    }

    #[test]
    fn data_that_the_network_lost_is_the_doing_of_neither_side() {
        let repeated = connection()
            .client_hello(|_| {})
            .sent_again(CLIENT, 4, 1_448);
        let lost = not_delivered(CLIENT, repeated.transcript.delivery(CLIENT));
        assert_eq!(
            lost.message,
            "1448 bytes of the client never reached the server: sent 4 times in 7.0 s, never acknowledged"
        );
        assert_eq!(
            (lost.error_type, lost.blamed()),
            (ErrorType::NotDelivered, None)
        );
        let hole = tls12().lost_in_network(SERVER);
        assert_eq!(
            not_delivered(SERVER, hole.transcript.delivery(SERVER)).message,
            "1400 bytes of the server never reached the client, which received later ones: the network lost them"
        );
    }
}
