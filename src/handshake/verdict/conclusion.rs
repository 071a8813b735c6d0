//! The verdict on a handshake.

use std::borrow::Cow;

use crate::event::{Evidence, Outcome, UnknownBecause};
use crate::handshake::cause::FailureCause;

/// How a handshake ended, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::handshake) struct Conclusion {
    pub(in crate::handshake) outcome: Outcome,
    pub(in crate::handshake) evidence: Evidence,
    pub(in crate::handshake) confidence: f64,
    /// The rule that inferred it, and what that saw.
    pub(in crate::handshake) rule: Option<(&'static str, Cow<'static, [&'static str]>)>,
    pub(in crate::handshake) failure: Option<FailureCause>,
    /// Which evidence is missing, if the outcome is unknown.
    pub(in crate::handshake) unknown_because: Option<UnknownBecause>,
}

impl Conclusion {
    pub(super) const fn observed(outcome: Outcome) -> Self {
        Self {
            outcome,
            evidence: Evidence::Observed,
            confidence: 1.0,
            rule: None,
            failure: None,
            unknown_because: None,
        }
    }

    pub(super) fn unknown(because: UnknownBecause) -> Self {
        Self {
            unknown_because: Some(because),
            ..Self::observed(Outcome::Unknown)
        }
    }

    pub(super) fn failed(failure: FailureCause) -> Self {
        Self {
            failure: Some(failure),
            ..Self::observed(Outcome::Failure)
        }
    }

    pub(super) fn inferred(failure: FailureCause, rule: &CleartextRule) -> Self {
        Self {
            evidence: Evidence::Inferred,
            confidence: rule.confidence,
            rule: Some((rule.id, vec![rule.observation].into())),
            ..Self::failed(failure)
        }
    }
}

/// How a failure is inferred from what is in the clear.
#[derive(Debug)]
pub(in crate::handshake) struct CleartextRule {
    pub(in crate::handshake) id: &'static str,
    /// Share of its verdicts that are right, as in `docs/inference.md`.
    pub(in crate::handshake) confidence: f64,
    /// What it saw, for people.
    pub(in crate::handshake) observation: &'static str,
}
