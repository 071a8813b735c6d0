//! Capture files to events, in one call.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;

use crate::capture::{CaptureError, CaptureFiles, PacketBatch, PacketSource, Problem};
use crate::event::Event;
use crate::observer::{Collected, Config, Stages};
use crate::stats::Stats;

/// Reads the capture at `path` and gives its events, as `tlscope read` does.
///
/// `path` is a pcap or pcapng file, also one compressed with gzip (with the features `zstd` and `xz`, these too), a
/// directory of captures, which are merged by packet time, or `-` for standard input. Chains are not
/// validated against roots: that needs [`Events::new`] with a [`Config`].
///
/// # Errors
///
/// If there is nothing to read, as [`CaptureFiles::try_open`] says. What goes wrong later does not end the
/// iteration early without trace: see [`Events::problems`].
///
/// # Example
///
/// ```no_run
/// for event in tlscope::read("capture.pcapng")? {
///     if let Some((handshake, error)) = event.failure() {
///         println!("{} {}: {}", handshake.client, handshake.server, error.message);
///     }
/// }
/// # Ok::<(), tlscope::capture::CaptureError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Events, CaptureError> {
    let mut files = CaptureFiles::try_open(path.as_ref())?;
    let mut config = Config::default();
    config.memory_limit = config
        .memory_limit
        .with_decompression(files.decompression_memory());
    Ok(Events::new(files, config))
}

/// The events of captures, in the order in which they are decided; see [`read`].
///
/// Reads as far as the next event needs, on the caller's thread; [`crate::pipeline`] uses several.
pub struct Events {
    files: CaptureFiles,
    batch: PacketBatch,
    stages: Stages,
    ready: VecDeque<Event>,
    problems: Vec<Problem>,
    has_ended: bool,
}

impl Events {
    /// The events of `files`, observed as `config` says.
    #[must_use]
    pub fn new(files: CaptureFiles, config: Config) -> Self {
        Self {
            files,
            batch: PacketBatch::default(),
            stages: Stages::new(&config),
            ready: VecDeque::new(),
            problems: Vec::new(),
            has_ended: false,
        }
    }

    /// What went wrong so far and did not stop the reading: a file that ends in the middle of a packet, say.
    ///
    /// Complete once the iterator has ended.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What was handled and discarded so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stages.stats()
    }

    /// Reads a batch of packets, or ends the run.
    fn advance(&mut self) {
        let Self {
            files,
            batch,
            stages,
            ready,
            ..
        } = self;
        let mut emit = |collected| {
            ready.push_back(match collected {
                Collected::Handshake(report) => Event::Handshake(Box::new(report.event)),
                Collected::NotTls(event) => Event::NotTls(event),
            });
        };
        match files.next_batch(batch) {
            Ok(true) => stages.handle_batch(batch, &mut emit),
            ended => {
                stages.finish(&mut emit);
                self.has_ended = true;
                self.problems.extend(ended.err().map(Problem::from));
            }
        }
        self.problems.extend(self.files.take_problems());
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() && !self.has_ended {
            self.advance();
        }
        self.ready.pop_front()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("problems", &self.problems)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}
