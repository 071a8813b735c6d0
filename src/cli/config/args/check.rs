//! `tlscope check`, and the assertions that `tlscope run` shares with it.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use tlscope::check::ReportFormat;

use super::{InputArgs, JudgementArgs, TimeArgs};

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  Evaluate the default policy, which `--print-policy` prints:
      tlscope check capture.pcapng
  Evaluate a policy, with a report for the build server and one for people:
      tlscope check --policy tlscope.toml --format text,junit=report.xml captures/
  Record the violations of today, and then fail on new ones only:
      tlscope check --policy tlscope.toml --new-only known.jsonl --update capture.pcapng
      tlscope check --policy tlscope.toml --new-only known.jsonl capture.pcapng
  Record a baseline, and compare with it:
      tlscope check --expect expected.json --update capture.pcapng
      tlscope check --expect expected.json capture.pcapng
  Print a preset, and what an assertion means:
      tlscope check --print-policy=mozilla-intermediate
      tlscope check --explain min-version
  Test a policy without a capture, and print what it requires:
      tlscope check --policy tlscope.toml --explain
  Print it with its presets written out:
      tlscope check --policy tlscope.toml --print-policy

A policy is a list of rules, each with its scope and its assertions:
      unknown = \"warn\"           # if nothing can be evaluated: ignore, warn or fail
      [[rule]]
      where = { server-name = \"*.example.org\", port = [443, 8443] }
      preset = \"mozilla-intermediate\"
      client-certificate = \"required\"
      min-days-valid = 14
      [[rule]]
      severity = \"warning\"
      max-failures = \"0.5 %\"
      max-latency = { phase = \"handshake\", percentile = 99, ms = 250 }

A rule fails if no handshake is in its scope, unless it says `min-handshakes = 0`.

Exit status:
  0  All assertions held, in whole or in part; warnings do not count.
  1  An assertion of severity error does not hold.
  2  The check is not possible: bad usage, an invalid policy or one without
     assertions, or input that cannot be read; what can be read is reported first.";

/// What `tlscope check` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    /// Captures to check: files, directories of captures, or `-` for standard input
    ///
    /// Several are checked as one.
    #[arg(required_unless_present_any = ["print_policy", "explain"], value_name = "CAPTURE")]
    pub(in crate::cli) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) assertions: AssertionArgs,

    /// Print the policy that applies, or a preset, and do nothing else
    ///
    /// Without NAME, this is the policy of `--policy` with its presets written out, or the
    /// default policy.
    #[arg(
        long, value_enum, value_name = "NAME", num_args = 0..=1, require_equals = true,
        default_missing_value = "effective", conflicts_with_all = ["paths", "explain"], help_heading = "Assertions", env = "TLSCOPE_PRINT_POLICY"
    )]
    pub(in crate::cli) print_policy: Option<PrintedPolicy>,

    /// Explain an assertion, a preset, a rule or the whole policy, and do nothing else
    ///
    /// As in `min-version`, `cnsa-2.0`, or the name of a rule in `--policy`. Identifiers from
    /// reports work, too. Without RULE, it explains every rule of `--policy`: a policy with a
    /// mistake is an error, so this tests a policy without a capture.
    #[arg(
        long,
        value_name = "RULE",
        num_args = 0..=1,
        default_missing_value = "",
        help_heading = "Assertions",
        env = "TLSCOPE_EXPLAIN"
    )]
    pub(in crate::cli) explain: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) input: InputArgs,

    #[command(flatten)]
    pub(in crate::cli) time: TimeArgs,

    #[command(flatten)]
    pub(in crate::cli) judgement: JudgementArgs,
}

/// What must hold, and how the result is reported.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AssertionArgs {
    /// The policy to evaluate, in TOML
    ///
    /// `check --explain` explains what a policy can assert. Without a policy and
    /// without `--expect`, a built-in policy applies.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Assertions",
        env = "TLSCOPE_POLICY"
    )]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Compare the handshakes with those of a baseline
    ///
    /// A baseline lists handshakes, as `--update` or `read --format json` writes them.
    /// Handshakes are compared as a set: neither their order nor how often each occurs
    /// matters. Times, packet numbers, client ports and whatever else differs from run
    /// to run are ignored. Chains are validated only if you name the trusted roots,
    /// since the system's differ from host to host.
    #[arg(
        long,
        value_name = "BASELINE",
        help_heading = "Assertions",
        env = "TLSCOPE_EXPECT"
    )]
    pub(in crate::cli) expect: Option<PathBuf>,

    /// With --expect, also compare how often each handshake occurs
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Assertions", env = "TLSCOPE_EXPECT_COUNTS"
    )]
    pub(in crate::cli) expect_counts: bool,

    /// Ignore the violations that a file lists, so that only new ones count
    ///
    /// `--update` writes the file. A violation is known by its rule, assertion, server,
    /// client address and what was found, without numbers of days, bytes or milliseconds.
    #[arg(
        long,
        value_name = "BASELINE",
        help_heading = "Assertions",
        conflicts_with = "expect",
        env = "TLSCOPE_NEW_ONLY"
    )]
    pub(in crate::cli) new_only: Option<PathBuf>,

    /// Write the file that --expect or --new-only names, instead of reading it
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Assertions", env = "TLSCOPE_UPDATE"
    )]
    pub(in crate::cli) update: bool,

    /// Report format: `text`, `json`, `junit`, `sarif`, `github`, `gitlab` or `markdown`
    ///
    /// `FORMAT=FILE` writes the report to a file, as in `junit=report.xml`. Separate
    /// several with commas. If all go to files, a text report is written as well.
    /// `gitlab` is a code quality report, `markdown` a job summary.
    #[arg(
        long,
        value_name = "FORMAT[=FILE]",
        default_value = "text",
        value_delimiter = ',',
        help_heading = "Output",
        env = "TLSCOPE_FORMAT"
    )]
    pub(in crate::cli) format: Vec<ReportTo>,
}

/// A policy that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PrintedPolicy {
    /// The policy that applies: that of `--policy`, with its presets written out, or the default.
    Effective,
    /// The policy that applies if there is no other.
    Default,
    /// Mozilla's guidelines for servers, version 6.0: modern clients.
    MozillaModern,
    /// Mozilla's guidelines for servers, version 6.0: clients in general.
    MozillaIntermediate,
    /// NIST SP 800-52 Revision 2.
    #[value(name = "nist-sp800-52r2")]
    NistSp800_52r2,
    /// Commercial National Security Algorithm Suite 2.0.
    #[value(name = "cnsa-2.0")]
    Cnsa2,
    /// A key exchange that withstands quantum computers.
    PostQuantum,
}

/// A report's format, and the file that it goes to; the standard stream if none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ReportTo {
    pub(in crate::cli) format: ReportFormat,
    pub(in crate::cli) file: Option<PathBuf>,
}

impl FromStr for ReportTo {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the name of the file is missing".into()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let mut formats = ReportFormat::ALL.iter();
        match formats.find(|format| format.as_str() == name) {
            Some(format) => Ok(Self {
                format: *format,
                file,
            }),
            None => {
                let known = ReportFormat::ALL.iter().map(|one| one.as_str());
                Err(Box::new(NotOneOf(known.collect())))
            }
        }
    }
}

/// A word that is none of these. Usage errors list them, and guess which one was meant.
#[derive(Debug)]
pub(in crate::cli) struct NotOneOf(pub(in crate::cli) Vec<&'static str>);

impl fmt::Display for NotOneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of `{}`", self.0.join("`, `"))
    }
}

impl Error for NotOneOf {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_may_have_a_file() {
        let parsed = |text: &str| text.parse::<ReportTo>();
        let stdout = parsed("sarif").unwrap();
        assert_eq!((stdout.format, stdout.file), (ReportFormat::Sarif, None));
        let file = parsed("junit=a=b.xml").unwrap();
        assert_eq!(file.file, Some("a=b.xml".into()));
        for wrong in ["xml", "", "=a", "text="] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_help_names_every_format() {
        use clap::Args;
        let command = AssertionArgs::augment_args(clap::Command::new("test"));
        let mut arguments = command.get_arguments();
        let format = arguments.find(|one| one.get_id() == "format").unwrap();
        let help = format.get_help().unwrap().to_string();
        for format in ReportFormat::ALL {
            assert!(help.contains(&format!("`{}`", format.as_str())), "{help}");
        }
    }
}
