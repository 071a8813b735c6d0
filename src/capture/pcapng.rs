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

/// What a section says of an interface, as far as its packets need it.
struct SectionInterface {
    /// Index among the interfaces of the run.
    index: u32,
    snap_length: u32,
    clock: Clock,
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
            let block_type = self.order.u32(header, 0);
            if block_type == SECTION_HEADER {
                self.set_byte_order(header, at)?;
            }
            let length = self.order.u32(header, 4);
            self.check_length(block_type, length, at)?;
            if !is_wanted(block_type, length, found) {
                let skip = u64::from(length).saturating_sub(rest.len() as u64);
                if skip > 0 {
                    let (next, wanted) = (data.len(), MIN_LENGTH);
                    return Ok(Parsed { next, skip, wanted });
                }
            } else if length > MAX_BLOCK {
                return Err(block_too_long(block_type, length, at));
            } else {
                let Some(block) = rest.get(..length as usize) else {
                    return Ok(Parsed::wants(at, length as usize));
                };
                self.check_trailer(block, length, at)?;
                let body = block.get(8..block.len() - 4).unwrap_or_default();
                self.block(
                    &Block {
                        block_type,
                        at,
                        length,
                        body,
                    },
                    found,
                )?;
            }
            at += length as usize;
        }
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

    fn check_length(&self, block_type: u32, length: u32, at: usize) -> Result<(), Malformed> {
        if length.is_multiple_of(4) && length as usize >= MIN_LENGTH {
            return Ok(());
        }
        Err(impossible_length(block_type, length, at))
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
            ENHANCED_PACKET => self.enhanced_packet(block, found),
            SECTION_HEADER => {
                self.interfaces.clear();
                block.fields(16).map(drop) // magic, version, length of the section
            }
            INTERFACE_DESCRIPTION => self.interface_description(block, found),
            SIMPLE_PACKET => self.simple_packet(block, found),
            PACKET => self.obsolete_packet(block, found),
            DECRYPTION_SECRETS => {
                self.decryption_secrets(block, found);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Enhanced Packet Block: interface, time in two halves, lengths, packet, options.
    fn enhanced_packet(
        &mut self,
        block: &Block<'_>,
        found: &mut Found<'_>,
    ) -> Result<(), Malformed> {
        let body = block.fields(20)?;
        let lengths = PacketLengths {
            fields: 20,
            captured: self.order.u32(body, 12),
            wire: self.order.u32(body, 16),
        };
        let interface = self.interface(self.order.u32(body, 0), block.at)?;
        let (index, time) = (interface.index, interface.clock.time(self.ticks(body)));
        self.packet(block, &lengths, index, time, found)
    }

    /// Packet Block, obsolete: as the enhanced one, but 16 bits each of interface and drop count.
    fn obsolete_packet(
        &mut self,
        block: &Block<'_>,
        found: &mut Found<'_>,
    ) -> Result<(), Malformed> {
        let body = block.fields(20)?;
        let lengths = PacketLengths {
            fields: 20,
            captured: self.order.u32(body, 12),
            wire: self.order.u32(body, 16),
        };
        let interface = self.interface(self.order.u16(body, 0).into(), block.at)?;
        let (index, time) = (interface.index, interface.clock.time(self.ticks(body)));
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
    fn ticks(&self, body: &[u8]) -> u64 {
        u64::from(self.order.u32(body, 4)) << 32 | u64::from(self.order.u32(body, 8))
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

/// Whether the block must be looked into; secrets beyond all measure are passed over with a warning.
#[inline]
fn is_wanted(block_type: u32, length: u32, found: &mut Found<'_>) -> bool {
    match block_type {
        SECTION_HEADER | INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | ENHANCED_PACKET => true,
        DECRYPTION_SECRETS if length <= MAX_BLOCK => true,
        DECRYPTION_SECRETS => {
            found.problems.push(Problem::warning(format!(
                "`{}`: {length} bytes of secrets in one block are too many and were passed over",
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
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const TLS_KEY_LOG: u32 = 0x544c_534b; // "TLSK"

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// The resolution of an interface that does not tell.
const MICROSECONDS: Unit = Unit::Multiply(1_000);

/// Type and length, and the length once more at the end.
const MIN_LENGTH: usize = 12;

/// Bytes kept of an interface's name; real ones are far shorter.
const MAX_NAME: usize = 255;
