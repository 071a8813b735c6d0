//! Which handshakes `read` and `check` report, in which order, and a capture without a command.

use std::fs;

use crate::support::fixtures::{self, package};
use crate::support::program::{output, printed, stderr, stdout};
use crate::support::scratch;

fn day() -> String {
    fixtures::named("mtls-day").capture
}

/// The values of one column of CSV, for all handshakes that are selected.
fn column(name: &str, flags: &[&str]) -> Vec<String> {
    let day = day();
    let fixed = ["read", "--no-verify", "--format", "csv", &day];
    let text = printed(&[&fixed[..], flags].concat());
    let mut reader = csv_fields(&text);
    let header = reader.remove(0);
    let index = header.iter().position(|column| column == name).unwrap();
    reader
        .into_iter()
        .map(|mut row| row.remove(index))
        .collect()
}

/// Lines of CSV in fields; the fixture has quotes around fields with commas, and no quotes in them.
fn csv_fields(text: &str) -> Vec<Vec<String>> {
    let fields = |line: &str| {
        let (mut fields, mut is_quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => is_quoted ^= true,
                ',' if !is_quoted => fields.push(String::new()),
                c => fields.last_mut().unwrap().push(c),
            }
        }
        fields
    };
    text.lines().map(fields).collect()
}

#[test]
fn each_flag_selects_the_handshakes_that_have_it() {
    let count = |flags: &[&str]| column("time", flags).len();
    assert_eq!(count(&[]), 16);
    for (flags, expected) in [
        (&["--outcome", "failure"][..], 10),
        (&["--outcome", "failure,success"], 16),
        (&["--error", "cert_expired"], 2),
        (&["--error", "cert_expired", "--error", "unknown_ca"], 3),
        (&["--version", "TLSv1.3"], 5), // one of them was offered, and the server reset the connection
        (&["--version", "1.3", "--outcome", "success"], 2),
        (&["--version", "1.0"], 1), // refused by the server
        (&["--finding", "near_expiry"], 1),
        (&["--finding", "cert_expired,near_expiry"], 3),
        (&["--expires-within", "12"], 2),
        (&["--expires-within", "14"], 3),
        (&["--port", "443"], 16),
        (&["--port", "8443"], 0),
        (&["--client", "192.0.2.34"], 5),
        (&["--client", "192.0.2.0/27"], 5),
        (&["--client", "bob"], 2),
        (&["--server", "api.example.org"], 5),
        (
            &["--server", "198.51.100.10:443", "--outcome", "success"],
            3,
        ),
        (&["--server-name", "shop.*,pay.*"], 4),
        (&["--since", "2026-11-21T12:00:00Z", "--until", "16:00"], 4),
        (
            &[
                "--client",
                "192.0.2.34",
                "--version",
                "1.3",
                "--error",
                "missing_client_cert",
            ],
            1,
        ),
    ] {
        assert_eq!(count(flags), expected, "{flags:?}");
    }
}

#[test]
fn a_selection_of_nothing_is_said() {
    let output = output(&["read", "--format", "rows", "--port", "8443", &day()]);
    assert_eq!(stdout(&output), "");
    assert_eq!(
        stderr(&output),
        "warning: the selection excludes all 16 handshakes\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_evaluates_the_selected_handshakes_only() {
    let policy = scratch::file("selection-policy.toml", b"[[rule]]\nmax-failures = 0\n");
    let status = |flags: &[&str]| {
        let day = day();
        let fixed = ["check", "--no-verify", "--policy", &policy, &day];
        output(&[&fixed[..], flags].concat()).status.code()
    };
    assert_eq!(status(&[]), Some(1));
    assert_eq!(status(&["--server", "shop.example.org"]), Some(0));
    assert_eq!(status(&["--until", "08:20"]), Some(0));
}

#[test]
fn bad_values_are_refused_with_what_to_try() {
    for (flags, expected) in [
        (
            ["--error", "unknown_cb"],
            "did you mean `unknown_ca`? `tlscope print error-types` lists all",
        ),
        (
            ["--error", "near_expiry"],
            "a finding about a certificate, for which no handshake fails: use `--finding near_expiry`",
        ),
        (
            ["--outcome", "fail"],
            "hint: did you mean `failure`? one of `success`, `failure`, `unknown`",
        ),
        (
            ["--version", "1.4"],
            "not a version: SSL 2.0, SSL 3.0, TLS 1.0 to 1.3",
        ),
        (
            ["--client", "10.0.0.1/8"],
            "bits are set beyond the prefix of 8",
        ),
        (
            ["--since", "noon"],
            "not a time as in `2026-03-01T12:00:00Z`",
        ),
    ] {
        let output = output(&[&["read", "x.pcap"], &flags[..]].concat());
        assert!(stderr(&output).contains(expected), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn handshakes_are_sorted_as_asked() {
    let durations = column("handshake_ms", &["--sort", "duration"]);
    let known: Vec<f64> = durations.iter().map_while(|ms| ms.parse().ok()).collect();
    assert_eq!(known.len(), 6);
    assert!(known.is_sorted_by(|a, b| a >= b), "{durations:?}");
    assert!(durations[6..].iter().all(String::is_empty));
    assert!(column("time", &["--sort", "time"]).is_sorted());
    assert!(column("server_name", &["--sort", "server"]).is_sorted());
    let soonest = &column("server_name", &["--sort", "expiry"])[..2];
    assert!(
        soonest.contains(&"pay.example.org".to_owned()),
        "{soonest:?}"
    );
}

#[test]
fn rows_are_the_table_without_its_summary() {
    let rows = printed(&["read", "--no-verify", "--format", "rows", &day()]);
    assert_eq!(rows.lines().count(), 17);
    let table = printed(&["read", "--no-verify", &day()]);
    assert!(table.starts_with(&rows) && table[rows.len()..].starts_with("\n16 handshakes"));
    let sorted = printed(&[
        "read",
        "--no-verify",
        "--format",
        "rows",
        "--sort",
        "duration",
        &day(),
    ]);
    assert!(sorted.starts_with("UTC"), "{sorted}");
    assert!(
        sorted
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("2026-11-21 08:14:40.244"),
        "{sorted}"
    );
}

#[test]
fn rows_name_the_file_if_several_are_read() {
    let (day, other) = (day(), fixtures::named("tls13-rsa").capture);
    let one = printed(&["read", "--format", "rows", &day]);
    assert!(!one.contains("FILE") && !one.contains("capture.pcap"));
    let both = printed(&["read", "--format", "rows", &day, &other]);
    assert!(both.starts_with("2026-11-21 Z FILE "), "{both}");
    for capture in [&day, &other] {
        assert!(both.contains(&format!(" {capture} ")), "{both}");
    }
}

#[test]
fn names_stand_next_to_the_numbers_in_json_on_request() {
    let read = |flags: &[&str]| {
        let day = day();
        let text = printed(&[&["read", "--format", "json", &day], flags].concat());
        let line = text.lines().next().unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    assert!(read(&[])["tls"].get("names").is_none());
    let line = read(&["--names"]);
    assert_eq!(line["tls"]["names"]["offered_versions"][0], "TLS 1.3");
}

#[test]
fn a_capture_without_a_command_is_an_error_that_suggests_read() {
    let copy = scratch::path("selection-a-file");
    fs::copy(package().join(day()), &copy).unwrap();
    for typed in [copy.as_str(), "gone.pcap", "gone.PCAPNG.gz", "-"] {
        let output = output(&[typed]);
        let tip = format!("use `tlscope read {typed}`");
        assert!(stderr(&output).contains(&tip), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
    }
    assert!(!stderr(&output(&["reed"])).contains("tlscope read reed"));
}
