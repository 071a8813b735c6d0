//! Requests and responses in turn, to both streams of TLS in order.
//!
//! The peer's stream is `Forward` here, the server's `Reverse`.
//!
//! # How does a missing packet show?
//!
//! A response names the request that it answers. If that request was not seen, the
//! capture lacks it; if a request follows another one that was not answered, the capture
//! lacks the response. Within a method, servers count their requests, so that one with
//! another number shows that both are missing. A flight that ends before its stated length lacks a fragment.
//! What a missing packet carried is not known, so the rest of its flight is left out,
//! too: the next flight begins with a record again.

use crate::flow::{Direction, PerDirection};
use crate::time::Timestamp;

use super::super::tcp::{Arrival, Chunk};
use super::packet::{EapCode, EapMethod, EapPacket, TlsFragment};

const PEER: Direction = Direction::Forward;
const SERVER: Direction = Direction::Reverse;

/// What an exchange hands to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EapDelivery<'a> {
    /// A method that carries TLS begins, and with it a handshake.
    Begin(EapMethod),
    /// A run of the stream of one side.
    Chunk(Direction, Chunk<'a>),
    /// The server had all of the peer's flight, and goes on with the method although it has nothing to say.
    Continued(Arrival),
}

/// The EAP packets of one conversation, in the order of the capture.
#[derive(Debug, Default)]
pub struct EapExchange {
    method: Option<EapMethod>,
    request: Option<LastRequest>,
    streams: PerDirection<FlightStream>,
}

#[derive(Clone, Copy, Debug)]
struct LastRequest {
    identifier: u8,
    is_answered: bool,
}

/// The stream of one side: flights, each in one fragment or more.
#[derive(Debug, Default)]
struct FlightStream {
    /// Where it ends so far, gaps included.
    end: u32,
    /// The flight of which more fragments are to come.
    open: Option<OpenFlight>,
    /// Whether the capture lacks packets behind what was delivered last.
    is_missing: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenFlight {
    /// Bytes still to come, if the length of the flight is known.
    rest: Option<u32>,
    /// Whether a fragment is missing, so that the others are left out.
    is_broken: bool,
}

/// The longest flight whose stated length is believed: chains of certificates take some kilobytes, and RFC 5216 §2.1.5 advises
/// servers to accept no more than 64 KiB.
const MAX_FLIGHT: u32 = 1 << 20;

/// How far the identifier of a late packet may be behind that of the last request: a login begins at any number, and takes a few dozen.
const FAR_BEHIND: u8 = 32;

/// Whether a server that counts its requests had sent the one with an identifier not long before that with the `last`.
#[must_use]
pub fn is_before(identifier: u8, last: u8) -> bool {
    (1..=FAR_BEHIND).contains(&last.wrapping_sub(identifier))
}

/// A gap whose length is not known. The next bytes begin a record.
const UNKNOWN_LENGTH: u32 = 1;

impl EapExchange {
    /// The method under way that carries TLS, or the last one that did.
    #[must_use]
    pub const fn method(&self) -> Option<EapMethod> {
        self.method
    }

    /// Whether `sender` has sent a part of a flight and not all of it.
    #[must_use]
    pub const fn is_amid_flight(&self, sender: Direction) -> bool {
        self.streams.0[sender as usize].open.is_some()
    }

    /// Whether the last request that was seen has been answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.request.is_none_or(|request| request.is_answered)
    }

    /// Whether the identifier is that of the last request, seen or answered.
    #[must_use]
    pub fn is_last(&self, identifier: u8) -> bool {
        self.request
            .is_some_and(|last| last.identifier == identifier)
    }

    /// Whether the identifier is that of a request not long before the last one: servers count up, so the packet comes late.
    #[must_use]
    pub fn is_behind(&self, identifier: u8) -> bool {
        self.request
            .is_some_and(|last| is_before(identifier, last.identifier))
    }

    /// Takes a request or a response. Repeated ones are no news.
    pub fn take(
        &mut self,
        packet: &EapPacket<'_>,
        (time, number): (Timestamp, u64),
        deliver: &mut impl FnMut(EapDelivery<'_>),
    ) {
        let sender = match packet.code {
            EapCode::Request => SERVER,
            EapCode::Response => PEER,
            EapCode::Success | EapCode::Failure => return,
        };
        let is_news = match sender {
            SERVER => self.note_request(packet.identifier),
            PEER => self.note_response(packet),
        };
        let Some(fragment) = packet.fragment().filter(|_| is_news) else {
            return;
        };
        if self.method != Some(packet.method) || fragment.is_start {
            self.begin(packet.method, deliver);
        }
        let at = self.arrival(sender, time, number);
        self.take_fragment(sender, fragment, packet.missing, at, deliver);
    }

    /// The place of a packet that ends the conversation: it comes behind all that both sides have sent.
    ///
    /// What the capture lacks in front of it is delivered first.
    pub fn end(
        &mut self,
        (time, number): (Timestamp, u64),
        deliver: &mut impl FnMut(EapDelivery<'_>),
    ) -> Arrival {
        if self.request.is_some_and(|request| !request.is_answered) {
            self.streams[PEER].is_missing = true;
        }
        for sender in Direction::BOTH {
            // The rest of a flight that was cut short was never sent: the capture does not lack it.
            if self.streams[sender].is_missing {
                self.settle(sender, deliver);
            }
        }
        self.arrival(SERVER, time, number)
    }

    /// Notes the identifier of a Success or Failure, which is that of the response before it (RFC 3748 §4.2).
    ///
    /// Servers that count on exist, so another one shows a gap only where the server had more of its flight to send.
    pub fn note_result(&mut self, identifier: u8) {
        let is_other = self
            .request
            .is_some_and(|last| last.identifier != identifier);
        if is_other && self.is_amid_flight(SERVER) {
            self.note_missing();
        }
    }

    /// Notes that the capture lacks packets of both sides.
    pub fn note_missing(&mut self) {
        for stream in self.streams.iter_mut() {
            stream.is_missing = true;
        }
    }

    /// Notes a request; false if it repeats the last one.
    fn note_request(&mut self, identifier: u8) -> bool {
        match self.request {
            Some(last) if last.identifier == identifier => return false,
            Some(last) => {
                self.streams[PEER].is_missing |= !last.is_answered;
                if self.method.is_some() && identifier != last.identifier.wrapping_add(1) {
                    self.note_missing();
                }
            }
            None => {}
        }
        self.request = Some(LastRequest {
            identifier,
            is_answered: false,
        });
        true
    }

    /// Notes a response; false if it repeats the last one.
    fn note_response(&mut self, packet: &EapPacket<'_>) -> bool {
        match &mut self.request {
            Some(last) if last.identifier == packet.identifier => {
                return !std::mem::replace(&mut last.is_answered, true);
            }
            // The request is missing, and so is what came before it, unless that is the last that was seen.
            Some(last) => {
                let is_next = packet.identifier == last.identifier.wrapping_add(1);
                self.streams[PEER].is_missing |= !last.is_answered || !is_next;
                self.streams[SERVER].is_missing = true;
            }
            // An authenticator asks for the identity itself, so the server is not seen to.
            None if packet.method == EapMethod::IDENTITY => {}
            None => self.streams[SERVER].is_missing = true,
        }
        self.request = Some(LastRequest {
            identifier: packet.identifier,
            is_answered: true,
        });
        true
    }

    fn begin(&mut self, method: EapMethod, deliver: &mut impl FnMut(EapDelivery<'_>)) {
        self.method = Some(method);
        self.streams = PerDirection::default();
        deliver(EapDelivery::Begin(method));
    }

    fn arrival(&self, sender: Direction, time: Timestamp, packet: u64) -> Arrival {
        Arrival {
            time,
            packet,
            end: self.streams[sender].end,
            acknowledged: Some(self.streams[sender.flip()].end),
        }
    }

    fn take_fragment(
        &mut self,
        sender: Direction,
        fragment: TlsFragment<'_>,
        missing: u16,
        at: Arrival,
        deliver: &mut impl FnMut(EapDelivery<'_>),
    ) {
        let length = fragment.bytes.len() as u32 + u32::from(missing);
        if fragment.is_start {
            return;
        }
        if length == 0 {
            // Between the fragments of the peer's flight it acknowledges one.
            if sender == SERVER && !self.is_amid_flight(PEER) && self.streams[PEER].end > 0 {
                self.settle(PEER, deliver);
                deliver(EapDelivery::Continued(at));
            }
            return;
        }
        // The flight of its peer is over.
        self.settle(sender.flip(), deliver);
        self.streams[sender].close_hole(sender, deliver);
        let acknowledged = Some(self.streams[sender.flip()].end);
        let stream = &mut self.streams[sender];
        let flight = stream.open.get_or_insert_with(|| OpenFlight {
            rest: match fragment.total {
                None if !fragment.is_more => Some(length),
                total => total.filter(|total| *total <= MAX_FLIGHT),
            },
            is_broken: false,
        });
        flight.rest = flight.rest.and_then(|rest| rest.checked_sub(length));
        if !flight.is_broken {
            stream.end = stream.end.wrapping_add(fragment.bytes.len() as u32);
            let end = stream.end;
            let at = Arrival {
                end,
                acknowledged,
                ..at
            };
            deliver(EapDelivery::Chunk(sender, Chunk::Bytes(fragment.bytes, at)));
        }
        if missing > 0 {
            stream.skip(u32::from(missing), sender, deliver);
        }
        if !fragment.is_more {
            stream.close_flight(sender, deliver);
        }
    }

    /// Delivers what the capture lacks of a side that will send nothing more of its flight.
    fn settle(&mut self, sender: Direction, deliver: &mut impl FnMut(EapDelivery<'_>)) {
        let stream = &mut self.streams[sender];
        stream.close_flight(sender, deliver);
        if std::mem::take(&mut stream.is_missing) {
            stream.skip(UNKNOWN_LENGTH, sender, deliver);
        }
    }
}

impl FlightStream {
    /// Delivers the packets that are missing in front of a fragment: the rest of the flight that is open, or an unknown part.
    fn close_hole(&mut self, sender: Direction, deliver: &mut impl FnMut(EapDelivery<'_>)) {
        if !std::mem::take(&mut self.is_missing) {
            return;
        }
        match &mut self.open {
            Some(flight) if flight.is_broken => {}
            Some(flight) => {
                flight.is_broken = true;
                let rest = flight.rest.unwrap_or(UNKNOWN_LENGTH).max(UNKNOWN_LENGTH);
                self.skip(rest, sender, deliver);
            }
            None => self.skip(UNKNOWN_LENGTH, sender, deliver),
        }
    }

    /// Ends the open flight, with a gap if it is not whole.
    fn close_flight(&mut self, sender: Direction, deliver: &mut impl FnMut(EapDelivery<'_>)) {
        let Some(flight) = self.open.take() else {
            return;
        };
        match flight.rest {
            Some(rest) if rest > 0 && !flight.is_broken => self.skip(rest, sender, deliver),
            _ => {}
        }
    }

    fn skip(&mut self, missing: u32, sender: Direction, deliver: &mut impl FnMut(EapDelivery<'_>)) {
        self.end = self.end.wrapping_add(missing);
        deliver(EapDelivery::Chunk(sender, Chunk::Gap(missing)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet of a script: what it is, its identifier, and its fragment.
    #[derive(Clone, Debug)]
    struct Scripted {
        code: u8,
        identifier: u8,
        flags: u8,
        total: Option<u32>,
        bytes: Vec<u8>,
    }

    impl Scripted {
        fn encode(&self) -> Vec<u8> {
            let length_flag = if self.total.is_some() { 0x80 } else { 0 };
            let mut body = vec![13, self.flags | length_flag];
            body.extend(self.total.iter().flat_map(|total| total.to_be_bytes()));
            body.extend(&self.bytes);
            let length = (body.len() as u16 + 4).to_be_bytes();
            [
                &[self.code, self.identifier, length[0], length[1]],
                &body[..],
            ]
            .concat()
        }
    }

    const REQUEST: u8 = 1;
    const RESPONSE: u8 = 2;

    /// The packets of a conversation in which both sides send flights in turn, the client first, in fragments of `size`.
    fn script(flights: &[Vec<u8>], size: usize) -> Vec<Scripted> {
        let mut packets = vec![packet(REQUEST, 1, START_FLAG, None, &[])];
        let mut identifier = 1;
        for (number, flight) in flights.iter().enumerate() {
            let is_client = number % 2 == 0;
            let is_end = number + 1 == flights.len();
            let fragments = flight.chunks(size).count();
            for (index, part) in flight.chunks(size).enumerate() {
                let is_last = index + 1 == fragments;
                let flags = if is_last { 0 } else { MORE_FLAG };
                let total = (index == 0 && !is_last).then_some(flight.len() as u32);
                if is_client {
                    packets.push(packet(RESPONSE, identifier, flags, total, part));
                    if !is_last {
                        identifier += 1;
                        packets.push(packet(REQUEST, identifier, 0, None, &[]));
                    }
                } else {
                    identifier += 1;
                    packets.push(packet(REQUEST, identifier, flags, total, part));
                    if !is_last || is_end {
                        packets.push(packet(RESPONSE, identifier, 0, None, &[]));
                    }
                }
            }
        }
        packets
    }

    const START_FLAG: u8 = 0x20;
    const MORE_FLAG: u8 = 0x40;

    fn packet(code: u8, identifier: u8, flags: u8, total: Option<u32>, bytes: &[u8]) -> Scripted {
        let bytes = bytes.to_vec();
        Scripted {
            code,
            identifier,
            flags,
            total,
            bytes,
        }
    }

    /// What was delivered of each side: bytes, and whether there was a gap.
    #[derive(Debug, Default, PartialEq)]
    struct Delivered {
        bytes: [Vec<u8>; 2],
        /// How many bytes came before the first gap.
        before_gap: [Option<usize>; 2],
        continued: usize,
        begun: usize,
    }

    fn deliver(packets: &[Scripted]) -> Delivered {
        let mut seen = Delivered::default();
        let mut take = |delivery: EapDelivery<'_>| match delivery {
            EapDelivery::Begin(_) => seen.begun += 1,
            EapDelivery::Continued(_) => seen.continued += 1,
            EapDelivery::Chunk(sender, Chunk::Bytes(bytes, _)) => {
                seen.bytes[sender as usize].extend(bytes);
            }
            EapDelivery::Chunk(sender, Chunk::Gap(_)) => {
                let side = sender as usize;
                seen.before_gap[side].get_or_insert(seen.bytes[side].len());
            }
        };
        let mut exchange = EapExchange::default();
        let at = (Timestamp::from_seconds(0), 1);
        for scripted in packets {
            let encoded = scripted.encode();
            let packet = EapPacket::read(&encoded).unwrap();
            exchange.take(&packet, at, &mut take);
        }
        exchange.end(at, &mut take);
        seen
    }

    fn flights() -> [Vec<u8>; 4] {
        [(0, 120), (1, 300), (2, 250), (3, 40)].map(|(first, length)| {
            (0..length)
                .map(|byte: u32| byte.wrapping_mul(7).wrapping_add(first) as u8)
                .collect()
        })
    }

    /// The streams of both sides, whole.
    fn streams(flights: &[Vec<u8>]) -> [Vec<u8>; 2] {
        [0, 1].map(|side| {
            flights
                .iter()
                .skip(side)
                .step_by(2)
                .flatten()
                .copied()
                .collect()
        })
    }

    #[test]
    fn flights_in_fragments_become_two_streams() {
        for size in [40, 100, 400] {
            let seen = deliver(&script(&flights(), size));
            assert_eq!(seen.bytes, streams(&flights()), "in fragments of {size}");
            assert_eq!(seen.before_gap, [None, None]);
            assert_eq!((seen.begun, seen.continued), (1, 0));
        }
    }

    #[test]
    fn a_repeated_packet_is_no_news() {
        let packets = script(&flights(), 100);
        let twice: Vec<_> = packets
            .iter()
            .flat_map(|one| [one.clone(), one.clone()])
            .collect();
        assert_eq!(deliver(&twice), deliver(&packets));
    }

    #[test]
    fn a_server_that_goes_on_without_a_word_has_the_whole_flight() {
        let flight = vec![5; 150];
        let mut packets = script(&[flight], 100);
        assert_eq!(
            deliver(&packets).continued,
            0,
            "an acknowledgment of a fragment"
        );
        packets.push(packet(REQUEST, 3, 0, None, &[]));
        packets.push(packet(RESPONSE, 3, 0, None, &[1]));
        assert_eq!(deliver(&packets).continued, 1);
    }

    #[test]
    fn a_method_that_is_asked_for_again_begins_again() {
        let [hello, ..] = flights();
        let mut packets = script(std::slice::from_ref(&hello), 400);
        packets.push(packet(REQUEST, 9, START_FLAG, None, &[]));
        packets.push(packet(RESPONSE, 9, 0, None, &hello));
        let seen = deliver(&packets);
        assert_eq!((seen.begun, seen.bytes[0].len()), (2, 2 * hello.len()));
    }

    #[test]
    fn a_stated_length_beyond_all_flights_is_not_believed() {
        let hostile = [
            packet(REQUEST, 1, START_FLAG, None, &[]),
            packet(RESPONSE, 1, MORE_FLAG, Some(u32::MAX), &[22]),
        ];
        let mut exchange = EapExchange::default();
        let mut gaps = Vec::new();
        let at = (Timestamp::from_seconds(0), 1);
        for scripted in &hostile {
            let encoded = scripted.encode();
            let packet = EapPacket::read(&encoded).unwrap();
            exchange.take(&packet, at, &mut |_| {});
        }
        assert!(exchange.is_amid_flight(PEER));
        exchange.end(at, &mut |delivery| {
            if let EapDelivery::Chunk(_, Chunk::Gap(missing)) = delivery {
                gaps.push(missing);
            }
        });
        assert_eq!(gaps, [0; 0]);
    }

    proptest! {
        /// What is delivered is the stream without some of its bytes, and nothing is missing without a gap, unless it is the end.
        #[test]
        fn losses_show_as_gaps(size in 30_usize..200, lost in proptest::collection::vec(any::<bool>(), 60)) {
            let packets = script(&flights(), size);
            let last = packets.len() - 1;
            let kept: Vec<_> = packets.iter().enumerate()
                .filter(|(index, _)| *index == 0 || *index == last || !lost[index % lost.len()])
                .map(|(_, packet)| packet.clone())
                .collect();
            let seen = deliver(&kept);
            for (side, whole) in streams(&flights()).iter().enumerate() {
                let known = seen.before_gap[side].unwrap_or(seen.bytes[side].len());
                prop_assert_eq!(&seen.bytes[side][..known], &whole[..known]);
                if seen.before_gap[side].is_none() && kept.len() == packets.len() {
                    prop_assert_eq!(known, whole.len());
                }
                let is_missing = seen.bytes[side].len() < whole.len();
                prop_assert!(!is_missing || seen.before_gap[side].is_some());
            }
        }
    }
}
