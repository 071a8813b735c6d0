//! Output for programs: JSON Lines with their schema, comma-separated values, a cryptographic bill of materials, and targets for
//! Prometheus.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cbom;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod csv;
pub mod json;
pub mod schema;
#[cfg(feature = "cli")]
pub(crate) mod services;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod targets;
