//! The frames of opened packets.

use crate::flow::{Direction, Side};
use crate::tls::{Defragmenter, Message};
use crate::transport::quic::{CryptoStream, Frame, Frames, LargestNumber};
use crate::transport::tcp::Arrival;

use super::super::{Recipient, Seen};
use super::seen::{Level, QuicSeen};
use super::{Connection, FramesFound};

/// One packet number space of one direction.
#[derive(Debug, Default)]
pub(super) struct SpaceStream {
    pub(super) largest: LargestNumber,
    pub(super) crypto: CryptoStream,
    pub(super) messages: Defragmenter,
    pub(super) message_start: Option<Arrival>,
}

impl Connection {
    pub(super) fn take_frames(
        &mut self,
        sender: Direction,
        level: Level,
        content: &[u8],
        at: Arrival,
        recipient: &mut impl Recipient,
    ) -> FramesFound {
        let mut found = FramesFound::default();
        for frame in Frames::new(self.version, content) {
            match frame {
                Frame::Crypto { offset, data } => {
                    found.has_crypto = true;
                    let stream = &mut self.streams[sender][level as usize];
                    stream.push(sender, level, (offset, data), at, recipient);
                }
                Frame::ConnectionClose(close) => {
                    found.has_close = true;
                    let seen = QuicSeen::Close { close, level, at };
                    recipient.take(sender, Seen::Quic(seen));
                }
                // A server reads 1-RTT packets only once its handshake is complete (RFC 9001 §5.7).
                Frame::HandshakeDone | Frame::Ack { .. }
                    if level == Level::Application && self.side(sender) == Side::Server =>
                {
                    recipient.take(sender, Seen::Quic(QuicSeen::Accepted { at }));
                }
                Frame::Other if level == Level::Application => {
                    recipient.take(sender, Seen::Quic(QuicSeen::ApplicationData { at }));
                }
                _ => {}
            }
        }
        found
    }
}

impl SpaceStream {
    /// Whether no byte of a message has come.
    pub(super) const fn is_fresh(&self) -> bool {
        self.crypto.end() == 0 && self.message_start.is_none()
    }

    pub(super) fn push(
        &mut self,
        sender: Direction,
        level: Level,
        (offset, data): (u64, &[u8]),
        at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let Self {
            crypto,
            messages,
            message_start,
            ..
        } = self;
        crypto.push(offset, data, at, &mut |bytes: &[u8], at: Arrival| {
            let mut start = match message_start {
                Some(start) if messages.is_open() => *start,
                _ => at,
            };
            messages.push(bytes, &mut |message: Message<'_>| {
                let sealed = level != Level::Initial;
                let seen = Seen::Message {
                    message,
                    sealed,
                    at: if sealed { at } else { start },
                };
                recipient.take(sender, seen);
                start = at;
            });
            *message_start = Some(start);
        });
    }
}
