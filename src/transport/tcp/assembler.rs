//! One direction of a TCP connection: segments in any order to bytes in order.
//!
//! Bytes that come in order pass through without a copy. What comes early is
//! held, within a [`Budget`]. Where two segments carry the same sequence
//! numbers with different bytes, **the copy that arrived first wins**: what was
//! delivered cannot be taken back, so one rule for all is the honest one.
//!
//! A hole becomes a gap when it will not be filled any more: the receiver has
//! acknowledged it and the sender went on ([`Assembler::is_overdue`]), or
//! nothing more can be held. An acknowledgment alone is not enough: captures on
//! several queues show it before the bytes that it is for.

use std::time::Duration;

use crate::decode::SeqNumber;
use crate::time::Timestamp;

use super::recent::count_differences;

/// When something was captured, in which packet, where it lies in its stream, and what its sender had received by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Packet time.
    pub time: Timestamp,
    /// Number of the packet within its source.
    pub packet: u64,
    /// Bytes of its own direction up to its last one, from where the stream begins in view (a FIN counts as one more).
    /// Wraps at 4 GiB.
    pub end: u32,
    /// Bytes of the opposite direction, from where its stream begins in view, that the sender had acknowledged (a
    /// FIN counts as one more); `None` if it acknowledged nothing, or if nothing of that direction is known. Wraps at 4 GiB.
    pub acknowledged: Option<u32>,
}

impl Arrival {
    /// The arrival of a packet, wherever it lies in its stream, and whatever its sender had acknowledged.
    #[must_use]
    pub const fn new(time: Timestamp, packet: u64) -> Self {
        Self {
            time,
            packet,
            end: 0,
            acknowledged: None,
        }
    }

    /// Whether the sender had received the first `peer_bytes` of its peer's stream when it sent this (see
    /// [`Arrival::end`]); `None` if its acknowledgment is not known.
    ///
    /// It cannot have reacted to what it had not received. The reverse does not hold: an acknowledgment says that bytes
    /// reached the host, not that the program has read them.
    #[must_use]
    pub const fn had_received(&self, peer_bytes: u32) -> Option<bool> {
        had_received(self.acknowledged, peer_bytes)
    }

    /// The same arrival for what ends `count` bytes earlier.
    #[must_use]
    pub(crate) const fn ending_before(self, count: u32) -> Self {
        Self {
            end: self.end.wrapping_sub(count),
            ..self
        }
    }
}

/// Whether `acknowledged` covers the first `bytes` of a stream, both modulo 2³².
pub(crate) const fn had_received(acknowledged: Option<u32>, bytes: u32) -> Option<bool> {
    match acknowledged {
        Some(acknowledged) => Some(acknowledged.wrapping_sub(bytes).cast_signed() >= 0),
        None => None,
    }
}

/// A run of a stream, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Bytes, with the packet that brought them.
    Bytes(&'a [u8], Arrival),
    /// So many bytes that the capture does not have.
    Gap(u32),
}

/// What the assemblers of one table may hold together.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    total: usize,
    available: usize,
    /// Bytes held so far, for the counter.
    pub held: u64,
    /// Segments discarded for lack of room, for the counter.
    pub discarded: u64,
    /// Segments that were not believed because of their numbers, for the counter.
    pub out_of_window: u64,
}

impl Budget {
    /// A budget of `available` bytes.
    #[must_use]
    pub const fn new(available: usize) -> Self {
        Self {
            total: available,
            available,
            held: 0,
            discarded: 0,
            out_of_window: 0,
        }
    }

    /// Bytes that may still be held.
    #[must_use]
    pub const fn available(&self) -> usize {
        self.available
    }

    /// Bytes that are held.
    #[must_use]
    pub const fn in_use(&self) -> usize {
        self.total - self.available
    }

    /// Whether more than half of the budget is held.
    #[must_use]
    pub const fn is_half_spent(&self) -> bool {
        self.available < self.total / 2
    }

    /// Whether less than an eighth of the budget is left.
    #[must_use]
    pub const fn is_nearly_spent(&self) -> bool {
        self.available < self.total / 8
    }

    /// Takes room for `bytes` that are no segment; false if there is none.
    pub(crate) const fn reserve(&mut self, bytes: usize) -> bool {
        let has_room = bytes <= self.available;
        if has_room {
            self.available -= bytes;
        }
        has_room
    }

    /// Gives back room for `bytes` that are no segment.
    pub(crate) const fn release(&mut self, bytes: usize) {
        self.available += bytes;
    }

    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let cost = bytes + HELD_OVERHEAD;
        if cost > self.available {
            self.discarded += 1;
            return false;
        }
        self.available -= cost;
        self.held += bytes as u64;
        true
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.available += bytes + HELD_OVERHEAD;
    }
}

/// What a held segment costs in addition to its bytes.
const HELD_OVERHEAD: usize = size_of::<HeldSegment>();

/// Segments held for one direction: two windows of 64 KiB in segments of 536 bytes are 245.
pub(super) const MAX_HELD_SEGMENTS: usize = 256;
/// Bytes held for one direction: sixteen unscaled windows; a handshake flight is a fraction of one.
pub(super) const MAX_HELD_BYTES: usize = 1 << 20;
/// How far ahead a segment may begin. More is no window that anybody uses, but a wrong sequence number.
pub(super) const MAX_AHEAD: i32 = 64 << 20;
/// Segments that must follow an acknowledged hole before it is a gap: networks reorder by up to three (RFC 5681 §3.2).
const REORDER_SEGMENTS: usize = 3;
/// Time after which an acknowledged hole is a gap however few segments followed. A guess: longer than captures disorder packets.
const REORDER_TIME: Duration = Duration::from_millis(200);

/// One direction of a TCP connection.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Where the stream begins.
    origin: SeqNumber,
    next: SeqNumber,
    acknowledged: SeqNumber,
    started: bool,
    any_acknowledged: bool,
    held: Option<Box<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    /// In order of sequence number; they do not overlap.
    segments: Vec<HeldSegment>,
    bytes: usize,
    /// When the hole was first seen.
    since: Timestamp,
    /// Segments that arrived after the hole was seen.
    followed: usize,
    /// Whether the receiver has sent an acknowledgment since that does not cover the hole.
    is_reported: bool,
}

#[derive(Debug)]
struct HeldSegment {
    sequence: SeqNumber,
    wire_length: u32,
    bytes: Box<[u8]>,
    arrival: Arrival,
}

impl Assembler {
    /// Begins the stream at `next`, if it has not begun: after the SYN, or wherever the capture picks it up.
    pub fn start(&mut self, next: SeqNumber) {
        if !self.started {
            self.origin = next;
            self.next = next;
            self.started = true;
        }
    }

    /// Moves the beginning of the stream to `next` if nothing of it has arrived yet.
    pub fn move_start(&mut self, next: SeqNumber) {
        if self.next == self.origin && self.held.is_none() {
            *self = Self::default();
            self.start(next);
        }
    }

    /// Restarts the stream at `next`; what was held is dropped.
    pub fn restart(&mut self, next: SeqNumber, budget: &mut Budget) {
        self.clear(budget);
        *self = Self {
            origin: next,
            next,
            started: true,
            ..Self::default()
        };
    }

    /// Whether the place of the first byte is known.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started
    }

    /// The sequence number of the next byte in order.
    #[must_use]
    pub const fn next(&self) -> SeqNumber {
        self.next
    }

    /// Bytes from the beginning of the stream to `sequence`, modulo 2³².
    #[must_use]
    pub const fn offset(&self, sequence: SeqNumber) -> u32 {
        sequence.0.wrapping_sub(self.origin.0)
    }

    /// The sequence number `offset` bytes behind the beginning of the stream.
    #[must_use]
    pub const fn sequence(&self, offset: u32) -> SeqNumber {
        self.origin.after(offset)
    }

    /// Bytes that were delivered or given up as gaps, modulo 2³².
    #[must_use]
    pub const fn delivered(&self) -> u32 {
        self.offset(self.next)
    }

    /// What the receiver has acknowledged; `None` if no acknowledgment was seen.
    #[must_use]
    pub const fn acknowledged(&self) -> Option<SeqNumber> {
        if self.any_acknowledged {
            Some(self.acknowledged)
        } else {
            None
        }
    }

    /// The end of the bytes that arrived, in order or not; `None` before the stream has begun.
    #[must_use]
    pub fn reached(&self) -> Option<SeqNumber> {
        let last = self.held.as_ref().and_then(|held| held.segments.last());
        self.started
            .then(|| last.map_or(self.next, HeldSegment::end))
    }

    /// Takes a segment; hands to `deliver` what can be delivered in order now.
    ///
    /// `wire_length` is the payload's length before the snap length cut it;
    /// what was cut is delivered as a gap in its place.
    pub fn push(
        &mut self,
        sequence: SeqNumber,
        bytes: &[u8],
        wire_length: u32,
        arrival: Arrival,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Chunk<'_>),
    ) {
        self.start(sequence);
        let ahead = sequence.since(self.next);
        if ahead > 0 {
            self.hold(sequence, bytes, wire_length, arrival, budget);
            return;
        }
        if self.held.is_none() {
            // The usual case: nothing waits, so all from `next` on is new.
            let known = ahead.unsigned_abs();
            if known < wire_length {
                self.deliver_part(sequence, bytes, known, wire_length, arrival, deliver);
            }
            return;
        }
        loop {
            self.drain(budget, deliver);
            let known = self.next.since(sequence).unsigned_abs();
            if known >= wire_length {
                return;
            }
            let end = self.first_held().map_or(wire_length, |held| {
                wire_length.min(held.since(sequence).unsigned_abs())
            });
            self.deliver_part(sequence, bytes, known, end, arrival, deliver);
        }
    }

    /// How many bytes of a segment differ from those that are held for the same place.
    #[must_use]
    pub fn conflicts_with_held(&self, sequence: SeqNumber, bytes: &[u8]) -> u32 {
        let Some(held) = &self.held else {
            return 0;
        };
        // Segments are in order and do not overlap: only those around this one are looked at, since each packet comes here.
        let (first, length) = (sequence.since(self.next), bytes.len() as i32);
        let before = |other: &HeldSegment| other.end().since(self.next) <= first;
        let around = held
            .segments
            .iter()
            .skip(held.segments.partition_point(before));
        let around = around.take_while(|other| other.sequence.since(sequence) < length);
        let differences = around.map(|held| {
            let at = i64::from(sequence.since(held.sequence));
            count_differences(&held.bytes, at, bytes)
        });
        differences.sum()
    }

    /// Whether segments wait for bytes before them.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether all before `sequence` was delivered and nothing behind it is held.
    #[must_use]
    #[inline]
    pub fn is_all_before(&self, sequence: SeqNumber) -> bool {
        self.started && self.next == sequence && self.held.is_none()
    }

    /// Moves past a segment that is the next in order, without delivering it. Nothing may be held.
    pub fn skip_in_order(&mut self, sequence: SeqNumber, wire_length: u32) {
        self.start(sequence);
        debug_assert!(self.held.is_none() && self.next == sequence);
        self.next = sequence.after(wire_length);
    }

    /// Notes that the receiver has acknowledged all bytes before `acknowledgment`.
    ///
    /// Numbers that lie in no window are ignored: they are not of this stream.
    pub fn acknowledge(&mut self, acknowledgment: SeqNumber) {
        let ahead = acknowledgment.since(self.next);
        if self.started && !(-MAX_AHEAD..=MAX_AHEAD).contains(&ahead) {
            return;
        }
        if let Some(held) = &mut self.held {
            let first = held.segments.first();
            held.is_reported |= first.is_some_and(|first| acknowledgment.since(first.sequence) < 0);
        }
        if !self.any_acknowledged || acknowledgment.since(self.acknowledged) > 0 {
            self.acknowledged = acknowledgment;
            self.any_acknowledged = true;
        }
    }

    /// Bytes that the receiver has acknowledged, as [`Assembler::offset`] has them; `None` if it acknowledged nothing.
    #[must_use]
    pub fn acknowledged_offset(&self) -> Option<u32> {
        (self.started && self.any_acknowledged).then(|| self.offset(self.acknowledged))
    }

    /// Bytes that are missing in front of what is held, and since when, if the receiver lacks them, too.
    ///
    /// It acknowledges what comes out of order at once (RFC 5681 §4.2). If that acknowledgment does not cover the hole, the
    /// network lost the bytes, and not the capture.
    #[must_use]
    pub fn lost_in_network(&self) -> Option<(u32, Timestamp)> {
        let held = self.held.as_deref()?;
        let first = self.first_held()?;
        let is_lost = held.is_reported && self.acknowledged.since(first) < 0;
        is_lost.then(|| (first.since(self.next).unsigned_abs(), held.since))
    }

    /// Whether the hole before the held segments will not be filled any more.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let Some(held) = &self.held else { return false };
        let is_full = held.segments.len() >= MAX_HELD_SEGMENTS || held.bytes >= MAX_HELD_BYTES;
        let is_acknowledged = self.any_acknowledged
            && held
                .segments
                .first()
                .is_some_and(|first| self.acknowledged.since(first.sequence) >= 0);
        let has_moved_on = held.followed > REORDER_SEGMENTS
            || now
                .checked_since(held.since)
                .is_some_and(|waited| waited >= REORDER_TIME);
        is_full || is_acknowledged && has_moved_on
    }

    /// Gives the hole up: delivers it as a gap, then what was held behind it.
    pub fn skip_hole(&mut self, budget: &mut Budget, deliver: &mut impl FnMut(Chunk<'_>)) {
        if let Some(first) = self.first_held() {
            let missing = first.since(self.next).unsigned_abs();
            self.next = first;
            deliver(Chunk::Gap(missing));
            self.drain(budget, deliver);
        }
    }

    /// Gives up what is missing before `end`: delivers it as gaps, and what is held between them.
    pub fn skip_to(
        &mut self,
        end: SeqNumber,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Chunk<'_>),
    ) {
        while self.first_held().is_some_and(|first| first.since(end) <= 0) {
            self.skip_hole(budget, deliver);
        }
        let missing = end.since(self.next);
        if missing > 0 {
            self.next = end;
            deliver(Chunk::Gap(missing.unsigned_abs()));
            self.drain(budget, deliver);
        }
    }

    /// Ends the stream: each hole is a gap now. Returns how many bytes were acknowledged and never came.
    pub fn finish(&mut self, budget: &mut Budget, deliver: &mut impl FnMut(Chunk<'_>)) -> u32 {
        while self.held.is_some() {
            self.skip_hole(budget, deliver);
        }
        if !self.started || !self.any_acknowledged {
            return 0;
        }
        self.acknowledged.since(self.next).max(0).unsigned_abs()
    }

    /// Drops all that is held.
    pub fn clear(&mut self, budget: &mut Budget) {
        for segment in self.held.take().into_iter().flat_map(|held| held.segments) {
            budget.give_back(segment.bytes.len());
        }
    }

    fn first_held(&self) -> Option<SeqNumber> {
        Some(self.held.as_ref()?.segments.first()?.sequence)
    }

    /// Delivers the bytes from `start` to `end` of a segment, a gap for those that the snap length cut.
    fn deliver_part(
        &mut self,
        sequence: SeqNumber,
        bytes: &[u8],
        start: u32,
        end: u32,
        arrival: Arrival,
        deliver: &mut impl FnMut(Chunk<'_>),
    ) {
        self.next = sequence.after(end);
        let part = clip(bytes, start, end);
        if !part.is_empty() {
            let end = self.offset(sequence.after(start + part.len() as u32));
            deliver(Chunk::Bytes(part, Arrival { end, ..arrival }));
        }
        let missing = (end - start).saturating_sub(part.len() as u32);
        if missing > 0 {
            deliver(Chunk::Gap(missing));
        }
    }

    /// Delivers what is held and has come to be next.
    fn drain(&mut self, budget: &mut Budget, deliver: &mut impl FnMut(Chunk<'_>)) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let mut contiguous = 0;
        for segment in &held.segments {
            if segment.sequence.since(self.next) > 0 {
                break;
            }
            let known = self.next.since(segment.sequence).unsigned_abs();
            if known < segment.wire_length {
                self.deliver_part(
                    segment.sequence,
                    &segment.bytes,
                    known,
                    segment.wire_length,
                    segment.arrival,
                    deliver,
                );
            }
            contiguous += 1;
        }
        for segment in held.segments.drain(..contiguous) {
            held.bytes -= segment.bytes.len();
            budget.give_back(segment.bytes.len());
        }
        if !held.segments.is_empty() {
            if contiguous > 0 {
                held.followed = 0; // another hole
                held.is_reported = false;
            }
            self.held = Some(held);
        }
    }

    /// Holds the parts of a segment that are not held already.
    fn hold(
        &mut self,
        sequence: SeqNumber,
        bytes: &[u8],
        wire_length: u32,
        arrival: Arrival,
        budget: &mut Budget,
    ) {
        let next = self.next;
        let first = sequence.since(next);
        if first > MAX_AHEAD || wire_length > MAX_HELD_BYTES as u32 {
            budget.discarded += 1;
            return;
        }
        let held = self.held.get_or_insert_with(|| {
            Box::new(Held {
                since: arrival.time,
                ..Held::default()
            })
        });
        held.followed += 1;
        let (mut at, end) = (0, wire_length);
        let mut index = held
            .segments
            .partition_point(|other| other.end().since(next) <= first);
        while at < end {
            let here = sequence.after(at);
            let until = match held.segments.get(index) {
                Some(other) if other.sequence.since(here) <= 0 => {
                    at = other.end().since(sequence).unsigned_abs();
                    index += 1;
                    continue;
                }
                Some(other) => end.min(other.sequence.since(sequence).unsigned_abs()),
                None => end,
            };
            if !held.insert(
                index,
                here,
                clip(bytes, at, until),
                until - at,
                arrival,
                budget,
            ) {
                break;
            }
            index += 1;
            at = until;
        }
        if held.segments.is_empty() {
            self.held = None;
        }
    }
}

impl Held {
    /// Puts a piece at `index`; false if a bound forbids it.
    fn insert(
        &mut self,
        index: usize,
        sequence: SeqNumber,
        bytes: &[u8],
        wire_length: u32,
        arrival: Arrival,
        budget: &mut Budget,
    ) -> bool {
        if self.segments.len() >= MAX_HELD_SEGMENTS || self.bytes >= MAX_HELD_BYTES {
            budget.discarded += 1;
            return false;
        }
        if !budget.take(bytes.len()) {
            return false;
        }
        self.bytes += bytes.len();
        self.segments.insert(
            index,
            HeldSegment {
                sequence,
                wire_length,
                bytes: bytes.into(),
                arrival,
            },
        );
        true
    }
}

impl HeldSegment {
    fn end(&self) -> SeqNumber {
        self.sequence.after(self.wire_length)
    }
}

/// The captured bytes of a payload between two places of its wire length.
fn clip(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    let end = (end as usize).min(bytes.len());
    bytes.get(start as usize..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: SeqNumber = SeqNumber(u32::MAX - 40); // the wrap lies inside every test

    fn arrival(packet: u64) -> Arrival {
        Arrival::new(Timestamp::from_nanoseconds(packet.cast_signed()), packet)
    }

    /// An assembler with what it has delivered: a byte, or `None` for a byte in a gap.
    struct DeliveryRecorder {
        assembler: Assembler,
        budget: Budget,
        delivered: Vec<Option<u8>>,
        packets: u64,
    }

    impl DeliveryRecorder {
        fn new(budget: usize) -> Self {
            let mut assembler = Assembler::default();
            assembler.start(START);
            Self {
                assembler,
                budget: Budget::new(budget),
                delivered: Vec::new(),
                packets: 0,
            }
        }

        fn push(&mut self, offset: u32, bytes: &[u8], wire_length: u32) {
            self.packets += 1;
            let delivered = &mut self.delivered;
            let sequence = START.after(offset);
            let arrival = arrival(self.packets);
            self.assembler.push(
                sequence,
                bytes,
                wire_length,
                arrival,
                &mut self.budget,
                &mut |chunk| record(delivered, chunk),
            );
        }

        fn finish(&mut self) {
            let delivered = &mut self.delivered;
            let missing = self
                .assembler
                .finish(&mut self.budget, &mut |chunk| record(delivered, chunk));
            delivered.extend(std::iter::repeat_n(None, missing as usize));
        }
    }

    fn record(delivered: &mut Vec<Option<u8>>, chunk: Chunk<'_>) {
        match chunk {
            Chunk::Bytes(bytes, _) => delivered.extend(bytes.iter().copied().map(Some)),
            Chunk::Gap(missing) => delivered.extend(std::iter::repeat_n(None, missing as usize)),
        }
    }

    /// The obviously right model: an array in which the first copy of each byte stays.
    fn model(segments: &[(u32, Vec<u8>, u32)]) -> Vec<Option<u8>> {
        let length = segments
            .iter()
            .filter(|(_, _, wire)| *wire > 0)
            .map(|(offset, _, wire)| offset + wire)
            .max()
            .unwrap_or(0) as usize;
        let mut cells: Vec<Option<Option<u8>>> = vec![None; length];
        for (offset, bytes, wire) in segments {
            for index in 0..*wire {
                let cell = &mut cells[(offset + index) as usize];
                if cell.is_none() {
                    *cell = Some(bytes.get(index as usize).copied());
                }
            }
        }
        cells.into_iter().map(Option::flatten).collect()
    }

    fn segments() -> impl Strategy<Value = Vec<(u32, Vec<u8>, u32)>> {
        let segment = (
            0u32..80,
            proptest::collection::vec(any::<u8>(), 0..12),
            0u32..4,
        )
            .prop_map(|(offset, bytes, cut)| {
                let wire = bytes.len() as u32 + cut;
                (offset, bytes, wire)
            });
        proptest::collection::vec(segment, 1..40)
    }

    proptest! {
        #[test]
        fn agrees_with_an_array_on_any_segments(segments in segments()) {
            let mut recorder = DeliveryRecorder::new(1 << 20);
            for (offset, bytes, wire) in &segments {
                recorder.push(*offset, bytes, *wire);
            }
            recorder.finish();
            prop_assert_eq!(recorder.delivered, model(&segments));
            prop_assert_eq!(recorder.budget.available, 1 << 20);
        }

        #[test]
        fn a_small_budget_loses_bytes_but_never_order(segments in segments()) {
            let mut recorder = DeliveryRecorder::new(200);
            for (offset, bytes, wire) in &segments {
                recorder.push(*offset, bytes, *wire);
            }
            recorder.finish();
            prop_assert_eq!(recorder.budget.available, 200);
            prop_assert!(recorder.delivered.len() <= model(&segments).len());
        }
    }

    #[test]
    fn in_order_bytes_pass_straight_through() {
        let mut recorder = DeliveryRecorder::new(0);
        recorder.push(0, b"abc", 3);
        recorder.push(3, b"def", 3);
        assert_eq!(recorder.delivered, b"abcdef".map(Some));
    }

    #[test]
    fn a_keep_alive_delivers_nothing() {
        let mut recorder = DeliveryRecorder::new(0);
        recorder.push(0, b"abc", 3);
        recorder.push(2, b"\0", 1);
        recorder.push(2, b"", 0);
        recorder.push(3, b"d", 1);
        assert_eq!(recorder.delivered, b"abcd".map(Some));
    }

    #[test]
    fn an_acknowledged_hole_is_a_gap_only_when_the_sender_went_on() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(4, b"e", 1);
        recorder.assembler.acknowledge(START.after(5));
        assert!(!recorder.assembler.is_overdue(arrival(2).time));
        for offset in 5..8 {
            recorder.push(offset, b"f", 1);
        }
        assert!(recorder.assembler.is_overdue(arrival(5).time));
    }

    #[test]
    fn an_acknowledged_hole_is_a_gap_after_a_while() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(4, b"e", 1);
        assert!(!recorder.assembler.is_overdue(Timestamp::from_seconds(1)));
        recorder.assembler.acknowledge(START.after(5));
        assert!(recorder.assembler.is_overdue(Timestamp::from_seconds(1)));
    }

    #[test]
    fn a_full_store_makes_the_hole_a_gap() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        for index in 0..MAX_HELD_SEGMENTS as u32 {
            assert!(!recorder.assembler.is_overdue(Timestamp::default()));
            recorder.push(1 + 2 * index, b"x", 1);
        }
        assert!(recorder.assembler.is_overdue(Timestamp::default()));
        recorder.push(5001, b"x", 1);
        assert_eq!(recorder.budget.discarded, 1);
    }

    #[test]
    fn only_bytes_in_the_same_place_are_compared_with_those_held() {
        let mut budget = Budget::new(1 << 20);
        let mut assembler = Assembler::default();
        assembler.start(START);
        // Every second byte of 200, from the second on, in an order of its own.
        for place in (1..200)
            .step_by(2)
            .rev()
            .step_by(3)
            .chain((1..200).step_by(2))
        {
            let sequence = START.after(place);
            assembler.push(sequence, b"a", 1, arrival(1), &mut budget, &mut |_| {});
        }
        for start in 0..210 {
            for length in 0..30 {
                let held = (start..start + length).filter(|place| place % 2 == 1 && *place < 200);
                let sequence = START.after(start);
                let bytes = vec![b'b'; length as usize];
                assert_eq!(
                    assembler.conflicts_with_held(sequence, &bytes),
                    held.count() as u32
                );
                let same = vec![b'a'; length as usize];
                assert_eq!(assembler.conflicts_with_held(sequence, &same), 0);
            }
        }
        // From before what is next.
        let sequence = SeqNumber(START.0.wrapping_sub(5));
        assert_eq!(assembler.conflicts_with_held(sequence, &[b'b'; 10]), 2);
    }

    #[test]
    fn a_wild_sequence_number_is_discarded() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(0x4000_0000, b"x", 1);
        assert_eq!(recorder.budget.discarded, 1);
        recorder.push(0, b"a", 1);
        assert_eq!(recorder.delivered, b"a".map(Some));
    }

    #[test]
    fn what_is_given_up_is_a_gap_and_what_is_held_behind_it_is_delivered() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(2, b"c", 1);
        recorder.push(6, b"g", 1);
        let delivered = &mut recorder.delivered;
        recorder
            .assembler
            .skip_to(START.after(5), &mut recorder.budget, &mut |chunk| {
                record(delivered, chunk)
            });
        assert_eq!(recorder.delivered, [None, None, Some(b'c'), None, None]);
        recorder.push(5, b"f", 1);
        assert_eq!(recorder.delivered[5..], [Some(b'f'), Some(b'g')]);
        assert_eq!(recorder.budget.available(), 1 << 20);
    }

    #[test]
    fn the_beginning_moves_only_before_the_first_byte() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.assembler.move_start(START.after(100));
        recorder.push(100, b"a", 1);
        recorder.assembler.move_start(START);
        recorder.push(101, b"b", 1);
        assert_eq!(recorder.delivered, b"ab".map(Some));
    }

    #[test]
    fn an_acknowledgment_of_another_stream_is_ignored() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(0, b"ab", 2);
        recorder.assembler.acknowledge(START.after(1_180_000_000));
        recorder.finish();
        assert_eq!(recorder.delivered, b"ab".map(Some));
    }

    #[test]
    fn acknowledged_bytes_that_never_came_are_a_gap_at_the_end() {
        let mut recorder = DeliveryRecorder::new(1 << 20);
        recorder.push(0, b"ab", 2);
        recorder.assembler.acknowledge(START.after(6));
        recorder.finish();
        assert_eq!(
            recorder.delivered,
            vec![Some(b'a'), Some(b'b'), None, None, None, None]
        );
    }
}
