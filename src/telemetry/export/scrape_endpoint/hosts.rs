//! Which `Host` a request may name.
//!
//! A web page can make a browser connect to a loopback address under a name of its own (DNS
//! rebinding) and read the answer. The `Host` header betrays it: it has the name of the page. An
//! endpoint that is bound to another address is open to the network anyway, under any name.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Uri};

/// The host names that requests may use.
pub(super) struct AllowedHosts {
    /// Whether every name is allowed.
    any: bool,
    /// In lower case.
    names: Vec<String>,
}

impl AllowedHosts {
    /// With `address` on the loopback interface, the names of this host and `names` are
    /// allowed; else every name.
    pub(super) fn new(address: IpAddr, names: &[String]) -> Self {
        Self {
            any: !address.to_canonical().is_loopback(),
            names: names.iter().map(|name| name.to_lowercase()).collect(),
        }
    }

    /// Whether a request may be answered. One without a host is allowed: browsers always send it.
    pub(super) fn allow(&self, target: &Uri, headers: &HeaderMap) -> bool {
        let in_target = target.authority().map(Authority::as_str);
        let in_headers = headers.get_all(HOST).iter();
        let mut hosts = in_headers
            .map(|value| value.to_str().ok())
            .chain(in_target.map(Some));
        self.any || hosts.all(|host| host.is_some_and(|host| self.allows(host)))
    }

    fn allows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().to_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse();
        match address {
            // An address is not a name that an attacker can point elsewhere.
            Ok(address) => IpAddr::to_canonical(&address).is_loopback(),
            Err(_) => name == "localhost" || self.names.contains(&name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(bound: &str, host: &str) -> bool {
        let hosts = AllowedHosts::new(bound.parse().unwrap(), &["Metrics.Example".to_owned()]);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        hosts.allow(&Uri::from_static("/metrics"), &headers)
    }

    #[test]
    fn a_loopback_endpoint_answers_to_its_own_names_only() {
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "127.8.8.8",
            "[::1]:9464",
            "[::ffff:127.0.0.1]",
            "metrics.example:80",
        ] {
            assert!(allow("127.0.0.1", host), "{host}");
            assert!(allow("::1", host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "192.0.2.1",
            "user@localhost@example.org",
            "",
        ] {
            assert!(!allow("127.0.0.1", host), "{host}");
            assert!(!allow("::1", host), "{host}");
        }
    }

    #[test]
    fn an_endpoint_open_to_the_network_answers_to_every_name() {
        for bound in ["0.0.0.0", "::", "192.0.2.1"] {
            assert!(allow(bound, "example.org"), "{bound}");
        }
    }

    #[test]
    fn a_request_without_a_host_is_answered() {
        let hosts = AllowedHosts::new([127, 0, 0, 1].into(), &[]);
        assert!(hosts.allow(&Uri::from_static("/"), &HeaderMap::new()));
        let target = Uri::from_static("http://example.org/");
        assert!(!hosts.allow(&target, &HeaderMap::new()));
    }
}
