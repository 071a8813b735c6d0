//! The settings of a run as a configuration file (`--print-config`).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use clap::{Command, CommandFactory};

use crate::cli::config::args::{Args, FlagSource, FlagSources};
use crate::cli::config::config_file::{keys, settable};

/// A configuration file that gives the same settings as the flags of `command`, each with its source.
///
/// Flags without a value are left out.
pub(super) fn as_file(command: &str, sources: &FlagSources) -> String {
    let root = Args::command();
    let file = sources.config_file();
    let in_file = |command| {
        let file = file.as_deref();
        file.map(|file| keys(file, command)).unwrap_or_default()
    };
    let mut text = lines(&root, sources, &in_file(None));
    if let Some(subcommand) = root.find_subcommand(command) {
        let lines = lines(subcommand, sources, &in_file(Some(command)));
        let _ = write!(text, "\n[{command}]\n{lines}"); // writing to a String does not fail
    }
    text
}

/// The flags of `command`; `in_file` are those that the configuration file sets.
fn lines(command: &Command, sources: &FlagSources, in_file: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for argument in settable(command) {
        let id = argument.get_id().as_str();
        let (Some(long), Some(values)) = (argument.get_long(), sources.values(id)) else {
            continue;
        };
        let values = values.iter().map(|value| quoted(&masked(long, value)));
        let values: Vec<String> = values.collect();
        let value = match &values[..] {
            [value] => value.clone(),
            values => format!("[{}]", values.join(", ")),
        };
        let source = match sources.of(id) {
            FlagSource::CommandLine => "command line",
            FlagSource::Environment => "environment",
            FlagSource::FileOrDefault if in_file.contains(long) => "configuration file",
            FlagSource::FileOrDefault | FlagSource::Default => "default",
        };
        let _ = writeln!(text, "{long} = {value} # {source}");
    }
    text
}

/// Stands in for a secret.
const MASK: &str = "***";

/// A value without secrets: of a header, only its name; of a URL, no password and no query.
fn masked<'a>(flag: &str, value: &'a str) -> Cow<'a, str> {
    if flag == "otlp-header" {
        return match value.split_once('=') {
            Some((name, _)) => format!("{name}={MASK}").into(),
            None => MASK.into(),
        };
    }
    // A URL with a mistake in it may have a password, too.
    let rest = match value.split_once("://") {
        Some((_, rest)) => rest,
        None if flag == "otlp-endpoint" => value
            .trim_start_matches(|c| c != '/')
            .trim_start_matches('/'),
        None => return value.into(),
    };
    let rest = if rest.is_empty() { value } else { rest };
    let scheme = value.get(..value.len() - rest.len()).unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let path = rest.get(authority.len()..).unwrap_or_default();
    let (path, query) = match path.split_once('?') {
        Some((path, _)) => (path, format!("?{MASK}")),
        None => (path, String::new()),
    };
    match authority.rsplit_once('@') {
        None if query.is_empty() => value.into(),
        None => format!("{scheme}{authority}{path}{query}").into(),
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}{name}:{MASK}@{host}{path}{query}").into(),
            None => format!("{scheme}{MASK}@{host}{path}{query}").into(), // a token in place of a name
        },
    }
}

/// A value as TOML writes it: integers and booleans as they are, everything else as a string.
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
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn settings_are_printed_with_their_sources() {
        let arguments = ["tlscope", "read", "--near-expiry", "14", "x"];
        let matches = Args::command().get_matches_from(arguments);
        let (name, matches) = matches.subcommand().unwrap();
        let text = as_file(name, &FlagSources::from_arg_matches(matches).unwrap());
        let (top, read) = text.split_once("\n[read]\n").unwrap();
        assert_eq!(top, "color = \"auto\" # default\n");
        assert!(read.contains("near-expiry = 14 # command line\n"), "{text}");
        assert!(read.contains("failures-only = false # default"), "{text}");
        assert!(!read.contains("filter"), "{text}");
    }

    #[test]
    fn the_configuration_file_is_a_source() {
        let name = format!("tlscope-print-config-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "color = \"never\"\n[read]\nnear-expiry = 7\n").unwrap();
        let config = path.display().to_string();
        let arguments = [
            "tlscope", "--config", &config, "read", "--sort", "time", "x",
        ];
        let matches = crate::cli::config::config_file::with_defaults_from(Args::command(), &path)
            .unwrap()
            .get_matches_from(arguments);
        let (name, matches) = matches.subcommand().unwrap();
        let text = as_file(name, &FlagSources::from_arg_matches(matches).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(
            text.starts_with("color = \"never\" # configuration file\n"),
            "{text}"
        );
        assert!(
            text.contains("near-expiry = 7 # configuration file\n"),
            "{text}"
        );
        assert!(text.contains("sort = \"time\" # command line\n"), "{text}");
        assert!(text.contains("failures-only = false # default\n"), "{text}");
    }

    #[test]
    fn secrets_are_masked() {
        for (flag, value, shown) in [
            (
                "otlp-header",
                "authorization=Bearer s3cr3t=",
                "authorization=***",
            ),
            ("otlp-header", "s3cr3t", "***"),
            (
                "otlp-endpoint",
                "https://me:p@ss:w0rd@c.example:4318/x@y?z",
                "https://me:***@c.example:4318/x@y?***",
            ),
            ("otlp-endpoint", "me:s3cr3t@c:4317", "me:***@c:4317"),
            ("otlp-endpoint", "http:/me:s3cr3t@c/x", "http:/me:***@c/x"),
            ("otlp-endpoint", "http://c/v1?key=s3cr3t", "http://c/v1?***"),
            ("otlp-endpoint", "c:4317", "c:4317"),
            ("otlp-endpoint", "c:4317/", "c:4317/"),
            ("otlp-endpoint", "http://t0ken@c/", "http://***@c/"),
            ("otlp-endpoint", "http://c:4318/x@y", "http://c:4318/x@y"),
            ("interface", "eth0", "eth0"),
        ] {
            assert_eq!(masked(flag, value), shown);
        }
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
