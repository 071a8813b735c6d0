//! The path from a leaf to a trusted root: built by webpki, and followed by names to say where it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::chain::{distinct, shown_issuer};
use super::issuers::Issuers;
use super::trust::{Root, TrustStore};
use super::verification::BoundedAlgorithms;
use super::{Certificate, CertificateChain, CertificateTime};
use crate::flow::Side;

/// Certificates of one chain, without the leaf, that are tried as intermediates.
///
/// Honest chains have one to three; some servers send a whole bundle of roots by mistake.
const MAX_INTERMEDIATES: usize = 32;

/// Certificates with the same subject among them: a renewed issuer, or one that several roots have signed.
///
/// webpki tries every path through them, to a depth of six, before it checks a
/// signature: with thirty of the same subject it takes a second to give up. Three make at most 3⁶ paths.
const MAX_PER_SUBJECT: usize = 3;

/// Issuers on one path that the chain lacks and other handshakes showed.
const MAX_COMPLETED: usize = 8;

/// A path from a leaf to a trusted root.
#[derive(Debug)]
pub(super) struct TrustedPath<'t> {
    pub(super) root: &'t Root,
    /// Hashes of the certificates on the path, leaf first.
    pub(super) hashes: Vec<[u8; 32]>,
}

/// Builds the path of a chain whose leaf can be read.
///
/// # Errors
///
/// webpki's reason why there is none, or that `algorithms` may check no more signatures.
pub(super) fn build<'t>(
    chain: &CertificateChain,
    walk: &Walk,
    side: Side,
    at: CertificateTime,
    trust: &'t TrustStore,
    algorithms: &BoundedAlgorithms,
) -> Result<TrustedPath<'t>, Error> {
    let path = |completed: &[Arc<Certificate>], at| {
        algorithms.search(|algorithms| try_path(chain, completed, side, at, trust, algorithms))
    };
    // As sent first: a chain that needs no help must not depend on what other handshakes showed.
    let mut result = path(&[], at);
    if matches!(result, Err(Error::UnknownIssuer)) && !walk.completed.is_empty() {
        result = path(&walk.completed, at);
    }
    // Dates have findings of their own, so an expired chain is validated at a moment
    // when it was valid: otherwise expiry would hide that its issuer is unknown.
    match (&result, walk.moment(chain, at)) {
        (Err(error), Some(other)) if is_about_time(error) && other != at => {
            path(&walk.completed, other)
        }
        _ => result,
    }
}

/// Whether webpki refused the chain only for the moment it was asked about.
const fn is_about_time(error: &Error) -> bool {
    matches!(
        error,
        Error::CertExpired { .. } | Error::CertNotValidYet { .. }
    )
}

fn try_path<'t>(
    chain: &CertificateChain,
    completed: &[Arc<Certificate>],
    side: Side,
    at: CertificateTime,
    trust: &'t TrustStore,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<TrustedPath<'t>, Error> {
    let (leaf, shown) = chain.split_first().ok_or(Error::UnknownIssuer)?;
    let leaf_der = CertificateDer::from(&*leaf.der);
    let others = intermediates(leaf, shown, completed);
    let intermediates: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|certificate| CertificateDer::from(&*certificate.der))
        .collect();
    // webpki knows no moment before 1970; nothing was valid then, either.
    let at = Duration::from_secs(u64::try_from(at.0).unwrap_or_default());
    let usage = match side {
        Side::Server => KeyUsage::server_auth(),
        Side::Client => KeyUsage::client_auth(),
    };
    let end_entity = EndEntityCert::try_from(&leaf_der)?;
    let path = end_entity.verify_for_usage(
        algorithms,
        trust.anchors(),
        &intermediates,
        UnixTime::since_unix_epoch(at),
        usage,
        None,
        None,
    )?;
    let root = trust.root_of(path.anchor()).ok_or(Error::UnknownIssuer)?;
    let between = path.intermediate_certificates().filter_map(|used| {
        let der = used.der();
        let known = others.iter().find(|other| *other.der == *der)?;
        Some(known.sha256)
    });
    let hashes = std::iter::once(leaf.sha256).chain(between).collect();
    Ok(TrustedPath { root, hashes })
}

/// The certificates that are tried between the leaf and a root.
fn intermediates<'c>(
    leaf: &Certificate,
    shown: &'c [Arc<Certificate>],
    completed: &'c [Arc<Certificate>],
) -> Vec<&'c Arc<Certificate>> {
    let mut by_subject: HashMap<&str, usize> = HashMap::new();
    distinct(shown)
        .filter(|other| other.sha256 != leaf.sha256)
        .take(MAX_INTERMEDIATES)
        .chain(completed)
        .filter(|other| {
            let facts = other.facts.as_ref();
            let name = facts.map_or("", |facts| &facts.subject);
            let count = by_subject.entry(name).or_default();
            *count += 1;
            *count <= MAX_PER_SUBJECT
        })
        .collect()
}

/// The path from the leaf upwards that the names describe; no signature is checked.
#[derive(Debug, PartialEq)]
pub(super) struct Walk {
    /// Positions in the chain, the leaf's first.
    pub(super) shown: Vec<usize>,
    /// Issuers that the chain lacks and other handshakes showed.
    pub(super) completed: Vec<Arc<Certificate>>,
    pub(super) end: WalkEnd,
}

/// Where a walk ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WalkEnd {
    /// At the name of a trusted root, or at a certificate that is one.
    Root,
    /// At a certificate that names itself as its issuer, and that is not trusted: its subject.
    SelfIssued(String),
    /// At the name of an issuer that is neither in the chain nor known.
    Missing(String),
    /// At a certificate that cannot be read, or in a circle.
    Nowhere,
}

impl Walk {
    /// Walks up from the leaf.
    pub(super) fn new(chain: &CertificateChain, trust: &TrustStore, issuers: &Issuers) -> Self {
        let mut walk = Self {
            shown: vec![0],
            completed: Vec::new(),
            end: WalkEnd::Nowhere,
        };
        let Some(mut current) = chain.first().cloned() else {
            return walk;
        };
        // Each step uses up a certificate of the chain or one that completes it, so a circle ends, too.
        for _ in 0..chain.len() + MAX_COMPLETED {
            let Ok(facts) = &current.facts else {
                return walk;
            };
            if trust.holds(&current.sha256) || trust.named(&facts.issuer).next().is_some() {
                walk.end = WalkEnd::Root;
                return walk;
            }
            if facts.subject == facts.issuer {
                walk.end = WalkEnd::SelfIssued(facts.subject.clone());
                return walk;
            }
            let next = match shown_issuer(chain, &walk.shown, facts) {
                Some(index) => {
                    walk.shown.push(index);
                    chain.get(index)
                }
                None => {
                    let seen = issuers.named(&facts.issuer);
                    walk.completed.extend(seen.iter().cloned());
                    seen.first()
                }
            };
            match next {
                Some(next) => current = Arc::clone(next),
                None => {
                    walk.end = WalkEnd::Missing(facts.issuer.clone());
                    return walk;
                }
            }
        }
        walk
    }

    /// The moment closest to `at` when all certificates on the path were valid; `None` if there was none.
    fn moment(&self, chain: &CertificateChain, at: CertificateTime) -> Option<CertificateTime> {
        let shown = self.shown.iter().filter_map(|index| chain.get(*index));
        let facts = shown
            .chain(&self.completed)
            .filter_map(|certificate| certificate.facts.as_ref().ok());
        let (mut from, mut to) = (CertificateTime::MIN, CertificateTime::MAX);
        for facts in facts {
            from = from.max(facts.not_before);
            to = to.min(facts.not_after);
        }
        (from <= to).then(|| at.clamp(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, common_name};
    use super::*;

    #[test]
    fn at_most_three_intermediates_of_the_same_subject_are_tried() {
        let certificate = |name: &str, serial| {
            let subject = common_name(name);
            let template = Template {
                serial: vec![serial],
                subject,
                ..Template::default()
            };
            Arc::new(template.certificate())
        };
        let leaf = certificate("leaf", 1);
        let mut shown: Vec<_> = (1..30).map(|serial| certificate("X", serial)).collect();
        shown.push(certificate("Y", 1));
        shown.push(Arc::clone(&leaf));
        let completed = [certificate("X", 30), certificate("Z", 1)];
        let tried = intermediates(&leaf, &shown, &completed);
        let serials = tried.iter().map(|tried| {
            let facts = tried.facts.as_ref().unwrap();
            format!("{} {}", facts.subject, facts.serial)
        });
        let serials: Vec<_> = serials.collect();
        assert_eq!(
            serials,
            ["CN=X 01", "CN=X 02", "CN=X 03", "CN=Y 01", "CN=Z 01"]
        );
    }
}
