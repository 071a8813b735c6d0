//! The packets of handshakes that failed, or whose peer was refused afterwards, one small capture file each: the evidence behind an alert.
//!
//! Files are pcapng: one can hold packets of several interfaces with nanosecond times, and
//! the failure as a comment. The name consists of time, error and connection, so that names
//! sort by time:
//! `20260301T120000.123456789Z-unknown_ca-6f1c0a9d3b2e4f58.pcapng`.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use crate::capture::PacketBuffer;
use crate::event::{Handshake, HandshakeReport, Outcome, RejectedAfter};
use crate::sink::fair_queue::FairQueue;

/// Writes captures of failed handshakes into a directory, and deletes the oldest.
#[derive(Debug)]
pub struct FailureFiles {
    /// An absolute path: logs that name a file are read elsewhere.
    directory: PathBuf,
    /// Names of the files in it, by server and cause.
    names: FairQueue<String>,
    lost: u64,
    evicted: u64,
}

impl FailureFiles {
    /// Saves files in `directory`, which is created if missing, and keeps `keep` of them.
    ///
    /// Beyond that, the server and cause with the most files lose their oldest, so that a storm of one failure does not
    /// delete the captures of the others. Files of earlier runs count, by their cause; files with other names are ignored.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created, listed or written to; the error says which.
    pub fn open(directory: PathBuf, keep: usize) -> io::Result<Self> {
        let directory = absolute(&directory).unwrap_or(directory);
        let said = |error: io::Error| {
            let name = directory.display();
            io::Error::new(
                error.kind(),
                format!("cannot save failures in `{name}`: {error}"),
            )
        };
        fs::create_dir_all(&directory).map_err(said)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).map_err(said)? {
            let name = entry.map_err(said)?.file_name();
            names.extend(name.into_string().ok().filter(|name| is_ours(name)));
        }
        may_write(&directory).map_err(said)?;
        names.sort();
        let mut files = Self {
            directory,
            names: FairQueue::new(keep),
            lost: 0,
            evicted: 0,
        };
        for name in names {
            let group = group_of_name(&name).to_owned();
            if let Some(evicted) = files.names.push(&group, name) {
                let _ = files.remove(&evicted); // more than the user wants now, and no failure of this run
            }
        }
        Ok(files)
    }

    /// Saves the packets of a handshake that failed, or whose peer was refused afterwards. Returns the path of the file, or `None` if
    /// there is nothing to save.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. This does not have to end the run: see [`FailureFiles::lost`].
    pub fn save(&mut self, report: &HandshakeReport) -> io::Result<Option<Arc<str>>> {
        let HandshakeReport { event, packets, .. } = report;
        let (Some(packets), Some(cause)) = (packets, Cause::of(event)) else {
            return Ok(None);
        };
        let saved = self.write(event, &cause, packets);
        self.lost += u64::from(saved.is_err());
        saved.map(Some)
    }

    /// Failures whose packets could not be written.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Files deleted to make room for newer ones.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn write(
        &mut self,
        event: &Handshake,
        cause: &Cause<'_>,
        packets: &PacketBuffer,
    ) -> io::Result<Arc<str>> {
        let group = group(event, cause);
        if let Some(oldest) = self.names.make_room(&group) {
            self.evicted += 1;
            self.remove(&oldest)?;
        }
        let stem = stem(event, cause);
        let mut attempts = (0..MAX_SAME_NAME).map(|number| match number {
            0 => format!("{stem}.pcapng"),
            _ => format!("{stem}.{number}.pcapng"),
        });
        let (name, mut file) = loop {
            let name = attempts.next().ok_or(ErrorKind::AlreadyExists)?;
            let path = self.directory.join(&name);
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(file) => break (name, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let path = self.directory.join(&name);
        if let Err(error) = file.write_all(&pcapng(packets, &comment(event, cause))) {
            let _ = fs::remove_file(&path); // half a capture is no evidence, and wastes space on a full disk
            return Err(error);
        }
        self.names.push(&group, name);
        Ok(path.to_string_lossy().into())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Checks by writing, since the first failure may be weeks away. A disk that is full now may have space by then.
fn may_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".tlscope-{}", std::process::id()));
    match fs::write(&probe, "") {
        Ok(()) => fs::remove_file(probe),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Err(error),
            _ => Ok(()),
        },
    }
}

/// Most files for one connection at one time: usually repeated runs over the same capture.
const MAX_SAME_NAME: u32 = 100;

/// What a file is evidence of.
struct Cause<'e> {
    error_type: &'static str,
    message: Cow<'e, str>,
}

impl<'e> Cause<'e> {
    /// `None` if the handshake neither failed nor was refused afterwards.
    fn of(event: &'e Handshake) -> Option<Self> {
        if event.outcome == Outcome::Failure {
            let error = event.error.as_ref();
            return Some(Self {
                error_type: error.map_or("unknown", |error| error.error_type.as_str()),
                message: error.map_or("", |error| &error.message).into(),
            });
        }
        let rejected = event.rejected_after.as_deref()?;
        let RejectedAfter {
            side, error_type, ..
        } = rejected;
        Some(Self {
            error_type: error_type.as_str(),
            message: format!("completed, then the {side} refused its peer: {error_type}").into(),
        })
    }
}

/// Whether a file's name is one that [`stem`] makes.
fn is_ours(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".pcapng") else {
        return false;
    };
    let mut parts = stem.splitn(3, '-');
    let time = parts.next().unwrap_or_default();
    let is_time = time.len() == 26 && time.ends_with('Z') && time.as_bytes().get(8) == Some(&b'T');
    is_time && parts.count() == 2
}

/// The files that make room for each other first: those of one server and cause.
fn group(event: &Handshake, cause: &Cause<'_>) -> String {
    let error = cause.error_type;
    let server = event.tls.server_name.as_deref();
    let server = server.map_or_else(|| event.server.address.to_string(), str::to_owned);
    format!("{error} {server}:{}", event.server.port)
}

/// The same for a file of an earlier run, whose name has the cause and no server.
fn group_of_name(name: &str) -> &str {
    name.split('-').nth(1).unwrap_or_default()
}

fn stem(event: &Handshake, cause: &Cause<'_>) -> String {
    let time = event.time.date_time().strftime("%Y%m%dT%H%M%S%.9fZ");
    let error = cause.error_type;
    format!("{time}-{error}-{:016x}", event.flow_id)
}

fn comment(event: &Handshake, cause: &Cause<'_>) -> String {
    let server = &event.server;
    let name = event.tls.server_name.as_deref().unwrap_or("-");
    let message = &cause.message;
    let mut text = format!("{} to {server} ({name}): {message}", event.client);
    let mut end = text.len().min(MAX_OPTION);
    while !text.is_char_boundary(end) {
        end -= 1; // a comment is UTF-8
    }
    text.truncate(end);
    text
}

// Block and option types: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3 and 3.5.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const ENHANCED_PACKET: u32 = 6;
const OPT_COMMENT: u16 = 1;
pub(super) const SHB_USERAPPL: u16 = 4;
pub(super) const IF_NAME: u16 = 2;
pub(super) const IF_TSRESOL: u16 = 9;
/// Longest option written: the traffic chooses the length of names and messages.
const MAX_OPTION: usize = 1024;

/// The packets as a capture file.
fn pcapng(packets: &PacketBuffer, comment: &str) -> Vec<u8> {
    let mut file = Vec::with_capacity(packets.data.len() + 64 * packets.packets.len() + 512);
    let mut header = Vec::new();
    header.extend(0x1a2b_3c4d_u32.to_le_bytes());
    header.extend([1, 0, 0, 0]); // version 1.0
    header.extend(u64::MAX.to_le_bytes()); // length of the section: not specified
    option(&mut header, OPT_COMMENT, comment.as_bytes());
    let program = concat!("tlscope ", env!("CARGO_PKG_VERSION"));
    option(&mut header, SHB_USERAPPL, program.as_bytes());
    block(&mut file, SECTION_HEADER, &header);
    for (link_type, name) in &packets.interfaces {
        let mut interface = Vec::new();
        interface.extend((link_type.0 as u16).to_le_bytes());
        interface.extend([0, 0, 0, 0, 0, 0]); // reserved; no snap length
        option(&mut interface, IF_NAME, name.as_bytes());
        option(&mut interface, IF_TSRESOL, &[9]); // nanoseconds
        block(&mut file, INTERFACE_DESCRIPTION, &interface);
    }
    for (packet, bytes) in packets.iter() {
        let time = packet.timestamp.as_nanoseconds() as u64;
        let mut body = Vec::with_capacity(bytes.len() + 24);
        for field in [
            packet.interface,
            (time >> 32) as u32,
            time as u32,
            bytes.len() as u32,
            packet.wire_length,
        ] {
            body.extend(field.to_le_bytes());
        }
        body.extend(bytes);
        block(&mut file, ENHANCED_PACKET, &body);
    }
    file
}

pub(super) fn block(file: &mut Vec<u8>, block_type: u32, body: &[u8]) {
    let padded = body.len().next_multiple_of(4);
    let length = (12 + padded) as u32;
    file.extend(block_type.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(body);
    file.resize(file.len() + padded - body.len(), 0);
    file.extend(length.to_le_bytes());
}

pub(super) fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..MAX_OPTION).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::capture::{BufferedPacket, LinkType};
    use crate::event::{ErrorType, HandshakeError, Side};
    use crate::sink::test_events;
    use crate::time::Timestamp;

    fn failure(second: i64) -> HandshakeReport {
        let mut event = test_events::all().remove(0);
        event.time = Timestamp::from_seconds(second);
        event.flow_id = 0x6f1c;
        event.outcome = Outcome::Failure;
        event.error = Some(HandshakeError {
            error_type: ErrorType::UnknownCa,
            side: Some(Side::Client),
            message: "refused".to_owned(),
            hint: None,
        });
        let mut report = HandshakeReport::new(event);
        report.packets = Some(Box::new(PacketBuffer {
            interfaces: vec![(LinkType(1), "eth0".into())],
            packets: vec![BufferedPacket {
                timestamp: report.event.time,
                interface: 0,
                length: 3,
                wire_length: 60,
            }],
            data: vec![1, 2, 3],
            is_cut: false,
        }));
        report
    }

    /// A directory for one test, deleted when dropped.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("tlscope-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_failure_is_saved_under_its_time_error_and_connection() {
        let directory = Directory::new("named");
        let mut files = FailureFiles::open(directory.0.clone(), 10).unwrap();
        let path = files.save(&failure(1_772_366_400)).unwrap().unwrap();
        let name = "20260301T120000.000000000Z-unknown_ca-0000000000006f1c.pcapng";
        assert!(path.ends_with(name), "{path}");
        assert!(is_ours(name));
        assert_eq!(directory.names(), [name]);
        files.save(&failure(1_772_366_400)).unwrap().unwrap();
        assert_eq!(directory.names().len(), 2, "nothing is overwritten");
    }

    #[test]
    fn the_oldest_are_deleted_including_those_of_earlier_runs_and_other_files_stay() {
        let directory = Directory::new("kept");
        let mut files = FailureFiles::open(directory.0.clone(), 2).unwrap();
        fs::write(directory.0.join("notes-of-mine.pcapng"), "").unwrap();
        for second in 1..=3 {
            files.save(&failure(second)).unwrap().unwrap();
        }
        let mut files = FailureFiles::open(directory.0.clone(), 2).unwrap();
        files.save(&failure(4)).unwrap().unwrap();
        let names = directory.names();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names[0].starts_with("19700101T000003"), "{names:?}");
        assert!(names[1].starts_with("19700101T000004"), "{names:?}");
        assert_eq!(names[2], "notes-of-mine.pcapng");
    }

    #[test]
    fn a_storm_of_one_failure_does_not_delete_the_captures_of_others() {
        let directory = Directory::new("storm");
        let mut files = FailureFiles::open(directory.0.clone(), 5).unwrap();
        let mut rare = failure(1);
        rare.event.tls.server_name = Some("rare.example".into());
        files.save(&rare).unwrap().unwrap();
        for second in 2..=20 {
            files.save(&failure(second)).unwrap().unwrap();
        }
        let names = directory.names();
        assert_eq!(names.len(), 5);
        assert!(names[0].starts_with("19700101T000001"), "{names:?}");
        assert!(names[1].starts_with("19700101T000017"), "{names:?}");
        assert_eq!(files.evicted(), 15);
    }

    #[test]
    fn the_path_of_a_saved_capture_is_absolute() {
        let name = format!("target/tlscope-{}-relative", std::process::id());
        let _directory = Directory(PathBuf::from(&name));
        let mut files = FailureFiles::open(PathBuf::from(&name), 2).unwrap();
        let path = files.save(&failure(1)).unwrap().unwrap();
        assert!(Path::new(&*path).is_absolute(), "{path}");
        assert!(path.contains(&name), "{path}");
    }

    #[test]
    fn a_comment_is_cut_between_characters() {
        let mut event = failure(1).event;
        for name in ["ü".repeat(2_000), "x".to_owned() + &"ü".repeat(2_000)] {
            event.tls.server_name = Some(name.into());
            let comment = comment(&event, &Cause::of(&event).unwrap());
            assert!((MAX_OPTION - 1..=MAX_OPTION).contains(&comment.len()));
        }
    }

    #[test]
    fn successes_and_failures_without_packets_are_not_saved() {
        let directory = Directory::new("none");
        let mut files = FailureFiles::open(directory.0.clone(), 2).unwrap();
        let mut success = failure(1);
        success.event.outcome = Outcome::Success;
        assert_eq!(files.save(&success).unwrap(), None);
        let mut bare = failure(1);
        bare.packets = None;
        assert_eq!(files.save(&bare).unwrap(), None);
        assert!(directory.names().is_empty());
    }

    #[test]
    fn a_directory_that_vanishes_is_an_error_and_is_counted() {
        let directory = Directory::new("gone");
        let mut files = FailureFiles::open(directory.0.clone(), 2).unwrap();
        fs::remove_dir_all(&directory.0).unwrap();
        assert!(files.save(&failure(1)).is_err());
        assert_eq!(files.lost(), 1);
    }
}
