//! The keys of connections that ended a moment ago.
//!
//! A copy of a SYN or a ClientHello that arrives after the end must not look
//! like a new connection. The key, and where its sequence numbers began, is all that is kept for that: connections that come and
//! go fast stay few in the flow table, and that keeps it in the processor's cache.

use std::collections::VecDeque;
use std::time::Duration;

use crate::decode::{Segment, SeqNumber};
use crate::flow::FlowKey;
use crate::time::Timestamp;

use super::super::index::PlaceIndex;
use super::super::table::{HashedKey, KeyHasher};

/// The sequence numbers of the first bytes of both directions, as far as they are known.
pub type FirstBytes = [Option<SeqNumber>; 2];

/// Keys in the order in which their connections ended, bounded in number and time.
#[derive(Debug)]
pub struct ClosedFlows {
    ring: VecDeque<ClosedFlow>,
    /// The number of the ring's front.
    first: u32,
    /// The number of each key's newest entry.
    index: PlaceIndex,
    capacity: usize,
    lifetime: Duration,
    hasher: KeyHasher,
}

#[derive(Debug)]
struct ClosedFlow {
    key: FlowKey,
    first_bytes: FirstBytes,
    ended: Timestamp,
}

/// Entries are numbered modulo this, which is more than there can be at once.
const NUMBERS: u32 = 1 << 31;

impl ClosedFlows {
    /// Remembers at most `capacity` keys, each for `lifetime`; `hasher` is the one that hashes them.
    #[must_use]
    pub fn new(capacity: usize, lifetime: Duration, hasher: KeyHasher) -> Self {
        Self {
            ring: VecDeque::new(),
            first: 0,
            index: PlaceIndex::default(),
            capacity,
            lifetime,
            hasher,
        }
    }

    /// Bytes of memory that a connection takes: its place in the ring, and in the index.
    pub const BYTES_PER_FLOW: usize = size_of::<ClosedFlow>() + PlaceIndex::BYTES_PER_PLACE;

    /// Bytes of memory that it takes. It does not shrink.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.ring.capacity() * size_of::<ClosedFlow>() + self.index.allocated()
    }

    /// Remembers that a connection ended.
    pub fn insert(&mut self, key: &HashedKey, first_bytes: FirstBytes, now: Timestamp) {
        if self.ring.len() >= self.capacity {
            self.forget_oldest();
        }
        if let Some(older) = self.find(key) {
            self.index.remove(key.hash, older);
        }
        let number = (self.first + self.ring.len() as u32) % NUMBERS;
        self.index.insert(key.hash, number);
        self.ring.push_back(ClosedFlow {
            key: key.key,
            first_bytes,
            ended: now,
        });
    }

    /// Whether a segment belongs to a connection that ended lately: any but a SYN with a sequence number of its own.
    #[must_use]
    pub fn has_ended(&self, key: &HashedKey, segment: &Segment<'_>) -> bool {
        let number = self.find(key);
        let Some(entry) = number.and_then(|number| self.entry(number)) else {
            return false;
        };
        !segment.flags.syn || entry.first_bytes.contains(&Some(segment.sequence.after(1)))
    }

    /// Forgets the connections that ended longer ago than the lifetime.
    pub fn expire(&mut self, now: Timestamp) {
        let lifetime = self.lifetime;
        let is_old = |at: Timestamp| now.checked_since(at).is_some_and(|age| age >= lifetime);
        while self.ring.front().is_some_and(|entry| is_old(entry.ended)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(entry) = self.ring.pop_front() else {
            return;
        };
        // Does nothing if the key has a newer entry.
        let hash = self.hasher.hashed(entry.key).hash;
        self.index.remove(hash, self.first);
        self.first = (self.first + 1) % NUMBERS;
    }

    fn find(&self, key: &HashedKey) -> Option<u32> {
        let is_it = |number: u32| self.entry(number).is_some_and(|entry| entry.key == key.key);
        self.index.find(key.hash, is_it)
    }

    fn entry(&self, number: u32) -> Option<&ClosedFlow> {
        let place = number.wrapping_sub(self.first) % NUMBERS;
        self.ring.get(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::testing;
    use super::*;
    use crate::decode::{TcpFlags, WindowScale};

    const LIFETIME: Duration = Duration::from_secs(5);
    const FIRST_BYTES: FirstBytes = [Some(SeqNumber(1001)), None];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn segment(sequence: u32, syn: bool) -> Segment<'static> {
        Segment {
            sequence: SeqNumber(sequence),
            acknowledgment: SeqNumber(0),
            flags: TcpFlags {
                syn,
                ..TcpFlags::default()
            },
            window: 1024,
            window_scale: WindowScale::Unknown,
            hop_limit: 64,
            payload: b"late",
            wire_length: 4,
        }
    }

    /// A table, and what hashes its keys.
    fn remembering(capacity: usize) -> (ClosedFlows, impl Fn(u16) -> HashedKey) {
        let hasher = KeyHasher::default();
        let closed = ClosedFlows::new(capacity, LIFETIME, hasher.clone());
        (closed, move |port| hasher.hashed(testing::key(port)))
    }

    fn is_remembered(closed: &ClosedFlows, key: HashedKey) -> bool {
        closed.has_ended(&key, &segment(5, false))
    }

    #[test]
    fn remembers_a_key_for_its_lifetime() {
        let (mut closed, key) = remembering(8);
        closed.insert(&key(1), FIRST_BYTES, at(0));
        closed.expire(at(4));
        assert!(is_remembered(&closed, key(1)));
        assert!(!is_remembered(&closed, key(2)));
        closed.expire(at(5));
        assert!(!is_remembered(&closed, key(1)));
    }

    #[test]
    fn a_syn_with_its_own_number_begins_a_new_connection_and_a_late_copy_does_not() {
        let (mut closed, key) = remembering(8);
        closed.insert(&key(1), FIRST_BYTES, at(0));
        assert!(closed.has_ended(&key(1), &segment(1000, true)));
        assert!(!closed.has_ended(&key(1), &segment(2000, true)));
    }

    #[test]
    fn a_key_that_ended_twice_is_remembered_from_the_second_time() {
        let (mut closed, key) = remembering(8);
        closed.insert(&key(1), FIRST_BYTES, at(0));
        closed.insert(&key(1), FIRST_BYTES, at(3));
        closed.expire(at(6));
        assert!(is_remembered(&closed, key(1)));
        closed.expire(at(8));
        assert!(!is_remembered(&closed, key(1)));
        assert_eq!(closed.index.len(), 0);
    }

    #[test]
    fn the_oldest_leave_first_when_it_is_full() {
        let (mut closed, key) = remembering(100);
        for port in 0..10_000 {
            closed.insert(&key(port), FIRST_BYTES, at(0));
        }
        assert_eq!((closed.ring.len(), closed.index.len()), (100, 100));
        assert!((9_900..10_000).all(|port| is_remembered(&closed, key(port))));
    }
}
