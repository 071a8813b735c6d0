//! Runs the program, and looks at what it prints and how it exits.

#![cfg(feature = "cli")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The program, in an environment without settings of the person who runs the tests.
fn tlscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    tlscope(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A file of this test run's own.
fn file(name: &str, contents: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A capture of one Ethernet frame that carries nothing.
fn capture() -> Vec<u8> {
    let mut pcap = Vec::new();
    pcap.extend(0xa1b2_c3d4_u32.to_le_bytes());
    pcap.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // version 2.4, time zone, accuracy
    pcap.extend(65_535_u32.to_le_bytes()); // snap length
    pcap.extend(1_u32.to_le_bytes()); // Ethernet
    for field in [1_772_366_400_u32, 0, 60, 60] {
        pcap.extend(field.to_le_bytes()); // seconds, microseconds, captured, on the wire
    }
    pcap.extend([0; 60]);
    pcap
}

#[test]
fn a_capture_without_tls_is_no_error() {
    let path = file("without-tls.pcap", &capture());
    let output = output(&["read", &path]);
    assert_eq!(stderr(&output), "");
    assert_eq!(
        stdout(&output),
        "0 handshakes; 1 packet, 0 TCP connections\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn each_format_has_its_frame_even_without_handshakes() {
    let path = file("frame.pcap", &capture());
    for (format, beginning) in [
        ("json", "{\"type\":\"stats\",\"packets\":1,"),
        ("csv", "time,source,flow_id,"),
        ("summary", "0 handshakes;"),
    ] {
        let output = output(&["read", "--format", format, &path]);
        assert!(stdout(&output).starts_with(beginning), "{output:?}");
        assert_eq!(stdout(&output).lines().count(), 1);
    }
}

#[test]
fn reads_standard_input() {
    let mut child = tlscope(&["read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&capture()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).contains("1 packet"), "{output:?}");
}

#[test]
fn a_closed_pipe_is_success_and_silent() {
    let mut child = tlscope(&["read", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(&capture()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_cut_off_at_its_end_is_a_warning() {
    let whole = capture();
    let path = file("cut-off.pcap", &whole[..whole.len() - 1]);
    let output = output(&["read", &path]);
    assert!(stderr(&output).starts_with("warning: "), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_no_output() {
    let output = output(&["read", "no-such-file.pcap"]);
    assert!(
        stderr(&output).starts_with("error: cannot open `no-such-file.pcap`"),
        "{output:?}"
    );
    assert_eq!(stdout(&output), "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_can_be_read_is_reported_beside_what_cannot() {
    let path = file("beside.pcap", &capture());
    let output = output(&["read", "no-such-file.pcap", &path]);
    assert!(stderr(&output).contains("no-such-file.pcap"), "{output:?}");
    assert!(stdout(&output).contains("1 packet"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn bad_usage_is_an_error() {
    for arguments in [
        &["read"][..],
        &[],
        &["read", "--format", "xml", "x"],
        &["reed", "x"],
    ] {
        let output = output(arguments);
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[cfg(feature = "live")]
#[test]
fn a_filter_that_does_not_compile_is_an_error_with_a_hint() {
    let path = file("filter.pcap", &capture());
    let bad = output(&["read", "-f", "tcp prot 443", &path]);
    assert!(
        stderr(&bad).starts_with("error: bad packet filter `tcp prot 443`"),
        "{bad:?}"
    );
    assert!(stderr(&bad).contains("\n\nhint: "), "{bad:?}");
    assert_eq!(bad.status.code(), Some(2));

    let good = output(&["read", "--format", "json", "-f", "tcp port 443", &path]);
    assert!(stdout(&good).contains("\"packets_filtered\":1"), "{good:?}");
}

#[test]
fn the_command_line_wins_over_the_environment_and_the_environment_over_the_file() {
    let path = file("precedence.pcap", &capture());
    let config = file("precedence.toml", b"[read]\nformat = 'json'\n");
    let format = |variable: Option<&str>, flags: &[&str]| {
        let mut command = tlscope(&["read", &path, "--config", &config]);
        command.args(flags);
        if let Some(value) = variable {
            command.env("TLSCOPE_FORMAT", value);
        }
        stdout(&command.output().unwrap())
            .chars()
            .take(4)
            .collect::<String>()
    };
    assert_eq!(format(None, &[]), "{\"ty");
    assert_eq!(format(Some("csv"), &[]), "time");
    assert_eq!(format(Some("csv"), &["--format", "summary"]), "0 ha");
}

#[cfg(live_capture)]
#[test]
fn printed_settings_can_be_read_again() {
    let arguments = [
        "live",
        "-i",
        "eth0,eth1",
        "--near-expiry",
        "14",
        "-f",
        "tcp port 443",
    ];
    let printed = output(&[&arguments[..], &["--print-config"]].concat());
    let config = file("printed.toml", &printed.stdout);
    let again = output(&["live", "--config", &config, "--print-config"]);
    let values = |output: &Output| -> Vec<String> {
        let lines = stdout(output).lines();
        lines
            .map(|line| line.split(" #").next().unwrap().to_owned())
            .collect()
    };
    assert!(
        values(&printed).contains(&"interface = [\"eth0\", \"eth1\"]".to_owned()),
        "{printed:?}"
    );
    assert_eq!(values(&printed), values(&again));
}

#[test]
fn a_mistake_in_the_configuration_file_is_told_with_its_line() {
    let config = file("mistake.toml", b"[read]\nformt = 'json'\n");
    let output = tlscope(&["read", "x.pcap"])
        .env("TLSCOPE_CONFIG", &config)
        .output()
        .unwrap();
    let expected =
        format!("error: unknown key `formt`: {config}:2\n\nhint: did you mean `format`?\n");
    assert_eq!(stderr(&output), expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn colour_is_for_terminals_or_where_asked_for() {
    let path = file("colour.pcap", &capture());
    let plain = output(&["read", &path]);
    let colored = output(&["read", "--color", "always", &path]);
    assert!(!stdout(&plain).contains('\u{1b}'));
    assert!(stdout(&colored).contains('\u{1b}'));
}

#[test]
fn the_schema_is_json() {
    let output = output(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 2);
}

#[test]
fn completions_are_for_the_shell_asked_for() {
    let output = output(&["completions", "bash"]);
    assert!(
        stdout(&output).contains("complete -F _tlscope"),
        "{output:?}"
    );
}

#[cfg(feature = "otel")]
#[test]
fn metrics_go_to_standard_output_where_asked_for() {
    let path = file("metrics.pcap", &capture());
    let output = output(&["read", "--metrics", "stdout", &path]);
    assert!(
        stdout(&output).contains("tls_validation_errors_total"),
        "{output:?}"
    );
}

#[cfg(feature = "otel")]
#[test]
fn an_endpoint_that_cannot_work_is_an_error() {
    let path = file("endpoint.pcap", &capture());
    let output = output(&["read", "--otlp-endpoint", "collector", &path]);
    assert!(stderr(&output).starts_with("error: "), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

/// A fixture's key log with every secret changed, or those of another connection in its place.
fn damaged_keys(fixture: &str, damage: fn(&str) -> String) -> String {
    let log = fs::read_to_string(format!("fixtures/{fixture}/keys.log")).unwrap();
    log.lines().map(|line| damage(line) + "\n").collect()
}

fn first_inference(keys: &str) -> (serde_json::Value, String) {
    let capture = "fixtures/mtls13-success/capture.pcap";
    let output = output(&["read", "--format", "json", "--keylog", keys, capture]);
    assert_eq!(output.status.code(), Some(0));
    let line = stdout(&output).lines().next().unwrap();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    (event, stderr(&output).to_owned())
}

#[test]
fn a_wrong_secret_leaves_the_inferred_verdict_and_is_told() {
    let wrong = damaged_keys("mtls13-success", |line| match line.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &line[..line.len() - 1]),
    });
    let (event, complaint) = first_inference(&file("wrong.keys", wrong.as_bytes()));
    assert_eq!(event["outcome"], "success");
    assert_eq!(event["evidence"], "inferred");
    let observations = event["inference"]["observations"].as_array().unwrap();
    assert_eq!(
        observations.last().unwrap(),
        "the secret given does not open this connection"
    );
    assert_eq!(
        complaint,
        "warning: wrong secrets: what was given for 1 connection does not open it\n"
    );
}

#[test]
fn a_secret_of_another_connection_leaves_the_inferred_verdict_and_is_told() {
    let other = damaged_keys("mtls13-success", |line| {
        let mut fields: Vec<&str> = line.split(' ').collect();
        let random = "5a".repeat(32);
        fields[1] = &random;
        fields.join(" ")
    });
    let (event, complaint) = first_inference(&file("other.keys", other.as_bytes()));
    assert_eq!(event["evidence"], "inferred");
    let observations = event["inference"]["observations"].as_array().unwrap();
    assert_eq!(
        observations.last().unwrap(),
        "no secret given belongs to this connection"
    );
    assert!(complaint.contains("no secret given belongs"), "{complaint}");
}

#[test]
fn the_packets_of_a_failure_tell_the_same_failure_again() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("saved-failures");
    let _ = fs::remove_dir_all(&directory);
    let folder = directory.to_str().unwrap();
    let events = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let lines = stdout(&output)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|event: &serde_json::Value| event["type"] == "handshake")
            .collect()
    };
    let read = ["read", "--no-verify", "--format", "json", "--failures-only"];
    let capture = "fixtures/mtls-day/capture.pcapng";
    let told = events(&[&read[..], &["--save-failures", folder, capture]].concat());
    assert!(told.len() >= 3, "{told:?}");
    for event in &told {
        let saved = event["saved_to"].as_str().unwrap();
        let again = events(&[&read[..], &[saved]].concat());
        assert_eq!(again.len(), 1, "{saved}");
        for field in [
            "time",
            "flow_id",
            "client",
            "server",
            "error",
            "alerts",
            "tls",
            "timing_ms",
        ] {
            assert_eq!(again[0][field], event[field], "{saved}: {field}");
        }
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), told.len());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let blocked = file("not-a-directory", b"") + "/failures";
    let output = output(&[
        "read",
        "--save-failures",
        &blocked,
        "fixtures/mtls-day/capture.pcapng",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&blocked), "{}", stderr(&output));
}

#[test]
fn certificates_that_cannot_be_written_end_no_run_and_are_told_in_the_end() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("extract-blocked");
    let _ = fs::remove_dir_all(&directory);
    let folder = directory.to_str().unwrap();
    let extract = || {
        let capture = "fixtures/mtls-day/capture.pcapng";
        output(&["read", "--no-verify", "--extract-certs", folder, capture])
    };
    let whole = extract();
    assert_eq!(whole.status.code(), Some(0), "{}", stderr(&whole));
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap(); // no file can have this name now
    }
    let blocked = extract();
    assert_eq!(blocked.status.code(), Some(2));
    assert_eq!(stdout(&blocked), stdout(&whole), "all else is as it was");
    let said = stderr(&blocked);
    assert_eq!(said.matches("warning: cannot write `").count(), 1, "{said}");
    assert!(said.contains("certificates without a file: "), "{said}");
}
