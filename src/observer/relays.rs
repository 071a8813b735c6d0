//! Connections that a proxy relays: it has two, with the same TLS bytes, and only on one of them it is spoken to.
//!
//! A ClientHello has 32 random bytes, so the same ones on another connection a moment later are those of the same handshake,
//! relayed. Both are reported, each with its own times and its own end; both name the proxy.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::dialogue::Proxy;
use crate::event::{Handshake, Identity};
use crate::time::Timestamp;

/// Relayed handshakes remembered, of some 300 bytes each: those of a second at a busy proxy. The oldest leave first.
const MAX_RELAYS: usize = 1 << 10;
/// How far apart the hellos of both connections may be: a proxy that has to connect first waits for that.
const MAX_DISTANCE: Duration = Duration::from_secs(10);

/// A handshake that begins behind a dialogue with a proxy.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(super) time: Timestamp,
    pub(super) client_random: [u8; 32],
    pub(super) proxy: Box<Proxy>,
}

/// The relayed handshakes that have begun.
#[derive(Debug, Default)]
pub(super) struct Relays {
    by_random: HashMap<[u8; 32], (Timestamp, Box<Proxy>), RandomState>,
    /// In the order in which they came.
    order: VecDeque<[u8; 32]>,
}

impl Relays {
    pub(super) fn note(&mut self, relay: Relay) {
        let random = relay.client_random;
        // Test programs and broken clients send constant bytes.
        if random.iter().all(|byte| *byte == random[0]) {
            return;
        }
        let value = (relay.time, relay.proxy);
        if self.by_random.insert(random, value).is_none() {
            self.order.push_back(random);
        }
        if self.order.len() > MAX_RELAYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_random.remove(&oldest);
        }
    }

    /// Names the proxy of a handshake whose other connection speaks to it.
    pub(super) fn name(&self, event: &mut Handshake, identity: &Identity) {
        if self.by_random.is_empty() || event.proxy.is_some() {
            return; // nearly always
        }
        let random = identity.client_random.as_ref();
        let Some((time, proxy)) = random.and_then(|random| self.by_random.get(random)) else {
            return;
        };
        let distance = event.time.checked_since(*time);
        let distance = distance.or_else(|| time.checked_since(event.time));
        if distance.is_some_and(|distance| distance <= MAX_DISTANCE) {
            event.proxy = Some(proxy.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::ProxyKind;
    use crate::flow::Endpoint;

    fn relay(number: u32) -> Relay {
        let mut client_random = [7; 32];
        client_random[..4].copy_from_slice(&number.to_be_bytes());
        Relay {
            time: Timestamp::from_seconds(100),
            client_random,
            proxy: Box::new(Proxy {
                kind: ProxyKind::Socks5,
                client: None,
                server: None,
            }),
        }
    }

    fn is_named(relays: &Relays, number: u32, seconds: i64) -> bool {
        let end = Endpoint::new([192, 0, 2, 1].into(), 443);
        let mut event = Handshake::new(Timestamp::from_seconds(seconds), end, end);
        let identity = Identity {
            client_random: Some(relay(number).client_random),
            ..Identity::default()
        };
        relays.name(&mut event, &identity);
        event.proxy.is_some()
    }

    #[test]
    fn the_same_random_a_moment_before_or_after_is_the_same_handshake() {
        let mut relays = Relays::default();
        assert!(!is_named(&relays, 1, 100));
        relays.note(relay(1));
        assert!(is_named(&relays, 1, 99) && is_named(&relays, 1, 105));
        assert!(!is_named(&relays, 1, 200) && !is_named(&relays, 2, 100));
    }

    #[test]
    fn memory_is_bounded_and_constant_bytes_name_nothing() {
        let mut relays = Relays::default();
        (0..10_000).for_each(|number| relays.note(relay(number)));
        assert_eq!(relays.by_random.len(), MAX_RELAYS);
        assert!(is_named(&relays, 9_999, 100) && !is_named(&relays, 0, 100));
        let constant = 0x0707_0707;
        relays.note(relay(constant));
        assert!(!is_named(&relays, constant, 100));
    }
}
