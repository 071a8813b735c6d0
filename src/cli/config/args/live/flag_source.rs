//! Where the values of flags come from.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Error, FromArgMatches};

/// Where the value of a flag comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagSource {
    CommandLine,
    Environment,
    /// A configuration file is read, and its values are the defaults: clap does not tell which
    /// defaults it set.
    FileOrDefault,
    /// There is no configuration file.
    Default,
}

/// The sources of all values of a command.
#[derive(Clone, Debug)]
pub(crate) struct FlagSources(ArgMatches);

impl FlagSources {
    /// Where the value of `flag` comes from.
    pub(crate) fn of(&self, flag: &str) -> FlagSource {
        match self.0.value_source(flag) {
            Some(ValueSource::CommandLine) => FlagSource::CommandLine,
            Some(ValueSource::EnvVariable) => FlagSource::Environment,
            _ if self.0.contains_id("config") => FlagSource::FileOrDefault,
            _ => FlagSource::Default,
        }
    }

    /// The configuration file, if one is read.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        let path = self.0.try_get_raw("config").ok()??.next()?;
        Some(path.into())
    }

    /// The values of `flag` as given; `None` if it has none.
    pub(crate) fn values(&self, flag: &str) -> Option<Vec<String>> {
        let values = self.0.try_get_raw(flag).ok()??;
        let values = values.map(|value| value.to_string_lossy().into_owned());
        Some(values.collect())
    }
}

/// Defines no arguments: it only keeps what clap matched.
impl clap::Args for FlagSources {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for FlagSources {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::args::{Args, Command as Parsed, InterfaceCommand};

    fn sources(flags: &[&str]) -> FlagSources {
        let arguments = ["tlscope", "live"].iter().chain(flags);
        match Args::parse_from(arguments).command {
            Parsed::Interface(InterfaceCommand::Live(live)) => live.sources,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_default_is_only_certain_without_a_configuration_file() {
        let typed = sources(&["--format", "table"]);
        assert_eq!(typed.of("format"), FlagSource::CommandLine);
        assert_eq!(sources(&[]).of("format"), FlagSource::Default);
        let with_file = sources(&["--config", "x.toml"]);
        assert_eq!(with_file.of("format"), FlagSource::FileOrDefault);
    }

    #[test]
    fn values_are_kept_as_given() {
        let sources = sources(&["-i", "eth0,eth1", "--buffer-size", "64M"]);
        let values = |flag| sources.values(flag).unwrap_or_default();
        assert_eq!(values("interface"), ["eth0", "eth1"]);
        assert_eq!(values("buffer_size"), ["64M"]);
        assert_eq!(sources.values("output"), None);
    }
}
