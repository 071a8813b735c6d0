//! Sets of code points, written as names, patterns and numbers.

use std::collections::BTreeSet;
use std::ops::Range;

use super::openssl_names;
use crate::check::policy_entry::{PolicyEntry, PolicyError, Result, as_list};
use crate::pattern::{Glob, distance, nearest};
use crate::tls::{CipherSuite, NamedGroup, SignatureScheme};

/// Code points of one registry.
#[derive(Debug)]
pub(super) struct CodePointSet {
    codes: BTreeSet<u16>,
    written: Vec<String>,
}

impl CodePointSet {
    /// Reads one name, pattern or number, or a list of them.
    pub(super) fn read(entry: &PolicyEntry<'_>, registry: Registry) -> Result<Self> {
        let what = "a name, a pattern as in `*_GCM_*`, or a number as in `0x1301`";
        let (mut codes, mut written) = (BTreeSet::new(), Vec::new());
        for (text, at) in entry.strings(what)? {
            if text.is_empty() {
                return Err(entry.takes(&format!("{what}, or a list of them")));
            }
            // OpenSSL writes lists with colons. No registered name has one.
            for pattern in text.split(':').filter(|pattern| !pattern.is_empty()) {
                let Some(found) = registry.find(pattern) else {
                    return Err(unknown(entry, at, &text, pattern, registry));
                };
                codes.extend(found);
                written.push(pattern.to_owned());
            }
        }
        if written.is_empty() {
            return Err(entry.takes(&format!("{what}, or a list of them")));
        }
        Ok(Self { codes, written })
    }

    /// Whether `code` is one of them.
    pub(super) fn contains(&self, code: u16) -> bool {
        self.codes.contains(&code)
    }

    /// The names, patterns and numbers as written.
    pub(super) fn written(&self) -> &[String] {
        &self.written
    }
}

/// The error for a pattern in `text` that stands for no code point.
fn unknown(
    entry: &PolicyEntry<'_>,
    at: Range<usize>,
    text: &str,
    pattern: &str,
    registry: Registry,
) -> PolicyError {
    let is_not = if has_wildcards(pattern) {
        "matches no"
    } else {
        "is not a"
    };
    let (key, what) = (entry.key, registry.what());
    let message = format!("`{pattern}` in `{key}` {is_not} known {what}");
    let error = entry.error(message, at);
    if let Some(list) = as_list(&text.replace(char::is_whitespace, ",")) {
        return error.with_hint(format!("write a list: `{key} = {list}`"));
    }
    if registry == Registry::CipherSuites && openssl_names::is_keyword(pattern) {
        return error.with_hint(format!(
            "name the suites: `openssl ciphers '{text}'` lists them"
        ));
    }
    let known = registry.known();
    if let Some(meant) = nearest(pattern, &known) {
        return error.suggesting(Some(meant));
    }
    let near = match near_names(pattern, &known) {
        near if near.is_empty() => String::new(),
        near => format!("near names: `{}`; ", near.join("`, `")),
    };
    let pattern = registry.pattern();
    error.with_hint(format!(
        "{near}patterns as in `{pattern}` and numbers as in `0x1301` are valid, too"
    ))
}

fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The names most like `written`: with most words in common, and of those the nearest.
fn near_names(written: &str, known: &[&'static str]) -> Vec<&'static str> {
    /// A hint is one line.
    const SHOWN: usize = 3;
    let words = |name: &str| -> BTreeSet<String> {
        let words = name.split(|c: char| !c.is_alphanumeric());
        words.map(str::to_ascii_uppercase).collect()
    };
    let own = words(written);
    let unlikeness = |name: &&'static str| {
        let shared = words(name).intersection(&own).count();
        (std::cmp::Reverse(shared), distance(written, name), *name)
    };
    if has_wildcards(written) {
        return Vec::new(); // a pattern is not like a name
    }
    // Signalling values are no suites.
    let names = known.iter().filter(|name| !name.ends_with("_SCSV"));
    let mut near: Vec<_> = names.copied().collect();
    near.sort_by_cached_key(unlikeness);
    near.truncate(SHOWN);
    near
}

/// Where names of code points are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registry {
    CipherSuites,
    Groups,
    SignatureSchemes,
}

impl Registry {
    /// One of its code points, in errors.
    const fn what(self) -> &'static str {
        match self {
            Self::CipherSuites => "cipher suite",
            Self::Groups => "group",
            Self::SignatureSchemes => "signature scheme",
        }
    }

    /// A pattern that fits several names.
    const fn pattern(self) -> &'static str {
        match self {
            Self::CipherSuites => "*_GCM_*",
            Self::Groups => "secp*",
            Self::SignatureSchemes => "ecdsa_*",
        }
    }

    /// All names, OpenSSL's included.
    fn known(self) -> Vec<&'static str> {
        let mut known: Vec<_> = self.all().map(|(_, name)| name).collect();
        if self == Self::CipherSuites {
            known.extend(openssl_names::names());
        }
        known
    }

    fn name(self, code: u16) -> Option<&'static str> {
        match self {
            Self::CipherSuites => CipherSuite(code).name(),
            Self::Groups => NamedGroup(code).name(),
            Self::SignatureSchemes => SignatureScheme(code).name(),
        }
    }

    fn all(self) -> impl Iterator<Item = (u16, &'static str)> {
        (0..=u16::MAX).filter_map(move |code| Some((code, self.name(code)?)))
    }

    /// Other names in use, each with the registered one.
    const fn aliases(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::CipherSuites | Self::SignatureSchemes => &[],
            Self::Groups => &[
                ("P-256", "secp256r1"),
                ("P-384", "secp384r1"),
                ("P-521", "secp521r1"),
                ("prime256v1", "secp256r1"),
            ],
        }
    }

    /// The code points that `pattern` stands for: a name in which `*` and `?` are wild, or a number as in `0x1301`.
    /// OpenSSL's names count where no registered one matches, so they change no pattern's meaning. `None` if there are none.
    fn find(self, pattern: &str) -> Option<Vec<u16>> {
        let found: Vec<_> = match pattern.strip_prefix("0x") {
            Some(number) => u16::from_str_radix(number, 16).into_iter().collect(),
            None => {
                let aliases = self.aliases().iter();
                let alias = aliases.filter(|(alias, _)| alias.eq_ignore_ascii_case(pattern));
                let registered = alias.map(|(_, name)| *name).next();
                let glob = Glob::new(registered.unwrap_or(pattern));
                let named = self.all().filter(|(_, name)| glob.matches(name));
                let registered: Vec<_> = named.map(|(code, _)| code).collect();
                match self {
                    Self::CipherSuites if registered.is_empty() => {
                        openssl_names::matching(|name| glob.matches(name))
                    }
                    _ => registered,
                }
            }
        };
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: Registry = Registry::CipherSuites;

    #[test]
    fn names_patterns_and_numbers_stand_for_code_points() {
        assert_eq!(SUITES.find("TLS_AES_128_GCM_SHA256"), Some(vec![0x1301]));
        assert_eq!(SUITES.find("0xc02f"), Some(vec![0xc02f]));
        let rc4 = SUITES.find("*_RC4_*").unwrap();
        assert!(rc4.contains(&0x0004) && !rc4.contains(&0x1302));
    }

    #[test]
    fn openssl_names_stand_for_suites_and_change_no_pattern() {
        assert_eq!(
            SUITES.find("ECDHE-RSA-AES128-GCM-SHA256"),
            Some(vec![0xc02f])
        );
        assert_eq!(
            SUITES.find("ecdhe-rsa-chacha20-poly1305"),
            Some(vec![0xcca8])
        );
        assert_eq!(SUITES.find("EDH-RSA-DES-CBC3-SHA"), Some(vec![0x0016]));
        let gcm = SUITES.find("ECDHE-RSA-*-GCM-*").unwrap();
        assert_eq!(gcm, [0xc02f, 0xc030]);
        assert_eq!(SUITES.find("ECDHE-RSA-AES128-GCM-SHA265"), None);
        let meant = nearest("ECDHE-RSA-AES128-GCM-SHA265", &SUITES.known());
        assert_eq!(meant, Some("ECDHE-RSA-AES128-GCM-SHA256"));
        assert_eq!(Registry::Groups.find("prime256v1"), Some(vec![23]));
        assert_eq!(Registry::Groups.find("p-384"), Some(vec![24]));
    }

    #[test]
    fn a_pattern_without_a_code_point_is_refused() {
        assert_eq!(SUITES.find("*_ROT13_*"), None);
        assert_eq!(SUITES.find("0x13011"), None);
    }

    #[test]
    fn near_names_share_words_first() {
        let near = near_names("TLS_ECDHE_KYBER_AES_256_GCM", &SUITES.known());
        assert_eq!(near.len(), 3);
        for name in &near {
            let words = ["TLS", "ECDHE", "AES", "256", "GCM"];
            assert!(words.iter().all(|word| name.contains(word)), "{near:?}");
        }
        assert_eq!(near_names("*_ROT13_*", &SUITES.known()), [""; 0]);
    }
}
