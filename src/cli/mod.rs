//! The command line: what a run is asked to do ([`config`]), what it reads ([`input`]), what it
//! writes ([`output`]), and the subcommands that connect them ([`commands`]).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program has clocks, signals and a screen"
)]

use std::env;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

mod commands;
mod config;
mod error;
mod input;
mod output;
mod say;
mod usage;

use config::args::{Args, Color};
use config::{RunFiles, config_file, dependent, variables};
use error::CliError;

/// Runs the command that the arguments name; errors go to standard error.
pub(crate) fn main() -> ExitCode {
    let result = parse().and_then(|(args, matches)| {
        choose_color(args.color);
        let variables = env::vars_os().map(|(name, _)| name);
        let warnings = dependent::without_effect(&matches).into_iter();
        for warning in warnings.chain(variables::misspelt(variables)) {
            say::warning(warning);
        }
        RunFiles::of(&args).check()?;
        commands::run(args.command)
    });
    result.unwrap_or_else(|error| {
        say::error(error);
        commands::ERROR.into()
    })
}

/// The arguments, and how clap matched them; with `--config`, the file's values are the defaults.
fn parse() -> Result<(Args, ArgMatches), CliError> {
    let command = match env::args_os().any(|argument| argument == "-h") {
        true => without_environment(Args::command()),
        false => Args::command(),
    };
    let parsed = parse_as(command.clone())?;
    match &parsed.0.config {
        None => Ok(parsed),
        Some(path) => parse_as(config_file::with_defaults_from(command, path)?),
    }
}

/// The command, whose `-h` does not name the environment variables: every long flag has one, and they would double its lines.
fn without_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env(true))
        .mut_subcommands(without_environment)
}

/// Ends the program for `--help` and `--version`.
fn parse_as(command: clap::Command) -> Result<(Args, ArgMatches), CliError> {
    let matches = command.clone().try_get_matches();
    matches
        .and_then(|matches| Ok((Args::from_arg_matches(&matches)?, matches)))
        .map_err(|error| usage::refused(&command, &error))
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
