//! AMQP: a protocol header of eight bytes from each side. In AMQP 1.0, one of them stands for TLS (part 5, §5.2.1); AMQP 0-9-1
//! has none like it, and is spoken in TLS from the first byte.

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// `AMQP`, a protocol and its version.
const HEADER: usize = 8;
/// The protocol that stands for TLS.
const TLS: u8 = 2;

/// The headers of both sides.
#[derive(Debug, Default)]
pub(super) struct Amqp {
    headers: PerDirection<Gather>,
}

impl Amqp {
    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        let gathered = &mut self.headers[sender];
        let Some(header) = gathered.until(input, HEADER) else {
            return Turn::More;
        };
        let header = header.to_vec();
        gathered.clear();
        if !header.starts_with(b"AMQP") {
            return Turn::Settled;
        }
        let is_tls = header[4] == TLS;
        if sender == negotiation.client {
            if !is_tls {
                negotiation.continues(sender);
                return Turn::Settled;
            }
            negotiation.ask(StartTls::Amqp, "TLS in AMQP".to_owned());
        } else if is_tls {
            negotiation.accepted();
        } else {
            negotiation.refused(&header);
        }
        Turn::MayBegin
    }
}
