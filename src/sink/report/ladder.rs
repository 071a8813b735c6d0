//! The messages of a handshake, step by step.

use serde::Serialize;

use crate::event::{Ladder, LadderStep, StepKind};
use crate::sink::milliseconds;
use crate::time::Timestamp;

/// Most steps of a handshake, from its beginning and from its end: a longer ladder is not meant to be read.
const FIRST_STEPS: usize = 40;
const LAST_STEPS: usize = 24;

/// A step, as `report.js` draws it.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Milliseconds since the beginning of the handshake; negative if the packets are not in order.
    at: String,
    sender: &'static str,
    /// How it is drawn.
    kind: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    packet: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    encrypted: bool,
}

/// The steps since `begin`. Where there are too many, one step counts those that are left out.
pub(super) fn steps(ladder: &Ladder, begin: Timestamp) -> Vec<Step> {
    let all = &ladder.steps;
    let step = |step: &LadderStep| Step::new(step, begin);
    let left_out = |count: usize, after: &LadderStep| Step {
        kind: "gap",
        what: format!("{count} more steps"),
        bytes: None,
        encrypted: false,
        ..Step::new(after, begin)
    };
    let mut steps: Vec<_>;
    match all.len().checked_sub(FIRST_STEPS + LAST_STEPS) {
        None | Some(0) => steps = all.iter().map(step).collect(),
        Some(more) => {
            steps = all.iter().take(FIRST_STEPS).map(step).collect();
            steps.extend(all.get(FIRST_STEPS).map(|after| left_out(more, after)));
            steps.extend(all.iter().skip(all.len() - LAST_STEPS).map(step));
        }
    }
    if let (1.., Some(last)) = (ladder.omitted, all.last()) {
        steps.push(left_out(ladder.omitted as usize, last));
    }
    steps
}

impl Step {
    fn new(step: &LadderStep, begin: Timestamp) -> Self {
        let at = match step.time.checked_since(begin) {
            Some(after) => format!("{:.2}", milliseconds(after)),
            None => {
                let before = begin.checked_since(step.time).unwrap_or_default();
                format!("-{:.2}", milliseconds(before))
            }
        };
        Self {
            at,
            sender: step.sender.as_str(),
            kind: match step.kind {
                StepKind::Alert(_) => "alert",
                StepKind::Fin => "close",
                StepKind::Rst => "reset",
                StepKind::Gap | StepKind::NotTls => "gap",
                _ => "message",
            },
            what: step.kind.to_string(),
            bytes: step.bytes,
            packet: step.packet,
            encrypted: step.encrypted,
        }
    }
}
