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
use ratatui::buffer::{Buffer, Cell};
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::summary::SummarySink;
use super::text::TextStyle;
use crate::event::{Handshake, Ladder, NotTls};
use crate::sink::{Needs, Sink};
use crate::stats::{Health, Stats};
use crate::time::Timestamp;
use model::Model;
pub use view::Reaction;
use view::View;

/// Counts the events of a run for a [`Screen`], and writes the summary at the end.
#[derive(Debug)]
pub struct ScreenSink<W: Write> {
    shared: Shared,
    /// The revision of the model after the last tick.
    ticked: u64,
    on_change: Option<fn()>,
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

/// What the last frame was made of.
#[derive(Debug)]
struct LastFrame {
    area: Rect,
    /// Its first rows, which have the time.
    head: Buffer,
    revision: u64,
    notes: Vec<String>,
}

/// A character to write at a column and a row.
pub type PlacedCell = (u16, u16, Cell);

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
            ticked: 0,
            on_change: None,
            summary: SummarySink::new(output, style),
        }
    }

    /// Calls `callback` at each tick after which a frame shows more than another time.
    pub fn on_change(&mut self, callback: fn()) {
        self.on_change = Some(callback);
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
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.add(event, None)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.summary.not_tls(event)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        let revision = {
            let mut model = self.shared.lock();
            model.tick(now, health);
            model.revision()
        };
        let is_changed = std::mem::replace(&mut self.ticked, revision) != revision;
        if let Some(callback) = self.on_change.filter(|_| is_changed) {
            callback();
        }
        Ok(())
    }

    /// Writes the summary. The terminal should be restored before.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.summary.finish(stats)
    }
}

impl Screen {
    /// Draws a frame; `notes` are messages for the user, the newest last.
    pub fn draw(&mut self, frame: &mut Frame<'_>, notes: &[String]) {
        let mut revision = self.last.as_ref().map_or(0, |last| last.revision);
        if !self.view.is_paused() {
            let model = self.shared.lock();
            let is_new = self.last.is_none() || revision != model.revision();
            revision = model.revision();
            match is_new {
                true => self.view.update(model.snapshot(Some(self.view.tab))),
                false => self.view.snapshot.running = model.running(),
            }
        }
        draw::draw(frame, &mut self.view, self.style, notes);
        self.last = Some(LastFrame {
            area: frame.area(),
            head: draw::head(frame.area(), &self.view, self.style),
            revision,
            notes: notes.to_vec(),
        });
    }

    /// What to write over the last frame if nothing but the time has changed since; `None` if a whole frame is due.
    ///
    /// A whole frame is laid out and compared with the one before, cell by cell. That takes more than all else that a run does in a second
    /// without traffic.
    pub fn draw_time(&mut self, area: Rect, notes: &[String]) -> Option<Vec<PlacedCell>> {
        let last = self.last.as_mut()?;
        if last.area != area || last.notes != notes {
            return None;
        }
        if !self.view.is_paused() {
            let model = self.shared.lock();
            if model.revision() != last.revision {
                return None;
            }
            self.view.snapshot.running = model.running();
        }
        if self.view.shows_help {
            return Some(Vec::new()); // it may cover the time
        }
        let head = draw::head(area, &self.view, self.style);
        let changed = placed(last.head.diff(&head));
        last.head = head;
        Some(changed)
    }

    /// The first rows as they should be now. An output that keeps a copy of the last frame does not know what
    /// [`draw_time`](Self::draw_time) wrote over it, so these have to follow the next frame.
    #[must_use]
    pub fn head(&self) -> Vec<PlacedCell> {
        let Some(last) = self.last.as_ref().filter(|_| !self.view.shows_help) else {
            return Vec::new();
        };
        placed(Buffer::filled(last.head.area, Cell::new("█")).diff(&last.head))
    }

    /// Answers a key.
    pub fn handle_key(&mut self, key: KeyEvent) -> Reaction {
        self.last = None;
        let (tab, was_paused) = (self.view.tab, self.view.is_paused());
        let reaction = self.view.handle_key(key);
        // The next key may be about rows that no frame has shown so far.
        match (was_paused, self.view.is_paused()) {
            (false, true) => self.view.update(self.shared.lock().snapshot(None)),
            (_, false) if self.view.tab != tab => {
                self.view
                    .update(self.shared.lock().snapshot(Some(self.view.tab)));
            }
            _ => {}
        }
        reaction
    }
}

fn placed(cells: Vec<(u16, u16, &Cell)>) -> Vec<PlacedCell> {
    let cells = cells.into_iter();
    cells.map(|(x, y, cell)| (x, y, cell.clone())).collect()
}

#[cfg(test)]
mod tests;
