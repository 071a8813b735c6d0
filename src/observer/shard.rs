//! A share of the flows: each segment to its flow, each handshake to its event.

use std::array;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketRecord, Packets};
use crate::decode::{IcmpError, Layers, Segment, UsualSegment};
use crate::decrypt::Keys;
use crate::event::{Identity, Protocol, Transport};
use crate::flow::{Direction, FlowKey};
use crate::handshake::{End, Origin, ReportCaches};
use crate::stats::{Load, Stats};
use crate::time::Timestamp;
use crate::transport::tcp::{
    Arrival, Budget, ClosedFlows, Finding, FirstBytes, PENDING_TIME, PendingSegment,
};
use crate::transport::{FlowIndex, FlowTable, HashedKey, KeyHasher, Lifetime, Sought};

use super::account::{self, Account, SharedRoom};
use super::conclusion::{Concluded, Conclusion, Unfinished, Unreported};
use super::datagrams::{DatagramPacket, DatagramTable, IcmpPacket};
use super::flow::{Continued, Flow, HandshakeContext, Open, Spares, Stage};
use super::flows::{Flows, Passage};
use super::holders::{Holder, Holders};
use super::lan_logins::{EapolPacket, LanLogins};
use super::logins::Logins;
use super::losses::Losses;
use super::not_tls::PlainConnection;
use super::open_handshakes::OpenHandshakes;
use super::openings::{OPENING_TIMEOUT, Opening, Openings};
use super::pauses::{LONGEST_PAUSE, Pauses};
use super::relays::Relay;
use super::retained::RetainedPackets;
use super::router::shard_of;
use super::sources::Sources;
use super::worker::{Made, Numbered};
use super::{Config, SHARDS};

/// A packet with a TCP segment, and what its headers say of it.
#[derive(Debug)]
pub(super) struct SegmentPacket<'p> {
    pub(super) record: &'p PacketRecord,
    /// Those that the packet is one of.
    pub(super) packets: &'p Packets<'p>,
    pub(super) layers: &'p Layers,
    pub(super) segment: Segment<'p>,
}

/// What few packets need is looked up when they do: many packets are held together, and each has to stay small.
impl<'p> SegmentPacket<'p> {
    /// The captured bytes, with all headers.
    fn bytes(&self) -> &'p [u8] {
        self.packets.bytes(self.record)
    }

    /// Where it was captured; what made this packet has looked it up.
    fn interface(&self) -> &'p Interface {
        &self.packets.interfaces[self.record.interface as usize]
    }
}

/// The flow that a packet belongs to: where it probably lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoughtFlow {
    hash: u32,
    sought: Sought,
    /// Place of its shard among those of the worker.
    shard: u32,
}

impl SoughtFlow {
    /// Of a packet without a flow.
    pub(super) const NONE: Self = Self {
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
    pub(super) fn seek(&self, key: &FlowKey) -> SoughtFlow {
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
    pub(super) fn approach(&self, flows: &[SoughtFlow]) -> u64 {
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
    pub(super) fn pass_by(
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
    pub(super) fn continues(
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
    pub(super) fn take_syn(
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
    pub(super) fn handle_packet(
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
    pub(super) fn handle_datagram(
        &mut self,
        packet: &DatagramPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let (key, goes_up) = packet.header.flow_key();
        self.shard_of(&key)
            .handle_datagram((key, goes_up), packet, output);
    }

    /// Takes an ICMP error about a datagram.
    pub(super) fn handle_icmp_error(
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
    pub(super) fn handle_eapol(&mut self, packet: &EapolPacket<'_>, output: &mut ShardOutput<'_>) {
        if let Some(shard) = self.shards.first_mut() {
            shard.handle_eapol(packet, output);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp, output: &mut ShardOutput<'_>) {
        for shard in &mut self.shards {
            shard.handle_timeout(now, output);
        }
        self.keys.expire(now);
    }

    /// Reports some of what is left at the end of the capture; true if there is more.
    pub(super) fn finish(&mut self, output: &mut ShardOutput<'_>) -> bool {
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

/// How long a SYN may be repeated: TCP gives up before (RFC 6298 §5, RFC 1122 §4.2.3.5). After that, one with the same number
/// is that of another copy of the packets.
const LONGEST_REPETITION: Duration = Duration::from_secs(130);
/// How long a flow with nothing more to learn is remembered without a packet.
const ESTABLISHED_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a handshake may wait for an answer while memory is short: most servers answer within a second.
const IMPATIENCE: Duration = Duration::from_secs(5);
/// How long a handshake that was reset waits for what the other side had sent already: longer than most round trips. So does a
/// connection that was reset before TLS, which may go on.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections whose end is remembered: those of 5 s at 50,000 a second, of some 100 bytes each.
const MAX_CLOSED: usize = 1 << 18;
/// How long a closed flow is remembered, so that late packets begin no new one.
const CLOSED_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a shard's results go, and the caches of its worker.
pub(super) struct ShardOutput<'o> {
    pub(super) config: &'o Config,
    pub(super) caches: &'o mut ReportCaches,
    pub(super) spares: &'o mut Spares,
    /// When sources ended, of which several are read as one.
    pub(super) ends: &'o HashMap<Arc<str>, Timestamp>,
    /// When packets were dropped.
    pub(super) losses: &'o Losses,
    pub(super) unreported: &'o mut Unreported,
    pub(super) made: &'o mut Vec<Numbered>,
    /// The number of the step at hand.
    pub(super) step: u32,
}

impl ShardOutput<'_> {
    /// Adds what the step at hand has made.
    pub(super) fn add(&mut self, made: Made) {
        self.made.push((self.step, made));
    }

    /// Takes a handshake over TCP that is over; it is reported with some others.
    fn conclude(&mut self, open: Box<Open>, concluded: Concluded) {
        if self.unreported.add(self.step, open, concluded) {
            self.report();
        }
    }

    /// Reports the handshakes that are over.
    pub(super) fn report(&mut self) {
        self.unreported
            .report(self.config, self.caches, self.spares, self.made);
    }
}

#[derive(Debug)]
struct Shard {
    config: Config,
    flows: Flows,
    openings: Openings,
    closed: ClosedFlows,
    datagrams: DatagramTable,
    logins: Logins,
    lan_logins: LanLogins,
    /// For segments out of order.
    budget: Budget,
    holders: Holders,
    account: Account,
    /// Handshakes without a verdict yet.
    open: OpenHandshakes,
    /// Bytes of the handshakes that were reported since the last tick, or since the last step of the end.
    reported: usize,
    /// The last moment that is known: of a packet, or of a tick.
    now: Timestamp,
    /// The number of the last packet with a segment.
    last_packet: u64,
    /// The last tick.
    ticked: Option<Timestamp>,
    pauses: Pauses,
    /// Of the connections that may end without TLS.
    sources: Sources,
    stats: Stats,
}

impl Shard {
    fn new(config: Config, shared: SharedRoom, hasher: KeyHasher) -> Self {
        let handshake_timeout = config.handshake_timeout.unwrap_or(Duration::MAX);
        let limits = [
            OPENING_TIMEOUT,
            handshake_timeout,
            handshake_timeout,
            handshake_timeout,
            CLOSING_TIMEOUT.min(handshake_timeout),
            ESTABLISHED_TIMEOUT,
            PENDING_TIME,
            CLOSING_TIMEOUT.min(handshake_timeout),
        ];
        let account = Account::new(config.memory_limit.of_flows() / SHARDS, shared);
        let most_flows = account.for_flows() / Flows::BYTES_PER_FLOW;
        let most_openings = account.for_openings() / Openings::BYTES_PER_OPENING;
        let most_closed = account.for_closed() / ClosedFlows::BYTES_PER_FLOW;
        let max_flows = config.max_flows.div_ceil(SHARDS);
        let flows = FlowTable::with_hasher(max_flows.min(most_flows), limits, hasher.clone());
        Self {
            flows: Flows::new(flows),
            openings: Openings::new(max_flows.min(most_openings)),
            closed: ClosedFlows::new(most_closed.min(MAX_CLOSED / SHARDS), CLOSED_TIMEOUT, hasher),
            datagrams: DatagramTable::new(account.for_datagrams(), handshake_timeout),
            logins: Logins::new(account.for_datagrams(), config.handshake_timeout),
            lan_logins: LanLogins::new(config.handshake_timeout),
            budget: Budget::new(account.for_segments()),
            holders: Holders::default(),
            account,
            open: OpenHandshakes::default(),
            reported: 0,
            now: Timestamp::default(),
            last_packet: 0,
            ticked: None,
            pauses: Pauses::default(),
            sources: Sources::default(),
            stats: Stats::default(),
            config,
        }
    }

    fn handle_packet(
        &mut self,
        (key, sought): (HashedKey, Sought),
        goes_up: bool,
        packet: &SegmentPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let segment = &packet.segment;
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        self.now = at.time;
        self.last_packet = at.packet;
        let mut known = self.flows.find_sought(&key, sought);
        if let Some(index) = known
            && self.flows.settled_mut(index).is_some()
        {
            if self.handle_settled(index, goes_up, segment, at.time, output) {
                return;
            }
            known = None;
        }
        if let Some(flow) = known.and_then(|index| self.flows.get_mut(index)) {
            flow.begin_change();
        }
        let Some(index) = self.flow_of(&key, goes_up, known, packet, at, output) else {
            return;
        };
        if self.config.retains_packets {
            self.retain(index, packet);
        }
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let direction = Direction::of(goes_up, flow.first_went_up);
        self.feed(index, direction, (segment, at), packet, output);
        self.flows.settle(index);
        self.flows.leave(index);
    }

    /// Takes a SYN and nothing else, if nothing is known of its endpoints; false, with nothing taken, if there may be more to it.
    ///
    /// What [`Shard::handle_packet`] and [`Shard::flow_of`] do with it is done here, or is nothing.
    fn take_syn(
        &mut self,
        (key, sought): (&HashedKey, Sought),
        segment: &UsualSegment,
        record: &PacketRecord,
        packets: &Packets<'_>,
    ) -> bool {
        let is_known = self.flows.find_sought(key, sought).is_some() || self.openings.has(key);
        if is_known || self.config.retains_packets {
            return false;
        }
        let goes_up = segment.goes_up;
        let segment = segment.segment(packets.bytes(record));
        let Some(opening) = Opening::new(goes_up, &segment, record.timestamp) else {
            return false;
        };
        (self.now, self.last_packet) = (record.timestamp, record.number);
        if !self.closed.has_ended(key, &segment) {
            self.stats.connections += 1;
            self.stats.connections_evicted += u64::from(self.openings.insert(key, opening));
        }
        true
    }

    /// Takes a segment of a connection that has settled; false if the segment belongs to another one, and the settled one has gone.
    fn handle_settled(
        &mut self,
        index: FlowIndex,
        goes_up: bool,
        segment: &Segment<'_>,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        if self.flows.is_expired(index, now) {
            self.expire(index, output);
            return false;
        }
        let is_syn = segment.flags.syn && !segment.flags.ack;
        let is_late = is_syn && self.flows.idle(index, now) >= LONGEST_REPETITION;
        let Some(flow) = self.flows.settled_mut(index) else {
            return false;
        };
        let direction = Direction::of(goes_up, flow.first_went_up);
        if is_late || flow.tcp.is_replaced_by(direction, segment) {
            self.remove(index, End::Replaced, output);
            return false;
        }
        flow.tcp.handle_header(direction, segment);
        if flow.tcp.is_closed() {
            let first_bytes = flow.tcp.first_bytes();
            self.forget(index, first_bytes, now, output);
        } else {
            self.flows.touch(index, Lifetime::Established, now);
        }
        self.make_room_for_conversations(output);
        true
    }

    /// Gives a segment to the flow that it belongs to; `packet` says where it came from.
    fn feed(
        &mut self,
        index: FlowIndex,
        direction: Direction,
        (segment, at): (&Segment<'_>, Arrival),
        packet: &SegmentPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        if flow.take_acknowledgment(direction, segment, at.time) {
            return;
        }
        flow.note_place(&packet.interface().source, &mut self.sources);
        let was_open = flow.has_handshake();
        let mut context = HandshakeContext {
            source: &packet.interface().source,
            layers: packet.layers,
            keys: &self.config.keys,
            collects_ladders: self.config.collects_ladders,
            spares: output.spares,
        };
        if self.config.collects_ladders {
            flow.note_source(context.source, at);
        }
        if !packet.layers.is_empty() {
            flow.note_layers(packet.layers);
        }
        let has_news = flow.handle_segment(direction, segment, at, &mut context, &mut self.budget);
        self.account.conversations += flow.count_conversation();
        let is_downgraded = std::mem::take(&mut flow.is_downgraded);
        let is_open = flow.has_handshake();
        if !was_open && let Some(since) = flow.open_since() {
            self.open.insert(since);
        }
        if is_downgraded {
            let key = self.flows.key(index);
            if let Some(flow) = self.flows.get_mut(index) {
                let source = flow.place().and_then(|id| self.sources.get(id));
                let refused = PlainConnection::refused(flow, &key);
                let refused = refused.map(|plain| plain.with_source(source));
                if let Some(refused) = refused {
                    output.add(Made::Plain(refused));
                }
            }
        }
        if is_open {
            self.after_feed(index, output);
        }
        self.note_held(index, output);
        self.keep_or_remove(index, has_news || !is_open, at.time, output);
        self.make_room_for_conversations(output);
    }

    /// Takes a packet that goes on in the open handshake at `index` where it has come to, as most packets of handshakes do; false, with
    /// nothing taken, if there may be more to it. The flow is not past its lifetime.
    ///
    /// What [`Shard::handle_packet`] and [`Shard::feed`] do apart from the flow itself is done here, or is nothing in a run that keeps
    /// neither packets nor steps, for a packet without tunnel and VLAN.
    #[inline(never)] // packets that pass by would pay for it
    fn continues(
        &mut self,
        index: FlowIndex,
        segment: &UsualSegment,
        record: &PacketRecord,
        packets: &Packets<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let keeps_more = self.config.retains_packets || self.config.collects_ladders;
        if keeps_more || segment.has_layers() {
            return false;
        }
        let Some(flow) = self.flows.get_mut(index) else {
            return false;
        };
        let at = Arrival::new(record.timestamp, record.number);
        let direction = Direction::of(segment.goes_up, flow.first_went_up);
        let segment = segment.without_options(packets.bytes(record)); // only a SYN has options that count
        let continued = flow.continue_handshake(direction, &segment, at);
        if continued == Continued::No {
            return false;
        }
        (self.now, self.last_packet) = (at.time, at.packet);
        if continued == Continued::WithData {
            self.after_data(index, at.time, output);
        }
        true
    }

    /// Looks what data in step has done to a handshake: concludes it if it is decided; keeps count of what it holds.
    fn after_data(&mut self, index: FlowIndex, now: Timestamp, output: &mut ShardOutput<'_>) {
        let growth = self.settle(index, output);
        // Where this handshake takes no more than before, there was room for it already. What takes more elsewhere is looked at
        // when the next one grows or begins, and with every packet out of step: to add up all tables takes longer than this packet.
        if growth == Growth::Grown {
            self.make_room(index, output);
        }
        // It is not over, as the connection is not closed.
        if let Some(flow) = self.flows.get_mut(index) {
            let lifetime = flow.lifetime();
            self.flows.touch(index, lifetime, now);
        }
        if growth != Growth::None {
            self.flows.settle(index);
            self.make_room_for_conversations(output);
        }
    }

    /// Removes a flow that is over, and notes that another one was seen if it is `alive`.
    fn keep_or_remove(
        &mut self,
        index: FlowIndex,
        is_alive: bool,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) {
        match self.flows.get_mut(index) {
            Some(flow) if flow.is_over() => {
                let first_bytes = flow.tcp.first_bytes();
                self.forget(index, first_bytes, now, output);
            }
            Some(flow) if is_alive => {
                let lifetime = flow.lifetime();
                self.flows.touch(index, lifetime, now);
            }
            _ => {}
        }
    }

    /// Removes a flow that is over, and remembers where its streams began, so that late packets begin no other.
    fn forget(
        &mut self,
        index: FlowIndex,
        first_bytes: FirstBytes,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) {
        let key = self.flows.hashed(self.flows.key(index));
        self.closed.insert(&key, first_bytes, now);
        self.remove(index, End::Decided, output);
    }

    /// Notes whether a flow holds segments out of order. While these take nearly all that they may, the flows that have held some for
    /// longest give them up.
    fn note_held(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        match (flow.is_holder(), flow.holds_segments()) {
            (false, false) => return, // as nearly all
            (false, true) => {
                flow.note_holder(true);
                let holder = Holder {
                    index,
                    first_seen: flow.first_seen,
                };
                let flows = &mut self.flows;
                let is_one = |holder: &Holder| {
                    let flow = flows.get_mut(holder.index);
                    flow.is_some_and(|flow| holder.is(flow))
                };
                self.holders.add(holder, is_one);
            }
            (true, true) => {}
            (true, false) => flow.note_holder(false),
        }
        while self.budget.is_nearly_spent()
            && let Some(oldest) = self.holders.take_oldest()
        {
            self.give_up_held(oldest, output);
        }
    }

    /// Gives up the segments that a flow holds, if it still does.
    fn give_up_held(&mut self, holder: Holder, output: &mut ShardOutput<'_>) {
        let index = holder.index;
        let is_it = |flow: &&mut Flow| holder.is(flow);
        if self.flows.get_mut(index).filter(is_it).is_none() {
            return;
        }
        self.release_waiting(index, output);
        if let Some(flow) = self.flows.get_mut(index) {
            flow.give_up_held(&mut self.budget);
            flow.note_holder(false);
        }
        self.after_feed(index, output);
        self.flows.settle(index);
    }

    /// Ends the wait of segments for what they acknowledge; false if none waits.
    fn release_waiting(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> bool {
        let Some(flow) = self.flows.get_mut(index).filter(|flow| flow.is_waiting()) else {
            return false;
        };
        let was_open = flow.has_handshake();
        flow.release_waiting(None, &self.config.keys, output.spares, &mut self.budget);
        let since = flow.open_since();
        if let Some(since) = since {
            if !was_open {
                self.open.insert(since);
            }
            self.after_feed(index, output);
        }
        true
    }

    /// Keeps a packet as long as its connection may turn out to be a failed handshake.
    fn retain(&mut self, index: FlowIndex, packet: &SegmentPacket<'_>) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        if !flow.is_worth_retaining() {
            take_retained(flow, &mut self.account);
            return;
        }
        let has_begun = flow.has_handshake();
        let before = flow.retained.as_ref().map_or(0, RetainedPackets::bytes);
        let retained = flow.retained.get_or_insert_default();
        if self.account.retained + packet.bytes().len() > self.account.for_retained() {
            self.stats.packets_not_kept += 1;
            retained.note_lost();
        } else {
            retained.push(packet.record, packet.bytes(), packet.interface(), has_begun);
        }
        self.account.retained = self.account.retained - before + retained.bytes();
    }

    /// The flow of a segment, which is the `known` one, or a new one; `None` for a segment of no known flow that is not worth one.
    fn flow_of(
        &mut self,
        key: &HashedKey,
        goes_up: bool,
        known: Option<FlowIndex>,
        packet: &SegmentPacket<'_>,
        at: Arrival,
        output: &mut ShardOutput<'_>,
    ) -> Option<FlowIndex> {
        let segment = &packet.segment;
        if let Some(index) = known {
            let has_gone = self.flows.is_expired(index, at.time)
                && !self.is_waiting(index)
                && self.expire(index, output);
            let is_syn = segment.flags.syn && !segment.flags.ack;
            let is_late = is_syn && self.flows.idle(index, at.time) >= LONGEST_REPETITION;
            if let Some(flow) = self.flows.get_mut(index).filter(|_| !has_gone) {
                let direction = Direction::of(goes_up, flow.first_went_up);
                if !is_late && !flow.is_replaced_by(direction, segment) {
                    if flow.admit(direction, segment) {
                        flow.handle_header(direction, segment, at.time);
                        return Some(index);
                    }
                    return self.doubt(index, direction, packet, at, output);
                }
                self.remove(index, End::Replaced, output);
            }
        }
        if let Some(opening) = self.openings.take(key) {
            let begun = self.open_with(key, &opening, output);
            return self.flow_of(key, goes_up, Some(begun), packet, at, output);
        }
        let is_bare = segment.wire_length == 0 && !segment.flags.syn;
        if is_bare || self.closed.has_ended(key, segment) {
            return None;
        }
        self.stats.connections += 1;
        // With packets that are retained, a SYN is one of them.
        if !self.config.retains_packets
            && let Some(opening) = Opening::new(goes_up, segment, at.time)
        {
            self.stats.connections_evicted += u64::from(self.openings.insert(key, opening));
            return None;
        }
        Some(self.open_flow(key, goes_up, segment, at.time, output))
    }

    /// Begins a flow with a segment, and makes room for it.
    fn open_flow(
        &mut self,
        key: &HashedKey,
        goes_up: bool,
        segment: &Segment<'_>,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) -> FlowIndex {
        self.make_room_for_flow(output);
        let mut flow = Flow::new(goes_up, now);
        flow.admit(Direction::Forward, segment);
        flow.handle_header(Direction::Forward, segment, now);
        self.flows.insert_hashed(key, flow, Lifetime::Opening, now)
    }

    /// Takes a segment with numbers out of every window: the flow that it belongs to if it confirms itself and others that
    /// were not believed before, which take effect now.
    #[cold]
    fn doubt(
        &mut self,
        index: FlowIndex,
        direction: Direction,
        packet: &SegmentPacket<'_>,
        at: Arrival,
        output: &mut ShardOutput<'_>,
    ) -> Option<FlowIndex> {
        let segment = &packet.segment;
        let key = self.flows.hashed(self.flows.key(index));
        let flow = self.flows.get_mut(index)?;
        let goes_up = (direction == Direction::Forward) == flow.first_went_up;
        let finding = flow.suspect(direction, segment, at, &mut self.budget);
        if finding == Finding::Unconfirmed {
            if self.config.retains_packets {
                self.retain(index, packet);
            }
            self.note_held(index, output);
            return None;
        }
        let first_went_up = flow.first_went_up;
        let mut suspects = flow.take_suspects(&mut self.budget)?;
        if finding == Finding::Replaced {
            self.remove(index, End::Replaced, output);
        }
        while let Some(kept) = suspects.take_first(&mut self.budget) {
            let goes_up = (kept.direction == Direction::Forward) == first_went_up;
            self.take_kept(&key, goes_up, &kept, packet, output);
        }
        suspects.clear(&mut self.budget);
        let Some(index) = self.flows.find_hashed(&key) else {
            // The SYN was not kept, as a limit had it.
            let is_first = finding == Finding::Replaced;
            self.stats.connections += u64::from(is_first);
            return is_first.then(|| self.open_flow(&key, goes_up, segment, at.time, output));
        };
        let flow = self.flows.get_mut(index)?;
        let direction = Direction::of(goes_up, flow.first_went_up);
        if !flow.admit(direction, segment) {
            return None;
        }
        flow.catch_up(direction, segment, &mut self.budget);
        flow.handle_header(direction, segment, at.time);
        Some(index)
    }

    /// Gives a segment that was not believed at first to its flow, or begins one with it if it is the SYN.
    fn take_kept(
        &mut self,
        key: &HashedKey,
        goes_up: bool,
        kept: &PendingSegment,
        packet: &SegmentPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let (segment, at) = (kept.segment(), kept.arrival);
        let Some(index) = self.flows.find_hashed(key) else {
            if segment.flags.syn {
                self.stats.connections += 1;
                let index = self.open_flow(key, goes_up, &segment, at.time, output);
                self.feed(index, Direction::Forward, (&segment, at), packet, output);
            }
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let direction = Direction::of(goes_up, flow.first_went_up);
        if flow.admit(direction, &segment) {
            flow.catch_up(direction, &segment, &mut self.budget);
            flow.handle_header(direction, &segment, at.time);
            self.feed(index, direction, (&segment, at), packet, output);
        }
    }

    /// Begins a flow with the SYN that began its connection.
    fn open_with(
        &mut self,
        key: &HashedKey,
        opening: &Opening,
        output: &mut ShardOutput<'_>,
    ) -> FlowIndex {
        let (syn, now) = (opening.segment(), opening.time);
        let index = self.open_flow(key, opening.goes_up(), &syn, now, output);
        if let Some(flow) = self.flows.get_mut(index) {
            flow.note_opening(&syn);
        }
        index
    }

    fn make_room_for_flow(&mut self, output: &mut ShardOutput<'_>) {
        if self.flows.is_full()
            && let Some(oldest) = self.flows.evict(self.now)
        {
            self.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, output);
        }
    }

    /// Forgets connections of which nothing more is expected while what was spoken on all of them takes too much.
    fn make_room_for_conversations(&mut self, output: &mut ShardOutput<'_>) {
        while self.account.is_talkative()
            && let Some(oldest) = self.flows.oldest(Lifetime::Established)
        {
            self.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, output);
        }
    }

    fn is_waiting(&mut self, index: FlowIndex) -> bool {
        let flow = self.flows.get_mut(index);
        flow.is_some_and(|flow| flow.is_waiting())
    }

    /// Concludes the handshake if it is decided; keeps count of what it holds, and makes room for it.
    fn after_feed(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) {
        if self.settle(index, output) != Growth::Concluded {
            self.make_room(index, output);
        }
    }

    /// [`Shard::after_feed`] without the room: concludes the handshake if it is decided; keeps count of what it holds.
    fn settle(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> Growth {
        let Some(flow) = self.flows.get_mut(index) else {
            return Growth::Concluded;
        };
        let Stage::Handshake(open) = &mut flow.stage else {
            return Growth::Concluded;
        };
        if open.is_relay_due
            && let Some(client_random) = open.connection.randoms()[0]
        {
            open.is_relay_due = false;
            let proxy = open.dialogue.proxy().cloned().map(Box::new);
            if let Some(proxy) = proxy {
                output.add(Made::Relay(Relay {
                    time: open.since,
                    client_random,
                    proxy,
                }));
            }
        }
        if open.connection.is_decided() {
            self.conclude(index, End::Decided, output);
        } else if open.connection.is_ruled_out() {
            self.account.handshakes -= open.allocated;
            self.open.remove(open.since);
            flow.release(&mut self.budget);
            flow.stage = Stage::DONE;
            release_conversation(flow, &mut self.account);
        } else {
            let allocated = account::HANDSHAKE + open.allocated_now();
            self.account.handshakes = self.account.handshakes - open.allocated + allocated;
            let before = std::mem::replace(&mut open.allocated, allocated);
            return if allocated > before {
                Growth::Grown
            } else {
                Growth::None
            };
        }
        Growth::Concluded
    }

    /// Reports handshakes as they stand while there is no room for all, as [`FlowTable::least_answered`] chooses them; `newest`
    /// was fed last.
    fn make_room(&mut self, newest: FlowIndex, output: &mut ShardOutput<'_>) {
        while self.account.is_over(self.counted_elsewhere()) {
            if self.is_over_with_datagrams() && self.give_up_over_udp(output) {
                continue;
            }
            let index = self.flows.least_answered(self.now, Flow::is_large);
            let index = index.unwrap_or(newest);
            if !self.give_up(index, output) {
                return; // the handshakes that are left take nothing
            }
        }
    }

    /// Reports a handshake as it stands, for lack of room. The connection stays, so that what follows on it is not taken for
    /// another one, but is the first to be forgotten.
    fn give_up(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> bool {
        let open = self.open.len();
        self.conclude(index, End::Evicted, output);
        self.flows.touch(index, Lifetime::Opening, self.now);
        self.open.len() < open
    }

    /// While memory is short, handshakes without an answer are not waited for as long as usual, as in the emergency mode of
    /// other monitors: a flood then never fills all there is.
    fn relieve(&mut self, output: &mut ShardOutput<'_>) {
        // Asked first: there is none as a rule, and to add up all tables takes longer.
        while let Some(index) = self.flows.unanswered_for(IMPATIENCE, self.now)
            && self.account.is_high(self.counted_elsewhere())
        {
            self.give_up(index, output);
        }
    }

    /// Bytes of memory that conversations and logins over UDP take.
    fn of_datagrams(&self) -> usize {
        self.datagrams.allocated() + self.logins.allocated() + self.lan_logins.allocated()
    }

    /// Whether conversations and logins over UDP take more than they may whatever else there is.
    fn is_over_with_datagrams(&self) -> bool {
        self.of_datagrams() > self.account.for_datagrams()
    }

    /// Makes room where conversations or logins over UDP have grown: those that take more than their part give way first, and then
    /// handshakes over TCP.
    fn make_room_over_udp(&mut self, output: &mut ShardOutput<'_>) {
        while self.account.is_over(self.counted_elsewhere()) {
            let has_given_up = if self.is_over_with_datagrams() {
                self.give_up_over_udp(output)
            } else {
                let least = self.flows.least_answered(self.now, Flow::is_large);
                least.is_some_and(|index| self.give_up(index, output))
            };
            if !has_given_up {
                break;
            }
        }
        self.note_room();
    }

    /// Reports a handshake over UDP as it stands, or forgets a conversation or login, of the table that takes most; false if
    /// there is nothing left to give up.
    fn give_up_over_udp(&mut self, output: &mut ShardOutput<'_>) -> bool {
        let now = self.now;
        let [datagrams, logins, lan] = [
            self.datagrams.allocated(),
            self.logins.allocated(),
            self.lan_logins.allocated(),
        ];
        let before = self.counted_elsewhere();
        if datagrams >= logins.max(lan) {
            let (datagrams, mut conclusion) = self.datagrams();
            datagrams.give_up_one(now, &mut conclusion, output);
        } else if logins >= lan {
            let (logins, mut conclusion) = self.logins();
            logins.give_up_one(now, &mut conclusion, output);
        } else {
            let (logins, mut conclusion) = self.lan_logins();
            logins.give_up_one(now, &mut conclusion, output);
        }
        self.counted_elsewhere() < before
    }

    /// Lets the tables for UDP know how much they may grow.
    fn note_room(&mut self) {
        let room = self.account.room(self.counted_elsewhere());
        self.datagrams.note_room(room);
        self.logins.note_room(room);
    }

    /// Bytes of memory that the tables and segments out of order take.
    fn counted_elsewhere(&self) -> usize {
        self.flows.allocated()
            + self.openings.allocated()
            + self.closed.allocated()
            + self.of_datagrams()
            + self.budget.in_use()
            + self.holders.allocated()
    }

    /// Whether the rest has to wait for the next step.
    fn has_reported_enough(&self) -> bool {
        self.reported > self.config.memory_limit.of_reports() / SHARDS
    }

    fn handle_timeout(&mut self, now: Timestamp, output: &mut ShardOutput<'_>) {
        self.now = now;
        self.reported = 0;
        self.end_interrupted(now, output);
        while !self.has_reported_enough() // the others at the next tick
            && let Some(index) = self.flows.expired(now)
        {
            if self.release_waiting(index, output) {
                self.keep_or_remove(index, true, now, output);
                continue;
            }
            self.expire(index, output);
            self.flows.settle(index);
        }
        self.relieve(output);
        let (datagrams, mut conclusion) = self.datagrams();
        datagrams.handle_timeout(now, &mut conclusion, output);
        let (logins, mut conclusion) = self.logins();
        logins.handle_timeout(now, &mut conclusion, output);
        let (logins, mut conclusion) = self.lan_logins();
        logins.handle_timeout(now, &mut conclusion, output);
        self.datagrams.shrink();
        self.make_room_over_udp(output);
        self.stats.connections_timed_out += self.openings.expire(now);
        self.closed.expire(now);
    }

    /// After a pause in the capture, reports the handshakes over UDP that were open before it as they stood then: what happened in the
    /// meantime is not known. A connection over TCP may be idle for hours, and its numbers show that it is the same; but if nothing
    /// more comes on it, the pause was its end in view.
    fn end_interrupted(&mut self, now: Timestamp, output: &mut ShardOutput<'_>) {
        let last = self.ticked.replace(now);
        let is_pause = |last: &Timestamp| now.checked_since(*last) >= Some(LONGEST_PAUSE);
        let Some(until) = last.filter(is_pause) else {
            return;
        };
        self.pauses.note(self.last_packet, until);
        let (datagrams, mut conclusion) = self.datagrams();
        datagrams.end_quiet(LONGEST_PAUSE, [until, now], &mut conclusion, output);
    }

    /// Reports the handshake of a flow that has outlived its lifetime, and keeps the flow, so that what follows on it is
    /// not taken for another connection. Without a handshake, the flow goes: then it returns true.
    fn expire(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> bool {
        if let Some(flow) = self.flows.settled_mut(index) {
            self.stats.connections_timed_out += u64::from(!flow.has_timed_out);
            self.remove(index, End::Silence, output);
            return true;
        }
        let Some(flow) = self.flows.get_mut(index) else {
            return true;
        };
        if flow.was_closed_early() {
            let first_bytes = flow.tcp.first_bytes();
            self.forget(index, first_bytes, self.now, output);
            return true;
        }
        if !flow.has_handshake() {
            self.stats.connections_timed_out += u64::from(!flow.has_timed_out());
            self.remove(index, End::Silence, output);
            return true;
        }
        if flow.is_closing() && flow.note_ignored_closes() && !flow.is_closing() {
            let lifetime = flow.lifetime();
            self.flows.touch(index, lifetime, self.now);
            return false;
        }
        // After a reset there is nothing left to wait for but packets that were on their way.
        let has_timed_out = !flow.is_settled() && !flow.is_closing();
        let end = if flow.is_settled() {
            End::Decided
        } else {
            End::Silence
        };
        self.stats.connections_timed_out += u64::from(has_timed_out);
        self.conclude(index, end, output);
        if let Some(flow) = self.flows.get_mut(index) {
            flow.stage = Stage::Done { has_timed_out };
        }
        match self.flows.get_mut(index) {
            Some(flow) if flow.is_over() => {
                let first_bytes = flow.tcp.first_bytes();
                self.forget(index, first_bytes, self.now, output);
                true
            }
            _ => {
                self.flows.touch(index, Lifetime::Established, self.now);
                false
            }
        }
    }

    /// Reports some of what is left at the end of the capture; true if there is more.
    fn finish(&mut self, output: &mut ShardOutput<'_>) -> bool {
        self.reported = 0;
        while let Some(index) = self.flows.any() {
            if self.has_reported_enough() {
                return true;
            }
            self.remove(index, End::CaptureEnd, output);
        }
        !(self.finish_table(Self::logins, output)
            && self.finish_table(Self::lan_logins, output)
            && self.finish_table(Self::datagrams, output))
    }

    /// Reports what is left of a table, one by one; false if there is more when enough was reported.
    fn finish_table<T: Unfinished>(
        &mut self,
        parts: impl for<'s> Fn(&'s mut Self) -> (&'s mut T, Conclusion<'s>),
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let now = self.now;
        while !self.has_reported_enough() {
            let (table, mut conclusion) = parts(self);
            let before = table.allocated();
            if !table.finish_one(now, &mut conclusion, output) {
                return true;
            }
            let freed = before.saturating_sub(table.allocated());
            self.reported += freed;
        }
        false
    }

    /// The conversations over UDP, and what makes reports of them.
    const fn datagrams(&mut self) -> (&mut DatagramTable, Conclusion<'_>) {
        let conclusion = Conclusion {
            config: &self.config,
            stats: &mut self.stats,
        };
        (&mut self.datagrams, conclusion)
    }

    /// The same for logins over EAP.
    const fn logins(&mut self) -> (&mut Logins, Conclusion<'_>) {
        let conclusion = Conclusion {
            config: &self.config,
            stats: &mut self.stats,
        };
        (&mut self.logins, conclusion)
    }

    /// The same for those without IP.
    const fn lan_logins(&mut self) -> (&mut LanLogins, Conclusion<'_>) {
        let conclusion = Conclusion {
            config: &self.config,
            stats: &mut self.stats,
        };
        (&mut self.lan_logins, conclusion)
    }

    fn handle_eapol(&mut self, packet: &EapolPacket<'_>, output: &mut ShardOutput<'_>) {
        self.now = packet.record.timestamp;
        let before = self.lan_logins.allocated();
        let (logins, mut conclusion) = self.lan_logins();
        logins.handle(packet, &mut conclusion, output);
        if self.lan_logins.allocated() > before {
            self.make_room_over_udp(output);
        }
    }

    fn handle_datagram(
        &mut self,
        flow: (FlowKey, bool),
        packet: &DatagramPacket<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        self.now = packet.record.timestamp;
        if self.datagrams.is_of_none(&flow.0, packet) {
            return;
        }
        let before = self.logins.allocated();
        let (logins, mut conclusion) = self.logins();
        if logins.handle(packet, &mut conclusion, output) {
            if self.logins.allocated() > before {
                self.make_room_over_udp(output);
            }
            return;
        }
        if self.datagrams.is_about_to_grow() {
            self.note_room();
        }
        let before = self.datagrams.allocated();
        let (datagrams, mut conclusion) = self.datagrams();
        datagrams.handle(flow, packet, &mut conclusion, output);
        if self.datagrams.allocated() > before {
            self.make_room_over_udp(output);
        }
    }

    fn remove(&mut self, index: FlowIndex, end: End, output: &mut ShardOutput<'_>) {
        self.conclude(index, end, output);
        let key = self.flows.key(index);
        if let Some(mut flow) = self.flows.remove(index) {
            if let Some(plain) = PlainConnection::ended(&mut flow, &key) {
                self.reported += size_of::<PlainConnection>();
                let source = flow.place().and_then(|id| self.sources.get(id));
                output.add(Made::Plain(plain.with_source(source)));
            }
            take_retained(&mut flow, &mut self.account);
            release_conversation(&mut flow, &mut self.account);
            flow.release(&mut self.budget);
            self.flows.take_back(flow);
        }
    }

    /// Makes the event of the handshake under way, if there is one.
    fn conclude(&mut self, index: FlowIndex, end: End, output: &mut ShardOutput<'_>) {
        self.release_waiting(index, output);
        let key = self.flows.key(index);
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        if !flow.has_handshake() {
            return; // TLS may still begin on it
        }
        let end_of_source = flow.source().and_then(|source| output.ends.get(source));
        let paused = flow.last_packet().and_then(|last| self.pauses.since(last));
        let end_of_view = [end_of_source.copied(), paused].into_iter().flatten().min();
        let end = match end {
            // Nobody watched for as long as the user wants.
            End::Silence if paused.is_some() => End::CaptureEnd,
            end => end,
        };
        flow.flush(self.now, end_of_view, &mut self.budget);
        let Stage::Handshake(open) = std::mem::replace(&mut flow.stage, Stage::DONE) else {
            return;
        };
        self.open.remove(open.since);
        // Closes that were waited for may have been delivered only now.
        let last = open.connection.last_packet().time;
        let end = if open.connection.is_decided() || open.connection.has_ended() {
            End::Decided
        } else {
            output.losses.judge(end, &open.source, last, self.now)
        };
        flow.release(&mut self.budget);
        let retained = take_retained(flow, &mut self.account);
        release_conversation(flow, &mut self.account);
        self.account.handshakes -= open.allocated;
        self.reported += open.allocated;
        let concluded = Concluded {
            end,
            origin: origin(key, flow, &open),
            identity: identity(flow, &open),
            retained,
        };
        self.stats.conflicting_bytes += u64::from(open.conflict.bytes());
        output.conclude(open, concluded);
    }

    fn load(&self) -> Load {
        Load {
            connections: (self.flows.len()
                + self.openings.len()
                + self.datagrams.len()
                + self.logins.len()
                + self.lan_logins.len()) as u64,
            handshakes: self.open.len()
                + self.datagrams.open.len()
                + self.logins.open().len()
                + self.lan_logins.open().len(),
            bytes: self.account.used(self.counted_elsewhere()) as u64,
            bytes_of_handshakes: (self.account.handshakes + self.account.retained) as u64,
            bytes_of_segments: self.budget.in_use() as u64,
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            bytes_held: self.budget.held,
            segments_discarded: self.budget.discarded,
            segments_out_of_window: self.budget.out_of_window,
            ..self.stats
        }
    }
}

/// What a segment did to the memory of an open handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    None,
    Grown,
    /// It is open no more.
    Concluded,
}

/// By what copies of a connection are recognised. Of both directions, the client's is the one whose hello was seen.
fn identity(flow: &Flow, open: &Open) -> Identity {
    let [client_random, server_random] = open.connection.randoms();
    Identity {
        client_random,
        server_random,
        marks: flow.marks(open.connection.client()),
        is_upgraded: open.dialogue.has_begun(),
    }
}

/// Takes the packets that were retained for a connection; their bytes no longer count.
fn take_retained(flow: &mut Flow, account: &mut Account) -> Option<RetainedPackets> {
    let retained = flow.retained.take()?;
    account.retained -= retained.bytes();
    Some(retained)
}

/// What was spoken before TLS no longer counts.
fn release_conversation(flow: &mut Flow, account: &mut Account) {
    account.conversations -= flow.release_conversation();
}

/// What is known of a connection apart from its bytes.
fn origin(key: FlowKey, flow: &Flow, open: &Open) -> Origin {
    let (forward, reverse) = key.ends(flow.first_went_up);
    Origin {
        source: Arc::clone(&open.source),
        flow_id: key.id(flow.first_seen),
        forward,
        reverse,
        vlan: open.layers.vlan.ids().to_vec(),
        tunnel: open.layers.tunnels.iter().collect(),
        transport: Transport::Tcp,
        protocol: Protocol::Tls,
        starttls: open.dialogue.starttls(),
        eap: None,
        round_trips: flow.tcp.round_trips(),
        conflict: open.conflict,
    }
}
