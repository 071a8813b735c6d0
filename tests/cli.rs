//! Runs the program, and checks what it prints and how it exits.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::support::fixtures;
use crate::support::program::{output, printed, stderr, stdout, tlscope};
use crate::support::scratch::{file, folder, path};

/// A capture of one empty Ethernet frame.
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
fn the_short_help_leaves_environment_variables_to_the_long_one() {
    for command in ["read", "show", "check", "targets"] {
        let [short, long] = ["-h", "--help"].map(|flag| output(&[command, flag]));
        assert!(stdout(&short).contains("--client"), "{short:?}");
        assert!(!stdout(&short).contains("TLSCOPE_"), "{short:?}");
        assert!(stdout(&long).contains("TLSCOPE_CLIENT"), "{long:?}");
    }
}

#[test]
fn a_capture_without_tls_is_not_an_error() {
    let path = file("without-tls.pcap", capture());
    let output = output(&["read", &path]);
    assert_eq!(stderr(&output), "");
    assert_eq!(stdout(&output), "0 handshakes; 1 packet, 0 connections\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn each_format_is_complete_even_without_handshakes() {
    let path = file("frame.pcap", capture());
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
fn empty_standard_input_is_named() {
    let output = output(&["read", "-"]);
    let expected = "error: standard input is empty; `tcpdump -U` writes each packet at once\n";
    assert_eq!(stderr(&output), expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn no_output_replaces_a_file_that_is_an_input() {
    let captures = folder("inputs");
    let own = |name: &str| captures.join(name).to_str().unwrap().to_owned();
    let (capture, config) = (own("a.pcap"), own("settings.toml"));
    fs::write(&capture, self::capture()).unwrap();
    fs::write(&config, "[read]\nformat = 'summary'\n").unwrap();
    let roots = folder("inputs-roots");
    let root = roots.join("root.pem").to_str().unwrap().to_owned();
    fs::copy("fixtures/captures/day/mtls-day/ca.pem", &root).unwrap();
    let (captures, roots) = (captures.to_str().unwrap(), roots.to_str().unwrap());
    let in_json = format!("json={root}");
    let cases: [(&[&str], String); 4] = [
        (
            &["--config", &config, "read", "--report", &config, &capture],
            format!("`--report` would replace `{config}`, which is the configuration file"),
        ),
        (
            &["read", "--ca-dir", roots, "--report", &root, &capture],
            format!("`--report` would replace `{root}`, which is a file of trusted roots"),
        ),
        (
            &["check", "--ca-dir", roots, "--format", &in_json, &capture],
            format!("`--format` would replace `{root}`, which is a file of trusted roots"),
        ),
        (
            &["read", "--report", &capture, captures],
            format!("`--report` would replace `{capture}`, which is one of the captures"),
        ),
    ];
    let contents = || [&capture, &config, &root].map(|path| fs::read(path).unwrap());
    let before = contents();
    for (arguments, expected) in &cases {
        let output = output(arguments);
        assert_eq!(
            stderr(&output),
            format!("error: {expected}\n"),
            "{arguments:?}"
        );
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert!(contents() == before);
    // A report next to the captures is not one of them, also when it is written for the second time.
    for _ in 0..2 {
        let output = output(&[
            "read",
            "--report",
            &format!("{captures}/report.html"),
            captures,
        ]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[cfg(live_capture)]
#[test]
fn a_live_run_does_not_append_to_what_it_reads() {
    let keys = file("live-input.keys", b"CLIENT_RANDOM\n");
    let config = file("live-input.toml", b"[live]\nformat = 'json'\n");
    let live = |arguments: &[&str]| {
        output(&[&["live", "-i", "lo", "--duration", "1"], arguments].concat())
    };
    let refused = live(&["--keylog", &keys, "--output", &keys]);
    let expected = format!("error: `--output` would append to `{keys}`, which is a key log\n");
    assert_eq!(stderr(&refused), expected);
    let refused = live(&["--config", &config, "--output", &config]);
    let expected =
        format!("error: `--output` would append to `{config}`, which is the configuration file\n");
    assert_eq!(stderr(&refused), expected);
    assert_eq!(fs::read(&keys).unwrap(), b"CLIENT_RANDOM\n");
}

#[test]
fn an_option_without_effect_is_warned_of() {
    let path = file("without-effect.pcap", capture());
    let said = output(&["read", "--save-failures-keep", "3", &path]);
    let expected = "warning: `--save-failures-keep` has no effect without `--save-failures`\n";
    assert_eq!(stderr(&said), expected);
    assert_eq!(said.status.code(), Some(0));
    let from_environment = tlscope(&["read", &path])
        .env("TLSCOPE_SAVE_FAILURES_KEEP", "3")
        .output()
        .unwrap();
    assert_eq!(stderr(&from_environment), "");
}

#[test]
fn a_system_error_is_words_without_a_number() {
    let path = file("words.pcap", capture());
    let taken = file("words.taken", b"a file");
    let output = output(&["read", "--save-failures", &taken, &path]);
    let expected =
        format!("error: cannot save failures in `{taken}`: it exists, and is not a directory\n");
    assert_eq!(stderr(&output), expected);
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
fn a_file_that_can_be_read_is_reported_next_to_one_that_cannot() {
    let path = file("neighbour.pcap", capture());
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
    let path = file("filter.pcap", capture());
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
    let path = file("precedence.pcap", capture());
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
fn printed_settings_can_be_read_back() {
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
    let values = |output: &std::process::Output| -> Vec<String> {
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
fn a_mistake_in_the_configuration_file_is_reported_with_its_line() {
    let config = file("mistake.toml", b"[read]\nformt = 'json'\n");
    let output = tlscope(&["read", "x.pcap"])
        .env("TLSCOPE_CONFIG", &config)
        .output()
        .unwrap();
    let expected =
        format!("error: {config}:2: unknown key `formt`\n\nhint: did you mean `format`?\n");
    assert_eq!(stderr(&output), expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let path = file("colour.pcap", capture());
    let plain = output(&["read", &path]);
    let colored = output(&["read", "--color", "always", &path]);
    assert!(!stdout(&plain).contains('\u{1b}'));
    assert!(stdout(&colored).contains('\u{1b}'));
}

#[test]
fn the_schema_is_json() {
    let output = output(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 3);
}

#[test]
fn completions_are_for_the_requested_shell() {
    let output = output(&["completions", "bash"]);
    assert!(
        stdout(&output).contains("complete -F _tlscope"),
        "{output:?}"
    );
}

#[cfg(feature = "otel")]
#[test]
fn metrics_go_to_standard_output_on_request() {
    let path = file("metrics.pcap", capture());
    let output = output(&["read", "--metrics", "stdout", &path]);
    assert!(
        stdout(&output).contains("tls_handshake_total"),
        "{output:?}"
    );
}

#[cfg(feature = "otel")]
#[test]
fn a_metric_counts_peers_that_were_refused_after_the_handshake() {
    let capture = fixtures::named("mtls13-refused-by-http").capture;
    let output = output(&["read", "--no-verify", "--metrics", "stdout", &capture]);
    let series = r#"tls_handshake_rejected_after_total{error_type="missing_client_cert",tls_side="server"} 1"#;
    assert!(stdout(&output).contains(series), "{output:?}");
}

#[cfg(feature = "otel")]
#[test]
fn an_invalid_endpoint_is_an_error() {
    let path = file("endpoint.pcap", capture());
    let output = output(&["read", "--otlp-endpoint", "collector", &path]);
    assert!(stderr(&output).starts_with("error: "), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

/// The fixture's key log with every secret changed, or those of another connection in its place.
fn damaged_keys(damage: fn(&str) -> String) -> String {
    let log = fs::read_to_string(fixtures::named("mtls13-success").file("keys.log")).unwrap();
    log.lines().map(|line| damage(line) + "\n").collect()
}

fn first_inference(keys: &str) -> (serde_json::Value, String) {
    let capture = fixtures::named("mtls13-success").capture;
    let output = output(&["read", "--format", "json", "--keylog", keys, &capture]);
    assert_eq!(output.status.code(), Some(0));
    let line = stdout(&output).lines().next().unwrap();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    (event, stderr(&output).to_owned())
}

#[test]
fn a_wrong_secret_leaves_the_inferred_verdict_and_is_reported() {
    let wrong = damaged_keys(|line| match line.strip_suffix('0') {
        Some(start) => format!("{start}1"),
        None => format!("{}0", &line[..line.len() - 1]),
    });
    let (event, complaint) = first_inference(&file("wrong.keys", wrong.as_bytes()));
    assert_eq!(event["outcome"], "success");
    assert_eq!(event["evidence"], "inferred");
    let observations = event["inference"]["observations"].as_array().unwrap();
    assert_eq!(
        observations.last().unwrap(),
        "the secret does not decrypt this connection"
    );
    let keys = path("wrong.keys");
    assert_eq!(
        complaint,
        format!(
            "warning: the secrets in `{keys}` for 1 connection are wrong: they do not decrypt what was captured\n"
        )
    );
}

#[test]
fn damaged_lines_among_the_secrets_are_counted_and_the_others_used() {
    let whole = damaged_keys(str::to_owned);
    let damaged = format!("{whole}not a secret at all\nCLIENT_RANDOM 5a5a 12\n# a comment\n");
    let (event, complaint) = first_inference(&file("damaged.keys", damaged.as_bytes()));
    assert_eq!(event["evidence"], "decrypted");
    let keys = path("damaged.keys");
    assert_eq!(
        complaint,
        format!("warning: 2 lines of the secrets in `{keys}` are damaged and were skipped\n")
    );
}

#[test]
fn a_key_log_without_secrets_gets_one_warning_which_names_it() {
    let useless = file("useless.keys", b"not a secret at all\nnor this\n");
    let (_, complaint) = first_inference(&useless);
    let said = format!("warning: no TLS secrets in key log `{useless}`\n");
    assert_eq!(complaint.matches("warning: ").count(), 1, "{complaint}");
    assert_eq!(complaint, said);
}

#[test]
fn a_secret_of_another_connection_leaves_the_inferred_verdict_and_is_reported() {
    let other = damaged_keys(|line| {
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
    let keys = path("other.keys");
    assert_eq!(
        complaint,
        format!(
            "warning: no secret in `{keys}` belongs to the encrypted connection: the key log may be of another run\n"
        )
    );
}

#[test]
fn the_saved_packets_of_a_failure_show_the_same_failure() {
    let directory = folder("saved-failures").join("new");
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
    let capture = "fixtures/captures/day/mtls-day/capture.pcapng";
    let failures = events(&[&read[..], &["--save-failures", folder, capture]].concat());
    assert!(failures.len() >= 3, "{failures:?}");
    for event in &failures {
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
    assert_eq!(fs::read_dir(&directory).unwrap().count(), failures.len());
}

#[test]
fn a_refusal_after_the_handshake_is_saved_with_the_answer_that_shows_it() {
    let refused = "fixtures/captures/negotiation/mtls13-refused-by-http/capture.pcap";
    let directory = folder("saved-refusals").join("new");
    let read = ["read", "--no-verify", "--format", "json", "--failures-only"];
    let event = |arguments: &[&str]| -> serde_json::Value {
        let output = output(&[&read[..], arguments].concat());
        serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap()
    };
    let first = event(&["--save-failures", directory.to_str().unwrap(), refused]);
    let saved = first["saved_to"].as_str().unwrap();
    let cause = first["rejected_after"]["type"].as_str().unwrap();
    assert!(saved.contains(cause), "{saved}");
    let again = event(&[saved]);
    for field in ["outcome", "rejected_after", "tls", "flow_id"] {
        assert_eq!(again[field], first[field], "{field}");
    }
}

#[test]
fn failures_only_shows_a_success_whose_peer_was_refused_afterwards() {
    let refused = "fixtures/captures/negotiation/mtls13-refused-by-http/capture.pcap";
    let accepted = "fixtures/captures/versions/tls13-rsa/capture.pcap";
    let read = |format| {
        let read = ["read", "--no-verify", "--failures-only", "--format", format];
        let output = output(&[&read[..], &[refused, accepted]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output).to_owned()
    };
    let table = read("table");
    assert!(
        table.contains("rejected after the handshake: missing_client_cert (server)"),
        "{table}"
    );
    let json = read("json");
    let lines = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let handshakes: Vec<_> = lines.filter(|line| line["type"] == "handshake").collect();
    assert_eq!(handshakes.len(), 1, "the other one succeeded: {json}");
    assert_eq!(handshakes[0]["outcome"], "success");
    assert_eq!(handshakes[0]["rejected_after"]["side"], "server");
    assert_eq!(
        handshakes[0]["rejected_after"]["type"],
        "missing_client_cert"
    );
}

#[test]
fn a_directory_that_cannot_be_created_is_named() {
    let blocked = file("not-a-directory", b"") + "/failures";
    let output = output(&[
        "read",
        "--save-failures",
        &blocked,
        "fixtures/captures/day/mtls-day/capture.pcapng",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&blocked), "{}", stderr(&output));
}

#[test]
fn certificates_that_cannot_be_written_do_not_stop_the_run_and_are_reported_at_its_end() {
    let directory = folder("extract-blocked").join("new");
    let folder = directory.to_str().unwrap();
    let extract = || {
        let capture = "fixtures/captures/day/mtls-day/capture.pcapng";
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
    assert_eq!(stdout(&blocked), stdout(&whole), "the rest is unchanged");
    let warnings = stderr(&blocked);
    assert_eq!(
        warnings.matches("warning: cannot write `").count(),
        1,
        "{warnings}"
    );
    assert!(
        warnings.contains("certificates without a file: "),
        "{warnings}"
    );
}

#[test]
fn schema_prints_one_of_two_schemas() {
    for (flags, title) in [
        (&["schema"][..], "Line"),
        (&["schema", "--policy"], "Policy of tlscope check"),
    ] {
        let output = output(flags);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(schema["title"], title);
    }
    // A variable that other commands read must not break this one.
    let mut command = tlscope(&["schema", "--policy"]);
    let output = command.env("TLSCOPE_POLICY", "tlscope.toml").output();
    assert!(output.unwrap().status.success());
}

/// Handshakes of a capture with VXLAN at port 9000, by the tunnels that they name; and what was printed on standard error.
fn in_tunnels_at_port_9000(args: &[&str], environment: &[(&str, &str)]) -> (Vec<String>, String) {
    let capture = fixtures::named("tunnel-vxlan-other-port").capture;
    let mut command = tlscope(&["read", "--format", "json", "--no-verify"]);
    command.args(args).arg(&capture);
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = stdout(&output);
    let events = events.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        (event["type"] == "handshake").then(|| event["tunnel"].to_string())
    });
    (events.collect(), stderr(&output).to_owned())
}

#[test]
fn a_tunnel_at_an_unusual_port_is_read_if_the_port_is_given() {
    let (none, warning) = in_tunnels_at_port_9000(&[], &[]);
    assert!(none.is_empty());
    assert!(
        warning.contains("25 of 25 packets were not understood"),
        "{warning}"
    );
    let several = [
        "--tunnel-port",
        "geneve=none",
        "--tunnel-port",
        "vxlan=4789,9000",
    ];
    let variable = [("TLSCOPE_TUNNEL_PORT", "vxlan=9000")];
    for given in [
        in_tunnels_at_port_9000(&["--tunnel-port", "vxlan=9000"], &[]),
        in_tunnels_at_port_9000(&several, &[]),
        in_tunnels_at_port_9000(&[], &variable),
    ] {
        let (tunnels, warning) = given;
        assert_eq!(tunnels, [r#"["vxlan:4202"]"#]);
        assert_eq!(warning, "");
    }
}

#[test]
fn a_port_of_another_tunnel_shows_no_handshake() {
    let (none, _) = in_tunnels_at_port_9000(&["--tunnel-port", "geneve=9000"], &[]);
    assert!(none.is_empty());
}

#[test]
fn an_error_about_an_environment_variable_names_it() {
    let error_of = |flags: &[&str]| {
        let mut command = tlscope(&[&["read", "capture.pcap"], flags].concat());
        let output = command.env("TLSCOPE_NEAR_EXPIRY", "soon").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output).to_owned()
    };
    let expected = "error: invalid value `soon` for `TLSCOPE_NEAR_EXPIRY`: ";
    assert!(error_of(&[]).starts_with(expected));
    let expected = "error: invalid value `later` for `--near-expiry`: ";
    assert!(error_of(&["--near-expiry", "later"]).starts_with(expected));
}

#[test]
fn the_printed_error_types_are_all_that_there_are() {
    let text = printed(&["print", "error-types"]);
    for class in tlscope::event::ErrorType::ALL {
        assert!(text.contains(&format!("`{class}`")), "{class}");
    }
}

/// What `tlscope` says on standard error; it must exit with `code`.
fn said(code: i32, arguments: &[&str]) -> String {
    let output = output(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {output:?}"
    );
    stderr(&output).to_owned()
}

#[test]
fn a_selection_between_a_time_and_an_earlier_one_is_an_error() {
    let path = file("times.pcap", capture());
    let [noon, night] = ["12:00", "23:00"];
    let expected = "error: `--since` is not before `--until`: no handshake can match\n";
    for command in ["read", "show", "check", "targets"] {
        for times in [["2026-03-02", "2026-03-01"], [night, noon], [noon, noon]] {
            let [since, until] = times;
            let said = said(2, &[command, "--since", since, "--until", until, &path]);
            assert!(said.starts_with(expected), "{said}");
            let is_of_day = said.contains("hint: times without a date do not go past midnight");
            assert_eq!(is_of_day, until == noon, "{said}");
        }
    }
    assert_eq!(
        said(0, &["read", "--since", noon, "--until", night, &path]),
        ""
    );
    assert_eq!(
        said(
            0,
            &["read", "--since", "2026-03-01", "--until", noon, &path]
        ),
        ""
    );
}

#[test]
fn a_selector_in_place_of_a_capture_is_answered_with_show() {
    let path = file("selector a.pcap", capture());
    for selector in [
        "11",
        "765d5fed362279f3",
        "1:BLLB1mn1aDuQwKYkw0c5hy5L/SY=",
        "api.example.org:443",
        "192.0.2.21:39796",
    ] {
        for command in ["read", "check"] {
            let said = said(2, &[command, &path, selector]);
            let hint = format!(
                "hint: if `{selector}` selects a handshake, use `tlscope show '{path}' {selector}`\n"
            );
            assert!(said.ends_with(&hint), "{said}");
        }
    }
    // A name may be that of a file, and a first argument is none of a selection.
    for arguments in [["read", &path, "other.pcap"], ["read", "11", "12"]] {
        let said = said(2, &arguments);
        let is_hinted = said.contains("tlscope show ");
        assert_eq!(is_hinted, arguments[1] == "11", "{said}");
    }
}

#[test]
fn standard_input_is_read_once() {
    let expected = "error: `-` is given more than once: standard input can be read only once\n";
    for command in ["read", "show", "check", "targets"] {
        assert_eq!(said(2, &[command, "-", "-"]), expected, "{command}");
    }
    let expected =
        "error: `-` is one of the captures and the policy: standard input can be read only once\n";
    assert_eq!(said(2, &["check", "--policy", "-", "-"]), expected);
}

#[test]
fn a_variable_with_a_typing_error_is_warned_of() {
    let path = file("variable.pcap", capture());
    let output = tlscope(&["read", &path])
        .env("TLSCOPE_FROMAT", "json")
        .env("TLSCOPE_TEST_OTHER", "1")
        .output()
        .unwrap();
    let expected = "warning: the environment variable `TLSCOPE_FROMAT` has no effect: did you mean `TLSCOPE_FORMAT`?\n";
    assert_eq!(stderr(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn settings_in_another_language_are_refused_in_one_line() {
    let path = file("languages.pcap", capture());
    for (name, text, what) in [
        ("settings.yaml", "read:\n  format: json\n", "YAML"),
        (
            "settings.json",
            "{\"read\": {\"format\": \"json\"}}\n",
            "JSON",
        ),
    ] {
        let settings = file(name, text);
        let said = said(2, &["--config", &settings, "read", &path]);
        let expected = format!(
            "error: `{settings}` looks like {what}: `--config` reads settings in TOML\n\nhint: write a table for each command, \
             as in `[read]`, and below it `wide = true`\n"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn certificates_are_not_extracted_to_where_roots_are_trusted() {
    let path = file("extracted.pcap", capture());
    let roots = folder("extracted-roots");
    let roots = roots.to_str().unwrap();
    let dotted = format!("{roots}/.");
    let said = said(
        2,
        &["read", "--ca-dir", roots, "--extract-certs", &dotted, &path],
    );
    let expected = format!(
        "error: `--extract-certs` would write to `{dotted}`, whose certificates `--ca-dir` trusts\n\n\
         hint: certificates from the traffic would become trusted roots: name another directory\n"
    );
    assert_eq!(said, expected);
    assert_eq!(fs::read_dir(roots).unwrap().count(), 0);
}

#[cfg(live_capture)]
#[test]
fn rotation_does_not_replace_what_the_run_reads() {
    let folder = folder("rotated-input");
    let own = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (events, keys, kept) = (own("events"), own("events.2"), own("events.12"));
    for path in [&keys, &kept] {
        fs::write(path, b"CLIENT_RANDOM\n").unwrap();
    }
    let live = |arguments: &[&str]| {
        let common = ["live", "-i", "no-such-interface", "--output", &events];
        said(2, &[&common, arguments].concat())
    };
    let expected = format!(
        "error: `--output` would replace, when it is rotated, `{keys}`, which is a key log\n"
    );
    assert_eq!(live(&["--keylog", &keys]), expected);
    // Ten rotated files are kept, so the twelfth is not one of them; the interface is what fails then.
    for other in [
        &["--keylog", &kept][..],
        &["--keylog", &keys, "--rotate-keep", "1"],
    ] {
        let said = live(other);
        assert!(said.contains("no-such-interface"), "{said}");
    }
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    let capture = fixtures::named("mtls-day").capture;
    let shown = |arguments: &[&str], locale: &str| {
        let output = tlscope(arguments).env("LC_ALL", locale).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        stdout(&output).to_owned()
    };
    let show = ["show", "--no-verify", &capture, "11"];
    let plain = shown(&show, "C");
    assert!(plain.is_ascii(), "{plain}");
    let beginning = "   0.000     155  ClientHello -----";
    assert!(
        plain.contains(beginning) && plain.contains("--->    512\n"),
        "{plain}"
    );
    assert!(plain.contains("encrypted record ....."), "{plain}");
    let unicode = shown(&show, "C.UTF-8");
    assert!(unicode.contains("───▶"), "{unicode}");
    assert_eq!(plain.chars().count(), unicode.chars().count());
    assert_eq!(printed(&show), unicode, "without a locale");
    // Output for programs does not depend on the locale.
    let json = ["read", "--no-verify", "--format", "json", &capture];
    assert_eq!(shown(&json, "C"), shown(&json, "C.UTF-8"));
}

#[test]
fn an_output_that_cannot_be_written_ends_the_run() {
    if !std::path::Path::new("/dev/full").exists() {
        return; // Linux and some others have it
    }
    let capture = fixtures::named("mtls-day").capture;
    let expected = "error: cannot write to standard output: no space left on device\n";
    for format in ["table", "json", "csv", "certs", "cbom", "summary"] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = tlscope(&["read", "--no-verify", "--format", format, &capture])
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(stderr(&output), expected, "{format}");
        assert_eq!(output.status.code(), Some(2), "{format}");
    }
}

#[test]
fn a_capture_that_is_given_twice_is_warned_of() {
    let path = file("twice.pcap", capture());
    let expected =
        format!("warning: `{path}` is given more than once: its packets are read twice\n");
    assert_eq!(said(0, &["read", &path, &path]), expected);
    assert_eq!(said(0, &["read", &path]), "");
}

#[test]
fn roots_in_place_of_a_capture_are_answered_with_their_option() {
    let roots = "fixtures/captures/day/mtls-day/ca.pem";
    let expected = format!(
        "error: `{roots}` looks like text, not a capture (pcap or pcapng)\n\
         hint: if `{roots}` has trusted roots, use `--ca-file {roots}`\n"
    );
    for command in ["read", "check"] {
        assert_eq!(said(2, &[command, roots]), expected);
    }
}
