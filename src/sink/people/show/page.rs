//! Headings, labelled facts and lists, wrapped to the width of the terminal.

use std::io::{self, Write};

use owo_colors::Style;
use unicode_width::UnicodeWidthStr;

use crate::escape::printable;
use crate::sink::people::text::{TextStyle, longest_word, wrap};

/// Columns of text without a terminal: lines of mail and of terminals at their usual size hold it.
const DEFAULT_WIDTH: usize = 100;
/// The least that is wrapped to: narrower, every word would be cut.
const MIN_WIDTH: usize = 36;
/// Columns of a label, where there is room for labels next to their facts.
const LABEL: usize = 20;
/// Columns below which facts do not line up next to their labels.
const NARROW: usize = 56;

/// Writes text in the parts that a page is made of.
#[derive(Debug)]
pub(super) struct Page<'o, W> {
    pub(super) output: &'o mut W,
    pub(super) style: TextStyle,
    /// Columns to fill.
    pub(super) width: usize,
    /// Whether longer lines are broken.
    wraps: bool,
}

impl<'o, W: Write> Page<'o, W> {
    pub(super) fn new(output: &'o mut W, style: TextStyle, wraps: bool) -> Self {
        let width = style.width.unwrap_or(DEFAULT_WIDTH).max(MIN_WIDTH);
        Self {
            output,
            style,
            width,
            wraps,
        }
    }

    /// Columns for text next to `taken` others.
    fn room(&self, taken: usize) -> usize {
        if self.wraps {
            self.width - taken
        } else {
            usize::MAX
        }
    }

    /// Writes an empty line and a heading.
    pub(super) fn heading(&mut self, heading: &str) -> io::Result<()> {
        writeln!(self.output)?;
        for line in wrap(heading, self.room(0)) {
            writeln!(self.output, "{}", self.style.heading().style(line))?;
        }
        Ok(())
    }

    /// Writes a fact after its label. Text from the traffic is safe here: it is escaped.
    pub(super) fn fact(&mut self, label: &str, text: &str) -> io::Result<()> {
        self.styled_fact(label, text, Style::new())
    }

    pub(super) fn styled_fact(&mut self, label: &str, text: &str, style: Style) -> io::Result<()> {
        let text = printable(text);
        // A name that fits a line of its own is not broken to stand next to its label.
        let longest = longest_word(&text);
        let needs_its_own_line = longest > self.room(2 + LABEL) && longest <= self.room(4);
        if needs_its_own_line && self.width >= NARROW {
            if !label.is_empty() {
                writeln!(self.output, "  {label}")?;
            }
            for line in wrap(&text, self.room(4)) {
                writeln!(self.output, "    {}", style.style(line))?;
            }
            return Ok(());
        }
        if self.width < NARROW {
            let separator = if label.is_empty() { "" } else { ": " };
            let lines = wrap(&format!("{label}{separator}{text}"), self.room(4));
            for (index, line) in lines.iter().enumerate() {
                let indent = if index == 0 && !label.is_empty() {
                    2
                } else {
                    4
                };
                writeln!(self.output, "{:indent$}{}", "", style.style(line))?;
            }
            return Ok(());
        }
        for (index, line) in wrap(&text, self.room(2 + LABEL)).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            writeln!(self.output, "  {label:LABEL$}{}", style.style(line))?;
        }
        Ok(())
    }

    /// Writes a fact if it is known.
    pub(super) fn maybe(&mut self, label: &str, text: Option<impl AsRef<str>>) -> io::Result<()> {
        text.map_or(Ok(()), |text| self.fact(label, text.as_ref()))
    }

    /// Writes an item of a list.
    pub(super) fn item(&mut self, text: &str) -> io::Result<()> {
        for (index, line) in wrap(&printable(text), self.room(4)).iter().enumerate() {
            let bullet = if index == 0 { "-" } else { " " };
            writeln!(self.output, "  {bullet} {line}")?;
        }
        Ok(())
    }

    /// Writes a display filter to be copied. On a terminal, it continues in the next line after `&&`: for Wireshark, a new
    /// line is white space.
    pub(super) fn filter(&mut self, parts: &[&str]) -> io::Result<()> {
        self.verbatim(parts, " && ", " &&")
    }

    /// Writes a command to be copied. On a terminal, it continues in the next line after a backslash.
    pub(super) fn command(&mut self, words: &[&str]) -> io::Result<()> {
        self.verbatim(words, " ", " \\")
    }

    /// Writes parts to be copied, with `between` between them, or `end` at the end of a line. No part is broken, even if it is
    /// longer than the line.
    fn verbatim(&mut self, parts: &[&str], between: &str, end: &str) -> io::Result<()> {
        let room = self.style.width.map_or(usize::MAX, |_| self.room(4));
        let mut line = String::new();
        for part in parts {
            let part = printable(part);
            let width = line.width() + between.width() + part.width() + end.width();
            if !line.is_empty() && width > room {
                writeln!(self.output, "    {line}{end}")?;
                line.clear();
            }
            if !line.is_empty() {
                line.push_str(between);
            }
            line.push_str(&part);
        }
        writeln!(self.output, "    {line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("a 0123456789 b", 4), ["a", "0123", "4567", "89 b"]);
        assert_eq!(
            wrap("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 20),
            ["TLS_ECDHE_RSA_WITH_", "AES_128_CBC_SHA"]
        );
        assert_eq!(wrap("a/b/cdefgh", 4), ["a/b/", "cdef", "gh"]);
        assert_eq!(wrap("例え例え", 4), ["例え", "例え"]);
    }

    #[test]
    fn a_narrow_page_has_its_facts_right_after_their_labels() {
        for (width, expected) in [
            (80, "  label               text\n"),
            (40, "  label: text\n"),
        ] {
            let mut output = Vec::new();
            let style = TextStyle {
                color: false,
                width: Some(width),
            };
            Page::new(&mut output, style, true)
                .fact("label", "text")
                .unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }
}
