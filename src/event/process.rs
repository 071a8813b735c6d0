//! Programs of the observing host.

use std::sync::Arc;

/// Who holds the socket at one end of a handshake, as far as the observing host tells. A socket whose control group is known may be
/// without a process, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalProcess {
    /// The process, in the PID namespace of the observer.
    pub pid: Option<u32>,
    /// Its name, of at most 15 bytes, as `ps` and `ss` show it (`/proc/PID/comm`).
    pub command: Option<Arc<str>>,
    /// Where it belongs.
    pub workload: Option<Arc<Workload>>,
}

impl LocalProcess {
    /// A process about which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pid: None,
            command: None,
            workload: None,
        }
    }

    /// The shortest name that leads to it: the command, with its number; else the unit, the container or the control group.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match (&self.command, self.pid) {
            (Some(command), Some(pid)) => Some(format!("{command}[{pid}]")),
            (Some(command), None) => Some(command.to_string()),
            (None, Some(pid)) => Some(format!("[{pid}]")),
            (None, None) => self.workload.as_ref().map(|workload| workload.name()),
        }
    }
}

/// A control group, and what its path says about the container or the unit in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// Its path in the hierarchy, as in `/system.slice/nginx.service`.
    pub cgroup: String,
    /// The container, by its full identifier.
    pub container_id: Option<String>,
    /// The Kubernetes pod of the container, by its UID.
    pub pod_uid: Option<String>,
    /// The systemd unit: a service, or the scope of a session, an application or a machine.
    pub unit: Option<String>,
}

impl Workload {
    /// A control group about which only the path is known.
    #[must_use]
    pub const fn new(cgroup: String) -> Self {
        Self {
            cgroup,
            container_id: None,
            pod_uid: None,
            unit: None,
        }
    }

    /// The container by the 12 digits that `docker ps` shows, else the unit, else the path.
    #[must_use]
    pub fn name(&self) -> String {
        const SHORT: usize = 12;
        let container = self.container_id.as_deref();
        let short = container.map(|id| id.get(..SHORT).unwrap_or(id));
        short
            .or(self.unit.as_deref())
            .unwrap_or(&self.cgroup)
            .to_owned()
    }
}
