//! Which part of the state is shown, and how keys change that.

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use ratatui::widgets::TableState;

use super::super::show::write_live_handshake;
use super::super::text::TextStyle;
use super::snapshot::{CertificateRow, FailureRow, MutualRow, PeerRow, Snapshot, Sort};
use crate::event::HandshakeReport;

/// Whether the run goes on after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It does.
    Continue,
    /// The user wants it to end.
    Quit,
}

/// The parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Overview,
    Failures,
    Servers,
    Clients,
    Mutual,
    Certificates,
}

impl Tab {
    pub(super) const ALL: [Self; 6] = [
        Self::Overview,
        Self::Failures,
        Self::Servers,
        Self::Clients,
        Self::Mutual,
        Self::Certificates,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Failures => "Failures",
            Self::Servers => "Servers",
            Self::Clients => "Clients",
            Self::Mutual => "mTLS",
            Self::Certificates => "Certificates",
        }
    }

    pub(super) fn place(self) -> usize {
        let place = Self::ALL.iter().position(|tab| *tab == self);
        place.unwrap_or_default()
    }

    fn moved(self, by: usize) -> Self {
        Self::ALL[(self.place() + by) % Self::ALL.len()]
    }

    /// Whether its rows have an order to choose.
    pub(super) const fn is_sortable(self) -> bool {
        matches!(self, Self::Servers | Self::Clients | Self::Mutual)
    }
}

/// Most characters of a filter.
const MAX_FILTER: usize = 60;

/// What is shown now.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) snapshot: Snapshot,
    pub(super) tab: Tab,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    /// Rows without this text are hidden; case does not matter.
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) is_typing: bool,
    is_paused: bool,
    pub(super) shows_help: bool,
    /// The selected row of the table.
    pub(super) table: TableState,
    /// The failure whose details are shown, and how far they are scrolled.
    pub(super) details: Option<Details>,
    /// Rows that the last frame had room for, which a page is.
    pub(super) page: u16,
}

/// One handshake in full.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) report: Arc<HandshakeReport>,
    pub(super) scroll: u16,
}

impl Details {
    /// The lines, as `tlscope show` prints them.
    pub(super) fn lines(&self, width: u16) -> Vec<String> {
        let style = TextStyle {
            color: false,
            width: Some(width.into()),
        };
        let mut text = Vec::new();
        // Memory takes everything.
        let _ = write_live_handshake(&mut text, style, &self.report);
        let text = String::from_utf8_lossy(&text).into_owned();
        // The first line numbers the handshake among those of a capture: here it is the only one.
        let lines = text.lines().map(str::to_owned);
        lines
            .map(|line| line.replacen("Handshake 1 of 1", "Handshake", 1))
            .collect()
    }
}

impl View {
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn update(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
    }

    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Reaction {
        if key.kind == KeyEventKind::Release {
            return Reaction::Continue;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Reaction::Continue;
        }
        if self.shows_help {
            self.shows_help = false; // any key closes it, and does nothing else but quit
            return match key.code {
                KeyCode::Char('q' | 'Q') => Reaction::Quit,
                _ => Reaction::Continue,
            };
        }
        match key.code {
            KeyCode::Char('q' | 'Q') => return Reaction::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.shows_help = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Esc | KeyCode::Backspace if self.details.is_some() => self.details = None,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.show(self.tab.moved(1)),
            KeyCode::BackTab | KeyCode::Left => self.show(self.tab.moved(Tab::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='6') => {
                let place = digit as usize - '1' as usize;
                self.show(Tab::ALL[place]);
            }
            KeyCode::Enter => self.open_details(),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::PageDown => self.scroll(i32::from(self.page.max(1))),
            KeyCode::PageUp => self.scroll(-i32::from(self.page.max(1))),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(i32::MIN),
            KeyCode::End | KeyCode::Char('G') => self.scroll(i32::MAX),
            _ => {}
        }
        Reaction::Continue
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) if self.filter.chars().count() < MAX_FILTER => {
                self.filter.push(character);
            }
            _ => {}
        }
        self.table.select(None);
    }

    fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.details = None;
        self.table = TableState::default();
    }

    /// Shows the selected failure in full; the newest if none is selected.
    fn open_details(&mut self) {
        if !matches!(self.tab, Tab::Overview | Tab::Failures) || self.details.is_some() {
            return;
        }
        let selected = self.table.selected().unwrap_or_default();
        let report = self
            .failures()
            .get(selected)
            .map(|row| Arc::clone(&row.report));
        self.details = report.map(|report| Details { report, scroll: 0 });
    }

    fn scroll(&mut self, by: i32) {
        if let Some(details) = &mut self.details {
            let scroll = i32::from(details.scroll).saturating_add(by);
            details.scroll = u16::try_from(scroll.max(0)).unwrap_or(u16::MAX); // the frame limits it
            return;
        }
        let rows = self.row_count();
        let Some(last) = rows.checked_sub(1) else {
            return;
        };
        let selected = match (self.table.selected(), by) {
            (None, i32::MAX) => last,
            (None, _) => 0,
            (Some(selected), by) => {
                let moved = i64::try_from(selected).unwrap_or_default() + i64::from(by);
                usize::try_from(moved).unwrap_or_default().min(last)
            }
        };
        self.table.select(Some(selected));
    }

    fn row_count(&self) -> usize {
        match self.tab {
            Tab::Overview | Tab::Failures => self.failures().len(),
            Tab::Servers => self.peers(&self.snapshot.servers).len(),
            Tab::Clients => self.peers(&self.snapshot.clients).len(),
            Tab::Mutual => self.mutual().len(),
            Tab::Certificates => self.certificates().len(),
        }
    }

    /// The failures that the filter leaves, the newest first.
    pub(super) fn failures(&self) -> Vec<&FailureRow> {
        let rows = self.snapshot.failures.iter().map(|row| &**row);
        rows.filter(|row| self.is_shown(&[&row.client, &row.server, row.class, &row.message]))
            .collect()
    }

    /// The servers or clients that the filter leaves, in the order of choice.
    pub(super) fn peers<'a>(&self, rows: &'a [PeerRow]) -> Vec<&'a PeerRow> {
        let rows = rows.iter();
        let rows =
            rows.filter(|row| self.is_shown(&[&row.name, row.last_failure.unwrap_or_default()]));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        self.reversed(rows)
    }

    pub(super) fn mutual(&self) -> Vec<&MutualRow> {
        let rows = self.snapshot.mutual.iter();
        let rows = rows.filter(|row| self.is_shown(&[&row.client, &row.server]));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| self.sort.compare_pairs(a, b));
        self.reversed(rows)
    }

    pub(super) fn certificates(&self) -> Vec<&CertificateRow> {
        let rows = self.snapshot.certificates.iter();
        rows.filter(|row| self.is_shown(&[&row.name, &row.issuer, row.role]))
            .collect()
    }

    fn reversed<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }

    fn is_shown(&self, texts: &[&str]) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let filter = self.filter.to_lowercase();
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(&filter))
    }
}
