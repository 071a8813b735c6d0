//! Opens records with keys that the user gives, for the handshake messages and alerts in them.
//!
//! ```text
//! key logs, secrets in captures ─▶ Keys ─▶ Decryptor ◀─ records of one connection, in order
//!                                              └─▶ content type and content of each
//! ```
//!
//! Without the feature `decrypt`, secrets are still read and counted, but open nothing. The packets of QUIC have a
//! feature of their own, `quic`, since those that begin a connection need no secrets.
//!
//! # What is not done
//!
//! Application data is not read. In TLS 1.3 the type of a record is encrypted, too, so
//! records of application data have to be opened, but their content is not stored, and
//! nothing is opened after the verdict.
//!
//! # How are secrets protected?
//!
//! They, and all that is computed from them, are wiped from memory when they are
//! dropped, and no `Debug` prints them.
//!
//! # What if bytes are lost?
//!
//! Records are numbered, and the numbers go into the decryption: after a gap, no
//! more records of that direction can be opened.

#[cfg(feature = "decrypt")]
mod cipher;
#[cfg(feature = "decrypt")]
mod hash;
mod keylog;
mod keys;
#[cfg(not(feature = "decrypt"))]
mod not_built;
#[cfg(feature = "quic")]
pub(crate) mod quic;
#[cfg(not(feature = "quic"))]
#[path = "quic_not_built.rs"]
pub(crate) mod quic;
mod record;
#[cfg(feature = "decrypt")]
mod ssl3;
#[cfg(feature = "decrypt")]
mod suite;
#[cfg(all(test, feature = "decrypt"))]
mod testing;
#[cfg(feature = "decrypt")]
mod tls12;
#[cfg(feature = "decrypt")]
mod tls13;

use std::fmt;

use zeroize::Zeroizing;

use crate::flow::{PerSide, Side};
use crate::tls::{CipherSuite, ContentType, HandshakeType, ProtocolVersion, RecordHeader};

pub use keylog::{ClientRandom, KeyLog, KeyLogCounts, Label, MAX_CONNECTIONS, Secret};
pub use keys::Keys;
pub use record::Opened;

#[cfg(not(feature = "decrypt"))]
use not_built::{Algorithms, tls12, tls13};
#[cfg(feature = "decrypt")]
use suite::Algorithms;

/// What the hellos agreed on that determines the protection of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The version selected.
    pub version: ProtocolVersion,
    /// The cipher suite selected.
    pub cipher_suite: CipherSuite,
    /// The ClientHello's `random`.
    pub client_random: ClientRandom,
    /// The ServerHello's `random`.
    pub server_random: [u8; 32],
    /// Whether `encrypt_then_mac` (RFC 7366) was agreed on.
    pub encrypt_then_mac: bool,
    /// Whether a compression method other than null was agreed on.
    pub is_compressed: bool,
}

/// Why a record was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecryptError {
    /// No secret is known.
    NoKey,
    /// The record is not one that this secret protects: the secret belongs to another connection, a record was lost, or one was changed.
    WrongKey,
    /// The version, or an algorithm of the cipher suite, is not supported.
    Unsupported,
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "no secret is known",
            Self::WrongKey => "the secret does not fit",
            Self::Unsupported => "the cipher suite is not supported",
        })
    }
}

impl std::error::Error for DecryptError {}

/// Opens the records of one connection, each direction in order.
pub struct Decryptor {
    session: Session,
    algorithms: Algorithms,
    keys: Keys,
    /// Client, server.
    sides: PerSide<OneSide>,
}

#[derive(Default)]
struct OneSide {
    opener: Option<RecordOpener>,
    /// TLS 1.3: what opened the records up to Finished. Some servers alert with it until they have the client's Finished.
    previous: Option<RecordOpener>,
    /// TLS 1.3: whether Finished was seen, so that application traffic secrets are in use.
    is_finished: bool,
}

enum RecordOpener {
    Tls12(Box<tls12::Tls12Opener>),
    Tls13(Box<tls13::Tls13Opener>),
}

impl OneSide {
    /// Opens a record as if Finished had not been sent; `fragment` changes only on success.
    fn open_with_previous(
        &mut self,
        header: RecordHeader,
        fragment: &mut [u8],
    ) -> Option<(ContentType, usize)> {
        let previous = self.previous.as_mut()?;
        let mut copy = Zeroizing::new(fragment.to_vec());
        let opened = previous.open(header, &mut copy)?;
        let length = opened.content.len();
        fragment.get_mut(..length)?.copy_from_slice(opened.content);
        Some((opened.content_type, length))
    }
}

impl RecordOpener {
    fn open<'r>(&mut self, header: RecordHeader, fragment: &'r mut [u8]) -> Option<Opened<'r>> {
        match self {
            Self::Tls12(opener) => opener.open(header, fragment),
            Self::Tls13(opener) => opener.open(header, fragment),
        }
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Decryptor {
    /// A decryptor for a connection before its first encrypted record.
    ///
    /// # Errors
    ///
    /// [`DecryptError::Unsupported`] if it could open nothing, whatever the keys.
    pub fn new(session: Session, keys: Keys) -> Result<Self, DecryptError> {
        // Drafts before the last ones protect records in other ways.
        let is_early_draft = session.version.draft().is_some_and(|draft| draft < 26);
        let algorithms = Algorithms::of(session.cipher_suite)
            .filter(|_| !is_early_draft && !session.is_compressed)
            .ok_or(DecryptError::Unsupported)?;
        Ok(Self {
            session,
            algorithms,
            keys,
            sides: Default::default(),
        })
    }

    /// Looks for a key for the next record of `side`, so that the record need not be stored if there is none.
    ///
    /// # Errors
    ///
    /// [`DecryptError::NoKey`] if no secret is known, and [`DecryptError::WrongKey`] if it is of no length that fits.
    pub fn prepare(&mut self, side: Side) -> Result<(), DecryptError> {
        if self.sides[side].opener.is_some() {
            return Ok(());
        }
        match self.opener(side) {
            Ok(opener) => self.sides[side].opener = Some(opener),
            Err(_) if self.sides[side].previous.is_some() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Decrypts, in place, the fragment of the record of `side` with this number, up to DTLS 1.2: epoch and sequence number, in
    /// 16 and 48 bits.
    ///
    /// # Errors
    ///
    /// Any [`DecryptError`].
    pub fn open_numbered<'r>(
        &mut self,
        side: Side,
        number: u64,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Result<Opened<'r>, DecryptError> {
        self.prepare(side)?;
        let opened = match self.sides[side].opener.as_mut() {
            Some(RecordOpener::Tls12(opener)) => {
                opener.expect(number);
                opener.open(header, fragment)
            }
            _ => return Err(DecryptError::Unsupported),
        };
        opened.ok_or(DecryptError::WrongKey)
    }

    /// Decrypts, in place, the fragment of the next record of `side`.
    ///
    /// # Errors
    ///
    /// Any [`DecryptError`]. After [`DecryptError::WrongKey`] the same number is
    /// expected again, as TLS 1.3 asks of a server that skips the 0-RTT data it
    /// rejects (RFC 8446 §4.2.10).
    pub fn open<'r>(
        &mut self,
        side: Side,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Result<Opened<'r>, DecryptError> {
        self.prepare(side)?;
        let this = &mut self.sides[side];
        if let Some((content_type, length)) = this.open_with_previous(header, fragment) {
            let content = fragment.get(..length).unwrap_or_default();
            return Ok(Opened {
                content_type,
                content,
            });
        }
        let opener = this.opener.as_mut().ok_or(DecryptError::NoKey)?;
        let opened = opener
            .open(header, fragment)
            .ok_or(DecryptError::WrongKey)?;
        this.previous = None;
        Ok(opened)
    }

    /// Notes that a decrypted handshake message of `side` has ended: some change what protects the next record.
    pub fn handle_message(&mut self, side: Side, handshake_type: HandshakeType) {
        let this = &mut self.sides[side];
        match (handshake_type, &mut this.opener) {
            (HandshakeType::Finished, opener @ Some(RecordOpener::Tls13(_)))
                if !this.is_finished =>
            {
                this.is_finished = true;
                this.previous = opener.take();
            }
            (HandshakeType::KeyUpdate, Some(RecordOpener::Tls13(opener))) => opener.update(),
            _ => {}
        }
    }

    fn opener(&self, side: Side) -> Result<RecordOpener, DecryptError> {
        let is_finished = self.sides[side].is_finished;
        let label = match (side, is_finished) {
            _ if !self.session.version.is_tls13() => Label::Master,
            (Side::Client, false) => Label::ClientHandshake,
            (Side::Server, false) => Label::ServerHandshake,
            (Side::Client, true) => Label::ClientApplication,
            (Side::Server, true) => Label::ServerApplication,
        };
        let secret = self
            .keys
            .find(&self.session.client_random, label)
            .ok_or(DecryptError::NoKey)?;
        let opener = if label == Label::Master {
            tls12::Tls12Opener::new(&self.session, self.algorithms, &secret, side)
                .map(|opener| RecordOpener::Tls12(Box::new(opener)))
        } else {
            tls13::Tls13Opener::new(self.algorithms, &secret)
                .map(|opener| RecordOpener::Tls13(Box::new(opener)))
        };
        opener.ok_or(DecryptError::WrongKey)
    }
}
