//! Puts the workers' events in order, and decides in that order what needs the whole run: chains, copies, plain connections.

use std::collections::VecDeque;

use crate::certificate::Trust;
use crate::event::{Handshake, HandshakeReport, NotTls, Outcome};
use crate::handshake::Validator;
use crate::stats::Stats;

use super::copies::Copies;
use super::not_tls::TlsServers;
use super::relays::Relays;
use super::worker::{Made, Numbered};

/// Where the reports of all workers meet.
#[derive(Debug)]
pub(crate) struct Collector {
    validator: Validator,
    copies: Copies,
    servers: TlsServers,
    relays: Relays,
    events: VecDeque<Collected>,
    stats: Stats,
}

/// What leaves the observer.
#[derive(Debug)]
pub(crate) enum Collected {
    Handshake(Box<HandshakeReport>),
    NotTls(NotTls),
}

impl Collector {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self {
            validator: Validator::new(trust),
            copies: Copies::default(),
            servers: TlsServers::default(),
            relays: Relays::default(),
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Empties `made`, which is all of one batch; gives events in the order that does not depend on the number of workers.
    ///
    /// Events of one step (a tick, the end of the capture) happen at the same time in all
    /// shards: their own time and place in the capture order them.
    pub(crate) fn collect<'c>(
        &'c mut self,
        made: &mut Vec<Numbered>,
    ) -> impl Iterator<Item = Collected> + 'c {
        let order = |(step, made): &Numbered| (*step, made.order());
        // Those of one worker are in order but for steps that end many connections, and then sorting would move each of them many times.
        if !made.is_sorted_by_key(order) {
            made.sort_by_cached_key(order);
        }
        for (_, made) in made.drain(..) {
            match made {
                Made::Handshake(report) => self.take_handshake(report),
                Made::Relay(relay) => self.relays.note(relay),
                Made::Plain(connection) => {
                    let copies = &mut self.copies;
                    if !copies.is_plain_copy(connection.ends(), connection.time, connection.marks) {
                        self.servers.take(connection, &mut |event| {
                            self.events.push_back(Collected::NotTls(event));
                        });
                    }
                }
            }
        }
        self.events.drain(..).inspect(|event| {
            if let Collected::NotTls(event) = event {
                self.stats.not_tls += 1;
                self.stats.starttls_not_taken += u64::from(event.starttls_offered == Some(true));
            }
        })
    }

    fn take_handshake(&mut self, mut report: Box<HandshakeReport>) {
        if self.copies.is_copy(&report.event, &report.identity) {
            self.stats.handshakes_duplicated += 1;
            return;
        }
        self.relays.name(&mut report.event, &report.identity);
        count(&mut self.stats, &report.event);
        self.validator.handle_event(&mut report.event);
        let server = report.event.server;
        // Only an answer shows that the server speaks TLS.
        let speaks_tls = report.event.tls.version.is_some() && !report.identity.is_upgraded;
        self.events.push_back(Collected::Handshake(report));
        if speaks_tls {
            self.servers.note(server, &mut |event| {
                self.events.push_back(Collected::NotTls(event));
            });
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.not_tls_forgotten = self.servers.forgotten;
        stats += self.validator.stats();
        stats
    }
}

fn count(stats: &mut Stats, event: &Handshake) {
    let gaps = [
        event.capture.client_gap_bytes,
        event.capture.server_gap_bytes,
    ];
    stats.gaps += gaps.iter().filter(|gap| **gap > 0).count() as u64;
    stats.gap_bytes += gaps.iter().sum::<u64>();
    stats.handshakes += 1;
    match event.outcome {
        Outcome::Success => stats.handshakes_succeeded += 1,
        Outcome::Failure => stats.handshakes_failed += 1,
        Outcome::Unknown => stats.handshakes_unknown += 1,
    }
}
