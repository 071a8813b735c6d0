//! DTLS records in datagrams: RFC 4347, RFC 6347, RFC 9147.

use crate::decrypt::Keys;
use crate::flow::Direction;
use crate::transport::tcp::Arrival;

use super::{Recipient, Seen};

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct DtlsRecords {
    keys: Keys,
}

impl DtlsRecords {
    pub(crate) fn new(keys: &Keys) -> Self {
        Self { keys: keys.clone() }
    }

    /// Takes the payload of a datagram.
    pub(crate) fn take(
        &mut self,
        sender: Direction,
        _payload: &[u8],
        _at: Arrival,
        recipient: &mut impl Recipient,
    ) {
        let _ = &self.keys;
        recipient.take(sender, Seen::NotTls);
    }

    /// Notes that no more datagrams will come.
    pub(crate) fn finish(&mut self, _recipient: &mut impl Recipient) {}

    /// Whether it turned out to be something else.
    pub(crate) const fn is_ruled_out(&self) -> bool {
        true
    }

    /// Bytes of memory that unfinished messages take.
    pub(crate) const fn allocated(&self) -> usize {
        0
    }

    /// Messages that were too long to be put together, since the last call.
    pub(crate) const fn take_discarded_messages(&mut self) -> u64 {
        0
    }
}
