//! Wires the stages: packets in, events out.
//!
//! ```text
//! packet ─▶ Router (decode, fragments, clock) ─▶ Shard (flows, reassembly, handshakes) ─▶ event
//! ```
//!
//! Flows are spread over a fixed number of shards, and time advances in ticks
//! that the packets set. Each shard sees the same packets and ticks however many
//! threads share the shards out: so the events are the same, too.

mod flow;
mod kept;
mod opening;
mod router;
mod shard;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketBatch, PacketRecord};
use crate::certificate::{ChainCache, NearExpiry, Trust};
use crate::decrypt::Keys;
use crate::event::Handshake;
use crate::handshake::{ReportConfig, Validator};
use crate::stats::{Load, Stats};
use crate::time::Timestamp;

pub(crate) use router::{Routed, Router, shard_of};
pub(crate) use shard::ShardSet;

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
    pub keeps_packets: bool,
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
            keeps_packets: false,
            trust: Trust::default(),
        }
    }
}

/// Shards that flows are spread over: enough for as many workers as hosts give to an observer.
pub(crate) const SHARDS: usize = 16;

/// Watches packets, tells of handshakes.
///
/// Methods come in kinds: `handle_*` for what arrives, [`Observer::poll_event`]
/// for what comes out. It does no I/O and reads no clock: packet time, and the
/// time given to [`Observer::handle_timeout`], is all the time there is.
#[derive(Debug)]
pub struct Observer {
    router: Router,
    /// The secrets, as the reader of the capture sees them.
    keys: Keys,
    shards: ShardSet,
    chains: ChainCache,
    events: VecDeque<Handshake>,
    judge: Validator,
}

impl Observer {
    /// An observer that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            router: Router::new(),
            shards: ShardSet::new(&config, 0, 1),
            keys: config.keys.view(),
            chains: ChainCache::new(),
            events: VecDeque::new(),
            judge: Validator::new(&config.trust),
        }
    }

    /// Takes a batch of packets.
    pub fn handle_batch(&mut self, batch: &PacketBatch) {
        take_secrets(&self.keys, batch);
        self.shards.begin_batch();
        for packet in &batch.packets {
            self.handle_packet(&batch.interfaces, packet, batch.bytes(packet));
        }
        if let Some(now) = quiet_time(batch).and_then(|now| self.router.advance(now)) {
            self.handle_timeout(now);
        }
    }

    /// Takes one packet: `bytes` are those captured of it.
    pub fn handle_packet(
        &mut self,
        interfaces: &Arc<[Interface]>,
        packet: &PacketRecord,
        bytes: &[u8],
    ) {
        let Self {
            router,
            shards,
            chains,
            events,
            ..
        } = self;
        if let Some(now) = router.advance(packet.timestamp) {
            in_order(events, |events| shards.handle_timeout(now, chains, events));
        }
        let Some(interface) = interfaces.get(packet.interface as usize) else {
            return;
        };
        match router.route(interface.link_type, packet, bytes) {
            Some(Routed::Segment(segment)) => {
                shards.handle_segment(&segment, interface, (packet, bytes), chains, events)
            }
            Some(Routed::Datagram(datagram)) => {
                if let Ok(Some(segment)) = datagram.segment() {
                    shards.handle_segment(&segment, interface, (packet, bytes), chains, events);
                }
            }
            None => {}
        }
    }

    /// Notes that it is `now`, so that a quiet wire does not hold up time-outs.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let Self {
            shards,
            chains,
            events,
            ..
        } = self;
        in_order(events, |events| shards.handle_timeout(now, chains, events));
    }

    /// Ends the run: open handshakes get the verdict that the evidence carries.
    pub fn finish(&mut self) {
        self.router.finish();
        let Self {
            shards,
            chains,
            events,
            ..
        } = self;
        in_order(events, |events| shards.finish(chains, events));
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Handshake> {
        let mut event = self.events.pop_front()?;
        self.judge.handle_event(&mut event);
        Some(event)
    }

    /// What was handled and discarded so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.router.stats();
        stats += self.shards.stats();
        stats += self.judge.stats();
        stats
    }

    /// What is held now.
    #[must_use]
    pub fn load(&self) -> Load {
        self.shards.load()
    }
}

/// The time that a batch without packets tells: the wire is quiet, and time goes on.
pub(crate) fn quiet_time(batch: &PacketBatch) -> Option<Timestamp> {
    batch.now.filter(|_| batch.packets.is_empty())
}

/// Takes the secrets that a capture brings; `keys` are as its reader sees them.
pub(crate) fn take_secrets(keys: &Keys, batch: &PacketBatch) {
    keys.advance();
    for text in &batch.secrets {
        keys.absorb_all(text);
    }
}

/// Adds the events that `make` makes, in the order of [`sort_simultaneous`].
fn in_order(events: &mut VecDeque<Handshake>, make: impl FnOnce(&mut VecDeque<Handshake>)) {
    let mut made = VecDeque::new();
    make(&mut made);
    let mut numbered: Vec<(u32, Handshake)> = made.into_iter().map(|event| (0, event)).collect();
    sort_simultaneous(&mut numbered);
    events.extend(numbered.into_iter().map(|(_, event)| event));
}

/// Sorts events by the number of the step that made them; those of one step in an order that shards have no part in.
pub(crate) fn sort_simultaneous(events: &mut [(u32, Handshake)]) {
    events.sort_by_key(|(step, event)| {
        (*step, event.time, event.capture.first_packet, event.flow_id)
    });
}
