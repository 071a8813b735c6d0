//! Distinguished names as text (RFC 4514).

use super::der::{self, Elements};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03]; // 2.5.4.3

/// The text of a DER-encoded `Name` in RFC 4514 form, as in `CN=example.org,O=Example\, Inc.`.
///
/// The most specific part comes first, which is the reverse of the encoding.
/// Attribute types have the short names that OpenSSL knows; any other is a
/// dotted OID with a hexadecimal value. A value that is not a valid string is
/// hexadecimal, too. Characters beyond ASCII are not escaped, control characters are.
///
/// `None` if `der` is not a `Name`.
///
/// # Example
///
/// ```
/// use tlscope::certificate::distinguished_name;
///
/// let der = b"\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03a,b";
/// assert_eq!(distinguished_name(der).as_deref(), Some("CN=a\\,b"));
/// assert_eq!(distinguished_name(b"\x30\x00").as_deref(), Some(""));
/// assert_eq!(distinguished_name(b"\x04\x00"), None);
/// ```
#[must_use]
pub fn distinguished_name(der: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut separator = None;
    for attribute in attributes(der)?.iter().rev() {
        text.extend(separator);
        attribute.push_to(&mut text);
        separator = Some(if attribute.begins_rdn { ',' } else { '+' });
    }
    Some(text)
}

/// The most specific common name in a DER-encoded `Name`: the last in the encoding.
pub(super) fn common_name(der: &[u8]) -> Option<String> {
    attributes(der)?
        .iter()
        .rev()
        .find(|attribute| attribute.oid == COMMON_NAME)
        .and_then(|attribute| decode(attribute.value))
}

/// One AttributeTypeAndValue (RFC 5280 §4.1.2.4).
struct Attribute<'a> {
    /// Whether it is the first of its relative distinguished name.
    begins_rdn: bool,
    oid: &'a [u8],
    value: der::Element<'a>,
}

/// The attributes of a `Name` in the order of the encoding.
fn attributes(der: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut all = Vec::new();
    for rdn in Elements::within(der, der::SEQUENCE)? {
        let mut begins_rdn = true;
        for attribute in Elements::within(rdn.raw, der::SET)? {
            let mut parts = Elements::within(attribute.raw, der::SEQUENCE)?;
            let oid = parts.content(der::OBJECT_IDENTIFIER)?;
            let value = parts.next()?;
            all.push(Attribute {
                begins_rdn,
                oid,
                value,
            });
            begins_rdn = false;
        }
    }
    Some(all)
}

impl Attribute<'_> {
    fn push_to(&self, text: &mut String) {
        let name = short_name(self.oid);
        match name {
            Some(name) => text.push_str(name),
            None => text.push_str(&der::dotted(self.oid)),
        }
        text.push('=');
        match name.and_then(|_| decode(self.value)) {
            Some(value) => push_escaped(text, &value),
            None => {
                text.push('#');
                text.push_str(&der::hex(self.value.raw).to_ascii_uppercase());
            }
        }
    }
}

/// RFC 4514 §2.4.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().wrapping_sub(1);
    for (index, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            '#' if index == 0 => text.push_str("\\#"),
            _ if character.is_control() => push_octets(text, character),
            _ => text.push(character),
        }
    }
}

/// Each octet of the character's UTF-8 as a backslash and two hexadecimal digits.
fn push_octets(text: &mut String, character: char) {
    for octet in character.encode_utf8(&mut [0; 4]).bytes() {
        text.push_str(&format!("\\{octet:02X}"));
    }
}

/// The text of a string value; `None` if it is not a string or not valid in its encoding.
fn decode(value: der::Element<'_>) -> Option<String> {
    match value.tag {
        12 => String::from_utf8(value.content.to_vec()).ok(), // UTF8String
        18 | 19 | 22 | 26 => Some(ascii(value.content)),      // Numeric, Printable, IA5, Visible
        20 => Some(latin1(value.content)), // TeletexString: in practice Latin-1, not T.61
        28 => utf32(value.content),        // UniversalString
        30 => utf16(value.content),        // BMPString
        _ => None,
    }
}

/// Text in a type that allows ASCII only. Issuers that put other bytes into it mean UTF-8 or else Latin-1.
pub(super) fn ascii(content: &[u8]) -> String {
    match std::str::from_utf8(content) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(content),
    }
}

fn latin1(content: &[u8]) -> String {
    content.iter().copied().map(char::from).collect()
}

fn utf16(content: &[u8]) -> Option<String> {
    let (units, rest) = content.as_chunks::<2>();
    let units = units.iter().copied().map(u16::from_be_bytes);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

fn utf32(content: &[u8]) -> Option<String> {
    let (units, rest) = content.as_chunks::<4>();
    let units = units.iter().copied().map(u32::from_be_bytes);
    let text: Option<String> = units.map(char::from_u32).collect();
    text.filter(|_| rest.is_empty())
}

/// The arcs of object identifiers under which attribute types with short names are.
mod arc {
    /// 2.5.4
    pub(super) const ATTRIBUTE_TYPES: &[u8] = &[0x55, 0x04];
    /// 0.9.2342.19200300.100.1
    pub(super) const PILOT_ATTRIBUTE_TYPES: &[u8] =
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01];
    /// 1.2.840.113549.1.9
    pub(super) const PKCS9: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09];
    /// 1.3.6.1.4.1.311.60.2.1
    pub(super) const JURISDICTION: &[u8] =
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x3c, 0x02, 0x01];
}

/// The short names of RFC 4514 §3 and, beyond those, of OpenSSL.
fn short_name(oid: &[u8]) -> Option<&'static str> {
    let (&last, arc) = oid.split_last()?;
    Some(match (arc, last) {
        (arc::ATTRIBUTE_TYPES, 3) => "CN",
        (arc::ATTRIBUTE_TYPES, 4) => "SN",
        (arc::ATTRIBUTE_TYPES, 5) => "serialNumber",
        (arc::ATTRIBUTE_TYPES, 6) => "C",
        (arc::ATTRIBUTE_TYPES, 7) => "L",
        (arc::ATTRIBUTE_TYPES, 8) => "ST",
        (arc::ATTRIBUTE_TYPES, 9) => "STREET", // OpenSSL has it in lower case
        (arc::ATTRIBUTE_TYPES, 10) => "O",
        (arc::ATTRIBUTE_TYPES, 11) => "OU",
        (arc::ATTRIBUTE_TYPES, 12) => "title",
        (arc::ATTRIBUTE_TYPES, 13) => "description",
        (arc::ATTRIBUTE_TYPES, 15) => "businessCategory",
        (arc::ATTRIBUTE_TYPES, 16) => "postalAddress",
        (arc::ATTRIBUTE_TYPES, 17) => "postalCode",
        (arc::ATTRIBUTE_TYPES, 18) => "postOfficeBox",
        (arc::ATTRIBUTE_TYPES, 20) => "telephoneNumber",
        (arc::ATTRIBUTE_TYPES, 41) => "name",
        (arc::ATTRIBUTE_TYPES, 42) => "GN",
        (arc::ATTRIBUTE_TYPES, 43) => "initials",
        (arc::ATTRIBUTE_TYPES, 44) => "generationQualifier",
        (arc::ATTRIBUTE_TYPES, 45) => "x500UniqueIdentifier",
        (arc::ATTRIBUTE_TYPES, 46) => "dnQualifier",
        (arc::ATTRIBUTE_TYPES, 65) => "pseudonym",
        (arc::ATTRIBUTE_TYPES, 97) => "organizationIdentifier",
        (arc::PILOT_ATTRIBUTE_TYPES, 1) => "UID",
        (arc::PILOT_ATTRIBUTE_TYPES, 3) => "mail",
        (arc::PILOT_ATTRIBUTE_TYPES, 25) => "DC",
        (arc::PKCS9, 1) => "emailAddress",
        (arc::PKCS9, 2) => "unstructuredName",
        (arc::PKCS9, 8) => "unstructuredAddress",
        (arc::JURISDICTION, 1) => "jurisdictionL",
        (arc::JURISDICTION, 2) => "jurisdictionST",
        (arc::JURISDICTION, 3) => "jurisdictionC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::support::element;
    use super::*;

    const CN: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const OU: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x0b];

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(0x30, &[oid, &element(tag, value)].concat())
    }

    /// A name with one attribute in each relative distinguished name.
    fn name(attributes: &[Vec<u8>]) -> Vec<u8> {
        let rdns: Vec<_> = attributes.iter().map(|a| element(0x31, a)).collect();
        element(0x30, &rdns.concat())
    }

    fn text(tag: u8, value: &[u8]) -> String {
        distinguished_name(&name(&[attribute(CN, tag, value)])).unwrap()
    }

    #[test]
    fn the_most_specific_part_comes_first_and_a_set_is_joined_by_plus() {
        let set = element(
            0x31,
            &[attribute(CN, 12, b"a"), attribute(OU, 12, b"b")].concat(),
        );
        let rdn = element(0x31, &attribute(&[0x06, 0x03, 0x55, 0x04, 0x06], 19, b"DE"));
        let der = element(0x30, &[rdn, set].concat());
        assert_eq!(distinguished_name(&der).unwrap(), "OU=b+CN=a,C=DE");
    }

    #[test]
    fn special_characters_are_escaped() {
        let cases: [(&[u8], &str); 9] = [
            (b"Example, Inc.", "CN=Example\\, Inc."),
            (b"a+b\"c\\d<e>f;g=h", "CN=a\\+b\\\"c\\\\d\\<e\\>f\\;g=h"),
            (b" lead and trail ", "CN=\\ lead and trail\\ "),
            (b" ", "CN=\\ "),
            (b"#1 #2", "CN=\\#1 #2"),
            (b"nul\0 lf\n", "CN=nul\\00 lf\\0A"),
            (b"", "CN="),
            ("M\u{fc}ller".as_bytes(), "CN=M\u{fc}ller"),
            ("\u{85}".as_bytes(), "CN=\\C2\\85"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(12, value), expected);
        }
    }

    #[test]
    fn every_string_type_is_decoded() {
        assert_eq!(text(18, b"12"), "CN=12");
        assert_eq!(text(19, b"ab"), "CN=ab");
        assert_eq!(text(20, b"M\xfcller"), "CN=M\u{fc}ller");
        assert_eq!(text(22, b"a@b"), "CN=a@b");
        assert_eq!(text(26, b"ab"), "CN=ab");
        assert_eq!(text(28, b"\0\0\0M\0\x01\xf6\x00"), "CN=M\u{1f600}");
        assert_eq!(text(30, b"\0M\xd8\x3d\xde\x00"), "CN=M\u{1f600}");
        assert_eq!(text(19, "\u{fc}".as_bytes()), "CN=\u{fc}");
        assert_eq!(text(19, b"\xfc"), "CN=\u{fc}");
    }

    #[test]
    fn a_value_that_is_not_a_valid_string_is_hexadecimal() {
        assert_eq!(text(12, b"\xff"), "CN=#0C01FF");
        assert_eq!(text(30, b"\0"), "CN=#1E0100");
        assert_eq!(text(30, b"\xd8\x00"), "CN=#1E02D800");
        assert_eq!(text(28, b"\0\x11\0\0"), "CN=#1C0400110000");
        assert_eq!(text(3, b"\0\x01"), "CN=#03020001");
    }

    #[test]
    fn types_of_every_arc_have_a_short_name() {
        let types: [(&[u8], &str, &str); 4] = [
            (&[0x55, 4, 97], "2.5.4.97", "organizationIdentifier"),
            (
                &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
                "0.9.2342.19200300.100.1.25",
                "DC",
            ),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
                "1.2.840.113549.1.9.1",
                "emailAddress",
            ),
            (
                &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, 3],
                "1.3.6.1.4.1.311.60.2.1.3",
                "jurisdictionC",
            ),
        ];
        for (oid, dotted, name) in types {
            assert_eq!(der::dotted(oid), dotted);
            assert_eq!(short_name(oid), Some(name));
            assert_eq!(short_name(&[oid, &[1]].concat()), None);
        }
    }

    #[test]
    fn an_unknown_type_is_a_dotted_oid_with_a_hexadecimal_value() {
        let der = name(&[attribute(&[0x06, 0x03, 0x2a, 0x03, 0x04], 12, b"Hi")]);
        assert_eq!(distinguished_name(&der).unwrap(), "1.2.3.4=#0C024869");
    }

    #[test]
    fn the_last_common_name_counts() {
        let der = name(&[
            attribute(CN, 12, b"first"),
            attribute(CN, 12, b"last"),
            attribute(OU, 12, b"unit"),
        ]);
        assert_eq!(common_name(&der).as_deref(), Some("last"));
        assert_eq!(common_name(&name(&[attribute(OU, 12, b"unit")])), None);
    }

    #[test]
    fn no_prefix_of_a_name_is_a_name() {
        let der = name(&[attribute(CN, 12, b"first"), attribute(OU, 12, b"unit")]);
        for end in 0..der.len() {
            assert_eq!(distinguished_name(&der[..end]), None, "{end} bytes");
        }
    }
}
