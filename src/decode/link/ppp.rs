//! PPP, with or without HDLC framing (RFC 1661, RFC 1662).

use super::super::cursor::Cursor;
use super::super::{DecodeError, Unread};
use super::Network;

/// Reads the protocol field, which may be compressed to one byte (RFC 1661 §6.5).
pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Network, DecodeError> {
    if cursor.bytes().starts_with(&[0xff, 0x03]) {
        cursor.take(2)?;
    }
    let first = cursor.take_array::<1>()?[0];
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        u16::from_be_bytes([first, cursor.take_array::<1>()?[0]])
    };
    Ok(match protocol {
        0x0021 | 0x0057 => Network::Ip,
        other => Network::Other(Unread::PppProtocol(other)),
    })
}
