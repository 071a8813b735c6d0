//! Arguments as resolved: what a run needs, with the defaults that only the system knows.

use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use terminal_size::terminal_size_of;
use tlscope::certificate::NearExpiry;
use tlscope::decrypt::Keys;
use tlscope::memory::MemoryLimit;
use tlscope::observer::{self, TunnelPorts};
use tlscope::sink::selection::Selection;
use tlscope::sink::sorted::SortOrder;
use tlscope::sink::{OutputFormat, TextStyle};
use tlscope::telemetry::MetricsConfig;
use tlscope::time::Timestamp;

use super::args::{At, CommonArgs, JudgementArgs, MetricsArgs, ReadArgs, TunnelArgs};
use crate::cli::config::memory;
use crate::cli::config::source_column::SourceColumn;
use crate::cli::error::CliError;
use crate::cli::input::key_log;
use crate::cli::input::roots::Roots;
use crate::cli::output::rotate::Rotation;

/// What `tlscope read` does.
#[derive(Debug)]
pub(crate) struct ReadConfig {
    pub(crate) paths: Vec<PathBuf>,
    /// The key logs, for messages about their use.
    pub(crate) key_logs: Vec<PathBuf>,
    pub(crate) filter: Option<String>,
    pub(crate) threads: usize,
    pub(crate) analysis: Analysis,
    pub(crate) output: OutputConfig,
    pub(crate) shows_progress: bool,
}

/// How packets become events.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    /// The secrets in the key logs given.
    pub(crate) keys: Keys,
    /// The UDP ports of tunnels.
    tunnel_ports: TunnelPorts,
    /// Whether the packets of failures are saved.
    retains_packets: bool,
    /// Whether events come with their steps.
    collects_ladders: bool,
    pub(crate) near_expiry: NearExpiry,
    pub(crate) roots: Roots,
    /// When certificates are validated; `None`: each at the time of its handshake.
    pub(crate) judge_at: Option<Timestamp>,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) memory_limit: MemoryLimit,
}

/// What the output needs that costs memory. What it needs of events, its sinks know.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// The packets of each handshake, kept until its outcome is known.
    pub(crate) packets: bool,
    /// The steps of each handshake.
    pub(crate) ladders: bool,
    /// Memory for the secrets in key logs.
    pub(crate) key_logs: bool,
    /// Memory for handshakes that are held back, to be sorted.
    pub(crate) held_events: bool,
    /// Memory for metric series.
    pub(crate) metrics: bool,
    /// Memory for texts that may be written again.
    pub(crate) texts: bool,
}

impl Needs {
    pub(crate) fn of(common: &CommonArgs, metrics: &MetricsArgs) -> Self {
        Self {
            packets: common.save_failures.is_some(),
            ladders: false,
            key_logs: !common.input.keylog.is_empty(),
            held_events: false,
            metrics: metrics.asks_for_metrics(),
            texts: common.format == OutputFormat::Json,
        }
    }
}

/// Which handshakes are written, and how.
#[derive(Clone, Debug)]
pub(crate) struct OutputConfig {
    pub(crate) selection: Selection,
    pub(crate) failures_only: bool,
    pub(crate) format: OutputFormat,
    pub(crate) destination: EventDestination,
    pub(crate) save_failures: Option<SaveFailures>,
    /// The directory that certificates are written to.
    pub(crate) extract_certs: Option<PathBuf>,
    /// The file that the HTML report is written to.
    pub(crate) report: Option<PathBuf>,
    pub(crate) metrics: MetricsConfig,
    pub(crate) text_style: TextStyle,
    /// The order of handshakes; `None` for that of the format.
    pub(crate) sort: Option<SortOrder>,
    /// Bytes of memory for handshakes that wait for their place in it.
    pub(crate) room_to_sort: usize,
    /// Bytes of memory for texts that JSON may write again; `None` for as many as it uses.
    pub(crate) room_for_texts: Option<usize>,
    /// Whether tables have a column for the processes of both ends.
    pub(crate) shows_processes: bool,
    /// Whether JSON has the names of what clients offer next to the numbers.
    pub(crate) names: bool,
    /// Columns of the longest name of a capture, if rows name the file that a handshake came from.
    pub(crate) source_column: Option<SourceColumn>,
}

/// Where handshakes are written, one by one.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(live_capture),
    expect(dead_code, reason = "only a live run writes a file or shows a screen")
)]
pub(crate) enum EventDestination {
    StandardOutput,
    /// A file; a summary still goes to standard output.
    File(Rotation),
    /// The terminal shows the state of the run, and no single handshakes.
    Screen,
}

/// Where the packets of failures are saved.
#[derive(Clone, Debug)]
pub(crate) struct SaveFailures {
    pub(crate) directory: PathBuf,
    /// How many files are kept: the newest.
    pub(crate) keep: NonZeroUsize,
}

impl ReadConfig {
    /// Reads key logs and roots, and looks at the clock and the terminal if the arguments do not decide.
    pub(crate) fn resolve(args: ReadArgs) -> Result<Self, CliError> {
        let limit = memory::limit(&args.judgement.memory);
        let keys = key_log::read(&args.common.input.keylog, limit)?;
        let mut needs = Needs::of(&args.common, &args.metrics);
        needs.held_events = args.sort.is_some();
        needs.ladders |= args.report.is_some();
        let analysis = Analysis::resolve(keys, needs, &args.common.input.tunnels, &args.judgement)?;
        let shows_progress = shows_progress(args.common.format);
        let filter = args.common.input.filter.clone();
        let threads = args.common.input.threads.for_files(analysis.memory_limit);
        let key_logs = args.common.input.keylog.clone();
        let mut output = OutputConfig::resolve(args.common, args.metrics);
        output.report = args.report;
        args.time.add_to(&mut output.selection)?;
        output.sort = args.sort;
        output.room_to_sort = limit.of_events();
        output.room_for_texts = Some(limit.of_texts());
        output.metrics.memory = Some(limit.of_metrics());
        output.names = args.names;
        output.source_column = SourceColumn::of(&args.paths);
        Ok(Self {
            paths: args.paths,
            key_logs,
            analysis,
            shows_progress,
            filter,
            threads,
            output,
        })
    }
}

impl Analysis {
    /// What the arguments ask for, with the roots.
    pub(crate) fn resolve(
        keys: Keys,
        needs: Needs,
        tunnels: &TunnelArgs,
        judgement: &JudgementArgs,
    ) -> Result<Self, CliError> {
        let mut analysis = Self::without_roots(keys, needs, tunnels, judgement)?;
        analysis.roots.read()?;
        Ok(analysis)
    }

    /// The same, for runs that read the roots once they have dropped their privileges.
    pub(crate) fn without_roots(
        keys: Keys,
        needs: Needs,
        tunnels: &TunnelArgs,
        judgement: &JudgementArgs,
    ) -> Result<Self, CliError> {
        let mut memory_limit = memory::limit(&judgement.memory);
        if needs.key_logs {
            memory_limit = memory_limit.with_key_logs();
        }
        if needs.held_events {
            memory_limit = memory_limit.with_held_events();
        }
        if needs.metrics {
            memory_limit = memory_limit.with_metrics();
        }
        if needs.texts {
            memory_limit = memory_limit.with_texts();
        }
        Ok(Self {
            keys,
            tunnel_ports: tunnels.ports(),
            retains_packets: needs.packets,
            collects_ladders: needs.ladders,
            near_expiry: NearExpiry {
                within: days(judgement.near_expiry),
                percent: judgement.near_expiry_share,
            },
            roots: Roots::named(judgement),
            judge_at: judge_at(judgement.at)?,
            handshake_timeout: judgement.handshake_timeout,
            memory_limit,
        })
    }

    /// The configuration of the observer.
    pub(crate) fn observer(&self) -> observer::Config {
        let mut config = observer::Config::default();
        config.report.near_expiry = self.near_expiry;
        config.report.judge_at = self.judge_at;
        config.handshake_timeout = self.handshake_timeout;
        config.memory_limit = self.memory_limit;
        config.keys = self.keys.clone();
        config.tunnel_ports = self.tunnel_ports.clone();
        config.trust = self.roots.trust();
        config.retains_packets = self.retains_packets;
        config.collects_ladders = self.collects_ladders;
        config
    }
}

impl OutputConfig {
    /// Output to standard output.
    pub(crate) fn resolve(common: CommonArgs, metrics: MetricsArgs) -> Self {
        Self {
            selection: common.input.selection.into(),
            failures_only: common.failures_only,
            format: common.format,
            destination: EventDestination::StandardOutput,
            save_failures: common.save_failures.map(|directory| SaveFailures {
                directory,
                keep: common.save_failures_keep,
            }),
            extract_certs: common.extract_certs,
            report: None,
            metrics: metrics.into(),
            text_style: text_style().wide(common.wide),
            sort: None,
            room_to_sort: 0,
            room_for_texts: None,
            shows_processes: false,
            names: false,
            source_column: None,
        }
    }
}

/// When certificates are validated; `None`: each at the time of its handshake.
fn judge_at(at: At) -> Result<Option<Timestamp>, CliError> {
    Ok(match at {
        At::Capture => None,
        At::Now => Some(now()?),
        At::Time(time) => Some(time),
    })
}

pub(crate) fn now() -> Result<Timestamp, CliError> {
    i64::try_from(jiff::Timestamp::now().as_nanosecond())
        .map(Timestamp::from_nanoseconds)
        .map_err(|_| CliError::new("the system's clock is not between the years 1677 and 2262"))
}

pub(crate) fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

/// The style of output for people: colours by `--color` and the environment, and the width of the terminal.
pub(crate) fn text_style() -> TextStyle {
    let choice = anstream::AutoStream::choice(&stdout());
    TextStyle {
        color: choice != anstream::ColorChoice::Never,
        width: terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0)),
    }
}

/// A bar needs a terminal of its own: lines that scroll would tear it.
fn shows_progress(format: OutputFormat) -> bool {
    let scrolls = format.writes_events() && stdout().is_terminal();
    stderr().is_terminal() && !scrolls
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use tlscope::telemetry::OtlpProtocol;

    use super::*;
    use crate::cli::config::args::{Args, Command};

    fn resolved(flags: &[&str]) -> ReadConfig {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        match Args::parse_from(arguments).command {
            Command::Read(read) => ReadConfig::resolve(read).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn certificates_are_validated_at_the_time_of_their_handshake_by_default() {
        assert_eq!(resolved(&[]).analysis.judge_at, None);
        let time = resolved(&["--at", "2026-03-01T12:00:00Z"])
            .analysis
            .judge_at;
        assert_eq!(time, Some(Timestamp::from_seconds(1_772_366_400)));
        let year_2026 = Timestamp::from_seconds(1_767_225_600);
        assert!(resolved(&["--at", "now"]).analysis.judge_at > Some(year_2026));
    }

    #[test]
    fn days_and_seconds_become_durations() {
        let config = resolved(&["--near-expiry", "2", "--handshake-timeout", "1.5"]);
        assert_eq!(
            config.analysis.near_expiry.within,
            Duration::from_secs(172_800)
        );
        assert_eq!(
            config.analysis.handshake_timeout,
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(days(u32::MAX).as_secs() / 86_400, u64::from(u32::MAX));
    }

    #[test]
    fn metrics_are_off_unless_asked_for() {
        assert!(resolved(&[]).output.metrics.asks_for_nothing());
        let metrics = resolved(&["--otlp-protocol", "http/protobuf", "--metrics", "stdout"])
            .output
            .metrics;
        assert_eq!(metrics.protocol, Some(OtlpProtocol::HttpProtobuf));
        assert!(metrics.stdout);
    }
}
