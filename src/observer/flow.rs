//! One flow: its transport, and what is done with what that delivers.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Layers, Segment, SeqNumber, UsualSegment};
use crate::decrypt::Keys;
use crate::dialogue::{self, Dialogue, DialogueStep};
use crate::event::{Protocol, WireMarks};
use crate::flow::{Direction, PerDirection};
use crate::handshake::{Answer, Close, Conflict, Tracker};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{Detection, RecordHeader, detect, is_hello_amid_stream};
use crate::transport::Lifetime;
use crate::transport::tcp::{
    Arrival, Budget, Chunk, Delivery, Finding, PendingSegment, PendingSegments, RecentBytes,
    Suspects, TcpConnection,
};

use super::account::LARGE_HANDSHAKE;
use super::flows::SettledFlow;
use super::in_step::{InStep, Over};
use super::retained::RetainedPackets;
use super::sources::{SourceId, Sources};

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

/// With what a direction began, before a hello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// Nothing so far, or a hello.
    #[default]
    Nothing,
    /// Something else than TLS.
    Plain,
    /// A record that is no hello: the capture began amid TLS, or the other direction is late.
    Record,
}

impl Before {
    fn is_any(self) -> bool {
        self != Self::Nothing
    }
}

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

/// Segments that acknowledge what has not been delivered yet, and what a handshake needs to know that begins with one of them.
#[derive(Debug)]
struct Waiting {
    segments: PendingSegments,
    source: Arc<str>,
    layers: Layers,
    collects_ladders: bool,
}

/// An open handshake.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Tracker,
    /// The file or interface that its first packet came from.
    pub(super) source: Arc<str>,
    /// The VLAN tags and the tunnels around its first packet that has some.
    pub(super) layers: Layers,
    /// What was spoken before.
    pub(super) dialogue: Dialogue,
    /// Whether its proxy is still to be noted for the other connection that the proxy has.
    pub(super) is_relay_due: bool,
    /// Bytes of memory that it takes, as last counted.
    pub(super) allocated: usize,
    /// The bytes that were delivered last.
    recent: PerDirection<RecentBytes>,
    /// Bytes that were sent again with another content.
    pub(super) conflict: Conflict,
    /// The segments with FINs: what comes before may arrive after them.
    fins: PerDirection<Option<Arrival>>,
    /// When it began.
    pub(super) since: Timestamp,
    /// When it last made progress.
    last_progress: Timestamp,
}

/// A byte is enough for the number of these in a conversation, and there is one in each flow.
const CONVERSATION_UNIT: usize = 16;

/// How long retransmissions may keep a handshake open: TCP gives up a connection after some 100 s (RFC 1122 §4.2.3.5).
const MAX_RETRANSMISSION: Duration = Duration::from_secs(100);

/// What a handshake needs to know of its first packet, and of the run.
pub(super) struct HandshakeContext<'c> {
    pub(super) source: &'c Arc<str>,
    pub(super) layers: &'c Layers,
    pub(super) keys: &'c Keys,
    /// Whether its steps are collected.
    pub(super) collects_ladders: bool,
    /// What earlier handshakes have left.
    pub(super) spares: &'c mut Spares,
}

/// What handshakes that were reported leave for those that begin: their memory, with lists and buffers whose room is used again.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "the boxes are what is kept: a handshake that begins takes one as it is"
)]
pub(super) struct Spares(Vec<Box<Open>>);

/// Handshakes whose room is kept, by worker: about as many as begin while others are reported. Each has about 4 KB.
const MAX_SPARES: usize = 64;

impl Spares {
    /// Keeps what a handshake leaves that was reported. What was seen in it is dropped.
    pub(super) fn keep(&mut self, mut open: Box<Open>, keys: &Keys) {
        if self.0.len() < MAX_SPARES {
            open.clear(keys);
            self.0.push(open);
        }
    }
}

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
        if let Stage::Handshake(open) = &mut self.stage {
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

    /// Whether segments wait for what they acknowledge.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some() && !self.is_decided()
    }

    /// Whether it holds segments: out of order, or not believed.
    pub(super) fn holds_segments(&self) -> bool {
        self.waiting.is_some() || self.suspects.is_some() || self.tcp.is_holding()
    }

    /// Whether it is noted as one that holds segments.
    pub(super) const fn is_holder(&self) -> bool {
        self.notes & IS_HOLDER != 0
    }

    /// Notes whether it is one that holds segments.
    pub(super) const fn note_holder(&mut self, is_holder: bool) {
        if is_holder {
            self.notes |= IS_HOLDER;
        } else {
            self.notes &= !IS_HOLDER;
        }
    }

    /// Gives up what is held, but for segments that wait for their turn: holes in a handshake are gaps from now on, and segments that
    /// nobody has confirmed are forgotten.
    pub(super) fn give_up_held(&mut self, budget: &mut Budget) {
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

    /// Notes a reset before TLS. It may be forged: hosts that go on show it.
    fn note_early_reset(
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

    fn early_reset(&self) -> Option<(Direction, Arrival)> {
        self.suspects.as_ref()?.reset()
    }

    /// Takes a segment that has waited for its turn.
    fn take_late(
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
    fn must_wait(&self, direction: Direction, segment: &Segment<'_>) -> bool {
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
    fn hold(
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
    pub(super) fn release_waiting(
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
    fn give_up_order(
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
    fn give_up(&mut self, waiting: &PendingSegment, budget: &mut Budget) {
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

    /// Looks whether TLS begins with this segment; takes care of the order of the bytes before.
    fn watch(
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
    fn begin(
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
    fn join_peer(
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

impl Open {
    fn new(dialogue: Dialogue, at: Arrival, context: &mut HandshakeContext<'_>) -> Box<Self> {
        let spare = context.spares.0.pop();
        let mut open = spare.unwrap_or_else(|| Box::new(Self::blank(at, context)));
        // Some 2 KB, of which only this differs from one that was cleared.
        open.connection.begin(at);
        open.source.clone_from(context.source);
        open.layers = *context.layers;
        (open.since, open.last_progress) = (at.time, at.time);
        let packets = dialogue.tds();
        open.is_relay_due = dialogue.proxy().is_some() && !dialogue.was_refused();
        open.dialogue = dialogue;
        if let Some(packets) = packets {
            open.connection.unwrap_tds(packets, context.keys);
        }
        if context.collects_ladders {
            open.connection.collect_ladder(context.source);
        }
        open
    }

    /// One in which nothing was seen.
    fn blank(at: Arrival, context: &HandshakeContext<'_>) -> Self {
        Self {
            connection: Tracker::new(Protocol::Tls, at, context.keys),
            source: Arc::clone(context.source),
            layers: *context.layers,
            is_relay_due: false,
            dialogue: Dialogue::default(),
            allocated: 0,
            recent: PerDirection::default(),
            conflict: Conflict::default(),
            fins: PerDirection::default(),
            since: at.time,
            last_progress: at.time,
        }
    }

    /// Drops what was seen, and keeps the room for more. What [`Open::new`] sets is left as it is.
    fn clear(&mut self, keys: &Keys) {
        self.connection.clear(keys);
        self.dialogue = Dialogue::default();
        self.allocated = 0;
        self.recent.iter_mut().for_each(RecentBytes::clear);
        self.conflict = Conflict::default();
        self.fins = PerDirection::default();
    }

    /// Notes a FIN that may have to wait for what precedes it. One that lies further ahead takes the place of one that was refuted.
    fn note_fin(&mut self, sender: Direction, at: Arrival) {
        let known = &mut self.fins[sender];
        if known.is_none_or(|known| at.end.wrapping_sub(known.end).cast_signed() > 0) {
            *known = Some(at);
        }
    }

    /// Whether an empty segment in the place of its sender's FIN was sent after that: it acknowledges more. A host counts its own FIN
    /// from then on, so another one sent the FIN.
    fn refutes_fin(&self, sender: Direction, at: Arrival) -> bool {
        let fin = self.fins[sender].filter(|fin| fin.end == at.end.wrapping_add(1));
        let before = fin.and_then(|fin| fin.acknowledged);
        before.is_some_and(|before| at.had_received(before.wrapping_add(1)) == Some(true))
    }

    /// Takes back a FIN that another host sent.
    fn take_back_fin(&mut self, sender: Direction) {
        self.fins[sender] = None;
        self.connection.take_back_fin(sender);
    }

    /// When the FIN came that is delivered with the segment captured `at`.
    fn fin_at(&self, sender: Direction, at: Arrival) -> Arrival {
        let noted = self.fins[sender].filter(|fin| fin.end == at.end);
        noted.unwrap_or(at)
    }

    /// Hands to the handshake what the transport delivers; true if `sender` has closed now.
    fn deliver(&mut self, sender: Direction, delivery: Delivery<'_>) -> bool {
        let (how, at) = match delivery {
            Delivery::Chunk(chunk) => {
                self.handle_chunk(sender, chunk);
                return false;
            }
            Delivery::Fin(at) => (Close::Fin, self.fin_at(sender, at)),
            Delivery::Rst(at) => (Close::Rst, at),
        };
        self.connection.handle_close(sender, how, at)
    }

    /// Bytes of memory that it takes, without its own record.
    pub(super) fn allocated_now(&self) -> usize {
        let recent = self.recent.iter().map(RecentBytes::held);
        self.connection.allocated() + recent.sum::<usize>()
    }

    fn handle_chunk(&mut self, sender: Direction, chunk: Chunk<'_>) {
        if let Chunk::Bytes(bytes, arrival) = chunk {
            let recent = &mut self.recent[sender];
            if self.connection.continues_data(sender, bytes) {
                recent.note_sealed(bytes, arrival.end);
            } else {
                recent.note(bytes, arrival.end);
            }
        }
        self.connection.handle_chunk(sender, chunk);
    }

    /// Tells the handshake what was seen of both directions before it began.
    ///
    /// Plain text counts as what a side said first only where the opening shows that it did, or where both sides spoke it: amid a
    /// connection, any bytes look like plain text, and what follows them in a late direction came before them.
    fn note_directions(
        &mut self,
        is_in_view: PerDirection<bool>,
        before: PerDirection<Before>,
        ([forward, reverse], has_opening): ([Option<SeqNumber>; 2], PerDirection<bool>),
        at: Arrival,
    ) {
        let first_bytes = PerDirection([forward, reverse]);
        let is_dialogue = before.iter().all(|before| *before == Before::Plain);
        for direction in Direction::BOTH {
            if is_in_view[direction] {
                self.connection.note_packet(direction, at);
            }
            let is_first = has_opening[direction] || is_dialogue;
            match before[direction] {
                Before::Plain if is_first => self.connection.note_plain(direction),
                Before::Nothing if first_bytes[direction].is_some() => {}
                Before::Plain => self.connection.note_amid_other(direction),
                _ => self.connection.note_unseen_beginning(direction),
            }
        }
    }
}

/// Whether a direction has sent more than is read in order before TLS. What lies behind that is never delivered, so nothing waits
/// for it.
fn is_beyond_order(tcp: &TcpConnection, direction: Direction) -> bool {
    tcp.reach(direction)
        .is_some_and(|reach| lies_beyond_order(tcp, direction, reach))
}

/// Whether a place of a direction's stream lies behind what is read in order before TLS.
#[inline]
fn lies_beyond_order(tcp: &TcpConnection, direction: Direction, place: SeqNumber) -> bool {
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

fn may_be_records(payload: &[u8]) -> bool {
    detect(payload) != Detection::Other || RecordHeader::read(payload).is_ok()
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
