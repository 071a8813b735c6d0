//! What only QUIC has.

use crate::flow::Direction;
use crate::framing::quic::{Level, QuicSeen};
use crate::tls::{AlertDescription, AlertLevel};
use crate::transport::quic::QuicClose;
use crate::transport::tcp::Arrival;

use super::super::parts::{AlertContent, AlertSeen};
use super::super::{QuicFacts, Transcript};
use super::MAX_ALERTS;

impl Transcript {
    pub(super) fn take_quic(&mut self, sender: Direction, seen: QuicSeen) {
        match seen {
            QuicSeen::Initial { version, .. } => {
                self.client.get_or_insert(sender);
                let facts = || Box::new(QuicFacts::new(version));
                self.quic.get_or_insert_with(facts);
            }
            // The client begins again, and the secrets go by the random of its latest hello.
            QuicSeen::VersionNegotiation { .. } | QuicSeen::Retry { .. } => {
                self.expects_new_hello = true;
            }
            QuicSeen::Close { close, level, at } => self.take_quic_alert(sender, close, level, at),
            _ => {}
        }
        let side = self.side(sender);
        let Some(quic) = &mut self.quic else {
            return;
        };
        quic.take(side, seen);
        // Of a datagram alone it may not be certain who sent it.
        if matches!(seen, QuicSeen::Datagram { .. }) && quic.last_of(side).is_some() {
            self.note_news(sender);
        }
    }

    /// Notes the alert that a CONNECTION_CLOSE frame stands for. A side repeats it in several kinds of packets.
    fn take_quic_alert(&mut self, sender: Direction, close: QuicClose, level: Level, at: Arrival) {
        let Some(code) = close.alert() else {
            return;
        };
        let description = AlertDescription(code);
        let mut known = self.alerts.iter();
        let is_known =
            |alert: &AlertSeen| alert.sender == sender && alert.description() == Some(description);
        if known.any(is_known) || self.alerts.len() >= MAX_ALERTS {
            return;
        }
        let content = match level {
            Level::Initial => AlertContent::Clear(AlertLevel::Fatal, description),
            Level::Handshake | Level::Application => {
                AlertContent::Opened(AlertLevel::Fatal, description)
            }
        };
        self.note(sender, 'L');
        let quic = self.quic.as_deref();
        self.alerts.push(AlertSeen {
            sender,
            at,
            content,
            is_late: quic.is_some_and(|quic| quic.accepted.is_some()),
            follows_gap: false,
        });
    }
}
