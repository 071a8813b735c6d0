//! The messages of a handshake, as `tlscope show` has them.

use serde::Serialize;

use crate::event::{Handshake, Ladder, StepKind};
use crate::sink::people::show::ladder::{Rung, label, milliseconds, packet, rungs, sources};

/// Most lines of a ladder, from its beginning and from its end: a longer one is not meant to be read.
const FIRST: usize = 40;
const LAST: usize = 24;

/// A line of the ladder, as `report.js` draws it.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Milliseconds since the beginning of the handshake; negative for what came before.
    #[serde(skip_serializing_if = "String::is_empty")]
    at: String,
    sender: &'static str,
    /// How it is drawn.
    kind: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    packet: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    encrypted: bool,
}

/// The lines. Where there are too many, one counts those that are left out.
pub(super) fn steps(event: &Handshake, ladder: &Ladder) -> Vec<Step> {
    let sources = sources(event, ladder);
    let rungs = rungs(&ladder.steps);
    let step = |rung: &Rung<'_>| Step {
        at: milliseconds(event.time, rung.step.time),
        sender: rung.step.sender.as_str(),
        kind: match rung.step.kind {
            StepKind::Alert(_) | StepKind::ConnectionClose(_) => "alert",
            StepKind::Fin | StepKind::Accepted(_) => "close",
            StepKind::Rst | StepKind::Rejected(_) => "reset",
            StepKind::Gap | StepKind::NotTls => "gap",
            _ => "message",
        },
        what: label(rung),
        bytes: rung.bytes,
        packet: packet(rung.step, &sources),
        encrypted: rung.step.encrypted,
    };
    let mut steps: Vec<_>;
    if rungs.len() <= FIRST + LAST {
        steps = rungs.iter().map(step).collect();
    } else {
        let (first, rest) = rungs.split_at(FIRST);
        let (left_out, last) = rest.split_at(rest.len() - LAST);
        steps = first.iter().map(step).collect();
        steps.push(left_out_of_the_page(left_out.len()));
        steps.extend(last.iter().map(step));
    }
    if ladder.omitted > 0 {
        steps.push(left_out_of_the_page(ladder.omitted as usize));
    }
    steps
}

fn left_out_of_the_page(count: usize) -> Step {
    Step {
        at: String::new(),
        sender: "",
        kind: "more",
        what: format!("{count} more"),
        bytes: None,
        packet: String::new(),
        encrypted: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{LadderStep, Side};
    use crate::sink::test_events;
    use crate::tls::HandshakeType;

    fn ladder(len: usize) -> Ladder {
        let event = test_events::refused_by_the_client();
        let mut ladder = Ladder::default();
        let step = |number: usize| LadderStep {
            time: event
                .time
                .saturating_add(Duration::from_micros(number as u64)),
            source: event.source.clone(),
            packet: number as u64,
            sender: Side::Client,
            kind: StepKind::Message(HandshakeType::ClientHello),
            bytes: Some(100),
            encrypted: false,
        };
        ladder.steps = (0..len).map(step).collect();
        ladder
    }

    #[test]
    fn a_long_ladder_keeps_its_beginning_and_its_end() {
        let event = test_events::refused_by_the_client();
        let all = steps(&event, &ladder(FIRST + LAST));
        assert_eq!(all.len(), FIRST + LAST);
        let cut = steps(&event, &ladder(200));
        assert_eq!(cut.len(), FIRST + LAST + 1);
        assert_eq!(cut[FIRST].what, "136 more");
        assert_eq!((&*cut[0].at, &*cut[FIRST + LAST].packet), ("0.000", "199"));
    }
}
