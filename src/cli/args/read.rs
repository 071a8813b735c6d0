//! `tlscope read`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{JudgementArgs, MetricsArgs, defaults};

pub(super) const READ_EXAMPLES: &str = "\
Examples:
  Read one capture:
      tlscope read capture.pcapng
  Only failures, of some servers, as JSON lines:
      tlscope read --format json --failures-only --server-name '*.example.org' capture.pcapng
  A directory of rotated captures, summed up:
      tlscope read --format summary captures/
  From another host, as packets arrive:
      ssh host tcpdump -U -w - tcp port 443 | tlscope read -
  The certificates of a network, held against its own roots:
      tlscope read --format certs --ca-file corporate-ca.pem capture.pcapng
  To a collector:
      tlscope read --otlp-endpoint http://localhost:4318 capture.pcapng";

/// What `tlscope read` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReadArgs {
    /// Captures to read: files, directories of captures, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,

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

    /// Write each certificate shown into a directory
    ///
    /// As a file of PEM named by its SHA-256, once, and an index of where each was
    /// shown, `index.json`. The directory is made if it is not there.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Output",
        env = "TLSCOPE_EXTRACT_CERTS"
    )]
    pub(in crate::cli) extract_certs: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) judgement: JudgementArgs,

    /// Threads that take handshakes apart
    ///
    /// The output is the same for any number. More than 16 are of no use.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::THREADS).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Input", env = "TLSCOPE_THREADS"
    )]
    pub(in crate::cli) threads: NonZeroUsize,

    #[command(flatten)]
    pub(in crate::cli) metrics: MetricsArgs,
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
    /// A table of the certificates, the soonest to expire first, with who shows them.
    Certs,
}
