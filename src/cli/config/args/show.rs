//! `tlscope show`.

use super::{InputArgs, JudgementArgs, TimeArgs};

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  List the handshakes in a capture, numbered:
      tlscope show capture.pcapng
  One of them in full, by number or by what `read --format json` calls it:
      tlscope show capture.pcapng 3
      tlscope show capture.pcapng 6f1c0000000000a7
  By its connection or its server:
      tlscope show capture.pcapng '192.0.2.21:39796 -> 198.51.100.20:443'
      tlscope show capture.pcapng pay.example.org
  As JSON, with its messages:
      tlscope show --format json capture.pcapng 3
  The one that failed for a cause, decrypted:
      tlscope show --error unknown_ca --keylog keys.log capture.pcapng

Exit status:
  0  A handshake was shown, or the handshakes were listed.
  2  No handshake matches the selector, or more than one does; or an error.";

/// How `tlscope show` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ShowFormat {
    /// For people.
    Text,
    /// One JSON object per handshake: that of `read --format json` with names, its number and its messages.
    Json,
}

/// The arguments of `tlscope show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Captures to read, and the handshake to show
    ///
    /// Captures are files, directories of captures, or `-` for standard input. A last
    /// argument that is not a file selects the handshake: by its number in the list, its
    /// flow id or Community ID, its client, its server or both (`A -> B`), or the name of
    /// its server. Without it, tlscope shows the handshake if there is one, and lists
    /// them otherwise.
    #[arg(required = true, value_name = "CAPTURE|SELECTOR")]
    pub(crate) arguments: Vec<String>,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) time: TimeArgs,

    #[command(flatten)]
    pub(crate) judgement: JudgementArgs,

    /// Output format
    #[arg(
        long, value_enum, value_name = "FORMAT", default_value_t = ShowFormat::Text,
        help_heading = "Output", env = "TLSCOPE_FORMAT"
    )]
    pub(crate) format: ShowFormat,

    /// Do not cut or wrap lines to the width of the terminal
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Output", env = "TLSCOPE_WIDE"
    )]
    pub(crate) wide: bool,
}
