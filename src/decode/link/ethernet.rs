//! Ethernet II and IEEE 802.3, with VLAN tags.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layer, Layers, Unread};
use super::Network;

pub(in super::super) fn decode(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    cursor.take(12)?; // destination, source
    ether_type(cursor, layers)
}

/// Most tags taken off one frame: a bound for hostile frames that consist of tags alone.
const MAX_TAGS: usize = 16;

/// Reads an EtherType and the 802.1Q, 802.1ad and old QinQ tags before it.
pub(super) fn ether_type(
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Network, DecodeError> {
    for _ in 0..MAX_TAGS {
        let value = cursor.take_u16()?;
        match value {
            0x0800 | 0x86dd => return Ok(Network::Ip),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag_control = cursor.take_u16()?;
                layers.vlan.push(tag_control);
            }
            // IEEE 802.3: up to 1500 it is a length, and 802.2 LLC follows.
            0..=1500 => return logical_link(cursor),
            // Cisco MetaData: version, length in words of four bytes, options; then the inner EtherType.
            0x8909 => {
                let [_, words] = cursor.take_array()?;
                cursor.take(usize::from(words) * 4)?;
            }
            _ => return Ok(Network::Other(Unread::EtherType(value))),
        }
    }
    Err(DecodeError::Malformed { layer: Layer::Link })
}

/// 802.2 LLC with a SNAP header, as IP over 802.3 has it (RFC 1042).
fn logical_link(cursor: &mut Cursor<'_>) -> Result<Network, DecodeError> {
    if cursor.bytes().starts_with(&[0xaa, 0xaa, 0x03, 0, 0, 0]) {
        cursor.take(6)?;
        return Ok(match cursor.take_u16()? {
            0x0800 | 0x86dd => Network::Ip,
            other => Network::Other(Unread::EtherType(other)),
        });
    }
    Ok(Network::Other(Unread::LogicalLink))
}
