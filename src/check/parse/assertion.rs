//! What each key of a rule takes.

use std::time::Duration;

use super::Result;
use super::entry::Entry;
use crate::check::names::{Codes, Patterns, Registry};
use crate::check::policy::{Assertion, LeafField, Limit, List, Phase, Presence, Subject};
use crate::event::{ErrorType, Side};
use crate::tls::ProtocolVersion;

/// Every key that asserts something.
pub(super) const KEYS: &[&str] = &[
    "min-version",
    "allowed-suites",
    "forbidden-suites",
    "allowed-offered-suites",
    "forbidden-offered-suites",
    "allowed-groups",
    "forbidden-groups",
    "allowed-offered-groups",
    "forbidden-offered-groups",
    "allowed-offered-signature-schemes",
    "forbidden-offered-signature-schemes",
    "allowed-keys",
    "forbidden-keys",
    "allowed-certificate-signatures",
    "forbidden-certificate-signatures",
    "min-rsa-bits",
    "min-days-valid",
    "max-lifetime-days",
    "forbidden-findings",
    "client-certificate",
    "require-server-name",
    "require-alpn",
    "allowed-alpn",
    "max-failures",
    "max-failures-of",
    "max-unknown",
    "max-latency",
    "min-handshakes",
    "max-handshakes",
    "expect-failure",
    "no-gaps",
    "no-truncation",
    "no-drops",
    "complete-input",
];

/// The assertions of one key: none where it is `false`; `None` if the key is not known.
pub(super) fn read(entry: &Entry<'_>) -> Result<Option<Vec<Assertion>>> {
    use Assertion as A;
    let one = |assertion| Ok(Some(vec![assertion]));
    let if_true = |assertion| {
        Ok(Some(if entry.boolean()? {
            vec![assertion]
        } else {
            vec![]
        }))
    };
    if let Some(assertion) = listed(entry)? {
        return one(assertion);
    }
    match entry.key {
        "min-version" => one(A::MinVersion(entry.word(VERSIONS)?)),
        "min-rsa-bits" => {
            let bits = entry.whole(65_536, "a number of bits up to 65536")?;
            one(A::MinRsaBits(bits as u32))
        }
        "min-days-valid" => one(A::MinDaysValid(entry.number("a number of days")?)),
        "max-lifetime-days" => one(A::MaxLifetimeDays(entry.number("a number of days")?)),
        "forbidden-findings" => one(A::ForbiddenFindings(error_types(entry, true)?)),
        "client-certificate" => one(A::ClientCertificate(entry.word(PRESENCES)?)),
        "require-server-name" => if_true(A::RequireServerName),
        "require-alpn" => if_true(A::RequireAlpn),
        "allowed-alpn" => one(A::AllowedAlpn(texts(entry, "a protocol as in `h2`")?)),
        "max-failures" => one(A::MaxFailures {
            limit: limit(entry)?,
            error_type: None,
        }),
        "max-failures-of" => failures_of(entry).map(Some),
        "max-unknown" => one(A::MaxUnknown(limit(entry)?)),
        "max-latency" => latencies(entry).map(Some),
        "min-handshakes" => one(A::MinHandshakes(entry.whole(u64::MAX, "a number")?)),
        "max-handshakes" => one(A::MaxHandshakes(entry.whole(u64::MAX, "a number")?)),
        "expect-failure" => one(expected(entry)?),
        "no-gaps" => if_true(A::NoGaps),
        "no-truncation" => if_true(A::NoTruncation),
        "no-drops" => if_true(A::NoDrops),
        "complete-input" => if_true(A::CompleteInput),
        _ => Ok(None),
    }
}

const VERSIONS: &[(&str, ProtocolVersion)] = &[
    ("SSL 3.0", ProtocolVersion::SSLv3),
    ("TLS 1.0", ProtocolVersion::TLSv1_0),
    ("TLS 1.1", ProtocolVersion::TLSv1_1),
    ("TLS 1.2", ProtocolVersion::TLSv1_2),
    ("TLS 1.3", ProtocolVersion::TLSv1_3),
];
const PRESENCES: &[(&str, Presence)] = &[
    ("required", Presence::Required),
    ("forbidden", Presence::Forbidden),
];
const PHASES: &[(&str, Phase)] = &[
    ("tcp_connect", Phase::TcpConnect),
    ("server_hello", Phase::ServerHello),
    ("handshake", Phase::Handshake),
    ("first_application_data", Phase::FirstApplicationData),
];
const SIDES: &[(&str, Side)] = &[("client", Side::Client), ("server", Side::Server)];

/// `allowed-…` and `forbidden-…`, but for those that have words of their own.
fn listed(entry: &Entry<'_>) -> Result<Option<Assertion>> {
    let (list, what) = if let Some(what) = entry.key.strip_prefix("allowed-") {
        (List::Allowed, what)
    } else if let Some(what) = entry.key.strip_prefix("forbidden-") {
        (List::Forbidden, what)
    } else {
        return Ok(None);
    };
    let codes = |subject, registry| {
        let codes = codes(entry, registry)?;
        Ok(Some(Assertion::Codes {
            subject,
            list,
            codes,
        }))
    };
    let leaf = |field| {
        let patterns = texts(entry, "a pattern as in `ECDSA *`")?;
        Ok(Some(Assertion::Leaf {
            field,
            list,
            patterns: Patterns::new(patterns),
        }))
    };
    match what {
        "suites" => codes(Subject::Suite, Registry::CipherSuites),
        "offered-suites" => codes(Subject::OfferedSuites, Registry::CipherSuites),
        "groups" => codes(Subject::Group, Registry::Groups),
        "offered-groups" => codes(Subject::OfferedGroups, Registry::Groups),
        "offered-signature-schemes" => {
            codes(Subject::OfferedSignatureSchemes, Registry::SignatureSchemes)
        }
        "keys" => leaf(LeafField::Key),
        "certificate-signatures" => leaf(LeafField::SignatureAlgorithm),
        _ => Ok(None),
    }
}

fn codes(entry: &Entry<'_>, registry: Registry) -> Result<Codes> {
    let written = entry.strings("a name, a pattern as in `*_GCM_*`, or a number as in `0x1301`")?;
    let (patterns, places): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    Codes::resolve(&patterns, registry).map_err(|(index, meant)| {
        let pattern = patterns.get(index).map_or("", String::as_str);
        let message = format!("`{pattern}` names nothing that `{}` could be", entry.key);
        let at = places.get(index).cloned().unwrap_or_default();
        entry.error(message, at).suggesting(meant)
    })
}

fn texts(entry: &Entry<'_>, what: &str) -> Result<Vec<String>> {
    let written = entry.strings(what)?;
    Ok(written.into_iter().map(|(text, _)| text).collect())
}

/// A number, or a share as in `"0.5 %"`.
fn limit(entry: &Entry<'_>) -> Result<Limit> {
    let what = "a number, or a share as in `\"0.5 %\"`";
    let Some(text) = entry.string() else {
        return entry.whole(u64::MAX, what).map(Limit::Count);
    };
    let percent = text.strip_suffix('%').map(str::trim);
    percent
        .and_then(|percent| percent.parse().ok())
        .filter(|percent| (0.0..=100.0).contains(percent))
        .map(Limit::Percent)
        .ok_or_else(|| entry.takes(what))
}

fn error_words() -> Vec<(&'static str, ErrorType)> {
    let word = |error_type: &ErrorType| (error_type.as_str(), *error_type);
    ErrorType::ALL.iter().map(word).collect()
}

/// Names of error classes; `*` for all of them where `takes_all`.
fn error_types(entry: &Entry<'_>, takes_all: bool) -> Result<Vec<ErrorType>> {
    let mut types = Vec::new();
    for (text, at) in entry.strings("an error type as in `unknown_ca`")? {
        if text == "*" && takes_all {
            return Ok(ErrorType::ALL.to_vec());
        }
        types.push(entry.word_of(&text, at, &error_words())?);
    }
    Ok(types)
}

fn failures_of(entry: &Entry<'_>) -> Result<Vec<Assertion>> {
    let what = "a table, as in `{ unknown_ca = 0, connection_reset = \"1 %\" }`";
    let table = entry.table().ok_or_else(|| entry.takes(what))?;
    let one = |class: Entry<'_>| {
        let words = error_words();
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let found = words.iter().find(|(word, _)| *word == class.key);
        let (_, error_type) = found.ok_or_else(|| class.unknown_key(&known))?;
        Ok(Assertion::MaxFailures {
            limit: limit(&class)?,
            error_type: Some(*error_type),
        })
    };
    table.into_iter().map(one).collect()
}

fn latencies(entry: &Entry<'_>) -> Result<Vec<Assertion>> {
    let what = "a table, as in `{ phase = \"handshake\", percentile = 99, ms = 250 }`";
    let tables = entry.tables().ok_or_else(|| entry.takes(what))?;
    let one = |(_, table): (_, Vec<Entry<'_>>)| {
        let (mut phase, mut percentile, mut limit) = (None, 100.0, None);
        for part in table {
            match part.key {
                "phase" => phase = Some(part.word(PHASES)?),
                "percentile" => {
                    let number = part.number("a number above 0, at most 100")?;
                    if number == 0.0 || number > 100.0 {
                        return Err(part.takes("a number above 0, at most 100"));
                    }
                    percentile = number;
                }
                "ms" => {
                    let what = "a number of milliseconds";
                    let time = Duration::try_from_secs_f64(part.number(what)? / 1e3);
                    limit = Some(time.map_err(|_| part.takes(what))?);
                }
                _ => return Err(part.unknown_key(&["phase", "percentile", "ms"])),
            }
        }
        let (Some(phase), Some(limit)) = (phase, limit) else {
            return Err(entry.takes(what));
        };
        Ok(Assertion::MaxLatency {
            phase,
            percentile,
            limit,
        })
    };
    tables.into_iter().map(one).collect()
}

/// An error type, several, or a table with the side as well.
fn expected(entry: &Entry<'_>) -> Result<Assertion> {
    let (mut types, mut side) = (Vec::new(), None);
    match entry.table() {
        None => types = error_types(entry, false)?,
        Some(table) => {
            for part in table {
                match part.key {
                    "type" => types = error_types(&part, false)?,
                    "side" => side = Some(part.word(SIDES)?),
                    _ => return Err(part.unknown_key(&["type", "side"])),
                }
            }
        }
    }
    Ok(Assertion::ExpectFailure {
        error_types: types,
        side,
    })
}
