//! Files and folders that tests write, in cargo's target folder.

use std::fs;
use std::path::PathBuf;

/// The folder named `name`, with what is in it.
pub(crate) fn existing_folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// An empty folder. Each test needs names of its own, since tests run at the same time.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = existing_folder(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The path of a file, which the test may write.
#[cfg(feature = "cli")]
pub(crate) fn path(name: &str) -> String {
    existing_folder(name).to_str().unwrap().to_owned()
}

/// The path of a file with these contents.
#[cfg(feature = "cli")]
pub(crate) fn file(name: &str, contents: impl AsRef<[u8]>) -> String {
    let path = path(name);
    fs::write(&path, contents).unwrap();
    path
}
