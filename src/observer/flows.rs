//! The TCP connections of a shard: those that are followed, and those of which nothing more is to be learned.
//!
//! Most connections that a table holds have had their handshake, or are something else for good. Of these a few bytes are kept, next to
//! the key, so that a packet of one is done with after one look.

use std::ops::{Deref, DerefMut};

use crate::decode::UsualSegment;
use crate::flow::Direction;
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::transport::tcp::SettledConnection;
use crate::transport::{FlowIndex, FlowTable, HashedKey, Lifetime, Sought};

use super::flow::Flow;
use super::in_step::InStep;
use super::pooled::{Pool, Pooled};

/// What is known of a connection.
#[derive(Debug)]
pub(super) enum Tracked {
    /// Nothing more is to be learned of it but when it ends.
    Settled(SettledFlow),
    Followed(Followed),
}

/// A connection that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// It has not learned of what [`Followed::in_step`] has taken: [`Followed::flow_mut`] tells it.
    flow: Pooled<Flow>,
    in_step: Option<InStep>,
}

impl Followed {
    /// The flow, which knows all that was seen of its connection.
    #[inline]
    fn flow_mut(&mut self) -> &mut Flow {
        if self.in_step.is_some() {
            self.catch_up();
        }
        &mut self.flow
    }

    /// Tells the flow what was taken without it.
    #[inline(never)]
    fn catch_up(&mut self) {
        if let Some(passed) = self.in_step.take() {
            self.flow.catch_up_with(&passed);
        }
    }

    /// Takes a segment that says nothing, as [`Flow::passes_by`] does.
    #[inline(never)] // most pass by without a look at the flow
    fn passes_by(&mut self, segment: &UsualSegment, bytes: &[u8]) -> bool {
        if let Some(in_step) = &mut self.in_step {
            if in_step.take_behind(segment, self.flow.first_bytes_of_ways(), || bytes) {
                return true;
            }
            if self.flow.takes_opening(in_step, segment, bytes) {
                if self.flow.is_quiet() {
                    self.catch_up(); // from now on it tells more
                    self.in_step = self.flow.in_step();
                }
                return true;
            }
        }
        let flow = self.flow_mut();
        let direction = Direction::of(segment.goes_up, flow.first_went_up);
        let passes_by = flow.passes_by(direction, &segment.without_options(bytes));
        if passes_by {
            self.in_step = self.flow.in_step();
        }
        passes_by
    }
}

/// A connection of which nothing more is to be learned but when it ends.
#[derive(Debug)]
pub(super) struct SettledFlow {
    pub(super) tcp: SettledConnection,
    /// Whether the first segment seen went from the lower to the higher endpoint.
    pub(super) first_went_up: bool,
    /// Whether its handshake timed out, so that the connection is already counted as timed out.
    pub(super) has_timed_out: bool,
}

/// What one look at the connection of a segment has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// The segment says nothing, and was taken.
    Over,
    /// A handshake is open on the connection, which is not past its lifetime. Nothing was taken.
    ToHandshake(FlowIndex),
    /// There may be more to it. Nothing was taken.
    Unclear,
}

/// What a look at a connection has shown of a segment that is not [`InStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondLook {
    Over,
    ToHandshake,
    Unclear,
}

impl Tracked {
    /// Takes a segment of a connection that is not [`InStep`], or not with this segment. Kept apart, so that the others do not pay for it.
    #[inline(never)]
    fn pass_by<'p>(&mut self, segment: &UsualSegment, bytes: impl Fn() -> &'p [u8]) -> SecondLook {
        let passes_by = match self {
            Self::Settled(flow) => {
                let direction = Direction::of(segment.goes_up, flow.first_went_up);
                flow.tcp.is_in_use(direction)
            }
            Self::Followed(followed) if followed.flow.has_handshake() => {
                return SecondLook::ToHandshake;
            }
            Self::Followed(followed) => followed.passes_by(segment, bytes()),
        };
        if passes_by {
            SecondLook::Over
        } else {
            SecondLook::Unclear
        }
    }
}

/// A table of connections. What it derefs to finds and orders them; its own methods concern those that are followed.
#[derive(Debug)]
pub(super) struct Flows {
    table: FlowTable<Tracked>,
    boxes: Pool<Flow>,
    /// How many are followed.
    followed: usize,
}

/// Boxes that are kept for the next connections, of 200 bytes each: as many as begin and settle in turn.
const MAX_SPARE_BOXES: usize = 64;

impl Flows {
    /// Bytes of memory that a connection takes while it is followed, without what it has on the heap.
    pub(super) const BYTES_PER_FLOW: usize = Self::BYTES_AT_REST + boxed::<Flow>();
    /// Bytes of memory that a settled connection takes.
    pub(super) const BYTES_AT_REST: usize = FlowTable::<Tracked>::BYTES_PER_FLOW;

    pub(super) const fn new(table: FlowTable<Tracked>) -> Self {
        Self {
            table,
            boxes: Pool::of(MAX_SPARE_BOXES),
            followed: 0,
        }
    }

    /// Bytes of memory that the table and the connections in it take, without what these have on the heap.
    pub(super) const fn allocated(&self) -> usize {
        self.table.allocated() + self.followed * boxed::<Flow>()
    }

    /// The connection at `index`, if it is followed.
    #[inline]
    pub(super) fn get_mut(&mut self, index: FlowIndex) -> Option<&mut Flow> {
        match self.table.get_mut(index) {
            Some(Tracked::Followed(followed)) => Some(followed.flow_mut()),
            _ => None,
        }
    }

    /// Notes that the connection at `index` will not be looked at until its next segment comes.
    pub(super) fn leave(&mut self, index: FlowIndex) {
        if let Some(Tracked::Followed(followed)) = self.table.get_mut(index) {
            let flow = followed.flow_mut();
            flow.end_change();
            followed.in_step = flow.in_step();
        }
    }

    /// The connection at `index`, if it has settled.
    pub(super) fn settled_mut(&mut self, index: FlowIndex) -> Option<&mut SettledFlow> {
        match self.table.get_mut(index) {
            Some(Tracked::Settled(flow)) => Some(flow),
            _ => None,
        }
    }

    pub(super) fn insert_hashed(
        &mut self,
        key: &HashedKey,
        flow: Flow,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> FlowIndex {
        self.followed += 1;
        let followed = Followed {
            flow: self.boxes.make(flow),
            in_step: None,
        };
        let tracked = Tracked::Followed(followed);
        self.table.insert_hashed(key, tracked, lifetime, now)
    }

    /// Removes a connection; hands it out if it was followed.
    pub(super) fn remove(&mut self, index: FlowIndex) -> Option<Pooled<Flow>> {
        match self.table.remove(index) {
            Some(Tracked::Followed(mut followed)) => {
                self.followed -= 1;
                followed.flow_mut();
                Some(followed.flow)
            }
            Some(Tracked::Settled(_)) | None => None,
        }
    }

    /// Takes back what [`Flows::remove`] has handed out.
    pub(super) fn take_back(&mut self, flow: Pooled<Flow>) {
        self.boxes.take_back(flow);
    }

    /// Forgets all of a connection that does not matter any more, if nothing is to be learned of it.
    pub(super) fn settle(&mut self, index: FlowIndex) {
        let Some(tracked) = self.table.get_mut(index) else {
            return;
        };
        let Tracked::Followed(followed) = tracked else {
            return;
        };
        let Some(settled) = followed.flow_mut().settled() else {
            return;
        };
        if let Tracked::Followed(followed) = std::mem::replace(tracked, Tracked::Settled(settled)) {
            self.followed -= 1;
            self.boxes.take_back(followed.flow);
        }
    }

    /// As [`FlowTable::least_answered`].
    pub(super) fn least_answered(
        &self,
        now: Timestamp,
        is_large: impl Fn(&Flow) -> bool,
    ) -> Option<FlowIndex> {
        let is_large = |tracked: &Tracked| matches!(tracked, Tracked::Followed(followed) if is_large(&followed.flow));
        self.table.least_answered(now, is_large)
    }

    /// Reads a little of what a packet will look at.
    #[inline]
    pub(super) fn approach(&self, sought: Sought) -> u64 {
        self.table.approach(sought, |tracked| match tracked {
            Some(Tracked::Followed(followed)) if followed.in_step.is_none() => {
                followed.flow.approach()
            }
            _ => 0,
        })
    }

    /// Takes a segment without SYN, FIN and RST, in a packet with these `bytes`, if it says nothing but that its connection is alive, as
    /// most do. Nothing is taken if there may be more to it.
    ///
    /// Of a connection that has settled such a segment can say nothing else: no verdict depends on it any more, neither do the
    /// numbers of its segments, and it is not the first of its direction.
    #[inline(always)]
    pub(super) fn pass_by<'p>(
        &mut self,
        sought: Sought,
        segment: &UsualSegment,
        bytes: impl Fn() -> &'p [u8],
        now: Timestamp,
    ) -> Passage {
        let seen = (Lifetime::Established, now);
        let mut has_handshake = false;
        let passes_by = self.table.pass(&segment.key, sought, seen, |tracked| {
            if let Some(Tracked::Followed(Followed {
                in_step: Some(in_step),
                ..
            })) = tracked
                && in_step.take(segment, &bytes)
            {
                return true; // as most
            }
            let Some(tracked) = tracked else {
                return false;
            };
            let passage = tracked.pass_by(segment, bytes);
            has_handshake = passage == SecondLook::ToHandshake;
            passage == SecondLook::Over
        });
        match (passes_by, has_handshake) {
            (true, _) => Passage::Over,
            (false, true) => Passage::ToHandshake(sought.found()),
            (false, false) => Passage::Unclear,
        }
    }
}

impl Deref for Flows {
    type Target = FlowTable<Tracked>;

    fn deref(&self) -> &FlowTable<Tracked> {
        &self.table
    }
}

impl DerefMut for Flows {
    fn deref_mut(&mut self) -> &mut FlowTable<Tracked> {
        &mut self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_connection_at_rest_stays_small() {
        assert_eq!(size_of::<Option<Tracked>>(), 24);
        const { assert!(Flows::BYTES_AT_REST <= 112) };
    }
}
