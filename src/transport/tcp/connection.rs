//! One TCP connection: its opening, both directions in order, and its end.
//!
//! Knows nothing of what the bytes mean. Ordered chunks and closes go to one
//! callback; each carries what its sender had acknowledged when it sent it
//! ([`Arrival::acknowledged`]), so that a reader can tell a reaction from a coincidence.

use crate::decode::{Segment, SeqNumber};
use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;

use super::assembler::{Arrival, Assembler, Budget, Chunk};
use super::closed::FirstBytes;
use super::opening::{Opening, RoundTrips};

/// What a connection delivers of one direction, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// Bytes, or a gap.
    Chunk(Chunk<'a>),
    /// The direction was closed by a FIN, and all bytes before it were delivered. Delivered again with each later segment.
    Fin(Arrival),
    /// The sender reset the connection.
    Rst(Arrival),
}

/// What became of a segment's payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Whether bytes were delivered that had not been delivered before.
    pub is_new: bool,
    /// Whether bytes were lost: cut by the snap length, or discarded at a limit.
    pub is_lossy: bool,
}

/// A TCP connection.
#[derive(Debug)]
pub struct TcpConnection {
    opening: Opening,
    halves: PerDirection<Half>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Half {
    assembler: Assembler,
    /// Sequence number of the first byte.
    initial: Option<SeqNumber>,
    /// Sequence number behind the last byte.
    fin: Option<SeqNumber>,
    is_in_view: bool,
    has_reset: bool,
}

impl TcpConnection {
    /// A connection of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self {
            opening: Opening::new(),
            halves: PerDirection::default(),
        }
    }

    /// Whether it was reset, or closed in both directions.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        let PerDirection([forward, reverse]) = &self.halves;
        forward.has_reset || reverse.has_reset || forward.fin.is_some() && reverse.fin.is_some()
    }

    /// Whether a packet of `direction` was seen.
    #[must_use]
    pub fn is_in_view(&self, direction: Direction) -> bool {
        self.halves[direction].is_in_view
    }

    /// The sender of the SYN; `None` if the opening was not seen.
    #[must_use]
    pub const fn originator(&self) -> Option<Direction> {
        self.opening.originator()
    }

    /// Whether it was opened and closed in view, and neither side sent a byte.
    ///
    /// Bytes that were not captured count: acknowledgments and the place of a FIN show them.
    #[must_use]
    pub fn has_stayed_silent(&self) -> bool {
        self.is_closed()
            && self.opening.is_accepted()
            && self.halves.iter().all(|half| {
                let Some(first) = half.initial else {
                    return true;
                };
                let has_sent = |end: SeqNumber| end.since(first) > 0;
                let with_fin = first.after(u32::from(half.fin.is_some()));
                let acknowledged = half.assembler.acknowledged();
                !half.fin.is_some_and(has_sent)
                    && !has_sent(half.assembler.reached().unwrap_or(first))
                    && acknowledged.is_none_or(|end| end.since(with_fin) <= 0)
            })
    }

    /// The round trips that the opening shows.
    #[must_use]
    pub fn round_trips(&self) -> RoundTrips {
        self.opening.round_trips()
    }

    /// Where the sequence numbers of both directions began.
    #[must_use]
    pub fn first_bytes(&self) -> FirstBytes {
        self.halves.0.each_ref().map(|half| half.initial)
    }

    /// Whether a SYN begins another connection between the same endpoints.
    #[must_use]
    pub fn is_replaced_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let first = segment.sequence.after(1);
        segment.flags.syn
            && self.halves[direction]
                .initial
                .is_some_and(|initial| initial != first)
    }

    /// Records what a segment's header says about the connection.
    ///
    /// `is_in_use` says that the opening is long over, as it is for most packets.
    pub fn handle_header(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
        is_in_use: bool,
    ) {
        let half = &mut self.halves[direction];
        half.is_in_view = true;
        if segment.flags.syn {
            let first = segment.sequence.after(1);
            half.initial = Some(first);
            half.assembler.start(first);
        }
        if segment.flags.syn || !is_in_use {
            self.opening
                .note(direction, segment.flags, segment.wire_length, time);
        }
        if segment.flags.fin {
            half.fin = Some(segment.first_byte().after(segment.wire_length));
        }
        half.has_reset |= segment.flags.rst;
    }

    /// Where a sequence number lies in relation to the next byte in order: negative before it, 0 if this is the next byte,
    /// or if the stream has not begun.
    #[must_use]
    pub fn ahead(&self, direction: Direction, sequence: SeqNumber) -> i32 {
        let assembler = &self.halves[direction].assembler;
        if assembler.is_started() {
            sequence.since(assembler.next())
        } else {
            0
        }
    }

    /// Bytes of `direction` that were delivered or given up, from where its stream begins in view.
    #[must_use]
    pub fn delivered(&self, direction: Direction) -> u32 {
        self.halves[direction].assembler.delivered()
    }

    /// Records that `direction` begins with this segment, if its SYN was not seen.
    pub fn begin(&mut self, direction: Direction, segment: &Segment<'_>) {
        let first = segment.first_byte();
        self.halves[direction].initial.get_or_insert(first);
    }

    /// Whether the place of `direction`'s next byte is known.
    #[must_use]
    pub fn is_started(&self, direction: Direction) -> bool {
        self.halves[direction].assembler.is_started()
    }

    /// Begins the stream of `direction` at `next`; what was held is dropped.
    pub fn restart(&mut self, direction: Direction, next: SeqNumber, budget: &mut Budget) {
        self.halves[direction].assembler.restart(next, budget);
    }

    /// Takes a segment's payload; delivers what is in order now.
    pub fn push(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) -> Pushed {
        let at = self.arrival(direction, segment, at);
        let half = &mut self.halves[direction];
        let discarded = budget.discarded;
        let mut is_new = false;
        half.assembler.push(
            segment.first_byte(),
            segment.payload,
            segment.wire_length,
            at,
            budget,
            &mut |chunk| {
                is_new = true;
                deliver(direction, Delivery::Chunk(chunk));
            },
        );
        Pushed {
            is_new,
            is_lossy: budget.discarded != discarded
                || segment.payload.len() < segment.wire_length as usize,
        }
    }

    /// Takes what a segment's header says about both directions; delivers bytes behind holes that will not be filled, and closes.
    ///
    /// To be called after [`TcpConnection::push`].
    pub fn settle(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        let at = self.arrival(direction, segment, at);
        self.acknowledge(direction, segment);
        for direction in [direction, direction.flip()] {
            self.skip_overdue(direction, at.time, budget, deliver);
            let half = &self.halves[direction];
            let is_all_there = |fin: SeqNumber| {
                !half.assembler.is_started() || half.assembler.next().since(fin) >= 0
            };
            if half.fin.is_some_and(is_all_there) {
                deliver(direction, Delivery::Fin(at));
            }
        }
        if segment.flags.rst {
            deliver(direction, Delivery::Rst(at));
        }
    }

    /// Whether segments of either direction wait for bytes before them.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.halves.iter().any(|half| half.assembler.is_holding())
    }

    /// Moves past a segment that is the next in order, without delivering it.
    ///
    /// For bytes that the caller has read in the segment itself, while nothing [is held](TcpConnection::is_holding).
    pub fn skip_in_order(&mut self, direction: Direction, segment: &Segment<'_>) {
        let assembler = &mut self.halves[direction].assembler;
        assembler.skip_in_order(segment.first_byte(), segment.wire_length);
    }

    /// Delivers what is held behind a hole of `direction` that will not be filled.
    pub fn skip_overdue(
        &mut self,
        direction: Direction,
        now: Timestamp,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        let assembler = &mut self.halves[direction].assembler;
        if assembler.is_overdue(now) {
            assembler.skip_hole(budget, &mut |chunk| {
                deliver(direction, Delivery::Chunk(chunk));
            });
        }
    }

    /// Takes the acknowledgment in a segment that `direction`'s sender sent.
    pub fn acknowledge(&mut self, direction: Direction, segment: &Segment<'_>) {
        if segment.flags.ack {
            let peer = &mut self.halves[direction.flip()];
            peer.assembler.acknowledge(segment.acknowledgment);
        }
    }

    /// Whether a hole in either direction will not be filled any more.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.halves
            .iter()
            .any(|half| half.assembler.is_overdue(now))
    }

    /// Delivers what is held, with gaps where bytes are missing: no more segments will come.
    pub fn finish(
        &mut self,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        for direction in Direction::BOTH {
            let assembler = &mut self.halves[direction].assembler;
            assembler.finish(budget, &mut |chunk| {
                deliver(direction, Delivery::Chunk(chunk));
            });
        }
    }

    /// Drops what is held of `direction`.
    pub fn clear(&mut self, direction: Direction, budget: &mut Budget) {
        self.halves[direction].assembler.clear(budget);
    }

    /// `at`, with what the sender of the segment had acknowledged.
    fn arrival(&self, direction: Direction, segment: &Segment<'_>, at: Arrival) -> Arrival {
        let peer = &self.halves[direction.flip()].assembler;
        let is_known = segment.flags.ack && peer.is_started();
        Arrival {
            acknowledged: is_known.then(|| peer.offset(segment.acknowledgment)),
            ..at
        }
    }
}

impl Default for TcpConnection {
    fn default() -> Self {
        Self::new()
    }
}
