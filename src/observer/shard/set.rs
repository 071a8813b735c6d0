//! The shards of one worker, and the way to the shard of a packet.

use std::array;

use crate::capture::{PacketRecord, Packets};
use crate::decode::{IcmpError, UsualSegment};
use crate::decrypt::Keys;
use crate::flow::FlowKey;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;
use crate::transport::{FlowIndex, HashedKey, KeyHasher, Sought};

use super::super::account::SharedRoom;
use super::super::datagrams::{DatagramPacket, IcmpPacket};
use super::super::flows::Passage;
use super::super::lan_logins::EapolPacket;
use super::super::router::shard_of;
use super::super::{Config, SHARDS};
use super::output::ShardOutput;
use super::{SegmentPacket, Shard};

/// The flow that a packet belongs to: where it probably lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::observer) struct SoughtFlow {
    hash: u32,
    sought: Sought,
    /// Place of its shard among those of the worker.
    shard: u32,
}

impl SoughtFlow {
    /// Of a packet without a flow.
    pub(in crate::observer) const NONE: Self = Self {
        hash: 0,
        sought: Sought::NOTHING,
        shard: 0,
    };
}

/// The shards of one worker: every `stride`th, from `first` on.
#[derive(Debug)]
pub(crate) struct ShardSet {
    shards: Vec<Shard>,
    /// Of each shard, its place among these.
    places: [u8; SHARDS],
    /// Hashes the keys of all shards.
    hasher: KeyHasher,
    /// The secrets, as these shards see them.
    keys: Keys,
}

impl ShardSet {
    pub(crate) fn new(config: &Config, shared: &SharedRoom, first: usize, stride: usize) -> Self {
        let keys = config.keys.view();
        let config = Config {
            keys: keys.clone(),
            ..config.clone()
        };
        let hasher = KeyHasher::default();
        let shards = (first..SHARDS)
            .step_by(stride)
            .map(|_| Shard::new(config.clone(), shared.clone(), hasher.clone()))
            .collect();
        Self {
            shards,
            hasher,
            places: array::from_fn(|shard| (shard / stride) as u8), // fewer than `SHARDS`
            keys,
        }
    }

    /// Begins to look for a flow whose shard is in this set.
    #[inline]
    pub(in crate::observer) fn seek(&self, key: &FlowKey) -> SoughtFlow {
        let hash = self.hasher.hash(key);
        let shard = self.place_of(key);
        SoughtFlow {
            hash,
            sought: self.shards[usize::from(shard)].flows.seek(hash),
            shard: shard.into(),
        }
    }

    /// The place of a flow's shard, which is in this set.
    #[inline]
    fn place_of(&self, key: &FlowKey) -> u8 {
        self.places[shard_of(key) % SHARDS]
    }

    fn shard_of(&mut self, key: &FlowKey) -> &mut Shard {
        let place = self.place_of(key);
        &mut self.shards[usize::from(place)]
    }

    /// Reads what packets of flows will look at, once for packets of one flow in a row.
    #[inline]
    pub(in crate::observer) fn approach(&self, flows: &[SoughtFlow]) -> u64 {
        let mut latest = SoughtFlow::NONE.hash;
        let mut sum = 0_u64;
        for flow in flows {
            if flow.hash != latest {
                latest = flow.hash;
                let flows = &self.shards[flow.shard as usize].flows;
                sum = sum.wrapping_add(flows.approach(flow.sought));
            }
        }
        sum
    }

    /// Takes a segment of a flow if it says nothing but that the flow is alive, as most do.
    #[inline(always)]
    pub(in crate::observer) fn pass_by(
        &mut self,
        flow: &SoughtFlow,
        segment: &UsualSegment,
        record: &PacketRecord,
        packets: &Packets<'_>,
    ) -> Passage {
        if !segment.is_amid_connection() {
            return Passage::Unclear;
        }
        let shard = &mut self.shards[flow.shard as usize];
        let (flows, now) = (&mut shard.flows, record.timestamp);
        let sought = match flow.sought {
            // It may have begun with one of the packets that were looked up together.
            Sought::NOTHING => flows.seek_again(flow.hash),
            sought => sought,
        };
        let passage = flows.pass_by(sought, segment, || packets.bytes(record), now);
        if passage == Passage::Over {
            (shard.now, shard.last_packet) = (now, record.number);
        }
        passage
    }

    /// Takes a segment of a flow, which has an open handshake and lies at this index, if it goes on where the handshake has come to, as
    /// most do. False, with nothing taken, if there may be more to it.
    pub(in crate::observer) fn continues(
        &mut self,
        (flow, index): (&SoughtFlow, FlowIndex),
        segment: &UsualSegment,
        record: &PacketRecord,
        packets: &Packets<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let shard = &mut self.shards[flow.shard as usize];
        shard.continues(index, segment, record, packets, output)
    }

    /// Takes a SYN of endpoints of which nothing is known, as most are; false, with nothing taken, if there may be more to it.
    pub(in crate::observer) fn take_syn(
        &mut self,
        flow: &SoughtFlow,
        segment: &UsualSegment,
        record: &PacketRecord,
        packets: &Packets<'_>,
    ) -> bool {
        let key = HashedKey::new(segment.key, flow.hash);
        let shard = &mut self.shards[flow.shard as usize];
        segment.is_lone_syn() && shard.take_syn((&key, flow.sought), segment, record, packets)
    }

    /// Takes a packet of a flow; `key` says which flow, and whether the packet goes from the lower to the higher endpoint.
    pub(in crate::observer) fn handle_packet(
        &mut self,
        flow: &SoughtFlow,
        (key, goes_up): (FlowKey, bool),
        packet: &SegmentPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let key = HashedKey::new(key, flow.hash);
        let shard = &mut self.shards[flow.shard as usize];
        shard.handle_packet((key, flow.sought), goes_up, packet, output);
    }

    /// Takes a datagram.
    pub(in crate::observer) fn handle_datagram(
        &mut self,
        packet: &DatagramPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let (key, goes_up) = packet.header.flow_key();
        self.shard_of(&key)
            .handle_datagram((key, goes_up), packet, output);
    }

    /// Takes an ICMP error about a datagram.
    pub(in crate::observer) fn handle_icmp_error(
        &mut self,
        error: &IcmpError,
        record: &PacketRecord,
        packets: &Packets<'_>,
    ) {
        let (key, goes_up) = error.flow_key();
        let shard = self.shard_of(&key);
        let Some(interface) = packets.interfaces.get(record.interface as usize) else {
            return;
        };
        let packet = IcmpPacket {
            record,
            bytes: packets.bytes(record),
            interface,
            error,
        };
        let retains = shard.config.retains_packets;
        shard.now = record.timestamp;
        shard
            .datagrams
            .handle_icmp_error((key, goes_up), &packet, retains);
    }

    /// Takes a frame of EAPOL: those belong to the first shard.
    pub(in crate::observer) fn handle_eapol(
        &mut self,
        packet: &EapolPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        if let Some(shard) = self.shards.first_mut() {
            shard.handle_eapol(packet, output);
        }
    }

    pub(in crate::observer) fn handle_timeout(
        &mut self,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) {
        for shard in &mut self.shards {
            shard.handle_timeout(now, output);
        }
        self.keys.expire(now);
    }

    /// Reports some of what is left at the end of the capture; true if there is more.
    pub(in crate::observer) fn finish(&mut self, output: &mut ShardOutput<'_>) -> bool {
        let mut has_more = false;
        for shard in &mut self.shards {
            has_more |= shard.finish(output);
        }
        has_more
    }

    /// Takes the next batch: secrets that came with it are of use from now on.
    pub(crate) fn begin_batch(&mut self) {
        self.keys.advance();
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for shard in &self.shards {
            sum += shard.stats();
        }
        sum
    }

    /// When the oldest handshake without a verdict began.
    pub(crate) fn oldest_open(&self) -> Option<Timestamp> {
        let oldest = |shard: &Shard| {
            let logins = shard.logins.open().oldest();
            let lan = shard.lan_logins.open().oldest();
            [
                shard.open.oldest(),
                shard.datagrams.open.oldest(),
                logins,
                lan,
            ]
        };
        self.shards.iter().flat_map(oldest).flatten().min()
    }

    pub(crate) fn load(&self) -> Load {
        let mut sum = Load::default();
        for shard in &self.shards {
            sum += shard.load();
        }
        sum
    }
}
