//! JA3, JA3S and JA4: hashes over the lists in a hello, which identify TLS implementations.
//!
//! JA3 and JA3S are Salesforce's (2017): MD5 over decimal lists. JA4 is
//! FoxIO's (2023, BSD licence); its siblings (JA4S and on) are not freely
//! licensed and are left out. All of them ignore GREASE values.

use std::fmt::Write as _;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::client_hello::ClientHello;
use super::server_hello::ServerHello;
use super::{ExtensionType, ProtocolVersion, is_grease};

/// The fingerprints of one handshake; `None` if the hello was not seen or fingerprints are turned off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// JA3 of the ClientHello: MD5, lower-case hexadecimal.
    pub ja3: Option<Arc<str>>,
    /// JA3S of the ServerHello: MD5, lower-case hexadecimal.
    pub ja3s: Option<Arc<str>>,
    /// JA4 of the ClientHello.
    pub ja4: Option<Arc<str>>,
}

pub(super) fn ja3(hello: &ClientHello) -> String {
    let mut text = String::with_capacity(256);
    push_decimal(&mut text, hello.legacy_version.0);
    text.push(',');
    push_list(&mut text, hello.cipher_suites.iter().map(|suite| suite.0));
    text.push(',');
    push_list(
        &mut text,
        hello.extensions.iter().map(|extension| extension.0),
    );
    text.push(',');
    push_list(
        &mut text,
        hello.groups.iter().flatten().map(|group| group.0),
    );
    text.push(',');
    push_list(
        &mut text,
        hello.point_formats.iter().map(|format| u16::from(*format)),
    );
    hex(&Md5::digest(text))
}

pub(super) fn ja3s(hello: &ServerHello) -> String {
    let mut text = String::with_capacity(64);
    push_decimal(&mut text, hello.legacy_version.0);
    text.push(',');
    push_list(&mut text, hello.cipher_suite.iter().map(|suite| suite.0));
    text.push(',');
    push_list(
        &mut text,
        hello.extensions.iter().map(|extension| extension.0),
    );
    hex(&Md5::digest(text))
}

/// JA4 of a hello over `transport`: `t` for TCP, `q` for QUIC, `d` for DTLS.
pub(super) fn ja4(hello: &ClientHello, transport: char) -> String {
    let mut suites: Vec<u16> = without_grease(hello.cipher_suites.iter().map(|suite| suite.0));
    let mut extensions: Vec<u16> =
        without_grease(hello.extensions.iter().map(|extension| extension.0));
    let has_name = extensions.contains(&ExtensionType::ServerName.0);
    let mut text = String::with_capacity(36);
    text.push(transport);
    text.push_str(version_code(hello));
    text.push(if has_name { 'd' } else { 'i' });
    let _ = write!(
        text,
        "{:02}{:02}",
        suites.len().min(99),
        extensions.len().min(99)
    );
    push_alpn_ends(&mut text, hello.alpn_ends);

    suites.sort_unstable();
    text.push('_');
    text.push_str(&truncated_hash(&hex_list(&suites)));

    extensions.retain(|extension| {
        ![
            ExtensionType::ServerName,
            ExtensionType::ApplicationLayerProtocolNegotiation,
        ]
        .contains(&ExtensionType(*extension))
    });
    extensions.sort_unstable();
    let mut listed = hex_list(&extensions);
    let schemes = without_grease(
        hello
            .signature_algorithms
            .iter()
            .flatten()
            .map(|scheme| scheme.0),
    );
    if !schemes.is_empty() && !listed.is_empty() {
        listed.push('_');
        listed.push_str(&hex_list(&schemes));
    }
    text.push('_');
    text.push_str(&truncated_hash(&listed));
    text
}

/// The highest offered version in JA4's two letters.
fn version_code(hello: &ClientHello) -> &'static str {
    let offered = hello
        .supported_versions
        .iter()
        .flatten()
        .filter(|version| !is_grease(version.0));
    // The numbers of DTLS count down.
    let highest = if hello.legacy_version.is_dtls() {
        offered.min()
    } else {
        offered.max()
    };
    match highest.copied().unwrap_or(hello.legacy_version) {
        ProtocolVersion::TLSv1_3 => "13",
        ProtocolVersion::TLSv1_2 => "12",
        ProtocolVersion::TLSv1_1 => "11",
        ProtocolVersion::TLSv1_0 => "10",
        ProtocolVersion::SSLv3 => "s3",
        ProtocolVersion::SSLv2 => "s2",
        ProtocolVersion::DTLSv1_0 => "d1",
        ProtocolVersion::DTLSv1_2 => "d2",
        ProtocolVersion::DTLSv1_3 => "d3",
        _ => "00",
    }
}

/// First and last character of the first ALPN value; if either is not alphanumeric, the first and last digit of its hexadecimal form.
fn push_alpn_ends(text: &mut String, ends: Option<(u8, u8)>) {
    match ends {
        None => text.push_str("00"),
        Some((first, last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            text.push(char::from(first));
            text.push(char::from(last));
        }
        Some((first, last)) => {
            let _ = write!(text, "{:x}{:x}", first >> 4, last & 15);
        }
    }
}

fn without_grease(values: impl Iterator<Item = u16>) -> Vec<u16> {
    values.filter(|value| !is_grease(*value)).collect()
}

/// Decimal values joined with dashes, without GREASE.
fn push_list(text: &mut String, values: impl Iterator<Item = u16>) {
    let start = text.len();
    for value in values.filter(|value| !is_grease(*value)) {
        if text.len() > start {
            text.push('-');
        }
        push_decimal(text, value);
    }
}

/// Appends a number. A hello has about a hundred, which makes `write!` too slow here.
fn push_decimal(text: &mut String, value: u16) {
    let mut divisor = match value {
        0..10 => 1,
        10..100 => 10,
        100..1_000 => 100,
        1_000..10_000 => 1_000,
        10_000.. => 10_000,
    };
    while divisor > 0 {
        text.push(digit(value / divisor % 10));
        divisor /= 10;
    }
}

/// Four hexadecimal digits each, joined with commas.
fn hex_list(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for value in values {
        if !text.is_empty() {
            text.push(',');
        }
        push_hex(&mut text, &value.to_be_bytes());
    }
    text
}

/// The first 12 digits of the SHA-256 of a list, or zeros for an empty one.
fn truncated_hash(list: &str) -> String {
    if list.is_empty() {
        return "000000000000".to_owned();
    }
    hex(&Sha256::digest(list)[..6])
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(digit(u16::from(byte >> 4)));
        text.push(digit(u16::from(byte & 15)));
    }
}

/// A digit of a base up to 16.
fn digit(value: u16) -> char {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    char::from(DIGITS[usize::from(value & 15)])
}

#[cfg(test)]
mod tests {
    use super::super::{CipherSuite, NamedGroup, SignatureScheme};
    use super::*;

    fn hello() -> ClientHello {
        ClientHello {
            legacy_version: ProtocolVersion::TLSv1_2,
            cipher_suites: [0x0a0a, 0x1302, 0x1301].map(CipherSuite).to_vec(),
            extensions: [0, 0x1a1a, 16, 10, 11, 13, 43].map(ExtensionType).to_vec(),
            supported_versions: Some([0x3a3a, 0x0304, 0x0303].map(ProtocolVersion).to_vec()),
            groups: Some([0x2a2a, 29, 23].map(NamedGroup).to_vec()),
            point_formats: vec![0],
            signature_algorithms: Some([0x0804, 0x0403].map(SignatureScheme).to_vec()),
            alpn_ends: Some((b'h', b'2')),
            ..ClientHello::default()
        }
    }

    #[test]
    fn ja3_hashes_the_lists_without_grease() {
        assert_eq!(
            ja3(&hello()),
            hex(&Md5::digest("771,4866-4865,0-16-10-11-13-43,29-23,0"))
        );
        assert_eq!(ja3(&ClientHello::default()), hex(&Md5::digest("0,,,,")));
    }

    #[test]
    fn numbers_are_written_as_by_the_standard_library() {
        for value in
            (0..=u16::MAX)
                .step_by(7)
                .chain([9, 10, 99, 100, 999, 1_000, 9_999, 10_000, u16::MAX])
        {
            let mut text = String::new();
            push_decimal(&mut text, value);
            assert_eq!(text, value.to_string());
            assert_eq!(hex_list(&[value]), format!("{value:04x}"));
        }
    }

    #[test]
    fn ja4_sorts_suites_and_extensions_but_not_schemes() {
        let suites = hex(&Sha256::digest("1301,1302")[..6]);
        let extensions = hex(&Sha256::digest("000a,000b,000d,002b_0804,0403")[..6]);
        assert_eq!(
            ja4(&hello(), 't'),
            format!("t13d0206h2_{suites}_{extensions}")
        );
    }

    #[test]
    fn ja4_of_an_empty_hello_is_zeros() {
        assert_eq!(
            ja4(&ClientHello::default(), 't'),
            "t00i000000_000000000000_000000000000"
        );
    }

    #[test]
    fn ja4_writes_an_alpn_that_is_not_alphanumeric_in_hexadecimal() {
        let odd = ClientHello {
            alpn_ends: Some((0xab, 0xcd)),
            ..hello()
        };
        assert!(ja4(&odd, 't').starts_with("t13d0206ad_"));
    }
}
