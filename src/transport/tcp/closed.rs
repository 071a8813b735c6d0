//! The keys of connections that ended a moment ago.
//!
//! A copy of a SYN or a ClientHello that arrives after the end must not look
//! like a new connection. The key, and where its sequence numbers began, is all that is kept for that: connections that come and
//! go fast stay few in the flow table, and that keeps it in the processor's cache.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::decode::{Segment, SeqNumber};
use crate::flow::FlowKey;
use crate::time::Timestamp;

/// The sequence numbers of the first bytes of both directions, as far as they are known.
pub type FirstBytes = [Option<SeqNumber>; 2];

/// Keys in the order in which their connections ended, bounded in number and time.
#[derive(Debug)]
pub struct ClosedFlows {
    ring: VecDeque<(FlowKey, Timestamp)>,
    /// How many keys have left the ring: the number of its front.
    gone: u64,
    /// The newest entry of each key.
    index: HashTable<ClosedFlow>,
    capacity: usize,
    lifetime: Duration,
    hasher: RandomState,
}

#[derive(Debug)]
struct ClosedFlow {
    key: FlowKey,
    first_bytes: FirstBytes,
    /// Its number in the ring.
    number: u64,
}

impl ClosedFlows {
    /// Remembers at most `capacity` keys, each for `lifetime`.
    #[must_use]
    pub fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            ring: VecDeque::new(),
            gone: 0,
            index: HashTable::new(),
            capacity,
            lifetime,
            hasher: RandomState::default(),
        }
    }

    /// Remembers that a connection ended.
    pub fn insert(&mut self, key: FlowKey, first_bytes: FirstBytes, now: Timestamp) {
        if self.ring.len() >= self.capacity {
            self.forget_oldest();
        }
        let number = self.gone + self.ring.len() as u64;
        self.ring.push_back((key, now));
        let entry = ClosedFlow {
            key,
            first_bytes,
            number,
        };
        let hash = self.hasher.hash_one(key);
        match self.index.find_mut(hash, |other| other.key == key) {
            Some(older) => *older = entry,
            None => {
                let hasher = &self.hasher;
                self.index
                    .insert_unique(hash, entry, |other| hasher.hash_one(other.key));
            }
        }
    }

    /// Whether a segment belongs to a connection that ended lately: any but a SYN with a sequence number of its own.
    #[must_use]
    pub fn has_ended(&self, key: &FlowKey, segment: &Segment<'_>) -> bool {
        let hash = self.hasher.hash_one(key);
        let Some(entry) = self.index.find(hash, |other| other.key == *key) else {
            return false;
        };
        !segment.flags.syn || entry.first_bytes.contains(&Some(segment.sequence.after(1)))
    }

    /// Forgets the connections that ended longer ago than the lifetime.
    pub fn expire(&mut self, now: Timestamp) {
        let lifetime = self.lifetime;
        let is_old = |at: Timestamp| now.checked_since(at).is_some_and(|age| age >= lifetime);
        while self.ring.front().is_some_and(|(_, at)| is_old(*at)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((key, _)) = self.ring.pop_front() else {
            return;
        };
        let number = self.gone;
        self.gone += 1;
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self
            .index
            .find_entry(hash, |entry| entry.number == number && entry.key == key)
        {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::testing::key;
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

    fn is_remembered(closed: &ClosedFlows, port: u16) -> bool {
        closed.has_ended(&key(port), &segment(5, false))
    }

    #[test]
    fn remembers_a_key_for_its_lifetime() {
        let mut closed = ClosedFlows::new(8, LIFETIME);
        closed.insert(key(1), FIRST_BYTES, at(0));
        closed.expire(at(4));
        assert!(is_remembered(&closed, 1));
        assert!(!is_remembered(&closed, 2));
        closed.expire(at(5));
        assert!(!is_remembered(&closed, 1));
    }

    #[test]
    fn a_syn_with_its_own_number_begins_a_new_connection_and_a_late_copy_does_not() {
        let mut closed = ClosedFlows::new(8, LIFETIME);
        closed.insert(key(1), FIRST_BYTES, at(0));
        assert!(closed.has_ended(&key(1), &segment(1000, true)));
        assert!(!closed.has_ended(&key(1), &segment(2000, true)));
    }

    #[test]
    fn a_key_that_ended_twice_is_remembered_from_the_second_time() {
        let mut closed = ClosedFlows::new(8, LIFETIME);
        closed.insert(key(1), FIRST_BYTES, at(0));
        closed.insert(key(1), FIRST_BYTES, at(3));
        closed.expire(at(6));
        assert!(is_remembered(&closed, 1));
        closed.expire(at(8));
        assert!(!is_remembered(&closed, 1));
        assert!(closed.index.is_empty());
    }

    #[test]
    fn the_oldest_leave_first_when_it_is_full() {
        let mut closed = ClosedFlows::new(100, LIFETIME);
        for port in 0..10_000 {
            closed.insert(key(port), FIRST_BYTES, at(0));
        }
        assert_eq!((closed.ring.len(), closed.index.len()), (100, 100));
        assert!((9_900..10_000).all(|port| is_remembered(&closed, port)));
    }
}
