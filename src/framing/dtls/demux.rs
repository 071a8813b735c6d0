//! Which datagrams carry DTLS, and where in them it begins.
//!
//! WebRTC speaks STUN, TURN, DTLS and RTP on one port, and the first byte tells them apart (RFC 7983 §7):
//!
//! ```text
//!   0 to 3    STUN; its Send and Data indications carry the data of a peer (RFC 8656 §11)
//!  20 to 63   DTLS
//!  64 to 79   TURN ChannelData (RFC 8656 §12.4)
//! 128 to 191  RTP and RTCP
//! ```
//!
//! CAPWAP has a header of four bytes before its DTLS (RFC 5415 §4.2).

use crate::tls::{ContentType, HandshakeType, ProtocolVersion, RETRY_RANDOM, Reader};

use super::fragment::Fragment;
use super::record::{Header, Record};

/// What a datagram has of DTLS: the payload of a tunnel's packet, or all of it; `None` if it has none.
///
/// Looks at no more than the headers: whether records follow is for their reader to say.
#[inline]
pub(crate) fn dtls_in(datagram: &[u8]) -> Option<&[u8]> {
    match datagram.first()? {
        20..=63 => Some(datagram),
        64..=79 => channel_data(datagram).filter(|data| is_dtls(data)),
        0 => stun_data(datagram).filter(|data| is_dtls(data)),
        1 => datagram
            .strip_prefix(&CAPWAP_DTLS)
            .filter(|data| is_dtls(data)),
        _ => None,
    }
}

/// Preamble of CAPWAP packets with DTLS: version 0, type 1, and reserved bits (RFC 5415 §4.2).
const CAPWAP_DTLS: [u8; 4] = [1, 0, 0, 0];

fn is_dtls(data: &[u8]) -> bool {
    matches!(data.first(), Some(20..=63))
}

/// Whether a datagram that begins as ChannelData does may carry DTLS: [`dtls_in`] says no where this does.
#[inline]
pub(crate) fn may_have_channel_data(datagram: &[u8]) -> bool {
    match *datagram {
        [_, _, high, low, 20..=63, ..] => {
            usize::from(u16::from_be_bytes([high, low])) <= datagram.len() - 4
        }
        _ => false,
    }
}

fn channel_data(datagram: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(datagram);
    reader.u16().ok()?; // the channel's number
    Some(reader.vector_u16().ok()?.rest())
}

/// The attribute DATA of a Send or Data indication.
fn stun_data(datagram: &[u8]) -> Option<&[u8]> {
    const SEND_AND_DATA_INDICATION: [u16; 2] = [0x0016, 0x0017];
    const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const DATA: u16 = 0x0013;
    /// Attributes looked at: the data comes among the first three.
    const MAX_ATTRIBUTES: usize = 8;
    let mut reader = Reader::new(datagram);
    let message_type = reader.u16().ok()?;
    if !SEND_AND_DATA_INDICATION.contains(&message_type) {
        return None;
    }
    let length = reader.u16().ok()?;
    if reader.take(4).ok()? != MAGIC_COOKIE {
        return None;
    }
    reader.take(12).ok()?; // the transaction
    let mut attributes = Reader::new(reader.take(length.into()).ok()?);
    for _ in 0..MAX_ATTRIBUTES {
        let attribute = attributes.u16().ok()?;
        let value = attributes.vector_u16().ok()?.rest();
        if attribute == DATA {
            return Some(value);
        }
        let padding = value.len().next_multiple_of(4) - value.len();
        attributes.take(padding).ok()?;
    }
    None
}

/// The first fragment of a hello, with which a handshake begins in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening<'a> {
    pub(crate) handshake_type: HandshakeType,
    /// The number of the message.
    pub(crate) sequence: u16,
    /// The `random` of a ClientHello or ServerHello.
    pub(crate) random: Option<[u8; 32]>,
    /// The cookie of a ClientHello or HelloVerifyRequest; empty if it has none.
    pub(crate) cookie: &'a [u8],
}

impl Opening<'_> {
    /// The `random` of a ClientHello that is the first message of its sender; `None` for others.
    pub(crate) fn client_random(&self) -> Option<[u8; 32]> {
        let is_first = self.handshake_type == HandshakeType::ClientHello && self.sequence == 0;
        self.random.filter(|_| is_first)
    }

    /// Whether it is a HelloRetryRequest (RFC 9147 §5.1).
    pub(crate) fn is_retry(&self) -> bool {
        self.handshake_type == HandshakeType::ServerHello && self.random == Some(RETRY_RANDOM)
    }
}

/// Reads the beginning of a DTLS handshake; `None` if the records do not begin with a hello.
///
/// Random bytes pass with a probability below 2⁻⁶⁰: type, version, epoch, the high half of the sequence number, the
/// lengths of record, message and fragment, and the version in the hello all have to fit.
pub(crate) fn opening(records: &[u8], missing: usize) -> Option<Opening<'_>> {
    let record = Record::take(&mut Reader::new(records), missing, 0).ok()?;
    let Header::Full {
        content_type: ContentType::Handshake,
        epoch: 0,
        sequence: 0..=0xffff,
        ..
    } = record.header
    else {
        return None;
    };
    let hello = Fragment::take_cut(&mut Reader::new(record.fragment)).ok()?;
    if hello.offset > 0 || usize::from(record.length) < super::fragment::FRAGMENT_HEADER {
        return None;
    }
    let is_plausible = match hello.handshake_type {
        HandshakeType::ClientHello => hello.length >= SHORTEST_CLIENT_HELLO,
        HandshakeType::ServerHello => hello.length >= SHORTEST_SERVER_HELLO,
        HandshakeType::HelloVerifyRequest => (3..=MAX_VERIFY_REQUEST).contains(&hello.length),
        _ => false,
    };
    let mut body = Reader::new(hello.bytes);
    let version = ProtocolVersion(body.u16().ok()?);
    if !is_plausible || hello.length > MAX_HELLO || hello.sequence > 2 || !version.is_dtls() {
        return None;
    }
    let has_random = hello.handshake_type != HandshakeType::HelloVerifyRequest;
    let random = if has_random { body.take(32).ok() } else { None };
    let cookie = match hello.handshake_type {
        HandshakeType::ClientHello => body.vector_u8().and_then(|_| body.vector_u8()).ok(),
        HandshakeType::HelloVerifyRequest => body.vector_u8().ok(),
        _ => None,
    };
    Some(Opening {
        handshake_type: hello.handshake_type,
        sequence: hello.sequence,
        random: random.and_then(|random| random.try_into().ok()),
        cookie: cookie.map(|mut cookie| cookie.rest()).unwrap_or_default(),
    })
}

/// The number of the record that the records begin with, if that is an alert in the clear.
pub(crate) fn number_of_alert(records: &[u8], missing: usize) -> Option<u64> {
    let record = Record::take(&mut Reader::new(records), missing, 0).ok()?;
    match record.header {
        Header::Full {
            content_type: ContentType::Alert,
            epoch: 0,
            sequence,
            ..
        } => Some(sequence),
        _ => None,
    }
}

/// Version, random, three empty lengths and a cipher suite, and the cookie's length.
const SHORTEST_CLIENT_HELLO: usize = 2 + 32 + 1 + 1 + 2 + 2 + 2;
/// Version, random, the length of the session identifier, cipher suite and compression method.
const SHORTEST_SERVER_HELLO: usize = 2 + 32 + 1 + 2 + 1;
/// Version and a cookie of up to 255 bytes.
const MAX_VERIFY_REQUEST: usize = 2 + 1 + 255;
/// Post-quantum hellos have some two kilobytes; this is what the high byte of the length has to be zero for.
const MAX_HELLO: usize = u16::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    /// The first record of a client that offers DTLS 1.2 with one suite.
    pub(super) fn client_hello() -> Vec<u8> {
        let body = [
            &[0xfe, 0xfd][..],
            &[7; 32],
            &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0],
        ]
        .concat();
        let length = body.len() as u8;
        [
            &[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, length + 12][..],
            &[1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length],
            &body,
        ]
        .concat()
    }

    #[test]
    fn a_client_hello_begins_a_handshake() {
        let hello = client_hello();
        let opening = opening(&hello, 0).unwrap();
        assert_eq!(opening.handshake_type, HandshakeType::ClientHello);
        assert_eq!(opening.client_random(), Some([7; 32]));
    }

    #[test]
    fn no_prefix_begins_a_handshake_unless_the_snap_length_cut_it() {
        let hello = client_hello();
        for length in 0..hello.len() {
            let prefix = &hello[..length];
            assert_eq!(opening(prefix, 0), None, "{length}");
            let is_read = opening(prefix, hello.len() - length).is_some();
            assert_eq!(is_read, length >= 13 + 12 + 2, "{length}");
        }
    }

    #[test]
    fn an_alert_in_the_clear_has_a_number() {
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 2, 0, 2, 2, 40];
        assert_eq!(number_of_alert(&alert, 0), Some(0x0102));
        assert_eq!(number_of_alert(&alert[..13], 2), Some(0x0102));
        for length in 0..alert.len() {
            assert_eq!(number_of_alert(&alert[..length], 0), None, "{length}");
        }
        for (at, byte) in [(0, 22), (4, 1)] {
            let mut other = alert;
            other[at] = byte;
            assert_eq!(number_of_alert(&other, 0), None, "{other:?}");
        }
    }

    #[test]
    fn each_field_has_to_fit() {
        // Type, version, epoch, sequence number, length; type, length, number, offset, length; version.
        for at in (0..9).chain([11, 13, 14, 17, 19, 20, 21, 22, 24, 25, 26]) {
            let mut hello = client_hello();
            hello[at] ^= 0x40;
            assert_eq!(opening(&hello, 0), None, "byte {at}");
        }
    }

    #[test]
    fn the_first_byte_tells_protocols_apart() {
        let hello = client_hello();
        assert_eq!(dtls_in(&hello), Some(&hello[..]));
        for other in [
            &[0x80, 96, 0, 1][..],
            &[0, 1, 0, 0],
            &[3],
            &[19],
            &[80, 0],
            &[],
        ] {
            assert_eq!(dtls_in(other), None, "{other:?}");
        }
    }

    #[test]
    fn dtls_is_found_in_turn_and_capwap() {
        let hello = client_hello();
        let length = (hello.len() as u16).to_be_bytes();
        let channel = [&[0x40, 1], &length[..], &hello, &[0]].concat(); // one byte of padding
        assert_eq!(dtls_in(&channel), Some(&hello[..]));
        let capwap = [&CAPWAP_DTLS[..], &hello].concat();
        assert_eq!(dtls_in(&capwap), Some(&hello[..]));

        let address = [0, 0x12, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1];
        let padding = vec![0; hello.len().next_multiple_of(4) - hello.len()];
        let data = [&[0, 0x13], &length[..], &hello, &padding].concat();
        let attributes = [&address[..], &data].concat();
        let stun = |message_type: u8| {
            let length = (attributes.len() as u16).to_be_bytes();
            let head = [&[0, message_type], &length[..], &[0x21, 0x12, 0xa4, 0x42]].concat();
            [&head[..], &[5; 12], &attributes].concat()
        };
        assert_eq!(dtls_in(&stun(0x17)), Some(&hello[..]));
        assert_eq!(dtls_in(&stun(0x16)), Some(&hello[..]));
        assert_eq!(dtls_in(&stun(0x01)), None); // a binding request
        let whole = stun(0x17);
        for length in 0..whole.len() - padding.len() {
            assert_eq!(dtls_in(&whole[..length]), None, "{length}");
        }
        for length in 0..channel.len() - 1 {
            assert_eq!(dtls_in(&channel[..length]), None, "{length}");
        }
    }
}
