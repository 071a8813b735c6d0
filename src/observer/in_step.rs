//! A connection that carries something else than TLS, and whose segments come one after the other.
//!
//! There are many of those, and nearly all of their segments say nothing: each goes on where its direction has come to, acknowledges
//! what came the other way, and holds no hello. What tells so fits next to the key of the connection. The flow itself, which knows more
//! and lies elsewhere in memory, learns of them together, before it is looked at again.

use crate::decode::{SeqNumber, UsualSegment};
use crate::dialogue;
use crate::tls::is_hello_amid_stream;

/// How far both ways of a connection have come, and what the next segments may be to say nothing.
///
/// A way is up or down (see [`crate::flow::FlowKey::new`]), in this order wherever there is one value for each: a packet says that at
/// once, and the direction only together with the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InStep {
    /// Behind the last byte that was sent.
    pub(super) reach: [SeqNumber; 2],
    /// The largest window announced, without its scale.
    pub(super) windows: [u16; 2],
    /// Bytes that may still be sent while they are read in order; fewer if they are many, and none while the flow itself has to read them.
    pub(super) room: u16,
    /// As [`dialogue::Dialogue::quiet_runs`].
    pub(super) quiet_runs: u8,
    /// Which ways have sent more than is read in order.
    pub(super) over: Over,
}

/// Neither way, or some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Over {
    Neither = 0,
    Up = 1,
    Down = 2,
    Both = 3,
}

impl Over {
    pub(super) const fn of([up, down]: [bool; 2]) -> Self {
        match (up, down) {
            (false, false) => Self::Neither,
            (true, false) => Self::Up,
            (false, true) => Self::Down,
            (true, true) => Self::Both,
        }
    }

    #[inline(always)]
    pub(super) const fn has(self, way: usize) -> bool {
        self as u8 >> way & 1 != 0
    }
}

/// How far an acknowledgment may be behind all that was sent, where that is [`InStep::over`]: any window is as large, and so much was sent.
const MAX_UNACKNOWLEDGED: u32 = u16::MAX as u32;

impl InStep {
    /// The place of a way in what there is two of.
    #[inline(always)]
    pub(super) const fn way(goes_up: bool) -> usize {
        !goes_up as usize
    }

    /// Takes a segment without SYN, FIN and RST, in a packet with these `bytes`, if it says nothing. False, with nothing taken, if there
    /// may be more to it.
    ///
    /// What [`super::flow::Flow::passes_by`] would do with such a segment is done here.
    #[inline(always)]
    pub(super) fn take<'p>(
        &mut self,
        segment: &UsualSegment,
        bytes: impl FnOnce() -> &'p [u8],
    ) -> bool {
        let peer = 1 - Self::way(segment.goes_up);
        let unacknowledged = self.unacknowledged(segment);
        (unacknowledged == 0 || unacknowledged <= MAX_UNACKNOWLEDGED && self.over.has(peer))
            && self.take_next(segment, |in_step, own| {
                in_step.take_data(own, segment, bytes)
            })
    }

    /// The same while the first bytes are still collected: then the dialogue reads them by `take_data`.
    pub(super) fn take_opening(
        &mut self,
        segment: &UsualSegment,
        take_data: impl FnOnce() -> bool,
    ) -> bool {
        self.unacknowledged(segment) == 0
            && self.take_next(segment, |in_step, own| {
                let takes = take_data();
                if takes {
                    in_step.reach[own] = in_step.reach[own].after(segment.wire_length.into());
                }
                takes
            })
    }

    /// The same where a segment acknowledges less than was sent, as most do in a train of segments that come the other way, given the
    /// numbers of the `first_bytes` of both ways, as far as they are known.
    pub(super) fn take_behind<'p>(
        &mut self,
        segment: &UsualSegment,
        first_bytes: [Option<SeqNumber>; 2],
        bytes: impl FnOnce() -> &'p [u8],
    ) -> bool {
        let peer = 1 - Self::way(segment.goes_up);
        // The number before the first byte is that of the SYN. Any window is larger than what may be unacknowledged here.
        let most = match first_bytes[peer] {
            Some(first) => self.reach[peer]
                .since(first)
                .cast_unsigned()
                .saturating_add(1),
            None => MAX_UNACKNOWLEDGED,
        };
        self.unacknowledged(segment) <= most.min(MAX_UNACKNOWLEDGED)
            && self.take_next(segment, |in_step, own| {
                in_step.take_data(own, segment, bytes)
            })
    }

    /// Bytes of the other way that a segment does not acknowledge.
    #[inline(always)]
    fn unacknowledged(&self, segment: &UsualSegment) -> u32 {
        let peer = 1 - Self::way(segment.goes_up);
        self.reach[peer].0.wrapping_sub(segment.acknowledgment().0)
    }

    /// Takes a segment whose acknowledgment number is one that its peer takes, if it has one; `take_data` takes its bytes.
    #[inline(always)]
    fn take_next(
        &mut self,
        segment: &UsualSegment,
        take_data: impl FnOnce(&mut Self, usize) -> bool,
    ) -> bool {
        let own = Self::way(segment.goes_up);
        if self.reach[own] != segment.sequence() || !segment.has_acknowledgment() {
            return false;
        }
        if segment.wire_length > 0 && !take_data(self, own) {
            return false;
        }
        let window = &mut self.windows[own];
        *window = segment.window().max(*window);
        true
    }

    /// Takes bytes that say nothing.
    #[inline(always)]
    fn take_data<'p>(
        &mut self,
        own: usize,
        segment: &UsualSegment,
        bytes: impl FnOnce() -> &'p [u8],
    ) -> bool {
        let length = segment.wire_length;
        if !self.over.has(own) && length > self.room {
            return false;
        }
        let payload = segment.payload().of(bytes());
        if self.over.has(own) {
            if is_hello_amid_stream(payload) {
                return false;
            }
        } else {
            if dialogue::may_hold_hello(payload, self.quiet_runs) {
                return false;
            }
            self.room -= length;
            self.quiet_runs = self
                .quiet_runs
                .saturating_add(u8::from(!payload.is_empty()));
        }
        self.reach[own] = self.reach[own].after(length.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::capture::{Interface, LinkType, PacketRecord};
    use crate::event::{Handshake, NotTls};
    use crate::observer::{Config, Observer};
    use crate::time::Timestamp;

    #[test]
    fn it_fits_next_to_a_key() {
        assert_eq!(size_of::<Option<InStep>>(), 16);
    }

    #[test]
    fn each_way_is_over_on_its_own() {
        for ways in [[false, false], [true, false], [false, true], [true, true]] {
            assert_eq!([0, 1].map(|way| Over::of(ways).has(way)), ways);
        }
    }

    /// What one side of a connection does next.
    #[derive(Clone, Debug)]
    enum Step {
        /// Sends so many bytes that are no records.
        Data(usize),
        /// Sends so many full segments.
        Bulk(usize),
        /// Acknowledges.
        Acknowledge,
        /// Acknowledges less than it has received.
        AcknowledgeLess(u32),
        /// Sends a byte of a keep-alive.
        Probe,
        /// Sends bytes that are not captured.
        Lose(u32),
        /// Sends something with a byte in it that may begin a record, and does not.
        Doubt,
        /// The same with two such bytes.
        MoreDoubt,
        /// The same at its end.
        DoubtAtEnd,
        /// Begins TLS.
        Hello,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (1..200usize).prop_map(Step::Data),
            3 => (1..60usize).prop_map(Step::Bulk),
            20 => Just(Step::Acknowledge),
            4 => (1..3000u32).prop_map(Step::AcknowledgeLess),
            1 => Just(Step::Probe),
            1 => (1..2000u32).prop_map(Step::Lose),
            2 => Just(Step::Doubt),
            2 => Just(Step::MoreDoubt),
            1 => Just(Step::DoubtAtEnd),
            1 => Just(Step::Hello),
        ]
    }

    /// A hello as short as they get.
    fn hello() -> Vec<u8> {
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
        let length = body.len() as u8;
        [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
    }

    /// Two sides, and the IP packets that they send.
    #[derive(Default)]
    struct Script {
        next: [u32; 2],
        packets: Vec<Vec<u8>>,
    }

    impl Script {
        fn send(&mut self, side: usize, flags: &str, acknowledgment: u32, payload: &[u8]) {
            let ends = [([10, 0, 0, 1], 50_000), ([10, 0, 0, 2], 7_000)];
            let ((source, from), (destination, to)) = (ends[side], ends[1 - side]);
            let window = 1_000 + (self.packets.len() % 7) as u16;
            let tcp = PacketBuilder::ipv4(source, destination, 64);
            let mut tcp = tcp.tcp(from, to, self.next[side], window);
            for flag in flags.chars() {
                tcp = match flag {
                    'S' => tcp.syn(),
                    'F' => tcp.fin(),
                    _ => tcp.ack(acknowledgment),
                };
            }
            let mut packet = Vec::new();
            tcp.write(&mut packet, payload).unwrap();
            self.packets.push(packet);
            let numbers = payload.len() + flags.matches(['S', 'F']).count();
            self.next[side] = self.next[side].wrapping_add(numbers as u32);
        }

        fn take(&mut self, side: usize, step: &Step) {
            let peer = self.next[1 - side];
            match step {
                Step::Data(length) => self.send(side, "A", peer, &vec![b'x'; *length]),
                Step::Bulk(count) => {
                    for _ in 0..*count {
                        self.send(side, "A", peer, &[b'y'; 1_400]);
                    }
                }
                Step::Acknowledge => self.send(side, "A", peer, &[]),
                Step::AcknowledgeLess(less) => {
                    self.send(side, "A", peer.wrapping_sub(*less), &[]);
                }
                Step::Probe => {
                    self.next[side] = self.next[side].wrapping_sub(1);
                    self.send(side, "A", peer, b"p");
                }
                Step::Lose(length) => self.next[side] = self.next[side].wrapping_add(*length),
                Step::Doubt => self.send(side, "A", peer, b"some text\n\x16 and more"),
                Step::MoreDoubt => self.send(side, "A", peer, b"some text\n\x16\x03 and more"),
                Step::DoubtAtEnd => self.send(side, "A", peer, b"some text\n\x16"),
                Step::Hello => self.send(side, "A", peer, &hello()),
            }
        }
    }

    /// What an observer makes of packets that begin with this header.
    fn observe(
        link_type: LinkType,
        header: &[u8],
        packets: &[Vec<u8>],
    ) -> (Vec<Handshake>, Vec<NotTls>, u64) {
        let interface = Interface {
            link_type,
            source: Arc::from("test"),
            name: None,
        };
        let interfaces: Arc<[Interface]> = Arc::new([interface]);
        let mut observer = Observer::new(Config::default());
        let mut time = Timestamp::from_seconds(1_772_366_400);
        for (packet, number) in packets.iter().zip(1..) {
            let bytes = [header, packet].concat();
            time = time.saturating_add(Duration::from_millis(1));
            let record = PacketRecord {
                timestamp: time,
                number,
                interface: 0,
                offset: 0,
                captured_length: bytes.len() as u32,
                wire_length: bytes.len() as u32,
            };
            observer.handle_packet(&interfaces, &record, &bytes);
        }
        observer.finish();
        let stats = observer.stats();
        let counted = stats.segments_out_of_window + stats.connections;
        let handshakes = std::iter::from_fn(|| observer.poll_event()).collect();
        let plain = std::iter::from_fn(|| observer.poll_not_tls()).collect();
        (handshakes, plain, counted)
    }

    proptest! {
        /// Packets without Ethernet take the general path, where nothing passes by.
        #[test]
        fn what_passes_by_changes_nothing(
            first in [any::<u32>(), any::<u32>()],
            steps in proptest::collection::vec((0..2usize, step()), 1..120),
        ) {
            let mut script = Script { next: first, packets: Vec::new() };
            script.send(0, "S", 0, &[]);
            script.send(1, "SA", script.next[0], &[]);
            script.send(0, "A", script.next[1], &[]);
            for (side, step) in &steps {
                script.take(*side, step);
            }
            script.send(0, "FA", script.next[1], &[]);
            script.send(1, "FA", script.next[0], &[]);
            let ethernet = [2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0];
            let usual = observe(LinkType::ETHERNET, &ethernet, &script.packets);
            let general = observe(LinkType::RAW, &[], &script.packets);
            prop_assert_eq!(usual, general);
        }
    }
}
