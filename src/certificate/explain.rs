//! Explains webpki's answer in words: which certificate, which issuer, what is wrong.

use std::sync::Arc;

use webpki::Error;

use super::chain::distinct;
use super::path::{Walk, WalkEnd};
use super::trust::{Root, TrustOrigin, TrustStore};
use super::{
    Certificate, CertificateChain, CertificateFacts, CertificateNote, CertificateTime, Finding,
    NoteKind, PublicKey, SignatureAlgorithm, flaws, parse, verification,
};
use crate::error_type::ErrorType;
use crate::flow::Side;

/// A chain to explain, and where its names lead.
pub(super) struct Explanation<'a> {
    pub(super) chain: &'a CertificateChain,
    pub(super) leaf: &'a Arc<Certificate>,
    pub(super) walk: &'a Walk,
    pub(super) side: Side,
    pub(super) trust: &'a TrustStore,
}

impl Explanation<'_> {
    /// Findings on a chain with a path to a trusted root: an issuer is missing, or the root itself is bad.
    pub(super) fn trusted(
        &self,
        root: &Root,
        path: &[[u8; 32]],
        at: CertificateTime,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let is_shown = |hash: &&[u8; 32]| self.chain.iter().any(|shown| shown.sha256 == **hash);
        let missing = path.iter().filter(|hash| !is_shown(hash));
        let names: Vec<String> = missing
            .filter_map(|hash| {
                let mut completed = self.walk.completed.iter();
                let issuer = completed.find(|issuer| issuer.sha256 == *hash)?;
                Some(format!("`{}`", issuer.facts.as_ref().ok()?.subject))
            })
            .collect();
        if !names.is_empty() {
            let names = names.join(", ");
            let detail = format!("issuer {names} is not shown; other handshakes show it");
            findings.push(self.finding(ErrorType::IncompleteChain, detail));
        }
        let state = match () {
            () if at > root.not_after => Some(("expired", root.not_after)),
            () if at < root.not_before => Some(("is not valid before", root.not_before)),
            () => None,
        };
        if let Some((state, moment)) = state {
            let error_type = if at > root.not_after {
                ErrorType::CertExpired
            } else {
                ErrorType::CertNotYetValid
            };
            let detail = format!("trusted root `{}` {state} {moment}", root.subject);
            findings.push(self.finding(error_type, detail));
        }
        // A root that was sent is checked with the chain.
        if !path.contains(&root.sha256)
            && let Some(weakness) = flaws::weak_key(&root.key)
        {
            let detail = format!("trusted root `{}`: {weakness}", root.subject);
            findings.push(self.finding(ErrorType::WeakKey, detail));
        }
        findings
    }

    /// Findings on a chain without a path to a trusted root, for webpki's reason.
    pub(super) fn refused(&self, error: &Error) -> Vec<Finding> {
        match error {
            Error::MaximumSignatureChecksExceeded => vec![self.other(error)],
            _ if matches!(error, Error::UnknownIssuer) || self.walk.end != WalkEnd::Root => {
                self.untrusted()
            }
            // Dates and the purpose of the leaf have findings of their own.
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => Vec::new(),
            Error::CaUsedAsEndEntity => Vec::new(),
            Error::RequiredEkuNotFoundContext(_) if self.is_leaf_misused() => Vec::new(),
            Error::InvalidSignatureForPublicKey => vec![self.invalid_signature()],
            _ => vec![self.other(error)],
        }
    }

    fn untrusted(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let detail = match &self.walk.end {
            WalkEnd::SelfIssued(subject) => {
                format!("ends at `{subject}`, which is not trusted")
            }
            WalkEnd::Missing(issuer) => {
                format!("issued by `{issuer}`, which is neither shown nor trusted")
            }
            WalkEnd::Root => match self.top() {
                Some((_, facts)) => format!(
                    "issued by `{}`, which is not the trusted root of that name",
                    facts.issuer
                ),
                None => "leads to no trusted root".to_owned(),
            },
            WalkEnd::Nowhere => "leads to no trusted root".to_owned(),
        };
        findings.push(self.finding(ErrorType::UntrustedCa, detail));
        if let WalkEnd::Missing(issuer) = &self.walk.end
            && let [0] = self.walk.shown.as_slice()
            && self.has_issuer_url()
        {
            let detail = format!("issuer `{issuer}` is not shown: the leaf came alone");
            findings.push(self.finding(ErrorType::IncompleteChain, detail));
        }
        findings
    }

    /// Whether the leaf has a URL for its issuer (AIA): it usually points to an
    /// intermediate, since roots come with the software and are not fetched.
    fn has_issuer_url(&self) -> bool {
        let usage = parse::usage(&self.leaf.der);
        usage.is_some_and(|usage| usage.has_issuer_url)
    }

    fn is_leaf_misused(&self) -> bool {
        let purpose = match self.side {
            Side::Server => parse::SERVER_AUTH,
            Side::Client => parse::CLIENT_AUTH,
        };
        let usage = parse::usage(&self.leaf.der);
        usage.is_some_and(|usage| !usage.allows_purpose(purpose))
    }

    /// Finds the wrong signature, since webpki does not say which it is.
    ///
    /// A signature by a key of a size that the verifier does not support also
    /// fails, but is not wrong: such a chain cannot be validated.
    fn invalid_signature(&self) -> Finding {
        let path = self.named_path();
        for pair in path.windows(2).take(verification::MAX_PATH_CHECKS) {
            let [(certificate, facts), (issuer, issuer_facts)] = pair else {
                continue;
            };
            if is_out_of_bounds(&issuer_facts.key, &facts.signature_algorithm) {
                return self.unsupported_key(&issuer_facts.key);
            }
            if parse::is_signed_by(&certificate.der, &issuer.der) == Some(false) {
                let detail = format!(
                    "its signature is not by the key of `{}`, which is shown as its issuer",
                    issuer_facts.subject
                );
                return Finding {
                    certificate: Arc::clone(certificate),
                    ..self.finding(ErrorType::BadCertificate, detail)
                };
            }
        }
        let Some((certificate, top)) = path.last() else {
            let detail = "a signature is wrong".to_owned();
            return self.finding(ErrorType::BadCertificate, detail);
        };
        let mut roots = self.trust.named(&top.issuer);
        if let Some(root) = roots.find(|root| is_out_of_bounds(&root.key, &top.signature_algorithm))
        {
            return self.unsupported_key(&root.key);
        }
        // A root in the chain with the subject of a trusted one is a different root: a way
        // to the trusted one was looked for and not found.
        let shows_root = distinct(self.chain).any(|shown| {
            let facts = shown.facts.as_ref().ok();
            facts.is_some_and(|facts| facts.subject == top.issuer && facts.subject == facts.issuer)
        });
        if shows_root || top.subject == top.issuer {
            let detail = format!(
                "ends at `{}`, which has the name of a trusted root and another key",
                top.issuer
            );
            return self.finding(ErrorType::UntrustedCa, detail);
        }
        let detail = format!(
            "its signature is not by the key of the trusted root `{}`",
            top.issuer
        );
        Finding {
            certificate: Arc::clone(certificate),
            ..self.finding(ErrorType::BadCertificate, detail)
        }
    }

    fn unsupported_key(&self, key: &PublicKey) -> Finding {
        let detail = format!("cannot be validated: signed by a key of type {key}");
        self.finding(ErrorType::UnsupportedCertificate, detail)
    }

    fn other(&self, error: &Error) -> Finding {
        let bad = |detail: &str| self.finding(ErrorType::BadCertificate, detail.to_owned());
        match error {
            Error::EndEntityUsedAsCa => bad("an issuer in the chain is not a CA"),
            Error::PathLenConstraintViolated => {
                bad("an issuer in the chain may not have so many below it (path length)")
            }
            Error::NameConstraintViolation => {
                bad("an issuer in the chain may not issue for these names (name constraints)")
            }
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                bad(match self.side {
                    Side::Server => "an issuer in the chain is not for TLS server authentication",
                    Side::Client => "an issuer in the chain is not for TLS client authentication",
                })
            }
            Error::CertRevoked | Error::CertDistrusted => bad("distrusted by the verifier"),
            // What is left is unknown to the verifier, which is not the fault of the chain.
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                let path = self.named_path();
                let used: Vec<String> = path
                    .iter()
                    .map(|(_, facts)| facts.signature_algorithm.to_string())
                    .collect();
                let detail = format!("cannot be validated: signed with {}", used.join(", "));
                self.finding(ErrorType::UnsupportedCertificate, detail)
            }
            Error::MaximumSignatureChecksExceeded => {
                let most = verification::MAX_PATH_CHECKS;
                let detail = format!(
                    "cannot be validated: no path to a root was found within {most} signature checks"
                );
                self.finding(ErrorType::UnsupportedCertificate, detail)
            }
            Error::UnsupportedCertVersion => self.finding(
                ErrorType::UnsupportedCertificate,
                "cannot be validated: not a version 3 certificate".to_owned(),
            ),
            _ => self.finding(
                ErrorType::UnsupportedCertificate,
                format!("cannot be validated: {error}"),
            ),
        }
    }

    /// A note on a public authority's leaf that is valid for longer than browsers accept.
    ///
    /// The limits are those of the CA/Browser Forum baseline requirements §6.3.2, by date of issue.
    pub(super) fn long_validity(&self) -> Option<CertificateNote> {
        /// From this moment on, at most this many days.
        const LIMITS: [(i64, i64); 5] = [
            (1_868_227_200, 47),  // 2029-03-15
            (1_805_068_800, 100), // 2027-03-15
            (1_773_532_800, 200), // 2026-03-15
            (1_598_918_400, 398), // 2020-09-01
            (1_519_862_400, 825), // 2018-03-01
        ];
        const DAY: i64 = 86_400;
        let facts = self.leaf.facts.as_ref().ok()?;
        if self.side != Side::Server || self.trust.origin() != TrustOrigin::System {
            return None; // the limits bind public authorities only
        }
        let lifetime = facts.lifetime();
        let (_, limit) = LIMITS
            .iter()
            .find(|(from, _)| facts.not_before.0 >= *from)?;
        (lifetime > limit * DAY).then(|| CertificateNote {
            kind: NoteKind::LongValidity,
            side: self.side,
            detail: format!(
                "valid for {} days; browsers accept {limit} from public authorities",
                lifetime.div_euclid(DAY)
            )
            .into(),
            certificate: Arc::clone(self.leaf),
        })
    }

    /// The readable certificates that the names lead through, leaf first.
    fn named_path(&self) -> Vec<(&Arc<Certificate>, &CertificateFacts)> {
        let shown = self.walk.shown.iter();
        let shown = shown.filter_map(|index| self.chain.get(*index));
        shown
            .chain(&self.walk.completed)
            .filter_map(|certificate| Some((certificate, certificate.facts.as_ref().ok()?)))
            .collect()
    }

    fn top(&self) -> Option<(&Arc<Certificate>, &CertificateFacts)> {
        self.named_path().pop()
    }

    /// A finding on the chain as a whole, under the subject of its leaf.
    fn finding(&self, error_type: ErrorType, detail: String) -> Finding {
        Finding {
            error_type,
            side: self.side,
            detail: detail.into(),
            certificate: Arc::clone(self.leaf),
        }
    }
}

/// Whether a key is too short or too long for the verifier to check signatures of this kind by it.
///
/// Keys for PSS signatures only are not RSA keys to webpki: it refuses them as
/// unsupported, whatever their size.
fn is_out_of_bounds(key: &PublicKey, signature: &SignatureAlgorithm) -> bool {
    match key {
        PublicKey::Rsa(Some(bits)) => !verification::rsa_bits(signature).contains(bits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_decides_which_rsa_keys_can_be_checked() {
        let out = |bits, oid| {
            is_out_of_bounds(
                &PublicKey::Rsa(Some(bits)),
                &SignatureAlgorithm::from_oid(oid),
            )
        };
        let sha256 = "1.2.840.113549.1.1.11";
        assert!(!out(1_024, sha256));
        assert!(out(1_023, sha256));
        let (sha384, pss) = ("1.2.840.113549.1.1.12", "1.2.840.113549.1.1.10");
        for strict in [sha384, pss] {
            assert!(out(1_536, strict) && !out(2_048, strict) && out(8_193, strict));
        }
        let ecdsa = SignatureAlgorithm::from_oid("1.2.840.10045.4.3.2");
        assert!(!is_out_of_bounds(&PublicKey::Ecdsa(None), &ecdsa));
    }
}
