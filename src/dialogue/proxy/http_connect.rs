//! HTTP CONNECT (RFC 9110 §9.3.6): a request and an answer, each with its header fields.

use crate::flow::{Direction, PerDirection};

use super::super::gather::Gather;
use super::super::negotiation::{MAX_TEXT, Negotiation, printable};
use super::super::speech::Turn;
use super::{Proxy, ProxyEndpoint, ProxyKind};

/// The first bytes.
pub(in super::super) const WORD: &[u8; 8] = b"CONNECT ";

/// Bytes of a line that are kept: a method, the longest host and port, and the version.
const MAX_LINE: usize = 300;

/// The requests to a proxy, and its answers.
#[derive(Debug, Default)]
pub(in super::super) struct HttpConnect {
    lines: PerDirection<Gather>,
    /// Whether header fields of the client follow.
    is_in_request: bool,
    answer: Answer,
}

/// Where the proxy's answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    Awaited,
    /// Header fields follow, and then the server's bytes.
    Accepted,
    /// Header fields follow, and then the answer.
    Interim,
    /// Header fields and content follow, up to the next request.
    Refused,
}

impl HttpConnect {
    pub(in super::super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        loop {
            let gathered = &mut self.lines[sender];
            let Some(line) = gathered.up_to(input, b'\n', MAX_LINE) else {
                return Turn::More;
            };
            let line = line.trim_ascii().to_vec();
            gathered.clear();
            if sender == negotiation.client {
                self.take_request(&line, negotiation);
                if line.is_empty() {
                    return Turn::MayBegin;
                }
            } else if self.take_answer(&line, negotiation) {
                return Turn::Over;
            }
        }
    }

    fn take_request(&mut self, line: &[u8], negotiation: &mut Negotiation) {
        if self.is_in_request {
            self.is_in_request = !line.is_empty();
            return;
        }
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target) = (words.next(), words.next());
        let is_http = words
            .next()
            .is_some_and(|version| version.starts_with(b"HTTP/"));
        let (Some(b"CONNECT"), Some(target), true) = (method, target, is_http) else {
            return;
        };
        self.is_in_request = true;
        self.answer = Answer::Awaited;
        negotiation.ask_proxy(format!("CONNECT {}", printable(target)));
        negotiation.proxy = Some(Box::new(Proxy {
            server: endpoint(target),
            ..Proxy::new(ProxyKind::HttpConnect)
        }));
    }

    /// Takes a line of the proxy; true if the way to the server begins behind it.
    fn take_answer(&mut self, line: &[u8], negotiation: &mut Negotiation) -> bool {
        match self.answer {
            Answer::Awaited => {
                self.answer = match status(line) {
                    Some(b'1') => Answer::Interim,
                    Some(b'2') => {
                        negotiation.accepted();
                        Answer::Accepted
                    }
                    Some(b'3'..=b'5') => {
                        negotiation.refused(&line[..line.len().min(MAX_TEXT)]);
                        Answer::Refused
                    }
                    _ => return false,
                };
            }
            Answer::Interim if line.is_empty() => self.answer = Answer::Awaited,
            Answer::Accepted => return line.is_empty(),
            Answer::Interim | Answer::Refused => {}
        }
        false
    }
}

/// The first digit of the status in an HTTP status line.
fn status(line: &[u8]) -> Option<u8> {
    let status = line.strip_prefix(b"HTTP/1.")?.get(2..)?;
    status.first().copied()
}

fn endpoint(target: &[u8]) -> Option<ProxyEndpoint> {
    let colon = memchr::memrchr(b':', target)?;
    let port = std::str::from_utf8(&target[colon + 1..]).ok()?;
    ProxyEndpoint::named(&target[..colon], port.parse().ok()?)
}
