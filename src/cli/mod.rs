//! The command line: arguments as typed ([`args`]), as resolved ([`config`]), and what they run ([`run`]).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program has clocks, signals and a screen"
)]

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::generate;
use owo_colors::OwoColorize;
use tlscope::capture::{Problem, Severity};

mod args;
mod check;
mod config;
mod failure;
mod file;
#[cfg(all(feature = "live", target_os = "linux"))]
mod host;
mod input;
#[cfg(all(feature = "live", target_os = "linux"))]
mod interfaces;
mod keylog;
#[cfg(all(feature = "live", target_os = "linux"))]
mod live;
#[cfg(test)]
mod manual;
mod metrics;
mod output;
mod print;
mod progress;
mod rotate;
mod run;
#[cfg(all(feature = "live", target_os = "linux"))]
mod screen;
#[cfg(all(feature = "live", target_os = "linux"))]
mod settings;
mod trust;

use args::{Args, Color, Command};
use config::ReadConfig;
use failure::Failure;

/// Something could not be done: bad usage, unreadable input.
const ERROR: u8 = 2;

/// Runs what the arguments ask for; errors go to standard error.
pub(crate) fn main() -> ExitCode {
    let done = parse().and_then(|(args, matches)| {
        choose_color(args.color);
        run(args.command, &matches)
    });
    match done {
        Ok(code) => code,
        Err(failure) => {
            tell(|stderr| write!(stderr, "{}: {failure}", "error".red().bold()));
            ExitCode::from(ERROR)
        }
    }
}

/// The arguments; with `--config`, those that were not given come from the file.
fn parse() -> Result<(Args, ArgMatches), Failure> {
    let command = Args::command();
    let (args, matches) = matches(command.clone());
    match &args.config {
        None => Ok((args, matches)),
        Some(path) => Ok(self::matches(file::with_defaults_from(command, path)?)),
    }
}

/// Ends the program for `--help`, `--version` and bad usage.
fn matches(command: clap::Command) -> (Args, ArgMatches) {
    let matches = command.get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    (args, matches)
}

#[cfg_attr(
    not(all(feature = "live", target_os = "linux")),
    expect(unused_variables)
)]
fn run(command: Command, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    match command {
        Command::Read(args) => run::read(ReadConfig::resolve(args)?),
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::Live(args) if args.print_config => print(|stdout| {
            stdout.write_all(settings::as_file(&Args::command(), matches).as_bytes())
        }),
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::Live(args) => {
            let chose_format = settings::is_chosen(matches, "format");
            live::live(config::LiveConfig::resolve(args, chose_format)?)
        }
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::Interfaces => interfaces::list(),
        Command::Check(args) => check::check(args),
        Command::Schema => print(|stdout| {
            serde_json::to_writer_pretty(
                &mut *stdout,
                &tlscope::sink::machine::schema::json_schema(),
            )?;
            writeln!(stdout)
        }),
        Command::Print { what } => print(|stdout| print::print(what, stdout)),
        Command::Completions { shell } => print(|stdout| {
            generate(shell, &mut Args::command(), "tlscope", stdout);
            Ok(())
        }),
    }
}

/// Writes a whole text to standard output.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    write(&mut text)
        .and_then(|()| io::stdout().write_all(&text))
        .and_then(|()| io::stdout().flush())
        .or_else(output::closed_pipe_is_success)?;
    Ok(ExitCode::SUCCESS)
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
    #[cfg(all(feature = "live", target_os = "linux"))]
    if screen::is_shown() {
        let mut text = Vec::new();
        let _ = write(&mut text); // a Vec takes all
        return screen::note(&String::from_utf8_lossy(&text));
    }
    let mut stderr = anstream::stderr().lock();
    let _ = write(&mut stderr).and_then(|()| writeln!(stderr));
}
