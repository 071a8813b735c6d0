//! The host of a long run: privileges, the sandbox, signals and the service manager.

mod privileges;
mod sandbox;
mod service_manager;
mod signals;
mod system_calls;

pub(in crate::cli::commands) use privileges::drop_all;
pub(super) use privileges::{Account, enable_capture, keep_capture_only, keep_inspection_only};
pub(super) use sandbox::{DNS, Restrictions, Sandbox};
pub(super) use service_manager::ServiceManager;
pub(super) use signals::Signals;

/// Makes system calls fail that this thread never needs; it sends no datagrams. A kernel that refuses is not warned of.
pub(super) fn restrict_system_calls() {
    let _ = system_calls::restrict(system_calls::Datagrams::Denied);
}
