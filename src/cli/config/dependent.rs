//! Options that only say how another option works, and have no effect without it.

use clap::ArgMatches;
use clap::parser::ValueSource;

/// A dependent option, and the options of which it needs one, some with a value.
type Dependent = (
    &'static str,
    &'static [(&'static str, Option<&'static str>)],
);

/// Options that may depend on the environment, as those of OTLP do, are not listed.
const DEPENDENT: [Dependent; 5] = [
    ("save-failures-keep", &[("save-failures", None)]),
    (
        "rotate-keep",
        &[("rotate-size", None), ("rotate-time", None)],
    ),
    ("prometheus-host", &[("prometheus", None)]),
    ("metric-values", &[("metric-attributes", None)]),
    ("names", &[("format", Some("json"))]),
];

/// A warning for each option on the command line that has no effect, since the option that it needs is missing.
///
/// The environment and the configuration file are not warned of: they may hold settings for several runs.
pub(crate) fn without_effect(matches: &ArgMatches) -> Vec<String> {
    let Some((_, matches)) = matches.subcommand() else {
        return Vec::new();
    };
    let is_typed = |option: &str| {
        is_known(matches, option)
            && matches.value_source(&id(option)) == Some(ValueSource::CommandLine)
    };
    let is_alone = |(option, needed): &&Dependent| {
        is_typed(option)
            && !needed
                .iter()
                .any(|(name, value)| has(matches, name, *value))
    };
    DEPENDENT
        .iter()
        .filter(is_alone)
        .map(|(option, needed)| {
            let shown = needed.iter().map(|(name, value)| match value {
                Some(value) => format!("`--{name} {value}`"),
                None => format!("`--{name}`"),
            });
            let needed = shown.collect::<Vec<_>>().join(" or ");
            format!("`--{option}` has no effect without {needed}")
        })
        .collect()
}

/// Whether an option has a value, wherever it comes from; with `expected`, whether it has that one.
fn has(matches: &ArgMatches, option: &str, expected: Option<&str>) -> bool {
    let values = matches.try_get_raw(&id(option)).ok().flatten();
    let mut values = values.into_iter().flatten();
    match expected {
        Some(expected) => values.any(|value| value == expected),
        None => values.next().is_some(),
    }
}

fn is_known(matches: &ArgMatches, option: &str) -> bool {
    matches.try_get_raw(&id(option)).is_ok()
}

/// The name of an option in the matches.
fn id(option: &str) -> String {
    option.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::config::args::Args;

    fn warnings(line: &str) -> Vec<String> {
        let words = std::iter::once("tlscope").chain(line.split(' '));
        without_effect(&Args::command().get_matches_from(words))
    }

    #[test]
    fn an_option_without_the_one_that_it_needs_is_warned_of() {
        assert_eq!(
            warnings("read --save-failures-keep 3 --names x.pcap"),
            [
                "`--save-failures-keep` has no effect without `--save-failures`",
                "`--names` has no effect without `--format json`"
            ]
        );
        for complete in [
            "read x.pcap",
            "read --save-failures-keep 3 --save-failures d x.pcap",
            "read --names --format json x.pcap",
            "show x.pcap",
        ] {
            assert_eq!(warnings(complete), [""; 0], "{complete}");
        }
    }

    #[cfg(live_capture)]
    #[test]
    fn rotated_files_are_kept_if_there_is_rotation_by_size_or_by_age() {
        assert_eq!(
            warnings("live -i lo --rotate-keep 3 --prometheus-host a"),
            [
                "`--rotate-keep` has no effect without `--rotate-size` or `--rotate-time`",
                "`--prometheus-host` has no effect without `--prometheus`",
            ]
        );
        let rotated = "live -i lo --output x --rotate-time 60 --rotate-keep 3";
        assert_eq!(warnings(rotated), [""; 0]);
    }

    #[test]
    fn every_option_of_the_table_exists() {
        let root = Args::command();
        let mut known: Vec<_> = Vec::new();
        for command in root.get_subcommands() {
            known.extend(command.get_arguments().filter_map(clap::Arg::get_long));
        }
        let live_only = ["rotate-keep", "rotate-size", "rotate-time"];
        let live_only = [&live_only[..], &["prometheus-host", "prometheus"]].concat();
        for (option, needed) in DEPENDENT {
            for name in needed.iter().map(|(name, _)| *name).chain([option]) {
                let is_built = cfg!(live_capture) || !live_only.contains(&name);
                assert_eq!(known.contains(&name), is_built, "{name}");
            }
        }
    }
}
