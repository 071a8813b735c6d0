//! `tlscope read`: from captures to output.

use std::io;
use std::process::ExitCode;

use tlscope::capture::CaptureError;
use tlscope::pipeline;
use tlscope::sink::Sink;
use tlscope::stats::Stats;

use super::ERROR;
use crate::cli::config::ReadConfig;
use crate::cli::error::Failure;
use crate::cli::input::{Input, key_log};
use crate::cli::output::{Output, closed_pipe_is_success};

/// Reads all captures and writes what was asked for.
pub(super) fn read(config: ReadConfig) -> Result<ExitCode, Failure> {
    let mut input = Input::open(
        &config.paths,
        config.filter.as_deref(),
        config.shows_progress,
    )?;
    let mut output = Output::open(&config.output, Output::metrics(&config.output)?)?;
    match report(&config, &mut input, &mut output) {
        Ok(()) => {}
        Err(End::Output(error)) => closed_pipe_is_success(error)?,
        Err(End::Input(error)) => return Err(error.into()),
    }
    output.warn_of_lost_metrics();
    config
        .analysis
        .roots
        .warn_if_missed(output.has_seen_chains());
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
    let summary = pipeline::run(
        input,
        config.analysis.observer(),
        config.threads.get(),
        output,
    )
    .map_err(End::Output)?;
    let mut stats = summary.stats;
    stats.packets_filtered = input.filtered();
    key_log::warn_of_use(&config.analysis.keys, &stats);
    match summary.error {
        None => Ok(stats),
        Some(error) => {
            output.finish(&stats).map_err(End::Output)?;
            Err(End::Input(error))
        }
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let hint = match &error {
            CaptureError::Filter { .. } => {
                Some("pcap-filter(7) has the language of filters".to_owned())
            }
            CaptureError::Interface { .. } => {
                Some("`tlscope interfaces` lists the interfaces".to_owned())
            }
            CaptureError::NotPermitted { .. } => Some(how_to_be_permitted()),
            _ => None,
        };
        Self::new(error).maybe_hint(hint)
    }
}

/// What lets the program capture.
pub(super) fn how_to_be_permitted() -> String {
    let program = std::env::current_exe().ok();
    let program = program
        .as_ref()
        .map_or_else(|| "tlscope".into(), |path| path.display().to_string());
    format!(
        "run it as root, or give the program the capability once: `sudo setcap cap_net_raw+ep {program}`"
    )
}
