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
use crate::framing::{SealedUnit, Seen};
use crate::tls::ContentType;

use super::transcript::{Decrypted, MAX_FIRST_ANSWER, MAX_OBSERVATIONS, Transcript};
use super::verdict::dtls;
use super::verdict::inferred::{Inferred, infer, may_be_alert, may_decide};
use super::verdict::quic;

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
        if observations.len() < usize::from(self.looked_at) {
            self.forget_close(observations.len());
        }
        if self.early.is_none() && observations.len() > usize::from(self.looked_at) {
            self.looked_at = observations.len() as u8;
            if may_decide(observations) && !transcript.is_dtls() {
                self.early = infer(transcript, None);
            }
        }
        self.is_decided |= progress(transcript, self.early()) == Decided;
    }

    /// Notes that a close was taken back: what was decided since may rest on it.
    #[cold]
    fn forget_close(&mut self, observations: usize) {
        self.looked_at = observations as u8;
        self.early = self.early.take().filter(Inferred::is_success);
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

/// Whether [`progress`] depends on an item.
///
/// It does not on messages in the clear, nor on the end of a record of data that is not opened: its start counted. These
/// are most of the items.
pub(super) fn may_change_progress(seen: &Seen<'_>) -> bool {
    match seen {
        Seen::SealedEnd { unit, .. } => may_end_change_progress(*unit),
        Seen::SealedStart { .. }
        | Seen::Alert { .. }
        | Seen::Late { .. }
        | Seen::Unreadable { .. }
        | Seen::Close { .. }
        | Seen::Quic(_) => true,
        _ => false,
    }
}

/// The same for the end of a sealed unit.
pub(super) fn may_end_change_progress(unit: SealedUnit) -> bool {
    unit.has_key || unit.content_type != ContentType::ApplicationData
}

/// How far the handshake of a transcript has come; `early` is the rule that has decided while the connection was open.
pub(super) fn progress(transcript: &Transcript, early: Option<&Inferred>) -> HandshakeProgress {
    if let Some(quic) = transcript.quic() {
        return match () {
            () if quic::is_decided(transcript, quic) => Decided,
            () if quic::is_settled(transcript, quic) => Settled,
            () => Open,
        };
    }
    if transcript.is_close_confirmed() {
        // Other closes may be forged, and a side that was reset may have more segments on the way: the owner waits a little for them.
        return Decided;
    }
    if !transcript.is_tls13() {
        return cleartext_progress(transcript);
    }
    if transcript.is_dtls() {
        let is_decided = transcript.decrypted().is_none() && dtls::is_in_use(transcript);
        return if is_decided { Decided } else { Open };
    }
    match transcript.decrypted() {
        Some(decrypted) if decrypted.has_read_all() => decrypted_progress(transcript, decrypted),
        _ => inferred_progress(transcript, early),
    }
}

/// Encrypted records among which alerts are looked for where there are keys, or no encryption: those at the end of a short connection are.
const MAX_KEYED_RECORDS: u32 = 32;

/// Records of application data among which a renegotiation is looked for: a server learns from a request that it needs the
/// client's certificate, and mostly from the first.
const MAX_RECORDS_BEFORE_RENEGOTIATION: u16 = 16;

/// Up to TLS 1.2: both Finished and application data. Without keys, a renegotiation is all that can be learned then.
fn cleartext_progress(transcript: &Transcript) -> HandshakeProgress {
    let mut peers = transcript.peers();
    let is_in_use = transcript.is_complete() && peers.any(|peer| peer.application_data.is_some());
    // Of records without encryption, those of data are not among the keyed ones.
    let records = transcript
        .keyed_records()
        .max(transcript.records_in_use().into());
    let expects_alerts = transcript.keyed_records() > 0 && records < MAX_KEYED_RECORDS;
    let may_renegotiate = transcript.records_in_use() < MAX_RECORDS_BEFORE_RENEGOTIATION
        && !transcript.has_ended_in_use()
        && !transcript.has_deferred();
    match is_in_use {
        true if expects_alerts || may_renegotiate || transcript.may_be_refused_in_use() => Settled,
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
        transcript.may_offer_later_authentication() && after.len() < MAX_LATER_AUTHENTICATION;
    let may_be_refused = early.has_certificate() && after.len() < MAX_FIRST_ANSWER;
    // A client that leaves what it has completed unused: how it closes belongs to the report.
    let mut from_client = after.iter().filter(|seen| seen.side == Side::Client);
    let is_leaving = from(Side::Server) < MAX_RECORDS_AFTER
        && from_client.all(|seen| may_be_alert(transcript, seen));
    match is_in_use {
        true if may_be_asked_later || may_be_refused || is_leaving => Settled,
        true => Decided,
        false => Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, tls12};
    use crate::tls::{AlertDescription, HandshakeType};

    /// A completed handshake of TLS 1.3, by the shape of its records.
    fn accepted() -> Script {
        let flights = full().server_flight().client_records(&[53]);
        flights.server_records(&[250])
    }

    #[test]
    fn a_handshake_is_decided_when_both_sides_know_that_it_is_closed() {
        let begun = || connection().client_hello(|_| {});
        let closed = begun().fin(CLIENT).fin(SERVER);
        assert_eq!(closed.progress(), Open, "both may be forged");
        assert_eq!(closed.acknowledged_fins().progress(), Decided);
        let reset = begun().fin(CLIENT).rst(SERVER);
        assert_eq!(reset.acknowledged_fins().progress(), Open);
    }

    #[test]
    fn a_server_that_asked_for_a_certificate_may_refuse_it_in_its_first_answer() {
        let accepted = full()
            .server_flight_with_request()
            .client_records(&[25, 53])
            .server_records(&[266, 266]);
        let requested = accepted.client_records(&[91]);
        assert_eq!(requested.progress(), Settled);
        let answered = requested.server_records(&[642]).client_records(&[91]);
        assert_eq!(answered.progress(), Settled);
        assert_eq!(answered.server_records(&[642; 4]).progress(), Decided);

        let data = |script: Script, side| script.data_12(side, 98);
        let asked = tls12().message(SERVER, HandshakeType::CertificateRequest, &[0]);
        let complete = asked.finished_12(CLIENT).finished_12(SERVER);
        let answered = data(data(complete, CLIENT), SERVER);
        assert_eq!(answered.progress(), Settled);
        assert!(answered.transcript.may_be_refused_in_use());
        let accepted = data(answered, SERVER);
        assert!(!accepted.transcript.may_be_refused_in_use());
        assert!(accepted.transcript.is_only_watched());
    }

    #[test]
    fn a_client_that_leaves_with_a_goodbye_is_waited_for() {
        let leaving = accepted().client_records(&[19]);
        assert_eq!(leaving.progress(), Settled);
        assert_eq!(leaving.fin(CLIENT).progress(), Decided);
        assert_eq!(accepted().client_records(&[91]).progress(), Decided);
    }

    #[test]
    fn tls12_is_decided_by_application_data_after_both_finished() {
        let data = ContentType::ApplicationData;
        let complete = || tls12().finished_12(CLIENT).finished_12(SERVER);
        assert_eq!(complete().progress(), Open);
        let mut used = complete();
        for _ in 1..MAX_RECORDS_BEFORE_RENEGOTIATION {
            used = used.sealed(CLIENT, data);
            assert_eq!(used.progress(), Settled);
        }
        assert_eq!(used.sealed(SERVER, data).progress(), Decided);
        let one = tls12().finished_12(CLIENT).sealed(CLIENT, data);
        assert_eq!(one.progress(), Open);
    }

    #[test]
    fn tls12_with_keys_is_only_settled_as_long_as_alerts_may_follow() {
        let mut script = tls12().finished_12(CLIENT).finished_12(SERVER);
        for _ in 1..MAX_KEYED_RECORDS {
            script = script.opened_data(CLIENT);
            assert_eq!(script.progress(), Settled);
        }
        assert_eq!(script.opened_data(CLIENT).progress(), Decided);
    }

    #[test]
    fn tls13_is_decided_by_the_clients_data_after_the_servers() {
        assert_eq!(accepted().progress(), Open);
        assert_eq!(accepted().client_records(&[100]).progress(), Decided);
        let refused = full().server_flight().client_records(&[19]);
        assert_eq!(refused.progress(), Open);
        let finished = full().server_flight().client_records(&[53]);
        assert_eq!(finished.progress(), Open);
    }

    #[test]
    fn tls13_is_decided_by_much_of_the_servers_data_alone() {
        // P5 decides with the Finished; all that follows is the server's.
        let mut script = full().server_flight().client_records(&[53]);
        let mut records = 0;
        while script.progress() == Open {
            script = script.server_records(&[250]);
            records += 1;
        }
        assert_eq!((script.progress(), records), (Decided, MAX_RECORDS_AFTER));
    }

    #[test]
    fn a_client_that_may_be_asked_for_a_certificate_later_keeps_tls13_settled() {
        let mut script = connection()
            .client_hello(|hello| hello.post_handshake_auth = true)
            .server_hello_13(|_| {})
            .server_flight()
            .client_records(&[53])
            .server_records(&[250])
            .client_records(&[91]);
        for _ in 2..MAX_LATER_AUTHENTICATION {
            assert_eq!(script.progress(), Settled);
            script = script.server_records(&[250]);
        }
        assert_eq!(script.progress(), Decided);
    }

    #[test]
    fn opened_tls13_is_settled_by_the_servers_data_and_decided_by_enough_of_it() {
        let mut script = full()
            .opened(SERVER, HandshakeType::Finished, &[])
            .opened(CLIENT, HandshakeType::Finished, &[])
            .opened_data(CLIENT);
        assert_eq!(script.progress(), Open);
        script = script.opened_data(SERVER);
        let mut records = 3; // Finished itself, and the data of both
        while script.progress() == Settled {
            script = script.opened_data(CLIENT);
            records += 1;
        }
        assert_eq!((script.progress(), records), (Decided, MAX_RECORDS_IN_USE));
    }

    #[test]
    fn opened_tls13_without_an_answer_is_given_up_after_many_records() {
        let mut script = full().opened(CLIENT, HandshakeType::Finished, &[]);
        for _ in 1..MAX_RECORDS_UNANSWERED {
            assert_eq!(script.progress(), Open);
            script = script.opened_data(CLIENT);
        }
        assert_eq!(script.progress(), Decided);
    }

    #[test]
    fn records_without_a_rule_are_given_up_when_the_transcript_is_full() {
        let mut script = full();
        for _ in 0..MAX_OBSERVATIONS {
            assert_eq!(script.progress(), Open);
            script = script.server_records(&[100]);
        }
        assert_eq!(script.progress(), Decided);
    }

    #[test]
    fn a_handshake_once_decided_stays_decided() {
        let decided = tls12()
            .finished_12(CLIENT)
            .finished_12(SERVER)
            .fin(CLIENT)
            .fin(SERVER)
            .acknowledged_fins()
            .fin(SERVER);
        assert_eq!(decided.opened_data(SERVER).progress(), Decided);
    }

    #[test]
    fn a_rule_that_has_decided_is_not_asked_again() {
        let refused = full().alert(SERVER, AlertDescription::HandshakeFailure);
        let more = refused.client_records(&[53]).server_records(&[250]);
        assert_eq!(
            more.verdict(),
            "failure observed: handshake_failure by server"
        );
    }
}
