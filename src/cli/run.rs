//! `tlscope read`: from captures to output.

use std::io::{self, BufWriter, ErrorKind, stdout};
use std::process::ExitCode;

use tlscope::capture::CaptureError;
use tlscope::event::{Handshake, Outcome};
use tlscope::pipeline;
use tlscope::sink::Sink;
use tlscope::sink::csv::CsvSink;
use tlscope::sink::json::JsonSink;
use tlscope::sink::otel::{ConfigError, Metrics};
use tlscope::sink::summary::SummarySink;
use tlscope::sink::table::TableSink;
use tlscope::stats::Stats;

use super::args::Format;
use super::config::ReadConfig;
use super::failure::Failure;
use super::input::Input;
use super::keylog;
use super::{ERROR, tell_warning};

/// Reads all captures and writes what was asked for.
pub(super) fn read(config: ReadConfig) -> Result<ExitCode, Failure> {
    let mut input = Input::open(
        &config.paths,
        config.filter.as_deref(),
        config.shows_progress,
    )?;
    let mut output = Output::open(&config)?;
    match report(&config, &mut input, &mut output) {
        Ok(()) => {}
        Err(End::Output(error)) => closed_pipe_is_success(error)?,
        Err(End::Input(error)) => return Err(error.into()),
    }
    output.warn_of_lost_metrics();
    Ok(if input.is_incomplete() {
        ERROR.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Why a run ended early.
enum End {
    Input(CaptureError),
    Output(io::Error),
}

/// Writes whatever was found, even if some of the input could not be read; nothing if none could.
fn report(config: &ReadConfig, input: &mut Input, output: &mut Output<'_>) -> Result<(), End> {
    let stats = replay(config, input, output)?;
    if stats.packets == 0 && input.is_incomplete() {
        return Ok(());
    }
    output.finish(&stats).map_err(End::Output)
}

/// Packets in, events out; counts what was handled.
fn replay(config: &ReadConfig, input: &mut Input, output: &mut Output<'_>) -> Result<Stats, End> {
    let summary = pipeline::run(input, config.observer(), config.threads.get(), output)
        .map_err(End::Output)?;
    let mut stats = summary.stats;
    stats.packets_filtered = input.filtered();
    keylog::warn_of_use(&config.keys, &stats);
    match summary.error {
        None => Ok(stats),
        Some(error) => {
            output.finish(&stats).map_err(End::Output)?;
            Err(End::Input(error))
        }
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

/// Everything that takes events, behind the selection.
struct Output<'a> {
    config: &'a ReadConfig,
    /// Gets the selected handshakes that are to be written one by one.
    lines: Option<Box<dyn Sink>>,
    /// Gets all selected handshakes.
    summary: Option<Box<dyn Sink>>,
    metrics: Option<Metrics>,
}

impl<'a> Output<'a> {
    fn open(config: &'a ReadConfig) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        Ok(Self {
            config,
            lines: lines(config).or_else(|error| closed_pipe_is_success(error).map(|()| None))?,
            summary: summary(config),
            metrics: Metrics::new(&config.metrics, &environment, Box::new(stdout()))?,
        })
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

    /// The analysis is worth its exit code even where metrics do not arrive.
    fn warn_of_lost_metrics(&self) {
        if let Some(error) = self.metrics.as_ref().and_then(Metrics::export_error) {
            tell_warning(error);
        }
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

    /// Metrics come last: they may wait for a collector.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.sinks().try_for_each(|sink| sink.finish(stats))
    }
}

fn lines(config: &ReadConfig) -> io::Result<Option<Box<dyn Sink>>> {
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

fn summary(config: &ReadConfig) -> Option<Box<dyn Sink>> {
    match config.format {
        Format::Table | Format::Summary => Some(Box::new(SummarySink::new(
            BufWriter::new(stdout()),
            config.look,
        ))),
        Format::Json | Format::Csv => None,
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let is_filter = matches!(error, CaptureError::Filter { .. });
        Self::new(error)
            .maybe_hint(is_filter.then_some("pcap-filter(7) has the language of filters"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error)
    }
}
