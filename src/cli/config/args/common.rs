//! Which packets and handshakes are used and how they are written: flags of every command that reports handshakes.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use tlscope::sink::OutputFormat;

use super::{InputArgs, defaults};

/// From packets to output.
#[derive(Debug, clap::Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Report only handshakes that failed, or whose peer was refused afterwards
    ///
    /// Some programs complete the handshake and then refuse their peer, for example with
    /// HTTP 400. Such a handshake is a success with `rejected_after`. The summary and the
    /// metrics still count all handshakes.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Selection", env = "TLSCOPE_FAILURES_ONLY"
    )]
    pub(crate) failures_only: bool,

    /// Save the packets of each failed handshake to its own capture
    ///
    /// Writes pcapng files to a directory, which tlscope creates if it does not exist. A
    /// file has the packets from the SYN to the failure, and the failure as a comment. A
    /// handshake that completed and whose peer was refused afterwards counts as failed here.
    /// JSON lines name it in `saved_to`. tlscope keeps packets in memory while a handshake
    /// is open: up to 256 packets or 256 KiB per handshake, and 36 MiB in total by default.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Output",
        env = "TLSCOPE_SAVE_FAILURES"
    )]
    pub(crate) save_failures: Option<PathBuf>,

    /// How many saved failures to keep
    ///
    /// Beyond that, the server and cause with the most captures lose their oldest, so a storm
    /// of one failure does not delete the captures of others. Captures of earlier runs in
    /// the same directory count.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::SAVED_FAILURES).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Output", env = "TLSCOPE_SAVE_FAILURES_KEEP"
    )]
    pub(crate) save_failures_keep: NonZeroUsize,

    /// Output format
    #[arg(
        long, value_enum, default_value_t = OutputFormat::Table,
        help_heading = "Output", env = "TLSCOPE_FORMAT"
    )]
    pub(crate) format: OutputFormat,

    /// Do not cut lines to the width of the terminal
    ///
    /// Lines for people fit the terminal: long names are cut in the middle, and columns
    /// are left out where there is no room. Without a terminal, nothing is cut.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Output", env = "TLSCOPE_WIDE"
    )]
    pub(crate) wide: bool,

    /// Write each presented certificate to a directory
    ///
    /// Each certificate becomes one PEM file with its SHA-256 as the name; `index.json` lists
    /// where each was presented. tlscope creates the directory if it does not exist.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Output",
        env = "TLSCOPE_EXTRACT_CERTS"
    )]
    pub(crate) extract_certs: Option<PathBuf>,
}
