//! Logins over EAP on a link: EAPOL frames to handshakes.
//!
//! The device that logs in and the access point or switch have no IP addresses yet. So the ends of the event are
//! the link-local IPv6 addresses that follow from their hardware addresses (RFC 4291 appendix A), and the
//! hardware addresses themselves are those that RADIUS would have (RFC 3580 §3.20, §3.21).
//!
//! On wires, both sides often send to a group address. Then the identifier of a request, which its response has,
//! tells who answers whom.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::capture::{Interface, PacketRecord};
use crate::decode::Layers;
use crate::decode::eapol::{EapolFrame, EapolKind, HardwareAddress, is_group};
use crate::event::{EapFacts, EapResult, Transport};
use crate::flow::{Direction, FlowKey, IpProtocol, Side};
use crate::handshake::End;
use crate::time::Timestamp;
use crate::transport::SeenPackets;
use crate::transport::eap::{EapCode, EapExchange, EapMethod, EapPacket};

use super::conclusion::{Conclusion, Unfinished};
use super::logins::{COPY, LOGIN_TIMEOUT, Login, LoginStep, OpenLogin};
use super::open_handshakes::OpenHandshakes;
use super::shard::ShardOutput;

/// Logins remembered at once: an access point has a few dozen devices that log in within two minutes.
const MAX_LOGINS: usize = 256;

/// How long an authenticator waits for the answer to a request: `suppTimeout` of IEEE 802.1X-2004 §9.4.1. It repeats the request
/// then, or gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The first byte of an EAP packet that answers a request (RFC 3748 §4).
const RESPONSE: u8 = 2;

/// A packet with an EAPOL frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct EapolPacket<'p> {
    pub(super) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(super) bytes: &'p [u8],
    pub(super) interface: &'p Interface,
    pub(super) layers: &'p Layers,
    pub(super) frame: EapolFrame<'p>,
}

/// By what a login is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum LanKey {
    /// The device that logs in.
    Station(HardwareAddress),
    /// What it logs in at, where that speaks to a group.
    Authenticator(HardwareAddress),
}

/// The logins on links.
#[derive(Debug)]
pub(super) struct LanLogins {
    logins: HashMap<LanKey, LanLogin>,
    open: OpenHandshakes,
    /// Bytes of handshakes and retained packets.
    held: usize,
    /// Frames whose addresses say to which login they belong.
    seen: SeenPackets,
    hasher: RandomState,
    timeout: Duration,
}

#[derive(Debug)]
struct LanLogin {
    login: Login,
    last: Timestamp,
    /// The identifier of the last request.
    request: Option<u8>,
    /// The identifier of the last response to a group.
    response: Option<u8>,
    /// The device, once it has answered.
    station: Option<HardwareAddress>,
    /// What has come again since the device began again, or since a copy of what it began with came late: the bytes are the same.
    again: Option<EapExchange>,
    /// When its first packet came.
    since: Timestamp,
    /// Digests of the latest packets, and when they came.
    recent: [(u64, Timestamp); RECENT],
}

/// Frames that are compared with a new one: those of all devices that log in at once, within [`COPY`].
const MAX_SEEN: usize = 1 << 10;

/// Packets of a login to a group that are compared with a new one, since mirrored ports show packets twice, and the copies may come after later ones.
const RECENT: usize = 32;

impl LanLogin {
    /// Whether the same bytes came a moment ago: a login has no two packets of the same identifier and content in so short a time.
    fn has_seen(&self, digest: u64, now: Timestamp) -> bool {
        let is_same = |(known, time): &(u64, Timestamp)| {
            *known == digest && now.checked_since(*time).is_some_and(|since| since < COPY)
        };
        self.recent.iter().any(is_same)
    }

    fn note_seen(&mut self, digest: u64, now: Timestamp) {
        self.recent.rotate_right(1);
        self.recent[0] = (digest, now);
    }
}

impl Unfinished for LanLogins {
    type Place = LanKey;

    fn allocated(&self) -> usize {
        self.held + self.seen.allocated() + self.logins.capacity() * size_of::<(LanKey, LanLogin)>()
    }

    fn next(&mut self) -> Option<LanKey> {
        self.oldest()
    }

    fn remove(
        &mut self,
        key: LanKey,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let known = self.logins.get_mut(&key);
        if let Some(open) = known.and_then(|known| known.login.take_handshake()) {
            self.conclude(key, open, end, now, conclusion, output);
        }
        if let Some(known) = self.logins.remove(&key) {
            self.held -= known.login.allocated();
        }
    }
}

impl LanLogins {
    /// No logins. A login without progress is reported after `timeout`, or when authenticators have forgotten it.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            logins: HashMap::new(),
            open: OpenHandshakes::default(),
            held: 0,
            seen: SeenPackets::new(MAX_SEEN),
            hasher: RandomState::default(),
            timeout: timeout.unwrap_or(LOGIN_TIMEOUT),
        }
    }

    /// How many logins there are, with those that have ended lately.
    pub(super) fn len(&self) -> usize {
        self.logins.len()
    }

    /// Handshakes without a verdict.
    pub(super) const fn open(&self) -> &OpenHandshakes {
        &self.open
    }

    /// Takes a frame.
    pub(super) fn handle(
        &mut self,
        packet: &EapolPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let EapolFrame { source, kind, .. } = packet.frame;
        let now = packet.record.timestamp;
        let seen_before = self.note_frame(&packet.frame, now);
        let since = seen_before.and_then(|before| now.checked_since(before));
        if since.is_some_and(|since| since < COPY) {
            return;
        }
        let eap = match kind {
            EapolKind::Eap => EapPacket::read(packet.frame.body),
            EapolKind::Start => {
                let key = LanKey::Station(source);
                return self.take_start(key, seen_before.is_some(), now, conclusion, output);
            }
        };
        let Some(eap) = eap else {
            return;
        };
        let digest = self.hasher.hash_one((source, packet.frame.body));
        let is_copy = self.is_late_copy(packet, &eap, seen_before.is_some(), digest);
        let was_seen = seen_before.is_some();
        let again = self.take_again(packet, &eap, was_seen || is_copy, conclusion, output);
        if is_copy {
            return;
        }
        let Some(key) = self.find(packet, &eap, digest, conclusion, output) else {
            return;
        };
        let Some(known) = self.logins.get_mut(&key) else {
            return;
        };
        if let Some((again, user_name)) = again {
            known.login.resume(again);
            known.login.facts.user_name = user_name;
        }
        known.last = known.last.max(now);
        if known.login.is_over || known.has_seen(digest, now) {
            return;
        }
        known.note_seen(digest, now);
        let sender = match eap.code {
            EapCode::Response => Direction::Forward,
            _ => Direction::Reverse,
        };
        let step = LoginStep {
            sender,
            record: packet.record,
            bytes: packet.bytes,
            interface: packet.interface,
            layers: packet.layers,
            is_cut: eap.missing > 0,
            eap: Some(&eap),
        };
        let before = known.login.allocated();
        let is_request = eap.code == EapCode::Request;
        if is_request && known.request == Some(eap.identifier) {
            known.login.note_repeated(now);
        } else {
            known.login.note_asked(is_request, Side::Client, now);
        }
        match eap.code {
            EapCode::Request => known.request = Some(eap.identifier),
            EapCode::Response if is_group(packet.frame.destination) => {
                known.response = Some(eap.identifier);
            }
            EapCode::Response | EapCode::Success | EapCode::Failure => {}
        }
        known.note_names(&packet.frame, &eap);
        let mut opened = None;
        let replaced = known.login.take(&step, conclusion.config, &mut opened);
        let replaced_bytes = replaced.as_ref().map_or(0, |replaced| replaced.allocated);
        self.held = self.held + known.login.allocated() + replaced_bytes - before;
        if let Some(since) = opened {
            self.open.insert(since);
            conclusion.stats.connections += 1;
        }
        if let Some(replaced) = replaced {
            self.conclude(key, replaced, End::Replaced, now, conclusion, output);
        }
        let result = match eap.code {
            EapCode::Success => EapResult::Accept,
            EapCode::Failure => EapResult::Reject,
            EapCode::Request | EapCode::Response => return,
        };
        let ended = self.logins.get_mut(&key);
        let ended = ended.filter(|known| known.may_end_at(eap.identifier));
        let end = |known: &mut LanLogin| {
            known.login.exchange.note_result(eap.identifier);
            known.login.end(result, packet.record, packet.interface)
        };
        if let Some(open) = ended.and_then(end) {
            self.conclude(key, open, End::Decided, now, conclusion, output);
        }
    }

    /// Takes a frame with which a device begins a login.
    ///
    /// It has the same bytes each time, so one that came before may be a copy, or repeat another one that was not answered (IEEE 802.1X-2004
    /// §8.4.5.4). What follows tells: whether the login goes on, or begins again.
    fn take_start(
        &mut self,
        key: LanKey,
        was_seen: bool,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        let Some(known) = self.logins.get_mut(&key) else {
            return;
        };
        if was_seen {
            known.again = known.is_live().then(EapExchange::default);
            return;
        }
        // It may come a little behind what it asks for.
        let begun = now.checked_since(known.since);
        if begun.is_none_or(|begun| begun >= COPY) {
            self.remove(key, End::Replaced, now, conclusion, output);
        }
    }

    /// Takes a packet of a login whose device may have begun again. If it has, as a packet behind the others shows that is no copy of one,
    /// the login is reported; returns what had come again before, and the user's name.
    fn take_again(
        &mut self,
        packet: &EapolPacket<'_>,
        eap: &EapPacket<'_>,
        was_seen: bool,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> Option<(EapExchange, Option<String>)> {
        let [key, _] = keys(&packet.frame, eap);
        let known = self.logins.get_mut(&key)?;
        let again = known.again.as_mut()?;
        let now = packet.record.timestamp;
        if was_seen {
            again.take(eap, (now, packet.record.number), &mut |_| {});
            return None;
        }
        let again = known.again.take()?;
        let exchange = &known.login.exchange;
        let is_other_answer = exchange.is_last(eap.identifier) && exchange.is_answered();
        let goes_on = !is_other_answer && !exchange.is_behind(eap.identifier);
        if !known.is_live() || goes_on {
            return None;
        }
        let user_name = known.user_name();
        self.remove(key, End::Replaced, now, conclusion, output);
        Some((again, user_name))
    }

    /// When the same frame came before, if it is known. What an authenticator sends to a group is the same for several devices.
    fn note_frame(&mut self, frame: &EapolFrame<'_>, now: Timestamp) -> Option<Timestamp> {
        let EapolFrame {
            source,
            destination,
            kind,
            body,
        } = *frame;
        let is_start = kind == EapolKind::Start;
        let is_from_device = is_start || matches!(body, [RESPONSE, ..]);
        if is_group(destination) && !is_from_device {
            return None;
        }
        let digest = self.hasher.hash_one((source, destination, is_start, body));
        self.seen.insert(digest, now)
    }

    /// Whether a packet was seen before, and the login between the same ends has gone on since or is over: authenticators count up, and repeat
    /// the latest request alone. So it is a copy, however late it was captured, and no device logs in again.
    fn is_late_copy(
        &self,
        packet: &EapolPacket<'_>,
        eap: &EapPacket<'_>,
        is_known: bool,
        digest: u64,
    ) -> bool {
        let EapolFrame {
            source,
            destination,
            ..
        } = packet.frame;
        let keys = keys(&packet.frame, eap);
        let of_ends = keys.iter().filter_map(|key| self.logins.get(key));
        // A login to a group has the key of its authenticator, which a response to the group does not name.
        let is_to_group = is_known && eap.code == EapCode::Response && is_group(destination);
        let of_station = self
            .logins
            .values()
            .filter(|known| is_to_group && known.station == Some(source));
        of_ends.chain(of_station).any(|known| {
            let was_seen = is_known || known.recent.iter().any(|(before, _)| *before == digest);
            // With its identity, a device logs in again.
            let is_late = match known.is_live() {
                true => known.login.exchange.is_behind(eap.identifier),
                false => eap.method != EapMethod::IDENTITY,
            };
            was_seen && is_late
        })
    }

    /// The login of a packet, begun if need be.
    fn find(
        &mut self,
        packet: &EapolPacket<'_>,
        eap: &EapPacket<'_>,
        digest: u64,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> Option<LanKey> {
        let EapolFrame {
            source,
            destination,
            ..
        } = packet.frame;
        let now = packet.record.timestamp;
        let [station, authenticator] = keys(&packet.frame, eap);
        if eap.code == EapCode::Response {
            let key = station;
            if is_group(destination)
                && let Some(asked) = self.answered(source, eap.identifier)
            {
                let user_name = self.logins.get(&key).and_then(LanLogin::user_name);
                self.remove(key, End::Replaced, now, conclusion, output);
                if let (Some(name), Some(known)) = (user_name, self.logins.get_mut(&asked)) {
                    known.login.facts.user_name.get_or_insert(name);
                }
                return Some(asked);
            }
            let is_known = self.logins.get(&key).is_some_and(LanLogin::is_live);
            if is_known {
                return Some(key);
            }
            let half = self.half_of_authenticator(eap.identifier);
            return match half.filter(|_| is_group(destination)) {
                Some(half) => Some(half),
                None => Some(self.begin(key, packet, conclusion, output)),
            };
        }
        let key = match is_group(destination) {
            true => authenticator,
            false => station,
        };
        let known = self.logins.get(&key);
        // A device that is asked for its identity in a method, or after one, logs in again.
        let is_identity = eap.code == EapCode::Request && eap.method == EapMethod::IDENTITY;
        let has_begun = |known: &LanLogin| {
            let is_amid_method = known.login.exchange.method().is_some();
            known.login.is_over || is_amid_method && !known.has_seen(digest, now)
        };
        if is_identity && known.is_some_and(has_begun) {
            self.remove(key, End::Replaced, now, conclusion, output);
        }
        if !self.logins.contains_key(&key) {
            if eap.code != EapCode::Request {
                return None;
            }
            match self.half_of_station(eap.identifier) {
                Some(station) if is_group(destination) => self.rename(station, key),
                _ => {
                    self.begin(key, packet, conclusion, output);
                }
            }
        }
        Some(key)
    }

    /// The login that a device answers to a group: its own, or the one of the request with this identifier.
    ///
    /// `None` if it has a login of which more than answers to requests out of view is known, and if several asked with this
    /// identifier: nothing says whom it answers.
    fn answered(&self, source: HardwareAddress, identifier: u8) -> Option<LanKey> {
        let mut logins = self.logins.iter();
        // Also where the capture lacks the request.
        let own = logins.find(|(key, known)| {
            let is_group = matches!(key, LanKey::Authenticator(_));
            is_group && known.is_live() && known.station == Some(source)
        });
        if let Some((own, _)) = own {
            return Some(*own);
        }
        let station = self.logins.get(&LanKey::Station(source));
        let has_begun = |known: &LanLogin| {
            let is_asked = known.request.is_some() || known.login.exchange.method().is_some();
            known.is_live() && is_asked
        };
        if station.is_some_and(has_begun) {
            return None;
        }
        let is_asking = |(key, known): &(&LanKey, &LanLogin)| {
            let is_group = matches!(key, LanKey::Authenticator(_));
            let is_free = known.station.is_none_or(|station| station == source);
            is_group && is_free && known.request == Some(identifier)
        };
        let asking = || self.logins.iter().filter(is_asking);
        let latest = asking().map(|(_, known)| known.last).max()?;
        // One that asked long before has given up on its device.
        let is_waiting = |known: &LanLogin| {
            let since = latest.checked_since(known.last).unwrap_or_default();
            known.is_live() && since < LONGEST_WAIT
        };
        let mut waiting = asking().filter(|(_, known)| is_waiting(known));
        match (waiting.next(), waiting.next()) {
            (Some((key, _)), None) => Some(*key),
            (Some(_), Some(_)) => None,
            // What repeats an answer in a login that is over begins no other.
            (None, _) => asking().next().map(|(key, _)| *key),
        }
    }

    /// The login of which only responses to a group were seen until now, if there is one alone, and a request with this identifier
    /// comes next in it: the capture lacks the requests before.
    fn half_of_station(&self, identifier: u8) -> Option<LanKey> {
        self.half(|key, known| {
            let is_next = |last: u8| follows(last, identifier);
            matches!(key, LanKey::Station(_))
                && known.request.is_none()
                && known.response.is_some_and(is_next)
        })
    }

    /// The login of which only requests to a group were seen until now, if there is one alone, and a response with this identifier
    /// comes next in it: the capture lacks the responses before, and the request.
    fn half_of_authenticator(&self, identifier: u8) -> Option<LanKey> {
        self.half(|key, known| {
            let is_next = |last: u8| last == identifier || follows(last, identifier);
            matches!(key, LanKey::Authenticator(_))
                && known.station.is_none()
                && known.request.is_some_and(is_next)
        })
    }

    /// The live login that fits, if it is the only one: of several, nothing tells which.
    fn half(&self, fits: impl Fn(&LanKey, &LanLogin) -> bool) -> Option<LanKey> {
        let mut halves = self.logins.iter();
        let fits = |(key, known): &(&LanKey, &LanLogin)| known.is_live() && fits(key, known);
        let half = halves.find(fits)?;
        halves.all(|other| !fits(&other)).then_some(*half.0)
    }

    /// Finds a login by another key from now on.
    fn rename(&mut self, from: LanKey, to: LanKey) {
        if let Some(known) = self.logins.remove(&from) {
            self.logins.insert(to, known);
        }
    }

    fn begin(
        &mut self,
        key: LanKey,
        packet: &EapolPacket<'_>,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> LanKey {
        let now = packet.record.timestamp;
        self.remove(key, End::Replaced, now, conclusion, output);
        if self.logins.len() >= MAX_LOGINS
            && let Some(oldest) = self.oldest()
        {
            conclusion.stats.logins_evicted += 1;
            self.remove(oldest, End::Evicted, now, conclusion, output);
        }
        conclusion.stats.logins += 1;
        let EapolFrame {
            source,
            destination,
            ..
        } = packet.frame;
        let [station, authenticator] = match key {
            LanKey::Station(station) if station == source => [source, destination],
            _ => [destination, source],
        };
        let login = Login::new(
            Transport::Eapol,
            flow(station, authenticator),
            EapFacts::default(),
            now,
        );
        let known = LanLogin {
            login,
            last: now,
            request: None,
            response: None,
            station: None,
            again: None,
            since: now,
            recent: Default::default(),
        };
        self.logins.insert(key, known);
        key
    }

    /// Reports logins in which nothing happens any more.
    pub(super) fn handle_timeout(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        while let Some(oldest) = self.oldest()
            && let Some(known) = self.logins.get(&oldest)
            && now
                .checked_since(known.last)
                .is_some_and(|quiet| quiet >= self.timeout)
        {
            self.remove(oldest, End::Silence, now, conclusion, output);
        }
    }

    /// The login that was quiet for longest. There are few: a look at each is cheap.
    fn oldest(&self) -> Option<LanKey> {
        let logins = self.logins.iter();
        let oldest = logins.min_by_key(|(key, known)| (known.last, **key));
        oldest.map(|(key, _)| *key)
    }

    /// Forgets the quietest login, while there is no room for all.
    pub(super) fn give_up_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        if let Some(oldest) = self.oldest() {
            conclusion.stats.logins_evicted += 1;
            self.remove(oldest, End::Evicted, now, conclusion, output);
        }
    }

    /// Makes the report of a handshake that was taken out of its login.
    fn conclude(
        &mut self,
        key: LanKey,
        mut open: Box<OpenLogin>,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) {
        self.open.remove(open.since);
        self.held -= open.allocated;
        let Some(known) = self.logins.get_mut(&key) else {
            return;
        };
        self.held -= known.login.retained_bytes();
        known.login.report(&mut open, end, now, conclusion, output);
    }
}

/// By what the login of a packet may be found: the device that sends or receives it, and its authenticator.
const fn keys(frame: &EapolFrame<'_>, eap: &EapPacket<'_>) -> [LanKey; 2] {
    let [station, authenticator] = match eap.code {
        EapCode::Response => [frame.source, frame.destination],
        EapCode::Request | EapCode::Success | EapCode::Failure => [frame.destination, frame.source],
    };
    [
        LanKey::Station(station),
        LanKey::Authenticator(authenticator),
    ]
}

/// How far the identifier of a result may be ahead of that of the last request in view: frames may be missing, and authenticators count
/// up, but what has any other identifier is of another login, or forged (RFC 3748 §4.2).
const MAX_AHEAD: u8 = 16;

impl LanLogin {
    /// Whether a result with this identifier may be that of this login.
    fn may_end_at(&self, identifier: u8) -> bool {
        let ahead = |request| identifier.wrapping_sub(request);
        self.request
            .is_none_or(|request| ahead(request) <= MAX_AHEAD)
    }

    const fn is_live(&self) -> bool {
        !self.login.is_over
    }

    fn user_name(&self) -> Option<String> {
        self.login.facts.user_name.clone()
    }

    /// Notes who the ends are, as far as a frame shows it.
    fn note_names(&mut self, frame: &EapolFrame<'_>, eap: &EapPacket<'_>) {
        let facts = &mut self.login.facts;
        let is_response = eap.code == EapCode::Response;
        if is_response {
            self.station.get_or_insert(frame.source);
        }
        let [station, authenticator] = match is_response {
            true => [frame.source, frame.destination],
            false => [frame.destination, frame.source],
        };
        let [device, point] = &mut self.login.ends;
        for (address, name, end) in [
            (station, &mut facts.calling_station_id, device),
            (authenticator, &mut facts.called_station_id, point),
        ] {
            if !is_group(address) {
                end.address = link_local(address);
                name.get_or_insert_with(|| text(address));
            }
        }
        if is_response && eap.method == EapMethod::IDENTITY && !eap.data.is_empty() {
            let identity = String::from_utf8_lossy(eap.data).into_owned();
            facts.user_name.get_or_insert(identity);
        }
    }
}

/// Whether a request or response with an identifier may follow one with another: most authenticators count up, and a few
/// packets may be missing in between.
fn follows(last: u8, identifier: u8) -> bool {
    const MISSING: u8 = 3;
    (1..=MISSING).contains(&identifier.wrapping_sub(last))
}

/// A hardware address as RADIUS has it: `02-00-00-00-00-01`.
fn text(address: HardwareAddress) -> String {
    let parts = address.map(|byte| format!("{byte:02X}"));
    parts.join("-")
}

/// The link-local address that follows from a hardware address (RFC 4291 appendix A).
fn link_local([a, b, c, d, e, f]: HardwareAddress) -> IpAddr {
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let interface = [pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
    let [g, h, i, j] = interface;
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, g, h, i, j))
}

/// Names the conversation of two hardware addresses, as a flow.
fn flow(station: HardwareAddress, authenticator: HardwareAddress) -> (FlowKey, bool) {
    let bytes = |address| match link_local(address) {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => [0; 16],
    };
    let [station, authenticator] = [station, authenticator].map(|address| (bytes(address), 0));
    FlowKey::new(IpProtocol::Udp, station, authenticator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_have_a_text_and_a_link_local_address() {
        let address = [0x02, 0, 0, 0xab, 0xff, 1];
        assert_eq!(text(address), "02-00-00-AB-FF-01");
        assert_eq!(link_local(address).to_string(), "fe80::ff:feab:ff01");
        let universal = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];
        assert_eq!(
            link_local(universal).to_string(),
            "fe80::211:22ff:fe33:4455"
        );
    }
}
