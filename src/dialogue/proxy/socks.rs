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

/// Method of logging in: user and password. The other ones in use are none at all, and GSSAPI (RFC 1961), which may encrypt what
/// follows.
const PASSWORD: u8 = 2;
const GSSAPI: u8 = 1;
const NONE_ACCEPTABLE: u8 = 0xff;

/// A dialogue with a proxy.
#[derive(Debug)]
pub(in super::super) struct Socks {
    kind: ProxyKind,
    gathered: PerDirection<Gather>,
    client: Request,
    server: Answer,
}

/// What the client sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Methods,
    /// A request, or before it a login.
    LoginOrRequest,
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
            client: if is_5 {
                Request::Methods
            } else {
                Request::LoginOrRequest
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
        while !input.is_empty() {
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
        Turn::More
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
                self.client = Request::LoginOrRequest;
                Some(Turn::More)
            }
            Request::LoginOrRequest if self.kind == ProxyKind::Socks4 => {
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
            Request::LoginOrRequest => match gathered.until(input, 1)?[0] {
                1 => {
                    let user = usize::from(gathered.until(input, 2)?[1]);
                    // User and password of 255 bytes each are not kept.
                    let password = gathered.until(input, 3 + user)?[2 + user];
                    self.client = Request::LoginOrRequest;
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
        let (command, kind, first) = (start[1], start[3], usize::from(start[4]));
        let length = match kind {
            1 => 4,
            3 => 1 + first,
            4 => 16,
            _ => return Some(Turn::Settled),
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
                    GSSAPI => return Some(Turn::Settled),
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
            Answer::Reply => {
                let start = gathered.until(input, 5)?;
                let (code, kind, first) = (start[1], start[3], usize::from(start[4]));
                let length = match kind {
                    1 => 4,
                    3 => 1 + first,
                    4 => 16,
                    _ => return Some(Turn::Settled),
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
