//! `tlscope read`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{InputArgs, JudgementArgs, MetricsArgs};

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
  To a collector:
      tlscope read --otlp-endpoint http://localhost:4318 capture.pcapng";

/// What `tlscope read` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReadArgs {
    /// Captures to read: files, directories of captures, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) input: InputArgs,

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

    #[command(flatten)]
    pub(in crate::cli) judgement: JudgementArgs,

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
}
