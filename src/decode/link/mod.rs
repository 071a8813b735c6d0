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

// Numbers of the tcpdump.org LINKTYPE registry.
const NULL: u32 = 0;
pub(super) const ETHERNET: u32 = 1;
const PPP: u32 = 9;
const RAW_BSD: u32 = 12; // DLT_RAW, as some systems write it
const RAW_OPENBSD: u32 = 14;
const PPP_HDLC: u32 = 50;
const RAW: u32 = 101;
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;

/// Takes the link layer's headers off `cursor`.
pub(super) fn decode(
    link_type: LinkType,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    match link_type.0 {
        ETHERNET => ethernet::decode(cursor, layers),
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Ok(Network::Ip),
        NULL | LOOP => loopback::decode(cursor),
        LINUX_SLL => cooked::decode_sll(cursor, layers),
        LINUX_SLL2 => cooked::decode_sll2(cursor, layers),
        PPP | PPP_HDLC => ppp::decode(cursor),
        _ => Err(DecodeError::UnknownLink(link_type)),
    }
}
