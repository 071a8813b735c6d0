//! How many handshakes may violate an assertion.

use std::fmt;

use crate::check::policy_entry::{PolicyEntry, Result};

/// A number of handshakes, or a share of those that were evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    Count(u64),
    /// From 0 to 100.
    Percent(f64),
}

impl Limit {
    /// Reads a number, or a share as in `"0.5 %"`.
    pub(super) fn read(entry: &PolicyEntry<'_>) -> Result<Self> {
        let what = "a number, or a share as in `\"0.5 %\"`";
        let Some(text) = entry.string() else {
            return entry.whole(u64::MAX, what).map(Self::Count);
        };
        let Some(percent) = text.strip_suffix('%').map(str::trim) else {
            return Err(entry.takes_unquoted(what));
        };
        Some(percent)
            .and_then(|percent| percent.parse().ok())
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(Self::Percent)
            .ok_or_else(|| entry.takes(what))
    }

    /// The limit with what it counts, as in `1 failure` and `0.5 % failures`.
    pub(super) fn of_what(self, what: &str) -> String {
        let plural = if self == Self::Count(1) { "" } else { "s" };
        format!("{self} {what}{plural}")
    }

    /// How many of `evaluated` handshakes that is.
    pub(super) fn of(self, evaluated: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(evaluated, percent).floor() as u64,
        }
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

/// `percent` of `count`, rounded where binary fractions miss a whole number: 0.3 % of 1,000 is 3, not 2.9999999.
pub(super) fn share(count: u64, percent: f64) -> f64 {
    let exact = count as f64 * percent / 100.0;
    let whole = exact.round();
    if (exact - whole).abs() < 1e-9 * whole.max(1.0) {
        whole
    } else {
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_decimal_percent_is_exact() {
        assert_eq!(Limit::Percent(5.0).of(100), 5);
        assert_eq!(Limit::Percent(5.0).of(99), 4);
        assert_eq!(Limit::Percent(0.1).of(1_000), 1);
        assert_eq!(Limit::Percent(0.3).of(1_000), 3);
        assert_eq!(Limit::Percent(100.0).of(7), 7);
        assert_eq!(Limit::Count(2).of(0), 2);
    }
}
