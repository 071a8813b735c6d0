//! GRE with keys and sequence numbers (RFC 2784, RFC 2890), NVGRE (RFC 7637), Ethernet over GRE, and the GRE of PPTP (RFC 2637).
//!
//! NVGRE is Ethernet over GRE with a key whose upper 24 bits are the virtual subnet. Nothing in a packet tells the two apart,
//! so the number of both is the key.

use super::super::DecodeError;
use super::super::link::ether_types;
use super::{Addresses, Cursor, Inner, Layers, MISMATCH, enter, erspan, require};

const CHECKSUM: u8 = 0x80;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
const ACKNOWLEDGMENT: u8 = 0x80;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [flags, version, high, low] = cursor.take_array()?;
    let protocol = u16::from_be_bytes([high, low]);
    match version & 0x07 {
        // No routing field (RFC 2784 §2.3) and no reserved bit.
        0 if flags & !(CHECKSUM | KEY | SEQUENCE) == 0 && version == 0 => {
            read_standard(flags, protocol, cursor, layers)
        }
        1 => read_pptp(flags, version, protocol, cursor, layers),
        _ => Err(MISMATCH),
    }
}

fn read_standard(
    flags: u8,
    protocol: u16,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    if flags & CHECKSUM != 0 {
        cursor.take(4)?;
    }
    let key = if flags & KEY == 0 {
        None
    } else {
        Some(u32::from_be_bytes(cursor.take_array()?))
    };
    let is_numbered = flags & SEQUENCE != 0;
    if is_numbered {
        cursor.take(4)?;
    }
    match protocol {
        erspan::ETHER_TYPE_II => erspan::read_i_or_ii(is_numbered, cursor, layers),
        erspan::ETHER_TYPE_III => erspan::read_iii(cursor, layers),
        ether_types::BRIDGED => Ok(enter(layers, "gretap", key, Inner::Ethernet)),
        // WCCP redirects with a header of four bytes, in version 2 (draft-wilson-wrec-wccp-v2 §4.12.5.2).
        0x883e => {
            if cursor.ip_version().is_none() {
                cursor.take(4)?;
            }
            Ok(enter(layers, "gre", key, Inner::Ip))
        }
        ether_types::PPP => Ok(enter(layers, "gre", key, Inner::Ppp)),
        _ => Ok(enter(layers, "gre", key, Inner::EtherType(protocol))),
    }
}

/// PPTP: the key holds the length of the payload and the number of the call.
fn read_pptp(
    flags: u8,
    version: u8,
    protocol: u16,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let is_pptp = flags & !SEQUENCE == KEY && version & !ACKNOWLEDGMENT == 1;
    require(is_pptp && protocol == ether_types::PPP)?;
    let [length, call] = [cursor.take_u16()?, cursor.take_u16()?];
    for present in [flags & SEQUENCE, version & ACKNOWLEDGMENT] {
        if present != 0 {
            cursor.take(4)?;
        }
    }
    if length == 0 {
        return Ok(super::CONTROL); // an acknowledgment alone
    }
    require(usize::from(length) <= cursor.wire_length())?;
    cursor.limit(length.into());
    Ok(enter(layers, "pptp", Some(call.into()), Inner::Ppp))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    #[test]
    fn keys_checksums_and_sequence_numbers_are_read() {
        let gre = |header: &[u8]| in_ipv4(47, &[header, &ipv4()]);
        accepts(RAW, &gre(&[0, 0, 8, 0]), &["gre"]);
        accepts(RAW, &gre(&[0x20, 0, 8, 0, 0, 0, 1, 0]), &["gre:256"]);
        accepts(RAW, &gre(&[0x80, 0, 8, 0, 1, 2, 0, 0]), &["gre"]);
        accepts(RAW, &gre(&[0x10, 0, 8, 0, 0, 0, 0, 9]), &["gre"]);
        let all = [0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9];
        accepts(RAW, &gre(&all), &["gre:7"]);
        accepts(RAW, &in_ipv6(47, &[&[0, 0, 8, 0], &ipv4()]), &["gre"]);
        accepts(RAW, &in_ipv4(47, &[&[0, 0, 0x86, 0xdd], &ipv6()]), &["gre"]);
    }

    #[test]
    fn frames_in_gre_with_and_without_a_key_are_read() {
        let gre = |header: &[u8]| in_ipv4(47, &[header, &frame()]);
        accepts(RAW, &gre(&[0, 0, 0x65, 0x58]), &["gretap"]);
        let nvgre = [0x20, 0, 0x65, 0x58, 0, 0x13, 0x88, 1]; // subnet 5000, flow 1
        accepts(RAW, &gre(&nvgre), &["gretap:1280001"]);
    }

    #[test]
    fn other_versions_routes_and_reserved_bits_are_not_read() {
        for header in [[0x40, 0, 8, 0], [0x08, 0, 8, 0], [0, 2, 8, 0], [0, 8, 8, 0]] {
            rejects(RAW, &in_ipv4(47, &[&header, &ipv4()]));
        }
    }

    #[test]
    fn gre_in_udp_and_redirects_of_wccp_are_read() {
        let redirect = [0, 0, 0x88, 0x3e, 0, 1, 0, 0];
        accepts(RAW, &in_ipv4(47, &[&redirect, &ipv4()]), &["gre"]);
        accepts(RAW, &in_ipv4(47, &[&redirect[..4], &ipv4()]), &["gre"]);
        accepts(
            RAW,
            &in_udp(50_000, 4754, &[&[0, 0, 8, 0], &ipv4()]),
            &["gre"],
        );
        is_plain_udp(&in_udp(50_000, 4754, &[&[0, 1, 8, 0], &ipv4()]));
    }

    #[test]
    fn calls_of_pptp_are_read_up_to_their_length() {
        let inner = [&[0xff, 3, 0, 0x21], &ipv4()[..]].concat();
        let length = inner.len() as u8;
        let header = [
            0x30, 0x81, 0x88, 0x0b, 0, length, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2,
        ];
        accepts(RAW, &in_ipv4(47, &[&header, &inner]), &["pptp:5"]);
        accepts(RAW, &in_ipv4(47, &[&header, &inner, &[0; 5]]), &["pptp:5"]);
        rejects(RAW, &in_ipv4(47, &[&with(&header, 5, length + 1), &inner]));
        rejects(RAW, &in_ipv4(47, &[&with(&header, 0, 0x10), &inner]));
        rejects(RAW, &in_ipv4(47, &[&with(&header, 3, 0x0c), &inner]));
    }
}
