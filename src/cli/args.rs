//! Arguments as typed. The comments are the help, the manual, and what the configuration file can say.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tlscope::time::Timestamp;

/// What holds when nothing else is said; help and manual quote these.
mod defaults {
    pub(super) const NEAR_EXPIRY_DAYS: u32 = 30;
    /// As long as impatient clients wait; a handshake takes round trips, not seconds.
    pub(super) const HANDSHAKE_TIMEOUT_SECONDS: &str = "10";
    pub(super) const THREADS: usize = 1;
}

/// Passive observer of TLS handshakes: how long they took, how they ended, whose fault and why
///
/// tlscope only listens: it needs no agent, no proxy and no keys. It reads packet
/// captures, and says of every TLS handshake in them how long it took, phase by
/// phase; how it ended; if it failed, which side gave up and why; and which
/// certificates were shown and what is wrong with them.
#[derive(Debug, Parser)]
#[command(name = "tlscope", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,

    /// Read settings from a TOML file
    ///
    /// Every long flag can be set there by its name: `color` at the top, the flags
    /// of a command in a table named for it, as in `[read]` and `near-expiry = 14`.
    /// Every long flag can be set by an environment variable too. The command line
    /// wins over the environment, the environment over the file.
    #[arg(long, global = true, value_name = "FILE", env = "TLSCOPE_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// When to use colour
    ///
    /// `auto` colours what goes to a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, env = "TLSCOPE_COLOR")]
    pub(super) color: Color,
}

const AFTER_HELP: &str = "\
Exit status:
  0  All went well, whatever the handshakes did; also if whoever read the output
     closed it.
  2  An error: bad usage, or input that could not be read; what could be read is
     reported first.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read packet captures and report the handshakes in them
    ///
    /// Prints a line a handshake and a summary. Reads pcap and pcapng, each also
    /// compressed by gzip, zstd or xz. Several captures are read in the order of
    /// packet time, as one.
    #[command(after_long_help = READ_EXAMPLES)]
    Read(ReadArgs),

    /// Print the JSON Schema of `read --format json`
    Schema,

    /// Print a completion script for a shell
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
}

const READ_EXAMPLES: &str = "\
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

#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// Captures to read: files, directories of captures, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

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
    pub(super) filter: Option<String>,

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
    pub(super) keylog: Vec<PathBuf>,

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
    pub(super) server_name: Option<String>,

    /// Report only handshakes that failed
    ///
    /// The summary and the metrics still count all.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Selection", env = "TLSCOPE_FAILURES_ONLY"
    )]
    pub(super) failures_only: bool,

    /// How to write the handshakes
    #[arg(
        long, value_enum, default_value_t = Format::Table,
        help_heading = "Output", env = "TLSCOPE_FORMAT"
    )]
    pub(super) format: Format,

    /// How many days before its end a certificate counts as soon to expire
    #[arg(
        long, value_name = "DAYS", default_value_t = defaults::NEAR_EXPIRY_DAYS,
        help_heading = "Judgement", env = "TLSCOPE_NEAR_EXPIRY"
    )]
    pub(super) near_expiry: u32,

    /// The moment at which certificates are judged: `capture`, `now`, or a time
    ///
    /// `capture` judges each certificate at the time of the handshake that showed
    /// it. A time is written as in `2026-03-01T12:00:00Z`.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "capture",
        help_heading = "Judgement",
        env = "TLSCOPE_AT"
    )]
    pub(super) at: At,

    /// Seconds of packet time without progress after which a handshake counts as stuck
    ///
    /// A segment that is sent again is no progress, but no silence either: for up to
    /// 100 s it keeps the handshake open.
    #[arg(
        long, value_name = "SECONDS", default_value = defaults::HANDSHAKE_TIMEOUT_SECONDS, value_parser = seconds,
        help_heading = "Judgement", env = "TLSCOPE_HANDSHAKE_TIMEOUT"
    )]
    pub(super) handshake_timeout: Duration,

    /// Threads that take handshakes apart
    ///
    /// The output is the same for any number. More than 16 are of no use.
    #[arg(
        long, value_name = "N", default_value_t = NonZeroUsize::new(defaults::THREADS).unwrap_or(NonZeroUsize::MIN),
        help_heading = "Input", env = "TLSCOPE_THREADS"
    )]
    pub(super) threads: NonZeroUsize,

    /// Write metrics too, after everything else, when the run ends
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        help_heading = "Metrics",
        env = "TLSCOPE_METRICS"
    )]
    pub(super) metrics: Option<Metrics>,

    /// Send metrics to an OpenTelemetry collector when the run ends
    ///
    /// As in `http://localhost:4318`. The standard OTEL_EXPORTER_OTLP_… variables
    /// work as well: OTEL_EXPORTER_OTLP_ENDPOINT alone is enough. A collector that does
    /// not answer is a warning: what was read is printed all the same.
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Metrics",
        env = "TLSCOPE_OTLP_ENDPOINT"
    )]
    pub(super) otlp_endpoint: Option<String>,

    /// How metrics travel to the collector
    ///
    /// By default gRPC if the endpoint's port is 4317, else HTTP.
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        help_heading = "Metrics",
        env = "TLSCOPE_OTLP_PROTOCOL"
    )]
    pub(super) otlp_protocol: Option<OtlpProtocol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line a handshake, then the summary.
    Table,
    /// The summary alone.
    Summary,
    /// An object a line; `tlscope schema` describes them.
    Json,
    /// Comma-separated values.
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Metrics {
    /// To standard output, in the Prometheus text format.
    Stdout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    Grpc,
    /// HTTP with binary protobuf, usually on port 4318.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// The moment at which certificates are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// That of each handshake.
    Capture,
    /// When the program runs.
    Now,
    /// A moment that the user chose.
    Time(Timestamp),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "capture" => Ok(Self::Capture),
            "now" => Ok(Self::Now),
            time => time
                .parse::<jiff::Timestamp>()
                .ok()
                .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
                .map(|nanoseconds| Self::Time(Timestamp::from_nanoseconds(nanoseconds)))
                .ok_or_else(|| {
                    "neither `capture`, `now` nor a time as in `2026-03-01T12:00:00Z`".to_owned()
                }),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of seconds above zero".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(flags: &[&str]) -> Result<ReadArgs, clap::Error> {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        Args::try_parse_from(arguments).map(|args| match args.command {
            Command::Read(read) => read,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_long_flag_has_its_environment_variable() {
        let root = Args::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long() else {
                    continue;
                };
                let expected = format!("TLSCOPE_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(argument.get_env().unwrap(), expected.as_str());
            }
        }
    }

    #[test]
    fn a_flag_of_yes_or_no_can_be_taken_back() {
        assert!(!read(&[]).unwrap().failures_only);
        assert!(read(&["--failures-only"]).unwrap().failures_only);
        assert!(!read(&["--failures-only=false"]).unwrap().failures_only);
    }

    #[test]
    fn accepts_moments_and_rejects_what_is_none() {
        let time = Timestamp::from_seconds(1_772_366_400);
        assert_eq!("now".parse(), Ok(At::Now));
        assert_eq!("capture".parse(), Ok(At::Capture));
        assert_eq!("2026-03-01T12:00:00Z".parse(), Ok(At::Time(time)));
        assert_eq!("2026-03-01T14:00:00+02:00".parse(), Ok(At::Time(time)));
        for wrong in ["", "yesterday", "2026-03-01", "9999-01-01T00:00:00Z"] {
            assert!(wrong.parse::<At>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_timeout_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2_500)));
        for wrong in ["0", "-1", "soon", "inf", "NaN", "1e300", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rejects_no_thread_and_no_path() {
        assert!(read(&["--threads", "0"]).is_err());
        assert!(Args::try_parse_from(["tlscope", "read"]).is_err());
    }
}
