//! Ethernet directly in IP: EtherIP (RFC 3378), and without a header, as in SRv6 (RFC 8986).

use super::super::DecodeError;
use super::{Addresses, Cursor, Inner, Layers, enter, require};

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    outer: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    require(cursor.take_array()? == [0x30, 0])?; // version 3, and 12 reserved bits
    read_without_header(cursor, outer, layers)
}

pub(super) fn read_without_header(
    _: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    Ok(enter(layers, "etherip", None, Inner::Ethernet))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    #[test]
    fn frames_directly_in_ip_are_read() {
        accepts(RAW, &in_ipv4(97, &[&[0x30, 0], &frame()]), &["etherip"]);
        accepts(RAW, &in_ipv6(143, &[&frame()]), &["etherip"]);
        rejects(RAW, &in_ipv4(97, &[&[0x40, 0], &frame()]));
        rejects(RAW, &in_ipv4(97, &[&[0x30, 1], &frame()]));
    }
}
