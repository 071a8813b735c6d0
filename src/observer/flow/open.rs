//! An open handshake, and the room that reported ones leave.

use std::sync::Arc;

use crate::decode::{Layers, SeqNumber};
use crate::decrypt::Keys;
use crate::dialogue::Dialogue;
use crate::event::Protocol;
use crate::flow::{Direction, PerDirection};
use crate::handshake::{Close, Conflict, Tracker};
use crate::time::Timestamp;
use crate::transport::tcp::{Arrival, Chunk, Delivery, RecentBytes};

use super::before_tls::Before;

/// An open handshake.
#[derive(Debug)]
pub(in crate::observer) struct Open {
    pub(in crate::observer) connection: Tracker,
    /// The file or interface that its first packet came from.
    pub(in crate::observer) source: Arc<str>,
    /// The VLAN tags and the tunnels around its first packet that has some.
    pub(in crate::observer) layers: Layers,
    /// What was spoken before.
    pub(in crate::observer) dialogue: Dialogue,
    /// Whether its proxy is still to be noted for the other connection that the proxy has.
    pub(in crate::observer) is_relay_due: bool,
    /// Bytes of memory that it takes, as last counted.
    pub(in crate::observer) allocated: usize,
    /// The bytes that were delivered last.
    pub(super) recent: PerDirection<RecentBytes>,
    /// Bytes that were sent again with another content.
    pub(in crate::observer) conflict: Conflict,
    /// The segments with FINs: what comes before may arrive after them.
    pub(super) fins: PerDirection<Option<Arrival>>,
    /// When it began.
    pub(in crate::observer) since: Timestamp,
    /// When it last made progress.
    pub(super) last_progress: Timestamp,
}

/// What a handshake needs to know of its first packet, and of the run.
pub(in crate::observer) struct HandshakeContext<'c> {
    pub(in crate::observer) source: &'c Arc<str>,
    pub(in crate::observer) layers: &'c Layers,
    pub(in crate::observer) keys: &'c Keys,
    /// Whether its steps are collected.
    pub(in crate::observer) collects_ladders: bool,
    /// What earlier handshakes have left.
    pub(in crate::observer) spares: &'c mut Spares,
}

/// What handshakes that were reported leave for those that begin: their memory, with lists and buffers whose room is used again.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "the boxes are what is kept: a handshake that begins takes one as it is"
)]
pub(in crate::observer) struct Spares(Vec<Box<Open>>);

/// Handshakes whose room is kept, by worker: about as many as begin while others are reported. Each has about 4 KB.
const MAX_SPARES: usize = 64;

impl Spares {
    /// Keeps what a handshake leaves that was reported. What was seen in it is dropped.
    pub(in crate::observer) fn keep(&mut self, mut open: Box<Open>, keys: &Keys) {
        if self.0.len() < MAX_SPARES {
            open.clear(keys);
            self.0.push(open);
        }
    }
}

impl Open {
    pub(super) fn new(
        dialogue: Dialogue,
        at: Arrival,
        context: &mut HandshakeContext<'_>,
    ) -> Box<Self> {
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
    pub(super) fn blank(at: Arrival, context: &HandshakeContext<'_>) -> Self {
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
    pub(super) fn clear(&mut self, keys: &Keys) {
        self.connection.clear(keys);
        self.dialogue = Dialogue::default();
        self.allocated = 0;
        self.recent.iter_mut().for_each(RecentBytes::clear);
        self.conflict = Conflict::default();
        self.fins = PerDirection::default();
    }

    /// Notes a FIN that may have to wait for what precedes it. One that lies further ahead takes the place of one that was refuted.
    pub(super) fn note_fin(&mut self, sender: Direction, at: Arrival) {
        let known = &mut self.fins[sender];
        if known.is_none_or(|known| at.end.wrapping_sub(known.end).cast_signed() > 0) {
            *known = Some(at);
        }
    }

    /// Whether an empty segment in the place of its sender's FIN was sent after that: it acknowledges more. A host counts its own FIN
    /// from then on, so another one sent the FIN.
    pub(super) fn refutes_fin(&self, sender: Direction, at: Arrival) -> bool {
        let fin = self.fins[sender].filter(|fin| fin.end == at.end.wrapping_add(1));
        let before = fin.and_then(|fin| fin.acknowledged);
        before.is_some_and(|before| at.had_received(before.wrapping_add(1)) == Some(true))
    }

    /// Takes back a FIN that another host sent.
    pub(super) fn take_back_fin(&mut self, sender: Direction) {
        self.fins[sender] = None;
        self.connection.take_back_fin(sender);
    }

    /// When the FIN came that is delivered with the segment captured `at`.
    pub(super) fn fin_at(&self, sender: Direction, at: Arrival) -> Arrival {
        let noted = self.fins[sender].filter(|fin| fin.end == at.end);
        noted.unwrap_or(at)
    }

    /// Hands to the handshake what the transport delivers; true if `sender` has closed now.
    pub(super) fn deliver(&mut self, sender: Direction, delivery: Delivery<'_>) -> bool {
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
    pub(in crate::observer) fn allocated_now(&self) -> usize {
        let recent = self.recent.iter().map(RecentBytes::held);
        self.connection.allocated() + recent.sum::<usize>()
    }

    pub(super) fn handle_chunk(&mut self, sender: Direction, chunk: Chunk<'_>) {
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
    pub(super) fn note_directions(
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
