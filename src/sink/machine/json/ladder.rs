//! A handshake with its steps, as `tlscope show --format json` prints it.

use serde::Serialize;

use super::lines::{HandshakeLine, Line};
use super::value::{OneOf, Text, Time};
use crate::event::{HandshakeReport, Ladder, LadderStep, Side, StepKind};
use crate::time::Timestamp;

/// The line of a handshake, and what only `show` knows of it.
#[derive(Serialize)]
pub(super) struct HandshakeWithLadder<'a> {
    #[serde(flatten)]
    event: Shown<'a>,
    /// Its place in the order of time, from 1, by which `show` selects it.
    number: usize,
    /// What each side sent, step by step.
    ladder: LadderObject<'a>,
}

/// Owns the line that it shows.
struct Shown<'a>(HandshakeLine<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line::Handshake(&self.0).serialize(serializer)
    }
}

#[derive(Serialize)]
struct LadderObject<'a> {
    steps: Vec<StepObject<'a>>,
    /// Steps that followed and were not kept, because of a limit.
    omitted: u32,
}

#[derive(Serialize)]
struct StepObject<'a> {
    time: Time<Timestamp>,
    source: &'a str,
    packet: u64,
    sender: OneOf<Side>,
    /// As in the ladder for people: `ClientHello`, `encrypted record`, `TCP FIN`.
    name: Text<StepKind>,
    /// `null` for closes, and for the hellos of SSLv2.
    bytes: Option<u32>,
    encrypted: bool,
}

impl<'a> HandshakeWithLadder<'a> {
    pub(super) fn new(report: &'a HandshakeReport, number: usize) -> Self {
        let ladder = report.ladder.as_deref();
        let steps = ladder.map_or(&[][..], |ladder: &Ladder| &ladder.steps);
        let event = HandshakeLine::from(&report.event).with_names(&report.event);
        Self {
            event: Shown(event),
            number,
            ladder: LadderObject {
                steps: steps.iter().map(StepObject::from).collect(),
                omitted: ladder.map_or(0, |ladder| ladder.omitted),
            },
        }
    }
}

impl<'a> From<&'a LadderStep> for StepObject<'a> {
    fn from(step: &'a LadderStep) -> Self {
        Self {
            time: Time(step.time),
            source: &step.source,
            packet: step.packet,
            sender: OneOf(step.sender),
            name: Text(step.kind),
            bytes: step.bytes,
            encrypted: step.encrypted,
        }
    }
}
