//! SARIF 2.1.0 (OASIS): a result for each handshake that violates an assertion.
//!
//! A result is at the assertion's line in the policy, which is in the repository: GitHub shows it there. The capture is
//! a related location, with the packets as a logical location, since a region would have to be in lines or bytes.
//! Assertions that are in no file, as those of the default policy, have the capture as their location.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{fingerprint, location_in_words, offender_in_words, packets_in_words, printable};
use crate::check::{CheckResult, Offender, Report, explanation};
use crate::escape::SafeJson;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Where users read about the program.
const INFORMATION_URI: &str = if env!("CARGO_PKG_REPOSITORY").is_empty() {
    "https://docs.rs/tlscope"
} else {
    env!("CARGO_PKG_REPOSITORY")
};

/// The fingerprint by which GitHub tells known results from new ones.
const GITHUB_FINGERPRINT: &str = "primaryLocationLineHash";

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
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": INFORMATION_URI,
                "rules": named().map(|(one, id)| rule(one, id)).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": report.is_complete}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(SafeJson(&mut *output), &document)?;
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
    // GitHub requires `help`, and shows it next to the alert.
    let wanted = printable(&result.wanted).into_owned();
    let help = explanation(result.id, None).unwrap_or_else(|| wanted.clone());
    json!({
        "id": id,
        "name": pascal_case(result.id),
        "shortDescription": {"text": printable(&result.name)},
        "fullDescription": {"text": wanted},
        "help": {"text": help, "markdown": help},
        "helpUri": help_uri(),
        "defaultConfiguration": {"level": result.severity.as_str()},
    })
}

/// The page about assertions.
fn help_uri() -> String {
    match env!("CARGO_PKG_REPOSITORY") {
        "" => INFORMATION_URI.to_owned(),
        repository => format!("{repository}/blob/main/docs/policy.md"),
    }
}

/// `min-version` as `MinVersion`: the form in which SARIF wants the names of rules.
fn pascal_case(key: &str) -> String {
    let words = key.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

fn results(report: &Report, result: &CheckResult, id: &str) -> Vec<Value> {
    if result.offenders.is_empty() {
        let text = format!("wanted: {}; found: {}", result.wanted, result.found);
        return vec![self::result(report, result, id, &printable(&text), None)];
    }
    let wanted = printable(&result.wanted);
    let offender = |offender: &Offender| {
        let text = format!("{}; wanted: {wanted}", offender_in_words(offender));
        self::result(report, result, id, &text, Some(offender))
    };
    result.offenders.iter().map(offender).collect()
}

fn result(
    report: &Report,
    result: &CheckResult,
    id: &str,
    text: &str,
    offender: Option<&Offender>,
) -> Value {
    let capture = offender.and_then(capture_location);
    let policy = policy_location(report, result);
    let (place, related) = match (policy, capture) {
        (Some(policy), capture) => (Some(policy), capture),
        (None, capture) => (capture.or_else(|| first_capture(report)), None),
    };
    let fingerprint = fingerprint(result, offender);
    let mut value = json!({
        "ruleId": id,
        "level": result.status.as_str(),
        "message": {"text": text},
        "locations": place.into_iter().collect::<Vec<_>>(),
        "partialFingerprints": {
            "tlscopeViolation/v1": fingerprint,
            GITHUB_FINGERPRINT: format!("{fingerprint}:1"),
        },
    });
    if let Some(related) = related {
        value["relatedLocations"] = json!([related]);
    }
    value
}

fn capture_location(offender: &Offender) -> Option<Value> {
    let location = offender.handshake.as_ref()?;
    let packets = packets_in_words(location);
    let packets = packets.unwrap_or_else(|| location.client.to_string());
    Some(json!({
        "physicalLocation": in_capture(&location.source),
        "logicalLocations": [{"name": packets, "fullyQualifiedName": location_in_words(location)}],
        "message": {"text": location_in_words(location)},
    }))
}

fn first_capture(report: &Report) -> Option<Value> {
    let capture = report.captures.first()?;
    Some(json!({"physicalLocation": in_capture(capture)}))
}

/// A place in a capture. GitHub requires a line, which a capture does not have: the first.
fn in_capture(path: &str) -> Value {
    json!({"artifactLocation": {"uri": uri(path)}, "region": {"startLine": 1}})
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
        assert_eq!(results.len(), 6, "two, two and one of errors, one warning");
        let rules: Vec<_> = run["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| &rule["id"])
            .collect();
        assert_eq!(rules.len(), 6);
        let mut fingerprints = std::collections::HashSet::new();
        for result in results {
            assert!(rules.contains(&&result["ruleId"]));
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "folder/tlscope.toml");
            assert!(place["region"]["startLine"].as_u64() > Some(2));
            fingerprints.insert(result["partialFingerprints"]["tlscopeViolation/v1"].to_string());
        }
        assert_eq!(fingerprints.len(), results.len());
        let capture = &results[1]["relatedLocations"][0]["physicalLocation"];
        assert_eq!(capture["artifactLocation"]["uri"], "file:///tmp/a%20b.pcap");
        let driver = &run["tool"]["driver"];
        assert!(
            driver["informationUri"]
                .as_str()
                .unwrap()
                .starts_with("https://")
        );
    }

    #[test]
    fn a_rule_says_what_it_requires_and_where_to_read_about_it() {
        let mut report = example();
        report.results[0].id = "min-version";
        report.results[1].id = "complete-input"; // no key of a policy
        let document: Value = serde_json::from_str(&written(&report, ReportFormat::Sarif)).unwrap();
        let rules = &document["runs"][0]["tool"]["driver"]["rules"];
        assert_eq!(rules[0]["name"], "MinVersion");
        let help = rules[0]["help"]["text"].as_str().unwrap();
        assert!(help.contains("min-version = \"TLS 1.2\""), "{help}");
        assert_eq!(rules[1]["name"], "CompleteInput");
        for rule in rules.as_array().unwrap() {
            assert!(!rule["help"]["text"].as_str().unwrap().is_empty(), "{rule}");
            assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"));
        }
    }

    #[test]
    fn an_assertion_in_no_file_is_located_in_the_capture() {
        let mut report = example();
        report.results.iter_mut().for_each(|result| result.line = 0);
        let document: Value = serde_json::from_str(&written(&report, ReportFormat::Sarif)).unwrap();
        let uri = |index: usize| {
            let place = &document["runs"][0]["results"][index]["locations"][0]["physicalLocation"];
            assert_eq!(place["region"]["startLine"], 1);
            place["artifactLocation"]["uri"].clone()
        };
        assert_eq!(uri(1), "file:///tmp/a%20b.pcap");
        assert_eq!(uri(5), "capture.pcapng");
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
