//! Whose a datagram is, where several may have a claim to a flow: handshakes that somebody else has begun, and those before.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Protocol;
use crate::flow::{Direction, FlowKey};
use crate::framing::Payload;
use crate::framing::dtls::{Opening, number_of_alert};
use crate::framing::quic::KnownIds;
use crate::handshake::Answer;
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::HandshakeType;

use super::open::Open;
use super::packet::{DatagramPacket, part_of};
use super::{Datagrams, LONG};

/// Over QUIC, several connections may share two ports: only their ids tell their packets apart (RFC 9000 §5.2).
#[derive(Debug, Default)]
pub(super) struct SharedPorts {
    /// Connections whose handshakes are open in addition to the one at hand.
    #[expect(clippy::vec_box, reason = "they change places with the one at hand")]
    pub(super) others: Vec<Box<Open>>,
    /// Connections that were reported, oldest first: their packets belong to no other.
    pub(super) reported: Vec<ReportedConnection>,
    /// The flow that the client has moved to.
    pub(super) moved_to: Option<FlowKey>,
    /// Over DTLS: another hello than that of the handshake at hand.
    pub(super) rival: Option<Rival>,
    /// Bytes of memory that it takes, as last counted.
    pub(super) counted: usize,
}

/// A handshake over DTLS whose hello came while another one was open that the server had answered: the client has begun again, or somebody
/// else has sent a hello in its name, which is easy over UDP.
///
/// It takes the place of the other once the server goes on with it: the client repeats a cookie that the server sent to its address after this
/// hello (RFC 6347 §4.2.1), or another ServerHello comes.
#[derive(Debug)]
pub(super) struct Rival {
    /// Part of the client's random.
    pub(super) hello: u64,
    pub(super) open: Box<Open>,
    /// What the server answered to this hello, or to one that was sent in between.
    pub(super) cookie: Box<[u8]>,
    /// Whether that was a HelloRetryRequest, of which the client repeats the cookie in an extension.
    pub(super) has_retry: bool,
}

/// What a datagram of DTLS means for the handshakes between its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It belongs to the one at hand, or to none.
    AtHand,
    /// It begins another one, and nothing more is to be expected of the one at hand.
    Replaces,
    /// It is the first of a rival.
    Rivals,
    /// It belongs to the rival.
    OfRival,
    /// It may belong to either.
    OfNone,
    /// The rival takes the place of the one at hand, and it is the first datagram of it after that.
    RivalWins,
}

/// A connection over QUIC that was reported.
#[derive(Debug)]
pub(super) struct ReportedConnection {
    pub(super) ids: KnownIds,
    /// Its latest packet that showed one of these ids.
    pub(super) last: Timestamp,
    pub(super) source: Arc<str>,
}

/// How long a connection over QUIC has been quiet to which a packet with an id that nobody knows does not belong, if another
/// connection between the same ports has spoken since.
///
/// A client gets other ids once its handshake is complete (RFC 9000 §5.1.1), and those are encrypted. Two connections that use the same ports
/// one after the other (a program with a fixed port, captures that are read together) differ in time: one is silent while the other
/// completes its handshake, which takes a few round trips.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// Open handshakes over QUIC between two ports, in addition to the one at hand. Programs have one connection to a server, or a
/// few: the oldest is reported as it stands when there are more.
pub(super) const MAX_OTHERS: usize = 8;

/// Connections between two ports whose ids are remembered after their report, the newest.
pub(super) const MAX_REPORTED: usize = 4;

impl SharedPorts {
    /// Bytes of memory that it takes, without open handshakes, which are counted one by one.
    pub(super) fn allocated(&self) -> usize {
        let ids = self.reported.iter().map(|known| known.ids.allocated());
        let ids: usize = ids.sum();
        boxed::<Self>()
            + self.reported.capacity() * size_of::<ReportedConnection>()
            + self.others.capacity() * size_of::<Box<Open>>()
            + ids
    }

    /// Finds the connection that has got an id which nobody knows, among those that were not quiet, and makes it the one at hand.
    /// False if it is none with an open handshake, or if nothing says which: then each of them may lack this packet.
    pub(super) fn claim_unknown(
        &mut self,
        open: &mut Box<Open>,
        source: &Arc<str>,
        now: Timestamp,
    ) -> bool {
        let is_lively = |last: Timestamp| now.checked_since(last).is_none_or(|quiet| quiet < QUIET);
        let connections = || {
            let reported = self
                .reported
                .iter()
                .map(|known| (known.last, &known.source));
            let open = self.others.iter().chain([&*open]);
            reported.chain(open.map(|open| (open.tracker.last_packet().time, &open.source)))
        };
        // Captures that are read together may have the same ports at the same time.
        let is_of_source = connections().any(|(last, other)| is_lively(last) && other == source);
        let may_own =
            |last, other: &Arc<str>| is_lively(last) && (!is_of_source || other == source);
        let owners = connections().filter(|(last, other)| may_own(*last, other));
        let (owners, is_any_lively) = match owners.count() {
            0 => (connections().count(), false),
            count => (count, true),
        };
        let may_own =
            |open: &Open| !is_any_lively || may_own(open.tracker.last_packet().time, &open.source);
        if owners > 1 {
            let all = self.others.iter_mut().chain([open]);
            for open in all.filter(|open| may_own(open)) {
                open.tracker.note_truncated();
            }
            return false;
        }
        if may_own(open) {
            return true;
        }
        let other = self.others.iter_mut().find(|other| may_own(other));
        let is_found = other.is_some();
        if let Some(other) = other {
            std::mem::swap(open, other);
        }
        is_found
    }
}

impl Datagrams {
    /// Makes the connection that a datagram belongs to the one at hand; false if it belongs to none with an open handshake.
    ///
    /// `begins` says whether the datagram may begin another one.
    pub(super) fn claim(
        &mut self,
        direction: Direction,
        packet: &DatagramPacket<'_>,
        begins: bool,
    ) -> bool {
        let (payload, now) = (packet.payload, packet.record.timestamp);
        let Some(shared) = &mut self.shared else {
            return true; // there was no other
        };
        let owns = |open: &Open| matches!(open.tracker.connection_ids(), Some(ids) if ids.own(direction, payload));
        if let Some(open) = &mut self.open {
            if owns(open) {
                return true;
            }
            if let Some(other) = shared.others.iter_mut().find(|other| owns(other)) {
                std::mem::swap(open, other);
                return true;
            }
        }
        let reported = shared.reported.iter_mut();
        let mut owners = reported.filter(|known| known.ids.own(direction, payload));
        if let Some(owner) = owners.next() {
            owner.last = owner.last.max(now);
            return false;
        }
        let Some(open) = &mut self.open else {
            return begins;
        };
        let has_no_ids = |ids: &KnownIds| ids.are_empty(direction);
        if begins || open.tracker.connection_ids().is_none_or(has_no_ids) {
            return true;
        }
        if payload.first().is_none_or(|first| first & LONG != 0) {
            return false;
        }
        shared.claim_unknown(open, &packet.interface.source, now)
    }

    /// Which handshake over DTLS a datagram belongs to, with the `hello` that it begins with.
    pub(super) fn claim_records(
        &mut self,
        direction: Direction,
        packet: &DatagramPacket<'_>,
        hello: Option<&Opening<'_>>,
    ) -> Claim {
        match hello {
            Some(hello) => self.claim_hello(hello),
            None => self.claim_alert(direction, packet),
        }
    }

    /// Which handshake a datagram with a hello belongs to.
    pub(super) fn claim_hello(&mut self, hello: &Opening<'_>) -> Claim {
        let begun = hello.client_random().map(part_of);
        let is_other = matches!((self.hello, begun), (Some(known), Some(begun)) if known != begun);
        let Some(open) = &mut self.open else {
            return if is_other {
                Claim::Replaces
            } else {
                Claim::AtHand
            };
        };
        let random = hello.random.map(part_of);
        let rival = self
            .shared
            .as_mut()
            .and_then(|shared| shared.rival.as_mut());
        match (hello.handshake_type, rival) {
            (HandshakeType::ClientHello, Some(rival)) if random == Some(rival.hello) => {
                if hello.sequence == 0 {
                    return Claim::OfRival;
                }
                let is_echo = !hello.cookie.is_empty() && *rival.cookie == *hello.cookie;
                if is_echo || rival.has_retry {
                    return Claim::RivalWins;
                }
                // The capture may lack what the server answered: then what follows belongs to the rival.
                open.tracker.note_truncated();
                Claim::OfRival
            }
            // A client that nobody answered, or that was refused, is free to begin again.
            (HandshakeType::ClientHello, _) if is_other => {
                match open.tracker.is_refused() || open.tracker.answer() != Answer::Bytes {
                    true => Claim::Replaces,
                    false => Claim::Rivals,
                }
            }
            (HandshakeType::HelloVerifyRequest, Some(rival)) => {
                rival.cookie = hello.cookie.into();
                Claim::OfRival
            }
            (HandshakeType::ServerHello, Some(rival)) if hello.is_retry() => {
                rival.has_retry = true;
                Claim::OfRival
            }
            (HandshakeType::ServerHello, Some(_)) => {
                let is_answer_to_rival = match open.tracker.randoms()[1] {
                    Some(known) => random != Some(part_of(known)),
                    // After a HelloVerifyRequest, it is the second message.
                    None => hello.sequence == 0,
                };
                match is_answer_to_rival {
                    true => Claim::RivalWins,
                    false => Claim::AtHand,
                }
            }
            _ => Claim::AtHand,
        }
    }

    /// Which handshake an alert in the clear belongs to, if there is a rival: each client numbers its records.
    pub(super) fn claim_alert(
        &mut self,
        direction: Direction,
        packet: &DatagramPacket<'_>,
    ) -> Claim {
        let rival = self
            .shared
            .as_ref()
            .and_then(|shared| shared.rival.as_ref());
        let (Some(open), Some(rival)) = (&mut self.open, rival) else {
            return Claim::AtHand;
        };
        let next = |open: &Open| open.tracker.next_in_clear(direction);
        let Payload { captured, missing } = packet.content(Protocol::Dtls);
        let number = number_of_alert(captured, missing);
        let (Some(number), Some(next_at_hand), Some(next_of_rival)) =
            (number, next(open), next(&rival.open))
        else {
            return Claim::AtHand;
        };
        if next_of_rival == 0 || number < next_of_rival {
            return Claim::AtHand; // that side has sent nothing in the rival, or has gone on from there
        }
        if number < next_at_hand {
            return Claim::OfRival;
        }
        match (number == next_at_hand, number == next_of_rival) {
            (true, false) => Claim::AtHand,
            (false, true) => Claim::OfRival,
            _ => {
                open.tracker.note_truncated(); // it is not known what became of it
                Claim::OfNone
            }
        }
    }

    /// Makes the rival the one at hand, and the other way round.
    pub(super) fn swap_rival(&mut self) {
        let rival = self
            .shared
            .as_mut()
            .and_then(|shared| shared.rival.as_mut());
        if let (Some(rival), Some(open), Some(hello)) = (rival, &mut self.open, &mut self.hello) {
            std::mem::swap(&mut rival.open, open);
            std::mem::swap(&mut rival.hello, hello);
            self.first_seen = open.since;
        }
    }
}
