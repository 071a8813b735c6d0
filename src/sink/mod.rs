//! Events to output: one [`Sink`] trait, one file for each format.

#[cfg(any(feature = "cli", feature = "otel"))]
pub(crate) mod fields;
pub mod files;
#[cfg(feature = "cli")]
pub mod machine;
#[cfg(feature = "cli")]
pub mod people;
#[cfg(all(test, feature = "cli"))]
pub(crate) mod test_events;

use std::io;

#[cfg(feature = "cli")]
pub use people::text::TextStyle;

use crate::event::Handshake;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// Takes events in the order in which they were made.
///
/// `handshake` is called once for each event, `flush` after each batch of
/// packets, `tick` about once a second of a live run, `finish` once at the end.
/// An error ends the run.
pub trait Sink {
    /// Takes one event.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn handshake(&mut self, event: &Handshake) -> io::Result<()>;

    /// Lets what was taken so far be seen by whoever reads the output.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Notes that a live run goes on at `now`, and how it is doing; also just before the end.
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
}

/// Milliseconds, exact to the nanosecond.
///
/// Both operands are whole numbers, so the one division rounds once, and the shortest
/// digits of the result show no noise.
#[cfg(any(feature = "cli", feature = "otel"))]
pub(crate) fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
