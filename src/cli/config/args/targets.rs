//! `tlscope targets`.

use std::path::PathBuf;

use tlscope::sink::machine::targets::TargetFormat;

use super::{InputArgs, MemoryArgs, TimeArgs};

pub(super) const TARGETS_EXAMPLES: &str = "\
Examples:
  Endpoints whose certificates are hidden, for Prometheus:
      tlscope targets --hidden captures/ > tls.json.new && mv tls.json.new /etc/prometheus/tls.json
  Each backend behind a name:
      tlscope targets --by-address --server-name '*.example.org' capture.pcapng
  For a shell loop:
      tlscope targets --format text capture.pcapng

Labels, for relabel_configs; lists begin and end with a comma:
  __meta_tlscope_server_name         The name that clients asked for; absent without one
  __meta_tlscope_addresses           List of the server's addresses, at most 16
  __meta_tlscope_versions            List of the versions negotiated, as `TLS 1.3`
  __meta_tlscope_certificate         `hidden`, `visible` or `not_seen`
  __meta_tlscope_client_certificate  `requested`, `not_requested` or `unknown`
  __meta_tlscope_starttls            `smtp`, `imap`, …; absent where TLS starts at once";

/// The arguments of `tlscope targets`.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetsArgs {
    /// Captures to read: files, directories of captures, or `-` for standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) time: TimeArgs,

    #[command(flatten)]
    pub(crate) memory: MemoryArgs,

    /// List only endpoints whose certificates TLS 1.3 hides
    ///
    /// An endpoint that showed its certificate in any handshake is left out, and so is
    /// one whose sessions were all resumed.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Selection", env = "TLSCOPE_HIDDEN"
    )]
    pub(crate) hidden: bool,

    /// List each address of an endpoint as a target of its own
    ///
    /// The name stays in the label `__meta_tlscope_server_name`, for the prober's
    /// `hostname` parameter. This finds the backend that still serves an old certificate.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Output", env = "TLSCOPE_BY_ADDRESS"
    )]
    pub(crate) by_address: bool,

    /// Output format
    #[arg(
        long, value_enum, default_value_t = TargetFormat::FileSd,
        help_heading = "Output", env = "TLSCOPE_FORMAT"
    )]
    pub(crate) format: TargetFormat,
}
