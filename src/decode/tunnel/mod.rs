//! Tunnels: headers that carry another packet, by the IP protocol that announces them.
//!
//! To add one, write a file with its reader and add a line to [`TUNNELS`]. A
//! reader takes its header off the cursor, adds itself to the layers, and says what
//! follows; decoding goes on at the inner header. So fragments inside a
//! tunnel, and tunnels inside tunnels, need no code of their own.

#![cfg_attr(not(test), expect(dead_code, reason = "no tunnel is decoded yet"))]

use super::cursor::Cursor;
use super::{DecodeError, Layers};

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// An IP header of either version.
    Ip,
    /// An Ethernet frame.
    Ethernet,
    /// Something that is not decoded.
    Other,
}

/// Takes a tunnel's header off the cursor.
pub(super) type Reader = fn(&mut Cursor<'_>, &mut Layers) -> Result<Inner, DecodeError>;

/// The tunnels that are decoded, by IP protocol number.
const TUNNELS: &[(u8, Reader)] = &[
    #[cfg(test)]
    (testing::EXPERIMENT, testing::read),
];

/// The reader for packets of an IP protocol, if it is a tunnel.
pub(super) fn reader(ip_protocol: u8) -> Option<Reader> {
    let mut tunnels = TUNNELS.iter();
    let (_, reader) = tunnels.find(|(number, _)| *number == ip_protocol)?;
    Some(*reader)
}

/// A tunnel for tests: the IP protocol for experiments (RFC 3692) with four bytes, of which the first says what follows.
#[cfg(test)]
pub(super) mod testing {
    use super::super::Tunnel;
    use super::*;

    pub(in super::super) const EXPERIMENT: u8 = 253;

    pub(super) fn read(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Inner, DecodeError> {
        let [inner, _, _, id] = cursor.take_array()?;
        let tunnel = Tunnel {
            protocol: "experiment",
            id: Some(id.into()),
        };
        if !layers.tunnels.push(tunnel) {
            return Ok(Inner::Other);
        }
        Ok(match inner {
            0 => Inner::Ip,
            1 => Inner::Ethernet,
            _ => Inner::Other,
        })
    }
}
