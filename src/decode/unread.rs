//! What packets carry that is not decoded, by name and number, so that a capture full of it is not silent.

use std::fmt;

use crate::capture::LinkType;

/// Why a packet holds no TCP segment for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// An EtherType without a reader.
    EtherType(u16),
    /// 802.2 LLC without an IP packet.
    LogicalLink,
    /// A PPP protocol without a reader.
    PppProtocol(u16),
    /// An address family of BSD loopback that is not IP.
    AddressFamily(u32),
    /// An IP protocol without a reader.
    IpProtocol(u8),
    /// UDP to or from a well-known port of a tunnel, or of a protocol with TLS inside.
    UdpPort(u16),
    /// Other UDP: games, calls, and also DTLS or QUIC on a port of its own.
    Udp,
    /// UDP of DNS, DHCP, NTP and the like.
    UdpControl,
    /// Tunnels nested deeper than four, or with a content that is not decoded.
    TunnelContent,
    /// Control messages of a tunnel, such as keep-alives.
    TunnelControl,
    /// 802.11 data that the radio link encrypts.
    EncryptedWireless,
    /// 802.11 frames without data for us: beacons, acknowledgments and the like.
    WirelessControl,
    /// A part of an 802.11 frame that was sent in several.
    WirelessFragment,
    /// A link type without a reader.
    LinkType(LinkType),
    /// Headers that are cut short, or contradict themselves.
    BrokenHeaders,
}

/// UDP ports that stand for a protocol which can carry TLS: IANA "Service Name and Port Number", and common use.
const UDP_PORTS: [(u16, &str); 16] = [
    (443, "QUIC"),
    (1701, "L2TP"),
    (1812, "RADIUS"),
    (1813, "RADIUS"),
    (2083, "RADIUS"),
    (2152, "GTP-U"),
    (3544, "Teredo"),
    (4500, "IPsec"),
    (4754, "GRE in UDP"),
    (4789, "VXLAN"),
    (5246, "CAPWAP"),
    (5247, "CAPWAP"),
    (6081, "Geneve"),
    (8472, "VXLAN"),
    (37008, "TZSP"),
    (51820, "WireGuard"),
];

/// Whether a UDP port is that of DNS, DHCP, TFTP, NTP, NetBIOS, SNMP, syslog, DHCPv6, SSDP, WS-Discovery, mDNS or LLMNR.
const fn is_udp_control(port: u16) -> bool {
    matches!(
        port,
        53 | 67..=69 | 123 | 137 | 138 | 161 | 162 | 514 | 546 | 547 | 1900 | 3702 | 5353 | 5355
    )
}

impl Unread {
    /// UDP, by the port that says what it carries.
    #[must_use]
    pub(crate) fn udp(source: u16, destination: u16) -> Self {
        let ports = [destination, source];
        if ports.into_iter().any(is_udp_control) {
            return Self::UdpControl;
        }
        let known = ports
            .into_iter()
            .find(|port| UDP_PORTS.iter().any(|(known, _)| known == port));
        known.map_or(Self::Udp, Self::UdpPort)
    }

    /// Whether nobody expects TLS inside: neighbour discovery, spanning trees, routing and the like.
    #[must_use]
    pub const fn is_control_traffic(self) -> bool {
        match self {
            // ARP, RARP, slow protocols, pause frames, PPPoE discovery, EAPOL, LLDP, PTP.
            Self::EtherType(number) => matches!(
                number,
                0x0806 | 0x8035 | 0x8808 | 0x8809 | 0x8863 | 0x888e | 0x88cc | 0x88f7
            ),
            // ICMP, IGMP, ICMPv6, none, EIGRP, OSPF, PIM, VRRP.
            Self::IpProtocol(number) => {
                matches!(number, 1 | 2 | 58 | 59 | 88 | 89 | 103 | 112)
            }
            // LCP, authentication, and the negotiation of network protocols (RFC 1661 §2).
            Self::PppProtocol(number) => number >= 0x8000,
            Self::LogicalLink | Self::UdpControl | Self::TunnelControl | Self::WirelessControl => {
                true
            }
            _ => false,
        }
    }

    /// Its usual name.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::EtherType(number) => match number {
                0x22f3 => "TRILL",
                0x6558 => "Ethernet in Ethernet",
                0x8847 | 0x8848 => "MPLS",
                0x8863 | 0x8864 => "PPPoE",
                0x88e5 => "MACsec",
                0x88be | 0x22eb => "ERSPAN",
                0x8909 => "Cisco MetaData",
                0x8926 => "VN-Tag",
                0x893f => "802.1BR",
                0x894f => "NSH",
                _ => return None,
            },
            Self::IpProtocol(number) => match number {
                4 => "IP in IP",
                41 => "IPv6 in IP",
                47 => "GRE",
                50 => "ESP",
                51 => "AH",
                55 => "minimal encapsulation",
                97 => "EtherIP",
                115 => "L2TP",
                132 => "SCTP",
                137 => "MPLS in IP",
                _ => return None,
            },
            Self::UdpPort(port) => {
                let known = UDP_PORTS.iter().find(|(known, _)| *known == port)?;
                known.1
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EtherType(number) => write!(f, "EtherType {number:#06x}")?,
            Self::LogicalLink => write!(f, "802.2 LLC")?,
            Self::PppProtocol(number) => write!(f, "PPP protocol {number:#06x}")?,
            Self::AddressFamily(number) => write!(f, "address family {number}")?,
            Self::IpProtocol(number) => write!(f, "IP protocol {number}")?,
            Self::UdpPort(port) => write!(f, "UDP port {port}")?,
            Self::Udp | Self::UdpControl => write!(f, "UDP")?,
            Self::TunnelContent => write!(f, "content of tunnels")?,
            Self::TunnelControl => write!(f, "control messages of tunnels")?,
            Self::EncryptedWireless => write!(f, "encrypted 802.11 frames")?,
            Self::WirelessControl => write!(f, "802.11 frames without data")?,
            Self::WirelessFragment => write!(f, "parts of 802.11 frames")?,
            Self::LinkType(link_type) => write!(f, "link type {}", link_type.0)?,
            Self::BrokenHeaders => write!(f, "headers that cannot be read")?,
        }
        match self.name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// Kinds that are counted one by one: captures have a handful, and hostile ones any number.
const MAX_KINDS: usize = 32;
/// Kinds that are named in a warning.
const NAMED: usize = 4;

/// How many packets were not understood, by what they carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadPackets {
    kinds: Vec<(Unread, u64)>,
    others: u64,
}

impl UnreadPackets {
    /// Counts a packet.
    pub fn count(&mut self, unread: Unread) {
        if unread.is_control_traffic() {
            return;
        }
        let known = self.kinds.iter_mut().find(|(kind, _)| *kind == unread);
        if let Some((_, count)) = known {
            *count += 1;
        } else if self.kinds.len() < MAX_KINDS {
            self.kinds.push((unread, 1));
        } else {
            self.others += 1;
        }
    }

    /// Packets that were not understood.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kinds.iter().map(|(_, count)| count).sum::<u64>() + self.others
    }

    /// What to tell the user about a run of `packets` and `handshakes`; `None` if enough was understood.
    ///
    /// A quarter of all packets is worth a word, as where one of two directions is in a tunnel; without any handshake, a
    /// twentieth. UDP on ports that say nothing is usually a game or a call: it counts if it is half of all.
    #[must_use]
    pub fn warning(&self, packets: u64, handshakes: u64) -> Option<String> {
        let total = self.total();
        let is_udp = |(kind, _): &&(Unread, u64)| *kind == Unread::Udp;
        let udp = self
            .kinds
            .iter()
            .find(is_udp)
            .map_or(0, |(_, count)| *count);
        let share = if handshakes == 0 { 20 } else { 4 };
        let is_most = total > 0 && total.saturating_mul(2) >= packets;
        let is_worth_a_word = total > udp && (total - udp).saturating_mul(share) >= packets;
        if !is_most && !is_worth_a_word {
            return None;
        }
        let mut ranked = self.kinds.clone();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: ties in order of appearance
        let named: Vec<_> = ranked
            .iter()
            .take(NAMED)
            .map(|(kind, count)| format!("{kind}: {count}"))
            .collect();
        let more = if ranked.len() > NAMED || self.others > 0 {
            ", and others"
        } else {
            ""
        };
        Some(format!(
            "{total} of {packets} packets were not understood, and TLS in them is not reported ({}{more})",
            named.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(kinds: &[(Unread, u64)]) -> UnreadPackets {
        let mut unread = UnreadPackets::default();
        for (kind, count) in kinds {
            (0..*count).for_each(|_| unread.count(*kind));
        }
        unread
    }

    #[test]
    fn a_capture_that_is_mostly_not_understood_says_what_it_holds() {
        let unread = counted(&[
            (Unread::UdpPort(4789), 3),
            (Unread::EtherType(0x8909), 60),
            (Unread::IpProtocol(253), 7),
        ]);
        let expected = "70 of 100 packets were not understood, and TLS in them is not reported (EtherType 0x8909 (Cisco \
            MetaData): 60, IP protocol 253: 7, UDP port 4789 (VXLAN): 3)";
        assert_eq!(unread.warning(100, 5).as_deref(), Some(expected));
    }

    #[test]
    fn a_little_that_is_not_understood_matters_only_if_there_is_no_handshake() {
        let unread = counted(&[(Unread::IpProtocol(47), 24)]);
        assert_eq!(unread.warning(100, 1), None);
        assert!(unread.warning(96, 1).is_some());
        assert!(unread.warning(480, 0).is_some());
        assert_eq!(unread.warning(481, 0), None);
    }

    #[test]
    fn udp_that_may_be_anything_counts_if_it_is_half_of_all() {
        let unread = counted(&[(Unread::Udp, 50)]);
        assert!(unread.warning(100, 0).is_some());
        assert_eq!(unread.warning(101, 0), None);
    }

    #[test]
    fn neighbour_discovery_and_pings_are_nothing_to_warn_about() {
        let unread = counted(&[
            (Unread::EtherType(0x0806), 50),
            (Unread::IpProtocol(1), 50),
            (Unread::LogicalLink, 50),
            (Unread::UdpControl, 50),
        ]);
        assert_eq!(unread.warning(200, 0), None);
        assert_eq!(UnreadPackets::default().warning(0, 0), None);
    }

    #[test]
    fn kinds_are_bounded_and_all_packets_count() {
        let unread = counted(
            &(3000..4000)
                .map(|n| (Unread::EtherType(n), 1))
                .collect::<Vec<_>>(),
        );
        assert_eq!((unread.kinds.len(), unread.total()), (MAX_KINDS, 1000));
        assert!(unread.warning(1000, 0).unwrap().ends_with(", and others)"));
    }
}
