//! One worker: a share of the shards, and the steps that concern them.

use std::collections::VecDeque;

use crate::capture::Packets;
use crate::certificate::ChainCache;
use crate::decode::Layers;
use crate::event::Report;
use crate::stats::{Load, Stats};

use super::Config;
use super::router::{Action, Plan};
use super::shard::{Packet, ShardSet};

/// A report, with the number of the step that made it.
pub(crate) type Numbered = (u32, Report);

/// Follows the flows of its shards. It runs on a thread of its own, or in place of one.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    shards: ShardSet,
    chains: ChainCache,
    /// Reports of the step at hand.
    made: VecDeque<Report>,
}

impl Worker {
    /// Worker number `index` of `workers`.
    pub(crate) fn new(config: &Config, index: usize, workers: usize) -> Self {
        Self {
            index,
            shards: ShardSet::new(config, index, workers),
            chains: ChainCache::new(),
            made: VecDeque::new(),
        }
    }

    /// Notes that a batch begins: secrets that came with it count from now on.
    pub(crate) fn begin_batch(&self) {
        self.shards.begin_batch();
    }

    /// Takes its steps of a plan for `packets`; adds what they make to `reports`.
    pub(crate) fn take(&mut self, packets: Packets<'_>, plan: &Plan, reports: &mut Vec<Numbered>) {
        for step in plan.steps(self.index) {
            match &step.action {
                Action::Tick(now) => {
                    self.shards
                        .handle_timeout(*now, &mut self.chains, &mut self.made);
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
                    let packet = Packet {
                        record,
                        bytes,
                        interface,
                        layers: extra.map_or(&NO_LAYERS, |extra| &extra.layers),
                        segment: header
                            .segment(datagram.map_or(bytes, |datagram| datagram.payload())),
                    };
                    let (key, goes_up) = header.flow_key();
                    self.shards.handle_packet(
                        key,
                        goes_up,
                        &packet,
                        &mut self.chains,
                        &mut self.made,
                    );
                }
            }
            reports.extend(self.made.drain(..).map(|report| (step.number, report)));
        }
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports.
    pub(crate) fn finish(&mut self, reports: &mut Vec<Numbered>) {
        self.shards.finish(&mut self.chains, &mut self.made);
        reports.extend(self.made.drain(..).map(|report| (0, report)));
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shards.stats()
    }

    pub(crate) fn load(&self) -> Load {
        self.shards.load()
    }
}

const NO_LAYERS: Layers = Layers::NONE;
