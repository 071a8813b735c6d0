//! What a text looks like that was given for another: mistakes with file names are common.

use std::fmt;

/// A kind of text that is neither a policy nor settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    Json,
    Pem,
    KeyLog,
    Yaml,
}

/// Whether a text, without whitespace before it, is of a kind.
type Recogniser = fn(&str) -> bool;

impl TextKind {
    /// The kind of `text`, which is not TOML or was refused; `None` if it looks like none of them.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let kinds: [(Self, Recogniser); 4] = [
            (Self::Json, is_json),
            (Self::Pem, is_pem),
            (Self::KeyLog, is_key_log),
            (Self::Yaml, is_yaml),
        ];
        let kind = kinds.iter().find(|(_, is_one)| is_one(text));
        kind.map(|(kind, _)| *kind)
    }
}

impl fmt::Display for TextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Pem => "PEM",
            Self::KeyLog => "a key log",
            Self::Yaml => "YAML",
        })
    }
}

/// An object, or a list of them. Tables of TOML begin with `[[` or a name.
fn is_json(text: &str) -> bool {
    let inside = text.strip_prefix('[').unwrap_or(text);
    inside.trim_start().starts_with('{')
}

fn is_pem(text: &str) -> bool {
    text.starts_with("-----BEGIN ")
}

fn is_key_log(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.starts_with("CLIENT_") || line.starts_with("SERVER_"))
}

/// The first line that is no comment begins a document, or is a key or an item of one.
fn is_yaml(text: &str) -> bool {
    let mut lines = text.lines();
    let first = lines.find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    first.is_some_and(|line| match line.trim_start_matches("- ").split_once(':') {
        Some((key, _)) => !key.is_empty() && key.chars().all(is_key),
        None => line == "---",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_recognised_and_toml_is_not() {
        for (text, kind) in [
            ("{\"read\": {}}", TextKind::Json),
            ("\n[ {} ]", TextKind::Json),
            ("-----BEGIN CERTIFICATE-----\n", TextKind::Pem),
            ("# keys\nCLIENT_RANDOM 00 00\n", TextKind::KeyLog),
            ("# comment\nread:\n  format: json\n", TextKind::Yaml),
            ("---\n", TextKind::Yaml),
            ("- name: x\n", TextKind::Yaml),
        ] {
            assert_eq!(TextKind::of(text), Some(kind), "{text}");
        }
        for toml in ["", "[read]\n", "[[rule]]\n", "format = \"a:b\"\n"] {
            assert_eq!(TextKind::of(toml), None, "{toml}");
        }
    }
}
