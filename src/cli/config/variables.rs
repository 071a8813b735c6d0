//! Environment variables that no option has, but whose name is near to one that an option has.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory};
use tlscope::pattern::nearest;

use crate::cli::config::args::Args;

const PREFIX: &str = "TLSCOPE_";

/// A warning for each of the variables `names` that is probably misspelt. Others may belong to scripts around the program.
pub(crate) fn misspelt(names: impl Iterator<Item = OsString>) -> Vec<String> {
    let names = names.filter_map(|name| Some(name.to_str()?.strip_prefix(PREFIX)?.to_owned()));
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Vec::new(); // nearly always: the command need not be built
    }
    let root = Args::command();
    let known: Vec<_> = [&root]
        .into_iter()
        .chain(root.get_subcommands())
        .flat_map(Command::get_arguments)
        .filter_map(Arg::get_env)
        .filter_map(|name| name.to_str()?.strip_prefix(PREFIX))
        .collect();
    let misspelt = names.iter().filter(|name| !known.contains(&&***name));
    let warning = |name: &String| {
        let meant = nearest(name, &known)?;
        Some(format!(
            "the environment variable `{PREFIX}{name}` has no effect: did you mean `{PREFIX}{meant}`?"
        ))
    };
    misspelt.filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_nearly_known_are_warned_of() {
        let names = |names: &[&str]| misspelt(names.iter().map(OsString::from));
        let expected = "the environment variable `TLSCOPE_FROMAT` has no effect: did you mean `TLSCOPE_FORMAT`?";
        assert_eq!(names(&["PATH", "TLSCOPE_FROMAT"]), [expected]);
        assert_eq!(
            names(&[
                "TLSCOPE_FORMAT",
                "TLSCOPE_TEST_PROMTOOL",
                "FROMAT",
                "TLSCOPE_"
            ]),
            [""; 0]
        );
    }
}
