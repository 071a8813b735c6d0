//! Sets of code points, written as names, patterns and numbers.

use std::collections::BTreeSet;

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
        for (pattern, at) in entry.strings(what)? {
            let found = registry.find(&pattern).map_err(|meant| {
                let message = format!("`{pattern}` names nothing that `{}` could be", entry.key);
                entry.error(message, at).suggesting(meant)
            })?;
            codes.extend(found);
            written.push(pattern);
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

    /// The code points that `pattern` stands for: a name in which `*` and `?` are wild, or a number as in `0x1301`.
    ///
    /// # Errors
    ///
    /// When there are none: the name that was probably meant.
    fn find(self, pattern: &str) -> std::result::Result<Vec<u16>, Option<&'static str>> {
        let found: Vec<_> = match pattern.strip_prefix("0x") {
            Some(number) => u16::from_str_radix(number, 16).into_iter().collect(),
            None => {
                let glob = Glob::new(pattern);
                let named = self.all().filter(|(_, name)| glob.matches(name));
                named.map(|(code, _)| code).collect()
            }
        };
        if found.is_empty() {
            let known: Vec<_> = self.all().map(|(_, name)| name).collect();
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
    fn a_pattern_without_a_code_point_is_refused_with_a_suggestion() {
        let meant = SUITES.find("TLS_AES_128_GCM_SHA265").unwrap_err();
        assert_eq!(meant, Some("TLS_AES_128_GCM_SHA256"));
        assert!(SUITES.find("*_ROT13_*").is_err());
        assert!(SUITES.find("0x13011").is_err());
    }
}
