//! Records of DTLS in one datagram (RFC 6347 §4.1, RFC 9147 §4, RFC 9146 §3).

use crate::tls::{ContentType, MAX_FRAGMENT, ProtocolVersion, ReadError, Reader};

/// A record, as far as its header shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    /// What follows the header. Shorter than the header says if the datagram was cut by the snap length.
    pub(crate) fragment: &'a [u8],
    /// Its length in bytes, by the header or by the datagram's.
    pub(crate) length: u16,
}

/// The header of a record, in one of its two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// That of DTLS 1.0 and 1.2, and of what DTLS 1.3 does not encrypt.
    Full {
        content_type: ContentType,
        version: ProtocolVersion,
        epoch: u16,
        /// 48 bits.
        sequence: u64,
    },
    /// That of encrypted records of DTLS 1.3: its sequence number is encrypted, too.
    Unified {
        /// The two lowest bits of the epoch.
        epoch: u8,
    },
}

/// The first byte of a unified header, `001CSLEE` (RFC 9147 §4).
mod unified {
    pub(super) const FIXED_MASK: u8 = 0b1110_0000;
    pub(super) const FIXED: u8 = 0b0010_0000;
    pub(super) const HAS_CONNECTION_ID: u8 = 0b0001_0000;
    pub(super) const LONG_SEQUENCE: u8 = 0b0000_1000;
    pub(super) const HAS_LENGTH: u8 = 0b0000_0100;
    pub(super) const EPOCH: u8 = 0b0000_0011;
}

/// The shortest fragment behind a unified header: its sequence number is encrypted with 16 bytes of it (RFC 9147 §4.2.3).
const SHORTEST_SEALED: usize = 16;

impl<'a> Record<'a> {
    /// Takes a record off the front of a datagram, as its receiver reads it, who expects connection identifiers of
    /// `id_length` bytes.
    ///
    /// `missing` bytes of the datagram were cut off by the snap length: they count as there.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if no record of DTLS begins here, or not all of its header is there.
    pub(crate) fn take(
        reader: &mut Reader<'a>,
        missing: usize,
        id_length: usize,
    ) -> Result<Self, ReadError> {
        let first = reader.u8()?;
        if first & unified::FIXED_MASK == unified::FIXED {
            return Self::take_unified(first, reader, missing, id_length);
        }
        let content_type = ContentType(first);
        if !(ContentType::ChangeCipherSpec..=ContentType::Ack).contains(&content_type) {
            return Err(ReadError::Invalid("ContentType"));
        }
        let version = ProtocolVersion(reader.u16()?);
        if !version.is_dtls() {
            return Err(ReadError::Invalid("ProtocolVersion"));
        }
        let epoch = reader.u16()?;
        let sequence = u64::from(reader.u16()?) << 32;
        let sequence = sequence | u64::from(reader.u16()?) << 16;
        let sequence = sequence | u64::from(reader.u16()?);
        if content_type == ContentType::Tls12Cid {
            reader.take(id_length)?;
        }
        let length = reader.u16()?;
        if length > MAX_FRAGMENT {
            return Err(ReadError::Invalid("length"));
        }
        let header = Header::Full {
            content_type,
            version,
            epoch,
            sequence,
        };
        Self::with_fragment(header, length, reader, missing)
    }

    fn take_unified(
        first: u8,
        reader: &mut Reader<'a>,
        missing: usize,
        id_length: usize,
    ) -> Result<Self, ReadError> {
        if first & unified::HAS_CONNECTION_ID != 0 {
            reader.take(id_length)?;
        }
        let is_long = first & unified::LONG_SEQUENCE != 0;
        reader.take(if is_long { 2 } else { 1 })?;
        let length = if first & unified::HAS_LENGTH != 0 {
            reader.u16()?
        } else {
            // It reaches to the end of the datagram, which has less than 2¹⁶ bytes.
            u16::try_from(reader.len() + missing).unwrap_or(u16::MAX)
        };
        if length > MAX_FRAGMENT || usize::from(length) < SHORTEST_SEALED {
            return Err(ReadError::Invalid("length"));
        }
        let epoch = first & unified::EPOCH;
        Self::with_fragment(Header::Unified { epoch }, length, reader, missing)
    }

    fn with_fragment(
        header: Header,
        length: u16,
        reader: &mut Reader<'a>,
        missing: usize,
    ) -> Result<Self, ReadError> {
        let there = usize::from(length).min(reader.len());
        if usize::from(length) > there + missing {
            return Err(ReadError::Incomplete);
        }
        Ok(Self {
            header,
            fragment: reader.take(there)?,
            length,
        })
    }
}

/// Records of one sender that were seen, so that copies of a datagram count once (RFC 6347 §4.1.2.6).
///
/// An endpoint moves its window only for a record that it can authenticate, and anybody can send one in the name of its peer. So a
/// number that is far ahead of all others counts once another one confirms it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    /// The highest number so far, plus one; 0 before the first.
    end: u64,
    /// The 64 numbers before `end`, the highest in the lowest bit.
    seen: u64,
    /// The last number that was far ahead, plus one; 0 if there was none.
    far: u64,
}

/// How far ahead a number may be of those before it. A side that repeats a flight of some hundred records a dozen times uses so many;
/// of data, a capture may lack more, and then the second record counts.
const FAR: u64 = 1 << 10;

/// What the number of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    New,
    /// It was seen before.
    Copy,
    /// It is too old to tell.
    Old,
    /// It is far ahead of all others.
    Far,
}

impl ReplayWindow {
    /// The number that follows the highest one so far.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// What a number says, without noting it.
    pub(super) const fn look(&self, sequence: u64) -> Standing {
        let mut window = *self;
        window.take(sequence)
    }

    /// Notes a number.
    pub(super) const fn take(&mut self, sequence: u64) -> Standing {
        if sequence >= self.end {
            let is_confirmed = self.far > 0 && sequence >= self.far && sequence - self.far < FAR;
            if sequence - self.end >= FAR && !is_confirmed {
                self.far = sequence + 1;
                return Standing::Far;
            }
            let step = sequence + 1 - self.end;
            self.seen = if step < 64 { self.seen << step } else { 0 } | 1;
            self.end = sequence + 1;
            return Standing::New;
        }
        let age = self.end - 1 - sequence;
        if age >= 64 {
            return Standing::Old;
        }
        if self.seen >> age & 1 == 1 {
            return Standing::Copy;
        }
        self.seen |= 1 << age;
        Standing::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(datagram: &[u8]) -> Result<Record<'_>, ReadError> {
        Record::take(&mut Reader::new(datagram), 0, 0)
    }

    const RECORD: &[u8] = &[22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 2, 3, 0, 2, 8, 9];

    #[test]
    fn reads_a_full_header() {
        let record = take(RECORD).unwrap();
        let Header::Full {
            content_type,
            version,
            epoch,
            sequence,
        } = record.header
        else {
            panic!("{record:?}");
        };
        assert_eq!(content_type, ContentType::Handshake);
        assert_eq!(version, ProtocolVersion::DTLSv1_2);
        assert_eq!((epoch, sequence), (1, 0x0203));
        assert_eq!((record.fragment, record.length), (&[8, 9][..], 2));
    }

    #[test]
    fn every_prefix_of_a_record_is_incomplete() {
        for length in 0..RECORD.len() {
            assert_eq!(take(&RECORD[..length]), Err(ReadError::Incomplete));
        }
    }

    /// Bytes of the full header, without a connection identifier.
    const FULL_HEADER: usize = 13;

    #[test]
    fn what_the_snap_length_cut_counts_as_there() {
        for length in FULL_HEADER..RECORD.len() {
            let missing = RECORD.len() - length;
            let record = Record::take(&mut Reader::new(&RECORD[..length]), missing, 0).unwrap();
            assert_eq!(record.length, 2);
            assert_eq!(record.fragment.len(), length - FULL_HEADER);
        }
    }

    #[test]
    fn rejects_what_is_not_a_record() {
        for (bytes, field) in [
            (&[0, 1, 0, 8][..], "ContentType"),        // STUN
            (&[0x80, 96], "ContentType"),              // RTP
            (&[27, 0xfe, 0xfd], "ContentType"),        // beyond the last type
            (&[22, 3, 3, 0, 40], "ProtocolVersion"),   // TLS
            (&[22, 0xfe, 0xfe, 0], "ProtocolVersion"), // there is no DTLS 1.1
            (&[0x21, 0, 1, 2], "length"),              // nothing that could be encrypted
        ] {
            assert_eq!(take(bytes), Err(ReadError::Invalid(field)), "{bytes:?}");
        }
        let mut long = RECORD.to_vec();
        long[11] = 0x49;
        assert_eq!(take(&long), Err(ReadError::Invalid("length")));
    }

    #[test]
    fn reads_unified_headers_of_all_shapes() {
        let sealed = [7; 20];
        for (head, id_length) in [
            (&[0x22, 1][..], 0),
            (&[0x2a, 1, 2], 0),
            (&[0x2e, 1, 2, 0, 20], 0),
            (&[0x26, 1, 0, 20], 0),
            (&[0x32, 0xc1, 0xc2, 0xc3, 1], 3),
            (&[0x3e, 0xc1, 1, 2, 0, 20], 1),
        ] {
            let datagram = [head, &sealed].concat();
            let record = Record::take(&mut Reader::new(&datagram), 0, id_length).unwrap();
            assert_eq!(record.header, Header::Unified { epoch: 2 });
            assert_eq!(record.fragment, sealed, "{head:?}");
            for length in 0..head.len() {
                assert!(Record::take(&mut Reader::new(&head[..length]), 0, id_length).is_err());
            }
        }
    }

    #[test]
    fn a_connection_identifier_stands_before_the_length() {
        let record = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0xc1, 0xc2, 0, 1, 5];
        let with_id = Record::take(&mut Reader::new(&record), 0, 2).unwrap();
        assert_eq!(with_id.fragment, [5]);
        for length in 0..record.len() {
            let prefix = Record::take(&mut Reader::new(&record[..length]), 0, 2);
            assert_eq!(prefix, Err(ReadError::Incomplete));
        }
    }

    #[test]
    fn a_number_counts_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for (sequence, expected) in [
            (5, Standing::New),
            (5, Standing::Copy),
            (3, Standing::New),
            (6, Standing::New),
            (3, Standing::Copy),
            (100, Standing::New),
            (36, Standing::Old),
            (37, Standing::New),
            (1_123, Standing::New),
            (100, Standing::Old),
        ] {
            assert_eq!(window.look(sequence), expected, "{sequence}");
            let standing = window.take(sequence);
            assert_eq!(standing, expected, "{sequence}");
        }
    }

    #[test]
    fn a_number_far_ahead_counts_once_another_one_confirms_it() {
        const LAST: u64 = (1 << 48) - 1;
        let mut window = ReplayWindow::default();
        assert_eq!(window.take(LAST), Standing::Far);
        assert_eq!(window.take(0), Standing::New);
        assert_eq!(window.take(FAR), Standing::New);
        assert_eq!(window.take(2 * FAR + 1), Standing::Far);
        assert_eq!(
            window.take(2 * FAR + 1),
            Standing::Far,
            "a copy confirms nothing"
        );
        assert_eq!(window.take(LAST), Standing::Far);
        assert_eq!(window.take(FAR + 1), Standing::New);
        // A capture that lacks a part of the data.
        assert_eq!(window.take(1 << 40), Standing::Far);
        assert_eq!(window.take((1 << 40) + 1), Standing::New);
        assert_eq!(window.take((1 << 40) + 2), Standing::New);
        assert_eq!(window.take(FAR + 2), Standing::Old);
    }
}
