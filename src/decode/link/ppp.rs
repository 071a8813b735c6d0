//! PPP (RFC 1661), with or without HDLC framing (RFC 1662), and Cisco's HDLC.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layers, Unread};
use super::{Network, ethernet, mpls};

/// Reads the protocol field, which may be compressed to one byte (RFC 1661 §6.5), behind address and control if they are there.
pub(super) fn decode(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Network, DecodeError> {
    if cursor.bytes().starts_with(&ADDRESS_AND_CONTROL) {
        cursor.take(2)?;
    }
    let first = cursor.take_array::<1>()?[0];
    let protocol = if first & 1 == 1 {
        u16::from(first)
    } else {
        u16::from_be_bytes([first, cursor.take_array::<1>()?[0]])
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Network::Ip),
        0x0281 | 0x0283 => mpls::decode(cursor, layers),
        other => Ok(Network::Other(Unread::PppProtocol(other))),
    }
}

/// All stations; unnumbered information.
const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];

/// Reads a frame of PPP in HDLC-like framing, or of Cisco's HDLC: the address tells them apart.
pub(super) fn decode_hdlc(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    match cursor.bytes() {
        [0x0f | 0x8f, 0, ..] => decode_cisco_hdlc(cursor, layers),
        _ => decode(cursor, layers),
    }
}

/// Reads Cisco's HDLC: address, control, EtherType.
pub(super) fn decode_cisco_hdlc(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    cursor.take(2)?;
    ethernet::ether_type(cursor, layers)
}

/// Whether bytes may be a PPP frame, where no header says so: by a protocol that is in use.
pub(in super::super) fn is_plausible(frame: &[u8]) -> bool {
    let is_control = |frame: &[u8]| matches!(frame, [0x80 | 0xc0 | 0xc2, low, ..] if low & 1 == 1);
    leads_to_ip(frame) || is_control(frame.strip_prefix(&ADDRESS_AND_CONTROL).unwrap_or(frame))
}

/// Whether bytes are a PPP frame with an IP packet of the version that the protocol names.
pub(in super::super) fn leads_to_ip(frame: &[u8]) -> bool {
    let frame = frame.strip_prefix(&ADDRESS_AND_CONTROL).unwrap_or(frame);
    let frame = frame.strip_prefix(&[0]).unwrap_or(frame);
    matches!(frame, [0x21, 0x40..=0x4f, ..] | [0x57, 0x60..=0x6f, ..])
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    #[test]
    fn protocols_are_read_in_all_framings() {
        let with_header = |header: &[u8]| [header, &ipv4()].concat();
        let mpls = [&[2, 0x81, 0, 6, 0x41, 64], &ipv4()[..]].concat();
        let cases = [
            (LinkType::PPP, with_header(&[0, 0x21])),
            (LinkType::PPP, with_header(&[0x21])),
            (LinkType::PPP, with_header(&[0xff, 3, 0, 0x21])),
            (LinkType::PPP, [&[0, 0x57], &ipv6()[..]].concat()),
            (LinkType::PPP_HDLC, with_header(&[0xff, 3, 0, 0x21])),
            (LinkType::PPP_HDLC, with_header(&[0x0f, 0, 8, 0])),
            (LinkType::C_HDLC, with_header(&[0x8f, 0, 8, 0])),
            (LinkType::PPP_PPPD, with_header(&[1, 0xff, 3, 0, 0x21])),
            (LinkType::PPP_WITH_DIRECTION, with_header(&[0, 0, 0x21])),
        ];
        for (link_type, packet) in cases {
            accepts(link_type, &packet, &[]);
        }
        accepts(LinkType::PPP, &mpls, &["mpls:100"]);
        rejects(LinkType::PPP, &with_header(&[0, 0x23]));
        rejects(LinkType::PPP_HDLC, &with_header(&[0x0e, 0, 8, 0]));
    }
}
