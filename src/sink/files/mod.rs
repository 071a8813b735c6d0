//! Files that handshakes leave behind: captures of failures and of whole runs, and certificates.

#[cfg(feature = "cli")]
pub mod extract;
#[cfg(feature = "cli")]
pub(crate) mod inventory;
#[cfg(all(feature = "cli", live_capture))]
pub mod recording;
pub mod save;
