//! Connection ids.

use std::fmt;

/// The id that a receiver of packets chose for its connection: up to 20 bytes, and none if the addresses are enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId {
    length: u8,
    bytes: [u8; Self::MAX],
}

impl ConnectionId {
    /// The longest id of the versions that are supported (RFC 9000 §17.2).
    pub(crate) const MAX: usize = 20;

    /// `None` if it is longer than an id can be.
    pub(crate) fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self {
            length: id.len() as u8,
            bytes,
        })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    pub(crate) const fn len(&self) -> usize {
        self.length as usize
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_up_to_twenty_bytes() {
        let longest = ConnectionId::new(&[7; 20]).unwrap();
        assert_eq!(longest.as_slice(), [7; 20]);
        assert_eq!(ConnectionId::new(&[7; 21]), None);
        let empty = ConnectionId::new(&[]).unwrap();
        assert!(empty.is_empty() && empty.as_slice().is_empty());
        assert_ne!(ConnectionId::new(&[0]), Some(empty));
    }
}
