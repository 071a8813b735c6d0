//! Output for programs: JSON Lines with their schema, comma-separated values, a cryptographic bill of materials, and targets for
//! Prometheus.

mod blocks;
#[cfg(feature = "cli")]
pub mod cbom;
#[cfg(feature = "cli")]
pub mod csv;
pub mod json;
pub mod schema;
#[cfg(feature = "cli")]
pub(crate) mod services;
#[cfg(feature = "cli")]
pub mod targets;
