//! Hostile captures: no input may cause a panic, or an event that contradicts itself.
//!
//! Run this as a debug build, which checks arithmetic. Each run is the same;
//! `TLSCOPE_EFFORT=100` tries a hundred times as many inputs. A capture that
//! breaks something is written to a file that the message names.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::support::fixtures::{self, package};
use crate::support::harness;
use crate::support::pcap::{Packet, Pcap};
use crate::support::random::Random;
use crate::support::scratch;
use crate::support::seeds::{self, TARGETS};

/// Captures of up to this many bytes are cut at every length.
const SMALL: usize = 600;
/// Cuts of a larger capture.
const CUTS: usize = 4;
/// Mutations of each capture.
const MUTATIONS: u64 = 2;

/// The factor by which to try more inputs than usual.
fn effort() -> u64 {
    let wanted = std::env::var("TLSCOPE_EFFORT").ok();
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(1)
}

#[test]
fn a_capture_cut_anywhere_is_survived() {
    for (name, capture) in captures() {
        let stride = match capture.len() {
            length if length <= SMALL => 1,
            length => length.div_ceil(CUTS),
        };
        for length in (0..capture.len()).step_by(stride) {
            survive(&name, "cut", length as u64, &capture[..length]);
        }
    }
}

#[test]
fn packets_cut_at_any_length_are_survived() {
    for (name, mut pcap) in pcaps() {
        // Most fields of headers, and those after them, begin at a multiple of four.
        for length in (65..160).rev().step_by(7).chain((0..=64).rev().step_by(4)) {
            for packet in &mut pcap.packets {
                packet.bytes.truncate(length);
            }
            survive(&name, "snap", length as u64, &pcap.to_bytes());
        }
    }
}

#[test]
fn files_with_bytes_changed_are_survived() {
    for (name, capture) in captures() {
        for seed in 0..MUTATIONS * effort() {
            let mut capture = capture.clone();
            change_bytes(&mut capture, &mut Random::new(seed));
            survive(&name, "bytes", seed, &capture);
        }
    }
}

#[test]
fn changed_lost_repeated_and_reordered_packets_are_survived() {
    for (name, pcap) in pcaps() {
        for seed in 0..MUTATIONS * effort() {
            let mut pcap = pcap.clone();
            mutate(&mut pcap.packets, &mut Random::new(seed));
            survive(&name, "packets", seed, &pcap.to_bytes());
        }
    }
}

/// With keys, messages come out of records that damage has reached, and wrong keys give wrong bytes.
#[test]
fn damaged_captures_are_survived_with_their_keys() {
    let mut decrypted = 0;
    for (fixture, keys) in seeds::key_logs() {
        let capture = fs::read(package().join(&fixture.capture)).unwrap();
        let name = &fixture.name;
        let lines = harness::capture(&capture, &keys, 1);
        decrypted += usize::from(lines != harness::capture(&capture, b"", 1));
        for seed in 0..effort() {
            let mut random = Random::new(seed);
            if let Some(mut pcap) = Pcap::read(&capture) {
                mutate(&mut pcap.packets, &mut random);
                survive_with_keys(name, "keyed-packets", seed, &pcap.to_bytes(), &keys);
            }
            let mut damaged = capture.clone();
            change_bytes(&mut damaged, &mut random);
            survive_with_keys(name, "keyed-bytes", seed, &damaged, &keys);
            let mut wrong = keys.clone();
            change_bytes(&mut wrong, &mut random);
            survive_with_keys(name, "wrong-keys", seed, &capture, &wrong);
        }
    }
    assert!(
        decrypted > 50,
        "keys made a difference in {decrypted} captures only"
    );
}

/// Once failed: the alert was read with keys, and the verdict rested on what was observed without them.
#[test]
fn an_encrypted_alert_may_have_a_description_with_keys() {
    let readable = seeds::key_logs().filter(|(fixture, keys)| {
        let capture = fs::read(package().join(&fixture.capture)).unwrap();
        let lines = String::from_utf8(harness::capture(&capture, keys, 1)).unwrap();
        let mut events = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.any(|event| {
            let alerts = event["alerts"].as_array().cloned().unwrap_or_default();
            let is_read = |alert: &serde_json::Value| {
                alert["encrypted"] == true && !alert["description"].is_null()
            };
            event["evidence"] != "decrypted" && alerts.iter().any(is_read)
        })
    });
    assert!(readable.count() > 0);
}

/// The targets of `fuzz/`, on their seeds and on damaged ones. `TLSCOPE_WRITE_SEEDS=DIR` writes the seeds for the fuzzer.
#[test]
fn every_fuzz_target_survives_its_seeds_and_damaged_ones() {
    let wanted = std::env::var_os("TLSCOPE_WRITE_SEEDS");
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            if let Some(folder) = &wanted {
                let folder = Path::new(folder).join(target.name);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(number.to_string()), seed).unwrap();
            }
            (target.run)(seed);
            let mut random = Random::new(number as u64);
            for _ in 0..effort() {
                let mut damaged = seed.clone();
                change_bytes(&mut damaged, &mut random);
                if random.below(3) == 0 {
                    damaged.truncate(random.below(damaged.len().max(1)));
                }
                let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(&damaged)));
                if ran.is_err() {
                    let path = scratch::file(&format!("fuzz-{}-{number}", target.name), &damaged);
                    panic!("{}: see {path}", target.name);
                }
            }
        }
    }
}

#[test]
fn every_fuzz_target_has_its_file() {
    let folder = package().join("fuzz/fuzz_targets");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.sort();
    let mut expected = TARGETS.map(|target| format!("{}.rs", target.name));
    expected.sort();
    assert_eq!(files, expected);
}

#[test]
fn interleaved_connections_are_survived() {
    let pcaps = pcaps();
    for seed in 0..200 * effort() {
        let mut random = Random::new(seed);
        let (_, mut woven) = pcaps[random.below(pcaps.len())].clone();
        for _ in 0..3 {
            let (_, other) = &pcaps[random.below(pcaps.len())];
            weave(&mut woven.packets, &other.packets, &mut random);
        }
        survive("woven", "seed", seed, &woven.to_bytes());
    }
}

#[test]
fn random_bytes_are_survived() {
    let magics: [&[u8]; 9] = [
        &[],
        &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0],
        &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4],
        &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0],
        &[
            10, 13, 13, 10, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
        ],
        &[
            10, 13, 13, 10, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0,
        ],
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        &[0x28, 0xb5, 0x2f, 0xfd],
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
    ];
    for seed in 0..2_000 * effort() {
        let mut random = Random::new(seed);
        let length = random.below(2_000);
        let capture = [random.pick(&magics), &random.bytes(length)].concat();
        survive("random", "seed", seed, &capture);
    }
}

#[test]
fn random_packets_of_every_link_layer_are_survived() {
    for link_type in [
        0, 1, 9, 12, 14, 101, 105, 108, 113, 127, 228, 229, 276, 9_999,
    ] {
        for seed in 0..40 * effort() {
            let mut random = Random::new(seed);
            let mut pcap = Pcap::new(link_type);
            pcap.packets = (0..20).map(|_| random_packet(&mut random)).collect();
            survive(&format!("link-{link_type}"), "seed", seed, &pcap.to_bytes());
        }
    }
}

/// Every fixture's capture, by name.
fn captures() -> Vec<(String, Vec<u8>)> {
    let read = |fixture: &fixtures::Fixture| fs::read(package().join(&fixture.capture)).unwrap();
    fixtures::all()
        .into_iter()
        .map(|fixture| (fixture.name.clone(), read(&fixture)))
        .collect()
}

/// The fixtures whose packets can be changed one by one.
fn pcaps() -> Vec<(String, Pcap)> {
    let taken_apart = |(name, capture): (String, Vec<u8>)| Some((name, Pcap::read(&capture)?));
    let pcaps: Vec<_> = captures().into_iter().filter_map(taken_apart).collect();
    assert!(pcaps.len() > 200);
    pcaps
}

/// Observes a capture with one thread, and sometimes also with two, which must give the same output.
fn survive(name: &str, kind: &str, number: u64, capture: &[u8]) {
    survive_with_keys(name, kind, number, capture, b"");
}

fn survive_with_keys(name: &str, kind: &str, number: u64, capture: &[u8], keys: &[u8]) {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let lines = harness::capture(capture, keys, 1);
        if number % 8 == 1 {
            assert!(
                lines == harness::capture(capture, keys, 2),
                "two threads give another output"
            );
        }
    }));
    if ran.is_err() {
        let path = scratch::file(&format!("{name}-{kind}-{number}.capture"), capture);
        panic!("{name}, {kind} {number}: see {path}");
    }
}

/// Changes a few bytes, some to boundary values.
fn change_bytes(bytes: &mut [u8], random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        bytes[at] = match random.below(3) {
            0 => bytes[at] ^ (1 << random.below(8)),
            1 => random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            _ => random.next() as u8,
        };
    }
}

/// Damages a few packets.
fn mutate(packets: &mut Vec<Packet>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        if packets.is_empty() {
            return;
        }
        let (at, to) = (random.below(packets.len()), random.below(packets.len()));
        match random.below(8) {
            0 => drop(packets.remove(at)),
            1 => packets.insert(to, packets[at].clone()),
            2 => packets.swap(at, to),
            3 => packets[at].time = [random.next() as u32, random.next() as u32 % 1_000_000],
            4 => packets[at].wire_length = random.pick(&[0, 1, 60, 65_535, 1 << 20, u32::MAX]),
            5 => change_a_length(&mut packets[at].bytes, random),
            6 => change_a_sequence_number(&mut packets[at].bytes, random),
            _ => change_bytes(&mut packets[at].bytes, random),
        }
    }
}

/// Overwrites two bytes with a boundary value for a length of IP, TCP, a record, a message or a list, at random.
fn change_a_length(bytes: &mut [u8], random: &mut Random) {
    let lengths = [0, 1, 2, 19, 20, 40, 0x3fff, 0x4000, 0x4801, 0x7fff, 0xffff];
    let length: u16 = random.pick(&lengths);
    let at = random.below(bytes.len().max(2) - 1);
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Moves a TCP segment of Ethernet and IPv4 in its stream.
fn change_a_sequence_number(bytes: &mut [u8], random: &mut Random) {
    const SEQUENCE: usize = 14 + 20 + 4;
    const ACKNOWLEDGMENT: usize = SEQUENCE + 4;
    let moves = [
        1,
        2,
        1_448,
        1 << 16,
        64 << 20,
        1 << 31,
        u32::MAX,
        u32::MAX - 1,
    ];
    let at = random.pick(&[SEQUENCE, ACKNOWLEDGMENT]);
    if let Some(field) = bytes.get_mut(at..at + 4) {
        let number = u32::from_be_bytes(field.try_into().unwrap());
        let moved = number.wrapping_add(random.pick(&moves));
        field.copy_from_slice(&moved.to_be_bytes());
    }
}

/// Interleaves other packets with these, as if they belonged to the same connection.
fn weave(packets: &mut Vec<Packet>, others: &[Packet], random: &mut Random) {
    const ADDRESSES_AND_PORTS: std::ops::Range<usize> = 14 + 12..14 + 20 + 4;
    for other in others {
        let at = random.below(packets.len() + 1);
        let mut other = other.clone();
        let like = packets.get(at).map(|packet| packet.bytes.as_slice());
        if let (Some(theirs), Some(ours)) = (
            other.bytes.get_mut(ADDRESSES_AND_PORTS),
            like.and_then(|bytes| bytes.get(ADDRESSES_AND_PORTS)),
        ) {
            theirs.copy_from_slice(ours);
        }
        packets.insert(at, other);
    }
}

/// Random bytes after what may be the start of a header.
fn random_packet(random: &mut Random) -> Packet {
    let starts: [&[u8]; 6] = [
        &[],
        &[0x45, 0, 0, 100, 0, 0, 0, 0, 64, 6],
        &[0x60, 0, 0, 0, 0, 60, 6, 64],
        &[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 0, 0, 0, 0, 0, 0x20, 0, 64, 6,
        ],
        &[
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 12, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 60,
            44,
        ],
        &[
            0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 0, 0, 0,
        ],
    ];
    let length = random.below(200);
    let bytes = [random.pick(&starts), &random.bytes(length)].concat();
    Packet {
        time: [random.below(100) as u32, 0],
        wire_length: random.pick(&[bytes.len() as u32, 1_500, 0, u32::MAX]),
        bytes,
    }
}
