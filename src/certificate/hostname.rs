//! Whether a certificate is valid for the name that a client asked for (RFC 9525 §6).

use std::net::IpAddr;

use super::parse::{AlternativeName, any_alternative_name};
use super::{Certificate, CertificateFacts, name};

/// Whether one of the certificate's alternative names is `server_name`.
///
/// A `*` stands for exactly one label, the left-most, and two more must follow
/// it, as OpenSSL and NSS demand. Case and a final dot do not matter. A name
/// that is an IP address matches IP addresses alone. Common names do not count.
pub(super) fn is_valid_for(
    certificate: &Certificate,
    facts: &CertificateFacts,
    server_name: &str,
) -> bool {
    if let Ok(address) = server_name.parse::<IpAddr>() {
        return facts.ip_addresses.contains(&address)
            || facts.names_omitted > 0
                && any_alternative_name(&certificate.der, |name| {
                    name == AlternativeName::Ip(address)
                });
    }
    facts
        .dns_names
        .iter()
        .any(|pattern| matches(pattern, server_name))
        || facts.names_omitted > 0
            && any_alternative_name(&certificate.der, |name| match name {
                AlternativeName::Dns(pattern) => matches(&name::ascii(pattern), server_name),
                AlternativeName::Ip(_) => false,
            })
}

fn matches(pattern: &str, server_name: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    let server_name = server_name.strip_suffix('.').unwrap_or(server_name);
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            let below = server_name.split_once('.');
            parent.contains('.')
                && below.is_some_and(|(label, rest)| {
                    !label.is_empty() && rest.eq_ignore_ascii_case(parent)
                })
        }
        None => !pattern.is_empty() && pattern.eq_ignore_ascii_case(server_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_without_regard_to_case_and_final_dot() {
        assert!(matches("example.org", "Example.ORG"));
        assert!(matches("example.org.", "example.org"));
        assert!(matches("example.org", "example.org."));
        assert!(matches("*.Example.org", "www.example.ORG."));
    }

    #[test]
    fn other_names_do_not_match() {
        let cases = [
            ("example.org", "www.example.org"),
            ("www.example.org", "example.org"),
            ("", ""),
            (".", "."),
            ("example.org..", "example.org"),
        ];
        for (pattern, server_name) in cases {
            assert!(!matches(pattern, server_name), "{pattern} {server_name}");
        }
    }

    #[test]
    fn a_wildcard_is_one_whole_label_on_the_left() {
        assert!(matches("*.example.org", "www.example.org"));
        let cases = [
            ("*.example.org", "example.org"),
            ("*.example.org", "a.b.example.org"),
            ("*.example.org", ".example.org"),
            ("w*.example.org", "www.example.org"),
            ("www.*.org", "www.example.org"),
            ("*.org", "example.org"),
            ("*", "localhost"),
            ("*.*.org", "a.example.org"),
        ];
        for (pattern, server_name) in cases {
            assert!(!matches(pattern, server_name), "{pattern} {server_name}");
        }
    }
}
