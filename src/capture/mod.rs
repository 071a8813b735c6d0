//! Where packets come from.
//!
//! A [`PacketSource`] hands out packets in batches: one block of bytes, and a
//! record for each packet in it. Nothing is copied or allocated for each packet.
//!
//! # Why not libpcap, or a memory map, for files?
//!
//! libpcap refuses pcapng files that mix link types, reads nothing compressed
//! and hides decryption secrets. A memory map saves one copy and costs a page
//! fault for every page of the file; a block that stays in the cache is faster
//! than either, and works for standard input too. Live interfaces are libpcap's.

#[cfg(feature = "files")]
mod block;
#[cfg(feature = "files")]
mod compressed;
mod error;
#[cfg(feature = "files")]
mod file;
mod filter;
#[cfg(feature = "files")]
mod interface_order;
#[cfg(feature = "files")]
mod interfaces;
#[cfg(live_capture)]
pub mod live;
#[cfg(feature = "files")]
mod merge;
mod meter;
mod packet_buffer;
#[cfg(feature = "files")]
mod pcap;
#[cfg(feature = "files")]
mod pcapng;
#[cfg(all(test, feature = "files"))]
mod testing;

use std::sync::Arc;

use crate::time::Timestamp;

pub use error::{CaptureError, Fault, Position, Problem, Severity};
pub use filter::PacketFilter;
#[cfg(feature = "files")]
pub use merge::CaptureFiles;
pub use meter::{Meter, Meters};
pub use packet_buffer::{BufferedPacket, PacketBuffer};

/// Hands out packets, a batch at a time.
pub trait PacketSource: Send {
    /// Refills `batch`; `false` if the source has ended and the batch is empty.
    ///
    /// The batch's buffers are reused, so handing the same few batches around
    /// allocates nothing. A batch can hold secrets and no packets.
    ///
    /// # Errors
    ///
    /// When the source is broken for good. The packets before the break have
    /// been handed out, and the next call says that the source has ended.
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError>;

    /// What went wrong since the last call and did not stop the source, in order.
    fn take_problems(&mut self) -> Vec<Problem> {
        Vec::new()
    }

    /// How the interfaces are doing; `None` if the source is not live.
    fn meters(&self) -> Option<Meters> {
        None
    }

    /// How much of the input was read; `None` if the source has no end.
    fn progress(&self) -> Option<Progress> {
        None
    }
}

/// How much of the input was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far, as stored: compressed ones count compressed.
    pub bytes_read: u64,
    /// Bytes of all inputs, as stored; `None` if one of them is a pipe.
    pub bytes_total: Option<u64>,
}

/// A link layer, by its number in the tcpdump.org LINKTYPE registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

/// The link types that [`crate::observer::Observer`] reads; packets of others are counted and skipped.
impl LinkType {
    /// BSD loopback; the address family is in the byte order of the host that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet, with 802.1Q tags or MPLS labels if there are any.
    pub const ETHERNET: Self = Self(1);
    /// Point-to-Point Protocol.
    pub const PPP: Self = Self(9);
    /// IPv4 or IPv6 without a link layer, by the number that some BSDs write into files.
    pub const RAW_BSD: Self = Self(12);
    /// IPv4 or IPv6 without a link layer, by the number that OpenBSD writes into files.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet, from its own header on.
    pub const PPP_ETHER: Self = Self(51);
    /// IPv4 or IPv6 without a link layer.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// 802.11, from its own header on.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback; the address family is in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, as on the interface `any`.
    pub const LINUX_SLL: Self = Self(113);
    /// 802.11 with the Radiotap header of the radio before it.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// PPP with a byte before it that says who sent it, as pppd writes it.
    pub const PPP_PPPD: Self = Self(166);
    /// PPP with a byte before it that says who sent it.
    pub const PPP_WITH_DIRECTION: Self = Self(204);
    /// MPLS without a link layer.
    pub const MPLS: Self = Self(219);
    /// IPv4 without a link layer.
    pub const IPV4: Self = Self(228);
    /// IPv6 without a link layer.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter log, as on the interface `nflog`.
    pub const NFLOG: Self = Self(239);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// Where packets were captured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// The sources that have ended before the last of these packets, where others go on.
    pub ended: Vec<SourceEnd>,
    /// What time it is, if the source is live. A live source hands out batches
    /// without packets while the wire is quiet, so that time goes on.
    pub now: Option<Timestamp>,
    /// When it became known that packets were dropped, of whichever source, if that is news since the batch before. A connection
    /// that has been quiet since then may not have been.
    pub dropped_at: Option<Timestamp>,
    /// The same for sources that count what was dropped on the way to them.
    pub drops: Vec<SourceDrops>,
}

impl PacketBatch {
    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.secrets.clear();
        self.ended.clear();
        self.now = None;
        self.dropped_at = None;
        self.drops.clear();
    }

    /// News of its sources.
    pub(crate) fn news(&self) -> SourceNews<'_> {
        SourceNews {
            ended: &self.ended,
            dropped_at: self.dropped_at,
            drops: &self.drops,
        }
    }

    /// The captured bytes of `packet`, which must be one of this batch's records.
    #[must_use]
    pub fn bytes(&self, packet: &PacketRecord) -> &[u8] {
        self.packets().bytes(packet)
    }

    /// The packets and what is needed to read them.
    #[must_use]
    pub fn packets(&self) -> Packets<'_> {
        Packets {
            interfaces: &self.interfaces,
            records: &self.packets,
            data: &self.data,
        }
    }
}

/// The end of one of several sources: of its connections nothing is observed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEnd {
    /// The source, as in [`Interface::source`].
    pub source: Arc<str>,
    /// The time of its last packet.
    pub at: Timestamp,
}

/// Packets of a source that were dropped before they got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDrops {
    /// The source, as in [`Interface::source`].
    pub source: Arc<str>,
    /// When that became known: they were dropped before.
    pub at: Timestamp,
    /// How many, beyond those of earlier news.
    pub packets: u64,
}

/// News of the sources of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceNews<'b> {
    pub(crate) ended: &'b [SourceEnd],
    pub(crate) dropped_at: Option<Timestamp>,
    pub(crate) drops: &'b [SourceDrops],
}

/// Some packets in capture order, wherever they are stored.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'b> {
    /// The interfaces that the records refer to.
    pub interfaces: &'b [Interface],
    /// The packets, in order.
    pub records: &'b [PacketRecord],
    /// The block of bytes that they lie in.
    pub data: &'b [u8],
}

impl<'b> Packets<'b> {
    /// No packet.
    pub const NONE: Self = Self {
        interfaces: &[],
        records: &[],
        data: &[],
    };

    /// The captured bytes of `packet`, which must be one of the records; empty if they do not lie in the block.
    #[must_use]
    pub fn bytes(&self, packet: &PacketRecord) -> &'b [u8] {
        let start = packet.offset as usize;
        self.data
            .get(start..start + packet.captured_length as usize)
            .unwrap_or_default()
    }
}
