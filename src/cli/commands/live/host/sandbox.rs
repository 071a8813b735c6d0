//! The sandbox (Landlock): after the start, the run can open only the files that it needs.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

use crate::cli::error::CliError;
use crate::cli::say;

/// The files that the run can still open. Files that are already open are not affected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sandbox {
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
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
const RULES: ABI = ABI::V5;

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

    /// Restricts this thread and those that it starts, for good.
    ///
    /// Warns if the kernel has no Landlock.
    pub(crate) fn enter(&self) -> Result<(), CliError> {
        let status = self.restrict().map_err(|error| {
            CliError::new(format_args!("cannot enter the sandbox: {error}"))
                .hint("use `--no-sandbox` to run without it")
        })?;
        if status == RulesetStatus::NotEnforced {
            say::warning("this kernel has no sandbox (Landlock): files are not restricted");
        }
        Ok(())
    }

    fn restrict(&self) -> Result<RulesetStatus, RulesetError> {
        let readable = READABLE.iter().map(Path::new);
        let readable = readable.chain(self.readable.iter().map(PathBuf::as_path));
        let writable = WRITABLE.iter().map(Path::new);
        let writable = writable.chain(self.writable.iter().map(PathBuf::as_path));
        let (all, read) = (
            AccessFs::from_all(RULES),
            AccessFs::ReadFile | AccessFs::ReadDir,
        );
        let status = Ruleset::default()
            .handle_access(all)?
            .create()?
            .add_rules(path_beneath_rules(readable, read))?
            .add_rules(path_beneath_rules(writable, all & !AccessFs::Execute))?
            .restrict_self()?;
        Ok(status.ruleset)
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

    use super::*;

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
        let thread = std::thread::spawn(move || {
            if sandbox.restrict().unwrap() == RulesetStatus::NotEnforced {
                eprintln!("skipped: this kernel has no Landlock");
                return;
            }
            let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            assert!(File::open(readable.join("file")).is_ok());
            assert!(File::create(readable.join("file")).is_err_and(denied));
            assert!(File::create(writable.join("new")).is_ok());
            assert!(fs::rename(writable.join("new"), writable.join("file")).is_ok());
            assert!(File::open(linked.join("file")).is_ok());
            assert!(File::open(other.join("file")).is_err_and(denied));
            assert!(File::open("/etc/passwd").is_err_and(denied));
            assert!(fs::read_dir("/").is_err_and(denied));
        });
        thread.join().unwrap();
        fs::remove_dir_all(directory).unwrap();
    }
}
