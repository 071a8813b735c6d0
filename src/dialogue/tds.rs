//! TDS, Microsoft SQL Server (MS-TDS §2.2.6.5, §3.2.5): both sides say in PRELOGIN messages whether they encrypt, and the TLS
//! handshake that follows is itself inside of packets of that type. TDS 8.0 is in TLS from the first byte.

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// Type, status, length with the header, process, number, and a zero.
const HEADER: usize = 8;
const PRELOGIN: u8 = 0x12;
/// What servers answer with.
const TABULAR: u8 = 0x04;
/// The option that says whether to encrypt, and the end of options.
const ENCRYPTION: u8 = 1;
const END: u8 = 0xff;
/// `ENCRYPT_OFF` encrypts the login alone, `ENCRYPT_ON` and `ENCRYPT_REQ` all, and `ENCRYPT_NOT_SUP` nothing.
const NOT_SUPPORTED: u8 = 2;
/// Bytes of a PRELOGIN message: six options of a few bytes, and an instance's name.
const MAX_PRELOGIN: usize = 300;

/// Where one direction is in its packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct TdsPackets {
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    known: usize,
    /// Bytes of the packet that have not come.
    missing: usize,
}

impl TdsPackets {
    /// Reads up to the payload of a packet; false if more bytes are needed.
    ///
    /// # Errors
    ///
    /// If the bytes are no packet of the kind that carries TLS.
    fn begin(&mut self, input: &mut &[u8]) -> Result<bool, NotTds> {
        while self.missing == 0 {
            let Some((first, rest)) = input.split_first() else {
                return Ok(false);
            };
            self.header[self.known] = *first;
            self.known += 1;
            *input = rest;
            if self.known < HEADER {
                continue;
            }
            self.known = 0;
            let length = usize::from(u16::from_be_bytes([self.header[2], self.header[3]]));
            if !matches!(self.header[0], PRELOGIN | TABULAR) || length < HEADER {
                return Err(NotTds);
            }
            self.missing = length - HEADER;
        }
        Ok(true)
    }

    /// Whether the next byte belongs to no packet that has begun.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.missing == 0 && self.known == 0
    }

    /// Takes the next bytes of one packet's payload from the front of `input`; `None` if there are none.
    ///
    /// # Errors
    ///
    /// If the bytes are no packet of the kind that carries TLS.
    pub fn payload<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<&'b [u8]>, NotTds> {
        if !self.begin(input)? || input.is_empty() {
            return Ok(None);
        }
        let (payload, rest) = input.split_at(self.missing.min(input.len()));
        self.missing -= payload.len();
        *input = rest;
        Ok(Some(payload))
    }

    /// Skips bytes that the capture does not have; false if a header may be among them.
    pub const fn skip(&mut self, bytes: usize) -> bool {
        if bytes <= self.missing {
            self.missing -= bytes;
            return true;
        }
        self.missing = 0;
        self.known = 0;
        false
    }
}

/// Bytes are no packet of TDS that carries TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTds;

/// The PRELOGIN messages of both sides.
#[derive(Debug, Default)]
pub(super) struct Tds {
    packets: PerDirection<TdsPackets>,
    options: PerDirection<Gather>,
    has_spoken: PerDirection<bool>,
    /// Whether the client can encrypt.
    is_asked: bool,
}

impl Tds {
    /// Bytes that tell: a header, and the first option, which is always the version's, with its place.
    pub(super) const DECISIVE: usize = 10;

    pub(super) fn may_begin(first: &[u8]) -> bool {
        let fits =
            |index: usize, rule: fn(u8) -> bool| first.get(index).is_none_or(|byte| rule(*byte));
        fits(0, |kind| kind == PRELOGIN)
            && fits(1, |status| status <= 1)
            && fits(2, |high| high <= 0x10)
            && fits(7, |window| window == 0)
            && fits(8, |option| option == 0)
            && fits(9, |high| high == 0)
    }

    /// Where both directions are in their packets, once TLS begins.
    pub(super) const fn packets(&self) -> PerDirection<TdsPackets> {
        self.packets
    }

    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        loop {
            let packets = &mut self.packets[sender];
            let is_new = packets.missing == 0;
            match packets.begin(input) {
                Ok(true) => {}
                Ok(false) => return Turn::More,
                Err(NotTds) => {
                    // A login without TLS.
                    negotiation.continues(negotiation.client);
                    return Turn::Settled;
                }
            }
            if is_new && self.has_spoken[sender] {
                return Turn::MayBegin; // with the payload
            }
            let Ok(Some(payload)) = packets.payload(input) else {
                return Turn::More;
            };
            if self.has_spoken[sender] {
                continue;
            }
            self.options[sender].until(&mut { payload }, MAX_PRELOGIN);
            if packets.missing == 0 {
                self.has_spoken[sender] = true;
                let value = encryption(self.options[sender].bytes());
                self.take_prelogin(sender, value, negotiation);
            }
        }
    }

    fn take_prelogin(
        &mut self,
        sender: Direction,
        encryption: Option<u8>,
        negotiation: &mut Negotiation,
    ) {
        let is_able = encryption.is_some_and(|value| value & 0x0f != NOT_SUPPORTED);
        if sender == negotiation.client {
            negotiation.speaks(StartTls::Tds);
            self.is_asked = is_able;
            if is_able {
                negotiation.ask(StartTls::Tds, "encryption in PRELOGIN".to_owned());
            }
        } else if self.is_asked {
            if is_able {
                negotiation.accepted();
            } else {
                negotiation.refused(b"ENCRYPT_NOT_SUP (2)");
            }
        } else {
            negotiation.offers(is_able);
        }
    }
}

/// The option that says whether to encrypt; each option is a type, a place and a length.
fn encryption(message: &[u8]) -> Option<u8> {
    for option in message.chunks_exact(5) {
        match *option {
            [END, ..] => return None,
            [ENCRYPTION, high, low, _, _] => {
                return message
                    .get(usize::from(high) << 8 | usize::from(low))
                    .copied();
            }
            _ => {}
        }
    }
    None
}
