//! What a program with file capabilities has to undo before it starts another one.
//!
//! `setcap` makes the kernel start the program in secure mode (AT_SECURE): the C library then removes variables such as
//! LD_LIBRARY_PATH and TMPDIR from the environment, and the process cannot be inspected ("not dumpable"), so that
//! /proc/self belongs to root. The command must get the environment that the user gave it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};

use crate::cli::commands::live::drop_all;
use crate::cli::error::CliError;

/// Drops the capabilities that only the capture needed; threads started from now on have none.
///
/// Root keeps its own: the command is run as root, and reports may be written where only root can.
pub(super) fn drop_privileges() -> Result<(), CliError> {
    if geteuid().is_root() {
        return Ok(());
    }
    drop_all()?;
    // Without capabilities there is nothing left to protect from the user's other processes. If this fails, variables
    // that the C library removed stay removed.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    Ok(())
}

/// The variables that the program was started with and does not have any more.
pub(super) fn removed_variables() -> Vec<(OsString, OsString)> {
    let environment = fs::read("/proc/self/environ").unwrap_or_default();
    let variables = parse(environment).into_iter();
    variables
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect()
}

fn parse(environment: Vec<u8>) -> Vec<(OsString, OsString)> {
    let entries = environment.split(|byte| *byte == 0);
    let variable = |entry: &[u8]| {
        let at = entry
            .iter()
            .position(|byte| *byte == b'=')
            .filter(|at| *at > 0)?;
        let (name, value) = entry.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        Some((
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value.to_vec()),
        ))
    };
    entries.filter_map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_names_and_values() {
        let parsed = parse(b"A=1\0B=\0C=x=y\0junk\0=z\0\0".to_vec());
        let expected = [("A", "1"), ("B", ""), ("C", "x=y")];
        assert_eq!(
            parsed,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }
}
