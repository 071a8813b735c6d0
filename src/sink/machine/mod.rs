//! Output for programs: JSON Lines with their schema, and comma-separated values.

#[cfg(feature = "cli")]
pub mod csv;
pub mod json;
pub mod schema;
