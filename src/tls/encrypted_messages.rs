//! Messages that TLS 1.3 encrypts (RFC 8446 §4.3, §4.4), read after decryption.

use super::ExtensionType;
use super::codec::{ReadError, Reader};
use super::extension::{Extensions, protocol_names};
use super::server_messages::MAX_CERTIFICATES;

/// The contents of an EncryptedExtensions message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptedExtensions {
    /// The selected application protocol.
    pub alpn: Option<String>,
    /// Whether 0-RTT data was accepted.
    pub early_data: bool,
}

impl EncryptedExtensions {
    /// Reads the body of an EncryptedExtensions message.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the length of the list reaches past the end.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let list = Reader::new(body).vector_u16()?.rest();
        let mut this = Self::default();
        for (extension_type, data) in Extensions::new(list) {
            match extension_type {
                ExtensionType::ApplicationLayerProtocolNegotiation => {
                    let names = protocol_names(&mut Reader::new(data), Vec::new());
                    this.alpn = names
                        .ok()
                        .and_then(|offered| offered.names.into_iter().next());
                }
                ExtensionType::EarlyData => this.early_data = true,
                _ => {}
            }
        }
        Ok(this)
    }
}

/// The contents of a Certificate message of TLS 1.3.
///
/// ```text
/// struct {
///     opaque certificate_request_context<0..2^8-1>;
///     CertificateEntry certificate_list<0..2^24-1>;
/// } Certificate;
///
/// struct {
///     opaque cert_data<1..2^24-1>;
///     Extension extensions<0..2^16-1>;
/// } CertificateEntry;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateMessage<'a> {
    /// The DER of each certificate, leaf first; at most [`MAX_CERTIFICATES`].
    pub certificates: Vec<&'a [u8]>,
    /// Whether any of them has an OCSP response.
    pub ocsp_stapled: bool,
    /// The first OCSP response, as a `CertificateStatus`.
    pub certificate_status: Option<&'a [u8]>,
    /// How many signed certificate timestamps (RFC 6962 §3.3) they have.
    pub signed_certificate_timestamps: usize,
}

impl<'a> CertificateMessage<'a> {
    /// Reads the body of a Certificate message of TLS 1.3.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if a length reaches past the end.
    pub fn read(body: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        reader.vector_u8()?; // certificate_request_context
        let mut list = reader.vector_u24()?;
        let mut this = Self::default();
        while !list.is_empty() && this.certificates.len() < MAX_CERTIFICATES {
            this.certificates.push(list.vector_u24()?.rest());
            for (extension_type, data) in Extensions::new(list.vector_u16()?.rest()) {
                this.note_extension(extension_type, data);
            }
        }
        Ok(this)
    }

    /// The body of a Certificate message of TLS 1.2 with the same chain, so that one reader handles both.
    #[must_use]
    pub fn to_tls12(&self) -> Vec<u8> {
        let length = |bytes: usize| (bytes as u32).to_be_bytes();
        let total = self.certificates.iter().map(|der| 3 + der.len()).sum();
        let mut body = Vec::with_capacity(3 + total);
        body.extend_from_slice(&length(total)[1..]);
        for der in &self.certificates {
            body.extend_from_slice(&length(der.len())[1..]);
            body.extend_from_slice(der);
        }
        body
    }

    fn note_extension(&mut self, extension_type: ExtensionType, data: &'a [u8]) {
        match extension_type {
            ExtensionType::StatusRequest => {
                self.ocsp_stapled = true;
                self.certificate_status.get_or_insert(data);
            }
            ExtensionType::SignedCertificateTimestamp => {
                let mut list = Reader::new(data).vector_u16().unwrap_or(Reader::new(&[]));
                while list.vector_u16().is_ok() {
                    self.signed_certificate_timestamps += 1;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_certificate_list;
    use super::*;

    /// An empty context, and entries: a leaf with a staple and two timestamps, an issuer without extensions.
    const CERTIFICATE: &[u8] = &[
        0, 0, 0, 32, // context, list
        0, 0, 3, 1, 2, 3, // leaf
        0, 16, 0, 5, 0, 0, 0, 18, 0, 8, 0, 6, 0, 1, 7, 0, 1, 8, // its extensions
        0, 0, 3, 4, 5, 6, 0, 0, // issuer
    ];

    #[test]
    fn reads_certificates_with_their_extensions() {
        let read = CertificateMessage::read(CERTIFICATE).unwrap();
        assert_eq!(read.certificates, [&[1, 2, 3], &[4, 5, 6]]);
        assert!(read.ocsp_stapled);
        assert_eq!(read.signed_certificate_timestamps, 2);
    }

    #[test]
    fn every_prefix_of_a_certificate_message_is_incomplete() {
        for length in 0..CERTIFICATE.len() {
            assert_eq!(
                CertificateMessage::read(&CERTIFICATE[..length]),
                Err(ReadError::Incomplete)
            );
        }
    }

    #[test]
    fn a_chain_stays_the_same_in_the_form_of_tls_1_2() {
        let read = CertificateMessage::read(CERTIFICATE).unwrap();
        let body = read.to_tls12();
        let list: Vec<_> = read_certificate_list(&body).unwrap().collect();
        assert_eq!(list, read.certificates);
        let empty = CertificateMessage::read(&[2, 7, 7, 0, 0, 0]).unwrap();
        assert_eq!(empty.to_tls12(), [0, 0, 0]);
    }

    #[test]
    fn reads_what_the_server_selected() {
        let body = [0, 13, 0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0, 42, 0, 0];
        let read = EncryptedExtensions::read(&body).unwrap();
        assert_eq!(read.alpn.as_deref(), Some("h2"));
        assert!(read.early_data);
        assert_eq!(
            EncryptedExtensions::read(&[0, 0]),
            Ok(EncryptedExtensions::default())
        );
        assert_eq!(
            EncryptedExtensions::read(&[0, 1]),
            Err(ReadError::Incomplete)
        );
    }
}
