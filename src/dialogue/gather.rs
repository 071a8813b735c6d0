//! The first bytes of a message that comes in any number of pieces.

/// Bytes of a message, as far as they have come and are of interest.
#[derive(Debug, Default)]
pub(super) struct Gather(Vec<u8>);

impl Gather {
    /// Bytes that one is asked to gather at most: the longest name of SOCKS 5 with what surrounds it, and the beginnings of
    /// other messages.
    pub(super) const MOST: usize = 320;

    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets what has come, before the next message.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes bytes from the front of `input` until there are `length`; `None` if there are fewer.
    pub(super) fn until(&mut self, input: &mut &[u8], length: usize) -> Option<&[u8]> {
        let missing = length.min(Self::MOST).saturating_sub(self.0.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.0.extend_from_slice(taken);
        *input = rest;
        (self.0.len() >= length).then_some(&self.0[..])
    }

    /// Takes bytes from the front of `input` up to and with `end`, of which the first `most` are kept; `None` if it has not come
    /// yet.
    pub(super) fn up_to(&mut self, input: &mut &[u8], end: u8, most: usize) -> Option<&[u8]> {
        let found = memchr::memchr(end, input);
        let (taken, rest) = input.split_at(found.map_or(input.len(), |at| at + 1));
        let room = most.min(Self::MOST).saturating_sub(self.0.len());
        self.0.extend_from_slice(&taken[..taken.len().min(room)]);
        *input = rest;
        found.map(|_| &self.0[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_any_pieces_and_the_rest_is_left() {
        let mut gather = Gather::new();
        let mut input = &b"ab"[..];
        assert_eq!(gather.until(&mut input, 3), None);
        let mut input = &b"cd"[..];
        assert_eq!(gather.until(&mut input, 3), Some(&b"abc"[..]));
        assert_eq!(input, b"d");
    }

    #[test]
    fn no_more_is_kept_than_asked_for() {
        let mut gather = Gather::new();
        let mut input = &b"abcdefgh\nxy"[..];
        assert_eq!(gather.up_to(&mut input, b'\n', 4), Some(&b"abcd"[..]));
        assert_eq!(input, b"xy");
        let mut gather = Gather::new();
        assert_eq!(gather.until(&mut &[0; 1000][..], 900), None);
        assert_eq!(gather.len(), Gather::MOST);
    }
}
