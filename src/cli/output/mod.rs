//! What a run writes: the same for every command that reports handshakes.

use std::env;
use std::io::{self, ErrorKind, stdout};
use std::sync::Arc;

use tlscope::event::{Handshake, HandshakeReport, Ladder, NotTls, NotTlsKind, Outcome};
use tlscope::pipeline::{self, Lines};
use tlscope::sink::people::table::RowOptions;
use tlscope::sink::sorted::{SortOrder, SortedSink};
use tlscope::sink::{Needs, Renderer, Sink};
use tlscope::stats::{Health, Progress, Stats};
use tlscope::telemetry::{ConfigError, Losses, Notice, Opened, Prepared, Telemetry};
use tlscope::time::Timestamp;

use crate::cli::config::{EventDestination, OutputConfig};
use crate::cli::error::CliError;
use crate::cli::say;
use html_report::HtmlReport;
use optional_files::{CertificateFiles, FailureCaptures};
use rotate::RotatingSink;
use symbols::Symbols;

mod html_report;
mod optional_files;
pub(crate) mod progress;
pub(crate) mod rotate;
pub(crate) mod symbols;
pub(crate) mod whole_file;

/// The screen of a live run; its summary goes to standard output.
#[cfg(live_capture)]
pub(crate) type LiveScreen =
    tlscope::sink::people::screen::ScreenSink<io::BufWriter<Symbols<io::Stdout>>>;

/// All sinks of a run, behind the selection of handshakes.
pub(crate) struct RunOutput<'a> {
    config: &'a OutputConfig,
    /// Gets the selected handshakes, unless `--failures-only` leaves them out.
    events: Option<EventWriter>,
    /// Gets all selected handshakes.
    summary: Option<Box<dyn Sink>>,
    certificates: Option<CertificateFiles>,
    failures: Option<FailureCaptures>,
    report: Option<HtmlReport>,
    /// Shows the state of a live run, and its summary at the end.
    #[cfg(live_capture)]
    screen: Option<LiveScreen>,
    metrics: Option<Telemetry>,
    has_seen_chains: bool,
    has_selected: bool,
}

impl<'a> RunOutput<'a> {
    /// Prepares the metrics.
    pub(crate) fn metrics(config: &OutputConfig) -> Result<Option<Prepared>, CliError> {
        let opened = Self::open_metrics(config)?;
        Ok(opened.map(Opened::prepare).transpose()?)
    }

    /// Opens the sockets and files of metrics, before privileges are dropped.
    pub(crate) fn open_metrics(config: &OutputConfig) -> Result<Option<Opened>, CliError> {
        let environment = |name: &str| env::var(name).ok();
        let notice: Notice = Arc::new(|line: &str| say::warning(line));
        let output = Box::new(stdout());
        Ok(Opened::new(&config.metrics, &environment, output, notice)?)
    }

    /// Opens all files and starts the exports, without privileges.
    pub(crate) fn open(
        config: &'a OutputConfig,
        metrics: Option<Prepared>,
    ) -> Result<Self, CliError> {
        let metrics = metrics.map(Prepared::start).transpose().map_err(|error| {
            CliError::new(format_args!("cannot start a thread to export: {error}"))
        })?;
        let certificates = config.extract_certs.as_deref();
        let failures = config.save_failures.as_ref();
        Ok(Self {
            config,
            events: EventWriter::open(config)?,
            summary: summary(config),
            certificates: certificates.map(CertificateFiles::open).transpose()?,
            failures: failures.map(FailureCaptures::open).transpose()?,
            report: config.report.clone().map(HtmlReport::open).transpose()?,
            #[cfg(live_capture)]
            screen: None,
            metrics,
            has_seen_chains: false,
            has_selected: false,
        })
    }

    /// Whether any handshake showed certificates.
    pub(crate) const fn has_seen_chains(&self) -> bool {
        self.has_seen_chains
    }

    /// Warns of failed exports. They do not change the exit status: the report itself is complete.
    pub(crate) fn warn_of_lost_metrics(&self) {
        let errors = self.metrics.as_ref().map(Telemetry::export_errors);
        errors.into_iter().flatten().for_each(say::warning);
    }
}

/// What only a run with a screen and reloads does.
#[cfg(live_capture)]
impl RunOutput<'_> {
    /// Shows the state of the run on `screen`, and the summary at the end.
    pub(crate) fn show_on(&mut self, screen: LiveScreen) {
        self.summary = None; // the screen has one
        self.screen = Some(screen);
    }

    /// Whether a handshake is among those that the user wants to see.
    pub(crate) fn shows(&self, event: &Handshake) -> bool {
        let is_written = !self.config.failures_only || is_refused(event);
        is_written && self.config.selection.selects(event)
    }

    /// Reopens the file of events and reads watched certificates again.
    pub(crate) fn reload(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.reload();
        }
        if let Some(EventWriter::File(file)) = &mut self.events {
            file.reload();
        }
    }
}

impl RunOutput<'_> {
    /// The sinks whose errors end the run.
    fn sinks(&mut self) -> impl Iterator<Item = &mut dyn Sink> {
        let events = self.events.as_mut().map(EventWriter::sink);
        let summary = self.summary.as_mut();
        let summary = summary.map(|summary| &mut **summary as &mut dyn Sink);
        let report = self.report.as_mut();
        let report = report.map(|report| report as &mut dyn Sink);
        #[cfg(live_capture)]
        let screen = self.screen.as_mut().map(|screen| screen as &mut dyn Sink);
        #[cfg(not(live_capture))]
        let screen: Option<&mut dyn Sink> = None;
        let metrics = self.metrics.as_mut();
        let metrics = metrics.map(|metrics| metrics as &mut dyn Sink);
        events
            .into_iter()
            .chain(summary)
            .chain(screen)
            .chain(report)
            .chain(metrics)
    }

    /// Passes on to the metrics what could not be written.
    fn note_losses(&self) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        let events = self.events.as_ref().map(|events| match events {
            EventWriter::File(file) => file.lost_in_total(),
            EventWriter::StandardOutput(_) => 0, // an error ends the run
        });
        let evicted = self.failures.as_ref().map(FailureCaptures::evicted);
        let failures = self.failures.as_ref().map(FailureCaptures::lost);
        let certificates = self.certificates.as_ref().map(CertificateFiles::lost);
        let losses = Losses::new(events, failures, certificates);
        metrics.set_losses(losses.with_failures_evicted(evicted));
    }

    /// Whether a selected event goes to the output of events by a line that is made apart. Writes it otherwise, if it is to be written.
    fn write_event(
        &mut self,
        is_written: bool,
        lines: Lines,
        write: impl FnOnce(&mut dyn Sink) -> io::Result<()>,
    ) -> io::Result<bool> {
        match (self.events.as_mut().filter(|_| is_written), lines) {
            (Some(events), Lines::InPlace) => write(events.sink()).map(|()| false),
            (events, _) => Ok(events.is_some()),
        }
    }

    /// Writes a handshake; true if its line is to be made apart.
    fn write(
        &mut self,
        event: &Handshake,
        ladder: Option<&Ladder>,
        lines: Lines,
    ) -> io::Result<bool> {
        self.has_selected = true;
        self.has_seen_chains |=
            event.server_certificates.is_some() || event.client_certificates.is_some();
        let is_written = !self.config.failures_only || is_refused(event);
        let is_due = self.write_event(is_written, lines, |sink| sink.handshake(event))?;
        if let Some(summary) = &mut self.summary {
            summary.handshake(event)?;
        }
        if let Some(certificates) = &mut self.certificates {
            certificates.handshake(event);
        }
        if let Some(report) = &mut self.report {
            report.add(event, ladder);
        }
        #[cfg(live_capture)]
        if let Some(screen) = &mut self.screen {
            screen.add(event, ladder)?;
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.handshake(event)?;
        }
        Ok(is_due)
    }
}

impl pipeline::Output for RunOutput<'_> {
    fn needs(&self) -> Needs {
        let events = self.events.as_ref().map(EventWriter::needs);
        let summary = self.summary.as_ref().map(Sink::needs);
        let report = self.report.as_ref().map(Sink::needs);
        let metrics = self.metrics.as_ref().map(Sink::needs);
        let all = [events, summary, report, metrics].into_iter().flatten();
        all.fold(Needs::NONE, Needs::or) // a screen, and files of certificates and packets, need nothing
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        let events = self.events.as_ref();
        events.map_or_else(Vec::new, |events| events.renderers(count))
    }

    fn report(
        &mut self,
        mut report: Box<HandshakeReport>,
        lines: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        if !self.config.selection.selects(&report.event) {
            if let Some(html) = &mut self.report {
                html.leave_out(&report.event);
            }
            return Ok(None);
        }
        let failures = self.failures.as_mut();
        report.event.saved_to = failures.and_then(|failures| failures.save(&report));
        let is_due = self.write(&report.event, report.ladder.as_deref(), lines)?;
        Ok(is_due.then_some(report))
    }

    fn not_tls(&mut self, event: &NotTls, lines: Lines) -> io::Result<bool> {
        if !self.config.selection.selects_not_tls(event) {
            return Ok(false);
        }
        let is_written = !self.config.failures_only || event.kind != NotTlsKind::SilentProbe;
        let is_due = self.write_event(is_written, lines, |sink| sink.not_tls(event))?;
        let summary = self.summary.as_mut();
        summary.map_or(Ok(()), |summary| Sink::not_tls(summary, event))?;
        if let Some(report) = &mut self.report {
            Sink::not_tls(report, event)?;
        }
        #[cfg(live_capture)]
        if let Some(screen) = &mut self.screen {
            Sink::not_tls(screen, event)?;
        }
        if let Some(metrics) = &mut self.metrics {
            Sink::not_tls(metrics, event)?;
        }
        Ok(is_due)
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        let output = self.events.as_mut();
        output.map_or(Ok(()), |output| output.sink().rendered(text, events))
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        self.sinks().try_for_each(|sink| sink.progress(progress))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sinks().try_for_each(Sink::flush)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.note_losses();
        if let Some(certificates) = &mut self.certificates {
            certificates.tick(now, health);
        }
        self.sinks().try_for_each(|sink| sink.tick(now, health))
    }
}

impl RunOutput<'_> {
    /// Finishes every sink even if one fails. Metrics come last: they may wait for a collector.
    pub(crate) fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        if !self.has_selected && stats.handshakes > 0 {
            say::warning(none_selected(stats.handshakes));
        }
        if let Some(failures) = &self.failures {
            failures.warn_of_lost();
        }
        let certificates = match &mut self.certificates {
            Some(certificates) => certificates.finish(stats),
            None => Ok(()),
        };
        self.note_losses();
        let results = self.sinks().map(|sink| sink.finish(stats));
        results.fold(Ok(()), io::Result::and).and(certificates)
    }
}

/// Whether the handshake failed, or a side refused its peer afterwards.
fn is_refused(event: &Handshake) -> bool {
    event.outcome == Outcome::Failure || event.rejected_after.is_some()
}

/// That handshakes were seen, and that no selection by the user includes any.
pub(crate) fn none_selected(seen: u64) -> String {
    match seen {
        1 => "the selection excludes the only handshake".to_owned(),
        seen => format!("the selection excludes all {seen} handshakes"),
    }
}

/// Writes handshakes one by one.
enum EventWriter {
    StandardOutput(Box<dyn Sink>),
    File(RotatingSink),
}

impl EventWriter {
    /// `None` if handshakes are only summed up or shown on a screen.
    fn open(config: &OutputConfig) -> Result<Option<Self>, CliError> {
        let format = config.format;
        match &config.destination {
            EventDestination::StandardOutput => {
                let source = config.source_column;
                let rows = RowOptions {
                    shows_source: source.is_some(),
                    source_width: source.map_or(0, |source| source.width),
                    source_common: source.map_or(0, |source| source.common),
                    source_names_repeat: source.is_some_and(|source| source.names_repeat),
                    shows_processes: config.shows_processes,
                    names: config.names,
                    room_for_texts: config.room_for_texts,
                    keeps_order: config.sort.is_some_and(|order| order != SortOrder::Time),
                    ..RowOptions::default()
                };
                let output = Symbols::new(stdout(), format.is_for_people());
                let sink = format.event_sink(output, config.text_style, rows);
                let sink = sink.or_else(|error| closed_pipe_is_success(error).map(|()| None))?;
                Ok(sink.map(|sink| {
                    Self::StandardOutput(sorted(sink, config.sort, config.room_to_sort))
                }))
            }
            EventDestination::File(rotation) => {
                let file = RotatingSink::open(rotation.clone(), format, config.room_for_texts)?;
                Ok(Some(Self::File(file)))
            }
            EventDestination::Screen => Ok(None),
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Self::StandardOutput(sink) => sink.needs(),
            Self::File(file) => file.needs(),
        }
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        match self {
            Self::StandardOutput(sink) => sink.renderers(count),
            Self::File(file) => file.renderers(count),
        }
    }

    fn sink(&mut self) -> &mut dyn Sink {
        match self {
            Self::StandardOutput(sink) => &mut **sink,
            Self::File(file) => file,
        }
    }
}

/// The sink behind the order that the user wants.
fn sorted(sink: Box<dyn Sink>, order: Option<SortOrder>, room: usize) -> Box<dyn Sink> {
    let warn = |omitted: u64| {
        say::warning(format_args!(
            "too many handshakes to sort: the last {omitted} in this order are omitted"
        ));
        say::hint("raise `--memory-limit` to keep more");
    };
    match order {
        Some(order) => Box::new(SortedSink::new(sink, order, room, warn)),
        None => sink,
    }
}

fn summary(config: &OutputConfig) -> Option<Box<dyn Sink>> {
    if matches!(config.destination, EventDestination::Screen) {
        return None; // the screen writes the summary when it closes
    }
    let format = config.format;
    let output = Symbols::new(stdout(), format.is_for_people());
    format.summary_sink(output, config.text_style)
}

/// A reader that closes the pipe has read enough: that is no error.
pub(crate) fn closed_pipe_is_success(error: io::Error) -> Result<(), CliError> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        // A sink that writes elsewhere says where.
        ErrorKind::Other if error.get_ref().is_some() => Err(CliError::new(error)),
        _ => Err(CliError::new(format_args!(
            "cannot write to standard output: {error}"
        ))),
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(error)
    }
}
