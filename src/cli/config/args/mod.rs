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
mod memory;
mod metrics;
mod print;
mod read;
mod selection;
mod show;
mod size;
mod targets;
mod threads;
mod tunnels;

pub(in crate::cli) use check::{AssertionArgs, CheckArgs, NotOneOf, PrintedPolicy, ReportTo};
pub(crate) use common::CommonArgs;
pub(crate) use input::InputArgs;
pub(crate) use judgement::{At, JudgementArgs};
#[cfg(live_capture)]
pub(crate) use live::{
    FileArgs, FlagSource, FlagSources, InterfaceCommand, LiveArgs, LiveMetricsArgs, RunArgs,
};
pub(crate) use memory::MemoryArgs;
pub(crate) use metrics::{
    HistogramChoice, MetricsArgs, MetricsOutput, NameChoice, OtlpLogs, ProtocolChoice,
};
pub(crate) use print::Asset;
pub(crate) use read::ReadArgs;
pub(crate) use selection::{SelectionArgs, TimeArgs};
pub(crate) use show::{ShowArgs, ShowFormat};
pub(crate) use targets::TargetsArgs;
pub(crate) use threads::Threads;
pub(crate) use tunnels::TunnelArgs;

use check::CHECK_EXAMPLES;
use print::PRINT_EXAMPLES;
use read::READ_EXAMPLES;
use show::SHOW_EXAMPLES;
use targets::TARGETS_EXAMPLES;

/// Default values; help and manual quote them.
mod defaults {
    pub(crate) const NEAR_EXPIRY_DAYS: u32 = 30;
    /// Automatic renewal (ACME clients) replaces a certificate when a third of its lifetime is left.
    pub(crate) const NEAR_EXPIRY_PERCENT: u8 = 33;
    /// What reads the capture keeps up with no more, and most machines have other work, too.
    pub(crate) const MOST_AUTO_THREADS: usize = 4;
    /// 256 MiB at most, since the packets of one handshake take up to 256 KiB.
    pub(crate) const SAVED_FAILURES: usize = 1024;
}

/// Observe TLS handshakes passively: how long they took, how they ended, and why they failed
///
/// tlscope only listens: it needs no agent, no proxy and no keys. It reads packet
/// captures or watches interfaces, and reports for every TLS handshake how long each
/// phase took, how it ended and, if it failed, which side gave up and why. It also
/// validates the certificates. In CI, it checks captures against a policy.
#[derive(Debug, Parser)]
#[command(name = "tlscope", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Read settings from a TOML file
    ///
    /// The file can set every long flag by its name: `color` at the top, and the flags
    /// of a command in a table with its name, as in `[read]` and `near-expiry = 14`.
    /// Every long flag also has an environment variable. The command line takes
    /// precedence over the environment, and the environment over the file.
    #[arg(long, global = true, value_name = "FILE", env = "TLSCOPE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// When to use colour
    ///
    /// `auto` uses colour on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, env = "TLSCOPE_COLOR")]
    pub(crate) color: Color,
}

const AFTER_HELP: &str = "\
Exit status:
  0  tlscope read everything, whatever the outcome of the handshakes. This
     includes output closed early, for example by `head`, and a capture that was
     cut off, with a warning.
  1  `check` or `run`: an assertion of severity error is violated. If the command of
     `run` fails, `run` exits with the status of the command.
  2  An error: wrong usage, or input that could not be read. The report on the rest is
     still written.";

/// The identifier of `schema --policy`, which is no setting: it has the name of a flag of `check` that is one.
pub(crate) const POLICY_SCHEMA: &str = "policy_schema";

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
pub(crate) enum Command {
    /// Read packet captures and report the handshakes in them
    ///
    /// Prints a line per handshake and a summary. Reads pcap and pcapng, also
    /// compressed with gzip, zstd or xz. Several captures are read as one, in the
    /// order of packet time.
    #[command(after_long_help = READ_EXAMPLES)]
    Read(ReadArgs),

    /// Show one handshake in full: messages, offers, certificates, verdict
    ///
    /// Prints the messages of each side with their times, what the client offered and the
    /// server selected, the certificates with their dates and findings, the verdict and its
    /// evidence, what the capture does not show, and a display filter for Wireshark.
    #[command(after_long_help = SHOW_EXAMPLES)]
    Show(ShowArgs),

    #[cfg(live_capture)]
    #[command(flatten)]
    Interface(InterfaceCommand),

    /// Check captures against a policy, for CI
    ///
    /// Evaluates a policy and lists the handshakes that violate it, with their packets
    /// and what the policy requires. If something cannot be evaluated, such as
    /// certificates that TLS 1.3 encrypts, the report says so. A capture without
    /// handshakes fails the check.
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(CheckArgs),

    /// List the TLS endpoints in captures as targets for Prometheus
    ///
    /// TLS 1.3 hides certificates from an observer without keys. A prober that connects,
    /// such as blackbox_exporter, sees them: this command lists where to connect, with
    /// labels for relabelling. An endpoint is the name that clients asked for and a port,
    /// or without a name an address and a port. Only endpoints whose server sent a
    /// ServerHello are listed, and only those over TCP.
    #[command(after_long_help = TARGETS_EXAMPLES)]
    Targets(TargetsArgs),

    /// Print the JSON Schema of `read --format json`, or of policies
    Schema {
        /// Print the schema of policies of `check` instead, for editors
        ///
        /// Save it next to the policy, and begin the policy with the line
        /// `#:schema ./policy.schema.json`: editors with Taplo (Even Better TOML) then
        /// complete keys, explain them and underline mistakes.
        #[arg(id = POLICY_SCHEMA, long = "policy")]
        policy: bool,
    },

    /// Print a file that comes with the program: alert rules, a dashboard and others
    #[command(after_long_help = PRINT_EXAMPLES)]
    Print {
        /// The file to print
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
    use crate::cli::config::config_file;

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
                if !config_file::is_setting(argument) {
                    continue;
                }
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
