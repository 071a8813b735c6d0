//! Encrypted records of one connection, opened as long as there are keys that fit.

use zeroize::{Zeroize as _, Zeroizing};

use crate::decrypt::{DecryptError, Decryptor, Keys, Session};
use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, ContentType, Defragmenter, Message, Piece, RecordHeader,
};
use crate::transport::tcp::Arrival;

use super::waiting::Waiting;
use crate::handshake::transcript::Tracker;

/// What the keys that the user gave were good for on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Records were opened.
    Fits,
    /// There was none for this connection.
    Missing,
    /// There was one, and it opened nothing.
    Wrong,
    /// The cipher suite is not supported.
    Unsupported,
}

impl KeyUse {
    /// Why a verdict is inferred although there were keys.
    pub(crate) const fn complaint(self) -> Option<&'static str> {
        match self {
            Self::Fits => None,
            Self::Missing => Some("no secret given belongs to this connection"),
            Self::Wrong => Some("the secret given does not open this connection"),
            Self::Unsupported => Some("decryption is not supported for this cipher suite"),
        }
    }
}

/// Whether a record can be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    #[default]
    None,
    Here,
    /// It may come after the record.
    Awaited,
}

/// What an encrypted record turned out to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Not to be told.
    Closed,
    /// Handshake messages, which the tracker has been given.
    Handshake,
    Alert(AlertLevel, AlertDescription),
    ApplicationData,
}

impl Content {
    pub(crate) const fn alert(self) -> Option<(AlertLevel, AlertDescription)> {
        match self {
            Self::Alert(level, description) => Some((level, description)),
            _ => None,
        }
    }
}

/// Opens the encrypted records of a connection.
#[derive(Debug)]
pub(crate) struct Decryption {
    keys: Keys,
    /// Made when the first encrypted record comes.
    open: Option<Box<Open>>,
    key_use: Option<KeyUse>,
    /// Records that came before their secret.
    waiting: Waiting,
}

#[derive(Debug)]
struct Open {
    decryptor: Decryptor,
    streams: PerDirection<Stream>,
}

/// One direction.
#[derive(Debug, Default)]
struct Stream {
    /// The record under way, as far as it came: no more than one is ever held.
    record: Zeroizing<Vec<u8>>,
    messages: Defragmenter,
    /// Whether a record was opened.
    has_opened: bool,
    /// Whether no more can be opened.
    is_lost: bool,
    /// Records passed over as 0-RTT data.
    early_records: u32,
}

/// Records that may be 0-RTT data: 1 MiB of them, of which servers take 16 KiB by default.
const MAX_EARLY_RECORDS: u32 = 64;

impl Decryption {
    pub(crate) const fn new(keys: Keys) -> Self {
        Self {
            keys,
            open: None,
            key_use: None,
            waiting: Waiting::new(),
        }
    }

    /// What the keys were good for; `None` if there were none at all, or nothing to use them for.
    pub(crate) const fn key_use(&self) -> Option<KeyUse> {
        self.key_use
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Bytes held of records and messages under way.
    pub(crate) fn held(&self) -> usize {
        let streams = self.open.iter().flat_map(|open| open.streams.iter());
        streams
            .map(|stream| stream.record.capacity() + stream.messages.held())
            .sum::<usize>()
            + self.waiting.held()
    }

    /// Whether the record of `sender` that begins now may be opened.
    pub(crate) fn begin_record(&mut self, tracker: &mut Tracker, sender: Direction) -> Key {
        if !tracker.is_tls13() && !tracker.is_encrypted(sender) {
            return Key::None;
        }
        if self.open.is_none() {
            self.begin(tracker);
        }
        self.catch_up(tracker);
        if self.is_waiting() {
            return Key::Awaited; // records are opened in order
        }
        self.key(tracker, sender)
    }

    /// Whether there is a key for the next record of `sender`.
    fn key(&mut self, tracker: &mut Tracker, sender: Direction) -> Key {
        let Some(open) = &mut self.open else {
            return Key::None;
        };
        let stream = &mut open.streams[sender];
        if stream.is_lost {
            return Key::None;
        }
        match open.decryptor.prepare(tracker.side(sender)) {
            Ok(()) => Key::Here,
            Err(DecryptError::NoKey) if self.keys.is_growing() => Key::Awaited,
            Err(error) => {
                stream.is_lost = true;
                self.lose(tracker, sender, error);
                Key::None
            }
        }
    }

    /// Whether records wait for their secret.
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Keeps a piece of a record whose key is awaited.
    pub(crate) fn hold(
        &mut self,
        tracker: &mut Tracker,
        sender: Direction,
        piece: Piece<'_>,
        start: Timestamp,
        now: Arrival,
    ) {
        if piece.is_first && self.waiting.is_empty() {
            tracker.mark_history();
        }
        if !self.waiting.push(sender, piece, start, now) {
            self.give_up(tracker);
        }
    }

    /// Opens the records that waited, as far as their secrets have come.
    pub(crate) fn catch_up(&mut self, tracker: &mut Tracker) {
        while let Some(record) = self.waiting.first() {
            let sender = record.sender;
            let key = self.key(tracker, sender);
            if key == Key::Awaited {
                return;
            }
            let Some(mut record) = self.waiting.pop() else {
                return;
            };
            if let (Key::Here, Some(end), Some(open)) = (key, record.end, &mut self.open) {
                let stream = &mut open.streams[sender];
                stream.record = Zeroizing::new(std::mem::take(&mut record.fragment));
                tracker.rewrite_history();
                let content = self.open_record(tracker, sender, record.header, end);
                tracker.handle_late_content(sender, content, record.start, end);
            }
        }
    }

    /// Waits no longer for secrets.
    pub(crate) fn give_up(&mut self, tracker: &mut Tracker) {
        while let Some(record) = self.waiting.pop() {
            if let Some(open) = &mut self.open {
                open.streams[record.sender].is_lost = true;
            }
            if tracker.is_tls13() && tracker.history_mark.is_none() {
                tracker.note(record.sender, 'D');
            }
            self.lose(tracker, record.sender, DecryptError::NoKey);
        }
    }

    /// Takes a piece of a record; what it carries, once it is all there.
    ///
    /// Messages in it are given to the tracker, as having come `at`.
    pub(crate) fn handle_piece(
        &mut self,
        tracker: &mut Tracker,
        sender: Direction,
        piece: Piece<'_>,
        at: Arrival,
    ) -> Content {
        let Some(open) = &mut self.open else {
            return Content::Closed;
        };
        let stream = &mut open.streams[sender];
        if stream.is_lost {
            return Content::Closed;
        }
        stream.record.extend_from_slice(piece.bytes);
        if !piece.is_last {
            return Content::Closed;
        }
        self.open_record(tracker, sender, piece.header, at)
    }

    /// Opens the record of `sender` that is there.
    fn open_record(
        &mut self,
        tracker: &mut Tracker,
        sender: Direction,
        header: RecordHeader,
        at: Arrival,
    ) -> Content {
        let Some(open) = &mut self.open else {
            return Content::Closed;
        };
        let Open { decryptor, streams } = &mut **open;
        let stream = &mut streams[sender];
        let opened = stream.open(decryptor, tracker, sender, header, at);
        stream.record.zeroize();
        match opened {
            Ok(content) => {
                self.key_use = Some(KeyUse::Fits);
                content
            }
            Err(_) if stream.may_be_early_data(tracker, sender) => Content::Closed,
            Err(error) => {
                stream.is_lost = true;
                self.lose(tracker, sender, error);
                Content::Closed
            }
        }
    }

    /// Notes that bytes of `sender` are missing: the number of the next record is not known.
    pub(crate) fn handle_gap(&mut self, tracker: &mut Tracker, sender: Direction) {
        self.catch_up(tracker);
        self.give_up(tracker);
        if let Some(open) = &mut self.open {
            open.streams[sender] = Stream {
                is_lost: true,
                ..Stream::default()
            };
            tracker.note_closed_book(sender);
        }
    }

    /// Looks whether there are keys, now that the hellos were seen.
    fn begin(&mut self, tracker: &Tracker) {
        let may_have_key = self.keys.has_secrets() || self.keys.is_growing();
        if self.key_use.is_some() || !may_have_key {
            return;
        }
        let Some(session) = session(tracker) else {
            return;
        };
        match Decryptor::new(session, self.keys.clone()) {
            Ok(decryptor) => {
                self.open = Some(Box::new(Open {
                    decryptor,
                    streams: Default::default(),
                }));
            }
            Err(_) => self.key_use = Some(KeyUse::Unsupported),
        }
    }

    fn lose(&mut self, tracker: &mut Tracker, sender: Direction, error: DecryptError) {
        tracker.note_closed_book(sender);
        if self.key_use != Some(KeyUse::Fits) {
            self.key_use = Some(match error {
                DecryptError::NoKey => KeyUse::Missing,
                DecryptError::Unsupported => KeyUse::Unsupported,
                _ => KeyUse::Wrong,
            });
        }
    }
}

impl Stream {
    /// Opens the record that is there.
    fn open(
        &mut self,
        decryptor: &mut Decryptor,
        tracker: &mut Tracker,
        sender: Direction,
        header: RecordHeader,
        at: Arrival,
    ) -> Result<Content, DecryptError> {
        let side = tracker.side(sender);
        let opened = decryptor.open(side, header, &mut self.record)?;
        self.has_opened = true;
        Ok(match (opened.content_type, opened.content) {
            (ContentType::Handshake, fragment) => {
                // What is renegotiated up to TLS 1.2 is no part of this handshake.
                if tracker.is_tls13() {
                    self.messages.push(fragment, &mut |message: Message<'_>| {
                        decryptor.handle_message(side, message.handshake_type);
                        tracker.handle_decrypted_message(sender, message, at);
                    });
                }
                Content::Handshake
            }
            (ContentType::Alert, [level, description, ..]) => {
                Content::Alert(AlertLevel(*level), AlertDescription(*description))
            }
            _ => Content::ApplicationData,
        })
    }

    /// Whether a record that did not open may be 0-RTT data, which has keys of its own.
    fn may_be_early_data(&mut self, tracker: &Tracker, sender: Direction) -> bool {
        let hello = tracker.client_hello.as_ref();
        let is_offered = hello.is_some_and(|hello| hello.early_data);
        self.early_records += 1;
        is_offered
            && tracker.client == Some(sender)
            && !self.has_opened
            && self.early_records <= MAX_EARLY_RECORDS
    }
}

fn session(tracker: &Tracker) -> Option<Session> {
    let client = tracker.client_hello.as_ref()?;
    let (server, _) = tracker.server_hello.as_ref()?;
    Some(Session {
        version: server.version(),
        cipher_suite: server.cipher_suite?,
        client_random: client.random,
        server_random: server.random,
        encrypt_then_mac: server.encrypt_then_mac,
        is_compressed: server.is_compressed,
    })
}
