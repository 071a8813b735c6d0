//! Flaws that depend neither on time nor on trust: keys, signatures, purposes, order.

use std::sync::Arc;

use super::chain::{distinct, shown_issuer};
use super::{
    Certificate, CertificateFacts, CertificateNote, Finding, HashAlgorithm, NoteKind, OwnSignature,
    PublicKey, SignatureAlgorithm, parse,
};
use crate::error_type::ErrorType;
use crate::flow::Side;

/// Bits that an RSA or DSA key needs (NIST SP 800-57 part 1, table 2; CA/Browser Forum baseline requirements §6.1.5).
const MIN_RSA_BITS: usize = 2048;

/// Bits that an elliptic curve needs: as strong as RSA with 2048 bits (NIST SP 800-57 part 1, table 2).
const MIN_CURVE_BITS: u16 = 224;

/// Findings on each certificate that `counts`; certificates outside the path to a root are skipped.
pub(super) fn findings(
    chain: &[Arc<Certificate>],
    side: Side,
    counts: impl Fn(&Certificate) -> bool,
    is_root: impl Fn(&Certificate) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_leaf = |certificate: &Arc<Certificate>| {
        chain
            .first()
            .is_some_and(|leaf| leaf.sha256 == certificate.sha256)
    };
    for certificate in distinct(chain).filter(|certificate| counts(certificate)) {
        let mut add = |error_type, detail: String| {
            findings.push(Finding {
                error_type,
                side,
                detail: detail.into(),
                certificate: Arc::clone(certificate),
            });
        };
        let facts = match &certificate.facts {
            Ok(facts) => facts,
            Err(reason) => {
                let detail = format!("certificate cannot be read: {reason}");
                add(ErrorType::BadCertificate, detail);
                continue;
            }
        };
        if let Some(detail) = weak_key(&facts.key) {
            add(ErrorType::WeakKey, detail);
        }
        // Nobody checks the signature of a root: it is trusted because the user trusts it.
        if !facts.self_signed
            && !is_root(certificate)
            && let Some(detail) = weak_signature(&facts.signature_algorithm)
        {
            add(ErrorType::WeakSignature, detail);
        }
        if is_leaf(certificate)
            && let Some(detail) = misuse(certificate, facts, side)
        {
            add(ErrorType::BadCertificate, detail);
        }
    }
    findings
}

/// Why a key is weak; `None` if it is not, or if its size is unknown.
pub(super) fn weak_key(key: &PublicKey) -> Option<String> {
    match key {
        PublicKey::Rsa(Some(bits)) | PublicKey::RsaPss(Some(bits)) | PublicKey::Dsa(Some(bits)) => {
            (*bits < MIN_RSA_BITS).then(|| format!("{key} key: under {MIN_RSA_BITS} bits"))
        }
        PublicKey::Ecdsa(Some(curve)) => (curve.bits()? < MIN_CURVE_BITS)
            .then(|| format!("{key} key: a curve of under {MIN_CURVE_BITS} bits")),
        _ => None,
    }
}

fn weak_signature(algorithm: &SignatureAlgorithm) -> Option<String> {
    use HashAlgorithm::{Md2, Md4, Md5, Ripemd160, Sha0, Sha1};
    let reason = match algorithm.hash()? {
        Md2 | Md4 | Md5 | Ripemd160 => "MD5 and its like are broken",
        Sha0 | Sha1 => "SHA-1 is broken",
        _ => return None,
    };
    Some(format!("signed with {algorithm}: {reason}"))
}

/// Why a leaf may not be used as it is; `None` if it may.
fn misuse(certificate: &Certificate, facts: &CertificateFacts, side: Side) -> Option<String> {
    if facts.is_ca && !facts.self_signed {
        return Some("a certificate of a CA, used as a leaf".to_owned());
    }
    let usage = parse::usage(&certificate.der)?;
    let (purpose, name) = match side {
        Side::Server => (parse::SERVER_AUTH, "server"),
        Side::Client => (parse::CLIENT_AUTH, "client"),
    };
    if !usage.allows_purpose(purpose) {
        return Some(format!(
            "not for TLS {name} authentication, by its extended key usage"
        ));
    }
    // A server signs its key exchange (DHE, ECDHE, TLS 1.3), decrypts the client's (RSA) or
    // agrees on a key (static DH); a client signs or agrees (RFC 5246 §7.4.2, §7.4.6).
    let bits = match side {
        Side::Server => parse::DIGITAL_SIGNATURE | parse::KEY_ENCIPHERMENT | parse::KEY_AGREEMENT,
        Side::Client => parse::DIGITAL_SIGNATURE | parse::KEY_AGREEMENT,
    };
    let is_allowed = usage.key_usage.is_none_or(|usage| usage & bits != 0);
    (!is_allowed).then(|| format!("not for TLS {name} authentication, by its key usage"))
}

/// What is unusual about a chain, without being a reason to refuse it.
pub(super) fn notes(chain: &[Arc<Certificate>], side: Side) -> Vec<CertificateNote> {
    let mut notes = Vec::new();
    let total = chain.len();
    let path = path_up(chain);
    for (index, certificate) in chain.iter().enumerate() {
        let Ok(facts) = &certificate.facts else {
            continue;
        };
        let number = index + 1;
        let mut add = |kind, detail: String| {
            notes.push(CertificateNote {
                kind,
                side,
                detail: detail.into(),
                certificate: Arc::clone(certificate),
            });
        };
        let mut earlier = chain.iter().take(index);
        if let Some(first) = earlier.position(|other| other.sha256 == certificate.sha256) {
            let detail = format!(
                "certificate {number} of {total} repeats number {}",
                first + 1
            );
            add(NoteKind::DuplicateCertificate, detail);
        } else if !path.contains(&index) {
            let detail = format!("certificate {number} of {total} issued none of the others");
            add(NoteKind::SuperfluousCertificate, detail);
        } else if index > 0 && facts.self_signed {
            let detail =
                format!("certificate {number} of {total} is a root, which need not be sent");
            add(NoteKind::SuperfluousCertificate, detail);
        }
    }
    let unchecked = chain.iter().filter(|shown| {
        let facts = shown.facts.as_ref();
        facts.is_ok_and(|facts| facts.own_signature == OwnSignature::Skipped)
    });
    if let Some(first) = unchecked.clone().next() {
        notes.push(CertificateNote {
            kind: NoteKind::UncheckedSignature,
            side,
            detail: format!(
                "{} of {total} certificates name themselves as their issuer, and their signatures were not checked: too many \
                 for one handshake",
                unchecked.count()
            )
            .into(),
            certificate: Arc::clone(first),
        });
    }
    if let Some(pair) = path.windows(2).find(|pair| pair[0] > pair[1])
        && let Some(certificate) = chain.get(pair[0])
        && certificate.facts.is_ok()
    {
        notes.push(CertificateNote {
            kind: NoteKind::WrongOrder,
            side,
            detail: format!(
                "certificate {} of {total} comes after its issuer, number {}",
                pair[0] + 1,
                pair[1] + 1
            )
            .into(),
            certificate: Arc::clone(certificate),
        });
    }
    notes
}

/// Positions of the leaf, its issuer, the issuer's issuer and so on, as far as the chain has them.
pub(super) fn path_up(chain: &[Arc<Certificate>]) -> Vec<usize> {
    let mut path = vec![0];
    let mut current = chain.first();
    while let Some(Ok(facts)) = current.map(|certificate| &certificate.facts) {
        if facts.subject == facts.issuer {
            break;
        }
        let Some(index) = shown_issuer(chain, &path, facts) else {
            break;
        };
        path.push(index);
        current = chain.get(index);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::support::{
        Template, algorithm, common_name, element, extension, key, oid, rsa_key,
    };
    use super::*;

    fn certificate(name: &str, issuer: &str) -> Arc<Certificate> {
        Arc::new(
            Template {
                subject: common_name(name),
                issuer: common_name(issuer),
                ..Template::default()
            }
            .certificate(),
        )
    }

    fn texts(template: &Template, side: Side) -> Vec<String> {
        let chain = [Arc::new(template.certificate())];
        findings(&chain, side, |_| true, |_| false)
            .iter()
            .map(|finding| format!("{}: {}", finding.error_type, finding.detail))
            .collect()
    }

    fn note_texts(chain: &[Arc<Certificate>]) -> Vec<String> {
        notes(chain, Side::Server)
            .iter()
            .map(|note| format!("{}: {}", note.kind.as_str(), note.detail))
            .collect()
    }

    #[test]
    fn short_keys_are_weak() {
        let with_key = |key| Template {
            key,
            ..Template::default()
        };
        assert_eq!(
            texts(&with_key(rsa_key(2047)), Side::Server),
            ["weak_key: RSA 2047 key: under 2048 bits"]
        );
        assert_eq!(texts(&with_key(rsa_key(2048)), Side::Server).len(), 0);
        let curve = |name| {
            let parameters = algorithm("1.2.840.10045.2.1", &oid(name));
            with_key(key(&parameters, &[4; 49]))
        };
        assert_eq!(
            texts(&curve("1.2.840.10045.3.1.1"), Side::Server),
            ["weak_key: ECDSA P-192 key: a curve of under 224 bits"]
        );
        for weak in ["1.3.132.0.8", "1.3.132.0.2", "1.2.840.10045.3.1.3"] {
            assert_eq!(texts(&curve(weak), Side::Server).len(), 1, "{weak}");
        }
        assert_eq!(texts(&curve("1.3.132.0.33"), Side::Server).len(), 0); // P-224
    }

    #[test]
    fn broken_hashes_are_weak_except_in_the_own_signature_of_a_root() {
        let signed = |dotted: &str, subject: &str| Template {
            subject: common_name(subject),
            signature_algorithm: algorithm(dotted, &[5, 0]),
            ..Template::default()
        };
        let weak = [
            "1.2.840.113549.1.1.5",
            "1.2.840.113549.1.1.4",
            "1.2.840.10045.4.1",
        ];
        for dotted in weak {
            assert_eq!(texts(&signed(dotted, "leaf"), Side::Server).len(), 1);
        }
        let root = signed("1.2.840.113549.1.1.4", "ca"); // MD5 signatures cannot be checked: equal names decide
        assert_eq!(texts(&root, Side::Server).len(), 0);
        for dotted in ["1.2.840.113549.1.1.11", "1.3.101.112", "1.2.3"] {
            assert_eq!(texts(&signed(dotted, "leaf"), Side::Server).len(), 0);
        }
    }

    #[test]
    fn a_leaf_must_allow_its_use() {
        let with = |extensions| Template {
            extensions,
            ..Template::default()
        };
        let purposes = |dotted: &[&str]| {
            let list: Vec<u8> = dotted.iter().flat_map(|dotted| oid(dotted)).collect();
            extension("2.5.29.37", &element(0x30, &list))
        };
        let usage = |bits: u8| extension("2.5.29.15", &element(3, &[0, bits]));
        let (server, client) = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2");
        let only_client = with(vec![purposes(&[client])]);
        assert_eq!(texts(&only_client, Side::Client).len(), 0);
        assert_eq!(
            texts(&only_client, Side::Server),
            ["bad_certificate: not for TLS server authentication, by its extended key usage"]
        );
        assert_eq!(
            texts(&with(vec![purposes(&[client, server])]), Side::Server).len(),
            0
        );
        assert_eq!(texts(&with(vec![usage(0x80)]), Side::Client).len(), 0);
        assert_eq!(texts(&with(vec![usage(0x20)]), Side::Server).len(), 0);
        assert_eq!(
            texts(&with(vec![usage(0x20)]), Side::Client),
            ["bad_certificate: not for TLS client authentication, by its key usage"]
        );
        let constraints = element(0x30, &[0x01, 0x01, 0xff]);
        assert_eq!(
            texts(
                &with(vec![extension("2.5.29.19", &constraints)]),
                Side::Server
            ),
            ["bad_certificate: a certificate of a CA, used as a leaf"]
        );
    }

    #[test]
    fn an_unreadable_certificate_is_bad() {
        let chain = [Arc::new(Certificate::from_der(b"junk"))];
        let found = findings(&chain, Side::Server, |_| true, |_| false);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].error_type, ErrorType::BadCertificate);
        assert_eq!(notes(&chain, Side::Server), []);
    }

    #[test]
    fn unusual_chains_are_noted() {
        let leaf = || certificate("leaf", "a");
        let none: [&str; 0] = [];
        let good = [leaf(), certificate("a", "b"), certificate("b", "root")];
        assert_eq!(note_texts(&good), none);
        let reversed = [leaf(), certificate("b", "root"), certificate("a", "b")];
        assert_eq!(
            note_texts(&reversed),
            ["wrong_order: certificate 3 of 3 comes after its issuer, number 2"]
        );
        let repeated = [leaf(), leaf(), certificate("a", "b")];
        assert_eq!(
            note_texts(&repeated),
            ["duplicate_certificate: certificate 2 of 3 repeats number 1"]
        );
        let stranger = [leaf(), certificate("x", "y"), certificate("a", "b")];
        assert_eq!(
            note_texts(&stranger),
            ["superfluous_certificate: certificate 2 of 3 issued none of the others"]
        );
    }
}
