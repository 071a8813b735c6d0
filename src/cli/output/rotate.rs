//! Events in a file that is rotated when it is large or old.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tlscope::event::{Handshake, NotTls};
use tlscope::sink::{Needs, OutputFormat, Renderer, Sink};
use tlscope::stats::{Health, Progress, Stats};
use tlscope::time::Timestamp;

use crate::cli::error::CliError;
use crate::cli::say;

/// A file for events, and when it is rotated.
///
/// A rotated file gets the suffix `.1`, the one before it `.2`, and so on.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    pub(crate) path: PathBuf,
    /// Bytes at which a file is rotated; it exceeds them by the events of one batch of packets at most.
    pub(crate) size: Option<u64>,
    /// The age at which a file is rotated.
    pub(crate) age: Option<Duration>,
    /// How many rotated files are kept.
    pub(crate) keep: u32,
    /// The file, if a live run opened it while it still had the privileges to.
    pub(crate) opened: Option<Arc<File>>,
}

impl Rotation {
    /// Opens the file, to be written later.
    #[cfg(live_capture)]
    pub(crate) fn open_now(&mut self) -> io::Result<&File> {
        let file = append_to(&self.path)?;
        Ok(self.opened.insert(Arc::new(file)))
    }

    /// Fails if the file is to be rotated and its directory does not allow that, which would only be noticed at the first rotation:
    /// makes a file in there, and removes it.
    #[cfg(live_capture)]
    fn check(&self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;

        /// In a directory with this bit, files are renamed by their owners alone (inode(7)).
        const STICKY: u32 = 0o1000;
        if self.size.is_none() && self.age.is_none() {
            return Ok(());
        }
        let mut probe = self.path.clone().into_os_string();
        probe.push(".rotation-check");
        match OpenOptions::new().write(true).create_new(true).open(&probe) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::remove_file(&probe)?, // one may be left of a run that was killed
        }
        let file = fs::metadata(&self.path)?;
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::metadata(parent)?,
            _ => fs::metadata(".")?,
        };
        let user = rustix::process::geteuid().as_raw();
        let is_owner = user == 0 || user == file.uid() || user == directory.uid();
        if directory.mode() & STICKY != 0 && !is_owner {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "Permission denied: its directory has the sticky bit, so only its owner renames it",
            ));
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Writes events to a file and rotates it.
///
/// A file that cannot be written does not end the run: events are lost until
/// writing works again, with a warning when losing begins and one when it ends.
/// A line that was not written completely is cut off, so that the next line
/// stays readable.
pub(crate) struct RotatingSink {
    rotation: Rotation,
    format: OutputFormat,
    /// Bytes for texts, as in [`OutputConfig`](crate::cli::config::OutputConfig).
    room_for_texts: Option<usize>,
    /// `None` while the file cannot be opened or written.
    current: Option<OpenFile>,
    /// Events that were not written since the last warning of it.
    lost: u64,
    /// Events that were not written since the start.
    lost_in_total: u64,
    /// Whether the user was warned that events are lost, and not yet that they are written again.
    is_failing: bool,
    /// Ticks until a failed rotation is retried; zero unless the last rotation failed.
    retry_after: u32,
}

struct OpenFile {
    sink: Box<dyn Sink>,
    written: Rc<Cell<u64>>,
    /// The file that the sink writes to.
    file: File,
    /// Length of the file up to its last complete line.
    complete: u64,
    /// Events given to the sink that may not be in the file yet.
    pending: u64,
    /// The first tick since the file was opened.
    since: Option<Timestamp>,
}

/// Ticks between two attempts to rotate a file. Rotation fails in a directory that the run may
/// not write to, which lasts: there is no point in trying at every event.
const RETRY_AFTER: u32 = 60;

impl RotatingSink {
    /// Opens the file and appends to it.
    pub(crate) fn open(
        rotation: Rotation,
        format: OutputFormat,
        room_for_texts: Option<usize>,
    ) -> Result<Self, CliError> {
        let mut sink = Self {
            rotation,
            format,
            room_for_texts,
            current: None,
            lost: 0,
            lost_in_total: 0,
            is_failing: false,
            retry_after: 0,
        };
        // Another version of the program may have written other columns: CSV starts in a new file.
        let needs_new_file = format.has_header() && length(&sink.rotation.path) > 0;
        let renamed = if needs_new_file {
            sink.rename_files()
        } else {
            Ok(())
        };
        renamed.and_then(|()| sink.reopen()).map_err(|error| {
            let path = sink.rotation.path.display();
            CliError::new(format_args!("cannot write `{path}`: {error}"))
        })?;
        #[cfg(live_capture)]
        sink.rotation.check().map_err(|error| {
            let path = sink.rotation.path.display();
            CliError::new(format_args!("cannot rotate `{path}`: {error}"))
        })?;
        Ok(sink)
    }

    /// Closes the file and opens it again: another program (logrotate) may have renamed it.
    #[cfg(live_capture)]
    pub(crate) fn reload(&mut self) {
        self.close();
        let result = self.reopen();
        self.handle_failure(result);
    }

    fn reopen(&mut self) -> io::Result<()> {
        let file = match self.rotation.opened.take() {
            Some(opened) => opened.try_clone()?,
            None => append_to(&self.rotation.path)?,
        };
        let complete = file.metadata()?.len();
        let written = Rc::new(Cell::new(complete));
        let output = CountingWriter {
            file: file.try_clone()?,
            written: Rc::clone(&written),
        };
        let sink = self
            .format
            .file_sink(output, complete > 0, self.room_for_texts)?;
        self.current = Some(OpenFile {
            sink,
            written,
            file,
            complete,
            pending: 0,
            since: None,
        });
        Ok(())
    }

    fn close(&mut self) {
        self.write_out();
        self.current = None;
    }

    /// Writes all pending events to the file.
    fn write_out(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        if let Err(error) = current.sink.flush() {
            return self.handle_failure(Err(error));
        }
        current.complete = current.written.get();
        let events = std::mem::take(&mut current.pending);
        if self.is_failing && events > 0 {
            self.is_failing = false;
            let path = self.rotation.path.display();
            let lost = std::mem::take(&mut self.lost);
            say::warning(format_args!(
                "writing `{path}` again; {lost} events were lost"
            ));
        }
    }

    /// Renames the file and opens a new one. If renaming fails, the file keeps growing.
    fn rotate(&mut self) {
        self.close();
        let renamed = self.rename_files();
        let reopened = self.reopen();
        self.handle_failure(reopened);
        match renamed {
            Ok(()) => self.retry_after = 0,
            Err(error) => {
                if self.retry_after == 0 {
                    let path = self.rotation.path.display();
                    say::warning(format_args!(
                        "cannot rotate `{path}`: {error}; it keeps growing until rotation succeeds"
                    ));
                }
                self.retry_after = RETRY_AFTER;
            }
        }
    }

    /// Renames the file and those rotated before it; the oldest is overwritten.
    fn rename_files(&self) -> io::Result<()> {
        let Rotation { path, keep, .. } = &self.rotation;
        for number in (0..*keep).rev() {
            rename(&numbered(path, number), &numbered(path, number + 1))?;
        }
        match keep {
            0 => fs::remove_file(path),
            _ => Ok(()),
        }
    }

    fn is_due(&self, now: Option<Timestamp>) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| self.retry_after <= 1) else {
            return false;
        };
        let written = current.written.get();
        let is_large = self.rotation.size.is_some_and(|limit| written >= limit);
        let age = now
            .zip(current.since)
            .and_then(|(now, since)| now.checked_since(since));
        let is_old = self
            .rotation
            .age
            .zip(age)
            .is_some_and(|(limit, age)| age >= limit);
        is_large || (is_old && written > 0)
    }

    /// After an error, closes the file; the next tick opens it again.
    fn handle_failure(&mut self, result: io::Result<()>) {
        let Err(error) = result else {
            return;
        };
        if let Some(OpenFile {
            sink,
            file,
            complete,
            pending,
            ..
        }) = self.current.take()
        {
            drop(sink); // a buffered writer flushes on drop: it must not write after the file is cut
            self.lose(pending);
            // The next line would be appended to an incomplete one.
            if file.metadata().is_ok_and(|now| now.len() > complete) {
                let _ = file.set_len(complete);
            }
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            let path = self.rotation.path.display();
            say::warning(format_args!(
                "cannot write `{path}`: {error}; events are lost until writing succeeds"
            ));
        }
    }
}

impl RotatingSink {
    /// Writes one event.
    fn write(&mut self, write: impl FnOnce(&mut dyn Sink) -> io::Result<()>) {
        self.write_all(1, write);
    }

    fn write_all(&mut self, events: u64, write: impl FnOnce(&mut dyn Sink) -> io::Result<()>) {
        match &mut self.current {
            Some(current) => {
                current.pending += events;
                let result = write(&mut *current.sink);
                self.handle_failure(result);
            }
            None => self.lose(events),
        }
    }

    fn lose(&mut self, events: u64) {
        self.lost += events;
        self.lost_in_total += events;
    }

    /// Events that were not written since the start.
    pub(crate) const fn lost_in_total(&self) -> u64 {
        self.lost_in_total
    }
}

impl Sink for RotatingSink {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.write(|sink| sink.handshake(event));
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.write(|sink| sink.not_tls(event));
        Ok(())
    }

    fn needs(&self) -> Needs {
        let current = self.current.as_ref();
        current.map_or(Needs::ALL, |current| current.sink.needs())
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        let current = self.current.as_ref();
        current.map_or_else(Vec::new, |current| current.sink.renderers(count))
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        self.write_all(events, |sink| sink.rendered(text, events));
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            let result = current.sink.progress(progress);
            self.handle_failure(result);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out();
        if self.is_due(None) {
            self.rotate();
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp, _: &Health) -> io::Result<()> {
        match &mut self.current {
            Some(current) => {
                current.since.get_or_insert(now);
            }
            None => {
                let result = self.reopen();
                self.handle_failure(result);
            }
        }
        if self.retry_after > 1 {
            self.retry_after -= 1; // at 1, `is_due` allows a rotation again
        }
        if self.is_due(Some(now)) {
            self.rotate();
        }
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            let result = current.sink.finish(stats);
            self.handle_failure(result);
        }
        if self.lost > 0 {
            let path = self.rotation.path.display();
            say::warning(format_args!(
                "`{path}` is incomplete: {} events were lost",
                self.lost
            ));
        }
        Ok(())
    }
}

/// The length of a file; 0 if it does not exist.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The path with a number as suffix; number 0 is the file itself.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Renames a file if it exists.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A file that knows its length.
struct CountingWriter {
    file: File,
    written: Rc<Cell<u64>>,
}

impl Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written.set(self.written.get() + count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporary directory, removed on drop.
    struct ScratchDirectory(PathBuf);

    impl ScratchDirectory {
        fn new(name: &str) -> Self {
            let name = format!("tlscope-rotate-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// The files in it, with the number of lines in each.
        fn files(&self) -> Vec<(String, usize)> {
            let entries = fs::read_dir(&self.0).unwrap().map(Result::unwrap);
            let of = |entry: fs::DirEntry| {
                let lines = fs::read_to_string(entry.path()).unwrap().lines().count();
                (entry.file_name().into_string().unwrap(), lines)
            };
            let mut files: Vec<_> = entries.map(of).collect();
            files.sort();
            files
        }

        fn sink(&self, format: OutputFormat, size: Option<u64>, age: Option<u64>) -> RotatingSink {
            let rotation = Rotation {
                path: self.0.join("events"),
                size,
                age: age.map(Duration::from_secs),
                keep: 2,
                opened: None,
            };
            RotatingSink::open(rotation, format, None).unwrap()
        }
    }

    impl Drop for ScratchDirectory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Writes one line, whatever the format.
    fn write(sink: &mut RotatingSink) {
        sink.finish(&Stats::default()).unwrap();
        sink.flush().unwrap();
    }

    fn tick(sink: &mut RotatingSink, seconds: i64) {
        let now = Timestamp::from_seconds(seconds);
        sink.tick(now, &Health::default()).unwrap();
    }

    fn named(files: &[(&str, usize)]) -> Vec<(String, usize)> {
        files
            .iter()
            .map(|(name, lines)| ((*name).to_owned(), *lines))
            .collect()
    }

    #[test]
    #[cfg(live_capture)]
    fn a_directory_that_does_not_allow_rotation_is_an_error_at_once() {
        let open = |size| {
            let rotation = Rotation {
                path: "/proc/self/comm".into(), // no file can be made in there, by anyone
                size,
                age: None,
                keep: 2,
                opened: None,
            };
            RotatingSink::open(rotation, OutputFormat::Json, None).map(drop)
        };
        assert!(open(None).is_ok());
        let error = open(Some(1)).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot rotate `/proc/self/comm`"),
            "{error}"
        );
    }

    #[test]
    fn a_large_file_is_rotated_and_the_oldest_is_removed() {
        let directory = ScratchDirectory::new("size");
        let mut sink = directory.sink(OutputFormat::Json, Some(1), None);
        for _ in 0..4 {
            write(&mut sink);
        }
        let expected = [("events", 0), ("events.1", 1), ("events.2", 1)];
        assert_eq!(directory.files(), named(&expected));
    }

    #[test]
    fn an_old_file_is_rotated_unless_it_is_empty() {
        let directory = ScratchDirectory::new("age");
        let mut sink = directory.sink(OutputFormat::Json, None, Some(60));
        tick(&mut sink, 1_000);
        tick(&mut sink, 1_060);
        assert_eq!(directory.files(), named(&[("events", 0)]));
        write(&mut sink);
        tick(&mut sink, 1_061);
        assert_eq!(directory.files(), named(&[("events", 0), ("events.1", 1)]));
    }

    #[test]
    fn an_existing_file_is_appended_to() {
        let directory = ScratchDirectory::new("append");
        write(&mut directory.sink(OutputFormat::Json, None, None));
        write(&mut directory.sink(OutputFormat::Json, None, None));
        assert_eq!(directory.files(), named(&[("events", 2)]));
    }

    #[test]
    fn each_csv_file_begins_with_a_header() {
        let directory = ScratchDirectory::new("csv");
        write(&mut directory.sink(OutputFormat::Csv, None, None));
        write(&mut directory.sink(OutputFormat::Csv, None, None));
        assert_eq!(directory.files(), named(&[("events", 1), ("events.1", 1)]));
    }

    #[test]
    fn a_file_that_could_not_be_written_is_reopened() {
        let directory = ScratchDirectory::new("again");
        let mut sink = directory.sink(OutputFormat::Json, None, None);
        sink.handle_failure(Err(io::Error::other("the disk is full")));
        write(&mut sink); // lost
        tick(&mut sink, 1_000);
        write(&mut sink);
        assert_eq!(directory.files(), named(&[("events", 1)]));
    }

    #[cfg(live_capture)]
    #[test]
    fn a_reloaded_csv_file_has_one_header() {
        let directory = ScratchDirectory::new("header");
        let mut sink = directory.sink(OutputFormat::Csv, None, None);
        write(&mut sink);
        sink.reload();
        write(&mut sink);
        assert_eq!(directory.files(), named(&[("events", 1)]));
    }

    #[test]
    fn an_incomplete_line_is_cut_off_and_lost_events_are_counted() {
        let directory = ScratchDirectory::new("half");
        let mut sink = directory.sink(OutputFormat::Json, None, None);
        write(&mut sink);
        let current = sink.current.as_mut().unwrap();
        current.file.write_all(b"{\"type\":").unwrap(); // as much as fits on the disk
        current.pending = 3;
        sink.handle_failure(Err(io::Error::other("the disk is full")));
        assert_eq!((sink.lost, sink.is_failing), (3, true));
        tick(&mut sink, 1_000);
        sink.flush().unwrap();
        assert!(
            sink.is_failing,
            "an open file is not yet one that is written"
        );
        write(&mut sink);
        let text = fs::read_to_string(directory.0.join("events")).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.ends_with('}')), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_rotated_grows() {
        let directory = ScratchDirectory::new("stuck");
        let in_the_way = directory.0.join("events.1");
        fs::create_dir_all(in_the_way.join("x")).unwrap();
        let mut sink = directory.sink(OutputFormat::Json, Some(1), None);
        sink.rotation.keep = 1;
        for _ in 0..3 {
            write(&mut sink);
        }
        let text = fs::read_to_string(directory.0.join("events")).unwrap();
        assert_eq!((text.lines().count(), sink.retry_after), (3, RETRY_AFTER));
        fs::remove_dir_all(in_the_way).unwrap();
        (0..RETRY_AFTER).for_each(|second| tick(&mut sink, second.into()));
        assert_eq!(directory.files(), named(&[("events", 0), ("events.1", 3)]));
        assert_eq!(sink.retry_after, 0);
    }

    #[test]
    fn a_file_in_a_missing_directory_is_refused() {
        let rotation = Rotation {
            path: "/nonexistent/events".into(),
            size: None,
            age: None,
            keep: 2,
            opened: None,
        };
        let failure = RotatingSink::open(rotation, OutputFormat::Json, None)
            .err()
            .unwrap();
        assert!(
            failure
                .to_string()
                .starts_with("cannot write `/nonexistent/events`: ")
        );
    }
}
