//! The service manager, where there is one: the protocol of sd_notify(3).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says how the run is doing to the service manager that NOTIFY_SOCKET names.
///
/// A manager that cannot be told is none of the run's business: failures are not reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// Whether it ends a run that does not say for a while that it is well.
    has_watchdog: bool,
}

impl Service {
    /// Says that packets are captured from now on.
    pub(crate) fn ready(interfaces: &str) -> Self {
        tell(&format!("READY=1\nSTATUS=listening on {interfaces}\n"));
        let is_ours =
            env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
        Self {
            has_watchdog: is_ours && env::var_os("WATCHDOG_USEC").is_some(),
        }
    }

    /// Says that the run is well: called about every second by the thread that writes.
    pub(crate) fn is_well(self) {
        if self.has_watchdog {
            tell("WATCHDOG=1\n");
        }
    }

    /// Says that the run comes to its end.
    pub(crate) fn stopping(self) {
        tell("STOPPING=1\n");
    }
}

fn tell(message: &str) {
    if let Some(name) = env::var_os("NOTIFY_SOCKET") {
        let _ = send(&name, message);
    }
}

fn send(name: &OsStr, message: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?; // a manager that is stuck does not hold packets up
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}
