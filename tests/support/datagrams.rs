//! Captures of datagrams, as a network or a capture may change them: some lost, copied, swapped or cut.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::fixtures;
use super::harness;
use super::pcap::{Packet, Pcap};
use super::random::Random;

/// A fixture whose packets are changed.
struct Case {
    name: String,
    capture: Pcap,
    /// Empty if it has none.
    key_log: Vec<u8>,
}

/// A protocol over UDP whose fixtures are changed.
pub(crate) struct Subject {
    /// As in events, and the theme of the fixtures.
    pub(crate) protocol: &'static str,
    /// Whether they are read with their keys, too.
    pub(crate) has_keys: bool,
}

impl Subject {
    /// Asserts that the changes that `change` makes to each capture make no verdict wrong.
    pub(crate) fn assert_survives(&self, mut change: impl FnMut(&Pcap) -> Vec<(String, Pcap)>) {
        for case in cases(self.protocol) {
            for (how, changed) in change(&case.capture) {
                let what = format!("{} {how}", case.name);
                for key_log in self.key_logs(&case) {
                    assert_not_wrong(&what, self.protocol, (&case.capture, &changed), key_log);
                }
            }
        }
    }

    /// Asserts that a copy of each packet changes nothing.
    pub(crate) fn assert_ignores_copies(&self) {
        for case in cases(self.protocol) {
            for key_log in self.key_logs(&case) {
                let verdicts = |capture| verdicts(self.protocol, capture, key_log);
                let twice = doubled(&case.capture);
                assert_eq!(verdicts(&twice), verdicts(&case.capture), "{}", case.name);
            }
        }
    }

    fn key_logs<'c>(&self, case: &'c Case) -> Vec<&'c [u8]> {
        let keys = self.has_keys.then_some(&case.key_log[..]);
        [&b""[..]].into_iter().chain(keys).collect()
    }
}

/// The fixtures of a theme.
fn cases(theme: &str) -> Vec<Case> {
    let folder = format!("/captures/{theme}/");
    let is_wanted = |fixture: &fixtures::Fixture| fixture.capture.contains(&folder);
    let read = |fixture: fixtures::Fixture| {
        let bytes = fs::read(fixtures::package().join(&fixture.capture)).unwrap();
        Case {
            capture: Pcap::read(&bytes).unwrap(),
            key_log: fs::read(fixture.file("keys.log")).unwrap_or_default(),
            name: fixture.name,
        }
    };
    let cases: Vec<_> = fixtures::all()
        .into_iter()
        .filter(is_wanted)
        .map(read)
        .collect();
    assert!(cases.len() >= 10, "the fixtures are missing");
    cases
}

/// The handshakes in a capture, as JSON.
pub(crate) fn handshakes(capture: &Pcap, key_log: &[u8]) -> Vec<Value> {
    let lines = harness::capture(&capture.to_bytes(), key_log, 1);
    let lines = String::from_utf8(lines).unwrap();
    let events = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["type"] == "handshake")
        .collect()
}

/// Outcome, and the side that failed, of each handshake, by the client's port.
fn verdicts(protocol: &str, capture: &Pcap, key_log: &[u8]) -> BTreeMap<u64, (String, String)> {
    let mut verdicts = BTreeMap::new();
    for event in handshakes(capture, key_log) {
        assert_eq!(event["protocol"], protocol);
        let port = event["client"]["port"].as_u64().unwrap();
        let outcome = event["outcome"].as_str().unwrap().to_owned();
        let side = event["error"]["side"].to_string();
        let earlier = verdicts.insert(port, (outcome, side));
        assert!(earlier.is_none(), "port {port} was reported twice");
    }
    verdicts
}

/// Asserts that each verdict is the same as before, or unknown.
fn assert_not_wrong(what: &str, protocol: &str, (before, after): (&Pcap, &Pcap), key_log: &[u8]) {
    let before = verdicts(protocol, before, key_log);
    for (port, verdict) in verdicts(protocol, after, key_log) {
        let is_unknown = verdict.0 == "unknown";
        let expected = before.get(&port);
        // Without its hello, a client may look like the server.
        if expected.is_none() {
            assert!(is_unknown, "{what}: {verdict:?} for port {port}");
            continue;
        }
        assert!(
            is_unknown || expected == Some(&verdict),
            "{what}: {verdict:?} in place of {expected:?}"
        );
    }
}

/// The capture without one packet, for each of its packets.
pub(crate) fn each_lost(capture: &Pcap) -> impl Iterator<Item = (String, Pcap)> {
    (0..capture.packets.len()).map(|lost| {
        let mut lossy = capture.clone();
        lossy.packets.remove(lost);
        (format!("without packet {lost}"), lossy)
    })
}

/// The capture with one packet in five, three or two lost, several times each.
pub(crate) fn many_lost(
    capture: &Pcap,
    random: &mut Random,
) -> impl Iterator<Item = (String, Pcap)> {
    [5, 3, 2]
        .into_iter()
        .flat_map(|share| [share; 5])
        .map(|share| {
            let mut lossy = capture.clone();
            lossy.packets.retain(|_| random.below(share) > 0);
            (format!("one in {share} lost"), lossy)
        })
}

/// The capture with two neighbours swapped, for each two.
pub(crate) fn each_swapped(capture: &Pcap) -> impl Iterator<Item = (String, Pcap)> {
    (1..capture.packets.len()).map(|at| {
        let mut swapped = capture.clone();
        let times = [at - 1, at].map(|at| swapped.packets[at].time);
        swapped.packets.swap(at - 1, at);
        for (packet, time) in swapped.packets[at - 1..=at].iter_mut().zip(times) {
            packet.time = time;
        }
        (format!("{at} before its neighbour"), swapped)
    })
}

/// The capture with each packet twice.
fn doubled(capture: &Pcap) -> Pcap {
    let mut doubled = capture.clone();
    let twice = |packet: &Packet| [packet.clone(), packet.clone()];
    doubled.packets = capture.packets.iter().flat_map(twice).collect();
    doubled
}

/// The capture cut by several snap lengths.
pub(crate) fn each_cut(capture: &Pcap) -> impl Iterator<Item = (String, Pcap)> {
    [60, 96, 128, 256].into_iter().map(|snap_length| {
        let mut cut = capture.clone();
        for packet in &mut cut.packets {
            packet.bytes.truncate(snap_length);
        }
        (format!("cut to {snap_length}"), cut)
    })
}

/// Datagrams of random bytes between many ports, half of which begin with one of `heads`.
pub(crate) fn noise(megabytes: usize, heads: &[&[u8]]) -> Pcap {
    const ETHERNET: u32 = 1;
    let mut random = Random::new(megabytes as u64);
    let mut capture = Pcap::new(ETHERNET);
    let mut bytes = 0;
    while bytes < megabytes << 20 {
        let mut payload = random.bytes(1_200);
        if random.below(2) == 0 {
            let head = random.pick(heads);
            payload[..head.len()].copy_from_slice(head);
        }
        let port = random.next() as u16;
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 1], [192, 0, 2, 10], 64)
            .udp(port, 4433);
        let mut packet = Vec::new();
        builder.write(&mut packet, &payload).unwrap();
        bytes += packet.len();
        let number = capture.packets.len() as u32;
        capture.packets.push(Packet {
            time: [1_772_366_400 + number / 1_000, number % 1_000 * 1_000],
            wire_length: packet.len() as u32,
            bytes: packet,
        });
    }
    capture
}

/// Asserts that nothing is reported about a capture.
pub(crate) fn assert_nothing_reported(capture: &Pcap) {
    let lines = harness::capture(&capture.to_bytes(), b"", 1);
    let lines = String::from_utf8(lines).unwrap();
    let events: Vec<&str> = lines
        .lines()
        .filter(|line| !line.contains(r#""type":"stats""#))
        .collect();
    assert!(events.is_empty(), "{events:#?}");
}
