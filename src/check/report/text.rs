//! The report for people.

use std::io::{self, Write};

use super::{offender_in_words, omitted, policy_line, printable, reasons, summary_line};
use crate::check::{CheckResult, Report, Status};
use crate::sink::TextStyle;

/// As wide as the longest word for a status, and a space.
const MARGIN: &str = "         ";

pub(super) fn write(
    report: &Report,
    text_style: TextStyle,
    output: &mut impl Write,
) -> io::Result<()> {
    for result in &report.results {
        write_result(report, result, text_style, output)?;
    }
    let mut reasons = reasons(report).peekable();
    if reasons.peek().is_some() {
        writeln!(output, "\nNot evaluated")?;
    }
    for reason in reasons {
        writeln!(output, "  {reason}")?;
    }
    let style = match report.has_passed() {
        true => text_style.good(),
        false => text_style.bad(),
    };
    if !report.results.is_empty() {
        writeln!(output)?;
    }
    writeln!(output, "{}", style.style(summary_line(report)))
}

fn write_result(
    report: &Report,
    result: &CheckResult,
    text_style: TextStyle,
    output: &mut impl Write,
) -> io::Result<()> {
    let (style, word) = match result.status {
        Status::Held => (text_style.good(), "ok"),
        Status::PartlyHeld => (text_style.good(), "partly"),
        Status::NotEvaluated => (text_style.doubtful(), "skipped"),
        Status::Warning => (text_style.doubtful(), "warning"),
        Status::Error => (text_style.bad(), "FAILED"),
    };
    let padding = MARGIN.len().saturating_sub(word.len());
    write!(
        output,
        "{}{:padding$}{}",
        style.style(word),
        "",
        printable(&result.name)
    )?;
    if !result.is_complaint() {
        if result.name != result.wanted {
            write!(output, " ({})", result.id)?;
        }
        return writeln!(output, ": {}", printable(&result.found));
    }
    match policy_line(report, result) {
        Some(line) => writeln!(output, " ({})", printable(&line))?,
        None => writeln!(output)?,
    }
    if result.name != result.wanted {
        writeln!(output, "{MARGIN}wanted: {}", printable(&result.wanted))?;
    }
    writeln!(output, "{MARGIN}found:  {}", printable(&result.found))?;
    for offender in &result.offenders {
        writeln!(output, "{MARGIN}- {}", offender_in_words(offender))?;
    }
    match omitted(result) {
        Some(omitted) => writeln!(output, "{MARGIN}- {omitted}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReportFormat, example, written};

    #[test]
    fn the_text_names_what_was_wanted_what_was_found_and_where() {
        let expected = r#"FAILED   all is <well> & "good" (folder/tlscope.toml:3)
         wanted: no failure
         found:  2 of 3 handshakes failed, 1 not evaluated
         - capture.pcapng, packets 12-31: 10.0.0.1:51234 to a\u{1b}[31m]]>%0A::error::\u{0} (10.0.0.2:443): unknown_ca (client): client refused the server's certificate: unknown_ca (48)
         - /tmp/a b.pcap, packets 12-31: 10.0.0.1:51234 to 10.0.0.2:443: unknown_ca (client): client refused the server's certificate: unknown_ca (48)
FAILED   all is <well> & "good" (folder/tlscope.toml:4)
         wanted: TLS 1.3 or later
         found:  2 of 3 handshakes violated it, 1 not evaluated
         - capture.pcapng, packets 12-31: 10.0.0.1:51234 to a\u{1b}[31m]]>%0A::error::\u{0} (10.0.0.2:443): TLS 1.2 was selected
         - /tmp/a b.pcap, packets 12-31: 10.0.0.1:51234 to 10.0.0.2:443: TLS 1.2 was selected
warning  a server name (SNI) (folder/tlscope.toml:7)
         found:  1 of 3 handshakes violated it, 1 not evaluated
         - /tmp/a b.pcap, packets 12-31: 10.0.0.1:51234 to 10.0.0.2:443: the client named no server
FAILED   captures without gaps, of both directions (folder/tlscope.toml:11)
         found:  no handshake in scope; if that is fine, add `min-handshakes = 0` to the rule
ok       at most 100 handshakes: 4 handshakes in scope
partly   at most 90 % failures: 2 of 3 handshakes failed, 2 allowed, 1 not evaluated

Not evaluated
  1 handshake, 1 assertion: no ClientHello in view
  1 handshake, 1 assertion: no ServerHello in view
  1 handshake, 2 assertions: outcome unknown

check failed: 3 errors, 1 warning; 2 of 6 assertions held (1 partly), 0 skipped, on 4 handshakes
"#;
        assert_eq!(written(&example(), ReportFormat::Text), expected);
    }
}
