//! Conversations of hostile peers, from any bytes: what they send in turn over UDP, TCP or a bare link, in packets whose headers
//! are right, so that a fuzzer reaches what is behind them.
//!
//! Each input is a list of items: a byte that says who sends it and how, two bytes of length, and the content.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt as _};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use etherparse::PacketBuilder;

use super::harness;
use super::pcap::{Packet, Pcap};

/// What a peer sends.
pub(crate) struct Item<'b> {
    head: u8,
    content: &'b [u8],
}

impl Item<'_> {
    const fn is_from_server(&self) -> bool {
        self.head & FROM_SERVER != 0
    }
}

pub(crate) const FROM_SERVER: u8 = 1;

/// Over QUIC: the content is that of an Initial packet, which is sealed here; of a Handshake or a 1-RTT packet; or a whole
/// datagram.
const INITIAL: u8 = 0;
const HANDSHAKE: u8 = 1;
const ONE_RTT: u8 = 2;
pub(crate) const DATAGRAM: u8 = 3;

/// Over EAP: whether it is an EAPOL frame, and not a RADIUS packet.
pub(crate) const EAPOL: u8 = 1 << 1;

/// Over TCP: whether the side closes after it.
const FIN: u8 = 1 << 1;

/// An item as it is written.
pub(crate) fn item(head: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let content = &content[..usize::from(length)];
    [&[head], &length.to_be_bytes()[..], content].concat()
}

fn items(mut bytes: &[u8]) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    while let [head, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (content, after) = rest.split_at(length.min(rest.len()));
        items.push(Item {
            head: *head,
            content,
        });
        bytes = after;
    }
    items
}

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 10];
const CLIENT_PORT: u16 = 50_000;

/// Packets, one after another: the upper bits of an item's head say how long after the one before.
struct Wire(Pcap, u64);

impl Wire {
    fn new() -> Self {
        const ETHERNET: u32 = 1;
        Self(Pcap::new(ETHERNET), 1_772_366_400_000_000)
    }

    fn send(&mut self, item: &Item<'_>, bytes: Vec<u8>) {
        let Self(capture, now) = self;
        *now += 100 << (u32::from(item.head >> 4) * 2); // 0.1 ms to a day
        capture.packets.push(Packet {
            time: [(*now / 1_000_000) as u32, (*now % 1_000_000) as u32],
            wire_length: bytes.len() as u32,
            bytes,
        });
    }

    fn send_datagram(&mut self, item: &Item<'_>, port: u16, payload: &[u8]) {
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let datagram = if item.is_from_server() {
            link.ipv4(SERVER, CLIENT, 64).udp(port, CLIENT_PORT)
        } else {
            link.ipv4(CLIENT, SERVER, 64).udp(CLIENT_PORT, port)
        };
        let mut bytes = Vec::new();
        if datagram.write(&mut bytes, payload).is_ok() {
            self.send(item, bytes);
        }
    }

    fn observe(self) {
        harness::capture(&self.0.to_bytes(), b"", 1);
    }
}

/// Datagrams of DTLS, or of anything else.
pub(crate) fn datagrams(bytes: &[u8]) {
    let mut wire = Wire::new();
    for item in items(bytes) {
        wire.send_datagram(&item, 4433, item.content);
    }
    wire.observe();
}

/// Packets of QUIC.
pub(crate) fn quic(bytes: &[u8]) {
    let mut wire = Wire::new();
    for (number, item) in items(bytes).into_iter().enumerate() {
        let number = number as u32;
        let payload = match item.head >> 1 & 3 {
            INITIAL => sealed_initial(item.is_from_server(), number, item.content),
            HANDSHAKE => [
                &long_header(HANDSHAKE_BITS, item.is_from_server())[..],
                &length(item.content.len()),
                item.content,
            ]
            .concat(),
            ONE_RTT => [&[0x40], destination(item.is_from_server()), item.content].concat(),
            _ => item.content.to_vec(),
        };
        wire.send_datagram(&item, 443, &payload);
    }
    wire.observe();
}

/// The ids of the connection in RFC 9001 appendix A: the client's first destination is the server's id.
const SERVER_ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
const CLIENT_ID: [u8; 8] = [0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];

const fn destination(is_from_server: bool) -> &'static [u8] {
    if is_from_server {
        &CLIENT_ID
    } else {
        &SERVER_ID
    }
}

const INITIAL_BITS: u8 = 0xc3;
const HANDSHAKE_BITS: u8 = 0xe3;

fn long_header(first: u8, is_from_server: bool) -> Vec<u8> {
    let ids = [is_from_server, !is_from_server].map(destination);
    let mut header = vec![first, 0, 0, 0, 1];
    for id in ids {
        header.push(id.len() as u8);
        header.extend(id);
    }
    header
}

/// A length as a variable-length integer of two bytes.
fn length(length: usize) -> [u8; 2] {
    (0x4000 | (length as u16 & 0x3fff)).to_be_bytes()
}

/// Key, IV and key of header protection of both sides (RFC 9001 appendix A.1).
const CLIENT_KEYS: [&[u8]; 3] = [
    &[
        0x1f, 0x36, 0x96, 0x13, 0xdd, 0x76, 0xd5, 0x46, 0x77, 0x30, 0xef, 0xcb, 0xe3, 0xb1, 0xa2,
        0x2d,
    ],
    &[
        0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c,
    ],
    &[
        0x9f, 0x50, 0x44, 0x9e, 0x04, 0xa0, 0xe8, 0x10, 0x28, 0x3a, 0x1e, 0x99, 0x33, 0xad, 0xed,
        0xd2,
    ],
];
const SERVER_KEYS: [&[u8]; 3] = [
    &[
        0xcf, 0x3a, 0x53, 0x31, 0x65, 0x3c, 0x36, 0x4c, 0x88, 0xf0, 0xf3, 0x79, 0xb6, 0x06, 0x7e,
        0x37,
    ],
    &[
        0x0a, 0xc1, 0x49, 0x3c, 0xa1, 0x90, 0x58, 0x53, 0xb0, 0xbb, 0xa0, 0x3e,
    ],
    &[
        0xc2, 0x06, 0xb8, 0xd9, 0xb9, 0xf0, 0xf3, 0x76, 0x44, 0x43, 0x0b, 0x49, 0x0e, 0xea, 0xa3,
        0x14,
    ],
];

/// An Initial packet of version 1 with these frames (RFC 9001 §5). The client's are filled up to 1200 bytes.
fn sealed_initial(is_from_server: bool, number: u32, frames: &[u8]) -> Vec<u8> {
    let [key, iv, header_key] = if is_from_server {
        SERVER_KEYS
    } else {
        CLIENT_KEYS
    };
    let mut sealed = frames.to_vec();
    if !is_from_server {
        sealed.resize(frames.len().max(1_162), 0);
    }
    sealed.resize(sealed.len().max(4), 0); // the sample
    let mut header = long_header(INITIAL_BITS, is_from_server);
    header.push(0); // no token
    header.extend(length(4 + sealed.len() + 16));
    let number_offset = header.len();
    header.extend(number.to_be_bytes());
    let mut nonce: Vec<u8> = iv.to_vec();
    for (byte, number) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
        *byte ^= number;
    }
    let cipher = Aes128Gcm::new_from_slice(key).unwrap();
    let nonce = nonce.as_slice().try_into().unwrap();
    let tag = cipher
        .encrypt_inout_detached(nonce, &header, sealed.as_mut_slice().into())
        .unwrap();
    let mut packet = [&header[..], &sealed, &tag].concat();
    let sample: [u8; 16] = packet[number_offset + 4..][..16].try_into().unwrap();
    let mut mask = Array::from(sample);
    Aes128::new_from_slice(header_key)
        .unwrap()
        .encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    for (byte, mask) in packet[number_offset..][..4].iter_mut().zip(&mask[1..]) {
        *byte ^= mask;
    }
    packet
}

/// A CRYPTO frame with the beginning of a stream (RFC 9000 §19.6).
pub(crate) fn crypto_frame(message: &[u8]) -> Vec<u8> {
    [&[6, 0], &length(message.len())[..], message].concat()
}

/// RADIUS packets, and frames of EAPOL.
pub(crate) fn eap(bytes: &[u8]) {
    const EAPOL_TYPE: [u8; 2] = [0x88, 0x8e];
    let mut wire = Wire::new();
    for item in items(bytes) {
        if item.head & EAPOL == 0 {
            wire.send_datagram(&item, 1812, item.content);
            continue;
        }
        let [source, receiver] = match item.is_from_server() {
            true => [[4; 6], [2; 6]],
            false => [[2; 6], [4; 6]],
        };
        let frame = [&receiver[..], &source, &EAPOL_TYPE, item.content].concat();
        wire.send(&item, frame);
    }
    wire.observe();
}

/// What both sides of a TCP connection say in turn.
pub(crate) fn dialogue(bytes: &[u8]) {
    let mut wire = Wire::new();
    let mut sent = [1_000_u32, 5_000];
    for item in items(bytes) {
        let is_from_server = item.is_from_server();
        let [from, to] = match is_from_server {
            true => [1, 0],
            false => [0, 1],
        };
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let ip = match is_from_server {
            true => link.ipv4(SERVER, CLIENT, 64),
            false => link.ipv4(CLIENT, SERVER, 64),
        };
        let [source, destination] = match is_from_server {
            true => [443, CLIENT_PORT],
            false => [CLIENT_PORT, 443],
        };
        let segment = ip
            .tcp(source, destination, sent[from], 64_000)
            .ack(sent[to]);
        let is_last = item.head & FIN != 0;
        let segment = if is_last { segment.fin() } else { segment };
        sent[from] += item.content.len() as u32 + u32::from(is_last);
        let mut bytes = Vec::new();
        if segment.write(&mut bytes, item.content).is_ok() {
            wire.send(&item, bytes);
        }
    }
    wire.observe();
}

/// Frames of Ethernet, with whatever tunnels are in them.
pub(crate) fn frames(bytes: &[u8]) {
    let mut wire = Wire::new();
    for item in items(bytes) {
        wire.send(&item, item.content.to_vec());
    }
    wire.observe();
}

#[test]
fn what_the_fuzzer_seals_is_read() {
    let hello = super::tls::client_hello();
    let hello = &hello[5..]; // without the header of its record
    let sealed = sealed_initial(false, 0, &crypto_frame(hello));
    assert!(sealed.len() >= 1_200);
    let mut wire = Wire::new();
    let item = Item {
        head: 0,
        content: &[],
    };
    wire.send_datagram(&item, 443, &sealed);
    let lines = harness::capture(&wire.0.to_bytes(), b"", 1);
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.contains(r#""protocol":"quic""#), "{lines}");
}
