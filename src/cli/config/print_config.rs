//! The settings of a run as a configuration file (`--print-config`).

use std::fmt::Write;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::config_file::settable;

/// What a configuration file would say for the run that `matches` asks for; each line tells where it is from.
///
/// Flags without a value are left out. Reading the file gives the same settings.
pub(crate) fn as_file(root: &Command, matches: &ArgMatches) -> String {
    let mut text = lines(root, matches);
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = root.find_subcommand(name)
    {
        let _ = write!(text, "\n[{name}]\n{}", lines(command, matches)); // cannot fail
    }
    text
}

/// Whether the user set a flag of the command: typed it, or in the environment, or in the configuration file.
pub(crate) fn is_chosen(matches: &ArgMatches, flag: &str) -> bool {
    let Some((_, of_command)) = matches.subcommand() else {
        return false;
    };
    let is_default = of_command.value_source(flag) == Some(ValueSource::DefaultValue);
    // The file's values are the defaults by now: they may have been set there.
    !is_default || matches.contains_id("config")
}

fn lines(command: &Command, matches: &ArgMatches) -> String {
    let mut text = String::new();
    for argument in settable(command) {
        let id = argument.get_id().as_str();
        let (Some(long), Ok(Some(values))) = (argument.get_long(), matches.try_get_raw(id)) else {
            continue;
        };
        let values: Vec<String> = values
            .map(|value| quoted(&value.to_string_lossy()))
            .collect();
        let value = match &values[..] {
            [value] => value.clone(),
            values => format!("[{}]", values.join(", ")),
        };
        let _ = writeln!(
            text,
            "{long} = {value} # {}",
            origin(matches.value_source(id))
        );
    }
    text
}

const fn origin(source: Option<ValueSource>) -> &'static str {
    match source {
        Some(ValueSource::CommandLine) => "command line",
        Some(ValueSource::EnvVariable) => "environment",
        _ => "default, or configuration file",
    }
}

/// A value as TOML writes it: numbers and truth plain, all else as a string.
fn quoted(value: &str) -> String {
    let is_plain = matches!(value, "true" | "false")
        || value
            .parse::<i64>()
            .is_ok_and(|number| number.to_string() == value);
    if is_plain {
        value.to_owned()
    } else {
        toml::Value::from(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::config::args::Args;

    #[test]
    fn settings_are_told_with_their_origin() {
        let root = Args::command();
        let matches =
            root.clone()
                .get_matches_from(["tlscope", "read", "--near-expiry", "14", "x"]);
        let text = as_file(&root, &matches);
        let (top, read) = text.split_once("\n[read]\n").unwrap();
        assert_eq!(top, "color = \"auto\" # default, or configuration file\n");
        assert!(read.contains("near-expiry = 14 # command line\n"), "{text}");
        assert!(read.contains("failures-only = false # default"), "{text}");
        assert!(!read.contains("filter"), "{text}");
    }

    #[test]
    fn values_are_quoted_as_toml_does() {
        assert_eq!(quoted("16M"), "\"16M\"");
        assert_eq!(quoted("true"), "true");
        assert_eq!(quoted("14"), "14");
        assert_eq!(quoted("007"), "\"007\"");
        assert_eq!(quoted("a \"b\""), toml::Value::from("a \"b\"").to_string());
    }
}
