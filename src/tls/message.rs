//! Handshake messages (RFC 8446 §4), reassembled from the fragments in records.

use super::HandshakeType;

/// The longest message that is reassembled.
///
/// Messages may have 2²⁴ bytes. Those seen above 100 KB are Certificate messages
/// of test suites, with up to 300 KB; 512 KiB leaves room for larger ones.
pub const MAX_MESSAGE: usize = 512 << 10;

/// Bytes of a message header.
const HEADER_LENGTH: usize = 4;

/// A handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub handshake_type: HandshakeType,
    /// Its body without the header; `None` if messages of this type are not read, or if it was too long.
    pub body: Option<&'a [u8]>,
    /// Length of the body in bytes.
    pub length: usize,
}

/// Joins the fragments of one direction to messages.
///
/// A message in one fragment is not copied. Only the header is read of types
/// that no other module reads.
#[derive(Debug, Default)]
pub struct Defragmenter {
    /// Header and body of the current message, as far as they have arrived.
    buffer: Vec<u8>,
    /// A message whose body is not kept, and how many bytes of it are missing.
    skipping: Option<(Header, usize)>,
    discarded: u64,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    handshake_type: HandshakeType,
    length: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [handshake_type, length @ ..] = *bytes.first_chunk::<HEADER_LENGTH>()?;
        let [high, middle, low] = length.map(usize::from);
        Some(Self {
            handshake_type: HandshakeType(handshake_type),
            length: high << 16 | middle << 8 | low,
        })
    }

    /// Whether tlscope reads the bodies of such messages.
    fn is_read(self) -> bool {
        matches!(
            self.handshake_type,
            HandshakeType::ClientHello
                | HandshakeType::ServerHello
                | HandshakeType::HelloRetryRequest
                | HandshakeType::Certificate
                | HandshakeType::CertificateRequest
                | HandshakeType::CertificateStatus
                | HandshakeType::ServerKeyExchange
                | HandshakeType::EncryptedExtensions
                | HandshakeType::CompressedCertificate
        )
    }

    fn is_kept(self) -> bool {
        self.is_read() && self.length <= MAX_MESSAGE
    }

    const fn total(self) -> usize {
        HEADER_LENGTH + self.length
    }

    fn message(self, body: Option<&[u8]>) -> Message<'_> {
        Message {
            handshake_type: self.handshake_type,
            body,
            length: self.length,
        }
    }
}

impl Defragmenter {
    /// Takes a fragment, and calls `on_message` for each message that it completes.
    pub fn push(&mut self, mut input: &[u8], on_message: &mut impl FnMut(Message<'_>)) {
        loop {
            let is_progressing = match self.skipping {
                Some((header, remaining)) => self.skip(&mut input, header, remaining, on_message),
                None if self.buffer.is_empty() => self.begin(&mut input, on_message),
                None => self.proceed(&mut input, on_message),
            };
            if !is_progressing {
                return;
            }
        }
    }

    /// Whether part of a message has arrived and the rest has not.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.buffer.is_empty() || self.skipping.is_some()
    }

    /// The current message, as far as it has arrived; `None` between messages and if its body is not kept.
    #[must_use]
    pub fn partial(&self) -> Option<Message<'_>> {
        let header = Header::read(&self.buffer)?;
        Some(header.message(self.buffer.get(HEADER_LENGTH..)))
    }

    /// Bytes of memory for the current message.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Forgets the current message.
    pub fn clear(&mut self) {
        self.buffer = Vec::new();
        self.skipping = None;
    }

    /// How many messages were too long to be reassembled, since the last call.
    pub const fn take_discarded(&mut self) -> u64 {
        std::mem::replace(&mut self.discarded, 0)
    }

    /// Between messages: a whole message is passed on without copying it.
    fn begin(&mut self, input: &mut &[u8], on_message: &mut impl FnMut(Message<'_>)) -> bool {
        let Some(header) = Header::read(input) else {
            self.buffer.extend_from_slice(input);
            return false;
        };
        if !header.is_kept() {
            *input = input.get(HEADER_LENGTH..).unwrap_or_default();
            self.start_skipping(header);
            return true;
        }
        if let Some((message, rest)) = input.split_at_checked(header.total()) {
            *input = rest;
            on_message(header.message(message.get(HEADER_LENGTH..)));
            return true;
        }
        self.buffer.reserve_exact(header.total().min(RESERVE));
        self.buffer.extend_from_slice(input);
        false
    }

    /// Within a message that began in an earlier fragment.
    fn proceed(&mut self, input: &mut &[u8], on_message: &mut impl FnMut(Message<'_>)) -> bool {
        self.fill(input, HEADER_LENGTH);
        let Some(header) = Header::read(&self.buffer) else {
            return false;
        };
        if !header.is_kept() {
            self.buffer = Vec::new();
            self.start_skipping(header);
            return true;
        }
        self.fill(input, header.total());
        if self.buffer.len() < header.total() {
            return false;
        }
        let message = std::mem::take(&mut self.buffer);
        on_message(header.message(message.get(HEADER_LENGTH..)));
        true
    }

    fn skip(
        &mut self,
        input: &mut &[u8],
        header: Header,
        remaining: usize,
        on_message: &mut impl FnMut(Message<'_>),
    ) -> bool {
        let (skipped, rest) = input.split_at(input.len().min(remaining));
        *input = rest;
        let remaining = remaining - skipped.len();
        self.skipping = (remaining > 0).then_some((header, remaining));
        if remaining == 0 {
            on_message(header.message(None));
        }
        remaining == 0
    }

    fn start_skipping(&mut self, header: Header) {
        self.discarded += u64::from(header.is_read());
        self.skipping = Some((header, header.length));
    }

    fn fill(&mut self, input: &mut &[u8], target: usize) {
        let missing = target.saturating_sub(self.buffer.len());
        let (taken, rest) = input.split_at(input.len().min(missing));
        self.buffer.extend_from_slice(taken);
        *input = rest;
    }
}

/// Bytes that are reserved for a message at once. The buffer grows as bytes arrive, since a length alone proves nothing.
const RESERVE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(handshake_type: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&[handshake_type, length[1], length[2], length[3]], body].concat()
    }

    fn read(parts: &[&[u8]]) -> Vec<(u8, Option<Vec<u8>>, usize)> {
        let mut defragmenter = Defragmenter::default();
        let mut messages = Vec::new();
        for part in parts {
            defragmenter.push(part, &mut |message| {
                messages.push((
                    message.handshake_type.0,
                    message.body.map(<[u8]>::to_vec),
                    message.length,
                ));
            });
        }
        messages
    }

    #[test]
    fn joins_messages_split_at_any_two_places() {
        let stream = [
            message(1, b"hello"),
            message(14, b""),
            message(20, b"secret"),
            message(11, b"chain"),
        ]
        .concat();
        let expected = [
            (1, Some(b"hello".to_vec()), 5),
            (14, None, 0),
            (20, None, 6),
            (11, Some(b"chain".to_vec()), 5),
        ];
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(read(&parts), expected, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn every_prefix_of_a_message_gives_none() {
        let stream = message(2, b"server");
        for length in 0..stream.len() {
            assert_eq!(read(&[&stream[..length]]), []);
        }
    }

    #[test]
    fn a_message_over_the_limit_is_skipped_and_counted() {
        let mut defragmenter = Defragmenter::default();
        let mut seen = Vec::new();
        let stream = [message(11, &vec![0; MAX_MESSAGE + 1]), message(1, b"x")].concat();
        for part in stream.chunks(1000) {
            defragmenter.push(part, &mut |message| {
                seen.push((message.handshake_type.0, message.body.is_some()))
            });
            assert!(defragmenter.held() <= RESERVE);
        }
        assert_eq!(seen, [(11, false), (1, true)]);
        assert_eq!(defragmenter.take_discarded(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_give_the_same_messages(
            stream in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..50,
        ) {
            let parts: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(read(&parts), read(&[&stream]));
        }
    }
}
