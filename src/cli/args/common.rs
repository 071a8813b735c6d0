//! What is looked at and how it is written: the same flags for every command that takes packets.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;

use super::defaults;

/// From packets to output.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CommonArgs {
    /// Use only packets that match a filter
    ///
    /// In the language of tcpdump; see pcap-filter(7). A filter sees tagged packets
    /// only if it asks for them: `tcp port 443 or (vlan and tcp port 443)`.
    #[arg(
        short,
        long,
        value_name = "BPF",
        help_heading = "Selection",
        env = "TLSCOPE_FILTER"
    )]
    pub(in crate::cli) filter: Option<String>,

    /// Decrypt handshakes with the secrets in a key log
    ///
    /// In the format that browsers and TLS libraries write where SSLKEYLOGFILE says;
    /// can be given more than once. Certificates and alerts that are encrypted come
    /// to light, and verdicts that were inferred become exact. Application data is
    /// not decrypted. Secrets inside a pcapng are used without being asked for.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Input",
        env = "TLSCOPE_KEYLOG"
    )]
    pub(in crate::cli) keylog: Vec<PathBuf>,

    /// Report only handshakes with servers whose name matches
    ///
    /// The name is the one that the client asked for. `*` stands for any characters,
    /// `?` for one; case does not matter. Other handshakes are not counted in the
    /// summary and the metrics either.
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Selection",
        env = "TLSCOPE_SERVER_NAME"
    )]
    pub(in crate::cli) server_name: Option<String>,

    /// Report only handshakes that failed
    ///
    /// The summary and the metrics still count all.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Selection", env = "TLSCOPE_FAILURES_ONLY"
    )]
    pub(in crate::cli) failures_only: bool,

    /// How to write the handshakes
    #[arg(
        long, value_enum, default_value_t = Format::Table,
        help_heading = "Output", env = "TLSCOPE_FORMAT"
    )]
    pub(in crate::cli) format: Format,

    /// Threads that take handshakes apart
    ///
    /// The output is the same for any number. More than 16 are of no use.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::THREADS).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Input", env = "TLSCOPE_THREADS"
    )]
    pub(in crate::cli) threads: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// A line a handshake, then the summary.
    Table,
    /// The summary alone.
    Summary,
    /// An object a line; `tlscope schema` describes them.
    Json,
    /// Comma-separated values.
    Csv,
}
