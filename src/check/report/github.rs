//! Workflow commands of GitHub Actions: an annotation for each warning and error.
//!
//! An annotation is at the assertion's line in the policy file, if it has one.

use std::io::{self, Write};

use super::{offender_in_words, omitted, printable, reasons, summary_line};
use crate::check::{CheckResult, Report};

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    for result in report.complaints() {
        let command = result.status.as_str(); // `warning` or `error`, the names of the commands
        let place = match result.line {
            0 => String::new(),
            line => format!("file={},line={line},", property(&report.policy)),
        };
        let title = property(&format!("tlscope check: {}", result.name));
        let message = data(&message(result));
        writeln!(output, "::{command} {place}title={title}::{message}")?;
    }
    for reason in reasons(report) {
        writeln!(output, "not evaluated: {reason}")?;
    }
    writeln!(output, "{}", summary_line(report))
}

fn message(result: &CheckResult) -> String {
    let mut lines = vec![
        format!("wanted: {}", printable(&result.wanted)),
        format!("found: {}", printable(&result.found)),
    ];
    lines.extend(result.offenders.iter().map(offender_in_words));
    lines.extend(omitted(result));
    lines.join("\n")
}

/// Encodes the message of a command as GitHub expects it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Encodes a property, in which `:` and `,` are special too.
fn property(text: &str) -> String {
    data(&printable(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::{ReportFormat, example, written};

    #[test]
    fn each_annotation_is_one_line_whatever_the_names_contain() {
        let text = written(&example(), ReportFormat::Github);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines.len(),
            8,
            "three errors, a warning, three reasons, the end"
        );
        let start = "::error file=folder/tlscope.toml,line=3,title=tlscope check%3A all is <well> & \"good\"::wanted: no failure%0Afound: ";
        assert!(lines[0].starts_with(start), "{}", lines[0]);
        assert!(
            lines[0].contains("%250A::error::"),
            "a name cannot end the line"
        );
        assert!(lines[2].starts_with("::warning "));
        assert!(lines[4].starts_with("not evaluated: 1 handshake, "));
        assert!(lines[7].starts_with("check failed: "));
    }
}
