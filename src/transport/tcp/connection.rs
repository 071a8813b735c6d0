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

    /// Whether packets of each direction were seen.
    #[must_use]
    pub fn in_view(&self) -> PerDirection<bool> {
        PerDirection(self.halves.0.each_ref().map(|half| half.is_in_view))
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

    /// The sequence number so many bytes behind the beginning of `direction`'s stream, as in [`Arrival::acknowledged`].
    #[must_use]
    pub fn at(&self, direction: Direction, offset: u32) -> SeqNumber {
        self.halves[direction].assembler.sequence(offset)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::TcpFlags;

    const CLIENT: Direction = Direction::Forward;
    const SERVER: Direction = Direction::Reverse;

    /// What was delivered, in words.
    #[derive(Debug, PartialEq, Eq)]
    enum Delivered {
        Bytes(Direction, Vec<u8>, Option<u32>),
        Gap(Direction, u32),
        Fin(Direction),
        Rst(Direction),
    }

    use Delivered::{Bytes, Fin, Gap, Rst};

    /// A connection with both SYNs seen: client bytes begin at 101, server bytes at 501.
    struct Fixture {
        connection: TcpConnection,
        budget: Budget,
        packets: u64,
    }

    fn segment(sequence: u32, acknowledgment: u32, payload: &[u8]) -> Segment<'_> {
        Segment {
            sequence: SeqNumber(sequence),
            acknowledgment: SeqNumber(acknowledgment),
            flags: TcpFlags {
                ack: true,
                ..TcpFlags::default()
            },
            payload,
            wire_length: payload.len() as u32,
        }
    }

    fn with(mut segment: Segment<'_>, set: fn(&mut TcpFlags)) -> Segment<'_> {
        set(&mut segment.flags);
        segment
    }

    impl Fixture {
        fn opened() -> Self {
            let mut this = Self {
                connection: TcpConnection::new(),
                budget: Budget::new(1 << 20),
                packets: 0,
            };
            this.take(CLIENT, with(segment(100, 0, b""), |flags| flags.syn = true));
            this.take(
                SERVER,
                with(segment(500, 101, b""), |flags| flags.syn = true),
            );
            this
        }

        fn take(&mut self, direction: Direction, segment: Segment<'_>) -> Vec<Delivered> {
            self.packets += 1;
            let time = Timestamp::from_nanoseconds(self.packets.cast_signed() * 1_000_000);
            let at = Arrival::new(time, self.packets);
            let mut delivered = Vec::new();
            let mut deliver = |sender, delivery: Delivery<'_>| {
                delivered.push(match delivery {
                    Delivery::Chunk(Chunk::Bytes(bytes, at)) => {
                        Bytes(sender, bytes.to_vec(), at.acknowledged)
                    }
                    Delivery::Chunk(Chunk::Gap(missing)) => Gap(sender, missing),
                    Delivery::Fin(_) => Fin(sender),
                    Delivery::Rst(_) => Rst(sender),
                });
            };
            let Self {
                connection, budget, ..
            } = self;
            connection.handle_header(direction, &segment, time, false);
            if segment.wire_length > 0 {
                connection.push(direction, &segment, at, budget, &mut deliver);
            }
            connection.settle(direction, &segment, at, budget, &mut deliver);
            delivered
        }
    }

    #[test]
    fn bytes_carry_what_their_sender_had_acknowledged() {
        let mut fixture = Fixture::opened();
        let hello = fixture.take(CLIENT, segment(101, 501, b"hello"));
        assert_eq!(hello, [Bytes(CLIENT, b"hello".to_vec(), Some(0))]);
        let answer = fixture.take(SERVER, segment(501, 106, b"answer"));
        assert_eq!(answer, [Bytes(SERVER, b"answer".to_vec(), Some(5))]);
        // The client sends more before it has the answer, then after it has half of it.
        let early = fixture.take(CLIENT, segment(106, 501, b"x"));
        assert_eq!(early, [Bytes(CLIENT, b"x".to_vec(), Some(0))]);
        let late = fixture.take(CLIENT, segment(107, 504, b"y"));
        assert_eq!(late, [Bytes(CLIENT, b"y".to_vec(), Some(3))]);
    }

    #[test]
    fn held_bytes_keep_what_their_sender_had_acknowledged() {
        let mut fixture = Fixture::opened();
        fixture.take(SERVER, segment(501, 101, b"banner"));
        assert_eq!(fixture.take(CLIENT, segment(103, 507, b"cd")), []);
        let both = fixture.take(CLIENT, segment(101, 501, b"ab"));
        assert_eq!(
            both,
            [
                Bytes(CLIENT, b"ab".to_vec(), Some(0)),
                Bytes(CLIENT, b"cd".to_vec(), Some(6)),
            ]
        );
    }

    #[test]
    fn a_fin_waits_for_the_bytes_before_it_and_closes_with_the_second() {
        let mut fixture = Fixture::opened();
        let fin = |segment| with(segment, |flags| flags.fin = true);
        assert_eq!(fixture.take(CLIENT, fin(segment(103, 501, b""))), []);
        let rest = fixture.take(CLIENT, segment(101, 501, b"ab"));
        let bytes = Bytes(CLIENT, b"ab".to_vec(), Some(0));
        assert_eq!(rest, [bytes, Fin(CLIENT)]);
        assert!(!fixture.connection.is_closed());
        fixture.take(SERVER, fin(segment(501, 104, b"")));
        assert!(fixture.connection.is_closed());
    }

    #[test]
    fn a_reset_closes_at_once() {
        let mut fixture = Fixture::opened();
        let reset = with(segment(501, 101, b""), |flags| flags.rst = true);
        assert_eq!(fixture.take(SERVER, reset), [Rst(SERVER)]);
        assert!(fixture.connection.is_closed());
    }

    #[test]
    fn an_acknowledged_hole_becomes_a_gap_once_segments_follow() {
        let mut fixture = Fixture::opened();
        fixture.take(CLIENT, segment(111, 501, b"later"));
        let mut delivered = fixture.take(SERVER, segment(501, 116, b""));
        for number in 0..4 {
            delivered.extend(fixture.take(CLIENT, segment(116 + number, 501, b".")));
        }
        assert_eq!(delivered[0], Gap(CLIENT, 10));
        assert_eq!(delivered[1], Bytes(CLIENT, b"later".to_vec(), Some(0)));
    }

    #[test]
    fn only_a_syn_with_another_number_replaces_the_connection() {
        let fixture = Fixture::opened();
        let syn = |number| with(segment(number, 0, b""), |flags| flags.syn = true);
        assert!(!fixture.connection.is_replaced_by(CLIENT, &syn(100)));
        assert!(fixture.connection.is_replaced_by(CLIENT, &syn(900)));
        let data = segment(900, 501, b"x");
        assert!(!fixture.connection.is_replaced_by(CLIENT, &data));
    }
}
