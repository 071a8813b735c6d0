//! How far a handshake has come, so that its owner knows when to report it.
//!
//! [`progress`] is a function of the transcript, and of the rule that has decided
//! while the connection was open, if one has. [`Standing`] remembers that rule, and
//! that a handshake once decided stays so.
//!
//! # Why is it asked after each item, and not after each chunk?
//!
//! A chunk is as long as the segment that brought it. If a rule saw only what there
//! is at the end of a chunk, the verdict would depend on how the network cut the
//! stream into segments.

use crate::flow::{PerSide, Side};

use super::transcript::{Decrypted, MAX_OBSERVATIONS, Transcript};
use super::verdict::inferred::{Inferred, infer, may_decide};

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HandshakeProgress {
    /// What comes next may decide.
    Open,
    /// It has completed and is in use, although what follows may still add to the report: if nothing follows, nothing
    /// is wrong.
    Settled,
    /// Nothing that follows can change the report.
    Decided,
}

use HandshakeProgress::{Decided, Open, Settled};

/// What was decided so far.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The rule that decided while the connection was open.
    early: Option<Inferred>,
    /// How many observations were looked at. [`MAX_OBSERVATIONS`] fits.
    looked_at: u8,
    is_decided: bool,
}

impl Standing {
    /// Looks at what was added to the transcript.
    pub(super) fn update(&mut self, transcript: &Transcript) {
        let observations = transcript.observations();
        if self.early.is_none() && observations.len() > usize::from(self.looked_at) {
            self.looked_at = observations.len() as u8;
            if may_decide(observations) {
                self.early = infer(transcript, None);
            }
        }
        self.is_decided |= progress(transcript, self.early()) == Decided;
    }

    pub(super) const fn early(&self) -> Option<&Inferred> {
        self.early.as_ref()
    }

    pub(super) fn progress(&self, transcript: &Transcript) -> HandshakeProgress {
        if self.is_decided {
            Decided
        } else {
            progress(transcript, self.early())
        }
    }

    pub(super) const fn is_decided(&self) -> bool {
        self.is_decided
    }
}

/// How far the handshake of a transcript has come; `early` is the rule that has decided while the connection was open.
pub(super) fn progress(transcript: &Transcript, early: Option<&Inferred>) -> HandshakeProgress {
    if transcript.has_ended() {
        // A side that was reset may have more segments on the way: the owner waits a little for them.
        return Decided;
    }
    if !transcript.is_tls13() {
        return cleartext_progress(transcript);
    }
    match transcript.decrypted() {
        Some(decrypted) if decrypted.has_read_all() => decrypted_progress(transcript, decrypted),
        _ => inferred_progress(transcript, early),
    }
}

/// Encrypted records among which alerts are looked for where there are keys: those at the end of a short connection are.
const MAX_KEYED_RECORDS: u32 = 32;

/// Up to TLS 1.2: both Finished and application data. Without keys, nothing more can be learned then.
fn cleartext_progress(transcript: &Transcript) -> HandshakeProgress {
    let mut peers = transcript.peers();
    let is_in_use = transcript.is_complete() && peers.any(|peer| peer.application_data.is_some());
    let expects_alerts = (1..MAX_KEYED_RECORDS).contains(&transcript.keyed_records());
    match is_in_use {
        true if expects_alerts => Settled,
        true => Decided,
        false => Open,
    }
}

/// Records after the client's Finished, without an answer of the server to them, before the handshake is reported.
const MAX_RECORDS_UNANSWERED: usize = 64;
/// Records after the client's Finished, answered, before the handshake is reported. The end of a short connection, and
/// a refusal of the client's certificate on its first request, are among them.
const MAX_RECORDS_IN_USE: usize = 32;

/// TLS 1.3 of which every record was opened: the server's data show that it accepted the client's flight.
fn decrypted_progress(transcript: &Transcript, decrypted: &Decrypted) -> HandshakeProgress {
    let PerSide { server, .. } = decrypted.application_data;
    let most = match server {
        Some(_) => MAX_RECORDS_IN_USE,
        None => MAX_RECORDS_UNANSWERED,
    };
    let is_full = transcript.observations().len() >= MAX_OBSERVATIONS;
    match server {
        _ if is_full || decrypted.records_after >= most => Decided,
        Some(_) => Settled,
        None => Open,
    }
}

/// Records of the server after a completed handshake before it is reported without application data of the client.
const MAX_RECORDS_AFTER: usize = 8;
/// Records after a completed handshake among which the client may be asked for a certificate: a server learns from the
/// first request that it needs one.
const MAX_LATER_AUTHENTICATION: usize = 32;

/// TLS 1.3 by the shape of its records: completed, and followed by the client's data, or much of the server's.
fn inferred_progress(transcript: &Transcript, early: Option<&Inferred>) -> HandshakeProgress {
    let Some(early) = early else {
        let is_full = transcript.observations().len() >= MAX_OBSERVATIONS;
        return if is_full { Decided } else { Open };
    };
    let after = early.after(transcript);
    let from = |side| after.iter().filter(|seen| seen.side == side).count();
    let is_in_use =
        early.is_success() && (from(Side::Client) > 0 || from(Side::Server) >= MAX_RECORDS_AFTER);
    let may_be_asked_later =
        transcript.offers_later_authentication() && after.len() < MAX_LATER_AUTHENTICATION;
    match is_in_use {
        true if may_be_asked_later => Settled,
        true => Decided,
        false => Open,
    }
}
