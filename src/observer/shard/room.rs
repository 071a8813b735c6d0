//! Memory: what a shard gives up when it has taken all that it may.

use std::time::Duration;

use crate::handshake::End;
use crate::transport::{FlowIndex, Lifetime};

use super::super::SHARDS;
use super::super::account::Account;
use super::super::conclusion::Unfinished;
use super::super::flow::Flow;
use super::super::holders::Holder;
use super::super::retained::RetainedPackets;
use super::output::ShardOutput;
use super::{SegmentPacket, Shard};

/// How long a handshake may wait for an answer while memory is short: most servers answer within a second.
const IMPATIENCE: Duration = Duration::from_secs(5);

impl Shard {
    /// Notes whether a flow holds segments out of order. While these take nearly all that they may, the flows that have held some for
    /// longest give them up.
    pub(super) fn note_held(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        match (flow.is_holder(), flow.holds_segments()) {
            (false, false) => return, // as nearly all
            (false, true) => {
                flow.note_holder(true);
                let holder = Holder {
                    index,
                    first_seen: flow.first_seen,
                };
                let flows = &mut self.flows;
                let is_one = |holder: &Holder| {
                    let flow = flows.get_mut(holder.index);
                    flow.is_some_and(|flow| holder.is(flow))
                };
                self.holders.add(holder, is_one);
            }
            (true, true) => {}
            (true, false) => flow.note_holder(false),
        }
        while self.budget.is_nearly_spent()
            && let Some(oldest) = self.holders.take_oldest()
        {
            self.give_up_held(oldest, output);
        }
    }

    /// Gives up the segments that a flow holds, if it still does.
    fn give_up_held(&mut self, holder: Holder, output: &mut ShardOutput<'_>) {
        let index = holder.index;
        let is_it = |flow: &&mut Flow| holder.is(flow);
        if self.flows.get_mut(index).filter(is_it).is_none() {
            return;
        }
        self.release_waiting(index, output);
        if let Some(flow) = self.flows.get_mut(index) {
            flow.give_up_held(&mut self.budget);
            flow.note_holder(false);
        }
        self.after_feed(index, output);
        self.flows.settle(index);
    }

    /// Keeps a packet as long as its connection may turn out to be a failed handshake.
    pub(super) fn retain(&mut self, index: FlowIndex, packet: &SegmentPacket<'_>) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        if !flow.is_worth_retaining() {
            take_retained(flow, &mut self.account);
            return;
        }
        let has_begun = flow.has_handshake();
        let before = flow.retained.as_ref().map_or(0, RetainedPackets::bytes);
        let retained = flow.retained.get_or_insert_default();
        if self.account.retained + packet.bytes().len() > self.account.for_retained() {
            self.stats.packets_not_kept += 1;
            retained.note_lost();
        } else {
            retained.push(packet.record, packet.bytes(), packet.interface(), has_begun);
        }
        self.account.retained = self.account.retained - before + retained.bytes();
    }

    pub(super) fn make_room_for_flow(&mut self, output: &mut ShardOutput<'_>) {
        if self.flows.is_full()
            && let Some(oldest) = self.flows.evict(self.now)
        {
            self.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, output);
        }
    }

    /// Forgets connections of which nothing more is expected while what was spoken on all of them takes too much.
    pub(super) fn make_room_for_conversations(&mut self, output: &mut ShardOutput<'_>) {
        while self.account.is_talkative()
            && let Some(oldest) = self.flows.oldest(Lifetime::Established)
        {
            self.stats.connections_evicted += 1;
            self.remove(oldest, End::Evicted, output);
        }
    }

    /// Reports handshakes as they stand while there is no room for all, as [`Flows::least_answered`](super::super::flows::Flows::least_answered) chooses them; `newest`
    /// was fed last.
    pub(super) fn make_room(&mut self, newest: FlowIndex, output: &mut ShardOutput<'_>) {
        while self.account.is_over(self.counted_elsewhere()) {
            if self.is_over_with_datagrams() && self.give_up_over_udp(output) {
                continue;
            }
            let index = self.flows.least_answered(self.now, Flow::is_large);
            let index = index.unwrap_or(newest);
            if !self.give_up(index, output) {
                return; // the handshakes that are left take nothing
            }
        }
    }

    /// Reports a handshake as it stands, for lack of room. The connection stays, so that what follows on it is not taken for
    /// another one, but is the first to be forgotten.
    fn give_up(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> bool {
        let open = self.open.len();
        self.conclude(index, End::Evicted, output);
        self.flows.touch(index, Lifetime::Opening, self.now);
        self.open.len() < open
    }

    /// While memory is short, handshakes without an answer are not waited for as long as usual, as in the emergency mode of
    /// other monitors: a flood then never fills all there is.
    pub(super) fn relieve(&mut self, output: &mut ShardOutput<'_>) {
        // Asked first: there is none as a rule, and to add up all tables takes longer.
        while let Some(index) = self.flows.unanswered_for(IMPATIENCE, self.now)
            && self.account.is_high(self.counted_elsewhere())
        {
            self.give_up(index, output);
        }
    }

    /// Bytes of memory that conversations and logins over UDP take.
    fn of_datagrams(&self) -> usize {
        self.datagrams.allocated() + self.logins.allocated() + self.lan_logins.allocated()
    }

    /// Whether conversations and logins over UDP take more than they may whatever else there is.
    fn is_over_with_datagrams(&self) -> bool {
        self.of_datagrams() > self.account.for_datagrams()
    }

    /// Makes room where conversations or logins over UDP have grown: those that take more than their part give way first, and then
    /// handshakes over TCP.
    pub(super) fn make_room_over_udp(&mut self, output: &mut ShardOutput<'_>) {
        while self.account.is_over(self.counted_elsewhere()) {
            let has_given_up = if self.is_over_with_datagrams() {
                self.give_up_over_udp(output)
            } else {
                let least = self.flows.least_answered(self.now, Flow::is_large);
                least.is_some_and(|index| self.give_up(index, output))
            };
            if !has_given_up {
                break;
            }
        }
        self.note_room();
    }

    /// Reports a handshake over UDP as it stands, or forgets a conversation or login, of the table that takes most; false if
    /// there is nothing left to give up.
    fn give_up_over_udp(&mut self, output: &mut ShardOutput<'_>) -> bool {
        let now = self.now;
        let [datagrams, logins, lan] = [
            self.datagrams.allocated(),
            self.logins.allocated(),
            self.lan_logins.allocated(),
        ];
        let before = self.counted_elsewhere();
        if datagrams >= logins.max(lan) {
            let (datagrams, mut conclusion) = self.datagrams();
            datagrams.give_up_one(now, &mut conclusion, output);
        } else if logins >= lan {
            let (logins, mut conclusion) = self.logins();
            logins.give_up_one(now, &mut conclusion, output);
        } else {
            let (logins, mut conclusion) = self.lan_logins();
            logins.give_up_one(now, &mut conclusion, output);
        }
        self.counted_elsewhere() < before
    }

    /// Lets the tables for UDP know how much they may grow.
    pub(super) fn note_room(&mut self) {
        let room = self.account.room(self.counted_elsewhere());
        self.datagrams.note_room(room);
        self.logins.note_room(room);
    }

    /// Bytes of memory that the tables and segments out of order take.
    pub(super) fn counted_elsewhere(&self) -> usize {
        self.flows.allocated()
            + self.openings.allocated()
            + self.closed.allocated()
            + self.of_datagrams()
            + self.budget.in_use()
            + self.holders.allocated()
    }

    /// Whether the rest has to wait for the next step.
    pub(super) fn has_reported_enough(&self) -> bool {
        self.reported > self.config.memory_limit.of_reports() / SHARDS
    }
}

/// Takes the packets that were retained for a connection; their bytes no longer count.
pub(super) fn take_retained(flow: &mut Flow, account: &mut Account) -> Option<RetainedPackets> {
    let retained = flow.retained.take()?;
    account.retained -= retained.bytes();
    Some(retained)
}

/// What was spoken before TLS no longer counts.
pub(super) fn release_conversation(flow: &mut Flow, account: &mut Account) {
    account.conversations -= flow.release_conversation();
}
