//! A policy as data: what must hold, for which handshakes, and what a violation means.

use super::assertion::Assertion;
use super::scope::Scope;

/// Everything that must hold. [`Policy::parse`] makes one, [`super::Evaluation`] applies it.
#[derive(Debug)]
pub struct Policy {
    /// Where it comes from: the file, or `default`.
    pub name: String,
    /// Whether a capture without any handshake passes.
    pub allows_empty: bool,
    /// The assertions of all rules, in the order of the file.
    pub(super) checks: Vec<Check>,
}

impl Policy {
    /// A policy that requires nothing but that there is a handshake.
    #[must_use]
    pub const fn empty(name: String) -> Self {
        Self {
            name,
            allows_empty: false,
            checks: Vec::new(),
        }
    }
}

/// One assertion of one rule.
#[derive(Debug)]
pub(super) struct Check {
    /// The rule's name, if it has one.
    pub(super) rule: Option<String>,
    /// Line of the policy file; 0 if it is in none.
    pub(super) line: usize,
    /// The handshakes that it covers.
    pub(super) scope: Scope,
    /// What a violation means.
    pub(super) severity: RuleSeverity,
    /// What it means if the assertion cannot be evaluated.
    pub(super) unknown: Unknown,
    /// The key that the assertion was read from.
    pub(super) key: &'static str,
    /// What must hold.
    pub(super) assertion: Box<dyn Assertion>,
}

/// What a violation means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleSeverity {
    /// The check fails.
    #[default]
    Error,
    /// The violation is reported, and the check passes.
    Warning,
}

impl RuleSeverity {
    /// As written in policies and reports: `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What it means if an assertion cannot be evaluated: the capture does not show what it asks
/// about, or has no handshake in its scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The report counts it, and nothing else happens.
    Ignore,
    /// A warning: a check that saw nothing must not look like one that did.
    #[default]
    Warn,
    /// The same as a violation.
    Fail,
}
