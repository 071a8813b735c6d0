//! Detects TLS by the first bytes of a direction, on any port.

use super::{ContentType, HandshakeType};

/// What a direction begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// A record with the start of a ClientHello.
    ClientHello,
    /// A record with the start of a ServerHello.
    ServerHello,
    /// An SSLv2 CLIENT-HELLO, with its length after the two length bytes.
    Sslv2ClientHello(usize),
    /// All bytes so far fit, but there are too few to decide.
    Incomplete,
    /// Something else.
    Other,
}

impl Detection {
    /// Bytes that are needed to recognise an SSLv2 CLIENT-HELLO.
    pub const SSLV2_DECISIVE: usize = 11;
}

/// The header of a record: type, version, length.
const RECORD_HEADER: usize = 5;
/// The header of a handshake message: type, length.
const MESSAGE_HEADER: usize = 4;
/// Bytes that are needed to decide: a record header and the type of the first message.
const DECISIVE: usize = RECORD_HEADER + 1;

/// Detects what a direction begins with.
#[must_use]
pub fn detect(bytes: &[u8]) -> Detection {
    match bytes {
        [] => Detection::Incomplete,
        [first, ..] if *first == ContentType::Handshake.0 => detect_record(bytes),
        [first, ..] if first & 0x80 != 0 => detect_sslv2(bytes),
        _ => Detection::Other,
    }
}

fn detect_record(bytes: &[u8]) -> Detection {
    // Records of TLS have version 3.0 to 3.4 and at most 0x4800 bytes (`MAX_FRAGMENT`), which
    // already rules out text and most binary protocols: as much as is there must fit.
    let fits = |index: usize, rule: fn(u8) -> bool| bytes.get(index).is_none_or(|byte| rule(*byte));
    let is_possible =
        fits(1, |major| major == 3) && fits(2, |minor| minor <= 4) && fits(3, |high| high <= 0x48);
    if !is_possible {
        return Detection::Other;
    }
    let Some([.., high, low, handshake_type]) = bytes.first_chunk::<DECISIVE>() else {
        return Detection::Incomplete;
    };
    if *high == 0 && *low == 0 {
        // Only application data may be empty (RFC 8446 §5.1).
        return Detection::Other;
    }
    match HandshakeType(*handshake_type) {
        HandshakeType::ClientHello => Detection::ClientHello,
        HandshakeType::ServerHello | HandshakeType::HelloRetryRequest => Detection::ServerHello,
        _ => Detection::Other,
    }
}

/// RFC 5246 §E.2: two length bytes with the top bit set, type 1, version, and three lengths that add up.
fn detect_sslv2(bytes: &[u8]) -> Detection {
    const FIXED: usize = 9;
    if bytes.get(2).is_some_and(|message_type| *message_type != 1) {
        return Detection::Other;
    }
    let Some(header) = bytes.first_chunk::<{ Detection::SSLV2_DECISIVE }>() else {
        return Detection::Incomplete;
    };
    let number = |index: usize| usize::from(header[index]) << 8 | usize::from(header[index + 1]);
    let length = number(0) & 0x7fff;
    let (version, specs, session_id, challenge) = (number(3), number(5), number(7), number(9));
    let is_version = version == 0x0002 || (0x0300..=0x0304).contains(&version);
    let adds_up = length == FIXED + specs + session_id + challenge;
    if is_version
        && adds_up
        && specs % 3 == 0
        && specs > 0
        && session_id <= 32
        && (8..=32).contains(&challenge)
    {
        Detection::Sslv2ClientHello(length)
    } else {
        Detection::Other
    }
}

/// Whether a segment in the middle of a stream almost certainly begins with a hello.
///
/// Stricter than [`detect`], since it is asked about every segment and random
/// bytes would match some time: the version and length of the message must fit,
/// too. The shortest hello has a version and 32 random bytes, and hellos are sent
/// in the clear, in records of at most 2¹⁴ bytes. A message version that begins
/// with 0x7f is a draft of TLS 1.3.
#[must_use]
#[inline]
pub fn is_hello_amid_stream(bytes: &[u8]) -> bool {
    bytes.first() == Some(&ContentType::Handshake.0) && is_hello_in_record(bytes)
}

/// [`is_hello_amid_stream`] for what begins like a record of handshake messages, as few segments do.
#[inline(never)]
fn is_hello_in_record(bytes: &[u8]) -> bool {
    let Some(
        [
            _,
            3,
            0..=4,
            high,
            low,
            handshake_type,
            0,
            middle,
            end,
            3 | 0x7f,
            _,
        ],
    ) = bytes.first_chunk::<11>()
    else {
        return is_hello_in_tiny_records(bytes);
    };
    let record = usize::from(*high) << 8 | usize::from(*low);
    if record <= MESSAGE_HEADER {
        return is_hello_in_tiny_records(bytes);
    }
    let message = usize::from(*middle) << 8 | usize::from(*end);
    let is_hello = matches!(
        HandshakeType(*handshake_type),
        HandshakeType::ClientHello | HandshakeType::ServerHello | HandshakeType::HelloRetryRequest
    );
    is_hello && message >= 34 && record <= 1 << 14
}

/// The same where the first record is too short for the message's header and its version, as programs write that hide hellos from
/// filters: then the header of another record of handshake messages follows, which says as much.
#[cold]
fn is_hello_in_tiny_records(bytes: &[u8]) -> bool {
    bytes.len() >= HELLO_AMID_STREAM && may_be_hello_in_tiny_records(bytes)
}

/// Whether as many of the first bytes as are there fit such a hello.
fn may_be_hello_in_tiny_records(bytes: &[u8]) -> bool {
    let known = &bytes[..bytes.len().min(HELLO_AMID_STREAM)];
    let (header, rest) = known.split_at(known.len().min(RECORD_HEADER));
    let [content_type, major, minor, 0, length] = *header else {
        return false;
    };
    let is_record = content_type == ContentType::Handshake.0 && major == 3 && minor <= 4;
    let length = usize::from(length);
    let (message, next) = rest.split_at(rest.len().min(length));
    let begins_hello = message
        .iter()
        .zip([HandshakeType::ClientHello.0, 0])
        .all(|(byte, expected)| *byte == expected);
    is_record
        && (1..=MESSAGE_HEADER).contains(&length)
        && begins_hello
        && next.iter().zip(header).all(|(byte, first)| byte == first)
}

/// Whether `bytes` are one record with one whole ClientHello, and nothing behind it.
#[must_use]
pub fn is_whole_client_hello(bytes: &[u8]) -> bool {
    const HEADERS: usize = 9; // of the record, and of the message
    let length = |at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
    is_hello_amid_stream(bytes)
        && HandshakeType(bytes[5]) == HandshakeType::ClientHello
        && length(3) + 5 == bytes.len()
        && length(7) + HEADERS == bytes.len()
}

/// Bytes that [`is_hello_amid_stream`] needs.
pub const HELLO_AMID_STREAM: usize = 11;

/// Whether `bytes` are fewer than [`is_hello_amid_stream`] needs, and may be the first of a hello.
#[must_use]
pub fn may_be_hello_amid_stream(bytes: &[u8]) -> bool {
    let fits = |index: usize, rule: fn(u8) -> bool| bytes.get(index).is_none_or(|byte| rule(*byte));
    let may_be_usual = fits(0, |content_type| content_type == ContentType::Handshake.0)
        && fits(1, |major| major == 3)
        && fits(2, |minor| minor <= 4)
        && fits(3, |high| high <= 0x40)
        && fits(5, |message_type| matches!(message_type, 1 | 2 | 6))
        && fits(6, |high| high == 0)
        && fits(9, |version| matches!(version, 3 | 0x7f));
    (1..HELLO_AMID_STREAM).contains(&bytes.len())
        && (may_be_usual || may_be_hello_in_tiny_records(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3];
    const SSLV2: &[u8] = &[0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16];

    #[test]
    fn detects_hellos() {
        assert_eq!(detect(HELLO), Detection::ClientHello);
        assert_eq!(detect(&[22, 3, 3, 0, 100, 2]), Detection::ServerHello);
        assert_eq!(detect(SSLV2), Detection::Sslv2ClientHello(28));
        assert!(is_hello_amid_stream(HELLO));
    }

    #[test]
    fn every_prefix_of_a_hello_is_incomplete() {
        for length in 0..DECISIVE {
            assert_eq!(detect(&HELLO[..length]), Detection::Incomplete);
        }
        for length in 0..SSLV2.len() {
            assert_eq!(detect(&SSLV2[..length]), Detection::Incomplete);
        }
    }

    #[test]
    fn every_prefix_of_a_hello_amid_a_stream_may_become_one() {
        for length in 1..HELLO.len() {
            assert!(may_be_hello_amid_stream(&HELLO[..length]), "{length}");
        }
        for bytes in [&b""[..], b"G", &[22, 3, 9], &[22, 3, 1, 0, 100, 11], HELLO] {
            assert!(!may_be_hello_amid_stream(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_hello_amid_a_stream_may_be_cut_into_tiny_records() {
        let message = &HELLO[5..];
        for length in 1..=4 {
            let records = message.chunks(length);
            let records =
                records.flat_map(|part| [&[22, 3, 1, 0, length as u8][..], part].concat());
            let bytes: Vec<_> = records.take(11).collect();
            assert!(is_hello_amid_stream(&bytes), "{bytes:?}");
            for known in 1..bytes.len() {
                assert!(may_be_hello_amid_stream(&bytes[..known]), "{known}");
                assert!(!is_hello_amid_stream(&bytes[..known]), "{known}");
            }
            for at in (0..bytes.len()).filter(|at| ![7, 8].contains(at)) {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!is_hello_amid_stream(&other), "{other:?}");
            }
        }
    }

    #[test]
    fn rejects_what_is_not_a_hello() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"SSH-2.0",
            &[22, 2],
            &[22, 3, 9],
            &[22, 3, 1, 0, 5, 11],
            &[23, 3, 3],
            &[0x80, 28, 4],
        ] {
            assert_eq!(detect(bytes), Detection::Other, "{bytes:?}");
        }
        assert!(!is_hello_amid_stream(&HELLO[..10]));
        assert!(!is_hello_amid_stream(&[
            22, 3, 3, 0, 100, 11, 0, 0, 96, 3, 3
        ]));
    }

    #[test]
    fn an_sslv2_hello_must_add_up() {
        let mut bytes = SSLV2.to_vec();
        bytes[1] = 29;
        assert_eq!(detect(&bytes), Detection::Other);
    }
}
