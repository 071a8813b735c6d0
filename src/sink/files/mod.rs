//! Files that handshakes leave behind: captures of failures and of whole runs, and certificates.

pub mod extract;
pub(crate) mod inventory;
#[cfg(live_capture)]
pub mod recording;
pub mod save;
