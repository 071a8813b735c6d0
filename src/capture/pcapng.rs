//! The pcapng format (draft-ietf-opsawg-pcapng).

use std::sync::Arc;

use super::block::{ByteOrder, Found, MAX_BLOCK, MAX_PACKET, Malformed, Parsed};
use super::interfaces::MAX_INTERFACES;
use super::{Fault, Interface, LinkType, PacketRecord, Problem};
use crate::time::Timestamp;

/// Parses a pcapng file, a run of whole blocks at a time.
pub(super) struct Pcapng {
    order: ByteOrder,
    /// The interfaces of the current section.
    interfaces: Vec<SectionInterface>,
    packets: u64,
    last_time: Timestamp,
}

/// An interface as a section describes it, as far as its packets need it.
struct SectionInterface {
    /// Index among the interfaces of the run.
    index: u32,
    snap_length: u32,
    clock: Clock,
    /// Packets dropped, as its latest statistics count them.
    dropped: u64,
}

/// How an interface counts time.
#[derive(Clone, Copy)]
struct Clock {
    unit: Unit,
    /// Seconds to be added.
    offset: i64,
}

/// Turns ticks into nanoseconds.
#[derive(Clone, Copy)]
enum Unit {
    Multiply(i64),
    Divide(u64),
    /// Ticks of 2⁻ⁿ seconds.
    Binary(u32),
}

/// A whole block.
struct Block<'a> {
    block_type: u32,
    /// Where it begins, as an index into the data.
    at: usize,
    length: u32,
    body: &'a [u8],
}

/// The lengths in a packet block.
struct PacketLengths {
    /// Bytes of fields before the packet.
    fields: usize,
    captured: u32,
    wire: u32,
}

impl Pcapng {
    /// A parser for files that begin with `magic`.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        (u32::from_be_bytes(magic) == SECTION_HEADER).then(|| Self {
            order: ByteOrder::Little, // until the section header says
            interfaces: Vec::new(),
            packets: 0,
            last_time: Timestamp::default(),
        })
    }

    /// Whether the current section has more than one interface.
    pub(super) const fn has_several_interfaces(&self) -> bool {
        self.interfaces.len() > 1
    }

    /// Parses the blocks in `data` from `start` on, as far as they are whole.
    pub(super) fn parse(
        &mut self,
        data: &[u8],
        start: usize,
        found: &mut Found<'_>,
    ) -> Result<Parsed, Malformed> {
        let mut at = start;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<MIN_LENGTH>() else {
                return Ok(Parsed::wants(at, MIN_LENGTH));
            };
            let (block_type, length) = self.header(header, at)?;
            if is_wanted(block_type, length, found) {
                if length > MAX_BLOCK {
                    return Err(block_too_long(block_type, length, at));
                }
                let Some(block) = rest.get(..length as usize) else {
                    return Ok(Parsed::wants(at, length as usize));
                };
                self.check_trailer(block, length, at)?;
                let body = block.get(8..block.len() - 4).unwrap_or_default();
                let block = Block {
                    block_type,
                    at,
                    length,
                    body,
                };
                self.block(&block, found)?;
            } else if length as usize > rest.len() {
                return Ok(Parsed {
                    next: data.len(),
                    skip: u64::from(length) - rest.len() as u64,
                    wanted: MIN_LENGTH,
                });
            }
            at += length as usize;
        }
    }

    /// Type and length of a block; a section header sets the byte order first.
    #[inline]
    fn header(&mut self, header: &[u8; MIN_LENGTH], at: usize) -> Result<(u32, u32), Malformed> {
        let block_type = self.order.u32(header, 0);
        if block_type == SECTION_HEADER {
            self.set_byte_order(header, at)?;
        }
        let length = self.order.u32(header, 4);
        if length.is_multiple_of(4) && length as usize >= MIN_LENGTH {
            return Ok((block_type, length));
        }
        Err(impossible_length(block_type, length, at))
    }

    /// Each section says in which order its numbers are written.
    fn set_byte_order(&mut self, header: &[u8; MIN_LENGTH], at: usize) -> Result<(), Malformed> {
        let magic = ByteOrder::Big.u32(header, 8);
        self.order = match magic {
            BYTE_ORDER_MAGIC => ByteOrder::Big,
            _ if magic.swap_bytes() == BYTE_ORDER_MAGIC => ByteOrder::Little,
            _ => {
                let fault = Fault::ByteOrder { magic };
                return Err(Malformed { at, fault });
            }
        };
        Ok(())
    }

    fn check_trailer(&self, block: &[u8], first: u32, at: usize) -> Result<(), Malformed> {
        let last = self.order.u32(block, block.len() - 4);
        if first == last {
            return Ok(());
        }
        let fault = Fault::LengthsDiffer { first, last };
        Err(Malformed { at, fault })
    }

    #[inline]
    fn block(&mut self, block: &Block<'_>, found: &mut Found<'_>) -> Result<(), Malformed> {
        match block.block_type {
            ENHANCED_PACKET => self.timed_packet(block, self.order.u32(block.body, 0), found),
            SECTION_HEADER => self.section_header(block),
            INTERFACE_DESCRIPTION => self.interface_description(block, found),
            SIMPLE_PACKET => self.simple_packet(block, found),
            PACKET => self.timed_packet(block, self.order.u16(block.body, 0).into(), found),
            DECRYPTION_SECRETS => {
                self.decryption_secrets(block, found);
                Ok(())
            }
            INTERFACE_STATISTICS => {
                self.interface_statistics(block.body, found);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Section Header Block: byte-order magic, version, length of the section. Forgets
    /// the interfaces of the section before.
    fn section_header(&mut self, block: &Block<'_>) -> Result<(), Malformed> {
        let body = block.fields(16)?;
        let (major, minor) = (self.order.u16(body, 4), self.order.u16(body, 6));
        if major != VERSION {
            let fault = Fault::Version { major, minor };
            return Err(Malformed {
                at: block.at,
                fault,
            });
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Enhanced Packet Block, and the obsolete Packet Block, which has 16 bits each
    /// of interface and drop count: time in two halves, lengths, packet, options.
    #[inline]
    fn timed_packet(
        &mut self,
        block: &Block<'_>,
        interface: u32,
        found: &mut Found<'_>,
    ) -> Result<(), Malformed> {
        let body = block.fields(20)?;
        let lengths = PacketLengths {
            fields: 20,
            captured: self.order.u32(body, 12),
            wire: self.order.u32(body, 16),
        };
        let interface = self.interface(interface, block.at)?;
        let ticks = u64::from(self.order.u32(body, 4)) << 32 | u64::from(self.order.u32(body, 8));
        let (index, time) = (interface.index, interface.clock.time(ticks));
        self.packet(block, &lengths, index, time, found)
    }

    /// Simple Packet Block: only the length on the wire; interface 0, and no time, so the last one known.
    fn simple_packet(&mut self, block: &Block<'_>, found: &mut Found<'_>) -> Result<(), Malformed> {
        let wire = self.order.u32(block.fields(4)?, 0);
        let interface = self.interface(0, block.at)?;
        let captured = match interface.snap_length {
            0 => wire, // unlimited
            snap_length => wire.min(snap_length),
        };
        let index = interface.index;
        let lengths = PacketLengths {
            fields: 4,
            captured,
            wire,
        };
        self.packet(block, &lengths, index, self.last_time, found)
    }

    #[inline]
    fn packet(
        &mut self,
        block: &Block<'_>,
        lengths: &PacketLengths,
        interface: u32,
        timestamp: Timestamp,
        found: &mut Found<'_>,
    ) -> Result<(), Malformed> {
        block.check_room(lengths)?;
        self.packets += 1;
        self.last_time = timestamp;
        found.packets.push(PacketRecord {
            timestamp,
            number: self.packets,
            interface,
            offset: (block.at + 8 + lengths.fields) as u32, // within MAX_BLOCK and a block
            captured_length: lengths.captured,
            wire_length: lengths.wire.max(lengths.captured),
        });
        Ok(())
    }

    #[inline]
    fn interface(&self, interface: u32, at: usize) -> Result<&SectionInterface, Malformed> {
        let known = self.interfaces.len();
        let fault = Fault::UnknownInterface { interface, known };
        self.interfaces
            .get(interface as usize)
            .ok_or(Malformed { at, fault })
    }

    /// Interface Description Block: link type, snap length, options.
    fn interface_description(
        &mut self,
        block: &Block<'_>,
        found: &mut Found<'_>,
    ) -> Result<(), Malformed> {
        let body = block.fields(8)?;
        let options = self.interface_options(body.get(8..).unwrap_or_default());
        let interface = Interface {
            link_type: LinkType(self.order.u16(body, 0).into()),
            source: Arc::clone(found.file),
            name: options.name,
        };
        let index = found.interfaces.index(interface);
        let (Some(index), true) = (index, self.interfaces.len() < MAX_INTERFACES) else {
            let limit = MAX_INTERFACES;
            let fault = Fault::TooManyInterfaces { limit };
            return Err(Malformed {
                at: block.at,
                fault,
            });
        };
        self.interfaces.push(SectionInterface {
            index,
            snap_length: self.order.u32(body, 4),
            clock: options.clock,
            dropped: 0,
        });
        Ok(())
    }

    /// Reads the options that matter; a list that breaks off counts as far as it goes.
    fn interface_options(&self, mut rest: &[u8]) -> InterfaceOptions {
        let mut options = InterfaceOptions::default();
        while let Some((header, after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(self.order.u16(header, 2));
            let Some(value) = after.get(..length) else {
                break;
            };
            match self.order.u16(header, 0) {
                END_OF_OPTIONS => break,
                IF_NAME => options.name = name(value),
                IF_TSRESOL => options.clock.unit = value.first().map_or(MICROSECONDS, unit),
                IF_TSOFFSET if length == 8 => {
                    options.clock.offset = self.order.u64(value, 0).cast_signed();
                }
                _ => {}
            }
            rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        options
    }

    /// Interface Statistics Block: interface, time in two halves, options. Its counters are sums since the capture began; one that
    /// has grown says that packets were dropped by then. A block that cannot be right says nothing.
    fn interface_statistics(&mut self, body: &[u8], found: &mut Found<'_>) {
        let Some((fields, options)) = body.split_first_chunk::<12>() else {
            return;
        };
        let (order, last_time) = (self.order, self.last_time);
        let dropped = dropped(order, options);
        let index = order.u32(fields, 0) as usize;
        let Some(interface) = self.interfaces.get_mut(index) else {
            return;
        };
        let before = std::mem::replace(&mut interface.dropped, dropped);
        if let Some(packets @ 1..) = dropped.checked_sub(before) {
            let ticks = u64::from(order.u32(fields, 4)) << 32 | u64::from(order.u32(fields, 8));
            // Some writers leave the time out.
            let at = interface.clock.time(ticks).max(last_time);
            found.note_drops(packets, at);
        }
    }

    /// Decryption Secrets Block: type of the secrets, their length, the secrets.
    fn decryption_secrets(&self, block: &Block<'_>, found: &mut Found<'_>) {
        let length = self.order.u32(block.body, 4) as usize;
        let secrets = block.body.get(8..).and_then(|rest| rest.get(..length));
        if let (TLS_KEY_LOG, Some(secrets)) = (self.order.u32(block.body, 0), secrets) {
            found.secrets.push(secrets.into());
        }
    }
}

impl<'a> Block<'a> {
    /// The body, if it has room for `length` bytes of fields.
    #[inline]
    fn fields(&self, length: usize) -> Result<&'a [u8], Malformed> {
        if self.body.len() < length {
            return Err(impossible_length(self.block_type, self.length, self.at));
        }
        Ok(self.body)
    }

    /// Checks that the packet lies within the block and is no longer than is believed.
    #[inline]
    fn check_room(&self, lengths: &PacketLengths) -> Result<(), Malformed> {
        let length = lengths.captured;
        let room = self.body.len().saturating_sub(lengths.fields);
        let fault = if length as usize > room {
            Fault::PacketOverBlock { length, room }
        } else if length > MAX_PACKET {
            let limit = MAX_PACKET;
            Fault::PacketTooLong { length, limit }
        } else {
            return Ok(());
        };
        Err(Malformed { at: self.at, fault })
    }
}

impl Clock {
    #[inline]
    fn time(self, ticks: u64) -> Timestamp {
        let ticks = i128::from(ticks);
        let nanoseconds = match self.unit {
            Unit::Multiply(factor) => ticks * i128::from(factor),
            Unit::Divide(divisor) => ticks / i128::from(divisor),
            Unit::Binary(shift) => (ticks * 1_000_000_000) >> shift,
        } + i128::from(self.offset) * 1_000_000_000;
        let clamped = nanoseconds.clamp(i64::MIN.into(), i64::MAX.into());
        Timestamp::from_nanoseconds(clamped as i64)
    }
}

/// What the options of an interface say, or what holds without them.
struct InterfaceOptions {
    name: Option<Arc<str>>,
    clock: Clock,
}

impl Default for InterfaceOptions {
    fn default() -> Self {
        let (unit, offset) = (MICROSECONDS, 0);
        let clock = Clock { unit, offset };
        Self { name: None, clock }
    }
}

/// The packets that the options of an Interface Statistics Block count as dropped, by the interface and by the system.
fn dropped(order: ByteOrder, mut rest: &[u8]) -> u64 {
    let mut dropped = 0_u64;
    while let Some((header, after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(order.u16(header, 2));
        let Some(value) = after.get(..length) else {
            break;
        };
        match order.u16(header, 0) {
            END_OF_OPTIONS => break,
            ISB_IFDROP | ISB_OSDROP if length == 8 => {
                let count = order.u64(value, 0);
                // All bits set: not known.
                dropped = dropped.saturating_add(if count == u64::MAX { 0 } else { count });
            }
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    dropped
}

/// `if_tsresol`: a negative power of 10, or of 2 if the highest bit is set.
fn unit(resolution: &u8) -> Unit {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 != 0 {
        return Unit::Binary(exponent);
    }
    match exponent {
        0..=9 => Unit::Multiply(10_i64.pow(9 - exponent)),
        // Finer than a tick of 2⁶⁴ can tell from 0: any divisor will do.
        _ => Unit::Divide(10_u64.saturating_pow(exponent - 9)),
    }
}

fn name(value: &[u8]) -> Option<Arc<str>> {
    let value = value.get(..value.len().min(MAX_NAME))?;
    let name = String::from_utf8_lossy(value);
    let name = name.trim_end_matches('\0'); // some writers count a terminator
    (!name.is_empty()).then(|| name.into())
}

/// Whether the block must be looked into; a block of secrets above the limit is skipped with a warning.
#[inline]
fn is_wanted(block_type: u32, length: u32, found: &mut Found<'_>) -> bool {
    match block_type {
        SECTION_HEADER | INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | ENHANCED_PACKET => true,
        DECRYPTION_SECRETS | INTERFACE_STATISTICS if length <= MAX_BLOCK => true,
        DECRYPTION_SECRETS => {
            found.problems.push(Problem::warning(format!(
                "`{}`: skipped a block of secrets of {length} bytes, which is too long",
                found.file
            )));
            false
        }
        _ => false,
    }
}

#[cold]
const fn impossible_length(block_type: u32, length: u32, at: usize) -> Malformed {
    let fault = Fault::BlockLength { block_type, length };
    Malformed { at, fault }
}

#[cold]
const fn block_too_long(block_type: u32, length: u32, at: usize) -> Malformed {
    let limit = MAX_BLOCK;
    let fault = Fault::BlockTooLong {
        block_type,
        length,
        limit,
    };
    Malformed { at, fault }
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a; // the same in both byte orders
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;

/// Minor versions only add to it.
const VERSION: u16 = 1;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const TLS_KEY_LOG: u32 = 0x544c_534b; // "TLSK"

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

/// The resolution of an interface that does not tell.
const MICROSECONDS: Unit = Unit::Multiply(1_000);

/// Type and length, and the length once more at the end.
const MIN_LENGTH: usize = 12;

/// Bytes kept of an interface's name; real ones are far shorter.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Severity;
    use crate::capture::testing::{BIG, LITTLE, MILLION, Numbers, THOUSAND, read};

    fn with_interface(numbers: Numbers, options: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
        let start = [numbers.section(), numbers.interface(1, 0, options)].concat();
        [start, blocks.concat()].concat()
    }

    #[test]
    fn reads_a_file_written_by_hand() {
        let capture = [
            0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, // section header, length
            0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, // byte order, version
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28, // section length
            0, 0, 0, 1, 0, 0, 0, 32, // interface description, length
            0, 113, 0, 0, 0, 0, 0, 96, // link type, snap length
            0, 2, 0, 3, b'l', b'o', b'0', 0, // if_name
            0, 0, 0, 0, 0, 0, 0, 32, // end of options
            0, 0, 0, 6, 0, 0, 0, 36, // enhanced packet, length
            0, 0, 0, 0, 0x00, 0x06, 0x4b, 0xf3, 0x0c, 0x9d, 0xb2, 0x40, // interface, time
            0, 0, 0, 3, 0, 0, 0, 60, b'a', b'b', b'c', 0, // captured, on the wire
            0, 0, 0, 36,
        ];
        let contents = read(&capture);
        let packet = &contents.packets[0];
        assert_eq!(packet.nanoseconds, 0x0006_4bf3_0c9d_b240 * THOUSAND);
        assert_eq!((packet.link_type, packet.wire_length), (113, 60));
        assert_eq!(contents.bytes(), [b"abc"]);
        assert_eq!(contents.names, [Some("lo0".to_owned())]);
        assert_eq!((contents.problems, contents.error), (vec![], None));
    }

    #[test]
    fn time_keeps_its_precision_at_every_resolution() {
        let ticks_of_3_5_seconds = [
            (0, 3, 3_000_000_000), // whole seconds
            (3, 3_500, 3_500_000_000),
            (6, 3_500_001, 3_500_001_000),
            (9, 3_500_000_001, 3_500_000_001),
            (12, 3_500_000_001_999, 3_500_000_001),
            (19, 18_446_744_073_709_551_615, 1_844_674_407),
            (127, u64::MAX, 1),
            (0x80, 3, 3_000_000_000),
            (0x80 | 1, 7, 3_500_000_000),
            (0x80 | 10, 3_584, 3_500_000_000),
            (0x80 | 32, 0x3_8000_0000, 3_500_000_000),
            (0x80 | 64, 1 << 63, 500_000_000),
            (0xff, u64::MAX, 0),
        ];
        for (resolution, ticks, nanoseconds) in ticks_of_3_5_seconds {
            let offset = 0;
            let unit = unit(&resolution);
            let time = Clock { unit, offset }.time(ticks);
            assert_eq!(time.as_nanoseconds(), nanoseconds, "{resolution:#x}");
        }
    }

    #[test]
    fn time_is_clamped_to_what_can_be_written_down() {
        let unit = Unit::Multiply(1_000_000_000);
        let clock = |offset| Clock { unit, offset };
        assert_eq!(clock(i64::MAX).time(u64::MAX), Timestamp::MAX);
        assert_eq!(clock(i64::MIN).time(0), Timestamp::MIN);
        // More seconds than fit, brought back by the offset.
        let time = clock(-(1 << 62)).time((1 << 62) + 5);
        assert_eq!(time, Timestamp::from_seconds(5));
    }

    #[test]
    fn obeys_resolution_and_offset_of_each_interface() {
        for numbers in [LITTLE, BIG] {
            let nanoseconds = numbers.option(9, &[9]);
            let offset = match numbers.0 {
                ByteOrder::Little => numbers.option(14, &(-10_i64).to_le_bytes()),
                ByteOrder::Big => numbers.option(14, &(-10_i64).to_be_bytes()),
            };
            let capture = [
                numbers.section(),
                numbers.interface(1, 0, &[]),
                numbers.interface(276, 0, &[nanoseconds, offset].concat()),
                numbers.enhanced_packet(0, 7, b"a"),
                numbers.enhanced_packet(1, 12_000_000_007, b"b"),
            ];
            let contents = read(&capture.concat());
            assert_eq!(contents.times(), [7 * THOUSAND, 2_000_000_007]);
            let link_types: Vec<u32> = contents.packets.iter().map(|p| p.link_type).collect();
            assert_eq!(link_types, [1, 276]);
        }
    }

    #[test]
    fn sections_differ_in_byte_order_and_interfaces() {
        let capture = [
            with_interface(LITTLE, &[], &[LITTLE.enhanced_packet(0, 1, b"a")]),
            with_interface(BIG, &BIG.option(2, b"eth1"), &[]),
            BIG.enhanced_packet(0, 2, b"b"),
            LITTLE.section(),
            LITTLE.interface(101, 0, &[]),
            LITTLE.enhanced_packet(0, 3, b"c"),
        ];
        let contents = read(&capture.concat());
        assert_eq!(contents.bytes(), [b"a", b"b", b"c"]);
        let numbers: Vec<u64> = contents.packets.iter().map(|p| p.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(contents.packets[2].link_type, 101);
        assert_eq!(contents.names, [None, Some("eth1".to_owned()), None]);
    }

    #[test]
    fn an_interface_of_an_earlier_section_is_not_known_in_the_next() {
        let capture = [
            with_interface(LITTLE, &[], &[LITTLE.enhanced_packet(0, 1, b"a")]),
            LITTLE.section(),
            LITTLE.enhanced_packet(0, 2, b"b"),
        ];
        let contents = read(&capture.concat());
        assert_eq!(contents.bytes(), [b"a"]);
        assert!(
            contents
                .error_text()
                .ends_with("a packet of interface 0 (interfaces described: 0)")
        );
    }

    #[test]
    fn a_simple_packet_is_cut_by_the_snap_length_and_takes_the_last_time() {
        let simple = |wire: u32, bytes: &[u8]| {
            let body = [&LITTLE.u32(wire)[..], bytes].concat();
            LITTLE.block(3, &body)
        };
        let capture = [
            LITTLE.section(),
            LITTLE.interface(1, 4, &[]),
            LITTLE.enhanced_packet(0, 5, b"abcdefgh"),
            simple(9, b"ijkl"),
            simple(2, b"mn"),
        ];
        let contents = read(&capture.concat());
        assert_eq!(contents.bytes()[1..], [b"ijkl".as_slice(), b"mn"]);
        assert_eq!(contents.packets[1].wire_length, 9);
        assert_eq!(contents.times(), [5 * THOUSAND; 3]);
    }

    #[test]
    fn reads_the_obsolete_packet_block() {
        for numbers in [LITTLE, BIG] {
            let interface_and_drops = [numbers.u16(0), numbers.u16(7)].concat();
            let rest = numbers.u32s([1, 0, 3, 60]); // time, captured, on the wire
            let body = [&interface_and_drops, &rest, b"abc".as_slice()].concat();
            let contents = read(&with_interface(numbers, &[], &[numbers.block(2, &body)]));
            assert_eq!(contents.bytes(), [b"abc"]);
            assert_eq!(contents.times(), [(1 << 32) * THOUSAND]);
        }
    }

    #[test]
    fn hands_out_tls_secrets_and_no_others() {
        let secrets = |kind: u32, length: u32| {
            let header = LITTLE.u32s([kind, length]);
            let body = [&header, b"CLIENT_RANDOM 00 11\n".as_slice()].concat();
            LITTLE.block(10, &body)
        };
        let wire_guard = 0x5747_4b4c;
        let blocks = [
            secrets(TLS_KEY_LOG, 20),
            secrets(wire_guard, 20),
            secrets(TLS_KEY_LOG, 21), // more than there are
            LITTLE.block(10, &[]),
        ];
        let contents = read(&with_interface(LITTLE, &[], &blocks));
        let expected: Box<[u8]> = b"CLIENT_RANDOM 00 11\n".as_slice().into();
        assert_eq!(contents.secrets, [expected]);
        assert_eq!(contents.error, None);
    }

    #[test]
    fn passes_over_blocks_of_other_types_however_long() {
        let kinds = [4, 5, 0xbad, 0x4000_0bad, 0xdead_beef];
        for kind in kinds {
            let long = LITTLE.block(kind, &vec![0x0a; 100_000]);
            let capture = [long, LITTLE.enhanced_packet(0, 1, b"abc")];
            let contents = read(&with_interface(LITTLE, &[], &capture));
            assert_eq!(contents.bytes(), [b"abc"]);
            assert_eq!(contents.error, None);
        }
    }

    #[test]
    fn secrets_beyond_all_measure_are_passed_over_with_a_warning() {
        let longest = vec![0; MAX_BLOCK as usize];
        let blocks = [
            LITTLE.block(10, &longest),
            LITTLE.enhanced_packet(0, 1, b"abc"),
        ];
        let contents = read(&with_interface(LITTLE, &[], &blocks));
        assert_eq!(contents.bytes(), [b"abc"]);
        let severities: Vec<_> = contents.problems.iter().map(|p| p.severity).collect();
        assert_eq!(severities, [Severity::Warning]);
    }

    #[test]
    fn secrets_longer_than_a_block_are_read_whole() {
        let log = vec![b'x'; 1 << 20];
        let header = LITTLE.u32s([TLS_KEY_LOG, log.len() as u32]);
        let secrets = LITTLE.block(10, &[header, log.clone()].concat());
        let contents = read(&with_interface(LITTLE, &[], &[secrets]));
        assert_eq!(contents.secrets, [log.into_boxed_slice()]);
    }

    #[test]
    fn names_what_is_wrong_with_a_block() {
        let packet = LITTLE.enhanced_packet(0, MILLION as u64, b"abc");
        let change = |at: usize, value: u32| {
            let mut packet = packet.clone();
            packet[at..at + 4].copy_from_slice(&LITTLE.u32(value));
            packet
        };
        let cases = [
            (
                change(4, 0),
                "a block of type 0x6 with the impossible length 0",
            ),
            (
                change(4, 37),
                "a block of type 0x6 with the impossible length 37",
            ),
            (
                change(32, 40),
                "a block of length 36 that ends with length 40",
            ),
            (
                change(4, 1 << 30),
                "of 1073741824 bytes, over the limit of 16777216",
            ),
            (
                change(8, 1),
                "a packet of interface 1 (interfaces described: 1)",
            ),
            (
                change(20, 5),
                "a packet of 5 bytes in a block that has room for 4",
            ),
            (
                change(20, u32::MAX),
                "a packet of 4294967295 bytes in a block that has room for 4",
            ),
            (
                LITTLE.block(6, &[0; 16]),
                "a block of type 0x6 with the impossible length 28",
            ),
            (
                LITTLE.block(1, &[0; 4]),
                "a block of type 0x1 with the impossible length 16",
            ),
            (
                LITTLE.block(3, &[]),
                "a block of type 0x3 with the impossible length 12",
            ),
        ];
        for (block, what) in cases {
            let contents = read(&with_interface(LITTLE, &[], &[packet.clone(), block]));
            assert_eq!(contents.bytes(), [b"abc"], "{what}");
            let text = contents.error_text();
            assert!(
                text.starts_with("`test` is malformed at byte 84: "),
                "{text}"
            );
            assert!(text.ends_with(what), "{text}");
        }
    }

    #[test]
    fn rejects_a_packet_longer_than_is_believed() {
        let packet = LITTLE.enhanced_packet(0, 0, &vec![0; MAX_PACKET as usize + 4]);
        let text = read(&with_interface(LITTLE, &[], &[packet])).error_text();
        assert!(text.ends_with("a packet of 262148 bytes, over the limit of 262144"));
    }

    #[test]
    fn rejects_a_section_without_byte_order_or_of_an_unknown_version() {
        let mut section = LITTLE.section();
        section[8] = 0;
        let text = read(&section).error_text();
        assert!(text.ends_with("a section with the byte-order magic 0x003c2b1a"));
        let mut section = BIG.section();
        section[13] = 2;
        let text = read(&section).error_text();
        assert!(text.ends_with("unknown format version 2.0"));
    }

    #[test]
    fn options_that_break_off_count_as_far_as_they_go() {
        let options = [
            LITTLE.option(9, &[9]),
            LITTLE.option(14, &[1, 2, 3]), // an offset has 8 bytes
            LITTLE.option(2, b"eth0\0"),
            vec![9, 0, 200, 0, 0], // beyond the block
        ];
        let packet = LITTLE.enhanced_packet(0, 77, b"a");
        let contents = read(&with_interface(LITTLE, &options.concat(), &[packet]));
        assert_eq!(contents.times(), [77]);
        assert_eq!(contents.names, [Some("eth0".to_owned())]);
        assert_eq!(contents.error, None);
    }

    #[test]
    fn interfaces_are_bounded() {
        let interface = LITTLE.interface(1, 0, &[]);
        let interfaces = vec![interface; MAX_INTERFACES + 1];
        let contents = read(&[LITTLE.section(), interfaces.concat()].concat());
        assert!(
            contents
                .error_text()
                .ends_with("more than 65536 interfaces")
        );
        assert_eq!(contents.names.len(), 1); // they were all equal
    }
}
