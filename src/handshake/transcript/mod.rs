//! What was seen of one handshake, in the order in which it came.
//!
//! Plain data with one writer, [`Transcript::take`], and readers that get it by
//! reference. It does not decide anything: what the data mean is for
//! [`progress`](super::progress) and [`verdict`](super::verdict) to say.

mod eap;
mod parts;
mod quic;
mod renegotiation;
mod writer;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::certificate::OcspStaple;
use crate::event::Ladder;
use crate::flow::{Direction, PerDirection, Side};
use crate::framing::{Close, Hellos};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{ClientHello, HandshakeType, NamedGroup, ProtocolVersion, ServerHello};
use crate::transport::tcp::{Arrival, DeliveryState};
use std::sync::Arc;

use super::history::History;
use super::ladder::LadderRecorder;

pub(super) use eap::{EapEnd, EapSeen, Unanswered};
use parts::Stapled;
pub(super) use parts::{
    AlertContent, AlertSeen, Decrypted, Observation, Observed, PeerActions, PeerClose, Undelivered,
    is_empty_list,
};
pub(super) use quic::{CloseSeen, DatagramSeen, QuicFacts};
pub(super) use renegotiation::Renegotiations;

/// Observations kept: a flight has up to five records, a 64 KiB chain in small records some forty.
pub(super) const MAX_OBSERVATIONS: usize = 128;

/// Observations that there is room for from the first one on: most handshakes have six to eight.
const USUAL_OBSERVATIONS: usize = 8;

/// Records after a handshake in which the client was asked for a certificate, before it is reported: the first request
/// and its answer, which is all that comes where the server refuses the certificate only then.
pub(super) const MAX_FIRST_ANSWER: usize = 8;

/// Messages that TLS 1.3 does not have, or encrypts, as bits: one in the clear proves TLS 1.2 or older (RFC 8446 §4).
const OLD_MESSAGES: u64 = 1 << HandshakeType::Certificate.0
    | 1 << HandshakeType::ServerKeyExchange.0
    | 1 << HandshakeType::ServerHelloDone.0
    | 1 << HandshakeType::ClientKeyExchange.0;

/// What was seen of one handshake.
#[derive(Debug)]
pub(super) struct Transcript {
    start: Arrival,
    last: Arrival,
    client: Option<Direction>,
    /// Until it comes, that of an earlier handshake, which it overwrites.
    client_hello: Option<Box<ClientHello>>,
    has_client_hello: bool,
    /// As the ClientHello.
    server_hello: Option<Box<ServerHello>>,
    has_server_hello: bool,
    /// Whether the ServerHello has chosen TLS 1.3: asked several times for each record.
    is_tls13: bool,
    server_hello_at: Timestamp,
    retry_version: Option<ProtocolVersion>,
    key_exchange_group: Option<NamedGroup>,
    key_exchange_prime_bits: Option<u16>,
    certificate_request: Option<Box<[u8]>>,
    /// Empty: room for the first Certificate message that comes in the clear.
    certificate_room: Vec<u8>,
    stapled: Stapled,
    certificate_timestamps: usize,
    /// Types of the messages seen in the clear, as bits.
    messages: u64,
    peers: PerDirection<PeerActions>,
    delivery: PerDirection<DeliveryState>,
    alerts: Vec<AlertSeen>,
    observations: Vec<Observation>,
    renegotiations: Option<Box<Renegotiations>>,
    /// Up to TLS 1.2: records of application data after both Finished.
    records_in_use: u16,
    /// Whether the connection has ended, or a gap came, after it was in use.
    has_ended_in_use: bool,
    /// Whether sealed units have waited for their secret: what is opened later still counts.
    has_deferred: bool,
    history: History,
    is_truncated: bool,
    lacks_alerts: bool,
    is_contradictory: bool,
    last_sender: Option<Direction>,
    decrypted: Option<Box<Decrypted>>,
    /// What the packets of EAP around the handshake show; `None` if it is not carried by EAP.
    eap: Option<Box<EapSeen>>,
    keyed_records: u32,
    until: Option<Timestamp>,
    /// Where the ServerHello ended in its stream, as in [`Arrival::end`].
    server_hello_end: Option<NonZeroU32>,
    /// The same of the first that the client answered in the clear: its Certificate, or ClientKeyExchange.
    client_answer_end: Option<NonZeroU32>,
    /// When the last data before the first close was sent.
    data_before_close: Option<Timestamp>,
    /// From the observer to the client and back, as the opening of the connection shows it, in microseconds; 0 if it does not.
    client_round_trip: u32,
    /// Whether a ServerHello came that could not be read.
    has_unreadable_hello: bool,
    /// Whether PostgreSQL's protocol is spoken inside.
    is_postgresql: bool,
    /// Whether bytes are missing that may belong to the client's last flight, or follow it.
    has_late_gap: bool,
    /// Whether the client begins again over QUIC: its next ClientHello takes the place of the first.
    expects_new_hello: bool,
    /// Memory that the hellos take, or those whose place they will take: the client's and the server's, in [`HELLO_UNIT`]s.
    hello_units: [u16; 2],
    /// What only QUIC shows.
    quic: Option<Box<QuicFacts>>,
    /// Over UDP: the latest datagram of each direction that ICMP reports as undeliverable, if nothing has answered since.
    undelivered: Option<Box<PerDirection<Option<Undelivered>>>>,
    /// The steps one by one, if they were asked for.
    ladder: Option<Box<LadderRecorder>>,
}

/// What a handshake that has been reported leaves for another one: lists whose room is used again. They are empty, but for
/// those of the hellos, which are overwritten.
#[derive(Default)]
struct SpareRoom {
    client_hello: Option<Box<ClientHello>>,
    server_hello: Option<Box<ServerHello>>,
    certificate: Vec<u8>,
    alerts: Vec<AlertSeen>,
    observations: Vec<Observation>,
    history: String,
}

/// Bytes of a certificate message whose room is kept for another one: usual chains have 2 to 6 KB.
const MAX_CERTIFICATE_ROOM: usize = 8 << 10;

/// Bytes: two of these counts fit into four bytes of each open handshake, and 1 MiB is more than the lists of a hello take.
const HELLO_UNIT: usize = 16;

/// What a hello takes, in [`HELLO_UNIT`]s.
fn hello_units(bytes: usize) -> u16 {
    u16::try_from(bytes.div_ceil(HELLO_UNIT)).unwrap_or(u16::MAX)
}

impl Transcript {
    pub(super) fn new(start: Arrival) -> Self {
        Self::in_room(start, SpareRoom::default())
    }

    /// Forgets what was seen, and keeps the room for more, which [`Transcript::begin`] begins.
    pub(super) fn clear(&mut self) {
        let hello_units = self.hello_units; // what the report has moved out is counted until the next hello
        let room = self.take_room();
        *self = Self {
            hello_units,
            ..Self::in_room(self.start, room)
        };
    }

    /// Notes when the handshake begins; nothing was seen yet.
    pub(super) fn begin(&mut self, start: Arrival) {
        (self.start, self.last, self.server_hello_at) = (start, start, start.time);
    }

    /// One in the room that another has left.
    #[inline]
    fn in_room(start: Arrival, room: SpareRoom) -> Self {
        Self {
            start,
            last: start,
            client: None,
            client_hello: room.client_hello,
            has_client_hello: false,
            server_hello: room.server_hello,
            has_server_hello: false,
            is_tls13: false,
            server_hello_at: start.time,
            retry_version: None,
            key_exchange_group: None,
            key_exchange_prime_bits: None,
            certificate_request: None,
            certificate_room: room.certificate,
            stapled: Stapled::No,
            certificate_timestamps: 0,
            messages: 0,
            peers: Default::default(),
            delivery: Default::default(),
            alerts: room.alerts,
            observations: room.observations,
            renegotiations: None,
            records_in_use: 0,
            has_ended_in_use: false,
            has_deferred: false,
            history: History::in_room(room.history),
            is_truncated: false,
            lacks_alerts: false,
            is_contradictory: false,
            last_sender: None,
            decrypted: None,
            eap: None,
            keyed_records: 0,
            until: None,
            server_hello_end: None,
            client_answer_end: None,
            data_before_close: None,
            client_round_trip: 0,
            has_unreadable_hello: false,
            is_postgresql: false,
            has_late_gap: false,
            expects_new_hello: false,
            hello_units: [0; 2],
            quic: None,
            undelivered: None,
            ladder: None,
        }
    }
}

/// What readers get.
impl Transcript {
    /// Reads a little of what each packet looks at.
    pub(super) fn approach(&self) -> u64 {
        let [forward, reverse] = &self.peers.0;
        let [sent, answered] = &self.delivery.0;
        let places = [
            forward.stream_end,
            reverse.stream_end,
            sent.sent,
            sent.data_end,
            answered.sent,
            answered.data_end,
        ];
        let flags = [forward.is_in_view, reverse.is_in_view, self.is_truncated];
        let places = places.iter().map(|place| u64::from(*place));
        let flags = flags.iter().map(|flag| u64::from(*flag));
        places
            .chain(flags)
            .fold(self.last.packet, u64::wrapping_add)
    }

    /// Where the first ClientHello began; where the first packet did, without one.
    pub(super) const fn start(&self) -> Arrival {
        self.start
    }

    /// The last packet that the report rests on.
    pub(super) const fn last(&self) -> Arrival {
        self.last
    }

    /// Whether a hello of either side was seen.
    pub(super) const fn has_hello(&self) -> bool {
        self.client.is_some()
    }

    /// The first ClientHello.
    pub(super) fn client_hello(&self) -> Option<&ClientHello> {
        self.client_hello
            .as_deref()
            .filter(|_| self.has_client_hello)
    }

    /// The ServerHello that is not a HelloRetryRequest.
    pub(super) fn server_hello(&self) -> Option<&ServerHello> {
        self.server_hello
            .as_deref()
            .filter(|_| self.has_server_hello)
    }

    /// When that ServerHello began.
    pub(super) fn server_hello_at(&self) -> Option<Timestamp> {
        self.has_server_hello.then_some(self.server_hello_at)
    }

    pub(super) const fn has_retry_request(&self) -> bool {
        self.retry_version.is_some()
    }

    /// The group in the ServerKeyExchange.
    pub(super) const fn key_exchange_group(&self) -> Option<NamedGroup> {
        self.key_exchange_group
    }

    /// Up to TLS 1.2: whether the handshake has completed and is in use, and nothing but a renegotiation can add to it.
    ///
    /// What keys open still counts, and so do the server's first answer to a client that it asked for a certificate, and all
    /// that follows once a renegotiation has begun.
    pub(super) fn is_only_watched(&self) -> bool {
        let may_be_opened = self.keyed_records > 0 || self.has_deferred;
        self.records_in_use > 0
            && !may_be_opened
            && !self.may_be_refused_in_use()
            && self.renegotiations.is_none()
    }

    /// Up to TLS 1.2: whether the server may refuse the client's certificate in its first answer.
    pub(super) fn may_be_refused_in_use(&self) -> bool {
        let records = |side| usize::from(self.peer(side).data_records);
        self.certificate_request.is_some()
            && records(Side::Server) < 2
            && records(Side::Client) < MAX_FIRST_ANSWER
    }

    /// Whether sealed units wait for their secret: how long is for the framing to say.
    pub(super) const fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Whether no renegotiation can follow, or be noticed: the connection has ended, or bytes are missing.
    pub(super) const fn has_ended_in_use(&self) -> bool {
        self.has_ended_in_use
    }

    /// Bits of the prime in the ServerKeyExchange of a suite with ephemeral Diffie-Hellman.
    pub(super) const fn key_exchange_prime_bits(&self) -> Option<u16> {
        self.key_exchange_prime_bits
    }

    /// The body of the CertificateRequest.
    pub(super) fn certificate_request(&self) -> Option<&[u8]> {
        self.certificate_request.as_deref()
    }

    /// Whether the server stapled an OCSP response.
    pub(super) const fn has_ocsp_staple(&self) -> bool {
        !matches!(self.stapled, Stapled::No)
    }

    /// What that response says, if it could be read.
    pub(super) const fn ocsp_staple(&self) -> Option<&OcspStaple> {
        match &self.stapled {
            Stapled::Read(staple) => Some(staple),
            Stapled::No | Stapled::Unreadable => None,
        }
    }

    /// Signed certificate timestamps that came with certificates.
    pub(super) const fn certificate_timestamps(&self) -> usize {
        self.certificate_timestamps
    }

    /// Whether a message of this type was seen in the clear, from either side.
    pub(super) const fn has_message(&self, handshake_type: HandshakeType) -> bool {
        handshake_type.0 < 64 && self.messages >> handshake_type.0 & 1 == 1
    }

    /// The peer on `side`; before the first hello, the originator counts as the client.
    pub(super) fn peer(&self, side: Side) -> &PeerActions {
        &self.peers[self.direction(side)]
    }

    /// How far the bytes that `side` sent got. Before the report, acknowledgments without data may be missing in it.
    pub(super) fn delivery(&self, side: Side) -> &DeliveryState {
        &self.delivery[self.direction(side)]
    }

    /// How much later than its peer's the packets of `side` were captured, at least.
    pub(super) fn lateness(&self, side: Side) -> Duration {
        let of_held = Duration::from_micros(self.peer(side).lateness.into());
        of_held.max(self.delivery(side).lateness())
    }

    pub(super) const fn delivery_mut(&mut self) -> &mut PerDirection<DeliveryState> {
        &mut self.delivery
    }

    /// Both peers, in the order of their directions.
    pub(super) fn peers(&self) -> std::slice::Iter<'_, PeerActions> {
        self.peers.iter()
    }

    /// The alerts, in order; no more than a few.
    pub(super) fn alerts(&self) -> &[AlertSeen] {
        &self.alerts
    }

    /// Whether there were others, over UDP.
    pub(super) const fn lacks_alerts(&self) -> bool {
        self.lacks_alerts
    }

    /// What TLS 1.3 peers did after ServerHello, in order; no more than [`MAX_OBSERVATIONS`].
    pub(super) fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// The renegotiations that followed both Finished, up to TLS 1.2; `None` if there were none.
    pub(super) fn renegotiations(&self) -> Option<&Renegotiations> {
        self.renegotiations.as_deref()
    }

    /// Up to TLS 1.2: records of application data after both Finished.
    pub(super) const fn records_in_use(&self) -> u16 {
        self.records_in_use
    }

    /// Whether a limit or the snap length took something from this connection.
    pub(super) const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Whether bytes came in the place of a FIN that its receiver has taken: they are forged.
    pub(super) const fn is_contradictory(&self) -> bool {
        self.is_contradictory
    }

    /// Which side sent the last byte that was new.
    pub(super) fn last_sender(&self) -> Option<Side> {
        self.last_sender.map(|sender| self.side(sender))
    }

    /// What opened records of TLS 1.3 say; `None` if there are no keys.
    pub(super) fn decrypted(&self) -> Option<&Decrypted> {
        self.decrypted.as_deref()
    }

    /// Up to TLS 1.2: encrypted records for which there are keys.
    pub(super) const fn keyed_records(&self) -> u32 {
        self.keyed_records
    }

    /// What ICMP reports about the datagrams of `side`, if nothing has answered since.
    pub(super) fn undelivered(&self, side: Side) -> Option<&Undelivered> {
        self.undelivered.as_ref()?[self.direction(side)].as_ref()
    }

    /// What only QUIC shows; `None` over other transports.
    pub(super) fn quic(&self) -> Option<&QuicFacts> {
        self.quic.as_deref()
    }

    /// From the observer to the client and back, as far as the opening of the connection shows it.
    pub(super) fn client_round_trip(&self) -> Duration {
        Duration::from_micros(self.client_round_trip.into())
    }

    /// The last moment of the observation, if it is known.
    pub(super) const fn observed_until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether a ServerHello came that could not be read.
    pub(super) const fn has_unreadable_hello(&self) -> bool {
        self.has_unreadable_hello && !self.has_server_hello
    }

    /// Whether PostgreSQL's protocol is spoken inside: TLS began with a request of it, or the client offers nothing else.
    pub(super) fn is_postgresql(&self) -> bool {
        let hello = self.client_hello();
        let offered = hello.and_then(|hello| hello.alpn.as_deref());
        self.is_postgresql || offered.is_some_and(|offered| offered == ["postgresql"])
    }

    pub(super) const fn note_postgresql(&mut self) {
        self.is_postgresql = true;
    }

    /// Whether a message in the clear shows that the version is TLS 1.2 or older.
    pub(super) const fn is_proven_old(&self) -> bool {
        self.messages & OLD_MESSAGES != 0
    }

    /// Whether the server had sent its ServerHello, in view or not.
    pub(super) const fn is_past_server_hello(&self) -> bool {
        self.has_server_hello || self.has_unreadable_hello || self.is_proven_old()
    }

    /// The direction in which `side` sends; before the first hello, the originator counts as the client.
    pub(super) fn direction(&self, side: Side) -> Direction {
        let client = self.client.unwrap_or(Direction::Forward);
        if side == Side::Client {
            client
        } else {
            client.flip()
        }
    }

    /// The side that sends in `direction`.
    pub(super) fn side(&self, direction: Direction) -> Side {
        if direction == self.client.unwrap_or(Direction::Forward) {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// The version agreed on, once the server has chosen.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.hellos().version()
    }

    /// Whether this is DTLS, where nothing shows how far bytes got, nor that a side has closed.
    pub(super) fn is_dtls(&self) -> bool {
        self.hellos().is_dtls()
    }

    pub(super) const fn is_tls13(&self) -> bool {
        self.is_tls13
    }

    /// Whether the client offers to show a certificate after the handshake (RFC 8446 §4.2.6), or may have offered it in a
    /// hello that was not captured.
    pub(super) fn may_offer_later_authentication(&self) -> bool {
        let hello = self.client_hello();
        hello.is_none_or(|hello| hello.post_handshake_auth)
    }

    /// Whether the client offers 0-RTT data.
    pub(super) fn offers_early_data(&self) -> bool {
        self.client_hello().is_some_and(|hello| hello.early_data)
    }

    /// Up to TLS 1.2: whether both Finished were seen.
    pub(super) fn is_complete(&self) -> bool {
        self.peers.iter().all(|peer| peer.finished.is_some())
    }

    /// Whether the capture lacks bytes of either side.
    pub(super) fn has_gap(&self) -> bool {
        self.peers.iter().any(|peer| peer.gap_bytes > 0)
    }

    /// Whether the capture lacks bytes that may belong to the client's last flight, or follow it.
    ///
    /// In TLS 1.3, a gap that ends before that flight does not change what later records prove.
    pub(super) const fn has_late_gap(&self) -> bool {
        self.has_late_gap
    }

    /// Whether either side has reset the connection.
    pub(super) fn has_reset(&self) -> bool {
        self.peers.iter().any(|peer| peer.closing.has_reset())
    }

    /// Whether both sides have closed.
    pub(super) fn has_ended(&self) -> bool {
        self.peers
            .iter()
            .all(|peer| peer.closing != PeerClose::Open)
    }

    /// Whether both sides have closed in order, and each acknowledged the other's FIN and nothing behind it.
    ///
    /// Two closes that somebody else sent, one in the name of each side, never look so: neither side acknowledges the one of the other.
    pub(super) fn is_close_confirmed(&self) -> bool {
        Direction::BOTH.iter().all(|direction| {
            let acknowledged = self.delivery[*direction].acknowledged;
            matches!(self.peers[*direction].closing, PeerClose::Fin(fin) if acknowledged == Some(fin.end))
        })
    }

    /// Whether the sender of `direction` has closed.
    pub(super) fn has_closed(&self, direction: Direction) -> bool {
        self.peers[direction].closing != PeerClose::Open
    }

    /// Whether `side` has sent the beginning of a record or message, and not all of it.
    pub(super) fn is_amid_message(&self, side: Side) -> bool {
        self.delivery(side)
            .is_data_beyond(self.peer(side).stream_end)
    }

    /// How the connection was closed first, and by whom.
    ///
    /// A close that acknowledges its peer's FIN came after it, whatever the clocks say; otherwise that of the earlier packet counts.
    pub(super) fn first_close(&self) -> Option<(Side, Close, Arrival)> {
        let [client, server] = Side::BOTH.map(|side| self.peer(side).closing);
        let with_side = |side: Side, closing: PeerClose| {
            let (close, at) = closing.first()?;
            Some((side, close, at))
        };
        let (Some((_, at)), Some((_, server_at))) = (client.first(), server.first()) else {
            return with_side(Side::Client, client).or_else(|| with_side(Side::Server, server));
        };
        let is_server_first = match (client.is_answered_by(server_at), server.is_answered_by(at)) {
            (true, false) => false,
            (false, true) => true,
            _ => (server_at.time, server_at.packet) < (at.time, at.packet),
        };
        if is_server_first {
            with_side(Side::Server, server)
        } else {
            with_side(Side::Client, client)
        }
    }

    /// Whether both sides have closed, and nothing shows which of them was first: one FIN or both were not captured, and that they were
    /// acknowledged says only that they were sent. A FIN that answers one comes after it all the same.
    pub(super) fn is_order_of_closes_unknown(&self) -> bool {
        let [client, server] = Side::BOTH.map(|side| self.peer(side).closing);
        let (Some((Close::Fin, at)), Some((Close::Fin, server_at))) =
            (client.first(), server.first())
        else {
            return false;
        };
        let is_unseen = |at: Arrival| at.acknowledged.is_none();
        is_unseen(at) && !client.is_answered_by(server_at)
            || is_unseen(server_at) && !server.is_answered_by(at)
    }

    /// Whether the first close in view is a reset whose sender may have closed in order before: one number of it was not captured.
    pub(super) fn may_lack_close(&self) -> bool {
        let first = self.first_close();
        first.is_some_and(|(side, how, _)| how == Close::Rst && self.delivery(side).may_lack_fin())
    }

    /// Whether an alert came after its receiver had closed: then that close came first, and the alert only answers it.
    pub(super) fn is_reaction(&self, alert: &AlertSeen) -> bool {
        let Some((how, close)) = self.peers[alert.sender.flip()].closing.first() else {
            return false;
        };
        let had_received = match how {
            Close::Fin => self.had_received_fin(self.side(alert.sender), alert.at),
            Close::Rst => None, // is not acknowledged
        };
        // A close that acknowledges the alert came after it, whatever the clocks say.
        let is_before = close.had_received(alert.at.end) != Some(true)
            && (close.time, close.packet) < (alert.at.time, alert.at.packet);
        had_received.unwrap_or(is_before)
    }

    /// Whether `side` had received all of its peer's first flight when it did what `action` stands for; `None` if its
    /// acknowledgment is not known, or if the peer sent nothing.
    ///
    /// A side that closes without having received a flight does not react to what is in it.
    pub(super) fn had_received_flight(&self, side: Side, action: Arrival) -> Option<bool> {
        let peer = self.peer(side.peer());
        let end = peer.first_flight_end.unwrap_or(peer.stream_end);
        if end == 0 {
            return None;
        }
        action.had_received(end)
    }

    /// Whether the client had received the ServerHello when it did what `action` stands for; `None` if that is not known.
    pub(super) fn had_received_hello(&self, action: Arrival) -> Option<bool> {
        action.had_received(self.server_hello_end?.get())
    }

    /// Up to TLS 1.2: whether the server had received the client's Certificate, or without one its ClientKeyExchange, when it did
    /// what `action` stands for; `None` if that is not known.
    pub(super) fn had_received_client_answer(&self, action: Arrival) -> Option<bool> {
        action.had_received(self.client_answer_end?.get())
    }

    /// When the last data was sent that had come before the first close, as far as it is known.
    ///
    /// What a side sends later may cross the close, and says nothing about how long it had been silent until then.
    pub(super) const fn data_before_close(&self) -> Option<Timestamp> {
        self.data_before_close
    }

    /// Up to TLS 1.2: whether `side` had received its peer's Finished when it did what `action` stands for; `None` if that
    /// is not known.
    pub(super) fn had_received_finished(&self, side: Side, action: Arrival) -> Option<bool> {
        let peer = self.peer(side.peer());
        peer.finished?;
        action.had_received(peer.finished_end)
    }

    /// Whether `side` had received its peer's FIN when it did what `action` stands for; `None` if that is not known, or
    /// if the peer sent none.
    pub(super) fn had_received_fin(&self, side: Side, action: Arrival) -> Option<bool> {
        match self.peer(side.peer()).closing.first()? {
            (Close::Fin, fin) => action.had_received(fin.end),
            (Close::Rst, _) => None,
        }
    }

    /// What a framing has to know of the negotiation.
    pub(super) fn hellos(&self) -> Hellos<'_> {
        Hellos {
            client: self.client,
            client_hello: self.client_hello(),
            server_hello: self.server_hello(),
            retry_version: self.retry_version,
            is_proven_old: self.is_proven_old(),
        }
    }

    /// Bytes of memory that its parts take, without itself.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        fn of(body: &Option<Vec<u8>>) -> usize {
            body.as_ref().map_or(0, Vec::capacity)
        }
        let [forward, reverse] = &self.peers.0;
        let usual = of(&forward.certificate)
            + of(&reverse.certificate)
            + self.certificate_room.capacity()
            + self
                .certificate_request
                .as_ref()
                .map_or(0, |body| body.len())
            + self.hello_units.map(usize::from).iter().sum::<usize>() * HELLO_UNIT
            + self.observations.capacity() * size_of::<Observation>()
            + self.alerts.capacity() * size_of::<AlertSeen>();
        // Asked after each packet, and nearly no handshake has one of these.
        let has_more = self.renegotiations.is_some()
            | self.decrypted.is_some()
            | self.eap.is_some()
            | self.quic.is_some()
            | self.undelivered.is_some()
            | self.ladder.is_some();
        if has_more {
            usual + self.allocated_for_rare_parts()
        } else {
            usual
        }
    }

    #[cold]
    fn allocated_for_rare_parts(&self) -> usize {
        self.renegotiations
            .as_ref()
            .map_or(0, |_| boxed::<Renegotiations>())
            + self.decrypted.as_ref().map_or(0, |_| boxed::<Decrypted>())
            + self.eap.as_ref().map_or(0, |_| boxed::<EapSeen>())
            + self
                .quic
                .as_ref()
                .map_or(0, |quic| boxed::<QuicFacts>() + quic.allocated())
            + self
                .undelivered
                .as_ref()
                .map_or(0, |_| boxed::<PerDirection<Option<Undelivered>>>())
            + self.ladder.as_ref().map_or(0, |ladder| ladder.allocated())
    }

    /// The letters of the messages.
    pub(super) fn history(&self) -> &str {
        self.history.letters()
    }

    /// Collects the steps one by one, from packets of `source`.
    pub(super) fn collect_ladder(&mut self, source: Arc<str>) {
        self.ladder = Some(LadderRecorder::new(source));
    }

    /// Notes the file or interface that a packet came from.
    pub(super) fn note_source(&mut self, source: &Arc<str>, at: Arrival) {
        if let Some(ladder) = &mut self.ladder {
            ladder.note_source(source, at);
        }
    }

    /// Moves the steps out; `None` if they were not collected.
    pub(super) fn take_ladder(&mut self) -> Option<Box<Ladder>> {
        let client = self.direction(Side::Client);
        let recorder = self.ladder.take()?;
        Some(Box::new(recorder.finish(client)))
    }

    /// The first ClientHello, for the report to move names out: it is made once.
    pub(super) fn client_hello_mut(&mut self) -> Option<&mut ClientHello> {
        let hello = self.client_hello.as_deref_mut();
        hello.filter(|_| self.has_client_hello)
    }

    /// What can be used again once the report was made.
    fn take_room(&mut self) -> SpareRoom {
        fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
            list.clear();
            std::mem::take(list)
        }
        let mut peers = self.peers.iter_mut();
        let certificate = peers.find_map(|peer| peer.certificate.as_mut());
        let mut certificate = emptied(certificate.unwrap_or(&mut self.certificate_room));
        if certificate.capacity() > MAX_CERTIFICATE_ROOM {
            certificate = Vec::new();
        }
        SpareRoom {
            client_hello: self.client_hello.take(),
            server_hello: self.server_hello.take(),
            certificate,
            alerts: emptied(&mut self.alerts),
            observations: emptied(&mut self.observations),
            history: self.history.take(),
        }
    }
}
