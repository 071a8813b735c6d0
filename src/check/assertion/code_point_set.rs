//! Sets of code points, written as names, patterns and numbers.

use std::collections::BTreeSet;

use super::openssl_names;
use crate::check::policy_entry::{PolicyEntry, Result};
use crate::pattern::{Glob, nearest};
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
                let found = registry.find(pattern).map_err(|meant| {
                    let message =
                        format!("`{pattern}` names nothing that `{}` could be", entry.key);
                    let error = entry.error(message, at.clone());
                    if registry == Registry::CipherSuites && openssl_names::is_keyword(pattern) {
                        let hint =
                            format!("name the suites: `openssl ciphers '{text}'` lists them");
                        return error.with_hint(hint);
                    }
                    error.suggesting(meant)
                })?;
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

/// Where names of code points are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registry {
    CipherSuites,
    Groups,
    SignatureSchemes,
}

impl Registry {
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
    /// OpenSSL's names count where no registered one matches, so they change no pattern's meaning.
    ///
    /// # Errors
    ///
    /// When there are none: the name that was probably meant.
    fn find(self, pattern: &str) -> std::result::Result<Vec<u16>, Option<&'static str>> {
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
        if found.is_empty() {
            let mut known: Vec<_> = self.all().map(|(_, name)| name).collect();
            if self == Self::CipherSuites {
                known.extend(openssl_names::names());
            }
            return Err(nearest(pattern, &known));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: Registry = Registry::CipherSuites;

    #[test]
    fn names_patterns_and_numbers_stand_for_code_points() {
        assert_eq!(SUITES.find("TLS_AES_128_GCM_SHA256"), Ok(vec![0x1301]));
        assert_eq!(SUITES.find("0xc02f"), Ok(vec![0xc02f]));
        let rc4 = SUITES.find("*_RC4_*").unwrap();
        assert!(rc4.contains(&0x0004) && !rc4.contains(&0x1302));
    }

    #[test]
    fn openssl_names_stand_for_suites_and_change_no_pattern() {
        assert_eq!(SUITES.find("ECDHE-RSA-AES128-GCM-SHA256"), Ok(vec![0xc02f]));
        assert_eq!(SUITES.find("ecdhe-rsa-chacha20-poly1305"), Ok(vec![0xcca8]));
        assert_eq!(SUITES.find("EDH-RSA-DES-CBC3-SHA"), Ok(vec![0x0016]));
        let gcm = SUITES.find("ECDHE-RSA-*-GCM-*").unwrap();
        assert_eq!(gcm, [0xc02f, 0xc030]);
        let meant = SUITES.find("ECDHE-RSA-AES128-GCM-SHA265").unwrap_err();
        assert_eq!(meant, Some("ECDHE-RSA-AES128-GCM-SHA256"));
        assert_eq!(Registry::Groups.find("prime256v1"), Ok(vec![23]));
        assert_eq!(Registry::Groups.find("p-384"), Ok(vec![24]));
    }

    #[test]
    fn a_pattern_without_a_code_point_is_refused_with_a_suggestion() {
        let meant = SUITES.find("TLS_AES_128_GCM_SHA265").unwrap_err();
        assert_eq!(meant, Some("TLS_AES_128_GCM_SHA256"));
        assert!(SUITES.find("*_ROT13_*").is_err());
        assert!(SUITES.find("0x13011").is_err());
    }
}
