//! A policy with the requirements of its presets in their place.

use std::ops::Range;

use toml::de::DeTable;

use super::policy::Policy;
use super::policy_entry::{PolicyEntry, PolicyError, PolicyFile, line_feeds};
use super::presets::Preset;

/// The text of a policy, in which each preset is replaced by the keys that it stands for; those that the rule has itself are
/// left out, since they replace those of the preset. Everything else stays as it is written.
///
/// A preset in an inline table stays, as there is no room for lines.
///
/// # Errors
///
/// When the policy cannot be used; `name` is its name in errors.
///
/// # Example
///
/// ```
/// let policy = "[[rule]]\npreset = \"post-quantum\"\nno-gaps = true\n";
/// let text = tlscope::check::written_out(policy, "tlscope.toml")?;
/// assert!(text.starts_with("[[rule]]\n# preset = \"post-quantum\"\n"));
/// assert!(text.contains("allowed-groups = "));
/// # Ok::<(), tlscope::check::PolicyError>(())
/// ```
pub fn written_out(text: &str, name: &str) -> Result<String, PolicyError> {
    Policy::parse(text, name)?;
    let feeds = line_feeds(text);
    let file = PolicyFile::new(name, text, &feeds);
    let root = DeTable::parse(text)
        .map_err(|error| file.error(error.message(), error.span().unwrap_or_default()))?;
    let entries = file.entries(root.get_ref());
    let rules = entries.iter().find(|entry| entry.key == "rule");
    let rules = rules.and_then(PolicyEntry::tables).unwrap_or_default();
    let mut replacements = Vec::new();
    for (_, rule) in &rules {
        let preset = rule.iter().find(|entry| entry.key == "preset");
        if let Some(entry) = preset.filter(|entry| begins_line(text, entry.at.start)) {
            let preset = entry.word(&Preset::words())?;
            let place = entry.at.start..entry.value.span().end;
            replacements.push((place, keys_of(preset, rule)?));
        }
    }
    Ok(replaced(text, replacements))
}

fn begins_line(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.chars().all(char::is_whitespace)
}

/// The lines that `preset` stands for in `rule`.
fn keys_of(preset: Preset, rule: &[PolicyEntry<'_>]) -> Result<String, PolicyError> {
    let has = |key: &str| rule.iter().any(|entry| entry.key == key);
    let mut lines = vec![format!("# preset = \"{}\"", preset.as_str())];
    if !has("name") {
        lines.push(format!("name = \"{}\"", preset.as_str()));
    }
    let text = preset.text();
    let feeds = line_feeds(text);
    let file = PolicyFile::new(preset.as_str(), text, &feeds);
    let root = DeTable::parse(text)
        .map_err(|error| file.error(error.message(), error.span().unwrap_or_default()))?;
    let entries = file.entries(root.get_ref()).into_iter();
    let own = entries.filter(|entry| !has(entry.key));
    lines.extend(own.map(|entry| format!("{} = {}", entry.key, entry.source())));
    Ok(lines.join("\n"))
}

/// `text` with `replacements` in place of ranges of it.
fn replaced(text: &str, mut replacements: Vec<(Range<usize>, String)>) -> String {
    replacements.sort_by_key(|(place, _)| place.start);
    let mut output = String::with_capacity(text.len());
    let mut done = 0;
    for (place, lines) in replacements {
        output += text.get(done..place.start).unwrap_or_default();
        output += &lines;
        done = place.end;
    }
    output + text.get(done..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(text: &str) -> Vec<String> {
        let policy = Policy::parse(text, "t.toml").unwrap();
        let checks = policy.checks.iter();
        let mut all: Vec<_> = checks
            .map(|check| format!("{} {}", check.key, check.assertion.requirement()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn presets_become_their_keys_and_require_the_same() {
        for preset in Preset::ALL {
            let name = preset.as_str();
            let text = format!(
                "# ours\nunknown = \"ignore\"\n[[rule]]\n  preset = '{name}'  # for now\nmin-version = \"TLS 1.3\"\n\
                 [[rule]]\nname = \"a\"\nno-gaps = true\n[[rule]]\nname = \"b\"\npreset = '{name}'\n"
            );
            let written = written_out(&text, "t.toml").unwrap();
            assert!(
                !written.contains("\npreset") && written.starts_with("# ours\n"),
                "{written}"
            );
            assert_eq!(requirements(&written), requirements(&text), "{written}");
        }
    }

    #[test]
    fn a_policy_without_presets_stays_as_it_is() {
        let text = "# ours\n[[rule]]\nno-gaps = true # all\n";
        assert_eq!(written_out(text, "t.toml").unwrap(), text);
        let inline = "rule = [{ preset = 'post-quantum' }]\n";
        assert_eq!(written_out(inline, "t.toml").unwrap(), inline);
        assert!(written_out("[[rule]]\nmin-vesion = 1", "t.toml").is_err());
    }
}
