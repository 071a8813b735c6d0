//! Text for people: safe for a terminal, cut and padded to columns, coloured on request.

use std::borrow::Cow;
use std::io::{self, Write};

use owo_colors::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::escape;

/// The style of output for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Whether to colour it; colour never carries the meaning.
    pub color: bool,
    /// Columns of the terminal that it must fit; `None` if nothing is to be cut.
    pub width: Option<usize>,
}

impl TextStyle {
    /// The same style; without a limit on the width if `wide`.
    #[must_use]
    pub fn wide(self, wide: bool) -> Self {
        Self {
            width: self.width.filter(|_| !wide),
            ..self
        }
    }

    pub(crate) fn good(self) -> Style {
        self.when_colored(Style::new().green())
    }

    pub(crate) fn bad(self) -> Style {
        self.when_colored(Style::new().red().bold())
    }

    pub(crate) fn doubtful(self) -> Style {
        self.when_colored(Style::new().yellow())
    }

    pub(crate) fn heading(self) -> Style {
        self.when_colored(Style::new().bold())
    }

    fn when_colored(self, style: Style) -> Style {
        if self.color { style } else { Style::new() }
    }
}

/// Characters of a name that are shown: a DNS name has at most 253, and a distinguished name rarely more. A
/// ClientHello may carry a "name" of 64 KB.
const MAX_NAME: usize = 255;

/// Characters of a message that are shown. Messages contain names.
const MAX_MESSAGE: usize = 1_024;

/// `name` with control and invisible characters escaped, cut to [`MAX_NAME`] characters.
pub(crate) fn printable(name: &str) -> Cow<'_, str> {
    let shown = beginning(name, MAX_NAME);
    if shown.len() == name.len() {
        escape::printable(name)
    } else {
        Cow::Owned(format!("{}…", escape::printable(shown)))
    }
}

/// `message` with control and invisible characters escaped; it and each name in it are cut if they are long.
pub(crate) fn printable_message(message: &str) -> Cow<'_, str> {
    if message.len() <= MAX_NAME {
        return escape::printable(message);
    }
    let shown = beginning(message, MAX_MESSAGE);
    let words: Vec<_> = shown.split(' ').map(printable).collect();
    let mark = if shown.len() == message.len() {
        ""
    } else {
        "…"
    };
    Cow::Owned(words.join(" ") + mark)
}

/// The first characters of `text`.
fn beginning(text: &str, characters: usize) -> &str {
    if text.len() <= characters {
        return text;
    }
    let end = text.char_indices().nth(characters);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Where text that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nowhere: it exceeds its column.
    Never,
    /// In the middle: the ends of an address or a name are most telling.
    Middle,
    /// At the end.
    End,
}

/// `text` in at most `width` columns, with an ellipsis where it is cut.
pub(crate) fn fit(text: &str, width: usize, cut: Cut) -> Cow<'_, str> {
    if cut == Cut::Never || text.width() <= width {
        return Cow::Borrowed(text);
    }
    let kept = width.saturating_sub(1);
    let tail_width = if cut == Cut::Middle { kept / 2 } else { 0 };
    let head = prefix(text.chars(), kept - tail_width);
    let tail: String = prefix(text.chars().rev(), tail_width)
        .chars()
        .rev()
        .collect();
    Cow::Owned(if width == 0 {
        head
    } else {
        head + "…" + &tail
    })
}

/// As many characters as fit in `width` columns.
fn prefix(characters: impl Iterator<Item = char>, mut width: usize) -> String {
    characters
        .map_while(|c| {
            width = width.checked_sub(c.width().unwrap_or(0))?;
            Some(c)
        })
        .collect()
}

/// Lines of at most `width` columns, broken between words. A word that is longer is broken after punctuation, as names of
/// suites and paths have it, or anywhere if it has none.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').flat_map(|word| pieces(word, width)) {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A word in pieces of at most `width` columns.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), word);
    while rest.width() > width {
        let mut columns = 0;
        // The first character always fits: a piece is never empty.
        let fitting = rest.char_indices().take_while(|&(at, c)| {
            columns += c.width().unwrap_or(0);
            at == 0 || columns <= width
        });
        let (mut end, mut after_punctuation) = (0, None);
        for (at, c) in fitting {
            end = at + c.len_utf8();
            if "_-./:,;=&@".contains(c) {
                after_punctuation = Some(end);
            }
        }
        let (piece, more) = rest.split_at(after_punctuation.unwrap_or(end));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// The columns of the longest word.
pub(crate) fn longest_word(text: &str) -> usize {
    text.split(' ')
        .map(UnicodeWidthStr::width)
        .max()
        .unwrap_or(0)
}

/// Appends `text`, padded on the right to `width` columns.
pub(crate) fn push_left(line: &mut String, text: &str, width: usize) {
    line.push_str(text);
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
}

/// Appends `text`, padded on the left to `width` columns.
pub(crate) fn push_right(line: &mut String, text: &str, width: usize) {
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
    line.push_str(text);
}

/// The side on which the cells of a column line up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Align {
    Left,
    Right,
    /// As `Left`, for names and other texts from the traffic: where rows are too long, it is cut in the middle.
    Name,
}

/// Columns that a name keeps where rows are too long.
const MIN_NAME: usize = 12;
/// Columns for which names give way to text in the last column, the end of which may be cut.
const MIN_TEXT: usize = 24;
/// Columns that names are padded to without a terminal: one long name should not move all rows.
const MAX_PADDING: usize = 40;
/// Spaces before each column.
const COLUMN_GAP: usize = 2;

/// Writes `rows` below each other, each column as wide as its widest cell, as far as the terminal allows.
pub(crate) fn write_rows<const N: usize>(
    output: &mut impl Write,
    style: TextStyle,
    align: [Align; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let widths = widths(style, align, rows);
    for row in rows {
        let mut line = String::new();
        for ((cell, align), width) in row.iter().zip(align).zip(widths) {
            line.extend([' '; COLUMN_GAP]);
            match align {
                Align::Left => push_left(&mut line, cell, width),
                Align::Right => push_right(&mut line, cell, width),
                Align::Name if style.width.is_some() => {
                    push_left(&mut line, &fit(cell, width, Cut::Middle), width);
                }
                Align::Name => push_left(&mut line, cell, width),
            }
        }
        let line = match style.width {
            Some(width) => fit(line.trim_end(), width, Cut::End),
            None => line.trim_end().into(),
        };
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// The widths of the columns: where rows are too long, the widest name gives way first.
fn widths<const N: usize>(style: TextStyle, align: [Align; N], rows: &[[String; N]]) -> [usize; N] {
    let mut widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.max().unwrap_or(0)
    });
    let is_name = |column: usize| matches!(align[column], Align::Name);
    let Some(limit) = style.width else {
        for (column, width) in widths.iter_mut().enumerate() {
            if is_name(column) {
                *width = (*width).min(MAX_PADDING);
            }
        }
        return widths;
    };
    let excess = align.last().map_or(0, |last| match last {
        Align::Left => widths[N - 1].saturating_sub(MIN_TEXT),
        Align::Right | Align::Name => 0,
    });
    loop {
        let total: usize = widths.iter().map(|width| width + COLUMN_GAP).sum();
        let total = total - excess;
        let names = (0..N).filter(|&column| is_name(column) && widths[column] > MIN_NAME);
        let Some(widest) = names.max_by_key(|&column| widths[column]) else {
            return widths;
        };
        if total <= limit {
            return widths;
        }
        // At once down to the next widest: names may have thousands of columns.
        let others = (0..N).filter(|&column| is_name(column) && column != widest);
        let next = others.map(|column| widths[column]).max().unwrap_or(0);
        let floor = next.min(widths[widest] - 1).max(MIN_NAME);
        let wanted = widths[widest].saturating_sub(total - limit);
        widths[widest] = wanted.max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_is_cut_for_a_table() {
        let name = "n".repeat(MAX_NAME);
        assert_eq!(printable(&name), name);
        assert_eq!(printable(&"n".repeat(60_000)), name + "…");
        let hostile = "\u{202e}é".repeat(60_000);
        let shown = printable(&hostile);
        assert!(shown.starts_with("\\u{202e}é"), "{shown}");
        assert!(shown.ends_with("…"), "{shown}");
        assert_eq!(shown.matches('é').count(), MAX_NAME / 2);
    }

    #[test]
    fn a_message_is_cut_and_so_is_each_name_in_it() {
        let name = "n".repeat(60_000);
        let message = format!("no certificate for {name} was sent");
        let cut = "n".repeat(MAX_NAME);
        assert_eq!(
            printable_message(&message),
            format!("no certificate for {cut}……")
        );
        let long = "word ".repeat(60_000);
        assert_eq!(printable_message(&long).chars().count(), MAX_MESSAGE + 1);
        let ordinary = "client refused the server's certificate: ".repeat(20);
        assert_eq!(printable_message(&ordinary), ordinary);
    }

    #[test]
    fn cuts_to_columns_not_characters() {
        assert_eq!(fit("example.org", 11, Cut::End), "example.org");
        assert_eq!(fit("example.org", 8, Cut::End), "example…");
        assert_eq!(fit("example.org", 8, Cut::Middle), "exam…org");
        assert_eq!(fit("例え例え", 5, Cut::End), "例え…");
        assert_eq!(fit("例え例え", 4, Cut::End), "例…");
        assert_eq!(fit("example.org", 1, Cut::Middle), "…");
        assert_eq!(fit("example.org", 0, Cut::End), "");
        assert_eq!(fit("example.org", 3, Cut::Never), "example.org");
    }

    #[test]
    fn names_give_way_where_rows_are_too_long_the_widest_first() {
        let rows = [[
            "a".repeat(50),
            "number".to_owned(),
            "b".repeat(20),
            "c".repeat(5000),
        ]];
        let align = [Align::Name, Align::Left, Align::Name, Align::Name];
        for (width, expected) in [
            (60, [15, 6, 15, 16]),
            (80, [23, 6, 20, 23]),
            (20, [12, 6, 12, 12]),
            (6000, [50, 6, 20, 5000]),
        ] {
            let style = TextStyle {
                color: false,
                width: Some(width),
            };
            let widths = widths(style, align, &rows);
            assert_eq!(widths.iter().sum::<usize>(), expected.iter().sum::<usize>());
            assert_eq!(widths[1], 6);
        }
        let widths = widths(TextStyle::default(), align, &rows);
        assert_eq!(widths, [40, 6, 20, 40]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".into(), "1".into()], ["bcd".into(), "22".into()]];
        let mut output = Vec::new();
        let align = [Align::Left, Align::Right];
        write_rows(&mut output, TextStyle::default(), align, &rows).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "  a     1\n  bcd  22\n");
    }
}
