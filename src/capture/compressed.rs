//! Compressed captures, known by their content.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
#[cfg(feature = "xz")]
use liblzma::bufread::XzDecoder;
#[cfg(feature = "xz")]
use liblzma::stream::{CONCATENATED, Stream};

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

    /// The decompressed bytes of `input`, over all of its members or frames.
    pub(super) fn decode(
        self,
        input: impl Read + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let input = BufReader::with_capacity(INPUT_BUFFER, input);
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            #[cfg(feature = "xz")]
            Self::Xz => {
                let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY, CONCATENATED)?;
                Box::new(Pieces(XzDecoder::new_stream(input, stream)))
            }
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => return Err(not_built("Zstandard", "zstd")),
            #[cfg(not(feature = "xz"))]
            Self::Xz => return Err(not_built("xz", "xz")),
        })
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

/// Compressed bytes read at once.
const INPUT_BUFFER: usize = 128 * 1024;

/// A window of 128 MiB: what `zstd -d` takes by default, and `zstd --long` makes.
#[cfg(feature = "zstd")]
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// `xz -9` needs 65 MiB to decompress; nothing in use needs more.
#[cfg(feature = "xz")]
const MAX_XZ_MEMORY: u64 = 128 * 1024 * 1024;

#[cfg(all(test, feature = "zstd", feature = "xz"))]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::capture::testing::{LITTLE, PCAP_MICROSECONDS, Packet};
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
