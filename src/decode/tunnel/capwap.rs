//! Data of CAPWAP, between wireless access points and their controller (RFC 5415 §4.3, RFC 5416).

use super::super::{DecodeError, Unread};
use super::{Addresses, CONTROL, Cursor, Inner, Layers, enter, require};

/// The first four bytes: a preamble, then lengths and numbers, then flags.
const IS_NATIVE: u32 = 0x0100;
const IS_FRAGMENT: u32 = 0x0080;
const KEEP_ALIVE: u32 = 0x0008;
const RESERVED: u32 = 0x0007;
/// The wireless binding of 802.11.
const IEEE_802_11: u32 = 1;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    _: Addresses,
    layers: &mut Layers,
) -> Result<Inner, DecodeError> {
    let [first, second] = [cursor.take_array()?, cursor.take_array()?].map(u32::from_be_bytes);
    // Version 0. Type 0 is in the clear, type 1 is DTLS.
    require(first >> 24 == 0 && first & RESERVED == 0 && second & 0x07 == 0)?;
    let header_length = (first >> 19 & 0x1f) as usize * 4;
    cursor.take(header_length.checked_sub(8).ok_or(super::MISMATCH)?)?;
    if first & KEEP_ALIVE != 0 {
        return Ok(CONTROL);
    }
    let binding = first >> 9 & 0x1f;
    let inner = match first & IS_NATIVE != 0 {
        // An access point cuts frames that do not fit; their parts are not put together.
        _ if first & IS_FRAGMENT != 0 => Inner::Other(Unread::TunnelContent),
        false => Inner::Ethernet,
        true if binding == IEEE_802_11 => Inner::Wireless,
        true => Inner::Other(Unread::TunnelContent),
    };
    Ok(enter(layers, "capwap", None, inner))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const RAW: LinkType = LinkType::RAW;

    const HEADER: [u8; 8] = [0, 0x10, 0, 0, 0, 0, 0, 0]; // two words, 802.3

    fn capwap(header: &[u8], inner: &[u8]) -> Vec<u8> {
        in_udp(5247, 50_000, &[header, inner])
    }

    fn wireless() -> Vec<u8> {
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        [&[0x08, 0x01][..], &[0; 22], &snap, &ipv4()].concat()
    }

    #[test]
    fn both_kinds_of_frames_are_read() {
        accepts(RAW, &capwap(&HEADER, &frame()), &["capwap"]);
        let native = [0, 0x10, 0x03, 0, 0, 0, 0, 0];
        accepts(RAW, &capwap(&native, &wireless()), &["capwap"]);
        let mut swapped = wireless();
        swapped.swap(0, 1);
        accepts(RAW, &capwap(&native, &swapped), &["capwap"]);
        let radio = [&with(&HEADER, 1, 0x20)[..], &[6, 1, 2, 3, 4, 5, 6, 0]].concat();
        accepts(RAW, &capwap(&radio, &frame()), &["capwap"]);
    }

    #[test]
    fn fragments_keep_alives_and_encrypted_frames_are_not_read() {
        rejects(RAW, &capwap(&with(&HEADER, 3, 0x80), &frame()));
        rejects(RAW, &capwap(&with(&HEADER, 3, 0x08), &frame()));
        is_plain_udp(&capwap(&with(&HEADER, 0, 0x01), &frame()));
        is_plain_udp(&capwap(&with(&HEADER, 3, 0x01), &frame()));
        is_plain_udp(&capwap(&with(&HEADER, 1, 0x08), &frame()));
    }
}
