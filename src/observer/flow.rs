//! One flow: its transport, and what is done with what that delivers.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Layers, Segment, SeqNumber};
use crate::decrypt::Keys;
use crate::dialogue::{self, Dialogue, DialogueStep};
use crate::flow::{Direction, PerDirection};
use crate::handshake::{Close, Tracker};
use crate::time::Timestamp;
use crate::tls::{Detection, detect, is_hello_amid_stream};
use crate::transport::Lifetime;
use crate::transport::tcp::{Arrival, Budget, Chunk, Delivery, TcpConnection};

use super::retained::RetainedPackets;

/// A flow: a TCP connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the first segment seen went from the lower to the higher endpoint.
    pub(super) first_went_up: bool,
    pub(super) first_seen: Timestamp,
    pub(super) tcp: TcpConnection,
    pub(super) stage: Stage,
    /// The packets so far, where they are retained.
    pub(super) retained: Option<RetainedPackets>,
    /// Directions that began with something else than TLS.
    is_plain: PerDirection<bool>,
    /// Directions that the open handshake knows to be in view. Stands here, so that bare acknowledgments, which every other
    /// packet is, need not look at the handshake.
    is_noted: PerDirection<bool>,
}

/// How much is done for a flow.
#[derive(Debug)]
pub(super) enum Stage {
    /// No TLS so far.
    Watching(Dialogue),
    /// A handshake is open.
    Handshake(Box<Open>),
    /// Nothing more is to be learned.
    Done,
}

/// An open handshake.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Tracker,
    /// The file or interface that its first packet came from.
    pub(super) source: Arc<str>,
    /// The layers around its first packet.
    pub(super) layers: Layers,
    /// What was spoken before.
    pub(super) dialogue: Dialogue,
    /// Bytes that it holds, as last counted.
    pub(super) held: usize,
    /// When it last made progress.
    last_progress: Timestamp,
}

/// How long retransmissions may keep a handshake open: TCP gives up a connection after some 100 s (RFC 1122 §4.2.3.5).
const MAX_RETRANSMISSION: Duration = Duration::from_secs(100);

/// What a handshake needs to know of its first packet, and of the run.
pub(super) struct HandshakeContext<'c> {
    pub(super) source: &'c Arc<str>,
    pub(super) layers: &'c Layers,
    pub(super) keys: &'c Keys,
}

impl Flow {
    pub(super) fn new(first_went_up: bool, first_seen: Timestamp) -> Self {
        Self {
            first_went_up,
            first_seen,
            tcp: TcpConnection::new(),
            stage: Stage::Watching(Dialogue::default()),
            retained: None,
            is_plain: PerDirection::default(),
            is_noted: PerDirection::default(),
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match &self.stage {
            Stage::Handshake(open) if open.connection.is_closing() => Lifetime::Closing,
            Stage::Handshake(_) => Lifetime::Handshake,
            Stage::Watching(_) if !self.is_any_plain() => Lifetime::Opening,
            _ => Lifetime::Established,
        }
    }

    /// Whether the open handshake has completed and is in use, so that silence is not a time-out.
    pub(super) fn is_settled(&self) -> bool {
        match &self.stage {
            Stage::Handshake(open) => open.connection.is_settled(),
            Stage::Watching(_) | Stage::Done => false,
        }
    }

    pub(super) const fn has_handshake(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Whether its packets may turn out to be those of a failed handshake.
    pub(super) fn is_worth_retaining(&self) -> bool {
        match self.stage {
            Stage::Watching(_) => !self.is_any_plain(),
            Stage::Handshake(_) => true,
            Stage::Done => false,
        }
    }

    /// Whether it has ended and nothing is awaited, so that its key is all that is still needed.
    pub(super) const fn is_over(&self) -> bool {
        self.tcp.is_closed() && !self.has_handshake()
    }

    /// Records what a segment's header says about the connection.
    pub(super) fn handle_header(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
    ) {
        let is_in_use = matches!(self.stage, Stage::Done) || self.is_plain[direction];
        self.tcp.handle_header(direction, segment, time, is_in_use);
    }

    /// Takes a segment that does nothing but acknowledge; false if it is more than that to the open handshake.
    ///
    /// Every other packet is one: they pass without a look at the handshake itself.
    pub(super) fn take_acknowledgment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
    ) -> bool {
        if !segment.is_bare() || !self.has_handshake() {
            return false;
        }
        if !self.is_noted[direction] {
            self.is_noted[direction] = true;
            return false;
        }
        self.tcp.acknowledge(direction, segment);
        !self.tcp.is_overdue(time)
    }

    /// Takes a segment; true if it shows that a peer still tries to continue.
    pub(super) fn handle_segment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &HandshakeContext<'_>,
        budget: &mut Budget,
    ) -> bool {
        if let Stage::Watching(_) = self.stage {
            self.watch(direction, segment, at, context, budget);
        }
        self.feed(direction, segment, at, budget)
    }

    /// Looks whether TLS begins with this segment; takes care of the order of the bytes before.
    fn watch(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        if self.is_plain[direction] {
            return self.watch_dialogue(direction, segment, at, context, budget);
        }
        if segment.wire_length == 0 {
            if self.is_plain[direction.flip()] && self.tcp.is_holding() {
                self.watch_dialogue(direction, segment, at, context, budget);
            }
            return;
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
                self.is_plain[direction] = true;
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
        context: &HandshakeContext<'_>,
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
        let end = i64::from(self.tcp.delivered(direction)) + i64::from(ahead);
        let is_over = end > i64::from(dialogue::MAX_BYTES);
        if !self.tcp.is_holding() {
            // The usual case by far, for traffic that is not TLS: in order, and looked at above.
            if is_over {
                return;
            }
            let is_done = match &mut self.stage {
                Stage::Watching(dialogue) if ahead == 0 => {
                    dialogue.take(direction, segment.payload) == DialogueStep::More
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
        let is_plain = self.is_plain;
        let is_in_view = self.tcp.in_view();
        let stage = &mut self.stage;
        // Who sent the hello, and what it had acknowledged.
        let mut hello = None;
        let mut deliver = |sender: Direction, delivery: Delivery<'_>| {
            let Delivery::Chunk(chunk) = delivery else {
                return;
            };
            if let (Stage::Watching(dialogue), Chunk::Bytes(bytes, arrival)) = (&mut *stage, chunk)
            {
                let DialogueStep::TlsBegins(skipped) = dialogue.take(sender, bytes) else {
                    return;
                };
                let mut open = Open::new(*dialogue, at, context);
                open.note_directions(is_in_view, is_plain, at);
                let rest = bytes.get(skipped..).unwrap_or_default();
                let rest = Chunk::Bytes(rest, arrival);
                open.connection.handle_chunk(sender, rest);
                *stage = Stage::Handshake(open);
                hello = Some((sender, arrival.acknowledged));
            } else if let Stage::Handshake(open) = stage {
                open.connection.handle_chunk(sender, chunk);
            }
        };
        if segment.wire_length > 0 {
            self.tcp.push(direction, segment, at, budget, &mut deliver);
        }
        self.tcp.acknowledge(direction, segment);
        for way in Direction::BOTH {
            if is_plain[way] {
                self.tcp.skip_overdue(way, at.time, budget, &mut deliver);
            }
        }
        if let Some((sender, acknowledged)) = hello {
            let peer = sender.flip();
            let acknowledged = acknowledged.map(|offset| self.tcp.at(peer, offset));
            // The hello waited for plain text before it: what it acknowledges and is not in view yet is plain text, too.
            self.is_plain[peer] |= acknowledged.is_some_and(|next| self.tcp.ahead(peer, next) > 0);
            self.join_peer(sender, acknowledged, budget);
        }
    }

    /// A handshake begins with this segment.
    fn begin(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &HandshakeContext<'_>,
        budget: &mut Budget,
    ) {
        let dialogue = match self.stage {
            Stage::Watching(dialogue) => dialogue,
            _ => Dialogue::default(),
        };
        let mut open = Open::new(dialogue, at, context);
        let is_in_view = self.tcp.in_view();
        open.note_directions(is_in_view, self.is_plain, at);
        self.stage = Stage::Handshake(open);
        if !self.tcp.is_started(direction) {
            self.tcp.restart(direction, segment.first_byte(), budget);
        }
        let acknowledged = segment.flags.ack.then_some(segment.acknowledgment);
        self.join_peer(direction, acknowledged, budget);
    }

    /// Begins the opposite direction's stream of records, where its bytes so far were none, or plain text: behind what the
    /// sender of the hello had acknowledged.
    fn join_peer(
        &mut self,
        direction: Direction,
        acknowledged: Option<SeqNumber>,
        budget: &mut Budget,
    ) {
        let peer = direction.flip();
        if let Some(next) = acknowledged
            && (self.is_plain[peer] || !self.tcp.is_started(peer))
        {
            self.tcp.restart(peer, next, budget);
        }
        self.is_plain = PerDirection::default();
        self.is_noted = self.tcp.in_view();
    }

    /// Feeds a segment to the open handshake; true if it shows that a peer still tries to continue.
    fn feed(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) -> bool {
        let Stage::Handshake(open) = &mut self.stage else {
            return false;
        };
        let connection = &mut open.connection;
        connection.note_packet(direction, at);
        let mut has_closed = false;
        let mut deliver = |sender, delivery: Delivery<'_>| match delivery {
            Delivery::Chunk(chunk) => connection.handle_chunk(sender, chunk),
            Delivery::Fin(at) => has_closed |= connection.handle_close(sender, Close::Fin, at),
            Delivery::Rst(at) => has_closed |= connection.handle_close(sender, Close::Rst, at),
        };
        let mut has_progress = false;
        let mut is_lossy = false;
        if segment.wire_length > 0 {
            let pushed = self.tcp.push(direction, segment, at, budget, &mut deliver);
            (has_progress, is_lossy) = (pushed.is_new, pushed.is_lossy);
        }
        self.tcp
            .settle(direction, segment, at, budget, &mut deliver);
        has_progress |= has_closed;
        if is_lossy {
            connection.note_truncated();
        }
        if has_progress {
            open.last_progress = at.time;
        }
        // A retransmission is no progress, but no silence either: its sender has not given up yet. A keep-alive is silence.
        let is_retransmission = (segment.wire_length > 1 || segment.flags.fin)
            && at
                .time
                .checked_since(open.last_progress)
                .is_none_or(|since| since < MAX_RETRANSMISSION);
        has_progress || is_retransmission
    }

    /// Delivers what is held, with gaps where bytes are missing: no more segments will come.
    pub(super) fn flush(&mut self, budget: &mut Budget) {
        let Stage::Handshake(open) = &mut self.stage else {
            return;
        };
        let connection = &mut open.connection;
        self.tcp.finish(budget, &mut |sender, delivery| {
            if let Delivery::Chunk(chunk) = delivery {
                connection.handle_chunk(sender, chunk);
            }
        });
        connection.handle_end();
    }

    /// Gives back what the connection holds.
    pub(super) fn release(&mut self, budget: &mut Budget) {
        for direction in Direction::BOTH {
            self.tcp.clear(direction, budget);
        }
    }

    fn is_any_plain(&self) -> bool {
        self.is_plain.iter().any(|is_plain| *is_plain)
    }
}

impl Open {
    fn new(dialogue: Dialogue, at: Arrival, context: &HandshakeContext<'_>) -> Box<Self> {
        Box::new(Self {
            connection: Tracker::new(at, context.keys),
            source: Arc::clone(context.source),
            layers: *context.layers,
            dialogue,
            held: 0,
            last_progress: at.time,
        })
    }

    /// Tells the handshake what was seen of both directions before it began.
    fn note_directions(
        &mut self,
        is_in_view: PerDirection<bool>,
        is_plain: PerDirection<bool>,
        at: Arrival,
    ) {
        for direction in Direction::BOTH {
            if is_in_view[direction] {
                self.connection.note_packet(direction, at);
            }
            if is_plain[direction] {
                self.connection.note_plain(direction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_flow_stays_small() {
        // There is one for each connection in view: a new field is worth a thought.
        assert!(size_of::<Flow>() <= 168, "{}", size_of::<Flow>());
    }
}
