//! Finds the files that a path means: a file, a directory, or a pattern with `*` and `?`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::pattern;

/// Most files found, so that a pattern that matches a whole disk ends.
pub(super) const MAX_PATHS: usize = 4_096;

/// File names that certificates have, for directories that mix them with other files.
const EXTENSIONS: [&str; 5] = ["pem", "crt", "cer", "cert", "der"];

/// The certificate files in a directory; `None` if `path` is not one.
pub(super) fn entries(path: &Path) -> Option<Vec<PathBuf>> {
    let is_certificate = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| {
            let extension = extension.to_ascii_lowercase();
            EXTENSIONS.contains(&extension.as_str())
        })
    };
    let entries = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let files = entries.filter(|path| is_certificate(path) && path.is_file());
    Some(files.take(MAX_PATHS).collect())
}

/// The directory that contains every file `path` can ever mean.
pub(super) fn fixed_part(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    let parts = path.components();
    let is_fixed = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?']);
    let fixed: PathBuf = parts.take_while(is_fixed).collect();
    if fixed == path {
        path.parent().map(Path::to_owned).unwrap_or_default()
    } else {
        fixed
    }
}

/// The paths that match a pattern; each component may have `*` and `?`.
pub(super) fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && text.contains(['*', '?']);
        found = if is_pattern {
            let matching = found
                .iter()
                .flat_map(|directory| children(directory, &text));
            matching.take(MAX_PATHS).collect()
        } else {
            let joined = found.into_iter().map(|path| path.join(component));
            joined.filter(|path| path.exists()).collect()
        };
    }
    found
}

/// The entries of a directory whose names match; hidden ones only if the pattern begins with a dot.
fn children(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = fs::read_dir(listed).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let fits = names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with('.') == pattern.starts_with('.')
            && fits(pattern.as_bytes(), name.as_bytes())
    });
    fits.map(|name| directory.join(name)).collect()
}

/// Whether the whole `name` matches. Unlike host names, file names are case-sensitive.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    pattern::fits(pattern, name, [b'*', b'?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name) in [("*.pem", "a.pem"), ("a?c", "abc"), ("*a*b", "xaxxb")] {
            assert!(fits(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
        for (pattern, name) in [("*.pem", "a.pem~"), ("a?c", "ac"), ("A", "a")] {
            assert!(!fits(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
    }
}
