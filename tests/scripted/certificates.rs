//! Chains validated against roots, and OCSP staples, as a connection carries them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tlscope::certificate::{OcspStatus, Trust, TrustOrigin, TrustStore};
use tlscope::event::{ErrorType, Handshake};
use tlscope::observer::Config;

use super::{CLIENT, SERVER, connect, error};
use crate::support::peers::Scene;
use crate::support::tls;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["www.example.org".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.serial_number = Some(vec![0x12, 0x34].into());
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A root, its intermediate, and a leaf that the intermediate issued.
fn hierarchy() -> [Vec<u8>; 3] {
    let key = || KeyPair::generate().unwrap();
    let (root_key, issuing_key) = (key(), key());
    let root_der = ca_params("Root").self_signed(&root_key).unwrap();
    let root = Issuer::new(ca_params("Root"), root_key);
    let issuing_der = ca_params("Issuing").signed_by(&issuing_key, &root).unwrap();
    let issuing = Issuer::new(ca_params("Issuing"), issuing_key);
    let leaf = params("leaf").signed_by(&key(), &issuing).unwrap();
    [root_der, issuing_der, leaf].map(|certificate| certificate.der().to_vec())
}

fn trusting(root: &[u8]) -> Config {
    let mut store = TrustStore::new(TrustOrigin::System);
    store.add(root).unwrap();
    Config::default().with_trust(Trust::new(store))
}

/// Plays connections to servers that send a chain and further messages. The client rejects each with `bad_certificate`.
fn refused(config: Config, servers: &[(&[&[u8]], &[u8])]) -> Vec<Handshake> {
    let mut scene = Scene::with(config);
    for ((chain, more), port) in servers.iter().zip(50_000..) {
        let mut peers = connect(&mut scene, port);
        let flight = [
            tls::server_hello_12(),
            tls::certificates_12(chain),
            more.to_vec(),
            tls::server_hello_done(),
        ];
        scene.play([
            peers.says(CLIENT, &tls::client_hello()),
            peers.says(SERVER, &flight.concat()),
            peers.says(CLIENT, &tls::alert(2, 42)),
            peers.closes(CLIENT),
            peers.closes(SERVER),
        ]);
    }
    scene.end()
}

fn classes(event: &Handshake) -> Vec<ErrorType> {
    event
        .validation
        .iter()
        .map(|finding| finding.error_type)
        .collect()
}

#[test]
fn a_chain_is_completed_with_one_seen_before_on_any_connection() {
    let [root, issuing, leaf] = hierarchy();
    let whole: &[&[u8]] = &[&leaf, &issuing];
    let events = refused(
        trusting(&root),
        &[(&[&leaf], &[]), (whole, &[]), (&[&leaf], &[])],
    );
    assert_eq!(classes(&events[0]), [ErrorType::UntrustedCa]);
    assert_eq!(classes(&events[1]), []);
    assert_eq!(classes(&events[2]), [ErrorType::IncompleteChain]);
    // The observer's roots alone do not explain why the client rejected it; the missing issuer does.
    let errors: Vec<_> = events.iter().map(|event| error(event).unwrap().0).collect();
    let vague = ErrorType::BadCertificate;
    assert_eq!(errors, [vague, vague, ErrorType::UnknownCa]);
}

/// A DER element with less than 128 bytes of content.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 0x80);
    [&[tag, length], &content[..]].concat()
}

/// A CertificateStatus for the certificate with this serial number: revoked on the first of February 2026.
fn revoked(serial: &[u8]) -> Vec<u8> {
    let time = |text: &str| element(0x18, &[text.as_bytes()]);
    let certificate = element(0x30, &[&element(2, &[serial])]);
    let status = element(0xa1, &[&time("20260201000000Z")]);
    let single = element(0x30, &[&certificate, &status, &time("20260202000000Z")]);
    let responses = element(0x30, &[&single]);
    let data = element(0x30, &[&time("20260202000000Z"), &responses]);
    let basic = element(0x30, &[&data]);
    let name = element(6, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
    let bytes = element(0x30, &[&name, &element(4, &[&basic])]);
    let response = element(0x30, &[&[0x0a, 1, 0], &element(0xa0, &[&bytes])]);
    let length = u32::try_from(response.len()).unwrap().to_be_bytes();
    tls::message(22, &[&[1], &length[1..], &response].concat())
}

#[test]
fn a_server_may_staple_the_revocation_of_its_own_certificate() {
    let [root, issuing, leaf] = hierarchy();
    let chain: &[&[u8]] = &[&leaf, &issuing];
    let staples = [revoked(&[0x12, 0x34]), revoked(&[0x43, 0x21])];
    let events = refused(
        trusting(&root),
        &[(chain, &staples[0]), (chain, &staples[1])],
    );
    assert_eq!(classes(&events[0]), [ErrorType::CertRevoked]);
    assert_eq!(
        error(&events[0]),
        Some((ErrorType::CertRevoked, Some(CLIENT)))
    );
    assert_eq!(classes(&events[1]), []); // it is about another certificate
    let staple = events[1].tls.ocsp_staple.as_ref().unwrap();
    assert!(matches!(staple.status, OcspStatus::Revoked(_)));
}
