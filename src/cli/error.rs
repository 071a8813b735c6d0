//! The error that ends the program: one line on what failed, and a hint on what to try.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind};
use std::path::Path;

use tlscope::escape::printable;

/// An error that ends the program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CliError {
    message: String,
    hint: Option<String>,
}

impl CliError {
    /// `message` is one lower-case clause: what failed, and on what. It is one line, whatever is in a name.
    pub(crate) fn new(message: impl Display) -> Self {
        let message = printable(&message.to_string()).into_owned();
        let hint = None;
        Self { message, hint }
    }

    /// A file that cannot be read or written.
    pub(crate) fn of_file(what: &str, path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            ErrorKind::InvalidData => Self::new(format_args!(
                "cannot {what} `{path}`: it is binary, or its text is not UTF-8"
            )),
            _ => Self::new(format_args!("cannot {what} `{path}`: {error}")),
        }
    }

    /// Adds what to try.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }

    /// Adds what to try, if that is known.
    pub(crate) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
