//! Geneve (RFC 8926).

use super::super::DecodeError;
use super::super::link::ether_types;
use super::{Addresses, CONTROL, Cursor, Inner, Layers, enter, require};

const CONTROL_PACKET: u8 = 0x80;
const CRITICAL_OPTIONS: u8 = 0x40;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [lengths, flags, high, low, a, b, c, reserved] = cursor.take_array()?;
    let is_version_0 = lengths >> 6 == 0;
    let is_reserved_clear = flags & !(CONTROL_PACKET | CRITICAL_OPTIONS) == 0 && reserved == 0;
    require(is_version_0 && is_reserved_clear)?;
    cursor.take(usize::from(lengths & 0x3f) * 4)?;
    let inner = match u16::from_be_bytes([high, low]) {
        _ if flags & CONTROL_PACKET != 0 => CONTROL,
        ether_types::BRIDGED => Inner::Ethernet,
        ether_type => {
            require(ether_type > ether_types::MAX_LENGTH)?;
            Inner::EtherType(ether_type)
        }
    };
    let id = u32::from_be_bytes([0, a, b, c]);
    Ok(enter(layers, "geneve", Some(id), inner))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const HEADER: [u8; 8] = [0, 0, 0x65, 0x58, 0, 0, 42, 0];

    fn geneve(header: &[u8], inner: &[u8]) -> Vec<u8> {
        in_udp(50_000, 6081, &[header, inner])
    }

    #[test]
    fn frames_and_ip_are_read_behind_options() {
        accepts(RAW, &geneve(&HEADER, &frame()), &["geneve:42"]);
        accepts(
            RAW,
            &geneve(&[0, 0x40, 8, 0, 0, 0, 42, 0], &ipv4()),
            &["geneve:42"],
        );
        accepts(
            RAW,
            &geneve(&[0, 0, 0x86, 0xdd, 0, 0, 42, 0], &ipv6()),
            &["geneve:42"],
        );
        let options = [&with(&HEADER, 0, 2)[..], &[1, 8, 0x80, 1, 0, 0, 0, 0]].concat();
        accepts(RAW, &geneve(&options, &frame()), &["geneve:42"]);
    }

    #[test]
    fn control_packets_and_other_versions_are_not_read() {
        rejects(RAW, &geneve(&with(&HEADER, 1, 0x80), &frame()));
        is_plain_udp(&geneve(&with(&HEADER, 0, 0x40), &frame()));
        is_plain_udp(&geneve(&with(&HEADER, 1, 0x01), &frame()));
        is_plain_udp(&geneve(&with(&HEADER, 7, 0x01), &frame()));
        is_plain_udp(&geneve(&with(&HEADER, 0, 0x3f), &frame()));
        is_plain_udp(&geneve(&[0, 0, 0, 46, 0, 0, 42, 0], &frame()));
    }
}
