//! Certificates made for the tests: with rcgen, and with openssl where rcgen cannot make them.

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::support::{needs, scratch};

/// DER.
pub(crate) type Der = Vec<u8>;

/// A CA: its key, and the certificate that its own issuer signed.
pub(crate) struct Ca {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Der,
}

/// A certificate of a CA, valid from 2020 to 2040; `change` changes that.
pub(crate) fn ca_params(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    change(&mut params);
    params
}

pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
    let params = ca_params(name, change);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let issuer = Issuer::new(params, key);
    Ca { issuer, der }
}

pub(crate) fn root(name: &str) -> Ca {
    root_with(name, |_| {})
}

impl Ca {
    /// Its certificate.
    pub(crate) fn der(&self) -> Der {
        self.der.clone()
    }

    /// A CA below this one.
    pub(crate) fn ca_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name, change);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        Self { issuer, der }
    }

    pub(crate) fn ca(&self, name: &str) -> Self {
        self.ca_with(name, |_| {})
    }

    /// A leaf for www.example.org, valid in 2026; `change` changes that.
    pub(crate) fn leaf_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Der {
        let params = leaf_params(change);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }

    pub(crate) fn leaf(&self) -> Der {
        self.leaf_with(|_| {})
    }
}

pub(crate) fn leaf_params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["www.example.org".to_owned()]).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::CommonName, "www.example.org");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    params
}

/// A self-signed leaf.
pub(crate) fn self_signed() -> Der {
    let params = leaf_params(|params| params.use_authority_key_identifier_extension = false);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// `der` with the last byte of its signature changed.
pub(crate) fn tampered(der: &[u8]) -> Der {
    let mut der = der.to_vec();
    *der.last_mut().unwrap() ^= 1;
    der
}

/// `der` with every occurrence of `from` replaced by `to`, which has the same length.
pub(crate) fn patched(der: &[u8], from: &[u8], to: &[u8]) -> Der {
    assert_eq!(from.len(), to.len());
    let mut der = der.to_vec();
    for start in 0..der.len().saturating_sub(from.len()) {
        if der[start..].starts_with(from) {
            der[start..start + to.len()].copy_from_slice(to);
        }
    }
    der
}

/// PEM of a certificate.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// Whether openssl is installed; says so if it is not.
pub(crate) fn has_openssl() -> bool {
    needs::program("openssl").is_some()
}

/// Runs openssl in `folder`. It must succeed.
pub(crate) fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
}

/// A root and its leaf, made with openssl and valid for ten years from now. `key` and `hash` are arguments of openssl.
///
/// They are those of `weak`, either `root` or `leaf`; the other has P-256 and SHA-256.
pub(crate) fn by_openssl(name: &str, weak: &str, key: &str, hash: &str) -> (Der, Der) {
    const STRONG: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    let folder = scratch::folder(name);
    fs::write(
        folder.join("leaf.ext"),
        "subjectAltName=DNS:www.example.org\nextendedKeyUsage=serverAuth\n",
    )
    .unwrap();
    let (root_key, leaf_key) = if weak == "root" {
        (key, STRONG)
    } else {
        (STRONG, key)
    };
    openssl(
        &folder,
        &format!(
            "req -x509 {root_key} -nodes -keyout root.key -out root.pem -days 3650 -subj /CN=Root {}",
            if weak == "root" { hash } else { "-sha256" }
        ),
    );
    openssl(
        &folder,
        &format!("req -new {leaf_key} -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf"),
    );
    openssl(
        &folder,
        &format!(
            "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -out leaf.der -outform DER -days 3650 -extfile leaf.ext -set_serial 7 {hash}"
        ),
    );
    openssl(&folder, "x509 -in root.pem -out root.der -outform DER");
    let read = |file| fs::read(folder.join(file)).unwrap();
    (read("root.der"), read("leaf.der"))
}
