//! Policies as TOML.

mod assertion;
mod entry;

use toml::de::DeTable;

use super::policy::{Assertion, Check, Policy, Severity, Unknown};
use super::presets::Preset;
use super::scope::{Network, Scope};
use super::wish;
use crate::pattern::Glob;

pub use entry::PolicyError;

use entry::{Entry, File};

type Result<T> = std::result::Result<T, PolicyError>;

impl Policy {
    /// Reads a policy; `name` is what errors and reports call it.
    ///
    /// # Errors
    ///
    /// When the text is no TOML, or has a key or value that is not known: with
    /// the line, and what was probably meant.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::check::Policy;
    ///
    /// let error = Policy::parse("[[rule]]\nmin-vesion = 'TLS 1.2'", "tlscope.toml").unwrap_err();
    /// assert_eq!(error.to_string(), "unknown key `min-vesion`: tlscope.toml:2");
    /// assert_eq!(error.hint(), Some("did you mean `min-version`?"));
    /// ```
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let line_feeds = entry::line_feeds(text);
        let file = File::new(name, &line_feeds);
        let root = DeTable::parse(text)
            .map_err(|error| file.error(error.message(), error.span().unwrap_or_default()))?;
        let mut policy = Self::empty(name.to_owned());
        let mut defaults = Frame::default();
        let mut rules = Vec::new();
        for entry in file.entries(root.get_ref()) {
            match entry.key {
                "allow-empty" => policy.allows_empty = entry.boolean()?,
                "severity" => defaults.severity = entry.word(SEVERITIES)?,
                "unknown" => defaults.unknown = entry.word(UNKNOWNS)?,
                "rule" => {
                    let tables = entry.tables();
                    rules = tables.ok_or_else(|| entry.takes("tables, as in `[[rule]]`"))?;
                }
                _ => return Err(entry.unknown_key(TOP_KEYS)),
            }
        }
        for (at, entries) in rules {
            let checks = rule(&entries, defaults.clone())?;
            if checks.is_empty() {
                let hint = "say what is to hold, as in `min-version = \"TLS 1.2\"`";
                return Err(file
                    .error("a rule that asks for nothing", at)
                    .with_hint(hint));
            }
            policy.checks.extend(checks);
        }
        Ok(policy)
    }
}

const TOP_KEYS: &[&str] = &["allow-empty", "severity", "unknown", "rule"];
const RULE_KEYS: &[&str] = &["name", "severity", "unknown", "where", "preset"];
const SCOPE_KEYS: &[&str] = &["server-name", "server", "port", "client"];
const SEVERITIES: &[(&str, Severity)] =
    &[("error", Severity::Error), ("warning", Severity::Warning)];
const UNKNOWNS: &[(&str, Unknown)] = &[
    ("ignore", Unknown::Ignore),
    ("warn", Unknown::Warn),
    ("fail", Unknown::Fail),
];

/// What all checks of a rule have in common; at the top of the file, what holds for rules that do not say otherwise.
#[derive(Clone, Default)]
struct Frame {
    name: Option<String>,
    scope: Scope,
    severity: Severity,
    unknown: Unknown,
}

impl Frame {
    fn check(&self, line: usize, assertion: Assertion) -> Check {
        Check {
            rule: self.name.clone(),
            line,
            scope: self.scope.clone(),
            severity: self.severity,
            unknown: self.unknown,
            assertion,
        }
    }
}

/// The checks of one rule: those of its preset that it does not replace, then its own.
fn rule(entries: &[Entry<'_>], mut frame: Frame) -> Result<Vec<Check>> {
    let mut preset = None;
    let mut own = Vec::new();
    for entry in entries {
        match entry.key {
            "name" => {
                let name = entry.string().ok_or_else(|| entry.takes("a string"))?;
                frame.name = Some(name.to_owned());
            }
            "severity" => frame.severity = entry.word(SEVERITIES)?,
            "unknown" => frame.unknown = entry.word(UNKNOWNS)?,
            "where" => frame.scope = scope(entry)?,
            "preset" => preset = Some((entry.word(&Preset::words())?, entry.line())),
            _ => {
                let assertions =
                    assertion::read(entry)?.ok_or_else(|| entry.unknown_key(&known_keys()))?;
                own.push((entry, assertions));
            }
        }
    }
    let mut checks = Vec::new();
    if let Some((preset, line)) = preset {
        let mut named = frame.clone();
        named.name.get_or_insert_with(|| preset.as_str().to_owned());
        let is_replaced = |assertion: &Assertion| {
            let key = wish::key(assertion);
            own.iter().any(|(entry, _)| entry.key == key)
        };
        let kept = preset.assertions()?.into_iter();
        let kept = kept.filter(|assertion| !is_replaced(assertion));
        checks.extend(kept.map(|assertion| named.check(line, assertion)));
    }
    for (entry, assertions) in own {
        for assertion in assertions {
            if assertion.is_of_the_run() && !frame.scope.is_everything() {
                let message = format!("`{}` is about the whole run", entry.key);
                let error = entry.error(message, entry.at.clone());
                return Err(error.with_hint("put it into a rule without `where`"));
            }
            checks.push(frame.check(entry.line(), assertion));
        }
    }
    Ok(checks)
}

/// The assertions of a table that holds nothing else.
pub(super) fn assertions(text: &str, name: &str) -> Result<Vec<Assertion>> {
    let line_feeds = entry::line_feeds(text);
    let file = File::new(name, &line_feeds);
    let root = DeTable::parse(text)
        .map_err(|error| file.error(error.message(), error.span().unwrap_or_default()))?;
    let mut all = Vec::new();
    for entry in file.entries(root.get_ref()) {
        let read = assertion::read(&entry)?;
        all.extend(read.ok_or_else(|| entry.unknown_key(assertion::KEYS))?);
    }
    Ok(all)
}

fn known_keys() -> Vec<&'static str> {
    RULE_KEYS.iter().chain(assertion::KEYS).copied().collect()
}

fn scope(entry: &Entry<'_>) -> Result<Scope> {
    let table = entry.table().ok_or_else(|| {
        entry.takes("a table, as in `{ server-name = \"*.example.org\", port = 443 }`")
    })?;
    let mut scope = Scope::default();
    for entry in table {
        match entry.key {
            "server-name" => {
                let patterns = entry.strings("a pattern as in `*.example.org`")?;
                let globs = patterns.iter().map(|(pattern, _)| Glob::new(pattern));
                scope.server_names = globs.collect();
            }
            "server" => scope.servers = networks(&entry)?,
            "client" => scope.clients = networks(&entry)?,
            "port" => scope.ports = ports(&entry)?,
            _ => return Err(entry.unknown_key(SCOPE_KEYS)),
        }
    }
    Ok(scope)
}

fn networks(entry: &Entry<'_>) -> Result<Vec<Network>> {
    let written = entry.strings("an address or a network as in `192.0.2.0/24`")?;
    let network = |(text, at): (String, _)| {
        text.parse().map_err(|reason| {
            let message = format!("invalid value `{text}` for `{}`: {reason}", entry.key);
            entry.error(message, at)
        })
    };
    written.into_iter().map(network).collect()
}

fn ports(entry: &Entry<'_>) -> Result<Vec<u16>> {
    let values = match entry.value.get_ref().as_array() {
        Some(array) => array.iter().map(|item| item.get_ref()).collect(),
        None => vec![entry.value.get_ref()],
    };
    let ports: Option<Vec<_>> = values
        .into_iter()
        .map(|value| entry::integer(value).and_then(|port| u16::try_from(port).ok()))
        .collect();
    ports
        .filter(|ports| !ports.is_empty())
        .ok_or_else(|| entry.takes("a number from 0 to 65535, or a list of them"))
}

#[cfg(test)]
mod tests;
