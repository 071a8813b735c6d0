//! IP fragments, reassembled in a bounded table (RFC 791 §3.2, RFC 8200 §4.5).

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::time::Timestamp;

use super::cursor::Addresses;
use super::{Layers, PayloadRange};

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FragmentKey {
    pub(super) addresses: Addresses,
    pub(super) identification: u32,
    pub(super) protocol: u8,
}

/// A fragment of an IP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub(super) key: FragmentKey,
    /// Where its bytes begin in the datagram's payload.
    pub(super) offset: u32,
    /// Whether more fragments follow.
    pub(super) more: bool,
    /// Where its bytes lie in the packet.
    pub(super) payload: PayloadRange,
}

/// An IP datagram reassembled from fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpDatagram {
    key: FragmentKey,
    payload: Vec<u8>,
}

impl IpDatagram {
    pub(super) const fn addresses(&self) -> Addresses {
        self.key.addresses
    }

    /// The protocol of its payload, by IP protocol number.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.key.protocol
    }

    /// The payload of the IP header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Fragments that wait for the rest of their datagram.
///
/// Bounded in datagrams, in fragments for each and in time; what a bound
/// discards is counted. Fragments that overlap others discard the whole
/// datagram, as hosts do (RFC 5722 §3); exact repetitions are ignored.
#[derive(Debug)]
pub struct FragmentTable {
    /// Datagrams open at once.
    most: usize,
    open: HashMap<FragmentKey, Assembly, RandomState>,
    /// Keys in order of arrival. A key stays behind when its datagram completes: `serial` tells them apart.
    order: VecDeque<(FragmentKey, u64)>,
    serial: u64,
    discarded: u64,
}

#[derive(Debug)]
struct Assembly {
    serial: u64,
    first_seen: Timestamp,
    /// The layers around the first fragment seen.
    layers: Layers,
    pieces: Vec<(u32, Vec<u8>)>,
    /// Length of the whole payload, once the last fragment came.
    length: Option<u32>,
}

/// Datagrams open at once, if there is memory: at 64 KiB each, 32 MiB at the very most.
const MAX_DATAGRAMS: usize = 512;
/// Fragments of one datagram: 64 KiB in pieces of 552 bytes, the payload that every IPv4 network carries, need 119.
const MAX_PIECES: usize = 128;
/// A datagram's payload (RFC 791: 16 bits of total length).
const MAX_LENGTH: u32 = 65_535;
/// How long a datagram may take, in packet time; what Linux waits.
const MAX_AGE: Duration = Duration::from_secs(30);

impl Default for FragmentTable {
    fn default() -> Self {
        Self::within(MAX_DATAGRAMS * MAX_LENGTH as usize)
    }
}

impl FragmentTable {
    /// An empty table that takes about so many bytes, if its datagrams are as large as can be.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        Self {
            most: (bytes / MAX_LENGTH as usize).clamp(1, MAX_DATAGRAMS),
            open: HashMap::default(),
            order: VecDeque::new(),
            serial: 0,
            discarded: 0,
        }
    }

    /// Takes a fragment of `packet`; returns the datagram that it completes.
    ///
    /// `layers` are those around the fragment; where a datagram is complete, they become those around its first fragment.
    pub fn push(
        &mut self,
        fragment: &Fragment,
        packet: &[u8],
        layers: &mut Layers,
        now: Timestamp,
    ) -> Option<IpDatagram> {
        self.expire(now);
        let assembly = self.assembly(fragment, *layers, now);
        if !assembly.add(fragment, fragment.payload.of(packet)) {
            self.discard(fragment.key);
            return None;
        }
        if !assembly.is_complete() {
            return None;
        }
        let done = self.open.remove(&fragment.key)?;
        *layers = done.layers;
        Some(IpDatagram {
            key: fragment.key,
            payload: done.join(),
        })
    }

    /// Gives up what is still incomplete: the capture has ended.
    pub fn finish(&mut self) {
        while !self.open.is_empty() {
            self.discard_oldest();
        }
    }

    /// Fragments discarded since the last call: incomplete in time, overlapping, or over a bound.
    pub fn take_discarded(&mut self) -> u64 {
        std::mem::take(&mut self.discarded)
    }

    fn assembly(&mut self, fragment: &Fragment, layers: Layers, now: Timestamp) -> &mut Assembly {
        if !self.open.contains_key(&fragment.key) {
            if self.open.len() >= self.most {
                self.discard_oldest();
            }
            self.serial += 1;
            self.order.push_back((fragment.key, self.serial));
            self.forget_completed();
        }
        let serial = self.serial;
        self.open.entry(fragment.key).or_insert_with(|| Assembly {
            serial,
            first_seen: now,
            layers,
            pieces: Vec::new(),
            length: None,
        })
    }

    /// Drops the keys of completed datagrams, once they are many: one that never completes must not keep them all.
    fn forget_completed(&mut self) {
        if self.order.len() > 4 * self.most {
            let open = &self.open;
            self.order
                .retain(|(key, serial)| open.get(key).is_some_and(|found| found.serial == *serial));
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((key, serial)) = self.order.front() {
            match self.open.get(key) {
                Some(open) if open.serial == *serial => {
                    if open.first_seen.saturating_add(MAX_AGE) > now {
                        return;
                    }
                    self.discard_oldest();
                }
                _ => {
                    self.order.pop_front();
                }
            }
        }
    }

    fn discard_oldest(&mut self) {
        while let Some((key, serial)) = self.order.pop_front() {
            if self
                .open
                .get(&key)
                .is_some_and(|open| open.serial == serial)
            {
                self.discard(key);
                return;
            }
        }
    }

    fn discard(&mut self, key: FragmentKey) {
        if let Some(gone) = self.open.remove(&key) {
            self.discarded += gone.pieces.len() as u64;
        }
    }
}

impl Assembly {
    /// Adds a piece; false if it contradicts what is there, or if the snap length cut it.
    fn add(&mut self, fragment: &Fragment, bytes: &[u8]) -> bool {
        let end = fragment.offset.saturating_add(bytes.len() as u32);
        if fragment.payload.is_truncated() || end > MAX_LENGTH || self.pieces.len() >= MAX_PIECES {
            return false;
        }
        if !fragment.more {
            if self.length.is_some_and(|length| length != end) {
                return false;
            }
            self.length = Some(end);
        }
        let at = self
            .pieces
            .partition_point(|(offset, _)| *offset < fragment.offset);
        if let Some((offset, held)) = self.pieces.get(at)
            && *offset == fragment.offset
            && held.as_slice() == bytes
        {
            return true; // a repetition
        }
        let overlaps_next = self.pieces.get(at).is_some_and(|(offset, _)| *offset < end);
        let overlaps_previous = at
            .checked_sub(1)
            .and_then(|previous| self.pieces.get(previous))
            .is_some_and(|(offset, held)| offset + held.len() as u32 > fragment.offset);
        if overlaps_next || overlaps_previous {
            return false;
        }
        self.pieces.insert(at, (fragment.offset, bytes.to_vec()));
        true
    }

    fn is_complete(&self) -> bool {
        let contiguous = self.pieces.iter().try_fold(0u32, |end, (offset, bytes)| {
            (*offset == end).then(|| end + bytes.len() as u32)
        });
        self.length.is_some() && contiguous == self.length
    }

    fn join(self) -> Vec<u8> {
        self.pieces
            .into_iter()
            .flat_map(|(_, bytes)| bytes)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(offset: u32, bytes: &[u8], more: bool) -> Fragment {
        let key = FragmentKey {
            addresses: Addresses {
                source: [1; 16],
                destination: [2; 16],
            },
            identification: 7,
            protocol: 6,
        };
        let payload = PayloadRange {
            start: 0,
            captured: bytes.len() as u32,
            wire_length: bytes.len() as u32,
        };
        Fragment {
            key,
            offset,
            more,
            payload,
        }
    }

    fn push(
        table: &mut FragmentTable,
        (offset, bytes, more): (u32, &[u8], bool),
        now: Timestamp,
    ) -> Option<IpDatagram> {
        let fragment = fragment(offset, bytes, more);
        table.push(&fragment, bytes, &mut Layers::default(), now)
    }

    fn joined(parts: &[(u32, &[u8], bool)]) -> Option<Vec<u8>> {
        let mut table = FragmentTable::default();
        let mut done = None;
        for part in parts {
            let completed = push(&mut table, *part, Timestamp::default());
            done = done.or(completed);
        }
        done.map(|datagram| datagram.payload)
    }

    #[test]
    fn joins_fragments_in_any_order() {
        let parts: [(u32, &[u8], bool); 3] = [
            (0, b"abcdefgh", true),
            (8, b"ijklmnop", true),
            (16, b"qr", false),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let shuffled = order.map(|index: usize| parts[index]);
            assert_eq!(
                joined(&shuffled).as_deref(),
                Some(&b"abcdefghijklmnopqr"[..])
            );
        }
    }

    #[test]
    fn ignores_a_repetition_and_rejects_an_overlap() {
        let repeated: [(u32, &[u8], bool); 3] = [
            (0, b"abcdefgh", true),
            (0, b"abcdefgh", true),
            (8, b"i", false),
        ];
        assert_eq!(joined(&repeated).as_deref(), Some(&b"abcdefghi"[..]));
        let overlapping: [(u32, &[u8], bool); 3] = [
            (0, b"abcdefgh", true),
            (4, b"XXXXXXXX", true),
            (8, b"i", false),
        ];
        assert_eq!(joined(&overlapping), None);
    }

    #[test]
    fn gives_up_after_half_a_minute_and_counts_it() {
        let mut table = FragmentTable::default();
        let (first, last) = ((0, &b"abcdefgh"[..], true), (8, &b"i"[..], false));
        assert_eq!(push(&mut table, first, Timestamp::from_seconds(0)), None);
        assert_eq!(push(&mut table, last, Timestamp::from_seconds(31)), None);
        assert_eq!(table.take_discarded(), 1);
    }

    #[test]
    fn holds_no_more_than_its_bound() {
        let mut table = FragmentTable::default();
        for identification in 0..10_000 {
            let mut part = fragment(0, b"abcdefgh", true);
            part.key.identification = identification;
            let layers = &mut Layers::default();
            let completed = table.push(&part, b"abcdefgh", layers, Timestamp::default());
            assert_eq!(completed, None);
        }
        assert_eq!(table.open.len(), MAX_DATAGRAMS);
        assert!(table.order.len() <= 4 * MAX_DATAGRAMS);
        assert_eq!(table.take_discarded(), 10_000 - MAX_DATAGRAMS as u64);
    }

    #[test]
    fn holds_less_if_there_is_less_memory() {
        assert_eq!(FragmentTable::within(1 << 20).most, 16);
        assert_eq!(FragmentTable::within(0).most, 1);
        assert_eq!(FragmentTable::within(usize::MAX).most, MAX_DATAGRAMS);
    }
}
