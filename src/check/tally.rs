//! Counts for one assertion, handshake by handshake.

use std::collections::BTreeMap;

use super::assertion::{Compliance, InScope, RunResult, RunTotals, handshakes};
use super::context::{Context, InputWarnings};
use super::policy::{Check, RuleSeverity, Unknown};
use super::result::{CheckResult, Offender, Status};
use crate::event::Handshake;
use crate::stats::Stats;

/// Offenders listed for an assertion: enough to see a pattern. The others are counted.
pub const MAX_OFFENDERS: usize = 10;

/// What was found for one check so far.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) check: Check,
    in_scope: u64,
    evaluated: u64,
    violations: u64,
    not_evaluated: BTreeMap<&'static str, u64>,
    offenders: Vec<Offender>,
}

impl Tally {
    /// Starts without any handshake.
    pub(super) const fn new(check: Check) -> Self {
        Self {
            check,
            in_scope: 0,
            evaluated: 0,
            violations: 0,
            not_evaluated: BTreeMap::new(),
            offenders: Vec::new(),
        }
    }

    /// Evaluates one handshake in the scope.
    pub(super) fn add(&mut self, event: &Handshake, context: Context) {
        self.in_scope += 1;
        let handshake = InScope {
            event,
            context,
            number: self.in_scope,
        };
        match self.check.assertion.evaluate(handshake) {
            Compliance::NotApplicable => {}
            Compliance::Undetermined(reason) => *self.not_evaluated.entry(reason).or_default() += 1,
            Compliance::Satisfied => self.evaluated += 1,
            Compliance::Violated(why) => {
                self.evaluated += 1;
                self.violations += 1;
                if self.offenders.len() < MAX_OFFENDERS {
                    self.offenders.push(Offender::new(event, &why));
                }
            }
        }
    }

    /// Whether no handshake complied or violated it.
    pub(super) const fn has_evaluated_nothing(&self) -> bool {
        self.evaluated == 0
    }

    /// How many handshakes may violate it.
    fn tolerance(&self) -> u64 {
        self.check.assertion.tolerance(self.evaluated)
    }

    /// The result when the run is over.
    pub(super) fn result(self, stats: &Stats, warnings: &InputWarnings) -> CheckResult {
        let totals = RunTotals {
            in_scope: self.in_scope,
            evaluated: self.evaluated,
            stats,
            warnings,
        };
        let by_count = RunResult {
            holds: self.violations <= self.tolerance(),
            found: None,
        };
        let of_run = self.check.assertion.at_end(&totals);
        let is_unknown =
            of_run.is_none() && (self.evaluated == 0 || !self.not_evaluated.is_empty());
        let RunResult { holds, found } = of_run.unwrap_or(by_count);
        let wanted = self.check.assertion.requirement();
        CheckResult {
            id: self.check.key,
            status: self.status(holds, is_unknown),
            found: found.unwrap_or_else(|| self.counts_in_words()),
            name: self.check.rule.unwrap_or_else(|| wanted.clone()),
            line: self.check.line,
            severity: self.check.severity,
            wanted,
            evaluated: self.evaluated,
            violations: self.violations,
            not_evaluated: self.not_evaluated,
            offenders: if holds { Vec::new() } else { self.offenders },
        }
    }

    fn status(&self, holds: bool, is_unknown: bool) -> Status {
        match (self.check.severity, self.check.unknown) {
            (RuleSeverity::Error, _) if !holds => Status::Error,
            (RuleSeverity::Warning, _) if !holds => Status::Warning,
            (RuleSeverity::Error, Unknown::Fail) if is_unknown => Status::Error,
            (_, Unknown::Warn | Unknown::Fail) if is_unknown => Status::Warning,
            _ if is_unknown && self.evaluated == 0 => Status::NotEvaluated,
            _ => Status::Held,
        }
    }

    /// What was found, in one clause, as in `2 of 3 handshakes failed, 1 allowed`.
    fn counts_in_words(&self) -> String {
        let mut found = Vec::new();
        if self.in_scope == 0 {
            found.push("no handshake in scope".to_owned());
        } else if self.evaluated > 0 {
            let (violations, evaluated) = (self.violations, self.evaluated);
            let did = self.check.assertion.violation();
            let allowed = match self.tolerance() {
                0 => String::new(),
                allowed => format!(", {allowed} allowed"),
            };
            found.push(format!(
                "{violations} of {evaluated} handshakes {did}{allowed}"
            ));
        } else if self.not_evaluated.is_empty() {
            let in_scope = handshakes(self.in_scope);
            found.push(format!("{in_scope} in scope, none with anything to judge"));
        }
        for (reason, count) in &self.not_evaluated {
            found.push(format!("not judged: {}: {reason}", handshakes(*count)));
        }
        found.join("; ")
    }
}
