//! Captures written byte by byte, and what reading them gave.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::block::{BlockReader, ByteOrder, Format, Input};
use super::interfaces::InterfaceTable;
use super::{CaptureError, PacketBatch, Problem};

/// A packet as it was read, with what its interface said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) nanoseconds: i64,
    pub(super) number: u64,
    pub(super) link_type: u32,
    pub(super) wire_length: u32,
    pub(super) bytes: Vec<u8>,
}

impl Packet {
    pub(super) fn all(batch: &PacketBatch) -> Vec<Self> {
        let of = |record: &_| -> Self {
            let super::PacketRecord {
                timestamp,
                number,
                interface,
                wire_length,
                ..
            } = *record;
            Self {
                nanoseconds: timestamp.as_nanoseconds(),
                number,
                link_type: batch.interfaces[interface as usize].link_type.0,
                wire_length,
                bytes: batch.bytes(record).to_vec(),
            }
        };
        batch.packets.iter().map(of).collect()
    }
}

/// All that reading a capture gave.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) packets: Vec<Packet>,
    pub(super) secrets: Vec<Box<[u8]>>,
    pub(super) names: Vec<Option<String>>,
    pub(super) problems: Vec<Problem>,
    pub(super) error: Option<CaptureError>,
}

impl Contents {
    pub(super) fn bytes(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|p| &p.bytes[..]).collect()
    }

    pub(super) fn times(&self) -> Vec<i64> {
        self.packets.iter().map(|p| p.nanoseconds).collect()
    }

    /// The text of the error that ended it, without the file's name.
    pub(super) fn error_text(&self) -> String {
        let text = self.error.as_ref().map(ToString::to_string);
        text.unwrap_or_default()
    }
}

/// Reads a whole capture, as a file would be.
pub(super) fn read(capture: &[u8]) -> Contents {
    let blocks = blocks(io::Cursor::new(capture.to_vec()), capture, false, 4096);
    contents(blocks)
}

/// A reader over `input`, which is `capture` in whatever pieces.
pub(super) fn blocks(
    input: impl Read + Send + 'static,
    capture: &[u8],
    eager: bool,
    block_size: usize,
) -> BlockReader {
    let input = Input {
        file: "test".into(),
        bytes: Box::new(input),
        decompressed: false,
        eager,
    };
    let format = Format::recognise(*capture.first_chunk().unwrap()).unwrap();
    BlockReader::new(input, format, block_size)
}

pub(super) fn contents(mut blocks: BlockReader) -> Contents {
    let mut contents = Contents::default();
    let mut interfaces = InterfaceTable::default();
    let mut batch = PacketBatch::default();
    loop {
        match blocks.next_batch(&mut batch, &mut interfaces, &mut contents.problems) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => contents.error = Some(error),
        }
        batch.interfaces = interfaces.shared();
        contents.packets.extend(Packet::all(&batch));
        contents.secrets.append(&mut batch.secrets);
    }
    let name = |interface: &super::Interface| interface.name.as_ref().map(ToString::to_string);
    contents.names = interfaces.shared().iter().map(name).collect();
    contents
}

/// Gives the bytes of a capture a few at a time.
pub(super) struct Dribble(pub(super) Vec<u8>, pub(super) usize);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len()).min(self.0.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0.drain(..length);
        Ok(length)
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
pub(super) struct Numbers(pub(super) ByteOrder);

pub(super) const LITTLE: Numbers = Numbers(ByteOrder::Little);
pub(super) const BIG: Numbers = Numbers(ByteOrder::Big);

impl Numbers {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        match self.0 {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        match self.0 {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn u32s<const N: usize>(self, values: [u32; N]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }

    /// A pcap file header.
    pub(super) fn pcap(self, magic: u32, link_type: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        let rest = self.u32s([0, 0, 65_535, link_type]);
        [&self.u32(magic)[..], &version, &rest].concat()
    }

    /// A pcap record.
    pub(super) fn record(self, seconds: u32, ticks: u32, bytes: &[u8]) -> Vec<u8> {
        let length = bytes.len() as u32;
        [&self.u32s([seconds, ticks, length, length]), bytes].concat()
    }

    /// A pcapng block.
    pub(super) fn block(self, block_type: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = (body.len() + padding.len() + 12) as u32;
        let header = self.u32s([block_type, length]);
        [&header, body, &padding, &self.u32(length)].concat()
    }

    pub(super) fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        let length = [0xff; 8]; // not known
        let body = [&self.u32(0x1a2b_3c4d)[..], &version, &length].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        let length = self.u16(value.len() as u16);
        [&self.u16(code)[..], &length, value, &padding].concat()
    }

    pub(super) fn interface(self, link_type: u16, snap_length: u32, options: &[u8]) -> Vec<u8> {
        let link_type = [self.u16(link_type), [0, 0]].concat();
        let body = [&link_type, &self.u32(snap_length)[..], options].concat();
        self.block(1, &body)
    }

    pub(super) fn enhanced_packet(self, interface: u32, ticks: u64, bytes: &[u8]) -> Vec<u8> {
        let length = bytes.len() as u32;
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let fields = self.u32s([interface, high, low, length, length]);
        self.block(6, &[&fields, bytes].concat())
    }
}

/// Nanoseconds in a microsecond, and microseconds in a second.
pub(super) const THOUSAND: i64 = 1_000;
pub(super) const MILLION: i64 = 1_000_000;

pub(super) const PCAP_MICROSECONDS: u32 = 0xa1b2_c3d4;

/// A directory that vanishes with the value.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tlscope-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
