//! The flags for certificates, tested with `mtls-day`. Its CA is in `ca.pem` in the same folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::making::has_openssl;
use crate::support::program::{output, stderr, stdout, tlscope};
use crate::support::scratch;

const CAPTURE: &str = "fixtures/captures/day/mtls-day/capture.pcapng";
const CA: &str = "fixtures/captures/day/mtls-day/ca.pem";

fn read(arguments: &[&str]) -> Output {
    output(&[&["read"], arguments].concat())
}

fn text(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    stdout(output)
}

/// Each finding of this class, with its server name and the side.
fn found(class: &str, flags: &[&str]) -> Vec<String> {
    let output = read(&[&["--format", "json", CAPTURE], flags].concat());
    let mut found = Vec::new();
    for line in text(&output).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for finding in event["validation"].as_array().into_iter().flatten() {
            if finding["error_type"] == class {
                let name = event["tls"]["server_name"].as_str().unwrap();
                found.push(format!("{name} {}", finding["side"].as_str().unwrap()));
            }
        }
    }
    found
}

#[test]
fn chains_are_validated_against_the_given_roots() {
    let untrusted = found("untrusted_ca", &["--ca-file", CA]);
    assert_eq!(untrusted, ["files.example.org server"]);
    assert!(found("untrusted_ca", &["--no-verify"]).is_empty());
    let folder = scratch::folder("ca-dir");
    fs::copy(CA, folder.join("5ed36f99.0")).unwrap();
    fs::write(folder.join("README"), "no certificate").unwrap();
    let untrusted = found("untrusted_ca", &["--ca-dir", folder.to_str().unwrap()]);
    assert_eq!(untrusted, ["files.example.org server"]);
}

#[test]
fn expiry_is_reported_with_and_without_roots() {
    for flags in [&["--no-verify"][..], &["--ca-file", CA]] {
        let expired = found("cert_expired", flags);
        assert_eq!(
            expired,
            ["pay.example.org server", "api.example.org client"]
        );
    }
    let at = ["--ca-file", CA, "--at", "2026-11-01T00:00:00Z"];
    assert!(found("cert_expired", &at).is_empty());
    assert_eq!(found("untrusted_ca", &at), ["files.example.org server"]);
}

#[test]
fn near_expiry_depends_on_days_and_on_the_share_of_the_lifetime() {
    let near = |days, share| {
        let flags = [
            "--no-verify",
            "--near-expiry",
            days,
            "--near-expiry-share",
            share,
        ];
        found("near_expiry", &flags)
    };
    // shop.example.org has 13.5 of 92 days left.
    assert_eq!(near("30", "33"), ["shop.example.org server"]);
    assert_eq!(near("14", "15"), ["shop.example.org server"]);
    assert!(near("13", "33").is_empty());
    assert!(near("30", "14").is_empty());
}

#[test]
fn the_number_of_threads_changes_no_finding() {
    let with = |threads| {
        let output = read(&[
            "--format",
            "json",
            "--ca-file",
            CA,
            "--threads",
            threads,
            CAPTURE,
        ]);
        text(&output).to_owned()
    };
    assert_eq!(with("1"), with("4"));
}

#[test]
fn invalid_roots_are_an_error_with_the_reason() {
    let folder = scratch::folder("roots");
    let file = |name: &str, contents: &str| {
        let path = folder.join(name);
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let cases = [
        ("--ca-file", file("empty.pem", ""), "no certificate in it"),
        (
            "--ca-file",
            file("broken.pem", broken),
            "as trusted roots: ",
        ),
        (
            "--ca-file",
            "no-such-file".to_owned(),
            "cannot read roots from `no-such-file`",
        ),
        (
            "--ca-dir",
            scratch::folder("empty").to_str().unwrap().to_owned(),
            "no file of certificates in",
        ),
    ];
    for (flag, path, reason) in cases {
        let output = read(&[flag, &path, CAPTURE]);
        let message = stderr(&output);
        assert!(
            message.starts_with("error: ") && message.contains(reason),
            "{message}"
        );
        assert!(output.stdout.is_empty());
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_system_without_roots_is_a_warning_if_there_are_chains() {
    let read = |capture: &str| {
        tlscope(&["read", "--format", "json", capture])
            .env("SSL_CERT_FILE", "/nonexistent")
            .output()
            .unwrap()
    };
    let warned = read(CAPTURE);
    let message = stderr(&warned);
    assert!(
        message.starts_with("warning: chains were not validated"),
        "{message}"
    );
    assert!(!text(&warned).contains("untrusted_ca"));
    let silent = read("fixtures/captures/versions/tls13-rsa/capture.pcap");
    assert!(silent.stderr.is_empty(), "{silent:?}");
}

#[test]
fn each_certificate_is_extracted_once_with_an_index() {
    let folder = scratch::folder("extracted").join("new");
    let output = read(&[
        "--format",
        "certs",
        "--ca-file",
        CA,
        "--extract-certs",
        folder.to_str().unwrap(),
        CAPTURE,
    ]);
    let table = text(&output);
    assert!(table.starts_with("9 certificates, as of "), "{table}");
    let index = fs::read(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["omitted"], 0);
    let certificates = index["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 9);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 10);
    for certificate in certificates {
        let file = certificate["file"].as_str().unwrap();
        let pem = fs::read_to_string(folder.join(file)).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"), "{pem}");
        let common_name = certificate["subject"]
            .as_str()
            .unwrap()
            .split([',', '='])
            .nth(1);
        assert!(table.contains(common_name.unwrap()));
        if has_openssl() {
            assert_fingerprint(&folder.join(file), certificate["sha256"].as_str().unwrap());
        }
    }
    let issuing = certificates
        .iter()
        .find(|certificate| certificate["roles"][0] == "intermediate")
        .unwrap();
    assert_eq!(issuing["handshakes"], 10);
    let pem = fs::read(folder.join(issuing["file"].as_str().unwrap())).unwrap();
    assert_eq!(pem, fs::read(CA).unwrap());
}

#[test]
fn a_directory_that_cannot_be_created_is_an_error() {
    let folder = scratch::folder("not-made");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("below");
    let output = read(&["--extract-certs", below.to_str().unwrap(), CAPTURE]);
    let message = stderr(&output);
    assert!(message.starts_with("error: cannot write `"), "{message}");
    assert_eq!(output.status.code(), Some(2));
}

/// Compares a file's fingerprint with the one that openssl prints.
fn assert_fingerprint(path: &Path, sha256: &str) {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(path)
        .output()
        .unwrap();
    let fingerprint = String::from_utf8(output.stdout).unwrap();
    let (_, fingerprint) = fingerprint.trim_end().split_once('=').unwrap();
    assert_eq!(fingerprint.replace(':', "").to_lowercase(), sha256);
}
