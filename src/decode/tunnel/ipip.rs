//! IP in IP, in all four pairings (RFC 2003, RFC 2473, RFC 4213), and 6to4 (RFC 3056).

use super::super::DecodeError;
use super::{Addresses, Cursor, Inner, Layers, enter, require};

/// The names are those of Linux's devices; `6to4` is `sit` between addresses that were made from IPv4 addresses.
pub(super) fn read_ipv4(
    cursor: &mut Cursor<'_>,
    outer: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    require(cursor.ip_version() == Some(4))?;
    let name = if outer.is_ipv4() { "ipip" } else { "ip4in6" };
    Ok(enter(layers, name, None, Inner::Ip))
}

pub(super) fn read_ipv6(
    cursor: &mut Cursor<'_>,
    outer: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    require(cursor.ip_version() == Some(6))?;
    let name = match outer.is_ipv4() {
        true if has_6to4_address(cursor.bytes()) => "6to4",
        true => "sit",
        false => "ip6in6",
    };
    Ok(enter(layers, name, None, Inner::Ip))
}

/// Whether an end of an IPv6 packet is in 2002::/16.
fn has_6to4_address(packet: &[u8]) -> bool {
    let ends = [packet.get(8..10), packet.get(24..26)];
    ends.contains(&Some(&[0x20, 0x02][..]))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    #[test]
    fn ip_is_found_in_ip_in_all_four_pairings() {
        accepts(RAW, &in_ipv4(4, &[&ipv4()]), &["ipip"]);
        accepts(RAW, &in_ipv4(41, &[&ipv6()]), &["sit"]);
        accepts(RAW, &in_ipv6(4, &[&ipv4()]), &["ip4in6"]);
        accepts(RAW, &in_ipv6(41, &[&ipv6()]), &["ip6in6"]);
    }

    #[test]
    fn addresses_made_from_ipv4_addresses_are_of_6to4() {
        let packet = ipv6_from([0x20, 0x02, 192, 0]);
        accepts(RAW, &in_ipv4(41, &[&packet]), &["6to4"]);
        accepts(RAW, &in_ipv6(41, &[&packet]), &["ip6in6"]);
    }

    #[test]
    fn the_version_inside_must_be_that_of_the_protocol() {
        rejects(RAW, &in_ipv4(4, &[&ipv6()]));
        rejects(RAW, &in_ipv4(41, &[&ipv4()]));
        rejects(RAW, &in_ipv4(4, &[&with(&ipv4(), 0, 0x55)]));
    }
}
