//! Several captures as one, in the order of packet time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{BLOCK_SIZE, BlockReader};
use super::compressed::Windows;
use super::file::{self, FileOrigin};
use super::interfaces::InterfaceTable;
use super::{
    CaptureError, PacketBatch, PacketRecord, PacketSource, Problem, Progress, SourceDrops,
    SourceEnd,
};
use crate::memory::MemoryLimit;
use crate::time::Timestamp;

/// Capture files, replayed as one capture.
///
/// Reads pcap and pcapng, as they are or compressed with gzip, zstd or xz,
/// whatever their names. Several files (a rotated set, or captures of several
/// hosts) are merged by packet time: of the files' next packets the earliest
/// comes first, and of equally early ones that of the file named first. Within
/// a file the packets keep their order.
///
/// A file is opened when its first packet is due, and closed at its end, so a
/// set of thousands needs few file descriptors. Where files do not overlap in
/// time, their blocks are handed on without copying.
///
/// A file that cannot be read is a problem ([`PacketSource::take_problems`]),
/// and the others go on: `next_batch` never fails.
///
/// # Example
///
/// ```
/// use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
///
/// let empty_pcap: &[u8] = &[
///     0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
/// ];
/// let mut files = CaptureFiles::from_reader("empty.pcap", empty_pcap);
/// let mut batch = PacketBatch::default();
/// assert!(!files.next_batch(&mut batch)?);
/// assert!(files.take_problems().is_empty());
/// # Ok::<(), tlscope::capture::CaptureError>(())
/// ```
pub struct CaptureFiles {
    sources: Vec<Source>,
    /// When each source's next packet comes; for equal times the first source first.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The source that was read last and whose next packet is not known yet.
    unsettled: Option<usize>,
    open: usize,
    /// The buffers of the source that ended last, for the next one.
    spare: PacketBatch,
    secrets: Vec<Box<[u8]>>,
    ended: Vec<SourceEnd>,
    drops: Vec<SourceDrops>,
    interfaces: InterfaceTable,
    problems: Vec<Problem>,
    /// The memory that those take which are compressed.
    windows: Windows,
    /// Those that it is too short for, until they are reported together.
    not_decompressed: Vec<CaptureError>,
    /// Files that are no captures, each with what it is instead, until they are reported together.
    not_captures: Vec<(Arc<str>, String)>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

struct Source {
    file: Arc<str>,
    origin: FileOrigin,
    reading: Option<Reading>,
}

/// An open source: its reader, and the batch that it gives packets from.
struct Reading {
    reader: BlockReader,
    batch: PacketBatch,
    next: usize,
    /// The latest time of a packet so far, if there are other sources.
    last: Option<Timestamp>,
}

/// How much a source gave.
enum Given {
    /// All that it had, without copying: the batch is full.
    Whole,
    /// All that it had.
    All,
    /// Its packets up to those of another source.
    Run,
    /// As much as the batch has room for.
    Full,
}

impl CaptureFiles {
    /// The captures at `paths`: files, directories (the captures directly in
    /// them) or `-` for standard input.
    ///
    /// Several files are opened here and now, to learn when each begins. What decompressing them takes is within the share of
    /// [`MemoryLimit::USUAL`].
    #[must_use]
    pub fn open(paths: &[PathBuf]) -> Self {
        Self::open_within(paths, MemoryLimit::USUAL)
    }

    /// As [`CaptureFiles::open`], with the share of another limit: where captures of the same time need more to decompress, some
    /// are not read, which is a problem.
    #[must_use]
    pub fn open_within(paths: &[PathBuf], limit: MemoryLimit) -> Self {
        let windows = Windows::within(limit);
        let mut problems = Vec::new();
        let captures = paths
            .iter()
            .flat_map(|path| file::captures(path, &windows, &mut problems))
            .map(|path| Source {
                file: path.to_string_lossy().into(),
                origin: FileOrigin::from_argument(&path),
                reading: None,
            })
            .collect();
        Self::new(captures, windows, problems)
    }

    /// The captures at `path`, as [`CaptureFiles::open`] reads them, or the reason why there is nothing to read.
    ///
    /// A pipe or standard input is not looked at before its first packet is due.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Open`] if the file cannot be opened.
    /// - [`CaptureError::NotACapture`] or [`CaptureError::Empty`] if it is no capture.
    /// - [`CaptureError::NoCaptures`] if a directory has none.
    pub fn try_open(path: &Path) -> Result<Self, CaptureError> {
        file::check(path, &Windows::within(MemoryLimit::USUAL))?;
        Ok(Self::open(&[path.to_owned()]))
    }

    /// The capture that `reader` reads, under the name `name`; packets come as they arrive.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        let source = Source {
            file: name.into(),
            origin: FileOrigin::Reader(Box::new(reader)),
            reading: None,
        };
        let windows = Windows::within(MemoryLimit::USUAL);
        Self::new(vec![source], windows, Vec::new())
    }

    /// Bytes of memory that decompressing the captures takes at most: what [`MemoryLimit::with_decompression`] takes from a limit.
    ///
    /// Waits for the first bytes of a pipe.
    pub fn decompression_memory(&mut self) -> usize {
        let all = self.sources.iter_mut().fold(0_u64, |all, source| {
            all.saturating_add(source.origin.decompression())
        });
        all.min(self.windows.room()) as usize // the room is part of a `usize`
    }

    fn new(sources: Vec<Source>, windows: Windows, problems: Vec<Problem>) -> Self {
        let bytes_total = sources.iter().map(|source| source.origin.length()).sum();
        let mut files = Self {
            sources,
            queue: BinaryHeap::new(),
            unsettled: None,
            open: 0,
            spare: PacketBatch::default(),
            secrets: Vec::new(),
            ended: Vec::new(),
            drops: Vec::new(),
            interfaces: InterfaceTable::default(),
            problems,
            windows,
            not_decompressed: Vec::new(),
            not_captures: Vec::new(),
            bytes_read: Arc::default(),
            bytes_total,
        };
        if files.sources.len() == 1 {
            files.queue.push(Reverse((Timestamp::MIN, 0))); // nothing to be merged with
        } else {
            (0..files.sources.len()).for_each(|index| files.enqueue(index));
        }
        files
    }

    /// Learns when a source begins.
    fn enqueue(&mut self, index: usize) {
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        match source.first_time(&self.windows) {
            Ok(time) => self.queue.push(Reverse((time, index))),
            Err(error) => self.report(error),
        }
    }

    fn report(&mut self, error: CaptureError) {
        match error {
            CaptureError::NoRoomToDecompress { .. } => self.not_decompressed.push(error),
            CaptureError::NotACapture { file, seen } => self.not_captures.push((file, seen)),
            _ => self.problems.push(error.into()),
        }
    }

    /// Fills an empty batch, as far as it can without waiting.
    fn fill(&mut self, batch: &mut PacketBatch) {
        loop {
            if let Some(index) = self.unsettled.take() {
                self.settle(index);
            }
            if self.unsettled.is_some() {
                return; // secrets or losses without packets
            }
            let Some(Reverse((_, index))) = self.queue.pop() else {
                return;
            };
            let bound = self.queue.peek().map(|Reverse(key)| *key);
            let Some(reading) = reading(&mut self.sources, index) else {
                self.start(index);
                continue;
            };
            match reading.give(index, bound, batch) {
                Given::Whole => {
                    self.unsettled = Some(index);
                    return;
                }
                Given::All => {
                    self.unsettled = Some(index);
                    if reading.reader.is_eager() {
                        return; // what comes next may have to be waited for
                    }
                }
                Given::Run => self.queue.extend(reading.key(index)),
                Given::Full => {
                    self.queue.extend(reading.key(index));
                    return;
                }
            }
        }
    }

    fn start(&mut self, index: usize) {
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        match source.open(self.open, &self.bytes_read, &self.windows) {
            Ok(reader) => {
                let batch = mem::take(&mut self.spare);
                source.reading = Some(Reading {
                    reader,
                    batch,
                    next: 0,
                    last: None,
                });
                self.open += 1;
                self.unsettled = Some(index);
            }
            Err(error) => self.report(error),
        }
    }

    /// Reports the captures that there was no memory for, in one line: those of the same time are all due at once.
    fn report_not_decompressed(&mut self) {
        let mut errors = mem::take(&mut self.not_decompressed).into_iter();
        if let Some(first) = errors.next() {
            self.problems.push(match errors.len() {
                0 => first.into(),
                others => Problem::error(format!(
                    "{first} (captures that were not read for this reason, with this one: {})",
                    others + 1
                )),
            });
        }
    }

    /// Reports the files that are no captures. A pattern such as `captures/*/*` may name many: those of a kind are one line.
    fn report_not_captures(&mut self) {
        let mut rest = mem::take(&mut self.not_captures);
        while let Some((_, seen)) = rest.first() {
            let seen = seen.clone();
            let (of_a_kind, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, other)| *other == seen);
            rest = others;
            let files: Vec<_> = of_a_kind.iter().map(|(file, _)| file).collect();
            if let [a, b, c, others @ ..] = &files[..]
                && !others.is_empty()
            {
                let others = match others.len() {
                    1 => "1 other file".to_owned(),
                    count => format!("{count} other files"),
                };
                let text = format!("`{a}`, `{b}`, `{c}` and {others}: each {seen}");
                self.problems.push(Problem::error(text));
                continue;
            }
            for (file, seen) in of_a_kind {
                let error = CaptureError::NotACapture { file, seen };
                self.problems.push(error.into());
            }
        }
    }

    /// Reads on until the source's next packet is known, or ends it; leaves it
    /// unsettled if secrets or losses come first, so that those cannot pile up.
    fn settle(&mut self, index: usize) {
        let has_others = self.sources.len() > 1;
        let Some(reading) = reading(&mut self.sources, index) else {
            return;
        };
        while reading.refill(&mut self.interfaces, &mut self.problems) {
            if has_others {
                reading.note_times(); // a lone source ends with the run
            }
            self.secrets.append(&mut reading.batch.secrets);
            self.drops.append(&mut reading.batch.drops);
            if let Some(key) = reading.key(index) {
                self.queue.push(key);
                return;
            }
            if !self.secrets.is_empty() || !self.drops.is_empty() {
                self.unsettled = Some(index);
                return;
            }
        }
        self.end(index);
    }

    /// Closes a source.
    fn end(&mut self, index: usize) {
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        if let Some(reading) = source.reading.take() {
            self.ended.extend(reading.last.map(|at| SourceEnd {
                source: Arc::clone(&source.file),
                at,
            }));
            self.spare = reading.batch;
            self.open -= 1;
        }
    }
}

fn reading(sources: &mut [Source], index: usize) -> Option<&mut Reading> {
    sources.get_mut(index)?.reading.as_mut()
}

impl PacketSource for CaptureFiles {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        batch.clear();
        self.fill(batch);
        self.report_not_decompressed();
        self.report_not_captures();
        batch.secrets.append(&mut self.secrets);
        batch.ended.append(&mut self.ended);
        batch.drops.append(&mut self.drops);
        batch.interfaces = self.interfaces.shared();
        let has_news = !batch.secrets.is_empty() || !batch.drops.is_empty();
        Ok(has_news || !batch.packets.is_empty())
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        mem::take(&mut self.problems)
    }

    fn progress(&self) -> Option<Progress> {
        Some(Progress {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            bytes_total: self.bytes_total,
        })
    }
}

impl Source {
    /// Peeks at the time of the first packet, where that costs nothing but the
    /// look: what can be read only once comes first and tells in its turn.
    fn first_time(&mut self, windows: &Windows) -> Result<Timestamp, CaptureError> {
        if self.origin.length().is_none() {
            return Ok(Timestamp::MIN);
        }
        let mut reader = self
            .origin
            .open(&self.file, PEEK_SIZE, &Arc::default(), windows)?;
        let mut batch = PacketBatch::default();
        let mut interfaces = InterfaceTable::default();
        // Errors in the file are reported when it is read.
        while let Ok(true) = reader.next_batch(&mut batch, &mut interfaces, &mut Vec::new()) {
            if let Some(packet) = batch.packets.first() {
                return Ok(packet.timestamp);
            }
        }
        Ok(Timestamp::MIN)
    }

    /// Opens it as one more than `open` others.
    fn open(
        &mut self,
        open: usize,
        bytes_read: &Arc<AtomicU64>,
        windows: &Windows,
    ) -> Result<BlockReader, CaptureError> {
        if open >= MAX_OPEN {
            let file = Arc::clone(&self.file);
            return Err(CaptureError::TooManyOpen { file, open });
        }
        let block_size = if open < FEW_OPEN {
            BLOCK_SIZE
        } else {
            SMALL_BLOCK_SIZE
        };
        self.origin
            .open(&self.file, block_size, bytes_read, windows)
    }
}

impl Reading {
    /// Reads the next block; `false` if there is none.
    fn refill(&mut self, interfaces: &mut InterfaceTable, problems: &mut Vec<Problem>) -> bool {
        self.next = 0;
        let more = self
            .reader
            .next_batch(&mut self.batch, interfaces, problems);
        more.unwrap_or_else(|error| {
            problems.push(error.into());
            false
        })
    }

    /// Notes the times of the packets that were read last.
    fn note_times(&mut self) {
        let times = self.batch.packets.iter().map(|packet| packet.timestamp);
        self.last = self.last.max(times.max());
    }

    /// The place of the next packet in the queue; `None` if the batch is used up.
    fn key(&self, index: usize) -> Option<Reverse<(Timestamp, usize)>> {
        let packet = self.batch.packets.get(self.next)?;
        Some(Reverse((packet.timestamp, index)))
    }

    /// Gives the packets that come before `bound`, where another source goes on.
    fn give(
        &mut self,
        index: usize,
        bound: Option<(Timestamp, usize)>,
        batch: &mut PacketBatch,
    ) -> Given {
        let rest = self.batch.packets.get(self.next..).unwrap_or_default();
        let is_later =
            |packet: &PacketRecord| bound.is_some_and(|bound| (packet.timestamp, index) > bound);
        let run = rest.iter().position(is_later).unwrap_or(rest.len());
        let is_all = run == rest.len();
        if is_all && batch.packets.is_empty() {
            self.batch.packets.drain(..self.next);
            mem::swap(&mut self.batch, batch);
            return Given::Whole;
        }
        if !self.copy(run, batch) {
            Given::Full
        } else if is_all {
            Given::All
        } else {
            Given::Run
        }
    }

    /// Copies the next `run` packets; `false` if the batch has no room for all of them.
    fn copy(&mut self, run: usize, batch: &mut PacketBatch) -> bool {
        if batch.packets.is_empty() {
            batch.data.clear();
        }
        for packet in self.batch.packets.iter().skip(self.next).take(run) {
            let bytes = self.batch.bytes(packet);
            let is_full = batch.data.len() + bytes.len() > BLOCK_SIZE
                || batch.packets.len() >= MAX_MERGED_PACKETS;
            if is_full && !batch.packets.is_empty() {
                return false;
            }
            batch.packets.push(PacketRecord {
                offset: batch.data.len() as u32, // below BLOCK_SIZE
                ..*packet
            });
            batch.data.extend_from_slice(bytes);
            self.next += 1;
        }
        true
    }
}

/// How many files are read at once: half of what a process may open by default.
const MAX_OPEN: usize = 512;

/// Up to this many open files have blocks of full size; more get small ones, so
/// that all together stay below 40 MiB.
const FEW_OPEN: usize = 8;
const SMALL_BLOCK_SIZE: usize = 64 * 1024;

/// Bytes read to learn when a file begins.
const PEEK_SIZE: usize = 16 * 1024;

/// As many packets as a block can hold: packets without bytes would never fill it.
const MAX_MERGED_PACKETS: usize = BLOCK_SIZE / 16;

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::Severity;
    use crate::capture::testing::{Directory, LITTLE, PCAP_MICROSECONDS};

    /// A pcap file with a packet of `bytes` at each of `seconds`.
    fn capture(seconds: &[u32], bytes: &[u8]) -> Vec<u8> {
        let records = seconds.iter().map(|s| LITTLE.record(*s, 0, bytes));
        let header = LITTLE.pcap(PCAP_MICROSECONDS, 1);
        [header, records.collect::<Vec<_>>().concat()].concat()
    }

    fn source(capture: Vec<u8>, name: String) -> Source {
        Source {
            file: name.into(),
            origin: FileOrigin::Reader(Box::new(io::Cursor::new(capture))),
            reading: None,
        }
    }

    fn merged(sources: Vec<Source>) -> CaptureFiles {
        CaptureFiles::new(sources, Windows::within(MemoryLimit::USUAL), Vec::new())
    }

    /// Second, source and number of each packet.
    fn read(files: &mut CaptureFiles) -> Vec<(i64, String, u64)> {
        let mut batch = PacketBatch::default();
        let mut packets = Vec::new();
        while files.next_batch(&mut batch).unwrap() {
            for packet in &batch.packets {
                let interface = &batch.interfaces[packet.interface as usize];
                let second = packet.timestamp.as_nanoseconds() / 1_000_000_000;
                packets.push((second, interface.source.to_string(), packet.number));
            }
        }
        packets
    }

    #[test]
    fn equally_early_packets_come_in_the_order_of_the_arguments() {
        let directory = Directory::new();
        let paths = [
            directory.write("z", &capture(&[1, 3, 3], b"z")),
            directory.write("a", &capture(&[1, 2, 3], b"a")),
        ];
        let read = read(&mut CaptureFiles::open(&paths));
        let names = paths.map(|path| path.to_string_lossy().into_owned());
        let [z, a] = &names;
        let order = [
            (1, z, 1),
            (1, a, 1),
            (2, a, 2),
            (3, z, 2),
            (3, z, 3),
            (3, a, 3),
        ];
        let order = order.map(|(second, name, number)| (second, name.clone(), number));
        assert_eq!(read, order);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merges_like_a_stable_sort(
            captures in prop::collection::vec(prop::collection::vec(0_u32..50, 0..30), 1..6),
            length in 0_usize..40_000,
        ) {
            let sorted = captures.into_iter().map(|mut seconds| {
                seconds.sort_unstable();
                seconds
            });
            let captures: Vec<Vec<u32>> = sorted.collect();
            let sources = captures.iter().zip(0..).map(|(seconds, name)| {
                source(capture(seconds, &vec![7; length]), name.to_string())
            });
            let mut files = merged(sources.collect());

            let mut expected = Vec::new();
            for (seconds, name) in captures.iter().zip(0..) {
                for (second, number) in seconds.iter().zip(1..) {
                    expected.push((i64::from(*second), name.to_string(), number));
                }
            }
            expected.sort_by_key(|(second, ..)| *second);
            prop_assert_eq!(read(&mut files), expected);
            prop_assert!(files.take_problems().is_empty());
            prop_assert_eq!(files.open, 0);
        }
    }

    #[test]
    fn merged_packets_keep_their_bytes() {
        let odd = capture(&[1, 3, 5], b"odd");
        let even = capture(&[2, 4], b"even!");
        let sources = vec![source(odd, "odd".into()), source(even, "even".into())];
        let mut files = merged(sources);
        let mut batch = PacketBatch::default();
        let mut bytes = Vec::new();
        while files.next_batch(&mut batch).unwrap() {
            bytes.extend(batch.packets.iter().map(|p| batch.bytes(p).to_vec()));
        }
        let expected: [&[u8]; 5] = [b"odd", b"even!", b"odd", b"even!", b"odd"];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn many_files_that_are_no_captures_are_one_line() {
        let directory = Directory::new();
        let texts = |count: usize| -> Vec<PathBuf> {
            let names = (0..count).map(|number| format!("{number}.txt"));
            names
                .map(|name| directory.write(&name, b"notes of the day"))
                .collect()
        };
        let said = |count| {
            let mut paths = texts(count);
            paths.push(directory.write("a.pcap", &capture(&[1], b"abc")));
            let mut files = CaptureFiles::open(&paths);
            while files.next_batch(&mut PacketBatch::default()).unwrap() {}
            files.take_problems()
        };
        assert_eq!(said(3).len(), 3);
        let [problem] = &said(5)[..] else {
            panic!("one line is expected");
        };
        let folder = directory.path().display();
        let expected = format!(
            "`{folder}/0.txt`, `{folder}/1.txt`, `{folder}/2.txt` and 2 other files: each looks like text, not a capture (pcap or pcapng)"
        );
        assert_eq!(problem.text, expected);
        assert_eq!(problem.severity, Severity::Error);
    }

    #[test]
    fn blocks_that_do_not_overlap_are_handed_on_without_copying() {
        let directory = Directory::new();
        let late = directory.write("late", &capture(&[10, 11], b"abc"));
        let early = directory.write("early", &capture(&[1, 2], b"abc"));
        let mut files = CaptureFiles::open(&[late, early]);
        let mut batch = PacketBatch::default();
        for seconds in [[1, 2], [10, 11]] {
            assert!(files.next_batch(&mut batch).unwrap());
            let times = batch.packets.iter().map(|packet| packet.timestamp);
            assert!(times.eq(seconds.map(Timestamp::from_seconds)));
            // Behind the headers of file and record, as it was read.
            assert_eq!(batch.packets[0].offset, 24 + 16);
        }
        assert!(!files.next_batch(&mut batch).unwrap());
    }

    #[test]
    fn a_long_rotated_set_is_opened_a_file_at_a_time() {
        let directory = Directory::new();
        let second = |number: u32| 1100 - number;
        for number in 0..1100 {
            let name = format!("{number:04}");
            directory.write(&name, &capture(&[second(number)], b""));
        }
        let mut files = CaptureFiles::open(&[directory.path().to_owned()]);
        let mut batch = PacketBatch::default();
        let mut expected = 1;
        while files.next_batch(&mut batch).unwrap() {
            assert!(files.open <= 2);
            for packet in &batch.packets {
                assert_eq!(packet.timestamp, Timestamp::from_seconds(expected));
                expected += 1;
            }
        }
        assert_eq!(expected, 1101);
        assert_eq!(files.take_problems(), []);
    }

    #[test]
    fn more_overlapping_files_than_can_be_open_are_an_error_for_each_too_many() {
        let sources = (0..MAX_OPEN + 2).map(|n| source(capture(&[1, 9], b""), n.to_string()));
        let mut files = merged(sources.collect());
        assert_eq!(read(&mut files).len(), 2 * MAX_OPEN);
        let problems = files.take_problems();
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[0].text,
            "`512` overlaps in time with 512 others, too many to read at once: merge some of them first"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_stop_the_others() {
        let directory = Directory::new();
        let broken = [capture(&[2], b"abc"), vec![0xff; 16]].concat();
        let paths = [
            directory.path().join("missing"),
            directory.write("text", b"not a capture"),
            directory.write("broken", &broken),
            directory.write("good", &capture(&[1, 3], b"abc")),
        ];
        let mut files = CaptureFiles::open(&paths);
        let seconds: Vec<i64> = read(&mut files).iter().map(|packet| packet.0).collect();
        assert_eq!(seconds, [1, 2, 3]);
        let problems = files.take_problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        let severity_of = |name: &str| {
            problems
                .iter()
                .find(|p| p.text.contains(name))
                .map(|p| p.severity)
        };
        assert_eq!(severity_of("missing`"), Some(Severity::Error));
        assert_eq!(severity_of("text`"), Some(Severity::Error));
        assert_eq!(severity_of("broken`"), Some(Severity::Warning)); // its last record is longer than the file
        assert_eq!(files.take_problems(), []);
    }

    #[test]
    fn secrets_come_before_the_packets_that_follow_them() {
        let key_log = [&LITTLE.u32s([0x544c_534b, 4]), b"key\n".as_slice()].concat();
        let with_secrets = [
            LITTLE.section(),
            LITTLE.interface(1, 0, &[]),
            LITTLE.enhanced_packet(0, 1_000_000, b"a"),
            LITTLE.block(10, &key_log),
            LITTLE.enhanced_packet(0, 3_000_000, b"b"),
            LITTLE.block(10, &key_log),
        ];
        let sources = vec![
            source(with_secrets.concat(), "pcapng".into()),
            source(capture(&[2, 4], b"c"), "pcap".into()),
        ];
        let mut files = merged(sources);
        let mut batch = PacketBatch::default();
        let (mut packets, mut secrets) = (0, 0);
        while files.next_batch(&mut batch).unwrap() {
            packets += batch.packets.len();
            secrets += batch.secrets.len();
            let is_after_first = |p: &PacketRecord| p.timestamp >= Timestamp::from_seconds(3);
            assert!(secrets > 0 || !batch.packets.iter().any(is_after_first));
        }
        assert_eq!((packets, secrets), (4, 2));
    }

    #[test]
    fn progress_counts_every_byte_of_every_file_once() {
        let directory = Directory::new();
        let paths = [
            directory.write("a", &capture(&[1, 5], &[1; 1000])),
            directory.write("b", &capture(&[2, 3], &[1; 1000])),
        ];
        let mut files = CaptureFiles::open(&paths);
        let bytes_total = Some(2 * (24 + 2 * 1016));
        let bytes_read = 0;
        let progress = |bytes_read| Progress {
            bytes_read,
            bytes_total,
        };
        assert_eq!(files.progress(), Some(progress(bytes_read)));
        read(&mut files);
        assert_eq!(files.progress(), Some(progress(2 * (24 + 2 * 1016))));
        let pipe = CaptureFiles::from_reader("-", io::empty());
        assert_eq!(pipe.progress().unwrap().bytes_total, None);
    }

    #[test]
    fn nothing_to_read_is_no_packets() {
        let mut files = CaptureFiles::open(&[]);
        assert_eq!(files.next_batch(&mut PacketBatch::default()), Ok(false));
        let mut files = CaptureFiles::from_reader("-", io::empty());
        assert_eq!(files.next_batch(&mut PacketBatch::default()), Ok(false));
        let text = &files.take_problems()[0].text;
        assert!(text.starts_with("standard input is empty; "), "{text}");
    }

    #[test]
    fn statistics_of_an_interface_say_until_when_packets_were_dropped() {
        let statistics = |seconds: u64, dropped: u64| {
            let ticks = seconds * 1_000_000;
            let fields = LITTLE.u32s([0, (ticks >> 32) as u32, ticks as u32]);
            let by_interface = LITTLE.option(5, &dropped.to_le_bytes());
            let not_known = LITTLE.option(7, &[0xff; 8]);
            LITTLE.block(5, &[fields, by_interface, not_known].concat())
        };
        let drops = |blocks: &[Vec<u8>]| {
            let start = [LITTLE.section(), LITTLE.interface(1, 0, &[])].concat();
            let packet = LITTLE.enhanced_packet(0, 3_000_000, &[1; 60]);
            let capture = [start, packet, blocks.concat()].concat();
            let mut files = CaptureFiles::from_reader("a", io::Cursor::new(capture));
            let mut batch = PacketBatch::default();
            let mut drops = Vec::new();
            while files.next_batch(&mut batch).unwrap() {
                drops.append(&mut batch.drops);
            }
            assert!(drops.iter().all(|drop| &*drop.source == "a"));
            let seconds = |drop: &SourceDrops| drop.at.as_nanoseconds() / 1_000_000_000;
            let news = |drop: SourceDrops| (seconds(&drop), drop.packets);
            drops.into_iter().map(news).collect::<Vec<_>>()
        };
        let none: [(i64, u64); 0] = [];
        assert_eq!(drops(&[statistics(5, 0)]), none);
        assert_eq!(drops(&[statistics(5, 2)]), [(5, 2)]);
        // What was counted before is no news; without a time, it is that of the packet before.
        assert_eq!(drops(&[statistics(5, 2), statistics(9, 2)]), [(5, 2)]);
        assert_eq!(drops(&[statistics(5, 2), statistics(9, 3)]), [(9, 3)]);
        assert_eq!(drops(&[statistics(0, 2)]), [(3, 2)]);
        // Cut short, or of an interface that is not there.
        assert_eq!(drops(&[LITTLE.block(5, &[0; 8])]), none);
        let mut other = statistics(5, 2);
        other[8] = 1;
        assert_eq!(drops(&[other]), none);
    }
}
