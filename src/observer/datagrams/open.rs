//! An open handshake.

use std::sync::Arc;

use crate::decode::Layers;
use crate::event::Protocol;
use crate::flow::{Direction, PerDirection};
use crate::handshake::Tracker;
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::transport::quic::ConnectionId;
use crate::transport::tcp::Arrival;

use super::super::Config;
use super::packet::DatagramPacket;

/// The beginning of a handshake.
pub(super) fn open(protocol: Protocol, packet: &DatagramPacket<'_>, config: &Config) -> Open {
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
pub(super) struct Open {
    pub(super) protocol: Protocol,
    pub(super) tracker: Tracker,
    /// The file or interface that its first packet came from.
    pub(super) source: Arc<str>,
    /// The VLAN tags and the tunnels around its first packet that has some.
    pub(super) layers: Layers,
    pub(super) since: Timestamp,
    /// Bytes of memory that it takes, as last counted.
    pub(super) allocated: usize,
    /// Over DTLS: whether both sides were seen to send with the same addresses.
    pub(super) has_same_addresses: bool,
    /// Over QUIC: the server's id under which the flow is found if the client moves.
    pub(super) indexed: Option<ConnectionId>,
    /// How long the datagrams of each side are.
    pub(super) lengths: PerDirection<LatestLengths>,
}

impl Open {
    /// Who has sent a datagram that has the addresses of one from `seen`, where no datagram had those of the other direction: it may be
    /// that both directions have the same. `None` if nothing says it.
    pub(super) fn sender_of(
        &mut self,
        seen: Direction,
        packet: &DatagramPacket<'_>,
    ) -> Option<Direction> {
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
    pub(super) fn take(&mut self, direction: Direction, packet: &DatagramPacket<'_>, at: Arrival) {
        if packet.header.payload.is_truncated() {
            self.tracker.note_truncated();
        }
        self.layers.add_missing(packet.layers);
        self.lengths[direction].note(packet.header.payload.wire_length);
        let content = packet.content(self.protocol);
        self.tracker.handle_datagram(direction, content, at);
    }

    /// Counts the memory that it takes now, in place of what it took before, in that of all.
    pub(super) fn count_in(&mut self, all: &mut usize) {
        let allocated = boxed::<Self>() + self.tracker.allocated();
        *all = *all - self.allocated + allocated;
        self.allocated = allocated;
    }
}

/// The lengths of the latest datagrams of a side: what an ICMP error quotes is one of them (RFC 8085 §5.2). Ports alone are easily
/// guessed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LatestLengths {
    lengths: [u16; LATEST],
    next: u8,
}

/// As many as a side sends before an error about one of them is back.
const LATEST: usize = 16;

impl LatestLengths {
    pub(super) fn note(&mut self, length: u32) {
        let next = usize::from(self.next) % LATEST;
        self.lengths[next] = u16::try_from(length).unwrap_or(0);
        self.next = (next + 1) as u8;
    }

    /// Whether a datagram of this length is among them; 0 is none.
    pub(super) fn has(&self, length: u16) -> bool {
        length > 0 && self.lengths.contains(&length)
    }
}
