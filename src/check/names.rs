//! Lists of what is allowed or forbidden, as names and patterns in the policy.

use std::collections::BTreeSet;

use crate::pattern::{Glob, nearest};
use crate::tls::{CipherSuite, NamedGroup, SignatureScheme};

/// Code points of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    codes: BTreeSet<u16>,
    written: Vec<String>,
}

impl Codes {
    /// The code points that `patterns` name: a name with `*` and `?` for what may be anything, or a number as in `0x1301`.
    ///
    /// # Errors
    ///
    /// The index of the first pattern that names nothing, and the name that was probably meant.
    pub(super) fn resolve(
        patterns: &[String],
        registry: Registry,
    ) -> Result<Self, (usize, Option<&'static str>)> {
        let mut codes = BTreeSet::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let found = registry.find(pattern);
            if found.is_empty() {
                let known: Vec<_> = registry.all().map(|(_, name)| name).collect();
                return Err((index, nearest(pattern, &known)));
            }
            codes.extend(found);
        }
        let written = patterns.to_vec();
        Ok(Self { codes, written })
    }

    /// Whether `code` is among them.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.codes.contains(&code)
    }

    /// The names and patterns as written.
    #[must_use]
    pub fn written(&self) -> &[String] {
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

    fn find(self, pattern: &str) -> Vec<u16> {
        if let Some(number) = pattern.strip_prefix("0x") {
            return u16::from_str_radix(number, 16).into_iter().collect();
        }
        let glob = Glob::new(pattern);
        let found = self.all().filter(|(_, name)| glob.matches(name));
        found.map(|(code, _)| code).collect()
    }
}

/// Patterns for values that no registry lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    globs: Vec<Glob>,
    written: Vec<String>,
}

impl Patterns {
    /// Takes any text as a pattern.
    pub(super) fn new(written: Vec<String>) -> Self {
        let globs = written.iter().map(|pattern| Glob::new(pattern)).collect();
        Self { globs, written }
    }

    /// Whether one of them fits.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.globs.iter().any(|glob| glob.matches(value))
    }

    /// The patterns as written.
    #[must_use]
    pub fn written(&self) -> &[String] {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(patterns: &[&str]) -> Result<Codes, (usize, Option<&'static str>)> {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.into()).collect();
        Codes::resolve(&patterns, Registry::CipherSuites)
    }

    #[test]
    fn names_patterns_and_numbers_are_code_points() {
        let codes = suites(&["TLS_AES_128_GCM_SHA256", "*_RC4_*", "0xc02f"]).unwrap();
        assert!(codes.contains(0x1301) && codes.contains(0x0004) && codes.contains(0xc02f));
        assert!(!codes.contains(0x1302));
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_was_probably_meant() {
        let refused = suites(&["0x1301", "TLS_AES_128_GCM_SHA265"]).unwrap_err();
        assert_eq!(refused, (1, Some("TLS_AES_128_GCM_SHA256")));
        assert_eq!(suites(&["*_ROT13_*"]).unwrap_err().0, 0);
        assert_eq!(suites(&["0x13011"]).unwrap_err().0, 0);
    }

    #[test]
    fn values_without_a_registry_fit_patterns() {
        let patterns = Patterns::new(vec!["ECDSA P-256".into(), "rsa *".into()]);
        assert!(patterns.matches("RSA 2048") && patterns.matches("ECDSA P-256"));
        assert!(!patterns.matches("ECDSA P-384"));
    }
}
