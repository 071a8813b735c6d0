//! Runs `tlscope check` and tests its output and exit code.

use std::fs;

use crate::support::check::{
    HELD, VIOLATED, capture, check, file, output, scratch, status, stderr, stdout,
};
use crate::support::fixtures::{self, package};
use crate::support::program::tlscope;

#[test]
fn each_assertion_holds_for_one_capture_and_not_for_another() {
    // Each with a fixture that complies and one that violates it.
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
        ("complete-input = true", "mtls12-success", "pcap-cut-off"),
        ("preset = 'post-quantum'", "tls13-mlkem768", "tls13-rsa"),
    ];
    for (index, (rule, good, bad)) in cases.into_iter().enumerate() {
        let text = format!("[[rule]]\nunknown = 'ignore'\n{rule}");
        let policy = file(&format!("assertion-{index}.toml"), &text);
        let status = |fixture| {
            let output = output(&["--policy", &policy, &capture(fixture)]);
            output.status.code()
        };
        assert_eq!(status(good), Some(HELD), "{rule}: {good}");
        assert_eq!(status(bad), Some(VIOLATED), "{rule}: {bad}");
    }
}

/// The first line of each policy in `fixtures/policies` is a command, the second its exit status.
#[test]
fn the_example_policies_have_the_exit_status_in_their_first_lines() {
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
                "fixtures/captures/*/*/capture.*" => {
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
        "fixtures/captures/versions/tls11-static-rsa/capture.pcap",
    ]);
    let text = stdout(&output);
    for part in [
        "FAILED   modern (",
        "offender.toml:3)\n",
        "wanted: TLS 1.2 or later\n",
        "found:  1 of 1 handshake violated it\n",
        "- fixtures/captures/versions/tls11-static-rsa/capture.pcap, packets ",
        ": 192.0.2.1:",
        " to www.example.org (192.0.2.10:443): TLS 1.1 was selected\n",
        "\ncheck failed: 1 error, 0 warnings; 0 of 1 assertion held, 0 skipped, on 1 handshake\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_warning_is_reported_and_does_not_fail_the_check() {
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
fn handshakes_that_cannot_be_evaluated_are_reported_and_the_policy_decides() {
    let capture = capture("tls13-rsa");
    for (unknown, expected) in [("ignore", HELD), ("warn", HELD), ("fail", VIOLATED)] {
        // Something else can be evaluated: a check on which nothing could be evaluated fails.
        let text =
            format!("unknown = '{unknown}'\n[[rule]]\nmin-days-valid = 1\nmax-failures = 0\n");
        let policy = file(&format!("unknown-{unknown}.toml"), &text);
        let output = output(&["--policy", &policy, &capture]);
        let said = "not evaluated: 1 handshake: certificates are encrypted (TLS 1.3)\n";
        assert!(stdout(&output).contains(said), "{output:?}");
        assert_eq!(output.status.code(), Some(expected), "{unknown}");
    }
}

#[test]
fn a_check_on_which_nothing_could_be_evaluated_fails_whatever_the_policy_ignores() {
    let text = "unknown = 'ignore'\n[[rule]]\nmin-days-valid = 1\n";
    let policy = file("no-evidence.toml", text);
    let output = output(&["--policy", &policy, &capture("tls13-rsa")]);
    let said = "FAILED   a capture with evidence\n";
    assert!(stdout(&output).starts_with(said), "{output:?}");
    assert_eq!(output.status.code(), Some(VIOLATED));
}

#[test]
fn assertions_of_a_rule_of_the_built_in_policy_are_reported_by_their_keys() {
    let output = output(&["--no-verify", &fixtures::named("mtls-day").capture]);
    for key in ["min-days-valid", "forbidden-findings"] {
        let said = format!("FAILED   certificates are valid ({key})\n");
        assert!(stdout(&output).contains(&said), "{output:?}");
    }
    assert!(stdout(&output).contains(", weak_key or weak_signature\n"));
}

#[test]
fn every_report_that_can_be_written_is_written() {
    let capture = fixtures::named("mtls-day").capture;
    let good = scratch("reports-good.sarif");
    let _ = fs::remove_file(&good);
    let format = format!("junit=/nonexistent/x.xml,sarif={good}");
    let output = output(&["--no-verify", "--format", &format, &capture]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nonexistent/x.xml"), "{output:?}");
    assert!(fs::read_to_string(&good).unwrap().contains("\"version\""));
    assert!(!stdout(&output).is_empty(), "the text report");
}

#[test]
fn an_update_that_cannot_be_written_leaves_the_old_baseline() {
    let capture = fixtures::named("mtls-day").capture;
    let folder = crate::support::scratch::folder("check-update-fails");
    let baseline = folder.join("baseline.json");
    fs::write(&baseline, "the old one").unwrap();
    let path = baseline.to_str().unwrap();
    // No file may have a single byte: as a full disk, and for root, too.
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(assert_cmd::cargo::cargo_bin!("tlscope"))
        .args([
            "check",
            "--no-verify",
            "--expect",
            path,
            "--update",
            &capture,
        ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("baseline.json"), "{output:?}");
    assert_eq!(fs::read_to_string(&baseline).unwrap(), "the old one");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn policies_and_baselines_may_begin_with_a_byte_order_mark() {
    let capture = fixtures::named("mtls-day").capture;
    let baseline = scratch("marked.json");
    let update = output(&["--expect", &baseline, "--update", &capture]);
    assert_eq!(update.status.code(), Some(HELD), "{update:?}");
    let text = fs::read_to_string(&baseline).unwrap();
    fs::write(&baseline, format!("\u{feff}{text}")).unwrap();
    let policy = file("marked.toml", "\u{feff}[[rule]]\nno-gaps = true\n");
    let arguments = ["--policy", &policy, "--expect", &baseline, &capture];
    assert_eq!(status(&arguments), HELD);
}

#[test]
fn a_policy_is_read_to_a_limit_and_also_from_standard_input() {
    let capture = fixtures::named("mtls-day").capture;
    let endless = output(&["--policy", "/dev/zero", &capture]);
    assert_eq!(endless.status.code(), Some(2));
    assert!(stderr(&endless).contains("file too large"), "{endless:?}");

    let policy = file("stdin.toml", "[[rule]]\nno-gaps = true\n");
    let mut command = check(&["--policy", "-", &capture]);
    command.stdin(fs::File::open(policy).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(HELD), "{output:?}");
}

#[test]
fn a_broken_capture_in_a_directory_is_input_that_could_not_be_read() {
    let folder = scratch("broken-in-directory");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    fs::copy(
        fixtures::named("mtls-day").capture,
        format!("{folder}/a.pcapng"),
    )
    .unwrap();
    let policy = scratch("broken-in-directory.toml");
    fs::write(&policy, "[[rule]]\nmin-handshakes = 1").unwrap();
    let check = || output(&["--no-verify", "--policy", &policy, &folder]);
    fs::write(format!("{folder}/README"), "captures of March").unwrap();
    assert_eq!(check().status.code(), Some(0));
    fs::write(format!("{folder}/b.pcap"), "").unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error: skipped: `"), "{output:?}");
}

#[test]
fn a_printed_preset_is_a_policy_and_a_rule_that_cannot_fail_is_none() {
    let capture = fixtures::named("mtls-day").capture;
    let policy = scratch("printed.toml");
    for preset in [
        "mozilla-modern",
        "mozilla-intermediate",
        "nist-sp800-52r2",
        "cnsa-2.0",
        "post-quantum",
    ] {
        let printed = output(&[&format!("--print-policy={preset}")]);
        fs::write(&policy, printed.stdout).unwrap();
        let output = output(&["--no-verify", "--policy", &policy, &capture]);
        assert_eq!(output.status.code(), Some(1), "{preset}: {output:?}");
    }
    for (text, hint) in [
        ("min-version = 'TLS 1.2'", "write `[[rule]]` above it"),
        (
            "[[rule]]\nmin-handshakes = 0",
            "add an assertion that can fail",
        ),
        (
            "[[rule]]\nmax-failures = '100 %'",
            "add an assertion that can fail",
        ),
    ] {
        fs::write(&policy, text).unwrap();
        let output = output(&["--policy", &policy, &capture]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(stderr(&output).contains(hint), "{output:?}");
    }
}

#[test]
fn an_assertion_that_held_in_part_has_its_own_word_and_counts_as_held() {
    let policy = file(
        "partly.toml",
        "[[rule]]\nmin-days-valid = 1\nmin-version = 'TLS 1.2'\n",
    );
    let (clear, hidden) = (capture("mtls12-success"), capture("tls13-rsa"));
    let output = output(&["--policy", &policy, &clear, &hidden]);
    let expected = "\
partly   certificates valid for at least 1 day more: 0 of 1 handshake violated it, 1 not evaluated
ok       TLS 1.2 or later: 0 of 2 handshakes violated it

Not evaluated
  1 handshake, 1 assertion: certificates are encrypted (TLS 1.3); `--keylog FILE` or `tlscope run` decrypts them

check passed: 0 errors, 0 warnings; 2 of 2 assertions held (1 partly), 0 skipped, on 2 handshakes
";
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(HELD));
}

#[test]
fn a_rule_that_matches_no_handshake_fails_unless_it_allows_that() {
    let scope = "[[rule]]\nunknown = 'ignore'\nwhere = { server-name = 'nothere.example.org' }\n";
    let rule = format!("{scope}client-certificate = 'required'\n");
    let good = capture("mtls12-success");
    let policy = file("nothere.toml", &rule);
    let failed = output(&["--policy", &policy, &good]);
    let said = "found:  no handshake in scope; if that is fine, add `min-handshakes = 0`";
    assert!(stdout(&failed).contains(said), "{failed:?}");
    assert_eq!(failed.status.code(), Some(VIOLATED));
    let policy = file(
        "nothere-allowed.toml",
        &format!("{rule}min-handshakes = 0\n"),
    );
    let passed = output(&["--policy", &policy, &good]);
    assert!(stdout(&passed).starts_with("skipped  a client certificate: no handshake in scope\n"));
    assert_eq!(passed.status.code(), Some(HELD));
}

#[test]
fn known_violations_do_not_fail_the_check_and_new_ones_do() {
    let policy = file(
        "known.toml",
        "[[rule]]\nname = 'modern'\nmin-version = 'TLS 1.2'\n",
    );
    let known = scratch("known.jsonl");
    let (old, older) = (capture("tls11-static-rsa"), capture("tls10-rsa"));
    let with = |flags: &[&str]| {
        let all = [&["--policy", &policy, "--new-only", &known][..], flags].concat();
        output(&all)
    };
    assert_eq!(with(&[&old, "--update"]).status.code(), Some(HELD));
    let listed = fs::read_to_string(&known).unwrap();
    assert!(
        listed.starts_with("{\"rule\":\"modern\",\"assertion\":\"min-version\","),
        "{listed}"
    );
    assert!(
        listed.ends_with("\"found\":\"TLS 1.1 was selected\"}\n"),
        "{listed}"
    );
    let passed = with(&[&old]);
    assert_eq!(passed.status.code(), Some(HELD));
    assert!(
        stdout(&passed).contains("0 of 1 handshake violated it, 1 known\n"),
        "{passed:?}"
    );
    let failed = with(&[&old, &older]);
    assert_eq!(failed.status.code(), Some(VIOLATED));
    let text = stdout(&failed);
    assert!(
        text.contains("TLS 1.0 was selected") && !text.contains("TLS 1.1 was"),
        "{text}"
    );
}

#[test]
fn an_assertion_can_be_explained() {
    let printed = output(&["--explain", "min-version"]);
    let text = stdout(&printed);
    assert!(text.contains("    min-version = \"TLS 1.2\"\n"), "{text}");
    assert_eq!(printed.status.code(), Some(HELD));
    let refused = output(&["--explain", "min-vesion"]);
    assert!(
        stderr(&refused).contains("did you mean `min-version`?"),
        "{refused:?}"
    );
    assert_eq!(refused.status.code(), Some(2));
    let policy = file("explain.toml", "[[rule]]\nname = 'ours'\nno-gaps = true\n");
    let rule = output(&["--policy", &policy, "--explain", "ours"]);
    assert!(stdout(&rule).contains("captures without gaps"), "{rule:?}");
}

#[test]
fn a_policy_can_be_tested_without_a_capture() {
    let policy = file(
        "whole.toml",
        "[[rule]]\nname = 'ours'\nno-gaps = true\n[[rule]]\nmin-version = '1.2'\n",
    );
    let explained = output(&["--policy", &policy, "--explain"]);
    assert_eq!(explained.status.code(), Some(HELD), "{explained:?}");
    for expected in ["The rule `ours`", "without a name", "TLS 1.2 or later"] {
        assert!(stdout(&explained).contains(expected), "{explained:?}");
    }
    for (name, text) in [
        ("mistake.toml", "[[rule]]\nmin-version = '1.9'\n"),
        ("nothing.toml", ""),
    ] {
        let policy = file(name, text);
        let refused = output(&["--policy", &policy, "--explain"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert_eq!(stdout(&refused), "");
    }
}

#[test]
fn trust_is_evaluated_with_the_given_roots_and_not_without_any() {
    let policy = file(
        "trust.toml",
        "[[rule]]\nunknown = 'fail'\nforbidden-findings = 'untrusted_ca'\nwhere = { server-name = 'db.*' }\n",
    );
    let checked = |flags: &[&str]| {
        let day = capture("mtls-day");
        let arguments = [&["--policy", &policy, &day], flags].concat();
        let output = output(&arguments);
        (output.status.code(), stdout(&output).to_owned())
    };
    let ours = checked(&["--ca-file", "fixtures/captures/day/mtls-day/ca.pem"]);
    assert_eq!(ours.0, Some(HELD), "{}", ours.1);
    let none = checked(&["--no-verify"]);
    assert_eq!(none.0, Some(VIOLATED));
    let said = "not evaluated: 2 handshakes: chains are not validated against a trust store";
    assert!(none.1.contains(said), "{}", none.1);
}

#[test]
fn a_rule_covers_the_handshakes_in_its_scope() {
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
    assert_eq!(output.status.code(), Some(VIOLATED));
    let text = "allow-empty = true\n[[rule]]\nmax-failures = 0\n";
    let policy = file("allow-empty.toml", text);
    assert_eq!(status(&["--policy", &policy, &empty]), HELD);
    let selected =
        crate::support::check::output(&["--server-name", "nobody.example", &capture("mtls-day")]);
    let warning = "warning: the selection excludes all 16 handshakes\n";
    assert_eq!(stderr(&selected), warning);
    assert_eq!(selected.status.code(), Some(VIOLATED));
}

#[test]
fn a_capture_of_clients_only_fails_unless_the_policy_allows_it() {
    let clients = capture("one-way-client-tls13");
    let output = output(&[&clients]);
    let said = "FAILED   a capture with answers\n";
    assert!(stdout(&output).contains(said), "{output:?}");
    assert_eq!(output.status.code(), Some(VIOLATED));
    let policy = file(
        "allow-one-way.toml",
        "allow-empty = true\n[[rule]]\nmax-failures = 0\n",
    );
    assert_eq!(status(&["--policy", &policy, &clients]), HELD);
}

#[test]
fn without_a_policy_the_default_applies_and_can_be_printed() {
    assert_eq!(status(&[&capture("mtls12-success")]), HELD);
    assert_eq!(status(&[&capture("tls10-rsa")]), VIOLATED);
    let printed = output(&["--print-policy"]);
    let policy = file("default.toml", stdout(&printed));
    assert_eq!(
        status(&["--policy", &policy, &capture("mtls12-success")]),
        HELD
    );
    let preset = output(&["--print-policy=post-quantum"]);
    assert!(stdout(&preset).contains("allowed-groups = [\"*MLKEM*\"]"));
    let rule = file("preset.toml", stdout(&preset));
    assert_eq!(
        status(&["--policy", &rule, &capture("tls13-mlkem768")]),
        HELD
    );
}

#[test]
fn the_policy_in_effect_is_printed_with_its_presets_written_out() {
    let text = "# ours\n[[rule]]\npreset = \"post-quantum\"\n";
    let policy = file("preset-only.toml", text);
    let printed = output(&["--policy", &policy, "--print-policy"]);
    assert!(stdout(&printed).starts_with("# ours\n[[rule]]\n"));
    assert!(stdout(&printed).contains("allowed-groups = [\"*MLKEM*\"]"));
    let preset = output(&["--policy", &policy, "--print-policy=cnsa-2.0"]);
    assert_eq!(preset, output(&["--print-policy=cnsa-2.0"]));
    let wrong = file("print-wrong.toml", "[[rule]]\nmin_version = 'TLS 1.2'\n");
    let refused = output(&["--policy", &wrong, "--print-policy"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).starts_with(&format!("error: {wrong}:2: rule 1: ")));
}

/// Settings, policies and baselines are all text files that someone names in the wrong place.
#[test]
fn a_file_in_the_place_of_another_is_recognised() {
    let capture = capture("mtls12-success");
    let settings = file("live.toml", "[live]\ninterface = \"eth0\"\n");
    let policy = file("rules.toml", "[[rule]]\nmin-version = \"TLS 1.2\"\n");
    let baseline = file("known.jsonl", "{\"a\": 1}\n");
    let array = file("array.json", "[{\"a\": 1}]\n");
    let binary = scratch("binary.toml");
    fs::write(&binary, b"\xff\xfe[[rule]]\n").unwrap();
    let yaml = file("rules.yaml", "# ours\nrules:\n  - max-failures: 0\n");
    let keys = file("as-policy.keys", "# a comment\nCLIENT_RANDOM 00 11\n");
    let roots = "fixtures/captures/day/mtls-day/ca.pem";
    let cases: [(&[&str], &str, &str); 9] = [
        (
            &["check", "--policy", &yaml, &capture],
            "rules.yaml:2: ",
            "looks like YAML: a policy is in TOML",
        ),
        (
            &["check", "--policy", &keys, &capture],
            "as-policy.keys:2: ",
            "looks like a key log: `--keylog` reads it",
        ),
        (
            &["check", "--policy", roots, &capture],
            "ca.pem:1: ",
            "looks like PEM: `--ca-file` reads trusted roots",
        ),
        (
            &["check", "--policy", "mozilla-modern", &capture],
            "cannot read policy `mozilla-modern`: no such file or directory\n",
            "`mozilla-modern` is a preset: write `[[rule]]` and `preset = \"mozilla-modern\"` to a file",
        ),
        (
            &["check", "--policy", &settings, &capture],
            "unknown key `live`",
            &format!("`{settings}` has settings: use `tlscope --config {settings} check`"),
        ),
        (
            &["--config", &policy, "check", &capture],
            "unknown key `rule`",
            &format!("`{policy}` is a policy: use `tlscope check --policy {policy}`"),
        ),
        (
            &["check", "--policy", &baseline, &capture],
            ":1: ",
            "looks like JSON: `--expect` and `--new-only` read baselines",
        ),
        (
            &["check", "--policy", &array, &capture],
            ":1: ",
            "looks like JSON: `--expect` and `--new-only` read baselines",
        ),
        (
            &["check", "--policy", &binary, &capture],
            &format!("cannot read policy `{binary}`: it is binary, or its text is not UTF-8\n"),
            "a policy is a text in TOML",
        ),
    ];
    for (arguments, error, hint) in cases {
        let output = tlscope(arguments).output().unwrap();
        let (message, rest) = stderr(&output).split_once("\n\nhint: ").unwrap();
        assert!(format!("{message}\n").contains(error), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(rest.contains(hint), "{rest}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    // A policy in the place of a capture.
    let output = output(&[&policy]);
    let expected = format!("hint: if `{policy}` is a policy, use `--policy {policy}`\n");
    assert!(stderr(&output).ends_with(&expected), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn input_that_cannot_be_checked_has_its_own_exit_status() {
    let good = capture("mtls12-success");
    let wrong = file("wrong.toml", "[[rule]]\nmin_version = 'TLS 1.2'\n");
    let junk = file("junk.pcap", "no capture");
    let baseline = file("junk.jsonl", "junk\n");
    let empty = file("empty.toml", "# nothing\n");
    let settings = file("settings.toml", "allow-empty = true\n");
    let cases: [(&[&str], &str); 11] = [
        (
            &["--policy", &empty, &good],
            &format!("error: policy `{empty}` has no assertions\n\nhint: add a rule, "),
        ),
        (
            &["--policy", &settings, &good],
            &format!("error: policy `{settings}` has no assertions\n"),
        ),
        (
            &["--policy", &wrong, &good],
            &format!(
                "error: {wrong}:2: rule 1: unknown key `min_version`\n\nhint: did you mean `min-version`?\n"
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
        (&["--expect", &baseline, &good], "error: invalid baseline `"),
        (
            &["--update", &good],
            "error: `--update` writes a baseline, and none is named",
        ),
        (
            &["--expect-counts", &good],
            "error: `--expect-counts` compares with a baseline, and none is named",
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
fn no_output_replaces_what_is_read_or_another_output() {
    let taken = scratch("taken.pcap");
    fs::copy(package().join(capture("mtls12-success")), &taken).unwrap();
    let before = fs::read(&taken).unwrap();
    let policy = file("kept.toml", "[[rule]]\nmax-failures = 0\n");
    let report = scratch("one-report");
    let twice = format!("json={report},junit={report}");
    let roots = file("kept.pem", "no certificates\n");
    let cases: [(&[&str], &str); 5] = [
        (
            &[
                "--ca-file",
                &roots,
                "--format",
                &format!("json={roots}"),
                &taken,
            ],
            "error: `--format` would replace `ROOTS`, which is a file of trusted roots\n",
        ),
        (
            &["--format", &format!("json={taken}"), &taken],
            "error: `--format` would replace `PATH`, which is one of the captures\n",
        ),
        (
            &["--expect", &taken, "--update", &taken],
            "error: `--expect` would replace `PATH`, which is one of the captures\n",
        ),
        (
            &[
                "--policy",
                &policy,
                "--new-only",
                &policy,
                "--update",
                &taken,
            ],
            "error: `--new-only` would replace `POLICY`, which is the policy\n",
        ),
        (
            &["--format", &twice, &taken],
            "error: two outputs would be written to `REPORT`\n\nhint: give each a file of its own\n",
        ),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        let expected = expected.replace("PATH", &taken).replace("POLICY", &policy);
        let expected = expected.replace("ROOTS", &roots);
        assert_eq!(stderr(&output), expected.replace("REPORT", &report));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(fs::read(&taken).unwrap(), before);
}

#[test]
fn settings_also_come_from_the_environment_and_the_configuration_file() {
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
fn the_number_of_threads_does_not_change_the_report() {
    let day = capture("mtls-day");
    let alone = output(&["--format", "json", &day]);
    let four = output(&["--format", "json", "--threads", "4", &day]);
    assert_eq!(stdout(&alone), stdout(&four));
}

#[test]
fn chains_are_validated_against_the_given_roots() {
    let policy = file(
        "trusted.toml",
        "[[rule]]\nforbidden-findings = ['untrusted_ca', 'incomplete_chain']\n",
    );
    let with = |flags: &[&str]| {
        let capture = capture("mtls-day");
        let arguments = [&["--policy", &policy][..], flags, &[&capture]].concat();
        output(&arguments)
    };
    let broken = with(&["--ca-file", "fixtures/captures/day/mtls-day/ca.pem"]);
    assert_eq!(broken.status.code(), Some(VIOLATED), "{broken:?}");
    let said = stdout(&broken);
    assert!(said.contains("files.example.org"), "{said}");
    assert!(
        said.contains("untrusted_ca, server's `CN=files.example.org"),
        "{said}"
    );
    assert!(!said.contains("shop.example.org"), "{said}");
    let not_judged = with(&[]);
    assert!(
        stdout(&not_judged).contains("chains are not validated"),
        "{not_judged:?}"
    );
}

#[test]
fn a_refused_starttls_and_a_rejected_login_violate_policies_about_failures() {
    let of = |class: &str| {
        let rule = format!("[[rule]]\nmax-failures-of = {{ {class} = 0 }}\n");
        file(&format!("{class}.toml"), &rule)
    };
    for (class, fixture, expected) in [
        (
            "starttls_refused",
            "starttls-postgresql",
            "192.0.2.1:36120 to 192.0.2.10:5433: starttls_refused: server refused SSLRequest",
        ),
        (
            "access_denied",
            "eap-ttls13-wrong-password",
            "access_denied (server), after the handshake: ",
        ),
    ] {
        let output = output(&["--policy", &of(class), &capture(fixture)]);
        assert_eq!(output.status.code(), Some(VIOLATED), "{output:?}");
        assert!(stdout(&output).contains(expected), "{output:?}");
    }
    assert_eq!(
        status(&[
            "--policy",
            &of("unknown_ca"),
            &capture("starttls-postgresql")
        ]),
        HELD
    );
}

#[test]
fn a_rule_may_be_about_one_user_or_device() {
    let policy = |scope: &str| {
        let rule = format!("[[rule]]\nwhere = {{ {scope} }}\nmax-failures = 0\n");
        file("device.toml", &rule)
    };
    for (scope, expected) in [
        ("user-name = 'anonymous'", HELD),
        ("calling-station-id = '02:00:00:00:00:05'", HELD),
        ("calling-station-id = '02:00:00:00:00:06'", VIOLATED), // nothing in scope
    ] {
        let capture = capture("eap-ttls13-wrong-password");
        assert_eq!(
            status(&["--policy", &policy(scope), &capture]),
            expected,
            "{scope}"
        );
    }
}

#[test]
fn the_handshakes_that_an_assertion_does_not_ask_about_are_counted() {
    let policy = file(
        "not-asked.toml",
        "[[rule]]\nname = 'ours'\nwhere = { server-name = '*.example.org' }\nmin-version = 'TLS 1.2'\n\
         [[rule]]\nwhere = { server-name = 'mail.example.org' }\nexpect-failure = { type = 'hostname_mismatch' }\n\
         [[rule]]\nmax-failures = 9\n",
    );
    let day = fixtures::named("mtls-day");
    let roots = day.file("ca.pem").display().to_string();
    let output = output(&["--ca-file", &roots, "--policy", &policy, &day.capture]);
    let text = stdout(&output);
    for expected in [
        "ok       ours (min-version): 0 of 13 handshakes violated it, 1 out of scope, 2 not applicable\n",
        "ended differently, 15 out of scope\n",
        "ok       at most 9 failures: 9 of 15 handshakes failed, 9 allowed, 1 expected to fail\n",
        "on 16 handshakes\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}
