//! The messages of a handshake as a ladder: what each side sent, when and how much.
//!
//! A ladder is collected only if [`Config::collects_ladders`](crate::observer::Config::collects_ladders) asks for it.
//! Otherwise a transcript has none, and pays for it with one branch an item.

use std::sync::Arc;

use crate::event::{Ladder, LadderStep, StepKind};
use crate::flow::{Direction, PerDirection, Side};
use crate::framing::quic::{Level, QuicSeen};
use crate::framing::{Close, Content, MESSAGE_HEADER, SealedUnit, Seen};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{ContentType, HandshakeType, Message, ServerHello};
use crate::transport::tcp::Arrival;

/// Steps kept: twice as many as the records that rules look at, since a record may hold several messages.
const MAX_STEPS: usize = 256;

/// Alerts and closes kept beyond that, since they say how a handshake ended: a peer may send thousands of alerts.
const MAX_LAST_STEPS: usize = 16;

/// Packets whose file is remembered, of handshakes that span files: a flight has some 50.
const MAX_PACKETS: usize = 512;

/// Writes down the steps of one handshake.
#[derive(Debug)]
pub(super) struct LadderRecorder {
    /// The files and interfaces that packets came from, that of the first packet first.
    sources: Vec<Arc<str>>,
    /// Which of them the newest packets came from, once there are several.
    packets: Vec<(Moment, usize)>,
    steps: Vec<Recorded>,
    omitted: u32,
    /// The step of the sealed unit that is not complete yet.
    open: PerDirection<Option<usize>>,
    /// Up to TLS 1.2: whether the first encrypted handshake record was seen, which is Finished.
    has_finished: PerDirection<bool>,
    /// Where the messages begin that a unit carried which has waited for its secret.
    late_from: Option<usize>,
}

/// A step, before it is certain which direction is the client's.
#[derive(Debug)]
struct Recorded {
    sender: Direction,
    source: Arc<str>,
    at: Moment,
    kind: StepKind,
    bytes: Option<u32>,
    is_encrypted: bool,
}

/// Where in the capture a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    time: Timestamp,
    packet: u64,
}

impl From<Arrival> for Moment {
    fn from(Arrival { time, packet, .. }: Arrival) -> Self {
        Self { time, packet }
    }
}

impl LadderRecorder {
    pub(super) fn new(source: Arc<str>) -> Box<Self> {
        Box::new(Self {
            sources: vec![source],
            packets: Vec::new(),
            steps: Vec::new(),
            omitted: 0,
            open: PerDirection::default(),
            has_finished: PerDirection::default(),
            late_from: None,
        })
    }

    /// Bytes of memory that it takes.
    pub(super) fn allocated(&self) -> usize {
        boxed::<Self>()
            + self.sources.capacity() * size_of::<Arc<str>>()
            + self.packets.capacity() * size_of::<(Moment, usize)>()
            + self.steps.capacity() * size_of::<Recorded>()
    }

    /// Notes the file or interface that a packet came from.
    ///
    /// A step may begin in a packet before the newest: in that of another file.
    pub(super) fn note_source(&mut self, source: &Arc<str>, at: Arrival) {
        let is_source = |known: &Arc<str>| Arc::ptr_eq(known, source) || known == source;
        let known = self.sources.iter().position(is_source);
        if known.is_some() && self.sources.len() == 1 {
            return;
        }
        let index = known.unwrap_or_else(|| {
            self.sources.push(Arc::clone(source));
            self.sources.len() - 1
        });
        if self.packets.len() >= MAX_PACKETS {
            self.packets.drain(..MAX_PACKETS / 2);
        }
        self.packets.push((at.into(), index));
    }

    /// The file or interface that a packet came from: the first one, if it was not noted.
    fn source_of(&self, moment: Moment) -> Option<&Arc<str>> {
        let mut noted = self.packets.iter().rev();
        let index = noted.find_map(|(of, index)| (*of == moment).then_some(*index));
        self.sources.get(index.unwrap_or(0))
    }

    /// Takes what `sender` was seen to do. `now` is the newest packet, for items without a moment of their own;
    /// `may_be_tls13` says whether the type in the header of a record may be a disguise.
    pub(super) fn take(
        &mut self,
        sender: Direction,
        seen: &Seen<'_>,
        now: Arrival,
        may_be_tls13: bool,
    ) {
        match *seen {
            Seen::Message {
                message,
                sealed,
                at,
            } => {
                let kind = StepKind::Message(handshake_type(message));
                self.push(sender, at, kind, message_bytes(message.length), sealed);
            }
            Seen::PartialMessage { message, start } => {
                let bytes = message_bytes(message.body.map_or(0, <[u8]>::len));
                let kind = StepKind::PartialMessage(handshake_type(message));
                if self.push(sender, start, kind, bytes, false) {
                    self.move_before_gap();
                }
            }
            Seen::ClientHello { bytes, start, .. } => {
                let kind = StepKind::Message(HandshakeType::ClientHello);
                self.push(sender, start, kind, u32::try_from(bytes).ok(), false);
            }
            Seen::ServerHello { start, .. } => {
                let kind = StepKind::Message(HandshakeType::ServerHello);
                self.push(sender, start, kind, None, false);
            }
            Seen::Alert {
                level,
                description,
                at,
            } => {
                let kind = StepKind::Alert(Some((level, description)));
                self.push(sender, at, kind, Some(2), false);
            }
            Seen::ChangeCipherSpec { at } => {
                self.push(sender, at, StepKind::ChangeCipherSpec, Some(1), false);
            }
            Seen::SealedStart { unit, start } => {
                let kind = self.sealed_kind(sender, unit, may_be_tls13);
                let bytes = Some(u32::from(unit.length));
                let is_added = self.push(sender, start, kind, bytes, true);
                self.open[sender] = is_added.then(|| self.steps.len() - 1);
            }
            Seen::SealedEnd { content, .. } => {
                if let Some(index) = self.open[sender].take() {
                    self.open_unit(index, content);
                }
            }
            Seen::CatchUp => self.late_from = Some(self.steps.len()),
            Seen::Late { content, start, .. } => self.take_late(sender, content, start),
            Seen::NotTls => {
                self.push(sender, now, StepKind::NotTls, None, false);
            }
            Seen::Gap(missing) => {
                self.push(sender, now, StepKind::Gap, Some(missing), false);
            }
            Seen::Close { how, at } => {
                let kind = match how {
                    Close::Fin => StepKind::Fin,
                    Close::Rst => StepKind::Rst,
                };
                // A close counts again whenever a segment before it is delivered, or it is sent again.
                let is_known = |step: &Recorded| (step.sender, step.kind) == (sender, kind);
                if !self.steps.iter().any(is_known) {
                    self.push(sender, at, kind, None, false);
                }
            }
            Seen::Quic(seen) => self.take_quic(sender, seen),
            Seen::Deferred | Seen::Unreadable { .. } => {}
        }
    }

    /// Takes what only QUIC has. Of datagrams, packets count whose messages are not steps of their own.
    fn take_quic(&mut self, sender: Direction, seen: QuicSeen) {
        match seen {
            QuicSeen::Datagram { shape, at } if !shape.is_repeated && !shape.is_opened => {
                if shape.handshakes > 0 {
                    let bytes = Some(shape.handshake_length.into());
                    self.push(sender, at, StepKind::HandshakePacket, bytes, true);
                }
                if shape.short_length > 0 {
                    let bytes = Some(shape.short_length.into());
                    self.push(sender, at, StepKind::OneRttPacket, bytes, true);
                }
            }
            QuicSeen::Retry { at } => {
                self.push(sender, at, StepKind::Retry, None, false);
            }
            QuicSeen::VersionNegotiation { at, .. } => {
                self.push(sender, at, StepKind::VersionNegotiation, None, false);
            }
            QuicSeen::Close { close, level, at } => {
                let kind = StepKind::ConnectionClose(close);
                let is_known = |step: &Recorded| (step.sender, step.kind) == (sender, kind);
                if !self.steps.iter().any(is_known) {
                    self.push(sender, at, kind, None, level != Level::Initial);
                }
            }
            _ => {}
        }
    }

    /// Takes an ICMP error about a datagram of `sender`, for this `reason`: it stands where an answer would.
    pub(super) fn take_undeliverable(
        &mut self,
        sender: Direction,
        reason: &'static str,
        at: Arrival,
    ) {
        let kind = StepKind::Undeliverable(reason);
        self.push(sender.flip(), at, kind, None, false);
    }

    /// Takes the end of a login over EAP, which the server decides.
    pub(super) fn take_login_end(&mut self, server: Direction, kind: StepKind, at: Arrival) {
        self.push(server, at, kind, None, false);
    }

    /// The ladder of a handshake whose client sends in the direction `client`.
    pub(super) fn finish(self, client: Direction) -> Ladder {
        let step = |step: Recorded| LadderStep {
            time: step.at.time,
            source: step.source,
            packet: step.at.packet,
            sender: if step.sender == client {
                Side::Client
            } else {
                Side::Server
            },
            kind: step.kind,
            bytes: step.bytes,
            encrypted: step.is_encrypted,
        };
        Ladder {
            steps: self.steps.into_iter().map(step).collect(),
            omitted: self.omitted,
        }
    }

    /// Adds a step; false if there is no room for it.
    fn push(
        &mut self,
        sender: Direction,
        at: Arrival,
        kind: StepKind,
        bytes: Option<u32>,
        is_encrypted: bool,
    ) -> bool {
        let is_last = matches!(
            kind,
            StepKind::Alert(_)
                | StepKind::Fin
                | StepKind::Rst
                | StepKind::ConnectionClose(_)
                | StepKind::Accepted(_)
                | StepKind::Rejected(_)
        );
        let limit = MAX_STEPS + if is_last { MAX_LAST_STEPS } else { 0 };
        let has_room = self.steps.len() < limit;
        if has_room {
            let at = Moment::from(at);
            self.steps.push(Recorded {
                sender,
                source: self.source_of(at).map(Arc::clone).unwrap_or_default(),
                at,
                kind,
                bytes,
                is_encrypted,
            });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
        has_room
    }

    /// Moves the last step before the gap that has cut it short: the gap was reported first.
    fn move_before_gap(&mut self) {
        if let [.., gap, cut] = &mut *self.steps
            && gap.kind == StepKind::Gap
            && gap.sender == cut.sender
        {
            std::mem::swap(gap, cut);
        }
    }

    /// What a sealed unit is, by what is visible of it.
    fn sealed_kind(&mut self, sender: Direction, unit: SealedUnit, may_be_tls13: bool) -> StepKind {
        match unit.content_type {
            ContentType::Alert => StepKind::Alert(None),
            ContentType::ApplicationData if !may_be_tls13 => StepKind::ApplicationData,
            // DTLS 1.3 shows that a record is of the handshake, and not which message is in it.
            ContentType::Handshake if may_be_tls13 => StepKind::Record(ContentType::Handshake),
            ContentType::Handshake if !std::mem::replace(&mut self.has_finished[sender], true) => {
                StepKind::Message(HandshakeType::Finished)
            }
            other => StepKind::Record(other),
        }
    }

    /// Writes down what the unit of a step turned out to carry.
    fn open_unit(&mut self, index: usize, content: Content) {
        let Some(step) = self.steps.get_mut(index) else {
            return;
        };
        match content {
            Content::Unknown => {}
            Content::Alert(level, description) => {
                step.kind = StepKind::Alert(Some((level, description)));
            }
            Content::ApplicationData => step.kind = StepKind::ApplicationData,
            // Its messages have steps of their own. Up to TLS 1.2 they have not: what follows Finished stays closed.
            Content::Handshake => {
                if let StepKind::Record(ContentType::ApplicationData) = step.kind {
                    self.remove(index);
                }
            }
        }
    }

    fn remove(&mut self, index: usize) {
        self.steps.remove(index);
        for direction in Direction::BOTH {
            if let Some(open) = &mut self.open[direction]
                && *open > index
            {
                *open -= 1;
            }
        }
    }

    /// Moves the messages of a unit that waited for its secret to where the unit was.
    fn take_late(&mut self, sender: Direction, content: Content, start: Timestamp) {
        let from = self.late_from.take().unwrap_or(self.steps.len());
        let messages = self.steps.split_off(from.min(self.steps.len()));
        let is_unit = |step: &Recorded| {
            step.sender == sender
                && step.at.time == start
                && step.is_encrypted
                && matches!(step.kind, StepKind::Record(_) | StepKind::Alert(None))
        };
        let Some(index) = self.steps.iter().position(is_unit) else {
            return self.steps.extend(messages);
        };
        let added = messages.len();
        self.steps.splice(index + 1..index + 1, messages);
        for direction in Direction::BOTH {
            if let Some(open) = &mut self.open[direction]
                && *open > index
            {
                *open += added;
            }
        }
        self.open_unit(index, content);
    }
}

/// The type of a message; of a ServerHello that is a HelloRetryRequest, that one's (RFC 8446 §4.1.3).
fn handshake_type(message: Message<'_>) -> HandshakeType {
    let is_retry = message.handshake_type == HandshakeType::ServerHello
        && message
            .body
            .and_then(|body| ServerHello::read(body).ok())
            .is_some_and(|hello| hello.is_retry);
    if is_retry {
        HandshakeType::HelloRetryRequest
    } else {
        message.handshake_type
    }
}

fn message_bytes(length: usize) -> Option<u32> {
    u32::try_from(length + MESSAGE_HEADER).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{AlertDescription, AlertLevel};

    const CLIENT: Direction = Direction::Forward;
    const SERVER: Direction = Direction::Reverse;

    fn at(packet: u64) -> Arrival {
        let time = Timestamp::from_seconds(packet.try_into().unwrap());
        Arrival::new(time, packet)
    }

    fn record(content_type: ContentType) -> SealedUnit {
        SealedUnit {
            content_type,
            length: 100,
            has_key: false,
        }
    }

    /// Plays items of TLS 1.3, one a packet, and lists the steps with their packets.
    fn steps(may_be_tls13: bool, items: &[(Direction, Seen<'_>)]) -> Vec<String> {
        let mut recorder = LadderRecorder::new("a".into());
        for (packet, (sender, seen)) in (1..).zip(items) {
            recorder.take(*sender, seen, at(packet), may_be_tls13);
        }
        let ladder = recorder.finish(CLIENT);
        let step = |step: &LadderStep| format!("{} {} {}", step.packet, step.sender, step.kind);
        ladder.steps.iter().map(step).collect()
    }

    fn start(packet: u64) -> Seen<'static> {
        Seen::SealedStart {
            unit: record(ContentType::ApplicationData),
            start: at(packet),
        }
    }

    fn end(packet: u64, content: Content) -> Seen<'static> {
        Seen::SealedEnd {
            unit: record(ContentType::ApplicationData),
            content,
            end: at(packet),
        }
    }

    fn opened(packet: u64, handshake_type: HandshakeType) -> Seen<'static> {
        Seen::Message {
            message: Message {
                handshake_type,
                body: None,
                length: 32,
            },
            sealed: true,
            at: at(packet),
        }
    }

    #[test]
    fn the_messages_in_a_record_take_its_place() {
        let items = [
            (SERVER, start(1)),
            (SERVER, opened(2, HandshakeType::EncryptedExtensions)),
            (SERVER, opened(2, HandshakeType::Finished)),
            (SERVER, end(2, Content::Handshake)),
            (CLIENT, start(5)),
            (CLIENT, end(5, Content::Unknown)),
            (CLIENT, start(7)),
            (CLIENT, end(7, Content::ApplicationData)),
        ];
        let expected = [
            "2 server EncryptedExtensions",
            "2 server Finished",
            "5 client encrypted record",
            "7 client application data",
        ];
        assert_eq!(steps(true, &items), expected);
    }

    #[test]
    fn what_is_opened_late_stands_where_its_record_was() {
        let refused = Content::Alert(AlertLevel::Fatal, AlertDescription::UnknownCa);
        let late = |content, packet| Seen::Late {
            content,
            start: at(packet).time,
            end: at(packet),
        };
        let items = [
            (SERVER, start(1)),
            (SERVER, end(1, Content::Unknown)),
            (CLIENT, start(3)), // not complete when the secret comes
            (SERVER, Seen::CatchUp),
            (SERVER, opened(1, HandshakeType::EncryptedExtensions)),
            (SERVER, opened(1, HandshakeType::Finished)),
            (SERVER, late(Content::Handshake, 1)),
            (CLIENT, end(3, Content::Unknown)),
            (CLIENT, Seen::CatchUp),
            (CLIENT, late(refused, 3)),
        ];
        let expected = [
            "1 server EncryptedExtensions",
            "1 server Finished",
            "3 client Alert unknown_ca (fatal)",
        ];
        assert_eq!(steps(true, &items), expected);
    }

    #[test]
    fn up_to_tls12_the_first_encrypted_handshake_record_is_finished() {
        let sealed = |content_type| Seen::SealedStart {
            unit: record(content_type),
            start: at(9),
        };
        let items = [
            (CLIENT, Seen::ChangeCipherSpec { at: at(1) }),
            (CLIENT, sealed(ContentType::Handshake)),
            (CLIENT, end(9, Content::Handshake)),
            (CLIENT, sealed(ContentType::Handshake)),
            (CLIENT, sealed(ContentType::ApplicationData)),
            (CLIENT, sealed(ContentType::Alert)),
        ];
        let expected = [
            "1 client ChangeCipherSpec",
            "9 client Finished",
            "9 client encrypted record, handshake",
            "9 client application data",
            "9 client Alert",
        ];
        assert_eq!(steps(false, &items), expected);
    }

    #[test]
    fn a_flood_is_cut_and_counted_and_its_end_is_kept() {
        let mut recorder = LadderRecorder::new("a".into());
        for packet in 0..10_000 {
            recorder.take(SERVER, &start(packet), at(packet), true);
        }
        let (how, at) = (Close::Fin, at(10_000));
        recorder.take(CLIENT, &Seen::Close { how, at }, at, true);
        let ladder = recorder.finish(CLIENT);
        assert_eq!(ladder.steps.len(), MAX_STEPS + 1);
        assert_eq!(ladder.steps.last().unwrap().kind, StepKind::Fin);
        assert_eq!(ladder.omitted as usize, 10_000 - MAX_STEPS);
    }

    #[test]
    fn a_step_names_the_file_that_its_packet_came_from() {
        let mut recorder = LadderRecorder::new("a".into());
        recorder.note_source(&"a".into(), at(9));
        recorder.note_source(&"b".into(), at(1));
        recorder.take(CLIENT, &Seen::ChangeCipherSpec { at: at(9) }, at(1), true); // begun in the other file
        recorder.take(CLIENT, &Seen::ChangeCipherSpec { at: at(1) }, at(1), true);
        for packet in 10..2 * MAX_PACKETS as u64 {
            recorder.note_source(&"a".into(), at(packet));
        }
        assert!(recorder.packets.len() <= MAX_PACKETS);
        let ladder = recorder.finish(SERVER);
        let sources = ladder.steps.iter().map(|step| (&*step.source, step.packet));
        assert_eq!(sources.collect::<Vec<_>>(), [("a", 9), ("b", 1)]);
        assert_eq!(ladder.steps[0].sender, Side::Server);
    }
}
