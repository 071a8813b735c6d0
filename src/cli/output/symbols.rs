//! Symbols beyond ASCII, as arrows and lines, in a locale that does not have them.
//!
//! What the traffic and files are called is left as it is: a name has to stay the one that it is, and commands that are shown have to
//! work.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};

/// The symbols of the program's output, and what stands for each where only ASCII is shown: as wide, so that columns stay.
const SYMBOLS: [(char, char); 33] = [
    ('…', '~'),
    ('─', '-'),
    ('╌', '.'),
    ('▶', '>'),
    ('◀', '<'),
    ('→', '>'),
    ('←', '<'),
    ('↑', '^'),
    ('↓', 'v'),
    ('×', 'x'),
    ('│', '|'),
    ('┌', '+'),
    ('┐', '+'),
    ('└', '+'),
    ('┘', '+'),
    ('╭', '+'),
    ('╮', '+'),
    ('╰', '+'),
    ('╯', '+'),
    ('▁', '_'),
    ('▂', '.'),
    ('▃', '.'),
    ('▄', '-'),
    ('▅', '='),
    ('▆', '='),
    ('▇', '#'),
    ('█', '#'),
    ('░', '.'),
    ('▏', '|'),
    ('·', '.'),
    ('•', '*'),
    ('–', '-'),
    ('≥', '>'),
];

/// `text` with symbols that the locale has.
pub(crate) fn in_locale(text: String) -> String {
    match has_utf8() {
        true => text,
        false => in_ascii(&text),
    }
}

/// `text` with ASCII for symbols.
pub(crate) fn in_ascii(text: &str) -> String {
    let replaced = |c: char| {
        let symbol = SYMBOLS.iter().find(|(symbol, _)| *symbol == c);
        symbol.map_or(c, |(_, ascii)| *ascii)
    };
    text.chars().map(replaced).collect()
}

/// Whether the locale has UTF-8. One that is not set does not say: cron jobs and containers have none, and their output goes to
/// terminals and pages with UTF-8.
pub(crate) fn has_utf8() -> bool {
    is_utf8(|name| env::var_os(name))
}

/// The same, for these variables; the first that is set decides (POSIX, section 8.2).
fn is_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
    let mut set = variables.filter_map(|name| variable(name).filter(|value| !value.is_empty()));
    set.next().is_none_or(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Writes text with the symbols that the locale has.
#[derive(Debug)]
pub(crate) struct Symbols<W> {
    output: W,
    is_ascii: bool,
    /// The beginning of a character, the rest of which is still to come.
    begun: Vec<u8>,
}

impl<W> Symbols<W> {
    /// For text that is for people; other text stays as it is.
    pub(crate) fn new(output: W, is_for_people: bool) -> Self {
        Self {
            output,
            is_ascii: is_for_people && !has_utf8(),
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Symbols<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_ascii || (self.begun.is_empty() && bytes.is_ascii()) {
            return self.output.write(bytes);
        }
        self.begun.extend_from_slice(bytes);
        let mut text = Vec::with_capacity(self.begun.len());
        let mut rest = 0;
        for chunk in self.begun.utf8_chunks() {
            text.extend(in_ascii(chunk.valid()).into_bytes());
            rest += chunk.valid().len() + chunk.invalid().len();
            // Only at the end, and only if more bytes can complete it, it is the beginning of a character.
            let is_last = rest == self.begun.len();
            if is_last && is_beginning(chunk.invalid()) {
                rest -= chunk.invalid().len();
            } else {
                text.extend(chunk.invalid());
            }
        }
        self.output.write_all(&text)?;
        self.begun.drain(..rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Whether these bytes, which are not UTF-8, lack only more of them.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_says_whether_there_is_utf8() {
        for (variables, expected) in [
            (&[][..], true),
            (&[("LC_ALL", "C")], false),
            (&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
            (&[("LC_CTYPE", "C.utf8"), ("LANG", "C")], true),
            (&[("LANG", "de_DE.ISO-8859-1")], false),
        ] {
            let value = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(is_utf8(value), expected, "{variables:?}");
        }
    }

    #[test]
    fn symbols_become_ascii_of_the_same_width_however_the_text_is_cut() {
        use unicode_width::UnicodeWidthChar;
        assert!(
            SYMBOLS
                .iter()
                .all(|(symbol, ascii)| symbol.width() == ascii.width())
        );
        let (text, expected) = ("──▶ Müller… ×2", "--> Müller~ x2");
        for at in 0..=text.len() {
            let mut output = Symbols {
                output: Vec::new(),
                is_ascii: true,
                begun: Vec::new(),
            };
            let (one, other) = text.as_bytes().split_at(at);
            output.write_all(one).unwrap();
            output.write_all(other).unwrap();
            assert_eq!(String::from_utf8(output.output).unwrap(), expected);
        }
        let mut output = Symbols {
            output: Vec::new(),
            is_ascii: true,
            begun: Vec::new(),
        };
        output.write_all(b"caf\xe9\xff ").unwrap();
        assert_eq!(output.output, b"caf\xe9\xff ");
    }
}
