//! What certificates explain of a failure.
//!
//! The error of an event is decided in four steps. The first rests on messages
//! alone, and each later one may make its class more precise and add words:
//!
//! 1. [`cause`](super::cause): what an alert, a close or silence means where it came.
//! 2. [`by_findings`]: the dates, names and revocation of the certificate refused.
//! 3. [`by_chain`]: whether its chain leads to a root.
//! 4. [`by_request`]: the authorities that a server asked for.
//!
//! The first two run when the event is made. The last two run when chains have been
//! validated, which needs all events of the run in order: [`after_validation`].
//!
//! A class becomes more precise only if the peer's own word was vague. What the
//! observer finds never contradicts what a peer said.

use std::sync::Arc;

use crate::certificate::{Certificate, TrustOrigin};
use crate::error_type::ErrorType;
use crate::event::{Finding, Handshake, HandshakeError};
use crate::flow::Side;

use super::cause::FailureCause;

/// Step 2: the error, its class made precise by what is wrong with the certificate refused.
pub(super) fn by_findings(cause: FailureCause, findings: &[Finding]) -> HandshakeError {
    let reason = reason(findings, cause.side.peer());
    let mut error = HandshakeError {
        error_type: cause.error_type,
        side: cause.blamed(),
        message: cause.message,
    };
    if let Some(finding) = reason.filter(|_| cause.is_refusal && is_vague(error.error_type)) {
        error.error_type = finding.error_type;
        append(&mut error, finding);
    }
    error
}

/// Steps 3 and 4, once the chains of an event have been validated.
pub(super) fn after_validation(event: &mut Handshake, trust: Option<TrustOrigin>) {
    let Some(error) = &mut event.error else {
        return;
    };
    by_chain(error, &event.validation, trust);
    let asked_for = event.tls.certificate_authorities.as_deref();
    let shown = event.client_certificates.as_deref();
    by_request(
        error,
        asked_for.unwrap_or_default(),
        shown.unwrap_or_default(),
    );
}

/// Step 3: what the findings on a chain explain of its refusal.
///
/// `bad_certificate`, `certificate_unknown` and refusals without a code become
/// [`ErrorType::UnknownCa`] where the chain can hardly have led the peer to a root:
///
/// - its leaf is signed by its own key;
/// - it lacks an issuer, and is trusted once completed;
/// - it is not trusted, and the user named the roots (`trust` is [`TrustOrigin::Given`]).
///
/// That the observing system's own roots do not include the chain's says little about
/// a peer with another trust store: the message mentions it, and the class stays. The
/// message also mentions a weak key and the like, and what a peer's `unknown_ca` may mean.
fn by_chain(error: &mut HandshakeError, findings: &[Finding], trust: Option<TrustOrigin>) {
    let Some(shown_by) = error.side.map(Side::peer) else {
        return;
    };
    let find = |wanted: &[ErrorType]| {
        let mut shown = findings.iter().filter(|finding| finding.side == shown_by);
        shown.find(|finding| wanted.contains(&finding.error_type))
    };
    let is_untrusted = || find(&[ErrorType::UntrustedCa]).is_some();
    let reason = match error.error_type {
        ErrorType::UnknownCa => find(UNKNOWN_CA_FINDINGS),
        vague if is_vague(vague) => {
            let reason = find(UNKNOWN_CA_FINDINGS);
            if reason.is_some() && (!is_untrusted() || trust == Some(TrustOrigin::Given)) {
                error.error_type = ErrorType::UnknownCa;
            }
            reason.or_else(|| find(OTHER_FINDINGS))
        }
        ErrorType::UnsupportedCertificate => find(OTHER_FINDINGS),
        _ => None,
    };
    if let Some(finding) = reason {
        append(error, finding);
    }
}

/// Step 4: which authorities a server had asked for when it refused a client that showed nothing of theirs.
///
/// The request lists what the server trusts. So a vague refusal means [`ErrorType::UnknownCa`] then.
fn by_request(error: &mut HandshakeError, asked_for: &[String], shown: &[Arc<Certificate>]) {
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

/// The finding that explains why a certificate shown by `side` was refused.
pub(super) fn reason(findings: &[Finding], side: Side) -> Option<&Finding> {
    findings
        .iter()
        .find(|finding| finding.side == side && is_reason(finding.error_type))
}

/// Whether peers refuse certificates for a finding on dates, names or revocation.
const fn is_reason(error_type: ErrorType) -> bool {
    matches!(
        error_type,
        ErrorType::CertExpired
            | ErrorType::CertNotYetValid
            | ErrorType::CertRevoked
            | ErrorType::HostnameMismatch
    )
}

/// Whether a refusal of this class may have any reason: the peer said nothing precise, or nothing at all.
const fn is_vague(error_type: ErrorType) -> bool {
    matches!(
        error_type,
        ErrorType::BadCertificate
            | ErrorType::CertificateUnknown
            | ErrorType::ClientRejectedServer
            | ErrorType::ServerRejectedClient
    )
}

/// Why a peer may not know the issuer, the most specific first.
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

/// Adds a finding to the message.
fn append(error: &mut HandshakeError, finding: &Finding) {
    error.message = format!(
        "{}; the certificate of {}: {}",
        error.message, finding.subject, finding.detail
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::finding;

    /// The class that a refusal of the server's certificate becomes, and whether the message says why.
    fn explained(
        error_type: ErrorType,
        found: &[ErrorType],
        trust: Option<TrustOrigin>,
    ) -> (ErrorType, bool) {
        let mut findings = vec![finding(Side::Client, ErrorType::SelfSigned)]; // of the other side
        findings.extend(found.iter().map(|&found| finding(Side::Server, found)));
        let mut error = HandshakeError {
            error_type,
            side: Some(Side::Client),
            message: "refused".to_owned(),
        };
        by_chain(&mut error, &findings, trust);
        let is_explained = match error.message.as_str() {
            "refused" => false,
            "refused; the certificate of CN=leaf: detail" => true,
            other => panic!("{other}"),
        };
        (error.error_type, is_explained)
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
            by_request(&mut error, &asked_for, shown);
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
    fn other_flaws_are_mentioned_and_change_no_class() {
        let weak = explained(ErrorType::BadCertificate, &[ErrorType::WeakKey], None);
        assert_eq!(weak, (ErrorType::BadCertificate, true));
        let unknown_ca = explained(ErrorType::UnknownCa, &[ErrorType::UntrustedCa], None);
        assert_eq!(unknown_ca, (ErrorType::UnknownCa, true));
        let revoked = explained(ErrorType::CertRevoked, &[ErrorType::SelfSigned], None);
        assert_eq!(revoked, (ErrorType::CertRevoked, false));
        let near = explained(ErrorType::BadCertificate, &[ErrorType::NearExpiry], None);
        assert_eq!(near, (ErrorType::BadCertificate, false));
    }

    /// The class that a refusal of the server's certificate has by findings on dates and names.
    fn by_dates_and_names(error_type: ErrorType, is_refusal: bool, found: &[Finding]) -> String {
        let cause = FailureCause {
            error_type,
            side: Side::Client,
            message: "refused".to_owned(),
            is_refusal,
            is_by_another_host: false,
        };
        let error = by_findings(cause, found);
        assert_eq!(error.side, Some(Side::Client));
        format!("{}: {}", error.error_type.as_str(), error.message)
    }

    #[test]
    fn a_vague_refusal_becomes_the_first_flaw_that_peers_refuse_for() {
        let found = [
            finding(Side::Client, ErrorType::CertExpired), // of the other side
            finding(Side::Server, ErrorType::NearExpiry),  // no reason to refuse
            finding(Side::Server, ErrorType::HostnameMismatch),
            finding(Side::Server, ErrorType::CertExpired),
        ];
        for vague in VAGUE {
            assert_eq!(
                by_dates_and_names(vague, true, &found),
                "hostname_mismatch: refused; the certificate of CN=leaf: detail"
            );
            let unexplained = format!("{}: refused", vague.as_str());
            assert_eq!(by_dates_and_names(vague, true, &found[..2]), unexplained);
        }
    }

    #[test]
    fn a_precise_refusal_and_another_failure_keep_their_class() {
        let expired = [finding(Side::Server, ErrorType::CertExpired)];
        assert_eq!(
            by_dates_and_names(ErrorType::UnknownCa, true, &expired),
            "unknown_ca: refused"
        );
        assert_eq!(
            by_dates_and_names(ErrorType::ClientRejectedServer, false, &expired),
            "client_rejected_server: refused"
        );
    }
}
