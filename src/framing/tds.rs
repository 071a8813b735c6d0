//! TLS inside the packets of TDS (MS-TDS §3.2.5.2): those of the handshake. What follows it is records alone.
//!
//! Servers that encrypt the login alone go back to packets without TLS afterwards. These are no records, so nothing of them is
//! passed on.

use crate::decrypt::Keys;
use crate::dialogue::TdsPackets;
use crate::flow::{Direction, PerDirection};
use crate::transport::tcp::{Arrival, Chunk};

use super::Recipient;
use super::tls::TlsRecords;

/// The packets of both directions, and the records in them.
#[derive(Debug)]
pub(crate) struct TdsFraming {
    pub(super) records: TlsRecords,
    ways: PerDirection<Way>,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    packets: TdsPackets,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Packets with records in them.
    Packets,
    /// Records.
    Bare,
}

impl TdsFraming {
    /// Packets of which those in `packets` have begun.
    pub(super) fn new(packets: PerDirection<TdsPackets>, keys: &Keys) -> Self {
        let way = |packets| Way {
            packets,
            stage: Stage::Packets,
        };
        let PerDirection([forward, reverse]) = packets;
        Self {
            records: TlsRecords::new(keys),
            ways: PerDirection([way(forward), way(reverse)]),
        }
    }

    /// Takes the next chunk of one direction.
    pub(super) fn take(
        &mut self,
        sender: Direction,
        chunk: Chunk<'_>,
        recipient: &mut impl Recipient,
    ) {
        let Self { records, ways } = self;
        let way = &mut ways[sender];
        match chunk {
            Chunk::Bytes(bytes, arrival) if way.stage == Stage::Packets => {
                way.take(bytes, arrival, &mut |chunk| {
                    records.take(sender, chunk, recipient);
                });
            }
            Chunk::Gap(missing) => {
                way.packets.skip(missing as usize);
                records.take(sender, chunk, recipient);
            }
            Chunk::Bytes(..) => records.take(sender, chunk, recipient),
        }
    }
}

impl Way {
    fn take(&mut self, mut input: &[u8], arrival: Arrival, pass: &mut impl FnMut(Chunk<'_>)) {
        while let Some(first) = input.first() {
            // Types of records are other numbers than those of packets.
            if self.packets.is_between() && matches!(first, 20..=24) {
                self.stage = Stage::Bare;
                return pass(Chunk::Bytes(input, arrival));
            }
            match self.packets.payload(&mut input) {
                Ok(Some(payload)) => {
                    let here = arrival.ending_before(input.len() as u32);
                    pass(Chunk::Bytes(payload, here));
                }
                Ok(None) => {}
                Err(_) => {
                    self.stage = Stage::Bare;
                    return pass(Chunk::Bytes(input, arrival));
                }
            }
        }
    }
}
