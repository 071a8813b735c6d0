//! One connection's bytes to records to messages, for both directions.

use std::time::Duration;

use crate::decrypt::Keys;
use crate::flow::{Direction, PerDirection};
use crate::tls::{
    ClientHello, ContentType, Defragmenter, Detection, HEADER_LENGTH, Message, Piece, ReadError,
    RecordHeader, RecordReader, detect,
};
use crate::transport::tcp::{Arrival, Chunk};

use super::sealed::{Content, Decryption, Key, KeyUse};
use crate::handshake::transcript::{RecordSeen, Tracker};

/// How one direction of a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// In order.
    Fin,
    /// Abruptly.
    Rst,
}

/// Why no more of a connection will be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that counts was seen.
    Decided,
    /// Nothing new came for as long as the observer waits.
    Silence,
    /// A new connection took its five-tuple.
    Replaced,
    /// The flow table needed its room.
    Evicted,
    /// The capture ended.
    CaptureEnd,
}

/// A connection on which a handshake is under way.
#[derive(Debug)]
pub struct Connection {
    streams: PerDirection<Stream>,
    decryption: Decryption,
    tracker: Tracker,
}

/// One direction.
#[derive(Debug, Default)]
struct Stream {
    records: RecordReader,
    messages: Defragmenter,
    /// The newest packet that brought bytes: held ones are older than those that they waited for.
    latest: Option<Arrival>,
    /// Where the message under way began.
    message_start: Option<Arrival>,
    /// The start of the open record.
    record_start: Option<Arrival>,
    /// Whether the open record is encrypted and may be opened.
    key: Key,
    /// The two bytes of an alert, as they come.
    alert: [Option<u8>; 2],
    state: StreamState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum StreamState {
    /// Nothing has come.
    #[default]
    Fresh,
    /// Records follow one another.
    InPlace,
    /// A gap swallowed the start of a record: look for the next.
    LostPlace,
    /// Part of an SSLv2 CLIENT-HELLO has come.
    Sslv2 {
        /// What has come of it.
        message: Vec<u8>,
        /// Its whole length; [`detect`] lets no more than 32 KiB through.
        length: usize,
    },
    /// No TLS, or no more of it.
    Ignored,
}

impl Connection {
    /// A connection of which no byte was looked at yet; `keys` open what is encrypted on it, if they fit.
    #[must_use]
    pub fn new(start: Arrival, keys: &Keys) -> Self {
        Self {
            streams: Default::default(),
            decryption: Decryption::new(keys.clone()),
            tracker: Tracker::new(start),
        }
    }

    /// Takes the next chunk of one direction.
    pub fn handle_chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        match chunk {
            Chunk::Bytes(bytes, arrival) => self.handle_bytes(direction, bytes, arrival),
            Chunk::Gap(missing) => self.handle_gap(direction, missing),
        }
    }

    /// Notes that one direction was closed; false if it was before.
    pub fn handle_close(&mut self, direction: Direction, close: Close, now: Arrival) -> bool {
        self.tracker.handle_close(direction, close, now)
    }

    /// Notes that packets of `direction` are in view, with or without payload.
    pub fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.tracker.note_packet(direction, now);
    }

    /// Notes that `direction` carried something else than TLS before.
    pub fn note_plain(&mut self, direction: Direction) {
        self.tracker.note_plain(direction);
    }

    /// Notes that a bound or the snap length took something from this connection.
    pub const fn note_truncated(&mut self) {
        self.tracker.note_truncated();
    }

    /// Notes that no more bytes will come.
    pub fn handle_end(&mut self) {
        for direction in Direction::BOTH {
            self.streams[direction].give_up_message(&mut self.tracker, direction);
        }
    }

    /// Whether nothing that comes can change what will be told.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        self.tracker.is_decided() && !self.decryption.is_waiting()
    }

    /// Whether the handshake has completed and is in use: if nothing more comes, nothing is wrong.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.tracker.is_settled() || self.tracker.is_decided()
    }

    /// Whether what is still waited for will come soon or not at all: segments under way when the connection was
    /// reset, or secrets.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.tracker.is_closing() || self.tracker.is_decided()
    }

    /// Whether a hello was seen: without one there is nothing to tell.
    #[must_use]
    pub const fn has_hello(&self) -> bool {
        self.tracker.has_hello()
    }

    /// Whether what began like TLS turned out to be something else.
    #[must_use]
    pub fn is_ruled_out(&self) -> bool {
        !self.has_hello()
            && self
                .streams
                .iter()
                .any(|stream| stream.state == StreamState::Ignored)
    }

    /// Bytes held: of messages under way, and of those that the report needs.
    #[must_use]
    pub fn held(&self) -> usize {
        self.tracker.held()
            + self.decryption.held()
            + self
                .streams
                .iter()
                .map(|stream| stream.messages.held())
                .sum::<usize>()
    }

    pub(crate) const fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// Waits no longer for secrets: what has come by now is all that there is.
    pub(crate) fn conclude_decryption(&mut self) {
        self.decryption.catch_up(&mut self.tracker);
        self.decryption.give_up(&mut self.tracker);
    }

    /// What keys were good for; `None` if there were none at all, or nothing to use them for.
    #[must_use]
    pub const fn key_use(&self) -> Option<KeyUse> {
        self.decryption.key_use()
    }

    /// Lets the secrets of this connection be wiped, some time after its last packet; to be called before the report.
    pub fn retire_secrets(&self) {
        if let (Some(_), Some(hello)) = (self.key_use(), &self.tracker.client_hello) {
            let at = self.tracker.last.time;
            self.decryption.keys().retire(&hello.random, at);
        }
    }

    /// Messages that were too long to be put together.
    pub fn take_discarded_messages(&mut self) -> u64 {
        self.streams
            .iter_mut()
            .map(|stream| stream.messages.take_discarded())
            .sum()
    }

    fn handle_gap(&mut self, direction: Direction, missing: u32) {
        self.tracker.handle_gap(direction, missing);
        self.decryption.handle_gap(&mut self.tracker, direction);
        let stream = &mut self.streams[direction];
        stream.give_up_message(&mut self.tracker, direction);
        stream.alert = [None; 2];
        match stream.state {
            StreamState::Ignored => {}
            // The gap lies within the open record: its end is where it was said to be.
            StreamState::InPlace if stream.records.skip(missing) => {}
            _ => {
                stream.records.lose_place();
                stream.state = StreamState::LostPlace;
            }
        }
    }

    fn handle_bytes(&mut self, direction: Direction, bytes: &[u8], arrival: Arrival) {
        let stream = &mut self.streams[direction];
        stream.note_arrival(arrival);
        match &mut stream.state {
            StreamState::Ignored => {}
            StreamState::Fresh => self.begin(direction, bytes, arrival),
            StreamState::Sslv2 { .. } => self.go_on_sslv2(direction, bytes, arrival),
            StreamState::InPlace => self.read_records(direction, bytes, arrival),
            StreamState::LostPlace => {
                if begins_record(bytes) {
                    stream.state = StreamState::InPlace;
                    self.read_records(direction, bytes, arrival);
                }
            }
        }
    }

    /// Looks at the first bytes of a direction.
    fn begin(&mut self, direction: Direction, bytes: &[u8], arrival: Arrival) {
        let stream = &mut self.streams[direction];
        stream.record_start = Some(arrival);
        if let Detection::Sslv2ClientHello(length) = detect(bytes) {
            stream.state = StreamState::Sslv2 {
                message: Vec::new(),
                length: 2 + length,
            };
            self.go_on_sslv2(direction, bytes, arrival);
        } else if self.tracker.expects_sslv2_server_hello() && is_sslv2_server_hello(bytes) {
            stream.state = StreamState::Ignored;
            self.tracker.handle_sslv2_server_hello(direction, arrival);
        } else {
            stream.state = StreamState::InPlace;
            self.read_records(direction, bytes, arrival);
        }
    }

    /// Collects an SSLv2 CLIENT-HELLO; what follows it are records.
    fn go_on_sslv2(&mut self, direction: Direction, bytes: &[u8], arrival: Arrival) {
        let stream = &mut self.streams[direction];
        let StreamState::Sslv2 { message, length } = &mut stream.state else {
            return;
        };
        let (part, rest) = bytes.split_at(bytes.len().min(length.saturating_sub(message.len())));
        message.extend_from_slice(part);
        if message.len() < *length {
            return;
        }
        let hello = ClientHello::read_sslv2(message.get(2..).unwrap_or_default());
        let start = stream.record_start.unwrap_or(arrival);
        match hello {
            Ok(hello) => {
                stream.state = StreamState::InPlace;
                self.tracker.handle_client_hello(direction, hello, start);
                self.tracker.note_sslv2();
                self.read_records(direction, rest, arrival);
            }
            Err(_) => stream.state = StreamState::Ignored,
        }
    }

    fn read_records(&mut self, direction: Direction, mut input: &[u8], arrival: Arrival) {
        let stream = &mut self.streams[direction];
        loop {
            if stream.records.is_at_boundary() {
                stream.record_start = Some(arrival);
            }
            match stream.records.next_piece(&mut input) {
                Ok(Some(piece)) => stream.handle_piece(
                    &mut self.tracker,
                    &mut self.decryption,
                    direction,
                    piece,
                    arrival,
                ),
                Ok(None) => return,
                Err(_) => {
                    stream.state = StreamState::Ignored;
                    self.tracker.handle_not_tls(direction);
                    return;
                }
            }
        }
    }
}

impl Stream {
    fn note_arrival(&mut self, arrival: Arrival) {
        let is_held = |latest: Arrival| {
            let age = latest.time.checked_since(arrival.time);
            age.is_some_and(|age| age > Duration::ZERO && age < MAX_HELD)
        };
        if !self.latest.is_some_and(is_held) {
            self.latest = Some(arrival);
        }
    }

    fn handle_piece(
        &mut self,
        tracker: &mut Tracker,
        decryption: &mut Decryption,
        direction: Direction,
        piece: Piece<'_>,
        arrival: Arrival,
    ) {
        let start = self.record_start.unwrap_or(arrival);
        match piece.header.content_type {
            ContentType::Handshake if !tracker.is_encrypted(direction) => {
                self.handle_fragment(tracker, direction, piece.bytes, start, arrival);
            }
            ContentType::Alert if !tracker.is_encrypted(direction) && piece.header.length == 2 => {
                self.handle_alert(tracker, direction, piece);
            }
            ContentType::ChangeCipherSpec if piece.is_last => {
                tracker.handle_change_cipher_spec(direction)
            }
            ContentType::ChangeCipherSpec => {}
            content_type => {
                if piece.is_first {
                    self.key = decryption.begin_record(tracker, direction);
                }
                let record = RecordSeen {
                    content_type,
                    length: piece.header.length,
                    has_key: self.key == Key::Here,
                };
                if piece.is_first {
                    tracker.handle_record(direction, record, start);
                }
                let latest = self.latest.unwrap_or(arrival);
                let mut content = Content::Closed;
                match self.key {
                    Key::Here => {
                        content = decryption.handle_piece(tracker, direction, piece, latest)
                    }
                    Key::Awaited => decryption.hold(tracker, direction, piece, start.time, latest),
                    Key::None => {}
                }
                if piece.is_last {
                    tracker.handle_record_end(direction, record, content, latest);
                }
            }
        }
    }

    fn handle_fragment(
        &mut self,
        tracker: &mut Tracker,
        direction: Direction,
        bytes: &[u8],
        record_start: Arrival,
        arrival: Arrival,
    ) {
        // The first message of a record begins with the record's header.
        let mut start = if self.messages.is_open() {
            self.message_start.unwrap_or(arrival)
        } else {
            record_start
        };
        self.messages.push(bytes, &mut |message: Message<'_>| {
            tracker.handle_message(direction, message, start);
            start = arrival;
        });
        self.message_start = Some(start);
    }

    /// The rest of the message under way will not come: what there is of a hello still tells something.
    fn give_up_message(&mut self, tracker: &mut Tracker, direction: Direction) {
        if let (Some(message), Some(start)) = (self.messages.partial(), self.message_start) {
            tracker.handle_partial_message(direction, message, start);
        }
        self.messages.clear();
    }

    fn handle_alert(&mut self, tracker: &mut Tracker, direction: Direction, piece: Piece<'_>) {
        for byte in piece.bytes {
            match self.alert {
                [None, _] => self.alert[0] = Some(*byte),
                _ => self.alert[1] = Some(*byte),
            }
        }
        if piece.is_last
            && let [Some(level), Some(description)] = std::mem::take(&mut self.alert)
            && let Some(latest) = self.latest
        {
            tracker.handle_alert(direction, level, description, latest);
        }
    }
}

/// How much older than its stream a held segment may be. More is a clock that was set back.
const MAX_HELD: Duration = Duration::from_secs(60);

/// Whether `bytes` may begin with a record: its header fits, and so does the next one if it is there.
fn begins_record(bytes: &[u8]) -> bool {
    let Ok(header) = RecordHeader::read(bytes) else {
        return false;
    };
    let next = bytes
        .get(HEADER_LENGTH + usize::from(header.length)..)
        .unwrap_or_default();
    header.length > 0 && !matches!(RecordHeader::read(next), Err(ReadError::Invalid(_)))
}

/// Whether `bytes` begin with an SSLv2 SERVER-HELLO, from a server that knows nothing newer.
fn is_sslv2_server_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [first, _, 4, 0 | 1, _, 0, 2, ..] if first & 0x80 != 0)
}
