//! How handshakes over UDP end, and what is remembered of them.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Identity, Transport, WireMarks};
use crate::handshake::{Conflict, End, Origin, Tracker};
use crate::time::Timestamp;
use crate::transport::tcp::RoundTrips;
use crate::transport::{FlowIndex, Lifetime};

use super::super::conclusion::{Concluded, Conclusion, Unfinished};
use super::super::retained::RetainedPackets;
use super::super::shard::ShardOutput;
use super::claims::{MAX_REPORTED, ReportedConnection};
use super::open::Open;
use super::{DatagramTable, Datagrams};

impl DatagramTable {
    /// Reports a handshake that a side has closed and that nothing contradicts since; false if it is none. Its flow stays, so that
    /// what still comes begins no other one.
    pub(super) fn report_closing(
        &mut self,
        index: FlowIndex,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let is_closing = self.is_closing(index);
        if is_closing {
            self.conclude(index, End::Silence, now, conclusion, output);
            self.flows.touch(index, self.lifetime(index), now);
        }
        is_closing
    }

    /// Gives up what is cheapest to lose while there is no room for all: a handshake is reported as it stands, those with least of an
    /// answer first, and then conversations are forgotten.
    pub(in crate::observer) fn give_up_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(index) = self.flows.least_answered(now, Datagrams::is_large) else {
            if let Some(oldest) = self.flows.evict(now) {
                conclusion.stats.connections_evicted += 1;
                self.remove(oldest, End::Evicted, now, conclusion, output);
            }
            return;
        };
        self.conclude(index, End::Evicted, now, conclusion, output);
        let has_others = self
            .flows
            .get(index)
            .is_some_and(|flow| flow.open.is_some());
        if !has_others {
            self.flows.touch(index, Lifetime::Opening, now);
        }
    }

    /// Reports what has outlived its lifetime.
    pub(in crate::observer) fn handle_timeout(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(index) = self.flows.expired(now) {
            if self.report_closing(index, now, conclusion, output) {
                continue;
            }
            let open = self.flows.get(index).and_then(|flow| flow.open.as_ref());
            // Without an open handshake, the conversation was only remembered to recognise what still came.
            let is_silent = open.is_some_and(|open| !open.tracker.is_settled());
            conclusion.stats.connections_timed_out += u64::from(is_silent);
            self.remove(index, End::Silence, now, conclusion, output);
        }
    }

    /// Reports handshakes that were quiet for a `pause` in the capture, from `until` to now.
    pub(in crate::observer) fn end_quiet(
        &mut self,
        pause: Duration,
        [until, now]: [Timestamp; 2],
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(index) = self.flows.quiet_for(pause, now) {
            conclusion.stats.connections_timed_out += 1;
            self.remove(index, End::CaptureEnd, until, conclusion, output);
        }
    }

    /// Stops following a conversation, or one of several over QUIC; what it held is given back.
    pub(super) fn give_back(
        &mut self,
        index: FlowIndex,
    ) -> Option<(Box<Open>, Option<RetainedPackets>)> {
        let key = self.flows.key(index);
        let flow = self.flows.get_mut(index)?;
        let open = flow.open.take()?;
        if let Some(shared) = &mut flow.shared {
            flow.open = shared.others.pop();
            if flow.open.is_none()
                && let Some(rival) = shared.rival.take()
            {
                flow.hello = Some(rival.hello);
                flow.first_seen = rival.open.since;
                flow.open = Some(rival.open);
            }
        }
        let retained = if flow.open.is_some() {
            flow.retained.clone() // the others need them, too
        } else {
            let retained = flow.retained.take();
            self.allocated -= retained.as_ref().map_or(0, RetainedPackets::bytes);
            retained
        };
        self.allocated -= open.allocated;
        self.open.remove(open.since);
        self.index(key, open.indexed, None);
        Some((open, retained))
    }

    /// Remembers the ids of a connection that is reported, if there is room: they keep its packets apart from those of others
    /// between the same ports.
    pub(super) fn remember(&mut self, index: FlowIndex, source: Arc<str>, tracker: &Tracker) {
        let has_room = self.allocated < self.room;
        let ids = tracker.connection_ids();
        let Some(ids) = ids.filter(|_| has_room) else {
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let shared = flow.shared.get_or_insert_default();
        if shared.reported.len() >= MAX_REPORTED {
            shared.reported.remove(0);
        }
        shared.reported.push(ReportedConnection {
            ids: ids.clone(),
            last: tracker.last_packet().time,
            source,
        });
        self.count_shared(index);
    }

    /// Counts what a flow shares.
    pub(super) fn count_shared(&mut self, index: FlowIndex) {
        let flow = self.flows.get_mut(index);
        if let Some(shared) = flow.and_then(|flow| flow.shared.as_mut()) {
            let counted = shared.allocated();
            self.allocated = self.allocated - shared.counted + counted;
            shared.counted = counted;
        }
    }

    /// Makes the event of the handshake under way, if there is one.
    pub(super) fn conclude(
        &mut self,
        index: FlowIndex,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(flow) = self.flows.get(index) else {
            return;
        };
        let first_went_up = flow.first_went_up;
        let first_seen = flow.first_seen;
        let Some((mut open, retained)) = self.give_back(index) else {
            return;
        };
        let key = self.flows.key(index);
        let last = open.tracker.last_packet().time;
        let end_of_source = output.ends.get(&open.source);
        let now = now.max(last); // a pause in the capture begins with the last tick
        let until = end_of_source.map_or(now, |end| (*end).max(last).min(now));
        open.tracker.note_until(until);
        open.tracker.handle_end();
        let end = if open.tracker.is_decided() {
            End::Decided
        } else {
            output.losses.judge(end, &open.source, last, now)
        };
        let (forward, reverse) = key.ends(first_went_up);
        let source = Arc::clone(&open.source);
        let [client_random, server_random] = open.tracker.randoms();
        let concluded = Concluded {
            end,
            origin: Origin {
                source: open.source,
                flow_id: key.id(first_seen),
                forward,
                reverse,
                vlan: open.layers.vlan.ids().to_vec(),
                tunnel: open.layers.tunnels.iter().collect(),
                transport: Transport::Udp,
                protocol: open.protocol,
                starttls: None,
                eap: None,
                round_trips: RoundTrips::NONE,
                conflict: Conflict::default(),
            },
            identity: Identity {
                client_random,
                server_random,
                marks: WireMarks::UNKNOWN,
                is_upgraded: false,
            },
            retained,
        };
        conclusion.report(&mut open.tracker, concluded, output);
        self.remember(index, source, &open.tracker);
    }
}
