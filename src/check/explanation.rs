//! What an assertion, a preset or a rule checks, in words.

use std::fmt::Write;

use super::assertion::{About, PolicyKey, keys};
use super::parse::SETTING_KEYS;
use super::policy::{Check, Policy, RuleSeverity, Unknown};
use super::presets::Preset;

/// What `name` checks: a key of a rule as in `min-version`, a preset, or a rule of `policy`.
///
/// Identifiers of reports, as in `tlscope.min-version` (JUnit) and `min-version/12` (SARIF), are understood too.
/// `None` if there is nothing of that name.
///
/// # Example
///
/// ```
/// let text = tlscope::check::explanation("min-version", None).unwrap();
/// assert!(text.contains("min-version = \"TLS 1.2\""));
/// ```
#[must_use]
pub fn explanation(name: &str, policy: Option<&Policy>) -> Option<String> {
    if let Some(rule) = policy.and_then(|policy| of_rule(name, policy)) {
        return Some(rule);
    }
    let name = name.strip_prefix("tlscope.").unwrap_or(name);
    let name = name.split('/').next().unwrap_or(name);
    if let Some(key) = PolicyKey::find(name) {
        return Some(of_key(key));
    }
    if let Some(key) = SETTING_KEYS.iter().find(|key| key.name == name) {
        let example = example(key.name, key.example);
        return Some(format!(
            "`{}`: {}\n\nFor example:\n{example}",
            key.name,
            sentence(key.doc)
        ));
    }
    let preset = Preset::ALL.iter().find(|preset| preset.as_str() == name)?;
    Some(of_preset(*preset))
}

/// What each rule of `policy` requires, in the order of the file.
#[must_use]
pub fn policy_explanation(policy: &Policy) -> String {
    // The assertions of a rule follow each other; rules without a name that have the same scope read as one.
    let same_rule = |a: &Check, b: &Check| a.rule == b.rule && a.written_scope == b.written_scope;
    let rules = policy.checks.chunk_by(same_rule).map(|checks| {
        let title = match checks.first().and_then(|check| check.rule.as_deref()) {
            Some(name) => format!("The rule `{name}` of {}", policy.name),
            None => format!("A rule of {} without a name", policy.name),
        };
        of_checks(&title, &checks.iter().collect::<Vec<_>>())
    });
    rules.collect::<Vec<_>>().join("\n")
}

/// Everything that [`explanation`] has a text for, besides the rules of a policy.
#[must_use]
pub fn explainable() -> Vec<&'static str> {
    let settings = SETTING_KEYS.iter().map(|key| key.name);
    let presets = Preset::ALL.iter().map(|preset| preset.as_str());
    keys()
        .map(|key| key.name)
        .chain(settings)
        .chain(presets)
        .collect()
}

fn of_key(key: &PolicyKey) -> String {
    let mut text = format!("`{}`: {}\n", key.name, sentence(key.doc));
    let rule = format!("[[rule]]\n{} = {}", key.name, key.example);
    // The tests read every example.
    let checks =
        Policy::parse(&rule, "example").map_or_else(|_| Vec::new(), |policy| policy.checks);
    let about = checks.first().map(|check| check.assertion.about());
    text += match about {
        Some(About::Run) => "\nIt is about the whole run, so its rule has no `where`.\n",
        _ => {
            "\nIt applies to the handshakes in the rule's scope (`where`), or to all. A rule that matches no handshake \
             fails, unless it says `min-handshakes = 0`.\n"
        }
    };
    if about == Some(About::Handshakes) {
        text += "\nA handshake that does not show what this asks about is not evaluated. The report counts it, and \
                 `unknown` says what follows from it.\n";
    }
    let _ = write!(text, "\nFor example:\n{}", example(key.name, key.example));
    if !checks.is_empty() {
        text += "\nwhich requires:\n";
    }
    for check in checks {
        let _ = writeln!(text, "    {}", check.assertion.requirement());
    }
    text
}

fn of_preset(preset: Preset) -> String {
    let mut text = format!(
        "The preset `{}` stands for these keys:\n\n",
        preset.as_str()
    );
    for line in preset.text().lines() {
        let _ = writeln!(text, "    {line}");
    }
    let example = example("preset", &format!("\"{}\"", preset.as_str()));
    let _ = write!(text, "\nFor example:\n{example}");
    text
}

fn of_rule(name: &str, policy: &Policy) -> Option<String> {
    let checks = policy
        .checks
        .iter()
        .filter(|check| check.rule.as_deref() == Some(name));
    let checks: Vec<&Check> = checks.collect();
    let title = format!("The rule `{name}` of {}", policy.name);
    (!checks.is_empty()).then(|| of_checks(&title, &checks))
}

fn of_checks(title: &str, checks: &[&Check]) -> String {
    let Some(first) = checks.first() else {
        return String::new();
    };
    let scope = match &first.written_scope {
        Some(scope) => format!("handshakes that match `{scope}`"),
        None => "all handshakes".to_owned(),
    };
    let mut text = format!("{title} requires of {scope}:\n");
    for check in checks {
        let (requirement, key, line) = (check.assertion.requirement(), check.key, check.line);
        let place = match line {
            0 => String::new(),
            line => format!(", line {line}"),
        };
        let _ = writeln!(text, "  - {requirement} (`{key}`{place})");
    }
    text += match first.severity {
        RuleSeverity::Error => "A violation fails the check.\n",
        RuleSeverity::Warning => "A violation is a warning, and the check passes.\n",
    };
    text += match first.unknown {
        Unknown::Ignore => "Handshakes that cannot be evaluated are counted.\n",
        Unknown::Warn => "If no handshake can be evaluated, that is a warning.\n",
        Unknown::Fail => "A handshake that cannot be evaluated is a violation.\n",
    };
    text += match first.may_be_empty {
        true => "It may match no handshake.\n",
        false => "It fails if it matches no handshake.\n",
    };
    text
}

fn example(key: &str, value: &str) -> String {
    format!("    [[rule]]\n    {key} = {value}\n")
}

fn sentence(clause: &str) -> String {
    format!("{clause}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_explanation_with_an_example() {
        for name in explainable() {
            let text = explanation(name, None).unwrap();
            assert!(text.contains("[[rule]]"), "{text}");
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(explanation("min-vesion", None), None);
    }

    #[test]
    fn identifiers_of_reports_are_understood() {
        let expected = explanation("min-version", None);
        assert_eq!(explanation("tlscope.min-version", None), expected);
        assert_eq!(explanation("min-version/12", None), expected);
    }

    #[test]
    fn a_rule_is_explained_with_its_scope_and_all_its_assertions() {
        let text = "[[rule]]\nname = 'ours'\nwhere = { port = 443 }\nmin-version = 'TLS 1.2'\nno-gaps = true";
        let policy = Policy::parse(text, "tlscope.toml").unwrap();
        let expected = "The rule `ours` of tlscope.toml requires of handshakes that match `{ port = 443 }`:\n  \
                        - TLS 1.2 or later (`min-version`, line 4)\n  \
                        - captures without gaps, of both directions (`no-gaps`, line 5)\n\
                        A violation fails the check.\n\
                        If no handshake can be evaluated, that is a warning.\n\
                        It fails if it matches no handshake.\n";
        assert_eq!(
            explanation("ours", Some(&policy)).as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn a_policy_is_explained_rule_by_rule() {
        let text = "[[rule]]\nname = 'ours'\nmin-version = 'TLS 1.2'\nno-gaps = true\n[[rule]]\nmax-failures = 0";
        let policy = Policy::parse(text, "tlscope.toml").unwrap();
        let explained = policy_explanation(&policy);
        let titles: Vec<_> = explained
            .lines()
            .filter(|line| line.contains("requires of"))
            .collect();
        assert_eq!(
            titles,
            [
                "The rule `ours` of tlscope.toml requires of all handshakes:",
                "A rule of tlscope.toml without a name requires of all handshakes:",
            ]
        );
        assert_eq!(explained.matches("\n  - ").count(), 3, "{explained}");
    }
}
