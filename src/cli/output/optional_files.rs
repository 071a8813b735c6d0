//! Files written in addition to the report: captures of failures, and certificates.
//!
//! They may fill a disk, so an error here is a warning, and the run goes on.

use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use tlscope::event::{Handshake, HandshakeReport};
use tlscope::sink::Sink;
use tlscope::sink::files::extract::ExtractSink;
use tlscope::sink::files::save::FailureFiles;
use tlscope::stats::{Health, Stats};
use tlscope::time::Timestamp;

use crate::cli::config::SaveFailures;
use crate::cli::error::CliError;
use crate::cli::say;

/// Saves the packets of each failed handshake to a capture (`--save-failures`).
pub(super) struct FailureCaptures {
    files: FailureFiles,
    keep: usize,
    /// Whether the last failure was lost. The user is warned when this changes.
    is_failing: bool,
    /// Whether the user knows that captures are deleted.
    has_said_evicted: bool,
}

impl FailureCaptures {
    pub(super) fn open(config: &SaveFailures) -> Result<Self, CliError> {
        let files = FailureFiles::open(config.directory.clone(), config.keep.get());
        Ok(Self {
            files: files.map_err(CliError::new)?,
            keep: config.keep.get(),
            is_failing: false,
            has_said_evicted: false,
        })
    }

    /// Saves the packets of a failure and returns the name of the file.
    pub(super) fn save(&mut self, report: &HandshakeReport) -> Option<Arc<str>> {
        match self.files.save(report) {
            Ok(None) => None,
            Ok(saved_to) => {
                if mem::take(&mut self.is_failing) {
                    let lost = self.files.lost();
                    say::warning(format_args!(
                        "saving failure captures again; {lost} were lost"
                    ));
                }
                self.say_evicted_once();
                saved_to
            }
            Err(error) => {
                if !mem::replace(&mut self.is_failing, true) {
                    say::warning(format_args!(
                        "cannot save the packets of a failure: {error}; retrying with each failure"
                    ));
                }
                None
            }
        }
    }

    /// Warns when the first capture makes room for another: an event may name it, and it is gone.
    fn say_evicted_once(&mut self) {
        if self.files.evicted() > 0 && !self.has_said_evicted {
            self.has_said_evicted = true;
            say::warning(format_args!(
                "more than {} failures: the oldest captures of the most frequent server and cause are deleted from now on",
                self.keep
            ));
            say::hint("`--save-failures-keep` keeps more");
        }
    }

    /// Captures deleted to make room for newer ones.
    pub(super) const fn evicted(&self) -> u64 {
        self.files.evicted()
    }

    /// Failures whose packets could not be written.
    pub(super) const fn lost(&self) -> u64 {
        self.files.lost()
    }

    /// Warns of all failures whose captures were lost or deleted. A single one had its own warning.
    pub(super) fn warn_of_lost(&self) {
        if let evicted @ 2.. = self.files.evicted() {
            say::warning(format_args!(
                "{evicted} captures of failures were deleted to make room for newer ones"
            ));
        }
        if let lost @ 2.. = self.files.lost() {
            say::warning(format_args!(
                "the packets of {lost} failures were not saved"
            ));
        }
    }
}

/// Writes each certificate to a file (`--extract-certs`).
pub(super) struct CertificateFiles {
    sink: ExtractSink,
    has_warned: bool,
}

impl CertificateFiles {
    pub(super) fn open(directory: &Path) -> Result<Self, CliError> {
        Ok(Self {
            sink: ExtractSink::new(directory.to_owned()).map_err(CliError::new)?,
            has_warned: false,
        })
    }

    pub(super) fn handshake(&mut self, event: &Handshake) {
        let result = self.sink.handshake(event);
        self.warn_once(result);
    }

    pub(super) fn tick(&mut self, now: Timestamp, health: &Health) {
        let result = self.sink.tick(now, health);
        self.warn_once(result);
    }

    /// Certificates that were dropped because too many were queued.
    pub(super) const fn lost(&self) -> u64 {
        self.sink.discarded()
    }

    /// Writes what is queued. There is no later attempt, so an error counts.
    pub(super) fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.sink.finish(stats)
    }

    /// The sink queues what it could not write and retries, so one warning is enough.
    fn warn_once(&mut self, result: io::Result<()>) {
        let Err(error) = result else {
            return;
        };
        if !mem::replace(&mut self.has_warned, true) {
            say::warning(format_args!(
                "{error}; certificates are queued until the disk has space"
            ));
        }
    }
}
