//! What a run is asked to do: arguments as typed ([`args`]), and as resolved.

pub(crate) mod args;
pub(crate) mod config_file;
pub(crate) mod dependent;
pub(crate) mod memory;
mod metrics;
mod overwrite;
mod resolve;
pub(crate) mod source_column;
pub(crate) mod text_kind;
pub(crate) mod variables;

pub(crate) use overwrite::RunFiles;
pub(crate) use resolve::{
    Analysis, EventDestination, Needs, OutputConfig, ReadConfig, SaveFailures, days, now,
    text_style,
};
