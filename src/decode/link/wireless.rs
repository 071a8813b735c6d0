//! Data frames of 802.11, with or without the radio's own header (Radiotap).

use super::super::cursor::Cursor;
use super::super::{DecodeError, Layer, Layers, Unread};
use super::{Network, ethernet};

/// In the first byte of frame control, behind two bits for the version.
const TYPE: u8 = 0x0c;
const DATA: u8 = 0x08;
/// Kinds of data frames: without data, and with quality of service.
const WITHOUT_DATA: u8 = 0x40;
const HAS_QUALITY: u8 = 0x80;
/// In the second byte of frame control.
const TO_AND_FROM_NETWORK: u8 = 0x03;
const MORE_FRAGMENTS: u8 = 0x04;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// In quality of service: the frame consists of several.
const AGGREGATED: u8 = 0x80;
/// Frame control, duration, three addresses, fragment and sequence numbers.
const HEADER: usize = 24;

/// Reads a frame from its own header on.
pub(super) fn decode(cursor: &mut Cursor<'_>, _: &mut Layers) -> Result<Network, DecodeError> {
    decode_padded(cursor, false)
}

/// Reads the header of the radio, and the frame behind it.
pub(super) fn decode_radiotap(
    cursor: &mut Cursor<'_>,
    _: &mut Layers,
) -> Result<Network, DecodeError> {
    let length = match cursor.bytes() {
        [0, _, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => return Err(DecodeError::Malformed { layer: Layer::Link }),
    };
    let flags = radio_flags(cursor.take(length)?);
    if flags & BAD_CHECKSUM != 0 {
        return Ok(Network::Other(Unread::BrokenHeaders));
    }
    if flags & HAS_CHECKSUM != 0 {
        cursor.limit(cursor.wire_length().saturating_sub(4));
    }
    decode_padded(cursor, flags & IS_PADDED != 0)
}

/// Radiotap: the frame ends with its checksum; its header is padded to four bytes; its checksum is wrong.
const HAS_CHECKSUM: u8 = 0x10;
const IS_PADDED: u8 = 0x20;
const BAD_CHECKSUM: u8 = 0x40;

/// The flags in a Radiotap header; 0 if there are none.
///
/// Words of bits say which fields follow, each aligned to its size. Before the flags there is only a time of eight bytes.
fn radio_flags(header: &[u8]) -> u8 {
    const HAS_TIME: u8 = 0x01;
    const HAS_FLAGS: u8 = 0x02;
    const HAS_MORE_WORDS: u8 = 0x80;
    let words = header.get(4..).unwrap_or_default().chunks_exact(4);
    let Some(first) = words.clone().next() else {
        return 0;
    };
    if first[0] & HAS_FLAGS == 0 {
        return 0;
    }
    let more = words.take_while(|word| word[3] & HAS_MORE_WORDS != 0);
    let mut at = 4 + (more.count() + 1) * 4;
    if first[0] & HAS_TIME != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied().unwrap_or(0)
}

fn decode_padded(cursor: &mut Cursor<'_>, is_padded: bool) -> Result<Network, DecodeError> {
    let header = cursor.take_array::<HEADER>()?;
    // Access points of some vendors swap the two bytes of frame control in CAPWAP. Frames to or from the network, which
    // are those with data, have a bit of the version set then, and the version is always 0.
    let [kind, flags] = match header {
        [flags, kind, ..] if flags & 0x03 != 0 && kind & 0x03 == 0 => [kind, flags],
        [kind, flags, ..] => [kind, flags],
    };
    if kind & 0x03 != 0 {
        return Err(DecodeError::Malformed { layer: Layer::Link });
    }
    if kind & TYPE != DATA || kind & WITHOUT_DATA != 0 {
        return Ok(Network::Other(Unread::WirelessControl));
    }
    let mut length = HEADER;
    if flags & TO_AND_FROM_NETWORK == TO_AND_FROM_NETWORK {
        cursor.take(6)?; // a fourth address, between access points
        length += 6;
    }
    let mut is_aggregated = false;
    if kind & HAS_QUALITY != 0 {
        let [quality, _] = cursor.take_array()?;
        is_aggregated = quality & AGGREGATED != 0;
        length += 2;
        if flags & ORDER != 0 {
            cursor.take(4)?; // high throughput control
            length += 4;
        }
    }
    if is_padded {
        cursor.take(length.next_multiple_of(4) - length)?;
    }
    if flags & MORE_FRAGMENTS != 0 {
        return Ok(Network::Other(Unread::WirelessFragment));
    }
    if is_aggregated && flags & PROTECTED == 0 {
        // Only the first of the frames is read: two addresses and a length come before its content.
        let subframe = cursor.take_array::<14>()?;
        cursor.limit(u16::from_be_bytes([subframe[12], subframe[13]]).into());
    }
    let has_snap_header = |after: &usize| {
        let content = cursor.bytes().get(*after..);
        content.is_some_and(ethernet::has_snap_header)
    };
    if flags & PROTECTED != 0 {
        // A radio that decrypts leaves the flag as it was sent, and some also the number of the packet before the content.
        match [0, 4, 8].into_iter().find(has_snap_header) {
            Some(before) => cursor.take(before)?,
            None => return Ok(Network::Other(Unread::EncryptedWireless)),
        };
    } else if header[22] & 0x0f != 0 && !has_snap_header(&0) {
        // The number of a fragment. Controllers that forward whole frames in CAPWAP fill it with anything.
        return Ok(Network::Other(Unread::WirelessFragment));
    }
    ethernet::logical_link(cursor)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    const WIRELESS: LinkType = LinkType::IEEE802_11;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A frame with a header of 24 bytes, and what else there is of it.
    fn wireless(kind: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
        [&[kind, flags][..], &[0; 22], rest, &SNAP, &ipv4()[..]].concat()
    }

    #[test]
    fn data_is_read_with_all_kinds_of_headers() {
        accepts(WIRELESS, &wireless(0x08, 1, &[]), &[]);
        accepts(WIRELESS, &wireless(0x08, 3, &[7; 6]), &[]);
        accepts(WIRELESS, &wireless(0x88, 2, &[0; 2]), &[]);
        accepts(WIRELESS, &wireless(0x88, 0x83, &[0; 12]), &[]);
        let on_ethernet = ethernet(0x2452, &wireless(0x08, 1, &[]));
        accepts(LinkType::ETHERNET, &on_ethernet, &[]);
    }

    #[test]
    fn the_first_of_several_frames_in_one_is_read() {
        let length = (SNAP.len() + ipv4().len()) as u8;
        let quality_and_subframe = [&[0x80, 0][..], &[5; 12], &[0, length]].concat();
        let frame = wireless(0x88, 1, &quality_and_subframe);
        accepts(WIRELESS, &frame, &[]);
        accepts(WIRELESS, &[frame, vec![0; 40]].concat(), &[]);
    }

    #[test]
    fn frames_that_are_encrypted_or_have_no_data_are_not_read() {
        rejects(WIRELESS, &wireless(0x08, 0x41, &[0; 9]));
        for before in [0, 4, 8] {
            let decrypted = wireless(0x08, 0x41, &vec![0; before]);
            accepts(WIRELESS, &decrypted, &[]);
        }
        rejects(WIRELESS, &wireless(0x48, 1, &[]));
        rejects(WIRELESS, &wireless(0x80, 0, &[])); // a beacon
        rejects(WIRELESS, &wireless(0x08, 5, &[])); // more fragments
        let second_fragment = with(&wireless(0x08, 1, &[]), 22, 1);
        rejects(WIRELESS, &with(&second_fragment, 24, 0));
        accepts(WIRELESS, &second_fragment, &[]); // it begins like a frame: the number means nothing
        rejects(WIRELESS, &wireless(0x09, 0, &[]));
    }

    #[test]
    fn what_the_radio_says_of_a_frame_is_obeyed() {
        let radio = |header: &[u8], frame: &[u8]| [header, frame].concat();
        let frame = wireless(0x08, 1, &[]);
        let with_checksum = [&frame[..], &[9; 4]].concat();
        let padded = wireless(0x88, 1, &[0; 4]);
        let radiotap = LinkType::IEEE802_11_RADIOTAP;
        accepts(radiotap, &radio(&[0, 0, 8, 0, 0, 0, 0, 0], &frame), &[]);
        let flags = |flags| [0, 0, 9, 0, 2, 0, 0, 0, flags];
        accepts(radiotap, &radio(&flags(0x10), &with_checksum), &[]);
        accepts(radiotap, &radio(&flags(0x20), &padded), &[]);
        rejects(radiotap, &radio(&flags(0), &padded));
        rejects(radiotap, &radio(&flags(0x50), &with_checksum));
        // Two words of fields, and a time before the flags.
        let mut timed = [0; 25];
        timed[2] = 25;
        (timed[4], timed[7], timed[24]) = (3, 0x80, 0x50);
        rejects(radiotap, &radio(&timed, &with_checksum));
        accepts(
            radiotap,
            &radio(&with(&timed, 24, 0x10), &with_checksum),
            &[],
        );
        rejects(radiotap, &radio(&[1, 0, 8, 0, 0, 0, 0, 0], &frame));
        rejects(radiotap, &radio(&[0, 0, 255, 255, 0, 0, 0, 0], &frame));
    }
}
