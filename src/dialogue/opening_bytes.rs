//! The first bytes of a connection that did not begin with TLS, for people to recognise what it was.

use std::fmt;

use crate::flow::Direction;

/// Bytes that are kept: a request line, or a greeting.
const MAX_BYTES: usize = 40;

/// The first bytes of a connection, and the direction that sent them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OpeningBytes {
    sender: Direction,
    bytes: [u8; MAX_BYTES],
    length: u8,
    is_cut: bool,
}

impl OpeningBytes {
    pub(super) const fn new(sender: Direction) -> Self {
        Self {
            sender,
            bytes: [0; MAX_BYTES],
            length: 0,
            is_cut: false,
        }
    }

    pub(super) fn take(&mut self, sender: Direction, bytes: &[u8]) {
        let length = usize::from(self.length);
        if sender != self.sender || self.is_cut {
            return;
        }
        let taken = bytes.len().min(MAX_BYTES - length);
        self.bytes[length..length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken as u8;
        self.is_cut = taken < bytes.len();
    }

    /// Whether nothing that follows is kept.
    pub(super) const fn is_full(&self) -> bool {
        self.is_cut
    }

    /// The direction that spoke first.
    #[must_use]
    pub const fn sender(&self) -> Direction {
        self.sender
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// Whether they look like a record of TLS, as after a hello that the capture lacks.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(self.bytes(), [20..=24, 3, 0..=4, ..])
    }

    /// Whether they are nothing but zeros, as padding is.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == 0)
    }
}

/// In quotes, safe for a terminal: bytes that are not printable ASCII are escaped, as in `\r\n` and `\x80`.
impl fmt::Display for OpeningBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ellipsis = if self.is_cut { "…" } else { "" };
        write!(f, "\"{}{ellipsis}\"", self.bytes().escape_ascii())
    }
}

impl fmt::Debug for OpeningBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningBytes({:?}, {self})", self.sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Direction = Direction::Forward;

    fn opening(runs: &[&[u8]]) -> OpeningBytes {
        let mut opening = OpeningBytes::new(UP);
        runs.iter().for_each(|run| opening.take(UP, run));
        opening
    }

    #[test]
    fn they_are_collected_from_several_runs_of_the_side_that_spoke_first() {
        let mut opening = opening(&[b"GE", b"T / "]);
        opening.take(Direction::Reverse, b"HTTP/1.1 400");
        opening.take(UP, b"HTTP/1.1");
        assert_eq!(opening.to_string(), "\"GET / HTTP/1.1\"");
    }

    #[test]
    fn they_are_safe_for_a_terminal_and_cut() {
        let text = opening(&[b"\x1b[2J\"\xe2\x80\xae\r\n", &[b'a'; 100]]).to_string();
        assert!(
            text.starts_with(r#""\x1b[2J\"\xe2\x80\xae\r\naaa"#),
            "{text}"
        );
        assert!(text.ends_with("a…\""));
        assert!(text.chars().count() < 80);
    }

    #[test]
    fn padding_and_records_are_recognised() {
        assert!(opening(&[&[0; 6]]).is_blank());
        assert!(!opening(&[&[0, 0, 1]]).is_blank());
        assert!(opening(&[&[23, 3, 3, 0, 9]]).is_record());
        assert!(!opening(&[b"GET"]).is_record());
    }
}
