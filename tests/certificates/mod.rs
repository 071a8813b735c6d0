//! Findings on chains made for each class of failure, compared with openssl's verdict at the same time.
//!
//! If the two differ, the case says why. `openssl verify` runs at security level 2: its
//! limits for keys and hashes are those of `weak_key` and `weak_signature`.

#![allow(
    clippy::disallowed_methods,
    reason = "openssl signs and verifies with the clock"
)]

mod making;
#[cfg(feature = "cli")]
mod program;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use making::{
    Ca, Der, by_openssl, has_openssl, openssl, patched, pem, root, root_with, self_signed, tampered,
};
use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use tlscope::certificate::{
    ChainCache, ChainValidator, NearExpiry, Trust, TrustOrigin, TrustStore, findings,
};
use tlscope::event::Side;
use tlscope::time::Timestamp;

use crate::support::random::Random;
use crate::support::scratch;

/// A time at which leaves are valid by default: 2026-03-01.
const NOON: i64 = 1_772_366_400;

/// A chain, and the findings expected on it.
struct Case {
    name: &'static str,
    roots: Vec<Der>,
    chain: Vec<Der>,
    /// Chains seen before.
    before: Vec<Vec<Der>>,
    side: Side,
    at: i64,
    /// Our findings.
    ours: &'static [&'static str],
    /// Our notes.
    notes: &'static [&'static str],
    /// The errors of `openssl verify`, by number; none if it accepts the chain.
    openssl: &'static [u32],
    /// Why the two differ, if they do.
    why: &'static str,
}

impl Case {
    fn new(name: &'static str, root: &Ca, chain: Vec<Der>) -> Self {
        Self {
            name,
            roots: vec![root.der()],
            chain,
            before: Vec::new(),
            side: Side::Server,
            at: NOON,
            ours: &[],
            notes: &[],
            openssl: &[],
            why: "",
        }
    }

    const fn says(
        mut self,
        ours: &'static [&'static str],
        openssl: &'static [u32],
        why: &'static str,
    ) -> Self {
        (self.ours, self.openssl, self.why) = (ours, openssl, why);
        self
    }

    const fn noting(mut self, notes: &'static [&'static str]) -> Self {
        self.notes = notes;
        self
    }
}

/// Findings and notes, each as `type: detail`.
fn judged(case: &Case) -> (Vec<String>, Vec<String>) {
    let mut store = TrustStore::new(TrustOrigin::Given);
    for root in &case.roots {
        store.add(root).unwrap();
    }
    let mut validator = ChainValidator::new(&Trust::new(store));
    let mut cache = ChainCache::new();
    let mut read = |chain: &[Der]| cache.chain(chain.iter().map(Vec::as_slice));
    for chain in &case.before {
        validator.learn(&read(chain));
    }
    let chain = read(&case.chain);
    let at = Timestamp::from_seconds(case.at);
    let near = NearExpiry {
        within: Duration::from_secs(30 * 86_400),
        percent: 33,
    };
    let validation = validator.validate(&chain, case.side, at);
    assert!(Arc::ptr_eq(
        &validation,
        &validator.validate(&chain, case.side, at)
    ));
    let name = Some("www.example.org");
    let mut found = findings(&chain, case.side, name, at, near);
    found.retain(|finding| !validation.excuses(finding));
    found.extend(validation.findings.iter().cloned());
    let found = found
        .iter()
        .map(|finding| format!("{}: {}", finding.error_type, finding.detail))
        .collect();
    let notes = validation.notes.iter();
    let notes = notes.map(|note| format!("{}: {}", note.kind.as_str(), note.detail));
    (found, notes.collect())
}

/// The errors of `openssl verify`, by number, each once.
fn openssl_verify(case: &Case) -> Vec<u32> {
    let folder = scratch::folder(&format!("verify {}", case.name));
    let (leaf, issuers) = case.chain.split_first().unwrap();
    let all = |certificates: &[Der]| certificates.iter().map(|der| pem(der)).collect::<String>();
    fs::write(folder.join("roots.pem"), all(&case.roots)).unwrap();
    fs::write(folder.join("issuers.pem"), all(issuers)).unwrap();
    fs::write(folder.join("leaf.pem"), pem(leaf)).unwrap();
    let mut command = Command::new("openssl");
    command
        .current_dir(&folder)
        .args(["verify", "-auth_level", "2", "-no-CApath", "-no-CAstore"])
        .args(["-CAfile", "roots.pem", "-attime", &case.at.to_string()])
        .args(match case.side {
            Side::Server => &[
                "-purpose",
                "sslserver",
                "-verify_hostname",
                "www.example.org",
            ][..],
            Side::Client => &["-purpose", "sslclient"],
        });
    if !issuers.is_empty() {
        command.args(["-untrusted", "issuers.pem"]);
    }
    let output = command.arg("leaf.pem").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let mut numbers: Vec<u32> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("error ")?.split(' ').next()?.parse().ok())
        .collect();
    numbers.dedup();
    if numbers.is_empty() {
        assert!(output.status.success(), "{}: {stderr}", case.name);
    }
    numbers
}

/// Runs all cases, and fails with a list of those that are wrong.
fn check(cases: &[Case]) {
    let compares = has_openssl();
    let mut wrong = String::new();
    for case in cases {
        let (found, notes) = judged(case);
        if found != case.ours || notes != case.notes {
            wrong += &format!("{}: found {found:#?}, noted {notes:#?}\n", case.name);
        }
        if !compares {
            continue;
        }
        let openssl = openssl_verify(case);
        if openssl != case.openssl {
            wrong += &format!("{}: openssl says {openssl:?}\n", case.name);
        }
        if found.is_empty() != openssl.is_empty() && case.why.is_empty() {
            wrong += &format!(
                "{}: differs from openssl, and does not say why\n",
                case.name
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn only_chains_that_end_at_a_trusted_root_are_trusted() {
    let root = root("Root");
    let issuing = root.ca("Issuing");
    let rogue = making::root("Rogue");
    let namesake = making::root("Root");
    let chain = |leaf: Der| vec![leaf, issuing.der()];
    let places_issuer = CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 5, 5, 7, 1, 1],
        b"\x30\x15\x30\x13\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x07http://".to_vec(),
    );
    let alone = issuing.leaf_with(|params| params.custom_extensions = vec![places_issuer]);
    let own = self_signed();
    check(&[
        Case::new("good", &root, chain(issuing.leaf())),
        Case::new("good, under the root", &root, vec![root.leaf()]),
        Case::new("untrusted, root not shown", &root, vec![rogue.leaf()]).says(
            &["untrusted_ca: issued by `CN=Rogue`, which is neither shown nor trusted"],
            &[20],
            "",
        ),
        Case::new("untrusted, root shown", &root, vec![rogue.leaf(), rogue.der()])
            .says(
                &["untrusted_ca: ends at `CN=Rogue`, which is not trusted"],
                &[19],
                "",
            )
            .noting(&[
                "superfluous_certificate: certificate 2 of 2 is a root, which need not be sent",
            ]),
        Case::new("root of the same name", &root, vec![namesake.leaf(), namesake.der()])
            .says(
                &[
                    "untrusted_ca: ends at `CN=Root`, which has the name of a trusted root and another key",
                ],
                &[19],
                "",
            )
            .noting(&[
                "superfluous_certificate: certificate 2 of 2 is a root, which need not be sent",
            ]),
        Case::new("leaf alone", &root, vec![alone.clone()]).says(
            &[
                "untrusted_ca: issued by `CN=Issuing`, which is neither shown nor trusted",
                "incomplete_chain: issuer `CN=Issuing` is not shown: the leaf came alone",
            ],
            &[20],
            "",
        ),
        Case {
            before: vec![chain(issuing.leaf())],
            ..Case::new("leaf alone, issuer seen before", &root, vec![alone]).says(
                &[
                    "incomplete_chain: issuer `CN=Issuing` is not shown; other handshakes show it",
                ],
                &[20],
                "",
            )
        },
        Case::new("self-signed", &root, vec![own.clone()]).says(
            &["self_signed: signed by its own key"],
            &[18],
            "",
        ),
        Case {
            roots: vec![own.clone()],
            ..Case::new("self-signed and trusted", &root, vec![own])
        },
        Case {
            roots: vec![issuing.der()],
            ..Case::new("an issuer that is trusted, but no root", &root, vec![issuing.leaf()]).says(
                &[],
                &[2],
                "openssl wants a root unless it is run with -partial_chain; curl and we take what the user names",
            )
        },
    ]);
}

#[test]
fn validity_dates_are_checked() {
    let root = root("Root");
    let issuing = root.ca("Issuing");
    let old = root.ca_with("Old", |params| params.not_after = date_time_ymd(2026, 2, 1));
    let old_root = root_with("Old Root", |params| {
        params.not_after = date_time_ymd(2026, 2, 1)
    });
    let chain = |leaf: Der| vec![leaf, issuing.der()];
    let ends = |year, month, day| {
        issuing.leaf_with(|params| params.not_after = date_time_ymd(year, month, day))
    };
    let begins = |year, month, day| {
        issuing.leaf_with(|params| params.not_before = date_time_ymd(year, month, day))
    };
    check(&[
        Case::new("expired", &root, chain(ends(2026, 2, 1))).says(
            &["cert_expired: expired 28.5 days before this handshake"],
            &[10],
            "",
        ),
        Case::new("not yet valid", &root, chain(begins(2026, 4, 1))).says(
            &["cert_not_yet_valid: not valid until 2026-04-01T00:00:00Z, 30.5 days after this handshake"],
            &[9],
            "",
        ),
        Case::new("expired intermediate", &root, vec![old.leaf(), old.der()]).says(
            &["cert_expired: certificate 2 of 2, by CN=Root, expired 28.5 days before this handshake"],
            &[10],
            "",
        ),
        Case::new("expired root", &old_root, vec![old_root.leaf()]).says(
            &["cert_expired: trusted root `CN=Old Root` expired 2026-02-01T00:00:00Z"],
            &[10],
            "",
        ),
        Case::new("near its end", &root, chain(ends(2026, 3, 20))).says(
            &["near_expiry: expires 18.5 days after this handshake"],
            &[],
            "openssl does not look ahead",
        ),
        Case::new(
            "expired and untrusted",
            &making::root("Other"),
            chain(ends(2026, 2, 1)),
        )
        .says(
            &[
                "cert_expired: expired 28.5 days before this handshake",
                "untrusted_ca: issued by `CN=Root`, which is neither shown nor trusted",
            ],
            &[20],
            "",
        ),
    ]);
}

#[test]
fn an_expired_certificate_outside_the_path_is_not_a_finding() {
    // As with the old cross-signature of ISRG Root X1, in 2021.
    let old_root = root_with("Old Root", |params| {
        params.not_after = date_time_ymd(2026, 2, 1)
    });
    let new_root = root("New Root");
    let issuing = new_root.ca("Issuing");
    let crossed = making::ca_params("New Root", |params| {
        params.not_after = date_time_ymd(2026, 2, 1);
    });
    let crossed = crossed
        .signed_by(new_root.issuer.key(), &old_root.issuer)
        .unwrap();
    let chain = vec![issuing.leaf(), issuing.der(), crossed.der().to_vec()];
    let renewed = vec![issuing.leaf(), issuing.der(), {
        let before = making::ca_params("Issuing", |params| {
            params.not_after = date_time_ymd(2026, 2, 1);
        });
        let before = before.signed_by(issuing.issuer.key(), &new_root.issuer);
        before.unwrap().der().to_vec()
    }];
    check(&[
        Case::new("cross-signed", &new_root, chain),
        Case::new("renewed", &new_root, renewed)
            .noting(&["superfluous_certificate: certificate 3 of 3 issued none of the others"]),
    ]);
}

#[test]
fn signatures_purposes_and_constraints_are_checked() {
    let root = root("Root");
    let issuing = root.ca("Issuing");
    let good = issuing.leaf();
    let chain = |leaf: Der| vec![leaf, issuing.der()];
    let not_a_ca = root.ca_with("Impostor", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    let short = root.ca_with("Short", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below_short = short.ca("Below Short");
    let elsewhere = root.ca_with("Elsewhere", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.net".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let for_client = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let for_server = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    let odd = issuing.leaf_with(|params| params.custom_extensions = vec![critical]);
    let ecdsa_sha256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let unknown = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x7f";
    check(&[
        Case::new("signature wrong", &root, chain(tampered(&good))).says(
            &[
                "bad_certificate: its signature is not by the key of `CN=Issuing`, which is shown as its issuer",
            ],
            &[7],
            "",
        ),
        Case::new("signature wrong under the root", &root, vec![tampered(&root.leaf())]).says(
            &["bad_certificate: its signature is not by the key of the trusted root `CN=Root`"],
            &[7],
            "",
        ),
        Case::new("signature unknown", &root, chain(patched(&good, ecdsa_sha256, unknown))).says(
            &["unsupported_certificate: cannot be validated: signed with 1.2.840.10045.4.3.127, ecdsa-with-SHA256"],
            &[20],
            "openssl finds no key for it, and says that it has no issuer",
        ),
        Case::new("issuer is no CA", &root, vec![not_a_ca.leaf(), not_a_ca.der()]).says(
            &["bad_certificate: an issuer in the chain is not a CA"],
            &[79, 26, 32],
            "",
        ),
        Case::new(
            "path too long",
            &root,
            vec![below_short.leaf(), below_short.der(), short.der()],
        )
        .says(
            &[
                "bad_certificate: an issuer in the chain may not have so many below it (path length)",
            ],
            &[25],
            "",
        ),
        Case::new("name not permitted", &root, vec![elsewhere.leaf(), elsewhere.der()]).says(
            &[
                "bad_certificate: an issuer in the chain may not issue for these names (name constraints)",
            ],
            &[47],
            "",
        ),
        Case::new("for clients only", &root, chain(issuing.leaf_with(for_client))).says(
            &["bad_certificate: not for TLS server authentication, by its extended key usage"],
            &[26],
            "",
        ),
        Case {
            side: Side::Client,
            ..Case::new("a client's", &root, chain(issuing.leaf_with(for_client)))
        },
        Case {
            side: Side::Client,
            ..Case::new("for servers only", &root, chain(issuing.leaf_with(for_server))).says(
                &["bad_certificate: not for TLS client authentication, by its extended key usage"],
                &[26],
                "",
            )
        },
        Case::new(
            "key usage",
            &root,
            chain(issuing.leaf_with(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign])),
        )
        .says(
            &["bad_certificate: not for TLS server authentication, by its key usage"],
            &[26],
            "",
        ),
        Case::new(
            "a CA as leaf",
            &root,
            chain(issuing.leaf_with(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            })),
        )
        .says(
            &["bad_certificate: a certificate of a CA, used as a leaf"],
            &[],
            "openssl and Go take it, NSS and rustls do not",
        ),
        Case::new("critical and unknown", &root, chain(odd)).says(
            &["unsupported_certificate: cannot be validated: UnsupportedCriticalExtension"],
            &[34],
            "",
        ),
    ]);
}

#[test]
fn the_order_of_a_chain_is_noted_but_is_not_a_finding() {
    let root = root("Root");
    let upper = root.ca("Upper");
    let lower = upper.ca("Lower");
    let leaf = lower.leaf();
    let (upper, lower) = (upper.der, lower.der);
    check(&[
        Case::new(
            "wrong order",
            &root,
            vec![leaf.clone(), upper.clone(), lower.clone()],
        )
        .noting(&["wrong_order: certificate 3 of 3 comes after its issuer, number 2"]),
        Case::new(
            "repeated",
            &root,
            vec![leaf.clone(), leaf.clone(), lower.clone(), upper.clone()],
        )
        .noting(&["duplicate_certificate: certificate 2 of 4 repeats number 1"]),
        Case::new(
            "superfluous",
            &root,
            vec![leaf, lower, upper, making::root("Rogue").ca("Stray").der],
        )
        .noting(&["superfluous_certificate: certificate 4 of 4 issued none of the others"]),
    ]);
}

#[test]
fn weak_and_unknown_algorithms_are_found() {
    if !has_openssl() {
        return;
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let at = i64::try_from(now.as_secs()).unwrap() + 60;
    const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    let case = |name, weak, key: &str, hash| {
        let (root, leaf) = by_openssl(name, weak, key, hash);
        Case {
            roots: vec![root],
            chain: vec![leaf],
            at,
            ..Case::new(name, &making::root("unused"), Vec::new())
        }
    };
    check(&[
        case("rsa1024", "leaf", "-newkey rsa:1024", "-sha256").says(
            &["weak_key: RSA 1024 key: under 2048 bits"],
            &[66],
            "",
        ),
        case("rsa2048", "leaf", "-newkey rsa:2048", "-sha256"),
        case("rsa1024 root", "root", "-newkey rsa:1024", "-sha256").says(
            &["weak_key: trusted root `CN=Root`: RSA 1024 key: under 2048 bits"],
            &[67],
            "",
        ),
        case("rsa1536 sha384", "root", "-newkey rsa:1536", "-sha384").says(
            &["unsupported_certificate: cannot be validated: signed by a key of type RSA 1536"],
            &[67],
            "",
        ),
        case("rsa512 root", "root", "-newkey rsa:512", "-sha256").says(
            &["unsupported_certificate: cannot be validated: signed by a key of type RSA 512"],
            &[67],
            "",
        ),
        case(
            "p192",
            "leaf",
            "-newkey ec -pkeyopt ec_paramgen_curve:prime192v1",
            "-sha256",
        )
        .says(
            &["weak_key: ECDSA P-192 key: a curve of under 224 bits"],
            &[66],
            "",
        ),
        case("sha1 rsa", "root", "-newkey rsa:2048", "-sha1").says(
            &["weak_signature: signed with sha1WithRSAEncryption: SHA-1 is broken"],
            &[68],
            "",
        ),
        case("sha1 ecdsa", "leaf", P256, "-sha1").says(
            &[
                "unsupported_certificate: cannot be validated: signed with ecdsa-with-SHA1",
                "weak_signature: signed with ecdsa-with-SHA1: SHA-1 is broken",
            ],
            &[68],
            "",
        ),
        case("md5", "root", "-newkey rsa:2048", "-md5").says(
            &[
                "unsupported_certificate: cannot be validated: signed with md5WithRSAEncryption",
                "weak_signature: signed with md5WithRSAEncryption: MD5 and its like are broken",
            ],
            &[68],
            "",
        ),
        case(
            "p521 root",
            "root",
            "-newkey ec -pkeyopt ec_paramgen_curve:secp521r1",
            "-sha512",
        )
        .says(
            &["unsupported_certificate: cannot be validated: signed with ecdsa-with-SHA512"],
            &[],
            "ring does not know P-521",
        ),
        case("ed448 root", "root", "-newkey ed448", "").says(
            &["unsupported_certificate: cannot be validated: signed with ED448"],
            &[],
            "ring does not know Ed448",
        ),
        case("ed25519 root", "root", "-newkey ed25519", ""),
        case(
            "pss",
            "root",
            "-newkey rsa:2048",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
        ),
    ]);
}

#[test]
fn other_roots_give_other_findings() {
    let (first, second) = (root("First"), root("Second"));
    let store = |root: &Ca| {
        let mut store = TrustStore::new(TrustOrigin::Given);
        store.add(&root.der).unwrap();
        store
    };
    let trust = Trust::new(store(&first));
    let mut validator = ChainValidator::new(&trust);
    let chain = ChainCache::new().chain([second.leaf().as_slice()].into_iter());
    let at = Timestamp::from_seconds(NOON);
    assert!(!validator.validate(&chain, Side::Server, at).is_trusted());
    trust.exchange(store(&second));
    assert!(validator.validate(&chain, Side::Server, at).is_trusted());
    assert_eq!(validator.stats().chains_judged, 2);
}

#[test]
fn a_chain_is_validated_once_until_a_validity_date_passes() {
    let root = root("Root");
    let mut store = TrustStore::new(TrustOrigin::Given);
    store.add(&root.der).unwrap();
    let mut validator = ChainValidator::new(&Trust::new(store));
    let chain = ChainCache::new().chain([root.leaf().as_slice()].into_iter());
    let end = 1_798_761_600; // 2027-01-01, when the leaf ends
    for second in [
        NOON,
        NOON + 1,
        end - 1,
        end,
        end,
        NOON,
        end + 1,
        end + 99,
        end,
    ] {
        validator.validate(&chain, Side::Server, Timestamp::from_seconds(second));
    }
    assert_eq!(validator.stats().chains_judged, 2); // before and after
}

#[test]
fn no_mutation_of_a_chain_panics() {
    let root = root("Root");
    let issuing = root.ca("Issuing");
    let chain = [issuing.leaf(), issuing.der(), root.der()];
    let mut store = TrustStore::new(TrustOrigin::Given);
    store.add(&root.der).unwrap();
    let mut validator = ChainValidator::new(&Trust::new(store));
    let mut random = Random::new(5);
    for _ in 0..2_000 {
        let mut mutated = chain.clone();
        for _ in 0..=random.below(2) {
            let der = &mut mutated[random.below(chain.len())];
            let index = random.below(der.len());
            der[index] = random.bytes(1)[0];
        }
        let shown = ChainCache::new().chain(mutated.iter().map(Vec::as_slice));
        let at = random.pick(&[
            Timestamp::from_seconds(NOON),
            Timestamp::MIN,
            Timestamp::MAX,
        ]);
        validator.validate(&shown, Side::Server, at);
        validator.learn(&shown);
    }
}

#[test]
fn a_version_1_certificate_is_not_validated() {
    if !has_openssl() {
        return;
    }
    let (root, _) = by_openssl("v1", "leaf", "-newkey rsa:2048", "-sha256");
    let folder = scratch::existing_folder("v1");
    openssl(
        &folder,
        "req -new -newkey rsa:2048 -nodes -keyout one.key -out one.csr -subj /CN=www.example.org",
    );
    openssl(
        &folder,
        "x509 -req -in one.csr -CA root.pem -CAkey root.key -out one.der -outform DER -days 3650 -set_serial 8",
    );
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let case = Case {
        roots: vec![root],
        chain: vec![fs::read(folder.join("one.der")).unwrap()],
        at: i64::try_from(now.unwrap().as_secs()).unwrap() + 60,
        ..Case::new("v1", &making::root("unused"), Vec::new())
    };
    check(&[case.says(
        &[
            "hostname_mismatch: not valid for `www.example.org`: it has no alternative name, and a common name alone does not count",
            "unsupported_certificate: cannot be validated: not a version 3 certificate",
        ],
        &[],
        "webpki reads version 3 alone; openssl takes the common name",
    )]);
}

/// The names in a certificate, the name of the server, whether the certificate is valid for it, and why openssl or webpki disagrees.
const NAMES: &[(&[&str], &str, bool, &str)] = &[
    (&["www.example.org"], "www.example.org", true, ""),
    (&["www.example.org"], "WWW.Example.ORG", true, ""),
    (&["www.example.org"], "example.org", false, ""),
    (
        &["other.example.net", "www.example.org"],
        "www.example.org",
        true,
        "",
    ),
    (&["*.example.org"], "www.example.org", true, ""),
    (&["*.example.org"], "example.org", false, ""),
    (&["*.example.org"], "a.b.example.org", false, ""),
    (&["*.example.org"], "xn--mller-kva.example.org", true, ""),
    (&["*.org"], "example.org", false, ""),
    (
        &["w*.example.org"],
        "www.example.org",
        false,
        "openssl takes part of a label, which RFC 9525 §6.3 forbids",
    ),
    (
        &["*w.example.org"],
        "www.example.org",
        false,
        "openssl takes part of a label, which RFC 9525 §6.3 forbids",
    ),
    (&["www.*.org"], "www.example.org", false, ""),
    (&["192.0.2.1"], "192.0.2.1", true, ""),
    (&["192.0.2.1"], "192.0.2.2", false, ""),
    (&["2001:db8::1"], "2001:db8:0:0:0:0:0:1", true, ""),
    (&["2001:db8::1"], "::1", false, ""),
    (
        &[],
        "www.example.org",
        false,
        "openssl takes the common name where there is no alternative name, which RFC 9525 §2 forbids",
    ),
];

#[test]
fn names_match_as_in_openssl_and_webpki() {
    let compares = has_openssl();
    let root = root("Root");
    let mut wrong = String::new();
    for (index, (names, asked, expected, why)) in NAMES.iter().enumerate() {
        let leaf = root.leaf_with(|params| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            params.subject_alt_names = leaf_names(names);
            params
                .distinguished_name
                .push(DnType::CommonName, "www.example.org");
        });
        let chain = ChainCache::new().chain([leaf.as_slice()].into_iter());
        let near = NearExpiry {
            within: Duration::ZERO,
            percent: 1,
        };
        let at = Timestamp::from_seconds(NOON);
        let ours = findings(&chain, Side::Server, Some(asked), at, near).is_empty();
        let webpki = webpki_says(&leaf, asked);
        let openssl = if compares {
            openssl_says(index, &leaf, asked)
        } else {
            ours
        };
        let agree = ours == webpki && ours == openssl;
        if ours != *expected || agree != why.is_empty() {
            wrong +=
                &format!("{names:?} for {asked}: {ours}, webpki {webpki}, openssl {openssl}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn leaf_names(names: Vec<String>) -> Vec<rcgen::SanType> {
    let params = rcgen::CertificateParams::new(names).unwrap();
    params.subject_alt_names
}

fn webpki_says(leaf: &[u8], asked: &str) -> bool {
    let der = rustls_pki_types::CertificateDer::from(leaf);
    let leaf = webpki::EndEntityCert::try_from(&der).unwrap();
    let name = rustls_pki_types::ServerName::try_from(asked).unwrap();
    leaf.verify_is_valid_for_subject_name(&name).is_ok()
}

fn openssl_says(index: usize, leaf: &[u8], asked: &str) -> bool {
    let folder = scratch::folder(&format!("name {index}"));
    fs::write(folder.join("leaf.pem"), pem(leaf)).unwrap();
    let is_address = asked.parse::<std::net::IpAddr>().is_ok();
    let option = if is_address { "-checkip" } else { "-checkhost" };
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(["x509", "-noout", "-in", "leaf.pem", option, asked])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).contains("does match")
}
