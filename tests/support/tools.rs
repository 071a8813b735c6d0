//! Tools that tests use where they are installed.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::env;
use std::path::PathBuf;

/// The program `name`: where `TLSCOPE_TEST_<NAME>` says, or in the search path. Says
/// so where it is in neither: a test that checks nothing should not look like one
/// that does.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let variable = format!("TLSCOPE_TEST_{}", name.to_uppercase().replace('-', "_"));
    if let Some(path) = env::var_os(&variable) {
        return Some(path.into());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&paths).map(|path| path.join(name));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: no `{name}` in PATH; {variable} can name one");
    }
    found
}
