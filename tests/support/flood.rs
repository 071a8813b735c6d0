//! Packets of very many connections.

use std::io::Write;

use tlscope::event::Side;

use super::pcap::Pcap;
use super::peers::{Packet, Peers};
use super::tls;

/// Packets of very many connections, written as a capture file: a microsecond apart, so that none times out.
pub(crate) struct Flood<'w> {
    capture: &'w mut dyn Write,
    connections: u32,
    microseconds: u32,
    /// Ordinary connections whose handshake is half done.
    ordinary: Vec<(Peers, u32)>,
}

impl<'w> Flood<'w> {
    pub(crate) fn new(capture: &'w mut dyn Write) -> Self {
        const ETHERNET: u32 = 1;
        capture.write_all(&Pcap::new(ETHERNET).to_bytes()).unwrap();
        Self {
            capture,
            connections: 0,
            microseconds: 0,
            ordinary: Vec::new(),
        }
    }

    /// A SYN of another connection.
    pub(crate) fn syn(&mut self) {
        let number = self.connect();
        let packet = Peers::new(port(number)).syn();
        self.write(packet, number);
    }

    /// The first bytes of another connection, of which nothing else is in view.
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        let number = self.connect();
        let mut peers = Peers::new(port(number));
        self.send(&mut peers, number, Side::Client, bytes);
    }

    /// A packet in which the client's address, and the two bytes at `varied`, are others each time.
    pub(crate) fn packet(&mut self, bytes: &[u8], varied: usize) {
        let number = self.connect();
        let mut bytes = bytes.to_vec();
        bytes[varied..varied + 2].copy_from_slice(&port(number).to_be_bytes());
        self.write(Packet(bytes), number);
    }

    /// Another connection: a hello, and the server's answer behind its own.
    pub(crate) fn answered(&mut self, answer: &[u8]) {
        let number = self.connect();
        let mut peers = self.open(number);
        self.send(&mut peers, number, Side::Client, &tls::client_hello());
        let flight = [&tls::server_hello_12()[..], answer].concat();
        self.send(&mut peers, number, Side::Server, &flight);
    }

    /// A connection whose client has an address of its own, and refuses the server with an alert.
    #[cfg(feature = "otel")] // for a test of metric series
    pub(crate) fn refused(&mut self, client: u16, [hello, flight, alert]: [&[u8]; 3]) {
        let number = u32::from(client) * PORTS + self.connect() % PORTS;
        let mut peers = self.open(number);
        self.send(&mut peers, number, Side::Client, hello);
        self.send(&mut peers, number, Side::Server, flight);
        self.send(&mut peers, number, Side::Client, alert);
        for side in [Side::Client, Side::Server] {
            let packet = peers.closes(side);
            self.write(packet, number);
        }
    }

    /// An ordinary connection, up to the server's flight.
    pub(crate) fn begin_ordinary(&mut self) {
        let number = self.connect();
        let mut peers = self.open(number);
        self.send(&mut peers, number, Side::Client, &tls::client_hello());
        self.send(&mut peers, number, Side::Server, &tls::server_flight_12());
        self.ordinary.push((peers, number));
    }

    /// The rest of all ordinary connections that have begun.
    pub(crate) fn end_ordinary(&mut self) {
        for (mut peers, number) in std::mem::take(&mut self.ordinary) {
            self.send(&mut peers, number, Side::Client, &tls::client_flight_12());
            self.send(&mut peers, number, Side::Server, &tls::finished_12());
            for side in [Side::Client, Side::Server] {
                let packet = peers.closes(side);
                self.write(packet, number);
            }
        }
    }

    const fn connect(&mut self) -> u32 {
        self.connections += 1;
        self.connections
    }

    fn open(&mut self, number: u32) -> Peers {
        let mut peers = Peers::new(port(number));
        let syn = peers.syn();
        self.write(syn, number);
        let syn_ack = peers.syn_ack();
        self.write(syn_ack, number);
        peers
    }

    fn send(&mut self, peers: &mut Peers, number: u32, side: Side, bytes: &[u8]) {
        for part in bytes.chunks(16 << 10) {
            let packet = peers.says(side, part);
            self.write(packet, number);
        }
    }

    /// Writes a packet of a connection, whose number is in the client's address.
    fn write(&mut self, Packet(mut bytes): Packet, number: u32) {
        const SOURCE: usize = 14 + 12;
        const SERVER: [u8; 4] = [192, 0, 2, 10];
        let network = u16::try_from(number / PORTS).unwrap();
        let is_from_server = bytes[SOURCE..SOURCE + 4] == SERVER;
        let client = SOURCE + if is_from_server { 4 } else { 0 };
        bytes[client] = 10;
        bytes[client + 1..client + 3].copy_from_slice(&network.to_be_bytes());
        self.microseconds += 1;
        let length = bytes.len() as u32;
        let time = [
            1_772_366_400 + self.microseconds / 1_000_000,
            self.microseconds % 1_000_000,
        ];
        for field in [time[0], time[1], length, length] {
            self.capture.write_all(&field.to_le_bytes()).unwrap();
        }
        self.capture.write_all(&bytes).unwrap();
    }
}

/// Ports that a client uses before the next one takes over.
const PORTS: u32 = 60_000;

const fn port(number: u32) -> u16 {
    (1_024 + number % PORTS) as u16
}
