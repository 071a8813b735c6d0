//! The subcommands.

use std::process::ExitCode;

use crate::cli::config::ReadConfig;
use crate::cli::config::args::Command;
use crate::cli::error::CliError;

mod check;
#[cfg(live_capture)]
mod live;
mod print;
mod read;
#[cfg(live_capture)]
mod run;
mod show;
mod targets;

/// Exit status of a run that failed: bad usage, unreadable input.
pub(crate) const ERROR: u8 = 2;

/// Runs a command; the exit status is that of the program.
pub(crate) fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Read(args) => read::run(&ReadConfig::resolve(args)?),
        Command::Show(args) => show::run(args),
        #[cfg(live_capture)]
        Command::Interface(command) => live::run(command),
        Command::Check(args) => check::check(args),
        Command::Targets(args) => targets::targets(&args),
        Command::Schema { policy } => print::schema(policy),
        Command::Print { what } => print::asset(what),
        Command::Completions { shell } => print::completions(shell),
    }
}
