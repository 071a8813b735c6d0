//! Arguments as typed. Their doc comments are the help and the manual, and the configuration file takes the same flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

mod check;
mod common;
mod input;
mod judgement;
#[cfg(live_capture)]
mod live;
#[cfg(test)]
mod man_page;
mod metrics;
mod print;
mod read;

pub(in crate::cli) use check::{AssertionArgs, CheckArgs, PrintedPolicy, ReportTo};
pub(crate) use common::CommonArgs;
pub(crate) use input::InputArgs;
pub(crate) use judgement::{At, JudgementArgs};
#[cfg(live_capture)]
pub(crate) use live::{
    FileArgs, FlagSource, FlagSources, InterfaceCommand, LiveArgs, LiveMetricsArgs, RunArgs,
};
pub(crate) use metrics::{HistogramChoice, MetricsArgs, MetricsOutput, OtlpLogs, ProtocolChoice};
pub(crate) use print::Asset;
pub(crate) use read::ReadArgs;

use check::CHECK_EXAMPLES;
use print::PRINT_EXAMPLES;
use read::READ_EXAMPLES;

/// Default values; help and manual quote them.
mod defaults {
    pub(crate) const NEAR_EXPIRY_DAYS: u32 = 30;
    /// Automatic renewal (ACME clients) replaces a certificate when a third of its lifetime is left.
    pub(crate) const NEAR_EXPIRY_PERCENT: u8 = 33;
    pub(crate) const THREADS: usize = 1;
    /// 256 MiB at most, since the packets of one handshake take up to 256 KiB.
    pub(crate) const SAVED_FAILURES: usize = 1024;
}

/// Passive observer of TLS handshakes: how long they took, how they ended, whose fault and why
///
/// tlscope only listens: it needs no agent, no proxy and no keys. It reads packet
/// captures or watches interfaces, and says of every TLS handshake how long it took,
/// phase by phase; how it ended; if it failed, which side gave up and why; and which
/// certificates were shown and what is wrong with them. In CI, it holds captures
/// against a policy.
#[derive(Debug, Parser)]
#[command(name = "tlscope", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Read settings from a TOML file
    ///
    /// Every long flag can be set there by its name: `color` at the top, the flags
    /// of a command in a table named for it, as in `[read]` and `near-expiry = 14`.
    /// Every long flag can be set by an environment variable too. The command line
    /// wins over the environment, the environment over the file.
    #[arg(long, global = true, value_name = "FILE", env = "TLSCOPE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// When to use colour
    ///
    /// `auto` colours what goes to a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, env = "TLSCOPE_COLOR")]
    pub(crate) color: Color,
}

const AFTER_HELP: &str = "\
Exit status:
  0  All went well, whatever the handshakes did; also if whoever read the output
     closed it.
  1  `check` or `run`: an assertion of severity error does not hold. If the command
     of `run` fails, its exit status is that of `run`.
  2  An error: bad usage, or input that could not be read; what could be read is
     reported first.";

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
pub(crate) enum Command {
    /// Read packet captures and report the handshakes in them
    ///
    /// Prints a line a handshake and a summary. Reads pcap and pcapng, each also
    /// compressed by gzip, zstd or xz. Several captures are read in the order of
    /// packet time, as one.
    #[command(after_long_help = READ_EXAMPLES)]
    Read(ReadArgs),

    #[cfg(live_capture)]
    #[command(flatten)]
    Interface(InterfaceCommand),

    /// Check captures against a policy, for CI
    ///
    /// Judges every handshake by a policy, and says which ones break it, where they
    /// are and what was wanted. What cannot be judged, as certificates that TLS 1.3
    /// encrypts, is counted and said, not passed over. A capture without any handshake
    /// fails the check.
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(CheckArgs),

    /// Print the JSON Schema of `read --format json`
    Schema,

    /// Print a file that goes with the program: alert rules, a dashboard, …
    #[command(after_long_help = PRINT_EXAMPLES)]
    Print {
        /// Which one
        #[arg(value_name = "WHAT")]
        what: Asset,
    },

    /// Print a completion script for a shell
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(flags: &[&str]) -> Result<ReadArgs, clap::Error> {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        Args::try_parse_from(arguments).map(|args| match args.command {
            Command::Read(read) => read,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_long_flag_has_its_environment_variable() {
        let root = Args::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long() else {
                    continue;
                };
                let expected = format!("TLSCOPE_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(argument.get_env().unwrap(), expected.as_str());
            }
        }
    }

    #[test]
    fn a_boolean_flag_can_be_set_to_false() {
        assert!(!read(&[]).unwrap().common.failures_only);
        assert!(read(&["--failures-only"]).unwrap().common.failures_only);
        assert!(
            !read(&["--failures-only=false"])
                .unwrap()
                .common
                .failures_only
        );
    }

    #[test]
    fn rejects_zero_threads_and_a_missing_path() {
        assert!(read(&["--threads", "0"]).is_err());
        assert!(Args::try_parse_from(["tlscope", "read"]).is_err());
    }
}
