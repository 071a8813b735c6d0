//! The server's own certificate: its key, its signature and its lifetime.

use super::Compliance::{self, Satisfied, Violated};
use super::allow_list::ListKind::{self, Allowed, Forbidden};
use super::in_view::leaf;
use super::{Assertion, Assertions, InScope, PolicyKey, one};
use crate::certificate::{CertificateFacts, PublicKey, SignatureAlgorithm};
use crate::check::policy_entry::{PolicyEntry, Result};
use crate::pattern::{Glob, nearest};

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "allowed-keys",
        example: r#"["RSA *", "ECDSA P-256"]"#,
        doc: "the key of the server's certificate is of one of these types",
        read: |entry| read(entry, LeafField::Key, Allowed),
    },
    PolicyKey {
        name: "forbidden-keys",
        example: r#""RSA 1024""#,
        doc: "the key of the server's certificate is of none of these types",
        read: |entry| read(entry, LeafField::Key, Forbidden),
    },
    PolicyKey {
        name: "allowed-certificate-signatures",
        example: r#"["sha256WithRSAEncryption", "ecdsa-with-*"]"#,
        doc: "the server's certificate is signed with one of these algorithms",
        read: |entry| read(entry, LeafField::SignatureAlgorithm, Allowed),
    },
    PolicyKey {
        name: "forbidden-certificate-signatures",
        example: r#"["md5*", "sha1*"]"#,
        doc: "the server's certificate is signed with none of these algorithms",
        read: |entry| read(entry, LeafField::SignatureAlgorithm, Forbidden),
    },
    PolicyKey {
        name: "max-lifetime-days",
        example: "398",
        doc: "the server's certificate is valid for at most this many days, from its first day to its last",
        read: |entry| one(MaxLifetimeDays(entry.number("a number of days")?)),
    },
];

fn read(entry: &PolicyEntry<'_>, field: LeafField, list: ListKind) -> Result<Assertions> {
    let known = field.known();
    let mut written = Vec::new();
    for (pattern, at) in entry.strings("a pattern as in `ECDSA *`")? {
        if !may_match(&pattern, &known) {
            let (key, what) = (entry.key, field.what());
            let message = format!("`{pattern}` in `{key}` is not a known {what}");
            let meant = meant(&pattern, &known);
            return Err(entry.error(message, at).suggesting(meant.as_deref()));
        }
        written.push(pattern);
    }
    let patterns = written.iter().map(|pattern| Glob::new(pattern)).collect();
    one(LeafPatterns {
        field,
        list,
        patterns,
        written,
    })
}

/// Whether a pattern matches a known value, or a value that need not be known: a key of another size, or an object
/// identifier.
fn may_match(pattern: &str, known: &[String]) -> bool {
    let glob = Glob::new(pattern);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_identifier = pattern.contains('.') && pattern.split('.').all(is_number);
    let is_sized = pattern.rsplit_once(' ').is_some_and(|(algorithm, bits)| {
        is_number(bits)
            && known
                .iter()
                .any(|name| *name == format!("{algorithm} 2048"))
    });
    is_identifier || is_sized || known.iter().any(|name| glob.matches(name))
}

/// What a pattern that matches nothing may have meant: the beginning of names, a part of them, or a name with a slip.
fn meant(pattern: &str, known: &[String]) -> Option<String> {
    let wider = [
        format!("{pattern} *"),
        format!("{pattern}*"),
        format!("*{pattern}*"),
    ];
    let matches = |wider: &String| known.iter().any(|name| Glob::new(wider).matches(name));
    wider.into_iter().find(matches).or_else(|| {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        nearest(pattern, &known).map(str::to_owned)
    })
}

/// A field of the certificate whose values no registry lists.
#[derive(Clone, Copy, Debug)]
enum LeafField {
    /// Algorithm and size of the key, as in `RSA 2048`.
    Key,
    /// The algorithm that the certificate is signed with, as in `sha256WithRSAEncryption`.
    SignatureAlgorithm,
}

impl LeafField {
    fn of(self, facts: &CertificateFacts) -> String {
        match self {
            Self::Key => facts.key.to_string(),
            Self::SignatureAlgorithm => facts.signature_algorithm.to_string(),
        }
    }

    fn known(self) -> Vec<String> {
        match self {
            Self::Key => PublicKey::usual_texts(),
            Self::SignatureAlgorithm => SignatureAlgorithm::names(),
        }
    }

    /// One of the values, in errors.
    const fn what(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::SignatureAlgorithm => "signature algorithm",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::SignatureAlgorithm => "signature",
        }
    }
}

#[derive(Debug)]
struct LeafPatterns {
    field: LeafField,
    list: ListKind,
    patterns: Vec<Glob>,
    written: Vec<String>,
}

impl Assertion for LeafPatterns {
    fn requirement(&self) -> String {
        let what = format!("certificate {}", self.field.label());
        self.list.requirement(&what, &self.written)
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        leaf(event, |facts| {
            let value = self.field.of(facts);
            let is_listed = self.patterns.iter().any(|pattern| pattern.matches(&value));
            if self.list.allows(is_listed) {
                return Satisfied;
            }
            let (what, subject) = (self.field.label(), facts.identity());
            Violated(format!("the {what} of `{subject}` is {value}"))
        })
    }
}

#[derive(Debug)]
struct MaxLifetimeDays(f64);

impl Assertion for MaxLifetimeDays {
    fn requirement(&self) -> String {
        format!("certificates valid for at most {} days in all", self.0)
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        leaf(event, |facts| {
            let seconds = facts.lifetime() as f64;
            if seconds <= self.0 * SECONDS_PER_DAY {
                return Satisfied;
            }
            let (subject, days) = (facts.identity(), seconds / SECONDS_PER_DAY);
            Violated(format!("`{subject}` is valid for {days:.1} days in all"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_violated};
    use super::*;
    use crate::sink::test_events::refused_by_the_client;

    #[test]
    fn the_leaf_is_evaluated_by_key_and_signature() {
        let event = refused_by_the_client(); // RSA 2048, sha256WithRSAEncryption
        assert_eq!(compliance("allowed-keys = 'RSA 2048'", &event), Satisfied);
        assert!(is_violated("allowed-keys = 'ECDSA *'", &event));
        assert!(is_violated("forbidden-keys = 'RSA *'", &event));
        let signature = compliance("forbidden-certificate-signatures = 'sha1*'", &event);
        assert_eq!(signature, Satisfied);
    }

    #[test]
    fn patterns_ignore_case_and_fit_whole_values() {
        let event = refused_by_the_client(); // RSA 2048
        let listed = compliance("allowed-keys = ['ECDSA P-256', 'rsa *']", &event);
        assert_eq!(listed, Satisfied);
        assert!(is_violated(
            "allowed-keys = ['ECDSA P-256', 'rsa 3072']",
            &event
        ));
    }

    #[test]
    fn a_lifetime_counts_its_last_second() {
        let event = refused_by_the_client(); // 73 days and one second
        assert_eq!(compliance("max-lifetime-days = 74", &event), Satisfied);
        assert!(is_violated("max-lifetime-days = 73", &event));
    }
}
