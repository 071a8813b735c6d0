//! The packets of a run: the captures, through the filter, with the progress shown.

use std::path::PathBuf;

use tlscope::capture::{
    CaptureError, CaptureFiles, PacketBatch, PacketFilter, PacketSource, Problem, Progress,
    Severity,
};
use tlscope::check::InputWarnings;

use crate::cli::output::progress::LateBar;

pub(crate) mod key_log;
pub(crate) mod roots;

/// Captures, through the filter; says on standard error what is wrong with them.
pub(crate) struct Input {
    captures: CaptureFiles,
    filter: Option<PacketFilter>,
    filtered: u64,
    bar: LateBar,
    incomplete: bool,
    warnings: InputWarnings,
}

impl Input {
    /// Shows progress only if `shows_progress`.
    pub(crate) fn open(
        paths: &[PathBuf],
        filter: Option<&str>,
        shows_progress: bool,
    ) -> Result<Self, CaptureError> {
        Ok(Self {
            filter: filter.map(PacketFilter::compile).transpose()?,
            captures: CaptureFiles::open(paths),
            filtered: 0,
            bar: LateBar::new(shows_progress),
            incomplete: false,
            warnings: InputWarnings::default(),
        })
    }

    /// Packets that the filter left out.
    pub(crate) fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Whether some of the input could not be read.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// What was wrong, and kept nothing from being read.
    pub(crate) fn warnings(&self) -> &InputWarnings {
        &self.warnings
    }

    fn tell(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            match problem.severity {
                Severity::Error => self.incomplete = true,
                Severity::Warning => self.warnings.add(&problem.text),
            }
            self.bar.suspend(|| crate::cli::tell_problem(&problem));
        }
    }
}

impl PacketSource for Input {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        let more = self.captures.next_batch(batch)?;
        if let Some(filter) = &mut self.filter {
            self.filtered += filter.apply(batch);
            let problems = filter.take_problems();
            self.tell(problems);
        }
        let problems = self.captures.take_problems();
        self.tell(problems);
        if let Some(progress) = self.captures.progress() {
            self.bar.update(progress);
        }
        Ok(more)
    }

    fn progress(&self) -> Option<Progress> {
        self.captures.progress()
    }
}
