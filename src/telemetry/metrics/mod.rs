//! What is measured: the instruments, and the series in which they count.

pub(crate) mod bindings;
pub(crate) mod certificate_table;
mod extra_attributes;
pub(crate) mod heavy_hitters;
pub(crate) mod instruments;
pub(crate) mod reader;
pub(crate) mod self_telemetry;
mod series;
