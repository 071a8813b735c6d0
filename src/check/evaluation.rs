//! Evaluates a policy on the handshakes of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::assertion::About;
use super::context::{Context, InputWarnings};
use super::known_findings::KnownFindings;
use super::policy::Policy;
use super::result::{CheckResult, NotEvaluated, Report};
use super::tally::{Run, Tally};
use crate::event::{Handshake, NotTls, Outcome};
use crate::stats::Stats;

/// Evaluates handshakes one by one; memory depends on the policy alone.
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
    known: KnownFindings,
    handshakes: u64,
    /// Whether any handshake shows more than its beginning.
    has_seen_answer: bool,
    tallies: Vec<Tally>,
    /// Distinct handshakes that could not be evaluated, by reason.
    not_evaluated: BTreeMap<&'static str, u64>,
}

impl Evaluation {
    /// Starts without any handshake.
    #[must_use]
    pub fn new(policy: Policy, context: Context) -> Self {
        Self {
            name: policy.name,
            allows_empty: policy.allows_empty,
            context,
            known: KnownFindings::default(),
            handshakes: 0,
            has_seen_answer: false,
            tallies: policy.checks.into_iter().map(Tally::new).collect(),
            not_evaluated: BTreeMap::new(),
        }
    }

    /// Does not count violations that are `known`.
    #[must_use]
    pub fn without(self, known: KnownFindings) -> Self {
        Self { known, ..self }
    }

    /// Evaluates one handshake by every rule that covers it.
    ///
    /// Rules that count failures skip a failure that another rule expects.
    pub fn handshake(&mut self, event: &Handshake) {
        self.handshakes += 1;
        self.has_seen_answer |= event.outcome != Outcome::Unknown || event.tls.version.is_some();
        let is_expected = self.tallies.iter().any(|tally| {
            let check = &tally.check;
            check.scope.contains(event) && check.assertion.expects(event)
        });
        let mut reasons = BTreeSet::new();
        for tally in &mut self.tallies {
            let check = &tally.check;
            let is_skipped = is_expected && check.assertion.skips_expected_failures();
            if !check.scope.contains(event) {
                tally.skip_out_of_scope();
                continue;
            }
            if is_skipped {
                tally.skip_expected();
            } else {
                reasons.extend(tally.add(event, self.context, &mut self.known));
            }
        }
        for reason in reasons {
            *self.not_evaluated.entry(reason).or_default() += 1;
        }
    }

    /// Evaluates a connection that did not become TLS by the rules that ask about failures.
    ///
    /// It is no handshake: a check that saw nothing else has seen nothing.
    pub fn not_tls(&mut self, event: &NotTls) {
        let is_expected = self.tallies.iter().any(|tally| {
            let check = &tally.check;
            check.scope.contains_not_tls(event) && check.assertion.expects_not_tls(event)
        });
        for tally in &mut self.tallies {
            let check = &tally.check;
            if !check.scope.contains_not_tls(event) {
                continue;
            }
            match check.assertion.evaluate_not_tls(event) {
                None => {}
                Some(_) if is_expected && check.assertion.skips_expected_failures() => {
                    tally.skip_expected();
                }
                Some(compliance) => tally.add_not_tls(event, compliance, &mut self.known),
            }
        }
    }

    /// Ends the evaluation; `stats` counts the whole run.
    #[must_use]
    pub fn finish(self, stats: &Stats, warnings: &InputWarnings) -> Report {
        self.finish_with_findings(stats, warnings).0
    }

    /// Ends the evaluation; the known findings have those that were recorded.
    #[must_use]
    pub fn finish_with_findings(
        mut self,
        stats: &Stats,
        warnings: &InputWarnings,
    ) -> (Report, KnownFindings) {
        let mut results = Vec::new();
        if self.handshakes == 0 && !self.allows_empty {
            results.push(CheckResult::of_no_handshake(stats));
        } else if self.has_evaluated_nothing() && !self.allows_empty {
            results.push(match self.has_seen_answer {
                false => CheckResult::of_no_answer(self.handshakes),
                true => CheckResult::of_no_evidence(self.handshakes),
            });
        }
        let run = Run {
            is_empty: self.handshakes == 0,
            stats,
            warnings,
        };
        let tallies = self.tallies.into_iter();
        results.extend(tallies.map(|tally| tally.result(run, &mut self.known)));
        let reason = |(reason, handshakes): (&'static str, u64)| NotEvaluated {
            reason,
            handshakes,
            assertions: results
                .iter()
                .filter(|result| result.not_evaluated.contains_key(reason))
                .count(),
        };
        let report = Report {
            policy: self.name,
            captures: Vec::new(),
            is_complete: true,
            handshakes: self.handshakes,
            not_evaluated: self.not_evaluated.into_iter().map(reason).collect(),
            results,
            started: None,
            elapsed: Duration::ZERO,
        };
        (report, self.known)
    }

    /// Whether the captures show nothing that the policy asks about handshakes.
    fn has_evaluated_nothing(&self) -> bool {
        // Without a handshake in its scope, an assertion fails by itself.
        let asks = |tally: &&Tally| {
            tally.check.assertion.about() == About::Handshakes && tally.has_scope()
        };
        let mut asking = self.tallies.iter().filter(asks).peekable();
        asking.peek().is_some() && asking.all(Tally::has_evaluated_nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{MAX_OFFENDERS, Status};
    use crate::event::NotTlsKind;
    use crate::sink::test_events::{
        barely_seen, completed, refused_by_the_client, refused_starttls,
    };

    fn report(policy: &str, events: &[Handshake]) -> Report {
        let policy = Policy::parse(policy, "test").unwrap();
        let mut evaluation = Evaluation::new(policy, Context::default());
        events.iter().for_each(|event| evaluation.handshake(event));
        evaluation.finish(&Stats::default(), &InputWarnings::default())
    }

    fn status(policy: &str, events: &[Handshake]) -> Status {
        report(&format!("[[rule]]\n{policy}"), events).results[0].status
    }

    fn times(count: usize, event: &Handshake) -> Vec<Handshake> {
        vec![event.clone(); count]
    }

    #[test]
    fn a_check_that_saw_nothing_fails_unless_that_is_allowed() {
        let rule = "[[rule]]\nmax-failures = 0";
        let allowed = format!("allow-empty = true\n{rule}");
        assert!(!report(rule, &[]).has_passed());
        assert!(report(&allowed, &[]).has_passed());
        assert_eq!(
            report(&allowed, &[]).results[0].status,
            Status::NotEvaluated
        );
        assert!(report(rule, &[completed()]).has_passed());
    }

    #[test]
    fn a_check_that_saw_only_the_beginnings_of_handshakes_fails_unless_it_requires_no_more() {
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
        assert_eq!(status("max-failures = 1", &events), Status::Held);
        assert_eq!(status("max-failures = 0", &events), Status::Error);
        assert_eq!(status("max-failures = '5 %'", &events), Status::Held);
        assert_eq!(status("max-failures = '4.9%'", &events), Status::Error);
        let of = |class| status(&format!("max-failures-of = {{ {class} = 0 }}"), &events);
        assert_eq!(of("unknown_ca"), Status::Error);
        assert_eq!(of("cert_expired"), Status::Held);
    }

    fn result_of_not_tls(rule: &str, plain: &NotTls) -> CheckResult {
        let policy = Policy::parse(&format!("[[rule]]\n{rule}"), "test").unwrap();
        let mut evaluation = Evaluation::new(policy, Context::default());
        evaluation.handshake(&completed());
        evaluation.not_tls(plain);
        let report = evaluation.finish(&Stats::default(), &InputWarnings::default());
        report.results.into_iter().next().unwrap()
    }

    #[test]
    fn a_refused_starttls_is_a_failure_and_plain_text_only_if_the_policy_names_it() {
        let refused = refused_starttls();
        let status = |rule: &str, event: &NotTls| result_of_not_tls(rule, event).status;
        for rule in [
            "max-failures = 0",
            "max-failures-of = { starttls_refused = 0 }",
            "where = { starttls = 'smtp' }\nmax-failures = 0",
        ] {
            let result = result_of_not_tls(rule, &refused);
            assert_eq!(result.status, Status::Error, "{rule}");
            let why = &result.offenders[0].why;
            let expected = "starttls_refused: server refused STARTTLS: \"454 no\"";
            assert_eq!(why, expected, "{rule}");
        }
        assert_eq!(status("max-failures = 1", &refused), Status::Held);
        let other = "max-failures-of = { not_tls = 0 }";
        assert_eq!(status(other, &refused), Status::Held);
        assert_eq!(status("min-version = 'TLS 1.2'", &refused), Status::Held);

        let mut plain = NotTls {
            kind: NotTlsKind::Plaintext,
            starttls: None,
            ..refused
        };
        assert_eq!(status("max-failures = 0", &plain), Status::Held);
        assert_eq!(status(other, &plain), Status::Error);
        plain.starttls = Some(crate::event::StartTls::Smtp); // the client did not ask for TLS
        assert_eq!(status(other, &plain), Status::Held);
        plain.kind = NotTlsKind::SilentProbe;
        assert_eq!(status(other, &plain), Status::Held);
    }

    #[test]
    fn a_refused_starttls_that_a_rule_expects_is_no_failure() {
        let rules = |class: &str| {
            format!(
                "where = {{ starttls = 'smtp' }}\nexpect-failure = '{class}'\n[[rule]]\nmax-failures = 0"
            )
        };
        let statuses = |class: &str| {
            let policy = Policy::parse(&format!("[[rule]]\n{}", rules(class)), "test").unwrap();
            let mut evaluation = Evaluation::new(policy, Context::default());
            evaluation.handshake(&completed());
            evaluation.not_tls(&refused_starttls());
            let report = evaluation.finish(&Stats::default(), &InputWarnings::default());
            report
                .results
                .iter()
                .map(|result| result.status)
                .collect::<Vec<_>>()
        };
        assert_eq!(statuses("starttls_refused"), [Status::Held, Status::Held]);
        assert_eq!(statuses("unknown_ca"), [Status::Error, Status::Error]);
    }

    #[test]
    fn a_connection_without_tls_is_no_handshake() {
        let policy = Policy::parse("[[rule]]\nmax-failures = 1", "test").unwrap();
        let mut evaluation = Evaluation::new(policy, Context::default());
        evaluation.not_tls(&refused_starttls());
        let report = evaluation.finish(&Stats::default(), &InputWarnings::default());
        assert!(!report.has_passed());
        assert_eq!(report.handshakes, 0);
    }

    #[test]
    fn a_percentile_is_computed_by_nearest_rank() {
        let mut slow = completed();
        slow.timing.handshake = Some(Duration::from_millis(100));
        let mut events = times(99, &completed());
        events.push(slow);
        let at = |percentile| {
            let rule = format!(
                "max-latency = {{ phase = 'handshake', percentile = {percentile}, ms = 10 }}"
            );
            status(&rule, &events)
        };
        assert_eq!(at("99"), Status::Held);
        assert_eq!(at("99.1"), Status::Error);
        assert_eq!(at("100"), Status::Error);
    }

    #[test]
    fn the_policy_decides_what_it_means_if_a_handshake_cannot_be_evaluated() {
        let status_if = |unknown: &str| {
            let rule = format!("unknown = '{unknown}'\nmin-version = 'TLS 1.2'");
            status(&rule, &[barely_seen(), completed()])
        };
        assert_eq!(status_if("ignore"), Status::PartlyHeld);
        assert_eq!(status_if("warn"), Status::PartlyHeld);
        assert_eq!(status_if("fail"), Status::Error);
    }

    #[test]
    fn an_assertion_that_held_in_part_counts_as_held_and_the_reason_is_summed_up_once() {
        let rules = "[[rule]]\nmin-version = 'TLS 1.2'\n[[rule]]\nmin-version = 'TLS 1.1'";
        let report = report(rules, &[barely_seen(), barely_seen(), completed()]);
        assert_eq!((report.held(), report.has_passed()), (2, true));
        let found = "0 of 1 handshake violated it, 2 not evaluated";
        assert!(report.results.iter().all(|result| result.found == found));
        let expected = NotEvaluated {
            reason: "no ServerHello in view",
            handshakes: 2,
            assertions: 2,
        };
        assert_eq!(report.not_evaluated, [expected]);
    }

    #[test]
    fn a_rule_without_a_handshake_in_scope_fails_unless_it_allows_that() {
        let of = |rest: &str| {
            let rule = format!("where = {{ server-name = 'exmaple.org' }}\n{rest}");
            status(&rule, &[completed()])
        };
        for unknown in ["ignore", "warn", "fail"] {
            let rule = format!("unknown = '{unknown}'\nrequire-server-name = true");
            assert_eq!(of(&rule), Status::Error);
            assert_eq!(
                of(&format!("{rule}\nmin-handshakes = 0")),
                Status::NotEvaluated
            );
            assert_eq!(of(&format!("{rule}\nmin-handshakes = 1")), Status::Error);
        }
        assert_eq!(of("no-gaps = true"), Status::Error);
        assert_eq!(
            of("no-gaps = true\nmin-handshakes = 0"),
            Status::NotEvaluated
        );
        assert_eq!(of("max-handshakes = 0"), Status::Held);
        assert_eq!(of("max-handshakes = 1"), Status::Error);
        assert_eq!(of("expect-failure = 'unknown_ca'"), Status::Error);
        assert_eq!(of("severity = 'warning'\nno-gaps = true"), Status::Warning);
        let rule = "where = { server-name = 'example.org' }\nrequire-server-name = true";
        assert_eq!(status(rule, &[refused_by_the_client()]), Status::Held);
    }

    #[test]
    fn a_check_on_which_no_assertion_could_be_evaluated_fails_whatever_the_rules_ignore() {
        let mut hidden = completed();
        hidden.server_certificates = None;
        let rules = "unknown = 'ignore'\n[[rule]]\nmin-rsa-bits = 2048\nno-gaps = true";
        let failed = report(rules, &[hidden.clone()]);
        assert!(!failed.has_passed());
        assert_eq!(failed.results[0].name, "a capture with evidence");
        assert!(report(&format!("allow-empty = true\n{rules}"), &[hidden.clone()]).has_passed());
        assert!(report(&format!("{rules}\nmax-failures = 0"), &[hidden]).has_passed());
    }

    #[test]
    fn violations_that_are_known_do_not_count() {
        let policy = || Policy::parse("[[rule]]\nname = 'x'\nmax-failures = 0", "test").unwrap();
        let finish = |known: KnownFindings, events: &[Handshake]| {
            let mut evaluation = Evaluation::new(policy(), Context::default()).without(known);
            events.iter().for_each(|event| evaluation.handshake(event));
            evaluation.finish_with_findings(&Stats::default(), &InputWarnings::default())
        };
        let (report, known) = finish(
            KnownFindings::recording(),
            &times(2, &refused_by_the_client()),
        );
        assert!(report.has_passed());
        let lines = known.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let known = KnownFindings::parse(&lines.join("\n")).unwrap();
        let mut other = refused_by_the_client();
        other.client.port += 1;
        let (report, _) = finish(known.clone(), &[other.clone()]);
        assert!(report.has_passed());
        assert_eq!(report.results[0].found, "0 of 1 handshake failed, 1 known");
        other.tls.server_name = Some("other.example.org".into());
        let (report, _) = finish(known, &[other, refused_by_the_client()]);
        assert_eq!(
            (report.has_passed(), report.results[0].violations),
            (false, 1)
        );
    }

    #[test]
    fn that_nothing_was_evaluated_never_becomes_known() {
        let rule =
            "[[rule]]\nwhere = { server-name = 'tpyo.example.org' }\nmin-version = 'TLS 1.2'";
        let hidden = "[[rule]]\nunknown = 'fail'\nallowed-keys = 'RSA *'";
        let mut tls13 = completed();
        tls13.server_certificates = None;
        for policy in [rule, hidden] {
            let finish = |known: KnownFindings| {
                let policy = Policy::parse(policy, "test").unwrap();
                let mut evaluation = Evaluation::new(policy, Context::default()).without(known);
                evaluation.handshake(&tls13);
                evaluation.finish_with_findings(&Stats::default(), &InputWarnings::default())
            };
            let (report, known) = finish(KnownFindings::recording());
            assert!(!report.has_passed(), "{policy}");
            assert_eq!(known.lines(), [""; 0], "{policy}");
            let everything = r#"{"assertion":"min-version"}"#;
            let (report, _) = finish(KnownFindings::parse(everything).unwrap());
            assert!(!report.has_passed(), "{policy}");
        }
    }

    #[test]
    fn rules_that_count_failures_skip_expected_ones() {
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
        assert_eq!(status("min-handshakes = 3", &events), Status::Held);
        assert_eq!(status("min-handshakes = 4", &events), Status::Error);
        assert_eq!(status("max-handshakes = 3", &events), Status::Held);
        assert_eq!(status("max-handshakes = 2", &events), Status::Error);
    }

    #[test]
    fn offenders_are_listed_up_to_a_maximum_and_counted_beyond() {
        let events = times(MAX_OFFENDERS + 5, &refused_by_the_client());
        let report = report("[[rule]]\nmax-failures = 0", &events);
        let result = &report.results[0];
        assert_eq!(result.offenders.len(), MAX_OFFENDERS);
        assert_eq!(result.offenders_omitted(), 5);
    }
}
