//! Which handshake a user wants to see.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::event::Handshake;
use crate::flow::Endpoint;
use crate::pattern::{Glob, is_hardware_address};
use crate::sink::selection::{Peer, is_station_of};

/// Which handshake a user wants to see, as written after the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// Its place in the order of time, from 1.
    Number(usize),
    /// Its connection, as JSON names it: 16 hexadecimal digits.
    FlowId(u64),
    /// Its connection, as Zeek and Suricata name it, too.
    CommunityId(String),
    /// Its two ends, in either order.
    Ends(End, End),
    /// The name that the client asked for, and the port of the server.
    NameAndPort(Glob, u16),
    /// The device of a login over EAP: a hardware address.
    Station(Glob),
    /// Either peer, by address, network, endpoint or name; also the user of a login over EAP.
    Peer(Peer),
}

/// One end of a connection, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    address: IpAddr,
    port: Option<u16>,
}

/// Digits of a number, at most: no capture has a billion handshakes, and a flow id has 16 digits.
const MAX_DIGITS: usize = 9;

/// What may stand between two endpoints, the longest first.
const BETWEEN: [&str; 7] = [" -> ", "->", " > ", " - ", ">", "-", " "];

impl Selector {
    /// Whether it selects `event`. A number needs the order of all: see [`Selector::number`].
    #[must_use]
    pub fn selects(&self, event: &Handshake) -> bool {
        match self {
            Self::Number(_) => true,
            Self::FlowId(id) => event.flow_id == *id,
            Self::CommunityId(id) => event.community_id() == *id,
            Self::Ends(a, b) => {
                (a.is(event.client) && b.is(event.server))
                    || (b.is(event.client) && a.is(event.server))
            }
            Self::NameAndPort(glob, port) => {
                let name = event.tls.server_name.as_deref();
                event.server.port == *port && name.is_some_and(|name| glob.matches(name))
            }
            Self::Station(glob) => is_station_of(glob, event),
            Self::Peer(peer) => {
                peer.is_client_of(event) || peer.is_server_of(event) || is_user_of(peer, event)
            }
        }
    }

    /// What a text was taken for, as in `a Community ID`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::FlowId(_) => "a flow id",
            Self::CommunityId(_) => "a Community ID",
            Self::Ends(..) => "the two ends of a connection",
            Self::NameAndPort(..) => "the name of a server, and its port",
            Self::Station(_) => "a hardware address",
            Self::Peer(Peer::Network(_)) => "an address or a network",
            Self::Peer(Peer::Endpoint(_)) => "an address and a port",
            Self::Peer(Peer::Name(_)) => "a name",
        }
    }

    /// The place in the order of time, from 1, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<usize> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

fn is_user_of(peer: &Peer, event: &Handshake) -> bool {
    let user = event.eap.as_ref().and_then(|eap| eap.user_name.as_deref());
    match (peer, user) {
        (Peer::Name(glob), Some(user)) => glob.matches(user),
        _ => false,
    }
}

impl End {
    fn is(self, endpoint: Endpoint) -> bool {
        self.address == endpoint.address && self.port.is_none_or(|port| port == endpoint.port)
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(endpoint) = text.parse::<SocketAddr>() {
            let (address, port) = (endpoint.ip(), Some(endpoint.port()));
            return Some(Self { address, port });
        }
        let address = text.parse().ok()?;
        let port = None;
        Some(Self { address, port })
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_number = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Ok(number)) = (is_number, text.parse()) {
            return match number {
                0 => Err("handshakes are numbered from 1".to_owned()),
                number => Ok(Self::Number(number)),
            };
        }
        if let (16, Ok(id)) = (text.len(), u64::from_str_radix(text, 16)) {
            return Ok(Self::FlowId(id));
        }
        if is_hardware_address(text) {
            return Ok(Self::Station(Glob::new(text)));
        }
        // Version 1 of the Community ID: the base64 of a SHA-1.
        if text.len() == 30 && text.starts_with("1:") {
            return Ok(Self::CommunityId(text.to_owned()));
        }
        let ends = BETWEEN.iter().find_map(|between| {
            let (one, other) = text.split_once(between)?;
            Some((End::read(one)?, End::read(other)?))
        });
        if let Some((one, other)) = ends {
            return Ok(Self::Ends(one, other));
        }
        let port_of = |text: &str| match text {
            "" => Err("the port after `:` is missing".to_owned()),
            text => text
                .parse::<u16>()
                .map_err(|_| format!("`{text}` is not a port")),
        };
        match (text.parse::<Peer>(), text.rsplit_once(':')) {
            (_, Some(("", port))) => Err(match port_of(port) {
                Ok(port) => format!("a port alone is no selector: use `--port {port}`"),
                Err(error) => error,
            }),
            (Err(error), Some((address, port))) => {
                let is_address = address.parse::<IpAddr>().is_ok();
                Err(is_address
                    .then(|| port_of(port).err())
                    .flatten()
                    .unwrap_or(error))
            }
            (Ok(Peer::Name(_)), Some((name, port))) if !name.contains(':') => {
                let port = port_of(port).map_err(|error| match name {
                    "1" => {
                        "it begins as a Community ID, which has 28 characters after `1:`".to_owned()
                    }
                    _ => format!("it was taken for `NAME:PORT`, and {error}"),
                })?;
                Ok(Self::NameAndPort(Glob::new(name), port))
            }
            (peer, _) => peer.map(Self::Peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    #[test]
    fn a_handshake_is_selected_by_whatever_names_it() {
        let event = test_events::refused_by_the_client(); // 10.0.0.1:51234 to example.org at 10.0.0.2:443
        for text in [
            "6f1c0000000000a7",
            "1:3Wq31B/svcJh3Oj7C0+oub5devI=",
            "10.0.0.1:51234-10.0.0.2:443",
            "10.0.0.2:443 -> 10.0.0.1:51234",
            "10.0.0.1 > 10.0.0.2",
            "10.0.0.1 10.0.0.2:443",
            "10.0.0.1:51234",
            "10.0.0.2",
            "10.0.0.0/30",
            "example.org",
            "*.ORG",
            "example.org:443",
        ] {
            let selector: Selector = text.parse().unwrap();
            assert!(selector.selects(&event), "{text}: {selector:?}");
        }
        for text in [
            "6f1c0000000000a8",
            "1:3Wq31B/svcJh3Oj7C0+oub5devA=",
            "10.0.0.1:51235-10.0.0.2:443",
            "10.0.0.1-10.0.0.3",
            "10.0.0.1:443",
            "example.com",
            "example.org:8443",
        ] {
            let selector: Selector = text.parse().unwrap();
            assert!(!selector.selects(&event), "{text}: {selector:?}");
        }
    }

    #[test]
    fn a_login_is_selected_by_its_user_and_by_its_device() {
        let mut event = test_events::completed();
        let selects = |event: &Handshake, text: &str| {
            let selector: Selector = text.parse().unwrap();
            selector.selects(event)
        };
        assert!(!selects(&event, "02:00:00:10:00:01") && !selects(&event, "alice"));
        let eap = crate::event::EapFacts {
            user_name: Some("alice".to_owned()),
            calling_station_id: Some("02-00-00-10-00-01".to_owned()),
            ..Default::default()
        };
        event.eap = Some(Box::new(eap));
        for text in [
            "02:00:00:10:00:01",
            "02-00-00-10-00-01",
            "0200.0010.0001",
            "ALICE",
        ] {
            assert!(selects(&event, text), "{text}");
        }
        for text in ["02:00:00:10:00:02", "bob"] {
            assert!(!selects(&event, text), "{text}");
        }
    }

    #[test]
    fn digits_are_a_number_and_sixteen_of_them_a_flow_id() {
        assert_eq!("12".parse(), Ok(Selector::Number(12)));
        assert_eq!("0000000000000012".parse(), Ok(Selector::FlowId(0x12)));
        assert!(matches!(
            "my-host".parse(),
            Ok(Selector::Peer(Peer::Name(_)))
        ));
        for wrong in ["", "0", "10.0.0", "10.0.0.1/24", "example.org:https"] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
