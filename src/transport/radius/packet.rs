//! One RADIUS packet and its attributes (RFC 2865 §3, §5).

use std::borrow::Cow;

/// What a RADIUS packet is. RFC 2865 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RadiusCode {
    /// From the access point, switch or proxy.
    AccessRequest,
    /// The login succeeded.
    AccessAccept,
    /// The login failed.
    AccessReject,
    /// The server asks for more.
    AccessChallenge,
}

impl RadiusCode {
    const fn read(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::AccessRequest),
            2 => Some(Self::AccessAccept),
            3 => Some(Self::AccessReject),
            11 => Some(Self::AccessChallenge),
            _ => None,
        }
    }
}

/// The attributes that are read. Passwords, keys and what else a packet has are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// RFC 2865 §5.1.
    UserName = 1,
    /// RFC 2865 §5.24: ties a request to the challenge that it answers.
    State = 24,
    /// RFC 2865 §5.30: mostly the address of the access point and its network's name.
    CalledStationId = 30,
    /// RFC 2865 §5.31: mostly the hardware address of the device that logs in.
    CallingStationId = 31,
    /// RFC 2865 §5.32.
    NasIdentifier = 32,
    /// RFC 2865 §5.33: a proxy adds one to a request, and the answer repeats it.
    ProxyState = 33,
    /// RFC 3579 §3.1: part of an EAP packet.
    EapMessage = 79,
}

/// A RADIUS packet for access, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RadiusPacket<'a> {
    /// What it is.
    pub code: RadiusCode,
    /// Pairs an answer with its request.
    pub identifier: u8,
    /// Of a request, random bytes that its repetitions have, too.
    pub authenticator: [u8; 16],
    /// Whether the snap length cut it.
    pub is_cut: bool,
    attributes: &'a [u8],
}

/// Code, identifier, length and authenticator.
const HEADER_LENGTH: usize = 20;
/// RFC 2865 §3.
const MAX_LENGTH: usize = 4096;

impl<'a> RadiusPacket<'a> {
    /// Whether the payload of a datagram that was `wire_length` bytes long may be one, by a look at its first bytes.
    #[must_use]
    pub fn may_be(payload: &[u8], wire_length: usize) -> bool {
        match *payload {
            [code, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                RadiusCode::read(code).is_some() && length == wire_length
            }
            _ => false,
        }
    }

    /// Reads the payload of a datagram that was `wire_length` bytes long; `None` if it is no such packet.
    ///
    /// Any port may have RADIUS, so this is strict: the length has to be that of the payload, and the attributes have to fill
    /// it to the last byte.
    #[must_use]
    pub fn read(payload: &'a [u8], wire_length: usize) -> Option<Self> {
        let (header, rest) = payload.split_first_chunk::<HEADER_LENGTH>()?;
        let [code, identifier, high, low, authenticator @ ..] = *header;
        let code = RadiusCode::read(code)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length != wire_length || !(HEADER_LENGTH..=MAX_LENGTH).contains(&length) {
            return None;
        }
        let is_cut = payload.len() < wire_length;
        let attributes = rest.get(..length - HEADER_LENGTH).unwrap_or(rest);
        let packet = Self {
            code,
            identifier,
            authenticator,
            is_cut,
            attributes,
        };
        (is_cut || is_well_formed(attributes)).then_some(packet)
    }

    /// The first value of an attribute; empty values do not count.
    #[must_use]
    pub fn attribute(&self, attribute: Attribute) -> Option<&'a [u8]> {
        self.values(attribute).find(|value| !value.is_empty())
    }

    /// The first value of an attribute; `None` also if the snap length cut it.
    #[must_use]
    pub fn whole_attribute(&self, wanted: Attribute) -> Option<&'a [u8]> {
        let mut whole = self.whole_values(wanted);
        whole.find(|value| !value.is_empty())
    }

    /// All values of an attribute, without one that the snap length cut.
    pub fn whole_values(&self, wanted: Attribute) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Attributes(self.attributes)
            .filter(move |(attribute, _, is_whole)| *attribute == wanted as u8 && *is_whole)
            .map(|(_, value, _)| value)
    }

    /// The identifier of the EAP packet in it; `None` if it has none.
    #[must_use]
    pub fn eap_identifier(&self) -> Option<u8> {
        let message = self.attribute(Attribute::EapMessage)?;
        message.get(1).copied()
    }

    /// The EAP packet in it, of which each attribute has 253 bytes at most; `None` if it has none.
    #[must_use]
    pub fn eap_message(&self) -> Option<Cow<'a, [u8]>> {
        let mut values = self.values(Attribute::EapMessage);
        let first = values.next()?;
        let mut message = Cow::Borrowed(first);
        for value in values {
            message.to_mut().extend_from_slice(value);
        }
        Some(message)
    }

    fn values(&self, wanted: Attribute) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Attributes(self.attributes)
            .filter(move |(attribute, ..)| *attribute == wanted as u8)
            .map(|(_, value, _)| value)
    }
}

/// Type and value of each attribute, up to one that is malformed, and whether the value is whole: the last one may be cut.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u8, &'a [u8], bool);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[attribute, length], rest) = self.0.split_first_chunk()?;
        let length = usize::from(length).checked_sub(2)?;
        let (value, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest;
        Some((attribute, value, value.len() == length))
    }
}

fn is_well_formed(mut attributes: &[u8]) -> bool {
    while let Some(&length) = attributes.get(1) {
        match attributes.split_at_checked(length.into()) {
            Some((_, rest)) if length >= 2 => attributes = rest,
            _ => return false,
        }
    }
    attributes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Access-Request with a name and an EAP packet in two attributes.
    fn request() -> Vec<u8> {
        let attributes = [
            &[1, 7, b'a', b'l', b'i', b'c', b'e', 79, 5, 2, 7, 0][..],
            &[79, 6, 10, 1, b'a', b'b', 24, 4, 9, 9],
        ]
        .concat();
        let length = 20 + attributes.len() as u8;
        [&[1, 42, 0, length], &[5; 16][..], &attributes].concat()
    }

    #[test]
    fn reads_attributes_and_puts_the_eap_packet_together() {
        let bytes = request();
        let packet = RadiusPacket::read(&bytes, bytes.len()).unwrap();
        assert_eq!(
            (packet.code, packet.identifier),
            (RadiusCode::AccessRequest, 42)
        );
        assert_eq!(packet.attribute(Attribute::UserName), Some(&b"alice"[..]));
        assert_eq!(packet.attribute(Attribute::State), Some(&[9, 9][..]));
        assert_eq!(packet.attribute(Attribute::NasIdentifier), None);
        let message = packet.eap_message().unwrap();
        assert_eq!(&message[..], &[2, 7, 0, 10, 1, b'a', b'b']);
    }

    #[test]
    fn every_prefix_of_a_datagram_is_another_protocol() {
        let bytes = request();
        for cut in 0..bytes.len() {
            assert_eq!(RadiusPacket::read(&bytes[..cut], cut), None, "{cut}");
        }
    }

    #[test]
    fn a_snap_length_leaves_what_came_before_it() {
        let bytes = request();
        for cut in HEADER_LENGTH..bytes.len() {
            let packet = RadiusPacket::read(&bytes[..cut], bytes.len()).unwrap();
            assert!(packet.is_cut);
            let is_whole = cut >= HEADER_LENGTH + 7;
            let has_name = packet.attribute(Attribute::UserName) == Some(b"alice");
            assert_eq!(has_name, is_whole, "{cut}");
            let name = packet.whole_attribute(Attribute::UserName);
            assert_eq!(name, is_whole.then_some(&b"alice"[..]), "{cut}");
        }
        assert_eq!(RadiusPacket::read(&bytes[..19], bytes.len()), None);
    }

    #[test]
    fn what_only_looks_like_radius_is_not() {
        let bytes = request();
        let changed = |at: usize, value| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            RadiusPacket::read(&bytes, bytes.len()).is_some()
        };
        assert!(changed(1, 7), "any identifier");
        assert!(!changed(0, 4), "accounting");
        assert!(!changed(21, 1), "an attribute shorter than its header");
        assert!(!changed(21, 200), "an attribute beyond the packet");
        assert!(!changed(3, 41), "a length that is not the payload's");
    }
}
