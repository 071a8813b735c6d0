//! Everything that takes events: the same for every command that takes packets.

use std::io::{self, BufWriter, ErrorKind, stdout};
use std::sync::Arc;
#[cfg(all(feature = "live", target_os = "linux"))]
use std::sync::atomic::AtomicBool;

use tlscope::event::{Handshake, Outcome};
use tlscope::pattern::Glob;
use tlscope::sink::Sink;
use tlscope::sink::files::extract::ExtractSink;
use tlscope::sink::files::save::FailureFiles;
use tlscope::sink::machine::csv::CsvSink;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::certificates::CertificatesSink;
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::people::table::TableSink;
use tlscope::stats::{Health, Stats};
use tlscope::telemetry::{ConfigError, Notice, Prepared, Telemetry};
use tlscope::time::Timestamp;

use super::args::Format;
use super::config::OutputConfig;
use super::failure::Failure;
use super::rotate::RotatingSink;
#[cfg(all(feature = "live", target_os = "linux"))]
use super::screen;
use super::tell_warning;

/// Everything that takes events, behind the selection.
pub(super) struct Output<'a> {
    config: &'a OutputConfig,
    /// Gets the selected handshakes that are to be written one by one.
    lines: Option<Box<dyn Sink>>,
    /// Gets them where they do not go to standard output.
    file: Option<RotatingSink>,
    /// Gets all selected handshakes.
    summary: Option<Box<dyn Sink>>,
    /// Gets all selected handshakes.
    extract: Option<ExtractSink>,
    /// Whether it was said that certificates cannot be written.
    has_warned_of_extract: bool,
    failures: Option<FailureFiles>,
    /// Whether the last failure was not saved, which was said.
    misses_failures: bool,
    metrics: Option<Telemetry>,
    has_seen_chains: bool,
}

impl<'a> Output<'a> {
    /// The metrics, prepared with what privileges there are.
    pub(super) fn metrics(config: &OutputConfig) -> Result<Option<Prepared>, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let notice: Notice = Arc::new(|line: &str| tell_warning(line));
        let output = Box::new(stdout());
        Ok(Prepared::new(
            &config.metrics,
            &environment,
            output,
            notice,
        )?)
    }

    /// Opens what is to be written, and starts what exports: by now, privileges are dropped.
    pub(super) fn open(
        config: &'a OutputConfig,
        metrics: Option<Prepared>,
    ) -> Result<Self, Failure> {
        let metrics = metrics.map(Prepared::start).transpose().map_err(|error| {
            Failure::new(format_args!("cannot start a thread to export: {error}"))
        })?;
        Ok(Self {
            config,
            lines: lines(config).or_else(|error| closed_pipe_is_success(error).map(|()| None))?,
            file: file(config)?,
            summary: summary(config),
            extract: extract(config)?,
            has_warned_of_extract: false,
            failures: failures(config)?,
            misses_failures: false,
            has_seen_chains: false,
            metrics,
        })
    }

    /// Everything but certificates, which go to a disk that may be full.
    fn sinks(&mut self) -> impl Iterator<Item = &mut dyn Sink> {
        let text = [&mut self.lines, &mut self.summary].into_iter().flatten();
        let text = text.map(|sink| &mut **sink as &mut dyn Sink);
        let file = self.file.as_mut().map(|file| file as &mut dyn Sink);
        let metrics = self.metrics.as_mut();
        let metrics = metrics.map(|metrics| metrics as &mut dyn Sink);
        text.chain(file).chain(metrics)
    }

    fn is_written(&self, event: &Handshake) -> bool {
        !self.config.failures_only || event.outcome == Outcome::Failure
    }

    /// Shows the state of the run on the terminal, until the end; then the summary.
    #[cfg(all(feature = "live", target_os = "linux"))]
    pub(super) fn show(&mut self, stop: Arc<AtomicBool>) -> Result<(), Failure> {
        if self.config.screen {
            let screen = screen::open(self.config.look, stop).map_err(|error| {
                Failure::new(format_args!("cannot use the terminal: {error}"))
                    .hint("`--format table` writes lines instead")
            })?;
            self.summary = Some(Box::new(screen));
        }
        Ok(())
    }

    /// Opens and reads again what may have changed: the file that is written, certificates, trust.
    #[cfg(all(feature = "live", target_os = "linux"))]
    pub(super) fn reload(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.reload();
        }
        if let Some(file) = &mut self.file {
            file.reload();
        }
    }

    /// Whether any handshake showed certificates.
    pub(super) const fn has_seen_chains(&self) -> bool {
        self.has_seen_chains
    }

    /// The analysis is worth its exit code even where metrics do not arrive.
    pub(super) fn warn_of_lost_metrics(&self) {
        let errors = self.metrics.as_ref().map(Telemetry::export_errors);
        errors.into_iter().flatten().for_each(tell_warning);
    }
}

impl Output<'_> {
    /// Saves the packets of a failure: where to. A disk that is full ends no run.
    fn save(&mut self, event: &Handshake) -> Option<Arc<str>> {
        let files = self.failures.as_mut()?;
        match files.save(event) {
            Ok(None) => None,
            Ok(saved_to) => {
                if std::mem::take(&mut self.misses_failures) {
                    let lost = files.lost();
                    tell_warning(format_args!(
                        "packets of failures are saved again: those of {lost} are lost so far"
                    ));
                }
                saved_to
            }
            Err(error) => {
                if !std::mem::replace(&mut self.misses_failures, true) {
                    tell_warning(format_args!(
                        "cannot save the packets of a failure: {error}; that is tried with each"
                    ));
                }
                None
            }
        }
    }

    /// A disk that is full ends no run: what could not be written is tried again.
    fn extract(&mut self, write: impl FnOnce(&mut ExtractSink) -> io::Result<()>) {
        let Some(Err(error)) = self.extract.as_mut().map(write) else {
            return;
        };
        if !std::mem::replace(&mut self.has_warned_of_extract, true) {
            tell_warning(format_args!("{error}; certificates wait for room"));
        }
    }

    fn tell(&mut self, event: &Handshake) -> io::Result<()> {
        self.has_seen_chains |=
            event.server_certificates.is_some() || event.client_certificates.is_some();
        let written = self.is_written(event);
        if let (Some(lines), true) = (&mut self.lines, written) {
            lines.handshake(event)?;
        }
        if let (Some(file), true) = (&mut self.file, written) {
            file.handshake(event)?;
        }
        if let Some(summary) = &mut self.summary {
            summary.handshake(event)?;
        }
        self.extract(|extract| extract.handshake(event));
        match &mut self.metrics {
            Some(metrics) => metrics.handshake(event),
            None => Ok(()),
        }
    }
}

impl Sink for Output<'_> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        if !selects(self.config.server_name.as_ref(), event) {
            return Ok(());
        }
        let Some(saved_to) = self.save(event) else {
            return self.tell(event);
        };
        let mut event = event.clone();
        event.saved_to = Some(saved_to);
        self.tell(&event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sinks().try_for_each(Sink::flush)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.extract(|extract| extract.tick(now, health));
        self.sinks().try_for_each(|sink| sink.tick(now, health))
    }

    /// Metrics come last: they may wait for a collector. Whatever fails before, they go out.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        if let Some(lost @ 2..) = self.failures.as_ref().map(FailureFiles::lost) {
            tell_warning(format_args!(
                "the packets of {lost} failures were not saved"
            ));
        }
        let extracted = match &mut self.extract {
            Some(extract) => extract.finish(stats),
            None => Ok(()),
        };
        let done = self.sinks().map(|sink| sink.finish(stats));
        done.fold(Ok(()), io::Result::and).and(extracted)
    }
}

/// Whether a handshake is among those that `--server-name` asks for.
pub(super) fn selects(server_name: Option<&Glob>, event: &Handshake) -> bool {
    server_name.is_none_or(|glob| {
        let name = event.tls.server_name.as_deref();
        name.is_some_and(|name| glob.matches(name))
    })
}

fn lines(config: &OutputConfig) -> io::Result<Option<Box<dyn Sink>>> {
    Ok(match config.format {
        _ if config.file.is_some() || config.screen => None,
        Format::Table => Some(Box::new(TableSink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Json => Some(Box::new(JsonSink::new(stdout()))),
        Format::Csv => Some(Box::new(CsvSink::new(stdout())?)),
        Format::Summary | Format::Certs => None,
    })
}

fn file(config: &OutputConfig) -> Result<Option<RotatingSink>, Failure> {
    let file = config.file.clone();
    file.map(|file| RotatingSink::open(file, config.format))
        .transpose()
}

fn summary(config: &OutputConfig) -> Option<Box<dyn Sink>> {
    match config.format {
        _ if config.screen => None, // the screen ends with it
        Format::Table | Format::Summary => Some(Box::new(SummarySink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Certs => Some(Box::new(CertificatesSink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Json | Format::Csv => None,
    }
}

fn extract(config: &OutputConfig) -> Result<Option<ExtractSink>, Failure> {
    let directory = config.extract_certs.clone();
    directory
        .map(ExtractSink::new)
        .transpose()
        .map_err(Failure::new)
}

fn failures(config: &OutputConfig) -> Result<Option<FailureFiles>, Failure> {
    let files = config.save_failures.clone();
    files
        .map(|(directory, keep)| FailureFiles::open(directory, keep))
        .transpose()
        .map_err(Failure::new)
}

/// Whoever reads the output may stop when they have seen enough.
pub(super) fn closed_pipe_is_success(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        // A sink that writes elsewhere says where.
        ErrorKind::Other if error.get_ref().is_some() => Err(Failure::new(error)),
        _ => Err(Failure::new(format_args!(
            "cannot write to standard output: {error}"
        ))),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error)
    }
}
