//! PostgreSQL ("Frontend/Backend Protocol", "SSL Session Encryption"): a request of eight bytes, and an answer of one.

use crate::flow::Direction;

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// Codes in the place of a protocol version.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// Protocol 3.0, and its minor versions.
const MAJOR: u32 = 3;

/// Bytes of an error that are kept.
const MAX_ERROR: usize = 200;

/// What the client sends before it logs in.
#[derive(Debug, Default)]
pub(super) struct Postgresql {
    request: Gather,
    /// An answer that is an error, or a part of it.
    error: Gather,
    asked: Asked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Nothing,
    Tls,
    Gss,
}

impl Postgresql {
    /// Whether a connection may begin with a message that has no type: length and code, and in a startup message the name
    /// of a parameter. (Kafka's requests begin like that, too, but for the name.)
    pub(super) fn may_begin(first: &[u8]) -> bool {
        let Some((length, code)) = Self::header(first) else {
            return first.iter().zip([0, 0]).all(|(byte, zero)| *byte == zero);
        };
        match code {
            SSL | GSS => length == 8,
            code if code >> 16 == MAJOR => {
                let name = first.get(8);
                (9..10_000).contains(&length) && name.is_none_or(u8::is_ascii_lowercase)
            }
            _ => false,
        }
    }

    pub(super) fn is_decisive(first: &[u8]) -> bool {
        first.len() > 8 || matches!(Self::header(first), Some((_, SSL | GSS)))
    }

    fn header(first: &[u8]) -> Option<(u32, u32)> {
        let [a, b, c, d, e, f, g, h] = *first.first_chunk::<8>()?;
        let length = u32::from_be_bytes([a, b, c, d]);
        Some((length, u32::from_be_bytes([e, f, g, h])))
    }

    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        if sender != negotiation.client {
            return self.take_answer(input, negotiation);
        }
        let Some(request) = self.request.until(input, 8) else {
            return Turn::More;
        };
        let code = Self::header(request).map_or(0, |(_, code)| code);
        self.request.clear();
        match code {
            SSL => {
                self.asked = Asked::Tls;
                negotiation.ask(StartTls::Postgresql, "SSLRequest".to_owned());
                Turn::MayBegin
            }
            GSS => {
                self.asked = Asked::Gss;
                negotiation.speaks(StartTls::Postgresql);
                Turn::MayBegin
            }
            code if code >> 16 == MAJOR => {
                negotiation.speaks(StartTls::Postgresql);
                negotiation.continues(sender);
                Turn::Settled
            }
            _ => Turn::Settled,
        }
    }

    fn take_answer(&mut self, input: &mut &[u8], negotiation: &mut Negotiation) -> Turn {
        let Some(answer) = self.error.until(input, 1) else {
            return Turn::More;
        };
        match (answer[0], self.asked) {
            (b'S', Asked::Tls) => negotiation.accepted(),
            (b'N', Asked::Tls) => negotiation.refused(b"N"),
            (b'N', Asked::Gss) => {}
            (b'E', Asked::Tls) => {
                // Length and fields; a server older than 7.0 has a text alone.
                let Some(error) = self.error.until(input, 5) else {
                    return Turn::More;
                };
                let length = error[3..5]
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let Some(error) = self.error.until(input, (1 + length).clamp(5, MAX_ERROR)) else {
                    return Turn::More;
                };
                let mut fields = error[5..].split(|byte| *byte == 0);
                let message = fields.find_map(|field| field.strip_prefix(b"M"));
                negotiation.refused(message.unwrap_or(b"E"));
                return Turn::Settled;
            }
            // GSSAPI encrypts what follows, or it is no answer.
            _ => return Turn::Settled,
        }
        self.error.clear();
        self.asked = Asked::Nothing;
        Turn::MayBegin
    }
}
