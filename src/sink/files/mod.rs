//! Files that handshakes leave behind: captures of failures, and certificates.

#[cfg(feature = "cli")]
pub mod extract;
#[cfg(feature = "cli")]
pub(crate) mod inventory;
pub mod save;
