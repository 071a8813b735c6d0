//! The thread from ClientHellos to sockets.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;
use foldhash::fast::RandomState;

use super::budget::Budget;
use super::hellos::Hellos;
use super::local_addresses::LocalAddresses;
use super::sock_diag::{MAX_QUESTIONS, Question, SocketDiagnosis};
use super::{Counters, Hello, Located, count, hand_over, processor_time};
use crate::flow::{Endpoint, IpProtocol};
use crate::time::Timestamp;

/// Thousandths of a core. A socket takes 1.2 µs, or 1.8 after a pause, and a wake-up 5 to 35 µs.
const SHARE: u32 = 6;
/// The same if the kernel's control groups name nothing (version 1, or Linux before 5.9): a socket alone says nothing then, and the time is
/// better used for processes.
const SHARE_WITHOUT_GROUPS: u32 = 4;
/// Thousandths of a core above which rounds become longer and fewer. Wake-ups would take all of the share otherwise.
const EASY: u32 = 2;
/// How long the thread waits after a ClientHello for more of them. A connection that is shorter is too short. The more it has used, the longer
/// the thread waits, and takes more at once.
const GATHER: Duration = Duration::from_millis(2);
const MAX_GATHER: Duration = Duration::from_millis(12);
/// Age from which a ClientHello is not looked up: it waited while the budget was spent. The time is better used for a new one, whose
/// socket is more likely to be there.
const STALE: Duration = Duration::from_millis(25);
/// How long it waits for a ClientHello before it looks whether the run has ended.
const IDLE: Duration = Duration::from_millis(250);
/// How often the addresses of the host are read again, if there are ClientHellos.
const ADDRESSES: Duration = Duration::from_secs(5);
/// How often the kernel is asked what it dropped.
const DROPS: Duration = Duration::from_secs(1);
/// ClientHellos that are looked up in one round; both ends of each may be sockets of this host.
const MAX_HELLOS: usize = MAX_QUESTIONS / 2;
/// ClientHellos taken from one interface in one round: all that its ring holds.
const RING_ROUND: usize = 1 << 13;

/// Looks up the sockets of ClientHellos.
pub(super) struct SocketFinder {
    hellos: Hellos,
    diagnosis: SocketDiagnosis,
    /// `None` if the kernel does not list them: then only loopback addresses are known to be local.
    addresses: Option<LocalAddresses>,
    found: Sender<Located>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    recent: Recent,
}

impl SocketFinder {
    pub(super) fn new(
        hellos: Hellos,
        diagnosis: SocketDiagnosis,
        found: Sender<Located>,
        counters: Arc<Counters>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            hellos,
            diagnosis,
            addresses: LocalAddresses::open().ok(),
            found,
            counters,
            stop,
            recent: Recent::default(),
        }
    }

    /// Works until the run stops. What the budget does not allow stays in the ring, which drops it when it is full.
    pub(super) fn run(mut self) {
        let start = Instant::now();
        let mut budget = Budget::new(SHARE, Duration::ZERO);
        let mut without_groups = Budget::new(SHARE_WITHOUT_GROUPS, Duration::ZERO);
        let mut easy = Budget::new(EASY, Duration::ZERO);
        let mut spent = processor_time();
        let (mut next_addresses, mut next_drops) = (ADDRESSES, DROPS);
        let mut round = Round::default();
        while !self.stop.load(Ordering::Relaxed) {
            // Each wait costs a wake-up, some 50 µs on a busy host: while ClientHellos come, there is one for each round.
            let has_groups = self.counters.names_groups.load(Ordering::Relaxed);
            let limit = if has_groups { &budget } else { &without_groups };
            if round.hellos.is_empty() {
                self.hellos.wait(IDLE);
            } else if limit.is_left() {
                let more = (MAX_GATHER - GATHER).mul_f64(1.0 - easy.fill());
                std::thread::sleep(GATHER + more);
            } else {
                std::thread::sleep(limit.wait().min(IDLE));
            }
            let now = start.elapsed();
            round.hellos.clear();
            self.hellos.take(RING_ROUND, &mut round.hellos);
            if !round.hellos.is_empty() {
                if now >= next_addresses {
                    next_addresses = now + ADDRESSES;
                    let addresses = self.addresses.as_mut();
                    let _ = addresses.map(LocalAddresses::refresh); // the old ones stay
                }
                self.drop_stale(&mut round.fresh, &round.hellos);
                self.look_up(&mut round, now);
            }
            if now >= next_drops {
                next_drops = now + DROPS;
                count(&self.counters.over_budget, self.hellos.dropped());
            }
            let total = processor_time();
            let used = total.saturating_sub(spent);
            for budget in [&mut budget, &mut without_groups, &mut easy] {
                budget.settle(start.elapsed(), used);
            }
            let nanoseconds = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
            count(&self.counters.spent_on_sockets, nanoseconds);
            spent = total;
        }
    }

    /// Keeps the newest, as many as one round may have. The others waited while the budget was spent.
    fn drop_stale(&self, fresh: &mut Vec<Hello>, hellos: &[Hello]) {
        fresh.clear();
        let newest = hellos.len().saturating_sub(MAX_HELLOS);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let oldest = now.ok().and_then(|now| now.checked_sub(STALE));
        let oldest = oldest.map_or(Timestamp::MIN, |oldest| {
            Timestamp::from_seconds(0).saturating_add(oldest)
        });
        let mut left_out = 0;
        for (place, hello) in hellos.iter().enumerate() {
            if place >= newest && hello.at >= oldest {
                fresh.push(*hello);
                continue;
            }
            let ends = [hello.client, hello.server];
            left_out += ends.iter().filter(|end| self.is_local(end)).count();
        }
        count(&self.counters.over_budget, left_out as u64);
    }

    /// Looks up the local ends of a round.
    fn look_up(&mut self, round: &mut Round, now: Duration) {
        let Round {
            fresh: hellos,
            questions,
            answers,
            ..
        } = round;
        hellos.retain(|hello| self.recent.is_new(hello, now));
        for hellos in hellos.chunks(MAX_HELLOS) {
            questions.clear();
            for hello in hellos {
                let ends = [(hello.client, hello.server), (hello.server, hello.client)];
                let ends = ends.into_iter().filter(|(local, _)| self.is_local(local));
                questions.extend(ends.map(|(local, remote)| Question {
                    protocol: hello.protocol,
                    local,
                    remote,
                }));
            }
            if questions.is_empty() || self.diagnosis.ask(questions, answers).is_err() {
                continue;
            }
            let mut answered = questions.iter().zip(answers.iter()).peekable();
            for hello in hellos {
                let mut located = Located {
                    hello: *hello,
                    client: None,
                    server: None,
                };
                let mut sockets = 0;
                for local in [hello.client, hello.server] {
                    let is_it = |(question, _): &(&Question, _)| {
                        question.local == local && question.protocol == hello.protocol
                    };
                    let Some((_, socket)) = answered.next_if(is_it) else {
                        continue;
                    };
                    match socket {
                        Some(_) => sockets += 1,
                        None => count(&self.counters.gone, 1),
                    }
                    let end = if local == hello.client {
                        &mut located.client
                    } else {
                        &mut located.server
                    };
                    *end = *socket;
                }
                if sockets > 0 {
                    hand_over(&self.found, located, sockets, &self.counters);
                }
            }
        }
    }

    fn is_local(&self, end: &Endpoint) -> bool {
        match &self.addresses {
            Some(addresses) => addresses.contain(end.address),
            None => end.address.is_loopback(),
        }
    }
}

/// Buffers of one round.
#[derive(Default)]
struct Round {
    /// What there was.
    hellos: Vec<Hello>,
    /// What is looked up of it.
    fresh: Vec<Hello>,
    questions: Vec<Question>,
    answers: Vec<Option<super::Socket>>,
}

/// Connections of the last moments. A ClientHello is seen on several interfaces, is sent again, and may be followed by a second one;
/// and a QUIC server's first packet looks like a client's.
#[derive(Debug, Default)]
struct Recent {
    /// Those of this moment, and of the one before.
    moments: [HashSet<(IpProtocol, Endpoint, Endpoint), RandomState>; 2],
    began: Duration,
}

impl Recent {
    /// Longer than a round trip.
    const MOMENT: Duration = Duration::from_millis(500);
    const MAX: usize = 4096;

    fn is_new(&mut self, hello: &Hello, now: Duration) -> bool {
        let [current, before] = &mut self.moments;
        let is_over = now.saturating_sub(self.began) >= Self::MOMENT;
        if is_over || current.len() >= Self::MAX {
            std::mem::swap(current, before);
            current.clear();
            self.began = now;
        }
        let Hello {
            protocol,
            client,
            server,
            ..
        } = *hello;
        let known = |moment: &HashSet<_, RandomState>| {
            moment.contains(&(protocol, client, server))
                || protocol == IpProtocol::Udp && moment.contains(&(protocol, server, client))
        };
        if self.moments.iter().any(known) {
            return false;
        }
        self.moments[0].insert((protocol, client, server));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn hello(protocol: IpProtocol, client: u16, server: u16) -> Hello {
        Hello {
            at: Timestamp::MIN,
            protocol,
            client: Endpoint::new(HOST, client),
            server: Endpoint::new(HOST, server),
        }
    }

    #[test]
    fn a_connection_is_new_once_in_a_while() {
        let mut recent = Recent::default();
        let first = hello(IpProtocol::Tcp, 5, 443);
        let at = Duration::from_millis;
        assert!(recent.is_new(&first, at(0)));
        assert!(!recent.is_new(&first, at(400)));
        assert!(!recent.is_new(&first, at(600)));
        assert!(recent.is_new(&hello(IpProtocol::Tcp, 443, 5), at(600)));
        assert!(recent.is_new(&first, at(1200)));
    }

    #[test]
    fn the_answer_of_a_server_over_udp_is_not_another_client() {
        let mut recent = Recent::default();
        assert!(recent.is_new(&hello(IpProtocol::Udp, 5, 443), Duration::ZERO));
        assert!(!recent.is_new(&hello(IpProtocol::Udp, 443, 5), Duration::ZERO));
    }

    #[test]
    fn many_connections_take_no_more_memory() {
        let mut recent = Recent::default();
        for port in 0..20_000 {
            assert!(recent.is_new(&hello(IpProtocol::Tcp, port, 443), Duration::ZERO));
        }
        let kept: usize = recent.moments.iter().map(HashSet::len).sum();
        assert!(kept <= 2 * Recent::MAX);
    }
}
