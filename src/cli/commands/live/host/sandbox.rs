//! The sandbox: after the start, only those files can be opened that the run has to do with (Landlock).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

use crate::cli::error::Failure;
use crate::cli::tell_warning;

/// The files that the run may still open. Files that are open already stay so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sandbox {
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
}

/// What the system's libraries read: to look up a host, to trust a certificate, to
/// see an interface come back; and our own counters of memory.
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
    "/run/systemd/resolve", // where resolv.conf is replaced, a rule for the file alone would end with it
    "/run/NetworkManager",
    "/run/resolvconf",
    "/var/lib/ca-certificates",
    "/sys/class/net",
    "/sys/devices",
    "/proc",
];

/// What programs on a terminal, and random numbers, take.
const WRITABLE: [&str; 3] = ["/dev/tty", "/dev/null", "/dev/urandom"];

/// Variables that name files: of trust, and of who we are to a collector.
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

/// Newer kernels can restrict more, older ones less.
const RULES: ABI = ABI::V5;

impl Sandbox {
    /// Lets `path` be read, with all that is below and, for a file, beside it: it may be
    /// replaced. Where it is a link, that goes for what it leads to as well.
    pub(crate) fn read(&mut self, path: &Path) {
        let target = path.canonicalize().ok();
        for path in [Some(path), target.as_deref()].into_iter().flatten() {
            self.readable.push(place_of(path).to_owned());
        }
    }

    /// Lets the files be read that variables of the environment name for the libraries that look there.
    pub(crate) fn read_named(&mut self, environment: &dyn Fn(&str) -> Option<String>) {
        for path in VARIABLES.iter().filter_map(|name| environment(name)) {
            self.read(Path::new(&path));
        }
    }

    /// Lets what is in a directory be read, written, made and removed; for a file, what is beside it.
    pub(crate) fn write(&mut self, path: &Path) {
        self.writable.push(place_of(path).to_owned());
    }

    /// Restricts this thread, and those that it will start, for good.
    ///
    /// A kernel that cannot earns a warning.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        let status = self.restrict().map_err(|error| {
            Failure::new(format_args!("cannot enter the sandbox: {error}"))
                .hint("`--no-sandbox` does without")
        })?;
        if status == RulesetStatus::NotEnforced {
            tell_warning("this kernel has no sandbox (Landlock): files are not restricted");
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

/// A directory itself; of a file, the directory that it is in, or will be.
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
    fn other_files_than_those_named_cannot_be_opened() {
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
        sandbox.read_named(&|name| (name == "SSL_CERT_FILE").then(|| link.display().to_string()));
        sandbox.read(&readable);
        sandbox.write(&writable.join("file"));
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
