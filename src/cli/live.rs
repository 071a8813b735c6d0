//! `tlscope live`: from interfaces to output, until told to stop.

use std::fs;
use std::io::{self, IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Instant;

use tlscope::capture::live::{LiveCapture, LiveSource};
use tlscope::capture::{CaptureError, Meters, PacketBatch, PacketSource};
use tlscope::event::Handshake;
use tlscope::pipeline;
use tlscope::sink::Sink;
use tlscope::stats::{Health, Stats};
use tlscope::telemetry::Prepared;
use tlscope::time::Timestamp;

use super::config::LiveConfig;
use super::failure::Failure;
use super::host::{self, Account, Service, Signals};
use super::keylog::{self, KeyLogs};
use super::output::{Output, closed_pipe_is_success};
use super::screen;
use super::trust::Roots;
use super::{tell, tell_problem};

/// Watches the interfaces, and writes what was asked for.
pub(super) fn live(config: LiveConfig) -> Result<ExitCode, Failure> {
    let signals = Signals::new(stdout().is_terminal());
    let metrics = Output::metrics(&config.output)?; // sockets and files that take privileges, too
    let source = capture(&config, metrics.as_ref(), &signals)?;
    signals
        .listen()
        .map_err(|error| Failure::new(format_args!("cannot listen to signals: {error}")))?;
    let mut output = Output::open(&config.output, metrics).map_err(|failure| {
        let account = config.account.as_ref();
        let account = account.filter(|_| failure.is_about_permission());
        failure.maybe_hint(account.map(Account::hint))
    })?;
    let interfaces = config.interfaces.join(", ");
    tell(|stderr| write!(stderr, "listening on {interfaces}"));
    output.show(signals.stop())?;
    let mut watch = Watch {
        output,
        roots: config.analysis.roots.clone(),
        signals,
        service: Service::ready(&interfaces),
        health: Health::default(),
    };
    let mut input = Input {
        source,
        key_logs: config.key_logs,
    };
    let started = Instant::now();
    let threads = config.threads.get();
    let run = pipeline::run(&mut input, config.analysis.observer(), threads, &mut watch);
    watch.service.stopping();
    drop(input); // the capture threads end
    let finished = match run {
        Ok(summary) => watch.finish(&summary.stats).map(|()| summary.stats),
        Err(error) => {
            let stats = watch.health.stats;
            let _ = watch.finish(&stats); // metrics still go out; what failed fails again
            Err(error)
        }
    };
    screen::close();
    match finished {
        Ok(stats) => {
            keylog::warn_of_use(&config.analysis.keys, &stats);
            watch.output.warn_of_lost_metrics();
            watch.roots.warn_if_missed(watch.output.has_seen_chains());
            tell_summary(&watch.health, started);
        }
        Err(error) => {
            let end = closed_pipe_is_success(error);
            if end.is_err() {
                tell_summary(&watch.health, started);
            }
            end?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the interfaces, and gives up what that takes: but for the threads that may have to open them again.
fn capture(
    config: &LiveConfig,
    metrics: Option<&Prepared>,
    signals: &Signals,
) -> Result<LiveSource, Failure> {
    let capture = LiveCapture::open(&config.interfaces, &config.capture)?;
    make_directories(config)?;
    if let Some(account) = &config.account {
        account.assume()?;
    }
    host::keep_capture_only()?;
    if let Some(sandbox) = &config.sandbox {
        let mut sandbox = sandbox.clone();
        let watched = metrics.into_iter().flat_map(Prepared::watched_directories);
        watched.for_each(|directory| sandbox.read(&directory));
        let written = config.output.directories();
        written.for_each(|directory| sandbox.write(directory));
        sandbox.enter()?;
    }
    let source = capture
        .start(signals.stop())
        .map_err(|error| Failure::new(format_args!("cannot start a thread to capture: {error}")))?;
    host::drop_all()?;
    Ok(source)
}

/// Makes the directories that files are written into, while that is still allowed: by now
/// those who start the run may write where the account that it goes on as may not.
fn make_directories(config: &LiveConfig) -> Result<(), Failure> {
    config.output.directories().try_for_each(|directory| {
        let made = match &config.account {
            Some(account) => account.make_directory(directory),
            None => fs::create_dir_all(directory),
        };
        made.map_err(|error| {
            let directory = directory.display();
            Failure::new(format_args!("cannot make `{directory}`: {error}"))
        })
    })
}

/// Packets as the interfaces bring them, with the secrets that key logs bring meanwhile.
struct Input {
    source: LiveSource,
    key_logs: KeyLogs,
}

impl PacketSource for Input {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        let more = self.source.next_batch(batch)?;
        self.key_logs.poll(&mut batch.secrets);
        for problem in self.source.take_problems() {
            tell_problem(&problem);
        }
        Ok(more)
    }

    fn meters(&self) -> Option<Meters> {
        self.source.meters()
    }
}

/// Output, with an eye on the run itself.
struct Watch<'a> {
    output: Output<'a>,
    roots: Roots,
    signals: Signals,
    service: Service,
    /// As the last tick told.
    health: Health,
}

impl Sink for Watch<'_> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.output.handshake(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.health.clone_from(health);
        self.service.is_well();
        if self.signals.take_reload() {
            self.output.reload();
            self.roots.reload();
        }
        self.output.tick(now, health)
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.output.finish(stats)
    }
}

/// The last lines on standard error: what came in, what was lost and where.
fn tell_summary(health: &Health, started: Instant) {
    for interface in &health.interfaces {
        tell(|stderr| {
            write!(
                stderr,
                "{}: {} packets; dropped: {} by the kernel, {} by the interface, {} at the queue",
                interface.name,
                interface.packets,
                interface.dropped_kernel,
                interface.dropped_interface,
                interface.dropped_queue
            )
        });
    }
    let stats = &health.stats;
    tell(|stderr| {
        write!(
            stderr,
            "{} packets handled in {} s; {} handshakes: {} succeeded, {} failed, {} unknown",
            stats.packets,
            started.elapsed().as_secs(),
            stats.handshakes,
            stats.handshakes_succeeded,
            stats.handshakes_failed,
            stats.handshakes_unknown
        )
    });
}
