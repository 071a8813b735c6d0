//! The progress bar of a run that reads captures.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tlscope::capture::Progress;

use super::symbols::has_utf8;

/// How long a run takes before it gets a bar: shorter runs need none.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error that appears once the run takes long.
#[derive(Debug)]
pub(crate) struct LateBar {
    shown: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl LateBar {
    /// Starts the clock; without `shown`, no bar ever appears.
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            shown,
            started: Instant::now(),
            bar: None,
        }
    }

    /// Updates the bar.
    pub(crate) fn update(&mut self, progress: Progress) {
        if !self.shown || (self.bar.is_none() && self.started.elapsed() < PATIENCE) {
            return;
        }
        let bar = self
            .bar
            .get_or_insert_with(|| new_bar(progress.bytes_total));
        bar.set_position(progress.bytes_read);
    }

    /// Hides the bar while `write` writes to standard error.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// The bar disappears when the run ends, in success or failure.
impl Drop for LateBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        None => "{spinner} {binary_bytes} {binary_bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()); // the templates are constant and valid
    let style = match has_utf8() {
        true => style,
        false => style.progress_chars("#>-").tick_chars("|/-\\ "),
    };
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style)
}
