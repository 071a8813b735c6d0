//! The flights of both sides after ServerHello, classified by the lengths of their records.

use crate::flow::Side;
use crate::handshake::transcript::{Observation, Observed};
use crate::tls::AlertDescription;

use super::padding::{Lengths, Padding};

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
    /// Its way of padding, where one message per record shows it.
    pub(super) padding: Option<Padding>,
    /// Whether a client certificate was requested, where one message per record shows it.
    pub(super) requests_certificate: Option<bool>,
}

/// The shortest record in which a client sends certificates: a shorter one has no room for a key and a signature.
pub(super) const SHORTEST_CERTIFICATE: u16 = 220;
/// The last place in the client's flight where Finished is looked for, from 0: a long Certificate takes several records.
const LAST_FINISHED: usize = 5;

/// Classifies the client's flight, which begins at `start` in `seen`. The second value is where what follows it begins.
///
/// With `has_blocks`, records are padded to blocks and their lengths say nothing.
pub(super) fn client_flight(
    seen: &[Observation],
    start: usize,
    has_blocks: bool,
    lengths: Lengths,
) -> (ClientFlight, usize) {
    // What a client says to a server that has closed is no answer to its flight.
    let is_answer = closed_before(seen, start, Side::Server);
    let first = seen.get(start).map(|observation| observation.what);
    match first.filter(|_| !is_answer) {
        None | Some(Observed::Fin | Observed::Rst) => (ClientFlight::Nothing, start),
        Some(Observed::Alert(description)) => (ClientFlight::PlainAlert(description), start + 1),
        Some(Observed::Record(_)) => {
            let from_client = seen.iter().enumerate().skip(start);
            let from_client = from_client.filter(|(_, seen)| seen.side == Side::Client);
            let flight = EncryptedFlight {
                messages: messages(from_client, lengths),
                has_ended: seen.iter().any(Observation::is_close),
                lengths,
            };
            if has_blocks {
                (ClientFlight::Unclear, flight.end_of(0))
            } else {
                flight.classify()
            }
        }
    }
}

/// Whether `side` had closed before the observation at `at`.
pub(super) fn closed_before(seen: &[Observation], at: usize, side: Side) -> bool {
    let mut before = seen.get(..at).unwrap_or_default().iter();
    before.any(|observation| observation.side == side && observation.is_close())
}

/// The encrypted records that the client sent after ServerHello.
struct EncryptedFlight {
    /// At least one.
    messages: Vec<SentMessage>,
    /// Whether either side has closed.
    has_ended: bool,
    lengths: Lengths,
}

impl EncryptedFlight {
    fn classify(&self) -> (ClientFlight, usize) {
        if let Some(known) = self.ending_with_finished() {
            return known;
        }
        let first = self.messages.first().map_or(0, |message| message.length);
        let kind = if self.begins_with_alert() {
            ClientFlight::Alert
        } else if self.is_any(0, Lengths::empty_certificate) {
            ClientFlight::EmptyCertificate // cut short before its Finished
        } else if self.messages.len() <= 1
            && self.has_ended
            && first < usize::from(self.lengths.finished(Padding::None))
        {
            ClientFlight::ShortRecord
        } else if first < usize::from(SHORTEST_CERTIFICATE) {
            ClientFlight::Unclear
        } else {
            return (ClientFlight::Certificate, self.end_of_certificate_flight());
        };
        (kind, self.end_of(0))
    }

    /// A flight whose records are known by their lengths, up to Finished.
    fn ending_with_finished(&self) -> Option<(ClientFlight, usize)> {
        Padding::ALL.into_iter().find_map(|padding| {
            let is = |index, length| self.is(index, length);
            let finished = self.lengths.finished(padding);
            let packed = self.lengths.empty_certificate_and_finished(padding);
            if is(0, finished) {
                Some((ClientFlight::NoCertificate, self.end_of(0)))
            } else if is(0, self.lengths.empty_certificate(padding)) && is(1, finished) {
                Some((ClientFlight::EmptyCertificate, self.end_of(1)))
            } else if packed.is_some_and(|packed| is(0, packed)) {
                Some((ClientFlight::EmptyCertificate, self.end_of(0)))
            } else {
                None
            }
        })
    }

    /// Whether the first record has an alert's length.
    ///
    /// Mbed TLS pads an alert and an empty Certificate to the same 32 bytes. An alert ends the connection, and a
    /// Certificate does not.
    fn begins_with_alert(&self) -> bool {
        let is_ambiguous = self.is(0, self.lengths.empty_certificate(Padding::Multiple16));
        self.is_any(0, Lengths::alert) && (!is_ambiguous || self.has_ended)
    }

    /// Where Finished ends in a flight with certificates: behind a CertificateVerify, if each message has its own
    /// record; otherwise all lies in the first one.
    fn end_of_certificate_flight(&self) -> usize {
        let candidates = self.messages.iter().enumerate();
        let mut candidates = candidates.take(LAST_FINISHED + 1).skip(2);
        let ends_flight = |index: usize, padding| {
            let verify = index.checked_sub(1).and_then(|at| self.messages.get(at));
            self.is(index, self.lengths.finished(padding))
                && verify.is_some_and(|verify| {
                    self.lengths.is_certificate_verify(verify.length, padding)
                })
        };
        candidates
            .find(|(index, _)| Padding::ALL.into_iter().any(|way| ends_flight(*index, way)))
            .map_or_else(|| self.end_of(0), |(_, finished)| finished.last + 1)
    }

    fn is(&self, index: usize, length: u16) -> bool {
        let message = self.messages.get(index);
        message.is_some_and(|message| message.length == usize::from(length))
    }

    fn is_any(&self, index: usize, length: fn(Lengths, Padding) -> u16) -> bool {
        let mut ways = Padding::ALL.into_iter();
        ways.any(|padding| self.is(index, length(self.lengths, padding)))
    }

    /// Where what follows a message begins. The first one exists.
    fn end_of(&self, index: usize) -> usize {
        self.messages
            .get(index)
            .map_or(0, |message| message.last + 1)
    }
}

/// A message of one side, where it sends one per record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentMessage {
    /// The place of its last record among the observations.
    pub(super) last: usize,
    /// The length of its records together.
    pub(super) length: usize,
}

/// The messages in one side's records, if it sends one per record. The records of a message too long for one are joined.
pub(super) fn messages<'s>(
    seen: impl Iterator<Item = (usize, &'s Observation)>,
    lengths: Lengths,
) -> Vec<SentMessage> {
    let mut messages: Vec<SentMessage> = Vec::new();
    let mut continues = false;
    for (last, observation) in seen {
        let Some(length) = observation.record() else {
            continue;
        };
        match messages.last_mut() {
            Some(message) if continues => {
                message.last = last;
                message.length += usize::from(length);
            }
            _ => messages.push(SentMessage {
                last,
                length: usize::from(length),
            }),
        }
        continues = lengths.is_full(length);
    }
    messages
}

/// Reads the server's flight: what it sent `before` the client did.
///
/// Stacks that send one message per record (OpenSSL, Go, GnuTLS, JSSE, Mbed TLS, wolfSSL, Erlang, s2n) show their padding
/// and whether they ask for a certificate. Those that pack the flight in one record (rustls, BoringSSL, NSS, Botan) do not.
pub(super) fn server_flight(before: &[Observation], lengths: Lengths, psk: bool) -> ServerFlight {
    let records: Vec<u16> = records(before, Side::Server).collect();
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

/// Lengths of the encrypted records that a side sent.
pub(super) fn records(seen: &[Observation], side: Side) -> impl Iterator<Item = u16> {
    seen.iter()
        .filter(move |observation| observation.side == side)
        .filter_map(Observation::record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, full, resuming};

    const SHA256: Lengths = Lengths::of(None);

    /// What the client's flight is, and how many of its records belong to it.
    fn client(script: Script) -> (ClientFlight, usize) {
        let seen = script.transcript.observations();
        let start = seen.iter().position(|seen| seen.side == CLIENT);
        let start = start.unwrap_or(seen.len());
        let (flight, end) = client_flight(seen, start, false, SHA256);
        (flight, end - start)
    }

    fn records_of_client(lengths: &[u16]) -> (ClientFlight, usize) {
        client(full().server_flight().client_records(lengths))
    }

    #[test]
    fn a_flight_is_known_by_the_lengths_of_its_records() {
        use ClientFlight as Flight;
        for (lengths, flight, records) in [
            (&[53, 100][..], Flight::NoCertificate, 1),
            (&[69, 100], Flight::NoCertificate, 1), // JSSE
            (&[64, 100], Flight::NoCertificate, 1), // Mbed TLS
            (&[25, 53, 100], Flight::EmptyCertificate, 2),
            (&[32, 64, 100], Flight::EmptyCertificate, 2), // Mbed TLS
            (&[61, 100], Flight::EmptyCertificate, 1),     // in one record
            (&[25], Flight::EmptyCertificate, 1),          // cut short
            (&[19], Flight::Alert, 1),
            (&[35], Flight::Alert, 1), // JSSE
            (&[900, 281, 53, 100], Flight::Certificate, 3),
            (&[900, 100], Flight::Certificate, 1), // in one record
            (&[219, 100], Flight::Unclear, 1),
            (&[220, 100], Flight::Certificate, 1),
            (&[30, 100], Flight::Unclear, 1),
        ] {
            assert_eq!(records_of_client(lengths), (flight, records), "{lengths:?}");
        }
    }

    #[test]
    fn a_long_certificate_takes_several_records() {
        // A full record belongs to the message that continues in the next.
        let full_record = (1 << 14) + 17;
        assert_eq!(
            records_of_client(&[full_record, 900, 281, 53, 100]),
            (ClientFlight::Certificate, 4)
        );
        // Small records are looked at up to the sixth.
        assert_eq!(
            records_of_client(&[900, 900, 900, 900, 281, 53]),
            (ClientFlight::Certificate, 6)
        );
        assert_eq!(
            records_of_client(&[900, 900, 900, 900, 900, 281, 53]),
            (ClientFlight::Certificate, 1)
        );
    }

    #[test]
    fn the_end_decides_between_an_alert_and_an_empty_certificate_of_mbed_tls() {
        assert_eq!(
            records_of_client(&[32]),
            (ClientFlight::EmptyCertificate, 1)
        );
        let closed = full().server_flight().client_records(&[32]).fin(CLIENT);
        assert_eq!(client(closed), (ClientFlight::Alert, 1));
    }

    #[test]
    fn one_short_record_before_the_end_is_an_alert_of_unknown_padding() {
        let short = |length| full().server_flight().client_records(&[length]);
        assert_eq!(client(short(40).fin(CLIENT)).0, ClientFlight::ShortRecord);
        assert_eq!(client(short(40)).0, ClientFlight::Unclear);
        assert_eq!(client(short(54).fin(CLIENT)).0, ClientFlight::Unclear);
    }

    #[test]
    fn what_a_client_says_to_a_server_that_has_closed_is_no_flight() {
        let late = full().server_flight().fin(SERVER).client_records(&[19]);
        assert_eq!(client(late), (ClientFlight::Nothing, 0));
        assert_eq!(client(full().fin(CLIENT)), (ClientFlight::Nothing, 0));
    }

    fn server(script: &Script, psk: bool) -> ServerFlight {
        server_flight(script.transcript.observations(), SHA256, psk)
    }

    #[test]
    fn a_server_that_sends_one_message_per_record_shows_its_padding_and_its_request() {
        let requests = |script: &Script| server(script, false).requests_certificate;
        assert_eq!(requests(&full().server_flight()), Some(false));
        assert_eq!(requests(&full().server_flight_with_request()), Some(true));
        let long_chain = full().server_records(&[23, 16401, 900, 281, 53]);
        assert_eq!(requests(&long_chain), Some(false));
        let packed = full().server_records(&[1257]);
        assert_eq!(requests(&packed), None);
        let resumed = resuming().server_records(&[23, 53]);
        assert_eq!(server(&resumed, true).requests_certificate, Some(false));

        let padding = |records: &[u16]| server(&full().server_records(records), false).padding;
        assert_eq!(padding(&[39, 916, 297, 69]), Some(Padding::Plus16));
        assert_eq!(padding(&[32, 912, 288, 64]), Some(Padding::Multiple16));
        assert_eq!(padding(&[23, 900, 300, 53]), None);
    }
}
