//! Which protocol is spoken before TLS, by its first bytes.
//!
//! To add a protocol: its first bytes to [`recognise`], its reader as a variant of [`Speech`].

use crate::flow::Direction;

use super::amqp::Amqp;
use super::gather::Gather;
use super::ldap::Ldap;
use super::lines::{Greeting, Lines};
use super::mysql::Mysql;
use super::negotiation::Negotiation;
use super::postgresql::Postgresql;
use super::proxy::ProxyKind;
use super::proxy::header::{self, ProxyHeader};
use super::proxy::http_connect::{self, HttpConnect};
use super::proxy::socks::{self, Socks};
use super::rdp::Rdp;
use super::tds::Tds;
use super::xmpp::Xmpp;

/// A reader's answer to the bytes that it was given. It has taken some from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has taken all, and reads on.
    More,
    /// It has taken some. TLS may begin right behind, or it reads on.
    MayBegin,
    /// It has taken some, and is at its end: TLS, or another dialogue, begins right behind.
    Over,
    /// Nothing of what follows says more of TLS.
    Settled,
}

/// The reader of what is spoken. Each takes bytes of both directions in order, cut anywhere.
#[derive(Debug)]
pub(super) enum Speech {
    /// Not known yet: the first bytes, and who sent them.
    Undecided(Gather, Option<Direction>),
    Header(ProxyHeader),
    HttpConnect(HttpConnect),
    Socks(Socks),
    Lines(Lines),
    Xmpp(Xmpp),
    Ldap(Ldap),
    Postgresql(Postgresql),
    Mysql(Mysql),
    Tds(Tds),
    Rdp(Rdp),
    Amqp(Amqp),
    /// It is none of these, or it is over.
    Settled,
}

/// Bytes that are enough to recognise every protocol.
const DECISIVE: usize = 24;

impl Speech {
    /// `None` if a connection whose first bytes are these negotiates nothing that is known here.
    pub(super) fn begin(first: &[u8]) -> Option<Self> {
        let fits = recognise(&first[..first.len().min(DECISIVE)]);
        (!matches!(fits, Fit::No)).then_some(Self::Undecided(Gather::new(), None))
    }

    pub(super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        if let Self::Undecided(first, speaker) = self {
            if speaker.is_some_and(|speaker| speaker != sender) {
                *self = Self::Settled;
                return Turn::Settled;
            }
            *speaker = Some(sender);
            let before = first.len();
            let mut taken = *input;
            first.until(&mut taken, DECISIVE);
            match recognise(first.bytes()) {
                Fit::Maybe if first.len() < DECISIVE => {
                    *input = &[];
                    return Turn::More;
                }
                Fit::Yes(speech, is_server) => {
                    negotiation.client = if is_server { sender.flip() } else { sender };
                    let known = first.bytes()[..before].to_vec();
                    *self = speech;
                    // What came before is no message yet, so all of it is taken.
                    self.read(sender, &mut &known[..], negotiation);
                }
                Fit::Maybe | Fit::No => {
                    *self = Self::Settled;
                    return Turn::Settled;
                }
            }
        }
        let turn = self.read(sender, input, negotiation);
        match turn {
            Turn::Over => *self = Self::Undecided(Gather::new(), None),
            Turn::Settled => *self = Self::Settled,
            Turn::More | Turn::MayBegin => {}
        }
        turn
    }

    fn read(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        match self {
            Self::Header(header) => header.take(sender, input, negotiation),
            Self::HttpConnect(connect) => connect.take(sender, input, negotiation),
            Self::Socks(socks) => socks.take(sender, input, negotiation),
            Self::Lines(lines) => lines.take(sender, input, negotiation),
            Self::Xmpp(xmpp) => xmpp.take(sender, input, negotiation),
            Self::Ldap(ldap) => ldap.take(sender, input, negotiation),
            Self::Postgresql(postgresql) => postgresql.take(sender, input, negotiation),
            Self::Mysql(mysql) => mysql.take(sender, input, negotiation),
            Self::Tds(tds) => tds.take(sender, input, negotiation),
            Self::Rdp(rdp) => rdp.take(sender, input, negotiation),
            Self::Amqp(amqp) => amqp.take(sender, input, negotiation),
            Self::Undecided(..) | Self::Settled => Turn::Settled,
        }
    }
}

/// Whether first bytes are those of a protocol.
enum Fit {
    No,
    /// As far as they go.
    Maybe,
    /// The protocol, and whether it is the server that speaks first.
    Yes(Speech, bool),
}

fn recognise(first: &[u8]) -> Fit {
    if first.is_empty() {
        return Fit::Maybe;
    }
    text(first).or_else(|| binary(first)).unwrap_or(Fit::No)
}

/// Protocols that begin with fixed bytes.
fn text(first: &[u8]) -> Option<Fit> {
    type Begin = fn() -> (Speech, bool);
    const WORDS: [(&[u8], Begin); 20] = [
        (b"220", || lines(Greeting::Ready)),
        (b"* OK", || lines(Greeting::Imap)),
        (b"* PREAUTH", || lines(Greeting::Imap)),
        (b"+OK", || lines(Greeting::Pop3)),
        (b"200 ", || lines(Greeting::Nntp)),
        (b"201 ", || lines(Greeting::Nntp)),
        (b"\"IMPLEMENTATION\"", || lines(Greeting::Sieve)),
        (b"CAP ", || lines(Greeting::Irc)),
        (b"NICK ", || lines(Greeting::Irc)),
        // A server that looks up its client's name says so at once, with its own name in front (InspIRCd) or without.
        (b":", || lines(Greeting::IrcNotice)),
        (b"NOTICE ", || lines(Greeting::IrcNotice)),
        (b"STARTTLS", || lines(Greeting::None)),
        (b"EHLO ", || lines(Greeting::None)),
        (b"LHLO ", || lines(Greeting::None)),
        (b"<?xml", || (Speech::Xmpp(Xmpp::default()), false)),
        (b"<stream:stream", || (Speech::Xmpp(Xmpp::default()), false)),
        (b"AMQP", || (Speech::Amqp(Amqp::default()), false)),
        (header::WORD, || {
            (Speech::Header(ProxyHeader::new(ProxyKind::ProxyV1)), false)
        }),
        (header::SIGNATURE, || {
            (Speech::Header(ProxyHeader::new(ProxyKind::ProxyV2)), false)
        }),
        (http_connect::WORD, || {
            (Speech::HttpConnect(HttpConnect::default()), false)
        }),
    ];
    let mut may_fit = false;
    for (word, begin) in WORDS {
        if first.starts_with(word) {
            let (speech, is_server) = begin();
            return Some(Fit::Yes(speech, is_server));
        }
        may_fit |= word.starts_with(first);
    }
    may_fit.then_some(Fit::Maybe)
}

fn lines(greeting: Greeting) -> (Speech, bool) {
    let is_server = !matches!(greeting, Greeting::Irc | Greeting::None);
    (Speech::Lines(Lines::new(greeting)), is_server)
}

/// Protocols that begin with a binary message.
fn binary(first: &[u8]) -> Option<Fit> {
    let fits = |index: usize, rule: fn(u8) -> bool| first.get(index).is_none_or(|byte| rule(*byte));
    let has = |length: usize| first.len() >= length;
    let answer = |is_whole: bool, begin: &dyn Fn() -> (Speech, bool)| {
        if !is_whole {
            return Some(Fit::Maybe);
        }
        let (speech, is_server) = begin();
        Some(Fit::Yes(speech, is_server))
    };
    // What may be PostgreSQL's by its first byte may be a greeting of MySQL, whose length is in that place, too.
    let mysql = || {
        // A packet with number 0, and in it version 10 of the protocol, and the server's as in `8.0.36`.
        fits(2, |high| high == 0)
            && fits(3, |number| number == 0)
            && fits(4, |version| version == 10)
            && fits(5, |digit| digit.is_ascii_digit())
    };
    match first[0] {
        0 if Postgresql::may_begin(first) => answer(Postgresql::is_decisive(first), &|| {
            (Speech::Postgresql(Postgresql::default()), false)
        }),
        3 if fits(1, |reserved| reserved == 0) && fits(5, |tpdu| tpdu == 0xe0) => {
            answer(has(6), &|| (Speech::Rdp(Rdp::default()), false))
        }
        4 if fits(1, |command| command == socks::CONNECT) && !mysql() => {
            // Version, command, port and address; a user or its end follows.
            answer(has(9), &|| {
                (Speech::Socks(Socks::new(ProxyKind::Socks4)), false)
            })
        }
        5 if is_socks5(first) => {
            let count = first.get(1).copied().map_or(usize::MAX, usize::from);
            answer(has(count.saturating_add(2)), &|| {
                (Speech::Socks(Socks::new(ProxyKind::Socks5)), false)
            })
        }
        0x12 if Tds::may_begin(first) => {
            answer(has(Tds::DECISIVE), &|| (Speech::Tds(Tds::default()), false))
        }
        0x30 if Ldap::may_begin(first) => answer(Ldap::is_decisive(first), &|| {
            (Speech::Ldap(Ldap::default()), false)
        }),
        _ if mysql() => answer(has(6), &|| (Speech::Mysql(Mysql::default()), true)),
        _ => None,
    }
}

/// A list of methods: those that IANA has, or private ones; and behind it, the next message of a client that does not wait.
fn is_socks5(first: &[u8]) -> bool {
    const MOST_METHODS: usize = 16;
    let Some(count) = first.get(1).copied().map(usize::from) else {
        return true;
    };
    let rest = first.get(2..).unwrap_or_default();
    let (methods, next) = rest.split_at(count.min(rest.len()));
    (1..=MOST_METHODS).contains(&count)
        && methods
            .iter()
            .all(|method| matches!(method, 0..=9 | 0x80..=0xfe))
        && next.first().is_none_or(|next| matches!(next, 1 | 5 | 22))
}
