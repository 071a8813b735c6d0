//! Key logs that grow while the run goes on.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tlscope::decrypt::Keys;
use zeroize::Zeroizing;

use crate::cli::error::Failure;
use crate::cli::input::key_log::BUFFER;
use crate::cli::tell_warning;

/// Key logs, each read as far as it went.
#[derive(Debug, Default)]
pub(crate) struct KeyLogs(Vec<Followed>);

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    /// Stays open: the path may be out of reach once privileges are gone.
    file: File,
    /// Bytes read.
    position: u64,
    /// The last line, as far as it came.
    rest: Zeroizing<Vec<u8>>,
    is_broken: bool,
}

/// Bytes of a line that is waited for: far more than a secret takes; a longer line is none.
const MAX_LINE: usize = 4096;
/// Bytes taken of one file at a time, so that a burst does not hold up packets: those of 8,000 connections.
const MAX_TAKEN: usize = 4 << 20;

impl KeyLogs {
    /// Opens all of `paths`, and takes the secrets that are there already.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<(Keys, Self), Failure> {
        let keys = Keys::default();
        let mut logs = Vec::new();
        for path in paths {
            let refuse = |error: io::Error| {
                let path = path.display();
                Failure::new(format_args!("cannot read key log `{path}`: {error}"))
            };
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
        Ok((keys, Self(logs)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds to `secrets` the lines that were written since the last call.
    pub(crate) fn poll(&mut self, secrets: &mut Vec<Box<[u8]>>) {
        for log in self.0.iter_mut().filter(|log| !log.is_broken) {
            if let Err(error) = log.read(secrets) {
                log.is_broken = true;
                let path = log.path.display();
                tell_warning(format_args!("key log `{path}` is read no further: {error}"));
            }
        }
    }
}

impl Followed {
    /// Takes whole lines; false if there was nothing new.
    fn read(&mut self, lines: &mut Vec<Box<[u8]>>) -> io::Result<bool> {
        let open = self.file.metadata()?;
        if open.len() < self.position {
            self.file.rewind()?; // it was emptied, to be written anew
            self.begin_anew();
        } else if open.len() == self.position
            && fs::metadata(&self.path).is_ok_and(|named| named.ino() != open.ino())
        {
            self.file = File::open(&self.path)?; // it was set aside, and another one begun
            self.begin_anew();
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

    fn begin_anew(&mut self) {
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

    /// A key log of this test's own, which vanishes with the value.
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
    fn what_is_there_is_taken_at_once_and_what_comes_by_whole_lines() {
        let log = Log::new("grows");
        log.append(&line(1));
        let (keys, mut logs) = KeyLogs::open(std::slice::from_ref(&log.0)).unwrap();
        assert_eq!(keys.counts().secrets, 1);
        assert_eq!(poll(&mut logs), "");
        let (second, third) = (line(2), line(3));
        log.append(&format!("{second}{}", &third[..50]));
        assert_eq!(poll(&mut logs), second);
        log.append(&third[50..]);
        assert_eq!(poll(&mut logs), third);
    }

    #[test]
    fn a_log_that_is_written_anew_is_read_anew() {
        let log = Log::new("anew");
        log.append(&format!("{}{}", line(1), line(2)));
        let (_, mut logs) = KeyLogs::open(std::slice::from_ref(&log.0)).unwrap();
        fs::write(&log.0, line(3)).unwrap();
        assert_eq!(poll(&mut logs), line(3));
    }

    #[test]
    fn a_log_that_is_set_aside_is_left_for_the_new_one() {
        let log = Log::new("aside");
        let (_, mut logs) = KeyLogs::open(std::slice::from_ref(&log.0)).unwrap();
        let aside = Log::new("set-aside");
        log.append(&line(1));
        fs::rename(&log.0, &aside.0).unwrap();
        fs::write(&log.0, line(2)).unwrap();
        assert_eq!(poll(&mut logs), line(1));
        assert_eq!(poll(&mut logs), line(2));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let log = Log::new("endless");
        let (_, mut logs) = KeyLogs::open(std::slice::from_ref(&log.0)).unwrap();
        log.append(&"x".repeat(3 * BUFFER));
        assert_eq!(poll(&mut logs), "");
        assert!(logs.0[0].rest.len() <= MAX_LINE);
    }

    #[test]
    fn a_log_that_is_not_there_is_refused() {
        let failure = KeyLogs::open(&["no-such.keys".into()]).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("cannot read key log `no-such.keys`: ")
        );
    }
}
