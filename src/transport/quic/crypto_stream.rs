//! CRYPTO frames of one sender in one packet number space, put in order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::transport::tcp::Arrival;

/// Bytes that may wait for those before them, in one direction and space. Peers accept 4 KiB at the least (RFC 9000 §7.5);
/// the longest certificate chains have some 300 KiB, and arrive nearly in order.
const MAX_WAITING: usize = 128 << 10;

/// Pieces of them: hellos that are cut up on purpose come in a few dozen frames.
const MAX_PIECES: usize = 256;

/// The bytes that handshake messages consist of, from frames in any order.
///
/// Where frames overlap, the bytes that came first count, as with a receiver.
#[derive(Debug, Default)]
pub(crate) struct CryptoStream {
    /// Where the bytes begin that are awaited.
    next: u64,
    /// Bytes beyond that, by their place.
    waiting: BTreeMap<u64, Piece>,
    waiting_bytes: usize,
    discarded: u64,
}

#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    at: Arrival,
}

impl CryptoStream {
    /// Takes a frame that came `at` a moment, and passes on what is in order now: bytes, and when they came. True if any
    /// byte of it was new.
    pub(crate) fn push(
        &mut self,
        offset: u64,
        data: &[u8],
        at: Arrival,
        on_bytes: &mut impl FnMut(&[u8], Arrival),
    ) -> bool {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(new) = data.get(known..).filter(|new| !new.is_empty()) else {
            return false;
        };
        let start = offset.max(self.next);
        if start > self.next {
            return self.wait(start, new, at);
        }
        self.next = start + new.len() as u64;
        on_bytes(new, at);
        self.release(on_bytes);
        true
    }

    /// Bytes passed on so far.
    pub(crate) const fn end(&self) -> u64 {
        self.next
    }

    /// Bytes of memory that waiting frames take.
    pub(crate) fn allocated(&self) -> usize {
        self.waiting_bytes + self.waiting.len() * size_of::<(u64, Piece)>()
    }

    /// Frames that were discarded since the last call, because too much waited.
    pub(crate) const fn take_discarded(&mut self) -> u64 {
        std::mem::replace(&mut self.discarded, 0)
    }

    fn wait(&mut self, start: u64, new: &[u8], at: Arrival) -> bool {
        let is_full =
            self.waiting_bytes + new.len() > MAX_WAITING || self.waiting.len() >= MAX_PIECES;
        match self.waiting.entry(start) {
            Entry::Occupied(known) if known.get().bytes.len() >= new.len() => false,
            _ if is_full => {
                self.discarded += 1;
                false
            }
            entry => {
                let piece = Piece {
                    bytes: new.into(),
                    at,
                };
                self.waiting_bytes += new.len();
                if let Entry::Occupied(mut shorter) = entry {
                    self.waiting_bytes -= shorter.insert(piece).bytes.len();
                } else {
                    entry.or_insert(piece);
                }
                true
            }
        }
    }

    fn release(&mut self, on_bytes: &mut impl FnMut(&[u8], Arrival)) {
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.next {
                return;
            }
            let (start, piece) = first.remove_entry();
            self.waiting_bytes -= piece.bytes.len();
            let known = usize::try_from(self.next - start).unwrap_or(usize::MAX);
            if let Some(new) = piece.bytes.get(known..).filter(|new| !new.is_empty()) {
                self.next += new.len() as u64;
                on_bytes(new, piece.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const STREAM: &[u8] = b"0123456789";

    fn at(packet: u64) -> Arrival {
        Arrival::new(Timestamp::from_seconds(packet as i64), packet)
    }

    /// What frames of [`STREAM`] give, of which each has a start and an end.
    fn put_in_order(frames: &[(usize, usize)]) -> String {
        let mut stream = CryptoStream::default();
        let mut bytes = Vec::new();
        for (start, end) in frames {
            stream.push(
                *start as u64,
                &STREAM[*start..*end],
                at(1),
                &mut |part: &[u8], _| bytes.extend_from_slice(part),
            );
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn frames_in_any_order_give_the_same_bytes() {
        assert_eq!(put_in_order(&[(0, 4), (4, 10)]), "0123456789");
        assert_eq!(put_in_order(&[(4, 10), (0, 4)]), "0123456789");
        assert_eq!(
            put_in_order(&[(8, 10), (2, 6), (4, 9), (0, 3)]),
            "0123456789"
        );
        assert_eq!(put_in_order(&[(0, 6), (0, 6), (3, 8)]), "01234567");
        assert_eq!(put_in_order(&[(5, 7), (5, 10), (0, 5)]), "0123456789");
        assert_eq!(put_in_order(&[(1, 10)]), "");
    }

    #[test]
    fn bytes_keep_the_moment_at_which_they_came() {
        let mut stream = CryptoStream::default();
        let mut seen = Vec::new();
        let mut note = |bytes: &[u8], at: Arrival| seen.push((bytes.len(), at.packet));
        assert!(stream.push(4, &STREAM[4..], at(1), &mut note));
        assert_eq!(stream.waiting.len(), 1);
        assert!(!stream.push(4, &STREAM[4..], at(2), &mut note));
        assert!(stream.push(0, &STREAM[..4], at(3), &mut note));
        assert!(stream.waiting.is_empty() && stream.end() == 10);
        assert_eq!(seen, [(4, 3), (6, 1)]);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_pieces() {
        let mut stream = CryptoStream::default();
        for piece in 1..=2 * MAX_PIECES as u64 {
            stream.push(piece * 2, &[0], at(1), &mut |_, _| {});
        }
        assert_eq!(stream.waiting.len(), MAX_PIECES);
        assert_eq!(stream.take_discarded(), MAX_PIECES as u64);
        let mut stream = CryptoStream::default();
        let large = vec![0; 60_000];
        for place in [1_u64, 100_000, 200_000] {
            stream.push(place, &large, at(1), &mut |_, _| {});
        }
        assert_eq!((stream.waiting.len(), stream.take_discarded()), (2, 1));
        assert!(stream.allocated() >= 120_000);
    }

    #[test]
    fn places_at_the_end_of_the_number_range_are_harmless() {
        let mut stream = CryptoStream::default();
        assert!(stream.push((1 << 62) - 1, &[1, 2, 3], at(1), &mut |_, _| {}));
        assert_eq!(stream.waiting.len(), 1);
    }
}
