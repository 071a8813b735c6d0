//! Key logs that grow during the run.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tlscope::decrypt::Keys;
use tlscope::memory::MemoryLimit;
use zeroize::Zeroizing;

use crate::cli::error::CliError;
use crate::cli::input::key_log::{BUFFER, forbid_core_dumps, unreadable};
use crate::cli::say;

/// Key logs, each read up to its current end.
#[derive(Debug, Default)]
pub(super) struct KeyLogs(Vec<Followed>);

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    /// Stays open, since the path may not be readable without privileges.
    file: File,
    /// Bytes read.
    position: u64,
    /// The beginning of a line that is not complete yet.
    rest: Zeroizing<Vec<u8>>,
    is_broken: bool,
}

/// Bytes kept of an incomplete line: a secret takes far fewer, so a longer line is not one.
const MAX_LINE: usize = 4096;
/// Bytes read from one file at a time, so that a burst does not delay packets: the secrets of some 8,000 connections.
const MAX_TAKEN: usize = 4 << 20;

impl KeyLogs {
    /// Opens all of `paths` and reads the secrets that they hold already.
    pub(super) fn open(paths: &[PathBuf], limit: MemoryLimit) -> Result<(Keys, Self), CliError> {
        let keys = Keys::default();
        keys.keep_within(limit.of_key_logs());
        let mut logs = Vec::new();
        if !paths.is_empty() {
            forbid_core_dumps();
        }
        for path in paths {
            let refuse = |error: io::Error| unreadable(path, &error);
            let mut log = Followed {
                path: path.clone(),
                file: File::open(path).map_err(refuse)?,
                position: 0,
                rest: Zeroizing::default(),
                is_broken: false,
            };
            let mut lines = Vec::new();
            while log.read(&mut lines).map_err(refuse)? {
                lines.drain(..).for_each(|text| keys.absorb_all(&text));
            }
            logs.push(log);
        }
        if !logs.is_empty() {
            keys.expect_more();
        }
        Ok((keys, Self(logs)))
    }

    /// The files that [`Self::poll`] reads.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|log| log.path.as_path())
    }

    /// Appends to `secrets` the lines that were written since the last call.
    pub(super) fn poll(&mut self, secrets: &mut Vec<Box<[u8]>>) {
        for log in self.0.iter_mut().filter(|log| !log.is_broken) {
            if let Err(error) = log.read(secrets) {
                log.is_broken = true;
                let path = log.path.display();
                say::warning(format_args!(
                    "cannot continue reading key log `{path}`: {error}"
                ));
            }
        }
    }
}

impl Followed {
    /// Reads complete lines; false if there was nothing new.
    fn read(&mut self, lines: &mut Vec<Box<[u8]>>) -> io::Result<bool> {
        let open = self.file.metadata()?;
        if open.len() < self.position {
            self.file.rewind()?; // it was truncated
            self.restart();
        } else if open.len() == self.position
            && fs::metadata(&self.path).is_ok_and(|named| named.ino() != open.ino())
        {
            self.file = File::open(&self.path)?; // it was renamed, and a new file created
            self.restart();
        }
        let mut taken = 0;
        let mut buffer = Zeroizing::new([0; BUFFER]);
        while taken < MAX_TAKEN {
            let count = self.file.read(&mut buffer[..])?;
            if count == 0 {
                break;
            }
            taken += count;
            self.position += count as u64;
            self.take(buffer.get(..count).unwrap_or_default(), lines);
        }
        Ok(taken > 0)
    }

    /// The next byte is the first of a file.
    fn restart(&mut self) {
        self.position = 0;
        self.rest.clear();
    }

    fn take(&mut self, text: &[u8], lines: &mut Vec<Box<[u8]>>) {
        let end = text.iter().rposition(|byte| *byte == b'\n');
        let (whole, rest) = text.split_at(end.map_or(0, |end| end + 1));
        if !whole.is_empty() {
            lines.push([&self.rest[..], whole].concat().into());
            self.rest.clear();
        }
        if self.rest.len() + rest.len() <= MAX_LINE {
            self.rest.extend_from_slice(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A temporary key log, removed on drop.
    struct Log(PathBuf);

    impl Log {
        fn new(name: &str) -> Self {
            let name = format!("tlscope-{}-{name}.keys", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, "").unwrap();
            Self(path)
        }

        fn append(&self, text: &str) {
            let mut file = fs::OpenOptions::new().append(true).open(&self.0).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    impl Drop for Log {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn line(random: u8) -> String {
        let hex = |byte: u8, count: usize| format!("{byte:02x}").repeat(count);
        format!("CLIENT_RANDOM {} {}\n", hex(random, 32), hex(2, 48))
    }

    fn poll(logs: &mut KeyLogs) -> String {
        let mut secrets = Vec::new();
        logs.poll(&mut secrets);
        String::from_utf8(secrets.concat()).unwrap()
    }

    #[test]
    fn existing_secrets_are_read_at_once_and_new_ones_by_complete_lines() {
        let log = Log::new("grows");
        log.append(&line(1));
        let (keys, mut logs) =
            KeyLogs::open(std::slice::from_ref(&log.0), MemoryLimit::USUAL).unwrap();
        assert_eq!(keys.counts().secrets, 1);
        assert_eq!(poll(&mut logs), "");
        let (second, third) = (line(2), line(3));
        log.append(&format!("{second}{}", &third[..50]));
        assert_eq!(poll(&mut logs), second);
        log.append(&third[50..]);
        assert_eq!(poll(&mut logs), third);
    }

    #[test]
    fn a_truncated_log_is_read_from_its_beginning() {
        let log = Log::new("truncated");
        log.append(&format!("{}{}", line(1), line(2)));
        let (_, mut logs) =
            KeyLogs::open(std::slice::from_ref(&log.0), MemoryLimit::USUAL).unwrap();
        fs::write(&log.0, line(3)).unwrap();
        assert_eq!(poll(&mut logs), line(3));
    }

    #[test]
    fn a_renamed_log_is_read_to_its_end_before_the_new_one() {
        let log = Log::new("rotated");
        let (_, mut logs) =
            KeyLogs::open(std::slice::from_ref(&log.0), MemoryLimit::USUAL).unwrap();
        let renamed = Log::new("renamed");
        log.append(&line(1));
        fs::rename(&log.0, &renamed.0).unwrap();
        fs::write(&log.0, line(2)).unwrap();
        assert_eq!(poll(&mut logs), line(1));
        assert_eq!(poll(&mut logs), line(2));
    }

    #[test]
    fn a_line_without_end_is_dropped() {
        let log = Log::new("endless");
        let (_, mut logs) =
            KeyLogs::open(std::slice::from_ref(&log.0), MemoryLimit::USUAL).unwrap();
        log.append(&"x".repeat(3 * BUFFER));
        assert_eq!(poll(&mut logs), "");
        assert!(logs.0[0].rest.len() <= MAX_LINE);
    }

    #[test]
    fn a_missing_log_is_refused() {
        let failure = KeyLogs::open(&["no-such.keys".into()], MemoryLimit::USUAL).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("cannot read key log `no-such.keys`: ")
        );
    }
}
