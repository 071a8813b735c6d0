//! The connection ids of both sides.

use crate::flow::{Direction, PerDirection};
use crate::transport::quic::{ConnectionId, LongPacket, Packet, Packets};

/// Connection ids that one side is known by: the first, one of a Retry, its own, and some to spare.
pub(super) const MAX_IDS: usize = 4;

/// The ids that the packets of a connection go to, in each direction, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownIds(pub(super) PerDirection<Vec<ConnectionId>>);

impl KnownIds {
    /// Whether a datagram belongs to the connection, by its ids.
    pub(crate) fn own(&self, sender: Direction, payload: &[u8]) -> bool {
        let ids = &self.0[sender];
        match Packets::new(payload, payload.len()).next() {
            Some(Packet::Short { bytes }) => ids.iter().any(|id| {
                let destination = bytes.get(1..).unwrap_or_default();
                !id.is_empty() && destination.starts_with(id.as_slice())
            }),
            Some(
                Packet::Long(LongPacket {
                    destination,
                    source,
                    ..
                })
                | Packet::Retry {
                    destination,
                    source,
                    ..
                }
                | Packet::VersionNegotiation {
                    destination,
                    source,
                    ..
                }
                | Packet::UnknownVersion {
                    destination,
                    source,
                    ..
                },
            ) => {
                let is_addressed = ids.contains(&destination) && !destination.is_empty();
                is_addressed || !source.is_empty() && self.0[sender.flip()].contains(&source)
            }
            None => false,
        }
    }

    /// Who has sent a datagram that has the addresses of one from `seen`, by its ids: test networks exist that give both directions the same
    /// addresses. An id that one side has chosen for itself is that of packets to it.
    pub(crate) fn sender(&self, seen: Direction, payload: &[u8]) -> Direction {
        match !self.own(seen, payload) && self.own(seen.flip(), payload) {
            true => seen.flip(),
            false => seen,
        }
    }

    /// Whether a long header may be one of this connection: its ids are those that both sides have chosen, as far as they are known.
    ///
    /// Neither side changes them during the handshake (RFC 9000 §7.2), and who does not see the packets does not know them.
    pub(super) fn fit(
        &self,
        sender: Direction,
        destination: ConnectionId,
        source: ConnectionId,
    ) -> bool {
        let [to, from] = [&self.0[sender], &self.0[sender.flip()]];
        // An end that has chosen no id yet is known by the one that its peer made up for it.
        to.contains(&destination) && (from.len() < 2 || from.contains(&source))
            || from.contains(&source) && !source.is_empty()
    }

    /// Whether packets in a direction have no id: then only their ports say which connection they belong to, and it is the only
    /// one (RFC 9000 §5.2).
    pub(crate) fn are_empty(&self, sender: Direction) -> bool {
        self.0[sender].last().is_some_and(ConnectionId::is_empty)
    }

    /// Bytes of memory that they take, without itself.
    pub(crate) fn allocated(&self) -> usize {
        let ids: usize = self.0.iter().map(Vec::capacity).sum();
        ids * size_of::<ConnectionId>()
    }
}
