//! The roots of trust: the system's, or those in files that the user names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_native_certs::load_native_certs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tlscope::certificate::{TrustOrigin, TrustStore};

use super::args::JudgementArgs;
use super::failure::Failure;
use super::tell_warning;

/// What chains are held against.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    /// `None` if none are wanted, or there are none.
    pub(super) store: Option<Arc<TrustStore>>,
    /// Why there are none, where they are wanted.
    missing: Option<String>,
}

impl Roots {
    /// Says that chains were not held against any root, where chains were `seen`; all else could be judged.
    pub(super) fn warn_if_missed(&self, seen: bool) {
        if let (Some(missing), true) = (&self.missing, seen) {
            tell_warning(format_args!(
                "chains were not held against any root of trust: {missing}\n\nhint: install \
                 `ca-certificates`, name roots with --ca-file, or do without with --no-verify"
            ));
        }
    }
}

/// The roots that the arguments name, or those of the system.
pub(super) fn read(args: &JudgementArgs) -> Result<Roots, Failure> {
    if args.no_verify {
        return Ok(Roots::default());
    }
    let is_given = !args.ca_file.is_empty() || !args.ca_dir.is_empty();
    let origin = if is_given && !args.system_roots {
        TrustOrigin::Given
    } else {
        TrustOrigin::System
    };
    let mut store = TrustStore::new(origin);
    for path in &args.ca_file {
        add_file(&mut store, path)?;
    }
    for directory in &args.ca_dir {
        for path in files(directory)? {
            add_file(&mut store, &path)?;
        }
    }
    let reason = match origin {
        TrustOrigin::System => add_system_roots(&mut store),
        TrustOrigin::Given => None,
    };
    let missing = store.is_empty().then_some(reason).flatten();
    let store = (!store.is_empty()).then(|| Arc::new(store));
    Ok(Roots { store, missing })
}

/// Adds what the system has; says why if that is nothing.
fn add_system_roots(store: &mut TrustStore) -> Option<String> {
    let found = load_native_certs();
    for root in &found.certs {
        let _ = store.add(root); // the system's store is not the user's to mend: the rest of it serves
    }
    found.certs.is_empty().then(|| match found.errors.first() {
        Some(error) => error.to_string(),
        None => "this system has none".to_owned(),
    })
}

/// Adds all certificates in a file of PEM, or the one in a file of DER.
fn add_file(store: &mut TrustStore, path: &Path) -> Result<(), Failure> {
    let name = path.display();
    let bytes = fs::read(path)
        .map_err(|error| Failure::new(format_args!("cannot read roots from `{name}`: {error}")))?;
    let refused = |reason: String| {
        Failure::new(format_args!("cannot use `{name}` as roots of trust: {reason}"))
            .hint("it should hold the certificates of CAs in PEM, beginning `-----BEGIN CERTIFICATE-----`")
    };
    if bytes.first() == Some(&0x30) {
        return store.add(&bytes).map_err(refused); // a DER SEQUENCE, which no PEM begins with
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

/// The files of certificates in a directory, in the order of their names.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| {
        Failure::new(format_args!(
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
        return Err(Failure::new(format_args!(
            "no file of certificates in `{}`",
            directory.display()
        ))
        .hint("names end in `.pem`, `.crt` or `.cer`, or are hashes as of `openssl rehash`"));
    }
    files.sort();
    Ok(files)
}

/// Whether a file is named as certificates are, also by `openssl rehash`, as in `5ed36f99.0`.
fn is_certificate(path: &Path) -> bool {
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
    use super::*;

    #[test]
    fn certificates_are_known_by_their_names() {
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
