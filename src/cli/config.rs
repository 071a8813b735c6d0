//! Arguments as resolved: what the run needs, with the system asked for what it knows.

#[cfg(all(feature = "live", target_os = "linux"))]
use std::collections::HashSet;
#[cfg(all(feature = "live", target_os = "linux"))]
use std::io::stdin;
use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
#[cfg(all(feature = "live", target_os = "linux"))]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use terminal_size::terminal_size_of;
#[cfg(all(feature = "live", target_os = "linux"))]
use tlscope::capture::live::LiveOptions;
use tlscope::certificate::NearExpiry;
use tlscope::decrypt::Keys;
use tlscope::observer;
use tlscope::pattern::Glob;
use tlscope::sink::Look;
use tlscope::telemetry::MetricsConfig;
use tlscope::time::Timestamp;

#[cfg(all(feature = "live", target_os = "linux"))]
use super::args::LiveArgs;
use super::args::{At, CommonArgs, Format, JudgementArgs, MetricsArgs, ReadArgs};
use super::failure::Failure;
#[cfg(all(feature = "live", target_os = "linux"))]
use super::host::{Account, Sandbox};
use super::keylog;
#[cfg(all(feature = "live", target_os = "linux"))]
use super::keylog::KeyLogs;
use super::rotate::Rotation;
use super::trust::Roots;

/// What `tlscope read` does.
#[derive(Debug)]
pub(super) struct ReadConfig {
    pub(super) paths: Vec<PathBuf>,
    pub(super) filter: Option<String>,
    pub(super) threads: NonZeroUsize,
    pub(super) analysis: Analysis,
    pub(super) output: OutputConfig,
    pub(super) shows_progress: bool,
}

/// What `tlscope live` does.
#[cfg(all(feature = "live", target_os = "linux"))]
#[derive(Debug)]
pub(super) struct LiveConfig {
    /// At least one, none of them twice.
    pub(super) interfaces: Vec<String>,
    pub(super) capture: LiveOptions,
    /// Key logs that may grow.
    pub(super) key_logs: KeyLogs,
    pub(super) threads: NonZeroUsize,
    pub(super) analysis: Analysis,
    pub(super) output: OutputConfig,
    /// Who to go on as, if not as who started the run.
    pub(super) account: Option<Account>,
    /// The files that can be opened later; `None` for all.
    pub(super) sandbox: Option<Sandbox>,
}

/// How packets are made into handshakes.
#[derive(Clone, Debug)]
pub(super) struct Analysis {
    /// The secrets in the key logs given.
    pub(super) keys: Keys,
    /// Whether somebody reads them.
    fingerprints: bool,
    /// Whether the packets of failures are saved.
    keeps_packets: bool,
    pub(super) near_expiry: NearExpiry,
    /// The roots that chains are held against.
    pub(super) roots: Roots,
    /// `None`: each certificate at the time of its handshake.
    pub(super) judge_at: Option<Timestamp>,
    pub(super) handshake_timeout: Duration,
}

/// What the output asks for beyond verdicts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    pub(super) fingerprints: bool,
    /// The packets of each handshake, until its verdict.
    pub(super) packets: bool,
}

impl Needs {
    /// The formats for people leave fingerprints out; log records and spans have them.
    fn of(common: &CommonArgs, metrics: &MetricsArgs) -> Self {
        let is_for_programs = matches!(common.format, Format::Json | Format::Csv);
        Self {
            fingerprints: is_for_programs || metrics.asks_for_records(),
            packets: common.save_failures.is_some(),
        }
    }
}

/// Which handshakes are written, and how.
#[derive(Clone, Debug)]
pub(super) struct OutputConfig {
    pub(super) server_name: Option<Glob>,
    pub(super) failures_only: bool,
    pub(super) format: Format,
    /// The file that handshakes are written to; `None` for standard output.
    pub(super) file: Option<Rotation>,
    /// Where the packets of failures are saved, and how many files are kept.
    pub(super) save_failures: Option<(PathBuf, usize)>,
    /// Where certificates are written to.
    pub(super) extract_certs: Option<PathBuf>,
    /// Whether the terminal shows the state of the run instead of lines.
    pub(super) screen: bool,
    pub(super) metrics: MetricsConfig,
    pub(super) look: Look,
}

impl ReadConfig {
    /// Reads key logs, and asks the system for the time and the terminal, where the arguments leave it open.
    pub(super) fn resolve(args: ReadArgs) -> Result<Self, Failure> {
        let keys = keylog::read(&args.common.input.keylog)?;
        let needs = Needs::of(&args.common, &args.metrics);
        let analysis = Analysis::resolve(keys, needs, &args.judgement)?;
        Ok(Self {
            paths: args.paths,
            analysis,
            shows_progress: shows_progress(args.common.format),
            filter: args.common.input.filter.clone(),
            threads: args.common.input.threads,
            output: OutputConfig::resolve(args.common, args.metrics),
        })
    }
}

#[cfg(all(feature = "live", target_os = "linux"))]
impl LiveConfig {
    /// Reads key logs, and asks the system for the time and the terminal, where the arguments leave it open.
    ///
    /// `chose_format` says whether the user did.
    pub(super) fn resolve(mut args: LiveArgs, chose_format: bool) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let mut interfaces = args.interface;
        let mut known = HashSet::new();
        interfaces.retain(|name| !name.is_empty() && known.insert(name.clone())); // a variable may be set to nothing
        if interfaces.is_empty() {
            return Err(Failure::new("no interface is given").hint(
                "name one with `-i NAME`: `tlscope interfaces` lists them, and `-i any` takes all",
            ));
        }
        if args.output.is_none() && (args.rotate_size.is_some() || args.rotate_time.is_some()) {
            return Err(Failure::new("there is no file to set aside")
                .hint("`--rotate-size` and `--rotate-time` go with `--output FILE`"));
        }
        let (keys, key_logs) = KeyLogs::open(&args.common.input.keylog)?;
        if !key_logs.is_empty() {
            keys.expect_more();
        }
        let needs = Needs::of(&args.common, &args.metrics);
        let mut analysis = Analysis::resolve(keys, needs, &args.judgement)?;
        if args.judgement.at == At::Now {
            analysis.judge_at = None; // now is whenever a handshake is
        }
        let capture = LiveOptions {
            filter: args.common.input.filter.take(),
            snap_length: args.snaplen,
            buffer_size: u32::try_from(args.buffer_size).unwrap_or(u32::MAX),
            is_promiscuous: args.promiscuous,
            threads: args.fanout,
        };
        let threads = args.common.input.threads;
        let mut sandbox = Sandbox::default();
        sandbox.read_named(&environment);
        for path in &args.common.input.keylog {
            sandbox.read(path);
        }
        for path in analysis.roots.paths() {
            sandbox.read(path);
        }
        let mut output = OutputConfig::resolve(args.common, args.metrics);
        output.metrics.live = Some(args.live_metrics.into());
        output.file = args.output.map(|path| Rotation {
            path,
            size: args.rotate_size,
            age: args.rotate_time,
            keep: args.rotate_keep,
        });
        output.screen = !chose_format
            && output.file.is_none()
            && !output.metrics.stdout
            && stdout().is_terminal()
            && stdin().is_terminal();
        if let Some(file) = &output.file {
            sandbox.write(&file.path);
        }
        Ok(Self {
            interfaces,
            capture,
            key_logs,
            threads,
            analysis,
            output,
            account: Account::resolve(args.user.as_deref(), &environment)?,
            sandbox: (!args.no_sandbox).then_some(sandbox),
        })
    }
}

impl Analysis {
    pub(super) fn resolve(
        keys: Keys,
        needs: Needs,
        judgement: &JudgementArgs,
    ) -> Result<Self, Failure> {
        Ok(Self {
            keys,
            keeps_packets: needs.packets,
            fingerprints: needs.fingerprints,
            near_expiry: NearExpiry {
                within: days(judgement.near_expiry),
                percent: judgement.near_expiry_share,
            },
            roots: Roots::read(judgement)?,
            judge_at: judge_at(judgement.at)?,
            handshake_timeout: judgement.handshake_timeout,
        })
    }

    /// How the observer is to work.
    pub(super) fn observer(&self) -> observer::Config {
        let mut config = observer::Config::default();
        config.report.fingerprints = self.fingerprints;
        config.report.near_expiry = self.near_expiry;
        config.report.judge_at = self.judge_at;
        config.handshake_timeout = self.handshake_timeout;
        config.keys = self.keys.clone();
        config.trust = self.roots.trust();
        config.keeps_packets = self.keeps_packets;
        config
    }
}

impl OutputConfig {
    /// The directories that files are written into.
    #[cfg(all(feature = "live", target_os = "linux"))]
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        let failures = self.save_failures.iter().map(|(directory, _)| directory);
        failures.chain(&self.extract_certs).map(PathBuf::as_path)
    }

    pub(super) fn resolve(common: CommonArgs, metrics: MetricsArgs) -> Self {
        Self {
            server_name: common.input.server_name.map(|pattern| Glob::new(&pattern)),
            failures_only: common.failures_only,
            format: common.format,
            file: None,
            save_failures: common
                .save_failures
                .map(|directory| (directory, common.save_failures_keep.get())),
            extract_certs: common.extract_certs,
            screen: false,
            metrics: metrics.into(),
            look: look(),
        }
    }
}

/// The moment at which certificates are judged; `None`: each at the time of its handshake.
fn judge_at(at: At) -> Result<Option<Timestamp>, Failure> {
    Ok(match at {
        At::Capture => None,
        At::Now => Some(now()?),
        At::Time(time) => Some(time),
    })
}

fn now() -> Result<Timestamp, Failure> {
    i64::try_from(jiff::Timestamp::now().as_nanosecond())
        .map(Timestamp::from_nanoseconds)
        .map_err(|_| Failure::new("the system's clock is not between the years 1677 and 2262"))
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

/// How output for people looks: as `--color` and the environment say, and as wide as the terminal.
pub(super) fn look() -> Look {
    let choice = anstream::AutoStream::choice(&stdout());
    Look {
        color: choice != anstream::ColorChoice::Never,
        width: terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0)),
    }
}

/// A bar would be torn apart by lines that scroll on the same terminal.
fn shows_progress(format: Format) -> bool {
    let scrolls = !matches!(format, Format::Summary | Format::Certs) && stdout().is_terminal();
    stderr().is_terminal() && !scrolls
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use tlscope::telemetry::OtlpProtocol;

    use super::super::args::{Args, Command};
    use super::*;

    fn resolved(flags: &[&str]) -> ReadConfig {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        match Args::parse_from(arguments).command {
            Command::Read(read) => ReadConfig::resolve(read).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn certificates_are_judged_at_the_time_of_their_handshake_unless_told_otherwise() {
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
            Duration::from_millis(1_500)
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
