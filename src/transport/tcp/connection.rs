//! One TCP connection: its opening, both directions in order, and its end.
//!
//! Knows nothing of what the bytes mean. Ordered chunks and closes go to one
//! callback; each carries what its sender had acknowledged when it sent it
//! ([`Arrival::acknowledged`]), so that a reader can tell a reaction from a coincidence.

use crate::decode::{Segment, SeqNumber, TcpFlags};
use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;

use super::assembler::{Arrival, Assembler, Budget, Chunk, MAX_AHEAD, had_received};
use super::closed::FirstBytes;
use super::delivery::{DeliveryState, SentWith};
use super::opening::{Opening, RoundTrips};
use super::recent::RecentBytes;
use super::settled::{HalfState, SettledConnection};
use super::window::{Numbers, end_of};

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
    /// Which numbers its segments may have.
    numbers: Numbers,
    /// Sequence number of the first byte.
    initial: Option<SeqNumber>,
    /// Sequence number behind the last byte.
    fin: Option<SeqNumber>,
    is_in_view: bool,
    has_reset: bool,
    /// The hop limit of its first packet; 0 if it is not known.
    hop_limit: u8,
    /// Whether its next segment says more than its flags do: it answers a keep-alive, or its sender may have room again.
    is_awaited: bool,
    /// Whether the turn of its FIN has come: a FIN that was captured may have to wait.
    is_fin_due: bool,
    /// Whether it was waited for in vain while it was not in view.
    is_absent: bool,
    /// Whether it sent SYN-ACKs of different numbers: what its peer acknowledges decides between them.
    has_rival: bool,
    /// Whether its FIN came after bytes in the place of it.
    is_fin_amid_bytes: bool,
}

/// How far behind its SYN a direction may have come before the SYN is captured: as far as the other direction may be late.
const MAX_LATE_SYN: i32 = 1 << 16;

impl Half {
    /// Takes `first` for the first byte, as the opening says.
    fn begin_at(&mut self, first: SeqNumber) {
        self.initial = Some(first);
        self.numbers.open(first);
        self.assembler.start(first);
    }

    /// Completes the state of its delivery with the acknowledgments so far.
    #[inline]
    fn settle(&self, state: &mut DeliveryState) {
        if let Some(acknowledged) = self.assembler.acknowledged_offset() {
            state.acknowledge(acknowledged);
        }
    }

    /// The FIN in place `fin`, if it came before the packet with which it is delivered: what that one acknowledges says nothing of it.
    fn fin_with(&self, fin: SeqNumber, packet: Arrival) -> Arrival {
        Arrival {
            end: self.assembler.offset(fin.after(1)),
            ..Arrival::new(packet.time, packet.packet)
        }
    }

    /// Takes back a FIN if bytes came in its place and behind it, and the receiver has `acknowledged` them: a receiver takes nothing
    /// behind a FIN (RFC 9293 §3.10.7.4), so it has not taken this one, and another host than the sender sent it.
    fn refute_fin(&mut self, acknowledged: SeqNumber) {
        let next = self.assembler.next();
        let is_behind = |place: SeqNumber, fin: SeqNumber| place.since(fin) > 1;
        if self
            .fin
            .is_some_and(|fin| is_behind(next, fin) && is_behind(acknowledged, fin))
        {
            self.fin = None;
            self.is_fin_due = false;
        }
    }

    /// Whether a segment's hop limit shows that another host than the sender of the first packet sent it.
    const fn is_foreign(&self, segment: &Segment<'_>) -> bool {
        let is_known = self.hop_limit != 0 && segment.hop_limit != 0;
        is_known && self.hop_limit != segment.hop_limit
    }
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

    /// What is left of it once its bytes do not matter any more.
    #[must_use]
    pub fn settled(&self) -> SettledConnection {
        let of = |half: &Half| HalfState {
            first_byte: half.initial,
            is_in_view: half.is_in_view,
            has_fin: half.fin.is_some(),
            has_reset: half.has_reset,
            has_rival: half.has_rival,
        };
        let halves = PerDirection(self.halves.0.each_ref().map(of));
        SettledConnection::new(halves, self.opening.state())
    }

    /// Whether it was reset, or closed in both directions.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        let PerDirection([forward, reverse]) = &self.halves;
        forward.has_reset || reverse.has_reset || forward.fin.is_some() && reverse.fin.is_some()
    }

    /// Whether either side closed in order.
    #[must_use]
    pub const fn has_closed(&self) -> bool {
        let PerDirection([forward, reverse]) = &self.halves;
        forward.fin.is_some() || reverse.fin.is_some()
    }

    /// Whether either side reset it.
    #[must_use]
    pub const fn was_reset(&self) -> bool {
        let PerDirection([forward, reverse]) = &self.halves;
        forward.has_reset || reverse.has_reset
    }

    /// Whether both sides closed in order, and each acknowledged the other's FIN and nothing behind it: then both know that all is over.
    ///
    /// Two closes that somebody else sent, one in the name of each side, never look so, as neither side acknowledges the one of the other.
    #[must_use]
    pub fn is_close_confirmed(&self) -> bool {
        self.halves.iter().all(|half| {
            let end = half.fin.map(|fin| fin.after(1));
            end.is_some() && half.assembler.acknowledged() == end
        })
    }

    /// Whether packets of each direction were seen.
    #[must_use]
    pub fn in_view(&self) -> PerDirection<bool> {
        PerDirection(self.halves.0.each_ref().map(|half| half.is_in_view))
    }

    /// The sender of the SYN; `None` if the opening was not seen.
    #[must_use]
    pub const fn originator(&self) -> Option<Direction> {
        self.opening.originator()
    }

    /// Whether its opening was answered in view.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.opening.is_accepted()
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

    /// Whether the opening shows where the stream of each direction begins.
    #[must_use]
    pub fn has_opening(&self) -> PerDirection<bool> {
        let of = |half: &Half| half.numbers.has_opening();
        PerDirection(self.halves.0.each_ref().map(of))
    }

    /// The hop limit of each direction's first packet, as far as it is known.
    #[must_use]
    pub fn hop_limits(&self) -> PerDirection<Option<u8>> {
        let of = |half: &Half| (half.hop_limit != 0).then_some(half.hop_limit);
        PerDirection(self.halves.0.each_ref().map(of))
    }

    /// Whether a segment of `direction` with no other flag than ACK changes nothing about an opening that is over: it is not the first
    /// one of its direction, and decides nothing. False once the connection has closed.
    #[must_use]
    pub fn is_in_use(&self, direction: Direction) -> bool {
        let has_rival = self.halves[direction.flip()].has_rival;
        self.halves[direction].is_in_view && !has_rival && !self.is_closed()
    }

    /// Whether both directions are known and in order, nothing is held, and [`TcpConnection::is_in_use`] holds. Segments for which
    /// [`TcpConnection::is_next`] holds leave it so.
    #[must_use]
    pub fn is_in_order(&self, direction: Direction) -> bool {
        let is_known = |half: &Half| half.numbers.is_known() && !half.assembler.is_holding();
        self.is_in_use(direction) && self.is_started(direction) && self.halves.iter().all(is_known)
    }

    /// Whether a segment with no other flag than ACK continues its direction, and acknowledges all of the other one, as most do: then
    /// [`TcpConnection::admit`] admits it. Only where [`TcpConnection::is_in_order`] holds.
    #[must_use]
    #[inline(always)]
    pub fn is_next(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let [own, peer] = [&self.halves[direction], &self.halves[direction.flip()]];
        segment.flags.ack
            && own.numbers.reach() == segment.sequence
            && peer.numbers.reach() == segment.acknowledgment
    }

    /// Notes the numbers of such a segment, as [`TcpConnection::admit`] does.
    #[inline(always)]
    pub fn note_next(&mut self, direction: Direction, segment: &Segment<'_>) {
        let numbers = &mut self.halves[direction].numbers;
        numbers.note_window(segment.window);
        numbers.extend(end_of(segment));
    }

    /// The largest window that the sender of `direction` announced, without its scale.
    #[must_use]
    pub const fn unscaled_window(&self, direction: Direction) -> u16 {
        self.halves.0[direction as usize].numbers.unscaled_window()
    }

    /// Notes segments for which [`TcpConnection::is_next`] held, and which the caller has taken: how far they reach, and the largest
    /// window in them. `is_in_order` says that their bytes were read in order, as by [`TcpConnection::skip_in_order`].
    pub fn note_passed(
        &mut self,
        direction: Direction,
        reach: SeqNumber,
        window: u16,
        is_in_order: bool,
    ) {
        let half = &mut self.halves[direction];
        half.numbers.note_window(window);
        half.numbers.extend(reach);
        if is_in_order {
            let next = half.assembler.next();
            let passed = reach.since(next).unsigned_abs();
            half.assembler.skip_in_order(next, passed);
        }
    }

    /// Whether a SYN begins another connection between the same endpoints.
    ///
    /// A SYN-ACK does not, whatever its number: SYN proxies and load balancers answer one SYN twice. A SYN in a direction
    /// of which nothing was seen, on a connection that was picked up amid its stream, does.
    #[must_use]
    pub fn is_replaced_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let first = segment.sequence.after(1);
        let was_picked_up = self.opening.originator().is_none();
        segment.flags.syn
            && !segment.flags.ack
            && match self.halves[direction].initial {
                Some(initial) => initial != first,
                None => was_picked_up && self.halves[direction.flip()].initial.is_some(),
            }
    }

    /// Whether a segment belongs to this connection: its receiver would take its numbers, as far as they are known.
    ///
    /// Those of a segment that belongs here are noted. A SYN does so only if it is the one that opened the connection;
    /// another one may begin [the next](TcpConnection::is_replaced_by).
    #[inline]
    pub fn admit(&mut self, direction: Direction, segment: &Segment<'_>) -> bool {
        let TcpFlags { syn, rst, ack, .. } = segment.flags;
        let is_usual = !syn && !rst && self.halves[direction].is_in_view;
        let [own, peer] = self.halves.pair_mut(direction);
        let is_next = own.numbers.is_at(segment.first_byte())
            && ack
            && peer.numbers.is_at(segment.acknowledgment);
        if is_usual && is_next {
            // As for most segments: it continues its direction, and acknowledges all of the other one.
            own.numbers.note_window(segment.window);
            own.numbers.extend(end_of(segment));
            return true;
        }
        let is_admitted = if is_usual {
            self.has_sequence_in_window(direction, segment)
                && (!ack || self.has_acknowledgment_in_window(direction, segment))
        } else {
            self.is_opening_or_reset(direction, segment)
        };
        if is_admitted {
            self.note_numbers(direction, segment);
        }
        is_admitted
    }

    /// Whether a segment begins within one window of what its direction has sent (RFC 9293 §3.10.7.4).
    #[must_use]
    #[inline]
    pub fn has_sequence_in_window(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let own = &self.halves[direction];
        let window = self.window(direction.flip());
        let first = segment.first_byte();
        own.numbers.is_near(first, own.initial, window)
    }

    /// Whether a segment acknowledges what its peer has sent, or may have sent within one window (RFC 5961 §5).
    #[must_use]
    #[inline]
    pub fn has_acknowledgment_in_window(
        &self,
        direction: Direction,
        segment: &Segment<'_>,
    ) -> bool {
        let peer = &self.halves[direction.flip()];
        let place = segment.acknowledgment;
        let window = self.window(direction);
        // The acknowledgment decides between SYN-ACKs of different numbers, and not the other way around.
        peer.has_rival || peer.numbers.is_near(place, peer.initial, window)
    }

    /// Whether a FIN or RST comes before what its receiver has taken: that host drops it (RFC 9293 §3.10.7.4).
    #[must_use]
    #[inline]
    pub fn is_close_of_the_past(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let TcpFlags { fin, rst, .. } = segment.flags;
        if !fin && !rst {
            return false; // as for nearly all segments
        }
        let half = &self.halves[direction];
        let own = &half.assembler;
        let end = segment.first_byte().after(segment.wire_length);
        let is_before = |place: SeqNumber| end.since(place) < 0;
        if rst {
            let first = half.initial.filter(|_| half.numbers.has_opening());
            own.acknowledged().or(first).is_some_and(is_before)
        } else {
            // What was not acknowledged may be forged, and not be what precedes the FIN.
            let taken = own.acknowledged().filter(|end| end.since(own.next()) < 0);
            own.is_started() && is_before(taken.unwrap_or_else(|| own.next()))
        }
    }

    /// Whether bytes of `direction` came in the place of its FIN, which came later, and its peer has taken the FIN and nothing else: then
    /// the bytes are none of its sender's.
    #[must_use]
    pub fn is_contradictory(&self, direction: Direction) -> bool {
        let half = &self.halves[direction];
        let end = half.fin.map(|fin| fin.after(1));
        half.is_fin_amid_bytes && end.is_some() && half.assembler.acknowledged() == end
    }

    /// The most that the sender of `direction` may have let its peer send ahead, in bytes.
    #[must_use]
    #[inline]
    pub fn window(&self, direction: Direction) -> u32 {
        self.halves[direction].numbers.largest_window()
    }

    /// Behind the furthest byte that is known of `direction`; `None` if nothing is known.
    #[must_use]
    pub fn reach(&self, direction: Direction) -> Option<SeqNumber> {
        let numbers = &self.halves[direction].numbers;
        numbers.is_known().then(|| numbers.reach())
    }

    /// [`TcpConnection::admit`] for what few segments are: those of the opening, resets, and the first of a direction.
    fn is_opening_or_reset(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let [own, peer] = [&self.halves[direction], &self.halves[direction.flip()]];
        let TcpFlags { syn, rst, ack, .. } = segment.flags;
        // While the answer to a SYN is awaited, nothing but what it acknowledges shows that a segment is that answer.
        let acknowledges_opening = || {
            let initial = peer.initial.filter(|_| peer.numbers.has_opening());
            initial.is_none_or(|initial| {
                ack && peer.numbers.is_within(segment.acknowledgment, initial)
            })
        };
        if syn {
            let first = segment.first_byte();
            let is_known = own.numbers.has_opening();
            let is_same = own.initial == Some(first);
            let is_responder = self.opening.originator() != Some(direction);
            let may_be_rival = ack && is_responder && !self.opening.is_acknowledged();
            // What a SYN-ACK acknowledges counts for more than what its peer acknowledged: that may have been forged.
            let is_answer = ack && !own.is_in_view && peer.numbers.has_opening();
            // The answer to a SYN has an acknowledgment: without one, it begins another connection once it is answered itself.
            let is_unasked = !ack && is_responder && peer.numbers.has_opening();
            let is_place = if is_known {
                is_same || may_be_rival
            } else if is_unasked {
                false
            } else {
                is_same || is_answer || self.is_late_syn(direction, first)
            };
            return is_place && (!ack || acknowledges_opening());
        }
        if own.numbers.is_known() {
            return self.has_sequence_in_window(direction, segment)
                && (rst || !ack || self.has_acknowledgment_in_window(direction, segment));
        }
        let is_answer = acknowledges_opening();
        is_answer && (rst || !ack || self.has_acknowledgment_in_window(direction, segment))
    }

    /// Whether a SYN with this first byte may have been captured after what followed it.
    fn is_late_syn(&self, direction: Direction, first: SeqNumber) -> bool {
        let half = &self.halves[direction];
        let before = half.numbers.reach().since(first);
        !half.numbers.is_known() || half.initial.is_none() && (0..=MAX_LATE_SYN).contains(&before)
    }

    /// Notes the numbers and the window of a segment that belongs here.
    fn note_numbers(&mut self, direction: Direction, segment: &Segment<'_>) {
        let [own, peer] = self.halves.pair_mut(direction);
        let TcpFlags { syn, rst, ack, .. } = segment.flags;
        if syn {
            own.numbers.note_scale(segment.window_scale);
            peer.numbers.note_peer_scale(segment.window_scale);
        } else {
            own.numbers.note_window(segment.window);
        }
        // A SYN-ACK of another number than the first counts once it is acknowledged.
        if syn && !own.is_in_view {
            own.numbers.restart(end_of(segment));
        } else if !syn || !own.numbers.has_opening() {
            own.numbers.extend(end_of(segment));
        }
        if ack && !rst {
            peer.numbers.extend(segment.acknowledgment);
        }
    }

    /// Takes the numbers of a segment for those of the connection, whatever was seen before: its peer confirms them.
    ///
    /// If the opening was not answered, it was that of another connection, and is forgotten.
    pub fn resume(&mut self, direction: Direction, segment: &Segment<'_>) {
        let is_sequence_new = !self.has_sequence_in_window(direction, segment);
        let is_acknowledgment_new =
            segment.flags.ack && !self.has_acknowledgment_in_window(direction, segment);
        if !self.opening.is_accepted() {
            self.opening = Opening::new();
            for half in self.halves.iter_mut() {
                half.initial = None;
            }
        }
        let [own, peer] = self.halves.pair_mut(direction);
        if is_sequence_new {
            own.numbers.restart(segment.first_byte());
        }
        if is_acknowledgment_new {
            peer.numbers.restart(segment.acknowledgment);
        }
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
        if !half.is_in_view {
            half.is_in_view = true;
            half.is_absent = false;
            half.hop_limit = segment.hop_limit;
        }
        if segment.flags.syn {
            self.handle_syn(direction, segment);
        } else if self.halves[direction.flip()].has_rival && segment.flags.ack && !segment.flags.rst
        {
            self.decide_rival(direction.flip(), segment.acknowledgment);
        }
        if segment.flags.syn || !is_in_use {
            self.opening
                .note(direction, segment.flags, segment.wire_length, time);
            self.start_responder(direction, segment);
        }
        let half = &mut self.halves[direction];
        if segment.flags.fin {
            // Once all before a FIN has come, another number is none of this stream.
            let has_ended = half.fin == Some(half.assembler.next()) && half.assembler.is_started();
            if !has_ended {
                let fin = segment.first_byte().after(segment.wire_length);
                let next = half.assembler.next();
                half.is_fin_amid_bytes = half.assembler.is_started() && next.since(fin) > 0;
                half.fin = Some(fin);
            }
        }
        half.has_reset |= segment.flags.rst;
    }

    fn handle_syn(&mut self, direction: Direction, segment: &Segment<'_>) {
        let first = segment.sequence.after(1);
        let half = &mut self.halves[direction];
        if segment.flags.ack && half.initial.is_some_and(|initial| initial != first) {
            half.has_rival = !self.opening.is_acknowledged();
            return;
        }
        half.begin_at(first);
        if segment.flags.ack {
            // The SYN may be captured later, and so may be what follows it.
            let peer = &mut self.halves[direction.flip()];
            if peer.initial.is_none() {
                peer.begin_at(segment.acknowledgment);
            }
            peer.assembler.start(segment.acknowledgment);
        }
    }

    /// The originator's first segment behind its SYN acknowledges a SYN-ACK that may be captured later, with what follows it.
    fn start_responder(&mut self, direction: Direction, segment: &Segment<'_>) {
        let is_first = self.opening.originator() == Some(direction)
            && self.halves[direction].initial == Some(segment.sequence);
        let peer = &mut self.halves[direction.flip()];
        if is_first && segment.flags.ack && !segment.flags.rst && peer.initial.is_none() {
            peer.begin_at(segment.acknowledgment);
        }
    }

    /// Takes the first acknowledgment of a direction that began with SYN-ACKs of different numbers.
    fn decide_rival(&mut self, direction: Direction, acknowledgment: SeqNumber) {
        let half = &mut self.halves[direction];
        half.has_rival = false;
        half.initial = Some(acknowledgment);
        half.numbers.restart(acknowledgment);
        half.numbers.open(acknowledgment);
        half.assembler.move_start(acknowledgment);
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

    /// Begins the stream of `direction` with this segment if it is further than a window from what was delivered; what was
    /// held is dropped.
    pub fn restart_if_far(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        budget: &mut Budget,
    ) {
        let first = segment.first_byte();
        if self.ahead(direction, first).unsigned_abs() > self.window(direction.flip()) {
            self.restart(direction, first, budget);
        }
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

    /// Whether a segment was sent after something that has not been delivered, so that its turn has not come: it
    /// acknowledges bytes, or a FIN, of its peer. A reset has no other order than its number in its own direction.
    #[must_use]
    pub fn must_wait(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.flags.ack && self.lacks(direction.flip(), segment.acknowledgment)
            || segment.flags.rst && self.lacks(direction, segment.sequence)
            || self.is_ahead_of_peer(direction, segment)
    }

    /// Whether a segment lies ahead in its own direction, and nothing of the other one is known yet: what precedes it will say
    /// where that begins, and then whether it acknowledges something that has not been captured.
    fn is_ahead_of_peer(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let peer = &self.halves[direction.flip()];
        let is_open = !peer.assembler.is_started() && !peer.is_absent;
        is_open && segment.flags.ack && self.ahead(direction, segment.first_byte()) > 0
    }

    /// Whether something of `direction` before `end` has not been delivered and may yet be captured.
    fn lacks(&self, direction: Direction, end: SeqNumber) -> bool {
        let half = &self.halves[direction];
        let missing = end.since(half.assembler.next());
        if missing <= 0 {
            return false; // as for nearly all segments
        }
        // A FIN that was captured takes a number, too. It may still wait for its turn.
        let is_fin = missing == 1 && half.is_fin_due && half.fin == Some(half.assembler.next());
        missing <= MAX_AHEAD && !is_fin && !half.is_absent && half.assembler.is_started()
    }

    /// Notes that the turn of a segment has come.
    pub fn note_turn(&mut self, direction: Direction, segment: &Segment<'_>) {
        self.halves[direction].is_fin_due |= segment.flags.fin;
    }

    /// Gives up what a segment waits for: the capture lacks it. It is delivered as a gap, or as a FIN if one number is missing.
    ///
    /// `direction` is that of the segment. What is missing before a reset that another host sent is no gap unless it was
    /// acknowledged: that host guesses the number.
    pub fn give_up(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        if segment.flags.ack {
            self.give_up_to(
                direction.flip(),
                segment.acknowledgment,
                at,
                budget,
                deliver,
            );
        }
        let half = &self.halves[direction];
        let own = &half.assembler;
        let end = own.offset(segment.sequence);
        let is_acknowledged = had_received(own.acknowledged_offset(), end) == Some(true);
        if segment.flags.rst && (is_acknowledged || !half.is_foreign(segment)) {
            self.give_up_to(direction, segment.sequence, at, budget, deliver);
        }
    }

    fn give_up_to(
        &mut self,
        direction: Direction,
        end: SeqNumber,
        at: Arrival,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        if !self.lacks(direction, end) {
            return;
        }
        self.note_absent(direction);
        let half = &mut self.halves[direction];
        let missing = end.since(half.assembler.next());
        if missing == 1 && half.fin.is_none() && !half.assembler.is_holding() {
            return self.infer_fin(direction, at, deliver);
        }
        // The number of a FIN that was captured is no byte.
        let is_behind_fin = |fin: &SeqNumber| end.since(*fin) == 1;
        let end = half.fin.filter(is_behind_fin).unwrap_or(end);
        half.assembler.skip_to(end, budget, &mut |chunk| {
            deliver(direction, Delivery::Chunk(chunk));
        });
    }

    /// Notes that `direction` was waited for in vain.
    pub fn note_absent(&mut self, direction: Direction) {
        let half = &mut self.halves[direction];
        half.is_absent = !half.is_in_view;
    }

    /// Notes that `direction` closed with a FIN that was acknowledged and not captured. Of a direction that is not in view
    /// nothing is said.
    fn infer_fin(
        &mut self,
        direction: Direction,
        at: Arrival,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.fin = Some(half.assembler.next());
        half.is_fin_due = true;
        if half.is_in_view {
            let fin = Arrival {
                end: half.assembler.delivered().wrapping_add(1),
                ..Arrival::new(at.time, at.packet)
            };
            deliver(direction, Delivery::Fin(fin));
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
        let sender = direction;
        for direction in [sender, sender.flip()] {
            self.skip_overdue(direction, at.time, budget, deliver);
            let half = &self.halves[direction];
            let is_all_there = |fin: SeqNumber| {
                !half.assembler.is_started() || half.assembler.next().since(fin) >= 0
            };
            if let Some(fin) = half.fin.filter(|fin| half.is_fin_due && is_all_there(*fin)) {
                let is_own = segment.flags.fin && direction == sender;
                let at = if is_own { at } else { half.fin_with(fin, at) };
                deliver(direction, Delivery::Fin(at));
            }
        }
        if segment.flags.rst {
            deliver(direction, Delivery::Rst(at));
        }
    }

    /// How many bytes of a segment's payload differ from those that came before for the same place: `delivered` has those
    /// that were delivered, and the others are held. A byte in the place of a FIN is one of them: a FIN takes a number, too.
    #[must_use]
    pub fn conflicts(
        &self,
        direction: Direction,
        segment: &Segment<'_>,
        delivered: &RecentBytes,
    ) -> u32 {
        let half = &self.halves[direction];
        let assembler = &half.assembler;
        if !assembler.is_started() {
            return 0;
        }
        let first = segment.first_byte();
        let is_in_order = first == assembler.next() && !assembler.is_holding();
        if is_in_order && half.fin.is_none() {
            return 0; // as nearly all segments
        }
        let length = segment.wire_length.cast_signed();
        let has_byte_at = |fin: SeqNumber| (0..length).contains(&fin.since(first));
        u32::from(half.fin.is_some_and(has_byte_at))
            + delivered.conflicts(assembler.offset(first), segment.payload)
            + assembler.conflicts_with_held(first, segment.payload)
    }

    /// Whether a segment goes on in its direction where that has come to, and acknowledges all of the other one, as most do:
    /// then [`TcpConnection::advance`] is all that there is to do with its numbers and bytes.
    ///
    /// What the general path would do with such a segment is nothing else:
    ///
    /// - [`admit`](Self::admit) takes it by the same test of its numbers, which lie within every window.
    /// - [`handle_header`](Self::handle_header) records the first packet of a direction, SYN, FIN and RST, SYN-ACKs between which an
    ///   acknowledgment decides, and the opening. It is none of these.
    /// - [`must_wait`](Self::must_wait) is false: what it acknowledges was delivered.
    /// - [`conflicts`](Self::conflicts) is 0: it begins behind all that was delivered, and nothing is held.
    /// - [`push`](Self::push) delivers its bytes as they are, since nothing is held that they could overlap.
    /// - [`settle`](Self::settle) has no hole to skip and no FIN to deliver.
    #[must_use]
    #[inline]
    pub fn is_in_step(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let [own, peer] = [&self.halves[direction], &self.halves[direction.flip()]];
        let TcpFlags { syn, fin, rst, ack } = segment.flags;
        let has_opened = self.opening.is_over_for(direction)
            && (peer.initial.is_some() || self.opening.originator().is_none());
        ack && !(syn || fin || rst)
            && has_opened
            && own.is_in_view
            && !peer.has_rival
            && !(own.has_reset || peer.has_reset)
            && own.fin.is_none()
            && peer.fin.is_none()
            && own.numbers.is_at(segment.sequence)
            && peer.numbers.is_at(segment.acknowledgment)
            && own.assembler.is_all_before(segment.sequence)
            && peer.assembler.is_all_before(segment.acknowledgment)
    }

    /// Whether the next segment of `direction` says more than its flags do: it answers a keep-alive, or its sender may have room again.
    #[must_use]
    #[inline]
    pub fn is_awaited(&self, direction: Direction) -> bool {
        self.halves[direction].is_awaited
    }

    /// Takes a segment that [is in step](Self::is_in_step): notes its numbers, and moves past its bytes, which are for the caller to read.
    /// Returns `at` with where it ends, and what its sender had acknowledged.
    #[inline]
    pub fn advance(&mut self, direction: Direction, segment: &Segment<'_>, at: Arrival) -> Arrival {
        let [own, peer] = self.halves.pair_mut(direction);
        own.numbers.note_window(segment.window);
        own.numbers.extend(end_of(segment));
        own.assembler
            .skip_in_order(segment.sequence, segment.wire_length);
        Arrival {
            end: own.assembler.delivered(),
            acknowledged: Some(peer.assembler.offset(segment.acknowledgment)),
            ..at
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

    /// Gives up the holes in `direction`, as if they were overdue; delivers what is held behind them.
    pub fn skip_holes(
        &mut self,
        direction: Direction,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        let assembler = &mut self.halves[direction].assembler;
        while assembler.is_holding() {
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
            if peer.fin.is_some() {
                peer.refute_fin(segment.acknowledgment);
            }
        }
    }

    /// Bytes of `direction` that the network lost, and since when: missing in front of later ones, also for the receiver.
    #[must_use]
    pub fn lost_in_network(&self, direction: Direction) -> Option<(u32, Timestamp)> {
        self.halves[direction].assembler.lost_in_network()
    }

    /// Whether a bare acknowledgment says more than what is acknowledged: it is a keep-alive or the answer to one, opens or closes the
    /// window, shows that either side has sent more than was captured, or follows a reset.
    #[must_use]
    pub fn is_news(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.window == 0
            || self.halves[direction].is_awaited
            || self.is_probe_or_ahead(direction, segment.sequence)
            || self.is_ahead(direction.flip(), segment.acknowledgment)
            || self.is_closed()
    }

    /// Whether a number of `direction` is beyond what was captured of it.
    fn is_ahead(&self, direction: Direction, number: SeqNumber) -> bool {
        let half = &self.halves[direction];
        let fin = i32::from(half.fin.is_some());
        half.assembler.is_started() && number.since(half.assembler.next()) > fin
    }

    /// Whether the number of an empty segment makes it a keep-alive, or shows that bytes before it are missing, or that it was sent
    /// before its sender's FIN.
    fn is_probe_or_ahead(&self, direction: Direction, sequence: SeqNumber) -> bool {
        let fin = i32::from(self.halves[direction].fin.is_some());
        let ahead = self.ahead(direction, sequence);
        ahead == -1 || ahead == fin - 1 || ahead > fin
    }

    /// Records in `states` what a segment says about delivery in both directions.
    pub fn note_delivery(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
        states: &mut PerDirection<DeliveryState>,
    ) {
        let peer = direction.flip();
        let [own_state, peer_state] = states.pair_mut(direction);
        let [half, peer_half] = self.halves.pair_mut(direction);
        if segment.flags.ack {
            peer_half.assembler.acknowledge(segment.acknowledgment);
            peer_state.note_answer();
        }
        // What was acknowledged before the state was kept: when is not known, so that nothing is late for it.
        let acknowledged = own_state.acknowledged;
        half.settle(own_state);
        own_state.note_overtaken(acknowledged, time);
        let acknowledged = peer_state.acknowledged;
        peer_half.settle(peer_state);
        peer_state.note_overtaken(acknowledged, time);
        if !segment.flags.rst {
            peer_state.is_window_closed = segment.window == 0;
        }
        half.is_awaited = peer_state.is_window_closed;
        if half.assembler.is_started() {
            let start = half.assembler.offset(segment.first_byte());
            let length = segment.wire_length + u32::from(segment.flags.fin);
            own_state.note_data(start, segment.wire_length, time);
            let is_in_window = segment.sequence.since(half.assembler.next()) <= MAX_AHEAD;
            if segment.is_bare() && is_in_window {
                own_state.announce(start);
            }
            let is_before = |fin: SeqNumber| segment.sequence.since(fin) <= 0;
            if segment.is_bare() && half.fin.is_some_and(is_before) {
                own_state.note_behind_fin(time);
            }
            let asks = own_state.handle_segment(start, length, time);
            peer_half.is_awaited |= asks;
        }
        if !segment.flags.rst && states[direction].reset.is_none() {
            return; // as with nearly all segments: what follows is about resets
        }
        let half = &self.halves[direction];
        let sent = SentWith {
            end: half
                .assembler
                .offset(segment.first_byte().after(segment.wire_length)),
            acknowledged: (segment.flags.ack && self.is_started(peer))
                .then(|| self.halves[peer].assembler.offset(segment.acknowledgment)),
        };
        if segment.flags.rst {
            if !segment.flags.ack {
                states[peer].note_refused(); // it answers a segment with this (RFC 9293 §3.10.7.1)
            }
            states[direction].note_reset(sent, half.is_foreign(segment), time);
        } else {
            states[direction].note_after_reset(sent, segment.flags.fin, time);
        }
    }

    /// As [`TcpConnection::note_delivery`], for a segment with data that [is in step](Self::is_in_step): both directions have started, it
    /// acknowledges all of the other one, and it is no reset.
    #[inline]
    pub fn note_delivery_in_step(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
        states: &mut PerDirection<DeliveryState>,
    ) {
        let [own_state, peer_state] = states.pair_mut(direction);
        if own_state.reset.is_some() {
            return self.note_delivery(direction, segment, time, states); // it may show that the reset was ignored
        }
        let [half, peer_half] = self.halves.pair_mut(direction);
        peer_half.assembler.acknowledge(segment.acknowledgment);
        peer_state.note_answer();
        let acknowledged = own_state.acknowledged;
        half.settle(own_state);
        own_state.note_overtaken(acknowledged, time);
        peer_half.settle(peer_state);
        peer_state.is_window_closed = segment.window == 0;
        let start = half.assembler.delivered();
        own_state.note_data(start, segment.wire_length, time);
        half.is_awaited = peer_state.is_window_closed;
        peer_half.is_awaited |= own_state.handle_segment(start, segment.wire_length, time);
    }

    /// Completes `states` with the acknowledgments so far, which bare segments bring without a look at them.
    pub fn settle_delivery(&self, states: &mut PerDirection<DeliveryState>) {
        for direction in Direction::BOTH {
            self.halves[direction].settle(&mut states[direction]);
        }
    }

    /// Takes what empty segments show to be missing, now that no more segments will come.
    pub fn settle_announced(&mut self, states: &mut PerDirection<DeliveryState>) {
        for direction in Direction::BOTH {
            let half = &mut self.halves[direction];
            let assembler = &mut half.assembler;
            if half.numbers.is_known() && assembler.is_started() {
                // Some were captured before the state was kept.
                states[direction].announce(assembler.offset(half.numbers.reach()));
            }
            if let Some(end) = states[direction].announced() {
                states[direction].note_unseen(end);
                assembler.acknowledge(assembler.sequence(end));
            }
        }
    }

    /// Whether a hole in either direction will not be filled any more.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.halves
            .iter()
            .any(|half| half.assembler.is_overdue(now))
    }

    /// Delivers what is held, with gaps where bytes are missing, and closes: no more segments will come.
    ///
    /// `last` is the last packet of the connection. A FIN that was acknowledged and not captured closes at that moment. In
    /// directions that are `lost_in_network`, what precedes a FIN is no gap in the capture.
    pub fn finish(
        &mut self,
        last: Arrival,
        lost_in_network: PerDirection<bool>,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Direction, Delivery<'_>),
    ) {
        for direction in Direction::BOTH {
            let half = &mut self.halves[direction];
            let missing = half.assembler.finish(budget, &mut |chunk| {
                deliver(direction, Delivery::Chunk(chunk));
            });
            // A FIN takes one number and is no byte.
            let bytes = match half.fin {
                Some(_) if lost_in_network[direction] || !half.assembler.is_started() => 0,
                Some(fin) => fin.since(half.assembler.next()),
                None => missing.saturating_sub(1).cast_signed(),
            };
            if (1..=MAX_AHEAD).contains(&bytes) {
                let gap = Chunk::Gap(bytes.unsigned_abs());
                deliver(direction, Delivery::Chunk(gap));
            }
            if let Some(fin) = half.fin {
                deliver(direction, Delivery::Fin(half.fin_with(fin, last)));
            } else if missing == 1 {
                self.infer_fin(direction, last, deliver);
            }
        }
    }

    /// Whether an empty segment has the number of its sender's FIN, which nothing has confirmed: the peer has not acknowledged it.
    #[must_use]
    pub fn is_in_place_of_fin(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let half = &self.halves[direction];
        let is_there = |fin: SeqNumber| fin == segment.sequence;
        let is_acknowledged = |end: SeqNumber| end.since(segment.sequence) > 0;
        half.fin.is_some_and(is_there)
            && segment.is_bare()
            && !half.assembler.acknowledged().is_some_and(is_acknowledged)
    }

    /// Takes back the FIN of `direction`: its sender goes on, so another host sent it.
    pub fn take_back_fin(&mut self, direction: Direction) {
        let half = &mut self.halves[direction];
        half.fin = None;
        half.is_fin_due = false;
    }

    /// Drops what is held of `direction`.
    pub fn clear(&mut self, direction: Direction, budget: &mut Budget) {
        self.halves[direction].assembler.clear(budget);
    }

    /// `at`, with where the segment ends, and what its sender had acknowledged.
    #[must_use]
    pub fn arrival(&self, direction: Direction, segment: &Segment<'_>, at: Arrival) -> Arrival {
        let own = &self.halves[direction].assembler;
        let peer = &self.halves[direction.flip()].assembler;
        let is_known = segment.flags.ack && peer.is_started();
        let fin = u32::from(segment.flags.fin);
        let end = segment.first_byte().after(segment.wire_length + fin);
        Arrival {
            end: own.offset(end),
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
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::decode::WindowScale;

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
            window: 1000,
            window_scale: WindowScale::Unknown,
            hop_limit: 64,
        }
    }

    fn with(mut segment: Segment<'_>, set: fn(&mut TcpFlags)) -> Segment<'_> {
        set(&mut segment.flags);
        segment
    }

    fn syn(number: u32) -> Segment<'static> {
        with(segment(number, 0, b""), |flags| {
            flags.syn = true;
            flags.ack = false;
        })
    }

    impl Fixture {
        fn opened() -> Self {
            let mut this = Self {
                connection: TcpConnection::new(),
                budget: Budget::new(1 << 20),
                packets: 0,
            };
            this.take(CLIENT, syn(100));
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
            connection.note_turn(direction, &segment);
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
    fn a_fin_is_not_delivered_with_what_its_peer_acknowledged() {
        let mut fixture = Fixture::opened();
        let fin = |segment| with(segment, |flags| flags.fin = true);
        fixture.take(CLIENT, segment(101, 501, b"hello"));
        fixture.take(CLIENT, fin(segment(106, 501, b"")));
        fixture.packets += 1;
        let at = Arrival::new(Timestamp::default(), fixture.packets);
        let mut fins = Vec::new();
        let answer = segment(501, 107, b"");
        fixture.connection.settle(
            SERVER,
            &answer,
            at,
            &mut fixture.budget,
            &mut |sender, delivery| {
                if let Delivery::Fin(at) = delivery {
                    fins.push((sender, at.end, at.acknowledged));
                }
            },
        );
        assert_eq!(fins, [(CLIENT, 6, None)]);
    }

    #[test]
    fn a_segment_ahead_waits_until_something_of_the_other_direction_is_known() {
        let mut connection = TcpConnection::new();
        let time = Timestamp::default();
        connection.handle_header(CLIENT, &syn(100), time, false);
        connection.note_turn(CLIENT, &syn(100));
        let [next, ahead] = [101, 106].map(|number| segment(number, 501, b"x"));
        assert!(!connection.must_wait(CLIENT, &next));
        assert!(connection.must_wait(CLIENT, &ahead));
        connection.note_absent(SERVER);
        assert!(!connection.must_wait(CLIENT, &ahead));
        let fixture = Fixture::opened();
        assert!(!fixture.connection.must_wait(CLIENT, &ahead));
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

    /// As with a ServerHello's host that was seen to acknowledge the ClientHello before that was captured.
    #[test]
    fn what_was_acknowledged_before_the_state_was_kept_does_not_make_a_direction_late() {
        let mut fixture = Fixture::opened();
        fixture.take(SERVER, segment(501, 106, b""));
        let mut states = PerDirection::<DeliveryState>::default();
        let hello = segment(101, 501, b"hello");
        let time = Timestamp::from_nanoseconds(1_700_000_000_000_000_000);
        let connection = &mut fixture.connection;
        connection.note_delivery(CLIENT, &hello, time, &mut states);
        assert_eq!(states[CLIENT].acknowledged, Some(5));
        assert_eq!(states[CLIENT].lateness(), Duration::ZERO);
    }

    #[test]
    fn only_a_syn_with_another_number_replaces_the_connection() {
        let fixture = Fixture::opened();
        let replaces = |direction, segment| fixture.connection.is_replaced_by(direction, &segment);
        assert!(!replaces(CLIENT, syn(100)));
        assert!(replaces(CLIENT, syn(900)));
        assert!(!replaces(CLIENT, segment(900, 501, b"x")));
        let second_answer = with(segment(900, 101, b""), |flags| flags.syn = true);
        assert!(!replaces(SERVER, second_answer));
    }

    /// A connection with the state of its delivery, as the owner of an open handshake drives it.
    struct Driven {
        fixture: Fixture,
        states: PerDirection<DeliveryState>,
    }

    impl Driven {
        fn opened() -> Self {
            let mut fixture = Fixture::opened();
            fixture.take(CLIENT, segment(101, 501, b""));
            fixture.take(SERVER, segment(501, 101, b""));
            Self {
                fixture,
                states: PerDirection::default(),
            }
        }

        /// Takes a segment by the general path.
        fn take(&mut self, direction: Direction, segment: Segment<'_>) -> Vec<Delivered> {
            let Fixture {
                connection,
                packets,
                ..
            } = &mut self.fixture;
            let time = Timestamp::from_nanoseconds((*packets + 1).cast_signed() * 1_000_000);
            if !connection.admit(direction, &segment) {
                *packets += 1;
                return Vec::new();
            }
            if segment.is_bare() && !connection.is_news(direction, &segment) {
                connection.handle_header(direction, &segment, time, false);
                connection.acknowledge(direction, &segment);
                if !connection.is_overdue(time) {
                    *packets += 1;
                    return Vec::new();
                }
            }
            connection.note_delivery(direction, &segment, time, &mut self.states);
            self.fixture.take(direction, segment)
        }

        /// Takes a segment by the short path, if it is in step.
        fn take_in_step(
            &mut self,
            direction: Direction,
            segment: Segment<'_>,
        ) -> Option<Vec<Delivered>> {
            let Fixture {
                connection,
                packets,
                ..
            } = &mut self.fixture;
            let is_bare = segment.is_bare();
            let is_news = is_bare && (segment.window == 0 || connection.is_awaited(direction));
            if is_news || !connection.is_in_step(direction, &segment) {
                return None;
            }
            *packets += 1;
            let time = Timestamp::from_nanoseconds(packets.cast_signed() * 1_000_000);
            if is_bare {
                connection.advance(direction, &segment, Arrival::new(time, *packets));
                connection.acknowledge(direction, &segment);
                return Some(Vec::new());
            }
            connection.note_delivery_in_step(direction, &segment, time, &mut self.states);
            let at = connection.advance(direction, &segment, Arrival::new(time, *packets));
            let bytes = segment.payload.to_vec();
            Some(vec![Bytes(direction, bytes, at.acknowledged)])
        }
    }

    /// How far a number is off the one that is expected: mostly not at all.
    fn off() -> impl Strategy<Value = i32> {
        prop_oneof![8 => Just(0), 1 => -3i32..=3]
    }

    proptest! {
        #[test]
        fn the_short_path_does_what_the_general_one_does(
            steps in proptest::collection::vec(
                (any::<bool>(), 0u8..24, 0u16..4, off(), off(), 0usize..5),
                0..40,
            ),
        ) {
            let [mut general, mut short] = [Driven::opened(), Driven::opened()];
            for (is_client, flags, window, ahead, acknowledged, length) in steps {
                let direction = if is_client { CLIENT } else { SERVER };
                let halves = &general.fixture.connection.halves;
                let next = |way: Direction| halves[way].assembler.next().0;
                let sequence = next(direction).wrapping_add_signed(ahead);
                let acknowledgment = next(direction.flip()).wrapping_add_signed(acknowledged);
                let mut segment = segment(sequence, acknowledgment, &b"bytes"[..length]);
                segment.window = window * 100;
                match flags {
                    0 => segment.flags.fin = true,
                    1 => segment.flags.rst = true,
                    2 => segment.flags.ack = false,
                    3 => segment.wire_length += 2,
                    _ => {}
                }
                let expected = general.take(direction, segment);
                // What the snap length cut is for the general path, too.
                let is_whole = segment.payload.len() == segment.wire_length as usize;
                let in_step = is_whole
                    .then(|| short.take_in_step(direction, segment))
                    .flatten();
                let found = in_step.unwrap_or_else(|| short.take(direction, segment));
                prop_assert_eq!(found, expected);
                let state = |driven: &Driven| {
                    format!("{:?} {:?}", driven.fixture.connection, driven.states)
                };
                prop_assert_eq!(state(&short), state(&general));
            }
        }
    }
}
