//! What is concluded from a transcript, once no more will come.
//!
//! All modules here only read. Which of them decides depends on what is known:
//!
//! | module | when | rests on |
//! | --- | --- | --- |
//! | [`cleartext`] | up to TLS 1.2, and without a ServerHello | messages in the clear |
//! | [`decrypted`] | TLS 1.3 with keys | opened records |
//! | [`inferred`] | TLS 1.3 otherwise | the shape of encrypted records |

mod cleartext;
mod conclusion;
mod decrypted;
pub(super) mod inferred;

use crate::error_type::ErrorType;
use crate::event::{ClientCertificate, Evidence, Finding, Outcome};
use crate::flow::Side;
use crate::framing::Close;

use super::cause::{self, FailureCause};
use super::end::End;
use super::explain;
use super::transcript::{Observed, Transcript};

pub(super) use conclusion::Conclusion;
pub(super) use inferred::Shape;
use inferred::{Claim, Inferred, Reason};

/// What the flights of a TLS 1.3 handshake show: by their records' lengths, corrected by what keys open.
pub(super) fn shape(transcript: &Transcript) -> Option<Shape> {
    if !transcript.is_tls13() {
        return None;
    }
    let mut shape = inferred::shape(transcript);
    if let Some(decrypted) = transcript.decrypted() {
        decrypted::correct(&mut shape, transcript, decrypted);
    }
    Some(shape)
}

/// The verdict on a handshake. `early` is the rule that decided while the connection was open, `shape` what [`shape`]
/// gave, and `findings` are those on the certificates shown.
pub(super) fn conclude(
    transcript: &Transcript,
    early: Option<&Inferred>,
    shape: Option<&Shape>,
    end: End,
    findings: &[Finding],
) -> Conclusion {
    let Some(shape) = shape else {
        return cleartext::conclude(transcript, end, findings);
    };
    if let Some(conclusion) = decrypted::conclude(transcript) {
        return conclusion;
    }
    let early = early
        .filter(|early| still_holds(early, transcript))
        .copied();
    match early.or_else(|| inferred::infer(transcript, Some(end))) {
        Some(inferred) => from_inferred(transcript, inferred, shape, findings),
        None if cleartext::cannot_tell(transcript) => Conclusion::observed(Outcome::Unknown),
        None => without_rule(transcript, end),
    }
}

/// Whether what a rule decided while the connection was open holds now that its gaps are known.
///
/// An alert in the clear remains said, and a server that went on had completed the
/// handshake. A refusal read from lengths may lie in what is missing.
fn still_holds(early: &Inferred, transcript: &Transcript) -> bool {
    if inferred::is_refused_later(transcript) {
        return false;
    }
    let is_said = matches!(early.rule.claim, Claim::Failure(_, Reason::Alert));
    !transcript.has_gap() || early.is_success() || is_said
}

/// TLS 1.3, and no rule fits: silence means something only where the client did not even begin its flight.
fn without_rule(transcript: &Transcript, end: End) -> Conclusion {
    let mut observations = transcript.observations().iter();
    let client_began = observations.any(|observation| observation.side == Side::Client);
    if end == End::Silence && !client_began {
        Conclusion::failed(cause::silence(transcript))
    } else {
        Conclusion::observed(Outcome::Unknown)
    }
}

fn from_inferred(
    transcript: &Transcript,
    inferred: Inferred,
    shape: &Shape,
    findings: &[Finding],
) -> Conclusion {
    let failure = match inferred.rule.claim {
        Claim::Failure(side, reason) => {
            if let Some(said) = said_in_the_clear(transcript, side, reason) {
                return Conclusion::failed(said);
            }
            Some(failure_for(transcript, side, reason, shape, findings))
        }
        Claim::Success | Claim::Unknown => None,
    };
    let rule = inferred.rule;
    Conclusion {
        outcome: inferred.outcome(),
        evidence: Evidence::Inferred,
        confidence: rule.confidence,
        rule: Some((rule.id, rule.observations.to_vec())),
        failure,
    }
}

/// The alert in the clear that a rule rests on: then the failure is observed, not inferred.
fn said_in_the_clear(transcript: &Transcript, side: Side, reason: Reason) -> Option<FailureCause> {
    if !matches!(reason, Reason::Alert | Reason::Negotiation) {
        return None;
    }
    let mut observations = transcript.observations().iter();
    let description = observations.find_map(|observation| match observation.what {
        Observed::Alert(description) if observation.side == side => Some(description),
        _ => None,
    })?;
    Some(cause::from_alert(transcript, side, description))
}

/// The failure that the reason in a rule stands for.
fn failure_for(
    transcript: &Transcript,
    side: Side,
    reason: Reason,
    shape: &Shape,
    findings: &[Finding],
) -> FailureCause {
    let refusal = || {
        let error_type = match (side, shape.client_certificate) {
            (Side::Client, _) => ErrorType::ClientRejectedServer,
            (Side::Server, ClientCertificate::Absent) => ErrorType::MissingClientCert,
            (Side::Server, _) => ErrorType::ServerRejectedClient,
        };
        cause::inferred_refusal(side, error_type)
    };
    match reason {
        Reason::Certificate => refusal(),
        Reason::Negotiation => cause::negotiation(side),
        // With keys, the certificate that was the last thing seen may be a reason.
        Reason::Closed if explain::reason(findings, side.peer()).is_some() => refusal(),
        Reason::Closed => {
            let close = transcript.peer(side).closing.first();
            let how = close.map_or(Close::Fin, |(how, _)| how);
            cause::closed(transcript, side, how)
        }
        Reason::Alert | Reason::Other => cause::encrypted_alert(side),
    }
}
