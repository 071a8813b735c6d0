//! Packet filters by libpcap.

use std::mem;

use pcap::{BpfProgram, Capture, Linktype};

use crate::capture::{CaptureError, LinkType, PacketBatch, Problem};

/// An expression and what it was compiled to.
pub(super) struct PacketFilter {
    expression: String,
    /// The program for each link layer met; `None` where the expression makes no sense.
    programs: Vec<(LinkType, Option<BpfProgram>)>,
    problems: Vec<Problem>,
}

impl PacketFilter {
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

    /// The program for `link_type`, compiled when first needed.
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

/// libpcap's own number for a link type: the two differ where systems disagreed on DLT numbers.
fn dlt(link_type: LinkType) -> i32 {
    match link_type {
        LinkType(100) => 11, // RFC 1483 ATM
        LinkType(101) => 12, // raw IP
        LinkType(number) => i32::try_from(number).unwrap_or(i32::MAX),
    }
}

/// Link layers that an expression is tried on before packets are seen: Ethernet,
/// raw IP, Linux cooked v1 and v2, 802.11, and 802.11 with radiotap.
const USUAL_LINK_TYPES: [LinkType; 6] = [
    LinkType(1),
    LinkType(101),
    LinkType(113),
    LinkType(276),
    LinkType(105),
    LinkType(127),
];
