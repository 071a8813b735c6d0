//! What silence means: a failure only where TCP shows that nothing is missing from the capture.
//!
//! Of 384 failures on real captures, 57 rested on a silence that TCP contradicts: the last data were neither
//! acknowledged nor sent again, for seconds. Such captures are cut off, filtered or sampled.

use std::time::Duration;

use crate::event::{ClientCertificate, UnknownBecause};
use crate::flow::Side;
use crate::framing::Close;
use crate::handshake::cause::{self, FailureCause};
use crate::handshake::end::End;
use crate::handshake::transcript::{PeerActions, Transcript};
use crate::time::Timestamp;
use crate::tls::HandshakeType;
use crate::transport::tcp::{Arrival, DeliveryState, Outstanding};

use super::cleartext::T5;
use super::conclusion::Conclusion;
use super::inferred::Shape;

/// How long nothing has to follow at the end of a capture before that is silence: longer than handshakes take, and shorter
/// than most programs wait.
const SILENCE: Duration = Duration::from_secs(10);
/// The same where a person may be choosing a certificate, or typing a PIN: those were seen to take 35 s.
const SILENCE_OF_A_PERSON: Duration = Duration::from_secs(60);
/// How long a side has to have waited for its peer before its close is the peer's failure. A guess: connections that lose a
/// race are closed sooner, and no client was seen to give up on a server sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// After how long data without an acknowledgment have been sent again: after 1 s at first (RFC 6298 §5), and some more
/// for round trips.
const RETRANSMISSION: Duration = Duration::from_secs(3);
/// How often, and over which time, data are sent without an acknowledgment before they count as lost on the way.
const LOST_COPIES: u32 = 3;
const LOST_TIME: Duration = Duration::from_secs(1);
/// How long data are sent again before it is certain that they are lost, whether the sender goes on or not.
const LONG_REPETITION: Duration = Duration::from_secs(30);
/// How long a hole in front of data that arrived has to last: senders fill one within a round trip, or after their first
/// time-out, which is 200 to 300 ms at the least (Linux, Windows, BSD).
const HOLE_TIME: Duration = Duration::from_millis(300);

/// The verdict on a handshake that is still open at its `end`; `shape` is what TLS 1.3 flights show.
pub(super) fn conclude(transcript: &Transcript, end: End, shape: Option<&Shape>) -> Conclusion {
    let waited = waited(transcript, transcript.observed_until());
    let owing = owing(transcript, shape);
    // The observer has waited for as long as the user wants, and knows that nothing followed. A file may lack it.
    let has_watched = end == End::Silence;
    let is_long = |limit| has_watched || waited.is_some_and(|waited| waited >= limit);
    if !matches!(end, End::Silence | End::CaptureEnd | End::Evicted) {
        return unknown(transcript, end);
    }
    if is_long(SILENCE)
        && let Some(lost) = undelivered(transcript, transcript.observed_until())
    {
        return match has_watched || is_seen_to_end(transcript) {
            true => Conclusion::failed(lost),
            false => Conclusion::unknown(UnknownBecause::LastDataNotAcknowledged),
        };
    }
    if is_long(RETRANSMISSION) && !is_accounted_for(transcript) {
        return Conclusion::unknown(UnknownBecause::LastDataNotAcknowledged);
    }
    let may_be_a_person = owing == Side::Client && is_asked_for_certificate(transcript, shape);
    let limit = if may_be_a_person {
        SILENCE_OF_A_PERSON
    } else {
        SILENCE
    };
    if is_long(limit) && !has_begun_hidden_flight(transcript) {
        let cause = cause::silence(transcript, owing, waited, None);
        if has_watched || is_shown_open(transcript, owing) {
            return Conclusion::failed(cause);
        }
        // Amid a handshake, a file that says nothing more lacks the rest: it keeps the first packets of each connection, or not all.
        if owing == Side::Server && !transcript.is_past_server_hello() {
            return Conclusion::inferred(cause, &T5);
        }
    }
    unknown(transcript, end)
}

/// Whether something shows that the connection was open while `owing` was silent: its peer sent data again and again, or anything was
/// sent when the silence had lasted for long.
fn is_shown_open(transcript: &Transcript, owing: Side) -> bool {
    let repeated = transcript.delivery(owing.peer()).outstanding_data();
    let last = transcript.last().time;
    let shown = waited(transcript, Some(last)).is_some_and(|shown| shown >= SILENCE);
    shown || repeated.is_some_and(|data| is_lost(data) && is_going_on(transcript, data))
}

/// Whether data that the network lost were sent for so long as one can wait for, or until the observation ended. Otherwise the capture
/// lacks the next copy, and maybe the acknowledgment of this one.
///
/// A hole in front of other data has to be seen to last: its sender fills it within a second or so, and goes on.
fn is_seen_to_end(transcript: &Transcript) -> bool {
    let mut deliveries = Side::BOTH.into_iter().map(|side| transcript.delivery(side));
    deliveries.any(|delivery| {
        let data = delivery.outstanding_data().filter(|data| is_lost(*data));
        let is_seen = |data: Outstanding| {
            data.repeated_for() >= LONG_REPETITION || is_going_on(transcript, data)
        };
        let lasted = delivery
            .hole
            .and_then(|(_, since)| transcript.last().time.checked_since(since));
        lasted.is_some_and(|lasted| lasted >= LOST_TIME) || data.is_some_and(is_seen)
    })
}

/// Whether it is no wonder that the next copy of some data is not in view: it comes twice as late as the last one (RFC 6298 §5.5).
fn is_going_on(transcript: &Transcript, data: Outstanding) -> bool {
    let until = transcript.observed_until();
    let since = until.and_then(|until| until.checked_since(data.last_sent));
    since.is_none_or(|since| since <= data.repeated_for() * 2 + RETRANSMISSION)
}

/// The verdict on a handshake that `closer` ended by closing the connection `at` a moment, where what its peer failed to
/// do is the reason; `None` if the close itself is.
pub(super) fn before_close(
    transcript: &Transcript,
    closer: Side,
    at: Arrival,
    shape: Option<&Shape>,
) -> Option<Conclusion> {
    if let Some(lost) = undelivered(transcript, Some(at.time)) {
        return Some(Conclusion::failed(lost));
    }
    if let Some(lost) = path_died(transcript, closer, shape) {
        return Some(Conclusion::failed(lost));
    }
    let waited = waited(transcript, Some(at.time)).filter(|waited| *waited >= PATIENCE)?;
    let has_left_early = closer == Side::Client && transcript.had_received_hello(at) == Some(false);
    let owing = if has_left_early {
        Side::Server
    } else {
        owing(transcript, shape)
    };
    if owing != closer.peer() || has_begun_hidden_flight(transcript) {
        return None;
    }
    if waited >= RETRANSMISSION && !is_accounted_for(transcript) {
        return Some(Conclusion::unknown(UnknownBecause::LastDataNotAcknowledged));
    }
    let cause = cause::silence(transcript, owing, Some(waited), Some((closer, at)));
    Some(Conclusion::failed(cause))
}

/// The verdict on a side that waited in vain for data of its peer and closed, where the peer's numbers show that it had sent
/// them: they were not captured, and this side never received them.
pub(super) fn unseen(transcript: &Transcript) -> Option<Conclusion> {
    let (closer, _, at) = transcript.first_close()?;
    let sender = closer.peer();
    let delivery = transcript.delivery(sender);
    if delivery.unseen == 0 || !lacks_only_unseen(transcript) || transcript.is_truncated() {
        return None;
    }
    let is_over = transcript.is_complete() || has_begun_hidden_flight(transcript);
    let waited = waited(transcript, Some(at.time))?;
    (!is_over && waited >= PATIENCE)
        .then(|| Conclusion::failed(cause::not_delivered(sender, delivery)))
}

/// Whether all that the capture lacks is what a sender's numbers show to have been sent, and nobody acknowledged.
fn lacks_only_unseen(transcript: &Transcript) -> bool {
    transcript.has_gap()
        && Side::BOTH.into_iter().all(|side| {
            transcript.peer(side).gap_bytes <= u64::from(transcript.delivery(side).unseen)
        })
}

/// An outcome that is unknown, with the reason.
pub(super) fn unknown(transcript: &Transcript, end: End) -> Conclusion {
    Conclusion::unknown(unknown_because(transcript, end))
}

/// Which evidence is missing: the first that applies.
pub(super) fn unknown_because(transcript: &Transcript, end: End) -> UnknownBecause {
    let any = |is: fn(&PeerActions) -> bool| transcript.peers().any(is);
    match end {
        // What is missing might have come.
        End::Evicted => UnknownBecause::Evicted,
        _ if any(|peer| !peer.is_in_view) => UnknownBecause::OneDirection,
        _ if transcript.client_hello().is_none() => UnknownBecause::NoClientHello,
        _ if transcript.has_unreadable_hello() => UnknownBecause::UnreadableServerHello,
        _ if lacks_only_unseen(transcript) => UnknownBecause::LastDataNotAcknowledged,
        _ if transcript.has_gap() => UnknownBecause::Gap,
        _ if transcript.is_truncated() => UnknownBecause::Truncated,
        _ if any(|peer| peer.is_not_tls) => UnknownBecause::UnreadableRecords,
        _ if transcript.first_close().is_some() => UnknownBecause::AmbiguousClose,
        End::CaptureEnd => UnknownBecause::CaptureEnd,
        End::Replaced => UnknownBecause::Replaced,
        End::PacketsDropped => UnknownBecause::Gap,
        End::Silence | End::Decided => UnknownBecause::AmbiguousRecords,
    }
}

/// Data that the network lost: sent again and again, or missing in front of later data, and never acknowledged.
fn undelivered(transcript: &Transcript, until: Option<Timestamp>) -> Option<FailureCause> {
    if transcript.peers().any(|peer| !peer.is_in_view) {
        return None;
    }
    // If both are lost, the client's come first: the server cannot have answered them.
    Side::BOTH.into_iter().find_map(|sender| {
        let delivery = transcript.delivery(sender);
        let mut repeated = delivery.outstanding_data().into_iter();
        let is_lost = repeated.any(|data| is_lost(data) && !may_be_dead(transcript, sender, data));
        let hole_lasted = delivery
            .hole
            .and_then(|(_, since)| until?.checked_since(since));
        let has_hole = hole_lasted.is_some_and(|lasted| lasted >= HOLE_TIME);
        (is_lost || has_hole).then(|| cause::not_delivered(sender, delivery))
    })
}

/// Whether the path died amid the server's flight: not all of it came, and the FIN of a client that gave up is sent again and
/// again without an acknowledgment.
fn path_died(transcript: &Transcript, closer: Side, shape: Option<&Shape>) -> Option<FailureCause> {
    let fin = transcript.delivery(closer).outstanding?;
    let is_fin = transcript.delivery(closer).outstanding_data().is_none();
    let is_amid_flight = transcript.is_past_server_hello()
        && owing(transcript, shape) == Side::Server
        && !has_begun_hidden_flight(transcript)
        && !transcript.has_message(HandshakeType::ServerHelloDone);
    let is_path_dead = closer == Side::Client && is_fin && is_lost(fin) && is_amid_flight;
    is_path_dead.then(|| cause::path_died(fin))
}

fn is_lost(data: Outstanding) -> bool {
    data.times >= LOST_COPIES && data.repeated_for() >= LOST_TIME
}

/// The segment that every path has to carry: the default of RFC 9293 §3.7.1.
const SMALL_SEGMENT: u32 = 536;

/// Whether the receiver may be dead, and not the path: it acknowledged nothing at all, and even a path that loses large
/// packets would have carried what it was sent. A server that closes in order is alive.
fn may_be_dead(transcript: &Transcript, sender: Side, data: Outstanding) -> bool {
    let closed = transcript.peer(Side::Server).closing.first();
    let is_alive = matches!(closed, Some((Close::Fin, _)));
    sender == Side::Client
        && !transcript.is_past_server_hello()
        && !is_alive
        && data.length <= SMALL_SEGMENT
}

/// Time from the last data that were new.
pub(super) fn waited(transcript: &Transcript, until: Option<Timestamp>) -> Option<Duration> {
    let sent = Side::BOTH.map(|side| transcript.delivery(side).last_data);
    let sent = sent.into_iter().chain([transcript.data_before_close()]);
    let until = until?;
    let last = sent.flatten().filter(|sent| *sent <= until);
    until.checked_since(last.max()?)
}

/// Whether TCP accounts for the last data of both sides: they were acknowledged, or sent again.
fn is_accounted_for(transcript: &Transcript) -> bool {
    let is_accounted_for = |delivery: &DeliveryState| {
        let outstanding = delivery.outstanding_data();
        outstanding.is_none_or(|data| data.is_repeated())
    };
    let mut sides = Side::BOTH.into_iter();
    sides.all(|side| is_accounted_for(transcript.delivery(side)))
}

/// Whether the client has begun its flight of TLS 1.3: what follows is hidden, and silence after it fits a completed handshake.
fn has_begun_hidden_flight(transcript: &Transcript) -> bool {
    let mut observations = transcript.observations().iter();
    observations.any(|seen| seen.side == Side::Client && !seen.is_close())
}

/// A server flight of TLS 1.3 with certificates takes several hundred bytes: what is shorter has not ended.
const SHORTEST_FULL_FLIGHT: u32 = 300;

/// The side that has to speak next.
pub(super) fn owing(transcript: &Transcript, shape: Option<&Shape>) -> Side {
    let hello = transcript.client_hello();
    if hello.is_some_and(|hello| hello.is_partial) {
        return Side::Client;
    }
    match (transcript.server_hello(), shape) {
        (Some(hello), Some(_)) => {
            let records = transcript.observations().iter();
            let bytes: u32 = records
                .filter_map(|seen| seen.record())
                .map(u32::from)
                .sum();
            let is_short = !hello.pre_shared_key && bytes < SHORTEST_FULL_FLIGHT;
            if is_short || transcript.is_amid_message(Side::Server) {
                Side::Server
            } else {
                Side::Client
            }
        }
        (Some(_), None) => owing_tls12(transcript),
        (None, _) => transcript.last_sender().map_or(Side::Server, Side::peer),
    }
}

/// The side that has to speak next up to TLS 1.2, after the ServerHello.
fn owing_tls12(transcript: &Transcript) -> Side {
    let has = |message| transcript.has_message(message);
    let has_finished = |side| transcript.peer(side).finished.is_some();
    let is_client_next = if has(HandshakeType::ServerHelloDone) {
        !has_finished(Side::Client)
    } else if transcript.peer(Side::Server).change_cipher_spec {
        has_finished(Side::Server) // a session is resumed
    } else {
        false
    };
    if is_client_next {
        Side::Client
    } else {
        Side::Server
    }
}

fn is_asked_for_certificate(transcript: &Transcript, shape: Option<&Shape>) -> bool {
    transcript.certificate_request().is_some()
        || shape.is_some_and(|shape| shape.client_certificate == ClientCertificate::Requested)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full, tls12};
    use crate::handshake::verdict::Conclusion;

    fn at_end(script: &Script) -> Conclusion {
        script.conclude(End::CaptureEnd, &[])
    }

    fn because(script: &Script) -> Option<UnknownBecause> {
        at_end(script).unknown_because
    }

    fn hello() -> Script {
        connection().client_hello(|_| {})
    }

    fn server_flight_12() -> Script {
        tls12().message(SERVER, HandshakeType::ServerHelloDone, &[])
    }

    #[test]
    fn silence_needs_ten_seconds_at_the_end_of_a_capture() {
        let failed = "failure T5: no_server_hello by server";
        assert_eq!(hello().then_nothing(10_000).verdict(), failed);
        let early = hello().then_nothing(9_900);
        assert_eq!(because(&early), Some(UnknownBecause::CaptureEnd));
        let watched = "failure observed: no_server_hello by server";
        assert_eq!(early.verdict_with(End::Silence, &[]), watched);
    }

    #[test]
    fn silence_after_data_without_acknowledgment_proves_nothing() {
        let cut = hello().unacknowledged(CLIENT).then_nothing(30_000);
        assert_eq!(because(&cut), Some(UnknownBecause::LastDataNotAcknowledged));
        let flight = full().server_flight().unacknowledged(SERVER);
        let cut = flight.then_nothing(30_000);
        assert_eq!(because(&cut), Some(UnknownBecause::LastDataNotAcknowledged));
        // For less than a retransmission takes, it says nothing of the capture either.
        let early = hello().unacknowledged(CLIENT).then_nothing(2_000);
        assert_eq!(because(&early), Some(UnknownBecause::CaptureEnd));
    }

    #[test]
    fn a_close_after_waiting_is_the_peers_failure() {
        let closed = |wait| hello().wait(wait).fin(CLIENT).verdict();
        assert_eq!(closed(5_000), "failure observed: no_server_hello by server");
        assert_eq!(closed(900), "failure observed: connection_closed by client");
        let left = hello().wait(5_000).fin(SERVER);
        assert_eq!(
            left.verdict(),
            "failure observed: connection_closed by server"
        );
        let unacknowledged = hello().unacknowledged(CLIENT).wait(5_000).fin(CLIENT);
        assert_eq!(
            because(&unacknowledged),
            Some(UnknownBecause::LastDataNotAcknowledged)
        );
        let tired = server_flight_12().wait(20_000).rst(SERVER);
        assert_eq!(
            tired.verdict(),
            "failure observed: handshake_timeout by client"
        );
    }

    #[test]
    fn a_side_whose_data_a_close_crossed_had_not_been_silent() {
        let answered = || {
            tls12()
                .message(SERVER, HandshakeType::CertificateRequest, &[0])
                .message(SERVER, HandshakeType::ServerHelloDone, &[])
                .wait(20_000)
                .message(CLIENT, HandshakeType::Certificate, &[0, 0, 0])
                .fin(SERVER)
        };
        let crossed = || {
            let script = answered().before_receiving(1);
            script.message(CLIENT, HandshakeType::ClientKeyExchange, &[])
        };
        let refused = "failure T3: missing_client_cert by server";
        assert_eq!(crossed().verdict(), refused);
        assert_eq!(crossed().rst(SERVER).verdict(), refused);
        let late = server_flight_12().wait(20_000).fin(SERVER);
        let late = late.before_receiving(1);
        let late = late.message(CLIENT, HandshakeType::ClientKeyExchange, &[]);
        assert_eq!(
            late.verdict(),
            "failure observed: handshake_timeout by client"
        );
    }

    #[test]
    fn large_data_sent_again_and_again_were_not_delivered() {
        let lost = |script: Script| script.then_nothing(20_000).verdict();
        let not_delivered = "failure observed: not_delivered by client";
        assert_eq!(lost(hello().sent_again(CLIENT, 4, 1_448)), not_delivered);
        // Every path carries small ones: the server does not answer.
        assert_eq!(
            lost(hello().sent_again(CLIENT, 4, 517)),
            "failure observed: no_server_hello by server"
        );
        assert_eq!(
            lost(server_flight_12().sent_again(SERVER, 4, 500)),
            "failure observed: not_delivered by server"
        );
        let once = hello().sent_again(CLIENT, 2, 1_448);
        assert_eq!(lost(once), "failure T5: no_server_hello by server");
        let early = hello().sent_again(CLIENT, 4, 1_448).then_nothing(5_000);
        assert_eq!(because(&early), Some(UnknownBecause::CaptureEnd));
    }

    /// A capture may keep the first packets of each connection only.
    #[test]
    fn copies_that_stop_in_the_middle_show_that_the_capture_lacks_packets() {
        let lost = |length| hello().sent_again(CLIENT, 4, length).then_nothing(90_000);
        assert_eq!(
            because(&lost(1_448)),
            Some(UnknownBecause::LastDataNotAcknowledged)
        );
        assert_eq!(lost(517).verdict(), "failure T5: no_server_hello by server");
        let long = hello().sent_again(CLIENT, 6, 1_448).then_nothing(300_000);
        assert_eq!(long.verdict(), "failure observed: not_delivered by client");
    }

    #[test]
    fn a_hole_that_the_receiver_has_too_was_not_delivered() {
        let hole = || hello().lost_in_network(SERVER);
        let not_delivered = "failure observed: not_delivered by server";
        assert_eq!(hole().wait(5_000).fin(CLIENT).verdict(), not_delivered);
        let watched = hole().then_nothing(15_000);
        assert_eq!(watched.verdict_with(End::Silence, &[]), not_delivered);
        // Nothing shows that it lasted: a capture may keep the first packets only.
        assert_eq!(
            because(&watched),
            Some(UnknownBecause::LastDataNotAcknowledged)
        );
        let lasting = hole().wait(2_000).in_view(CLIENT).then_nothing(15_000);
        assert_eq!(lasting.verdict(), not_delivered);
        assert_eq!(
            hole().wait(200).fin(CLIENT).verdict(),
            "failure observed: connection_closed by client"
        );
    }

    #[test]
    fn a_server_that_stops_amid_its_flight_of_tls13_is_to_blame_when_the_client_gives_up() {
        let gives_up = |script: Script, wait| script.wait(wait).fin(CLIENT).fin(SERVER).verdict();
        let server = "failure observed: handshake_timeout by server";
        assert_eq!(gives_up(full(), 3_000), server);
        assert_eq!(gives_up(full(), 12_000), server);
        let amid_record = || {
            let flight = full().server_records(&[23, 900]);
            flight.delivery(SERVER, |delivery| delivery.data_end += 50)
        };
        assert_eq!(gives_up(amid_record(), 3_000), server);
        let closed = "failure C4: connection_closed by client";
        assert_eq!(gives_up(amid_record(), 900), closed);
        assert_eq!(gives_up(full().server_flight(), 3_000), closed);
    }

    #[test]
    fn the_rest_of_a_flight_that_is_sent_again_was_not_delivered() {
        let repeated = |times| {
            let flight = full().server_records(&[23, 900]);
            let flight = flight.sent_again(SERVER, times, 132).wait(6_000);
            flight.fin(CLIENT).verdict()
        };
        assert_eq!(repeated(4), "failure observed: not_delivered by server");
        assert_ne!(repeated(1), "failure observed: not_delivered by server");
    }

    #[test]
    fn a_path_dies_where_neither_the_flight_nor_the_fin_of_the_client_arrives() {
        let fin = |times, flight: Script| {
            let closed = flight.wait(500).fin(CLIENT);
            let sent = closed.sent_again(CLIENT, times, 1);
            let only_fin = sent.delivery(CLIENT, |delivery| {
                if let Some(outstanding) = &mut delivery.outstanding {
                    outstanding.start = delivery.data_end;
                }
            });
            only_fin.verdict()
        };
        let amid_flight = || full().server_records(&[23]);
        assert_eq!(
            fin(4, amid_flight()),
            "failure observed: not_delivered by server"
        );
        assert_eq!(
            fin(2, amid_flight()),
            "failure C4: connection_closed by client"
        );
        assert_ne!(
            fin(4, full().server_flight()),
            "failure observed: not_delivered by server"
        );
    }

    #[test]
    fn data_that_only_sequence_numbers_show_are_no_gap_if_the_receiver_lacked_them_too() {
        let unseen = |wait| {
            let closed = hello().wait(wait).fin(CLIENT).gap(SERVER);
            closed.delivery(SERVER, |delivery| delivery.unseen = 100)
        };
        assert_eq!(
            unseen(5_000).verdict(),
            "failure observed: not_delivered by server"
        );
        // The server may have sent them only when the client closed.
        assert_eq!(
            because(&unseen(500)),
            Some(UnknownBecause::LastDataNotAcknowledged)
        );
        assert_eq!(
            because(&hello().wait(5_000).fin(CLIENT).gap(SERVER)),
            Some(UnknownBecause::Gap)
        );
    }

    #[test]
    fn a_server_that_closes_in_order_is_alive_and_the_hello_was_not_delivered() {
        let lost = || hello().sent_again(CLIENT, 5, 517).wait(6_000);
        assert_eq!(
            lost().fin(SERVER).verdict(),
            "failure observed: not_delivered by client"
        );
        assert_ne!(
            lost().rst(SERVER).verdict(),
            "failure observed: not_delivered by client"
        );
    }

    #[test]
    fn a_person_may_take_a_minute_to_choose_a_certificate() {
        let asked = || tls12().message(SERVER, HandshakeType::CertificateRequest, &[0]);
        let asked = || asked().message(SERVER, HandshakeType::ServerHelloDone, &[]);
        let choosing = asked().then_nothing(35_000);
        assert_eq!(because(&choosing), Some(UnknownBecause::CaptureEnd));
        let watched = |script: Script| script.verdict_with(End::Silence, &[]);
        assert_eq!(
            watched(asked().then_nothing(60_000)),
            "failure observed: handshake_timeout by client"
        );
        let hidden = full().server_flight_with_request().then_nothing(35_000);
        assert_eq!(because(&hidden), Some(UnknownBecause::CaptureEnd));
    }

    #[test]
    fn the_side_that_has_to_speak_next_is_to_blame() {
        let silent = |script: Script| {
            let silent = script.then_nothing(15_000);
            silent.verdict_with(End::Silence, &[])
        };
        let client = "failure observed: handshake_timeout by client";
        let server = "failure observed: handshake_timeout by server";
        assert_eq!(silent(tls12()), server);
        assert_eq!(silent(server_flight_12()), client);
        assert_eq!(silent(server_flight_12().finished_12(CLIENT)), server);
        assert_eq!(silent(tls12().finished_12(SERVER)), client); // resumed
        assert_eq!(silent(full().server_flight()), client);
        assert_eq!(silent(full().server_records(&[65])), server);
    }

    /// A capture may keep the first packets of each connection only, or lack the reset with which a side gave up.
    #[test]
    fn silence_amid_a_handshake_proves_nothing_unless_the_connection_is_shown_to_be_open() {
        let amid = || {
            let flights = [tls12(), server_flight_12(), full().server_flight()];
            flights.into_iter().chain([full().server_records(&[65])])
        };
        for script in amid() {
            let silent = script.then_nothing(600_000);
            assert_eq!(because(&silent), Some(UnknownBecause::CaptureEnd));
        }
        // Something came when the silence had lasted for long.
        for script in amid() {
            let open = script.wait(20_000).in_view(CLIENT).then_nothing(600_000);
            assert!(open.verdict().contains("observed: handshake_timeout"));
        }
    }

    #[test]
    fn after_the_clients_hidden_flight_silence_fits_success_too() {
        let begun = full().server_flight().client_records(&[100]);
        let silent = begun.then_nothing(30_000);
        assert_eq!(because(&silent), Some(UnknownBecause::CaptureEnd));
    }

    #[test]
    fn an_unknown_outcome_says_which_evidence_is_missing() {
        use crate::handshake::testing::one_sided;
        let half = one_sided().in_view(CLIENT).client_hello(|_| {});
        let late = connection().server_hello_12();
        for (script, reason) in [
            (half, UnknownBecause::OneDirection),
            (late, UnknownBecause::NoClientHello),
            (tls12().gap(SERVER), UnknownBecause::Gap),
            (tls12().truncated(), UnknownBecause::Truncated),
            (tls12().not_tls(SERVER), UnknownBecause::UnreadableRecords),
            (tls12(), UnknownBecause::CaptureEnd),
        ] {
            let conclusion = at_end(&script);
            assert_eq!(conclusion.unknown_because, Some(reason));
            assert_eq!(conclusion.outcome, crate::event::Outcome::Unknown);
        }
        let replaced = tls12().conclude(End::Replaced, &[]);
        assert_eq!(replaced.unknown_because, Some(UnknownBecause::Replaced));
    }
}
