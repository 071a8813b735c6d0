//! Segments with numbers out of every window, until a peer confirms them.
//!
//! Most of them are forged, or belong to a connection that is over. Some are real: the capture lacks more than a window,
//! it picked the connection up at a forged segment, or the same endpoints have begun a new connection whose predecessor
//! did not end in view. The peer tells: it acknowledges what it received, and answers a SYN. So a number
//! is believed once the other direction says the same, and the segments that carried it take effect then. If the other
//! direction is not in view, a second segment that continues the first has to do.

use crate::decode::{Segment, SeqNumber};
use crate::flow::{Direction, PerDirection};

use super::assembler::{Arrival, Budget};
use super::connection::TcpConnection;
use super::pending::{PendingSegment, PendingSegments};
use super::window::end_of;

/// Segments kept per connection: the peer answers within a round trip, so these are a hello and what follows it.
const MAX_SUSPECTS: usize = 16;

/// What a segment that was not believed shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing yet: nobody confirms it.
    Unconfirmed,
    /// Its numbers, and those of the segments that were kept, are those of the connection.
    Resumed,
    /// Another connection has begun, with the SYN that was kept.
    Replaced,
}

/// The segments of one connection that were not believed, and what they claim.
#[derive(Debug, Default)]
pub struct Suspects {
    /// How far a direction has come by its own segments, and by what its peer acknowledges.
    claimed: PerDirection<Claims>,
    successor: Option<Successor>,
    segments: PendingSegments,
}

/// A SYN that may begin another connection.
#[derive(Clone, Copy, Debug)]
struct Successor {
    originator: Direction,
    /// The number of its first byte.
    first: SeqNumber,
    /// Whether it is suspicious: a host whose SYN was not answered may try again with another number.
    is_suspicious: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Claims {
    sent: Option<SeqNumber>,
    acknowledged: Option<SeqNumber>,
}

impl Suspects {
    /// Takes a segment that `connection` did not [admit](TcpConnection::admit). It is kept if it may be confirmed.
    pub fn take(
        &mut self,
        connection: &TcpConnection,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) -> Finding {
        if segment.flags.syn && !segment.flags.ack {
            self.clear(budget);
            self.successor = Some(Successor {
                originator: direction,
                first: segment.first_byte(),
                is_suspicious: connection.in_view()[direction.flip()],
            });
            self.keep(direction, segment, at, budget);
            return Finding::Unconfirmed;
        }
        if self.begins_successor(connection, direction, segment) {
            self.successor = None;
            return Finding::Replaced;
        }
        if !segment.flags.rst && self.is_confirmed(connection, direction, segment) {
            return Finding::Resumed;
        }
        budget.out_of_window += 1;
        self.note(connection, direction, segment);
        self.keep(direction, segment, at, budget);
        Finding::Unconfirmed
    }

    /// Whether a segment is the SYN-ACK for the SYN that was kept.
    #[must_use]
    pub fn is_answered_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.flags.syn
            && segment.flags.ack
            && self.successor.is_some_and(|syn| {
                syn.originator != direction && segment.acknowledgment == syn.first
            })
    }

    /// Takes the segment that has been kept longest.
    pub fn take_first(&mut self, budget: &mut Budget) -> Option<PendingSegment> {
        self.segments.take_first(budget)
    }

    /// Drops all that is kept: a SYN was not answered.
    pub fn clear(&mut self, budget: &mut Budget) {
        let unanswered = self.successor.take();
        budget.out_of_window += u64::from(unanswered.is_some_and(|syn| syn.is_suspicious));
        self.segments.clear(budget);
    }

    /// Whether a segment answers the SYN that was kept, or continues it where no answer is in view.
    fn begins_successor(
        &self,
        connection: &TcpConnection,
        direction: Direction,
        segment: &Segment<'_>,
    ) -> bool {
        let Some(Successor {
            originator, first, ..
        }) = self.successor
        else {
            return false;
        };
        let is_behind_syn = |place: SeqNumber, window: u32| {
            (0..=window.cast_signed()).contains(&place.since(first))
        };
        if segment.flags.rst {
            return false; // it may be the answer to a forged SYN
        }
        if direction == originator {
            return !segment.flags.syn
                && !connection.in_view()[direction.flip()]
                && is_behind_syn(segment.sequence, connection.window(direction.flip()));
        }
        segment.flags.ack && is_behind_syn(segment.acknowledgment, connection.window(direction))
    }

    /// Whether the other direction has said what is new in this segment, or cannot.
    fn is_confirmed(
        &self,
        connection: &TcpConnection,
        direction: Direction,
        segment: &Segment<'_>,
    ) -> bool {
        let peer = direction.flip();
        let is_near = |claim: Option<SeqNumber>, place: SeqNumber, window: u32| {
            claim.is_some_and(|claim| {
                place.since(claim).unsigned_abs() <= window
            })
        };
        let [own, other] = [&self.claimed[direction], &self.claimed[peer]];
        let has_sequence = connection.has_sequence_in_window(direction, segment);
        let has_acknowledgment = !segment.flags.ack
            || connection.has_acknowledgment_in_window(direction, segment);
        let (first, acknowledgment) = (segment.first_byte(), segment.acknowledgment);
        let windows = [direction, peer].map(|way| connection.window(way));
        if !connection.in_view()[peer] {
            // A copy of the same segment continues nothing.
            let continues = |claim: SeqNumber| {
                (0..=windows[1].cast_signed()).contains(&first.since(claim))
                    && end_of(segment) != claim
            };
            return own.sent.is_some_and(continues)
                && (has_acknowledgment || is_near(other.acknowledged, acknowledgment, windows[0]));
        }
        let is_sequence_known = has_sequence || is_near(own.acknowledged, first, windows[1]);
        let is_acknowledgment_known =
            has_acknowledgment || is_near(other.sent, acknowledgment, windows[0]);
        let is_new = !has_sequence || !has_acknowledgment;
        is_new && is_sequence_known && is_acknowledgment_known
    }

    /// Notes what a segment claims.
    fn note(&mut self, connection: &TcpConnection, direction: Direction, segment: &Segment<'_>) {
        if segment.flags.rst {
            return; // nobody confirms it: its sender has nothing more to say
        }
        if !connection.has_sequence_in_window(direction, segment) || segment.flags.syn {
            self.claimed[direction].sent = Some(end_of(segment));
        }
        if segment.flags.ack {
            self.claimed[direction.flip()].acknowledged = Some(segment.acknowledgment);
        }
    }

    fn keep(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) {
        if segment.is_bare() || segment.flags.rst {
            return; // says nothing that later segments do not
        }
        if self.segments.len() >= MAX_SUSPECTS {
            drop(self.segments.take_first(budget));
        }
        self.segments.push(direction, segment, at, false, budget);
    }
}
