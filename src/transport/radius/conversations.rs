//! Which login a RADIUS packet belongs to.
//!
//! An answer belongs to the request with its identifier, between the same ports. A
//! request belongs to the challenge whose State it repeats (RFC 3579 §2.1), from whatever
//! port: some access servers use many. Many logins share one pair of ports, and those
//! of a proxy have states of their own on each hop.
//!
//! If the capture lacks a challenge, its State is unknown. Then the login of the same
//! device between the same hosts goes on.
//!
//! An identifier is used again as soon as its request is answered. If the capture lacks
//! that answer and the next request, the answer to that one seems to belong to the first.
//! So an answer also has to fit its request in the attributes that it repeats, and counts
//! once a request of the same user repeats its State: no packet joins a login whose user
//! or device it contradicts.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::flow::AddressBytes;
use crate::time::Timestamp;

use super::super::SeenPackets;
use super::packet::{Attribute, RadiusCode, RadiusPacket};

/// The two ends between which RADIUS packets go: an access server or proxy, and a server or proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Who sends requests.
    pub client: (AddressBytes, u16),
    /// Who answers them.
    pub server: (AddressBytes, u16),
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It answers the last challenge of the login at this place.
    Continued(usize),
    /// It answers a challenge that was not seen, of the login at this place.
    Resumed(usize),
    /// It repeats the last one of the login at this place.
    Repeated(usize),
    /// It was seen, and its login has gone on since, or is forgotten: a copy that was captured late.
    Copied,
    /// It belongs to no login that is known.
    Unknown,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is the first to a request of the login at this place.
    News(usize),
    /// It repeats the one to a request of the login at this place: it was captured twice, or the server had the request twice (RFC 5080
    /// §2.2.2). Its State may be an older one than that of the login.
    Repeated(usize),
    /// It was seen, and its identifier is that of another request by now: a copy that was captured late.
    Copied,
    /// Its request was not seen.
    Unknown,
}

/// The logins under way, and those that ended lately, so that what is repeated begins no new one.
#[derive(Debug)]
pub struct Conversations<T> {
    places: Vec<Option<Conversation<T>>>,
    free: Vec<usize>,
    /// By what the next packet is found.
    requests: HashMap<RequestKey, Request, RandomState>,
    states: HashMap<u64, usize, RandomState>,
    stations: HashMap<u64, usize, RandomState>,
    seen: SeenPackets,
    /// Places and when they were last in use, as far as known: the oldest first.
    order: VecDeque<(usize, u32, Timestamp)>,
    hasher: RandomState,
    next_number: u32,
}

/// One login.
#[derive(Debug)]
pub struct Conversation<T> {
    /// What its owner knows of it.
    pub value: T,
    /// The device that logs in and its user, hashed, as far as they are known. Each request repeats the identity that EAP began with
    /// (RFC 3579 §2.1).
    names: Names,
    /// Tells it from others that had its place.
    number: u32,
    last: Timestamp,
    /// The last requests, in turn.
    requests: [Option<RequestKey>; RECENT],
    newest: usize,
    state: Option<u64>,
    station: Option<u64>,
}

/// Requests of a login whose repetitions are recognised: mirrored ports and slow answers bring them a little late.
const RECENT: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RequestKey {
    hop: Hop,
    identifier: u8,
}

/// Calling-Station-Id and User-Name of a request, hashed.
type Names = [Option<u64>; 2];

/// The State of a packet, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateSeen {
    /// The snap length may have cut it.
    Cut,
    Absent,
    Hash(u64),
}

impl StateSeen {
    /// Whether two packets may have the same.
    fn may_be(self, other: Self) -> bool {
        self == other || self == Self::Cut || other == Self::Cut
    }
}

#[derive(Clone, Copy, Debug)]
struct Request {
    place: usize,
    authenticator: [u8; 16],
    /// That of the challenge that it answers.
    state: StateSeen,
    /// The identifier of the EAP packet in it.
    eap: Option<u8>,
    /// A hash of its Proxy-State attributes; `None` without them, and if the snap length cut the packet.
    proxies: Option<u64>,
    /// The authenticator of its answer, once that was seen: it depends on the request, and on all bytes of the answer (RFC 2865
    /// §3).
    answer: Option<[u8; 16]>,
}

/// Packets of all logins that are remembered, since copies come when their logins, and others between the same ports, have gone on: as many as
/// 100 logins a second have in 8 seconds, with some 20 packets each.
const MAX_SEEN: usize = 1 << 14;

impl<T> Default for Conversations<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            requests: HashMap::default(),
            states: HashMap::default(),
            stations: HashMap::default(),
            seen: SeenPackets::new(MAX_SEEN),
            order: VecDeque::new(),
            hasher: RandomState::default(),
            next_number: 0,
        }
    }
}

impl<T> Conversations<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The login at a place.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        let conversation = self.places.get_mut(place)?.as_mut()?;
        Some(&mut conversation.value)
    }

    /// The login that a request belongs to. With `may_begin`, it answers no challenge, so that an unknown one begins a login.
    pub fn find(
        &mut self,
        hop: &Hop,
        packet: &RadiusPacket<'_>,
        may_begin: bool,
        now: Timestamp,
    ) -> Found {
        let key = RequestKey {
            hop: *hop,
            identifier: packet.identifier,
        };
        if let Some(place) = self.last_with(&key, packet) {
            self.touch(place, now);
            return Found::Repeated(place);
        }
        let digest = self.digest(hop, packet);
        if self.seen.insert(digest, now).is_some() {
            return Found::Copied;
        }
        let names = self.names(packet);
        let found = match self.login_of_state(hop, packet, names) {
            Some(place) => Found::Continued(place),
            None if may_begin => Found::Unknown,
            None => {
                let station = self.station(hop, packet);
                let place = station.and_then(|station| self.stations.get(&station).copied());
                let place = place.filter(|place| !self.contradicts(*place, names));
                place.map_or(Found::Unknown, Found::Resumed)
            }
        };
        if let Found::Continued(place) | Found::Resumed(place) = found {
            self.note_names(place, names);
            self.note_request(place, hop, packet);
            self.touch(place, now);
        }
        found
    }

    /// A hash of the State that the next request of a login repeats; `None` if it is not known, or if it turned out to belong to another
    /// login.
    #[must_use]
    pub fn last_state(&self, place: usize) -> Option<u64> {
        self.places.get(place)?.as_ref()?.state
    }

    /// Begins a login with a request; returns its place.
    pub fn begin(
        &mut self,
        hop: &Hop,
        packet: &RadiusPacket<'_>,
        now: Timestamp,
        value: T,
    ) -> usize {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let station = self.station(hop, packet);
        let conversation = Conversation {
            value,
            names: self.names(packet),
            number,
            last: now,
            requests: [None; RECENT],
            newest: 0,
            state: None,
            station,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(conversation);
                place
            }
            None => {
                self.places.push(Some(conversation));
                self.places.len() - 1
            }
        };
        if let Some(station) = station {
            self.stations.insert(station, place);
        }
        self.note_request(place, hop, packet);
        self.order.push_back((place, number, now));
        place
    }

    /// The login that an answer belongs to.
    pub fn answered(&mut self, hop: &Hop, packet: &RadiusPacket<'_>, now: Timestamp) -> Answered {
        let key = RequestKey {
            hop: *hop,
            identifier: packet.identifier,
        };
        let digest = self.digest(hop, packet);
        let Some(request) = self.requests.get(&key).copied() else {
            return Answered::Unknown;
        };
        let place = request.place;
        if request.answer == Some(packet.authenticator) {
            self.touch(place, now);
            return Answered::Repeated(place);
        }
        if self.seen.insert(digest, now).is_some() {
            return Answered::Copied;
        }
        if !self.may_answer(key, &request, packet) {
            return Answered::Unknown;
        }
        if let Some(request) = self.requests.get_mut(&key) {
            request.answer = Some(packet.authenticator);
        }
        self.touch(place, now);
        if let StateSeen::Hash(state) = self.state(hop, packet)
            && let Some(Some(conversation)) = self.places.get_mut(place)
        {
            let before = conversation.state.replace(state);
            self.states.insert(state, place);
            if let Some(before) = before.filter(|before| *before != state) {
                self.forget_state(before, place);
            }
        }
        Answered::News(place)
    }

    /// The login that was quiet for longest, if it was for `timeout`.
    pub fn expired(&mut self, now: Timestamp, timeout: Duration) -> Option<usize> {
        let (place, last) = self.oldest_with_time()?;
        let quiet = now.checked_since(last);
        quiet.is_some_and(|quiet| quiet >= timeout).then_some(place)
    }

    /// The login that was quiet for longest.
    pub fn oldest(&mut self) -> Option<usize> {
        self.oldest_with_time().map(|(place, _)| place)
    }

    /// Forgets a login.
    pub fn remove(&mut self, place: usize) -> Option<T> {
        let conversation = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        for key in conversation.requests.into_iter().flatten() {
            if self
                .requests
                .get(&key)
                .is_some_and(|request| request.place == place)
            {
                self.requests.remove(&key);
            }
        }
        if let Some(state) = conversation.state {
            self.forget_state(state, place);
        }
        if let Some(station) = conversation.station
            && self.stations.get(&station) == Some(&place)
        {
            self.stations.remove(&station);
        }
        Some(conversation.value)
    }

    /// Bytes of memory that the tables take, roughly.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.places.capacity() * size_of::<Option<Conversation<T>>>()
            + self.requests.capacity() * size_of::<(RequestKey, Request)>()
            + (self.states.capacity() + self.stations.capacity()) * size_of::<(u64, usize)>()
            + self.order.capacity() * size_of::<(usize, u32, Timestamp)>()
            + self.seen.allocated()
    }

    /// The login whose last request has the same identifier and authenticator as this one.
    fn last_with(&self, key: &RequestKey, packet: &RadiusPacket<'_>) -> Option<usize> {
        let request = self.requests.get(key)?;
        let conversation = self.places.get(request.place)?.as_ref()?;
        let is_last = conversation.requests[conversation.newest] == Some(*key);
        let is_same = request.authenticator == packet.authenticator
            && !self.contradicts(request.place, self.names(packet));
        (is_last && is_same).then_some(request.place)
    }

    /// The login whose last challenge has the State that a request with these names repeats.
    ///
    /// If the names contradict that, the challenge answered a request of another login that had the same identifier.
    fn login_of_state(
        &mut self,
        hop: &Hop,
        packet: &RadiusPacket<'_>,
        names: Names,
    ) -> Option<usize> {
        let StateSeen::Hash(state) = self.state(hop, packet) else {
            return None;
        };
        let place = *self.states.get(&state)?;
        if !self.contradicts(place, names) {
            return Some(place);
        }
        self.forget_state(state, place);
        if let Some(Some(conversation)) = self.places.get_mut(place) {
            conversation.state = None;
        }
        None
    }

    /// Whether the login at a place is one of another device or user than these.
    fn contradicts(&self, place: usize, names: Names) -> bool {
        let conversation = self.places.get(place).and_then(Option::as_ref);
        conversation.is_some_and(|conversation| {
            let mut pairs = conversation.names.iter().zip(names);
            pairs.any(|(known, name)| matches!((known, name), (Some(known), Some(name)) if *known != name))
        })
    }

    fn note_names(&mut self, place: usize, names: Names) {
        if let Some(Some(conversation)) = self.places.get_mut(place) {
            for (known, name) in conversation.names.iter_mut().zip(names) {
                *known = known.or(name);
            }
        }
    }

    /// Whether nothing contradicts that this is the first answer to a request with its identifier.
    fn may_answer(&self, key: RequestKey, request: &Request, packet: &RadiusPacket<'_>) -> bool {
        // A server that has a request twice gives the same answer (RFC 5080 §2.2.2), and of two others the client takes the first.
        if request.answer.is_some() {
            return false;
        }
        let proxies = self.proxies(packet);
        let is_of_proxy =
            proxies.is_none() || request.proxies.is_none() || proxies == request.proxies;
        let fits_eap = match (request.eap, packet.eap_identifier()) {
            // RFC 3748 §4.1: each request has another identifier than the one before.
            (Some(before), Some(next)) if packet.code == RadiusCode::AccessChallenge => {
                next != before
            }
            // RFC 3748 §4.2: that of the response, and servers that count on exist.
            (Some(before), Some(end)) => end == before || end == before.wrapping_add(1),
            _ => true,
        };
        is_of_proxy && fits_eap && self.fits_next(key, request, packet)
    }

    /// Whether an answer has the State that the login of its request went on with, if it did.
    fn fits_next(&self, key: RequestKey, request: &Request, packet: &RadiusPacket<'_>) -> bool {
        let Some(Some(conversation)) = self.places.get(request.place) else {
            return false;
        };
        let back = (0..RECENT).map(|back| (conversation.newest + RECENT - back) % RECENT);
        let later = back
            .map(|slot| conversation.requests[slot])
            .take_while(|later| *later != Some(key));
        let later = later
            .flatten()
            .filter_map(|later| self.requests.get(&later));
        // One that repeats the same State is the same request once more, with another identifier.
        let next = later
            .filter(|later| later.place == request.place && !later.state.may_be(request.state));
        next.last()
            .is_none_or(|next| next.state.may_be(self.state(&key.hop, packet)))
    }

    fn oldest_with_time(&mut self) -> Option<(usize, Timestamp)> {
        loop {
            let (place, number, noted) = *self.order.front()?;
            let conversation = self.places.get(place).and_then(Option::as_ref);
            match conversation.filter(|conversation| conversation.number == number) {
                Some(conversation) if conversation.last > noted => {
                    let last = conversation.last;
                    self.order.pop_front();
                    self.order.push_back((place, number, last));
                }
                Some(_) => return Some((place, noted)),
                None => {
                    self.order.pop_front();
                }
            }
        }
    }

    fn touch(&mut self, place: usize, now: Timestamp) {
        if let Some(Some(conversation)) = self.places.get_mut(place) {
            conversation.last = conversation.last.max(now);
        }
    }

    fn note_request(&mut self, place: usize, hop: &Hop, packet: &RadiusPacket<'_>) {
        let key = RequestKey {
            hop: *hop,
            identifier: packet.identifier,
        };
        let request = Request {
            place,
            authenticator: packet.authenticator,
            state: self.state(hop, packet),
            eap: packet.eap_identifier(),
            proxies: self.proxies(packet),
            answer: None,
        };
        let Some(Some(conversation)) = self.places.get_mut(place) else {
            return;
        };
        conversation.newest = (conversation.newest + 1) % RECENT;
        let slot = &mut conversation.requests[conversation.newest];
        let forgotten = slot.replace(key).filter(|forgotten| *forgotten != key);
        if let Some(forgotten) = forgotten
            && self
                .requests
                .get(&forgotten)
                .is_some_and(|request| request.place == place)
        {
            self.requests.remove(&forgotten);
        }
        self.requests.insert(key, request);
    }

    fn forget_state(&mut self, state: u64, place: usize) {
        if self.states.get(&state) == Some(&place) {
            self.states.remove(&state);
        }
    }

    /// Names a State between two hosts. The hash has a random key, so that nobody can make two states collide.
    fn state(&self, hop: &Hop, packet: &RadiusPacket<'_>) -> StateSeen {
        match packet.whole_attribute(Attribute::State) {
            Some(state) => {
                let hosts = [hop.client.0, hop.server.0];
                StateSeen::Hash(self.hasher.hash_one((hosts, state)))
            }
            None if packet.is_cut => StateSeen::Cut,
            None => StateSeen::Absent,
        }
    }

    fn names(&self, packet: &RadiusPacket<'_>) -> Names {
        [Attribute::CallingStationId, Attribute::UserName].map(|attribute| {
            let name = packet.whole_attribute(attribute)?;
            Some(self.hasher.hash_one(name))
        })
    }

    /// Names the proxies that a packet came through.
    fn proxies(&self, packet: &RadiusPacket<'_>) -> Option<u64> {
        let states: Vec<_> = packet.whole_values(Attribute::ProxyState).collect();
        (!packet.is_cut && !states.is_empty()).then(|| self.hasher.hash_one(states))
    }

    /// Names a packet, with all of its content: broken clients use one authenticator for all requests.
    fn digest(&self, hop: &Hop, packet: &RadiusPacket<'_>) -> u64 {
        self.hasher.hash_one((hop, packet))
    }

    /// Names the device that logs in, or else its user.
    fn station(&self, hop: &Hop, packet: &RadiusPacket<'_>) -> Option<u64> {
        let station = packet.whole_attribute(Attribute::CallingStationId);
        let station = station.or_else(|| packet.whole_attribute(Attribute::UserName))?;
        let hosts = [hop.client.0, hop.server.0];
        Some(self.hasher.hash_one((hosts, station)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS_REQUEST: u8 = 1;
    const ACCEPT: u8 = 2;
    const CHALLENGE: u8 = 11;

    fn hop(port: u16) -> Hop {
        Hop {
            client: ([1; 16], port),
            server: ([2; 16], 1812),
        }
    }

    /// A packet with a State and a Calling-Station-Id, each of one byte; 0 for none.
    fn packet(code: u8, identifier: u8, state: u8, station: u8) -> Vec<u8> {
        let mut attributes = Vec::new();
        for (attribute, value) in [(24, state), (31, station)] {
            if value != 0 {
                attributes.extend([attribute, 3, value]);
            }
        }
        let length = 20 + attributes.len() as u8;
        // Each request has random bytes of its own.
        let header = [code, identifier, 0, length];
        [&header[..], &[identifier ^ state; 16], &attributes].concat()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn find(table: &mut Conversations<char>, port: u16, bytes: &[u8], may_begin: bool) -> Found {
        let packet = RadiusPacket::read(bytes, bytes.len()).unwrap();
        table.find(&hop(port), &packet, may_begin, at(0))
    }

    fn begin(table: &mut Conversations<char>, port: u16, bytes: &[u8], value: char) -> usize {
        let packet = RadiusPacket::read(bytes, bytes.len()).unwrap();
        table.begin(&hop(port), &packet, at(0), value)
    }

    fn answer(table: &mut Conversations<char>, port: u16, bytes: &[u8]) -> Option<usize> {
        let packet = RadiusPacket::read(bytes, bytes.len()).unwrap();
        match table.answered(&hop(port), &packet, at(0)) {
            Answered::News(place) => Some(place),
            Answered::Repeated(_) | Answered::Copied | Answered::Unknown => None,
        }
    }

    #[test]
    fn a_copy_of_a_challenge_that_comes_late_does_not_bring_its_state_back() {
        let mut table = Conversations::default();
        let place = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 0), 'a');
        let challenge = packet(CHALLENGE, 1, 11, 0);
        assert_eq!(answer(&mut table, 5000, &challenge), Some(place));
        let next = packet(ACCESS_REQUEST, 2, 11, 0);
        assert_eq!(
            find(&mut table, 5000, &next, false),
            Found::Continued(place)
        );
        let second = packet(CHALLENGE, 2, 12, 0);
        assert_eq!(answer(&mut table, 5000, &second), Some(place));
        assert_eq!(answer(&mut table, 5000, &challenge), None);
        assert_eq!(answer(&mut table, 5000, &second), None);
        let last = packet(ACCESS_REQUEST, 3, 12, 0);
        assert_eq!(
            find(&mut table, 5000, &last, false),
            Found::Continued(place)
        );
    }

    #[test]
    fn a_copy_that_comes_when_its_login_has_gone_on_belongs_to_none() {
        let mut table = Conversations::default();
        let identity = packet(ACCESS_REQUEST, 0, 0, 7);
        assert_eq!(find(&mut table, 5000, &identity, true), Found::Unknown);
        let place = begin(&mut table, 5000, &identity, 'a');
        let next = |turn| packet(ACCESS_REQUEST, turn, turn, 7);
        let turns = 3 * RECENT as u8;
        for turn in 1..=turns {
            answer(&mut table, 5000, &packet(CHALLENGE, turn - 1, turn, 0));
            let continued = find(&mut table, 5000, &next(turn), false);
            assert_eq!(continued, Found::Continued(place));
        }
        assert_eq!(find(&mut table, 5000, &identity, true), Found::Copied);
        for turn in 1..turns {
            assert_eq!(find(&mut table, 5000, &next(turn), false), Found::Copied);
        }
        let last = find(&mut table, 5000, &next(turns), false);
        assert_eq!(last, Found::Repeated(place));
    }

    #[test]
    fn the_copy_of_an_answer_is_none_to_a_later_request_with_its_identifier() {
        let mut table = Conversations::default();
        begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let accept = packet(ACCEPT, 1, 9, 0);
        assert_eq!(answer(&mut table, 5000, &accept), Some(0));
        let again = [&packet(ACCESS_REQUEST, 1, 0, 8)[..4], &[9; 16], &[31, 3, 8]].concat();
        let second = begin(&mut table, 5000, &again, 'b');
        assert_eq!(answer(&mut table, 5000, &accept), None);
        let challenge = packet(CHALLENGE, 1, 22, 0);
        assert_eq!(answer(&mut table, 5000, &challenge), Some(second));
    }

    #[test]
    fn logins_between_the_same_ports_are_told_apart_by_identifier_and_state() {
        let mut table = Conversations::default();
        let first = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let second = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 2, 0, 8), 'b');
        assert_eq!(
            answer(&mut table, 5000, &packet(CHALLENGE, 2, 22, 0)),
            Some(second)
        );
        assert_eq!(
            answer(&mut table, 5000, &packet(CHALLENGE, 1, 11, 0)),
            Some(first)
        );
        let next = packet(ACCESS_REQUEST, 3, 11, 7);
        assert_eq!(
            find(&mut table, 5000, &next, false),
            Found::Continued(first)
        );
        assert_eq!(find(&mut table, 5000, &next, false), Found::Repeated(first));
        // From whatever port.
        let next = packet(ACCESS_REQUEST, 3, 22, 8);
        assert_eq!(
            find(&mut table, 5001, &next, false),
            Found::Continued(second)
        );
        assert_eq!(table.get_mut(second), Some(&mut 'b'));
    }

    #[test]
    fn a_state_of_another_hop_is_another_one() {
        let mut table = Conversations::default();
        begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        answer(&mut table, 5000, &packet(CHALLENGE, 1, 11, 0));
        let bytes = packet(ACCESS_REQUEST, 3, 11, 7);
        let next = RadiusPacket::read(&bytes, bytes.len()).unwrap();
        let elsewhere = Hop {
            client: ([3; 16], 5000),
            ..hop(5000)
        };
        assert_eq!(table.find(&elsewhere, &next, false, at(0)), Found::Unknown);
    }

    #[test]
    fn without_the_challenge_the_login_of_the_device_goes_on() {
        let mut table = Conversations::default();
        let place = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let next = packet(ACCESS_REQUEST, 2, 99, 7);
        assert_eq!(find(&mut table, 5000, &next, false), Found::Resumed(place));
        let another = packet(ACCESS_REQUEST, 3, 98, 8);
        assert_eq!(find(&mut table, 5000, &another, false), Found::Unknown);
        // The device logs in again.
        let again = packet(ACCESS_REQUEST, 4, 0, 7);
        assert_eq!(find(&mut table, 5000, &again, true), Found::Unknown);
    }

    #[test]
    fn an_identifier_that_is_used_again_is_another_request() {
        let mut table = Conversations::default();
        let first = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let again = [&packet(ACCESS_REQUEST, 1, 0, 8)[..4], &[9; 16], &[31, 3, 8]].concat();
        assert_eq!(find(&mut table, 5000, &again, true), Found::Unknown);
        let second = begin(&mut table, 5000, &again, 'b');
        assert_eq!(table.remove(first), Some('a'));
        assert_eq!(
            answer(&mut table, 5000, &packet(CHALLENGE, 1, 22, 0)),
            Some(second)
        );
    }

    #[test]
    fn a_challenge_joins_no_login_that_its_user_contradicts() {
        let mut table = Conversations::default();
        let first = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let second = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 2, 0, 8), 'b');
        answer(&mut table, 5000, &packet(CHALLENGE, 2, 21, 0));
        // The capture lacks the challenge to the first, and the request of the second with the same identifier.
        let challenge = packet(CHALLENGE, 1, 22, 0);
        assert_eq!(answer(&mut table, 5000, &challenge), Some(first));
        assert!(table.last_state(first).is_some());
        let next = packet(ACCESS_REQUEST, 3, 22, 8);
        assert_eq!(find(&mut table, 5000, &next, false), Found::Resumed(second));
        assert_eq!(table.last_state(first), None);
        let next = packet(ACCESS_REQUEST, 4, 33, 7);
        assert_eq!(find(&mut table, 5000, &next, false), Found::Resumed(first));
    }

    #[test]
    fn a_login_of_the_same_device_with_another_user_is_another_one() {
        let mut table = Conversations::default();
        let with_user = |identifier, state, user: u8| {
            let mut bytes = packet(ACCESS_REQUEST, identifier, state, 7);
            bytes.extend([1, 3, user]);
            bytes[3] += 3;
            bytes
        };
        begin(&mut table, 5000, &with_user(1, 0, b'a'), 'a');
        answer(&mut table, 5000, &packet(CHALLENGE, 1, 11, 0));
        for state in [11, 12] {
            let other = with_user(2, state, b'b');
            assert_eq!(find(&mut table, 5000, &other, false), Found::Unknown);
        }
    }

    #[test]
    fn a_request_has_one_answer() {
        let mut table = Conversations::default();
        let place = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let challenge = packet(CHALLENGE, 1, 11, 0);
        assert_eq!(answer(&mut table, 5000, &challenge), Some(place));
        for other in [packet(CHALLENGE, 1, 22, 0), packet(ACCEPT, 1, 9, 0)] {
            assert_eq!(answer(&mut table, 5000, &other), None);
        }
        let next = packet(ACCESS_REQUEST, 2, 11, 7);
        assert_eq!(
            find(&mut table, 5000, &next, false),
            Found::Continued(place)
        );
    }

    #[test]
    fn an_answer_that_a_login_did_not_go_on_with_belongs_to_another() {
        let mut table = Conversations::default();
        let place = begin(&mut table, 5000, &packet(ACCESS_REQUEST, 1, 0, 7), 'a');
        let next = packet(ACCESS_REQUEST, 2, 11, 7);
        assert_eq!(find(&mut table, 5000, &next, false), Found::Resumed(place));
        assert_eq!(answer(&mut table, 5000, &packet(ACCEPT, 1, 0, 0)), None);
        assert_eq!(answer(&mut table, 5000, &packet(CHALLENGE, 1, 22, 0)), None);
        // The challenge comes late.
        let late = packet(CHALLENGE, 1, 11, 0);
        assert_eq!(answer(&mut table, 5000, &late), Some(place));
    }

    #[test]
    fn an_answer_repeats_the_proxies_and_the_identifier_of_eap() {
        let with = |code, proxy: u8, eap: u8| {
            let mut bytes = packet(code, 1, 0, 0);
            bytes.extend([33, 3, proxy, 79, 6, 1, eap, 0, 4]);
            bytes[3] += 9;
            bytes
        };
        let answered = |bytes: &[u8]| {
            let mut table = Conversations::default();
            begin(&mut table, 5000, &with(ACCESS_REQUEST, 7, 20), 'a');
            answer(&mut table, 5000, bytes).is_some()
        };
        assert!(answered(&with(CHALLENGE, 7, 21)) && answered(&with(ACCEPT, 7, 20)));
        assert!(
            answered(&with(ACCEPT, 7, 21)),
            "servers that count on exist"
        );
        assert!(!answered(&with(CHALLENGE, 8, 21)) && !answered(&with(ACCEPT, 8, 20)));
        assert!(!answered(&with(CHALLENGE, 7, 20)) && !answered(&with(ACCEPT, 7, 22)));
        assert!(answered(&packet(ACCEPT, 1, 0, 0)), "without either");
    }

    #[test]
    fn the_quietest_is_the_first_to_go_and_leaves_nothing() {
        let mut table = Conversations::default();
        let minute = Duration::from_secs(60);
        for (station, name) in [(7, 'a'), (8, 'b')] {
            begin(
                &mut table,
                5000,
                &packet(ACCESS_REQUEST, station, 0, station),
                name,
            );
        }
        let bytes = packet(ACCESS_REQUEST, 7, 0, 7);
        let repeated = RadiusPacket::read(&bytes, bytes.len()).unwrap();
        table.find(&hop(5000), &repeated, true, at(30));
        assert_eq!(table.expired(at(59), minute), None);
        let quiet = table.expired(at(60), minute).unwrap();
        assert_eq!(table.remove(quiet), Some('b'));
        assert_eq!(table.expired(at(60), minute), None);
        let last = table.oldest().unwrap();
        assert_eq!(table.remove(last), Some('a'));
        assert_eq!(table.oldest(), None);
        assert!(table.is_empty() && table.requests.is_empty() && table.stations.is_empty());
    }

    #[test]
    fn a_login_holds_a_few_requests_and_one_state() {
        let mut table = Conversations::default();
        begin(&mut table, 5000, &packet(ACCESS_REQUEST, 0, 0, 7), 'a');
        for turn in 1..=200 {
            answer(&mut table, 5000, &packet(CHALLENGE, turn - 1, turn, 0));
            let next = packet(ACCESS_REQUEST, turn, turn, 7);
            assert_eq!(find(&mut table, 5000, &next, false), Found::Continued(0));
        }
        assert_eq!((table.requests.len(), table.states.len()), (RECENT, 1));
        assert_eq!(table.order.len(), 1);
    }
}
