//! Reads and writes little-endian pcap files.

/// A packet in a pcap file.
#[derive(Clone)]
pub(crate) struct Packet {
    /// Seconds and microseconds.
    pub(crate) time: [u32; 2],
    pub(crate) wire_length: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A pcap file.
#[derive(Clone)]
pub(crate) struct Pcap {
    header: [u8; 24],
    pub(crate) packets: Vec<Packet>,
}

const MAGIC: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];

impl Pcap {
    /// A file without packets, with times in microseconds.
    pub(crate) fn new(link_type: u32) -> Self {
        let mut header = [0; 24];
        header[..8].copy_from_slice(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        header[16..20].copy_from_slice(&65_535_u32.to_le_bytes()); // snap length
        header[20..].copy_from_slice(&link_type.to_le_bytes());
        Self {
            header,
            packets: Vec::new(),
        }
    }

    /// Reads a file; `None` if it has another format.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_first_chunk::<24>()?;
        if !header.starts_with(&MAGIC) {
            return None;
        }
        let mut packets = Vec::new();
        while let Some((record, behind)) = rest.split_first_chunk::<16>() {
            let number = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
            let length = behind.len().min(number(8) as usize);
            packets.push(Packet {
                time: [number(0), number(4)],
                wire_length: number(12),
                bytes: behind[..length].to_vec(),
            });
            rest = &behind[length..];
        }
        Some(Self {
            header: *header,
            packets,
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut file = self.header.to_vec();
        for packet in &self.packets {
            let captured = packet.bytes.len() as u32;
            for field in [packet.time[0], packet.time[1], captured, packet.wire_length] {
                file.extend(field.to_le_bytes());
            }
            file.extend_from_slice(&packet.bytes);
        }
        file
    }
}
