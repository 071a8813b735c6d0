//! `tlscope run`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::size;
use crate::cli::config::args::check::AssertionArgs;
use crate::cli::config::args::{JudgementArgs, Threads, TunnelArgs};

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  Run a test script and evaluate the default policy on its handshakes:
      tlscope run -- ./integration-tests.sh
  Evaluate a policy on two ports, and keep the capture with its secrets:
      tlscope run --policy tlscope.toml --port 8443,9443 --save tests.pcapng -- make test
  Capture on all interfaces, and write a report for the build server:
      tlscope run -i any --format text,junit=tls.xml -- ./integration-tests.sh
  As an ordinary user, once the program has the capability:
      sudo setcap cap_net_raw+ep \"$(command -v tlscope)\"
      tlscope run -- ./integration-tests.sh

Clients that log their secrets to SSLKEYLOGFILE: curl, Python, browsers, and other
programs with OpenSSL if they ask for it (`openssl s_client -keylogfile`). The
handshakes of others are evaluated without secrets.

Exit status:
  That of the command if it is not 0 (128 and the signal's number if a signal ended
  it; 127 if there is no such command, 126 if it cannot be executed). Otherwise:
  0  All assertions held, in whole or in part; warnings do not count.
  1  An assertion of severity error does not hold.
  2  An error: bad usage, an invalid policy, no permission to capture, or packets
     that could not be recorded.";

/// What `tlscope run` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The command to run, with its arguments
    ///
    /// Everything from the command on belongs to it: write the options of tlscope before it, and `--` between them.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,

    /// Interface to capture on, or `any` for all; repeatable
    #[arg(
        short,
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "lo",
        help_heading = "Input",
        env = "TLSCOPE_INTERFACE"
    )]
    pub(crate) interface: Vec<String>,

    /// Capture only these ports, of TCP and UDP, of either side
    #[arg(
        long,
        value_name = "PORT",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_PORT"
    )]
    pub(crate) port: Vec<u16>,

    /// Capture only packets that match a filter
    ///
    /// Uses tcpdump's filter syntax; see pcap-filter(7).
    #[arg(
        short,
        long,
        value_name = "BPF",
        help_heading = "Selection",
        env = "TLSCOPE_FILTER"
    )]
    pub(crate) filter: Option<String>,

    /// Evaluate only handshakes with servers whose name matches
    ///
    /// The name is the one that the client asked for. `*` stands for any characters,
    /// `?` for one; case does not matter.
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "TLSCOPE_SERVER_NAME"
    )]
    pub(crate) server_name: Option<String>,

    /// Let the command log its secrets to this file, and keep the file
    ///
    /// The default is the file that SSLKEYLOGFILE already names, or a temporary file that
    /// only this user can read.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Input",
        env = "TLSCOPE_KEYLOG"
    )]
    pub(crate) keylog: Option<PathBuf>,

    /// Save the capture, with the secrets of its connections
    ///
    /// As a pcapng file with a Decryption Secrets Block, which Wireshark and `tlscope
    /// read` decrypt. Only this user can read it.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        env = "TLSCOPE_SAVE"
    )]
    pub(crate) save: Option<PathBuf>,

    /// Size of the kernel's packet buffer for each interface
    ///
    /// In bytes, or with K, M or G as in `64M`. If it is full, the kernel drops packets;
    /// tlscope counts them, and evaluates the others.
    #[arg(
        long, value_name = "SIZE", default_value = "64M", value_parser = size,
        help_heading = "Input", env = "TLSCOPE_BUFFER_SIZE"
    )]
    pub(crate) buffer_size: u64,

    /// Report which processes of this host hold the sockets of a handshake that violates the policy
    ///
    /// As for `live`. Process, command, and container or systemd unit follow what was seen.
    /// Run tlscope as root to see processes of other users.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Input", env = "TLSCOPE_ATTRIBUTE_PROCESSES"
    )]
    pub(crate) attribute_processes: bool,

    #[command(flatten)]
    pub(crate) tunnels: TunnelArgs,

    /// Worker threads: a number, or `auto`
    ///
    /// The output is the same for any number. At most 16 are used. `auto` uses one for each
    /// core, and at most 4.
    #[arg(
        long,
        value_name = "N",
        default_value = "auto",
        help_heading = "Input",
        env = "TLSCOPE_THREADS"
    )]
    pub(crate) threads: Threads,

    #[command(flatten)]
    pub(in crate::cli) assertions: AssertionArgs,

    #[command(flatten)]
    pub(crate) judgement: JudgementArgs,
}
