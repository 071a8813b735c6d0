//! One look at a datagram: whether it may belong to QUIC, and to which connection.

use crate::transport::quic::{
    ConnectionId, LongPacket, MIN_INITIAL_DATAGRAM, Packet, Packets, QuicVersion,
};

use super::has_first_id;

/// What a datagram looks like by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// An Initial packet of a size that a client's first one has.
    Initial,
    /// Another packet with a long header.
    Long,
    /// It is no packet with a long header, or one of a version that nobody has asked for.
    Other,
}

/// Looks at the first bytes of a datagram.
#[inline]
pub(crate) fn look(payload: &[u8]) -> Look {
    let version = match *payload {
        [first, a, b, c, d, ..] if first & LONG != 0 => {
            QuicVersion(u32::from_be_bytes([a, b, c, d]))
        }
        _ => return Look::Other,
    };
    if !cfg!(feature = "quic") {
        Look::Other
    } else if may_begin(payload) {
        Look::Initial
    } else if version.is_supported() || version == QuicVersion::NEGOTIATION {
        Look::Long
    } else {
        Look::Other
    }
}

/// The id that a datagram with a long header goes to; `None` if it has none, or another header.
pub(crate) fn destination(payload: &[u8]) -> Option<ConnectionId> {
    let packet = Packets::new(payload, payload.len()).next()?;
    let Packet::Long(LongPacket { destination, .. }) = packet else {
        return None;
    };
    Some(destination).filter(|id| !id.is_empty())
}

/// Whether a datagram may be the first of a connection: a client's Initial of a version that is supported, or anything
/// that looks like one of another version.
#[inline]
pub(crate) fn may_begin(payload: &[u8]) -> bool {
    let [first, a, b, c, d, ..] = *payload else {
        return false;
    };
    if first & LONG == 0 {
        return false;
    }
    // What cannot be opened has at least to have the size of a client's first packet. Most of what is no QUIC has not.
    let version = QuicVersion(u32::from_be_bytes([a, b, c, d]));
    let is_sized = first & FIXED != 0 && payload.len() >= MIN_INITIAL_DATAGRAM;
    (version.is_supported() || is_sized) && has_first_id(payload)
}

/// The bit that says that a header is long, and the one that is set in most: a client that has met its server before may
/// clear it (RFC 9287).
const LONG: u8 = 0x80;

const FIXED: u8 = 0x40;

/// The shortest id of a server that is searched for: of two connections with ids of four bytes, one in four billion pairs have the
/// same.
pub(super) const SHORTEST_CHOSEN_ID: usize = 4;

/// The shortest id that a client makes up for its server (RFC 9000 §7.2).
pub(super) const SHORTEST_FIRST_ID: usize = 8;
