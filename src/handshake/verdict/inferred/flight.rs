//! The flights of both sides after ServerHello, told apart by the lengths of their records.

use crate::tls::AlertDescription;

use super::evidence::{Evidence, records};
use super::padding::{Lengths, Padding};
use super::{CLIENT, SERVER};
use crate::handshake::transcript::{Sight, Sighting};

/// What the client sent after ServerHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientFlight {
    Nothing,
    PlainAlert(AlertDescription),
    /// One record of an alert's length.
    Alert,
    /// One record shorter than Finished, then the end.
    ShortRecord,
    /// Finished alone.
    NoCertificate,
    /// A Certificate message without certificates.
    EmptyCertificate,
    Certificate,
    Unclear,
}

/// What the server sent before the client did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerFlight {
    pub(super) records: usize,
    pub(super) first_length: u16,
    /// Its way of padding, where one message a record shows it.
    pub(super) padding: Option<Padding>,
    /// Whether a client certificate was requested, where one message a record shows it.
    pub(super) requests_certificate: Option<bool>,
}

/// The shortest record in which a client sends certificates: less holds no certificate and no signature over one.
pub(super) const SHORTEST_CERTIFICATE: u16 = 220;
/// The last place in the client's flight where Finished is looked for, from 0: Certificate may take several records.
const LAST_FINISHED: usize = 5;

impl Evidence<'_> {
    /// Sets the kind and the end of the client's flight.
    pub(super) fn read_client_flight(&mut self) {
        let is_answer = self.is_reaction(self.flight_start, CLIENT);
        let first = self
            .seen
            .get(self.flight_start)
            .map(|sighting| sighting.what)
            .filter(|_| !is_answer);
        self.flight = match first {
            None | Some(Sight::Fin | Sight::Rst) => {
                self.flight_end = self.flight_start;
                return;
            }
            Some(Sight::Alert(description)) => {
                self.flight_end = self.flight_start + 1;
                ClientFlight::PlainAlert(description)
            }
            Some(Sight::Record(_)) => self.read_encrypted_flight(),
        };
    }

    fn read_encrypted_flight(&mut self) -> ClientFlight {
        let messages = self.client_messages();
        let length = |index: usize| messages.get(index).map(|(_, length)| *length);
        let is = |index: usize, expected: u16| length(index) == Some(usize::from(expected));
        let end_of = |index: usize| {
            messages
                .get(index)
                .map_or(self.seen.len(), |(at, _)| at + 1)
        };
        let lengths = self.lengths;
        let first = length(0).unwrap_or(0);
        if self.blocks[0] {
            self.flight_end = end_of(0);
            return ClientFlight::Unclear;
        }
        for padding in Padding::ALL {
            if is(0, lengths.finished(padding)) {
                self.flight_end = end_of(0);
                return ClientFlight::NoCertificate;
            }
            if is(0, lengths.empty_certificate(padding)) && is(1, lengths.finished(padding)) {
                self.flight_end = end_of(1);
                return ClientFlight::EmptyCertificate;
            }
            if lengths
                .empty_certificate_and_finished(padding)
                .is_some_and(|packed| is(0, packed))
            {
                self.flight_end = end_of(0);
                return ClientFlight::EmptyCertificate;
            }
        }
        self.flight_end = end_of(0);
        let has_more = messages.len() > 1;
        let is_closed = self
            .seen
            .iter()
            .any(|sighting| matches!(sighting.what, Sight::Fin | Sight::Rst));
        let is_ambiguous = is(0, lengths.empty_certificate(Padding::Multiple16));
        if Padding::ALL
            .into_iter()
            .any(|padding| is(0, lengths.alert(padding)))
            && (!is_ambiguous || is_closed)
        {
            return ClientFlight::Alert;
        }
        if Padding::ALL
            .into_iter()
            .any(|padding| is(0, lengths.empty_certificate(padding)))
        {
            return ClientFlight::EmptyCertificate;
        }
        if !has_more && is_closed && first < usize::from(lengths.finished(Padding::None)) {
            return ClientFlight::ShortRecord;
        }
        if first < usize::from(SHORTEST_CERTIFICATE) {
            return ClientFlight::Unclear;
        }
        for (index, (at, _)) in messages.iter().enumerate().take(LAST_FINISHED + 1).skip(2) {
            let ends_flight = |padding| {
                is(index, lengths.finished(padding))
                    && length(index - 1)
                        .is_some_and(|verify| lengths.is_certificate_verify(verify, padding))
            };
            if Padding::ALL.into_iter().any(ends_flight) {
                self.flight_end = at + 1;
                break;
            }
        }
        ClientFlight::Certificate
    }

    /// The client's messages after ServerHello: where each ends in what was seen, and how long it is.
    fn client_messages(&self) -> Vec<(usize, usize)> {
        let seen = self.seen.iter().enumerate().skip(self.flight_start);
        let from_client = seen.filter(|(_, sighting)| sighting.side == CLIENT);
        messages(from_client, self.lengths)
    }
}

/// The messages in one side's records, where there is one a record: each one's last place, and its length.
///
/// The records of a message too long for one are joined.
pub(super) fn messages<'s>(
    seen: impl Iterator<Item = (usize, &'s Sighting)>,
    lengths: Lengths,
) -> Vec<(usize, usize)> {
    let mut messages: Vec<(usize, usize)> = Vec::new();
    let mut goes_on = false;
    for (at, sighting) in seen {
        let Sight::Record(length) = sighting.what else {
            continue;
        };
        match messages.last_mut() {
            Some(last) if goes_on => *last = (at, last.1 + usize::from(length)),
            _ => messages.push((at, usize::from(length))),
        }
        goes_on = lengths.is_full(length);
    }
    messages
}

pub(super) fn server_flight(before: &[Sighting], lengths: Lengths, psk: bool) -> ServerFlight {
    let records: Vec<u16> = records(before, SERVER).collect();
    let mut flight = ServerFlight {
        records: records.len(),
        first_length: records.first().copied().unwrap_or(0),
        ..ServerFlight::default()
    };
    for padding in Padding::ALL {
        let finished = records.iter().enumerate().position(|(index, length)| {
            let follows_verify = index.checked_sub(1).is_some_and(|verify| {
                lengths.is_certificate_verify(usize::from(records[verify]), padding)
            });
            *length == lengths.finished(padding) && (follows_verify || psk && index == 1)
        });
        if let Some(finished) = finished {
            flight.padding = Some(padding);
            // EncryptedExtensions, [CertificateRequest], Certificate, CertificateVerify: a long chain takes several records.
            let full = records[..finished]
                .iter()
                .filter(|length| lengths.is_full(**length))
                .count();
            flight.requests_certificate = Some(!psk && finished - full >= 4);
            break;
        }
    }
    flight
}
