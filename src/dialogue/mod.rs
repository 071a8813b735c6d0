//! What is spoken before TLS begins: STARTTLS, and other ways to negotiate TLS in plain text.
//!
//! A connection that begins with something else than TLS has a [`Dialogue`]. It reads both directions in order, and answers
//! each run of bytes with a [`DialogueStep`]. TLS may begin with any run of bytes, in the middle of one after a line of text or a
//! PROXY header, and its first bytes may come one by one. A dialogue also notices that TLS was asked for and
//! refused ([`Dialogue::refusal`]), and keeps the first bytes, to report a connection that never became TLS.
//!
//! Data of any kind comes by here, so a hello is recognised more strictly than at the beginning of a connection.

mod amqp;
mod gather;
mod ldap;
mod lines;
mod mysql;
mod negotiation;
mod opening_bytes;
mod postgresql;
mod proxy;
mod rdp;
mod speech;
mod tds;
mod xmpp;

use std::iter;
use std::num::NonZeroU32;

use crate::flow::{Direction, PerDirection};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{
    ContentType, HELLO_AMID_STREAM, is_hello_amid_stream, is_whole_client_hello,
    may_be_hello_amid_stream,
};

pub use negotiation::{Refusal, Untaken};
pub use opening_bytes::OpeningBytes;
pub use proxy::{Proxy, ProxyEndpoint, ProxyKind};
pub use tds::{NotTds, TdsPackets};

use gather::Gather;
use negotiation::Negotiation;
use speech::{Speech, Turn};

/// Bytes of each direction that are read in order. The longest dialogue before TLS that mail servers allow is
/// a few lines; LDAP and proxies may prepend a search or a header of some kilobytes.
pub const MAX_BYTES: u32 = 64 << 10;

/// Bytes of a run in which a hello may follow a line of text: a PROXY header of version 1 takes at most 107, pipelined
/// commands a few lines. A peer that sends more waits for an answer first, and the hello then begins a run.
const MAX_TEXT_BEFORE_HELLO: usize = 1 << 10;

/// The same in a connection without a known dialogue: a PROXY header in front of a request that is not its first.
const MAX_TEXT_WHILE_QUIET: usize = 256;

/// Runs of a connection without a known dialogue in which a hello is looked for behind lines of text. Later ones have to begin
/// with it, as they do where a client waits for the answer before it begins TLS.
const MAX_QUIET_RUNS: u8 = 32;

/// What a dialogue says after it has read a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogueStep {
    /// TLS may begin later.
    More,
    /// TLS begins so many bytes into the run.
    TlsBegins(usize),
    /// TLS began with the last bytes of earlier runs, which are in [`Dialogue::held`]; all of this run belongs to it.
    TlsBegan,
}

/// The dialogue of one connection. It takes little until the first bytes come.
#[derive(Debug, Default)]
pub struct Dialogue {
    conversation: Option<Box<Conversation>>,
    /// Whether a run without a hello has nothing to add to the conversation, so that most runs need not look at it.
    is_quiet: bool,
    /// Runs since then, as far as they are counted.
    quiet_runs: u8,
    /// The number of the file or interface that the connection came from, which is the owner's affair. It is here since there is room.
    pub source: Option<NonZeroU32>,
}

#[derive(Debug)]
struct Conversation {
    /// When its first byte came.
    start: Timestamp,
    opening: OpeningBytes,
    halves: PerDirection<Half>,
    /// `None` if the first bytes are of no protocol that negotiates TLS.
    talk: Option<Box<Talk>>,
    /// What was said of the run with which TLS began.
    begun: Option<DialogueStep>,
}

/// What is spoken, and what it has shown.
#[derive(Debug)]
struct Talk {
    speech: Speech,
    negotiation: Negotiation,
}

/// What is kept of one direction: the last bytes, where they may be the first of a hello.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    has_begun: bool,
    /// Whether it has sent something else than the beginning of a hello.
    has_spoken: bool,
    held: [u8; HELLO_AMID_STREAM - 1],
    held_length: u8,
}

impl Dialogue {
    /// Reads the next run of bytes of one direction, which came at `time`.
    ///
    /// To read the run with which TLS begins once more gives the same answer.
    pub fn take(&mut self, sender: Direction, bytes: &[u8], time: Timestamp) -> DialogueStep {
        if bytes.is_empty() {
            return DialogueStep::More;
        }
        if self.is_quiet {
            let place = self.search(bytes);
            self.quiet_runs = self.quiet_runs.saturating_add(1);
            match place {
                HelloPlace::At(start) => return DialogueStep::TlsBegins(start),
                HelloPlace::Nowhere => return DialogueStep::More,
                HelloPlace::MayBegin(_) => {}
            }
        }
        let conversation = self
            .conversation
            .get_or_insert_with(|| Box::new(Conversation::begin(sender, bytes, time)));
        let step = conversation.take(sender, bytes);
        self.is_quiet = conversation.is_quiet();
        step
    }

    /// Reads the next run of bytes if no hello can begin in it and nothing is negotiated, as in traffic that is not TLS; false, with
    /// nothing read, if there may be more to it.
    ///
    /// What [`Dialogue::take`] would do with such a run is done here, or is nothing.
    #[inline(always)]
    pub fn passes_by(&mut self, sender: Direction, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        if !self.is_quiet {
            return self.passes_by_the_opening(sender, bytes);
        }
        if may_hold_hello(bytes, self.quiet_runs) {
            return false;
        }
        self.quiet_runs = self.quiet_runs.saturating_add(1);
        true
    }

    /// The same while the first bytes are still collected.
    #[inline(never)]
    fn passes_by_the_opening(&mut self, sender: Direction, bytes: &[u8]) -> bool {
        let Some(conversation) = &mut self.conversation else {
            return false;
        };
        let passes_by = conversation.passes_by(sender, bytes);
        if passes_by {
            self.is_quiet = conversation.is_quiet();
        }
        passes_by
    }

    /// Looks for a hello in a run of a connection without a known dialogue.
    fn search(&self, bytes: &[u8]) -> HelloPlace {
        HelloPlace::find(searched(bytes, self.quiet_runs))
    }

    /// Whether all that is kept of the beginning is there, and nothing is awaited: then a run in which no hello
    /// [may be](may_hold_hello) adds nothing but its number.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// How many runs there were since then, as far as they are counted.
    #[must_use]
    pub const fn quiet_runs(&self) -> u8 {
        self.quiet_runs
    }

    /// Notes how many there were.
    pub const fn note_quiet_runs(&mut self, runs: u8) {
        self.quiet_runs = runs;
    }

    /// The bytes of earlier runs with which TLS began; see [`DialogueStep::TlsBegan`].
    #[must_use]
    pub fn held(&self, sender: Direction) -> &[u8] {
        self.conversation
            .as_ref()
            .map_or(&[], |conversation| conversation.halves[sender].held())
    }

    /// The first bytes of the connection, and who sent them; `None` before they came.
    #[must_use]
    pub fn opening(&self) -> Option<&OpeningBytes> {
        Some(&self.conversation.as_ref()?.opening)
    }

    fn talk(&self) -> Option<&Talk> {
        self.conversation.as_ref()?.talk.as_deref()
    }

    fn negotiation(&self) -> Option<&Negotiation> {
        Some(&self.talk()?.negotiation)
    }

    /// Whether TLS was refused and the client went on in plain text: then [`Dialogue::refusal`] need not wait for the end.
    #[must_use]
    pub fn is_downgraded(&self) -> bool {
        self.negotiation().is_some_and(Negotiation::is_downgraded)
    }

    /// Takes the last refusal of TLS that was not reported yet.
    pub fn refusal(&mut self) -> Option<Refusal> {
        let talk = self.conversation.as_mut()?.talk.as_mut()?;
        talk.negotiation.take_refusal()
    }

    /// Whether TLS was refused at any time.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.negotiation().is_some_and(Negotiation::was_refused)
    }

    /// Whether the client has spoken before TLS, and was not seen to agree on TLS: the capture may lack a refusal.
    ///
    /// A client that begins with TLS, whatever the server's greeting was, has asked for nothing.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let Some(conversation) = &self.conversation else {
            return false;
        };
        let halves = &conversation.halves;
        let has_client_spoken = conversation.talk.as_deref().is_some_and(|talk| {
            let is_known = !matches!(talk.speech, Speech::Undecided(..) | Speech::Settled);
            is_known && halves[talk.negotiation.client].has_spoken
        });
        let is_through = self.negotiation().is_some_and(Negotiation::is_through);
        let has_spoken = has_client_spoken || halves.iter().all(|half| half.has_spoken);
        has_spoken && !is_through && !self.was_refused()
    }

    /// That TLS could have been negotiated, if it has not begun; `None` if it was refused, and for other protocols.
    #[must_use]
    pub fn untaken(&self) -> Option<Untaken> {
        self.negotiation()?.untaken()
    }

    /// Whether anything was said.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.conversation.is_some()
    }

    /// When its first byte came; `None` if it is not known what was spoken.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        let conversation = self.conversation.as_ref()?;
        let is_known = self.starttls().is_some() || self.proxy().is_some();
        is_known.then_some(conversation.start)
    }

    /// Bytes of memory that it takes; the same from its first bytes on.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let Some(conversation) = &self.conversation else {
            return 0;
        };
        let talk = conversation.talk.as_ref();
        boxed::<Conversation>() + talk.map_or(0, |_| Talk::MOST_BYTES)
    }

    /// The protocol in which TLS was negotiated; `None` if it is not known.
    #[must_use]
    pub fn starttls(&self) -> Option<StartTls> {
        self.negotiation()?.starttls()
    }

    /// The proxy that the connection goes through, or comes from.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.negotiation()?.proxy.as_deref()
    }

    /// Where both directions are in packets of TDS, if TLS begins inside of them.
    #[must_use]
    pub fn tds(&self) -> Option<PerDirection<TdsPackets>> {
        match &self.talk()?.speech {
            Speech::Tds(tds) => Some(tds.packets()),
            _ => None,
        }
    }
}

impl Conversation {
    fn begin(sender: Direction, bytes: &[u8], start: Timestamp) -> Self {
        let talk = Speech::begin(bytes).map(|speech| {
            Box::new(Talk {
                speech,
                negotiation: Negotiation::new(sender),
            })
        });
        Self {
            start,
            opening: OpeningBytes::new(sender),
            halves: PerDirection::default(),
            talk,
            begun: None,
        }
    }

    /// Whether all that is kept of the beginning is there, and nothing is awaited.
    fn is_quiet(&self) -> bool {
        self.is_settled() && self.opening.is_full()
    }

    /// Whether nothing is awaited.
    fn is_settled(&self) -> bool {
        let is_settled = |talk: &Talk| matches!(talk.speech, Speech::Settled);
        self.talk.as_deref().is_none_or(is_settled) && self.halves.iter().all(Half::is_quiet)
    }

    /// Reads a run of bytes in which no hello can begin, if nothing is awaited; false, with nothing read, if there may be more to it.
    ///
    /// [`Conversation::take`] would find nothing held, no hello, and a dialogue that is settled and stays so.
    fn passes_by(&mut self, sender: Direction, bytes: &[u8]) -> bool {
        let before = &bytes[..bytes.len().min(MAX_TEXT_BEFORE_HELLO)];
        let passes_by = self.is_settled() && self.begun.is_none() && !may_hold_record(before);
        if passes_by {
            self.opening.take(sender, bytes);
            self.halves[sender].has_spoken = true;
        }
        passes_by
    }

    fn take(&mut self, sender: Direction, bytes: &[u8]) -> DialogueStep {
        if let Some(begun) = self.begun {
            return begun;
        }
        self.opening.take(sender, bytes);
        let held = self.halves[sender];
        let step = match self.halves[sender].complete(bytes) {
            Held::Hello => DialogueStep::TlsBegan,
            Held::Incomplete => DialogueStep::More,
            Held::Nothing => {
                self.halves[sender].has_begun = true;
                // What was held is no hello, so it belongs to the dialogue.
                self.read(sender, held.held());
                let place = self.place(sender, bytes);
                let begins_tls = matches!(place, HelloPlace::At(0) | HelloPlace::MayBegin(0));
                self.halves[sender].has_spoken |= !begins_tls || !held.held().is_empty();
                match place {
                    HelloPlace::At(start) => DialogueStep::TlsBegins(start),
                    HelloPlace::MayBegin(start) => {
                        self.halves[sender].hold(bytes.get(start..).unwrap_or_default());
                        DialogueStep::More
                    }
                    HelloPlace::Nowhere => DialogueStep::More,
                }
            }
        };
        self.begun = (step != DialogueStep::More).then_some(step);
        step
    }

    /// Where a hello begins in a run of bytes; what comes before it is read.
    fn place(&mut self, sender: Direction, bytes: &[u8]) -> HelloPlace {
        let place = HelloPlace::find(bytes);
        let before = match place {
            HelloPlace::At(start) | HelloPlace::MayBegin(start) => start,
            HelloPlace::Nowhere => bytes.len(),
        };
        let mut at = 0;
        while let Some(next) = self.follow(sender, &bytes[at..before]) {
            at += next;
            let rest = &bytes[at..];
            if is_hello_amid_stream(rest) {
                return HelloPlace::At(at);
            }
            if may_be_hello_amid_stream(rest) {
                return HelloPlace::MayBegin(at);
            }
        }
        place
    }

    /// Lets what is spoken read bytes in which no hello begins.
    fn read(&mut self, sender: Direction, mut bytes: &[u8]) {
        while let Some(next) = self.follow(sender, bytes) {
            bytes = &bytes[next..];
        }
    }

    /// Lets what is spoken read bytes, up to where TLS may begin; `None` if that is nowhere in them.
    fn follow(&mut self, sender: Direction, bytes: &[u8]) -> Option<usize> {
        let talk = self.talk.as_mut()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match talk.speech.take(sender, &mut rest, &mut talk.negotiation) {
                Turn::MayBegin | Turn::Over => return Some(bytes.len() - rest.len()),
                Turn::More => {}
                Turn::Settled => return None,
            }
        }
        None
    }
}

impl Talk {
    /// Bytes of memory that one takes at most: itself, the beginnings of messages in both directions, and texts.
    const MOST_BYTES: usize = boxed::<Self>() + 2 * Gather::MOST + Negotiation::MOST_TEXT;
}

/// Where in a run of bytes a hello begins.
enum HelloPlace {
    At(usize),
    /// The run ends before it is clear that it is one.
    MayBegin(usize),
    Nowhere,
}

impl HelloPlace {
    /// Looks at the beginning, and after lines and elements of XML. Behind other bytes, as those of a binary request for TLS,
    /// only a whole ClientHello with which the run ends counts.
    fn find(bytes: &[u8]) -> Self {
        let before = &bytes[..bytes.len().min(MAX_TEXT_BEFORE_HELLO)];
        // Where a record of handshake messages may begin: nearly always nowhere.
        let Some(first) = memchr::memchr(ContentType::Handshake.0, before) else {
            return Self::Nowhere;
        };
        let later = memchr::memchr_iter(ContentType::Handshake.0, &before[first..]);
        let later = later.map(|start| first + start).filter(|start| {
            let (request, rest) = (&before[..*start], &bytes[*start..]);
            matches!(request.last(), Some(b'\n' | b'>'))
                || is_whole_client_hello(rest) && !has_body(request)
        });
        for start in iter::once(0).chain(later) {
            let Some(rest @ [_, ..]) = bytes.get(start..) else {
                continue;
            };
            if is_hello_amid_stream(rest) {
                return Self::At(start);
            }
            if may_be_hello_amid_stream(rest) {
                return Self::MayBegin(start);
            }
        }
        Self::Nowhere
    }
}

/// Whether a hello may be in a run of bytes of a connection without a known dialogue, in which so many [runs](Dialogue::quiet_runs)
/// came before.
#[must_use]
#[inline]
pub fn may_hold_hello(bytes: &[u8], quiet_runs: u8) -> bool {
    may_hold_record(searched(bytes, quiet_runs))
}

/// The bytes of such a run in which a hello is looked for.
#[inline]
fn searched(bytes: &[u8], quiet_runs: u8) -> &[u8] {
    let may_follow_lines = quiet_runs < MAX_QUIET_RUNS;
    let most = if may_follow_lines {
        MAX_TEXT_WHILE_QUIET
    } else {
        HELLO_AMID_STREAM
    };
    &bytes[..bytes.len().min(most)]
}

/// Whether a record of handshake messages may begin anywhere in some bytes: nearly always not.
#[inline(always)]
fn may_hold_record(bytes: &[u8]) -> bool {
    // Most are short, and a search costs more than it reads.
    has_type(bytes) && may_hold_header(bytes)
}

/// Whether one of the bytes is the type of such a record.
#[inline(always)]
fn has_type(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff; // 1 in each byte
    const HANDSHAKE: u8 = ContentType::Handshake.0;
    let has_one = |word: &[u8; 8]| {
        // A byte is 0 where it is the type. Exact for whether there is one, which is all that is asked.
        let zeroed = u64::from_le_bytes(*word) ^ (ONES * HANDSHAKE as u64);
        zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7) != 0
    };
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => has_one(first) || has_one(last),
        (Some(_), _) => true, // not known
        (None, _) => match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some([a, b, c, d]), Some([e, f, g, h])) => has_one(&[*a, *b, *c, *d, *e, *f, *g, *h]),
            _ => bytes.contains(&HANDSHAKE),
        },
    }
}

/// The same by the first two bytes of a record, or by its type alone where nothing follows. Random bytes hold the type in most
/// segments, and both in one of a hundred.
#[inline(never)]
fn may_hold_header(bytes: &[u8]) -> bool {
    memchr::memchr_iter(ContentType::Handshake.0, bytes)
        .any(|at| bytes.get(at + 1).is_none_or(|major| *major == 3))
}

/// Whether a run of bytes ends with the body of a message, as HTTP has it: what it contains is no beginning.
fn has_body(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\r\n\r\n").is_some()
}

/// What became of bytes that may be the first of a hello.
enum Held {
    /// They are.
    Hello,
    /// They still may be.
    Incomplete,
    /// They are not, or there were none.
    Nothing,
}

impl Half {
    const fn is_quiet(&self) -> bool {
        self.has_begun && self.held_length == 0
    }

    fn held(&self) -> &[u8] {
        self.held
            .get(..usize::from(self.held_length))
            .unwrap_or_default()
    }

    /// Joins what is held with the next bytes.
    fn complete(&mut self, bytes: &[u8]) -> Held {
        if self.held_length == 0 {
            return Held::Nothing;
        }
        let mut beginning = [0; HELLO_AMID_STREAM];
        let known = usize::from(self.held_length);
        let added = bytes.len().min(HELLO_AMID_STREAM - known);
        beginning[..known].copy_from_slice(self.held());
        beginning[known..known + added].copy_from_slice(&bytes[..added]);
        let beginning = &beginning[..known + added];
        if is_hello_amid_stream(beginning) {
            return Held::Hello;
        }
        if may_be_hello_amid_stream(beginning) {
            self.hold(beginning);
            return Held::Incomplete;
        }
        self.held_length = 0;
        Held::Nothing
    }

    fn hold(&mut self, beginning: &[u8]) {
        let length = beginning.len().min(self.held.len());
        self.held[..length].copy_from_slice(&beginning[..length]);
        self.held_length = length as u8;
    }
}

text_enum! {
    /// A protocol in which TLS is negotiated in plain text, by STARTTLS or a request of its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum StartTls {
        /// SMTP (RFC 3207).
        Smtp = "smtp",
        /// LMTP (RFC 2033).
        Lmtp = "lmtp",
        /// IMAP (RFC 9051 §6.2.1).
        Imap = "imap",
        /// POP3 (RFC 2595).
        Pop3 = "pop3",
        /// FTP (RFC 4217).
        Ftp = "ftp",
        /// XMPP (RFC 6120 §5).
        Xmpp = "xmpp",
        /// LDAP (RFC 4511 §4.14).
        Ldap = "ldap",
        /// PostgreSQL's SSLRequest.
        Postgresql = "postgresql",
        /// MySQL's and MariaDB's SSL request packet.
        Mysql = "mysql",
        /// TDS, Microsoft SQL Server: TLS inside TDS packets.
        Tds = "tds",
        /// NNTP (RFC 4642).
        Nntp = "nntp",
        /// IRC's STARTTLS.
        Irc = "irc",
        /// ManageSieve (RFC 5804 §2.2).
        ManageSieve = "managesieve",
        /// RDP, Remote Desktop.
        Rdp = "rdp",
        /// AMQP 1.0, after its TLS protocol header.
        Amqp = "amqp",
    }
}

#[cfg(test)]
mod tests;
