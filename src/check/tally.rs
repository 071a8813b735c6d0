//! Counts for one assertion, handshake by handshake.

use std::collections::BTreeMap;

use super::assertion::{About, Compliance, InScope, RunResult, RunTotals, handshakes};
use super::context::{Context, InputWarnings};
use super::known_findings::{Finding, KnownFindings};
use super::policy::{Check, RuleSeverity, Unknown};
use super::result::{CheckResult, NotAsked, Offender, Status};
use crate::event::{Handshake, NotTls};
use crate::stats::Stats;

/// Offenders listed for an assertion: enough to see a pattern. The others are counted.
pub const MAX_OFFENDERS: usize = 10;

/// What was found for one check so far.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) check: Check,
    in_scope: u64,
    not_asked: NotAsked,
    evaluated: u64,
    violations: u64,
    /// Violations among those evaluated that the user already knows.
    known: u64,
    not_evaluated: BTreeMap<&'static str, u64>,
    offenders: Vec<Offender>,
}

/// The run as a whole, when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// Whether there was no handshake at all. The report says so once, not for each assertion.
    pub(super) is_empty: bool,
    pub(super) stats: &'a Stats,
    pub(super) warnings: &'a InputWarnings,
}

impl Tally {
    /// Starts without any handshake.
    pub(super) const fn new(check: Check) -> Self {
        Self {
            check,
            in_scope: 0,
            not_asked: NotAsked {
                out_of_scope: 0,
                not_applicable: 0,
                expected: 0,
            },
            evaluated: 0,
            violations: 0,
            known: 0,
            not_evaluated: BTreeMap::new(),
            offenders: Vec::new(),
        }
    }

    /// Evaluates one handshake in the scope; returns why it cannot be evaluated, if it cannot.
    pub(super) fn add(
        &mut self,
        event: &Handshake,
        context: Context,
        known: &mut KnownFindings,
    ) -> Option<&'static str> {
        self.in_scope += 1;
        let handshake = InScope {
            event,
            context,
            number: self.in_scope,
        };
        match self.check.assertion.evaluate(handshake) {
            Compliance::NotApplicable => self.not_asked.not_applicable += 1,
            Compliance::Undetermined(reason) => {
                *self.not_evaluated.entry(reason).or_default() += 1;
                return Some(reason);
            }
            Compliance::Satisfied => self.evaluated += 1,
            Compliance::Violated(why) => {
                let is_known =
                    known.is_in_use() && known.contains(Finding::new(&self.check, event, &why));
                self.add_violation(is_known, || Offender::new(event, &why));
            }
        }
        None
    }

    /// Counts a connection in the scope that did not become TLS.
    pub(super) fn add_not_tls(
        &mut self,
        event: &NotTls,
        compliance: Compliance,
        known: &mut KnownFindings,
    ) {
        self.in_scope += 1;
        match compliance {
            Compliance::NotApplicable | Compliance::Undetermined(_) => {}
            Compliance::Satisfied => self.evaluated += 1,
            Compliance::Violated(why) => {
                let is_known = known.is_in_use()
                    && known.contains(Finding::of_not_tls(&self.check, event, &why));
                self.add_violation(is_known, || Offender::of_not_tls(event, &why));
            }
        }
    }

    fn add_violation(&mut self, is_known: bool, offender: impl FnOnce() -> Offender) {
        self.evaluated += 1;
        if is_known {
            self.known += 1;
            return;
        }
        self.violations += 1;
        if self.offenders.len() < MAX_OFFENDERS {
            self.offenders.push(offender());
        }
    }

    /// Counts a handshake that the scope does not include.
    pub(super) const fn skip_out_of_scope(&mut self) {
        self.not_asked.out_of_scope += 1;
    }

    /// Counts a failure in scope that another rule expects.
    pub(super) const fn skip_expected(&mut self) {
        self.in_scope += 1;
        self.not_asked.expected += 1;
    }

    /// Whether no handshake complied or violated it.
    pub(super) const fn has_evaluated_nothing(&self) -> bool {
        self.evaluated == 0 && self.not_asked.expected == 0
    }

    /// Whether there is a handshake in its scope.
    pub(super) const fn has_scope(&self) -> bool {
        self.in_scope > 0
    }

    /// How many handshakes may violate it.
    fn tolerance(&self) -> u64 {
        self.check.assertion.tolerance(self.evaluated)
    }

    /// The result when the run is over.
    pub(super) fn result(self, run: Run<'_>, known: &mut KnownFindings) -> CheckResult {
        let verdict = self.verdict(run);
        let mut status = verdict.status;
        // That nothing was evaluated is no violation, so it never becomes known: it would hide whatever comes later.
        let is_violation_of_run = verdict.is_of_run && !self.has_no_scope();
        let mut found = verdict
            .found
            .unwrap_or_else(|| self.counts_in_words(status));
        if status.is_complaint()
            && is_violation_of_run
            && known.is_in_use()
            && known.contains(Finding::of_run(&self.check))
        {
            status = Status::Held;
            found += " (known)";
        }
        let wanted = self.check.assertion.requirement();
        let lists_offenders = status.is_complaint() && self.violations > self.tolerance();
        CheckResult {
            id: self.check.key,
            status,
            found,
            name: self.check.rule.unwrap_or_else(|| wanted.clone()),
            line: self.check.line,
            severity: self.check.severity,
            wanted,
            evaluated: self.evaluated,
            violations: self.violations,
            known: self.known,
            not_evaluated: self.not_evaluated,
            not_asked: self.not_asked,
            offenders: if lists_offenders || verdict.is_of_run && status.is_complaint() {
                self.offenders
            } else {
                Vec::new()
            },
        }
    }

    /// Whether the assertion is about handshakes, and there is none that it could be about.
    fn has_no_scope(&self) -> bool {
        self.in_scope == 0 && self.check.assertion.about() != About::Run
    }

    fn verdict(&self, run: Run<'_>) -> Verdict {
        let assertion = &self.check.assertion;
        let has_no_scope = self.has_no_scope();
        let may_be_empty = self.check.may_be_empty || run.is_empty;
        if has_no_scope && self.check.may_be_empty && assertion.about() == About::Handshakes {
            return Verdict::of(Status::NotEvaluated);
        }
        let totals = RunTotals {
            in_scope: self.in_scope,
            evaluated: self.evaluated,
            stats: run.stats,
            warnings: run.warnings,
        };
        if let Some(RunResult { holds, found }) = assertion.at_end(&totals) {
            let holds = holds && (!has_no_scope || may_be_empty);
            let status = if holds { Status::Held } else { self.violated() };
            return Verdict {
                status,
                found: found.filter(|_| !has_no_scope || may_be_empty),
                is_of_run: true,
            };
        }
        if has_no_scope && may_be_empty {
            return Verdict::of(Status::NotEvaluated);
        }
        if self.violations > self.tolerance() || has_no_scope {
            return Verdict::of(self.violated());
        }
        let is_partial = !self.not_evaluated.is_empty();
        Verdict::of(match (self.evaluated, self.check.unknown) {
            (0, _) if self.not_asked.expected > 0 && !is_partial => Status::Held,
            (0, Unknown::Fail) => self.violated(),
            (0, Unknown::Ignore) => Status::NotEvaluated,
            (0, Unknown::Warn) => Status::Warning,
            (_, Unknown::Fail) if is_partial => self.violated(),
            _ if is_partial => Status::PartlyHeld,
            _ => Status::Held,
        })
    }

    const fn violated(&self) -> Status {
        match self.check.severity {
            RuleSeverity::Error => Status::Error,
            RuleSeverity::Warning => Status::Warning,
        }
    }

    /// What was found, in one clause, as in `2 of 3 handshakes failed, 1 allowed`.
    fn counts_in_words(&self, status: Status) -> String {
        if self.in_scope == 0 {
            let allowed = match status {
                Status::NotEvaluated => "",
                _ => "; if that is fine, add `min-handshakes = 0` to the rule",
            };
            return format!("no handshake in scope{allowed}");
        }
        let missing: u64 = self.not_evaluated.values().sum();
        let mut found = if self.evaluated > 0 {
            let (violations, evaluated) = (self.violations, self.evaluated);
            let did = self.check.assertion.violation();
            format!("{violations} of {} {did}", handshakes(evaluated))
        } else if missing == 0 && self.not_asked.expected > 0 {
            return format!(
                "{} failed, as another rule expects",
                handshakes(self.not_asked.expected)
            );
        } else if missing == 0 {
            let in_scope = handshakes(self.in_scope);
            format!("{in_scope} in scope, none that this applies to")
        } else {
            return format!("not evaluated: {}", self.reasons_in_words());
        };
        if self.evaluated > 0 && self.tolerance() > 0 {
            found += &format!(", {} allowed", self.tolerance());
        }
        if self.known > 0 {
            found += &format!(", {} known", self.known);
        }
        if missing > 0 && self.check.unknown == Unknown::Fail {
            found += &format!("; not evaluated: {}", self.reasons_in_words());
        } else if missing > 0 {
            found += &format!(", {missing} not evaluated");
        }
        found
    }

    fn reasons_in_words(&self) -> String {
        let reasons = self.not_evaluated.iter();
        let reasons = reasons.map(|(reason, count)| format!("{}: {reason}", handshakes(*count)));
        reasons.collect::<Vec<_>>().join("; ")
    }
}

struct Verdict {
    status: Status,
    /// `None` if the counts say it all.
    found: Option<String>,
    /// Whether it depends on more than how many handshakes violate the assertion.
    is_of_run: bool,
}

impl Verdict {
    const fn of(status: Status) -> Self {
        Self {
            status,
            found: None,
            is_of_run: false,
        }
    }
}
