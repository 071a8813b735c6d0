//! The memory of one shard: what its flows have allocated, by kind, and what each kind may.
//!
//! Sizes are counted where something is allocated or freed, and never by a walk over the flows. Kinds have ceilings of their own, so
//! that none can take the room of handshakes: what is left by the others is at least [`FLOOR_OF_HANDSHAKES`] of the limit.

use crate::memory::boxed;

use super::flow::Open;

/// Bytes that the parts of a shard hold.
#[derive(Debug)]
pub(super) struct Account {
    limit: usize,
    /// Open handshakes: their record, hellos, messages, and records that wait for keys.
    pub(super) handshakes: usize,
    /// Packets that are retained for handshakes that may fail.
    pub(super) retained: usize,
    /// Connections without TLS so far of which the first bytes are kept.
    pub(super) conversations: usize,
}

/// Of the limit, in sixteenths: the table of flows, what was spoken before TLS, segments out of order, retained packets,
/// conversations over UDP, SYNs, and connections that have ended.
const OF_FLOWS: usize = 4;
const OF_CONVERSATIONS: usize = 1;
const OF_SEGMENTS: usize = 2;
const OF_RETAINED: usize = 2;
const OF_DATAGRAMS: usize = 2;
const OF_OPENINGS: usize = 1;
const OF_CLOSED: usize = 1;
/// What is left for handshakes whatever the others take.
const FLOOR_OF_HANDSHAKES: usize = 16
    - OF_FLOWS
    - OF_CONVERSATIONS
    - OF_SEGMENTS
    - OF_RETAINED
    - OF_DATAGRAMS
    - OF_OPENINGS
    - OF_CLOSED;
const _: () = assert!(FLOOR_OF_HANDSHAKES >= 3);

impl Account {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            handshakes: 0,
            retained: 0,
            conversations: 0,
        }
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

    /// Bytes that conversations over UDP may take. They count like the tables: handshakes over TCP give way to them, but only
    /// that far.
    pub(super) const fn for_datagrams(&self) -> usize {
        self.limit / 16 * OF_DATAGRAMS - self.for_logins()
    }

    /// Bytes that logins over EAP may take: few hosts have so many datagrams of them as of QUIC.
    pub(super) const fn for_logins(&self) -> usize {
        self.limit / 16 * OF_DATAGRAMS / 4
    }

    /// Whether all together is more than the limit; `others` are bytes that are counted elsewhere.
    pub(super) const fn is_over(&self, others: usize) -> bool {
        self.used(others) > self.limit
    }

    /// Whether so much is used that handshakes nobody answers should not wait for long.
    pub(super) const fn is_high(&self, others: usize) -> bool {
        self.used(others) > self.limit / 4 * 3
    }

    /// Bytes of handshakes that may be reported in one step: their events are all there at once, and an event may take eight times what
    /// its handshake did (a certificate with many short names).
    pub(super) const fn for_reports(&self) -> usize {
        self.limit / 16
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

    #[test]
    fn an_account_is_high_before_it_is_over() {
        let mut account = Account::new(1600);
        account.handshakes = 1000;
        assert!(!account.is_high(200) && account.is_high(201));
        assert!(!account.is_over(600) && account.is_over(601));
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
