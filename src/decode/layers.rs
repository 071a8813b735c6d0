//! What lies around the innermost IP packet: VLAN tags and tunnels.

use std::fmt;

/// The layers around the innermost IP packet, outermost first.
///
/// Few packets have any, and only the first packet of a handshake is asked for
/// them: so they stand apart from the headers, which every packet has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// 802.1Q tags.
    pub vlan: VlanTags,
    /// Tunnels.
    pub tunnels: Tunnels,
}

impl Layers {
    /// No layer.
    pub const NONE: Self = Self {
        vlan: VlanTags {
            ids: [0; VlanTags::MAX],
            count: 0,
        },
        tunnels: Tunnels {
            list: [None; Tunnels::MAX],
        },
    };

    /// The layers of a frame with at most one VLAN tag, given its identifier.
    pub(super) fn tagged(vlan: Option<u16>) -> Self {
        let mut layers = Self::NONE;
        if let Some(vlan) = vlan {
            layers.vlan.push(vlan);
        }
        layers
    }

    /// Takes VLAN tags or tunnels of `other` where there are none.
    pub fn add_missing(&mut self, other: &Self) {
        if self.vlan.count == 0 {
            self.vlan = other.vlan;
        }
        if self.tunnels.list[0].is_none() {
            self.tunnels = other.tunnels;
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.vlan.count == 0 && self.tunnels.list[0].is_none()
    }
}

/// 802.1Q tags of a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    ids: [u16; Self::MAX],
    count: u8,
}

impl VlanTags {
    /// Tags that are recorded. Two are common (802.1ad), three exist; packets with more come from
    /// attackers, and their further tags are skipped.
    const MAX: usize = 4;

    /// The VLAN identifiers, outermost first.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        &self.ids[..usize::from(self.count).min(Self::MAX)]
    }

    pub(super) fn push(&mut self, tag_control: u16) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.count)) {
            *slot = tag_control & 0x0fff; // IEEE 802.1Q: 3 bits priority, 1 drop eligible, 12 identifier
            self.count += 1;
        }
    }
}

/// A tunnel around a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The protocol, as written in events: `vxlan`.
    pub protocol: &'static str,
    /// The number that tells one tunnel of this protocol from another (a VXLAN network identifier, a GRE key); `None` if
    /// the protocol or this packet has none.
    pub id: Option<u32>,
}

/// `vxlan:42`, or `ipip` for a tunnel without a number.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{}:{id}", self.protocol),
            None => f.write_str(self.protocol),
        }
    }
}

/// The tunnels of a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnels {
    list: [Option<Tunnel>; Self::MAX],
}

impl Tunnels {
    /// The most tunnels that are decoded, one inside the other. Overlay networks in a mirror session have two or three;
    /// a bound is needed since a hostile packet can nest hundreds.
    pub const MAX: usize = 4;

    /// The tunnels, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = Tunnel> + '_ {
        self.list.iter().flatten().copied()
    }

    /// Adds the next inner tunnel; false if the limit is reached.
    pub fn push(&mut self, tunnel: Tunnel) -> bool {
        match self.list.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(tunnel);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_prints_with_its_number_if_it_has_one() {
        let (protocol, id) = ("vxlan", Some(42));
        assert_eq!(Tunnel { protocol, id }.to_string(), "vxlan:42");
        let (protocol, id) = ("ipip", None);
        assert_eq!(Tunnel { protocol, id }.to_string(), "ipip");
    }

    #[test]
    fn tunnels_beyond_the_limit_are_refused() {
        let mut tunnels = Tunnels::default();
        let tunnel = |id| Tunnel {
            protocol: "vxlan",
            id: Some(id),
        };
        assert!((0..4).all(|id| tunnels.push(tunnel(id))));
        assert!(!tunnels.push(tunnel(4)));
        let ids: Vec<_> = tunnels.iter().filter_map(|tunnel| tunnel.id).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
    }
}
