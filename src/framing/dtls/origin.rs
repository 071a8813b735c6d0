//! Who has sent a datagram, where its addresses do not say it: traffic generators and test networks exist that give both directions the
//! same addresses and ports.
//!
//! Most messages are those of one side. Numbers show whose the others are: each side counts its records in each epoch, and its messages.

use crate::flow::{Direction, Side};
use crate::tls::{ContentType, HandshakeType, Reader};

use super::fragment::Fragment;
use super::record::{Header, Record};
use super::{DtlsRecords, Payload};

/// Who has sent a datagram, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatagramOrigin {
    pub(crate) sender: Direction,
    /// Whether it has a message that only this side sends. Anybody can send an alert with a number that comes next.
    pub(crate) is_by_message: bool,
}

impl DtlsRecords {
    /// Who has sent a datagram, given where the client sends; `None` if nothing in it says so.
    pub(crate) fn origin_of(
        &self,
        payload: Payload<'_>,
        client: Direction,
    ) -> Option<DatagramOrigin> {
        let records = || {
            let mut reader = Reader::new(payload.captured);
            std::iter::from_fn(move || Record::take(&mut reader, payload.missing, 0).ok())
        };
        let by_message = records().find_map(|record| sender_of_messages(&record));
        let sender = match by_message {
            Some(Side::Client) => client,
            Some(Side::Server) => client.flip(),
            None => records().find_map(|record| self.sender_by_number(&record))?,
        };
        Some(DatagramOrigin {
            sender,
            is_by_message: by_message.is_some(),
        })
    }

    /// Who has sent a record, by the numbers that come next.
    fn sender_by_number(&self, record: &Record<'_>) -> Option<Direction> {
        let Header::Full {
            content_type,
            epoch,
            sequence,
            ..
        } = record.header
        else {
            return None;
        };
        let may_be = |sender: Direction| epoch == 0 || self.senders[sender].has_changed_cipher;
        let window = usize::from(epoch > 0);
        let by_record = |sender: Direction| self.senders[sender].windows[window].end() == sequence;
        let candidates = Direction::BOTH.map(|sender| (sender, may_be(sender)));
        match candidates {
            [(sender, true), (_, false)] | [(_, false), (sender, true)] => return Some(sender),
            [(_, false), (_, false)] => return None,
            [(_, true), (_, true)] => {}
        }
        if let Some(sender) = only(by_record) {
            return Some(sender);
        }
        if (content_type, epoch) != (ContentType::Handshake, 0) {
            return None;
        }
        let fragment = Fragment::take_cut(&mut Reader::new(record.fragment)).ok()?;
        let by_message =
            |sender: Direction| self.senders[sender].messages.next() == fragment.sequence;
        // A Certificate of the server follows its ServerHello; once it has sent that, its messages have other numbers than the client's.
        only(by_message).or(self.last_new)
    }
}

/// The direction for which it holds, if it does not for the other.
fn only(holds: impl Fn(Direction) -> bool) -> Option<Direction> {
    match Direction::BOTH.map(holds) {
        [true, false] => Some(Direction::Forward),
        [false, true] => Some(Direction::Reverse),
        _ => None,
    }
}

/// The side whose messages are in a record in the clear, if they are those of one side only.
fn sender_of_messages(record: &Record<'_>) -> Option<Side> {
    let Header::Full {
        content_type: ContentType::Handshake,
        epoch: 0,
        ..
    } = record.header
    else {
        return None;
    };
    let mut reader = Reader::new(record.fragment);
    std::iter::from_fn(|| Fragment::take_cut(&mut reader).ok())
        .find_map(|fragment| sender_of_message(fragment.handshake_type))
}

/// Up to DTLS 1.2; what comes after the ServerHello of DTLS 1.3 is encrypted.
const fn sender_of_message(handshake_type: HandshakeType) -> Option<Side> {
    match handshake_type {
        HandshakeType::ClientHello
        | HandshakeType::ClientKeyExchange
        | HandshakeType::CertificateVerify => Some(Side::Client),
        HandshakeType::ServerHello
        | HandshakeType::HelloVerifyRequest
        | HandshakeType::NewSessionTicket
        | HandshakeType::ServerKeyExchange
        | HandshakeType::CertificateRequest
        | HandshakeType::ServerHelloDone
        | HandshakeType::CertificateStatus => Some(Side::Server),
        _ => None,
    }
}
