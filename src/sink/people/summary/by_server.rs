//! How long handshakes take, and how keys are exchanged, by server.

use super::histogram::Histogram;
use super::milliseconds;
use super::ranking::{Counted, Ranking};
use crate::event::{Handshake, KeyExchangeClass};
use crate::tls::{NamedGroup, ProtocolVersion};

/// Most servers at a time.
const CAPACITY: usize = 2048;

/// Measures and counts by server, which has the name that [`write_name`](super::write_name) gives it.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Ranking<String, Server>,
    all: KeyExchanges,
}

#[derive(Debug, Default)]
struct Server {
    handshakes: u64,
    durations: Durations,
    key_exchanges: KeyExchanges,
}

/// How long handshakes took, by version; `None` stands for all without a name, of which there could be 65,536.
#[derive(Debug, Default)]
struct Durations {
    /// Those with the version of the first handshake, which is that of all for most servers.
    first: Option<(Option<ProtocolVersion>, Histogram)>,
    others: Vec<(Option<ProtocolVersion>, Histogram)>,
}

/// Handshakes with a ServerHello, by class of key exchange.
#[derive(Debug, Default)]
struct KeyExchanges {
    counts: [u64; KeyExchangeClass::ALL.len()],
    /// The post-quantum groups that were selected, each once: at most the few that [`NamedGroup`] knows as such.
    post_quantum: Vec<NamedGroup>,
}

impl Counted for Server {
    fn handshakes(&self) -> u64 {
        self.handshakes
    }

    /// The highest median: a slow server is looked for, however rarely it is used.
    fn notability(&self) -> u64 {
        let medians = self.durations.iter().map(|(_, row)| row.percentile(50));
        let highest = medians.max().unwrap_or_default();
        u64::try_from(highest.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for Servers {
    fn default() -> Self {
        Self {
            servers: Ranking::new(CAPACITY),
            all: KeyExchanges::default(),
        }
    }
}

impl Servers {
    /// Records a handshake with the server `name`.
    pub(super) fn record(&mut self, event: &Handshake, name: &str) {
        let Some(version) = event.tls.version else {
            return;
        };
        let version = Some(version).filter(|version| version.is_named());
        let class = event.tls.key_exchange();
        self.all.add(class, event.tls.group);
        self.servers.update(name, |server| {
            server.handshakes += 1;
            server.key_exchanges.add(class, event.tls.group);
            if let Some(duration) = event.timing.handshake {
                server.durations.of(version).record(duration);
            }
        });
    }

    /// Whether there were too many servers: those with few handshakes and no long ones are not counted in full.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.servers.has_forgotten()
    }

    /// A row for each of the `limit` servers and versions with the highest median, after one with the names of the columns:
    /// server, version, handshakes, p50, p90, p99, max. Empty if there is only one to compare.
    pub(super) fn slowest(&self, limit: usize) -> Vec<[String; 7]> {
        let servers = self.servers.iter();
        let mut timed: Vec<_> = servers
            .flat_map(|(name, server)| {
                let durations = server.durations.iter();
                durations.map(move |(version, row)| (row.percentile(50), name, *version, row))
            })
            .collect();
        if timed.len() < 2 {
            return Vec::new();
        }
        timed.sort_unstable_by_key(|(median, name, version, _)| {
            (std::cmp::Reverse(*median), *name, *version)
        });
        timed.truncate(limit);
        let header = [
            "server",
            "version",
            "handshakes",
            "p50",
            "p90",
            "p99",
            "max",
        ];
        let row =
            |(median, name, version, row): (_, &String, Option<ProtocolVersion>, &Histogram)| {
                [
                    name.clone(),
                    version.map_or_else(|| "other".to_owned(), |version| version.to_string()),
                    row.count().to_string(),
                    milliseconds(median),
                    milliseconds(row.percentile(90)),
                    milliseconds(row.percentile(99)),
                    milliseconds(row.max()),
                ]
            };
        let rows = timed.into_iter().map(row);
        std::iter::once(header.map(str::to_owned))
            .chain(rows)
            .collect()
    }

    /// A row for each of the `limit` busiest servers, after one for all: server, handshakes, classes.
    pub(super) fn key_exchanges(&self, limit: usize) -> Vec<[String; 3]> {
        let total = self.all.total();
        if total == 0 {
            return Vec::new();
        }
        let (top, others) = self.servers.top(limit, |row| row.handshakes);
        let mut rows = vec![["all servers".to_owned(), total.to_string(), self.all.text()]];
        rows.extend(top.into_iter().map(|(name, server)| {
            let count = server.handshakes.to_string();
            [name.clone(), count, server.key_exchanges.text()]
        }));
        if others > 0 {
            rows.push(["other servers".into(), others.to_string(), String::new()]);
        }
        rows
    }
}

impl Durations {
    fn iter(&self) -> impl Iterator<Item = &(Option<ProtocolVersion>, Histogram)> {
        self.first.iter().chain(&self.others)
    }

    fn of(&mut self, version: Option<ProtocolVersion>) -> &mut Histogram {
        let first = self
            .first
            .get_or_insert_with(|| (version, Histogram::default()));
        if first.0 == version {
            return &mut first.1;
        }
        let known = self.others.iter().position(|(of, _)| *of == version);
        let index = known.unwrap_or_else(|| {
            self.others.push((version, Histogram::default()));
            self.others.len() - 1
        });
        &mut self.others[index].1
    }
}

impl KeyExchanges {
    fn add(&mut self, class: KeyExchangeClass, group: Option<NamedGroup>) {
        self.counts[class as usize] += 1;
        let is_post_quantum = matches!(class, KeyExchangeClass::PqHybrid | KeyExchangeClass::Pq);
        let group = group.filter(|group| is_post_quantum && !self.post_quantum.contains(group));
        self.post_quantum.extend(group);
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// As in `classical 3, pq_hybrid 1 (X25519MLKEM768)`, the most frequent first.
    fn text(&self) -> String {
        let mut classes: Vec<_> = KeyExchangeClass::ALL.iter().zip(self.counts).collect();
        classes.retain(|(_, count)| *count > 0);
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: ties in order of the documentation
        let texts: Vec<_> = classes
            .into_iter()
            .map(|(class, count)| format!("{class} {count}{}", self.groups_of(*class)))
            .collect();
        texts.join(", ")
    }

    /// The groups of a post-quantum class, in brackets: users migrate from one group to another. Empty for other classes.
    fn groups_of(&self, class: KeyExchangeClass) -> String {
        let is_of_class = |group: &&NamedGroup| match class {
            KeyExchangeClass::PqHybrid => group.is_post_quantum_hybrid(),
            KeyExchangeClass::Pq => group.is_post_quantum(),
            _ => false,
        };
        let groups = self.post_quantum.iter().filter(is_of_class);
        let names: Vec<_> = groups.map(ToString::to_string).collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(" ({})", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sink::test_events;

    fn took(milliseconds: u64, version: ProtocolVersion) -> Handshake {
        let mut event = test_events::completed();
        event.tls.version = Some(version);
        event.timing.handshake = Some(Duration::from_millis(milliseconds));
        event
    }

    #[test]
    fn servers_are_ranked_by_their_median_for_each_version() {
        let mut servers = Servers::default();
        servers.record(&took(10, ProtocolVersion::TLSv1_2), "a");
        assert!(servers.slowest(10).is_empty(), "nothing to compare");
        for (milliseconds, name) in [(900, "a"), (20, "b"), (30, "b")] {
            servers.record(&took(milliseconds, ProtocolVersion::TLSv1_3), name);
        }
        let rows = servers.slowest(2);
        let names: Vec<_> = rows
            .iter()
            .map(|row| (&*row[0], &*row[1], &*row[6]))
            .collect();
        let expected = [
            ("server", "version", "max"),
            ("a", "TLS 1.3", "900.00"),
            ("b", "TLS 1.3", "30.00"),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_slowest_of_many_servers_are_found() {
        let mut servers = Servers::default();
        assert!(!servers.is_incomplete());
        for number in 0..5 * CAPACITY as u64 {
            let milliseconds = if number % 1_000 == 7 {
                5_000 + number
            } else {
                number % 97
            };
            let name = format!("s{number}");
            servers.record(&took(milliseconds, ProtocolVersion::TLSv1_3), &name);
        }
        assert!(servers.is_incomplete());
        let rows = servers.slowest(10);
        let names: Vec<_> = rows.iter().skip(1).map(|row| row[0].clone()).collect();
        let slow: Vec<_> = (1..=10)
            .rev()
            .map(|n| format!("s{}", n * 1_000 + 7))
            .collect();
        assert_eq!(names, slow);
    }

    #[test]
    fn key_exchanges_are_counted_by_server_and_for_all() {
        let mut servers = Servers::default();
        for (group, name) in [
            (NamedGroup::X25519MLKEM768, "a"),
            (NamedGroup::X25519, "a"),
            (NamedGroup::X25519, "a"),
            (NamedGroup::X25519MLKEM768, "a"),
            (NamedGroup::SecP256r1MLKEM768, "a"),
            (NamedGroup::MLKEM768, "b"),
        ] {
            let mut event = test_events::completed();
            event.tls.group = Some(group);
            servers.record(&event, name);
        }
        let expected = [
            [
                "all servers",
                "6",
                "pq_hybrid 3 (X25519MLKEM768, SecP256r1MLKEM768), classical 2, pq 1 (MLKEM768)",
            ],
            [
                "a",
                "5",
                "pq_hybrid 3 (X25519MLKEM768, SecP256r1MLKEM768), classical 2",
            ],
            ["other servers", "1", ""],
        ];
        assert_eq!(servers.key_exchanges(1), expected);
    }
}
