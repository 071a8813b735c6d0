//! A cursor over bytes that takes values off the front and never runs past the end.

use std::borrow::Cow;
use std::fmt;

/// Bytes as text, as far as they are: names are nearly always ASCII, which takes no look at each character.
pub(super) fn lossy_text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Why bytes cannot be read as what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// All bytes so far fit, but there must be more.
    Incomplete,
    /// More bytes will not help; the field that breaks a rule.
    Invalid(&'static str),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("more bytes are needed"),
            Self::Invalid(field) => write!(f, "{field} breaks a rule"),
        }
    }
}

impl std::error::Error for ReadError {}

/// A cursor over borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Takes `length` bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if fewer are left; nothing is taken then.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(ReadError::Incomplete)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] at the end.
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        self.take(1).map(|taken| taken[0])
    }

    /// Takes a 16-bit number in network byte order.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if fewer than 2 bytes are left.
    pub fn u16(&mut self) -> Result<u16, ReadError> {
        self.take(2)
            .map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// Takes a 24-bit number in network byte order.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if fewer than 3 bytes are left.
    pub fn u24(&mut self) -> Result<usize, ReadError> {
        self.take(3).map(|taken| {
            usize::from(taken[0]) << 16 | usize::from(taken[1]) << 8 | usize::from(taken[2])
        })
    }

    /// Takes a vector with an 8-bit length before it: `opaque v<0..2^8-1>`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the length reaches past the end.
    pub fn vector_u8(&mut self) -> Result<Self, ReadError> {
        let length = self.u8()?;
        self.take(usize::from(length)).map(Self::new)
    }

    /// Takes a vector with a 16-bit length before it: `opaque v<0..2^16-1>`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the length reaches past the end.
    pub fn vector_u16(&mut self) -> Result<Self, ReadError> {
        let length = self.u16()?;
        self.take(usize::from(length)).map(Self::new)
    }

    /// Takes a vector with a 24-bit length before it: `opaque v<0..2^24-1>`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the length reaches past the end.
    pub fn vector_u24(&mut self) -> Result<Self, ReadError> {
        let length = self.u24()?;
        self.take(length).map(Self::new)
    }

    /// Takes all 16-bit numbers that are left; an odd byte at the end is ignored.
    pub fn u16_list(&mut self) -> impl Iterator<Item = u16> + use<'a> {
        let (pairs, _) = std::mem::take(&mut self.bytes).as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// Takes all that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes;
        self.bytes = &[];
        rest
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_numbers_and_vectors() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 0, 3, 2, 7, 8, 0, 1, 9]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u24(), Ok(3));
        assert_eq!(
            reader.vector_u8().map(|mut vector| vector.rest()),
            Ok(&[7, 8][..])
        );
        assert_eq!(
            reader.vector_u16().map(|mut vector| vector.rest()),
            Ok(&[9][..])
        );
        assert!(reader.is_empty());
    }

    #[test]
    fn a_vector_cannot_reach_past_the_end() {
        assert_eq!(
            Reader::new(&[3, 1, 2]).vector_u8().err(),
            Some(ReadError::Incomplete)
        );
        assert_eq!(
            Reader::new(&[0, 3, 1, 2]).vector_u16().err(),
            Some(ReadError::Incomplete)
        );
        assert_eq!(
            Reader::new(&[0, 0, 3, 1, 2]).vector_u24().err(),
            Some(ReadError::Incomplete)
        );
    }

    #[test]
    fn a_failed_take_takes_nothing() {
        let mut reader = Reader::new(&[1, 2]);
        assert_eq!(reader.take(3), Err(ReadError::Incomplete));
        assert_eq!(reader.len(), 2);
    }
}
