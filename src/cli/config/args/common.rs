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
    /// A program may complete the handshake and refuse its peer then (an HTTP 400, a name that does not match). Such a
    /// handshake is a success with `rejected_after`. The summary and the metrics still count all.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Selection", env = "TLSCOPE_FAILURES_ONLY"
    )]
    pub(crate) failures_only: bool,

    /// Save the packets of each failed handshake to a capture of their own
    ///
    /// As pcapng files in a directory, which is made if it is not there: the packets
    /// from the SYN to the failure, with what is known of it as a comment. JSON lines
    /// name the file as `saved_to`. Packets are kept in memory while a handshake is
    /// open: up to 256 and 256 KiB of one, 64 MiB of all.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Output",
        env = "TLSCOPE_SAVE_FAILURES"
    )]
    pub(crate) save_failures: Option<PathBuf>,

    /// How many of them to keep: the newest
    ///
    /// Those of earlier runs in the same directory count.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::SAVED_FAILURES).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Output", env = "TLSCOPE_SAVE_FAILURES_KEEP"
    )]
    pub(crate) save_failures_keep: NonZeroUsize,

    /// How to write the handshakes
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
    pub(crate) extract_certs: Option<PathBuf>,
}
