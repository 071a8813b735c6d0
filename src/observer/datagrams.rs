//! UDP: conversations that may be handshakes, in a table of their own.
//!
//! Nothing in UDP says where a conversation begins or ends, and most datagrams are none of ours. So one look at
//! the first bytes decides whether a datagram is looked at again ([`FirstLook`]); and only one that may begin a
//! handshake makes an entry in the table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketRecord};
use crate::decode::{IcmpError, Layers, UdpHeader};
use crate::event::{Identity, Protocol, Transport, WireMarks};
use crate::flow::{Direction, FlowKey, PerDirection};
use crate::framing::Payload;
use crate::framing::dtls::{Opening, dtls_in, may_have_channel_data, number_of_alert, opening};
use crate::framing::quic::{self, KnownIds};
use crate::handshake::{Answer, Conflict, End, Origin, Tracker};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::HandshakeType;
use crate::transport::quic::ConnectionId;
use crate::transport::radius::RadiusPacket;
use crate::transport::tcp::{Arrival, RoundTrips};
use crate::transport::{FlowIndex, FlowTable, LIFETIMES, Lifetime};

use super::Config;
use super::account::LARGE_HANDSHAKE;
use super::conclusion::{Concluded, Conclusion, Unfinished};
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
    fn beginning(&self) -> Option<Beginning<'p>> {
        let FirstLook::MayBegin(protocol) = FirstLook::at(self.payload) else {
            return None;
        };
        let mut hello = None;
        if protocol == Protocol::Dtls {
            let Payload { captured, missing } = self.content(protocol);
            hello = Some(opening(captured, missing)?);
        }
        Some(Beginning { protocol, hello })
    }
}

/// Part of a random, which tells hellos apart.
fn part_of([a, b, c, d, e, f, g, h, ..]: [u8; 32]) -> u64 {
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
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
struct Beginning<'p> {
    protocol: Protocol,
    /// The hello of DTLS.
    hello: Option<Opening<'p>>,
}

impl Beginning<'_> {
    /// Part of the client's random, if it shows: with another one, a client begins again from the same port.
    fn client_hello(&self) -> Option<u64> {
        self.hello?.client_random().map(part_of)
    }
}

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

/// Over QUIC, several connections may share two ports: only their ids tell their packets apart (RFC 9000 §5.2).
#[derive(Debug, Default)]
struct SharedPorts {
    /// Connections whose handshakes are open in addition to the one at hand.
    #[expect(clippy::vec_box, reason = "they change places with the one at hand")]
    others: Vec<Box<Open>>,
    /// Connections that were reported, oldest first: their packets belong to no other.
    reported: Vec<ReportedConnection>,
    /// The flow that the client has moved to.
    moved_to: Option<FlowKey>,
    /// Over DTLS: another hello than that of the handshake at hand.
    rival: Option<Rival>,
    /// Bytes of memory that it takes, as last counted.
    counted: usize,
}

/// A handshake over DTLS whose hello came while another one was open that the server had answered: the client has begun again, or somebody
/// else has sent a hello in its name, which is easy over UDP.
///
/// It takes the place of the other once the server goes on with it: the client repeats a cookie that the server sent to its address after this
/// hello (RFC 6347 §4.2.1), or another ServerHello comes.
#[derive(Debug)]
struct Rival {
    /// Part of the client's random.
    hello: u64,
    open: Box<Open>,
    /// What the server answered to this hello, or to one that was sent in between.
    cookie: Box<[u8]>,
    /// Whether that was a HelloRetryRequest, of which the client repeats the cookie in an extension.
    has_retry: bool,
}

/// What a datagram of DTLS means for the handshakes between its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It belongs to the one at hand, or to none.
    AtHand,
    /// It begins another one, and nothing more is to be expected of the one at hand.
    Replaces,
    /// It is the first of a rival.
    Rivals,
    /// It belongs to the rival.
    OfRival,
    /// It may belong to either.
    OfNone,
    /// The rival takes the place of the one at hand, and it is the first datagram of it after that.
    RivalWins,
}

/// A connection over QUIC that was reported.
#[derive(Debug)]
struct ReportedConnection {
    ids: KnownIds,
    /// Its latest packet that showed one of these ids.
    last: Timestamp,
    source: Arc<str>,
}

/// How long a connection over QUIC has been quiet to which a packet with an id that nobody knows does not belong, if another
/// connection between the same ports has spoken since.
///
/// A client gets other ids once its handshake is complete (RFC 9000 §5.1.1), and those are encrypted. Two connections that use the same ports
/// one after the other (a program with a fixed port, captures that are read together) differ in time: one is silent while the other
/// completes its handshake, which takes a few round trips.
const QUIET: Duration = Duration::from_secs(1);

/// Open handshakes over QUIC between two ports, in addition to the one at hand. Programs have one connection to a server, or a
/// few: the oldest is reported as it stands when there are more.
const MAX_OTHERS: usize = 8;

/// Connections between two ports whose ids are remembered after their report, the newest.
const MAX_REPORTED: usize = 4;

impl SharedPorts {
    /// Bytes of memory that it takes, without open handshakes, which are counted one by one.
    fn allocated(&self) -> usize {
        let ids = self.reported.iter().map(|known| known.ids.allocated());
        let ids: usize = ids.sum();
        boxed::<Self>()
            + self.reported.capacity() * size_of::<ReportedConnection>()
            + self.others.capacity() * size_of::<Box<Open>>()
            + ids
    }

    /// Finds the connection that has got an id which nobody knows, among those that were not quiet, and makes it the one at hand.
    /// False if it is none with an open handshake, or if nothing says which: then each of them may lack this packet.
    fn claim_unknown(&mut self, open: &mut Box<Open>, source: &Arc<str>, now: Timestamp) -> bool {
        let is_lively = |last: Timestamp| now.checked_since(last).is_none_or(|quiet| quiet < QUIET);
        let connections = || {
            let reported = self
                .reported
                .iter()
                .map(|known| (known.last, &known.source));
            let open = self.others.iter().chain([&*open]);
            reported.chain(open.map(|open| (open.tracker.last_packet().time, &open.source)))
        };
        // Captures that are read together may have the same ports at the same time.
        let is_of_source = connections().any(|(last, other)| is_lively(last) && other == source);
        let may_own =
            |last, other: &Arc<str>| is_lively(last) && (!is_of_source || other == source);
        let owners = connections().filter(|(last, other)| may_own(*last, other));
        let (owners, is_any_lively) = match owners.count() {
            0 => (connections().count(), false),
            count => (count, true),
        };
        let may_own =
            |open: &Open| !is_any_lively || may_own(open.tracker.last_packet().time, &open.source);
        if owners > 1 {
            let all = self.others.iter_mut().chain([open]);
            for open in all.filter(|open| may_own(open)) {
                open.tracker.note_truncated();
            }
            return false;
        }
        if may_own(open) {
            return true;
        }
        let other = self.others.iter_mut().find(|other| may_own(other));
        let is_found = other.is_some();
        if let Some(other) = other {
            std::mem::swap(open, other);
        }
        is_found
    }
}

impl Datagrams {
    /// Whether its handshake takes more memory than ordinary ones.
    fn is_large(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.allocated > LARGE_HANDSHAKE)
    }

    /// Makes the connection that a datagram belongs to the one at hand; false if it belongs to none with an open handshake.
    ///
    /// `begins` says whether the datagram may begin another one.
    fn claim(&mut self, direction: Direction, packet: &DatagramPacket<'_>, begins: bool) -> bool {
        let (payload, now) = (packet.payload, packet.record.timestamp);
        let Some(shared) = &mut self.shared else {
            return true; // there was no other
        };
        let owns = |open: &Open| matches!(open.tracker.connection_ids(), Some(ids) if ids.own(direction, payload));
        if let Some(open) = &mut self.open {
            if owns(open) {
                return true;
            }
            if let Some(other) = shared.others.iter_mut().find(|other| owns(other)) {
                std::mem::swap(open, other);
                return true;
            }
        }
        let reported = shared.reported.iter_mut();
        let mut owners = reported.filter(|known| known.ids.own(direction, payload));
        if let Some(owner) = owners.next() {
            owner.last = owner.last.max(now);
            return false;
        }
        let Some(open) = &mut self.open else {
            return begins;
        };
        let has_no_ids = |ids: &KnownIds| ids.are_empty(direction);
        if begins || open.tracker.connection_ids().is_none_or(has_no_ids) {
            return true;
        }
        if payload.first().is_none_or(|first| first & LONG != 0) {
            return false;
        }
        shared.claim_unknown(open, &packet.interface.source, now)
    }

    /// Which handshake over DTLS a datagram belongs to, with the `hello` that it begins with.
    fn claim_records(
        &mut self,
        direction: Direction,
        packet: &DatagramPacket<'_>,
        hello: Option<&Opening<'_>>,
    ) -> Claim {
        match hello {
            Some(hello) => self.claim_hello(hello),
            None => self.claim_alert(direction, packet),
        }
    }

    /// Which handshake a datagram with a hello belongs to.
    fn claim_hello(&mut self, hello: &Opening<'_>) -> Claim {
        let begun = hello.client_random().map(part_of);
        let is_other = matches!((self.hello, begun), (Some(known), Some(begun)) if known != begun);
        let Some(open) = &mut self.open else {
            return if is_other {
                Claim::Replaces
            } else {
                Claim::AtHand
            };
        };
        let random = hello.random.map(part_of);
        let rival = self
            .shared
            .as_mut()
            .and_then(|shared| shared.rival.as_mut());
        match (hello.handshake_type, rival) {
            (HandshakeType::ClientHello, Some(rival)) if random == Some(rival.hello) => {
                if hello.sequence == 0 {
                    return Claim::OfRival;
                }
                let is_echo = !hello.cookie.is_empty() && *rival.cookie == *hello.cookie;
                if is_echo || rival.has_retry {
                    return Claim::RivalWins;
                }
                // The capture may lack what the server answered: then what follows belongs to the rival.
                open.tracker.note_truncated();
                Claim::OfRival
            }
            // A client that nobody answered, or that was refused, is free to begin again.
            (HandshakeType::ClientHello, _) if is_other => {
                match open.tracker.is_refused() || open.tracker.answer() != Answer::Bytes {
                    true => Claim::Replaces,
                    false => Claim::Rivals,
                }
            }
            (HandshakeType::HelloVerifyRequest, Some(rival)) => {
                rival.cookie = hello.cookie.into();
                Claim::OfRival
            }
            (HandshakeType::ServerHello, Some(rival)) if hello.is_retry() => {
                rival.has_retry = true;
                Claim::OfRival
            }
            (HandshakeType::ServerHello, Some(_)) => {
                let is_answer_to_rival = match open.tracker.randoms()[1] {
                    Some(known) => random != Some(part_of(known)),
                    // After a HelloVerifyRequest, it is the second message.
                    None => hello.sequence == 0,
                };
                match is_answer_to_rival {
                    true => Claim::RivalWins,
                    false => Claim::AtHand,
                }
            }
            _ => Claim::AtHand,
        }
    }

    /// Which handshake an alert in the clear belongs to, if there is a rival: each client numbers its records.
    fn claim_alert(&mut self, direction: Direction, packet: &DatagramPacket<'_>) -> Claim {
        let rival = self
            .shared
            .as_ref()
            .and_then(|shared| shared.rival.as_ref());
        let (Some(open), Some(rival)) = (&mut self.open, rival) else {
            return Claim::AtHand;
        };
        let next = |open: &Open| open.tracker.next_in_clear(direction);
        let Payload { captured, missing } = packet.content(Protocol::Dtls);
        let number = number_of_alert(captured, missing);
        let (Some(number), Some(next_at_hand), Some(next_of_rival)) =
            (number, next(open), next(&rival.open))
        else {
            return Claim::AtHand;
        };
        if next_of_rival == 0 || number < next_of_rival {
            return Claim::AtHand; // that side has sent nothing in the rival, or has gone on from there
        }
        if number < next_at_hand {
            return Claim::OfRival;
        }
        match (number == next_at_hand, number == next_of_rival) {
            (true, false) => Claim::AtHand,
            (false, true) => Claim::OfRival,
            _ => {
                open.tracker.note_truncated(); // it is not known what became of it
                Claim::OfNone
            }
        }
    }

    /// Makes the rival the one at hand, and the other way round.
    fn swap_rival(&mut self) {
        let rival = self
            .shared
            .as_mut()
            .and_then(|shared| shared.rival.as_mut());
        if let (Some(rival), Some(open), Some(hello)) = (rival, &mut self.open, &mut self.hello) {
            std::mem::swap(&mut rival.open, open);
            std::mem::swap(&mut rival.hello, hello);
            self.first_seen = open.since;
        }
    }

    /// The place of the client's packets of QUIC in the order of the flow's endpoints.
    fn client_goes_up(&self) -> Option<bool> {
        let client = self.open.as_ref()?.tracker.client();
        Some((client == Direction::Forward) == self.first_went_up)
    }
}

/// The bit that says that a QUIC packet has a long header.
const LONG: u8 = 0x80;

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
        has_same_addresses: false,
        indexed: None,
        lengths: PerDirection::default(),
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
    /// Over DTLS: whether both sides were seen to send with the same addresses.
    has_same_addresses: bool,
    /// Over QUIC: the server's id under which the flow is found if the client moves.
    indexed: Option<ConnectionId>,
    /// How long the datagrams of each side are.
    lengths: PerDirection<LatestLengths>,
}

impl Open {
    /// Who has sent a datagram that has the addresses of one from `seen`, where no datagram had those of the other direction: it may be
    /// that both directions have the same. `None` if nothing says it.
    fn sender_of(&mut self, seen: Direction, packet: &DatagramPacket<'_>) -> Option<Direction> {
        if self.protocol != Protocol::Dtls {
            let ids = self.tracker.connection_ids();
            return Some(ids.map_or(seen, |ids| ids.sender(seen, packet.payload)));
        }
        if !self.tracker.has_hello() {
            return Some(seen);
        }
        let origin = self.tracker.origin_of(packet.content(self.protocol));
        let is_other = origin.is_some_and(|origin| origin.sender != seen);
        self.has_same_addresses |= is_other && origin.is_some_and(|origin| origin.is_by_message);
        match (self.has_same_addresses, is_other) {
            (true, _) => origin.map(|origin| origin.sender),
            // Either both directions have the same addresses, or somebody else has sent it.
            (false, true) => None,
            (false, false) => Some(seen),
        }
    }

    /// Takes a datagram that belongs to it.
    fn take(&mut self, direction: Direction, packet: &DatagramPacket<'_>, at: Arrival) {
        if packet.header.payload.is_truncated() {
            self.tracker.note_truncated();
        }
        self.layers.add_missing(packet.layers);
        self.lengths[direction].note(packet.header.payload.wire_length);
        let content = packet.content(self.protocol);
        self.tracker.handle_datagram(direction, content, at);
    }

    /// Counts the memory that it takes now, in place of what it took before, in that of all.
    fn count_in(&mut self, all: &mut usize) {
        let allocated = boxed::<Self>() + self.tracker.allocated();
        *all = *all - self.allocated + allocated;
        self.allocated = allocated;
    }
}

/// The lengths of the latest datagrams of a side: what an ICMP error quotes is one of them (RFC 8085 §5.2). Ports alone are easily
/// guessed.
#[derive(Clone, Copy, Debug, Default)]
struct LatestLengths {
    lengths: [u16; LATEST],
    next: u8,
}

/// As many as a side sends before an error about one of them is back.
const LATEST: usize = 16;

impl LatestLengths {
    fn note(&mut self, length: u32) {
        let next = usize::from(self.next) % LATEST;
        self.lengths[next] = u16::try_from(length).unwrap_or(0);
        self.next = (next + 1) as u8;
    }

    /// Whether a datagram of this length is among them; 0 is none.
    fn has(&self, length: u16) -> bool {
        length > 0 && self.lengths.contains(&length)
    }
}

/// Where the packets of a client come from that has moved.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// The flow that its connection began on.
    home: FlowKey,
    /// Whether its packets go up on that flow, and on the one that it has moved to.
    goes_up_at_home: bool,
    goes_up: bool,
}

/// Wrong keys that may be guessed in a second for QUIC of versions that are not known: those of all shards together take some
/// 5 % of a core. Right ones cost nothing, so real clients are not refused unless a flood hides them.
const MAX_WRONG_GUESSES: u32 = 64;

/// In nanoseconds: a second, and how far packets may be out of order.
const SECOND: i64 = 1_000_000_000;
const MAX_DISORDER: i64 = 60 * SECOND;

/// What may be guessed in a second of packet time.
#[derive(Debug, Default)]
struct GuessBudget {
    since: Timestamp,
    wrong: u32,
}

impl GuessBudget {
    /// Whether there is some left.
    fn has_some(&mut self, now: Timestamp) -> bool {
        // Packets may be a little out of order, and captures are glued together.
        let elapsed = now.nanoseconds_since(self.since);
        if !(-MAX_DISORDER..SECOND).contains(&elapsed) {
            *self = Self {
                since: now,
                wrong: 0,
            };
        }
        self.wrong < MAX_WRONG_GUESSES
    }
}

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

    /// Notes the id that the server has chosen for a connection, in place of an earlier one.
    fn index(&mut self, key: FlowKey, earlier: Option<ConnectionId>, id: Option<ConnectionId>) {
        if let Some(earlier) = earlier
            && self.by_id.get(&earlier) == Some(&key)
        {
            self.by_id.remove(&earlier);
            self.id_lengths[earlier.len()] -= 1;
        }
        if let Some(id) = id
            && self.by_id.insert(id, key).is_none()
        {
            self.id_lengths[id.len()] += 1;
        }
    }

    /// The id that a datagram goes to, if a server has chosen it.
    fn chosen_id(&self, payload: &[u8]) -> Option<ConnectionId> {
        let (first, rest) = payload.split_first()?;
        if first & LONG != 0 {
            return quic::destination(payload).filter(|id| self.by_id.contains_key(id));
        }
        // Of two ids of which one begins with the other, the longer one is no accident.
        let lengths = (0..self.id_lengths.len()).rev();
        let mut ids = lengths
            .filter(|length| self.id_lengths[*length] > 0)
            .filter_map(|length| ConnectionId::new(rest.get(..length)?));
        ids.find(|id| self.by_id.contains_key(id))
    }

    /// The flow on which the client of a datagram was before, if the datagram's own is not known.
    fn home_of(
        &mut self,
        (key, goes_up): (FlowKey, bool),
        payload: &[u8],
    ) -> Option<(FlowKey, bool)> {
        if self.moved.is_empty() && self.by_id.is_empty() {
            return None;
        }
        let moved = match self.moved.get(&key).copied() {
            Some(moved) if self.goes_on(&moved, goes_up, payload) => moved,
            Some(_) => return None,
            None => self.find_moved(key, goes_up, payload)?,
        };
        let is_clients = goes_up == moved.goes_up;
        Some((moved.home, is_clients == moved.goes_up_at_home))
    }

    /// Whether a datagram from or to a port that a client has moved to belongs to the handshake that it moved with: that is still open,
    /// and the client begins no other one there.
    fn goes_on(&self, moved: &Moved, goes_up: bool, payload: &[u8]) -> bool {
        let home = self.flows.find(&moved.home);
        let home = home.and_then(|index| self.flows.get(index));
        let is_clients = goes_up == moved.goes_up;
        let begins = is_clients && matches!(FirstLook::at(payload), FirstLook::MayBegin(_));
        let id = quic::destination(payload);
        let has_its_id = || id.and_then(|id| self.by_id.get(&id)) == Some(&moved.home);
        home.is_some_and(|flow| flow.open.is_some()) && (!begins || has_its_id())
    }

    /// Finds the flow whose client goes on from the port of another, by the id that its server has chosen.
    fn find_moved(&mut self, key: FlowKey, goes_up: bool, payload: &[u8]) -> Option<Moved> {
        let id = self.chosen_id(payload)?;
        let home = *self.by_id.get(&id)?;
        let index = self.flows.find(&home)?;
        let flow = self.flows.get_mut(index)?;
        let goes_up_at_home = flow.client_goes_up()?;
        let (client, server) = home.ends(goes_up_at_home);
        let (sender, receiver) = key.ends(goes_up);
        if receiver != server || sender.address != client.address {
            return None;
        }
        let shared = flow.shared.get_or_insert_default();
        if let Some(earlier) = shared.moved_to.replace(key) {
            self.moved.remove(&earlier);
        }
        self.count_shared(index);
        let moved = Moved {
            home,
            goes_up_at_home,
            goes_up,
        };
        self.moved.insert(key, moved);
        Some(moved)
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

    /// Reports a handshake that a side has closed and that nothing contradicts since; false if it is none. Its flow stays, so that
    /// what still comes begins no other one.
    fn report_closing(
        &mut self,
        index: FlowIndex,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let is_closing = self.is_closing(index);
        if is_closing {
            self.conclude(index, End::Silence, now, conclusion, output);
            self.flows.touch(index, self.lifetime(index), now);
        }
        is_closing
    }

    /// Gives up what is cheapest to lose while there is no room for all: a handshake is reported as it stands, those with least of an
    /// answer first, and then conversations are forgotten.
    pub(super) fn give_up_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(index) = self.flows.least_answered(now, Datagrams::is_large) else {
            if let Some(oldest) = self.flows.evict(now) {
                conclusion.stats.connections_evicted += 1;
                self.remove(oldest, End::Evicted, now, conclusion, output);
            }
            return;
        };
        self.conclude(index, End::Evicted, now, conclusion, output);
        let has_others = self
            .flows
            .get(index)
            .is_some_and(|flow| flow.open.is_some());
        if !has_others {
            self.flows.touch(index, Lifetime::Opening, now);
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
            if self.report_closing(index, now, conclusion, output) {
                continue;
            }
            let open = self.flows.get(index).and_then(|flow| flow.open.as_ref());
            // Without an open handshake, the conversation was only remembered to recognise what still came.
            let is_silent = open.is_some_and(|open| !open.tracker.is_settled());
            conclusion.stats.connections_timed_out += u64::from(is_silent);
            self.remove(index, End::Silence, now, conclusion, output);
        }
    }

    /// Reports handshakes that were quiet for a `pause` in the capture, from `until` to now.
    pub(super) fn end_quiet(
        &mut self,
        pause: Duration,
        [until, now]: [Timestamp; 2],
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(index) = self.flows.quiet_for(pause, now) {
            conclusion.stats.connections_timed_out += 1;
            self.remove(index, End::CaptureEnd, until, conclusion, output);
        }
    }

    /// Stops following a conversation, or one of several over QUIC; what it held is given back.
    fn give_back(&mut self, index: FlowIndex) -> Option<(Box<Open>, Option<RetainedPackets>)> {
        let key = self.flows.key(index);
        let flow = self.flows.get_mut(index)?;
        let open = flow.open.take()?;
        if let Some(shared) = &mut flow.shared {
            flow.open = shared.others.pop();
            if flow.open.is_none()
                && let Some(rival) = shared.rival.take()
            {
                flow.hello = Some(rival.hello);
                flow.first_seen = rival.open.since;
                flow.open = Some(rival.open);
            }
        }
        let retained = if flow.open.is_some() {
            flow.retained.clone() // the others need them, too
        } else {
            let retained = flow.retained.take();
            self.allocated -= retained.as_ref().map_or(0, RetainedPackets::bytes);
            retained
        };
        self.allocated -= open.allocated;
        self.open.remove(open.since);
        self.index(key, open.indexed, None);
        Some((open, retained))
    }

    /// Remembers the ids of a connection that is reported, if there is room: they keep its packets apart from those of others
    /// between the same ports.
    fn remember(&mut self, index: FlowIndex, source: Arc<str>, tracker: &Tracker) {
        let has_room = self.allocated < self.room;
        let ids = tracker.connection_ids();
        let Some(ids) = ids.filter(|_| has_room) else {
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let shared = flow.shared.get_or_insert_default();
        if shared.reported.len() >= MAX_REPORTED {
            shared.reported.remove(0);
        }
        shared.reported.push(ReportedConnection {
            ids: ids.clone(),
            last: tracker.last_packet().time,
            source,
        });
        self.count_shared(index);
    }

    /// Counts what a flow shares.
    fn count_shared(&mut self, index: FlowIndex) {
        let flow = self.flows.get_mut(index);
        if let Some(shared) = flow.and_then(|flow| flow.shared.as_mut()) {
            let counted = shared.allocated();
            self.allocated = self.allocated - shared.counted + counted;
            shared.counted = counted;
        }
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
        let Some(flow) = self.flows.get(index) else {
            return;
        };
        let first_went_up = flow.first_went_up;
        let first_seen = flow.first_seen;
        let Some((mut open, retained)) = self.give_back(index) else {
            return;
        };
        let key = self.flows.key(index);
        let last = open.tracker.last_packet().time;
        let end_of_source = output.ends.get(&open.source);
        let now = now.max(last); // a pause in the capture begins with the last tick
        let until = end_of_source.map_or(now, |end| (*end).max(last).min(now));
        open.tracker.note_until(until);
        open.tracker.handle_end();
        let end = if open.tracker.is_decided() {
            End::Decided
        } else {
            output.losses.judge(end, &open.source, last, now)
        };
        let (forward, reverse) = key.ends(first_went_up);
        let source = Arc::clone(&open.source);
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
        self.remember(index, source, &open.tracker);
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
