//! Packets to segments, each bound for the shard of its flow; and the clock that packets set.

use std::time::Duration;

use crate::capture::{LinkType, PacketRecord};
use crate::decode::{Datagram, DecodeError, FragmentTable, Packet, Segment, decode};
use crate::flow::FlowKey;
use crate::stats::Stats;
use crate::time::Timestamp;

use super::SHARDS;

/// What a packet turned out to carry.
pub(crate) enum Routed<'p> {
    Segment(Segment<'p>),
    /// The datagram that a fragment completed.
    Datagram(Box<Datagram>),
}

/// Decodes packets, joins fragments, tells the time.
#[derive(Debug)]
pub(crate) struct Router {
    fragments: FragmentTable,
    now: Timestamp,
    next_tick: Timestamp,
    stats: Stats,
}

/// How far packet time goes between two looks for flows that have timed out.
const TICK: Duration = Duration::from_secs(1);
/// A packet that is older than the newest by more than this sets the clock back: captures get concatenated.
const MAX_DISORDER: Duration = Duration::from_secs(60);

impl Router {
    pub(crate) fn new() -> Self {
        Self {
            fragments: FragmentTable::default(),
            now: Timestamp::MIN,
            next_tick: Timestamp::MIN,
            stats: Stats::default(),
        }
    }

    /// Sets the clock by a packet's time; the time, if flows are to be looked at again.
    pub(crate) fn advance(&mut self, time: Timestamp) -> Option<Timestamp> {
        let is_step_back = self
            .now
            .checked_since(time)
            .is_some_and(|behind| behind > MAX_DISORDER);
        if time <= self.now && !is_step_back {
            return None;
        }
        self.now = time;
        if time < self.next_tick && !is_step_back {
            return None;
        }
        self.next_tick = time.saturating_add(TICK);
        Some(time)
    }

    /// Decodes a packet; `None` if it is nothing for a shard.
    pub(crate) fn route<'p>(
        &mut self,
        link_type: LinkType,
        packet: &PacketRecord,
        bytes: &'p [u8],
    ) -> Option<Routed<'p>> {
        self.stats.packets += 1;
        self.stats.bytes += bytes.len() as u64;
        self.stats.packets_truncated += u64::from(packet.captured_length < packet.wire_length);
        match decode(link_type, bytes, packet.wire_length) {
            Ok(Packet::Segment(segment)) => Some(Routed::Segment(segment)),
            Ok(Packet::Fragment(fragment)) => {
                self.stats.fragments += 1;
                let datagram = self.fragments.push(&fragment, packet.timestamp);
                self.stats.fragments_discarded += self.fragments.take_discarded();
                datagram.map(|datagram| Routed::Datagram(Box::new(datagram)))
            }
            Ok(Packet::NotTcp) => {
                self.stats.packets_not_tcp += 1;
                None
            }
            Err(DecodeError::UnknownLink(_)) => {
                self.stats.packets_unknown_link += 1;
                None
            }
            Err(_) => {
                self.stats.packets_malformed += 1;
                None
            }
        }
    }

    /// The segment in a packet that [`Router::route`] found one in before.
    pub(crate) fn segment<'p>(
        link_type: LinkType,
        packet: &PacketRecord,
        bytes: &'p [u8],
    ) -> Option<Segment<'p>> {
        match decode(link_type, bytes, packet.wire_length) {
            Ok(Packet::Segment(segment)) => Some(segment),
            _ => None,
        }
    }

    /// The capture has ended: what is incomplete stays so.
    pub(crate) fn finish(&mut self) {
        self.fragments.finish();
        self.stats.fragments_discarded += self.fragments.take_discarded();
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.stats
    }
}

/// The shard that handles a flow.
pub(crate) fn shard_of(key: &FlowKey) -> usize {
    key.shard(SHARDS.trailing_zeros())
}
