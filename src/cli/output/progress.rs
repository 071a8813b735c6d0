//! A progress bar for work that takes long.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tlscope::capture::Progress;

/// Work that is over by then needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error that appears when the work takes long.
#[derive(Debug)]
pub(crate) struct LateBar {
    shown: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl LateBar {
    /// Starts counting; the bar appears only if `shown`.
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            shown,
            started: Instant::now(),
            bar: None,
        }
    }

    /// Shows how far the work is.
    pub(crate) fn update(&mut self, progress: Progress) {
        if !self.shown || (self.bar.is_none() && self.started.elapsed() < PATIENCE) {
            return;
        }
        let bar = self
            .bar
            .get_or_insert_with(|| new_bar(progress.bytes_total));
        bar.set_position(progress.bytes_read);
    }

    /// Lets `say` write to standard error without tearing the bar.
    pub(crate) fn suspend(&self, say: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

/// The bar goes when the work is done, or given up.
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
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()); // a template that is constant, and right
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style)
}
