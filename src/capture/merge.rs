//! Several captures as one, in the order of packet time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{BLOCK_SIZE, BlockReader};
use super::file::{self, Origin};
use super::interfaces::InterfaceTable;
use super::{CaptureError, PacketBatch, PacketRecord, PacketSource, Problem, Progress};
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
    secrets: Vec<Box<[u8]>>,
    interfaces: InterfaceTable,
    problems: Vec<Problem>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

struct Source {
    file: Arc<str>,
    origin: Origin,
    reading: Option<Reading>,
}

/// An open source: its reader, and the batch that it gives packets from.
struct Reading {
    reader: BlockReader,
    batch: PacketBatch,
    next: usize,
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
    /// Several files are opened here and now, to learn when each begins.
    #[must_use]
    pub fn open(paths: &[PathBuf]) -> Self {
        let mut problems = Vec::new();
        let captures = paths
            .iter()
            .flat_map(|path| file::captures(path, &mut problems))
            .map(|path| Source {
                file: path.to_string_lossy().into(),
                origin: Origin::from_argument(&path),
                reading: None,
            })
            .collect();
        Self::new(captures, problems)
    }

    /// The capture that `reader` reads, under the name `name`; packets come as they arrive.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        let source = Source {
            file: name.into(),
            origin: Origin::Reader(Box::new(reader)),
            reading: None,
        };
        Self::new(vec![source], Vec::new())
    }

    fn new(sources: Vec<Source>, problems: Vec<Problem>) -> Self {
        let bytes_total = sources.iter().map(|source| source.origin.length()).sum();
        let mut files = Self {
            sources,
            queue: BinaryHeap::new(),
            unsettled: None,
            open: 0,
            secrets: Vec::new(),
            interfaces: InterfaceTable::default(),
            problems,
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
        match source.first_time() {
            Ok(time) => self.queue.push(Reverse((time, index))),
            Err(error) => self.problems.push(error.into()),
        }
    }

    /// Fills an empty batch, as far as it can without waiting.
    fn fill(&mut self, batch: &mut PacketBatch) {
        loop {
            if let Some(index) = self.unsettled.take() {
                self.settle(index);
            }
            if self.unsettled.is_some() {
                return; // secrets without packets
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
        match source.start(self.open, &self.bytes_read) {
            Ok(()) => {
                self.open += 1;
                self.unsettled = Some(index);
            }
            Err(error) => self.problems.push(error.into()),
        }
    }

    /// Reads on until the source's next packet is known, or ends it; leaves it
    /// unsettled if secrets come first, so that those cannot pile up.
    fn settle(&mut self, index: usize) {
        let Some(reading) = reading(&mut self.sources, index) else {
            return;
        };
        while reading.refill(&mut self.interfaces, &mut self.problems) {
            self.secrets.append(&mut reading.batch.secrets);
            if let Some(key) = reading.key(index) {
                self.queue.push(key);
                return;
            }
            if !self.secrets.is_empty() {
                self.unsettled = Some(index);
                return;
            }
        }
        if let Some(source) = self.sources.get_mut(index) {
            source.reading = None;
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
        batch.secrets.append(&mut self.secrets);
        batch.interfaces = self.interfaces.shared();
        Ok(!batch.packets.is_empty() || !batch.secrets.is_empty())
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
    fn first_time(&mut self) -> Result<Timestamp, CaptureError> {
        if self.origin.length().is_none() {
            return Ok(Timestamp::MIN);
        }
        let mut reader = self.origin.open(&self.file, PEEK_SIZE, &Arc::default())?;
        let mut batch = PacketBatch::default();
        let mut interfaces = InterfaceTable::default();
        // What is wrong with the file is told when it is read.
        while let Ok(true) = reader.next_batch(&mut batch, &mut interfaces, &mut Vec::new()) {
            if let Some(packet) = batch.packets.first() {
                return Ok(packet.timestamp);
            }
        }
        Ok(Timestamp::MIN)
    }

    fn start(&mut self, open: usize, bytes_read: &Arc<AtomicU64>) -> Result<(), CaptureError> {
        if open >= MAX_OPEN {
            let file = Arc::clone(&self.file);
            return Err(CaptureError::TooManyOpen { file, open });
        }
        let block_size = if open < FEW_OPEN {
            BLOCK_SIZE
        } else {
            SMALL_BLOCK_SIZE
        };
        self.reading = Some(Reading {
            reader: self.origin.open(&self.file, block_size, bytes_read)?,
            batch: PacketBatch::default(),
            next: 0,
        });
        Ok(())
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
