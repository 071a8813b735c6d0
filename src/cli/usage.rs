//! What clap refuses, in the words of this program: one line on what is wrong, then what to try.

use std::env;
use std::num::{IntErrorKind, ParseIntError};
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use tlscope::pattern::nearest;

use super::config::args::NotOneOf;
use super::error::CliError;

/// The error for arguments that `command` does not take; help and version are printed, and end the program.
pub(super) fn refused(command: &Command, error: &Error) -> CliError {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => {}
    }
    let typed = env::args_os().skip(1);
    let typed: Vec<_> = typed
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let usage = Usage {
        command,
        typed: &typed,
    };
    usage.refusal(error)
}

/// What the user typed, and what the program takes.
struct Usage<'a> {
    command: &'a Command,
    /// The arguments after the program's name.
    typed: &'a [String],
}

impl Usage<'_> {
    fn refusal(&self, error: &Error) -> CliError {
        match error.kind() {
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => self.invalid_value(error),
            ErrorKind::UnknownArgument => self.unknown_argument(error),
            ErrorKind::InvalidSubcommand => self.unknown_command(error),
            ErrorKind::MissingRequiredArgument => self.missing_argument(error),
            ErrorKind::ArgumentConflict => self.conflict(error),
            _ => CliError::new(first_line(error)).hint(self.see_help()),
        }
    }

    fn invalid_value(&self, error: &Error) -> CliError {
        let name = self.name_of_flag(error);
        let value = string(error, ContextKind::InvalidValue);
        if value.is_empty() {
            let one_of = one_of(&known_values(error));
            return CliError::new(format_args!("`{name}` takes a value"))
                .hint(one_of.unwrap_or_else(|| self.see_help()));
        }
        CliError::new(what_is_invalid(error, value, &name)).maybe_hint(hint_of_value(error, value))
    }

    /// The flag that an error is about, or the environment variable if the flag was not typed.
    fn name_of_flag(&self, error: &Error) -> String {
        let argument = string(error, ContextKind::InvalidArg);
        let flag = flag_of(argument);
        let Some(long) = flag.strip_prefix("--") else {
            return flag.trim_matches(['<', '>', '.']).to_owned();
        };
        let mut typed = self.typed.iter();
        let is_typed = typed.any(|typed| typed.split('=').next() == Some(flag));
        let variable = format!("TLSCOPE_{}", long.to_uppercase().replace('-', "_"));
        if !is_typed && env::var_os(&variable).is_some() {
            return variable;
        }
        flag.to_owned()
    }

    fn unknown_argument(&self, error: &Error) -> CliError {
        let argument = string(error, ContextKind::InvalidArg);
        if !argument.starts_with('-') {
            return self.unexpected_value(argument);
        }
        if argument.parse::<f64>().is_ok() {
            return self.negative_number(argument);
        }
        let flag = flag_of(argument);
        let failure = CliError::new(match self.subcommand() {
            Some(command) => format!("`tlscope {}` has no option `{flag}`", command.get_name()),
            None => format!("unknown option `{flag}`"),
        });
        let owners = self.owners(flag);
        if flag == "-r" {
            return failure.hint(read(self.value_after(flag).unwrap_or("CAPTURE"))); // as for tcpdump
        }
        if matches!(flag, "-i" | "--interface") && owners.contains(&"live") {
            return failure.hint(watch(self.value_after(flag).unwrap_or("INTERFACE")));
        }
        // Options of a command come after it.
        let command = self.subcommand().map(Command::get_name);
        if let Some(command) = command.filter(|command| owners.contains(command)) {
            return CliError::new(format_args!("`{flag}` is an option of `tlscope {command}`"))
                .hint(format!(
                    "write it behind the command: `tlscope {command} {flag} …`"
                ));
        }
        if let Some(format) = self.format_of(flag) {
            return failure.hint(format!("did you mean `--format {format}`?"));
        }
        if !owners.is_empty() {
            let owners: Vec<_> = owners
                .iter()
                .map(|one| format!("`tlscope {one}`"))
                .collect();
            return failure.hint(format!("it is an option of {}", owners.join(", ")));
        }
        failure.hint(match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(meant)) => format!("did you mean `{}`?", flag_of(meant)),
            _ => self.see_help(),
        })
    }

    /// The format that an option was meant for, as in `--json`.
    fn format_of<'f>(&self, flag: &'f str) -> Option<&'f str> {
        let name = flag.strip_prefix("--")?;
        let mut options = self.subcommand()?.get_arguments();
        let formats = options.find(|option| option.get_long() == Some("format"))?;
        let formats = formats.get_possible_values();
        formats
            .iter()
            .any(|format| format.get_name() == name)
            .then_some(name)
    }

    /// The error for a number that clap takes for an option.
    fn negative_number(&self, number: &str) -> CliError {
        let at = self.typed.iter().position(|typed| typed == number);
        let before = at.and_then(|at| self.typed.get(at.checked_sub(1)?));
        match before.filter(|before| before.starts_with('-')) {
            Some(flag) => CliError::new(format_args!(
                "invalid value `{number}` for `{flag}`: not a number of at least 0"
            )),
            None => {
                CliError::new(format_args!("unexpected argument `{number}`")).hint(self.see_help())
            }
        }
    }

    /// The error for a word that is no option.
    fn unexpected_value(&self, word: &str) -> CliError {
        let Some(command) = self.subcommand().map(Command::get_name) else {
            return CliError::new(format_args!("unexpected argument `{word}`"))
                .hint(self.see_help());
        };
        let failure = CliError::new(format_args!("`tlscope {command}` does not take `{word}`"));
        failure.hint(match command {
            _ if is_capture(word) => read(word),
            "live" => watch(word),
            _ => self.see_help(),
        })
    }

    fn unknown_command(&self, error: &Error) -> CliError {
        let word = string(error, ContextKind::InvalidSubcommand);
        let failure = CliError::new(format_args!("unknown command `{word}`"));
        if is_capture(word) {
            return failure.hint(read(word));
        }
        let commands = self.command.get_subcommands().map(Command::get_name);
        let commands: Vec<_> = commands.collect();
        let one_of = format!("one of `{}`", commands.join("`, `"));
        failure.hint(match nearest(word, &commands) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => one_of,
        })
    }

    fn missing_argument(&self, error: &Error) -> CliError {
        let missing = strings(error, ContextKind::InvalidArg).join("`, `");
        let Some(command) = self.subcommand() else {
            return CliError::new(format_args!("`{missing}` is missing")).hint(self.see_help());
        };
        let mut positionals = command.get_positionals();
        let values = positionals.next().map(|one| one.get_possible_values());
        let values: Vec<_> = values.unwrap_or_default();
        let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        let name = command.get_name();
        CliError::new(format_args!("`tlscope {name}` needs `{missing}`")).hint(
            match (names.is_empty(), first_example(command)) {
                (false, _) => format!("one of `{}`", names.join("`, `")),
                (true, Some(example)) => format!("as in `{example}`"),
                (true, None) => self.see_help(),
            },
        )
    }

    fn conflict(&self, error: &Error) -> CliError {
        let argument = flag_of(string(error, ContextKind::InvalidArg)).to_owned();
        let others: Vec<String> = match error.get(ContextKind::PriorArg) {
            Some(ContextValue::String(other)) => vec![flag_of(other).to_owned()],
            Some(ContextValue::Strings(others)) => {
                others.iter().map(|one| flag_of(one).to_owned()).collect()
            }
            _ => return CliError::new(first_line(error)).hint(self.see_help()),
        };
        if others == [argument.as_str()] {
            return CliError::new(format_args!("`{argument}` is given more than once"))
                .hint("give it once");
        }
        let takes_name = [&argument]
            .into_iter()
            .chain(&others)
            .any(|one| *one == "--print-policy");
        let others = others.join("` and `");
        let failure = CliError::new(format_args!(
            "`{argument}` and `{others}` exclude each other"
        ));
        failure.hint(match takes_name {
            true => "`--print-policy=NAME` prints a preset, and reads no capture",
            false => "leave one of them out",
        })
    }

    /// The command that was typed.
    fn subcommand(&self) -> Option<&Command> {
        let mut typed = self.typed.iter();
        typed.find_map(|word| self.command.find_subcommand(word))
    }

    /// The other commands that have this option.
    fn owners(&self, flag: &str) -> Vec<&str> {
        let has = |command: &&Command| {
            command.get_arguments().any(|argument| {
                let long = argument.get_long().map(|long| format!("--{long}"));
                let short = argument.get_short().map(|short| format!("-{short}"));
                long.as_deref() == Some(flag) || short.as_deref() == Some(flag)
            })
        };
        let commands = self.command.get_subcommands().filter(has);
        commands.map(Command::get_name).collect()
    }

    /// The word that was typed after an option or after its `=`.
    fn value_after(&self, flag: &str) -> Option<&str> {
        let at = self.typed.iter().position(|typed| flag_of(typed) == flag)?;
        let value = match self.typed[at].split_once('=') {
            Some((_, value)) => value,
            None => self.typed.get(at + 1)?,
        };
        (!value.starts_with('-')).then_some(value)
    }

    fn see_help(&self) -> String {
        match self.subcommand() {
            Some(command) => format!(
                "`tlscope {} --help` lists what it takes",
                command.get_name()
            ),
            None => "`tlscope --help` lists the commands".to_owned(),
        }
    }
}

fn read(capture: &str) -> String {
    format!("to report the handshakes in a capture, use `tlscope read {capture}`")
}

fn watch(interface: &str) -> String {
    format!("to watch an interface, use `tlscope live -i {interface}`")
}

/// The first command in the examples of a command's help.
fn first_example(command: &Command) -> Option<String> {
    let examples = command.get_after_long_help()?.to_string();
    let mut lines = examples.lines().map(str::trim);
    let example = lines.find(|line| line.starts_with("tlscope "))?;
    Some(example.to_owned())
}

/// The option in `--format <FORMAT>`, `--print-policy[=<NAME>]` or `--format=xml`; what is no option is left as it is.
fn flag_of(argument: &str) -> &str {
    if !argument.starts_with('-') {
        return argument;
    }
    argument.split([' ', '=', '[']).next().unwrap_or_default()
}

/// What is wrong with a value of a flag, or of a setting, in one clause.
pub(super) fn what_is_invalid(error: &Error, value: &str, name: &str) -> String {
    // The value of a header is a secret as a rule, and only its form is at fault. `name` may be a variable.
    let is_header = |name: &str| {
        name.to_lowercase()
            .replace('_', "-")
            .ends_with("otlp-header")
    };
    let value = if is_header(name) { "***" } else { value };
    let reason = reason(error).map(|reason| format!(": {reason}"));
    format!(
        "invalid value `{value}` for `{name}`{}",
        reason.unwrap_or_default()
    )
}

/// The values that a flag or a setting takes, with the one that was probably meant; `None` if it takes more than a few words.
pub(super) fn hint_of_value(error: &Error, value: &str) -> Option<String> {
    let known = known_values(error);
    let one_of = one_of(&known)?;
    let parts: Vec<_> = value.split(',').collect();
    if parts.len() > 1 && parts.iter().all(|part| known.contains(part)) {
        return Some(format!("it takes one value: `{}`", parts.join("` or `")));
    }
    let word = value.split('=').next().unwrap_or_default(); // as in `junit=report.xml`
    Some(match nearest(&word.to_ascii_lowercase(), &known) {
        Some(meant) => format!("did you mean `{meant}`? {one_of}"),
        None => one_of,
    })
}

fn one_of(known: &[&str]) -> Option<String> {
    (!known.is_empty()).then(|| format!("one of `{}`", known.join("`, `")))
}

/// The words that a value may be: clap knows them, or the value's own parser.
fn known_values(error: &Error) -> Vec<&str> {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<NotOneOf>()) {
        Some(NotOneOf(known)) => known.clone(),
        None => {
            let known = strings(error, ContextKind::ValidValue).iter();
            known.map(String::as_str).collect()
        }
    }
}

/// Why a value was refused, if its parser says so.
fn reason(error: &Error) -> Option<String> {
    let source = std::error::Error::source(error)?;
    if source.is::<NotOneOf>() {
        return None; // the hint lists the words
    }
    if let Some(error) = source.downcast_ref::<ParseIntError>() {
        return Some(match error.kind() {
            IntErrorKind::PosOverflow => "too large".to_owned(),
            IntErrorKind::NegOverflow => "not a number of at least 0".to_owned(),
            _ => "not a whole number".to_owned(),
        });
    }
    let text = source.to_string();
    if text == "value was not a boolean" {
        return Some("not `true` or `false`".to_owned());
    }
    // clap writes a range that has an end, but not its type's, with `..=`.
    let range = text.split_once(" is not in ").map(|(_, range)| range);
    let ends = range.and_then(|range| range.split_once(".."));
    Some(match ends {
        Some((least, most)) => match most.strip_prefix('=') {
            Some(most) => format!("not a number from {least} to {most}"),
            None => format!("not a number of at least {least}"),
        },
        None => text,
    })
}

fn string(error: &Error, kind: ContextKind) -> &str {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text,
        _ => "",
    }
}

fn strings(error: &Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts,
        _ => &[],
    }
}

/// The first line of clap's own text, for the few errors that have no words here.
fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// Whether a word names a capture, or could.
fn is_capture(word: &str) -> bool {
    word == "-" || Path::new(word).is_file() || has_name_of_capture(word)
}

fn has_name_of_capture(word: &str) -> bool {
    let name = word.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".xz"]
        .iter()
        .find_map(|compressed| name.strip_suffix(compressed))
        .unwrap_or(&name);
    [".pcap", ".pcapng", ".cap", ".ntar"]
        .iter()
        .any(|extension| plain.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::config::args::Args;

    fn refusal(line: &str) -> String {
        let typed: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let command = Args::command();
        let words = std::iter::once("tlscope").chain(line.split(' '));
        let error = command.clone().try_get_matches_from(words).unwrap_err();
        let usage = Usage {
            command: &command,
            typed: &typed,
        };
        usage.refusal(&error).to_string()
    }

    #[test]
    fn wrong_usage_is_one_line_and_what_to_try() {
        let cases = [
            (
                "raed x.pcap",
                "unknown command `raed`",
                "did you mean `read`?",
            ),
            (
                "x.pcap",
                "unknown command `x.pcap`",
                "to report the handshakes in a capture, use `tlscope read x.pcap`",
            ),
            (
                "read",
                "`tlscope read` needs `<PATH>...`",
                "as in `tlscope read capture.pcapng`",
            ),
            (
                "completions",
                "`tlscope completions` needs `<SHELL>`",
                "one of `bash`, `elvish`, `fish`, `powershell`, `zsh`",
            ),
            (
                "read --outcom failure x.pcap",
                "`tlscope read` has no option `--outcom`",
                "did you mean `--outcome`?",
            ),
            (
                "--outcome failure read x.pcap",
                "`--outcome` is an option of `tlscope read`",
                "write it behind the command: `tlscope read --outcome …`",
            ),
            (
                "read --json x.pcap",
                "`tlscope read` has no option `--json`",
                "did you mean `--format json`?",
            ),
            (
                "read --policy p.toml x.pcap",
                "`tlscope read` has no option `--policy`",
                "it is an option of ",
            ),
            (
                "schema x.pcap",
                "`tlscope schema` does not take `x.pcap`",
                "to report the handshakes in a capture, use `tlscope read x.pcap`",
            ),
            (
                "read --format jsno x.pcap",
                "invalid value `jsno` for `--format`",
                "did you mean `json`? one of `table`, `rows`, ",
            ),
            (
                "read --outcome FAILURE x.pcap",
                "invalid value `FAILURE` for `--outcome`",
                "did you mean `failure`? one of `",
            ),
            (
                "read --format xyz x.pcap",
                "invalid value `xyz` for `--format`",
                "one of `table`, `rows`, ",
            ),
            (
                "read --format csv,json x.pcap",
                "invalid value `csv,json` for `--format`",
                "it takes one value: `csv` or `json`",
            ),
            (
                "read --sort name x.pcap",
                "invalid value `name` for `--sort`",
                "one of `time`, `duration`, `expiry`, `server`",
            ),
            (
                "completions tcsh",
                "invalid value `tcsh` for `SHELL`",
                "one of `bash`, `elvish`, `fish`, `powershell`, `zsh`",
            ),
            (
                "print foo",
                "invalid value `foo` for `WHAT`",
                "one of `alert-rules`, ",
            ),
            (
                "check --policy",
                "`--policy` takes a value",
                "`tlscope check --help` lists what it takes",
            ),
            (
                "check --expect a --new-only b x.pcap",
                "`--expect` and `--new-only` exclude each other",
                "leave one of them out",
            ),
            (
                "check --print-policy mozilla-modern",
                "`--print-policy` and `[CAPTURE]...` exclude each other",
                "`--print-policy=NAME` prints a preset, and reads no capture",
            ),
            (
                "read -r x.pcap",
                "`tlscope read` has no option `-r`",
                "to report the handshakes in a capture, use `tlscope read x.pcap`",
            ),
            (
                "check --format jnuit x.pcap",
                "invalid value `jnuit` for `--format`",
                "did you mean `junit`? one of `text`, `json`, ",
            ),
            (
                "check --format jnuit=a.xml x.pcap",
                "invalid value `jnuit=a.xml` for `--format`",
                "did you mean `junit`? one of `text`, `json`, ",
            ),
            (
                "check --policy a --policy b x.pcap",
                "`--policy` is given more than once",
                "give it once",
            ),
        ];
        for (line, message, hint) in cases {
            let text = refusal(line);
            let (first, rest) = text.split_once("\n\nhint: ").unwrap_or((&text, ""));
            assert_eq!(first, message, "{line}");
            assert!(rest.starts_with(hint), "{line}: {rest}");
            assert!(!rest.contains('\n'), "{line}: {rest}");
        }
    }

    #[cfg(live_capture)]
    #[test]
    fn a_number_without_an_upper_limit_says_the_lower_one() {
        let refusal = refusal("live -i lo --count 0");
        let expected = "invalid value `0` for `--count`: not a number of at least 1";
        assert_eq!(refusal, expected);
    }

    #[cfg(live_capture)]
    #[test]
    fn reading_and_watching_suggest_each_other() {
        let watch = "\n\nhint: to watch an interface, use `tlscope live -i eth0`";
        for line in [
            "read -i eth0",
            "read --interface=eth0 x",
            "-i eth0",
            "live eth0",
        ] {
            assert!(refusal(line).ends_with(watch), "{line}: {}", refusal(line));
        }
        for line in ["live x.pcap", "live -i eth0 x.pcap", "interfaces x.pcap"] {
            let text = refusal(line);
            assert!(
                text.ends_with("use `tlscope read x.pcap`"),
                "{line}: {text}"
            );
        }
    }

    #[test]
    fn numbers_and_truths_say_what_they_take() {
        for (line, expected) in [
            (
                "read --port abc x",
                "invalid value `abc` for `--port`: not a whole number",
            ),
            (
                "read --port -1 x",
                "invalid value `-1` for `--port`: not a number of at least 0",
            ),
            (
                "read --near-expiry 99999999999999999999 x",
                "invalid value `99999999999999999999` for `--near-expiry`: too large",
            ),
            (
                "read --port 70000 x",
                "invalid value `70000` for `--port`: not a number from 0 to 65535",
            ),
            (
                "read --names=maybe x",
                "invalid value `maybe` for `--names`: not `true` or `false`",
            ),
            (
                "read --threads 0 x",
                "invalid value `0` for `--threads`: not `auto` or a number above zero",
            ),
        ] {
            assert_eq!(refusal(line), expected);
        }
    }

    #[test]
    fn the_value_of_a_header_is_not_printed() {
        let error = Args::command()
            .try_get_matches_from(["tlscope", "read", "x", "--otlp-header", "s3cr3t"])
            .unwrap_err();
        for name in ["--otlp-header", "otlp-header", "TLSCOPE_OTLP_HEADER"] {
            let text = what_is_invalid(&error, "s3cr3t", name);
            assert!(!text.contains("s3cr3t") && text.contains("***"), "{text}");
        }
    }
}
