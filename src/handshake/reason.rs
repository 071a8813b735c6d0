//! Reasons for an alert that stand in the clear: in the hellos, the server's key exchange and its CertificateRequest.
//!
//! An alert is one number. What it is about is often visible in the messages before it: a client that refuses a server
//! without RFC 5746 says `handshake_failure`, and so does one that refuses a small Diffie-Hellman group. Each reason here
//! is a clause of the error's message. None changes the class, and none is named unless the messages show it.

use crate::certificate::{Certificate, PublicKey};
use crate::error_type::ErrorType;
use crate::flow::Side;
use crate::tls::{
    AlertDescription, CipherSuite, ClientHello, ExtensionType, HandshakeType, KeyExchange,
    ProtocolVersion, SignatureScheme, read_certificate_list, read_requested_schemes,
};

use super::cause::answers_hello;
use super::offer;
use super::transcript::Transcript;

/// A reason, and what follows from it.
pub(super) struct Reason {
    /// What the messages show.
    pub(super) clause: String,
    /// Who must change what.
    pub(super) hint: Option<String>,
}

impl Reason {
    const fn without_hint(clause: String) -> Self {
        Self { clause, hint: None }
    }

    fn with_hint(clause: String, hint: &str) -> Self {
        Self {
            clause,
            hint: Some(hint.to_owned()),
        }
    }
}

/// The reasons that the messages before an alert of `side` show, each as a clause.
pub(super) fn in_the_clear(
    transcript: &Transcript,
    side: Side,
    description: AlertDescription,
    error_type: ErrorType,
) -> Vec<Reason> {
    if answers_hello(transcript, side) {
        return transcript
            .client_hello()
            .map(|hello| of_a_refused_hello(hello, description, error_type))
            .unwrap_or_default()
            .into_iter()
            .map(Reason::without_hint)
            .collect();
    }
    [
        selection(transcript, side, error_type).map(Reason::without_hint),
        legacy_renegotiation(transcript, side, description),
        small_group(transcript, side, description),
        different_shared_keys(transcript, side, error_type),
        signature_schemes(transcript, side, error_type),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a refused hello had offered, as far as the alert may be about it.
fn of_a_refused_hello(
    hello: &ClientHello,
    description: AlertDescription,
    error_type: ErrorType,
) -> Vec<String> {
    let mut reasons = Vec::new();
    match error_type {
        ErrorType::ProtocolMismatch => {
            let versions = offer::versions(&hello.offered_versions());
            reasons.push(format!("the client offers {versions}"));
            return reasons;
        }
        ErrorType::NoApplicationProtocol => {
            let protocols = hello.alpn.as_deref().unwrap_or_default();
            reasons.push(format!("the client offers {}", offer::names(protocols)));
            return reasons;
        }
        ErrorType::UnrecognizedName => {
            let name = hello.server_name.as_ref();
            reasons.extend(name.map(|name| format!("the client asks for `{name}`")));
            return reasons;
        }
        ErrorType::CipherMismatch => {
            let narrow = offer::narrowness(hello);
            reasons.extend(narrow.map(|narrow| format!("the client offers {narrow}")));
        }
        _ => {}
    }
    reasons.push(format!("offered: {}", offer::describe(hello)));
    if error_type == ErrorType::HandshakeFailure && hello.is_whole() {
        let whom = hello.server_name.as_ref();
        let whom = whom.map_or_else(|| "this client".to_owned(), |name| format!("`{name}`"));
        reasons.push(format!(
            "the offer is ordinary, so the server may have no usable certificate for {whom}"
        ));
    }
    if let Some(by) = offered_resumption(hello) {
        reasons.push(match description {
            AlertDescription::DecryptError => {
                format!("the client had proved {by} with a key that the server does not have")
            }
            _ => format!("the client had offered {by}"),
        });
    }
    reasons
}

/// What of an earlier session, or of a secret shared before, the client offers to use.
fn offered_resumption(hello: &ClientHello) -> Option<&'static str> {
    if hello.pre_shared_key {
        return Some("to resume a session or to use a pre-shared key (pre_shared_key)");
    }
    // TLS 1.3 fills the session identifier with random bytes.
    let has_session = !hello.session_id.is_empty() && !hello.offers_tls13();
    match hello.session_ticket_length {
        Some(length) if length > 0 => Some("to resume a session by its ticket"),
        _ if has_session => Some("to resume a session by its identifier"),
        _ => None,
    }
}

/// What the server had selected, where the client refuses that.
fn selection(transcript: &Transcript, side: Side, error_type: ErrorType) -> Option<String> {
    let hello = transcript
        .server_hello()
        .filter(|_| side == Side::Client && !has_client_answered(transcript))?;
    match error_type {
        ErrorType::ProtocolMismatch => Some(format!("the server selected {}", hello.version())),
        ErrorType::InsufficientSecurity => {
            let suite = hello.cipher_suite?;
            Some(format!("the server selected {suite}"))
        }
        _ => None,
    }
}

/// The server does not support secure renegotiation (RFC 5746), which the client asked for: OpenSSL 3 refuses it.
fn legacy_renegotiation(
    transcript: &Transcript,
    side: Side,
    description: AlertDescription,
) -> Option<Reason> {
    let is_refused = side == Side::Client && description == AlertDescription::HandshakeFailure;
    let is_reason = is_refused && lacks_secure_renegotiation(transcript);
    (is_reason && !has_client_answered(transcript)).then(|| {
        let clause =
            "the ServerHello has no renegotiation_info (RFC 5746), which the client had asked for";
        Reason::with_hint(
            clause.to_owned(),
            "the server must support secure renegotiation (RFC 5746), or the client must allow servers without it",
        )
    })
}

/// Whether the client asked for secure renegotiation, and the server's hello is without it.
fn lacks_secure_renegotiation(transcript: &Transcript) -> bool {
    let (Some(asked), Some(hello)) = (transcript.client_hello(), transcript.server_hello()) else {
        return false;
    };
    let scsv = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
    let extension = ExtensionType::RenegotiationInfo;
    let has_asked = asked.cipher_suites.contains(&scsv) || asked.extensions.contains(&extension);
    let is_readable = !hello.is_partial && hello.cipher_suite.is_some();
    has_asked
        && is_readable
        && !hello.version().is_tls13()
        && !hello.extensions.contains(&extension)
}

/// Bits that a Diffie-Hellman group must have for clients in their present configuration: OpenSSL at level 2, browsers
/// that still have DHE at all, and NIST SP 800-52r2.
const MIN_GROUP_BITS: u16 = 2048;

/// The server's Diffie-Hellman group is small.
fn small_group(
    transcript: &Transcript,
    side: Side,
    description: AlertDescription,
) -> Option<Reason> {
    let may_be_about_group = matches!(
        description,
        AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::IllegalParameter
            | AlertDescription::InternalError
    );
    let bits = transcript
        .key_exchange_prime_bits()
        .filter(|bits| *bits < MIN_GROUP_BITS)?;
    let is_refused = side == Side::Client && may_be_about_group;
    (is_refused && !has_client_answered(transcript)).then(|| {
        Reason::with_hint(
            format!("the server's Diffie-Hellman group has only {bits} bits"),
            "the server must use a Diffie-Hellman group of at least 2048 bits, or elliptic curves",
        )
    })
}

/// With a suite of pre-shared keys, the first record that they protect cannot be read.
fn different_shared_keys(
    transcript: &Transcript,
    side: Side,
    error_type: ErrorType,
) -> Option<Reason> {
    let is_about_keys = matches!(
        error_type,
        ErrorType::BadRecordMac | ErrorType::DecryptError
    );
    let suite = transcript.server_hello()?.cipher_suite?;
    let is_shared = matches!(
        suite.key_exchange()?,
        KeyExchange::Psk | KeyExchange::DhePsk | KeyExchange::EcdhePsk | KeyExchange::RsaPsk
    );
    let has_read = transcript.peer(side.peer()).change_cipher_spec;
    (is_about_keys && is_shared && has_read && !transcript.is_complete()).then(|| {
        Reason::with_hint(
            "the pre-shared keys (PSK) of client and server differ".to_owned(),
            "client and server must be configured with the same pre-shared key",
        )
    })
}

/// The signatures that the server accepts from clients do not fit the client's key, or what it can sign with.
fn signature_schemes(transcript: &Transcript, side: Side, error_type: ErrorType) -> Option<Reason> {
    let version = transcript.version().unwrap_or(ProtocolVersion::TLSv1_2);
    let accepted = read_requested_schemes(transcript.certificate_request()?, version)?;
    let families = families(&accepted);
    let is_for = |family| families.contains(&family);
    let named = families.join(" or ");
    match side {
        Side::Server if error_type == ErrorType::MissingClientCert => (families.len() == 1)
            .then(|| format!("it accepts only {named} signatures by clients"))
            .map(Reason::without_hint),
        Side::Server => {
            let shown = transcript.peer(Side::Client).certificate.as_deref()?;
            let leaf = *read_certificate_list(shown).ok()?.first()?;
            let key = Certificate::from_der(leaf).facts.ok()?.key;
            let family = key_family(&key)?;
            (may_be_about_key(error_type) && !families.is_empty() && !is_for(family)).then(|| {
                Reason::with_hint(
                    format!("it accepts only {named} signatures, and the client's key is {key}"),
                    &format!("the client needs a certificate with a key for {named} signatures"),
                )
            })
        }
        Side::Client => {
            let own = transcript.client_hello()?.signature_algorithms.as_ref()?;
            let is_about_offer = matches!(
                error_type,
                ErrorType::HandshakeFailure | ErrorType::InternalError
            );
            let shares_one = accepted.iter().any(|scheme| own.contains(scheme));
            let has_gone_on = has_client_answered(transcript);
            (is_about_offer && !accepted.is_empty() && !shares_one && !has_gone_on).then(|| {
                let accepted = offer::names(&accepted);
                Reason::without_hint(format!(
                    "the server accepts only {accepted} from clients, none of which this client supports"
                ))
            })
        }
    }
}

/// Whether an alert of this class may be about the key of a certificate.
const fn may_be_about_key(error_type: ErrorType) -> bool {
    matches!(
        error_type,
        ErrorType::HandshakeFailure
            | ErrorType::IllegalParameter
            | ErrorType::UnsupportedCertificate
            | ErrorType::BadCertificate
            | ErrorType::CertificateUnknown
            | ErrorType::DecryptError
            | ErrorType::InternalError
    )
}

/// The kinds of keys that signature schemes are for, each once; one that is not in common use makes the list useless.
fn families(schemes: &[SignatureScheme]) -> Vec<&'static str> {
    let mut families = Vec::new();
    for scheme in schemes {
        match offer::family(*scheme) {
            Some(family) if !families.contains(&family) => families.push(family),
            Some(_) => {}
            None => return Vec::new(),
        }
    }
    families
}

const fn key_family(key: &PublicKey) -> Option<&'static str> {
    match key {
        PublicKey::Rsa(_) | PublicKey::RsaPss(_) => Some("RSA"),
        PublicKey::Ecdsa(_) => Some("ECDSA"),
        _ => None,
    }
}

/// Whether the client has gone on after the server's flight: what it refuses later is not in that flight.
fn has_client_answered(transcript: &Transcript) -> bool {
    transcript.has_message(HandshakeType::ClientKeyExchange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::cause;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, tls12};

    /// What the message of an alert says after its name, and the hint.
    fn said(script: &Script, side: Side, code: u8) -> (String, Option<String>) {
        let description = AlertDescription(code);
        let cause = cause::from_alert(&script.transcript, side, description);
        let (_, clauses) = cause.message.split_once(')').unwrap();
        (clauses.trim_start_matches("; ").to_owned(), cause.hint)
    }

    fn clauses(script: &Script, side: Side, code: u8) -> String {
        said(script, side, code).0
    }

    /// A TLS 1.2 handshake after its ServerHello.
    fn negotiated(suite: CipherSuite, extensions: &[ExtensionType]) -> Script {
        let script = connection().client_hello(|hello| {
            hello.supported_versions = None;
            hello.extensions = vec![ExtensionType::RenegotiationInfo];
            hello.signature_algorithms = Some(vec![SignatureScheme::RsaPkcs1Sha256]);
        });
        script.server_hello_13(|hello| {
            hello.supported_version = None;
            hello.cipher_suite = Some(suite);
            hello.extensions = extensions.to_vec();
        })
    }

    const SECURE: &[ExtensionType] = &[ExtensionType::RenegotiationInfo];
    const ECDHE: CipherSuite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    const DHE: CipherSuite = CipherSuite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA;

    #[test]
    fn a_client_that_refuses_legacy_renegotiation_had_asked_for_more() {
        let legacy = || negotiated(ECDHE, &[]);
        let (clause, hint) = said(&legacy(), CLIENT, 40);
        assert!(clause.contains("no renegotiation_info"), "{clause}");
        assert!(hint.is_some_and(|hint| hint.contains("RFC 5746")));
        assert_eq!(clauses(&negotiated(ECDHE, SECURE), CLIENT, 40), "");
        assert_eq!(clauses(&legacy(), CLIENT, 47), "");
        assert_eq!(clauses(&legacy(), SERVER, 40), "");
        let gone_on = legacy().message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(clauses(&gone_on, CLIENT, 40), "");
        assert_eq!(clauses(&tls12(), CLIENT, 40), ""); // did not ask
    }

    #[test]
    fn a_small_group_is_named_and_one_of_2048_bits_is_not() {
        let exchanged = |suite, bytes: u16| {
            let prime = [&bytes.to_be_bytes()[..], &vec![0xff; bytes.into()]].concat();
            negotiated(suite, SECURE).message(SERVER, HandshakeType::ServerKeyExchange, &prime)
        };
        let (clause, hint) = said(&exchanged(DHE, 128), CLIENT, 40);
        assert_eq!(
            clause,
            "the server's Diffie-Hellman group has only 1024 bits"
        );
        assert!(hint.is_some());
        assert_eq!(clauses(&exchanged(DHE, 256), CLIENT, 40), "");
        assert_eq!(clauses(&exchanged(ECDHE, 128), CLIENT, 40), "");
        assert_eq!(clauses(&exchanged(DHE, 128), CLIENT, 48), "");
    }

    #[test]
    fn the_first_record_under_a_shared_key_shows_that_the_keys_differ() {
        let psk = CipherSuite::TLS_PSK_WITH_AES_128_CBC_SHA;
        let finished = |suite| negotiated(suite, SECURE).finished_12(CLIENT);
        let (clause, hint) = said(&finished(psk), SERVER, 20);
        assert_eq!(
            clause,
            "the pre-shared keys (PSK) of client and server differ"
        );
        assert!(hint.is_some());
        assert_eq!(clauses(&finished(ECDHE), SERVER, 20), "");
        assert_eq!(clauses(&negotiated(psk, SECURE), SERVER, 20), "");
        assert_eq!(clauses(&finished(psk).finished_12(SERVER), SERVER, 20), "");
    }

    #[test]
    fn a_refused_hello_says_whether_it_wanted_to_resume() {
        let resuming = connection().client_hello(|hello| hello.pre_shared_key = true);
        assert!(clauses(&resuming, SERVER, 80).contains("resume a session"));
        assert!(clauses(&resuming, SERVER, 51).contains("a key that the server does not have"));
        assert_eq!(
            clauses(&resuming, SERVER, 70),
            "the client offers TLS 1.2 to TLS 1.3"
        );
        // TLS 1.3 fills the session identifier.
        let fresh = connection().client_hello(|hello| hello.session_id = vec![1; 32]);
        assert!(!clauses(&fresh, SERVER, 80).contains("resume"));
        let old = connection().client_hello(|hello| {
            hello.session_id = vec![1; 32];
            hello.supported_versions = None;
        });
        assert!(clauses(&old, SERVER, 80).contains("by its identifier"));
    }

    #[test]
    fn an_alert_about_one_part_of_the_offer_quotes_that_part() {
        let offer = connection().client_hello(|hello| {
            hello.alpn = Some(vec!["h2".to_owned()]);
            hello.server_name = Some("example.org".to_owned());
        });
        assert_eq!(clauses(&offer, SERVER, 120), "the client offers h2");
        assert_eq!(
            clauses(&offer, SERVER, 112),
            "the client asks for `example.org`"
        );
        let ordinary = clauses(&offer, SERVER, 40);
        assert!(ordinary.ends_with("no usable certificate for `example.org`"));
    }

    #[test]
    fn what_the_server_selected_is_named_where_the_client_refuses_it() {
        assert_eq!(clauses(&tls12(), CLIENT, 70), "the server selected TLS 1.2");
        assert_eq!(clauses(&tls12(), CLIENT, 80), "");
    }

    /// The body of a TLS 1.2 CertificateRequest for these schemes.
    fn request(schemes: &[SignatureScheme]) -> Vec<u8> {
        let mut body = vec![1, 64, 0, 2 * schemes.len() as u8];
        body.extend(schemes.iter().flat_map(|scheme| scheme.0.to_be_bytes()));
        body.extend([0, 0]);
        body
    }

    #[test]
    fn a_client_key_that_the_request_does_not_cover_is_named() {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let length = leaf.der().len();
        let u24 = |length: usize| [0, (length >> 8) as u8, length as u8];
        let list = [&u24(length + 3)[..], &u24(length), leaf.der()].concat();
        let refused = |schemes: &[SignatureScheme], code| {
            let script = negotiated(ECDHE, SECURE)
                .message(SERVER, HandshakeType::CertificateRequest, &request(schemes))
                .message(CLIENT, HandshakeType::Certificate, &list);
            said(&script, SERVER, code)
        };
        let rsa = [SignatureScheme::RsaPkcs1Sha256];
        let (clause, hint) = refused(&rsa, 40);
        assert_eq!(
            clause,
            "it accepts only RSA signatures, and the client's key is ECDSA P-256"
        );
        assert!(hint.is_some());
        let both = [rsa[0], SignatureScheme::EcdsaSecp256r1Sha256];
        assert_eq!(refused(&both, 40).0, "");
        assert_eq!(refused(&rsa, 48).0, ""); // about the issuer
    }

    #[test]
    fn a_client_that_supports_none_of_the_schemes_asked_for_is_named() {
        let asked = |scheme| {
            let body = request(&[scheme]);
            negotiated(ECDHE, SECURE).message(SERVER, HandshakeType::CertificateRequest, &body)
        };
        let other = asked(SignatureScheme::Ed25519);
        assert!(clauses(&other, CLIENT, 40).contains("only ed25519"));
        let shared = asked(SignatureScheme::RsaPkcs1Sha256);
        assert_eq!(clauses(&shared, CLIENT, 40), "");
        let none = asked(SignatureScheme::Ed25519);
        let none = none.message(CLIENT, HandshakeType::Certificate, &[0, 0, 0]);
        assert_eq!(
            clauses(&none, SERVER, 40),
            "it accepts only EdDSA signatures by clients"
        );
    }
}
