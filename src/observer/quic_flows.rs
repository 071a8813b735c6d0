//! Which flows over UDP may be QUIC, for the router: nothing in a 1-RTT packet says that it is one.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use crate::flow::FlowKey;

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
    pub(super) fn contains(&self, key: &FlowKey) -> bool {
        if self.tags.is_empty() {
            return false;
        }
        let (place, tag) = place_and_tag(key);
        self.tags.get(place) == Some(&tag)
    }
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
    use crate::flow::IpProtocol;

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
}
