//! Packets with keys that everybody can compute: Initial, Retry, Version Negotiation (RFC 9000 §17.2).

use crate::decrypt::quic::{PacketKeys, is_retry_authentic};
use crate::flow::{Direction, PerDirection, PerSide, Side};
use crate::transport::quic::{ConnectionId, LargestNumber, LongPacket, PacketType, QuicVersion};
use crate::transport::tcp::Arrival;

use super::super::{Recipient, Seen};
use super::frames::SpaceStream;
use super::guesses::{Guesses, like};
use super::seen::{DatagramShape, Level, QuicSeen};
use super::{Connection, FramesFound};

/// Keys of Initial packets that are derived for one connection: those of two versions, before and after a Retry, and two
/// more for what the capture may lack.
const MAX_INITIAL_KEYS: usize = 6;

/// Packets of a connection that do not open although there are keys, before no more are tried. Packets on their way when
/// keys change are a few.
pub(super) const MAX_FAILURES: u8 = 32;

#[derive(Debug)]
pub(super) struct InitialKeys {
    pub(super) version: QuicVersion,
    pub(super) destination: ConnectionId,
    pub(super) keys: PerSide<Option<PacketKeys>>,
}

impl Connection {
    pub(super) fn take_long(
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
    pub(super) fn take_initial(
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
    pub(super) fn open_initial(
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

    pub(super) fn take_retry(
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

    pub(super) fn take_negotiation(
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

/// A packet that was opened, in a copy.
pub(super) struct OpenedCopy {
    pub(super) number: u64,
    pub(super) content: Vec<u8>,
}

impl OpenedCopy {
    pub(super) fn open(
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
