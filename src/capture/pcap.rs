//! The classic pcap format (draft-ietf-opsawg-pcap).

use std::sync::Arc;

use super::block::{ByteOrder, Found, MAX_PACKET, Malformed, Parsed};
use super::interfaces::MAX_INTERFACES;
use super::{Fault, Interface, LinkType, PacketRecord};
use crate::time::Timestamp;

/// Parses a pcap file, a block at a time.
pub(super) struct Pcap {
    order: ByteOrder,
    record_header: usize,
    nanoseconds_per_tick: i64,
    interface: Option<u32>,
    packets: u64,
}

impl Pcap {
    /// A parser for files that begin with `magic`.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        let big = u32::from_be_bytes(magic);
        let (order, magic) = match big {
            MICROSECONDS | NANOSECONDS | MODIFIED => (ByteOrder::Big, big),
            _ => (ByteOrder::Little, big.swap_bytes()),
        };
        let (record_header, nanoseconds_per_tick) = match magic {
            MICROSECONDS => (RECORD_HEADER, 1_000),
            NANOSECONDS => (RECORD_HEADER, 1),
            MODIFIED => (MODIFIED_RECORD_HEADER, 1_000),
            _ => return None,
        };
        Some(Self {
            order,
            record_header,
            nanoseconds_per_tick,
            interface: None,
            packets: 0,
        })
    }

    /// Parses the records in `data` from `start` on, as far as they are whole.
    pub(super) fn parse(
        &mut self,
        data: &[u8],
        start: usize,
        found: &mut Found<'_>,
    ) -> Result<Parsed, Malformed> {
        let Some(interface) = self.interface else {
            return self.parse_header(data, start, found);
        };
        let mut at = start;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
                return Ok(Parsed::wants(at, self.record_header));
            };
            let captured_length = self.order.u32(header, 8);
            if captured_length > MAX_PACKET {
                return Err(too_long(at, captured_length));
            }
            let length = self.record_header + captured_length as usize;
            if rest.len() < length {
                return Ok(Parsed::wants(at, length));
            }
            self.packets += 1;
            found.packets.push(PacketRecord {
                timestamp: self.timestamp(header),
                number: self.packets,
                interface,
                offset: (at + self.record_header) as u32, // within a block
                captured_length,
                wire_length: self.order.u32(header, 12).max(captured_length),
            });
            at += length;
        }
    }

    /// Reads the link type: the snap length is wrong in too many files to be of use,
    /// and nobody sets the time zone.
    fn parse_header(
        &mut self,
        data: &[u8],
        start: usize,
        found: &mut Found<'_>,
    ) -> Result<Parsed, Malformed> {
        let header = data.get(start..).and_then(<[u8]>::first_chunk);
        let Some(header) = header else {
            return Ok(Parsed::wants(start, FILE_HEADER));
        };
        let header: &[u8; FILE_HEADER] = header;
        let link_type = self.order.u32(header, 20) & LINK_TYPE_MASK;
        let interface = Interface {
            link_type: LinkType(link_type),
            source: Arc::clone(found.file),
            name: None,
        };
        self.interface = found.interfaces.index(interface);
        if self.interface.is_none() {
            let limit = MAX_INTERFACES;
            let fault = Fault::TooManyInterfaces { limit };
            return Err(Malformed { at: start, fault });
        }
        self.parse(data, start + FILE_HEADER, found)
    }

    #[inline]
    fn timestamp(&self, header: &[u8; RECORD_HEADER]) -> Timestamp {
        let seconds = i64::from(self.order.u32(header, 0)); // until 2106: unsigned
        let ticks = i64::from(self.order.u32(header, 4));
        let nanoseconds = seconds * 1_000_000_000 + ticks * self.nanoseconds_per_tick;
        Timestamp::from_nanoseconds(nanoseconds) // two products of 32 bits: no overflow
    }
}

#[cold]
const fn too_long(at: usize, length: u32) -> Malformed {
    let limit = MAX_PACKET;
    let fault = Fault::PacketTooLong { length, limit };
    Malformed { at, fault }
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's patch to libpcap: interface, protocol and packet type follow each record header.
const MODIFIED: u32 = 0xa1b2_cd34;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MODIFIED_RECORD_HEADER: usize = 24;

/// The upper bits tell the length of the frame check sequence.
const LINK_TYPE_MASK: u32 = 0xffff;
