//! Where the values of flags come from.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Error, FromArgMatches};

/// Where the value of a flag comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    CommandLine,
    Environment,
    /// A configuration file is read, and its values are the defaults: clap does not tell which
    /// defaults it set.
    FileOrDefault,
    /// There is no configuration file.
    Default,
}

/// The sources of a command's values, taken next to its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Sources(ArgMatches);

impl Sources {
    /// Where the value of `flag` comes from.
    pub(crate) fn of(&self, flag: &str) -> Source {
        match self.0.value_source(flag) {
            Some(ValueSource::CommandLine) => Source::CommandLine,
            Some(ValueSource::EnvVariable) => Source::Environment,
            _ if self.0.contains_id("config") => Source::FileOrDefault,
            _ => Source::Default,
        }
    }

    /// The values of `flag` as given; `None` if it has none.
    pub(crate) fn values(&self, flag: &str) -> Option<Vec<String>> {
        let values = self.0.try_get_raw(flag).ok()??;
        let values = values.map(|value| value.to_string_lossy().into_owned());
        Some(values.collect())
    }
}

/// Defines no arguments: it only keeps what clap matched.
impl clap::Args for Sources {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for Sources {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0 = matches.clone();
        Ok(())
    }
}
