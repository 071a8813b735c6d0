//! Link layers: everything before the IP header.

use crate::capture::LinkType;

use super::{DecodeError, Layer, VlanTags};

/// What follows the link layer.
pub(super) enum Network {
    /// An IP header of either version.
    Ip,
    /// Anything else, as ARP or LLDP.
    Other,
}

/// What is left of a packet while its headers are taken off.
pub(super) struct Frame<'p> {
    /// Captured bytes.
    pub(super) bytes: &'p [u8],
    /// Bytes on the wire.
    pub(super) wire_length: usize,
    /// VLAN tags seen so far.
    pub(super) vlan: VlanTags,
}

impl<'p> Frame<'p> {
    pub(super) fn new(bytes: &'p [u8], wire_length: u32) -> Self {
        let wire_length = (wire_length as usize).max(bytes.len());
        Self { bytes, wire_length, vlan: VlanTags::default() }
    }

    /// Takes `length` bytes off the front.
    fn take(&mut self, length: usize) -> Result<&'p [u8], DecodeError> {
        let (header, rest) = self.bytes.split_at_checked(length).ok_or(DecodeError::Truncated {
            layer: Layer::Link,
            needed: length,
            available: self.bytes.len(),
        })?;
        self.bytes = rest;
        self.wire_length = self.wire_length.saturating_sub(length);
        Ok(header)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let header = self.take(N)?;
        header.try_into().map_err(|_| DecodeError::Malformed { layer: Layer::Link })
    }

    fn take_u16(&mut self) -> Result<u16, DecodeError> {
        self.take_array().map(u16::from_be_bytes)
    }
}

// Numbers of the tcpdump.org LINKTYPE registry.
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
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

/// Takes the link layer's headers off `frame`.
pub(super) fn decode(link_type: LinkType, frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    match link_type.0 {
        ETHERNET => {
            frame.take(12)?; // destination, source
            ether_type(frame)
        }
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Ok(Network::Ip),
        NULL | LOOP => address_family(frame),
        LINUX_SLL => {
            frame.take(14)?; // packet type, ARPHRD, address length, address
            ether_type(frame)
        }
        LINUX_SLL2 => linux_sll2(frame),
        PPP | PPP_HDLC => ppp(frame),
        _ => Err(DecodeError::UnknownLink(link_type)),
    }
}

/// Most tags taken off one frame: a bound for hostile frames made of tags alone.
const MAX_TAGS: usize = 16;

/// Reads an EtherType and the 802.1Q, 802.1ad and old QinQ tags before it.
fn ether_type(frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    for _ in 0..MAX_TAGS {
        let value = frame.take_u16()?;
        match value {
            0x0800 | 0x86dd => return Ok(Network::Ip),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag_control = frame.take_u16()?;
                frame.vlan.push(tag_control);
            }
            // IEEE 802.3: up to 1500 it is a length, and 802.2 LLC follows.
            0..=1500 => return logical_link(frame),
            _ => return Ok(Network::Other),
        }
    }
    Err(DecodeError::Malformed { layer: Layer::Link })
}

/// 802.2 LLC with a SNAP header, as IP over 802.3 has it (RFC 1042).
fn logical_link(frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    if frame.bytes.starts_with(&[0xaa, 0xaa, 0x03, 0, 0, 0]) {
        frame.take(6)?;
        return Ok(match frame.take_u16()? {
            0x0800 | 0x86dd => Network::Ip,
            _ => Network::Other,
        });
    }
    Ok(Network::Other)
}

/// BSD loopback: the address family, in the byte order of the machine that captured.
fn address_family(frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    let family = frame.take_array::<4>()?;
    let value = if family[0] == 0 && family[1] == 0 {
        u32::from_be_bytes(family)
    } else {
        u32::from_le_bytes(family)
    };
    Ok(match value {
        2 | 24 | 28 | 30 | 10 => Network::Ip, // AF_INET; AF_INET6 of NetBSD, FreeBSD, macOS, Linux
        _ => Network::Other,
    })
}

fn linux_sll2(frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    let header = frame.take_array::<20>()?; // protocol first; then interface, ARPHRD, type, address
    match u16::from_be_bytes([header[0], header[1]]) {
        0x0800 | 0x86dd => Ok(Network::Ip),
        0x8100 | 0x88a8 => {
            let tag_control = frame.take_u16()?;
            frame.vlan.push(tag_control);
            ether_type(frame)
        }
        _ => Ok(Network::Other),
    }
}

/// PPP, with or without HDLC framing; the protocol field may be compressed to one byte (RFC 1661 §6.5).
fn ppp(frame: &mut Frame<'_>) -> Result<Network, DecodeError> {
    if frame.bytes.starts_with(&[0xff, 0x03]) {
        frame.take(2)?;
    }
    let first = frame.take_array::<1>()?[0];
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        u16::from_be_bytes([first, frame.take_array::<1>()?[0]])
    };
    Ok(match protocol {
        0x0021 | 0x0057 => Network::Ip,
        _ => Network::Other,
    })
}
