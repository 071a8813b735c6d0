//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::fs;

use tlscope::event::Outcome;
use tlscope::observer::{Config, Observer};
use tlscope::time::Timestamp;

use crate::support::datagrams::{
    Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, handshakes, many_lost,
    noise,
};
use crate::support::fixtures;
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
        let alert = with_payload(&hello, &ALERT);
        changed.packets.extend([hello, alert]);
        let events = handshakes(&changed, b"");
        let first = events
            .iter()
            .find(|event| event["capture"]["first_packet"] == 1)
            .unwrap();
        assert_ne!(first["outcome"], "failure", "{taken} packets: {first}");
    }
}

/// The captures of DTLS over UDP and IPv4, by name.
fn captures() -> impl Iterator<Item = (String, Pcap)> {
    let fixtures = fixtures::all().into_iter();
    let of_dtls = fixtures.filter(|fixture| fixture.capture.contains("/captures/dtls/"));
    of_dtls.filter_map(|fixture| {
        let capture = Pcap::read(&fs::read(&fixture.capture).ok()?)?;
        let is_dtls = |packet: &Packet| {
            let ip = packet.bytes.get(12..15);
            ip == Some(&[8, 0, 0x45]) && matches!(packet.bytes.get(HEADERS), Some(20..=63))
        };
        let is_plain = capture.packets.iter().all(is_dtls);
        is_plain.then_some((fixture.name, capture))
    })
}

/// How the handshakes in a capture ended: outcome, class and side of a failure, and what followed.
fn verdicts(capture: &Pcap) -> Vec<String> {
    handshakes(capture, b"")
        .iter()
        .map(|event| {
            let error = &event["error"];
            let after = &event["rejected_after"]["type"];
            format!(
                "{} {} {} {after}",
                event["outcome"], error["type"], error["side"]
            )
        })
        .collect()
}

/// Whether verdicts are those expected, or unknown.
fn is_no_other(found: &[String], expected: &[String]) -> bool {
    let is_unknown = |verdict: &String| verdict.starts_with("\"unknown\"");
    let mut pairs = found.iter().zip(expected);
    found.len() == expected.len()
        && pairs.all(|(found, expected)| found == expected || is_unknown(found))
}

/// A packet with the addresses and the time of another one, and this payload.
fn with_payload(packet: &Packet, payload: &[u8]) -> Packet {
    let mut packet = packet.clone();
    packet.bytes.truncate(HEADERS);
    packet.bytes.extend(payload);
    let length = payload.len() as u16;
    packet.bytes[16..18].copy_from_slice(&(length + 28).to_be_bytes());
    packet.bytes[38..40].copy_from_slice(&(length + 8).to_be_bytes());
    packet.wire_length = packet.bytes.len() as u32;
    packet
}

#[test]
fn forged_alerts_hide_no_genuine_one() {
    let mut hidden = 0;
    for (name, capture) in captures() {
        let is_alert = |packet: &Packet| matches!(packet.bytes[HEADERS..], [21, 0xfe, _, 0, 0, ..]);
        let Some(genuine) = capture.packets.iter().position(is_alert) else {
            continue;
        };
        let expected = verdicts(&capture);
        let alert = capture.packets[genuine].bytes[HEADERS..].to_vec();
        for count in 1..=20 {
            let mut changed = capture.clone();
            for later in (0..count).rev() {
                let mut payload = alert[..15].to_vec();
                payload[10] += later;
                payload[14] = 71; // no alert of these stacks
                let forged = with_payload(&capture.packets[genuine], &payload);
                changed.packets.insert(genuine, forged);
            }
            let found = verdicts(&changed);
            assert!(is_no_other(&found, &expected), "{name}, {count}: {found:?}");
            hidden += 1;
        }
    }
    assert!(hidden >= 60, "{hidden}");
}

/// Nobody but the peers can make a record that opens, but everybody one that looks like it.
#[test]
fn a_forged_encrypted_record_makes_no_verdict_wrong() {
    const FORGED: [&[u8]; 5] = [&[21], &[22], &[23], &[22, 21], &[23, 22]];
    let mut forged = 0;
    for (name, capture) in captures() {
        let expected = verdicts(&capture);
        if expected
            .iter()
            .any(|verdict| verdict.starts_with("\"unknown\""))
        {
            continue;
        }
        let client = capture.packets[0].bytes[26..38].to_vec();
        for place in 1..=capture.packets.len() {
            // At each place, another third of them.
            let sides = [true, false].into_iter();
            let all = sides.flat_map(|side| FORGED.map(|kinds| (kinds, side)));
            for (kinds, is_of_client) in all.skip(place % 3).step_by(3) {
                let is_of_side =
                    |packet: &&Packet| (packet.bytes[26..38] == client) == is_of_client;
                let Some(of_side) = capture.packets.iter().find(is_of_side) else {
                    continue;
                };
                let mut changed = capture.clone();
                for (later, kind) in kinds.iter().enumerate().rev() {
                    let number = (place % 3 + later) as u8;
                    let head = [*kind, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, number, 0, 40];
                    let mut packet = with_payload(of_side, &[&head[..], &[0x5a; 40]].concat());
                    packet.time = capture.packets[place - 1].time;
                    packet.time[1] += 1 + later as u32;
                    changed.packets.insert(place, packet);
                }
                let found = verdicts(&changed);
                assert!(
                    is_no_other(&found, &expected),
                    "{name}: types {kinds:?} behind packet {place}, of the client: {is_of_client}: {found:?} instead of {expected:?}"
                );
                forged += 1;
            }
        }
    }
    assert!(forged > 300, "{forged}");
}

/// A traffic generator may have both directions on one pair of addresses, or on one address and port.
#[test]
fn messages_tell_directions_with_the_same_addresses_apart() {
    let (mut decided, mut all) = (0, 0);
    for (name, capture) in captures() {
        let expected = verdicts(&capture);
        let addresses = capture.packets[0].bytes[26..38].to_vec();
        let source = [&addresses[..4], &addresses[8..10]];
        let equal = [source[0], source[0], source[1], source[1]].concat();
        for ends in [addresses, equal] {
            let mut same = capture.clone();
            for packet in &mut same.packets {
                packet.bytes[26..38].copy_from_slice(&ends);
            }
            let found = verdicts(&same);
            assert!(
                is_no_other(&found, &expected),
                "{name}: {found:?} instead of {expected:?}"
            );
            decided += u32::from(found == expected);
            all += 1;
        }
    }
    assert!(all >= 20 && 2 * decided > all, "{decided} of {all}");
}

/// Whoever forges an alert of a client with the number of the server's next record is not taken for a server with the same addresses.
#[test]
fn a_forged_alert_of_the_client_is_none_of_a_server_that_says_nothing() {
    const ALERT: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 48];
    let mut all = 0;
    for (name, capture) in captures() {
        let client = capture.packets[0].bytes[26..38].to_vec();
        let is_of_server = |packet: &Packet| packet.bytes[26..38] != client;
        let Some(answer) = capture.packets.iter().position(is_of_server) else {
            continue;
        };
        let mut unanswered = capture.clone();
        unanswered.packets.truncate(answer);
        let mut forged = with_payload(&capture.packets[0], &ALERT);
        forged.time[1] += 1;
        unanswered.packets.push(forged);
        let found = verdicts(&unanswered);
        assert!(
            !found.iter().any(|verdict| verdict.contains("server")),
            "{name}: {found:?}"
        );
        all += 1;
    }
    assert!(all >= 10, "{all}");
}
