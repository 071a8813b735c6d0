//! Segments that acknowledge what has not been delivered, until it is.
//!
//! A capture does not show the two directions in the order in which the endpoints
//! acted: two interfaces are written in batches, one direction's clock is late, neighbours
//! are swapped. TCP itself says the order: a segment that acknowledges a byte, or a FIN,
//! was sent after it arrived. So a segment waits here until what it acknowledges
//! has been delivered or is given up ([`TcpConnection::must_wait`]).
//!
//! [`TcpConnection::must_wait`]: super::TcpConnection::must_wait

use std::time::Duration;

use crate::decode::{Segment, SeqNumber, TcpFlags, WindowScale};
use crate::flow::Direction;
use crate::time::Timestamp;

use super::assembler::{Arrival, Budget, MAX_HELD_BYTES, MAX_HELD_SEGMENTS};

/// How long a segment waits in packet time: longer than a direction was late in any capture at hand (150 ms).
pub const PENDING_TIME: Duration = Duration::from_millis(200);

/// Segments of one connection that wait, in the order in which they arrived.
#[derive(Debug, Default)]
pub struct PendingSegments {
    segments: Vec<PendingSegment>,
    bytes: usize,
}

/// A segment that waits.
#[derive(Debug)]
pub struct PendingSegment {
    /// The direction in which it was sent.
    pub direction: Direction,
    /// When it arrived.
    pub arrival: Arrival,
    /// Whether the open handshake knows of it already.
    pub is_noted: bool,
    sequence: SeqNumber,
    acknowledgment: SeqNumber,
    flags: TcpFlags,
    window: u16,
    window_scale: WindowScale,
    hop_limit: u8,
    wire_length: u32,
    payload: Box<[u8]>,
}

impl PendingSegment {
    /// The segment as it arrived.
    #[must_use]
    pub fn segment(&self) -> Segment<'_> {
        Segment {
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
            flags: self.flags,
            window: self.window,
            window_scale: self.window_scale,
            hop_limit: self.hop_limit,
            payload: &self.payload,
            wire_length: self.wire_length,
        }
    }
}

impl PendingSegments {
    /// Whether no segment waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many segments wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.segments.len()
    }

    /// Adds a segment; false if a limit forbids it.
    pub fn push(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        arrival: Arrival,
        is_noted: bool,
        budget: &mut Budget,
    ) -> bool {
        let is_full = self.segments.len() >= MAX_HELD_SEGMENTS || self.bytes >= MAX_HELD_BYTES;
        if is_full || !budget.take(segment.payload.len()) {
            budget.discarded += u64::from(is_full);
            return false;
        }
        self.bytes += segment.payload.len();
        self.segments.push(PendingSegment {
            direction,
            arrival,
            is_noted,
            sequence: segment.sequence,
            acknowledgment: segment.acknowledgment,
            flags: segment.flags,
            window: segment.window,
            window_scale: segment.window_scale,
            hop_limit: segment.hop_limit,
            wire_length: segment.wire_length,
            payload: segment.payload.into(),
        });
        true
    }

    /// Whether a segment that waits is such a one.
    #[must_use]
    pub fn any(&self, is_such: impl Fn(Direction, &Segment<'_>) -> bool) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|pending| is_such(pending.direction, &pending.segment()))
    }

    /// Takes the first segment that need not wait any more. A reset waits for what its sender sent before: a reset that answers
    /// something acknowledges nothing itself.
    pub fn take_ready(
        &mut self,
        budget: &mut Budget,
        is_ready: impl Fn(Direction, &Segment<'_>) -> bool,
    ) -> Option<PendingSegment> {
        let is_ready = |pending: &PendingSegment| is_ready(pending.direction, &pending.segment());
        let mut segments = self.segments.iter().enumerate();
        let (index, _) = segments.find(|(index, pending)| {
            is_ready(pending) && !(pending.flags.rst && self.is_behind(*index, pending.direction))
        })?;
        Some(self.remove(index, budget))
    }

    /// Whether a segment of this direction waits in front of the one with this index.
    fn is_behind(&self, index: usize, direction: Direction) -> bool {
        let mut before = self.segments[..index].iter();
        before.any(|pending| pending.direction == direction)
    }

    /// Takes the segment that has waited longest, if it has waited too long by `now`.
    pub fn take_overdue(&mut self, now: Timestamp, budget: &mut Budget) -> Option<PendingSegment> {
        let first = self.segments.first()?;
        let waited = now.checked_since(first.arrival.time);
        waited
            .is_some_and(|waited| waited >= PENDING_TIME)
            .then(|| self.remove(0, budget))
    }

    /// Takes the segment that has waited longest.
    pub fn take_first(&mut self, budget: &mut Budget) -> Option<PendingSegment> {
        (!self.segments.is_empty()).then(|| self.remove(0, budget))
    }

    /// Drops all segments.
    pub fn clear(&mut self, budget: &mut Budget) {
        while self.take_first(budget).is_some() {}
    }

    fn remove(&mut self, index: usize, budget: &mut Budget) -> PendingSegment {
        let pending = self.segments.remove(index);
        self.bytes -= pending.payload.len();
        budget.give_back(pending.payload.len());
        pending
    }
}
