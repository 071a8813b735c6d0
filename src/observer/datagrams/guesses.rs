//! How many wrong keys may be guessed.

use crate::time::Timestamp;

/// Wrong keys that may be guessed in a second for QUIC of versions that are not known: those of all shards together take some
/// 5 % of a core. Right ones cost nothing, so real clients are not refused unless a flood hides them.
const MAX_WRONG_GUESSES: u32 = 64;

/// In nanoseconds: a second, and how far packets may be out of order.
const SECOND: i64 = 1_000_000_000;

const MAX_DISORDER: i64 = 60 * SECOND;

/// What may be guessed in a second of packet time.
#[derive(Debug, Default)]
pub(super) struct GuessBudget {
    pub(super) since: Timestamp,
    pub(super) wrong: u32,
}

impl GuessBudget {
    /// Whether there is some left.
    pub(super) fn has_some(&mut self, now: Timestamp) -> bool {
        // Packets may be a little out of order, and captures are glued together.
        let elapsed = now.nanoseconds_since(self.since);
        if !(-MAX_DISORDER..SECOND).contains(&elapsed) {
            *self = Self {
                since: now,
                wrong: 0,
            };
        }
        self.wrong < MAX_WRONG_GUESSES
    }
}
