//! How handshakes are classified and certificates validated: flags of every command that takes packets.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tlscope::sink::selection::Moment;
use tlscope::time::Timestamp;

use super::defaults;
use super::memory::MemoryArgs;

/// Thresholds and roots of trust.
#[derive(Debug, clap::Args)]
pub(crate) struct JudgementArgs {
    /// Remaining days at which a certificate counts as near expiry
    #[arg(
        long, value_name = "DAYS", default_value_t = defaults::NEAR_EXPIRY_DAYS,
        help_heading = "Analysis", env = "TLSCOPE_NEAR_EXPIRY"
    )]
    pub(crate) near_expiry: u32,

    /// Remaining share of the lifetime, in percent, at which a certificate counts as near expiry
    ///
    /// A certificate is near expiry if both this and --near-expiry apply, so that
    /// certificates with a lifetime of days are not near expiry from the start. With 100,
    /// only --near-expiry counts.
    #[arg(
        long, value_name = "PERCENT", default_value_t = defaults::NEAR_EXPIRY_PERCENT,
        value_parser = clap::value_parser!(u8).range(1..=100),
        help_heading = "Analysis", env = "TLSCOPE_NEAR_EXPIRY_SHARE"
    )]
    pub(crate) near_expiry_share: u8,

    /// Trust the roots in a file of PEM certificates, instead of the system's
    ///
    /// You can repeat this option and combine it with --ca-dir. Chains are validated
    /// against these roots only, unless you add --system-roots. Every certificate in the
    /// file is a root, whether or not it is self-signed. SIGHUP makes `live` reload
    /// the roots.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Analysis",
        env = "TLSCOPE_CA_FILE"
    )]
    pub(crate) ca_file: Vec<PathBuf>,

    /// Trust the roots in the PEM files of a directory, instead of the system's
    ///
    /// Like --ca-file for each file whose name ends in `.pem`, `.crt` or `.cer`, or is a
    /// hash as written by `openssl rehash`.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Analysis",
        env = "TLSCOPE_CA_DIR"
    )]
    pub(crate) ca_dir: Vec<PathBuf>,

    /// Trust the system's roots in addition to --ca-file and --ca-dir
    ///
    /// Without those options, tlscope trusts the system's roots. SSL_CERT_FILE and
    /// SSL_CERT_DIR override where they are.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Analysis", env = "TLSCOPE_SYSTEM_ROOTS"
    )]
    pub(crate) system_roots: bool,

    /// Do not validate chains against trusted roots
    ///
    /// Dates, names, keys and signature algorithms are still checked.
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true,
        value_parser = clap::builder::BoolishValueParser::new(),
        help_heading = "Analysis", env = "TLSCOPE_NO_VERIFY"
    )]
    pub(crate) no_verify: bool,

    /// Time at which certificates are validated: `capture`, `now`, or a time
    ///
    /// `capture` is the time of the handshake in which the certificate was presented. Write
    /// a time as in `2026-03-01T12:00:00Z` or, in UTC, `2026-03-01 12:00` or `2026-03-01`.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "capture",
        help_heading = "Analysis",
        env = "TLSCOPE_AT"
    )]
    pub(crate) at: At,

    /// Seconds of packet time without new data after which a handshake is reported as it stands
    ///
    /// Without this option, `live` waits 60 seconds. Commands that read captures wait until
    /// the connection closes or the capture ends. Retransmissions keep a handshake open for up to
    /// 100 s.
    #[arg(
        long, value_name = "SECONDS", value_parser = seconds,
        help_heading = "Analysis", env = "TLSCOPE_HANDSHAKE_TIMEOUT"
    )]
    pub(crate) handshake_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
}

/// The moment at which certificates are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The time of each handshake.
    Capture,
    /// When the program runs.
    Now,
    /// A moment that the user gives.
    Time(Timestamp),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "capture" => Ok(Self::Capture),
            "now" => Ok(Self::Now),
            time => match time.parse() {
                Ok(Moment::Time(time)) => Ok(Self::Time(time)),
                _ => Err(
                    "neither `capture`, `now` nor a time as in `2026-03-01` or `2026-03-01T12:00:00Z`"
                        .to_owned(),
                ),
            },
        }
    }
}

/// Parses a duration in seconds, as in `10` or `2.5`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of seconds above zero".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_moments_and_rejects_anything_else() {
        let time = Timestamp::from_seconds(1_772_366_400);
        assert_eq!("now".parse(), Ok(At::Now));
        assert_eq!("capture".parse(), Ok(At::Capture));
        assert_eq!("2026-03-01T12:00:00Z".parse(), Ok(At::Time(time)));
        assert_eq!("2026-03-01T14:00:00+02:00".parse(), Ok(At::Time(time)));
        let midnight = Timestamp::from_seconds(1_772_323_200);
        assert_eq!("2026-03-01".parse(), Ok(At::Time(midnight)));
        for wrong in ["", "yesterday", "12:00", "9999-01-01T00:00:00Z"] {
            assert!(wrong.parse::<At>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_timeout_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2_500)));
        for wrong in ["0", "-1", "soon", "inf", "NaN", "1e300", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
