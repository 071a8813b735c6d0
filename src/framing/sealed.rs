//! Encrypted records of one connection, opened as long as there are keys that fit.
//!
//! Records of a direction are numbered, and the number is part of what protects
//! them. So they are opened in order, and after a gap no more.

use zeroize::{Zeroize as _, Zeroizing};

use crate::decrypt::{DecryptError, Decryptor, Keys, Session};
use crate::flow::{Direction, PerDirection};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, ContentType, Defragmenter, Message, Piece, RecordHeader,
};
use crate::transport::tcp::Arrival;

use super::waiting::WaitingRecords;
use super::{Content, Hellos, Recipient, Seen};

/// What the user's keys were good for on a connection.
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
    pub(crate) const fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Fits => None,
            Self::Missing => Some("no secret given belongs to this connection"),
            Self::Wrong => Some("the secret does not decrypt this connection"),
            Self::Unsupported => Some("decryption is not supported for this cipher suite"),
        }
    }
}

/// Whether a record can be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KeyState {
    #[default]
    None,
    Here,
    /// It may come after the record.
    Awaited,
}

/// Opens the encrypted records of a connection.
#[derive(Debug)]
pub(super) struct Decryption {
    keys: Keys,
    /// Made when the first encrypted record begins.
    unsealing: Option<Box<Unsealing>>,
    key_use: Option<KeyUse>,
    /// Records that arrived before their secret.
    waiting: WaitingRecords,
}

#[derive(Debug)]
struct Unsealing {
    decryptor: Decryptor,
    streams: PerDirection<SealedStream>,
}

impl Unsealing {
    fn allocated(&self) -> usize {
        let streams = self.streams.iter();
        let held = streams.map(|stream| stream.record.capacity() + stream.messages.held());
        boxed::<Self>() + held.sum::<usize>()
    }
}

/// One direction.
#[derive(Debug, Default)]
struct SealedStream {
    /// The open record, as far as it has arrived: no more than one is ever held.
    record: Zeroizing<Vec<u8>>,
    messages: Defragmenter,
    /// Whether a record was opened.
    has_opened: bool,
    /// Whether no more can be opened.
    is_lost: bool,
    /// Records that did not open and were skipped as 0-RTT data.
    early_records: u32,
}

/// Records that may be 0-RTT data: 1 MiB of them, of which servers accept 16 KiB by default.
const MAX_EARLY_RECORDS: u32 = 64;

impl Decryption {
    pub(super) const fn new(keys: Keys) -> Self {
        Self {
            keys,
            unsealing: None,
            key_use: None,
            waiting: WaitingRecords::new(),
        }
    }

    /// Forgets what was opened, and what waits, for another connection with the same keys.
    pub(super) fn clear(&mut self) {
        self.unsealing = None;
        self.key_use = None;
        self.waiting = WaitingRecords::new();
    }

    /// What the keys were good for; `None` if there were none, or nothing to open.
    pub(super) const fn key_use(&self) -> Option<KeyUse> {
        self.key_use
    }

    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Bytes of memory that keys, unfinished records and messages, and records that wait take.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        let unsealing = self.unsealing.as_deref();
        unsealing.map_or(0, Unsealing::allocated) + self.waiting.allocated()
    }

    /// Whether the record of `sender` that begins now can be opened. `is_encrypted` matters up to TLS 1.2 only.
    pub(super) fn begin_record(
        &mut self,
        sender: Direction,
        is_encrypted: bool,
        recipient: &mut impl Recipient,
    ) -> KeyState {
        if !is_encrypted && !recipient.is_tls13() {
            return KeyState::None;
        }
        if self.has_no_keys() {
            return KeyState::None;
        }
        if self.unsealing.is_none() {
            self.begin(recipient.hellos());
        }
        self.catch_up(recipient);
        if self.is_waiting() {
            return KeyState::Awaited; // records are opened in order
        }
        self.key(sender, recipient)
    }

    /// Whether there is a key for the next record of `sender`.
    fn key(&mut self, sender: Direction, recipient: &mut impl Recipient) -> KeyState {
        let Some(unsealing) = &mut self.unsealing else {
            return KeyState::None;
        };
        let stream = &mut unsealing.streams[sender];
        if stream.is_lost {
            return KeyState::None;
        }
        match unsealing.decryptor.prepare(recipient.hellos().side(sender)) {
            Ok(()) => KeyState::Here,
            Err(DecryptError::NoKey) if self.keys.is_growing() => KeyState::Awaited,
            Err(error) => {
                stream.is_lost = true;
                self.note_unreadable(sender, error, recipient);
                KeyState::None
            }
        }
    }

    /// Whether records wait for their secret.
    pub(super) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Holds a piece of a record whose key is awaited.
    pub(super) fn defer(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        start: Timestamp,
        now: Arrival,
        recipient: &mut impl Recipient,
    ) {
        if piece.is_first && self.waiting.is_empty() {
            recipient.take(sender, Seen::Deferred);
        }
        if !self.waiting.push(sender, piece, start, now) {
            self.give_up(recipient);
        }
    }

    /// Opens the records that waited, as far as their secrets have come.
    pub(super) fn catch_up(&mut self, recipient: &mut impl Recipient) {
        while let Some(record) = self.waiting.first() {
            let sender = record.sender;
            let key = self.key(sender, recipient);
            if key == KeyState::Awaited {
                return;
            }
            let Some(mut record) = self.waiting.pop() else {
                return;
            };
            if let (KeyState::Here, Some(end), Some(unsealing)) =
                (key, record.end, &mut self.unsealing)
            {
                let stream = &mut unsealing.streams[sender];
                stream.record = Zeroizing::new(std::mem::take(&mut record.fragment));
                recipient.take(sender, Seen::CatchUp);
                let content = self.open_record(sender, record.header, end, recipient);
                let start = record.start;
                let seen = Seen::Late {
                    content,
                    start,
                    end,
                };
                recipient.take(sender, seen);
            }
        }
    }

    /// Stops waiting for secrets.
    pub(super) fn give_up(&mut self, recipient: &mut impl Recipient) {
        while let Some(record) = self.waiting.pop() {
            if let Some(unsealing) = &mut self.unsealing {
                unsealing.streams[record.sender].is_lost = true;
            }
            recipient.take(record.sender, Seen::Unreadable { has_waited: true });
            self.note_failure(DecryptError::NoKey);
        }
    }

    /// Takes a piece of a record; what it carries, once it is complete.
    ///
    /// Messages in it are emitted first, with `at` as their moment.
    pub(super) fn handle_piece(
        &mut self,
        sender: Direction,
        piece: Piece<'_>,
        at: Arrival,
        recipient: &mut impl Recipient,
    ) -> Content {
        let Some(unsealing) = &mut self.unsealing else {
            return Content::Unknown;
        };
        let stream = &mut unsealing.streams[sender];
        if stream.is_lost {
            return Content::Unknown;
        }
        stream.record.extend_from_slice(piece.bytes);
        if !piece.is_last {
            return Content::Unknown;
        }
        self.open_record(sender, piece.header, at, recipient)
    }

    /// Opens the record of `sender` that is complete.
    fn open_record(
        &mut self,
        sender: Direction,
        header: RecordHeader,
        at: Arrival,
        recipient: &mut impl Recipient,
    ) -> Content {
        let Some(unsealing) = &mut self.unsealing else {
            return Content::Unknown;
        };
        let Unsealing { decryptor, streams } = &mut **unsealing;
        let stream = &mut streams[sender];
        let opened = stream.open(decryptor, sender, header, at, recipient);
        stream.record.zeroize();
        match opened {
            Ok(content) => {
                self.key_use = Some(KeyUse::Fits);
                content
            }
            Err(_) if stream.may_be_early_data(sender, recipient.hellos()) => Content::Unknown,
            Err(error) => {
                stream.is_lost = true;
                self.note_unreadable(sender, error, recipient);
                Content::Unknown
            }
        }
    }

    /// Notes that bytes of `sender` are missing, so that the number of the next record is not known.
    pub(super) fn handle_gap(&mut self, sender: Direction, recipient: &mut impl Recipient) {
        self.catch_up(recipient);
        self.give_up(recipient);
        if let Some(unsealing) = &mut self.unsealing {
            unsealing.streams[sender] = SealedStream {
                is_lost: true,
                ..SealedStream::default()
            };
            recipient.take(sender, Seen::Unreadable { has_waited: false });
        }
    }

    /// Checks whether there can be keys, now that the hellos were seen.
    fn begin(&mut self, hellos: Hellos<'_>) {
        if self.key_use.is_some() || !self.may_have_key() {
            return;
        }
        let Some(session) = session(hellos) else {
            return;
        };
        match Decryptor::new(session, self.keys.clone()) {
            Ok(decryptor) => {
                self.unsealing = Some(Box::new(Unsealing {
                    decryptor,
                    streams: Default::default(),
                }));
            }
            Err(_) => self.key_use = Some(KeyUse::Unsupported),
        }
    }

    /// Whether nothing is opened, nor will be: as in a run without keys.
    #[inline]
    pub(super) fn has_no_keys(&self) -> bool {
        self.unsealing.is_none() && self.waiting.is_empty() && !self.may_have_key()
    }

    fn may_have_key(&self) -> bool {
        self.keys.has_secrets() || self.keys.is_growing()
    }

    fn note_unreadable(
        &mut self,
        sender: Direction,
        error: DecryptError,
        recipient: &mut impl Recipient,
    ) {
        recipient.take(sender, Seen::Unreadable { has_waited: false });
        self.note_failure(error);
    }

    fn note_failure(&mut self, error: DecryptError) {
        if self.key_use != Some(KeyUse::Fits) {
            self.key_use = Some(match error {
                DecryptError::NoKey => KeyUse::Missing,
                DecryptError::Unsupported => KeyUse::Unsupported,
                _ => KeyUse::Wrong,
            });
        }
    }
}

impl SealedStream {
    /// Opens the record that is complete.
    fn open(
        &mut self,
        decryptor: &mut Decryptor,
        sender: Direction,
        header: RecordHeader,
        at: Arrival,
        recipient: &mut impl Recipient,
    ) -> Result<Content, DecryptError> {
        let side = recipient.hellos().side(sender);
        let opened = decryptor.open(side, header, &mut self.record)?;
        self.has_opened = true;
        Ok(match (opened.content_type, opened.content) {
            (ContentType::Handshake, fragment) => {
                // A renegotiation up to TLS 1.2 is not part of this handshake.
                if recipient.hellos().is_tls13() {
                    self.messages.push(fragment, &mut |message: Message<'_>| {
                        decryptor.handle_message(side, message.handshake_type);
                        let seen = Seen::Message {
                            message,
                            sealed: true,
                            at,
                        };
                        recipient.take(sender, seen);
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
    fn may_be_early_data(&mut self, sender: Direction, hellos: Hellos<'_>) -> bool {
        self.early_records += 1;
        hellos.client_hello.is_some_and(|hello| hello.early_data)
            && hellos.client == Some(sender)
            && !self.has_opened
            && self.early_records <= MAX_EARLY_RECORDS
    }
}

/// What the hellos agreed on; `None` if one of them was not seen.
pub(super) fn session(hellos: Hellos<'_>) -> Option<Session> {
    let client = hellos.client_hello?;
    let server = hellos.server_hello?;
    Some(Session {
        version: server.version(),
        cipher_suite: server.cipher_suite?,
        client_random: client.random,
        server_random: server.random,
        encrypt_then_mac: server.encrypt_then_mac,
        is_compressed: server.is_compressed,
    })
}
