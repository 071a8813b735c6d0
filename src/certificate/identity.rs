//! The name by which a person recognises a certificate.

use std::borrow::Cow;

use super::{Certificate, CertificateFacts};

impl Certificate {
    /// The subject, in RFC 4514 form; empty if it has none, or cannot be read.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.facts.as_ref().map_or("", |facts| &facts.subject)
    }

    /// As [`CertificateFacts::identity`]; empty if it cannot be read.
    #[must_use]
    pub fn identity(&self) -> Cow<'_, str> {
        let facts = self.facts.as_ref();
        facts.map_or(Cow::Borrowed(""), CertificateFacts::identity)
    }
}

impl CertificateFacts {
    /// The name that a person recognises; never empty.
    ///
    /// The first of these that it has: a SPIFFE ID (a URI with the scheme `spiffe`),
    /// a DNS name, an IP address, an e-mail address, a user principal name, the
    /// common name, the subject, and `serial …`. Public CAs issue certificates with
    /// an empty subject, and workload certificates have their name in the URI alone.
    #[must_use]
    pub fn identity(&self) -> Cow<'_, str> {
        let spiffe = self.uris.iter().find(|uri| is_spiffe_id(uri));
        let named = spiffe.or_else(|| written(&self.dns_names));
        if let Some(name) = named {
            return Cow::Borrowed(name);
        }
        if let Some(address) = self.ip_addresses.first() {
            return Cow::Owned(address.to_string());
        }
        let person = written(&self.emails).or_else(|| written(&self.upns));
        let name = person
            .or_else(|| written(self.common_name.as_slice()))
            .or_else(|| Some(&self.subject).filter(|subject| !subject.is_empty()));
        match name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("serial {}", self.serial)),
        }
    }

    /// Every name of a kind that this type has a field for, as text.
    pub fn alternative_names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let addresses = self.ip_addresses.iter();
        let addresses = addresses.map(|address| Cow::Owned(address.to_string()));
        let others = self.uris.iter().chain(&self.emails).chain(&self.upns);
        let borrowed = |name| Cow::Borrowed(String::as_str(name));
        let names = self.dns_names.iter().map(borrowed);
        names.chain(addresses).chain(others.map(borrowed))
    }
}

/// The first name that has any character.
fn written(names: &[String]) -> Option<&String> {
    names.iter().find(|name| !name.trim().is_empty())
}

/// Schemes compare without regard to case (RFC 3986 §3.1).
fn is_spiffe_id(uri: &str) -> bool {
    let scheme = uri.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe"))
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, element, extension, oid, sequence};
    use super::*;

    /// A subject alternative name extension of these elements.
    fn names(elements: &[Vec<u8>]) -> Vec<u8> {
        extension("2.5.29.17", &element(0x30, &elements.concat()))
    }

    fn other_name(kind: &str, text: &[u8]) -> Vec<u8> {
        let value = element(0xa0, &element(12, text));
        element(0xa0, &[oid(kind), value].concat())
    }

    fn facts(elements: &[Vec<u8>]) -> CertificateFacts {
        let template = Template {
            extensions: vec![names(elements)],
            ..Template::default()
        };
        template.facts()
    }

    #[test]
    fn each_kind_of_name_gives_way_to_the_one_before_it() {
        let uri = |text: &str| element(0x86, text.as_bytes());
        let all = [
            uri("https://a.example/"),
            uri("SPIFFE://a.example/ns/b"),
            element(0x82, b"a.example"),
            element(0x87, &[192, 0, 2, 1]),
            element(0x81, b"ann@a.example"),
            other_name("1.3.6.1.4.1.311.20.2.3", b"ann@corp.example"),
        ];
        let identity = |from: usize| facts(&all[from..]).identity().into_owned();
        assert_eq!(identity(0), "SPIFFE://a.example/ns/b");
        assert_eq!(identity(2), "a.example");
        assert_eq!(identity(3), "192.0.2.1");
        assert_eq!(identity(4), "ann@a.example");
        assert_eq!(identity(5), "ann@corp.example");
        assert_eq!(identity(6), "leaf", "the common name");
        assert_eq!(facts(&all[..1]).identity(), "leaf", "not a SPIFFE ID");
    }

    #[test]
    fn without_a_common_name_the_subject_and_then_the_serial_number_names_it() {
        let mut facts = facts(&[]);
        facts.common_name = Some(" ".to_owned());
        assert_eq!(facts.identity(), "CN=leaf");
        facts.subject.clear();
        assert_eq!(facts.identity(), "serial 01");
        facts.dns_names = vec![String::new(), "b.example".to_owned()];
        assert_eq!(facts.identity(), "b.example", "an empty name names nobody");
    }

    #[test]
    fn names_of_every_kind_are_listed_as_written() {
        let facts = facts(&[
            element(0x86, b"spiffe://a.example/b"),
            element(0x81, b"ann@a.example"),
            other_name("1.3.6.1.5.5.7.8.9", "\u{fc}@a.example".as_bytes()),
            other_name("1.3.6.1.4.1.311.20.2.3", b"ann@corp.example"),
            other_name("1.2.3", b"unknown kind"),
            element(0xa0, &sequence(&[])),
        ]);
        assert_eq!(facts.uris, ["spiffe://a.example/b"]);
        assert_eq!(facts.emails, ["ann@a.example", "\u{fc}@a.example"]);
        assert_eq!(facts.upns, ["ann@corp.example"]);
        assert_eq!(facts.alternative_names().count(), 4);
    }

    #[test]
    fn a_user_principal_name_that_is_cut_short_is_ignored() {
        let whole = other_name("1.3.6.1.4.1.311.20.2.3", b"ann@corp.example");
        let Some((_, inside)) = whole.split_at_checked(2) else {
            unreachable!("longer than its header");
        };
        for end in 0..inside.len() {
            let cut = element(0xa0, &inside[..end]);
            assert!(facts(&[cut]).upns.is_empty(), "{end} bytes");
        }
    }
}
