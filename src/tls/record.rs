//! The record layer (RFC 8446 §5.1): a stream of bytes in fragments of typed content.

use super::codec::{ReadError, Reader};
use super::{ContentType, ProtocolVersion};

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record carries.
    pub content_type: ContentType,
    /// The version field: `legacy_record_version` in TLS 1.3.
    pub version: ProtocolVersion,
    /// Length of the fragment that follows, in bytes.
    pub length: u16,
}

/// Bytes of a record header.
pub const HEADER_LENGTH: usize = 5;

/// The longest fragment of any version: TLS 1.2 lets compression and encryption add 2048 bytes to 2¹⁴ (RFC 5246 §6.2.3).
pub const MAX_FRAGMENT: u16 = (1 << 14) + 2048;

impl RecordHeader {
    /// Reads a record header from the front of `input`.
    ///
    /// Looks at five bytes only: the fragment itself need not have arrived. Of the
    /// version, only the major byte is checked, since a first ClientHello may say
    /// 0x0301 where every later record says 0x0303 (RFC 8446 §5.1).
    ///
    /// # Errors
    ///
    /// - [`ReadError::Incomplete`] if `input` is shorter than 5 bytes and they fit so far.
    /// - [`ReadError::Invalid`] if this is not TLS: unknown content type, major version
    ///   other than 3, or a length above [`MAX_FRAGMENT`].
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::tls::{ContentType, ReadError, RecordHeader};
    ///
    /// let header = RecordHeader::read(&[22, 3, 1, 0x02, 0x00])?;
    /// assert_eq!(header.content_type, ContentType::Handshake);
    /// assert_eq!(header.length, 512); // bytes
    /// # Ok::<(), ReadError>(())
    /// ```
    pub fn read(input: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(input);
        let content_type = reader.u8()?;
        // The types above are DTLS only: connection identifiers and acknowledgments (RFC 9146, RFC 9147).
        if !(ContentType::ChangeCipherSpec.0..=ContentType::Heartbeat.0).contains(&content_type) {
            return Err(ReadError::Invalid("ContentType"));
        }
        let major = reader.u8()?;
        if major != 3 {
            return Err(ReadError::Invalid("ProtocolVersion"));
        }
        let minor = reader.u8()?;
        let length = reader.u16()?;
        if length > MAX_FRAGMENT {
            return Err(ReadError::Invalid("length"));
        }
        let version = ProtocolVersion(u16::from_be_bytes([major, minor]));
        Ok(Self {
            content_type: ContentType(content_type),
            version,
            length,
        })
    }
}

/// Part of a record's fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The record's header.
    pub header: RecordHeader,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the fragment begins with them.
    pub is_first: bool,
    /// Whether the fragment ends with them.
    pub is_last: bool,
}

/// Splits one direction of a stream into records. Buffers at most a header.
#[derive(Clone, Debug, Default)]
pub struct RecordReader {
    header: [u8; HEADER_LENGTH],
    header_filled: u8,
    /// The current record and how many bytes of its fragment are missing.
    open: Option<(RecordHeader, u16)>,
}

impl RecordReader {
    /// Takes the next piece off the front of `input`; `None` once that is used up.
    ///
    /// # Errors
    ///
    /// [`ReadError::Invalid`] if a record should begin here and does not. The reader
    /// is out of step with the stream then: see [`RecordReader::lose_place`].
    #[inline]
    pub fn next_piece<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, ReadError> {
        if let Some((header, remaining)) = self.open {
            if input.is_empty() {
                return Ok(None);
            }
            return Ok(Some(self.fragment(input, header, remaining, false)));
        }
        match self.next_header(input)? {
            Some(header) => Ok(Some(self.fragment(input, header, header.length, true))),
            None => Ok(None),
        }
    }

    /// Whether the next byte begins a record.
    #[must_use]
    pub const fn is_at_boundary(&self) -> bool {
        self.open.is_none() && self.header_filled == 0
    }

    /// What the current record carries; `None` between records.
    #[must_use]
    pub fn open_type(&self) -> Option<ContentType> {
        self.open.map(|(header, _)| header.content_type)
    }

    /// Skips `missing` bytes of the current record. Returns false and skips nothing if the gap reaches beyond it.
    #[must_use]
    pub fn skip(&mut self, missing: u32) -> bool {
        match self.open {
            Some((header, remaining)) if missing <= u32::from(remaining) => {
                let remaining = remaining - missing as u16;
                self.open = (remaining > 0).then_some((header, remaining));
                true
            }
            _ => false,
        }
    }

    /// Forgets the current record: the next byte is taken as the start of one.
    pub fn lose_place(&mut self) {
        *self = Self::default();
    }

    #[inline]
    fn next_header(&mut self, input: &mut &[u8]) -> Result<Option<RecordHeader>, ReadError> {
        if self.header_filled == 0
            && let Some((header, rest)) = input.split_first_chunk::<HEADER_LENGTH>()
        {
            *input = rest;
            return RecordHeader::read(header).map(Some);
        }
        let filled = usize::from(self.header_filled);
        let count = input.len().min(HEADER_LENGTH - filled);
        let (taken, rest) = input.split_at(count);
        self.header[filled..filled + count].copy_from_slice(taken);
        self.header_filled += count as u8;
        *input = rest;
        match RecordHeader::read(&self.header[..usize::from(self.header_filled)]) {
            Ok(header) => {
                self.header_filled = 0;
                Ok(Some(header))
            }
            Err(ReadError::Incomplete) => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn fragment<'a>(
        &mut self,
        input: &mut &'a [u8],
        header: RecordHeader,
        remaining: u16,
        is_first: bool,
    ) -> Piece<'a> {
        let (bytes, rest) = input.split_at(input.len().min(usize::from(remaining)));
        *input = rest;
        let remaining = remaining - bytes.len() as u16;
        self.open = (remaining > 0).then_some((header, remaining));
        Piece {
            header,
            bytes,
            is_first,
            is_last: remaining == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = &[
        22, 3, 1, 0, 3, 0xa, 0xb, 0xc, 20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 0, 21, 3, 3, 0, 2, 2, 48,
    ];

    /// The records of the stream when it arrives in parts of `size` bytes.
    fn read_in_parts(size: usize) -> Vec<(u8, Vec<u8>)> {
        let mut reader = RecordReader::default();
        let mut records = Vec::new();
        for mut part in STREAM.chunks(size) {
            while let Some(piece) = reader.next_piece(&mut part).unwrap() {
                if piece.is_first {
                    records.push((piece.header.content_type.0, Vec::new()));
                }
                records.last_mut().unwrap().1.extend_from_slice(piece.bytes);
                let (_, bytes) = records.last().unwrap();
                assert_eq!(
                    piece.is_last,
                    bytes.len() == usize::from(piece.header.length)
                );
            }
        }
        assert!(reader.is_at_boundary());
        records
    }

    #[test]
    fn records_do_not_depend_on_how_bytes_arrive() {
        let whole = read_in_parts(STREAM.len());
        assert_eq!(
            whole,
            [
                (22, vec![10, 11, 12]),
                (20, vec![1]),
                (23, vec![]),
                (21, vec![2, 48])
            ]
        );
        for size in 1..STREAM.len() {
            assert_eq!(read_in_parts(size), whole, "parts of {size} bytes");
        }
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete() {
        for length in 0..HEADER_LENGTH {
            assert_eq!(
                RecordHeader::read(&STREAM[..length]),
                Err(ReadError::Incomplete)
            );
        }
    }

    #[test]
    fn rejects_what_is_not_a_record() {
        assert_eq!(
            RecordHeader::read(b"HTTP/"),
            Err(ReadError::Invalid("ContentType"))
        );
        assert_eq!(
            RecordHeader::read(&[22, 2]),
            Err(ReadError::Invalid("ProtocolVersion"))
        );
        assert_eq!(
            RecordHeader::read(&[22, 3, 1, 0x48, 0x01]),
            Err(ReadError::Invalid("length"))
        );
    }

    #[test]
    fn accepts_the_longest_record() {
        assert_eq!(
            RecordHeader::read(&[23, 3, 3, 0x48, 0x00]).map(|header| header.length),
            Ok(MAX_FRAGMENT)
        );
    }
}
