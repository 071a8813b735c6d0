//! Messages in the clear, which mean the same in every version.

use std::num::NonZeroU32;

use crate::flow::Direction;
use crate::memory::boxed;
use crate::tls::{
    ClientHello, HandshakeType, KeyExchange, Message, ProtocolVersion, ServerHello,
    read_key_exchange_group, read_prime_bits,
};
use crate::transport::tcp::Arrival;

use super::super::parts::Stapled;
use super::super::{Transcript, hello_units};
use crate::handshake::history::letter;

impl Transcript {
    pub(super) fn take_message(&mut self, sender: Direction, message: Message<'_>, start: Arrival) {
        self.note_end(sender, start);
        if message.handshake_type.0 < 64 {
            self.messages |= 1 << message.handshake_type.0;
        }
        self.note_length(message);
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) => {
                let spare = self.client_hello.take_if(|_| !self.has_client_hello);
                let mut hello = spare.unwrap_or_default();
                match hello.read_again(body) {
                    Ok(()) => return self.take_client(sender, hello, start),
                    Err(_) => self.client = self.client.or(Some(sender)),
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                let spare = self.server_hello.take_if(|_| !self.has_server_hello);
                let mut hello = spare.unwrap_or_default();
                let read = hello.read_again(body);
                self.take_whole_server_hello(sender, read.is_ok().then_some(hello), start);
            }
            (HandshakeType::HelloRetryRequest, Some(body)) => {
                let hello = ServerHello::read_draft_retry(body).ok().map(Box::new);
                self.take_whole_server_hello(sender, hello, start);
            }
            // TLS 1.3 encrypts its Certificate: one in the clear is not the peer's.
            (HandshakeType::Certificate, Some(body)) if !self.is_tls13() => {
                let mut room = std::mem::take(&mut self.certificate_room);
                room.reserve_exact(body.len());
                room.extend_from_slice(body);
                self.peers[sender].certificate = Some(room);
                if self.client == Some(sender) {
                    self.note_client_answer(start);
                }
            }
            (HandshakeType::ServerKeyExchange, Some(body)) => {
                self.key_exchange_group = read_key_exchange_group(body);
                self.key_exchange_prime_bits = self.prime_bits(body);
            }
            (HandshakeType::CertificateRequest, Some(body)) => {
                self.certificate_request = Some(body.into());
            }
            (HandshakeType::ClientKeyExchange, _) => self.note_client_answer(start),
            (HandshakeType::CertificateStatus, body) => self.stapled = Stapled::read(body),
            _ => {}
        }
        if !matches!(
            message.handshake_type,
            HandshakeType::ServerHello | HandshakeType::HelloRetryRequest
        ) {
            self.note(sender, letter(message.handshake_type));
        }
        self.note_news(sender);
    }

    fn note_client_answer(&mut self, start: Arrival) {
        let end = NonZeroU32::new(start.end);
        self.client_answer_end = self.client_answer_end.or(end);
    }

    pub(super) fn take_partial_message(
        &mut self,
        sender: Direction,
        message: Message<'_>,
        start: Arrival,
    ) {
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) if !self.has_client_hello => {
                if let Ok(hello) = ClientHello::read_partial(body)
                    && hello.legacy_version.is_plausible()
                {
                    self.take_client(sender, Box::new(hello), start);
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                let hello = ServerHello::read_partial(body).ok().map(Box::new);
                self.take_server_hello(sender, hello, start);
            }
            _ => {}
        }
    }

    pub(super) fn take_client(
        &mut self,
        sender: Direction,
        hello: Box<ClientHello>,
        start: Arrival,
    ) {
        self.note_end(sender, start);
        let is_first = !self.has_client_hello;
        if is_first || std::mem::take(&mut self.expects_new_hello) {
            self.client = Some(sender);
            if is_first {
                self.start = start;
            }
            self.hello_units[0] = hello_units(boxed::<ClientHello>() + hello.allocated());
            self.client_hello = Some(hello);
            self.has_client_hello = true;
        }
        self.note(sender, 'C');
        self.note_news(sender);
    }

    fn take_whole_server_hello(
        &mut self,
        sender: Direction,
        hello: Option<Box<ServerHello>>,
        start: Arrival,
    ) {
        // What overruns the message may be `supported_versions`, which decides whether this is TLS 1.3.
        let hello = hello.filter(|hello| {
            !hello.has_malformed_extensions || hello.version() < ProtocolVersion::TLSv1_2
        });
        self.has_unreadable_hello |= hello.is_none();
        self.take_server_hello(sender, hello, start);
    }

    pub(super) fn take_server_hello(
        &mut self,
        sender: Direction,
        hello: Option<Box<ServerHello>>,
        start: Arrival,
    ) {
        self.client.get_or_insert_with(|| sender.flip());
        self.server_hello_end = self.server_hello_end.or_else(|| NonZeroU32::new(start.end));
        let is_retry = hello.as_ref().is_some_and(|hello| hello.is_retry);
        self.note(sender, if is_retry { 'J' } else { 'S' });
        match hello {
            Some(hello) if hello.is_retry => self.retry_version = Some(hello.version()),
            Some(hello) if !self.has_server_hello => {
                self.is_tls13 = hello.version().is_tls13();
                self.hello_units[1] = hello_units(boxed::<ServerHello>() + hello.allocated());
                self.server_hello = Some(hello);
                self.has_server_hello = true;
                self.server_hello_at = start.time;
            }
            _ => {}
        }
    }

    /// The size of the group in a ServerKeyExchange, if the suite that was selected has one.
    fn prime_bits(&self, body: &[u8]) -> Option<u16> {
        let suite = self.server_hello()?.cipher_suite?;
        (suite.key_exchange()? == KeyExchange::Dhe).then_some(())?;
        read_prime_bits(body)
    }
}
