//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::fixtures;
use crate::support::harness;
use crate::support::pcap::{Packet, Pcap};
use crate::support::random::Random;

/// The fixtures of DTLS, by name, with their packets.
fn cases() -> Vec<(String, Pcap)> {
    let is_dtls = |fixture: &fixtures::Fixture| fixture.capture.contains("/captures/dtls/");
    let cases = fixtures::all().into_iter().filter(is_dtls);
    let read = |fixture: fixtures::Fixture| {
        let bytes = fs::read(fixtures::package().join(&fixture.capture)).unwrap();
        (fixture.name, Pcap::read(&bytes).unwrap())
    };
    let cases: Vec<_> = cases.map(read).collect();
    assert!(cases.len() > 10, "the fixtures are missing");
    cases
}

/// Outcome, and the side that failed, of each handshake, by the client's port.
fn verdicts(capture: &Pcap) -> BTreeMap<u64, (String, String)> {
    let lines = harness::capture(&capture.to_bytes(), b"", 1);
    let lines = String::from_utf8(lines).unwrap();
    let events = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut verdicts = BTreeMap::new();
    for event in events.filter(|event| event["type"] == "handshake") {
        assert_eq!(event["protocol"], "dtls");
        let port = event["client"]["port"].as_u64().unwrap();
        let outcome = event["outcome"].as_str().unwrap().to_owned();
        let side = event["error"]["side"].to_string();
        let earlier = verdicts.insert(port, (outcome, side));
        assert!(earlier.is_none(), "port {port} was reported twice");
    }
    verdicts
}

/// Asserts that each verdict is the same as before, or unknown.
fn assert_not_wrong(what: &str, before: &Pcap, after: &Pcap) {
    let before = verdicts(before);
    for (port, verdict) in verdicts(after) {
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

#[test]
fn a_datagram_that_the_capture_lacks_makes_no_verdict_wrong() {
    for (name, capture) in cases() {
        for lost in 0..capture.packets.len() {
            let mut lossy = capture.clone();
            lossy.packets.remove(lost);
            assert_not_wrong(&format!("{name} without packet {lost}"), &capture, &lossy);
        }
    }
}

#[test]
fn many_lost_datagrams_make_no_verdict_wrong() {
    let mut random = Random::new(14);
    for (name, capture) in cases() {
        for share in [5, 3, 2] {
            for _ in 0..5 {
                let mut lossy = capture.clone();
                lossy.packets.retain(|_| random.below(share) > 0);
                assert_not_wrong(&format!("{name}, one in {share} lost"), &capture, &lossy);
            }
        }
    }
}

#[test]
fn the_order_of_datagrams_makes_no_verdict_wrong() {
    for (name, capture) in cases() {
        for at in 1..capture.packets.len() {
            let mut swapped = capture.clone();
            let times = [at - 1, at].map(|at| swapped.packets[at].time);
            swapped.packets.swap(at - 1, at);
            for (packet, time) in swapped.packets[at - 1..=at].iter_mut().zip(times) {
                packet.time = time;
            }
            assert_not_wrong(
                &format!("{name}, {at} before its neighbour"),
                &capture,
                &swapped,
            );
        }
    }
}

#[test]
fn copies_of_datagrams_change_nothing() {
    for (name, capture) in cases() {
        let mut doubled = capture.clone();
        let twice = |packet: &Packet| [packet.clone(), packet.clone()];
        doubled.packets = capture.packets.iter().flat_map(twice).collect();
        assert_eq!(verdicts(&doubled), verdicts(&capture), "{name}");
    }
}

#[test]
fn a_capture_cut_by_the_snap_length_makes_no_verdict_wrong() {
    for (name, capture) in cases() {
        for snap_length in [60, 96, 128, 256] {
            let mut cut = capture.clone();
            for packet in &mut cut.packets {
                packet.bytes.truncate(snap_length);
            }
            assert_not_wrong(&format!("{name} cut to {snap_length}"), &capture, &cut);
        }
    }
}

/// Datagrams of random bytes, half of which begin as DTLS does, between many ports.
pub(crate) fn noise(megabytes: usize) -> Pcap {
    const ETHERNET: u32 = 1;
    const HEADS: [&[u8]; 8] = [
        &[22, 0xfe, 0xfd, 0, 0],
        &[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        &[20, 0xfe, 0xfd],
        &[0x40, 0x01, 0, 40, 22, 0xfe, 0xff, 0, 0],
        &[0, 0x17, 0, 60, 0x21, 0x12, 0xa4, 0x42],
        &[1, 0, 0, 0, 22, 0xfe, 0xff],
        &[0x2f],
        &[0x80, 96],
    ];
    let mut random = Random::new(megabytes as u64);
    let mut capture = Pcap::new(ETHERNET);
    let mut bytes = 0;
    while bytes < megabytes << 20 {
        let mut payload = random.bytes(1_200);
        if random.below(2) == 0 {
            let head = random.pick(&HEADS);
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

#[test]
fn noise_over_udp_is_no_handshake_of_dtls() {
    let lines = harness::capture(&noise(16).to_bytes(), b"", 1);
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.matches(r#""protocol":"dtls""#).count(), 0);
}
