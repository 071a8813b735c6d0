//! Link layers: everything before the first IP header.
//!
//! To add one, write a file with its reader and add a line to [`decode`].

mod cooked;
pub(super) mod ethernet;
mod loopback;
mod ppp;

use crate::capture::LinkType;

use super::cursor::Cursor;
use super::{DecodeError, Layers, Unread};

/// What follows a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// An IP header of either version.
    Ip,
    /// Anything else, such as ARP or LLDP.
    Other(Unread),
}

/// Takes the link layer's headers off `cursor`.
pub(super) fn decode(
    link_type: LinkType,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    match link_type {
        LinkType::ETHERNET => ethernet::decode(cursor, layers),
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => Ok(Network::Ip),
        LinkType::NULL | LinkType::LOOP => loopback::decode(cursor),
        LinkType::LINUX_SLL => cooked::decode_sll(cursor, layers),
        LinkType::LINUX_SLL2 => cooked::decode_sll2(cursor, layers),
        LinkType::PPP | LinkType::PPP_HDLC => ppp::decode(cursor),
        _ => Err(DecodeError::UnknownLink(link_type)),
    }
}
