//! Segments that wait until what they acknowledge has been delivered.

use std::sync::Arc;

use crate::decode::{Layers, Segment, SeqNumber};
use crate::decrypt::Keys;
use crate::dialogue;
use crate::flow::Direction;
use crate::time::Timestamp;
use crate::tls::{Detection, RecordHeader, detect};
use crate::transport::tcp::{Arrival, Budget, PendingSegment, PendingSegments, TcpConnection};

use super::open::{HandshakeContext, Spares};
use super::{Flow, IS_HOLDER, IS_ORDER_LOST, Stage};

/// Segments that acknowledge what has not been delivered yet, and what a handshake needs to know that begins with one of them.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) segments: PendingSegments,
    pub(super) source: Arc<str>,
    pub(super) layers: Layers,
    pub(super) collects_ladders: bool,
}

impl Flow {
    /// Whether segments wait for what they acknowledge.
    pub(in crate::observer) fn is_waiting(&self) -> bool {
        self.waiting.is_some() && !self.is_decided()
    }

    /// Whether it holds segments: out of order, or not believed.
    pub(in crate::observer) fn holds_segments(&self) -> bool {
        self.waiting.is_some() || self.suspects.is_some() || self.tcp.is_holding()
    }

    /// Whether it is noted as one that holds segments.
    pub(in crate::observer) const fn is_holder(&self) -> bool {
        self.notes & IS_HOLDER != 0
    }

    /// Notes whether it is one that holds segments.
    pub(in crate::observer) const fn note_holder(&mut self, is_holder: bool) {
        if is_holder {
            self.notes |= IS_HOLDER;
        } else {
            self.notes &= !IS_HOLDER;
        }
    }

    /// Gives up what is held, but for segments that wait for their turn: holes in a handshake are gaps from now on, and segments that
    /// nobody has confirmed are forgotten.
    pub(in crate::observer) fn give_up_held(&mut self, budget: &mut Budget) {
        if let Some(mut suspects) = self.take_suspects(budget) {
            suspects.clear(budget);
        }
        for direction in Direction::BOTH {
            if let Stage::Handshake(open) = &mut self.stage {
                self.tcp
                    .skip_holes(direction, budget, &mut |sender, delivery| {
                        open.deliver(sender, delivery);
                    });
            } else {
                self.tcp.clear(direction, budget);
            }
        }
    }

    /// Takes a segment that has waited for its turn.
    pub(super) fn take_late(
        &mut self,
        waiting: &PendingSegment,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let (direction, segment, at) = (waiting.direction, waiting.segment(), waiting.arrival);
        self.tcp.note_turn(direction, &segment);
        if let Stage::Watching(_) = self.stage {
            self.watch(direction, &segment, at, context, budget);
        }
        if let (Stage::Handshake(open), false) = (&mut self.stage, waiting.is_noted) {
            let last = open.connection.last_packet();
            if last.packet < at.packet {
                open.connection.note_packet(direction, at);
            }
            let delivery = open.connection.delivery_mut();
            self.tcp
                .note_delivery(direction, &segment, at.time, delivery);
        }
        self.feed(direction, &segment, at, budget);
    }

    /// Whether a segment was sent after something that has not been delivered yet, and that matters.
    pub(super) fn must_wait(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let waits = |waiting: &Waiting| waiting.segments.any(|way, _| way == direction);
        let is_behind = segment.flags.rst && self.waiting.as_deref().is_some_and(waits);
        if !is_behind && !self.tcp.must_wait(direction, segment) || segment.is_bare() {
            return false;
        }
        match &self.stage {
            Stage::Handshake(_) => true,
            Stage::Done { .. } => false,
            Stage::Watching(_) => self.must_wait_before_tls(direction, segment),
        }
    }

    /// The same before TLS has begun: only what may be its beginning, a step of a dialogue, or an alert or a close that
    /// answers one of them, waits. So does a reset: a receiver believes none but one with the number of the next byte (RFC 5961 §3).
    fn must_wait_before_tls(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        if self.waiting.is_some() {
            return true; // what follows a segment that waits does, too
        }
        let is_step = segment.flags.fin || segment.flags.rst || !segment.payload.is_empty();
        is_step
            && self.notes & IS_ORDER_LOST == 0
            && self.may_wait_before_tls(direction, segment)
            && self.tcp.delivered(direction) <= dialogue::MAX_BYTES
            && !is_beyond_order(&self.tcp, direction.flip())
            && !(segment.flags.rst && is_beyond_order(&self.tcp, direction))
            && may_precede_tls(segment.payload)
    }

    /// Whether a segment is the next in its direction, or lies behind what has not been captured yet and may be records, or a
    /// bare FIN: where the ClientHello comes late, so do what answers it and what follows the answer.
    fn may_wait_before_tls(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let ahead = self.tcp.ahead(direction, segment.first_byte());
        let may_follow_hello = segment.payload.is_empty() || may_be_records(segment.payload);
        ahead == 0 || ahead > 0 && may_follow_hello
    }

    /// Keeps a segment until what it acknowledges has been delivered.
    pub(super) fn hold(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let is_noted = self.note(direction, segment, at);
        self.tcp.acknowledge(direction, segment);
        if let (true, Stage::Handshake(open)) = (segment.flags.fin, &mut self.stage) {
            // Its header counts at once, so a later segment may deliver this close.
            let arrival = self.tcp.arrival(direction, segment, at);
            open.note_fin(direction, arrival);
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                segments: PendingSegments::default(),
                source: Arc::clone(context.source),
                layers: *context.layers,
                collects_ladders: context.collects_ladders,
            })
        });
        let is_held = waiting
            .segments
            .push(direction, segment, at, is_noted, budget);
        if let (false, Stage::Handshake(open)) = (is_held, &mut self.stage) {
            open.connection.note_truncated();
        }
    }

    /// Takes the segments whose turn has come, and by `now` those that have waited too long: what they wait for is given
    /// up. Without `now`, no segment waits any longer.
    pub(in crate::observer) fn release_waiting(
        &mut self,
        now: Option<Timestamp>,
        keys: &Keys,
        spares: &mut Spares,
        budget: &mut Budget,
    ) {
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        let Waiting {
            segments,
            source,
            layers,
            collects_ladders,
        } = &mut *waiting;
        let mut context = HandshakeContext {
            source,
            layers,
            keys,
            collects_ladders: *collects_ladders,
            spares,
        };
        while !self.is_decided() {
            let tcp = &self.tcp;
            let is_ready = |direction, segment: &Segment<'_>| !tcp.must_wait(direction, segment);
            let next = segments.take_ready(budget, is_ready).or_else(|| {
                let overdue = match now {
                    Some(now) => segments.take_overdue(now, budget),
                    None => segments.take_first(budget),
                }?;
                self.give_up(&overdue, budget);
                Some(overdue)
            });
            let Some(next) = next else { break };
            if let (Some(now), Stage::Handshake(open)) = (now, &mut self.stage) {
                open.connection
                    .note_late(next.direction.flip(), next.arrival.time, now);
            }
            self.take_late(&next, &mut context, budget);
        }
        if !segments.is_empty() {
            self.waiting = Some(waiting);
        }
    }

    /// Lets nothing wait any longer before TLS has begun if a segment shows that the connection carries something else: its
    /// data is not held.
    pub(super) fn give_up_order(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let Some(waiting) = &self.waiting else { return };
        let is_records = |way, held: &Segment<'_>| way == direction && may_be_records(held.payload);
        if self.has_handshake()
            || may_precede_tls(segment.payload)
            || waiting.segments.any(is_records)
        {
            return;
        }
        self.notes |= IS_ORDER_LOST;
        self.release_waiting(None, context.keys, context.spares, budget);
    }

    /// Gives up what a segment has waited for.
    pub(super) fn give_up(&mut self, waiting: &PendingSegment, budget: &mut Budget) {
        let direction = waiting.direction;
        let Stage::Handshake(open) = &mut self.stage else {
            self.notes |= IS_ORDER_LOST;
            return self.tcp.note_absent(direction.flip());
        };
        let segment = waiting.segment();
        let tcp = &mut self.tcp;
        tcp.give_up(
            direction,
            &segment,
            waiting.arrival,
            budget,
            &mut |sender, delivery| {
                open.deliver(sender, delivery);
            },
        );
    }
}

/// Whether a direction has sent more than is read in order before TLS. What lies behind that is never delivered, so nothing waits
/// for it.
pub(super) fn is_beyond_order(tcp: &TcpConnection, direction: Direction) -> bool {
    tcp.reach(direction)
        .is_some_and(|reach| lies_beyond_order(tcp, direction, reach))
}

/// Whether a place of a direction's stream lies behind what is read in order before TLS.
#[inline]
pub(super) fn lies_beyond_order(
    tcp: &TcpConnection,
    direction: Direction,
    place: SeqNumber,
) -> bool {
    let end = i64::from(tcp.delivered(direction)) + i64::from(tcp.ahead(direction, place));
    end > i64::from(dialogue::MAX_BYTES)
}

/// The longest step of a dialogue that waits for what it answers: greetings and lists of capabilities are shorter.
const LONGEST_STEP: usize = 512;

/// Whether a segment may be a step of the dialogue before TLS, or begin TLS, or answer a hello: data of other protocols is
/// mostly longer.
fn may_precede_tls(payload: &[u8]) -> bool {
    payload.len() <= LONGEST_STEP || may_be_records(payload)
}

pub(super) fn may_be_records(payload: &[u8]) -> bool {
    detect(payload) != Detection::Other || RecordHeader::read(payload).is_ok()
}
