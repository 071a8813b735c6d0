//! XMPP (RFC 6120 §5): elements of XML. Only tags are read, and their names.

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::Negotiation;
use super::speech::Turn;

/// Bytes of a tag that are kept: the names that matter are short.
const MAX_TAG: usize = 64;

/// A stream in both directions.
#[derive(Debug, Default)]
pub(super) struct Xmpp {
    tags: PerDirection<Tag>,
    /// Whether the first tag was that of a stream.
    is_stream: bool,
}

/// A tag, as far as it has come.
#[derive(Debug, Default)]
struct Tag {
    text: Gather,
    is_open: bool,
}

impl Xmpp {
    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        loop {
            let tag = &mut self.tags[sender];
            if !tag.is_open {
                if memchr::memchr(b'<', input).is_none() {
                    *input = &[];
                    return Turn::More;
                }
                tag.text.up_to(input, b'<', 0);
                tag.text.clear();
                tag.is_open = true;
            }
            let Some(text) = tag.text.up_to(input, b'>', MAX_TAG) else {
                return Turn::More;
            };
            tag.is_open = false;
            let text = text.to_vec();
            tag.text.clear();
            if let Some(turn) = self.take_tag(sender, &text, negotiation) {
                return turn;
            }
        }
    }

    /// Takes what is between `<` and `>`, and the latter.
    fn take_tag(
        &mut self,
        sender: Direction,
        tag: &[u8],
        negotiation: &mut Negotiation,
    ) -> Option<Turn> {
        let is = |name: &[u8]| {
            let rest = tag.strip_prefix(name);
            rest.is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
        };
        if !self.is_stream {
            self.is_stream = is(b"stream:stream");
            if self.is_stream {
                negotiation.speaks(StartTls::Xmpp);
            }
            return (!self.is_stream && !tag.starts_with(b"?xml")).then_some(Turn::Settled);
        }
        let is_client = sender == negotiation.client;
        if is_client && is(b"starttls") {
            negotiation.ask(StartTls::Xmpp, "STARTTLS".to_owned());
        } else if is_client && !(is(b"?xml") || is(b"stream:stream") || tag.starts_with(b"/")) {
            negotiation.continues(sender);
        } else if !is_client && negotiation.is_asked() {
            if is(b"proceed") {
                negotiation.accepted();
                return Some(Turn::MayBegin);
            } else if is(b"failure") {
                let answer = [b"<", tag].concat();
                negotiation.refused(&answer);
            }
        } else if !is_client {
            if is(b"starttls") {
                negotiation.offers(true);
            } else if is(b"stream:features") {
                negotiation.offers(false);
            }
        }
        None
    }
}
