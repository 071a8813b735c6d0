//! How long each phase took, at the observer and as the peers saw it.
//!
//! Both ends of most phases are sent by the same side, so that it does not
//! matter where the observer stands. Where they are not, the halves of TCP's
//! own round trip say how far away the peers are.

use std::time::Duration;

use crate::event::{Outcome, Timing};
use crate::flow::{Direction, Side};
use crate::time::Timestamp;

use super::transcript::Transcript;
use super::verdict::Shape;

/// How far away the peers are, by the opening of the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrips {
    /// Who sent the SYN.
    pub originator: Direction,
    /// From the SYN to the SYN-ACK: from the observer to the responder and back.
    pub beyond_responder: Option<Duration>,
    /// From the SYN-ACK to its acknowledgment: from the observer to the originator and back.
    pub beyond_originator: Option<Duration>,
    /// Whether one of the three was sent again, so that these are no round trips.
    pub is_repeated: bool,
}

impl RoundTrips {
    /// From the observer to the peer that sends in `direction`, and back.
    fn to(&self, direction: Direction) -> Option<Duration> {
        let trip = if direction == self.originator {
            self.beyond_originator
        } else {
            self.beyond_responder
        };
        trip.filter(|_| !self.is_repeated)
    }
}

/// The durations in an event; `shape` is what TLS 1.3 flights show.
pub(super) fn timing(
    transcript: &Transcript,
    shape: Option<&Shape>,
    trips: &RoundTrips,
    outcome: Outcome,
) -> Timing {
    let start = transcript.start().time;
    let has_start = transcript.client_hello().is_some();
    let after_start =
        |moment: Option<Timestamp>| moment.and_then(|moment| moment.checked_since(start));
    let hello = transcript.server_hello_at();
    let has_duration = outcome == Outcome::Success && has_start;
    let ends = Ends::of(transcript, shape).filter(|_| has_duration);
    let duration = ends.and_then(|ends| after_start(Some(ends.last)));
    let [to_client, to_server] =
        [Side::Client, Side::Server].map(|side| trips.to(transcript.direction(side)));
    Timing {
        tcp_connect: trips.beyond_responder,
        server_hello: after_start(hello.filter(|_| has_start)),
        handshake: duration,
        handshake_client_view: ends
            .and_then(|ends| after_start(ends.client_done))
            .zip(to_client)
            .map(|(duration, trip)| duration.saturating_add(trip)),
        handshake_server_view: match ends {
            Some(ends) if ends.last_is_server => duration
                .zip(to_server)
                .and_then(|(duration, trip)| duration.checked_sub(trip)),
            _ => duration,
        },
        first_application_data: after_start(
            application_data(transcript, shape).filter(|_| ends.is_some()),
        ),
    }
}

/// When a completed handshake ended.
#[derive(Clone, Copy)]
struct Ends {
    /// The end of the last flight.
    last: Timestamp,
    /// Whether the server sent that, which is a round trip later than the client's to an observer at the client.
    last_is_server: bool,
    /// The end of the server's last flight, after which the client waits for nothing more.
    client_done: Option<Timestamp>,
}

impl Ends {
    fn of(transcript: &Transcript, shape: Option<&Shape>) -> Option<Self> {
        if let Some(shape) = shape {
            return Some(Self {
                last: shape.finished?,
                last_is_server: false,
                client_done: shape.server_flight_end,
            });
        }
        let client = transcript.peer(Side::Client).finished?;
        let server = transcript.peer(Side::Server).finished?;
        Some(Self {
            last: client.max(server),
            last_is_server: server >= client,
            client_done: Some(server),
        })
    }
}

/// When the first application data began, if any did.
pub(super) fn application_data(
    transcript: &Transcript,
    shape: Option<&Shape>,
) -> Option<Timestamp> {
    match shape {
        Some(shape) => shape.application_data,
        None => {
            let peers = transcript.peers();
            peers.filter_map(|peer| peer.application_data).min()
        }
    }
}
