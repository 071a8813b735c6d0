//! Encrypted records that came before their secret.
//!
//! A key log is written by one of the peers and read a little later: by then the
//! flight that it opens has gone by. So records of a connection wait, as long
//! as they are few, where more secrets are expected.

use crate::flow::Direction;
use crate::time::Timestamp;
use crate::tls::{Piece, RecordHeader};
use crate::transport::tcp::Arrival;

use super::sealed::Content;
use crate::handshake::transcript::Tracker;

/// Records held for one connection: the handshake's, and what a short connection ends with.
const MAX_RECORDS: usize = 48;
/// Bytes of them: two chains of certificates as long as any in use, and the first data.
const MAX_BYTES: usize = 64 << 10;

/// An encrypted record, in full.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) sender: Direction,
    pub(crate) header: RecordHeader,
    pub(crate) fragment: Vec<u8>,
    /// When it began.
    pub(crate) start: Timestamp,
    /// When it ended; `None` while it is under way.
    pub(crate) end: Option<Arrival>,
}

/// The records that wait, in the order in which they began.
#[derive(Debug)]
pub(crate) struct Waiting {
    records: Vec<Held>,
    bytes: usize,
}

impl Waiting {
    pub(crate) const fn new() -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) const fn held(&self) -> usize {
        self.bytes
    }

    /// Takes a piece of a record; false if there is no room for it.
    pub(crate) fn push(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        start: Timestamp,
        now: Arrival,
    ) -> bool {
        if piece.is_first {
            self.records.push(Held {
                sender,
                header: piece.header,
                fragment: Vec::with_capacity(piece.header.length.into()),
                start,
                end: None,
            });
            self.bytes += usize::from(piece.header.length);
        }
        let Some(at) = self.open(sender) else {
            return false;
        };
        if let Some(record) = self.records.get_mut(at) {
            record.fragment.extend_from_slice(piece.bytes);
            record.end = piece.is_last.then_some(now);
        }
        self.records.len() <= MAX_RECORDS && self.bytes <= MAX_BYTES
    }

    /// The first record, if it is all there.
    pub(crate) fn first(&self) -> Option<&Held> {
        self.records.first().filter(|record| record.end.is_some())
    }

    /// Takes the first record out.
    pub(crate) fn pop(&mut self) -> Option<Held> {
        let record = (!self.records.is_empty()).then(|| self.records.remove(0))?;
        self.bytes -= usize::from(record.header.length);
        Some(record)
    }

    fn open(&self, sender: Direction) -> Option<usize> {
        let is_open = |record: &Held| record.sender == sender && record.end.is_none();
        self.records.iter().rposition(is_open)
    }
}

impl Tracker {
    /// Notes that records wait for their secret from here on.
    pub(crate) fn mark_history(&mut self) {
        if self.is_tls13() {
            self.history_mark = Some(self.history.len());
        }
    }

    /// Makes way in the history: letters of opened messages come in the place of those for encrypted records.
    pub(crate) fn rewrite_history(&mut self) {
        if let Some(mark) = self.history_mark.take() {
            let since = self.history.split_off(mark);
            let is_kept = |letter: &char| !matches!(letter, 'D' | 'd');
            self.history.extend(since.chars().filter(is_kept));
        }
    }

    /// Takes what an encrypted record turned out to carry after others had gone by.
    pub(crate) fn handle_late_content(
        &mut self,
        sender: Direction,
        content: Content,
        start: Timestamp,
        end: Arrival,
    ) {
        if self.is_tls13() {
            return self.handle_content(sender, content, start, end);
        }
        let alert = self
            .alerts
            .iter_mut()
            .find(|alert| alert.sender == sender && alert.at == end && alert.content.is_none());
        if let Some(alert) = alert {
            alert.content = content.alert();
        }
    }
}
