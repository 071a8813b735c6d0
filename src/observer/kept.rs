//! Packets kept while a handshake is open: the evidence behind a failure.

use std::sync::Arc;

use crate::capture::{Interface, LinkType, PacketRecord};
use crate::event::{KeptPacket, KeptPackets};

/// Packets kept of one connection: a handshake takes some twenty, one with losses a few times that.
const MAX_PACKETS: usize = 256;
/// Bytes kept of one connection: two chains as long as any in use, sent twice.
const MAX_BYTES: usize = 256 << 10;
/// Packets kept of a connection on which nothing of TLS was seen yet: the opening, and what holds up the first bytes.
const MAX_PACKETS_BEFORE: usize = 16;

/// The packets of one connection so far.
#[derive(Debug, Default)]
pub(super) struct Kept(KeptPackets);

impl Kept {
    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.0.data.capacity() + self.0.packets.capacity() * size_of::<KeptPacket>()
    }

    /// Keeps a packet, if there is room for it; `has_begun` says whether a handshake is under way.
    pub(super) fn push(
        &mut self,
        packet: &PacketRecord,
        bytes: &[u8],
        interface: &Interface,
        has_begun: bool,
    ) {
        let most = if has_begun {
            MAX_PACKETS
        } else {
            MAX_PACKETS_BEFORE
        };
        let kept = &mut self.0;
        if kept.packets.len() >= most || kept.data.len() + bytes.len() > MAX_BYTES {
            kept.is_cut = true;
            return;
        }
        kept.packets.push(KeptPacket {
            timestamp: packet.timestamp,
            interface: interface_index(&mut kept.interfaces, interface),
            length: bytes.len() as u32,
            wire_length: packet.wire_length,
        });
        kept.data.extend_from_slice(bytes);
    }

    pub(super) fn note_lost(&mut self) {
        self.0.is_cut = true;
    }

    pub(super) fn into_packets(self) -> KeptPackets {
        self.0
    }
}

/// The place of an interface among those known; they are few, one for nearly every connection.
fn interface_index(known: &mut Vec<(LinkType, Arc<str>)>, interface: &Interface) -> u32 {
    let name = interface.name.as_ref().unwrap_or(&interface.source);
    let is_same = |(link_type, known): &(LinkType, Arc<str>)| {
        *link_type == interface.link_type && known == name
    };
    let index = known.iter().position(is_same).unwrap_or_else(|| {
        known.push((interface.link_type, Arc::clone(name)));
        known.len() - 1
    });
    index as u32
}
