//! Compressed captures, known by their content.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
#[cfg(feature = "xz")]
use liblzma::bufread::XzDecoder;
#[cfg(feature = "xz")]
use liblzma::stream::{CONCATENATED, Stream};

use crate::memory::MemoryLimit;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    /// The compression of a file that begins with `head`.
    pub(super) fn recognise(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame, as parallel compressors put in front (RFC 8878 §3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }

    /// The decompressed bytes of `input`, which begins with `head`, over all of its members or frames. What it takes for that is one
    /// of `windows`.
    pub(super) fn decode(
        self,
        head: &[u8],
        input: impl Read + Send + 'static,
        windows: &Windows,
    ) -> io::Result<Box<dyn Read + Send>> {
        let input = BufReader::with_capacity(INPUT_BUFFER, input);
        let announced = self.window(head);
        // Later members or frames of the file may need more than a first one that is short. Many captures at once get no more
        // than they announce.
        let window = match windows.reserve(self.usual(announced), windows.room / 2) {
            Ok(window) => window,
            Err(_) => windows.reserve(announced, windows.room)?,
        };
        Ok(match self {
            Self::Gzip => {
                drop(window); // of no bytes
                Box::new(MultiGzDecoder::new(input))
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(window.bytes.ilog2())?;
                Box::new(Windowed {
                    decoder,
                    _window: window,
                })
            }
            #[cfg(feature = "xz")]
            Self::Xz => {
                let memory = window.bytes + XZ_OVERHEAD;
                let stream = Stream::new_stream_decoder(memory, CONCATENATED)?;
                Box::new(Windowed {
                    decoder: Pieces(XzDecoder::new_stream(input, stream)),
                    _window: window,
                })
            }
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => return Err(not_built("Zstandard", "zstd")),
            #[cfg(not(feature = "xz"))]
            Self::Xz => return Err(not_built("xz", "xz")),
        })
    }

    /// Bytes of decompressed data that a file with this beginning needs in memory, of those that it may.
    fn window(self, head: &[u8]) -> u64 {
        let announced = match self {
            Self::Gzip => return 0, // 32 KiB
            // Its limit is a power of two.
            Self::Zstd => zstd_window(head).and_then(u64::checked_next_power_of_two),
            Self::Xz => xz_dictionary(head),
        };
        announced
            .unwrap_or(LARGEST_WINDOW)
            .clamp(SMALLEST_WINDOW, LARGEST_WINDOW)
    }

    /// What is reserved for a file that announces such a window.
    fn usual(self, announced: u64) -> u64 {
        match self {
            Self::Gzip => 0,
            Self::Zstd | Self::Xz => announced.max(USUAL_WINDOW),
        }
    }

    /// Bytes of memory that a file takes which begins with `head`, compressed or not, while there is room.
    pub(super) fn memory(head: &[u8]) -> u64 {
        Self::recognise(head).map_or(0, |compression| compression.usual(compression.window(head)))
    }
}

/// The window of the first frame with data (RFC 8878 §3.1.1.1); `None` if it is not in view.
fn zstd_window(mut head: &[u8]) -> Option<u64> {
    // A skippable frame before it is short where a compressor puts it there.
    while let [0x50..=0x5f, 0x2a, 0x4d, 0x18, rest @ ..] = head {
        let (length, content) = rest.split_first_chunk()?;
        head = content.get(u32::from_le_bytes(*length) as usize..)?;
    }
    let header = head.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let (descriptor, rest) = header.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = u64::from(*rest.first()?);
        let base = 1 << (10 + (window >> 3));
        return Some(base + base / 8 * (window & 7));
    }
    // A single segment: all of the content is the window.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content = rest.get(dictionary..)?;
    let little_endian = |length: usize| {
        let bytes = content.get(..length)?.iter().rev();
        Some(bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    match descriptor >> 6 {
        0 => little_endian(1),
        1 => little_endian(2).map(|size| size + 256),
        2 => little_endian(4),
        _ => little_endian(8),
    }
}

/// The dictionary of the first block (The .xz File Format, sections 3.1 and 5.3.1); `None` if the file begins with something else.
fn xz_dictionary(head: &[u8]) -> Option<u64> {
    const STREAM_HEADER: usize = 12;
    const LZMA2: u64 = 0x21;
    let mut rest = head.get(STREAM_HEADER..)?.iter().copied();
    let (_size, flags) = (rest.next()?, rest.next()?);
    let mut number = || {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = rest.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    };
    for is_given in [flags & 0x40, flags & 0x80] {
        if is_given != 0 {
            number()?; // of the compressed bytes, and of the others
        }
    }
    for _ in 0..=flags & 3 {
        let (filter, properties) = (number()?, number()?);
        let first = number()?;
        if filter == LZMA2 {
            let exponent = first / 2 + 11;
            return (exponent <= 42).then(|| (2 | first & 1) << exponent);
        }
        for _ in 1..properties {
            number()?;
        }
    }
    None
}

/// The memory that compressed captures take which are open at the same time.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    taken: Arc<AtomicU64>,
    /// The most that they may take.
    room: u64,
}

/// What one of them takes, until it is closed.
struct Window {
    bytes: u64,
    all: Windows,
}

impl Windows {
    /// The share of this limit.
    pub(super) fn within(limit: MemoryLimit) -> Self {
        Self {
            taken: Arc::default(),
            room: limit.of_decompression() as u64,
        }
    }

    /// The most that all of them may take.
    pub(super) fn room(&self) -> u64 {
        self.room
    }

    /// Takes so many bytes, if all together take no more than `most` then.
    fn reserve(&self, bytes: u64, most: u64) -> io::Result<Window> {
        let reserve = |taken: u64| {
            let more = taken + bytes;
            (more <= most).then_some(more)
        };
        match self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
        {
            Ok(_) => Ok(Window {
                bytes,
                all: self.clone(),
            }),
            Err(taken) => Err(io::Error::other(NoRoom {
                needed: bytes,
                taken,
                room: self.room,
            })),
        }
    }
}

/// Why a file cannot be decompressed now: all of these are bytes, as in [`super::CaptureError::NoRoomToDecompress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    pub(super) needed: u64,
    pub(super) taken: u64,
    pub(super) room: u64,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("decompressing it takes more memory than there is")
    }
}

impl std::error::Error for NoRoom {}

impl Drop for Window {
    fn drop(&mut self) {
        self.all.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A decompressor, and the memory that it was granted.
#[cfg(any(feature = "zstd", feature = "xz"))]
struct Windowed<R> {
    decoder: R,
    _window: Window,
}

#[cfg(any(feature = "zstd", feature = "xz"))]
impl<R: Read> Read for Windowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer)
    }
}

#[cfg(not(all(feature = "zstd", feature = "xz")))]
fn not_built(compression: &str, feature: &str) -> io::Error {
    let text = format!(
        "compressed with {compression}, and tlscope was built without its feature `{feature}`"
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// Reads a little at a time: the decoder below drops what it had decompressed in
/// the call that meets damage.
#[cfg(feature = "xz")]
struct Pieces<R>(R);

#[cfg(feature = "xz")]
impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(PIECE);
        self.0.read(buffer.get_mut(..length).unwrap_or_default())
    }
}

/// Bytes that damage can cost at most; more would hardly be faster.
#[cfg(feature = "xz")]
const PIECE: usize = 16 * 1024;

/// Bytes at the beginning that say how large the window is; a file with less is no capture.
pub(super) const HEAD: usize = 40;

/// Compressed bytes read at once.
const INPUT_BUFFER: usize = 128 * 1024;

/// The largest window: what `zstd -d` takes by default, and `zstd --long` makes. `xz -9` has 64 MiB.
const LARGEST_WINDOW: u64 = 128 << 20;

/// The window of `zstd -19` and of `xz -6`, its default.
const USUAL_WINDOW: u64 = 8 << 20;

/// What a file counts for at least: its decompressor has buffers, too.
const SMALLEST_WINDOW: u64 = 1 << 20;

/// What xz takes beyond its dictionary: some 100 KB.
#[cfg(feature = "xz")]
const XZ_OVERHEAD: u64 = 1 << 20;

#[cfg(all(test, feature = "zstd", feature = "xz"))]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::capture::testing::{Directory, LITTLE, PCAP_MICROSECONDS, Packet};
    use crate::capture::{CaptureFiles, PacketBatch, PacketSource, Problem, Severity};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const COMPRESSORS: [Compress; 3] = [gzip, zstd, xz];

    /// A pcap file whose packets do not compress, so that a cut anywhere loses some.
    fn capture() -> Vec<u8> {
        let mut capture = LITTLE.pcap(PCAP_MICROSECONDS, 1);
        let mut state = 1_u32;
        for second in 0..300 {
            let mut noise = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let bytes: Vec<u8> = (0..1000).map(|_| noise()).collect();
            capture.extend(LITTLE.record(second, 0, &bytes));
        }
        capture
    }

    fn read(bytes: &[u8]) -> (Vec<Packet>, Vec<Problem>) {
        let mut files = CaptureFiles::from_reader("a.pcap", io::Cursor::new(bytes.to_vec()));
        let mut batch = PacketBatch::default();
        let mut packets = Vec::new();
        while files.next_batch(&mut batch).unwrap() {
            packets.extend(Packet::all(&batch));
        }
        (packets, files.take_problems())
    }

    /// What `xz` writes with this dictionary.
    fn xz_with(dictionary: u32) -> Vec<u8> {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(dictionary);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc32;
        let stream = Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&capture()).unwrap();
        encoder.finish().unwrap()
    }

    /// The beginning of what `xz -T2 --lzma2=preset=6,dict=3MiB` writes: with threads, blocks have their sizes in front.
    const XZ_OF_THREADS: &[u8] = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x04\xc0\x77\xe0\xa7\x12\x21\x01\x13\x00\x00\x00\x00\x00\x00\x00\x20\x00\xe9\x22\xe4\x93\xdf\x00\x6f\x5d\x00\x00";

    #[test]
    fn the_beginning_of_a_file_says_how_large_its_window_is() {
        for dictionary in [1 << 20, 3 << 19, 8 << 20, 64 << 20] {
            let bytes = xz_with(dictionary);
            assert_eq!(xz_dictionary(&bytes[..HEAD]), Some(dictionary.into()));
            assert!(read(&bytes) == read(&capture()));
        }
        assert_eq!(xz_dictionary(XZ_OF_THREADS), Some(3 << 20));
        for log in [10, 21, 27] {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(&capture()).unwrap();
            let bytes = encoder.finish().unwrap();
            assert_eq!(zstd_window(&bytes[..HEAD]), Some(1 << log));
            // What pzstd puts in front: the length of the frame.
            let skipped = [&b"\x50\x2a\x4d\x18\x04\0\0\0\xff\xff\0\0"[..], &bytes].concat();
            assert_eq!(zstd_window(&skipped[..HEAD]), Some(1 << log));
            assert_eq!(zstd_window(&skipped[..11]), None);
        }
        // A single segment.
        let length = capture().len();
        let bytes = zstd::bulk::compress(&capture(), 1).unwrap();
        assert_eq!(zstd_window(&bytes[..HEAD]), Some(length as u64));
        for length in 0..HEAD {
            for bytes in [XZ_OF_THREADS, &bytes] {
                let _ = [
                    xz_dictionary(&bytes[..length]),
                    zstd_window(&bytes[..length]),
                ];
            }
        }
    }

    #[test]
    fn windows_have_one_limit_together_and_are_given_back() {
        let limit = MemoryLimit::USUAL;
        let windows = Windows::within(limit);
        let open = |bytes: &[u8]| {
            let compression = Compression::recognise(bytes).unwrap();
            compression.decode(&bytes[..HEAD], io::Cursor::new(bytes.to_vec()), &windows)
        };
        let long = xz_with(64 << 20);
        let mut opened = vec![open(&long).unwrap(), open(&long).unwrap()];
        let error = open(&long).err().unwrap().into_inner().unwrap();
        let expected = NoRoom {
            needed: 64 << 20,
            taken: 128 << 20,
            room: limit.of_decompression() as u64,
        };
        assert_eq!(error.downcast_ref(), Some(&expected));
        assert!(open(&gzip(&capture())).is_ok());
        opened.pop();
        let mut decoder = open(&xz(&capture())).unwrap();
        let mut bytes = Vec::new();
        decoder.read_to_end(&mut bytes).unwrap();
        assert!(bytes == capture());
        drop((opened, decoder));
        assert_eq!(windows.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_file_gets_the_window_that_it_announces_where_there_is_no_room_for_the_usual_one() {
        let windows = Windows::within(MemoryLimit::new(110 << 20)); // 22 MiB
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(21).unwrap();
        encoder.write_all(&capture()).unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(Compression::memory(&bytes), USUAL_WINDOW);
        let open = || {
            let input = io::Cursor::new(bytes.clone());
            Compression::Zstd.decode(&bytes[..HEAD], input, &windows)
        };
        let mut opened = Vec::new();
        let refused = loop {
            match open() {
                Ok(decoder) => opened.push(decoder),
                Err(error) => break error,
            }
        };
        assert!(refused.get_ref().unwrap().is::<NoRoom>());
        assert_eq!(opened.len(), 8, "8 MiB, and 2 each");
        for mut decoder in opened {
            let mut decompressed = Vec::new();
            decoder.read_to_end(&mut decompressed).unwrap();
            assert!(decompressed == capture());
        }
    }

    #[test]
    fn captures_of_the_same_time_that_do_not_fit_are_one_line() {
        let directory = Directory::new();
        for name in ["a", "b", "c", "d"] {
            directory.write(name, &xz_with(64 << 20));
        }
        let read = |limit| {
            let mut files = CaptureFiles::open_within(&[directory.path().to_owned()], limit);
            let (mut batch, mut packets) = (PacketBatch::default(), 0);
            let memory = files.decompression_memory();
            while files.next_batch(&mut batch).unwrap() {
                packets += batch.packets.len();
            }
            (memory >> 20, packets, files.take_problems())
        };
        let one_line = |problems: Vec<Problem>, end: &str| {
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            assert_eq!(problem.severity, Severity::Error);
            assert!(problem.text.ends_with(end), "{}", problem.text);
        };
        let (memory, packets, problems) = read(MemoryLimit::USUAL);
        assert_eq!((memory, packets), (156, 2 * 300));
        one_line(
            problems,
            "c`: decompressing it takes 64 MiB, and others of the same time take 128 of the 156 that the memory limit leaves for that: decompress some first, or raise `--memory-limit` (captures that were not read for this reason, with this one: 2)",
        );
        let (memory, packets, problems) = read(MemoryLimit::LEAST);
        assert_eq!((memory, packets), (17, 0));
        one_line(
            problems,
            "a`: decompressing it takes 64 MiB, and the memory limit leaves 17 for that: decompress it first, or set `--memory-limit 237M` (captures that were not read for this reason, with this one: 4)",
        );
        let (memory, packets, problems) = read(MemoryLimit::new(1 << 30));
        assert_eq!((memory, packets, problems), (256, 4 * 300, vec![]));
    }

    #[test]
    fn a_pipe_is_decompressed_whole_after_a_look_at_its_window() {
        for compress in COMPRESSORS {
            let input = io::Cursor::new(compress(&capture()));
            let mut files = CaptureFiles::from_reader("-", input);
            let memory = files.decompression_memory() as u64;
            assert!(memory == 0 || memory == USUAL_WINDOW, "{memory}");
            let (mut batch, mut packets) = (PacketBatch::default(), 0);
            while files.next_batch(&mut batch).unwrap() {
                packets += batch.packets.len();
            }
            assert_eq!((packets, files.take_problems()), (300, vec![]));
        }
    }

    #[test]
    fn decompresses_by_content() {
        let plain = read(&capture());
        assert_eq!((plain.0.len(), plain.1.len()), (300, 0));
        for compress in COMPRESSORS {
            assert!(read(&compress(&capture())) == plain);
        }
    }

    #[test]
    fn decompresses_several_members_as_one_file() {
        let (first, second) = (capture()[..1000].to_vec(), capture()[1000..].to_vec());
        for compress in COMPRESSORS {
            let bytes = [compress(&first), compress(&second)].concat();
            assert!(read(&bytes) == read(&capture()));
        }
        let skippable = [0x5e, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, b'h', b'i'];
        let bytes = [&skippable[..], &zstd(&capture())].concat();
        assert!(read(&bytes) == read(&capture()));
    }

    #[test]
    fn a_cut_off_stream_gives_what_is_there_and_a_warning() {
        let all = read(&capture()).0;
        for compress in COMPRESSORS {
            let bytes = compress(&capture());
            for cut in [bytes.len() / 2, bytes.len() - 100_000, bytes.len() - 1] {
                let (packets, problems) = read(&bytes[..cut]);
                assert!(packets == all[..packets.len()]);
                // Decompressors work in blocks of up to 128 KiB, which are cut as a whole.
                let at_least = (cut / 1016).saturating_sub(130);
                assert!(packets.len() >= at_least, "{} of {cut}", packets.len());
                let [problem] = &problems[..] else {
                    panic!("{problems:?}");
                };
                assert_eq!(problem.severity, Severity::Warning);
                assert!(problem.text.ends_with(" of the decompressed data"));
            }
        }
    }

    #[test]
    fn every_prefix_of_a_compressed_capture_gives_packets_or_says_why_not() {
        let short = capture()[..24 + 2 * 1016].to_vec();
        for compress in COMPRESSORS {
            let bytes = compress(&short);
            let sample = (1..40).chain((40..bytes.len()).step_by(97));
            for cut in sample.chain([bytes.len() - 1]) {
                let (packets, problems) = read(&bytes[..cut]);
                assert!(packets.len() <= 2);
                assert_eq!(problems.len(), 1, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_damaged_stream_gives_what_came_before_and_an_error() {
        let all = read(&capture()).0;
        for compress in COMPRESSORS {
            let mut bytes = compress(&capture());
            let at = bytes.len() - 1500; // the last record header and what is behind it
            bytes[at..].fill(0xff);
            let (packets, problems) = read(&bytes);
            assert!(packets.len() > 250, "{}", packets.len());
            assert!(packets[..250] == all[..250]);
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            assert_eq!(problem.severity, Severity::Error);
            assert!(problem.text.contains("`a.pcap`"));
        }
    }

    #[test]
    fn does_not_take_other_files_for_compressed() {
        for head in [
            &b"\x1f"[..],
            b"\x1f\x8c\x08\x00",
            b"\xfd7zXY\0",
            b"\x28\xb5\x2f",
            b"",
        ] {
            assert_eq!(Compression::recognise(head), None);
        }
    }
}
