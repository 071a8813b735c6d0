//! `tlscope check`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use tlscope::check::ReportFormat;

use super::{InputArgs, JudgementArgs, TimeArgs};

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  By the default policy, which `--print-policy` shows:
      tlscope check capture.pcapng
  By a policy, with a report for the build server and one for people:
      tlscope check --policy tlscope.toml --format text,junit=report.xml captures/
  Against a recorded baseline, and to record it:
      tlscope check --expect expected.jsonl capture.pcapng
      tlscope check --expect expected.jsonl --update capture.pcapng
  What a preset asks for:
      tlscope check --print-policy=mozilla-intermediate

A policy is a list of rules, each with what has to hold and for whom; the README
has all that can be asked for:
      unknown = \"warn\"           # what cannot be validated: ignore, warn or fail
      [[rule]]
      where = { server-name = \"*.example.org\", port = [443, 8443] }
      preset = \"mozilla-intermediate\"
      client-certificate = \"required\"
      min-days-valid = 14
      [[rule]]
      severity = \"warning\"
      max-failures = \"0.5 %\"
      max-latency = { phase = \"handshake\", percentile = 99, ms = 250 }

Exit status:
  0  All held; warnings do not count.
  1  An assertion of severity error does not hold.
  2  It could not be checked: bad usage, a policy that is wrong, or input that
     could not be read; what could be read is reported first.";

/// What `tlscope check` takes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    /// Captures to check: files, directories of captures, or `-` for standard input
    ///
    /// Several are checked as one.
    #[arg(required_unless_present = "print_policy", value_name = "CAPTURE")]
    pub(in crate::cli) paths: Vec<PathBuf>,

    /// What has to hold, in TOML
    ///
    /// The README says what a policy can ask for. Without one, and without
    /// `--expect`, the default policy holds.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Assertions",
        env = "TLSCOPE_POLICY"
    )]
    pub(in crate::cli) policy: Option<PathBuf>,

    /// Compare the handshakes with those of a baseline
    ///
    /// A baseline is a file of JSON lines, as `--update` or `read --format json`
    /// writes them. Times, packet numbers, client ports, and what else differs from
    /// run to run is left out of the comparison, and so is the order. Chains are held
    /// against roots only where some are named: the system's differ from host to host.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Assertions",
        env = "TLSCOPE_EXPECT"
    )]
    pub(in crate::cli) expect: Option<PathBuf>,

    /// Write the baseline instead of comparing with it
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Assertions", env = "TLSCOPE_UPDATE"
    )]
    pub(in crate::cli) update: bool,

    /// Print the default policy or a preset, and do nothing else
    #[arg(
        long, value_enum, value_name = "NAME", num_args = 0..=1, require_equals = true,
        default_missing_value = "default", help_heading = "Assertions", env = "TLSCOPE_PRINT_POLICY"
    )]
    pub(in crate::cli) print_policy: Option<PrintedPolicy>,

    /// How to write the report: `text`, `json`, `junit`, `sarif` or `github`
    ///
    /// To standard output, or to a file as in `junit=report.xml`; several at once
    /// are separated by commas. If all go to files, text goes to standard output.
    #[arg(
        long,
        value_name = "FORMAT[=FILE]",
        default_value = "text",
        value_delimiter = ',',
        help_heading = "Output",
        env = "TLSCOPE_FORMAT"
    )]
    pub(in crate::cli) format: Vec<ReportTo>,

    #[command(flatten)]
    pub(in crate::cli) input: InputArgs,

    #[command(flatten)]
    pub(in crate::cli) time: TimeArgs,

    #[command(flatten)]
    pub(in crate::cli) judgement: JudgementArgs,
}

/// A policy that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PrintedPolicy {
    /// What holds without a policy.
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

/// A report's format, and the file that it goes to; standard output if none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ReportTo {
    pub(in crate::cli) format: ReportFormat,
    pub(in crate::cli) file: Option<PathBuf>,
}

impl FromStr for ReportTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the name of the file is missing".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = match format {
            "text" => ReportFormat::Text,
            "json" => ReportFormat::Json,
            "junit" => ReportFormat::Junit,
            "sarif" => ReportFormat::Sarif,
            "github" => ReportFormat::Github,
            _ => {
                return Err(
                    "`check` writes `text`, `json`, `junit`, `sarif` and `github`".to_owned(),
                );
            }
        };
        Ok(Self { format, file })
    }
}

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
}
