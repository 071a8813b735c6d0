//! Validates chains: what is wrong with each, and whether it leads to a trusted root. Each distinct chain is validated once.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::cache::{self, Generations, size};
#[cfg(feature = "validate")]
use super::explain::Explanation;
use super::issuers::Issuers;
#[cfg(feature = "validate")]
use super::path::{self, TrustedPath, Walk, WalkEnd};
use super::trust::{Trust, TrustOrigin, TrustStore};
#[cfg(feature = "validate")]
use super::verification::BoundedAlgorithms;
use super::{
    Certificate, CertificateChain, CertificateFacts, CertificateNote, CertificateTime, Finding,
    flaws,
};
use crate::error_type::ErrorType;
use crate::flow::Side;
use crate::stats::Stats;
use crate::time::Timestamp;

/// Validates chains and caches the results.
///
/// It learns the issuers in the chains that it sees and completes later chains
/// with them, so results depend on the order of the chains, and on nothing else.
#[derive(Debug)]
pub struct ChainValidator {
    source: Trust,
    /// The roots that `source` held at `generation`.
    trust: Option<Arc<TrustStore>>,
    generation: u64,
    hasher: RandomState,
    cache: Generations<Arc<Validation>>,
    issuers: Issuers,
    validated: u64,
}

/// The result of validating a chain, without the findings on dates and names ([`super::findings`]).
#[derive(Debug)]
pub struct Validation {
    chain: CertificateChain,
    side: Side,
    /// The first and last second at which the result is the same: in between no certificate begins or ends to be valid.
    applies: (CertificateTime, CertificateTime),
    /// The subject of the issuer that is missing: once it is known, the result may change.
    missing_issuer: Option<String>,
    /// The fault.
    pub findings: Vec<Finding>,
    /// What is unusual, without being a reason to refuse the chain.
    pub notes: Vec<CertificateNote>,
    /// Signatures that a limit left unchecked: of certificates that name themselves as their issuer, and on the way to a root.
    pub signatures_skipped: u64,
    /// Hashes of the certificates on the path to a trusted root, leaf first; `None` if there is none.
    path: Option<Vec<[u8; 32]>>,
}

impl Validation {
    /// Whether a finding on dates or on a self-signed leaf, made without looking at trust, does not matter.
    ///
    /// If there is a path to a trusted root, certificates that are not on it do
    /// not matter, and a leaf that is itself a root may be signed by its own key.
    #[must_use]
    pub fn excuses(&self, finding: &Finding) -> bool {
        let Some(path) = &self.path else {
            return false;
        };
        let is_on_path = |certificate: &&Arc<Certificate>| path.contains(&certificate.sha256);
        // A renewed issuer has the same subject as the expired one: dates tell them apart.
        let (first, last) = self.applies;
        let is_in_that_state = |facts: &CertificateFacts| match finding.error_type {
            ErrorType::CertExpired => facts.not_after < first,
            ErrorType::CertNotYetValid => facts.not_before > last,
            _ => true,
        };
        let is_meant = |certificate: &Arc<Certificate>| {
            let facts = certificate.facts.as_ref();
            facts.is_ok_and(|facts| {
                facts.subject == finding.certificate.subject() && is_in_that_state(facts)
            })
        };
        match finding.error_type {
            ErrorType::SelfSigned => true,
            ErrorType::CertExpired | ErrorType::CertNotYetValid | ErrorType::NearExpiry => {
                !self.chain.iter().filter(is_on_path).any(is_meant)
            }
            _ => false,
        }
    }

    /// Whether there is a path to a trusted root.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        self.path.is_some()
    }
}

impl ChainValidator {
    /// A validator that trusts the roots in `trust`, and follows when they are exchanged.
    #[must_use]
    pub fn new(trust: &Trust) -> Self {
        Self {
            generation: trust.generation(),
            trust: trust.store(),
            source: trust.clone(),
            hasher: RandomState::default(),
            cache: Generations::default(),
            issuers: Issuers::default(),
            validated: 0,
        }
    }

    /// Whose roots are trusted; `None` if chains are not validated against roots.
    #[must_use]
    pub fn origin(&self) -> Option<TrustOrigin> {
        self.trust.as_ref().map(|trust| trust.origin())
    }

    /// Validates the chain that `side` showed, at the moment `at`. Findings:
    ///
    /// - [`ErrorType::UntrustedCa`]: there is no path to a trusted root.
    /// - [`ErrorType::IncompleteChain`]: the path needs an issuer that only another
    ///   chain showed; or the leaf comes alone and has a URL for its issuer.
    /// - [`ErrorType::WeakKey`], [`ErrorType::WeakSignature`]: of a certificate on the path.
    /// - [`ErrorType::BadCertificate`]: a signature is wrong, or a certificate is
    ///   not allowed to be used as it is, or cannot be read.
    /// - [`ErrorType::UnsupportedCertificate`]: the chain cannot be validated.
    /// - [`ErrorType::CertExpired`]: the trusted root has expired; other dates are for [`super::findings`].
    pub fn validate(
        &mut self,
        chain: &CertificateChain,
        side: Side,
        at: Timestamp,
    ) -> Arc<Validation> {
        self.follow_exchange();
        let at = CertificateTime::from(at);
        let hash = self.hash(chain, side);
        let issuers = &self.issuers;
        let still_applies = |cached: &Arc<Validation>| {
            let (first, last) = cached.applies;
            let is_known = |issuer: &String| !issuers.named(issuer).is_empty();
            cached.side == side
                && (first..=last).contains(&at)
                && is_same(&cached.chain, chain)
                && !cached.missing_issuer.as_ref().is_some_and(is_known)
        };
        if let Some(cached) = self.cache.find(hash, still_applies) {
            return cached;
        }
        let validation = Arc::new(self.validate_uncached(chain, side, at));
        self.validated += 1;
        let bytes = chain.iter().map(|certificate| size(certificate)).sum();
        self.cache.insert(hash, Arc::clone(&validation), bytes);
        validation
    }

    /// Drops all results if the roots have been exchanged.
    fn follow_exchange(&mut self) {
        let generation = self.source.generation();
        if self.generation != generation {
            self.generation = generation;
            self.trust = self.source.store();
            self.cache = Generations::default();
        }
    }

    /// Remembers the issuers in a chain, to complete others with.
    pub fn learn(&mut self, chain: &CertificateChain) {
        if self.trust.is_some() {
            self.issuers.learn(chain);
        }
    }

    /// How many chains were validated, and how many issuers a limit discarded.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            chains_judged: self.validated,
            issuers_forgotten: self.issuers.forgotten,
            ..Stats::default()
        }
    }

    fn validate_uncached(
        &self,
        chain: &CertificateChain,
        side: Side,
        at: CertificateTime,
    ) -> Validation {
        let mut validation = Validation {
            chain: Arc::clone(chain),
            side,
            applies: (CertificateTime::MIN, CertificateTime::MAX),
            missing_issuer: None,
            findings: Vec::new(),
            notes: flaws::notes(chain, side),
            signatures_skipped: cache::signatures_skipped(chain),
            path: None,
        };
        if let Some(trust) = &self.trust {
            self.validate_trust(&mut validation, trust, at);
        }
        // Certificates that are not on the path to a root do not matter.
        let counts = |certificate: &Certificate| {
            let path = validation.path.as_ref();
            path.is_none_or(|path| path.contains(&certificate.sha256))
        };
        let is_root = |certificate: &Certificate| {
            let trust = self.trust.as_ref();
            trust.is_some_and(|trust| trust.holds(&certificate.sha256))
        };
        let flaws = flaws::findings(chain, side, counts, is_root);
        validation.findings.extend(flaws);
        validation
    }

    #[cfg(feature = "validate")]
    fn validate_trust(&self, validation: &mut Validation, trust: &TrustStore, at: CertificateTime) {
        let chain = Arc::clone(&validation.chain);
        let Some(leaf) = chain.first() else {
            return;
        };
        let Ok(facts) = &leaf.facts else {
            return; // `flaws` reports that it cannot be read
        };
        let walk = Walk::new(&chain, trust, &self.issuers);
        validation.applies = constant_around(at, &chain, &walk, trust);
        if trust.holds(&leaf.sha256) {
            validation.path = Some(vec![leaf.sha256]);
            return;
        }
        if facts.self_signed {
            return; // has a finding of its own; that no root signed it follows from it
        }
        let algorithms = BoundedAlgorithms::new();
        let result = path::build(&chain, &walk, validation.side, at, trust, &algorithms);
        validation.signatures_skipped += algorithms.skipped();
        let explanation = Explanation {
            chain: &chain,
            leaf,
            walk: &walk,
            side: validation.side,
            trust,
        };
        match result {
            Ok(TrustedPath { root, hashes }) => {
                validation
                    .findings
                    .extend(explanation.trusted(root, &hashes, at));
                validation.notes.extend(explanation.long_validity());
                validation.path = Some(hashes);
            }
            Err(error) => {
                validation.findings = explanation.refused(&error);
                if let WalkEnd::Missing(issuer) = walk.end {
                    validation.missing_issuer = Some(issuer);
                }
            }
        }
    }

    #[cfg(not(feature = "validate"))]
    const fn validate_trust(&self, _: &mut Validation, _: &TrustStore, _: CertificateTime) {}

    fn hash(&self, chain: &CertificateChain, side: Side) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(side as u8);
        for certificate in chain.iter() {
            hasher.write(&certificate.sha256);
        }
        hasher.finish()
    }
}

fn is_same(one: &CertificateChain, other: &CertificateChain) -> bool {
    fn hashes(chain: &CertificateChain) -> impl Iterator<Item = &[u8; 32]> {
        chain.iter().map(|certificate| &certificate.sha256)
    }
    Arc::ptr_eq(one, other) || hashes(one).eq(hashes(other))
}

/// The longest time around `at` in which no certificate that matters becomes valid or expires.
#[cfg(feature = "validate")]
fn constant_around(
    at: CertificateTime,
    chain: &CertificateChain,
    walk: &Walk,
    trust: &TrustStore,
) -> (CertificateTime, CertificateTime) {
    let shown = chain.iter().chain(&walk.completed);
    let facts = shown.filter_map(|certificate| certificate.facts.as_ref().ok());
    let (mut first, mut last) = (CertificateTime::MIN, CertificateTime::MAX);
    let mut narrow = |not_before: CertificateTime, not_after: CertificateTime| {
        for change in [not_before, CertificateTime(not_after.0.saturating_add(1))] {
            if change <= at {
                first = first.max(change);
            } else {
                last = last.min(CertificateTime(change.0 - 1));
            }
        }
    };
    for facts in facts {
        narrow(facts.not_before, facts.not_after);
        for root in trust.named(&facts.issuer) {
            narrow(root.not_before, root.not_after);
        }
    }
    (first, last)
}
