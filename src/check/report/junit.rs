//! JUnit XML, in the dialect of Jenkins: a suite for the policy, a case for each assertion.
//!
//! An error is a failure. A warning passes, and the case's output describes it. An
//! assertion that could not be evaluated on any handshake is skipped; one that held in part passes.
//!
//! All assertions are evaluated in one pass, so a case has no time of its own: each gets an equal share, and they add
//! up to the time of the suite.

use std::io::{self, Write};
use std::time::Duration;

use super::xml::Xml;
use super::{offender_in_words, omitted, policy_line, reasons};
use crate::check::{CheckResult, Report, Status};

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let tests = report.results.len().to_string();
    let failures = report.count(Status::Error).to_string();
    let skipped = report.results.iter().filter(|result| is_skipped(result));
    let skipped = skipped.count().to_string();
    let totals = [
        ("tests", &*tests),
        ("failures", &*failures),
        ("errors", "0"),
    ];
    let time = seconds(report.elapsed);
    let cases = u32::try_from(report.results.len()).unwrap_or(u32::MAX);
    let share = seconds(report.elapsed / cases.max(1));
    // Local times without a zone are what the schema allows; this one is UTC.
    let started = report
        .started
        .map(|time| time.date_time().strftime("%Y-%m-%dT%H:%M:%S").to_string());
    let mut xml = Xml::new();
    let suites = [
        &[("name", "tlscope check")],
        &totals[..],
        &[("time", &*time)],
    ]
    .concat();
    xml.element("testsuites", &suites, |xml| {
        let mut suite = [
            &[("name", "tlscope check"), ("package", &*report.policy)],
            &totals[..],
            &[("skipped", &*skipped), ("time", &*time)],
        ]
        .concat();
        suite.extend(started.as_deref().map(|started| ("timestamp", started)));
        xml.element("testsuite", &suite, |xml| {
            for result in &report.results {
                write_case(report, result, &share, xml);
            }
            let reasons: Vec<_> = reasons(report).collect();
            if !reasons.is_empty() {
                let text = format!("not evaluated:\n{}", reasons.join("\n"));
                xml.leaf("system-out", &[], &text);
            }
        });
    });
    output.write_all(xml.finish().as_bytes())
}

fn is_skipped(result: &CheckResult) -> bool {
    let is_unevaluated_warning =
        result.status == Status::Warning && result.evaluated == 0 && result.violations == 0;
    is_unevaluated_warning || result.status == Status::NotEvaluated
}

fn write_case(report: &Report, result: &CheckResult, time: &str, xml: &mut Xml) {
    let name = if result.name == result.wanted {
        result.wanted.clone()
    } else {
        format!("{}: {}", result.name, result.wanted)
    };
    let class = format!("tlscope.{}", result.id);
    let case = [("classname", &*class), ("name", &*name), ("time", time)];
    let details = details(report, result);
    match result.status {
        Status::Error => xml.element("testcase", &case, |xml| {
            let attributes = [("type", result.id), ("message", &*result.found)];
            xml.leaf("failure", &attributes, &details);
        }),
        Status::Warning | Status::NotEvaluated if is_skipped(result) => {
            xml.element("testcase", &case, |xml| {
                xml.leaf("skipped", &[("message", &result.found)], "");
            })
        }
        Status::Warning => xml.element("testcase", &case, |xml| {
            xml.leaf("system-out", &[], &format!("warning: {details}"));
        }),
        Status::Held | Status::PartlyHeld | Status::NotEvaluated => {
            xml.leaf("testcase", &case, "");
        }
    }
}

/// As JUnit writes times: in seconds, with milliseconds.
fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// What was wanted and found, and the offenders.
fn details(report: &Report, result: &CheckResult) -> String {
    let at = policy_line(report, result).map_or(String::new(), |line| format!(" ({line})"));
    let mut lines = vec![
        format!("wanted: {}{at}", result.wanted),
        format!("found: {}", result.found),
    ];
    lines.extend(result.offenders.iter().map(offender_in_words));
    lines.extend(omitted(result));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{ReportFormat, example, written};
    use super::*;

    #[test]
    fn each_assertion_is_a_case_that_fails_is_skipped_or_passes() {
        let xml = written(&example(), ReportFormat::Junit);
        assert_eq!(xml.matches("<testcase ").count(), 6);
        assert_eq!(xml.matches("<failure ").count(), 3);
        assert_eq!(xml.matches("<skipped ").count(), 0);
        assert_eq!(xml.matches("<system-out>warning: ").count(), 1);
        assert_eq!(xml.matches("<system-out>not evaluated:\n").count(), 1);
        assert!(
            xml.contains("tests=\"6\" failures=\"3\" errors=\"0\" skipped=\"0\""),
            "{xml}"
        );
        assert!(
            xml.contains("all is &lt;well&gt; &amp; &quot;good&quot;"),
            "{xml}"
        );
        assert!(!xml.contains(['\u{0}', '\u{1b}']));
    }

    #[test]
    fn cases_share_the_time_of_the_suite() {
        let mut report = example();
        report.started = Some(crate::time::Timestamp::from_seconds(1_772_366_400));
        report.elapsed = Duration::from_secs(3);
        let mut output = Vec::new();
        write(&report, &mut output).unwrap();
        let xml = String::from_utf8(output).unwrap();
        assert_eq!(xml.matches("time=\"3.000\"").count(), 2);
        assert_eq!(xml.matches("time=\"0.500\"").count(), 6);
        assert!(xml.contains("timestamp=\"2026-03-01T12:00:00\""), "{xml}");
    }

    #[test]
    fn an_assertion_without_evidence_is_skipped() {
        let mut report = example();
        report.results[5].status = Status::NotEvaluated;
        let mut output = Vec::new();
        write(&report, &mut output).unwrap();
        let xml = String::from_utf8(output).unwrap();
        assert_eq!(xml.matches("<skipped ").count(), 1);
    }
}
