//! QUIC: CRYPTO frames carry handshake messages without records, and the packets are the sealed units (RFC 9001).
//!
//! One [`QuicPackets`] follows one connection. Initial packets of both sides are opened with keys that follow from the
//! client's first destination connection id, and after a Retry from the id that the server chose in it. Handshake and
//! 1-RTT packets are opened if the user gives the secrets; otherwise their kinds, lengths and order are passed on.
//!
//! # How much work can a stranger cause?
//!
//! A packet that does not open costs one header protection, and in one of four cases an AEAD over it. Keys are derived
//! [`MAX_INITIAL_KEYS`] times per connection, and [`MAX_GUESSES`] times for packets of versions that are not known, of which
//! the observer allows so many a second; [`MAX_FAILURES`] packets may fail to open, and what waits for missing bytes or keys is
//! bounded by the limits of [`CryptoStream`] and [`MAX_HELD`].

use std::collections::VecDeque;

use crate::decrypt::quic::{PacketKeys, is_retry_authentic};
use crate::decrypt::{ClientRandom, Keys, Label};
use crate::flow::{Direction, PerDirection, PerSide, Side};
use crate::time::Timestamp;
use crate::tls::{CipherSuite, Defragmenter, Message};
use crate::transport::quic::{
    ConnectionId, CryptoStream, Frame, Frames, LargestNumber, LongPacket, MIN_INITIAL_DATAGRAM,
    Packet, PacketType, Packets, QuicClose, QuicVersion,
};
use crate::transport::tcp::Arrival;

use super::sealed::KeyUse;
use super::{Recipient, Seen};

/// Keys of Initial packets that are derived for one connection: those of two versions, before and after a Retry, and two
/// more for what the capture may lack.
const MAX_INITIAL_KEYS: usize = 6;

/// Packets of a connection that do not open although there are keys, before no more are tried. Packets on their way when
/// keys change are a few.
const MAX_FAILURES: u8 = 32;

/// Bytes of packets that wait for their keys: a flight of certificates, and the client's answer.
const MAX_HELD: usize = 64 << 10;

/// Keys that are guessed for one connection of an unknown version: those of three versions that lend theirs, for the client's first
/// packets and the server's answer.
const MAX_GUESSES: u8 = 12;

/// Connection ids that one side is known by: the first, one of a Retry, its own, and some to spare.
const MAX_IDS: usize = 4;

/// Datagrams of each direction that are compared with a new one, since mirrored ports show packets twice, and the copies some time after
/// the others.
const RECENT: usize = 16;

/// The first of all stay among them: a copy of a client's first packet that comes late looks like a probe.
const FIRST: usize = 2;

/// What QUIC shows apart from handshake messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuicSeen {
    /// The client's first packet of a connection, or of a new attempt with another version.
    Initial { version: QuicVersion, at: Arrival },
    /// A datagram, by what is visible of it.
    Datagram { shape: DatagramShape, at: Arrival },
    /// The server wants to see the client's address proven.
    Retry { at: Arrival },
    /// The server does not support the client's version: what it supports instead, as far as that was listed.
    VersionNegotiation {
        versions: [QuicVersion; 4],
        at: Arrival,
    },
    /// A CONNECTION_CLOSE frame.
    Close {
        close: QuicClose,
        /// The kind of packet that it was in.
        level: Level,
        at: Arrival,
    },
    /// The server has accepted the client's Finished: it says so, or acknowledges what the client sent after it.
    Accepted { at: Arrival },
    /// A 1-RTT packet of an endpoint was opened, with data of the application in it.
    ApplicationData { at: Arrival },
}

/// What protects a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Initial,
    Handshake,
    Application,
}

/// What can be seen of a datagram without keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatagramShape {
    /// Bytes of its content.
    pub(crate) length: u16,
    /// Whether an Initial packet in it carries a part of a message.
    pub(crate) has_initial_crypto: bool,
    /// Whether an Initial packet in it was opened, and does not close the connection.
    pub(crate) has_open_initial: bool,
    /// Packets of each kind.
    pub(crate) initials: u8,
    pub(crate) early: u8,
    pub(crate) handshakes: u8,
    /// Length of packet number, frames and tag of its Handshake packets together.
    pub(crate) handshake_length: u16,
    /// The same of its 1-RTT packet; 0 if it has none.
    pub(crate) short_length: u16,
    /// A digest of the connection id in the 1-RTT packet; 0 if it has none, or no id.
    pub(crate) short_id: u32,
    /// Whether the id is one that its receiver has used itself.
    pub(crate) is_id_known: bool,
    /// Whether it says nothing new: the same bytes came before, captured twice or sent again by a side that has closed. Or it is a 1-RTT packet
    /// that anybody may have sent.
    pub(crate) is_repeated: bool,
    /// Whether Handshake and 1-RTT packets in it were opened.
    pub(crate) is_opened: bool,
}

impl DatagramShape {
    /// Whether the datagram is a 1-RTT packet alone, or a stateless reset.
    pub(crate) const fn is_short_only(&self) -> bool {
        self.short_length > 0 && self.handshakes == 0 && self.initials == 0 && self.early == 0
    }
}

/// The packets of one connection, from the client's first on.
#[derive(Debug)]
pub(crate) struct QuicPackets {
    keys: Keys,
    connection: Option<Connection>,
    guesses: Guesses,
    /// Datagrams that did not begin another connection, although they look like it.
    failed_beginnings: u8,
    /// What came before a packet that could be opened: the network may swap the first of both sides.
    early: Vec<(Direction, Box<[u8]>, Arrival)>,
    is_ruled_out: bool,
}

/// Datagrams that are kept before one can be opened. The third is hardly out of order.
const MAX_EARLY: usize = 3;

/// What is kept of a connection that may be none: a client sends its first packets two or three times before a server a second
/// away has answered, and each datagram takes two places.
const MAX_UNPROVEN: usize = 16;

/// The ids that the packets of a connection go to, in each direction, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownIds(PerDirection<Vec<ConnectionId>>);

impl KnownIds {
    /// Whether a datagram belongs to the connection, by its ids.
    pub(crate) fn own(&self, sender: Direction, payload: &[u8]) -> bool {
        let ids = &self.0[sender];
        match Packets::new(payload, payload.len()).next() {
            Some(Packet::Short { bytes }) => ids.iter().any(|id| {
                let destination = bytes.get(1..).unwrap_or_default();
                !id.is_empty() && destination.starts_with(id.as_slice())
            }),
            Some(
                Packet::Long(LongPacket {
                    destination,
                    source,
                    ..
                })
                | Packet::Retry {
                    destination,
                    source,
                    ..
                }
                | Packet::VersionNegotiation {
                    destination,
                    source,
                    ..
                }
                | Packet::UnknownVersion {
                    destination,
                    source,
                    ..
                },
            ) => {
                let is_addressed = ids.contains(&destination) && !destination.is_empty();
                is_addressed || !source.is_empty() && self.0[sender.flip()].contains(&source)
            }
            None => false,
        }
    }

    /// Who has sent a datagram that has the addresses of one from `seen`, by its ids: test networks exist that give both directions the same
    /// addresses. An id that one side has chosen for itself is that of packets to it.
    pub(crate) fn sender(&self, seen: Direction, payload: &[u8]) -> Direction {
        match !self.own(seen, payload) && self.own(seen.flip(), payload) {
            true => seen.flip(),
            false => seen,
        }
    }

    /// Whether a long header may be one of this connection: its ids are those that both sides have chosen, as far as they are known.
    ///
    /// Neither side changes them during the handshake (RFC 9000 §7.2), and who does not see the packets does not know them.
    fn fit(&self, sender: Direction, destination: ConnectionId, source: ConnectionId) -> bool {
        let [to, from] = [&self.0[sender], &self.0[sender.flip()]];
        // An end that has chosen no id yet is known by the one that its peer made up for it.
        to.contains(&destination) && (from.len() < 2 || from.contains(&source))
            || from.contains(&source) && !source.is_empty()
    }

    /// Whether packets in a direction have no id: then only their ports say which connection they belong to, and it is the only
    /// one (RFC 9000 §5.2).
    pub(crate) fn are_empty(&self, sender: Direction) -> bool {
        self.0[sender].last().is_some_and(ConnectionId::is_empty)
    }

    /// Bytes of memory that they take, without itself.
    pub(crate) fn allocated(&self) -> usize {
        let ids: usize = self.0.iter().map(Vec::capacity).sum();
        ids * size_of::<ConnectionId>()
    }
}

/// A connection whose client is known.
#[derive(Debug)]
struct Connection {
    /// Where the client sends.
    client: Direction,
    /// What was seen while any bytes might look the same; `None` once there is proof that this is QUIC: a packet that keys open,
    /// or a server's answer that repeats both ids of the client's packet.
    unproven: Option<Vec<(Direction, QuicSeen)>>,
    /// The version of the latest packet with a long header.
    version: QuicVersion,
    /// Whether a packet of that version can be read.
    is_readable: bool,
    /// Whether the server refused a version, as far as anybody can tell who does not know whether the client believes that.
    is_negotiated: bool,
    ids: KnownIds,
    /// The id that the keys of Initial packets follow from: the destination of the client's first packet, until a Retry or another attempt.
    original: ConnectionId,
    initial_keys: Vec<InitialKeys>,
    streams: PerDirection<[SpaceStream; 3]>,
    keys: Keys,
    suite: Option<CipherSuite>,
    secret_keys: PerDirection<[SecretKeys; 2]>,
    key_use: Option<KeyUse>,
    /// Packets that wait for their keys, oldest first.
    held: VecDeque<HeldPacket>,
    held_bytes: usize,
    failures: u8,
    recent: PerDirection<[u64; RECENT]>,
    discarded: u64,
}

#[derive(Debug)]
struct InitialKeys {
    version: QuicVersion,
    destination: ConnectionId,
    keys: PerSide<Option<PacketKeys>>,
}

/// The keys of one direction and level that follow from the user's secrets.
#[derive(Debug, Default)]
enum SecretKeys {
    #[default]
    NotSought,
    Here(Box<PacketKeys>),
    Missing,
}

/// One packet number space of one direction.
#[derive(Debug, Default)]
struct SpaceStream {
    largest: LargestNumber,
    crypto: CryptoStream,
    messages: Defragmenter,
    message_start: Option<Arrival>,
}

#[derive(Debug)]
struct HeldPacket {
    sender: Direction,
    level: Level,
    version: QuicVersion,
    bytes: Box<[u8]>,
    number_offset: usize,
    at: Arrival,
}

/// Keys that are guessed for packets of a version that is not known. To derive keys and to try them costs some 50 µs, and
/// anybody can send what looks like such a packet.
#[derive(Debug)]
struct Guesses {
    /// How many more this connection may take.
    left: u8,
    /// Whether the run has any to spare.
    are_allowed: bool,
    /// Those that opened nothing.
    wrong: u32,
    /// Those that were not made.
    refused: u64,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            left: MAX_GUESSES,
            are_allowed: true,
            wrong: 0,
            refused: 0,
        }
    }
}

impl Guesses {
    /// Takes one; false if there is none.
    const fn take(&mut self) -> bool {
        if !self.are_allowed || self.left == 0 {
            self.refused += 1;
            return false;
        }
        self.left -= 1;
        true
    }
}

/// What a datagram looks like by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// An Initial packet of a size that a client's first one has.
    Initial,
    /// Another packet with a long header.
    Long,
    /// It is no packet with a long header, or one of a version that nobody has asked for.
    Other,
}

/// Looks at the first bytes of a datagram.
#[inline]
pub(crate) fn look(payload: &[u8]) -> Look {
    let version = match *payload {
        [first, a, b, c, d, ..] if first & LONG != 0 => {
            QuicVersion(u32::from_be_bytes([a, b, c, d]))
        }
        _ => return Look::Other,
    };
    if !cfg!(feature = "quic") {
        Look::Other
    } else if may_begin(payload) {
        Look::Initial
    } else if version.is_supported() || version == QuicVersion::NEGOTIATION {
        Look::Long
    } else {
        Look::Other
    }
}

/// The id that a datagram with a long header goes to; `None` if it has none, or another header.
pub(crate) fn destination(payload: &[u8]) -> Option<ConnectionId> {
    let packet = Packets::new(payload, payload.len()).next()?;
    let Packet::Long(LongPacket { destination, .. }) = packet else {
        return None;
    };
    Some(destination).filter(|id| !id.is_empty())
}

/// Whether a datagram may be the first of a connection: a client's Initial of a version that is supported, or anything
/// that looks like one of another version.
#[inline]
pub(crate) fn may_begin(payload: &[u8]) -> bool {
    let [first, a, b, c, d, ..] = *payload else {
        return false;
    };
    if first & LONG == 0 {
        return false;
    }
    // What cannot be opened has at least to have the size of a client's first packet. Most of what is no QUIC has not.
    let version = QuicVersion(u32::from_be_bytes([a, b, c, d]));
    let is_sized = first & FIXED != 0 && payload.len() >= MIN_INITIAL_DATAGRAM;
    (version.is_supported() || is_sized) && has_first_id(payload)
}

/// Whether a datagram has the id that a client gives to its server at first.
#[inline(never)]
fn has_first_id(payload: &[u8]) -> bool {
    let destination = match Packets::new(payload, payload.len()).next() {
        Some(Packet::Long(packet)) if packet.packet_type == PacketType::Initial => {
            packet.destination
        }
        Some(Packet::UnknownVersion { destination, .. }) => destination,
        _ => return false,
    };
    destination.len() >= SHORTEST_FIRST_ID
}

/// The bit that says that a header is long, and the one that is set in most: a client that has met its server before may
/// clear it (RFC 9287).
const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;

/// The shortest id of a server that is searched for: of two connections with ids of four bytes, one in four billion pairs have the
/// same.
const SHORTEST_CHOSEN_ID: usize = 4;

/// The shortest id that a client makes up for its server (RFC 9000 §7.2).
const SHORTEST_FIRST_ID: usize = 8;

impl QuicPackets {
    pub(crate) fn new(keys: &Keys) -> Self {
        Self {
            keys: keys.clone(),
            connection: None,
            guesses: Guesses::default(),
            failed_beginnings: 0,
            early: Vec::new(),
            is_ruled_out: false,
        }
    }

    /// Takes the payload of a datagram.
    pub(crate) fn take(
        &mut self,
        sender: Direction,
        payload: &[u8],
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let guesses = &mut self.guesses;
        if let Some(connection) = &mut self.connection {
            connection.take(sender, payload, at, guesses, recipient);
            self.is_ruled_out = connection.is_ruled_out();
            return;
        }
        match Connection::begin(sender, payload, &self.keys, guesses) {
            Some(mut begun) => {
                begun.take(sender, payload, at, guesses, recipient);
                for (sender, payload, at) in std::mem::take(&mut self.early) {
                    begun.take(sender, &payload, at, guesses, recipient);
                }
                self.connection = Some(begun);
            }
            None if self.early.len() >= MAX_EARLY => {
                self.early = Vec::new();
                self.is_ruled_out = true;
            }
            None => self.early.push((sender, payload.into(), at)),
        }
    }

    /// Whether a datagram, as the first of a new connection, would begin another one than this; `is_late` if nothing came of this
    /// one for longer than a client takes to try another version.
    pub(crate) fn is_replaced_by(
        &mut self,
        sender: Direction,
        payload: &[u8],
        is_late: bool,
    ) -> bool {
        let Some(connection) = &self.connection else {
            return false;
        };
        let is_open_to_others =
            is_late || !connection.is_proven() || !connection.is_amid_negotiation();
        if !is_open_to_others
            || self.failed_beginnings >= MAX_FAILURES
            || !may_begin(payload)
            || connection.ids.own(sender, payload)
        {
            return false;
        }
        let begun = Connection::begin(sender, payload, &self.keys, &mut self.guesses);
        let has_begun = begun.is_some_and(|begun| begun.is_proven());
        self.failed_beginnings += u8::from(!has_begun);
        has_begun
    }

    /// Says whether keys may be guessed for versions that are not known.
    pub(crate) const fn allow_guesses(&mut self, is_allowed: bool) {
        self.guesses.are_allowed = is_allowed;
    }

    /// Guessed keys that opened nothing, and guesses that were not made, since the last call.
    pub(crate) fn take_guesses(&mut self) -> (u32, u64) {
        let Guesses { wrong, refused, .. } = &mut self.guesses;
        (std::mem::take(wrong), std::mem::take(refused))
    }

    /// The ids of the connection; `None` while its client is not known.
    pub(crate) fn ids(&self) -> Option<&KnownIds> {
        self.connection.as_ref().map(|connection| &connection.ids)
    }

    /// The id that the server has chosen for itself; `None` before, and while it is too short to be unlike others.
    pub(crate) fn server_id(&self) -> Option<ConnectionId> {
        let connection = self.connection.as_ref()?;
        let [_, .., chosen] = connection.ids.0[connection.client][..] else {
            return None; // the first is the client's choice
        };
        Some(chosen).filter(|id| id.len() >= SHORTEST_CHOSEN_ID)
    }

    /// Notes that no more datagrams will come.
    pub(crate) fn finish(&mut self, recipient: &mut impl Recipient) {
        if let Some(connection) = &mut self.connection {
            connection.finish(recipient);
        }
    }

    /// Stops waiting for secrets: opens what can be opened, and gives up the rest.
    pub(crate) fn finish_decryption(&mut self, recipient: &mut impl Recipient) {
        if let Some(connection) = &mut self.connection {
            connection.finish_decryption(recipient);
        }
    }

    /// Whether packets wait for their keys.
    pub(crate) fn is_waiting(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_waiting)
    }

    /// What the user's keys were good for; `None` if there were none, or nothing to open.
    pub(crate) const fn key_use(&self) -> Option<KeyUse> {
        match &self.connection {
            Some(connection) => connection.key_use,
            None => None,
        }
    }

    /// Lets the secrets of the connection that `random` names be wiped, some time after its last packet.
    pub(crate) fn retire_secrets(&self, random: &ClientRandom, last: Timestamp) {
        self.keys.retire(random, last);
    }

    /// Whether it turned out to be something else.
    pub(crate) const fn is_ruled_out(&self) -> bool {
        self.is_ruled_out
    }

    /// Bytes of memory that unfinished messages take, and what waits.
    pub(crate) fn allocated(&self) -> usize {
        let early: usize = self.early.iter().map(|(_, payload, _)| payload.len()).sum();
        early + self.connection.as_ref().map_or(0, Connection::allocated)
    }

    /// Messages, frames and packets that a limit discarded, since the last call.
    pub(crate) fn take_discarded_messages(&mut self) -> u64 {
        let connection = self.connection.as_mut();
        connection.map_or(0, Connection::take_discarded)
    }
}

impl Connection {
    /// A connection whose first datagram came from `client`; `None` if that does not open, so that it is not QUIC.
    ///
    /// The datagram is not taken yet. One of an unknown version that does not open proves nothing until the server's answer.
    fn begin(
        client: Direction,
        payload: &[u8],
        keys: &Keys,
        guesses: &mut Guesses,
    ) -> Option<Self> {
        if !cfg!(feature = "quic") || !may_begin(payload) {
            return None;
        }
        let first = Packets::new(payload, payload.len()).next()?;
        let (version, destination, source) = match first {
            Packet::Long(packet) => (packet.version, packet.destination, packet.source),
            Packet::UnknownVersion {
                version,
                destination,
                source,
            } => (version, destination, source),
            _ => return None,
        };
        let mut this = Self {
            client,
            unproven: Some(Vec::new()),
            version,
            is_readable: version.is_supported(),
            is_negotiated: false,
            ids: KnownIds::default(),
            original: destination,
            initial_keys: Vec::new(),
            streams: PerDirection::default(),
            keys: keys.clone(),
            suite: None,
            secret_keys: PerDirection::default(),
            key_use: None,
            held: VecDeque::new(),
            held_bytes: 0,
            failures: 0,
            recent: PerDirection::default(),
            discarded: 0,
        };
        this.ids.0[client].push(destination);
        this.ids.0[client.flip()].push(source);
        if let Packet::Long(packet) = first {
            if this.open_initial(client, &packet, guesses).is_some() {
                this.unproven = None;
            } else if version.is_supported() {
                return None;
            }
        }
        Some(this)
    }

    /// Whether it is certain that this is QUIC.
    const fn is_proven(&self) -> bool {
        self.unproven.is_none()
    }

    /// Whether there was no proof in all that came.
    fn is_ruled_out(&self) -> bool {
        let unproven = self.unproven.as_ref();
        unproven.is_some_and(|seen| seen.len() >= MAX_UNPROVEN)
    }

    /// Passes on what was seen, or keeps it until there is proof.
    fn tell(&mut self, sender: Direction, seen: QuicSeen, recipient: &mut impl Recipient) {
        match &mut self.unproven {
            Some(unproven) if unproven.len() < MAX_UNPROVEN => unproven.push((sender, seen)),
            Some(_) => {}
            None => recipient.take(sender, Seen::Quic(seen)),
        }
    }

    /// Notes that this is QUIC, and passes on what was kept.
    fn prove(&mut self, recipient: &mut impl Recipient) {
        for (sender, seen) in self.unproven.take().unwrap_or_default() {
            recipient.take(sender, Seen::Quic(seen));
        }
    }

    /// Whether the client is about to try another version, or has sent nothing else than one that cannot be read.
    const fn is_amid_negotiation(&self) -> bool {
        !self.is_readable
    }

    /// Takes the payload of the next datagram.
    fn take(
        &mut self,
        sender: Direction,
        payload: &[u8],
        at: Arrival,
        guesses: &mut Guesses,
        recipient: &mut impl Recipient,
    ) {
        if self.is_foreign(sender, payload) {
            return;
        }
        let mut shape = DatagramShape {
            length: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            is_repeated: self.is_copy(sender, payload),
            ..DatagramShape::default()
        };
        for (index, packet) in Packets::new(payload, payload.len()).enumerate() {
            match packet {
                Packet::Long(packet) if packet.packet_type == PacketType::Initial => {
                    shape.initials += 1;
                    // The copy of one from before a Retry would be taken for what the client sends after it.
                    if !shape.is_repeated {
                        let found = self.take_initial(sender, &packet, at, guesses, recipient);
                        shape.has_initial_crypto |= found.is_some_and(|found| found.has_crypto);
                        shape.has_open_initial |= found.is_some_and(|found| !found.has_close);
                    }
                }
                Packet::Long(packet) => self.take_long(sender, &packet, at, &mut shape, recipient),
                Packet::Retry {
                    version,
                    destination,
                    source,
                    bytes,
                } if index == 0 && !shape.is_repeated => {
                    self.take_retry(sender, version, [destination, source], bytes, at, recipient);
                }
                Packet::VersionNegotiation {
                    destination,
                    source,
                    versions,
                } if index == 0 && !shape.is_repeated => {
                    self.take_negotiation(sender, [destination, source], versions, at, recipient);
                }
                Packet::UnknownVersion { version, .. }
                    if index == 0 && sender == self.client && !self.is_readable =>
                {
                    shape.initials += 1;
                    if !shape.is_repeated {
                        self.tell(sender, QuicSeen::Initial { version, at }, recipient);
                    }
                }
                // Some stacks fill a datagram with zeros behind its packets.
                Packet::Short { bytes }
                    if index > 0 && bytes.iter().take(8).all(|byte| *byte == 0) => {}
                Packet::Short { bytes } => {
                    self.take_short(sender, bytes, at, &mut shape, recipient);
                }
                _ => {}
            }
        }
        self.catch_up(recipient);
        shape.is_opened = self.has_keys(sender, shape);
        self.tell(sender, QuicSeen::Datagram { shape, at }, recipient);
    }

    /// Notes that no more datagrams will come.
    fn finish(&mut self, recipient: &mut impl Recipient) {
        for direction in Direction::BOTH {
            let stream = &mut self.streams[direction][0];
            if let (Some(message), Some(start)) = (stream.messages.partial(), stream.message_start)
            {
                recipient.take(direction, Seen::PartialMessage { message, start });
            }
            stream.messages.clear();
        }
    }

    fn finish_decryption(&mut self, recipient: &mut impl Recipient) {
        self.catch_up(recipient);
        if !self.held.is_empty() {
            self.key_use.get_or_insert(KeyUse::Missing);
        }
        self.held.clear();
        self.held_bytes = 0;
    }

    fn is_waiting(&self) -> bool {
        !self.held.is_empty() && self.keys.is_growing()
    }

    fn allocated(&self) -> usize {
        let streams = self.streams.iter().flatten();
        let messages = streams.map(|stream| stream.messages.held() + stream.crypto.allocated());
        messages.sum::<usize>()
            + self.ids.allocated()
            + self.initial_keys.capacity() * size_of::<InitialKeys>()
            + self.held.capacity() * size_of::<HeldPacket>()
            + self.unproven.as_ref().map_or(0, Vec::capacity) * size_of::<(Direction, QuicSeen)>()
            + self.held_bytes
    }

    fn take_discarded(&mut self) -> u64 {
        let streams = self.streams.iter_mut().flatten();
        let discarded =
            streams.map(|stream| stream.messages.take_discarded() + stream.crypto.take_discarded());
        discarded.sum::<u64>() + std::mem::take(&mut self.discarded)
    }

    /// Whether a datagram is one of another connection between these ports, or of somebody who sends in the name of a peer. An Initial packet proves
    /// itself where it opens, and a 1-RTT packet has an id that may be new.
    fn is_foreign(&self, sender: Direction, payload: &[u8]) -> bool {
        match Packets::new(payload, payload.len()).next() {
            Some(Packet::Long(packet)) if packet.packet_type != PacketType::Initial => {
                !self.ids.fit(sender, packet.destination, packet.source)
            }
            _ => false,
        }
    }

    /// Whether the same datagram came a moment ago: QUIC itself never sends the same bytes twice, except for those that
    /// say nothing new.
    fn is_copy(&mut self, sender: Direction, payload: &[u8]) -> bool {
        let digest = digest(payload).max(1);
        let recent = &mut self.recent[sender];
        if recent.contains(&digest) {
            return true;
        }
        let free = recent.iter().position(|known| *known == 0);
        let place = free.unwrap_or_else(|| {
            recent[FIRST..].rotate_left(1);
            RECENT - 1
        });
        recent[place] = digest;
        false
    }

    /// Whether there are keys for the Handshake and 1-RTT packets in a datagram.
    fn has_keys(&self, sender: Direction, shape: DatagramShape) -> bool {
        let [handshake, application] = &self.secret_keys[sender];
        let is_here = |keys: &SecretKeys| matches!(keys, SecretKeys::Here(_));
        (shape.handshakes == 0 || is_here(handshake))
            && (shape.short_length == 0 || is_here(application))
    }

    fn side(&self, sender: Direction) -> Side {
        if sender == self.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Notes an id that packets to the peer of `owner` come from, and so one that packets to `owner` go to.
    fn note_id(&mut self, owner: Direction, id: ConnectionId) {
        let ids = &mut self.ids.0[owner.flip()];
        if !ids.contains(&id) && ids.len() < MAX_IDS {
            ids.push(id);
        }
    }
}

/// Packets with long headers.
impl Connection {
    fn take_long(
        &mut self,
        sender: Direction,
        packet: &LongPacket<'_>,
        at: Arrival,
        shape: &mut DatagramShape,
        recipient: &mut impl Recipient,
    ) {
        let length = u16::try_from(packet.payload_length()).unwrap_or(u16::MAX);
        match packet.packet_type {
            PacketType::ZeroRtt => shape.early += 1,
            PacketType::Handshake => {
                shape.handshakes += 1;
                shape.handshake_length = shape.handshake_length.saturating_add(length);
                self.note_id(sender, packet.source);
                if shape.is_repeated {
                    return;
                }
                self.take_sealed(
                    sender,
                    Level::Handshake,
                    (packet.bytes, packet.number_offset),
                    packet.version,
                    at,
                    recipient,
                );
            }
            PacketType::Initial | PacketType::Retry => {}
        }
    }

    /// Returns whether it carries a part of a message.
    fn take_initial(
        &mut self,
        sender: Direction,
        packet: &LongPacket<'_>,
        at: Arrival,
        guesses: &mut Guesses,
        recipient: &mut impl Recipient,
    ) -> Option<FramesFound> {
        let Some(opened) = self.open_initial(sender, packet, guesses) else {
            if sender == self.client && !self.is_readable {
                let version = packet.version;
                self.tell(sender, QuicSeen::Initial { version, at }, recipient);
            }
            return None;
        };
        self.prove(recipient);
        // A client that goes on with the version that was refused did not believe it (RFC 9000 §6.2).
        let has_refused = self.is_negotiated || !self.is_readable;
        let is_another = sender == self.client && has_refused && packet.version != self.version;
        if is_another {
            // The client begins again, with other ids.
            self.original = packet.destination;
            self.note_id(sender.flip(), packet.destination);
            self.streams = PerDirection::default();
            self.initial_keys
                .retain(|known| known.version == packet.version);
        }
        if is_another || sender == self.client && self.streams[sender][0].is_fresh() {
            let version = packet.version;
            recipient.take(sender, Seen::Quic(QuicSeen::Initial { version, at }));
        }
        if is_another || sender != self.client {
            self.is_negotiated = false;
        }
        self.version = packet.version;
        self.is_readable = true;
        self.note_id(sender, packet.source);
        self.streams[sender][0].largest.note(opened.number);
        Some(self.take_frames(sender, Level::Initial, &opened.content, at, recipient))
    }

    /// Opens an Initial packet with the keys that it may have; derives them if there is reason to.
    fn open_initial(
        &mut self,
        sender: Direction,
        packet: &LongPacket<'_>,
        guesses: &mut Guesses,
    ) -> Option<OpenedCopy> {
        if !packet.is_whole() || self.failures >= MAX_FAILURES {
            return None;
        }
        let side = self.side(sender);
        let largest = self.streams[sender][0].largest;
        let number_offset = packet.number_offset;
        // The newest keys first: a Retry has made the older ones worthless.
        for known in self.initial_keys.iter().rev() {
            if known.version == packet.version
                && let Some(keys) = &known.keys[side]
                && let Some(opened) = OpenedCopy::open(keys, packet.bytes, number_offset, largest)
            {
                return Some(opened);
            }
        }
        let mut destinations = vec![self.original];
        destinations.extend(self.initial_keys.iter().map(|known| known.destination));
        if side == Side::Client && packet.destination != self.original {
            destinations.push(packet.destination);
        }
        while let Some(destination) = destinations.pop() {
            let is_known = |known: &InitialKeys| {
                known.version == packet.version && known.destination == destination
            };
            if self.initial_keys.iter().any(is_known) || self.initial_keys.len() >= MAX_INITIAL_KEYS
            {
                continue;
            }
            for version in like(packet.version) {
                let is_guess = version != packet.version;
                if is_guess && !guesses.take() {
                    break;
                }
                let keys = PacketKeys::initial(version, &destination);
                let opened = keys[side]
                    .as_ref()
                    .and_then(|keys| OpenedCopy::open(keys, packet.bytes, number_offset, largest));
                if let Some(opened) = opened {
                    self.initial_keys.reserve_exact(1); // most connections have no others
                    self.initial_keys.push(InitialKeys {
                        version: packet.version,
                        destination,
                        keys,
                    });
                    return Some(opened);
                }
                guesses.wrong += u32::from(is_guess);
            }
        }
        self.failures += 1;
        self.discarded += u64::from(self.failures == MAX_FAILURES);
        None
    }

    fn take_retry(
        &mut self,
        sender: Direction,
        version: QuicVersion,
        [destination, source]: [ConnectionId; 2],
        bytes: &[u8],
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let is_addressed = self.ids.0[sender].contains(&destination);
        if sender == self.client || !is_addressed {
            return;
        }
        let is_late = !self.streams[sender][0].is_fresh();
        if is_late || !is_retry_authentic(version, &self.original, bytes) {
            return;
        }
        self.note_id(sender, source);
        // The client sends its ClientHello again, and stacks were seen to make a new one (aioquic).
        self.streams[self.client][0] = SpaceStream {
            largest: self.streams[self.client][0].largest,
            ..SpaceStream::default()
        };
        let keys = PacketKeys::initial(version, &source);
        self.original = source;
        self.initial_keys.clear();
        self.initial_keys.push(InitialKeys {
            version,
            destination: source,
            keys,
        });
        recipient.take(sender, Seen::Quic(QuicSeen::Retry { at }));
    }

    fn take_negotiation(
        &mut self,
        sender: Direction,
        [destination, source]: [ConnectionId; 2],
        versions: &[u8],
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        // It repeats both ids of the client's packet, which nobody else knows.
        let is_answer = self.ids.0[sender].contains(&destination) && source == self.original;
        let is_late = !self.streams[sender][0].is_fresh();
        if sender == self.client || !is_answer || is_late {
            return;
        }
        let (listed, _) = versions.as_chunks();
        let listed = || {
            listed
                .iter()
                .map(|bytes| QuicVersion(u32::from_be_bytes(*bytes)))
        };
        if listed().any(|version| version == self.version) {
            return; // a client ignores it, too (RFC 9000 §6.2)
        }
        let mut named = [QuicVersion::NEGOTIATION; 4];
        let usable = listed().filter(|version| !version.is_reserved());
        for (place, version) in named.iter_mut().zip(usable) {
            *place = version;
        }
        self.prove(recipient);
        self.is_readable = false;
        self.is_negotiated = true;
        let versions = named;
        let seen = QuicSeen::VersionNegotiation { versions, at };
        recipient.take(sender, Seen::Quic(seen));
    }
}

/// Packets that only secrets open.
impl Connection {
    fn take_short(
        &mut self,
        sender: Direction,
        bytes: &[u8],
        at: Arrival,
        shape: &mut DatagramShape,
        recipient: &mut impl Recipient,
    ) {
        let ids = &self.ids.0[sender];
        // A server's ids may differ in length from the one that the client made up for it.
        let id_length = ids.last().map_or(0, ConnectionId::len);
        let id = bytes.get(1..1 + id_length).unwrap_or_default();
        let header = 1 + id_length;
        let length = bytes.len().saturating_sub(header);
        shape.short_length = u16::try_from(length).unwrap_or(u16::MAX).max(1);
        shape.is_id_known = !id.is_empty() && ids.iter().any(|known| known.as_slice() == id);
        if !id.is_empty() {
            shape.short_id = (digest(id) as u32).max(1);
        }
        if shape.is_repeated {
            return;
        }
        self.take_sealed(
            sender,
            Level::Application,
            (bytes, header),
            self.version,
            at,
            recipient,
        );
    }

    fn take_sealed(
        &mut self,
        sender: Direction,
        level: Level,
        (bytes, number_offset): (&[u8], usize),
        version: QuicVersion,
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        if !self.keys.has_secrets() && !self.keys.is_growing() {
            return;
        }
        let packet = HeldPacket {
            sender,
            level,
            version,
            bytes: bytes.into(),
            number_offset,
            at,
        };
        if self.held.is_empty() && self.try_open(&packet, recipient) {
            return;
        }
        if self.held_bytes + bytes.len() > MAX_HELD {
            self.discarded += 1;
            return;
        }
        self.held_bytes += bytes.len();
        self.held.push_back(packet);
    }

    /// Opens the packets that waited, as far as their keys have come.
    fn catch_up(&mut self, recipient: &mut impl Recipient) {
        for _ in 0..self.held.len() {
            let Some(packet) = self.held.pop_front() else {
                return;
            };
            if self.try_open(&packet, recipient) {
                self.held_bytes -= packet.bytes.len();
            } else {
                self.held.push_back(packet);
            }
        }
    }

    /// Opens a packet; false if its keys may still come.
    fn try_open(&mut self, packet: &HeldPacket, recipient: &mut impl Recipient) -> bool {
        let HeldPacket { sender, level, .. } = *packet;
        if !self.find_keys(packet, recipient) {
            return false;
        }
        let place = usize::from(level == Level::Application);
        let SecretKeys::Here(keys) = &self.secret_keys[sender][place] else {
            return true; // there are none
        };
        if self.failures >= MAX_FAILURES {
            return true;
        }
        let stream = &mut self.streams[sender][level as usize];
        let opened = OpenedCopy::open(keys, &packet.bytes, packet.number_offset, stream.largest);
        let Some(opened) = opened else {
            self.failures += 1;
            self.key_use.get_or_insert(KeyUse::Wrong);
            return true;
        };
        stream.largest.note(opened.number);
        self.key_use = Some(KeyUse::Fits);
        self.take_frames(sender, level, &opened.content, packet.at, recipient);
        true
    }

    /// Looks for the keys of a packet; false if they may still come.
    fn find_keys(&mut self, packet: &HeldPacket, recipient: &impl Recipient) -> bool {
        let place = usize::from(packet.level == Level::Application);
        if !matches!(
            self.secret_keys[packet.sender][place],
            SecretKeys::NotSought
        ) {
            return true;
        }
        let hellos = recipient.hellos();
        let (Some(client), Some(server)) = (hellos.client_hello, hellos.server_hello) else {
            return false; // they come with the hellos
        };
        let label = match (self.side(packet.sender), packet.level) {
            (Side::Client, Level::Application) => Label::ClientApplication,
            (Side::Client, _) => Label::ClientHandshake,
            (Side::Server, Level::Application) => Label::ServerApplication,
            (Side::Server, _) => Label::ServerHandshake,
        };
        let secret = self.keys.find(&client.random, label);
        if secret.is_none() && self.keys.is_growing() {
            return false;
        }
        let keys = secret
            .as_ref()
            .zip(server.cipher_suite)
            .and_then(|(secret, suite)| {
                self.suite = Some(suite);
                PacketKeys::from_secret(packet.version, suite, secret)
            });
        self.secret_keys[packet.sender][place] = match keys {
            Some(keys) => SecretKeys::Here(Box::new(keys)),
            None => {
                let why = if secret.is_some() {
                    KeyUse::Unsupported
                } else {
                    KeyUse::Missing
                };
                self.key_use.get_or_insert(why);
                SecretKeys::Missing
            }
        };
        true
    }
}

/// What opened packets carry.
impl Connection {
    fn take_frames(
        &mut self,
        sender: Direction,
        level: Level,
        content: &[u8],
        at: Arrival,
        recipient: &mut impl Recipient,
    ) -> FramesFound {
        let mut found = FramesFound::default();
        for frame in Frames::new(self.version, content) {
            match frame {
                Frame::Crypto { offset, data } => {
                    found.has_crypto = true;
                    let stream = &mut self.streams[sender][level as usize];
                    stream.push(sender, level, (offset, data), at, recipient);
                }
                Frame::ConnectionClose(close) => {
                    found.has_close = true;
                    let seen = QuicSeen::Close { close, level, at };
                    recipient.take(sender, Seen::Quic(seen));
                }
                // A server reads 1-RTT packets only once its handshake is complete (RFC 9001 §5.7).
                Frame::HandshakeDone | Frame::Ack { .. }
                    if level == Level::Application && self.side(sender) == Side::Server =>
                {
                    recipient.take(sender, Seen::Quic(QuicSeen::Accepted { at }));
                }
                Frame::Other if level == Level::Application => {
                    recipient.take(sender, Seen::Quic(QuicSeen::ApplicationData { at }));
                }
                _ => {}
            }
        }
        found
    }
}

/// What is among the frames of a packet.
#[derive(Clone, Copy, Debug, Default)]
struct FramesFound {
    /// Whether there is a part of a message.
    has_crypto: bool,
    /// Whether there is a CONNECTION_CLOSE.
    has_close: bool,
}

impl SpaceStream {
    /// Whether no byte of a message has come.
    const fn is_fresh(&self) -> bool {
        self.crypto.end() == 0 && self.message_start.is_none()
    }

    fn push(
        &mut self,
        sender: Direction,
        level: Level,
        (offset, data): (u64, &[u8]),
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let Self {
            crypto,
            messages,
            message_start,
            ..
        } = self;
        crypto.push(offset, data, at, &mut |bytes: &[u8], at: Arrival| {
            let mut start = match message_start {
                Some(start) if messages.is_open() => *start,
                _ => at,
            };
            messages.push(bytes, &mut |message: Message<'_>| {
                let sealed = level != Level::Initial;
                let seen = Seen::Message {
                    message,
                    sealed,
                    at: if sealed { at } else { start },
                };
                recipient.take(sender, seen);
                start = at;
            });
            *message_start = Some(start);
        });
    }
}

/// The versions whose keys may protect a packet of `version`. What is not known, reserved versions above all, was seen to
/// borrow those of others.
fn like(version: QuicVersion) -> impl Iterator<Item = QuicVersion> {
    const LENDERS: [QuicVersion; 3] = [
        QuicVersion::V1,
        QuicVersion(0xff00_001d),
        QuicVersion(0xff00_001b),
    ];
    let own = version.is_supported().then_some(version);
    let borrowed = LENDERS.into_iter().filter(move |_| own.is_none());
    own.into_iter().chain(borrowed)
}

/// A packet that was opened, in a copy.
struct OpenedCopy {
    number: u64,
    content: Vec<u8>,
}

impl OpenedCopy {
    fn open(
        keys: &PacketKeys,
        packet: &[u8],
        number_offset: usize,
        largest: LargestNumber,
    ) -> Option<Self> {
        let mut copy = packet.to_vec();
        let opened = keys.open(&mut copy, number_offset, largest)?;
        let number = opened.number;
        let start = copy_start(packet.len(), opened.content.len());
        let end = start + opened.content.len();
        copy.truncate(end);
        copy.drain(..start);
        Some(Self {
            number,
            content: copy,
        })
    }
}

/// Where the content of a packet begins, which ends before a tag of 16 bytes.
const fn copy_start(packet: usize, content: usize) -> usize {
    packet - 16 - content
}

/// A digest of some bytes, to compare them with others of the same run: FNV-1a, eight bytes at a time.
fn digest(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let seed = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    let digest = words.chain(rest).fold(seed, |digest, word| {
        (digest ^ word).wrapping_mul(PRIME).rotate_left(29)
    });
    digest ^ digest >> 32
}
