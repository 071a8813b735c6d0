//! Datagrams to packets.
//!
//! Up to four packets share a datagram during the handshake. Those with a long header say how
//! long they are; one with a short header takes the rest.

use super::connection_id::ConnectionId;
use super::cursor::Cursor;
use super::version::{PacketType, QuicVersion};

/// The shortest datagram with a client's Initial packet (RFC 9000 §14.1).
pub(crate) const MIN_INITIAL_DATAGRAM: usize = 1200;

/// Packets that are read of one datagram: more than one of each type that has a number space of its own, and some to spare.
const MAX_PACKETS: usize = 8;

/// The first bit of a long header.
const LONG: u8 = 0x80;

/// One packet of a datagram, by what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// An Initial, 0-RTT or Handshake packet.
    Long(LongPacket<'a>),
    /// The server wants to hear from the client again, with a token (RFC 9000 §17.2.5).
    Retry {
        version: QuicVersion,
        destination: ConnectionId,
        source: ConnectionId,
        /// The whole packet, which its last 16 bytes authenticate.
        bytes: &'a [u8],
    },
    /// The server does not support the client's version (RFC 8999 §6).
    VersionNegotiation {
        destination: ConnectionId,
        source: ConnectionId,
        /// The versions that it supports, 4 bytes each.
        versions: &'a [u8],
    },
    /// A packet of a version that is not supported: only what all versions have in common can be read.
    UnknownVersion {
        version: QuicVersion,
        destination: ConnectionId,
        source: ConnectionId,
    },
    /// A 1-RTT packet, or a stateless reset.
    Short {
        /// The whole packet; its destination id comes after the first byte.
        bytes: &'a [u8],
    },
}

/// A packet with a long header and a protected payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongPacket<'a> {
    pub(crate) packet_type: PacketType,
    pub(crate) version: QuicVersion,
    pub(crate) destination: ConnectionId,
    pub(crate) source: ConnectionId,
    /// The token of a Retry or of an earlier connection; empty but for Initial packets.
    pub(crate) token: &'a [u8],
    /// The packet from its first byte on, as far as it was captured.
    pub(crate) bytes: &'a [u8],
    /// Where in it the packet number begins.
    pub(crate) number_offset: usize,
    /// Its whole length.
    pub(crate) length: usize,
}

impl LongPacket<'_> {
    /// Whether the capture has all of it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }

    /// Length of packet number, content and tag together: what the header calls `Length`.
    pub(crate) const fn payload_length(&self) -> usize {
        self.length - self.number_offset
    }
}

/// The packets of a datagram, in order, up to the first that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Packets<'a> {
    rest: &'a [u8],
    /// Bytes of the datagram that come after `rest` and were not captured.
    missing: usize,
    count: usize,
}

impl<'a> Packets<'a> {
    /// The packets of a datagram of which the capture has `payload`, and which had `wire_length` bytes.
    pub(crate) fn new(payload: &'a [u8], wire_length: usize) -> Self {
        Self {
            rest: payload,
            missing: wire_length.saturating_sub(payload.len()),
            count: 0,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let first = *self.rest.first()?;
        self.count += 1;
        if self.count > MAX_PACKETS {
            return None;
        }
        if first & LONG == 0 {
            let bytes = std::mem::take(&mut self.rest);
            return Some(Packet::Short { bytes });
        }
        let (packet, length) = read_long(self.rest, self.missing)?;
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(packet)
    }
}

/// Reads a packet with a long header, of a datagram of which `missing` bytes were not captured; the packet and its length.
fn read_long(bytes: &[u8], missing: usize) -> Option<(Packet<'_>, usize)> {
    let mut cursor = Cursor::new(bytes);
    let first_byte = cursor.u8()?;
    let version = QuicVersion(cursor.u32()?);
    let destination = read_id(&mut cursor)?;
    let source = read_id(&mut cursor)?;
    if version == QuicVersion::NEGOTIATION {
        let versions = cursor.rest();
        let packet = Packet::VersionNegotiation {
            destination,
            source,
            versions,
        };
        return Some((packet, bytes.len()));
    }
    // Clients fill packets of a reserved version as they would those of one that they support.
    let known = read_payload(
        bytes,
        missing,
        first_byte,
        version,
        [destination, source],
        cursor,
    );
    if known.is_some() || version.is_supported() {
        return known;
    }
    let packet = Packet::UnknownVersion {
        version,
        destination,
        source,
    };
    Some((packet, bytes.len()))
}

/// Reads what follows the connection ids, in the versions that are known.
fn read_payload<'a>(
    bytes: &'a [u8],
    missing: usize,
    first_byte: u8,
    version: QuicVersion,
    [destination, source]: [ConnectionId; 2],
    mut cursor: Cursor<'a>,
) -> Option<(Packet<'a>, usize)> {
    let packet_type = version.packet_type(first_byte);
    let token = match packet_type {
        PacketType::Retry if version.is_supported() => {
            let packet = Packet::Retry {
                version,
                destination,
                source,
                bytes,
            };
            return Some((packet, bytes.len()));
        }
        PacketType::Initial => cursor.vector()?,
        PacketType::ZeroRtt | PacketType::Handshake => &[],
        PacketType::Retry => return None,
    };
    let payload_length = usize::try_from(cursor.varint()?).ok()?;
    if payload_length > cursor.len() + missing {
        return None;
    }
    let number_offset = bytes.len() - cursor.len();
    let length = number_offset + payload_length;
    let packet = LongPacket {
        packet_type,
        version,
        destination,
        source,
        token,
        bytes: bytes.get(..length).unwrap_or(bytes),
        number_offset,
        length,
    };
    Some((Packet::Long(packet), length))
}

fn read_id(cursor: &mut Cursor<'_>) -> Option<ConnectionId> {
    let length = cursor.u8()?;
    ConnectionId::new(cursor.take(usize::from(length))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Initial packet with a token of 2 bytes and a payload of `payload` bytes.
    fn initial(payload: u8) -> Vec<u8> {
        let header = [0xc3, 0, 0, 0, 1, 4, 1, 2, 3, 4, 2, 5, 6, 2, 7, 8, payload];
        [&header[..], &vec![0xee; usize::from(payload)]].concat()
    }

    fn packets(datagram: &[u8]) -> Vec<Packet<'_>> {
        Packets::new(datagram, datagram.len()).collect()
    }

    #[test]
    fn packets_that_share_a_datagram_are_split() {
        let datagram = [initial(20), initial(30), vec![0x41; 25]].concat();
        let read = packets(&datagram);
        let [
            Packet::Long(first),
            Packet::Long(second),
            Packet::Short { bytes },
        ] = read[..]
        else {
            panic!("{read:?}");
        };
        assert_eq!((first.length, second.length, bytes.len()), (37, 47, 25));
        assert_eq!(first.packet_type, PacketType::Initial);
        assert_eq!(first.destination.as_slice(), [1, 2, 3, 4]);
        assert_eq!(first.source.as_slice(), [5, 6]);
        assert_eq!(first.token, [7, 8]);
        assert_eq!((first.number_offset, first.payload_length()), (17, 20));
        assert!(first.is_whole());
    }

    #[test]
    fn no_prefix_of_a_packet_is_taken_for_a_whole_one() {
        let datagram = initial(20);
        for length in 0..datagram.len() {
            assert_eq!(packets(&datagram[..length]), [], "{length} bytes");
            let cut: Vec<_> = Packets::new(&datagram[..length], datagram.len()).collect();
            match cut[..] {
                [] => assert!(length < 17),
                [Packet::Long(packet)] => assert!(!packet.is_whole() && length >= 17),
                _ => panic!("{cut:?}"),
            }
        }
    }

    #[test]
    fn version_negotiation_retry_and_unknown_versions_take_the_whole_datagram() {
        let with_version = |first: u8, version: [u8; 4]| {
            let rest = [1, 9, 2, 8, 8, 0, 0, 0, 1, 0, 0, 0, 2];
            [&[first][..], &version, &rest].concat()
        };
        let negotiation = with_version(0x80, [0; 4]);
        let [Packet::VersionNegotiation { versions, .. }] = packets(&negotiation)[..] else {
            panic!();
        };
        assert_eq!(versions, [0, 0, 0, 1, 0, 0, 0, 2]);
        let retry = with_version(0xf0, [0, 0, 0, 1]);
        assert!(matches!(packets(&retry)[..], [Packet::Retry { .. }]));
        // What follows the ids has another form than in the known versions: no token is that long.
        let mut unknown = with_version(0xc0, [0x1a, 0x2a, 0x3a, 0x4a]);
        unknown[10] = 0x7f;
        assert!(matches!(
            packets(&unknown)[..],
            [Packet::UnknownVersion { .. }]
        ));
    }

    #[test]
    fn ids_longer_than_twenty_bytes_are_refused() {
        let mut datagram = vec![0xc0, 0, 0, 0, 1, 21];
        datagram.resize(100, 0);
        assert_eq!(packets(&datagram), []);
    }

    #[test]
    fn a_datagram_of_tiny_packets_is_read_up_to_a_limit() {
        let datagram = initial(1).repeat(100);
        assert_eq!(packets(&datagram).len(), MAX_PACKETS);
    }
}
