//! QUIC over a network that loses, repeats and reorders datagrams; traffic that is none; and QUIC in the outputs.
//!
//! The fixtures of QUIC are changed, and read without keys and with them. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::fs;

use crate::support::check;
use crate::support::datagrams::{
    Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, many_lost, noise,
};
use crate::support::fixtures;
use crate::support::pcap::Packet;
use crate::support::program::printed;
use crate::support::random::Random;
use crate::support::scratch;

const SUBJECT: Subject = Subject {
    protocol: "quic",
    has_keys: true,
};

#[test]
fn a_datagram_that_the_capture_lacks_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_lost(capture).collect());
}

#[test]
fn many_lost_datagrams_make_no_verdict_wrong() {
    let mut random = Random::new(15);
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

/// What a client begins with, in version 1, in one that is not known and in one that is reserved; Handshake, Retry and
/// version negotiation.
const HEADS: [&[u8]; 7] = [
    b"\xc3\0\0\0\x01\x08",
    b"\xc3\x12\x34\x56\x78\x08\x01\x02\x03\x04\x05\x06\x07\x08\x08",
    b"\xc3\x1a\x2a\x3a\x4a\x08\x01\x02\x03\x04\x05\x06\x07\x08\0",
    b"\xe3\0\0\0\x01\x08",
    b"\xf0\0\0\0\x01\x08",
    b"\x80\0\0\0\0\x08",
    b"\x80\0\0\0\0\x08\x01\x02\x03\x04\x05\x06\x07\x08\x08\x01\x02\x03\x04\x05\x06\x07\x08",
];

#[test]
fn noise_with_long_headers_is_no_handshake() {
    assert_nothing_reported(&noise(16, &HEADS));
}

#[test]
fn noise_between_the_same_ports_is_no_handshake_and_changes_none() {
    SUBJECT.assert_survives(|capture| {
        let mut noisy = capture.clone();
        let mut random = Random::new(16);
        let packets = capture.packets.iter();
        noisy.packets = packets
            .flat_map(|packet| {
                let mut noise = packet.clone();
                let mut payload = random.bytes(1_200);
                let head = random.pick(&HEADS);
                payload[..head.len()].copy_from_slice(head);
                set_payload(&mut noise, &payload);
                [noise, packet.clone()]
            })
            .collect();
        vec![("with noise".to_owned(), noisy)]
    });
}

#[test]
fn a_rule_of_a_policy_may_cover_quic_alone() {
    let [tcp, refused, negotiated] =
        ["mtls12-success", "quic-client-refuses", "quic"].map(|name| fixtures::named(name).capture);
    let found = |protocols: &str| {
        let policy = format!("[[rule]]\nmax-handshakes = 0\nwhere = {{ protocol = {protocols} }}");
        let policy = check::file(&format!("quic-{}.toml", protocols.len()), &policy);
        let output = check::output(&["--policy", &policy, &tcp, &refused, &negotiated]);
        assert_eq!(output.status.code(), Some(check::VIOLATED));
        let (_, found) = check::stdout(&output).split_once("found:  ").unwrap();
        found.split_once(' ').unwrap().0.parse::<u32>().unwrap()
    };
    assert_eq!(found("'tls'"), 1);
    assert_eq!(found("'quic'"), 2);
    assert_eq!(found("['tls', 'quic']"), 3);
}

#[cfg(feature = "otel")]
#[test]
fn handshakes_over_quic_are_in_the_metrics() {
    let capture = fixtures::named("quic-client-refuses").capture;
    let arguments = ["read", "--format", "summary", "--no-verify"];
    let metrics = printed(&[&arguments[..], &["--metrics", "stdout", &capture]].concat());
    let is_counted = |line: &&str| line.starts_with("tls_handshake_total") && line.ends_with(" 1");
    let [sample] = metrics.lines().filter(is_counted).collect::<Vec<_>>()[..] else {
        panic!("{metrics}");
    };
    for label in [
        r#"error_type="client_rejected_server""#,
        r#"network_transport="udp""#,
        r#"result="failure""#,
        r#"tls_evidence="inferred""#,
        r#"tls_protocol="quic""#,
    ] {
        assert!(sample.contains(label), "{sample}");
    }
}

#[test]
fn a_handshake_over_quic_is_in_the_report() {
    let page = scratch::path("report-quic.html");
    let capture = fixtures::named("quic-no-common-version").capture;
    printed(&[
        "read",
        "--format",
        "summary",
        "--no-verify",
        "--report",
        &page,
        &capture,
    ]);
    let page = fs::read_to_string(page).unwrap();
    for shown in ["quic, udp", "protocol_mismatch", "QUIC v2", "QUIC v1"] {
        assert!(page.contains(shown), "{shown}");
    }
}

/// Puts another payload into a datagram over IPv4.
fn set_payload(packet: &mut Packet, payload: &[u8]) {
    const HEADERS: usize = 14 + 20 + 8;
    packet.bytes.truncate(HEADERS);
    packet.bytes.extend_from_slice(payload);
    let length = |from: usize| (HEADERS + payload.len() - from) as u16;
    packet.bytes[16..18].copy_from_slice(&length(14).to_be_bytes());
    packet.bytes[38..40].copy_from_slice(&length(34).to_be_bytes());
    packet.wire_length = packet.bytes.len() as u32;
}
