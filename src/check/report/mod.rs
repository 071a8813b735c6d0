//! Reports for people and for build servers: one file for each format.

mod github;
mod json;
mod junit;
mod sarif;
mod text;
mod xml;

use std::io::{self, Write};

use super::{CheckResult, Location, Offender, Report};
use crate::sink::TextStyle;
use crate::sink::people::text::printable;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// JUnit XML, as Jenkins, GitLab and others read it: a test case for each assertion.
    Junit,
    /// SARIF 2.1.0: a result for each handshake that violates an assertion.
    Sarif,
    /// Workflow commands of GitHub Actions, which it shows as annotations.
    Github,
}

/// Writes `report` in `format`; only text uses `text_style`.
///
/// # Errors
///
/// When `output` cannot be written.
pub fn write_report(
    report: &Report,
    format: ReportFormat,
    text_style: TextStyle,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        ReportFormat::Text => text::write(report, text_style, output),
        ReportFormat::Json => json::write(report, output),
        ReportFormat::Junit => junit::write(report, output),
        ReportFormat::Sarif => sarif::write(report, output),
        ReportFormat::Github => github::write(report, output),
    }
}

/// `capture.pcap, packets 12-31: 10.0.0.1:51234 to example.org (10.0.0.2:443)`.
fn location_in_words(location: &Location) -> String {
    let packets = match (location.first_packet, location.last_packet) {
        (first, last) if first == last => format!("packet {first}"),
        (first, last) => format!("packets {first}-{last}"),
    };
    let server = match &location.server_name {
        Some(name) => format!("{} ({})", printable(name), location.server),
        None => location.server.to_string(),
    };
    let source = printable(&location.source);
    format!("{source}, {packets}: {} to {server}", location.client)
}

/// An offender in one line: which handshake, and what was seen.
fn offender_in_words(offender: &Offender) -> String {
    let why = printable(&offender.why);
    match &offender.handshake {
        Some(location) => format!("{}: {why}", location_in_words(location)),
        None => why.into_owned(),
    }
}

/// How many offenders are not listed, as in `and 5 more`; `None` if all are.
fn omitted(result: &CheckResult) -> Option<String> {
    let omitted = result.offenders_omitted();
    let some = !result.offenders.is_empty() && omitted > 0;
    some.then(|| format!("and {omitted} more"))
}

/// `tlscope.toml:12`; `None` for an assertion that is in no file.
fn policy_line(report: &Report, result: &CheckResult) -> Option<String> {
    (result.line > 0).then(|| format!("{}:{}", report.policy, result.line))
}

/// `check failed: 2 errors, 1 warning; 6 of 10 assertions held, 1 not judged, on 16 handshakes`.
fn summary_line(report: &Report) -> String {
    use super::Status::{Error, Held, NotEvaluated, Warning};
    let many = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let passed = if report.has_passed() {
        "passed"
    } else {
        "failed"
    };
    format!(
        "check {passed}: {}, {}; {} of {} held, {} not judged, on {}",
        many(report.count(Error), "error"),
        many(report.count(Warning), "warning"),
        report.count(Held),
        many(report.results.len(), "assertion"),
        report.count(NotEvaluated),
        many(
            usize::try_from(report.handshakes).unwrap_or(usize::MAX),
            "handshake"
        ),
    )
}

#[cfg(test)]
fn written(report: &Report, format: ReportFormat) -> String {
    let mut output = Vec::new();
    write_report(report, format, TextStyle::default(), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

/// A report with errors, warnings, handshakes that could not be evaluated, and an assertion that held.
#[cfg(test)]
fn example() -> Report {
    use crate::check::{Context, Evaluation, InputWarnings, Policy};
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};
    let policy = "[[rule]]
name = 'all is <well> & \"good\"'
max-failures = 0
min-version = 'TLS 1.3'
[[rule]]
severity = 'warning'
require-server-name = true
unknown = 'ignore'
[[rule]]
where = { port = 8443 }
no-gaps = true
[[rule]]
max-handshakes = 100";
    let policy = Policy::parse(policy, "folder/tlscope.toml").unwrap();
    let mut evaluation = Evaluation::new(policy, Context::default());
    let mut hostile = refused_by_the_client();
    hostile.tls.server_name = Some("a\u{1b}[31m]]>%0A::error::\u{0}".to_owned());
    let mut nameless = refused_by_the_client();
    nameless.tls.server_name = None;
    nameless.source = "/tmp/a b.pcap".into();
    for event in [hostile, nameless, completed(), barely_seen()] {
        evaluation.handshake(&event);
    }
    let mut report = evaluation.finish(&crate::stats::Stats::default(), &InputWarnings::default());
    report.captures = vec!["capture.pcapng".to_owned()];
    report
}
