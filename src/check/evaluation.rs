//! A policy against the handshakes of a run.

use super::context::{Context, InputWarnings};
use super::judge::{Judgement, judge};
use super::policy::{Assertion, Policy};
use super::result::{CheckResult, Report};
use super::tally::Tally;
use crate::event::{Handshake, Outcome};
use crate::stats::Stats;

/// Judges handshakes one by one; memory depends on the policy alone.
///
/// # Example
///
/// ```
/// use tlscope::check::{Context, Evaluation, InputWarnings, Policy};
/// use tlscope::stats::Stats;
///
/// let policy = Policy::parse("[[rule]]\nmin-version = 'TLS 1.2'", "example.toml")?;
/// let evaluation = Evaluation::new(policy, Context::default());
/// // … evaluation.handshake(&event) for each
/// let report = evaluation.finish(&Stats::default(), &InputWarnings::default());
/// assert!(!report.has_passed(), "a check that saw nothing does not pass");
/// # Ok::<(), tlscope::check::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Evaluation {
    name: String,
    allows_empty: bool,
    context: Context,
    handshakes: u64,
    /// Whether of any handshake more is known than that somebody began one.
    has_seen_any: bool,
    tallies: Vec<Tally>,
}

impl Evaluation {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(policy: Policy, context: Context) -> Self {
        Self {
            name: policy.name,
            allows_empty: policy.allows_empty,
            context,
            handshakes: 0,
            has_seen_any: false,
            tallies: policy.checks.into_iter().map(Tally::new).collect(),
        }
    }

    /// Judges one handshake by every rule that it is in the scope of.
    ///
    /// A failure that a rule expects is none for the rules that count failures.
    pub fn handshake(&mut self, event: &Handshake) {
        self.handshakes += 1;
        self.has_seen_any |= event.outcome != Outcome::Unknown || event.tls.version.is_some();
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
    pub fn finish(self, stats: &Stats, warnings: &InputWarnings) -> Report {
        let mut results = Vec::new();
        if self.handshakes == 0 && !self.allows_empty {
            results.push(CheckResult::of_nothing_seen(stats));
        } else if self.has_judged_nothing() && !self.allows_empty {
            results.push(CheckResult::of_nothing_told(self.handshakes));
        }
        let judged = self
            .tallies
            .into_iter()
            .map(|tally| tally.result(stats, warnings));
        results.extend(judged);
        Report {
            policy: self.name,
            captures: Vec::new(),
            is_complete: true,
            handshakes: self.handshakes,
            results,
        }
    }

    /// Whether the captures show the beginnings of handshakes at most, and nothing that the policy asks about.
    fn has_judged_nothing(&self) -> bool {
        let is_about_content = |tally: &&Tally| tally.check.assertion.is_about_content();
        let mut asked = self.tallies.iter().filter(is_about_content).peekable();
        !self.has_seen_any && asked.peek().is_some() && asked.all(Tally::has_judged_nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{MAX_OFFENDERS, Verdict};
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    fn report(policy: &str, events: &[Handshake]) -> Report {
        let policy = Policy::parse(policy, "test").unwrap();
        let mut evaluation = Evaluation::new(policy, Context::default());
        events.iter().for_each(|event| evaluation.handshake(event));
        evaluation.finish(&Stats::default(), &InputWarnings::default())
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
    fn a_check_that_saw_beginnings_alone_fails_unless_it_asks_for_no_more() {
        let events = [barely_seen()];
        let asks = "unknown = 'ignore'\n[[rule]]\nmax-failures = 0\nno-drops = true";
        let failed = report(asks, &events);
        assert!(!failed.has_passed());
        assert!(failed.results[0].found.starts_with("1 handshake, "));
        assert!(report(&format!("allow-empty = true\n{asks}"), &events).has_passed());
        assert!(report(asks, &[barely_seen(), completed()]).has_passed());
        let mut named = barely_seen();
        named.tls.server_name = Some("example.org".into());
        assert!(report("[[rule]]\nrequire-server-name = true", &[named]).has_passed());
        assert!(report("[[rule]]\nmin-handshakes = 1", &events).has_passed());
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
        let events = [barely_seen(), completed()];
        let report = report("[[rule]]\nmin-version = 'TLS 1.2'", &events);
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
        let mut open = refused_by_the_client();
        (open.outcome, open.error) = (Outcome::Unknown, None);
        assert!(!report(expect, &[open]).has_passed(), "it was not seen");
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
            evaluation.finish(stats, &InputWarnings::default()).results[0].verdict
        };
        let mut stats = Stats::default();
        assert_eq!(judged(&stats), Verdict::Held);
        stats.segments_discarded = 1;
        assert_eq!(judged(&stats), Verdict::Error);
    }

    #[test]
    fn input_with_a_warning_is_not_complete() {
        let policy = "allow-empty = true\n[[rule]]\ncomplete-input = true";
        let judged = |warnings: &InputWarnings| {
            let policy = Policy::parse(policy, "test").unwrap();
            let evaluation = Evaluation::new(policy, Context::default());
            let report = evaluation.finish(&Stats::default(), warnings);
            (report.results[0].verdict, report.results[0].found.clone())
        };
        let mut warnings = InputWarnings::default();
        assert_eq!(judged(&warnings).0, Verdict::Held);
        for _ in 0..MAX_OFFENDERS + 2 {
            warnings.add("`a.pcap` is cut off");
        }
        let (verdict, found) = judged(&warnings);
        assert_eq!(verdict, Verdict::Error);
        assert!(found.starts_with("`a.pcap` is cut off; "), "{found}");
        assert!(found.ends_with("; 2 more warnings"), "{found}");
        assert_eq!(warnings.first.len(), MAX_OFFENDERS);
    }
}
