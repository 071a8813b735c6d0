//! What a connection carries before TLS, until a handshake begins.

use crate::decode::{Segment, SeqNumber};
use crate::dialogue::{Dialogue, DialogueStep};
use crate::flow::{Direction, PerDirection};
use crate::handshake::Close;
use crate::tls::{Detection, RecordHeader, detect, is_hello_amid_stream};
use crate::transport::tcp::{Arrival, Budget, Chunk, Delivery};

use super::open::{HandshakeContext, Open};
use super::order::lies_beyond_order;
use super::{Flow, Stage};

/// With what a direction began, before a hello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing so far, or a hello.
    #[default]
    Nothing,
    /// Something else than TLS.
    Plain,
    /// A record that is no hello: the capture began amid TLS, or the other direction is late.
    Record,
}

impl Before {
    pub(super) fn is_any(self) -> bool {
        self != Self::Nothing
    }
}

impl Flow {
    /// Notes a reset before TLS. It may be forged: hosts that go on show it.
    pub(super) fn note_early_reset(
        &mut self,
        sender: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) {
        let is_early = segment.flags.rst && self.tcp.is_accepted();
        if is_early && self.has_room_for_suspects(budget) {
            let at = self.tcp.arrival(sender, segment, at);
            let suspects = self.suspects.get_or_insert_default();
            suspects.keep_reset(sender, at);
        }
    }

    pub(super) fn early_reset(&self) -> Option<(Direction, Arrival)> {
        self.suspects.as_ref()?.reset()
    }

    /// Looks whether TLS begins with this segment; takes care of the order of the bytes before.
    pub(super) fn watch(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        if self.before[direction].is_any() {
            return self.watch_dialogue(direction, segment, at, context, budget);
        }
        if segment.wire_length == 0 {
            if self.before[direction.flip()].is_any() && self.tcp.is_holding() {
                return self.watch_dialogue(direction, segment, at, context, budget);
            }
            return self.tcp.acknowledge(direction, segment);
        }
        let ahead = self.tcp.ahead(direction, segment.first_byte());
        if ahead > 0 {
            self.tcp
                .push(direction, segment, at, budget, &mut |_, _| {});
            return;
        }
        self.tcp.begin(direction, segment);
        let known = ahead.unsigned_abs();
        if known >= segment.wire_length {
            return; // a retransmission
        }
        let first = segment.payload.get(known as usize..).unwrap_or_default();
        match detect(first) {
            Detection::Other => {
                let is_record = RecordHeader::read(first).is_ok();
                self.before[direction] = if is_record {
                    Before::Record
                } else {
                    Before::Plain
                };
                self.watch_dialogue(direction, segment, at, context, budget);
            }
            _ => self.begin(direction, segment, at, context, budget),
        }
    }

    /// Takes a segment of a direction that began with something else than TLS: the dialogue before TLS, if TLS comes.
    fn watch_dialogue(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let ahead = self.tcp.ahead(direction, segment.first_byte());
        // A hello that begins a segment counts, wherever the segment lies: what came before may be lost.
        if is_hello_amid_stream(segment.payload) {
            if ahead != 0 {
                self.tcp.restart(direction, segment.first_byte(), budget);
            }
            return self.begin(direction, segment, at, context, budget);
        }
        let is_over = lies_beyond_order(&self.tcp, direction, segment.first_byte());
        if !self.tcp.is_holding() {
            // The usual case by far, for traffic that is not TLS: in order, and looked at above.
            if is_over {
                return;
            }
            let is_done = match &mut self.stage {
                Stage::Watching(dialogue) if ahead == 0 => {
                    let step = dialogue.take(direction, segment.payload, at.time);
                    self.is_downgraded = dialogue.is_downgraded();
                    step == DialogueStep::More
                }
                _ => false,
            };
            if is_done {
                return self.tcp.skip_in_order(direction, segment);
            }
        }
        let is_held_too_much = ahead > 0 && budget.is_half_spent(); // the rest is for handshakes
        if is_over || is_held_too_much {
            return self.tcp.clear(direction, budget);
        }
        let before = self.before;
        let is_in_view = self.tcp.in_view();
        let first_bytes = self.tcp.first_bytes();
        let has_opening = self.tcp.has_opening();
        // How far each direction has come, if its stream has begun.
        let known = PerDirection(Direction::BOTH.map(|way| {
            let is_started = self.tcp.is_started(way);
            is_started.then(|| self.tcp.delivered(way))
        }));
        let early_reset = self.early_reset();
        let stage = &mut self.stage;
        // Who sent the hello, and what it had acknowledged.
        let mut hello = None;
        let mut deliver = |sender: Direction, delivery: Delivery<'_>| {
            let Delivery::Chunk(chunk) = delivery else {
                return;
            };
            if let (Stage::Watching(dialogue), Chunk::Bytes(bytes, arrival)) = (&mut *stage, chunk)
            {
                let skipped = match dialogue.take(sender, bytes, arrival.time) {
                    DialogueStep::More => return,
                    DialogueStep::TlsBegins(skipped) => skipped,
                    DialogueStep::TlsBegan => 0,
                };
                let mut open = Open::new(std::mem::take(dialogue), at, context);
                open.note_directions(is_in_view, before, (first_bytes, has_opening), at);
                if let Some((sender, at)) = early_reset {
                    open.connection.handle_close(sender, Close::Rst, at);
                }
                let rest = bytes.get(skipped..).unwrap_or_default();
                hello = Some((sender, arrival.acknowledged));
                // The peer's stream will begin where the hello was sent: what it acknowledges is counted from there.
                let peer = sender.flip();
                let joins = |acknowledged: u32| {
                    let is_behind = |known: u32| acknowledged.wrapping_sub(known).cast_signed() > 0;
                    before[peer].is_any() || known[peer].is_none_or(is_behind)
                };
                let arrival = Arrival {
                    acknowledged: arrival
                        .acknowledged
                        .map(|bytes| if joins(bytes) { 0 } else { bytes }),
                    ..arrival
                };
                let Open {
                    connection,
                    dialogue,
                    recent,
                    ..
                } = &mut *open;
                let held = (
                    dialogue.held(sender),
                    arrival.ending_before(rest.len() as u32),
                );
                for (bytes, arrival) in [held, (rest, arrival)] {
                    if !bytes.is_empty() {
                        recent[sender].note(bytes, arrival.end);
                        connection.handle_chunk(sender, Chunk::Bytes(bytes, arrival));
                    }
                }
                *stage = Stage::Handshake(open);
            } else if let Stage::Handshake(open) = stage {
                open.handle_chunk(sender, chunk);
            }
        };
        if segment.wire_length > 0 {
            self.tcp.push(direction, segment, at, budget, &mut deliver);
        }
        self.tcp.acknowledge(direction, segment);
        for way in Direction::BOTH {
            if before[way].is_any() {
                self.tcp.skip_overdue(way, at.time, budget, &mut deliver);
            }
        }
        if let Stage::Watching(dialogue) = &self.stage {
            self.is_downgraded = dialogue.is_downgraded();
        }
        if let Some((sender, acknowledged)) = hello {
            let peer = sender.flip();
            // Where nothing of the peer's stream is known yet, the segment that brought the hello says where it goes on.
            let is_unknown = sender == direction && !self.tcp.is_started(peer);
            let acknowledged = acknowledged
                .map(|offset| self.tcp.at(peer, offset))
                .or_else(|| (is_unknown && segment.flags.ack).then_some(segment.acknowledgment));
            // The hello waited for plain text before it: what it acknowledges and is not in view yet is plain text, too.
            if acknowledged.is_some_and(|next| self.tcp.ahead(peer, next) > 0) {
                self.before[peer] = Before::Plain;
            }
            self.join_peer(sender, acknowledged, budget);
        }
    }

    /// A handshake begins with this segment.
    pub(super) fn begin(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let dialogue = match &mut self.stage {
            Stage::Watching(dialogue) => std::mem::take(dialogue),
            _ => Dialogue::default(),
        };
        let mut open = Open::new(dialogue, at, context);
        let is_in_view = self.tcp.in_view();
        let first_bytes = self.tcp.first_bytes();
        let has_opening = self.tcp.has_opening();
        open.note_directions(is_in_view, self.before, (first_bytes, has_opening), at);
        if let Some((sender, at)) = self.early_reset() {
            open.connection.handle_close(sender, Close::Rst, at);
        }
        self.stage = Stage::Handshake(open);
        if !self.tcp.is_started(direction) {
            self.tcp.restart(direction, segment.first_byte(), budget);
        }
        let acknowledged = segment.flags.ack.then_some(segment.acknowledgment);
        self.join_peer(direction, acknowledged, budget);
    }

    /// Begins the opposite direction's stream of records, where its bytes so far were none, or plain text: behind what the
    /// sender of the hello had acknowledged.
    pub(super) fn join_peer(
        &mut self,
        direction: Direction,
        acknowledged: Option<SeqNumber>,
        budget: &mut Budget,
    ) {
        let peer = direction.flip();
        if let Some(next) = acknowledged
            && (self.before[peer].is_any() || !self.tcp.is_started(peer))
        {
            self.tcp.restart(peer, next, budget);
        }
        self.before = PerDirection::default();
        self.has_shortcut = self.tcp.in_view();
    }
}
