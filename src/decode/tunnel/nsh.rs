//! Network Service Header: the path of a packet through service functions (RFC 8300).

use super::super::DecodeError;
use super::super::link::ether_types;
use super::{CONTROL, Cursor, Inner, Layers, MISMATCH, Unread, enter, require};

pub(in super::super) fn read(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [first, second, _, protocol, a, b, c, _] = cursor.take_array()?;
    require(first >> 6 == 0)?;
    let length = usize::from(second & 0x3f) * 4;
    cursor.take(length.checked_sub(8).ok_or(MISMATCH)?)?;
    let is_maintenance = first & 0x20 != 0;
    let inner = match protocol {
        _ if is_maintenance => CONTROL,
        1 | 2 => Inner::Ip,
        3 => Inner::Ethernet,
        4 => Inner::EtherType(ether_types::NSH),
        5 => Inner::EtherType(ether_types::MPLS),
        _ => Inner::Other(Unread::TunnelContent),
    };
    let path = u32::from_be_bytes([0, a, b, c]);
    Ok(enter(layers, "nsh", Some(path), inner))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const HEADER: [u8; 24] = [
        0x0f, 0xc6, 1, 3, 0, 0, 7, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn frames_and_packets_are_read_behind_the_context() {
        let nsh = |header: &[u8], inner: &[u8]| ethernet(0x894f, &[header, inner].concat());
        let ethernet = LinkType::ETHERNET;
        accepts(ethernet, &nsh(&HEADER, &frame()), &["nsh:7"]);
        accepts(ethernet, &nsh(&with(&HEADER, 3, 1), &ipv4()), &["nsh:7"]);
        accepts(ethernet, &nsh(&with(&HEADER, 3, 2), &ipv6()), &["nsh:7"]);
        let in_gre = in_ipv4(47, &[&[0, 0, 0x89, 0x4f], &HEADER, &frame()]);
        accepts(RAW, &in_gre, &["gre", "nsh:7"]);
        rejects(ethernet, &nsh(&with(&HEADER, 0, 0x4f), &frame()));
        rejects(ethernet, &nsh(&with(&HEADER, 0, 0x2f), &frame()));
        rejects(ethernet, &nsh(&with(&HEADER, 1, 0xc1), &frame()));
        rejects(ethernet, &nsh(&with(&HEADER, 3, 6), &frame()));
    }
}
