//! Everything that takes events: the same for every command that takes packets.

use std::io::{self, BufWriter, ErrorKind, stdout};
use std::sync::Arc;

use tlscope::event::{Handshake, Outcome};
use tlscope::sink::Sink;
use tlscope::sink::csv::CsvSink;
use tlscope::sink::json::JsonSink;
use tlscope::sink::otel::{ConfigError, Metrics, Notice};
use tlscope::sink::summary::SummarySink;
use tlscope::sink::table::TableSink;
use tlscope::stats::{Health, Stats};
use tlscope::time::Timestamp;

use super::args::Format;
use super::config::OutputConfig;
use super::failure::Failure;
use super::tell_warning;

/// Everything that takes events, behind the selection.
pub(super) struct Output<'a> {
    config: &'a OutputConfig,
    /// Gets the selected handshakes that are to be written one by one.
    lines: Option<Box<dyn Sink>>,
    /// Gets all selected handshakes.
    summary: Option<Box<dyn Sink>>,
    metrics: Option<Metrics>,
}

impl<'a> Output<'a> {
    pub(super) fn open(config: &'a OutputConfig) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let notice: Notice = Arc::new(|line: &str| tell_warning(line));
        Ok(Self {
            config,
            lines: lines(config).or_else(|error| closed_pipe_is_success(error).map(|()| None))?,
            summary: summary(config),
            metrics: Metrics::new(&config.metrics, &environment, Box::new(stdout()), notice)?,
        })
    }

    /// Begins what needs threads: by now, privileges are dropped.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let metrics = self.metrics.as_mut();
        metrics
            .map_or(Ok(()), Metrics::start)
            .map_err(|error| Failure::new(format_args!("cannot start a thread to export: {error}")))
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut dyn Sink> {
        let text = [&mut self.lines, &mut self.summary].into_iter().flatten();
        let text = text.map(|sink| &mut **sink as &mut dyn Sink);
        text.chain(
            self.metrics
                .as_mut()
                .map(|metrics| metrics as &mut dyn Sink),
        )
    }

    fn is_selected(&self, event: &Handshake) -> bool {
        self.config.server_name.as_ref().is_none_or(|glob| {
            let name = event.tls.server_name.as_deref();
            name.is_some_and(|name| glob.matches(name))
        })
    }

    fn is_written(&self, event: &Handshake) -> bool {
        !self.config.failures_only || event.outcome == Outcome::Failure
    }

    /// Reads again what the user may have changed: certificates, trust.
    #[cfg(feature = "live")]
    pub(super) fn reload(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.reload();
        }
    }

    /// The analysis is worth its exit code even where metrics do not arrive.
    pub(super) fn warn_of_lost_metrics(&self) {
        let errors = self.metrics.as_ref().map(Metrics::export_errors);
        errors.into_iter().flatten().for_each(tell_warning);
    }
}

impl Sink for Output<'_> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        if !self.is_selected(event) {
            return Ok(());
        }
        let written = self.is_written(event);
        if let (Some(lines), true) = (&mut self.lines, written) {
            lines.handshake(event)?;
        }
        if let Some(summary) = &mut self.summary {
            summary.handshake(event)?;
        }
        match &mut self.metrics {
            Some(metrics) => metrics.handshake(event),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sinks().try_for_each(Sink::flush)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.sinks().try_for_each(|sink| sink.tick(now, health))
    }

    /// Metrics come last: they may wait for a collector.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.sinks().try_for_each(|sink| sink.finish(stats))
    }
}

fn lines(config: &OutputConfig) -> io::Result<Option<Box<dyn Sink>>> {
    Ok(match config.format {
        Format::Table => Some(Box::new(TableSink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Json => Some(Box::new(JsonSink::new(stdout()))),
        Format::Csv => Some(Box::new(CsvSink::new(stdout())?)),
        Format::Summary => None,
    })
}

fn summary(config: &OutputConfig) -> Option<Box<dyn Sink>> {
    match config.format {
        Format::Table | Format::Summary => Some(Box::new(SummarySink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Json | Format::Csv => None,
    }
}

/// Whoever reads the output may stop when they have seen enough.
pub(super) fn closed_pipe_is_success(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
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
