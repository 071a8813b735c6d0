//! What a run reads: captures, key logs and roots of trust.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use tlscope::capture::{
    CaptureError, CaptureFiles, PacketBatch, PacketFilter, PacketSource, Problem, Progress,
    Severity,
};
use tlscope::check::InputWarnings;
use tlscope::decode::UnreadPackets;
use tlscope::escape::shell_word;
use tlscope::memory::MemoryLimit;
use tlscope::sink::people::show::Selector;
use tlscope::sink::selection::Peer;
use tlscope::stats::Stats;

use crate::cli::error::CliError;
use crate::cli::output::progress::LateBar;
use crate::cli::say;

pub(crate) mod key_log;
pub(crate) mod roots;

use roots::is_certificate;

/// Warns if the run did not understand much of its input.
pub(crate) fn warn_of_unread(unread: &UnreadPackets, stats: &Stats) {
    if let Some(warning) = unread.warning(stats.packets, stats.handshakes) {
        say::warning(warning);
    }
}

/// Warns if handshakes were given up for lack of memory.
pub(crate) fn warn_of_not_judged(stats: &Stats) {
    if stats.handshakes_not_judged > 0 {
        say::warning(format_args!(
            "handshakes without a verdict: {}; too many were open at once for the memory limit",
            stats.handshakes_not_judged
        ));
        say::hint("raise `--memory-limit` to keep more");
    }
}

/// Packets of captures that pass the filter; problems with the captures go to standard error.
pub(crate) struct CaptureInput {
    captures: CaptureFiles,
    filter: Option<PacketFilter>,
    filtered: u64,
    bar: LateBar,
    incomplete: bool,
    warnings: InputWarnings,
}

impl CaptureInput {
    /// Opens the captures and compiles the filter; `shows_progress` allows a progress bar.
    pub(crate) fn open(
        paths: &[PathBuf],
        filter: Option<&str>,
        shows_progress: bool,
        limit: MemoryLimit,
    ) -> Result<Self, CaptureError> {
        warn_of_repeated(paths);
        Ok(Self {
            filter: filter.map(PacketFilter::compile).transpose()?,
            captures: CaptureFiles::open_within(paths, limit),
            filtered: 0,
            bar: LateBar::new(shows_progress),
            incomplete: false,
            warnings: InputWarnings::default(),
        })
    }

    /// What the limit leaves to others than the captures, which may have to be decompressed.
    pub(crate) fn leave(&mut self, limit: MemoryLimit) -> MemoryLimit {
        limit.with_decompression(self.captures.decompression_memory())
    }

    /// Packets that the filter removed.
    pub(crate) fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Whether some of the input could not be read.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Problems with the input that did not keep it from being read.
    pub(crate) fn warnings(&self) -> &InputWarnings {
        &self.warnings
    }

    fn report(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            match problem.severity {
                Severity::Error => self.incomplete = true,
                Severity::Warning => self.warnings.add(&problem.text),
            }
            self.bar.suspend(|| say::problem(&problem));
        }
    }
}

impl PacketSource for CaptureInput {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        let more = self.captures.next_batch(batch)?;
        if let Some(filter) = &mut self.filter {
            self.filtered += filter.apply(batch);
            let problems = filter.take_problems();
            self.report(problems);
        }
        let problems = self.captures.take_problems();
        self.report(problems);
        if let Some(progress) = self.captures.progress() {
            self.bar.update(progress);
        }
        Ok(more)
    }

    fn progress(&self) -> Option<Progress> {
        self.captures.progress()
    }
}

impl From<CaptureError> for CliError {
    fn from(error: CaptureError) -> Self {
        let hint = match &error {
            CaptureError::Filter { .. } => Some("see pcap-filter(7) for the syntax".to_owned()),
            CaptureError::Interface { .. } => {
                Some("`tlscope interfaces` lists the interfaces".to_owned())
            }
            CaptureError::NotPermitted { .. } => Some(how_to_be_permitted()),
            _ => None,
        };
        Self::new(error).maybe_hint(hint)
    }
}

/// The paths as a user would type them, or a placeholder for many.
pub(crate) fn in_command(paths: &[PathBuf]) -> String {
    match paths {
        [path] => shell_word(&path.display().to_string()),
        _ => "CAPTURES".to_owned(),
    }
}

/// Warns of a path that is named twice: its packets look like retransmissions then.
fn warn_of_repeated(paths: &[PathBuf]) {
    let mut seen = BTreeSet::new();
    let places = paths
        .iter()
        .filter_map(|path| Some((path, path.canonicalize().ok()?)));
    for (path, place) in places {
        if !seen.insert(place) {
            let path = path.display();
            say::warning(format_args!(
                "`{path}` is given more than once: its packets are read twice"
            ));
        }
    }
}

/// Hints at what the command probably meant by a path that is no capture.
pub(crate) fn hint_at_other_uses(paths: &[PathBuf]) {
    if let Some(roots) = paths
        .iter()
        .find(|path| is_certificate(path) && path.is_file())
    {
        let roots = shell_word(&roots.display().to_string());
        say::hint(format_args!(
            "if `{roots}` has trusted roots, use `--ca-file {roots}`"
        ));
    }
    hint_at_show(paths);
}

/// Hints at `show`, if the last of `paths` is no file and names a handshake, as in `read FILE 11`.
fn hint_at_show(paths: &[PathBuf]) {
    let Some((last, captures)) = paths.split_last().filter(|(_, rest)| !rest.is_empty()) else {
        return;
    };
    let text = last.to_string_lossy();
    // Any word is the name of a server: for that, it is more likely a file with a typing error.
    let is_telling = match text.parse() {
        Ok(Selector::Peer(Peer::Name(_))) | Err(_) => false,
        Ok(_) => true,
    };
    if is_telling && !last.exists() {
        let (captures, word) = (in_command(captures), shell_word(&text));
        say::hint(format_args!(
            "if `{text}` selects a handshake, use `tlscope show {captures} {word}`"
        ));
    }
}

/// How the user can give the program the permission to capture.
pub(crate) fn how_to_be_permitted() -> String {
    let program = env::current_exe().ok();
    let program = program
        .as_ref()
        .map_or_else(|| "tlscope".into(), |path| path.display().to_string());
    format!(
        "run it as root, or give the program the capability once: `sudo setcap cap_net_raw+ep {program}`"
    )
}
