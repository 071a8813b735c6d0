//! Markdown (GitHub's dialect), for the summary of a job or a comment on a pull request.

use std::io::{self, Write};

use super::{many, offender_in_words, omitted, policy_line, printable, reasons, summary_line};
use crate::check::{CheckResult, Report, Status};

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let mark = if report.has_passed() { "✅" } else { "❌" };
    writeln!(
        output,
        "### {mark} tlscope {}\n",
        text(&summary_line(report))
    )?;
    if report.results.is_empty() {
        return Ok(());
    }
    writeln!(
        output,
        "| | assertion | wanted | found |\n| --- | --- | --- | --- |"
    )?;
    for result in &report.results {
        write_row(report, result, output)?;
    }
    for result in report.complaints().filter(|one| !one.offenders.is_empty()) {
        write_offenders(result, output)?;
    }
    let reasons: Vec<_> = reasons(report).collect();
    if !reasons.is_empty() {
        let count = many(reasons.len(), "reason");
        writeln!(
            output,
            "\n<details><summary>Not evaluated: {count}</summary>\n"
        )?;
        for reason in reasons {
            writeln!(output, "- {}", text(&reason))?;
        }
        writeln!(output, "\n</details>")?;
    }
    Ok(())
}

fn write_row(report: &Report, result: &CheckResult, output: &mut impl Write) -> io::Result<()> {
    let status = match result.status {
        Status::Held => "✅ ok",
        Status::PartlyHeld => "✅ partly",
        Status::NotEvaluated => "⚪ skipped",
        Status::Warning => "⚠️ warning",
        Status::Error => "❌ failed",
    };
    let at = policy_line(report, result).map_or(String::new(), |line| format!(" ({line})"));
    let name = format!("{}{at}", result.name);
    let cells = [&*name, &result.wanted, &*result.found_of_all()].map(text);
    writeln!(output, "| {status} | {} |", cells.join(" | "))
}

fn write_offenders(result: &CheckResult, output: &mut impl Write) -> io::Result<()> {
    let count = many(
        usize::try_from(result.violations).unwrap_or(usize::MAX),
        "violation",
    );
    let (name, wanted) = (text(&result.name), text(&result.wanted));
    let title = match result.name == result.wanted {
        true => name,
        false => format!("{name}: {wanted}"),
    };
    writeln!(
        output,
        "\n<details open><summary>{title}: {count}</summary>\n"
    )?;
    let lines = result.offenders.iter().map(offender_in_words);
    for line in lines.chain(omitted(result)) {
        writeln!(output, "- {}", text(&line))?;
    }
    writeln!(output, "\n</details>")
}

/// Escapes what Markdown, HTML and the links of GitHub would interpret: names come from strangers.
fn text(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A reference as in `@name` would notify that person.
            '@' => escaped.push_str("&#64;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::{ReportFormat, example, written};
    use super::text;

    #[test]
    fn the_table_has_a_row_for_each_assertion_and_lists_the_violations() {
        let report = example();
        let markdown = written(&report, ReportFormat::Markdown);
        let rows = markdown.lines().filter(|line| line.starts_with("| "));
        assert_eq!(rows.clone().count(), report.results.len() + 2);
        for row in rows {
            let cells = row.replace("\\|", "").matches('|').count();
            assert_eq!(cells, 5, "{row}");
        }
        assert!(markdown.starts_with("### ❌ tlscope check failed: "));
        assert_eq!(markdown.matches("<details open>").count(), 3);
        assert!(markdown.contains("all is &lt;well&gt; &amp; \"good\""));
        assert!(!markdown.contains(['\u{0}', '\u{1b}']));
    }

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(
            text("a|b*c_[x](y) <b>@me"),
            "a\\|b\\*c\\_\\[x\\](y) &lt;b&gt;&#64;me"
        );
    }
}
