//! What a run is asked to do: arguments as typed ([`args`]), and as resolved.

pub(crate) mod args;
pub(crate) mod config_file;
mod metrics;
#[cfg(live_capture)]
pub(crate) mod print_config;
mod resolve;

pub(crate) use resolve::*;
