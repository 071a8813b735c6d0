//! `--watch-cert`: certificate files, read again when they change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Notice;
use super::metrics::self_telemetry::SelfTelemetry;
use crate::time::Timestamp;

mod search;
mod watched_certificates;

pub(crate) use watched_certificates::{MAX_CERTIFICATES, WatchedCertificates};

/// How often the files are checked: a renewal shows soon, and the cost is some thousand
/// system calls at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// Certificate files to be watched, which have not been read yet.
pub(crate) struct PreparedWatch {
    files: Arc<WatchedCertificates>,
    self_telemetry: Arc<SelfTelemetry>,
    notice: Notice,
}

impl PreparedWatch {
    /// Prepares for the files that `paths` name: files, directories and patterns. `with_serial` adds serial numbers
    /// to their attributes.
    ///
    /// They are not read before [`PreparedWatch::start`], when privileges have been dropped: errors must not
    /// reveal anything about a file that the user of the run may not read.
    pub(crate) fn new(
        paths: &[PathBuf],
        with_serial: bool,
        self_telemetry: Arc<SelfTelemetry>,
        notice: Notice,
    ) -> Self {
        Self {
            files: Arc::new(WatchedCertificates::new(paths, with_serial)),
            self_telemetry,
            notice,
        }
    }

    /// The files, for the gauges.
    pub(crate) const fn files(&self) -> &Arc<WatchedCertificates> {
        &self.files
    }

    /// Reads the files, and then watches them on a thread, if there are any.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub(crate) fn start(self) -> io::Result<Option<CertificateWatch>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        self.refresh();
        let (wake, woken) = bounded(1);
        thread::Builder::new()
            .name("watch-cert".to_owned())
            .spawn(move || self.run(&woken))?;
        Ok(Some(CertificateWatch { wake }))
    }

    fn run(self, woken: &Receiver<()>) {
        while woken.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
            self.refresh();
        }
    }

    /// Reads what has changed, and reports files that can no longer be read.
    fn refresh(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        let now = Timestamp::from_nanoseconds(now.try_into().unwrap_or(i64::MAX));
        let changes = self.files.refresh(now);
        self.self_telemetry
            .set_unreadable_certificates(changes.unreadable);
        self.self_telemetry
            .set_omitted_certificates(changes.omitted);
        changes.problems.iter().for_each(|line| (self.notice)(line));
    }
}

/// The watching thread; dropping this stops it.
pub(crate) struct CertificateWatch {
    wake: Sender<()>,
}

impl CertificateWatch {
    /// Checks the files now.
    pub(crate) fn refresh(&self) {
        let _ = self.wake.try_send(()); // if the channel is full, the thread is about to check anyway
    }
}
