//! Tunnels: headers that carry another packet, by the IP protocol or the UDP port that announces them.
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

/// What announces a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The protocol in the IP header.
    IpProtocol(u8),
    /// The destination port of a UDP datagram.
    UdpPort(u16),
}

/// The tunnels that are decoded.
const TUNNELS: &[(Carrier, Reader)] = &[
    #[cfg(test)]
    (Carrier::IpProtocol(testing::EXPERIMENT), testing::read),
    #[cfg(test)]
    (Carrier::UdpPort(testing::EXPERIMENT_PORT), testing::read),
];

/// The reader of the tunnel that `carrier` announces, if it does.
pub(super) fn reader(carrier: Carrier) -> Option<Reader> {
    let mut tunnels = TUNNELS.iter();
    let (_, reader) = tunnels.find(|(known, _)| *known == carrier)?;
    Some(*reader)
}

/// A tunnel for tests: the IP protocol for experiments (RFC 3692), or UDP's port for experiments (RFC 4727), with four bytes,
/// of which the first says what follows.
#[cfg(test)]
pub(super) mod testing {
    use super::super::Tunnel;
    use super::*;

    pub(in super::super) const EXPERIMENT: u8 = 253;
    pub(in super::super) const EXPERIMENT_PORT: u16 = 1021;

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
