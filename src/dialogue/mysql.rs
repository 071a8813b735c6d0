//! MySQL and MariaDB ("Client/Server Protocol", "Protocol::SSLRequest"): the server greets with what it can do, and a client that
//! wants TLS answers with the beginning of its login.

use crate::flow::Direction;

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// `CLIENT_SSL`, in the capabilities of both sides.
const TLS: u16 = 1 << 11;
const CLIENT_PROTOCOL_41: u16 = 1 << 9;

/// Length, and number of the packet.
const HEADER: usize = 4;
/// Between the server's version and its capabilities: a thread, half a challenge, and a zero.
const BEFORE_CAPABILITIES: usize = 4 + 8 + 1;
/// Bytes of the greeting that are looked at: versions are shorter.
const MAX_GREETING: usize = 160;

/// The greeting and the client's answer.
#[derive(Debug, Default)]
pub(super) struct Mysql {
    greeting: Gather,
    answer: Gather,
}

impl Mysql {
    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        if sender != negotiation.client {
            return self.take_greeting(input, negotiation);
        }
        let Some(header) = self.answer.until(input, HEADER) else {
            return Turn::More;
        };
        let length = packet_length(header);
        // The request of protocol 4.1 and later, and the older one.
        if length != 32 && length != 5 {
            return Turn::Settled;
        }
        let Some(packet) = self.answer.until(input, HEADER + length) else {
            return Turn::More;
        };
        let capabilities = u16::from_le_bytes([packet[4], packet[5]]);
        let fits = (length == 32) == (capabilities & CLIENT_PROTOCOL_41 != 0);
        if capabilities & TLS == 0 || !fits {
            return Turn::Settled;
        }
        negotiation.ask(StartTls::Mysql, "SSLRequest".to_owned());
        negotiation.accepted(); // the server has no say
        Turn::Over
    }

    fn take_greeting(&mut self, input: &mut &[u8], negotiation: &mut Negotiation) -> Turn {
        if self.greeting.len() < MAX_GREETING {
            self.greeting.until(input, MAX_GREETING);
            if let Some(capabilities) = capabilities(self.greeting.bytes()) {
                // A client that needs TLS and is not offered it leaves without a word, so the greeting alone counts.
                negotiation.speaks(StartTls::Mysql);
                negotiation.offers(capabilities & TLS != 0);
            }
        }
        *input = &[];
        Turn::More
    }
}

/// The lower half of what the server can do, once it has come.
fn capabilities(greeting: &[u8]) -> Option<u16> {
    let version = greeting.get(HEADER + 1..)?;
    let end = memchr::memchr(0, version)?;
    let at = end + 1 + BEFORE_CAPABILITIES;
    Some(u16::from_le_bytes([
        *version.get(at)?,
        *version.get(at + 1)?,
    ]))
}

fn packet_length(header: &[u8]) -> usize {
    let bytes = header[..3].iter().rev();
    bytes.fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}
