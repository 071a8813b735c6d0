//! The state of a live run for a terminal: rates, outcomes, the last failures, servers, clients and certificates.
//!
//! ```text
//! events ─▶ ScreenSink ─▶ model ─▶ snapshot ─▶ Screen ─▶ terminal
//! ```
//!
//! [`ScreenSink`] only counts. [`Screen`] belongs to the thread that draws: it copies what it shows under a lock that is held for
//! about a millisecond a second, so a terminal that is slow, or stopped, holds up no event.
//!
//! | file | |
//! | --- | --- |
//! | `model` | what is counted, in bounded memory |
//! | `snapshot` | what is shown: rows, sorted and filtered |
//! | `view` | keys, and which part is shown |
//! | `draw` | the frame |

#![allow(
    clippy::disallowed_types,
    reason = "the thread that draws reads what the run counts; it holds the lock for about a millisecond a second"
)]

mod draw;
mod model;
mod snapshot;
mod view;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyEvent;

use super::summary::SummarySink;
use super::text::TextStyle;
use crate::event::{Handshake, Ladder, NotTls};
use crate::sink::Sink;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;
use model::Model;
pub use view::Reaction;
use view::View;

/// Counts the events of a run for a [`Screen`], and writes the summary at the end.
#[derive(Debug)]
pub struct ScreenSink<W: Write> {
    shared: Shared,
    summary: SummarySink<W>,
}

/// Draws what a [`ScreenSink`] counts, and answers keys.
#[derive(Debug)]
pub struct Screen {
    shared: Shared,
    view: View,
    style: TextStyle,
    /// The last frame, unless a key was pressed since.
    last: Option<LastFrame>,
}

/// A frame, and what it was made of.
#[derive(Debug)]
struct LastFrame {
    buffer: Buffer,
    revision: u64,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Model>>);

impl Shared {
    /// A panic elsewhere leaves counters whole.
    fn lock(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> ScreenSink<W> {
    /// Writes the summary to `output` at the end, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self {
            shared: Shared::default(),
            summary: SummarySink::new(output, style),
        }
    }

    /// A screen that shows what is counted from now on.
    #[must_use]
    pub fn screen(&self) -> Screen {
        Screen {
            shared: self.shared.clone(),
            view: View::default(),
            style: self.summary.style,
            last: None,
        }
    }

    /// Counts a handshake. Its steps are shown if it failed and the user asks for them.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn add(&mut self, event: &Handshake, ladder: Option<&Ladder>) -> io::Result<()> {
        self.shared.lock().record(event, ladder);
        self.summary.handshake(event)
    }
}

impl<W: Write> Sink for ScreenSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.add(event, None)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.summary.not_tls(event)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.shared.lock().tick(now, health);
        Ok(())
    }

    /// Writes the summary. The terminal should be restored before.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.summary.finish(stats)
    }
}

impl Screen {
    /// Draws a frame; `notes` are messages for the user, the newest last.
    ///
    /// Laying out a whole frame takes some 2 ms. So if nothing but the time has changed since the last frame, only that is drawn.
    pub fn draw(&mut self, frame: &mut Frame<'_>, notes: &[String]) {
        let mut revision = self.last.as_ref().map_or(0, |last| last.revision);
        if !self.view.is_paused() {
            let model = self.shared.lock();
            revision = model.revision();
            let is_new = self
                .last
                .as_ref()
                .is_none_or(|last| last.revision != revision);
            match is_new {
                true => self.view.update(model.snapshot()),
                false => self.view.snapshot.running = model.running(),
            }
        }
        if let Some(last) = &self.last
            && last.revision == revision
            && last.notes == notes
            && last.buffer.area == frame.area()
        {
            frame.buffer_mut().clone_from(&last.buffer);
            return draw::draw_time(frame, &self.view, self.style);
        }
        draw::draw(frame, &mut self.view, self.style, notes);
        self.last = Some(LastFrame {
            buffer: frame.buffer_mut().clone(),
            revision,
            notes: notes.to_vec(),
        });
    }

    /// Answers a key.
    pub fn handle_key(&mut self, key: KeyEvent) -> Reaction {
        self.last = None;
        self.view.handle_key(key)
    }
}

#[cfg(test)]
mod tests;
