//! A policy against the handshakes of a run.

use std::collections::BTreeMap;

use super::judge::{Judgement, judge};
use super::policy::{Assertion, Check, Policy, Severity, Unknown, share};
use super::report::{CheckResult, Offender, Report, Verdict};
use super::wish::{self, handshakes};
use crate::event::Handshake;
use crate::stats::Stats;

/// What the run that is judged was capable of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Whether chains were validated against a trust store: without, who issued them is not judged.
    pub chains_are_validated: bool,
}

/// Offenders listed for an assertion: enough to see a pattern, however many there are. The rest is counted.
pub const MAX_OFFENDERS: usize = 10;

/// Judges handshakes one by one; memory depends on the policy alone.
///
/// # Example
///
/// ```
/// use tlscope::check::{Context, Evaluation, Policy, Verdict};
/// use tlscope::stats::Stats;
///
/// let policy = Policy::parse("[[rule]]\nmin-version = 'TLS 1.2'", "example.toml")?;
/// let evaluation = Evaluation::new(policy, Context::default());
/// // … evaluation.handshake(&event) for each
/// let report = evaluation.finish(&Stats::default());
/// assert!(!report.has_passed(), "a check that saw nothing does not pass");
/// # Ok::<(), tlscope::check::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Evaluation {
    name: String,
    allows_empty: bool,
    context: Context,
    handshakes: u64,
    tallies: Vec<Tally>,
}

/// What was found for one check so far.
#[derive(Debug)]
struct Tally {
    check: Check,
    in_scope: u64,
    judged: u64,
    broken: u64,
    not_judged: BTreeMap<&'static str, u64>,
    offenders: Vec<Offender>,
}

impl Evaluation {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(policy: Policy, context: Context) -> Self {
        let tally = |check| Tally {
            check,
            in_scope: 0,
            judged: 0,
            broken: 0,
            not_judged: BTreeMap::new(),
            offenders: Vec::new(),
        };
        Self {
            name: policy.name,
            allows_empty: policy.allows_empty,
            context,
            handshakes: 0,
            tallies: policy.checks.into_iter().map(tally).collect(),
        }
    }

    /// Judges one handshake by every rule that it is in the scope of.
    ///
    /// A failure that a rule expects is none for the rules that count failures.
    pub fn handshake(&mut self, event: &Handshake) {
        self.handshakes += 1;
        let context = self.context;
        let is_expected = self.tallies.iter().any(|tally| {
            let check = &tally.check;
            matches!(check.assertion, Assertion::ExpectFailure { .. })
                && check.scope.contains(event)
                && judge(&check.assertion, event, context) == Judgement::Held
        });
        for tally in &mut self.tallies {
            let counts_failures = matches!(tally.check.assertion, Assertion::MaxFailures { .. });
            if tally.check.scope.contains(event) && !(is_expected && counts_failures) {
                tally.take(event, context);
            }
        }
    }

    /// The report; `stats` counts the whole run.
    #[must_use]
    pub fn finish(self, stats: &Stats) -> Report {
        let mut results = Vec::new();
        if self.handshakes == 0 && !self.allows_empty {
            results.push(CheckResult::of_nothing_seen(stats));
        }
        let judged = self.tallies.into_iter().map(|tally| tally.result(stats));
        results.extend(judged);
        Report {
            policy: self.name,
            captures: Vec::new(),
            is_complete: true,
            handshakes: self.handshakes,
            results,
        }
    }
}

impl Tally {
    fn take(&mut self, event: &Handshake, context: Context) {
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

    fn result(mut self, stats: &Stats) -> CheckResult {
        let whole = self.whole_capture(stats);
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

    /// For assertions on the capture as a whole: whether it holds, and what was found.
    fn whole_capture(&self, stats: &Stats) -> Option<(bool, String)> {
        match &self.check.assertion {
            Assertion::MinHandshakes(least) => Some((
                self.in_scope >= *least,
                format!("{} in scope", handshakes(self.in_scope)),
            )),
            Assertion::MaxHandshakes(most) => Some((
                self.in_scope <= *most,
                format!("{} in scope", handshakes(self.in_scope)),
            )),
            Assertion::ExpectFailure { .. } if self.in_scope == 0 => {
                Some((false, "no handshake in scope".to_owned()))
            }
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
            let judged = handshakes(self.judged);
            found.push(format!("{} of {judged} {verb}{allowed}", self.broken));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    fn report(policy: &str, events: &[Handshake]) -> Report {
        let policy = Policy::parse(policy, "test").unwrap();
        let mut evaluation = Evaluation::new(policy, Context::default());
        events.iter().for_each(|event| evaluation.handshake(event));
        evaluation.finish(&Stats::default())
    }

    fn verdict(policy: &str, events: &[Handshake]) -> Verdict {
        report(&format!("[[rule]]\n{policy}"), events).results[0].verdict
    }

    fn times(count: usize, event: &Handshake) -> Vec<Handshake> {
        vec![event.clone(); count]
    }

    #[test]
    fn a_check_that_saw_nothing_fails_unless_that_is_allowed() {
        assert!(!report("", &[]).has_passed());
        assert!(report("allow-empty = true", &[]).has_passed());
        assert!(report("", &[completed()]).has_passed());
    }

    #[test]
    fn failures_are_tolerated_up_to_the_limit() {
        let mut events = times(19, &completed());
        events.push(refused_by_the_client());
        assert_eq!(verdict("max-failures = 1", &events), Verdict::Held);
        assert_eq!(verdict("max-failures = 0", &events), Verdict::Error);
        assert_eq!(verdict("max-failures = '5 %'", &events), Verdict::Held);
        assert_eq!(verdict("max-failures = '4.9%'", &events), Verdict::Error);
        let of = |class| verdict(&format!("max-failures-of = {{ {class} = 0 }}"), &events);
        assert_eq!(of("unknown_ca"), Verdict::Error);
        assert_eq!(of("cert_expired"), Verdict::Held);
    }

    #[test]
    fn a_percentile_is_that_of_the_nearest_rank() {
        let mut slow = completed();
        slow.timing.handshake = Some(std::time::Duration::from_millis(100));
        let mut events = times(99, &completed());
        events.push(slow);
        let at = |percentile| {
            let rule = format!(
                "max-latency = {{ phase = 'handshake', percentile = {percentile}, ms = 10 }}"
            );
            verdict(&rule, &events)
        };
        assert_eq!(at("99"), Verdict::Held);
        assert_eq!(at("99.1"), Verdict::Error);
        assert_eq!(at("100"), Verdict::Error);
    }

    #[test]
    fn what_cannot_be_judged_is_as_bad_as_the_policy_says() {
        let judged = |unknown: &str| {
            let rule = format!("unknown = '{unknown}'\nmin-version = 'TLS 1.2'");
            verdict(&rule, &[barely_seen(), completed()])
        };
        assert_eq!(judged("ignore"), Verdict::Held);
        assert_eq!(judged("warn"), Verdict::Warning);
        assert_eq!(judged("fail"), Verdict::Error);
        let report = report("[[rule]]\nmin-version = 'TLS 1.2'", &[barely_seen()]);
        assert!(
            report.results[0]
                .found
                .contains("not judged: 1 handshake: no ServerHello")
        );
        assert!(report.has_passed(), "a warning by default");
    }

    #[test]
    fn a_rule_whose_scope_is_empty_judged_nothing() {
        let rule = "where = { server-name = 'exmaple.org' }\nrequire-server-name = true";
        assert_eq!(verdict(rule, &[completed()]), Verdict::Warning);
        let rule = "where = { server-name = 'example.org' }\nrequire-server-name = true";
        assert_eq!(verdict(rule, &[refused_by_the_client()]), Verdict::Held);
    }

    #[test]
    fn an_expected_failure_is_none_for_the_rules_that_count_them() {
        let expect = "[[rule]]\nexpect-failure = { type = 'unknown_ca', side = 'client' }";
        let events = [refused_by_the_client()];
        let both = format!("{expect}\n[[rule]]\nunknown = 'ignore'\nmax-failures = 0");
        assert!(report(&both, &events).has_passed());
        assert!(!report(&both.replace("unknown_ca", "other"), &events).has_passed());
        let elsewhere = format!("{expect}\nwhere = {{ port = 8443 }}");
        assert!(!report(&elsewhere, &events).has_passed(), "it did not come");
    }

    #[test]
    fn the_number_of_handshakes_has_a_lower_and_an_upper_bound() {
        let events = times(3, &completed());
        assert_eq!(verdict("min-handshakes = 3", &events), Verdict::Held);
        assert_eq!(verdict("min-handshakes = 4", &events), Verdict::Error);
        assert_eq!(verdict("max-handshakes = 3", &events), Verdict::Held);
        assert_eq!(verdict("max-handshakes = 2", &events), Verdict::Error);
    }

    #[test]
    fn offenders_are_listed_up_to_a_bound_and_counted_beyond() {
        let events = times(MAX_OFFENDERS + 5, &refused_by_the_client());
        let report = report("[[rule]]\nmax-failures = 0", &events);
        let result = &report.results[0];
        assert_eq!(result.offenders.len(), MAX_OFFENDERS);
        assert_eq!(result.offenders_omitted(), 5);
    }

    #[test]
    fn drops_are_those_of_the_whole_run() {
        let policy = || Policy::parse("allow-empty = true\n[[rule]]\nno-drops = true", "test");
        let judged = |stats: &Stats| {
            let evaluation = Evaluation::new(policy().unwrap(), Context::default());
            evaluation.finish(stats).results[0].verdict
        };
        let mut stats = Stats::default();
        assert_eq!(judged(&stats), Verdict::Held);
        stats.segments_discarded = 1;
        assert_eq!(judged(&stats), Verdict::Error);
    }
}
