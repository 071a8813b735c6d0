//! The packets of a run as a capture file (pcapng), with the secrets of its connections.
//!
//! A reader needs a secret before the packets that it decrypts, and a run learns its secrets last. So packets go to a
//! file of their own first, and [`Recording::copy_to`] writes the secrets before them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::save::{
    ENHANCED_PACKET, IF_NAME, IF_TSRESOL, INTERFACE_DESCRIPTION, SECTION_HEADER, SHB_USERAPPL,
    block, option,
};
use crate::capture::{Interface, PacketBatch};
use crate::stats::InterfaceHealth;
use crate::time::Timestamp;

/// Block type and type of secrets: draft-ietf-opsawg-pcapng, section 4.7.
const DECRYPTION_SECRETS: u32 = 10;
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Block type and options of an interface's statistics: sections 4.6 and 3.5.
const INTERFACE_STATISTICS: u32 = 5;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;
const ISB_OSDROP: u16 = 7;
const ISB_USRDELIV: u16 = 8;

/// Secrets in one block: readers refuse blocks that are too long, Wireshark those above 16 MiB.
const MAX_SECRETS: usize = 1 << 20;

/// A capture file that grows.
#[derive(Debug)]
pub struct Recording {
    file: BufWriter<File>,
    /// Bytes before the first packet.
    header: u64,
    written: u64,
    limit: u64,
    /// What is in the file, and what found it at its limit, of each interface.
    counts: Vec<Counts>,
    /// The block under way, kept for its buffer.
    body: Vec<u8>,
}

/// Packets of one interface.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    dropped: u64,
}

impl Recording {
    /// Starts a capture of `interfaces` in an empty `file`, which takes at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn start(file: File, interfaces: &[Interface], limit: u64) -> io::Result<Self> {
        let mut header = Vec::new();
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend([1, 0, 0, 0]); // version 1.0
        section.extend(u64::MAX.to_le_bytes()); // length of the section: not specified
        let program = concat!("tlscope ", env!("CARGO_PKG_VERSION"));
        option(&mut section, SHB_USERAPPL, program.as_bytes());
        block(&mut header, SECTION_HEADER, &section);
        for interface in interfaces {
            let mut body = Vec::new();
            body.extend((interface.link_type.0 as u16).to_le_bytes());
            body.extend([0; 6]); // reserved; no snap length
            let name = interface.name.as_ref().unwrap_or(&interface.source);
            option(&mut body, IF_NAME, name.as_bytes());
            option(&mut body, IF_TSRESOL, &[9]); // nanoseconds
            block(&mut header, INTERFACE_DESCRIPTION, &body);
        }
        let mut file = BufWriter::with_capacity(256 << 10, file);
        file.write_all(&header)?;
        let header = header.len() as u64;
        Ok(Self {
            file,
            header,
            written: header,
            limit,
            counts: vec![Counts::default(); interfaces.len()],
            body: Vec::new(),
        })
    }

    /// Appends the packets of a batch; drops and counts those beyond the limit.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn add(&mut self, batch: &PacketBatch) -> io::Result<()> {
        for packet in &batch.packets {
            let bytes = batch.bytes(packet);
            let padded = bytes.len().next_multiple_of(4);
            let length = (32 + padded) as u64;
            let Some(counts) = self.counts.get_mut(packet.interface as usize) else {
                continue; // none: a batch names the interfaces that the recording was started with
            };
            if self.written + length > self.limit {
                counts.dropped += 1;
                continue;
            }
            counts.packets += 1;
            let time = packet.timestamp.as_nanoseconds() as u64;
            self.body.clear();
            for field in [
                ENHANCED_PACKET,
                length as u32,
                packet.interface,
                (time >> 32) as u32,
                time as u32,
                bytes.len() as u32,
                packet.wire_length,
            ] {
                self.body.extend(field.to_le_bytes());
            }
            self.body.extend_from_slice(bytes);
            self.body.resize(28 + padded, 0);
            self.body.extend((length as u32).to_le_bytes());
            self.file.write_all(&self.body)?;
            self.written += length;
        }
        Ok(())
    }

    /// Packets in the file.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.counts.iter().map(|counts| counts.packets).sum()
    }

    /// Packets that found the file at its limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.iter().map(|counts| counts.dropped).sum()
    }

    /// Ends the capture with the statistics of its interfaces, which have their places in `meters`: readers learn from them
    /// how many packets are missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn end(&mut self, meters: &[InterfaceHealth], now: Timestamp) -> io::Result<()> {
        let time = now.as_nanoseconds() as u64;
        for (index, (counts, meter)) in self.counts.iter().zip(meters).enumerate() {
            // What this program dropped is the system's to a reader of the file.
            let dropped = meter.dropped_kernel + meter.dropped_queue + counts.dropped;
            let mut body = Vec::new();
            for field in [index as u32, (time >> 32) as u32, time as u32] {
                body.extend(field.to_le_bytes());
            }
            for (code, count) in [
                (ISB_IFDROP, meter.dropped_interface),
                (ISB_FILTERACCEPT, counts.packets + dropped),
                (ISB_OSDROP, dropped),
                (ISB_USRDELIV, counts.packets),
            ] {
                option(&mut body, code, &count.to_le_bytes());
            }
            let mut whole = Vec::new();
            block(&mut whole, INTERFACE_STATISTICS, &body);
            self.file.write_all(&whole)?;
        }
        self.file.flush()
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Copies the capture to `target`, with `secrets` (NSS key log format) before the packets.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn copy_to(mut self, target: &mut impl Write, secrets: &[u8]) -> io::Result<()> {
        self.file.flush()?;
        let mut file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        let mut source = BufReader::with_capacity(256 << 10, file);
        io::copy(&mut (&mut source).take(self.header), target)?;
        for part in parts(secrets) {
            let mut body = Vec::with_capacity(8 + part.len());
            body.extend(TLS_KEY_LOG.to_le_bytes());
            body.extend((part.len() as u32).to_le_bytes());
            body.extend(part);
            let mut whole = Vec::new();
            block(&mut whole, DECRYPTION_SECRETS, &body);
            target.write_all(&whole)?;
        }
        io::copy(&mut source, target)?;
        target.flush()
    }
}

/// `secrets` in runs of whole lines of at most [`MAX_SECRETS`] bytes; a line that is longer is no secret, and left out.
fn parts(secrets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = secrets;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let window = rest.get(..MAX_SECRETS).unwrap_or(rest);
            let end = window.iter().rposition(|byte| *byte == b'\n');
            let end = match end {
                Some(end) => end + 1,
                None if window.len() == rest.len() => rest.len(),
                None => {
                    let next = rest.iter().position(|byte| *byte == b'\n');
                    rest = rest
                        .get(next.map_or(rest.len(), |next| next + 1)..)
                        .unwrap_or_default();
                    continue;
                }
            };
            let (part, after) = rest.split_at(end);
            rest = after;
            return Some(part);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capture::{CaptureFiles, LinkType, PacketRecord, PacketSource};

    fn batch(count: u64) -> PacketBatch {
        let record = |number| PacketRecord {
            timestamp: Timestamp::from_seconds(1_772_366_400),
            number,
            interface: (number % 2) as u32,
            offset: 0,
            captured_length: 3,
            wire_length: 60,
        };
        PacketBatch {
            data: vec![1, 2, 3],
            packets: (1..=count).map(record).collect(),
            ..PacketBatch::default()
        }
    }

    fn recorded(limit: u64) -> Recording {
        let interface = |name: &str, link_type| Interface {
            link_type: LinkType(link_type),
            source: name.into(),
            name: None,
        };
        let path = std::env::temp_dir().join(format!("tlscope-{}-{limit}.rec", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let interfaces = [interface("lo", 1), interface("any", 276)];
        let mut recording = Recording::start(file.unwrap(), &interfaces, limit).unwrap();
        std::fs::remove_file(path).unwrap();
        recording.add(&batch(5)).unwrap();
        recording
    }

    #[test]
    fn a_copy_has_the_secrets_before_the_packets_of_all_interfaces() {
        let mut file = Vec::new();
        recorded(1 << 20)
            .copy_to(&mut file, b"CLIENT_RANDOM 00 11\n")
            .unwrap();
        let mut files = CaptureFiles::from_reader("x", io::Cursor::new(file));
        let mut batch = PacketBatch::default();
        let (mut packets, mut secrets) = (Vec::new(), Vec::new());
        while files.next_batch(&mut batch).unwrap() {
            for packet in &batch.packets {
                assert_eq!(batch.bytes(packet), [1, 2, 3]);
                let interface = &batch.interfaces[packet.interface as usize];
                packets.push((packet.number, interface.name.clone(), interface.link_type));
            }
            secrets.append(&mut batch.secrets);
        }
        assert!(files.take_problems().is_empty());
        assert_eq!(packets.len(), 5);
        let any: Option<Arc<str>> = Some("any".into());
        assert_eq!(packets[0], (1, any, LinkType(276)));
        assert_eq!(secrets.concat(), b"CLIENT_RANDOM 00 11\n");
    }

    #[test]
    fn packets_beyond_the_limit_are_dropped_and_counted() {
        let recording = recorded(250);
        assert!(recording.packets() > 0 && recording.dropped() > 0);
        assert_eq!(recording.packets() + recording.dropped(), 5);
        assert!(recording.written <= 250);
    }

    #[test]
    fn statistics_at_the_end_count_what_is_missing() {
        let mut recording = recorded(250);
        let (in_file, beyond_limit) = (recording.packets(), recording.dropped());
        let meter = |dropped_kernel, dropped_interface| InterfaceHealth {
            dropped_kernel,
            dropped_interface,
            ..InterfaceHealth::default()
        };
        let now = Timestamp::from_seconds(1_772_366_500);
        recording.end(&[meter(0, 0), meter(20, 3)], now).unwrap();
        let mut file = Vec::new();
        recording.copy_to(&mut file, b"").unwrap();
        let mut files = CaptureFiles::from_reader("x", io::Cursor::new(file));
        let mut batch = PacketBatch::default();
        let (mut packets, mut drops) = (0, Vec::new());
        while files.next_batch(&mut batch).unwrap() {
            packets += batch.packets.len() as u64;
            drops.append(&mut batch.drops);
        }
        assert!(files.take_problems().is_empty());
        assert_eq!(packets, in_file);
        let [drops] = &drops[..] else {
            panic!("{drops:?}");
        };
        assert_eq!((drops.packets, drops.at), (23 + beyond_limit, now));
    }

    #[test]
    fn secrets_are_split_at_the_ends_of_lines() {
        let line = [&vec![b'x'; 1000][..], b"\n"].concat();
        let text = line.repeat(3000);
        let split: Vec<_> = parts(&text).collect();
        assert!(split.len() > 2 && split.iter().all(|part| part.len() <= MAX_SECRETS));
        assert!(split.iter().all(|part| part.ends_with(b"\n")));
        assert_eq!(split.concat(), text);
        let endless = [&vec![b'x'; 2 * MAX_SECRETS][..], b"\nrest"].concat();
        assert_eq!(parts(&endless).collect::<Vec<_>>(), [b"rest"]);
    }
}
