//! Files that have their new contents at once or keep the old ones: a full disk costs no baseline.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Replaces the contents of a file. A device or a pipe is written to directly.
///
/// # Errors
///
/// When the file cannot be written; it then is as it was.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    if is_special(path) {
        return fs::write(path, contents);
    }
    // A link stays a link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let unfinished = unfinished_name(&path);
    let written = fs::write(&unfinished, contents).and_then(|()| {
        if let Ok(metadata) = fs::metadata(&path) {
            fs::set_permissions(&unfinished, metadata.permissions())?;
        }
        fs::rename(&unfinished, &path)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// Finds out whether [`replace`] can write a file, without changing it.
///
/// # Errors
///
/// Those that `replace` would have.
#[cfg(live_capture)]
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    if is_special(path) {
        return fs::OpenOptions::new().write(true).open(path).map(|_| ());
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let unfinished = unfinished_name(&path);
    fs::File::create(&unfinished).and_then(|_| fs::remove_file(&unfinished))
}

/// As in `report.html.unfinished`.
pub(crate) fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}
