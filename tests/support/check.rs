//! `tlscope check`, as a command.

use std::process::{Command, Output};

use super::program::tlscope;
pub(crate) use super::program::{stderr, stdout};
use super::{fixtures, scratch};

/// Exit code: all assertions held.
pub(crate) const HELD: i32 = 0;
/// Exit code: an assertion of severity error does not hold.
pub(crate) const VIOLATED: i32 = 1;

/// Runs in the package's folder, without the environment of the person who runs the tests.
///
/// Chains are validated only if roots are named: the roots of the machine must not matter.
pub(crate) fn check(arguments: &[&str]) -> Command {
    let names_roots = arguments.contains(&"--ca-file");
    let mut command = tlscope(&["check"]);
    command
        .env("TLSCOPE_NO_VERIFY", (!names_roots).to_string())
        .args(arguments);
    command
}

/// Its output and exit code.
pub(crate) fn output(arguments: &[&str]) -> Output {
    check(arguments).output().unwrap()
}

/// Its exit code; standard error must be empty.
pub(crate) fn status(arguments: &[&str]) -> i32 {
    let output = output(arguments);
    assert_eq!(stderr(&output), "", "{arguments:?}");
    output.status.code().unwrap()
}

/// A path of this test run's own.
pub(crate) fn scratch(name: &str) -> String {
    scratch::path(&format!("check-{name}"))
}

/// Writes a file for this test run.
pub(crate) fn file(name: &str, contents: &str) -> String {
    scratch::file(&format!("check-{name}"), contents)
}

/// The capture of a fixture.
pub(crate) fn capture(fixture: &str) -> String {
    fixtures::named(fixture).capture
}
