//! Baselines: what `tlscope read --format json` should report about each fixture.
//!
//! `expected.jsonl` in a fixture's folder has one line for each handshake. It contains every fact of the event, so it
//! changes with every verdict, certificate, alert, finding and gap. It contains no nulls and no times, so that a new
//! field that is null changes no baseline. The baselines of [`FULL`] contain the events as they are printed.
//!
//! The counters of all captures are in one file, [`counters_file`], without those that are zero: a new counter changes
//! no other file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::fixtures::{Fixture, package};

/// Fixtures whose baseline has the events in full, and why. Together they show every field with a value.
pub(crate) const FULL: [(&str, &str); 18] = [
    (
        "mtls-day",
        "the capture to show people: TLS 1.2 and 1.3, mutual TLS, ten failures with their findings; CI compares it with `--expect`",
    ),
    (
        "pcapng-secrets",
        "decrypted: certificates and alerts of TLS 1.3",
    ),
    (
        "early-data-hello-retry",
        "a HelloRetryRequest, rejected early data, resumption by PSK",
    ),
    (
        "pcapng-mixed-interfaces",
        "times of three resolutions, one with an offset",
    ),
    ("pcap-nanoseconds", "times to the nanosecond"),
    ("gap-in-certificate", "bytes that the capture lacks"),
    ("one-way-server", "no verdict: only one direction was seen"),
    (
        "sslv2-hello",
        "an SSLv2 ClientHello, and lists that it does not have",
    ),
    ("tls12-ocsp-staple", "an OCSP response"),
    ("link-qinq", "VLAN tags"),
    ("tunnels-open-vswitch", "tunnels: Geneve, GRE and VXLAN"),
    ("tls12-false-start", "ALPN, and a hello with GREASE"),
    (
        "tls12-client-refuses-wrong-name-nss",
        "a client that refuses after the handshake",
    ),
    (
        "tls12-server-refuses-wrong-purpose-openssl",
        "a client certificate with names, which the server rejects",
    ),
    ("renegotiation-server", "a renegotiation"),
    ("proxy-header", "a proxy, and the ends that it names"),
    (
        "starttls-postgresql",
        "a protocol that upgrades, and a server that refuses to",
    ),
    (
        "eap-ttls13-wrong-password",
        "EAP in RADIUS, and a login that is rejected after the handshake",
    ),
];

/// Left out of a baseline: where and when the capture was made. Paths, with `[]` for each item of a list.
const LEFT_OUT: [&str; 3] = ["time", "source", "alerts[].time"];

/// Durations. A baseline only says which of them are known.
const DURATIONS: &str = "timing_ms";

/// The baseline of a fixture, given what the program printed about it.
pub(crate) fn baseline(fixture: &Fixture, printed: &str) -> String {
    let is_full = FULL.iter().any(|(name, _)| *name == fixture.name);
    let mut baseline = String::new();
    for line in printed.lines().filter(|line| !is_stats(&parsed(line))) {
        if is_full {
            baseline.push_str(line);
        } else {
            write!(baseline, "{}", masked(parsed(line))).unwrap();
        }
        baseline.push('\n');
    }
    baseline
}

/// The file with the counters of all captures: one line for each fixture, sorted by name.
pub(crate) fn counters_file() -> PathBuf {
    package().join("fixtures/captures/counters.jsonl")
}

/// The counters of a fixture that are not zero, given what the program printed about it.
pub(crate) fn counters(fixture: &Fixture, printed: &str) -> String {
    let mut stats = parsed(printed.lines().last().unwrap());
    assert!(is_stats(&stats), "{}: {stats}", fixture.name);
    let counters = stats.as_object_mut().unwrap();
    counters.retain(|name, count| name != "type" && *count != 0);
    let mut line = serde_json::Map::new();
    line.insert("case".to_owned(), fixture.name.clone().into());
    line.append(counters);
    format!("{}\n", Value::Object(line))
}

fn is_stats(line: &Value) -> bool {
    line["type"] == "stats"
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// An event without nulls and times.
fn masked(mut event: Value) -> Value {
    mask(&mut event, "");
    event
}

fn mask(value: &mut Value, path: &str) {
    match value {
        Value::Object(members) => {
            let is_kept = |name: &str, value: &Value| {
                !value.is_null() && !LEFT_OUT.contains(&below(path, name).as_str())
            };
            members.retain(|name, value| is_kept(name, value));
            for (name, value) in members {
                if path == DURATIONS {
                    *value = "known".into();
                } else {
                    mask(value, &below(path, name));
                }
            }
        }
        Value::Array(items) => {
            let path = format!("{path}[]");
            items.iter_mut().for_each(|item| mask(item, &path));
        }
        _ => {}
    }
}

/// The path of a member of the object at `path`.
fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The paths of all values in `lines` that are not null, with `[]` for each item of a list.
pub(crate) fn paths_with_values(lines: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for line in lines.lines() {
        add_paths(&parsed(line), "", &mut paths);
    }
    paths
}

fn add_paths(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                add_paths(value, &below(path, name), paths);
            }
        }
        Value::Array(items) => {
            for item in items {
                add_paths(item, &format!("{path}[]"), paths);
            }
        }
        Value::Null => {}
        _ => {
            paths.insert(path.to_owned());
        }
    }
}

/// How lines differ from those expected, for people; empty if they do not.
pub(crate) fn difference(name: &str, expected: &str, actual: &str) -> String {
    let mut text = String::new();
    for line in 0..expected.lines().count().max(actual.lines().count()) {
        let (before, now) = (expected.lines().nth(line), actual.lines().nth(line));
        let what = match (before, now) {
            (Some(before), Some(now)) if before == now => continue,
            (Some(before), Some(now)) => fields_that_differ(before, now),
            (before, now) => format!("  {before:?} → {now:?}\n"),
        };
        writeln!(text, "{name}, line {}:", line + 1).unwrap();
        text += &what;
    }
    text
}

/// The fields in which two lines of JSON differ, with their values.
pub(crate) fn fields_that_differ(before: &str, now: &str) -> String {
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
    add_fields("", &parsed(line), &mut fields);
    fields
}

fn add_fields(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                add_fields(&below(path, name), value, fields);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for (index, value) in values.iter().enumerate() {
                add_fields(&below(path, &index.to_string()), value, fields);
            }
        }
        value => {
            fields.insert(path.to_owned(), value.to_string());
        }
    }
}

#[test]
fn a_null_field_or_a_counter_of_zero_changes_no_baseline() {
    let fixture = super::fixtures::named("tls13-rsa");
    let printed = concat!(
        r#"{"type":"handshake","time":"now","outcome":"success","tls":{"alpn":"h2"}}"#,
        "\n",
        r#"{"type":"stats","packets":3}"#,
    );
    let newer = printed
        .replace("now", "later")
        .replace(r#""h2""#, r#""h2","new":null"#)
        .replace("3}", r#"3,"new":0}"#);
    let expected = r#"{"type":"handshake","outcome":"success","tls":{"alpn":"h2"}}"#;
    for printed in [printed, &newer] {
        assert_eq!(baseline(&fixture, printed), format!("{expected}\n"));
        let line = "{\"case\":\"tls13-rsa\",\"packets\":3}\n";
        assert_eq!(counters(&fixture, printed), line);
    }
}

#[test]
fn a_fact_changes_the_baseline() {
    let fixture = super::fixtures::named("tls13-rsa");
    let event = r#"{"outcome":"success","alerts":[],"timing_ms":{"tcp_connect":null}}"#;
    let before = baseline(&fixture, event);
    for (from, to) in [
        ("success", "failure"),
        ("[]", r#"[{"time":"now","code":48}]"#),
        (":null", ":1.0"),
        ("{\"outcome", "{\"new\":false,\"outcome"),
    ] {
        assert_ne!(before, baseline(&fixture, &event.replace(from, to)), "{to}");
    }
}
