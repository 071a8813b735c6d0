//! What is looked at and how it is written: the same flags for every command that takes packets.

use clap::ValueEnum;

use super::InputArgs;

/// From packets to output.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CommonArgs {
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
