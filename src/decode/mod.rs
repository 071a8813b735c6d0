//! Packet to TCP segment: link layer, VLAN tags, IP, fragments, TCP header.
//!
//! Lengths come from the headers as they were on the wire, never from what the
//! snap length left: sequence numbers count bytes that were sent. Checksums are
//! not looked at, since network cards fill them in after the capture point.
//!
//! Tunnels are not peeled yet. Their place is between `link` and `ip`: whatever
//! carries IP ends in `ip::decode`.

mod fragment;
mod ip;
mod link;
mod tcp;

use std::fmt;

use crate::capture::LinkType;

pub use fragment::{Datagram, Fragment, FragmentTable};
pub use tcp::{Segment, TcpFlags};

/// What a packet turned out to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'p> {
    /// A TCP segment.
    Segment(Segment<'p>),
    /// A fragment of an IP datagram.
    Fragment(Fragment<'p>),
    /// Something readable that is not TCP.
    NotTcp,
}

/// Why a packet could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No reader for this link layer.
    UnknownLink(LinkType),
    /// A header is longer than what is there.
    Truncated {
        /// The header.
        layer: Layer,
        /// Bytes that it needs, as far as known.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A header contradicts itself.
    Malformed {
        /// The header.
        layer: Layer,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLink(link_type) => write!(f, "link type {} is not supported", link_type.0),
            Self::Truncated {
                layer,
                needed,
                available,
            } => {
                write!(
                    f,
                    "{layer:?} header needs {needed} bytes, {available} are there"
                )
            }
            Self::Malformed { layer } => write!(f, "{layer:?} header contradicts itself"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A layer of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The link layer.
    Link,
    /// IPv4.
    Ipv4,
    /// IPv6 and its extension headers.
    Ipv6,
    /// TCP.
    Tcp,
}

/// 802.1Q tags of a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    ids: [u16; Self::MAX],
    count: u8,
}

impl VlanTags {
    /// Tags kept. Two are common (802.1ad), three exist; more only in attacks, whose further tags are skipped.
    const MAX: usize = 4;

    /// The VLAN identifiers, outermost first.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        &self.ids[..usize::from(self.count).min(Self::MAX)]
    }

    fn push(&mut self, tag_control: u16) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.count)) {
            *slot = tag_control & 0x0fff; // IEEE 802.1Q: 3 bits priority, 1 drop eligible, 12 identifier
            self.count += 1;
        }
    }
}

/// Reads a packet down to its TCP segment.
///
/// `wire_length` is the packet's length before the snap length cut it.
///
/// # Errors
///
/// [`DecodeError`], for a packet that has no TCP header to be found.
pub fn decode(
    link_type: LinkType,
    bytes: &[u8],
    wire_length: u32,
) -> Result<Packet<'_>, DecodeError> {
    let mut frame = link::Frame::new(bytes, wire_length);
    match link::decode(link_type, &mut frame)? {
        link::Network::Ip => ip::decode(&frame),
        link::Network::Other => Ok(Packet::NotTcp),
    }
}
