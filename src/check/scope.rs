//! Which handshakes a rule covers.

use crate::event::{Handshake, NotTls, Protocol, ProxyKind, StartTls};
use crate::pattern::{Glob, IpNetwork};

/// Which handshakes a rule covers: those that match an item of every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Patterns for the server name that the client sent; a handshake without one matches none.
    pub(super) server_names: Vec<Glob>,
    /// Networks of the server.
    pub(super) servers: Vec<IpNetwork>,
    /// Ports of the server.
    pub(super) ports: Vec<u16>,
    /// Networks of the client.
    pub(super) clients: Vec<IpNetwork>,
    /// Patterns for a tunnel around the handshake, as events name it; a handshake outside of tunnels matches none.
    pub(super) tunnels: Vec<Glob>,
    /// Protocols whose framing the handshake uses.
    pub(super) protocols: Vec<Protocol>,
    /// Protocols in which TLS was negotiated; a handshake that begins its connection has none.
    pub(super) starttls: Vec<StartTls>,
    /// Kinds of proxies.
    pub(super) proxies: Vec<ProxyKind>,
    /// Patterns for the user's name of a login over EAP; a handshake of another protocol matches none.
    pub(super) user_names: Vec<Glob>,
    /// Patterns for the device of a login over EAP.
    pub(super) calling_station_ids: Vec<Glob>,
}

impl Scope {
    /// Whether it covers every handshake.
    pub(super) const fn is_everything(&self) -> bool {
        self.server_names.is_empty()
            && self.servers.is_empty()
            && self.ports.is_empty()
            && self.clients.is_empty()
            && self.tunnels.is_empty()
            && self.protocols.is_empty()
            && self.starttls.is_empty()
            && self.proxies.is_empty()
            && self.user_names.is_empty()
            && self.calling_station_ids.is_empty()
    }

    /// Whether it covers a connection without TLS, of which neither a server name nor tunnels are known.
    pub(super) fn contains_not_tls(&self, event: &NotTls) -> bool {
        let proxy = event.proxy.as_deref();
        self.server_names.is_empty()
            && self.tunnels.is_empty()
            && self.user_names.is_empty()
            && self.calling_station_ids.is_empty()
            && fits(&self.ports, |port| *port == event.server.port)
            && fits(&self.servers, |network| {
                network.contains(event.server.address)
            })
            && fits(&self.clients, |network| {
                network.contains(event.client.address)
            })
            && fits(&self.protocols, |protocol| *protocol == Protocol::Tls)
            && fits(&self.starttls, |protocol| event.starttls == Some(*protocol))
            && fits(&self.proxies, |kind| {
                proxy.is_some_and(|proxy| proxy.kind == *kind)
            })
    }

    /// Whether it covers `event`.
    pub(super) fn contains(&self, event: &Handshake) -> bool {
        let name = event.tls.server_name.as_deref();
        fits(&self.ports, |port| *port == event.server.port)
            && fits(&self.servers, |network| {
                network.contains(event.server.address)
            })
            && fits(&self.clients, |network| {
                network.contains(event.client.address)
            })
            && fits(&self.tunnels, |glob| {
                let mut tunnels = event.tunnel.iter();
                tunnels.any(|tunnel| glob.matches(&tunnel.to_string()))
            })
            && fits(&self.protocols, |protocol| *protocol == event.protocol)
            && fits(&self.starttls, |protocol| event.starttls == Some(*protocol))
            && fits(&self.proxies, |kind| {
                event
                    .proxy
                    .as_ref()
                    .is_some_and(|proxy| proxy.kind == *kind)
            })
            && fits(&self.server_names, |glob| {
                name.is_some_and(|name| glob.matches(name))
            })
            && fits(&self.user_names, |glob| {
                let user = event.eap.as_ref().and_then(|eap| eap.user_name.as_deref());
                user.is_some_and(|user| glob.matches(user))
            })
            && fits(&self.calling_station_ids, |glob| {
                let eap = event.eap.as_ref();
                let station = eap.and_then(|eap| eap.calling_station_id.as_deref());
                station.is_some_and(|station| glob.matches_station(station))
            })
    }
}

fn fits<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    #[test]
    fn a_scope_requires_a_match_in_every_list_it_has() {
        let event = test_events::refused_by_the_client(); // 10.0.0.1 to example.org at 10.0.0.2:443
        let mut scope = Scope::default();
        assert!(scope.is_everything() && scope.contains(&event));
        scope.ports = vec![8443, 443];
        scope.server_names = vec![Glob::new("*.net"), Glob::new("*.ORG")];
        assert!(!scope.is_everything() && scope.contains(&event));
        scope.clients = vec!["10.0.0.0/31".parse().unwrap()];
        scope.servers = vec!["10.0.0.2".parse().unwrap()];
        assert!(scope.contains(&event));
        scope.servers = vec!["10.0.0.1".parse().unwrap()];
        assert!(!scope.contains(&event));
    }

    #[test]
    fn a_scope_may_be_the_user_or_the_device_of_a_login() {
        let mut event = test_events::completed();
        let users = Scope {
            user_names: vec![Glob::new("*@example.org")],
            ..Scope::default()
        };
        let stations = Scope {
            calling_station_ids: vec![Glob::new("02:00:5e:*")],
            ..Scope::default()
        };
        for scope in [&users, &stations] {
            assert!(!scope.is_everything() && !scope.contains(&event));
        }
        let eap = crate::event::EapFacts {
            user_name: Some("alice@example.org".to_owned()),
            calling_station_id: Some("02-00-5E-10-00-01".to_owned()),
            ..Default::default()
        };
        event.eap = Some(Box::new(eap));
        assert!(users.contains(&event) && stations.contains(&event));
    }

    #[test]
    fn a_scope_may_be_a_dialogue_or_a_kind_of_proxy() {
        let mut event = test_events::refused_by_the_client();
        let scope = Scope {
            starttls: vec![StartTls::Smtp, StartTls::Lmtp],
            ..Scope::default()
        };
        event.starttls = None;
        assert!(!scope.is_everything() && !scope.contains(&event));
        event.starttls = Some(StartTls::Lmtp);
        assert!(scope.contains(&event));
        let scope = Scope {
            proxies: vec![ProxyKind::Socks5],
            ..Scope::default()
        };
        assert!(!scope.is_everything() && !scope.contains(&event));
    }

    #[test]
    fn a_refused_starttls_is_in_scope_by_its_ends_and_its_dialogue() {
        let event = test_events::refused_starttls(); // smtp, 10.0.0.1 to 10.0.0.2:443
        let mut scope = Scope {
            starttls: vec![StartTls::Smtp],
            ports: vec![443],
            servers: vec!["10.0.0.2".parse().unwrap()],
            protocols: vec![Protocol::Tls],
            ..Scope::default()
        };
        assert!(scope.contains_not_tls(&event));
        scope.server_names = vec![Glob::new("*")];
        assert!(!scope.contains_not_tls(&event));
        scope.server_names.clear();
        scope.clients = vec!["10.0.0.2".parse().unwrap()];
        assert!(!scope.contains_not_tls(&event));
    }

    #[test]
    fn a_pattern_for_tunnels_matches_any_of_them() {
        let mut event = test_events::refused_by_the_client();
        let tunnel = |protocol, id| crate::event::Tunnel { protocol, id };
        event.tunnel = vec![tunnel("vxlan", Some(42)), tunnel("ipip", None)];
        let is_in = |pattern, event: &Handshake| {
            let tunnels = vec![Glob::new(pattern)];
            let scope = Scope {
                tunnels,
                ..Scope::default()
            };
            scope.contains(event)
        };
        assert!(is_in("vxlan:*", &event) && is_in("ipip", &event) && is_in("*", &event));
        assert!(!is_in("vxlan", &event) && !is_in("gre*", &event));
        event.tunnel.clear();
        assert!(!is_in("*", &event));
    }

    #[test]
    fn a_scope_may_be_a_protocol() {
        let mut event = test_events::refused_by_the_client();
        let scope = Scope {
            protocols: vec![Protocol::Dtls, Protocol::Quic],
            ..Scope::default()
        };
        assert!(!scope.is_everything() && !scope.contains(&event));
        event.protocol = Protocol::Dtls;
        assert!(scope.contains(&event));
    }

    #[test]
    fn a_handshake_without_a_server_name_matches_no_pattern() {
        let scope = Scope {
            server_names: vec![Glob::new("*")],
            ..Scope::default()
        };
        assert!(!scope.contains(&test_events::barely_seen()));
    }
}
