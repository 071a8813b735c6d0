//! UDP: conversations that may be handshakes, in a table of their own.
//!
//! Nothing in UDP says where a conversation begins or ends, and most datagrams are none of ours. So one look at
//! the first bytes decides whether a datagram is looked at again ([`FirstLook`]); and only one that may begin a
//! handshake makes an entry in the table.

mod claims;
mod ending;
mod guesses;
mod moved;
mod open;
mod packet;

use std::collections::HashMap;
use std::time::Duration;

use crate::event::Protocol;
use crate::flow::{Direction, FlowKey};
use crate::framing::dtls::may_have_channel_data;
use crate::framing::quic::{self};
use crate::handshake::{Answer, End};
use crate::time::Timestamp;
use crate::transport::quic::ConnectionId;
use crate::transport::radius::RadiusPacket;
use crate::transport::tcp::Arrival;
use crate::transport::{FlowIndex, FlowTable, LIFETIMES, Lifetime};

use super::Config;
use super::account::LARGE_HANDSHAKE;
use super::conclusion::{Conclusion, Unfinished};
use super::open_handshakes::OpenHandshakes;
use super::retained::RetainedPackets;
use super::shard::ShardOutput;

use claims::{Claim, MAX_OTHERS, QUIET, Rival, SharedPorts};
use guesses::GuessBudget;
use moved::Moved;
use open::{Open, open};
pub(super) use packet::{DatagramPacket, FirstLook, IcmpPacket};

/// What the very first bytes of a datagram show: enough for most of what is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glance {
    /// It is none of ours, on any port that announces no tunnel.
    Other,
    /// As [`FirstLook::MayBelong`], with its first byte.
    MayBelong(u8),
    /// It takes a [`FirstLook`], or it may be RADIUS or Teredo.
    Unclear,
}

impl Glance {
    /// Looks at the payload of a datagram.
    #[inline(always)]
    pub(super) fn at(payload: &[u8]) -> Self {
        let Some(&first) = payload.first() else {
            return Self::Other;
        };
        let is_other = match FIRST_BYTES[usize::from(first)] {
            FirstByte::Plain => true,
            FirstByte::Channel => !may_have_channel_data(payload),
            FirstByte::Long => quic::look(payload) == quic::Look::Other,
            FirstByte::Any => false,
        };
        match is_other {
            true if payload.len() > 1 => Self::MayBelong(first),
            _ => Self::Unclear,
        }
    }
}

/// What a datagram with some first byte may be apart from a 1-RTT packet of QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstByte {
    /// Nothing.
    Plain,
    /// TURN's ChannelData (RFC 8656 §12.4), which may carry DTLS.
    Channel,
    /// QUIC with a long header.
    Long,
    /// STUN, RADIUS, CAPWAP, DTLS, or IPv6 in Teredo without its port.
    Any,
}

static FIRST_BYTES: [FirstByte; 256] = {
    let (mut bytes, mut at) = ([FirstByte::Plain; 256], 0);
    while at < bytes.len() {
        bytes[at] = match at {
            0..=3 | 11 | 20..=63 | 0x60..=0x6f => FirstByte::Any,
            64..=79 => FirstByte::Channel,
            LONG_FIRST.. => FirstByte::Long,
            _ => FirstByte::Plain,
        };
        at += 1;
    }
    bytes
};

/// [`LONG`] as a number of a first byte.
const LONG_FIRST: usize = LONG as usize;

/// A conversation between two UDP ports.
#[derive(Debug)]
struct Datagrams {
    /// Whether the first datagram seen went from the lower to the higher endpoint.
    first_went_up: bool,
    /// Whether datagrams of both directions were seen, by their addresses.
    has_shown_both: bool,
    first_seen: Timestamp,
    /// Part of the client's random, once it was seen.
    hello: Option<u64>,
    /// What is followed; `None` once nothing more is to be learned.
    open: Option<Box<Open>>,
    /// Over QUIC: what else is, or was, between these ports.
    shared: Option<Box<SharedPorts>>,
    retained: Option<RetainedPackets>,
}

impl Datagrams {
    /// Whether its handshake takes more memory than ordinary ones.
    fn is_large(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.allocated > LARGE_HANDSHAKE)
    }

    /// The place of the client's packets of QUIC in the order of the flow's endpoints.
    fn client_goes_up(&self) -> Option<bool> {
        let client = self.open.as_ref()?.tracker.client();
        Some((client == Direction::Forward) == self.first_went_up)
    }
}

/// The bit that says that a QUIC packet has a long header.
const LONG: u8 = 0x80;

/// The UDP conversations of one shard.
#[derive(Debug)]
pub(super) struct DatagramTable {
    flows: FlowTable<Datagrams>,
    /// The flows of open handshakes over QUIC, by the id that the server has chosen. A NAT may give a client another port in the
    /// middle of a handshake (RFC 9000 §9.3.3): the id then says which connection its packets belong to.
    by_id: HashMap<ConnectionId, FlowKey>,
    /// How many of these ids have each length: the header of a 1-RTT packet does not say it.
    id_lengths: [u32; ConnectionId::MAX + 1],
    /// Flows that clients have moved to: no more than one for each flow.
    moved: HashMap<FlowKey, Moved>,
    guesses: GuessBudget,
    /// Handshakes without a verdict yet.
    pub(super) open: OpenHandshakes,
    /// Bytes that handshakes and retained packets take.
    allocated: usize,
    /// Bytes that it may take in addition to what it takes, as last known.
    room: usize,
}

/// Shares of a shard's memory for UDP that the entries of its table may take, if nothing else needs them: an eighth of the memory
/// of all flows.
const MOST_SHARES: usize = 32;

/// Places in a map that are not given back.
const SMALL_MAP: usize = 1 << 10;

/// How long a conversation is followed without a packet in which no handshake is open.
const DONE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a handshake is followed that a side seems to have closed, over QUIC: had somebody else sent the CONNECTION_CLOSE, the side would
/// go on, or repeat what it had sent within its first probe, after a second (RFC 9002 §6.2.2).
const CLOSING_TIMEOUT: Duration = Duration::from_secs(3);

impl Unfinished for DatagramTable {
    type Place = FlowIndex;

    fn allocated(&self) -> usize {
        self.flows.allocated()
            + self.allocated
            + self.by_id.capacity() * (size_of::<(ConnectionId, FlowKey)>() + 1)
            + self.moved.capacity() * (size_of::<(FlowKey, Moved)>() + 1)
    }

    fn next(&mut self) -> Option<FlowIndex> {
        self.flows.any()
    }

    fn remove(
        &mut self,
        index: FlowIndex,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while self
            .flows
            .get(index)
            .is_some_and(|flow| flow.open.is_some())
        {
            self.conclude(index, end, now, conclusion, output);
        }
        if let Some(flow) = self.flows.remove(index)
            && let Some(shared) = flow.shared
        {
            self.allocated -= shared.counted;
            if let Some(moved_to) = shared.moved_to {
                self.moved.remove(&moved_to);
            }
        }
    }
}

impl DatagramTable {
    /// A table that may take `share` bytes of memory, and more while there is room ([`DatagramTable::note_room`]). A handshake
    /// without progress is reported after `handshake_timeout`.
    pub(super) fn new(share: usize, handshake_timeout: Duration) -> Self {
        let mut limits = [handshake_timeout; LIFETIMES];
        limits[Lifetime::Established as usize] = DONE_TIMEOUT;
        limits[Lifetime::Closing as usize] = CLOSING_TIMEOUT.min(handshake_timeout);
        let most = share * MOST_SHARES / FlowTable::<Datagrams>::BYTES_PER_FLOW;
        Self {
            flows: FlowTable::new(most, limits),
            by_id: HashMap::new(),
            id_lengths: [0; ConnectionId::MAX + 1],
            moved: HashMap::new(),
            guesses: GuessBudget::default(),
            open: OpenHandshakes::default(),
            allocated: 0,
            room: share,
        }
    }

    /// How many conversations there are.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Notes how many bytes it may take in addition to what it takes now.
    pub(super) const fn note_room(&mut self, room: usize) {
        self.room = room;
    }

    /// Whether the next conversation makes the table larger: then it has to be known how much room there is.
    pub(super) const fn is_about_to_grow(&self) -> bool {
        self.flows.growth() > 0
    }

    /// Gives back what a flood has left.
    pub(super) fn shrink(&mut self) {
        self.flows.shrink();
        if self.by_id.capacity() > SMALL_MAP.max(4 * self.by_id.len()) {
            self.by_id.shrink_to(2 * self.by_id.len());
        }
        if self.moved.capacity() > SMALL_MAP.max(4 * self.moved.len()) {
            self.moved.shrink_to(2 * self.moved.len());
        }
    }

    /// Whether a datagram belongs to no conversation, begins none, and is no RADIUS packet, as most of those that only look like a part of
    /// one: then there is nothing to do.
    pub(super) fn is_of_none(&self, key: &FlowKey, packet: &DatagramPacket<'_>) -> bool {
        let has_moved = !self.moved.is_empty() || !self.by_id.is_empty();
        let is_known = || !self.flows.is_empty() && self.flows.find(key).is_some();
        let length = packet.header.payload.wire_length as usize;
        !has_moved
            && !is_known()
            && !RadiusPacket::may_be(packet.payload, length)
            && !matches!(FirstLook::at(packet.payload), FirstLook::MayBegin(_))
    }

    /// Takes a datagram of a flow.
    pub(super) fn handle(
        &mut self,
        flow: (FlowKey, bool),
        packet: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        let (mut key, mut goes_up) = flow;
        let mut known = self.flows.find(&key);
        if known.is_none()
            && let Some(home) = self.home_of(flow, packet.payload)
        {
            (key, goes_up) = home;
            known = self.flows.find(&key);
        }
        if let Some(index) = known.filter(|index| self.flows.is_expired(*index, at.time))
            && !self.report_closing(index, at.time, conclusion, output)
        {
            self.remove(index, End::Silence, at.time, conclusion, output);
            known = None;
        }
        let beginning = packet.beginning();
        let hello = beginning.and_then(|beginning| beginning.client_hello());
        if let Some(index) = known
            && let Some(flow) = self.flows.get_mut(index)
        {
            let direction = Direction::of(goes_up, flow.first_went_up);
            let opening = beginning.and_then(|beginning| beginning.hello);
            match flow.claim_records(direction, packet, opening.as_ref()) {
                Claim::AtHand => {}
                Claim::Replaces => {
                    self.remove(index, End::Replaced, at.time, conclusion, output);
                    known = None;
                }
                Claim::Rivals => {
                    self.begin_rival(index, hello, packet, conclusion, output);
                    return self.feed_rival(index, direction, packet, conclusion.config);
                }
                Claim::OfRival => {
                    return self.feed_rival(index, direction, packet, conclusion.config);
                }
                Claim::OfNone => return self.retain(index, packet, conclusion.config),
                Claim::RivalWins => {
                    self.conclude(index, End::Replaced, at.time, conclusion, output);
                }
            }
        }
        if let Some(index) = known
            && let Some(flow) = self.flows.get_mut(index)
        {
            let direction = Direction::of(goes_up, flow.first_went_up);
            if !flow.claim(direction, packet, beginning.is_some()) {
                if flow.open.is_none() {
                    self.flows.touch(index, Lifetime::Established, at.time);
                }
                return;
            }
            if let Some(open) = &mut flow.open {
                open.tracker.allow_guesses(self.guesses.has_some(at.time));
            }
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
        flow.has_shown_both |= direction == Direction::Reverse;
        let has_shown_both = flow.has_shown_both;
        if flow.open.is_none() {
            return self.flows.touch(index, Lifetime::Established, at.time);
        }
        self.retain(index, packet, conclusion.config);
        let open = self
            .flows
            .get_mut(index)
            .and_then(|flow| flow.open.as_mut());
        let Some(open) = open else {
            return;
        };
        open.tracker.allow_guesses(self.guesses.has_some(at.time));
        let direction = match has_shown_both {
            true => Some(direction),
            false => open.sender_of(direction, packet),
        };
        match direction {
            Some(direction) => open.take(direction, packet, at),
            None if open.tracker.is_settled() => {}
            None => open.tracker.note_truncated(),
        }
        let (wrong, refused) = open.tracker.take_guesses();
        self.guesses.wrong += wrong;
        conclusion.stats.quic_guesses_refused += refused;
        open.count_in(&mut self.allocated);
        if open.protocol == Protocol::Quic {
            let server_id = open.tracker.server_id();
            if server_id != open.indexed {
                let earlier = std::mem::replace(&mut open.indexed, server_id);
                self.index(key, earlier, server_id);
            }
        }
        let Some(open) = self.flows.get(index).and_then(|flow| flow.open.as_ref()) else {
            return;
        };
        if open.tracker.is_decided() {
            self.conclude(index, End::Decided, at.time, conclusion, output);
        } else if open.tracker.is_ruled_out() {
            self.give_back(index);
        }
        self.flows.touch(index, self.lifetime(index), at.time);
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
        // It says which ports it is about, and not which of several connections between them; but only one of them may have sent
        // such a datagram.
        let others = flow.shared.iter_mut().flat_map(|shared| &mut shared.others);
        for open in others.chain([open]) {
            if !open.lengths[direction].has(packet.error.length) {
                continue;
            }
            open.tracker.note_undeliverable(direction, packet.error, at);
            open.count_in(&mut self.allocated);
        }
    }

    /// Begins a handshake over DTLS next to the one at hand; an earlier rival is reported.
    fn begin_rival(
        &mut self,
        index: FlowIndex,
        hello: Option<u64>,
        packet: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let has_rival = |flow: &Datagrams| {
            let shared = flow.shared.as_ref();
            shared.is_some_and(|shared| shared.rival.is_some())
        };
        if let Some(flow) = self.flows.get_mut(index).filter(|flow| has_rival(flow)) {
            flow.swap_rival();
            let now = packet.record.timestamp;
            self.conclude(index, End::Replaced, now, conclusion, output);
        }
        let (Some(flow), Some(hello)) = (self.flows.get_mut(index), hello) else {
            return;
        };
        let open = open(Protocol::Dtls, packet, conclusion.config);
        self.open.insert(open.since);
        conclusion.stats.connections += 1;
        flow.shared.get_or_insert_default().rival = Some(Rival {
            hello,
            open: Box::new(open),
            cookie: Box::default(),
            has_retry: false,
        });
        self.count_shared(index);
    }

    /// Takes a datagram of the rival.
    fn feed_rival(
        &mut self,
        index: FlowIndex,
        direction: Direction,
        packet: &DatagramPacket<'_>,
        config: &Config,
    ) {
        self.retain(index, packet, config);
        let at = Arrival::new(packet.record.timestamp, packet.record.number);
        let flow = self.flows.get_mut(index);
        if let Some(shared) = flow.and_then(|flow| flow.shared.as_mut())
            && let Some(rival) = &mut shared.rival
        {
            rival.open.take(direction, packet, at);
            rival.open.count_in(&mut self.allocated);
        }
    }

    /// Retains a packet for all handshakes between its ports, if packets are retained.
    fn retain(&mut self, index: FlowIndex, packet: &DatagramPacket<'_>, config: &Config) {
        if config.retains_packets
            && let Some(flow) = self.flows.get_mut(index)
        {
            let before = flow.retained.as_ref().map_or(0, RetainedPackets::bytes);
            let retained = flow.retained.get_or_insert_default();
            retained.push(packet.record, packet.bytes, packet.interface, true);
            self.allocated += retained.bytes() - before;
        }
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
        let has_room = !self.flows.is_full() && self.flows.growth() <= self.room;
        if !has_room && let Some(oldest) = self.flows.evict(at.time) {
            conclusion.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, at.time, conclusion, output);
        }
        let open = open(protocol, packet, conclusion.config);
        self.open.insert(open.since);
        conclusion.stats.connections += 1;
        let flow = Datagrams {
            first_went_up: goes_up,
            has_shown_both: false,
            first_seen: at.time,
            hello: None,
            open: Some(Box::new(open)),
            shared: None,
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
        if let Some(open) = &mut flow.open {
            // A client that was refused a version tries another one at once.
            let waited = at.time.checked_since(open.tracker.last_packet().time);
            let is_late = waited.is_some_and(|waited| waited >= QUIET);
            // Of captures that are read together, one that goes on would have it.
            let has_ended = |end: &Timestamp| *end <= at.time;
            let is_elsewhere = open.source != packet.interface.source
                && !output.ends.get(&open.source).is_some_and(has_ended);
            let is_replaced =
                open.tracker
                    .is_replaced_by(direction, packet.payload, is_late || is_elsewhere);
            if !is_replaced {
                return;
            }
            // The other may go on next to the new one.
            if open.tracker.has_hello() {
                self.put_by(index, at.time, conclusion, output);
            } else {
                self.conclude(index, End::Replaced, at.time, conclusion, output);
            }
        } else if protocol != Protocol::Quic {
            return;
        }
        let open = open(protocol, packet, conclusion.config);
        self.open.insert(open.since);
        conclusion.stats.connections += 1;
        if let Some(flow) = self.flows.get_mut(index)
            && let Some(replaced) = flow.open.replace(Box::new(open))
        {
            // It was put by, or it is one that was.
            let shared = flow.shared.get_or_insert_default();
            shared.others.push(replaced);
            self.count_shared(index);
        }
    }

    /// Makes room for another connection between the same ports: the oldest open one is reported if there are too many.
    fn put_by(
        &mut self,
        index: FlowIndex,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let shared = flow.shared.get_or_insert_default();
        if shared.others.len() < MAX_OTHERS {
            return;
        }
        let oldest = shared.others.iter_mut().min_by_key(|other| other.since);
        if let (Some(open), Some(oldest)) = (&mut flow.open, oldest) {
            std::mem::swap(open, oldest);
        }
        conclusion.stats.connections_evicted += 1;
        self.conclude(index, End::Evicted, now, conclusion, output);
    }

    fn lifetime(&self, index: FlowIndex) -> Lifetime {
        let open = self.flows.get(index).and_then(|flow| flow.open.as_ref());
        match open.map(|open| open.tracker.answer()) {
            None => Lifetime::Established,
            Some(_) if self.is_closing(index) => Lifetime::Closing,
            Some(Answer::Bytes) => Lifetime::Handshake,
            Some(Answer::Packets) => Lifetime::Unanswered,
            Some(Answer::None) => Lifetime::HalfOpen,
        }
    }

    /// Whether a side seems to have closed the handshake at hand.
    fn is_closing(&self, index: FlowIndex) -> bool {
        let open = self.flows.get(index).and_then(|flow| flow.open.as_ref());
        open.is_some_and(|open| open.tracker.is_closing())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn a_glance_says_what_a_look_says(
            first in any::<u8>(),
            version in prop_oneof![any::<[u8; 4]>(), Just([0, 0, 0, 0]), Just([0, 0, 0, 1]), Just([0, 1, 0, 30])],
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            length in prop_oneof![0..30usize, 1190..1210usize],
        ) {
            let mut payload = [&[first][..], &version, &rest].concat();
            payload.resize(length, 0x20);
            let is_radius = RadiusPacket::may_be(&payload, payload.len());
            let look = FirstLook::at(&payload);
            match Glance::at(&payload) {
                Glance::Other => prop_assert_eq!((look, is_radius), (FirstLook::Other, false)),
                Glance::MayBelong(seen) => {
                    prop_assert_eq!((look, is_radius, seen), (FirstLook::MayBelong, false, first));
                }
                Glance::Unclear => {}
            }
        }
    }

    #[test]
    fn a_glance_tells_most_datagrams_of_others() {
        for payload in [
            &b"\x40\0\x7f\xff\x16"[..],
            b"\x80\x60\x12\x34\0\0",
            b"\x52short",
            b"\x90dns",
        ] {
            assert_eq!(
                Glance::at(payload),
                Glance::MayBelong(payload[0]),
                "{payload:?}"
            );
        }
        assert_eq!(Glance::at(&[]), Glance::Other);
    }
}
