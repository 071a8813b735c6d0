//! The user plane of GTP, version 1 (3GPP TS 29.281).

use super::super::link::ethernet;
use super::super::{DecodeError, Unread, ip};
use super::{Addresses, CONTROL, Cursor, Inner, Layers, MISMATCH, enter, require};

/// Version 1, and the protocol type of GTP as opposed to its charging variant; the fourth bit is spare.
const VERSION: u8 = 0x30;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SEQUENCE: u8 = 0x02;
const HAS_N_PDU: u8 = 0x01;
/// Extension headers of one packet. Five are defined, each of which occurs once; the bound is for hostile packets.
const MAX_EXTENSIONS: usize = 8;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [flags, message, high, low, a, b, c, d] = cursor.take_array()?;
    let optional = flags & (HAS_EXTENSION | HAS_SEQUENCE | HAS_N_PDU);
    let length = usize::from(u16::from_be_bytes([high, low]));
    require(flags & !optional == VERSION && length == cursor.wire_length())?;
    match message {
        255 => {}
        // Echo, error indication, supported extension headers, tunnel status, end marker.
        1 | 2 | 26 | 31 | 253 | 254 => return Ok(CONTROL),
        _ => return Err(MISMATCH),
    }
    if optional != 0 {
        let [_, _, _, next] = cursor.take_array()?;
        if flags & HAS_EXTENSION != 0 {
            skip_extensions(next, cursor)?;
        }
    }
    // The session decides what follows, and the packet does not say: IP, or else Ethernet.
    let inner = match cursor.bytes() {
        _ if ip::is_plausible(cursor) => Inner::Ip,
        bytes if ethernet::is_plausible(bytes) => Inner::Ethernet,
        _ => Inner::Other(Unread::TunnelContent),
    };
    let id = u32::from_be_bytes([a, b, c, d]);
    Ok(enter(layers, "gtpu", Some(id), inner))
}

/// Skips extension headers, such as the container of a PDU session: each begins with its length in words of four bytes and
/// ends with the type of the next.
fn skip_extensions(mut next: u8, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
    for _ in 0..MAX_EXTENSIONS {
        if next == 0 {
            return Ok(());
        }
        let [words] = cursor.take_array()?;
        let content = (usize::from(words) * 4).checked_sub(1).ok_or(MISMATCH)?;
        next = *cursor.take(content)?.last().ok_or(MISMATCH)?;
    }
    Err(MISMATCH)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    /// A packet of a session, with what follows the first eight bytes of its header.
    fn gtpu(flags: u8, message: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let [high, low] = (content.len() as u16).to_be_bytes();
        let header = [flags, message, high, low, 0, 0, 1, 2];
        in_udp(2152, 2152, &[&header, &content])
    }

    #[test]
    fn packets_of_sessions_are_read() {
        accepts(RAW, &gtpu(0x30, 255, &[&ipv4()]), &["gtpu:258"]);
        accepts(RAW, &gtpu(0x30, 255, &[&ipv6()]), &["gtpu:258"]);
        accepts(
            RAW,
            &gtpu(0x32, 255, &[&[0, 7, 0, 0], &ipv4()]),
            &["gtpu:258"],
        );
        accepts(RAW, &gtpu(0x30, 255, &[&frame()]), &["gtpu:258"]);
    }

    #[test]
    fn extension_headers_are_skipped_to_the_last() {
        let container = [0, 0, 0, 0x85, 1, 0x10, 9, 0];
        accepts(RAW, &gtpu(0x34, 255, &[&container, &ipv4()]), &["gtpu:258"]);
        let two = [0, 0, 0, 0x85, 1, 0x10, 9, 0x84, 2, 0, 0, 0, 0, 0, 0, 0];
        accepts(RAW, &gtpu(0x34, 255, &[&two, &ipv4()]), &["gtpu:258"]);
        is_plain_udp(&gtpu(0x34, 255, &[&with(&container, 4, 0), &ipv4()]));
        let endless = [&[0, 0, 0, 0x85][..], &[1, 0, 0, 0x85].repeat(9)].concat();
        is_plain_udp(&gtpu(0x34, 255, &[&endless, &ipv4()]));
    }

    #[test]
    fn a_length_that_is_not_that_of_the_datagram_makes_it_another_protocol() {
        let packet = gtpu(0x30, 255, &[&ipv4()]);
        is_plain_udp(&with(&packet, 31, packet[31] + 1));
        is_plain_udp(&gtpu(0x20, 255, &[&ipv4()]));
        is_plain_udp(&gtpu(0x38, 255, &[&ipv4()]));
        is_plain_udp(&gtpu(0x30, 3, &[&ipv4()]));
        rejects(RAW, &gtpu(0x32, 1, &[&[0, 7, 0, 0]]));
        rejects(RAW, &gtpu(0x30, 255, &[&with(&ipv4(), 0, 0)]));
    }
}
