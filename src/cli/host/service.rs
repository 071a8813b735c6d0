//! The service manager, where there is one (sd_notify(3)).

use sd_notify::NotifyState;

/// Says how the run is doing to the service manager that NOTIFY_SOCKET names.
///
/// A manager that cannot be told is none of the run's business: failures are not reported.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Service {
    /// Whether it ends a run that does not say for a while that it is well.
    has_watchdog: bool,
}

impl Service {
    /// Says that packets are captured from now on.
    pub(in crate::cli) fn ready(interfaces: &str) -> Self {
        let status = format!("listening on {interfaces}");
        tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
        Self {
            has_watchdog: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// Says that the run is well: called about every second by the thread that writes.
    pub(in crate::cli) fn is_well(self) {
        if self.has_watchdog {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Says that the run comes to its end.
    pub(in crate::cli) fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
