//! Linux netfilter log: a header, then attributes, of which one is the packet.

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layer, Unread};
use super::Network;

/// The attribute that holds the packet (`NFULA_PAYLOAD`).
const PAYLOAD: u16 = 9;
/// Length and type of an attribute.
const ATTRIBUTE_HEADER: usize = 4;

pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Network, DecodeError> {
    let [family, version, _, _] = cursor.take_array()?; // then the number of the group
    if version != 0 {
        return Err(DecodeError::Malformed { layer: Layer::Link });
    }
    // Attributes are in the byte order of the host that captured, which the file does not say.
    let mut reversed = *cursor;
    match find_packet(cursor, u16::from_le_bytes) {
        Ok(()) => {}
        Err(error) => {
            find_packet(&mut reversed, u16::from_be_bytes).map_err(|_| error)?;
            *cursor = reversed;
        }
    }
    Ok(match cursor.ip_version() {
        Some(_) => Network::Ip,
        None => Network::Other(Unread::AddressFamily(family.into())),
    })
}

/// Skips the attributes before the packet, and ends the window behind it.
fn find_packet(cursor: &mut Cursor<'_>, number: fn([u8; 2]) -> u16) -> Result<(), DecodeError> {
    loop {
        let [length, kind] = [number(cursor.take_array()?), number(cursor.take_array()?)];
        let content = usize::from(length)
            .checked_sub(ATTRIBUTE_HEADER)
            .filter(|content| *content <= cursor.wire_length())
            .ok_or(DecodeError::Malformed { layer: Layer::Link })?;
        if kind == PAYLOAD {
            cursor.limit(content);
            return Ok(());
        }
        cursor.take(content.next_multiple_of(4))?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    /// A header, an attribute with a name, and the packet, with their lengths in the given byte order.
    fn nflog(number: fn(u16) -> [u8; 2], length: u16) -> Vec<u8> {
        let mut packet = vec![2, 0, 0, 1];
        for (kind, length, content) in [(10_u16, 9, b"none\0\0\0\0".to_vec()), (9, length, ipv4())]
        {
            packet.extend(number(length));
            packet.extend(number(kind));
            packet.extend(content);
        }
        packet
    }

    #[test]
    fn the_packet_is_found_in_both_byte_orders() {
        let length = ipv4().len() as u16 + 4;
        accepts(LinkType::NFLOG, &nflog(u16::to_le_bytes, length), &[]);
        accepts(LinkType::NFLOG, &nflog(u16::to_be_bytes, length), &[]);
        rejects(LinkType::NFLOG, &nflog(u16::to_le_bytes, length + 1));
        rejects(LinkType::NFLOG, &nflog(u16::to_le_bytes, 3));
        let version = with(&nflog(u16::to_le_bytes, length), 1, 1);
        rejects(LinkType::NFLOG, &version);
    }
}
