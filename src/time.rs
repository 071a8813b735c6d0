//! Packet time: the only clock the library knows.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;

use crate::digits::put_pair;

/// A moment of packet time, in nanoseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
///
/// Comes from the capture (or, on a quiet live interface, from ticks that the
/// capture thread passes in); nothing in the library reads a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be written down.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest moment that can be written down.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment `nanoseconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z, clamped to what fits (the years 1677 to 2262).
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_nanoseconds(self) -> i64 {
        self.0
    }

    /// Time from `earlier` to `self`; `None` if `earlier` is the later one.
    ///
    /// Captures merged from several clocks do run backwards: no duration is
    /// better than a wrong one.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::time::Timestamp;
    ///
    /// let sent = Timestamp::from_nanoseconds(1_000);
    /// let answered = Timestamp::from_nanoseconds(4_000);
    /// assert_eq!(answered.checked_since(sent).unwrap().as_nanos(), 3_000);
    /// assert_eq!(sent.checked_since(answered), None);
    /// ```
    #[must_use]
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        let nanoseconds = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
    }

    /// Nanoseconds since `earlier`, negative if that is later; clamped to what an `i64` holds.
    pub(crate) const fn nanoseconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The same without a clamp: wrong where the two are more than 292 years apart.
    pub(crate) const fn wrapping_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }

    /// `self` plus `duration`, clamped to [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// `self` minus `duration`, clamped to the earliest moment.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanoseconds))
    }

    /// The length of [`Timestamp::text`].
    pub(crate) const TEXT: usize = "2026-03-01T12:00:00.123456789Z".len();

    /// RFC 3339 in UTC with nine decimals, written into `text`. Each line of output has several, so without the machinery of dates and
    /// formats.
    pub(crate) fn text(self, text: &mut [u8; Self::TEXT]) -> &str {
        const SECOND: i64 = 1_000_000_000;
        const DAY: u64 = 86_400;
        // Counted from the beginning of an era of the Gregorian calendar, years beginning in March: what is left of each division is
        // the day of its cycle (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
        const EPOCH: u64 = 719_468; // days from 0000-03-01 to 1970-01-01
        let seconds = self.0.div_euclid(SECOND).wrapping_add((EPOCH * DAY) as i64) as u64; // the years 1677 to 2262
        let (days, time) = (seconds / DAY, (seconds % DAY) as u32);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153; // 0 is March
        let day = day - (153 * month + 2) / 5 + 1;
        let is_next_year = month >= 10;
        let month = if is_next_year { month - 9 } else { month + 3 };
        let year = era * 400 + year + u64::from(is_next_year);

        *text = *b"0000-00-00T00:00:00.000000000Z";
        let (year, nanoseconds) = (year as u32, self.0.rem_euclid(SECOND) as u32);
        for (at, number) in [
            (0, year / 100),
            (2, year),
            (5, month as u32),
            (8, day as u32),
            (11, time / 3_600),
            (14, time / 60 % 60),
            (17, time % 60),
            (20, nanoseconds / 10_000_000),
            (22, nanoseconds / 100_000),
            (24, nanoseconds / 1_000),
            (26, nanoseconds / 10),
        ] {
            put_pair(text, at, number);
        }
        text[28] = b'0' + (nanoseconds % 10) as u8;
        std::str::from_utf8(text).unwrap_or_default() // all ASCII
    }

    /// Date and time of day in UTC.
    pub(crate) fn date_time(self) -> DateTime {
        const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        // Never saturates: 64 bits of nanoseconds end in 2262.
        EPOCH.saturating_add(jiff::SignedDuration::from_nanos(self.0))
    }
}

/// A clock that packets set, and the regular ticks that it gives.
///
/// Packet time mostly advances. It may step back a little, where captures disorder packets, which changes nothing; or far,
/// where captures were concatenated or a clock was set, and then the clock follows.
#[derive(Clone, Debug)]
pub struct Ticks {
    interval: Duration,
    max_disorder: Duration,
    /// The newest time.
    newest: Timestamp,
    /// When the next tick is due; the earliest moment before the first time.
    next: Timestamp,
}

impl Ticks {
    /// Ticks every `interval`. A time that is older than the newest by more than `max_disorder` sets the clock back.
    #[must_use]
    pub const fn new(interval: Duration, max_disorder: Duration) -> Self {
        Self {
            interval,
            max_disorder,
            newest: Timestamp::MIN,
            next: Timestamp::MIN,
        }
    }

    /// Sets the clock; returns the time if a tick is due.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use tlscope::time::{Ticks, Timestamp};
    ///
    /// let mut ticks = Ticks::new(Duration::from_secs(1), Duration::from_secs(60));
    /// let mut is_due = |seconds| ticks.advance(Timestamp::from_seconds(seconds)).is_some();
    /// assert!(is_due(100));
    /// assert!(!is_due(100));
    /// assert!(is_due(101));
    /// assert!(!is_due(99), "packets may be out of order");
    /// assert!(is_due(10), "another capture begins");
    /// ```
    #[inline]
    pub fn advance(&mut self, time: Timestamp) -> Option<Timestamp> {
        // As nearly always: time goes on, and no tick is due.
        if time >= self.newest && time < self.next {
            self.newest = time;
            return None;
        }
        self.set_back_or_tick(time)
    }

    #[inline(never)]
    fn set_back_or_tick(&mut self, time: Timestamp) -> Option<Timestamp> {
        if let Some(now) = self.now().filter(|now| time <= *now) {
            let is_set_back = now
                .checked_since(time)
                .is_some_and(|behind| behind > self.max_disorder);
            if !is_set_back {
                return None;
            }
        }
        self.newest = time;
        self.next = time.saturating_add(self.interval);
        Some(time)
    }

    /// The newest time; `None` before the first.
    #[must_use]
    pub const fn now(&self) -> Option<Timestamp> {
        if self.next.0 == Timestamp::MIN.0 {
            None
        } else {
            Some(self.newest)
        }
    }
}

/// RFC 3339 in UTC with nine decimals, as in `2026-03-01T12:00:00.123456789Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; Self::TEXT]))
    }
}

/// Writes a time in UTC as RFC 3339 without decimals, as jiff does it. Without the machinery of formats.
pub(crate) fn write_utc(f: &mut fmt::Formatter<'_>, time: DateTime) -> fmt::Result {
    let mut text = *b"0000-00-00T00:00:00Z";
    let Ok(year) = u32::try_from(time.year()) else {
        return write!(f, "{time}Z"); // before the year 0, in which no certificate or packet is
    };
    let mut put = |first: usize, last: usize, number: u32| {
        let mut rest = number;
        for digit in text[first..=last].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 3, year);
    put(5, 6, time.month().unsigned_abs().into());
    put(8, 9, time.day().unsigned_abs().into());
    put(11, 12, time.hour().unsigned_abs().into());
    put(14, 15, time.minute().unsigned_abs().into());
    put(17, 18, time.second().unsigned_abs().into());
    f.write_str(std::str::from_utf8(&text).unwrap_or_default()) // all ASCII
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_with_nanoseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_772_366_400_123_456_789, "2026-03-01T12:00:00.123456789Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(Timestamp::from_nanoseconds(nanoseconds).to_string(), text);
        }
        for step in 0..10_000 {
            let nanoseconds = (i128::from(i64::MIN) + step * 1_844_674_407_370_955) as i64;
            let expected = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
            let time = Timestamp::from_nanoseconds(nanoseconds);
            assert_eq!(time.to_string(), format!("{expected:.9}"));
        }
    }

    #[test]
    fn ticks_come_every_interval_and_continue_when_the_clock_is_set_back() {
        let mut ticks = Ticks::new(Duration::from_secs(1), Duration::from_secs(1));
        let mut is_due = |milliseconds: u64| {
            let time = Timestamp::default().saturating_add(Duration::from_millis(milliseconds));
            ticks.advance(time).is_some()
        };
        assert!(is_due(10_000));
        assert!(!is_due(9_800), "slightly out of order");
        assert!(!is_due(10_900));
        assert!(is_due(11_000));
        assert!(is_due(5_000), "the clock was set");
        assert!(!is_due(5_900));
        assert!(is_due(6_000));
    }

    #[test]
    fn has_a_date_and_a_time_of_day() {
        for nanoseconds in [i64::MIN, -1, 0, 1_772_366_400_123_456_789, i64::MAX] {
            let time = Timestamp::from_nanoseconds(nanoseconds);
            assert_eq!(format!("{:.9}Z", time.date_time()), time.to_string());
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert!(Timestamp::MAX.checked_since(Timestamp::MIN).is_some());
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert!(Timestamp::MIN.to_string().starts_with("1677-"));
    }
}
