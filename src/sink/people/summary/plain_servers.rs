//! Connections that did not become TLS, by server, in bounded memory.

use hashbrown::HashMap;

use crate::event::{NotTls, NotTlsKind};
use crate::flow::Endpoint;

/// Most servers at a time; connections of further ones are counted together.
const CAPACITY: usize = 4096;

/// The kinds, in the order in which they are listed.
const KINDS: [NotTlsKind; 3] = [
    NotTlsKind::Plaintext,
    NotTlsKind::StartTlsRefused,
    NotTlsKind::SilentProbe,
];

/// Counts by server and kind.
#[derive(Debug, Default)]
pub(in crate::sink) struct PlainServers {
    servers: HashMap<Endpoint, [u64; KINDS.len()], foldhash::fast::RandomState>,
    others: u64,
}

impl PlainServers {
    pub(in crate::sink) fn record(&mut self, event: &NotTls) {
        let is_known = self.servers.contains_key(&event.server);
        if !is_known && self.servers.len() >= CAPACITY {
            self.others += 1;
            return;
        }
        self.servers.entry(event.server).or_default()[event.kind as usize] += 1;
    }

    /// The `limit` servers with the most connections, each with its counts; and how many all others had.
    pub(in crate::sink) fn top(&self, limit: usize) -> (Vec<[String; 3]>, u64) {
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        let mut ranked: Vec<_> = self.servers.iter().collect();
        ranked.sort_unstable_by_key(|(server, counts)| {
            (std::cmp::Reverse(total(&counts[..])), **server)
        });
        let rest = ranked.split_off(limit.min(ranked.len()));
        let others: u64 = rest.iter().map(|(_, counts)| total(&counts[..])).sum();
        let row = |(server, counts): (&Endpoint, &[u64; KINDS.len()])| {
            let kinds: Vec<_> = KINDS
                .iter()
                .map(|kind| (kind, counts[*kind as usize]))
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| format!("{kind} {count}"))
                .collect();
            [
                server.to_string(),
                total(counts).to_string(),
                kinds.join(", "),
            ]
        };
        (ranked.into_iter().map(row).collect(), others + self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn counts_by_server_and_kind_and_stays_bounded() {
        let mut servers = PlainServers::default();
        let client = Endpoint::new([192, 0, 2, 9].into(), 50_000);
        let server = |number: u32| Endpoint::new(std::net::Ipv4Addr::from(number).into(), 443);
        let mut record = |number, kind| {
            servers.record(&NotTls::new(
                Timestamp::default(),
                client,
                server(number),
                kind,
            ));
        };
        for kind in [
            NotTlsKind::SilentProbe,
            NotTlsKind::Plaintext,
            NotTlsKind::SilentProbe,
        ] {
            record(1, kind);
        }
        (2..10_000).for_each(|number| record(number, NotTlsKind::Plaintext));
        let (top, others) = servers.top(1);
        assert_eq!(top, [["0.0.0.1:443", "3", "plaintext 1, silent_probe 2"]]);
        assert_eq!(others, 9_998);
        assert_eq!(servers.servers.len(), CAPACITY);
    }
}
