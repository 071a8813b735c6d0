//! The file of `--report`.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use tlscope::event::{Handshake, Ladder, NotTls};
use tlscope::sink::Sink;
use tlscope::sink::report::ReportSink;
use tlscope::stats::Stats;

use super::whole_file::unfinished_name;
use crate::cli::error::CliError;

/// Collects a run and writes the page at the end.
///
/// The page is written to a file next to the one asked for and takes its name when it is complete. So an older report stays until
/// then, and a directory that cannot be written to is known before the captures are read.
pub(super) struct HtmlReport {
    path: PathBuf,
    /// The file that is being written; `None` once it has its name, and for a device or a pipe, which is written to directly.
    unfinished: Option<PathBuf>,
    sink: ReportSink<BufWriter<File>>,
}

impl HtmlReport {
    pub(super) fn open(path: PathBuf) -> Result<Self, CliError> {
        if path.as_os_str() == "-" {
            return Err(CliError::new("a report needs a file: `-` is not one")
                .hint("name it, as in `--report report.html`"));
        }
        let is_special = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
        let unfinished = (!is_special).then(|| unfinished_name(&path));
        let file = match &unfinished {
            Some(unfinished) => File::create(unfinished),
            None => File::options().write(true).open(&path),
        };
        let file = file.map_err(|error| CliError::new(cannot_write(&path, &error)))?;
        Ok(Self {
            sink: ReportSink::new(BufWriter::new(file)),
            path,
            unfinished,
        })
    }

    /// Records a handshake, and its steps if there are any.
    pub(super) fn add(&mut self, event: &Handshake, ladder: Option<&Ladder>) {
        self.sink.add(event, ladder);
    }

    /// Counts a handshake that is not selected.
    pub(super) fn leave_out(&mut self, event: &Handshake) {
        self.sink.leave_out(event);
    }
}

impl Sink for HtmlReport {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.sink.handshake(event)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.sink.not_tls(event)
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        let written = self.sink.finish(stats).and_then(|()| {
            let unfinished = self.unfinished.as_ref();
            unfinished.map_or(Ok(()), |unfinished| fs::rename(unfinished, &self.path))
        });
        written.map_err(|error| cannot_write(&self.path, &error))?;
        self.unfinished = None;
        Ok(())
    }
}

impl Drop for HtmlReport {
    /// Removes what has no end.
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            let _ = fs::remove_file(unfinished);
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "cannot write the report `{}`: {error}",
        path.display()
    ))
}
