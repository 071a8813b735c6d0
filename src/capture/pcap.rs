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
    /// Whether the wire length stands before the captured one in a record header.
    has_wire_length_first: bool,
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
            has_wire_length_first: false,
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
        // Compiled for what nearly all files are, and for each order, so that choices are not made again with each packet.
        let usual = (RECORD_HEADER, false);
        let layout = (self.record_header, self.has_wire_length_first);
        match self.order {
            ByteOrder::Little if layout == usual => {
                self.parse_records((ByteOrder::Little, usual), interface, data, start, found)
            }
            ByteOrder::Little => {
                self.parse_records((ByteOrder::Little, layout), interface, data, start, found)
            }
            ByteOrder::Big => {
                self.parse_records((ByteOrder::Big, layout), interface, data, start, found)
            }
        }
    }

    #[inline(always)]
    fn parse_records(
        &mut self,
        (order, (record_header, has_wire_length_first)): (ByteOrder, (usize, bool)),
        interface: u32,
        data: &[u8],
        start: usize,
        found: &mut Found<'_>,
    ) -> Result<Parsed, Malformed> {
        let packets = &mut *found.packets;
        let mut rest = data.get(start..).unwrap_or_default();
        loop {
            let at = data.len() - rest.len();
            let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
                return Ok(Parsed::wants(at, record_header));
            };
            let [first, second] = [order.u32(header, 8), order.u32(header, 12)];
            let (captured_length, wire_length) = if has_wire_length_first {
                (second, first)
            } else {
                (first, second)
            };
            if captured_length > MAX_PACKET {
                return Err(too_long(at, captured_length));
            }
            let length = record_header + captured_length as usize;
            let Some(next) = rest.get(length..) else {
                return Ok(Parsed::wants(at, length));
            };
            rest = next;
            self.packets += 1;
            packets.push(PacketRecord {
                timestamp: self.timestamp(order, header),
                number: self.packets,
                interface,
                offset: (at + record_header) as u32, // within a block
                captured_length,
                wire_length: wire_length.max(captured_length),
            });
        }
    }

    /// Reads version and link type: the snap length is wrong in too many files to be of use,
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
        match (self.order.u16(header, 4), self.order.u16(header, 6)) {
            (2, 0..=2) => self.has_wire_length_first = true, // they changed places in version 2.3
            (2, _) => {}
            (major, minor) => {
                let fault = Fault::Version { major, minor };
                return Err(Malformed { at: start, fault });
            }
        }
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

    #[inline(always)]
    fn timestamp(&self, order: ByteOrder, header: &[u8; RECORD_HEADER]) -> Timestamp {
        let seconds = i64::from(order.u32(header, 0)); // until 2106: unsigned
        let ticks = i64::from(order.u32(header, 4));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{BIG, Contents, LITTLE, Numbers, Packet, read};

    #[test]
    fn reads_a_little_endian_microsecond_file() {
        let capture = [
            0xd4, 0xc3, 0xb2, 0xa1, // magic
            2, 0, 4, 0, // version
            0, 0, 0, 0, 0, 0, 0, 0, // time zone, accuracy
            0, 0, 4, 0, // snap length
            113, 0, 0, 0, // link type
            0x80, 0x2b, 0xa4, 0x69, 0x40, 0xe2, 0x01, 0x00, // 1772366720.123456
            3, 0, 0, 0, 60, 0, 0, 0, // captured, on the wire
            b'a', b'b', b'c',
        ];
        let expected = Packet {
            nanoseconds: 1_772_366_720_123_456_000,
            number: 1,
            link_type: 113,
            wire_length: 60,
            bytes: b"abc".to_vec(),
        };
        let contents = Contents {
            packets: vec![expected],
            names: vec![None],
            ..Contents::default()
        };
        assert_eq!(read(&capture), contents);
    }

    #[test]
    fn reads_every_byte_order_and_resolution() {
        let cases = [
            (LITTLE, MICROSECONDS, 4_294_967_295_999_999_000),
            (LITTLE, NANOSECONDS, 4_294_967_295_000_999_999),
            (BIG, MICROSECONDS, 4_294_967_295_999_999_000),
            (BIG, NANOSECONDS, 4_294_967_295_000_999_999),
        ];
        for (numbers, magic, nanoseconds) in cases {
            let first = numbers.record(u32::MAX, 999_999, b"one");
            let second = numbers.record(0, 0, b"");
            let capture = [numbers.pcap(magic, 1), first, second].concat();
            let contents = read(&capture);
            assert_eq!(contents.times(), [nanoseconds, 0]);
            assert_eq!(contents.bytes(), [b"one".as_slice(), b""]);
            assert_eq!(contents.problems, []);
        }
    }

    #[test]
    fn passes_over_the_longer_record_header_of_the_modified_format() {
        for numbers in [LITTLE, BIG] {
            let header = numbers.u32s([1, 2, 3, 9]);
            let extra = [0xee; 8]; // interface, protocol, packet type
            let record = [&header, &extra[..], b"abc"].concat();
            let capture = [numbers.pcap(MODIFIED, 1), record.clone(), record].concat();
            let contents = read(&capture);
            assert_eq!(contents.bytes(), [b"abc", b"abc"]);
            assert_eq!(contents.times(), [1_000_002_000, 1_000_002_000]);
            assert_eq!(contents.packets[1].wire_length, 9);
        }
    }

    #[test]
    fn passes_over_the_check_sequence_length_in_the_link_type() {
        let capture = [
            LITTLE.pcap(MICROSECONDS, 0x2400_0001),
            LITTLE.record(1, 0, b"x"),
        ];
        assert_eq!(read(&capture.concat()).packets[0].link_type, 1);
    }

    #[test]
    fn does_not_believe_the_snap_length() {
        for snap_length in [0, 1, u32::MAX] {
            let mut header = LITTLE.pcap(MICROSECONDS, 1);
            header[16..20].copy_from_slice(&LITTLE.u32(snap_length));
            let capture = [header, LITTLE.record(1, 0, &[7; 100])].concat();
            assert_eq!(read(&capture).bytes(), [[7; 100]]);
        }
    }

    #[test]
    fn nonsense_in_the_fraction_of_a_second_does_not_overflow() {
        let capture = [
            LITTLE.pcap(MICROSECONDS, 1),
            LITTLE.record(u32::MAX, u32::MAX, b""),
        ];
        let times = read(&capture.concat()).times();
        assert_eq!(times, [4_294_967_295_000_000_000 + 4_294_967_295_000]);
    }

    #[test]
    fn lengths_stand_the_other_way_round_up_to_version_2_2() {
        let mut header = BIG.pcap(MICROSECONDS, 1);
        header[7] = 2;
        let record = [&BIG.u32s([1, 0, 60, 3]), b"abc".as_slice()].concat();
        let contents = read(&[header, record].concat());
        assert_eq!(contents.bytes(), [b"abc"]);
        assert_eq!(contents.packets[0].wire_length, 60);
    }

    #[test]
    fn a_wire_length_below_the_captured_one_is_not_believed() {
        let record = [&LITTLE.u32s([1, 0, 3, 0]), b"abc".as_slice()].concat();
        let contents = read(&[LITTLE.pcap(MICROSECONDS, 1), record].concat());
        assert_eq!(contents.packets[0].wire_length, 3);
    }

    #[test]
    fn accepts_the_longest_packet_and_rejects_a_longer_one() {
        let longest = LITTLE.record(1, 0, &vec![1; MAX_PACKET as usize]);
        let longer = LITTLE.record(2, 0, &vec![2; MAX_PACKET as usize + 1]);
        let contents = read(&[LITTLE.pcap(MICROSECONDS, 1), longest, longer].concat());
        assert_eq!(contents.times(), [1_000_000_000]);
        assert_eq!(
            contents.error_text(),
            "`test` is malformed at byte 262184: a packet of 262145 bytes, over the limit of 262144"
        );
    }

    #[test]
    fn rejects_an_unknown_version() {
        for numbers in [LITTLE, BIG] {
            let mut header = numbers.pcap(MICROSECONDS, 1);
            header[4..6].copy_from_slice(&numbers.u16(3));
            let text = read(&header).error_text();
            assert!(text.ends_with("unknown format version 3.4"));
        }
    }

    #[test]
    fn a_file_without_packets_is_whole() {
        let contents = read(&Numbers::pcap(BIG, NANOSECONDS, 1));
        assert_eq!((contents.packets, contents.problems), (vec![], vec![]));
    }

    #[test]
    fn does_not_recognise_other_magic_numbers() {
        assert!(Pcap::recognise(*b"\xa1\xb2\xc3\xd5").is_none());
        assert!(Pcap::recognise(*b"\x0a\x0d\x0d\x0a").is_none());
        assert!(Pcap::recognise([0; 4]).is_none());
    }
}
