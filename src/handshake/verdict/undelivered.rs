//! Datagrams that ICMP reports as undeliverable, where nothing came after that: the network says why there is no answer.
//!
//! An endpoint may try again, and another report may be the last word, so the report counts once nothing has followed
//! it for longer than the first probe takes. An answer of the peer after the report refutes it. Once the client has sent its flight,
//! a closed port no longer says how the handshake ended: programs that are done close theirs.

use std::time::Duration;

use crate::decode::Undeliverable;
use crate::flow::Side;
use crate::handshake::cause;
use crate::handshake::end::End;
use crate::handshake::transcript::Transcript;

use super::conclusion::Conclusion;

/// How long nothing has to follow a report at the end of a capture: endpoints over UDP send again after a second at first (RFC
/// 9002 §6.2.2, RFC 9147 §5.8.2).
const QUIET: Duration = Duration::from_secs(1);

/// The same for reports that a datagram is too large: its sender tries smaller ones first.
const TIME_TO_SHRINK: Duration = Duration::from_secs(10);

/// The verdict on a handshake over UDP that nothing else decides; `has_client_flight` says whether the client may have
/// sent its Finished.
pub(super) fn conclude(
    transcript: &Transcript,
    end: End,
    has_client_flight: bool,
) -> Option<Conclusion> {
    if has_client_flight {
        return None;
    }
    // If those of both are lost, the client's come first: the server cannot have answered them.
    Side::BOTH.into_iter().find_map(|sender| {
        let seen = transcript.undelivered(sender)?;
        // A ServerHello after the report answers the client: what was too large came through in another size.
        let answered = transcript.server_hello_at().filter(|at| *at > seen.time);
        if sender == Side::Client && answered.is_some() {
            return None;
        }
        let quiet = match seen.reason {
            Undeliverable::TooBig { .. } => TIME_TO_SHRINK,
            _ => QUIET,
        };
        let until = transcript.observed_until()?;
        let waited = until.checked_since(seen.time)?;
        let is_last_word = match end {
            // The observer has waited, or the client has begun again.
            End::Silence | End::Replaced => true,
            End::CaptureEnd | End::Evicted => waited >= quiet,
            End::Decided | End::PacketsDropped => false,
        };
        is_last_word.then(|| Conclusion::failed(cause::undelivered(transcript, sender, seen)))
    })
}

/// The verdict on a client that gave up with an alert because the network reported its datagrams as undeliverable, and nothing
/// came back: GnuTLS sends internal_error when its socket reports that.
pub(super) fn given_up(transcript: &Transcript) -> Option<Conclusion> {
    let seen = transcript.undelivered(Side::Client)?;
    let client = transcript.direction(Side::Client);
    let has_given_up = transcript
        .alerts()
        .iter()
        .any(|alert| alert.sender == client && !alert.is_encrypted());
    let is_answered = transcript.peer(Side::Server).has_answered;
    (has_given_up && !is_answered)
        .then(|| Conclusion::failed(cause::undelivered(transcript, Side::Client, seen)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::quic::QuicSeen;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection};
    use crate::tls::{AlertDescription, ProtocolVersion};
    use crate::transport::quic::QuicVersion;

    fn over_quic() -> Script {
        let version = QuicVersion::V1;
        connection()
            .client_hello(|_| {})
            .quic(CLIENT, |at| QuicSeen::Initial { version, at })
    }

    fn over_dtls() -> Script {
        connection().client_hello(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_versions = None;
        })
    }

    fn message(script: &Script) -> String {
        let failure = script.conclude(End::CaptureEnd, &[]).failure;
        failure.map(|failure| failure.message).unwrap_or_default()
    }

    #[test]
    fn an_unreachable_port_is_a_refusal_of_the_server() {
        for script in [over_quic(), over_dtls()] {
            let refused = script.undelivered(CLIENT, Undeliverable::Port, true);
            let refused = refused.then_nothing(1_000);
            let expected = "failure observed: connection_refused by server";
            assert_eq!(refused.verdict(), expected);
            let said =
                "server refused the ClientHello: its host reports the port as unreachable (ICMP)";
            assert_eq!(message(&refused), said);
        }
    }

    #[test]
    fn an_alert_to_a_closed_port_says_nothing_about_the_client() {
        let refused = over_dtls().undelivered(CLIENT, Undeliverable::Port, true);
        let given_up = refused
            .wait(1)
            .alert(CLIENT, AlertDescription::InternalError);
        let expected = "failure observed: connection_refused by server";
        assert_eq!(given_up.verdict(), expected);
        let alone = over_dtls().alert(CLIENT, AlertDescription::InternalError);
        assert_eq!(
            alone.verdict(),
            "failure observed: internal_error by client"
        );
    }

    #[test]
    fn a_client_that_has_its_servers_finished_may_close_its_port() {
        let complete = over_dtls().server_hello_13(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_version = None;
        });
        let complete = complete.finished_12(SERVER);
        let gone = complete.undelivered(SERVER, Undeliverable::Port, true);
        let verdict = gone.then_nothing(1_000).verdict();
        assert!(verdict.starts_with("unknown"), "{verdict}");
    }

    #[test]
    fn a_report_that_something_may_follow_is_no_verdict() {
        for script in [over_quic(), over_dtls()] {
            let early = script.undelivered(CLIENT, Undeliverable::Port, true);
            let early = early.then_nothing(990);
            assert_eq!(early.verdict(), "unknown observed");
            let again = early.verdict_with(End::Replaced, &[]);
            assert_eq!(again, "failure observed: connection_refused by server");
        }
    }

    #[test]
    fn an_answer_refutes_the_report() {
        for script in [over_quic(), over_dtls()] {
            let mut answered = script.undelivered(CLIENT, Undeliverable::Port, true);
            answered
                .transcript
                .note_datagram(answered.transcript.direction(SERVER));
            let answered = answered.then_nothing(60_000);
            assert!(!answered.verdict().contains("connection_refused"));
        }
    }

    #[test]
    fn what_a_router_reports_was_not_delivered() {
        for reason in [Undeliverable::Host, Undeliverable::Prohibited] {
            let lost = over_quic().undelivered(CLIENT, reason, false);
            let lost = lost.then_nothing(1_000);
            let expected = "failure observed: not_delivered by client";
            assert_eq!(lost.verdict(), expected);
            let said = format!(
                "the client's datagrams were not delivered: 203.0.113.1 reports {reason} (ICMP)"
            );
            assert_eq!(message(&lost), said);
        }
    }

    #[test]
    fn datagrams_that_are_too_large_are_not_delivered_if_no_smaller_ones_follow() {
        let too_big = Undeliverable::TooBig { mtu: 1_280 };
        let lost = || over_quic().undelivered(CLIENT, too_big, false);
        let unknown = lost().then_nothing(9_000).verdict();
        assert!(unknown.starts_with("unknown"), "{unknown}");
        let lost = lost().then_nothing(10_000);
        assert_eq!(lost.verdict(), "failure observed: not_delivered by client");
        let said = "the client's datagrams of 1200 bytes were not delivered: 203.0.113.1 reports packet too big, the link carries \
            packets of 1280 bytes (ICMP)";
        assert_eq!(message(&lost), said);
    }

    #[test]
    fn a_server_hello_shows_that_what_was_too_large_came_through_in_another_size() {
        let too_big = Undeliverable::TooBig { mtu: 1_280 };
        let answered = over_dtls().undelivered(CLIENT, too_big, false).wait(1);
        let answered = answered.server_hello_13(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_version = None;
        });
        let verdict = answered.then_nothing(60_000).verdict();
        assert!(!verdict.contains("not_delivered"), "{verdict}");
    }

    #[test]
    fn a_client_that_closes_its_port_before_its_flight_has_given_up() {
        let gone = over_dtls().server_hello_13(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_version = None;
        });
        let gone = gone.undelivered(SERVER, Undeliverable::Port, true);
        let gone = gone.then_nothing(1_000);
        assert_eq!(
            gone.verdict(),
            "failure observed: connection_closed by client"
        );
    }
}
