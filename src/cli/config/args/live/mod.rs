//! `tlscope live`, and `tlscope interfaces`, which has no arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use tlscope::capture::live::defaults;

use super::judgement::seconds;
use super::size::size;
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
  Watch two ports on all interfaces, as JSON lines:
      tlscope live -i any -f 'tcp port 443 or tcp port 8443' --format json
  Write failures to files of 64 MiB, and keep ten:
      tlscope live -i eth0 --format json --failures-only --output events.jsonl --rotate-size 64M
  As an ordinary user, once the program has the capability:
      sudo setcap cap_net_raw+ep \"$(command -v tlscope)\"
      tlscope live -i eth0";

/// Commands that use interfaces.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
pub(crate) enum InterfaceCommand {
    /// Watch live interfaces and report the handshakes on them
    ///
    /// Reports handshakes as `read` does, as soon as each is decided. SIGTERM or SIGINT
    /// (Ctrl-C) stops the capture; tlscope then reports open handshakes and prints the
    /// summary. A second signal exits at once. `live` needs the capability CAP_NET_RAW.
    #[command(after_long_help = LIVE_EXAMPLES)]
    Live(LiveArgs),

    /// Run a command and check the handshakes that it makes, for CI
    ///
    /// Captures while the command runs, gives it an SSLKEYLOGFILE so that clients which
    /// support it log their secrets, and evaluates the policy with these secrets.
    /// The command keeps its standard input, output and error, and gets the signals
    /// sent to tlscope. The report goes to standard error. It needs the capability
    /// CAP_NET_RAW; the command does not inherit it.
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(RunArgs),

    /// List the interfaces that `live` can capture on
    ///
    /// Prints their state and addresses, and why an interface cannot be opened.
    Interfaces,
}

/// The arguments of `tlscope live`.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveArgs {
    // First, since clap removes each value that it reads from the matches.
    #[command(flatten)]
    pub(crate) sources: FlagSources,

    /// Interface to capture on, or `any` for all; repeatable
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
    /// Handshakes need whole packets: if a packet is cut off, the verdict can be unknown.
    #[arg(
        long, value_name = "BYTES", default_value_t = defaults::SNAP_LENGTH, value_parser = snap_length,
        help_heading = "Input", env = "TLSCOPE_SNAPLEN"
    )]
    pub(crate) snaplen: u32,

    /// Size of the kernel's packet buffer of each interface
    ///
    /// In bytes, or with K, M or G as in `64M`. If it is full, the kernel drops packets, and
    /// tlscope reports how many. All buffers together count towards --memory-limit; without
    /// this option, they take at most an eighth of it.
    #[arg(
        long, value_name = "SIZE", default_value = BUFFER_SIZE, value_parser = size,
        help_heading = "Input", env = "TLSCOPE_BUFFER_SIZE"
    )]
    pub(crate) buffer_size: u64,

    /// Capture packets for other hosts too (promiscuous mode)
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Input", env = "TLSCOPE_PROMISCUOUS"
    )]
    pub(crate) promiscuous: bool,

    /// Capture threads per interface, each with its own buffer
    ///
    /// Use more if one thread does not keep up and you have an idle core for each. The
    /// kernel distributes packets by addresses and ports.
    #[arg(
        long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16),
        help_heading = "Input", env = "TLSCOPE_FANOUT"
    )]
    pub(crate) fanout: u32,

    /// Stop after this time, in seconds
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Input", env = "TLSCOPE_DURATION"
    )]
    pub(crate) duration: Option<Duration>,

    /// Stop after this number of handshakes
    ///
    /// Counts only handshakes that the flags select.
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "Input", env = "TLSCOPE_COUNT"
    )]
    pub(crate) count: Option<u64>,

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

    /// Report which processes of this host hold the sockets of a handshake
    ///
    /// Process, command, container or systemd unit of the client and the server, as far as they
    /// run on this host, in the network namespace of tlscope. Takes at most 1 % of a core; what
    /// does not fit in, and connections that end within a few milliseconds, are counted instead.
    /// To see processes of other users, start tlscope as root: one thread then keeps the
    /// capabilities CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. Without them, and with Linux 5.9 or
    /// later, control groups are reported alone: the container, or the unit.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Host", env = "TLSCOPE_ATTRIBUTE_PROCESSES"
    )]
    pub(crate) attribute_processes: bool,

    /// User to continue as after opening the interfaces, by name or number
    ///
    /// If root starts tlscope, the default is the user who called sudo, or `nobody`.
    /// With `root`, tlscope stays root but drops its privileges. This user writes all
    /// files.
    #[arg(long, value_name = "USER", help_heading = "Host", env = "TLSCOPE_USER")]
    pub(crate) user: Option<String>,

    /// Do not sandbox the process
    ///
    /// By default, as far as the kernel supports it, tlscope can only open the files that you
    /// name and those that the system's libraries need, only connect to its collector, and
    /// only signal itself (Landlock); and system calls that it never needs fail (seccomp).
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Host", env = "TLSCOPE_NO_SANDBOX"
    )]
    pub(crate) no_sandbox: bool,

    /// Report at the start what the kernel restricts
    #[arg(
        short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Host", env = "TLSCOPE_VERBOSE"
    )]
    pub(crate) verbose: bool,

    /// Print the settings as a configuration file and exit
    ///
    /// A comment names the source of each setting. Header values and passwords in URLs are
    /// masked. `--config` reads the file.
    #[arg(long, help_heading = "Host", env = "TLSCOPE_PRINT_CONFIG")]
    pub(crate) print_config: bool,
}

/// The file that handshakes are written to, and when it is rotated.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// Write handshakes to a file instead of standard output
    ///
    /// Appends if the file exists. SIGHUP reopens it (for logrotate). The summary still
    /// goes to standard output, and a terminal shows the state of the run. Without `--format`,
    /// a file `.jsonl`, `.ndjson` or `.json` gets JSON lines, and `.csv` CSV. If the file cannot be written, tlscope warns, drops events
    /// and keeps running.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        env = "TLSCOPE_OUTPUT"
    )]
    pub(crate) output: Option<PathBuf>,

    /// Rotate the file to FILE.1 when it reaches this size
    ///
    /// In bytes, or with K, M or G as in `64M`.
    #[arg(
        long, value_name = "SIZE", value_parser = size,
        help_heading = "Output", env = "TLSCOPE_ROTATE_SIZE"
    )]
    pub(crate) rotate_size: Option<u64>,

    /// Rotate the file when it is this old, in seconds
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Output", env = "TLSCOPE_ROTATE_TIME"
    )]
    pub(crate) rotate_time: Option<Duration>,

    /// How many rotated files to keep
    #[arg(
        long, value_name = "N", default_value_t = ROTATE_KEEP,
        help_heading = "Output", env = "TLSCOPE_ROTATE_KEEP"
    )]
    pub(crate) rotate_keep: u32,
}

/// How a live run exports metrics.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveMetricsArgs {
    /// Serve metrics for Prometheus at `/metrics`, and health at `/healthz`
    ///
    /// Also the last failures at `/failures`, for people and for programs.
    /// For example `127.0.0.1:9464` or `localhost:9464`; `0.0.0.0:9464` answers other hosts, too.
    /// Without TLS or authentication. On a loopback address, requests must name a loopback
    /// address or `localhost` as their host, so that web pages cannot read the metrics
    /// through a browser on this machine (DNS rebinding).
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        value_parser = listening_address,
        help_heading = "Metrics",
        env = "TLSCOPE_PROMETHEUS"
    )]
    pub(crate) prometheus: Option<SocketAddr>,

    /// Host name that requests to a loopback address may use; repeatable
    ///
    /// For a reverse proxy on this machine that passes the name on.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Metrics",
        env = "TLSCOPE_PROMETHEUS_HOST"
    )]
    pub(crate) prometheus_host: Vec<String>,

    /// Interval between exports to a collector, in seconds
    ///
    /// The default is OTEL_METRIC_EXPORT_INTERVAL (which is in milliseconds), or 60.
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Metrics", env = "TLSCOPE_METRICS_INTERVAL"
    )]
    pub(crate) metrics_interval: Option<Duration>,

    /// How many hours a certificate stays in the metrics after it was last seen
    ///
    /// At most a tenth of its lifetime, so a certificate of a day that is no longer used does not expire in the metrics.
    #[arg(
        long, value_name = "HOURS", default_value = "24", value_parser = hours,
        help_heading = "Metrics", env = "TLSCOPE_CERTIFICATE_MEMORY"
    )]
    pub(crate) certificate_memory: Duration,

    /// Also report when the certificates in a file expire; repeatable
    ///
    /// PEM or DER, a directory, or a pattern such as `/etc/letsencrypt/live/*/cert.pem`
    /// (quote it, so that tlscope finds new files). tlscope reloads a file when it changes and
    /// on SIGHUP, as the user of `--user`. It warns about a file that it cannot read,
    /// counts it in `tlscope.certificate.files.unreadable`, and keeps the previous values.
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

/// Parses a duration in hours.
fn hours(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|hours: f64| Duration::try_from_secs_f64(hours * 3_600.0).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of hours above zero".to_owned())
}

/// Parses an address to listen at, as in `127.0.0.1:9464`; `localhost` is that address.
fn listening_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .map(|port: u16| ([127, 0, 0, 1], port).into())
            .ok(),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| {
        let port = text.trim_start_matches(':').parse().unwrap_or(9464_u16);
        format!(
            "not an address and a port, as in `127.0.0.1:{port}` for this host alone, or `0.0.0.0:{port}` for others, too"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_has_a_port_and_an_error_has_an_example() {
        let loopback = "127.0.0.1:9464".parse().unwrap();
        assert_eq!(listening_address("localhost:9464"), Ok(loopback));
        assert_eq!(listening_address("127.0.0.1:9464"), Ok(loopback));
        assert!(listening_address("[::1]:9464").is_ok());
        for wrong in ["9000", ":9000"] {
            let error = listening_address(wrong).unwrap_err();
            assert!(error.contains("as in `127.0.0.1:9000`"), "{error}");
        }
        for wrong in [
            "",
            "localhost",
            "localhost:x",
            "127.0.0.1",
            "example.org:9464",
        ] {
            let error = listening_address(wrong).unwrap_err();
            assert!(error.contains("as in `127.0.0.1:9464`"), "{error}");
        }
    }

    #[test]
    fn the_default_size_of_the_buffer_is_that_of_the_library() {
        assert_eq!(size(BUFFER_SIZE), Ok(defaults::BUFFER_SIZE.into()));
    }

    #[test]
    fn a_snap_length_leaves_room_for_headers() {
        assert_eq!(snap_length("96"), Ok(96));
        for wrong in ["63", "262145", "", "all"] {
            assert!(snap_length(wrong).is_err(), "{wrong}");
        }
    }
}
