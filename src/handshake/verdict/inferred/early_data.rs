//! 0-RTT data: what the client sent before it knew the server's answer (RFC 8446 §2.3).

use std::borrow::Cow;

use crate::event::EarlyData;

use super::CLIENT;
use super::padding::{Lengths, Padding};
use crate::handshake::transcript::{Sight, Sighting, Tracker};

/// The sightings without the client's 0-RTT data, and what became of it.
pub(super) fn without_early_data(
    tracker: &Tracker,
    lengths: Lengths,
    psk: bool,
) -> (Cow<'_, [Sighting]>, Option<EarlyData>) {
    let seen = &tracker.sightings;
    let is_offered = tracker
        .client_hello
        .as_ref()
        .is_some_and(|hello| hello.early_data);
    if !is_offered {
        return (Cow::Borrowed(seen), None);
    }
    let client_length = |sighting: &Sighting| match sighting.what {
        Sight::Record(length) if sighting.side == CLIENT => Some(length),
        _ => None,
    };
    let ends = |sighting: &Sighting| client_length(sighting) == Some(lengths.end_of_early_data());
    if let Some(end) = seen
        .iter()
        .position(ends)
        .filter(|_| psk && !tracker.hello_retry_request)
    {
        let kept = seen
            .iter()
            .enumerate()
            .filter(|(at, sighting)| *at > end || client_length(sighting).is_none());
        return (
            kept.map(|(_, sighting)| *sighting).collect(),
            Some(EarlyData::Accepted),
        );
    }
    let begins_flight = |length: u16| {
        Padding::ALL.into_iter().any(|padding| {
            length == lengths.finished(padding)
                || length == lengths.alert(padding)
                || length == lengths.empty_certificate(padding)
                || lengths.empty_certificate_and_finished(padding) == Some(length)
        })
    };
    let start = seen
        .iter()
        .position(|sighting| client_length(sighting).is_some_and(begins_flight))
        .unwrap_or(seen.len());
    let kept = seen
        .iter()
        .enumerate()
        .filter(|(at, sighting)| *at >= start || client_length(sighting).is_none());
    let is_rejected = start < seen.len() || tracker.hello_retry_request || !psk;
    let fate = if is_rejected {
        EarlyData::Rejected
    } else {
        EarlyData::Offered
    };
    (kept.map(|(_, sighting)| *sighting).collect(), Some(fate))
}
