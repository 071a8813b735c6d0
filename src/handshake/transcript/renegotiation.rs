//! Handshakes inside an established connection, up to TLS 1.2.
//!
//! Their messages are encrypted, but the types of their records are readable, and so
//! is the order: a HelloRequest or a ClientHello, the flights of both sides, and
//! ChangeCipherSpec with Finished from either. Apache and IIS ask for a client
//! certificate in this way, when a request needs one.

use crate::event::{ClientCertificate, RenegotiationEnd};
use crate::flow::{PerSide, Side};
use crate::tls::CipherSuite;

/// The renegotiations of one connection; what is kept is of the newest.
#[derive(Debug, Default)]
pub(in crate::handshake) struct Renegotiations {
    count: u32,
    /// Handshake records of the newest.
    records: PerSide<u32>,
    /// Of these, the client's after its ClientHello and before its ChangeCipherSpec: how many, and the length of the first.
    flight: (u32, u16),
    has_changed_cipher: PerSide<bool>,
    has_finished: PerSide<bool>,
    /// Who sent an alert amid the newest and nothing after it.
    alert_by: Option<Side>,
    /// Whether application data followed its last record.
    is_left: bool,
}

impl Renegotiations {
    /// Takes an encrypted handshake record.
    pub(super) fn take_record(&mut self, side: Side, length: u16) {
        if self.count == 0 || self.is_complete() {
            *self = Self {
                count: self.count.saturating_add(1),
                ..Self::default()
            };
        }
        self.note_data(side);
        if side == Side::Client && self.records.client > 0 && !self.has_changed_cipher.client {
            let (records, first) = self.flight;
            let first = if records == 0 { length } else { first };
            self.flight = (records.saturating_add(1), first);
        }
        self.is_left = false;
        self.records[side] = self.records[side].saturating_add(1);
        self.has_finished[side] |= self.has_changed_cipher[side];
    }

    /// Takes an encrypted ChangeCipherSpec.
    pub(super) fn take_change_cipher_spec(&mut self, side: Side) {
        self.has_changed_cipher[side] |= self.is_open();
    }

    /// Takes an encrypted alert: the last word of its sender, unless more follows.
    pub(super) fn take_alert(&mut self, side: Side) {
        if self.is_open() {
            self.alert_by.get_or_insert(side);
        }
    }

    /// Takes application data of `side`.
    pub(super) fn take_data(&mut self, side: Side) {
        self.note_data(side);
        self.is_left = true;
    }

    /// Notes that `side` goes on, so that an alert of its own was not its last word.
    fn note_data(&mut self, side: Side) {
        self.alert_by = self.alert_by.filter(|by| *by != side);
    }

    /// How many began.
    pub(in crate::handshake) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether the newest was begun and has not completed.
    pub(in crate::handshake) fn is_open(&self) -> bool {
        self.count > 0 && !self.is_complete()
    }

    /// Whether the client has taken up the newest, and it neither completed nor was left for application data: it
    /// completes or fails in packets that are not in view.
    pub(in crate::handshake) fn is_under_way(&self) -> bool {
        self.is_open() && self.records.client > 0 && !self.is_left
    }

    fn is_complete(&self) -> bool {
        self.has_finished.client && self.has_finished.server
    }

    /// Who ended the newest before it completed: by an alert, or with `closed_first` by closing the connection.
    ///
    /// One that the other side has not taken up has not failed: a HelloRequest may cross the client's close, and a server
    /// may decline to renegotiate (`no_renegotiation`).
    pub(in crate::handshake) fn ended_by(&self, closed_first: Option<Side>) -> Option<Side> {
        let has_begun = self.records.client > 0 && self.records.server > 0;
        (self.is_open() && has_begun)
            .then_some(self.alert_by.or(closed_first))
            .flatten()
    }

    /// How the newest ended.
    pub(in crate::handshake) fn end(&self, closed_first: Option<Side>) -> RenegotiationEnd {
        match self.ended_by(closed_first) {
            _ if self.is_complete() => RenegotiationEnd::Completed,
            Some(_) => RenegotiationEnd::Failed,
            None => RenegotiationEnd::Open,
        }
    }

    /// What the client's flight in the newest shows of its certificate, by the number and lengths of its records; `None` if
    /// it shows nothing.
    ///
    /// A client that was asked sends Certificate, ClientKeyExchange and, if there is a certificate, CertificateVerify, which
    /// most stacks put into records of their own. An empty Certificate has seven bytes.
    pub(in crate::handshake) fn client_certificate(
        &self,
        suite: Option<CipherSuite>,
    ) -> Option<ClientCertificate> {
        const EMPTY: u16 = 7;
        /// A Certificate message with the smallest certificates in use is several times as long.
        const SHORTEST: u16 = 200;
        /// ClientKeyExchange messages: a point on X25519, P-256, P-384 or P-521; an RSA secret or Diffie-Hellman value of
        /// 1024 to 4096 bits.
        const KEY_EXCHANGES: [u16; 8] = [37, 70, 102, 138, 134, 262, 390, 518];
        let overhead = overhead(suite?)?;
        match self.flight {
            (1, first) if KEY_EXCHANGES.contains(&first.saturating_sub(overhead)) => None,
            (2, first) if first == EMPTY + overhead => Some(ClientCertificate::Absent),
            (3.., first) if first > SHORTEST + overhead => Some(ClientCertificate::Presented),
            (0, _) => None,
            _ => Some(ClientCertificate::Unknown),
        }
    }
}

/// Bytes that encryption adds to a record up to TLS 1.2: the explicit nonce and the tag; `None` for suites that pad.
fn overhead(suite: CipherSuite) -> Option<u16> {
    let name = suite.name()?;
    match () {
        () if name.contains("CCM_8") || name.contains("CHACHA20") => Some(16),
        () if name.contains("GCM") || name.contains("CCM") => Some(24),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Side = Side::Client;
    const SERVER: Side = Side::Server;
    const SUITE: Option<CipherSuite> = Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);

    /// HelloRequest, ClientHello, the server's flight, and these records of the client before its ChangeCipherSpec.
    fn asked(flight: &[u16]) -> Renegotiations {
        let mut this = Renegotiations::default();
        this.take_record(SERVER, 28);
        this.take_record(CLIENT, 243);
        for length in [109, 910, 138, 101, 28] {
            this.take_record(SERVER, length);
        }
        for length in flight {
            this.take_record(CLIENT, *length);
        }
        this
    }

    fn finish(this: &mut Renegotiations, side: Side) {
        this.take_change_cipher_spec(side);
        this.take_record(side, 40);
    }

    #[test]
    fn a_renegotiation_completes_with_the_finished_of_both_sides() {
        let mut this = asked(&[900, 61, 104]);
        assert_eq!(this.end(None), RenegotiationEnd::Open);
        finish(&mut this, CLIENT);
        assert!(this.is_open());
        finish(&mut this, SERVER);
        assert_eq!(this.end(Some(CLIENT)), RenegotiationEnd::Completed);
        assert_eq!(this.count(), 1);
        this.take_record(CLIENT, 243);
        assert_eq!((this.count(), this.is_open()), (2, true));
    }

    #[test]
    fn an_alert_or_a_close_ends_a_renegotiation_that_the_client_has_taken_up() {
        let mut this = asked(&[31, 61]);
        finish(&mut this, CLIENT);
        this.take_alert(SERVER);
        assert_eq!(this.ended_by(Some(CLIENT)), Some(SERVER));
        assert_eq!(asked(&[]).ended_by(Some(CLIENT)), Some(CLIENT));
        // The alert was a warning: the server goes on.
        this.note_data(SERVER);
        assert_eq!(this.end(None), RenegotiationEnd::Open);
    }

    #[test]
    fn what_the_other_side_does_not_take_up_has_not_failed() {
        let mut this = Renegotiations::default();
        this.take_record(SERVER, 28);
        this.take_alert(CLIENT);
        assert_eq!(this.end(Some(CLIENT)), RenegotiationEnd::Open);
        let mut declined = Renegotiations::default();
        declined.take_record(CLIENT, 243);
        declined.take_alert(SERVER);
        assert_eq!(declined.end(Some(CLIENT)), RenegotiationEnd::Open);
    }

    #[test]
    fn records_of_the_clients_flight_show_its_certificate() {
        let certificate = |flight: &[u16]| asked(flight).client_certificate(SUITE);
        assert_eq!(certificate(&[31, 61]), Some(ClientCertificate::Absent));
        let presented = Some(ClientCertificate::Presented);
        assert_eq!(certificate(&[900, 61, 104]), presented);
        assert_eq!(certificate(&[61]), None); // a key exchange alone: not asked
        for unclear in [&[32, 61][..], &[31], &[62], &[900, 61]] {
            assert_eq!(certificate(unclear), Some(ClientCertificate::Unknown));
        }
        assert_eq!(certificate(&[]), None);
        let padded = Some(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA);
        assert_eq!(asked(&[48, 61]).client_certificate(padded), None);
    }
}
