//! The PROXY protocol's headers (sections 2.1 and 2.2 of its specification): the first bytes of a connection that a proxy opens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flow::{Direction, Endpoint};

use super::super::gather::Gather;
use super::super::negotiation::Negotiation;
use super::super::speech::Turn;
use super::{Proxy, ProxyEndpoint, ProxyKind};

/// The first bytes of version 2.
pub(in super::super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of version 1.
pub(in super::super) const WORD: &[u8; 6] = b"PROXY ";

/// The longest line of version 1.
const MAX_LINE: usize = 107;
/// Signature, version and command, family and protocol, and the length of what follows.
const FIXED: usize = 16;
/// Two IPv6 addresses and two ports. Longer ones are those of Unix sockets; TLVs may follow.
const MAX_ADDRESSES: usize = 36;

/// A header, as far as it has come.
#[derive(Debug)]
pub(in super::super) struct ProxyHeader {
    kind: ProxyKind,
    gathered: Gather,
    /// Bytes of the header that are not looked at.
    skipped: usize,
}

impl ProxyHeader {
    pub(in super::super) const fn new(kind: ProxyKind) -> Self {
        Self {
            kind,
            gathered: Gather::new(),
            skipped: 0,
        }
    }

    pub(in super::super) fn take(
        &mut self,
        sender: Direction,
        input: &mut &[u8],
        negotiation: &mut Negotiation,
    ) -> Turn {
        if sender != negotiation.client {
            *input = &[];
            return Turn::More;
        }
        let (ends, is_over) = match self.kind {
            ProxyKind::ProxyV1 => {
                let ends = self.gathered.up_to(input, b'\n', MAX_LINE).map(text_ends);
                match ends {
                    Some(ends) => (ends, true),
                    None if self.gathered.len() < MAX_LINE => return Turn::More,
                    None => return Turn::Settled,
                }
            }
            _ => match self.read_binary(input) {
                Some(is_over) => (binary_ends(self.gathered.bytes()), is_over),
                None => return Turn::More,
            },
        };
        let [client, server] = ends.map_or([None, None], |ends| ends.map(Some));
        negotiation.proxy = Some(Box::new(Proxy {
            client,
            server,
            ..Proxy::new(self.kind)
        }));
        if is_over { Turn::Over } else { Turn::More }
    }

    /// Reads the binary header; `Some` once its addresses are there, true if all of it has come.
    fn read_binary(&mut self, input: &mut &[u8]) -> Option<bool> {
        let fixed = self.gathered.until(input, FIXED)?;
        let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
        let kept = length.min(MAX_ADDRESSES);
        self.gathered.until(input, FIXED + kept)?;
        let rest = length - kept - self.skipped;
        let skipped = rest.min(input.len());
        *input = &input[skipped..];
        self.skipped += skipped;
        Some(skipped == rest)
    }
}

/// The ends in a line as `PROXY TCP4 192.0.2.1 192.0.2.2 50000 443`; `None` for `UNKNOWN`.
fn text_ends(line: &[u8]) -> Option<[ProxyEndpoint; 2]> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace().skip(1);
    words.next().filter(|family| *family != "UNKNOWN")?;
    let mut address = || words.next()?.parse::<IpAddr>().ok();
    let addresses = [address()?, address()?];
    let mut port = || words.next()?.parse::<u16>().ok();
    let [client, server] = addresses;
    Some(
        [(client, port()?), (server, port()?)]
            .map(|(address, port)| ProxyEndpoint::from(Endpoint::new(address, port))),
    )
}

/// The ends in a binary header; `None` for the command LOCAL, and for Unix sockets.
fn binary_ends(header: &[u8]) -> Option<[ProxyEndpoint; 2]> {
    const PROXY: u8 = 1;
    let command = header.get(12)? & 0x0f;
    let family = header.get(13)? >> 4;
    let length = usize::from(u16::from_be_bytes([*header.get(14)?, *header.get(15)?]));
    let addresses = header.get(FIXED..FIXED + length.min(MAX_ADDRESSES))?;
    let (addresses, ports): ([IpAddr; 2], &[u8]) = match family {
        1 => {
            let (both, ports) = addresses.split_first_chunk::<8>()?;
            let [a, b, c, d, e, f, g, h] = *both;
            let both = [[a, b, c, d], [e, f, g, h]];
            (both.map(|octets| Ipv4Addr::from(octets).into()), ports)
        }
        2 => {
            let (client, rest) = addresses.split_first_chunk::<16>()?;
            let (server, ports) = rest.split_first_chunk::<16>()?;
            (
                [*client, *server].map(|octets| Ipv6Addr::from(octets).into()),
                ports,
            )
        }
        _ => return None,
    };
    let [a, b, c, d] = *ports.first_chunk::<4>()?;
    let ports = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    let [client, server] = addresses;
    (command == PROXY).then(|| {
        [(client, ports[0]), (server, ports[1])]
            .map(|(address, port)| ProxyEndpoint::from(Endpoint::new(address, port)))
    })
}
