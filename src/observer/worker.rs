//! One worker: a share of the shards, and the steps that concern them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::capture::{Packets, SourceEnd};
use crate::certificate::ChainCache;
use crate::decode::Layers;
use crate::event::HandshakeReport;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

use super::Config;
use super::not_tls::PlainConnection;
use super::router::{Action, Plan};
use super::shard::{SegmentPacket, ShardOutput, ShardSet};

/// What was made, with the number of the step that made it.
pub(crate) type Numbered = (u32, Made);

/// What workers make of packets.
#[derive(Debug)]
pub(crate) enum Made {
    /// Boxed: a report is moved several times on its way, and some captures end with many plain connections.
    Handshake(Box<HandshakeReport>),
    Plain(PlainConnection),
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
        }
    }
}

/// Follows the flows of its shards. It runs on a thread of its own, or in place of one.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    shards: ShardSet,
    chains: ChainCache,
    /// When sources ended, of which several are read as one.
    ends: HashMap<Arc<str>, Timestamp>,
    /// Reports of the step at hand.
    reports: VecDeque<Box<HandshakeReport>>,
    /// Connections without TLS that ended in the step at hand.
    plain: VecDeque<PlainConnection>,
}

impl Worker {
    /// Worker number `index` of `workers`.
    pub(crate) fn new(config: &Config, index: usize, workers: usize) -> Self {
        Self {
            index,
            shards: ShardSet::new(config, index, workers),
            chains: ChainCache::new(),
            ends: HashMap::new(),
            reports: VecDeque::new(),
            plain: VecDeque::new(),
        }
    }

    /// Notes that a batch begins: secrets that came with it count from now on, and so do the ends of sources.
    pub(crate) fn begin_batch(&mut self, ended: &[SourceEnd]) {
        self.shards.begin_batch();
        let ended = ended.iter().map(|end| (Arc::clone(&end.source), end.at));
        self.ends.extend(ended);
    }

    /// Takes its steps of a plan for `packets`; adds what they make to `made`.
    pub(crate) fn take(&mut self, packets: Packets<'_>, plan: &Plan, made: &mut Vec<Numbered>) {
        let mut output = ShardOutput {
            chains: &mut self.chains,
            ends: &self.ends,
            reports: &mut self.reports,
            plain: &mut self.plain,
        };
        for step in plan.steps(self.index) {
            match &step.action {
                Action::Tick(now) => {
                    self.shards.handle_timeout(*now, &mut output);
                }
                Action::Segment {
                    packet,
                    header,
                    extra,
                } => {
                    let Some(record) = packets.records.get(*packet as usize) else {
                        continue;
                    };
                    let Some(interface) = packets.interfaces.get(record.interface as usize) else {
                        continue;
                    };
                    let bytes = packets.bytes(record);
                    let extra = plan.extra(*extra);
                    let datagram = extra.and_then(|extra| extra.datagram.as_ref());
                    let packet = SegmentPacket {
                        record,
                        bytes,
                        interface,
                        layers: extra.map_or(&NO_LAYERS, |extra| &extra.layers),
                        segment: header
                            .segment(datagram.map_or(bytes, |datagram| datagram.payload())),
                    };
                    let (key, goes_up) = header.flow_key();
                    self.shards
                        .handle_packet(key, goes_up, &packet, &mut output);
                }
            }
            output.drain(step.number, made);
        }
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports.
    pub(crate) fn finish(&mut self, made: &mut Vec<Numbered>) {
        let mut output = ShardOutput {
            chains: &mut self.chains,
            ends: &self.ends,
            reports: &mut self.reports,
            plain: &mut self.plain,
        };
        self.shards.finish(&mut output);
        output.drain(0, made);
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

impl ShardOutput<'_> {
    /// Moves what the step `number` has made.
    fn drain(&mut self, number: u32, made: &mut Vec<Numbered>) {
        if self.reports.is_empty() && self.plain.is_empty() {
            return; // nearly always
        }
        let reports = self.reports.drain(..).map(Made::Handshake);
        made.extend(reports.map(|report| (number, report)));
        let plain = self.plain.drain(..).map(Made::Plain);
        made.extend(plain.map(|connection| (number, connection)));
    }
}

const NO_LAYERS: Layers = Layers::NONE;
