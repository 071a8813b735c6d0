//! Bytes as lower-case hexadecimal digits.

use std::fmt;

/// Prints bytes as two lower-case hexadecimal digits each.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

/// Bytes printed at a time: a SHA-256 at once.
pub(crate) const BLOCK: usize = 32;

impl Hex<'_> {
    /// The digits of at most [`BLOCK`] bytes, written into `text`; further bytes are left out.
    pub(crate) fn digits<'t>(&self, text: &'t mut [u8; 2 * BLOCK]) -> &'t str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let length = 2 * self.0.len().min(BLOCK);
        std::str::from_utf8(&text[..length]).unwrap_or_default() // ASCII
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 2 * BLOCK];
        let mut blocks = self.0.chunks(BLOCK);
        blocks.try_for_each(|block| f.write_str(Hex(block).digits(&mut text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_two_digits() {
        assert_eq!(Hex(&[0x00, 0x1f, 0xa0]).to_string(), "001fa0");
        assert_eq!(Hex(&[]).to_string(), "");
    }

    #[test]
    fn all_blocks_are_printed() {
        assert_eq!(Hex(&[0xab; 3 * BLOCK + 1]).to_string(), "ab".repeat(97));
    }
}
