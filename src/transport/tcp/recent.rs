//! The bytes that were delivered last, to notice when they are sent again with another content.
//!
//! TCP sends the same bytes again, never others. Two copies that differ were not sent by one host: somebody
//! added one of them, and the two ends, and the observer, may each have taken another. Zeek calls it `rexmit_inconsistency`,
//! Suricata `stream-event:reassembly_overlap_different_data`.

/// Bytes kept of one direction: nearly all of a ClientHello without a hybrid key share, and the last records of a flight, such as
/// alerts. What was sent before them is not compared. Every open handshake pays for them: with 2 KiB, a replay of handshakes took a
/// third longer.
const MAX_RECENT: usize = 512;

/// Bytes kept of the end of a segment of encrypted data that is longer. Nobody can read them, so nobody else can send a copy that
/// agrees with them anywhere: the end shows a difference as well as the whole does. It is the part that is read and copied of data
/// that nothing else looks at: with all of [`MAX_RECENT`], a third of what a replay of handshakes waited for in memory was this.
const MAX_SEALED: usize = 128;

/// The last bytes of one direction of an open handshake.
#[derive(Debug, Default)]
pub struct RecentBytes {
    bytes: Vec<u8>,
    /// Where they end, in bytes from the beginning of the stream, modulo 2³².
    end: u32,
}

impl RecentBytes {
    /// Forgets all bytes, and keeps the room for others.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.end = 0;
    }

    /// Notes bytes that were delivered; `end` is their place, as in [`Arrival::end`](super::Arrival::end).
    pub fn note(&mut self, bytes: &[u8], end: u32) {
        let start = end.wrapping_sub(bytes.len() as u32);
        if start != self.end {
            self.bytes.clear(); // a gap
        }
        self.end = end;
        let bytes = &bytes[bytes.len().saturating_sub(MAX_RECENT)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(MAX_RECENT);
        if excess > 0 {
            // Not more than there are: `bytes` are no more than there is room for.
            let kept = self.bytes.len() - excess;
            self.bytes.copy_within(excess.., 0);
            self.bytes.truncate(kept);
        }
        let length = self.bytes.len() + bytes.len();
        if length > self.bytes.capacity() {
            self.grow(length);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Notes bytes of encrypted data, as [`RecentBytes::note`] does; of many, only the last are kept.
    pub fn note_sealed(&mut self, bytes: &[u8], end: u32) {
        let skipped = bytes.len().saturating_sub(MAX_SEALED);
        if skipped > 0 {
            self.bytes.clear();
        }
        self.note(&bytes[skipped..], end);
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        let capacity = length.max(self.bytes.capacity() * 2).min(MAX_RECENT);
        self.bytes.reserve_exact(capacity - self.bytes.len());
    }

    /// How many of `bytes`, which begin `start` bytes from the beginning of the stream, differ from those that were delivered.
    #[must_use]
    pub fn conflicts(&self, start: u32, bytes: &[u8]) -> u32 {
        // Where `bytes` begin within those that are kept: before them if it is negative.
        let from_end = self.end.wrapping_sub(start).cast_signed();
        let at = self.bytes.len() as i64 - i64::from(from_end);
        if from_end <= 1 && bytes.len() <= 1 {
            return 0; // a keep-alive: its byte means nothing (RFC 9293 §3.8.4)
        }
        count_differences(&self.bytes, at, bytes)
    }

    /// Bytes of memory held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// How many bytes of `copy`, which begins at index `at` of `first`, differ from those of `first` in the same place.
pub(super) fn count_differences(first: &[u8], at: i64, copy: &[u8]) -> u32 {
    let skipped = usize::try_from(-at).unwrap_or_default();
    let at = usize::try_from(at).unwrap_or_default();
    let first = first.get(at..).unwrap_or_default();
    let copy = copy.get(skipped..).unwrap_or_default();
    let length = first.len().min(copy.len());
    if first[..length] == copy[..length] {
        return 0; // as in nearly all retransmissions
    }
    let pairs = first.iter().zip(copy);
    pairs.filter(|(first, copy)| first != copy).count() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_copy_that_differs_is_counted_by_bytes() {
        let mut recent = RecentBytes::default();
        recent.note(b"hello world", 11);
        assert_eq!(recent.conflicts(0, b"hello world, and more"), 0);
        assert_eq!(recent.conflicts(0, b"hallo"), 1);
        assert_eq!(recent.conflicts(6, b"WORLDS"), 5);
        assert_eq!(recent.conflicts(11, b"new"), 0);
        assert_eq!(recent.conflicts(500, b"ahead"), 0);
    }

    #[test]
    fn the_byte_of_a_keep_alive_means_nothing() {
        let mut recent = RecentBytes::default();
        recent.note(b"hello", 5);
        assert_eq!(recent.conflicts(4, &[0]), 0);
        assert_eq!(recent.conflicts(3, &[0]), 1);
    }

    #[test]
    fn bytes_after_a_gap_are_not_compared_with_those_before_it() {
        let mut recent = RecentBytes::default();
        recent.note(b"hello", 5);
        recent.note(b"later", 105);
        assert_eq!(recent.conflicts(0, b"HELLO"), 0);
        assert_eq!(recent.conflicts(98, b"..later"), 0);
        assert_eq!(recent.conflicts(98, b"..LATER"), 5);
    }

    proptest! {
        /// The model: all bytes that were ever delivered, of which the last count, or the end of the last long part that is sealed.
        #[test]
        fn agrees_with_a_plain_array(
            parts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0u8..3, 0..900)), 1..8),
            origin in any::<u32>(),
            start in 0usize..3000,
            copy in proptest::collection::vec(0u8..3, 2..600),
        ) {
            let mut recent = RecentBytes { end: origin, ..RecentBytes::default() };
            let mut all = Vec::new();
            let mut forgotten = 0;
            for (is_sealed, part) in &parts {
                all.extend_from_slice(part);
                let end = origin.wrapping_add(all.len() as u32);
                if *is_sealed {
                    recent.note_sealed(part, end);
                } else {
                    recent.note(part, end);
                }
                if *is_sealed && part.len() > MAX_SEALED {
                    forgotten = all.len() - MAX_SEALED;
                }
            }
            let oldest = forgotten.max(all.len().saturating_sub(MAX_RECENT));
            let expected = (start..).zip(&copy).filter(|(at, byte)| {
                *at >= oldest && all.get(*at).is_some_and(|first| first != *byte)
            });
            let found = recent.conflicts(origin.wrapping_add(start as u32), &copy);
            prop_assert_eq!(found, expected.count() as u32);
            prop_assert!(recent.bytes.len() <= MAX_RECENT);
        }
    }
}
