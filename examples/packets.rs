//! Observes packets from memory: no file, no interface, no clock.
//!
//! A program that has packets of its own (a proxy, a test, a sniffer by other means) feeds them like this.
//! Here they are those of a client that offers TLS and a server that refuses with an alert.
//!
//! ```sh
//! cargo run --example packets --no-default-features
//! ```

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "prints what it shows"
)]

use std::time::Duration;

use etherparse::PacketBuilder;
use tlscope::observer::{Config, Observer};
use tlscope::time::Timestamp;

fn main() {
    let config = Config::default()
        .with_handshake_timeout(Duration::from_secs(60))
        .with_fingerprints(false);
    let mut observer = Observer::new(config);

    let start = Timestamp::from_seconds(1_772_366_400);
    for (milliseconds, frame) in (0..).zip(refused_connection()) {
        let time = start.saturating_add(Duration::from_millis(milliseconds));
        observer.handle_ethernet(time, &frame);
        print_events(&mut observer);
    }
    observer.finish(); // no more packets: open handshakes get the verdict that the evidence supports
    print_events(&mut observer);
    println!("{} packets", observer.stats().packets);
}

fn print_events(observer: &mut Observer) {
    while let Some(handshake) = observer.poll_event() {
        let error = handshake.error.as_ref();
        println!(
            "{} to {}: {}, {}",
            handshake.client,
            handshake.server,
            handshake.outcome,
            error.map_or("no error", |error| &error.message)
        );
    }
}

/// The Ethernet frames of a TCP connection with a ClientHello and a fatal `handshake_failure`.
fn refused_connection() -> Vec<Vec<u8>> {
    let hello = client_hello();
    let alert = [21, 3, 3, 0, 2, 2, 40];
    let after_hello = 1_001 + hello.len() as u32;
    vec![
        frame(CLIENT, 1_000, None, SYN, &[]),
        frame(SERVER, 9_000, Some(1_001), SYN, &[]),
        frame(CLIENT, 1_001, Some(9_001), DATA, &hello),
        frame(SERVER, 9_001, Some(after_hello), DATA, &alert),
        frame(SERVER, 9_008, Some(after_hello), FIN, &[]),
    ]
}

/// A minimal ClientHello of TLS 1.2 in one record (RFC 5246 §7.4.1.2).
fn client_hello() -> Vec<u8> {
    let suites = [0xc0, 0x2f, 0xc0, 0x30]; // ECDHE_RSA with AES-GCM
    let mut body = vec![3, 3];
    body.extend([0x11; 32]); // random
    body.push(0); // no session id
    body.extend([0, suites.len() as u8]);
    body.extend(suites);
    body.extend([1, 0]); // no compression
    let mut record = vec![22, 3, 1, 0, 4 + body.len() as u8];
    record.extend([1, 0, 0, body.len() as u8]);
    record.extend(body);
    record
}

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 443);

const DATA: u8 = 0;
const SYN: u8 = 1;
const FIN: u8 = 2;

fn frame(
    from: ([u8; 4], u16),
    sequence: u32,
    acknowledged: Option<u32>,
    kind: u8,
    payload: &[u8],
) -> Vec<u8> {
    let to = if from == CLIENT { SERVER } else { CLIENT };
    let mut segment = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(from.0, to.0, 64)
        .tcp(from.1, to.1, sequence, 64_000);
    if let Some(number) = acknowledged {
        segment = segment.ack(number);
    }
    if kind == SYN {
        segment = segment.syn();
    }
    if kind == FIN {
        segment = segment.fin();
    }
    let mut bytes = Vec::with_capacity(segment.size(payload.len()));
    segment
        .write(&mut bytes, payload)
        .expect("writing to memory does not fail");
    bytes
}
