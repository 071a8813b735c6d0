//! SARIF 2.1.0 (OASIS): a result for each handshake that violates an assertion.
//!
//! The artifact is the capture. The packets are a logical location, since a region would
//! have to be in lines or bytes. Results without a handshake are located at the policy's line.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{location_in_words, offender_in_words, printable};
use crate::check::{CheckResult, Offender, Report};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let ids = rule_ids(report);
    let named = || report.results.iter().zip(&ids);
    let complaints = named().filter(|(one, _)| one.is_complaint());
    let results: Vec<_> = complaints
        .flat_map(|(one, id)| results(report, one, id))
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tlscope",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": named().map(|(one, id)| rule(one, id)).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": report.is_complete}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *output, &document)?;
    writeln!(output)
}

/// An ID for each assertion: its key, with the line in the policy if several have that key, and a number if they also
/// share the line.
fn rule_ids(report: &Report) -> Vec<String> {
    let mut of_key: HashMap<&str, usize> = HashMap::new();
    for one in &report.results {
        *of_key.entry(one.id).or_default() += 1;
    }
    let mut of_line: HashMap<(&str, usize), usize> = HashMap::new();
    let id = |one: &CheckResult| {
        let number = of_line.entry((one.id, one.line)).or_default();
        *number += 1;
        match (of_key.get(one.id), *number) {
            (Some(1), _) => one.id.to_owned(),
            (_, 1) => format!("{}/{}", one.id, one.line),
            (_, number) => format!("{}/{}/{number}", one.id, one.line),
        }
    };
    report.results.iter().map(id).collect()
}

fn rule(result: &CheckResult, id: &str) -> Value {
    json!({
        "id": id,
        "shortDescription": {"text": printable(&result.name)},
        "fullDescription": {"text": printable(&result.wanted)},
        "defaultConfiguration": {"level": result.severity.as_str()},
    })
}

fn results(report: &Report, result: &CheckResult, id: &str) -> Vec<Value> {
    let one = |text: String, location: Option<Value>| {
        json!({
            "ruleId": id,
            "level": result.status.as_str(),
            "message": {"text": text},
            "locations": location.into_iter().collect::<Vec<_>>(),
        })
    };
    if result.offenders.is_empty() {
        let text = format!("wanted: {}; found: {}", result.wanted, result.found);
        return vec![one(
            printable(&text).into_owned(),
            policy_location(report, result),
        )];
    }
    let wanted = printable(&result.wanted);
    let offender = |offender: &Offender| {
        let text = format!("{}; wanted: {wanted}", offender_in_words(offender));
        let location = capture_location(offender).or_else(|| policy_location(report, result));
        one(text, location)
    };
    result.offenders.iter().map(offender).collect()
}

fn capture_location(offender: &Offender) -> Option<Value> {
    let location = offender.handshake.as_ref()?;
    let packets = format!("packets {}-{}", location.first_packet, location.last_packet);
    Some(json!({
        "physicalLocation": {"artifactLocation": {"uri": uri(&location.source)}},
        "logicalLocations": [{"name": packets, "fullyQualifiedName": location_in_words(location)}],
    }))
}

fn policy_location(report: &Report, result: &CheckResult) -> Option<Value> {
    (result.line > 0).then(|| {
        json!({"physicalLocation": {
            "artifactLocation": {"uri": uri(&report.policy)},
            "region": {"startLine": result.line},
        }})
    })
}

/// A path as a URI reference (RFC 3986): absolute with `file:`, or relative to the working directory.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::super::{ReportFormat, example, written};
    use super::*;

    #[test]
    fn each_offender_is_a_result_that_names_its_rule_and_its_capture() {
        let document: Value =
            serde_json::from_str(&written(&example(), ReportFormat::Sarif)).unwrap();
        let run = &document["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(
            results.len(),
            6,
            "two and two of two errors, one and one warning"
        );
        let rules: Vec<_> = run["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| &rule["id"])
            .collect();
        assert_eq!(rules.len(), 5);
        for result in results {
            assert!(rules.contains(&&result["ruleId"]));
            assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        }
        let uri = |index: usize| {
            &results[index]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        };
        assert_eq!(uri(1), "file:///tmp/a%20b.pcap");
        assert_eq!(uri(5), "folder/tlscope.toml");
    }

    #[test]
    fn rules_with_the_same_key_are_distinguished_by_line_and_then_by_number() {
        let mut report = example();
        report.results[1].id = report.results[0].id;
        assert_eq!(
            rule_ids(&report)[..3],
            ["max-failures/3", "max-failures/4", "require-server-name"]
        );
        report.results[1].line = report.results[0].line; // as of a table in one line
        assert_eq!(
            rule_ids(&report)[..2],
            ["max-failures/3", "max-failures/3/2"]
        );
    }

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("a b/ü:%.pcap"), "a%20b/%C3%BC%3A%25.pcap");
        assert_eq!(uri("/tmp/x"), "file:///tmp/x");
    }
}
