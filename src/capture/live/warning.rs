//! When losses are worth a line.

use std::time::{Duration, Instant};

use crate::stats::InterfaceHealth;

/// Losses that are worth a line: one packet in a hundred.
const SHARE: u64 = 100;
/// How long a line about losses holds.
const INTERVAL: Duration = Duration::from_secs(30);

/// Warns of losses, but not all the time.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    /// What was reported, or seen without a report.
    seen: u64,
    dropped: u64,
    quiet_until: Option<Instant>,
}

impl Warnings {
    /// A line on what was lost since the last look, if it is worth one now.
    pub(super) fn of(&mut self, health: &InterfaceHealth, now: Instant) -> Option<String> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let seen = health.seen() - self.seen;
        let dropped = health.dropped() - self.dropped;
        (self.seen, self.dropped) = (health.seen(), health.dropped());
        if dropped * SHARE <= seen {
            self.quiet_until = None;
            return None;
        }
        self.quiet_until = Some(now + INTERVAL);
        let percent = dropped as f64 * 100.0 / seen as f64;
        Some(format!(
            "`{}` loses {percent:.1} % of its packets: so far {} in the kernel, {} at the interface, {} at the queue",
            health.name, health.dropped_kernel, health.dropped_interface, health.dropped_queue
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(packets: u64, kernel: u64) -> InterfaceHealth {
        InterfaceHealth {
            name: "eth0".into(),
            packets,
            dropped_kernel: kernel,
            ..InterfaceHealth::default()
        }
    }

    #[test]
    fn more_than_one_in_a_hundred_is_worth_a_line_once_in_a_while() {
        let mut warnings = Warnings::default();
        let start = Instant::now();
        assert_eq!(warnings.of(&health(99, 1), start), None);
        let line = warnings.of(&health(189, 11), start).unwrap();
        assert!(line.starts_with("`eth0` loses 10.0 % of its packets: so far 11 in the kernel"));
        assert_eq!(warnings.of(&health(189, 200), start), None);
        assert!(warnings.of(&health(189, 200), start + INTERVAL).is_some());
    }

    #[test]
    fn nothing_seen_is_nothing_lost() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.of(&health(0, 0), Instant::now()), None);
    }
}
