//! `tlscope live`, and `tlscope interfaces`, which has no arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use tlscope::capture::live::defaults;

use super::judgement::seconds;
use super::{CommonArgs, JudgementArgs, MetricsArgs};

mod flag_source;
mod run;

pub(crate) use flag_source::{FlagSource, FlagSources};
use run::RUN_EXAMPLES;
pub(crate) use run::RunArgs;

const LIVE_EXAMPLES: &str = "\
Examples:
  Watch one interface:
      tlscope live -i eth0
  Watch all of them, only what may be TLS on two ports, as JSON lines:
      tlscope live -i any -f 'tcp port 443 or tcp port 8443' --format json
  Failures to files of 64 MiB, ten of which are kept:
      tlscope live -i eth0 --format json --failures-only --output events.jsonl --rotate-size 64M
  Without being root, once the program has the one capability that it needs:
      sudo setcap cap_net_raw+ep \"$(command -v tlscope)\"
      tlscope live -i eth0";

/// Commands that use interfaces.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
pub(crate) enum InterfaceCommand {
    /// Watch live interfaces and report the handshakes on them
    ///
    /// Reports as `read` does, as handshakes are decided, until it is told to stop:
    /// by SIGTERM or SIGINT (Ctrl-C) it stops capturing, judges what is open, and sums
    /// up. A second signal ends it at once. It takes the capability CAP_NET_RAW.
    #[command(after_long_help = LIVE_EXAMPLES)]
    Live(LiveArgs),

    /// Run a command and check the handshakes that it makes, for CI
    ///
    /// Captures while the command runs, gives it an SSLKEYLOGFILE so that clients which
    /// support it log their secrets, and evaluates the policy with these secrets.
    /// The command keeps its standard input, output and error, and gets the signals
    /// sent to tlscope. The report goes to standard error. It takes the capability
    /// CAP_NET_RAW; the command does not get it.
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(RunArgs),

    /// List the interfaces that `live` can capture on
    ///
    /// With their state and addresses; and for those that cannot be opened, why not.
    Interfaces,
}

/// The arguments of `tlscope live`.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveArgs {
    // First, since clap removes each value that it reads from the matches.
    #[command(flatten)]
    pub(crate) sources: FlagSources,

    /// The interface to capture on, or `any` for all; can be given more than once
    #[arg(
        short,
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Input",
        env = "TLSCOPE_INTERFACE"
    )]
    pub(crate) interface: Vec<String>,

    /// Bytes of each packet to capture
    ///
    /// Handshakes need all of their packets: what is cut off makes verdicts unknown.
    #[arg(
        long, value_name = "BYTES", default_value_t = defaults::SNAP_LENGTH, value_parser = snap_length,
        help_heading = "Input", env = "TLSCOPE_SNAPLEN"
    )]
    pub(crate) snaplen: u32,

    /// The kernel's buffer for packets that are still to be taken, for each interface
    ///
    /// In bytes, or with K, M or G as in `64M`. What finds it full is lost, and counted.
    #[arg(
        long, value_name = "SIZE", default_value = BUFFER_SIZE, value_parser = size,
        help_heading = "Input", env = "TLSCOPE_BUFFER_SIZE"
    )]
    pub(crate) buffer_size: u64,

    /// Capture packets for other hosts too, where the interface sees them
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Input", env = "TLSCOPE_PROMISCUOUS"
    )]
    pub(crate) promiscuous: bool,

    /// Capture threads for each interface, each with a buffer of its own
    ///
    /// Worth it where one thread does not keep up: a core for each should be idle. The
    /// kernel shares packets out by the addresses of both hosts.
    #[arg(
        long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16),
        help_heading = "Input", env = "TLSCOPE_FANOUT"
    )]
    pub(crate) fanout: u32,

    #[command(flatten)]
    pub(crate) common: CommonArgs,

    #[command(flatten)]
    pub(crate) file: FileArgs,

    #[command(flatten)]
    pub(crate) judgement: JudgementArgs,

    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,

    #[command(flatten)]
    pub(crate) live_metrics: LiveMetricsArgs,

    /// The user to go on as once the interfaces are open, by name or number
    ///
    /// By default, a run that root started goes on as who called sudo, else as
    /// `nobody`; `root` stays root, without the privileges of root. Files are written by
    /// that user.
    #[arg(long, value_name = "USER", help_heading = "Host", env = "TLSCOPE_USER")]
    pub(crate) user: Option<String>,

    /// Do not restrict which files the run can open
    ///
    /// By default it can open, once it has started, only those that it was told of
    /// and those that the system's libraries need, where the kernel has Landlock.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Host", env = "TLSCOPE_NO_SANDBOX"
    )]
    pub(crate) no_sandbox: bool,

    /// Print the settings as a configuration file, and do nothing else
    ///
    /// Each with where it is from. What is printed can be read with `--config`.
    #[arg(long, help_heading = "Host", env = "TLSCOPE_PRINT_CONFIG")]
    pub(crate) print_config: bool,
}

/// The file that handshakes are written to, and when it is rotated.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// Write handshakes to a file instead of standard output
    ///
    /// Is added to if it is there. A summary still goes to standard output. SIGHUP
    /// opens it anew, for programs that set files aside. While it cannot be written,
    /// the run goes on, and says so.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        env = "TLSCOPE_OUTPUT"
    )]
    pub(crate) output: Option<PathBuf>,

    /// Set the file aside as FILE.1 when it is this large, and begin a new one
    ///
    /// In bytes, or with K, M or G as in `64M`.
    #[arg(
        long, value_name = "SIZE", value_parser = size,
        help_heading = "Output", env = "TLSCOPE_ROTATE_SIZE"
    )]
    pub(crate) rotate_size: Option<u64>,

    /// Set the file aside when it is this old, in seconds
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Output", env = "TLSCOPE_ROTATE_TIME"
    )]
    pub(crate) rotate_time: Option<Duration>,

    /// How many files set aside are kept
    #[arg(
        long, value_name = "N", default_value_t = ROTATE_KEEP,
        help_heading = "Output", env = "TLSCOPE_ROTATE_KEEP"
    )]
    pub(crate) rotate_keep: u32,
}

/// How a live run exports metrics.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveMetricsArgs {
    /// Answer Prometheus' scrapes, at `/metrics`; `/healthz` says whether all is well
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        help_heading = "Metrics",
        env = "TLSCOPE_PROMETHEUS"
    )]
    pub(crate) prometheus: Option<SocketAddr>,

    /// Seconds between two exports to a collector
    ///
    /// As OTEL_METRIC_EXPORT_INTERVAL says (in milliseconds there), or 60.
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Metrics", env = "TLSCOPE_METRICS_INTERVAL"
    )]
    pub(crate) metrics_interval: Option<Duration>,

    /// Hours for which a certificate is told of after it was shown last
    #[arg(
        long, value_name = "HOURS", default_value = "24", value_parser = hours,
        help_heading = "Metrics", env = "TLSCOPE_CERTIFICATE_MEMORY"
    )]
    pub(crate) certificate_memory: Duration,

    /// Tell when the certificates in a file expire, too; can be given more than once
    ///
    /// PEM or DER; also a directory, or a pattern as in `/etc/letsencrypt/live/*/cert.pem`
    /// (in quotes, so that files which come later are found). Files are read again
    /// when they change, and on SIGHUP, as the user that the run goes on as (`--user`).
    /// One that cannot be read is told of, and counted in
    /// `tlscope.certificate.files.unreadable`; what it said before stays.
    #[arg(
        long,
        value_name = "PATH",
        value_delimiter = ',',
        help_heading = "Metrics",
        env = "TLSCOPE_WATCH_CERT"
    )]
    pub(crate) watch_cert: Vec<PathBuf>,
}

const ROTATE_KEEP: u32 = 10;
/// [`defaults::BUFFER_SIZE`] as typed on the command line.
const BUFFER_SIZE: &str = "16M";

/// Parses a snap length: fewer than 64 bytes do not hold the headers before TLS, and libpcap
/// captures no more than the default.
fn snap_length(text: &str) -> Result<u32, String> {
    let range = 64..=defaults::SNAP_LENGTH;
    text.parse()
        .ok()
        .filter(|bytes| range.contains(bytes))
        .ok_or_else(|| {
            format!(
                "not a number of bytes from {} to {}",
                range.start(),
                range.end()
            )
        })
}

/// Parses a number of bytes, as in `65536`, `64K`, `16M` or `1G`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => Some(1),
        "K" | "k" | "KiB" => Some(1 << 10),
        "M" | "m" | "MiB" => Some(1 << 20),
        "G" | "g" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    unit.zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size as in `65536`, `64K`, `16M` or `1G`".to_owned())
}

/// Parses a duration in hours.
fn hours(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|hours: f64| Duration::try_from_secs_f64(hours * 3_600.0).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of hours above zero".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_an_optional_unit() {
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size(BUFFER_SIZE), Ok(defaults::BUFFER_SIZE.into()));
        for wrong in ["", "M", "0", "-1", "1.5M", "1T", "99999999999G", "16 M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_snap_length_leaves_room_for_headers() {
        assert_eq!(snap_length("96"), Ok(96));
        for wrong in ["63", "262145", "", "all"] {
            assert!(snap_length(wrong).is_err(), "{wrong}");
        }
    }
}
