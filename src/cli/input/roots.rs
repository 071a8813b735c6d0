//! The roots of trust: the system's, or those in files that the user names.

use std::fs;
use std::path::{Path, PathBuf};

use rustls_native_certs::load_native_certs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tlscope::certificate::{Trust, TrustOrigin, TrustStore};

use crate::cli::config::args::JudgementArgs;
use crate::cli::error::CliError;
use crate::cli::say;

/// The roots that certificate chains are validated against, and where they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    trust: Trust,
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    system: bool,
    /// Why there are no roots although the user did not turn validation off.
    missing: Option<String>,
}

impl Roots {
    /// The roots that the arguments name, or the system's, which [`Self::read`] reads.
    pub(crate) fn named(args: &JudgementArgs) -> Self {
        if args.no_verify {
            return Self::default();
        }
        let is_given = !args.ca_file.is_empty() || !args.ca_dir.is_empty();
        Self {
            files: args.ca_file.clone(),
            directories: args.ca_dir.clone(),
            system: args.system_roots || !is_given,
            ..Self::default()
        }
    }

    /// Reads the roots for the first time.
    pub(crate) fn read(&mut self) -> Result<(), CliError> {
        if !self.system && self.files.is_empty() && self.directories.is_empty() {
            return Ok(());
        }
        match self.load()? {
            (store, None) => self.trust.exchange(store),
            (_, missing) => self.missing = missing,
        }
        Ok(())
    }

    /// A handle for the observer; [`Self::reload`] changes what it refers to.
    pub(crate) fn trust(&self) -> Trust {
        self.trust.clone()
    }

    /// Warns that chains were not validated, if there are no roots and any chain was `seen`.
    pub(crate) fn warn_if_missed(&self, seen: bool) {
        if let (Some(missing), true) = (&self.missing, seen) {
            say::warning(format_args!(
                "chains were not validated against trusted roots: {missing}\n\nhint: install \
                 `ca-certificates`, name roots with --ca-file, or skip validation with --no-verify"
            ));
        }
    }

    /// Reads all roots; if there are none, says why.
    fn load(&self) -> Result<(TrustStore, Option<String>), CliError> {
        let mut store = TrustStore::new(if self.system {
            TrustOrigin::System
        } else {
            TrustOrigin::Given
        });
        for path in &self.files {
            add_file(&mut store, path)?;
        }
        for directory in &self.directories {
            for path in files(directory)? {
                add_file(&mut store, &path)?;
            }
        }
        let reason = if self.system {
            add_system_roots(&mut store)
        } else {
            None
        };
        let missing = reason.filter(|_| store.is_empty());
        Ok((store, missing))
    }
}

/// Reloading, for live runs.
#[cfg(live_capture)]
impl Roots {
    /// Files and directories that [`Self::reload`] reads.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().chain(&self.directories);
        files.map(PathBuf::as_path)
    }

    /// Reads the roots again. If that fails, the current roots stay in force.
    pub(crate) fn reload(&self) {
        if self.trust.store().is_none() {
            return;
        }
        match self.load() {
            Ok((store, None)) => self.trust.exchange(store),
            Ok((_, Some(missing))) => {
                say::warning(format_args!("the trusted roots stay unchanged: {missing}"));
            }
            Err(error) => say::warning(format_args!("the trusted roots stay unchanged: {error}")),
        }
    }
}

/// Adds the system's roots; if there are none, returns the reason.
fn add_system_roots(store: &mut TrustStore) -> Option<String> {
    let found = load_native_certs();
    for root in &found.certs {
        let _ = store.add(root); // the user cannot repair the system's store: use the rest of it
    }
    found.certs.is_empty().then(|| match found.errors.first() {
        Some(error) => error.to_string(),
        None => "this system has none".to_owned(),
    })
}

/// Adds all certificates of a PEM file, or the one of a DER file.
fn add_file(store: &mut TrustStore, path: &Path) -> Result<(), CliError> {
    let name = path.display();
    let bytes = fs::read(path)
        .map_err(|error| CliError::new(format_args!("cannot read roots from `{name}`: {error}")))?;
    let refused = |reason: String| {
        CliError::new(format_args!(
            "cannot use `{name}` as trusted roots: {reason}"
        ))
        .hint("use a PEM file with CA certificates, which begin with `-----BEGIN CERTIFICATE-----`")
    };
    if bytes.first() == Some(&0x30) {
        return store.add(&bytes).map_err(refused); // the tag of a DER SEQUENCE; PEM is text
    }
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        store.add(&certificate).map_err(refused)?;
        count += 1;
    }
    match count {
        0 => Err(refused("no certificate in it".to_owned())),
        _ => Ok(()),
    }
}

/// The certificate files in a directory, sorted by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error| {
        CliError::new(format_args!(
            "cannot read roots from `{}`: {error}",
            directory.display()
        ))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_certificate(&path) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(CliError::new(format_args!(
            "no file of certificates in `{}`",
            directory.display()
        ))
        .hint("tlscope reads names that end in `.pem`, `.crt` or `.cer`, and hashes as written by `openssl rehash`"));
    }
    files.sort();
    Ok(files)
}

/// Whether a file is named like a certificate, or by its hash as `openssl rehash` does (`5ed36f99.0`).
pub(crate) fn is_certificate(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let (Some(extension), Some(stem)) = (extension, stem) else {
        return false;
    };
    let is_hash = stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(extension, "pem" | "crt" | "cer")
        || is_hash && extension.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::args::{Args, Command};

    fn roots(flags: &[&str]) -> Result<Roots, CliError> {
        let arguments = ["tlscope", "read", "capture.pcap"].iter().chain(flags);
        match Args::parse_from(arguments).command {
            Command::Read(read) => {
                let mut roots = Roots::named(&read.judgement);
                roots.read().map(|()| roots)
            }
            other => panic!("{other:?}"),
        }
    }

    const CA: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/captures/day/mtls-day/ca.pem"
    );

    #[test]
    fn roots_that_are_named_replace_those_of_the_system() {
        let named = roots(&["--ca-file", CA, "--ca-file", CA]).unwrap();
        let store = named.trust().store().unwrap();
        assert_eq!((store.origin(), store.len()), (TrustOrigin::Given, 1));
        let both = roots(&["--ca-file", CA, "--system-roots"]).unwrap();
        let store = both.trust().store().unwrap();
        assert_eq!(store.origin(), TrustOrigin::System);
        assert!(roots(&["--no-verify"]).unwrap().trust().store().is_none());
    }

    #[cfg(live_capture)]
    #[test]
    fn reload_takes_changed_roots_and_ignores_broken_ones() {
        let folder = std::env::temp_dir().join(format!("tlscope-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ca.pem");
        fs::copy(CA, &file).unwrap();
        let roots = roots(&["--ca-file", file.to_str().unwrap()]).unwrap();
        let trust = roots.trust();
        let len = || trust.store().unwrap().len();
        let key = rcgen::KeyPair::generate().unwrap();
        let other = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let two = fs::read_to_string(CA).unwrap() + &other.pem();
        fs::write(&file, two).unwrap();
        assert_eq!(len(), 1);
        roots.reload();
        assert_eq!(len(), 2);
        fs::write(&file, "").unwrap();
        roots.reload();
        assert_eq!(len(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn certificate_files_are_recognised_by_name() {
        for name in ["a/ca.pem", "root.crt", "root.cer", "5ed36f99.0"] {
            assert!(is_certificate(Path::new(name)), "{name}");
        }
        for name in [
            "README",
            "key.key",
            "5ed36f99.r0",
            "pem",
            "notahash.0",
            "x.pem.bak",
        ] {
            assert!(!is_certificate(Path::new(name)), "{name}");
        }
    }
}
