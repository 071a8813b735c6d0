//! Certificate times, and how long a certificate is still valid.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::time::{Timestamp, write_utc};

/// A moment in a certificate, in seconds since 1970-01-01T00:00:00Z: years 0 to 9999.
///
/// The years go beyond those of [`Timestamp`], which ends in 2262. Prints as RFC
/// 3339 in UTC.
///
/// # Example
///
/// ```
/// use tlscope::certificate::CertificateTime;
///
/// assert_eq!(CertificateTime(1_772_366_400).to_string(), "2026-03-01T12:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateTime(pub i64);

impl CertificateTime {
    /// Before any certificate.
    pub(super) const MIN: Self = Self(i64::MIN);
    /// After any certificate.
    pub(super) const MAX: Self = Self(i64::MAX);

    /// Seconds from `earlier` until this moment; negative if it comes first.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<Timestamp> for CertificateTime {
    /// The second that `time` lies in: certificates know no smaller unit (RFC 5280 §4.1.2.5).
    fn from(time: Timestamp) -> Self {
        Self(time.as_nanoseconds().div_euclid(1_000_000_000))
    }
}

impl fmt::Display for CertificateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        // Saturates, but only beyond what the four digits of a certificate's year can express.
        let time = EPOCH.saturating_add(SignedDuration::from_secs(self.0));
        write_utc(f, time)
    }
}

/// The end of a certificate's validity, seen from a given moment.
///
/// Prints as `in 12.5 days` or `expired 3.2 days ago`.
///
/// # Example
///
/// ```
/// use tlscope::certificate::{CertificateTime, Expiry};
/// use tlscope::time::Timestamp;
///
/// let noon = Timestamp::from_seconds(43_200);
/// let expiry = Expiry::new(CertificateTime(86_400), noon);
/// assert_eq!(expiry.days(), 0.5);
/// assert_eq!(expiry.to_string(), "in 0.5 days");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    not_after: CertificateTime,
    at: Timestamp,
}

impl Expiry {
    /// How far `not_after` is away at the moment `at`.
    #[must_use]
    pub const fn new(not_after: CertificateTime, at: Timestamp) -> Self {
        Self { not_after, at }
    }

    /// Days of 24 hours until the end of validity, to the microsecond; negative once expired.
    #[must_use]
    pub fn days(self) -> f64 {
        let at = self.at.as_nanoseconds() as f64 / 1e9;
        (self.not_after.0 as f64 - at) / 86_400.0
    }

    /// [`Expiry::days`] with four decimals (8.64 s).
    ///
    /// Rounded down, so that it is negative from the first nanosecond past the end.
    #[must_use]
    pub fn rounded_days(self) -> f64 {
        const TEN_THOUSANDTH_OF_A_DAY: i128 = 86_400 * SECOND / 10_000;
        self.nanoseconds().div_euclid(TEN_THOUSANDTH_OF_A_DAY) as f64 / 10_000.0
    }

    /// Whether the end of validity has passed.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.nanoseconds() < 0
    }

    fn nanoseconds(self) -> i128 {
        i128::from(self.not_after.0) * SECOND - i128::from(self.at.as_nanoseconds())
    }
}

/// Nanoseconds in a second; 128 bits, since seconds until the year 9999 overflow 64.
const SECOND: i128 = 1_000_000_000;

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.rounded_days();
        if self.is_past() {
            write!(f, "expired {:.1} days ago", -days)
        } else {
            write!(f, "in {days:.1} days")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_times_reach_from_year_0_to_9999() {
        let cases = [
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-631_152_000, "1950-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(CertificateTime(seconds).to_string(), text);
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let (first, last) = (CertificateTime::MIN, CertificateTime::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59Z");
        assert!(first.to_string().starts_with("-009999-"));
        assert_eq!(last.seconds_since(first), i64::MAX);
        assert_eq!(Expiry::new(last, Timestamp::MIN).days().signum(), 1.0);
        assert!(Expiry::new(first, Timestamp::MAX).rounded_days() < 0.0);
        assert!(Expiry::new(last, Timestamp::MIN).rounded_days() > 0.0);
    }

    #[test]
    fn a_moment_lies_in_its_second_even_before_1970() {
        let second = |nanoseconds| CertificateTime::from(Timestamp::from_nanoseconds(nanoseconds));
        assert_eq!(second(1_999_999_999), CertificateTime(1));
        assert_eq!(second(-1), CertificateTime(-1));
    }

    #[test]
    fn days_turn_negative_with_the_first_nanosecond_past_the_end() {
        let end = 86_400_000_000_000;
        let expiry = |at| Expiry::new(CertificateTime(86_400), Timestamp::from_nanoseconds(at));
        assert_eq!(expiry(end).days(), 0.0);
        assert_eq!(expiry(end).rounded_days(), 0.0);
        assert_eq!(expiry(end / 2).days(), 0.5);
        assert_eq!(expiry(2 * end).days(), -1.0);
        assert_eq!(expiry(2 * end).rounded_days(), -1.0);
        assert!(!expiry(end).is_past());
        assert!(expiry(end + 1).is_past());
        assert_eq!(expiry(end + 1).rounded_days(), -0.0001);
    }

    #[test]
    fn an_expiry_says_on_which_side_of_the_end_it_is() {
        let noon = Timestamp::from_seconds(43_200);
        let text = |not_after| Expiry::new(CertificateTime(not_after), noon).to_string();
        assert_eq!(text(0), "expired 0.5 days ago");
        assert_eq!(text(43_200), "in 0.0 days");
        assert_eq!(text(86_400), "in 0.5 days");
    }
}
