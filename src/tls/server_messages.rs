//! Other messages of the handshake: certificate chains, certificate requests and key exchange.

use super::codec::{ReadError, Reader};
use super::extension::Extensions;
use super::{ExtensionType, NamedGroup, ProtocolVersion};

/// How many certificates of one message are read. Chains have two to four; test suites and attackers send more.
pub const MAX_CERTIFICATES: usize = 100;

/// Reads the body of a Certificate message up to TLS 1.2 (RFC 5246 §7.4.2): the DER of each certificate, leaf first.
///
/// # Errors
///
/// [`ReadError::Incomplete`] if a length reaches past the end.
pub fn read_certificate_list(body: &[u8]) -> Result<Vec<&[u8]>, ReadError> {
    let mut list = Reader::new(body).vector_u24()?;
    let mut certificates = Vec::new();
    while !list.is_empty() && certificates.len() < MAX_CERTIFICATES {
        certificates.push(list.vector_u24()?.rest());
    }
    Ok(certificates)
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
    if version.0 >= ProtocolVersion::TLSv1_2.0 {
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
