//! Why a handshake failed, as a class and in words: the first of the four steps that [`explain`](super::explain) lists.

use crate::error_type::ErrorType;
use crate::flow::Side;
use crate::framing::Close;
use crate::tls::{AlertDescription, HandshakeType};

use super::transcript::Transcript;

/// Why a handshake failed, by its messages alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailureCause {
    pub(super) error_type: ErrorType,
    /// Who gave up.
    pub(super) side: Side,
    pub(super) message: String,
    /// Whether it is the peer's certificate that was refused, so that findings on it may say why.
    pub(super) is_refusal: bool,
}

impl FailureCause {
    fn new(error_type: ErrorType, side: Side, message: String) -> Self {
        Self {
            error_type,
            side,
            message,
            is_refusal: false,
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
    let is_refusal = is_refusal(error_type);
    let said = format!("{description} ({})", description.0);
    let peer = side.peer();
    let message = match error_type {
        ErrorType::MissingClientCert => {
            format!("server required a client certificate and got none: {said}")
        }
        ErrorType::ProtocolMismatch => {
            format!("{side} found no protocol version in common: {said}")
        }
        ErrorType::CipherMismatch => format!("{side} found no parameters in common: {said}"),
        _ if is_refusal => format!("{side} refused the {peer}'s certificate: {said}"),
        _ => format!("{side} ended the handshake: {said}"),
    };
    FailureCause {
        error_type,
        side,
        message,
        is_refusal,
    }
}

/// An alert's class, made precise by where in the handshake it came.
fn refined_class(transcript: &Transcript, side: Side, description: AlertDescription) -> ErrorType {
    let class = class(description);
    let has_empty_certificate = transcript.peer(Side::Client).has_empty_certificate();
    match class {
        _ if side == Side::Client => class,
        // A server that refuses a hello with handshake_failure found nothing in common with it.
        ErrorType::HandshakeFailure if transcript.server_hello().is_none() => {
            ErrorType::CipherMismatch
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
            ErrorType::CipherMismatch
        }
        AlertDescription::ProtocolVersion => ErrorType::ProtocolMismatch,
        AlertDescription::InternalError => ErrorType::InternalError,
        AlertDescription::InappropriateFallback => ErrorType::InappropriateFallback,
        AlertDescription::UserCanceled => ErrorType::UserCanceled,
        AlertDescription::UnrecognizedName => ErrorType::UnrecognizedName,
        AlertDescription::NoApplicationProtocol => ErrorType::NoApplicationProtocol,
        AlertDescription::EchRequired => ErrorType::EchRequired,
        _ => ErrorType::Other,
    }
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

/// A side gave up without saying why, and its peer's certificate (or the lack of one) is the likely reason.
pub(super) fn inferred_refusal(side: Side, error_type: ErrorType) -> FailureCause {
    let message = match error_type {
        ErrorType::MissingClientCert => {
            "server asked for a client certificate, got none and gave up".to_owned()
        }
        _ => format!(
            "{side} gave up when it had seen the {}'s certificate",
            side.peer()
        ),
    };
    FailureCause {
        error_type,
        side,
        message,
        is_refusal: error_type != ErrorType::MissingClientCert,
    }
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

/// The server's answer was something else than TLS.
pub(super) fn not_tls() -> FailureCause {
    FailureCause::new(
        ErrorType::NotTls,
        Side::Server,
        "server's answer to the ClientHello is not TLS".to_owned(),
    )
}

/// A side closed the connection.
pub(super) fn closed(transcript: &Transcript, side: Side, close: Close) -> FailureCause {
    let stage = stage(transcript);
    match close {
        Close::Fin => FailureCause::new(
            ErrorType::ConnectionClosed,
            side,
            format!("{side} closed the connection {stage}"),
        ),
        Close::Rst => FailureCause::new(
            ErrorType::ConnectionReset,
            side,
            format!("{side} reset the connection {stage}"),
        ),
    }
}

/// Nothing more came: the side that had to speak next is the one that failed.
pub(super) fn silence(transcript: &Transcript) -> FailureCause {
    let hello = transcript.client_hello();
    if hello.is_some_and(|hello| hello.is_partial) {
        let message = "client did not finish its ClientHello".to_owned();
        return FailureCause::new(ErrorType::HandshakeTimeout, Side::Client, message);
    }
    if transcript.server_hello().is_none() && !transcript.peer(Side::Server).has_answered {
        return FailureCause::new(
            ErrorType::NoServerHello,
            Side::Server,
            "server did not answer the ClientHello".to_owned(),
        );
    }
    let side = transcript.last_sender().map_or(Side::Server, Side::peer);
    FailureCause::new(
        ErrorType::HandshakeTimeout,
        side,
        format!("{side} fell silent {}", stage(transcript)),
    )
}

/// How far the handshake had come.
fn stage(transcript: &Transcript) -> &'static str {
    if transcript.server_hello().is_none() {
        return "before the ServerHello";
    }
    if transcript.is_tls13() {
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
