//! Inputs to begin with, for each function of the harness, taken from the fixtures.

use std::collections::BTreeSet;
use std::fs;

use super::conversations::{self, DATAGRAM, EAPOL, FROM_SERVER, crypto_frame, item};
use super::fixtures::{self, Fixture, package};
use super::harness::END_OF_KEYS;
use super::pcap::Pcap;
use super::random::Random;

/// Longer inputs make a fuzzer slow, and contain little that short ones do not.
const MAX_SEED: usize = 16 << 10;

/// A reader of hostile bytes: the name of its fuzz target, the function, and inputs to begin with.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets, each of which has a file in `fuzz/fuzz_targets`.
pub(crate) const TARGETS: [Target; 13] = [
    Target {
        name: "capture",
        run: |bytes| drop(super::harness::capture(bytes, b"", 1)),
        seeds: captures,
    },
    Target {
        name: "pipeline",
        run: super::harness::capture_with_keys,
        seeds: captures_with_keys,
    },
    Target {
        name: "decode",
        run: super::harness::packets,
        seeds: packets,
    },
    Target {
        name: "reassembly",
        run: super::harness::reassembly,
        seeds: segments,
    },
    Target {
        name: "messages",
        run: super::harness::messages,
        seeds: records,
    },
    Target {
        name: "certificates",
        run: super::harness::certificates,
        seeds: chains,
    },
    Target {
        name: "keylog",
        run: super::harness::key_log,
        seeds: || key_logs().map(|(_, keys)| keys).collect(),
    },
    Target {
        name: "policy",
        run: super::harness::policy,
        seeds: policies,
    },
    Target {
        name: "quic",
        run: conversations::quic,
        seeds: quic,
    },
    Target {
        name: "dtls",
        run: conversations::datagrams,
        seeds: || of_theme("dtls", datagram),
    },
    Target {
        name: "eap",
        run: conversations::eap,
        seeds: || of_theme("eap", datagram_or_eapol),
    },
    Target {
        name: "dialogues",
        run: conversations::dialogue,
        seeds: || of_theme("dialogues", segment),
    },
    Target {
        name: "tunnels",
        run: conversations::frames,
        seeds: || of_theme("tunnels", |frame| Some(item(0, frame))),
    },
];

fn bytes_of(fixture: &Fixture) -> Vec<u8> {
    fs::read(package().join(&fixture.capture)).unwrap()
}

fn captures() -> Vec<Vec<u8>> {
    let captures = fixtures::all()
        .into_iter()
        .map(|fixture| bytes_of(&fixture));
    captures.filter(|bytes| bytes.len() <= MAX_SEED).collect()
}

/// The fixtures with secrets, and their key logs.
pub(crate) fn key_logs() -> impl Iterator<Item = (Fixture, Vec<u8>)> {
    fixtures::all().into_iter().filter_map(|fixture| {
        let keys = fs::read(fixture.file("keys.log")).ok()?;
        Some((fixture, keys))
    })
}

fn captures_with_keys() -> Vec<Vec<u8>> {
    let inputs =
        key_logs().map(|(fixture, keys)| [&keys, END_OF_KEYS, &bytes_of(&fixture)].concat());
    inputs.filter(|bytes| bytes.len() <= MAX_SEED).collect()
}

/// The packets of all fixtures.
fn all_packets() -> impl Iterator<Item = Vec<u8>> {
    let pcaps = captures()
        .into_iter()
        .filter_map(|bytes| Pcap::read(&bytes));
    pcaps.flat_map(|pcap| pcap.packets.into_iter().map(|packet| packet.bytes))
}

/// One packet each, as Ethernet: one of each length, since most are alike.
fn packets() -> Vec<Vec<u8>> {
    let mut lengths = BTreeSet::new();
    let short = all_packets().filter(|packet| packet.len() < 255 * 8);
    short
        .filter(|packet| lengths.insert(packet.len() / 16))
        .map(|packet| {
            let length = u8::try_from(packet.len().div_ceil(8)).unwrap();
            [&[1, length], &*packet].concat()
        })
        .collect()
}

/// Random segments: captures hold none that overlap and disagree.
fn segments() -> Vec<Vec<u8>> {
    (0..40).map(|seed| Random::new(seed).bytes(400)).collect()
}

/// The payload of packets that begins with a record.
fn records() -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let records = all_packets().filter_map(|packet| {
        let at = packet.windows(2).position(|bytes| bytes == [22, 3])?;
        Some(packet[at..].to_vec())
    });
    records
        .filter(|bytes| seen.insert(bytes.len() / 8))
        .collect()
}

/// Bodies of Certificate messages in plain text, without the length of the list.
fn chains() -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let bodies = all_packets().filter_map(|packet| {
        // A handshake message of type 11 with its length, the length of the list, that of a certificate, and a SEQUENCE.
        let at = packet
            .windows(12)
            .position(|bytes| bytes[0] == 11 && bytes[1] == 0 && bytes[10..] == [0x30, 0x82])?;
        Some(packet[at + 7..].to_vec())
    });
    bodies
        .filter(|bytes| seen.insert(bytes.len() / 4))
        .collect()
}

fn policies() -> Vec<Vec<u8>> {
    let folder = fs::read_dir(package().join("fixtures/policies")).unwrap();
    let read = |entry: fs::DirEntry| fs::read(entry.path()).unwrap();
    let mut policies: Vec<_> = folder.map(|entry| read(entry.unwrap())).collect();
    policies.push(b"*.example.org\nwww.example.org".to_vec());
    policies.sort();
    policies
}

/// The conversations in the fixtures of a theme, as far as they fit: `read` makes an item of a packet.
fn of_theme(theme: &str, read: fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let folder = format!("/captures/{theme}/");
    let fixtures = fixtures::all().into_iter();
    let captures = fixtures
        .filter(|fixture| fixture.capture.contains(&folder))
        .filter_map(|fixture| Pcap::read(&bytes_of(&fixture)));
    let conversations = captures.map(|capture| {
        let mut seed = Vec::new();
        for item in capture
            .packets
            .iter()
            .filter_map(|packet| read(&packet.bytes))
        {
            if seed.len() + item.len() <= MAX_SEED {
                seed.extend(item);
            }
        }
        seed
    });
    conversations.filter(|seed| !seed.is_empty()).collect()
}

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

/// Whether a packet over IPv4 comes from a port below those of clients.
fn is_from_server(frame: &[u8]) -> Option<bool> {
    let port = frame.get(ETHERNET + IPV4..)?.first_chunk()?;
    Some(u16::from_be_bytes(*port) < 10_000)
}

fn datagram(frame: &[u8]) -> Option<Vec<u8>> {
    const PROTOCOL: usize = ETHERNET + 9;
    let head = u8::from(is_from_server(frame)?) * FROM_SERVER;
    let payload = frame.get(ETHERNET + IPV4 + UDP..)?;
    (frame[PROTOCOL] == 17).then(|| item(head, payload))
}

fn datagram_or_eapol(frame: &[u8]) -> Option<Vec<u8>> {
    match frame.get(12..ETHERNET)? {
        [0x88, 0x8e] => {
            let is_from_server = frame[6] > frame[0];
            let head = EAPOL | (u8::from(is_from_server) * FROM_SERVER);
            Some(item(head, &frame[ETHERNET..]))
        }
        _ => datagram(frame),
    }
}

fn segment(frame: &[u8]) -> Option<Vec<u8>> {
    const PROTOCOL: usize = ETHERNET + 9;
    let head = u8::from(is_from_server(frame)?) * FROM_SERVER;
    let header = usize::from(*frame.get(ETHERNET + IPV4 + 12)? >> 4) * 4;
    let payload = frame.get(ETHERNET + IPV4 + header..)?;
    (frame[PROTOCOL] == 6 && !payload.is_empty()).then(|| item(head, payload))
}

/// Whole datagrams, and Initial packets with the hellos of other fixtures.
fn quic() -> Vec<Vec<u8>> {
    let whole = of_theme("quic", |frame| {
        let mut item = datagram(frame)?;
        item[0] |= DATAGRAM << 1;
        Some(item)
    });
    let sealed = records().into_iter().filter_map(|record| {
        let message = record.get(5..)?;
        let head = match message.first()? {
            1 => 0,
            2 => FROM_SERVER,
            _ => return None,
        };
        let message = &message[..message.len().min(1_100)];
        Some(item(head, &crypto_frame(message)))
    });
    let hellos: Vec<_> = sealed.take(20).collect();
    let both = hellos.concat();
    whole.into_iter().chain(hellos).chain([both]).collect()
}
