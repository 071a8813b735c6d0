//! The frames of Google's versions T050 and T051: QUIC packets and TLS inside, but still the frames of Google's own QUIC.
//!
//! No RFC describes them. What is here was found in opened Initial packets of Chrome and of Google's servers.

use super::cursor::Cursor;
use super::frame::Frame;

/// Reads the next frame; `None` if it is none of those that Initial packets hold.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Frame<'a>> {
    Some(match cursor.u8()? {
        // PADDING fills the rest of the packet.
        0x00 => {
            *cursor = Cursor::new(&[]);
            Frame::Padding
        }
        0x07 => Frame::Ping,
        0x08 => Frame::Crypto {
            offset: cursor.varint()?,
            data: cursor.vector()?,
        },
        frame_type @ 0x40..=0x7f => read_ack(cursor, frame_type)?,
        _ => return None,
    })
}

/// An ACK. Its type says whether there is more than one range of packet numbers, and how long numbers are.
fn read_ack<'a>(cursor: &mut Cursor<'a>, frame_type: u8) -> Option<Frame<'a>> {
    const LENGTHS: [usize; 4] = [1, 2, 4, 6];
    let has_ranges = frame_type & 0x20 != 0;
    let largest_length = LENGTHS[usize::from(frame_type >> 2 & 3)];
    let range_length = LENGTHS[usize::from(frame_type & 3)];

    let largest = cursor.take(largest_length)?;
    cursor.take(2)?; // delay
    let ranges = if has_ranges { cursor.u8()? } else { 0 };
    cursor.take(range_length)?; // the first range
    cursor.take(usize::from(ranges) * (1 + range_length))?;
    let times = usize::from(cursor.u8()?);
    if times > 0 {
        cursor.take(5 + 3 * (times - 1))?;
    }
    let number = |number, byte: &u8| number << 8 | u64::from(*byte);
    Some(Frame::Ack {
        largest: largest.iter().fold(0, number),
    })
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frames;
    use super::super::version::QuicVersion;
    use super::*;

    #[test]
    fn frames_of_a_servers_initial_packet_are_read_in_order() {
        let content = [
            0x40, 1, 0, 0, 1, 0, // ACK of packet 1
            // ACK of 0x104 with a second range and a time
            0x65, 1, 4, 0, 0, 1, 0, 1, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0x08, 0, 0x40, 3, 1, 2,
            3, // CRYPTO at 0
            0x07, 0, 9, 9, // PING, PADDING up to the end
        ];
        let data = &[1, 2, 3];
        let expected = [
            Frame::Ack { largest: 1 },
            Frame::Ack { largest: 0x104 },
            Frame::Crypto { offset: 0, data },
            Frame::Ping,
            Frame::Padding,
        ];
        let frames = |content| Frames::new(QuicVersion::T051, content).collect::<Vec<_>>();
        assert_eq!(frames(&content), expected);
        for length in 0..content.len() {
            let cut = frames(&content[..length]);
            assert!(expected.starts_with(&cut), "{length} bytes: {cut:?}");
        }
    }

    #[test]
    fn what_follows_a_frame_of_an_unknown_type_is_not_read() {
        let content = [0x08, 0, 1, 1, 0x20, 0x07];
        assert_eq!(Frames::new(QuicVersion::T050, &content).count(), 1);
    }
}
