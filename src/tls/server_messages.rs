//! Other messages of the handshake: certificate chains, certificate requests and key exchange.

use super::codec::{ReadError, Reader};
use super::extension::Extensions;
use super::{ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme};

/// How many certificates of one message are read. Chains have two to four; test suites and attackers send more.
pub const MAX_CERTIFICATES: usize = 100;

/// Reads the body of a Certificate message up to TLS 1.2 (RFC 5246 §7.4.2): the DER of each certificate, leaf first.
///
/// # Errors
///
/// [`ReadError::Incomplete`] if a length reaches past the end.
pub fn read_certificate_list(body: &[u8]) -> Result<CertificateList<'_>, ReadError> {
    let list = CertificateList {
        rest: Reader::new(body).vector_u24()?,
        left: MAX_CERTIFICATES,
    };
    let mut unread = list.clone();
    while unread.read_next()?.is_some() {}
    Ok(list)
}

/// The certificates of one message, at most [`MAX_CERTIFICATES`].
#[derive(Clone, Debug)]
pub struct CertificateList<'a> {
    rest: Reader<'a>,
    left: usize,
}

impl<'a> CertificateList<'a> {
    fn read_next(&mut self) -> Result<Option<&'a [u8]>, ReadError> {
        if self.rest.is_empty() || self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.rest.vector_u24().map(|mut der| Some(der.rest()))
    }
}

impl<'a> Iterator for CertificateList<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.read_next().ok().flatten() // all lengths are known to fit
    }
}

/// How many distinguished names of one request are kept. Real lists of all public roots have some 150.
const MAX_AUTHORITIES: usize = 256;

/// Reads the certificate authorities in the body of a CertificateRequest (RFC 5246 §7.4.4; RFC 8446 §4.3.2): DER names.
///
/// # Errors
///
/// [`ReadError::Incomplete`] if a length reaches past the end.
pub fn read_certificate_authorities(
    body: &[u8],
    version: ProtocolVersion,
) -> Result<Vec<&[u8]>, ReadError> {
    let mut reader = Reader::new(body);
    if version.is_tls13() {
        reader.vector_u8()?; // certificate_request_context
        let extensions = reader.vector_u16()?.rest();
        let authorities = Extensions::new(extensions)
            .find(|(extension_type, _)| *extension_type == ExtensionType::CertificateAuthorities);
        return authorities.map_or(Ok(Vec::new()), |(_, data)| read_names(data));
    }
    reader.vector_u8()?; // certificate_types
    if version.as_tls() >= ProtocolVersion::TLSv1_2 {
        reader.vector_u16()?; // supported_signature_algorithms
    }
    read_names(reader.rest())
}

/// `DistinguishedName certificate_authorities<0..2^16-1>`
fn read_names(bytes: &[u8]) -> Result<Vec<&[u8]>, ReadError> {
    let mut list = Reader::new(bytes).vector_u16()?;
    let mut names = Vec::new();
    while !list.is_empty() && names.len() < MAX_AUTHORITIES {
        names.push(list.vector_u16()?.rest());
    }
    Ok(names)
}

/// The group of an ECDHE ServerKeyExchange (RFC 8422 §5.4); `None` for other curves and key exchanges.
///
/// The message does not say which key exchange it belongs to: that of DHE begins
/// with the length of a prime. A group must be registered to be believed.
#[must_use]
pub fn read_key_exchange_group(body: &[u8]) -> Option<NamedGroup> {
    const NAMED_CURVE: u8 = 3;
    let mut reader = Reader::new(body);
    (reader.u8().ok()? == NAMED_CURVE).then_some(())?;
    let group = NamedGroup(reader.u16().ok()?);
    group.name().map(|_| group)
}

/// Bits of the prime in the ServerKeyExchange of DHE (RFC 5246 §7.4.3); `None` if there is no room for one.
///
/// The message does not say which key exchange it belongs to, as [`read_key_exchange_group`] explains.
#[must_use]
pub fn read_prime_bits(body: &[u8]) -> Option<u16> {
    let prime = Reader::new(body).vector_u16().ok()?.rest();
    let first = prime.iter().position(|byte| *byte != 0)?;
    let leading = prime.get(first)?.leading_zeros() as usize;
    u16::try_from((prime.len() - first) * 8 - leading).ok()
}

/// The signature schemes in the body of a CertificateRequest (RFC 5246 §7.4.4; RFC 8446 §4.3.2): what the client may sign
/// with. `None` if the request has none, as before TLS 1.2, or cannot be read.
#[must_use]
pub fn read_requested_schemes(
    body: &[u8],
    version: ProtocolVersion,
) -> Option<Vec<SignatureScheme>> {
    let mut reader = Reader::new(body);
    reader.vector_u8().ok()?; // certificate_request_context, or certificate_types
    if version.is_tls13() {
        let extensions = reader.vector_u16().ok()?.rest();
        let (_, data) = Extensions::new(extensions)
            .find(|(extension_type, _)| *extension_type == ExtensionType::SignatureAlgorithms)?;
        reader = Reader::new(data);
    } else if version.as_tls() < ProtocolVersion::TLSv1_2 {
        return None;
    }
    let mut list = reader.vector_u16().ok()?;
    Some(list.u16_list().map(SignatureScheme).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prime_is_as_long_as_its_bits_without_leading_zeros() {
        let bits = |prime: &[u8]| {
            let length = u16::try_from(prime.len()).unwrap().to_be_bytes();
            read_prime_bits(&[&length[..], prime].concat())
        };
        assert_eq!(bits(&[0xff; 256]), Some(2048));
        assert_eq!(bits(&[&[0][..], &[0x80; 128]].concat()), Some(1024));
        assert_eq!(bits(&[0x7f, 1]), Some(15));
        assert_eq!(bits(&[0, 0]), None);
        assert_eq!(read_prime_bits(&[1, 0, 0xff]), None);
    }

    #[test]
    fn schemes_are_read_from_requests_of_either_kind() {
        let schemes = [
            SignatureScheme::EcdsaSecp256r1Sha256,
            SignatureScheme::Ed25519,
        ];
        let old = [1, 64, 0, 4, 4, 3, 8, 7, 0, 0];
        let read = |body: &[u8], version| read_requested_schemes(body, version);
        assert_eq!(read(&old, ProtocolVersion::TLSv1_2), Some(schemes.to_vec()));
        assert_eq!(read(&old, ProtocolVersion::TLSv1_1), None);
        let new = [0, 0, 10, 0, 13, 0, 6, 0, 4, 4, 3, 8, 7];
        assert_eq!(read(&new, ProtocolVersion::TLSv1_3), Some(schemes.to_vec()));
        for end in 0..new.len() {
            let cut = read(new.get(..end).unwrap(), ProtocolVersion::TLSv1_3);
            assert!(cut.is_none_or(|cut| cut.len() < 2), "{end} bytes");
        }
    }
}
