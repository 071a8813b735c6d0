//! What is left of a TCP connection once its bytes do not matter any more.

use crate::decode::{Segment, SeqNumber};
use crate::flow::{Direction, PerDirection};

use super::closed::FirstBytes;

/// A connection of which nothing counts but which segments belong to it, and when it ends.
///
/// It says the same of segments as the [`TcpConnection`](super::TcpConnection) that it was made of, in a tenth of the memory: where
/// bytes do not matter, neither do windows, nor what has been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledConnection {
    /// The number of each direction's first byte, if [`BEGUN`] says that it is known.
    first_bytes: PerDirection<SeqNumber>,
    marks: u16,
}

/// What a connection of any kind is known to have, for [`SettledConnection`].
#[derive(Clone, Copy, Debug)]
pub(super) struct HalfState {
    pub(super) first_byte: Option<SeqNumber>,
    pub(super) is_in_view: bool,
    pub(super) has_fin: bool,
    pub(super) has_reset: bool,
    pub(super) has_rival: bool,
}

/// What is known of the opening, for [`SettledConnection`].
#[derive(Clone, Copy, Debug)]
pub(super) struct OpeningState {
    pub(super) has_syn: bool,
    pub(super) has_syn_ack: bool,
    pub(super) is_acknowledged: bool,
    pub(super) originator: Direction,
}

// Marks of each direction: the forward one's are these, and the reverse one's are shifted by one.
const BEGUN: u16 = 1;
const IN_VIEW: u16 = 1 << 2;
const FIN: u16 = 1 << 4;
const RESET: u16 = 1 << 6;
const RIVAL: u16 = 1 << 8;
// Marks of the opening.
const SYN: u16 = 1 << 10;
const SYN_ACK: u16 = 1 << 11;
const ACKNOWLEDGED: u16 = 1 << 12;
const REVERSE_ORIGINATOR: u16 = 1 << 13;
/// Of each direction: whether it is in use. Follows from the others.
const IN_USE: u16 = 1 << 14;

const fn of(mark: u16, direction: Direction) -> u16 {
    mark << direction as u16
}

impl SettledConnection {
    pub(super) fn new(halves: PerDirection<HalfState>, opening: OpeningState) -> Self {
        let mut settled = Self {
            first_bytes: PerDirection::default(),
            marks: 0,
        };
        for direction in Direction::BOTH {
            let half = halves[direction];
            settled.first_bytes[direction] = half.first_byte.unwrap_or_default();
            settled.set(of(BEGUN, direction), half.first_byte.is_some());
            settled.set(of(IN_VIEW, direction), half.is_in_view);
            settled.set(of(FIN, direction), half.has_fin);
            settled.set(of(RESET, direction), half.has_reset);
            settled.set(of(RIVAL, direction), half.has_rival);
        }
        settled.set(SYN, opening.has_syn);
        settled.set(SYN_ACK, opening.has_syn_ack);
        settled.set(ACKNOWLEDGED, opening.is_acknowledged);
        settled.set(REVERSE_ORIGINATOR, opening.originator == Direction::Reverse);
        settled.note_use();
        settled
    }

    /// Whether it was reset, or closed in both directions.
    #[must_use]
    #[inline]
    pub const fn is_closed(&self) -> bool {
        const BOTH_FINS: u16 = FIN | FIN << 1;
        self.has(RESET | RESET << 1) || self.marks & BOTH_FINS == BOTH_FINS
    }

    /// Where the sequence numbers of both directions began.
    #[must_use]
    pub fn first_bytes(&self) -> FirstBytes {
        Direction::BOTH.map(|direction| self.first_byte(direction))
    }

    /// As [`TcpConnection::is_in_use`](super::TcpConnection::is_in_use).
    #[must_use]
    #[inline]
    pub const fn is_in_use(&self, direction: Direction) -> bool {
        self.has(of(IN_USE, direction))
    }

    fn note_use(&mut self) {
        let is_closed = self.is_closed();
        for direction in Direction::BOTH {
            let is_in_use = self.has(of(IN_VIEW, direction))
                && !self.has(of(RIVAL, direction.flip()))
                && !is_closed;
            self.set(of(IN_USE, direction), is_in_use);
        }
    }

    /// As [`TcpConnection::is_replaced_by`](super::TcpConnection::is_replaced_by).
    #[must_use]
    pub fn is_replaced_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let first = segment.sequence.after(1);
        segment.flags.syn
            && !segment.flags.ack
            && match self.first_byte(direction) {
                Some(initial) => initial != first,
                None => self.originator().is_none() && self.has(of(BEGUN, direction.flip())),
            }
    }

    /// Records what a segment's header says about the connection, as
    /// [`TcpConnection::handle_header`](super::TcpConnection::handle_header) does once the opening is over.
    pub fn handle_header(&mut self, direction: Direction, segment: &Segment<'_>) {
        let peer = direction.flip();
        let flags = segment.flags;
        self.set(of(IN_VIEW, direction), true);
        if flags.syn {
            self.handle_syn(direction, segment);
        } else if self.has(of(RIVAL, peer)) && flags.ack && !flags.rst {
            // What is acknowledged decides between SYN-ACKs of different numbers.
            self.set(of(RIVAL, peer), false);
            self.begin_at(peer, segment.acknowledgment);
        }
        if flags.fin {
            self.set(of(FIN, direction), true);
        }
        if flags.rst {
            self.set(of(RESET, direction), true);
        }
        self.note_use();
    }

    fn handle_syn(&mut self, direction: Direction, segment: &Segment<'_>) {
        let (first, peer, is_answer) = (
            segment.sequence.after(1),
            direction.flip(),
            segment.flags.ack,
        );
        let known = self.first_byte(direction);
        if is_answer && known.is_some_and(|initial| initial != first) {
            self.set(of(RIVAL, direction), !self.has(ACKNOWLEDGED));
        } else {
            self.begin_at(direction, first);
            if is_answer && !self.has(of(BEGUN, peer)) {
                self.begin_at(peer, segment.acknowledgment);
            }
        }
        self.note_originator(direction, is_answer);
        let is_first = self.originator() == Some(direction)
            && self.first_byte(direction) == Some(segment.sequence);
        if is_first && is_answer && !segment.flags.rst && !self.has(of(BEGUN, peer)) {
            self.begin_at(peer, segment.acknowledgment);
        }
    }

    /// Which side opens the connection, by the rules of [`Opening::note`](super::opening::Opening::note).
    fn note_originator(&mut self, sender: Direction, is_answer: bool) {
        let is_of_originator = self.originator() == Some(sender);
        let originator = match (is_answer, self.has(SYN_ACK)) {
            (true, true) => return,
            (true, false) => {
                // Otherwise it answers another SYN than the one that was noted.
                self.set(SYN, self.has(SYN) && !is_of_originator);
                self.set(SYN_ACK, true);
                sender.flip()
            }
            (false, true) if !is_of_originator => return,
            (false, _) => {
                self.set(SYN, true);
                sender
            }
        };
        self.set(REVERSE_ORIGINATOR, originator == Direction::Reverse);
    }

    fn begin_at(&mut self, direction: Direction, first: SeqNumber) {
        self.first_bytes[direction] = first;
        self.set(of(BEGUN, direction), true);
    }

    fn first_byte(&self, direction: Direction) -> Option<SeqNumber> {
        self.has(of(BEGUN, direction))
            .then_some(self.first_bytes[direction])
    }

    const fn originator(&self) -> Option<Direction> {
        if !self.has(SYN | SYN_ACK) {
            None
        } else if self.has(REVERSE_ORIGINATOR) {
            Some(Direction::Reverse)
        } else {
            Some(Direction::Forward)
        }
    }

    /// Whether it has one of these marks.
    const fn has(&self, marks: u16) -> bool {
        self.marks & marks != 0
    }

    const fn set(&mut self, mark: u16, is_set: bool) {
        if is_set {
            self.marks |= mark;
        } else {
            self.marks &= !mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{TcpFlags, WindowScale};
    use crate::time::Timestamp;
    use crate::transport::tcp::TcpConnection;

    fn segment() -> impl Strategy<Value = (Direction, Segment<'static>)> {
        let number = || (0u32..4).prop_map(SeqNumber);
        let flags = [any::<bool>(), any::<bool>()];
        let ends =
            prop_oneof![12 => Just([false; 2]), 1 => Just([true, false]), 1 => Just([false, true])];
        (any::<bool>(), number(), number(), flags, ends).prop_map(
            |(is_forward, sequence, acknowledgment, [syn, ack], [fin, rst])| {
                let segment = Segment {
                    sequence,
                    acknowledgment,
                    flags: TcpFlags { syn, ack, fin, rst },
                    window: 1,
                    window_scale: WindowScale::Unknown,
                    hop_limit: 64,
                    payload: &[],
                    wire_length: 0,
                };
                (Direction::of(is_forward, true), segment)
            },
        )
    }

    proptest! {
        #[test]
        fn says_what_the_whole_connection_says(
            before in proptest::collection::vec(segment(), 0..6),
            after in proptest::collection::vec(segment(), 0..8),
        ) {
            let mut whole = TcpConnection::new();
            let time = Timestamp::default();
            for (direction, segment) in &before {
                whole.handle_header(*direction, segment, time, false);
            }
            let mut settled = whole.settled();
            for (direction, segment) in &after {
                let replaces = whole.is_replaced_by(*direction, segment);
                prop_assert_eq!(settled.is_replaced_by(*direction, segment), replaces);
                whole.handle_header(*direction, segment, time, true);
                settled.handle_header(*direction, segment);
                prop_assert_eq!(settled.is_closed(), whole.is_closed());
                prop_assert_eq!(settled.first_bytes(), whole.first_bytes());
                for way in Direction::BOTH {
                    prop_assert_eq!(settled.is_in_use(way), whole.is_in_use(way));
                }
            }
        }
    }
}
