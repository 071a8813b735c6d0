//! The certificates that peers showed, and what is wrong with their dates, names and revocation.

use std::sync::Arc;

use crate::certificate::{ChainCache, NearExpiry, OcspStatus, findings};
use crate::error_type::ErrorType;
use crate::event::{CertificateChain, Finding};
use crate::flow::{PerSide, Side};
use crate::time::Timestamp;
use crate::tls::read_certificate_list;

use super::transcript::Transcript;

/// The chains of both sides, as far as they could be read.
pub(super) fn shown(
    transcript: &Transcript,
    chains: &mut ChainCache,
) -> PerSide<Option<CertificateChain>> {
    let mut chain = |side| {
        let body = transcript.peer(side).certificate.as_ref()?;
        let list = read_certificate_list(body).ok()?;
        Some(chains.chain(list))
    };
    PerSide {
        server: chain(Side::Server),
        client: chain(Side::Client),
    }
}

/// The findings on both chains at the moment `at`, the server's first.
pub(super) fn validate(
    transcript: &Transcript,
    shown: &PerSide<Option<CertificateChain>>,
    at: Timestamp,
    near_expiry: NearExpiry,
) -> Vec<Finding> {
    let hello = transcript.client_hello();
    let server_name = hello.and_then(|hello| hello.server_name.as_deref());
    let on_chain = |side: Side, name| {
        let chain = shown[side].as_ref();
        chain
            .map(|chain| findings(chain, side, name, at, near_expiry))
            .unwrap_or_default()
    };
    let mut all = on_chain(Side::Server, server_name);
    all.extend(revocation(transcript, shown.server.as_ref()));
    all.extend(on_chain(Side::Client, None));
    all
}

/// The finding that the server's own stapled response says its leaf is revoked.
fn revocation(transcript: &Transcript, chain: Option<&CertificateChain>) -> Option<Finding> {
    let staple = transcript.ocsp_staple()?;
    let leaf = chain?.first()?;
    let facts = leaf.facts.as_ref().ok()?;
    match staple.status {
        OcspStatus::Revoked(at) if staple.serial == facts.serial => Some(Finding {
            error_type: ErrorType::CertRevoked,
            side: Side::Server,
            detail: format!("revoked {at}, by the OCSP response that the server stapled").into(),
            certificate: Arc::clone(leaf),
        }),
        _ => None,
    }
}
