//! One TCP connection: what is remembered of it, and when TLS begins on it.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Segment, SeqNumber};
use crate::decrypt::Keys;
use crate::flow::{Direction, PerDirection};
use crate::handshake::{Close, Tracker};
use crate::time::Timestamp;
use crate::tls::{Detection, detect, is_hello_amid_stream};
use crate::transport::Lifetime;
use crate::transport::tcp::{Arrival, Assembler, Budget, FirstBytes};

use super::kept::Kept;
use super::opening::Opening;

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Flow {
    /// Whether the first segment seen went from the lower to the higher end point.
    pub(super) first_went_up: bool,
    pub(super) first_seen: Timestamp,
    pub(super) opening: Opening,
    pub(super) stage: Stage,
    pub(super) is_closed: bool,
    /// The packets so far, where they are kept.
    pub(super) kept: Option<Box<Kept>>,
    halves: PerDirection<Half>,
}

/// How much is done for a connection.
#[derive(Debug)]
pub(super) enum Stage {
    /// No TLS so far.
    Watching,
    /// A handshake is under way.
    Handshake(Box<Open>),
    /// Nothing more is to be learned.
    Done,
}

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Tracker,
    /// The file or interface that its first packet came from.
    pub(super) source: Arc<str>,
    pub(super) vlan: Vec<u16>,
    /// Bytes that it holds, as last counted.
    pub(super) held: usize,
    /// When it last made progress.
    last_news: Timestamp,
}

/// How long segments sent again may keep a handshake open: TCP gives up a connection after some 100 s (RFC 1122 §4.2.3.5).
const MAX_RETRANSMISSION: Duration = Duration::from_secs(100);

/// One direction of a connection.
#[derive(Debug, Default)]
struct Half {
    assembler: Assembler,
    /// Sequence number of the first byte.
    initial: Option<SeqNumber>,
    /// Sequence number behind the last byte.
    fin: Option<SeqNumber>,
    /// Whether it began with something else than TLS.
    is_plain: bool,
    is_in_view: bool,
    /// Whether the handshake under way knows that this direction is in view.
    is_noted: bool,
}

impl Flow {
    pub(super) fn new(first_went_up: bool, first_seen: Timestamp) -> Self {
        Self {
            first_went_up,
            first_seen,
            opening: Opening::new(),
            stage: Stage::Watching,
            is_closed: false,
            kept: None,
            halves: Default::default(),
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match &self.stage {
            Stage::Handshake(open) if open.connection.is_closing() => Lifetime::Closing,
            Stage::Handshake(_) => Lifetime::Handshake,
            Stage::Watching if !self.halves.iter().any(|half| half.is_plain) => Lifetime::Opening,
            _ => Lifetime::Established,
        }
    }

    /// Whether the handshake under way has completed and is in use, so that silence is no time-out.
    pub(super) fn is_settled(&self) -> bool {
        match &self.stage {
            Stage::Handshake(open) => open.connection.is_settled(),
            Stage::Watching | Stage::Done => false,
        }
    }

    /// Whether its packets may yet be those of a failed handshake.
    pub(super) fn is_worth_keeping(&self) -> bool {
        match self.stage {
            Stage::Watching => !self.halves.iter().any(|half| half.is_plain),
            Stage::Handshake(_) => true,
            Stage::Done => false,
        }
    }

    /// Whether it has ended and nothing is waited for: the key is all that is still of use.
    pub(super) const fn is_over(&self) -> bool {
        self.is_closed && !matches!(self.stage, Stage::Handshake(_))
    }

    /// Where the sequence numbers of both directions began.
    pub(super) fn first_bytes(&self) -> FirstBytes {
        self.halves.0.each_ref().map(|half| half.initial)
    }

    /// Whether a SYN begins another connection between the same end points.
    pub(super) fn is_replaced_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let first = segment.sequence.after(1);
        segment.flags.syn
            && self.halves[direction]
                .initial
                .is_some_and(|initial| initial != first)
    }

    /// Notes what a segment's header says of the connection.
    pub(super) fn note_header(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
    ) {
        let half = &mut self.halves[direction];
        half.is_in_view = true;
        if segment.flags.syn {
            let first = segment.sequence.after(1);
            half.initial = Some(first);
            half.assembler.start(first);
        }
        // Of a connection that is in use, which most packets belong to, the opening is long over.
        let is_in_use = matches!(self.stage, Stage::Done) || half.is_plain;
        if segment.flags.syn || !is_in_use {
            self.opening
                .note(direction, segment.flags, segment.wire_length, time);
        }
        if segment.flags.fin {
            half.fin = Some(
                segment
                    .sequence
                    .after(segment.wire_length + u32::from(segment.flags.syn)),
            );
        }
        let have_both_ended = self.halves.iter().all(|half| half.fin.is_some());
        self.is_closed |= segment.flags.rst || have_both_ended;
    }

    /// Looks whether TLS begins with this segment; takes care of the order of the first bytes.
    pub(super) fn watch(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        source: &Arc<str>,
        keys: &Keys,
        at: Arrival,
        budget: &mut Budget,
    ) {
        if segment.wire_length == 0 {
            return;
        }
        let sequence = first_byte(segment);
        let half = &mut self.halves[direction];
        if half.is_plain {
            if is_hello_amid_stream(segment.payload) {
                self.begin(direction, segment, source, keys, at, budget);
            }
            return;
        }
        let ahead = if half.assembler.is_started() {
            sequence.since(half.assembler.next())
        } else {
            0
        };
        if ahead > 0 {
            half.assembler.push(
                sequence,
                segment.payload,
                segment.wire_length,
                at,
                budget,
                &mut |_| {},
            );
            return;
        }
        half.initial.get_or_insert(sequence);
        let known = ahead.unsigned_abs();
        if known >= segment.wire_length {
            return; // sent before
        }
        match detect(segment.payload.get(known as usize..).unwrap_or_default()) {
            Detection::Other => {
                half.is_plain = true;
                half.assembler.clear(budget);
            }
            _ => self.begin(direction, segment, source, keys, at, budget),
        }
    }

    /// Takes a segment that does nothing but acknowledge; false if it is more than that to the handshake under way.
    ///
    /// Every other packet is one: they go by without a look at the handshake itself.
    pub(super) fn take_acknowledgment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        time: Timestamp,
    ) -> bool {
        let flags = segment.flags;
        let is_bare = segment.wire_length == 0 && !flags.syn && !flags.fin && !flags.rst;
        if !is_bare || !matches!(self.stage, Stage::Handshake(_)) {
            return false;
        }
        let [ours, theirs] = self.halves.pair_mut(direction);
        if !ours.is_noted {
            ours.is_noted = true;
            return false;
        }
        if flags.ack {
            theirs.assembler.acknowledge(segment.acknowledgment);
        }
        !ours.assembler.is_overdue(time) && !theirs.assembler.is_overdue(time)
    }

    /// Feeds a segment to the handshake under way; true if it shows that somebody still tries to go on.
    pub(super) fn feed(
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
        let mut has_news = false;
        let [ours, theirs] = self.halves.pair_mut(direction);
        if segment.wire_length > 0 {
            let discarded = budget.discarded;
            ours.assembler.push(
                first_byte(segment),
                segment.payload,
                segment.wire_length,
                at,
                budget,
                &mut |chunk| {
                    has_news = true;
                    connection.handle_chunk(direction, chunk);
                },
            );
            if budget.discarded != discarded || segment.payload.len() < segment.wire_length as usize
            {
                connection.note_truncated();
            }
        }
        if segment.flags.ack {
            theirs.assembler.acknowledge(segment.acknowledgment);
        }
        for (half, direction) in [(ours, direction), (theirs, direction.flip())] {
            if half.assembler.is_overdue(at.time) {
                half.assembler.skip_hole(budget, &mut |chunk| {
                    connection.handle_chunk(direction, chunk)
                });
            }
            let is_all_there = |fin: SeqNumber| {
                !half.assembler.is_started() || half.assembler.next().since(fin) >= 0
            };
            if half.fin.is_some_and(is_all_there) {
                has_news |= connection.handle_close(direction, Close::Fin, at);
            }
        }
        if segment.flags.rst {
            has_news |= connection.handle_close(direction, Close::Rst, at);
        }
        if has_news {
            open.last_news = at.time;
        }
        // A segment sent again is no progress, but no silence either: its sender has not given up yet. A keep-alive is.
        let is_sent_again = (segment.wire_length > 1 || segment.flags.fin)
            && at
                .time
                .checked_since(open.last_news)
                .is_none_or(|since| since < MAX_RETRANSMISSION);
        has_news || is_sent_again
    }

    /// Delivers what is held, with gaps where bytes lack: nothing more will come.
    pub(super) fn flush(&mut self, budget: &mut Budget) {
        let Stage::Handshake(open) = &mut self.stage else {
            return;
        };
        for direction in Direction::BOTH {
            let assembler = &mut self.halves[direction].assembler;
            assembler.finish(budget, &mut |chunk| {
                open.connection.handle_chunk(direction, chunk)
            });
        }
        open.connection.handle_end();
    }

    /// Gives back what the connection holds.
    pub(super) fn release(&mut self, budget: &mut Budget) {
        for half in self.halves.iter_mut() {
            half.assembler.clear(budget);
        }
    }

    /// A handshake begins with this segment.
    fn begin(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        source: &Arc<str>,
        keys: &Keys,
        at: Arrival,
        budget: &mut Budget,
    ) {
        let mut connection = Tracker::new(at, keys);
        for direction in Direction::BOTH {
            let half = &mut self.halves[direction];
            half.is_noted = half.is_in_view;
            if half.is_in_view {
                connection.note_packet(direction, at);
            }
            if half.is_plain {
                connection.note_plain(direction);
            }
        }
        let [ours, theirs] = self.halves.pair_mut(direction);
        if ours.is_plain || !ours.assembler.is_started() {
            ours.assembler.restart(first_byte(segment), budget);
        }
        if segment.flags.ack && (theirs.is_plain || !theirs.assembler.is_started()) {
            theirs.assembler.restart(segment.acknowledgment, budget);
        }
        (ours.is_plain, theirs.is_plain) = (false, false);
        self.stage = Stage::Handshake(Box::new(Open {
            connection,
            source: Arc::clone(source),
            vlan: segment.vlan.ids().to_vec(),
            held: 0,
            last_news: at.time,
        }));
    }
}

/// Sequence number of a segment's first byte of payload.
const fn first_byte(segment: &Segment<'_>) -> SeqNumber {
    segment.sequence.after(segment.flags.syn as u32)
}
