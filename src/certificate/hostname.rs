//! Whether a certificate is valid for the name that the client requested (RFC 9525 §6).

use std::net::IpAddr;

use super::parse::{AlternativeName, any_alternative_name};
use super::{Certificate, CertificateFacts, name};

/// Whether one of the certificate's alternative names is `server_name`.
///
/// A `*` stands for exactly one label, the left-most, and two more labels must
/// follow, as OpenSSL and NSS require. Case and a final dot are ignored. An IP
/// address matches IP addresses only. Common names are ignored (RFC 9525 §2).
pub(super) fn is_valid_for(
    certificate: &Certificate,
    facts: &CertificateFacts,
    server_name: &str,
) -> bool {
    // Names beyond the limit are not in the facts: then the certificate is parsed again.
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
                _ => false,
            })
}

fn matches(pattern: &str, server_name: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    let server_name = server_name.strip_suffix('.').unwrap_or(server_name);
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            let labels = server_name.split_once('.');
            parent.contains('.')
                && labels.is_some_and(|(label, rest)| {
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
    fn case_and_a_final_dot_are_ignored() {
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
