//! What certificates explain of a failure.
//!
//! The error of an event is decided in six steps. The first rests on messages
//! alone, and each later one may make its class more precise and add words:
//!
//! 1. [`cause`](super::cause): what an alert, a close or silence means where it came.
//! 2. [`by_findings`]: the dates, names and revocation of the certificate refused.
//! 3. [`by_silent_close`], [`by_chain`]: whether its chain leads to a root.
//! 4. [`by_address`]: whether it is valid for the server's address, where no name was asked for.
//! 5. [`by_request`]: the authorities that a server asked for.
//! 6. [`by_other_handshakes`]: what the server agreed on with other clients.
//!
//! The first two run when the event is made. The others run when chains have been
//! validated, which needs all events of the run in order: [`after_validation`].
//!
//! A class becomes more precise only if the peer's own word was vague. What the
//! observer finds never contradicts what a peer said.

use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::{Certificate, CertificateTime, TrustOrigin, name_mismatch};
use crate::error_type::ErrorType;
use crate::event::{
    Alert, ClosedBy, Evidence, Finding, Handshake, HandshakeError, Inference, Protocol,
    UnknownBecause,
};
use crate::flow::Side;
use crate::tls::AlertDescription;

use super::cause::{self, FailureCause};
use super::conflict::Conflict;
use super::known_servers::KnownServer;
use super::offer;
use super::verdict::{SENDS_NO_TICKETS, T3, rejected_after, rests_on_missing_tickets};

/// Step 2: the error, its class made precise by what is wrong with the certificate refused.
///
/// A vague refusal gets the class of the first flaw, and its message names the others, too. `certificate_expired` means
/// "expired or not currently valid" (RFC 8446 §6.2), so the dates say which.
pub(super) fn by_findings(cause: FailureCause, findings: &[Finding]) -> HandshakeError {
    let shown_by = cause.side.peer();
    let blamed = cause.blamed();
    let mut error = HandshakeError::new(cause.error_type, blamed, cause.message);
    error.hint = cause.hint;
    let of = |error_type| {
        let mut shown = findings.iter().filter(|finding| finding.side == shown_by);
        shown.find(|finding| finding.error_type == error_type)
    };
    // Perl's IO::Socket::SSL refuses a name so, and wpa_supplicant. OpenSSL says it if the program refuses a certificate without a reason.
    if let (Side::Client, ErrorType::InternalError, Some(mismatch)) = (
        cause.side,
        error.error_type,
        of(ErrorType::HostnameMismatch),
    ) {
        append(&mut error, mismatch);
    }
    if !cause.is_refusal {
        return error;
    }
    match error.error_type {
        vague if is_vague(vague) => {
            let Some(first) = reason(findings, shown_by) else {
                return error;
            };
            error.error_type = first.error_type;
            append(&mut error, first);
            for other in REASONS.iter().filter(|other| **other != first.error_type) {
                if let Some(finding) = of(*other) {
                    append_second(&mut error, first, finding);
                }
            }
        }
        ErrorType::CertExpired => {
            let expired = of(ErrorType::CertExpired);
            if let Some(finding) = expired.or_else(|| of(ErrorType::CertNotYetValid)) {
                error.error_type = finding.error_type;
                append(&mut error, finding);
            }
        }
        _ => {}
    }
    error
}

/// Steps 3 to 6, once the chains of an event have been validated; `known` is what earlier handshakes show of its server.
pub(super) fn after_validation(
    event: &mut Handshake,
    trust: Option<TrustOrigin>,
    known: Option<&KnownServer>,
) {
    if event.rejected_after.is_none() {
        let flaw = flaw(&event.validation, trust);
        event.rejected_after = rejected_after::by_flaw(event, flaw).map(Box::new);
    }
    if let Some(rejected) = &mut event.rejected_after
        && is_vague(rejected.error_type)
        && is_without_root(&event.validation, rejected.side.peer(), trust)
    {
        rejected.error_type = ErrorType::UnknownCa; // step 3, as for a failure
    }
    by_silent_close(event, known);
    if known.is_some_and(KnownServer::sends_no_tickets) {
        without_tickets(event);
    }
    let Some(mut error) = event.error.take() else {
        return;
    };
    let was_vague = is_vague(error.error_type) || is_vague_alert(&event.alerts, error.side);
    by_chain(&mut error, &event.validation, trust, was_vague);
    by_address(&mut error, event, trust);
    by_clock(&mut error, event);
    let asked_for = event.tls.certificate_authorities.as_deref();
    let shown = event.client_certificates.as_deref();
    by_request(
        &mut error,
        asked_for.unwrap_or_default(),
        shown.unwrap_or_default(),
    );
    by_other_handshakes(&mut error, event, known);
    event.error = Some(error);
}

/// Whether a client that left without a word did so for a flaw of the server's chain, up to TLS 1.2.
///
/// One that shows in the certificate itself (its dates and names) is known earlier. Without any, the client just left. With one, it
/// did so or not if how soon it closed is not known. A client that enumerates what the server supports refuses nothing.
fn by_silent_close(event: &mut Handshake, known: Option<&KnownServer>) {
    let is_flaw = |finding: &Finding| {
        finding.side == Side::Server && UNKNOWN_CA_FINDINGS.contains(&finding.error_type)
    };
    let is_close = |error: &HandshakeError| error.error_type == ErrorType::ConnectionClosed;
    if event.left_at_certificate == Some(false)
        || !event.error.as_ref().is_some_and(is_close)
        || !event.validation.iter().any(is_flaw)
        || known.is_some_and(|known| known.is_enumerated_by(event))
    {
        return;
    }
    if event.left_at_certificate.is_none() {
        return event.retract(UnknownBecause::AmbiguousClose);
    }
    let cause = cause::inferred_refusal(Side::Client, ErrorType::ClientRejectedServer);
    event.error = Some(HandshakeError::new(
        cause.error_type,
        Some(cause.side),
        cause.message,
    ));
    event.evidence = Evidence::Inferred;
    event.confidence = Some(T3.confidence);
    event.inference = Some(Inference {
        rule: T3.id,
        observations: vec![T3.observation, "the server's chain has a flaw"].into(),
    });
    Conflict::of(event).add_to(event); // the verdict is another one than when the event was made
}

/// Takes back a refusal that is inferred from missing tickets, of a server that sends none: it may as well have said goodbye. A reset
/// over unread messages is a refusal all the same.
///
/// Envoy with tickets disabled, whose upstream or filter had closed the connection, looked like 42 refusals of certificates.
fn without_tickets(event: &mut Handshake) {
    let inference = event.inference.as_ref();
    let needs_tickets = inference.is_some_and(|inference| rests_on_missing_tickets(inference.rule));
    if !needs_tickets || event.closed_by == Some(ClosedBy::ServerRst) {
        return;
    }
    event.retract(UnknownBecause::AmbiguousRecords);
    event.inference = Some(Inference {
        rule: SENDS_NO_TICKETS.id,
        observations: SENDS_NO_TICKETS.observations.into(),
    });
}

/// Whether the alert of `side` was vague, although its class may be precise by now.
fn is_vague_alert(alerts: &[Alert], side: Option<Side>) -> bool {
    let mut said = alerts.iter().filter(|alert| Some(alert.sender) == side);
    said.any(|alert| {
        matches!(
            alert.description,
            Some(AlertDescription::BadCertificate | AlertDescription::CertificateUnknown)
        )
    })
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
fn by_chain(
    error: &mut HandshakeError,
    findings: &[Finding],
    trust: Option<TrustOrigin>,
    was_vague: bool,
) {
    let Some(shown_by) = error.side.map(Side::peer) else {
        return;
    };
    let find = |wanted: &[ErrorType]| {
        let mut shown = findings.iter().filter(|finding| finding.side == shown_by);
        shown.find(|finding| wanted.contains(&finding.error_type))
    };
    let is_without_root = || is_without_root(findings, shown_by, trust);
    let reason = match error.error_type {
        ErrorType::UnknownCa => find(UNKNOWN_CA_FINDINGS),
        vague if is_vague(vague) => {
            if is_without_root() {
                error.error_type = ErrorType::UnknownCa;
            }
            find(UNKNOWN_CA_FINDINGS).or_else(|| find(OTHER_FINDINGS))
        }
        ErrorType::UnsupportedCertificate => find(OTHER_FINDINGS),
        // The second of two flaws: the observer's own roots say too little of the peer's to be one.
        dated if was_vague && is_reason(dated) => {
            find(UNKNOWN_CA_FINDINGS).filter(|_| is_without_root())
        }
        _ => None,
    };
    if let Some(finding) = reason {
        append(error, finding);
    }
}

/// Whether the chain that a side has shown can hardly have led its peer to a root, as [`by_chain`] says.
fn is_without_root(findings: &[Finding], shown_by: Side, trust: Option<TrustOrigin>) -> bool {
    let has = |wanted: &[ErrorType]| {
        let mut shown = findings.iter().filter(|finding| finding.side == shown_by);
        shown.any(|finding| wanted.contains(&finding.error_type))
    };
    let is_trust_known = trust == Some(TrustOrigin::Given) || !has(&[ErrorType::UntrustedCa]);
    has(UNKNOWN_CA_FINDINGS) && is_trust_known
}

/// Step 4: whether the certificate is valid for the server's address, where the client asked for no name.
///
/// Without a name in the hello the client may have connected by address, and then the certificate needs that address. If
/// nothing else is wrong with the chain, and it leads to a root that the user named, this is what the client refused.
/// Otherwise the message mentions it. So it does where the capture has a private address and the certificate a public one:
/// the client may have connected to that, and a router translated it.
fn by_address(error: &mut HandshakeError, event: &Handshake, trust: Option<TrustOrigin>) {
    let is_whole = !event.capture.truncated && event.capture.client_gap_bytes == 0;
    let has_no_name =
        is_whole && event.tls.server_name.is_none() && event.tls.offered_versions.is_some();
    let is_alert = matches!(
        error.error_type,
        ErrorType::BadCertificate | ErrorType::CertificateUnknown
    );
    // Over EAP the client has no address of the server, and behind a proxy the capture has that of the proxy.
    let is_address_of_server = event.protocol != Protocol::Eap && event.proxy.is_none();
    if error.side != Some(Side::Client) || !has_no_name || !is_alert || !is_address_of_server {
        return;
    }
    let address = event.server.address;
    let chain = event.server_certificates.as_deref().unwrap_or_default();
    let Some((leaf, facts)) = chain
        .first()
        .and_then(|leaf| Some((leaf, leaf.facts.as_ref().ok()?)))
    else {
        return;
    };
    let Some(detail) = name_mismatch(leaf, facts, &address.to_string()) else {
        return;
    };
    let mut listed = facts.ip_addresses.iter();
    let may_be_translated = is_private(address) && listed.any(|listed| !is_private(*listed));
    let is_flawed = event
        .validation
        .iter()
        .any(|finding| finding.side == Side::Server && finding.error_type != ErrorType::NearExpiry);
    if !is_flawed && trust == Some(TrustOrigin::Given) && !may_be_translated {
        error.error_type = ErrorType::HostnameMismatch;
    }
    error.message = format!(
        "{}; the client asked for no name, and the certificate of {} is {detail}",
        error.message,
        facts.identity()
    );
}

/// Whether an address is one of a private network (RFC 1918, RFC 4193), or of the host itself.
const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

/// A peer said `certificate_expired` of a chain whose dates fit the moment: its clock, or the roots that it knows, differ.
fn by_clock(error: &mut HandshakeError, event: &Handshake) {
    let Some(side) = error
        .side
        .filter(|_| error.error_type == ErrorType::CertExpired)
    else {
        return;
    };
    let chain = match side.peer() {
        Side::Server => &event.server_certificates,
        Side::Client => &event.client_certificates,
    };
    let at = CertificateTime::from(event.judged_at);
    let is_valid = |certificate: &Arc<Certificate>| {
        let facts = certificate.facts.as_ref();
        facts.is_ok_and(|facts| facts.not_before <= at && at <= facts.not_after)
    };
    let chain = chain.as_deref().unwrap_or_default();
    let is_said = event.alerts.iter().any(|alert| {
        alert.sender == side && alert.description == Some(AlertDescription::CertificateExpired)
    });
    if is_said && !chain.is_empty() && chain.iter().all(is_valid) {
        error.message = format!(
            "{}; what the {} sent was valid at that time: the {side}'s clock may be wrong",
            error.message,
            side.peer()
        );
    }
}

/// Step 5: which authorities a server had asked for when it refused a client that showed nothing of theirs.
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

/// Step 6: whether what the server agreed on with other clients explains that it refused a hello.
///
/// If this client offers nothing of it, the offer is the reason. If it offers what others agreed on, the offer is not,
/// however narrow it is.
fn by_other_handshakes(error: &mut HandshakeError, event: &Handshake, known: Option<&KnownServer>) {
    let is_about_offer = matches!(
        error.error_type,
        ErrorType::HandshakeFailure | ErrorType::CipherMismatch
    );
    let answers_hello = error.side == Some(Side::Server) && event.tls.version.is_none();
    let (Some(known), Some(offered)) = (known, &event.tls.offered_cipher_suites) else {
        return;
    };
    let suites = known.suites_for(event.tls.offered_versions.as_deref());
    if !is_about_offer || !answers_hello || suites.is_empty() {
        return;
    }
    let has_suite = suites.iter().any(|suite| offered.contains(suite));
    let groups = event.tls.offered_groups.as_deref();
    let lacks_group = groups.is_some_and(|groups| {
        !known.groups.is_empty() && !known.groups.iter().any(|group| groups.contains(group))
    });
    let agreed: Vec<String> = match has_suite {
        true if lacks_group => known.groups.iter().map(ToString::to_string).collect(),
        _ => suites.iter().map(ToString::to_string).collect(),
    };
    let agreed = offer::names(&agreed);
    if has_suite && !lacks_group {
        error.error_type = ErrorType::HandshakeFailure;
        error.message = format!(
            "{}; with other clients this server agrees on {agreed}, which this one offers, too",
            error.message
        );
    } else {
        error.error_type = ErrorType::CipherMismatch;
        error.message = format!(
            "{}; with other clients this server agrees on {agreed}, which this one does not offer",
            error.message
        );
    }
}

/// The finding that explains why a certificate shown by `side` was refused.
pub(super) fn reason(findings: &[Finding], side: Side) -> Option<&Finding> {
    findings
        .iter()
        .find(|finding| finding.side == side && is_reason(finding.error_type))
}

/// The flaw of the server's chain for which a client may have left: on dates, names and revocation, or the lack of a
/// path to the roots that the user named.
fn flaw(findings: &[Finding], trust: Option<TrustOrigin>) -> Option<&Finding> {
    let mut shown = findings
        .iter()
        .filter(|finding| finding.side == Side::Server);
    let is_unknown = |finding: &&Finding| match finding.error_type {
        ErrorType::UntrustedCa => trust == Some(TrustOrigin::Given),
        error_type => UNKNOWN_CA_FINDINGS.contains(&error_type),
    };
    reason(findings, Side::Server).or_else(|| shown.find(is_unknown))
}

/// What peers refuse certificates for, of dates, names and revocation.
const REASONS: &[ErrorType] = &[
    ErrorType::CertExpired,
    ErrorType::CertNotYetValid,
    ErrorType::CertRevoked,
    ErrorType::HostnameMismatch,
];

fn is_reason(error_type: ErrorType) -> bool {
    REASONS.contains(&error_type)
}

/// Whether a refusal of this class may have any reason: the peer said nothing precise, or nothing at all.
pub(super) const fn is_vague(error_type: ErrorType) -> bool {
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
        error.message,
        finding.certificate.identity(),
        finding.detail
    );
}

/// Adds a second flaw to a message that ends with the first.
fn append_second(error: &mut HandshakeError, first: &Finding, second: &Finding) {
    if first.certificate.subject() == second.certificate.subject() {
        error.message = format!("{}, and {}", error.message, second.detail);
    } else {
        append(error, second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, RejectedAfter};
    use crate::flow::Endpoint;
    use crate::handshake::known_servers::KnownServers;
    use crate::handshake::testing::finding;
    use crate::time::Timestamp;
    use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion};

    /// The class that a refusal of the server's certificate becomes, and whether the message says why.
    fn explained(
        error_type: ErrorType,
        found: &[ErrorType],
        trust: Option<TrustOrigin>,
    ) -> (ErrorType, bool) {
        let mut findings = vec![finding(Side::Client, ErrorType::SelfSigned)]; // of the other side
        findings.extend(found.iter().map(|&found| finding(Side::Server, found)));
        let mut error = HandshakeError::new(error_type, Some(Side::Client), "refused".to_owned());
        by_chain(&mut error, &findings, trust, is_vague(error_type));
        let is_explained = match error.message.as_str() {
            "refused" => false,
            "refused; the certificate of leaf: detail" => true,
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
    fn a_refusal_after_the_handshake_is_explained_by_the_chain_like_one_inside_it() {
        let class = |trust| {
            let peers = [1, 2].map(|host| Endpoint::new([192, 0, 2, host].into(), 443));
            let mut event = Handshake::new(Timestamp::from_seconds(0), peers[0], peers[1]);
            event.outcome = Outcome::Success;
            event.validation = vec![finding(Side::Client, ErrorType::UntrustedCa)];
            event.rejected_after = Some(Box::new(RejectedAfter {
                error_type: ErrorType::ServerRejectedClient,
                side: Side::Server,
                evidence: Evidence::Inferred,
                confidence: 0.97,
                observations: Vec::new(),
                hint: None,
            }));
            after_validation(&mut event, Some(trust), None);
            event.rejected_after.unwrap().error_type
        };
        assert_eq!(class(TrustOrigin::Given), ErrorType::UnknownCa);
        assert_eq!(class(TrustOrigin::System), ErrorType::ServerRejectedClient);
    }

    #[test]
    fn a_client_of_another_authority_than_those_asked_for_is_unknown_ca() {
        let refused = |error_type, asked_for: &[&str], shown: &[Arc<Certificate>]| {
            let mut error =
                HandshakeError::new(error_type, Some(Side::Server), "refused".to_owned());
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
            hint: None,
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
                "hostname_mismatch: refused; the certificate of leaf: detail, and detail"
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

    #[test]
    fn certificate_expired_also_means_not_yet_valid() {
        let early = finding(Side::Server, ErrorType::CertNotYetValid);
        let expired = finding(Side::Server, ErrorType::CertExpired);
        let of = |found: &[Finding]| by_dates_and_names(ErrorType::CertExpired, true, found);
        assert_eq!(
            of(std::slice::from_ref(&early)),
            "cert_not_yet_valid: refused; the certificate of leaf: detail"
        );
        assert_eq!(
            of(&[early, expired]),
            "cert_expired: refused; the certificate of leaf: detail"
        );
        let other = finding(Side::Client, ErrorType::CertNotYetValid);
        assert_eq!(of(&[other]), "cert_expired: refused");
    }

    /// A client's refusal of this class, of a certificate for one name, without a name in the hello.
    fn refused_by_address(error_type: ErrorType) -> Handshake {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["other.test".to_owned()]);
        let leaf = leaf.unwrap().self_signed(&key).unwrap();
        let client = Endpoint::new([192, 0, 2, 1].into(), 50_000);
        let server = Endpoint::new([192, 0, 2, 2].into(), 443);
        let mut event = Handshake::new(Timestamp::from_seconds(0), client, server);
        event.tls.offered_versions = Some([ProtocolVersion::TLSv1_2].into());
        event.server_certificates = Some([Arc::new(Certificate::from_der(leaf.der()))].into());
        event.error = Some(HandshakeError::new(
            error_type,
            Some(Side::Client),
            "refused".to_owned(),
        ));
        event
    }

    /// Class and message once everything was looked at.
    fn explained_event(mut event: Handshake, trust: TrustOrigin) -> (ErrorType, String) {
        after_validation(&mut event, Some(trust), None);
        let error = event.error.unwrap();
        (error.error_type, error.message)
    }

    #[test]
    fn without_a_name_the_servers_address_is_compared() {
        let event = || refused_by_address(ErrorType::BadCertificate);
        let (class, message) = explained_event(event(), TrustOrigin::Given);
        assert_eq!(class, ErrorType::HostnameMismatch);
        assert!(
            message.contains("not valid for `192.0.2.2`, only for `other.test`"),
            "{message}"
        );
        // Other causes are not excluded: mentioned only.
        let (class, message) = explained_event(event(), TrustOrigin::System);
        assert!(class == ErrorType::BadCertificate && message.contains("192.0.2.2"));
        // Over EAP the client does not know the server's address.
        let mut login = event();
        login.protocol = Protocol::Eap;
        let (class, message) = explained_event(login, TrustOrigin::Given);
        assert!(class == ErrorType::BadCertificate && !message.contains("192.0.2.2"));
        let mut flawed = event();
        flawed.validation = vec![finding(Side::Server, ErrorType::WeakKey)];
        let (class, message) = explained_event(flawed, TrustOrigin::Given);
        assert!(class == ErrorType::BadCertificate && message.contains("192.0.2.2"));
    }

    #[test]
    fn a_certificate_with_other_addresses_mismatches_unless_a_router_may_translate() {
        let class = |server: [u8; 4], listed: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let leaf = rcgen::CertificateParams::new(vec!["a.test".to_owned(), listed.to_owned()]);
            let leaf = leaf.unwrap().self_signed(&key).unwrap();
            let mut event = refused_by_address(ErrorType::BadCertificate);
            event.server = Endpoint::new(server.into(), 443);
            event.server_certificates = Some([Arc::new(Certificate::from_der(leaf.der()))].into());
            explained_event(event, TrustOrigin::Given).0
        };
        assert_eq!(
            class([10, 0, 0, 2], "10.0.0.3"),
            ErrorType::HostnameMismatch
        );
        assert_eq!(class([10, 0, 0, 2], "192.0.2.3"), ErrorType::BadCertificate);
        assert_eq!(class([10, 0, 0, 2], "10.0.0.2"), ErrorType::BadCertificate);
    }

    #[test]
    fn certificate_expired_of_dates_that_fit_names_the_clock() {
        let message = |seconds| {
            let mut event = refused_by_address(ErrorType::CertExpired);
            event.judged_at = Timestamp::from_seconds(seconds);
            event.alerts = vec![Alert {
                time: event.time,
                sender: Side::Client,
                level: None,
                description: Some(AlertDescription::CertificateExpired),
                encrypted: false,
            }];
            explained_event(event, TrustOrigin::Given).1
        };
        assert_eq!(
            message(1_767_225_600),
            "refused; what the server sent was valid at that time: the client's clock may be wrong"
        );
        assert_eq!(message(0), "refused"); // before it became valid
    }

    #[test]
    fn an_address_is_not_compared_if_there_was_a_name_or_another_reason() {
        let named = {
            let mut event = refused_by_address(ErrorType::BadCertificate);
            event.tls.server_name = Some("example.org".into());
            event
        };
        let unseen = {
            let mut event = refused_by_address(ErrorType::BadCertificate);
            event.tls.offered_versions = None;
            event
        };
        let precise = refused_by_address(ErrorType::CertRevoked);
        for event in [named, unseen, precise] {
            let class = event.error.as_ref().unwrap().error_type;
            let explained = explained_event(event, TrustOrigin::Given);
            assert_eq!(explained, (class, "refused".to_owned()));
        }
    }

    #[test]
    fn a_vague_alert_reports_the_flaw_of_the_chain_beside_that_of_the_dates() {
        let mut event = refused_by_address(ErrorType::CertExpired);
        event.tls.server_name = Some("example.org".into());
        event.validation = vec![finding(Side::Server, ErrorType::UntrustedCa)];
        let both = |alert: u8, trust| {
            let mut event = event.clone();
            event.alerts = vec![Alert {
                time: event.time,
                sender: Side::Client,
                level: None,
                description: Some(AlertDescription(alert)),
                encrypted: false,
            }];
            explained_event(event, trust)
        };
        let (class, message) = both(46, TrustOrigin::Given);
        assert_eq!(class, ErrorType::CertExpired);
        assert_eq!(message, "refused; the certificate of leaf: detail");
        assert_eq!(both(45, TrustOrigin::Given).1, "refused");
        assert_eq!(both(46, TrustOrigin::System).1, "refused");
    }

    #[test]
    fn missing_tickets_of_a_server_that_sends_none_are_no_refusal() {
        let judged = |rule, closed_by, known: &KnownServer| {
            let mut event = refused_by_address(ErrorType::ServerRejectedClient);
            event.outcome = Outcome::Failure;
            event.confidence = Some(0.98);
            event.closed_by = Some(closed_by);
            event.inference = Some(Inference {
                rule,
                observations: Vec::new().into(),
            });
            after_validation(&mut event, None, Some(known));
            (event.outcome, event.inference.unwrap().rule)
        };
        let mut other = refused_by_address(ErrorType::Other);
        (other.outcome, other.has_sent_ticket) = (Outcome::Success, Some(false));
        let mut servers = KnownServers::default();
        servers.learn(&other);
        let known = servers.get(other.server).unwrap();
        let fin = ClosedBy::ServerFin;
        assert_eq!(judged("P1x", fin, known), (Outcome::Unknown, "P1n"));
        assert_eq!(judged("P1e", fin, known), (Outcome::Failure, "P1e"));
        let unread = judged("P1d", ClosedBy::ServerRst, known);
        assert_eq!(unread, (Outcome::Failure, "P1d"));
        let others = judged("P1x", fin, &KnownServer::default());
        assert_eq!(others, (Outcome::Failure, "P1x"));
    }

    /// Rule and error of a client that closed without a word, with these findings on the server's chain.
    fn left_in_silence(
        left_at_certificate: Option<bool>,
        found: &[ErrorType],
        trust: TrustOrigin,
    ) -> (Option<&'static str>, Option<ErrorType>, bool) {
        let mut event = refused_by_address(ErrorType::ConnectionClosed);
        event.evidence = Evidence::Observed;
        event.outcome = Outcome::Failure;
        event.left_at_certificate = left_at_certificate;
        event.validation = vec![finding(Side::Client, ErrorType::SelfSigned)]; // of the other side
        let found = found.iter().map(|&found| finding(Side::Server, found));
        event.validation.extend(found);
        after_validation(&mut event, Some(trust), None);
        let is_inferred = event.evidence == Evidence::Inferred;
        let rule = event.inference.map(|inference| inference.rule);
        let is_unknown = event.outcome == Outcome::Unknown;
        assert_eq!(is_unknown, event.error.is_none());
        assert_eq!(is_unknown, event.unknown_because.is_some());
        (rule, event.error.map(|error| error.error_type), is_inferred)
    }

    #[test]
    fn a_refusal_without_a_word_is_less_certain_if_bytes_were_sent_with_different_content() {
        let mut event = refused_by_address(ErrorType::ConnectionClosed);
        event.outcome = Outcome::Failure;
        event.left_at_certificate = Some(true);
        event.validation = vec![finding(Side::Server, ErrorType::SelfSigned)];
        event.capture.conflicting_bytes = 7;
        after_validation(&mut event, Some(TrustOrigin::Given), None);
        assert_eq!(event.inference.unwrap().rule, "T3");
        assert_eq!(event.confidence, Some(0.75));
        let message = event.error.unwrap().message;
        assert!(message.contains("7 bytes were sent twice"), "{message}");
    }

    #[test]
    fn a_client_that_left_without_a_word_refused_a_chain_only_if_it_has_a_flaw() {
        use ErrorType::{ConnectionClosed, NearExpiry, SelfSigned, UnknownCa, UntrustedCa};
        let (given, system) = (TrustOrigin::Given, TrustOrigin::System);
        let closed = (None, Some(ConnectionClosed), false);
        let refused = |class| (Some("T3"), Some(class), true);
        let left_in_silence =
            |left, found: &[ErrorType], trust| left_in_silence(Some(left), found, trust);
        assert_eq!(
            left_in_silence(true, &[UntrustedCa], given),
            refused(UnknownCa)
        );
        assert_eq!(
            left_in_silence(true, &[SelfSigned], system),
            refused(UnknownCa)
        );
        assert_eq!(
            left_in_silence(true, &[UntrustedCa], system),
            refused(ErrorType::ClientRejectedServer),
            "the observer's own roots do not decide for the peer"
        );
        assert_eq!(left_in_silence(true, &[NearExpiry], given), closed);
        assert_eq!(left_in_silence(true, &[], given), closed);
        assert_eq!(left_in_silence(false, &[UntrustedCa], given), closed);
    }

    #[test]
    fn why_a_client_left_is_not_known_if_the_chain_has_a_flaw_and_how_soon_it_closed_is_not_known()
    {
        use ErrorType::{ConnectionClosed, NearExpiry, UntrustedCa};
        let given = TrustOrigin::Given;
        let unknown = (None, None, false);
        assert_eq!(left_in_silence(None, &[UntrustedCa], given), unknown);
        let closed = (None, Some(ConnectionClosed), false);
        assert_eq!(left_in_silence(None, &[NearExpiry], given), closed);
    }

    /// The class of a refused hello that offers these suites, to a server that agreed with others on one suite and one group.
    fn refused_offer(error_type: ErrorType, suites: &[u16], groups: &[NamedGroup]) -> ErrorType {
        let mut event = refused_by_address(error_type);
        event.server_certificates = None;
        event.error.as_mut().unwrap().side = Some(Side::Server);
        let suites = suites.iter().map(|suite| CipherSuite(*suite));
        event.tls.offered_cipher_suites = Some(suites.collect());
        event.tls.offered_groups = Some(groups.into());
        let known = KnownServer {
            cipher_suites: vec![CipherSuite(0xc02f)],
            groups: vec![NamedGroup::X25519],
            ..KnownServer::default()
        };
        after_validation(&mut event, None, Some(&known));
        event.error.unwrap().error_type
    }

    #[test]
    fn an_internal_error_of_a_client_mentions_a_certificate_for_another_name() {
        let said = |error_type, side| {
            let cause = FailureCause::new(error_type, side, "said".to_owned());
            let error = by_findings(cause, &[finding(Side::Server, ErrorType::HostnameMismatch)]);
            (error.error_type, error.message.len() > "said".len())
        };
        let (internal, other) = (ErrorType::InternalError, ErrorType::DecodeError);
        assert_eq!(said(internal, Side::Client), (internal, true));
        assert_eq!(said(internal, Side::Server), (internal, false));
        assert_eq!(said(other, Side::Client), (other, false));
    }

    #[test]
    fn what_a_server_agrees_on_with_others_decides_whether_the_offer_was_the_reason() {
        let (vague, narrow) = (ErrorType::HandshakeFailure, ErrorType::CipherMismatch);
        let x25519 = [NamedGroup::X25519];
        for class in [vague, narrow] {
            assert_eq!(refused_offer(class, &[0x002f, 0x0035], &x25519), narrow);
            assert_eq!(refused_offer(class, &[0x002f, 0xc02f], &x25519), vague);
            let other_group = [NamedGroup::Secp521r1];
            assert_eq!(refused_offer(class, &[0xc02f], &other_group), narrow);
        }
        let internal = ErrorType::InternalError;
        assert_eq!(refused_offer(internal, &[0x002f], &x25519), internal);
    }

    #[test]
    fn suites_of_a_version_that_the_client_does_not_offer_are_not_why_it_was_refused() {
        let mut event = refused_by_address(ErrorType::HandshakeFailure);
        event.server_certificates = None;
        event.error.as_mut().unwrap().side = Some(Side::Server);
        event.tls.offered_versions = Some([ProtocolVersion::TLSv1_2].into());
        event.tls.offered_cipher_suites = Some([CipherSuite(0xc02f)].into());
        let known = KnownServer {
            versions: vec![ProtocolVersion::TLSv1_3],
            cipher_suites: vec![CipherSuite(0x1302)],
            ..KnownServer::default()
        };
        let before = event.error.clone();
        after_validation(&mut event, None, Some(&known));
        assert_eq!(event.error, before);
    }
}
