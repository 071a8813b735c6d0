//! Failures of exports: counted, reported once, and followed by a pause that grows.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::settings::Destination;
use crate::telemetry::{ExportError, Notice, Signal};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A collector that is back is found within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Follows the exports of one signal.
pub(crate) struct DeliveryMonitor {
    signal: Signal,
    url: String,
    self_telemetry: Arc<SelfTelemetry>,
    notice: Notice,
    /// Since the last success.
    failures: u32,
    first_pause: Duration,
}

impl DeliveryMonitor {
    pub(crate) fn new(
        destination: &Destination,
        self_telemetry: Arc<SelfTelemetry>,
        notice: Notice,
    ) -> Self {
        Self {
            signal: destination.signal,
            url: destination.shown_url(),
            self_telemetry,
            notice,
            failures: 0,
            first_pause: FIRST_PAUSE,
        }
    }

    /// With short pauses, for tests.
    #[cfg(test)]
    pub(crate) const fn hurried(mut self) -> Self {
        self.first_pause = Duration::from_millis(1);
        self
    }

    /// Notes an export that reached the collector.
    pub(crate) fn succeeded(&mut self) {
        if self.failures > 0 {
            let failures = match self.failures {
                1 => "1 failure".to_owned(),
                failures => format!("{failures} failures"),
            };
            self.report(format_args!("reach {} again after {failures}", self.url));
        }
        self.failures = 0;
    }

    /// Notes an export that failed; returns how long to wait before the next.
    pub(crate) fn failed(&mut self, error: &ExportError) -> Duration {
        self.self_telemetry.count_failure(self.signal);
        if self.failures == 0 {
            (self.notice)(&format!("{error}; retrying"));
        }
        self.failures = self.failures.saturating_add(1);
        let random = RandomState::new().hash_one(self.failures);
        pause(self.first_pause, self.failures, random)
    }

    /// The collector, without user name and password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Notes records that are discarded.
    pub(crate) fn discarded(&self, records: usize) {
        self.self_telemetry.count_discarded(self.signal, records);
    }

    fn report(&self, what: fmt::Arguments<'_>) {
        (self.notice)(&format!("{} {what}", self.signal.as_str()));
    }
}

/// Doubles with each failure up to [`LONGEST_PAUSE`], less up to a quarter at random, so that
/// hosts that lost the collector at the same moment do not all return at the same moment.
fn pause(first: Duration, failures: u32, random: u64) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let pause = doubled.min(LONGEST_PAUSE);
    let share = (random % 1_000) as u32;
    pause - pause * share / 4_000
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::telemetry::testing::destination;

    #[test]
    fn a_change_of_state_is_reported_in_one_line() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let notice: Notice = {
            let reported = Arc::clone(&reported);
            Arc::new(move |line| reported.lock().unwrap().push(line.to_owned()))
        };
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Metrics]));
        let mut delivery =
            DeliveryMonitor::new(&destination("http://c/v1/metrics"), self_telemetry, notice);
        let error = ExportError {
            signal: Signal::Metrics,
            url: "http://c/v1/metrics".to_owned(),
            cause: "connection refused".to_owned(),
            is_refusal: false,
        };
        delivery.succeeded();
        delivery.failed(&error);
        delivery.failed(&error);
        delivery.succeeded();
        delivery.succeeded();
        assert_eq!(
            *reported.lock().unwrap(),
            [
                "metrics not delivered to http://c/v1/metrics: connection refused; retrying",
                "metrics reach http://c/v1/metrics again after 2 failures",
            ]
        );
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_differ_from_host_to_host() {
        let longest: Vec<_> = (1..10)
            .map(|n| pause(FIRST_PAUSE, n, 0).as_secs())
            .collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(FIRST_PAUSE, u32::MAX, 0), LONGEST_PAUSE);
        assert!(pause(FIRST_PAUSE, 7, 999) >= LONGEST_PAUSE * 3 / 4);
        assert!(pause(FIRST_PAUSE, 7, 999) < LONGEST_PAUSE);
    }
}
