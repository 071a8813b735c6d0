//! `tlscope targets`: from captures to a list of endpoints to probe.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use tlscope::event::Handshake;
use tlscope::observer;
use tlscope::pipeline;
use tlscope::sink::machine::targets::{TargetSelection, TargetsSink};
use tlscope::sink::selection::Selection;
use tlscope::sink::{Needs, Sink};
use tlscope::stats::Stats;

use super::ERROR;
use crate::cli::config::args::TargetsArgs;
use crate::cli::config::memory;
use crate::cli::error::CliError;
use crate::cli::input::{CaptureInput, key_log, warn_of_not_judged, warn_of_unread};
use crate::cli::output::closed_pipe_is_success;
use crate::cli::say;

/// Reads all captures and writes the list; writes nothing if none can be read.
pub(super) fn targets(args: &TargetsArgs) -> Result<ExitCode, CliError> {
    let limit = memory::limit(&args.memory);
    let keys = key_log::read(&args.input.keylog, limit)?;
    let mut config = observer::Config::default();
    config.memory_limit = if args.input.keylog.is_empty() {
        limit
    } else {
        limit.with_key_logs()
    };
    config.keys = keys.clone();
    config.tunnel_ports = args.input.tunnels.ports();
    let filter = args.input.filter.as_deref();
    let mut input = CaptureInput::open(&args.paths, filter, stderr().is_terminal(), limit)?;
    config.memory_limit = input.leave(config.memory_limit);

    let mut selection = Selection::from(args.input.selection.clone());
    args.time.add_to(&mut selection);
    let mut which = TargetSelection::default();
    which.hidden_only = args.hidden;
    which.by_address = args.by_address;
    let mut list = Vec::new();
    let mut sink = SelectedHandshakes {
        selection,
        targets: TargetsSink::new(&mut list, args.format, which),
    };
    let threads = args.input.threads.for_files(limit);
    let run = pipeline::run(&mut input, config, threads, &mut sink)
        .map_err(|error| CliError::new(format_args!("cannot list targets: {error}")))?;
    warn_of_unread(&run.unread, &run.stats);
    warn_of_not_judged(&run.stats);
    key_log::warn_of_use(&keys, &run.stats);
    if let Some(error) = run.error {
        return Err(error.into());
    }
    if run.stats.packets == 0 && input.is_incomplete() {
        return Ok(ERROR.into()); // the problem is on standard error already
    }
    for omission in sink.targets.omissions() {
        say::warning(omission);
    }
    sink.finish(&run.stats)
        .and_then(|()| stdout().write_all(&list))
        .and_then(|()| stdout().flush())
        .or_else(closed_pipe_is_success)?;
    Ok(if input.is_incomplete() {
        ERROR.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Passes on the handshakes that the user selects.
struct SelectedHandshakes<W> {
    selection: Selection,
    targets: TargetsSink<W>,
}

impl<W: Write> Sink for SelectedHandshakes<W> {
    fn needs(&self) -> Needs {
        self.targets.needs()
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        if self.selection.selects(event) {
            self.targets.handshake(event)?;
        }
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.targets.finish(stats)
    }
}
