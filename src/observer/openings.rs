//! SYNs without an answer.
//!
//! A SYN alone is no connection: anyone can send it, in the name of anyone. What it says is kept in a small table until another packet
//! of the same endpoints comes, so that a flood of SYNs takes no room from connections.

use std::time::Duration;

use crate::decode::{Segment, SeqNumber, TcpFlags, WindowScale};
use crate::time::Timestamp;
use crate::transport::tcp::Arrival;
use crate::transport::{FlowTable, HashedKey, KeyHasher, LIFETIMES, Lifetime};

/// How long a SYN is remembered: TCP sends it again for longer, but a server that has not answered by then will not.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(60);

/// What a SYN says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Whether it went from the lower to the higher endpoint.
    pub(super) goes_up: bool,
    pub(super) at: Arrival,
    sequence: SeqNumber,
    window: u16,
    window_scale: WindowScale,
    hop_limit: u8,
}

impl Opening {
    /// `None` if a segment is more than a SYN, or something else.
    pub(super) fn new(goes_up: bool, segment: &Segment<'_>, at: Arrival) -> Option<Self> {
        const SYN: TcpFlags = TcpFlags {
            syn: true,
            ack: false,
            fin: false,
            rst: false,
        };
        let is_lone = segment.flags == SYN && segment.wire_length == 0;
        is_lone.then_some(Self {
            goes_up,
            at,
            sequence: segment.sequence,
            window: segment.window,
            window_scale: segment.window_scale,
            hop_limit: segment.hop_limit,
        })
    }

    /// The SYN as it came.
    pub(super) const fn segment(&self) -> Segment<'static> {
        Segment {
            sequence: self.sequence,
            acknowledgment: SeqNumber(0),
            flags: TcpFlags {
                syn: true,
                ack: false,
                fin: false,
                rst: false,
            },
            window: self.window,
            window_scale: self.window_scale,
            hop_limit: self.hop_limit,
            payload: &[],
            wire_length: 0,
        }
    }
}

/// SYNs that nothing has followed yet, bounded in number and time.
#[derive(Debug)]
pub(super) struct Openings(FlowTable<Opening>);

impl Openings {
    pub(super) const BYTES_PER_OPENING: usize = FlowTable::<Opening>::BYTES_PER_FLOW;

    pub(super) fn new(capacity: usize, hasher: KeyHasher) -> Self {
        let limits = [OPENING_TIMEOUT; LIFETIMES];
        Self(FlowTable::with_hasher(capacity, limits, hasher))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) const fn allocated(&self) -> usize {
        self.0.allocated()
    }

    /// Remembers a SYN of endpoints that none is known of; true if another one was forgotten for it.
    pub(super) fn insert(&mut self, key: &HashedKey, opening: Opening) -> bool {
        let is_full = self.0.is_full();
        let now = opening.at.time;
        if is_full && let Some(oldest) = self.0.evict(now) {
            self.0.remove(oldest);
        }
        self.0.insert_hashed(key, opening, Lifetime::Opening, now);
        is_full
    }

    /// Takes the SYN that began a connection.
    pub(super) fn take(&mut self, key: &HashedKey) -> Option<Opening> {
        if self.0.is_empty() {
            return None;
        }
        let index = self.0.find_hashed(key)?;
        self.0.remove(index)
    }

    /// Forgets the SYNs that have waited for too long; returns how many.
    pub(super) fn expire(&mut self, now: Timestamp) -> u64 {
        let mut forgotten = 0;
        while let Some(index) = self.0.expired(now) {
            self.0.remove(index);
            forgotten += 1;
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowKey, IpProtocol};

    fn key(openings: &Openings, port: u16) -> HashedKey {
        let (key, _) = FlowKey::new(IpProtocol::Tcp, ([1; 16], port), ([2; 16], 443));
        openings.0.hashed(key)
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
        Opening::new(true, &segment, Arrival::new(Timestamp::from_seconds(5), 1))
    }

    #[test]
    fn a_syn_comes_back_as_it_was_and_once() {
        let mut openings = Openings::new(8, KeyHasher::default());
        let [one, two] = [1, 2].map(|port| key(&openings, port));
        openings.insert(&one, opening(|_| {}).unwrap());
        assert!(openings.take(&two).is_none());
        let taken = openings.take(&one).unwrap();
        let segment = taken.segment();
        assert_eq!((segment.sequence, segment.hop_limit), (SeqNumber(1000), 64));
        assert!(segment.flags.syn && !segment.flags.ack);
        assert!(openings.take(&one).is_none());
    }

    #[test]
    fn a_syn_with_data_or_with_an_acknowledgment_is_more_than_an_opening() {
        assert!(opening(|segment| segment.wire_length = 1).is_none());
        assert!(opening(|segment| segment.flags.ack = true).is_none());
        assert!(opening(|segment| segment.flags.rst = true).is_none());
    }

    #[test]
    fn openings_are_bounded_in_number_and_time() {
        let mut openings = Openings::new(8, KeyHasher::default());
        let keys = std::array::from_fn::<_, 20, _>(|port| key(&openings, port as u16));
        let forgotten = keys
            .iter()
            .filter(|key| openings.insert(key, opening(|_| {}).unwrap()));
        assert_eq!(forgotten.count(), 12);
        assert_eq!(openings.expire(Timestamp::from_seconds(64)), 0);
        assert_eq!(openings.expire(Timestamp::from_seconds(65)), 8);
        assert_eq!(openings.len(), 0);
    }
}
