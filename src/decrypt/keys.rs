//! Secrets, shared between the readers of key logs and the connections that need them.

#![expect(clippy::disallowed_types, reason = "secrets arrive during a run")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::time::Timestamp;

use super::keylog::{ClientRandom, KeyLog, KeyLogCounts, Label, Secret};

/// The secrets of a run, as one worker sees them.
///
/// Clones see the same secrets. A [`Keys::view`] shares them too, but counts turns of
/// its own: a worker that lags behind the reader of a capture sees only the secrets
/// that stand before its current packets. So what is decrypted does not depend on the
/// number of workers.
///
/// Until the first secret is found, a lookup takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<View>);

#[derive(Debug, Default)]
struct View {
    shared: Arc<Shared>,
    turn: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    log: RwLock<KeyLog>,
    /// The turn in which the first secret came.
    first_turn: AtomicU64,
    is_growing: AtomicBool,
}

/// No secret has come.
const NEVER: u64 = u64::MAX;

impl Default for Shared {
    fn default() -> Self {
        Self {
            log: RwLock::default(),
            first_turn: AtomicU64::new(NEVER),
            is_growing: AtomicBool::new(false),
        }
    }
}

impl Keys {
    /// The same secrets, with turns counted from zero.
    #[must_use]
    pub fn view(&self) -> Self {
        Self(Arc::new(View {
            shared: Arc::clone(&self.0.shared),
            turn: AtomicU64::new(0),
        }))
    }

    /// Keeps to `bytes` of memory: the oldest secrets are forgotten for new ones.
    pub fn keep_within(&self, bytes: usize) {
        self.lock().keep_within(bytes);
    }

    /// Notes that more secrets may come until the end of the run.
    ///
    /// Records that arrive before their secret then wait for it, within a limit, and
    /// secrets are wiped some time after their connection has ended.
    pub fn expect_more(&self) {
        self.0.shared.is_growing.store(true, Ordering::Release);
    }

    /// Whether more secrets are expected; see [`Keys::expect_more`].
    #[must_use]
    pub fn is_growing(&self) -> bool {
        self.0.shared.is_growing.load(Ordering::Acquire)
    }

    /// Begins the next turn: once for each batch of packets.
    pub fn advance(&self) {
        self.0.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the next part of a key log's text; see [`KeyLog::absorb`].
    pub fn absorb(&self, text: &[u8]) {
        self.change(|log| log.absorb(text));
    }

    /// Notes that the text has ended; see [`KeyLog::finish`].
    pub fn finish(&self) {
        self.change(KeyLog::finish);
    }

    /// Takes a whole key log's text.
    pub fn absorb_all(&self, text: &[u8]) {
        self.change(|log| {
            log.absorb(text);
            log.finish();
        });
    }

    /// Whether any secret has come by this view's turn.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let first = self.0.shared.first_turn.load(Ordering::Acquire);
        first != NEVER && first <= self.0.turn.load(Ordering::Relaxed)
    }

    /// A connection's secret, if it has come by this view's turn.
    #[must_use]
    pub fn find(&self, random: &ClientRandom, label: Label) -> Option<Secret> {
        if !self.has_secrets() {
            return None;
        }
        let log = self.0.shared.log.read();
        log.unwrap_or_else(PoisonError::into_inner)
            .find(random, label, self.0.turn.load(Ordering::Relaxed))
            .cloned()
    }

    /// Notes that a connection ended; see [`KeyLog::retire`].
    pub fn retire(&self, random: &ClientRandom, at: Timestamp) {
        self.lock().retire(random, at);
    }

    /// Wipes secrets that are no longer needed; see [`KeyLog::expire`]. Does nothing unless more are expected: otherwise
    /// none are retired.
    pub fn expire(&self, now: Timestamp) {
        if self.is_growing() {
            self.lock().expire(now);
        }
    }

    /// Takes `lines` out of the count of malformed lines: those of a file that turned out to be no key log.
    pub fn uncount_malformed(&self, lines: u64) {
        self.lock().uncount_malformed(lines);
    }

    /// Counts of the lines of key logs.
    #[must_use]
    pub fn counts(&self) -> KeyLogCounts {
        let log = self.0.shared.log.read();
        log.unwrap_or_else(PoisonError::into_inner).counts()
    }

    fn lock(&self) -> RwLockWriteGuard<'_, KeyLog> {
        let log = self.0.shared.log.write();
        log.unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut KeyLog)) {
        let mut log = self.lock();
        let turn = self.0.turn.load(Ordering::Relaxed);
        log.begin_turn(turn);
        change(&mut log);
        if log.counts().secrets > 0 {
            self.0.shared.first_turn.fetch_min(turn, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(random: u8) -> String {
        let hex = |byte: u8, count: usize| format!("{byte:02x}").repeat(count);
        format!("CLIENT_RANDOM {} {}", hex(random, 32), hex(2, 48))
    }

    #[test]
    fn a_view_sees_secrets_from_the_turn_in_which_they_came() {
        let reader = Keys::default();
        let worker = reader.view();
        reader.absorb_all(line(1).as_bytes());
        reader.advance();
        reader.absorb_all(line(2).as_bytes());
        let sees = |keys: &Keys, random: u8| keys.find(&[random; 32], Label::Master).is_some();
        assert!(sees(&reader, 1) && sees(&reader, 2));
        assert!(sees(&worker, 1) && !sees(&worker, 2));
        worker.advance();
        assert!(sees(&worker, 2));
    }

    #[test]
    fn a_view_has_no_secrets_before_the_turn_of_the_first() {
        let reader = Keys::default();
        let worker = reader.view();
        reader.advance();
        reader.absorb_all(line(1).as_bytes());
        assert!(reader.has_secrets() && !worker.has_secrets());
        worker.advance();
        assert!(worker.has_secrets());
    }

    #[test]
    fn clones_go_through_turns_together() {
        let keys = Keys::default();
        let clone = keys.clone();
        keys.advance();
        keys.absorb_all(line(1).as_bytes());
        assert!(clone.find(&[1; 32], Label::Master).is_some());
        assert!(!Keys::default().has_secrets());
    }
}
