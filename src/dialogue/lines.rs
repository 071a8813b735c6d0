//! Protocols of lines: commands, and answers with a code or a word. `STARTTLS`, and what others call it.
//!
//! To add one: its greeting to [`Greeting`] and [`recognise`](super::speech), its request to [`request`], its answers to
//! [`answer`], and how it lists what it offers to [`offer`].

use crate::flow::{Direction, PerDirection};

use super::StartTls;
use super::gather::Gather;
use super::negotiation::{Negotiation, printable};
use super::speech::Turn;

/// Bytes of a line that are kept: those of a list of capabilities.
const MAX_LINE: usize = 256;

/// How a connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The code 220: SMTP, LMTP, FTP.
    Ready,
    /// `* OK`.
    Imap,
    /// `+OK`.
    Pop3,
    /// The codes 200 and 201.
    Nntp,
    /// ManageSieve's capabilities.
    Sieve,
    /// A command of IRC: not all servers say something first.
    Irc,
    /// A notice of an IRC server.
    IrcNotice,
    /// None: the capture begins later.
    None,
}

/// A dialogue in lines.
#[derive(Debug)]
pub(super) struct Lines {
    greeting: Greeting,
    /// The protocol in which `STARTTLS` alone is the request; several write it like that.
    starttls: StartTls,
    /// The lines that are not complete yet.
    lines: PerDirection<Gather>,
    /// The request that was not answered yet.
    asked: Option<StartTls>,
    /// The tag of that, in IMAP.
    tag: Vec<u8>,
    /// What the client sends until the end of a message is none of its commands.
    body: Option<Body>,
}

/// A message that the client sends between its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Up to a line with a dot alone (RFC 5321 §4.1.1.4, RFC 3977 §3.1.1).
    UpToDot,
    /// So many bytes (RFC 3030 §2).
    Bytes(usize),
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    /// It answers something else.
    Unrelated,
}

impl Lines {
    pub(super) const fn new(greeting: Greeting) -> Self {
        let starttls = match greeting {
            Greeting::Ready | Greeting::None => StartTls::Smtp,
            Greeting::Imap => StartTls::Imap,
            Greeting::Pop3 => StartTls::Pop3,
            Greeting::Nntp => StartTls::Nntp,
            Greeting::Sieve => StartTls::ManageSieve,
            Greeting::Irc | Greeting::IrcNotice => StartTls::Irc,
        };
        Self {
            greeting,
            starttls,
            lines: PerDirection([Gather::new(), Gather::new()]),
            asked: None,
            tag: Vec::new(),
            body: None,
        }
    }

    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        while !input.is_empty() {
            let is_client = sender == negotiation.client;
            if let (Some(Body::Bytes(missing)), true) = (&mut self.body, is_client) {
                let skipped = input.len().min(*missing);
                *missing -= skipped;
                *input = &input[skipped..];
                if *missing == 0 {
                    self.body = None;
                }
                continue;
            }
            let gathered = &mut self.lines[sender];
            if gathered.up_to(input, b'\n', MAX_LINE).is_some() {
                let mut line = std::mem::take(gathered);
                if is_client {
                    self.take_command(line.bytes().trim_ascii(), negotiation);
                } else {
                    self.take_answer(line.bytes(), negotiation);
                }
                line.clear();
                self.lines[sender] = line;
            }
        }
        Turn::More
    }

    fn take_command(&mut self, line: &[u8], negotiation: &mut Negotiation) {
        if self.body == Some(Body::UpToDot) {
            if line == b"." {
                self.body = None;
            }
            return;
        }
        let client = negotiation.client;
        if let Some(length) = chunk_length(line) {
            self.body = Some(Body::Bytes(length)).filter(|_| length > 0);
            return negotiation.continues(client);
        }
        self.note_protocol(line, negotiation);
        if let Some((starttls, tag)) = request(line) {
            let starttls = starttls.unwrap_or(self.starttls);
            self.asked = Some(starttls);
            self.tag = tag.to_vec();
            let command = line[tag.len()..].trim_ascii();
            return negotiation.ask(starttls, printable(command));
        }
        if !(line.is_empty() || is_goodbye(line) || is_preparation(line)) {
            negotiation.continues(client);
        }
    }

    /// Notes which protocol a command belongs to.
    fn note_protocol(&mut self, line: &[u8], negotiation: &mut Negotiation) {
        let word = line.split(u8::is_ascii_whitespace).next();
        let is = |names: &[&str]| {
            let mut names = names.iter();
            word.is_some_and(|word| names.any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
        };
        let protocol = match self.greeting {
            Greeting::Ready | Greeting::None if is(&["LHLO"]) => {
                self.starttls = StartTls::Lmtp;
                StartTls::Lmtp
            }
            Greeting::Ready | Greeting::None if is(&["EHLO", "HELO"]) => StartTls::Smtp,
            Greeting::Ready if is(&["USER", "FEAT", "SYST", "AUTH", "OPTS", "PBSZ"]) => {
                StartTls::Ftp
            }
            Greeting::Ready | Greeting::None => return,
            // Other servers may begin a line with a colon, too.
            Greeting::IrcNotice if !is(&["CAP", "NICK", "USER", "PASS", "STARTTLS"]) => return,
            _ if line.is_empty() || is_goodbye(line) => return,
            _ => self.starttls,
        };
        negotiation.speaks(protocol);
        if is(&["EHLO", "LHLO", "FEAT", "CAPA", "CAPABILITIES", "CAP"])
            || self.greeting == Greeting::Imap && is_preparation(line)
        {
            negotiation.offers(false); // until the answer says more
        }
    }

    fn take_answer(&mut self, line: &[u8], negotiation: &mut Negotiation) {
        let trimmed = line.trim_ascii();
        if let Some(starttls) = self.asked {
            let mut answer = answer(starttls, &self.tag, trimmed);
            if let (Answer::Unrelated, Greeting::None) = (answer, self.greeting)
                && let Some(actual) = by_answer(trimmed)
            {
                negotiation.correct(actual);
                answer = Answer::Accepted;
            }
            match answer {
                Answer::Unrelated => return,
                Answer::Accepted => negotiation.accepted(),
                Answer::Refused => negotiation.refused(trimmed),
            }
            self.asked = None;
            return;
        }
        if let Some(is_offered) = offer(self.greeting, line) {
            negotiation.offers(is_offered);
        }
        // SMTP's DATA, NNTP's POST and IHAVE: the client may go on with the message.
        let mut codes = [&b"354"[..], b"340", b"335"].into_iter();
        if codes.any(|code| trimmed.starts_with(code)) {
            self.body = Some(Body::UpToDot);
        }
    }
}

/// The request for TLS in a line: its protocol, unless it is that of several, and the tag of an IMAP command.
fn request(line: &[u8]) -> Option<(Option<StartTls>, &[u8])> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let (first, second, third) = (words.next()?, words.next(), words.next());
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match (second, third) {
        (None, _) if is(first, "STARTTLS") => Some((None, b"")),
        (None, _) if is(first, "STLS") => Some((Some(StartTls::Pop3), b"")),
        (Some(name), None) if is(first, "AUTH") => {
            let mut names = ["TLS", "TLS-C", "TLS-P", "SSL"].iter();
            let is_tls = names.any(|tls| is(name, tls));
            is_tls.then_some((Some(StartTls::Ftp), b""))
        }
        (Some(name), None) if is(name, "STARTTLS") => Some((Some(StartTls::Imap), first)),
        _ => None,
    }
}

/// What a line says in answer to a request.
fn answer(starttls: StartTls, tag: &[u8], line: &[u8]) -> Answer {
    let begins = |words: &[&str]| words.iter().any(|word| begins_with(line, word));
    match starttls {
        StartTls::Imap => {
            let Some(rest) = line.strip_prefix(tag).map(<[u8]>::trim_ascii) else {
                return Answer::Unrelated;
            };
            if begins_with(rest, "OK") {
                Answer::Accepted
            } else if begins_with(rest, "NO") || begins_with(rest, "BAD") {
                Answer::Refused
            } else {
                Answer::Unrelated
            }
        }
        StartTls::Pop3 if begins(&["+OK"]) => Answer::Accepted,
        StartTls::Pop3 if begins(&["-ERR"]) => Answer::Refused,
        StartTls::ManageSieve if begins(&["OK"]) => Answer::Accepted,
        StartTls::ManageSieve if begins(&["NO", "BYE"]) => Answer::Refused,
        StartTls::Irc => match line.split(|byte| *byte == b' ').nth(1) {
            Some(b"670") => Answer::Accepted,
            Some(b"691" | b"421" | b"451") => Answer::Refused,
            _ => Answer::Unrelated,
        },
        // SMTP and LMTP 220, FTP 234 or 334, NNTP 382.
        _ => match line {
            [b'2', b'2', b'0', ..] | [b'2' | b'3', b'3', b'4', ..] | [b'3', b'8', b'2', ..] => {
                Answer::Accepted
            }
            [b'4' | b'5', b'0'..=b'9', b'0'..=b'9', ..] => Answer::Refused,
            _ => Answer::Unrelated,
        },
    }
}

/// The protocol in which a line accepts a bare `STARTTLS`, where nothing before it is in view.
fn by_answer(line: &[u8]) -> Option<StartTls> {
    if line.split(|byte| *byte == b' ').nth(1) == Some(b"670") {
        Some(StartTls::Irc)
    } else if begins_with(line, "OK") {
        Some(StartTls::ManageSieve)
    } else {
        None
    }
}

/// Whether a line of the server offers TLS; `None` if it is no list of what it offers.
fn offer(greeting: Greeting, line: &[u8]) -> Option<bool> {
    let trimmed = line.trim_ascii();
    let has_word = |word: &str| {
        let is_part_of_word = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'-');
        let mut words = trimmed.split(is_part_of_word);
        words.any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    match greeting {
        Greeting::Ready | Greeting::None => match line {
            // SMTP: `250-STARTTLS`. FTP (RFC 4217 §6): ` AUTH TLS`.
            [b'2', b'5', b'0', b'-' | b' ', keyword @ ..] => keyword
                .trim_ascii()
                .eq_ignore_ascii_case(b"STARTTLS")
                .then_some(true),
            [b' ', ..] if begins_with(trimmed, "AUTH ") => {
                (has_word("TLS") || has_word("TLS-C") || has_word("SSL")).then_some(true)
            }
            _ => None,
        },
        Greeting::Imap => has_word("CAPABILITY").then(|| has_word("STARTTLS")),
        Greeting::Pop3 => trimmed.eq_ignore_ascii_case(b"STLS").then_some(true),
        Greeting::Nntp => trimmed.eq_ignore_ascii_case(b"STARTTLS").then_some(true),
        Greeting::Sieve => Some(trimmed.eq_ignore_ascii_case(b"\"STARTTLS\"")),
        Greeting::Irc | Greeting::IrcNotice => has_word("LS").then(|| has_word("tls")),
    }
}

/// The length in a `BDAT` command (RFC 3030 §2).
fn chunk_length(line: &[u8]) -> Option<usize> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let name = words.next()?;
    let length = words
        .next()
        .filter(|_| name.eq_ignore_ascii_case(b"BDAT"))?;
    std::str::from_utf8(length).ok()?.parse().ok()
}

/// Whether a command does not use the connection yet: after a refusal, a client may greet the server or wait, and ask again.
fn is_preparation(line: &[u8]) -> bool {
    const COMMANDS: [&str; 10] = [
        "EHLO",
        "HELO",
        "LHLO",
        "NOOP",
        "RSET",
        "HELP",
        "CAPA",
        "CAPABILITY",
        "CAPABILITIES",
        "FEAT",
    ];
    // IMAP commands begin with a tag.
    let mut words = line.split(u8::is_ascii_whitespace).take(2);
    words.any(|word| {
        let mut commands = COMMANDS.iter();
        commands.any(|command| word.eq_ignore_ascii_case(command.as_bytes()))
    })
}

fn is_goodbye(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace);
    words.any(|word| word.eq_ignore_ascii_case(b"QUIT") || word.eq_ignore_ascii_case(b"LOGOUT"))
}

fn begins_with(text: &[u8], word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}
