//! Wires the stages: packets in, events out.
//!
//! ```text
//! batch ─▶ Router (decode, fragments, clock) ─▶ Plan ─▶ Worker (flows, transport, handshakes) ─▶ Collector (order, chains) ─▶ event
//! ```
//!
//! An [`Observer`] is a router, one worker and a collector on the caller's thread;
//! [`crate::pipeline`] puts the same three on threads.
//!
//! Flows are spread over a fixed number of shards, and time advances in ticks
//! that the packets set. Each shard sees the same packets and ticks for any number of
//! workers, so the events are the same, too.

mod collector;
mod copies;
mod flow;
mod not_tls;
mod open_handshakes;
mod retained;
mod router;
mod shard;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketBatch, PacketRecord, Packets};
use crate::certificate::{NearExpiry, Trust};
use crate::decrypt::Keys;
use crate::event::{Handshake, NotTls, Report};
use crate::handshake::ReportConfig;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

pub(crate) use collector::{Collected, Collector};
pub(crate) use router::{Plan, Router};
pub(crate) use worker::{Numbered, Worker};

/// How an observer works.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is told in events.
    pub report: ReportConfig,
    /// How long a handshake may make no progress, in packet time.
    pub handshake_timeout: Duration,
    /// The most TCP connections remembered at once.
    pub max_flows: usize,
    /// Secrets that the user gave, to which those in captures are added.
    pub keys: Keys,
    /// Whether failed handshakes come with their packets.
    pub retains_packets: bool,
    /// The roots that chains are held against.
    pub trust: Trust,
}

/// Defaults, in one place: help and manual quote them.
pub mod defaults {
    use std::time::Duration;

    /// How long a handshake may make no progress, in packet time.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long before its end a certificate counts as soon to expire.
    pub const NEAR_EXPIRY: Duration = Duration::from_secs(30 * 86_400);
    /// The share of its lifetime, in hundredths, that is left of a certificate which is soon to expire.
    ///
    /// What renews by itself (ACME) does so when a third is left: then it is late.
    pub const NEAR_EXPIRY_PERCENT: u8 = 33;
    /// The most TCP connections remembered at once: a million of some 250 bytes each.
    pub const MAX_FLOWS: usize = 1 << 20;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            report: ReportConfig {
                fingerprints: true,
                near_expiry: NearExpiry {
                    within: defaults::NEAR_EXPIRY,
                    percent: defaults::NEAR_EXPIRY_PERCENT,
                },
                judge_at: None,
            },
            handshake_timeout: defaults::HANDSHAKE_TIMEOUT,
            max_flows: defaults::MAX_FLOWS,
            keys: Keys::default(),
            retains_packets: false,
            trust: Trust::default(),
        }
    }
}

/// Shards that flows are spread over: enough for as many workers as hosts give to an observer.
pub(crate) const SHARDS: usize = 16;

/// Watches packets, reports handshakes.
///
/// Methods come in kinds: `handle_*` for what arrives, [`Observer::poll_event`]
/// for what comes out. It does no I/O and reads no clock: packet time, and the
/// time given to [`Observer::handle_timeout`], is all the time there is.
#[derive(Debug)]
pub struct Observer {
    router: Router,
    plan: Plan,
    /// The secrets, as the reader of the capture sees them.
    keys: Keys,
    worker: Worker,
    collector: Collector,
    /// What the worker has made, before it is in order.
    made: Vec<Numbered>,
    reports: VecDeque<Report>,
    not_tls: VecDeque<NotTls>,
}

impl Observer {
    /// An observer that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            router: Router::new(),
            plan: Plan::new(1),
            keys: config.keys.view(),
            worker: Worker::new(&config, 0, 1),
            collector: Collector::new(&config.trust),
            made: Vec::new(),
            reports: VecDeque::new(),
            not_tls: VecDeque::new(),
        }
    }

    /// Takes a batch of packets.
    pub fn handle_batch(&mut self, batch: &PacketBatch) {
        take_secrets(&self.keys, batch);
        self.handle_packets(batch.packets(), batch.now);
    }

    /// Takes one packet: `bytes` are those captured of it.
    pub fn handle_packet(
        &mut self,
        interfaces: &Arc<[Interface]>,
        packet: &PacketRecord,
        bytes: &[u8],
    ) {
        self.keys.advance();
        let record = PacketRecord {
            offset: 0,
            captured_length: bytes.len() as u32,
            ..*packet
        };
        let packets = Packets {
            interfaces,
            records: std::slice::from_ref(&record),
            data: bytes,
        };
        self.handle_packets(packets, None);
    }

    /// Notes that it is `now`, so that a quiet wire does not hold up time-outs.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.keys.advance();
        self.plan.clear();
        self.plan.tick(now);
        self.carry_out(Packets::NONE);
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports.
    pub fn finish(&mut self) {
        self.router.finish();
        self.worker.finish(&mut self.made);
        self.collect();
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Handshake> {
        self.poll_report().map(|report| report.event)
    }

    /// The next event, with its packets if they are retained ([`Config::retains_packets`]).
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// The next connection to a TLS port that did not become TLS.
    pub fn poll_not_tls(&mut self) -> Option<NotTls> {
        self.not_tls.pop_front()
    }

    /// What was handled and discarded so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.router.stats();
        stats += self.worker.stats();
        stats += self.collector.stats();
        stats
    }

    /// What is held now.
    #[must_use]
    pub fn load(&self) -> Load {
        self.worker.load()
    }

    fn handle_packets(&mut self, packets: Packets<'_>, now: Option<Timestamp>) {
        self.plan.clear();
        self.router.plan(packets, now, &mut self.plan);
        self.carry_out(packets);
    }

    fn carry_out(&mut self, packets: Packets<'_>) {
        self.worker.take(packets, &self.plan, &mut self.made);
        self.collect();
    }

    fn collect(&mut self) {
        for event in self.collector.collect(&mut self.made) {
            match event {
                Collected::Handshake(report) => self.reports.push_back(report),
                Collected::NotTls(event) => self.not_tls.push_back(event),
            }
        }
    }
}

/// Takes the secrets that a capture brings; `keys` are as its reader sees them.
pub(crate) fn take_secrets(keys: &Keys, batch: &PacketBatch) {
    keys.advance();
    for text in &batch.secrets {
        keys.absorb_all(text);
    }
}
