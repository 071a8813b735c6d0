//! The certificates of one side, with their dates and what is wrong with them.

use std::io::{self, Write};

use super::page::Page;
use crate::certificate::{Certificate, CertificateFacts, CertificateTime};
use crate::event::{CertificateChain, Handshake, Side};
use crate::hex::Hex;
use crate::time::Timestamp;

/// Names listed of a certificate: a few have hundreds.
const MAX_NAMES: usize = 20;

/// Writes the chain of a side, if it was seen, and the findings on it.
pub(super) fn write<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    side: Side,
    chain: Option<&CertificateChain>,
) -> io::Result<()> {
    let Some(chain) = chain else {
        return Ok(());
    };
    if chain.is_empty() {
        page.heading(&format!(
            "Certificates of the {side}: none, it sent an empty list"
        ))?;
        return Ok(());
    }
    for (index, certificate) in chain.iter().enumerate() {
        let position = match (index, chain.len()) {
            (_, 1) => String::new(),
            (0, count) => format!(", 1 of {count}: leaf"),
            (index, count) => format!(", {} of {count}", index + 1),
        };
        page.heading(&format!("Certificate of the {side}{position}"))?;
        let mut earlier = chain.iter().take(index);
        if let Some(first) = earlier.position(|other| other.sha256 == certificate.sha256) {
            page.fact("repeats", &format!("{} of {}", first + 1, chain.len()))?;
            continue;
        }
        match &certificate.facts {
            Ok(facts) => write_facts(page, certificate, facts, event.judged_at)?,
            Err(reason) => {
                page.fact("unreadable", reason)?;
                page.fact("SHA-256", &Hex(&certificate.sha256).to_string())?;
            }
        }
        let subject = certificate.facts.as_ref().ok().map(|facts| &facts.subject);
        write_findings(page, event, side, |of| {
            Some(of) == subject.map(String::as_str)
        })?;
    }
    Ok(())
}

/// Writes findings and notes on certificates of `side` with a subject that is `wanted`.
fn write_findings<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    side: Side,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<()> {
    for finding in &event.validation {
        if finding.side == side && wanted(finding.certificate.subject()) {
            let text = format!("! {}: {}", finding.error_type, finding.detail);
            page.styled_fact("finding", &text, page.style.bad())?;
        }
    }
    for note in &event.notes {
        if note.side == side && wanted(note.certificate.subject()) {
            page.fact("note", &format!("{}: {}", note.kind.as_str(), note.detail))?;
        }
    }
    Ok(())
}

fn write_facts<W: Write>(
    page: &mut Page<'_, W>,
    certificate: &Certificate,
    facts: &CertificateFacts,
    judged_at: Timestamp,
) -> io::Result<()> {
    let subject = if facts.subject.is_empty() {
        "(empty)"
    } else {
        &facts.subject
    };
    page.fact("subject", subject)?;
    let mut names: Vec<_> = facts.alternative_names().collect();
    let omitted = names.len().saturating_sub(MAX_NAMES) + facts.names_omitted;
    names.truncate(MAX_NAMES);
    if omitted > 0 {
        names.push(format!("and {omitted} more").into());
    }
    if !names.is_empty() {
        page.fact("names", &names.join(", "))?;
    }
    let issuer = if facts.self_signed {
        format!("{} (self-signed)", facts.issuer)
    } else {
        facts.issuer.clone()
    };
    page.fact("issuer", &issuer)?;
    let (from, to) = (date(facts.not_before), date(facts.not_after));
    let expiry = facts.expiry(judged_at);
    let state = match () {
        () if facts.not_before > CertificateTime::from(judged_at) => "not yet valid".to_owned(),
        () if expiry.is_past() => expiry.to_string(),
        () => format!("expires {expiry}"),
    };
    page.fact("valid", &format!("{from} to {to} UTC: {state}"))?;
    let ca = if facts.is_ca { ", a CA" } else { "" };
    page.fact(
        "key",
        &format!(
            "{}, signed with {}{ca}",
            facts.key, facts.signature_algorithm
        ),
    )?;
    page.fact("serial number", &facts.serial)?;
    page.fact("SHA-256", &Hex(&certificate.sha256).to_string())
}

/// As in `2026-03-01 12:00:00`.
fn date(time: CertificateTime) -> String {
    time.to_string().replace('T', " ").replace('Z', "")
}
