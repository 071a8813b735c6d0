//! TLS records and messages, written by hand.

/// A record.
pub(crate) fn record(content_type: u8, fragment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 3], &length[..], fragment].concat()
}

/// A handshake message in a record of its own.
pub(crate) fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(22, &[&[message_type], &length[..], body].concat())
}

/// A list after its length, which takes two bytes.
fn vector(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}

fn extension(extension_type: u8, body: &[u8]) -> Vec<u8> {
    [vec![0, extension_type], vector(body)].concat()
}

const RANDOM: [u8; 32] = [0x5a; 32];

/// A ClientHello for `www.example.org` that offers TLS 1.2 and 1.3, with these additional extensions.
fn client_hello_with(extensions: &[Vec<u8>]) -> Vec<u8> {
    client_hello_to("www.example.org", extensions)
}

/// The same for a server of any name.
pub(crate) fn client_hello_to(name: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
    let name = [vec![0], vector(name.as_bytes())].concat();
    let extensions = [
        extension(0, &vector(&name)),
        extension(43, &[4, 3, 4, 3, 3]), // supported_versions
        extensions.concat(),
    ];
    let body = [
        vec![3, 3],
        RANDOM.to_vec(),
        vec![0],                                       // no session
        vector(&[0x13, 0x01, 0x13, 0x02, 0xc0, 0x2f]), // cipher suites
        vec![1, 0],                                    // no compression
        vector(&extensions.concat()),
    ];
    message(1, &body.concat())
}

/// A ClientHello that offers TLS 1.2 and 1.3.
pub(crate) fn client_hello() -> Vec<u8> {
    client_hello_with(&[])
}

/// A ClientHello that announces 0-RTT data.
pub(crate) fn client_hello_with_early_data() -> Vec<u8> {
    client_hello_with(&[extension(42, &[])])
}

/// A ClientHello that offers post-handshake authentication.
pub(crate) fn client_hello_with_later_authentication() -> Vec<u8> {
    client_hello_with(&[extension(49, &[])])
}

/// A ClientHello of a client that takes session tickets: psk_dhe_ke.
pub(crate) fn client_hello_with_tickets() -> Vec<u8> {
    client_hello_with(&[extension(45, &[1, 1])])
}

fn server_hello(cipher_suite: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let body = [
        &[3, 3],
        &RANDOM[..],
        &[0], // no session
        &cipher_suite,
        &[0], // no compression
        &vector(extensions),
    ];
    message(2, &body.concat())
}

/// A ServerHello of TLS 1.2: ECDHE_RSA with AES-128-GCM.
pub(crate) fn server_hello_12() -> Vec<u8> {
    server_hello([0xc0, 0x2f], &[])
}

/// A ServerHello of TLS 1.3: AES-128-GCM, whose tag takes 16 bytes and whose hash takes 32.
pub(crate) fn server_hello_13() -> Vec<u8> {
    server_hello([0x13, 0x01], &extension(43, &[3, 4]))
}

/// A TLS 1.3 ServerHello that accepts the pre-shared key.
pub(crate) fn server_hello_psk() -> Vec<u8> {
    let extensions = [extension(43, &[3, 4]), extension(41, &[0, 0])];
    server_hello([0x13, 0x01], &extensions.concat())
}

/// A server's first flight in TLS 1.2, with a certificate that cannot be parsed.
pub(crate) fn server_flight_12() -> Vec<u8> {
    [server_hello_12(), certificate_12(), server_hello_done()].concat()
}

/// The same, with a request for a client certificate.
pub(crate) fn server_flight_12_with_request() -> Vec<u8> {
    let request = message(13, &[1, 1, 0, 2, 4, 1, 0, 0]);
    [
        server_hello_12(),
        certificate_12(),
        request,
        server_hello_done(),
    ]
    .concat()
}

fn certificate_12() -> Vec<u8> {
    message(11, &[0, 0, 5, 0, 0, 2, 0x30, 0])
}

/// A Certificate message of TLS 1.2 with these certificates.
pub(crate) fn certificates_12(chain: &[&[u8]]) -> Vec<u8> {
    let vector = |bytes: &[u8]| {
        let [_, length @ ..] = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    };
    let list: Vec<u8> = chain.iter().flat_map(|der| vector(der)).collect();
    message(11, &vector(&list))
}

/// A Certificate message of TLS 1.2 without certificates.
pub(crate) fn empty_certificate_12() -> Vec<u8> {
    message(11, &[0, 0, 0])
}

pub(crate) fn server_hello_done() -> Vec<u8> {
    message(14, &[])
}

/// A client's second flight in TLS 1.2.
pub(crate) fn client_flight_12() -> Vec<u8> {
    [message(16, &[0x5a; 33]), finished_12()].concat()
}

/// ChangeCipherSpec and Finished in TLS 1.2: the latter is encrypted.
pub(crate) fn finished_12() -> Vec<u8> {
    [record(20, &[1]), record(22, &[0x5a; 40])].concat()
}

pub(crate) fn alert(level: u8, description: u8) -> Vec<u8> {
    record(21, &[level, description])
}

/// An encrypted alert in TLS 1.2.
pub(crate) fn encrypted_alert_12() -> Vec<u8> {
    record(21, &[0x5a; 26])
}

/// An encrypted record: any message in TLS 1.3, application data up to TLS 1.2.
pub(crate) fn encrypted(length: u16) -> Vec<u8> {
    record(23, &vec![0x5a; usize::from(length)])
}

/// A server's encrypted flight in TLS 1.3: EncryptedExtensions, Certificate, CertificateVerify (RSA 2048), Finished.
pub(crate) fn encrypted_flight() -> Vec<u8> {
    [23, 900, 281, 53].map(encrypted).concat()
}
