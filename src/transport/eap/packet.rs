//! One EAP packet (RFC 3748 §4), and the fragment of TLS in it (RFC 5216 §3).

/// What an EAP packet is. RFC 3748 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EapCode {
    /// From the server, or the authenticator in its place.
    Request,
    /// From the peer, which is the TLS client.
    Response,
    /// The server accepts the peer.
    Success,
    /// The server refuses the peer.
    Failure,
}

impl EapCode {
    const fn read(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Request),
            2 => Some(Self::Response),
            3 => Some(Self::Success),
            4 => Some(Self::Failure),
            _ => None,
        }
    }
}

/// An EAP method type. IANA "EAP Method Types".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapMethod(pub u8);

#[allow(missing_docs)]
impl EapMethod {
    pub const IDENTITY: Self = Self(1);
    pub const NAK: Self = Self(3);
    pub const TLS: Self = Self(13);
    pub const TTLS: Self = Self(21);
    pub const PEAP: Self = Self(25);
    pub const FAST: Self = Self(43);
    pub const TEAP: Self = Self(55);

    /// Whether the method is a TLS handshake, in the fragments of RFC 5216.
    #[must_use]
    pub const fn carries_tls(self) -> bool {
        matches!(
            self,
            Self::TLS | Self::TTLS | Self::PEAP | Self::FAST | Self::TEAP
        )
    }
}

/// An EAP packet, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EapPacket<'a> {
    /// What it is.
    pub code: EapCode,
    /// Pairs a response with its request.
    pub identifier: u8,
    /// The method of a request or response; 0 in other packets.
    pub method: EapMethod,
    /// What follows the method.
    pub data: &'a [u8],
    /// Bytes of the data that the capture lacks, at its end.
    pub missing: u16,
}

/// Code, identifier and length.
const HEADER_LENGTH: u16 = 4;

impl<'a> EapPacket<'a> {
    /// Reads a packet; `None` if this is none, or if its header was cut off. Bytes behind it are padding (RFC 3748 §4).
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[code, identifier, high, low], body) = bytes.split_first_chunk()?;
        let code = EapCode::read(code)?;
        let length = u16::from_be_bytes([high, low]).checked_sub(HEADER_LENGTH)?;
        let body = body.get(..usize::from(length)).unwrap_or(body);
        let missing = length - body.len() as u16;
        let (method, data) = match code {
            EapCode::Request | EapCode::Response => {
                let (method, data) = body.split_first()?;
                (*method, data)
            }
            EapCode::Success | EapCode::Failure => (0, body),
        };
        Some(Self {
            code,
            identifier,
            method: EapMethod(method),
            data,
            missing,
        })
    }

    /// The fragment of TLS in it; `None` if its method has none, or if its flags were cut off.
    #[must_use]
    pub fn fragment(&self) -> Option<TlsFragment<'a>> {
        let is_message = matches!(self.code, EapCode::Request | EapCode::Response);
        (is_message && self.method.carries_tls()).then_some(())?;
        TlsFragment::read(self.method, self.data)
    }
}

/// Part of a TLS flight, or of nothing: then it acknowledges a part of its peer's. RFC 5216 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFragment<'a> {
    /// Whether the method begins with this packet, which carries no TLS.
    pub is_start: bool,
    /// Whether more fragments of the same flight follow.
    pub is_more: bool,
    /// Length of the whole flight, if the fragment states it: the first of several does, some stacks in all.
    pub total: Option<u32>,
    /// The bytes of TLS in it.
    pub bytes: &'a [u8],
}

const LENGTH_INCLUDED: u8 = 0x80;
const MORE_FRAGMENTS: u8 = 0x40;
const START: u8 = 0x20;
/// TEAP alone: TLVs outside the tunnel follow the TLS data. RFC 7170 §4.1.
const OUTER_TLVS: u8 = 0x10;

impl<'a> TlsFragment<'a> {
    fn read(method: EapMethod, data: &'a [u8]) -> Option<Self> {
        let (flags, mut bytes) = data.split_first()?;
        let mut length = |flag| {
            if flags & flag == 0 {
                return Some(None);
            }
            let (length, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(Some(u32::from_be_bytes(*length)))
        };
        let total = length(LENGTH_INCLUDED)?;
        let outer = match method {
            EapMethod::TEAP => length(OUTER_TLVS)?,
            _ => None,
        };
        if let Some(outer) = outer {
            let tls = bytes.len().saturating_sub(outer as usize);
            bytes = &bytes[..tls];
        }
        let is_start = flags & START != 0;
        Some(Self {
            is_start,
            is_more: flags & MORE_FRAGMENTS != 0,
            total,
            // EAP-FAST and TEAP name the authority in their start (RFC 4851 §4.1.1, RFC 7170 §4.2.2).
            bytes: if is_start { &[] } else { bytes },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response of 13 bytes: 3 of TLS, of a flight of 1000.
    const FRAGMENT: &[u8] = &[2, 7, 0, 13, 13, 0xc0, 0, 0, 3, 0xe8, 22, 3, 1];

    #[test]
    fn reads_a_fragment_and_its_flags() {
        let packet = EapPacket::read(FRAGMENT).unwrap();
        assert_eq!((packet.code, packet.identifier), (EapCode::Response, 7));
        let fragment = packet.fragment().unwrap();
        assert_eq!(fragment.bytes, [22, 3, 1]);
        assert_eq!(fragment.total, Some(1000));
        assert!(fragment.is_more && !fragment.is_start && packet.missing == 0);
        let last = EapPacket::read(&[2, 7, 0, 7, 25, 0, 22]).unwrap();
        let last = last.fragment().unwrap();
        assert_eq!(
            (last.is_more, last.total, last.bytes),
            (false, None, &[22][..])
        );
    }

    #[test]
    fn every_prefix_is_no_packet_or_says_what_is_missing() {
        for cut in 0..FRAGMENT.len() {
            let Some(packet) = EapPacket::read(&FRAGMENT[..cut]) else {
                assert!(cut < 5, "{cut}");
                continue;
            };
            assert_eq!(usize::from(packet.missing), FRAGMENT.len() - cut, "{cut}");
            assert_eq!(packet.fragment().is_some(), cut >= 10, "{cut}");
        }
    }

    #[test]
    fn padding_behind_a_packet_is_not_data() {
        let padded = [FRAGMENT, &[0; 20]].concat();
        assert_eq!(EapPacket::read(&padded), EapPacket::read(FRAGMENT));
    }

    #[test]
    fn the_end_of_a_conversation_has_no_method() {
        let success = EapPacket::read(&[3, 7, 0, 4]).unwrap();
        assert_eq!((success.code, success.method.0), (EapCode::Success, 0));
        assert_eq!(success.fragment(), None);
        assert_eq!(EapPacket::read(&[5, 7, 0, 4]), None);
        assert_eq!(EapPacket::read(&[3, 7, 0, 3]), None, "shorter than itself");
    }

    #[test]
    fn what_is_not_tls_in_a_method_is_left_out() {
        let start = [1, 9, 0, 10, 43, 0x21, 0, 4, 0, 0];
        let start = EapPacket::read(&start).unwrap().fragment().unwrap();
        assert!(start.is_start && start.bytes.is_empty());
        let outer = [1, 9, 0, 14, 55, 0x11, 0, 0, 0, 2, 22, 3, 0xaa, 0xbb];
        let outer = EapPacket::read(&outer).unwrap().fragment().unwrap();
        assert_eq!(outer.bytes, [22, 3]);
        let too_long = [1, 9, 0, 11, 55, 0x11, 0, 0, 1, 0, 22];
        let too_long = EapPacket::read(&too_long).unwrap().fragment().unwrap();
        assert_eq!(too_long.bytes, [0; 0]);
        let nak = EapPacket::read(&[2, 9, 0, 6, 3, 21]).unwrap();
        assert_eq!(nak.fragment(), None);
    }
}
