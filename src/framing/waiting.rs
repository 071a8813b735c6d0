//! Encrypted records that arrived before their secret.
//!
//! One of the peers writes a key log, and it is read a little later: by then the
//! flight that it opens has passed. So where more secrets are expected, a few
//! records of each connection wait for them.

use crate::flow::Direction;
use crate::time::Timestamp;
use crate::tls::{Piece, RecordHeader};
use crate::transport::tcp::Arrival;

/// Records held for one connection: those of the handshake, and of the end of a short connection.
const MAX_RECORDS: usize = 48;
/// Bytes of them: two certificate chains as long as any in use, and the first data.
const MAX_BYTES: usize = 64 << 10;

/// An encrypted record, in full.
#[derive(Debug)]
pub(super) struct WaitingRecord {
    pub(super) sender: Direction,
    pub(super) header: RecordHeader,
    pub(super) fragment: Vec<u8>,
    /// When it began.
    pub(super) start: Timestamp,
    /// When it ended; `None` while it is incomplete.
    pub(super) end: Option<Arrival>,
}

/// The records that wait, in the order in which they began.
#[derive(Debug)]
pub(super) struct WaitingRecords {
    records: Vec<WaitingRecord>,
    bytes: usize,
}

impl WaitingRecords {
    pub(super) const fn new() -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of memory that they take.
    pub(super) const fn allocated(&self) -> usize {
        self.bytes + self.records.capacity() * size_of::<WaitingRecord>()
    }

    /// Takes a piece of a record; false if there is no room for it.
    pub(super) fn push(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        start: Timestamp,
        now: Arrival,
    ) -> bool {
        if piece.is_first {
            self.records.push(WaitingRecord {
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

    /// The first record, if it is complete.
    pub(super) fn first(&self) -> Option<&WaitingRecord> {
        self.records.first().filter(|record| record.end.is_some())
    }

    /// Takes the first record out.
    pub(super) fn pop(&mut self) -> Option<WaitingRecord> {
        let record = (!self.records.is_empty()).then(|| self.records.remove(0))?;
        self.bytes -= usize::from(record.header.length);
        Some(record)
    }

    fn open(&self, sender: Direction) -> Option<usize> {
        let is_open = |record: &WaitingRecord| record.sender == sender && record.end.is_none();
        self.records.iter().rposition(is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ContentType, ProtocolVersion};

    const AT: Arrival = Arrival::new(Timestamp::from_seconds(0), 1);

    /// Adds part of a record of `length` bytes.
    fn push(
        waiting: &mut WaitingRecords,
        sender: Direction,
        length: u16,
        (is_first, is_last): (bool, bool),
    ) -> bool {
        let piece = Piece {
            header: RecordHeader {
                content_type: ContentType::ApplicationData,
                version: ProtocolVersion::TLSv1_2,
                length,
            },
            bytes: &[0; 10],
            is_first,
            is_last,
        };
        waiting.push(sender, piece, AT.time, AT)
    }

    const WHOLE: (bool, bool) = (true, true);

    #[test]
    fn a_record_is_first_only_when_it_is_complete() {
        let mut waiting = WaitingRecords::new();
        assert!(push(&mut waiting, Direction::Forward, 20, (true, false)));
        assert!(push(&mut waiting, Direction::Reverse, 10, WHOLE));
        assert!(waiting.first().is_none()); // records are opened in order
        assert!(push(&mut waiting, Direction::Forward, 20, (false, true)));
        let first = waiting.pop().unwrap();
        assert_eq!(
            (first.sender, first.fragment.len()),
            (Direction::Forward, 20)
        );
        assert_eq!(waiting.pop().unwrap().sender, Direction::Reverse);
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }

    #[test]
    fn no_more_than_a_few_records_wait() {
        let mut waiting = WaitingRecords::new();
        for _ in 0..MAX_RECORDS {
            assert!(push(&mut waiting, Direction::Forward, 10, WHOLE));
        }
        assert!(!push(&mut waiting, Direction::Forward, 10, WHOLE));
    }

    #[test]
    fn no_more_than_some_bytes_wait() {
        let mut waiting = WaitingRecords::new();
        for _ in 0..MAX_BYTES / (1 << 14) {
            assert!(push(&mut waiting, Direction::Forward, 1 << 14, WHOLE));
        }
        assert!(!push(&mut waiting, Direction::Forward, 1, WHOLE));
    }

    #[test]
    fn the_middle_of_a_record_whose_start_did_not_wait_is_refused() {
        let mut waiting = WaitingRecords::new();
        assert!(!push(&mut waiting, Direction::Forward, 10, (false, true)));
    }
}
