//! Events to output: one [`Sink`] trait, and one file for each format.
//!
//! `people` has the formats for reading, `machine` those for programs, `files` what a
//! run leaves in directories. `OutputFormat` lists the formats. `telemetry` is a sink, too.
//!
//! Stable are [`Sink`] and, with the feature `serde`, JSON Lines and their schema in `machine`. The other outputs are
//! those of the program (feature `cli`) and may change in any release.

pub(crate) mod fair_queue;
#[cfg(any(feature = "cli", feature = "otel"))]
pub(crate) mod fields;
#[cfg(feature = "cli")]
pub mod files;
#[cfg(feature = "serde")]
pub mod machine;
#[cfg(feature = "cli")]
mod output_format;
#[cfg(feature = "cli")]
pub mod people;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod selection;
#[cfg(feature = "cli")]
pub mod sorted;
#[cfg(all(test, feature = "serde"))]
pub(crate) mod test_events;

use std::io;

#[cfg(feature = "cli")]
pub use output_format::OutputFormat;
#[cfg(feature = "cli")]
pub use people::text::TextStyle;

use crate::event::{Handshake, NotTls};
use crate::stats::{Health, Progress, Stats};
use crate::time::Timestamp;

/// Receives events in the order in which they were made.
///
/// `handshake` is called once for each handshake, `not_tls` for each connection without TLS, `progress` and `flush` after each
/// batch of packets, `tick` about once a second of a live run, and `finish` once at the end.
/// An error ends the run.
///
/// A run on several threads has the lines of a sink with [`Sink::renderers`] made there, and the sink gets [`Sink::rendered`] instead of
/// `handshake` and `not_tls`.
///
/// What needs the packets of a handshake, or its steps, is a [`crate::pipeline::Output`] instead.
pub trait Sink {
    /// Receives one event.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn handshake(&mut self, event: &Handshake) -> io::Result<()>;

    /// Receives a connection to a TLS port that did not become TLS.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn not_tls(&mut self, _event: &NotTls) -> io::Result<()> {
        Ok(())
    }

    /// Notes how far the run has come; called before `flush`.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn progress(&mut self, _progress: &Progress) -> io::Result<()> {
        Ok(())
    }

    /// Makes the events received so far visible to readers of the output.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Notes that a live run is at `now`, and how it is doing; also called just before the end.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn tick(&mut self, _now: Timestamp, _health: &Health) -> io::Result<()> {
        Ok(())
    }

    /// Closes the output; `stats` counts the whole run.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn finish(&mut self, stats: &Stats) -> io::Result<()>;

    /// What the sink needs of each handshake. A run makes nothing that no sink needs.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Makers of this sink's lines for so many threads, which share the memory that the sink may take for them. None if it needs
    /// the events themselves.
    fn renderers(&self, _count: usize) -> Vec<Box<dyn Renderer>> {
        Vec::new()
    }

    /// Receives what a renderer has made of so many events, in place of them. Only called if there are renderers.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn rendered(&mut self, _text: &[u8], _events: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What a sink needs of a handshake besides what every event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// JA3, JA3S and JA4.
    pub fingerprints: bool,
    /// What the peers of successful handshakes listed, and the order of messages. Other handshakes always have it.
    pub offers: bool,
}

impl Needs {
    /// All of it.
    pub const ALL: Self = Self {
        fingerprints: true,
        offers: true,
    };
    /// None of it.
    pub const NONE: Self = Self {
        fingerprints: false,
        offers: false,
    };

    /// What one of two sinks needs.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            fingerprints: self.fingerprints || other.fingerprints,
            offers: self.offers || other.offers,
        }
    }
}

/// Makes the lines that a [`Sink`] writes. No line depends on those before it, so any thread can make them.
pub trait Renderer: Send {
    /// Appends what the sink makes of a handshake.
    ///
    /// # Errors
    ///
    /// When the event has no line.
    fn handshake(&mut self, event: &Handshake, text: &mut Vec<u8>) -> io::Result<()>;

    /// Appends what the sink makes of a connection without TLS.
    ///
    /// # Errors
    ///
    /// When the event has no line.
    fn not_tls(&mut self, event: &NotTls, text: &mut Vec<u8>) -> io::Result<()>;
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        (**self).handshake(event)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        (**self).not_tls(event)
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        (**self).progress(progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        (**self).tick(now, health)
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        (**self).finish(stats)
    }

    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        (**self).renderers(count)
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        (**self).rendered(text, events)
    }
}

/// Milliseconds, exact to the nanosecond.
///
/// Both operands are whole numbers, so the one division rounds once, and the shortest
/// digits of the result show no noise.
#[cfg(any(feature = "serde", feature = "otel"))]
pub(crate) fn milliseconds(duration: std::time::Duration) -> f64 {
    let nanoseconds = duration.as_nanos();
    // Nearly all fit in 64 bits, for which processors have an instruction.
    let number = u64::try_from(nanoseconds).map_or(nanoseconds as f64, |fits| fits as f64);
    number / 1e6
}
