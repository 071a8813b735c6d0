//! How long each phase took, at the observer and as the peers saw it.
//!
//! Both ends of most phases are sent by the same side, so that it does not
//! matter where the observer stands. Where they are not, the halves of TCP's
//! own round trip say how far away the peers are.

use std::time::Duration;

use crate::event::{Outcome, Side, Timing};
use crate::flow::Direction;
use crate::time::Timestamp;

use super::transcript::Tracker;
use super::verdict::inferred::Shape;

/// What the opening of the TCP connection tells of distances.
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

/// The durations that an event tells; `shape` is what TLS 1.3 flights look like.
pub(super) fn timing(
    tracker: &Tracker,
    shape: Option<&Shape>,
    trips: &RoundTrips,
    outcome: Outcome,
) -> Timing {
    let start = tracker.start.time;
    let has_start = tracker.client_hello.is_some();
    let after_start =
        |moment: Option<Timestamp>| moment.and_then(|moment| moment.checked_since(start));
    let hello = tracker.server_hello.as_ref().map(|(_, at)| *at);
    let is_told = outcome == Outcome::Success && has_start;
    let ends = Ends::of(tracker, shape).filter(|_| is_told);
    let duration = ends.and_then(|ends| after_start(Some(ends.last)));
    let [to_client, to_server] =
        [Side::Client, Side::Server].map(|side| trips.to(tracker.direction(side)));
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
            application_data(tracker, shape).filter(|_| ends.is_some()),
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
    /// The end of the server's last flight, after which the client has no more to wait for.
    client_done: Option<Timestamp>,
}

impl Ends {
    fn of(tracker: &Tracker, shape: Option<&Shape>) -> Option<Self> {
        if let Some(shape) = shape {
            return Some(Self {
                last: shape.finished?,
                last_is_server: false,
                client_done: shape.server_flight_end,
            });
        }
        let client = tracker.peer(Side::Client).finished?;
        let server = tracker.peer(Side::Server).finished?;
        Some(Self {
            last: client.max(server),
            last_is_server: server >= client,
            client_done: Some(server),
        })
    }
}

/// When the first application data began, if any did.
pub(super) fn application_data(tracker: &Tracker, shape: Option<&Shape>) -> Option<Timestamp> {
    match shape {
        Some(shape) => shape.application_data,
        None => {
            let [forward, reverse] = &tracker.peers.0;
            let began = [forward.application_data, reverse.application_data];
            began.into_iter().flatten().min()
        }
    }
}
