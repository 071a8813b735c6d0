//! The file that the command's TLS clients log their secrets to.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::private_directory::create_file;
use crate::cli::error::CliError;
use crate::cli::input::key_log::{forbid_core_dumps, unreadable};

/// The environment variable by which clients find the file.
pub(super) const VARIABLE: &str = "SSLKEYLOGFILE";

/// Secrets that are read: those of about a hundred thousand connections.
const MAX_SECRETS: u64 = 128 << 20;

/// A key log, of which only what the command adds is used.
#[derive(Debug)]
pub(super) struct KeyLogFile {
    path: PathBuf,
    /// Bytes that were there before: secrets of others, which do not belong in a saved capture.
    before: u64,
}

impl KeyLogFile {
    /// The file that the user named, or that the environment names, or one in the private directory.
    pub(super) fn choose(named: Option<&Path>, private: &Path) -> Result<Self, CliError> {
        let from_environment = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let path = named
            .map(Path::to_owned)
            .or_else(|| from_environment.map(PathBuf::from));
        let Some(path) = path else {
            let path = private.join("secrets");
            create_file(&path).map_err(|error| unreadable(&path, &error))?;
            return Ok(Self { path, before: 0 });
        };
        // The command may change its working directory.
        let path = std::path::absolute(&path).unwrap_or(path);
        let before = match std::fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create_file(&path).map_err(|error| {
                    CliError::new(format_args!("cannot create `{}`: {error}", path.display()))
                })?;
                0
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        Ok(Self { path, before })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The secrets that the command logged.
    pub(super) fn read(&self) -> Result<Zeroizing<Vec<u8>>, CliError> {
        forbid_core_dumps(); // the command, which has ended, was none of ours to restrict
        let mut secrets = Zeroizing::default();
        let read = |secrets: &mut Vec<u8>| {
            let mut file = File::open(&self.path)?;
            // A command that empties the file begins again.
            let start = if file.metadata()?.len() < self.before {
                0
            } else {
                self.before
            };
            file.seek(SeekFrom::Start(start))?;
            file.take(MAX_SECRETS).read_to_end(secrets)
        };
        match read(&mut secrets) {
            Ok(_) => Ok(secrets),
            // The command removed it: there are no secrets.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(secrets),
            Err(error) => Err(unreadable(&self.path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::private_directory::PrivateDirectory;
    use super::*;

    #[test]
    fn only_secrets_that_are_added_are_read() {
        let directory = PrivateDirectory::create().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, "old\n").unwrap();
        let log = KeyLogFile::choose(Some(&path), directory.path()).unwrap();
        assert_eq!(log.path(), path);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"new\n").unwrap();
        assert_eq!(&log.read().unwrap()[..], b"new\n");
        fs::write(&path, "x\n").unwrap();
        assert_eq!(&log.read().unwrap()[..], b"x\n");
        fs::remove_file(&path).unwrap();
        assert!(log.read().unwrap().is_empty());
    }
}
