//! A capture read in large blocks, its records parsed where they lie.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::interface_order::order_interfaces;
use super::interfaces::InterfaceTable;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{CaptureError, Fault, PacketBatch, PacketRecord, Position, Problem, SourceDrops};
use crate::time::Timestamp;

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
    state: BlockState,
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

enum BlockState {
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
    /// Reads `input`, a capture in `format`, in blocks of `block_size`.
    pub(super) fn new(input: Input, format: Format, block_size: usize) -> Self {
        Self {
            file: input.file,
            input: input.bytes,
            decompressed: input.decompressed,
            eager: input.eager,
            block_size,
            format,
            carry: Vec::new(),
            carry_offset: 0,
            wanted: 0,
            skip: 0,
            state: BlockState::Reading,
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
        while matches!(self.state, BlockState::Reading) && window.end < limit {
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
        if self.format.has_several_interfaces() {
            order_interfaces(&mut batch.packets);
        }
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
            drops: &mut batch.drops,
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
                window.start = malformed.at;
                self.refuse(window, malformed.fault, problems);
            }
        }
    }

    /// A record cannot be right: the file is broken, or just cut off if it ends before that record would.
    fn refuse(&mut self, window: &Window, fault: Fault, problems: &mut Vec<Problem>) {
        let there = (window.end - window.start) as u64;
        match fault {
            Fault::PacketTooLong { length, .. } if self.ends_within(length, there) => {
                self.state = BlockState::Ended;
                problems.push(self.cut_off(window));
            }
            _ => {
                self.state = BlockState::Failed(CaptureError::Malformed {
                    file: Arc::clone(&self.file),
                    position: self.position(window.start),
                    fault,
                });
            }
        }
    }

    /// Whether the input ends before a record of `length` bytes would, of which some are `there`.
    ///
    /// Not asked of compressed input: damage there shows as nonsense first.
    fn ends_within(&mut self, length: u32, there: u64) -> bool {
        if self.decompressed {
            return false;
        }
        let missing = u64::from(length).saturating_sub(there).min(MAX_LOOK_AHEAD);
        let rest = io::copy(&mut (&mut self.input).take(missing), &mut io::sink());
        rest.is_ok_and(|rest| rest < missing)
    }

    /// No more bytes: says so if a record was still to come.
    fn end(&mut self, window: &Window, problems: &mut Vec<Problem>) {
        self.state = BlockState::Ended;
        if window.start < window.end || self.skip > 0 {
            problems.push(self.cut_off(window));
        }
    }

    fn fail(&mut self, window: &Window, error: &io::Error, problems: &mut Vec<Problem>) {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.state = BlockState::Ended;
            problems.push(self.cut_off(window));
        } else {
            self.state = BlockState::Failed(CaptureError::Read {
                file: Arc::clone(&self.file),
                position: self.position(window.end),
                reason: error.to_string(),
            });
        }
    }

    fn cut_off(&self, window: &Window) -> Problem {
        let position = self.position(window.start);
        Problem::warning(format!(
            "`{}` is truncated: incomplete record at {position}",
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
        match mem::replace(&mut self.state, BlockState::Ended) {
            BlockState::Failed(error) => Err(error),
            BlockState::Ended => Ok(false),
            BlockState::Reading => {
                self.state = BlockState::Reading;
                Ok(true)
            }
        }
    }
}

/// How far to read on for the end of a file whose next record is impossibly long.
const MAX_LOOK_AHEAD: u64 = 64 << 20;

fn is_empty(batch: &PacketBatch) -> bool {
    batch.packets.is_empty() && batch.secrets.is_empty() && batch.drops.is_empty()
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

    /// Whether packets come from more than one interface now.
    const fn has_several_interfaces(&self) -> bool {
        match self {
            Self::Pcap(_) => false,
            Self::Pcapng(pcapng) => pcapng.has_several_interfaces(),
        }
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
    /// Packets that the capture reports as dropped: at most one entry.
    pub(super) drops: &'a mut Vec<SourceDrops>,
    pub(super) interfaces: &'a mut InterfaceTable,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Found<'_> {
    /// Notes that `packets` more were dropped by `at`.
    pub(super) fn note_drops(&mut self, packets: u64, at: Timestamp) {
        match self.drops.last_mut() {
            Some(known) => {
                known.packets = known.packets.saturating_add(packets);
                known.at = known.at.max(at);
            }
            None => self.drops.push(SourceDrops {
                source: Arc::clone(self.file),
                at,
                packets,
            }),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::testing::{
        BIG, Contents, Dribble, LITTLE, PCAP_MICROSECONDS, Packet, blocks, contents, read,
    };

    /// A small capture, and where each record ends that a reader hands out.
    fn pcap() -> (Vec<u8>, Vec<usize>) {
        let records = [
            BIG.record(1, 0, b"abc"),
            BIG.record(2, 0, b""),
            BIG.record(3, 0, b"defgh"),
        ];
        let mut capture = BIG.pcap(PCAP_MICROSECONDS, 1);
        let ends = append(&mut capture, &records);
        (capture, ends)
    }

    fn pcapng() -> (Vec<u8>, Vec<usize>) {
        let start = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
        let statistics = LITTLE.block(5, &[0; 40]);
        let second = [BIG.section(), BIG.interface(113, 0, &[])].concat();
        let records = [
            [start, LITTLE.enhanced_packet(0, 1, b"abc")].concat(),
            [statistics, LITTLE.enhanced_packet(0, 2, b"")].concat(),
            [second, BIG.enhanced_packet(0, 3, b"defgh")].concat(),
        ];
        let mut capture = Vec::new();
        let ends = append(&mut capture, &records);
        (capture, ends)
    }

    fn append(capture: &mut Vec<u8>, records: &[Vec<u8>]) -> Vec<usize> {
        let append = |record: &Vec<u8>| {
            capture.extend(record);
            capture.len()
        };
        records.iter().map(append).collect()
    }

    #[test]
    fn every_prefix_gives_its_whole_packets_and_a_warning() {
        for (capture, ends) in [pcap(), pcapng()] {
            let all = read(&capture);
            assert_eq!((all.packets.len(), &all.problems), (3, &vec![]));
            for cut in 4..capture.len() {
                let part = read(&capture[..cut]);
                let whole = ends.iter().filter(|end| **end <= cut).count();
                assert_eq!(part.packets, all.packets[..whole], "cut at {cut}");
                assert_eq!(part.error, None);
                let warned = part.problems.len() == 1;
                assert_eq!(warned, !is_boundary(&capture, cut), "cut at {cut}");
            }
        }
    }

    /// Whether `cut` falls between two records, which only the naive walk below knows.
    fn is_boundary(capture: &[u8], cut: usize) -> bool {
        let is_pcap = capture[0] == 0xa1;
        let mut order = ByteOrder::Big;
        let mut at = if is_pcap { 24 } else { 0 };
        while at < cut {
            if capture[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
                let is_big = capture[at + 8] == 0x1a;
                order = if is_big {
                    ByteOrder::Big
                } else {
                    ByteOrder::Little
                };
            }
            at += match is_pcap {
                true => 16 + order.u32(capture, at + 8) as usize,
                false => order.u32(capture, at + 4) as usize,
            };
        }
        at == cut
    }

    #[test]
    fn the_warning_names_where_the_last_record_begins() {
        let (capture, ends) = pcap();
        let contents = read(&capture[..capture.len() - 1]);
        let expected = format!("`test` is truncated: incomplete record at byte {}", ends[1]);
        assert_eq!(contents.problems, [Problem::warning(expected)]);
    }

    #[test]
    fn pieces_and_block_sizes_make_no_difference() {
        for (capture, _) in [pcap(), pcapng()] {
            let all = read(&capture);
            for block_size in [1, 2, 16, 31, 64, 1000] {
                for piece in [1, 2, 7, 1000] {
                    for eager in [false, true] {
                        let input = Dribble(capture.clone(), piece);
                        let blocks = blocks(input, &capture, eager, block_size);
                        assert_eq!(contents(blocks), all, "{piece} in {block_size}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_eager_reader_hands_out_a_packet_without_waiting_for_more() {
        let (capture, ends) = pcap();
        let waits = Waits(Cursor::new(capture[..ends[0]].to_vec()));
        let mut blocks = blocks(waits, &capture, true, BLOCK_SIZE);
        let mut batch = PacketBatch::default();
        let mut interfaces = InterfaceTable::default();
        let more = blocks.next_batch(&mut batch, &mut interfaces, &mut Vec::new());
        assert_eq!((more, batch.packets.len()), (Ok(true), 1));
    }

    /// Must not be read when all bytes have been: a pipe would wait.
    struct Waits(Cursor<Vec<u8>>);

    impl Read for Waits {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.read(buffer)?;
            assert_ne!(length, 0, "waited for more");
            Ok(length)
        }
    }

    #[test]
    fn what_came_before_an_input_error_is_handed_out() {
        let (capture, ends) = pcap();
        for (kind, is_error) in [
            (io::ErrorKind::ConnectionReset, true),
            (io::ErrorKind::UnexpectedEof, false),
        ] {
            let input = Cursor::new(capture[..ends[1] + 3].to_vec()).chain(Fails(kind));
            let contents = contents(blocks(input, &capture, false, BLOCK_SIZE));
            assert_eq!(contents.packets.len(), 2);
            assert_eq!(contents.error.is_some(), is_error);
            assert_eq!(contents.problems.is_empty(), is_error);
            if is_error {
                let text = contents.error_text();
                let start = format!("cannot read `test` beyond byte {}: ", ends[1] + 3);
                assert!(text.starts_with(&start), "{text}");
            }
        }
    }

    struct Fails(io::ErrorKind);

    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }

    #[test]
    fn an_interrupted_read_is_tried_again() {
        let (capture, _) = pcap();
        let interrupts = Interrupts(Cursor::new(capture.clone()), false);
        let contents = contents(blocks(interrupts, &capture, false, BLOCK_SIZE));
        assert_eq!(contents, read(&capture));
    }

    struct Interrupts(Cursor<Vec<u8>>, bool);

    impl Read for Interrupts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.0.read(buffer)
        }
    }

    #[test]
    fn a_buffer_that_grew_for_one_record_shrinks_again() {
        let start = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
        let log = [LITTLE.u32s([0x544c_534b, 4 << 20]), vec![b'x'; 4 << 20]].concat();
        let packets = vec![LITTLE.enhanced_packet(0, 1, &[0; 1000]); 2000];
        let capture = [start, LITTLE.block(10, &log), packets.concat()].concat();
        let mut blocks = blocks(Cursor::new(capture.clone()), &capture, false, BLOCK_SIZE);
        let (mut batch, mut interfaces) = (PacketBatch::default(), InterfaceTable::default());
        let mut longest = 0;
        while let Ok(true) = blocks.next_batch(&mut batch, &mut interfaces, &mut Vec::new()) {
            longest = longest.max(batch.data.capacity());
        }
        assert!(longest > 4 << 20);
        assert!(batch.data.capacity() <= BLOCK_SIZE);
    }

    #[test]
    fn an_ended_reader_stays_ended() {
        let (capture, _) = pcap();
        let mut blocks = blocks(Cursor::new(capture.clone()), &capture, false, BLOCK_SIZE);
        let (mut batch, mut interfaces) = (PacketBatch::default(), InterfaceTable::default());
        let mut next = || {
            blocks
                .next_batch(&mut batch, &mut interfaces, &mut Vec::new())
                .unwrap()
        };
        assert_eq!([next(), next(), next()], [true, false, false]);
    }

    proptest! {
        #[test]
        fn a_mutated_capture_never_panics_however_it_is_read(
            is_pcap: bool,
            changes in prop::collection::vec((4_usize..400, any::<u8>()), 1..6),
            cut in 4_usize..400,
            block_size in 1_usize..300,
        ) {
            let (mut capture, _) = if is_pcap { pcap() } else { pcapng() };
            for (at, byte) in changes {
                let length = capture.len();
                capture[at % (length - 4) + 4] = byte;
            }
            capture.truncate(cut);
            let at_once = read(&capture);
            let dribbled = blocks(Dribble(capture.clone(), 1), &capture, true, block_size);
            prop_assert_eq!(without_warnings(contents(dribbled)), without_warnings(at_once));
        }

        #[test]
        fn packets_of_any_length_come_back_as_they_were_written(
            packets in prop::collection::vec((any::<u32>(), 0_usize..3000), 0..40),
            block_size in 64_usize..5000,
        ) {
            let mut capture = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
            for (ticks, length) in &packets {
                let bytes = vec![*ticks as u8; *length];
                capture.extend(LITTLE.enhanced_packet(0, u64::from(*ticks), &bytes));
            }
            let blocks = blocks(Cursor::new(capture.clone()), &capture, false, block_size);
            let written = packets.iter().zip(1..).map(|((ticks, length), number)| Packet {
                nanoseconds: i64::from(*ticks) * 1000,
                number,
                link_type: 1,
                wire_length: *length as u32,
                bytes: vec![*ticks as u8; *length],
            });
            prop_assert_eq!(contents(blocks).packets, written.collect::<Vec<_>>());
        }
    }

    /// The place of a cut within a record that is skipped depends on how it is read.
    fn without_warnings(mut contents: Contents) -> Contents {
        contents.problems.clear();
        contents
    }
}
