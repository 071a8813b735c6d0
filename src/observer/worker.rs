//! One worker: a share of the shards, and the steps that concern them.

use std::array;
use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;

use crate::capture::{Packets, SourceNews};
use crate::decode::eapol::EapolFrame;
use crate::decode::{Layers, decode_usual};
use crate::event::HandshakeReport;
use crate::handshake::ReportCaches;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

use super::Config;
use super::datagrams::DatagramPacket;
use super::lan_logins::EapolPacket;
use super::losses::Losses;
use super::not_tls::PlainConnection;
use super::relays::Relay;
use super::router::{Action, Plan, WorkerStep};
use super::shard::{SegmentPacket, ShardOutput, ShardSet, SoughtFlow};

/// What was made, with the number of the step that made it.
pub(crate) type Numbered = (u32, Made);

/// What workers make of packets.
#[derive(Debug)]
pub(crate) enum Made {
    /// Boxed: a report is moved several times on its way, and some captures end with many plain connections.
    Handshake(Box<HandshakeReport>),
    Plain(PlainConnection),
    /// A handshake has begun behind a dialogue with a proxy.
    Relay(Relay),
}

impl Made {
    /// Orders what is made in one step: its time and place in the capture.
    pub(super) fn order(&self) -> (Timestamp, u64, u64) {
        match self {
            Self::Handshake(report) => {
                let event = &report.event;
                (event.time, event.capture.first_packet, event.flow_id)
            }
            Self::Plain(connection) => (connection.time, 0, connection.flow_id),
            Self::Relay(relay) => (relay.time, 0, 0),
        }
    }
}

/// Follows the flows of its shards. It runs on a thread of its own, or in place of one.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    shards: ShardSet,
    caches: ReportCaches,
    /// When sources ended, of which several are read as one.
    ends: HashMap<Arc<str>, Timestamp>,
    /// When packets were dropped.
    losses: Losses,
    /// Reports of the step at hand.
    reports: VecDeque<Box<HandshakeReport>>,
    /// Connections without TLS that ended in the step at hand.
    plain: VecDeque<PlainConnection>,
    /// Handshakes behind proxies that began in the step at hand.
    relays: VecDeque<Relay>,
}

/// A packet with a segment, and the flow that it belongs to.
type SoughtSegment<'p> = (SegmentPacket<'p>, SoughtFlow);

impl Worker {
    /// Worker number `index` of `workers`.
    pub(crate) fn new(config: &Config, index: usize, workers: usize) -> Self {
        Self {
            index,
            shards: ShardSet::new(config, index, workers),
            ends: HashMap::new(),
            losses: Losses::default(),
            caches: ReportCaches::with_chains_within(config.memory_limit.of_chains() / workers),
            reports: VecDeque::new(),
            plain: VecDeque::new(),
            relays: VecDeque::new(),
        }
    }

    /// Notes that a batch begins: secrets that came with it count from now on, and so do the ends of sources and packets that were
    /// dropped.
    pub(crate) fn begin_batch(&mut self, news: &SourceNews<'_>) {
        self.shards.begin_batch();
        self.losses.note(news.drops, news.dropped_at);
        let ended = news
            .ended
            .iter()
            .map(|end| (Arc::clone(&end.source), end.at));
        self.ends.extend(ended);
    }

    /// Takes its steps of a plan for `packets`; adds what they make to `made`.
    pub(crate) fn take(&mut self, packets: Packets<'_>, plan: &Plan, made: &mut Vec<Numbered>) {
        let mut sought: [_; TOGETHER] = array::from_fn(|_| None);
        for steps in plan.steps(self.index).chunks(TOGETHER) {
            let sought = &mut sought[..steps.len()];
            self.seek_flows(steps, &packets, plan, sought);
            self.take_together(steps, sought, packets, plan, made);
        }
    }

    /// Looks up the flows of some steps. What is not in the processor's cache is read for all of them at the same time, since no
    /// look-up waits for the result of another.
    fn seek_flows<'p>(
        &self,
        steps: &[WorkerStep],
        packets: &'p Packets<'p>,
        plan: &'p Plan,
        sought: &mut [Option<SoughtSegment<'p>>],
    ) {
        for (step, sought) in steps.iter().zip(&mut *sought) {
            *sought = self.seek(&step.action, packets, plan);
        }
        let flows = sought.iter().flatten().map(|(_, flow)| flow);
        let approached = flows.map(|flow| self.shards.approach(flow));
        black_box(approached.fold(0, u64::wrapping_add)); // read now, and not when it is needed
    }

    /// The segment that a step is about, and its flow; `None` if it is about something else.
    #[inline]
    fn seek<'p>(
        &self,
        action: &Action,
        packets: &'p Packets<'p>,
        plan: &'p Plan,
    ) -> Option<SoughtSegment<'p>> {
        let (Action::UsualSegment { packet } | Action::Segment { packet, .. }) = action else {
            return None;
        };
        let record = packets.records.get(*packet as usize)?;
        let interface = packets.interfaces.get(record.interface as usize)?;
        let bytes = packets.bytes(record);
        let (header, layers, holder) = match action {
            Action::Segment { header, extra, .. } => {
                let extra = plan.extra(*extra);
                let datagram = extra.and_then(|extra| extra.datagram.as_ref());
                (
                    *plan.segment_header(*header)?,
                    extra.map_or(&NO_LAYERS, |extra| &extra.layers),
                    datagram.map_or(bytes, |datagram| datagram.payload()),
                )
            }
            _ => (
                decode_usual(interface.link_type, bytes, record.wire_length)?,
                &NO_LAYERS,
                bytes,
            ),
        };
        let packet = SegmentPacket {
            record,
            packets,
            layers,
            segment: header.segment(holder),
        };
        let (key, goes_up) = header.flow_key();
        Some((packet, self.shards.seek(key, goes_up)))
    }

    /// Takes steps whose flows were looked up.
    fn take_together(
        &mut self,
        steps: &[WorkerStep],
        sought: &[Option<SoughtSegment<'_>>],
        packets: Packets<'_>,
        plan: &Plan,
        made: &mut Vec<Numbered>,
    ) {
        let mut output = ShardOutput {
            caches: &mut self.caches,
            ends: &self.ends,
            losses: &self.losses,
            reports: &mut self.reports,
            plain: &mut self.plain,
            relays: &mut self.relays,
        };
        for (step, sought) in steps.iter().zip(sought) {
            match (sought, &step.action) {
                (Some((packet, flow)), _) => {
                    self.shards.handle_packet(flow, packet, &mut output);
                }
                (None, Action::Tick(now)) => self.shards.handle_timeout(*now, &mut output),
                (None, action) => {
                    take_rare(&mut self.shards, action, packets, plan, &mut output);
                }
            }
            output.drain(step.number, made);
        }
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports. As many at once as memory allows; true if
    /// there are more.
    pub(crate) fn finish(&mut self, made: &mut Vec<Numbered>) -> bool {
        let mut output = ShardOutput {
            caches: &mut self.caches,
            ends: &self.ends,
            losses: &self.losses,
            reports: &mut self.reports,
            plain: &mut self.plain,
            relays: &mut self.relays,
        };
        let has_more = self.shards.finish(&mut output);
        output.drain(0, made);
        has_more
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shards.stats()
    }

    pub(crate) fn oldest_open(&self) -> Option<Timestamp> {
        self.shards.oldest_open()
    }

    pub(crate) fn load(&self) -> Load {
        self.shards.load()
    }
}

/// Takes a packet without TCP. Kept apart, so that the others do not pay for it.
#[cold]
#[inline(never)]
fn take_rare(
    shards: &mut ShardSet,
    action: &Action,
    packets: Packets<'_>,
    plan: &Plan,
    output: &mut ShardOutput<'_>,
) {
    let (packet, extra) = match action {
        Action::Datagram { packet, extra, .. } | Action::Eapol { packet, extra } => (packet, extra),
        Action::IcmpError { packet, error } => {
            let record = packets.records.get(*packet as usize);
            if let (Some(record), Some(error)) = (record, plan.icmp_error(*error)) {
                shards.handle_icmp_error(error, record, &packets);
            }
            return;
        }
        _ => return,
    };
    let Some(record) = packets.records.get(*packet as usize) else {
        return;
    };
    let Some(interface) = packets.interfaces.get(record.interface as usize) else {
        return;
    };
    let bytes = packets.bytes(record);
    let extra = plan.extra(*extra);
    let layers = extra.map_or(&NO_LAYERS, |extra| &extra.layers);
    if let Action::Datagram { header, .. } = action {
        let Some(header) = plan.datagram_header(*header) else {
            return;
        };
        let datagram = extra.and_then(|extra| extra.datagram.as_ref());
        let holder = datagram.map_or(bytes, |datagram| datagram.payload());
        let packet = DatagramPacket {
            record,
            bytes,
            interface,
            layers,
            header,
            payload: header.payload.of(holder),
        };
        shards.handle_datagram(&packet, output);
    } else if let Some(frame) = EapolFrame::read(interface.link_type, bytes) {
        let packet = EapolPacket {
            record,
            bytes,
            interface,
            layers,
            frame,
        };
        shards.handle_eapol(&packet, output);
    }
}

impl ShardOutput<'_> {
    /// Moves what the step `number` has made: nearly always nothing.
    #[inline]
    fn drain(&mut self, number: u32, made: &mut Vec<Numbered>) {
        if !(self.reports.is_empty() && self.plain.is_empty() && self.relays.is_empty()) {
            self.move_to(number, made);
        }
    }

    #[cold]
    fn move_to(&mut self, number: u32, made: &mut Vec<Numbered>) {
        let relays = self.relays.drain(..).map(Made::Relay);
        made.extend(relays.map(|relay| (number, relay)));
        let reports = self.reports.drain(..).map(Made::Handshake);
        made.extend(reports.map(|report| (number, report)));
        let plain = self.plain.drain(..).map(Made::Plain);
        made.extend(plain.map(|connection| (number, connection)));
    }
}

const NO_LAYERS: Layers = Layers::NONE;
/// Steps whose flows are looked up together: more than a processor reads from memory at the same time, and few enough that all
/// of it stays in the cache.
const TOGETHER: usize = 32;
