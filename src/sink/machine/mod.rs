//! Output for programs: JSON Lines with their schema, comma-separated values, a cryptographic bill of materials, and targets for
//! Prometheus.

pub mod cbom;
pub mod csv;
pub mod json;
pub mod schema;
pub(crate) mod services;
pub mod targets;
