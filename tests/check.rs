//! Runs `tlscope check`, and looks at what it prints and how it exits.

#![cfg(feature = "cli")]

mod support {
    pub(crate) mod fixtures;
}

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::fixtures::{self, package};

/// The program beside the fixtures, in an environment without settings of the person who runs the tests.
fn check(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    command
        .env_clear()
        .current_dir(package())
        .arg("check")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    check(arguments).output().unwrap()
}

fn status(arguments: &[&str]) -> i32 {
    let output = output(arguments);
    assert_eq!(stderr(&output), "", "{arguments:?}");
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A path of this test run's own.
fn scratch(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&path).unwrap();
    path.join(name).to_str().unwrap().to_owned()
}

fn file(name: &str, contents: &str) -> String {
    let path = scratch(name);
    fs::write(&path, contents).unwrap();
    path
}

fn capture(fixture: &str) -> String {
    let all = fixtures::all();
    let found = all.into_iter().find(|one| one.name == fixture);
    found.unwrap().capture
}

const HELD: i32 = 0;
const BROKEN: i32 = 1;

#[test]
fn each_assertion_holds_of_one_capture_and_not_of_another() {
    // Each with the fixture that it holds of, then the one that it does not.
    let cases = [
        (
            "min-version = 'TLS 1.2'",
            "mtls12-success",
            "tls11-static-rsa",
        ),
        (
            "allowed-suites = '*_ECDHE_*'",
            "mtls12-success",
            "tls12-static-rsa",
        ),
        (
            "forbidden-suites = '*_CBC_*'",
            "mtls12-success",
            "tls10-rsa",
        ),
        (
            "allowed-groups = 'X25519MLKEM768'",
            "tls13-mlkem768",
            "tls13-rsa",
        ),
        (
            "forbidden-groups = 'secp*'",
            "mtls12-success",
            "tls12-ecdsa-chain",
        ),
        (
            "forbidden-offered-suites = '*_3DES_*'",
            "mtls12-success",
            "sslv2-hello",
        ),
        (
            "allowed-offered-suites = ['TLS_AES_*', 'TLS_CHACHA20_*']",
            "mtls13-post-handshake",
            "mtls12-success",
        ),
        (
            "allowed-offered-signature-schemes = ['ecdsa_*', 'rsa_*']",
            "mtls13-post-handshake",
            "mtls12-success",
        ),
        (
            "allowed-offered-groups = ['x25519', 'secp*', 'x448', 'ffdhe*']",
            "mtls13-success",
            "tls13-mlkem768",
        ),
        (
            "forbidden-offered-groups = '*MLKEM*'",
            "mtls13-success",
            "tls13-mlkem768",
        ),
        (
            "forbidden-offered-signature-schemes = 'dsa_*'",
            "tls13-chrome",
            "mtls12-success",
        ),
        (
            "allowed-keys = 'RSA *'",
            "mtls12-success",
            "tls12-ecdsa-chain",
        ),
        (
            "forbidden-keys = 'RSA 1024'",
            "mtls12-success",
            "weak-key-accepted",
        ),
        (
            "allowed-certificate-signatures = 'sha256*'",
            "mtls12-success",
            "weak-key-accepted",
        ),
        (
            "forbidden-certificate-signatures = 'sha1*'",
            "mtls12-success",
            "weak-key-accepted",
        ),
        ("min-rsa-bits = 2048", "mtls12-success", "weak-key-accepted"),
        ("min-days-valid = 30", "mtls12-success", "near-expiry"),
        ("min-days-valid = 0", "near-expiry", "expired-accepted"),
        ("max-lifetime-days = 100", "near-expiry", "mtls12-success"),
        (
            "forbidden-findings = 'cert_expired'",
            "mtls12-success",
            "expired-accepted",
        ),
        (
            "client-certificate = 'required'",
            "mtls12-success",
            "mtls12-optional-absent",
        ),
        (
            "client-certificate = 'forbidden'",
            "mtls12-optional-absent",
            "mtls12-success",
        ),
        (
            "require-server-name = true",
            "mtls12-success",
            "no-server-name",
        ),
        ("require-alpn = true", "alpn-tls12", "mtls12-success"),
        (
            "allowed-alpn = ['h2', 'http/1.1']",
            "alpn-tls12",
            "alpn-ignored",
        ),
        ("max-failures = 0", "mtls12-success", "alert-unknown-ca"),
        ("max-failures = '50 %'", "port-reuse", "alert-unknown-ca"),
        (
            "max-failures-of = { unknown_ca = 0 }",
            "client-refuses-expired",
            "alert-unknown-ca",
        ),
        ("max-unknown = 0", "mtls12-success", "one-way-client"),
        (
            "max-latency = { phase = 'handshake', ms = 20 }",
            "mtls12-success",
            "tls13-ecdsa",
        ),
        ("min-handshakes = 2", "port-reuse", "mtls12-success"),
        ("max-handshakes = 1", "mtls12-success", "port-reuse"),
        (
            "expect-failure = 'unknown_ca'",
            "alert-unknown-ca",
            "client-refuses-expired",
        ),
        (
            "expect-failure = { side = 'client' }",
            "alert-unknown-ca",
            "mtls12-success",
        ),
        ("no-gaps = true", "mtls12-success", "gap-in-certificate"),
        ("no-truncation = true", "mtls12-success", "snaplen-600"),
        ("no-drops = true", "mtls12-success", "ipv4-fragment-missing"),
        ("preset = 'post-quantum'", "tls13-mlkem768", "tls13-rsa"),
    ];
    for (index, (rule, good, bad)) in cases.into_iter().enumerate() {
        let text = format!("[[rule]]\nunknown = 'ignore'\n{rule}");
        let policy = file(&format!("assertion-{index}.toml"), &text);
        let status = |fixture| status(&["--policy", &policy, &capture(fixture)]);
        assert_eq!(status(good), HELD, "{rule}: {good}");
        assert_eq!(status(bad), BROKEN, "{rule}: {bad}");
    }
}

/// The first line of each policy in `fixtures/policies` is a command, the second its exit status.
#[test]
fn the_policies_among_the_fixtures_do_what_their_first_lines_say() {
    let folder = package().join("fixtures/policies");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let command = lines
            .next()
            .unwrap()
            .strip_prefix("# tlscope check ")
            .unwrap();
        let expected = lines
            .next()
            .unwrap()
            .strip_prefix("# exit status ")
            .unwrap();
        let mut arguments: Vec<String> = Vec::new();
        for word in command.split(' ') {
            match word {
                "fixtures/*/capture.*" => {
                    arguments.extend(fixtures::all().into_iter().map(|one| one.capture))
                }
                word => arguments.push(word.to_owned()),
            }
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = output(&arguments);
        let status = output.status.code().unwrap().to_string();
        assert_eq!(status, expected[..1], "{path:?}: {}", stdout(&output));
        count += 1;
    }
    assert!(count > 8, "the policies are there");
}

#[test]
fn the_offending_handshake_is_named_with_what_was_wanted() {
    let policy = file(
        "offender.toml",
        "[[rule]]\nname = 'modern'\nmin-version = 'TLS 1.2'\n",
    );
    let output = output(&[
        "--policy",
        &policy,
        "fixtures/tls11-static-rsa/capture.pcap",
    ]);
    let text = stdout(&output);
    for part in [
        "FAILED   modern (",
        "offender.toml:3)\n",
        "wanted: TLS 1.2 or later\n",
        "found:  1 of 1 handshake break it\n",
        "- fixtures/tls11-static-rsa/capture.pcap, packets ",
        ": 192.0.2.1:",
        " to www.example.org (192.0.2.10:443): TLS 1.1 was selected\n",
        "\ncheck failed: 1 error, 0 warnings; 0 of 1 assertion held, 0 not judged, on 1 handshake\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_warning_is_said_and_does_not_fail_the_check() {
    let policy = file(
        "warning.toml",
        "[[rule]]\nseverity = 'warning'\nmax-failures = 0\n",
    );
    let output = output(&["--policy", &policy, &capture("alert-unknown-ca")]);
    assert!(
        stdout(&output).starts_with("warning  no failure"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(HELD));
}

#[test]
fn what_is_not_judged_is_said_and_the_policy_decides() {
    let capture = capture("tls13-rsa");
    for (unknown, expected) in [("ignore", HELD), ("warn", HELD), ("fail", BROKEN)] {
        let text = format!("unknown = '{unknown}'\n[[rule]]\nmin-days-valid = 1\n");
        let policy = file(&format!("unknown-{unknown}.toml"), &text);
        let output = output(&["--policy", &policy, &capture]);
        let said = "not judged: 1 handshake: certificates are encrypted (TLS 1.3)";
        assert!(stdout(&output).contains(said), "{output:?}");
        assert_eq!(output.status.code(), Some(expected), "{unknown}");
    }
}

#[test]
fn a_rule_is_for_the_handshakes_in_its_scope() {
    let day = capture("mtls-day");
    let in_scope = |scope: &str| {
        let name = format!("scope-{}.toml", scope.len());
        let policy = file(
            &name,
            &format!("[[rule]]\nmax-handshakes = 0\nwhere = {{ {scope} }}"),
        );
        let output = output(&["--policy", &policy, &day]);
        let text = stdout(&output).to_owned();
        let (_, rest) = text.split_once("found:  ").unwrap();
        rest.split_once(' ').unwrap().0.parse::<u32>().unwrap()
    };
    assert_eq!(in_scope("server-name = 'api.*'"), 5);
    assert_eq!(in_scope("server-name = ['api.*', 'db.*']"), 7);
    assert_eq!(in_scope("client = '192.0.2.21/32'"), 5);
    assert_eq!(in_scope("client = '192.0.2.16/28', server-name = '*'"), 5);
    assert_eq!(in_scope("server = ['198.51.100.50', '198.51.100.60']"), 3);
    assert_eq!(in_scope("port = 443"), 16);
}

#[test]
fn a_capture_without_handshakes_fails_unless_the_policy_allows_it() {
    let empty = capture("http-only");
    let output = output(&[&empty]);
    assert!(
        stdout(&output).contains("FAILED   a capture with handshakes\n"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(BROKEN));
    let policy = file("allow-empty.toml", "allow-empty = true\n");
    assert_eq!(status(&["--policy", &policy, &empty]), HELD);
    let selected = ["--server-name", "nobody.example", &capture("mtls-day")];
    assert_eq!(
        status(&selected),
        BROKEN,
        "nor does one of which nothing is selected"
    );
}

#[test]
fn without_a_policy_the_default_holds_and_can_be_printed() {
    assert_eq!(status(&[&capture("mtls12-success")]), HELD);
    assert_eq!(status(&[&capture("tls10-rsa")]), BROKEN);
    let printed = output(&["--print-policy"]);
    let policy = file("default.toml", stdout(&printed));
    assert_eq!(
        status(&["--policy", &policy, &capture("mtls12-success")]),
        HELD
    );
    let preset = output(&["--print-policy=post-quantum"]);
    assert!(stdout(&preset).contains("allowed-groups = [\"*MLKEM*\"]"));
    let rule = file("preset.toml", &format!("[[rule]]\n{}", stdout(&preset)));
    assert_eq!(
        status(&["--policy", &rule, &capture("tls13-mlkem768")]),
        HELD
    );
}

#[test]
fn what_cannot_be_checked_is_an_error_of_its_own() {
    let good = capture("mtls12-success");
    let wrong = file("wrong.toml", "[[rule]]\nmin_version = 'TLS 1.2'\n");
    let junk = file("junk.pcap", "no capture");
    let baseline = file("junk.jsonl", "junk\n");
    let cases: [(&[&str], &str); 8] = [
        (
            &["--policy", &wrong, &good],
            &format!(
                "error: unknown key `min_version`: {wrong}:2\n\nhint: did you mean `min-version`?\n"
            ),
        ),
        (
            &["--policy", "nowhere.toml", &good],
            "error: cannot read policy `nowhere.toml`: ",
        ),
        (&["nowhere.pcap"], "error: cannot open `nowhere.pcap`"),
        (&[&junk], "error: "),
        (
            &["--expect", "nowhere.jsonl", &good],
            "error: cannot read baseline `nowhere.jsonl`: ",
        ),
        (&["--expect", &baseline, &good], "error: no baseline: "),
        (
            &["--update", &good],
            "error: `--update` writes a baseline, and none is named",
        ),
        (
            &["--format", "json,github", &good],
            "error: two reports cannot both go to standard output",
        ),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        assert!(stderr(&output).starts_with(expected), "{output:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(output(&["--format", "xml", &good]).status.code(), Some(2));
    assert_eq!(output(&[]).status.code(), Some(2));
}

#[test]
fn a_check_of_half_the_input_does_not_pass_in_any_report() {
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

#[test]
fn a_handshake_is_as_in_the_baseline_that_was_recorded() {
    let day = capture("mtls-day");
    let baseline = scratch("expected.jsonl");
    let update = output(&["--expect", &baseline, "--update", &day]);
    assert_eq!(update.status.code(), Some(HELD), "{update:?}");
    assert_eq!(
        stderr(&update),
        format!("16 handshakes written to `{baseline}`\n")
    );
    assert_eq!(status(&["--expect", &baseline, &day]), HELD);

    let text = fs::read_to_string(&baseline).unwrap();
    assert!(!text.contains("\"time\"") && !text.contains("\"first_packet\""));
    let changed = text.replacen("\"TLS 1.2\"", "\"TLS 1.1\"", 1);
    let (_, fewer) = changed.split_once('\n').unwrap();
    fs::write(&baseline, fewer).unwrap();
    let output = output(&["--expect", &baseline, &day]);
    assert_eq!(output.status.code(), Some(BROKEN));
    for part in [
        "found:  2 differences\n",
        "tls.version is \"TLS 1.2\", was \"TLS 1.1\"\n",
        ": not in the baseline: 192.0.2.",
    ] {
        assert!(stdout(&output).contains(part), "{part}: {output:?}");
    }
}

#[test]
fn the_expected_events_beside_the_fixtures_are_baselines() {
    for fixture in fixtures::all().iter().step_by(20) {
        let baseline = fixture.capture.replace(
            fixture.capture.rsplit('/').next().unwrap(),
            "expected.jsonl",
        );
        let policy = file("any.toml", "allow-empty = true\n");
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
fn nothing_is_no_baseline() {
    let baseline = scratch("nothing.jsonl");
    let arguments = ["--expect", &baseline, "--update", &capture("http-only")];
    assert_eq!(status(&arguments), BROKEN);
    assert!(!fs::exists(&baseline).unwrap());
}

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

/// What Jenkins's `junit-10.xsd` says of the elements that are used here, in our own words.
#[test]
fn junit_xml_is_of_the_form_that_build_servers_read() {
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
            "testsuites" => (&[""], &["name", "tests", "failures", "errors"], &[]),
            "testsuite" => (
                &["testsuites"],
                &["name", "tests", "failures", "errors", "skipped"],
                &["name", "tests"],
            ),
            "testcase" => (&["testsuite"], &["classname", "name"], &["name"]),
            "failure" => (&["testcase"], &["type", "message"], &["type"]),
            "skipped" => (&["testcase"], &["message"], &[]),
            "system-out" => (&["testcase"], &[], &[]),
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
fn settings_come_from_the_environment_and_the_configuration_file_as_well() {
    let policy = file("setting.toml", "[[rule]]\nmax-failures = 0\n");
    let config = file(
        "config.toml",
        &format!("[check]\nformat = 'json'\npolicy = '{policy}'\n"),
    );
    let failing = capture("alert-unknown-ca");
    let output = check(&["--config", &config, &failing]).output().unwrap();
    assert!(
        stdout(&output).starts_with("{\n  \"type\": \"check\",\n  \"passed\": false"),
        "{output:?}"
    );
    let xml = scratch("setting.xml");
    let output = check(&["--config", &config, &failing])
        .env("TLSCOPE_FORMAT", format!("github,junit={xml}"))
        .output()
        .unwrap();
    assert!(stdout(&output).starts_with("::error file="), "{output:?}");
    assert!(fs::exists(xml).unwrap());
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let day = capture("mtls-day");
    let alone = output(&["--format", "json", &day]);
    let four = output(&["--format", "json", "--threads", "4", &day]);
    assert_eq!(stdout(&alone), stdout(&four));
}
