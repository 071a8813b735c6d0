//! Logins over EAP: RADIUS packets to handshakes.
//!
//! A login is a conversation with one handshake, mostly: a method that the client refuses is
//! followed by another one, and of those only the one that the client takes has a hello. What the
//! server answers in the end, accept or reject, is the verdict on the login, and ends the handshake.
//!
//! An identifier of RADIUS is used again at once. So if the capture lacks packets, a challenge may be that of another login, and only the
//! request that repeats its State, with the name of its user, shows that it is not. Until then it is held back.
//!
//! A login that has ended is remembered for a while, so that what is repeated does not count again.

use std::sync::Arc;
use std::time::Duration;

use crate::capture::{Interface, PacketRecord};
use crate::decode::Layers;
use crate::event::{EapFacts, EapMethod, EapResult, Identity, Protocol, Transport, WireMarks};
use crate::flow::{Direction, Endpoint, FlowKey, Side};
use crate::handshake::{Conflict, End, Origin, Tracker};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::transport::eap::{self, EapCode, EapDelivery, EapExchange, EapPacket};
use crate::transport::radius::{
    Answered, Attribute, Conversations, Found, Hop, RadiusCode, RadiusPacket,
};
use crate::transport::tcp::{Arrival, Chunk, RoundTrips};

use super::Config;
use super::conclusion::{Concluded, Conclusion, Unfinished};
use super::datagrams::DatagramPacket;
use super::open_handshakes::OpenHandshakes;
use super::retained::RetainedPackets;
use super::shard::ShardOutput;

/// Logins remembered at once in a shard, which has all between two hosts: those of 40 s at 100 a second.
const MAX_LOGINS: usize = 1 << 12;
/// Shares of a shard's memory for UDP that the table of logins may take, if nothing else needs them.
const MOST_SHARES: usize = 4;
/// Bytes of a login without a handshake: its place in the table, and its names.
const BYTES_PER_LOGIN: usize = 1 << 10;
/// How long a login is waited for without a packet: servers forget it before, FreeRADIUS and hostapd after 60 s.
pub(super) const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Copies of a packet within this time are one packet captured twice: access servers and authenticators repeat a request after a second or more.
pub(super) const COPY: Duration = Duration::from_millis(500);

/// A packet of RADIUS, with what its headers say.
#[derive(Debug)]
struct LoginPacket<'p> {
    datagram: &'p DatagramPacket<'p>,
    radius: RadiusPacket<'p>,
    hop: Hop,
}

impl LoginPacket<'_> {
    const fn record(&self) -> &PacketRecord {
        self.datagram.record
    }

    const fn time(&self) -> Timestamp {
        self.datagram.record.timestamp
    }

    fn step<'s>(&'s self, eap: Option<&'s EapPacket<'s>>) -> LoginStep<'s> {
        LoginStep {
            sender: match self.radius.code {
                RadiusCode::AccessRequest => Direction::Forward,
                _ => Direction::Reverse,
            },
            record: self.datagram.record,
            bytes: self.datagram.bytes,
            interface: self.datagram.interface,
            layers: self.datagram.layers,
            is_cut: self.radius.is_cut,
            eap,
        }
    }
}

/// The logins of one shard.
#[derive(Debug)]
pub(super) struct Logins {
    radius: Conversations<Login>,
    /// Handshakes without a verdict.
    open: OpenHandshakes,
    /// Bytes of handshakes and retained packets.
    held: usize,
    /// Bytes that logins may take in addition to what they take, as last known.
    room: usize,
    /// Logins that are remembered at once.
    most: usize,
    timeout: Duration,
}

/// A packet of a login, whatever carries EAP.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoginStep<'p> {
    /// `Forward` if it comes from the device that logs in.
    pub(super) sender: Direction,
    pub(super) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(super) bytes: &'p [u8],
    pub(super) interface: &'p Interface,
    pub(super) layers: &'p Layers,
    /// Whether the snap length cut it.
    pub(super) is_cut: bool,
    pub(super) eap: Option<&'p EapPacket<'p>>,
}

/// One login.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) exchange: EapExchange,
    handshake: Option<Box<OpenLogin>>,
    pub(super) facts: EapFacts,
    transport: Transport,
    flow: FlowKey,
    first_seen: Timestamp,
    /// The access server and the server, two proxies, or the device and what it logs in at.
    pub(super) ends: [Endpoint; 2],
    /// The packet that was not answered yet.
    request: Option<Repeated>,
    retained: Option<RetainedPackets>,
    /// The last challenge, until the next request shows whether it belongs here.
    held: Option<Box<HeldChallenge>>,
    pub(super) is_over: bool,
}

/// A challenge that nothing confirms yet.
#[derive(Debug)]
struct HeldChallenge {
    record: PacketRecord,
    interface: Interface,
    layers: Layers,
    is_cut: bool,
    /// The packet of EAP in it.
    eap: Box<[u8]>,
    identifier: u8,
    has_state: bool,
    /// A hash of the State that the next request repeats, as the table has it.
    state: Option<u64>,
    /// Whether its identifier is the next one: servers count up.
    is_next: bool,
}

impl HeldChallenge {
    /// Whether a request may answer it, of the same device, that repeats no State of a challenge that was seen: where the capture has no State.
    fn may_precede(&self, request: &RadiusPacket<'_>, eap: &EapPacket<'_>) -> bool {
        let has_state = |packet: &RadiusPacket<'_>| packet.attribute(Attribute::State).is_some();
        let is_without_state = !self.has_state && (self.is_cut || !has_state(request));
        is_without_state && self.identifier == eap.identifier
    }
}

/// A handshake in a login.
#[derive(Debug)]
pub(super) struct OpenLogin {
    tracker: Tracker,
    source: Arc<str>,
    layers: Layers,
    pub(super) since: Timestamp,
    /// Bytes of memory that it takes, as last counted.
    pub(super) allocated: usize,
}

/// A packet, and how often it was sent.
#[derive(Clone, Copy, Debug)]
struct Repeated {
    /// The side that it went to.
    owing: Side,
    times: u16,
    first: Timestamp,
    last: Timestamp,
}

impl Unfinished for Logins {
    type Place = usize;

    fn allocated(&self) -> usize {
        self.held + self.radius.allocated()
    }

    fn next(&mut self) -> Option<usize> {
        self.radius.oldest()
    }

    fn remove(
        &mut self,
        place: usize,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        self.settle_held(place, now, conclusion, output);
        if let Some(login) = self.radius.get_mut(place)
            && let Some(handshake) = login.handshake.take()
        {
            self.conclude(place, handshake, end, now, conclusion, output);
        }
        if let Some(login) = self.radius.remove(place) {
            self.held -= login.allocated();
        }
    }
}

impl Logins {
    /// No logins; all together may take `share` bytes, and more while there is room ([`Logins::note_room`]). A login without
    /// progress is reported after `timeout`, or when servers have forgotten it.
    pub(super) fn new(share: usize, timeout: Option<Duration>) -> Self {
        Self {
            radius: Conversations::default(),
            open: OpenHandshakes::default(),
            held: 0,
            room: share,
            most: MAX_LOGINS.min(share * MOST_SHARES / BYTES_PER_LOGIN),
            timeout: timeout.unwrap_or(LOGIN_TIMEOUT),
        }
    }

    /// How many logins there are, with those that have ended lately.
    pub(super) fn len(&self) -> usize {
        self.radius.len()
    }

    /// Handshakes without a verdict.
    pub(super) const fn open(&self) -> &OpenHandshakes {
        &self.open
    }

    /// Notes how many bytes logins may take in addition to what they take now.
    pub(super) const fn note_room(&mut self, room: usize) {
        self.room = room;
    }

    /// Takes a datagram that may be RADIUS; false if it is something else.
    pub(super) fn handle(
        &mut self,
        datagram: &DatagramPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let header = datagram.header;
        let length = header.payload.wire_length as usize;
        let Some(radius) = RadiusPacket::read(datagram.payload, length) else {
            return false;
        };
        let source = (header.source, header.source_port);
        let destination = (header.destination, header.destination_port);
        let (client, server) = match radius.code {
            RadiusCode::AccessRequest => (source, destination),
            _ => (destination, source),
        };
        let packet = LoginPacket {
            datagram,
            radius,
            hop: Hop { client, server },
        };
        self.take(&packet, conclusion, output);
        true
    }

    fn take(
        &mut self,
        packet: &LoginPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let message = packet.radius.eap_message();
        let eap = message.as_deref().and_then(EapPacket::read);
        if !may_be_what_it_says(&packet.radius, eap.as_ref()) {
            return;
        }
        let place = match packet.radius.code {
            RadiusCode::AccessRequest => {
                self.place_of_request(packet, eap.as_ref(), conclusion, output)
            }
            _ => self.place_of_answer(packet, eap.as_ref(), conclusion),
        };
        let Some(place) = place else {
            return;
        };
        let Some(login) = self.radius.get_mut(place).filter(|login| !login.is_over) else {
            return;
        };
        let before = login.allocated();
        let step = packet.step(eap.as_ref());
        login.note_asked(
            step.sender == Direction::Forward,
            Side::Server,
            packet.time(),
        );
        login.retain(&step, conclusion.config);
        self.held = self.held + login.allocated() - before;
        match (packet.radius.code, &message, &eap) {
            (RadiusCode::AccessChallenge, Some(message), Some(eap))
                if !login.exchange.is_last(eap.identifier) =>
            {
                self.hold(place, packet, message, eap);
            }
            (RadiusCode::AccessAccept | RadiusCode::AccessReject, ..) => {
                self.settle_held(place, packet.time(), conclusion, output);
                self.feed(place, &step, conclusion, output);
                self.take_end(place, packet, conclusion, output);
            }
            _ => self.feed(place, &step, conclusion, output),
        }
    }

    /// Passes a packet on to its login.
    fn feed(
        &mut self,
        place: usize,
        step: &LoginStep<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        let before = login.allocated();
        let mut opened = None;
        let replaced = login.advance(step, conclusion.config, &mut opened);
        let replaced_bytes = replaced.as_ref().map_or(0, |replaced| replaced.allocated);
        self.held = self.held + login.allocated() + replaced_bytes - before;
        if let Some(since) = opened {
            self.open.insert(since);
            conclusion.stats.connections += 1;
        }
        if let Some(replaced) = replaced {
            let now = step.record.timestamp;
            self.conclude(place, replaced, End::Replaced, now, conclusion, output);
        }
    }

    /// Holds a challenge back until the next request of its login.
    fn hold(
        &mut self,
        place: usize,
        packet: &LoginPacket<'_>,
        message: &[u8],
        eap: &EapPacket<'_>,
    ) {
        let state = self.radius.last_state(place);
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        let before = login.allocated();
        login.drop_held();
        login.held = Some(Box::new(HeldChallenge {
            record: *packet.record(),
            interface: packet.datagram.interface.clone(),
            layers: *packet.datagram.layers,
            is_cut: packet.radius.is_cut,
            eap: message.into(),
            identifier: eap.identifier,
            has_state: packet.radius.attribute(Attribute::State).is_some(),
            state,
            is_next: login.exchange.is_last(eap.identifier.wrapping_sub(1)),
        }));
        self.held = self.held + login.allocated() - before;
    }

    /// Passes the challenge on that was held back: it belongs to its login.
    fn release(
        &mut self,
        place: usize,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        let before = login.allocated();
        let held = login.held.take();
        self.held = self.held + login.allocated() - before;
        let Some(held) = held else {
            return;
        };
        let eap = EapPacket::read(&held.eap);
        let step = LoginStep {
            sender: Direction::Reverse,
            record: &held.record,
            bytes: &[],
            interface: &held.interface,
            layers: &held.layers,
            is_cut: held.is_cut,
            eap: eap.as_ref(),
        };
        self.feed(place, &step, conclusion, output);
    }

    /// Passes the challenge on that was held back although no request confirms it, unless something contradicts it: then the login lacks packets.
    fn settle_held(
        &mut self,
        place: usize,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let state = self.radius.last_state(place);
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        let Some(held) = &login.held else {
            return;
        };
        if held.is_next && held.state == state {
            return self.release(place, conclusion, output);
        }
        let number = held.record.number;
        let before = login.allocated();
        login.drop_held();
        login.note_lacking((now, number));
        self.held = self.held + login.allocated() - before;
    }

    /// The login of a request that is news, begun if need be.
    fn place_of_request(
        &mut self,
        packet: &LoginPacket<'_>,
        eap: Option<&EapPacket<'_>>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> Option<usize> {
        let now = packet.time();
        let eap = eap?;
        let may_begin = eap.method == eap::EapMethod::IDENTITY;
        let found = self
            .radius
            .find(&packet.hop, &packet.radius, may_begin, now);
        match found {
            Found::Continued(place) => {
                self.release(place, conclusion, output);
                Some(place)
            }
            Found::Resumed(place) => {
                let login = self.radius.get_mut(place)?;
                // It comes behind later ones.
                if login.is_behind(eap.identifier) {
                    return None;
                }
                let held = login.held.as_ref();
                if held.is_some_and(|held| held.may_precede(&packet.radius, eap)) {
                    self.release(place, conclusion, output);
                }
                let login = self.radius.get_mut(place)?;
                let before = login.allocated();
                login.drop_held();
                login.exchange.note_missing();
                self.held = self.held + login.allocated() - before;
                Some(place)
            }
            Found::Repeated(place) => {
                let login = self.radius.get_mut(place)?;
                login.note_repeated(now);
                let before = login.allocated();
                login.retain(&packet.step(Some(eap)), conclusion.config);
                self.held = self.held + login.allocated() - before;
                None
            }
            Found::Copied => None,
            Found::Unknown => {
                while (self.radius.len() >= self.most || self.room < BYTES_PER_LOGIN)
                    && let Some(oldest) = self.radius.oldest()
                {
                    conclusion.stats.logins_evicted += 1;
                    self.remove(oldest, End::Evicted, now, conclusion, output);
                    self.room += BYTES_PER_LOGIN;
                }
                conclusion.stats.logins += 1;
                let flow = packet.datagram.header.flow_key();
                let facts = facts(&packet.radius, eap);
                let login = Login::new(Transport::Udp, flow, facts, now);
                Some(self.radius.begin(&packet.hop, &packet.radius, now, login))
            }
        }
    }

    /// The login of an answer.
    fn place_of_answer(
        &mut self,
        packet: &LoginPacket<'_>,
        eap: Option<&EapPacket<'_>>,
        conclusion: &mut Conclusion<'_>,
    ) -> Option<usize> {
        let answered = self
            .radius
            .answered(&packet.hop, &packet.radius, packet.time());
        match answered {
            Answered::News(place) => Some(place),
            Answered::Repeated(place) => {
                let login = self.radius.get_mut(place)?;
                let before = login.allocated();
                login.retain(&packet.step(eap), conclusion.config);
                self.held = self.held + login.allocated() - before;
                None
            }
            Answered::Copied => None,
            Answered::Unknown => {
                conclusion.stats.logins_unmatched += u64::from(eap.is_some());
                None
            }
        }
    }

    /// Reports the handshake if the packet ends the login.
    fn take_end(
        &mut self,
        place: usize,
        packet: &LoginPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let result = match packet.radius.code {
            RadiusCode::AccessAccept => EapResult::Accept,
            RadiusCode::AccessReject => EapResult::Reject,
            RadiusCode::AccessRequest | RadiusCode::AccessChallenge => return,
        };
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        let interface = packet.datagram.interface;
        if let Some(handshake) = login.end(result, packet.record(), interface) {
            self.conclude(
                place,
                handshake,
                End::Decided,
                packet.time(),
                conclusion,
                output,
            );
        }
    }

    /// Reports logins in which nothing happens any more.
    pub(super) fn handle_timeout(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(place) = self.radius.expired(now, self.timeout) {
            self.remove(place, End::Silence, now, conclusion, output);
        }
    }

    /// Forgets the quietest login, while there is no room for all.
    pub(super) fn give_up_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        if let Some(oldest) = self.radius.oldest() {
            conclusion.stats.logins_evicted += 1;
            self.remove(oldest, End::Evicted, now, conclusion, output);
        }
    }

    /// Makes the report of a handshake that was taken out of its login.
    fn conclude(
        &mut self,
        place: usize,
        mut open: Box<OpenLogin>,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        self.open.remove(open.since);
        self.held -= open.allocated;
        let Some(login) = self.radius.get_mut(place) else {
            return;
        };
        self.held -= login.retained_bytes();
        login.report(&mut open, end, now, conclusion, output);
    }
}

/// Whether a packet may be what its code says: an Access-Accept that goes on with EAP, or that says that the login failed, is a challenge
/// or a rejection with a forged code (RFC 3579 §2.6.3 has EAP Success in it).
fn may_be_what_it_says(packet: &RadiusPacket<'_>, eap: Option<&EapPacket<'_>>) -> bool {
    let is_accepted = packet.code == RadiusCode::AccessAccept;
    !is_accepted || eap.is_none_or(|eap| eap.code == EapCode::Success)
}

impl Login {
    /// A login between two ends, of which nothing was seen.
    pub(super) fn new(
        transport: Transport,
        (flow, goes_up): (FlowKey, bool),
        facts: EapFacts,
        now: Timestamp,
    ) -> Self {
        let (low, high) = flow.endpoints();
        Self {
            exchange: EapExchange::default(),
            handshake: None,
            facts,
            transport,
            flow,
            first_seen: now,
            ends: if goes_up { [low, high] } else { [high, low] },
            request: None,
            retained: None,
            held: None,
            is_over: false,
        }
    }

    /// Makes the report of a handshake that was taken out of it.
    pub(super) fn report(
        &mut self,
        open: &mut OpenLogin,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let retained = self.retained.take();
        // After the end of a file nobody observed the login, although other files go on.
        let last = open.tracker.last_packet().time;
        let end_of_source = output.ends.get(&open.source);
        let until = end_of_source.map_or(now, |end| (*end).max(last).min(now));
        let end = match end {
            End::Silence if until < now => End::CaptureEnd,
            _ => end,
        };
        let end = output.losses.judge(end, &open.source, last, now);
        open.tracker.note_until(until);
        if let Some(asked) = self.request {
            let Repeated {
                times, first, last, ..
            } = asked;
            let tracker = &mut open.tracker;
            tracker.note_unanswered(asked.owing, times, first, last);
        }
        open.tracker.handle_end();
        let concluded = Concluded {
            end,
            origin: self.origin(open),
            identity: identity(&open.tracker),
            retained,
        };
        conclusion.report(&mut open.tracker, concluded, output);
    }

    /// Takes a packet that is news. Returns a handshake that another one replaces; `opened` is when one began.
    pub(super) fn take(
        &mut self,
        step: &LoginStep<'_>,
        config: &Config,
        opened: &mut Option<Timestamp>,
    ) -> Option<Box<OpenLogin>> {
        self.retain(step, config);
        self.advance(step, config, opened)
    }

    /// The same without retaining it.
    fn advance(
        &mut self,
        step: &LoginStep<'_>,
        config: &Config,
        opened: &mut Option<Timestamp>,
    ) -> Option<Box<OpenLogin>> {
        let (time, number) = (step.record.timestamp, step.record.number);
        let mut replaced = None;
        let Self {
            exchange,
            handshake,
            facts,
            ..
        } = self;
        let mut deliver = |delivery: EapDelivery<'_>| match delivery {
            EapDelivery::Begin(method) => {
                facts.method = method_of(method);
                replaced = handshake.take();
            }
            EapDelivery::Chunk(side, chunk) => {
                let open = handshake.get_or_insert_with(|| {
                    *opened = Some(time);
                    OpenLogin::new(step, config)
                });
                open.tracker.handle_chunk(side, chunk);
            }
            EapDelivery::Continued(at) => {
                if let Some(open) = handshake {
                    open.tracker.note_continued(at);
                }
            }
        };
        if let Some(eap) = step.eap {
            exchange.take(eap, (time, number), &mut deliver);
        }
        if let Some(open) = handshake {
            let at = Arrival::new(time, number);
            // A handshake begins with the client's answer to the server's start.
            open.tracker.note_packet(step.sender, at);
            if step.is_cut {
                open.tracker.note_truncated();
            }
            open.tracker.note_source(&step.interface.source, at);
            open.allocated = boxed::<OpenLogin>() + open.tracker.allocated();
        }
        replaced
    }

    /// Notes how the login ended; returns the handshake that ended with it.
    pub(super) fn end(
        &mut self,
        result: EapResult,
        record: &PacketRecord,
        interface: &Interface,
    ) -> Option<Box<OpenLogin>> {
        self.is_over = true;
        self.facts.result = Some(result);
        let sides = Direction::BOTH.into_iter();
        let is_amid_flight = { sides }.any(|side| self.exchange.is_amid_flight(side));
        let mut open = self.handshake.take()?;
        let place = (record.timestamp, record.number);
        let at = self.exchange.end(place, &mut |delivery| {
            if let EapDelivery::Chunk(side, chunk @ Chunk::Gap(_)) = delivery {
                open.tracker.handle_chunk(side, chunk);
            }
        });
        open.tracker.note_source(&interface.source, at);
        let decided_by = (Direction::Reverse, self.transport); // a login begins with its client
        open.tracker
            .note_eap_end(result, decided_by, at, is_amid_flight);
        Some(open)
    }

    /// Whether the identifier of EAP is that of an earlier request than the last one.
    fn is_behind(&self, identifier: u8) -> bool {
        let held = self.held.as_ref();
        let is_before_held = |held: &HeldChallenge| eap::is_before(identifier, held.identifier);
        self.exchange.is_behind(identifier) || held.is_some_and(|held| is_before_held(held))
    }

    /// Forgets the challenge that was held back: it belongs to another login, and the capture lacks that of this one.
    fn drop_held(&mut self) {
        if self.held.take().is_some() {
            self.exchange.note_missing();
        }
    }

    /// Notes in the handshake that the capture lacks packets, once no more will come.
    fn note_lacking(&mut self, place: (Timestamp, u64)) {
        let Some(open) = &mut self.handshake else {
            return;
        };
        self.exchange.end(place, &mut |delivery| {
            if let EapDelivery::Chunk(side, chunk @ Chunk::Gap(_)) = delivery {
                open.tracker.handle_chunk(side, chunk);
            }
        });
        open.allocated = boxed::<OpenLogin>() + open.tracker.allocated();
    }

    /// Notes what had come of it before it was begun.
    pub(super) fn resume(&mut self, exchange: EapExchange) {
        self.facts.method = exchange.method().and_then(method_of);
        self.exchange = exchange;
    }

    /// Takes the handshake out.
    pub(super) fn take_handshake(&mut self) -> Option<Box<OpenLogin>> {
        self.handshake.take()
    }

    /// Notes a packet that is news: `owing` is to answer it if it asks for something, and otherwise nobody is.
    pub(super) fn note_asked(&mut self, is_question: bool, owing: Side, now: Timestamp) {
        self.request = is_question.then_some(Repeated {
            owing,
            times: 1,
            first: now,
            last: now,
        });
    }

    /// Notes that the packet which was not answered is repeated.
    pub(super) fn note_repeated(&mut self, now: Timestamp) {
        if let Some(request) = &mut self.request
            && now
                .checked_since(request.last)
                .is_some_and(|since| since >= COPY)
        {
            request.times = request.times.saturating_add(1);
            request.last = now;
        }
    }

    /// Retains a packet, if packets are.
    pub(super) fn retain(&mut self, step: &LoginStep<'_>, config: &Config) {
        if config.retains_packets && !self.is_over {
            let retained = self.retained.get_or_insert_default();
            retained.push(step.record, step.bytes, step.interface, true);
        }
    }

    pub(super) fn retained_bytes(&self) -> usize {
        self.retained.as_ref().map_or(0, RetainedPackets::bytes)
    }

    /// Bytes of memory that it takes apart from its place in the table.
    pub(super) fn allocated(&self) -> usize {
        let handshake = self.handshake.as_ref().map_or(0, |open| open.allocated);
        let held = self.held.as_ref();
        let held = held.map_or(0, |held| boxed::<HeldChallenge>() + held.eap.len());
        handshake + held + self.retained_bytes()
    }

    fn origin(&self, open: &OpenLogin) -> Origin {
        let [forward, reverse] = self.ends;
        Origin {
            source: Arc::clone(&open.source),
            flow_id: self.flow.id(self.first_seen),
            forward,
            reverse,
            vlan: open.layers.vlan.ids().to_vec(),
            tunnel: open.layers.tunnels.iter().collect(),
            transport: self.transport,
            protocol: Protocol::Eap,
            starttls: None,
            eap: Some(Box::new(self.facts.clone())),
            round_trips: RoundTrips::NONE,
            conflict: Conflict::default(),
        }
    }
}

impl OpenLogin {
    fn new(step: &LoginStep<'_>, config: &Config) -> Box<Self> {
        let record = step.record;
        let start = Arrival::new(record.timestamp, record.number);
        let mut tracker = Tracker::new(Protocol::Eap, start, &config.keys);
        tracker.note_eap();
        let source = Arc::clone(&step.interface.source);
        if config.collects_ladders {
            tracker.collect_ladder(&source);
        }
        Box::new(Self {
            tracker,
            source,
            layers: *step.layers,
            since: record.timestamp,
            allocated: 0,
        })
    }
}

/// By what the copies of a login on the hops of a proxy are recognised.
fn identity(tracker: &Tracker) -> Identity {
    let [client_random, server_random] = tracker.randoms();
    Identity {
        client_random,
        server_random,
        marks: WireMarks::UNKNOWN,
        is_upgraded: false,
    }
}

/// Who logs in, and where, by the first request.
fn facts(packet: &RadiusPacket<'_>, eap: &EapPacket<'_>) -> EapFacts {
    let text = |value| String::from_utf8_lossy(value).into_owned();
    let attribute = |attribute| packet.attribute(attribute).map(text);
    let identity = (eap.method == eap::EapMethod::IDENTITY).then(|| text(eap.data));
    EapFacts {
        method: None,
        result: None,
        user_name: attribute(Attribute::UserName).or(identity),
        calling_station_id: attribute(Attribute::CallingStationId),
        called_station_id: attribute(Attribute::CalledStationId),
        nas_identifier: attribute(Attribute::NasIdentifier),
    }
}

/// The name of a method in events.
fn method_of(method: eap::EapMethod) -> Option<EapMethod> {
    match method {
        eap::EapMethod::TLS => Some(EapMethod::Tls),
        eap::EapMethod::TTLS => Some(EapMethod::Ttls),
        eap::EapMethod::PEAP => Some(EapMethod::Peap),
        eap::EapMethod::FAST => Some(EapMethod::Fast),
        eap::EapMethod::TEAP => Some(EapMethod::Teap),
        _ => None,
    }
}
