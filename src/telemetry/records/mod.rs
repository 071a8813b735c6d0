//! One log record and one span for each handshake.

mod attributes;
pub(crate) mod logs;
pub(crate) mod spans;
