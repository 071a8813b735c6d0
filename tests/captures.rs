//! Replays every capture in `fixtures/`, and compares what is said with the baseline beside it.
//!
//! `TLSCOPE_REWRITE_BASELINES=1` writes what is said now into the baselines; the
//! change is then to be read in the diff, against what `fixtures/README.md`
//! says happened.

#![cfg(feature = "cli")]

mod support {
    pub(crate) mod fixtures;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::fixtures::{self, Fixture, package};

#[test]
fn every_capture_says_what_its_baseline_says() {
    let rewrite = std::env::var_os("TLSCOPE_REWRITE_BASELINES").is_some_and(|set| set == "1");
    let mut differences = String::new();
    for fixture in fixtures::all() {
        let said = read(&[&fixture.capture]);
        if rewrite {
            fs::write(baseline(&fixture), &said).unwrap();
        }
        differences += &difference(&fixture, &said);
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = scratch("all");
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
}

#[test]
fn standard_input_says_the_same_as_the_file() {
    for fixture in fixtures::all().iter().step_by(10).chain([&day()]) {
        let mut command = tlscope(&["-"]);
        let mut child = command
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
fn a_capture_in_pieces_says_the_same_as_the_whole() {
    let folder = scratch("pieces");
    let whole = fs::read(package().join(day().capture)).unwrap();
    for (index, piece) in split_pcapng(&whole, 10).iter().enumerate() {
        fs::write(folder.join(format!("{index:02}.pcapng")), piece).unwrap();
    }
    // Packets count from 1 in each file; source names the file.
    let free = ["source", "first_packet", "last_packet"];
    assert_same_lines(
        &without(&read(&[&day().capture]), &free),
        &without(&read(&[folder.to_str().unwrap()]), &free),
    );
}

#[test]
fn a_compressed_capture_says_the_same_as_the_plain_one() {
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
        let path = scratch("compressed").join(index.to_string());
        fs::write(&path, bytes).unwrap();
        let said = read(&[path.to_str().unwrap()]);
        assert_same_lines(&plain, &without(&said, &["source"]));
    }
}

/// The capture of sixteen connections over a day.
fn day() -> Fixture {
    fixtures::all()
        .into_iter()
        .find(|fixture| fixture.name == "mtls-day")
        .unwrap()
}

/// `tlscope read --format json`, in an environment without settings of the person who runs the tests.
///
/// Without trust: the roots of the machine that runs them must not show in the baselines.
fn tlscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    command
        .env_clear()
        .current_dir(package())
        .args(["read", "--format", "json", "--no-verify"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// What `tlscope read --format json` prints.
fn read(arguments: &[&str]) -> String {
    let output = tlscope(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// An empty folder of this test run's own.
fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("captures")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What is expected to be said of a case.
fn baseline(fixture: &Fixture) -> PathBuf {
    fixture.file("expected.jsonl")
}

/// How what is said of a case differs from its baseline; nothing if it does not.
fn difference(fixture: &Fixture, said: &str) -> String {
    let baseline = fs::read_to_string(baseline(fixture)).unwrap_or_default();
    let mut text = String::new();
    for line in 0..baseline.lines().count().max(said.lines().count()) {
        let (before, now) = (baseline.lines().nth(line), said.lines().nth(line));
        let what = match (before, now) {
            (Some(before), Some(now)) if before == now => continue,
            (Some(before), Some(now)) => fields_that_differ(before, now),
            (before, now) => format!("  {before:?} → {now:?}\n"),
        };
        writeln!(text, "{}, line {}:", fixture.name, line + 1).unwrap();
        text += &what;
    }
    text
}

/// The fields in which two lines of JSON differ, with their values.
fn fields_that_differ(before: &str, now: &str) -> String {
    let (before, now) = (fields(before), fields(now));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let mut text = String::new();
    for name in names {
        let (before, now) = (before.get(name), now.get(name));
        if before != now {
            let show = |value: Option<&String>| value.map_or("(absent)", String::as_str).to_owned();
            writeln!(text, "  {name}: {} → {}", show(before), show(now)).unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("  the order of its fields\n");
    }
    text
}

/// Each value in a line of JSON, by its path, as in `tls.alpn_offered.0`.
fn fields(line: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    add_fields("", &serde_json::from_str(line).unwrap(), &mut fields);
    fields
}

fn add_fields(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    let below = |name: &str| format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                add_fields(&below(name), value, fields);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                add_fields(&below(&index.to_string()), value, fields);
            }
        }
        value => {
            fields.insert(path.to_owned(), value.to_string());
        }
    }
}

fn assert_same_lines(expected: &str, said: &str) {
    for (expected, said) in expected.lines().zip(said.lines()) {
        assert!(expected == said, "\n{}", fields_that_differ(expected, said));
    }
    assert_eq!(expected.lines().count(), said.lines().count());
}

/// Lines of JSON without the fields named, wherever they are.
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

/// Splits a little-endian pcapng of one section into `pieces` that are captures, too.
fn split_pcapng(whole: &[u8], pieces: usize) -> Vec<Vec<u8>> {
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
