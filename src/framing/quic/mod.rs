//! QUIC: CRYPTO frames carry handshake messages without records, and the packets are the sealed units (RFC 9001).
//!
//! One [`QuicPackets`] follows one connection. Initial packets of both sides are opened with keys that follow from the
//! client's first destination connection id, and after a Retry from the id that the server chose in it. Handshake and
//! 1-RTT packets are opened if the user gives the secrets; otherwise their kinds, lengths and order are passed on.
//!
//! # How much work can a stranger cause?
//!
//! A packet that does not open costs one header protection, and in one of four cases an AEAD over it. Keys are derived
//! `MAX_INITIAL_KEYS` times per connection, and `MAX_GUESSES` times for packets of versions that are not known, of which
//! the observer allows so many a second; [`MAX_FAILURES`] packets may fail to open, and what waits for missing bytes or keys is
//! bounded by the limits of [`CryptoStream`](crate::transport::quic::CryptoStream) and `MAX_HELD`.

mod first_look;
mod frames;
mod guesses;
mod ids;
mod initial;
mod sealed;
mod seen;

use std::collections::VecDeque;

use crate::decrypt::{ClientRandom, Keys};
use crate::flow::{Direction, PerDirection, Side};
use crate::time::Timestamp;
use crate::tls::CipherSuite;
use crate::transport::quic::{ConnectionId, Packet, PacketType, Packets, QuicVersion};
use crate::transport::tcp::Arrival;

use super::sealed::KeyUse;
use super::{Recipient, Seen};

pub(crate) use first_look::{Look, destination, look, may_begin};
use first_look::{SHORTEST_CHOSEN_ID, SHORTEST_FIRST_ID};
use frames::SpaceStream;
use guesses::Guesses;
pub(crate) use ids::KnownIds;
use ids::MAX_IDS;
use initial::{InitialKeys, MAX_FAILURES};
use sealed::{HeldPacket, SecretKeys};
pub(crate) use seen::{DatagramShape, Level, QuicSeen};

/// Datagrams of each direction that are compared with a new one, since mirrored ports show packets twice, and the copies some time after
/// the others.
const RECENT: usize = 16;

/// The first of all stay among them: a copy of a client's first packet that comes late looks like a probe.
const FIRST: usize = 2;

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

/// What is among the frames of a packet.
#[derive(Clone, Copy, Debug, Default)]
struct FramesFound {
    /// Whether there is a part of a message.
    has_crypto: bool,
    /// Whether there is a CONNECTION_CLOSE.
    has_close: bool,
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
