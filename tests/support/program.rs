//! `tlscope`, run as a command.

use std::process::{Command, Output, Stdio};

use super::fixtures::package;

/// `tlscope` in the package's folder, without the environment of the person who runs the tests.
pub(crate) fn tlscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    command
        .env_clear()
        .current_dir(package())
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// What `tlscope` prints, and how it exits.
pub(crate) fn output(arguments: &[&str]) -> Output {
    tlscope(arguments).output().unwrap()
}

/// The standard output of `tlscope`, which must succeed.
pub(crate) fn printed(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
