//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::fs;

use serde_json::Value;
use tlscope::event::Outcome;
use tlscope::observer::{Config, Observer};
use tlscope::time::Timestamp;

use crate::support::datagrams::{
    Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, many_lost, noise,
};
use crate::support::pcap::Pcap;
use crate::support::random::Random;
use crate::support::{fixtures, harness};

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

/// Of Ethernet, IPv4 and UDP.
const HEADERS: usize = 14 + 20 + 8;
/// Where the random of a ClientHello is: behind the headers of the record and of the message, and a version.
const RANDOM: usize = HEADERS + 13 + 12 + 2;

#[test]
fn another_hello_between_the_same_ports_is_retained() {
    let bytes = fs::read(fixtures::named("dtls12-client-refuses-openssl").capture).unwrap();
    let mut capture = Pcap::read(&bytes).unwrap();
    let mut hello = capture.packets[0].clone();
    hello.bytes[RANDOM] ^= 1;
    hello.time = capture.packets[3].time;
    capture.packets.insert(4, hello.clone());
    let mut observer = Observer::new(Config::default().with_retained_packets(true));
    for packet in &capture.packets {
        let [seconds, micros] = packet.time.map(i64::from);
        let time = Timestamp::from_nanoseconds((seconds * 1_000_000 + micros) * 1_000);
        observer.handle_ethernet(time, &packet.bytes);
    }
    observer.finish();
    let reports: Vec<_> = std::iter::from_fn(|| observer.poll_report()).collect();
    let failed = reports
        .iter()
        .find(|report| report.event.outcome == Outcome::Failure);
    let packets = failed.unwrap().packets.as_ref().unwrap();
    assert!(packets.iter().any(|(_, bytes)| bytes == hello.bytes));
}

#[test]
fn a_client_that_begins_again_and_gives_up_ends_no_handshake_but_its_own() {
    const ALERT: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 80];
    let bytes = fs::read(fixtures::named("dtls12-cookie").capture).unwrap();
    let capture = Pcap::read(&bytes).unwrap();
    for taken in 1..=capture.packets.len() {
        let mut changed = capture.clone();
        changed.packets.truncate(taken);
        let mut hello = capture.packets[0].clone();
        hello.time[0] += 3;
        hello.bytes[RANDOM] ^= 1;
        let mut alert = hello.clone();
        alert.bytes.truncate(HEADERS);
        alert.bytes.extend(ALERT);
        let payload = ALERT.len() as u16;
        alert.bytes[16..18].copy_from_slice(&(payload + 28).to_be_bytes());
        alert.bytes[38..40].copy_from_slice(&(payload + 8).to_be_bytes());
        alert.wire_length = alert.bytes.len() as u32;
        changed.packets.extend([hello, alert]);
        let lines = harness::capture(&changed.to_bytes(), b"", 1);
        let lines = String::from_utf8(lines).unwrap();
        let events = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let first: Value = events
            .filter(|event: &Value| event["type"] == "handshake")
            .find(|event| event["capture"]["first_packet"] == 1)
            .unwrap();
        assert_ne!(first["outcome"], "failure", "{taken} packets: {first}");
    }
}
