//! Client authentication after the handshake (RFC 8446 §4.6.2), told from lengths.
//!
//! Servers that learn from the request that they want a certificate ask for it
//! then, of clients that said they would answer. The client's answer stands
//! alone between two records of the server, one message a record: the stacks
//! that know this mode write it so.

use crate::event::ClientCertificate;

use super::evidence::{is_record, records};
use super::flight::{SHORTEST_CERTIFICATE, messages};
use super::padding::{Lengths, Padding};
use super::{CLIENT, SERVER};
use crate::handshake::transcript::{Sight, Sighting};

/// A client's answer to a request for its certificate after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Presented or absent.
    pub(super) certificate: ClientCertificate,
    /// Whether all that the server sent then has the length of an alert.
    pub(super) is_refused: bool,
}

/// Looks for the first answer in what came after the client's Finished.
pub(super) fn answer(after: &[Sighting], lengths: Lengths) -> Option<Answer> {
    let mut rest = after;
    loop {
        let request = rest.iter().position(|seen| is_record(seen, SERVER))?;
        let begin = rest.get(request..)?.iter().position(is_from_client)? + request;
        let run = rest.get(begin..)?;
        let length = run.iter().take_while(|seen| is_from_client(seen)).count();
        let (run, behind) = run.split_at(length);
        if let Some(certificate) = certificate(run, lengths) {
            let mut then = records(behind, SERVER).peekable();
            let is_refused =
                then.peek().is_some() && then.all(|length| lengths.may_be_alert(length));
            return Some(Answer {
                certificate,
                is_refused,
            });
        }
        rest = behind;
    }
}

fn is_from_client(sighting: &Sighting) -> bool {
    sighting.side == CLIENT && matches!(sighting.what, Sight::Record(_))
}

/// What a run of the client's records holds, if it is an answer: Certificate, CertificateVerify and Finished, or an
/// empty Certificate and Finished.
fn certificate(run: &[Sighting], lengths: Lengths) -> Option<ClientCertificate> {
    let messages = messages(run.iter().enumerate(), lengths);
    Padding::ALL.into_iter().find_map(|padding| {
        let is_finished = |length: usize| length == usize::from(lengths.finished(padding));
        match messages[..] {
            [(_, certificate), (_, verify), (_, finished), ..]
                if certificate >= usize::from(SHORTEST_CERTIFICATE)
                    && lengths.is_certificate_verify(verify, padding)
                    && is_finished(finished) =>
            {
                Some(ClientCertificate::Presented)
            }
            [(_, certificate), (_, finished), ..]
                if lengths.is_empty_certificate_with_context(certificate, padding)
                    && is_finished(finished) =>
            {
                Some(ClientCertificate::Absent)
            }
            _ => None,
        }
    })
}
