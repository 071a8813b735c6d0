//! A code quality report of GitLab: an issue for each handshake that violates an assertion.
//!
//! GitLab shows an issue at a line of a file in the repository: that of the assertion in the policy. It tells new
//! issues from known ones by their fingerprints.

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;

use super::{fingerprint, offender_in_words, printable};
use crate::check::{CheckResult, Offender, Report, Status};
use crate::escape::SafeJson;

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let mut known = HashSet::new();
    let mut issues = Vec::new();
    for result in report.complaints() {
        let offenders = result.offenders.iter().map(Some);
        let none = result.offenders.is_empty().then_some(None);
        for offender in offenders.chain(none) {
            let issue = Issue::new(report, result, offender);
            // GitLab rejects a report in which two issues have the same fingerprint.
            if known.insert(issue.fingerprint.clone()) {
                issues.push(issue);
            }
        }
    }
    serde_json::to_writer_pretty(SafeJson(&mut *output), &issues)?;
    writeln!(output)
}

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: IssueLocation,
}

#[derive(Serialize)]
struct IssueLocation {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

impl Issue {
    fn new(report: &Report, result: &CheckResult, offender: Option<&Offender>) -> Self {
        let found =
            offender.map_or_else(|| printable(&result.found).into_owned(), offender_in_words);
        let wanted = printable(&result.wanted);
        let description = match result.name == result.wanted {
            true => format!("{found}; wanted: {wanted}"),
            false => format!("{}: {found}; wanted: {wanted}", printable(&result.name)),
        };
        let severity = match result.status {
            Status::Error => "major",
            _ => "minor",
        };
        Self {
            description,
            check_name: result.id,
            fingerprint: fingerprint(result, offender),
            severity,
            location: IssueLocation {
                path: path(report, result, offender),
                lines: Lines {
                    begin: result.line.max(1),
                },
            },
        }
    }
}

/// The policy if the assertion is in a file; otherwise the capture.
fn path(report: &Report, result: &CheckResult, offender: Option<&Offender>) -> String {
    let location = offender.and_then(|offender| offender.handshake.as_ref());
    let path = match location {
        _ if result.line > 0 => &report.policy,
        Some(location) => &*location.source,
        None => report.captures.first().unwrap_or(&report.policy),
    };
    path.strip_prefix("./").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{ReportFormat, example, written};

    #[test]
    fn each_violation_is_an_issue_at_the_line_of_its_assertion() {
        let text = written(&example(), ReportFormat::Gitlab);
        let issues: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(issues.len(), 6);
        let first = &issues[0];
        assert_eq!(first["check_name"], "max-failures");
        assert_eq!(first["severity"], "major");
        assert_eq!(first["location"]["path"], "folder/tlscope.toml");
        assert_eq!(first["location"]["lines"]["begin"], 3);
        assert_eq!(issues[4]["severity"], "minor");
        let prints: std::collections::HashSet<_> = issues
            .iter()
            .map(|one| one["fingerprint"].to_string())
            .collect();
        assert_eq!(prints.len(), issues.len());
        assert!(!text.contains('\u{1b}'));
    }
}
