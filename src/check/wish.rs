//! Assertions in words.

use super::judge::milliseconds;
use super::policy::{Assertion, LeafField, Limit, List, Presence, Subject};
use crate::event::ErrorType;

/// The key that asks for it in a policy.
pub(super) const fn key(assertion: &Assertion) -> &'static str {
    use LeafField::{Key, SignatureAlgorithm};
    use List::{Allowed, Forbidden};
    use Subject::{Group, OfferedGroups, OfferedSignatureSchemes, OfferedSuites, Suite};
    match assertion {
        Assertion::MinVersion(_) => "min-version",
        Assertion::Codes { subject, list, .. } => match (subject, list) {
            (Suite, Allowed) => "allowed-suites",
            (Suite, Forbidden) => "forbidden-suites",
            (OfferedSuites, Allowed) => "allowed-offered-suites",
            (OfferedSuites, Forbidden) => "forbidden-offered-suites",
            (Group, Allowed) => "allowed-groups",
            (Group, Forbidden) => "forbidden-groups",
            (OfferedGroups, Allowed) => "allowed-offered-groups",
            (OfferedGroups, Forbidden) => "forbidden-offered-groups",
            (OfferedSignatureSchemes, Allowed) => "allowed-offered-signature-schemes",
            (OfferedSignatureSchemes, Forbidden) => "forbidden-offered-signature-schemes",
        },
        Assertion::Leaf { field, list, .. } => match (field, list) {
            (Key, Allowed) => "allowed-keys",
            (Key, Forbidden) => "forbidden-keys",
            (SignatureAlgorithm, Allowed) => "allowed-certificate-signatures",
            (SignatureAlgorithm, Forbidden) => "forbidden-certificate-signatures",
        },
        Assertion::MinRsaBits(_) => "min-rsa-bits",
        Assertion::MinDaysValid(_) => "min-days-valid",
        Assertion::MaxLifetimeDays(_) => "max-lifetime-days",
        Assertion::ForbiddenFindings(_) => "forbidden-findings",
        Assertion::ClientCertificate(_) => "client-certificate",
        Assertion::RequireServerName => "require-server-name",
        Assertion::RequireAlpn => "require-alpn",
        Assertion::AllowedAlpn(_) => "allowed-alpn",
        Assertion::MaxFailures {
            error_type: None, ..
        } => "max-failures",
        Assertion::MaxFailures { .. } => "max-failures-of",
        Assertion::MaxUnknown(_) => "max-unknown",
        Assertion::MaxLatency { .. } => "max-latency",
        Assertion::MinHandshakes(_) => "min-handshakes",
        Assertion::MaxHandshakes(_) => "max-handshakes",
        Assertion::ExpectFailure { .. } => "expect-failure",
        Assertion::NoGaps => "no-gaps",
        Assertion::NoTruncation => "no-truncation",
        Assertion::NoDrops => "no-drops",
        Assertion::CompleteInput => "complete-input",
    }
}

/// What it wants, in one clause.
pub(super) fn wanted(assertion: &Assertion) -> String {
    match assertion {
        Assertion::MinVersion(version) => format!("{version} or later"),
        Assertion::Codes {
            subject,
            list,
            codes,
        } => {
            let what = match subject {
                Subject::Suite => "cipher suite",
                Subject::OfferedSuites => "cipher suites offered",
                Subject::Group => "group",
                Subject::OfferedGroups => "groups offered",
                Subject::OfferedSignatureSchemes => "signature schemes offered",
            };
            listed(what, *list, codes.written())
        }
        Assertion::Leaf {
            field,
            list,
            patterns,
        } => {
            let what = match field {
                LeafField::Key => "certificate key",
                LeafField::SignatureAlgorithm => "certificate signature",
            };
            listed(what, *list, patterns.written())
        }
        Assertion::MinRsaBits(bits) => format!("RSA keys of at least {bits} bits"),
        Assertion::MinDaysValid(0.0) => "certificates that are valid".to_owned(),
        Assertion::MinDaysValid(days) => {
            format!("certificates valid for at least {days} days more")
        }
        Assertion::MaxLifetimeDays(days) => {
            format!("certificates valid for at most {days} days in all")
        }
        Assertion::ForbiddenFindings(types) if types.len() == ErrorType::ALL.len() => {
            "certificates without any finding".to_owned()
        }
        Assertion::ForbiddenFindings(types) => {
            format!("certificates without {}", error_types(types, "nor"))
        }
        Assertion::ClientCertificate(Presence::Required) => "a client certificate".to_owned(),
        Assertion::ClientCertificate(Presence::Forbidden) => "no client certificate".to_owned(),
        Assertion::RequireServerName => "a server name (SNI)".to_owned(),
        Assertion::RequireAlpn => "an application protocol (ALPN)".to_owned(),
        Assertion::AllowedAlpn(allowed) => listed("application protocol", List::Allowed, allowed),
        Assertion::MaxFailures { limit, error_type } => match (limit, error_type) {
            (Limit::Count(0), None) => "no failure".to_owned(),
            (Limit::Count(0), Some(error_type)) => format!("no {error_type}"),
            (limit, None) => format!("at most {limit} failures"),
            (limit, Some(error_type)) => format!("at most {limit} of {error_type}"),
        },
        Assertion::MaxUnknown(limit) => format!("at most {limit} without a verdict"),
        Assertion::MaxLatency {
            phase,
            percentile,
            limit,
        } => format!(
            "{} within {} for {percentile} % of the handshakes",
            phase.as_str(),
            milliseconds(*limit)
        ),
        Assertion::MinHandshakes(least) => format!("at least {}", handshakes(*least)),
        Assertion::MaxHandshakes(most) => format!("at most {}", handshakes(*most)),
        Assertion::ExpectFailure {
            error_types: types,
            side,
        } => {
            let of = match types.as_slice() {
                [] => String::new(),
                types => format!(" with {}", error_types(types, "or")),
            };
            let by = side.map_or(String::new(), |side| format!(" from the {side}"));
            format!("a failure{of}{by}")
        }
        Assertion::NoGaps => "captures without gaps, of both directions".to_owned(),
        Assertion::NoTruncation => "captures with whole packets".to_owned(),
        Assertion::NoDrops => "nothing discarded for want of room".to_owned(),
        Assertion::CompleteInput => "captures that are read to their ends".to_owned(),
    }
}

/// What a handshake does that speaks against it.
pub(super) const fn speaks_against(assertion: &Assertion) -> &'static str {
    match assertion {
        Assertion::MaxFailures { .. } => "failed",
        Assertion::MaxUnknown(_) => "without a verdict",
        Assertion::MaxLatency { .. } => "took longer",
        Assertion::ExpectFailure { .. } => "ended otherwise",
        _ => "against it",
    }
}

/// `1 handshake`, `2 handshakes`.
pub(super) fn handshakes(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} handshake{plural}")
}

fn listed(what: &str, list: List, names: &[String]) -> String {
    /// A clause for people: the policy has all of them.
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" or {more} more"),
    };
    let names = format!("{}{more}", shown.join(", "));
    match list {
        List::Allowed => format!("{what} {names}"),
        List::Forbidden => format!("{what} other than {names}"),
    }
}

fn error_types(types: &[ErrorType], conjunction: &str) -> String {
    let names: Vec<_> = types.iter().map(|one| one.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} {conjunction} {last}", rest.join(", "))
        }
        _ => names.join(""),
    }
}
