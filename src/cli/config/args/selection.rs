//! Which handshakes are reported: flags of every command that takes packets.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tlscope::event::{ErrorType, Outcome, Protocol};
use tlscope::pattern::{Glob, nearest};
use tlscope::sink::selection::{Moment, Peer, Selection};
use tlscope::tls::ProtocolVersion;

use crate::cli::config::days;
use crate::cli::error::CliError;

/// Selections by peers, outcome and version. Flags that are given together must all match.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SelectionArgs {
    /// Report only handshakes with servers whose name matches
    ///
    /// The name is the one that the client asked for. `*` stands for any characters,
    /// `?` for one; case does not matter. You can repeat this option: one pattern must match.
    /// As with every selection by peer, outcome, version or time, tlscope does not count the
    /// other handshakes.
    #[arg(
        long,
        value_name = "GLOB",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_SERVER_NAME"
    )]
    pub(crate) server_name: Vec<String>,

    /// Report only handshakes of clients with this address, network or name
    ///
    /// As in `192.0.2.7`, `192.0.2.0/24`, `192.0.2.7:51234` or `2001:db8::/32`. A name, with
    /// `*` and `?`, is compared with the names in the client's certificate.
    #[arg(
        long,
        value_name = "PEER",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_CLIENT"
    )]
    pub(crate) client: Vec<Peer>,

    /// Report only handshakes with servers that have this address, network or name
    ///
    /// Addresses and networks as for --client. A name, with `*` and `?`, is compared with
    /// the one that the client asked for; if it asked for none, with those in the
    /// server's certificate.
    #[arg(
        long,
        value_name = "PEER",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_SERVER"
    )]
    pub(crate) server: Vec<Peer>,

    /// Report only handshakes with this port of the server
    #[arg(
        long,
        value_name = "PORT",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_PORT"
    )]
    pub(crate) port: Vec<u16>,

    /// Report only handshakes with this outcome: `success`, `failure` or `unknown`
    #[arg(
        long, value_name = "OUTCOME", value_delimiter = ',', value_parser = outcomes(), hide_possible_values = true,
        help_heading = "Selection", env = "TLSCOPE_OUTCOME"
    )]
    pub(crate) outcome: Vec<Outcome>,

    /// Report only handshakes that failed for this cause, as in `unknown_ca`
    ///
    /// Includes handshakes that completed and whose peer was then refused for this cause. The causes are the
    /// values of `error.type` in JSON; `tlscope print error-types` lists them.
    #[arg(
        long, value_name = "CAUSE", value_delimiter = ',', value_parser = causes(), hide_possible_values = true,
        help_heading = "Selection", env = "TLSCOPE_ERROR"
    )]
    pub(crate) error: Vec<ErrorType>,

    /// Report only handshakes over this protocol: `tls` (over TCP), `dtls`, `quic` or `eap`
    #[arg(
        long, value_name = "PROTOCOL", value_delimiter = ',', value_parser = protocols(), hide_possible_values = true,
        help_heading = "Selection", env = "TLSCOPE_PROTOCOL"
    )]
    pub(crate) protocol: Vec<Protocol>,

    /// Report only logins over EAP of users whose name matches
    ///
    /// The name is the one outside of the tunnel: User-Name in RADIUS, or the identity in EAP. `*` stands for any
    /// characters, `?` for one; case does not matter.
    #[arg(
        long,
        value_name = "GLOB",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_USER_NAME"
    )]
    pub(crate) user_name: Vec<String>,

    /// Report only logins over EAP of devices that match, as in `02:00:5e:10:00:01` or `02-00-5E-*`
    ///
    /// The device is Calling-Station-Id in RADIUS, or the hardware address in the frame. It does not matter
    /// how a hardware address is separated, and in which case it is written.
    #[arg(
        long,
        value_name = "GLOB",
        value_delimiter = ',',
        help_heading = "Selection",
        env = "TLSCOPE_CALLING_STATION_ID"
    )]
    pub(crate) calling_station_id: Vec<String>,

    /// Report only handshakes with this finding about a certificate, as in `near_expiry`
    ///
    /// Findings stand after `!` in rows. A handshake can succeed in spite of one.
    #[arg(
        long, value_name = "FINDING", value_delimiter = ',', value_parser = findings(), hide_possible_values = true,
        help_heading = "Selection", env = "TLSCOPE_FINDING"
    )]
    pub(crate) finding: Vec<ErrorType>,

    /// Report only handshakes with a certificate that expires within DAYS, or has expired
    ///
    /// Counts from the time at which certificates are validated: that of the handshake, or --at.
    #[arg(
        long,
        value_name = "DAYS",
        help_heading = "Selection",
        env = "TLSCOPE_EXPIRES_WITHIN"
    )]
    pub(crate) expires_within: Option<u32>,

    /// Report only handshakes of this version, as in `TLS 1.2`, `1.3`, `draft28` or `0x7f1c`
    ///
    /// If no version was negotiated, the highest that the client offered counts.
    #[arg(
        long, value_name = "VERSION", value_delimiter = ',', value_parser = version,
        help_heading = "Selection", env = "TLSCOPE_VERSION"
    )]
    pub(crate) version: Vec<ProtocolVersion>,
}

/// Selections by time, for commands that read captures.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TimeArgs {
    /// Report only handshakes that began at this time or later
    ///
    /// Packet time, in UTC unless the time has an offset: `2026-03-01T12:00:00Z`,
    /// `2026-03-01 12:00`, `2026-03-01`, or on any day `12:00:05`.
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Selection",
        env = "TLSCOPE_SINCE"
    )]
    pub(crate) since: Option<Moment>,

    /// Report only handshakes that began before this time
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Selection",
        env = "TLSCOPE_UNTIL"
    )]
    pub(crate) until: Option<Moment>,
}

impl From<SelectionArgs> for Selection {
    fn from(args: SelectionArgs) -> Self {
        let mut selection = Self::default();
        selection.server_names = args
            .server_name
            .iter()
            .map(|name| Glob::new(name))
            .collect();
        selection.clients = args.client;
        selection.servers = args.server;
        selection.ports = args.port;
        selection.outcomes = args.outcome;
        selection.errors = args.error;
        selection.protocols = args.protocol;
        let globs = |texts: &[String]| texts.iter().map(|text| Glob::new(text)).collect();
        selection.user_names = globs(&args.user_name);
        selection.calling_station_ids = globs(&args.calling_station_id);
        selection.findings = args.finding;
        selection.expires_within = args.expires_within.map(days);
        selection.versions = args.version;
        selection
    }
}

impl TimeArgs {
    /// Adds the selection by time.
    ///
    /// # Errors
    ///
    /// When it cannot select anything.
    pub(crate) fn add_to(&self, selection: &mut Selection) -> Result<(), CliError> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since.is_at_or_after(until)
        {
            let error = CliError::new("`--since` is not before `--until`: no handshake can match");
            let is_of_day = matches!(since, Moment::OfDay(_));
            return Err(error.maybe_hint(is_of_day.then_some(
                "times without a date do not go past midnight: add the dates, as in `2026-03-01 23:00`",
            )));
        }
        selection.since = self.since;
        selection.until = self.until;
        Ok(())
    }
}

fn outcomes() -> impl TypedValueParser<Value = Outcome> {
    one_of(Outcome::ALL, |outcome| outcome.as_str())
}

/// Findings that no handshake fails for: it fails for what the peer made of them.
const NO_CAUSES: &[ErrorType] = &[
    ErrorType::IncompleteChain,
    ErrorType::NearExpiry,
    ErrorType::UntrustedCa,
    ErrorType::WeakKey,
    ErrorType::WeakSignature,
];

fn causes() -> impl TypedValueParser<Value = ErrorType> {
    Listed {
        all: ErrorType::ALL,
        parse: |text| {
            let cause = class_of(text, "cause")?;
            if NO_CAUSES.contains(&cause) {
                return Err(format!(
                    "a finding about a certificate, for which no handshake fails: use `--finding {cause}`"
                ));
            }
            Ok(cause)
        },
    }
}

fn findings() -> impl TypedValueParser<Value = ErrorType> {
    Listed {
        all: ErrorType::ALL,
        parse: |text| class_of(text, "finding"),
    }
}

/// A class of errors by its text; the error has the nearest one, and not all: they are too many for a line.
fn class_of(text: &str, what: &str) -> Result<ErrorType, String> {
    let known: Vec<&str> = ErrorType::ALL.iter().map(|class| class.as_str()).collect();
    let class = ErrorType::ALL.iter().find(|class| class.as_str() == text);
    class.copied().ok_or_else(|| {
        let guess = nearest(text, &known)
            .map_or(String::new(), |known| format!("did you mean `{known}`? "));
        format!("no {what} of this name; {guess}`tlscope print error-types` lists all")
    })
}

/// A parser with errors of its own, for values that completions know.
#[derive(Clone)]
struct Listed {
    all: &'static [ErrorType],
    parse: fn(&str) -> Result<ErrorType, String>,
}

impl TypedValueParser for Listed {
    type Value = ErrorType;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<ErrorType, clap::Error> {
        TypedValueParser::parse_ref(&self.parse, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let texts = self.all.iter().map(|class| class.as_str());
        Some(Box::new(texts.map(PossibleValue::new)))
    }
}

fn protocols() -> impl TypedValueParser<Value = Protocol> {
    one_of(Protocol::ALL, |protocol| protocol.as_str())
}

/// Parses one of `values` by its text; clap suggests the nearest for a wrong one.
fn one_of<T: Copy + Send + Sync + 'static>(
    values: &'static [T],
    text_of: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let texts = values.iter().map(|value| text_of(*value));
    PossibleValuesParser::new(texts).try_map(move |text| {
        let value = values.iter().find(|value| text_of(**value) == text);
        value.copied().ok_or("unknown value")
    })
}

/// Parses a version: `TLS 1.2`, `TLSv1.2`, `tls1.2`, `1.2`, `SSL 3.0`, `SSLv3`, or its number as in `0x7f1c`.
fn version(text: &str) -> Result<ProtocolVersion, String> {
    let number = text
        .strip_prefix("0x")
        .map(|digits| u16::from_str_radix(digits, 16));
    if let Some(number) = number {
        return number.map(ProtocolVersion).map_err(|_| not_a_version());
    }
    let mut plain = text.to_ascii_lowercase();
    plain.retain(|c| !matches!(c, ' ' | 'v' | '-' | '_'));
    let version = match plain.as_str() {
        "ssl2" | "ssl2.0" => ProtocolVersion::SSLv2,
        "ssl3" | "ssl3.0" => ProtocolVersion::SSLv3,
        "1.0" | "tls1" | "tls1.0" => ProtocolVersion::TLSv1_0,
        "1.1" | "tls1.1" => ProtocolVersion::TLSv1_1,
        "1.2" | "tls1.2" => ProtocolVersion::TLSv1_2,
        "1.3" | "tls1.3" => ProtocolVersion::TLSv1_3,
        "dtls1.0" | "dtls1" => ProtocolVersion::DTLSv1_0,
        "dtls1.2" => ProtocolVersion::DTLSv1_2,
        "dtls1.3" => ProtocolVersion::DTLSv1_3,
        other => return draft(other).ok_or_else(not_a_version),
    };
    Ok(version)
}

/// A draft of TLS 1.3, as in `draft28`, which rows have, or `tls1.3draft28`.
fn draft(plain: &str) -> Option<ProtocolVersion> {
    let draft = plain.trim_start_matches("tls1.3").strip_prefix("draft")?;
    let version = ProtocolVersion(0x7f00 | draft.parse::<u16>().ok()?);
    version.draft().is_some().then_some(version)
}

fn not_a_version() -> String {
    "not a version: SSL 2.0, SSL 3.0, TLS 1.0 to 1.3, DTLS 1.0, 1.2 and 1.3, a draft as in `TLS 1.3 draft 28`, or a number as in `0x7f1c`"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_cause_is_answered_with_a_guess_and_a_finding_with_its_flag() {
        let error = class_of("unknown_cas", "cause").unwrap_err();
        let expected = "no cause of this name; did you mean `unknown_ca`? `tlscope print error-types` lists all";
        assert_eq!(error, expected);
        assert_eq!(
            class_of("near_expiry", "finding"),
            Ok(ErrorType::NearExpiry)
        );
        let command = clap::Command::new("tlscope");
        let parsed = |text: &str| causes().parse_ref(&command, None, OsStr::new(text));
        assert_eq!(parsed("unknown_ca").unwrap(), ErrorType::UnknownCa);
        let error = parsed("near_expiry").unwrap_err().to_string();
        assert!(error.contains("use `--finding near_expiry`"), "{error}");
    }

    #[test]
    fn versions_are_accepted_as_people_write_them() {
        for text in ["TLS 1.2", "TLSv1.2", "tls1.2", "1.2", "tls-1.2", "0x0303"] {
            assert_eq!(version(text), Ok(ProtocolVersion::TLSv1_2), "{text}");
        }
        assert_eq!(version("SSLv3"), Ok(ProtocolVersion::SSLv3));
        for text in ["0x7f1c", "TLS 1.3 draft 28", "draft28", "tls1.3-draft-28"] {
            assert_eq!(version(text), Ok(ProtocolVersion(0x7f1c)), "{text}");
        }
        for wrong in [
            "",
            "1.4",
            "TLS",
            "12",
            "0x",
            "0x12345",
            "draft",
            "draft29",
            "tls1.2draft1",
        ] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
    }
}
