//! How connections end: by a close, by time, or with the capture.

use std::sync::Arc;

use crate::event::{Identity, Protocol, Transport};
use crate::flow::FlowKey;
use crate::handshake::{End, Origin};
use crate::time::Timestamp;
use crate::transport::tcp::FirstBytes;
use crate::transport::{FlowIndex, Lifetime};

use super::super::conclusion::{Concluded, Conclusion, Unfinished};
use super::super::flow::{Flow, Open, Stage};
use super::super::not_tls::PlainConnection;
use super::super::pauses::LONGEST_PAUSE;
use super::super::worker::Made;
use super::Shard;
use super::output::ShardOutput;
use super::room::{release_conversation, take_retained};

impl Shard {
    /// Removes a flow that is over, and remembers where its streams began, so that late packets begin no other.
    pub(super) fn forget(
        &mut self,
        index: FlowIndex,
        first_bytes: FirstBytes,
        now: Timestamp,
        output: &mut ShardOutput<'_>,
    ) {
        let key = self.flows.hashed(self.flows.key(index));
        self.closed.insert(&key, first_bytes, now);
        self.remove(index, End::Decided, output);
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp, output: &mut ShardOutput<'_>) {
        self.now = now;
        self.reported = 0;
        self.end_interrupted(now, output);
        while !self.has_reported_enough() // the others at the next tick
            && let Some(index) = self.flows.expired(now)
        {
            if self.release_waiting(index, output) {
                self.keep_or_remove(index, true, now, output);
                continue;
            }
            self.expire(index, output);
            self.flows.settle(index);
        }
        self.relieve(output);
        let (datagrams, mut conclusion) = self.datagrams();
        datagrams.handle_timeout(now, &mut conclusion, output);
        let (logins, mut conclusion) = self.logins();
        logins.handle_timeout(now, &mut conclusion, output);
        let (logins, mut conclusion) = self.lan_logins();
        logins.handle_timeout(now, &mut conclusion, output);
        self.datagrams.shrink();
        self.make_room_over_udp(output);
        self.stats.connections_timed_out += self.openings.expire(now);
        self.closed.expire(now);
    }

    /// After a pause in the capture, reports the handshakes over UDP that were open before it as they stood then: what happened in the
    /// meantime is not known. A connection over TCP may be idle for hours, and its numbers show that it is the same; but if nothing
    /// more comes on it, the pause was its end in view.
    fn end_interrupted(&mut self, now: Timestamp, output: &mut ShardOutput<'_>) {
        let last = self.ticked.replace(now);
        let is_pause = |last: &Timestamp| now.checked_since(*last) >= Some(LONGEST_PAUSE);
        let Some(until) = last.filter(is_pause) else {
            return;
        };
        self.pauses.note(self.last_packet, until);
        let (datagrams, mut conclusion) = self.datagrams();
        datagrams.end_quiet(LONGEST_PAUSE, [until, now], &mut conclusion, output);
    }

    /// Reports the handshake of a flow that has outlived its lifetime, and keeps the flow, so that what follows on it is
    /// not taken for another connection. Without a handshake, the flow goes: then it returns true.
    pub(super) fn expire(&mut self, index: FlowIndex, output: &mut ShardOutput<'_>) -> bool {
        if let Some(flow) = self.flows.settled_mut(index) {
            self.stats.connections_timed_out += u64::from(!flow.has_timed_out);
            self.remove(index, End::Silence, output);
            return true;
        }
        let Some(flow) = self.flows.get_mut(index) else {
            return true;
        };
        if flow.was_closed_early() {
            let first_bytes = flow.tcp.first_bytes();
            self.forget(index, first_bytes, self.now, output);
            return true;
        }
        if !flow.has_handshake() {
            self.stats.connections_timed_out += u64::from(!flow.has_timed_out());
            self.remove(index, End::Silence, output);
            return true;
        }
        if flow.is_closing() && flow.note_ignored_closes() && !flow.is_closing() {
            let lifetime = flow.lifetime();
            self.flows.touch(index, lifetime, self.now);
            return false;
        }
        // After a reset there is nothing left to wait for but packets that were on their way.
        let has_timed_out = !flow.is_settled() && !flow.is_closing();
        let end = if flow.is_settled() {
            End::Decided
        } else {
            End::Silence
        };
        self.stats.connections_timed_out += u64::from(has_timed_out);
        self.conclude(index, end, output);
        if let Some(flow) = self.flows.get_mut(index) {
            flow.stage = Stage::Done { has_timed_out };
        }
        match self.flows.get_mut(index) {
            Some(flow) if flow.is_over() => {
                let first_bytes = flow.tcp.first_bytes();
                self.forget(index, first_bytes, self.now, output);
                true
            }
            _ => {
                self.flows.touch(index, Lifetime::Established, self.now);
                false
            }
        }
    }

    /// Reports some of what is left at the end of the capture; true if there is more.
    pub(super) fn finish(&mut self, output: &mut ShardOutput<'_>) -> bool {
        self.reported = 0;
        while let Some(index) = self.flows.any() {
            if self.has_reported_enough() {
                return true;
            }
            self.remove(index, End::CaptureEnd, output);
        }
        !(self.finish_table(Self::logins, output)
            && self.finish_table(Self::lan_logins, output)
            && self.finish_table(Self::datagrams, output))
    }

    /// Reports what is left of a table, one by one; false if there is more when enough was reported.
    fn finish_table<T: Unfinished>(
        &mut self,
        parts: impl for<'s> Fn(&'s mut Self) -> (&'s mut T, Conclusion<'s>),
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let now = self.now;
        while !self.has_reported_enough() {
            let (table, mut conclusion) = parts(self);
            let before = table.allocated();
            if !table.finish_one(now, &mut conclusion, output) {
                return true;
            }
            let freed = before.saturating_sub(table.allocated());
            self.reported += freed;
        }
        false
    }

    pub(super) fn remove(&mut self, index: FlowIndex, end: End, output: &mut ShardOutput<'_>) {
        self.conclude(index, end, output);
        let key = self.flows.key(index);
        if let Some(mut flow) = self.flows.remove(index) {
            if let Some(plain) = PlainConnection::ended(&mut flow, &key) {
                self.reported += size_of::<PlainConnection>();
                let source = flow.place().and_then(|id| self.sources.get(id));
                output.add(Made::Plain(plain.with_source(source)));
            }
            take_retained(&mut flow, &mut self.account);
            release_conversation(&mut flow, &mut self.account);
            flow.release(&mut self.budget);
            self.flows.take_back(flow);
        }
    }

    /// Makes the event of the handshake under way, if there is one.
    pub(super) fn conclude(&mut self, index: FlowIndex, end: End, output: &mut ShardOutput<'_>) {
        self.release_waiting(index, output);
        let key = self.flows.key(index);
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        if !flow.has_handshake() {
            return; // TLS may still begin on it
        }
        let end_of_source = flow.source().and_then(|source| output.ends.get(source));
        let paused = flow.last_packet().and_then(|last| self.pauses.since(last));
        let end_of_view = [end_of_source.copied(), paused].into_iter().flatten().min();
        let end = match end {
            // Nobody watched for as long as the user wants.
            End::Silence if paused.is_some() => End::CaptureEnd,
            end => end,
        };
        flow.flush(self.now, end_of_view, &mut self.budget);
        let Stage::Handshake(open) = std::mem::replace(&mut flow.stage, Stage::DONE) else {
            return;
        };
        self.open.remove(open.since);
        // Closes that were waited for may have been delivered only now.
        let last = open.connection.last_packet().time;
        let end = if open.connection.is_decided() || open.connection.has_ended() {
            End::Decided
        } else {
            output.losses.judge(end, &open.source, last, self.now)
        };
        flow.release(&mut self.budget);
        let retained = take_retained(flow, &mut self.account);
        release_conversation(flow, &mut self.account);
        self.account.handshakes -= open.allocated;
        self.reported += open.allocated;
        let concluded = Concluded {
            end,
            origin: origin(key, flow, &open),
            identity: identity(flow, &open),
            retained,
        };
        self.stats.conflicting_bytes += u64::from(open.conflict.bytes());
        output.conclude(open, concluded);
    }
}

/// By what copies of a connection are recognised. Of both directions, the client's is the one whose hello was seen.
fn identity(flow: &Flow, open: &Open) -> Identity {
    let [client_random, server_random] = open.connection.randoms();
    Identity {
        client_random,
        server_random,
        marks: flow.marks(open.connection.client()),
        is_upgraded: open.dialogue.has_begun(),
    }
}

/// What is known of a connection apart from its bytes.
fn origin(key: FlowKey, flow: &Flow, open: &Open) -> Origin {
    let (forward, reverse) = key.ends(flow.first_went_up);
    Origin {
        source: Arc::clone(&open.source),
        flow_id: key.id(flow.first_seen),
        forward,
        reverse,
        vlan: open.layers.vlan.ids().to_vec(),
        tunnel: open.layers.tunnels.iter().collect(),
        transport: Transport::Tcp,
        protocol: Protocol::Tls,
        starttls: open.dialogue.starttls(),
        eap: None,
        round_trips: flow.tcp.round_trips(),
        conflict: open.conflict,
    }
}
