//! Scripted peers on a virtual clock. Packets are made here; the test decides when, how often and in which order they
//! reach the observer.

use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use tlscope::capture::{Interface, LinkType, PacketBuffer, PacketRecord};
use tlscope::event::{Handshake, NotTls, Side};
use tlscope::observer::{Config, Observer};
use tlscope::stats::Stats;
use tlscope::time::Timestamp;

/// Ethernet, IPv4, TCP and payload.
#[derive(Clone)]
pub(crate) struct Packet(pub(super) Vec<u8>);

impl Packet {
    /// Any bytes of a frame.
    pub(crate) const fn of(frame: Vec<u8>) -> Self {
        Self(frame)
    }
}

/// A TCP connection. The test plays both ends.
///
/// Each method makes a packet, and assumes that it arrives.
#[derive(Clone)]
pub(crate) struct Peers {
    client_port: u16,
    /// The next sequence numbers: client, server.
    next: [u32; 2],
}

/// Control bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// What somebody else than the peers sends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forgery<'b> {
    pub(crate) flags: Flags,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: Option<u32>,
    pub(crate) bytes: &'b [u8],
}

impl Peers {
    pub(crate) const fn new(client_port: u16) -> Self {
        Self::with_initial(client_port, [1_000, 2_000])
    }

    /// With initial sequence numbers: client, server.
    pub(crate) const fn with_initial(client_port: u16, next: [u32; 2]) -> Self {
        Self { client_port, next }
    }

    /// The next sequence numbers: client, server.
    pub(crate) const fn positions(&self) -> [u32; 2] {
        self.next
    }

    /// Makes `side` repeat its last bytes, and its peer acknowledge none of them.
    pub(crate) const fn skip_back(&mut self, side: Side, bytes: u32) {
        self.next[side as usize] = self.next[side as usize].wrapping_sub(bytes);
    }

    pub(crate) fn syn(&mut self) -> Packet {
        let flags = Flags {
            syn: true,
            ..Flags::default()
        };
        self.segment(Side::Client, flags, &[])
    }

    pub(crate) fn syn_ack(&mut self) -> Packet {
        let flags = Flags {
            syn: true,
            ack: true,
            ..Flags::default()
        };
        self.segment(Side::Server, flags, &[])
    }

    /// Sends `bytes`, and acknowledges all that the peer has sent.
    pub(crate) fn says(&mut self, side: Side, bytes: &[u8]) -> Packet {
        self.segment(side, ACK, bytes)
    }

    pub(crate) fn acknowledges(&mut self, side: Side) -> Packet {
        self.segment(side, ACK, &[])
    }

    pub(crate) fn closes(&mut self, side: Side) -> Packet {
        let flags = Flags { fin: true, ..ACK };
        self.segment(side, flags, &[])
    }

    pub(crate) fn resets(&mut self, side: Side) -> Packet {
        let flags = Flags { rst: true, ..ACK };
        self.segment(side, flags, &[])
    }

    /// A TCP keep-alive: the byte before the next one.
    pub(crate) fn keeps_alive(&mut self, side: Side) -> Packet {
        self.says_again(side, 1, &[0])
    }

    /// Sends `bytes` again, beginning `back` bytes before the next one.
    pub(crate) fn says_again(&mut self, side: Side, back: u32, bytes: &[u8]) -> Packet {
        let next = self.next;
        self.next[side as usize] = next[side as usize].wrapping_sub(back);
        let packet = self.says(side, bytes);
        self.next = next;
        packet
    }

    /// A segment that neither end sent: it has the addresses and ports of `side`, and other numbers.
    pub(crate) fn forged(&self, side: Side, forgery: &Forgery<'_>) -> Packet {
        let mut stranger = Self {
            client_port: self.client_port,
            next: self.next,
        };
        let [own, peer] = [side as usize, side.peer() as usize];
        stranger.next[own] = forgery.sequence;
        stranger.next[peer] = forgery.acknowledgment.unwrap_or_default();
        let flags = Flags {
            ack: forgery.acknowledgment.is_some(),
            ..forgery.flags
        };
        stranger.segment(side, flags, forgery.bytes)
    }

    fn segment(&mut self, side: Side, flags: Flags, bytes: &[u8]) -> Packet {
        const CLIENT: [u8; 4] = [192, 0, 2, 1];
        const SERVER: [u8; 4] = [192, 0, 2, 10];
        let (us, them) = (side as usize, side.peer() as usize);
        let (from, to, ports) = match side {
            Side::Client => (CLIENT, SERVER, [self.client_port, 443]),
            Side::Server => (SERVER, CLIENT, [443, self.client_port]),
        };
        let mut builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from, to, 64)
            .tcp(ports[0], ports[1], self.next[us], 64_000);
        if flags.syn {
            builder = builder.syn();
        }
        if flags.ack {
            builder = builder.ack(self.next[them]);
        }
        if flags.fin {
            builder = builder.fin();
        }
        if flags.rst {
            builder = builder.rst();
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, bytes).unwrap();
        let taken = bytes.len() as u32 + u32::from(flags.syn) + u32::from(flags.fin);
        self.next[us] = self.next[us].wrapping_add(taken);
        Packet(packet)
    }
}

const ACK: Flags = Flags {
    syn: false,
    ack: true,
    fin: false,
    rst: false,
};

/// An observer and its clock.
pub(crate) struct Scene {
    observer: Observer,
    interfaces: Arc<[Interface]>,
    now: Timestamp,
    packets: u64,
    events: Vec<Handshake>,
    not_tls: Vec<NotTls>,
    /// The packets of the last event.
    retained: Option<Box<PacketBuffer>>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let ethernet = Interface {
            link_type: LinkType(1),
            source: "scene".into(),
            name: None,
        };
        Self {
            observer: Observer::new(config),
            interfaces: [ethernet].into(),
            now: Timestamp::from_seconds(1_800_000_000),
            packets: 0,
            events: Vec::new(),
            not_tls: Vec::new(),
            retained: None,
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(milliseconds));
    }

    /// Sets the clock back, as in a capture that was merged from several.
    pub(crate) fn step_back(&mut self, milliseconds: i64) {
        let nanoseconds = self.now.as_nanoseconds() - milliseconds * 1_000_000;
        self.now = Timestamp::from_nanoseconds(nanoseconds);
    }

    /// Delivers a packet to the observer.
    pub(crate) fn deliver(&mut self, Packet(bytes): &Packet) {
        self.packets += 1;
        let length = bytes.len() as u32;
        let record = PacketRecord {
            timestamp: self.now,
            number: self.packets,
            interface: 0,
            offset: 0,
            captured_length: length,
            wire_length: length,
        };
        self.observer
            .handle_packet(&self.interfaces, &record, bytes);
        self.poll();
    }

    /// Delivers packets to the observer, one each millisecond.
    pub(crate) fn play(&mut self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            self.wait(1);
            self.deliver(&packet);
        }
    }

    /// Packets were dropped somewhere before the observer.
    pub(crate) fn drop_packets(&mut self) {
        self.observer.handle_dropped_packets(self.now);
    }

    /// Tells the observer the time, without a packet.
    pub(crate) fn tick(&mut self) {
        self.observer.handle_timeout(self.now);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(report) = self.observer.poll_report() {
            self.events.push(report.event);
            self.retained = report.packets;
        }
        while let Some(event) = self.observer.poll_not_tls() {
            self.not_tls.push(event);
        }
    }

    /// The connections without TLS so far.
    pub(crate) fn not_tls(&self) -> &[NotTls] {
        &self.not_tls
    }

    /// Ends the capture, and returns the connections without TLS.
    pub(crate) fn end_with_not_tls(mut self) -> Vec<NotTls> {
        self.observer.finish();
        self.poll();
        assert_eq!(self.stats().not_tls, self.not_tls.len() as u64);
        self.not_tls
    }

    /// The events so far.
    pub(crate) fn events(&self) -> &[Handshake] {
        &self.events
    }

    /// Bytes held now, apart from tables.
    pub(crate) fn bytes_held(&self) -> u64 {
        self.observer.load().bytes_of_handshakes + self.segments_held()
    }

    /// Bytes of segments that wait.
    pub(crate) fn segments_held(&self) -> u64 {
        self.observer.load().bytes_of_segments
    }

    pub(crate) fn stats(&self) -> Stats {
        self.observer.stats()
    }

    /// Ends the capture, and returns all events.
    pub(crate) fn end(self) -> Vec<Handshake> {
        self.end_with_stats().0
    }

    /// Ends the capture, and returns all events and counters.
    pub(crate) fn end_with_stats(mut self) -> (Vec<Handshake>, Stats) {
        self.observer.finish();
        self.poll();
        let stats = self.stats();
        (self.events, stats)
    }

    /// Ends the capture, and returns the event of its only handshake.
    pub(crate) fn end_with_one(self) -> Handshake {
        self.end_with_packets().0
    }

    /// Ends the capture, and returns the event of its only handshake and the packets that were retained for it.
    pub(crate) fn end_with_packets(mut self) -> (Handshake, Option<Box<PacketBuffer>>) {
        self.observer.finish();
        self.poll();
        assert_eq!(self.events.len(), 1, "{:?}", self.events);
        (self.events.remove(0), self.retained)
    }
}
