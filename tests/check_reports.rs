//! What `tlscope check` writes for programs, and the baselines that it compares with.

use std::fs;
use std::path::PathBuf;

use crate::support::check::{
    HELD, VIOLATED, capture, file, output, scratch, status, stderr, stdout,
};
use crate::support::fixtures::{self, package};

#[test]
fn reports_in_several_formats_are_written_at_once() {
    let (json, sarif, github) = (scratch("a.json"), scratch("a.sarif"), scratch("a.txt"));
    let format = format!("json={json},sarif={sarif},github={github}");
    let output = output(&["--format", &format, &capture("mtls-day")]);
    assert!(
        stdout(&output).starts_with("FAILED   "),
        "text goes to standard output"
    );
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report["passed"], false);
    assert_eq!(report["handshakes"], 16);
    assert_eq!(report["captures"], serde_json::json!([capture("mtls-day")]));
    let annotations = fs::read_to_string(github).unwrap();
    assert!(annotations.starts_with("::error title=tlscope check%3A handshakes complete::"));
    let failures = report["errors"].as_u64().unwrap() as usize;
    assert_eq!(annotations.matches("::error ").count(), failures);
}

/// The whole schema is OASIS's, and not ours to copy: `TLSCOPE_SARIF_SCHEMA` may name a copy of it.
#[test]
fn sarif_is_valid_against_its_schema() {
    let output = output(&["--format", "sarif", &capture("mtls-day")]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let subset = package().join("tests/schemas/sarif-subset.json");
    let whole = std::env::var_os("TLSCOPE_SARIF_SCHEMA").map(PathBuf::from);
    for path in std::iter::once(subset).chain(whole) {
        let schema = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{path:?}: {errors:?}");
    }
    assert!(report["runs"][0]["results"].as_array().unwrap().len() > 10);
}

/// The rules of Jenkins's `junit-10.xsd` for the elements that are used here.
#[test]
fn junit_xml_has_the_structure_that_build_servers_read() {
    let output = output(&[
        "--format",
        "junit",
        &capture("mtls-day"),
        &capture("gap-in-certificate"),
    ]);
    let document = roxmltree::Document::parse(stdout(&output)).unwrap();
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    for element in elements {
        let (parents, attributes, required): (&[_], &[_], &[_]) = match element.tag_name().name() {
            "testsuites" => (&[""], &["name", "tests", "failures", "errors", "time"], &[]),
            "testsuite" => (
                &["testsuites"],
                &[
                    "name",
                    "package",
                    "tests",
                    "failures",
                    "errors",
                    "skipped",
                    "time",
                    "timestamp",
                ],
                &["name", "tests"],
            ),
            "testcase" => (
                &["testsuite"],
                &["classname", "name", "time"],
                &["name", "time"],
            ),
            "failure" => (&["testcase"], &["type", "message"], &["type"]),
            "skipped" => (&["testcase"], &["message"], &[]),
            "system-out" => (&["testcase", "testsuite"], &[], &[]),
            other => panic!("unknown element `{other}`"),
        };
        let parent = element
            .parent_element()
            .map_or("", |parent| parent.tag_name().name());
        assert!(parents.contains(&parent), "{element:?}");
        assert!(
            element
                .attributes()
                .all(|one| attributes.contains(&one.name())),
            "{element:?}"
        );
        assert!(
            required.iter().all(|one| element.has_attribute(*one)),
            "{element:?}"
        );
    }
    let count = |name: &str| {
        document
            .descendants()
            .filter(|one| one.has_tag_name(name))
            .count()
            .to_string()
    };
    let suite = document
        .descendants()
        .find(|one| one.has_tag_name("testsuite"))
        .unwrap();
    assert_eq!(suite.attribute("tests"), Some(&*count("testcase")));
    assert_eq!(suite.attribute("failures"), Some(&*count("failure")));
    assert_eq!(suite.attribute("skipped"), Some(&*count("skipped")));
    assert_ne!(count("failure"), "0");
}

#[test]
fn handshakes_are_compared_with_a_recorded_baseline() {
    let day = capture("mtls-day");
    let baseline = scratch("expected.json");
    let update = output(&["--expect", &baseline, "--update", &day]);
    assert_eq!(update.status.code(), Some(HELD), "{update:?}");
    assert_eq!(
        stderr(&update),
        format!("16 handshakes written to `{baseline}`\n")
    );
    assert_eq!(status(&["--expect", &baseline, &day]), HELD);

    let text = fs::read_to_string(&baseline).unwrap();
    assert!(!text.contains("\"time\"") && !text.contains("\"first_packet\""));
    assert!(
        text.contains("\"offered_cipher_suites\": [\"TLS_"),
        "names, not numbers: {text}"
    );
    assert!(text.lines().all(|line| line.len() < 4_000), "{text}");
    let (_, fewer) = text.split_once("\n}\n").unwrap();
    let changed = fewer.replacen("\"version\": \"TLS 1.2\"", "\"version\": \"TLS 1.1\"", 1);
    fs::write(&baseline, changed).unwrap();
    let output = output(&["--expect", &baseline, &day]);
    assert_eq!(output.status.code(), Some(VIOLATED));
    for part in [
        "found:  2 differences\n",
        "tls.version was TLS 1.1, now TLS 1.2\n",
        ": not in the baseline: ",
    ] {
        assert!(stdout(&output).contains(part), "{part}: {output:?}");
    }
}

#[test]
fn the_expected_events_of_the_fixtures_are_baselines() {
    for fixture in fixtures::all().iter().step_by(20) {
        let baseline = fixture.capture.replace(
            fixture.capture.rsplit('/').next().unwrap(),
            "expected.jsonl",
        );
        let policy = file(
            "any.toml",
            "allow-empty = true\n[[rule]]\nmax-failures = 1000\n",
        );
        let arguments = ["--policy", &policy, "--expect", &baseline, &fixture.capture];
        assert_eq!(
            output(&arguments).status.code(),
            Some(HELD),
            "{}",
            fixture.name
        );
    }
}

#[test]
fn a_capture_without_handshakes_does_not_make_a_baseline() {
    let baseline = scratch("nothing.jsonl");
    let arguments = ["--expect", &baseline, "--update", &capture("http-only")];
    assert_eq!(status(&arguments), VIOLATED);
    assert!(!fs::exists(&baseline).unwrap());
}

#[test]
fn a_check_of_incomplete_input_fails_in_every_report() {
    let report = scratch("half.xml");
    let format = format!("text,junit={report}");
    let output = output(&[
        "--format",
        &format,
        "nowhere.pcap",
        &capture("mtls12-success"),
    ]);
    assert!(
        stdout(&output).contains("FAILED   all of the input\n"),
        "{output:?}"
    );
    assert!(fs::read_to_string(report).unwrap().contains("<failure "));
    assert_eq!(output.status.code(), Some(2));
}
