//! Whether TLS was asked for in plain text, and refused.
//!
//! Commands and answers are read as far as that needs. A refusal is kept until it is known what the client makes of it: it
//! may ask again, leave, or go on in plain text.
//!
//! To add a protocol, add its first bytes to [`Negotiation::begin`], its request to [`request`] and its answers to [`answer`].

use std::fmt;

use crate::flow::{Direction, PerDirection};
use crate::memory::boxed;

use super::StartTls;

/// Bytes of a line that are kept: enough for an answer that gives its reason.
const MAX_LINE: usize = 160;

/// `SSLRequest` and `GSSENCRequest` of PostgreSQL ("Frontend/Backend Protocol", "Message Formats").
const POSTGRESQL_TLS: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const POSTGRESQL_GSS: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
/// The name of LDAP's StartTLS operation (RFC 4511 §4.14.1).
const LDAP_OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// A refusal of TLS that stands in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol; `None` for an HTTP proxy.
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

/// The negotiation of TLS on one connection.
#[derive(Debug)]
pub(super) struct Negotiation {
    syntax: Syntax,
    /// The direction in which the client sends: it does not greet.
    client: Direction,
    /// The protocol in which `STARTTLS` alone is the request; several write it like that.
    starttls: StartTls,
    /// The lines that are not complete yet, cut at [`MAX_LINE`].
    lines: PerDirection<Vec<u8>>,
    asked: Option<Asked>,
    refusal: Option<Refusal>,
    was_refused: bool,
}

/// How commands and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Lines,
    Xmpp,
    Ldap,
    Postgresql,
}

/// A request that was not answered yet.
#[derive(Clone, Debug)]
struct Asked {
    /// `None` for an HTTP proxy.
    starttls: Option<StartTls>,
    client: Direction,
    request: String,
    /// The tag of an IMAP command.
    tag: Vec<u8>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
    /// It answers something else.
    Unrelated,
}

impl Negotiation {
    /// Bytes of memory that one takes at most: itself, a line of each direction, and the texts of a request and its refusal.
    pub(super) const MOST_BYTES: usize = boxed::<Self>() + 5 * MAX_LINE;

    /// `None` if a connection that begins with `first` does not negotiate TLS in a way that is known here.
    pub(super) fn begin(sender: Direction, first: &[u8]) -> Option<Box<Self>> {
        const LINES: [&[u8]; 12] = [
            b"220",
            b"200 ",
            b"201 ",
            b"* OK",
            b"* PREAUTH",
            b"+OK",
            b"\"IMPLEMENTATION\"",
            b"CONNECT ",
            b"STARTTLS",
            b"CAP LS",
            b"EHLO",
            b"NICK ",
        ];
        let syntax = match first {
            POSTGRESQL_TLS | POSTGRESQL_GSS => Syntax::Postgresql,
            [b'<', b'?' | b's', ..] if find(first, b"stream").is_some() => Syntax::Xmpp,
            [0x30, ..] if find(first, LDAP_OID).is_some() => Syntax::Ldap,
            _ if LINES.iter().any(|line| first.starts_with(line)) => Syntax::Lines,
            _ => return None,
        };
        let starttls = match first {
            [b'2', b'0', b'0' | b'1', ..] => StartTls::Nntp,
            [b'"', ..] => StartTls::ManageSieve,
            [b'C' | b'N' | b'S', ..] => StartTls::Irc,
            _ => StartTls::Smtp,
        };
        let is_greeting =
            syntax == Syntax::Lines && matches!(first, [b'2' | b'*' | b'+' | b'"', ..]);
        Some(Box::new(Self {
            syntax,
            client: if is_greeting { sender.flip() } else { sender },
            starttls,
            lines: PerDirection::default(),
            asked: None,
            refusal: None,
            was_refused: false,
        }))
    }

    pub(super) fn is_downgraded(&self) -> bool {
        self.refusal
            .as_ref()
            .is_some_and(|refusal| refusal.is_downgraded)
    }

    pub(super) const fn was_refused(&self) -> bool {
        self.was_refused
    }

    pub(super) fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// Reads the next run of bytes of one direction.
    pub(super) fn take(&mut self, sender: Direction, bytes: &[u8]) {
        match self.syntax {
            Syntax::Lines => self.take_lines(sender, bytes),
            Syntax::Postgresql => self.take_postgresql(sender, bytes),
            Syntax::Xmpp => {
                let [request, accepted, refused] =
                    [&b"<starttls"[..], b"<proceed", b"<failure"].map(|tag| find(bytes, tag));
                let answer = match (accepted, refused) {
                    (None, Some(at)) => Some((Answer::Refused, element(&bytes[at..]))),
                    (Some(_), _) => Some((Answer::Accepted, &bytes[..0])),
                    (None, None) => None,
                };
                self.take_whole(StartTls::Xmpp, sender, request.is_some(), answer);
            }
            Syntax::Ldap => {
                let result = ldap_result(bytes).map(|code| match code {
                    0 => (Answer::Accepted, &bytes[..0]),
                    _ => (Answer::Refused, bytes),
                });
                let is_request = find(bytes, LDAP_OID).is_some() && result.is_none();
                self.take_whole(StartTls::Ldap, sender, is_request, result);
            }
        }
    }

    /// Takes a message of a protocol without lines.
    fn take_whole(
        &mut self,
        starttls: StartTls,
        sender: Direction,
        is_request: bool,
        answer: Option<(Answer, &[u8])>,
    ) {
        let is_answer = self
            .asked
            .as_ref()
            .is_some_and(|asked| asked.client != sender);
        if let (true, Some((answer, text))) = (is_answer, answer) {
            self.answered(answer, text);
        } else if is_request && !is_answer {
            self.ask(Some(starttls), sender, "STARTTLS".into(), Vec::new());
        } else {
            self.continues(sender);
        }
    }

    fn take_postgresql(&mut self, sender: Direction, bytes: &[u8]) {
        let is_answer = self
            .asked
            .as_ref()
            .is_some_and(|asked| asked.client != sender);
        match bytes {
            [answer @ (b'N' | b'E'), ..] if is_answer => {
                let text = if *answer == b'N' { &bytes[..1] } else { bytes };
                self.answered(Answer::Refused, text);
            }
            _ if is_answer => self.answered(Answer::Accepted, bytes),
            POSTGRESQL_TLS => {
                let request = "SSLRequest".into();
                self.ask(Some(StartTls::Postgresql), sender, request, Vec::new());
            }
            POSTGRESQL_GSS => {}
            _ => self.continues(sender),
        }
    }

    fn take_lines(&mut self, sender: Direction, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = &mut self.lines[sender];
            let room = MAX_LINE - line.len();
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let mut line = std::mem::take(&mut self.lines[sender]);
                self.take_line(sender, line.trim_ascii());
                line.clear();
                self.lines[sender] = line;
            }
        }
    }

    fn take_line(&mut self, sender: Direction, line: &[u8]) {
        if let Some(asked) = self.asked.as_ref().filter(|asked| asked.client != sender) {
            let answer = answer(asked, line);
            return self.answered(answer, line);
        }
        if sender != self.client {
            return;
        }
        match request(line) {
            Some((Some(StartTls::Smtp), text, tag)) => {
                self.ask(Some(self.starttls), sender, text, tag);
            }
            Some((starttls, text, tag)) => self.ask(starttls, sender, text, tag),
            None if line.starts_with(b"LHLO") => self.starttls = StartTls::Lmtp,
            None if line.is_empty() || is_goodbye(line) => {}
            None => self.continues(sender),
        }
    }

    fn ask(
        &mut self,
        starttls: Option<StartTls>,
        client: Direction,
        request: String,
        tag: Vec<u8>,
    ) {
        self.refusal = None; // it asks again
        self.asked = Some(Asked {
            starttls,
            client,
            request,
            tag,
        });
    }

    fn answered(&mut self, answer: Answer, text: &[u8]) {
        if answer == Answer::Unrelated {
            return;
        }
        let Some(asked) = self.asked.take() else {
            return;
        };
        if answer == Answer::Refused {
            self.was_refused = true;
            let end = text.len().min(MAX_LINE);
            self.refusal = Some(Refusal {
                starttls: asked.starttls,
                client: asked.client,
                request: asked.request,
                answer: text[..end].escape_ascii().to_string(),
                is_downgraded: false,
            });
        }
    }

    /// Takes bytes that are no request for TLS: after a refusal, the client goes on without.
    ///
    /// A client of a proxy does not: it repeats its request, with credentials, or leaves.
    fn continues(&mut self, sender: Direction) {
        if let Some(refusal) = &mut self.refusal
            && refusal.client == sender
        {
            refusal.is_downgraded = refusal.starttls.is_some();
        }
    }
}

/// The request for TLS in a line: its protocol (`None` for an HTTP proxy), its text, and the tag of an IMAP command.
fn request(line: &[u8]) -> Option<(Option<StartTls>, String, Vec<u8>)> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace());
    let (first, second, third) = (words.next()?, words.next(), words.next());
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let command = |starttls| Some((Some(starttls), line.escape_ascii().to_string(), Vec::new()));
    match second {
        None if is(first, "STARTTLS") => command(StartTls::Smtp),
        None if is(first, "STLS") => command(StartTls::Pop3),
        Some(name) if is(first, "AUTH") && third.is_none() => {
            let is_tls = ["TLS", "TLS-C", "TLS-P", "SSL"]
                .iter()
                .any(|tls| is(name, tls));
            is_tls.then(|| command(StartTls::Ftp)).flatten()
        }
        Some(name) if is(name, "STARTTLS") && third.is_none() => {
            Some((Some(StartTls::Imap), "STARTTLS".into(), first.to_vec()))
        }
        Some(target) if first == b"CONNECT" && third?.starts_with(b"HTTP/") => Some((
            None,
            format!("CONNECT {}", target.escape_ascii()),
            Vec::new(),
        )),
        _ => None,
    }
}

/// What a line says in answer to a request.
fn answer(asked: &Asked, line: &[u8]) -> Answer {
    let begins = |words: &[&str]| {
        let begins = |word: &&str| {
            line.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        words.iter().any(begins)
    };
    match asked.starttls {
        Some(StartTls::Imap) => {
            let Some(rest) = line.strip_prefix(&asked.tag[..]) else {
                return Answer::Unrelated;
            };
            match rest.trim_ascii() {
                [b'O' | b'o', b'K' | b'k', ..] => Answer::Accepted,
                [b'N' | b'n', b'O' | b'o', ..] | [b'B' | b'b', b'A' | b'a', ..] => Answer::Refused,
                _ => Answer::Unrelated,
            }
        }
        Some(StartTls::Pop3) if begins(&["+OK"]) => Answer::Accepted,
        Some(StartTls::Pop3) if begins(&["-ERR"]) => Answer::Refused,
        None => match status(line) {
            Some(b'2') => Answer::Accepted,
            Some(b'3'..=b'5') => Answer::Refused,
            _ => Answer::Unrelated,
        },
        Some(StartTls::ManageSieve) if begins(&["OK"]) => Answer::Accepted,
        Some(StartTls::ManageSieve) if begins(&["NO", "BYE"]) => Answer::Refused,
        Some(StartTls::Irc) => match line.split(|byte| *byte == b' ').nth(1) {
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

/// The first digit of the status in an HTTP status line.
fn status(line: &[u8]) -> Option<u8> {
    let status = line.strip_prefix(b"HTTP/1.")?.get(2..)?;
    status.first().copied()
}

fn is_goodbye(line: &[u8]) -> bool {
    let mut words = line.split(|byte| byte.is_ascii_whitespace());
    words.any(|word| word.eq_ignore_ascii_case(b"QUIT") || word.eq_ignore_ascii_case(b"LOGOUT"))
}

/// The result code of an LDAP ExtendedResponse (RFC 4511 §4.12) with which `bytes` begin.
fn ldap_result(bytes: &[u8]) -> Option<u8> {
    let at = bytes.iter().take(12).position(|byte| *byte == 0x78)?;
    let response = bytes.get(at + 1..)?;
    let value = find(response.get(..8.min(response.len()))?, &[0x0a, 0x01])?;
    response.get(value + 2).copied()
}

/// The XML element with which `text` begins.
fn element(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'>');
    text.get(..=end.unwrap_or(text.len())).unwrap_or(text)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Direction = Direction::Forward;
    const SERVER: Direction = Direction::Reverse;

    /// What is found after these runs of bytes, of which those of the client begin with `>`.
    fn after(runs: &[&[u8]]) -> Option<Refusal> {
        let content = |run: &'_ [u8]| run[1..].to_vec();
        let first = if runs[0][0] == b'>' { CLIENT } else { SERVER };
        let mut negotiation = Negotiation::begin(first, &content(runs[0]))?;
        for run in runs {
            let sender = if run[0] == b'>' { CLIENT } else { SERVER };
            negotiation.take(sender, &content(run));
        }
        negotiation.take_refusal()
    }

    #[test]
    fn refusals_are_recognised_in_every_protocol_with_the_answer() {
        use StartTls::{
            Ftp, Imap, Irc, Ldap, Lmtp, ManageSieve, Nntp, Pop3, Postgresql, Smtp, Xmpp,
        };
        let ldap_request = [&b">\x30\x1d\x02\x01\x01\x77\x18\x80\x16"[..], LDAP_OID].concat();
        type Case<'a> = (Option<StartTls>, &'a str, Vec<&'a [u8]>);
        let cases: [Case<'_>; 14] = [
            (
                Some(Smtp),
                "454 TLS not available",
                vec![
                    b"<220 mx ESMTP\r\n",
                    b">EHLO me\r\n",
                    b"<250-mx\r\n250 STARTTLS\r\n",
                    b">STARTTLS\r\n",
                    b"<454 TLS not available\r\n",
                ],
            ),
            (
                Some(Smtp),
                "502 no",
                vec![
                    b"<220 mx\r\n",
                    b">START",
                    b">TLS\r",
                    b">\n",
                    b"<50",
                    b"<2 no\r\n",
                ],
            ),
            (
                Some(Imap),
                "a1 NO later",
                vec![
                    b"<* OK hi\r\n",
                    b">a1 starttls\r\n",
                    b"<* NOTE\r\na1 NO later\r\n",
                ],
            ),
            (
                Some(Lmtp),
                "454 no",
                vec![
                    b"<220 mx\r\n",
                    b">LHLO me\r\n",
                    b"<250 mx\r\n",
                    b">STARTTLS\r\n",
                    b"<454 no\r\n",
                ],
            ),
            (
                Some(Nntp),
                "502 no",
                vec![b"<200 news\r\n", b">STARTTLS\r\n", b"<502 no\r\n"],
            ),
            (
                Some(ManageSieve),
                "NO \\\"busy\\\"",
                vec![
                    b"<\"IMPLEMENTATION\" \"x\"\r\nOK\r\n",
                    b">STARTTLS\r\n",
                    b"<NO \"busy\"\r\n",
                ],
            ),
            (
                Some(Irc),
                ":irc.example 691 * :no",
                vec![b">STARTTLS\r\n", b"<:irc.example 691 * :no\r\n"],
            ),
            (
                Some(Pop3),
                "-ERR no",
                vec![b"<+OK hi\r\n", b">STLS\r\n", b"<-ERR no\r\n"],
            ),
            (
                Some(Ftp),
                "534 policy",
                vec![b"<220 ftp\r\n", b">AUTH TLS\r\n", b"<534 policy\r\n"],
            ),
            (
                Some(Postgresql),
                "N",
                vec![b">\0\0\0\x08\x04\xd2\x16\x2f", b"<N"],
            ),
            (
                Some(Postgresql),
                "N",
                vec![
                    b">\0\0\0\x08\x04\xd2\x16\x30",
                    b"<N",
                    b">\0\0\0\x08\x04\xd2\x16\x2f",
                    b"<N",
                ],
            ),
            (
                Some(Xmpp),
                "<failure/>",
                vec![
                    b"><stream:stream>",
                    b"<<stream:features>",
                    b"><starttls/>",
                    b"<<failure/></stream>",
                ],
            ),
            (
                Some(Ldap),
                "0\\x0c\\x02\\x01\\x01x\\x07\\n\\x01\\x02\\x04\\x00\\x04\\x00",
                vec![
                    &ldap_request,
                    b"<\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\0\x04\0",
                ],
            ),
            (
                None,
                "HTTP/1.1 407 Proxy Authentication Required",
                vec![
                    b">CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
                    b"<HTTP/1.1 407 Proxy Authentication Required\r\nVia: x\r\n\r\n",
                ],
            ),
        ];
        for (starttls, answer, runs) in cases {
            let refusal = after(&runs).unwrap_or_else(|| panic!("{answer}"));
            assert_eq!((refusal.starttls, &*refusal.answer), (starttls, answer));
            assert_eq!((refusal.client, refusal.is_downgraded), (CLIENT, false));
        }
    }

    #[test]
    fn what_is_accepted_or_only_offered_is_no_refusal() {
        let cases: [&[&[u8]]; 7] = [
            &[b"<220 mx\r\n", b">STARTTLS\r\n", b"<220 go\r\n"],
            &[b"<220 mx\r\n", b">MAIL FROM:<STARTTLS>\r\n", b"<454 no\r\n"],
            &[b"<* OK\r\n", b">a STARTTLS\r\n", b"<a OK\r\n"],
            &[b"<+OK\r\n", b">STLS\r\n", b"<+OK\r\n"],
            &[b">\0\0\0\x08\x04\xd2\x16\x2f", b"<S"],
            &[
                b">CONNECT a:443 HTTP/1.1\r\n\r\n",
                b"<HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            ],
            &[b">GET / HTTP/1.1\r\n\r\n", b"<HTTP/1.1 407 no\r\n\r\n"],
        ];
        for runs in cases {
            assert_eq!(after(runs), None, "{}", runs[0].escape_ascii());
        }
    }

    #[test]
    fn a_client_that_goes_on_in_plain_text_is_noticed_and_one_that_leaves_is_not_blamed() {
        let begin: [&[u8]; 3] = [b"<220 mx\r\n", b">STARTTLS\r\n", b"<454 no\r\n"];
        let then = |next: &'static [u8]| after(&[begin[0], begin[1], begin[2], next]).unwrap();
        assert!(!then(b">QUIT\r\n").is_downgraded);
        let refusal = then(b">MAIL FROM:<a@example>\r\n");
        assert!(refusal.is_downgraded);
        assert_eq!(
            refusal.to_string(),
            "server refused STARTTLS: \"454 no\"; the client continued in plaintext"
        );
    }

    #[test]
    fn a_client_that_asks_again_and_is_accepted_was_not_refused() {
        let connect = b">CONNECT a:443 HTTP/1.1\r\n\r\n";
        let refused = b"<HTTP/1.1 407 no\r\n\r\n";
        assert_eq!(
            after(&[connect, refused, connect, b"<HTTP/1.1 200 OK\r\n\r\n"]),
            None
        );
        assert!(after(&[connect, refused, connect, refused]).is_some());
    }

    #[test]
    fn an_answer_cannot_reach_the_terminal() {
        let refusal =
            after(&[b"<220 mx\r\n", b">STARTTLS\r\n", b"<454 \x1b[2J\x80\"\r\n"]).unwrap();
        assert_eq!(refusal.answer, "454 \\x1b[2J\\x80\\\"");
    }
}
