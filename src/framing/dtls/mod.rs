//! DTLS 1.0, 1.2 and 1.3: the datagrams of both directions to records to messages.
//!
//! | module | what |
//! | --- | --- |
//! | [`demux`] | which datagrams carry DTLS, and which begin a handshake |
//! | [`record`] | the headers of records, and copies of them |
//! | [`fragment`] | messages in any number of fragments, in any order |
//! | [`origin`] | who has sent a datagram, where its addresses do not say it |
//! | [`unsealing`] | opening alerts with the keys that the user gives |
//!
//! # What replaces the acknowledgments of TCP?
//!
//! Before version 1.3, DTLS has none. A side repeats its last flight until its peer goes on with the next one
//! (RFC 6347 §4.2.4). So a new message says that its sender has received the flight before it, and a flight that is
//! sent again says that no answer had arrived by then. [`Flight`] counts this, and the owner hands it on as a
//! [`DeliveryState`].
//!
//! # What is known of encrypted records?
//!
//! Up to DTLS 1.2, their type and epoch: the first of type `handshake` in an epoch is Finished, and one more of it is
//! the same again, with a new record number. A record behind it without it shows that the capture lacks it. With a
//! connection identifier (RFC 9146) the type is hidden, and the lengths tell alerts from data. In DTLS 1.3, the epoch
//! separates the handshake (2) from what follows (3).

mod demux;
mod fragment;
mod origin;
mod record;
mod unsealing;

use crate::decrypt::{ClientRandom, Keys};
use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, ClientHello, ContentType, ExtensionType, Extensions,
    HandshakeType, Message, Reader, RecordHeader,
};
use crate::transport::tcp::{Arrival, DeliveryState, Outstanding};

use super::sealed::KeyUse;
use super::{Content, MESSAGE_HEADER, Payload, Recipient, SealedUnit, Seen};

pub(crate) use demux::{Opening, dtls_in, may_have_channel_data, number_of_alert, opening};
use fragment::{Fragment, Given, Messages, Taken};
pub(crate) use origin::DatagramOrigin;
use record::{Header, Record, ReplayWindow, Standing};
use unsealing::Unsealing;

/// DTLS records in both directions of one association.
#[derive(Debug)]
pub(crate) struct DtlsRecords {
    senders: PerDirection<Sender>,
    unsealing: Unsealing,
    /// Who sent the last message that was new.
    last_new: Option<Direction>,
    /// Fragments that a limit discarded.
    discarded: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Sender {
    messages: Messages,
    /// Of the first epoch, and of those after it.
    windows: [ReplayWindow; 2],
    flight: Flight,
    /// Bytes of its datagrams so far.
    bytes: u32,
    /// The latest alerts in the clear, by number and description, so that copies of them count once.
    alerts: [Option<(u64, u8)>; RECENT_ALERTS],
    has_changed_cipher: bool,
    /// What looks like Finished, and came before ChangeCipherSpec: datagrams may be out of order, and a bit of an epoch may be wrong.
    early_finished: Option<EarlyFinished>,
    /// The length of the record with Finished, once it was seen; of DTLS 1.2 and before.
    finished: Option<u16>,
    /// Whether later records show that the capture lacks its Finished.
    lacks_finished: bool,
    /// The length of the connection identifier in records that it sends.
    id_length: u8,
}

/// An encrypted record of type handshake.
#[derive(Clone, Copy, Debug)]
struct EarlyFinished {
    unit: SealedUnit,
    content: Content,
    at: Arrival,
}

/// The last flight of a side.
#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    /// The number of its first message; `None` if it begins with an encrypted one.
    first: Option<u16>,
    /// Its copies, as long as it was not answered or if it was sent again later.
    copies: Option<Outstanding>,
    /// The packet of the last copy.
    packet: u64,
    /// When the last message of it that was new was sent.
    last_new: Option<Timestamp>,
    /// The same of messages in the clear: anybody can send what looks like an encrypted record.
    last_in_clear: Option<Timestamp>,
}

/// Alerts of a side whose copies are recognised. A side sends one, and mirrored ports show it a second time.
const RECENT_ALERTS: usize = 4;

impl DtlsRecords {
    /// Records of an association of which none was read.
    pub(crate) fn new(keys: &Keys) -> Self {
        Self {
            senders: PerDirection::default(),
            unsealing: Unsealing::new(keys),
            last_new: None,
            discarded: 0,
        }
    }

    /// Takes a datagram of one direction.
    pub(crate) fn take(
        &mut self,
        sender: Direction,
        payload: Payload<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let own = &mut self.senders[sender];
        let length = payload.captured.len() + payload.missing;
        own.bytes = own.bytes.wrapping_add(length as u32); // less than 2¹⁶
        let arrival = Arrival {
            end: own.bytes,
            acknowledged: None,
            ..arrival
        };
        let id_length = own.id_length.into();
        let mut reader = Reader::new(payload.captured);
        // What follows the last whole record belongs to another protocol, or is missing: receivers ignore it, too.
        while let Ok(record) = Record::take(&mut reader, payload.missing, id_length) {
            self.handle_record(sender, record, arrival, recipient);
        }
    }

    /// The number of the next record that a side sends in the clear.
    pub(crate) fn next_in_clear(&self, sender: Direction) -> u64 {
        self.senders[sender].windows[0].end()
    }

    /// Notes that no more datagrams will come.
    pub(crate) fn finish(&mut self, recipient: &mut impl Recipient) {
        for direction in Direction::BOTH {
            self.give_up_missing(direction, recipient);
            let own = &mut self.senders[direction];
            if own.early_finished.take().is_some() && !own.lacks_finished {
                own.lacks_finished = true;
                recipient.take(direction, Seen::Gap(1)); // the record with ChangeCipherSpec, at least
            }
        }
    }

    /// How far the messages of one direction got, as far as repetitions show it.
    pub(crate) fn delivery(&self, sender: Direction) -> DeliveryState {
        let flight = self.senders[sender].flight;
        let mut state = DeliveryState::default();
        state.last_data = flight.last_in_clear;
        state.outstanding = flight.copies;
        state.data_end = self.senders[sender].bytes;
        state
    }

    /// Whether it turned out to be something else: what began with a hello stays an association.
    pub(crate) const fn is_ruled_out(&self) -> bool {
        false
    }

    /// Bytes of memory that unfinished messages take.
    pub(crate) fn allocated(&self) -> usize {
        let mut senders = self.senders.iter();
        senders
            .by_ref()
            .map(|sender| sender.messages.allocated())
            .sum::<usize>()
            + self.unsealing.allocated()
    }

    /// What the user's keys were good for; `None` if there were none, or nothing to open.
    pub(crate) const fn key_use(&self) -> Option<KeyUse> {
        self.unsealing.key_use()
    }

    /// Lets the secrets of the association that `random` names be wiped, some time after its last packet.
    pub(crate) fn retire_secrets(&self, random: &ClientRandom, last: Timestamp) {
        self.unsealing.keys().retire(random, last);
    }

    /// Fragments that a limit discarded, since the last call.
    pub(crate) const fn take_discarded_messages(&mut self) -> u64 {
        std::mem::replace(&mut self.discarded, 0)
    }

    fn handle_record(
        &mut self,
        sender: Direction,
        record: Record<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        match record.header {
            Header::Full {
                content_type,
                version,
                epoch,
                sequence,
            } => {
                let window = &mut self.senders[sender].windows[usize::from(epoch > 0)];
                // Alerts in the clear are easily forged, so they take no number away from what follows.
                let is_alert = epoch == 0 && content_type == ContentType::Alert;
                let standing = match is_alert {
                    true => window.look(sequence),
                    false => window.take(sequence),
                };
                // Numbers that moved on so far that this one is too old say nothing about an alert: somebody else may have moved them.
                let is_copy = standing == Standing::Copy || standing == Standing::Old && !is_alert;
                if standing == Standing::Far {
                    return; // somebody else may have sent it
                }
                if epoch == 0 {
                    let clear = ClearRecord {
                        content_type,
                        sequence,
                        is_copy,
                        fragment: record.fragment,
                    };
                    self.handle_clear(sender, clear, arrival, recipient);
                } else if !is_copy && !recipient.hellos().is_tls13() {
                    let header = RecordHeader {
                        content_type,
                        version,
                        length: record.length,
                    };
                    let sealed = SealedRecord {
                        header,
                        epoch,
                        sequence,
                        fragment: record.fragment,
                    };
                    self.handle_sealed(sender, sealed, arrival, recipient);
                }
            }
            Header::Unified { epoch } if recipient.hellos().is_tls13() => {
                // Epoch 1 is that of early data, and higher ones than 3 follow key updates.
                let content_type = if epoch == HANDSHAKE_EPOCH {
                    ContentType::Handshake
                } else {
                    ContentType::ApplicationData
                };
                let unit = SealedUnit {
                    content_type,
                    length: record.length,
                    has_key: false,
                };
                self.note_new(sender, None, arrival);
                emit_sealed(sender, unit, Content::Unknown, arrival, recipient);
            }
            Header::Unified { .. } => {}
        }
    }

    /// A record that is not encrypted.
    fn handle_clear(
        &mut self,
        sender: Direction,
        record: ClearRecord<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let own = &mut self.senders[sender];
        match (record.content_type, record.fragment) {
            (ContentType::Handshake, _) => {
                self.handle_fragments(sender, record, arrival, recipient)
            }
            (ContentType::Alert, [level, description]) => {
                // Servers may give the number of a HelloVerifyRequest again: they keep no state behind it (RFC 6347 §4.2.1).
                let hellos = recipient.hellos();
                let keeps_state = hellos.client == Some(sender) || hellos.server_hello.is_some();
                if record.is_copy && keeps_state {
                    return; // receivers discard it (RFC 6347 §4.1.2.6)
                }
                let said = Some((record.sequence, *description));
                if !own.alerts.contains(&said) {
                    own.alerts.rotate_right(1);
                    own.alerts[0] = said;
                    let seen = Seen::Alert {
                        level: AlertLevel(*level),
                        description: AlertDescription(*description),
                        at: arrival,
                    };
                    recipient.take(sender, seen);
                }
            }
            // Cisco's early DTLS, version 0x0100, has a message sequence behind it.
            (ContentType::ChangeCipherSpec, [1] | [1, _, _]) if !own.has_changed_cipher => {
                own.has_changed_cipher = true;
                let early = own.early_finished.take();
                recipient.take(sender, Seen::ChangeCipherSpec { at: arrival });
                if let Some(EarlyFinished { unit, content, at }) = early {
                    self.senders[sender].finished = Some(unit.length);
                    self.note_new(sender, None, at);
                    emit_sealed(sender, unit, content, at, recipient);
                }
            }
            // DTLS 1.3 acknowledges what it cannot answer yet (RFC 9147 §7).
            (ContentType::Ack, _) => self.senders[sender.flip()].flight.copies = None,
            _ => {}
        }
    }

    fn handle_fragments(
        &mut self,
        sender: Direction,
        record: ClearRecord<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let mut reader = Reader::new(record.fragment);
        while let Ok(fragment) = Fragment::take(&mut reader) {
            let mut ids = None;
            let messages = &mut self.senders[sender].messages;
            let taken = messages.push(&fragment, arrival, &mut |given| {
                ids = ids.or_else(|| offered_id_length(&given));
                emit(sender, given, recipient);
            });
            if let Some(length) = ids {
                self.senders[sender.flip()].id_length = length;
            }
            match taken {
                Taken::New => self.note_new(sender, Some(fragment.sequence), arrival),
                Taken::Repeated if !record.is_copy && fragment.offset == 0 => {
                    self.note_repeated(sender, Some(fragment.sequence), arrival);
                }
                Taken::Repeated => {}
                Taken::Discarded => self.discarded += 1,
            }
        }
    }

    /// An encrypted record of DTLS 1.2 or before.
    fn handle_sealed(
        &mut self,
        sender: Direction,
        record: SealedRecord<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let content = self.open(sender, record, recipient);
        let own = &mut self.senders[sender];
        let unit = SealedUnit {
            content_type: record.header.content_type,
            length: record.header.length,
            has_key: content.is_some() || self.unsealing.fits(),
        };
        let content = content.unwrap_or(Content::Unknown);
        let is_first = own.finished.is_none() && !own.lacks_finished;
        let content_type = match unit.content_type {
            ContentType::Tls12Cid => hidden_type(own.finished, is_first, unit.length),
            visible => visible,
        };
        let unit = SealedUnit {
            content_type,
            ..unit
        };
        match content_type {
            // Nothing is encrypted before ChangeCipherSpec (RFC 5246 §7.1), so one of these two is not what it seems.
            ContentType::Handshake if own.finished.is_none() && !own.has_changed_cipher => {
                let at = arrival;
                own.early_finished
                    .get_or_insert(EarlyFinished { unit, content, at });
                return;
            }
            ContentType::Handshake if own.finished.is_none() => {
                own.finished = Some(unit.length);
                self.note_new(sender, None, arrival);
                return emit_sealed(sender, unit, content, arrival, recipient);
            }
            ContentType::Handshake => return self.note_repeated(sender, None, arrival),
            ContentType::Alert | ContentType::ApplicationData => {}
            _ => return,
        }
        if is_first && (record.sequence > 0 || !own.has_changed_cipher) {
            own.lacks_finished = true;
            recipient.take(sender, Seen::Gap(1)); // a byte for the datagram, at least
        }
        if content_type == ContentType::ApplicationData {
            self.handle_use(sender, recipient);
        }
        emit_sealed(sender, unit, content, arrival, recipient);
    }

    /// What an alert or Finished carries, if there is a key for it. Data are not opened, nor what has a connection identifier.
    fn open(
        &mut self,
        sender: Direction,
        record: SealedRecord<'_>,
        recipient: &impl Recipient,
    ) -> Option<Content> {
        let is_of_interest = matches!(
            record.header.content_type,
            ContentType::Alert | ContentType::Handshake
        );
        if !is_of_interest || record.fragment.len() < record.header.length.into() {
            return None;
        }
        let hellos = recipient.hellos();
        let number = u64::from(record.epoch) << 48 | record.sequence;
        let side = hellos.side(sender);
        let unsealing = &mut self.unsealing;
        unsealing.open(side, number, record.header, record.fragment, hellos)
    }

    /// Data show that the handshake has completed for their sender: what was not seen of it will not come.
    fn handle_use(&mut self, sender: Direction, recipient: &mut impl Recipient) {
        for direction in Direction::BOTH {
            self.give_up_missing(direction, recipient);
        }
        let peer = &mut self.senders[sender.flip()];
        if peer.finished.is_none() && !peer.lacks_finished {
            peer.lacks_finished = true;
            recipient.take(sender.flip(), Seen::Gap(1)); // a byte for the datagram, at least
        }
        peer.flight.copies = None;
    }

    fn give_up_missing(&mut self, sender: Direction, recipient: &mut impl Recipient) {
        let messages = &mut self.senders[sender].messages;
        messages.give_up_missing(&mut |given| emit(sender, given, recipient));
    }

    /// Notes something new of `sender`: the message with this number, or an encrypted one.
    fn note_new(&mut self, sender: Direction, message: Option<u16>, arrival: Arrival) {
        let is_new_flight = self.last_new.replace(sender) != Some(sender);
        if is_new_flight {
            self.senders[sender.flip()].flight.copies = None; // this is the answer
        }
        let own = &mut self.senders[sender];
        let flight = &mut own.flight;
        if is_new_flight {
            flight.first = message;
            flight.packet = arrival.packet;
            flight.copies = Some(first_copy(own.bytes, arrival.time));
        }
        flight.last_new = Some(arrival.time);
        if message.is_some() {
            flight.last_in_clear = flight.last_new;
        }
    }

    /// Notes that `sender` repeats a message.
    fn note_repeated(&mut self, sender: Direction, message: Option<u16>, arrival: Arrival) {
        let own = &mut self.senders[sender];
        let flight = &mut own.flight;
        if flight.first != message || flight.packet == arrival.packet {
            // The rest of a flight that is sent again. Anybody can send what looks like an encrypted record.
            let copies = flight.copies.as_mut().filter(|_| message.is_some());
            if let Some(copies) = copies.filter(|copies| copies.is_repeated()) {
                copies.last_sent = copies.last_sent.max(arrival.time);
            }
            return;
        }
        flight.packet = arrival.packet;
        let first = first_copy(own.bytes, flight.last_new.unwrap_or(arrival.time));
        let copies = flight.copies.get_or_insert(first);
        copies.times += 1;
        copies.last_sent = arrival.time;
    }
}

/// The epoch of the encrypted part of a DTLS 1.3 handshake (RFC 9147 §6.1).
const HANDSHAKE_EPOCH: u8 = 2;

/// A record of the first epoch.
struct ClearRecord<'a> {
    content_type: ContentType,
    sequence: u64,
    /// Whether a record with this number was seen before.
    is_copy: bool,
    fragment: &'a [u8],
}

/// A record of a later epoch, up to DTLS 1.2.
#[derive(Clone, Copy)]
struct SealedRecord<'a> {
    header: RecordHeader,
    epoch: u16,
    sequence: u64,
    fragment: &'a [u8],
}

/// A flight that was sent once.
const fn first_copy(end: u32, time: Timestamp) -> Outstanding {
    Outstanding {
        start: end.saturating_sub(1),
        length: 1,
        times: 1,
        first_sent: time,
        last_sent: time,
    }
}

/// The type of a record with a connection identifier, which hides it: Finished has 12 bytes after its 12 of header, and
/// an alert has 2 (RFC 5246 §7.4.9, §7.2).
const fn hidden_type(finished: Option<u16>, is_first: bool, length: u16) -> ContentType {
    const FINISHED: u16 = 12 + 12;
    const ALERT: u16 = 2;
    match finished {
        None if is_first => ContentType::Handshake,
        Some(finished) if length == finished => ContentType::Handshake,
        Some(finished) if length + FINISHED == finished + ALERT => ContentType::Alert,
        _ => ContentType::ApplicationData,
    }
}

fn emit_sealed(
    sender: Direction,
    unit: SealedUnit,
    content: Content,
    arrival: Arrival,
    recipient: &mut impl Recipient,
) {
    let start = arrival;
    recipient.take(sender, Seen::SealedStart { unit, start });
    let seen = Seen::SealedEnd {
        unit,
        content,
        end: arrival,
    };
    recipient.take(sender, seen);
}

fn emit(sender: Direction, given: Given<'_>, recipient: &mut impl Recipient) {
    let seen = match given {
        Given::Gap(missing) => Seen::Gap(missing),
        Given::Message(message, at) => match client_hello(&message, ClientHello::read_dtls) {
            Some(hello) => Seen::ClientHello {
                hello,
                bytes: message.length + MESSAGE_HEADER,
                start: at,
            },
            None => Seen::Message {
                message: without_unreadable_hello(message),
                sealed: false,
                at,
            },
        },
        Given::Partial(message, start) => {
            match client_hello(&message, ClientHello::read_dtls_partial) {
                Some(hello) => Seen::ClientHello {
                    hello,
                    bytes: message.length + MESSAGE_HEADER,
                    start,
                },
                None => Seen::PartialMessage {
                    message: without_unreadable_hello(message),
                    start,
                },
            }
        }
    };
    recipient.take(sender, seen);
}

/// The ClientHello in a message: that of DTLS has a cookie.
fn client_hello<E>(
    message: &Message<'_>,
    read: impl Fn(&[u8]) -> Result<ClientHello, E>,
) -> Option<Box<ClientHello>> {
    if message.handshake_type != HandshakeType::ClientHello {
        return None;
    }
    read(message.body?).ok().map(Box::new)
}

/// The message without its body if it is a ClientHello: read as one of TLS, its cookie would be cipher suites.
fn without_unreadable_hello(message: Message<'_>) -> Message<'_> {
    let is_hello = message.handshake_type == HandshakeType::ClientHello;
    Message {
        body: message.body.filter(|_| !is_hello),
        ..message
    }
}

/// The length of the connection identifier that a hello asks its receiver to use (RFC 9146 §3).
fn offered_id_length(given: &Given<'_>) -> Option<u8> {
    let Given::Message(message, _) = given else {
        return None;
    };
    let mut reader = Reader::new(message.body?);
    reader.take(2 + 32).ok()?; // version, random
    reader.vector_u8().ok()?; // session identifier
    match message.handshake_type {
        HandshakeType::ClientHello => {
            reader.vector_u8().ok()?; // cookie
            reader.vector_u16().ok()?; // cipher suites
            reader.vector_u8().ok()?; // compression methods
        }
        HandshakeType::ServerHello => {
            reader.take(2 + 1).ok()?; // cipher suite, compression method
        }
        _ => return None,
    }
    let list = reader.vector_u16().ok()?.rest();
    let mut extensions = Extensions::new(list);
    let (_, id) = extensions.find(|(kind, _)| *kind == ExtensionType::ConnectionId)?;
    id.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Hellos;
    use crate::tls::{ProtocolVersion, ServerHello};

    const CLIENT: Direction = Direction::Forward;
    const SERVER: Direction = Direction::Reverse;

    /// Writes items down as text.
    #[derive(Default)]
    struct ItemLog {
        items: Vec<String>,
        client_hello: Option<Box<ClientHello>>,
        server_hello: Option<ServerHello>,
    }

    impl Recipient for ItemLog {
        fn take(&mut self, sender: Direction, seen: Seen<'_>) {
            let item = match seen {
                Seen::Message { message, .. } => {
                    if message.handshake_type == HandshakeType::ServerHello {
                        self.server_hello = ServerHello::read(message.body.unwrap()).ok();
                    }
                    format!("message {}", message.handshake_type.0)
                }
                Seen::PartialMessage { message, .. } => {
                    format!("part of message {}", message.handshake_type.0)
                }
                Seen::ClientHello { hello, .. } => {
                    let item = format!("hello {:?}", hello.cipher_suites[0]);
                    self.client_hello = Some(hello);
                    item
                }
                Seen::Alert { description, .. } => format!("alert {}", description.0),
                Seen::SealedStart { unit, .. } => {
                    format!("sealed {} of {}", unit.content_type, unit.length)
                }
                Seen::SealedEnd { .. } => return,
                Seen::ChangeCipherSpec { .. } => "change".to_owned(),
                Seen::Gap(missing) => format!("gap {missing}"),
                other => format!("{other:?}"),
            };
            let side = self.hellos().side(sender);
            self.items.push(format!("{side}: {item}"));
        }

        fn hellos(&self) -> Hellos<'_> {
            Hellos {
                client: Some(CLIENT),
                client_hello: self.client_hello.as_deref(),
                server_hello: self.server_hello.as_ref(),
                ..Hellos::default()
            }
        }
    }

    /// Two peers that send datagrams, one a second.
    struct Peers {
        records: DtlsRecords,
        log: ItemLog,
        packets: u64,
        numbers: PerDirection<[u64; 2]>,
    }

    impl Default for Peers {
        fn default() -> Self {
            Self {
                records: DtlsRecords::new(&Keys::default()),
                log: ItemLog::default(),
                packets: 0,
                numbers: PerDirection::default(),
            }
        }
    }

    impl Peers {
        fn send(mut self, sender: Direction, datagram: &[u8]) -> Self {
            self.packets += 1;
            let time = Timestamp::from_seconds(self.packets as i64);
            let at = Arrival::new(time, self.packets);
            let payload = Payload {
                captured: datagram,
                missing: 0,
            };
            self.records.take(sender, payload, at, &mut self.log);
            self
        }

        /// A record in a datagram of its own, with the next number.
        fn record(
            mut self,
            sender: Direction,
            content_type: u8,
            epoch: u8,
            fragment: &[u8],
        ) -> Self {
            let number = &mut self.numbers[sender][usize::from(epoch > 0)];
            let datagram = record(content_type, epoch, *number, &[], fragment);
            *number += 1;
            self.send(sender, &datagram)
        }

        fn message(self, sender: Direction, handshake_type: u8, number: u8, body: &[u8]) -> Self {
            self.record(sender, 22, 0, &message(handshake_type, number, body))
        }

        fn hellos(self, extension: &[u8]) -> Self {
            self.message(CLIENT, 1, 0, &client_hello(extension))
                .message(SERVER, 2, 0, &server_hello(extension))
        }

        fn finished(self, sender: Direction) -> Self {
            self.record(sender, 20, 0, &[1])
                .record(sender, 22, 1, &[0; 48])
        }

        fn items(mut self) -> Vec<String> {
            self.records.finish(&mut self.log);
            self.log.items
        }

        /// How often the last flight of a side was sent; 0 if it was answered.
        fn copies(&self, sender: Direction) -> u32 {
            let delivery = self.records.delivery(sender);
            delivery.outstanding.map_or(0, |copies| copies.times)
        }
    }

    fn record(content_type: u8, epoch: u8, number: u64, id: &[u8], fragment: &[u8]) -> Vec<u8> {
        [
            &[content_type, 0xfe, 0xfd, 0, epoch][..],
            &number.to_be_bytes()[2..],
            id,
            &(fragment.len() as u16).to_be_bytes(),
            fragment,
        ]
        .concat()
    }

    fn message(handshake_type: u8, number: u8, body: &[u8]) -> Vec<u8> {
        let length = body.len() as u8;
        [
            &[
                handshake_type,
                0,
                0,
                length,
                0,
                number,
                0,
                0,
                0,
                0,
                0,
                length,
            ][..],
            body,
        ]
        .concat()
    }

    fn client_hello(extension: &[u8]) -> Vec<u8> {
        let lists = [0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, extension.len() as u8];
        [&[0xfe, 0xfd][..], &[7; 32], &lists, extension].concat()
    }

    fn server_hello(extension: &[u8]) -> Vec<u8> {
        let selected = [0, 0xc0, 0x2b, 0, 0, extension.len() as u8];
        [&[0xfe, 0xfd][..], &[8; 32], &selected, extension].concat()
    }

    const SUITE: &str = "client: hello CipherSuite(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)";

    #[test]
    fn the_cookie_exchange_and_the_flights_give_the_messages_in_order() {
        let peers = Peers::default()
            .message(CLIENT, 1, 0, &client_hello(&[]))
            .message(SERVER, 3, 0, &[0xfe, 0xff, 1, 9])
            .message(CLIENT, 1, 1, &client_hello(&[]))
            .message(SERVER, 2, 1, &server_hello(&[]))
            .message(SERVER, 14, 2, &[])
            .message(CLIENT, 16, 2, &[0])
            .finished(CLIENT)
            .finished(SERVER)
            .record(CLIENT, 23, 1, &[0; 30])
            .record(CLIENT, 21, 1, &[0; 26]);
        assert_eq!(
            peers.items(),
            [
                SUITE,
                "server: message 3",
                SUITE,
                "server: message 2",
                "server: message 14",
                "client: message 16",
                "client: change",
                "client: sealed handshake of 48",
                "server: change",
                "server: sealed handshake of 48",
                "client: sealed application_data of 30",
                "client: sealed alert of 26",
            ]
        );
    }

    #[test]
    fn several_records_may_share_a_datagram_and_several_messages_a_record() {
        let peers = Peers::default().message(CLIENT, 1, 0, &client_hello(&[]));
        let flight = [message(2, 0, &server_hello(&[])), message(14, 1, &[])].concat();
        let alert = record(21, 0, 1, &[], &[2, 40]);
        let datagram = [record(22, 0, 0, &[], &flight), alert, vec![0x80, 1, 2]].concat();
        assert_eq!(
            peers.send(SERVER, &datagram).items()[1..],
            [
                "server: message 2",
                "server: message 14",
                "server: alert 40"
            ]
        );
    }

    #[test]
    fn a_flight_that_is_sent_again_is_counted_until_it_is_answered() {
        let hello = client_hello(&[]);
        let mut peers = Peers::default().message(CLIENT, 1, 0, &hello);
        assert_eq!(peers.copies(CLIENT), 1);
        peers = peers
            .message(CLIENT, 1, 0, &hello)
            .message(CLIENT, 1, 0, &hello);
        assert_eq!(peers.copies(CLIENT), 3);
        let delivery = peers.records.delivery(CLIENT);
        assert_eq!(delivery.outstanding.unwrap().repeated_for().as_secs(), 2);
        peers = peers.message(SERVER, 2, 0, &server_hello(&[]));
        assert_eq!((peers.copies(CLIENT), peers.copies(SERVER)), (0, 1));
        // Its peer's answer had not arrived when it sent this.
        peers = peers.message(CLIENT, 1, 0, &hello);
        assert_eq!(peers.copies(CLIENT), 2);
        assert_eq!(peers.items().len(), 2);
    }

    #[test]
    fn a_copy_of_a_datagram_is_no_repetition() {
        let datagram = record(22, 0, 0, &[], &message(1, 0, &client_hello(&[])));
        let alert = record(21, 0, 1, &[], &[2, 40]);
        let peers = Peers::default()
            .send(CLIENT, &datagram)
            .send(CLIENT, &datagram);
        assert_eq!(peers.copies(CLIENT), 1);
        let peers = peers.send(CLIENT, &alert).send(CLIENT, &alert);
        assert_eq!(peers.items(), [SUITE, "client: alert 40"]);
    }

    #[test]
    fn an_alert_with_the_number_of_another_record_is_ignored() {
        let alert = |number, description| record(21, 0, number, &[], &[2, description]);
        let peers = || Peers::default().hellos(&[]);
        let expected = peers().items();
        assert_eq!(peers().send(CLIENT, &alert(0, 40)).items(), expected);
        assert_eq!(peers().send(SERVER, &alert(0, 40)).items(), expected);
        // Which one of two alerts is genuine, nothing says.
        let both = peers()
            .send(CLIENT, &alert(1, 40))
            .send(CLIENT, &alert(1, 48));
        assert_eq!(both.items()[2..], ["client: alert 40", "client: alert 48"]);
        // Servers keep no state behind a HelloVerifyRequest.
        let refused = Peers::default()
            .message(CLIENT, 1, 0, &client_hello(&[]))
            .message(SERVER, 3, 0, &[0xfe, 0xff, 1, 9])
            .send(SERVER, &alert(0, 40));
        assert_eq!(refused.items()[2..], ["server: alert 40"]);
    }

    #[test]
    fn forged_alerts_take_no_number_away() {
        let alert = |number, description| record(21, 0, number, &[], &[2, description]);
        let forged = |numbers: std::ops::Range<u64>| {
            let peers = Peers::default().hellos(&[]);
            numbers.fold(peers, |peers, number| {
                peers.send(CLIENT, &alert(number, 80))
            })
        };
        let genuine = forged(1..4).send(CLIENT, &alert(1, 48)).items();
        assert!(
            genuine.contains(&"client: alert 48".to_owned()),
            "{genuine:?}"
        );
        // Nor from messages.
        let key_exchange = record(22, 0, 1, &[], &message(16, 1, &[0]));
        let twice = forged(1..4)
            .send(CLIENT, &key_exchange)
            .send(CLIENT, &key_exchange);
        assert_eq!(twice.copies(CLIENT), 1);
    }

    #[test]
    fn an_encrypted_record_ahead_of_its_change_of_ciphers_says_nothing() {
        let sent = |datagrams: &[&[u8]]| {
            let peers = Peers::default().hellos(&[]);
            let datagrams = datagrams.iter();
            datagrams.fold(peers, |peers, datagram| peers.send(SERVER, datagram))
        };
        let forged = record(22, 1, 0, &[], &[0; 48]);
        let state = |peers: Peers| Direction::BOTH.map(|side| peers.records.delivery(side));
        assert_eq!(state(sent(&[&forged]))[0], state(sent(&[]))[0]);
        let last = |peers: &Peers| peers.records.delivery(SERVER).last_data;
        assert_eq!(last(&sent(&[&forged])), last(&sent(&[])));
    }

    #[test]
    fn messages_and_numbers_say_who_has_sent_a_datagram() {
        let script: [(Direction, &[u8]); 12] = [
            (
                CLIENT,
                &record(22, 0, 0, &[], &message(1, 0, &client_hello(&[]))),
            ),
            (
                SERVER,
                &record(22, 0, 0, &[], &message(3, 0, &[0xfe, 0xff, 1, 9])),
            ),
            (
                CLIENT,
                &record(22, 0, 1, &[], &message(1, 1, &client_hello(&[]))),
            ),
            (
                SERVER,
                &record(22, 0, 1, &[], &message(2, 1, &server_hello(&[]))),
            ),
            (SERVER, &record(22, 0, 2, &[], &message(11, 2, &[0, 0, 0]))),
            (SERVER, &record(22, 0, 3, &[], &message(14, 3, &[]))),
            (CLIENT, &record(22, 0, 2, &[], &message(11, 2, &[0, 0, 0]))),
            (CLIENT, &record(22, 0, 3, &[], &message(16, 3, &[0]))),
            (CLIENT, &record(20, 0, 5, &[], &[1])),
            (CLIENT, &record(22, 1, 0, &[], &[0; 48])),
            (SERVER, &record(20, 0, 4, &[], &[1])),
            (SERVER, &record(22, 1, 0, &[], &[0; 48])),
        ];
        let sender = |peers: &Peers, datagram: &[u8]| {
            let payload = Payload {
                captured: datagram,
                missing: 0,
            };
            peers
                .records
                .origin_of(payload, CLIENT)
                .map(|origin| origin.sender)
        };
        let mut peers = Peers::default();
        for (place, (side, datagram)) in script.iter().enumerate() {
            let told = sender(&peers, datagram);
            let is_skipped = place == 8; // a number that neither side has come to
            assert_eq!(told, (!is_skipped).then_some(*side), "{place}");
            peers = peers.send(*side, datagram);
        }
        // Both sides have sent as many.
        let data = record(23, 1, 1, &[], &[0; 30]);
        assert_eq!(sender(&peers, &data), None);
        peers = peers.send(CLIENT, &data);
        assert_eq!(sender(&peers, &data), Some(SERVER));
        for other in [&[][..], &[0x2e, 1, 2, 0, 4, 0, 0, 0, 0], &[22, 0xfe]] {
            assert_eq!(sender(&peers, other), None);
        }
    }

    #[test]
    fn records_far_ahead_of_all_others_are_ignored() {
        const LAST: u64 = (1 << 48) - 1;
        let alert = record(21, 0, LAST, &[], &[2, 40]);
        let finished = record(22, 1, LAST, &[], &[0; 48]);
        let expected = Peers::default().hellos(&[]).finished(CLIENT).items();
        let forged = Peers::default()
            .send(SERVER, &alert)
            .hellos(&[])
            .send(CLIENT, &alert)
            .send(CLIENT, &finished)
            .finished(CLIENT)
            .send(SERVER, &alert);
        assert_eq!(forged.items(), expected);
    }

    #[test]
    fn finished_comes_once_and_counts_as_the_flight_of_a_resumption() {
        let peers = Peers::default()
            .hellos(&[])
            .finished(SERVER)
            .finished(CLIENT);
        let again = peers.record(CLIENT, 22, 1, &[0; 48]);
        assert_eq!(again.copies(CLIENT), 2);
        let finished = again.items();
        let count = finished.iter().filter(|item| item.contains("handshake"));
        assert_eq!(count.count(), 2);
    }

    #[test]
    fn finished_comes_behind_the_change_of_ciphers_of_early_dtls_as_well() {
        let early = |change: &[u8]| {
            let peers = Peers::default().hellos(&[]).record(SERVER, 20, 0, change);
            let items = peers.record(SERVER, 22, 1, &[0; 48]).items();
            items.iter().any(|item| item.contains("handshake"))
        };
        assert!(early(&[1, 0, 3]) && early(&[1]));
        assert!(!early(&[2]) && !early(&[1, 0]));
    }

    #[test]
    fn records_behind_a_finished_that_was_not_captured_show_the_gap() {
        let peers = Peers::default().hellos(&[]).finished(CLIENT);
        let data = record(23, 1, 1, &[], &[0; 30]);
        let items = peers.send(SERVER, &data).items();
        assert_eq!(
            items[4..],
            ["server: gap 1", "server: sealed application_data of 30"]
        );
        // The client has no data to send before it has received the server's Finished.
        let peers = Peers::default().hellos(&[]).finished(CLIENT);
        let items = peers.record(CLIENT, 23, 1, &[0; 30]).items();
        assert_eq!(
            items[4..],
            ["server: gap 1", "client: sealed application_data of 30"]
        );
    }

    #[test]
    fn a_message_that_did_not_come_is_a_gap_at_the_end() {
        let peers = Peers::default().hellos(&[]).message(SERVER, 14, 2, &[]);
        let peers = peers.message(CLIENT, 16, 1, &[0]);
        assert_eq!(
            peers.items()[2..],
            ["client: message 16", "server: gap 1", "server: message 14"]
        );
    }

    #[test]
    fn a_connection_identifier_hides_types_and_its_length_is_that_of_the_hellos() {
        let identifier = [0, 54, 0, 3, 2, 0xc1, 0xc2];
        let peers = Peers::default().hellos(&identifier);
        let sealed = |number, length: usize| record(25, 1, number, &[0xc1, 0xc2], &vec![0; length]);
        let change_cipher = record(20, 0, 9, &[], &[1]);
        let peers = peers
            .send(SERVER, &change_cipher)
            .send(SERVER, &sealed(0, 49))
            .send(CLIENT, &change_cipher)
            .send(CLIENT, &sealed(0, 49));
        let items = peers
            .send(CLIENT, &sealed(1, 90))
            .send(CLIENT, &sealed(2, 27))
            .items();
        let items = items.into_iter().filter(|item| item.contains("sealed"));
        assert_eq!(
            items.collect::<Vec<_>>(),
            [
                "server: sealed handshake of 49",
                "client: sealed handshake of 49",
                "client: sealed application_data of 90",
                "client: sealed alert of 27"
            ]
        );
    }

    #[test]
    fn the_epoch_of_dtls_1_3_separates_the_handshake_from_what_follows() {
        let selected = [0, 43, 0, 2, 0xfe, 0xfc];
        let unified = |epoch: u8, length: u8| {
            [
                &[0x2c | epoch, 0x12, 0x34, 0, length][..],
                &vec![9; length.into()],
            ]
            .concat()
        };
        let before = Peers::default().send(SERVER, &unified(2, 40));
        assert_eq!(before.items(), [""; 0]);
        let datagram = [unified(2, 40), unified(3, 35)].concat();
        let items = Peers::default()
            .hellos(&selected)
            .send(SERVER, &datagram)
            .items();
        assert_eq!(
            items[2..],
            [
                "server: sealed handshake of 40",
                "server: sealed application_data of 35"
            ]
        );
        assert_eq!(ProtocolVersion::DTLSv1_3.0, 0xfefc);
    }

    #[test]
    fn a_hello_that_cannot_be_read_is_not_read_as_one_of_tls() {
        let mut hello = client_hello(&[]);
        hello[34] = 33; // a session identifier that is too long
        let items = Peers::default().message(CLIENT, 1, 0, &hello).items();
        assert_eq!(items, ["client: message 1"]);
    }
}
