//! Which flows over UDP may be QUIC, for the router: nothing in a 1-RTT packet says that it is one.
//!
//! A NAT may give a client another port in mid-connection (RFC 9000 §9.3.3), and the first packet from there may be a 1-RTT packet. So the
//! client's address is also remembered without its port.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use crate::decode::UdpHeader;
use crate::flow::{FlowKey, IpProtocol};

/// Flows remembered, in 4 bytes each. A newer flow may take the place of an older one, whose 1-RTT packets are not
/// recognised from then on: with 65,536 places, one in a hundred does while 650 handshakes are under way.
const PLACES: usize = 1 << 16;

/// The flows between whose ports a packet of QUIC with a long header was seen.
///
/// The router is the only one to ask, so what it forgets does not depend on the number of workers.
#[derive(Debug, Default)]
pub(super) struct QuicFlows {
    /// A tag for each place; 0 for none. Empty before the first.
    tags: Box<[u32]>,
}

impl QuicFlows {
    /// Notes that a client may have begun QUIC with a datagram.
    pub(super) fn insert_beginning(&mut self, datagram: &UdpHeader) {
        self.insert(&datagram.flow_key().0);
        self.insert(&flow_from(datagram, ANY_PORT));
    }

    /// Whether a datagram from `port` may belong to QUIC: to a flow that is known, or to one that its sender has moved to. `key` makes the
    /// key of a flow of its sender, given the sender's port; `first` is the first byte of its payload.
    #[inline]
    pub(super) fn may_have(&mut self, key: impl Fn(u16) -> FlowKey, port: u16, first: u8) -> bool {
        if self.tags.is_empty() {
            return false;
        }
        let own = key(port);
        if self.contains(&own) {
            return true;
        }
        let is_short = first & 0xc0 == 0x40; // RFC 9000 §17.3
        let may_have_moved = is_short && self.contains(&key(ANY_PORT));
        if may_have_moved {
            self.insert(&own); // the answers go there
        }
        may_have_moved
    }

    /// Notes that a flow may be QUIC.
    pub(super) fn insert(&mut self, key: &FlowKey) {
        if self.tags.is_empty() {
            self.tags = vec![0; PLACES].into();
        }
        let (place, tag) = place_and_tag(key);
        if let Some(known) = self.tags.get_mut(place) {
            *known = tag;
        }
    }

    /// Whether a flow may be QUIC.
    fn contains(&self, key: &FlowKey) -> bool {
        if self.tags.is_empty() {
            return false;
        }
        let (place, tag) = place_and_tag(key);
        self.tags.get(place) == Some(&tag)
    }
}

/// Stands for the port of a sender, whichever that is.
const ANY_PORT: u16 = 0;

/// The flow of a datagram that its sender sends from this port.
pub(super) fn flow_from(datagram: &UdpHeader, port: u16) -> FlowKey {
    let receiver = (datagram.destination, datagram.destination_port);
    FlowKey::new(IpProtocol::Udp, (datagram.source, port), receiver).0
}

fn place_and_tag(key: &FlowKey) -> (usize, u32) {
    let hash = FixedState::with_seed(SEED).hash_one(key);
    (hash as usize % PLACES, (hash >> 32) as u32 | 1)
}

/// Any value: the same packets give the same output in each run.
const SEED: u64 = 0x7175_6963;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::PayloadRange;

    fn key(port: u16) -> FlowKey {
        let [client, server] = [[1; 16], [2; 16]];
        FlowKey::new(IpProtocol::Udp, (client, port), (server, 443)).0
    }

    #[test]
    fn only_flows_that_were_inserted_are_found() {
        let mut flows = QuicFlows::default();
        assert!(!flows.contains(&key(1)));
        for port in 1..100 {
            flows.insert(&key(port));
        }
        let found = (1..100).filter(|port| flows.contains(&key(*port))).count();
        assert!(found >= 98, "{found}");
        assert!((100..10_000).all(|port| !flows.contains(&key(port))));
    }

    #[test]
    fn a_client_may_go_on_from_another_port_and_nobody_else() {
        let datagram = |source: [u8; 16], source_port, destination_port| UdpHeader {
            source,
            destination: [2; 16],
            source_port,
            destination_port,
            payload: PayloadRange::default(),
        };
        let may_have = |flows: &mut QuicFlows, datagram: &UdpHeader, first| {
            let key = |port| flow_from(datagram, port);
            flows.may_have(key, datagram.source_port, first)
        };
        let mut flows = QuicFlows::default();
        flows.insert_beginning(&datagram([1; 16], 50_000, 443));
        assert!(may_have(&mut flows, &datagram([1; 16], 50_000, 443), 0x40));
        assert!(!may_have(&mut flows, &datagram([1; 16], 50_001, 444), 0x40));
        assert!(!may_have(&mut flows, &datagram([3; 16], 50_001, 443), 0x40));
        assert!(!flows.contains(&key(50_001)));
        assert!(!may_have(&mut flows, &datagram([1; 16], 50_001, 443), 0x3f));
        assert!(may_have(&mut flows, &datagram([1; 16], 50_001, 443), 0x40));
        assert!(flows.contains(&key(50_001))); // for what the server answers
    }
}
