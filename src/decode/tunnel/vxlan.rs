//! VXLAN (RFC 7348), with Group Policy (draft-smith-vxlan-group-policy) and the Generic Protocol Extension
//! (draft-ietf-nvo3-vxlan-gpe).

use super::super::DecodeError;
use super::super::link::ether_types;
use super::{Addresses, CONTROL, Cursor, Inner, Layers, MISMATCH, Unread, enter, require};

/// The network identifier is valid.
const HAS_ID: u8 = 0x08;
/// Group policy: the third and fourth byte have the number of a group, and the second has two flags.
const HAS_GROUP: u8 = 0x80;
const GROUP_FLAGS: u8 = 0x48;
/// GPE: the fourth byte says which protocol follows.
const HAS_PROTOCOL: u8 = 0x04;
/// GPE: the packet was sent to several receivers.
const BROADCAST: u8 = 0x02;
/// GPE: operation and maintenance.
const MAINTENANCE: u8 = 0x01;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [flags, second, third, fourth, a, b, c, last] = cursor.take_array()?;
    let id = Some(u32::from_be_bytes([0, a, b, c]));
    require(flags & HAS_ID != 0 && last == 0)?;
    match flags & !HAS_ID {
        0 => require([second, third, fourth] == [0; 3])?,
        HAS_GROUP => require(second & !GROUP_FLAGS == 0)?,
        extension if extension & !(HAS_PROTOCOL | BROADCAST | MAINTENANCE) == 0 => {
            require(extension & HAS_PROTOCOL != 0 && second == 0 && third == 0)?;
            let inner = match fourth {
                _ if flags & MAINTENANCE != 0 => CONTROL,
                1 | 2 => Inner::Ip,
                3 => Inner::Ethernet,
                4 => Inner::EtherType(ether_types::NSH),
                5 => Inner::EtherType(ether_types::MPLS),
                _ => Inner::Other(Unread::TunnelContent),
            };
            return Ok(enter(layers, "vxlangpe", id, inner));
        }
        _ => return Err(MISMATCH),
    }
    Ok(enter(layers, "vxlan", id, Inner::Ethernet))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const HEADER: [u8; 8] = [8, 0, 0, 0, 0, 0, 42, 0];

    fn vxlan(header: &[u8]) -> Vec<u8> {
        in_udp(50_000, 4789, &[header, &frame()])
    }

    #[test]
    fn frames_are_read_on_both_ports() {
        accepts(RAW, &vxlan(&HEADER), &["vxlan:42"]);
        let packet = in_udp(50_000, 8472, &[&HEADER, &frame()]);
        accepts(RAW, &packet, &["vxlan:42"]);
        is_plain_udp(&in_udp(4789, 50_000, &[&HEADER, &frame()]));
    }

    #[test]
    fn a_group_is_allowed_where_its_flag_says_so() {
        let group = [0x88, 0x08, 0x01, 0x02, 0, 0, 42, 0];
        accepts(RAW, &vxlan(&group), &["vxlan:42"]);
        is_plain_udp(&vxlan(&with(&group, 0, 0x08)));
        is_plain_udp(&vxlan(&with(&group, 1, 0x01)));
    }

    #[test]
    fn reserved_bits_make_it_another_protocol() {
        is_plain_udp(&vxlan(&with(&HEADER, 0, 0)));
        is_plain_udp(&vxlan(&with(&HEADER, 0, 0x18)));
        is_plain_udp(&vxlan(&with(&HEADER, 3, 1)));
        is_plain_udp(&vxlan(&with(&HEADER, 7, 1)));
        is_plain_udp(&in_udp(50_000, 4789, &[&HEADER, &frame()[..10]]));
    }

    #[test]
    fn the_generic_protocol_extension_says_what_follows() {
        let gpe = |protocol| with(&[0x0c, 0, 0, 0, 0, 0, 42, 0], 3, protocol);
        let packet = |protocol, inner: &[u8]| in_udp(50_000, 4790, &[&gpe(protocol), inner]);
        let nsh = [0x0f, 0xc2, 2, 3, 0, 0, 7, 255];
        accepts(RAW, &packet(1, &ipv4()), &["vxlangpe:42"]);
        accepts(RAW, &packet(2, &ipv6()), &["vxlangpe:42"]);
        accepts(RAW, &packet(3, &frame()), &["vxlangpe:42"]);
        let served = [&nsh[..], &frame()].concat();
        accepts(RAW, &packet(4, &served), &["vxlangpe:42", "nsh:7"]);
        let labelled = [&[0, 0x06, 0x41, 64], &ipv4()[..]].concat();
        accepts(RAW, &packet(5, &labelled), &["vxlangpe:42", "mpls:100"]);
        rejects(RAW, &packet(6, &frame()));
        let maintenance = with(&gpe(3), 0, 0x0d);
        rejects(RAW, &in_udp(50_000, 4790, &[&maintenance, &frame()]));
        let version = with(&gpe(3), 0, 0x1c);
        is_plain_udp(&in_udp(50_000, 4790, &[&version, &frame()]));
    }
}
