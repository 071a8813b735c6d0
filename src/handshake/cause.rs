//! Why a handshake failed, as a class and in words.

use std::sync::Arc;

use crate::certificate::{Certificate, TrustOrigin};
use crate::event::{ErrorType, Finding, HandshakeError, Side};
use crate::tls::{AlertDescription, HandshakeType, ProtocolVersion};

use super::transcript::Tracker;
use crate::framing::tls::Close;

/// A failure before the certificates were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error_type: ErrorType,
    pub(super) side: Option<Side>,
    pub(super) message: String,
    /// Whether it is the peer's certificate that was refused, so that findings about it may say why.
    pub(super) is_refusal: bool,
}

impl Failure {
    fn new(error_type: ErrorType, side: Side, message: String) -> Self {
        Self {
            error_type,
            side: Some(side),
            message,
            is_refusal: false,
        }
    }

    /// The error, its class made precise by what is wrong with the certificate refused.
    pub(super) fn refine(self, findings: &[Finding]) -> HandshakeError {
        let Self {
            mut error_type,
            side,
            mut message,
            is_refusal,
        } = self;
        let may_mean_anything = matches!(
            error_type,
            ErrorType::BadCertificate
                | ErrorType::CertificateUnknown
                | ErrorType::ClientRejectedServer
                | ErrorType::ServerRejectedClient
        );
        if is_refusal && may_mean_anything {
            let shown_by = side.map(Side::peer);
            let told = shown_by.and_then(|side| explain(findings, side));
            if let Some(finding) = told {
                error_type = finding.error_type;
                message = format!(
                    "{message}; the certificate of {}: {}",
                    finding.subject, finding.detail
                );
            }
        }
        HandshakeError {
            error_type,
            side,
            message,
        }
    }
}

/// Says of the refusal of a certificate what the findings on its chain explain of it.
///
/// `bad_certificate`, `certificate_unknown` and refusals without a code become
/// [`ErrorType::UnknownCa`] where the chain can hardly have led the peer to a root:
///
/// - its leaf is signed by its own key;
/// - it lacks an issuer, and is trusted once completed;
/// - it is not trusted, and the user named the roots (`trust` is [`TrustOrigin::Given`]).
///
/// That the roots of the system that observes do not include the chain's says little of
/// a peer with a trust store of its own: that is added in words, and the class
/// stays. So are a weak key and the like added, and what a peer that says `unknown_ca` may mean.
pub(super) fn explain_refusal(
    error: &mut HandshakeError,
    findings: &[Finding],
    trust: Option<TrustOrigin>,
) {
    let Some(shown_by) = error.side.map(Side::peer) else {
        return;
    };
    let find = |wanted: &[ErrorType]| {
        let mut shown = findings.iter().filter(|finding| finding.side == shown_by);
        shown.find(|finding| wanted.contains(&finding.error_type))
    };
    let is_untrusted = || find(&[ErrorType::UntrustedCa]).is_some();
    let told = match error.error_type {
        ErrorType::UnknownCa => find(UNKNOWN_CA_FINDINGS),
        ErrorType::BadCertificate
        | ErrorType::CertificateUnknown
        | ErrorType::ClientRejectedServer
        | ErrorType::ServerRejectedClient => {
            let told = find(UNKNOWN_CA_FINDINGS);
            if told.is_some() && (!is_untrusted() || trust == Some(TrustOrigin::Given)) {
                error.error_type = ErrorType::UnknownCa;
            }
            told.or_else(|| find(OTHER_FINDINGS))
        }
        ErrorType::UnsupportedCertificate => find(OTHER_FINDINGS),
        _ => None,
    };
    if let Some(finding) = told {
        error.message = format!(
            "{}; the certificate of {}: {}",
            error.message, finding.subject, finding.detail
        );
    }
}

/// Says of a server's refusal which authorities it had asked for, where the client showed nothing of theirs.
///
/// The request tells what the server trusts: so a refusal that could mean anything is [`ErrorType::UnknownCa`] then.
pub(super) fn explain_request(
    error: &mut HandshakeError,
    asked_for: &[String],
    shown: &[Arc<Certificate>],
) {
    const NAMED: usize = 3; // a clause for people: the event lists all of them
    let is_about_client = error.side == Some(Side::Server)
        && matches!(
            error.error_type,
            ErrorType::MissingClientCert
                | ErrorType::UnknownCa
                | ErrorType::BadCertificate
                | ErrorType::CertificateUnknown
                | ErrorType::ServerRejectedClient
        );
    let is_of_theirs = |certificate: &Arc<Certificate>| {
        let facts = certificate.facts.as_ref();
        facts.is_ok_and(|facts| asked_for.contains(&facts.issuer))
    };
    if !is_about_client || asked_for.is_empty() || shown.iter().any(is_of_theirs) {
        return;
    }
    if !shown.is_empty() && error.error_type != ErrorType::MissingClientCert {
        error.error_type = ErrorType::UnknownCa;
    }
    let named = asked_for.iter().take(NAMED);
    let mut names: Vec<String> = named.map(|name| format!("`{name}`")).collect();
    if asked_for.len() > NAMED {
        names.push(format!("{} more", asked_for.len() - NAMED));
    }
    error.message = format!(
        "{}; it had asked for a certificate by {}",
        error.message,
        names.join(", ")
    );
}

/// What makes a peer say that it does not know the issuer, the most telling first.
const UNKNOWN_CA_FINDINGS: &[ErrorType] = &[
    ErrorType::IncompleteChain,
    ErrorType::SelfSigned,
    ErrorType::UntrustedCa,
];

/// What else peers refuse certificates for.
const OTHER_FINDINGS: &[ErrorType] = &[
    ErrorType::BadCertificate,
    ErrorType::WeakKey,
    ErrorType::WeakSignature,
    ErrorType::UnsupportedCertificate,
];

/// The finding that explains why a certificate shown by `side` was refused.
pub(super) fn explain(findings: &[Finding], side: Side) -> Option<&Finding> {
    findings
        .iter()
        .find(|finding| finding.side == side && explains(finding.error_type))
}

/// Whether a finding is a reason for which peers refuse a certificate.
const fn explains(error_type: ErrorType) -> bool {
    matches!(
        error_type,
        ErrorType::CertExpired
            | ErrorType::CertNotYetValid
            | ErrorType::CertRevoked
            | ErrorType::HostnameMismatch
    )
}

/// The failure that an alert in the clear tells.
pub(super) fn from_alert(tracker: &Tracker, side: Side, description: AlertDescription) -> Failure {
    let error_type = refined_class(tracker, side, description);
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
    Failure {
        error_type,
        side: Some(side),
        message,
        is_refusal,
    }
}

/// An alert's class, made precise by where in the handshake it came.
fn refined_class(tracker: &Tracker, side: Side, description: AlertDescription) -> ErrorType {
    let class = class(description);
    let has_empty_certificate = tracker
        .peer(Side::Client)
        .certificate
        .as_ref()
        .is_some_and(|body| body.len() <= 3);
    match class {
        _ if side == Side::Client => class,
        ErrorType::HandshakeFailure if tracker.server_hello.is_none() => ErrorType::CipherMismatch,
        // Stacks have many words for this: handshake_failure, bad_certificate, decode_error.
        ErrorType::HandshakeFailure | ErrorType::DecodeError if has_empty_certificate => {
            ErrorType::MissingClientCert
        }
        _ if has_empty_certificate && is_refusal(class) => ErrorType::MissingClientCert,
        _ => class,
    }
}

/// The class of an alert by itself.
const fn class(description: AlertDescription) -> ErrorType {
    match description.0 {
        0 => ErrorType::ConnectionClosed,
        10 => ErrorType::UnexpectedMessage,
        51 => ErrorType::DecryptError,
        22 | 30 | 50 => ErrorType::DecodeError,
        40 => ErrorType::HandshakeFailure,
        41 | 116 => ErrorType::MissingClientCert,
        42 | 113 | 114 => ErrorType::BadCertificate,
        43 => ErrorType::UnsupportedCertificate,
        44 => ErrorType::CertRevoked,
        45 => ErrorType::CertExpired,
        46 => ErrorType::CertificateUnknown,
        47 | 110 => ErrorType::IllegalParameter,
        48 => ErrorType::UnknownCa,
        49 => ErrorType::AccessDenied,
        60 | 71 => ErrorType::CipherMismatch,
        70 => ErrorType::ProtocolMismatch,
        80 => ErrorType::InternalError,
        86 => ErrorType::InappropriateFallback,
        90 => ErrorType::UserCanceled,
        112 => ErrorType::UnrecognizedName,
        120 => ErrorType::NoApplicationProtocol,
        121 => ErrorType::EchRequired,
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

/// A side gave up without a word, and its peer's certificate (or the lack of one) is the likely reason.
pub(super) fn inferred_refusal(side: Side, error_type: ErrorType) -> Failure {
    let message = match error_type {
        ErrorType::MissingClientCert => {
            "server asked for a client certificate, got none and gave up".to_owned()
        }
        _ => format!(
            "{side} gave up when it had seen the {}'s certificate",
            side.peer()
        ),
    };
    Failure {
        error_type,
        side: Some(side),
        message,
        is_refusal: error_type != ErrorType::MissingClientCert,
    }
}

/// A side ended the handshake with an alert that cannot be read.
pub(super) fn encrypted_alert(side: Side) -> Failure {
    Failure::new(
        ErrorType::Other,
        side,
        format!("{side} ended the handshake with an encrypted alert"),
    )
}

/// A side refused what the hellos offer, after the ServerHello.
pub(super) fn negotiation(side: Side) -> Failure {
    Failure::new(
        ErrorType::HandshakeFailure,
        side,
        format!("{side} refused the peer's parameters after its ServerHello"),
    )
}

/// The server's answer was something else than TLS.
pub(super) fn not_tls() -> Failure {
    Failure::new(
        ErrorType::NotTls,
        Side::Server,
        "server's answer to the ClientHello is not TLS".to_owned(),
    )
}

/// A side closed the connection.
pub(super) fn closed(tracker: &Tracker, side: Side, close: Close) -> Failure {
    let stage = stage(tracker);
    match close {
        Close::Fin => Failure::new(
            ErrorType::ConnectionClosed,
            side,
            format!("{side} closed the connection {stage}"),
        ),
        Close::Rst => Failure::new(
            ErrorType::ConnectionReset,
            side,
            format!("{side} reset the connection {stage}"),
        ),
    }
}

/// Nothing more came.
pub(super) fn silence(tracker: &Tracker) -> Failure {
    if tracker
        .client_hello
        .as_ref()
        .is_some_and(|hello| hello.is_partial)
    {
        let message = "client did not finish its ClientHello".to_owned();
        return Failure::new(ErrorType::HandshakeTimeout, Side::Client, message);
    }
    if tracker.server_hello.is_none() && !tracker.peer(Side::Server).has_answered {
        return Failure::new(
            ErrorType::NoServerHello,
            Side::Server,
            "server did not answer the ClientHello".to_owned(),
        );
    }
    let side = tracker
        .last_sender
        .map_or(Side::Server, |sender| tracker.side(sender).peer());
    Failure::new(
        ErrorType::HandshakeTimeout,
        side,
        format!("{side} fell silent {}", stage(tracker)),
    )
}

/// How far the handshake had come.
fn stage(tracker: &Tracker) -> &'static str {
    if tracker.server_hello.is_none() {
        return "before the ServerHello";
    }
    if tracker.version().is_some_and(ProtocolVersion::is_tls13) {
        return "after the ServerHello";
    }
    if tracker.has_message(HandshakeType::ClientKeyExchange) {
        "after the client's key exchange"
    } else if tracker.has_message(HandshakeType::ServerHelloDone) {
        "after the server's flight"
    } else {
        "during the server's flight"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class that a refusal of the server's certificate becomes, and whether it is told why.
    fn explained(
        error_type: ErrorType,
        found: &[ErrorType],
        trust: Option<TrustOrigin>,
    ) -> (ErrorType, bool) {
        let finding = |side, error_type| Finding {
            error_type,
            side,
            detail: "detail".to_owned(),
            subject: "CN=leaf".to_owned(),
        };
        let mut findings = vec![finding(Side::Client, ErrorType::SelfSigned)]; // of no account
        findings.extend(found.iter().map(|&found| finding(Side::Server, found)));
        let mut error = HandshakeError {
            error_type,
            side: Some(Side::Client),
            message: "refused".to_owned(),
        };
        explain_refusal(&mut error, &findings, trust);
        let is_told = match error.message.as_str() {
            "refused" => false,
            "refused; the certificate of CN=leaf: detail" => true,
            other => panic!("{other}"),
        };
        (error.error_type, is_told)
    }

    const VAGUE: [ErrorType; 3] = [
        ErrorType::BadCertificate,
        ErrorType::CertificateUnknown,
        ErrorType::ClientRejectedServer,
    ];

    #[test]
    fn a_vague_refusal_of_what_leads_to_no_root_is_unknown_ca() {
        let (system, given) = (Some(TrustOrigin::System), Some(TrustOrigin::Given));
        for vague in VAGUE {
            let self_signed = explained(vague, &[ErrorType::SelfSigned], None);
            assert_eq!(self_signed, (ErrorType::UnknownCa, true));
            let completed = explained(vague, &[ErrorType::IncompleteChain], system);
            assert_eq!(completed, (ErrorType::UnknownCa, true));
            let named = explained(vague, &[ErrorType::UntrustedCa], given);
            assert_eq!(named, (ErrorType::UnknownCa, true));
        }
    }

    #[test]
    fn the_observers_own_roots_do_not_decide_for_the_peer() {
        for vague in VAGUE {
            let system = Some(TrustOrigin::System);
            let untrusted = explained(vague, &[ErrorType::UntrustedCa], system);
            assert_eq!(untrusted, (vague, true));
            let alone = [ErrorType::UntrustedCa, ErrorType::IncompleteChain];
            assert_eq!(explained(vague, &alone, system), (vague, true));
            assert_eq!(explained(vague, &[], system), (vague, false));
        }
    }

    #[test]
    fn a_client_of_another_authority_than_those_asked_for_is_unknown_ca() {
        let refused = |error_type, asked_for: &[&str], shown: &[Arc<Certificate>]| {
            let mut error = HandshakeError {
                error_type,
                side: Some(Side::Server),
                message: "refused".to_owned(),
            };
            let asked_for: Vec<String> = asked_for.iter().map(|&name| name.to_owned()).collect();
            explain_request(&mut error, &asked_for, shown);
            (error.error_type, error.message)
        };
        let issuer = rcgen::CertificateParams::default();
        let issuer = rcgen::Issuer::new(issuer, rcgen::KeyPair::generate().unwrap());
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default().signed_by(&key, &issuer);
        let leaf = Certificate::from_der(leaf.unwrap().der());
        let name = leaf.facts.as_ref().unwrap().issuer.clone();
        let shown = [Arc::new(leaf)];
        let vague = ErrorType::CertificateUnknown;
        let said = "refused; it had asked for a certificate by `CN=other`".to_owned();
        assert_eq!(
            refused(vague, &["CN=other"], &shown),
            (ErrorType::UnknownCa, said.clone())
        );
        assert_eq!(refused(vague, &[&name], &shown).0, vague);
        assert_eq!(refused(vague, &[], &shown).0, vague);
        let missing = ErrorType::MissingClientCert;
        assert_eq!(refused(missing, &["CN=other"], &[]), (missing, said));
        let expired = ErrorType::CertExpired;
        assert_eq!(refused(expired, &["CN=other"], &shown).1, "refused");
    }

    #[test]
    fn what_else_is_wrong_is_told_and_changes_no_class() {
        let weak = explained(ErrorType::BadCertificate, &[ErrorType::WeakKey], None);
        assert_eq!(weak, (ErrorType::BadCertificate, true));
        let unknown_ca = explained(ErrorType::UnknownCa, &[ErrorType::UntrustedCa], None);
        assert_eq!(unknown_ca, (ErrorType::UnknownCa, true));
        let revoked = explained(ErrorType::CertRevoked, &[ErrorType::SelfSigned], None);
        assert_eq!(revoked, (ErrorType::CertRevoked, false));
        let near = explained(ErrorType::BadCertificate, &[ErrorType::NearExpiry], None);
        assert_eq!(near, (ErrorType::BadCertificate, false));
    }
}
