//! The sandbox: after the start, the run can open only the files that it needs, connect only to its
//! collector, signal only itself (Landlock), and make only the system calls that it may need (seccomp).
//!
//! What the kernel does not know is not restricted: network rules need Landlock ABI 4 (Linux 6.7),
//! scopes ABI 6 (Linux 6.12).

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use super::system_calls::{self, Datagrams};
use crate::cli::error::CliError;
use crate::cli::say;

/// What the run can still do. Files and sockets that are already open are not affected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sandbox {
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    /// TCP ports that it can connect to.
    ports: BTreeSet<u16>,
    /// Whether it can connect to abstract sockets of other processes.
    uses_abstract_sockets: bool,
}

/// What the kernel enforces, in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restrictions {
    files: String,
    system_calls: String,
}

impl fmt::Display for Restrictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.files, self.system_calls)
    }
}

/// Files that the system's libraries read to look up a host, to validate a collector's
/// certificate and to notice an interface that comes back; and `/proc`, for the metrics on memory.
const READABLE: [&str; 22] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/run/systemd/resolve", // resolv.conf is replaced, not rewritten: a rule for the file would be lost with it
    "/run/NetworkManager",
    "/run/resolvconf",
    "/var/lib/ca-certificates",
    "/sys/class/net",
    "/sys/devices",
    "/proc",
];

/// Devices for the terminal and for random numbers.
const WRITABLE: [&str; 3] = ["/dev/tty", "/dev/null", "/dev/urandom"];

/// Variables that name files: roots of trust, and client certificates for a collector.
const VARIABLES: [&str; 14] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
];

/// The restrictions asked for; an older kernel enforces those that it knows.
const RULES: ABI = ABI::V6;

/// DNS, which uses TCP for long answers.
pub(crate) const DNS: u16 = 53;

impl Sandbox {
    /// Allows reading `path` and everything below it; for a file, everything in its directory,
    /// since a file that is replaced is a new one. A link's target is treated the same way.
    pub(crate) fn allow_reading(&mut self, path: &Path) {
        let target = path.canonicalize().ok();
        for path in [Some(path), target.as_deref()].into_iter().flatten() {
            self.readable.push(place_of(path).to_owned());
        }
    }

    /// Allows reading the files that environment variables name.
    pub(crate) fn allow_reading_named(&mut self, environment: &dyn Fn(&str) -> Option<String>) {
        for path in VARIABLES.iter().filter_map(|name| environment(name)) {
            self.allow_reading(Path::new(&path));
        }
    }

    /// Allows reading, writing, creating and removing everything in a directory; for a file, in its directory.
    pub(crate) fn allow_writing(&mut self, path: &Path) {
        self.writable.push(place_of(path).to_owned());
    }

    /// Allows connecting to a TCP port.
    pub(crate) fn allow_connecting(&mut self, port: u16) {
        self.ports.insert(port);
    }

    /// Allows abstract sockets, such as the service manager's in some containers.
    pub(crate) const fn allow_abstract_sockets(&mut self) {
        self.uses_abstract_sockets = true;
    }

    /// Restricts this thread and those that it starts, for good; returns what the kernel enforces.
    ///
    /// Warns if the kernel has no Landlock, or refuses a system call filter.
    pub(crate) fn enter(&self) -> Result<Restrictions, CliError> {
        let status = self.restrict().map_err(|error| {
            CliError::new(format_args!("cannot enter the sandbox: {error}"))
                .hint("use `--no-sandbox` to run without it")
        })?;
        let files = match status.landlock {
            LandlockStatus::Available { effective_abi, .. } => self.in_words(effective_abi),
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => {
                say::warning("this kernel has no sandbox (Landlock): files are not restricted");
                "no Landlock".to_owned()
            }
        };
        // A collector's name may have to be looked up; nothing else sends datagrams.
        let datagrams = if self.ports.is_empty() {
            Datagrams::Denied
        } else {
            Datagrams::Allowed
        };
        let system_calls = match system_calls::restrict(datagrams) {
            Ok(()) if datagrams == Datagrams::Denied => {
                "seccomp: system calls are restricted, and UDP is denied".to_owned()
            }
            Ok(()) => "seccomp: system calls are restricted".to_owned(),
            Err(error) => {
                say::warning(format_args!(
                    "no system call filter (seccomp): {error}; system calls are not restricted"
                ));
                "no seccomp".to_owned()
            }
        };
        Ok(Restrictions {
            files,
            system_calls,
        })
    }

    fn in_words(&self, abi: ABI) -> String {
        let mut text = format!("Landlock ABI {}: files", abi as i32);
        if abi >= ABI::V4 {
            let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
            let ports = match ports.len() {
                0 => "none".to_owned(),
                _ => ports.join(", "),
            };
            text += &format!(", TCP (may connect to ports: {ports})");
        }
        if abi >= ABI::V6 {
            text += match self.uses_abstract_sockets {
                true => ", signals",
                false => ", signals, abstract sockets",
            };
        }
        text + " are restricted"
    }

    fn restrict(&self) -> Result<RestrictionStatus, RulesetError> {
        let readable = READABLE.iter().map(Path::new);
        let readable = readable.chain(self.readable.iter().map(PathBuf::as_path));
        let writable = WRITABLE.iter().map(Path::new);
        let writable = writable.chain(self.writable.iter().map(PathBuf::as_path));
        let (all, read) = (
            AccessFs::from_all(RULES),
            AccessFs::ReadFile | AccessFs::ReadDir,
        );
        let scopes = match self.uses_abstract_sockets {
            true => Scope::Signal.into(),
            false => Scope::from_all(RULES),
        };
        let ports = self.ports.iter().copied();
        let ports =
            ports.map(|port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::ConnectTcp)));
        Ruleset::default()
            .handle_access(all)?
            .handle_access(AccessNet::from_all(RULES))?
            .scope(scopes)?
            .create()?
            .add_rules(path_beneath_rules(readable, read))?
            .add_rules(path_beneath_rules(writable, all & !AccessFs::Execute))?
            .add_rules(ports)?
            .restrict_self()
    }
}

/// A directory itself; for a file, which may not exist yet, its directory.
fn place_of(path: &Path) -> &Path {
    match path.parent() {
        _ if path.is_dir() => path,
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn system_calls_that_are_denied_fail() {
        let thread = std::thread::spawn(|| {
            assert!(std::process::Command::new("/bin/true").status().is_ok());
            if let Err(error) = system_calls::restrict(Datagrams::Allowed) {
                panic!("{error}");
            }
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
            assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
            let error = std::process::Command::new("/bin/true").status();
            assert_eq!(error.unwrap_err().kind(), ErrorKind::PermissionDenied);
            let error = std::os::unix::fs::chroot("/").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            // What a run needs goes on.
            assert!(File::open("/dev/null").is_ok());
            assert!(TcpListener::bind("127.0.0.1:0").is_ok());
            assert!(std::thread::spawn(|| ()).join().is_ok());
        });
        thread.join().unwrap();
    }

    #[test]
    fn the_effect_is_reported_in_words() {
        let mut sandbox = Sandbox::default();
        let words = |sandbox: &Sandbox, abi| sandbox.in_words(abi);
        assert_eq!(
            words(&sandbox, ABI::V3),
            "Landlock ABI 3: files are restricted"
        );
        assert_eq!(
            words(&sandbox, ABI::V4),
            "Landlock ABI 4: files, TCP (may connect to ports: none) are restricted"
        );
        sandbox.allow_connecting(4317);
        sandbox.allow_connecting(DNS);
        assert_eq!(
            words(&sandbox, ABI::V6),
            "Landlock ABI 6: files, TCP (may connect to ports: 53, 4317), signals, abstract sockets are restricted"
        );
        sandbox.allow_abstract_sockets();
        assert!(words(&sandbox, ABI::V6).ends_with(", signals are restricted"));
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn files_that_are_not_allowed_cannot_be_opened() {
        let directory =
            std::env::temp_dir().join(format!("tlscope-sandbox-{}", std::process::id()));
        let [readable, writable, linked, other] =
            ["readable", "writable", "linked", "other"].map(|name| directory.join(name));
        let links = directory.join("links");
        for path in [&readable, &writable, &linked, &links, &other] {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        let link = links.join("file.pem");
        std::os::unix::fs::symlink(linked.join("file"), &link).unwrap();
        let mut sandbox = Sandbox::default();
        sandbox.allow_reading_named(&|name| {
            (name == "SSL_CERT_FILE").then(|| link.display().to_string())
        });
        sandbox.allow_reading(&readable);
        sandbox.allow_writing(&writable.join("file"));
        let servers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [allowed, forbidden] = servers
            .each_ref()
            .map(|server| server.local_addr().unwrap());
        sandbox.allow_connecting(allowed.port());
        let thread = std::thread::spawn(move || {
            let LandlockStatus::Available { effective_abi, .. } =
                sandbox.restrict().unwrap().landlock
            else {
                eprintln!("skipped: this kernel has no Landlock");
                return;
            };
            let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            assert!(File::open(readable.join("file")).is_ok());
            assert!(File::create(readable.join("file")).is_err_and(denied));
            assert!(File::create(writable.join("new")).is_ok());
            assert!(fs::rename(writable.join("new"), writable.join("file")).is_ok());
            assert!(File::open(linked.join("file")).is_ok());
            assert!(File::open(other.join("file")).is_err_and(denied));
            assert!(File::open("/etc/passwd").is_err_and(denied));
            assert!(fs::read_dir("/").is_err_and(denied));
            if effective_abi >= ABI::V4 {
                assert!(TcpStream::connect(allowed).is_ok());
                assert!(TcpStream::connect(forbidden).is_err_and(denied));
                assert!(TcpListener::bind("127.0.0.1:0").is_err_and(denied));
            }
        });
        thread.join().unwrap();
        fs::remove_dir_all(directory).unwrap();
    }
}
