//! Tunnels: headers that carry another packet, by the IP protocol or the UDP port that announces them.
//!
//! To add one, write a file with its reader and add a line to [`by_ip_protocol`], or to [`UdpTunnel`] and
//! [`by_udp_port`]. A reader takes its header off the cursor, adds itself to the layers, and says what
//! follows; decoding goes on at the inner header. So fragments inside a
//! tunnel, and tunnels inside tunnels, need no code of their own.
//!
//! Any program may use the UDP port of a tunnel, and a client of QUIC or DNS may be given it by chance. So readers validate
//! the whole header, with its reserved bits; what does not fit, or does not lead to a readable packet, is plain UDP.

pub(super) mod ah;
mod capwap;
mod erspan;
mod etherip;
mod geneve;
mod gre;
mod gtpu;
mod ipip;
mod l2tp;
pub(super) mod nsh;
mod ports;
mod teredo;
mod tzsp;
mod vxlan;

use etherparse::IpNumber;

use super::cursor::{Addresses, Cursor};
use super::{DecodeError, Layer, Layers, Tunnel, UdpHeader, Unread};

pub use ports::{TunnelPorts, TunnelPortsError, UdpTunnel};

/// What a header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// An IP header of either version.
    Ip,
    /// An Ethernet frame.
    Ethernet,
    /// What an EtherType says.
    EtherType(u16),
    /// A PPP frame.
    Ppp,
    /// An 802.11 frame.
    Wireless,
    /// Something that is not decoded.
    Other(Unread),
}

/// Takes a tunnel's header off the cursor. It lies in an IP packet with the given addresses.
///
/// An error means that this is no such header; the cursor and the layers are then as they may be.
pub(super) type Reader = fn(&mut Cursor<'_>, Addresses, &mut Layers) -> Result<Inner, DecodeError>;

/// The reader of the tunnel that a protocol number in an IP header announces.
pub(super) fn by_ip_protocol(protocol: IpNumber) -> Option<Reader> {
    Some(match protocol.0 {
        4 => ipip::read_ipv4,
        41 => ipip::read_ipv6,
        47 => gre::read,
        97 => etherip::read,
        115 => l2tp::read_over_ip,
        137 => read_mpls,
        143 => etherip::read_without_header,
        #[cfg(test)]
        testing::EXPERIMENT => testing::read,
        _ => return None,
    })
}

/// The reader of the tunnel that a UDP datagram may hold.
pub(super) fn by_udp_port(header: &UdpHeader, cursor: &Cursor<'_>) -> Option<Reader> {
    let tunnel = cursor
        .tunnel_ports()
        .find(header.source_port, header.destination_port);
    Some(match tunnel {
        Some(UdpTunnel::Vxlan | UdpTunnel::VxlanGpe) => vxlan::read,
        Some(UdpTunnel::Geneve) => geneve::read,
        Some(UdpTunnel::Gtpu) => gtpu::read,
        Some(UdpTunnel::L2tp) => l2tp::read_over_udp,
        Some(UdpTunnel::Teredo) => teredo::read,
        Some(UdpTunnel::Capwap) => capwap::read,
        Some(UdpTunnel::Gre) => gre::read,
        Some(UdpTunnel::Mpls) => read_mpls,
        Some(UdpTunnel::Tzsp) => tzsp::read,
        #[cfg(test)]
        None if header.destination_port == testing::EXPERIMENT_PORT => testing::read,
        // Relays and clients of Teredo use ports of their own.
        None if teredo::is_between_clients(cursor) => teredo::read,
        None => return None,
    })
}

/// Adds a tunnel to the layers. What is inside is decoded, unless the tunnels are nested too deep.
pub(super) fn enter(
    layers: &mut Layers,
    protocol: &'static str,
    id: Option<u32>,
    inner: Inner,
) -> Inner {
    if layers.tunnels.push(Tunnel { protocol, id }) {
        inner
    } else {
        Inner::Other(Unread::TunnelContent)
    }
}

/// The control traffic of a tunnel, such as its keep-alives.
const CONTROL: Inner = Inner::Other(Unread::TunnelControl);

/// The answer of a reader to a header that is none of its kind.
const MISMATCH: DecodeError = DecodeError::Malformed {
    layer: Layer::Tunnel,
};

/// Goes on if a header is of the reader's kind.
fn require(fits: bool) -> Result<(), DecodeError> {
    if fits { Ok(()) } else { Err(MISMATCH) }
}

/// MPLS directly in IP (RFC 4023) or in UDP (RFC 7510).
fn read_mpls(_: &mut Cursor<'_>, _: Addresses, _: &mut Layers) -> Result<Inner, DecodeError> {
    Ok(Inner::EtherType(super::link::ether_types::MPLS))
}

/// A tunnel for tests: the IP protocol for experiments (RFC 3692), or UDP's port for experiments (RFC 4727), with four bytes,
/// of which the first says what follows.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    pub(in super::super) const EXPERIMENT: u8 = 253;
    pub(in super::super) const EXPERIMENT_PORT: u16 = 1021;

    pub(super) fn read(
        cursor: &mut Cursor<'_>,
        _: Addresses,
        layers: &mut Layers,
    ) -> Result<Inner, DecodeError> {
        let [inner, _, _, id] = cursor.take_array()?;
        let inner = match inner {
            0 => Inner::Ip,
            1 => Inner::Ethernet,
            _ => return Err(MISMATCH),
        };
        Ok(enter(layers, "experiment", Some(id.into()), inner))
    }
}
