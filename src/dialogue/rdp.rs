//! RDP (MS-RDPBCGR §2.2.1.1 and §2.2.1.2): a request for a connection of X.224 with the ways to protect it that the client knows,
//! and a confirmation with the server's choice. What follows in TLS (CredSSP) is encrypted.

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// TPKT, and the fixed part of X.224.
const FIXED: usize = 11;
/// The longest request: a cookie, and a correlation.
const MAX_MESSAGE: usize = 300;

/// Types of the negotiation's parts.
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const FAILURE: u8 = 3;
/// Ways without TLS: RDP's own encryption.
const STANDARD: u32 = 0;

/// The opening of a connection.
#[derive(Debug, Default)]
pub(super) struct Rdp {
    messages: PerDirection<Gather>,
}

impl Rdp {
    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        let gathered = &mut self.messages[sender];
        let Some(header) = gathered.until(input, 4) else {
            return Turn::More;
        };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] != 3 || !(FIXED..=MAX_MESSAGE).contains(&length) {
            return Turn::Settled;
        }
        let Some(message) = gathered.until(input, length) else {
            return Turn::More;
        };
        let rest = &message[FIXED..];
        let turn = if sender == negotiation.client {
            take_request(rest, negotiation)
        } else {
            take_answer(rest, negotiation)
        };
        gathered.clear();
        turn
    }
}

fn take_request(rest: &[u8], negotiation: &mut Negotiation) -> Turn {
    negotiation.speaks(StartTls::Rdp);
    // A cookie or a token for load balancers is a line.
    let line = memchr::memmem::find(rest, b"\r\n").map_or(0, |end| end + 2);
    let Some(protocols) = part(&rest[line..], REQUEST).filter(|protocols| *protocols != STANDARD)
    else {
        return Turn::Settled;
    };
    let name = if protocols & !1 == 0 {
        "TLS"
    } else {
        "TLS with CredSSP"
    };
    negotiation.ask(StartTls::Rdp, format!("{name} in RDP"));
    Turn::MayBegin
}

fn take_answer(rest: &[u8], negotiation: &mut Negotiation) -> Turn {
    if let Some(code) = part(rest, FAILURE) {
        let answer = format!("{} ({code})", failure_name(code));
        negotiation.refused(answer.as_bytes());
        return Turn::More;
    }
    match part(rest, RESPONSE) {
        Some(STANDARD) => negotiation.refused(b"PROTOCOL_RDP (0)"),
        None => negotiation.refused(b"no negotiation: RDP's own security"),
        Some(_) => {
            negotiation.accepted();
            return Turn::Over;
        }
    }
    negotiation.continues(negotiation.client); // the server has chosen for both
    Turn::Settled
}

/// The value of a part of the negotiation: type, flags, length and value.
fn part(rest: &[u8], kind: u8) -> Option<u32> {
    let [found, _, 8, 0, a, b, c, d] = rest.first_chunk::<8>()? else {
        return None;
    };
    (*found == kind).then(|| u32::from_le_bytes([*a, *b, *c, *d]))
}

/// MS-RDPBCGR §2.2.1.2.2.
const fn failure_name(code: u32) -> &'static str {
    match code {
        1 => "SSL_REQUIRED_BY_SERVER",
        2 => "SSL_NOT_ALLOWED_BY_SERVER",
        3 => "SSL_CERT_NOT_ON_SERVER",
        4 => "INCONSISTENT_FLAGS",
        5 => "HYBRID_REQUIRED_BY_SERVER",
        6 => "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
        _ => "failure",
    }
}
