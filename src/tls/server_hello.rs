//! ServerHello and HelloRetryRequest (RFC 8446 §4.1.3, §4.1.4).

use super::client_hello::DRAFT_KEY_SHARE;
use super::codec::{ReadError, Reader};
use super::extension::{Extensions, selected_protocol};
use super::fingerprint;
use super::{CipherSuite, ExtensionType, NamedGroup, ProtocolVersion};

/// The contents of a ServerHello.
///
/// ```text
/// struct {
///     ProtocolVersion legacy_version = 0x0303;
///     Random random;
///     opaque legacy_session_id_echo<0..32>;
///     CipherSuite cipher_suite;
///     uint8 legacy_compression_method = 0;
///     Extension extensions<6..2^16-1>;
/// } ServerHello;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// `legacy_version`: the version itself up to TLS 1.2.
    pub legacy_version: ProtocolVersion,
    /// `selected_version` of the `supported_versions` extension.
    pub supported_version: Option<ProtocolVersion>,
    /// `random`; zeros if the message was cut short.
    pub random: [u8; 32],
    /// `legacy_session_id_echo`: the new or resumed session up to TLS 1.2.
    pub session_id: Vec<u8>,
    /// The selected cipher suite; the HelloRetryRequest of early drafts has none.
    pub cipher_suite: Option<CipherSuite>,
    /// The types of all extensions, in the order of the wire.
    pub extensions: Vec<ExtensionType>,
    /// The selected application protocol, if it is in the clear.
    pub alpn: Option<String>,
    /// The group in `key_share`: of the share, or in a HelloRetryRequest the requested one.
    pub key_share_group: Option<NamedGroup>,
    /// Whether a pre-shared key was selected.
    pub pre_shared_key: bool,
    /// Whether the server will send a ticket (RFC 5077 §3.2).
    pub session_ticket: bool,
    /// How many timestamps `signed_certificate_timestamp` (RFC 6962 §3.3) has.
    pub signed_certificate_timestamps: usize,
    /// Whether `encrypt_then_mac` was selected (RFC 7366).
    pub encrypt_then_mac: bool,
    /// Whether records are compressed: `legacy_compression_method` is not null.
    pub is_compressed: bool,
    /// Whether the extensions overrun the message, so that those read may not be all.
    pub has_malformed_extensions: bool,
    /// Whether the message was cut short after the version.
    pub is_partial: bool,
    /// Whether this is a HelloRetryRequest, by its `random`.
    pub is_retry: bool,
}

/// Empty lists, and a text that means nothing, of a hello that was read before.
#[derive(Default)]
struct Room {
    session_id: Vec<u8>,
    extensions: Vec<ExtensionType>,
    alpn: String,
}

/// SHA-256 of "HelloRetryRequest" (RFC 8446 §4.1.3).
pub(crate) const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl ServerHello {
    /// Bytes of memory that its lists and texts take.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.session_id.capacity()
            + self.extensions.capacity() * size_of::<ExtensionType>()
            + self.alpn.as_ref().map_or(0, String::capacity)
    }

    /// Reads the body of a ServerHello message, of any version.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the fields before the extensions break a rule.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        Self::read_in(body, Room::default())
    }

    /// As [`ServerHello::read`], over a hello that is no longer needed, whose lists are reused. After an error it means nothing.
    pub(crate) fn read_again(&mut self, body: &[u8]) -> Result<(), ReadError> {
        let mut room = Room {
            session_id: std::mem::take(&mut self.session_id),
            extensions: std::mem::take(&mut self.extensions),
            alpn: self.alpn.take().unwrap_or_default(),
        };
        room.session_id.clear();
        room.extensions.clear();
        *self = Self::read_in(body, room)?;
        Ok(())
    }

    /// Reads the body of a ServerHello message into the room of another one.
    fn read_in(body: &[u8], room: Room) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let legacy_version = ProtocolVersion(reader.u16()?);
        if legacy_version.is_early_draft() || is_unnumbered_draft(body) {
            return Self::read_early_draft(legacy_version, &mut reader);
        }
        let random = reader.take(32)?;
        let session_id = reader.vector_u8()?.rest();
        if session_id.len() > 32 {
            return Err(ReadError::Invalid("session_id"));
        }
        let cipher_suite = Some(CipherSuite(reader.u16()?));
        let compression_method = reader.u8()?;
        let mut kept_session_id = room.session_id;
        kept_session_id.extend_from_slice(session_id);
        let mut this = Self {
            legacy_version,
            random: random.try_into().unwrap_or_default(),
            is_compressed: compression_method != 0,
            session_id: kept_session_id,
            extensions: room.extensions,
            cipher_suite,
            is_retry: random == RETRY_RANDOM,
            ..Self::default()
        };
        this.read_extensions(&mut reader, room.alpn);
        Ok(this)
    }

    /// Reads the body of the HelloRetryRequest message that drafts of TLS 1.3 up to 21 had.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if it is too short.
    pub fn read_draft_retry(body: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let mut this = Self {
            legacy_version: ProtocolVersion(reader.u16()?),
            is_retry: true,
            ..Self::default()
        };
        if this.legacy_version.draft().is_none_or(|draft| draft >= 19) {
            this.cipher_suite = Some(CipherSuite(reader.u16()?));
        }
        this.read_extensions(&mut reader, String::new());
        Ok(this)
    }

    /// Reads the version from a ServerHello that was cut short.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if it is missing, or if an extension after the cut may overrule it: from TLS 1.2 on.
    pub fn read_partial(body: &[u8]) -> Result<Self, ReadError> {
        let legacy_version = ProtocolVersion(Reader::new(body).u16()?);
        if !(ProtocolVersion::SSLv3..ProtocolVersion::TLSv1_2).contains(&legacy_version) {
            return Err(ReadError::Incomplete);
        }
        Ok(Self {
            legacy_version,
            is_partial: true,
            ..Self::default()
        })
    }

    /// The selected version: `supported_versions` if present, else the legacy version.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.supported_version.unwrap_or(self.legacy_version)
    }

    /// JA3S: MD5 over version, cipher suite and extensions, lower-case hexadecimal; `None` for an SSLv2 hello or a message that was cut short.
    #[must_use]
    pub fn ja3s(&self) -> Option<String> {
        self.has_fingerprint().then(|| fingerprint::ja3s(self))
    }

    pub(super) fn has_fingerprint(&self) -> bool {
        self.legacy_version != ProtocolVersion::SSLv2 && !self.is_partial
    }

    /// Drafts up to 21 of TLS 1.3 have neither session identifier nor compression method.
    fn read_early_draft(
        legacy_version: ProtocolVersion,
        reader: &mut Reader<'_>,
    ) -> Result<Self, ReadError> {
        let random = reader.take(32)?.try_into().unwrap_or_default();
        let mut this = Self {
            legacy_version,
            random,
            cipher_suite: Some(CipherSuite(reader.u16()?)),
            ..Self::default()
        };
        this.read_extensions(reader, String::new());
        Ok(this)
    }

    /// Reads the extensions; a protocol name goes into `room`.
    fn read_extensions(&mut self, reader: &mut Reader<'_>, mut room: String) {
        if reader.is_empty() {
            return; // none, as SSL 3.0 has it
        }
        let Ok(mut list) = reader.vector_u16() else {
            self.has_malformed_extensions = true;
            return;
        };
        let mut extensions = Extensions::new(list.rest());
        self.extensions.reserve_exact(extensions.clone().count());
        for (extension_type, data) in extensions.by_ref() {
            self.extensions.push(extension_type);
            let _malformed = self.read_extension(extension_type, data, &mut room);
        }
        self.has_malformed_extensions = extensions.has_overrun();
    }

    fn read_extension(
        &mut self,
        extension_type: ExtensionType,
        data: &[u8],
        room: &mut String,
    ) -> Result<(), ReadError> {
        let mut reader = Reader::new(data);
        match extension_type {
            ExtensionType::SupportedVersions => {
                self.supported_version = Some(ProtocolVersion(reader.u16()?))
            }
            ExtensionType::KeyShare | DRAFT_KEY_SHARE => {
                self.key_share_group = Some(NamedGroup(reader.u16()?))
            }
            ExtensionType::PreSharedKey => self.pre_shared_key = true,
            ExtensionType::SessionTicket => self.session_ticket = true,
            ExtensionType::EncryptThenMac => self.encrypt_then_mac = true,
            ExtensionType::ApplicationLayerProtocolNegotiation => {
                self.alpn = selected_protocol(&mut reader, std::mem::take(room))?;
            }
            ExtensionType::SignedCertificateTimestamp => {
                let mut list = reader.vector_u16()?;
                while !list.is_empty() {
                    list.vector_u16()?;
                    self.signed_certificate_timestamps += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a ServerHello is of a draft of TLS 1.3 whose servers give the version as 3.4, and not the number of the draft: those of
/// tls13.crypto.mozilla.org spoke draft 14 so.
///
/// Later ones leave 3.3 in this field (RFC 8446 §4.1.3). A server that does not may still send the fields of the final version, so
/// the extensions have to lie where the draft has them: behind version, random and cipher suite, to the end.
fn is_unnumbered_draft(body: &[u8]) -> bool {
    const BEFORE_EXTENSIONS: usize = 2 + 32 + 2;
    let Some((fields, extensions)) = body.split_at_checked(BEFORE_EXTENSIONS) else {
        return false;
    };
    let mut reader = Reader::new(extensions);
    let is_whole = reader.vector_u16().is_ok() && reader.is_empty();
    fields.starts_with(&ProtocolVersion::TLSv1_3.0.to_be_bytes()) && is_whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(random: [u8; 32]) -> Vec<u8> {
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 29, 0, 41, 0, 2, 0, 0];
        let fixed = [&[3, 3][..], &random, &[0], &[0x13, 0x02], &[0]].concat();
        [&fixed[..], &[0, extensions.len() as u8], &extensions].concat()
    }

    #[test]
    fn reads_what_the_server_selected() {
        let hello = ServerHello::read(&body([1; 32])).unwrap();
        assert_eq!(hello.version(), ProtocolVersion::TLSv1_3);
        assert_eq!(
            hello.cipher_suite,
            Some(CipherSuite::TLS_AES_256_GCM_SHA384)
        );
        assert_eq!(hello.key_share_group, Some(NamedGroup(29)));
        assert!(hello.pre_shared_key && !hello.is_retry);
    }

    /// As the hello of a server that speaks draft 14: version, random, cipher suite, extensions.
    #[test]
    fn a_hello_of_an_early_draft_may_have_the_final_version() {
        let extensions = [0, 40, 0, 6, 0, 23, 0, 2, 4, 1];
        let fields = [&[3, 4][..], &[1; 32], &[0xc0, 0x2b], &[0, 10]].concat();
        let draft = [&fields[..], &extensions].concat();
        let hello = ServerHello::read(&draft).unwrap();
        assert_eq!(hello.version(), ProtocolVersion::TLSv1_3);
        assert_eq!(hello.cipher_suite, Some(CipherSuite(0xc02b)));
        assert_eq!(hello.key_share_group, Some(NamedGroup(23)));
        assert_eq!((hello.session_id.len(), hello.is_compressed), (0, false));
        // With one byte more or less, this is none of the two.
        let longer = [&draft[..], &[0]].concat();
        for other in [&longer[..], &draft[..draft.len() - 1]] {
            assert_eq!(ServerHello::read(other), Err(ReadError::Incomplete));
        }
        // The fields of the final version behind the same version.
        let mut last = body([1; 32]);
        last[1] = 4;
        let hello = ServerHello::read(&last).unwrap();
        assert_eq!(
            hello.cipher_suite,
            Some(CipherSuite::TLS_AES_256_GCM_SHA384)
        );
    }

    #[test]
    fn a_retry_is_recognized_by_its_random() {
        use sha2::Digest as _;
        let random: [u8; 32] = sha2::Sha256::digest("HelloRetryRequest").into();
        assert!(ServerHello::read(&body(random)).unwrap().is_retry);
    }

    #[test]
    fn extensions_that_overrun_the_message_are_noted() {
        let whole = body([1; 32]);
        assert!(!ServerHello::read(&whole).unwrap().has_malformed_extensions);
        let mut list = whole.clone();
        list[39] += 1; // the low byte of the list's length
        assert!(ServerHello::read(&list).unwrap().has_malformed_extensions);
        let mut last = whole.clone();
        *last.iter_mut().nth_back(2).unwrap() += 1; // the length of the last extension
        assert!(ServerHello::read(&last).unwrap().has_malformed_extensions);
        assert!(
            !ServerHello::read(&whole[..38])
                .unwrap()
                .has_malformed_extensions
        );
    }

    #[test]
    fn a_cut_hello_has_a_version_only_if_no_extension_can_overrule_it() {
        assert_eq!(ServerHello::read_partial(&[3]), Err(ReadError::Incomplete));
        assert_eq!(
            ServerHello::read_partial(&[3, 3, 1, 2]),
            Err(ReadError::Incomplete)
        );
        let old = ServerHello::read_partial(&[3, 1, 1, 2]).unwrap();
        assert_eq!(
            (old.version(), old.ja3s()),
            (ProtocolVersion::TLSv1_0, None)
        );
    }

    #[test]
    fn every_prefix_of_the_fixed_part_is_incomplete() {
        let bytes = body([1; 32]);
        for length in 0..38 {
            assert_eq!(
                ServerHello::read(&bytes[..length]),
                Err(ReadError::Incomplete),
                "{length}"
            );
        }
    }
}
