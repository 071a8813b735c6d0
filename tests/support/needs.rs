//! Programs and privileges that some tests need.
//!
//! Where one is missing, a test says so on standard error, checks nothing and passes: it is skipped. In CI, where the
//! variable `CI` is set, a skipped test fails, since nobody reads what a test that passed has printed. [`MAY_BE_MISSING`] lists
//! the exceptions.

use std::env;
use std::path::PathBuf;

/// What CI may lack, and why.
const MAY_BE_MISSING: [(&str, &str); 10] = [
    (
        "CAP_NET_RAW",
        "CI that runs in an unprivileged container has no raw sockets",
    ),
    (
        "chromium",
        "a browser takes half a gigabyte, and not every mirror has it",
    ),
    (
        "cyclonedx-python-lib",
        "it is on PyPI, which cannot be reached from everywhere; our own schema is stricter",
    ),
    (
        "helm",
        "Debian has no package of it; the chart is the manifest that other tests read",
    ),
    (
        "kubernetes-validate",
        "it is on PyPI, which cannot be reached from everywhere; a test of ours reads the manifest as well",
    ),
    (
        "otelcol",
        "Debian has the Collector's source alone; tests/fleet/fleet.py says how to build it",
    ),
    (
        "prometheus-blackbox-exporter",
        "not every distribution has a package of it",
    ),
    (
        "root",
        "the test is about giving up root's privileges, and CI need not run as root",
    ),
    (
        "setcap",
        "the test is about a program with capabilities of its own, which only root can make",
    ),
    (
        "rotel-agent",
        "Debian has no package of it; it is in the `rotel` package of PyPI",
    ),
];

/// The path of a program: what `TLSCOPE_TEST_<NAME>` says, or else the first in `PATH`. If there is none, the test is to
/// be skipped.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let variable = format!("TLSCOPE_TEST_{}", name.to_uppercase().replace('-', "_"));
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&paths).map(|path| path.join(name));
    let found = candidates.find(|path| path.is_file());
    if found.is_none() {
        skip(name);
    }
    found
}

/// Says that the test is skipped because `need` is missing.
///
/// # Panics
///
/// In CI, unless `need` may be missing there.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skip(need: &str) {
    if let Err(error) = may_skip(need, is_ci(env::var("CI").ok().as_deref())) {
        panic!("{error}");
    }
    eprintln!("skipped: `{need}` is missing");
}

/// Whether the variable `CI` has a value that means yes.
fn is_ci(variable: Option<&str>) -> bool {
    !matches!(variable, None | Some("" | "0" | "false"))
}

fn may_skip(need: &str, is_ci: bool) -> Result<(), String> {
    let is_listed = MAY_BE_MISSING.iter().any(|(name, _)| *name == need);
    if is_ci && !is_listed {
        return Err(format!(
            "`{need}` is missing. CI must have it, or tests/support/needs.rs say why not"
        ));
    }
    Ok(())
}

#[test]
fn in_ci_only_what_is_listed_may_be_missing() {
    assert!(may_skip("openssl", false).is_ok());
    assert!(may_skip("openssl", true).is_err());
    assert!(may_skip("rotel-agent", true).is_ok());
}

#[test]
fn ci_is_a_variable_that_is_set_and_does_not_mean_no() {
    assert!(is_ci(Some("true")) && is_ci(Some("1")));
    assert!(!is_ci(None) && !is_ci(Some("")) && !is_ci(Some("false")));
}
