//! Findings: what is wrong with a chain, and here the findings on dates and names.

use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;
use std::time::Duration;

use super::chain::placed;
use super::flaws::path_up;
use super::{Certificate, CertificateFacts, CertificateTime, hostname};
use crate::error_type::ErrorType;
use crate::flow::Side;
use crate::time::Timestamp;

const DAY: i64 = 86_400;

/// Something wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The fault.
    pub error_type: ErrorType,
    /// The side that showed the certificate.
    pub side: Side,
    /// One clause for people.
    pub detail: Clause,
    /// The certificate.
    pub certificate: Arc<Certificate>,
}

/// Something unusual about a chain that is no reason to refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNote {
    /// What is unusual.
    pub kind: NoteKind,
    /// The side that showed the certificate.
    pub side: Side,
    /// One clause for people.
    pub detail: Clause,
    /// The certificate.
    pub certificate: Arc<Certificate>,
}

/// One clause for people, which [`Display`] puts into words: most outputs do not show it, and it is copied without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause(Words);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Fixed(&'static str),
    Text(Arc<str>),
    /// What is wrong with the dates of a certificate, and which one it is unless it is the leaf.
    Dates(DateFlaw, Option<Place>),
}

/// The position of a certificate in its chain. Its issuer is named as well: a cross-signature has the subject of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    number: usize,
    of: usize,
    certificate: Arc<Certificate>,
}

impl From<&'static str> for Clause {
    fn from(text: &'static str) -> Self {
        Self(Words::Fixed(text))
    }
}

impl From<String> for Clause {
    fn from(text: String) -> Self {
        Self(Words::Text(text.into()))
    }
}

impl Display for Clause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Words::Fixed(text) => f.write_str(text),
            Words::Text(text) => f.write_str(text),
            Words::Dates(flaw, place) => {
                if let Some(place) = place {
                    place.fmt(f)?;
                }
                flaw.fmt(f)
            }
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let issuer = self.certificate.facts.as_ref();
        let issuer = issuer.map_or("", |facts| facts.issuer.as_str());
        write!(
            f,
            "certificate {} of {}, by {issuer}, ",
            self.number, self.of
        )
    }
}

text_enum! {
    /// What can be unusual about a chain.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum NoteKind {
        /// A certificate comes after its issuer; up to TLS 1.2 it must come first (RFC 5246 §7.4.2).
        WrongOrder = "wrong_order",
        /// A certificate occurs twice.
        DuplicateCertificate = "duplicate_certificate",
        /// A certificate issued none of the others; or it is a root, which need not be sent: the peer has it or does not trust it.
        SuperfluousCertificate = "superfluous_certificate",
        /// A certificate of a public authority is valid for longer than browsers accept.
        LongValidity = "long_validity",
        /// Certificates name themselves as their issuer, and that was not checked: there are too many for one handshake.
        UncheckedSignature = "unchecked_signature",
        /// Client and server show the same certificate.
        SameAtBothEnds = "same_at_both_ends",
        /// Clients at several addresses show one certificate, so each of them has its key.
        ManyClients = "many_clients",
        /// The issuer gave its serial number to another certificate as well (RFC 5280 §4.1.2.2 forbids it).
        ReusedSerial = "reused_serial",
        /// The issuer has the name that a tool suggests, so the name identifies nobody.
        DefaultIssuer = "default_issuer",
        /// A client certificate that expired at least 30 days ago, and that the server accepts.
        LongExpired = "long_expired",
    }
}

impl NoteKind {
    /// Whether it is about how certificates are issued and used, not about the order and length of chains.
    #[must_use]
    pub const fn is_about_use(self) -> bool {
        matches!(
            self,
            Self::SameAtBothEnds
                | Self::ManyClients
                | Self::ReusedSerial
                | Self::DefaultIssuer
                | Self::LongExpired
        )
    }
}

/// When a certificate counts as near its expiry: if both conditions are met.
///
/// The share is for certificates with a lifetime of days or weeks: by days alone
/// they would always be near their expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearExpiry {
    /// It expires within this time; zero turns the finding off.
    pub within: Duration,
    /// At most this share of its lifetime is left, in percent.
    pub percent: u8,
}

impl NearExpiry {
    /// How many seconds before its end a certificate is near its expiry.
    fn seconds(self, facts: &CertificateFacts) -> i64 {
        let within = i64::try_from(self.within.as_secs()).unwrap_or(i64::MAX);
        let lifetime = facts.not_after.seconds_since(facts.not_before).max(0);
        let share = i128::from(lifetime) * i128::from(self.percent) / 100;
        within.min(i64::try_from(share).unwrap_or(i64::MAX))
    }
}

/// Findings on dates and names, at the moment `at`, for the chain that `side` showed, leaf first.
///
/// - [`ErrorType::CertExpired`], [`ErrorType::CertNotYetValid`] and
///   [`ErrorType::NearExpiry`] for the leaf and its issuers, by name. Nobody looks at others. Both ends of validity are
///   inclusive, in whole seconds (RFC 5280 §4.1.2.5).
/// - [`ErrorType::HostnameMismatch`] for a server's leaf that is not valid for
///   `server_name`, if that is known.
/// - [`ErrorType::SelfSigned`] for a leaf, see [`CertificateFacts::self_signed`].
///
/// A certificate that does not parse has no findings, and a repeated one has them
/// once. Nothing is allocated unless something is wrong.
#[must_use]
pub fn findings(
    chain: &[Arc<Certificate>],
    side: Side,
    server_name: Option<&str>,
    at: Timestamp,
    near_expiry: NearExpiry,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut path = None; // most chains need none
    for (index, certificate) in placed(chain) {
        let Ok(facts) = &certificate.facts else {
            continue;
        };
        let mut add = |error_type, detail| {
            findings.push(Finding {
                error_type,
                side,
                detail,
                certificate: Arc::clone(certificate),
            });
        };
        if let Some(flaw) = DateFlaw::find(facts, at, near_expiry)
            && (index == 0 || has_issued(chain, path.get_or_insert_with(|| path_up(chain)), facts))
        {
            let place = (index > 0).then(|| Place {
                number: index + 1,
                of: chain.len(),
                certificate: Arc::clone(certificate),
            });
            add(flaw.error_type(), Clause(Words::Dates(flaw, place)));
        }
        if index > 0 {
            continue;
        }
        if let Some(name) = server_name.filter(|_| side == Side::Server)
            && let Some(detail) = name_mismatch(certificate, facts, name)
        {
            add(ErrorType::HostnameMismatch, detail.into());
        }
        if facts.self_signed {
            add(ErrorType::SelfSigned, "signed by its own key".into());
        }
    }
    findings
}

/// Whether a certificate has the name of an issuer on the path from the leaf upwards.
fn has_issued(chain: &[Arc<Certificate>], path: &[usize], facts: &CertificateFacts) -> bool {
    let mut issued = path.iter().filter_map(|index| chain.get(*index));
    issued.any(|certificate| {
        let issued = certificate.facts.as_ref();
        issued.is_ok_and(|issued| issued.issuer == facts.subject)
    })
}

/// That a server's certificate is not valid for `server_name`, and for which names it is; `None` if it is valid.
///
/// A certificate whose only alternative names are URIs identifies a workload (SPIFFE): its peers compare the URI, and no
/// name of a host, so it cannot mismatch one.
pub(crate) fn name_mismatch(
    certificate: &Certificate,
    facts: &CertificateFacts,
    server_name: &str,
) -> Option<String> {
    let has_hosts = !facts.dns_names.is_empty() || !facts.ip_addresses.is_empty();
    let is_mismatch = !hostname::is_valid_for(certificate, facts, server_name)
        && (has_hosts || facts.uris.is_empty());
    is_mismatch.then(|| mismatch(facts, server_name))
}

/// What is wrong with the dates of a certificate; times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DateFlaw {
    Expired { ago: i64 },
    NotYetValid { from: CertificateTime, early: i64 },
    NearExpiry { left: i64 },
}

impl DateFlaw {
    fn find(facts: &CertificateFacts, at: Timestamp, near_expiry: NearExpiry) -> Option<Self> {
        let at = CertificateTime::from(at);
        let near_expiry = near_expiry.seconds(facts);
        let left = facts.not_after.seconds_since(at);
        let early = facts.not_before.seconds_since(at);
        if left < 0 {
            Some(Self::Expired { ago: -left })
        } else if early > 0 {
            let from = facts.not_before;
            Some(Self::NotYetValid { from, early })
        } else if left <= near_expiry && near_expiry > 0 {
            Some(Self::NearExpiry { left })
        } else {
            None
        }
    }

    const fn error_type(self) -> ErrorType {
        match self {
            Self::Expired { .. } => ErrorType::CertExpired,
            Self::NotYetValid { .. } => ErrorType::CertNotYetValid,
            Self::NearExpiry { .. } => ErrorType::NearExpiry,
        }
    }
}

impl Display for DateFlaw {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Expired { ago } => {
                f.write_str("expired ")?;
                write_span(f, ago)?;
                f.write_str(" before this handshake")
            }
            Self::NotYetValid { from, early } => {
                write!(f, "not valid until {from}, ")?;
                write_span(f, early)?;
                f.write_str(" after this handshake")
            }
            Self::NearExpiry { left } => {
                f.write_str("expires ")?;
                write_span(f, left)?;
                f.write_str(" after this handshake")
            }
        }
    }
}

/// Writes a duration for people: `3.2 days`, or a smaller unit below a day. Without the machinery of formats, since it is
/// written in every handshake of a server whose certificate expires soon.
fn write_span(text: &mut impl Write, seconds: i64) -> fmt::Result {
    let (unit, name) = match seconds {
        DAY.. => (DAY, " days"),
        3_600.. => (3_600, " hours"),
        60.. => (60, " minutes"),
        _ => {
            write_number(text, seconds)?;
            return text.write_str(" s");
        }
    };
    let seconds = seconds.min(i64::MAX / 20);
    let (tenths, rest) = (seconds * 10 / unit, seconds * 10 % unit);
    if rest * 2 == unit {
        // Between two tenths: as it is as a binary fraction.
        return write!(text, "{:.1}{name}", seconds as f64 / unit as f64);
    }
    let tenths = tenths + i64::from(rest * 2 > unit);
    write_number(text, tenths / 10)?;
    text.write_char('.')?;
    write_number(text, tenths % 10)?;
    text.write_str(name)
}

/// Writes a number that is not negative.
fn write_number(text: &mut impl Write, number: i64) -> fmt::Result {
    if number >= 10 {
        write_number(text, number / 10)?;
    }
    text.write_char(char::from(b'0' + (number % 10) as u8))
}

fn mismatch(facts: &CertificateFacts, server_name: &str) -> String {
    const SHOWN: usize = 3; // keeps the clause short; the event lists all names
    let addresses = facts.ip_addresses.iter().map(ToString::to_string);
    let mut names = facts.dns_names.iter().cloned().chain(addresses);
    let mut shown: Vec<String> = names
        .by_ref()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if shown.is_empty() {
        return format!(
            "not valid for `{server_name}`: it has no alternative name, and a common name alone does not count"
        );
    }
    let more = names.count() + facts.names_omitted;
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    format!(
        "not valid for `{server_name}`, only for {}",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::support::{
        Template, common_name, dns_names, element, extension, ip_addresses, rsa_key,
    };
    use super::*;

    const MONTH: NearExpiry = NearExpiry {
        within: Duration::from_secs(30 * 86_400),
        percent: 33,
    };
    const START: i64 = 1_767_225_600; // 2026-01-01, when the template becomes valid
    const END: i64 = 1_798_761_600; // 2027-01-01

    fn chain(templates: &[Template]) -> Vec<Arc<Certificate>> {
        templates
            .iter()
            .map(|template| Arc::new(template.certificate()))
            .collect()
    }

    fn valid_for(extension: Vec<u8>) -> Vec<Arc<Certificate>> {
        chain(&[Template {
            extensions: vec![extension],
            ..Template::default()
        }])
    }

    /// Each finding as `type: detail`.
    fn texts(chain: &[Arc<Certificate>], server_name: Option<&str>, at: i64) -> Vec<String> {
        let at = Timestamp::from_seconds(at);
        let findings = findings(chain, Side::Server, server_name, at, MONTH);
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding.error_type, finding.detail))
            .collect()
    }

    #[test]
    fn the_dates_of_a_certificate_that_issued_none_of_the_others_do_not_count() {
        let named = |subject: &str, issuer: &str| Template {
            subject: common_name(subject),
            issuer: common_name(issuer),
            ..Template::default()
        };
        let expired = |templates: &[Template]| texts(&chain(templates), None, END + 1).len();
        let leaf = || named("leaf", "intermediate");
        assert_eq!(expired(&[leaf(), named("intermediate", "root")]), 2);
        assert_eq!(expired(&[leaf(), named("other", "root")]), 1);
    }

    #[test]
    fn both_ends_of_validity_are_inclusive() {
        let chain = chain(&[Template::default()]);
        let none: [&str; 0] = [];
        assert_eq!(texts(&chain, None, START), none);
        assert_eq!(
            texts(&chain, None, START - 1),
            ["cert_not_yet_valid: not valid until 2026-01-01T00:00:00Z, 1 s after this handshake"]
        );
        assert_eq!(
            texts(&chain, None, END),
            ["near_expiry: expires 0 s after this handshake"]
        );
        assert_eq!(
            texts(&chain, None, END + 1),
            ["cert_expired: expired 1 s before this handshake"]
        );
        let late_in_the_second = Timestamp::from_nanoseconds(END * 1_000_000_000 + 999_999_999);
        let findings = findings(
            &chain,
            Side::Client,
            None,
            late_in_the_second,
            NearExpiry {
                within: Duration::ZERO,
                ..MONTH
            },
        );
        assert_eq!(findings, []);
    }

    #[test]
    fn durations_have_a_unit_that_fits() {
        let chain = chain(&[Template::default()]);
        assert_eq!(
            texts(&chain, None, END + 276_480),
            ["cert_expired: expired 3.2 days before this handshake"]
        );
        assert_eq!(
            texts(&chain, None, END - 5_400),
            ["near_expiry: expires 1.5 hours after this handshake"]
        );
        assert_eq!(
            texts(&chain, None, END - 90),
            ["near_expiry: expires 1.5 minutes after this handshake"]
        );
    }

    #[test]
    fn near_expiry_begins_at_the_configured_time() {
        let chain = chain(&[Template::default()]);
        let month = 30 * DAY;
        assert_eq!(texts(&chain, None, END - month).len(), 1);
        assert_eq!(texts(&chain, None, END - month - 1).len(), 0);
    }

    #[test]
    fn a_short_lived_certificate_is_near_expiry_for_a_share_of_its_lifetime() {
        let chain = chain(&[Template {
            not_before: "20261226000000Z", // six days
            ..Template::default()
        }]);
        let share = 6 * DAY * 33 / 100;
        assert_eq!(texts(&chain, None, END - share).len(), 1);
        assert_eq!(texts(&chain, None, END - share - 1).len(), 0);
    }

    #[test]
    fn a_finding_on_an_issuer_says_its_position() {
        let ca = Template {
            subject: common_name("ca"),
            not_after: "20260201000000Z",
            ..Template::default()
        };
        let chain = chain(&[Template::default(), ca]);
        let at = Timestamp::from_seconds(START + 41 * DAY);
        let findings = findings(&chain, Side::Client, None, at, MONTH);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].detail.to_string(),
            "certificate 2 of 2, by CN=ca, expired 10.0 days before this handshake"
        );
        assert_eq!(
            (findings[0].certificate.subject(), findings[0].side),
            ("CN=ca", Side::Client)
        );
    }

    #[test]
    fn a_server_must_be_valid_for_the_requested_name() {
        let chain = valid_for(dns_names([
            "example.org",
            "*.example.org",
            "a.test",
            "b.test",
        ]));
        let none: [&str; 0] = [];
        assert_eq!(texts(&chain, Some("EXAMPLE.org."), START), none);
        assert_eq!(texts(&chain, Some("www.example.org"), START), none);
        assert_eq!(texts(&chain, None, START), none);
        assert_eq!(
            texts(&chain, Some("192.0.2.1"), START),
            [
                "hostname_mismatch: not valid for `192.0.2.1`, only for `example.org`, `*.example.org`, `a.test`, 1 more"
            ]
        );
        let client = findings(
            &chain,
            Side::Client,
            Some("c.test"),
            Timestamp::from_seconds(START),
            MONTH,
        );
        assert_eq!(client, []);
    }

    #[test]
    fn an_address_matches_addresses_only() {
        let mut v6 = [0; 16];
        v6[15] = 1;
        let chain = valid_for(ip_addresses(&[&[192, 0, 2, 1], &v6]));
        let none: [&str; 0] = [];
        assert_eq!(texts(&chain, Some("192.0.2.1"), START), none);
        assert_eq!(texts(&chain, Some("::1"), START), none);
        assert_eq!(
            texts(&chain, Some("192.0.2.2"), START),
            ["hostname_mismatch: not valid for `192.0.2.2`, only for `192.0.2.1`, `::1`"]
        );
        let chain = valid_for(dns_names(["192.0.2.1"]));
        assert_eq!(texts(&chain, Some("192.0.2.1"), START).len(), 1);
    }

    #[test]
    fn a_common_name_alone_is_not_a_match() {
        let chain = chain(&[Template {
            subject: common_name("example.org"),
            ..Template::default()
        }]);
        assert_eq!(
            texts(&chain, Some("example.org"), START),
            [
                "hostname_mismatch: not valid for `example.org`: it has no alternative name, and a common name alone does not count"
            ]
        );
    }

    #[test]
    fn a_certificate_with_only_a_uri_identifies_no_host() {
        let names = |elements: &[Vec<u8>]| {
            valid_for(extension("2.5.29.17", &element(0x30, &elements.concat())))
        };
        let uri = || element(0x86, b"spiffe://mesh/ns/default/sa/web");
        let none: [&str; 0] = [];
        assert_eq!(
            texts(&names(&[uri()]), Some("web.default.svc"), START),
            none
        );
        let with_host = names(&[uri(), element(0x82, b"other.test")]);
        assert_eq!(texts(&with_host, Some("web.default.svc"), START).len(), 1);
        let email = names(&[element(0x81, b"a@b.test")]);
        assert_eq!(texts(&email, Some("web.default.svc"), START).len(), 1);
    }

    #[test]
    fn names_beyond_the_bound_count() {
        let names: Vec<String> = (0..super::super::MAX_NAMES + 2)
            .map(|index| format!("n{index}.test"))
            .collect();
        let chain = valid_for(dns_names(names.iter().map(String::as_str)));
        let none: [&str; 0] = [];
        assert_eq!(texts(&chain, names.last().map(String::as_str), START), none);
        assert_eq!(texts(&chain, Some("other.test"), START).len(), 1);
    }

    #[test]
    fn a_leaf_signed_by_its_own_key_is_found_and_a_root_is_not() {
        let root = || Template {
            subject: common_name("ca"),
            key: rsa_key(1024), // not judged: equal names decide
            ..Template::default()
        };
        assert_eq!(
            texts(&chain(&[root()]), None, START),
            ["self_signed: signed by its own key"]
        );
        assert_eq!(
            texts(&chain(&[Template::default(), root()]), None, START).len(),
            0
        );
    }

    #[test]
    fn a_malformed_leaf_has_no_findings() {
        let chain = [Arc::new(Certificate::from_der(b"junk"))];
        assert_eq!(texts(&chain, Some("example.org"), START).len(), 0);
    }

    #[test]
    fn a_span_has_one_decimal_as_floating_point_numbers_have_it() {
        let formatted = |seconds: i64| match seconds {
            DAY.. => format!("{:.1} days", seconds as f64 / 86_400.0),
            3_600.. => format!("{:.1} hours", seconds as f64 / 3_600.0),
            60.. => format!("{:.1} minutes", seconds as f64 / 60.0),
            _ => format!("{seconds} s"),
        };
        let far = (1..2_000).map(|days| days * 43_201 + 2_160);
        for seconds in (0..200_000).chain(far) {
            let mut text = String::new();
            write_span(&mut text, seconds).unwrap();
            assert_eq!(text, formatted(seconds));
        }
    }

    #[test]
    fn extreme_moments_do_not_overflow() {
        let chain = chain(&[Template::default()]);
        for at in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(
                findings(
                    &chain,
                    Side::Server,
                    None,
                    at,
                    NearExpiry {
                        within: Duration::MAX,
                        percent: u8::MAX
                    }
                )
                .len(),
                1
            );
        }
    }
}
