//! `tlscope live`: from interfaces to output, until a signal stops the run.
//!
//! Everything that only a live run needs is in this module, which exists on Linux with the feature `live`.

use std::io::{self, IsTerminal, Write, stdout};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tlscope::attribution::Attributor;
use tlscope::capture::live::LiveSource;
use tlscope::capture::{CaptureError, Meters, PacketBatch, PacketSource};
use tlscope::decrypt::Keys;
use tlscope::event::{HandshakeReport, NotTls, Outcome};
use tlscope::pipeline::{self, Lines, Output, Summary};
use tlscope::sink::{Needs, Renderer};
use tlscope::stats::{Health, Progress, Stats};
use tlscope::telemetry::{Opened, Prepared};
use tlscope::time::Timestamp;

use crate::cli::commands::print::print_text;
use crate::cli::config::OutputConfig;
use crate::cli::config::args::InterfaceCommand;
use crate::cli::error::CliError;
use crate::cli::input::roots::Roots;
use crate::cli::input::{key_log, warn_of_not_judged, warn_of_unread};
use crate::cli::output::{RunOutput, closed_pipe_is_success};
use crate::cli::say;
pub(super) use config::interfaces;
use config::{Limits, LiveConfig};
pub(super) use host::drop_all;
use host::{Account, ServiceManager, Signals};
use key_logs::KeyLogs;
use startup::Started;
pub(super) use startup::open_attribution;

mod config;
mod host;
mod interfaces;
mod key_logs;
mod print_config;
mod screen;
mod startup;

/// Runs `tlscope live` or `tlscope interfaces`.
pub(super) fn run(command: InterfaceCommand) -> Result<ExitCode, CliError> {
    match command {
        InterfaceCommand::Live(args) if args.print_config => {
            let text = print_config::as_file("live", &args.sources);
            print_text(|output| output.write_all(text.as_bytes()))
        }
        InterfaceCommand::Live(args) => {
            host::enable_capture();
            watch(LiveConfig::resolve(args)?)
        }
        InterfaceCommand::Run(args) => {
            host::enable_capture();
            super::run::run(args)
        }
        InterfaceCommand::Interfaces => {
            host::enable_capture();
            interfaces::list()
        }
    }
}

/// Watches the interfaces and writes the output.
fn watch(mut config: LiveConfig) -> Result<ExitCode, CliError> {
    let signals = Signals::new(stdout().is_terminal());
    let metrics = open_metrics(&config)?;
    let Started {
        source,
        attribution,
        metrics,
    } = startup::start_capture(&mut config, metrics, &signals)?;
    signals
        .listen()
        .map_err(|error| CliError::new(format_args!("cannot handle signals: {error}")))?;
    warn_of_public_metrics(metrics.as_ref());
    let mut output = open_output(&config.output, config.account.as_ref(), metrics)?;
    let interfaces = config.interfaces.join(", ");
    say::line(format_args!("listening on {interfaces}"));
    if config.shows_screen {
        output.show_on(screen::open(config.output.text_style, signals.stop())?);
    }
    let mut watch = Watch {
        output,
        roots: config.analysis.roots.clone(),
        signals,
        service_manager: ServiceManager::notify_ready(&interfaces),
        started: Instant::now(),
        health: Health::default(),
        shortage: Shortage::default(),
        limits: config.limits,
        reported: 0,
        beyond_limit: Outcomes::default(),
        attribution,
    };
    let mut input = LiveInput {
        source,
        key_logs: config.key_logs,
    };
    let key_logs: Vec<_> = input.key_logs.paths().map(Path::to_owned).collect();
    let observer = config.analysis.observer();
    let result = pipeline::run(&mut input, observer, config.threads, &mut watch);
    watch.service_manager.notify_stopping();
    drop(input); // stops the capture threads
    screen::close(); // the summary comes after it
    let result = watch.finish_after(result);
    watch.say_end(result, &config.analysis.keys, &key_logs)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens what exports need, as certificates and keys for OTLP, as the account that the run continues as. They are read and
/// parsed once privileges are dropped. Only if the account lacks a permission, for a file or a port below 1024, this is done with the
/// privileges of now.
fn open_metrics(config: &LiveConfig) -> Result<Option<Opened>, CliError> {
    let open = || RunOutput::open_metrics(&config.output);
    let Some(account) = &config.account else {
        return open();
    };
    match account.act(open)? {
        Err(error)
            if error
                .to_string()
                .to_lowercase()
                .contains("permission denied") =>
        {
            open()
        }
        opened => opened,
    }
}

/// Warns if hosts elsewhere may read the metrics: they name servers, certificates and, if asked to, clients.
fn warn_of_public_metrics(metrics: Option<&Prepared>) {
    let Some(address) = metrics.and_then(Prepared::prometheus_address) else {
        return;
    };
    if reaches_beyond_private_networks(address.ip()) {
        say::warning(format_args!(
            "metrics at {address} have no authentication, and any host that reaches this address can read them"
        ));
        say::hint(
            "bind to 127.0.0.1 or to an address of a private network, or restrict access with a firewall",
        );
    }
}

/// Whether an address is one of all interfaces, or of the public Internet.
fn reaches_beyond_private_networks(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => reaches_beyond_private_networks(v4.into()),
            None => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
        },
    }
}

/// Opens the output without privileges. If a permission is missing, the hint names the account.
fn open_output<'a>(
    config: &'a OutputConfig,
    account: Option<&Account>,
    metrics: Option<Prepared>,
) -> Result<RunOutput<'a>, CliError> {
    RunOutput::open(config, metrics).map_err(|error| {
        // The error is text by now: its kind is lost.
        let lacks_permission = error.to_string().contains("Permission denied");
        let account = account.filter(|_| lacks_permission);
        error.maybe_hint(account.map(Account::hint))
    })
}

/// Packets of the interfaces, with the secrets that key logs gained meanwhile.
struct LiveInput {
    source: LiveSource,
    key_logs: KeyLogs,
}

impl PacketSource for LiveInput {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        let more = self.source.next_batch(batch)?;
        self.key_logs.poll(&mut batch.secrets);
        for problem in self.source.take_problems() {
            say::problem(&problem);
        }
        Ok(more)
    }

    fn meters(&self) -> Option<Meters> {
        self.source.meters()
    }
}

/// The output, and what a run does besides: reload files, feed the watchdog, sum up.
struct Watch<'a> {
    output: RunOutput<'a>,
    roots: Roots,
    signals: Signals,
    service_manager: ServiceManager,
    started: Instant,
    /// As of the last tick.
    health: Health,
    shortage: Shortage,
    limits: Limits,
    /// Handshakes reported so far.
    reported: u64,
    /// Handshakes that came after the last one to report.
    beyond_limit: Outcomes,
    attribution: Option<Attributor>,
}

/// Numbers of handshakes by outcome.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    succeeded: u64,
    failed: u64,
    unknown: u64,
}

impl Outcomes {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Success => &mut self.succeeded,
            Outcome::Failure => &mut self.failed,
            Outcome::Unknown => &mut self.unknown,
        } += 1;
    }

    /// What was counted without these.
    fn left_out_of(self, mut stats: Stats) -> Stats {
        let all = self.succeeded + self.failed + self.unknown;
        stats.handshakes = stats.handshakes.saturating_sub(all);
        stats.handshakes_succeeded = stats.handshakes_succeeded.saturating_sub(self.succeeded);
        stats.handshakes_failed = stats.handshakes_failed.saturating_sub(self.failed);
        stats.handshakes_unknown = stats.handshakes_unknown.saturating_sub(self.unknown);
        stats
    }
}

/// Handshakes that could not be judged for lack of memory, and what was said of them.
#[derive(Debug, Default)]
struct Shortage {
    said: u64,
    said_at: Option<Instant>,
}

/// How often a shortage that lasts is spoken of.
const REMINDER: Duration = Duration::from_secs(300);

impl Shortage {
    /// Warns when handshakes are given up, and again from time to time while it goes on.
    fn warn(&mut self, stats: &Stats) {
        let new = stats.handshakes_not_judged - self.said;
        if new > 0 && self.said_at.is_none_or(|at| at.elapsed() >= REMINDER) {
            say::warning(format_args!(
                "handshakes without a verdict: {new}; the memory limit was reached, as in a flood of half-open handshakes"
            ));
            self.said = stats.handshakes_not_judged;
            self.said_at = Some(Instant::now());
        }
    }
}

impl Output for Watch<'_> {
    fn needs(&self) -> Needs {
        self.output.needs()
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        self.output.renderers(count)
    }

    fn report(
        &mut self,
        mut report: Box<HandshakeReport>,
        lines: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        if let Some(attribution) = &mut self.attribution {
            attribution.attribute(&mut report.event);
        }
        if let Some(count) = self.limits.count {
            // Handshakes that were open when the last one came are not reported, and not counted.
            if self.reported >= count {
                self.beyond_limit.add(report.event.outcome);
                return Ok(None);
            }
            self.reported += u64::from(self.output.shows(&report.event));
            if self.reported >= count {
                self.signals.stop().store(true, Ordering::Relaxed);
            }
        }
        self.output.report(report, lines)
    }

    fn not_tls(&mut self, event: &NotTls, lines: Lines) -> io::Result<bool> {
        self.output.not_tls(event, lines)
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        self.output.rendered(text, events)
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        self.output.progress(progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.health.clone_from(health);
        self.health.stats = self.beyond_limit.left_out_of(health.stats);
        if let Some(attribution) = &mut self.attribution {
            attribution.collect();
            self.health.attribution = Some(attribution.counts());
        }
        self.shortage.warn(&health.stats);
        self.service_manager.feed_watchdog();
        let elapsed = self.started.elapsed();
        if self.limits.duration.is_some_and(|limit| elapsed >= limit) {
            self.signals.stop().store(true, Ordering::Relaxed);
        }
        if self.signals.take_reload() {
            self.output.reload();
            self.roots.reload();
        }
        self.output.tick(now, &self.health)
    }
}

impl Watch<'_> {
    /// Finishes the output, also after an error: the metrics can still be exported.
    fn finish_after(&mut self, result: io::Result<Summary>) -> io::Result<Stats> {
        match result {
            Ok(summary) => {
                warn_of_unread(&summary.unread, &summary.stats);
                warn_of_not_judged(&summary.stats);
                let stats = self.beyond_limit.left_out_of(summary.stats);
                self.output.finish(&stats).map(|()| stats)
            }
            Err(error) => {
                let stats = self.health.stats;
                let _ = self.output.finish(&stats); // the sink that failed fails again
                Err(error)
            }
        }
    }

    /// Warns of what the report lacks and sums up; says nothing if the reader closed the pipe.
    fn say_end(
        &self,
        result: io::Result<Stats>,
        keys: &Keys,
        key_logs: &[PathBuf],
    ) -> Result<(), CliError> {
        match result {
            Ok(stats) => {
                key_log::warn_of_use(keys, key_logs, &stats);
                self.output.warn_of_lost_metrics();
                self.roots.warn_if_missed(self.output.has_seen_chains());
                self.say_summary();
                Ok(())
            }
            Err(error) => closed_pipe_is_success(error).inspect_err(|_| self.say_summary()),
        }
    }

    /// Writes the last lines on standard error: the packets and handshakes counted, and the losses.
    fn say_summary(&self) {
        for interface in &self.health.interfaces {
            say::line(format_args!(
                "{}: {} packets; dropped: {} by the kernel, {} by the interface, {} at the queue",
                interface.name,
                interface.packets,
                interface.dropped_kernel,
                interface.dropped_interface,
                interface.dropped_queue
            ));
        }
        if let Some(counts) = &self.health.attribution {
            say::line(counts);
        }
        let stats = &self.health.stats;
        say::line(format_args!(
            "packets: {} in {} s; handshakes: {} ({} succeeded, {} failed, {} unknown)",
            stats.packets,
            self.started.elapsed().as_secs(),
            stats.handshakes,
            stats.handshakes_succeeded,
            stats.handshakes_failed,
            stats.handshakes_unknown
        ));
    }
}
