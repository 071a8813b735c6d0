//! Ethernet II and IEEE 802.3, with the tags that come before the content.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layer, Layers, Unread, tunnel};
use super::{Network, ether_types, macsec, mpls, pppoe, wireless};

pub(in super::super) fn decode(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    cursor.take(12)?; // destination, source
    ether_type(cursor, layers)
}

/// Most tags taken off one frame: a bound for hostile frames that consist of tags alone.
const MAX_TAGS: usize = 16;

/// Reads an EtherType and what it announces, down to an IP header.
pub(super) fn ether_type(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    let value = cursor.take_u16()?;
    by_type(value, cursor, layers)
}

/// Reads what an EtherType announces, down to an IP header: 802.1Q, 802.1ad and old QinQ tags, those of vendors, and tunnels.
pub(super) fn by_type(
    mut value: u16,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    for _ in 0..MAX_TAGS {
        match value {
            0x0800 | 0x86dd => return Ok(Network::Ip),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag_control = cursor.take_u16()?;
                layers.vlan.push(tag_control);
            }
            // IEEE 802.3: a length, and 802.2 LLC follows.
            0..=ether_types::MAX_LENGTH => return logical_link(cursor),
            // Cisco MetaData: version, length in words of four bytes, options; then the inner EtherType.
            0x8909 => {
                let [_, words] = cursor.take_array()?;
                cursor.take(usize::from(words) * 4)?;
            }
            // VN-Tag: the virtual interfaces that a frame goes to and comes from.
            0x8926 => {
                cursor.take(4)?;
            }
            // IEEE 802.1BR: the same in 802.1's own tag.
            0x893f => {
                cursor.take(6)?;
            }
            0x88e5 => {
                if !macsec::is_in_clear(cursor)? {
                    return Ok(Network::Other(Unread::EtherType(value)));
                }
            }
            ether_types::MPLS | 0x8848 => return mpls::decode(cursor, layers),
            0x8864 => return pppoe::decode(cursor, layers),
            ether_types::NSH => {
                let inner = tunnel::nsh::read(cursor, layers)?;
                return super::follow(inner, cursor, layers);
            }
            // 802.11 frames as Intel's adapters for Centrino report them on Windows.
            0x2452 => return wireless::decode(cursor, layers),
            _ => return Ok(Network::Other(Unread::EtherType(value))),
        }
        value = cursor.take_u16()?;
    }
    Err(DecodeError::Malformed { layer: Layer::Link })
}

/// 802.2 LLC with a SNAP header, as IP over 802.3 and 802.11 has it (RFC 1042).
pub(super) fn logical_link(cursor: &mut Cursor<'_>) -> Result<Network, DecodeError> {
    if has_snap_header(cursor.bytes()) {
        cursor.take(6)?;
        return Ok(match cursor.take_u16()? {
            0x0800 | 0x86dd => Network::Ip,
            other => Network::Other(Unread::EtherType(other)),
        });
    }
    Ok(Network::Other(Unread::LogicalLink))
}

/// Whether an EtherType follows 802.2 LLC.
pub(super) fn has_snap_header(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xaa, 0xaa, 0x03, 0, 0, 0])
}

/// Whether bytes may be a frame, where no header says so: by an EtherType that is in use.
pub(in super::super) fn is_plausible(frame: &[u8]) -> bool {
    let is_tagged = matches!(
        frame.get(12..14),
        Some([0x81, 0x00] | [0x88, 0xa8 | 0x47 | 0x48 | 0x64] | [0x08, 0x06])
    );
    is_tagged || leads_to_ip(frame)
}

/// Whether bytes are a frame with an IP packet of the version that the EtherType names; there may be one VLAN tag.
pub(in super::super) fn leads_to_ip(frame: &[u8]) -> bool {
    let at = match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xa8]) => 16,
        _ => 12,
    };
    let version = frame.get(at + 2).map(|first| first >> 4);
    matches!(
        (frame.get(at..at + 2), version),
        (Some([0x08, 0x00]), Some(4)) | (Some([0x86, 0xdd]), Some(6))
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const ETHERNET: LinkType = LinkType::ETHERNET;

    #[test]
    fn tags_of_vendors_are_taken_off() {
        let meta_data = [1, 1, 0, 1, 0, 42, 8, 0];
        let virtual_interface = [0x80, 1, 0, 2, 8, 0];
        let bridge_port = [0, 0, 0, 1, 0, 0, 8, 0];
        let tagged = |value, tag: &[u8]| ethernet(value, &[tag, &ipv4()].concat());
        accepts(ETHERNET, &tagged(0x8909, &meta_data), &[]);
        accepts(ETHERNET, &tagged(0x8926, &virtual_interface), &[]);
        accepts(ETHERNET, &tagged(0x893f, &bridge_port), &[]);
        rejects(ETHERNET, &tagged(0x8909, &with(&meta_data, 1, 2)));
        rejects(ETHERNET, &tagged(0x8927, &virtual_interface));
    }
}
