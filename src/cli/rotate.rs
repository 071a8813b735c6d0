//! Events in a file that is set aside when it is large or old, and begun anew.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tlscope::event::Handshake;
use tlscope::sink::machine::csv::CsvSink;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::table::TableSink;
use tlscope::sink::{Look, Sink};
use tlscope::stats::{Health, Stats};
use tlscope::time::Timestamp;

use super::args::Format;
use super::failure::Failure;
use super::tell_warning;

/// A file for events, and when the next one begins.
///
/// A file that is set aside gets the suffix `.1`, the one before `.2`, and so on.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) path: PathBuf,
    /// Bytes at which a file is set aside; it grows beyond by no more than one batch of packets makes.
    pub(super) size: Option<u64>,
    /// The age at which a file is set aside.
    pub(super) age: Option<Duration>,
    /// Files set aside that are kept.
    pub(super) keep: u32,
}

/// Writes events to a file, and to the next.
///
/// A file that cannot be written does not end the run: events are lost until it
/// works again, and that is said, once each. Of what was not written whole,
/// nothing stays behind that would spoil the line after it.
pub(super) struct RotatingSink {
    rotation: Rotation,
    format: Format,
    /// `None` while the file cannot be written.
    current: Option<Current>,
    /// Events that no file got.
    lost: u64,
    /// Whether it was said that events are lost.
    is_failing: bool,
    /// Ticks until a file that could not be set aside is tried again; zero for one that can.
    pause: u32,
}

struct Current {
    sink: Box<dyn Sink>,
    written: Rc<Cell<u64>>,
    /// The file that the sink writes to.
    file: File,
    /// Bytes that are there for good.
    whole: u64,
    /// Events given to the sink that may not be in the file yet.
    pending: u64,
    /// When it was begun, as far as ticks tell.
    since: Option<Timestamp>,
}

/// Ticks between two tries to set a file aside: the directory may be somebody else's.
const ASIDE_PAUSE: u32 = 60;

impl RotatingSink {
    /// Opens the file; what it holds already stays.
    pub(super) fn open(rotation: Rotation, format: Format) -> Result<Self, Failure> {
        let mut sink = Self {
            rotation,
            format,
            current: None,
            lost: 0,
            is_failing: false,
            pause: 0,
        };
        // Another version of the program may have written other columns: what is there is set aside.
        let begins_anew = format == Format::Csv && length(&sink.rotation.path) > 0;
        let set_aside = if begins_anew {
            sink.set_aside()
        } else {
            Ok(())
        };
        set_aside.and_then(|()| sink.reopen()).map_err(|error| {
            let path = sink.rotation.path.display();
            Failure::new(format_args!("cannot write `{path}`: {error}"))
        })?;
        Ok(sink)
    }

    /// Closes the file and opens it again: somebody else may have set it aside.
    #[cfg(all(feature = "live", target_os = "linux"))]
    pub(super) fn reload(&mut self) {
        self.close();
        let done = self.reopen();
        self.lose(done);
    }

    fn reopen(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.rotation.path)?;
        let whole = file.metadata()?.len();
        let written = Rc::new(Cell::new(whole));
        let output = Counted {
            file: file.try_clone()?,
            written: Rc::clone(&written),
        };
        let sink: Box<dyn Sink> = match self.format {
            Format::Json => Box::new(JsonSink::new(output)),
            Format::Csv if whole > 0 => Box::new(CsvSink::continuing(output)),
            Format::Csv => Box::new(CsvSink::new(output)?),
            Format::Table | Format::Summary | Format::Certs => {
                Box::new(TableSink::new(BufWriter::new(output), Look::default()))
            }
        };
        self.current = Some(Current {
            sink,
            written,
            file,
            whole,
            pending: 0,
            since: None,
        });
        Ok(())
    }

    fn close(&mut self) {
        self.write_out();
        self.current = None;
    }

    /// Sees to it that all events are in the file.
    fn write_out(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        if let Err(error) = current.sink.flush() {
            return self.lose(Err(error));
        }
        current.whole = current.written.get();
        let events = std::mem::take(&mut current.pending);
        if self.is_failing && events > 0 {
            self.is_failing = false;
            let path = self.rotation.path.display();
            let lost = std::mem::take(&mut self.lost);
            tell_warning(format_args!(
                "`{path}` is written again: {lost} events were lost"
            ));
        }
    }

    /// Sets the file aside and begins a new one. Where that cannot be, the file goes on growing.
    fn rotate(&mut self) {
        self.close();
        let set_aside = self.set_aside();
        let done = self.reopen();
        self.lose(done);
        match set_aside {
            Ok(()) => self.pause = 0,
            Err(error) => {
                if self.pause == 0 {
                    let path = self.rotation.path.display();
                    tell_warning(format_args!(
                        "cannot set `{path}` aside: {error}; it grows until that works"
                    ));
                }
                self.pause = ASIDE_PAUSE;
            }
        }
    }

    /// Renames the file, and forgets the oldest.
    fn set_aside(&self) -> io::Result<()> {
        let Rotation { path, keep, .. } = &self.rotation;
        for number in (0..*keep).rev() {
            rename(&aside(path, number), &aside(path, number + 1))?;
        }
        match keep {
            0 => fs::remove_file(path),
            _ => Ok(()),
        }
    }

    fn is_due(&self, now: Option<Timestamp>) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| self.pause <= 1) else {
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

    /// Takes note of a failure: the file is let go, and opened again at the next tick.
    fn lose(&mut self, done: io::Result<()>) {
        let Err(error) = done else {
            return;
        };
        if let Some(Current {
            sink,
            file,
            whole,
            pending,
            ..
        }) = self.current.take()
        {
            drop(sink); // which may try once more to write what it holds
            self.lost += pending;
            // Half a line would be the beginning of the next one.
            if file.metadata().is_ok_and(|now| now.len() > whole) {
                let _ = file.set_len(whole);
            }
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            let path = self.rotation.path.display();
            tell_warning(format_args!(
                "cannot write `{path}`: {error}; events are lost until that works again"
            ));
        }
    }
}

impl Sink for RotatingSink {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        match &mut self.current {
            Some(current) => {
                current.pending += 1;
                let done = current.sink.handshake(event);
                self.lose(done);
            }
            None => self.lost += 1,
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
                let done = self.reopen();
                self.lose(done);
            }
        }
        if self.pause > 1 {
            self.pause -= 1;
        }
        if self.is_due(Some(now)) {
            self.rotate();
        }
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            let done = current.sink.finish(stats);
            self.lose(done);
        }
        if self.lost > 0 {
            let path = self.rotation.path.display();
            tell_warning(format_args!("`{path}` lacks {} events", self.lost));
        }
        Ok(())
    }
}

/// Bytes of a file; none if there is no such file.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The path with a number's suffix; number 0 is the file itself.
fn aside(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Renames a file, if it is there.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// A file, and how long it is.
struct Counted {
    file: File,
    written: Rc<Cell<u64>>,
}

impl Write for Counted {
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

    /// A directory that vanishes with the value.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("tlscope-rotate-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// The files there, with the number of lines in each.
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

        fn sink(&self, format: Format, size: Option<u64>, age: Option<u64>) -> RotatingSink {
            let rotation = Rotation {
                path: self.0.join("events"),
                size,
                age: age.map(Duration::from_secs),
                keep: 2,
            };
            RotatingSink::open(rotation, format).unwrap()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Stands for an event: a line in each format.
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
    fn a_large_file_is_set_aside_and_the_oldest_forgotten() {
        let directory = Directory::new("size");
        let mut sink = directory.sink(Format::Json, Some(1), None);
        for _ in 0..4 {
            write(&mut sink);
        }
        let expected = [("events", 0), ("events.1", 1), ("events.2", 1)];
        assert_eq!(directory.files(), named(&expected));
    }

    #[test]
    fn an_old_file_is_set_aside_unless_it_is_empty() {
        let directory = Directory::new("age");
        let mut sink = directory.sink(Format::Json, None, Some(60));
        tick(&mut sink, 1_000);
        tick(&mut sink, 1_060);
        assert_eq!(directory.files(), named(&[("events", 0)]));
        write(&mut sink);
        tick(&mut sink, 1_061);
        assert_eq!(directory.files(), named(&[("events", 0), ("events.1", 1)]));
    }

    #[test]
    fn what_a_file_holds_stays_when_it_is_opened() {
        let directory = Directory::new("append");
        write(&mut directory.sink(Format::Json, None, None));
        write(&mut directory.sink(Format::Json, None, None));
        assert_eq!(directory.files(), named(&[("events", 2)]));
    }

    #[test]
    fn each_file_of_values_begins_with_its_header() {
        let directory = Directory::new("csv");
        write(&mut directory.sink(Format::Csv, None, None));
        write(&mut directory.sink(Format::Csv, None, None));
        assert_eq!(directory.files(), named(&[("events", 1), ("events.1", 1)]));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_tried_again() {
        let directory = Directory::new("again");
        let mut sink = directory.sink(Format::Json, None, None);
        sink.lose(Err(io::Error::other("the disk is full")));
        write(&mut sink); // lost
        tick(&mut sink, 1_000);
        write(&mut sink);
        assert_eq!(directory.files(), named(&[("events", 1)]));
    }

    #[cfg(all(feature = "live", target_os = "linux"))]
    #[test]
    fn a_file_that_is_opened_again_has_one_header() {
        let directory = Directory::new("header");
        let mut sink = directory.sink(Format::Csv, None, None);
        write(&mut sink);
        sink.reload();
        write(&mut sink);
        assert_eq!(directory.files(), named(&[("events", 1)]));
    }

    #[test]
    fn half_a_line_does_not_stay_behind_and_lost_events_are_counted() {
        let directory = Directory::new("half");
        let mut sink = directory.sink(Format::Json, None, None);
        write(&mut sink);
        let current = sink.current.as_mut().unwrap();
        current.file.write_all(b"{\"type\":").unwrap(); // as far as the disk took it
        current.pending = 3;
        sink.lose(Err(io::Error::other("the disk is full")));
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
    fn a_file_that_cannot_be_set_aside_grows() {
        let directory = Directory::new("stuck");
        let in_the_way = directory.0.join("events.1");
        fs::create_dir_all(in_the_way.join("x")).unwrap();
        let mut sink = directory.sink(Format::Json, Some(1), None);
        sink.rotation.keep = 1;
        for _ in 0..3 {
            write(&mut sink);
        }
        let text = fs::read_to_string(directory.0.join("events")).unwrap();
        assert_eq!((text.lines().count(), sink.pause), (3, ASIDE_PAUSE));
        fs::remove_dir_all(in_the_way).unwrap();
        (0..ASIDE_PAUSE).for_each(|second| tick(&mut sink, second.into()));
        assert_eq!(directory.files(), named(&[("events", 0), ("events.1", 3)]));
        assert_eq!(sink.pause, 0);
    }

    #[test]
    fn a_file_in_no_directory_is_refused() {
        let rotation = Rotation {
            path: "/nonexistent/events".into(),
            size: None,
            age: None,
            keep: 2,
        };
        let failure = RotatingSink::open(rotation, Format::Json).err().unwrap();
        assert!(
            failure
                .to_string()
                .starts_with("cannot write `/nonexistent/events`: ")
        );
    }
}
