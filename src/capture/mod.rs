//! Where packets come from.
//!
//! A [`PacketSource`] hands out packets in batches: one block of bytes, and a
//! record for each packet in it. Nothing is copied or allocated for each packet.

use std::sync::Arc;

use crate::time::Timestamp;

/// A link layer, by its number in the tcpdump.org LINKTYPE registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

/// Where packets were captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// How its packets begin.
    pub link_type: LinkType,
    /// The file or interface that events name as their source.
    pub source: Arc<str>,
    /// The capture interface's name, where the file tells.
    pub name: Option<Arc<str>>,
}

/// One packet in a [`PacketBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Its number within its source, from 1; packets that a filter dropped count.
    pub number: u64,
    /// Index into [`PacketBatch::interfaces`].
    pub interface: u32,
    /// Where its bytes begin in [`PacketBatch::data`].
    pub offset: u32,
    /// Bytes captured.
    pub captured_length: u32,
    /// Bytes on the wire; more than captured if the snap length cut it.
    pub wire_length: u32,
}

/// Some packets in capture order, with the block of bytes that they lie in.
#[derive(Clone, Debug, Default)]
pub struct PacketBatch {
    /// The block of bytes; packets lie anywhere in it.
    pub data: Vec<u8>,
    /// The packets, in order.
    pub packets: Vec<PacketRecord>,
    /// The interfaces known so far: an index stays valid for the whole run.
    pub interfaces: Arc<[Interface]>,
    /// TLS secrets found in the capture before the last of these packets, NSS key log format.
    pub secrets: Vec<Box<[u8]>>,
}

impl PacketBatch {
    /// The captured bytes of `packet`, which must be one of this batch's records.
    #[must_use]
    pub fn bytes(&self, packet: &PacketRecord) -> &[u8] {
        let start = packet.offset as usize;
        self.data
            .get(start..start + packet.captured_length as usize)
            .unwrap_or_default()
    }
}
