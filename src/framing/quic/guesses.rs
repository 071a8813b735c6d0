//! Versions that are not known, whose keys are guessed.

use crate::transport::quic::QuicVersion;

/// Keys that are guessed for one connection of an unknown version: those of three versions that lend theirs, for the client's first
/// packets and the server's answer.
const MAX_GUESSES: u8 = 12;

/// Keys that are guessed for packets of a version that is not known. To derive keys and to try them costs some 50 µs, and
/// anybody can send what looks like such a packet.
#[derive(Debug)]
pub(super) struct Guesses {
    /// How many more this connection may take.
    pub(super) left: u8,
    /// Whether the run has any to spare.
    pub(super) are_allowed: bool,
    /// Those that opened nothing.
    pub(super) wrong: u32,
    /// Those that were not made.
    pub(super) refused: u64,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            left: MAX_GUESSES,
            are_allowed: true,
            wrong: 0,
            refused: 0,
        }
    }
}

impl Guesses {
    /// Takes one; false if there is none.
    pub(super) const fn take(&mut self) -> bool {
        if !self.are_allowed || self.left == 0 {
            self.refused += 1;
            return false;
        }
        self.left -= 1;
        true
    }
}

/// The versions whose keys may protect a packet of `version`. What is not known, reserved versions above all, was seen to
/// borrow those of others.
pub(super) fn like(version: QuicVersion) -> impl Iterator<Item = QuicVersion> {
    const LENDERS: [QuicVersion; 3] = [
        QuicVersion::V1,
        QuicVersion(0xff00_001d),
        QuicVersion(0xff00_001b),
    ];
    let own = version.is_supported().then_some(version);
    let borrowed = LENDERS.into_iter().filter(move |_| own.is_none());
    own.into_iter().chain(borrowed)
}
