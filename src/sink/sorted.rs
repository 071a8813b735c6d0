//! Handshakes in another order than that of their verdicts.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use foldhash::fast::RandomState;

use super::{Needs, Sink};
use crate::certificate::{Certificate, CertificateTime};
use crate::event::{CertificateChain, Handshake, NotTls};
use crate::flow::Endpoint;
use crate::memory::boxed;
use crate::stats::Stats;
use crate::time::Timestamp;

/// An order of handshakes. The doc comment of a value is its help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum SortOrder {
    /// The first to begin first.
    Time,
    /// The longest first; those that did not complete last.
    Duration,
    /// The one with the certificate that is the next to expire first; those without certificates last.
    Expiry,
    /// By the name of the server, else by its address.
    Server,
}

/// Holds all handshakes, and passes them on in order at the end.
pub struct SortedSink {
    inner: Box<dyn Sink>,
    order: SortOrder,
    held: BTreeMap<Key, Held>,
    received: u64,
    /// Tells the user how many handshakes, the last in order, were left out because there were too many.
    on_omitted: fn(u64),
    omitted: u64,
    /// Bytes of memory that what is held may take, and those that it takes.
    room: usize,
    used: usize,
    /// Leaves of the chains among it: a chain is held once for all its handshakes.
    leaves: HashSet<[u8; 32], RandomState>,
}

enum Held {
    Handshake(Box<Handshake>),
    NotTls(Box<NotTls>),
}

impl Held {
    /// Bytes of memory that it takes, without certificates.
    fn allocated(&self) -> usize {
        size_of::<(Key, Self)>()
            + match self {
                Self::Handshake(event) => event.allocated(),
                Self::NotTls(event) => boxed::<NotTls>() + event.message.len(),
            }
    }
}

/// What is compared: what the order asks for, then time, then the order of arrival.
type Key = (Rank, Timestamp, u64);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    None,
    Longest(std::cmp::Reverse<Duration>),
    Expiry(CertificateTime),
    Server(Arc<str>, Endpoint),
    Last,
}

impl SortedSink {
    /// Passes handshakes on to `inner` at the end. What is held takes no more than `room` bytes of memory; `on_omitted` gets the number
    /// of handshakes that this left out.
    #[must_use]
    pub fn new(inner: Box<dyn Sink>, order: SortOrder, room: usize, on_omitted: fn(u64)) -> Self {
        Self {
            inner,
            room,
            used: 0,
            leaves: HashSet::default(),
            order,
            held: BTreeMap::new(),
            received: 0,
            on_omitted,
            omitted: 0,
        }
    }

    fn hold(&mut self, rank: Rank, time: Timestamp, held: Held) {
        self.used += self.count(&held);
        self.held.insert((rank, time, self.received), held);
        self.received += 1;
        while self.used > self.room
            && let Some((_, last)) = self.held.pop_last()
        {
            self.used -= last.allocated();
            self.omitted += 1;
        }
    }

    /// Bytes of memory that something new takes, with its chains unless they are known. These stay counted.
    fn count(&mut self, held: &Held) -> usize {
        let Held::Handshake(event) = held else {
            return held.allocated();
        };
        let chains = [&event.server_certificates, &event.client_certificates];
        let new = chains.into_iter().flatten().filter(|chain| {
            let leaf = chain.first();
            leaf.is_some_and(|leaf| self.leaves.insert(leaf.sha256))
        });
        let certificates = new.flat_map(|chain| chain.iter());
        let certificates: usize = certificates.map(|shown| shown.allocated()).sum();
        held.allocated() + certificates
    }

    fn rank(&self, event: &Handshake) -> Rank {
        match self.order {
            SortOrder::Time => Rank::None,
            SortOrder::Duration => event.timing.handshake.map_or(Rank::Last, |duration| {
                Rank::Longest(std::cmp::Reverse(duration))
            }),
            SortOrder::Expiry => {
                let chains = [&event.server_certificates, &event.client_certificates];
                let soonest = chains.into_iter().flatten().filter_map(expiry).min();
                soonest.map_or(Rank::Last, Rank::Expiry)
            }
            SortOrder::Server => {
                let name = event.tls.server_name.clone().unwrap_or_default();
                Rank::Server(name, event.server)
            }
        }
    }
}

/// The end of validity of the certificate that is the next to expire in a chain.
fn expiry(chain: &CertificateChain) -> Option<CertificateTime> {
    let facts = |certificate: &Arc<Certificate>| match &certificate.facts {
        Ok(facts) => Some(facts.not_after),
        Err(_) => None,
    };
    chain.iter().filter_map(facts).min()
}

impl Sink for SortedSink {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let rank = self.rank(event);
        self.hold(rank, event.time, Held::Handshake(Box::new(event.clone())));
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        let rank = match self.order {
            SortOrder::Time => Rank::None,
            SortOrder::Server => Rank::Server(Arc::default(), event.server),
            SortOrder::Duration | SortOrder::Expiry => Rank::Last,
        };
        self.hold(rank, event.time, Held::NotTls(Box::new(event.clone())));
        Ok(())
    }

    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        for held in std::mem::take(&mut self.held).into_values() {
            match held {
                Held::Handshake(event) => self.inner.handshake(&event)?,
                Held::NotTls(event) => self.inner.not_tls(&event)?,
            }
        }
        if self.omitted > 0 {
            (self.on_omitted)(self.omitted);
        }
        self.inner.finish(stats)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::sink::test_events;

    /// Notes the client ports of what it receives.
    struct Ports(Rc<RefCell<Vec<u16>>>);

    impl Sink for Ports {
        fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
            self.0.borrow_mut().push(event.client.port);
            Ok(())
        }

        fn finish(&mut self, _: &Stats) -> io::Result<()> {
            Ok(())
        }
    }

    fn sorted(order: SortOrder, events: &[Handshake]) -> Vec<u16> {
        let ports = Rc::new(RefCell::new(Vec::new()));
        let mut sink = SortedSink::new(Box::new(Ports(Rc::clone(&ports))), order, 1 << 20, |_| {});
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        ports.borrow().clone()
    }

    fn event(port: u16, second: i64) -> Handshake {
        let mut event = test_events::barely_seen();
        event.client.port = port;
        event.time = Timestamp::from_seconds(second);
        event
    }

    fn with_expiry(mut event: Handshake, seconds: i64) -> Handshake {
        let mut facts = test_events::leaf();
        facts.not_after = CertificateTime(seconds);
        event.server_certificates = Some(test_events::chain([Ok(facts)]));
        event
    }

    /// Handshakes that are in another place in each order.
    fn events() -> Vec<Handshake> {
        let mut first = event(1, 30);
        first.timing.handshake = Some(Duration::from_millis(5));
        first.tls.server_name = Some("c.example".into());
        let second = with_expiry(event(2, 10), 900);
        let mut third = with_expiry(event(3, 20), 100);
        third.timing.handshake = Some(Duration::from_millis(9));
        third.tls.server_name = Some("a.example".into());
        let mut fourth = event(4, 20);
        fourth.timing.handshake = Some(Duration::from_millis(1));
        fourth.tls.server_name = Some("a.example".into());
        vec![first, second, third, fourth]
    }

    #[test]
    fn each_order_puts_what_it_asks_for_first_and_time_breaks_ties() {
        assert_eq!(sorted(SortOrder::Time, &events()), [2, 3, 4, 1]);
        assert_eq!(sorted(SortOrder::Duration, &events()), [3, 1, 4, 2]);
        assert_eq!(sorted(SortOrder::Expiry, &events()), [3, 2, 4, 1]);
        assert_eq!(sorted(SortOrder::Server, &events()), [2, 3, 4, 1]);
    }

    #[test]
    fn the_last_in_order_are_left_out_if_there_are_too_many() {
        let held = || Held::NotTls(Box::new(test_events::refused_starttls()));
        let room = 10 * held().allocated();
        let ports = Box::new(Ports(Rc::default()));
        let mut sink = SortedSink::new(ports, SortOrder::Time, room, |_| {});
        for second in 0..13 {
            sink.hold(Rank::None, Timestamp::from_seconds(second), held());
        }
        assert_eq!((sink.held.len(), sink.omitted), (10, 3));
    }

    #[test]
    fn a_chain_counts_once_for_all_handshakes_that_show_it() {
        let ports = Box::new(Ports(Rc::default()));
        let mut sink = SortedSink::new(ports, SortOrder::Time, usize::MAX, |_| {});
        let mut grows_by = || {
            let before = sink.used;
            sink.handshake(&test_events::refused_by_the_client())
                .unwrap();
            sink.used - before
        };
        let (first, second) = (grows_by(), grows_by());
        assert!(second < first, "{first} {second}");
        assert_eq!(second, grows_by());
    }
}
