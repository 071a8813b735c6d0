//! From a leaf to a trusted root, or why there is no way: by webpki, and by names to say where it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::issuers::Issuers;
use super::trust::{Root, TrustStore};
use super::verification::ALGORITHMS;
use super::{Certificate, CertificateChain, CertificateFacts, CertificateTime};
use crate::event::Side;

/// Certificates of one chain, beside the leaf, that may be on the way to a root.
///
/// Honest chains have one to three.
const MAX_INTERMEDIATES: usize = 32;

/// Certificates of one name among them: an issuer renewed, or signed by several roots.
///
/// webpki tries every way through them, to a depth of six, before it looks at a
/// signature: of thirty of one name it gives up after a second. Three make 3⁶ ways at most.
const MAX_OF_A_NAME: usize = 3;

/// Issuers that were not shown, and that other handshakes showed, on one way to a root.
const MAX_COMPLETED: usize = 8;

/// What became of a chain at one moment.
#[derive(Debug)]
pub(super) enum Verdict<'t> {
    /// There is a way to a root.
    Trusted {
        root: &'t Root,
        /// Hashes of the certificates on the way, leaf first.
        path: Vec<[u8; 32]>,
    },
    /// There is none, and this is webpki's reason.
    Refused(Error),
}

/// Holds a chain whose leaf can be read against the roots.
pub(super) fn verify<'t>(
    chain: &CertificateChain,
    walk: &Walk,
    side: Side,
    at: CertificateTime,
    trust: &'t TrustStore,
) -> Verdict<'t> {
    let judge = |completed: &[Arc<Certificate>], at| try_path(chain, completed, side, at, trust);
    let mut verdict = judge(&[], at);
    if matches!(verdict, Verdict::Refused(Error::UnknownIssuer)) && !walk.completed.is_empty() {
        verdict = judge(&walk.completed, at);
    }
    // Dates have findings of their own: whether the chain is trusted is told for a moment when it was valid.
    match (&verdict, walk.moment(chain, at)) {
        (Verdict::Refused(error), Some(other)) if is_about_time(error) && other != at => {
            judge(&walk.completed, other)
        }
        _ => verdict,
    }
}

/// Whether a refusal is one for the moment only.
pub(super) const fn is_about_time(error: &Error) -> bool {
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
) -> Verdict<'t> {
    let Some((leaf, shown)) = chain.split_first() else {
        return Verdict::Refused(Error::UnknownIssuer);
    };
    let leaf_der = CertificateDer::from(&*leaf.der);
    let others = intermediates(leaf, shown, completed);
    let intermediates: Vec<CertificateDer<'_>> = others
        .iter()
        .map(|certificate| CertificateDer::from(&*certificate.der))
        .collect();
    let at = Duration::from_secs(u64::try_from(at.0).unwrap_or_default());
    let usage = match side {
        Side::Server => KeyUsage::server_auth(),
        Side::Client => KeyUsage::client_auth(),
    };
    let result = EndEntityCert::try_from(&leaf_der).and_then(|end_entity| {
        let path = end_entity.verify_for_usage(
            ALGORITHMS,
            trust.anchors(),
            &intermediates,
            UnixTime::since_unix_epoch(at),
            usage,
            None,
            None,
        )?;
        let root = trust.root_of(path.anchor()).ok_or(Error::UnknownIssuer)?;
        let of_path = path.intermediate_certificates().filter_map(|used| {
            let der = used.der();
            let known = others.iter().find(|other| *other.der == *der)?;
            Some(known.sha256)
        });
        let path = std::iter::once(leaf.sha256).chain(of_path).collect();
        Ok(Verdict::Trusted { root, path })
    });
    result.unwrap_or_else(Verdict::Refused)
}

/// The certificates that may be on the way from the leaf to a root.
fn intermediates<'c>(
    leaf: &Certificate,
    shown: &'c [Arc<Certificate>],
    completed: &'c [Arc<Certificate>],
) -> Vec<&'c Arc<Certificate>> {
    let mut of_a_name: HashMap<&str, usize> = HashMap::new();
    distinct(shown)
        .filter(|other| other.sha256 != leaf.sha256)
        .take(MAX_INTERMEDIATES)
        .chain(completed)
        .filter(|other| {
            let facts = other.facts.as_ref();
            let name = facts.map_or("", |facts| &facts.subject);
            let count = of_a_name.entry(name).or_default();
            *count += 1;
            *count <= MAX_OF_A_NAME
        })
        .collect()
}

/// The certificates of a chain, each once.
pub(super) fn distinct(chain: &[Arc<Certificate>]) -> impl Iterator<Item = &Arc<Certificate>> {
    placed(chain).map(|(_, certificate)| certificate)
}

/// The certificates of a chain, each once and with its position.
pub(super) fn placed(
    chain: &[Arc<Certificate>],
) -> impl Iterator<Item = (usize, &Arc<Certificate>)> {
    chain.iter().enumerate().filter(|(index, certificate)| {
        let mut earlier = chain.iter().take(*index);
        earlier.all(|other| other.sha256 != certificate.sha256)
    })
}

/// The way from the leaf upwards as names have it; no signature is looked at.
#[derive(Debug, PartialEq)]
pub(super) struct Walk {
    /// Positions in the chain, the leaf's first.
    pub(super) shown: Vec<usize>,
    /// Issuers that the chain lacks, and that other handshakes showed.
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
    /// At the name of an issuer that is not there.
    Missing(String),
    /// At something that cannot be read, or in a circle.
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
        // Each turn uses up a certificate shown, or one of those that complete the chain.
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

    /// The moment nearest to `at` when all certificates on the way were valid; `None` if there was none.
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

/// The position of a certificate in the chain that is named as the issuer and not used yet.
pub(super) fn shown_issuer(
    chain: &[Arc<Certificate>],
    used: &[usize],
    of: &CertificateFacts,
) -> Option<usize> {
    let is_named = |certificate: &Certificate| {
        let facts = certificate.facts.as_ref();
        facts.is_ok_and(|facts| facts.subject == of.issuer)
    };
    // One that the chain repeats is where it was first.
    let is_used = |certificate: &Certificate| {
        let mut used = used.iter().filter_map(|index| chain.get(*index));
        used.any(|used| used.sha256 == certificate.sha256)
    };
    let is_issuer = |(index, certificate): &(usize, &Arc<Certificate>)| {
        *index > 0 && is_named(certificate) && !is_used(certificate)
    };
    let (index, _) = chain.iter().enumerate().find(is_issuer)?;
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, common_name};
    use super::*;

    #[test]
    fn of_a_crowd_with_one_name_the_first_are_tried() {
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
