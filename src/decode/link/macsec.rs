//! 802.1AE (MACsec) that protects integrity and does not encrypt.

use super::super::DecodeError;
use super::super::cursor::Cursor;

/// In the first byte: the version, which is 0; that an identifier of eight bytes follows; that the content is encrypted, or changed
/// in another way.
const VERSION: u8 = 0x80;
const HAS_CHANNEL: u8 = 0x20;
const ENCRYPTED: u8 = 0x08;
const CHANGED: u8 = 0x04;

/// Takes the security tag off the cursor; true if the frame goes on with an EtherType in the clear.
///
/// The check value at the end of the frame stays: it lies behind the IP packet, whose length leaves it out.
pub(super) fn is_in_clear(cursor: &mut Cursor<'_>) -> Result<bool, DecodeError> {
    let [flags, _, _, _, _, _] = cursor.take_array()?; // then a short length and a packet number
    if flags & (VERSION | ENCRYPTED | CHANGED) != 0 {
        return Ok(false);
    }
    if flags & HAS_CHANNEL != 0 {
        cursor.take(8)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::capture::LinkType;

    #[test]
    fn frames_are_read_unless_they_are_encrypted() {
        let tag = [0x20, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
        let secured = |tag: &[u8]| {
            let content = [tag, &[8, 0], &ipv4(), &[9; 16]].concat();
            ethernet(0x88e5, &content)
        };
        accepts(LinkType::ETHERNET, &secured(&tag), &[]);
        accepts(LinkType::ETHERNET, &secured(&with(&tag[..6], 0, 0)), &[]);
        for changed in [0x2c, 0x24, 0xa0] {
            rejects(LinkType::ETHERNET, &secured(&with(&tag, 0, changed)));
        }
    }
}
