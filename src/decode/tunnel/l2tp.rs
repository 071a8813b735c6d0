//! L2TP, version 2 (RFC 2661) and version 3 (RFC 3931), over UDP and over IP.

use super::super::link::{ethernet, ppp};
use super::super::{DecodeError, Unread, ip};
use super::{Addresses, CONTROL, Cursor, Inner, Layers, MISMATCH, enter, require};

const IS_CONTROL: u8 = 0x80;
const HAS_LENGTH: u8 = 0x40;
const HAS_SEQUENCE: u8 = 0x08;
const HAS_OFFSET: u8 = 0x02;
const HAS_PRIORITY: u8 = 0x01;

pub(super) fn read_over_udp(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    match cursor.take_array()? {
        [flags, 2] => read_version_2(flags, cursor, layers),
        [flags, 3] if flags & IS_CONTROL != 0 => {
            require(flags == IS_CONTROL | HAS_LENGTH | HAS_SEQUENCE)?;
            Ok(CONTROL)
        }
        [0, 3] => {
            require(cursor.take_u16()? == 0)?;
            let session = u32::from_be_bytes(cursor.take_array()?);
            require(session != 0)?;
            read_session(session, cursor, layers)
        }
        _ => Err(MISMATCH),
    }
}

pub(super) fn read_over_ip(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    match u32::from_be_bytes(cursor.take_array()?) {
        0 => Ok(CONTROL),
        session => read_session(session, cursor, layers),
    }
}

fn read_version_2(
    flags: u8,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let known = IS_CONTROL | HAS_LENGTH | HAS_SEQUENCE | HAS_OFFSET | HAS_PRIORITY;
    require(flags & !known == 0)?;
    if flags & HAS_LENGTH != 0 {
        // It counts the flags and itself, of which the first two bytes are off the cursor.
        let length = usize::from(cursor.take_u16()?);
        require(length == cursor.wire_length() + 4)?;
    }
    let [_, session] = [cursor.take_u16()?, cursor.take_u16()?];
    if flags & HAS_SEQUENCE != 0 {
        cursor.take(4)?;
    }
    if flags & IS_CONTROL != 0 {
        require(flags == IS_CONTROL | HAS_LENGTH | HAS_SEQUENCE)?;
        return Ok(CONTROL);
    }
    if flags & HAS_OFFSET != 0 {
        let padding = cursor.take_u16()?;
        cursor.take(padding.into())?;
    }
    require(flags & HAS_LENGTH != 0 || ppp::is_plausible(cursor.bytes()))?;
    Ok(enter(layers, "l2tp", Some(session.into()), Inner::Ppp))
}

/// The data of a session in version 3: a cookie of 0, 4 or 8 bytes and a sublayer of 0 or 4, on which the ends agreed
/// before. The packet does not say, so what is readable decides.
fn read_session(
    session: u32,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    for before in [0, 4, 8, 12] {
        let mut content = *cursor;
        content.skip(before);
        let inner = match content.bytes() {
            bytes if ethernet::leads_to_ip(bytes) => Inner::Ethernet,
            bytes if ppp::leads_to_ip(bytes) => Inner::Ppp,
            _ if ip::is_plausible(&content) => Inner::Ip,
            _ => continue,
        };
        *cursor = content;
        return Ok(enter(layers, "l2tp", Some(session), inner));
    }
    let inner = Inner::Other(Unread::TunnelContent);
    Ok(enter(layers, "l2tp", Some(session), inner))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    fn ppp() -> Vec<u8> {
        [&[0xff, 3, 0, 0x21], &ipv4()[..]].concat()
    }

    #[test]
    fn sessions_of_version_2_are_read_with_all_options() {
        let inner = ppp();
        let length = 12 + 3 + inner.len() as u8 + 2;
        let full = [0x4a, 2, 0, length, 0, 5, 0, 6, 0, 0, 0, 0, 0, 3, 0, 0, 0];
        accepts(RAW, &in_udp(1701, 50_000, &[&full, &inner]), &["l2tp:6"]);
        accepts(
            RAW,
            &in_udp(50_000, 1701, &[&[0, 2, 0, 5, 0, 6], &inner]),
            &["l2tp:6"],
        );
        is_plain_udp(&in_udp(
            50_000,
            1701,
            &[&with(&full, 3, length + 1), &inner],
        ));
        is_plain_udp(&in_udp(50_000, 1701, &[&[4, 2, 0, 5, 0, 6], &inner]));
        is_plain_udp(&in_udp(50_000, 1701, &[&[0, 1, 0, 5, 0, 6], &inner]));
        is_plain_udp(&in_udp(
            50_000,
            1701,
            &[&[0, 2, 0, 5, 0, 6], b"something else"],
        ));
        rejects(
            RAW,
            &in_udp(50_000, 1701, &[&[0xc8, 2, 0, 12, 0, 5, 0, 0, 0, 0, 0, 0]]),
        );
    }

    #[test]
    fn sessions_of_version_3_are_read_behind_any_cookie() {
        let session = [0, 0, 0, 9];
        for before in [0, 4, 8, 12] {
            let cookie = vec![0; before];
            for inner in [frame(), ppp(), ipv4()] {
                let packet = in_ipv4(115, &[&session, &cookie, &inner]);
                accepts(RAW, &packet, &["l2tp:9"]);
                let header = [&[0, 3, 0, 0], &session[..], &cookie].concat();
                accepts(RAW, &in_udp(1701, 1701, &[&header, &inner]), &["l2tp:9"]);
            }
        }
        rejects(RAW, &in_ipv4(115, &[&session, &[0; 16], &frame()]));
        rejects(RAW, &in_ipv4(115, &[&[0; 4], &frame()]));
        is_plain_udp(&in_udp(1701, 1701, &[&[0, 3, 0, 1], &session, &frame()]));
        is_plain_udp(&in_udp(1701, 1701, &[&[0, 3, 0, 0, 0, 0, 0, 0], &frame()]));
    }
}
