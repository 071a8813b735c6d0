//! What is spoken before TLS begins: STARTTLS, and other ways to negotiate TLS in plain text.
//!
//! A connection that begins with something else than TLS has a [`Dialogue`]. It reads both directions in order, and answers
//! each run of bytes with a [`DialogueStep`]. TLS may begin with any run of bytes, in the middle of one after a line of text or a
//! PROXY header, and its first bytes may come one by one. A dialogue also notices that TLS was asked for and
//! refused ([`Dialogue::refusal`]), and keeps the first bytes, to report a connection that never became TLS.
//!
//! Data of any kind comes by here, so a hello is recognised more strictly than at the beginning of a connection.

mod negotiation;
mod opening_bytes;
mod proxy_header;

use std::iter;

use crate::flow::{Direction, PerDirection};
use crate::memory::boxed;
use crate::tls::{
    ContentType, HELLO_AMID_STREAM, is_hello_amid_stream, is_whole_client_hello,
    may_be_hello_amid_stream,
};

pub use negotiation::Refusal;
pub use opening_bytes::OpeningBytes;

use negotiation::Negotiation;

/// Bytes of each direction that are read in order. The longest dialogue before TLS that mail servers allow is
/// a few lines; LDAP and proxies may prepend a search or a header of some kilobytes.
pub const MAX_BYTES: u32 = 64 << 10;

/// Bytes of a run in which a hello may follow a line of text: a PROXY header of version 1 takes at most 107, pipelined
/// commands a few lines. Whoever sends more waits for an answer first, and the hello then begins a run.
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
}

#[derive(Debug)]
struct Conversation {
    opening: OpeningBytes,
    halves: PerDirection<Half>,
    /// `None` if the first bytes are of no protocol that negotiates TLS.
    negotiation: Option<Box<Negotiation>>,
}

/// What is kept of one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    has_begun: bool,
    /// The last bytes, where they may be the first of a hello.
    held: [u8; HELLO_AMID_STREAM - 1],
    held_length: u8,
    /// Bytes of a PROXY header that have not come yet.
    header_missing: u16,
}

impl Dialogue {
    /// Reads the next run of bytes of one direction.
    ///
    /// To read a run with which TLS begins once more gives the same answer.
    pub fn take(&mut self, sender: Direction, bytes: &[u8]) -> DialogueStep {
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
            .get_or_insert_with(|| Box::new(Conversation::begin(sender, bytes)));
        conversation.opening.take(sender, bytes);
        let step = conversation.halves[sender].take(bytes);
        if let (DialogueStep::More, Some(negotiation)) = (step, &mut conversation.negotiation) {
            negotiation.take(sender, bytes);
        }
        self.is_quiet = conversation.is_quiet();
        step
    }

    /// Reads the next run of bytes if no hello can begin in it and nothing is negotiated, as in traffic that is not TLS; false, with
    /// nothing read, if there may be more to it.
    #[inline]
    pub fn passes_by(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let passes_by = self.is_quiet && matches!(self.search(bytes), HelloPlace::Nowhere);
        self.quiet_runs = self.quiet_runs.saturating_add(u8::from(passes_by));
        passes_by
    }

    /// Looks for a hello in a run of a connection without a known dialogue.
    fn search(&self, bytes: &[u8]) -> HelloPlace {
        let may_follow_lines = self.quiet_runs < MAX_QUIET_RUNS;
        let searched = if may_follow_lines {
            MAX_TEXT_WHILE_QUIET
        } else {
            HELLO_AMID_STREAM
        };
        HelloPlace::find(&bytes[..bytes.len().min(searched)], None)
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

    /// Whether TLS was refused and the client went on in plain text: then [`Dialogue::refusal`] need not wait for the end.
    #[must_use]
    pub fn is_downgraded(&self) -> bool {
        if self.is_quiet {
            return false; // nothing is negotiated
        }
        let conversation = self.conversation.as_ref();
        conversation
            .and_then(|conversation| conversation.negotiation.as_ref())
            .is_some_and(|negotiation| negotiation.is_downgraded())
    }

    /// Takes the last refusal of TLS that was not reported yet.
    pub fn refusal(&mut self) -> Option<Refusal> {
        self.conversation
            .as_mut()?
            .negotiation
            .as_mut()?
            .take_refusal()
    }

    /// Whether TLS was refused at any time.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation
            .and_then(|conversation| conversation.negotiation.as_ref())
            .is_some_and(|negotiation| negotiation.was_refused())
    }

    /// Whether anything was said.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.conversation.is_some()
    }

    /// Bytes of memory that it takes; the same from its first bytes on.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let Some(conversation) = &self.conversation else {
            return 0;
        };
        let negotiation = conversation.negotiation.as_ref();
        boxed::<Conversation>() + negotiation.map_or(0, |_| Negotiation::MOST_BYTES)
    }

    /// The protocol in which TLS was negotiated; `None` if it is not known.
    #[must_use]
    pub const fn starttls(&self) -> Option<StartTls> {
        None
    }
}

impl Conversation {
    fn begin(sender: Direction, bytes: &[u8]) -> Self {
        Self {
            opening: OpeningBytes::new(sender),
            halves: PerDirection::default(),
            negotiation: Negotiation::begin(sender, bytes),
        }
    }
}

impl Conversation {
    /// Whether all that is kept of the beginning is there, and nothing is awaited.
    fn is_quiet(&self) -> bool {
        self.negotiation.is_none()
            && self.opening.is_full()
            && self.halves.iter().all(Half::is_quiet)
    }
}

/// Where in a run of bytes a hello begins.
enum HelloPlace {
    At(usize),
    /// The run ends before it is clear that it is one.
    MayBegin(usize),
    Nowhere,
}

impl HelloPlace {
    /// Looks at the beginning, behind a PROXY header that ends at `header`, and after lines and elements of XML. Behind
    /// other bytes, as those of a binary request for TLS, only a whole ClientHello with which the run ends counts.
    fn find(bytes: &[u8], header: Option<usize>) -> Self {
        let before = &bytes[..bytes.len().min(MAX_TEXT_BEFORE_HELLO)];
        // Where a record of handshake messages may begin.
        let later = memchr::memchr_iter(ContentType::Handshake.0, before).filter(|start| {
            let (request, rest) = (&before[..*start], &bytes[*start..]);
            matches!(request.last(), Some(b'\n' | b'>'))
                || is_whole_client_hello(rest) && !has_body(request)
        });
        for start in iter::once(0).chain(header).chain(later) {
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

/// Whether a run of bytes ends with the body of a message, as HTTP has it: what it contains is no beginning.
fn has_body(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\r\n\r\n").is_some()
}

impl Half {
    const fn is_quiet(&self) -> bool {
        self.has_begun && self.held_length == 0 && self.header_missing == 0
    }

    fn held(&self) -> &[u8] {
        self.held
            .get(..usize::from(self.held_length))
            .unwrap_or_default()
    }

    fn take(&mut self, bytes: &[u8]) -> DialogueStep {
        if self.held_length > 0 {
            let mut beginning = [0; HELLO_AMID_STREAM];
            let known = usize::from(self.held_length);
            let added = bytes.len().min(HELLO_AMID_STREAM - known);
            beginning[..known].copy_from_slice(self.held());
            beginning[known..known + added].copy_from_slice(&bytes[..added]);
            let beginning = &beginning[..known + added];
            if is_hello_amid_stream(beginning) {
                return DialogueStep::TlsBegan;
            }
            if may_be_hello_amid_stream(beginning) {
                self.hold(beginning);
                return DialogueStep::More;
            }
            self.held_length = 0;
        }
        let (header, missing) = self.proxy_header_in(bytes);
        if let Some(start) = self.hello_in(bytes, header) {
            return DialogueStep::TlsBegins(start);
        }
        self.header_missing = missing;
        self.has_begun = true;
        DialogueStep::More
    }

    /// Where a hello begins in a run of bytes; holds the beginning of one that is not complete.
    fn hello_in(&mut self, bytes: &[u8], header: Option<usize>) -> Option<usize> {
        match HelloPlace::find(bytes, header) {
            HelloPlace::At(start) => return Some(start),
            HelloPlace::MayBegin(start) => self.hold(bytes.get(start..).unwrap_or_default()),
            HelloPlace::Nowhere => {}
        }
        None
    }

    /// Where the PROXY header of version 2 ends, if it ends in this run, and how many of its bytes are missing after it.
    fn proxy_header_in(&self, bytes: &[u8]) -> (Option<usize>, u16) {
        let length = if self.has_begun {
            usize::from(self.header_missing)
        } else {
            proxy_header::length_of_v2(bytes).unwrap_or_default()
        };
        let missing = length.saturating_sub(bytes.len());
        let end = (length > 0 && length < bytes.len()).then_some(length);
        (end, u16::try_from(missing).unwrap_or(u16::MAX))
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
mod tests {
    use super::*;

    const UP: Direction = Direction::Forward;
    const DOWN: Direction = Direction::Reverse;
    const HELLO: &[u8] = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3, 0xaa, 0xbb];

    fn after(first: &[u8]) -> Dialogue {
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.take(UP, first), DialogueStep::More);
        dialogue
    }

    #[test]
    fn a_hello_begins_a_run_or_follows_a_line() {
        assert_eq!(
            after(b"STARTTLS\r\n").take(UP, HELLO),
            DialogueStep::TlsBegins(0)
        );
        let glued = [b"PROXY TCP4 203.0.113.9 198.51.100.10 50123 443\r\n", HELLO].concat();
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.take(UP, &glued), DialogueStep::TlsBegins(48));
        assert_eq!(dialogue.take(UP, &glued), DialogueStep::TlsBegins(48));
    }

    #[test]
    fn a_hello_after_much_talk_begins_a_run_or_follows_a_line_of_an_early_one() {
        let talk = |runs| {
            let mut dialogue = after(&[b'x'; 100]);
            for _ in 0..runs {
                assert_eq!(dialogue.take(DOWN, b"so it is\n"), DialogueStep::More);
                assert_eq!(dialogue.take(UP, b"is it so\n"), DialogueStep::More);
            }
            dialogue
        };
        let glued = [b"now or later\n", HELLO].concat();
        assert_eq!(talk(3).take(UP, &glued), DialogueStep::TlsBegins(13));
        assert_eq!(talk(300).take(UP, &glued), DialogueStep::More);
        for runs in [3, 300] {
            assert_eq!(talk(runs).take(UP, HELLO), DialogueStep::TlsBegins(0));
            let mut split = talk(runs);
            assert_eq!(split.take(UP, &HELLO[..4]), DialogueStep::More);
            assert_eq!(split.take(UP, &HELLO[4..]), DialogueStep::TlsBegan);
        }
    }

    /// A whole ClientHello, alone in its record.
    fn whole_hello() -> Vec<u8> {
        [HELLO, &[7; 92]].concat()
    }

    #[test]
    fn a_hello_in_the_middle_of_data_is_no_beginning() {
        for hello in [HELLO, &whole_hello()] {
            let inside = [b"POST /upload HTTP/1.1\r\n\r\nabc", hello].concat();
            assert_eq!(Dialogue::default().take(UP, &inside), DialogueStep::More);
        }
        let more_behind = [b"\x04\xd2\x16\x2f", &whole_hello()[..], b"x"].concat();
        assert_eq!(
            Dialogue::default().take(UP, &more_behind),
            DialogueStep::More
        );
    }

    #[test]
    fn a_whole_hello_may_follow_a_binary_request_or_an_element() {
        let ssl_request = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
        let glued = [ssl_request, &whole_hello()[..]].concat();
        let mut dialogue = Dialogue::default();
        assert_eq!(dialogue.take(UP, &glued), DialogueStep::TlsBegins(8));
        let element = [b"<starttls/>", HELLO].concat();
        assert_eq!(
            after(b"<stream>").take(UP, &element),
            DialogueStep::TlsBegins(11)
        );
    }

    #[test]
    fn a_hello_after_plain_text_may_come_byte_by_byte() {
        let mut dialogue = after(b"STARTTLS\r\n");
        for byte in &HELLO[..10] {
            assert_eq!(dialogue.take(UP, &[*byte]), DialogueStep::More);
        }
        assert_eq!(dialogue.take(UP, &HELLO[10..11]), DialogueStep::TlsBegan);
        assert_eq!(dialogue.held(UP), &HELLO[..10]);
        assert_eq!(dialogue.held(DOWN), b"");
    }

    #[test]
    fn a_hello_may_be_split_right_behind_the_line_that_it_follows() {
        let mut dialogue = Dialogue::default();
        let glued = [b"PLAIN\r\n", &HELLO[..4]].concat();
        assert_eq!(dialogue.take(UP, &glued), DialogueStep::More);
        assert_eq!(dialogue.take(UP, &HELLO[4..]), DialogueStep::TlsBegan);
        assert_eq!(dialogue.held(UP), &HELLO[..4]);
    }

    #[test]
    fn what_looks_like_the_beginning_of_a_hello_and_is_none_is_forgotten() {
        let mut dialogue = after(b"x\r\n");
        assert_eq!(dialogue.take(UP, &[22, 3]), DialogueStep::More);
        assert_eq!(dialogue.take(UP, &[9, 9]), DialogueStep::More);
        assert_eq!(dialogue.held(UP), b"");
        assert_eq!(dialogue.take(UP, HELLO), DialogueStep::TlsBegins(0));
    }

    #[test]
    fn a_hello_follows_a_binary_proxy_header_wherever_that_is_cut() {
        let header = [
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
            &[192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 1, 0xbb][..],
        ]
        .concat();
        let whole = [&header[..], HELLO].concat();
        for cut in 16..whole.len() {
            let mut dialogue = Dialogue::default();
            let first = dialogue.take(UP, &whole[..cut]);
            let (begun, rest) = match first {
                DialogueStep::TlsBegins(at) => (at, &[][..]),
                _ => match dialogue.take(UP, &whole[cut..]) {
                    DialogueStep::TlsBegins(at) => (cut + at, dialogue.held(UP)),
                    DialogueStep::TlsBegan => (cut - dialogue.held(UP).len(), &[][..]),
                    DialogueStep::More => panic!("{cut}"),
                },
            };
            assert_eq!((begun, rest), (28, &[][..]), "{cut}");
        }
    }
}
