//! The subcommands, a file each.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory};
use clap_complete::generate;

use crate::cli::config::ReadConfig;
use crate::cli::config::args::{Args, Command};
use crate::cli::error::Failure;
use crate::cli::output;

mod check;
#[cfg(live_capture)]
pub(crate) mod live;
mod print;
mod read;

/// Something could not be done: bad usage, unreadable input.
pub(crate) const ERROR: u8 = 2;

#[cfg_attr(not(live_capture), expect(unused_variables))]
pub(crate) fn run(command: Command, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    #[cfg(live_capture)]
    use crate::cli::config::{LiveConfig, print_config};

    match command {
        Command::Read(args) => read::read(ReadConfig::resolve(args)?),
        #[cfg(live_capture)]
        Command::Live(args) if args.print_config => print_text(|stdout| {
            stdout.write_all(print_config::as_file(&Args::command(), matches).as_bytes())
        }),
        #[cfg(live_capture)]
        Command::Live(args) => {
            let chose_format = print_config::is_chosen(matches, "format");
            live::live(LiveConfig::resolve(args, chose_format)?)
        }
        #[cfg(live_capture)]
        Command::Interfaces => live::interfaces::list(),
        Command::Check(args) => check::check(args),
        Command::Schema => print_text(|stdout| {
            serde_json::to_writer_pretty(&mut *stdout, &tlscope::sink::schema::json_schema())?;
            writeln!(stdout)
        }),
        Command::Print { what } => print_text(|stdout| print::print(what, stdout)),
        Command::Completions { shell } => print_text(|stdout| {
            generate(shell, &mut Args::command(), "tlscope", stdout);
            Ok(())
        }),
    }
}

/// Writes a whole text to standard output.
fn print_text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    write(&mut text)
        .and_then(|()| io::stdout().write_all(&text))
        .and_then(|()| io::stdout().flush())
        .or_else(output::closed_pipe_is_success)?;
    Ok(ExitCode::SUCCESS)
}
