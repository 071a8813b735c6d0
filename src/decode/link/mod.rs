//! Link layers: everything before the first IP header, and between a tunnel's header and the IP header inside.
//!
//! To add one, write a file with its reader and add a line to [`decode`], or to [`ethernet::by_type`] if an EtherType
//! announces it.

mod cooked;
pub(super) mod ether_types;
pub(super) mod ethernet;
mod loopback;
mod macsec;
mod mpls;
mod nflog;
pub(super) mod ppp;
mod pppoe;
mod wireless;

use crate::capture::LinkType;

use super::cursor::Cursor;
use super::tunnel::Inner;
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
        LinkType::PPP => ppp::decode(cursor, layers),
        LinkType::PPP_HDLC => ppp::decode_hdlc(cursor, layers),
        LinkType::C_HDLC => ppp::decode_cisco_hdlc(cursor, layers),
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIRECTION => {
            cursor.take(1)?; // who sent it
            ppp::decode(cursor, layers)
        }
        LinkType::PPP_ETHER => pppoe::decode(cursor, layers),
        LinkType::MPLS => mpls::decode(cursor, layers),
        LinkType::IEEE802_11 => wireless::decode(cursor, layers),
        LinkType::IEEE802_11_RADIOTAP => wireless::decode_radiotap(cursor, layers),
        LinkType::NFLOG => nflog::decode(cursor),
        _ => Err(DecodeError::UnknownLink(link_type)),
    }
}

/// Takes the headers off `cursor` that lie between the header of a tunnel and an IP header inside.
pub(super) fn follow(
    inner: Inner,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    match inner {
        Inner::Ip => Ok(Network::Ip),
        Inner::Ethernet => ethernet::decode(cursor, layers),
        Inner::EtherType(value) => ethernet::by_type(value, cursor, layers),
        Inner::Ppp => ppp::decode(cursor, layers),
        Inner::Wireless => wireless::decode(cursor, layers),
        Inner::Other(unread) => Ok(Network::Other(unread)),
    }
}
