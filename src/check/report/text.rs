//! The report for people.

use std::io::{self, Write};

use super::{offender_in_words, omitted, policy_line, printable, reasons, summary_line};
use crate::check::{CheckResult, Report, Status};
use crate::sink::TextStyle;
use crate::sink::people::text::wrap;

/// As wide as the longest word for a status, and a space.
const MARGIN: &str = "         ";
/// Columns that text has after a margin on the narrowest terminal.
const MIN_TEXT: usize = 20;

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
        write_lines(output, text_style, "  ", "  ", &reason)?;
    }
    let style = match report.has_passed() {
        true => text_style.good(),
        false => text_style.bad(),
    };
    if !report.results.is_empty() {
        writeln!(output)?;
    }
    for line in lines(&summary_line(report), text_style, 0) {
        writeln!(output, "{}", style.style(line))?;
    }
    Ok(())
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
    let status = format!("{}{:padding$}", style.style(word), "");
    let name = printable(&result.name);
    if !result.is_complaint() {
        let id = match result.name == result.wanted {
            true => String::new(),
            false => format!(" ({})", result.id),
        };
        let text = format!("{name}{id}: {}", printable(&result.found_of_all()));
        return write_lines(output, text_style, &status, MARGIN, &text);
    }
    // Several assertions of a rule share its name, and a built-in policy has no line. Errors about the input are no assertions.
    let is_assertion = !matches!(result.id, "input" | "allow-empty");
    let line = match policy_line(report, result) {
        Some(line) => format!(" ({})", printable(&line)),
        None if is_assertion && result.name != result.wanted => format!(" ({})", result.id),
        None => String::new(),
    };
    write_lines(
        output,
        text_style,
        &status,
        MARGIN,
        &format!("{name}{line}"),
    )?;
    let mut write = |label: &str, text: &str| {
        let first = format!("{MARGIN}{label}");
        write_lines(output, text_style, &first, &" ".repeat(first.len()), text)
    };
    if result.name != result.wanted {
        write("wanted: ", &printable(&result.wanted))?;
    }
    write("found:  ", &printable(&result.found_of_all()))?;
    for offender in &result.offenders {
        write("- ", &offender_in_words(offender))?;
    }
    match omitted(result) {
        Some(omitted) => write("- ", &omitted),
        None => Ok(()),
    }
}

/// Writes `text` after `first`, and its further lines on a terminal after `next`, which is as wide.
fn write_lines(
    output: &mut impl Write,
    text_style: TextStyle,
    first: &str,
    next: &str,
    text: &str,
) -> io::Result<()> {
    for (index, line) in lines(text, text_style, next.len()).iter().enumerate() {
        let margin = if index == 0 { first } else { next };
        writeln!(output, "{margin}{line}")?;
    }
    Ok(())
}

/// `text` in lines that fit the terminal after a margin.
fn lines(text: &str, text_style: TextStyle, margin: usize) -> Vec<String> {
    match text_style.width {
        Some(width) => wrap(text, width.saturating_sub(margin).max(MIN_TEXT)),
        None => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::super::{ReportFormat, example, written};
    use super::{TextStyle, write};

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

    #[test]
    fn lines_fit_the_terminal_and_keep_their_margin() {
        let style = TextStyle {
            color: false,
            width: Some(60),
        };
        let mut output = Vec::new();
        write(&example(), style, &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
        let expected = "\
         - /tmp/a b.pcap, packets 12-31: 10.0.0.1:51234 to
           10.0.0.2:443: unknown_ca (client): client refused
           the server's certificate: unknown_ca (48)
";
        assert!(text.contains(expected), "{text}");
        let summary = "\
check failed: 3 errors, 1 warning; 2 of 6 assertions held (1
partly), 0 skipped, on 4 handshakes
";
        assert!(text.ends_with(summary), "{text}");
    }
}
