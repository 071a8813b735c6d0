//! Findings that the user already knows, so that a check fails on new ones alone.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::policy::Check;
use crate::event::{Handshake, NotTls};

/// Findings in a file of them: more than anyone reviews.
pub const MAX_KNOWN_FINDINGS: usize = 100_000;

/// A violation, as far as it is the same from run to run: no times, ports or packet numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finding {
    /// The name of the rule; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The rule's scope as written; absent if it covers every handshake.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The key of the assertion, as in `min-version`.
    assertion: String,
    /// The server's name, or its address and port; absent if the finding is about the run as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// What was seen, with `#` for amounts that differ from run to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &Check, event: &Handshake, why: &str) -> Self {
        let server = event.tls.server_name.as_ref();
        Self {
            server: Some(server.map_or_else(|| event.server.to_string(), ToString::to_string)),
            client: Some(event.client.address.to_string()),
            found: Some(without_amounts(why)),
            ..Self::of_run(check)
        }
    }

    /// The same of a connection that did not become TLS.
    pub(super) fn of_not_tls(check: &Check, event: &NotTls, why: &str) -> Self {
        Self {
            server: Some(event.server.to_string()),
            client: Some(event.client.address.to_string()),
            found: Some(without_amounts(why)),
            ..Self::of_run(check)
        }
    }

    /// A violation that no single handshake causes.
    pub(super) fn of_run(check: &Check) -> Self {
        Self {
            rule: check.rule.clone(),
            scope: check.written_scope.clone(),
            assertion: check.key.to_owned(),
            server: None,
            client: None,
            found: None,
        }
    }
}

/// Units of amounts that differ from run to run.
const UNITS: &[&str] = &["days", "bytes", "ms", "s"];

/// `text` with `#` for each number that has one of the [`UNITS`].
pub(super) fn without_amounts(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_amount = |index: usize| {
        let number = words.get(index).is_some_and(|word| {
            word.parse::<f64>().is_ok() && word.starts_with(|c: char| c.is_ascii_digit())
        });
        let unit = words
            .get(index + 1)
            .map(|word| word.trim_end_matches([',', ';', ')']));
        number && unit.is_some_and(|unit| UNITS.contains(&unit))
    };
    let word = |(index, word): (usize, &&str)| match is_amount(index) {
        true => "#".to_owned(),
        false => (*word).to_owned(),
    };
    let words: Vec<_> = words.iter().enumerate().map(word).collect();
    words.join(" ")
}

/// The findings that do not fail a check, as a file with one JSON object on each line.
///
/// ```json
/// {"rule":"no old versions","assertion":"min-version","server":"db.example.org","client":"192.0.2.7","found":"TLS 1.1 was selected"}
/// ```
#[derive(Clone, Debug, Default)]
pub struct KnownFindings {
    mode: Mode,
    known: BTreeSet<Finding>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Every violation counts.
    #[default]
    Unused,
    /// Only violations that are not known count.
    Compared,
    /// Every violation becomes known.
    Recorded,
}

/// Why known findings cannot be read: the line, counted from 1, that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFindingsError(usize);

impl fmt::Display for KnownFindingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not a finding", self.0)
    }
}

impl std::error::Error for KnownFindingsError {}

impl KnownFindings {
    /// Reads what [`Self::lines`] writes.
    ///
    /// # Errors
    ///
    /// When a line is not a finding, or there are more than [`MAX_KNOWN_FINDINGS`].
    pub fn parse(text: &str) -> Result<Self, KnownFindingsError> {
        let mut known = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let error = KnownFindingsError(index + 1);
            let finding = serde_json::from_str(line).map_err(|_| error)?;
            if known.len() == MAX_KNOWN_FINDINGS {
                return Err(error);
            }
            known.insert(finding);
        }
        let mode = Mode::Compared;
        Ok(Self { mode, known })
    }

    /// No findings yet: those of the run become known.
    #[must_use]
    pub const fn recording() -> Self {
        Self {
            mode: Mode::Recorded,
            known: BTreeSet::new(),
        }
    }

    /// The findings as JSON, one on each line, sorted.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let json = |finding| serde_json::to_string(finding).unwrap_or_default(); // strings are always valid JSON
        self.known.iter().map(json).collect()
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.mode != Mode::Unused
    }

    /// Whether `finding` is known; while recording, it becomes so.
    pub(super) fn contains(&mut self, finding: Finding) -> bool {
        let has_room = self.known.len() < MAX_KNOWN_FINDINGS;
        if self.mode == Mode::Recorded && has_room {
            self.known.insert(finding);
            return true;
        }
        self.known.contains(&finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_a_unit_are_left_out_and_versions_are_not() {
        let cases = [
            ("TLS 1.1 was selected", "TLS 1.1 was selected"),
            ("`a` expired 1.5 days before", "`a` expired # days before"),
            ("lacks 12 bytes, 0 of them", "lacks # bytes, 0 of them"),
            ("alert 48", "alert 48"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_amounts(text), expected);
        }
    }

    #[test]
    fn a_file_with_anything_else_is_refused_with_its_line() {
        let line = r#"{"assertion":"no-gaps"}"#;
        assert!(KnownFindings::parse(line).is_ok());
        for wrong in [
            "[]",
            "{",
            r#"{"assertion":"a","extra":1}"#,
            r#"{"type":"handshake"}"#,
        ] {
            let error = KnownFindings::parse(&format!("{line}\n\n{wrong}")).unwrap_err();
            assert_eq!(error.to_string(), "line 3 is not a finding");
        }
    }
}
