//! Output for programs: JSON Lines with their schema, and comma-separated values.

pub mod csv;
pub mod json;
pub mod schema;
