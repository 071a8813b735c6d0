//! How many handshakes there are in scope.

use super::Compliance::{self, Satisfied, Violated};
use super::{About, Assertion, InScope, PolicyKey, RunResult, RunTotals, handshakes, one};

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "min-handshakes",
        example: "1",
        doc: "at least this many handshakes are in scope; `0` allows the rule to have none, which otherwise fails it",
        read: |entry| one(MinHandshakes(entry.whole(u64::MAX, "a number")?)),
    },
    PolicyKey {
        name: "max-handshakes",
        example: "100",
        doc: "at most this many handshakes are in scope",
        read: |entry| one(MaxHandshakes(entry.whole(u64::MAX, "a number")?)),
    },
];

#[derive(Debug)]
struct MinHandshakes(u64);

impl Assertion for MinHandshakes {
    fn requirement(&self) -> String {
        format!("at least {}", handshakes(self.0))
    }

    fn evaluate(&self, _: InScope<'_>) -> Compliance {
        Satisfied
    }

    fn about(&self) -> About {
        About::Coverage
    }

    fn at_end(&self, run: &RunTotals<'_>) -> Option<RunResult> {
        Some(of_number(run, run.in_scope >= self.0))
    }
}

#[derive(Debug)]
struct MaxHandshakes(u64);

impl Assertion for MaxHandshakes {
    fn requirement(&self) -> String {
        format!("at most {}", handshakes(self.0))
    }

    fn evaluate(&self, InScope { number, .. }: InScope<'_>) -> Compliance {
        if number <= self.0 {
            Satisfied
        } else {
            Violated(format!("handshake number {number}"))
        }
    }

    fn about(&self) -> About {
        About::Coverage
    }

    fn at_end(&self, run: &RunTotals<'_>) -> Option<RunResult> {
        Some(of_number(run, run.in_scope <= self.0))
    }
}

fn of_number(run: &RunTotals<'_>, holds: bool) -> RunResult {
    RunResult {
        holds,
        found: Some(format!("{} in scope", handshakes(run.in_scope))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::assertion;
    use super::*;
    use crate::check::{Context, InputWarnings};
    use crate::sink::test_events::completed;
    use crate::stats::Stats;

    fn result(rule: &str, in_scope: u64) -> RunResult {
        let (stats, warnings) = (Stats::default(), InputWarnings::default());
        let totals = RunTotals {
            in_scope,
            evaluated: in_scope,
            stats: &stats,
            warnings: &warnings,
        };
        assertion(rule).at_end(&totals).unwrap()
    }

    #[test]
    fn the_bounds_are_inclusive() {
        assert!(result("min-handshakes = 3", 3).holds);
        assert!(!result("min-handshakes = 4", 3).holds);
        assert!(result("max-handshakes = 3", 3).holds);
        let too_many = result("max-handshakes = 0", 1);
        assert!(!too_many.holds);
        assert_eq!(too_many.found.as_deref(), Some("1 handshake in scope"));
    }

    #[test]
    fn the_handshakes_beyond_the_upper_bound_are_named() {
        let at_most_two = assertion("max-handshakes = 2");
        let event = completed();
        let compliance = |number| {
            at_most_two.evaluate(InScope {
                event: &event,
                context: Context::default(),
                number,
            })
        };
        assert_eq!(compliance(2), Satisfied);
        assert_eq!(compliance(3), Violated("handshake number 3".to_owned()));
    }
}
