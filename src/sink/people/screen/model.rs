//! What is counted for the screen, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::summary::histogram::Histogram;
use super::super::summary::mutual::MutualPeers;
use super::super::summary::ranking::{Counted, Ranking};
use super::super::summary::soonest_to_expire::SoonestToExpire;
use super::super::summary::write_name;
use super::super::text::printable;
use super::snapshot::{CertificateRow, FailureRow, MutualRow, PeerRow, Rates, Snapshot, Totals};
use super::view::Tab;
use crate::event::{ErrorType, Handshake, HandshakeReport, Ladder, Outcome};
use crate::sink::fair_queue::FairQueue;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// Most servers, and most clients, at a time.
const MAX_PEERS: usize = 1_024;

/// Failures that are kept with their steps, for the list and for a look at each. A storm of one kind leaves the others.
const MAX_FAILURES: usize = 128;

/// Certificates listed: those that expire first.
const MAX_CERTIFICATES: usize = 100;

/// Pairs of a client and a server listed, those with the most failures first.
const MAX_PAIRS: usize = 200;

/// Seconds of history that the sparklines can show: as many as a wide terminal has columns.
const HISTORY: usize = 300;

/// Ticks that are the last minute: they come about once a second.
pub(super) const MINUTE: usize = 60;

/// The state of a run.
#[derive(Debug)]
pub(super) struct Model {
    started: Option<Timestamp>,
    now: Timestamp,
    /// Grows whenever a snapshot would differ from the one before in more than the time.
    revision: u64,
    health: Health,
    /// One entry a tick, the newest last.
    history: VecDeque<Rates>,
    /// Failures by class: since the start, since the last tick, and of each tick of the last minute.
    causes: Causes,
    failures: FairQueue<Arc<FailureRow>>,
    failures_seen: u64,
    /// Handshakes that a side refused once they had completed: in all, and up to the last tick.
    refused: u64,
    refused_before: u64,
    servers: Ranking<String, Peer>,
    clients: Ranking<String, Peer>,
    mutual: MutualPeers,
    certificates: SoonestToExpire,
}

/// Counts by class of error.
type ByClass = [u32; ErrorType::ALL.len()];

#[derive(Debug)]
struct Causes {
    total: [u64; ErrorType::ALL.len()],
    current: ByClass,
    minute: VecDeque<Box<ByClass>>,
}

/// What is counted for a server or a client.
#[derive(Debug, Default)]
struct Peer {
    handshakes: u64,
    failures: u64,
    durations: Histogram,
    last_failure: Option<ErrorType>,
    last_seen: Option<Timestamp>,
}

impl Counted for Peer {
    fn handshakes(&self) -> u64 {
        self.handshakes
    }

    fn notability(&self) -> u64 {
        self.failures
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            started: None,
            revision: 0,
            now: Timestamp::MIN,
            health: Health::default(),
            history: VecDeque::with_capacity(HISTORY),
            causes: Causes {
                total: [0; ErrorType::ALL.len()],
                current: [0; ErrorType::ALL.len()],
                minute: VecDeque::with_capacity(MINUTE),
            },
            failures: FairQueue::new(MAX_FAILURES),
            failures_seen: 0,
            refused: 0,
            refused_before: 0,
            servers: Ranking::new(MAX_PEERS),
            clients: Ranking::new(MAX_PEERS),
            mutual: MutualPeers::default(),
            certificates: SoonestToExpire::new(MAX_CERTIFICATES),
        }
    }
}

impl Model {
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// How long the run lasts.
    pub(super) fn running(&self) -> Duration {
        self.started
            .and_then(|started| self.now.checked_since(started))
            .unwrap_or_default()
    }

    pub(super) fn record(&mut self, event: &Handshake, ladder: Option<&Ladder>) {
        self.revision += 1;
        let mut server = String::new();
        write_name(&mut server, event);
        self.servers.update(&server, |peer| peer.record(event));
        let client = client(event);
        self.clients.update(&client, |peer| peer.record(event));
        self.mutual.record(event);
        self.certificates.record(event);
        if let Some(class) = refused_for(event) {
            self.causes.add(class);
            self.failures_seen += 1;
            self.refused += u64::from(event.rejected_after.is_some());
            let mut report = HandshakeReport::new(event.clone());
            report.ladder = ladder.cloned().map(Box::new);
            let group = format!("{class} {server}");
            let row = FailureRow::of(Arc::new(report));
            self.failures.push(&group, Arc::new(row));
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp, health: &Health) {
        let since = match self.started {
            Some(_) => now.checked_since(self.now).unwrap_or_default(),
            None => Duration::ZERO,
        };
        self.started.get_or_insert(now);
        let minute = |time: Timestamp| time.as_nanoseconds() / 60_000_000_000;
        // Days until certificates expire are shown, if there are any.
        let has_minute_passed =
            minute(now) != minute(self.now) && self.certificates.iter().next().is_some();
        self.now = now;
        let mut rates = Rates::between(&self.health, health, since);
        rates.refused = self.refused - std::mem::replace(&mut self.refused_before, self.refused);
        // While nothing came for as long as the sparklines go back, a second more changes nothing.
        let is_quiet = rates.is_zero() && self.history.iter().all(Rates::is_zero);
        self.revision += u64::from(!is_quiet || has_minute_passed || self.health != *health);
        self.health.clone_from(health);
        if since > Duration::ZERO {
            push_bounded(&mut self.history, HISTORY, rates);
            self.causes.tick();
        }
    }

    /// What a frame of this tab shows; all of it with `None`, for a screen that is paused and whose tabs the user goes through.
    pub(super) fn snapshot(&self, tab: Option<Tab>) -> Snapshot {
        let shows = |tabs: &[Tab]| tab.is_none_or(|tab| tabs.contains(&tab));
        let stats = &self.health.stats;
        let last_minute = self.history.iter().rev().take(MINUTE);
        let minute = last_minute.fold(Rates::default(), |sum, rates| sum + *rates);
        Snapshot {
            interfaces: self.health.interfaces.clone(),
            running: self.running(),
            open_handshakes: self.health.load.handshakes,
            open_connections: self.health.load.connections,
            history: self.history.iter().copied().collect(),
            minute,
            totals: Totals::of(stats, self.refused),
            causes: self.causes.rows(),
            failures: when(shows(&[Tab::Overview, Tab::Failures]), || {
                self.failure_rows()
            }),
            failures_seen: self.failures_seen,
            servers: when(shows(&[Tab::Overview, Tab::Servers]), || {
                rows(&self.servers)
            }),
            clients: when(shows(&[Tab::Clients]), || rows(&self.clients)),
            mutual: when(shows(&[Tab::Mutual]), || self.mutual_rows()),
            certificates: when(shows(&[Tab::Overview, Tab::Certificates]), || {
                self.certificate_rows()
            }),
        }
    }

    fn failure_rows(&self) -> Vec<Arc<FailureRow>> {
        let newest = self.failures.newest_first().into_iter();
        let mut rows: Vec<_> = newest.cloned().collect();
        // Verdicts do not come in the order of handshakes.
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        rows
    }

    fn mutual_rows(&self) -> Vec<MutualRow> {
        let (top, _) = self.mutual.top(MAX_PAIRS);
        let rows = top.into_iter().map(|(pair, counts)| MutualRow {
            client: printable(&pair.client).into_owned(),
            server: printable(&pair.server).into_owned(),
            handshakes: counts.handshakes,
            failures: counts.failures,
            last_seen: counts.last_seen,
        });
        rows.collect()
    }

    fn certificate_rows(&self) -> Vec<CertificateRow> {
        let rows = self.certificates.iter().map(|(not_after, shown)| {
            let now = self.now.as_nanoseconds() / 1_000_000_000;
            let days = not_after.0.saturating_sub(now) as f64 / 86_400.0;
            CertificateRow {
                name: printable(&shown.name).into_owned(),
                issuer: printable(&shown.issuer).into_owned(),
                role: shown.role.as_str(),
                days,
                not_after,
                times: shown.times,
            }
        });
        rows.collect()
    }
}

/// The rows if they are shown, and none otherwise.
fn when<T>(is_shown: bool, rows: impl FnOnce() -> Vec<T>) -> Vec<T> {
    match is_shown {
        true => rows(),
        false => Vec::new(),
    }
}

/// The class of a failure, or of a refusal after the handshake.
pub(super) fn refused_for(event: &Handshake) -> Option<ErrorType> {
    match (&event.rejected_after, event.outcome) {
        (Some(rejected), _) => Some(rejected.error_type),
        (None, Outcome::Failure) => event.error.as_ref().map(|error| error.error_type),
        (None, Outcome::Success | Outcome::Unknown) => None,
    }
}

/// The identity in the client's certificate, or else its address.
pub(super) fn client(event: &Handshake) -> String {
    let chain = event.client_certificates.as_ref();
    let leaf = chain.and_then(|chain| chain.first());
    match leaf.map(|leaf| &leaf.facts) {
        Some(Ok(facts)) => facts.identity().into_owned(),
        Some(Err(_)) | None => event.client.address.to_string(),
    }
}

fn rows(peers: &Ranking<String, Peer>) -> Vec<PeerRow> {
    let rows = peers.iter().map(|(name, peer)| PeerRow {
        name: printable(name).into_owned(),
        handshakes: peer.handshakes,
        failures: peer.failures,
        median: peer.durations.percentile(50),
        p99: peer.durations.percentile(99),
        last_failure: peer.last_failure.map(ErrorType::as_str),
        last_seen: peer.last_seen.unwrap_or(Timestamp::MIN),
    });
    rows.collect()
}

impl Peer {
    fn record(&mut self, event: &Handshake) {
        self.handshakes += 1;
        self.last_seen = self.last_seen.max(Some(event.time));
        if let Some(class) = refused_for(event) {
            self.failures += 1;
            self.last_failure = Some(class);
        }
        if let Some(duration) = event.timing.handshake {
            self.durations.record(duration);
        }
    }
}

impl Causes {
    fn add(&mut self, class: ErrorType) {
        let place = ErrorType::ALL.iter().position(|known| *known == class);
        let Some(place) = place else {
            return; // cannot happen: ALL has every class
        };
        self.total[place] += 1;
        self.current[place] = self.current[place].saturating_add(1);
    }

    fn tick(&mut self) {
        let current = std::mem::replace(&mut self.current, [0; ErrorType::ALL.len()]);
        push_bounded(&mut self.minute, MINUTE, Box::new(current));
    }

    /// Class, last minute and total of each class that occurred; the most frequent of the last minute first.
    fn rows(&self) -> Vec<(&'static str, u64, u64)> {
        let rows = ErrorType::ALL.iter().enumerate();
        let rows = rows.map(|(place, class)| {
            let minute = self.minute.iter().map(|second| u64::from(second[place]));
            let minute: u64 = minute.sum::<u64>() + u64::from(self.current[place]);
            (class.as_str(), minute, self.total[place])
        });
        let mut rows: Vec<_> = rows.filter(|(_, _, total)| *total > 0).collect();
        rows.sort_by_key(|(_, minute, total)| std::cmp::Reverse((*minute, *total)));
        rows
    }
}

impl Rates {
    /// What came between two ticks.
    fn between(before: &Health, after: &Health, since: Duration) -> Self {
        let (old, new): (&Stats, &Stats) = (&before.stats, &after.stats);
        let dropped = |health: &Health| -> u64 {
            let dropped = health.interfaces.iter().map(|one| one.dropped());
            dropped.sum()
        };
        Self {
            since,
            handshakes: new.handshakes.saturating_sub(old.handshakes),
            succeeded: new
                .handshakes_succeeded
                .saturating_sub(old.handshakes_succeeded),
            failed: new.handshakes_failed.saturating_sub(old.handshakes_failed),
            unknown: new
                .handshakes_unknown
                .saturating_sub(old.handshakes_unknown),
            refused: 0, // events say that, not the counters of the run
            packets: new.packets.saturating_sub(old.packets),
            bytes: new.bytes.saturating_sub(old.bytes),
            dropped: dropped(after).saturating_sub(dropped(before)),
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, limit: usize, item: T) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
