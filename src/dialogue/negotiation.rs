//! What a dialogue has shown so far: whether TLS was offered, asked for, accepted or refused, and the proxies on the way.

use std::fmt;

use crate::flow::Direction;

use super::StartTls;
use super::proxy::Proxy;

/// Bytes of a request or an answer that are kept: enough for an answer that gives its reason.
pub(super) const MAX_TEXT: usize = 160;

/// A refusal of TLS, or of a way to the server, that stands in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol in which the client asked for TLS; `None` if a proxy refused to connect to the server.
    pub starttls: Option<StartTls>,
    /// The direction in which the client sends.
    pub client: Direction,
    /// What the client asked, as in `STARTTLS` or `CONNECT example.org:443`; safe for a terminal.
    pub request: String,
    /// The server's answer, safe for a terminal.
    pub answer: String,
    /// Whether the client went on in plain text.
    pub is_downgraded: bool,
}

/// As in `server refused STARTTLS: "454 TLS not available"`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request, answer, ..
        } = self;
        let server = if self.starttls.is_some() {
            "server"
        } else {
            "proxy"
        };
        write!(f, "{server} refused {request}: \"{answer}\"")?;
        if self.is_downgraded {
            write!(f, "; the client continued in plaintext")?;
        }
        Ok(())
    }
}

/// A dialogue in which TLS could have been negotiated, and did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untaken {
    /// The protocol.
    pub starttls: StartTls,
    /// Whether the server offered TLS; `None` if it was not asked for a list of what it offers, or the protocol has none.
    pub is_offered: Option<bool>,
    /// Whether the client asked for TLS, and the server accepted.
    pub is_accepted: bool,
    /// The direction in which the client sends.
    pub client: Direction,
}

/// As in `smtp without TLS: the server offered it, the client did not ask`.
impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match (self.is_accepted, self.is_offered) {
            (true, _) => "the server accepted it, the client did not begin",
            (false, Some(true)) => "the server offered it, the client did not ask",
            (false, Some(false)) => "the server did not offer it",
            (false, None) => "the client did not ask",
        };
        write!(f, "{} without TLS: {why}", self.starttls)
    }
}

/// What a dialogue has shown so far.
#[derive(Debug)]
pub(super) struct Negotiation {
    /// The direction in which the client sends.
    pub(super) client: Direction,
    /// The protocol, once the client has spoken it.
    starttls: Option<StartTls>,
    is_offered: Option<bool>,
    asked: Option<Asked>,
    is_accepted: bool,
    refusal: Option<Refusal>,
    was_refused: bool,
    /// The proxy that the connection goes through, or comes from.
    pub(super) proxy: Option<Box<Proxy>>,
}

/// A request that was not answered yet.
#[derive(Debug)]
struct Asked {
    /// `None` for a way through a proxy.
    starttls: Option<StartTls>,
    request: String,
}

impl Negotiation {
    pub(super) const fn new(client: Direction) -> Self {
        Self {
            client,
            starttls: None,
            is_offered: None,
            asked: None,
            is_accepted: false,
            refusal: None,
            was_refused: false,
            proxy: None,
        }
    }

    /// Notes that the client speaks a protocol in which TLS can be negotiated.
    pub(super) const fn speaks(&mut self, starttls: StartTls) {
        if self.starttls.is_none() {
            self.starttls = Some(starttls);
        }
    }

    /// Notes whether the server offers TLS. An offer counts, even if a later list lacks it.
    pub(super) fn offers(&mut self, is_offered: bool) {
        self.is_offered = Some(is_offered || self.is_offered == Some(true));
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes a request for TLS; `request` is the text for people, and safe for a terminal.
    pub(super) fn ask(&mut self, starttls: StartTls, request: String) {
        self.starttls = Some(starttls);
        self.ask_for(Some(starttls), request);
    }

    /// Takes a request to a proxy.
    pub(super) fn ask_proxy(&mut self, request: String) {
        self.ask_for(None, request);
    }

    fn ask_for(&mut self, starttls: Option<StartTls>, request: String) {
        self.refusal = None; // it asks again
        self.is_accepted = false;
        self.asked = Some(Asked { starttls, request });
    }

    /// Corrects the protocol of a request, as its answer shows it.
    pub(super) const fn correct(&mut self, starttls: StartTls) {
        if let Some(asked) = &mut self.asked {
            asked.starttls = Some(starttls);
            self.starttls = Some(starttls);
        }
    }

    pub(super) fn accepted(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.is_accepted = asked.starttls.is_some();
        }
    }

    /// Takes a refusal; `answer` is as the server wrote it.
    pub(super) fn refused(&mut self, answer: &[u8]) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.was_refused = true;
        self.refusal = Some(Refusal {
            starttls: asked.starttls,
            client: self.client,
            request: asked.request,
            answer: printable(answer),
            is_downgraded: false,
        });
    }

    /// Takes bytes of the client that are no request for TLS: after a refusal, it goes on without.
    ///
    /// A client of a proxy does not: it repeats its request, with credentials, or leaves.
    pub(super) fn continues(&mut self, sender: Direction) {
        if let Some(refusal) = &mut self.refusal
            && refusal.client == sender
        {
            refusal.is_downgraded = refusal.starttls.is_some();
        }
    }

    pub(super) fn is_downgraded(&self) -> bool {
        let refusal = self.refusal.as_ref();
        refusal.is_some_and(|refusal| refusal.is_downgraded)
    }

    pub(super) const fn was_refused(&self) -> bool {
        self.was_refused
    }

    pub(super) const fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    pub(super) const fn starttls(&self) -> Option<StartTls> {
        self.starttls
    }

    /// What is to be reported if TLS has not begun by the end; `None` if it was refused, or if the answer is not in view.
    pub(super) fn untaken(&self) -> Option<Untaken> {
        let untaken = Untaken {
            starttls: self.starttls?,
            is_offered: self.is_offered,
            is_accepted: self.is_accepted,
            client: self.client,
        };
        (!self.was_refused && self.asked.is_none()).then_some(untaken)
    }

    /// Whether nothing that was seen forbids TLS to begin now: the last request was accepted.
    pub(super) const fn is_through(&self) -> bool {
        self.asked.is_none()
            && (self.is_accepted || self.starttls.is_none() && self.proxy.is_some())
    }

    /// Bytes of memory that its texts may take.
    pub(super) const MOST_TEXT: usize = 3 * MAX_TEXT;
}

/// The beginning of a text, safe for a terminal.
pub(super) fn printable(text: &[u8]) -> String {
    let end = text.len().min(MAX_TEXT);
    let escaped = text[..end].escape_ascii().to_string();
    escaped.replace("\\'", "'") // harmless, and common in answers
}
