//! Output for people: a line per handshake, one handshake in full, a summary, a live screen, a table of certificates.

pub mod certificates;
#[cfg(live_capture)]
pub mod screen;
pub mod show;
pub mod summary;
pub mod table;
pub(crate) mod text;
