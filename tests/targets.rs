//! `tlscope targets`, as a command, and the configuration in docs/targets.md.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::program::{output, printed, stderr, stdout};
use crate::support::{fixtures, needs, scratch};

const DOCS: &str = include_str!("../docs/targets.md");

/// The contents of the code blocks in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn prints_what_the_documentation_shows() {
    let capture = fixtures::named("tls13-chrome").capture;
    let expected = blocks(DOCS, "json")[0];
    assert_eq!(printed(&["targets", &capture]), expected);
    for format in ["file_sd", "http_sd"] {
        let flags = ["targets", "--hidden", "--format", format, &capture];
        assert_eq!(printed(&flags), expected);
    }
    let text = printed(&["targets", "--format", "text", "--by-address", &capture]);
    assert_eq!(text, "192.0.2.10:443\n");
}

#[test]
fn lists_the_endpoints_of_all_captures_once_for_any_number_of_threads() {
    let captures: Vec<String> = fixtures::all()
        .into_iter()
        .map(|fixture| fixture.capture)
        .collect();
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let run = |flags: &[&str]| {
        let output = output(&[&["targets"], flags, &captures].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let one = run(&[]);
    let groups: Value = serde_json::from_str(&one).unwrap();
    let groups = groups.as_array().unwrap();
    assert!(groups.len() > 5, "{one}");
    assert_eq!(one, run(&["--threads", "4"]));
    let hidden = run(&["--hidden"]);
    let hidden: Value = serde_json::from_str(&hidden).unwrap();
    for group in hidden.as_array().unwrap() {
        assert_eq!(group["labels"]["__meta_tlscope_certificate"], "hidden");
        assert!(groups.contains(group), "{group}");
    }
}

#[test]
fn keys_uncover_certificates() {
    let capture = fixtures::named("pcapng-secrets").capture; // with its secrets
    assert_eq!(printed(&["targets", "--hidden", &capture]), "[]\n");
    let all = printed(&["targets", &capture]);
    assert!(
        all.contains(r#""__meta_tlscope_certificate": "visible""#),
        "{all}"
    );
}

#[test]
fn the_flags_of_read_select() {
    let capture = fixtures::named("mtls-day").capture;
    let flags = ["targets", "--format", "text", "--server-name", "[ad]*"];
    let none = printed(&[&flags[..], &[&capture]].concat());
    assert_eq!(none, "", "brackets are no pattern");
    let flags = [
        "targets",
        "--format",
        "text",
        "--server-name",
        "d?.example.org",
    ];
    let text = printed(&[&flags[..], &[&capture]].concat());
    assert_eq!(text, "db.example.org:443\n");
    for (flag, value, expected) in [
        ("--server", "198.51.100.30", "db.example.org:443\n"),
        ("--error", "unknown_ca", "files.example.org:443\n"),
        ("--until", "2026-11-21 08:03", "api.example.org:443\n"),
        ("--port", "8443", ""),
    ] {
        let text = printed(&["targets", "--format", "text", flag, value, &capture]);
        assert_eq!(text, expected, "{flag} {value}");
    }
}

#[test]
fn an_empty_list_is_explained_on_standard_error() {
    let secrets = fixtures::named("pcapng-secrets").capture;
    let day = fixtures::named("mtls-day").capture;
    for (flags, reason, hint) in [
        (
            ["--hidden", &secrets],
            "the only endpoint shows its certificate",
            "leave out `--hidden`",
        ),
        (
            ["--port=8443", &day],
            "the selection excludes all 16 handshakes",
            "`tlscope read` says",
        ),
    ] {
        let run = output(&[&["targets"], &flags[..]].concat());
        assert_eq!((run.status.code(), stdout(&run)), (Some(0), "[]\n"));
        let expected = format!("warning: the list is empty: {reason}\nhint: {hint}");
        assert!(stderr(&run).starts_with(&expected), "{run:?}");
    }
    // An endpoint that is not listed without `--hidden` either.
    let quic = fixtures::named("quic").capture;
    let run = output(&["targets", "--hidden", &quic]);
    let expected = "warning: 1 endpoint over UDP is not listed: DTLS and QUIC\n\
                    warning: the list is empty: no server sent a ServerHello over TCP\n";
    assert_eq!(stderr(&run), expected);
}

#[test]
fn a_capture_that_cannot_be_read_lists_nothing() {
    let path = scratch::file("targets-not-a-capture", "hello");
    let run = output(&["targets", &path]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(stdout(&run), "");
    assert!(stderr(&run).contains("targets-not-a-capture"), "{run:?}");
}

/// What Prometheus makes of the documented configuration and the targets of a capture.
#[test]
fn prometheus_discovers_the_targets_with_the_documented_configuration() {
    let Some(promtool) = needs::program("promtool") else {
        return;
    };
    let directory = scratch::folder("targets-prometheus");
    let configs = blocks(DOCS, "yaml");
    fs::write(directory.join("prometheus.yml"), configs[0]).unwrap();
    fs::write(directory.join("rules.yml"), configs[2]).unwrap();
    let capture = fixtures::named("mtls-day").capture;
    let mut targets = printed(&["targets", &capture]);
    let starttls = |protocol: &str| {
        let labels = format!(r#"{{"__meta_tlscope_starttls": "{protocol}"}}"#);
        format!(r#"{{"targets": ["{protocol}.example.org:25"], "labels": {labels}}}"#)
    };
    let more = format!("[{}, {}, {{", starttls("smtp"), starttls("ldap"));
    targets = targets.replacen("[\n  {", &more, 1);
    fs::write(directory.join("tls.json"), targets).unwrap();

    let run = |arguments: &[&str]| {
        let mut command = Command::new(&promtool);
        let output = command.current_dir(&directory).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["check", "config", "prometheus.yml"]);
    run(&["check", "rules", "rules.yml"]);
    let found = run(&[
        "check",
        "service-discovery",
        "prometheus.yml",
        "tls-certificates",
    ]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let labels = |address: &str| {
        let mut all = found.as_array().unwrap().iter();
        let target = all.find(|target| target["discoveredLabels"]["__address__"] == address);
        let target = target.unwrap_or_else(|| panic!("{address} is not in {found:#}"));
        target["labels"].clone()
    };
    let direct = labels("api.example.org:443");
    for (label, value) in [
        ("__address__", "127.0.0.1:9115"),
        ("__param_module", "tls"),
        ("__param_target", "api.example.org:443"),
        ("__param_hostname", "api.example.org"),
        ("instance", "api.example.org:443"),
        ("server_name", "api.example.org"),
        ("passive_certificate", "visible"),
    ] {
        assert_eq!(direct[label], value, "{label}");
    }
    let mail = labels("smtp.example.org:25");
    assert_eq!(mail["__param_module"], "smtp_starttls");
    let dropped = labels("ldap.example.org:25");
    assert!(
        dropped.is_null() || dropped == serde_json::json!({}),
        "{dropped}"
    );
}

#[test]
fn blackbox_exporter_accepts_the_documented_modules() {
    let Some(exporter) = needs::program("prometheus-blackbox-exporter") else {
        return;
    };
    let path = scratch::file("targets-blackbox.yml", blocks(DOCS, "yaml")[1]);
    let mut command = Command::new(exporter);
    command.args(["--config.check", "--config.file", &path]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Every label that the help lists is one that targets have, and the other way round.
#[test]
fn help_and_documentation_list_the_labels() {
    let source = include_str!("../src/sink/machine/targets.rs");
    let labels: Vec<&str> = source
        .split("rename = \"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    assert_eq!(labels.len(), 6);
    let help = printed(&["targets", "--help"]);
    for text in [help.as_str(), DOCS] {
        for label in &labels {
            assert!(text.contains(label), "{label} in {text}");
        }
    }
}
