//! `tlscope check`, as a command.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::fixtures::{self, package};

/// Exit code: all assertions held.
pub(crate) const HELD: i32 = 0;
/// Exit code: an assertion of severity error does not hold.
pub(crate) const VIOLATED: i32 = 1;

/// Runs in the package's folder, without the environment of the person who runs the tests.
///
/// Chains are validated only if roots are named: the roots of the machine must not matter.
pub(crate) fn check(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    let names_roots = arguments.contains(&"--ca-file");
    command
        .env_clear()
        .env("TLSCOPE_NO_VERIFY", (!names_roots).to_string())
        .current_dir(package())
        .arg("check")
        .args(arguments)
        .stdin(Stdio::null());
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

/// Its standard output.
pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Its standard error.
pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A path for this test run.
pub(crate) fn scratch(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&path).unwrap();
    path.join(name).to_str().unwrap().to_owned()
}

/// Writes a file for this test run.
pub(crate) fn file(name: &str, contents: &str) -> String {
    let path = scratch(name);
    fs::write(&path, contents).unwrap();
    path
}

/// The capture of a fixture.
pub(crate) fn capture(fixture: &str) -> String {
    let all = fixtures::all();
    let found = all.into_iter().find(|one| one.name == fixture);
    found.unwrap().capture
}
