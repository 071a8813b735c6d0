//! Packets that were seen a moment ago, so that their copies are recognised.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::time::Timestamp;

/// The latest packets, by digests of them.
///
/// A packet that is captured twice, at mirrored ports or at both ends of a link, comes some milliseconds or seconds later, and what it belongs to
/// has gone on by then.
#[derive(Debug)]
pub(crate) struct SeenPackets {
    times: HashMap<u64, Timestamp, RandomState>,
    /// Oldest first.
    order: VecDeque<u64>,
    most: usize,
}

impl SeenPackets {
    /// None; the latest `most` are remembered.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            times: HashMap::default(),
            order: VecDeque::new(),
            most,
        }
    }

    /// Notes a packet; returns when it was seen before.
    pub(crate) fn insert(&mut self, digest: u64, now: Timestamp) -> Option<Timestamp> {
        let before = self.times.insert(digest, now);
        if before.is_some() {
            return before;
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.times.remove(&oldest);
        }
        self.order.push_back(digest);
        None
    }

    /// Bytes of memory that they take, roughly.
    pub(crate) fn allocated(&self) -> usize {
        self.times.capacity() * (size_of::<(u64, Timestamp)>() + 1)
            + self.order.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_packets_are_remembered_with_their_times() {
        let mut seen = SeenPackets::new(2);
        let at = Timestamp::from_seconds;
        assert_eq!(seen.insert(7, at(1)), None);
        assert_eq!(seen.insert(8, at(2)), None);
        assert_eq!(seen.insert(7, at(3)), Some(at(1)));
        assert_eq!(seen.insert(7, at(4)), Some(at(3)));
        assert_eq!(seen.insert(9, at(5)), None);
        assert_eq!(seen.insert(7, at(6)), None, "the oldest is forgotten");
        assert_eq!(seen.times.len(), 2);
    }
}
