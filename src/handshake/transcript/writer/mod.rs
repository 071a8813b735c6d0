//! The writer of a transcript.
//!
//! The items of the clear part mean the same in every version. What sealed records show
//! depends on it, so [`Transcript::take`] branches once: see [`sealed`].

mod clear;
mod closes;
mod quic;
mod sealed;

use std::time::Duration;

use crate::decode::IcmpError;
use crate::event::{EapResult, StepKind, Transport};
use crate::flow::{Direction, Side, endpoint};
use crate::framing::{Close, Content, SealedUnit, Seen};
use crate::time::Timestamp;
use crate::tls::{AlertLevel, MAX_MESSAGE, Message};
use crate::transport::tcp::Arrival;

use super::parts::{AlertContent, AlertSeen, Observation, Observed, Undelivered};
use super::{EapEnd, MAX_OBSERVATIONS, Transcript, USUAL_OBSERVATIONS};

/// Alerts kept: the first decides and a few more complete the picture, but a peer may send thousands.
const MAX_ALERTS: usize = 16;

impl Transcript {
    /// Takes what `sender` was seen to do.
    #[inline]
    pub(in crate::handshake) fn take(&mut self, sender: Direction, seen: Seen<'_>) {
        if self.is_only_watched() && !self.may_renegotiate(&seen) {
            return;
        }
        if self.ladder.is_some() {
            self.take_step(sender, &seen);
        }
        match seen {
            Seen::Deferred => self.has_deferred = true,
            Seen::Unreadable { has_waited: true } => self.has_deferred = false,
            _ => {}
        }
        match seen {
            Seen::Message {
                message,
                sealed: false,
                at,
            } => self.take_message(sender, message, at),
            Seen::PartialMessage { message, start } => {
                self.take_partial_message(sender, message, start);
            }
            Seen::ClientHello { hello, start, .. } => self.take_client(sender, hello, start),
            Seen::ServerHello { hello, start } => {
                self.note_end(sender, start);
                self.take_server_hello(sender, Some(hello), start);
                self.note_news(sender);
            }
            Seen::Alert {
                level,
                description,
                at,
            } => {
                self.push_alert(sender, AlertContent::Clear(level, description), at);
                self.observe(sender, Observed::Alert(description), at);
                self.note_end(sender, at);
                self.note_news(sender);
            }
            Seen::ChangeCipherSpec { .. } => {
                let side = self.side(sender);
                if let Some(renegotiations) = &mut self.renegotiations {
                    renegotiations.take_change_cipher_spec(side);
                }
                self.peers[sender].change_cipher_spec = true;
                self.note(sender, 'I');
                self.note_news(sender);
            }
            Seen::NotTls => {
                self.peers[sender].is_not_tls = true;
                self.note_news(sender);
            }
            Seen::Gap(missing) => {
                let peer = &mut self.peers[sender];
                peer.gap_bytes = peer.gap_bytes.saturating_add(u64::from(missing));
                peer.ends_with_gap = true;
                let side = self.side(sender);
                let mut observations = self.observations.iter();
                self.has_late_gap |= side == Side::Client
                    || observations.any(|observation| observation.side == Side::Client);
            }
            Seen::Close { how, at } => self.take_close(sender, how, at),
            Seen::Quic(seen) => self.take_quic(sender, seen),
            Seen::SealedStart { unit, start } => self.take_sealed_start(sender, unit, start),
            Seen::SealedEnd { unit, content, end } => {
                self.take_sealed_end(sender, unit, content, end);
            }
            sealed if self.is_tls13() => self.take_sealed_tls13(sender, sealed),
            sealed => self.take_sealed_tls12(sender, sealed),
        }
    }

    /// Whether [`Transcript::take`] has to see the items themselves: the start and the end of a sealed unit alone are not enough.
    pub(in crate::handshake) fn takes_one_by_one(&self) -> bool {
        self.ladder.is_some() || self.is_only_watched()
    }

    /// Takes the start of a sealed unit.
    pub(in crate::handshake) fn take_sealed_start(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        start: Arrival,
    ) {
        if self.is_tls13() {
            self.take_start_tls13(sender, unit, start);
        } else {
            self.take_start_tls12(sender, unit, start);
        }
        self.note_news(sender);
    }

    /// Takes the end of a sealed unit.
    pub(in crate::handshake) fn take_sealed_end(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    ) {
        self.note_end(sender, end);
        if self.is_tls13() {
            self.take_end_tls13(sender, unit, content, end);
        } else {
            self.take_end_tls12(sender, unit, content, end);
        }
    }

    #[cold]
    fn take_step(&mut self, sender: Direction, seen: &Seen<'_>) {
        if matches!(seen, Seen::Close { .. }) && self.has_ended() {
            return; // closes again, and is no part of what is reported
        }
        let may_be_tls13 = self.hellos().may_be_tls13();
        if let Some(ladder) = &mut self.ladder {
            ladder.take(sender, seen, self.last, may_be_tls13);
        }
    }

    /// Notes that packets of `direction` are in view, with or without payload.
    pub(in crate::handshake) fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.note_in_view(direction);
        self.note_last(now);
    }

    /// Notes that packets of `direction` are in view, of which the last one is noted otherwise.
    pub(in crate::handshake) fn note_in_view(&mut self, direction: Direction) {
        self.peers[direction].is_in_view = true;
    }

    /// Notes that the report rests on a packet. Those that waited for others may come after newer ones.
    pub(in crate::handshake) fn note_last(&mut self, now: Arrival) {
        let is_newest = now.packet >= self.last.packet || now.time > self.last.time;
        if is_newest && !self.is_only_watched() {
            self.last = now;
        }
    }

    /// Notes that what was captured of `direction` only `now` had been acknowledged before: its clock is late.
    pub(in crate::handshake) fn note_late(
        &mut self,
        direction: Direction,
        acknowledged: Timestamp,
        now: Timestamp,
    ) {
        if let Some(late) = now.checked_since(acknowledged) {
            let lateness = &mut self.peers[direction].lateness;
            *lateness = (*lateness).max(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// Notes that `direction` carried something else than TLS before.
    pub(in crate::handshake) fn note_plain(&mut self, direction: Direction) {
        self.peers[direction].was_plain = true;
    }

    /// Notes that nothing shows whether `direction` carried anything before.
    pub(in crate::handshake) fn note_unseen_beginning(&mut self, direction: Direction) {
        self.peers[direction].is_beginning_unseen = true;
    }

    /// Notes that `direction` carried something else than TLS before, of which the beginning was not seen.
    pub(in crate::handshake) fn note_amid_other(&mut self, direction: Direction) {
        self.note_unseen_beginning(direction);
        self.peers[direction].was_amid_other = true;
    }

    /// Notes the round trip from the observer to the client.
    pub(in crate::handshake) fn note_client_round_trip(&mut self, trip: Duration) {
        self.client_round_trip = u32::try_from(trip.as_micros()).unwrap_or(u32::MAX);
    }

    /// Notes the last moment of the observation.
    pub(in crate::handshake) const fn note_until(&mut self, until: Timestamp) {
        self.until = Some(until);
    }

    /// Notes a datagram of `sender`. If earlier ones of its peer were reported as undeliverable, those after them arrived.
    pub(in crate::handshake) fn note_datagram(&mut self, sender: Direction) {
        if let Some(undelivered) = &mut self.undelivered {
            let of_peer = &mut undelivered[sender.flip()];
            // That some arrive says nothing of large ones.
            *of_peer = of_peer.filter(Undelivered::is_too_big);
        }
    }

    /// Notes how the EAP conversation ended, which `transport` carried.
    pub(in crate::handshake) fn note_eap_end(
        &mut self,
        end: EapEnd,
        server: Direction,
        transport: Transport,
    ) {
        if let Some(ladder) = &mut self.ladder {
            let kind = match end.result {
                EapResult::Accept => StepKind::Accepted(transport),
                EapResult::Reject => StepKind::Rejected(transport),
            };
            ladder.take_login_end(server, kind, end.at);
        }
        self.note_last(end.at);
        self.eap_mut().end = Some(end);
    }

    /// Notes that ICMP reports a datagram of `sender` as undeliverable.
    pub(in crate::handshake) fn note_undeliverable(
        &mut self,
        sender: Direction,
        error: &IcmpError,
        at: Arrival,
    ) {
        if let Some(ladder) = &mut self.ladder {
            ladder.take_undeliverable(sender, error.reason.as_str(), at);
        }
        let undelivered = self.undelivered.get_or_insert_default();
        undelivered[sender] = Some(Undelivered {
            reason: error.reason,
            reporter: endpoint(error.reporter, 0).address,
            is_from_receiver: error.is_from_receiver(),
            length: error.length,
            time: at.time,
        });
    }

    /// Notes that what one side sent contradicts itself.
    pub(in crate::handshake) const fn note_contradictory(&mut self) {
        self.is_contradictory = true;
    }

    /// Notes that a limit or the snap length took something from this connection.
    pub(in crate::handshake) const fn note_truncated(&mut self) {
        self.is_truncated = true;
    }
}

/// What the parts above share.
impl Transcript {
    fn push_alert(&mut self, sender: Direction, content: AlertContent, at: Arrival) {
        self.note(sender, 'L');
        // A fatal alert decides, however many warnings came before it.
        let is_fatal = |content: &AlertContent| {
            use AlertContent::{Clear, Opened};
            matches!(
                content,
                Clear(AlertLevel::Fatal, _) | Opened(AlertLevel::Fatal, _)
            )
        };
        if self.alerts.len() >= MAX_ALERTS && is_fatal(&content) {
            self.alerts.pop_if(|last| !is_fatal(&last.content));
        }
        // Over UDP, anybody can send alerts in the name of a side, which must not hide the one that was its last word.
        if self.alerts.len() >= MAX_ALERTS && is_fatal(&content) && self.is_dtls() {
            let mut known = self.alerts.iter_mut();
            match known.rfind(|alert| alert.sender == sender && alert.content == content) {
                Some(same) => same.at = at,
                None => self.lacks_alerts = true,
            }
        }
        if self.alerts.len() < MAX_ALERTS {
            let side = self.side(sender);
            if let Some(renegotiations) = &mut self.renegotiations {
                renegotiations.take_alert(side);
            }
            let is_late = match &self.decrypted {
                Some(decrypted) => decrypted.is_in_use_for(side),
                None => self.is_complete() && self.had_received_finished(side, at) != Some(false),
            };
            self.alerts.push(AlertSeen {
                sender,
                at,
                content,
                is_late,
                follows_gap: self.peers[sender].ends_with_gap,
            });
        }
    }

    /// Adds an observation. Only TLS 1.3 needs them: up to TLS 1.2, the messages that count are in the clear.
    fn observe(&mut self, sender: Direction, what: Observed, at: Arrival) {
        if self.is_tls13() && self.observations.len() < MAX_OBSERVATIONS {
            let observation = Observation {
                side: self.side(sender),
                what,
                content: Content::Unknown,
                time: at.time,
                end: at.time,
                stream_end: at.end,
                acknowledged: at.acknowledged,
            };
            if self.observations.is_empty() {
                self.observations.reserve(USUAL_OBSERVATIONS);
            }
            self.observations.push(observation);
        }
    }

    /// Notes where an item of `sender` ended in its stream: the first flight of its peer ended before. What answers its
    /// peer's FIN belongs to no flight.
    fn note_end(&mut self, sender: Direction, at: Arrival) {
        self.note_ignored_close(sender, at);
        let is_answer_to_close = match self.peers[sender.flip()].closing.first() {
            Some((Close::Fin, fin)) => at.had_received(fin.end) == Some(true),
            _ => false,
        };
        let own = &mut self.peers[sender];
        if is_answer_to_close && own.stream_end > 0 {
            own.first_flight_end.get_or_insert(own.stream_end);
        }
        own.stream_end = at.end;
        own.ends_with_gap = false;
        self.note_flight_end(sender.flip());
    }

    /// Notes that the peer of `sender` acts: what `sender` has sent so far is its first flight.
    fn note_flight_end(&mut self, sender: Direction) {
        let peer = &mut self.peers[sender];
        if peer.stream_end > 0 {
            peer.first_flight_end.get_or_insert(peer.stream_end);
        }
    }

    /// Notes that `sender` sent something new.
    fn note_news(&mut self, sender: Direction) {
        self.last_sender = Some(sender);
        if self.client.is_some_and(|client| client != sender) {
            self.peers[sender].has_answered = true;
        }
    }

    fn note_length(&mut self, message: Message<'_>) {
        self.is_truncated |= message.body.is_none() && message.length > MAX_MESSAGE;
    }

    fn note(&mut self, sender: Direction, letter: char) {
        self.history.push(self.side(sender), letter);
    }
}

#[cfg(test)]
mod tests {
    use crate::flow::Side;
    use crate::framing::Close;
    use crate::handshake::testing::{CLIENT, SERVER, connection, full, tls12};
    use crate::handshake::transcript::{AlertContent, MAX_OBSERVATIONS, Observed, PeerClose};
    use crate::tls::{AlertDescription, CipherSuite, ContentType, HandshakeType};

    use super::{AlertSeen, MAX_ALERTS};

    #[test]
    fn a_reset_after_a_fin_keeps_the_moment_of_the_fin() {
        let script = full().fin(CLIENT);
        let fin = script.transcript.peer(CLIENT).closing;
        let script = script.rst(CLIENT).fin(CLIENT);
        let both = script.transcript.peer(CLIENT).closing;
        assert!(matches!(fin, PeerClose::Fin(_)) && matches!(both, PeerClose::FinThenRst(_)));
        assert_eq!(both.first(), fin.first());
        assert!(both.has_reset() && !fin.has_reset());
        let closes = script.transcript.observations().iter();
        assert_eq!(closes.filter(|seen| seen.is_close()).count(), 1);
    }

    #[test]
    fn a_reset_that_both_sides_ignored_closes_nothing() {
        let reset = || full().server_flight().rst(SERVER);
        let goes_on = reset().client_records(&[53, 100]).server_records(&[250]);
        // So far, what the server sends may have been on its way.
        assert!(goes_on.transcript.has_reset());
        let ignored = goes_on.client_records(&[100]);
        assert!(!ignored.transcript.has_reset());
        let closed = ignored.server_records(&[19]).fin(SERVER).fin(CLIENT);
        assert_eq!(closed.verdict(), "success P5");
        let first = closed.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Fin, _))));
    }

    #[test]
    fn the_first_close_is_that_of_the_earlier_packet() {
        let script = tls12().rst(SERVER).fin(CLIENT);
        let first = script.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Rst, _))));
        assert!(script.transcript.has_ended());
        assert_eq!(tls12().transcript.first_close(), None);
    }

    #[test]
    fn a_close_that_acknowledges_a_fin_comes_second_whatever_the_clocks_say() {
        let script = tls12().fin(SERVER).step_back(5).fin(CLIENT);
        let first = script.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Fin, _))));
        // The same, but the two crossed on the way.
        let script = tls12().fin(SERVER).step_back(5).before_receiving(1);
        let first = script.fin(CLIENT).transcript.first_close();
        assert!(matches!(first, Some((Side::Client, Close::Fin, _))));
    }

    #[test]
    fn what_a_side_had_received_when_it_closed_is_known() {
        let closed = |script: crate::handshake::testing::Script| {
            let script = script.fin(CLIENT);
            let (_, _, at) = script.transcript.first_close().unwrap();
            script.transcript.had_received_flight(CLIENT, at)
        };
        assert_eq!(closed(full().server_flight()), Some(true));
        assert_eq!(
            closed(full().server_flight().before_receiving(1)),
            Some(false)
        );
        // What the server sends after the client's answer is not part of its flight.
        let answered = full().server_flight().client_records(&[53]);
        let crossed = answered.server_records(&[250]).before_receiving(1);
        assert_eq!(closed(crossed), Some(true));
        assert_eq!(closed(connection().client_hello(|_| {})), None);
    }

    #[test]
    fn only_tls13_has_observations() {
        assert!(tls12().fin(CLIENT).transcript.observations().is_empty());
        let script = full().server_records(&[23]).fin(CLIENT);
        let observed = script
            .transcript
            .observations()
            .iter()
            .map(|seen| seen.what);
        assert_eq!(
            observed.collect::<Vec<_>>(),
            [Observed::Record(23), Observed::Fin]
        );
    }

    #[test]
    fn observations_and_alerts_are_bounded() {
        let records = full().server_records(&[100; 200]);
        assert_eq!(records.transcript.observations().len(), MAX_OBSERVATIONS);
        let mut alerts = tls12();
        for _ in 0..100 {
            alerts = alerts.warning(SERVER, AlertDescription::UnrecognizedName);
        }
        assert_eq!(alerts.transcript.alerts().len(), MAX_ALERTS);
    }

    #[test]
    fn warnings_hide_no_fatal_alert() {
        let mut alerts = tls12();
        for _ in 0..100 {
            alerts = alerts.warning(CLIENT, AlertDescription::UserCanceled);
        }
        alerts = alerts.alert(CLIENT, AlertDescription::UnknownCa);
        // What follows the first fatal alerts changes nothing.
        for _ in 0..100 {
            alerts = alerts.warning(CLIENT, AlertDescription::UserCanceled);
        }
        let seen = alerts.transcript.alerts();
        assert_eq!(seen.len(), MAX_ALERTS);
        let last = seen.last().and_then(AlertSeen::description);
        assert_eq!(last, Some(AlertDescription::UnknownCa));
    }

    #[test]
    fn the_sender_of_the_first_hello_of_either_side_settles_who_is_the_client() {
        let mut script = connection();
        assert!(!script.transcript.has_hello());
        script = script.server_hello_12();
        assert!(script.transcript.has_hello());
        let server = script.transcript.direction(SERVER);
        assert_eq!(script.transcript.side(server), SERVER);
        assert_eq!(script.transcript.side(server.flip()), CLIENT);
    }

    #[test]
    fn a_certificate_in_the_clear_counts_up_to_tls12_only() {
        let body = &[0, 0, 4, 0, 0, 1, 0];
        let shown = |script: crate::handshake::testing::Script| {
            let script = script.message(SERVER, HandshakeType::Certificate, body);
            script.transcript.peer(SERVER).certificate.is_some()
        };
        assert!(shown(tls12()));
        assert!(!shown(full()));
    }

    #[test]
    fn an_alert_is_late_after_both_finished() {
        let alert = |script: crate::handshake::testing::Script| {
            let script = script.sealed(SERVER, ContentType::Alert);
            *script.transcript.alerts().last().unwrap()
        };
        let early = alert(tls12().finished_12(CLIENT));
        assert!(!early.is_late && early.is_encrypted());
        assert_eq!(early.content, AlertContent::Sealed);
        assert!(alert(tls12().finished_12(CLIENT).finished_12(SERVER)).is_late);
    }

    #[test]
    fn encrypted_handshake_records_after_both_finished_are_a_renegotiation() {
        let complete = tls12().finished_12(CLIENT).finished_12(SERVER);
        assert!(complete.transcript.renegotiations().is_none());
        let again = complete.sealed(CLIENT, ContentType::Handshake);
        let renegotiations = again.transcript.renegotiations();
        assert!(renegotiations.is_some_and(|seen| seen.count() == 1 && seen.is_open()));
    }

    #[test]
    fn the_prime_of_a_key_exchange_counts_with_ephemeral_diffie_hellman_only() {
        let bits = |suite| {
            let hello = connection().client_hello(|_| {}).server_hello_13(|hello| {
                hello.supported_version = None;
                hello.cipher_suite = Some(suite);
            });
            let prime = [&[0, 128][..], &[0xff; 128], &[0, 1, 2]].concat();
            let exchanged = hello.message(SERVER, HandshakeType::ServerKeyExchange, &prime);
            exchanged.transcript.key_exchange_prime_bits()
        };
        assert_eq!(
            bits(CipherSuite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA),
            Some(1024)
        );
        assert_eq!(bits(CipherSuite::TLS_PSK_WITH_AES_128_CBC_SHA), None);
    }
}
