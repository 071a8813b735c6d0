//! BSD loopback: NULL and LOOP.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Unread};
use super::Network;

/// Reads the address family, in the byte order of the machine that captured.
pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Network, DecodeError> {
    let family = cursor.take_array::<4>()?;
    let value = if family[0] == 0 && family[1] == 0 {
        u32::from_be_bytes(family)
    } else {
        u32::from_le_bytes(family)
    };
    Ok(match value {
        2 | 24 | 28 | 30 | 10 => Network::Ip, // AF_INET; AF_INET6 of NetBSD, FreeBSD, macOS, Linux
        other => Network::Other(Unread::AddressFamily(other)),
    })
}
