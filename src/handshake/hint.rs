//! The next step after a failure: one sentence that says who must change what.
//!
//! A hint names names from the certificates, the requests and other handshakes of the run. It is given only where these
//! support it: no hint is better than a wrong one.

use std::sync::Arc;

use crate::certificate::{Certificate, CertificateFacts, CertificateTime, TrustOrigin};
use crate::error_type::ErrorType;
use crate::event::{CertificateChain, Handshake, Protocol};
use crate::flow::Side;
use crate::tls::{ProtocolVersion, is_grease};

use super::known_servers::KnownServer;
use super::offer::names;

/// The next step after the failure of an event; `None` if the evidence supports none.
///
/// `trust` is where the roots come from by which chains were validated.
pub(super) fn next_step(
    event: &Handshake,
    known: Option<&KnownServer>,
    trust: Option<TrustOrigin>,
) -> Option<String> {
    let error = event.error.as_ref()?;
    let side = error.side?;
    let refused = Refused::of(event, side, trust);
    match error.error_type {
        ErrorType::CertExpired => refused?.renewal(),
        ErrorType::CertNotYetValid => refused?.clocks(),
        ErrorType::CertRevoked => refused?.replacement(),
        ErrorType::HostnameMismatch if side == Side::Client => refused?.name(),
        ErrorType::UnknownCa => other_authorities(event, side).or_else(|| refused?.trust()),
        ErrorType::MissingClientCert => Some(missing_certificate(event)),
        ErrorType::ProtocolMismatch => version(event, side, known),
        ErrorType::CipherMismatch => parameters(event, known?),
        ErrorType::NoApplicationProtocol if side == Side::Server => {
            let accepted = &known?.protocols;
            (!accepted.is_empty()).then(|| {
                let accepted = names(accepted);
                format!("the client must offer {accepted}, on which this server agrees with other clients")
            })
        }
        ErrorType::InternalError if side == Side::Client => name_over_eap(event),
        ErrorType::UnknownPskIdentity if side == Side::Server => Some(
            "the server must be configured with the identity of the client's pre-shared key"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The next step after a refusal that followed a completed handshake, by what was refused.
pub(super) fn after_refusal(event: &Handshake, trust: Option<TrustOrigin>) -> Option<String> {
    let rejected = event.rejected_after.as_ref()?;
    let side = rejected.side;
    let refused = Refused::of(event, side, trust);
    match rejected.error_type {
        ErrorType::CertExpired => refused?.renewal(),
        ErrorType::CertNotYetValid => refused?.clocks(),
        ErrorType::CertRevoked => refused?.replacement(),
        ErrorType::HostnameMismatch if side == Side::Client => refused?.name(),
        ErrorType::UnknownCa
        | ErrorType::UntrustedCa
        | ErrorType::IncompleteChain
        | ErrorType::SelfSigned => other_authorities(event, side).or_else(|| refused?.trust()),
        ErrorType::MissingClientCert => Some(missing_certificate(event)),
        // No finding says why: the certificate is hidden, or the server has a reason that the chain does not show.
        ErrorType::ServerRejectedClient => other_authorities(event, side).or_else(|| {
            Some(
                "the client's certificate must lead to a CA that the server trusts, and be valid; the server's log has the reason"
                    .to_owned(),
            )
        }),
        _ => None,
    }
}

/// A chain that was refused, by the side that showed it.
struct Refused<'e> {
    event: &'e Handshake,
    shown_by: Side,
    chain: &'e CertificateChain,
    leaf: &'e CertificateFacts,
    /// Whether the chain leads to a root that the user trusts.
    is_trusted: bool,
}

impl<'e> Refused<'e> {
    /// The chain that `side` refused, if it is visible.
    fn of(event: &'e Handshake, side: Side, trust: Option<TrustOrigin>) -> Option<Self> {
        let shown_by = side.peer();
        let chain = match shown_by {
            Side::Server => event.server_certificates.as_ref()?,
            Side::Client => event.client_certificates.as_ref()?,
        };
        let leaf = chain.first()?.facts.as_ref().ok()?;
        let mut refused = Self {
            event,
            shown_by,
            chain,
            leaf,
            is_trusted: false,
        };
        let flaws = [
            ErrorType::UntrustedCa,
            ErrorType::IncompleteChain,
            ErrorType::SelfSigned,
            ErrorType::BadCertificate,
            ErrorType::UnsupportedCertificate,
        ];
        let is_flawed = flaws.into_iter().any(|flaw| refused.has_finding(flaw));
        refused.is_trusted = trust.is_some() && !is_flawed;
        Some(refused)
    }

    fn at(&self) -> CertificateTime {
        CertificateTime::from(self.event.judged_at)
    }

    fn has_finding(&self, error_type: ErrorType) -> bool {
        let mut findings = self.event.validation.iter();
        findings.any(|finding| finding.side == self.shown_by && finding.error_type == error_type)
    }

    /// A certificate has expired: the leaf, or another one of the chain.
    fn renewal(&self) -> Option<String> {
        let side = self.shown_by;
        let is_expired = |facts: &CertificateFacts| facts.not_after < self.at();
        if is_expired(self.leaf) {
            let subject = &self.leaf.subject;
            return Some(format!("renew the {side}'s certificate `{subject}`"));
        }
        let mut issuers = self.chain.iter().skip(1).map(|shown| &shown.facts);
        let expired = issuers.find_map(|facts| facts.as_ref().ok().filter(|f| is_expired(f)))?;
        let CertificateFacts {
            subject, issuer, ..
        } = expired;
        // With a valid way to a trusted root the expired one is only another way: a cross-signature.
        let has_other_way = !self.has_finding(ErrorType::CertExpired);
        Some(match has_other_way && subject != issuer {
            true => format!(
                "the {} must trust `{subject}` itself, since its certificate by `{issuer}`, which the {side} sends, has expired",
                side.peer()
            ),
            false => format!(
                "the {side} must replace the certificate of `{subject}` in its chain, which has expired"
            ),
        })
    }

    fn clocks(&self) -> Option<String> {
        let mut shown = self
            .chain
            .iter()
            .filter_map(|shown| shown.facts.as_ref().ok());
        let early = shown.find(|facts| facts.not_before > self.at())?;
        Some(format!(
            "check the clocks of both hosts: the certificate of `{}` is valid from {}",
            early.subject, early.not_before
        ))
    }

    fn replacement(&self) -> Option<String> {
        self.has_finding(ErrorType::CertRevoked).then(|| {
            let subject = &self.leaf.subject;
            format!(
                "replace the {}'s certificate `{subject}`, which was revoked",
                self.shown_by
            )
        })
    }

    /// The certificate is for other names than the one asked for.
    fn name(&self) -> Option<String> {
        let asked_for = match &self.event.tls.server_name {
            Some(name) => name.to_string(),
            None => self.event.server.address.to_string(),
        };
        let addresses = self.leaf.ip_addresses.iter().map(ToString::to_string);
        let valid: Vec<String> = self
            .leaf
            .dns_names
            .iter()
            .cloned()
            .chain(addresses)
            .collect();
        Some(match valid.is_empty() {
            true => format!(
                "the server must present a certificate with the alternative name `{asked_for}`"
            ),
            false => format!(
                "the server must present a certificate for `{asked_for}`, or the client must connect by a name in this one ({})",
                names(&valid)
            ),
        })
    }

    /// The chain leads to no authority that the peer knows.
    fn trust(&self) -> Option<String> {
        let (side, peer) = (self.shown_by, self.shown_by.peer());
        let top = self.top();
        if self.leaf.self_signed {
            return Some(format!(
                "the {peer} must trust the self-signed certificate `{}`, or the {side} must present one by an authority that the {peer} trusts",
                self.leaf.subject
            ));
        }
        if self.has_finding(ErrorType::IncompleteChain) {
            return Some(format!(
                "the {side} must send the intermediate `{}`",
                top.issuer
            ));
        }
        // The name of a trusted root is none of an intermediate that is missing.
        let may_lack_issuer = top.subject == self.leaf.subject && !self.is_trusted;
        Some(match may_lack_issuer {
            true => format!(
                "the {peer} must trust `{issuer}`, or the {side} must send `{issuer}` too if that is an intermediate",
                issuer = top.issuer
            ),
            false => format!("the {peer} must trust `{}`", top.issuer),
        })
    }

    /// The last certificate on the way up from the leaf that the names describe.
    fn top(&self) -> &CertificateFacts {
        let mut top = self.leaf;
        for _ in 0..self.chain.len() {
            let mut shown = self
                .chain
                .iter()
                .filter_map(|shown| shown.facts.as_ref().ok());
            let issuer = shown.find(|facts| facts.subject == top.issuer);
            match issuer.filter(|issuer| issuer.subject != top.subject) {
                Some(issuer) => top = issuer,
                None => break,
            }
        }
        top
    }
}

/// The server had named the authorities that it accepts, and the client's certificate is by none of them.
fn other_authorities(event: &Handshake, side: Side) -> Option<String> {
    let asked_for = event.tls.certificate_authorities.as_deref()?;
    let shown = event.client_certificates.as_deref()?;
    let facts = |certificate: &'_ Arc<Certificate>| certificate.facts.as_ref().ok().cloned();
    let issuers: Vec<String> = shown
        .iter()
        .filter_map(facts)
        .map(|facts| facts.issuer)
        .collect();
    let is_theirs = issuers.iter().any(|issuer| asked_for.contains(issuer));
    (side == Side::Server && !asked_for.is_empty() && !is_theirs).then_some(())?;
    Some(format!(
        "the server asks for certificates by {}; the client's is issued by `{}`",
        quoted(asked_for),
        issuers.first()?
    ))
}

fn missing_certificate(event: &Handshake) -> String {
    let asked_for = event.tls.certificate_authorities.as_deref();
    match asked_for.unwrap_or_default() {
        [] => "the client must send a certificate, which this server requires".to_owned(),
        authorities => format!(
            "the client must send a certificate by {}, for which the server asks",
            quoted(authorities)
        ),
    }
}

fn quoted(list: &[String]) -> String {
    let list: Vec<String> = list.iter().map(|name| format!("`{name}`")).collect();
    names(&list)
}

/// Over EAP, a client that fails in itself once it has the server's certificate.
///
/// OpenSSL says `internal_error` where the program's own check of the chain gives no reason (`X509_V_ERR_UNSPECIFIED`), and
/// wpa_supplicant has one check there: the names that it is configured to expect. Of 50 alerts by its version 2.10 in a lab, all 14
/// of this kind were for a wrong name, and no other refusal used it. The name itself is not in any packet.
fn name_over_eap(event: &Handshake) -> Option<String> {
    (event.protocol == Protocol::Eap && event.tls.version.is_some()).then_some(())?;
    let chain = event.server_certificates.as_deref().unwrap_or_default();
    let leaf = chain.first().and_then(|leaf| leaf.facts.as_ref().ok());
    let shown = match leaf {
        Some(leaf) if !leaf.dns_names.is_empty() => format!(" ({})", names(&leaf.dns_names)),
        Some(leaf) => format!(" (`{}`)", leaf.subject),
        None => String::new(), // TLS 1.3 encrypts it
    };
    Some(format!(
        "compare the server name that the client expects with those in the server's certificate{shown}: wpa_supplicant refuses another name with this alert"
    ))
}

/// A version that both sides could agree on.
fn version(event: &Handshake, side: Side, known: Option<&KnownServer>) -> Option<String> {
    let offered = event.tls.offered_versions.as_ref()?;
    if side == Side::Client {
        let selected = event.tls.version?;
        return Some(format!(
            "the server must support a later version than {selected}"
        ));
    }
    let accepted = known.map(|known| known.versions.as_slice());
    let unused: Vec<_> = accepted
        .unwrap_or_default()
        .iter()
        .filter(|version| !offered.contains(version))
        .collect();
    if let Some(version) = unused.iter().max_by_key(|version| version.as_tls()) {
        return Some(format!(
            "the client must offer {version}, on which this server agrees with other clients"
        ));
    }
    // Servers drop the versions that RFC 8996 deprecates, and no later ones while clients need them.
    let newest = offered.iter().filter(|version| !is_grease(version.0));
    let newest = newest.max_by_key(|version| version.as_tls())?;
    (newest.as_tls() < ProtocolVersion::TLSv1_2).then(|| {
        let protocol = newest.protocol_name().to_ascii_uppercase();
        format!(
            "the client must offer {} 1.2 or later",
            protocol.replace("SSL", "TLS")
        )
    })
}

/// Parameters on which the server agrees with other clients, and that this one does not offer.
fn parameters(event: &Handshake, known: &KnownServer) -> Option<String> {
    let suites = event.tls.offered_cipher_suites.as_ref()?;
    let missing = |accepted: Vec<String>| {
        format!(
            "the client must offer {}, on which this server agrees with other clients",
            names(&accepted)
        )
    };
    let accepted = known.suites_for(event.tls.offered_versions.as_deref());
    if accepted.is_empty() {
        return None;
    }
    if !accepted.iter().any(|suite| suites.contains(suite)) {
        let accepted = accepted.iter().map(ToString::to_string);
        return Some(missing(accepted.collect()));
    }
    let groups = event.tls.offered_groups.as_ref()?;
    let has_group = known.groups.iter().any(|group| groups.contains(group));
    (!has_group && !known.groups.is_empty()).then(|| {
        let accepted = known.groups.iter().map(ToString::to_string);
        missing(accepted.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::support;
    use crate::event::{ErrorType as E, Evidence, HandshakeError, RejectedAfter};
    use crate::flow::Endpoint;
    use crate::handshake::testing::finding;
    use crate::time::Timestamp;
    use crate::tls::{CipherSuite, NamedGroup};

    /// 2026-03-01, when the certificates below are valid.
    const NOW: i64 = 1_772_366_400;

    fn failed(error_type: E, side: Side) -> Handshake {
        let client = Endpoint::new([192, 0, 2, 1].into(), 50_000);
        let server = Endpoint::new([192, 0, 2, 2].into(), 443);
        let mut event = Handshake::new(Timestamp::from_seconds(NOW), client, server);
        event.error = Some(HandshakeError::new(error_type, Some(side), String::new()));
        event
    }

    fn facts(subject: &str, issuer: &str) -> CertificateFacts {
        CertificateFacts {
            not_before: CertificateTime(NOW - 86_400 * 2),
            not_after: CertificateTime(NOW + 86_400 * 90),
            dns_names: vec!["example.org".to_owned()],
            ..support::facts(subject, issuer)
        }
    }

    fn chain<const N: usize>(shown: [CertificateFacts; N]) -> CertificateChain {
        let certificate = |facts| {
            Arc::new(Certificate {
                der: Box::default(),
                sha256: [1; 32],
                facts: Ok(facts),
            })
        };
        shown.map(certificate).into()
    }

    fn expired(subject: &str, issuer: &str) -> CertificateFacts {
        let mut facts = facts(subject, issuer);
        facts.not_after = CertificateTime(NOW - 86_400);
        facts
    }

    fn hint(event: &Handshake) -> Option<String> {
        next_step(event, None, None)
    }

    /// The hint for a chain of the server that the client refused.
    fn refused<const N: usize>(
        error_type: E,
        shown: [CertificateFacts; N],
        found: &[E],
    ) -> Option<String> {
        let mut event = failed(error_type, Side::Client);
        event.server_certificates = Some(chain(shown));
        event.validation = found
            .iter()
            .map(|found| finding(Side::Server, *found))
            .collect();
        hint(&event)
    }

    #[test]
    fn the_certificate_that_has_expired_is_the_one_to_renew() {
        let of = |chain, found: &[E]| refused(E::CertExpired, chain, found);
        let leaf = || facts("CN=leaf", "CN=ca");
        let found = [E::CertExpired];
        assert_eq!(
            of(
                [expired("CN=leaf", "CN=ca"), facts("CN=ca", "CN=root")],
                &found
            )
            .as_deref(),
            Some("renew the server's certificate `CN=leaf`")
        );
        assert_eq!(
            of([leaf(), expired("CN=ca", "CN=root")], &found).as_deref(),
            Some(
                "the server must replace the certificate of `CN=ca` in its chain, which has expired"
            )
        );
        let cross = of([leaf(), expired("CN=new", "CN=old")], &[]);
        assert!(
            cross.is_some_and(|hint| hint.starts_with("the client must trust `CN=new` itself"))
        );
        // Nothing that was shown has expired: perhaps a root of the client's.
        assert_eq!(of([leaf(), facts("CN=ca", "CN=root")], &[]), None);
        assert_eq!(hint(&failed(E::CertExpired, Side::Client)), None);
    }

    #[test]
    fn a_refusal_after_the_handshake_has_a_hint_by_what_was_refused() {
        let of = |error_type, side, found: &[E]| {
            let mut event = failed(E::Other, side);
            event.error = None;
            event.rejected_after = Some(Box::new(RejectedAfter {
                error_type,
                side,
                evidence: Evidence::Inferred,
                confidence: 0.97,
                observations: Vec::new(),
                hint: None,
            }));
            event.tls.server_name = Some("www.test".into());
            event.server_certificates = Some(chain([facts("CN=server", "CN=ca")]));
            event.client_certificates = Some(chain([expired("CN=stale", "CN=ca")]));
            let found = found.iter().map(|found| finding(side.peer(), *found));
            event.validation = found.collect();
            after_refusal(&event, None)
        };
        assert_eq!(
            of(E::CertExpired, Side::Server, &[E::CertExpired]).as_deref(),
            Some("renew the client's certificate `CN=stale`")
        );
        let name = of(E::HostnameMismatch, Side::Client, &[E::HostnameMismatch]);
        assert!(name.is_some_and(|hint| hint.contains("a certificate for `www.test`")));
        let missing = of(E::MissingClientCert, Side::Server, &[]);
        assert!(missing.is_some_and(|hint| hint.starts_with("the client must send a cert")));
        let untrusted = of(E::UntrustedCa, Side::Server, &[E::UntrustedCa]);
        assert!(untrusted.is_some_and(|hint| hint.starts_with("the server must trust `CN=ca`")));
        let hidden = of(E::ServerRejectedClient, Side::Server, &[]);
        assert!(hidden.is_some_and(|hint| hint.ends_with("the server's log has the reason")));
        assert_eq!(of(E::AccessDenied, Side::Server, &[]), None);
        // Nothing that the server showed has expired.
        assert_eq!(of(E::CertExpired, Side::Client, &[]), None);
        assert_eq!(
            after_refusal(&failed(E::CertExpired, Side::Server), None),
            None
        );
    }

    #[test]
    fn a_certificate_of_the_future_is_a_matter_of_clocks() {
        let mut early = facts("CN=leaf", "CN=ca");
        assert_eq!(refused(E::CertNotYetValid, [early.clone()], &[]), None);
        early.not_before = CertificateTime(NOW + 86_400);
        let hint = refused(E::CertNotYetValid, [early], &[]).unwrap();
        assert!(
            hint.ends_with("`CN=leaf` is valid from 2026-03-02T12:00:00Z"),
            "{hint}"
        );
    }

    #[test]
    fn an_unknown_authority_is_to_be_trusted_or_to_be_sent() {
        let leaf = || facts("CN=leaf", "CN=ca");
        let of = |chain, found: &[E]| refused(E::UnknownCa, chain, found).unwrap();
        assert_eq!(
            of([leaf()], &[E::IncompleteChain]),
            "the server must send the intermediate `CN=ca`"
        );
        assert!(of([leaf()], &[]).starts_with("the client must trust `CN=ca`, or the server"));
        // A root by which the chain was validated is no intermediate.
        let mut event = failed(E::UnknownCa, Side::Client);
        event.server_certificates = Some(chain([leaf()]));
        assert_eq!(
            next_step(&event, None, Some(TrustOrigin::Given)).as_deref(),
            Some("the client must trust `CN=ca`")
        );
        let chain = [leaf(), facts("CN=ca", "CN=root")];
        assert_eq!(
            refused(E::UnknownCa, chain, &[]).unwrap(),
            "the client must trust `CN=root`"
        );
        let mut own = facts("CN=own", "CN=own");
        own.self_signed = true;
        assert!(of([own], &[E::SelfSigned]).contains("self-signed certificate `CN=own`"));
    }

    #[test]
    fn a_client_of_another_authority_is_told_which_the_server_asks_for() {
        let asked = |authority: &str| {
            let mut event = failed(E::UnknownCa, Side::Server);
            event.tls.certificate_authorities = Some(vec![authority.to_owned()]);
            event.client_certificates = Some(chain([facts("CN=alice", "CN=ca")]));
            hint(&event).unwrap()
        };
        assert_eq!(
            asked("CN=other"),
            "the server asks for certificates by `CN=other`; the client's is issued by `CN=ca`"
        );
        assert!(asked("CN=ca").starts_with("the server must trust `CN=ca`"));
    }

    #[test]
    fn a_missing_certificate_is_described_by_the_request() {
        let mut event = failed(E::MissingClientCert, Side::Server);
        assert_eq!(
            hint(&event).as_deref(),
            Some("the client must send a certificate, which this server requires")
        );
        event.tls.certificate_authorities = Some(vec!["CN=a".to_owned(), "CN=b".to_owned()]);
        assert_eq!(
            hint(&event).as_deref(),
            Some("the client must send a certificate by `CN=a`, `CN=b`, for which the server asks")
        );
    }

    #[test]
    fn a_name_hint_says_the_name_asked_for_and_those_in_the_certificate() {
        let mut event = failed(E::HostnameMismatch, Side::Client);
        event.server_certificates = Some(chain([facts("CN=leaf", "CN=ca")]));
        event.tls.server_name = Some("www.test".into());
        assert_eq!(
            hint(&event).as_deref(),
            Some(
                "the server must present a certificate for `www.test`, or the client must connect by a name in this one (example.org)"
            )
        );
    }

    #[test]
    fn a_client_over_eap_that_fails_in_itself_may_expect_another_name() {
        let mut event = failed(E::InternalError, Side::Client);
        event.tls.version = Some(ProtocolVersion::TLSv1_2);
        event.server_certificates = Some(chain([facts("CN=leaf", "CN=ca")]));
        assert_eq!(hint(&event), None, "only over EAP");
        event.protocol = Protocol::Eap;
        assert_eq!(
            hint(&event).as_deref(),
            Some(
                "compare the server name that the client expects with those in the server's certificate (example.org): wpa_supplicant refuses another name with this alert"
            )
        );
        event.server_certificates = None;
        assert!(hint(&event).is_some_and(|hint| hint.contains("certificate: wpa_supplicant")));
        event.tls.version = None; // no certificate came
        assert_eq!(hint(&event), None);
        event.tls.version = Some(ProtocolVersion::TLSv1_2);
        event.error.as_mut().unwrap().side = Some(Side::Server);
        assert_eq!(hint(&event), None);
    }

    fn known() -> KnownServer {
        KnownServer {
            versions: vec![ProtocolVersion::TLSv1_3],
            cipher_suites: vec![CipherSuite::TLS_AES_128_GCM_SHA256],
            groups: vec![NamedGroup::X25519],
            protocols: vec!["h2".into()],
            ..KnownServer::default()
        }
    }

    #[test]
    fn a_version_hint_needs_an_old_offer_or_other_clients() {
        let offering = |version: ProtocolVersion, known: Option<&KnownServer>| {
            let mut event = failed(E::ProtocolMismatch, Side::Server);
            event.tls.offered_versions = Some([version].into());
            next_step(&event, known, None)
        };
        let (old, new) = (ProtocolVersion::TLSv1_1, ProtocolVersion::TLSv1_2);
        let later = Some("the client must offer TLS 1.2 or later".to_owned());
        assert_eq!(offering(old, None), later);
        assert_eq!(offering(new, None), None);
        let agreed = offering(new, Some(&known())).unwrap();
        assert!(agreed.starts_with("the client must offer TLS 1.3, on which"));
        assert_eq!(offering(ProtocolVersion::TLSv1_3, Some(&known())), None);
    }

    #[test]
    fn a_hint_on_parameters_needs_other_clients_of_the_server() {
        let mut event = failed(E::CipherMismatch, Side::Server);
        event.tls.offered_cipher_suites = Some([CipherSuite(0x002f)].into());
        event.tls.offered_groups = Some([NamedGroup::Secp521r1].into());
        assert_eq!(hint(&event), None);
        let suite = next_step(&event, Some(&known()), None).unwrap();
        assert!(suite.contains("TLS_AES_128_GCM_SHA256"));
        event.tls.offered_cipher_suites = Some(known().cipher_suites.into());
        assert!(
            next_step(&event, Some(&known()), None)
                .unwrap()
                .contains("x25519")
        );
        event.tls.offered_groups = Some(known().groups.into());
        assert_eq!(next_step(&event, Some(&known()), None), None);
        let protocol = failed(E::NoApplicationProtocol, Side::Server);
        assert!(
            next_step(&protocol, Some(&known()), None)
                .unwrap()
                .contains("offer h2")
        );
    }
}
