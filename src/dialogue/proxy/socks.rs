//! SOCKS 4, 4a and 5 (RFC 1928): a request with an address or a name, and an answer; in SOCKS 5 behind a choice of how to log in,
//! and user and password (RFC 1929), which are skipped.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::flow::{Direction, Endpoint, PerDirection};

use super::super::gather::Gather;
use super::super::negotiation::Negotiation;
use super::super::speech::Turn;
use super::{Proxy, ProxyEndpoint, ProxyKind};

/// The only command that leads to TLS.
pub(in super::super) const CONNECT: u8 = 1;

/// Methods of logging in: user and password, and GSSAPI (RFC 1961). The other one in use is none at all.
const PASSWORD: u8 = 2;
const GSSAPI: u8 = 1;
const NONE_ACCEPTABLE: u8 = 0xff;

/// First byte of a message of GSSAPI. A request and its reply begin with 5 if both sides agreed to protect nothing.
const TOKEN: u8 = 1;
/// Types of such messages that end what can be followed: protected data, and the refusal of a login, which has no length.
const PROTECTED: u8 = 3;
const ABORT: u8 = 0xff;

/// A dialogue with a proxy.
#[derive(Debug)]
pub(in super::super) struct Socks {
    kind: ProxyKind,
    gathered: PerDirection<Gather>,
    /// Bytes of a token that have not come. Tokens are not kept, since a Kerberos ticket is larger than a dialogue may hold.
    missing: PerDirection<usize>,
    is_gssapi: bool,
    client: Request,
    server: Answer,
}

/// What the client sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Methods,
    /// A login, or the request that needs none.
    Login,
    /// In SOCKS 4: up to a zero byte, and behind that, a name.
    User {
        has_name: bool,
    },
    Name,
    Nothing,
}

/// What the proxy sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Method,
    Login,
    Reply,
    Nothing,
}

impl Socks {
    pub(in super::super) fn new(kind: ProxyKind) -> Self {
        let is_5 = kind == ProxyKind::Socks5;
        Self {
            kind,
            gathered: PerDirection::default(),
            missing: PerDirection::default(),
            is_gssapi: false,
            client: if is_5 {
                Request::Methods
            } else {
                Request::Login
            },
            server: if is_5 { Answer::Method } else { Answer::Reply },
        }
    }

    pub(in super::super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        loop {
            self.skip_token(sender, input);
            if input.is_empty() {
                return Turn::More;
            }
            let step = if sender == negotiation.client {
                self.take_request(sender, input, negotiation)
            } else {
                self.take_answer(sender, input, negotiation)
            };
            match step {
                Some(Turn::More) => self.gathered[sender].clear(),
                Some(other) => {
                    self.gathered[sender].clear();
                    return other;
                }
                None => return Turn::More, // incomplete
            }
        }
    }

    fn skip_token(&mut self, sender: Direction, input: &mut &[u8]) {
        let skipped = self.missing[sender].min(input.len());
        self.missing[sender] -= skipped;
        *input = &input[skipped..];
    }

    /// Takes the header of a token, which is then skipped; `None` if it is not complete.
    fn take_token(&mut self, sender: Direction, input: &mut &[u8]) -> Option<Turn> {
        let [_, kind, high, low] = *self.gathered[sender].until(input, 4)?.first_chunk::<4>()?;
        if kind == PROTECTED {
            return Some(Turn::Settled);
        }
        self.missing[sender] = usize::from(u16::from_be_bytes([high, low]));
        Some(Turn::More)
    }

    /// Takes a message of the client; `None` if it is not complete.
    fn take_request(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Option<Turn> {
        let gathered = &mut self.gathered[sender];
        match self.client {
            Request::Methods => {
                let count = usize::from(gathered.until(input, 2)?[1]);
                gathered.until(input, 2 + count)?;
                self.client = Request::Login;
                Some(Turn::More)
            }
            Request::Login if self.kind == ProxyKind::Socks4 => {
                let request = gathered.until(input, 8)?;
                let [_, command, p, q, a, b, c, d] = *request.first_chunk::<8>()?;
                if command != CONNECT {
                    return Some(Turn::Settled);
                }
                let port = u16::from_be_bytes([p, q]);
                let address = Ipv4Addr::new(a, b, c, d);
                // SOCKS 4a: 0.0.0.x with another x than 0.
                let has_name = matches!([a, b, c], [0, 0, 0]) && d != 0;
                self.ask(Endpoint::new(address.into(), port).into(), negotiation);
                self.client = Request::User { has_name };
                Some(Turn::More)
            }
            Request::Login => match gathered.until(input, 1)?[0] {
                TOKEN if self.is_gssapi => self.take_token(sender, input),
                1 => {
                    let user = usize::from(gathered.until(input, 2)?[1]);
                    // User and password of 255 bytes each are not kept.
                    let password = gathered.until(input, 3 + user)?[2 + user];
                    self.client = Request::Login;
                    let rest = usize::from(password);
                    let whole = 3 + user + rest;
                    gathered.until(input, whole.min(Gather::MOST))?;
                    Some(Turn::More)
                        .filter(|_| whole <= Gather::MOST)
                        .or(Some(Turn::Settled))
                }
                5 => self.take_socks5_request(sender, input, negotiation),
                _ => Some(Turn::Settled),
            },
            Request::User { has_name } => {
                gathered.up_to(input, 0, 0)?;
                self.client = if has_name {
                    Request::Name
                } else {
                    Request::Nothing
                };
                Some(self.after_request())
            }
            Request::Name => {
                let name = gathered.up_to(input, 0, 256)?;
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                let port = negotiation.proxy.as_ref()?.server.as_ref()?.port;
                let named = ProxyEndpoint::named(name, port);
                self.client = Request::Nothing;
                if let Some(endpoint) = named {
                    self.ask(endpoint, negotiation);
                }
                Some(Turn::MayBegin)
            }
            Request::Nothing => {
                *input = &[];
                None
            }
        }
    }

    fn after_request(&self) -> Turn {
        if self.client == Request::Nothing {
            Turn::MayBegin
        } else {
            Turn::More
        }
    }

    fn take_socks5_request(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Option<Turn> {
        let gathered = &mut self.gathered[sender];
        let start = gathered.until(input, 5)?;
        let (command, kind) = (start[1], start[3]);
        let Some(length) = address_length(start) else {
            return Some(Turn::Settled);
        };
        let request = gathered.until(input, 4 + length + 2)?;
        let (address, port) = request.get(4..)?.split_at(length);
        let port = u16::from_be_bytes(*port.first_chunk::<2>()?);
        let endpoint = match kind {
            1 => {
                let octets = *address.first_chunk::<4>()?;
                Some(Endpoint::new(Ipv4Addr::from(octets).into(), port).into())
            }
            4 => {
                let octets = *address.first_chunk::<16>()?;
                Some(Endpoint::new(Ipv6Addr::from(octets).into(), port).into())
            }
            _ => ProxyEndpoint::named(&address[1..], port),
        };
        self.client = Request::Nothing;
        let (CONNECT, Some(endpoint)) = (command, endpoint) else {
            return Some(Turn::Settled);
        };
        self.ask(endpoint, negotiation);
        Some(Turn::MayBegin)
    }

    fn ask(&self, server: ProxyEndpoint, negotiation: &mut Negotiation) {
        let version = match self.kind {
            ProxyKind::Socks4 => "SOCKS4",
            _ => "SOCKS5",
        };
        negotiation.ask_proxy(format!("{version} CONNECT {server}"));
        negotiation.proxy = Some(Box::new(Proxy {
            server: Some(server),
            ..Proxy::new(self.kind)
        }));
    }

    /// Takes a message of the proxy; `None` if it is not complete.
    fn take_answer(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Option<Turn> {
        let gathered = &mut self.gathered[sender];
        match self.server {
            Answer::Method => {
                let method = gathered.until(input, 2)?[1];
                self.server = match method {
                    NONE_ACCEPTABLE => {
                        self.refuse("no acceptable authentication method (255)", negotiation);
                        Answer::Nothing
                    }
                    GSSAPI => {
                        self.is_gssapi = true;
                        Answer::Reply
                    }
                    PASSWORD => Answer::Login,
                    _ => Answer::Reply,
                };
                Some(Turn::More)
            }
            Answer::Login => {
                let status = gathered.until(input, 2)?[1];
                self.server = Answer::Reply;
                if status != 0 {
                    let answer = format!("authentication failed ({status})");
                    self.refuse(&answer, negotiation);
                    self.server = Answer::Nothing;
                }
                Some(Turn::More)
            }
            Answer::Reply if self.kind == ProxyKind::Socks4 => {
                let reply = gathered.until(input, 8)?;
                let code = reply[1];
                if reply[0] != 0 {
                    return Some(Turn::Settled);
                }
                self.server = Answer::Nothing;
                let name = match code {
                    90 => {
                        negotiation.accepted();
                        return Some(Turn::Over);
                    }
                    91 => "request rejected or failed",
                    92 => "no identd on the client",
                    93 => "identd reports another user",
                    _ => "unknown reply",
                };
                self.refuse(&format!("{name} ({code})"), negotiation);
                Some(Turn::More)
            }
            Answer::Reply if self.is_gssapi && gathered.until(input, 1)?[0] == TOKEN => {
                if gathered.until(input, 2)?[1] != ABORT {
                    return self.take_token(sender, input);
                }
                self.server = Answer::Nothing;
                self.refuse("authentication failed (GSSAPI)", negotiation);
                Some(Turn::More)
            }
            Answer::Reply => {
                let start = gathered.until(input, 5)?;
                let code = start[1];
                let Some(length) = address_length(start) else {
                    return Some(Turn::Settled);
                };
                if code != 0 {
                    self.server = Answer::Nothing;
                    self.refuse(&format!("{} ({code})", reply_name(code)), negotiation);
                    return Some(Turn::More);
                }
                gathered.until(input, 4 + length + 2)?;
                self.server = Answer::Nothing;
                negotiation.accepted();
                Some(Turn::Over)
            }
            Answer::Nothing => {
                *input = &[];
                None
            }
        }
    }

    /// Takes a refusal, also one before the client's request.
    fn refuse(&self, answer: &str, negotiation: &mut Negotiation) {
        if !negotiation.is_asked() {
            negotiation.ask_proxy("SOCKS5 login".to_owned());
            let proxy = negotiation.proxy.take();
            negotiation.proxy = proxy.or_else(|| Some(Box::new(Proxy::new(self.kind))));
        }
        negotiation.refused(answer.as_bytes());
    }
}

/// Bytes of the address in a request or a reply, of which `start` is the first five; `None` if its kind is not known (RFC 1928 §5).
fn address_length(start: &[u8]) -> Option<usize> {
    match start[3] {
        1 => Some(4),
        3 => Some(1 + usize::from(start[4])),
        4 => Some(16),
        _ => None,
    }
}

/// RFC 1928 §6.
const fn reply_name(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "connection not allowed by the rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
