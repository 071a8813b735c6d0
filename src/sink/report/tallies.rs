//! What the report counts: all handshakes of a run, in bounded memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use super::time_bins::TimeBins;
use crate::event::{
    ClientCertificate, Directions, ErrorType, Evidence, Handshake, KeyExchangeClass, NotTls,
    NotTlsKind, Outcome, Side, Timing, UnknownBecause,
};
use crate::sink::files::inventory::Inventory;
use crate::sink::people::certificates::Missing;
use crate::sink::people::summary::histogram::Histogram;
use crate::sink::people::summary::mutual::MutualPeers;
use crate::sink::people::summary::plain_servers::PlainServers;
use crate::sink::people::summary::ranking::{Counted, Ranking};
use crate::sink::people::summary::write_name;
use crate::time::Timestamp;
use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// Most captures that the report names; the others are counted.
const MAX_SOURCES: usize = 1_000;

/// Most servers and clients at a time: the traffic chooses them.
const MAX_PEERS: usize = 2_048;

/// Most connections without TLS that are listed one by one.
const MAX_PLAIN: usize = 500;

/// Counts over all handshakes of a run.
#[derive(Debug)]
pub(super) struct Tallies {
    pub(super) handshakes: u64,
    /// By [`Outcome`].
    pub(super) outcomes: [u64; 3],
    /// Completed handshakes after which a side refused its peer.
    pub(super) rejected_after: u64,
    pub(super) inferred: u64,
    /// Failures, unknown outcomes, successes: what matters most is at the foot of a column.
    pub(super) over_time: TimeBins<3>,
    /// By class; then by side: client, server, neither.
    pub(super) failures: [[u64; 3]; ErrorType::ALL.len()],
    /// By class; then by the side that showed the certificate.
    pub(super) findings: [[u64; 2]; ErrorType::ALL.len()],
    /// By [`UnknownBecause`].
    pub(super) unknown_because: [u64; UnknownBecause::ALL.len()],
    /// By [`ClientCertificate`].
    pub(super) client_certificates: [u64; ClientCertificate::ALL.len()],
    pub(super) servers: Ranking<String, ServerCounts>,
    pub(super) clients: Ranking<IpAddr, ClientCounts>,
    pub(super) mutual: MutualPeers,
    /// Completed handshakes, by version; versions without a name are one.
    pub(super) latencies: BTreeMap<Option<ProtocolVersion>, Histogram>,
    /// In the order of [`PHASES`].
    pub(super) phases: [Histogram; PHASES.len()],
    /// Answered handshakes, by what the server selected; `None` for values without a name.
    pub(super) versions: BTreeMap<Option<ProtocolVersion>, u64>,
    pub(super) cipher_suites: BTreeMap<Option<CipherSuite>, u64>,
    pub(super) groups: BTreeMap<Option<NamedGroup>, u64>,
    /// Answered handshakes, by [`KeyExchangeClass`].
    pub(super) exchanges: [u64; KeyExchangeClass::ALL.len()],
    /// Handshakes whose ClientHello was seen, and those of them that offer a post-quantum group.
    pub(super) offers: u64,
    pub(super) post_quantum_offers: u64,
    pub(super) resumed: u64,
    pub(super) certificates: Inventory,
    pub(super) missing: Missing,
    pub(super) plain: PlainServers,
    pub(super) not_tls: u64,
    /// The first connections without TLS in which something was said.
    pub(super) plain_connections: Vec<NotTls>,
    /// Captures that handshakes came from, in the order in which they did, with how many.
    pub(super) sources: Vec<(Arc<str>, u64)>,
    /// Whether there were others.
    pub(super) has_more_sources: bool,
    pub(super) one_way: u64,
    pub(super) truncated: u64,
    /// The latest moment at which certificates were validated.
    pub(super) judged_at: Timestamp,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    name: String,
}

/// A phase of a handshake: its name, what it spans, and its duration.
pub(super) type Phase = (
    &'static str,
    &'static str,
    fn(&Timing) -> Option<std::time::Duration>,
);

/// The phases, in the order in which they end.
pub(super) const PHASES: [Phase; 4] = [
    ("TCP connect", "SYN to SYN-ACK", |timing| timing.tcp_connect),
    ("ServerHello", "ClientHello to ServerHello", |timing| {
        timing.server_hello
    }),
    ("Handshake", "ClientHello to the last Finished", |timing| {
        timing.handshake
    }),
    (
        "First data",
        "ClientHello to the first application data",
        |timing| timing.first_application_data,
    ),
];

/// What is counted for a server.
#[derive(Debug, Default)]
pub(super) struct ServerCounts {
    pub(super) outcomes: [u64; 3],
    pub(super) rejected_after: u64,
    pub(super) causes: BTreeMap<ErrorType, u64>,
    pub(super) durations: Histogram,
    /// Answered handshakes, and those with a post-quantum key exchange.
    pub(super) answered: u64,
    pub(super) post_quantum: u64,
}

/// What is counted for a client, by its address.
#[derive(Debug, Default)]
pub(super) struct ClientCounts {
    pub(super) outcomes: [u64; 3],
    pub(super) rejected_after: u64,
    pub(super) causes: BTreeMap<ErrorType, u64>,
    /// The oldest version of TLS that was used.
    pub(super) oldest: Option<ProtocolVersion>,
}

/// What decides the place of a peer in its table: failures first, then handshakes.
pub(super) type Weight = (u64, u64);

impl ServerCounts {
    pub(super) fn weight(&self) -> Weight {
        weight(&self.outcomes, self.rejected_after)
    }
}

impl ClientCounts {
    pub(super) fn weight(&self) -> Weight {
        weight(&self.outcomes, self.rejected_after)
    }
}

fn weight(outcomes: &[u64; 3], rejected_after: u64) -> Weight {
    let failures = outcomes[Outcome::Failure as usize] + rejected_after;
    (failures, outcomes.iter().sum())
}

impl Counted for ServerCounts {
    fn handshakes(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

impl Counted for ClientCounts {
    fn handshakes(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            handshakes: 0,
            outcomes: [0; 3],
            rejected_after: 0,
            inferred: 0,
            over_time: TimeBins::default(),
            failures: [[0; 3]; ErrorType::ALL.len()],
            findings: [[0; 2]; ErrorType::ALL.len()],
            unknown_because: [0; UnknownBecause::ALL.len()],
            client_certificates: [0; ClientCertificate::ALL.len()],
            servers: Ranking::new(MAX_PEERS),
            clients: Ranking::new(MAX_PEERS),
            mutual: MutualPeers::default(),
            latencies: BTreeMap::new(),
            phases: Default::default(),
            versions: BTreeMap::new(),
            cipher_suites: BTreeMap::new(),
            groups: BTreeMap::new(),
            exchanges: [0; KeyExchangeClass::ALL.len()],
            offers: 0,
            post_quantum_offers: 0,
            resumed: 0,
            certificates: Inventory::default(),
            missing: Missing::default(),
            plain: PlainServers::default(),
            not_tls: 0,
            plain_connections: Vec::new(),
            sources: Vec::new(),
            has_more_sources: false,
            one_way: 0,
            truncated: 0,
            judged_at: Timestamp::MIN,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
            name: String::new(),
        }
    }
}

impl Tallies {
    pub(super) fn record(&mut self, event: &Handshake) {
        self.record_outcome(event);
        self.record_peers(event);
        self.record_timing(event);
        self.record_negotiation(event);
        self.record_certificates(event);
        self.record_source(&event.source);
        self.one_way += u64::from(event.capture.directions != Directions::Both);
        self.truncated += u64::from(event.capture.truncated);
        self.first = self.first.min(event.time);
        self.last = self.last.max(event.time);
    }

    pub(super) fn record_not_tls(&mut self, event: &NotTls) {
        self.plain.record(event);
        self.not_tls += 1;
        // Probes by load balancers and monitors come by the thousand.
        if event.kind != NotTlsKind::SilentProbe && self.plain_connections.len() < MAX_PLAIN {
            self.plain_connections.push(event.clone());
        }
    }

    fn record_outcome(&mut self, event: &Handshake) {
        self.handshakes += 1;
        self.outcomes[event.outcome as usize] += 1;
        self.rejected_after += u64::from(event.rejected_after.is_some());
        self.inferred += u64::from(event.evidence == Evidence::Inferred);
        let kind = match event.outcome {
            Outcome::Failure => 0,
            Outcome::Unknown => 1,
            Outcome::Success => 2,
        };
        self.over_time.record(event.time, kind);
        if let Some(error) = &event.error {
            let side = error.side.map_or(NEITHER, |side| side as usize);
            self.failures[error.error_type as usize][side] += 1;
        }
        if let Some(because) = event.unknown_because {
            self.unknown_because[because as usize] += 1;
        }
    }

    fn record_peers(&mut self, event: &Handshake) {
        let (failed, rejected) = (&event.error, &event.rejected_after);
        let cause = failed.as_ref().map(|error| error.error_type);
        let cause = cause.or_else(|| rejected.as_ref().map(|rejected| rejected.error_type));

        self.name.clear();
        write_name(&mut self.name, event);
        self.servers.update(self.name.as_str(), |server| {
            server.outcomes[event.outcome as usize] += 1;
            server.rejected_after += u64::from(rejected.is_some());
            if let Some(cause) = cause {
                *server.causes.entry(cause).or_default() += 1;
            }
            if let Some(duration) = event.timing.handshake {
                server.durations.record(duration);
            }
            if event.tls.version.is_some() {
                server.answered += 1;
                server.post_quantum += u64::from(is_post_quantum(event.tls.key_exchange()));
            }
        });

        self.mutual.record(event);
        self.clients.update(&event.client.address, |client| {
            client.outcomes[event.outcome as usize] += 1;
            client.rejected_after += u64::from(rejected.is_some());
            if let Some(cause) = cause {
                *client.causes.entry(cause).or_default() += 1;
            }
            let version = event.tls.version.filter(|version| version.is_named());
            if let Some(version) = version {
                let older = client.oldest.filter(|oldest| age(*oldest) <= age(version));
                client.oldest = older.or(Some(version));
            }
        });
    }

    fn record_timing(&mut self, event: &Handshake) {
        if let Some(duration) = event.timing.handshake {
            let version = named(event.tls.version, ProtocolVersion::name);
            self.latencies.entry(version).or_default().record(duration);
        }
        for ((_, _, duration), durations) in PHASES.iter().zip(&mut self.phases) {
            if let Some(duration) = duration(&event.timing) {
                durations.record(duration);
            }
        }
    }

    fn record_negotiation(&mut self, event: &Handshake) {
        let tls = &event.tls;
        if let Some(groups) = &tls.offered_groups {
            self.post_quantum_offers += u64::from(
                groups
                    .iter()
                    .any(|group| group.is_post_quantum() || group.is_post_quantum_hybrid()),
            );
        }
        self.offers += u64::from(tls.offered_cipher_suites.is_some());
        self.resumed += u64::from(tls.resumed == Some(true));
        if tls.version.is_none() {
            return;
        }
        self.exchanges[tls.key_exchange() as usize] += 1;
        let version = named(tls.version, ProtocolVersion::name);
        *self.versions.entry(version).or_default() += 1;
        if tls.cipher_suite.is_some() {
            let suite = named(tls.cipher_suite, CipherSuite::name);
            *self.cipher_suites.entry(suite).or_default() += 1;
        }
        if tls.group.is_some() {
            let group = named(tls.group, NamedGroup::name);
            *self.groups.entry(group).or_default() += 1;
        }
    }

    fn record_certificates(&mut self, event: &Handshake) {
        for finding in &event.validation {
            self.findings[finding.error_type as usize][finding.side as usize] += 1;
        }
        self.client_certificates[event.tls.client_certificate as usize] += 1;
        let Ok(()) = self
            .certificates
            .record(event, |_| Ok::<(), Infallible>(()));
        self.missing.record(event);
        self.judged_at = self.judged_at.max(event.judged_at);
    }

    /// The position of the source of an event, which was recorded; the last one for those beyond the limit.
    pub(super) fn source_of(&self, event: &Handshake) -> usize {
        let mut known = self.sources.iter();
        known
            .rposition(|(name, _)| *name == event.source)
            .unwrap_or(MAX_SOURCES)
    }

    fn record_source(&mut self, source: &Arc<str>) {
        // The last one is the most likely: captures mostly follow one another.
        match self.sources.iter().rposition(|(name, _)| name == source) {
            Some(known) => self.sources[known].1 += 1,
            None if self.sources.len() < MAX_SOURCES => self.sources.push((Arc::clone(source), 1)),
            None => self.has_more_sources = true,
        }
    }
}

/// The place of failures that neither side is to blame for, after those of [`Side`].
pub(super) const NEITHER: usize = Side::Server as usize + 1;

/// `value` if it has a name: there are up to 65,536 values, and the traffic chooses them.
fn named<T: Copy>(value: Option<T>, name: impl Fn(T) -> Option<&'static str>) -> Option<T> {
    value.filter(|value| name(*value).is_some())
}

/// Whether the keys withstand quantum computers.
const fn is_post_quantum(class: KeyExchangeClass) -> bool {
    matches!(class, KeyExchangeClass::PqHybrid | KeyExchangeClass::Pq)
}

/// The order of versions: the numbers of DTLS count down.
fn age(version: ProtocolVersion) -> u16 {
    version.as_tls().0
}
