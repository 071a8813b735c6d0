//! Reports for people and for build servers: one file for each format.

mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;
mod xml;

use std::io::{self, Write};

use sha2::Digest;

use super::assertion::handshakes;
use super::known_findings::without_amounts;
use super::{CheckResult, Location, Offender, Report, Status};
use crate::escape::printable;
use crate::sink::TextStyle;

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
    /// A code quality report of GitLab, which merge requests show.
    Gitlab,
    /// Markdown, for the job summary of GitHub Actions or a comment.
    Markdown,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Json,
        Self::Junit,
        Self::Sarif,
        Self::Github,
        Self::Gitlab,
        Self::Markdown,
    ];

    /// As written on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Sarif => "sarif",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Markdown => "markdown",
        }
    }
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
        ReportFormat::Gitlab => gitlab::write(report, output),
        ReportFormat::Markdown => markdown::write(report, output),
    }
}

/// `packets 12-31`; `None` if they are not known.
fn packets_in_words(location: &Location) -> Option<String> {
    match (location.first_packet, location.last_packet) {
        (0, _) => None,
        (first, last) if first == last => Some(format!("packet {first}")),
        (first, last) => Some(format!("packets {first}-{last}")),
    }
}

/// `capture.pcap, packets 12-31: 10.0.0.1:51234 to example.org (10.0.0.2:443)`.
fn location_in_words(location: &Location) -> String {
    let packets = packets_in_words(location);
    let packets = packets.map_or_else(String::new, |packets| format!(", {packets}"));
    let server = match &location.server_name {
        Some(name) => format!("{} ({})", printable(name), location.server),
        None => location.server.to_string(),
    };
    let source = printable(&location.source);
    format!("{source}{packets}: {} to {server}", location.client)
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

/// `check failed: 2 errors, 1 warning; 6 of 10 assertions held (2 partly), 1 skipped, on 16 handshakes`.
fn summary_line(report: &Report) -> String {
    let verdict = if report.has_passed() {
        "passed"
    } else {
        "failed"
    };
    let partly = match report.count(Status::PartlyHeld) {
        0 => String::new(),
        partly => format!(" ({partly} partly)"),
    };
    let known = match report
        .results
        .iter()
        .map(|result| result.known)
        .sum::<u64>()
    {
        0 => String::new(),
        1 => "; 1 known violation".to_owned(),
        known => format!("; {known} known violations"),
    };
    format!(
        "check {verdict}: {}, {}; {} of {} held{partly}, {} skipped, on {}{known}",
        many(report.count(Status::Error), "error"),
        many(report.count(Status::Warning), "warning"),
        report.held(),
        many(report.results.len(), "assertion"),
        report.count(Status::NotEvaluated),
        handshakes(report.handshakes),
    )
}

/// `1 error`, `2 errors`.
fn many(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Why handshakes could not be evaluated, one line for each reason, with what the user can do about it.
fn reasons(report: &Report) -> impl Iterator<Item = String> {
    report.not_evaluated.iter().map(|missing| {
        let count = handshakes(missing.handshakes);
        let assertions = many(missing.assertions, "assertion");
        let remedy = remedy(missing.reason).map_or(String::new(), |remedy| format!("; {remedy}"));
        format!("{count}, {assertions}: {}{remedy}", missing.reason)
    })
}

/// What the user can do so that a reason disappears.
fn remedy(reason: &str) -> Option<&'static str> {
    if reason.contains("(TLS 1.3)") {
        Some("`--keylog FILE` or `tlscope run` decrypts them")
    } else if reason.contains("trust store") {
        Some("`--ca-file FILE` names the roots")
    } else {
        None
    }
}

/// A hash of what makes a violation the same from run to run, in hexadecimal: neither packet numbers nor client ports.
fn fingerprint(result: &CheckResult, offender: Option<&Offender>) -> String {
    let location = offender.and_then(|offender| offender.handshake.as_ref());
    let peers = location.map_or(String::new(), |location| {
        let server = location.server.to_string();
        let server = location.server_name.as_ref().unwrap_or(&server);
        format!("{}\n{server}", location.client.address)
    });
    let why = offender.map_or(String::new(), |offender| without_amounts(&offender.why));
    let text = [result.id, &result.name, &peers, &why].join("\n");
    let digest = sha2::Sha256::digest(text);
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
fn written(report: &Report, format: ReportFormat) -> String {
    let mut output = Vec::new();
    write_report(report, format, TextStyle::default(), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

/// A report with errors, a warning, handshakes that could not be evaluated, and assertions that held or held in part.
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
max-handshakes = 100
max-failures = '90 %'";
    let policy = Policy::parse(policy, "folder/tlscope.toml").unwrap();
    let mut evaluation = Evaluation::new(policy, Context::default());
    let mut hostile = refused_by_the_client();
    hostile.tls.server_name = Some("a\u{1b}[31m]]>%0A::error::\u{0}".into());
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
