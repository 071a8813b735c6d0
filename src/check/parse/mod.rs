//! Policies as TOML.

use toml::de::{DeTable, DeValue};

use super::assertion::{self, About, Assertion, Assertions, PolicyKey};
use super::policy::{Check, Policy, RuleSeverity, Unknown};
use super::policy_entry::{
    PolicyEntry, PolicyError, PolicyFile, Result, as_list, integer, line_feeds,
};
use super::presets::Preset;
use super::scope::Scope;
use crate::event::{Protocol, ProxyKind, StartTls};
use crate::pattern::{Glob, IpNetwork};

impl Policy {
    /// Reads a policy; `name` is its name in errors and reports.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, or has an unknown key or value: with
    /// the line, and what was probably meant.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::check::Policy;
    ///
    /// let error = Policy::parse("[[rule]]\nmin-vesion = 'TLS 1.2'", "tlscope.toml").unwrap_err();
    /// assert_eq!(error.to_string(), "tlscope.toml:2: rule 1: unknown key `min-vesion`");
    /// assert_eq!(error.hint(), Some("did you mean `min-version`?"));
    /// ```
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let line_feeds = line_feeds(text);
        let file = PolicyFile::new(name, text, &line_feeds);
        let root = DeTable::parse(text).map_err(|error| file.not_toml(&error))?;
        let mut policy = Self::empty(name.to_owned());
        let mut defaults = RuleSettings::default();
        let mut rules = Vec::new();
        for entry in file.entries(root.get_ref()) {
            match entry.key {
                "allow-empty" => policy.allows_empty = entry.boolean()?,
                "severity" => defaults.severity = entry.word(SEVERITIES)?,
                "unknown" => defaults.unknown = entry.word(UNKNOWNS)?,
                "rule" if entry.table().is_some() => {
                    let message = "`rule` is a list of tables, and this is a single table";
                    let error = entry.error(message.to_owned(), entry.at.clone());
                    return Err(error.with_hint("write `[[rule]]` instead of `[rule]`"));
                }
                "rule" => {
                    let tables = entry.tables();
                    rules = tables.ok_or_else(|| entry.takes("tables, as in `[[rule]]`"))?;
                }
                key => {
                    let error = entry.unknown_key(TOP_KEYS);
                    let is_of_rules = rule_key_names().contains(&key);
                    return Err(match is_of_rules {
                        true => error.with_hint(format!(
                            "`{key}` belongs to a rule: write `[[rule]]` above it"
                        )),
                        false => error,
                    });
                }
            }
        }
        for (index, (at, entries)) in rules.into_iter().enumerate() {
            let in_rule = |error: PolicyError| error.in_rule(label(&entries, index));
            let checks = rule(&entries, defaults.clone()).map_err(in_rule)?;
            if checks.is_empty() || entries.iter().all(cannot_fail) {
                let hint = "add an assertion that can fail, as in `min-version = \"TLS 1.2\"`";
                let error = file.error("this rule has no assertions", at);
                return Err(in_rule(error.with_hint(hint)));
            }
            policy.checks.extend(checks);
        }
        Ok(policy)
    }
}

const TOP_KEYS: &[&str] = &["allow-empty", "severity", "unknown", "rule"];
const SCOPE_KEYS: &[&str] = &[
    "server-name",
    "server",
    "port",
    "client",
    "protocol",
    "tunnel",
    "starttls",
    "proxy",
    "user-name",
    "calling-station-id",
];
const SEVERITIES: &[(&str, RuleSeverity)] = &[
    ("error", RuleSeverity::Error),
    ("warning", RuleSeverity::Warning),
];
const UNKNOWNS: &[(&str, Unknown)] = &[
    ("ignore", Unknown::Ignore),
    ("warn", Unknown::Warn),
    ("fail", Unknown::Fail),
];

/// A key of a rule that requires nothing itself, but says how the others apply.
#[derive(Debug)]
pub(super) struct SettingKey {
    pub(super) name: &'static str,
    /// A value that it takes, in TOML.
    pub(super) example: &'static str,
    /// What it does, in Markdown, for docs/policy.md.
    pub(super) doc: &'static str,
}

/// The settings of a rule, in the order of docs/policy.md.
pub(super) const SETTING_KEYS: &[SettingKey] = &[
    SettingKey {
        name: "name",
        example: r#""our servers""#,
        doc: "the rule's name in reports",
    },
    SettingKey {
        name: "where",
        example: r#"{ server-name = "*.example.org", port = [443, 8443] }"#,
        doc: "the scope: `server-name` (patterns), `server` and `client` (addresses or networks), `port`, `protocol` \
              (`tls`, `dtls`, `quic`, `eap`), `tunnel` (patterns as in `vxlan:*`), `starttls` (`smtp`, `postgresql`, …), \
              `proxy` (`http_connect`, `socks5`, …), and of logins over EAP `user-name` and `calling-station-id` (patterns), \
              each with one value or a list",
    },
    SettingKey {
        name: "severity",
        example: r#""warning""#,
        doc: "whether a violation fails the check (`error`, the default) or is only reported (`warning`). At the top of \
              the file it applies to all rules",
    },
    SettingKey {
        name: "unknown",
        example: r#""ignore""#,
        doc: "what it means if the captures do not show what an assertion asks about. `warn` (the default): a warning if \
              no handshake could be evaluated; `ignore`: handshakes are only counted; `fail`: each such handshake is a \
              violation. At the top of the file it applies to all rules",
    },
    SettingKey {
        name: "preset",
        example: r#""mozilla-intermediate""#,
        doc: "everything that `mozilla-modern`, `mozilla-intermediate` (guidelines 6.0), `nist-sp800-52r2`, `cnsa-2.0` \
              or `post-quantum` requires; the rule's own keys replace those of the preset",
    },
];

/// What all checks of a rule have in common; at the top of the file, the defaults for all rules.
#[derive(Clone, Default)]
struct RuleSettings {
    name: Option<String>,
    scope: Scope,
    written_scope: Option<String>,
    severity: RuleSeverity,
    unknown: Unknown,
    may_be_empty: bool,
}

impl RuleSettings {
    fn check(&self, line: usize, key: &'static str, assertion: Box<dyn Assertion>) -> Check {
        Check {
            rule: self.name.clone(),
            line,
            scope: self.scope.clone(),
            written_scope: self.written_scope.clone(),
            severity: self.severity,
            unknown: self.unknown,
            may_be_empty: self.may_be_empty,
            key,
            assertion,
        }
    }
}

/// The rule in errors: by its name, or by its number in the file.
fn label(entries: &[PolicyEntry<'_>], index: usize) -> String {
    let mut names = entries.iter().filter(|entry| entry.key == "name");
    match names.find_map(PolicyEntry::string) {
        Some(name) => format!("rule `{name}`"),
        None => format!("rule {}", index + 1),
    }
}

/// The checks of one rule: those of its preset that it does not replace, then its own.
fn rule(entries: &[PolicyEntry<'_>], mut settings: RuleSettings) -> Result<Vec<Check>> {
    let mut preset = None;
    let mut own = Vec::new();
    for entry in entries {
        match entry.key {
            "name" => {
                let name = entry.string().ok_or_else(|| entry.takes("a string"))?;
                settings.name = Some(name.to_owned());
            }
            "severity" => settings.severity = entry.word(SEVERITIES)?,
            "unknown" => settings.unknown = entry.word(UNKNOWNS)?,
            "where" => {
                settings.scope = scope(entry)?;
                settings.written_scope = Some(entry.source().to_owned());
            }
            "preset" => {
                let word = entry.word(&Preset::words()).map_err(|error| {
                    match entry.value.get_ref().is_array() {
                        true => error.with_hint("write a `[[rule]]` for each preset"),
                        false => error,
                    }
                });
                preset = Some((word?, entry.line()));
            }
            name => {
                let key = PolicyKey::find(name).ok_or_else(|| unknown_rule_key(entry))?;
                own.push((entry, key.name, (key.read)(entry)?));
                let is_count = matches!(key.name, "min-handshakes" | "max-handshakes");
                settings.may_be_empty |= is_count && integer(entry.value.get_ref()) == Some(0);
            }
        }
    }
    refuse_empty_range(entries)?;
    let mut checks = Vec::new();
    if let Some((preset, line)) = preset {
        let mut named = settings.clone();
        named.name.get_or_insert_with(|| preset.as_str().to_owned());
        for (key, assertions) in preset.assertions()? {
            let is_replaced = own.iter().any(|(_, own_key, _)| *own_key == key);
            if !is_replaced {
                let assertions = assertions.into_iter();
                checks.extend(assertions.map(|assertion| named.check(line, key, assertion)));
            }
        }
    }
    for (entry, key, assertions) in own {
        for assertion in assertions {
            if assertion.about() == About::Run && !settings.scope.is_everything() {
                let message = format!("`{key}` is about the whole run");
                let error = entry.error(message, entry.at.clone());
                return Err(error.with_hint("put it into a rule without `where`"));
            }
            checks.push(settings.check(entry.line(), key, assertion));
        }
    }
    Ok(checks)
}

/// No number of handshakes is enough for a rule that requires more than it allows.
fn refuse_empty_range(entries: &[PolicyEntry<'_>]) -> Result<()> {
    let limit = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some((entry, integer(entry.value.get_ref())?))
    };
    match (limit("min-handshakes"), limit("max-handshakes")) {
        (Some((entry, least)), Some((_, most))) if least > most => {
            let message = format!("`min-handshakes` ({least}) is above `max-handshakes` ({most})");
            Err(entry.error(message, entry.at.clone()))
        }
        _ => Ok(()),
    }
}

/// The error for a key that no rule has: it may belong elsewhere.
fn unknown_rule_key(entry: &PolicyEntry<'_>) -> PolicyError {
    let error = entry.unknown_key(&rule_key_names());
    match entry.key {
        "allow-empty" => error.with_hint(
            "for a rule that may match no handshake, write `min-handshakes = 0`; `allow-empty` belongs at the top of the file",
        ),
        key if SCOPE_KEYS.contains(&key) => {
            let value = entry.source();
            error.with_hint(format!("it is part of the scope: `where = {{ {key} = {value} }}`"))
        }
        _ => error,
    }
}

/// Whether a key of a rule requires nothing: a setting, or an assertion that holds for every handshake.
fn cannot_fail(entry: &PolicyEntry<'_>) -> bool {
    let value = entry.value.get_ref();
    let is_zero = integer(value) == Some(0);
    let all = |text: &str| text.replace(' ', "") == "100%";
    match entry.key {
        "preset" => false,
        "min-handshakes" | "min-rsa-bits" => is_zero,
        "max-failures" | "max-unknown" => entry.string().is_some_and(all),
        "max-latency" => matches!(value, DeValue::Array(list) if list.is_empty()),
        "max-failures-of" => matches!(value, DeValue::Table(table) if table.is_empty()),
        _ if matches!(value, DeValue::Boolean(false)) => true,
        key => SETTING_KEYS.iter().any(|setting| setting.name == key),
    }
}

/// The keys of a table that has nothing but assertions, and what each requires.
pub(super) fn assertions(text: &str, name: &str) -> Result<Vec<(&'static str, Assertions)>> {
    let line_feeds = line_feeds(text);
    let file = PolicyFile::new(name, text, &line_feeds);
    let root = DeTable::parse(text).map_err(|error| file.not_toml(&error))?;
    let entries = file.entries(root.get_ref()).into_iter();
    let read = |entry: PolicyEntry<'_>| {
        let key = PolicyKey::find(entry.key).ok_or_else(|| entry.unknown_key(&key_names()))?;
        Ok((key.name, (key.read)(&entry)?))
    };
    entries.map(read).collect()
}

fn key_names() -> Vec<&'static str> {
    assertion::keys().map(|key| key.name).collect()
}

fn rule_key_names() -> Vec<&'static str> {
    let settings = SETTING_KEYS.iter().map(|key| key.name);
    settings.chain(key_names()).collect()
}

fn scope(entry: &PolicyEntry<'_>) -> Result<Scope> {
    let table = entry.table().ok_or_else(|| {
        entry.takes("a table, as in `{ server-name = \"*.example.org\", port = 443 }`")
    })?;
    let mut scope = Scope::default();
    for entry in table {
        match entry.key {
            "server-name" => {
                let patterns = entry.texts("a pattern as in `*.example.org`")?;
                // No name has a comma: the rule would cover nothing.
                if let Some(list) = patterns.iter().find_map(|pattern| as_list(pattern)) {
                    let error =
                        entry.takes("a name or a list of them, and this is a list in one string");
                    return Err(error.with_hint(format!("write `server-name = {list}`")));
                }
                scope.server_names = patterns.iter().map(|pattern| Glob::new(pattern)).collect();
            }
            "server" => scope.servers = networks(&entry)?,
            "client" => scope.clients = networks(&entry)?,
            "port" => scope.ports = ports(&entry)?,
            "tunnel" => {
                let patterns = entry.texts("a pattern as in `vxlan:*`")?;
                scope.tunnels = patterns.iter().map(|pattern| Glob::new(pattern)).collect();
            }
            "protocol" => scope.protocols = words(&entry, Protocol::ALL, Protocol::as_str)?,
            "starttls" => scope.starttls = words(&entry, StartTls::ALL, StartTls::as_str)?,
            "proxy" => scope.proxies = words(&entry, ProxyKind::ALL, ProxyKind::as_str)?,
            "user-name" => {
                let patterns = entry.texts("a pattern as in `*@example.org`")?;
                scope.user_names = patterns.iter().map(|pattern| Glob::new(pattern)).collect();
            }
            "calling-station-id" => {
                let patterns = entry.texts("a pattern as in `02:00:5e:*`")?;
                let patterns = patterns.iter().map(|pattern| Glob::new(pattern));
                scope.calling_station_ids = patterns.collect();
            }
            _ => return Err(entry.unknown_key(SCOPE_KEYS)),
        }
    }
    Ok(scope)
}

fn networks(entry: &PolicyEntry<'_>) -> Result<Vec<IpNetwork>> {
    let written = entry.strings("an address or a network as in `192.0.2.0/24`")?;
    let network = |(text, at): (String, _)| {
        text.parse().map_err(|reason| {
            let message = format!("invalid value `{text}` for `{}`: {reason}", entry.key);
            let error = entry.error(message, at);
            let is_name = !text.contains([':', '/']) && text.contains(char::is_alphabetic);
            match (as_list(&text), entry.key) {
                (Some(list), key) => error.with_hint(format!("write a list: `{key} = {list}`")),
                (None, "server") if is_name => {
                    error.with_hint(format!("for a name, write `server-name = \"{text}\"`"))
                }
                (None, _) => error,
            }
        })
    };
    written.into_iter().map(network).collect()
}

/// One of `all`, each with its text, or a list of them.
fn words<T: Copy>(
    entry: &PolicyEntry<'_>,
    all: &[T],
    text: fn(T) -> &'static str,
) -> Result<Vec<T>> {
    let known: Vec<_> = all.iter().map(|value| (text(*value), *value)).collect();
    let written = entry.strings("a name")?.into_iter();
    let word = |(name, at): (String, _)| entry.word_of(&name, at, &known);
    written.map(word).collect()
}

fn ports(entry: &PolicyEntry<'_>) -> Result<Vec<u16>> {
    let values = match entry.value.get_ref().as_array() {
        Some(array) => array.iter().map(|item| item.get_ref()).collect(),
        None => vec![entry.value.get_ref()],
    };
    let ports: Option<Vec<_>> = values
        .into_iter()
        .map(|value| integer(value).and_then(|port| u16::try_from(port).ok()))
        .collect();
    ports
        .filter(|ports| !ports.is_empty())
        .ok_or_else(|| entry.takes_unquoted("a number from 0 to 65535, or a list of them"))
}

#[cfg(test)]
mod tests;
