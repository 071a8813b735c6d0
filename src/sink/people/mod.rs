//! Output for people: a line per handshake, a summary, a live screen, a table of certificates.

pub mod certificates;
pub mod screen;
pub mod summary;
pub mod table;
pub(crate) mod text;
