//! `tlscope show`, as a command.
//!
//! What it prints of some fixtures is in `tests/snapshots/show/`. `TLSCOPE_REWRITE_BASELINES=1` rewrites the files: read the
//! change in the diff.

use std::fs;
use std::path::PathBuf;

use crate::captures::split_pcapng;
use crate::support::fixtures::{self, package};
use crate::support::program::{output, printed, stderr, stdout};
use crate::support::scratch;

/// Snapshots: the name of the file, the fixture, and the selector.
const SHOWN: [(&str, &str, Option<&str>); 9] = [
    ("list", "mtls-day", None),
    ("client-refuses-expired", "mtls-day", Some("3")),
    ("mutual-tls", "mtls-day", Some("14")),
    ("inferred-refusal", "mtls-day", Some("11")),
    ("decrypted", "pcapng-secrets", Some("1")),
    ("early-data-rejected", "early-data-hello-retry", Some("2")),
    ("gap", "gap-in-certificate", None),
    ("sslv2", "sslv2-hello", None),
    (
        "login-rejected",
        "eap-ttls13-wrong-password",
        Some("02:00:00:00:00:05"),
    ),
];

#[test]
fn shows_what_the_snapshots_say() {
    let rewrite = std::env::var_os("TLSCOPE_REWRITE_BASELINES").is_some_and(|set| set == "1");
    for (name, fixture, selector) in SHOWN {
        let capture = fixtures::named(fixture).capture;
        let mut arguments = vec!["show", "--no-verify", capture.as_str()];
        arguments.extend(selector);
        let printed = printed(&arguments);
        let path = snapshot(name);
        if rewrite {
            fs::write(&path, &printed).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == expected, "{}:\n{printed}", path.display());
    }
}

#[test]
fn json_has_the_event_with_its_number_and_messages() {
    let day = day();
    let text = printed(&["show", "--no-verify", "--format", "json", &day, "3"]);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&shown["type"], &shown["number"]),
        (&"handshake".into(), &3.into())
    );
    assert_eq!(shown["error"]["type"], "cert_expired");
    let steps = shown["ladder"]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["name"], "ClientHello");
    assert_eq!(
        (&steps[0]["sender"], &steps[0]["bytes"]),
        (&"client".into(), &505.into())
    );
    let all = printed(&["show", "--no-verify", "--format", "json", &day]);
    assert_eq!(all.lines().count(), 16);
}

#[test]
fn wide_does_not_wrap() {
    let day = day();
    let longest = |arguments: &[&str]| {
        let text = printed(&[&["show", "--no-verify", &day, "14"], arguments].concat());
        // Filters and commands are to be copied, so they are never broken.
        let is_copied = |line: &&str| {
            ["ip.addr", "wireshark ", "packets "]
                .iter()
                .any(|word| line.contains(word))
        };
        let lines = text.lines().filter(|line| !is_copied(line));
        lines.map(|line| line.chars().count()).max().unwrap()
    };
    assert!(longest(&[]) <= 110);
    assert!(longest(&["--wide"]) > 300);
}

#[test]
fn a_number_that_the_selection_excludes_or_that_comes_first_is_an_error() {
    let day = day();
    let excluded = output(&["show", "--no-verify", "--outcome", "failure", &day, "1"]);
    assert_eq!(excluded.status.code(), Some(2));
    assert!(stderr(&excluded).starts_with("error: the selection excludes handshake 1"));
    let reversed = output(&["show", "6", &day]);
    let alone = output(&["show", "6"]);
    for output in [reversed, alone] {
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("`tlscope show CAPTURE 6`"),
            "{output:?}"
        );
    }
}

fn snapshot(name: &str) -> PathBuf {
    package().join(format!("tests/snapshots/show/{name}.txt"))
}

fn day() -> String {
    fixtures::named("mtls-day").capture
}

/// The first line of what is shown, and the exit code.
fn headline(arguments: &[&str]) -> (String, Option<i32>) {
    let output = output(&[&["show", "--no-verify"], arguments].concat());
    let line = stdout(&output).lines().next().unwrap_or_default();
    (line.to_owned(), output.status.code())
}

#[test]
fn selects_by_whatever_names_a_handshake() {
    let day = day();
    let expected = (
        "Handshake 3 of 16  FAILED: cert_expired (client)".to_owned(),
        Some(0),
    );
    for selector in [
        "3",
        "765d5fed362279f3",
        "1:BLLB1mn1aDuQwKYkw0c5hy5L/SY=",
        "192.0.2.21:39796",
        "192.0.2.21:39796 -> 198.51.100.20:443",
        "198.51.100.20-192.0.2.21",
    ] {
        assert_eq!(headline(&[&day, selector]), expected, "{selector}");
    }
    for selection in [
        ["--server", "pay.example.org", "--client", "192.0.2.21"],
        ["--since", "08:30", "--until", "2026-11-21T09:00:00Z"],
        ["--error", "cert_expired", "--server-name", "pay.*"],
    ] {
        let arguments = [&selection[..], &[day.as_str()]].concat();
        assert_eq!(headline(&arguments), expected, "{selection:?}");
    }
}

#[test]
fn a_selector_that_fits_several_lists_them_and_is_an_error() {
    let output = output(&["show", "--no-verify", &day(), "pay.example.org"]);
    let rows: Vec<_> = stdout(&output)
        .lines()
        .map(|row| row.split(' ').next())
        .collect();
    assert_eq!(rows.len(), 3, "{output:?}");
    let text = stdout(&output);
    assert!(
        text.contains("\n 3  08:31:05.381") && text.contains("\n13  15:05:12.245"),
        "{text}"
    );
    let error = stderr(&output);
    assert!(
        error.starts_with("error: 2 handshakes match `pay.example.org`\nhint: `tlscope show "),
        "{error}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_capture_of_refused_starttls_has_nothing_to_show_and_says_where_to_look() {
    let capture = fixtures::named("starttls-postgresql").capture;
    for selector in [None, Some("1")] {
        let mut arguments = vec!["show", "-f", "tcp port 5433", capture.as_str()];
        arguments.extend(selector);
        let output = output(&arguments);
        let expected = format!(
            "error: no handshake in the input\n\nhint: a connection did not become TLS: `tlscope read {capture}` says why\n"
        );
        assert_eq!(stderr(&output), expected);
        assert_eq!((stdout(&output), output.status.code()), ("", Some(2)));
    }
}

#[test]
fn what_fits_nothing_is_an_error_that_says_what_there_is() {
    for (selector, expected) in [
        (
            "17",
            "error: no handshake 17\n\nhint: there are 16 handshakes\n",
        ),
        (
            "0",
            "error: cannot select `0`: handshakes are numbered from 1\n",
        ),
        (
            "nobody.example",
            &format!(
                "error: no handshake matches `nobody.example`\n\nhint: it was taken for a name, since there is no such file; `tlscope show {}` lists the 16 handshakes\n",
                day()
            ),
        ),
        (
            "1:BLLB1mn1aDuQwKYkw0c5hy5L/SZ=",
            "error: no handshake matches `1:BLLB1mn1aDuQwKYkw0c5hy5L/SZ=`\n\nhint: it was taken for a Community ID, since ",
        ),
        (
            "1:AAAA=",
            "error: cannot select `1:AAAA=`: it begins as a Community ID, which has 28 characters after `1:`\n",
        ),
        (
            "pay.example.org:https",
            "error: cannot select `pay.example.org:https`: it was taken for `NAME:PORT`, and `https` is not a port\n",
        ),
        (
            "pay.example.org:",
            "error: cannot select `pay.example.org:`: it was taken for `NAME:PORT`, and the port after `:` is missing\n",
        ),
        (
            ":443",
            "error: cannot select `:443`: a port alone is no selector: use `--port 443`\n",
        ),
        (
            "192.0.2.21:99999",
            "error: cannot select `192.0.2.21:99999`: `99999` is not a port\n",
        ),
        (
            "10.0.0.1/24",
            "error: cannot select `10.0.0.1/24`: bits are set beyond the prefix of 24\n",
        ),
    ] {
        let output = output(&["show", "--no-verify", &day(), selector]);
        assert!(stderr(&output).starts_with(expected), "{output:?}");
        assert_eq!(
            (stdout(&output), output.status.code()),
            ("", Some(2)),
            "{selector}"
        );
    }
    let only = fixtures::named("mtls12-success").capture;
    let missed = output(&["show", &only, "nobody.example"]);
    let expected = format!(
        "error: no handshake matches `nobody.example`\n\nhint: it was taken for a name, since there is no such file; `tlscope show {only}` shows the only handshake\n"
    );
    assert_eq!(stderr(&missed), expected);
    let two = output(&["show", &day(), "3", "5"]);
    let expected = "error: `3` is not a file\n\nhint: `show` shows one handshake at a time: select `3` or `5`\n";
    assert_eq!(stderr(&two), expected);
    let output = output(&["show", &day(), "--outcome", "unknown"]);
    assert_eq!(
        stderr(&output),
        "error: the selection excludes all 16 handshakes\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn packets_are_numbered_in_the_file_that_they_are_in() {
    let folder = scratch::folder("show-pieces");
    let whole = fs::read(package().join(day())).unwrap();
    let mut paths = Vec::new();
    for (index, piece) in split_pcapng(&whole, 10).iter().enumerate() {
        let path = folder.join(format!("{index:02}.pcapng"));
        fs::write(&path, piece).unwrap();
        paths.push(path.display().to_string());
    }
    let mut arguments = vec!["show", "--no-verify"];
    arguments.extend(paths.iter().map(String::as_str));
    arguments.push("3");
    let text = printed(&arguments);
    // 25 packets a file: packets 49 to 57 of the whole.
    assert!(text.contains("  a:24  ClientHello"), "{text}");
    assert!(text.contains("   b:1  ◀"), "{text}");
    let ranges: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("  - packets"))
        .collect();
    let expected = [
        format!("  - packets 24 to 24 of a: {}", paths[1]),
        format!("  - packets 1 to 7 of b: {}", paths[2]),
    ];
    assert_eq!(ranges.len(), 2, "{text}");
    for (range, expected) in ranges.iter().zip(expected) {
        assert!(expected.starts_with(*range), "{range}: {expected}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_for_wireshark_works_for_every_name_that_it_can_be_written_for() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let show = |folder: &str, name: &[u8]| {
        let folder = scratch::folder(folder);
        fs::copy(package().join(day()), folder.join(OsStr::from_bytes(name))).unwrap();
        let folder = folder.display().to_string();
        let text = printed(&["show", "--no-verify", &folder, "3"]);
        (folder, text)
    };
    let (folder, text) = show("show-control", b"a\x1b[31m\n'b.pcapng");
    let command = format!("    wireshark -r $'{folder}/a\\033[31m\\012\\'b.pcapng' -g ");
    assert!(text.contains(&command), "{text}");
    let (_, text) = show("show-latin", b"caf\xe9.pcapng");
    assert!(
        text.contains("  - no command: the name of the file is not UTF-8"),
        "{text}"
    );
    assert!(!text.contains("wireshark -r"), "{text}");
}

#[test]
fn key_logs_open_what_is_shown() {
    let folder = "fixtures/captures/resumption/early-data-hello-retry";
    let (capture, keys) = (
        format!("{folder}/capture.pcap"),
        format!("{folder}/keys.log"),
    );
    let text = printed(&["show", "--no-verify", "--keylog", &keys, &capture, "2"]);
    for expected in [
        "╌ EncryptedExtensions",
        "╌ Certificate",
        "Finished ╌",
        "decrypted with the key log",
        "\nCertificate of the server",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
