//! A policy as data: what is asked for, of whom, and how bad it is if it does not hold.

use std::fmt;
use std::time::Duration;

use super::Scope;
use super::names::{Codes, Patterns};
use crate::event::{ErrorType, Side};
use crate::tls::ProtocolVersion;

/// All that is asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Where it comes from: the file, or `default`.
    pub name: String,
    /// Whether a capture without any handshake is all right.
    pub allows_empty: bool,
    /// What is asked for, in the order of the file.
    pub checks: Vec<Check>,
}

impl Policy {
    /// Asks for nothing but that there be a handshake.
    #[must_use]
    pub const fn empty(name: String) -> Self {
        Self {
            name,
            allows_empty: false,
            checks: Vec::new(),
        }
    }
}

/// One assertion of one rule.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// The rule's name, if it has one.
    pub rule: Option<String>,
    /// Line of the policy file; 0 if it is in none.
    pub line: usize,
    /// The handshakes that it is for.
    pub scope: Scope,
    /// How bad it is if it does not hold.
    pub severity: Severity,
    /// How bad it is if it cannot be judged.
    pub unknown: Unknown,
    /// What is to hold.
    pub assertion: Assertion,
}

/// How bad it is if an assertion does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// The check fails.
    #[default]
    Error,
    /// It is said, and the check holds.
    Warning,
}

impl Severity {
    /// As written in policies and reports: `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// How bad it is if an assertion cannot be judged: what it is about is encrypted, not in the capture, or not there at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is counted in the report, and nothing else.
    Ignore,
    /// A warning: a check that saw nothing is not to look as if it had.
    #[default]
    Warn,
    /// As bad as if it did not hold.
    Fail,
}

/// What is to hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Assertion {
    /// The version selected is at least this one; DTLS counts as the TLS that it is made of.
    MinVersion(ProtocolVersion),
    /// The code points of a registry that are selected or offered are allowed ones, or none of the forbidden.
    Codes {
        /// Which code points are looked at.
        subject: Subject,
        /// Whether `codes` are the allowed or the forbidden ones.
        list: List,
        /// The allowed or the forbidden ones.
        codes: Codes,
    },
    /// What a server's leaf certificate says is allowed, or not forbidden.
    Leaf {
        /// Which of its fields is looked at.
        field: LeafField,
        /// Whether `patterns` are the allowed or the forbidden ones.
        list: List,
        /// The allowed or the forbidden ones.
        patterns: Patterns,
    },
    /// Each RSA key in the chains shown has at least this many bits.
    MinRsaBits(u32),
    /// Each certificate shown is valid at the moment of judgement, and for at least so many days of 24 hours more.
    MinDaysValid(f64),
    /// A leaf certificate is valid for at most so many days in all.
    MaxLifetimeDays(f64),
    /// The certificates shown have none of these findings.
    ForbiddenFindings(Vec<ErrorType>),
    /// What the client's certificate has to be.
    ClientCertificate(Presence),
    /// The client names the server.
    RequireServerName,
    /// The client offers application protocols, and the server selects one.
    RequireAlpn,
    /// The application protocol selected is one of these.
    AllowedAlpn(Vec<String>),
    /// At most so many handshakes fail.
    MaxFailures {
        /// How many.
        limit: Limit,
        /// Only failures of this class count; `None`: all.
        error_type: Option<ErrorType>,
    },
    /// At most so many handshakes stay without a verdict.
    MaxUnknown(Limit),
    /// So many percent of the handshakes that have the phase take no longer than this.
    MaxLatency {
        /// The phase.
        phase: Phase,
        /// Above 0, at most 100.
        percentile: f64,
        /// How long it may take.
        limit: Duration,
    },
    /// There are at least so many handshakes.
    MinHandshakes(u64),
    /// There are at most so many handshakes.
    MaxHandshakes(u64),
    /// Each handshake fails, and in this way.
    ExpectFailure {
        /// The classes that will do; empty: any.
        error_types: Vec<ErrorType>,
        /// The side that is to give up; `None`: either.
        side: Option<Side>,
    },
    /// No byte of a handshake is missing in the capture, and both directions are there.
    NoGaps,
    /// No packet of a handshake was cut short.
    NoTruncation,
    /// Nothing was discarded for want of room.
    NoDrops,
    /// The captures were read without a warning: none was cut off or passed over.
    CompleteInput,
}

/// Which code points an [`Assertion::Codes`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The cipher suite that the server selected.
    Suite,
    /// The cipher suites that the client offers, less GREASE and signalling values.
    OfferedSuites,
    /// The group of the key exchange.
    Group,
    /// The groups that the client offers, less GREASE.
    OfferedGroups,
    /// The signature schemes that the client offers, less GREASE. The one that is used is not in the event.
    OfferedSignatureSchemes,
}

/// Whether what is listed is allowed or forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Nothing else is allowed.
    Allowed,
    /// Everything else is allowed.
    Forbidden,
}

/// A field of a leaf certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafField {
    /// Algorithm and size of the key, as in `RSA 2048`.
    Key,
    /// The algorithm that it is signed with, as in `sha256WithRSAEncryption`.
    SignatureAlgorithm,
}

/// Whether something has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has to be there.
    Required,
    /// It must not be there.
    Forbidden,
}

/// How many may be: a number, or a share of those judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many.
    Count(u64),
    /// So many percent, from 0 to 100, of the handshakes judged.
    Percent(f64),
}

impl Assertion {
    /// Whether it is about the run as a whole, and not about the handshakes in a scope.
    pub(super) const fn is_of_the_run(&self) -> bool {
        matches!(self, Self::NoDrops | Self::CompleteInput)
    }

    /// Whether it is about what handshakes say, and not about how many there are or how well they were captured.
    pub(super) const fn is_about_content(&self) -> bool {
        !self.is_of_the_run()
            && !matches!(
                self,
                Self::NoGaps
                    | Self::NoTruncation
                    | Self::MaxUnknown(_)
                    | Self::MinHandshakes(_)
                    | Self::MaxHandshakes(_)
            )
    }
}

impl Limit {
    /// How many of `judged` may be.
    pub(super) fn of(self, judged: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(judged, percent).floor() as u64,
        }
    }
}

/// `percent` of `count`, without the error that 0.1 has in binary making 3 of 2.9999999.
pub(super) fn share(count: u64, percent: f64) -> f64 {
    let exact = count as f64 * percent / 100.0;
    let whole = exact.round();
    if (exact - whole).abs() < 1e-9 * whole.max(1.0) {
        whole
    } else {
        exact
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// A phase of a handshake; see [`crate::event::Timing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From the client's SYN to the SYN-ACK.
    TcpConnect,
    /// From the ClientHello to the ServerHello.
    ServerHello,
    /// From the ClientHello to the end of the last handshake flight.
    Handshake,
    /// From the ClientHello to the first application data.
    FirstApplicationData,
}

impl Phase {
    /// As written in policies and events, as in `server_hello`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TcpConnect => "tcp_connect",
            Self::ServerHello => "server_hello",
            Self::Handshake => "handshake",
            Self::FirstApplicationData => "first_application_data",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_where_decimals_are() {
        assert_eq!(Limit::Percent(5.0).of(100), 5);
        assert_eq!(Limit::Percent(5.0).of(99), 4);
        assert_eq!(Limit::Percent(0.1).of(1_000), 1);
        assert_eq!(Limit::Percent(0.3).of(1_000), 3);
        assert_eq!(Limit::Percent(100.0).of(7), 7);
        assert_eq!(Limit::Count(2).of(0), 2);
    }
}
