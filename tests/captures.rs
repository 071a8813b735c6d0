//! Replays every capture in `fixtures/captures/`, and compares the output with the baseline in its folder.
//!
//! `TLSCOPE_REWRITE_BASELINES=1` rewrites the baselines. Read the change in the diff, and compare it with what
//! `fixtures/README.md` says happened.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tlscope::capture::CaptureFiles;
use tlscope::observer::Config;
use tlscope::pipeline;
use tlscope::sink::Sink;

use crate::support::baselines::{
    FULL, baseline, counters, counters_file, difference, fields_that_differ, paths_with_values,
};
use crate::support::fixtures::{self, Fixture, package};
use crate::support::invariants::Invariants;
use crate::support::program::{printed, tlscope};
use crate::support::scratch;

#[test]
fn every_capture_matches_its_baseline() {
    let rewrite = std::env::var_os("TLSCOPE_REWRITE_BASELINES").is_some_and(|set| set == "1");
    let mut differences = String::new();
    let mut all_counters = String::new();
    for fixture in fixtures::all() {
        let printed = read(&[&fixture.capture]);
        let path = fixture.file("expected.jsonl");
        let actual = baseline(&fixture, &printed);
        if rewrite {
            fs::write(&path, &actual).unwrap();
        }
        match fs::read_to_string(&path) {
            Ok(expected) => differences += &difference(&fixture.name, &expected, &actual),
            Err(error) => writeln!(differences, "{}: {error}", path.display()).unwrap(),
        }
        all_counters += &counters(&fixture, &printed);
    }
    if rewrite {
        fs::write(counters_file(), &all_counters).unwrap();
    }
    let expected = fs::read_to_string(counters_file()).unwrap_or_default();
    differences += &difference("counters", &expected, &all_counters);
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn the_full_baselines_show_every_field() {
    let full = FULL.map(|(name, _)| fixtures::named(name));
    let paths = |fixtures: &[Fixture]| -> BTreeSet<String> {
        let baselines = fixtures.iter().map(|one| one.file("expected.jsonl"));
        baselines
            .flat_map(|path| paths_with_values(&fs::read_to_string(path).unwrap()))
            .collect()
    };
    let (all, shown) = (paths(&fixtures::all()), paths(&full));
    let missing: Vec<_> = all.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "no full baseline has a value for {missing:?}: add a fixture to FULL"
    );
}

#[test]
fn no_event_contradicts_itself_or_the_counters() {
    for fixture in fixtures::all() {
        let mut source = CaptureFiles::open(&[package().join(&fixture.capture)]);
        let mut invariants = Invariants::default();
        let run = pipeline::run(&mut source, Config::default(), 1, &mut invariants).unwrap();
        invariants.finish(&run.stats).unwrap();
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = scratch::folder("all-captures");
    for fixture in fixtures::all() {
        let capture = package().join(&fixture.capture);
        fs::copy(capture, folder.join(&fixture.name)).unwrap();
    }
    let folder = folder.to_str().unwrap();
    let alone = read(&["--threads", "1", folder]);
    assert!(alone.lines().count() > 200);
    for threads in ["2", "4"] {
        assert_same_lines(&alone, &read(&["--threads", threads, folder]));
    }
    for format in ["csv", "table", "rows"] {
        let read = |threads| {
            let flags = ["--format", format, "--threads", threads];
            printed(&[&["read", "--no-verify"], &flags[..], &[folder]].concat())
        };
        let alone = read("1");
        assert!(alone.lines().count() > 200, "{format}");
        for threads in ["2", "3"] {
            assert!(alone == read(threads), "{format} with {threads} threads");
        }
    }
}

#[test]
fn standard_input_gives_the_same_events_as_the_file() {
    for fixture in fixtures::all().iter().step_by(10).chain([&day()]) {
        let mut child = tlscope(&READ)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let capture = fs::read(package().join(&fixture.capture)).unwrap();
        child.stdin.take().unwrap().write_all(&capture).unwrap();
        let output = child.wait_with_output().unwrap();
        let piped = String::from_utf8(output.stdout).unwrap();
        assert_same_lines(
            &without(&read(&[&fixture.capture]), &["source"]),
            &without(&piped, &["source"]),
        );
    }
}

#[test]
fn a_capture_in_pieces_gives_the_same_events_as_the_whole() {
    let folder = scratch::folder("pieces");
    let whole = fs::read(package().join(day().capture)).unwrap();
    for (index, piece) in split_pcapng(&whole, 10).iter().enumerate() {
        fs::write(folder.join(format!("{index:02}.pcapng")), piece).unwrap();
    }
    // Packets are counted from 1 in each file, and `source` is the file's name.
    let free = ["source", "first_packet", "last_packet"];
    assert_same_lines(
        &without(&read(&[&day().capture]), &free),
        &without(&read(&[folder.to_str().unwrap()]), &free),
    );
}

#[test]
fn a_compressed_capture_gives_the_same_events_as_the_plain_one() {
    let whole = fs::read(package().join(day().capture)).unwrap();
    let plain = without(&read(&[&day().capture]), &["source"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(&whole).unwrap();
    let compressed = [
        gzip.finish().unwrap(),
        xz.finish().unwrap(),
        zstd::encode_all(whole.as_slice(), 1).unwrap(),
    ];
    for (index, bytes) in compressed.iter().enumerate() {
        let path = scratch::file(&format!("compressed-{index}"), bytes);
        let printed = read(&[&path]);
        assert_same_lines(&plain, &without(&printed, &["source"]));
    }
}

/// The capture of sixteen connections over a day.
fn day() -> Fixture {
    fixtures::named("mtls-day")
}

/// `tlscope read --format json`.
///
/// Chains are not validated: the roots of the machine that runs the tests must not affect the baselines.
const READ: [&str; 4] = ["read", "--format", "json", "--no-verify"];

/// What it prints.
fn read(arguments: &[&str]) -> String {
    printed(&[&READ, arguments].concat())
}

fn assert_same_lines(expected: &str, printed: &str) {
    for (expected, printed) in expected.lines().zip(printed.lines()) {
        assert!(
            expected == printed,
            "\n{}",
            fields_that_differ(expected, printed)
        );
    }
    assert_eq!(expected.lines().count(), printed.lines().count());
}

/// Lines of JSON without the fields with these names, at any depth.
fn without(lines: &str, names: &[&str]) -> String {
    let mut text = String::new();
    for line in lines.lines() {
        let mut value = serde_json::from_str(line).unwrap();
        remove(&mut value, names);
        writeln!(text, "{value}").unwrap();
    }
    text
}

fn remove(value: &mut Value, names: &[&str]) {
    if let Value::Object(members) = value {
        members.retain(|name, _| !names.contains(&name.as_str()));
        members.values_mut().for_each(|value| remove(value, names));
    }
}

/// Splits a little-endian pcapng with one section into `pieces`, each of them a capture.
pub(crate) fn split_pcapng(whole: &[u8], pieces: usize) -> Vec<Vec<u8>> {
    const ENHANCED_PACKET: [u8; 4] = [6, 0, 0, 0];
    let (mut head, mut packets) = (Vec::new(), Vec::new());
    let mut rest = whole;
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes(length.try_into().unwrap());
        let (block, behind) = rest.split_at(length as usize);
        if block.starts_with(&ENHANCED_PACKET) {
            packets.push(block);
        } else {
            head.extend_from_slice(block);
        }
        rest = behind;
    }
    packets
        .chunks(packets.len().div_ceil(pieces))
        .map(|packets| [head.clone(), packets.concat()].concat())
        .collect()
}
