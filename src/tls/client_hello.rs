//! ClientHello (RFC 8446 §4.1.2): the fields that an observer reports.

use std::ops::Range;

use super::codec::{ReadError, Reader, lossy_text};
use super::extension::{Extensions, protocol_names};
use super::fingerprint;
use super::{CipherSuite, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme, is_grease};

/// Values that are kept of a list: twice as many as the longest registry has, that of cipher suites. A hello has room for 30,000, and
/// a protocol name takes up to twenty times its bytes on the wire.
pub const MAX_LISTED: usize = 1024;

/// The contents of a ClientHello. Lists keep the order of the wire, GREASE included.
///
/// No list has more than [`MAX_LISTED`] values; [`ClientHello::values_omitted`] counts the others.
///
/// ```text
/// struct {
///     ProtocolVersion legacy_version = 0x0303;
///     Random random;
///     opaque legacy_session_id<0..32>;
///     CipherSuite cipher_suites<2..2^16-2>;
///     opaque legacy_compression_methods<1..2^8-1>;
///     Extension extensions<8..2^16-1>;
/// } ClientHello;
/// ```
///
/// This is RFC 8446's; earlier versions differ in `extensions` only, which may
/// be absent (RFC 5246 §7.4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`: the version itself up to TLS 1.2.
    pub legacy_version: ProtocolVersion,
    /// `random`, which identifies the connection in key logs. Zeros if the hello was cut short before its end.
    pub random: [u8; 32],
    /// `legacy_session_id`, of 0 to 32 bytes.
    pub session_id: Vec<u8>,
    /// `cipher_suites`.
    pub cipher_suites: Vec<CipherSuite>,
    /// `cipher_specs` of an SSLv2 CLIENT-HELLO, 24 bits each: those below 0x10000 are cipher suites. `None` in a TLS hello.
    pub sslv2_cipher_specs: Option<Vec<u32>>,
    /// Whether the hello was cut short, so that fields and extensions may be missing.
    pub is_partial: bool,
    /// The types of all extensions.
    pub extensions: Vec<ExtensionType>,
    /// The host name in `server_name` (RFC 6066 §3), control characters and bytes beyond UTF-8 replaced.
    pub server_name: Option<String>,
    /// `application_layer_protocol_negotiation` (RFC 7301).
    pub alpn: Option<Vec<String>>,
    /// `supported_versions`.
    pub supported_versions: Option<Vec<ProtocolVersion>>,
    /// `supported_groups`.
    pub groups: Option<Vec<NamedGroup>>,
    /// The groups in `key_share`.
    pub key_share_groups: Option<Vec<NamedGroup>>,
    /// `signature_algorithms`.
    pub signature_algorithms: Option<Vec<SignatureScheme>>,
    /// `ec_point_formats` (RFC 8422 §5.1.2).
    pub point_formats: Vec<u8>,
    /// Length of the ticket in `session_ticket` (RFC 5077); `None` without the extension.
    pub session_ticket_length: Option<usize>,
    /// Whether `pre_shared_key` offers a session or an external key.
    pub pre_shared_key: bool,
    /// Whether `psk_key_exchange_modes` is present: without it a server sends no tickets.
    pub psk_key_exchange_modes: bool,
    /// Whether 0-RTT data follows.
    pub early_data: bool,
    /// Whether an Encrypted Client Hello is offered (RFC 9849, and its drafts since 13).
    pub encrypted_client_hello: bool,
    /// Whether the client offers to authenticate after the handshake.
    pub post_handshake_auth: bool,
    /// Over QUIC: all versions of QUIC that the client has, if it says so in `version_information` (RFC 9368 §3).
    pub quic_versions: Option<Vec<u32>>,
    /// Values that a list had beyond [`MAX_LISTED`], in all lists together.
    pub values_omitted: u32,
    /// The first and last byte of the first ALPN value, for JA4.
    pub(super) alpn_ends: Option<(u8, u8)>,
    /// For the lists of the next hello that is read in its place.
    pub(super) room: Room,
}

/// Lists of hellos that were read before, for the extensions of the next ones. They mean nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    server_name: String,
    protocols: Vec<String>,
    versions: Vec<ProtocolVersion>,
    groups: Vec<NamedGroup>,
    key_shares: Vec<NamedGroup>,
    schemes: Vec<SignatureScheme>,
}

/// Bytes of a server's name, and protocol names, whose room is kept: what usual clients send is shorter.
const LONGEST_ROOM: usize = 255;
const MAX_PROTOCOL_ROOMS: usize = 8;

/// Hellos with the same contents are equal.
impl PartialEq for Room {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Room {}

impl ClientHello {
    /// Reads the body of a ClientHello message.
    ///
    /// Extensions are read one by one: one that breaks a rule counts as absent,
    /// and the others are read. Bytes after the extensions are ignored.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if a field before the extensions breaks a rule or reaches past the end.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let mut this = Self::default();
        this.read_again(body)?;
        Ok(this)
    }

    /// As [`ClientHello::read`], over a hello that is no longer needed, whose lists are reused. After an error it means nothing.
    pub(crate) fn read_again(&mut self, body: &[u8]) -> Result<(), ReadError> {
        let mut room = self.clear();
        let mut reader = Reader::new(body);
        self.legacy_version = ProtocolVersion(reader.u16()?);
        self.read_fixed_part(&mut reader)?;
        // Absent, or longer than the message: then the hello has no extensions.
        let list = reader.vector_u16().map(|mut list| list.rest());
        self.read_extensions(list.unwrap_or_default(), &mut room);
        self.room = room;
        Ok(())
    }

    /// Empties it; its lists keep their room, and those of extensions, which may not come again, are returned.
    fn clear(&mut self) -> Room {
        fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
            list.clear();
            std::mem::take(list)
        }
        fn reclaim<T>(room: &mut T, list: &mut Option<T>) {
            if let Some(list) = list.take() {
                *room = list;
            }
        }
        let mut room = std::mem::take(&mut self.room);
        reclaim(&mut room.server_name, &mut self.server_name);
        reclaim(&mut room.protocols, &mut self.alpn);
        reclaim(&mut room.versions, &mut self.supported_versions);
        reclaim(&mut room.groups, &mut self.groups);
        reclaim(&mut room.key_shares, &mut self.key_share_groups);
        reclaim(&mut room.schemes, &mut self.signature_algorithms);
        if room.server_name.capacity() > LONGEST_ROOM {
            room.server_name = String::new();
        }
        let names = &mut room.protocols;
        names.truncate(MAX_PROTOCOL_ROOMS);
        names.shrink_to(MAX_PROTOCOL_ROOMS);
        names.retain(|name| name.capacity() <= LONGEST_ROOM);
        *self = Self {
            session_id: emptied(&mut self.session_id),
            cipher_suites: emptied(&mut self.cipher_suites),
            extensions: emptied(&mut self.extensions),
            point_formats: emptied(&mut self.point_formats),
            ..Self::default()
        };
        room
    }

    /// Reads the front of a ClientHello's body that was cut short.
    ///
    /// The field or extension that the cut goes through is left out.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if not even the version is there.
    pub fn read_partial(body: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(body);
        let mut this = Self {
            legacy_version: ProtocolVersion(reader.u16()?),
            is_partial: true,
            ..Self::default()
        };
        // The length of the extensions counts bytes beyond the cut: what is there is read.
        let has_extensions = this.read_fixed_part(&mut reader).is_ok() && reader.u16().is_ok();
        if has_extensions {
            this.read_extensions(reader.rest(), &mut Room::default());
        }
        Ok(this)
    }

    /// Reads the body of a ClientHello message of DTLS, which has a cookie after the session identifier (RFC 6347 §4.2.1).
    ///
    /// # Errors
    ///
    /// As [`ClientHello::read`].
    pub fn read_dtls(body: &[u8]) -> Result<Self, ReadError> {
        without_cookie(body, Self::read)
    }

    /// Reads the front of the body of a ClientHello message of DTLS that was cut short.
    ///
    /// # Errors
    ///
    /// As [`ClientHello::read_partial`].
    pub fn read_dtls_partial(body: &[u8]) -> Result<Self, ReadError> {
        without_cookie(body, Self::read_partial)
    }

    /// The fields between the version and the extensions; on an error those before it are set.
    fn read_fixed_part(&mut self, reader: &mut Reader<'_>) -> Result<(), ReadError> {
        self.random = reader.take(32)?.try_into().unwrap_or_default();
        let session_id = reader.vector_u8()?.rest();
        if session_id.len() > 32 {
            return Err(ReadError::Invalid("legacy_session_id"));
        }
        self.session_id.extend_from_slice(session_id);
        let suites = reader.vector_u16()?;
        if suites.len() % 2 == 1 {
            return Err(ReadError::Invalid("cipher_suites"));
        }
        let room = std::mem::take(&mut self.cipher_suites);
        self.cipher_suites = self.listed(suites, room, CipherSuite);
        reader.vector_u8()?; // legacy_compression_methods
        Ok(())
    }

    fn read_extensions(&mut self, list: &[u8], room: &mut Room) {
        let extensions = Extensions::new(list);
        if self.extensions.capacity() == 0 {
            // Counted first: growing the list step by step would take four allocations for most hellos.
            let count = extensions.clone().count();
            self.extensions.reserve_exact(count.min(MAX_LISTED));
        }
        for (extension_type, data) in extensions {
            if self.extensions.len() >= MAX_LISTED {
                self.values_omitted += 1;
                continue;
            }
            self.extensions.push(extension_type);
            let _malformed = self.read_extension(extension_type, data, room);
        }
    }

    /// The values of a list, as far as they are kept, in a vector that is empty.
    fn listed<T>(
        &mut self,
        mut list: Reader<'_>,
        mut room: Vec<T>,
        value: impl Fn(u16) -> T,
    ) -> Vec<T> {
        let omitted = (list.len() / 2).saturating_sub(MAX_LISTED);
        self.values_omitted += omitted as u32;
        room.clear(); // where an extension comes twice
        // Cut first: the length of what is left is known, so the values are written without a look at the room for each.
        let bytes = list.rest();
        let kept = bytes.get(..2 * MAX_LISTED).unwrap_or(bytes);
        room.extend(Reader::new(kept).u16_list().map(value));
        room
    }

    /// Bytes of memory that its lists and texts take.
    #[must_use]
    pub fn allocated(&self) -> usize {
        fn of<T>(list: &Vec<T>) -> usize {
            list.capacity() * size_of::<T>()
        }
        fn of_optional<T>(list: &Option<Vec<T>>) -> usize {
            list.as_ref().map_or(0, of)
        }
        let room = &self.room;
        let names = self.alpn.iter().flatten().chain(&room.protocols);
        let names = names.map(String::capacity);
        self.session_id.capacity()
            + room.server_name.capacity()
            + of(&room.protocols)
            + of(&room.versions)
            + of(&room.groups)
            + of(&room.key_shares)
            + of(&room.schemes)
            + of(&self.cipher_suites)
            + of_optional(&self.sslv2_cipher_specs)
            + of(&self.extensions)
            + self.server_name.as_ref().map_or(0, String::capacity)
            + of_optional(&self.alpn)
            + names
                .map(|name| name.next_multiple_of(MIN_ALLOCATION))
                .sum::<usize>()
            + of_optional(&self.supported_versions)
            + of_optional(&self.groups)
            + of_optional(&self.key_share_groups)
            + of_optional(&self.signature_algorithms)
            + self.point_formats.capacity()
            + of_optional(&self.quic_versions)
    }

    /// Reads an SSLv2 CLIENT-HELLO that offers SSL 3.0 or later (RFC 5246 §E.2), without its two length bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if a length reaches past the end.
    pub fn read_sslv2(message: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::new(message);
        reader.u8()?; // msg_type
        let legacy_version = ProtocolVersion(reader.u16()?);
        let (specs, session_id, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let specs = reader.take(usize::from(specs))?;
        let session_id = reader.take(usize::from(session_id))?.to_vec();
        let challenge = reader.take(usize::from(challenge))?;
        // A shorter challenge is padded with zeros on the left (RFC 5246 §E.2).
        let mut random = [0; 32];
        for (byte, from) in random.iter_mut().rev().zip(challenge.iter().rev()) {
            *byte = *from;
        }
        let omitted = (specs.len() / 3).saturating_sub(MAX_LISTED);
        let sslv2_cipher_specs = specs
            .chunks_exact(3)
            .take(MAX_LISTED)
            .map(|spec| u32::from_be_bytes([0, spec[0], spec[1], spec[2]]))
            .collect();
        Ok(Self {
            legacy_version,
            random,
            session_id,
            sslv2_cipher_specs: Some(sslv2_cipher_specs),
            values_omitted: omitted as u32,
            ..Self::default()
        })
    }

    /// The versions offered: `supported_versions`, or without it the legacy version alone.
    #[must_use]
    pub fn offered_versions(&self) -> Vec<ProtocolVersion> {
        self.supported_versions
            .clone()
            .unwrap_or_else(|| vec![self.legacy_version])
    }

    /// Whether TLS 1.3, or a draft of it, is among the versions offered.
    #[must_use]
    pub fn offers_tls13(&self) -> bool {
        self.supported_versions
            .iter()
            .flatten()
            .any(|version| !is_grease(version.0) && version.is_tls13())
    }

    /// JA3: MD5 over the lists of the hello, lower-case hexadecimal; `None` for an SSLv2 hello or one that was cut short.
    #[must_use]
    pub fn ja3(&self) -> Option<String> {
        self.has_fingerprint().then(|| fingerprint::ja3(self))
    }

    /// JA4 of a hello over TCP, of one of DTLS, or over QUIC if it has QUIC's transport parameters; `None` as for [`ClientHello::ja3`].
    #[must_use]
    pub fn ja4(&self) -> Option<String> {
        self.has_fingerprint()
            .then(|| fingerprint::ja4(self, self.transport_letter()))
    }

    /// The letter of JA4 for what carries the hello.
    fn transport_letter(&self) -> char {
        let is_quic = |extension: &ExtensionType| {
            matches!(
                *extension,
                ExtensionType::QuicTransportParameters
                    | ExtensionType::QuicTransportParametersDraft
            )
        };
        if self.legacy_version.is_dtls() {
            'd'
        } else if self.extensions.iter().any(is_quic) {
            'q'
        } else {
            't'
        }
    }

    /// Whether all that it offers is known: it was not cut short, and no list was too long.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.is_partial && self.values_omitted == 0
    }

    pub(super) const fn has_fingerprint(&self) -> bool {
        self.is_whole() && self.sslv2_cipher_specs.is_none()
    }

    fn read_extension(
        &mut self,
        extension_type: ExtensionType,
        data: &[u8],
        room: &mut Room,
    ) -> Result<(), ReadError> {
        let mut reader = Reader::new(data);
        match extension_type {
            ExtensionType::ServerName => {
                let room = std::mem::take(&mut room.server_name);
                self.server_name = server_name(&mut reader, room)?;
            }
            ExtensionType::ApplicationLayerProtocolNegotiation => {
                let room = std::mem::take(&mut room.protocols);
                let offered = protocol_names(&mut reader, room)?;
                self.alpn = Some(offered.names);
                self.alpn_ends = offered.ends;
                self.values_omitted += offered.omitted;
            }
            ExtensionType::SupportedVersions => {
                let (list, room) = (reader.vector_u8()?, std::mem::take(&mut room.versions));
                self.supported_versions = Some(self.listed(list, room, ProtocolVersion));
            }
            ExtensionType::SupportedGroups => {
                let (list, room) = (reader.vector_u16()?, std::mem::take(&mut room.groups));
                self.groups = Some(self.listed(list, room, NamedGroup));
            }
            ExtensionType::KeyShare | DRAFT_KEY_SHARE => {
                let room = std::mem::take(&mut room.key_shares);
                let (groups, omitted) = key_shares(&mut reader, room)?;
                self.key_share_groups = Some(groups);
                self.values_omitted += omitted;
            }
            ExtensionType::SignatureAlgorithms => {
                let (list, room) = (reader.vector_u16()?, std::mem::take(&mut room.schemes));
                self.signature_algorithms = Some(self.listed(list, room, SignatureScheme));
            }
            ExtensionType::EcPointFormats => {
                let formats = reader.vector_u8()?.rest();
                self.point_formats.clear(); // where the extension comes twice
                self.point_formats.extend_from_slice(formats);
            }
            ExtensionType::SessionTicket => self.session_ticket_length = Some(data.len()),
            ExtensionType::PreSharedKey => self.pre_shared_key = true,
            ExtensionType::PskKeyExchangeModes => self.psk_key_exchange_modes = true,
            ExtensionType::EarlyData => self.early_data = true,
            ExtensionType::EncryptedClientHello => self.encrypted_client_hello = true,
            ExtensionType::PostHandshakeAuth => self.post_handshake_auth = true,
            ExtensionType::QuicTransportParameters => self.quic_versions = quic_versions(data),
            _ => {}
        }
        Ok(())
    }
}

/// The available versions in the `version_information` of QUIC's transport parameters: each has a number and a length of 1 to 8 bytes (RFC
/// 9000 §18), and the chosen version comes before the others.
fn quic_versions(parameters: &[u8]) -> Option<Vec<u32>> {
    const VERSION_INFORMATION: u64 = 0x11;
    let mut reader = Reader::new(parameters);
    loop {
        let id = quic_number(&mut reader)?;
        let length = quic_number(&mut reader)?;
        let value = reader.take(usize::try_from(length).ok()?).ok()?;
        if id == VERSION_INFORMATION {
            let (_chosen, available) = value.split_first_chunk::<4>()?;
            let (available, rest) = available.as_chunks();
            let is_whole = rest.is_empty() && available.len() <= MAX_LISTED;
            return is_whole.then(|| available.iter().copied().map(u32::from_be_bytes).collect());
        }
    }
}

/// A number of QUIC, whose first two bits say how long it is (RFC 9000 §16).
fn quic_number(reader: &mut Reader<'_>) -> Option<u64> {
    let first = reader.u8().ok()?;
    let rest = reader.take((1 << (first >> 6)) - 1).ok()?;
    let first = u64::from(first & 0x3f);
    Some(
        rest.iter()
            .fold(first, |number, byte| number << 8 | u64::from(*byte)),
    )
}

/// Reads the body of a ClientHello message of DTLS as if it had no cookie.
fn without_cookie(
    body: &[u8],
    read: impl Fn(&[u8]) -> Result<ClientHello, ReadError>,
) -> Result<ClientHello, ReadError> {
    let cookie = cookie(body).unwrap_or(body.len()..body.len());
    let [front, rest] = [body.get(..cookie.start), body.get(cookie.end..)];
    read(&[front.unwrap_or_default(), rest.unwrap_or_default()].concat())
}

/// Where the cookie and its length are; `None` if the body ends before or within it.
fn cookie(body: &[u8]) -> Option<Range<usize>> {
    let mut reader = Reader::new(body);
    reader.take(2 + 32).ok()?; // version, random
    reader.vector_u8().ok()?;
    let start = body.len() - reader.len();
    reader.vector_u8().ok()?;
    Some(start..body.len() - reader.len())
}

/// The number of `key_share` in drafts of TLS 1.3 up to 22; reserved since.
pub(super) const DRAFT_KEY_SHARE: ExtensionType = ExtensionType(40);

/// RFC 6066 §3: `ServerName server_name_list<1..2^16-1>`; the first host name counts. It takes the place of `room`, which means nothing.
fn server_name(reader: &mut Reader<'_>, mut room: String) -> Result<Option<String>, ReadError> {
    let mut list = reader.vector_u16()?;
    while !list.is_empty() {
        let name_type = list.u8()?;
        let name = list.vector_u16()?.rest();
        if name_type == 0 {
            room.clear();
            room.push_str(&lossy_text(name));
            return Ok(Some(room));
        }
    }
    Ok(None)
}

/// RFC 8446 §4.2.8: `KeyShareEntry client_shares<0..2^16-1>`; the groups, and how many more there were.
fn key_shares(
    reader: &mut Reader<'_>,
    mut groups: Vec<NamedGroup>,
) -> Result<(Vec<NamedGroup>, u32), ReadError> {
    groups.clear();
    let mut list = reader.vector_u16()?;
    let mut omitted = 0;
    while !list.is_empty() {
        let group = NamedGroup(list.u16()?);
        list.vector_u16()?;
        if groups.len() < MAX_LISTED {
            groups.push(group);
        } else {
            omitted += 1;
        }
    }
    Ok((groups, omitted))
}

/// What the shortest text takes in memory.
const MIN_ALLOCATION: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ClientHello with one GREASE suite, a server name, two ALPN values, groups and key shares.
    fn body() -> Vec<u8> {
        let name = [&[0, 0, 0, 16, 0, 14, 0, 0, 11][..], b"example.org"].concat();
        let alpn = [
            0, 16, 0, 14, 0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1',
        ];
        let groups = [0, 10, 0, 6, 0, 4, 0x1a, 0x1a, 0, 29];
        let shares = [0, 51, 0, 7, 0, 5, 0, 29, 0, 1, 9];
        let versions = [0, 43, 0, 5, 4, 3, 4, 3, 3];
        let extensions = [&name[..], &alpn, &groups, &shares, &versions].concat();
        let length = (extensions.len() as u16).to_be_bytes();
        let fixed = [
            &[3, 3][..],
            &[7; 32],
            &[2, 8, 9],
            &[0, 4, 0x0a, 0x0a, 0x13, 0x01],
            &[1, 0],
        ]
        .concat();
        [&fixed[..], &length, &extensions].concat()
    }

    #[test]
    fn the_versions_of_a_quic_client_are_read_from_its_parameters() {
        let parameters = [
            &[0x40, 0x0f, 1, 7, 0x11, 12][..],
            &[0x6b, 0x33, 0x43, 0xcf, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1],
        ]
        .concat();
        assert_eq!(quic_versions(&parameters), Some(vec![0x6b33_43cf, 1]));
        for length in 0..parameters.len() {
            assert_eq!(quic_versions(&parameters[..length]), None, "{length}");
        }
    }

    #[test]
    fn reads_what_it_offers_grease_included() {
        let hello = ClientHello::read(&body()).unwrap();
        assert_eq!(hello.session_id, [8, 9]);
        assert_eq!(hello.cipher_suites, [0x0a0a, 0x1301].map(CipherSuite));
        assert_eq!(hello.server_name.as_deref(), Some("example.org"));
        assert_eq!(
            hello.alpn.as_deref(),
            Some(&["h2".to_owned(), "http/1.1".to_owned()][..])
        );
        assert_eq!(hello.groups, Some([0x1a1a, 29].map(NamedGroup).to_vec()));
        assert_eq!(hello.key_share_groups, Some(vec![NamedGroup(29)]));
        assert!(hello.offers_tls13());
        assert_eq!(hello.extensions.len(), 5);
    }

    #[test]
    fn a_hello_of_dtls_has_a_cookie() {
        let bytes = body();
        let session_end = 2 + 32 + 3;
        for cookie in [&[0][..], &[3, 7, 8, 9]] {
            let (front, rest) = bytes.split_at(session_end);
            let with_cookie = [front, cookie, rest].concat();
            let hello = ClientHello::read_dtls(&with_cookie);
            assert_eq!(hello, ClientHello::read(&bytes));
            for length in 0..EXTENSIONS + cookie.len() {
                let prefix = ClientHello::read_dtls(&with_cookie[..length]);
                assert_eq!(prefix, Err(ReadError::Incomplete), "{length}");
            }
            let partial = ClientHello::read_dtls_partial(&with_cookie);
            assert_eq!(partial.map(|hello| hello.extensions.len()), Ok(5));
        }
    }

    #[test]
    fn a_malformed_extension_does_not_hide_the_others() {
        let mut bytes = body();
        let start = [0, 16, 0, 14, 0, 12];
        let alpn = bytes.windows(6).position(|window| window == start).unwrap();
        bytes[alpn + 4] = 0xff; // the list claims to be longer than the extension
        for hello in [ClientHello::read(&bytes), ClientHello::read_partial(&bytes)] {
            let hello = hello.unwrap();
            assert_eq!(hello.alpn, None);
            assert_eq!(hello.key_share_groups, Some(vec![NamedGroup(29)]));
        }
    }

    /// Where the fixed part of [`body`] ends: at the length of its extensions.
    const EXTENSIONS: usize = 2 + 32 + 3 + 6 + 2;

    #[test]
    fn every_prefix_of_the_fixed_part_is_incomplete() {
        let bytes = body();
        for length in 0..EXTENSIONS {
            assert_eq!(
                ClientHello::read(&bytes[..length]),
                Err(ReadError::Incomplete),
                "{length}"
            );
        }
    }

    #[test]
    fn a_hello_without_extensions_or_with_too_long_ones_has_none() {
        let bytes = body();
        for length in EXTENSIONS..bytes.len() {
            let hello = ClientHello::read(&bytes[..length]).unwrap();
            assert_eq!(hello.cipher_suites.len(), 2);
            assert_eq!(hello.extensions, [], "{length}");
        }
    }

    #[test]
    fn a_hello_read_over_another_one_is_as_if_read_alone() {
        let formats_and_schemes = [
            0, 11, 0, 3, 2, 0, 1, 0, 13, 0, 6, 0, 4, 8, 4, 4, 3, 0, 11, 0, 2, 1, 0,
        ];
        let mut other = body()[..EXTENSIONS - 2].to_vec();
        other.extend([0, formats_and_schemes.len() as u8]);
        other.extend(formats_and_schemes);
        let bodies = [&body()[..], &other, &body()[..EXTENSIONS], &body()[..10]];
        for first in bodies {
            for second in bodies {
                let mut hello = ClientHello::default();
                let _may_fail = hello.read_again(first);
                let read = hello.read_again(second).map(|()| hello);
                assert_eq!(read, ClientHello::read(second));
            }
        }
    }

    #[test]
    fn bytes_after_the_extensions_are_ignored() {
        let longer = [&body()[..], &[0, 23, 0, 0]].concat();
        assert_eq!(ClientHello::read(&longer), ClientHello::read(&body()));
    }

    #[test]
    fn accepts_a_session_id_of_32_bytes_and_rejects_33() {
        let hello = |session_id: &[u8]| {
            let length = session_id.len() as u8;
            let suites_and_compression = [0, 2, 0x13, 0x01, 1, 0];
            let bytes = [
                &[3, 3][..],
                &[7; 32],
                &[length],
                session_id,
                &suites_and_compression,
            ];
            ClientHello::read(&bytes.concat())
        };
        assert!(hello(&[]).unwrap().session_id.is_empty());
        assert_eq!(hello(&[8; 32]).unwrap().session_id, [8; 32]);
        assert_eq!(
            hello(&[8; 33]),
            Err(ReadError::Invalid("legacy_session_id"))
        );
    }

    #[test]
    fn accepts_an_empty_list_of_suites_and_rejects_half_a_suite() {
        let hello = |suites: &[u8]| {
            let bytes = [&[3, 3][..], &[7; 32], &[0], suites, &[1, 0]].concat();
            ClientHello::read(&bytes).map(|hello| hello.cipher_suites)
        };
        assert_eq!(hello(&[0, 0]), Ok(Vec::new()));
        assert_eq!(hello(&[0, 2, 0x13, 1]), Ok(vec![CipherSuite(0x1301)]));
        assert_eq!(
            hello(&[0, 3, 0x13, 1, 0x13]),
            Err(ReadError::Invalid("cipher_suites"))
        );
    }

    #[test]
    fn every_prefix_has_the_fields_before_the_cut_and_no_fingerprint() {
        let bytes = body();
        for length in 0..bytes.len() {
            match ClientHello::read_partial(&bytes[..length]) {
                Ok(hello) => {
                    assert!(length >= 2);
                    assert_eq!((hello.ja3(), hello.ja4()), (None, None));
                    assert_eq!(hello.session_id.is_empty(), length < 2 + 32 + 3);
                    assert_eq!(hello.cipher_suites.is_empty(), length < 2 + 32 + 3 + 6);
                    let name_ends = EXTENSIONS + 2 + 20;
                    assert_eq!(hello.server_name.is_none(), length < name_ends);
                }
                Err(error) => assert_eq!((error, length < 2), (ReadError::Incomplete, true)),
            }
        }
    }

    #[test]
    fn long_lists_are_cut_and_the_rest_is_counted() {
        let hello = |protocols: usize, suites: usize| {
            let list = [1, b'x'].repeat(protocols);
            let length = list.len() as u16;
            let alpn = [
                &[0, 16][..],
                &(length + 2).to_be_bytes(),
                &length.to_be_bytes(),
                &list,
            ]
            .concat();
            let suites = [0x13, 0x01].repeat(suites);
            let bytes = [
                &[3, 3][..],
                &[7; 32],
                &[0],
                &(suites.len() as u16).to_be_bytes(),
                &suites,
                &[1, 0],
                &(alpn.len() as u16).to_be_bytes(),
                &alpn,
            ];
            ClientHello::read(&bytes.concat()).unwrap()
        };
        let longest = hello(MAX_LISTED, MAX_LISTED);
        assert!(longest.is_whole() && longest.ja3().is_some());
        let longer = hello(30_000, MAX_LISTED + 1);
        let protocols = longer.alpn.as_ref().unwrap().len();
        assert_eq!(
            (protocols, longer.cipher_suites.len()),
            (MAX_LISTED, MAX_LISTED)
        );
        assert_eq!(longer.values_omitted, 30_000 - 1024 + 1);
        // A fingerprint of a part of the offer would be that of another client.
        assert!(!longer.is_whole() && longer.ja3().is_none() && longer.ja4().is_none());
        assert!(longer.allocated() < 50_000, "{}", longer.allocated());
    }

    #[test]
    fn an_sslv2_hello_has_its_own_cipher_specs() {
        let message = [
            &[1, 3, 1, 0, 6, 0, 0, 0, 8, 0, 0, 0x2f, 7, 0, 0xc0][..],
            &[5; 8],
        ]
        .concat();
        let hello = ClientHello::read_sslv2(&message).unwrap();
        assert_eq!(hello.legacy_version, ProtocolVersion::TLSv1_0);
        assert_eq!(hello.sslv2_cipher_specs, Some(vec![0x2f, 0x0700c0]));
        assert_eq!(hello.ja3(), None);
        assert!(ClientHello::read_sslv2(&message[..12]).is_err());
    }

    /// Fields up to the extensions, and the types of these.
    type Outline = (u16, Vec<u8>, Vec<u8>, Vec<u16>, Vec<u16>);

    fn outline(body: &[u8]) -> Option<Outline> {
        let hello = ClientHello::read(body).ok()?;
        Some((
            hello.legacy_version.0,
            hello.random.to_vec(),
            hello.session_id,
            hello.cipher_suites.iter().map(|suite| suite.0).collect(),
            hello
                .extensions
                .iter()
                .map(|extension| extension.0)
                .collect(),
        ))
    }

    /// The same by tls-parser.
    fn outline_by_tls_parser(body: &[u8]) -> Option<Outline> {
        let (_, hello) = tls_parser::parse_tls_handshake_client_hello(body).ok()?;
        let extensions = Extensions::new(hello.ext.unwrap_or_default());
        Some((
            hello.version.0,
            hello.random.to_vec(),
            hello.session_id.unwrap_or_default().to_vec(),
            hello.ciphers.iter().map(|suite| suite.0).collect(),
            extensions
                .map(|(extension_type, _)| extension_type.0)
                .collect(),
        ))
    }

    proptest! {
        #[test]
        fn tls_parser_reads_the_same(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            length in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut bytes = body();
            for (index, value) in changes {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            if is_cut {
                bytes.truncate(length.index(bytes.len()));
            }
            prop_assert_eq!(outline(&bytes), outline_by_tls_parser(&bytes));
        }
    }
}
