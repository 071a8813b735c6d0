//! Compressed Certificate messages (RFC 8879).

#[cfg(feature = "decrypt")]
use std::io::Read;

use super::MAX_MESSAGE;
use super::codec::{ReadError, Reader};

/// Decompresses the Certificate message in the body of a CompressedCertificate message.
///
/// Supports zlib and Brotli with the feature `decrypt` (only decryption shows such messages), and Zstandard with `zstd`.
///
/// ```text
/// struct {
///     CertificateCompressionAlgorithm algorithm;
///     uint24 uncompressed_length;
///     opaque compressed_certificate_message<1..2^24-1>;
/// } CompressedCertificate;
/// ```
///
/// # Errors
///
/// - [`ReadError::Incomplete`] if the body is cut short.
/// - [`ReadError::Invalid`] if the algorithm is unknown, the message is longer than
///   [`MAX_MESSAGE`], or its length is not `uncompressed_length`.
pub fn decompress_certificate(body: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut reader = Reader::new(body);
    let algorithm = reader.u16()?;
    let length = reader.u24()?;
    let compressed = reader.vector_u24()?.rest();
    if length > MAX_MESSAGE {
        return Err(ReadError::Invalid("uncompressed_length"));
    }
    decompress(algorithm, compressed, length)?
        .filter(|message| message.len() == length)
        .ok_or(ReadError::Invalid("compressed_certificate_message"))
}

/// Decompresses up to `length` bytes; `None` if the data is damaged.
#[cfg(feature = "decrypt")]
fn decompress(
    algorithm: u16,
    compressed: &[u8],
    length: usize,
) -> Result<Option<Vec<u8>>, ReadError> {
    Ok(match algorithm {
        1 => read(flate2::read::ZlibDecoder::new(compressed), length),
        2 => read(
            brotli_decompressor::Decompressor::new(compressed, BUFFER),
            length,
        ),
        #[cfg(feature = "zstd")]
        3 => zstd::bulk::decompress(compressed, length).ok(),
        _ => return Err(ReadError::Invalid("algorithm")),
    })
}

#[cfg(not(feature = "decrypt"))]
const fn decompress(
    _algorithm: u16,
    _compressed: &[u8],
    _length: usize,
) -> Result<Option<Vec<u8>>, ReadError> {
    Err(ReadError::Invalid("algorithm"))
}

/// Size of Brotli's input buffer: compressed chains have a few kilobytes.
#[cfg(feature = "decrypt")]
const BUFFER: usize = 1 << 10;

/// Reads to the end, but at most one byte more than `length`: a bomb is noticed before it unfolds.
#[cfg(feature = "decrypt")]
fn read(decoder: impl Read, length: usize) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    decoder
        .take(length as u64 + 1)
        .read_to_end(&mut message)
        .ok()?;
    Some(message)
}

#[cfg(all(test, feature = "decrypt"))]
mod tests {
    use std::io::Write;

    use super::*;

    fn body(algorithm: u8, length: usize, compressed: &[u8]) -> Vec<u8> {
        let number = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
        let lengths = [number(length), number(compressed.len())].concat();
        [&[0, algorithm], &lengths[..], compressed].concat()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The output of `brotli` for "certificate": stored, since it is too short to compress.
    const BROTLI: &[u8] = b"\x0b\x05\x80certificate\x03";

    #[test]
    fn every_algorithm_decompresses() {
        let message = b"certificate";
        assert_eq!(
            decompress_certificate(&body(1, 11, &zlib(message))).unwrap(),
            message
        );
        assert_eq!(
            decompress_certificate(&body(2, 11, BROTLI)).unwrap(),
            message
        );
        #[cfg(feature = "zstd")]
        {
            let zstd = zstd::encode_all(&message[..], 1).unwrap();
            assert_eq!(
                decompress_certificate(&body(3, 11, &zstd)).unwrap(),
                message
            );
        }
    }

    #[test]
    fn rejects_a_wrong_length_and_damaged_data() {
        let message = zlib(b"certificate");
        let damaged = Err(ReadError::Invalid("compressed_certificate_message"));
        for (length, compressed) in [(10, &message[..]), (12, &message), (11, b"xx"), (11, b"")] {
            let read = decompress_certificate(&body(1, length, compressed));
            assert_eq!(read, damaged, "{length}");
        }
        assert_eq!(
            decompress_certificate(&body(9, 11, &message)),
            Err(ReadError::Invalid("algorithm"))
        );
    }

    #[test]
    fn a_decompression_bomb_is_rejected() {
        let bomb = zlib(&vec![0; 4 * MAX_MESSAGE]);
        assert!(decompress_certificate(&body(1, 1000, &bomb)).is_err());
        assert_eq!(
            decompress_certificate(&body(1, MAX_MESSAGE + 1, &bomb)),
            Err(ReadError::Invalid("uncompressed_length"))
        );
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let whole = body(1, 11, &zlib(b"certificate"));
        for length in 0..whole.len() {
            assert_eq!(
                decompress_certificate(&whole[..length]),
                Err(ReadError::Incomplete)
            );
        }
    }
}
