//! QUIC: the verdict from CONNECTION_CLOSE frames, from what opened packets say, and from the kinds, order and lengths of
//! those that stay closed.
//!
//! Three facts make the order of packets telling:
//!
//! - A client sends 1-RTT packets only after it has accepted the server's flight, and with or after its Finished.
//! - A server reads them, and so answers them, only after it has accepted the client's Finished (RFC 9001 §5.7). It then
//!   forgets the keys of Handshake packets, and goes on with 1-RTT packets alone (RFC 9001 §4.9.2).
//! - Before that, a server that gives up says so in a Handshake packet and a 1-RTT packet of the same datagram, since it
//!   does not know which of them its client can open (RFC 9000 §10.2.3). Their content is the same, so their lengths are.
//!
//! A server may also send 1-RTT packets before the client's Finished reaches it. They cross it on the way, so a
//! single one proves nothing.
//!
//! Silence says something because of QUIC's probes: a side that has sent something and hears nothing sends again, after a
//! second at the latest (RFC 9002 §6.2). A side that does not has closed, or the capture lacks its packets.

use std::time::Duration;

use crate::event::{ClientCertificate, EarlyData, Evidence, Outcome, UnknownBecause};
use crate::flow::Side;
use crate::framing::quic::Level;
use crate::handshake::cause::{self, FailureCause};
use crate::handshake::end::End;
use crate::handshake::transcript::{CloseSeen, DatagramSeen, QuicFacts, Transcript};
use crate::time::Timestamp;
use crate::tls::AlertDescription;
use crate::transport::quic::QuicVersion;

use super::conclusion::Conclusion;
use super::inferred::Shape;
use super::{decrypted, silence, undelivered};

/// A rule of inference for QUIC.
#[derive(Debug)]
struct QuicRule {
    id: &'static str,
    /// Share of its verdicts that are right, as in `docs/inference.md`.
    confidence: f64,
    observations: &'static [&'static str],
}

/// The server went on.
const Q1: QuicRule = QuicRule {
    id: "Q1",
    confidence: 0.99,
    observations: &[
        "client sent 1-RTT packets",
        "server went on with 1-RTT packets alone",
    ],
};

/// The server went on, and both sides ended it there.
const Q1S: QuicRule = QuicRule {
    id: "Q1s",
    confidence: 0.95,
    observations: &[
        "client sent 1-RTT packets, or its Finished",
        "server's last packets were 1-RTT packets alone",
        "client sent no Handshake packets again",
    ],
};

/// The server closed when it had the client's flight.
const Q2: QuicRule = QuicRule {
    id: "Q2",
    confidence: 0.97,
    observations: &[
        "client sent its Finished",
        "server answered with a Handshake and a 1-RTT packet of the same content, and with nothing after that",
    ],
};

/// The client closed when it had the server's flight.
const Q3: QuicRule = QuicRule {
    id: "Q3",
    confidence: 0.97,
    observations: &[
        "client answered the server's flight with Handshake packets alone",
        "neither side sent anything again",
    ],
};

/// How long nothing has to follow before a side counts as closed: longer than the first probe takes where the round trip is
/// not known yet (RFC 9002 §6.2.2), and several times as long as usual ones.
const QUIET: Duration = Duration::from_secs(1);

/// The same, in times that the first answer took.
const QUIET_ANSWERS: u32 = 4;

/// How long a silent peer has to be waited for, where it was asked again and again.
const SILENCE: Duration = Duration::from_secs(10);

/// How long after its first packet a client has to have repeated it, if nothing answers: after about a second
/// (RFC 9002 §6.2.2), and some more.
const FIRST_PROBE: Duration = Duration::from_secs(3);

/// The longest Handshake packet that is taken for a CONNECTION_CLOSE: with a reason of some 200 bytes. quinn's have up to 160.
const LONGEST_CLOSE: u16 = 250;

/// How much longer a Handshake packet with a CONNECTION_CLOSE may be than the 1-RTT packet in the same datagram: quinn acknowledges
/// packets in the first, with 6 to 8 bytes.
const ACKNOWLEDGMENT: u16 = 12;

/// A 1-RTT packet with a CONNECTION_CLOSE: a number, type, code, type of the wrong frame, length of the reason, tag.
const SHORTEST_CLOSE: u16 = 22;

/// The longest 1-RTT packet that is taken for a CONNECTION_CLOSE: with a few bytes of a reason. What servers send before they have
/// the client's Finished is longer: 46 bytes of streams (ngtcp2), 222 of connection ids (quinn).
const LONGEST_SHORT_CLOSE: u16 = 32;

/// The verdict on a handshake over QUIC.
pub(super) fn conclude(transcript: &Transcript, quic: &QuicFacts, end: End) -> Conclusion {
    let evidence = QuicEvidence::new(transcript, quic);
    match decisive_close(quic, &evidence) {
        Closed::By(close) => {
            return given_up_undelivered(transcript, quic, close)
                .unwrap_or_else(|| from_close(&evidence, quic, close));
        }
        Closed::Contradictory => return Conclusion::unknown(UnknownBecause::AmbiguousRecords),
        Closed::Not => {}
    }
    if quic.accepted.is_some() {
        return Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::observed(Outcome::Success)
        };
    }
    if let Some(conclusion) = without_common_version(quic, &evidence, end) {
        return conclusion;
    }
    if transcript.is_truncated() && !evidence.server_went_on() {
        return silence::unknown(transcript, end);
    }
    if evidence.server_went_on() {
        return inferred(&Q1, Outcome::Success, None);
    }
    if evidence.is_quiet_since(quic.last_of(Side::Server), end) && evidence.server_closed() {
        let failure = cause::inferred_refusal_of_client(client_certificate(transcript));
        return inferred(&Q2, Outcome::Failure, Some(failure));
    }
    if evidence.server_repeats()
        || evidence.is_quiet_since(quic.last(), end) && evidence.ended_in_use()
    {
        return inferred(&Q1S, Outcome::Success, None);
    }
    if evidence.is_quiet_since(quic.last(), end) && evidence.client_closed() {
        // What the client sent may be an acknowledgment, or its Finished. What follows would tell, and there are captures that keep the
        // first packets of each connection: only the one who captures knows that nothing followed.
        if end != End::Silence && !evidence.client_closed_by_length() {
            return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
        }
        // A resumed session shows no certificate, and a flight of which packets are missing may not have.
        let hello = transcript.server_hello();
        let failure = match hello.is_some_and(|hello| hello.pre_shared_key) {
            true => cause::encrypted_alert(Side::Client),
            false => cause::refusal_of_flight(Side::Client),
        };
        return inferred(&Q3, Outcome::Failure, Some(failure));
    }
    // A server that was sending 1-RTT packets alone may have had the client's flight, although the capture lacks it.
    let may_have_flight = evidence.flight.is_some() || evidence.server_left_handshake();
    if let Some(conclusion) = undelivered::conclude(transcript, end, may_have_flight) {
        return conclusion;
    }
    let conclusion = from_silence(transcript, quic, &evidence, end);
    match (end, conclusion.outcome) {
        // Whatever is missing might have come.
        (End::Evicted, Outcome::Unknown) => silence::unknown(transcript, end),
        _ => conclusion,
    }
}

/// What the packets show apart from the outcome.
pub(super) fn shape(transcript: &Transcript, quic: &QuicFacts) -> Shape {
    let evidence = QuicEvidence::new(transcript, quic);
    let flight = evidence.flight.map(|index| evidence.seen[index].time);
    let before = evidence.flight.unwrap_or(evidence.seen.len());
    let server_flight = evidence.seen[..before].iter().rev();
    let mut server_flight =
        server_flight.filter(|seen| seen.side == Side::Server && seen.shape.handshakes > 0);
    let hello = transcript.server_hello();
    let is_resumed = hello.is_some_and(|hello| hello.pre_shared_key);
    let may_have_accepted = is_resumed && !transcript.has_retry_request();
    let early_data = transcript.offers_early_data().then_some(match hello {
        Some(_) if !may_have_accepted => EarlyData::Rejected,
        _ => EarlyData::Offered,
    });
    let mut shape = Shape {
        client_certificate: match is_resumed {
            true => ClientCertificate::NotRequested,
            false => ClientCertificate::Unknown,
        },
        early_data,
        server_flight_end: server_flight.next().map(|seen| seen.time),
        finished: flight,
        application_data: None,
        client_had_certificate: false,
        server_records_after: 0,
        has_sent_ticket: None,
    };
    if let Some(opened) = transcript.decrypted() {
        decrypted::correct(&mut shape, transcript, opened);
        shape.finished = shape.finished.or(flight);
    }
    let data = quic.application_data;
    shape.application_data = data.client.or(data.server);
    shape
}

/// Whether nothing that follows can change the verdict: a side has closed, or the connection is in use.
pub(in crate::handshake) fn is_decided(transcript: &Transcript, quic: &QuicFacts) -> bool {
    let evidence = QuicEvidence::new(transcript, quic);
    let is_sealed = |close: &CloseSeen| close.level != Level::Initial;
    matches!(decisive_close(quic, &evidence), Closed::By(close) if is_sealed(close))
        || quic.is_full()
        || evidence.is_in_use()
        || quic.accepted.is_some() && evidence.answers() > ANSWERS_OPENED
}

/// Whether a side has closed, by a packet that anybody may have sent: what its sender does next tells whether that was the side itself.
pub(in crate::handshake) fn is_closing(transcript: &Transcript, quic: &QuicFacts) -> bool {
    if quic.closes().is_empty() {
        return false;
    }
    let evidence = QuicEvidence::new(transcript, quic);
    !matches!(decisive_close(quic, &evidence), Closed::Not)
}

/// Whether the handshake has completed, although what follows may still add to the report.
pub(in crate::handshake) fn is_settled(transcript: &Transcript, quic: &QuicFacts) -> bool {
    quic.accepted.is_some() || QuicEvidence::new(transcript, quic).server_went_on()
}

/// Datagrams of the server after a handshake whose packets are opened, before it is reported: an alert about a certificate is
/// among the first.
const ANSWERS_OPENED: usize = 4;

/// An acknowledgment that comes so long after a CONNECTION_CLOSE was sent after it; before, the network may have swapped the two.
const REORDERED: Duration = Duration::from_millis(5);

/// What the datagrams of a connection show.
struct QuicEvidence<'t> {
    transcript: &'t Transcript,
    seen: &'t [DatagramSeen],
    /// The first datagram of the client with a 1-RTT packet.
    client_short: Option<usize>,
    /// The first datagram of the client that may hold its Finished.
    flight: Option<usize>,
    /// Length of the shortest Handshake packet that may hold it.
    shortest_flight: u16,
}

impl<'t> QuicEvidence<'t> {
    fn new(transcript: &'t Transcript, quic: &'t QuicFacts) -> Self {
        let seen = quic.datagrams();
        let is_client = |datagram: &DatagramSeen| datagram.side == Side::Client;
        let client_short = seen.iter().position(|seen| {
            is_client(seen) && seen.shape.short_length > 0 && !seen.shape.is_repeated
        });
        let hello = transcript.server_hello();
        let suite = hello.and_then(|hello| hello.cipher_suite);
        let is_sha384 = suite == Some(crate::tls::CipherSuite::TLS_AES_256_GCM_SHA384);
        let finished = if is_sha384 { 48 } else { 32 };
        let shortest_flight = SHORTEST_AROUND_FINISHED + finished;
        let long = seen
            .iter()
            .position(|seen| is_client(seen) && seen.shape.handshake_length >= shortest_flight);
        let flight = match (client_short, long) {
            (Some(short), Some(long)) => Some(short.min(long)),
            (short, long) => short.or(long),
        };
        Self {
            transcript,
            seen,
            client_short,
            flight,
            shortest_flight,
        }
    }

    /// Datagrams that come after the one at `index`.
    fn after(&self, index: Option<usize>) -> &'t [DatagramSeen] {
        index.map_or(&[], |index| self.seen.get(index + 1..).unwrap_or_default())
    }

    /// Whether the last that the server sent after the client's flight was a 1-RTT packet alone, and the client did not send its
    /// flight again: it was acknowledged, or the packet was a CONNECTION_CLOSE.
    ///
    /// One that is longer than a CONNECTION_CLOSE may have crossed the client's flight, and what refuses that may be missing in the
    /// capture: it tells something only if the client goes on.
    fn ended_in_use(&self) -> bool {
        let after = self.after(self.client_short);
        let is_handshake = |seen: &DatagramSeen| sent_handshake(seen);
        match after.iter().rposition(is_answer) {
            Some(place) => {
                let answer = &after[place].shape;
                let goes_on = after[place..].iter().any(|seen| {
                    seen.side == Side::Client
                        && seen.shape.is_short_only()
                        && !seen.shape.is_repeated
                });
                let is_telling = goes_on || answer.short_length <= LONGEST_SHORT_CLOSE;
                let is_proof = self.answers() >= 2 || answer.short_id != 0 && is_telling;
                let server = after.iter().filter(|seen| seen.side == Side::Server);
                let mut client = after[place..]
                    .iter()
                    .filter(|seen| seen.side == Side::Client);
                // One that answers the server's close in kind does so in a Handshake packet, too.
                let is_flight = |seen: &DatagramSeen| {
                    sent_handshake(seen) && seen.shape.handshake_length >= self.shortest_flight
                };
                is_proof && !server.clone().any(is_handshake) && !client.any(is_flight)
            }
            None => false,
        }
    }

    /// Whether the server sent 1-RTT packets alone again and again after a flight of the client that nothing followed: probes
    /// for them begin only when the handshake is confirmed (RFC 9002 §6.2.1).
    fn server_repeats(&self) -> bool {
        let after = self.after(self.flight);
        let answers = || after.iter().filter(|seen| is_answer(seen));
        let spread = answers().next().zip(answers().next_back());
        let spread = spread.and_then(|(first, last)| last.time.checked_since(first.time));
        answers().count() >= 3
            && spread.is_some_and(|spread| spread >= REPEATED_FOR)
            && !after.iter().any(sent_handshake)
    }

    /// Whether the latest that the server sent were 1-RTT packets alone: one that waits for the client's flight sends Handshake
    /// packets again (RFC 9002 §6.2.2.1).
    fn server_left_handshake(&self) -> bool {
        let server = self.seen.iter().rev();
        let mut server = server.filter(|seen| seen.side == Side::Server && !seen.shape.is_repeated);
        server.next().is_some_and(|last| last.shape.is_short_only())
    }

    /// Datagrams by which a client that lacks an answer asks again after `last`, the latest of the server: each long enough after the one
    /// before. A client that has closed sends its CONNECTION_CLOSE in one go, and acknowledgments follow at once what they acknowledge.
    fn probes_after(&self, last: Option<Timestamp>) -> usize {
        let client = self.seen.iter().filter(|seen| {
            let is_later = last.is_some_and(|last| seen.time > last);
            seen.side == Side::Client && !seen.shape.is_repeated && is_later
        });
        let mut before = last;
        let mut probes = 0;
        for seen in client {
            let waited = before.and_then(|before| seen.time.checked_since(before));
            probes += usize::from(waited.is_some_and(|waited| waited >= PROBE));
            before = Some(seen.time);
        }
        probes
    }

    /// How many datagrams with 1-RTT packets alone the server has sent after those of the client.
    fn answers(&self) -> usize {
        let after = self.after(self.client_short).iter();
        after.filter(|seen| is_answer(seen)).count()
    }

    /// Whether the server went on with 1-RTT packets alone after those of the client.
    ///
    /// If its client has no id, anybody can send one of them.
    fn server_went_on(&self) -> bool {
        let after = self.after(self.client_short);
        let last_handshake = after
            .iter()
            .rposition(|seen| seen.side == Side::Server && sent_handshake(seen));
        let since = &after[last_handshake.map_or(0, |place| place + 1)..];
        let mut answers = since.iter().filter(|seen| is_answer(seen));
        let is_certain = |first: &DatagramSeen| first.shape.short_id != 0;
        self.answers() >= 2
            && answers
                .next()
                .is_some_and(|first| is_certain(first) || answers.next().is_some())
    }

    /// Whether a CONNECTION_CLOSE in an Initial packet is none of its sender's.
    ///
    /// A side that has closed sends nothing else (RFC 9000 §10.2), not even acknowledgments. One that has keys for Handshake packets closes in these, too, in the same
    /// datagram (RFC 9000 §10.2.3), and a client that has completed the handshake has none for Initial packets (RFC 9001 §4.9.1). So it was
    /// with 65 genuine ones of aioquic, quinn, ngtcp2 and quic-go: 45 with Handshake packets, 20 of sides that sent none.
    fn is_refuted(&self, close: &CloseSeen) -> bool {
        if close.level != Level::Initial {
            return false;
        }
        let closed = close.at.time;
        let of_sender = || {
            let seen = self.seen.iter();
            seen.filter(|seen| seen.side == close.side && !seen.shape.is_repeated)
        };
        let has_handshake = |seen: &DatagramSeen| seen.shape.handshakes > 0;
        let is_alone = !of_sender().any(|seen| seen.time == closed && has_handshake(seen));
        let had_completed = |seen: &DatagramSeen| {
            let is_before = seen.side == Side::Client && seen.time < closed;
            is_before && seen.shape.short_length > 0
        };
        let goes_on = |seen: &DatagramSeen| {
            let since = seen.time.checked_since(closed).unwrap_or_default();
            let is_later = seen.shape.has_open_initial && since >= REORDERED;
            seen.time > closed && is_no_close(seen) || is_later
        };
        self.server_went_on()
            || of_sender()
                .any(|seen| is_alone && has_handshake(seen) || had_completed(seen) || goes_on(seen))
    }

    /// Whether a CONNECTION_CLOSE in an Initial packet gives a certificate as its reason, although its sender cannot have received one: those
    /// come in Handshake packets, of which none of either side was seen by then. So it may be forged.
    fn cannot_know_reason(&self, close: &CloseSeen) -> bool {
        let is_about_certificate = close
            .close
            .alert()
            .is_some_and(|code| cause::is_about_certificate(AlertDescription(code)));
        let has_keys = |seen: &DatagramSeen| {
            let shape = &seen.shape;
            seen.time <= close.at.time && (shape.handshakes > 0 || shape.short_length > 0)
        };
        close.level == Level::Initial && is_about_certificate && !self.seen.iter().any(has_keys)
    }

    /// Whether both sides have gone on with 1-RTT packets alone, in turns.
    fn is_in_use(&self) -> bool {
        let after = self.after(self.client_short);
        let Some(first) = after.iter().position(is_answer) else {
            return false;
        };
        let after = &after[first + 1..];
        let is_client =
            |seen: &DatagramSeen| seen.side == Side::Client && seen.shape.is_short_only();
        let Some(client) = after.iter().position(is_client) else {
            return false;
        };
        let answers = after[client + 1..].iter().filter(|seen| is_answer(seen));
        answers.count() >= 2 && self.server_went_on()
    }

    /// Whether the server answered the client's flight with a CONNECTION_CLOSE, by its shape.
    fn server_closed(&self) -> bool {
        let after = self.after(self.flight);
        let is_server = |seen: &&DatagramSeen| seen.side == Side::Server;
        let Some(place) = after
            .iter()
            .rposition(|seen| seen.side == Side::Server && has_shape_of_close(seen))
        else {
            return false;
        };
        let later = &after[place + 1..];
        let has_gone_on = later
            .iter()
            .filter(is_server)
            .any(|seen| is_answer(seen) || sent_handshake(seen) && !has_shape_of_close(seen));
        // A client that the close has reached says nothing more. One that it has not asks for an answer again and again.
        let client = || {
            let is_new = |seen: &&DatagramSeen| !seen.shape.is_repeated;
            later
                .iter()
                .filter(is_new)
                .filter(|seen| seen.side == Side::Client)
        };
        let asks = |seen: &DatagramSeen| {
            seen.shape.handshakes > 0 || seen.shape.short_length > LONGEST_ACKNOWLEDGMENT
        };
        let is_over = client().next().is_none() || client().any(asks) || self.closes_repeatedly();
        !has_gone_on && is_over
    }

    /// Whether the server answered several datagrams of the client with the same CONNECTION_CLOSE, by its shape: had it accepted the
    /// client's Finished, it would have forgotten the keys of Handshake packets by then.
    fn closes_repeatedly(&self) -> bool {
        let mut first = None;
        let (mut closes, mut is_asked, mut has_copies) = (0, true, false);
        for seen in self.after(self.flight) {
            if seen.side == Side::Client {
                is_asked |= !seen.shape.is_repeated;
            } else if is_asked && has_shape_of_close(seen) {
                let length = *first.get_or_insert(seen.shape.short_length);
                closes += u8::from(length == seen.shape.short_length);
                has_copies |= seen.shape.is_repeated;
                is_asked = false;
            }
        }
        // Servers may send the same bytes again (quic-go), and a capture may show each datagram twice.
        closes >= if has_copies { 3 } else { 2 }
    }

    /// Whether the client closed after the server's flight, without having accepted it.
    fn client_closed(&self) -> bool {
        let has_flight = self
            .seen
            .iter()
            .any(|seen| seen.side == Side::Server && seen.shape.handshakes > 0);
        let last = self
            .seen
            .iter()
            .rev()
            .find(|seen| seen.side == Side::Client && !seen.shape.is_repeated);
        let is_close = last.is_some_and(|last| {
            last.shape.handshakes > 0
                && last.shape.early == 0
                && last.shape.handshake_length <= LONGEST_CLOSE
        });
        let has_server_hello = self.transcript.server_hello().is_some();
        has_server_hello
            && has_flight
            && is_close
            && self.client_short.is_none()
            && !self.client_went_on()
    }

    /// Whether the client sent what may hold its Finished, and both sides went on. A client that has closed repeats its
    /// CONNECTION_CLOSE, and sends nothing else; a server that has received that says nothing to acknowledge it (RFC 9000 §10.2).
    fn client_went_on(&self) -> bool {
        // Next to an Initial packet, a Handshake packet with acknowledgments is as long as the padding makes it.
        let is_flight = |seen: &DatagramSeen| {
            seen.side == Side::Client
                && seen.shape.initials == 0
                && seen.shape.handshake_length >= self.shortest_flight
        };
        let Some(flight) = self.seen.iter().position(is_flight) else {
            return false;
        };
        let length = self.seen[flight].shape.handshake_length;
        let goes_on = |seen: &DatagramSeen| match seen.side {
            Side::Client => seen.shape.handshake_length.abs_diff(length) > ACKNOWLEDGMENT,
            Side::Server => seen.shape.handshake_length < self.shortest_flight,
        };
        let mut after = self.seen[flight + 1..].iter();
        after.any(|seen| sent_handshake(seen) && goes_on(seen))
    }

    /// Whether the client's last Handshake packet is too long for an acknowledgment, and neither that nor another one has the length of
    /// Finished. Next to an Initial packet, padding may be inside.
    fn client_closed_by_length(&self) -> bool {
        let finished = self.shortest_flight - SHORTER_AROUND_FINISHED
            ..=self.shortest_flight + LONGER_AROUND_FINISHED;
        let client = self.seen.iter().filter(|seen| {
            seen.side == Side::Client && seen.shape.handshakes > 0 && seen.shape.initials == 0
        });
        let mut lengths = client.map(|seen| seen.shape.handshake_length);
        let last = lengths.clone().next_back();
        last.is_some_and(|length| length > LONGEST_HANDSHAKE_ACKNOWLEDGMENT)
            && !lengths.any(|length| finished.contains(&length))
    }

    /// Whether so much time has passed since `last` that there would have been probes.
    fn is_quiet_since(&self, last: Option<Timestamp>, end: End) -> bool {
        let needed = QUIET.max(self.first_answer_took() * QUIET_ANSWERS);
        let until = self.transcript.observed_until();
        let waited = until
            .zip(last)
            .and_then(|(until, last)| until.checked_since(last));
        let may_wait = !matches!(end, End::Replaced | End::PacketsDropped);
        may_wait && waited.is_some_and(|waited| waited >= needed)
    }

    /// From the client's latest datagram before the server's first one to that: at least a round trip.
    fn first_answer_took(&self) -> Duration {
        let mut seen = self.seen.iter();
        let first = seen.position(|seen| seen.side == Side::Server && !seen.shape.is_repeated);
        let took = first.and_then(|first| {
            let asked = self.seen[..first].last()?;
            self.seen[first].time.checked_since(asked.time)
        });
        took.unwrap_or_default()
    }
}

/// A Handshake packet with a Finished has more than that: a number, a CRYPTO frame's header, a tag.
const SHORTEST_AROUND_FINISHED: u16 = 1 + 4 + 4 + 16;

/// The longest Handshake packet that may hold an acknowledgment alone: s2n-quic pads them to 36 bytes, and those of others have up to 30.
const LONGEST_HANDSHAKE_ACKNOWLEDGMENT: u16 = 40;

/// How much shorter or longer a Handshake packet with a Finished may be than the shortest with all that most have: on 74 flights
/// in the lab, one byte less, or up to 19 more with an acknowledgment.
const SHORTER_AROUND_FINISHED: u16 = 4;
const LONGER_AROUND_FINISHED: u16 = 24;

/// The longest 1-RTT packet that may hold an acknowledgment alone.
const LONGEST_ACKNOWLEDGMENT: u16 = 31;

/// Over which time a server has to have sent 1-RTT packets again: twice its first probe.
const REPEATED_FOR: Duration = Duration::from_millis(500);

/// Whether a side sent Handshake packets in a datagram: a copy that was captured late says nothing about what its sender still does.
fn sent_handshake(datagram: &DatagramSeen) -> bool {
    datagram.shape.handshakes > 0 && !datagram.shape.is_repeated
}

/// Whether a datagram shows that the server uses 1-RTT packets alone. A stateless reset looks like one, but has no id that its receiver knows, or
/// that comes twice.
const fn is_answer(datagram: &DatagramSeen) -> bool {
    let shape = &datagram.shape;
    matches!(datagram.side, Side::Server) && shape.is_short_only() && !shape.is_repeated
}

/// Whether a datagram holds more than the CONNECTION_CLOSE of a side that closed in an Initial packet. Next to another one of these, a
/// Handshake packet is as long as the padding makes it.
const fn is_no_close(datagram: &DatagramSeen) -> bool {
    let shape = &datagram.shape;
    let is_long = shape.initials == 0 && shape.handshake_length > LONGEST_CLOSE;
    let has_message = is_long || shape.has_initial_crypto;
    match datagram.side {
        // It has keys for 1-RTT packets only once it has accepted the server's flight.
        Side::Client => has_message || shape.short_length > 0,
        Side::Server => has_message || shape.is_short_only(),
    }
}

fn has_shape_of_close(datagram: &DatagramSeen) -> bool {
    let shape = &datagram.shape;
    let (handshake, short) = (shape.handshake_length, shape.short_length);
    shape.handshakes == 1
        && (SHORTEST_CLOSE..=LONGEST_CLOSE).contains(&short)
        && handshake <= LONGEST_CLOSE
        && (handshake.saturating_sub(ACKNOWLEDGMENT)..=handshake).contains(&short)
}

/// What the CONNECTION_CLOSE frames say about the handshake.
#[derive(Clone, Copy, Debug)]
enum Closed<'q> {
    /// None of them ended it.
    Not,
    By(&'q CloseSeen),
    /// They contradict each other, so one of them is forged.
    Contradictory,
}

/// The CONNECTION_CLOSE that ended the handshake: the first, unless it was in use by then.
///
/// Whoever has seen the client's first packet can make Initial packets (RFC 9001 §5), so those count only as long as nothing contradicts them.
fn decisive_close<'q>(quic: &'q QuicFacts, evidence: &QuicEvidence<'_>) -> Closed<'q> {
    if quic.closes().is_empty() || evidence.is_in_use() {
        return Closed::Not;
    }
    let genuine = || genuine_closes(quic, evidence);
    let Some(first) = genuine().min_by_key(|seen| (seen.at.time, seen.at.packet)) else {
        return Closed::Not;
    };
    if quic
        .accepted
        .is_some_and(|accepted| accepted <= first.at.time)
    {
        return Closed::Not;
    }
    // Nobody can forge what only keys of the handshake open.
    let sealed_error = genuine().find(|seen| seen.level != Level::Initial && is_error(seen));
    if sealed_error.is_none() && genuine().any(|seen| contradicts(first, seen)) {
        return Closed::Contradictory;
    }
    let first = sealed_error
        .filter(|seen| contradicts(first, seen))
        .unwrap_or(first);
    let of_same_side = || genuine().filter(|seen| seen.side == first.side);
    // Several kinds of packets repeat it, and the application's own code may stand in one of them alone.
    if let Some(alert) = of_same_side().find(|seen| seen.close.alert().is_some()) {
        return Closed::By(alert);
    }
    if first.side == Side::Client && evidence.client_short.is_some() {
        return Closed::Not; // it had completed, and leaves
    }
    match of_same_side().any(|seen| seen.level != Level::Application) {
        true => Closed::By(first),
        false => Closed::Not,
    }
}

/// The CONNECTION_CLOSE frames that nothing contradicts.
fn genuine_closes<'q>(
    quic: &'q QuicFacts,
    evidence: &QuicEvidence<'_>,
) -> impl Iterator<Item = &'q CloseSeen> {
    let closes = quic.closes().iter();
    closes.filter(|close| !evidence.is_refuted(close))
}

/// Whether a side was seen to close the connection.
pub(in crate::handshake) fn has_closed(transcript: &Transcript, quic: &QuicFacts) -> bool {
    if quic.closes().is_empty() {
        return false;
    }
    let evidence = QuicEvidence::new(transcript, quic);
    genuine_closes(quic, &evidence).next().is_some()
}

/// Whether a CONNECTION_CLOSE names an error of the handshake, and not only that the connection is over.
const fn is_error(seen: &CloseSeen) -> bool {
    !seen.close.is_application && !matches!(seen.close.code, NO_ERROR | APPLICATION_ERROR)
}

const NO_ERROR: u64 = 0x00;
const APPLICATION_ERROR: u64 = 0x0c;

/// Whether two CONNECTION_CLOSE frames cannot both be genuine: a side repeats its own as it is, and answers that of its peer with one that
/// names no other error, if at all (RFC 9000 §10.2).
fn contradicts(first: &CloseSeen, other: &CloseSeen) -> bool {
    match first.side == other.side {
        true => first.close != other.close && first.level == other.level,
        false => is_error(other),
    }
}

/// The verdict on a client that gave up because the network reported its datagrams as undeliverable: that is the reason why nothing came
/// back, and the client's close only follows from it.
fn given_up_undelivered(
    transcript: &Transcript,
    quic: &QuicFacts,
    close: &CloseSeen,
) -> Option<Conclusion> {
    let is_alone = quic.last_of(Side::Server).is_none();
    if close.side != Side::Client || !is_alone || close.close.alert().is_some() {
        return None;
    }
    let seen = transcript.undelivered(Side::Client)?;
    let failure = cause::undelivered(transcript, Side::Client, seen);
    Some(Conclusion::failed(failure))
}

fn from_close(evidence: &QuicEvidence<'_>, quic: &QuicFacts, seen: &CloseSeen) -> Conclusion {
    let is_readable = quic
        .closes()
        .iter()
        .any(|other| other.side == seen.side && other.level == Level::Initial);
    let failure = match evidence.cannot_know_reason(seen) {
        true => cause::premature_quic_close(seen.side, seen.close),
        false => cause::quic_close(evidence.transcript, seen.side, seen.close),
    };
    Conclusion {
        evidence: if is_readable {
            Evidence::Observed
        } else {
            Evidence::Decrypted
        },
        ..Conclusion::failed(failure)
    }
}

/// The verdict on a client that got to know which versions the server supports, and tried none of them.
///
/// Nothing in the capture says that a client gives up here: it just sends no more. Nor does its first packet say which other versions it has: clients
/// that begin with version 2, a draft or a reserved version go on with version 1. So its silence counts only where it is known to be
/// complete, as some programs keep the first packets of each connection only, or if the hello names all versions of the client.
fn without_common_version(
    quic: &QuicFacts,
    evidence: &QuicEvidence<'_>,
    end: End,
) -> Option<Conclusion> {
    let (at, versions) = quic.negotiation?;
    // A server that refuses a version says nothing else in it: who sent the list was somebody else, and a client that had an answer
    // has discarded it (RFC 9000 §6.2).
    let is_forged = evidence.seen.iter().any(|seen| {
        let shape = &seen.shape;
        let is_in_version = shape.initials > 0 || shape.handshakes > 0 || shape.short_length > 0;
        seen.side == Side::Server && is_in_version && !shape.is_repeated
    });
    if quic.has_tried_again || is_forged {
        return None;
    }
    let is_later = |seen: &DatagramSeen| seen.side == Side::Client && seen.time > at;
    let mut own = evidence.seen.iter().filter(|seen| !seen.shape.is_repeated);
    let later = own.any(is_later);
    let waited = evidence.transcript.observed_until()?.checked_since(at)?;
    // A list that fills all places may have been longer.
    let is_whole = versions.contains(&QuicVersion::NEGOTIATION);
    let hello = evidence.transcript.client_hello();
    let offered = hello.and_then(|hello| hello.quic_versions.as_deref());
    let has_none = |offered: &[u32]| !versions.iter().any(|version| offered.contains(&version.0));
    let cannot_go_on = is_whole && offered.is_some_and(has_none);
    let may_wait = matches!(end, End::Silence | End::CaptureEnd);
    if later || waited < QUIET || !may_wait || !(end == End::Silence || cannot_go_on) {
        return Some(Conclusion::unknown(UnknownBecause::CaptureEnd));
    }
    let failure = cause::no_quic_version(quic.first_version, &versions);
    Some(Conclusion::failed(failure))
}

fn inferred(rule: &QuicRule, outcome: Outcome, failure: Option<FailureCause>) -> Conclusion {
    Conclusion {
        outcome,
        evidence: Evidence::Inferred,
        confidence: rule.confidence,
        rule: Some((rule.id, rule.observations.into())),
        failure,
        unknown_because: None,
    }
}

/// The verdict where no rule fits.
fn from_silence(
    transcript: &Transcript,
    quic: &QuicFacts,
    evidence: &QuicEvidence<'_>,
    end: End,
) -> Conclusion {
    // The server closed in 1-RTT packets alone: it had forgotten the keys of Handshake packets, having accepted the client's Finished.
    let is_use = |seen: &&CloseSeen| seen.side == Side::Server && seen.level == Level::Application;
    if quic.closes().iter().any(|seen| is_use(&seen)) {
        return Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::observed(Outcome::Success)
        };
    }
    let first = evidence.seen.first().map(|seen| seen.time);
    let is_server_seen = quic.last_of(Side::Server).is_some();
    let until = transcript.observed_until();
    let since = |from: Option<Timestamp>| {
        from.zip(until)
            .and_then(|(from, until)| until.checked_since(from))
    };
    let is_over = matches!(end, End::Silence | End::CaptureEnd | End::Evicted);
    if !is_server_seen {
        let of_client = evidence.seen.iter().filter(|seen| !seen.shape.is_repeated);
        let has_gone_on = of_client
            .clone()
            .any(|seen| seen.shape.handshakes > 0 || seen.shape.is_short_only());
        let times = of_client.clone().count();
        let asked_for = since(first).unwrap_or_default();
        if has_gone_on || !is_over {
            return Conclusion::unknown(UnknownBecause::OneDirection);
        }
        if asked_for < FIRST_PROBE {
            return Conclusion::unknown(UnknownBecause::CaptureEnd);
        }
        let is_long = times >= UNANSWERED && spread(first, quic.last()) >= UNANSWERED_TIME;
        // Who has captured knows that nothing followed.
        let is_probed = times >= 2 && spread(first, quic.last()) >= PROBE;
        let is_silent = is_long || end == End::Silence && is_probed;
        if !is_silent {
            return Conclusion::unknown(match is_probed {
                true => UnknownBecause::NoAnswer,
                // A client probes within a second (RFC 9002 §6.2): the capture lacks packets.
                false => UnknownBecause::LastDataNotAcknowledged,
            });
        }
        return Conclusion::failed(cause::unanswered_quic(times, asked_for));
    }
    // The server fell silent, and the client asked again and again.
    let last_server = quic.last_of(Side::Server);
    let is_stuck = evidence.flight.is_none()
        && evidence.probes_after(last_server) >= PROBES
        && spread(last_server, quic.last_of(Side::Client)) >= UNANSWERED_TIME;
    if is_over && is_stuck && since(last_server).is_some_and(|waited| waited >= SILENCE) {
        let failure = cause::silence(transcript, Side::Server, since(last_server), None);
        return Conclusion::failed(failure);
    }
    silence::unknown(transcript, end)
}

/// From one moment to another, if both are known.
fn spread(first: Option<Timestamp>, last: Option<Timestamp>) -> Duration {
    let both = first.zip(last);
    both.and_then(|(first, last)| last.checked_since(first))
        .unwrap_or_default()
}

/// How many datagrams a client sends without an answer, and over which time, before the server counts as silent: two may be one
/// hello, and probes may come before the answer of a server that is far away, or behind losses. Chrome sends four within 2.1 s before
/// it gives up, and others one after 1 s, 3 s and 7 s.
const UNANSWERED: usize = 4;
const UNANSWERED_TIME: Duration = Duration::from_secs(2);

/// The shortest time between a packet and the probe that repeats it; what comes earlier is the rest of the same flight. Stacks
/// begin with 200 ms to 1 s.
const PROBE: Duration = Duration::from_millis(100);

/// Datagrams of a side without an answer before its peer counts as silent.
const PROBES: usize = 3;

fn client_certificate(transcript: &Transcript) -> ClientCertificate {
    match transcript.quic() {
        Some(quic) => shape(transcript, quic).client_certificate,
        None => ClientCertificate::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Undeliverable;
    use crate::framing::quic::{DatagramShape, QuicSeen};
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full};
    use crate::transport::quic::{QuicClose, QuicVersion};

    /// What a side sends in one datagram: lengths of Handshake and 1-RTT packets, 0 for none.
    type Sent = (Side, u16, u16);

    const SERVER_FLIGHT: Sent = (SERVER, 850, 0);
    /// Finished alone, and the first request.
    const CLIENT_FLIGHT: Sent = (CLIENT, 80, 300);
    const REQUEST: Sent = (CLIENT, 0, 40);
    const ANSWER: Sent = (SERVER, 0, 314);
    /// CONNECTION_CLOSE in both kinds of packets, as of quinn and aioquic.
    const SERVER_CLOSES: Sent = (SERVER, 55, 47);
    const CLIENT_CLOSES: Sent = (CLIENT, 105, 0);

    /// The hellos of a client that sent its first packet in version 1.
    fn hellos() -> Script {
        begun(full())
    }

    fn begun(script: Script) -> Script {
        let version = QuicVersion::V1;
        script.quic(CLIENT, |at| QuicSeen::Initial { version, at })
    }

    fn datagram(script: Script, (side, handshake, short): Sent, is_repeated: bool) -> Script {
        let shape = DatagramShape {
            length: handshake + short + 50,
            handshakes: u8::from(handshake > 0),
            handshake_length: handshake,
            short_length: short,
            short_id: 7 * u32::from(short > 0),
            is_id_known: true,
            is_repeated,
            ..DatagramShape::default()
        };
        script.quic(side, |at| QuicSeen::Datagram { shape, at })
    }

    fn play(sent: &[Sent]) -> Script {
        let sent = sent.iter();
        sent.fold(hellos(), |script, sent| datagram(script, *sent, false))
    }

    /// The verdict when nothing follows.
    fn verdict(sent: &[Sent]) -> String {
        play(sent).then_nothing(2_000).verdict()
    }

    const USED: &[Sent] = &[
        SERVER_FLIGHT,
        CLIENT_FLIGHT,
        ANSWER,
        REQUEST,
        ANSWER,
        REQUEST,
    ];
    const SERVER_REFUSES: &[Sent] = &[
        SERVER_FLIGHT,
        (SERVER, 0, 138),
        CLIENT_FLIGHT,
        SERVER_CLOSES,
    ];
    const CLIENT_REFUSES: &[Sent] = &[SERVER_FLIGHT, CLIENT_CLOSES];

    #[test]
    fn packets_without_keys_show_who_gave_up() {
        assert_eq!(verdict(USED), "success Q1");
        let refused = "failure Q2: server_rejected_client by server";
        assert_eq!(verdict(SERVER_REFUSES), refused);
        let refused = "failure Q3: client_rejected_server by client";
        assert_eq!(verdict(CLIENT_REFUSES), refused);
    }

    #[test]
    fn a_client_that_goes_on_after_its_finished_has_not_refused_the_server() {
        // quiche on both sides; the server refuses, in a Handshake packet that is as long as an acknowledgment.
        let acknowledgment = (CLIENT, 22, 0);
        let refused = [SERVER_FLIGHT, (CLIENT, 71, 0), acknowledgment];
        let and_closed = [&refused[..], &[(SERVER, 22, 0), acknowledgment]].concat();
        let at_once = [SERVER_FLIGHT, (CLIENT, 71, 0), (SERVER, 22, 0)];
        for sent in [&refused[..], &and_closed, &at_once] {
            assert_eq!(verdict(sent), "unknown observed");
        }
        // A CONNECTION_CLOSE with a reason is as long, and may be sent again. Then nothing may follow, which only a live run knows.
        let live = |sent| {
            let script = play(sent).then_nothing(2_000);
            script.verdict_with(End::Silence, &[])
        };
        let close = (CLIENT, 71, 0);
        let refusal = "failure Q3: client_rejected_server by client";
        for sent in [
            &[SERVER_FLIGHT, close][..],
            &[SERVER_FLIGHT, close, (CLIENT, 63, 0)],
        ] {
            assert_eq!(live(sent), refusal);
            assert_eq!(verdict(sent), "unknown observed");
        }
        // So are acknowledgments next to an Initial packet.
        let shape = DatagramShape {
            length: 1200,
            initials: 1,
            handshakes: 1,
            handshake_length: 1126,
            ..DatagramShape::default()
        };
        let padded = hellos().quic(CLIENT, |at| QuicSeen::Datagram { shape, at });
        let padded = datagram(datagram(padded, SERVER_FLIGHT, false), CLIENT_CLOSES, false);
        assert_eq!(padded.then_nothing(2_000).verdict(), refusal);
    }

    #[test]
    fn a_server_that_closes_again_whenever_the_client_says_something_has_refused_it() {
        let close = (SERVER, 23, 23);
        let acknowledgment = (CLIENT, 0, 29);
        let once = [SERVER_FLIGHT, CLIENT_FLIGHT, close, acknowledgment];
        assert!(verdict(&once).starts_with("unknown"));
        let again = [&once[..], &[close, acknowledgment]].concat();
        let refused = "failure Q2: server_rejected_client by server";
        assert_eq!(verdict(&again), refused);
        let goes_on = [&again[..], &[ANSWER]].concat();
        assert!(!verdict(&goes_on).starts_with("failure"));
        // quic-go sends the same bytes again, and so do mirrored ports.
        let copied = |copies| {
            let begun = play(&once);
            let copies = 0..copies;
            let script = copies.fold(begun, |script, _| {
                datagram(datagram(script, close, true), acknowledgment, false)
            });
            script.then_nothing(2_000).verdict()
        };
        assert!(copied(1).starts_with("unknown"));
        assert_eq!(copied(2), refused);
    }

    #[test]
    fn a_client_that_gives_up_at_a_closed_port_was_refused_there() {
        let alone = begun(connection().client_hello(|_| {}));
        let given_up = |script: Script| closes(script, CLIENT, Level::Initial, 0).verdict();
        let refused = alone.undelivered(CLIENT, Undeliverable::Port, true);
        let expected = "failure observed: connection_refused by server";
        assert_eq!(given_up(refused), expected);
        let alone = begun(connection().client_hello(|_| {}));
        let expected = "failure observed: connection_closed by client";
        assert_eq!(given_up(alone), expected);
    }

    #[test]
    fn a_packet_that_may_have_crossed_the_clients_flight_is_no_success() {
        let ids = [SERVER_FLIGHT, CLIENT_FLIGHT, (SERVER, 0, 222)];
        assert!(verdict(&ids).starts_with("unknown"));
        let in_use = [SERVER_FLIGHT, CLIENT_FLIGHT, (SERVER, 0, 222), REQUEST];
        assert_eq!(verdict(&in_use), "success Q1s");
    }

    /// A capture may keep the first packets of each connection only.
    #[test]
    fn an_acknowledgment_or_finished_that_nothing_follows_is_no_refusal() {
        for (length, is_telling) in [
            (23, false), // an acknowledgment, or CONNECTION_CLOSE without a reason
            (36, false), // either of s2n-quic
            (45, true),
            (56, false), // Finished
            (75, false),
            (105, true),
        ] {
            let sent = play(&[SERVER_FLIGHT, (CLIENT, length, 0)]).then_nothing(90_000);
            let refused = "failure Q3: client_rejected_server by client";
            let expected = if is_telling {
                refused
            } else {
                "unknown observed"
            };
            assert_eq!(sent.verdict(), expected, "{length}");
            // Who has captured, and has dropped nothing, knows that nothing followed.
            let live = sent.verdict_with(End::Silence, &[]);
            assert_eq!(live, refused, "{length}");
        }
    }

    /// A client that sends datagrams of its hello after these times, and gets no answer.
    fn asked_in_vain(waits: &[u64]) -> Script {
        let hello = begun(connection().client_hello(|_| {}));
        let asked = waits.iter().fold(hello, |script, wait| {
            let shape = DatagramShape {
                length: 1_200,
                initials: 1,
                ..DatagramShape::default()
            };
            let script = script.wait(*wait);
            script.quic(CLIENT, |at| QuicSeen::Datagram { shape, at })
        });
        asked.then_nothing(60_000)
    }

    #[test]
    fn a_client_that_probed_too_few_times_shows_that_there_was_no_answer() {
        let because = |waits: &[u64]| {
            let conclusion = asked_in_vain(waits).conclude(End::CaptureEnd, &[]);
            conclusion.unknown_because
        };
        assert_eq!(because(&[0, 1_000, 0]), Some(UnknownBecause::NoAnswer));
        let one_flight = Some(UnknownBecause::LastDataNotAcknowledged);
        assert_eq!(because(&[0, 0]), one_flight);
        assert_eq!(because(&[0]), one_flight);
    }

    #[test]
    fn a_server_is_silent_once_its_client_has_asked_again_and_again() {
        let asked = |waits: &[u64], end: End| asked_in_vain(waits).verdict_with(end, &[]);
        let silent = "failure observed: no_server_hello by server";
        assert_eq!(asked(&[0, 300, 600, 1_200], End::CaptureEnd), silent);
        // A hello in two datagrams and a probe, of which a capture may keep no more.
        for end in [End::CaptureEnd, End::Silence] {
            let is_live = end == End::Silence;
            let expected = if is_live { silent } else { "unknown observed" };
            assert_eq!(asked(&[0, 0, 1_000], end), expected);
        }
    }

    #[test]
    fn a_copy_of_the_first_packet_after_a_refusal_is_no_probe() {
        let first = DatagramShape {
            length: 1_200,
            initials: 1,
            ..DatagramShape::default()
        };
        for is_repeated in [true, false] {
            let copy = DatagramShape {
                is_repeated,
                ..first
            };
            let refused = play(&[SERVER_FLIGHT, CLIENT_CLOSES, CLIENT_CLOSES]);
            let late = refused.wait(3_000);
            let late = late.quic(CLIENT, |at| QuicSeen::Datagram { shape: copy, at });
            let verdict = late.then_nothing(60_000).verdict();
            let expected = match is_repeated {
                true => "failure Q3: client_rejected_server by client",
                false => "unknown observed",
            };
            assert_eq!(verdict, expected);
        }
    }

    #[test]
    fn a_server_that_falls_silent_is_asked_again_and_again() {
        let asked = |waits: &[u64]| {
            let shape = DatagramShape {
                length: 1_200,
                initials: 1,
                ..DatagramShape::default()
            };
            let begun = hellos().quic(SERVER, |at| QuicSeen::Datagram { shape, at });
            let asked = waits.iter().fold(begun, |script, wait| {
                let script = script.wait(*wait);
                script.quic(CLIENT, |at| QuicSeen::Datagram { shape, at })
            });
            asked.then_nothing(60_000).verdict()
        };
        let silent = "failure observed: handshake_timeout by server";
        assert_eq!(asked(&[400, 800, 1_600]), silent);
        assert_eq!(asked(&[2_500, 0, 0, 0]), "unknown observed");
    }

    #[test]
    fn a_port_that_closes_says_nothing_once_the_server_uses_the_connection() {
        let closed = |sent: &[Sent]| {
            let script = play(sent).undelivered(SERVER, Undeliverable::Port, true);
            script.then_nothing(60_000).verdict()
        };
        // The capture lacks the client's flight.
        let in_use = [SERVER_FLIGHT, ANSWER, ANSWER];
        assert!(
            closed(&in_use).starts_with("unknown"),
            "{}",
            closed(&in_use)
        );
        let waiting = [SERVER_FLIGHT, (SERVER, 0, 138), SERVER_FLIGHT];
        assert_eq!(
            closed(&waiting),
            "failure observed: connection_closed by client"
        );
    }

    #[test]
    fn silence_has_to_last_before_it_says_something() {
        for sent in [SERVER_REFUSES, CLIENT_REFUSES] {
            let early = play(sent).then_nothing(900).verdict();
            assert_eq!(early, "unknown observed", "{sent:?}");
        }
    }

    #[test]
    fn silence_says_nothing_if_packets_were_dropped_meanwhile() {
        for sent in [SERVER_REFUSES, CLIENT_REFUSES] {
            let script = play(sent).then_nothing(2_000);
            let verdict = script.verdict_with(End::PacketsDropped, &[]);
            assert_eq!(verdict, "unknown observed", "{sent:?}");
        }
        let used = play(USED).then_nothing(2_000);
        assert_eq!(used.verdict_with(End::PacketsDropped, &[]), "success Q1");
    }

    #[test]
    fn a_server_that_closes_at_once_had_accepted_the_client() {
        let closed = [SERVER_FLIGHT, CLIENT_FLIGHT, (SERVER, 0, 24)];
        assert_eq!(verdict(&closed), "success Q1s");
        // The client would not have sent its flight again.
        let unheard = [&closed[..], &[(CLIENT, 80, 0)]].concat();
        assert_eq!(verdict(&unheard), "unknown observed");
    }

    #[test]
    fn a_single_packet_of_an_unknown_id_may_be_a_stateless_reset() {
        let shape = DatagramShape {
            length: 50,
            short_length: 40,
            short_id: 99,
            ..DatagramShape::default()
        };
        let reset = play(&[SERVER_FLIGHT, CLIENT_FLIGHT]);
        let reset = reset.quic(SERVER, |at| QuicSeen::Datagram { shape, at });
        assert_eq!(reset.then_nothing(2_000).verdict(), "unknown observed");
    }

    /// A 1-RTT packet alone, with a digest of its id; 0 if it has none.
    fn short(script: Script, side: Side, short_id: u32, is_id_known: bool) -> Script {
        let shape = DatagramShape {
            length: 90,
            short_length: 40,
            short_id,
            is_id_known,
            ..DatagramShape::default()
        };
        script.quic(side, |at| QuicSeen::Datagram { shape, at })
    }

    #[test]
    fn one_packet_of_an_unknown_id_neither_makes_nor_hides_a_verdict() {
        let silent = [SERVER_FLIGHT, CLIENT_FLIGHT];
        for sent in [USED, SERVER_REFUSES, CLIENT_REFUSES, &silent[..]] {
            let expected = verdict(sent);
            for (place, side) in (0..=sent.len()).flat_map(|at| [(at, CLIENT), (at, SERVER)]) {
                let play = |script: Script, sent: &[Sent]| {
                    let sent = sent.iter();
                    sent.fold(script, |script, sent| datagram(script, *sent, false))
                };
                let script = short(play(hellos(), &sent[..place]), side, 99, false);
                let found = play(script, &sent[place..]).then_nothing(2_000).verdict();
                assert_eq!(found, expected, "{side:?} at {place} of {sent:?}");
            }
        }
    }

    #[test]
    fn two_packets_of_a_new_id_are_those_of_the_peer() {
        let begun = play(&[SERVER_FLIGHT, CLIENT_FLIGHT]);
        let once = short(begun, SERVER, 99, false);
        let twice = short(once, SERVER, 99, false);
        assert_eq!(twice.then_nothing(2_000).verdict(), "success Q1");
    }

    #[test]
    fn one_packet_without_an_id_does_not_make_a_refusal_a_success() {
        let crossing = short(play(&[SERVER_FLIGHT, CLIENT_FLIGHT]), SERVER, 0, false);
        let refused = datagram(crossing, SERVER_CLOSES, false);
        let forged = short(refused, SERVER, 0, false).then_nothing(2_000);
        assert_eq!(forged.verdict(), "unknown observed");
    }

    #[test]
    fn loss_duplication_and_reordering_never_turn_a_verdict_around() {
        for sent in [USED, SERVER_REFUSES, CLIENT_REFUSES] {
            let expected = verdict(sent);
            let outcome = expected.split(' ').next().unwrap();
            let holds = |verdict: String, change: &str| {
                let is_same = verdict.starts_with(outcome) || verdict.starts_with("unknown");
                assert!(is_same, "{change} of {sent:?}: {verdict}, not {expected}");
            };
            for place in 0..sent.len() {
                let mut lost = sent.to_vec();
                lost.remove(place);
                holds(verdict(&lost), "loss");
                let mut script = hellos();
                for (index, sent) in sent.iter().enumerate() {
                    script = datagram(script, *sent, false);
                    if index == place {
                        script = datagram(script, *sent, true);
                    }
                }
                holds(script.then_nothing(2_000).verdict(), "copy");
                if place > 0 {
                    let mut swapped = sent.to_vec();
                    swapped.swap(place - 1, place);
                    holds(verdict(&swapped), "swap");
                }
            }
        }
    }

    fn closes(script: Script, side: Side, level: Level, code: u64) -> Script {
        let close = QuicClose {
            code,
            is_application: false,
        };
        script.quic(side, |at| QuicSeen::Close { close, level, at })
    }

    #[test]
    fn a_close_that_can_be_read_is_exact() {
        let at = |level, code| closes(play(&[SERVER_FLIGHT]), CLIENT, level, code).verdict();
        assert_eq!(
            at(Level::Initial, 0x130),
            "failure observed: unknown_ca by client"
        );
        assert_eq!(
            at(Level::Handshake, 0x130),
            "failure decrypted: unknown_ca by client"
        );
        assert_eq!(
            at(Level::Initial, 0x02),
            "failure observed: connection_refused by client"
        );
    }

    /// Whoever has seen the client's first packet can make Initial packets.
    #[test]
    fn a_side_that_has_closed_acknowledges_nothing() {
        let acknowledged = |milliseconds: u64| {
            let forged = closes(hellos(), CLIENT, Level::Initial, 0x130).wait(milliseconds);
            let shape = DatagramShape {
                length: 1200,
                initials: 1,
                has_open_initial: true,
                ..DatagramShape::default()
            };
            let script = forged.quic(CLIENT, |at| QuicSeen::Datagram { shape, at });
            script.then_nothing(2_000).verdict()
        };
        assert!(
            !acknowledged(20).starts_with("failure"),
            "{}",
            acknowledged(20)
        );
        // The network may swap two datagrams.
        assert!(
            acknowledged(0).starts_with("failure"),
            "{}",
            acknowledged(0)
        );
    }

    #[test]
    fn a_close_in_an_initial_packet_counts_unless_its_sender_goes_on() {
        let unanswered = || begun(connection().client_hello(|_| {}));
        let forged = |script, side| closes(script, side, Level::Initial, 0x130);
        let followed = |script: Script, sent: &[Sent]| {
            let sent = sent.iter();
            let script = sent.fold(script, |script, sent| datagram(script, *sent, false));
            script.then_nothing(2_000).verdict()
        };
        for (side, name) in [(CLIENT, "client"), (SERVER, "server")] {
            // Nobody has shown a certificate by then.
            let closed = format!("failure observed: connection_closed by {name}");
            assert_eq!(followed(forged(unanswered(), side), &[]), closed);
            let other = closes(unanswered(), side, Level::Initial, 0x178);
            let refused = format!("failure observed: no_application_protocol by {name}");
            assert_eq!(followed(other, &[]), refused);
            assert_eq!(followed(forged(hellos(), side), USED), "success Q1");
        }
        // Who has keys for Handshake packets closes in these, too.
        let refused = followed(forged(hellos(), SERVER), SERVER_REFUSES);
        assert_eq!(refused, verdict(SERVER_REFUSES));
        let amid_flight = forged(play(&[SERVER_FLIGHT]), SERVER);
        assert_eq!(followed(amid_flight, &[]), "unknown observed");
        // One that has sent 1-RTT packets has no keys for Initial packets.
        let completed = forged(play(&[SERVER_FLIGHT, CLIENT_FLIGHT]), CLIENT);
        assert_eq!(followed(completed, &[]), "unknown observed");
    }

    #[test]
    fn closes_that_contradict_each_other_decide_nothing_unless_one_is_sealed() {
        let closed = |closed: &[(Side, Level, u64)]| {
            let closed = closed.iter();
            closed
                .fold(hellos(), |script, (side, level, code)| {
                    closes(script, *side, *level, *code)
                })
                .verdict()
        };
        let forged = (SERVER, Level::Initial, 0x128);
        assert_eq!(
            closed(&[forged, (CLIENT, Level::Initial, 0x130)]),
            "unknown observed"
        );
        assert_eq!(
            closed(&[forged, (SERVER, Level::Initial, 0x130)]),
            "unknown observed"
        );
        assert_eq!(
            closed(&[forged, (CLIENT, Level::Handshake, 0x130)]),
            "failure decrypted: unknown_ca by client"
        );
        // It answers that of its peer.
        let answer = (SERVER, Level::Initial, NO_ERROR);
        let client = "failure observed: no_application_protocol by client";
        assert_eq!(closed(&[(CLIENT, Level::Initial, 0x178), answer]), client);
    }

    #[test]
    fn a_close_after_the_server_has_accepted_the_client_is_no_failure() {
        let accepted = play(USED).quic(SERVER, |at| QuicSeen::Accepted { at });
        let closed = closes(accepted, CLIENT, Level::Application, 0);
        assert_eq!(closed.verdict(), "success decrypted");
    }

    #[test]
    fn a_client_that_finds_no_version_in_common_gives_up() {
        let negotiated = |script: Script| {
            script.quic(SERVER, |at| QuicSeen::VersionNegotiation {
                versions: [QuicVersion::V2; 4],
                at,
            })
        };
        let refused = negotiated(begun(connection())).then_nothing(2_000);
        assert_eq!(
            refused.verdict_with(End::Silence, &[]),
            "failure observed: protocol_mismatch by client"
        );
        // A file may lack the packet in which the client begins again, unless that has no other version.
        assert_eq!(refused.verdict(), "unknown observed");
        let having = |versions: &[u32]| {
            let hello = connection().client_hello(|hello| {
                hello.quic_versions = Some(versions.to_vec());
            });
            let refused = begun(hello).quic(SERVER, |at| QuicSeen::VersionNegotiation {
                versions: [
                    QuicVersion::V2,
                    QuicVersion(0),
                    QuicVersion(0),
                    QuicVersion(0),
                ],
                at,
            });
            refused.then_nothing(2_000).verdict()
        };
        let expected = "failure observed: protocol_mismatch by client";
        assert_eq!(having(&[QuicVersion::V1.0]), expected);
        let both = [QuicVersion::V1.0, QuicVersion::V2.0];
        assert_eq!(having(&both), "unknown observed");
        // Somebody else sent the list if the server speaks the version.
        let forged = USED.iter().fold(negotiated(begun(full())), |script, sent| {
            datagram(script, *sent, false)
        });
        assert_eq!(forged.then_nothing(2_000).verdict(), "success Q1");
        let version = QuicVersion::V2;
        let again = negotiated(begun(connection()));
        let again = again.quic(CLIENT, |at| QuicSeen::Initial { version, at });
        assert!(again.then_nothing(2_000).verdict().starts_with("unknown"));
    }
}
