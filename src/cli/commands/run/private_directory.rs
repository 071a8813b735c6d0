//! A temporary directory for secrets and packets, which no other user can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::cli::error::CliError;

/// The directory is removed when this is dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory(PathBuf);

/// Names that are tried: others may create directories in the same place, but none can guess all of them.
const ATTEMPTS: u32 = 16;

impl PrivateDirectory {
    /// Creates a directory with a name that no one can foresee.
    pub(super) fn create() -> Result<Self, CliError> {
        let parent = std::env::temp_dir();
        let mut result = Err(io::Error::from(ErrorKind::AlreadyExists));
        for attempt in 0..ATTEMPTS {
            let random = RandomState::new().hash_one((std::process::id(), attempt));
            let path = parent.join(format!("tlscope-{random:016x}"));
            // `mkdir` follows no link: if the name is taken, by whatever, it fails.
            result = DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map(|()| Self(path));
            let is_taken = |error: &io::Error| error.kind() == ErrorKind::AlreadyExists;
            if !result.as_ref().is_err_and(is_taken) {
                break;
            }
        }
        result.map_err(|error| {
            let parent = parent.display();
            CliError::new(format_args!(
                "cannot create a directory in `{parent}`: {error}"
            ))
            .hint("TMPDIR names another place for temporary files")
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates a file in it, to be written and read.
    pub(super) fn create_file(&self, name: &str) -> Result<File, CliError> {
        let path = self.0.join(name);
        create_file(&path).map_err(|error| {
            CliError::new(format_args!("cannot create `{}`: {error}", path.display()))
        })
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // it is temporary: the system removes it some day
    }
}

/// Creates or empties a file that only its owner can read.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_directory_is_private_and_removed_in_the_end() {
        let directory = PrivateDirectory::create().unwrap();
        let path = directory.path().to_owned();
        directory.create_file("x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("x"))), (0o700, 0o600));
        let other = PrivateDirectory::create().unwrap();
        assert_ne!(other.path(), path);
        drop(directory);
        assert!(!path.exists());
    }
}
