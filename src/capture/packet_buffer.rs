//! Packets that outlive their batch.

use std::sync::Arc;

use crate::time::Timestamp;

use super::LinkType;

/// Packets of one connection, as they were captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketBuffer {
    /// The interfaces that they came through: how packets begin there, and a name.
    pub interfaces: Vec<(LinkType, Arc<str>)>,
    /// The packets, in order.
    pub packets: Vec<BufferedPacket>,
    /// Their bytes, one packet after the other.
    pub data: Vec<u8>,
    /// Whether some are missing because a limit was reached.
    pub is_cut: bool,
}

/// One packet in a [`PacketBuffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferedPacket {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Index into [`PacketBuffer::interfaces`].
    pub interface: u32,
    /// Bytes captured.
    pub length: u32,
    /// Bytes on the wire.
    pub wire_length: u32,
}

impl PacketBuffer {
    /// Each packet with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&BufferedPacket, &[u8])> {
        let mut rest = self.data.as_slice();
        self.packets.iter().map(move |packet| {
            let (bytes, behind) = rest.split_at(rest.len().min(packet.length as usize));
            rest = behind;
            (packet, bytes)
        })
    }
}
