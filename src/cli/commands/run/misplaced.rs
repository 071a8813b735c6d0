//! Options of `tlscope run` that were written behind the command, which gets them.

use std::ffi::OsString;

use clap::{Arg, CommandFactory};

use crate::cli::config::args::Args;

/// A warning if words of `command` are options of `tlscope run`. There is none if `typed`, all arguments of the program, has `--`
/// before the command: the user then knows whose options these are.
pub(super) fn warning(
    command: &[OsString],
    typed: impl ExactSizeIterator<Item = OsString>,
) -> Option<String> {
    let before = typed.len().checked_sub(command.len() + 1)?;
    let mut before = typed.skip(before);
    if before.next().is_some_and(|word| word == "--") {
        return None;
    }
    let (program, words) = command.split_first()?;
    let words = words.iter().map(|word| word.to_string_lossy());
    let words = words.take_while(|word| word != "--");
    let options = words.filter_map(|word| {
        let option = word.split('=').next()?.strip_prefix("--")?;
        Some(option.to_owned())
    });
    let options: Vec<_> = options.collect();
    if options.is_empty() {
        return None; // the command need not be built
    }
    let root = Args::command();
    let run = root.find_subcommand("run")?;
    let known: Vec<&str> = run.get_arguments().filter_map(Arg::get_long).collect();
    let options = options.iter().filter(|option| known.contains(&&***option));
    let options: Vec<_> = options.map(|option| format!("`--{option}`")).collect();
    let (verb, pronoun) = match options.len() {
        0 => return None,
        1 => ("goes", "it"),
        _ => ("go", "them"),
    };
    let program = program.to_string_lossy();
    Some(format!(
        "{} {verb} to the command: if you mean tlscope, write {pronoun} before `-- {program}`",
        options.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::args::{Command, InterfaceCommand};

    fn warning_of(line: &str) -> Option<String> {
        let typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match Args::parse_from(&typed).command {
            Command::Interface(InterfaceCommand::Run(args)) => {
                warning(&args.command, typed.into_iter())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_option_of_tlscope_behind_the_command_is_warned_of() {
        let warning = warning_of("tlscope run -i lo ./x --policy p.toml --verbose");
        let expected =
            "`--policy` goes to the command: if you mean tlscope, write it before `-- ./x`";
        assert_eq!(warning.as_deref(), Some(expected));
        let warning = warning_of("tlscope run ./x --port=443 --save a -- --keylog b");
        let expected = "`--port` and `--save` go to the command: if you mean tlscope, write them before `-- ./x`";
        assert_eq!(warning.as_deref(), Some(expected));
    }

    #[test]
    fn options_of_the_command_are_not_warned_of() {
        for line in [
            "tlscope run -- ./x --policy p.toml",
            "tlscope run --policy p.toml ./x -v",
            "tlscope run ./x --help --color never --policies",
            "tlscope run ./x -- --policy p.toml",
        ] {
            assert_eq!(warning_of(line), None, "{line}");
        }
    }
}
