//! Messages for the user, on standard error.
//!
//! While a live run shows its screen, messages are held back so that they do not tear it.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use owo_colors::OwoColorize;
use tlscope::capture::{Problem, Severity};

/// Messages held back; `None` while messages are written at once.
static HELD_BACK: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// Messages held back at most; the oldest are dropped. A screen has no room for more.
const MAX_HELD_BACK: usize = 100;

/// Writes a message without a label.
///
/// Standard error may be closed, and there is nowhere else to report that: errors are ignored.
pub(crate) fn line(message: impl Display) {
    if let Some(messages) = &mut *lock() {
        if messages.len() >= MAX_HELD_BACK {
            messages.pop_front();
        }
        messages.push_back(message.to_string());
        return;
    }
    // The lock is free by now: a terminal that is stopped (Ctrl-S) blocks this thread only.
    let _ = writeln!(anstream::stderr().lock(), "{message}");
}

/// Writes an error.
pub(crate) fn error(error: impl Display) {
    line(format_args!("{}: {error}", "error".red().bold()));
}

/// Writes what to try next.
pub(crate) fn hint(hint: impl Display) {
    line(format_args!("{}: {hint}", "hint".bold()));
}

/// Writes a warning.
pub(crate) fn warning(warning: impl Display) {
    line(format_args!("{}: {warning}", "warning".yellow().bold()));
}

/// Writes what is wrong with the input, as a warning or an error.
pub(crate) fn problem(problem: &Problem) {
    match problem.severity {
        Severity::Warning => warning(&problem.text),
        Severity::Error => error(&problem.text),
    }
}

/// Holding messages back while the screen is shown.
#[cfg(live_capture)]
pub(crate) mod held_back {
    use super::{VecDeque, line, lock};

    /// Holds messages back from now on.
    pub(crate) fn start() {
        lock().get_or_insert_with(VecDeque::new);
    }

    /// The messages held back so far, the oldest first.
    pub(crate) fn messages() -> Vec<String> {
        lock().iter().flatten().cloned().collect()
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

#[cfg(all(test, live_capture))]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_are_held_back_until_they_are_released() {
        held_back::start();
        (0..MAX_HELD_BACK + 10).for_each(line);
        let messages = held_back::messages();
        assert_eq!(messages.len(), MAX_HELD_BACK);
        assert!(!messages.contains(&"0".to_owned()));
        assert!(messages.contains(&(MAX_HELD_BACK + 9).to_string()));
        held_back::release();
        assert!(held_back::messages().is_empty());
    }
}
