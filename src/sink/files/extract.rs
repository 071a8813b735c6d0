//! A file for each distinct certificate of a run, and an index of where it was shown.
//!
//! A certificate is a PEM file named by its SHA-256, written when it is first shown.
//! `index.json` is written at the end, and in a live run once a minute if there are new ones:
//!
//! ```json
//! {
//!   "certificates": [
//!     {
//!       "sha256": "0101…",
//!       "file": "0101….pem",
//!       "subject": "CN=example.org",
//!       "issuer": "CN=Example CA",
//!       "serial": "0a1b",
//!       "not_before": "2025-12-31T00:00:00Z",
//!       "not_after": "2026-03-14T00:00:00Z",
//!       "key": "RSA 2048",
//!       "error": null,
//!       "roles": ["server"],
//!       "handshakes": 1,
//!       "first_shown": "2026-03-01T12:00:00.123456789Z",
//!       "last_shown": "2026-03-01T12:00:00.123456789Z",
//!       "shown_by": [{"server_name": "example.org", "address": "10.0.0.2", "port": 443}],
//!       "shown_by_more": false,
//!       "findings": {"near_expiry": 1}
//!     }
//!   ],
//!   "omitted": 0
//! }
//! ```
//!
//! `error` says why a certificate cannot be parsed; its facts are then `null`.
//! `shown_by` has at most eight entries, and `shown_by_more` says whether there were
//! others; `findings` counts handshakes. `omitted` counts how often other certificates were
//! shown once the index had twenty thousand.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::inventory::{Inventory, KnownCertificate, ShownBy};
use crate::certificate::Certificate;
use crate::escape::SafeJson;
use crate::event::Handshake;
use crate::hex::Hex;
use crate::sink::{Needs, Sink};
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// Writes certificates into a directory; the module's docs specify its contents.
#[derive(Debug)]
pub struct ExtractSink {
    directory: PathBuf,
    inventory: Inventory,
    /// Files that could not be written, by name; retried with the index.
    unwritten: VecDeque<(String, String)>,
    lost: u64,
    /// Whether the index lacks a certificate.
    is_stale: bool,
    next_index: Timestamp,
}

/// Files queued until the disk has space, of about two kilobytes each; the oldest are dropped first.
const MAX_UNWRITTEN: usize = 1_000;

/// How long a live run may have certificates that its index lacks: writing thousands takes a moment.
const INDEX_EVERY: Duration = Duration::from_secs(60);

impl ExtractSink {
    /// Writes into `directory`, which is created if missing; files of the same names are replaced.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created; the error names it.
    pub fn new(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory).map_err(|error| cannot_write(&directory, &error))?;
        Ok(Self {
            directory,
            inventory: Inventory::default(),
            unwritten: VecDeque::new(),
            lost: 0,
            is_stale: true,
            next_index: Timestamp::MIN,
        })
    }

    /// Certificates without a file: writing failed when they were first shown, and ever since.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost + self.unwritten.len() as u64
    }

    /// Certificates that were dropped because too many were queued.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.lost
    }

    /// Retries the files that could not be written before.
    fn catch_up(&mut self) -> io::Result<()> {
        while let Some((name, text)) = self.unwritten.front() {
            write(&self.directory.join(name), text.as_bytes())?;
            self.unwritten.pop_front();
        }
        Ok(())
    }

    fn write_index(&mut self) -> io::Result<()> {
        let index = Index {
            certificates: self.inventory.iter().map(IndexEntry::from).collect(),
            omitted: self.inventory.omitted,
        };
        let mut text = Vec::new();
        serde_json::to_writer_pretty(SafeJson(&mut text), &index)?;
        text.push(b'\n');
        // A reader sees the whole old index or the whole new one.
        let path = self.directory.join("index.json");
        let new = self.directory.join("index.json.new");
        write(&new, &text)?;
        fs::rename(&new, &path).map_err(|error| cannot_write(&path, &error))?;
        self.is_stale = false;
        Ok(())
    }
}

/// An error does not have to end the run: failed files are retried with the index, once a minute and at the end.
impl Sink for ExtractSink {
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let Self {
            directory,
            inventory,
            unwritten,
            lost,
            is_stale,
            ..
        } = self;
        let mut outcome = Ok(());
        let Ok(()) = inventory.record(event, |certificate| {
            *is_stale = true;
            let (name, text) = (file_name(&certificate.sha256), pem(certificate));
            if let Err(error) = write(&directory.join(&name), text.as_bytes()) {
                if unwritten.len() == MAX_UNWRITTEN {
                    unwritten.pop_front();
                    *lost += 1;
                }
                unwritten.push_back((name, text));
                outcome = Err(error);
            }
            Ok::<(), Infallible>(())
        });
        outcome
    }

    fn tick(&mut self, now: Timestamp, _: &Health) -> io::Result<()> {
        if self.is_stale && now >= self.next_index {
            self.next_index = now.saturating_add(INDEX_EVERY);
            self.catch_up()?;
            self.write_index()?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        let written = self.catch_up().and_then(|()| self.write_index());
        let lost = self.lost();
        let said = |error: &dyn fmt::Display| {
            io::Error::other(format!("{error}; certificates without a file: {lost}"))
        };
        match written {
            Err(error) if lost > 0 => Err(said(&error)),
            Ok(()) if lost > 0 => {
                let directory = self.directory.display();
                Err(said(&format_args!(
                    "could not write to `{directory}` for a while"
                )))
            }
            written => written,
        }
    }
}

/// Writes the whole file or none: half a file would look like a corrupt one.
fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(contents).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    });
    written.map_err(|error| cannot_write(path, &error))
}

/// The error with the path, which the system does not mention.
fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("cannot write `{}`: {error}", path.display()))
}

/// Privacy-Enhanced Mail (RFC 7468 §5).
fn pem(certificate: &Certificate) -> String {
    const LINE: usize = 64;
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let base64 = STANDARD.encode(&certificate.der);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(LINE)); // base64 is ASCII
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    text + "-----END CERTIFICATE-----\n"
}

fn file_name(sha256: &[u8; 32]) -> String {
    format!("{}.pem", Hex(sha256))
}

#[derive(Serialize)]
struct Index<'a> {
    certificates: Vec<IndexEntry<'a>>,
    omitted: u64,
}

#[derive(Serialize)]
struct IndexEntry<'a> {
    sha256: String,
    file: String,
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    not_before: Option<String>,
    not_after: Option<String>,
    key: Option<String>,
    error: Option<&'a str>,
    roles: Vec<&'static str>,
    handshakes: u64,
    first_shown: String,
    last_shown: String,
    shown_by: Vec<IndexPeer<'a>>,
    shown_by_more: bool,
    findings: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct IndexPeer<'a> {
    server_name: Option<&'a str>,
    address: IpAddr,
    port: Option<u16>,
}

impl<'a> From<&'a KnownCertificate> for IndexEntry<'a> {
    fn from(shown: &'a KnownCertificate) -> Self {
        let facts = shown.facts.as_ref().ok();
        let findings = shown.findings.iter();
        Self {
            sha256: Hex(&shown.sha256).to_string(),
            file: file_name(&shown.sha256),
            subject: facts.map(|facts| facts.subject.as_str()),
            issuer: facts.map(|facts| facts.issuer.as_str()),
            serial: facts.map(|facts| facts.serial.as_str()),
            not_before: facts.map(|facts| facts.not_before.to_string()),
            not_after: facts.map(|facts| facts.not_after.to_string()),
            key: facts.map(|facts| facts.key.to_string()),
            error: shown.facts.as_ref().err().map(String::as_str),
            roles: shown.roles.iter().copied().collect(),
            handshakes: shown.times,
            first_shown: shown.first_shown.to_string(),
            last_shown: shown.last_shown.to_string(),
            shown_by: shown.shown_by.iter().map(IndexPeer::from).collect(),
            shown_by_more: shown.shown_by_more,
            findings: findings
                .map(|(found, count)| (found.as_str(), *count))
                .collect(),
        }
    }
}

impl<'a> From<&'a ShownBy> for IndexPeer<'a> {
    fn from(by: &'a ShownBy) -> Self {
        Self {
            server_name: by.server_name.as_deref(),
            address: by.address,
            port: by.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    #[test]
    fn a_live_index_is_written_for_new_certificates_at_most_once_a_minute() {
        let directory = std::env::temp_dir().join(format!("tlscope-index-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let mut sink = ExtractSink::new(directory.clone()).unwrap();
        let mut entries_at = |event: Option<Handshake>, seconds: i64| {
            if let Some(event) = event {
                sink.handshake(&event).unwrap();
            }
            let now = Timestamp::from_seconds(1_800_000_000 + seconds);
            sink.tick(now, &Health::default()).unwrap();
            let index = fs::read(directory.join("index.json")).unwrap();
            let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
            index["certificates"].as_array().unwrap().len()
        };
        assert_eq!(entries_at(None, 0), 0);
        let first = test_events::refused_by_the_client();
        assert_eq!(entries_at(Some(first), 1), 0);
        assert_eq!(entries_at(None, 60), 1);
        let second = test_events::with_a_broken_certificate();
        assert_eq!(entries_at(Some(second), 119), 1);
        assert_eq!(entries_at(None, 120), 2);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn failed_files_are_written_once_the_directory_is_back() {
        let directory = std::env::temp_dir().join(format!("tlscope-room-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let mut sink = ExtractSink::new(directory.clone()).unwrap();
        fs::remove_dir(&directory).unwrap();
        let event = test_events::refused_by_the_client();
        assert!(sink.handshake(&event).is_err());
        assert!(sink.handshake(&event).is_ok(), "nothing new");
        let count = sink.lost();
        assert!(count > 0);
        let error = sink.finish(&Stats::default()).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("; certificates without a file: {count}")),
            "{error}"
        );
        fs::create_dir(&directory).unwrap();
        sink.finish(&Stats::default()).unwrap();
        assert_eq!(sink.lost(), 0);
        let files = fs::read_dir(&directory).unwrap().count() as u64;
        assert_eq!(files, count + 1, "and the index");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn pem_has_lines_of_64_characters() {
        let text = |length: usize| pem(&Certificate::from_der(&vec![0; length]));
        assert_eq!(
            text(1),
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
        );
        let lines = |length| text(length).lines().map(str::len).collect::<Vec<_>>();
        assert_eq!(lines(48), [27, 64, 25]);
        assert_eq!(lines(49), [27, 64, 4, 25]);
        assert_eq!(lines(0), [27, 25]);
    }
}
