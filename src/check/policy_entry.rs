//! Values of a policy file, each with its position.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::pattern::{distance, nearest};

/// Why a policy cannot be used: where, and what is wrong.
///
/// Prints the file, the line and the rule, then one lower-case clause, as in
/// ``tlscope.toml:3: rule `our servers`: unknown key `min-vesion` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    place: String,
    /// As in ``rule `our servers` `` or `rule 2`; `None` outside of rules.
    rule: Option<String>,
    message: String,
    hint: Option<String>,
}

impl PolicyError {
    /// What to try, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }

    pub(super) fn in_rule(self, rule: String) -> Self {
        let rule = Some(rule);
        Self { rule, ..self }
    }

    pub(super) fn suggesting(self, meant: Option<&str>) -> Self {
        match meant {
            Some(meant) => self.with_hint(format!("did you mean `{meant}`?")),
            None => self,
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(rule) = &self.rule {
            write!(f, "{rule}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}

pub(super) type Result<T> = std::result::Result<T, PolicyError>;

/// A policy file: turns positions into lines.
#[derive(Clone, Copy)]
pub(super) struct PolicyFile<'a> {
    name: &'a str,
    text: &'a str,
    /// The position of each line feed.
    line_feeds: &'a [usize],
}

/// The positions of the line feeds in `text`.
pub(super) fn line_feeds(text: &str) -> Vec<usize> {
    text.match_indices('\n').map(|(at, _)| at).collect()
}

impl<'a> PolicyFile<'a> {
    pub(super) const fn new(name: &'a str, text: &'a str, line_feeds: &'a [usize]) -> Self {
        Self {
            name,
            text,
            line_feeds,
        }
    }

    /// The line of a position, counted from 1.
    pub(super) fn line(self, at: usize) -> usize {
        self.line_feeds.partition_point(|feed| *feed < at) + 1
    }

    pub(super) fn error(self, message: impl Into<String>, at: Range<usize>) -> PolicyError {
        PolicyError {
            place: format!("{}:{}", self.name, self.line(at.start)),
            rule: None,
            message: message.into(),
            hint: None,
        }
    }

    /// The error for a text that is not TOML.
    pub(super) fn not_toml(self, error: &toml::de::Error) -> PolicyError {
        let (message, at) = not_toml(self.text, error);
        self.error(message, at)
    }

    /// The entries of a table, in the order of the file.
    pub(super) fn entries(self, table: &'a DeTable<'a>) -> Vec<PolicyEntry<'a>> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| {
            let text: &std::borrow::Cow<'a, str> = key.get_ref();
            PolicyEntry {
                file: self,
                key: text.as_ref(),
                at: key.span(),
                value,
            }
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.at.start);
        entries
    }
}

/// Why `text` is not TOML, in one clause, and where.
#[must_use]
pub fn not_toml(text: &str, error: &toml::de::Error) -> (String, Range<usize>) {
    let at = error.span().unwrap_or_default();
    let message = match error.message() {
        "duplicate key" => {
            let key = text.get(at.clone()).unwrap_or_default();
            format!("`{key}` is set more than once")
        }
        // With the kind of string that its parser tried last.
        message if message.starts_with("string values must be quoted") => {
            "string values must be quoted".to_owned()
        }
        message => message.to_owned(),
    };
    (message, at)
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct PolicyEntry<'a> {
    file: PolicyFile<'a>,
    pub(super) key: &'a str,
    pub(super) at: Range<usize>,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> PolicyEntry<'a> {
    pub(super) fn line(&self) -> usize {
        self.file.line(self.at.start)
    }

    /// The value as the user wrote it.
    pub(super) fn source(&self) -> &'a str {
        self.file.text.get(self.value.span()).unwrap_or_default()
    }

    /// The error for a key that is none of those `known` here.
    pub(super) fn unknown_key(&self, known: &[&str]) -> PolicyError {
        let message = format!("unknown key `{}`", self.key);
        let error = self.file.error(message, self.at.clone());
        match nearest(self.key, known) {
            Some(meant) => error.suggesting(Some(meant)),
            None => error.with_hint(format!("one of `{}`", known.join("`, `"))),
        }
    }

    /// The error for a value that the key does not take.
    pub(super) fn takes(&self, what: &str) -> PolicyError {
        self.invalid(format!("`{}` takes {what}", self.key))
    }

    /// The same, with what to write if the value only lacks quotes.
    pub(super) fn takes_quoted(&self, what: &str, quoted: &str) -> PolicyError {
        self.takes(what)
            .with_hint(format!("write `{} = \"{quoted}\"`", self.key))
    }

    /// The error for a key that takes a number, or `true` or `false`; the value may have quotes by mistake.
    pub(super) fn takes_unquoted(&self, what: &str) -> PolicyError {
        let error = self.takes(what);
        let bare = self.string().map(str::trim).filter(|text| {
            let is_number = text.starts_with(|c: char| c.is_ascii_digit());
            is_number && text.parse::<f64>().is_ok() || ["true", "false"].contains(text)
        });
        match bare {
            Some(bare) => error.with_hint(format!("write `{} = {bare}`, without quotes", self.key)),
            None => error,
        }
    }

    /// Whether the value is a number or a truth: a word that lacks quotes, perhaps.
    pub(super) fn is_bare(&self) -> bool {
        matches!(
            self.value.get_ref(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)
        )
    }

    fn invalid(&self, message: String) -> PolicyError {
        self.file.error(message, self.value.span())
    }

    pub(super) fn table(&self) -> Option<Vec<Self>> {
        let table = self.value.get_ref().as_table()?;
        Some(self.file.entries(table))
    }

    /// The tables of a list, or the one table, each with its position.
    pub(super) fn tables(&self) -> Option<Vec<(Range<usize>, Vec<Self>)>> {
        match self.value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .map(|item| {
                    let table = item.get_ref().as_table()?;
                    Some((item.span(), self.file.entries(table)))
                })
                .collect(),
            _ => Some(vec![(self.value.span(), self.table()?)]),
        }
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// One string or a list of them, at least one, each with its position.
    pub(super) fn strings(&self, what: &str) -> Result<Vec<(String, Range<usize>)>> {
        let items: Option<Vec<_>> = match self.value.get_ref() {
            DeValue::String(text) => Some(vec![(text.to_string(), self.value.span())]),
            DeValue::Array(array) => array
                .iter()
                .map(|item| Some((item.get_ref().as_str()?.to_owned(), item.span())))
                .collect(),
            _ => None,
        };
        items.filter(|items| !items.is_empty()).ok_or_else(|| {
            let what = format!("{what}, or a list of them");
            match self.is_bare() {
                true => self.takes_quoted(&what, self.source()),
                false => self.takes(&what),
            }
        })
    }

    /// One string or a list of them, at least one.
    pub(super) fn texts(&self, what: &str) -> Result<Vec<String>> {
        let texts = self.strings(what)?.into_iter();
        Ok(texts.map(|(text, _)| text).collect())
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(truth) => Ok(*truth),
            _ => Err(self.takes_unquoted("`true` or `false`")),
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&self, what: &str) -> Result<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        number
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| self.takes_unquoted(what))
    }

    /// A whole number from 0 to `most`.
    pub(super) fn whole(&self, most: u64, what: &str) -> Result<u64> {
        integer(self.value.get_ref())
            .filter(|number| *number <= most)
            .ok_or_else(|| self.takes_unquoted(what))
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.string().ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("one of `{}`", known.join("`, `"));
            match self.value.get_ref() {
                DeValue::Array(_) => self.takes(&format!("{what}, and this is a list")),
                _ => self.takes(&what),
            }
        })?;
        self.word_of(text, self.value.span(), words)
    }

    /// `text`, at position `at` in this value, as one of `words`.
    pub(super) fn word_of<T: Copy>(
        &self,
        text: &str,
        at: Range<usize>,
        words: &[(&str, T)],
    ) -> Result<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("invalid value `{text}` for `{}`", self.key);
        let one_of = format!("one of `{}`", known.join("`, `"));
        let hint = match (as_list(text), guess(text, &known)) {
            (Some(list), _) => format!("write a list: `{} = {list}`", self.key),
            (None, Some(meant)) => format!("did you mean `{meant}`? {one_of}"),
            (None, None) => one_of,
        };
        Err(self.file.error(message, at).with_hint(hint))
    }

    pub(super) fn error(&self, message: String, at: Range<usize>) -> PolicyError {
        self.file.error(message, at)
    }
}

/// A text with commas as a list in TOML; `None` if it has none.
pub(super) fn as_list(text: &str) -> Option<String> {
    let items = text.split(',').map(str::trim);
    let items: Vec<_> = items.filter(|item| !item.is_empty()).collect();
    (items.len() > 1).then(|| format!("[\"{}\"]", items.join("\", \"")))
}

/// The word that was probably meant: one with few letters changed, otherwise one that shares most words with `text`.
fn guess<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    let words = |text: &str| -> Vec<String> {
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        words
            .map(|word| word.to_ascii_lowercase().replace("certificate", "cert"))
            .collect()
    };
    let written = words(text);
    let shared = |known: &&'k str| {
        let known = words(known);
        let shared = known.iter().filter(|word| written.contains(word)).count();
        // Of two with the same words in common, the shorter one is nearer.
        (shared, std::cmp::Reverse(known.len()))
    };
    let by_words = || {
        let best = known.iter().max_by_key(|known| shared(known)).copied();
        best.filter(|best| shared(best).0 > 0)
    };
    let closest = known.iter().map(|known| distance(text, known)).min();
    let is_closest = |known: &&&str| Some(distance(text, known)) == closest;
    let is_ambiguous = known.iter().filter(is_closest).count() > 1; // `TLS 1.4` is as close to each version
    match nearest(text, known) {
        Some(meant) if is_ambiguous && !meant.contains(text) => None,
        Some(meant) => Some(meant),
        None => by_words(),
    }
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<u64> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}
