//! Notifications to the service manager, in the protocol of sd_notify(3).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager that NOTIFY_SOCKET names, if any.
///
/// A notification that cannot be sent does not affect the run: errors are ignored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceManager {
    /// Whether it stops a run that sends no WATCHDOG message for some time.
    has_watchdog: bool,
}

impl ServiceManager {
    /// Notifies it that the capture has started.
    pub(crate) fn notify_ready(interfaces: &str) -> Self {
        notify(&format!("READY=1\nSTATUS=listening on {interfaces}\n"));
        let is_ours =
            env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
        Self {
            has_watchdog: is_ours && env::var_os("WATCHDOG_USEC").is_some(),
        }
    }

    /// Feeds the watchdog; the thread that writes output calls this about every second.
    pub(crate) fn feed_watchdog(self) {
        if self.has_watchdog {
            notify("WATCHDOG=1\n");
        }
    }

    /// Notifies it that the run is ending.
    pub(crate) fn notify_stopping(self) {
        notify("STOPPING=1\n");
    }
}

fn notify(message: &str) {
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
    socket.set_nonblocking(true)?; // a manager that does not read must not hold up packets
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}
