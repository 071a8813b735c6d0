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

mod account;
mod collector;
mod conclusion;
mod copies;
mod datagrams;
mod flow;
mod flows;
mod holders;
mod in_step;
mod lan_logins;
mod logins;
mod losses;
mod not_tls;
mod open_handshakes;
mod openings;
mod pauses;
mod pooled;
mod quic_flows;
mod relays;
mod retained;
mod router;
mod shard;
mod sources;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, LinkType, PacketBatch, PacketRecord, Packets, SourceNews};
use crate::certificate::{NearExpiry, Trust};
use crate::decode::UnreadPackets;
use crate::decrypt::Keys;
use crate::event::{Handshake, HandshakeReport, NotTls};
use crate::memory::MemoryLimit;
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

pub use crate::decode::{TunnelPorts, TunnelPortsError, UdpTunnel};
pub use crate::handshake::ReportConfig;

pub(crate) use account::SharedRoom;
pub(crate) use collector::{Collected, Collector};
pub(crate) use router::{Plan, Router};
pub(crate) use worker::{Numbered, Worker};

/// How an observer works.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use tlscope::observer::Config;
///
/// let config = Config::default()
///     .with_handshake_timeout(Duration::from_secs(60))
///     .with_max_flows(10_000);
/// assert_eq!(config.max_flows, 10_000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What events contain.
    pub report: ReportConfig,
    /// How long a handshake may make no progress before it is reported, in packet time; `None` to wait for the close of the
    /// connection or the end of the capture.
    pub handshake_timeout: Option<Duration>,
    /// The most TCP connections remembered at once; [`Config::memory_limit`] may allow fewer.
    pub max_flows: usize,
    /// The memory that the process may take. Flows and handshakes keep to their share of it.
    pub memory_limit: MemoryLimit,
    /// Secrets that the user gave, to which those in captures are added. They open nothing without the feature `decrypt`.
    pub keys: Keys,
    /// Whether failed handshakes come with their packets.
    pub retains_packets: bool,
    /// Whether handshakes come with their steps, message by message ([`HandshakeReport::ladder`]).
    pub collects_ladders: bool,
    /// The roots that chains are validated against.
    pub trust: Trust,
    /// The UDP ports on which tunnels are recognised.
    pub tunnel_ports: TunnelPorts,
}

/// Defaults, in one place: help and manual quote them.
pub mod defaults {
    use std::time::Duration;

    /// How long a handshake may make no progress while packets come from a live interface.
    pub const LIVE_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
    /// How long before its end a certificate counts as soon to expire.
    pub const NEAR_EXPIRY: Duration = Duration::from_secs(30 * 86_400);
    /// The remaining share of a certificate's lifetime, in percent, below which it counts as near expiry.
    ///
    /// What renews by itself (ACME) does so when a third is left: then it is late.
    pub const NEAR_EXPIRY_PERCENT: u8 = 33;
    /// The most TCP connections remembered at once. Most memory limits allow fewer.
    pub const MAX_FLOWS: usize = 1 << 20;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            report: ReportConfig {
                fingerprints: true,
                offers: true,
                near_expiry: NearExpiry {
                    within: defaults::NEAR_EXPIRY,
                    percent: defaults::NEAR_EXPIRY_PERCENT,
                },
                judge_at: None,
            },
            handshake_timeout: None,
            max_flows: defaults::MAX_FLOWS,
            memory_limit: MemoryLimit::default(),
            keys: Keys::default(),
            retains_packets: false,
            collects_ladders: false,
            trust: Trust::default(),
            tunnel_ports: TunnelPorts::DEFAULT,
        }
    }
}

impl Config {
    /// Reports a handshake once it made no progress for `timeout`, in packet time.
    #[must_use]
    pub const fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = Some(timeout);
        self
    }

    /// Remembers at most `flows` TCP connections at once; the one that was quiet for longest is forgotten first.
    #[must_use]
    pub const fn with_max_flows(mut self, flows: usize) -> Self {
        self.max_flows = flows;
        self
    }

    /// Keeps to `limit` by giving up what is oldest and least answered.
    #[must_use]
    pub const fn with_memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.memory_limit = limit;
        self
    }

    /// Decrypts handshakes with these secrets.
    #[cfg(feature = "decrypt")]
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Validates certificate chains against these roots.
    #[cfg(feature = "validate")]
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Recognises tunnels over UDP on these ports.
    #[must_use]
    pub fn with_tunnel_ports(mut self, ports: TunnelPorts) -> Self {
        self.tunnel_ports = ports;
        self
    }

    /// Counts a certificate as near expiry as `near_expiry` says.
    #[must_use]
    pub const fn with_near_expiry(mut self, near_expiry: NearExpiry) -> Self {
        self.report.near_expiry = near_expiry;
        self
    }

    /// Validates certificates at `moment`, instead of the packet time of each handshake.
    #[must_use]
    pub const fn with_validation_time(mut self, moment: Timestamp) -> Self {
        self.report.judge_at = Some(moment);
        self
    }

    /// Computes JA3, JA3S and JA4, or not: they are a third of the cost of a handshake.
    #[must_use]
    pub const fn with_fingerprints(mut self, fingerprints: bool) -> Self {
        self.report.fingerprints = fingerprints;
        self
    }

    /// Hands out failed handshakes with their packets ([`Observer::poll_report`]).
    #[must_use]
    pub const fn with_retained_packets(mut self, retains_packets: bool) -> Self {
        self.retains_packets = retains_packets;
        self
    }
}

/// Shards that flows are spread over: enough for as many workers as hosts give to an observer.
pub(crate) const SHARDS: usize = 16;

/// Watches packets, reports handshakes.
///
/// Methods come in kinds: `handle_*` for what arrives, [`Observer::poll_event`]
/// for what comes out. It does no I/O and reads no clock: packet time, and the
/// time given to [`Observer::handle_timeout`], is all the time there is.
///
/// # Example
///
/// ```
/// use tlscope::observer::{Config, Observer};
/// use tlscope::time::Timestamp;
///
/// let mut observer = Observer::new(Config::default());
/// let frame = [0; 60]; // no TLS in it
/// observer.handle_ethernet(Timestamp::from_seconds(1_772_366_400), &frame);
/// observer.finish(); // open handshakes get their verdict
/// assert!(observer.poll_event().is_none());
/// assert_eq!(observer.stats().packets, 1);
/// ```
#[derive(Debug)]
pub struct Observer {
    stages: Stages,
    /// Where the frames of [`Observer::handle_ethernet`] come from.
    ethernet: Arc<[Interface]>,
    /// How many of them there were.
    frames: u64,
    reports: VecDeque<Box<HandshakeReport>>,
    not_tls: VecDeque<NotTls>,
}

impl Observer {
    /// An observer that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            stages: Stages::new(&config),
            ethernet: Arc::new([Interface {
                link_type: LinkType::ETHERNET,
                source: Arc::default(),
                name: None,
            }]),
            frames: 0,
            reports: VecDeque::new(),
            not_tls: VecDeque::new(),
        }
    }

    /// Takes a batch of packets.
    pub fn handle_batch(&mut self, batch: &PacketBatch) {
        let (stages, mut emit) = self.parts();
        stages.handle_batch(batch, &mut emit);
    }

    /// Takes one packet: `bytes` are those captured of it.
    pub fn handle_packet(
        &mut self,
        interfaces: &Arc<[Interface]>,
        packet: &PacketRecord,
        bytes: &[u8],
    ) {
        let (stages, mut emit) = self.parts();
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
        stages.begin_batch(&[], &SourceNews::default());
        stages.handle_packets(packets, None, &mut emit);
    }

    /// Takes one Ethernet frame, captured at `time` and in full.
    ///
    /// Frames are numbered from 1, and events have an empty source. For other link types, frames that a snap
    /// length cut and several interfaces there is [`Observer::handle_packet`].
    pub fn handle_ethernet(&mut self, time: Timestamp, frame: &[u8]) {
        self.frames += 1;
        let interfaces = Arc::clone(&self.ethernet);
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let packet = PacketRecord {
            timestamp: time,
            number: self.frames,
            interface: 0,
            offset: 0,
            captured_length: length,
            wire_length: length,
        };
        self.handle_packet(&interfaces, &packet, frame);
    }

    /// Notes that it is `now`, so that a quiet wire does not hold up time-outs.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let (stages, mut emit) = self.parts();
        stages.begin_batch(&[], &SourceNews::default());
        stages.handle_timeout(now, &mut emit);
    }

    /// Notes that packets were dropped before they could be handed over, and that this became known at `at`.
    ///
    /// A handshake that is quiet from then on has no verdict that rests on silence: its packets may have been among them.
    pub fn handle_dropped_packets(&mut self, at: Timestamp) {
        let (stages, _) = self.parts();
        let news = SourceNews {
            dropped_at: Some(at),
            ..SourceNews::default()
        };
        stages.begin_batch(&[], &news);
    }

    /// Ends the run: open handshakes get the verdict that the evidence supports.
    pub fn finish(&mut self) {
        let (stages, mut emit) = self.parts();
        stages.finish(&mut emit);
    }

    /// The stages, and where what they emit is kept.
    fn parts(&mut self) -> (&mut Stages, impl FnMut(Collected)) {
        let Self {
            stages,
            reports,
            not_tls,
            ..
        } = self;
        let emit = |event| match event {
            Collected::Handshake(report) => reports.push_back(report),
            Collected::NotTls(event) => not_tls.push_back(event),
        };
        (stages, emit)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Handshake> {
        self.poll_report().map(|report| report.event)
    }

    /// The next event, with its packets if they are retained ([`Config::retains_packets`]), and its steps if they are
    /// collected ([`Config::collects_ladders`]).
    pub fn poll_report(&mut self) -> Option<HandshakeReport> {
        self.reports.pop_front().map(|report| *report)
    }

    /// The next connection to a TLS port that did not become TLS.
    pub fn poll_not_tls(&mut self) -> Option<NotTls> {
        self.not_tls.pop_front()
    }

    /// What was handled and discarded so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stages.stats()
    }

    /// What is held now.
    #[must_use]
    pub fn load(&self) -> Load {
        self.stages.load()
    }
}

/// The three parts, in turn on one thread.
#[derive(Debug)]
pub(crate) struct Stages {
    router: Router,
    plan: Plan,
    /// The secrets, as the reader of the capture sees them.
    keys: Keys,
    worker: Worker,
    collector: Collector,
    /// What the worker has made, before it is in order.
    made: Vec<Numbered>,
}

/// Packets that are planned before they are handled. Their steps stay in the processor's cache, where those of
/// a whole batch of small packets would not.
const GROUP: usize = 256;

impl Stages {
    pub(crate) fn new(config: &Config) -> Self {
        let shared = SharedRoom::of(config.memory_limit.of_flows());
        Self {
            router: Router::new(config),
            plan: Plan::new(1),
            keys: config.keys.view(),
            worker: Worker::new(config, &shared, 0, 1),
            collector: Collector::new(&config.trust),
            made: Vec::new(),
        }
    }

    /// Takes a batch of packets; hands what comes out to `emit`.
    pub(crate) fn handle_batch(&mut self, batch: &PacketBatch, emit: &mut dyn FnMut(Collected)) {
        self.begin_batch(&batch.secrets, &batch.news());
        let packets = batch.packets();
        if packets.records.is_empty() {
            self.handle_packets(packets, batch.now, emit);
        }
        for records in packets.records.chunks(GROUP) {
            let group = Packets { records, ..packets };
            self.handle_packets(group, batch.now, emit);
        }
    }

    /// Takes the secrets that arrived; those of one batch count from its first packet on. Notes what became of sources.
    fn begin_batch(&mut self, secrets: &[Box<[u8]>], news: &SourceNews<'_>) {
        take_secrets(&self.keys, secrets);
        self.router.count_drops(news);
        self.worker.begin_batch(news);
    }

    fn handle_packets(
        &mut self,
        packets: Packets<'_>,
        now: Option<Timestamp>,
        emit: &mut dyn FnMut(Collected),
    ) {
        self.plan.clear();
        self.router.plan(packets, now, &mut self.plan);
        self.carry_out(packets, emit);
    }

    fn handle_timeout(&mut self, now: Timestamp, emit: &mut dyn FnMut(Collected)) {
        self.plan.clear();
        self.plan.tick(now);
        self.carry_out(Packets::NONE, emit);
    }

    fn carry_out(&mut self, packets: Packets<'_>, emit: &mut dyn FnMut(Collected)) {
        self.worker.take(packets, &self.plan, &mut self.made);
        self.collector.collect(&mut self.made).for_each(emit);
    }

    pub(crate) fn finish(&mut self, emit: &mut dyn FnMut(Collected)) {
        self.router.finish();
        loop {
            let has_more = self.worker.finish(&mut self.made);
            self.collector.collect(&mut self.made).for_each(&mut *emit);
            if !has_more {
                return;
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.router.stats();
        stats += self.worker.stats();
        stats += self.collector.stats();
        stats
    }

    pub(crate) fn load(&self) -> Load {
        self.worker.load()
    }

    pub(crate) fn oldest_open(&self) -> Option<Timestamp> {
        self.worker.oldest_open()
    }

    /// The packets that were not understood.
    pub(crate) fn into_unread(self) -> UnreadPackets {
        self.router.into_unread()
    }
}

/// Takes the secrets that a capture brings; `keys` are as its reader sees them.
pub(crate) fn take_secrets(keys: &Keys, secrets: &[Box<[u8]>]) {
    keys.advance();
    for text in secrets {
        keys.absorb_all(text);
    }
}
