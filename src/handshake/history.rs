//! The order of messages as a line of letters, in the manner of Zeek's `ssl_history`.
//!
//! [The module docs](super) list the letters.

use crate::flow::Side;
use crate::tls::HandshakeType;

/// Letters kept: a full handshake takes some 20, and a peer may send thousands of alerts.
const MAX_LETTERS: usize = 64;

/// The letters so far.
#[derive(Debug)]
pub(super) struct History {
    letters: String,
    /// Where the encrypted records begin that wait for their secret.
    deferred_from: Option<u8>,
}

impl History {
    /// One without letters, which go into the `room` of another.
    pub(super) fn in_room(mut room: String) -> Self {
        room.clear();
        room.reserve(16); // a full handshake of TLS 1.2
        Self {
            letters: room,
            deferred_from: None,
        }
    }

    /// Appends a letter: upper case from the client, lower case from the server, and one `D` for a run of them.
    pub(super) fn push(&mut self, side: Side, letter: char) {
        const LOWER_CASE: u8 = b'a' - b'A';
        let letter = letter as u8 + if side == Side::Server { LOWER_CASE } else { 0 }; // all are upper-case letters
        let newest = self.letters.as_bytes().last().copied();
        let is_run = matches!(letter, b'D' | b'd') && newest == Some(letter);
        if self.letters.len() < MAX_LETTERS && !is_run {
            self.letters.push(char::from(letter & 0x7f)); // ASCII, as the compiler knows now: one byte
        }
    }

    /// Notes that encrypted records wait for their secret from here on.
    pub(super) const fn defer(&mut self) {
        self.deferred_from = Some(self.letters.len() as u8); // at most MAX_LETTERS
    }

    pub(super) const fn is_deferred(&self) -> bool {
        self.deferred_from.is_some()
    }

    /// Removes the letters of encrypted records that waited: those of the messages in them follow.
    pub(super) fn rewrite(&mut self) {
        if let Some(from) = self.deferred_from.take() {
            let since = self.letters.split_off(from.into());
            let is_kept = |letter: &char| !matches!(letter, 'D' | 'd');
            self.letters.extend(since.chars().filter(is_kept));
        }
    }

    /// The letters so far.
    pub(super) fn letters(&self) -> &str {
        &self.letters
    }

    /// Takes the letters out.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.letters)
    }
}

/// The letter of a message in the clear.
pub(super) const fn letter(handshake_type: HandshakeType) -> char {
    match handshake_type {
        HandshakeType::HelloRequest => 'H',
        HandshakeType::ClientHello => 'C', // one that could not be read
        HandshakeType::HelloVerifyRequest => 'V',
        HandshakeType::NewSessionTicket => 'T',
        HandshakeType::Certificate => 'X',
        HandshakeType::ServerKeyExchange => 'K',
        HandshakeType::CertificateRequest => 'R',
        HandshakeType::ServerHelloDone => 'N',
        HandshakeType::CertificateVerify => 'Y',
        HandshakeType::ClientKeyExchange => 'G',
        HandshakeType::CertificateStatus => 'U',
        HandshakeType::Finished => 'F',
        _ => 'Z',
    }
}

/// The letter of a decrypted message of TLS 1.3.
pub(super) const fn sealed_letter(handshake_type: HandshakeType) -> char {
    match handshake_type {
        HandshakeType::EncryptedExtensions => 'O',
        HandshakeType::EndOfEarlyData => 'E',
        HandshakeType::CompressedCertificate => 'X',
        HandshakeType::KeyUpdate => 'P',
        _ => letter(handshake_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_encrypted_records_is_one_letter() {
        let mut history = History::in_room(String::new());
        for (side, letter) in [
            (Side::Client, 'C'),
            (Side::Server, 'S'),
            (Side::Server, 'D'),
            (Side::Server, 'D'),
            (Side::Client, 'D'),
            (Side::Server, 'D'),
        ] {
            history.push(side, letter);
        }
        assert_eq!(history.take(), "CsdDd");
    }

    #[test]
    fn the_letters_of_opened_messages_replace_those_of_records_that_waited() {
        let mut history = History::in_room(String::new());
        history.push(Side::Client, 'C');
        history.defer();
        history.push(Side::Server, 'D');
        history.push(Side::Server, 'I');
        assert!(history.is_deferred());
        history.rewrite();
        history.push(Side::Server, 'O');
        history.rewrite(); // of the next record: nothing waits in the history any more
        assert!(!history.is_deferred());
        assert_eq!(history.take(), "CiO".replace('O', "o"));
    }

    #[test]
    fn a_flood_of_messages_does_not_grow_the_history() {
        let mut history = History::in_room(String::new());
        for _ in 0..1000 {
            history.push(Side::Client, 'L');
        }
        assert_eq!(history.take().len(), MAX_LETTERS);
    }
}
