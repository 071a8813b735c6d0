//! The system call filter (seccomp): calls that a process which parses packets never needs fail with EPERM.
//!
//! # Why a list of what is denied, and not of what is allowed?
//!
//! A list of what is allowed has to name every call of libc, libpcap, the allocator, the resolver
//! and the TLS stack, on every architecture and in every future version; one that is missing
//! breaks a run in the field. The calls below start programs, inspect other processes, change the
//! system, or reach parts of the kernel with a history of vulnerabilities. Files, the network, and
//! signals are restricted by Landlock, which knows paths and ports.
//!
//! A call is refused rather than the process killed: a library that probes for a feature goes on without it.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// The calls that fail.
const DENIED: &[i64] = &[
    // Start programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Inspect and change other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    // Reach much of the kernel, from any process.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    libc::SYS_vmsplice,
    // Change what is mounted, and the namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Open files past their paths.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Change the system.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
mod only_x86_64 {
    /// Calls that other architectures do not have.
    pub(super) const DENIED: &[i64] = &[
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_uselib,
    ];

    /// Set in the numbers of calls of x32 processes, which the filter sees as x86-64. Nearly no kernel has them.
    pub(super) const X32: i64 = 0x4000_0000;

    /// Calls that have another number there: execve, ptrace, kexec_load, vmsplice, process_vm_readv,
    /// process_vm_writev, execveat.
    pub(super) const OF_X32: &[i64] = &[520, 521, 528, 532, 539, 540, 545];
}

/// Why there is no filter.
pub(super) enum NoFilter {
    /// Not for this architecture.
    Architecture,
    /// The kernel refuses.
    Kernel(Error),
}

impl std::fmt::Display for NoFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Architecture => f.write_str("not on this processor architecture"),
            Self::Kernel(error) => write!(f, "{error}"),
        }
    }
}

/// Whether a run may send datagrams. Only one with a collector has to: to look up its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagrams {
    Allowed,
    Denied,
}

/// Denies calls to this thread and those that it starts, for good.
///
/// This also sets `no_new_privs`.
pub(super) fn restrict(datagrams: Datagrams) -> Result<(), NoFilter> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH);
    let architecture = architecture.map_err(|_| NoFilter::Architecture)?;
    let mut rules: BTreeMap<i64, _> = denied().map(|call| (call, Vec::new())).collect();
    if datagrams == Datagrams::Denied {
        let sockets = internet_datagrams().map_err(|error| NoFilter::Kernel(error.into()))?;
        rules.insert(libc::SYS_socket, sockets);
    }
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture);
    let program: Result<BpfProgram, _> = filter.and_then(BpfProgram::try_from);
    let program = program.map_err(|error| NoFilter::Kernel(error.into()))?;
    apply_filter(&program).map_err(NoFilter::Kernel)
}

/// Sockets for UDP, and raw ones, of either version of IP: what leaves the host without a connection, and which Landlock does not
/// restrict. Capture threads need packet sockets, and the service manager is notified through a Unix socket.
fn internet_datagrams() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    /// The bits of a socket's type without those of its flags.
    const TYPE: u64 = 0xf;
    let is = |argument, operator, value: i32| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            operator,
            u64::from(value.unsigned_abs()),
        )
    };
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            let family = is(0, SeccompCmpOp::Eq, family)?;
            let kind = is(1, SeccompCmpOp::MaskedEq(TYPE), kind)?;
            rules.push(SeccompRule::new(vec![family, kind])?);
        }
    }
    Ok(rules)
}

#[cfg(target_arch = "x86_64")]
fn denied() -> impl Iterator<Item = i64> {
    use only_x86_64::{DENIED as MORE, OF_X32, X32};
    let native = || DENIED.iter().chain(MORE).copied();
    native().chain(
        native()
            .chain(OF_X32.iter().copied())
            .map(|call| call | X32),
    )
}

#[cfg(not(target_arch = "x86_64"))]
fn denied() -> impl Iterator<Item = i64> {
    DENIED.iter().copied()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// Whether UDP sockets can be opened in a thread with the filter; `None` if the kernel has none.
    fn can_send(datagrams: Datagrams) -> Option<bool> {
        let thread = std::thread::spawn(move || {
            restrict(datagrams).ok()?;
            TcpListener::bind("127.0.0.1:0").unwrap();
            UnixDatagram::unbound().unwrap();
            Some(match UdpSocket::bind("127.0.0.1:0") {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                    false
                }
            })
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_run_without_a_collector_cannot_send_datagrams() {
        if let Some(sends) = can_send(Datagrams::Denied) {
            assert!(!sends);
        }
        if let Some(sends) = can_send(Datagrams::Allowed) {
            assert!(sends);
        }
    }
}
