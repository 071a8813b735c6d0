//! The command line: arguments ([`config`]), and what they run ([`commands`]).

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use owo_colors::OwoColorize;
use tlscope::capture::{Problem, Severity};

mod commands;
mod config;
mod error;
mod input;
mod output;

use config::args::{Args, Color};
use config::config_file;
use error::Failure;

/// Runs what the arguments ask for; errors go to standard error.
pub(crate) fn main() -> ExitCode {
    let done = parse().and_then(|(args, matches)| {
        choose_color(args.color);
        commands::run(args.command, &matches)
    });
    match done {
        Ok(code) => code,
        Err(failure) => {
            tell(|stderr| write!(stderr, "{}: {failure}", "error".red().bold()));
            ExitCode::from(commands::ERROR)
        }
    }
}

/// The arguments; with `--config`, those that were not given come from the file.
fn parse() -> Result<(Args, ArgMatches), Failure> {
    let command = Args::command();
    let (args, matches) = matches(command.clone());
    match &args.config {
        None => Ok((args, matches)),
        Some(path) => Ok(self::matches(config_file::with_defaults_from(
            command, path,
        )?)),
    }
}

/// Ends the program for `--help`, `--version` and bad usage.
fn matches(command: clap::Command) -> (Args, ArgMatches) {
    let matches = command.get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    (args, matches)
}

/// Applies `--color` to standard output and standard error alike; `auto` obeys `NO_COLOR`.
fn choose_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Says what was wrong with the input.
fn tell_problem(problem: &Problem) {
    match problem.severity {
        Severity::Warning => tell_warning(&problem.text),
        Severity::Error => {
            tell(|stderr| write!(stderr, "{}: {}", "error".red().bold(), problem.text))
        }
    }
}

fn tell_warning(warning: impl Display) {
    tell(|stderr| write!(stderr, "{}: {warning}", "warning".yellow().bold()));
}

/// Says something to the person at the terminal, who may have closed it.
fn tell(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    #[cfg(live_capture)]
    if commands::live::screen::is_shown() {
        let mut text = Vec::new();
        let _ = write(&mut text); // a Vec takes all
        return commands::live::screen::note(&String::from_utf8_lossy(&text));
    }
    let mut stderr = anstream::stderr().lock();
    let _ = write(&mut stderr).and_then(|()| writeln!(stderr));
}
