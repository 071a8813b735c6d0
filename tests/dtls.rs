//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::fs;

use serde_json::Value;

use crate::support::datagrams::{
    Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, many_lost, noise,
};
use crate::support::fixtures;
use crate::support::harness;
use crate::support::pcap::{Packet, Pcap};
use crate::support::random::Random;

const SUBJECT: Subject = Subject {
    protocol: "dtls",
    has_keys: false,
};

#[test]
fn a_datagram_that_the_capture_lacks_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_lost(capture).collect());
}

#[test]
fn many_lost_datagrams_make_no_verdict_wrong() {
    let mut random = Random::new(14);
    SUBJECT.assert_survives(|capture| many_lost(capture, &mut random).collect());
}

#[test]
fn the_order_of_datagrams_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_swapped(capture).collect());
}

#[test]
fn copies_of_datagrams_change_nothing() {
    SUBJECT.assert_ignores_copies();
}

#[test]
fn a_capture_cut_by_the_snap_length_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_cut(capture).collect());
}

#[test]
fn noise_over_udp_is_no_handshake() {
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
    assert_nothing_reported(&noise(16, &HEADS));
}

/// Where the payload of a datagram begins in Ethernet, IPv4 and UDP.
const PAYLOAD: usize = 42;
/// Where the random of a hello begins in it that is not in fragments: behind the headers of record and message, and the version.
const RANDOM: usize = 13 + 12 + 2;

/// The captures of fixtures of DTLS 1.2, with and without cookies, that end well, and by each side's refusal.
const NAMES: [&str; 6] = [
    "dtls12",
    "dtls12-cookie",
    "dtls12-no-cookie",
    "dtls12-server-refuses",
    "dtls12-client-refuses-openssl",
    "dtls12-client-refuses-gnutls",
];

fn capture(name: &str) -> Pcap {
    Pcap::read(&fs::read(fixtures::named(name).capture).unwrap()).unwrap()
}

/// Outcome and error of each handshake, in order.
fn verdicts(capture: &Pcap) -> Vec<[Value; 2]> {
    let lines = String::from_utf8(harness::capture(&capture.to_bytes(), b"", 1)).unwrap();
    let events = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["type"] == "handshake")
        .map(|event| [event["outcome"].clone(), event["error"]["type"].clone()])
        .collect()
}

/// A packet at the time of another one.
fn at_the_time_of(packet: &Packet, other: &Packet) -> Packet {
    Packet {
        time: other.time,
        ..packet.clone()
    }
}

/// The first ClientHello of a capture, with another random.
fn other_hello(capture: &Pcap) -> Packet {
    let mut hello = capture.packets[0].clone();
    hello.bytes[PAYLOAD + RANDOM..][..32].fill(0x5a);
    hello
}

#[test]
fn a_hello_in_the_name_of_the_client_takes_the_place_of_no_handshake() {
    for name in NAMES {
        let capture = capture(name);
        let expected = verdicts(&capture);
        let hello = other_hello(&capture);
        // Behind the last packet of the handshake, it begins another one.
        for place in 1..capture.packets.len().min(10) {
            let mut forged = capture.clone();
            let hello = at_the_time_of(&hello, &capture.packets[place]);
            forged.packets.insert(place, hello);
            let found = verdicts(&forged);
            let is_there = found.starts_with(&expected[..1])
                && found[1..].iter().all(|other| other[0] == "unknown");
            assert!(is_there, "{name}, before packet {}: {found:?}", place + 1);
        }
    }
}

#[test]
fn an_alert_in_the_name_of_a_side_with_an_absurd_number_is_ignored() {
    for name in NAMES {
        let capture = capture(name);
        let expected = verdicts(&capture);
        for place in 1..capture.packets.len() {
            for packet in &capture.packets[..2] {
                let mut alert = packet.clone();
                let mut payload = vec![21, 0xfe, 0xfd, 0, 0];
                payload.extend([0xff; 6]);
                payload.extend([0, 2, 2, 48]);
                alert.bytes.truncate(PAYLOAD);
                alert.bytes.extend(&payload);
                let length = payload.len() as u16 + 8;
                alert.bytes[38..40].copy_from_slice(&length.to_be_bytes());
                alert.bytes[16..18].copy_from_slice(&(length + 20).to_be_bytes());
                alert.wire_length = alert.bytes.len() as u32;
                let mut forged = capture.clone();
                forged
                    .packets
                    .insert(place, at_the_time_of(&alert, &capture.packets[place]));
                assert_eq!(
                    verdicts(&forged),
                    expected,
                    "{name}, before packet {}",
                    place + 1
                );
            }
        }
    }
}

/// The client is started again, from the same port.
#[test]
fn a_client_that_begins_again_in_mid_handshake_begins_another_one() {
    for name in NAMES {
        let capture = capture(name);
        let alone = verdicts(&capture);
        let mut again = capture.clone();
        let hellos = |packet: &&mut Packet| {
            matches!(
                packet.bytes[PAYLOAD..],
                [22, _, _, 0, 0, _, _, _, _, _, _, _, _, 1 | 2, ..]
            )
        };
        for packet in again.packets.iter_mut().filter(|packet| hellos(packet)) {
            packet.bytes[PAYLOAD + RANDOM] ^= 0xff;
        }
        for count in 1..capture.packets.len().min(7) {
            for seconds in [2, 40] {
                let mut both = capture.clone();
                both.packets.truncate(count);
                let later = |packet: &Packet| Packet {
                    time: [packet.time[0] + seconds, packet.time[1]],
                    ..packet.clone()
                };
                both.packets.extend(again.packets.iter().map(later));
                let found = verdicts(&both);
                let [first, second] = &found[..] else {
                    panic!("{name} after {count} packets: {found:?}");
                };
                assert_eq!(first[0], "unknown", "{name} after {count} packets");
                assert_eq!(second, &alone[0], "{name} after {count} packets");
            }
        }
    }
}
