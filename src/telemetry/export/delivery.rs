//! Failures of exports: counted, reported once, and followed by a pause that grows.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use super::otlp::Delivered;
use crate::escape::printable;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::settings::Destination;
use crate::telemetry::{ExportError, Notice, Signal};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A collector that is back is found within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that a collector can ask for (`Retry-After`).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
/// The longest pause that a collector can ask for at the end of a replay, where the user waits.
pub(super) const LONGEST_WAIT_AT_END: Duration = Duration::from_secs(30);

/// Characters of a message of the collector that are shown.
const MAX_MESSAGE: usize = 200;

/// Follows the exports of one signal.
pub(crate) struct DeliveryMonitor {
    signal: Signal,
    url: String,
    self_telemetry: Arc<SelfTelemetry>,
    notice: Notice,
    /// Whether failures are reported while the run lasts.
    reports_failures: bool,
    /// Since the last success.
    failures: u32,
    /// Whether the credentials were at fault, the last time.
    was_unauthorized: bool,
    /// Whether the user was warned of a partial success.
    warned_of_rejected: bool,
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
            reports_failures: true,
            failures: 0,
            was_unauthorized: false,
            warned_of_rejected: false,
            first_pause: FIRST_PAUSE,
        }
    }

    /// Whether failures are reported while the run lasts; else the end of the run reports them.
    pub(crate) const fn reporting_failures(mut self, reports: bool) -> Self {
        self.reports_failures = reports;
        self
    }

    /// With short pauses, for tests.
    #[cfg(test)]
    pub(crate) const fn hurried(mut self) -> Self {
        self.first_pause = Duration::from_millis(1);
        self
    }

    /// Notes an export that reached the collector.
    pub(super) fn succeeded(&mut self, delivered: &Delivered) {
        if self.failures > 0 {
            let failures = match self.failures {
                1 => "1 failure".to_owned(),
                failures => format!("{failures} failures"),
            };
            self.report(format_args!("reach {} again after {failures}", self.url));
        }
        self.failures = 0;
        self.note_rejected(delivered);
    }

    /// Counts what the collector rejected of an export, and warns the first time.
    fn note_rejected(&mut self, delivered: &Delivered) {
        let Delivered { rejected, message } = delivered;
        self.self_telemetry.count_rejected(self.signal, *rejected);
        let is_complete = *rejected == 0 && message.is_empty();
        if is_complete || std::mem::replace(&mut self.warned_of_rejected, true) {
            return;
        }
        let Self { signal, url, .. } = self;
        let what = match signal {
            Signal::Metrics => "data points",
            Signal::Logs => "log records",
            Signal::Traces => "spans",
        };
        let why = match &**message {
            "" => String::new(),
            message => format!(": \"{}\"", shown(message)),
        };
        (self.notice)(&match rejected {
            0 => format!("the collector at {url} warns about the {what}{why}"),
            _ => format!(
                "the collector at {url} rejected {rejected} {what}{why}; `tlscope.export.rejected` counts all of them"
            ),
        });
    }

    /// Notes an export that failed; returns how long to wait before the next.
    pub(crate) fn failed(&mut self, error: &ExportError) -> Duration {
        self.self_telemetry.count_failure(self.signal);
        let is_new = self.failures == 0 || self.was_unauthorized != error.is_unauthorized;
        self.was_unauthorized = error.is_unauthorized;
        self.failures = self.failures.saturating_add(1);
        let asked = error.retry_after.map(|asked| {
            self.self_telemetry.count_throttled(self.signal);
            asked.min(LONGEST_RETRY_AFTER)
        });
        let random = RandomState::new().hash_one(self.failures);
        // Credentials are wrong for longer than a collector takes to restart.
        let pause = if error.is_unauthorized {
            LONGEST_PAUSE
        } else {
            pause(self.first_pause, self.failures, random)
        };
        if is_new && self.reports_failures {
            let when = match asked {
                Some(asked) => format!("in {} s, as the collector asks", asked.as_secs()),
                None if error.is_unauthorized => "once a minute".to_owned(),
                None => "with growing pauses".to_owned(),
            };
            (self.notice)(&format!("{error}; retrying {when}"));
        }
        pause.max(asked.unwrap_or_default())
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
        if self.reports_failures {
            (self.notice)(&format!("{} {what}", self.signal.as_str()));
        }
    }
}

/// The beginning of a collector's message, safe for a terminal.
fn shown(message: &str) -> String {
    let cut: String = message.chars().take(MAX_MESSAGE).collect();
    let mark = if cut.len() < message.len() { "…" } else { "" };
    format!("{}{mark}", printable(&cut))
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
            is_unauthorized: false,
            retry_after: None,
        };
        let unauthorized = ExportError {
            cause: "the collector does not accept the credentials (401 Unauthorized): check `--otlp-header`".to_owned(),
            is_unauthorized: true,
            ..error.clone()
        };
        let throttled = ExportError {
            cause: "the collector answered 429 Too Many Requests".to_owned(),
            retry_after: Some(Duration::from_secs(200)),
            ..error.clone()
        };
        let complete = Delivered::default();
        delivery.succeeded(&complete);
        delivery.failed(&error);
        delivery.failed(&error);
        assert_eq!(delivery.failed(&unauthorized), LONGEST_PAUSE);
        delivery.failed(&unauthorized);
        delivery.succeeded(&complete);
        delivery.succeeded(&complete);
        assert_eq!(delivery.failed(&throttled), Duration::from_secs(200));
        assert_eq!(
            *reported.lock().unwrap(),
            [
                "metrics not delivered to http://c/v1/metrics: connection refused; retrying with growing pauses",
                "metrics not delivered to http://c/v1/metrics: the collector does not accept the credentials (401 Unauthorized): check `--otlp-header`; retrying once a minute",
                "metrics reach http://c/v1/metrics again after 4 failures",
                "metrics not delivered to http://c/v1/metrics: the collector answered 429 Too Many Requests; retrying in 200 s, as the collector asks",
            ]
        );
    }

    #[test]
    fn a_partial_success_is_counted_each_time_and_reported_once() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let notice: Notice = {
            let reported = Arc::clone(&reported);
            Arc::new(move |line| reported.lock().unwrap().push(line.to_owned()))
        };
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Metrics]));
        let own = Arc::clone(&self_telemetry);
        let mut delivery =
            DeliveryMonitor::new(&destination("http://c"), own, notice).reporting_failures(false);
        let partial = |rejected, message: &str| Delivered {
            rejected,
            message: message.to_owned(),
        };
        delivery.succeeded(&Delivered::default());
        delivery.succeeded(&partial(3, "too\u{1b}[31m old"));
        delivery.succeeded(&partial(2, ""));
        assert_eq!(self_telemetry.rejected(Signal::Metrics), 5);
        assert_eq!(
            *reported.lock().unwrap(),
            [
                "the collector at http://c rejected 3 data points: \"too\\u{1b}[31m old\"; `tlscope.export.rejected` counts all of them"
            ]
        );
    }

    #[test]
    fn a_collector_cannot_ask_for_more_than_ten_minutes() {
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Metrics]));
        let own = Arc::clone(&self_telemetry);
        let mut delivery = DeliveryMonitor::new(&destination("http://c"), own, Arc::new(|_| {}));
        let error = ExportError {
            signal: Signal::Metrics,
            url: String::new(),
            cause: String::new(),
            is_refusal: false,
            is_unauthorized: false,
            retry_after: Some(Duration::from_secs(u64::MAX)),
        };
        assert_eq!(delivery.failed(&error), LONGEST_RETRY_AFTER);
        assert_eq!(self_telemetry.throttled(Signal::Metrics), 1);
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
