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

use seccompiler::{BpfProgram, Error, SeccompAction, SeccompFilter, TargetArch, apply_filter};

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

/// Denies calls to this thread and those that it starts, for good.
///
/// This also sets `no_new_privs`.
pub(super) fn restrict() -> Result<(), NoFilter> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH);
    let architecture = architecture.map_err(|_| NoFilter::Architecture)?;
    let rules: BTreeMap<i64, _> = denied().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture);
    let program: Result<BpfProgram, _> = filter.and_then(BpfProgram::try_from);
    let program = program.map_err(|error| NoFilter::Kernel(error.into()))?;
    apply_filter(&program).map_err(NoFilter::Kernel)
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
