//! One worker: a share of the shards, and the steps that concern them.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use crate::capture::{PacketRecord, Packets, SourceNews};
use crate::decode::eapol::EapolFrame;
use crate::decode::{Layers, UsualSegment};
use crate::event::HandshakeReport;
use crate::flow::FlowKey;
use crate::handshake::ReportCaches;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

use super::Config;
use super::account::SharedRoom;
use super::conclusion::Unreported;
use super::datagrams::DatagramPacket;
use super::flow::Spares;
use super::flows::Passage;
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
    config: Config,
    shards: ShardSet,
    caches: ReportCaches,
    /// When sources ended, of which several are read as one.
    ends: HashMap<Arc<str>, Timestamp>,
    /// When packets were dropped.
    losses: Losses,
    /// What handshakes that were reported have left.
    spares: Spares,
    unreported: Unreported,
}

impl Worker {
    /// Worker number `index` of `workers`.
    ///
    /// All of them borrow memory from what is `shared`.
    pub(crate) fn new(config: &Config, shared: &SharedRoom, index: usize, workers: usize) -> Self {
        Self {
            index,
            config: config.clone(),
            shards: ShardSet::new(config, shared, index, workers),
            ends: HashMap::new(),
            losses: Losses::default(),
            caches: ReportCaches::with_chains_within(config.memory_limit.of_chains() / workers),
            spares: Spares::default(),
            unreported: Unreported::default(),
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
        let mut sought = [SoughtFlow::NONE; TOGETHER];
        for steps in plan.steps(self.index).chunks(TOGETHER) {
            let sought = &mut sought[..steps.len()];
            self.seek_flows(steps, plan, sought);
            self.take_together(steps, sought, packets, plan, made);
        }
        self.output(made).1.report();
    }

    /// The shards, and where what they make goes.
    fn output<'w>(
        &'w mut self,
        made: &'w mut Vec<Numbered>,
    ) -> (&'w mut ShardSet, ShardOutput<'w>) {
        let output = ShardOutput {
            config: &self.config,
            caches: &mut self.caches,
            spares: &mut self.spares,
            ends: &self.ends,
            losses: &self.losses,
            unreported: &mut self.unreported,
            made,
            step: 0,
        };
        (&mut self.shards, output)
    }

    /// Looks up the flows of some steps. What is not in the processor's cache is read for all of them at the same time, since no
    /// look-up waits for the result of another.
    fn seek_flows(&self, steps: &[WorkerStep], plan: &Plan, sought: &mut [SoughtFlow]) {
        // Packets come in trains: most have the same flow as the one before.
        let (mut before, mut flow): (Option<&FlowKey>, _) = (None, SoughtFlow::NONE);
        for (step, sought) in steps.iter().zip(&mut *sought) {
            if let Action::UsualSegment { segment, .. } = &step.action {
                if before != Some(&segment.key) {
                    flow = self.shards.seek(&segment.key);
                    before = Some(&segment.key);
                }
                *sought = flow;
            } else {
                *sought = self.seek_rare(&step.action, plan);
            }
        }
        black_box(self.shards.approach(sought)); // read now, and not when it is needed
    }

    /// Looks up the flow of a segment of no usual kind.
    #[inline(never)]
    fn seek_rare(&self, action: &Action, plan: &Plan) -> SoughtFlow {
        match action {
            Action::Segment { header, .. } => match plan.segment_header(*header) {
                Some(header) => self.shards.seek(&header.flow_key().0),
                None => SoughtFlow::NONE,
            },
            _ => SoughtFlow::NONE,
        }
    }

    /// Takes steps whose flows were looked up.
    fn take_together(
        &mut self,
        steps: &[WorkerStep],
        sought: &[SoughtFlow],
        packets: Packets<'_>,
        plan: &Plan,
        made: &mut Vec<Numbered>,
    ) {
        let (shards, mut output) = self.output(made);
        for (step, sought) in steps.iter().zip(sought) {
            if let Action::UsualSegment { packet, segment } = &step.action {
                let Some(record) = packets.records.get(*packet as usize) else {
                    continue;
                };
                let passage = shards.pass_by(sought, segment, record, &packets);
                if passage != Passage::Over {
                    output.step = step.number;
                    let packet = (segment, record, &packets);
                    take_usual(shards, (sought, passage), packet, &mut output);
                }
            } else {
                output.step = step.number;
                take_rare(shards, sought, &step.action, packets, plan, &mut output);
            }
        }
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports. As many at once as memory allows; true if
    /// there are more.
    pub(crate) fn finish(&mut self, made: &mut Vec<Numbered>) -> bool {
        let (shards, mut output) = self.output(made);
        let has_more = shards.finish(&mut output);
        output.report();
        has_more
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.shards.stats();
        stats += self.unreported.stats();
        stats
    }

    pub(crate) fn oldest_open(&self) -> Option<Timestamp> {
        self.shards.oldest_open()
    }

    pub(crate) fn load(&self) -> Load {
        self.shards.load()
    }
}

/// Takes a segment of the usual kind that says something. Kept apart, so that the others do not pay for it.
#[inline(never)]
fn take_usual(
    shards: &mut ShardSet,
    (sought, passage): (&SoughtFlow, Passage),
    (segment, record, packets): (&UsualSegment, &PacketRecord, &Packets<'_>),
    output: &mut ShardOutput<'_>,
) {
    let is_taken = match passage {
        Passage::ToHandshake(at) => {
            shards.continues((sought, at), segment, record, packets, output)
        }
        _ => shards.take_syn(sought, segment, record, packets),
    };
    if is_taken {
        return;
    }
    let layers;
    let packet = SegmentPacket {
        record,
        packets,
        layers: if segment.has_layers() {
            layers = segment.layers();
            &layers
        } else {
            &NO_LAYERS
        },
        segment: segment.segment(packets.bytes(record)),
    };
    shards.handle_packet(sought, (segment.key, segment.goes_up), &packet, output);
}

/// Takes a segment that came in tunnels, in fragments, or over another link layer.
fn take_segment(
    shards: &mut ShardSet,
    sought: &SoughtFlow,
    action: &Action,
    packets: &Packets<'_>,
    plan: &Plan,
    output: &mut ShardOutput<'_>,
) {
    let &Action::Segment {
        packet,
        header,
        extra,
    } = action
    else {
        return;
    };
    let record = packets.records.get(packet as usize);
    let (Some(record), Some(header)) = (record, plan.segment_header(header)) else {
        return;
    };
    let extra = plan.extra(extra);
    let datagram = extra.and_then(|extra| extra.datagram.as_ref());
    let holder = datagram.map_or_else(|| packets.bytes(record), |datagram| datagram.payload());
    let packet = SegmentPacket {
        record,
        packets,
        layers: extra.map_or(&NO_LAYERS, |extra| &extra.layers),
        segment: header.segment(holder),
    };
    shards.handle_packet(sought, header.flow_key(), &packet, output);
}

/// Takes a step of no usual kind. Kept apart, so that the others do not pay for it.
#[inline(never)]
fn take_rare(
    shards: &mut ShardSet,
    sought: &SoughtFlow,
    action: &Action,
    packets: Packets<'_>,
    plan: &Plan,
    output: &mut ShardOutput<'_>,
) {
    let (packet, extra) = match action {
        Action::Segment { .. } => {
            return take_segment(shards, sought, action, &packets, plan, output);
        }
        Action::Tick(now) => return shards.handle_timeout(*now, output),
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

static NO_LAYERS: Layers = Layers::NONE;
/// Steps whose flows are looked up together: more than a processor reads from memory at the same time, and few enough that all
/// of it stays in the cache.
const TOGETHER: usize = 32;
