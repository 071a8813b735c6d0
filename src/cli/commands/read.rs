//! `tlscope read`: from captures to output.

use std::io;
use std::process::ExitCode;

use tlscope::capture::CaptureError;
use tlscope::pipeline;
use tlscope::stats::Stats;

use super::ERROR;
use crate::cli::config::ReadConfig;
use crate::cli::error::CliError;
use crate::cli::input::{
    CaptureInput, hint_at_other_uses, key_log, warn_of_not_judged, warn_of_unread,
};
use crate::cli::output::{RunOutput, closed_pipe_is_success};

/// Reads all captures and writes the output.
pub(super) fn run(config: &ReadConfig) -> Result<ExitCode, CliError> {
    let mut input = CaptureInput::open(
        &config.paths,
        config.filter.as_deref(),
        config.shows_progress,
        config.analysis.memory_limit,
    )?;
    let mut output = RunOutput::open(&config.output, RunOutput::metrics(&config.output)?)?;
    match report(config, &mut input, &mut output) {
        Ok(()) => {}
        Err(EarlyEnd::Output(error)) => closed_pipe_is_success(error)?,
        Err(EarlyEnd::Input(error)) => return Err(error.into()),
    }
    if input.is_incomplete() {
        hint_at_other_uses(&config.paths);
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
enum EarlyEnd {
    Input(CaptureError),
    Output(io::Error),
}

/// Writes what was found, even if some of the input could not be read; nothing if none could.
fn report(
    config: &ReadConfig,
    input: &mut CaptureInput,
    output: &mut RunOutput<'_>,
) -> Result<(), EarlyEnd> {
    let stats = replay(config, input, output)?;
    if stats.packets == 0 && input.is_incomplete() {
        return Ok(());
    }
    output.finish(&stats).map_err(EarlyEnd::Output)
}

/// Runs all packets through the pipeline; the output is finished only if the input fails.
fn replay(
    config: &ReadConfig,
    input: &mut CaptureInput,
    output: &mut RunOutput<'_>,
) -> Result<Stats, EarlyEnd> {
    let mut observer = config.analysis.observer();
    observer.memory_limit = input.leave(observer.memory_limit);
    let summary =
        pipeline::run(input, observer, config.threads, output).map_err(EarlyEnd::Output)?;
    let mut stats = summary.stats;
    stats.packets_filtered = input.filtered();
    warn_of_unread(&summary.unread, &stats);
    warn_of_not_judged(&stats);
    key_log::warn_of_use(&config.analysis.keys, &config.key_logs, &stats);
    match summary.error {
        None => Ok(stats),
        Some(error) => {
            output.finish(&stats).map_err(EarlyEnd::Output)?;
            Err(EarlyEnd::Input(error))
        }
    }
}
