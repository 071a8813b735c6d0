//! One flow: its transport, and what is done with what that delivers.

mod before_tls;
mod open;
mod order;

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Layers, Segment, SeqNumber, UsualSegment};
use crate::dialogue::{self, Dialogue};
use crate::event::WireMarks;
use crate::flow::{Direction, PerDirection};
use crate::handshake::Answer;
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::is_hello_amid_stream;
use crate::transport::Lifetime;
use crate::transport::tcp::{Arrival, Budget, Chunk, Delivery, Finding, Suspects, TcpConnection};

use super::account::LARGE_HANDSHAKE;
use super::flows::SettledFlow;
use super::in_step::{InStep, Over};
use super::retained::RetainedPackets;
use super::sources::{SourceId, Sources};

use before_tls::Before;
pub(super) use open::{HandshakeContext, Open, Spares};
use order::{Waiting, is_beyond_order, lies_beyond_order};

/// A flow: a TCP connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the first segment seen went from the lower to the higher endpoint.
    pub(super) first_went_up: bool,
    pub(super) first_seen: Timestamp,
    pub(super) tcp: TcpConnection,
    pub(super) stage: Stage,
    /// Segments that acknowledge what has not been delivered yet.
    waiting: Option<Box<Waiting>>,
    /// Segments with numbers out of every window, or a reset before TLS.
    suspects: Option<Box<Suspects>>,
    /// The packets so far, where they are retained.
    pub(super) retained: Option<RetainedPackets>,
    /// What was spoken before TLS, as counted, in units of [`CONVERSATION_UNIT`] bytes.
    conversation_units: u8,
    /// With what each direction began, if that was no hello.
    before: PerDirection<Before>,
    /// Whether TLS was refused and the client went on in plain text, which is to be reported.
    pub(super) is_downgraded: bool,
    /// Directions of which most segments need no look at what is behind the stage. Of an open handshake, those that it knows to be in
    /// view: every other packet is a bare acknowledgment. Before, those whose segments [may pass by](Flow::passes_by): something
    /// else than TLS is spoken, in order, and nothing waits.
    has_shortcut: PerDirection<bool>,
    /// What was noted of segments that wait; one byte, as there are many flows.
    notes: u8,
}

/// Before TLS began, a segment has waited in vain: no more will.
const IS_ORDER_LOST: u8 = 1;

/// It is among the [`Holders`](super::holders::Holders).
const IS_HOLDER: u8 = 2;

/// How much is done for a flow.
#[derive(Debug)]
pub(super) enum Stage {
    /// No TLS so far.
    Watching(Dialogue),
    /// A handshake is open.
    Handshake(Box<Open>),
    /// Nothing more is to be learned.
    Done {
        /// Whether the handshake timed out, so that the connection is already counted as timed out.
        has_timed_out: bool,
    },
}

impl Stage {
    /// After a handshake that did not time out.
    pub(super) const DONE: Self = Self::Done {
        has_timed_out: false,
    };
}

/// What became of a segment that may go on in an open handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continued {
    /// It was not taken: there may be more to it.
    No,
    /// It said nothing but what it acknowledges.
    Acknowledged,
    /// Its bytes were given to the handshake.
    WithData,
}

/// A byte is enough for the number of these in a conversation, and there is one in each flow.
const CONVERSATION_UNIT: usize = 16;

/// How long retransmissions may keep a handshake open: TCP gives up a connection after some 100 s (RFC 1122 §4.2.3.5).
const MAX_RETRANSMISSION: Duration = Duration::from_secs(100);

impl Flow {
    pub(super) fn new(first_went_up: bool, first_seen: Timestamp) -> Self {
        Self {
            first_went_up,
            first_seen,
            tcp: TcpConnection::new(),
            stage: Stage::Watching(Dialogue::default()),
            waiting: None,
            suspects: None,
            retained: None,
            conversation_units: 0,
            before: PerDirection::default(),
            is_downgraded: false,
            has_shortcut: PerDirection::default(),
            notes: 0,
        }
    }

    /// Notes the file or interface that a packet came from, for the steps of a handshake.
    pub(super) fn note_source(&mut self, source: &Arc<str>, at: Arrival) {
        if let Stage::Handshake(open) = &mut self.stage {
            open.connection.note_source(source, at);
        }
    }

    /// Notes where a segment came from, if it is the first after the SYN and TLS has not begun.
    pub(super) fn note_place(&mut self, source: &Arc<str>, sources: &mut Sources) {
        if let Stage::Watching(dialogue) = &mut self.stage
            && dialogue.source.is_none()
        {
            dialogue.source = sources.id(source);
        }
    }

    /// Where that came from.
    pub(super) fn place(&self) -> Option<SourceId> {
        match &self.stage {
            Stage::Watching(dialogue) => dialogue.source,
            Stage::Handshake(_) | Stage::Done { .. } => None,
        }
    }

    /// Notes the layers around a packet, where those of the first packet had no tunnel or no VLAN: one direction may be in a
    /// tunnel and the other not, and a mirror may show a packet inside and outside of it.
    pub(super) fn note_layers(&mut self, layers: &Layers) {
        // What comes after both closes belongs to no handshake.
        if let Stage::Handshake(open) = &mut self.stage
            && !open.connection.has_ended()
        {
            open.layers.add_missing(layers);
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match &self.stage {
            _ if self.is_waiting() => Lifetime::Waiting,
            Stage::Handshake(open) if open.connection.is_closing() => Lifetime::Closing,
            Stage::Handshake(open) => match open.connection.answer() {
                Answer::Bytes => Lifetime::Handshake,
                Answer::Packets => Lifetime::Unanswered,
                Answer::None => Lifetime::HalfOpen,
            },
            Stage::Watching(_) if self.was_closed_early() => Lifetime::Reset,
            Stage::Watching(_) if !self.is_any_plain() => Lifetime::Opening,
            _ => Lifetime::Established,
        }
    }

    /// Whether the open handshake takes more memory than ordinary ones.
    pub(super) fn is_large(&self) -> bool {
        matches!(&self.stage, Stage::Handshake(open) if open.allocated > LARGE_HANDSHAKE)
    }

    /// Whether the open handshake has completed and is in use, so that silence is not a time-out.
    pub(super) fn is_settled(&self) -> bool {
        match &self.stage {
            Stage::Handshake(open) => open.connection.is_settled(),
            Stage::Watching(_) | Stage::Done { .. } => false,
        }
    }

    /// Whether its handshake timed out.
    pub(super) const fn has_timed_out(&self) -> bool {
        matches!(
            self.stage,
            Stage::Done {
                has_timed_out: true
            }
        )
    }

    /// Whether the connection of the open handshake was reset. It ends as soon as late packets have had their time.
    pub(super) fn is_closing(&self) -> bool {
        match &self.stage {
            Stage::Handshake(open) => open.connection.is_closing(),
            Stage::Watching(_) | Stage::Done { .. } => false,
        }
    }

    /// Bytes of memory that what was spoken so far takes, if they have not been counted yet; counts them.
    pub(super) fn count_conversation(&mut self) -> usize {
        match &self.stage {
            Stage::Watching(dialogue) if self.conversation_units == 0 => {
                let units = dialogue.allocated().div_ceil(CONVERSATION_UNIT);
                self.conversation_units = u8::try_from(units).unwrap_or(u8::MAX);
                usize::from(self.conversation_units) * CONVERSATION_UNIT
            }
            _ => 0,
        }
    }

    /// The same bytes, once they no longer count.
    pub(super) fn release_conversation(&mut self) -> usize {
        usize::from(std::mem::take(&mut self.conversation_units)) * CONVERSATION_UNIT
    }

    /// When the open handshake began, if there is one.
    pub(super) fn open_since(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Handshake(open) => Some(open.since),
            Stage::Watching(_) | Stage::Done { .. } => None,
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
            Stage::Done { .. } => false,
        }
    }

    /// Whether it has ended and nothing is awaited, so that its key is all that is still needed.
    pub(super) fn is_over(&self) -> bool {
        self.tcp.is_closed()
            && !self.has_handshake()
            && !self.is_waiting()
            && !self.was_closed_early()
    }

    /// Whether it was reset or closed before TLS, which may begin all the same if another host did that. Where both sides acknowledged
    /// the close, it did not.
    pub(super) fn was_closed_early(&self) -> bool {
        let is_too_late = |way: &Direction| is_beyond_order(&self.tcp, *way);
        let may_go_on = || {
            let is_in_order = self.tcp.is_closed() && !self.tcp.was_reset();
            is_in_order && !self.tcp.is_close_confirmed()
        };
        matches!(self.stage, Stage::Watching(_))
            && (self.early_reset().is_some() || may_go_on())
            && !Direction::BOTH.iter().any(is_too_late)
    }

    /// Whether a SYN begins another connection between the same endpoints, without a doubt: this one is over, or nothing
    /// that happens on it matters.
    pub(super) fn is_replaced_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let is_over = matches!(self.stage, Stage::Done { .. }) || self.tcp.is_closed();
        is_over && self.tcp.is_replaced_by(direction, segment)
    }

    /// Whether a segment belongs to the connection: its receiver would take its numbers.
    pub(super) fn admit(&mut self, direction: Direction, segment: &Segment<'_>) -> bool {
        // Where nothing is left to learn, nothing can be forged.
        if let Stage::Done { .. } = self.stage {
            return true;
        }
        // The answer to the SYN of another connection may lie within the windows of this one.
        let is_answer = |suspects: &Suspects| suspects.is_answered_by(direction, segment);
        if self.suspects.as_deref().is_some_and(is_answer) {
            return false;
        }
        // Before TLS begins, a reset ends all that is known. In a handshake, what follows shows whether one was believed.
        let counts = segment.flags.fin || matches!(self.stage, Stage::Watching(_));
        if counts && self.tcp.is_close_of_the_past(direction, segment) {
            return false;
        }
        self.tcp.admit(direction, segment)
    }

    /// Takes a segment that was not admitted.
    pub(super) fn suspect(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        budget: &mut Budget,
    ) -> Finding {
        if !self.has_room_for_suspects(budget) {
            budget.out_of_window += 1;
            return Finding::Unconfirmed;
        }
        let suspects = self.suspects.get_or_insert_default();
        let finding = suspects.take(&self.tcp, direction, segment, at, budget);
        if finding == Finding::Resumed {
            self.tcp.resume(direction, segment);
        }
        finding
    }

    /// Whether there is a list of suspects, or room for one.
    fn has_room_for_suspects(&self, budget: &mut Budget) -> bool {
        self.suspects.is_some() || budget.reserve(boxed::<Suspects>())
    }

    /// Takes the segments that were not admitted.
    pub(super) fn take_suspects(&mut self, budget: &mut Budget) -> Option<Box<Suspects>> {
        let suspects = self.suspects.take()?;
        budget.release(boxed::<Suspects>());
        Some(suspects)
    }

    /// Takes the place of a segment for that of the stream, if TLS has not begun.
    pub(super) fn catch_up(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        budget: &mut Budget,
    ) {
        if let Stage::Watching(_) = self.stage {
            self.tcp.restart_if_far(direction, segment, budget);
        }
    }

    /// Reads a little of what a packet will look at.
    #[inline]
    pub(super) fn approach(&self) -> u64 {
        let [forward, reverse] = self.tcp.in_view().0;
        let handshake = match &self.stage {
            Stage::Handshake(open) => open.connection.approach(),
            Stage::Watching(_) | Stage::Done { .. } => 0,
        };
        handshake
            .wrapping_add(u64::from(self.first_went_up))
            .wrapping_add(u64::from(forward) + u64::from(reverse))
    }

    /// What is left of it if nothing more is to be learned and nothing is held.
    pub(super) fn settled(&self) -> Option<SettledFlow> {
        let Stage::Done { has_timed_out } = self.stage else {
            return None;
        };
        let holds = self.waiting.is_some()
            || self.suspects.is_some()
            || self.retained.is_some()
            || self.conversation_units > 0
            || self.is_downgraded
            || self.tcp.is_holding();
        (!holds).then(|| SettledFlow {
            tcp: self.tcp.settled(),
            first_went_up: self.first_went_up,
            has_timed_out,
        })
    }

    /// Notes that a segment is taken which may change anything: nothing passes by until that has been looked at.
    pub(super) fn begin_change(&mut self) {
        if let Stage::Watching(_) = self.stage {
            self.has_shortcut = PerDirection::default();
        }
    }

    /// Looks which segments may pass by, after a segment was taken.
    ///
    /// What this looks at changes only where a segment of the connection is taken that does not pass by, and that begins with
    /// [`Flow::begin_change`]; or where a handshake ends or the connection is forgotten, and with a handshake nothing passes by.
    pub(super) fn end_change(&mut self) {
        let Stage::Watching(_) = self.stage else {
            return;
        };
        let waits = self.waiting.is_some() || self.retained.is_some();
        for direction in Direction::BOTH {
            self.has_shortcut[direction] =
                !waits && self.before[direction].is_any() && self.tcp.is_in_order(direction);
        }
    }

    /// Takes a segment without SYN, FIN and RST that says nothing, as most do: TLS never came. False if there may be more to it.
    ///
    /// What [`Flow::handle_header`] and [`Flow::handle_segment`] would do with such a segment is done here, or is nothing.
    #[inline(always)]
    pub(super) fn passes_by(&mut self, direction: Direction, segment: &Segment<'_>) -> bool {
        if !self.has_shortcut[direction] {
            return false;
        }
        let Stage::Watching(dialogue) = &mut self.stage else {
            return false;
        };
        let is_next = self.tcp.is_next(direction, segment);
        if !is_next && !self.tcp.admit(direction, segment) {
            return false;
        }
        // Its numbers are admitted. What it says is looked at as in `watch_dialogue`.
        let ahead = self.tcp.ahead(direction, segment.sequence);
        let is_over = lies_beyond_order(&self.tcp, direction, segment.sequence);
        let waits = !segment.is_bare()
            && self.tcp.must_wait(direction, segment)
            && !is_beyond_order(&self.tcp, direction.flip());
        let is_in_turn = ahead == 0 && !waits;
        let is_nothing = if is_over {
            !is_hello_amid_stream(segment.payload)
        } else {
            is_in_turn && dialogue.passes_by(direction, segment.payload)
        };
        if is_nothing && is_next {
            self.tcp.note_next(direction, segment);
        }
        if is_nothing && !is_over {
            self.tcp.skip_in_order(direction, segment);
        }
        is_nothing
    }

    /// What tells whether the next segments say nothing, without a look at the flow itself; `None` if only the flow can tell.
    ///
    /// Valid until a segment is taken in another way than by [`InStep::take`].
    pub(super) fn in_step(&self) -> Option<InStep> {
        let Stage::Watching(dialogue) = &self.stage else {
            return None;
        };
        let has_shortcuts = self.has_shortcut.iter().all(|has| *has);
        if !has_shortcuts {
            return None;
        }
        let ways = [true, false].map(|goes_up| Direction::of(goes_up, self.first_went_up));
        // What is said at first is kept, and read with care: only the dialogue itself can take it.
        let mut room = if dialogue.is_quiet() { u16::MAX } else { 0 };
        let mut is_over = [false; 2];
        for (direction, is_over) in ways.into_iter().zip(&mut is_over) {
            *is_over = is_beyond_order(&self.tcp, direction);
            if !*is_over {
                if self.tcp.ahead(direction, self.tcp.reach(direction)?) != 0 {
                    return None;
                }
                let left = dialogue::MAX_BYTES - self.tcp.delivered(direction);
                room = room.min(u16::try_from(left).unwrap_or(u16::MAX));
            }
        }
        let [up, down] = ways;
        Some(InStep {
            reach: [self.tcp.reach(up)?, self.tcp.reach(down)?],
            windows: ways.map(|direction| self.tcp.unscaled_window(direction)),
            room,
            quiet_runs: dialogue.quiet_runs(),
            over: Over::of(is_over),
        })
    }

    /// Whether all that is kept of the first bytes is there.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(&self.stage, Stage::Watching(dialogue) if dialogue.is_quiet())
    }

    /// Takes a segment that is `in_step` while the first bytes are still collected, if it says nothing else. False, with nothing taken, if
    /// there may be more to it.
    pub(super) fn takes_opening(
        &mut self,
        in_step: &mut InStep,
        segment: &UsualSegment,
        bytes: &[u8],
    ) -> bool {
        let Stage::Watching(dialogue) = &mut self.stage else {
            return false;
        };
        let direction = Direction::of(segment.goes_up, self.first_went_up);
        let way = InStep::way(segment.goes_up);
        let Some(reach) = self.tcp.reach(direction).filter(|_| !dialogue.is_quiet()) else {
            return false;
        };
        // What is read in order is far from its end.
        let passed = in_step.reach[way].since(reach).unsigned_abs();
        let delivered = self.tcp.delivered(direction).saturating_add(passed);
        let is_early = !in_step.over.has(way) && delivered <= dialogue::MAX_BYTES / 2;
        let payload = segment.payload().of(bytes);
        is_early && in_step.take_opening(segment, || dialogue.passes_by(direction, payload))
    }

    /// The numbers of the first bytes of both ways, in the order of [`InStep`], as far as they are known.
    pub(super) fn first_bytes_of_ways(&self) -> [Option<SeqNumber>; 2] {
        let [forward, reverse] = self.tcp.first_bytes();
        if self.first_went_up {
            [forward, reverse]
        } else {
            [reverse, forward]
        }
    }

    /// Learns of the segments that were taken since [`Flow::in_step`].
    pub(super) fn catch_up_with(&mut self, passed: &InStep) {
        let Stage::Watching(dialogue) = &mut self.stage else {
            return;
        };
        dialogue.note_quiet_runs(passed.quiet_runs);
        for goes_up in [true, false] {
            let direction = Direction::of(goes_up, self.first_went_up);
            let way = InStep::way(goes_up);
            let is_in_order = !passed.over.has(way);
            self.tcp.note_passed(
                direction,
                passed.reach[way],
                passed.windows[way],
                is_in_order,
            );
        }
    }

    /// Records what a segment's header says about the connection.
    pub(super) fn handle_header(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
    ) {
        let is_in_use = matches!(self.stage, Stage::Done { .. }) || self.before[direction].is_any();
        self.tcp.handle_header(direction, segment, time, is_in_use);
    }

    /// Notes that the SYN which began the connection has had its turn; its header has been handled.
    pub(super) fn note_opening(&mut self, syn: &Segment<'_>) {
        self.tcp.note_turn(Direction::Forward, syn);
        self.tcp.acknowledge(Direction::Forward, syn);
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
        if !segment.is_bare() || !self.has_handshake() || self.is_waiting() {
            return false;
        }
        if self.tcp.is_news(direction, segment) {
            return false;
        }
        if !self.has_shortcut[direction] {
            self.has_shortcut[direction] = true;
            return false;
        }
        self.tcp.acknowledge(direction, segment);
        !self.tcp.is_overdue(time)
    }

    /// Takes a segment that goes on in an open handshake where it has come to, as most do. Others are left as they are.
    ///
    /// What [`Flow::admit`], [`Flow::handle_header`], [`Flow::take_acknowledgment`] and [`Flow::handle_segment`] would do with such a
    /// segment is done here, or is nothing, as [`TcpConnection::is_in_step`] shows. No segment waits, so none is released; none is under
    /// suspicion, so this one does not answer it.
    pub(super) fn continue_handshake(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
    ) -> Continued {
        let Stage::Handshake(open) = &mut self.stage else {
            return Continued::No;
        };
        if self.waiting.is_some()
            || self.suspects.is_some()
            || !self.tcp.is_in_step(direction, segment)
        {
            return Continued::No;
        }
        if segment.wire_length == 0 {
            // It would be news in no other way: its numbers are where both directions have come to.
            let is_news = segment.window == 0 || self.tcp.is_awaited(direction);
            if is_news || !self.has_shortcut[direction] {
                return Continued::No;
            }
            self.tcp.advance(direction, segment, at);
            self.tcp.acknowledge(direction, segment);
            return Continued::Acknowledged;
        }
        if segment.payload.len() != segment.wire_length as usize {
            return Continued::No; // cut by the snap length
        }
        open.connection.note_in_view(direction); // its chunk notes the packet
        let delivery = open.connection.delivery_mut();
        self.tcp
            .note_delivery_in_step(direction, segment, at.time, delivery);
        let arrival = self.tcp.advance(direction, segment, at);
        open.handle_chunk(direction, Chunk::Bytes(segment.payload, arrival));
        open.last_progress = at.time;
        Continued::WithData
    }

    /// Takes a segment; true if it shows that a peer still tries to continue.
    pub(super) fn handle_segment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) -> bool {
        if let (Stage::Done { .. }, None) = (&self.stage, &self.waiting) {
            // Most packets by far: nothing is left to learn but when the connection closes.
            self.tcp.note_turn(direction, segment);
            return false;
        }
        self.give_up_order(direction, segment, context, budget);
        let has_news = if self.must_wait(direction, segment) {
            self.hold(direction, segment, at, context, budget);
            true
        } else {
            self.take(direction, segment, at, context, budget)
        };
        if self.waiting.is_none() {
            return has_news;
        }
        self.release_waiting(Some(at.time), context.keys, context.spares, budget);
        true
    }

    /// Takes a segment that has just arrived.
    fn take(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
        budget: &mut Budget,
    ) -> bool {
        self.tcp.note_turn(direction, segment);
        if let Stage::Watching(_) = self.stage {
            self.note_early_reset(direction, segment, at, budget);
            self.watch(direction, segment, at, context, budget);
            if self.tcp.has_closed() {
                self.tcp.acknowledge(direction, segment); // of a FIN, too
            }
        }
        self.note(direction, segment, at);
        self.feed(direction, segment, at, budget)
    }

    /// Whether nothing that follows can change the report on the open handshake.
    fn is_decided(&self) -> bool {
        matches!(&self.stage, Stage::Handshake(open) if open.connection.is_decided())
    }

    /// Notes what a segment says apart from its bytes; false if no handshake is open.
    fn note(&mut self, direction: Direction, segment: &Segment<'_>, at: Arrival) -> bool {
        let Stage::Handshake(open) = &mut self.stage else {
            return false;
        };
        // What acknowledges the last close, or closes again, is no part of what is reported.
        if segment.wire_length > 0 || !open.connection.has_ended() {
            open.connection.note_packet(direction, at);
        }
        let delivery = open.connection.delivery_mut();
        self.tcp
            .note_delivery(direction, segment, at.time, delivery);
        true
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
        if segment.flags.fin {
            let arrival = self.tcp.arrival(direction, segment, at);
            open.note_fin(direction, arrival);
        } else if self.tcp.is_in_place_of_fin(direction, segment) {
            let arrival = self.tcp.arrival(direction, segment, at);
            if open.refutes_fin(direction, arrival) {
                self.tcp.take_back_fin(direction);
                open.take_back_fin(direction);
            }
        }
        let conflicting = self
            .tcp
            .conflicts(direction, segment, &open.recent[direction]);
        if conflicting > 0 {
            open.conflict.note(conflicting, segment.payload);
        }
        let mut has_closed = false;
        let mut deliver = |sender, delivery: Delivery<'_>| {
            has_closed |= open.deliver(sender, delivery);
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
            open.connection.note_truncated();
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

    /// The source of the first packet of the handshake that is open.
    pub(super) fn source(&self) -> Option<&Arc<str>> {
        match &self.stage {
            Stage::Handshake(open) => Some(&open.source),
            _ => None,
        }
    }

    /// The number and the time of the last packet that the open handshake rests on.
    pub(super) fn last_packet(&self) -> Option<(u64, Timestamp)> {
        match &self.stage {
            Stage::Handshake(open) => {
                let last = open.connection.last_packet();
                Some((last.packet, last.time))
            }
            Stage::Watching(_) | Stage::Done { .. } => None,
        }
    }

    /// Takes back closes that both sides ignored, as acknowledgments without data may show; true if there was one.
    pub(super) fn note_ignored_closes(&mut self) -> bool {
        let Stage::Handshake(open) = &mut self.stage else {
            return false;
        };
        self.tcp.settle_delivery(open.connection.delivery_mut());
        open.connection.note_ignored_closes()
    }

    /// Delivers what is held, with gaps where bytes are missing: no more segments will come. `now` is the last moment of
    /// the observation, and `end_of_view` that in which its source could show the connection, if that has ended before.
    ///
    /// After the end of a file nobody observed the connection, although other files go on, so silence proves nothing. Nor does it
    /// while nobody captured.
    pub(super) fn flush(
        &mut self,
        now: Timestamp,
        end_of_view: Option<Timestamp>,
        budget: &mut Budget,
    ) {
        let Stage::Handshake(open) = &mut self.stage else {
            return;
        };
        let last = open.connection.last_packet().time;
        let now = now.max(last); // a pause in the capture begins with the last tick
        let until = end_of_view.map_or(now, |end| end.max(last).min(now));
        open.connection.note_until(until);
        if let Some(trip) = self.tcp.round_trips().to(open.connection.client()) {
            open.connection.note_client_round_trip(trip);
        }
        self.tcp.settle_delivery(open.connection.delivery_mut());
        open.connection.note_ignored_closes();
        let is_contradictory = |way: &Direction| self.tcp.is_contradictory(*way);
        if Direction::BOTH.iter().any(is_contradictory) {
            open.connection.note_contradictory();
        }
        let mut lost_in_network = PerDirection::default();
        for direction in Direction::BOTH {
            // What the receiver never got is no gap in the capture, and what follows it never counted.
            if let Some(hole) = self.tcp.lost_in_network(direction) {
                open.connection.delivery_mut()[direction].hole = Some(hole);
                lost_in_network[direction] = true;
                self.tcp.clear(direction, budget);
            }
        }
        self.tcp.settle_announced(open.connection.delivery_mut());
        if self.waiting.is_some() {
            return open.connection.handle_end(); // all was decided before what waits
        }
        let last = open.connection.last_packet();
        self.tcp
            .finish(last, lost_in_network, budget, &mut |sender, delivery| {
                open.deliver(sender, delivery);
            });
        open.connection.handle_end();
    }

    /// Gives back what the connection holds.
    pub(super) fn release(&mut self, budget: &mut Budget) {
        if let Some(mut suspects) = self.take_suspects(budget) {
            suspects.clear(budget);
        }
        if let Some(mut waiting) = self.waiting.take() {
            waiting.segments.clear(budget);
        }
        for direction in Direction::BOTH {
            self.tcp.clear(direction, budget);
        }
    }

    /// By what other views of the connection are recognised; `client` is the direction in which the client sends.
    pub(super) fn marks(&self, client: Direction) -> WireMarks {
        let [forward, reverse] = self.tcp.first_bytes();
        let first_bytes = PerDirection([forward, reverse]);
        let hop_limits = self.tcp.hop_limits();
        let ways = [client, client.flip()];
        WireMarks {
            first_bytes: ways.map(|way| first_bytes[way].map(|first| first.0)),
            hop_limits: ways.map(|way| hop_limits[way]),
        }
    }

    fn is_any_plain(&self) -> bool {
        self.before.iter().any(|before| before.is_any())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_flow_stays_small() {
        // There is one for each connection in view: a new field is worth a thought.
        assert!(size_of::<Flow>() <= 200, "{}", size_of::<Flow>());
    }
}
