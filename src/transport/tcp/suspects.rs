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

/// SYNs among which the answer decides: forged ones must not displace the one that is answered a round trip later.
const MAX_SUCCESSORS: usize = 4;

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
    /// The SYNs of which one may begin another connection, oldest first.
    successors: Vec<Successor>,
    segments: PendingSegments,
    /// A reset whose numbers are right. If the peers go on, another host sent it.
    reset: Option<(Direction, Arrival)>,
}

/// A SYN that may begin another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            self.take_syn(connection, direction, segment, at, budget);
            return Finding::Unconfirmed;
        }
        if let Some(syn) = self.answered(connection, direction, segment) {
            self.give_up_all_but(Some(syn), budget);
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

    /// Whether a segment is the SYN-ACK for a SYN that was kept.
    #[must_use]
    pub fn is_answered_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.flags.syn
            && segment.flags.ack
            && self
                .successors
                .iter()
                .any(|syn| syn.originator != direction && segment.acknowledgment == syn.first)
    }

    /// Takes the segment that has been kept longest.
    pub fn take_first(&mut self, budget: &mut Budget) -> Option<PendingSegment> {
        loop {
            let kept = self.segments.take_first(budget)?;
            let segment = kept.segment();
            let is_other_syn = segment.flags.syn
                && !segment.flags.ack
                && !self
                    .successors
                    .iter()
                    .any(|syn| syn.first == segment.first_byte());
            if !is_other_syn {
                return Some(kept);
            }
        }
    }

    /// Keeps a reset, unless there is one already.
    pub fn keep_reset(&mut self, sender: Direction, at: Arrival) {
        self.reset.get_or_insert((sender, at));
    }

    /// The reset that is kept.
    #[must_use]
    pub const fn reset(&self) -> Option<(Direction, Arrival)> {
        self.reset
    }

    /// Drops all that is kept: no SYN was answered.
    pub fn clear(&mut self, budget: &mut Budget) {
        self.give_up_all_but(None, budget);
        self.segments.clear(budget);
    }

    fn take_syn(
        &mut self,
        connection: &TcpConnection,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) {
        let syn = Successor {
            originator: direction,
            first: segment.first_byte(),
            is_suspicious: connection.in_view()[direction.flip()],
        };
        let is_same = |other: &Successor| other.first == syn.first && other.originator == direction;
        if self.successors.iter().any(is_same) {
            return; // sent again
        }
        if self.successors.len() >= MAX_SUCCESSORS {
            let oldest = self.successors.remove(0);
            budget.out_of_window += u64::from(oldest.is_suspicious);
        }
        self.successors.push(syn);
        self.keep(direction, segment, at, budget);
    }

    /// Counts the SYNs that nobody answered, and drops them.
    fn give_up_all_but(&mut self, answered: Option<Successor>, budget: &mut Budget) {
        for syn in self.successors.drain(..) {
            let is_forged = syn.is_suspicious && Some(syn) != answered;
            budget.out_of_window += u64::from(is_forged);
        }
        if let Some(syn) = answered {
            self.successors.push(Successor {
                is_suspicious: false,
                ..syn
            });
        }
    }

    /// The SYN that a segment answers, or that it continues where no answer is in view. The newest counts.
    fn answered(
        &self,
        connection: &TcpConnection,
        direction: Direction,
        segment: &Segment<'_>,
    ) -> Option<Successor> {
        let (window, peer_window) = (
            connection.window(direction),
            connection.window(direction.flip()),
        );
        let is_behind = |syn: &Successor, place: SeqNumber, window: u32| {
            (0..=window.cast_signed()).contains(&place.since(syn.first))
        };
        let is_alone = !connection.in_view()[direction.flip()];
        let begins = |syn: &&Successor| {
            if direction == syn.originator {
                return !segment.flags.syn
                    && is_alone
                    && is_behind(syn, segment.sequence, peer_window);
            }
            segment.flags.ack && is_behind(syn, segment.acknowledgment, window)
        };
        if segment.flags.rst {
            return None; // it may be the answer to a forged SYN
        }
        self.successors.iter().rev().find(begins).copied()
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
            claim.is_some_and(|claim| place.since(claim).unsigned_abs() <= window)
        };
        let [own, other] = [&self.claimed[direction], &self.claimed[peer]];
        let has_sequence = connection.has_sequence_in_window(direction, segment);
        let has_acknowledgment =
            !segment.flags.ack || connection.has_acknowledgment_in_window(direction, segment);
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
