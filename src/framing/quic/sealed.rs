//! Packets whose keys are secret: Handshake, 0-RTT and 1-RTT, which wait for them or stay sealed.

use crate::decrypt::Label;
use crate::decrypt::quic::PacketKeys;
use crate::flow::{Direction, Side};
use crate::transport::quic::{ConnectionId, QuicVersion};
use crate::transport::tcp::Arrival;

use super::super::Recipient;
use super::super::sealed::KeyUse;
use super::initial::{MAX_FAILURES, OpenedCopy};
use super::seen::{DatagramShape, Level};
use super::{Connection, digest};

/// Bytes of packets that wait for their keys: a flight of certificates, and the client's answer.
const MAX_HELD: usize = 64 << 10;

/// The keys of one direction and level that follow from the user's secrets.
#[derive(Debug, Default)]
pub(super) enum SecretKeys {
    #[default]
    NotSought,
    Here(Box<PacketKeys>),
    Missing,
}

#[derive(Debug)]
pub(super) struct HeldPacket {
    pub(super) sender: Direction,
    pub(super) level: Level,
    pub(super) version: QuicVersion,
    pub(super) bytes: Box<[u8]>,
    pub(super) number_offset: usize,
    pub(super) at: Arrival,
}

impl Connection {
    pub(super) fn take_short(
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

    pub(super) fn take_sealed(
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
    pub(super) fn catch_up(&mut self, recipient: &mut impl Recipient) {
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
