//! SYNs without an answer.
//!
//! A SYN alone is no connection: anyone can send it, in the name of anyone. What it says is kept in a small table until another packet
//! of the same endpoints comes, so that a flood of SYNs takes no room from connections.

use std::collections::VecDeque;
use std::time::Duration;

use crate::decode::{Segment, SeqNumber, TcpFlags, WindowScale};
use crate::flow::FlowKey;
use crate::time::Timestamp;
use crate::transport::{HashedKey, PlaceIndex};

/// How long a SYN is remembered: TCP sends it again for longer, but a server that has not answered by then will not.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(60);

/// A SYN, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) time: Timestamp,
    syn: Syn,
}

/// What a SYN says.
#[derive(Clone, Copy, Debug)]
struct Syn {
    sequence: SeqNumber,
    window: u16,
    window_scale: WindowScale,
    hop_limit: u8,
    /// Whether it went from the lower to the higher endpoint.
    goes_up: bool,
}

impl Opening {
    /// `None` if a segment is more than a SYN, or something else.
    pub(super) fn new(goes_up: bool, segment: &Segment<'_>, time: Timestamp) -> Option<Self> {
        const SYN: TcpFlags = TcpFlags {
            syn: true,
            ack: false,
            fin: false,
            rst: false,
        };
        let is_lone = segment.flags == SYN && segment.wire_length == 0;
        let syn = Syn {
            sequence: segment.sequence,
            window: segment.window,
            window_scale: segment.window_scale,
            hop_limit: segment.hop_limit,
            goes_up,
        };
        is_lone.then_some(Self { time, syn })
    }

    /// Whether it went from the lower to the higher endpoint.
    pub(super) const fn goes_up(&self) -> bool {
        self.syn.goes_up
    }

    /// The SYN as it came.
    pub(super) const fn segment(&self) -> Segment<'static> {
        Segment {
            sequence: self.syn.sequence,
            acknowledgment: SeqNumber(0),
            flags: TcpFlags {
                syn: true,
                ack: false,
                fin: false,
                rst: false,
            },
            window: self.syn.window,
            window_scale: self.syn.window_scale,
            hop_limit: self.syn.hop_limit,
            payload: &[],
            wire_length: 0,
        }
    }
}

/// SYNs that nothing has followed yet, bounded in number and time.
///
/// They are kept in the order in which they came, which is that of age: the oldest is always the first, and a flood writes and
/// forgets one cache line after the other. The oldest of all gives way, and not that of a bucket: which one that is would depend on
/// hashes that differ from run to run, and with it what is known of a connection.
#[derive(Debug)]
pub(super) struct Openings {
    ring: VecDeque<Entry>,
    /// The number of the ring's front.
    first: u32,
    /// The number of each entry that is in use.
    index: PlaceIndex,
    capacity: usize,
}

/// One cache line.
#[derive(Debug)]
struct Entry {
    key: FlowKey,
    hash: u32,
    time: Timestamp,
    /// `None` once it was taken: the entry goes when all before it have gone.
    syn: Option<Syn>,
}

/// Entries are numbered modulo this, which is more than there can be at once.
const NUMBERS: u32 = 1 << 31;

impl Openings {
    /// Bytes of memory that a SYN takes: its place in the ring, and in the index.
    pub(super) const BYTES_PER_OPENING: usize = size_of::<Entry>() + PlaceIndex::BYTES_PER_PLACE;

    /// Room for at most `capacity` SYNs, and for three quarters as many at least.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            first: 0,
            index: PlaceIndex::default(),
            capacity: capacity.max(1),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes of memory that it takes. It does not shrink.
    pub(super) fn allocated(&self) -> usize {
        self.ring.capacity() * size_of::<Entry>() + self.index.allocated()
    }

    /// Remembers a SYN of endpoints that none is known of; true if another one was forgotten for it.
    pub(super) fn insert(&mut self, key: &HashedKey, opening: Opening) -> bool {
        let has_forgotten = self.make_room();
        let number = (self.first + self.ring.len() as u32) % NUMBERS;
        self.index.insert(key.hash(), number);
        self.ring.push_back(Entry {
            key: key.key,
            hash: key.hash(),
            time: opening.time,
            syn: Some(opening.syn),
        });
        has_forgotten
    }

    /// Whether a SYN of these endpoints is known.
    #[inline]
    pub(super) fn has(&self, key: &HashedKey) -> bool {
        self.find(key).is_some()
    }

    #[inline]
    fn find(&self, key: &HashedKey) -> Option<u32> {
        let is_it = |number: u32| {
            self.place(number)
                .is_some_and(|(_, entry)| entry.key == key.key)
        };
        self.index.find(key.hash(), is_it)
    }

    /// Takes the SYN that began a connection.
    pub(super) fn take(&mut self, key: &HashedKey) -> Option<Opening> {
        let number = self.find(key)?;
        let (place, _) = self.place(number)?;
        self.index.remove(key.hash(), number);
        let entry = &mut self.ring[place];
        let opening = entry.syn.take().map(|syn| Opening {
            time: entry.time,
            syn,
        });
        self.drop_taken();
        opening
    }

    /// Forgets the SYNs that have waited for too long; returns how many.
    pub(super) fn expire(&mut self, now: Timestamp) -> u64 {
        let is_old = |entry: &Entry| {
            let age = now.checked_since(entry.time);
            age.is_some_and(|age| age >= OPENING_TIMEOUT)
        };
        let mut forgotten = 0;
        while self.ring.front().is_some_and(is_old) {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    fn place(&self, number: u32) -> Option<(usize, &Entry)> {
        let place = number.wrapping_sub(self.first) % NUMBERS;
        let entry = self.ring.get(place as usize)?;
        Some((place as usize, entry))
    }

    /// Makes room for one entry, at the cost of the oldest one if need be; true if that was forgotten.
    fn make_room(&mut self) -> bool {
        let length = self.ring.len();
        if length < self.ring.capacity() {
            return false;
        }
        let taken = length - self.len();
        if taken > length / 4 {
            self.close_ranks();
        } else if length < self.capacity {
            // Twice as many as before, but never more than there may be.
            let most = self.capacity - length;
            self.ring.reserve_exact(length.clamp(1, most));
        } else {
            self.forget_oldest();
            return true;
        }
        false
    }

    /// Drops the entries that were taken. So many were that each has paid for the move of three others at most.
    fn close_ranks(&mut self) {
        self.ring.retain(|entry| entry.syn.is_some());
        self.first = 0;
        self.index.clear();
        for (entry, number) in self.ring.iter().zip(0..) {
            self.index.insert(entry.hash, number);
        }
    }

    /// Forgets the first entry, which is in use.
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.ring.front_mut() {
            oldest.syn = None;
            self.index.remove(oldest.hash, self.first);
            self.drop_taken();
        }
    }

    /// Drops entries that were taken from the front of the ring.
    fn drop_taken(&mut self) {
        while self.ring.front().is_some_and(|entry| entry.syn.is_none()) {
            self.ring.pop_front();
            self.first = (self.first + 1) % NUMBERS;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::flow::IpProtocol;
    use crate::transport::KeyHasher;

    fn key(port: u16) -> HashedKey {
        static HASHER: LazyLock<KeyHasher> = LazyLock::new(KeyHasher::default);
        let (key, _) = FlowKey::new(IpProtocol::Tcp, ([1; 16], port), ([2; 16], 443));
        HASHER.hashed(key)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn opening(change: impl FnOnce(&mut Segment<'static>)) -> Option<Opening> {
        let mut segment = Segment {
            sequence: SeqNumber(1000),
            acknowledgment: SeqNumber(0),
            flags: TcpFlags {
                syn: true,
                ..TcpFlags::default()
            },
            window: 1024,
            window_scale: WindowScale::Unknown,
            hop_limit: 64,
            payload: &[],
            wire_length: 0,
        };
        change(&mut segment);
        Opening::new(true, &segment, at(5))
    }

    #[test]
    fn a_syn_comes_back_as_it_was_and_once() {
        let mut openings = Openings::new(8);
        openings.insert(&key(1), opening(|_| {}).unwrap());
        assert!(openings.take(&key(2)).is_none());
        let taken = openings.take(&key(1)).unwrap();
        let segment = taken.segment();
        assert_eq!((segment.sequence, segment.hop_limit), (SeqNumber(1000), 64));
        assert!(segment.flags.syn && !segment.flags.ack);
        assert!(openings.take(&key(1)).is_none());
    }

    #[test]
    fn a_syn_with_data_or_with_an_acknowledgment_is_more_than_an_opening() {
        assert!(opening(|segment| segment.wire_length = 1).is_none());
        assert!(opening(|segment| segment.flags.ack = true).is_none());
        assert!(opening(|segment| segment.flags.rst = true).is_none());
    }

    #[test]
    fn openings_are_bounded_in_number_and_time() {
        let mut openings = Openings::new(8);
        let forgotten = (0..20)
            .filter(|port| openings.insert(&key(*port), opening(|_| {}).unwrap()))
            .count();
        assert_eq!(forgotten, 12);
        let most = 8 * Openings::BYTES_PER_OPENING;
        assert!(openings.allocated() <= most, "{}", openings.allocated());
        assert_eq!(openings.expire(at(64)), 0);
        assert_eq!(openings.expire(at(65)), 8);
        assert_eq!(openings.len(), 0);
    }

    #[test]
    fn one_that_is_never_answered_keeps_no_room_from_the_others() {
        let mut openings = Openings::new(8);
        openings.insert(&key(0), opening(|_| {}).unwrap());
        for port in 1..10_000 {
            assert!(!openings.insert(&key(port), opening(|_| {}).unwrap()));
            assert!(openings.take(&key(port)).is_some());
        }
        assert!(openings.take(&key(0)).is_some());
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_entry_takes_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(steps in proptest::collection::vec((0u16..12, 0u8..3), 0..300)) {
            const CAPACITY: usize = 8;
            let mut openings = Openings::new(CAPACITY);
            let mut model: Vec<(u16, u32)> = Vec::new(); // the oldest first
            for ((port, step), number) in steps.into_iter().zip(0..) {
                let place = model.iter().position(|(known, _)| *known == port);
                if step == 0 {
                    let taken = openings.take(&key(port)).map(|opening| opening.syn.sequence.0);
                    prop_assert_eq!(taken, place.map(|place| model.remove(place).1));
                } else if place.is_none() {
                    let opening = opening(|segment| segment.sequence = SeqNumber(number)).unwrap();
                    if openings.insert(&key(port), opening) {
                        prop_assert!(model.len() > CAPACITY * 3 / 4 - 1, "too early: {}", model.len());
                        model.remove(0);
                    }
                    model.push((port, number));
                }
                prop_assert_eq!(openings.len(), model.len());
                prop_assert!(model.len() <= CAPACITY);
            }
        }
    }
}
