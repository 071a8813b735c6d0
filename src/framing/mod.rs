//! What carries TLS, cut into the items that a handshake is made of.
//!
//! A framing takes the ordered [chunks](crate::transport::tcp::Chunk) of both
//! directions and emits [`Seen`] items: messages, alerts, sealed units, gaps. It
//! does not conclude anything. The [`Recipient`] of the items writes them down and
//! answers what a framing has to know of the negotiation: the [`Hellos`].
//!
//! | module | what |
//! | --- | --- |
//! | [`tls`] | TLS records over a stream, and the SSLv2 hellos that may begin one |
//! | [`tds`] | the packets of TDS around the records of a handshake |
//! | [`sealed`] | opening records with the keys that the user gives |
//! | [`waiting`] | records that arrived before their secret |
//! | [`dtls`] | DTLS records in datagrams |
//! | [`quic`] | TLS messages in QUIC packets |
//!
//! # Why a vocabulary of its own?
//!
//! TLS runs over a TCP stream, but also in DTLS records, in QUIC packets, in the
//! packets of TDS and RDP, and inside EAP. How a handshake ended is decided in the
//! same way for all of them, so the rules must not see which framing the evidence
//! came from. And a framing can be tested without rules: its recipient is a trait.
//!
//! # Why does a framing not import `handshake`?
//!
//! The other way round is enough: the handshake owns a framing and feeds it. What
//! record reading has to know of the negotiation is little (who is the client,
//! which version was agreed on, the randoms that key logs name a connection by),
//! and [`Recipient::hellos`] answers it from what the framing itself delivered.
//!
//! # How does a new framing plug in?
//!
//! - **TLS inside the packets of another protocol** (TDS, RDP, EAP): a file that
//!   strips those packets and passes the rest to [`tls::TlsRecords::take`] as chunks.
//!   A framing takes chunks and emits items, so framings stack.
//! - **DTLS and QUIC** take datagrams instead of chunks, and are variants of [`Framing`].
//!
//! The owner of a handshake holds a [`Framing`]; transcript and verdicts do not see which.

pub(crate) mod dtls;
pub(crate) mod quic;
pub(crate) mod sealed;
mod tds;
pub(crate) mod tls;
mod waiting;

use crate::decrypt::{ClientRandom, Keys};
use crate::dialogue::TdsPackets;
use crate::flow::{Direction, PerDirection, Side};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, ClientHello, ContentType, Message, ProtocolVersion, ServerHello,
};
use crate::transport::quic::ConnectionId;
use crate::transport::tcp::{Arrival, Chunk, DeliveryState};

pub(crate) use dtls::DatagramOrigin;
use dtls::DtlsRecords;
use quic::{KnownIds, QuicPackets};
use sealed::KeyUse;
use tds::TdsFraming;
use tls::TlsRecords;

/// Bytes of a message's header.
pub(crate) const MESSAGE_HEADER: usize = 4;

/// The framing of one handshake.
///
/// The rare ones are boxed, so that the usual one decides on the size.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box costs them an allocation"
)]
pub(crate) enum Framing {
    /// Also TLS inside EAP, of which the packets are taken off before.
    Tls(TlsRecords),
    /// The same in the packets of TDS.
    Tds(Box<TdsFraming>),
    Dtls(Box<DtlsRecords>),
    Quic(Box<QuicPackets>),
}

impl Framing {
    /// TLS records of which none was read; `keys` open what is encrypted, if they fit.
    #[inline]
    pub(crate) fn tls(keys: &Keys) -> Self {
        Self::Tls(TlsRecords::new(keys))
    }

    /// Forgets what was read, for TLS records of another connection with the same keys.
    pub(crate) fn clear(&mut self, keys: &Keys) {
        match self {
            Self::Tls(records) => records.clear(),
            Self::Tds(_) | Self::Dtls(_) | Self::Quic(_) => *self = Self::tls(keys),
        }
    }

    /// The same in packets of TDS, of which those in `packets` have begun.
    pub(crate) fn tds(packets: PerDirection<TdsPackets>, keys: &Keys) -> Self {
        Self::Tds(Box::new(TdsFraming::new(packets, keys)))
    }

    /// The same for DTLS records.
    pub(crate) fn dtls(keys: &Keys) -> Self {
        Self::Dtls(Box::new(DtlsRecords::new(keys)))
    }

    /// The same for QUIC packets.
    pub(crate) fn quic(keys: &Keys) -> Self {
        Self::Quic(Box::new(QuicPackets::new(keys)))
    }

    /// Takes the next chunk of one direction, if it reads a stream.
    #[inline]
    pub(crate) fn take_chunk(
        &mut self,
        sender: Direction,
        chunk: Chunk<'_>,
        recipient: &mut impl Recipient,
    ) {
        match self {
            Self::Tls(records) => records.take(sender, chunk, recipient),
            Self::Tds(tds) => tds.take(sender, chunk, recipient),
            Self::Dtls(_) | Self::Quic(_) => {}
        }
    }

    /// Takes the payload of a datagram, if it reads datagrams.
    pub(crate) fn take_datagram(
        &mut self,
        sender: Direction,
        payload: Payload<'_>,
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        match self {
            Self::Tls(_) | Self::Tds(_) => {}
            Self::Dtls(records) => records.take(sender, payload, at, recipient),
            Self::Quic(packets) => packets.take(sender, payload.captured, at, recipient),
        }
    }

    /// How far the messages of a direction got, as far as the framing itself shows it; `None` if that is for its transport to
    /// say.
    pub(crate) fn delivery(&self, sender: Direction) -> Option<DeliveryState> {
        match self {
            Self::Dtls(records) => Some(records.delivery(sender)),
            Self::Tls(_) | Self::Tds(_) | Self::Quic(_) => None,
        }
    }

    /// Whether a datagram begins another connection than this one; `is_late` if nothing came of this one for a while.
    pub(crate) fn is_replaced_by(
        &mut self,
        sender: Direction,
        payload: &[u8],
        is_late: bool,
    ) -> bool {
        match self {
            Self::Tls(_) | Self::Tds(_) | Self::Dtls(_) => false,
            Self::Quic(packets) => packets.is_replaced_by(sender, payload, is_late),
        }
    }

    /// The number of the next record that a side sends in the clear; `None` over other protocols than DTLS.
    pub(crate) fn next_in_clear(&self, sender: Direction) -> Option<u64> {
        match self {
            Self::Dtls(records) => Some(records.next_in_clear(sender)),
            Self::Tls(_) | Self::Tds(_) | Self::Quic(_) => None,
        }
    }

    /// Who has sent a datagram of DTLS, given where the client sends, by what it says; `None` if nothing in it does, and over other protocols.
    pub(crate) fn origin_of(
        &self,
        payload: Payload<'_>,
        client: Direction,
    ) -> Option<DatagramOrigin> {
        match self {
            Self::Dtls(records) => records.origin_of(payload, client),
            Self::Tls(_) | Self::Tds(_) | Self::Quic(_) => None,
        }
    }

    /// The ids that packets of QUIC go to; `None` over other protocols, and while the client is not known.
    pub(crate) fn connection_ids(&self) -> Option<&KnownIds> {
        match self {
            Self::Tls(_) | Self::Tds(_) | Self::Dtls(_) => None,
            Self::Quic(packets) => packets.ids(),
        }
    }

    /// Says whether keys may be guessed for versions of QUIC that are not known.
    pub(crate) const fn allow_guesses(&mut self, is_allowed: bool) {
        if let Self::Quic(packets) = self {
            packets.allow_guesses(is_allowed);
        }
    }

    /// Over QUIC: guessed keys that opened nothing, and guesses that were not made, since the last call.
    pub(crate) fn take_guesses(&mut self) -> (u32, u64) {
        match self {
            Self::Tls(_) | Self::Tds(_) | Self::Dtls(_) => (0, 0),
            Self::Quic(packets) => packets.take_guesses(),
        }
    }

    /// The id that a server over QUIC has chosen for itself.
    pub(crate) fn server_id(&self) -> Option<ConnectionId> {
        match self {
            Self::Tls(_) | Self::Tds(_) | Self::Dtls(_) => None,
            Self::Quic(packets) => packets.server_id(),
        }
    }

    /// Reads a little of what each packet with payload looks at, so that it is in the processor's cache soon.
    pub(crate) fn approach(&self) -> u64 {
        match self {
            Self::Tls(records) => records.approach(),
            Self::Tds(_) | Self::Dtls(_) | Self::Quic(_) => 0,
        }
    }

    /// Notes that no more bytes will come.
    pub(crate) fn finish(&mut self, recipient: &mut impl Recipient) {
        match self {
            Self::Tls(records) => records.finish(recipient),
            Self::Tds(tds) => tds.records.finish(recipient),
            Self::Dtls(records) => records.finish(recipient),
            Self::Quic(packets) => packets.finish(recipient),
        }
    }

    /// Stops waiting for secrets: opens what can be opened, and gives up the rest.
    pub(crate) fn finish_decryption(&mut self, recipient: &mut impl Recipient) {
        match self {
            Self::Tls(records) => records.finish_decryption(recipient),
            Self::Tds(tds) => tds.records.finish_decryption(recipient),
            Self::Dtls(_) => {}
            Self::Quic(packets) => packets.finish_decryption(recipient),
        }
    }

    /// Whether sealed units wait for their secret.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Tls(records) => records.is_waiting(),
            Self::Tds(tds) => tds.records.is_waiting(),
            Self::Dtls(_) => false,
            Self::Quic(packets) => packets.is_waiting(),
        }
    }

    /// Whether it turned out to be something else.
    pub(crate) fn is_ruled_out(&self) -> bool {
        match self {
            Self::Tls(records) => records.is_ruled_out(),
            Self::Tds(tds) => tds.records.is_ruled_out(),
            Self::Dtls(records) => records.is_ruled_out(),
            Self::Quic(packets) => packets.is_ruled_out(),
        }
    }

    /// Whether the next bytes of a direction over a stream, of which `bytes` are the first, are of a record of application data.
    #[inline]
    pub(crate) fn continues_data(&self, sender: Direction, bytes: &[u8]) -> bool {
        match self {
            Self::Tls(records) => records.continues_data(sender, bytes),
            Self::Tds(_) | Self::Dtls(_) | Self::Quic(_) => false,
        }
    }

    /// Bytes of memory that it takes apart from itself: its box, unfinished messages, what waits for keys.
    #[inline]
    pub(crate) fn allocated(&self) -> usize {
        match self {
            Self::Tls(records) => records.allocated(),
            Self::Tds(tds) => boxed::<TdsFraming>() + tds.records.allocated(),
            Self::Dtls(records) => boxed::<DtlsRecords>() + records.allocated(),
            Self::Quic(packets) => boxed::<QuicPackets>() + packets.allocated(),
        }
    }

    /// What the user's keys were good for; `None` if there were none, or nothing to open.
    pub(crate) const fn key_use(&self) -> Option<KeyUse> {
        match self {
            Self::Tls(records) => records.key_use(),
            Self::Tds(tds) => tds.records.key_use(),
            Self::Dtls(records) => records.key_use(),
            Self::Quic(packets) => packets.key_use(),
        }
    }

    /// Lets the secrets of the connection that `random` names be wiped, some time after its last packet.
    pub(crate) fn retire_secrets(&self, random: &ClientRandom, last: Timestamp) {
        match self {
            Self::Tls(records) => records.retire_secrets(random, last),
            Self::Tds(tds) => tds.records.retire_secrets(random, last),
            Self::Dtls(records) => records.retire_secrets(random, last),
            Self::Quic(packets) => packets.retire_secrets(random, last),
        }
    }

    /// Messages that were too long to be put together, since the last call.
    pub(crate) fn take_discarded_messages(&mut self) -> u64 {
        match self {
            Self::Tls(records) => records.take_discarded_messages(),
            Self::Tds(tds) => tds.records.take_discarded_messages(),
            Self::Dtls(records) => records.take_discarded_messages(),
            Self::Quic(packets) => packets.take_discarded_messages(),
        }
    }
}

/// The payload of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What was captured of it.
    pub captured: &'a [u8],
    /// Bytes that the snap length cut off.
    pub missing: usize,
}

/// How one direction of a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// In order.
    Fin,
    /// Abruptly.
    Rst,
}

/// One thing that was seen in one direction, in words that all framings share.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// A handshake message.
    Message {
        message: Message<'a>,
        /// Whether it was encrypted.
        sealed: bool,
        /// When it began, and the place in the stream where it ended; when and where the unit that carried it ended, if it was sealed.
        at: Arrival,
    },
    /// The beginning of a message in the clear whose rest will not come.
    PartialMessage {
        message: Message<'a>,
        start: Arrival,
    },
    /// A ClientHello that is not a handshake message of TLS: that of SSLv2, or of DTLS.
    ClientHello {
        hello: Box<ClientHello>,
        /// Its bytes with their header: without what DTLS adds to the header of TLS.
        bytes: usize,
        start: Arrival,
    },
    /// A ServerHello that is not a handshake message of TLS: that of SSLv2.
    ServerHello {
        hello: Box<ServerHello>,
        start: Arrival,
    },
    /// An alert in the clear.
    Alert {
        level: AlertLevel,
        description: AlertDescription,
        at: Arrival,
    },
    ChangeCipherSpec {
        /// When it began.
        at: Arrival,
    },
    /// A unit begins whose content cannot be read, or not yet.
    SealedStart { unit: SealedUnit, start: Arrival },
    /// That unit has ended.
    SealedEnd {
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    },
    /// From here on, sealed units of both directions wait for their secret.
    Deferred,
    /// The next unit that waited is about to be opened: its messages follow, and then [`Seen::Late`].
    CatchUp,
    /// What a unit that waited carried. Its start and end were reported when it arrived.
    Late {
        content: Content,
        start: Timestamp,
        end: Arrival,
    },
    /// The sealed units of this direction cannot be opened from here on.
    Unreadable {
        /// Whether this is a unit that waited for its secret in vain.
        has_waited: bool,
    },
    /// The bytes of this direction are not TLS, or no longer.
    NotTls,
    /// Bytes that the capture does not have.
    Gap(u32),
    /// The direction was closed.
    Close { how: Close, at: Arrival },
    /// What only QUIC has.
    Quic(quic::QuicSeen),
}

/// A sealed unit, by what is visible of it: a record, with its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedUnit {
    /// The type in the header: `application_data` for every encrypted record of TLS 1.3.
    pub(crate) content_type: ContentType,
    /// The length in the header.
    pub(crate) length: u16,
    /// Whether it is opened, so that its end says what it carries, or is not encrypted although it is protected.
    pub(crate) has_key: bool,
}

/// What a sealed unit turned out to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Not known: there is no key, or it does not open the unit.
    Unknown,
    /// Handshake messages, which were emitted before.
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

/// Takes what a framing sees.
pub(crate) trait Recipient {
    fn take(&mut self, sender: Direction, seen: Seen<'_>);

    /// Takes a sealed unit that has arrived in one piece and is not opened: its start, and then its end.
    fn take_sealed(&mut self, sender: Direction, unit: SealedUnit, start: Arrival, end: Arrival) {
        let content = Content::Unknown;
        self.take(sender, Seen::SealedStart { unit, start });
        self.take(sender, Seen::SealedEnd { unit, content, end });
    }

    /// The hellos that it has taken so far.
    fn hellos(&self) -> Hellos<'_>;

    /// As [`Hellos::may_be_tls13`].
    fn may_be_tls13(&self) -> bool {
        self.hellos().may_be_tls13()
    }

    /// As [`Hellos::is_tls13`].
    fn is_tls13(&self) -> bool {
        self.hellos().is_tls13()
    }
}

/// What a framing has to know of the negotiation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hellos<'a> {
    /// Where the client sends; `None` before the first hello.
    pub(crate) client: Option<Direction>,
    /// The first ClientHello.
    pub(crate) client_hello: Option<&'a ClientHello>,
    /// The ServerHello that is not a HelloRetryRequest.
    pub(crate) server_hello: Option<&'a ServerHello>,
    /// The version of a HelloRetryRequest, which only TLS 1.3 has.
    pub(crate) retry_version: Option<ProtocolVersion>,
    /// Whether a message in the clear shows that the version is TLS 1.2 or older.
    pub(crate) is_proven_old: bool,
}

impl Hellos<'_> {
    /// The side that sends in `direction`; before the first hello, the originator counts as the client.
    pub(crate) fn side(&self, direction: Direction) -> Side {
        if direction == self.client.unwrap_or(Direction::Forward) {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// The version agreed on, once the server has chosen.
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        let chosen = self.server_hello.map(ServerHello::version);
        chosen.or(self.retry_version)
    }

    /// Whether this is DTLS, by the version in a hello.
    pub(crate) fn is_dtls(&self) -> bool {
        let client = self.client_hello.map(|hello| hello.legacy_version);
        let server = self.server_hello.map(|hello| hello.legacy_version);
        client.or(server).is_some_and(ProtocolVersion::is_dtls)
    }

    /// Whether a ServerHello has chosen TLS 1.3, so that what follows is sealed.
    pub(crate) fn is_tls13(&self) -> bool {
        let chosen = self.server_hello.map(ServerHello::version);
        chosen.is_some_and(ProtocolVersion::is_tls13)
    }

    /// Whether TLS 1.3 was agreed on, or may yet be.
    pub(crate) fn may_be_tls13(&self) -> bool {
        match self.server_hello {
            Some(hello) => hello.version().is_tls13(),
            None if self.is_proven_old => false,
            None => {
                self.retry_version.is_some()
                    || self.client_hello.is_some_and(ClientHello::offers_tls13)
            }
        }
    }
}
