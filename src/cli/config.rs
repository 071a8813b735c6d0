//! Arguments as resolved: what the run needs, with the system asked for what it knows.

use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use terminal_size::terminal_size_of;
use tlscope::decrypt::Keys;
use tlscope::observer;
use tlscope::pattern::Glob;
use tlscope::sink::Look;
use tlscope::sink::otel::{MetricsConfig, Protocol};
use tlscope::time::Timestamp;

use super::args::{At, Format, Metrics, OtlpProtocol, ReadArgs};
use super::failure::Failure;
use super::keylog;

/// What `tlscope read` does.
#[derive(Debug)]
pub(super) struct ReadConfig {
    pub(super) paths: Vec<PathBuf>,
    /// The secrets in the key logs given.
    pub(super) keys: Keys,
    pub(super) filter: Option<String>,
    pub(super) server_name: Option<Glob>,
    pub(super) failures_only: bool,
    pub(super) format: Format,
    pub(super) near_expiry: Duration,
    /// `None`: each certificate at the time of its handshake.
    pub(super) judge_at: Option<Timestamp>,
    pub(super) handshake_timeout: Duration,
    pub(super) threads: NonZeroUsize,
    pub(super) metrics: MetricsConfig,
    pub(super) look: Look,
    pub(super) shows_progress: bool,
}

impl ReadConfig {
    /// Reads key logs, and asks the system for the time and the terminal, where the arguments leave it open.
    pub(super) fn resolve(args: ReadArgs) -> Result<Self, Failure> {
        Ok(Self {
            paths: args.paths,
            keys: keylog::read(&args.input.keylog)?,
            filter: args.input.filter,
            server_name: args.input.server_name.map(|pattern| Glob::new(&pattern)),
            failures_only: args.failures_only,
            format: args.format,
            near_expiry: days(args.judgement.near_expiry),
            judge_at: judge_at(args.judgement.at)?,
            handshake_timeout: args.judgement.handshake_timeout,
            threads: args.input.threads,
            metrics: MetricsConfig {
                endpoint: args.metrics.otlp_endpoint,
                protocol: args.metrics.otlp_protocol.map(Protocol::from),
                stdout: args.metrics.metrics == Some(Metrics::Stdout),
            },
            look: look(),
            shows_progress: shows_progress(args.format),
        })
    }
}

impl ReadConfig {
    /// How the observer is to work.
    pub(super) fn observer(&self) -> observer::Config {
        let mut config = observer::Config::default();
        config.report.fingerprints = matches!(self.format, Format::Json | Format::Csv);
        config.report.near_expiry = self.near_expiry;
        config.report.judge_at = self.judge_at;
        config.handshake_timeout = self.handshake_timeout;
        config.keys = self.keys.clone();
        config
    }
}

impl From<OtlpProtocol> for Protocol {
    fn from(protocol: OtlpProtocol) -> Self {
        match protocol {
            OtlpProtocol::Grpc => Self::Grpc,
            OtlpProtocol::HttpProtobuf => Self::HttpProtobuf,
        }
    }
}

/// The moment at which certificates are judged; `None`: each at the time of its handshake.
pub(super) fn judge_at(at: At) -> Result<Option<Timestamp>, Failure> {
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

pub(super) fn days(days: u32) -> Duration {
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
    let scrolls = format != Format::Summary && stdout().is_terminal();
    stderr().is_terminal() && !scrolls
}

#[cfg(test)]
mod tests {
    use clap::Parser;

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
        assert_eq!(resolved(&[]).judge_at, None);
        let time = resolved(&["--at", "2026-03-01T12:00:00Z"]).judge_at;
        assert_eq!(time, Some(Timestamp::from_seconds(1_772_366_400)));
        let year_2026 = Timestamp::from_seconds(1_767_225_600);
        assert!(resolved(&["--at", "now"]).judge_at > Some(year_2026));
    }

    #[test]
    fn days_and_seconds_become_durations() {
        let config = resolved(&["--near-expiry", "2", "--handshake-timeout", "1.5"]);
        assert_eq!(config.near_expiry, Duration::from_secs(172_800));
        assert_eq!(config.handshake_timeout, Duration::from_millis(1_500));
        assert_eq!(days(u32::MAX).as_secs() / 86_400, u64::from(u32::MAX));
    }

    #[test]
    fn metrics_are_off_unless_asked_for() {
        assert_eq!(resolved(&[]).metrics, MetricsConfig::default());
        let metrics =
            resolved(&["--otlp-protocol", "http/protobuf", "--metrics", "stdout"]).metrics;
        assert_eq!(metrics.protocol, Some(Protocol::HttpProtobuf));
        assert!(metrics.stdout);
    }
}
