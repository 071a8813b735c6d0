//! The limit on memory, held to the program itself: what it takes at most while captures fill it with whatever is dear.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read as _, Write};
use std::process::Stdio;
use std::thread;

use etherparse::PacketBuilder;

use crate::support::fixtures;
use crate::support::flood::Flood;
use crate::support::pcap::Pcap;
use crate::support::program::tlscope;
use crate::support::tls;

/// A small limit, which small captures fill.
const LIMIT: &str = "96M";
const LIMIT_KIB: u64 = 96 << 10;
/// What a debug build has in memory of its own code and tables, beyond a release build.
const DEBUG_KIB: u64 = 24 << 10;

/// What a run over a capture takes at most, in KiB, and what it prints.
fn peak(write: impl FnOnce(&mut dyn Write) + Send + 'static, arguments: &[&str]) -> (u64, String) {
    let common = ["read", "-", "--no-verify", "--memory-limit", LIMIT];
    let mut process = tlscope(&[&common, arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        let mut buffered = std::io::BufWriter::with_capacity(1 << 20, &mut input);
        write(&mut buffered);
        buffered.flush().unwrap();
    });
    // The program waits while its output is not read, so the last reading is one of a process that has nearly ended.
    let status = format!("/proc/{}/status", process.id());
    let mut output = process.stdout.take().unwrap();
    let (mut printed, mut chunk, mut peak) = (Vec::new(), [0; 4096], 0);
    loop {
        peak = peak.max(high_water(&status));
        match output.read(&mut chunk).unwrap() {
            0 => break,
            count => printed.extend_from_slice(&chunk[..count]),
        }
    }
    writer.join().unwrap();
    assert!(process.wait().unwrap().success());
    (peak, String::from_utf8(printed).unwrap())
}

/// The most memory that a process has taken so far, in KiB; 0 once it has ended.
fn high_water(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
        .unwrap_or_default()
}

fn assert_within_limit(what: &str, peak: u64) {
    assert!(peak > 10 << 10, "{what}: {peak} KiB are not the whole");
    assert!(peak <= LIMIT_KIB + DEBUG_KIB, "{what}: {peak} KiB");
}

/// A ClientHello with so many protocol names of one byte.
fn hello_of_protocols(count: usize) -> Vec<u8> {
    let names = [1, b'x'].repeat(count);
    let length = names.len() as u16;
    let alpn = [
        &[0, 16][..],
        &(length + 2).to_be_bytes(),
        &length.to_be_bytes(),
        &names,
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &(alpn.len() as u16).to_be_bytes(),
        &alpn,
    ]
    .concat();
    in_records(1, &body)
}

/// A Certificate message with a hundred certificates of 3,000 bytes; those of another number are others.
fn certificates(number: u32) -> Vec<u8> {
    let mut list = Vec::new();
    for position in 0..100u32 {
        let mut certificate = vec![0x30; 3_000];
        certificate[..4].copy_from_slice(&number.to_be_bytes());
        certificate[4..8].copy_from_slice(&position.to_be_bytes());
        list.extend_from_slice(&3_000u32.to_be_bytes()[1..]);
        list.extend_from_slice(&certificate);
    }
    let length = &(list.len() as u32).to_be_bytes()[1..];
    in_records(11, &[length, &list].concat())
}

fn in_records(message_type: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[message_type], &length[1..], body].concat();
    let fragments = message.chunks(1 << 14);
    fragments
        .flat_map(|fragment| tls::record(22, fragment))
        .collect()
}

#[test]
fn floods_of_all_kinds_together_stay_within_the_limit() {
    let (peak, json) = peak(
        |capture| {
            let mut flood = Flood::new(capture);
            for _ in 0..40_000 {
                flood.syn();
            }
            for _ in 0..40_000 {
                flood.says(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
            }
            for _ in 0..15_000 {
                flood.says(&tls::client_hello());
            }
            for _ in 0..100 {
                flood.says(&hello_of_protocols(30_000));
            }
            for number in 0..50 {
                flood.answered(&certificates(number));
            }
        },
        &["--format", "json"],
    );
    assert_within_limit("all floods", peak);
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    let count = |name: &str| stats[name].as_u64().unwrap();
    assert!(count("handshakes_not_judged") > 1_000, "{stats}");
    assert!(
        count("connections_evicted") <= count("connections"),
        "{stats}"
    );
    assert!(count("values_omitted") > 100 * 28_000, "{stats}");
}

#[test]
fn handshakes_amid_and_after_a_flood_of_half_open_ones_are_judged() {
    let (peak, json) = peak(
        |capture| {
            let mut flood = Flood::new(capture);
            for number in 0..20_000 {
                flood.says(&tls::client_hello());
                if number % 100 == 99 {
                    flood.begin_ordinary();
                }
                if number % 400 == 399 {
                    flood.end_ordinary();
                }
            }
            for _ in 0..100 {
                flood.begin_ordinary();
            }
            flood.end_ordinary();
        },
        &["--format", "json", "--outcome", "success"],
    );
    assert_within_limit("half-open handshakes", peak);
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    assert_eq!(stats["handshakes_succeeded"], 300, "{stats}");
    assert!(
        stats["handshakes_not_judged"].as_u64() > Some(5_000),
        "{stats}"
    );
}

#[test]
fn handshakes_during_and_after_a_flood_of_answered_ones_are_judged() {
    let (peak, json) = peak(
        |capture| {
            let mut flood = Flood::new(capture);
            let half_a_flight = certificates(0)[..2_000].to_vec();
            for number in 0..15_000 {
                flood.answered(&half_a_flight);
                if number % 100 == 99 {
                    flood.begin_ordinary();
                    flood.end_ordinary();
                }
            }
        },
        &["--format", "json", "--outcome", "success"],
    );
    assert_within_limit("answered handshakes", peak);
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    assert_eq!(stats["handshakes_succeeded"], 150, "{stats}");
    assert!(
        stats["handshakes_not_judged"].as_u64() > Some(3_000),
        "{stats}"
    );
}

/// A certificate for another name each time.
#[cfg(feature = "otel")]
fn certificate(key: &rcgen::KeyPair, name: &str) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.self_signed(key).unwrap().der().to_vec()
}

#[test]
#[cfg(feature = "otel")]
fn series_stay_within_their_limit_and_other_takes_over() {
    /// Connections of 60 servers with 60 clients and 60 alerts, and then of servers that come once.
    const KNOWN: u32 = 3_000;
    const STRANGERS: u32 = 1_000;
    /// Series of handshakes, and certificates, with the limit of these tests: see `MetricsConfig::within_memory`.
    const MOST: usize = 1_160;
    let write = |capture: &mut dyn Write| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut flood = Flood::new(capture);
        for number in 0..KNOWN + STRANGERS {
            let server = match number {
                ..KNOWN => format!("server-{}.example.org", number % 60),
                _ => format!("stranger-{number}.example.org"),
            };
            let shown = certificate(&key, &format!("certificate-{number}"));
            let hello = tls::client_hello_to(&server, &[]);
            let flight = [
                tls::server_hello_12(),
                tls::certificates_12(&[&shown]),
                tls::server_hello_done(),
            ];
            let alert = tls::alert(2, 100 + (number % 60) as u8);
            let client = (number / 60) as u16;
            flood.refused(client, [&hello, &flight.concat(), &alert]);
        }
    };
    let attributes = "server.address,remote.addr,error.message";
    let (peak, text) = peak(
        write,
        &[
            "--format",
            "summary",
            "--metrics",
            "stdout",
            "--metric-attributes",
            attributes,
            "--metric-values",
            "1000",
        ],
    );
    assert_within_limit("metric series", peak);
    let samples = |name: &'static str| {
        let lines = text.lines().filter(move |line| line.starts_with(name));
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series, value.parse::<f64>().unwrap())
        })
    };
    let sum = |name| samples(name).map(|(_, value)| value).sum::<f64>();

    // No handshake is lost, whatever becomes of its values.
    let handshakes = f64::from(KNOWN + STRANGERS);
    assert_eq!(sum("tls_handshake_total{"), handshakes);
    let of_other = samples("tls_handshake_total{");
    let of_other = of_other.filter(|(series, _)| series.contains("server_address=\"other\""));
    let of_other: f64 = of_other.map(|(_, value)| value).sum();
    assert!(of_other >= f64::from(STRANGERS), "{of_other}");
    assert!(of_other < handshakes * 0.9, "{of_other}");
    // Those in which all is `other`, and the zeros from the start, come on top.
    let series = samples("tls_handshake_total{").count();
    assert!((MOST - 60..=MOST + 60).contains(&series), "{series}");

    let certificates = samples("tls_certificate_not_after_seconds{").count();
    assert!((MOST / 2..=MOST).contains(&certificates), "{certificates}");
    let evicted = sum("tlscope_certificates_evicted_total");
    assert_eq!(evicted + certificates as f64, handshakes);
}

/// Where the source port and the identification are in a frame with IPv4 without options.
const SOURCE_PORT: usize = 14 + 20;
const IDENTIFICATION: usize = 14 + 4;

fn datagram(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 10], 64)
        .udp(50_000, 443);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

#[test]
fn floods_of_datagrams_and_fragments_stay_within_the_limit() {
    let capture = fixtures::package().join("fixtures/captures/quic/quic/capture.pcap");
    let capture = Pcap::read(&fs::read(capture).unwrap()).unwrap();
    let initial = capture.packets[0].bytes.clone();
    let (peak, json) = peak(
        move |capture| {
            let mut flood = Flood::new(capture);
            for _ in 0..4_000 {
                flood.packet(&initial, SOURCE_PORT);
            }
            let mut fragment = datagram(&[7; 1_400]);
            fragment[20] |= 0x20; // more fragments
            for _ in 0..20_000 {
                flood.packet(&fragment, IDENTIFICATION);
            }
            let other = datagram(&[0x40; 60]);
            for _ in 0..100_000 {
                flood.packet(&other, SOURCE_PORT);
            }
        },
        &["--format", "json"],
    );
    assert_within_limit("datagrams", peak);
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    let count = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(count("handshakes"), 4_000, "{stats}");
    assert!(count("handshakes_not_judged") > 2_000, "{stats}");
    assert!(count("fragments_discarded") > 10_000, "{stats}");
}

/// The first Initial packet of a client, as it was captured.
fn initial() -> Vec<u8> {
    let capture = fixtures::package().join("fixtures/captures/quic/quic/capture.pcap");
    let capture = Pcap::read(&fs::read(capture).unwrap()).unwrap();
    capture.packets[0].bytes.clone()
}

#[test]
fn handshakes_over_udp_between_two_hosts_have_the_room_that_others_leave() {
    let initial = initial();
    let (_, json) = peak(
        move |capture| {
            let mut flood = Flood::new(capture);
            for _ in 0..600 {
                flood.packet(&initial, SOURCE_PORT);
            }
        },
        &["--format", "json"],
    );
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    assert_eq!(stats["handshakes"], 600, "{stats}");
    assert_eq!(stats["handshakes_not_judged"], 0, "{stats}");
}

#[test]
fn a_flood_of_datagrams_to_many_hosts_stays_within_the_limit() {
    /// Where the last two bytes of the server's address are.
    const SERVER: usize = 14 + 16 + 2;
    let initial = initial();
    let (peak, json) = peak(
        move |capture| {
            let mut flood = Flood::new(capture);
            for _ in 0..12_000 {
                flood.packet(&initial, SERVER);
            }
        },
        &["--format", "json"],
    );
    assert_within_limit("hosts", peak);
    let stats = json.lines().last().unwrap();
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    let count = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(count("handshakes"), 12_000, "{stats}");
    assert!(count("handshakes_not_judged") > 2_000, "{stats}");
}
