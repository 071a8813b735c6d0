//! Client authentication after the handshake (RFC 8446 §4.6.2), recognised by lengths.
//!
//! Servers that learn from the request that they need a certificate (Apache per
//! location) ask for it then, of clients that offered to answer. The client's answer
//! stands alone between two records of the server, one message per record: the stacks
//! that support this mode write it so. In 5504 labelled handshakes, 6 of 6 answers
//! were found and none falsely.

use crate::event::ClientCertificate;
use crate::flow::Side;
use crate::handshake::transcript::Observation;

use super::flight::{SHORTEST_CERTIFICATE, SentMessage, messages};
use super::padding::{Lengths, Padding};

/// A client's answer to a request for its certificate after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CertificateAnswer {
    /// Presented or absent.
    pub(super) certificate: ClientCertificate,
    /// Whether the server answered it with one record of an alert's length, and nobody sent more.
    pub(super) is_refused: bool,
}

/// Finds the first answer in what followed the client's Finished.
pub(super) fn answer(after: &[Observation], lengths: Lengths) -> Option<CertificateAnswer> {
    let mut rest = after;
    loop {
        let request = rest
            .iter()
            .position(|seen| seen.is_record_of(Side::Server))?;
        let is_from_client = |seen: &Observation| seen.is_record_of(Side::Client);
        let begin = rest.get(request..)?.iter().position(is_from_client)? + request;
        let run = rest.get(begin..)?;
        let length = run.iter().take_while(|seen| is_from_client(seen)).count();
        let (run, behind) = run.split_at(length);
        if let Some(certificate) = certificate(run, lengths) {
            let is_record = |seen: &&Observation| seen.record().is_some();
            let mut then = behind.iter().filter(is_record);
            let is_alert = |seen: &Observation| {
                seen.side == Side::Server
                    && seen
                        .record()
                        .is_some_and(|length| lengths.may_be_alert(length))
            };
            // A client that goes on, or a server that does, was content.
            let is_refused = then.next().is_some_and(is_alert) && then.next().is_none();
            return Some(CertificateAnswer {
                certificate,
                is_refused,
            });
        }
        rest = behind;
    }
}

/// What a run of the client's records holds, if it is an answer: Certificate, CertificateVerify and Finished, or an
/// empty Certificate and Finished.
fn certificate(run: &[Observation], lengths: Lengths) -> Option<ClientCertificate> {
    let messages = messages(run.iter().enumerate(), lengths, None);
    Padding::ALL.into_iter().find_map(|padding| {
        let is_finished =
            |message: SentMessage| message.length == usize::from(lengths.finished(padding));
        match messages[..] {
            [certificate, verify, finished, ..]
                if certificate.length >= usize::from(SHORTEST_CERTIFICATE)
                    && lengths.is_certificate_verify(verify.length, padding)
                    && is_finished(finished) =>
            {
                Some(ClientCertificate::Presented)
            }
            [certificate, finished, ..]
                if lengths.is_empty_certificate_with_context(certificate.length, padding)
                    && is_finished(finished) =>
            {
                Some(ClientCertificate::Absent)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{Script, full};

    /// The certificate in the first answer, and whether it was refused.
    fn read(script: Script) -> Option<(ClientCertificate, bool)> {
        let found = answer(script.transcript.observations(), Lengths::of(None));
        found.map(|answer| (answer.certificate, answer.is_refused))
    }

    /// A request of the client, and the server's request for its certificate.
    fn asked() -> Script {
        full().client_records(&[91]).server_records(&[148])
    }

    #[test]
    fn an_answer_is_found_by_the_lengths_of_its_messages() {
        let presented = asked().client_records(&[900, 281, 53]);
        assert_eq!(read(presented), Some((ClientCertificate::Presented, false)));
        let absent = asked().client_records(&[57, 53]);
        assert_eq!(read(absent), Some((ClientCertificate::Absent, false)));
    }

    #[test]
    fn data_that_just_misses_the_lengths_is_no_answer() {
        for data in [
            &[57][..],
            &[53],
            &[60, 57, 53],
            &[25, 53], // an answer repeats the context of the request
            &[900, 300, 53],
            &[219, 281, 53],
            &[900, 281, 54],
        ] {
            assert_eq!(read(asked().client_records(data)), None, "{data:?}");
        }
        let interrupted = asked().client_records(&[57]).server_records(&[400]);
        assert_eq!(read(interrupted.client_records(&[53])), None);
        assert_eq!(read(full().client_records(&[57, 53])), None); // nobody had asked
    }

    #[test]
    fn an_answer_is_refused_if_a_record_of_an_alerts_length_is_the_last_word() {
        let answered = || asked().client_records(&[57, 53]);
        let absent = |is_refused| Some((ClientCertificate::Absent, is_refused));
        assert_eq!(read(answered().server_records(&[19])), absent(true));
        assert_eq!(read(answered().server_records(&[794, 19])), absent(false));
        // Data of two bytes, and a goodbye; or a client that goes on.
        assert_eq!(read(answered().server_records(&[19, 19])), absent(false));
        let goes_on = answered().server_records(&[19]).client_records(&[91]);
        assert_eq!(read(goes_on), absent(false));
    }

    #[test]
    fn later_runs_are_looked_at_too() {
        let second = asked().client_records(&[100]).server_records(&[148]);
        let answered = second.client_records(&[900, 281, 53]);
        assert_eq!(read(answered), Some((ClientCertificate::Presented, false)));
    }
}
