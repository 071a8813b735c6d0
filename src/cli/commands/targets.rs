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
use crate::cli::output::{closed_pipe_is_success, none_selected};
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
    args.time.add_to(&mut selection)?;
    let mut which = TargetSelection::default();
    which.hidden_only = args.hidden;
    which.by_address = args.by_address;
    let mut list = Vec::new();
    let mut sink = SelectedHandshakes {
        selection,
        targets: TargetsSink::new(&mut list, args.format, which),
        seen: 0,
        selected: 0,
    };
    let threads = args.input.threads.for_files(limit);
    let run = pipeline::run(&mut input, config, threads, &mut sink)
        .map_err(|error| CliError::new(format_args!("cannot list targets: {error}")))?;
    warn_of_unread(&run.unread, &run.stats);
    warn_of_not_judged(&run.stats);
    key_log::warn_of_use(&keys, &args.input.keylog, &run.stats);
    if let Some(error) = run.error {
        return Err(error.into());
    }
    if run.stats.packets == 0 && input.is_incomplete() {
        return Ok(ERROR.into()); // the problem is on standard error already
    }
    for omission in sink.targets.omissions() {
        say::warning(omission);
    }
    if let Some(reason) = sink.emptiness() {
        say::warning(format_args!("the list is empty: {reason}"));
        if let Some(hint) = sink.what_to_try(args) {
            say::hint(hint);
        }
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
    seen: u64,
    selected: u64,
}

impl<W: Write> SelectedHandshakes<W> {
    fn emptiness(&self) -> Option<String> {
        let reason = self.targets.emptiness()?;
        Some(match (self.seen, self.selected) {
            (0, _) => "no handshakes found".to_owned(),
            (seen, 0) => none_selected(seen),
            _ => reason,
        })
    }

    /// What to try if the list is empty.
    fn what_to_try(&self, args: &TargetsArgs) -> Option<&'static str> {
        match (self.selected > 0, args.hidden) {
            (true, true) if !self.targets.has_endpoints() => None,
            (true, true) if !args.input.keylog.is_empty() => Some(
                "with keys, tlscope sees certificates: leave out `--keylog` for what others cannot see, \
                 or `--hidden` to list every endpoint",
            ),
            (true, true) => Some("leave out `--hidden` to list every endpoint"),
            (true, false) => None,
            (false, _) => Some("`tlscope read` says what the captures have"),
        }
    }
}

impl<W: Write> Sink for SelectedHandshakes<W> {
    fn needs(&self) -> Needs {
        self.targets.needs()
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.seen += 1;
        if self.selection.selects(event) {
            self.selected += 1;
            self.targets.handshake(event)?;
        }
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.targets.finish(stats)
    }
}
