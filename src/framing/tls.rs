//! TLS records over a stream: each direction's bytes to records to messages.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::decrypt::{ClientRandom, Keys};
use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, ClientHello, ContentType, Defragmenter, Detection,
    HEADER_LENGTH, HandshakeType, MAX_FRAGMENT, Message, Piece, ProtocolVersion, ReadError,
    RecordHeader, RecordReader, ServerHello, detect,
};
use crate::transport::tcp::{Arrival, Chunk};

use super::sealed::{Decryption, KeyState, KeyUse};
use super::{Content, Recipient, SealedUnit, Seen};

/// TLS records in both directions of one stream.
#[derive(Debug)]
pub(crate) struct TlsRecords {
    streams: PerDirection<RecordStream>,
    decryption: Decryption,
    /// Whether the ClientHello was SSLv2's, so that the answer may be, too.
    is_sslv2: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct RecordStream {
    records: RecordReader,
    messages: Defragmenter,
    /// The newest packet that brought bytes. Held segments are older than those they waited for.
    latest: Option<Arrival>,
    /// Where the unfinished message began.
    message_start: Option<Arrival>,
    /// Where the open record began.
    record_start: Option<Arrival>,
    /// Whether the open record is encrypted and can be opened.
    key: KeyState,
    /// The level of an alert whose description has not come yet: a stack may send them one at a time, up to TLS 1.2 in
    /// records of their own (RFC 5246 §6.2.1).
    alert_level: Option<u8>,
    /// How many bytes of the open record have come, if that is an alert with a MAC and without encryption: its first two are read.
    alert_bytes: u8,
    has_changed_cipher: bool,
    state: StreamState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum StreamState {
    /// Nothing has arrived.
    #[default]
    Fresh,
    /// Records follow one another.
    InPlace,
    /// A gap swallowed the start of a record: look for the next.
    LostPlace,
    /// Part of an SSLv2 CLIENT-HELLO has arrived.
    Sslv2 {
        /// What has arrived of it.
        message: Vec<u8>,
        /// Its whole length, which is no more than 32 KiB; `None` while too little has arrived to tell what it is.
        length: Option<u16>,
    },
    /// No TLS, or no more of it.
    Ignored,
}

impl TlsRecords {
    /// Reads a little of what each packet with payload looks at.
    pub(crate) fn approach(&self) -> u64 {
        let [forward, reverse] = &self.streams.0;
        let is_in_place = |stream: &RecordStream| u64::from(stream.state == StreamState::InPlace);
        let has_begun = |stream: &RecordStream| u64::from(stream.message_start.is_some());
        is_in_place(forward) + has_begun(forward) + is_in_place(reverse) + has_begun(reverse)
    }

    /// A stream of which no byte was read yet; `keys` open what is encrypted on it, if they fit.
    #[inline]
    pub(crate) fn new(keys: &Keys) -> Self {
        Self {
            streams: Default::default(),
            decryption: Decryption::new(keys.clone()),
            is_sslv2: false,
        }
    }

    /// Forgets what was read, and keeps the keys.
    pub(crate) fn clear(&mut self) {
        self.streams = Default::default();
        self.decryption.clear();
        self.is_sslv2 = false;
    }

    /// Takes the next chunk of one direction.
    #[inline]
    pub(crate) fn take(
        &mut self,
        sender: Direction,
        chunk: Chunk<'_>,
        recipient: &mut impl Recipient,
    ) {
        match chunk {
            // As nearly all are. The other states are not looked at here, so that this stays small.
            Chunk::Bytes(bytes, arrival) if self.streams[sender].state == StreamState::InPlace => {
                self.streams[sender].note_arrival(arrival);
                self.read_records(sender, bytes, arrival, recipient);
            }
            Chunk::Bytes(bytes, arrival) => self.handle_bytes(sender, bytes, arrival, recipient),
            Chunk::Gap(missing) => self.handle_gap(sender, missing, recipient),
        }
    }

    /// Notes that no more bytes will come.
    pub(crate) fn finish(&mut self, recipient: &mut impl Recipient) {
        for direction in Direction::BOTH {
            self.streams[direction].give_up_message(direction, recipient);
        }
    }

    /// Stops waiting for secrets: opens what can be opened, and gives up the rest.
    pub(crate) fn finish_decryption(&mut self, recipient: &mut impl Recipient) {
        self.decryption.catch_up(recipient);
        self.decryption.give_up(recipient);
    }

    /// Whether records wait for their secret.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.decryption.is_waiting()
    }

    /// Whether a direction turned out to be something else than TLS.
    pub(crate) fn is_ruled_out(&self) -> bool {
        let mut streams = self.streams.iter();
        streams.any(|stream| stream.state == StreamState::Ignored)
    }

    /// Whether the next bytes of a direction, of which `bytes` are the first, are of a record of application data: encrypted, as TLS 1.3
    /// also sends most of its handshake.
    #[inline]
    pub(crate) fn continues_data(&self, sender: Direction, bytes: &[u8]) -> bool {
        let stream = &self.streams[sender];
        let is_of_data = match stream.records.open_type() {
            Some(content_type) => content_type == ContentType::ApplicationData,
            None => bytes.first() == Some(&ContentType::ApplicationData.0),
        };
        is_of_data && stream.state == StreamState::InPlace
    }

    /// Bytes of memory that unfinished messages take, and records that wait.
    #[inline]
    pub(crate) fn allocated(&self) -> usize {
        let [forward, reverse] = &self.streams.0;
        self.decryption.allocated() + forward.allocated() + reverse.allocated()
    }

    /// What the user's keys were good for; `None` if there were none, or nothing to open.
    pub(crate) const fn key_use(&self) -> Option<KeyUse> {
        self.decryption.key_use()
    }

    /// Lets the secrets of the connection that `random` names be wiped, some time after its last packet.
    pub(crate) fn retire_secrets(&self, random: &ClientRandom, last: Timestamp) {
        self.decryption.keys().retire(random, last);
    }

    /// Messages that were too long to be put together, since the last call.
    pub(crate) fn take_discarded_messages(&mut self) -> u64 {
        self.streams
            .iter_mut()
            .map(|stream| stream.messages.take_discarded())
            .sum()
    }

    fn handle_gap(&mut self, sender: Direction, missing: u32, recipient: &mut impl Recipient) {
        recipient.take(sender, Seen::Gap(missing));
        self.decryption.handle_gap(sender, recipient);
        let stream = &mut self.streams[sender];
        stream.give_up_message(sender, recipient);
        stream.alert_level = None;
        match stream.state {
            StreamState::Ignored => {}
            // The gap lies within the open record, so the next one begins where its header said.
            StreamState::InPlace if stream.records.skip(missing) => {}
            _ => {
                stream.records.lose_place();
                stream.state = StreamState::LostPlace;
            }
        }
    }

    fn handle_bytes(
        &mut self,
        sender: Direction,
        bytes: &[u8],
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let stream = &mut self.streams[sender];
        stream.note_arrival(arrival);
        match &mut stream.state {
            StreamState::Ignored => {}
            StreamState::Fresh => self.begin(sender, bytes, arrival, recipient),
            StreamState::Sslv2 { .. } => self.continue_sslv2(sender, bytes, arrival, recipient),
            StreamState::InPlace => self.read_records(sender, bytes, arrival, recipient),
            StreamState::LostPlace => {
                if begins_record(bytes) {
                    stream.state = StreamState::InPlace;
                    self.read_records(sender, bytes, arrival, recipient);
                }
            }
        }
    }

    /// Looks at the first bytes of a direction.
    fn begin(
        &mut self,
        sender: Direction,
        bytes: &[u8],
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let Some(first) = bytes.first() else {
            return; // as a fragment of EAP that the snap length has cut
        };
        let stream = &mut self.streams[sender];
        stream.record_start = Some(arrival);
        let hellos = recipient.hellos();
        let expects_sslv2 = self.is_sslv2 && hellos.server_hello.is_none();
        let may_be_sslv2 = match detect(bytes) {
            Detection::Sslv2ClientHello(_) => true,
            // A record begins with its type, which is below 0x80.
            Detection::Incomplete => first & 0x80 != 0 && hellos.client_hello.is_none(),
            _ => false,
        };
        if may_be_sslv2 {
            stream.state = StreamState::Sslv2 {
                message: Vec::new(),
                length: None,
            };
            self.continue_sslv2(sender, bytes, arrival, recipient);
        } else if expects_sslv2 && is_sslv2_server_hello(bytes) {
            stream.state = StreamState::Ignored;
            let hello = Box::new(ServerHello {
                legacy_version: ProtocolVersion::SSLv2,
                ..ServerHello::default()
            });
            let start = arrival;
            recipient.take(sender, Seen::ServerHello { hello, start });
            if let Some(body) = sslv2_certificate(bytes) {
                let message = Message {
                    handshake_type: HandshakeType::Certificate,
                    body: Some(&body),
                    length: body.len(),
                };
                let (sealed, at) = (false, start);
                let seen = Seen::Message {
                    message,
                    sealed,
                    at,
                };
                recipient.take(sender, seen);
            }
        } else {
            stream.state = StreamState::InPlace;
            self.read_records(sender, bytes, arrival, recipient);
        }
    }

    /// Collects an SSLv2 CLIENT-HELLO; what follows it are records.
    fn continue_sslv2(
        &mut self,
        sender: Direction,
        input: &[u8],
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let stream = &mut self.streams[sender];
        let StreamState::Sslv2 { message, length } = &mut stream.state else {
            return;
        };
        let mut input = input;
        if length.is_none() {
            let missing = Detection::SSLV2_DECISIVE.saturating_sub(message.len());
            let (part, rest) = input.split_at(input.len().min(missing));
            message.extend_from_slice(part);
            input = rest;
            match detect(message) {
                Detection::Sslv2ClientHello(known) => *length = u16::try_from(2 + known).ok(),
                Detection::Incomplete => return,
                _ => {
                    let begun = std::mem::take(message);
                    stream.state = StreamState::InPlace;
                    self.read_records(sender, &begun, arrival, recipient);
                    return self.handle_bytes(sender, input, arrival, recipient);
                }
            }
        }
        let length = length.map_or(0, usize::from);
        let (part, rest) = input.split_at(input.len().min(length.saturating_sub(message.len())));
        message.extend_from_slice(part);
        if message.len() < length {
            return;
        }
        let bytes = message.len();
        let hello = ClientHello::read_sslv2(message.get(2..).unwrap_or_default());
        let start = stream.record_start.unwrap_or(arrival);
        match hello.map(Box::new) {
            Ok(hello) => {
                stream.state = StreamState::InPlace;
                self.is_sslv2 = true;
                let seen = Seen::ClientHello {
                    hello,
                    bytes,
                    start,
                };
                recipient.take(sender, seen);
                self.read_records(sender, rest, arrival, recipient);
            }
            Err(_) => stream.state = StreamState::Ignored,
        }
    }

    fn read_records(
        &mut self,
        sender: Direction,
        mut input: &[u8],
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let stream = &mut self.streams[sender];
        let has_no_keys = self.decryption.has_no_keys();
        while !input.is_empty() {
            if stream.records.is_at_boundary() {
                // Most records: of them only the length counts.
                if has_no_keys && let Some((length, rest)) = whole_data_record(input) {
                    input = rest;
                    let end = stream.newest(arrival.ending_before(input.len() as u32));
                    let unit = SealedUnit {
                        content_type: ContentType::ApplicationData,
                        length,
                        has_key: false,
                    };
                    recipient.take_sealed(sender, unit, arrival, end);
                    continue;
                }
                stream.record_start = Some(arrival);
            }
            match stream.records.next_piece(&mut input) {
                Ok(Some(piece)) => {
                    let here = arrival.ending_before(input.len() as u32);
                    stream.handle_piece(&mut self.decryption, sender, piece, here, recipient)
                }
                Ok(None) => return,
                Err(_) => {
                    stream.state = StreamState::Ignored;
                    recipient.take(sender, Seen::NotTls);
                    return;
                }
            }
        }
    }
}

impl RecordStream {
    #[inline]
    fn allocated(&self) -> usize {
        let hello = match &self.state {
            StreamState::Sslv2 { message, .. } => message.capacity(),
            _ => 0,
        };
        self.messages.held() + hello
    }

    fn note_arrival(&mut self, arrival: Arrival) {
        let is_held = |latest: &Arrival| {
            let age = || latest.time.checked_since(arrival.time);
            latest.packet > arrival.packet
                && age().is_some_and(|age| age > Duration::ZERO && age < MAX_HELD)
        };
        if !self.latest.as_ref().is_some_and(is_held) {
            self.latest = Some(arrival);
        }
    }

    /// The newest packet, for what ends where `here` does; its sender knew what it knew when it sent `here`.
    fn newest(&self, here: Arrival) -> Arrival {
        let latest = self.latest.unwrap_or(here);
        Arrival {
            time: latest.time,
            packet: latest.packet,
            ..here
        }
    }

    /// Whether records are encrypted although their types are readable: up to TLS 1.2, after ChangeCipherSpec.
    ///
    /// In TLS 1.3 ChangeCipherSpec has no meaning, and a client may send it before its second ClientHello
    /// (RFC 8446 §D.4).
    fn is_encrypted(&self, recipient: &impl Recipient) -> bool {
        self.has_changed_cipher && !recipient.may_be_tls13()
    }

    /// Whether protected records have a MAC only: the cipher suite is one with the NULL cipher (RFC 5246 §6.2.3.1).
    fn is_without_encryption(&self, recipient: &impl Recipient) -> bool {
        let suite = || recipient.hellos().server_hello?.cipher_suite;
        self.is_encrypted(recipient) && suite().is_some_and(CipherSuite::is_without_encryption)
    }

    fn handle_piece(
        &mut self,
        decryption: &mut Decryption,
        sender: Direction,
        piece: Piece<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        match piece.header.content_type {
            ContentType::Handshake if !self.is_encrypted(recipient) => {
                self.handle_fragment(sender, piece.bytes, arrival, recipient);
            }
            ContentType::Alert
                if !self.is_encrypted(recipient) && CLEAR_ALERTS.contains(&piece.header.length) =>
            {
                self.handle_alerts(sender, piece, arrival, recipient);
            }
            ContentType::ChangeCipherSpec if piece.is_last => {
                self.has_changed_cipher = true;
                let at = self.record_start.unwrap_or(arrival);
                recipient.take(sender, Seen::ChangeCipherSpec { at });
            }
            ContentType::ChangeCipherSpec => {}
            _ => self.handle_sealed(decryption, sender, piece, arrival, recipient),
        }
    }

    fn handle_sealed(
        &mut self,
        decryption: &mut Decryption,
        sender: Direction,
        piece: Piece<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let start = self.record_start.unwrap_or(arrival);
        if piece.is_first {
            self.key = if decryption.has_no_keys() {
                KeyState::None
            } else {
                let is_encrypted = self.is_encrypted(recipient);
                decryption.begin_record(sender, is_encrypted, recipient)
            };
        }
        let is_in_clear = self.key == KeyState::None && self.is_without_encryption(recipient);
        if is_in_clear && piece.header.content_type == ContentType::Alert {
            return self.handle_alert_with_mac(sender, piece, arrival, recipient);
        }
        let unit = SealedUnit {
            content_type: piece.header.content_type,
            length: piece.header.length,
            has_key: self.key == KeyState::Here || is_in_clear,
        };
        let end = self.newest(arrival);
        if self.key == KeyState::None && piece.is_first && piece.is_last {
            return recipient.take_sealed(sender, unit, start, end); // as most are
        }
        if piece.is_first {
            recipient.take(sender, Seen::SealedStart { unit, start });
        }
        let content = match self.key {
            KeyState::Here => decryption.handle_piece(sender, piece, end, recipient),
            KeyState::Awaited => {
                decryption.defer(sender, piece, start.time, end, recipient);
                Content::Unknown
            }
            KeyState::None => Content::Unknown,
        };
        if piece.is_last {
            recipient.take(sender, Seen::SealedEnd { unit, content, end });
        }
    }

    fn handle_fragment(
        &mut self,
        sender: Direction,
        bytes: &[u8],
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        // The first message of a record begins with the record's header.
        let mut start = if self.messages.is_open() {
            self.message_start.unwrap_or(arrival)
        } else {
            self.record_start.unwrap_or(arrival)
        };
        self.messages.push(bytes, &mut |message: Message<'_>| {
            let seen = Seen::Message {
                message,
                sealed: false,
                at: Arrival {
                    end: arrival.end,
                    ..start
                },
            };
            recipient.take(sender, seen);
            start = arrival;
        });
        self.message_start = Some(start);
    }

    /// The rest of the unfinished message will not come. The beginning of a hello is still worth reading.
    fn give_up_message(&mut self, sender: Direction, recipient: &mut impl Recipient) {
        if let (Some(message), Some(start)) = (self.messages.partial(), self.message_start) {
            recipient.take(sender, Seen::PartialMessage { message, start });
        }
        self.messages.clear();
    }

    fn handle_alerts(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        if piece.is_first && piece.header.length.is_multiple_of(2) {
            self.alert_level = None; // whole alerts: the rest of an earlier one will not come
        }
        for (index, byte) in piece.bytes.iter().enumerate() {
            let Some(level) = self.alert_level.take() else {
                self.alert_level = Some(*byte);
                continue;
            };
            let here = arrival.ending_before((piece.bytes.len() - 1 - index) as u32);
            let seen = Seen::Alert {
                level: AlertLevel(level),
                description: AlertDescription(*byte),
                at: self.newest(here),
            };
            recipient.take(sender, seen);
        }
    }
}

impl RecordStream {
    /// Takes a piece of an alert that a MAC follows, which is not looked at.
    fn handle_alert_with_mac(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        arrival: Arrival,
        recipient: &mut impl Recipient,
    ) {
        if piece.is_first {
            self.alert_bytes = 0;
        }
        for byte in piece.bytes {
            match (self.alert_bytes, self.alert_level) {
                (0, _) => self.alert_level = Some(*byte),
                (1, Some(level)) => {
                    self.alert_level = None;
                    let seen = Seen::Alert {
                        level: AlertLevel(level),
                        description: AlertDescription(*byte),
                        at: self.newest(arrival),
                    };
                    recipient.take(sender, seen);
                }
                _ => return,
            }
            self.alert_bytes += 1;
        }
    }
}

/// Bytes of alerts that one record has in the clear: four of them, where one is usual. The shortest encrypted alert takes
/// 12, with a MAC that is cut to 10 (RFC 6066 §7); all usual ones take 18 and more.
const CLEAR_ALERTS: RangeInclusive<u16> = 1..=8;

/// How much older than its stream a held segment may be. Beyond that, the clock was set back.
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

/// The length of the record of application data with which `input` begins, and what follows it, if all of it is there.
#[inline]
fn whole_data_record(input: &[u8]) -> Option<(u16, &[u8])> {
    let (header, rest) = input.split_first_chunk::<HEADER_LENGTH>()?;
    let [content_type, major, _, high, low] = *header;
    let length = u16::from_be_bytes([high, low]);
    let is_data =
        content_type == ContentType::ApplicationData.0 && major == 3 && length <= MAX_FRAGMENT;
    let rest = rest.get(usize::from(length)..)?;
    is_data.then_some((length, rest))
}

/// Whether `bytes` begin with an SSLv2 SERVER-HELLO, from a server that supports nothing newer.
fn is_sslv2_server_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [first, _, 4, 0 | 1, _, 0, 2, ..] if first & 0x80 != 0)
}

/// The certificate in an SSLv2 SERVER-HELLO, as the body of a Certificate message of TLS; `None` if it has none, or if not
/// all of it has come with the first bytes.
fn sslv2_certificate(bytes: &[u8]) -> Option<Vec<u8>> {
    const FIELDS: usize = 13; // two length bytes, type, session hit, certificate type, version, three lengths
    const X509: u8 = 1;
    let length = u16::from_be_bytes(bytes.get(7..9)?.try_into().ok()?);
    let certificate = bytes.get(FIELDS..FIELDS + usize::from(length))?;
    (bytes.get(4) == Some(&X509) && length > 0).then_some(())?;
    let u24 = |length: u32| length.to_be_bytes().into_iter().skip(1);
    let length = u32::from(length);
    let mut body = Vec::with_capacity(6 + certificate.len());
    body.extend(u24(length + 3).chain(u24(length)));
    body.extend_from_slice(certificate);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Hellos;

    #[test]
    fn an_sslv2_server_hello_gives_its_certificate_if_all_of_it_is_there() {
        let hello = [
            0x80, 17, 4, 0, 1, 0, 2, 0, 3, 0, 3, 0, 0, 0x30, 1, 2, 7, 0, 0xc0,
        ];
        assert!(is_sslv2_server_hello(&hello));
        let body = sslv2_certificate(&hello);
        assert_eq!(body, Some(vec![0, 0, 6, 0, 0, 3, 0x30, 1, 2]));
        for end in 0..16 {
            assert_eq!(sslv2_certificate(&hello[..end]), None, "{end} bytes");
        }
        let mut resumed = hello;
        resumed[8] = 0;
        assert_eq!(sslv2_certificate(&resumed), None);
    }

    const CLIENT: Direction = Direction::Forward;
    const SERVER: Direction = Direction::Reverse;

    /// Writes items down as text, and answers with the hellos that a test gives it.
    #[derive(Default)]
    struct ItemLog {
        items: Vec<String>,
        client_hello: Option<ClientHello>,
        server_hello: Option<ServerHello>,
    }

    impl Recipient for ItemLog {
        fn take(&mut self, sender: Direction, seen: Seen<'_>) {
            let item = match seen {
                Seen::Message { message, at, .. } => {
                    format!("message {} at {}", message.handshake_type.0, at.packet)
                }
                Seen::PartialMessage { message, .. } => {
                    format!("part of message {}", message.handshake_type.0)
                }
                Seen::ClientHello { .. } => "SSLv2 ClientHello".to_owned(),
                Seen::ServerHello { .. } => "SSLv2 ServerHello".to_owned(),
                Seen::Alert { description, .. } => format!("alert {}", description.0),
                Seen::SealedStart { unit, .. } => format!("sealed {}", unit.length),
                Seen::SealedEnd { .. } => "end".to_owned(),
                Seen::Gap(missing) => format!("gap {missing}"),
                other => format!("{other:?}"),
            };
            let side = self.hellos().side(sender);
            self.items.push(format!("{side}: {item}"));
        }

        fn hellos(&self) -> Hellos<'_> {
            Hellos {
                client: Some(CLIENT),
                client_hello: self.client_hello.as_ref(),
                server_hello: self.server_hello.as_ref(),
                retry_version: None,
                is_proven_old: false,
            }
        }
    }

    fn agreed_on(version: ProtocolVersion) -> ItemLog {
        ItemLog {
            server_hello: Some(ServerHello {
                legacy_version: version,
                ..ServerHello::default()
            }),
            ..ItemLog::default()
        }
    }

    fn record(content_type: ContentType, fragment: &[u8]) -> Vec<u8> {
        let [high, low] = (fragment.len() as u16).to_be_bytes();
        [&[content_type.0, 3, 3, high, low], fragment].concat()
    }

    fn arrival(packet: u64) -> Arrival {
        Arrival::new(Timestamp::from_seconds(0), packet)
    }

    /// Feeds chunks of one sender, each in a packet of its own, to a new stream.
    fn read<'c>(log: &mut ItemLog, sender: Direction, chunks: impl IntoIterator<Item = Chunk<'c>>) {
        let mut records = TlsRecords::new(&Keys::default());
        for chunk in chunks {
            records.take(sender, chunk, log);
        }
        records.finish(log);
    }

    fn bytes(packet: u64, bytes: &[u8]) -> Chunk<'_> {
        Chunk::Bytes(bytes, arrival(packet))
    }

    const SERVER_HELLO_DONE: &[u8] = &[14, 0, 0, 0];

    #[test]
    fn any_segmentation_gives_the_same_items() {
        let stream = [
            record(ContentType::Handshake, &SERVER_HELLO_DONE.repeat(2)),
            record(ContentType::Handshake, &SERVER_HELLO_DONE[..1]),
            record(ContentType::Handshake, &SERVER_HELLO_DONE[1..]),
            record(ContentType::Alert, &[2, 48]),
            record(ContentType::ApplicationData, &[0; 20]),
        ]
        .concat();
        let expected = [
            "server: message 14 at 1",
            "server: message 14 at 1",
            "server: message 14 at 1",
            "server: alert 48",
            "server: sealed 20",
            "server: end",
        ];
        for size in 1..=stream.len() {
            let mut log = agreed_on(ProtocolVersion::TLSv1_2);
            let chunks = stream.chunks(size).map(|part| bytes(1, part));
            read(&mut log, SERVER, chunks);
            assert_eq!(log.items, expected, "in parts of {size}");
        }
    }

    #[test]
    fn a_message_begins_with_its_record_and_the_next_one_where_that_ended() {
        let messages = record(ContentType::Handshake, &SERVER_HELLO_DONE.repeat(2));
        let (header, rest) = messages.split_at(HEADER_LENGTH + 2);
        let mut log = ItemLog::default();
        read(&mut log, SERVER, [bytes(1, header), bytes(2, rest)]);
        assert_eq!(
            log.items,
            ["server: message 14 at 1", "server: message 14 at 2"]
        );
    }

    #[test]
    fn change_cipher_spec_seals_what_follows_except_in_tls13() {
        let stream = [
            record(ContentType::ChangeCipherSpec, &[1]),
            record(ContentType::Handshake, SERVER_HELLO_DONE),
            record(ContentType::Alert, &[2, 48]),
        ]
        .concat();
        let items = |version| {
            let mut log = agreed_on(version);
            read(&mut log, SERVER, [bytes(1, &stream)]);
            log.items[1..].to_vec()
        };
        assert_eq!(
            items(ProtocolVersion::TLSv1_2),
            [
                "server: sealed 4",
                "server: end",
                "server: sealed 2",
                "server: end"
            ]
        );
        assert_eq!(
            items(ProtocolVersion::TLSv1_3),
            ["server: message 14 at 1", "server: alert 48"]
        );
    }

    /// As the NULL ciphers have it: level and description, then the MAC.
    #[test]
    fn an_alert_with_a_mac_and_without_encryption_is_readable() {
        let alert = [&[1, 0][..], &[2; 32]].concat();
        let stream = [
            record(ContentType::ChangeCipherSpec, &[1]),
            record(ContentType::Handshake, &[0; 48]),
            record(ContentType::Alert, &alert),
            record(ContentType::Alert, &alert),
        ]
        .concat();
        let items = |suite, size| {
            let mut log = agreed_on(ProtocolVersion::TLSv1_2);
            if let Some(hello) = &mut log.server_hello {
                hello.cipher_suite = Some(suite);
            }
            read(
                &mut log,
                SERVER,
                stream.chunks(size).map(|part| bytes(1, part)),
            );
            log.items[3..].to_vec()
        };
        for size in 1..=stream.len() {
            let seen = items(CipherSuite::TLS_RSA_WITH_NULL_SHA256, size);
            assert_eq!(
                seen,
                ["server: alert 0", "server: alert 0"],
                "parts of {size}"
            );
        }
        let encrypted = items(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA, stream.len());
        assert!(!encrypted.iter().any(|item| item.contains("alert")));
    }

    #[test]
    fn change_cipher_spec_of_a_client_that_offers_tls13_seals_nothing_yet() {
        let mut hello = ClientHello::default();
        hello.supported_versions = Some(vec![ProtocolVersion::TLSv1_3]);
        let mut log = ItemLog {
            client_hello: Some(hello),
            ..ItemLog::default()
        };
        let stream = [
            record(ContentType::ChangeCipherSpec, &[1]),
            record(ContentType::Alert, &[2, 48]),
        ]
        .concat();
        read(&mut log, CLIENT, [bytes(1, &stream)]);
        assert_eq!(log.items[1..], ["client: alert 48"]);
    }

    #[test]
    fn alerts_may_be_split_over_records_and_share_one() {
        let read_alerts = |fragments: &[&[u8]]| {
            let fragments = fragments.iter();
            let records = fragments.map(|fragment| record(ContentType::Alert, fragment));
            let stream = records.collect::<Vec<_>>().concat();
            let mut log = agreed_on(ProtocolVersion::TLSv1_2);
            read(&mut log, SERVER, [bytes(1, &stream)]);
            log.items
        };
        assert_eq!(read_alerts(&[&[2], &[48]]), ["server: alert 48"]);
        let two = ["server: alert 0", "server: alert 48"];
        assert_eq!(read_alerts(&[&[1, 0, 2, 48]]), two);
        assert_eq!(read_alerts(&[&[1], &[0, 2, 48]]), two);
        // A whole alert is one, whatever was begun before.
        assert_eq!(read_alerts(&[&[2], &[2, 48]]), ["server: alert 48"]);
        assert_eq!(read_alerts(&[&[2]]), [""; 0]);
    }

    #[test]
    fn a_gap_drops_the_level_before_it() {
        let level = record(ContentType::Alert, &[2]);
        let mut log = agreed_on(ProtocolVersion::TLSv1_2);
        let chunks = [bytes(1, &level), Chunk::Gap(6), bytes(2, &level)];
        read(&mut log, SERVER, chunks);
        assert_eq!(log.items, ["server: gap 6"]);
    }

    #[test]
    fn an_alert_record_of_the_length_of_an_encrypted_one_is_encrypted() {
        let mut log = agreed_on(ProtocolVersion::TLSv1_3);
        let stream = record(ContentType::Alert, &[0; 19]);
        read(&mut log, SERVER, [bytes(1, &stream)]);
        assert_eq!(log.items, ["server: sealed 19", "server: end"]);
    }

    #[test]
    fn a_gap_within_a_record_leaves_the_next_record_in_its_place() {
        let data = record(ContentType::ApplicationData, &[0; 50]);
        let done = record(ContentType::Handshake, SERVER_HELLO_DONE);
        let mut log = agreed_on(ProtocolVersion::TLSv1_2);
        let chunks = [
            bytes(1, &data[..20]),
            Chunk::Gap(data.len() as u32 - 20),
            bytes(2, &done),
        ];
        read(&mut log, SERVER, chunks);
        assert_eq!(
            log.items,
            [
                "server: sealed 50",
                "server: gap 35",
                "server: message 14 at 2"
            ]
        );
    }

    #[test]
    fn a_gap_beyond_a_record_makes_the_next_one_be_searched_for() {
        let data = record(ContentType::ApplicationData, &[0; 50]);
        let done = record(ContentType::Handshake, SERVER_HELLO_DONE);
        let mut log = agreed_on(ProtocolVersion::TLSv1_2);
        let chunks = [
            bytes(1, &data[..20]),
            Chunk::Gap(1000),
            bytes(2, &[0xee; 40]), // the middle of a record
            bytes(3, &done),
        ];
        read(&mut log, SERVER, chunks);
        assert_eq!(
            log.items,
            [
                "server: sealed 50",
                "server: gap 1000",
                "server: message 14 at 3"
            ]
        );
    }

    #[test]
    fn the_beginning_of_a_message_is_emitted_when_its_rest_will_not_come() {
        let hello = record(ContentType::Handshake, &[1, 0, 0, 100, 3, 3]);
        let mut log = ItemLog::default();
        read(&mut log, CLIENT, [bytes(1, &hello), Chunk::Gap(1000)]);
        assert_eq!(log.items, ["client: gap 1000", "client: part of message 1"]);
        let mut log = ItemLog::default();
        read(&mut log, CLIENT, [bytes(1, &hello)]);
        assert_eq!(log.items, ["client: part of message 1"]);
    }

    #[test]
    fn a_stream_that_is_not_tls_is_said_to_be_once_and_ignored_then() {
        let done = record(ContentType::Handshake, SERVER_HELLO_DONE);
        let mut log = ItemLog::default();
        let chunks = [bytes(1, b"HTTP/1.1 400 Bad Request"), bytes(2, &done)];
        read(&mut log, SERVER, chunks);
        assert_eq!(log.items, ["server: NotTls"]);
    }

    /// An SSLv2 CLIENT-HELLO that offers TLS 1.0 with one cipher suite.
    fn sslv2_client_hello() -> Vec<u8> {
        let fields = [
            0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, // length, type, version, three lengths
            0, 0, 0x2f, // cipher_specs
        ];
        [&fields[..], &[7; 16]].concat()
    }

    #[test]
    fn records_follow_an_sslv2_client_hello_and_it_may_be_answered_in_kind() {
        let hello = sslv2_client_hello();
        let stream = [hello.clone(), record(ContentType::Alert, &[2, 40])].concat();
        for size in 1..=stream.len() {
            let mut log = ItemLog::default();
            let chunks = stream.chunks(size).map(|part| bytes(1, part));
            read(&mut log, CLIENT, chunks);
            let expected = ["client: SSLv2 ClientHello", "client: alert 40"];
            assert_eq!(log.items, expected, "in parts of {size}");
        }
        let answer = [0x80, 20, 4, 0, 1, 0, 2, 0, 0, 0, 0];
        let mut log = ItemLog::default();
        let mut records = TlsRecords::new(&Keys::default());
        records.take(CLIENT, bytes(1, &hello), &mut log);
        records.take(SERVER, bytes(2, &answer), &mut log);
        assert_eq!(
            log.items,
            ["client: SSLv2 ClientHello", "server: SSLv2 ServerHello"]
        );
        // Without such a hello it is no TLS at all.
        let mut log = ItemLog::default();
        read(&mut log, SERVER, [bytes(1, &answer)]);
        assert_eq!(log.items, ["server: NotTls"]);
    }
}
