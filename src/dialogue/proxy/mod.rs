//! Proxies in front of TLS: those that a client asks for a way to the server, and headers that name the ends of the connection
//! that a proxy has accepted.

pub(super) mod header;
pub(super) mod http_connect;
pub(super) mod socks;

use std::fmt;
use std::net::IpAddr;

use crate::flow::Endpoint;

text_enum! {
    /// How clients address a proxy, or the header in which it names its client.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ProxyKind {
        /// HTTP CONNECT (RFC 9110 §9.3.6).
        HttpConnect = "http_connect",
        /// SOCKS 4 and 4a.
        Socks4 = "socks4",
        /// SOCKS 5 (RFC 1928).
        Socks5 = "socks5",
        /// The PROXY protocol's header of version 1: a line of text.
        ProxyV1 = "proxy_v1",
        /// The PROXY protocol's header of version 2: binary.
        ProxyV2 = "proxy_v2",
    }
}

/// A proxy between client and server: `client` and `server` of the event are the ends of the connection that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its client, by the PROXY protocol; `None` for the others, and where the header names none (`UNKNOWN`, `LOCAL`).
    pub client: Option<ProxyEndpoint>,
    /// Where the client asked to be connected to, or by the PROXY protocol, where it had connected to.
    pub server: Option<ProxyEndpoint>,
}

impl Proxy {
    pub(super) const fn new(kind: ProxyKind) -> Self {
        Self {
            kind,
            client: None,
            server: None,
        }
    }
}

/// As in `http_connect to example.org:443`, or `proxy_v1 for 192.0.2.1:50000 to 192.0.2.2:443`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(client) = &self.client {
            write!(f, " for {client}")?;
        }
        if let Some(server) = &self.server {
            write!(f, " to {server}")?;
        }
        Ok(())
    }
}

/// An end of a connection, as a peer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyEndpoint {
    /// An IP address, or the name that the client asked for; at most 255 bytes, printable ASCII.
    pub address: String,
    /// The port.
    pub port: u16,
}

/// Bytes of a host name: the longest of SOCKS 5, and more than DNS allows.
const MAX_HOST: usize = 255;

impl ProxyEndpoint {
    /// An address or name as written; `None` if it cannot be one.
    pub(super) fn named(host: &[u8], port: u16) -> Option<Self> {
        let host = host.strip_prefix(b"[").unwrap_or(host);
        let host = host.strip_suffix(b"]").unwrap_or(host);
        let is_name = (1..=MAX_HOST).contains(&host.len()) && host.iter().all(u8::is_ascii_graphic);
        let host = std::str::from_utf8(host).ok().filter(|_| is_name)?;
        // One address has one spelling.
        let address = match host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => host.to_owned(),
        };
        Some(Self { address, port })
    }
}

impl From<Endpoint> for ProxyEndpoint {
    fn from(Endpoint { address, port }: Endpoint) -> Self {
        let address = address.to_string();
        Self { address, port }
    }
}

/// `example.org:443`, `192.0.2.1:443` or `[2001:db8::1]:443`.
impl fmt::Display for ProxyEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port } = self;
        if address.contains(':') {
            write!(f, "[{address}]:{port}")
        } else {
            write!(f, "{address}:{port}")
        }
    }
}
