//! Policies that come with the program, written as users write theirs.

use super::assertion::Assertions;
use super::parse;
use super::policy::Policy;
use super::policy_entry::PolicyError;

/// A published recommendation, as assertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Mozilla's "modern" configuration, guidelines 6.0.
    MozillaModern,
    /// Mozilla's "intermediate" configuration, guidelines 6.0.
    MozillaIntermediate,
    /// NIST SP 800-52 Revision 2.
    NistSp800_52r2,
    /// The Commercial National Security Algorithm Suite 2.0.
    Cnsa2,
    /// A key exchange that resists quantum computers.
    PostQuantum,
}

impl Preset {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::MozillaModern,
        Self::MozillaIntermediate,
        Self::NistSp800_52r2,
        Self::Cnsa2,
        Self::PostQuantum,
    ];

    /// As written in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MozillaModern => "mozilla-modern",
            Self::MozillaIntermediate => "mozilla-intermediate",
            Self::NistSp800_52r2 => "nist-sp800-52r2",
            Self::Cnsa2 => "cnsa-2.0",
            Self::PostQuantum => "post-quantum",
        }
    }

    /// What it requires: the keys of a rule, with their sources.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::MozillaModern => include_str!("mozilla-modern.toml"),
            Self::MozillaIntermediate => include_str!("mozilla-intermediate.toml"),
            Self::NistSp800_52r2 => include_str!("nist-sp800-52r2.toml"),
            Self::Cnsa2 => include_str!("cnsa-2.0.toml"),
            Self::PostQuantum => include_str!("post-quantum.toml"),
        }
    }

    pub(super) fn words() -> Vec<(&'static str, Self)> {
        Self::ALL.iter().map(|one| (one.as_str(), *one)).collect()
    }

    /// Its keys, and what each requires.
    pub(super) fn assertions(self) -> Result<Vec<(&'static str, Assertions)>, PolicyError> {
        parse::assertions(self.text(), self.as_str())
    }
}

/// The policy that applies if the user has none, as TOML.
#[must_use]
pub const fn default_policy_text() -> &'static str {
    include_str!("default.toml")
}

impl Default for Policy {
    /// The policy of [`default_policy_text`].
    fn default() -> Self {
        // A test parses the text, which never changes at run time.
        let mut policy = Self::parse(default_policy_text(), "default")
            .unwrap_or_else(|_| Self::empty("default".to_owned()));
        for check in &mut policy.checks {
            check.line = 0; // users have no file with that line
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_and_the_default_policy_can_be_read() {
        for preset in Preset::ALL {
            let assertions = preset.assertions();
            assert!(assertions.is_ok_and(|all| !all.is_empty()), "{preset:?}");
        }
        let policy = Policy::parse(default_policy_text(), "default").unwrap();
        assert_eq!(policy.checks.len(), Policy::default().checks.len());
        assert!(policy.checks.len() >= 9);
    }

    #[test]
    fn presets_require_the_version_of_their_source() {
        let version = |preset: Preset| {
            let all = preset.assertions().unwrap();
            let (key, assertions) = &all[0];
            assert_eq!(*key, "min-version");
            assertions[0].requirement()
        };
        assert_eq!(version(Preset::MozillaModern), "TLS 1.3 or later");
        assert_eq!(version(Preset::NistSp800_52r2), "TLS 1.2 or later");
    }
}
