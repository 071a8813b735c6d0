//! A capture read in large blocks, its records parsed where they lie.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::interfaces::InterfaceTable;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{CaptureError, Fault, PacketBatch, PacketRecord, Position, Problem};

/// One capture file, from its first byte to its last.
///
/// Each batch is one block: read straight into the batch's buffer and parsed in
/// place. The record that the block's end cuts is carried over to the next one.
pub(super) struct BlockReader {
    file: Arc<str>,
    input: Box<dyn Read + Send>,
    decompressed: bool,
    eager: bool,
    block_size: usize,
    format: Format,
    /// The beginning of a record whose end has not been read yet.
    carry: Vec<u8>,
    /// Where `carry` begins in the capture.
    carry_offset: u64,
    /// Bytes that the carried record needs to be whole, as far as is known.
    wanted: usize,
    /// Bytes still to come of a record that nobody needs.
    skip: u64,
    state: State,
}

/// What a [`BlockReader`] reads.
pub(super) struct Input {
    /// The path as the user gave it.
    pub(super) file: Arc<str>,
    /// The bytes of the capture, decompressed.
    pub(super) bytes: Box<dyn Read + Send>,
    /// Whether they had to be decompressed.
    pub(super) decompressed: bool,
    /// Whether to hand out packets as they come rather than to fill a block first.
    pub(super) eager: bool,
}

enum State {
    Reading,
    Failed(CaptureError),
    Ended,
}

/// The part of a block that holds bytes not parsed yet.
struct Window {
    start: usize,
    end: usize,
}

impl BlockReader {
    /// Reads `input` in blocks of `block_size`; `head` was read from it already.
    pub(super) fn new(input: Input, head: Vec<u8>, format: Format, block_size: usize) -> Self {
        Self {
            file: input.file,
            input: input.bytes,
            decompressed: input.decompressed,
            eager: input.eager,
            block_size,
            format,
            carry: head,
            carry_offset: 0,
            wanted: 0,
            skip: 0,
            state: State::Reading,
        }
    }

    /// Whether packets are handed out as they come.
    pub(super) const fn is_eager(&self) -> bool {
        self.eager
    }

    /// Refills `batch` with one block, which may hold no packet; `false` at the end.
    pub(super) fn next_batch(
        &mut self,
        batch: &mut PacketBatch,
        interfaces: &mut InterfaceTable,
        problems: &mut Vec<Problem>,
    ) -> Result<bool, CaptureError> {
        batch.clear();
        let limit = self.carry_into(&mut batch.data);
        let mut window = Window {
            start: 0,
            end: self.carry.len(),
        };
        while matches!(self.state, State::Reading) && window.end < limit {
            let room = batch.data.get_mut(window.end..limit);
            match self.input.read(room.unwrap_or_default()) {
                Ok(0) => self.end(&window, problems),
                Ok(length) => {
                    window.end += length;
                    self.parse(&mut window, batch, interfaces, problems);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(&window, &error, problems),
            }
            if self.eager && !is_empty(batch) {
                break;
            }
        }
        self.carry_from(&batch.data, &window);
        self.outcome(batch)
    }

    /// Begins a block with the carried bytes; returns how long it may become.
    fn carry_into(&self, data: &mut Vec<u8>) -> usize {
        let limit = self.block_size.max(self.wanted);
        if data.len() > limit.max(BLOCK_SIZE) {
            data.truncate(limit);
            data.shrink_to_fit(); // one long record is no reason to keep a long buffer
        }
        if data.len() < limit {
            data.resize(limit, 0);
        }
        if let Some(front) = data.get_mut(..self.carry.len()) {
            front.copy_from_slice(&self.carry);
        }
        limit
    }

    fn carry_from(&mut self, data: &[u8], window: &Window) {
        self.carry.clear();
        self.carry
            .extend_from_slice(data.get(window.start..window.end).unwrap_or_default());
        self.carry_offset += window.start as u64;
    }

    fn parse(
        &mut self,
        window: &mut Window,
        batch: &mut PacketBatch,
        interfaces: &mut InterfaceTable,
        problems: &mut Vec<Problem>,
    ) {
        let skipped = self.skip.min((window.end - window.start) as u64);
        self.skip -= skipped;
        window.start += skipped as usize; // no more than the window's length
        let mut found = Found {
            file: &self.file,
            packets: &mut batch.packets,
            secrets: &mut batch.secrets,
            interfaces,
            problems,
        };
        let data = batch.data.get(..window.end).unwrap_or_default();
        match self.format.parse(data, window.start, &mut found) {
            Ok(parsed) => {
                window.start = parsed.next;
                self.skip += parsed.skip;
                self.wanted = parsed.wanted;
            }
            Err(malformed) => {
                self.state = State::Failed(CaptureError::Malformed {
                    file: Arc::clone(&self.file),
                    position: self.position(malformed.at),
                    fault: malformed.fault,
                });
            }
        }
    }

    /// No more bytes: says so if a record was still to come.
    fn end(&mut self, window: &Window, problems: &mut Vec<Problem>) {
        self.state = State::Ended;
        if window.start < window.end || self.skip > 0 {
            problems.push(self.cut_off(window));
        }
    }

    fn fail(&mut self, window: &Window, error: &io::Error, problems: &mut Vec<Problem>) {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.state = State::Ended;
            problems.push(self.cut_off(window));
        } else {
            self.state = State::Failed(CaptureError::Read {
                file: Arc::clone(&self.file),
                position: self.position(window.end),
                reason: error.to_string(),
            });
        }
    }

    fn cut_off(&self, window: &Window) -> Problem {
        let position = self.position(window.start);
        Problem::warning(format!(
            "`{}` is cut off: there is no whole record at {position}",
            self.file
        ))
    }

    fn position(&self, at: usize) -> Position {
        Position {
            offset: self.carry_offset + at as u64,
            decompressed: self.decompressed,
        }
    }

    /// What was found before a failure goes out before the failure.
    fn outcome(&mut self, batch: &PacketBatch) -> Result<bool, CaptureError> {
        if !is_empty(batch) {
            return Ok(true);
        }
        match mem::replace(&mut self.state, State::Ended) {
            State::Failed(error) => Err(error),
            State::Ended => Ok(false),
            State::Reading => {
                self.state = State::Reading;
                Ok(true)
            }
        }
    }
}

fn is_empty(batch: &PacketBatch) -> bool {
    batch.packets.is_empty() && batch.secrets.is_empty()
}

/// The format of a capture, with what its parser has to remember.
pub(super) enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Format {
    /// The format of a capture that begins with `magic`.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        Pcap::recognise(magic)
            .map(Self::Pcap)
            .or_else(|| Pcapng::recognise(magic).map(Self::Pcapng))
    }

    fn parse(
        &mut self,
        data: &[u8],
        start: usize,
        found: &mut Found<'_>,
    ) -> Result<Parsed, Malformed> {
        match self {
            Self::Pcap(pcap) => pcap.parse(data, start, found),
            Self::Pcapng(pcapng) => pcapng.parse(data, start, found),
        }
    }
}

/// Where a parser puts what it finds.
pub(super) struct Found<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) packets: &'a mut Vec<PacketRecord>,
    pub(super) secrets: &'a mut Vec<Box<[u8]>>,
    pub(super) interfaces: &'a mut InterfaceTable,
    pub(super) problems: &'a mut Vec<Problem>,
}

/// How far a parser came.
pub(super) struct Parsed {
    /// Where the first record begins that is not whole, as an index into the block.
    pub(super) next: usize,
    /// Bytes after the block that belong to a record nobody needs.
    pub(super) skip: u64,
    /// Bytes from `next` that would let the parser go on; at most [`MAX_BLOCK`].
    pub(super) wanted: usize,
}

impl Parsed {
    /// The record at `next` needs `wanted` bytes.
    pub(super) const fn wants(next: usize, wanted: usize) -> Self {
        let skip = 0;
        Self { next, skip, wanted }
    }
}

/// A record that cannot be right.
pub(super) struct Malformed {
    /// Where it begins, as an index into the block.
    pub(super) at: usize,
    pub(super) fault: Fault,
}

/// The order of the bytes in a number; a number that `bytes` does not hold reads
/// as 0, so callers look at the length first.
#[derive(Clone, Copy)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(array(bytes, at)),
            Self::Big => u16::from_be_bytes(array(bytes, at)),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(array(bytes, at)),
            Self::Big => u32::from_be_bytes(array(bytes, at)),
        }
    }

    #[inline]
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(array(bytes, at)),
            Self::Big => u64::from_be_bytes(array(bytes, at)),
        }
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

/// Bytes read at once: large enough to make system calls rare, small enough to
/// stay in a second-level cache until the packets have been looked at.
pub(super) const BLOCK_SIZE: usize = 512 * 1024;

/// The longest packet believed: what libpcap takes for any usual link layer
/// (its `MAXIMUM_SNAPLEN`).
pub(super) const MAX_PACKET: u32 = 256 * 1024;

/// The longest pcapng block that is buffered. Packets are far shorter; a key log
/// of 16 MiB has the secrets of some 30 000 connections.
pub(super) const MAX_BLOCK: u32 = 16 * 1024 * 1024;
