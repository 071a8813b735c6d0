//! What is found for one assertion, handshake by handshake.

use std::collections::BTreeMap;

use super::context::{Context, InputWarnings};
use super::judge::{Judgement, judge};
use super::policy::{Assertion, Check, Severity, Unknown, share};
use super::result::{CheckResult, Offender, Verdict};
use super::wish::{self, handshakes};
use crate::event::Handshake;
use crate::stats::Stats;

/// Offenders listed for an assertion: enough to see a pattern, however many there are. The rest is counted.
pub const MAX_OFFENDERS: usize = 10;

/// What was found for one check so far.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) check: Check,
    in_scope: u64,
    judged: u64,
    broken: u64,
    not_judged: BTreeMap<&'static str, u64>,
    offenders: Vec<Offender>,
}

impl Tally {
    /// Nothing was found yet.
    pub(super) const fn new(check: Check) -> Self {
        Self {
            check,
            in_scope: 0,
            judged: 0,
            broken: 0,
            not_judged: BTreeMap::new(),
            offenders: Vec::new(),
        }
    }

    /// Judges one handshake in the scope.
    pub(super) fn take(&mut self, event: &Handshake, context: Context) {
        self.in_scope += 1;
        match judge(&self.check.assertion, event, context) {
            Judgement::NotConcerned => {}
            Judgement::NotJudged(reason) => *self.not_judged.entry(reason).or_default() += 1,
            Judgement::Held => {
                self.judged += 1;
                let too_many = match self.check.assertion {
                    Assertion::MaxHandshakes(most) => self.judged > most,
                    _ => false,
                };
                if too_many {
                    self.accuse(event, &format!("handshake number {}", self.judged));
                }
            }
            Judgement::Broken(why) => {
                self.judged += 1;
                self.accuse(event, &why);
            }
        }
    }

    fn accuse(&mut self, event: &Handshake, why: &str) {
        self.broken += 1;
        if self.offenders.len() < MAX_OFFENDERS {
            self.offenders.push(Offender::new(event, why));
        }
    }

    /// Whether no handshake said anything for it or against it.
    pub(super) const fn has_judged_nothing(&self) -> bool {
        self.judged == 0
    }

    /// How many handshakes may speak against it.
    fn tolerance(&self) -> u64 {
        match &self.check.assertion {
            Assertion::MaxFailures { limit, .. } | Assertion::MaxUnknown(limit) => {
                limit.of(self.judged)
            }
            Assertion::MaxLatency { percentile, .. } => {
                // The percentile by nearest rank: all that come after it may be slower.
                let rank = share(self.judged, *percentile).ceil() as u64;
                self.judged.saturating_sub(rank)
            }
            _ => 0,
        }
    }

    /// What became of it when the run is over.
    pub(super) fn result(mut self, stats: &Stats, warnings: &InputWarnings) -> CheckResult {
        let whole = self.whole_run(stats, warnings);
        let is_broken = match &whole {
            Some((holds, _)) => !holds,
            None => self.broken > self.tolerance(),
        };
        let is_unknown = whole.is_none() && (self.judged == 0 || !self.not_judged.is_empty());
        let verdict = match (self.check.severity, self.check.unknown) {
            (Severity::Error, _) if is_broken => Verdict::Error,
            (Severity::Warning, _) if is_broken => Verdict::Warning,
            (Severity::Error, Unknown::Fail) if is_unknown => Verdict::Error,
            (_, Unknown::Warn | Unknown::Fail) if is_unknown => Verdict::Warning,
            _ if is_unknown && self.judged == 0 => Verdict::NotJudged,
            _ => Verdict::Held,
        };
        let found = match whole {
            Some((_, found)) => found,
            None => self.found(),
        };
        if !is_broken {
            self.offenders.clear();
        }
        let wanted = wish::wanted(&self.check.assertion);
        CheckResult {
            id: wish::key(&self.check.assertion),
            name: self.check.rule.unwrap_or_else(|| wanted.clone()),
            line: self.check.line,
            severity: self.check.severity,
            verdict,
            wanted,
            found,
            judged: self.judged,
            broken: self.broken,
            not_judged: self.not_judged,
            offenders: self.offenders,
        }
    }

    /// For assertions on the run as a whole: whether it holds, and what was found.
    fn whole_run(&self, stats: &Stats, warnings: &InputWarnings) -> Option<(bool, String)> {
        match &self.check.assertion {
            Assertion::MinHandshakes(least) => Some((
                self.in_scope >= *least,
                format!("{} in scope", handshakes(self.in_scope)),
            )),
            Assertion::MaxHandshakes(most) => Some((
                self.in_scope <= *most,
                format!("{} in scope", handshakes(self.in_scope)),
            )),
            // What is expected has to be seen.
            Assertion::ExpectFailure { .. } if self.judged == 0 => Some((false, self.found())),
            Assertion::CompleteInput => Some(warned(warnings)),
            Assertion::NoDrops => {
                let dropped: Vec<_> = drops(stats)
                    .into_iter()
                    .filter(|(_, count)| *count > 0)
                    .map(|(name, count)| format!("{name} {count}"))
                    .collect();
                let found = if dropped.is_empty() {
                    "nothing was discarded".to_owned()
                } else {
                    dropped.join(", ")
                };
                Some((dropped.is_empty(), found))
            }
            _ => None,
        }
    }

    fn found(&self) -> String {
        let mut found = Vec::new();
        if self.in_scope == 0 {
            found.push("no handshake in scope".to_owned());
        } else if self.judged > 0 {
            let verb = wish::speaks_against(&self.check.assertion);
            let allowed = match self.tolerance() {
                0 => String::new(),
                allowed => format!(", {allowed} allowed"),
            };
            let (broken, judged) = (self.broken, self.judged);
            found.push(format!("{broken} of {judged} handshakes {verb}{allowed}"));
        } else if self.not_judged.is_empty() {
            let in_scope = handshakes(self.in_scope);
            found.push(format!("{in_scope} in scope, none with anything to judge"));
        }
        for (reason, count) in &self.not_judged {
            found.push(format!("not judged: {}: {reason}", handshakes(*count)));
        }
        found.join("; ")
    }
}

/// What was discarded for want of room, or could not be read, by the name of its counter.
fn drops(stats: &Stats) -> [(&'static str, u64); 5] {
    [
        ("packets_malformed", stats.packets_malformed),
        ("fragments_discarded", stats.fragments_discarded),
        ("connections_evicted", stats.connections_evicted),
        ("segments_discarded", stats.segments_discarded),
        ("messages_discarded", stats.messages_discarded),
    ]
}

fn warned(warnings: &InputWarnings) -> (bool, String) {
    if warnings.count == 0 {
        return (true, "no warning".to_owned());
    }
    let mut found = warnings.first.clone();
    let more = warnings.count.saturating_sub(found.len() as u64);
    if more > 0 {
        found.push(format!("{more} more warnings"));
    }
    (false, found.join("; "))
}
