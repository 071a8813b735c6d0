//! Sessions of PPP over Ethernet (RFC 2516).

use super::super::cursor::Cursor;
use super::super::tunnel::{self, Inner};
use super::super::{DecodeError, Layer, Layers};
use super::Network;

pub(super) fn decode(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Network, DecodeError> {
    let [version_and_type, code] = cursor.take_array()?;
    if (version_and_type, code) != (0x11, 0) {
        return Err(DecodeError::Malformed { layer: Layer::Link });
    }
    let [session, length] = [cursor.take_u16()?, cursor.take_u16()?];
    cursor.limit(length.into());
    let inner = tunnel::enter(layers, "pppoe", Some(session.into()), Inner::Ppp);
    super::follow(inner, cursor, layers)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    #[test]
    fn sessions_are_read_up_to_their_length() {
        let inner = [&[0, 0x21], &ipv4()[..]].concat();
        let header = [0x11, 0, 0, 5, 0, inner.len() as u8];
        let pppoe = |header: &[u8]| ethernet(0x8864, &[header, &inner, &[0; 9]].concat());
        accepts(LinkType::ETHERNET, &pppoe(&header), &["pppoe:5"]);
        accepts(LinkType::PPP_ETHER, &pppoe(&header)[14..], &["pppoe:5"]);
        rejects(LinkType::ETHERNET, &pppoe(&with(&header, 0, 0x21)));
        rejects(LinkType::ETHERNET, &pppoe(&with(&header, 1, 0xa7)));
        rejects(LinkType::ETHERNET, &pppoe(&with(&header, 5, 40)));
    }
}
