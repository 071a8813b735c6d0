//! Teredo: IPv6 in UDP (RFC 4380 §5.1.1).

use super::super::{DecodeError, ip};
use super::{Addresses, Cursor, Inner, Layers, enter, require};

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    if cursor.bytes().starts_with(&[0, 1]) {
        // Authentication: the lengths of an identifier and of a value; a nonce and a confirmation at the end.
        let [_, _, identifier, value] = cursor.take_array()?;
        cursor.take(usize::from(identifier) + usize::from(value) + 9)?;
    }
    if cursor.bytes().starts_with(&[0, 0]) {
        cursor.take(8)?; // the origin: port and address, as the server saw them
    }
    let is_ipv6 = cursor.ip_version() == Some(6) && ip::is_plausible(cursor);
    require(is_ipv6 && has_teredo_address(cursor.bytes()))?;
    Ok(enter(layers, "teredo", None, Inner::Ip))
}

/// Whether a datagram is one that a client sends to another or to a relay. Neither has the port of Teredo, but the packet has the
/// length of the datagram, and an address of Teredo.
pub(super) fn is_between_clients(cursor: &Cursor<'_>) -> bool {
    let packet = cursor.bytes();
    cursor.ip_version() == Some(6)
        && ip::declared_length(packet) == Some(cursor.wire_length())
        && [packet.get(8..12), packet.get(24..28)].contains(&Some(&TEREDO[..]))
}

/// 2001::/32
const TEREDO: [u8; 4] = [0x20, 0x01, 0, 0];

/// Whether an end of an IPv6 packet has an address of Teredo, or the link-local one with which a client begins.
fn has_teredo_address(packet: &[u8]) -> bool {
    let is_teredo = |end: &[u8]| end.starts_with(&TEREDO) || end.starts_with(&[0xfe, 0x80]);
    let ends = [packet.get(8..12), packet.get(24..28)];
    ends.into_iter().flatten().any(is_teredo)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const CLIENT: [u8; 4] = [0x20, 0x01, 0, 0];

    #[test]
    fn packets_are_read_with_what_the_server_adds() {
        let packet = ipv6_from(CLIENT);
        let authentication = [&[0, 1, 2, 3][..], &[9; 5], &[0; 9]].concat();
        let origin = [0, 0, 0xf0, 0xf1, 1, 2, 3, 4];
        accepts(RAW, &in_udp(50_000, 3544, &[&packet]), &["teredo"]);
        accepts(RAW, &in_udp(3544, 50_000, &[&origin, &packet]), &["teredo"]);
        let both = in_udp(3544, 50_000, &[&authentication, &origin, &packet]);
        accepts(RAW, &both, &["teredo"]);
    }

    #[test]
    fn clients_and_relays_are_recognised_on_any_port() {
        let packet = ipv6_from(CLIENT);
        accepts(RAW, &in_udp(50_000, 50_001, &[&packet]), &["teredo"]);
        is_plain_udp(&in_udp(50_000, 50_001, &[&packet, &[0]]));
        is_plain_udp(&in_udp(50_000, 50_001, &[&ipv6()]));
    }

    #[test]
    fn other_addresses_and_versions_make_it_another_protocol() {
        is_plain_udp(&in_udp(50_000, 3544, &[&ipv6()]));
        is_plain_udp(&in_udp(50_000, 3544, &[&ipv4()]));
        let packet = ipv6_from(CLIENT);
        is_plain_udp(&in_udp(50_000, 3544, &[&packet[..packet.len() - 1]]));
    }
}
