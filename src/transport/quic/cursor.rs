//! A cursor over the bytes of a packet. Each method gives `None` if too few bytes are left, and then takes nothing.

/// Bytes from which values are taken off the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// A number of 6, 14, 30 or 62 bits (RFC 9000 §16).
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let length = 1_usize << (first >> 6);
        let [first, rest @ ..] = self.take(length)? else {
            return None;
        };
        Some(rest.iter().fold(u64::from(first & 0x3f), |number, byte| {
            number << 8 | u64::from(*byte)
        }))
    }

    /// As many bytes as the number before them says.
    pub(super) fn vector(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = usize::try_from(ahead.varint()?).ok()?;
        let bytes = ahead.take(length)?;
        *self = ahead;
        Some(bytes)
    }

    /// Skips the bytes at the front that are `byte`.
    pub(super) fn skip_run(&mut self, byte: u8) {
        let run = self.0.iter().take_while(|next| **next == byte).count();
        self.0 = &self.0[run..];
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Option<u64> {
        Cursor::new(bytes).varint()
    }

    #[test]
    fn the_numbers_of_rfc_9000_appendix_a1_are_decoded() {
        let longest = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(varint(&longest), Some(151_288_809_941_952_652));
        assert_eq!(varint(&[0x9d, 0x7f, 0x3e, 0x7d]), Some(494_878_333));
        assert_eq!(varint(&[0x7b, 0xbd]), Some(15_293));
        assert_eq!(varint(&[0x25]), Some(37));
        assert_eq!(varint(&[0x40, 0x25]), Some(37));
        for length in 0..longest.len() {
            assert_eq!(varint(&longest[..length]), None);
        }
    }

    #[test]
    fn a_failed_vector_takes_nothing() {
        let mut cursor = Cursor::new(&[3, 1, 2]);
        assert_eq!(cursor.vector(), None);
        assert_eq!(cursor.len(), 3);
        let mut cursor = Cursor::new(&[2, 1, 2, 9]);
        assert_eq!(cursor.vector(), Some(&[1, 2][..]));
        assert_eq!(cursor.rest(), [9]);
    }
}
