//! Connections that the capture shows twice: before and after NAT, or on two mirrored ports.
//!
//! A ClientHello has 32 random bytes, so a second one with the same bytes is the same hello, unless a client
//! repeats a hello that it has stored, as scanners and health checks do. And it is the same connection if its
//! sequence numbers are the same, which NAT and mirrors keep, and if its hop limits differ: routers do NAT, and take one off as they
//! forward. Where a bridge or a host translates that takes none off, packets show the way: those of the client are seen on its side
//! first, and those of the server on the other. A proxy that relays TLS has two connections, each of which may fail on its own. A traffic generator that
//! replays a capture for many clients keeps all numbers, the hop limit, too. (Five captures of proxies on
//! corpora of some 900 have such pairs, none has NAT.)
//!
//! A login over EAP that a proxy forwards is seen on two hops. It is one handshake: the proxy passes the packets of EAP on and
//! decides nothing. So there, the randoms are enough, and one of them if the capture lacks the other hello of one hop.
//!
//! Copies of the same five-tuple never get here: they are retransmissions. NAT changes an address or the server's port, so
//! connections that differ in the client's port alone are two.

use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::event::{Handshake, Identity, WireMarks};
use crate::flow::Endpoint;
use crate::time::Timestamp;

/// Handshakes and plain connections remembered: those of two seconds at 2,000 a second. Copies come within milliseconds, and get
/// their verdicts so, too; and what is remembered of more would not stay in the processor's cache.
const MAX_REMEMBERED: usize = 1 << 12;
/// How far apart two copies may be: a mirrored port or a second collector may be late by a few hundred milliseconds.
const MAX_DISTANCE: Duration = Duration::from_secs(2);
/// The same of logins over EAP, also between the same ends: somebody may send all frames of one again. No device uses its random bytes again,
/// and a login is remembered so long.
const MAX_DISTANCE_OF_LOGINS: Duration = Duration::from_secs(120);

/// Recognises copies of handshakes and of plain connections.
///
/// Nearly all that are looked for are new. So the index has places alone, which stay in the processor's cache: what was seen is read
/// if it is a copy, and written one after the other.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// In the order in which they came, over and over: the oldest gives way.
    seen: Vec<(Key, Seen)>,
    /// Where the next one goes, once all places are taken.
    next: usize,
    /// Places in `seen`.
    index: HashTable<u32>,
    hasher: RandomState,
}

/// By what a connection is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    ClientRandom(u64),
    /// Of logins over EAP alone.
    ServerRandom(u64),
    FirstBytes([u32; 2]),
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ends: [Endpoint; 2],
    time: Timestamp,
    /// When the ServerHello was seen.
    answered: Option<Timestamp>,
    server_random: Option<u64>,
    marks: WireMarks,
}

impl Seen {
    /// Whether packets pass here and at another view one after the other: the client's in one order, and the server's in the opposite
    /// one. A capture that is replayed is seen in the same order in both directions.
    fn is_on_the_way_of(&self, other: &Self) -> bool {
        match (self.answered, other.answered) {
            (Some(here), Some(there)) => {
                self.time < other.time && here > there || self.time > other.time && here < there
            }
            _ => false,
        }
    }
}

impl Copies {
    /// Whether a handshake was reported before, of another view of its connection.
    pub(super) fn is_copy(&mut self, event: &Handshake, identity: &Identity) -> bool {
        let client_random = identity.client_random.filter(is_random);
        let seen = Seen {
            ends: [event.client, event.server],
            time: event.time,
            answered: event
                .timing
                .server_hello
                .map(|after| event.time.saturating_add(after)),
            server_random: identity.server_random.map(digest),
            marks: identity.marks,
        };
        let is_login = event.eap.is_some();
        let server_random = identity.server_random.filter(is_random);
        if is_login
            && let Some(random) = server_random
            && self.is_known((Key::ServerRandom(digest(random)), false), seen, |_| true)
        {
            return true;
        }
        let Some(random) = client_random else {
            return false;
        };
        self.is_known(
            (Key::ClientRandom(digest(random)), is_login),
            seen,
            |before| {
                let is_same_answer = match (before.server_random, seen.server_random) {
                    (Some(before), Some(now)) => before == now,
                    _ => true,
                };
                is_same_answer
                    && (is_login
                        || (before.marks.is_forwarded(&seen.marks)
                            || before.is_on_the_way_of(&seen))
                            && before.marks.first_bytes[0].is_some()
                            && before.marks.first_bytes[0] == seen.marks.first_bytes[0])
            },
        )
    }

    /// Whether a plain connection was reported before: one with the same two initial sequence numbers.
    pub(super) fn is_plain_copy(
        &mut self,
        ends: [Endpoint; 2],
        time: Timestamp,
        marks: WireMarks,
    ) -> bool {
        let [Some(client), Some(server)] = marks.first_bytes else {
            return false;
        };
        let seen = Seen {
            ends,
            time,
            answered: None,
            server_random: None,
            marks,
        };
        self.is_known((Key::FirstBytes([client, server]), false), seen, |before| {
            before.marks.is_forwarded(&marks)
        })
    }

    fn is_known(
        &mut self,
        (key, may_be_again): (Key, bool),
        seen: Seen,
        is_same: impl FnOnce(&Seen) -> bool,
    ) -> bool {
        let hash = self.hasher.hash_one(key);
        let known = self.index.find(hash, |at| self.seen[*at as usize].0 == key);
        let Some(place) = known.map(|at| *at as usize) else {
            self.remember(hash, key, seen);
            return false;
        };
        let before = &mut self.seen[place].1;
        let distance = seen
            .time
            .checked_since(before.time)
            .or_else(|| before.time.checked_since(seen.time));
        let ([client, server], [other_client, other_server]) = (before.ends, seen.ends);
        let is_elsewhere = client.address != other_client.address || server != other_server;
        let most = match may_be_again {
            true => MAX_DISTANCE_OF_LOGINS,
            false => MAX_DISTANCE,
        };
        let is_copy = (is_elsewhere || may_be_again)
            && distance.is_some_and(|distance| distance <= most)
            && is_same(before);
        if !is_copy {
            *before = seen;
        }
        is_copy
    }

    fn remember(&mut self, hash: u64, key: Key, seen: Seen) {
        let place = if self.seen.len() < MAX_REMEMBERED {
            self.seen.push((key, seen));
            self.seen.len() - 1
        } else {
            let place = self.next;
            self.next = (place + 1) % MAX_REMEMBERED;
            let (oldest, _) = std::mem::replace(&mut self.seen[place], (key, seen));
            let oldest = self.hasher.hash_one(oldest);
            if let Ok(found) = self.index.find_entry(oldest, |at| *at as usize == place) {
                found.remove();
            }
            place
        };
        let Self { seen, hasher, .. } = self;
        self.index.insert_unique(hash, place as u32, |at| {
            hasher.hash_one(seen[*at as usize].0)
        });
    }
}

/// Whether a random may be one: test programs and broken clients send constant bytes.
fn is_random(random: &[u8; 32]) -> bool {
    random.iter().any(|byte| *byte != random[0])
}

/// Eight of the bytes of a random. Its last ones, as the first may be a time (RFC 5246 §7.4.1.2) and the last eight a sign of an
/// older version (RFC 8446 §4.1.3). Two among those that are remembered are equal by chance in one of 10¹¹ runs.
fn digest(random: [u8; 32]) -> u64 {
    let [.., a, b, c, d, e, f, g, h, _, _, _, _, _, _, _, _] = random;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of a connection; each `path` has addresses of its own.
    fn ends(path: u8) -> [Endpoint; 2] {
        let end = |host: u8, port| Endpoint::new([192, 0, path, host].into(), port);
        [end(1, 50_000), end(2, 443)]
    }

    fn event(path: u8, milliseconds: i64) -> Handshake {
        let [client, server] = ends(path);
        let time = Timestamp::from_nanoseconds(milliseconds * 1_000_000);
        Handshake::new(time, client, server)
    }

    fn identity(client: u8, server: Option<u8>, first_byte: u32) -> Identity {
        let random = |last: u8| {
            let mut random = [7; 32];
            random[23] = last;
            random
        };
        Identity {
            client_random: Some(random(client)),
            server_random: server.map(random),
            marks: marks([Some(first_byte), None], 0),
            is_upgraded: false,
        }
    }

    /// As seen on one path: each is one router further.
    fn marks(first_bytes: [Option<u32>; 2], path: u8) -> WireMarks {
        WireMarks {
            first_bytes,
            hop_limits: [Some(64 - path), None],
        }
    }

    fn is_copy(copies: &mut Copies, event: &Handshake, path: u8, identity: &Identity) -> bool {
        let marks = marks(identity.marks.first_bytes, path);
        copies.is_copy(event, &Identity { marks, ..*identity })
    }

    #[test]
    fn the_same_randoms_on_another_flow_a_moment_later_are_a_copy() {
        let mut copies = Copies::default();
        let view = identity(1, Some(2), 5);
        assert!(!is_copy(&mut copies, &event(1, 0), 1, &view));
        assert!(is_copy(&mut copies, &event(2, 300), 2, &view));
        assert!(is_copy(
            &mut copies,
            &event(3, -1),
            3,
            &identity(1, None, 5)
        ));
    }

    #[test]
    fn all_frames_of_a_login_again_are_a_copy_and_so_is_no_connection() {
        for is_login in [false, true] {
            let login = |milliseconds| Handshake {
                eap: is_login.then(Box::default),
                ..event(1, milliseconds)
            };
            let mut copies = Copies::default();
            let view = identity(1, Some(2), 5);
            assert!(!is_copy(&mut copies, &login(0), 1, &view));
            assert_eq!(is_copy(&mut copies, &login(3_000), 1, &view), is_login);
            let other = identity(3, Some(4), 5);
            assert!(!is_copy(&mut copies, &login(4_000), 1, &other));
        }
    }

    #[test]
    fn a_relayed_hello_is_on_a_connection_of_its_own() {
        let mut copies = Copies::default();
        assert!(!is_copy(
            &mut copies,
            &event(1, 0),
            1,
            &identity(1, Some(2), 5)
        ));
        assert!(!is_copy(
            &mut copies,
            &event(2, 1),
            2,
            &identity(1, Some(2), 6)
        ));
    }

    #[test]
    fn a_login_on_two_hops_of_which_the_capture_lacks_different_hellos_is_one() {
        let login = |path| Handshake {
            eap: Some(Box::default()),
            ..event(path, i64::from(path))
        };
        let whole = identity(1, Some(2), 5);
        let client_only = identity(1, None, 5);
        let server_only = Identity {
            client_random: None,
            ..whole
        };
        for (first, second) in [
            (&whole, &server_only),
            (&server_only, &whole),
            (&whole, &client_only),
            (&client_only, &whole),
        ] {
            let mut copies = Copies::default();
            assert!(!is_copy(&mut copies, &login(1), 1, first));
            assert!(is_copy(&mut copies, &login(2), 2, second));
        }
        // A server that answers two clients has a random for each, and a relay of TLS two connections.
        let mut copies = Copies::default();
        assert!(!is_copy(&mut copies, &login(1), 1, &server_only));
        assert!(!is_copy(
            &mut copies,
            &login(2),
            2,
            &identity(1, Some(3), 5)
        ));
        assert!(!is_copy(&mut copies, &event(3, 0), 3, &server_only));
    }

    #[test]
    fn a_stored_hello_that_is_sent_again_is_another_handshake() {
        let mut copies = Copies::default();
        assert!(!is_copy(
            &mut copies,
            &event(1, 0),
            1,
            &identity(1, Some(2), 5)
        ));
        assert!(!is_copy(
            &mut copies,
            &event(2, 1),
            2,
            &identity(1, Some(3), 5)
        ));
        assert!(!is_copy(
            &mut copies,
            &event(3, 2),
            3,
            &identity(1, None, 6)
        ));
        assert!(is_copy(&mut copies, &event(4, 3), 4, &identity(1, None, 6)));
        assert!(!is_copy(
            &mut copies,
            &event(5, 3_000),
            5,
            &identity(1, None, 6)
        ));
    }

    #[test]
    fn a_capture_that_is_replayed_for_many_clients_has_no_copies() {
        let mut copies = Copies::default();
        let view = identity(1, Some(2), 5);
        assert!(!is_copy(&mut copies, &event(1, 0), 1, &view));
        assert!(!is_copy(&mut copies, &event(2, 1), 1, &view));
        let unknown = Identity {
            marks: WireMarks::UNKNOWN,
            ..view
        };
        assert!(!copies.is_copy(&event(3, 2), &unknown));
    }

    #[test]
    fn packets_that_pass_in_opposite_orders_show_a_translation_that_takes_no_hop_off() {
        let view = identity(1, Some(2), 5);
        let seen = |path, time, answered_after| {
            let mut event = event(path, time);
            event.timing.server_hello = Some(Duration::from_millis(answered_after));
            event
        };
        let is_copy = |first: &Handshake, second: &Handshake| {
            let mut copies = Copies::default();
            assert!(!copies.is_copy(first, &view));
            copies.is_copy(second, &view)
        };
        let inside = seen(1, 0, 30);
        let outside = seen(2, 1, 28);
        assert!(is_copy(&inside, &outside) && is_copy(&outside, &inside));
        // One that is replayed is late in both directions.
        assert!(!is_copy(&inside, &seen(2, 1, 30)));
        assert!(!is_copy(&inside, &seen(2, 1, 29)));
        assert!(!is_copy(&inside, &seen(2, 0, 28)));
        assert!(!is_copy(&inside, &event(2, 1)));
    }

    #[test]
    fn renegotiation_and_constant_bytes_make_no_copies() {
        let mut copies = Copies::default();
        let view = identity(1, Some(2), 5);
        assert!(!is_copy(&mut copies, &event(1, 0), 1, &view));
        assert!(!is_copy(&mut copies, &event(1, 1), 1, &view));
        let constant = Identity {
            client_random: Some([7; 32]),
            ..view
        };
        assert!(!is_copy(&mut copies, &event(2, 0), 2, &constant));
        assert!(!is_copy(&mut copies, &event(3, 0), 3, &constant));
    }

    #[test]
    fn connections_that_differ_in_the_clients_port_alone_are_two() {
        let mut copies = Copies::default();
        let view = identity(1, Some(2), 5);
        assert!(!is_copy(&mut copies, &event(1, 0), 1, &view));
        let mut other = event(1, 0);
        other.client.port += 1;
        assert!(!is_copy(&mut copies, &other, 2, &view));
        other.server.port += 1;
        assert!(is_copy(&mut copies, &other, 3, &view));
    }

    #[test]
    fn plain_connections_are_recognised_by_both_sequence_numbers() {
        let mut copies = Copies::default();
        let mut is_copy = |path, first| {
            copies.is_plain_copy(ends(path), Timestamp::from_seconds(1), marks(first, path))
        };
        assert!(!is_copy(1, [Some(5), Some(6)]));
        assert!(is_copy(2, [Some(5), Some(6)]));
        assert!(!is_copy(3, [Some(5), Some(7)]));
        assert!(!is_copy(4, [Some(5), None]));
        assert!(!is_copy(5, [Some(5), None]));
    }

    #[test]
    fn memory_is_bounded() {
        let mut copies = Copies::default();
        for number in 0..100_000 {
            let first = [Some(number), Some(0)];
            copies.is_plain_copy(ends(1), Timestamp::default(), marks(first, 1));
        }
        assert_eq!(copies.seen.len(), MAX_REMEMBERED);
        assert_eq!(copies.index.len(), MAX_REMEMBERED);
        // The newest are remembered, and the others are not.
        let mut is_copy = |number| {
            let first = [Some(number), Some(0)];
            copies.is_plain_copy(ends(2), Timestamp::default(), marks(first, 2))
        };
        assert!(is_copy(99_999) && is_copy(100_000 - MAX_REMEMBERED as u32));
        assert!(!is_copy(99_999 - MAX_REMEMBERED as u32));
    }
}
