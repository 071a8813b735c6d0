//! Whether the captures are whole.

use super::Compliance::{self, Satisfied, Violated};
use super::{About, Assertion, InScope, PolicyKey, RunResult, RunTotals, if_true};
use crate::check::context::InputWarnings;
use crate::event::Directions;
use crate::stats::Stats;

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "no-gaps",
        example: "true",
        doc: "the capture has all bytes of the handshake, in both directions",
        read: |entry| if_true(entry, NoGaps),
    },
    PolicyKey {
        name: "no-truncation",
        example: "true",
        doc: "no packet of the handshake was cut short",
        read: |entry| if_true(entry, NoTruncation),
    },
    PolicyKey {
        name: "no-drops",
        example: "true",
        doc: "in the whole run, no data was dropped, by a limit of tlscope or by the program that captured (interface statistics of pcapng)",
        read: |entry| if_true(entry, NoDrops),
    },
    PolicyKey {
        name: "complete-input",
        example: "true",
        doc: "in the whole run, no capture was cut off or skipped",
        read: |entry| if_true(entry, CompleteInput),
    },
];

#[derive(Debug)]
struct NoGaps;

impl Assertion for NoGaps {
    fn requirement(&self) -> String {
        "captures without gaps, of both directions".to_owned()
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        let capture = &event.capture;
        let (client, server) = (capture.client_gap_bytes, capture.server_gap_bytes);
        match capture.directions {
            Directions::Both if client + server == 0 => Satisfied,
            Directions::Both => Violated(format!(
                "the capture lacks {client} bytes from the client, {server} from the server"
            )),
            Directions::ClientOnly => Violated("only the client is in view".to_owned()),
            Directions::ServerOnly => Violated("only the server is in view".to_owned()),
        }
    }

    fn about(&self) -> About {
        About::Coverage
    }
}

#[derive(Debug)]
struct NoTruncation;

impl Assertion for NoTruncation {
    fn requirement(&self) -> String {
        "captures with whole packets".to_owned()
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        if event.capture.truncated {
            Violated("a packet was cut short, or a buffer was full".to_owned())
        } else {
            Satisfied
        }
    }

    fn about(&self) -> About {
        About::Coverage
    }
}

#[derive(Debug)]
struct NoDrops;

impl Assertion for NoDrops {
    fn requirement(&self) -> String {
        "no data dropped, by the capture or because a limit was reached".to_owned()
    }

    fn evaluate(&self, _: InScope<'_>) -> Compliance {
        Satisfied
    }

    fn about(&self) -> About {
        About::Run
    }

    fn at_end(&self, run: &RunTotals<'_>) -> Option<RunResult> {
        let counters = drop_counters(run.stats).into_iter();
        let dropped: Vec<_> = counters
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let holds = dropped.is_empty();
        let found = match holds {
            true => "nothing was dropped".to_owned(),
            false => dropped.join(", "),
        };
        let found = Some(found);
        Some(RunResult { holds, found })
    }
}

/// Counters of data that was dropped because a limit was reached or that could not be read, each with its name.
fn drop_counters(stats: &Stats) -> [(&'static str, u64); 7] {
    [
        ("packets_dropped", stats.packets_dropped),
        ("packets_malformed", stats.packets_malformed),
        ("fragments_discarded", stats.fragments_discarded),
        ("connections_evicted", stats.connections_evicted),
        ("handshakes_not_judged", stats.handshakes_not_judged),
        ("segments_discarded", stats.segments_discarded),
        ("messages_discarded", stats.messages_discarded),
    ]
}

#[derive(Debug)]
struct CompleteInput;

impl Assertion for CompleteInput {
    fn requirement(&self) -> String {
        "captures that are read to their ends".to_owned()
    }

    fn evaluate(&self, _: InScope<'_>) -> Compliance {
        Satisfied
    }

    fn about(&self) -> About {
        About::Run
    }

    fn at_end(&self, run: &RunTotals<'_>) -> Option<RunResult> {
        Some(RunResult {
            holds: run.warnings.count == 0,
            found: Some(listed(run.warnings)),
        })
    }
}

fn listed(warnings: &InputWarnings) -> String {
    if warnings.count == 0 {
        return "no warning".to_owned();
    }
    let mut found = warnings.first.clone();
    let more = warnings.count.saturating_sub(found.len() as u64);
    if more > 0 {
        found.push(format!("{more} more warnings"));
    }
    found.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_violated};
    use super::*;
    use crate::check::{CheckResult, Context, Evaluation, MAX_OFFENDERS, Policy, Status};
    use crate::sink::test_events::completed;

    #[test]
    fn missing_bytes_and_a_missing_direction_are_gaps() {
        let rule = "no-gaps = true";
        let mut event = completed();
        assert_eq!(compliance(rule, &event), Satisfied);
        event.capture.server_gap_bytes = 7;
        assert!(is_violated(rule, &event));
        event.capture.server_gap_bytes = 0;
        event.capture.directions = Directions::ClientOnly;
        assert!(is_violated(rule, &event));
    }

    #[test]
    fn a_packet_that_was_cut_short_is_a_truncation() {
        let rule = "no-truncation = true";
        let mut event = completed();
        assert_eq!(compliance(rule, &event), Satisfied);
        event.capture.truncated = true;
        assert!(is_violated(rule, &event));
    }

    /// The result of a rule about a run without handshakes.
    fn result(rule: &str, stats: &Stats, warnings: &InputWarnings) -> CheckResult {
        let policy = Policy::parse(&format!("allow-empty = true\n[[rule]]\n{rule}"), "test");
        let evaluation = Evaluation::new(policy.unwrap(), Context::default());
        evaluation.finish(stats, warnings).results.remove(0)
    }

    #[test]
    fn drops_are_those_of_the_whole_run() {
        let warnings = InputWarnings::default();
        let status = |stats: &Stats| result("no-drops = true", stats, &warnings).status;
        let mut stats = Stats::default();
        assert_eq!(status(&stats), Status::Held);
        stats.segments_discarded = 1;
        assert_eq!(status(&stats), Status::Error);
        stats = Stats::default();
        stats.packets_dropped = 1;
        assert_eq!(status(&stats), Status::Error);
    }

    #[test]
    fn input_with_a_warning_is_not_complete() {
        let stats = Stats::default();
        let complete = |warnings: &InputWarnings| result("complete-input = true", &stats, warnings);
        let mut warnings = InputWarnings::default();
        assert_eq!(complete(&warnings).status, Status::Held);
        for _ in 0..MAX_OFFENDERS + 2 {
            warnings.add("`a.pcap` is cut off");
        }
        let CheckResult { status, found, .. } = complete(&warnings);
        assert_eq!(status, Status::Error);
        assert!(found.starts_with("`a.pcap` is cut off; "), "{found}");
        assert!(found.ends_with("; 2 more warnings"), "{found}");
        assert_eq!(warnings.first.len(), MAX_OFFENDERS);
    }
}
