//! The clients with the most handshakes, by address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ranking::{Counted, Ranking};
use crate::event::{Handshake, Outcome};
use crate::tls::ProtocolVersion;

/// Most clients at a time.
const CAPACITY: usize = 4096;
/// Versions named for a client.
const VERSIONS: usize = 3;

/// Counts handshakes by client.
#[derive(Debug)]
pub(super) struct ClientAddresses(Ranking<IpAddr, ClientRow>);

#[derive(Debug, Default)]
struct ClientRow {
    handshakes: u64,
    failures: u64,
    versions: Versions,
}

/// Versions that servers selected; `None` for those without a name, and where there was no ServerHello.
#[derive(Debug, Default)]
struct Versions {
    /// The version of the first handshake, which is that of all for most clients.
    first: Option<(Option<ProtocolVersion>, u64)>,
    others: BTreeMap<Option<ProtocolVersion>, u64>,
}

impl Counted for ClientRow {
    fn handshakes(&self) -> u64 {
        self.handshakes
    }
}

impl Default for ClientAddresses {
    fn default() -> Self {
        Self(Ranking::new(CAPACITY))
    }
}

impl ClientAddresses {
    pub(super) fn record(&mut self, event: &Handshake) {
        // Versions without a name share a row: there could be 65,536 of them.
        let version = event.tls.version.filter(|version| version.is_named());
        self.0.update(&event.client.address, |row| {
            row.handshakes += 1;
            row.failures += u64::from(event.outcome == Outcome::Failure);
            row.versions.count(version);
        });
    }

    /// A row for each of the `limit` busiest clients, after one with the names of the columns: address, handshakes, failed, versions.
    pub(super) fn rows(&self, limit: usize) -> Vec<[String; 4]> {
        let (top, others) = self.0.top(limit, |row| row.handshakes);
        if top.is_empty() {
            return Vec::new();
        }
        let header = ["client", "handshakes", "failed", "versions"].map(str::to_owned);
        let mut rows = vec![header];
        rows.extend(top.into_iter().map(|(address, row)| {
            [
                address.to_string(),
                row.handshakes.to_string(),
                row.failures.to_string(),
                row.versions.text(),
            ]
        }));
        if others > 0 {
            let others = others.to_string();
            rows.push(["other clients".into(), others, String::new(), String::new()]);
        }
        rows
    }
}

impl Versions {
    fn count(&mut self, version: Option<ProtocolVersion>) {
        let (first, count) = self.first.get_or_insert((version, 0));
        if *first == version {
            *count += 1;
        } else {
            *self.others.entry(version).or_default() += 1;
        }
    }

    /// As in `TLS 1.2 3, TLS 1.3 1`, the most frequent first.
    fn text(&self) -> String {
        let others = self
            .others
            .iter()
            .map(|(version, count)| (*version, *count));
        let mut versions: Vec<_> = self.first.into_iter().chain(others).collect();
        versions.sort_by_key(|(version, count)| (std::cmp::Reverse(*count), *version));
        let text = |(version, count): (Option<ProtocolVersion>, u64)| match version {
            Some(version) => format!("{version} {count}"),
            None => format!("no version {count}"),
        };
        let texts: Vec<_> = versions.into_iter().take(VERSIONS).map(text).collect();
        texts.join(", ")
    }
}
