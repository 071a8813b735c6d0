//! The flights of both sides after ServerHello, classified by the lengths of their records.

use std::ops::Deref;

use crate::flow::Side;
use crate::handshake::transcript::{MAX_OBSERVATIONS, Observation, Observed};
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

/// The client's flight, as read from its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadClientFlight {
    pub(super) flight: ClientFlight,
    /// Where what follows it begins among the observations.
    pub(super) end: usize,
    /// The client's way of padding, where the flight shows it.
    pub(super) padding: Option<Padding>,
}

/// What the server sent before the client did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerFlight {
    pub(super) records: usize,
    pub(super) first_length: u16,
    pub(super) last_length: u16,
    /// Whether all of it may have been seen: it reaches to a Finished, or is long enough for one.
    pub(super) is_complete: bool,
    /// Its way of padding, where the flight shows it.
    pub(super) padding: Option<Padding>,
    /// Whether a client certificate was requested, where one message per record shows it.
    pub(super) requests_certificate: Option<bool>,
}

impl ServerFlight {
    /// Whether it is seen to reach to its Finished, or is packed in one record, or in full ones: then all of it was there.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_complete && self.padding.is_some()
    }
}

/// The shortest record in which a client sends certificates: a shorter one has no room for a key and a signature.
pub(super) const SHORTEST_CERTIFICATE: u16 = 220;
/// The last place in the client's flight where Finished is looked for, from 0.
const LAST_FINISHED: usize = 5;
/// The shortest flight of a server that shows a certificate, in one record: EncryptedExtensions of 6 bytes, a Certificate
/// with nothing but an Ed25519 key (RFC 7250) of 57, CertificateVerify of 72, Finished of 36, and 17 around them.
const SHORTEST_FLIGHT: usize = 188;
/// The same of one that resumes a session: EncryptedExtensions and Finished.
const SHORTEST_RESUMING_FLIGHT: usize = 59;

/// Classifies the client's flight, which begins at `start` in `seen`.
///
/// With `has_blocks`, records are padded to blocks and their lengths say nothing. `server` is what came before.
pub(super) fn client_flight(
    seen: &[Observation],
    start: usize,
    has_blocks: bool,
    lengths: Lengths,
    server: &ServerFlight,
) -> ReadClientFlight {
    let unpadded = |flight, end| ReadClientFlight {
        flight,
        end,
        padding: None,
    };
    let first = seen.get(start).map(|observation| observation.what);
    // A server that has sent its whole flight may say goodbye before the client has read it: the client's answer is one all the
    // same. What a client says to a server that has left amid its flight, or has reset the connection, answers that.
    let is_answer = match closed_before(seen, start, Side::Server) {
        Some(Observed::Fin) => server.is_complete && !matches!(first, Some(Observed::Alert(_))),
        Some(_) => false,
        None => true,
    };
    match first {
        // Nobody complains of a certificate because the connection was closed.
        Some(Observed::Alert(description)) if is_answer || is_about_certificate(description) => {
            unpadded(ClientFlight::PlainAlert(description), start + 1)
        }
        Some(Observed::Record(_)) if is_answer && has_blocks => {
            unpadded(ClientFlight::Unclear, start + 1)
        }
        Some(Observed::Record(_)) if is_answer => {
            EncryptedFlight::read(seen, start, lengths).classify()
        }
        _ => unpadded(ClientFlight::Nothing, start),
    }
}

/// How `side` had closed before the observation at `at`, if it had.
pub(super) fn closed_before(seen: &[Observation], at: usize, side: Side) -> Option<Observed> {
    let mut before = seen.get(..at).unwrap_or_default().iter();
    let close = before.find(|observation| observation.side == side && observation.is_close());
    close.map(|observation| observation.what)
}

/// Whether an alert of this kind refuses a certificate.
const fn is_about_certificate(description: AlertDescription) -> bool {
    matches!(
        description,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCa
            | AlertDescription::BadCertificateStatusResponse
    )
}

/// The encrypted records that the client sent after ServerHello.
struct EncryptedFlight {
    /// At least one.
    messages: Messages,
    /// Whether either side has closed.
    has_ended: bool,
    lengths: Lengths,
}

impl EncryptedFlight {
    fn read(seen: &[Observation], start: usize, lengths: Lengths) -> Self {
        let from_client = || {
            let seen = seen.iter().enumerate().skip(start);
            seen.filter(|(_, seen)| seen.side == Side::Client)
        };
        let sent = || from_client().filter_map(|(_, seen)| seen.record());
        // A Certificate comes first in the flight, so records in a row of one length, from the first on, are parts of it.
        let full = sent()
            .next()
            .filter(|length| *length >= SHORTEST_CERTIFICATE && sent().nth(1) == Some(*length));
        Self {
            messages: messages(from_client(), lengths, full),
            has_ended: seen.iter().any(Observation::is_close),
            lengths,
        }
    }

    fn classify(&self) -> ReadClientFlight {
        if let Some(known) = self.ending_with_finished() {
            return known;
        }
        let first = self.messages.first().map_or(0, |message| message.length);
        let flight = if self.begins_with_alert() {
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
            return self.certificate_flight();
        };
        ReadClientFlight {
            flight,
            end: self.end_of(0),
            padding: None,
        }
    }

    /// A flight whose records are known by their lengths, up to Finished.
    fn ending_with_finished(&self) -> Option<ReadClientFlight> {
        Padding::ALL.into_iter().find_map(|padding| {
            let is = |index, length| self.is(index, length);
            let finished = self.lengths.finished(padding);
            let packed = self.lengths.empty_certificate_and_finished(padding);
            let (flight, last) = if is(0, finished) {
                (ClientFlight::NoCertificate, 0)
            } else if is(0, self.lengths.empty_certificate(padding)) && is(1, finished) {
                (ClientFlight::EmptyCertificate, 1)
            } else if packed.is_some_and(|packed| is(0, packed)) {
                (ClientFlight::EmptyCertificate, 0)
            } else {
                return None;
            };
            Some(ReadClientFlight {
                flight,
                end: self.end_of(last),
                padding: Some(padding),
            })
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

    /// A flight with certificates. Its Finished stands behind a CertificateVerify, if each message has its own record;
    /// otherwise all lies in the first one, or in records of one size: the stacks that write so (rustls, BoringSSL, NSS,
    /// Botan) do not pad.
    fn certificate_flight(&self) -> ReadClientFlight {
        let flight = ClientFlight::Certificate;
        let candidates = self.messages.iter().enumerate();
        let candidates = candidates.take(LAST_FINISHED + 1).skip(2);
        for (index, finished) in candidates {
            let verify = self.messages.get(index - 1);
            let padding = Padding::ALL.into_iter().find(|padding| {
                self.is(index, self.lengths.finished(*padding))
                    && verify.is_some_and(|verify| {
                        self.lengths.is_certificate_verify(verify.length, *padding)
                    })
            });
            if padding.is_some() {
                return ReadClientFlight {
                    flight,
                    end: finished.last + 1,
                    padding,
                };
            }
        }
        ReadClientFlight {
            flight,
            end: self.end_of(0),
            padding: Some(Padding::None),
        }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SentMessage {
    /// The place of its last record among the observations.
    pub(super) last: usize,
    /// The length of its records together.
    pub(super) length: usize,
}

/// The first messages of one side, as many as are looked at.
pub(super) struct Messages {
    room: [SentMessage; LAST_FINISHED + 1],
    count: usize,
}

impl Deref for Messages {
    type Target = [SentMessage];

    fn deref(&self) -> &[SentMessage] {
        &self.room[..self.count]
    }
}

/// The messages in one side's records, if it sends one per record. The records of a message too long for one are joined:
/// those that are full, and those of the length `full`, if the sender writes shorter records (RFC 8449).
pub(super) fn messages<'s>(
    seen: impl Iterator<Item = (usize, &'s Observation)>,
    lengths: Lengths,
    full: Option<u16>,
) -> Messages {
    let mut messages = Messages {
        room: Default::default(),
        count: 0,
    };
    let mut continues = false;
    for (last, observation) in seen {
        let Some(length) = observation.record() else {
            continue;
        };
        if !continues {
            if messages.count == messages.room.len() {
                break;
            }
            messages.count += 1;
        }
        let message = &mut messages.room[messages.count - 1];
        message.last = last;
        message.length += usize::from(length);
        continues = lengths.is_full(length) || full == Some(length);
    }
    messages
}

/// Reads the server's flight: what it sent `before` the client did.
///
/// Stacks that send one message per record (OpenSSL, Go, GnuTLS, JSSE, Mbed TLS, wolfSSL, Erlang, s2n) show their padding
/// and whether they ask for a certificate. Those that pack the flight in one record (rustls, BoringSSL, NSS, Botan) do not
/// pad, and do not show the request.
pub(super) fn server_flight(before: &[Observation], lengths: Lengths, psk: bool) -> ServerFlight {
    let mut room = [0; MAX_OBSERVATIONS];
    let places = room.iter_mut().zip(records(before, Side::Server));
    let count = places.map(|(place, length)| *place = length).count();
    let sent = &room[..count];
    let total: usize = sent.iter().copied().map(usize::from).sum();
    let shortest = if psk {
        SHORTEST_RESUMING_FLIGHT
    } else {
        SHORTEST_FLIGHT
    };
    let mut flight = ServerFlight {
        records: sent.len(),
        first_length: sent.first().copied().unwrap_or(0),
        last_length: sent.last().copied().unwrap_or(0),
        is_complete: total >= shortest,
        ..ServerFlight::default()
    };
    for padding in Padding::ALL {
        let finished = sent.iter().enumerate().position(|(index, length)| {
            let follows_verify = index.checked_sub(1).is_some_and(|verify| {
                lengths.is_certificate_verify(usize::from(sent[verify]), padding)
            });
            *length == lengths.finished(padding) && (follows_verify || psk && index == 1)
        });
        if let Some(finished) = finished {
            flight.padding = Some(padding);
            flight.is_complete = true;
            flight.requests_certificate =
                Some(!psk && requests_certificate(&sent[..finished], lengths));
            return flight;
        }
    }
    // All but the last record of a packed flight are full ones, of whatever size.
    let is_packed = match *sent {
        [first] => usize::from(first) >= shortest,
        [first, .., last] => {
            let full = &sent[..sent.len() - 1];
            first >= SHORTEST_CERTIFICATE && full.iter().all(|one| *one == first) && last <= first
        }
        [] => false,
    };
    flight.padding = is_packed.then_some(Padding::None);
    flight
}

/// Whether a CertificateRequest is among the records of a server's flight before its Finished: EncryptedExtensions,
/// CertificateRequest, Certificate, CertificateVerify.
///
/// A long Certificate takes several records, and which are parts of it shows in two ways: they are full, of whatever size
/// (RFC 8449), so that the same length comes twice in a row; or the last of them is too short for a whole one.
fn requests_certificate(sent: &[u16], lengths: Lengths) -> bool {
    let [_, between @ .., _] = sent else {
        return false;
    };
    let full = between
        .windows(2)
        .find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]));
    let is_part = |length: u16| {
        lengths.is_full(length) || full == Some(length) || is_fragment_length(length, lengths)
    };
    let mut messages = 0;
    let mut last_message = 0;
    let mut continues = false;
    for length in between {
        if !continues {
            messages += 1;
            last_message = 0;
        }
        last_message += usize::from(*length);
        continues = is_part(*length);
    }
    messages > 2 || messages == 2 && last_message >= usize::from(SHORTEST_CERTIFICATE)
}

/// Whether a record is as long as those of a sender that keeps to max_fragment_length (RFC 6066 §4): 512, 1024, 2048 or 4096.
fn is_fragment_length(length: u16, lengths: Lengths) -> bool {
    let content = length.checked_sub(lengths.overhead());
    content.is_some_and(|content| matches!(content, 512 | 1024 | 2048 | 4096))
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
        let server = server_flight(&seen[..start], SHA256, false);
        let read = client_flight(seen, start, false, SHA256, &server);
        (read.flight, read.end - start)
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
        // So does one of a sender that writes shorter records: those of one length are its first parts.
        assert_eq!(
            records_of_client(&[529, 529, 529, 421, 281, 53, 100]),
            (ClientFlight::Certificate, 6)
        );
        // Two records of different lengths are two messages.
        assert_eq!(
            records_of_client(&[529, 421, 281, 53, 100]),
            (ClientFlight::Certificate, 4)
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
        let broken_off = || full().server_records(&[23, 100]).fin(SERVER);
        let late = broken_off().client_records(&[19]);
        assert_eq!(client(late), (ClientFlight::Nothing, 0));
        let reset = full().server_flight().rst(SERVER).client_records(&[19]);
        assert_eq!(client(reset), (ClientFlight::Nothing, 0));
        let complaint = AlertDescription::DecodeError;
        let complains = full().server_flight().fin(SERVER).alert(CLIENT, complaint);
        assert_eq!(client(complains), (ClientFlight::Nothing, 0));
        // But a refusal of its certificate is one, and so is what answers its whole flight.
        let refusal = AlertDescription::UnknownCa;
        let refuses = broken_off().alert(CLIENT, refusal);
        assert_eq!(client(refuses), (ClientFlight::PlainAlert(refusal), 1));
        let whole = full().server_flight().fin(SERVER).client_records(&[19]);
        assert_eq!(client(whole), (ClientFlight::Alert, 1));
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
        // A Certificate in records of 512, 1024, or any other size.
        let in_parts = full().server_records(&[23, 529, 529, 82, 96, 53]);
        assert_eq!(requests(&in_parts), Some(false));
        let in_two = full().server_records(&[23, 529, 43, 96, 53]);
        assert_eq!(requests(&in_two), Some(false));
        let by_limit = full().server_records(&[23, 1041, 594, 96, 53]);
        assert_eq!(requests(&by_limit), Some(false));
        let with_request = full().server_records(&[23, 120, 529, 529, 82, 96, 53]);
        assert_eq!(requests(&with_request), Some(true));
        let packed = full().server_records(&[1257]);
        assert_eq!(requests(&packed), None);
        let resumed = resuming().server_records(&[23, 53]);
        assert_eq!(server(&resumed, true).requests_certificate, Some(false));

        let padding = |records: &[u16]| server(&full().server_records(records), false).padding;
        assert_eq!(padding(&[39, 916, 297, 69]), Some(Padding::Plus16));
        assert_eq!(padding(&[32, 912, 288, 64]), Some(Padding::Multiple16));
        assert_eq!(padding(&[23, 900, 300, 53]), None);
        // Those who pack their flight do not pad it.
        assert_eq!(padding(&[1257]), Some(Padding::None));
        assert_eq!(padding(&[524, 524, 524, 258]), Some(Padding::None));
        assert_eq!(padding(&[100]), None);
    }

    #[test]
    fn so_few_bytes_cannot_be_a_whole_flight_with_a_certificate() {
        let is_complete = |records: &[u16], psk| {
            let script = full().server_records(records);
            server(&script, psk).is_complete
        };
        assert!(is_complete(&[23, 900, 281, 53], false));
        assert!(is_complete(&[188], false) && !is_complete(&[187], false));
        assert!(!is_complete(&[65, 35], false));
        assert!(is_complete(&[23, 53], true) && !is_complete(&[23], true));
    }

    #[test]
    fn a_flight_is_whole_if_it_reaches_its_finished_or_is_packed() {
        let is_whole = |records: &[u16]| {
            let script = full().server_records(records);
            server(&script, false).is_whole()
        };
        assert!(is_whole(&[23, 900, 281, 53]) && is_whole(&[1257]));
        assert!(is_whole(&[65, 548, 112, 69])); // JSSE
        assert!(!is_whole(&[65, 548]) && !is_whole(&[65, 548, 112]));
        assert!(!is_whole(&[23, 900, 281]));
    }
}
