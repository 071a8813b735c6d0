//! Which numbers a receiver would take: the windows of RFC 9293 §3.10.7.4 and RFC 5961, as far as an observer knows them.
//!
//! A host drops a segment whose numbers lie in no window, so one that was sent blindly changes nothing. An observer has to
//! drop it, too, or it reports what never happened. It knows less than the hosts: segments may be missing, the two
//! directions may be captured out of step, and the capture may begin anywhere. So a place is believed if it lies
//! within one window of the furthest place that was seen, behind it or ahead of it.

use crate::decode::{Segment, SeqNumber, WindowScale};

/// The least that counts as a window: what a header without scale can announce. Hosts announce less when they are short of
/// room, and their peers may have sent more before.
const SMALLEST_WINDOW: u32 = 1 << 16;

/// The window where its scale is not known because the SYN is not in view: sixteen unscaled ones. Hosts seldom let more be
/// under way during a handshake; a guess, on the generous side.
const UNKNOWN_WINDOW: u32 = 1 << 20;

/// What is known of the numbers of one direction, and of the windows that its sender announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// Behind the furthest byte that was sent, or that the receiver acknowledged.
    reach: SeqNumber,
    /// The largest window announced, without its scale.
    window: u16,
    /// By how many bits windows are shifted to the left; [`UNKNOWN_SHIFT`] if the SYN is not in view.
    shift: u8,
    basis: Basis,
}

const UNKNOWN_SHIFT: u8 = u8::MAX;

/// On what [`Numbers::reach`] rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// Nothing: it is not known.
    Nothing,
    /// A segment in the middle of the stream: earlier ones may be captured later.
    Middle,
    /// The opening, which says where the stream begins.
    Opening,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            reach: SeqNumber(0),
            window: 0,
            shift: UNKNOWN_SHIFT,
            basis: Basis::Nothing,
        }
    }
}

impl Numbers {
    /// The largest window that the sender announced to its peer, in bytes.
    pub(super) fn largest_window(&self) -> u32 {
        if self.shift == UNKNOWN_SHIFT {
            UNKNOWN_WINDOW
        } else {
            (u32::from(self.window) << self.shift).max(SMALLEST_WINDOW)
        }
    }

    /// The same without its scale.
    pub(super) const fn unscaled_window(&self) -> u16 {
        self.window
    }

    /// Whether the opening says where the stream begins.
    pub(super) fn has_opening(&self) -> bool {
        self.basis == Basis::Opening
    }

    /// Whether a place of the stream is known.
    pub(super) fn is_known(&self) -> bool {
        self.basis != Basis::Nothing
    }

    /// Behind the furthest byte.
    pub(super) const fn reach(&self) -> SeqNumber {
        self.reach
    }

    /// Whether `place` is known to be right behind the furthest byte: then it is [near](Numbers::is_near) it.
    #[inline]
    pub(super) fn is_at(&self, place: SeqNumber) -> bool {
        self.reach == place && self.basis != Basis::Nothing
    }

    /// Whether `place` lies within `window` bytes of the furthest byte, and not before the stream, which began at
    /// `initial`. The number before the first byte is that of the SYN, and of keep-alives.
    #[inline]
    pub(super) fn is_near(
        &self,
        place: SeqNumber,
        initial: Option<SeqNumber>,
        window: u32,
    ) -> bool {
        if self.basis == Basis::Nothing {
            return true;
        }
        let mut back = window;
        if let (Basis::Opening, Some(initial)) = (self.basis, initial) {
            // After a window's worth of bytes, the beginning is too far back to matter.
            back = back.min(self.reach.since(initial).cast_unsigned().saturating_add(1));
        }
        let from_lowest = place.since(self.reach).cast_unsigned().wrapping_add(back);
        from_lowest <= back + window
    }

    /// Whether `place` lies where the stream has been: from its beginning to the furthest byte.
    pub(super) fn is_within(&self, place: SeqNumber, initial: SeqNumber) -> bool {
        place.since(initial) >= 0 && place.since(self.reach) <= 0
    }

    /// Notes that the stream reaches up to `end`.
    #[inline]
    pub(super) fn extend(&mut self, end: SeqNumber) {
        if self.basis == Basis::Nothing {
            self.basis = Basis::Middle;
            self.reach = end;
        } else if end.since(self.reach) > 0 {
            self.reach = end;
        }
    }

    /// Notes that the opening says where the stream begins.
    pub(super) fn open(&mut self, first: SeqNumber) {
        if self.basis == Basis::Nothing {
            self.reach = first;
        }
        self.basis = Basis::Opening;
    }

    /// Begins again at `place`: the earlier numbers were not those of this stream, or a part of it is not in view.
    pub(super) fn restart(&mut self, place: SeqNumber) {
        self.reach = place;
        self.basis = Basis::Middle;
    }

    /// Notes the window in a segment that is no SYN.
    #[inline]
    pub(super) fn note_window(&mut self, window: u16) {
        self.window = self.window.max(window);
    }

    /// Notes the scale in a SYN.
    pub(super) fn note_scale(&mut self, scale: WindowScale) {
        self.shift = match scale {
            WindowScale::Shift(shift) => shift,
            WindowScale::Absent => 0,
            WindowScale::Unknown => return,
        };
    }

    /// Notes that the peer's SYN has no scale, so that windows of this direction have none, either (RFC 7323 §2.2).
    pub(super) fn note_peer_scale(&mut self, scale: WindowScale) {
        if scale == WindowScale::Absent {
            self.shift = 0;
        }
    }
}

/// Behind the last number that a segment takes: those of a SYN and a FIN count.
pub(super) const fn end_of(segment: &Segment<'_>) -> SeqNumber {
    let fin = segment.flags.fin as u32;
    segment.first_byte().after(segment.wire_length + fin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SeqNumber = SeqNumber(u32::MAX - 99);

    /// A stream that began at [`FIRST`] and has sent 200 bytes, around the end of the numbers.
    fn opened() -> Numbers {
        let mut numbers = Numbers::default();
        numbers.open(FIRST);
        numbers.extend(FIRST.after(200));
        numbers.note_scale(WindowScale::Absent);
        numbers
    }

    #[test]
    fn a_stream_of_which_nothing_is_known_has_any_numbers() {
        assert!(Numbers::default().is_near(SeqNumber(7), None, 0));
    }

    #[test]
    fn a_place_may_be_one_window_ahead_and_no_more() {
        let is_near = |ahead: u32| opened().is_near(FIRST.after(200 + ahead), Some(FIRST), 65_536);
        assert!(is_near(0) && is_near(65_536));
        assert!(!is_near(65_537) && !is_near(3_000_000_000));
    }

    #[test]
    fn a_place_before_the_opening_is_none_of_the_stream_except_for_a_keep_alive() {
        let is_near = |place: u32| opened().is_near(FIRST.after(place), Some(FIRST), 65_536);
        assert!(is_near(0) && is_near(u32::MAX));
        assert!(!is_near(u32::MAX - 1) && !is_near(0x8000_0000));
    }

    #[test]
    fn in_the_middle_of_a_stream_a_place_may_be_one_window_back() {
        let mut numbers = Numbers::default();
        numbers.extend(SeqNumber(5));
        let is_near = |back| numbers.is_near(SeqNumber(5u32.wrapping_sub(back)), None, 1000);
        assert!(is_near(1000) && !is_near(1001));
        // Far behind its beginning, so does a stream whose opening was seen.
        let mut numbers = opened();
        numbers.extend(FIRST.after(1 << 30));
        numbers.extend(FIRST.after(1 << 31));
        numbers.extend(FIRST.after(3 << 30));
        let place = |back: u32| FIRST.after((3 << 30) - back);
        assert!(numbers.is_near(place(1000), Some(FIRST), 1000));
        assert!(!numbers.is_near(place(1001), Some(FIRST), 1000));
    }

    #[test]
    fn the_largest_window_counts_with_its_scale() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.largest_window(), UNKNOWN_WINDOW);
        numbers.note_scale(WindowScale::Shift(7));
        assert_eq!(numbers.largest_window(), SMALLEST_WINDOW);
        numbers.note_window(1000);
        numbers.note_window(0);
        assert_eq!(numbers.largest_window(), 128_000);
        numbers.note_peer_scale(WindowScale::Absent);
        assert_eq!(numbers.largest_window(), SMALLEST_WINDOW);
        numbers.note_scale(WindowScale::Shift(14));
        numbers.note_window(u16::MAX);
        assert_eq!(numbers.largest_window(), 65_535 << 14);
    }
}
