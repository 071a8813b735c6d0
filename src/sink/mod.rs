//! Events to output: one [`Sink`] trait, one file for each format.

#[cfg(feature = "cli")]
pub mod check;
#[cfg(feature = "cli")]
pub mod csv;
#[cfg(feature = "cli")]
pub mod json;
pub mod otel;
#[cfg(feature = "cli")]
pub mod schema;
#[cfg(feature = "cli")]
pub mod summary;
#[cfg(feature = "cli")]
pub mod table;
#[cfg(all(test, feature = "cli"))]
pub(crate) mod test_events;
#[cfg(feature = "cli")]
mod text;

use std::io;

#[cfg(feature = "cli")]
pub use text::Look;

use crate::event::Handshake;
use crate::stats::Stats;

/// Takes events in the order in which they were made.
///
/// `handshake` is called once for each event, `flush` after each batch of
/// packets, `finish` once at the end. An error ends the run.
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

    /// Closes the output; `stats` counts the whole run.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn finish(&mut self, stats: &Stats) -> io::Result<()>;
}
