//! Captures made here: Ethernet, IPv4 and TCP.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use etherparse::{PacketBuilder, SlicedPacket, TcpSlice, TransportSlice};
use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};

/// A pcap, and what is in it.
pub(crate) struct Capture {
    pub(crate) path: PathBuf,
    pub(crate) packets: u64,
    pub(crate) handshakes: u64,
}

/// Established connections on which something other than TLS is spoken: a few bytes each way, and bare acknowledgments.
pub(crate) fn small_packets() -> Capture {
    const CONNECTIONS: u32 = 1_000;
    const ROUNDS: u32 = 30;
    const PAYLOAD: [u8; 6] = [1, 2, 3, 4, 5, 6];

    let mut pcap = Pcap::new();
    for client in (0..CONNECTIONS).map(Client) {
        pcap.push(&client.sends(Flags::Syn, [0, 0], &[]));
        pcap.push(&client.receives(Flags::SynAck, [0, 1], &[]));
        pcap.push(&client.sends(Flags::Ack, [1, 1], &[]));
    }
    for round in 0..ROUNDS {
        let length = PAYLOAD.len() as u32;
        let [before, after] = [1 + round * length, 1 + (round + 1) * length];
        for client in (0..CONNECTIONS).map(Client) {
            pcap.push(&client.sends(Flags::Ack, [before, before], &PAYLOAD));
        }
        for client in (0..CONNECTIONS).map(Client) {
            pcap.push(&client.receives(Flags::Ack, [before, after], &PAYLOAD));
        }
        for client in (0..CONNECTIONS).map(Client) {
            pcap.push(&client.sends(Flags::Ack, [after, after], &[]));
        }
    }
    pcap.finish("small-packets.pcap", 0)
}

/// Packets that each open a connection, which nobody answers.
pub(crate) fn syns() -> Capture {
    let mut pcap = Pcap::new();
    for client in (0..100_000).map(Client) {
        pcap.push(&client.sends(Flags::Syn, [0, 0], &[]));
    }
    pcap.finish("syns.pcap", 0)
}

/// Downloads: a handshake as recorded, and then full segments of application data.
pub(crate) fn bulk() -> Capture {
    const CONNECTIONS: u16 = 10;
    const SEGMENTS: usize = 2_000;
    const SEGMENT: usize = 1_448;

    let recorded = recorded("tls13-rsa");
    let packets = recorded.iter().map(|(_, packet)| packet.as_slice());
    let opening: Vec<&[u8]> = packets.take_while(|packet| !tcp(packet).fin()).collect();
    let (client, server) = ends(opening[0]);
    let next_from = |end: End| {
        let mut sent = opening.iter().rev().filter(|packet| ends(packet).0 == end);
        let last = tcp(sent.next().unwrap());
        last.sequence_number()
            .wrapping_add(last.payload().len() as u32)
    };
    let [first, acknowledgment] = [next_from(server), next_from(client)];

    let data = records(SEGMENTS * SEGMENT);
    let mut pcap = Pcap::new();
    for number in 0..CONNECTIONS {
        for packet in &opening {
            pcap.push(&of_another_client(packet, client, number));
        }
        for (index, payload) in data.chunks(SEGMENT).enumerate() {
            let sequence = first.wrapping_add((index * SEGMENT) as u32);
            let numbers = [sequence, acknowledgment];
            let packet = packet(server, client, Flags::Ack, numbers, payload);
            pcap.push(&of_another_client(&packet, client, number));
        }
    }
    pcap.finish("bulk.pcap", CONNECTIONS.into())
}

/// What the handshakes are repeated from, with the number of handshakes in each: both versions, with and without
/// client certificates, resumed, and refused.
const HANDSHAKES: [(&str, u64); 11] = [
    ("tls13-chrome", 1),
    ("tls13-safari", 1),
    ("tls13-rsa", 1),
    ("tls12-chrome", 1),
    ("tls12-rsa-chain", 1),
    ("tls12-ecdsa-chain", 1),
    ("resumption-psk", 2),
    ("resumption-ticket", 2),
    ("mtls12-success", 1),
    ("alert-unknown-ca", 1),
    ("tls13-client-refuses-unknown-ca", 1),
];

/// Short connections with a handshake each, as recorded, again and again from other clients.
pub(crate) fn handshakes() -> Capture {
    const ROUNDS: usize = 100;

    let recorded = HANDSHAKES.map(|(name, _)| recorded(name));
    let mut pcap = Pcap::new();
    let mut start = FIRST_TIME;
    for (packets, number) in recorded.iter().cycle().zip(0..ROUNDS * recorded.len()) {
        let (client, _) = ends(&packets[0].1);
        for (after, packet) in packets {
            let packet = of_another_client(packet, client, number as u16);
            pcap.push_at(start + after, &packet);
        }
        start += packets.last().unwrap().0;
    }
    let handshakes: u64 = HANDSHAKES.iter().map(|(_, handshakes)| handshakes).sum();
    pcap.finish("handshakes.pcap", handshakes * ROUNDS as u64)
}

/// The packets of a fixture, each with its time in microseconds after the first.
fn recorded(name: &str) -> Vec<(u64, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folder = folder_called(name, &folder).unwrap_or_else(|| panic!("no fixture `{name}`"));
    let path = folder.join("capture.pcap");
    let (mut files, mut batch) = (CaptureFiles::open(&[path]), PacketBatch::default());
    assert!(files.next_batch(&mut batch).unwrap());
    let first = batch.packets[0].timestamp;
    let packets = batch.packets.iter().map(|packet| {
        let after = packet.timestamp.checked_since(first).unwrap();
        (after.as_micros() as u64, batch.bytes(packet).to_vec())
    });
    packets.collect()
}

/// Fixtures are in folders by theme: `parent`, or a folder in it, has this one.
fn folder_called(name: &str, parent: &Path) -> Option<PathBuf> {
    let folder = parent.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let entries = fs::read_dir(parent).unwrap();
    let mut folders = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    folders.find_map(|folder| folder_called(name, &folder))
}

/// So many bytes of application data, in records of the usual size.
fn records(length: usize) -> Vec<u8> {
    const FRAGMENT: u16 = 16_384 + 17; // with the content type and the tag of an AEAD
    let mut bytes = Vec::new();
    while bytes.len() < length {
        bytes.extend([23, 3, 3]);
        bytes.extend(FRAGMENT.to_be_bytes());
        bytes.resize(bytes.len() + usize::from(FRAGMENT), 0xa5);
    }
    bytes.truncate(length);
    bytes
}

/// An address and a port.
type End = ([u8; 4], u16);

/// Where a packet has its source's address and its destination's.
const ADDRESSES: [Range<usize>; 2] = [26..30, 30..34];

/// Who sends a packet, and to whom.
fn ends(packet: &[u8]) -> (End, End) {
    let segment = tcp(packet);
    let [source, destination] = ADDRESSES.map(|place| packet[place].try_into().unwrap());
    (
        (source, segment.source_port()),
        (destination, segment.destination_port()),
    )
}

/// The same packet, with another host for each `number` in the client's place.
fn of_another_client(packet: &[u8], (client, _): End, number: u16) -> Vec<u8> {
    let mut packet = packet.to_vec();
    for place in ADDRESSES {
        if packet[place.clone()] == client {
            let [high, low] = number.to_be_bytes();
            packet[place].copy_from_slice(&[10, 0, high, low]);
        }
    }
    packet
}

fn tcp(packet: &[u8]) -> TcpSlice<'_> {
    match SlicedPacket::from_ethernet(packet).unwrap().transport {
        Some(TransportSlice::Tcp(segment)) => segment,
        other => panic!("not TCP: {other:?}"),
    }
}

/// One of many clients of a server.
#[derive(Clone, Copy)]
struct Client(u32);

#[derive(Clone, Copy, PartialEq)]
enum Flags {
    Syn,
    SynAck,
    Ack,
}

const SERVER: End = ([192, 0, 2, 10], 9_000);

impl Client {
    fn end(self) -> End {
        let [_, a, b, c] = self.0.to_be_bytes();
        ([10, a, b, c], 50_000)
    }

    /// A packet to the server, with its sequence and acknowledgment numbers.
    fn sends(self, flags: Flags, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
        packet(self.end(), SERVER, flags, numbers, payload)
    }

    /// A packet from the server, likewise.
    fn receives(self, flags: Flags, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
        packet(SERVER, self.end(), flags, numbers, payload)
    }
}

fn packet(
    (source, source_port): End,
    (destination, destination_port): End,
    flags: Flags,
    [sequence, acknowledgment]: [u32; 2],
    payload: &[u8],
) -> Vec<u8> {
    let mut tcp = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(source, destination, 64)
        .tcp(source_port, destination_port, sequence, 64_000);
    if flags != Flags::Ack {
        tcp = tcp.syn();
    }
    if flags != Flags::Syn {
        tcp = tcp.ack(acknowledgment);
    }
    let mut packet = Vec::new();
    tcp.write(&mut packet, payload).unwrap();
    packet.resize(packet.len().max(60), 0); // as Ethernet pads
    packet
}

/// Writes a pcap; packets that bring no time are a microsecond apart.
struct Pcap {
    bytes: Vec<u8>,
    packets: u64,
}

const MICROSECONDS: u64 = 1_000_000;
const FIRST_TIME: u64 = 1_800_000_000 * MICROSECONDS;

impl Pcap {
    fn new() -> Self {
        let mut pcap = Self {
            bytes: Vec::new(),
            packets: 0,
        };
        pcap.words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
        pcap
    }

    fn push(&mut self, packet: &[u8]) {
        self.push_at(FIRST_TIME + self.packets, packet);
    }

    fn push_at(&mut self, time: u64, packet: &[u8]) {
        let length = packet.len() as u32;
        let [seconds, rest] = [time / MICROSECONDS, time % MICROSECONDS];
        self.words(&[seconds as u32, rest as u32, length, length]);
        self.bytes.extend_from_slice(packet);
        self.packets += 1;
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.bytes.extend(word.to_le_bytes());
        }
    }

    /// Writes the file, for a capture in which so many handshakes are.
    fn finish(self, name: &str, handshakes: u64) -> Capture {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, &self.bytes).unwrap();
        Capture {
            path,
            packets: self.packets,
            handshakes,
        }
    }
}
