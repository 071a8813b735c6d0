//! Packets that are retained while a handshake is open: the evidence behind a failure.

use std::sync::Arc;

use crate::capture::{BufferedPacket, Interface, LinkType, PacketBuffer, PacketRecord};
use crate::memory::boxed;

/// Packets retained for one connection: a handshake takes some twenty, one with losses a few times that.
const MAX_PACKETS: usize = 256;
/// Bytes retained for one connection: two chains as long as any in use, sent twice.
const MAX_BYTES: usize = 256 << 10;
/// Packets retained for a connection on which no TLS was seen yet: the opening, and segments ahead of the first bytes.
const MAX_PACKETS_BEFORE: usize = 16;

/// The packets of one connection so far.
#[derive(Clone, Debug, Default)]
pub(super) struct RetainedPackets(Box<PacketBuffer>);

impl RetainedPackets {
    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        boxed::<PacketBuffer>()
            + self.0.data.capacity()
            + self.0.packets.capacity() * size_of::<BufferedPacket>()
    }

    /// Adds a packet if the limits allow it; `has_begun` says whether a handshake is open.
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
        let buffer = &mut self.0;
        if buffer.packets.len() >= most || buffer.data.len() + bytes.len() > MAX_BYTES {
            buffer.is_cut = true;
            return;
        }
        buffer.packets.push(BufferedPacket {
            timestamp: packet.timestamp,
            interface: interface_index(&mut buffer.interfaces, interface),
            length: bytes.len() as u32,
            wire_length: packet.wire_length,
        });
        buffer.data.extend_from_slice(bytes);
    }

    pub(super) fn note_lost(&mut self) {
        self.0.is_cut = true;
    }

    pub(super) fn into_packets(self) -> Box<PacketBuffer> {
        self.0
    }
}

/// The index of an interface among those known; there are few, and for nearly every connection one.
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
