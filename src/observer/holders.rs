//! Which connections hold segments out of order, in the order in which they began to.
//!
//! Segments that wait for others share a limit. A segment that is merely late is followed by what it waits for within moments; what has been
//! held for long is most likely waiting in vain, or was sent for no other purpose than to be held. So where the limit is near, the
//! connection that has held something for longest gives way, and not the segment that comes next.

use std::collections::VecDeque;

use crate::time::Timestamp;
use crate::transport::FlowIndex;

use super::flow::Flow;

/// The connections of a shard that hold segments.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// Oldest first. Some hold nothing any more, or have gone.
    queue: VecDeque<Holder>,
}

/// A connection that held something when it was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) index: FlowIndex,
    /// Another flow may have its place by now.
    pub(super) first_seen: Timestamp,
}

/// Up to so many are kept without a look at which of them still hold something.
const FEW: usize = 64;

impl Holder {
    /// Whether the flow in this place is the one that was noted, and is noted as such.
    pub(super) fn is(&self, flow: &Flow) -> bool {
        flow.is_holder() && flow.first_seen == self.first_seen
    }
}

impl Holders {
    /// Bytes of memory that the queue takes.
    pub(super) fn allocated(&self) -> usize {
        self.queue.capacity() * size_of::<Holder>()
    }

    /// Notes that a flow holds something; `holds` tells whether another still does.
    pub(super) fn add(&mut self, holder: Holder, holds: impl FnMut(&Holder) -> bool) {
        if self.queue.len() >= FEW && self.queue.len() == self.queue.capacity() {
            self.queue.retain(holds);
            // Twice as many as there are before the next look, so that each pays for one.
            let most = (2 * self.queue.len()).max(FEW);
            self.queue.shrink_to(most);
            self.queue.reserve_exact(most - self.queue.len());
        }
        self.queue.push_back(holder);
    }

    /// Takes the one that has been noted for longest.
    pub(super) fn take_oldest(&mut self) -> Option<Holder> {
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::{FlowKey, IpProtocol};
    use crate::transport::{FlowTable, KeyHasher, LIFETIMES, Lifetime};

    #[test]
    fn those_that_hold_nothing_any_more_are_dropped_and_the_others_keep_their_order() {
        let mut table = FlowTable::with_hasher(1, [Duration::MAX; LIFETIMES], KeyHasher::default());
        let (key, _) = FlowKey::new(IpProtocol::Tcp, ([1; 16], 1), ([2; 16], 443));
        let key = KeyHasher::default().hashed(key);
        let index = table.insert_hashed(&key, (), Lifetime::Opening, Timestamp::default());
        let seconds = |holder: &Holder| holder.first_seen.as_nanoseconds() / 1_000_000_000;
        let mut holders = Holders::default();
        for second in 0..10_000 {
            let first_seen = Timestamp::from_seconds(second);
            // One in a hundred goes on to hold something.
            holders.add(Holder { index, first_seen }, |holder| {
                seconds(holder) % 100 == 0
            });
        }
        assert!(holders.allocated() <= 400 * size_of::<Holder>());
        let taken = std::iter::from_fn(|| holders.take_oldest());
        let taken: Vec<i64> = taken.map(|holder| seconds(&holder)).collect();
        assert!(taken.is_sorted());
        let lasting = taken.iter().filter(|second| *second % 100 == 0);
        assert_eq!(lasting.count(), 100);
    }
}
