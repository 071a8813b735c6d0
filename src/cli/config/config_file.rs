//! The configuration file: its values become the defaults of the arguments.
//!
//! So clap itself lets the command line and the environment win over the file, and
//! parses a value from the file exactly like one that is typed.

#[cfg(live_capture)]
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use clap::builder::Arg;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Command, CommandFactory, Error};
use tlscope::check::not_toml;
use tlscope::pattern::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::config::args::{Args, POLICY_SCHEMA};
use crate::cli::config::text_kind::TextKind;
use crate::cli::error::CliError;
use crate::cli::usage::{hint_of_value, what_is_invalid};

/// `command`, with defaults from the file at `path`.
pub(crate) fn with_defaults_from(command: Command, path: &Path) -> Result<Command, CliError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| CliError::of_file("read configuration file", path, &error))?;
    let file = ConfigFile {
        name: &name,
        text: &text,
    };
    with_defaults(command, &file).map_err(|error| match TextKind::of(&text) {
        _ if is_policy(&text) => error.hint(format!(
            "`{name}` is a policy: use `tlscope check --policy {name}`"
        )),
        Some(kind) => {
            let error =
                format_args!("`{name}` looks like {kind}: `--config` reads settings in TOML");
            CliError::new(error)
                .hint("write a table for each command, as in `[read]`, and below it `wide = true`")
        }
        None => error,
    })
}

/// Whether a text has settings of this program at its top.
pub(crate) fn is_settings(text: &str) -> bool {
    let command = Args::command();
    let tables = subcommands(&command);
    let keys: Vec<_> = settable(&command).filter_map(Arg::get_long).collect();
    has_at_the_top(text, |name, is_table| match is_table {
        true => tables.contains(&name),
        false => keys.contains(&name),
    })
}

/// Whether a text has rules, or what applies to all rules, at its top: a policy of `check`.
fn is_policy(text: &str) -> bool {
    has_at_the_top(text, |name, _| {
        ["rule", "allow-empty", "severity", "unknown"].contains(&name)
    })
}

/// Whether `is_it` holds for a key at the top of a text in TOML, and whether it is a table.
fn has_at_the_top(text: &str, is_it: impl Fn(&str, bool) -> bool) -> bool {
    let Ok(root) = DeTable::parse(text) else {
        return false;
    };
    let mut entries = root.get_ref().iter();
    entries.any(|(key, value)| is_it(key.get_ref(), value.get_ref().is_table()))
}

/// The flags that the file at `path` sets: those of all commands, or those of the table `command`. Empty if it cannot be read.
#[cfg(live_capture)]
pub(crate) fn keys(path: &Path, command: Option<&str>) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let Ok(root) = DeTable::parse(&text) else {
        return BTreeSet::new();
    };
    let root = root.get_ref();
    let table = match command {
        Some(command) => root
            .get(command)
            .and_then(|table| table.get_ref().as_table()),
        None => Some(root),
    };
    let keys = table.into_iter().flat_map(|table| table.keys());
    keys.map(|key| key.get_ref().to_string()).collect()
}

/// The text of a configuration file, for errors that name the line.
struct ConfigFile<'a> {
    name: &'a str,
    text: &'a str,
}

impl ConfigFile<'_> {
    /// An error with the file and the line.
    fn error(&self, what: &str, at: Range<usize>) -> CliError {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        CliError::new(format_args!("{}:{line}: {what}", self.name))
    }

    fn unknown(&self, what: &str, key: &Spanned<impl AsRef<str>>, known: &[&str]) -> CliError {
        let written = key.get_ref().as_ref();
        let suggestion = nearest(written, known).map(|known| format!("did you mean `{known}`?"));
        self.error(&format!("unknown {what} `{written}`"), key.span())
            .maybe_hint(suggestion)
    }
}

fn with_defaults(mut command: Command, file: &ConfigFile<'_>) -> Result<Command, CliError> {
    let root = DeTable::parse(file.text).map_err(|error| {
        let (message, at) = not_toml(file.text, &error);
        file.error(&message, at)
    })?;
    for (key, value) in root.get_ref() {
        let name = key.get_ref().as_ref();
        let is_list_of_tables = value.get_ref().as_array().is_some_and(|list| {
            let mut items = list.iter();
            items.any(|item| item.get_ref().is_table())
        });
        if is_list_of_tables && subcommands(&command).contains(&name) {
            return Err(file
                .error(
                    &format!("`{name}` is a table, and this is a list of tables"),
                    key.span(),
                )
                .hint(format!("write `[{name}]` instead of `[[{name}]]`")));
        }
        let is_table = value.get_ref().is_table();
        if !is_table && subcommands(&command).contains(&name) {
            let message = format!("`{name}` is a table, and this is a value");
            return Err(file.error(&message, value.span()).hint(format!(
                "write `[{name}]`, and below it the options of `tlscope {name}`"
            )));
        }
        let Some(table) = value.get_ref().as_table() else {
            command = with_default(command, None, file, key, value)?;
            continue;
        };
        if !subcommands(&command).contains(&name) {
            return Err(file.unknown("table", key, &subcommands(&command)));
        }
        for (key, value) in table {
            command = with_default(command, Some(name), file, key, value)?;
        }
    }
    Ok(command)
}

/// Makes `value` the default of the flag `key` of a subcommand, or of the program itself.
fn with_default(
    command: Command,
    subcommand: Option<&str>,
    file: &ConfigFile<'_>,
    key: &Spanned<impl AsRef<str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Command, CliError> {
    let name = key.get_ref().as_ref();
    let owner = subcommand
        .and_then(|name| command.find_subcommand(name))
        .unwrap_or(&command);
    let Some(argument) = settable(owner).find(|argument| argument.get_long() == Some(name)) else {
        let known: Vec<_> = settable(owner).filter_map(Arg::get_long).collect();
        let error = file.unknown("key", key, &known);
        return Err(match nearest(name, &keys_of_all(&command)) {
            Some(key) if known.contains(&key) => error, // with a suggestion
            Some(key) => error.hint(place_of(&command, name, key)),
            None => error.maybe_hint(
                subcommand.map(|name| format!("`tlscope {name} --help` lists the keys")),
            ),
        });
    };
    let id = argument.get_id().clone();
    let takes_list = matches!(argument.get_action(), ArgAction::Append);
    let texts = texts_of(value.get_ref(), takes_list).ok_or_else(|| {
        let what = match (takes_list, value.get_ref().is_array()) {
            (true, _) => "a string, a number, `true` or `false`, or a list",
            (false, true) => "one value, and this is a list",
            (false, false) => "a string, a number, `true` or `false`",
        };
        file.error(&format!("`{name}` takes {what}"), value.span())
    })?;
    for text in &texts {
        check(&command, subcommand, name, text)
            .map_err(|error| invalid(&error, file, name, text, value.span()))?;
    }
    let set = |argument: Arg| argument.default_values(texts);
    Ok(match subcommand {
        Some(subcommand) => command.mut_subcommand(subcommand, |owner| owner.mut_arg(id, set)),
        None => command.mut_arg(id, set),
    })
}

/// The keys of the file's top and of all tables.
fn keys_of_all(command: &Command) -> Vec<&str> {
    let tables = command.get_subcommands().flat_map(settable);
    let all = tables.chain(settable(command));
    all.filter_map(Arg::get_long).collect()
}

/// Where `key` belongs, which a table has that is not the one in which `written` stands.
fn place_of(command: &Command, written: &str, key: &str) -> String {
    let meant = match key == written {
        true => String::new(),
        false => format!("did you mean `{key}`? "),
    };
    let has = |command: &Command| settable(command).any(|flag| flag.get_long() == Some(key));
    if has(command) {
        return format!("{meant}`{key}` belongs at the top, above the first table");
    }
    let owners = command.get_subcommands().filter(|command| has(command));
    let tables: Vec<_> = owners
        .map(|command| format!("`[{}]`", command.get_name()))
        .collect();
    let tables = tables.join(", ");
    format!("{meant}it belongs in the table of a command: {tables}")
}

/// The flags that a file can set. `--config` is not one of them: a file cannot name another.
pub(crate) fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        argument
            .get_long()
            .is_some_and(|long| !["config", "print-config"].contains(&long))
            && !matches!(
                argument.get_action(),
                ArgAction::Version | ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong
            )
            && is_setting(argument)
    })
}

/// Whether a flag can be set in the file and the environment; otherwise it only chooses what a command prints.
pub(crate) fn is_setting(argument: &Arg) -> bool {
    argument.get_id() != POLICY_SCHEMA
}

/// The commands with flags of their own.
fn subcommands(command: &Command) -> Vec<&str> {
    command
        .get_subcommands()
        .filter(|command| settable(command).next().is_some())
        .map(Command::get_name)
        .collect()
}

/// The values as typed on the command line.
fn texts_of(value: &DeValue<'_>, takes_list: bool) -> Option<Vec<String>> {
    match value {
        DeValue::Array(values) if takes_list => values
            .iter()
            .map(|value| text_of(value.get_ref()))
            .collect(),
        value => Some(vec![text_of(value)?]),
    }
}

/// The value as typed on the command line; `None` for lists, tables and dates.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        _ => return None,
    })
}

/// Parses the value as if it were typed, since a command line overrides the environment.
fn check(
    command: &Command,
    subcommand: Option<&str>,
    flag: &str,
    value: &str,
) -> Result<(), Error> {
    let typed = format!("--{flag}={value}");
    let arguments = ["tlscope"]
        .into_iter()
        .chain(subcommand)
        .chain([typed.as_str()]);
    match command.clone().try_get_matches_from(arguments) {
        Err(error) if concerns(&error, flag) => Err(error),
        _ => Ok(()), // the error is about an argument that is missing here
    }
}

fn concerns(error: &Error, flag: &str) -> bool {
    match (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::InvalidValue),
    ) {
        (Some(ContextValue::String(argument)), Some(_)) => {
            argument.starts_with(&format!("--{flag}"))
        }
        _ => false,
    }
}

fn invalid(
    error: &Error,
    file: &ConfigFile<'_>,
    key: &str,
    value: &str,
    at: Range<usize>,
) -> CliError {
    file.error(&what_is_invalid(error, value, key), at)
        .maybe_hint(hint_of_value(error, value))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use tlscope::sink::OutputFormat;

    use crate::cli::config::args::{Color, Command as Parsed, ReadArgs};

    fn command(text: &str) -> Result<Command, CliError> {
        with_defaults(
            Args::command(),
            &ConfigFile {
                name: "t.toml",
                text,
            },
        )
    }

    fn parsed(text: &str, flags: &[&str]) -> (Color, ReadArgs) {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        let matches = command(text)
            .unwrap()
            .try_get_matches_from(arguments)
            .unwrap();
        let args = Args::from_arg_matches(&matches).unwrap();
        match args.command {
            Parsed::Read(read) => (args.color, read),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(text: &str) -> String {
        command(text).unwrap_err().to_string()
    }

    #[test]
    fn the_file_wins_over_defaults_and_the_command_line_over_the_file() {
        let text = "color = 'never'\n[read]\nformat = \"json\"\nnear-expiry = 14\nfailures-only = true\nhandshake-timeout = 2.5";
        let (color, read) = parsed(text, &[]);
        assert_eq!(
            (color, read.common.format, read.judgement.near_expiry),
            (Color::Never, OutputFormat::Json, 14)
        );
        assert!(read.common.failures_only);
        assert_eq!(
            read.judgement.handshake_timeout,
            Some(std::time::Duration::from_millis(2_500))
        );

        let flags = [
            "--format",
            "csv",
            "--failures-only=false",
            "--color",
            "always",
        ];
        let (color, read) = parsed(text, &flags);
        assert_eq!(
            (color, read.common.format, read.judgement.near_expiry),
            (Color::Always, OutputFormat::Csv, 14)
        );
        assert!(!read.common.failures_only);
    }

    #[test]
    fn a_flag_that_can_be_given_more_than_once_takes_a_list() {
        let keylogs = |text| parsed(text, &[]).1.common.input.keylog;
        assert_eq!(keylogs("[read]\nkeylog = ['a', 'b']").len(), 2);
        assert_eq!(keylogs("[read]\nkeylog = 'a'").len(), 1);
        assert!(keylogs("[read]\nkeylog = []").is_empty());
    }

    #[test]
    fn a_flag_with_the_name_of_one_that_prints_is_a_setting() {
        let read = parsed("[read]\nversion = 'TLS 1.2'", &[]).1;
        assert_eq!(read.common.input.selection.version.len(), 1);
        assert!(refusal("version = 'TLS 1.2'").starts_with("t.toml:1: unknown key `version`"));
    }

    #[test]
    fn every_flag_can_be_set() {
        let root = Args::command();
        let flags = root.get_subcommands().flat_map(|command| {
            let name = command.get_name();
            settable(command).map(move |argument| (name, argument))
        });
        for (name, argument) in flags {
            let long = argument.get_long().unwrap();
            let default = argument
                .get_default_values()
                .first()
                .map(|value| value.to_string_lossy());
            let possible = argument.get_possible_values();
            let value = default.map_or_else(
                || {
                    let of_its_kind = match argument.get_value_names() {
                        Some([name]) if name == "SECONDS" => "1",
                        Some([name]) if name == "SIZE" => "96M",
                        Some([name]) if name == "NAME=VALUE" => "a=b",
                        Some([name]) if name == "ADDRESS:PORT" => "127.0.0.1:0",
                        Some([name]) if name == "PEER" => "192.0.2.0/24",
                        Some([name]) if name == "VERSION" => "TLS 1.2",
                        Some([name]) if name == "TIME" => "12:00",
                        Some([name]) if name == "TUNNEL=PORT" => "vxlan=4789",
                        _ => "1",
                    };
                    possible
                        .first()
                        .map_or(of_its_kind, |value| value.get_name())
                        .to_owned()
                },
                |value| value.into_owned(),
            );
            let text = format!("[{name}]\n{long} = \"{value}\"");
            assert!(command(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
        let cases = [
            (
                "[read]\n\nnear_expiry = 1",
                "t.toml:3: unknown key `near_expiry`\n\nhint: did you mean `near-expiry`?",
            ),
            (
                "colour = 'auto'",
                "t.toml:1: unknown key `colour`\n\nhint: did you mean `color`?",
            ),
            (
                "[raed]",
                "t.toml:1: unknown table `raed`\n\nhint: did you mean `read`?",
            ),
            (
                "[read]\nzzz = 1",
                "t.toml:2: unknown key `zzz`\n\nhint: `tlscope read --help` lists the keys",
            ),
            (
                "srot = 'time'",
                "t.toml:1: unknown key `srot`\n\nhint: did you mean `sort`? it belongs in the table of a command: `[read]`",
            ),
            (
                "[show]\nsort = 'time'",
                "t.toml:2: unknown key `sort`\n\nhint: it belongs in the table of a command: `[read]`",
            ),
            (
                "[[read]]\nwide = true",
                "t.toml:1: `read` is a table, and this is a list of tables\n\nhint: write `[read]` instead of `[[read]]`",
            ),
            (
                "[read]\ncolor = 'auto'",
                "t.toml:2: unknown key `color`\n\nhint: `color` belongs at the top, above the first table",
            ),
            (
                "sort = 'time'",
                "t.toml:1: unknown key `sort`\n\nhint: it belongs in the table of a command: `[read]`",
            ),
            (
                "[read]\nwide = true\nwide = false",
                "t.toml:3: `wide` is set more than once",
            ),
            (
                "[read]\nconfig = 'x'",
                "t.toml:2: unknown key `config`\n\nhint: `tlscope read --help` lists the keys",
            ),
            ("[schema]", "t.toml:1: unknown table `schema`"),
        ];
        for (text, expected) in cases {
            assert_eq!(refusal(text), expected);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_its_line() {
        let cases = [
            (
                "[read]\nformat = 'xml'",
                "t.toml:2: invalid value `xml` for `format`\n\nhint: one of `table`, `rows`, `summary`, `json`, `csv`, `certs`, `cbom`",
            ),
            (
                "[read]\nformat = []",
                "t.toml:2: `format` takes one value, and this is a list",
            ),
            (
                "[read]\nformat = {}",
                "t.toml:2: `format` takes a string, a number, `true` or `false`",
            ),
            (
                "read = 3",
                "t.toml:1: `read` is a table, and this is a value\n\nhint: write `[read]`, and below it the options of `tlscope read`",
            ),
            (
                "[read]\nhandshake-timeout = 0",
                "t.toml:2: invalid value `0` for `handshake-timeout`: not a number of seconds above zero",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refusal(text), expected);
        }
        for (text, expected) in [
            (
                "[read]\nformat = 'jsno'",
                "t.toml:2: invalid value `jsno` for `format`\n\nhint: did you mean `json`? one of `table`, ",
            ),
            (
                "[read]\nnear-expiry = 'soon'",
                "t.toml:2: invalid value `soon` for `near-expiry`: not a whole number",
            ),
            (
                "[read]\nwide = 'perhaps'",
                "t.toml:2: invalid value `perhaps` for `wide`: not `true` or `false`",
            ),
            (
                "[read]\notlp-header = 's3cr3t'",
                "t.toml:2: invalid value `***` for `otlp-header`: ",
            ),
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with(expected), "{refusal}");
        }
        for text in [
            "[read]\nnear-expiry = -1",
            "[read]\nthreads = 0",
            "[read]\nat = 'noon'",
            "color = 1",
        ] {
            assert!(refusal(text).contains(": invalid value `"), "{text}");
        }
    }

    #[test]
    fn invalid_toml_is_refused_with_its_line() {
        let message = refusal("[read]\nformat = ");
        assert!(message.starts_with("t.toml:2: "), "{message}");
    }
}
