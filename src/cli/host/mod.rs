//! The host that a long run lives on: its signals.

mod signals;

pub(super) use signals::Signals;
