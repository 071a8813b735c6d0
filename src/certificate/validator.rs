//! Chains judged: what is wrong with them, and whether they lead to a trusted root; each distinct chain once.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::cache::{Generations, size};
use super::explain::Explanation;
use super::issuers::Issuers;
use super::path::{self, Verdict, Walk, WalkEnd};
use super::trust::{Trust, TrustOrigin, TrustStore};
use super::{
    Certificate, CertificateChain, CertificateFacts, CertificateNote, CertificateTime, Finding,
    flaws,
};
use crate::event::{ErrorType, Side};
use crate::stats::Stats;
use crate::time::Timestamp;

/// Judges chains, and remembers what it found.
///
/// It learns the issuers that chains hold, and completes later ones with them:
/// so what it says depends on the order in which chains come, and on nothing else.
#[derive(Debug)]
pub struct ChainJudge {
    source: Trust,
    /// What `source` held when it was last looked at.
    trust: Option<Arc<TrustStore>>,
    generation: u64,
    hasher: RandomState,
    known: Generations<Arc<Judgement>>,
    issuers: Issuers,
    judged: u64,
}

/// What was found of a chain, beside dates and names.
#[derive(Debug)]
pub struct Judgement {
    chain: CertificateChain,
    side: Side,
    /// The first and the last second of the time in which nothing changes.
    holds: (CertificateTime, CertificateTime),
    /// The issuer whose appearance may change it.
    waits_for: Option<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is odd.
    pub notes: Vec<CertificateNote>,
    /// Hashes of the certificates on the way to a trusted root, leaf first; `None` if there is none.
    path: Option<Vec<[u8; 32]>>,
}

impl Judgement {
    /// Whether a finding on dates or on the signer, made without regard to trust, is of no account.
    ///
    /// Where there is a way to a trusted root, the certificates beside it do not
    /// matter; and a certificate that is itself a root may be signed by its own key.
    #[must_use]
    pub fn excuses(&self, finding: &Finding) -> bool {
        let Some(path) = &self.path else {
            return false;
        };
        let is_of_path = |certificate: &&Arc<Certificate>| path.contains(&certificate.sha256);
        // An issuer renewed has the name of the one before: it is not the one that expired.
        let (first, last) = self.holds;
        let is_in_that_state = |facts: &CertificateFacts| match finding.error_type {
            ErrorType::CertExpired => facts.not_after < first,
            ErrorType::CertNotYetValid => facts.not_before > last,
            _ => true,
        };
        let is_meant = |certificate: &Arc<Certificate>| {
            let facts = certificate.facts.as_ref();
            facts.is_ok_and(|facts| facts.subject == finding.subject && is_in_that_state(facts))
        };
        match finding.error_type {
            ErrorType::SelfSigned => true,
            ErrorType::CertExpired | ErrorType::CertNotYetValid | ErrorType::NearExpiry => {
                !self.chain.iter().filter(is_of_path).any(is_meant)
            }
            _ => false,
        }
    }

    /// Whether there is a way to a trusted root.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        self.path.is_some()
    }
}

impl ChainJudge {
    /// A judge that trusts the roots in `trust`, whichever they are at the time.
    #[must_use]
    pub fn new(trust: &Trust) -> Self {
        Self {
            generation: trust.generation(),
            trust: trust.store(),
            source: trust.clone(),
            hasher: RandomState::default(),
            known: Generations::default(),
            issuers: Issuers::default(),
            judged: 0,
        }
    }

    /// Whose roots are trusted; `None` if trust is left out.
    #[must_use]
    pub fn origin(&self) -> Option<TrustOrigin> {
        self.trust.as_ref().map(|trust| trust.origin())
    }

    /// What is wrong with the chain that `side` showed, at the moment `at`.
    ///
    /// - [`ErrorType::UntrustedCa`]: there is no way to a trusted root.
    /// - [`ErrorType::IncompleteChain`]: there is one, through an issuer that only
    ///   another chain showed; or the leaf stands alone, and says where its issuer is to be had.
    /// - [`ErrorType::WeakKey`], [`ErrorType::WeakSignature`]: of a certificate on the way.
    /// - [`ErrorType::BadCertificate`]: a signature is wrong, or a certificate is
    ///   used for what it is not for, or cannot be read.
    /// - [`ErrorType::UnsupportedCertificate`]: it cannot be judged.
    /// - [`ErrorType::CertExpired`]: of the trusted root; other dates are for [`super::findings`].
    pub fn judge(&mut self, chain: &CertificateChain, side: Side, at: Timestamp) -> Arc<Judgement> {
        self.follow_exchange();
        let at = CertificateTime::from(at);
        let hash = self.hash(chain, side);
        let issuers = &self.issuers;
        let still_holds = |known: &Arc<Judgement>| {
            let (first, last) = known.holds;
            let has_come = |name: &String| !issuers.named(name).is_empty();
            known.side == side
                && (first..=last).contains(&at)
                && is_same(&known.chain, chain)
                && !known.waits_for.as_ref().is_some_and(has_come)
        };
        if let Some(known) = self.known.find(hash, still_holds) {
            return known;
        }
        let judgement = Arc::new(self.judge_anew(chain, side, at));
        self.judged += 1;
        let bytes = chain.iter().map(|certificate| size(certificate)).sum();
        self.known.insert(hash, Arc::clone(&judgement), bytes);
        judgement
    }

    /// Looks whether other roots are in force: then all is judged anew.
    fn follow_exchange(&mut self) {
        let generation = self.source.generation();
        if self.generation != generation {
            self.generation = generation;
            self.trust = self.source.store();
            self.known = Generations::default();
        }
    }

    /// Remembers the issuers in a chain, to complete others.
    pub fn learn(&mut self, chain: &CertificateChain) {
        if self.trust.is_some() {
            self.issuers.learn(chain);
        }
    }

    /// What was judged, and what a bound discarded.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            chains_judged: self.judged,
            issuers_forgotten: self.issuers.forgotten,
            ..Stats::default()
        }
    }

    fn judge_anew(&self, chain: &CertificateChain, side: Side, at: CertificateTime) -> Judgement {
        let mut judgement = Judgement {
            chain: Arc::clone(chain),
            side,
            holds: (CertificateTime::MIN, CertificateTime::MAX),
            waits_for: None,
            findings: Vec::new(),
            notes: flaws::notes(chain, side),
            path: None,
        };
        if let Some(trust) = &self.trust {
            self.judge_trust(&mut judgement, trust, at);
        }
        let counts = |certificate: &Certificate| {
            let path = judgement.path.as_ref();
            path.is_none_or(|path| path.contains(&certificate.sha256))
        };
        let is_root = |certificate: &Certificate| {
            let trust = self.trust.as_ref();
            trust.is_some_and(|trust| trust.holds(&certificate.sha256))
        };
        let flaws = flaws::findings(chain, side, counts, is_root);
        judgement.findings.extend(flaws);
        judgement
    }

    fn judge_trust(&self, judgement: &mut Judgement, trust: &TrustStore, at: CertificateTime) {
        let chain = Arc::clone(&judgement.chain);
        let Some(leaf) = chain.first() else {
            return;
        };
        let Ok(facts) = &leaf.facts else {
            return; // that it cannot be read is said of it already
        };
        let walk = Walk::new(&chain, trust, &self.issuers);
        judgement.holds = constant_around(at, &chain, &walk, trust);
        if trust.holds(&leaf.sha256) {
            judgement.path = Some(vec![leaf.sha256]);
            return;
        }
        if facts.self_signed {
            return; // that says it all
        }
        let verdict = path::verify(&chain, &walk, judgement.side, at, trust);
        let explanation = Explanation {
            chain: &chain,
            walk: &walk,
            side: judgement.side,
            trust,
        };
        match verdict {
            Verdict::Trusted { root, path } => {
                judgement
                    .findings
                    .extend(explanation.trusted(root, &path, at));
                judgement.notes.extend(explanation.long_validity());
                judgement.path = Some(path);
            }
            Verdict::Refused(error) => {
                judgement.findings = explanation.refused(&error);
                if let WalkEnd::Missing(name) = walk.end {
                    judgement.waits_for = Some(name);
                }
            }
        }
    }

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

/// The longest time around `at` in which no certificate that matters begins or ends to be valid.
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
