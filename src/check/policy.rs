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

    /// Whether it has no assertion: an evaluation of it would pass whatever the captures show.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.checks.is_empty()
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
    /// The same as the user wrote it; `None` for all.
    pub(super) written_scope: Option<String>,
    /// What a violation means.
    pub(super) severity: RuleSeverity,
    /// What it means if the assertion cannot be evaluated.
    pub(super) unknown: Unknown,
    /// Whether the rule allows that no handshake is in its scope.
    pub(super) may_be_empty: bool,
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

/// What it means if the capture does not show what an assertion asks about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The report counts it, nothing else.
    Ignore,
    /// A warning if no handshake could be evaluated; otherwise the report counts it.
    #[default]
    Warn,
    /// The same as a violation.
    Fail,
}
