//! QUIC over a network that loses, repeats and reorders datagrams; traffic that is none; and QUIC in the outputs.
//!
//! The fixtures of QUIC are changed, and read without keys and with them. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::event::Outcome;
use tlscope::observer::{Config, Observer};

use crate::support::check;
use crate::support::datagrams::{
    self, Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, many_lost, noise,
};
use crate::support::fixtures;
use crate::support::harness;
use crate::support::pcap::{Packet, Pcap};
use crate::support::program::printed;
use crate::support::random::Random;
use crate::support::scratch;
use crate::transform::initials;

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

/// The capture of a fixture, with this client port. All of them are between the same hosts.
fn with_client_port(name: &str, port: u16) -> Pcap {
    let bytes = fs::read(fixtures::named(name).capture).unwrap();
    let mut capture = Pcap::read(&bytes).unwrap();
    for packet in &mut capture.packets {
        set_client_port(packet, port);
    }
    capture
}

/// Where the ports are in Ethernet, IPv4 and UDP: the server's is 443.
fn set_client_port(packet: &mut Packet, port: u16) {
    let is_from_server = packet.bytes[34..36] == 443_u16.to_be_bytes();
    let at = if is_from_server { 36 } else { 34 };
    packet.bytes[at..at + 2].copy_from_slice(&port.to_be_bytes());
}

/// The handshakes in a capture, read without keys.
fn handshakes(capture: &Pcap) -> Vec<Value> {
    datagrams::handshakes(capture, b"")
}

/// What must not depend on other connections: times are from the client's first packet on.
fn essence(event: &Value) -> Value {
    let keys = [
        "outcome",
        "error",
        "evidence",
        "timing_ms",
        "tls",
        "closed_by",
    ];
    keys.iter()
        .map(|key| ((*key).to_owned(), event[*key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn micros(packet: &Packet) -> u64 {
    let [seconds, micros] = packet.time.map(u64::from);
    seconds * 1_000_000 + micros
}

/// The second capture as if it began this much later than the first.
fn later_than(first: &Pcap, second: &Pcap, later: Duration) -> Pcap {
    let start = micros(&first.packets[0]) + later.as_micros() as u64;
    let begun = micros(&second.packets[0]);
    let mut moved = second.clone();
    for packet in &mut moved.packets {
        let time = start + micros(packet) - begun;
        packet.time = [(time / 1_000_000) as u32, (time % 1_000_000) as u32];
    }
    moved
}

/// Both captures at the same time, the second this much later than the first.
fn at_the_same_time(first: &Pcap, second: &Pcap, later: Duration) -> Pcap {
    let mut both = first.clone();
    both.packets
        .extend(later_than(first, second, later).packets);
    both.packets.sort_by_key(micros);
    both
}

#[test]
fn connections_between_the_same_ports_have_an_event_each() {
    // Their clients have ids of eight bytes, so the ports may be shared.
    let names = [
        "quic",
        "quic-client-refuses",
        "quic-server-refuses",
        "quic-retry",
    ];
    let alone = names.map(|name| with_client_port(name, 50_000));
    for (first, one) in alone.iter().enumerate() {
        for (second, other) in alone.iter().enumerate().filter(|(at, _)| *at != first) {
            for later in [0, 300, 900, 3_000, 20_000, 1_000_000] {
                let both = at_the_same_time(one, other, Duration::from_micros(later));
                let mut found: Vec<_> = handshakes(&both).iter().map(essence).collect();
                let mut expected: Vec<_> = [one, other]
                    .into_iter()
                    .flat_map(handshakes)
                    .map(|event| essence(&event))
                    .collect();
                found.sort_by_key(Value::to_string);
                expected.sort_by_key(Value::to_string);
                let pair = [names[first], names[second]];
                assert_eq!(found, expected, "{pair:?}, {later} µs later");
            }
        }
    }
}

/// The outcomes of the handshakes in captures that are read together.
fn outcomes_of_both(captures: [&Pcap; 2]) -> Vec<Outcome> {
    let folder = scratch::folder("quic-two-captures");
    let mut paths = Vec::new();
    for (capture, name) in captures.into_iter().zip(["one.pcap", "other.pcap"]) {
        let path = folder.join(name);
        fs::write(&path, capture.to_bytes()).unwrap();
        paths.push(path);
    }
    let mut files = CaptureFiles::open(&paths);
    let mut observer = Observer::new(Config::default());
    let mut batch = PacketBatch::default();
    while files.next_batch(&mut batch).unwrap() {
        observer.handle_batch(&batch);
    }
    observer.finish();
    let events = std::iter::from_fn(|| observer.poll_event());
    events.map(|event| event.outcome).collect()
}

/// A client that was refused a version tries another one at once, and that looks like any other client that uses its port.
#[test]
fn a_client_tries_another_version_in_the_capture_that_has_its_first_packet() {
    let bytes = fs::read(fixtures::named("quic-no-common-version").capture).unwrap();
    let mut refused = Pcap::read(&bytes).unwrap();
    let [first, second, later] = &mut refused.packets[..] else {
        panic!("a packet, a list of versions, and another packet later");
    };
    for packet in [&mut *first, second] {
        set_client_port(packet, 50_000);
    }
    assert!(later.time[0] > first.time[0]);
    let later = Duration::from_millis(300);
    let other = later_than(&refused, &with_client_port("quic", 50_000), later);
    let both = [Outcome::Failure, Outcome::Success];
    assert_eq!(outcomes_of_both([&refused, &other]), both);
    // A capture that has ended may go on in another file.
    refused.packets.truncate(2);
    assert_eq!(outcomes_of_both([&refused, &other]), [Outcome::Success]);
}

#[test]
fn a_client_that_gets_another_port_in_mid_handshake_has_one_event() {
    for name in [
        "quic",
        "quic-client-refuses",
        "quic-server-refuses",
        "quic-retry",
    ] {
        let capture = with_client_port(name, 50_000);
        let [expected] = &handshakes(&capture)[..] else {
            panic!("{name} has one handshake");
        };
        let is_clients = |packet: &Packet| packet.bytes[36..38] == 443_u16.to_be_bytes();
        let answer = capture
            .packets
            .iter()
            .position(|packet| !is_clients(packet));
        let moves = (answer.unwrap() + 1..capture.packets.len())
            .filter(|at| is_clients(&capture.packets[*at]));
        let mut moved_times = 0;
        for at in moves {
            let mut moved = capture.clone();
            moved.packets[at..]
                .iter_mut()
                .for_each(|packet| set_client_port(packet, 50_001));
            let [found] = &handshakes(&moved)[..] else {
                panic!("{name}, moved at {at}: {:#?}", handshakes(&moved));
            };
            assert_eq!(essence(found), essence(expected), "{name}, moved at {at}");
            assert_eq!(found["client"]["port"], 50_000);
            moved_times += 1;
        }
        assert!(moved_times > 0, "{name}");
    }
}

#[test]
fn a_port_that_a_client_moved_to_is_free_for_other_handshakes_later() {
    let mut capture = with_client_port("quic", 50_000);
    let is_clients = |packet: &Packet| packet.bytes[36..38] == 443_u16.to_be_bytes();
    let packets = &mut capture.packets;
    let answer = packets.iter().position(|packet| !is_clients(packet));
    let moved = packets
        .iter()
        .skip(answer.unwrap() + 1)
        .position(is_clients);
    let moved = answer.unwrap() + 1 + moved.unwrap();
    for packet in &mut packets[moved..] {
        set_client_port(packet, 50_001);
    }
    for (name, port) in [("quic-server-refuses", 50_001), ("dtls12", 50_001)] {
        let mut both = capture.clone();
        let base = both.packets.last().unwrap().time[0] + 1;
        let other = with_client_port(name, port);
        let first = other.packets[0].time[0];
        both.packets
            .extend(other.packets.into_iter().map(|mut packet| {
                packet.time[0] = base + (packet.time[0] - first);
                packet
            }));
        let found = handshakes(&both);
        let ports = found.iter().map(|event| event["client"]["port"].clone());
        assert_eq!(ports.collect::<Vec<_>>(), [50_000, 50_001], "{name}");
    }
}

/// A frame with an ICMP message of the server's host: the port that a datagram went to is unreachable.
fn port_unreachable(datagram: &Packet, later: u32) -> Packet {
    let quoted = &datagram.bytes[14..14 + 28];
    let [source, destination] = [&quoted[12..16], &quoted[16..20]];
    let body = [&[3, 3, 0, 0, 0, 0, 0, 0], quoted].concat();
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).unwrap();
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([4; 6], [2; 6])
        .ipv4(address(destination), address(source), 64)
        .write(&mut bytes, etherparse::IpNumber::ICMP, &body)
        .unwrap();
    Packet {
        time: [datagram.time[0] + later, datagram.time[1]],
        wire_length: bytes.len() as u32,
        bytes,
    }
}

#[test]
fn an_unreachable_port_refuses_the_client() {
    let whole = with_client_port("quic", 50_000);
    let mut refused = whole.clone();
    refused.packets.truncate(1);
    let reported = port_unreachable(&whole.packets[0], 0);
    refused.packets.push(reported);
    let verdict = |capture: &Pcap| {
        let [event] = &handshakes(capture)[..] else {
            panic!("one handshake");
        };
        [
            event["outcome"].clone(),
            event["error"]["type"].clone(),
            event["unknown_because"].clone(),
        ]
    };
    // The client may try again.
    let early = ["unknown".into(), Value::Null, "capture_end".into()];
    assert_eq!(verdict(&refused), early);
    let mut later = whole.packets[0].clone();
    later.bytes[12..14].copy_from_slice(&[0x08, 0x06]); // nothing of ours
    later.time[0] += 2;
    refused.packets.push(later);
    let failed = ["failure".into(), "connection_refused".into(), Value::Null];
    assert_eq!(verdict(&refused), failed);
    // Nor was a datagram of the length ever sent that this one is said to have.
    let mut forged = refused.clone();
    let length = &mut forged.packets[1].bytes[14 + 20 + 8 + 20 + 4..][..2];
    length.copy_from_slice(&999_u16.to_be_bytes());
    assert_eq!(verdict(&forged)[0], "unknown");
    // An answer refutes it.
    let mut answered = whole.clone();
    answered
        .packets
        .insert(1, port_unreachable(&whole.packets[0], 0));
    assert_eq!(verdict(&answered), verdict(&whole));
}

#[test]
fn a_pause_of_hours_in_a_capture_is_nobodys_silence() {
    let whole = with_client_port("quic", 50_000);
    let hello = |seconds: u32| {
        let mut packet = whole.packets[0].clone();
        packet.time[0] += seconds;
        packet
    };
    let mut glued = whole.clone();
    glued.packets = vec![hello(0), hello(1), hello(2)];
    let mut other = hello(200_000);
    other.bytes[12..14].copy_from_slice(&[0x08, 0x06]);
    glued.packets.push(other.clone());
    let [event] = &handshakes(&glued)[..] else {
        panic!("one handshake");
    };
    assert_eq!(event["unknown_because"], "capture_end");
    // Without a pause, the time that passes counts.
    other.time[0] -= 199_950;
    glued.packets[3] = other;
    let [event] = &handshakes(&glued)[..] else {
        panic!("one handshake");
    };
    assert_eq!(event["unknown_because"], "last_data_not_acknowledged");
}

#[test]
fn keys_are_guessed_for_a_bounded_number_of_packets_a_second() {
    let flood = noise(8, &[HEADS[2]]);
    let lines = String::from_utf8(harness::capture(&flood.to_bytes(), b"", 1)).unwrap();
    let stats: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert!(stats["quic_guesses_refused"].as_u64().unwrap() > 0);
    assert_eq!(stats["handshakes"], 0);
}

/// The CRYPTO frame of RFC 9001 appendix A.2, with a hello to example.com.
const HELLO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
    00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007\
    000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994\
    ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffff\
    ffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";

/// quic-go offered it for a while.
#[test]
fn a_hello_of_the_draft_of_version_2_is_read() {
    let digits: Vec<_> = HELLO.bytes().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let mut content: Vec<u8> = digits.chunks(2).map(byte).collect();
    content.resize(1_162, 0);
    let original = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    let ids: [&[u8]; 2] = [&original, &[]];
    let hello = initials::seal(&initials::V2_DRAFT, &original, ids, true, (0, content));
    let mut capture = with_client_port("quic", 50_000);
    capture.packets.truncate(1);
    set_payload(&mut capture.packets[0], &hello);
    let [event] = &handshakes(&capture)[..] else {
        panic!("one handshake");
    };
    assert_eq!(event["protocol"], "quic");
    assert_eq!(event["tls"]["server_name"], "example.com");
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

/// A traffic generator may have both directions on one pair of addresses: the ids of a packet say whom it goes to.
#[test]
fn ids_tell_directions_with_the_same_addresses_apart() {
    let mut decided = 0;
    for name in [
        "quic",
        "quic-client-refuses",
        "quic-server-refuses",
        "quic-quinn",
    ] {
        let capture = with_client_port(name, 50_000);
        let mut same = capture.clone();
        let addresses = same.packets[0].bytes[26..38].to_vec();
        // A short datagram marks the end of the fixture's capture.
        let is_quic = |packet: &&mut Packet| packet.bytes.len() > 42 + 20;
        for packet in same.packets.iter_mut().filter(is_quic) {
            packet.bytes[26..38].copy_from_slice(&addresses);
        }
        let verdict = |capture: &Pcap| {
            let [event] = &handshakes(capture)[..] else {
                panic!("one handshake: {name}");
            };
            (event["outcome"].clone(), event["error"].clone())
        };
        let expected = verdict(&capture);
        let has_ids = |packet: &Packet| {
            let ids = ids(&packet.bytes[42..]);
            ids.is_some_and(|ids| ids[1..].iter().all(|id| !id.is_empty()))
        };
        if has_ids(&capture.packets[0]) {
            let found = verdict(&same);
            // Ids that a side gives its peer under encryption tell nothing, and quinn's are used at once.
            assert!(
                found == expected || found.0 == "unknown",
                "{name}: {found:?}"
            );
            decided += usize::from(found == expected);
        }
    }
    assert!(decided >= 2, "{decided}");
}

/// Anybody who sees the client's first packet can answer it with a list of versions.
#[test]
fn a_list_of_versions_that_the_client_ignores_changes_nothing() {
    for name in ["quic", "quic-client-refuses", "quic-server-refuses"] {
        let capture = with_client_port(name, 50_000);
        let first = &capture.packets[0];
        let Some([header, destination, source]) = ids(&first.bytes[42..]) else {
            panic!("{name} does not begin with an Initial packet");
        };
        let length = |id: &[u8]| [id.len() as u8];
        let payload = [
            &[header[0] | 0x80][..],
            &[0; 4],
            &length(&source),
            &source,
            &length(&destination),
            &destination,
            &[0x6b, 0x33, 0x43, 0xcf], // version 2
        ]
        .concat();
        let mut bytes = Vec::new();
        etherparse::PacketBuilder::ethernet2([4; 6], [2; 6])
            .ipv4([192, 0, 2, 10], [192, 0, 2, 1], 64)
            .udp(443, 50_000)
            .write(&mut bytes, &payload)
            .unwrap();
        let mut forged = capture.clone();
        let list = Packet {
            time: first.time,
            wire_length: bytes.len() as u32,
            bytes,
        };
        forged.packets.insert(1, list);
        let verdicts = |capture: &Pcap| -> Vec<_> {
            let verdict = |event: &Value| (event["outcome"].clone(), event["error"].clone());
            handshakes(capture).iter().map(verdict).collect()
        };
        assert_eq!(verdicts(&forged), verdicts(&capture), "{name}");
    }
}

/// The first byte of an Initial packet, and its connection ids: destination and source.
fn ids(packet: &[u8]) -> Option<[Vec<u8>; 3]> {
    let (first, rest) = packet.split_first()?;
    let (_, rest) = rest.split_at_checked(4)?;
    let (length, rest) = rest.split_first()?;
    let (destination, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first()?;
    let (source, _) = rest.split_at_checked(usize::from(*length))?;
    Some([vec![*first], destination.to_vec(), source.to_vec()])
}

/// A CONNECTION_CLOSE in a Handshake packet shows with the keys only.
#[test]
fn a_close_that_was_seen_is_what_ended_the_connection() {
    let folder = "fixtures/captures/quic/quic-client-refuses";
    let (capture, keys) = (
        format!("{folder}/capture.pcap"),
        format!("{folder}/keys.log"),
    );
    let closed_by = |flags: &[&str]| {
        let lines = printed(&[&["read", "--format", "json"], flags].concat());
        let event = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut events = event.filter(|event| event["type"] == "handshake");
        events.next().unwrap()["closed_by"].clone()
    };
    assert_eq!(closed_by(&["--keylog", &keys, &capture]), "quic_close");
    assert_eq!(closed_by(&[&capture]), "capture_end");
}
