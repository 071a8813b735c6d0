//! The host that a long run lives on: what it may do there, who tells it to stop, and who wants to know how it is.

mod privileges;
mod sandbox;
mod service;
mod signals;

pub(super) use privileges::{Account, drop_all, keep_capture_only};
pub(super) use sandbox::Sandbox;
pub(super) use service::Service;
pub(super) use signals::Signals;
