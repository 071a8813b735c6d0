//! A share of the flows: each segment to its flow, each handshake to its event.

mod ending;
mod output;
mod room;
mod set;

use std::time::Duration;

use crate::capture::{Interface, PacketRecord, Packets};
use crate::decode::{Layers, Segment, UsualSegment};
use crate::flow::{Direction, FlowKey};
use crate::handshake::End;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;
use crate::transport::tcp::{Arrival, Budget, ClosedFlows, Finding, PENDING_TIME, PendingSegment};
use crate::transport::{FlowIndex, FlowTable, HashedKey, KeyHasher, Lifetime, Sought};

use super::account::{self, Account, SharedRoom};
use super::conclusion::{Conclusion, Unfinished};
use super::datagrams::{DatagramPacket, DatagramTable};
use super::flow::{Continued, Flow, HandshakeContext, Stage};
use super::flows::Flows;
use super::holders::Holders;
use super::lan_logins::{EapolPacket, LanLogins};
use super::logins::Logins;
use super::not_tls::PlainConnection;
use super::open_handshakes::OpenHandshakes;
use super::openings::{OPENING_TIMEOUT, Opening, Openings};
use super::pauses::Pauses;
use super::relays::Relay;
use super::sources::Sources;
use super::worker::Made;
use super::{Config, SHARDS};

pub(super) use output::ShardOutput;
use room::release_conversation;
pub(crate) use set::ShardSet;
pub(super) use set::SoughtFlow;

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

/// How long a SYN may be repeated: TCP gives up before (RFC 6298 §5, RFC 1122 §4.2.3.5). After that, one with the same number
/// is that of another copy of the packets.
const LONGEST_REPETITION: Duration = Duration::from_secs(130);

/// How long a flow with nothing more to learn is remembered without a packet.
const ESTABLISHED_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a handshake that was reset waits for what the other side had sent already: longer than most round trips. So does a
/// connection that was reset before TLS, which may go on.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections whose end is remembered: those of 5 s at 50,000 a second, of some 100 bytes each.
const MAX_CLOSED: usize = 1 << 18;

/// How long a closed flow is remembered, so that late packets begin no new one.
const CLOSED_TIMEOUT: Duration = Duration::from_secs(5);

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
