//! Messages for the user, on standard error.
//!
//! While a live run shows its screen, messages are held back so that they do not tear it.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstream::adapter::strip_str;
use owo_colors::OwoColorize;
use terminal_size::terminal_size_of;
use tlscope::capture::{Problem, Severity};
use tlscope::escape::printable;
use unicode_width::UnicodeWidthStr;

use crate::cli::output::symbols::in_locale;

/// Messages held back; `None` while messages are written at once.
static HELD_BACK: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// Messages held back at most; the oldest are dropped. A screen has no room for more.
const MAX_HELD_BACK: usize = 100;

/// Writes a message without a label.
///
/// Standard error may be closed, and there is nowhere else to report that: errors are ignored.
pub(crate) fn line(message: impl Display) {
    let message = in_words(in_locale(message.to_string()));
    if let Some(messages) = &mut *lock() {
        if messages.len() >= MAX_HELD_BACK {
            messages.pop_front();
        }
        messages.push_back(message);
        return;
    }
    // The lock is free by now: a terminal that is stopped (Ctrl-S) blocks this thread only.
    let message = match terminal_size_of(stderr()) {
        Some((width, _)) => wrapped(&message, usize::from(width.0)),
        None => message,
    };
    let _ = writeln!(anstream::stderr().lock(), "{message}");
}

/// The system's words for an error, and those for a user who named a file.
const SYSTEM_ERRORS: [(&str, &str); 3] = [
    ("File exists", "it exists, and is not a directory"), // only creating a directory fails for this reason
    ("Is a directory", "it is a directory"),
    (
        "Not a directory",
        "a part of the path is a file, not a directory",
    ),
];

/// `message` without the numbers of system errors, as in `No such file or directory (os error 2)`.
fn in_words(mut message: String) -> String {
    const NUMBER: &str = " (os error ";
    while let Some(at) = message.find(NUMBER) {
        let Some(length) = message[at..].find(')') else {
            break;
        };
        let (before, after) = (&message[..at], &message[at + length + 1..]);
        let start = before.rfind(": ").map_or(0, |colon| colon + 2);
        let (before, said) = before.split_at(start);
        let known = SYSTEM_ERRORS.iter().find(|(text, _)| *text == said);
        let words = match known {
            Some((_, words)) => (*words).to_owned(),
            None => {
                let (first, rest) = said.split_at(said.chars().next().map_or(0, char::len_utf8));
                format!("{}{rest}", first.to_lowercase())
            }
        };
        message = format!("{before}{words}{after}");
    }
    message
}

/// `message` with its lines broken between words to fit `width` columns. A word that is longer stays whole, so that paths and
/// commands can be copied.
fn wrapped(message: &str, width: usize) -> String {
    let mut text = String::with_capacity(message.len());
    for (index, line) in message.split('\n').enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let mut column = 0;
        for (index, word) in line.split(' ').enumerate() {
            let columns = strip_str(word).to_string().width();
            if index > 0 && column + 1 + columns > width {
                text.push('\n');
                column = 0;
            } else if index > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += columns;
        }
    }
    text
}

/// Writes an error.
pub(crate) fn error(error: impl Display) {
    line(format_args!("{}: {}", "error".red().bold(), safe(error)));
}

/// Writes what to try next.
pub(crate) fn hint(hint: impl Display) {
    line(format_args!("{}: {}", "hint".bold(), safe(hint)));
}

/// Writes a warning.
pub(crate) fn warning(warning: impl Display) {
    let label = "warning".yellow().bold().to_string();
    line(format_args!("{label}: {}", safe(warning)));
}

/// Writes what is wrong with the input, as a warning or an error, on one line.
pub(crate) fn problem(problem: &Problem) {
    let text = printable(&problem.text);
    match problem.severity {
        Severity::Warning => warning(text),
        Severity::Error => error(text),
    }
}

/// A message without control and invisible characters: names of files and values of options may have some, and an escape sequence could
/// rewrite the terminal. Lines of the message stay.
fn safe(message: impl Display) -> String {
    let message = message.to_string();
    let lines: Vec<_> = message.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Holding messages back while the screen is shown.
#[cfg(live_capture)]
pub(crate) mod held_back {
    use super::{VecDeque, line, lock, strip_str};

    /// Holds messages back from now on.
    pub(crate) fn start() {
        lock().get_or_insert_with(VecDeque::new);
    }

    /// The messages held back so far, the oldest first, each as one line without colour: the screen has its own, and
    /// would show escape sequences as text.
    pub(crate) fn messages() -> Vec<String> {
        let plain = |message: &String| strip_str(message).to_string().replace('\n', " ");
        lock().iter().flatten().map(plain).collect()
    }

    /// Writes the messages held back; later ones are written at once again.
    pub(crate) fn release() {
        let messages = lock().take();
        messages.into_iter().flatten().for_each(line);
    }
}

fn lock() -> MutexGuard<'static, Option<VecDeque<String>>> {
    HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_broken_between_words_and_colour_takes_no_columns() {
        let message = format!("{}: `tlscope show a.pcap 1` shows\n\none", "hint".bold());
        assert_eq!(
            strip_str(&wrapped(&message, 20)).to_string(),
            "hint: `tlscope show\na.pcap 1` shows\n\none"
        );
        assert_eq!(wrapped("a 0123456789 b", 5), "a\n0123456789\nb");
        assert_eq!(wrapped(&message, 40), message);
    }

    #[test]
    fn names_in_messages_cannot_write_to_the_terminal() {
        assert_eq!(
            safe("one\n\nhint: \u{7}two\u{202e}"),
            "one\n\nhint: \\u{7}two\\u{202e}"
        );
    }

    #[test]
    fn system_errors_are_words_without_numbers() {
        for (message, expected) in [
            (
                "cannot open `x`: No such file or directory (os error 2)",
                "cannot open `x`: no such file or directory",
            ),
            (
                "cannot create `x`: File exists (os error 17); retrying",
                "cannot create `x`: it exists, and is not a directory; retrying",
            ),
            (
                "Permission denied (os error 13): `x`, and: Is a directory (os error 21)",
                "permission denied: `x`, and: it is a directory",
            ),
            ("what (os error", "what (os error"),
        ] {
            assert_eq!(in_words(message.to_owned()), expected);
        }
    }

    #[cfg(live_capture)]
    #[test]
    fn the_newest_messages_are_held_back_until_they_are_released() {
        held_back::start();
        (0..MAX_HELD_BACK + 10).for_each(line);
        let messages = held_back::messages();
        assert_eq!(messages.len(), MAX_HELD_BACK);
        assert!(!messages.contains(&"0".to_owned()));
        assert!(messages.contains(&(MAX_HELD_BACK + 9).to_string()));
        warning("saving\ncaptures");
        assert_eq!(
            held_back::messages().last().map(String::as_str),
            Some("warning: saving captures")
        );
        held_back::release();
        assert!(held_back::messages().is_empty());
    }
}
