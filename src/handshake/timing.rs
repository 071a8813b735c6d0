//! How long each phase took, at the observer and as the peers saw it.
//!
//! Both ends of most phases are sent by the same side, so that it does not
//! matter where the observer stands. Where they are not, the halves of TCP's
//! own round trip say how far away the peers are.

use crate::event::{Outcome, Timing};
use crate::flow::Side;
use crate::time::Timestamp;
use crate::transport::tcp::RoundTrips;

use super::transcript::Transcript;
use super::verdict::Shape;

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
        starttls: None, // known to the observer alone
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::Direction;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, tls12};
    use crate::handshake::verdict;
    use crate::tls::ContentType;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Distances of 10 ms to the server and 4 ms to the client, who opened the connection.
    const TRIPS: RoundTrips = RoundTrips {
        originator: Direction::Forward,
        beyond_responder: Some(ms(10)),
        beyond_originator: Some(ms(4)),
        is_repeated: false,
    };

    fn timing_of(script: &Script, trips: &RoundTrips, outcome: Outcome) -> Timing {
        let shape = verdict::shape(&script.transcript);
        timing(&script.transcript, shape.as_ref(), trips, outcome)
    }

    #[test]
    fn tls13_ends_with_the_clients_finished() {
        // ServerHello after 1 ms, the server's flight by 5 ms, Finished 20 ms later, data at 30 ms.
        let script = full().server_flight().wait(19).client_records(&[53]);
        let script = script.wait(4).client_records(&[100]);
        let timing = timing_of(&script, &TRIPS, Outcome::Success);
        assert_eq!(timing.tcp_connect, Some(ms(10)));
        assert_eq!(timing.server_hello, Some(ms(1)));
        assert_eq!(timing.handshake, Some(ms(25)));
        assert_eq!(timing.handshake_client_view, Some(ms(5 + 4)));
        assert_eq!(timing.handshake_server_view, Some(ms(25)));
        assert_eq!(timing.first_application_data, Some(ms(30)));
    }

    #[test]
    fn a_full_tls12_handshake_ends_a_round_trip_earlier_for_the_server() {
        let script = tls12()
            .wait(18)
            .finished_12(CLIENT)
            .wait(18)
            .finished_12(SERVER);
        let timing = timing_of(&script, &TRIPS, Outcome::Success);
        assert_eq!(timing.handshake, Some(ms(41)));
        assert_eq!(timing.handshake_server_view, Some(ms(41 - 10)));
        assert_eq!(timing.handshake_client_view, Some(ms(41 + 4)));
        assert_eq!(timing.first_application_data, None);
    }

    #[test]
    fn a_failure_has_no_duration() {
        let complete = tls12().finished_12(CLIENT).finished_12(SERVER);
        let complete = complete.sealed(CLIENT, ContentType::ApplicationData);
        let timing = timing_of(&complete, &TRIPS, Outcome::Failure);
        assert_eq!(timing.handshake, None);
        assert_eq!(timing.first_application_data, None);
        assert!(timing.server_hello.is_some());
    }

    #[test]
    fn without_the_client_hello_there_is_no_start_to_measure_from() {
        let script = connection().server_hello_12();
        let script = script.finished_12(SERVER).finished_12(CLIENT);
        let timing = timing_of(&script, &TRIPS, Outcome::Success);
        assert_eq!(timing.server_hello, None);
        assert_eq!(timing.handshake, None);
    }

    #[test]
    fn a_repeated_opening_says_nothing_of_distances() {
        let script = full().server_flight().client_records(&[53]);
        let trips = RoundTrips {
            is_repeated: true,
            ..TRIPS
        };
        let timing = timing_of(&script, &trips, Outcome::Success);
        assert_eq!(timing.handshake_client_view, None);
        assert!(timing.handshake.is_some());
    }
}
