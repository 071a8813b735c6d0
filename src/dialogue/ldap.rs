//! LDAP (RFC 4511): messages in BER. StartTLS is an extended operation (§4.14).

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// The name of the operation (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// Bytes of a message that are kept: a request for TLS, or its answer with a reason.
const MAX_KEPT: usize = 256;

/// Tags of operations (RFC 4511 §4.2 to §4.14).
const BIND_REQUEST: u8 = 0x60;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Messages in both directions.
#[derive(Debug, Default)]
pub(super) struct Ldap {
    messages: PerDirection<Message>,
    /// The number of the request for TLS, as it is written.
    asked: Option<[u8; 4]>,
}

/// A message, as far as it has come.
#[derive(Debug, Default)]
struct Message {
    kept: Gather,
    /// Bytes that have come and are not kept.
    skipped: usize,
}

impl Ldap {
    /// Whether a connection may begin with a message of LDAP: number 0 to 127, and a client's operation.
    pub(super) fn may_begin(first: &[u8]) -> bool {
        let Some((header, _)) = Self::header(first) else {
            return first.len() < 6; // the length has not come
        };
        let fits =
            |at: usize, rule: fn(u8) -> bool| first.get(header + at).is_none_or(|byte| rule(*byte));
        fits(0, |tag| tag == 2)
            && fits(1, |length| length == 1)
            && fits(3, |operation| {
                matches!(operation, BIND_REQUEST | SEARCH_REQUEST | EXTENDED_REQUEST)
            })
    }

    pub(super) fn is_decisive(first: &[u8]) -> bool {
        Self::header(first).is_some_and(|(header, _)| first.len() > header + 3)
    }

    /// The length of a message's header, and of its content; `None` if they have not come, or are none.
    fn header(message: &[u8]) -> Option<(usize, usize)> {
        let [0x30, length, rest @ ..] = message else {
            return None;
        };
        let bytes = match length {
            0..=0x7f => return Some((2, usize::from(*length))),
            0x81..=0x84 => rest.get(..usize::from(length & 0x7f))?,
            _ => return None,
        };
        let length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        Some((2 + bytes.len(), length))
    }

    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        while !input.is_empty() {
            let message = &mut self.messages[sender];
            let Some(start) = message.kept.until(input, 2) else {
                return Turn::More;
            };
            let (0x30, length @ (0..=0x7f | 0x81..=0x84)) = (start[0], start[1]) else {
                return Turn::Settled; // encrypted, or something else
            };
            let lengths = if length < 0x80 {
                0
            } else {
                usize::from(length & 0x7f)
            };
            let Some(start) = message.kept.until(input, 2 + lengths) else {
                return Turn::More;
            };
            let Some((header, content)) = Self::header(start) else {
                return Turn::Settled;
            };
            let whole = header.saturating_add(content);
            let kept = whole.min(MAX_KEPT);
            if message.kept.until(input, kept).is_none() {
                return Turn::More;
            }
            let rest = whole - kept - message.skipped;
            let skipped = rest.min(input.len());
            *input = &input[skipped..];
            message.skipped += skipped;
            if skipped < rest {
                return Turn::More;
            }
            let message = std::mem::take(message);
            let content = message.kept.bytes().get(header..).unwrap_or_default();
            if let Some(turn) = self.take_message(sender, content, negotiation) {
                return turn;
            }
        }
        Turn::More
    }

    fn take_message(
        &mut self,
        sender: Direction,
        content: &[u8],
        negotiation: &mut Negotiation,
    ) -> Option<Turn> {
        let [2, length, rest @ ..] = content else {
            return Some(Turn::Settled);
        };
        let number = rest.get(..usize::from(*length)).filter(|_| *length <= 4)?;
        let (operation, rest) = rest.get(usize::from(*length)..)?.split_first()?;
        let mut padded = [0; 4];
        padded[4 - number.len()..].copy_from_slice(number);
        if sender == negotiation.client {
            negotiation.speaks(StartTls::Ldap);
            match *operation {
                EXTENDED_REQUEST if memchr::memmem::find(rest, START_TLS).is_some() => {
                    self.asked = Some(padded);
                    negotiation.ask(StartTls::Ldap, "StartTLS".to_owned());
                }
                UNBIND_REQUEST => {}
                _ => negotiation.continues(sender),
            }
            return None;
        }
        if *operation != EXTENDED_RESPONSE || self.asked != Some(padded) {
            return None;
        }
        self.asked = None;
        let (code, reason) = result(rest)?;
        if code == 0 {
            negotiation.accepted();
            return Some(Turn::MayBegin);
        }
        let mut answer = format!("{} ({code})", result_name(code)).into_bytes();
        if !reason.is_empty() {
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(reason);
        }
        negotiation.refused(&answer);
        None
    }
}

/// The code of a result (RFC 4511 §4.1.9) and its diagnostic message; `response` begins with the length of the operation.
fn result(response: &[u8]) -> Option<(u8, &[u8])> {
    let (length, rest) = response.split_first()?;
    let lengths = if length & 0x80 == 0 {
        0
    } else {
        usize::from(length & 0x7f)
    };
    let [0x0a, 1, code, rest @ ..] = rest.get(lengths..)? else {
        return None;
    };
    // The name that matched, and the message.
    let text = |field: &'_ [u8]| -> Option<usize> {
        let [4, length @ 0..=0x7f, ..] = field else {
            return None;
        };
        Some(2 + usize::from(*length))
    };
    let message = text(rest).and_then(|matched| {
        let message = rest.get(matched..)?;
        message.get(2..text(message)?)
    });
    Some((*code, message.unwrap_or_default()))
}

/// RFC 4511 §4.1.9 and appendix A, as far as servers give them to StartTLS.
const fn result_name(code: u8) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        8 => "strongerAuthRequired",
        10 => "referral",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "result",
    }
}
