//! Certificates: parsing, the cache of chains, findings on dates and names; `cargo bench --bench certificate`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::BytesCount;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use tlscope::certificate::{Certificate, ChainCache, NearExpiry, findings};
use tlscope::flow::Side;
use tlscope::time::Timestamp;

fn main() {
    divan::main();
}

/// A certificate of about a kilobyte for `name`, signed by another key.
fn certificate(name: &str) -> Vec<u8> {
    let names = |host: &str| {
        (0..24)
            .map(|i| format!("{host}{i}.example.org"))
            .collect::<Vec<_>>()
    };
    let mut parameters = CertificateParams::new(names(name)).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let issuer = CertificateParams::new(names("ca")).unwrap();
    let issuer = Issuer::new(issuer, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    parameters.signed_by(&key, &issuer).unwrap().der().to_vec()
}

fn chain() -> Vec<Vec<u8>> {
    ["leaf", "intermediate", "root"].map(certificate).into()
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let der = certificate("leaf");
    bencher
        .counter(BytesCount::of_slice(&der))
        .bench(|| Certificate::from_der(black_box(&der)));
}

#[divan::bench]
fn find_a_chain_of_three(bencher: Bencher<'_, '_>) {
    let chain = chain();
    let bytes: usize = chain.iter().map(Vec::len).sum();
    let mut cache = ChainCache::new();
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| cache.chain(black_box(&chain).iter().map(Vec::as_slice)));
}

#[divan::bench]
fn check_dates_and_names_of_a_chain_of_three(bencher: Bencher<'_, '_>) {
    let chain: Vec<_> = chain()
        .iter()
        .map(|der| Arc::new(Certificate::from_der(der)))
        .collect();
    let at = Timestamp::from_seconds(1_800_000_000);
    bencher.bench(|| {
        let name = Some("leaf23.example.org");
        let near = NearExpiry {
            within: Duration::from_secs(30 * 86_400),
            percent: 33,
        };
        let findings = findings(black_box(&chain), Side::Server, name, at, near);
        assert!(findings.is_empty());
    });
}
