//! JUnit XML, in the dialect of Jenkins: a suite for the policy, a case for each assertion.
//!
//! An error is a failure. A warning passes, and the case's output describes it. An
//! assertion that could not be evaluated on any handshake is skipped.

use std::io::{self, Write};

use super::xml::Xml;
use super::{offender_in_words, omitted, policy_line};
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
    let mut xml = Xml::new();
    let suites = [&[("name", "tlscope check")], &totals[..]].concat();
    xml.element("testsuites", &suites, |xml| {
        let suite = [
            &[("name", &*report.policy)],
            &totals[..],
            &[("skipped", &skipped)],
        ]
        .concat();
        xml.element("testsuite", &suite, |xml| {
            for result in &report.results {
                write_case(report, result, xml);
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

fn write_case(report: &Report, result: &CheckResult, xml: &mut Xml) {
    let name = if result.name == result.wanted {
        result.wanted.clone()
    } else {
        format!("{}: {}", result.name, result.wanted)
    };
    let class = format!("tlscope.{}", result.id);
    let case = [("classname", &*class), ("name", &*name)];
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
        Status::Held | Status::NotEvaluated => xml.leaf("testcase", &case, ""),
    }
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

    #[test]
    fn each_assertion_is_a_case_that_fails_is_skipped_or_passes() {
        let xml = written(&example(), ReportFormat::Junit);
        assert_eq!(xml.matches("<testcase ").count(), 5);
        assert_eq!(xml.matches("<failure ").count(), 2);
        assert_eq!(xml.matches("<skipped ").count(), 1);
        assert_eq!(xml.matches("<system-out>warning: ").count(), 1);
        assert!(
            xml.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"1\""),
            "{xml}"
        );
        assert!(
            xml.contains("all is &lt;well&gt; &amp; &quot;good&quot;"),
            "{xml}"
        );
        assert!(!xml.contains(['\u{0}', '\u{1b}']));
    }
}
