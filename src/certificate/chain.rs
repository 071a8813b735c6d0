//! Looking through the certificates of one chain.

use std::sync::Arc;

use super::{Certificate, CertificateFacts};

/// The certificates of a chain without repetitions.
pub(super) fn distinct(chain: &[Arc<Certificate>]) -> impl Iterator<Item = &Arc<Certificate>> {
    placed(chain).map(|(_, certificate)| certificate)
}

/// The certificates of a chain without repetitions, each with its position.
pub(super) fn placed(
    chain: &[Arc<Certificate>],
) -> impl Iterator<Item = (usize, &Arc<Certificate>)> {
    chain.iter().enumerate().filter(|(index, certificate)| {
        let mut earlier = chain.iter().take(*index);
        earlier.all(|other| other.sha256 != certificate.sha256)
    })
}

/// The position in the chain of an issuer of `of` that is not used yet, by name.
pub(super) fn shown_issuer(
    chain: &[Arc<Certificate>],
    used: &[usize],
    of: &CertificateFacts,
) -> Option<usize> {
    let is_named = |certificate: &Certificate| {
        let facts = certificate.facts.as_ref();
        facts.is_ok_and(|facts| facts.subject == of.issuer)
    };
    // Of a repeated certificate only the first counts.
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
