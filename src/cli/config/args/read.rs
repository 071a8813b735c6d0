//! `tlscope read`.

use std::path::PathBuf;

use tlscope::sink::sorted::SortOrder;

use super::{CommonArgs, JudgementArgs, MetricsArgs, TimeArgs};

pub(super) const READ_EXAMPLES: &str = "\
Examples:
  Read one capture:
      tlscope read capture.pcapng
  Only failures, of some servers, as JSON lines:
      tlscope read --format json --failures-only --server-name '*.example.org' capture.pcapng
  A directory of rotated captures, summary only:
      tlscope read --format summary captures/
  From another host, as packets arrive:
      ssh host tcpdump -U -w - tcp port 443 | tlscope read -
  As a page with plots, for a browser or a ticket:
      tlscope read --format summary --report report.html capture.pcapng
  The certificates of a network, validated against its own roots:
      tlscope read --format certs --ca-file corporate-ca.pem capture.pcapng
  An inventory of the cryptography in use, as a CycloneDX bill of materials:
      tlscope read --format cbom captures/ > cbom.json
  To a collector:
      tlscope read --otlp-endpoint http://localhost:4318 capture.pcapng";

/// The arguments of `tlscope read`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadArgs {
    /// Captures to read: files, directories of captures, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) common: CommonArgs,

    #[command(flatten)]
    pub(crate) time: TimeArgs,

    /// Order of the handshakes: `time`, `duration`, `expiry` or `server`
    ///
    /// `duration` begins with the longest, `expiry` with the certificate that is the next to
    /// expire. tlscope then writes nothing before the end of the input. Without this option,
    /// rows come in order of time, and other formats have handshakes in the order of their
    /// verdicts.
    #[arg(
        long,
        value_enum,
        value_name = "ORDER",
        hide_possible_values = true,
        help_heading = "Output",
        env = "TLSCOPE_SORT"
    )]
    pub(crate) sort: Option<SortOrder>,

    /// JSON: write the names of what clients offer next to the numbers
    ///
    /// Adds `tls.names`, with the keys `offered_versions`, `offered_cipher_suites`,
    /// `offered_groups`, `key_share_groups` and `signature_algorithms`.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Output", env = "TLSCOPE_NAMES"
    )]
    pub(crate) names: bool,

    #[command(flatten)]
    pub(crate) judgement: JudgementArgs,

    /// Write a report with plots to an HTML file
    ///
    /// One self-contained page: outcomes over time, failures by cause and server,
    /// latency, certificates by expiry, versions and groups, and a list of handshakes
    /// to search and sort, each failure with its messages. Counts all handshakes that
    /// `--server-name` selects; lists up to 10,000 of them, up to 2,000 with details.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        env = "TLSCOPE_REPORT"
    )]
    pub(crate) report: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}
