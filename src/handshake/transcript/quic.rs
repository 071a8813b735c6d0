//! What was seen of a handshake over QUIC apart from its messages.

use crate::flow::{PerSide, Side};
use crate::framing::quic::{DatagramShape, Level, QuicSeen};
use crate::time::Timestamp;
use crate::transport::quic::{QuicClose, QuicVersion};
use crate::transport::tcp::Arrival;

/// Datagrams that are written down: a handshake with a long chain has some 30, and the first request and its answer follow.
const MAX_DATAGRAMS: usize = 96;

/// CONNECTION_CLOSE frames that are written down: a side repeats its own in up to three kinds of packets.
const MAX_CLOSES: usize = 8;

/// What was seen of a handshake over QUIC.
#[derive(Debug)]
pub(in crate::handshake) struct QuicFacts {
    /// The version of the client's first packet.
    pub(in crate::handshake) first_version: QuicVersion,
    /// The version of the latest attempt of the client.
    pub(in crate::handshake) version: QuicVersion,
    /// When the server asked the client to prove its address.
    pub(in crate::handshake) retry: Option<Timestamp>,
    /// When the server refused the client's version, and what it supports.
    pub(in crate::handshake) negotiation: Option<(Timestamp, [QuicVersion; 4])>,
    /// Whether the client has tried another version then.
    pub(in crate::handshake) has_tried_again: bool,
    /// When the server showed that it has accepted the client's Finished: opened packets only.
    pub(in crate::handshake) accepted: Option<Timestamp>,
    /// When a side first sent data of the application: opened packets only.
    pub(in crate::handshake) application_data: PerSide<Option<Timestamp>>,
    closes: Vec<CloseSeen>,
    datagrams: Vec<DatagramSeen>,
    /// When the latest datagram of each side came.
    last: PerSide<Option<Timestamp>>,
    is_full: bool,
}

/// A CONNECTION_CLOSE frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::handshake) struct CloseSeen {
    pub(in crate::handshake) side: Side,
    pub(in crate::handshake) close: QuicClose,
    pub(in crate::handshake) level: Level,
    pub(in crate::handshake) at: Arrival,
}

/// A datagram.
#[derive(Clone, Copy, Debug)]
pub(in crate::handshake) struct DatagramSeen {
    pub(in crate::handshake) side: Side,
    pub(in crate::handshake) time: Timestamp,
    pub(in crate::handshake) shape: DatagramShape,
}

impl QuicFacts {
    /// A connection whose first packet was one of this version.
    pub(super) fn new(version: QuicVersion) -> Self {
        Self {
            first_version: version,
            version,
            retry: None,
            negotiation: None,
            has_tried_again: false,
            accepted: None,
            application_data: PerSide::default(),
            closes: Vec::new(),
            datagrams: Vec::new(),
            last: PerSide::default(),
            is_full: false,
        }
    }

    pub(super) fn take(&mut self, side: Side, seen: QuicSeen) {
        match seen {
            QuicSeen::Initial { version, .. } => {
                self.has_tried_again |= self.negotiation.is_some() && version != self.version;
                self.version = version;
            }
            QuicSeen::Datagram { shape, at } => self.take_datagram(side, shape, at),
            QuicSeen::Retry { at } => {
                self.retry.get_or_insert(at.time);
            }
            QuicSeen::VersionNegotiation { versions, at } => {
                self.negotiation.get_or_insert((at.time, versions));
            }
            QuicSeen::Close { close, level, at } => {
                if self.closes.len() < MAX_CLOSES {
                    self.closes.push(CloseSeen {
                        side,
                        close,
                        level,
                        at,
                    });
                }
            }
            QuicSeen::Accepted { at } => {
                self.accepted.get_or_insert(at.time);
            }
            QuicSeen::ApplicationData { at } => {
                self.application_data[side].get_or_insert(at.time);
            }
        }
    }

    fn take_datagram(&mut self, side: Side, mut shape: DatagramShape, at: Arrival) {
        let is_doubtful =
            shape.is_short_only() && !shape.is_repeated && !self.is_known(side, &shape);
        if is_doubtful && let Some(first) = self.first_like(side, &shape) {
            first.shape.is_repeated = false;
            first.shape.is_id_known = true;
            shape.is_id_known = true;
        } else if is_doubtful {
            shape.is_repeated = true; // it says nothing until another one is like it
        }
        if !is_doubtful || shape.is_id_known {
            let last = &mut self.last[side];
            *last = Some(last.map_or(at.time, |last| last.max(at.time)));
        }
        if self.datagrams.len() < MAX_DATAGRAMS {
            self.datagrams.push(DatagramSeen {
                side,
                time: at.time,
                shape,
            });
        } else {
            self.is_full = true;
        }
    }

    /// Whether a 1-RTT packet alone is certain to come from its sender. Anybody can send one in the name of another, but only who sees the packets
    /// knows the ids. If a client has none, its server is known by what it sent before.
    fn is_known(&self, side: Side, shape: &DatagramShape) -> bool {
        match shape.short_id {
            0 => self.last[side].is_some(),
            _ => shape.is_id_known,
        }
    }

    /// The first 1-RTT packet of a side with the same unknown id.
    fn first_like(&mut self, side: Side, shape: &DatagramShape) -> Option<&mut DatagramSeen> {
        let mut seen = self.datagrams.iter_mut();
        seen.find(|seen| {
            let other = &seen.shape;
            seen.side == side && other.is_short_only() && other.short_id == shape.short_id
        })
    }

    /// The CONNECTION_CLOSE frames that could be read, in order.
    pub(in crate::handshake) fn closes(&self) -> &[CloseSeen] {
        &self.closes
    }

    /// The datagrams, in order; no more than a limit.
    pub(in crate::handshake) fn datagrams(&self) -> &[DatagramSeen] {
        &self.datagrams
    }

    /// Whether there were more datagrams than that.
    pub(in crate::handshake) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// When the latest datagram of `side` came.
    pub(in crate::handshake) fn last_of(&self, side: Side) -> Option<Timestamp> {
        self.last[side]
    }

    /// When the latest datagram came.
    pub(in crate::handshake) fn last(&self) -> Option<Timestamp> {
        self.last.client.max(self.last.server)
    }

    /// Bytes of memory that its parts take, without itself.
    pub(super) fn allocated(&self) -> usize {
        self.closes.capacity() * size_of::<CloseSeen>()
            + self.datagrams.capacity() * size_of::<DatagramSeen>()
    }
}
