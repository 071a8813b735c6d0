//! TZSP: frames as a probe or a router captured them, with tags that say how.

use super::super::DecodeError;
use super::super::Unread;
use super::{Addresses, CONTROL, Cursor, Inner, Layers, enter, require};

/// Tags of one packet. Some twenty are defined; the bound is for hostile packets.
const MAX_TAGS: usize = 64;
const PADDING: u8 = 0;
const END: u8 = 1;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [version, packet_type, high, low] = cursor.take_array()?;
    require(version == 1 && packet_type <= 5)?;
    if packet_type > 1 {
        return Ok(CONTROL); // 0 and 1 have packets; others configure and keep alive
    }
    let inner = match u16::from_be_bytes([high, low]) {
        1 => Inner::Ethernet,
        18 => Inner::Wireless,
        _ => Inner::Other(Unread::TunnelContent),
    };
    for _ in 0..MAX_TAGS {
        match cursor.take_array()? {
            [PADDING] => {}
            [END] => return Ok(enter(layers, "tzsp", None, inner)),
            [_] => {
                let [length] = cursor.take_array()?;
                cursor.take(length.into())?;
            }
        }
    }
    Err(super::MISMATCH)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const HEADER: [u8; 8] = [1, 0, 0, 1, 0, 10, 0, 1];

    fn tzsp(header: &[u8]) -> Vec<u8> {
        in_udp(50_000, 37008, &[header, &frame()])
    }

    #[test]
    fn frames_are_read_behind_tags() {
        accepts(RAW, &tzsp(&[1, 0, 0, 1, 1]), &["tzsp"]);
        accepts(RAW, &tzsp(&HEADER), &["tzsp"]);
        rejects(RAW, &tzsp(&with(&HEADER, 1, 4)));
        rejects(RAW, &tzsp(&with(&HEADER, 3, 2)));
        is_plain_udp(&tzsp(&with(&HEADER, 0, 2)));
        is_plain_udp(&tzsp(&with(&HEADER, 6, 255)));
        is_plain_udp(&tzsp(&[&[1, 0, 0, 1][..], &[0; 64]].concat()));
    }
}
