//! What the screen shows: rows that are safe for a terminal, copied from the model.

use std::cmp::{Ordering, Reverse};
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use super::super::summary::write_name;
use super::super::text::{printable, printable_message};
use super::model::{client, refused_for};
use crate::certificate::CertificateTime;
use crate::event::{HandshakeReport, Side};
use crate::stats::{InterfaceHealth, Stats};
use crate::time::Timestamp;

/// The state of a run at one moment, without the rows of tabs that are not shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) interfaces: Vec<InterfaceHealth>,
    pub(super) running: Duration,
    pub(super) open_handshakes: u64,
    pub(super) open_connections: u64,
    /// One entry a tick, the newest last.
    pub(super) history: Vec<Rates>,
    /// The sum of the last minute.
    pub(super) minute: Rates,
    pub(super) totals: Totals,
    /// Class, last minute, total.
    pub(super) causes: Vec<(&'static str, u64, u64)>,
    /// The newest first.
    pub(super) failures: Vec<Arc<FailureRow>>,
    pub(super) failures_seen: u64,
    pub(super) servers: Vec<PeerRow>,
    pub(super) clients: Vec<PeerRow>,
    pub(super) mutual: Vec<MutualRow>,
    /// The next to expire first.
    pub(super) certificates: Vec<CertificateRow>,
}

/// What came in a span of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    pub(super) since: Duration,
    pub(super) handshakes: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    /// Of those that succeeded, those that a side refused afterwards.
    pub(super) refused: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
}

impl Rates {
    /// Whether nothing came.
    pub(super) const fn is_zero(&self) -> bool {
        self.handshakes == 0 && self.packets == 0 && self.bytes == 0 && self.dropped == 0
    }

    /// `count` for each second of the span.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        match self.since.as_secs_f64() {
            0.0 => 0.0,
            seconds => count as f64 / seconds,
        }
    }
}

impl Add for Rates {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            since: self.since + other.since,
            handshakes: self.handshakes + other.handshakes,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            unknown: self.unknown + other.unknown,
            refused: self.refused + other.refused,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// Handshakes since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) handshakes: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    /// Of those that succeeded, those that a side refused afterwards.
    pub(super) refused: u64,
}

impl Totals {
    pub(super) const fn of(stats: &Stats, refused: u64) -> Self {
        Self {
            refused,
            handshakes: stats.handshakes,
            succeeded: stats.handshakes_succeeded,
            failed: stats.handshakes_failed,
            unknown: stats.handshakes_unknown,
        }
    }
}

/// A failed handshake.
#[derive(Clone, Debug)]
pub(super) struct FailureRow {
    pub(super) time: Timestamp,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) class: &'static str,
    pub(super) side: Option<Side>,
    pub(super) message: String,
    /// All that is known, for the details.
    pub(super) report: Arc<HandshakeReport>,
}

/// A server or a client.
#[derive(Clone, Debug)]
pub(super) struct PeerRow {
    pub(super) name: String,
    pub(super) handshakes: u64,
    pub(super) failures: u64,
    /// Half of the completed handshakes took at most this.
    pub(super) median: Duration,
    pub(super) p99: Duration,
    pub(super) last_failure: Option<&'static str>,
    pub(super) last_seen: Timestamp,
}

/// A client and a server that it showed a certificate.
#[derive(Clone, Debug)]
pub(super) struct MutualRow {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) handshakes: u64,
    pub(super) failures: u64,
    pub(super) last_seen: Timestamp,
}

/// A certificate.
#[derive(Clone, Debug)]
pub(super) struct CertificateRow {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) role: &'static str,
    /// Until it expires.
    pub(super) days: f64,
    pub(super) not_after: CertificateTime,
    pub(super) times: u64,
}

impl FailureRow {
    pub(super) fn of(report: Arc<HandshakeReport>) -> Self {
        let event = &report.event;
        let mut server = String::new();
        write_name(&mut server, event);
        let class = refused_for(event).map_or("unknown", |class| class.as_str());
        let (side, message) = match (&event.rejected_after, &event.error) {
            (Some(rejected), _) => {
                let seen = rejected.observations.last().copied();
                let message = match seen {
                    Some(seen) => format!("after the handshake: {seen}"),
                    None => "refused after the handshake".to_owned(),
                };
                (Some(rejected.side), message)
            }
            (None, Some(error)) => (error.side, printable_message(&error.message).into_owned()),
            (None, None) => (None, String::new()),
        };
        Self {
            time: event.time,
            client: printable(&client(event)).into_owned(),
            server: printable(&server).into_owned(),
            class,
            side,
            message,
            report,
        }
    }
}

/// The order of servers, clients and pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Failures,
    Handshakes,
    Slowest,
    LastSeen,
    Name,
}

impl Sort {
    /// The next one, and the first after the last.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Failures => Self::Handshakes,
            Self::Handshakes => Self::Slowest,
            Self::Slowest => Self::LastSeen,
            Self::LastSeen => Self::Name,
            Self::Name => Self::Failures,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Handshakes => "handshakes",
            Self::Slowest => "p99",
            Self::LastSeen => "last seen",
            Self::Name => "name",
        }
    }

    pub(super) fn compare(self, a: &PeerRow, b: &PeerRow) -> Ordering {
        let by_rank = match self {
            Self::Failures => Reverse(a.failures).cmp(&Reverse(b.failures)),
            Self::Handshakes => Ordering::Equal,
            Self::Slowest => Reverse(a.p99).cmp(&Reverse(b.p99)),
            Self::LastSeen => Reverse(a.last_seen).cmp(&Reverse(b.last_seen)),
            Self::Name => a.name.cmp(&b.name),
        };
        by_rank
            .then_with(|| Reverse(a.handshakes).cmp(&Reverse(b.handshakes)))
            .then_with(|| a.name.cmp(&b.name))
    }

    pub(super) fn compare_pairs(self, a: &MutualRow, b: &MutualRow) -> Ordering {
        let by_rank = match self {
            Self::Failures => Reverse(a.failures).cmp(&Reverse(b.failures)),
            Self::Handshakes | Self::Slowest => Ordering::Equal,
            Self::LastSeen => Reverse(a.last_seen).cmp(&Reverse(b.last_seen)),
            Self::Name => a.client.cmp(&b.client),
        };
        by_rank
            .then_with(|| Reverse(a.handshakes).cmp(&Reverse(b.handshakes)))
            .then_with(|| (&a.client, &a.server).cmp(&(&b.client, &b.server)))
    }
}
