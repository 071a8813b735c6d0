//! The host that a long run lives on: what it may do there, who tells it to stop, and who wants to know how it is.

mod privileges;
mod sandbox;
mod service_manager;
mod signals;

pub(crate) use privileges::{Account, drop_all, keep_capture_only};
pub(crate) use sandbox::Sandbox;
pub(crate) use service_manager::Service;
pub(crate) use signals::Signals;
