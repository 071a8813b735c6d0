//! `tlscope check`, as a command.

use std::process::{Command, Output};

use super::program::tlscope;
pub(crate) use super::program::{stderr, stdout};
use super::{fixtures, scratch};

/// All held.
pub(crate) const HELD: i32 = 0;
/// An assertion of severity error does not hold.
pub(crate) const BROKEN: i32 = 1;

/// The program beside the fixtures, in an environment without settings of the person who runs the tests.
///
/// Without trust unless roots are named: those of the machine that runs them must not matter.
pub(crate) fn check(arguments: &[&str]) -> Command {
    let names_roots = arguments.contains(&"--ca-file");
    let mut command = tlscope(&["check"]);
    command
        .env("TLSCOPE_NO_VERIFY", (!names_roots).to_string())
        .args(arguments);
    command
}

/// What it prints, and how it exits.
pub(crate) fn output(arguments: &[&str]) -> Output {
    check(arguments).output().unwrap()
}

/// How it exits, with nothing to say on standard error.
pub(crate) fn status(arguments: &[&str]) -> i32 {
    let output = output(arguments);
    assert_eq!(stderr(&output), "", "{arguments:?}");
    output.status.code().unwrap()
}

/// A path of this test run's own.
pub(crate) fn scratch(name: &str) -> String {
    scratch::path(&format!("check-{name}"))
}

/// A file of this test run's own.
pub(crate) fn file(name: &str, contents: &str) -> String {
    scratch::file(&format!("check-{name}"), contents)
}

/// The capture of a fixture.
pub(crate) fn capture(fixture: &str) -> String {
    fixtures::named(fixture).capture
}
