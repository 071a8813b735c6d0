//! Packet filters, compiled by libpcap to BPF programs.

use std::mem;

use pcap::{BpfProgram, Capture, Linktype};

use crate::capture::{CaptureError, LinkType, PacketBatch, Problem};

/// An expression and the programs it was compiled to.
pub(super) struct CompiledFilter {
    expression: String,
    /// One program for each link layer seen; `None` if the expression does not compile for it.
    programs: Vec<(LinkType, Option<BpfProgram>)>,
    problems: Vec<Problem>,
}

impl CompiledFilter {
    pub(super) fn compile(expression: &str) -> Result<Self, CaptureError> {
        let mut first_reason = None;
        for link_type in USUAL_LINK_TYPES {
            match program(expression, link_type) {
                Ok(_) => return Ok(Self::new(expression)),
                Err(reason) => _ = first_reason.get_or_insert(reason),
            }
        }
        Err(CaptureError::Filter {
            expression: expression.to_owned(),
            reason: first_reason.unwrap_or_default(),
        })
    }

    fn new(expression: &str) -> Self {
        Self {
            expression: expression.to_owned(),
            programs: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn apply(&mut self, batch: &mut PacketBatch) -> u64 {
        let PacketBatch {
            data,
            packets,
            interfaces,
            ..
        } = batch;
        let before = packets.len();
        packets.retain(|packet| {
            let Some(interface) = interfaces.get(packet.interface as usize) else {
                return false;
            };
            let start = packet.offset as usize;
            let bytes = data.get(start..start + packet.captured_length as usize);
            let program = self.program(interface.link_type);
            program.is_some_and(|program| program.filter(bytes.unwrap_or_default()))
        });
        (before - packets.len()) as u64
    }

    pub(super) fn take_problems(&mut self) -> Vec<Problem> {
        mem::take(&mut self.problems)
    }

    /// The program for `link_type`, compiled on first use.
    fn program(&mut self, link_type: LinkType) -> Option<&BpfProgram> {
        let known = self.programs.iter().position(|(of, _)| *of == link_type);
        let index = known.unwrap_or_else(|| {
            self.add(link_type);
            self.programs.len() - 1
        });
        self.programs.get(index)?.1.as_ref()
    }

    fn add(&mut self, link_type: LinkType) {
        let program = program(&self.expression, link_type).map_err(|reason| {
            self.problems.push(Problem::warning(format!(
                "packet filter `{}` matches nothing on link type {}: {reason}",
                self.expression, link_type.0
            )));
        });
        self.programs.push((link_type, program.ok()));
    }
}

fn program(expression: &str, link_type: LinkType) -> Result<BpfProgram, String> {
    Capture::dead(Linktype(dlt(link_type)))
        .and_then(|capture| capture.compile(expression, true))
        .map_err(|error| match error {
            pcap::Error::PcapError(reason) => reason,
            other => other.to_string(),
        })
}

/// libpcap's DLT number for a link type. They differ where operating systems disagreed on DLT numbers.
fn dlt(link_type: LinkType) -> i32 {
    match link_type {
        LinkType(100) => 11, // RFC 1483 ATM
        LinkType(101) => 12, // raw IP
        LinkType(number) => i32::try_from(number).unwrap_or(i32::MAX),
    }
}

/// Link layers for which an expression is compiled before the first packet, to report
/// mistakes early: Ethernet, raw IP, Linux cooked v1 and v2, 802.11, and 802.11 with radiotap.
const USUAL_LINK_TYPES: [LinkType; 6] = [
    LinkType(1),
    LinkType(101),
    LinkType(113),
    LinkType(276),
    LinkType(105),
    LinkType(127),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capture::{Interface, PacketRecord};
    use crate::time::Timestamp;

    const ETHERNET: u32 = 1;
    const RAW_IP: u32 = 101;
    const USB: u32 = 189;

    /// An IPv4 packet with TCP destination port `port`.
    fn tcp(port: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2, 0xc0, 0]);
        packet.extend(port.to_be_bytes());
        packet.resize(40, 0);
        packet
    }

    fn on_ethernet(packet: Vec<u8>) -> Vec<u8> {
        [&[0; 12], &[0x08, 0x00][..], &packet].concat()
    }

    fn batch(packets: &[(u32, Vec<u8>)]) -> PacketBatch {
        let mut batch = PacketBatch::default();
        let link_types = [ETHERNET, RAW_IP, USB];
        batch.interfaces = Arc::from(link_types.map(|link_type| Interface {
            link_type: LinkType(link_type),
            source: "a.pcap".into(),
            name: None,
        }));
        for ((link_type, bytes), number) in packets.iter().zip(1..) {
            let interface = link_types.iter().position(|known| known == link_type);
            batch.packets.push(PacketRecord {
                timestamp: Timestamp::default(),
                number,
                interface: interface.unwrap() as u32,
                offset: batch.data.len() as u32,
                captured_length: bytes.len() as u32,
                wire_length: bytes.len() as u32,
            });
            batch.data.extend(bytes);
        }
        batch
    }

    fn numbers(batch: &PacketBatch) -> Vec<u64> {
        batch.packets.iter().map(|packet| packet.number).collect()
    }

    #[test]
    fn keeps_matching_packets_of_every_link_type() {
        let mut batch = batch(&[
            (ETHERNET, on_ethernet(tcp(443))),
            (ETHERNET, on_ethernet(tcp(80))),
            (RAW_IP, tcp(443)),
            (RAW_IP, tcp(80)),
            (RAW_IP, vec![]),
        ]);
        let mut filter = CompiledFilter::compile("tcp dst port 443").ok().unwrap();
        assert_eq!(filter.apply(&mut batch), 3);
        assert_eq!(numbers(&batch), [1, 3]);
        assert_eq!(filter.take_problems(), []);
    }

    #[test]
    fn an_expression_that_a_link_layer_does_not_support_is_reported_once_for_it() {
        let packets = [
            (ETHERNET, on_ethernet(tcp(443))),
            (USB, vec![0; 64]),
            (USB, vec![0; 64]),
        ];
        let mut filter = CompiledFilter::compile("ether[0] = 0").ok().unwrap();
        let mut filter_wlan = CompiledFilter::compile("wlan addr1 00:00:00:00:00:00")
            .ok()
            .unwrap();
        assert_eq!(filter.apply(&mut batch(&packets[..1])), 0);
        assert_eq!(filter_wlan.apply(&mut batch(&packets)), 3);
        let texts: Vec<String> = filter_wlan
            .take_problems()
            .into_iter()
            .map(|p| p.text)
            .collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].contains("matches nothing on link type 1: "),
            "{texts:?}"
        );
    }

    #[test]
    fn rejects_an_invalid_expression() {
        for expression in ["tcp port", "no such thing", "tcp\0"] {
            let error = CompiledFilter::compile(expression).err().unwrap();
            let CaptureError::Filter { reason, .. } = &error else {
                panic!("{error}");
            };
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn an_empty_expression_matches_everything() {
        let mut batch = batch(&[(ETHERNET, on_ethernet(tcp(443))), (USB, vec![1])]);
        let mut filter = CompiledFilter::compile("").ok().unwrap();
        assert_eq!(filter.apply(&mut batch), 0);
    }
}
