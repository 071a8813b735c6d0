//! The memory of one shard: what its flows have allocated, by kind, and what each kind may.
//!
//! Sizes are counted where something is allocated or freed, and never by a walk over the flows. Kinds have ceilings of their own, so
//! that none can take the room of handshakes: what is left by the others is at least [`FLOOR_OF_HANDSHAKES`] of the limit.
//!
//! # Why is a part of the memory shared by all shards?
//!
//! The addresses of a datagram choose its shard, as ports may change in mid-connection. So all handshakes over UDP between two hosts (a
//! proxy and its origin, clients behind one NAT, two hosts of a laboratory) are in one shard, and a fixed slice for each would be full while
//! nearly all of the memory is free. Each shard has a part of its own, which nothing can take from it, and borrows from a
//! [`SharedRoom`] what it needs beyond that. All parts and the shared room together are the limit, so the sum never exceeds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::boxed;

use super::flow::Open;

/// Bytes that any shard may borrow, one part at a time.
#[derive(Clone, Debug)]
pub(crate) struct SharedRoom {
    free: Arc<AtomicUsize>,
    size: usize,
}

impl SharedRoom {
    /// The room that shards share which together may take `bytes`.
    pub(crate) fn of(bytes: usize) -> Self {
        let size = bytes / 16 * OF_SHARED;
        Self {
            free: Arc::new(AtomicUsize::new(size)),
            size,
        }
    }

    /// Takes some bytes; false, with nothing taken, if fewer are free.
    fn take(&self, bytes: usize) -> bool {
        // Only a count: nothing else is published with it.
        let take = |free: usize| free.checked_sub(bytes);
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }

    fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }
}

/// Bytes that the parts of a shard hold.
#[derive(Debug)]
pub(super) struct Account {
    /// The shard's share, of which the kinds have theirs.
    limit: usize,
    shared: SharedRoom,
    /// Bytes taken from what is shared.
    borrowed: usize,
    /// Open handshakes: their record, hellos, messages, and records that wait for keys.
    pub(super) handshakes: usize,
    /// Packets that are retained for handshakes that may fail.
    pub(super) retained: usize,
    /// Connections without TLS so far of which the first bytes are kept.
    pub(super) conversations: usize,
}

/// Of the limit, in sixteenths: the table of flows, what was spoken before TLS, segments out of order, retained packets,
/// conversations over UDP, SYNs, connections that have ended, and what all shards share.
const OF_FLOWS: usize = 4;
const OF_CONVERSATIONS: usize = 1;
const OF_SEGMENTS: usize = 2;
const OF_RETAINED: usize = 2;
const OF_DATAGRAMS: usize = 1;
const OF_OPENINGS: usize = 1;
const OF_CLOSED: usize = 1;
const OF_SHARED: usize = 3;
/// What is left for handshakes whatever the others take, in addition to what is shared.
const FLOOR_OF_HANDSHAKES: usize = 16
    - OF_FLOWS
    - OF_CONVERSATIONS
    - OF_SEGMENTS
    - OF_RETAINED
    - OF_DATAGRAMS
    - OF_OPENINGS
    - OF_CLOSED
    - OF_SHARED;
const _: () = assert!(FLOOR_OF_HANDSHAKES >= 1 && FLOOR_OF_HANDSHAKES + OF_SHARED >= 3);

/// Shards borrow in parts of this size, so that most packets need no look at what is shared.
const PART: usize = 32 << 10;

impl Account {
    /// The account of a shard whose share is `limit` bytes, a part of which is in what all shards share.
    pub(super) const fn new(limit: usize, shared: SharedRoom) -> Self {
        Self {
            limit,
            shared,
            borrowed: 0,
            handshakes: 0,
            retained: 0,
            conversations: 0,
        }
    }

    /// Bytes that nothing can take from this shard.
    const fn own(&self) -> usize {
        self.limit / 16 * (16 - OF_SHARED)
    }

    /// Bytes that the table of flows may take.
    pub(super) const fn for_flows(&self) -> usize {
        self.limit / 16 * OF_FLOWS
    }

    /// Whether what was spoken before TLS takes more than it may.
    pub(super) const fn is_talkative(&self) -> bool {
        self.conversations > self.limit / 16 * OF_CONVERSATIONS
    }

    /// Bytes that segments out of order may take.
    pub(super) const fn for_segments(&self) -> usize {
        self.limit / 16 * OF_SEGMENTS
    }

    /// Bytes that retained packets may take.
    pub(super) const fn for_retained(&self) -> usize {
        self.limit / 16 * OF_RETAINED
    }

    /// Bytes that SYNs without an answer may take.
    pub(super) const fn for_openings(&self) -> usize {
        self.limit / 16 * OF_OPENINGS
    }

    /// Bytes that the keys of connections that have ended may take.
    pub(super) const fn for_closed(&self) -> usize {
        self.limit / 16 * OF_CLOSED
    }

    /// Bytes that conversations and logins over UDP may take whatever else there is. What they take beyond that is the first to
    /// be given up when memory is short.
    pub(super) const fn for_datagrams(&self) -> usize {
        self.limit / 16 * OF_DATAGRAMS
    }

    /// Whether all together is more than this shard has, and can borrow; `others` are bytes that are counted elsewhere.
    #[inline]
    pub(super) fn is_over(&mut self, others: usize) -> bool {
        let needed = self.used(others).saturating_sub(self.own());
        if needed > self.borrowed {
            return !self.borrow(needed);
        }
        if self.borrowed - needed > 2 * PART {
            self.give_back(needed);
        }
        false
    }

    /// Borrows until so many bytes are; false if too few are free.
    #[cold]
    fn borrow(&mut self, needed: usize) -> bool {
        let missing = needed - self.borrowed;
        let in_parts = missing.next_multiple_of(PART);
        let Some(taken) = [in_parts, missing]
            .into_iter()
            .find(|bytes| self.shared.take(*bytes))
        else {
            return false;
        };
        self.borrowed += taken;
        true
    }

    /// Gives back what is not needed, but for a part that the next packet may need.
    #[cold]
    fn give_back(&mut self, needed: usize) {
        let kept = needed.next_multiple_of(PART);
        self.shared.give_back(self.borrowed - kept);
        self.borrowed = kept;
    }

    /// Bytes that this shard could take in addition to what is used now.
    pub(super) fn room(&self, others: usize) -> usize {
        (self.own() + self.borrowed + self.shared.free()).saturating_sub(self.used(others))
    }

    /// Whether so much is used that handshakes nobody answers should not wait for long.
    pub(super) fn is_high(&self, others: usize) -> bool {
        self.used(others) > self.own() / 4 * 3 && self.shared.free() < self.shared.size / 4
    }

    pub(super) const fn used(&self, others: usize) -> usize {
        self.handshakes + self.retained + self.conversations + others
    }
}

/// Bytes of an open handshake before it holds anything.
pub(super) const HANDSHAKE: usize = boxed::<Open>();

/// Bytes that an open handshake without an answer hardly takes: its record, and a hello with the largest key shares in use.
pub(super) const LARGE_HANDSHAKE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use crate::transport::tcp::ClosedFlows;

    use super::super::flows::Flows;
    use super::super::openings::Openings;
    use super::*;

    /// Two shards of 64 MiB together with what they share.
    fn two_accounts() -> [Account; 2] {
        let shared = SharedRoom::of(64 << 20);
        [(); 2].map(|()| Account::new(32 << 20, shared.clone()))
    }

    #[test]
    fn an_account_is_high_before_it_is_over() {
        let [mut account, _] = two_accounts();
        let all = (26 + 12) << 20;
        account.handshakes = all / 20 * 19;
        assert!(!account.is_over(0) && account.is_high(0));
        assert!(!account.is_over(all / 20));
        assert!(account.is_over(all / 20 + PART));
        account.handshakes = all / 2;
        assert!(!account.is_over(0) && !account.is_high(0));
    }

    #[test]
    fn a_shard_borrows_what_others_leave_and_never_what_is_theirs() {
        let [mut one, mut two] = two_accounts();
        one.handshakes = 38 << 20;
        assert!(!one.is_over(0));
        assert!(one.is_over(1));
        two.handshakes = 26 << 20;
        assert!(!two.is_over(0), "its own part is still there");
        assert!(two.is_over(1), "what is shared is taken");
        assert_eq!(two.room(0), 0);
        one.handshakes = 1 << 20;
        assert!(!one.is_over(0));
        two.handshakes = 38 << 20;
        assert!(!two.is_over(0), "what was given back can be borrowed");
        assert!(two.is_over(1));
    }

    #[test]
    fn all_shards_together_have_no_more_than_the_limit() {
        let shared = SharedRoom::of(64 << 20);
        let mut accounts = [(); 16].map(|()| Account::new(4 << 20, shared.clone()));
        let mut taken = 0;
        for account in &mut accounts {
            while !account.is_over(1 << 10) {
                account.handshakes += 1 << 10;
            }
            taken += account.handshakes;
        }
        assert!((63 << 20..=64 << 20).contains(&taken), "{taken}");
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_documented_sizes_are_the_real_ones() {
        // docs/limits.md, "What things take".
        let documented = [
            (85, Openings::BYTES_PER_OPENING),
            (310, Flows::BYTES_PER_FLOW),
            (100, Flows::BYTES_AT_REST),
            (1_900, HANDSHAKE),
            (85, ClosedFlows::BYTES_PER_FLOW),
        ];
        for (about, real) in documented {
            let range = about * 9 / 10..=about * 11 / 10;
            assert!(range.contains(&real), "{about}: {documented:?}");
        }
    }
}
