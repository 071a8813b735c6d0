//! The command line: what a run is asked to do ([`config`]), what it reads ([`input`]), what it
//! writes ([`output`]), and the subcommands that connect them ([`commands`]).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program has clocks, signals and a screen"
)]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

mod commands;
mod config;
mod error;
mod input;
mod output;
mod say;

use config::args::{Args, Color};
use config::config_file;
use error::CliError;

/// Runs the command that the arguments name; errors go to standard error.
pub(crate) fn main() -> ExitCode {
    let result = parse().and_then(|args| {
        choose_color(args.color);
        commands::run(args.command)
    });
    result.unwrap_or_else(|error| {
        say::error(error);
        commands::ERROR.into()
    })
}

/// The arguments; with `--config`, the file's values are the defaults.
fn parse() -> Result<Args, CliError> {
    let command = match env::args_os().any(|argument| argument == "-h") {
        true => without_environment(Args::command()),
        false => Args::command(),
    };
    let args = parse_as(command.clone());
    match &args.config {
        None => Ok(args),
        Some(path) => Ok(parse_as(config_file::with_defaults_from(command, path)?)),
    }
}

/// The command, whose `-h` does not name the environment variables: every long flag has one, and they would double its lines.
fn without_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env(true))
        .mut_subcommands(without_environment)
}

/// Ends the program for `--help`, `--version` and bad usage.
fn parse_as(command: clap::Command) -> Args {
    let matches = command
        .try_get_matches()
        .unwrap_or_else(|error| blame_environment(mask(suggest_read(error))).exit());
    Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Adds what to try to the error of a user who names a capture without a command, as in `tlscope capture.pcap`.
fn suggest_read(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    if typed == "-" || Path::new(typed).exists() || has_name_of_capture(typed) {
        let tip = format!("to report the handshakes in a capture, use `tlscope read {typed}`");
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
        // Not a word with a letter wrong.
        error.remove(ContextKind::SuggestedSubcommand);
    }
    error
}

/// Takes the value of a header out of the error about it: it is a secret as a rule, and only its form is at fault.
fn mask(mut error: clap::Error) -> clap::Error {
    let is_header = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.starts_with("--otlp-header")
    );
    if is_header && error.get(ContextKind::InvalidValue).is_some() {
        let mask = ContextValue::String("***".to_owned());
        error.insert(ContextKind::InvalidValue, mask);
    }
    error
}

/// Names the environment variable in the error about a flag that was not typed.
fn blame_environment(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let Some(long) = flag.strip_prefix("--") else {
        return error;
    };
    let is_typed = env::args_os().any(|typed| {
        let typed = typed.to_string_lossy();
        typed.split('=').next() == Some(flag)
    });
    let variable = format!("TLSCOPE_{}", long.to_uppercase().replace('-', "_"));
    if !is_typed && env::var_os(&variable).is_some() {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

fn has_name_of_capture(typed: &str) -> bool {
    let name = typed.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".xz"]
        .iter()
        .find_map(|compressed| name.strip_suffix(compressed))
        .unwrap_or(&name);
    [".pcap", ".pcapng", ".cap", ".ntar"]
        .iter()
        .any(|extension| plain.ends_with(extension))
}

/// Applies `--color` to standard output and standard error; `auto` obeys `NO_COLOR`.
fn choose_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}
