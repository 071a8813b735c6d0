//! UDP: conversations that may be handshakes, in a table of their own.
//!
//! Nothing in UDP says where a conversation begins or ends, and most datagrams are none of ours. So one look at
//! the first bytes decides whether a datagram is looked at again ([`FirstLook`]); and only one that may begin a
//! handshake makes an entry in the table.

use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketRecord};
use crate::decode::{IcmpError, Layers, UdpHeader};
use crate::event::{Identity, Protocol, Transport, WireMarks};
use crate::flow::{Direction, FlowKey};
use crate::framing::Payload;
use crate::framing::dtls::{dtls_in, opening};
use crate::framing::quic;
use crate::handshake::{Answer, Conflict, End, Origin, Tracker};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::transport::quic::ConnectionId;
use crate::transport::tcp::{Arrival, RoundTrips};
use crate::transport::{FlowIndex, FlowTable, LIFETIMES, Lifetime};

use super::Config;
use super::conclusion::{Concluded, Conclusion};
use super::open_handshakes::OpenHandshakes;
use super::retained::RetainedPackets;
use super::shard::ShardOutput;

/// What the first bytes of a datagram show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstLook {
    /// It may begin a handshake.
    MayBegin(Protocol),
    /// It may belong to one that has begun.
    MayContinue,
    /// It may belong to one over QUIC, if there is one between the same ports: nothing in a 1-RTT packet says so, nor in one of
    /// a version that is not known.
    MayBelong,
    /// It is none of ours.
    Other,
}

impl FirstLook {
    /// Looks at the payload of a datagram.
    pub(super) fn at(payload: &[u8]) -> Self {
        match *payload {
            [first, ..] if first & 0x80 != 0 => match quic::look(payload) {
                quic::Look::Initial => Self::MayBegin(Protocol::Quic),
                quic::Look::Long => Self::MayContinue,
                quic::Look::Other => Self::MayBelong,
            },
            _ => match Self::at_dtls(payload) {
                // A 1-RTT packet of QUIC looks like anything else: the flow decides.
                Self::Other if payload.len() > 1 => Self::MayBelong,
                look => look,
            },
        }
    }

    /// Looks at what may be DTLS, or carry it.
    fn at_dtls(payload: &[u8]) -> Self {
        match dtls_in(payload) {
            // A record of type handshake in epoch 0.
            Some([22, 0xfe | 0x01, 0x00 | 0xfd | 0xff, 0, 0, ..]) => Self::MayBegin(Protocol::Dtls),
            // Other records, and encrypted ones of DTLS 1.3.
            Some([20..=26, 0xfe | 0x01, 0x00 | 0xfc..=0xff, ..] | [32..=63, ..]) => {
                Self::MayContinue
            }
            _ => Self::Other,
        }
    }

    /// Whether the datagram is worth another look.
    pub(super) fn is_promising(self) -> bool {
        matches!(self, Self::MayBegin(_) | Self::MayContinue)
    }
}

/// A packet with a UDP datagram, and what its headers say of it.
#[derive(Debug)]
pub(super) struct DatagramPacket<'p> {
    pub(super) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(super) bytes: &'p [u8],
    pub(super) interface: &'p Interface,
    pub(super) layers: &'p Layers,
    pub(super) header: &'p UdpHeader,
    /// The captured bytes of its payload.
    pub(super) payload: &'p [u8],
}

impl<'p> DatagramPacket<'p> {
    /// Its payload, or what a relay carries in it.
    fn content(&self, protocol: Protocol) -> Payload<'p> {
        let payload = self.header.payload;
        let relayed = match protocol {
            Protocol::Dtls => dtls_in(self.payload),
            _ => None,
        };
        Payload {
            captured: relayed.unwrap_or(self.payload),
            missing: payload.wire_length.saturating_sub(payload.captured) as usize,
        }
    }

    /// What it may begin.
    fn beginning(&self) -> Option<Beginning> {
        let FirstLook::MayBegin(protocol) = FirstLook::at(self.payload) else {
            return None;
        };
        let mut hello = None;
        if protocol == Protocol::Dtls {
            let Payload { captured, missing } = self.content(protocol);
            let random = opening(captured, missing)?.client_random;
            hello = random
                .and_then(|random| random.first_chunk().map(|part| u64::from_be_bytes(*part)));
        }
        Some(Beginning { protocol, hello })
    }
}

/// A packet with an ICMP error about a datagram.
#[derive(Debug)]
pub(super) struct IcmpPacket<'p> {
    pub(super) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(super) bytes: &'p [u8],
    pub(super) interface: &'p Interface,
    pub(super) error: &'p IcmpError,
}

/// What a datagram may begin.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    protocol: Protocol,
    /// Part of the client's random, if it shows: with another one, a client begins again from the same port.
    hello: Option<u64>,
}

/// A conversation between two UDP ports.
#[derive(Debug)]
struct Datagrams {
    /// Whether the first datagram seen went from the lower to the higher endpoint.
    first_went_up: bool,
    first_seen: Timestamp,
    /// Part of the client's random, once it was seen.
    hello: Option<u64>,
    /// What is followed; `None` once nothing more is to be learned.
    open: Option<Box<Open>>,
    /// The first destination of the latest connection over QUIC that was reported: its packets begin no other.
    last_connection: Option<ConnectionId>,
    retained: Option<RetainedPackets>,
}

impl Datagrams {
    /// Whether a datagram goes where the latest connection over QUIC began.
    fn is_known(&self, payload: &[u8]) -> bool {
        let destination = quic::first_destination(payload);
        self.last_connection.is_some() && destination == self.last_connection
    }
}

/// The beginning of a handshake.
fn open(protocol: Protocol, packet: &DatagramPacket<'_>, config: &Config) -> Open {
    let at = Arrival::new(packet.record.timestamp, packet.record.number);
    let mut tracker = Tracker::new(protocol, at, &config.keys);
    if config.collects_ladders {
        tracker.collect_ladder(&packet.interface.source);
    }
    Open {
        protocol,
        tracker,
        source: Arc::clone(&packet.interface.source),
        layers: *packet.layers,
        since: at.time,
        allocated: 0,
    }
}

/// An open handshake.
#[derive(Debug)]
struct Open {
    protocol: Protocol,
    tracker: Tracker,
    /// The file or interface that its first packet came from.
    source: Arc<str>,
    /// The VLAN tags and the tunnels around its first packet that has some.
    layers: Layers,
    since: Timestamp,
    /// Bytes of memory that it takes, as last counted.
    allocated: usize,
}

/// The UDP conversations of one shard.
#[derive(Debug)]
pub(super) struct DatagramTable {
    flows: FlowTable<Datagrams>,
    /// Handshakes without a verdict yet.
    pub(super) open: OpenHandshakes,
    /// Bytes that handshakes and retained packets take.
    allocated: usize,
    /// Bytes that they may take.
    limit: usize,
}

/// How long a conversation is followed without a packet in which no handshake is open.
const DONE_TIMEOUT: Duration = Duration::from_secs(120);

impl DatagramTable {
    /// A table that takes at most `limit` bytes of memory, half of them for its entries. A handshake without progress is
    /// reported after `handshake_timeout`.
    pub(super) fn new(limit: usize, handshake_timeout: Duration) -> Self {
        let mut limits = [handshake_timeout; LIFETIMES];
        limits[Lifetime::Established as usize] = DONE_TIMEOUT;
        let most = limit / 2 / FlowTable::<Datagrams>::BYTES_PER_FLOW;
        Self {
            flows: FlowTable::new(most, limits),
            open: OpenHandshakes::default(),
            allocated: 0,
            limit: limit / 2,
        }
    }

    /// How many conversations there are.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Bytes of memory that it takes, with all that it holds.
    pub(super) const fn allocated(&self) -> usize {
        self.flows.allocated() + self.allocated
    }

    /// Takes a datagram of a flow.
    pub(super) fn handle(
        &mut self,
        (key, goes_up): (FlowKey, bool),
        packet: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        let mut known = self.flows.find(&key);
        if let Some(index) = known.filter(|index| self.flows.is_expired(*index, at.time)) {
            self.remove(index, End::Silence, at.time, conclusion, output);
            known = None;
        }
        let beginning = packet.beginning();
        let hello = beginning.and_then(|beginning| beginning.hello);
        if let Some(index) = known.filter(|index| self.is_replaced(*index, hello)) {
            self.remove(index, End::Replaced, at.time, conclusion, output);
            known = None;
        }
        let index = match (known, beginning) {
            (Some(index), Some(beginning)) => {
                self.begin_again(
                    index,
                    beginning.protocol,
                    goes_up,
                    packet,
                    conclusion,
                    output,
                );
                index
            }
            (Some(index), _) => index,
            (None, Some(beginning)) => {
                self.begin(key, goes_up, beginning.protocol, packet, conclusion, output)
            }
            (None, None) => return,
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        flow.hello = flow.hello.or(hello);
        let direction = Direction::of(goes_up, flow.first_went_up);
        let Some(open) = &mut flow.open else {
            return self.flows.touch(index, Lifetime::Established, at.time);
        };
        if conclusion.config.retains_packets {
            let retained = flow.retained.get_or_insert_default();
            let before = retained.bytes();
            retained.push(packet.record, packet.bytes, packet.interface, true);
            self.allocated += retained.bytes() - before;
        }
        if packet.header.payload.is_truncated() {
            open.tracker.note_truncated();
        }
        open.layers.add_missing(packet.layers);
        open.tracker
            .handle_datagram(direction, packet.content(open.protocol), at);
        let allocated = boxed::<Open>() + open.tracker.allocated();
        self.allocated = self.allocated - open.allocated + allocated;
        open.allocated = allocated;
        if open.tracker.is_decided() {
            self.conclude(index, End::Decided, at.time, conclusion, output);
        } else if open.tracker.is_ruled_out() {
            self.give_back(index);
        }
        self.flows.touch(index, self.lifetime(index), at.time);
        self.make_room(index, at.time, conclusion, output);
    }

    /// Takes an ICMP error about a datagram of a flow, which goes up or down; packets are retained if the run `retains` them.
    ///
    /// One about a flow without an open handshake says nothing: clients that are done close their ports while servers still
    /// send.
    pub(super) fn handle_icmp_error(
        &mut self,
        (key, goes_up): (FlowKey, bool),
        packet: &IcmpPacket<'_>,
        retains: bool,
    ) {
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        let known = self.flows.find(&key);
        let Some(index) = known.filter(|index| !self.flows.is_expired(*index, at.time)) else {
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let direction = Direction::of(goes_up, flow.first_went_up);
        let Some(open) = &mut flow.open else {
            return;
        };
        if retains && let Some(retained) = &mut flow.retained {
            let before = retained.bytes();
            retained.push(packet.record, packet.bytes, packet.interface, true);
            self.allocated += retained.bytes() - before;
        }
        open.tracker.note_undeliverable(direction, packet.error, at);
        let allocated = boxed::<Open>() + open.tracker.allocated();
        self.allocated = self.allocated - open.allocated + allocated;
        open.allocated = allocated;
    }

    /// Whether a client begins again, with another hello than that of the handshake which is known.
    fn is_replaced(&self, index: FlowIndex, hello: Option<u64>) -> bool {
        let known = self.flows.get(index).and_then(|flow| flow.hello);
        matches!((known, hello), (Some(known), Some(hello)) if known != hello)
    }

    /// Begins a conversation, and makes room for it.
    fn begin(
        &mut self,
        key: FlowKey,
        goes_up: bool,
        protocol: Protocol,
        packet: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> FlowIndex {
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        if self.flows.is_full()
            && let Some(oldest) = self.flows.evict()
        {
            conclusion.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, at.time, conclusion, output);
        }
        let open = open(protocol, packet, conclusion.config);
        self.open.insert(open.since);
        conclusion.stats.connections += 1;
        let flow = Datagrams {
            first_went_up: goes_up,
            first_seen: at.time,
            hello: None,
            open: Some(Box::new(open)),
            last_connection: None,
            retained: None,
        };
        self.flows.insert(key, flow, Lifetime::HalfOpen, at.time)
    }

    /// Begins another handshake between ports between which there was one, if a datagram is the first of it.
    fn begin_again(
        &mut self,
        index: FlowIndex,
        protocol: Protocol,
        goes_up: bool,
        packet: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let direction = Direction::of(goes_up, flow.first_went_up);
        match &flow.open {
            Some(open) if open.tracker.is_replaced_by(direction, packet.payload) => {
                self.conclude(index, End::Replaced, at.time, conclusion, output);
            }
            Some(_) => return,
            None if protocol != Protocol::Quic || flow.is_known(packet.payload) => return,
            None => {}
        }
        let open = open(protocol, packet, conclusion.config);
        self.open.insert(open.since);
        conclusion.stats.connections += 1;
        if let Some(flow) = self.flows.get_mut(index) {
            flow.open = Some(Box::new(open));
        }
    }

    fn lifetime(&self, index: FlowIndex) -> Lifetime {
        let open = self.flows.get(index).and_then(|flow| flow.open.as_ref());
        match open.map(|open| open.tracker.answer()) {
            None => Lifetime::Established,
            Some(Answer::Bytes) => Lifetime::Handshake,
            Some(Answer::Packets) => Lifetime::Unanswered,
            Some(Answer::None) => Lifetime::HalfOpen,
        }
    }

    /// Reports handshakes as they stand while there is no room for all, those with least of an answer first; `newest` was fed
    /// last.
    fn make_room(
        &mut self,
        newest: FlowIndex,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while self.allocated > self.limit {
            let index = self.flows.least_answered().unwrap_or(newest);
            self.conclude(index, End::Evicted, now, conclusion, output);
            self.flows.touch(index, Lifetime::Opening, now);
            if index == newest {
                return;
            }
        }
    }

    /// Reports what has outlived its lifetime.
    pub(super) fn handle_timeout(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(index) = self.flows.expired(now) {
            conclusion.stats.connections_timed_out += 1;
            self.remove(index, End::Silence, now, conclusion, output);
        }
    }

    /// Reports some of what is left at the end of the capture: one handshake. False if there is none.
    pub(super) fn finish_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let index = self.flows.any();
        if let Some(index) = index {
            self.remove(index, End::CaptureEnd, now, conclusion, output);
        }
        index.is_some()
    }

    fn remove(
        &mut self,
        index: FlowIndex,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        self.conclude(index, end, now, conclusion, output);
        self.flows.remove(index);
    }

    /// Stops following a conversation; what it held is given back.
    fn give_back(&mut self, index: FlowIndex) -> Option<(Box<Open>, Option<RetainedPackets>)> {
        let flow = self.flows.get_mut(index)?;
        let open = flow.open.take()?;
        let retained = flow.retained.take();
        self.allocated -= open.allocated + retained.as_ref().map_or(0, RetainedPackets::bytes);
        self.open.remove(open.since);
        Some((open, retained))
    }

    /// Makes the event of the handshake under way, if there is one.
    fn conclude(
        &mut self,
        index: FlowIndex,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some((mut open, retained)) = self.give_back(index) else {
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        flow.last_connection = open.tracker.first_destination();
        let first_went_up = flow.first_went_up;
        let first_seen = flow.first_seen;
        let key = self.flows.key(index);
        let last = open.tracker.last_packet().time;
        let end_of_source = output.ends.get(&open.source);
        let until = end_of_source.map_or(now, |end| (*end).max(last).min(now));
        open.tracker.note_until(until);
        open.tracker.handle_end();
        let end = if open.tracker.is_decided() {
            End::Decided
        } else {
            end
        };
        let (forward, reverse) = key.ends(first_went_up);
        let [client_random, server_random] = open.tracker.randoms();
        let concluded = Concluded {
            end,
            origin: Origin {
                source: open.source,
                flow_id: key.id(first_seen),
                forward,
                reverse,
                vlan: open.layers.vlan.ids().to_vec(),
                tunnel: open.layers.tunnels.iter().collect(),
                transport: Transport::Udp,
                protocol: open.protocol,
                starttls: None,
                eap: None,
                round_trips: RoundTrips::NONE,
                conflict: Conflict::default(),
            },
            identity: Identity {
                client_random,
                server_random,
                marks: WireMarks::UNKNOWN,
                is_upgraded: false,
            },
            retained,
        };
        conclusion.report(&mut open.tracker, concluded, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_tells_hellos_from_other_datagrams() {
        let long = match cfg!(feature = "quic") {
            true => FirstLook::MayContinue,
            false => FirstLook::MayBelong,
        };
        let looks: [(&[u8], FirstLook); 8] = [
            (&[], FirstLook::Other),
            (
                b"\x16\xfe\xff\0\0\0\0\0\0\0\0",
                FirstLook::MayBegin(Protocol::Dtls),
            ),
            (b"\x16\xfe\xfd\0\x01\0\0\0\0\0\0", FirstLook::MayContinue),
            (b"\x16\x03\x03\0\x01", FirstLook::MayBelong),
            (b"\xc3\0\0\0\x01\x08", long), // an Initial that is cut short
            (b"\xc3\0\0\0\x02\x08", FirstLook::MayBelong), // a version that is not known
            (b"\x80\0\0\0\0\x08", long),   // version negotiation
            (b"\x12\x34\x01\0\0\x01", FirstLook::MayBelong),
        ];
        for (payload, look) in looks {
            assert_eq!(FirstLook::at(payload), look, "{payload:?}");
        }
    }
}
