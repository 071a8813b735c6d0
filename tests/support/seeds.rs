//! Inputs to begin with, for each function of the harness, taken from the fixtures.

use std::collections::BTreeSet;
use std::fs;

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
pub(crate) const TARGETS: [Target; 8] = [
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
