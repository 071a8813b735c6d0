//! Captures as packets that can be moved, cut and joined.

use crate::support::pcap::{Packet, Pcap};

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;

/// The peers of a connection, as bytes of addresses and ports: the client first.
type Connection = [Vec<u8>; 2];

/// A packet of Ethernet, with its TCP segment if it has one.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Microseconds since 1970.
    pub(super) time: u64,
    pub(super) bytes: Vec<u8>,
    /// What was on the wire: more than `bytes` if the snap length has cut it.
    pub(super) wire_length: usize,
    pub(super) segment: Option<Segment>,
}

/// Where the parts of a TCP segment are, and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Index of the connection in the capture.
    pub(super) connection: usize,
    pub(super) is_from_client: bool,
    is_ipv6: bool,
    ip: usize,
    tcp: usize,
    payload: usize,
    /// Where the payload ends: Ethernet may pad the frame.
    end: usize,
}

impl Frame {
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    pub(super) fn sequence(&self, segment: Segment) -> u32 {
        self.number(segment.tcp + 4)
    }

    pub(super) fn acknowledgment(&self, segment: Segment) -> u32 {
        self.number(segment.tcp + 8)
    }

    pub(super) fn flags(&self, segment: Segment) -> u8 {
        self.bytes[segment.tcp + 13]
    }

    pub(super) fn has_flag(&self, flags: u8) -> bool {
        self.segment
            .is_some_and(|segment| self.flags(segment) & flags != 0)
    }

    pub(super) fn payload(&self, segment: Segment) -> &[u8] {
        &self.bytes[segment.payload..segment.end]
    }

    /// Whether it only acknowledges.
    pub(super) fn is_pure_ack(&self) -> bool {
        self.segment
            .is_some_and(|segment| self.payload(segment).is_empty())
            && !self.has_flag(FIN | SYN | RST)
    }

    pub(super) fn is_from_client(&self) -> Option<bool> {
        Some(self.segment?.is_from_client)
    }

    /// The same headers around another payload; checksums stay as they are, as with offload.
    pub(super) fn with_payload(&self, sequence: u32, flags: u8, payload: &[u8]) -> Self {
        let mut segment = self.segment.expect("only segments have a payload");
        let mut bytes = self.bytes[..segment.payload].to_vec();
        bytes.extend_from_slice(payload);
        segment.end = bytes.len();
        let (at, length) = if segment.is_ipv6 {
            (segment.ip + 4, segment.end - segment.ip - 40)
        } else {
            (segment.ip + 2, segment.end - segment.ip)
        };
        bytes[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        bytes[segment.tcp + 4..segment.tcp + 8].copy_from_slice(&sequence.to_be_bytes());
        bytes[segment.tcp + 13] = flags;
        Self {
            time: self.time,
            wire_length: bytes.len(),
            bytes,
            segment: Some(segment),
        }
    }

    /// The same headers with other numbers, around another payload.
    pub(super) fn with_numbers(
        &self,
        sequence: u32,
        acknowledgment: u32,
        flags: u8,
        payload: &[u8],
    ) -> Self {
        let mut frame = self.with_payload(sequence, flags, payload);
        let at = frame.segment.expect("only segments have numbers").tcp + 8;
        frame.bytes[at..at + 4].copy_from_slice(&acknowledgment.to_be_bytes());
        frame
    }

    /// A frame at the same time with other bytes. Its segment can no longer be changed.
    pub(super) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self {
            time: self.time,
            wire_length: bytes.len(),
            bytes,
            segment: None,
        }
    }

    /// The same frame with an 802.1Q tag. Its segment can no longer be changed.
    pub(super) fn with_vlan(&self, id: u8) -> Self {
        let mut bytes = self.bytes.clone();
        bytes.splice(12..12, [0x81, 0, 0, id]);
        self.with_bytes(bytes)
    }
}

/// A capture of whole packets of Ethernet.
#[derive(Clone)]
pub(super) struct Capture {
    pub(super) frames: Vec<Frame>,
    pub(super) connections: usize,
}

impl Capture {
    /// Reads a pcap file; `None` if it has another format or link type, or if packets are cut.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        if file.get(20..24)? != 1_u32.to_le_bytes() {
            return None;
        }
        let mut connections = Vec::new();
        let frames: Option<Vec<_>> = Pcap::read(file)?
            .packets
            .into_iter()
            .map(|packet| frame(packet, &mut connections))
            .collect();
        Some(Self {
            frames: frames?,
            connections: connections.len(),
        })
    }

    /// The packets of each connection as a capture of their own.
    pub(super) fn by_connection(self) -> Vec<Self> {
        let mut captures = vec![
            Self {
                frames: Vec::new(),
                connections: 1,
            };
            self.connections
        ];
        for mut frame in self.frames {
            if let Some(segment) = &mut frame.segment {
                let connection = std::mem::take(&mut segment.connection);
                captures[connection].frames.push(frame);
            }
        }
        captures
    }

    /// As a pcap file.
    pub(super) fn to_pcap(&self) -> Vec<u8> {
        let mut pcap = Pcap::new(1);
        pcap.packets = self.frames.iter().map(packet).collect();
        pcap.to_bytes()
    }

    /// As a pcapng file with one interface for what clients send and one for all else.
    pub(super) fn to_pcapng(&self) -> Vec<u8> {
        let mut file = Vec::new();
        block(&mut file, 0x0a0d_0d0a, |body| {
            body.extend([0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
            body.extend([0xff; 8]);
        });
        for _ in 0..2 {
            block(&mut file, 1, |body| body.extend([1, 0, 0, 0, 0, 0, 4, 0]));
        }
        for frame in &self.frames {
            let interface = u32::from(frame.is_from_client() != Some(true));
            block(&mut file, 6, |body| {
                let fields = [
                    interface,
                    (frame.time >> 32) as u32,
                    frame.time as u32,
                    frame.bytes.len() as u32,
                    frame.wire_length as u32,
                ];
                body.extend(fields.into_iter().flat_map(u32::to_le_bytes));
                body.extend_from_slice(&frame.bytes);
            });
        }
        file
    }
}

/// Appends a block of pcapng.
fn block(file: &mut Vec<u8>, block_type: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    file.extend(block_type.to_le_bytes());
    file.extend(length);
    file.extend(body);
    file.extend(length);
}

fn packet(frame: &Frame) -> Packet {
    Packet {
        time: [
            (frame.time / 1_000_000) as u32,
            (frame.time % 1_000_000) as u32,
        ],
        wire_length: frame.wire_length as u32,
        bytes: frame.bytes.clone(),
    }
}

fn frame(packet: Packet, connections: &mut Vec<Connection>) -> Option<Frame> {
    let wire_length = packet.wire_length as usize;
    let [seconds, micros] = packet.time.map(u64::from);
    let segment = segment(&packet.bytes, connections);
    (wire_length == packet.bytes.len()).then_some(Frame {
        time: seconds * 1_000_000 + micros,
        bytes: packet.bytes,
        wire_length,
        segment,
    })
}

/// Finds the TCP segment of a frame without fragments and extension headers.
fn segment(bytes: &[u8], connections: &mut Vec<Connection>) -> Option<Segment> {
    let short = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let tag = if short(12)? == 0x8100 { 4 } else { 0 };
    let ip = 14 + tag;
    let (is_ipv6, addresses, width, tcp, end) = match short(12 + tag)? {
        0x0800 if short(ip + 6)? & 0x3fff == 0 && *bytes.get(ip + 9)? == 6 => {
            let header = usize::from(bytes[ip] & 15) * 4;
            let total = usize::from(short(ip + 2)?);
            (false, ip + 12, 4, ip + header, ip + total)
        }
        0x86dd if *bytes.get(ip + 6)? == 6 => {
            let length = usize::from(short(ip + 4)?);
            (true, ip + 8, 16, ip + 40, ip + 40 + length)
        }
        _ => return None,
    };
    let payload = tcp + usize::from(*bytes.get(tcp + 12)? >> 4) * 4;
    if payload > end || end > bytes.len() {
        return None;
    }
    let peer = |index: usize| {
        let address = &bytes[addresses + index * width..][..width];
        [address, &bytes[tcp + 2 * index..][..2]].concat()
    };
    let (sender, receiver) = (peer(0), peer(1));
    let known = connections.iter().position(|[client, server]| {
        (client == &sender && server == &receiver) || (client == &receiver && server == &sender)
    });
    let connection = known.unwrap_or_else(|| {
        let is_answer = bytes[tcp + 13] & (SYN | 0x10) == SYN | 0x10;
        connections.push(if is_answer {
            [receiver.clone(), sender.clone()]
        } else {
            [sender.clone(), receiver.clone()]
        });
        connections.len() - 1
    });
    Some(Segment {
        connection,
        is_from_client: connections[connection][0] == sender,
        is_ipv6,
        ip,
        tcp,
        payload,
        end,
    })
}
